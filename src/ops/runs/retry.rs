//! Trying again: a new run over only those targets of an ended one that failed or never ran.

use serde_json::json;

use super::basis::{complete, require_support};
use super::control::visible;
use super::start::{self, Entry, NewStart, RunScope, Started, create, freeze};
use crate::access::Requirement;
use crate::domain::capability::Capability;
use crate::domain::confirmation::{Action, Confirmation, RETRY, ReasonRule};
use crate::domain::rollout::Rollout;
use crate::domain::run::{Run, RunStatus, ScopeKind, Source};
use crate::domain::run_facts::{NoRetry, Retry, RunFacts};
use crate::ops::store::{run_read, run_write};
use crate::ops::{About, Access, AuditStatus, Consent, Context, Operation, break_glass};
use crate::{Error, Result};

/// Starts a new run over the targets of an ended one that failed or were skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryRun {
    /// The ended run.
    pub run_id: i64,
    /// What confirms it, and why.
    pub consent: Consent,
    /// Where the start comes from.
    pub source: Source,
    /// Idempotency key.
    pub request_id: Option<String>,
    /// Whether the new run may wait where no active worker supports the type.
    pub wait_for_worker: bool,
}

/// What a retry would do, and what it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retried {
    /// The new run, or the active one like it.
    pub started: Started,
    /// How many targets it has.
    pub targets: usize,
    /// How many of the first run's failed or skipped targets are left out: their tenants are
    /// archived by now.
    pub gone: usize,
    /// What confirms it.
    pub confirmation: Confirmation,
}

impl RetryRun {
    pub(in crate::ops) fn sample() -> Self {
        Self {
            run_id: 0,
            consent: Consent::default(),
            source: Source::Cli,
            request_id: None,
            wait_for_worker: false,
        }
    }
}

/// What confirms a retry of `targets` of a run, given by id, type and scope.
pub(in crate::ops) async fn retry_confirmation(
    context: &mut Context,
    (run_id, run_type, scope): (i64, &str, ScopeKind),
    targets: usize,
) -> Result<Confirmation> {
    let exact;
    let action = if scope == ScopeKind::Platform {
        let runbook = context.settings().registry.get(run_type).ok().cloned();
        let word = runbook.as_ref().map_or(RETRY, |runbook| runbook.word());
        exact = match runbook {
            Some(runbook) => {
                let facts = run_read::context(context.tx()?, run_id).await?;
                let inputs = facts.get("inputs").cloned().unwrap_or_else(|| json!({}));
                runbook.exact_phrase(context, &inputs).await?
            }
            None => None,
        };
        Action::Platform { word, exact: exact.as_deref() }
    } else {
        Action::Tenants { word: RETRY, count: targets, odd: &[] }
    };
    let glass = context.permit().break_glass().is_some();
    Ok(Confirmation::of(&action)?.requiring_reason(glass))
}

impl Operation for RetryRun {
    const NAME: &'static str = "runs.retry";
    const REQUIREMENT: Requirement =
        Requirement::All(&[Capability::OpsView, Capability::OpsManage]);
    const ACCESS: Access = Access::Write;
    type Output = Retried;

    fn about(&self) -> About {
        About::run(self.run_id).with(&self.consent)
    }

    async fn execute(self, context: &mut Context) -> Result<Retried> {
        let mut row = self.consent.begin(context, Self::NAME, &self.about()).await?;
        row.metadata["source"] = json!(self.source.as_str());
        let attempt = self.attempt(context).await;
        self.consent.end(context, row, attempt).await
    }
}

impl RetryRun {
    async fn attempt(&self, context: &mut Context) -> Result<Retried> {
        const NAME: &str = RetryRun::NAME;
        let first = look(context, self.run_id).await?;
        if let Ok(runbook) = context.settings().registry.get(&first.run_type).cloned() {
            context.require(Capability::RunbooksRun, NAME).await?;
            context.require(runbook.capability(), NAME).await?;
        }
        if let Some(made) = self.made_before(context).await? {
            return already(context, &first, made).await;
        }
        let facts = RunFacts::of(&first, context.now());
        match (facts.retry(), facts.no_retry()) {
            // The start of an active run again is that run.
            (Retry::Impossible(NoRetry::Retried(retried)), _) if retried.state.is_active() => {
                return already(context, &first, retried.run_id).await;
            }
            (_, Some(why)) => return Err(Error::refused(why).hint(facts.no_retry_hint())),
            (_, None) => {}
        }
        require_support(context, &first.run_type, self.wait_for_worker).await?;
        let view = context.permit().scope();
        let tx = context.tx()?;
        let left = run_read::retryable(tx, first.id).await?;
        let scope = match (first.scope, first.tenant_id) {
            (ScopeKind::Tenant, Some(tenant)) => RunScope::Tenant(tenant),
            (ScopeKind::Platform, _) => RunScope::Platform,
            _ => RunScope::Tenants(left.tenants.clone()),
        };
        let frozen = if self.consent.dry_run {
            start::look(tx, &scope, view).await?
        } else {
            freeze(tx, &scope, None, view).await?
        };
        let targets = frozen.targets.len();
        let old = run_read::context(context.tx()?, first.id).await?;
        let rollout = run_read::rollout(context.tx()?, first.id).await?;
        let inputs = old.get("inputs").cloned().unwrap_or_else(|| json!({}));
        let mut facts = json!({ "inputs": inputs });
        // A retry on one target may go on with the reason of the run that it retries.
        let recorded = old.get("reason").filter(|_| targets <= 1);
        let about = (first.id, first.run_type.as_str(), first.scope);
        let mut confirmation = retry_confirmation(context, about, targets).await?;
        if let Some(reason) = recorded {
            facts["reason"] = reason.clone();
            confirmation.reason = ReasonRule::Optional;
        } else if self.consent.reason.is_none() && context.permit().break_glass().is_some() {
            let why = match old.get("reason") {
                Some(_) => String::new(),
                None => format!("run {} recorded none", first.id),
            };
            return Err(break_glass::missing_reason(&why).hint("give --reason-code and --reason"));
        }
        if let Some(reason) = self.consent.allow(context, &confirmation)? {
            facts["reason"] = json!(reason);
        }
        let start = NewStart {
            run_type: &first.run_type,
            inputs: &inputs,
            facts,
            entry: &Entry::ReuseByInputs,
            source: self.source,
            request_id: self.request_id.as_deref(),
            rollout: serde_json::from_value::<Rollout>(rollout).unwrap_or_default(),
            retry_of: Some(first.id),
            plan_id: None,
            customer: None,
        };
        let started = create(context, &frozen, &start).await?;
        if started.created {
            let mut row = context.audit_row(NAME, AuditStatus::Succeeded);
            row.run_id = Some(started.run_id);
            row.tenant_id = frozen.tenant_id;
            row.workspace_id = frozen.workspace_id;
            row.target_type = Some("operation_run");
            row.target_id = Some(first.id.to_string());
            row.metadata =
                json!({ "type": first.run_type, "retry_of": first.id, "targets": targets });
            self.consent.mark(&mut row.metadata);
            context.audit(&row).await?;
        }
        let gone = left_out(left.total, targets);
        Ok(Retried { started, targets, gone, confirmation })
    }

    /// The run that the same request made before.
    async fn made_before(&self, context: &mut Context) -> Result<Option<i64>> {
        let Some(request_id) = &self.request_id else { return Ok(None) };
        let holder = context.permit().holder().map(|holder| holder.platform_user_id);
        let made = run_write::by_request_id(context.tx()?, request_id).await?;
        let made = made.filter(|made| {
            made.retry_of_run_id == Some(self.run_id) && made.platform_user_id == holder
        });
        Ok(made.map(|made| made.id))
    }
}

/// The answer where the retry of `first` is there already, as `run_id`.
async fn already(context: &mut Context, first: &Run, run_id: i64) -> Result<Retried> {
    let run = visible(context, run_id).await?;
    let targets = usize::try_from(run.target_count).unwrap_or(0);
    let left = run_read::retryable(context.tx()?, first.id).await?;
    let about = (first.id, first.run_type.as_str(), first.scope);
    let confirmation = retry_confirmation(context, about, targets).await?;
    let started = Started { run_id, created: false };
    Ok(Retried { started, targets, gone: left_out(left.total, targets), confirmation })
}

fn left_out(left: i64, targets: usize) -> usize {
    usize::try_from(left).unwrap_or(targets).saturating_sub(targets)
}

/// Looks what a retry of a run would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanRetry {
    /// The ended run.
    pub run_id: i64,
}

/// What a retry of a run would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPlan {
    /// Whether it is possible, and how many targets it would cover.
    pub retry: Retry,
    /// Why the new run would wait for a worker; none where one supports the type.
    pub obstacle: Option<String>,
    /// Why it is not possible, in words; none where it is.
    pub refusal: Option<String>,
    /// What confirms it.
    pub confirmation: Confirmation,
}

impl RetryPlan {
    /// How many targets would be retried.
    pub fn targets(&self) -> usize {
        self.retry.targets().and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
    }
}

impl Operation for PlanRetry {
    const NAME: &'static str = "runs.plan_retry";
    const REQUIREMENT: Requirement =
        Requirement::All(&[Capability::OpsView, Capability::OpsManage]);
    const ACCESS: Access = Access::Read;
    type Output = RetryPlan;

    async fn execute(self, context: &mut Context) -> Result<RetryPlan> {
        let first = look(context, self.run_id).await?;
        let facts = RunFacts::of(&first, context.now());
        let (retry, refusal) = (facts.retry(), facts.no_retry());
        let targets = retry.targets().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let about = (first.id, first.run_type.as_str(), first.scope);
        let confirmation = retry_confirmation(context, about, targets).await?;
        let obstacle = match retry {
            Retry::NeedsWorker { .. } => first.basis.support.obstacle(&first.run_type),
            _ => None,
        };
        Ok(RetryPlan { retry, obstacle, refusal, confirmation })
    }
}

/// A run with everything that decides whether it can be retried.
async fn look(context: &mut Context, run_id: i64) -> Result<Run> {
    let mut run = visible(context, run_id).await?;
    complete(context, std::slice::from_mut(&mut run)).await?;
    if run.status == RunStatus::Completed {
        run.basis.left = run_read::left(context.tx()?, run_id).await?;
    }
    Ok(run)
}
