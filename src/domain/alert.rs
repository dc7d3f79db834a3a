//! What an alert can be about.

use super::failure::ReasonCode;
use super::run::RunOutcome;
use crate::text_enum;

text_enum! {
    /// Something that is told outside of the platform.
    pub enum AlertEvent as "alert event" {
        /// A run failed.
        Failed = "operations.run.failed",
        /// A run failed in part.
        PartiallySucceeded = "operations.run.partially_succeeded",
        /// A run was blocked: nothing of it was attempted.
        Blocked = "operations.run.blocked",
        /// A run was closed because its workers were lost.
        WorkerLost = "operations.run.worker_lost",
        /// A type and tenant that alerted succeeded again.
        Recovered = "operations.run.recovered",
    }
}

impl AlertEvent {
    /// What the end of a run is an alert about, the more precise first; empty for an end that is
    /// none. The second one is for a platform that does not send the first.
    pub fn of_end(outcome: RunOutcome, reason: Option<&str>) -> Vec<Self> {
        let by_outcome = match outcome {
            RunOutcome::Failed => Self::Failed,
            RunOutcome::PartiallySucceeded => Self::PartiallySucceeded,
            RunOutcome::Blocked => Self::Blocked,
            RunOutcome::Succeeded | RunOutcome::Cancelled | RunOutcome::Pending => {
                return Vec::new();
            }
        };
        if reason == Some(ReasonCode::WorkerLost.as_str()) {
            return vec![Self::WorkerLost, by_outcome];
        }
        vec![by_outcome]
    }

    /// Whether so many failed targets of so many are too few for it, where it takes `percent`.
    pub fn is_below(self, percent: i64, failed: i64, total: i64) -> bool {
        matches!(self, Self::Failed | Self::PartiallySucceeded)
            && i128::from(failed) * 100 < i128::from(percent) * i128::from(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::setting::ALERT_EVENTS;

    #[test]
    fn the_events_are_those_of_the_setting() {
        let known: Vec<&str> = AlertEvent::ALL.iter().map(|event| event.as_str()).collect();
        assert_eq!(known, ALERT_EVENTS);
    }

    #[test]
    fn an_end_is_an_alert_about_its_outcome_or_the_lost_worker() {
        use AlertEvent as E;
        let lost = Some("worker_lost");
        let cases = [
            (RunOutcome::Failed, None, vec![E::Failed]),
            (RunOutcome::Failed, Some("timeout"), vec![E::Failed]),
            (RunOutcome::PartiallySucceeded, None, vec![E::PartiallySucceeded]),
            (RunOutcome::Blocked, Some("stale_queued"), vec![E::Blocked]),
            (RunOutcome::Failed, lost, vec![E::WorkerLost, E::Failed]),
            (RunOutcome::Blocked, lost, vec![E::WorkerLost, E::Blocked]),
            (RunOutcome::Succeeded, lost, vec![]),
            (RunOutcome::Cancelled, lost, vec![]),
        ];
        for (outcome, reason, events) in cases {
            assert_eq!(AlertEvent::of_end(outcome, reason), events, "{outcome:?} {reason:?}");
        }
    }

    #[test]
    fn a_share_counts_failed_targets_and_only_where_there_are_some() {
        assert!(!AlertEvent::Failed.is_below(0, 0, 0));
        assert!(!AlertEvent::PartiallySucceeded.is_below(0, 1, 412));
        assert!(AlertEvent::PartiallySucceeded.is_below(10, 41, 412));
        assert!(!AlertEvent::PartiallySucceeded.is_below(10, 42, 412));
        assert!(!AlertEvent::Failed.is_below(100, 412, 412));
        assert!(!AlertEvent::Blocked.is_below(100, 0, 412));
        assert!(!AlertEvent::WorkerLost.is_below(100, 1, 412));
    }
}
