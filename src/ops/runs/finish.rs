//! The end of a run, in one transaction: counts from its targets, outcome, one notification,
//! one alert, one audit row. Also the ways to let go of a run that has not ended.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::alerting;
use super::execute::{held, lost, settle};
use super::shares::{counts_of, outcome_of};
use crate::access::Requirement;
use crate::domain::count::count;
use crate::domain::failure::ReasonCode;
use crate::domain::rollout::StopReason;
use crate::domain::run::RunOutcome;
use crate::domain::sanitize;
use crate::domain::summary_counts::{CountKey, SummaryCounts};
use crate::ops::store::faults::{self, During};
use crate::ops::store::lifecycle::{self, Ending, Held};
use crate::ops::store::outages::{self, Gap};
use crate::ops::store::{Tx, audit, requests, savepoint, target_ends, targets};
use crate::ops::{Access, AuditStatus, Context, Mutant, Operation};
use crate::{Error, Result};

/// Completes a run whose targets are done, or stops it: what is pending is skipped then.
#[derive(Debug, Clone, Copy)]
pub struct FinishRun {
    /// Run.
    pub run_id: i64,
    /// The claim's fence.
    pub fence: i64,
    /// Why it stops before its targets are done, if it does.
    pub stop: Option<StopReason>,
}

impl Operation for FinishRun {
    const NAME: &'static str = "runs.finish";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    type Output = RunOutcome;

    async fn execute(self, context: &mut Context) -> Result<RunOutcome> {
        let locked = context.completes_with_lock().await?;
        let tx = context.tx()?;
        let run = if locked {
            held(tx, self.run_id, self.fence).await?
        } else {
            let found = lifecycle::hold(tx, self.run_id).await?;
            found.ok_or_else(|| Error::not_found(format!("run {}", self.run_id)))?
        };
        conclude(context, &run, self.stop).await
    }
}

/// Ends a run as blocked, because a precondition of its work does not hold: nothing of it was
/// attempted. Why is kept as its failure.
#[derive(Debug, Clone)]
pub struct BlockRun {
    /// Run.
    pub run_id: i64,
    /// The claim's fence.
    pub fence: i64,
    /// Why.
    pub reason: ReasonCode,
    /// What was found; sanitised before it is stored.
    pub message: String,
}

impl BlockRun {
    pub(in crate::ops) fn sample() -> Self {
        let reason = ReasonCode::UnexpectedError;
        Self { run_id: 0, fence: 0, reason, message: String::new() }
    }
}

impl Operation for BlockRun {
    const NAME: &'static str = "runs.block";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    type Output = RunOutcome;

    async fn execute(self, context: &mut Context) -> Result<RunOutcome> {
        let now = context.now();
        let tx = context.tx()?;
        let run = held(tx, self.run_id, self.fence).await?;
        let (reason, message) = (self.reason.as_str(), sanitize::message(&self.message));
        lifecycle::insert_failure(tx, run.id, run.tenant_id, reason, &message, now).await?;
        conclude(context, &run, Some(StopReason::Blocked)).await
    }
}

/// Ends a run that the transaction holds locked: settles what is pending, recounts, sets the
/// outcome, tells the initiator, alerts, audits.
pub(in crate::ops) async fn conclude(
    context: &mut Context,
    run: &Held,
    stop: Option<StopReason>,
) -> Result<RunOutcome> {
    let now = context.now();
    let derived = context.mutant() != Some(Mutant::IncrementedCounters);
    let tx = context.tx()?;
    // A run of which only the end is missing lost nothing with its workers.
    let undone = targets::tally(tx, run.id).await?.pending > 0;
    let stop = stop.filter(|stop| undone || *stop != StopReason::WorkerLost);
    if stop == Some(StopReason::WorkerLost) {
        let reason = ReasonCode::WorkerLost.as_str();
        for tenant in targets::fail_started(tx, run.id, reason, now).await? {
            let message = "its workers disappeared without making progress";
            lifecycle::insert_failure(tx, run.id, tenant, reason, message, now).await?;
        }
    }
    let left = match stop {
        Some(_) => target_ends::settle(tx, run.id, "skipped", None, now).await?,
        None => 0,
    };
    let tally = targets::tally(tx, run.id).await?;
    if tally.pending > 0 {
        let undone = count(tally.pending, "undone target");
        return Err(Error::refused(format!("run {} has {undone}", run.id)));
    }
    let mut counts = counts_of(&tally);
    let counts_failed = counts.get(CountKey::Failed).unwrap_or(0);
    if !derived {
        counts = SummaryCounts::from_json(&run.summary_counts.0)?;
        let get = |key| counts.get(key).unwrap_or(0);
        let sum = get(CountKey::Succeeded) + get(CountKey::Failed) + get(CountKey::Skipped);
        counts.set(CountKey::Total, sum);
        counts.set(CountKey::Processed, sum);
    }
    let mut outcome = outcome_of(&tally, stop, left);
    let reported = SummaryCounts::from_json(&run.summary_counts.0)?;
    let n = |key| reported.get(key).unwrap_or(0);
    if tally.steps == 0 && tally.item_total == 0 && n(CountKey::Processed) > counts_failed {
        // No worker of ours did a step of it: its counts are what its executor reported.
        counts = reported;
        let known = settle(&mut counts, false, stop.is_some());
        if outcome != RunOutcome::Failed {
            outcome = known;
        }
    }
    let mut end = End { outcome, counts, stop, reason: None };
    if stop.is_none() && tally.gone > 0 && tally.gone == tally.total && tally.steps == 0 {
        // Nothing was attempted: every tenant was gone before its turn.
        end.outcome = RunOutcome::Blocked;
        end.stop = Some(StopReason::Blocked);
        end.reason = Some(ReasonCode::TenantGone.as_str().to_owned());
    }
    write_end(context, run, end).await
}

/// How a run ended.
pub(in crate::ops) struct End {
    /// Its outcome.
    pub outcome: RunOutcome,
    /// Its counts, which add up.
    pub counts: SummaryCounts,
    /// Why targets were left undone.
    pub stop: Option<StopReason>,
    /// The reason where its failures do not tell one.
    pub reason: Option<String>,
}

/// Writes an end: the row, the notification, the alert, the audit row.
pub(in crate::ops) async fn write_end(
    context: &mut Context,
    run: &Held,
    end: End,
) -> Result<RunOutcome> {
    let now = context.now();
    let outcome = end.outcome;
    let blindly = context.completes_blindly();
    let tx = context.tx()?;
    let reason = match &end.reason {
        Some(code) => Some(code.clone()),
        None => lifecycle::dominant_reason(tx, run.id).await?,
    };
    let bad = matches!(outcome, RunOutcome::Failed | RunOutcome::PartiallySucceeded);
    let reason = match (bad, reason) {
        (true, None) => Some(ReasonCode::UnexpectedError.as_str().to_owned()),
        (_, reason) => reason,
    };
    let ending = Ending {
        run_id: run.id,
        fence: run.fence,
        outcome: outcome.as_str(),
        reason_code: reason.as_deref(),
        stop_reason: end.stop.map(StopReason::as_str),
        counts: &end.counts.to_json(),
        now,
    };
    if !lifecycle::complete(tx, &ending).await? && !blindly {
        return Err(lost());
    }
    let of = run.subject().map_or_else(String::new, |subject| format!(" of {subject}"));
    let ended = outcome.as_str().replace('_', " ");
    let title = format!("{}{of} {ended}: run {}", run.run_type, run.id);
    savepoint::begin(tx).await?;
    let notified = lifecycle::notify(tx, run, &title, now).await;
    or_gap(tx, run.id, Gap::Notification, notified, now).await?;
    savepoint::begin(tx).await?;
    let alerted = alerting::raise(context, run, &end, reason.as_deref()).await;
    or_gap(context.tx()?, run.id, Gap::Alert, alerted, now).await?;
    audit_end(context, run, &end.counts, outcome, reason.as_deref()).await?;
    Ok(outcome)
}

/// Ends what was written since a savepoint. What the database refuses, also for want of a grant, is
/// counted as a gap, and the run ends without it; in an outage nothing ends, and the whole end is
/// tried again.
async fn or_gap(
    tx: &mut Tx,
    run_id: i64,
    gap: Gap,
    written: Result<()>,
    now: DateTime<Utc>,
) -> Result<()> {
    let Err(error) = savepoint::settle(tx, written).await? else { return Ok(()) };
    if error.retry_can_help() {
        return Err(error);
    }
    let what = gap.noun();
    let during = match gap {
        Gap::Notification => During::Notification,
        Gap::Alert => During::Alert,
        Gap::Audit => During::Audit,
    };
    tracing::error!(
        run_id,
        error = %error.full_message(),
        "the {what} of a run's end could not be written"
    );
    faults::try_record(tx, run_id, during, error.fault(), now).await?;
    outages::count_gap(tx, run_id, gap).await
}

/// Writes the audit row of an end in a savepoint: if that fails, the run still completes,
/// and the gap is counted on it.
async fn audit_end(
    context: &mut Context,
    run: &Held,
    counts: &SummaryCounts,
    outcome: RunOutcome,
    reason: Option<&str>,
) -> Result<()> {
    let status = match outcome {
        RunOutcome::Failed => AuditStatus::Failed,
        _ => AuditStatus::Succeeded,
    };
    let mut row = context.audit_row("runs.complete", status);
    // What its plan found, and what it left: records themselves would be copies of customers'
    // data, and there can be millions.
    row.before = Some(json!({ "status": run.status, "plan": run.context.0.get("plan") }));
    row.after = Some(json!({ "outcome": outcome.as_str(), "summary_counts": counts.to_json() }));
    // The worker has no break-glass; what it tells of the run does.
    row.break_glass |= run.break_glass;
    row.run_id = Some(run.id);
    row.tenant_id = run.tenant_id;
    row.workspace_id = run.workspace_id;
    row.metadata =
        json!({ "type": run.run_type, "outcome": outcome.as_str(), "reason_code": reason });
    let now = context.now();
    let tx = context.tx()?;
    savepoint::begin(tx).await?;
    let audited = audit::insert_of_end(tx, &row).await.map_err(|error| {
        if error.retry_can_help() {
            error.told_as("the audit row of its end could not be written, so it has not ended")
        } else {
            error
        }
    });
    or_gap(tx, run.id, Gap::Audit, audited, now).await
}

/// Lets go of a run that has not ended: back to the queue, or paused. Its steps are over.
#[derive(Debug, Clone, Copy)]
pub struct ReleaseRun {
    /// Run.
    pub run_id: i64,
    /// The claim's fence.
    pub fence: i64,
    /// Whether it stays paused until somebody resumes it.
    pub pause: bool,
}

/// What became of a run that was let go of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// It is queued, for any worker.
    Queued,
    /// It is paused.
    Paused,
    /// A cancel came in between, and ended it.
    Ended(RunOutcome),
}

impl Operation for ReleaseRun {
    const NAME: &'static str = "runs.release";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    type Output = Released;

    async fn execute(self, context: &mut Context) -> Result<Released> {
        let now = context.now();
        let tx = context.tx()?;
        // Locked for update, which a request's foreign key waits for: either its row is seen
        // here, or whoever writes it finds the run queued.
        let run = held(tx, self.run_id, self.fence).await?;
        let asked = super::control::acknowledge(tx, self.run_id, now).await?;
        if asked.cancel {
            return Ok(Released::Ended(
                conclude(context, &run, Some(StopReason::Cancelled)).await?,
            ));
        }
        targets::take_back_starts(tx, self.run_id).await?;
        let tally = targets::tally(tx, self.run_id).await?;
        if tally.steps > 0 {
            let counts = counts_of(&tally).to_json();
            lifecycle::set_counts(tx, self.run_id, self.fence, &counts, now).await?;
        }
        let paused = self.pause || asked.pause;
        lifecycle::release(tx, self.run_id, self.fence, paused, tally.steps, now).await?;
        requests::withdraw(tx, self.run_id, "pause").await?;
        Ok(if paused { Released::Paused } else { Released::Queued })
    }
}
