//! How the targets of a run are worked through: how many at once, when to stop, which first.

use serde::{Deserialize, Serialize};

use super::count::count;
use crate::{Error, Result};

/// The most targets of one run that are worked on at once.
pub const MAX_CONCURRENCY: u32 = 32;

/// How many failed targets a run bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorThreshold {
    /// This many; 0 stops at the first.
    Count(u32),
    /// This share of all targets, 0 to 100.
    Percent(u8),
}

impl ErrorThreshold {
    /// Whether `failed` of `total` targets are more than the run bears.
    pub fn exceeded(self, failed: u64, total: u64) -> bool {
        match self {
            Self::Count(most) => failed > u64::from(most),
            Self::Percent(share) => {
                failed > 0 && u128::from(failed) * 100 > u128::from(total) * u128::from(share)
            }
        }
    }
}

impl std::fmt::Display for ErrorThreshold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(most) => write!(f, "{most}"),
            Self::Percent(share) => write!(f, "{share}%"),
        }
    }
}

impl std::str::FromStr for ErrorThreshold {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = match text.strip_suffix('%') {
            Some(share) => share.parse().ok().filter(|share| *share <= 100).map(Self::Percent),
            None => text.parse().ok().map(Self::Count),
        };
        parsed.ok_or_else(|| {
            Error::usage(format!(
                "{} is no error threshold",
                crate::domain::safe_text::quoted(text)
            ))
            .hint("a number of targets such as 5, or a share such as 10%; 0 stops at the first failure")
        })
    }
}

/// The settings of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rollout {
    /// Targets worked on at once, 1 to [`MAX_CONCURRENCY`].
    pub concurrency: u32,
    /// When to stop; none: every target is tried.
    pub error_threshold: Option<ErrorThreshold>,
    /// So many targets go first, and all of them have to succeed before the rest starts.
    pub canary: u32,
}

impl Default for Rollout {
    fn default() -> Self {
        Self { concurrency: 4, error_threshold: None, canary: 0 }
    }
}

impl Rollout {
    /// Refuses settings out of range.
    pub fn check(&self) -> Result<()> {
        if (1..=MAX_CONCURRENCY).contains(&self.concurrency) {
            return Ok(());
        }
        Err(Error::usage(format!(
            "a concurrency of {} is out of range: 1 to {MAX_CONCURRENCY}",
            self.concurrency
        )))
    }

    /// In words: `4 at a time, canary 3 first, stop above 5 failed targets`.
    pub fn words(&self) -> String {
        let mut words = format!("{} at a time", self.concurrency);
        if self.canary > 0 {
            words.push_str(&format!(", canary {} first", self.canary));
        }
        match self.error_threshold {
            None => {}
            Some(ErrorThreshold::Count(0)) => words.push_str(", stop at the first failed target"),
            Some(ErrorThreshold::Count(n)) => {
                words.push_str(&format!(", stop above {}", count(n, "failed target")));
            }
            Some(ErrorThreshold::Percent(p)) => {
                words.push_str(&format!(", stop above {p} % failed targets"));
            }
        }
        words
    }
}

crate::text_enum! {
    /// Why the end of a run left targets undone.
    pub enum StopReason as "stop reason" {
        /// Somebody cancelled it.
        Cancelled = "cancelled",
        /// More targets failed than its error threshold bears.
        ErrorThreshold = "error_threshold",
        /// A canary target failed.
        CanaryFailed = "canary_failed",
        /// Its workers kept disappearing.
        WorkerLost = "worker_lost",
        /// Somebody closed it by force, or a clean-up did.
        Closed = "closed",
        /// A precondition no longer held.
        Blocked = "blocked",
    }
}

impl StopReason {
    /// One sentence for a person.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Cancelled => "it was cancelled; what was not done yet was skipped",
            Self::ErrorThreshold => {
                "it stopped because more targets failed than its error threshold allows; the rest was skipped"
            }
            Self::CanaryFailed => {
                "it stopped because a canary target failed; the rest was never started"
            }
            Self::WorkerLost => "its workers kept disappearing; the rest was skipped",
            Self::Closed => "it was closed by force; what was not done yet was skipped",
            Self::Blocked => "nothing was attempted, because a precondition no longer held",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_a_count_or_a_share_and_zero_stops_at_the_first() {
        let threshold: ErrorThreshold = "0".parse().unwrap();
        assert!(!threshold.exceeded(0, 10) && threshold.exceeded(1, 10));
        let threshold: ErrorThreshold = "10%".parse().unwrap();
        assert!(!threshold.exceeded(1, 10) && threshold.exceeded(2, 10));
        let threshold: ErrorThreshold = "0%".parse().unwrap();
        assert!(!threshold.exceeded(0, 0) && threshold.exceeded(1, 1_000));
        for bad in ["", "-1", "101%", "1.5", "many", "%"] {
            assert!(bad.parse::<ErrorThreshold>().is_err(), "{bad}");
        }
    }
}
