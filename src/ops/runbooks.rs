//! Starting maintenance: a plan that still holds, a reason, and the phrase that was typed.

mod now;

use serde_json::{Value, json};

use crate::access::{Actor, Requirement};
use crate::domain::capability::Capability;
use crate::domain::count::noun;
use crate::domain::identity::identity_hash;
use crate::domain::plan::TargetCounts;
use crate::domain::rollout::Rollout;
use crate::domain::run::Source;
use crate::domain::type_support::ActiveWorkers;
use crate::ops::plans;
use crate::ops::runs::{
    Entry, Frozen, NewStart, RunScope, Started, active_workers, check_reserved, lock_scope, make,
    supported, used_request_id,
};
use crate::ops::store::audit::{self, NewAudit};
use crate::ops::store::plans::{self as store, PlanRow};
use crate::ops::store::run_write::{self, Requested};
use crate::ops::store::{settings, together};
use crate::ops::{About, Access, Consent, Context, Operation};
use crate::runbooks::{Registry, Runbook};
use crate::{Error, Result};
use now::{Now, stored};

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
#[derive(Debug, Clone, PartialEq)]
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
    /// Idempotency key: a retry after a lost answer finds its run.
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
        let attempt = self.attempt(context, &row).await;
        self.consent.end(context, row, attempt).await
    }
}

impl StartRunbook {
    async fn attempt(&self, context: &mut Context, row: &NewAudit) -> Result<Started> {
        let runbook = context.settings().registry.get(&self.key)?.clone();
        if !context.permit().has(runbook.capability()) {
            return Err(Error::forbidden(runbook.capability()));
        }
        if self.source == Source::Admin {
            refuse_admin(context).await?;
        }
        crate::ops::break_glass::require_reason(context.permit(), &self.consent)?;
        self.rollout.check()?;
        let Known { plan, planned, made, active } = self.known(context).await?;
        let identity = identity_hash(&self.key, &plan.scope.0, &plan.inputs.0);
        if let Some(run_id) = plan.used_by_run_id {
            return self.used(context, &plan, run_id, made.as_ref(), &identity);
        }
        self.check_plan(context, &plan)?;
        let inputs = plan.inputs.0.clone();
        runbook.check_inputs(&inputs)?;
        if let Some(run_id) = self.made_before(context, made.as_ref(), &identity)? {
            return Ok(Started { run_id, created: false });
        }
        let now = Now::look(context, runbook.as_ref(), &plan, &planned, &identity).await?;
        let there = self.active(context, &plan, now.active).await?;
        // Nobody is asked to confirm what is not started all the same.
        if there.is_none() {
            supported(context, &active, &self.key, self.wait_for_worker)?;
        }
        let glass = context.permit().break_glass().is_some();
        let reason = self.consent.allow(context, &stored(&plan).requiring_reason(glass))?;
        if let Some(started) = there {
            if !self.consent.dry_run {
                context.audit(&self.told(row, &plan, None, started)).await?;
            }
            return Ok(started);
        }
        let frozen = now.compared(context, runbook.as_ref(), &plan, &planned).await?;
        if plan.affected_count == 0 && !self.is_scheduled(context) {
            return Err(Error::refused(format!(
                "nothing would be changed: 0 of {} {} {}",
                plan.total_count,
                noun(plan.total_count, runbook.items()),
                if plan.total_count == 1 { "needs it" } else { "need it" },
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
        let started = make(context, &frozen, &start).await?;
        self.write_down(context, runbook.as_ref(), &plan, &frozen, started, row).await?;
        Ok(started)
    }

    /// What does not depend on the plan, and the plan, which is held: it cannot be used twice at
    /// once.
    async fn known(&self, context: &mut Context) -> Result<Known> {
        let holder = context.permit().holder().map(|holder| holder.platform_user_id);
        let view = context.permit().scope();
        let (plan, planned, made, active) = together!(
            context.tx()?,
            |tx| plans::own_in(tx, holder, view, self.plan_id, !self.consent.dry_run),
            |tx| store::targets(tx, self.plan_id),
            |tx| async {
                match &self.request_id {
                    Some(request_id) => run_write::by_request_id(tx, request_id).await,
                    None => Ok(None),
                }
            },
            |tx| active_workers(tx),
        )?;
        Ok(Known { plan, planned, made, active })
    }

    /// Locks the run's tenants, uses the plan up, and tells of the start.
    async fn write_down(
        &self,
        context: &mut Context,
        runbook: &dyn Runbook,
        plan: &PlanRow,
        frozen: &Frozen,
        started: Started,
        row: &NewAudit,
    ) -> Result<()> {
        let told = self.told(row, plan, Some(frozen), started);
        let (created, run_id) = (started.created, started.run_id);
        let locks = created && !runbook.shares_tenants();
        let lock = runbook.lock(&plan.inputs.0);
        let view = context.permit().scope();
        let dry_run = self.consent.dry_run;
        let ((), used, ()) = together!(
            context.tx()?,
            |tx| async {
                if locks { lock_scope(tx, &lock, run_id, frozen, view).await } else { Ok(()) }
            },
            |tx| async {
                if created && !dry_run {
                    store::use_up(tx, plan.id, run_id).await
                } else {
                    Ok(true)
                }
            },
            |tx| async { if dry_run { Ok(()) } else { audit::insert(tx, &told).await } },
        )?;
        if used {
            return Ok(());
        }
        Err(Error::refused(format!("plan {} was used meanwhile", plan.id))
            .hint("run a new preflight"))
    }

    /// The audit row of a start, or of a run that was found active instead.
    fn told(
        &self,
        row: &NewAudit,
        plan: &PlanRow,
        frozen: Option<&Frozen>,
        started: Started,
    ) -> NewAudit {
        let mut row = row.clone();
        row.run_id = Some(started.run_id);
        row.workspace_id = frozen.and_then(|frozen| frozen.workspace_id);
        row.tenant_id = frozen.and_then(|frozen| frozen.tenant_id);
        let facts = json!({
            "type": self.key, "created": started.created, "scope": plan.scope_kind, "targets": plan_targets(plan),
            "affected": plan.affected_count, "hash": plan.hash, "inputs": plan.inputs.0,
        });
        merge(&mut row.metadata, facts);
        row
    }

    /// A plan that a run has used: the same request is answered with its run once more.
    fn used(
        &self,
        context: &Context,
        plan: &PlanRow,
        run_id: i64,
        made: Option<&Requested>,
        identity: &str,
    ) -> Result<Started> {
        if self.made_before(context, made, identity)? == Some(run_id) {
            return Ok(Started { run_id, created: false });
        }
        Err(Error::refused(format!("plan {} was used before, by run {run_id}", plan.id))
            .hint(format!("look at it: tenantpilot runs show {run_id}; or run a new preflight")))
    }

    /// The run that the same request of the same person made before.
    fn made_before(
        &self,
        context: &Context,
        made: Option<&Requested>,
        identity: &str,
    ) -> Result<Option<i64>> {
        if *context.permit().actor() != Actor::System {
            check_reserved(self.request_id.as_deref())?;
        }
        let by = context.permit().holder().map(|holder| holder.platform_user_id);
        match made {
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
        active: Option<i64>,
    ) -> Result<Option<Started>> {
        let Some(run_id) = active else { return Ok(None) };
        if run_write::has_targets_of(context.tx()?, run_id, plan.id).await? {
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

    /// The daily work of the worker: it is recorded also where there was nothing to do.
    fn is_scheduled(&self, context: &Context) -> bool {
        self.source == Source::Schedule && *context.permit().actor() == Actor::System
    }
}

/// What a start reads before it looks at the plan.
struct Known {
    plan: PlanRow,
    planned: Vec<TargetCounts>,
    /// What the request made before.
    made: Option<Requested>,
    active: ActiveWorkers,
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
