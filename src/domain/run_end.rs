//! How targets and runs end: one rule for the worker, for executors that report, for the demo and
//! for seeded history.

use super::run::{RunOutcome, TargetStatus};

/// What is known of a run when it ends. *Some* is meant of targets and, within a failed target, of
/// its items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunEnd {
    /// Nothing was attempted, because a precondition no longer held.
    pub blocked: bool,
    /// A cancel left targets or items undone.
    pub cancelled: bool,
    /// Something failed.
    pub some_failed: bool,
    /// Something succeeded.
    pub some_succeeded: bool,
}

impl RunEnd {
    /// The outcome, by the first rule that matches.
    pub fn outcome(self) -> RunOutcome {
        match self {
            Self { cancelled: true, .. } => RunOutcome::Cancelled,
            Self { blocked: true, .. } => RunOutcome::Blocked,
            Self { some_failed: true, some_succeeded: true, .. } => RunOutcome::PartiallySucceeded,
            Self { some_failed: true, .. } => RunOutcome::Failed,
            _ => RunOutcome::Succeeded,
        }
    }
}

/// The status of an ended target: one with failed items is a failed target, whatever became of its
/// other items.
pub fn target_status(failed_items: u64, otherwise: TargetStatus) -> TargetStatus {
    if failed_items > 0 { TargetStatus::Failed } else { otherwise }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_follows_from_what_failed_and_what_succeeded() {
        let end = |blocked, cancelled, some_failed, some_succeeded| {
            RunEnd { blocked, cancelled, some_failed, some_succeeded }.outcome()
        };
        assert_eq!(end(true, true, true, true), RunOutcome::Cancelled);
        assert_eq!(end(true, false, true, true), RunOutcome::Blocked);
        assert_eq!(end(false, false, true, true), RunOutcome::PartiallySucceeded);
        assert_eq!(end(false, false, true, false), RunOutcome::Failed);
        assert_eq!(end(false, false, false, true), RunOutcome::Succeeded);
        assert_eq!(end(false, false, false, false), RunOutcome::Succeeded);
    }

    #[test]
    fn one_failed_item_makes_a_failed_target() {
        for otherwise in [TargetStatus::Succeeded, TargetStatus::Skipped, TargetStatus::Failed] {
            assert_eq!(target_status(1, otherwise), TargetStatus::Failed);
            assert_eq!(target_status(0, otherwise), otherwise);
        }
    }
}
