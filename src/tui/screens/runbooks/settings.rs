//! The fourth and the fifth step: how the targets are worked through, and why.

use crate::domain::rollout::{MAX_CONCURRENCY, Rollout};
pub(super) use crate::domain::start_reason::MAX_REASON;
use crate::domain::start_reason::{StartReason, StartReasonCode};
use crate::tui::widgets::form::{Field, Form};

/// The longest number that can be typed.
const NUMBER_LIMIT: usize = 8;
/// More can be typed than is allowed, so that too much is refused and not cut off unseen.
const REASON_LIMIT: usize = MAX_REASON + 100;

const CONCURRENCY: usize = 0;
const THRESHOLD: usize = 1;
const CANARY: usize = 2;
const CODE: usize = 0;
const TEXT: usize = 1;

/// The form of the rollout.
pub(super) fn rollout_form() -> Form {
    let usual = Rollout::default();
    Form::new(vec![
        Field::text("concurrency", NUMBER_LIMIT)
            .filled(&usual.concurrency.to_string())
            .note(&format!("tenants at once, 1 to {MAX_CONCURRENCY}")),
        Field::text("stop above", NUMBER_LIMIT).note("failed tenants: 5, 10%; empty: never"),
        Field::text("canary", NUMBER_LIMIT)
            .filled(&usual.canary.to_string())
            .note("tenants first, alone; 0: none"),
    ])
}

/// The form of the reason.
pub(super) fn reason_form() -> Form {
    let codes = StartReasonCode::ALL.iter().map(|code| code.as_str());
    Form::new(vec![Field::choice("code", codes), Field::text("reason", REASON_LIMIT)])
}

/// Whether anybody has typed anything else than was there.
pub(super) fn is_touched(rollout: &Form, reason: &Form) -> bool {
    let usual = rollout_form();
    (CONCURRENCY..=CANARY).any(|field| rollout.value(field) != usual.value(field))
        || [CODE, TEXT].iter().any(|field| !reason.value(*field).is_empty())
}

/// What is wrong with fields: the field, and the words.
pub(super) type Wrong = Vec<(usize, String)>;

/// The rollout that was typed.
///
/// # Errors
/// What is wrong with which field.
pub(super) fn rollout(form: &Form) -> Result<Rollout, Wrong> {
    let mut wrong = Wrong::new();
    let mut rollout = Rollout::default();
    match form.value(CONCURRENCY).trim().parse() {
        Ok(n) if (1..=MAX_CONCURRENCY).contains(&n) => rollout.concurrency = n,
        _ => wrong.push((CONCURRENCY, format!("type a whole number from 1 to {MAX_CONCURRENCY}"))),
    }
    match form.value(THRESHOLD).trim() {
        "" => {}
        text => match text.parse() {
            Ok(threshold) => rollout.error_threshold = Some(threshold),
            Err(error) => wrong.push((THRESHOLD, error.to_string())),
        },
    }
    match form.value(CANARY).trim() {
        "" => {}
        text => match text.parse() {
            Ok(canary) => rollout.canary = canary,
            Err(_) => wrong.push((CANARY, "type a whole number, 0 for no canary".to_owned())),
        },
    }
    if wrong.is_empty() { Ok(rollout) } else { Err(wrong) }
}

/// The reason that was typed; none where none is needed and nothing was typed.
///
/// # Errors
/// What is wrong with which field.
pub(super) fn reason(form: &Form, needed: bool) -> Result<Option<StartReason>, Wrong> {
    let (code, text) = (form.value(CODE), form.value(TEXT));
    if !needed && code.is_empty() && text.is_empty() {
        return Ok(None);
    }
    let mut wrong = Wrong::new();
    let code: Option<StartReasonCode> = code.parse().ok();
    if code.is_none() {
        wrong.push((CODE, "choose one: left and right, or its first letter".to_owned()));
    }
    // The text is judged with any code, so that both are told at once.
    let judged = StartReason::new(code.unwrap_or(StartReasonCode::DataRepair), text);
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

    fn typed(concurrency: &str, threshold: &str, canary: &str) -> Form {
        Form::new(vec![
            Field::text("", 9).filled(concurrency),
            Field::text("", 9).filled(threshold),
            Field::text("", 9).filled(canary),
        ])
    }

    #[test]
    fn a_rollout_is_judged_field_by_field() {
        assert_eq!(rollout(&rollout_form()), Ok(Rollout::default()));
        let words = rollout(&typed(" 8 ", "10%", "3")).unwrap().words();
        assert_eq!(words, "8 at a time, canary 3 first, stop above 10 % failed targets");
        for (bad, fields) in [
            (typed("0", "", ""), vec![CONCURRENCY]),
            (typed("33", "", ""), vec![CONCURRENCY]),
            (typed("", "x", "-1"), vec![CONCURRENCY, THRESHOLD, CANARY]),
            (typed("4", "101%", "1.5"), vec![THRESHOLD, CANARY]),
        ] {
            let wrong = rollout(&bad).unwrap_err();
            assert_eq!(wrong.iter().map(|(field, _)| *field).collect::<Vec<_>>(), fields);
        }
    }

    #[test]
    fn a_reason_is_whole_or_absent() {
        let form = |code: &str, text: &str| {
            let codes = StartReasonCode::ALL.iter().map(|code| code.as_str());
            let text = Field::text("reason", REASON_LIMIT).filled(text);
            Form::new(vec![Field::choice("code", codes).filled(code), text])
        };
        assert_eq!(reason(&form("", ""), false), Ok(None));
        assert_eq!(reason(&form("", ""), true).unwrap_err().len(), 2);
        assert_eq!(reason(&form("INCIDENT", ""), false).unwrap_err().len(), 1);
        assert_eq!(reason(&form("", "because"), false).unwrap_err().len(), 1);
        assert!(reason(&form("INCIDENT", "because"), true).unwrap().is_some());
        assert!(reason(&form("INCIDENT", &"x".repeat(501)), true).is_err());
    }
}
