//! Trying again: a new run over only those targets of an ended one that failed or never ran.

use serde_json::json;

use super::control::visible;
use super::start::{Entry, NewStart, RunScope, Started, create, freeze};
use crate::access::Requirement;
use crate::domain::capability::Capability;
use crate::domain::confirmation::{Action, Confirmation, RETRY, ReasonRule};
use crate::domain::rollout::Rollout;
use crate::domain::run::{RunStatus, ScopeKind, Source};
use crate::ops::store::run_read;
use crate::ops::{Access, AuditStatus, Consent, Context, Operation, break_glass};
use crate::{Error, Result};

/// Starts a new run over the targets of an ended one that failed or were skipped.
#[derive(Debug, Clone)]
pub struct RetryRun {
    /// The ended run.
    pub run_id: i64,
    /// What confirms it, and why.
    pub consent: Consent,
    /// Where the start comes from.
    pub source: Source,
    /// The caller's own id of this request.
    pub request_id: Option<String>,
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
        Self { run_id: 0, consent: Consent::default(), source: Source::Cli, request_id: None }
    }
}

/// What a retry of a run would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPlan {
    /// How many targets would be retried; 0: none is left.
    pub targets: usize,
    /// What confirms it.
    pub confirmation: Confirmation,
}

impl RetryPlan {
    /// The plan for a run within the actor's view.
    pub(in crate::ops) async fn of(
        context: &mut Context,
        run_id: i64,
        run_type: &str,
        scope: ScopeKind,
    ) -> Result<Self> {
        let left = run_read::retryable(context.tx()?, run_id).await?;
        let targets = match scope {
            ScopeKind::Tenant | ScopeKind::Platform => usize::from(left.total > 0),
            _ => left.tenants.len(),
        };
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
        let confirmation = Confirmation::of(&action)?.requiring_reason(glass);
        Ok(Self { targets, confirmation })
    }
}

impl Operation for RetryRun {
    const NAME: &'static str = "runs.retry";
    const REQUIREMENT: Requirement =
        Requirement::All(&[Capability::OpsView, Capability::OpsManage]);
    const ACCESS: Access = Access::Write;
    type Output = Retried;

    async fn execute(self, context: &mut Context) -> Result<Retried> {
        let mut row = self.consent.begin(context, Self::NAME).await?;
        row.target_type = Some("operation_run");
        row.target_id = Some(self.run_id.to_string());
        row.metadata["source"] = json!(self.source.as_str());
        let attempt = self.attempt(context).await;
        self.consent.end(context, row, attempt).await
    }
}

impl RetryRun {
    async fn attempt(&self, context: &mut Context) -> Result<Retried> {
        const NAME: &str = RetryRun::NAME;
        let first = visible(context, self.run_id).await?;
        if let Ok(runbook) = context.settings().registry.get(&first.run_type).cloned() {
            context.require(Capability::RunbooksRun, NAME).await?;
            context.require(runbook.capability(), NAME).await?;
        }
        if first.status != RunStatus::Completed {
            return Err(Error::refused(format!("run {} has not ended yet", first.id))
                .hint("wait for its end, or cancel it first"));
        }
        let view = context.permit().scope();
        let tx = context.tx()?;
        let left = run_read::retryable(tx, first.id).await?;
        if left.total == 0 {
            return Err(Error::refused(format!(
                "nothing of run {} failed or was left undone",
                first.id
            )));
        }
        let scope = match (first.scope, first.tenant_id) {
            (ScopeKind::Tenant, Some(tenant)) => RunScope::Tenant(tenant),
            (ScopeKind::Platform, _) => RunScope::Platform,
            _ if left.tenants.is_empty() => {
                return Err(Error::refused("the tenants to retry are all archived by now"));
            }
            _ => RunScope::Tenants(left.tenants.clone()),
        };
        let frozen = freeze(tx, &scope, None, view).await?;
        let targets = frozen.targets.len();
        let plan = RetryPlan::of(context, first.id, &first.run_type, first.scope).await?;
        let old = run_read::context(context.tx()?, first.id).await?;
        let rollout = run_read::rollout(context.tx()?, first.id).await?;
        let inputs = old.get("inputs").cloned().unwrap_or_else(|| json!({}));
        let mut facts = json!({ "inputs": inputs });
        // A retry on one target may go on with the reason of the run that it retries.
        let recorded = old.get("reason").filter(|_| targets <= 1);
        let mut confirmation = plan.confirmation;
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
        let gone = usize::try_from(left.total).unwrap_or(targets).saturating_sub(targets);
        Ok(Retried { started, targets, gone, confirmation })
    }
}

/// Counts what a retry of a run would cover.
#[derive(Debug, Clone, Copy)]
pub struct PlanRetry {
    /// The ended run.
    pub run_id: i64,
}

impl Operation for PlanRetry {
    const NAME: &'static str = "runs.plan_retry";
    const REQUIREMENT: Requirement =
        Requirement::All(&[Capability::OpsView, Capability::OpsManage]);
    const ACCESS: Access = Access::Read;
    type Output = RetryPlan;

    async fn execute(self, context: &mut Context) -> Result<RetryPlan> {
        let first = visible(context, self.run_id).await?;
        RetryPlan::of(context, first.id, &first.run_type, first.scope).await
    }
}
