//! Retention of the product usage ledger: the same code for the runbook and the command line.

use chrono::{DateTime, Duration, Utc};
use serde_json::Value;

use super::Context;
use super::store::retention;
use crate::{Error, Result};

/// The input that says for how many days events are kept.
pub const DAYS_INPUT: &str = "days";
/// For how many days events are kept where nothing else is said.
pub const DEFAULT_DAYS: i64 = 90;
/// The longest retention: a hundred years.
const MAX_DAYS: i64 = 36_500;

/// For how many days events are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days(i64);

impl Days {
    /// A retention of `days`.
    ///
    /// # Errors
    /// *Usage* for fewer than 1 or more than 36,500.
    pub fn new(days: i64) -> Result<Self> {
        if (1..=MAX_DAYS).contains(&days) {
            return Ok(Self(days));
        }
        Err(Error::usage(format!("events are kept for 1 to {MAX_DAYS} days, not {days}")))
    }

    /// The retention that a run's inputs ask for; 90 days where they do not say.
    ///
    /// # Errors
    /// *Usage* for anything but a whole number from 1 to 36,500.
    pub fn from_inputs(inputs: &Value) -> Result<Self> {
        match inputs.get(DAYS_INPUT) {
            None | Some(Value::Null) => Ok(Self(DEFAULT_DAYS)),
            Some(value) => match value.as_i64() {
                Some(days) => Self::new(days),
                None => Err(Error::usage("the days to keep events must be a whole number")),
            },
        }
    }

    /// How many.
    pub fn get(self) -> i64 {
        self.0
    }

    /// What is from before this moment is too old at `now`.
    pub fn cutoff(self, now: DateTime<Utc>) -> DateTime<Utc> {
        now - Duration::days(self.0)
    }
}

/// Deletes at most `limit` product usage events that are too old at `at`, the oldest first;
/// gives how many. Fewer than `limit`: none is left.
pub(crate) async fn prune_chunk(
    context: &mut Context,
    days: Days,
    at: DateTime<Utc>,
    limit: i64,
) -> Result<i64> {
    let deleted =
        retention::delete_usage_events(context.tx()?, days.cutoff(at), limit.max(1)).await?;
    Ok(i64::try_from(deleted).unwrap_or(i64::MAX))
}

/// How many product usage events are too old at `at`, and how many there are.
pub(crate) async fn count_old(
    context: &mut Context,
    days: Days,
    at: DateTime<Utc>,
) -> Result<(i64, i64)> {
    retention::count_usage_events(context.tx()?, days.cutoff(at)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn days_are_a_whole_number_from_one_to_a_hundred_years() {
        assert_eq!(Days::from_inputs(&json!({})).unwrap().get(), 90);
        assert_eq!(Days::from_inputs(&json!({ "days": 1 })).unwrap().get(), 1);
        assert_eq!(Days::from_inputs(&json!({ "days": 36_500 })).unwrap().get(), 36_500);
        for wrong in [json!(0), json!(-1), json!(36_501), json!(1.5), json!("30"), json!([1])] {
            let error = Days::from_inputs(&json!({ "days": wrong })).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Usage);
        }
    }
}
