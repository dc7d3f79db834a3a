//! One step of one target, in one transaction: fence, effect, marker. What a worker that lost
//! its fence tries here has no effect.

use std::time::Duration;

use serde_json::Value;

use super::execute::held;
use crate::access::Requirement;
use crate::domain::count::count;
use crate::domain::database_fault::DatabaseFault;
use crate::domain::failure::ReasonCode;
use crate::domain::sanitize;
use crate::ops::store::faults::{self, During};
use crate::ops::store::targets::{self, Begun, Found, Left, Pending};
use crate::ops::store::{Tx, lifecycle, target_ends};
use crate::ops::{Access, Context, Mutant, Operation};
use crate::runbooks::{Progress, Step, StepError};
use crate::{Error, Result};

/// So many starts of a target without progress, and it is failed as `step_crashed`.
pub const START_LIMIT: i64 = 3;
/// So many failures of one step are written down one by one.
const FAILURES_PER_STEP: usize = 20;

/// Reads the next pending targets of a run that are due.
#[derive(Debug, Clone, Copy)]
pub struct DueTargets {
    /// Run.
    pub run_id: i64,
    /// Only targets after this position; -1 for all.
    pub after: i64,
    /// Only targets that were started before, and got no further.
    pub started: bool,
    /// At most so many.
    pub limit: i64,
}

impl Operation for DueTargets {
    const NAME: &'static str = "runs.due_targets";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Read;
    type Output = Vec<Pending>;

    async fn execute(self, context: &mut Context) -> Result<Vec<Pending>> {
        targets::due(context.tx()?, self.run_id, self.after, self.started, self.limit).await
    }
}

/// What became of a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// It is counted; its step may be done.
    Begun(Begun),
    /// It was started too often without progress, and is failed now.
    Crashed,
    /// It is no longer pending.
    Done,
}

/// Counts a start of a target, before its step is tried. A target that was started
/// [`START_LIMIT`] times without progress is failed alone.
#[derive(Debug, Clone)]
pub struct BeginTarget {
    /// Run.
    pub run_id: i64,
    /// The claim's fence.
    pub fence: i64,
    /// The target.
    pub ordinal: i64,
    /// What its last crash said, if that is known.
    pub crash: Option<String>,
    /// What came between its last start and the step, if an outage did.
    pub outage: Option<Outage>,
}

/// An outage that kept a started step from being done. The start counts for nothing then: only a
/// process that died or panicked in a step makes it a crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// The starts that count so far.
    pub counted: i64,
    /// What the database said, if it said anything.
    pub fault: Option<DatabaseFault>,
}

impl Operation for BeginTarget {
    const NAME: &'static str = "runs.begin_target";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    type Output = Beginning;

    async fn execute(self, context: &mut Context) -> Result<Beginning> {
        let now = context.now();
        let fenced = context.fenced();
        let takes_back = context.takes_starts_back();
        let tx = context.tx()?;
        let found = found(tx, self.run_id, self.ordinal, self.fence, fenced).await?;
        if found.status != "pending" {
            return Ok(Beginning::Done);
        }
        let fault = self.outage.as_ref().and_then(|outage| outage.fault.as_ref());
        faults::try_record(tx, self.run_id, During::Step, fault, now).await?;
        let counted = self.outage.map(|outage| outage.counted).filter(|_| takes_back);
        let begun =
            targets::begin(tx, self.run_id, self.ordinal, START_LIMIT, counted, now).await?;
        if let Some(begun) = begun {
            return Ok(Beginning::Begun(begun));
        }
        let why = self.crash.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
        let message = format!("started {START_LIMIT} times without progress{why}");
        let failure = Failure {
            run_id: self.run_id,
            ordinal: self.ordinal,
            steps: found.steps,
            tenant_id: found.tenant_id,
            reason: ReasonCode::StepCrashed,
            message: &message,
        };
        Ok(if fail(context, &failure).await? { Beginning::Crashed } else { Beginning::Done })
    }
}

/// What became of a step.
#[derive(Debug)]
pub enum Stepped {
    /// It is done and committed; the target goes on, at this marker.
    GoesOn {
        /// The marker that the next step must find.
        steps: i64,
    },
    /// It is done and committed; the target goes on after a pause.
    Waits,
    /// It is done and committed, and so is the target.
    Finished {
        /// Whether the target has failed, because some of its items have.
        failed: bool,
        /// The next target, if one was asked for and could be started in the same
        /// transaction.
        begun: Option<Begun>,
    },
    /// The work failed; nothing was written.
    Failed {
        /// Why.
        reason: ReasonCode,
        /// What was said.
        message: String,
    },
    /// A precondition does not hold; nothing was written, and the run is to end as blocked.
    Blocked {
        /// Why.
        reason: ReasonCode,
        /// What was found.
        message: String,
    },
    /// The target is not where the worker thought; nothing was written.
    Elsewhere,
}

/// Does one step. Fence, effect and marker are one transaction; the start of the next target
/// goes with it, so that a target costs one commit.
#[derive(Debug, Clone, Copy)]
pub struct RunStep {
    /// Run.
    pub run_id: i64,
    /// The claim's fence.
    pub fence: i64,
    /// The target.
    pub ordinal: i64,
    /// The marker as the worker knows it.
    pub steps: i64,
    /// How many records to take at most.
    pub chunk: i64,
    /// The target to start if this one is finished.
    pub then: Option<i64>,
}

impl Operation for RunStep {
    const NAME: &'static str = "runs.step";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    type Output = Stepped;

    async fn execute(self, context: &mut Context) -> Result<Stepped> {
        let fenced = context.fenced();
        let found = found(context.tx()?, self.run_id, self.ordinal, self.fence, fenced).await?;
        if found.status != "pending" || found.steps != self.steps {
            return Ok(Stepped::Elsewhere);
        }
        if found.gone {
            let tenant_id = found.tenant_id.unwrap_or_default();
            let message = format!("tenant {tenant_id} was archived or removed");
            return Ok(Stepped::Failed { reason: ReasonCode::TenantGone, message });
        }
        let registry = context.settings().registry.clone();
        let step = Step {
            run_id: self.run_id,
            fence: self.fence,
            run_started_at: found.started_at.unwrap_or_else(|| context.now()),
            tenant_id: found.tenant_id,
            cursor: match &found.progress.0 {
                Value::Object(map) if map.is_empty() => Value::Null,
                cursor => cursor.clone(),
            },
            inputs: found.context.0.get("inputs").cloned().unwrap_or(Value::Null),
            chunk: self.chunk,
        };
        let progress = match registry.step(&found.run_type, context, &step).await {
            Ok(progress) => progress,
            Err(StepError::Database(error)) => return Err(error),
            Err(StepError::Failed { reason, message }) => {
                context.undo();
                return Ok(Stepped::Failed { reason, message });
            }
            Err(StepError::Blocked { reason, message }) => {
                context.undo();
                return Ok(Stepped::Blocked { reason, message });
            }
        };
        context.between_effect_and_marker().await?;
        self.mark(context, &found, &progress).await
    }
}

impl RunStep {
    async fn mark(
        self,
        context: &mut Context,
        found: &Found,
        progress: &Progress,
    ) -> Result<Stepped> {
        let now = context.now();
        // What another executor reported before the first step is done again.
        let before = if found.steps == 0 { 0 } else { found.items };
        let items = before + progress.items.max(0);
        let failed_items = found.failed_items + progress.failed.clamp(0, progress.items.max(0));
        let finished = progress.next.is_none();
        let fails = finished && failed_items > 0;
        // Whoever succeeded has done all there is, whatever was expected.
        let item_total = progress
            .total
            .or(found.item_total)
            .map(|total| if finished && !fails { items } else { total.max(items) });
        self.note_failures(context, found, progress).await?;
        let tx = context.tx()?;
        let reason = if fails {
            let own = target_ends::reason_of(tx, self.run_id, self.ordinal).await?;
            Some(own.unwrap_or_else(|| ReasonCode::UnexpectedError.as_str().to_owned()))
        } else {
            None
        };
        let left = Left {
            run_id: self.run_id,
            ordinal: self.ordinal,
            steps: self.steps,
            next: progress.next.as_ref(),
            pause: progress.pause.filter(|_| !finished).unwrap_or_default().as_secs_f64(),
            items,
            failed_items,
            item_total,
            failed_as: reason.as_deref(),
            records: [progress.created, progress.updated, progress.deleted],
            now,
        };
        if !targets::leave(tx, &left).await? {
            context.undo();
            return Ok(Stepped::Elsewhere);
        }
        if !finished {
            let waits = left.pause > 0.0;
            return Ok(if waits {
                Stepped::Waits
            } else {
                Stepped::GoesOn { steps: self.steps + 1 }
            });
        }
        if fails {
            // Whether one more target is begun depends on how many may fail.
            return Ok(Stepped::Finished { failed: true, begun: None });
        }
        if context.mutant() == Some(Mutant::IncrementedCounters) {
            context.tear().await?;
            lifecycle::count_up(context.tx()?, self.run_id).await?;
        }
        let tx = context.tx()?;
        let begun = match self.then {
            Some(next) => targets::begin_next(tx, self.run_id, next, START_LIMIT, now).await?,
            None => None,
        };
        Ok(Stepped::Finished { failed: false, begun })
    }

    /// Writes down why items of a step failed; at least one reason for a step with failed items.
    async fn note_failures(
        self,
        context: &mut Context,
        found: &Found,
        progress: &Progress,
    ) -> Result<()> {
        let now = context.now();
        let tx = context.tx()?;
        let at_most = usize::try_from(progress.failed).unwrap_or(0).min(FAILURES_PER_STEP);
        for failure in progress.failures.iter().take(at_most) {
            let message = sanitize::message(&failure.message);
            let reason = failure.reason.as_str();
            lifecycle::insert_failure(tx, self.run_id, found.tenant_id, reason, &message, now)
                .await?;
        }
        if progress.failures.is_empty() && at_most > 0 {
            let reason = ReasonCode::UnexpectedError.as_str();
            let message = format!("{} failed without a reason", count(progress.failed, "item"));
            lifecycle::insert_failure(tx, self.run_id, found.tenant_id, reason, &message, now)
                .await?;
        }
        Ok(())
    }
}

/// Writes down that a step failed: the target is put off, or ends as failed. One whose tenant is
/// gone is skipped: nothing is left to do for it.
#[derive(Debug, Clone)]
pub struct FailStep {
    /// Run.
    pub run_id: i64,
    /// The claim's fence.
    pub fence: i64,
    /// The target.
    pub ordinal: i64,
    /// The marker as the worker knows it.
    pub steps: i64,
    /// Why.
    pub reason: ReasonCode,
    /// What was said; sanitised before it is stored.
    pub message: String,
    /// Try again after this long; none: the target is failed.
    pub again_in: Option<Duration>,
    /// What the database said, if it failed the step.
    pub fault: Option<DatabaseFault>,
}

impl FailStep {
    pub(in crate::ops) fn sample() -> Self {
        Self {
            run_id: 0,
            fence: 0,
            ordinal: 0,
            steps: 0,
            reason: ReasonCode::UnexpectedError,
            message: String::new(),
            again_in: None,
            fault: None,
        }
    }
}

impl Operation for FailStep {
    const NAME: &'static str = "runs.fail_step";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    /// Whether the target was pending at that marker.
    type Output = bool;

    async fn execute(self, context: &mut Context) -> Result<bool> {
        let now = context.now();
        let fenced = context.fenced();
        let tx = context.tx()?;
        let found = found(tx, self.run_id, self.ordinal, self.fence, fenced).await?;
        faults::try_record(tx, self.run_id, During::Step, self.fault.as_ref(), now).await?;
        if self.reason == ReasonCode::TenantGone {
            let reason = self.reason.as_str();
            return targets::skip(tx, self.run_id, self.ordinal, self.steps, reason, now).await;
        }
        if let Some(pause) = self.again_in {
            return targets::put_off(
                tx,
                self.run_id,
                self.ordinal,
                self.steps,
                pause.as_secs_f64(),
                now,
            )
            .await;
        }
        let failure = Failure {
            run_id: self.run_id,
            ordinal: self.ordinal,
            steps: self.steps,
            tenant_id: found.tenant_id,
            reason: self.reason,
            message: &self.message,
        };
        fail(context, &failure).await
    }
}

/// How a target failed for good.
struct Failure<'a> {
    run_id: i64,
    ordinal: i64,
    steps: i64,
    tenant_id: Option<i64>,
    reason: ReasonCode,
    message: &'a str,
}

/// Ends a target as failed, with its one failure row.
async fn fail(context: &mut Context, failure: &Failure<'_>) -> Result<bool> {
    let now = context.now();
    let tx = context.tx()?;
    let Failure { run_id, ordinal, steps, tenant_id, reason, message } = failure;
    if !targets::fail(tx, *run_id, *ordinal, *steps, reason.as_str(), now).await? {
        return Ok(false);
    }
    let message = sanitize::message(message);
    lifecycle::insert_failure(tx, *run_id, *tenant_id, reason.as_str(), &message, now).await?;
    Ok(true)
}

/// Run and target, the run held under its fence.
async fn found(tx: &mut Tx, run_id: i64, ordinal: i64, fence: i64, fenced: bool) -> Result<Found> {
    let found = targets::find(tx, run_id, ordinal)
        .await?
        .ok_or_else(|| Error::not_found(format!("target {ordinal} of run {run_id}")))?;
    if fenced && (found.run_status != "running" || found.fence != fence) {
        return Err(super::execute::lost());
    }
    Ok(found)
}

/// What is asked of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// It is to be cancelled.
    pub cancel: bool,
    /// It is to be paused.
    pub pause: bool,
}

/// Reads what is asked of a run, and acknowledges it. It does not touch the run's row, so it
/// never waits for a step.
#[derive(Debug, Clone, Copy)]
pub struct Pulse {
    /// Run.
    pub run_id: i64,
    /// The claim's fence.
    pub fence: i64,
}

impl Operation for Pulse {
    const NAME: &'static str = "runs.pulse";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    type Output = Asked;

    async fn execute(self, context: &mut Context) -> Result<Asked> {
        let now = context.now();
        let fenced = context.fenced();
        let tx = context.tx()?;
        if fenced && !lifecycle::is_held(tx, self.run_id, self.fence).await? {
            return Err(super::execute::lost());
        }
        super::control::acknowledge(tx, self.run_id, now).await
    }
}

/// How far a run is, as its targets say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HowFar {
    /// Targets.
    pub total: u64,
    /// Targets not done.
    pub pending: u64,
    /// Targets failed.
    pub failed: u64,
}

/// Brings the counts that screens show up to date.
#[derive(Debug, Clone, Copy)]
pub struct Refresh {
    /// Run.
    pub run_id: i64,
    /// The claim's fence.
    pub fence: i64,
}

impl Operation for Refresh {
    const NAME: &'static str = "runs.refresh";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    type Output = HowFar;

    async fn execute(self, context: &mut Context) -> Result<HowFar> {
        let now = context.now();
        let derived = context.mutant() != Some(Mutant::IncrementedCounters);
        let fenced = context.fenced();
        let tx = context.tx()?;
        let run = if fenced {
            held(tx, self.run_id, self.fence).await?
        } else {
            lifecycle::hold(tx, self.run_id).await?.ok_or_else(super::execute::lost)?
        };
        let tally = targets::tally(tx, self.run_id).await?;
        let counts = super::shares::counts_of(&tally).to_json();
        if derived && counts != run.summary_counts.0 {
            lifecycle::set_counts(tx, self.run_id, self.fence, &counts, now).await?;
        }
        super::control::show_cancel(tx, self.run_id).await?;
        let n = |count: i64| u64::try_from(count).unwrap_or(0);
        Ok(HowFar { total: n(tally.total), pending: n(tally.pending), failed: n(tally.failed) })
    }
}

/// Reads how the first targets of a run are doing: how many are pending, how many failed.
#[derive(Debug, Clone, Copy)]
pub struct Canary {
    /// Run.
    pub run_id: i64,
    /// So many targets are the canary.
    pub first: i64,
}

impl Operation for Canary {
    const NAME: &'static str = "runs.canary";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Read;
    type Output = (i64, i64);

    async fn execute(self, context: &mut Context) -> Result<(i64, i64)> {
        targets::canary(context.tx()?, self.run_id, self.first).await
    }
}
