//! Starting maintenance: a plan that still holds, a reason, and the phrase that was typed.

use serde_json::{Value, json};

use crate::access::{Actor, Requirement};
use crate::domain::capability::Capability;
use crate::domain::confirmation::Confirmation;
use crate::domain::identity::identity_hash;
use crate::domain::plan::{Difference, plan_hash};
use crate::domain::rollout::Rollout;
use crate::domain::run::Source;
use crate::ops::plans::{self, count_targets};
use crate::ops::runs::{
    Entry, Frozen, NewStart, RunScope, Started, check_reserved, create, freeze, require_support,
    used_request_id,
};
use crate::ops::store::plans::{self as store, PlanRow};
use crate::ops::store::{run_write, settings};
use crate::ops::{About, Access, Consent, Context, Operation};
use crate::runbooks::{Registry, Runbook};
use crate::{Error, Result};

/// The setting of the platform that lets customers start maintenance; off unless it says
/// `true`.
pub const ADMIN_MAINTENANCE_FLAG: &str = "allow_admin_maintenance_actions";

/// Lists the runbooks that this process can start.
#[derive(Debug, Clone, Copy)]
pub struct ListRunbooks;

impl Operation for ListRunbooks {
    const NAME: &'static str = "runbooks.list";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::RunbooksView]);
    const ACCESS: Access = Access::Read;
    type Output = Registry;

    async fn execute(self, context: &mut Context) -> Result<Registry> {
        Ok(context.settings().registry.clone())
    }
}

/// Starts a runbook as its plan says, as the platform user who made the plan, or the system.
///
/// Everything is checked in the transaction that creates the run: the capability, the plan
/// (own, not expired, not used, of this runbook and scope, and still true: the same tenants,
/// with the same number of records to change), the reason, the phrase, and that no other run
/// of the runbook is at the same tenants. A refusal leaves its audit row and no run.
#[derive(Debug, Clone)]
pub struct StartRunbook {
    /// The runbook's key.
    pub key: String,
    /// The plan.
    pub plan_id: i64,
    /// The plan's hash as it was shown, where that is known.
    pub plan_hash: Option<String>,
    /// What was said to be aimed at beside the plan; has to be the plan's scope.
    pub scope: Option<RunScope>,
    /// How the targets are worked through.
    pub rollout: Rollout,
    /// What confirms it, and why.
    pub consent: Consent,
    /// Where the start comes from.
    pub source: Source,
    /// The caller's own id of this request: a retry after a lost answer finds its run.
    pub request_id: Option<String>,
    /// Whether the run may wait where no active worker supports the type.
    pub wait_for_worker: bool,
}

impl StartRunbook {
    /// A start of a plan, without what only some starts need.
    pub fn of_plan(key: &str, plan_id: i64, source: Source) -> Self {
        Self {
            key: key.to_owned(),
            plan_id,
            plan_hash: None,
            scope: None,
            rollout: Rollout::default(),
            consent: Consent::default(),
            source,
            request_id: None,
            wait_for_worker: false,
        }
    }

    /// A harmless example, for the test of the access check.
    pub(in crate::ops) fn sample() -> Self {
        Self::of_plan("none.such", 0, Source::Cli)
    }
}

impl Operation for StartRunbook {
    const NAME: &'static str = "runbooks.start";
    const REQUIREMENT: Requirement =
        Requirement::All(&[Capability::RunbooksView, Capability::RunbooksRun]);
    const ACCESS: Access = Access::Write;
    // It counts every target again.
    const PATIENCE: u32 = 15;
    type Output = Started;

    fn about(&self) -> About {
        About::of("runbook", &self.key).with(&self.consent)
    }

    async fn execute(self, context: &mut Context) -> Result<Started> {
        let mut row = self.consent.begin(context, Self::NAME, &self.about()).await?;
        let facts = json!({
            "plan_id": self.plan_id, "source": self.source.as_str(), "rollout": self.rollout,
        });
        merge(&mut row.metadata, facts);
        let attempt = self.attempt(context).await;
        let done = self.consent.end(context, row.clone(), attempt).await?;
        let (plan, started) = (done.plan, done.started);
        if !self.consent.dry_run && !done.again {
            row.run_id = Some(started.run_id);
            row.workspace_id = done.tenant.map(|(workspace, _)| workspace);
            row.tenant_id = done.tenant.and_then(|(_, tenant)| tenant);
            let facts = json!({
                "type": self.key, "created": started.created, "scope": plan.scope_kind, "targets": plan_targets(&plan),
                "affected": plan.affected_count, "hash": plan.hash,
            });
            merge(&mut row.metadata, facts);
            context.audit(&row).await?;
        }
        Ok(started)
    }
}

/// A start that nothing refused.
struct Attempt {
    /// The workspace, and the tenant, where the run is of one.
    tenant: Option<(i64, Option<i64>)>,
    plan: PlanRow,
    started: Started,
    /// Whether it is the answer to a request that was answered before.
    again: bool,
}

impl StartRunbook {
    async fn attempt(&self, context: &mut Context) -> Result<Attempt> {
        let runbook = context.settings().registry.get(&self.key)?.clone();
        if !context.permit().has(runbook.capability()) {
            return Err(Error::forbidden(runbook.capability()));
        }
        if self.source == Source::Admin {
            refuse_admin(context).await?;
        }
        crate::ops::break_glass::require_reason(context.permit(), &self.consent)?;
        self.rollout.check()?;
        // Held: the same plan cannot be used twice at once.
        let plan = plans::own(context, self.plan_id, true).await?;
        if let Some(run_id) = plan.used_by_run_id {
            return self.used(context, plan, run_id).await;
        }
        self.check_plan(context, &plan)?;
        let inputs = plan.inputs.0.clone();
        runbook.check_inputs(&inputs)?;
        let identity = identity_hash(&self.key, &plan.scope.0, &inputs);
        if let Some(run_id) = self.made_before(context, &identity).await? {
            let started = Started { run_id, created: false };
            return Ok(Attempt { tenant: None, plan, started, again: true });
        }
        let active = self.active(context, &plan, &identity).await?;
        // Nobody is asked to confirm what is not started all the same.
        if active.is_none() {
            require_support(context, &self.key, self.wait_for_worker).await?;
        }
        let glass = context.permit().break_glass().is_some();
        let stored = stored(&plan);
        let reason = self.consent.allow(context, &stored.requiring_reason(glass))?;
        if let Some(started) = active {
            return Ok(Attempt { tenant: None, plan, started, again: false });
        }
        let frozen = self.look_again(context, runbook.as_ref(), &plan).await?;
        if plan.affected_count == 0 && !self.is_scheduled(context) {
            return Err(Error::refused(format!(
                "nothing would be changed: 0 of {} {} need it",
                plan.total_count,
                runbook.items()
            ))
            .hint("there is nothing to start"));
        }
        let mut facts = json!({
            "inputs": inputs,
            "plan": { "id": plan.id, "hash": plan.hash, "affected_count": plan.affected_count,
                      "total_count": plan.total_count, "tenant_count": plan.tenant_count },
        });
        if let Some(reason) = &reason {
            facts["reason"] = json!(reason);
        }
        let start = NewStart {
            run_type: &self.key,
            inputs: &inputs,
            facts,
            entry: &Entry::ReuseByInputs,
            source: self.source,
            request_id: self.request_id.as_deref(),
            rollout: self.rollout,
            retry_of: None,
            plan_id: Some(plan.id),
            customer: None,
        };
        let started = create(context, &frozen, &start).await?;
        if started.created && !store::use_up(context.tx()?, plan.id, started.run_id).await? {
            return Err(Error::refused(format!("plan {} was used meanwhile", plan.id))
                .hint("run a new preflight"));
        }
        let tenant = frozen.workspace_id.map(|workspace| (workspace, frozen.tenant_id));
        Ok(Attempt { tenant, plan, started, again: false })
    }

    /// A plan that a run has used: the same request is answered with its run once more.
    async fn used(&self, context: &mut Context, plan: PlanRow, run_id: i64) -> Result<Attempt> {
        let identity = identity_hash(&self.key, &plan.scope.0, &plan.inputs.0);
        if self.made_before(context, &identity).await? == Some(run_id) {
            let started = Started { run_id, created: false };
            return Ok(Attempt { tenant: None, plan, started, again: true });
        }
        Err(Error::refused(format!("plan {} was used before, by run {run_id}", plan.id))
            .hint(format!("look at it: tenantpilot runs show {run_id}; or run a new preflight")))
    }

    /// The run that the same request of the same person made before.
    async fn made_before(&self, context: &mut Context, identity: &str) -> Result<Option<i64>> {
        let Some(request_id) = &self.request_id else { return Ok(None) };
        if *context.permit().actor() != Actor::System {
            check_reserved(Some(request_id))?;
        }
        let by = context.permit().holder().map(|holder| holder.platform_user_id);
        match run_write::by_request_id(context.tx()?, request_id).await? {
            None => Ok(None),
            Some(made) if made.identity_hash == identity && made.platform_user_id == by => {
                Ok(Some(made.id))
            }
            Some(_) => Err(used_request_id()),
        }
    }

    /// The active run of the same runbook, scope and inputs: it is looked at, not started again,
    /// if it is over what the plan shows.
    async fn active(
        &self,
        context: &mut Context,
        plan: &PlanRow,
        identity: &str,
    ) -> Result<Option<Started>> {
        let tx = context.tx()?;
        let Some(run_id) = run_write::active_by_identity(tx, identity).await? else {
            return Ok(None);
        };
        if run_write::has_targets_of(tx, run_id, plan.id).await? {
            return Ok(Some(Started { run_id, created: false }));
        }
        Err(Error::refused(format!(
            "run {run_id} of {} is active on this scope, but over other tenants than this plan shows",
            self.key
        ))
        .hint(format!("wait for its end, or look at it: tenantpilot runs show {run_id}")))
    }

    /// What the plan's own row tells.
    fn check_plan(&self, context: &Context, plan: &PlanRow) -> Result<()> {
        let id = plan.id;
        if plan.runbook != self.key {
            return Err(Error::refused(format!("plan {id} is for {}", plan.runbook))
                .hint("name that runbook, or run a preflight of this one"));
        }
        if self.scope.as_ref().is_some_and(|scope| scope.plain().to_json() != plan.scope.0) {
            return Err(Error::refused(format!(
                "plan {id} is for another scope: {}",
                plans::Plan::from(plan.clone()).scope_words()
            ))
            .hint("leave the scope away, or run a preflight of this scope"));
        }
        if plan.expires_at <= context.now() {
            return Err(Error::refused(format!(
                "plan {id} expired at {}",
                plan.expires_at.format("%H:%M:%S UTC")
            ))
            .hint("run a new preflight"));
        }
        if self.plan_hash.as_ref().is_some_and(|hash| *hash != plan.hash) {
            return Err(Error::refused(format!("plan {id} is not the one that was shown"))
                .hint("run a new preflight"));
        }
        Ok(())
    }

    /// Resolves the plan's scope again and counts again; refuses any difference.
    async fn look_again(
        &self,
        context: &mut Context,
        runbook: &dyn Runbook,
        plan: &PlanRow,
    ) -> Result<Frozen> {
        let broken = || {
            Error::refused(format!("plan {} cannot be read", plan.id)).hint("run a new preflight")
        };
        let scope = RunScope::from_json(&plan.scope.0).ok_or_else(broken)?;
        let planned = store::targets(context.tx()?, plan.id).await?;
        if plan_hash(&plan.runbook, &plan.scope.0, &plan.inputs.0, &planned) != plan.hash {
            return Err(broken());
        }
        let view = context.permit().scope();
        let frozen = freeze(context.tx()?, &scope, None, view).await?;
        plans::allowed_scope(runbook, frozen.kind)?;
        let now =
            count_targets(context, runbook, &frozen.targets, &plan.inputs.0, plan.created_at, None)
                .await?;
        if let Some(difference) = Difference::between(&planned, &now) {
            return Err(Error::refused(difference.words()).hint("look at a new preflight first"));
        }
        // What has to be typed follows from what is there, not from what the row says.
        let expected = plans::confirmation(context, runbook, &frozen, &plan.inputs.0).await?;
        if expected != stored(plan) {
            return Err(Error::refused("what confirms it changed since preflight")
                .hint("the names of the tenants or a setting changed; look at a new preflight"));
        }
        Ok(frozen)
    }

    /// The daily work of the worker: it is recorded also where there was nothing to do.
    fn is_scheduled(&self, context: &Context) -> bool {
        self.source == Source::Schedule && *context.permit().actor() == Actor::System
    }
}

fn stored(plan: &PlanRow) -> Confirmation {
    let tenants = (plan.scope_kind != "platform").then_some(plan.tenant_count);
    Confirmation::stored(&plan.phrase, plan.must_confirm, tenants)
}

fn plan_targets(plan: &PlanRow) -> i64 {
    plan.tenant_count.max(i64::from(plan.scope_kind == "platform"))
}

fn merge(into: &mut Value, facts: Value) {
    if let (Some(into), Value::Object(facts)) = (into.as_object_mut(), facts) {
        into.extend(facts);
    }
}

/// Refuses a start by a customer while the platform does not allow it.
pub(in crate::ops) async fn refuse_admin(context: &mut Context) -> Result<()> {
    let flag = settings::get(context.tx()?, ADMIN_MAINTENANCE_FLAG).await?;
    if flag.as_deref() == Some("true") {
        return Ok(());
    }
    Err(Error::refused("maintenance cannot be started from the customers' side")
        .hint(format!("the platform's setting {ADMIN_MAINTENANCE_FLAG} is off")))
}
