//! Executing a run: claim, report, complete. Every step repeats run, fence and status, so a
//! worker that lost its lease writes nothing.

use std::time::Duration;

use super::finish::{End, conclude, write_end};
use super::shares::{counts_of, outcome_of};
use crate::access::Requirement;
use crate::domain::failure::ReasonCode;
use crate::domain::rollout::StopReason;
use crate::domain::run::RunOutcome;
use crate::domain::run_end::RunEnd;
use crate::domain::sanitize;
use crate::domain::summary_counts::{CountKey, SummaryCounts};
use crate::ops::store::lifecycle::{self, Claim, Claimed, Claims, Held};
use crate::ops::store::{schema, target_ends, targets};
use crate::ops::{Access, Context, Operation};
use crate::{Error, Result};

/// The largest count: what every engine and every reader of JSON keeps exactly.
const MAX_COUNT: u64 = 1 << 53;
/// The shortest lease: three heartbeats of a tenth of a second.
const MIN_LEASE: Duration = Duration::from_millis(300);
/// So many takeovers without progress, and the next claim closes the run as `worker_lost`.
/// More than the starts of a target, so that a target that kills its workers is failed alone
/// before the whole run is.
pub const TAKEOVER_LIMIT: i64 = 5;
/// The counts that say how a run's targets ended: the first of [`CountKey`].
const SHARES: usize = 5;

/// Claims the oldest run that nobody holds.
#[derive(Debug, Clone)]
pub struct ClaimRun {
    /// The claiming process: a fresh id per process.
    pub owner: String,
    /// Only runs of these types; empty: of any.
    pub types: Vec<String>,
    /// How long the claim lasts without a heartbeat.
    pub lease: Duration,
}

impl ClaimRun {
    pub(in crate::ops) fn sample() -> Self {
        Self { owner: "nobody".to_owned(), types: vec!["none.such".to_owned()], lease: MIN_LEASE }
    }
}

impl Operation for ClaimRun {
    const NAME: &'static str = "runs.claim";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    type Output = Option<Claimed>;

    async fn execute(self, context: &mut Context) -> Result<Option<Claimed>> {
        loop {
            let mut claims = self.claim(context, &[]).await?;
            let Some(claimed) = claims.claimed.take() else {
                return claims.refused.pop().map_or(Ok(None), |(_, error)| Err(error));
            };
            if claimed.takeovers <= TAKEOVER_LIMIT {
                return Ok(Some(claimed));
            }
            // Nobody gets on with it: one more worker would only be the next to be lost.
            let run = held(context.tx()?, claimed.id, claimed.fence).await?;
            tracing::error!(run_id = claimed.id, "closing a run whose workers keep disappearing");
            conclude(context, &run, Some(StopReason::WorkerLost)).await?;
        }
    }
}

impl ClaimRun {
    async fn claim(&self, context: &mut Context, except: &[i64]) -> Result<Claims> {
        if self.lease < MIN_LEASE || self.owner.is_empty() {
            return Err(Error::usage(format!(
                "a claim needs an owner and a lease of at least {} ms",
                MIN_LEASE.as_millis()
            )));
        }
        let claim = Claim {
            owner: &self.owner,
            types: &self.types,
            lease_seconds: self.lease.as_secs_f64(),
            now: context.now(),
        };
        let tx = context.tx()?;
        let claims = lifecycle::claim(tx, claim, except).await?;
        if let Some(claimed) = &claims.claimed
            && claimed.fence > 1
        {
            targets::none_in_flight(tx, claimed.id).await?;
        }
        Ok(claims)
    }
}

/// Claims the next run for a worker: none that it has put off, none while the schema is newer than
/// its program. A run whose workers keep disappearing is claimed as well, to be closed in a
/// transaction of its own.
#[derive(Debug, Clone)]
pub struct ClaimNext {
    /// The claim.
    pub claim: ClaimRun,
    /// Runs to leave alone.
    pub except: Vec<i64>,
}

impl ClaimNext {
    pub(in crate::ops) fn sample() -> Self {
        Self { claim: ClaimRun::sample(), except: Vec::new() }
    }
}

impl Operation for ClaimNext {
    const NAME: &'static str = "runs.claim_next";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    type Output = Claims;

    async fn execute(self, context: &mut Context) -> Result<Claims> {
        let program = schema::program_version(context.db());
        schema::refuse_newer(context.tx()?, program).await?;
        self.claim.claim(context, &self.except).await
    }
}

/// Extends a lease that is still held; false if it was lost.
#[derive(Debug, Clone)]
pub struct ExtendLease {
    /// Run.
    pub run_id: i64,
    /// Who holds it.
    pub owner: String,
    /// From now on, for this long.
    pub lease: Duration,
}

impl Operation for ExtendLease {
    const NAME: &'static str = "runs.extend_lease";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    type Output = bool;

    async fn execute(self, context: &mut Context) -> Result<bool> {
        let seconds = self.lease.as_secs_f64();
        lifecycle::heartbeat(context.tx()?, self.run_id, &self.owner, seconds).await
    }
}

/// Reports counts of a run that is still running under `fence`.
#[derive(Debug, Clone)]
pub struct ReportProgress {
    /// Run.
    pub run_id: i64,
    /// The claim's fence.
    pub fence: i64,
    /// Counts so far.
    pub counts: SummaryCounts,
}

impl Operation for ReportProgress {
    const NAME: &'static str = "runs.report_progress";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    type Output = ();

    async fn execute(self, context: &mut Context) -> Result<()> {
        check_counts(&self.counts)?;
        let now = context.now();
        let counts = self.counts.to_json();
        let tx = context.tx()?;
        if lifecycle::set_counts(tx, self.run_id, self.fence, &counts, now).await? {
            target_ends::report(tx, self.run_id, items_of(&self.counts)).await?;
            // What an executor reports is a sign of progress; there are no steps to tell it.
            lifecycle::note_progress(tx, self.run_id).await
        } else {
            Err(lost())
        }
    }
}

/// Records one failure of a run that is still running under `fence`.
#[derive(Debug, Clone)]
pub struct RecordFailure {
    /// Run.
    pub run_id: i64,
    /// The claim's fence.
    pub fence: i64,
    /// The tenant it happened at.
    pub tenant_id: Option<i64>,
    /// Why, as a stable code.
    pub reason: ReasonCode,
    /// What was said; sanitised before it is stored.
    pub message: String,
}

impl RecordFailure {
    pub(in crate::ops) fn sample() -> Self {
        Self {
            run_id: 0,
            fence: 0,
            tenant_id: None,
            reason: ReasonCode::UnexpectedError,
            message: String::new(),
        }
    }
}

impl Operation for RecordFailure {
    const NAME: &'static str = "runs.record_failure";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    type Output = ();

    async fn execute(self, context: &mut Context) -> Result<()> {
        let now = context.now();
        let tx = context.tx()?;
        held(tx, self.run_id, self.fence).await?;
        let message = sanitize::message(&self.message);
        lifecycle::insert_failure(
            tx,
            self.run_id,
            self.tenant_id,
            self.reason.as_str(),
            &message,
            now,
        )
        .await?;
        Ok(())
    }
}

/// Completes a run: exact counts, outcome, notification, alert and audit in one transaction.
#[derive(Debug, Clone)]
pub struct CompleteRun {
    /// Run.
    pub run_id: i64,
    /// The claim's fence.
    pub fence: i64,
    /// Why nothing was attempted, if nothing was.
    pub blocked: Option<ReasonCode>,
}

impl Operation for CompleteRun {
    const NAME: &'static str = "runs.complete";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    type Output = RunOutcome;

    async fn execute(self, context: &mut Context) -> Result<RunOutcome> {
        let now = context.now();
        let tx = context.tx()?;
        let run = held(tx, self.run_id, self.fence).await?;
        let mut counts = SummaryCounts::from_json(&run.summary_counts.0)?;
        let asked = super::control::acknowledge(tx, self.run_id, now).await?;
        let cancelled = asked.cancel || run.cancel_requested_at.is_some();
        let outcome = settle(&mut counts, self.blocked.is_some(), cancelled);
        let reason = match self.blocked {
            Some(code) => Some(code.as_str().to_owned()),
            None => lifecycle::dominant_reason(tx, self.run_id).await?,
        };
        let bad = matches!(outcome, RunOutcome::Failed | RunOutcome::PartiallySucceeded);
        let reason = match (bad, reason) {
            (true, None) => Some(ReasonCode::UnexpectedError.as_str().to_owned()),
            (_, reason) => reason,
        };
        let mut outcome = outcome;
        let mut status = match outcome {
            RunOutcome::Failed | RunOutcome::PartiallySucceeded => "failed",
            RunOutcome::Blocked | RunOutcome::Cancelled => "skipped",
            _ => "succeeded",
        };
        target_ends::report(tx, self.run_id, items_of(&counts)).await?;
        let several = targets::tally(tx, self.run_id).await?.total > 1;
        // Of several targets, those with failures failed; the others did not.
        let named = if several { target_ends::fail_named(tx, self.run_id, now).await? } else { 0 };
        if named > 0 && status == "failed" {
            status = "succeeded";
        }
        let own = if status == "failed" { reason.as_deref() } else { None };
        let left = target_ends::settle(tx, self.run_id, status, own, now).await?;
        if several {
            let tally = targets::tally(tx, self.run_id).await?;
            for (key, n) in counts_of(&tally).iter().take(SHARES) {
                counts.set(key, n);
            }
            if status != "skipped" {
                outcome = outcome_of(&tally, None, left);
            }
        }
        let stop = match outcome {
            RunOutcome::Blocked => Some(StopReason::Blocked),
            RunOutcome::Cancelled => Some(StopReason::Cancelled),
            _ => None,
        };
        write_end(context, &run, End { outcome, counts, stop, reason }).await
    }
}

/// Items in all, done and failed, as counts tell them of a run with one target.
fn items_of(counts: &SummaryCounts) -> [i64; 3] {
    let get = |key| counts.get(key).unwrap_or(0);
    let (failed, skipped) = (get(CountKey::Failed), get(CountKey::Skipped));
    let done = get(CountKey::Succeeded).saturating_add(failed);
    let total = get(CountKey::Total).max(done.saturating_add(skipped));
    [total, done, failed].map(|n| i64::try_from(n).unwrap_or(i64::MAX))
}

/// The run, locked, if it is still running under `fence`.
pub(super) async fn held(tx: &mut crate::ops::store::Tx, run_id: i64, fence: i64) -> Result<Held> {
    let run = lifecycle::hold(tx, run_id)
        .await?
        .ok_or_else(|| Error::not_found(format!("run {run_id}")))?;
    if run.status != "running" || run.fence != fence {
        return Err(lost());
    }
    Ok(run)
}

pub(super) fn lost() -> Error {
    Error::new(
        crate::ErrorKind::Lost,
        "the run is no longer held under this claim; nothing was written",
    )
}

/// Makes counts add up at the end, and says how the run ended.
pub(super) fn settle(counts: &mut SummaryCounts, blocked: bool, cancelled: bool) -> RunOutcome {
    let get = |counts: &SummaryCounts, key| counts.get(key).unwrap_or(0);
    let succeeded = get(counts, CountKey::Succeeded);
    let failed = get(counts, CountKey::Failed);
    let skipped = get(counts, CountKey::Skipped);
    let known = succeeded.saturating_add(failed).saturating_add(skipped);
    let total = get(counts, CountKey::Total).max(known);
    let undone = total - known;
    let stopped = blocked || (cancelled && undone > 0);
    // What is not accounted for at the end was done, or was left when it was stopped.
    if undone > 0 {
        let (key, n) =
            if stopped { (CountKey::Skipped, skipped) } else { (CountKey::Succeeded, succeeded) };
        counts.set(key, n + undone);
    }
    counts.set(CountKey::Total, total);
    counts.set(CountKey::Processed, total);
    RunEnd {
        blocked,
        cancelled: cancelled && undone > 0,
        some_failed: failed > 0,
        some_succeeded: get(counts, CountKey::Succeeded) > 0,
    }
    .outcome()
}

fn check_counts(counts: &SummaryCounts) -> Result<()> {
    let get = |key| counts.get(key).unwrap_or(0);
    let parts = get(CountKey::Succeeded)
        .saturating_add(get(CountKey::Failed))
        .saturating_add(get(CountKey::Skipped));
    if counts.iter().any(|(_, n)| n > MAX_COUNT) {
        return Err(Error::usage(format!("a count is larger than {MAX_COUNT}")));
    }
    let processed = get(CountKey::Processed);
    if counts.get(CountKey::Total).is_some_and(|total| processed > total || parts > total) {
        return Err(Error::usage("the counts go above their total"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(total: u64, succeeded: u64, failed: u64) -> SummaryCounts {
        SummaryCounts::default()
            .with(CountKey::Total, total)
            .with(CountKey::Succeeded, succeeded)
            .with(CountKey::Failed, failed)
    }

    #[test]
    fn outcomes_follow_the_rule_and_counts_add_up() {
        let cases = [
            (counts(0, 0, 0), false, false, RunOutcome::Succeeded),
            (counts(4, 4, 0), false, false, RunOutcome::Succeeded),
            (counts(4, 0, 4), false, false, RunOutcome::Failed),
            (counts(4, 1, 3), false, false, RunOutcome::PartiallySucceeded),
            (counts(4, 1, 1), false, true, RunOutcome::Cancelled),
            (counts(4, 4, 0), false, true, RunOutcome::Succeeded),
            (counts(4, 0, 0), true, false, RunOutcome::Blocked),
        ];
        for (mut given, blocked, cancelled, expected) in cases {
            assert_eq!(settle(&mut given, blocked, cancelled), expected, "{given:?}");
            let get = |key| given.get(key).unwrap_or(0);
            assert_eq!(
                get(CountKey::Succeeded) + get(CountKey::Failed) + get(CountKey::Skipped),
                get(CountKey::Total)
            );
        }
    }
}
