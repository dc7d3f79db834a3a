//! Closing runs that can never finish, with the reason.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::runs::{End, counts_of, outcome_of, write_end};
use super::store::faults::{self, During};
use super::store::lifecycle::{self, Held};
use super::store::targets::{self, Tally};
use super::store::{reconcile, requests, savepoint, target_ends};
use super::{AuditStatus, Context, Reader};
use crate::Result;
use crate::domain::failure::ReasonCode;
use crate::domain::rollout::StopReason;
use crate::domain::run::RunOutcome;
use crate::domain::run_state::STALE_AFTER;
use crate::domain::sanitize;
use crate::domain::summary_counts::{CountKey, SummaryCounts};

/// How the audit log calls it.
const ACTION: &str = "runs.reconcile";

/// What became of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Runs looked at.
    pub looked_at: i64,
    /// Runs closed.
    pub closed: i64,
    /// The last one's id, if there may be more after it.
    pub last_id: Option<i64>,
}

/// Closes the next `limit` runs after `after_id` that can never finish, in the name of the
/// run `by`, which is never among them.
pub(crate) async fn close_chunk(
    context: &mut Context,
    by: i64,
    after_id: i64,
    limit: i64,
) -> Result<Chunk> {
    let limit = limit.max(1);
    let before = context.now() - STALE_AFTER;
    let ids = reconcile::next_stuck(context.tx()?, by, before, after_id, limit).await?;
    let looked_at = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    let last_id = ids.last().copied().filter(|_| looked_at >= limit);
    let mut closed = 0;
    for id in ids {
        // One run whose end cannot be written keeps none of the others from theirs.
        savepoint::begin(context.tx()?).await?;
        let attempt = close(context, id, by, before).await;
        match savepoint::settle(context.tx()?, attempt).await? {
            Ok(done) => closed += i64::from(done),
            Err(error) if error.is_waited_out() => return Err(error),
            Err(error) => {
                let now = context.now();
                let fault = error.fault();
                tracing::error!(run_id = id, %error, "a run could not be closed");
                faults::try_record(context.tx()?, id, During::End, fault, now).await?;
            }
        }
    }
    Ok(Chunk { looked_at, closed, last_id })
}

/// How many runs can never finish, as it stood at `as_of` for what waits in the queue, and
/// how many are active.
pub(crate) async fn count_stuck(reader: Reader<'_>, as_of: DateTime<Utc>) -> Result<(i64, i64)> {
    reconcile::count(reader.tx, 0, as_of - STALE_AFTER).await
}

/// Closes one run as its completion would, if it still can never finish.
async fn close(context: &mut Context, id: i64, by: i64, before: DateTime<Utc>) -> Result<bool> {
    let now = context.now();
    let tx = context.tx()?;
    let Some(was) = lifecycle::hold(tx, id).await? else { return Ok(false) };
    let Some(fence) = reconcile::take(tx, id, before).await? else { return Ok(false) };
    let (cause, said) = if was.status == "running" {
        (ReasonCode::WorkerLost, "the worker that held it is gone")
    } else {
        (ReasonCode::StaleQueued, "no worker claimed it in time")
    };
    let asked = requests::of_run(tx, id).await?;
    let cancelled =
        was.cancel_requested_at.is_some() || asked.iter().any(|request| request.kind == "cancel");
    let tally = targets::tally(tx, id).await?;
    let begun = reconcile::begun(tx, id).await?;
    let stored = SummaryCounts::from_json(&was.summary_counts.0).unwrap_or_default();
    let Settled { counts, outcome, undone } = settle(&stored, &tally, begun, cancelled);
    let status = match outcome {
        _ if undone => "skipped",
        RunOutcome::Succeeded => "succeeded",
        _ => "failed",
    };
    let mut end = End { outcome, counts, stop: None, reason: None };
    // What somebody worked at and nobody finishes has failed; what nobody began is skipped.
    let failed = undone && matches!(outcome, RunOutcome::Failed | RunOutcome::PartiallySucceeded);
    if undone {
        let message = sanitize::message(&format!("{said}; closed by run {by}"));
        let tenants = if failed {
            targets::fail_started(tx, id, cause.as_str(), now).await?
        } else {
            vec![was.tenant_id]
        };
        for tenant in tenants {
            lifecycle::insert_failure(tx, id, tenant, cause.as_str(), &message, now).await?;
        }
        end.reason = Some(cause.as_str().to_owned());
        end.stop = Some(match (outcome, cause) {
            (RunOutcome::Blocked, _) => StopReason::Blocked,
            (RunOutcome::Cancelled, _) => StopReason::Cancelled,
            (_, ReasonCode::WorkerLost) => StopReason::WorkerLost,
            _ => StopReason::Closed,
        });
    }
    // After its failures are written: a target with failed items fails for the commonest of them.
    target_ends::settle(tx, id, status, None, now).await?;
    if failed {
        let tally = targets::tally(tx, id).await?;
        (end.counts, end.outcome) = (counts_of(&tally), outcome_of(&tally, None, 0));
    }
    let mut row = context.audit_row(ACTION, AuditStatus::Succeeded);
    row.break_glass |= was.break_glass;
    row.run_id = Some(id);
    row.tenant_id = was.tenant_id;
    row.workspace_id = was.workspace_id;
    row.before = Some(json!({ "status": was.status }));
    row.metadata =
        json!({ "type": was.run_type, "reason_code": cause.as_str(), "reconciled_by": by });
    context.audit(&row).await?;
    write_end(context, &Held { fence, ..was }, end).await?;
    Ok(true)
}

/// How a run that nobody finishes ends.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Settled {
    /// Counts that add up.
    counts: SummaryCounts,
    /// The outcome.
    outcome: RunOutcome,
    /// Whether something was left undone.
    undone: bool,
}

/// Says how a run ends of which nobody will do the rest. A run that is worked through target
/// by target counts by its targets; one that reports counts of its own keeps them.
fn settle(stored: &SummaryCounts, tally: &Tally, begun: i64, cancelled: bool) -> Settled {
    let reported = |key| stored.get(key).unwrap_or(0);
    let by_targets = begun > 0 || tally.pending < tally.total;
    let known = [CountKey::Succeeded, CountKey::Failed, CountKey::Skipped].map(reported);
    let known = known.into_iter().fold(0, u64::saturating_add);
    let total = u64::try_from(tally.total).unwrap_or(0);
    let reports = !by_targets && (known > 0 || reported(CountKey::Total) > total);
    let (mut counts, rest) = if reports {
        let total = reported(CountKey::Total).max(known);
        let mut counts = stored.clone();
        counts.set(CountKey::Total, total);
        (counts, total - known)
    } else {
        (counts_of(tally), u64::try_from(tally.pending).unwrap_or(0))
    };
    let [succeeded, failed, skipped, total] =
        [CountKey::Succeeded, CountKey::Failed, CountKey::Skipped, CountKey::Total]
            .map(|key| counts.get(key).unwrap_or(0));
    counts.set(CountKey::Skipped, skipped + rest);
    counts.set(CountKey::Processed, total);
    let attempted = begun > 0 || succeeded > 0 || failed > 0;
    let outcome = match (rest > 0, failed > 0, succeeded > 0) {
        (true, ..) if cancelled => RunOutcome::Cancelled,
        (true, ..) if !attempted => RunOutcome::Blocked,
        (false, false, _) => RunOutcome::Succeeded,
        (_, _, true) => RunOutcome::PartiallySucceeded,
        _ => RunOutcome::Failed,
    };
    Settled { counts, outcome, undone: rest > 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(total: i64, succeeded: i64, failed: i64, begun: i64) -> (Tally, i64) {
        let pending = total - succeeded - failed;
        (Tally { total, pending, succeeded, failed, ..Tally::default() }, begun)
    }

    fn reported(total: u64, succeeded: u64, failed: u64) -> SummaryCounts {
        SummaryCounts::default()
            .with(CountKey::Total, total)
            .with(CountKey::Succeeded, succeeded)
            .with(CountKey::Failed, failed)
    }

    #[test]
    fn an_unfinished_run_ends_by_what_was_done_and_its_counts_add_up() {
        use RunOutcome as O;
        let none = SummaryCounts::default();
        let cases = [
            // Stored counts, targets, cancel asked for; outcome, skipped.
            (reported(3, 0, 0), tally(3, 0, 0, 0), false, O::Blocked, 3),
            (reported(3, 0, 0), tally(3, 0, 0, 0), true, O::Cancelled, 3),
            (reported(3, 0, 0), tally(3, 0, 0, 1), false, O::Failed, 3),
            (reported(3, 0, 0), tally(3, 1, 0, 1), false, O::PartiallySucceeded, 2),
            (reported(3, 0, 0), tally(3, 1, 1, 2), false, O::PartiallySucceeded, 1),
            (reported(3, 0, 0), tally(3, 0, 1, 1), false, O::Failed, 2),
            // Only the completion was missing.
            (reported(3, 1, 0), tally(3, 3, 0, 3), false, O::Succeeded, 0),
            (reported(3, 1, 0), tally(3, 3, 0, 3), true, O::Succeeded, 0),
            (reported(3, 1, 0), tally(3, 2, 1, 3), false, O::PartiallySucceeded, 0),
            (reported(3, 1, 0), tally(3, 0, 3, 3), false, O::Failed, 0),
            (none.clone(), tally(0, 0, 0, 0), false, O::Succeeded, 0),
            // Counts of its own, over one target.
            (reported(12, 4, 0), tally(1, 0, 0, 0), false, O::PartiallySucceeded, 8),
            (reported(12, 0, 0), tally(1, 0, 0, 0), false, O::Blocked, 12),
            (reported(12, 0, 2), tally(1, 0, 0, 0), false, O::Failed, 10),
            (reported(1, 1, 0), tally(1, 0, 0, 0), false, O::Succeeded, 0),
            (none, tally(1, 0, 0, 0), false, O::Blocked, 1),
        ];
        for (stored, (targets, begun), cancelled, outcome, skipped) in cases {
            let end = settle(&stored, &targets, begun, cancelled);
            let get = |key| end.counts.get(key).unwrap_or(0);
            assert_eq!(end.outcome, outcome, "{stored:?} {targets:?}");
            assert_eq!(get(CountKey::Skipped), skipped, "{stored:?} {targets:?}");
            assert_eq!(end.undone, skipped > 0);
            assert_eq!(get(CountKey::Processed), get(CountKey::Total));
            let parts = [CountKey::Succeeded, CountKey::Failed, CountKey::Skipped].map(get);
            assert_eq!(parts.iter().sum::<u64>(), get(CountKey::Total));
        }
    }

    #[test]
    fn records_are_counted_from_the_targets() {
        let (targets, begun) = tally(2, 1, 0, 1);
        let targets = Tally { items: 40, updated: 7, ..targets };
        let end = settle(&reported(2, 0, 0), &targets, begun, false);
        assert_eq!(end.counts.get(CountKey::Items), Some(40));
        assert_eq!(end.counts.get(CountKey::Updated), Some(7));
    }
}
