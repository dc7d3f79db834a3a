//! Acting on a group of failures: trying again what failed in the runs of one fingerprint.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::fingerprints;
use crate::access::{Requirement, ViewScope};
use crate::domain::capability::Capability;
use crate::domain::confirmation::{Action, Confirmation, RETRY};
use crate::domain::count::count;
use crate::domain::run::{RunStatus, Source};
use crate::domain::run_facts::{Basis, Busy, Left, NoRetry, RetriedAs, Retry, RunFacts};
use crate::domain::window::{Span, Window};
use crate::ops::dashboard::window_of;
use crate::ops::runs::{RetryRun, Started, active_workers, missing, retry_confirmation};
use crate::ops::store::{fingerprints as rows, retries, run_read};
use crate::ops::{About, Access, AuditStatus, Consent, Context, Operation, break_glass, refusal};
use crate::{Error, Result};

/// How many runs one call tries again at most.
pub const MAX_RUNS: usize = 50;
/// Why a run is left out that can be retried by itself.
const SUPERSEDED: &str = "a newer run like it was started; retry it alone";
/// How many runs of a group are looked at.
const LOOKED_AT: i64 = 1_000;
const MANAGE: Requirement = Requirement::All(&[Capability::OpsView, Capability::OpsManage]);

/// Looks which runs of a group can be tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanGroupRetry {
    /// The fingerprint.
    pub fingerprint: String,
    /// How far back; what the person chose last where absent.
    pub window: Option<Window>,
    /// Whether new runs may wait where no active worker supports their type.
    pub wait_for_worker: bool,
}

/// What trying a group again would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupRetryPlan {
    /// The fingerprint.
    pub fingerprint: String,
    /// The runs that would be tried again, newest first, at most 50.
    pub runs: Vec<Planned>,
    /// How many targets they have in all.
    pub targets: usize,
    /// How many of their failed and skipped targets are left out: their tenants are archived by now.
    pub left_out_count: usize,
    /// What confirms it.
    #[serde(flatten)]
    pub confirmation: Confirmation,
    /// The runs of the group that would not be, and why.
    pub skipped: Vec<Skipped>,
    /// How many more could be tried again after these.
    pub left: usize,
    /// How many of the skipped ones could be tried again if they may wait for a worker.
    pub waiting: usize,
}

/// A run that would be tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// The run.
    pub run_id: i64,
    /// Its type.
    #[serde(rename = "type")]
    pub run_type: String,
    /// How many of its targets failed or never ran, for whatever reason.
    pub targets: usize,
    /// What confirms its retry alone.
    #[serde(skip)]
    pub confirmation: Confirmation,
}

/// A run that is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The run.
    pub run_id: i64,
    /// Why, in words.
    pub why: String,
    /// Its retry, where that is why.
    pub retried_as: Option<RetriedAs>,
    /// The capability that the actor lacks, where that is why.
    #[serde(skip)]
    pub missing: Option<Capability>,
}

impl GroupRetryPlan {
    /// Why runs are left out, most runs first: how many, why, and the newest of them.
    pub fn reasons(&self) -> Vec<(usize, &str, i64)> {
        let mut reasons: BTreeMap<&str, (usize, &Skipped)> = BTreeMap::new();
        for one in &self.skipped {
            // Each of those that were retried has a retry of its own.
            let kind = if one.retried_as.is_some() { "" } else { one.why.as_str() };
            let (runs, newest) = reasons.entry(kind).or_insert((0, one));
            *runs += 1;
            if one.run_id > newest.run_id {
                *newest = one;
            }
        }
        let mut list: Vec<_> =
            reasons.into_values().map(|(runs, one)| (runs, one.why.as_str(), one.run_id)).collect();
        list.sort_by_key(|(runs, ..)| std::cmp::Reverse(*runs));
        list
    }

    /// The same in words.
    pub fn left_out(&self) -> impl Iterator<Item = String> {
        self.reasons().into_iter().map(|(runs, why, id)| match runs {
            1 => format!("left out: run {id}: {why}"),
            _ => format!("left out: {}, such as {id}: {why}", count(runs, "run")),
        })
    }

    /// The runs that are left out since the actor lacks a capability.
    pub fn denied(&self) -> Vec<i64> {
        self.skipped.iter().filter(|one| one.missing.is_some()).map(|one| one.run_id).collect()
    }
}

impl PlanGroupRetry {
    pub(in crate::ops) fn sample() -> Self {
        let fingerprint = "000000000000".to_owned();
        Self { fingerprint, window: None, wait_for_worker: false }
    }
}

impl Operation for PlanGroupRetry {
    const NAME: &'static str = "overview.plan_group_retry";
    const REQUIREMENT: Requirement = MANAGE;
    const ACCESS: Access = Access::Read;
    type Output = GroupRetryPlan;

    async fn execute(self, context: &mut Context) -> Result<GroupRetryPlan> {
        let window = window_of(context, self.window);
        let [span, _] = window.of_runs(context.now());
        let view = context.permit().scope();
        // Also for its answer where there is no such group.
        fingerprints::one(context.tx()?, view, span, &self.fingerprint, window.label()).await?;
        plan(context, &self.fingerprint, span, None, self.wait_for_worker).await
    }
}

/// Sorts the runs of a group: what can be tried again, and what not, and why. `only` these runs
/// where given.
async fn plan(
    context: &mut Context,
    fingerprint: &str,
    span: Span,
    only: Option<&[i64]>,
    wait_for_worker: bool,
) -> Result<GroupRetryPlan> {
    let view = context.permit().scope();
    let (mut runs, mut skipped) = (Vec::new(), Vec::new());
    let (mut left, mut waiting, mut left_out_count) = (0, 0, 0);
    let touched = rows::touched(context.tx()?, view, span, fingerprint, LOOKED_AT).await?;
    let active = active_workers(context.tx()?).await?;
    let registry = context.settings().registry.clone();
    for row in touched {
        if only.is_some_and(|only| !only.contains(&row.run_id)) {
            continue;
        }
        let run_id = row.run_id;
        let retried_as = row.retried.as_deref().and_then(retries::as_stored);
        let mut skip = |why: String, missing: Option<Capability>| {
            skipped.push(Skipped { run_id, why, retried_as, missing });
        };
        if row.status != RunStatus::Completed.as_str() {
            skip("it has not ended yet".to_owned(), None);
            continue;
        }
        let undone = match retried_as {
            Some(_) => Left::default(),
            None => run_read::left(context.tx()?, run_id).await?,
        };
        let basis = Basis {
            support: active.support(&row.run_type),
            left: undone,
            retried_as,
            busy: row.busy_with.map(|run| Busy::as_stored(run).seen(view == ViewScope::All)),
            missing: missing(context.permit(), &registry, &row.run_type),
            may_manage: true,
            outage: None,
        };
        let targets = match RunFacts::ended(run_id, &row.run_type, basis).retry() {
            // So since it was confirmed: its own retry says so, and stops no other.
            Retry::Impossible(NoRetry::Archived | NoRetry::Busy(_)) if only.is_some() => 1,
            Retry::Impossible(why) => {
                let missing = match why {
                    NoRetry::Missing(capability) => Some(capability),
                    _ => None,
                };
                skip(why.text(&row.run_type), missing);
                continue;
            }
            _ if row.superseded => {
                skip(SUPERSEDED.to_owned(), None);
                continue;
            }
            Retry::NeedsWorker { .. } if !wait_for_worker => {
                waiting += 1;
                skip(basis.support.obstacle(&row.run_type).unwrap_or_default(), None);
                continue;
            }
            _ if runs.len() == MAX_RUNS => {
                left += 1;
                continue;
            }
            Retry::Possible { targets } | Retry::NeedsWorker { targets } => {
                usize::try_from(targets).unwrap_or(usize::MAX)
            }
        };
        let undone = run_read::retryable(context.tx()?, run_id).await?.total;
        let about = (run_id, row.run_type.as_str(), row.scope_kind.parse()?);
        let confirmation = retry_confirmation(context, about, targets).await?;
        if confirmation.declarable {
            left_out_count += usize::try_from(undone).unwrap_or(0).saturating_sub(targets);
            runs.push(Planned { run_id, run_type: row.run_type, targets, confirmation });
        } else {
            skip("it needs its own phrase; retry it alone".to_owned(), None);
        }
    }
    let targets = runs.iter().map(|run: &Planned| run.targets).sum();
    let confirmation = if let [one] = runs.as_slice() {
        one.confirmation.clone()
    } else {
        let glass = context.permit().break_glass().is_some();
        let action = Action::Tenants { word: RETRY, count: targets, odd: &[] };
        Confirmation::of(&action)?.requiring_reason(glass)
    };
    let fingerprint = fingerprint.to_owned();
    Ok(GroupRetryPlan {
        fingerprint,
        runs,
        targets,
        left_out_count,
        confirmation,
        skipped,
        left,
        waiting,
    })
}

/// Tries the runs of a group again: each is a retry of its own, with its own audit row. What one
/// refuses does not hold up the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryGroup {
    /// The fingerprint.
    pub fingerprint: String,
    /// The runs, as the plan named them.
    pub run_ids: Vec<i64>,
    /// What confirms it, and why.
    pub consent: Consent,
    /// Where the start comes from.
    pub source: Source,
    /// Whether new runs may wait where no active worker supports their type.
    pub wait_for_worker: bool,
}

/// What came of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GroupRetried {
    /// The runs that were started, with the run that each tries again.
    pub started: Vec<(i64, i64)>,
    /// Runs that were not tried again, and why.
    pub refused: Vec<Skipped>,
    /// Runs that may or may not be tried again: the answer of the database was lost.
    pub unknown: Vec<i64>,
}

impl RetryGroup {
    pub(in crate::ops) fn sample() -> Self {
        let fingerprint = "000000000000".to_owned();
        Self {
            fingerprint,
            run_ids: Vec::new(),
            consent: Consent::default(),
            source: Source::Cli,
            wait_for_worker: false,
        }
    }

    /// Holds the call against the runs as they are now, and audits it.
    async fn check(&self, context: &mut Context) -> Result<GroupRetryPlan> {
        context.begin_checked(&Self::REQUIREMENT, !self.consent.dry_run).await?;
        let now = context.now();
        let [span, _] = Window::Month.of_runs(now);
        let span = Span { until: now + chrono::TimeDelta::microseconds(1), ..span };
        let only = Some(self.run_ids.as_slice());
        let plan = plan(context, &self.fingerprint, span, only, self.wait_for_worker).await?;
        let checked = match plan.skipped.first() {
            Some(Skipped { missing: Some(capability), .. }) => Err(Error::forbidden(*capability)),
            Some(one) => Err(Error::refused(format!("run {}: {}", one.run_id, one.why))
                .hint("look at the error again, and confirm what is left")),
            None if self.run_ids.is_empty() || plan.runs.len() != self.run_ids.len() => {
                Err(Error::not_found("some of the runs of this error")
                    .hint("look at the error again, and confirm what is left"))
            }
            None => break_glass::require_reason(context.permit(), &self.consent)
                .and_then(|()| self.consent.allow(context, &plan.confirmation).map(drop)),
        };
        if self.consent.dry_run && checked.is_ok()
            || checked.as_ref().is_err_and(|error| self.consent.only_asks(error))
        {
            context.end(false).await?;
            return checked.map(|()| plan);
        }
        if self.consent.dry_run {
            // It only read; that it is refused is written down.
            context.end(false).await?;
            context.begin_checked(&Self::REQUIREMENT, true).await?;
        }
        let status = match &checked {
            Ok(()) => AuditStatus::Succeeded,
            Err(error) => refusal::status(context, error),
        };
        let mut row = context.audit_row(Self::NAME, status);
        row.metadata = json!({
            "source": self.source.as_str(),
            "runs": plan.runs.iter().map(|run| run.run_id).collect::<Vec<_>>(),
            "targets": plan.targets,
        });
        self.about().mark(&mut row);
        self.consent.mark(&mut row.metadata);
        if let (Err(error), Some(facts)) = (&checked, row.metadata.as_object_mut()) {
            facts.insert("answer".to_owned(), json!(error.message()));
        }
        context.audit(&row).await?;
        context.end_refused(true).await?;
        checked.map(|()| plan)
    }

    /// Tries one run again, in a transaction of its own.
    async fn retry(&self, context: &mut Context, run: &Planned) -> Result<Started> {
        context.begin_checked(&Self::REQUIREMENT, true).await?;
        let retry = RetryRun {
            run_id: run.run_id,
            consent: Consent::typed(run.confirmation.phrase.clone())
                .because(self.consent.reason.clone()),
            source: self.source,
            request_id: None,
            wait_for_worker: self.wait_for_worker,
        };
        match retry.execute(context).await {
            Ok(retried) => {
                context.end(true).await?;
                Ok(retried.started)
            }
            Err(error) => {
                // A refusal has left its audit row.
                context.end_refused(error.is_refusal()).await?;
                Err(error)
            }
        }
    }
}

impl Operation for RetryGroup {
    const NAME: &'static str = "overview.retry_group";
    const REQUIREMENT: Requirement = MANAGE;
    const ACCESS: Access = Access::Stepwise;
    type Output = GroupRetried;

    fn about(&self) -> About {
        About::of("failure_fingerprint", &self.fingerprint).with(&self.consent)
    }

    async fn execute(self, context: &mut Context) -> Result<GroupRetried> {
        let plan = self.check(context).await?;
        let mut done = GroupRetried::default();
        if self.consent.dry_run {
            return Ok(done);
        }
        let mut broken = None;
        for run in plan.runs {
            let run_id = run.run_id;
            if let Some(why) = &broken {
                done.refused.push(Skipped {
                    run_id,
                    why: String::clone(why),
                    retried_as: None,
                    missing: None,
                });
                continue;
            }
            let why = match self.retry(context, &run).await {
                Ok(started) if started.created => {
                    done.started.push((run_id, started.run_id));
                    continue;
                }
                Ok(started) => format!("run {} is already at it", started.run_id),
                Err(error) if error.is_refusal() => error.message().to_owned(),
                Err(error) if done.started.is_empty() => return Err(error),
                // What was started is told in any case, and the others are not waited for.
                Err(error) => {
                    broken = Some(error.message().to_owned());
                    if error.is_uncertain() {
                        done.unknown.push(run_id);
                        continue;
                    }
                    error.message().to_owned()
                }
            };
            done.refused.push(Skipped { run_id, why, retried_as: None, missing: None });
        }
        Ok(done)
    }
}
