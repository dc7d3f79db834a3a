//! The fourth and the fifth step: how the targets are worked through, and why.

use crate::domain::rollout::{MAX_CONCURRENCY, Rollout};
use crate::tui::widgets::form::{Field, Form};
pub(super) use crate::tui::widgets::reason::judge as reason;
use crate::tui::widgets::reason::{CODE, TEXT};

const NUMBER_LIMIT: usize = 8;

const CONCURRENCY: usize = 0;
const THRESHOLD: usize = 1;
const CANARY: usize = 2;

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

pub(super) fn is_touched(rollout: &Form, reason: &Form) -> bool {
    let usual = rollout_form();
    (CONCURRENCY..=CANARY).any(|field| rollout.value(field) != usual.value(field))
        || [CODE, TEXT].iter().any(|field| !reason.value(*field).is_empty())
}

/// The rollout that was typed.
///
/// # Errors
/// What is wrong with which field.
pub(super) fn rollout(form: &Form) -> Result<Rollout, Vec<(usize, String)>> {
    let mut wrong = Vec::new();
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
}
