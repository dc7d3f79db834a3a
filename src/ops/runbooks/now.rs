//! What is there now, held against a plan that says what was.

use crate::domain::confirmation::Confirmation;
use crate::domain::plan::{Difference, TargetCounts, plan_hash};
use crate::ops::Context;
use crate::ops::plans::{self, Count};
use crate::ops::runs::{self, Frozen, RunScope, freeze};
use crate::ops::store::plans::PlanRow;
use crate::ops::store::{run_write, together};
use crate::runbooks::Runbook;
use crate::{Error, Result};

/// What is there now.
pub(super) struct Now {
    /// The active run of the plan's identity.
    pub(super) active: Option<i64>,
    frozen: Result<Frozen>,
    counts: Vec<TargetCounts>,
    names: Vec<(i64, String)>,
}

impl Now {
    /// Resolves the plan's scope again, counts its targets again, and looks for an active run.
    pub(super) async fn look(
        context: &mut Context,
        runbook: &dyn Runbook,
        plan: &PlanRow,
        planned: &[TargetCounts],
        identity: &str,
    ) -> Result<Self> {
        let scope = RunScope::from_json(&plan.scope.0).ok_or_else(|| unreadable(plan))?;
        let ids: Vec<Option<i64>> = planned.iter().map(|target| target.tenant_id).collect();
        let count = recount(runbook, plan);
        let (view, rehearses) = (context.permit().scope(), context.rehearses());
        let (active, frozen, counts, names) = together!(
            context.tx()?,
            |tx| run_write::active_by_identity(tx, identity),
            |tx| async {
                let found = if rehearses {
                    runs::look(tx, &scope, view).await
                } else {
                    freeze(tx, &scope, None, view).await
                };
                match found {
                    // An active run is told of first.
                    Err(error) if error.is_refusal() => Ok(Err(error)),
                    found => found.map(Ok),
                }
            },
            |tx| count.targets(tx, &ids),
            |tx| plans::scope_names(tx, &scope),
        )?;
        Ok(Self { active, frozen, counts, names })
    }

    /// Refuses any difference from the plan; gives its scope.
    pub(super) async fn compared(
        self,
        context: &mut Context,
        runbook: &dyn Runbook,
        plan: &PlanRow,
        planned: &[TargetCounts],
    ) -> Result<Frozen> {
        if plan_hash(&plan.runbook, &plan.scope.0, &plan.inputs.0, planned) != plan.hash {
            return Err(unreadable(plan));
        }
        let frozen = self.frozen?;
        plans::allowed_scope(runbook, frozen.kind)?;
        let same = frozen.targets.iter().eq(planned.iter().map(|target| &target.tenant_id));
        let now = if same {
            self.counts
        } else {
            recount(runbook, plan).targets(context.tx()?, &frozen.targets).await?
        };
        if let Some(difference) = Difference::between(planned, &now) {
            return Err(Error::refused(difference.words()).hint("look at a new preflight first"));
        }
        // What has to be typed follows from what is there, not from what the row says.
        let expected =
            plans::confirmation(context, runbook, &frozen, &self.names, &plan.inputs.0).await?;
        if expected != stored(plan) {
            return Err(Error::refused("what confirms it changed since preflight")
                .hint("the names of the tenants or a setting changed; look at a new preflight"));
        }
        Ok(frozen)
    }
}

/// Counts as the plan did, as of its time.
fn recount<'a>(runbook: &'a dyn Runbook, plan: &'a PlanRow) -> Count<'a> {
    Count { runbook, inputs: &plan.inputs.0, as_of: plan.created_at, progress: None }
}

fn unreadable(plan: &PlanRow) -> Error {
    Error::refused(format!("plan {} cannot be read", plan.id)).hint("run a new preflight")
}

/// What confirms a start, as the plan says it.
pub(super) fn stored(plan: &PlanRow) -> Confirmation {
    let tenants = (plan.scope_kind != "platform").then_some(plan.tenant_count);
    Confirmation::stored(&plan.phrase, plan.must_confirm, tenants)
}
