//! What a run's targets make of it: its counts, and its outcome.

use crate::domain::rollout::StopReason;
use crate::domain::run::RunOutcome;
use crate::domain::run_end::RunEnd;
use crate::domain::summary_counts::{CountKey, SummaryCounts};
use crate::ops::store::targets::Tally;

/// The counts that a run's targets make. A run with one target that says how many items it has
/// counts items, any other counts targets.
pub(in crate::ops) fn counts_of(tally: &Tally) -> SummaryCounts {
    let n = |count: i64| u64::try_from(count).unwrap_or(0);
    let [total, processed, succeeded, failed, skipped] =
        if tally.total == 1 && tally.item_total > 0 { of_items(tally) } else { of_targets(tally) };
    let mut counts = SummaryCounts::default()
        .with(CountKey::Total, n(total))
        .with(CountKey::Processed, n(processed))
        .with(CountKey::Succeeded, n(succeeded))
        .with(CountKey::Failed, n(failed))
        .with(CountKey::Skipped, n(skipped))
        .with(CountKey::Tenants, n(tally.tenants))
        .with(CountKey::Items, n(tally.items))
        .with(CountKey::Updated, n(tally.updated));
    for (key, count) in [(CountKey::Created, tally.created), (CountKey::Deleted, tally.deleted)] {
        if count > 0 {
            counts.set(key, n(count));
        }
    }
    counts
}

fn of_targets(tally: &Tally) -> [i64; 5] {
    let processed = tally.total - tally.pending;
    [tally.total, processed, tally.succeeded, tally.failed, tally.skipped]
}

fn of_items(tally: &Tally) -> [i64; 5] {
    let total = tally.item_total.max(tally.items);
    let done = if tally.pending > 0 { tally.items } else { total };
    let succeeded = tally.items - tally.failed_items;
    [total, done, succeeded, tally.failed_items, done - tally.items]
}

/// The outcome that a run's targets and a stop make; the stop left `left` of them undone.
pub(in crate::ops) fn outcome_of(tally: &Tally, stop: Option<StopReason>, left: u64) -> RunOutcome {
    RunEnd {
        blocked: stop == Some(StopReason::Blocked),
        cancelled: matches!(stop, Some(StopReason::Cancelled | StopReason::Closed)) && left > 0,
        some_failed: tally.failed > 0,
        some_succeeded: tally.succeeded > 0 || tally.good_items > 0,
    }
    .outcome()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(tally: &Tally) -> [u64; 5] {
        let counts = counts_of(tally);
        [
            CountKey::Total,
            CountKey::Processed,
            CountKey::Succeeded,
            CountKey::Failed,
            CountKey::Skipped,
        ]
        .map(|key| counts.get(key).unwrap_or(0))
    }

    #[test]
    fn one_target_with_items_is_counted_in_items() {
        let failed = Tally {
            total: 1,
            failed: 1,
            items: 52,
            failed_items: 39,
            item_total: 52,
            good_items: 13,
            ..Tally::default()
        };
        assert_eq!(counted(&failed), [52, 52, 13, 39, 0]);
        assert_eq!(outcome_of(&failed, None, 0), RunOutcome::PartiallySucceeded);
        let early = Tally { items: 12, failed_items: 12, good_items: 0, ..failed };
        assert_eq!(counted(&early), [52, 52, 0, 12, 40]);
        assert_eq!(outcome_of(&early, None, 0), RunOutcome::Failed);
        assert_eq!(outcome_of(&early, Some(StopReason::Cancelled), 1), RunOutcome::Cancelled);
        let going = Tally { pending: 1, failed: 0, items: 20, failed_items: 2, ..failed };
        assert_eq!(counted(&going), [52, 20, 18, 2, 0]);
    }

    #[test]
    fn several_targets_are_counted_themselves_and_their_items_decide_the_outcome() {
        let all_failed = Tally {
            total: 3,
            failed: 3,
            items: 30,
            failed_items: 4,
            item_total: 40,
            good_items: 26,
            ..Tally::default()
        };
        assert_eq!(counted(&all_failed), [3, 3, 0, 3, 0]);
        assert_eq!(outcome_of(&all_failed, None, 0), RunOutcome::PartiallySucceeded);
        let nothing = Tally { good_items: 0, ..all_failed };
        assert_eq!(outcome_of(&nothing, None, 0), RunOutcome::Failed);
        // Items of a target that does not say how many it has do not count.
        let some = Tally { succeeded: 1, failed: 2, good_items: 0, ..all_failed };
        assert_eq!(outcome_of(&some, None, 0), RunOutcome::PartiallySucceeded);
    }

    #[test]
    fn a_cancel_that_came_too_late_changes_nothing() {
        let done = Tally { total: 2, succeeded: 1, skipped: 1, ..Tally::default() };
        assert_eq!(outcome_of(&done, Some(StopReason::Cancelled), 0), RunOutcome::Succeeded);
        assert_eq!(outcome_of(&done, Some(StopReason::Closed), 1), RunOutcome::Cancelled);
    }
}
