//! Starting a run: authorise, create or reuse, and say so. A start does no work.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use super::given::{check_inputs, check_request_id, check_reserved};
use crate::access::{Actor, Requirement, ViewScope};
use crate::domain::identity::identity_hash;
use crate::domain::operation_type;
use crate::domain::rollout::Rollout;
use crate::domain::run::{ScopeKind, Source};
use crate::domain::safe_text::SafeText;
use crate::domain::summary_counts::{CountKey, SummaryCounts};
use crate::domain::telemetry::{SubjectType, UsageEvent};
use crate::ops::runbooks::refuse_admin;
use crate::ops::store::run_write::{self, NewRun, unwritten};
use crate::ops::store::{Tx, customers, each, run_read, savepoint, scope_locks};
use crate::ops::telemetry::record::{Told, record};
use crate::ops::{About, Access, AuditStatus, Context, Operation, break_glass, refusal};
use crate::{Error, Result};

/// What a run covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunScope {
    /// One tenant.
    Tenant(i64),
    /// These tenants.
    Tenants(Vec<i64>),
    /// All allowed tenants of a workspace.
    Workspace(i64),
    /// All allowed tenants.
    All,
    /// The platform itself.
    Platform,
}

/// How an active run of the same identity is treated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Reuse it; the identity comes from type, scope and inputs.
    ReuseByInputs,
    /// Reuse it; the identity comes from type, scope and this text.
    ReuseByIdentity(String),
    /// Refuse.
    Strict,
}

/// Starts a run as a customer or as the system.
#[derive(Debug, Clone)]
pub struct StartRun {
    /// Canonical dotted type.
    pub run_type: String,
    /// What it covers.
    pub scope: RunScope,
    /// Inputs: safe values, part of the identity.
    pub inputs: Value,
    /// How an active run of the same identity is treated.
    pub entry: Entry,
    /// Where the start comes from.
    pub source: Source,
    /// Idempotency key: a retry after a lost answer finds its run.
    pub request_id: Option<String>,
}

/// What a start gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    /// The run to view.
    pub run_id: i64,
    /// False: it was already running.
    pub created: bool,
}

impl StartRun {
    /// A start of `run_type` for one tenant that reuses by inputs.
    pub fn for_tenant(run_type: &str, tenant_id: i64, source: Source) -> Self {
        Self {
            run_type: run_type.to_owned(),
            scope: RunScope::Tenant(tenant_id),
            inputs: json!({}),
            entry: Entry::ReuseByInputs,
            source,
            request_id: None,
        }
    }

    /// A harmless example, for the test of the access check.
    pub(in crate::ops) fn sample() -> Self {
        Self::for_tenant("policy.sync", 0, Source::Admin)
    }
}

impl Operation for StartRun {
    const NAME: &'static str = "runs.start";
    const REQUIREMENT: Requirement = Requirement::InProcess;
    const ACCESS: Access = Access::Write;
    type Output = Started;

    fn about(&self) -> About {
        About::of("runbook", &self.run_type)
    }

    async fn execute(self, context: &mut Context) -> Result<Started> {
        operation_type::check(&self.run_type)?;
        let maintenance = !operation_type::require(&self.run_type)?.customers_start;
        let by_system = *context.permit().actor() == Actor::System;
        if maintenance && (!by_system || self.source == Source::Admin) {
            let mut row = context.audit_row(Self::NAME, AuditStatus::Refused);
            self.about().mark(&mut row);
            row.metadata = json!({ "source": self.source.as_str() });
            savepoint::begin(context.tx()?).await?;
            let allowed = refuse_admin(context).await;
            refusal::settle(context, row, allowed).await?;
        }
        let customer = match context.permit().actor() {
            Actor::Customer { user_id } => {
                let user_id = *user_id;
                let found = customers::customer(context.tx()?, user_id).await?;
                Some(found.filter(|c| c.active).ok_or_else(|| Error::not_found("the user"))?)
            }
            _ => None,
        };
        let within = customer.as_ref().map(|c| c.workspace_id);
        let frozen = freeze(context.tx()?, &self.scope, within, ViewScope::All).await?;
        let start = NewStart {
            run_type: &self.run_type,
            inputs: &self.inputs,
            facts: json!({ "inputs": self.inputs }),
            entry: &self.entry,
            source: self.source,
            request_id: self.request_id.as_deref(),
            rollout: Rollout::default(),
            retry_of: None,
            plan_id: None,
            customer: customer.as_ref().map(|c| (c.id, c.name.as_str())),
        };
        let started = create(context, &frozen, &start).await?;
        if started.created {
            let mut row = context.audit_row(Self::NAME, AuditStatus::Succeeded);
            row.actor_name = customer.map(|c| c.name);
            row.run_id = Some(started.run_id);
            row.tenant_id = frozen.tenant_id;
            row.workspace_id = frozen.workspace_id;
            row.metadata = json!({ "type": self.run_type, "source": self.source.as_str() });
            context.audit(&row).await?;
            if let Actor::Customer { user_id } = *context.permit().actor()
                && frozen.tenant_id.is_some()
            {
                let told = Told {
                    event: UsageEvent::OperationStarted,
                    workspace_id: frozen.workspace_id,
                    tenant_id: frozen.tenant_id,
                    user_id: Some(user_id),
                    subject: (SubjectType::OperationRun, started.run_id),
                    metadata: json!({ "operation_type": self.run_type }),
                };
                record(context, told).await?;
            }
        }
        Ok(started)
    }
}

/// A run to be made, whoever starts it.
pub(in crate::ops) struct NewStart<'a> {
    /// Dotted type.
    pub run_type: &'a str,
    /// Inputs, part of the identity.
    pub inputs: &'a Value,
    /// What is stored as its context.
    pub facts: Value,
    /// How an active run of the same identity is treated.
    pub entry: &'a Entry,
    /// Where the start comes from.
    pub source: Source,
    /// Idempotency key.
    pub request_id: Option<&'a str>,
    /// How its targets are worked through.
    pub rollout: Rollout,
    /// The run it tries again.
    pub retry_of: Option<i64>,
    /// The plan it was started by.
    pub plan_id: Option<i64>,
    /// The customer who starts it, with their name.
    pub customer: Option<(i64, &'a str)>,
}

/// Inserts the run with its targets, or finds the one that an index says is there; and takes the
/// locks of a new one.
pub(in crate::ops) async fn create(
    context: &mut Context,
    frozen: &Frozen,
    start: &NewStart<'_>,
) -> Result<Started> {
    let started = make(context, frozen, start).await?;
    let registry = &context.settings().registry;
    let runbook = registry.get(start.run_type).ok().filter(|runbook| !runbook.shares_tenants());
    if started.created
        && let Some(lock) = runbook.map(|runbook| runbook.lock(start.inputs))
    {
        let view = context.permit().scope();
        lock_scope(context.tx()?, &lock, started.run_id, frozen, view).await?;
    }
    Ok(started)
}

/// Stands for the run that a dry run does not make.
const WOULD_BE: i64 = 0;

/// Inserts the run with its targets, or finds the one that an index says is there.
pub(in crate::ops) async fn make(
    context: &mut Context,
    frozen: &Frozen,
    start: &NewStart<'_>,
) -> Result<Started> {
    operation_type::check(start.run_type)?;
    operation_type::require(start.run_type)?;
    check_inputs(start.inputs)?;
    check_request_id(start.request_id)?;
    if *context.permit().actor() != Actor::System {
        check_reserved(start.request_id)?;
    }
    let identity = match start.entry {
        Entry::ReuseByIdentity(text) => {
            identity_hash(start.run_type, &frozen.scope_json, &json!({ "identity": text }))
        }
        Entry::ReuseByInputs | Entry::Strict => {
            identity_hash(start.run_type, &frozen.scope_json, start.inputs)
        }
    };
    let identity = identity.as_str();
    let total = u64::try_from(frozen.targets.len()).unwrap_or(u64::MAX);
    let counts = SummaryCounts::default().with(CountKey::Total, total).with(CountKey::Processed, 0);
    let now = context.now();
    let glass = context.permit().break_glass();
    let mut facts = start.facts.clone();
    if let Some(glass) = glass {
        facts["break_glass"] = break_glass::facts(glass);
    }
    let break_glass = glass.is_some();
    let holder = context.permit().holder().map(|h| (h.platform_user_id, h.username.clone()));
    let rehearses = context.rehearses();
    let tx = context.tx()?;
    let new = NewRun {
        workspace_id: frozen.workspace_id,
        tenant_id: frozen.tenant_id,
        user_id: start.customer.map(|(id, _)| id),
        platform_user_id: holder.as_ref().map(|(id, _)| *id),
        initiator_name: start
            .customer
            .map(|(_, name)| name)
            .or(holder.as_ref().map(|(_, name)| name.as_str())),
        source: start.source.as_str(),
        run_type: start.run_type,
        scope_kind: frozen.kind.as_str(),
        identity_hash: identity,
        request_id: start.request_id,
        summary_counts: &counts.to_json(),
        context: &facts,
        rollout: &json!(start.rollout),
        retry_of: start.retry_of,
        plan_id: start.plan_id,
        break_glass,
        targets: &frozen.targets,
        now,
    };
    // The other run may end between our refused insert and our look; then there is room
    // again, and one more try makes it.
    for _ in 0..3 {
        if !rehearses && let Some(run_id) = run_write::insert(tx, &new).await.map_err(unwritten)? {
            return Ok(Started { run_id, created: true });
        }
        if let Some(request_id) = start.request_id
            && let Some(made) = run_write::by_request_id(tx, request_id).await?
        {
            let by = (holder.as_ref().map(|(id, _)| *id), start.customer.map(|(id, _)| id));
            if made.identity_hash != identity || (made.platform_user_id, made.user_id) != by {
                return Err(used_request_id());
            }
            return Ok(Started { run_id: made.id, created: false });
        }
        if let Some(run_id) = run_write::active_by_identity(tx, identity).await? {
            if *start.entry == Entry::Strict {
                return Err(Error::refused(format!(
                    "run {run_id} of the same kind is already running"
                ))
                .hint(format!("view it with: tenantpilot runs show {run_id}")));
            }
            return Ok(Started { run_id, created: false });
        }
        if rehearses {
            return Ok(Started { run_id: WOULD_BE, created: true });
        }
    }
    Err(Error::new(crate::ErrorKind::TimedOut, "runs of this kind start and end too quickly")
        .hint("try again"))
}

/// The answer to an idempotency key that made another run.
pub(in crate::ops) fn used_request_id() -> Error {
    Error::refused("that idempotency key was used for another start")
        .hint("use a new idempotency key for a new request")
}

/// Looks up the run that a request made.
#[derive(Debug, Clone)]
pub struct FindRequest {
    /// Idempotency key.
    pub request_id: String,
}

impl Operation for FindRequest {
    const NAME: &'static str = "runs.find_request";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Read;
    /// The run, if there is one.
    type Output = Option<i64>;

    async fn execute(self, context: &mut Context) -> Result<Option<i64>> {
        let found = run_write::by_request_id(context.tx()?, &self.request_id).await?;
        Ok(found.map(|made| made.id))
    }
}

/// Takes the locks that keep runs of a runbook apart; the refusal names the other run, where the
/// actor may see it.
pub(in crate::ops) async fn lock_scope(
    tx: &mut Tx,
    runbook: &str,
    run_id: i64,
    frozen: &Frozen,
    view: ViewScope,
) -> Result<()> {
    let many = frozen.kind != ScopeKind::Tenant;
    let tenants: Vec<i64> = frozen.targets.iter().flatten().copied().collect();
    let held = if run_id == WOULD_BE {
        scope_locks::held(tx, runbook, many, &tenants).await?
    } else {
        let tenants = i64::try_from(tenants.len()).unwrap_or(i64::MAX);
        scope_locks::take(tx, runbook, run_id, many, tenants).await?
    };
    let Some(held) = held else { return Ok(()) };
    let (runbook, about) = runbook.split_once(':').unwrap_or((runbook, ""));
    let other = held.run_id;
    if other == 0 {
        return Err(Error::refused(format!("another run of {runbook} has just ended"))
            .hint("run a new preflight"));
    }
    if run_read::by_id(tx, other, view).await?.is_none() {
        return Err(Error::refused(format!("another run of {runbook} is active"))
            .hint("it is outside of your view; try again once it has ended"));
    }
    let at = match held.tenant_name {
        Some(name) => format!("at tenant {} ({})", held.tenant_id, SafeText::new(&name)),
        None if !about.is_empty() => format!("at {about}, and only one may be"),
        None => "over many tenants at once, and only one may be".to_owned(),
    };
    Err(Error::refused(format!("run {other} of {runbook} is already {at}"))
        .hint(format!("wait for its end, or look at it: tenantpilot runs show {other}")))
}

/// A scope with its tenants looked up.
pub(in crate::ops) struct Frozen {
    /// What kind of scope it is.
    pub kind: ScopeKind,
    /// The workspace it lies in, where it is one.
    pub workspace_id: Option<i64>,
    /// The tenant, where it is one.
    pub tenant_id: Option<i64>,
    /// Its targets; none stands for the platform itself.
    pub targets: Vec<Option<i64>>,
    /// The scope as the identity sees it.
    pub scope_json: Value,
}

/// Looks up the tenants of a scope and refuses what is outside the allowed universe.
/// `within` is a customer's own workspace, `view` what a platform user may see; tenants that
/// were named one by one are held against archiving.
pub(in crate::ops) async fn freeze(
    tx: &mut Tx,
    scope: &RunScope,
    within: Option<i64>,
    view: ViewScope,
) -> Result<Frozen> {
    resolve(tx, scope, Eyes { within, view, hold: true }).await
}

/// The same without holding anything.
pub(in crate::ops) async fn look(tx: &mut Tx, scope: &RunScope, view: ViewScope) -> Result<Frozen> {
    resolve(tx, scope, Eyes { within: None, view, hold: false }).await
}

/// How somebody looks at tenants.
#[derive(Debug, Clone, Copy)]
struct Eyes {
    within: Option<i64>,
    view: ViewScope,
    hold: bool,
}

async fn resolve(tx: &mut Tx, scope: &RunScope, eyes: Eyes) -> Result<Frozen> {
    let Eyes { within, view, .. } = eyes;
    let many = |kind, workspace_id, ids: Vec<i64>, scope_json| Frozen {
        kind,
        workspace_id,
        tenant_id: None,
        targets: ids.into_iter().map(Some).collect(),
        scope_json,
    };
    Ok(match scope {
        RunScope::Tenant(id) => {
            let tenant = allowed(tx, *id, eyes).await?;
            Frozen {
                kind: ScopeKind::Tenant,
                workspace_id: Some(tenant.workspace_id),
                tenant_id: Some(tenant.id),
                targets: vec![Some(tenant.id)],
                scope_json: scope.to_json(),
            }
        }
        RunScope::Tenants(ids) => {
            if ids.is_empty() {
                return Err(Error::usage("no tenant was chosen")
                    .hint("name the tenants, or choose all explicitly"));
            }
            let ids = scope.tenants().unwrap_or_default();
            let workspaces = workspaces_of(tx, &ids, eyes).await?;
            let workspace_id =
                if workspaces.len() == 1 { workspaces.first().copied() } else { None };
            many(ScopeKind::Tenants, workspace_id, ids, scope.to_json())
        }
        RunScope::Workspace(id) => {
            if within.is_some_and(|own| own != *id) || !customers::in_view(tx, *id, view).await? {
                return Err(Error::not_found(format!("workspace {id}")));
            }
            let tenants = customers::allowed_tenants(tx, Some(*id)).await?;
            if tenants.is_empty() {
                return Err(Error::not_found(format!("an allowed tenant of workspace {id}")));
            }
            let ids = tenants.into_iter().map(|t| t.id).collect();
            many(ScopeKind::Workspace, Some(*id), ids, scope.to_json())
        }
        RunScope::All => {
            if within.is_some() {
                return Err(Error::not_found("that scope"));
            }
            if view != ViewScope::All {
                return Err(Error::restricted()
                    .hint("choose tenants or a workspace of your view instead of all"));
            }
            let ids =
                customers::allowed_tenants(tx, None).await?.into_iter().map(|t| t.id).collect();
            many(ScopeKind::All, None, ids, scope.to_json())
        }
        RunScope::Platform => {
            if within.is_some() {
                return Err(Error::not_found("that scope"));
            }
            if view != ViewScope::All {
                return Err(Error::restricted());
            }
            Frozen {
                kind: ScopeKind::Platform,
                workspace_id: None,
                tenant_id: None,
                targets: vec![None],
                scope_json: scope.to_json(),
            }
        }
    })
}

/// The workspaces of tenants that may all be aimed at.
async fn workspaces_of(tx: &mut Tx, ids: &[i64], eyes: Eyes) -> Result<Vec<i64>> {
    // One look at all tenants is cheaper than one look at each of many.
    const FEW: usize = 20;
    let Eyes { within, view, .. } = eyes;
    let known: HashMap<i64, i64> = if ids.len() > FEW && view == ViewScope::All {
        let all = customers::allowed_tenants(tx, within).await?;
        all.into_iter().map(|tenant| (tenant.id, tenant.workspace_id)).collect()
    } else {
        HashMap::new()
    };
    // Says what is wrong with one that is not among them.
    let others = ids.iter().copied().filter(|id| !known.contains_key(id));
    let others = each!(tx, others, |tx, id| allowed(tx, id, eyes))?;
    let found = others.iter().map(|tenant| tenant.workspace_id);
    Ok(found
        .chain(ids.iter().filter_map(|id| known.get(id).copied()))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect())
}

/// A tenant that may be aimed at. What does not exist and what belongs to others get the
/// same answer.
async fn allowed(tx: &mut Tx, id: i64, eyes: Eyes) -> Result<customers::TenantRow> {
    let Eyes { within, view, hold } = eyes;
    let tenant = customers::tenant(tx, id, hold)
        .await?
        .filter(|tenant| within.is_none_or(|own| own == tenant.workspace_id))
        .ok_or_else(|| Error::not_found(format!("tenant {id}")))?;
    if !customers::in_view(tx, tenant.workspace_id, view).await? {
        return Err(Error::not_found(format!("tenant {id}")));
    }
    if tenant.is_platform {
        return Err(Error::refused(format!(
            "tenant {id} is the platform's own; runs never aim at it"
        )));
    }
    if tenant.archived {
        return Err(Error::refused(format!("tenant {id} is archived; runs never aim at it")));
    }
    Ok(tenant)
}
