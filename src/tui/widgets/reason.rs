//! The two fields of a reason: its code and its text, as the first ones of a form.

use super::form::{Field, Form};
use crate::domain::confirmation::ReasonRule;
use crate::domain::start_reason::{MAX_REASON, StartReason, StartReasonCode};

pub const CODE: usize = 0;
pub const TEXT: usize = 1;
/// More can be typed than is allowed, so that too much is refused and not cut off unseen.
const LIMIT: usize = MAX_REASON + 100;

pub fn fields() -> Vec<Field> {
    let codes = StartReasonCode::ALL.iter().map(|code| code.as_str());
    vec![Field::choice("code", codes), Field::text("reason", LIMIT)]
}

/// The reason that was typed, none where none is needed and nothing was typed; or none at all,
/// with what is wrong beside its fields.
pub fn read(form: &mut Form, rule: ReasonRule) -> Option<Option<StartReason>> {
    judge(form, rule)
        .map_err(|wrong| wrong.into_iter().for_each(|(field, why)| form.refuse(field, why)))
        .ok()
}

/// The same, with what is wrong as an answer.
///
/// # Errors
/// The fields, and what is wrong with each.
pub fn judge(form: &Form, rule: ReasonRule) -> Result<Option<StartReason>, Vec<(usize, String)>> {
    let (code, text) = (form.value(CODE), form.value(TEXT));
    if !rule.is_required() && code.is_empty() && text.is_empty() {
        return Ok(None);
    }
    let mut wrong = Vec::new();
    let code: Option<StartReasonCode> = code.parse().ok();
    if code.is_none() {
        wrong.push((CODE, "choose one: left and right, or its first letter".to_owned()));
    }
    // The text is judged with any code, so that both are told at once.
    let judged = StartReason::new(code.unwrap_or(StartReasonCode::DataRepair), text, rule);
    match (judged, code) {
        (Ok(reason), Some(_)) => return Ok(Some(reason)),
        (Ok(_), None) => {}
        (Err(error), _) => wrong.push((TEXT, error.to_string())),
    }
    Err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_whole_or_absent() {
        use ReasonRule::{Optional, Required};
        let form = |code: &str, text: &str| {
            let codes = StartReasonCode::ALL.iter().map(|code| code.as_str());
            let text = Field::text("reason", LIMIT).filled(text);
            Form::new(vec![Field::choice("code", codes).filled(code), text])
        };
        assert_eq!(judge(&form("", ""), Optional), Ok(None));
        assert_eq!(judge(&form("", ""), Required).unwrap_err().len(), 2);
        assert_eq!(judge(&form("INCIDENT", ""), Optional).unwrap_err().len(), 1);
        assert_eq!(judge(&form("", "short"), Optional).unwrap_err().len(), 1);
        assert!(judge(&form("INCIDENT", "short"), Optional).unwrap().is_some());
        assert_eq!(judge(&form("INCIDENT", "short"), Required).unwrap_err().len(), 1);
        assert!(judge(&form("INCIDENT", "checkout is down"), Required).unwrap().is_some());
        assert!(judge(&form("INCIDENT", &"x".repeat(501)), Optional).is_err());
    }
}
