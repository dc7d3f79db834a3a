//! Plans: what a preflight found is stored, shown, and what a start is held to.

mod choices;
mod csv;
mod preflight;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

pub use crate::ops::store::plans::PlanTarget;
pub use crate::ops::store::scope_choices::{ScopeTenant, ScopeWorkspace};
pub use choices::{ListScopeTenants, ListScopeWorkspaces, ScopeTenants, ScopeWorkspaces};
pub use csv::targets_csv;
pub(in crate::ops) use preflight::{Count, allowed_scope, confirmation, scope_names};
pub use preflight::{Counted, Preflight};

use crate::access::{Requirement, ViewScope};
use crate::domain::capability::Capability;
use crate::domain::confirmation::Confirmation;
use crate::domain::count::count;
use crate::domain::name_pattern::NamePattern;
use crate::domain::plan::suspicion;
use crate::domain::run::ScopeKind;
use crate::domain::safe_text::SafeText;
use crate::domain::type_support::{ActiveWorkers, Support};
use crate::ops::retention;
use crate::ops::runs::{RunScope, active_workers};
use crate::ops::store::plans::{self as store, PlanRow, TargetFilter};
use crate::ops::store::{Tx, name_match, together};
use crate::ops::{Access, Context, Engine, Operation};
use crate::{Error, Result};

/// So many tenants of a scope are named.
const NAMED: usize = 6;
/// Rows that one answer of a list holds at most.
const MAX_ROWS: i64 = 100_000;

/// What a runbook would change, as it was found and stored.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Id.
    pub id: i64,
    /// The runbook's key.
    pub runbook: String,
    /// What kind of scope it is for.
    pub scope_kind: ScopeKind,
    /// The scope.
    pub scope: Value,
    /// What its tenants, or its workspace, are called: by id, at most a few.
    pub scope_names: Vec<(i64, String)>,
    /// The runbook's inputs.
    pub inputs: Value,
    /// Hash over runbook, scope, inputs and every target with its counts.
    pub hash: String,
    /// Records that would change.
    pub affected_count: i64,
    /// Whether there may be more of them: counting stopped there.
    pub affected_at_least: bool,
    /// Records there are.
    pub total_count: i64,
    /// Tenants aimed at; 0 for the platform itself.
    pub tenant_count: i64,
    /// Tenants with something to change.
    pub affected_tenant_count: i64,
    /// Tenants that the person might have aimed at.
    pub fleet_count: i64,
    /// The phrase that confirms its start.
    pub phrase: String,
    /// Whether only the phrase does; a phrase that is given has to be right in any case.
    pub must_confirm: bool,
    /// How long earlier runs make one expect, in seconds; none without history.
    pub expected_seconds: Option<i64>,
    /// How many earlier runs that is drawn from.
    pub expected_runs: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it stops being good.
    pub expires_at: DateTime<Utc>,
    /// The run that used it.
    pub used_by_run_id: Option<i64>,
    /// Whether a run of the runbook could be executed when this was read.
    pub support: Support,
}

impl Plan {
    /// What confirms its start.
    pub fn confirmation(&self) -> Confirmation {
        let tenants = (self.scope_kind != ScopeKind::Platform).then_some(self.tenant_count);
        Confirmation::stored(&self.phrase, self.must_confirm, tenants)
    }

    /// The share of the fleet that it aims at, in percent, never rounded up to all of it; none
    /// for the platform itself.
    pub fn share(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a share is shown with one digit")]
        (self.tenant_count > 0).then(|| {
            let share = self.tenant_count as f64 * 100.0 / self.fleet_count.max(1) as f64;
            if self.tenant_count < self.fleet_count { share.min(99.9) } else { 100.0 }
        })
    }

    /// A plan with the names of what it is aimed at, as the active workers support it.
    fn named(row: PlanRow, names: Vec<(i64, String)>, active: &ActiveWorkers) -> Self {
        let plan = Self::from(row);
        let support = active.support(&plan.runbook);
        let scope_names = if names.len() <= NAMED { names } else { Vec::new() };
        Self { scope_names, support, ..plan }
    }

    /// What precedes the number of records that would change.
    pub fn affected_prefix(&self) -> &'static str {
        if self.affected_at_least { "at least " } else { "" }
    }

    /// The scope in words, with ids and cleaned names: `tenant 4 (Contoso DE)`.
    pub fn scope_named(&self) -> String {
        let names: Vec<String> = self
            .scope_names
            .iter()
            .map(|(id, name)| {
                let odd = suspicion(name).map_or_else(String::new, |why| format!(", {why}"));
                format!("{id} {}{odd}", SafeText::new(name))
            })
            .collect();
        if names.is_empty() {
            return self.scope_words();
        }
        format!("{}: {}", self.scope_words(), names.join("; "))
    }

    /// The scope in words, with ids: `ALL (412 tenants, 100 %)`, `workspace 3 (12 tenants,
    /// 2.9 %)`, `tenants 4, 7`, `the platform itself`.
    pub fn scope_words(&self) -> String {
        let share = self.share().map_or_else(String::new, |share| {
            let digits = usize::from(share.fract() != 0.0);
            format!("{share:.digits$} %")
        });
        let n = self.tenant_count;
        let tenants = count(n, "tenant");
        match RunScope::from_json(&self.scope) {
            Some(RunScope::All) => format!("ALL ({tenants}, {share})"),
            Some(RunScope::Workspace(id)) => format!("workspace {id} ({tenants}, {share})"),
            Some(RunScope::Tenant(id)) => format!("tenant {id}"),
            Some(RunScope::Tenants(ids)) if ids.len() <= NAMED => {
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                format!("tenants {} ({share})", ids.join(", "))
            }
            Some(RunScope::Tenants(_)) => format!("{tenants} ({share})"),
            Some(RunScope::Platform) | None => "the platform itself".to_owned(),
        }
    }
}

impl From<PlanRow> for Plan {
    fn from(row: PlanRow) -> Self {
        Self {
            affected_at_least: retention::at_least(&row.runbook, &row.inputs.0, row.affected_count),
            id: row.id,
            runbook: row.runbook,
            // The database's own check allows no other word.
            scope_kind: row.scope_kind.parse().unwrap_or(ScopeKind::Platform),
            scope: row.scope.0,
            scope_names: Vec::new(),
            inputs: row.inputs.0,
            hash: row.hash,
            affected_count: row.affected_count,
            total_count: row.total_count,
            tenant_count: row.tenant_count,
            affected_tenant_count: row.affected_tenant_count,
            fleet_count: row.fleet_count,
            phrase: row.phrase,
            must_confirm: row.must_confirm,
            expected_seconds: row.expected_seconds,
            expected_runs: row.expected_runs,
            created_at: row.created_at,
            expires_at: row.expires_at,
            used_by_run_id: row.used_by_run_id,
            support: Support::default(),
        }
    }
}

/// A plan of the actor's own, within their view of now. What does not exist, what belongs to
/// another user and what the view no longer holds get the same answer: a plan names tenants.
pub(in crate::ops) async fn own(context: &mut Context, id: i64, hold: bool) -> Result<PlanRow> {
    let holder = context.permit().holder().map(|holder| holder.platform_user_id);
    let view = context.permit().scope();
    own_in(context.tx()?, holder, view, id, hold).await
}

/// The same of the given holder and view.
pub(in crate::ops) async fn own_in(
    tx: &mut Tx,
    holder: Option<i64>,
    view: ViewScope,
    id: i64,
    hold: bool,
) -> Result<PlanRow> {
    let (plan, visible) =
        together!(tx, |tx| store::by_id(tx, id, hold), |tx| store::in_view(tx, id, view))?;
    let plan = plan.filter(|plan| plan.platform_user_id == holder);
    plan.filter(|_| visible).ok_or_else(|| {
        Error::not_found(format!("plan {id}"))
            .hint("a plan belongs to the person who made it: run a preflight of your own")
    })
}

/// Reads one plan of the actor's own.
#[derive(Debug, Clone, Copy)]
pub struct GetPlan {
    /// Its id.
    pub id: i64,
}

impl Operation for GetPlan {
    const NAME: &'static str = "runbooks.get_plan";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::RunbooksView]);
    const ACCESS: Access = Access::Read;
    type Output = Plan;

    async fn execute(self, context: &mut Context) -> Result<Plan> {
        let row = own(context, self.id, false).await?;
        let scope = RunScope::from_json(&row.scope.0);
        let (active, names) = together!(context.tx()?, |tx| active_workers(tx), |tx| async {
            match &scope {
                Some(scope) if scope.tenants().is_none_or(|ids| ids.len() <= NAMED) => {
                    scope_names(tx, scope).await
                }
                _ => Ok(Vec::new()),
            }
        },)?;
        Ok(Plan::named(row, names, &active))
    }
}

/// Lists the targets of a plan of the actor's own, most to change first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPlanTargets {
    /// The plan.
    pub plan_id: i64,
    /// Part of a tenant's or workspace's name, or a tenant's id; empty: all.
    pub search: String,
    /// Only those with something to change.
    pub affected_only: bool,
    /// So many are left out before.
    pub offset: i64,
    /// At most so many rows.
    pub limit: i64,
}

impl ListPlanTargets {
    /// Every target of a plan.
    pub fn all(plan_id: i64) -> Self {
        let (search, limit) = (String::new(), MAX_ROWS);
        Self { plan_id, search, affected_only: false, offset: 0, limit }
    }

    pub(in crate::ops) fn sample() -> Self {
        Self { limit: 1, ..Self::all(0) }
    }
}

/// Targets of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlanTargets {
    /// The rows asked for.
    pub targets: Vec<PlanTarget>,
    /// How many match in all.
    pub matching: i64,
}

impl Operation for ListPlanTargets {
    const NAME: &'static str = "runbooks.list_plan_targets";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::RunbooksView]);
    const ACCESS: Access = Access::Read;
    type Output = PlanTargets;

    async fn execute(self, context: &mut Context) -> Result<PlanTargets> {
        own(context, self.plan_id, false).await?;
        let pattern = Pattern::of(&self.search, context.ops().engine());
        let filter = TargetFilter {
            name: pattern.name.as_deref(),
            id: pattern.id,
            affected_only: self.affected_only,
        };
        let page = (self.offset.max(0), self.limit.clamp(0, MAX_ROWS));
        let (targets, matching) =
            store::list_targets(context.tx()?, self.plan_id, &filter, page).await?;
        Ok(PlanTargets { targets, matching })
    }
}

/// A search as the store takes it.
pub(in crate::ops) struct Pattern {
    /// The names that match, in the engine's form; none: everything.
    pub name: Option<String>,
    /// The text as an id.
    pub id: Option<i64>,
}

impl Pattern {
    pub(in crate::ops) fn of(search: &str, engine: Engine) -> Self {
        let pattern = NamePattern::searched(search);
        let name = pattern.map(|pattern| name_match::bound(&pattern, engine));
        Self { name, id: search.trim().parse().ok() }
    }
}

impl RunScope {
    /// The same scope in its plainest form: one tenant is one tenant, however it was listed.
    #[must_use]
    pub fn plain(&self) -> Self {
        match self {
            Self::Tenants(ids) => match ids.as_slice() {
                [one, rest @ ..] if rest.iter().all(|id| id == one) => Self::Tenant(*one),
                _ => self.clone(),
            },
            _ => self.clone(),
        }
    }

    /// What kind of scope it is.
    pub const fn kind(&self) -> ScopeKind {
        match self {
            Self::Tenant(_) => ScopeKind::Tenant,
            Self::Tenants(_) => ScopeKind::Tenants,
            Self::Workspace(_) => ScopeKind::Workspace,
            Self::All => ScopeKind::All,
            Self::Platform => ScopeKind::Platform,
        }
    }

    /// The tenants that it names one by one, by id, each once.
    pub(in crate::ops) fn tenants(&self) -> Option<Vec<i64>> {
        match self {
            Self::Tenant(id) => Some(vec![*id]),
            Self::Tenants(ids) => Some(sorted(ids)),
            _ => None,
        }
    }

    /// The scope as plans store it and a run's identity sees it.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Tenant(id) => json!({ "tenant": id }),
            Self::Tenants(ids) => json!({ "tenants": sorted(ids) }),
            Self::Workspace(id) => json!({ "workspace": id }),
            Self::All => json!({ "all": true }),
            Self::Platform => json!({ "platform": true }),
        }
    }

    /// What [`RunScope::to_json`] wrote; none for anything else.
    pub fn from_json(value: &Value) -> Option<Self> {
        let object = value.as_object().filter(|object| object.len() == 1)?;
        let (key, value) = object.iter().next()?;
        match key.as_str() {
            "tenant" => value.as_i64().map(Self::Tenant),
            "tenants" => {
                let ids: Option<Vec<i64>> = value.as_array()?.iter().map(Value::as_i64).collect();
                ids.map(Self::Tenants)
            }
            "workspace" => value.as_i64().map(Self::Workspace),
            "all" => Some(Self::All),
            "platform" => Some(Self::Platform),
            _ => None,
        }
    }
}

fn sorted(ids: &[i64]) -> Vec<i64> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids
}
