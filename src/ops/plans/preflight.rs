//! The preflight: counts what a runbook would change, target by target, and stores the plan.

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::Plan;
use crate::access::Requirement;
use crate::domain::capability::Capability;
use crate::domain::confirmation::{Action, Confirmation, Level};
use crate::domain::plan::{TargetCounts, plan_hash, suspicion};
use crate::domain::run::ScopeKind;
use crate::ops::refusal;
use crate::ops::runs::{Frozen, RunScope, active_workers, look};
use crate::ops::store::plans::{self, PastRun};
use crate::ops::store::{Tx, each, scope_choices, together};
use crate::ops::{About, Access, AuditStatus, Context, Operation, Reader};
use crate::runbooks::{Affected, Runbook};
use crate::{Error, Result};

/// How long a plan is good for.
const LIFETIME: Duration = Duration::minutes(15);
/// Plans that nobody used are kept for so long after they expired.
const KEPT: Duration = Duration::days(7);
/// How many of those are removed with each preflight.
const REMOVED_AT_ONCE: i64 = 20;
/// So many targets are counted at once.
const AT_ONCE: usize = 100;
/// How many earlier runs an expected duration is drawn from.
const PAST_RUNS: i64 = 5;

/// How far a preflight is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Targets counted.
    pub done: usize,
    /// Targets there are.
    pub total: usize,
}

/// Counts what a runbook would change, all targets as of one moment, and stores the plan.
///
/// Given up half-way (its future dropped), it leaves nothing behind.
#[derive(Debug, Clone)]
pub struct Preflight {
    /// The runbook's key.
    pub key: String,
    /// What it would be aimed at.
    pub scope: RunScope,
    /// Its inputs.
    pub inputs: Value,
    /// Where to tell how far it is.
    pub progress: Option<Arc<watch::Sender<Counted>>>,
}

/// What is counted is compared, not where it is reported.
impl PartialEq for Preflight {
    fn eq(&self, other: &Self) -> bool {
        (&self.key, &self.scope, &self.inputs) == (&other.key, &other.scope, &other.inputs)
    }
}

impl Preflight {
    /// A preflight without inputs that tells nobody how far it is.
    pub fn new(key: &str, scope: RunScope) -> Self {
        Self { key: key.to_owned(), scope, inputs: json!({}), progress: None }
    }

    pub(in crate::ops) fn sample() -> Self {
        Self::new("findings.lifecycle_backfill", RunScope::Tenant(0))
    }
}

impl Operation for Preflight {
    const NAME: &'static str = "runbooks.preflight";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::RunbooksView]);
    const ACCESS: Access = Access::Stepwise;
    type Output = Plan;

    fn about(&self) -> About {
        About::of("runbook", &self.key)
    }

    async fn execute(self, context: &mut Context) -> Result<Plan> {
        // One reading transaction: every target is counted as of the same moment.
        context.begin_checked(&Self::REQUIREMENT, false).await?;
        let found = self.look(context).await;
        context.end(false).await?;
        let mut row = context.audit_row(Self::NAME, AuditStatus::Succeeded);
        self.about().mark(&mut row);
        row.metadata = json!({ "scope": refusal::scope_facts(&self.scope) });
        context.begin_checked(&Self::REQUIREMENT, true).await?;
        let done = match found {
            Ok(found) => self.store(context, found, row.clone()).await,
            Err(error) => Err(error),
        };
        match done {
            Ok(plan) => {
                context.end(true).await?;
                Ok(plan)
            }
            Err(error) => {
                let told = refusal::record(context, row, &error).await?;
                context.end_refused(told).await?;
                Err(error)
            }
        }
    }
}

/// What a preflight saw.
struct Found {
    frozen: Frozen,
    /// With what the settings fill in.
    inputs: Value,
    targets: Vec<TargetCounts>,
    names: Vec<(i64, String)>,
    confirmation: Confirmation,
    fleet: i64,
    expected: Option<(i64, i64)>,
    as_of: DateTime<Utc>,
}

impl Preflight {
    async fn look(&self, context: &mut Context) -> Result<Found> {
        let runbook = context.settings().registry.get(&self.key)?.clone();
        if !context.permit().has(runbook.capability()) {
            return Err(Error::forbidden(runbook.capability()));
        }
        runbook.check_inputs(&self.inputs)?;
        let inputs = runbook.settle(context, &self.inputs).await?;
        let (view, as_of) = (context.permit().scope(), context.now());
        let scope = self.scope.plain();
        allowed_scope(runbook.as_ref(), scope.kind())?;
        let (key, progress) = (&self.key, self.progress.as_deref());
        let tx = context.tx()?;
        let (frozen, targets, names, fleet, past) = if let Some(ids) = scope.tenants() {
            let ids: Vec<Option<i64>> = ids.into_iter().map(Some).collect();
            let count = Count { runbook: runbook.as_ref(), inputs: &inputs, as_of, progress };
            together!(
                tx,
                |tx| look(tx, &scope, view),
                |tx| count.targets(tx, &ids),
                |tx| scope_names(tx, &scope),
                |tx| scope_choices::count(tx, view),
                |tx| plans::history(tx, key, PAST_RUNS, view),
            )?
        } else {
            let frozen = look(tx, &scope, view).await?;
            let count = Count { runbook: runbook.as_ref(), inputs: &inputs, as_of, progress };
            let (targets, names, fleet, past) = together!(
                tx,
                |tx| count.targets(tx, &frozen.targets),
                |tx| scope_names(tx, &scope),
                |tx| scope_choices::count(tx, view),
                |tx| plans::history(tx, key, PAST_RUNS, view),
            )?;
            (frozen, targets, names, fleet, past)
        };
        let confirmation =
            confirmation(context, runbook.as_ref(), &frozen, &names, &self.inputs).await?;
        let expected = expected(&past, &targets);
        Ok(Found { frozen, inputs, targets, names, confirmation, fleet, expected, as_of })
    }

    async fn store(
        &self,
        context: &mut Context,
        found: Found,
        mut row: crate::ops::store::audit::NewAudit,
    ) -> Result<Plan> {
        let Found { frozen, inputs, targets, names, confirmation, fleet, expected, as_of } = found;
        let hash = plan_hash(&self.key, &frozen.scope_json, &inputs, &targets);
        let holder = context.permit().holder().map(|holder| holder.platform_user_id);
        let now = context.now();
        let tx = context.tx()?;
        let new = plans::NewPlan {
            runbook: &self.key,
            scope_kind: frozen.kind.as_str(),
            scope: &frozen.scope_json,
            inputs: &inputs,
            hash: &hash,
            targets: &targets,
            fleet_count: fleet,
            phrase: &confirmation.phrase,
            must_confirm: confirmation.level == Level::Phrase,
            expected,
            platform_user_id: holder,
            // It is as old as what it counted.
            now: as_of,
            expires_at: as_of + LIFETIME,
        };
        let ((), stored, active) = together!(
            tx,
            |tx| plans::forget(tx, now - KEPT, REMOVED_AT_ONCE),
            |tx| plans::insert(tx, &new),
            |tx| active_workers(tx),
        )?;
        let id = stored.id;
        let plan = Plan::named(stored, names, &active);
        row.tenant_id = frozen.tenant_id;
        row.workspace_id = frozen.workspace_id;
        row.metadata = json!({
            "scope": refusal::scope_facts(&self.scope), "plan_id": id, "hash": plan.hash,
            "targets": targets.len(), "affected": plan.affected_count, "total": plan.total_count,
            "inputs": plan.inputs,
        });
        context.audit(&row).await?;
        Ok(plan)
    }
}

/// Refuses a kind of scope that a runbook does not take.
pub(in crate::ops) fn allowed_scope(runbook: &dyn Runbook, kind: ScopeKind) -> Result<()> {
    if runbook.scopes().contains(&kind) {
        return Ok(());
    }
    let allowed: Vec<_> = runbook.scopes().iter().map(|kind| kind.as_str()).collect();
    Err(Error::usage(format!("{} cannot be aimed at the scope {kind}", runbook.key()))
        .hint(format!("it takes: {}", allowed.join(", "))))
}

/// What a runbook would change, as of one moment.
#[derive(Clone, Copy)]
pub(in crate::ops) struct Count<'a> {
    /// The runbook.
    pub runbook: &'a dyn Runbook,
    /// Its inputs, settled.
    pub inputs: &'a Value,
    /// The moment.
    pub as_of: DateTime<Utc>,
    /// Where to tell how far it is.
    pub progress: Option<&'a watch::Sender<Counted>>,
}

impl Count<'_> {
    /// Counts it at each target.
    pub(in crate::ops) async fn targets(
        self,
        tx: &mut Tx,
        targets: &[Option<i64>],
    ) -> Result<Vec<TargetCounts>> {
        let total = targets.len();
        let mut counts = Vec::with_capacity(total);
        for some in targets.chunks(AT_ONCE) {
            let counted: Vec<Affected> = each!(tx, some, |tx, tenant_id| self.runbook.preflight(
                Reader { tx },
                *tenant_id,
                self.inputs,
                self.as_of
            ))?;
            let of = |(tenant_id, of): (&Option<i64>, Affected)| TargetCounts {
                tenant_id: *tenant_id,
                affected: of.affected,
                total: of.total,
            };
            counts.extend(some.iter().zip(counted).map(of));
            if let Some(progress) = self.progress {
                progress.send_replace(Counted { done: counts.len(), total });
            }
        }
        Ok(counts)
    }
}

/// What the tenants of a scope, or its workspace, are called, by id; nothing where it names none.
pub(in crate::ops) async fn scope_names(
    tx: &mut Tx,
    scope: &RunScope,
) -> Result<Vec<(i64, String)>> {
    match (scope, scope.tenants()) {
        (_, Some(ids)) => scope_choices::names(tx, &ids).await,
        (RunScope::Workspace(id), _) => scope_choices::workspace_name(tx, *id).await,
        _ => Ok(Vec::new()),
    }
}

/// What confirms a start of a runbook on these targets, by their names and the platform's settings
/// of this moment.
pub(in crate::ops) async fn confirmation(
    context: &mut Context,
    runbook: &dyn Runbook,
    frozen: &Frozen,
    names: &[(i64, String)],
    inputs: &Value,
) -> Result<Confirmation> {
    let word = runbook.word();
    if frozen.kind == ScopeKind::Platform {
        let exact = runbook.exact_phrase(context, inputs).await?;
        return Confirmation::of(&Action::Platform { word, exact: exact.as_deref() });
    }
    let named = matches!(frozen.kind, ScopeKind::Tenant | ScopeKind::Tenants);
    let odd = names.iter().filter(|(_, name)| named && suspicion(name).is_some());
    let odd: Vec<i64> = odd.map(|(id, _)| *id).collect();
    Confirmation::of(&Action::Tenants { word, count: frozen.targets.len(), odd: &odd })
}

/// How many seconds the same work took before, and how many runs say so: the median of the
/// newest ones, by record where they counted records, else by target.
fn expected(past: &[PastRun], targets: &[TargetCounts]) -> Option<(i64, i64)> {
    let records = targets.iter().fold(0_i64, |sum, target| sum.saturating_add(target.total));
    #[expect(clippy::cast_precision_loss, reason = "an estimate, shown in whole seconds")]
    let mut seconds: Vec<f64> = past
        .iter()
        .map(|run| {
            let took = (run.completed_at - run.started_at).num_milliseconds().max(0) as f64;
            let items = run.summary_counts.get("items").and_then(Value::as_i64).unwrap_or(0);
            let (was, is) = if items > 0 {
                (items as f64, records as f64)
            } else {
                (run.target_count.max(1) as f64, targets.len() as f64)
            };
            took * is / was / 1000.0
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    let runs = i64::try_from(seconds.len()).unwrap_or(i64::MAX);
    // Ten years are as good as any longer time.
    #[expect(clippy::cast_possible_truncation, reason = "kept within range just before")]
    let median = seconds.get(seconds.len() / 2).map(|s| s.clamp(0.0, 315_360_000.0).ceil() as i64);
    median.map(|median| (median, runs))
}
