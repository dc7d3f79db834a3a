//! Plans: what a preflight found, stored once and never changed.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::types::Json;

use super::run_read::restricted_to;
use super::sql;
use super::{Tx, on_tx};
use crate::Result;
use crate::access::ViewScope;
use crate::domain::plan::TargetCounts;

/// A plan as stored.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct PlanRow {
    /// Id.
    pub id: i64,
    /// The runbook's key.
    pub runbook: String,
    /// Scope kind.
    pub scope_kind: String,
    /// The scope, as a run's identity sees it.
    pub scope: Json<Value>,
    /// Inputs.
    pub inputs: Json<Value>,
    /// Hash over all of it.
    pub hash: String,
    /// Records that would change.
    pub affected_count: i64,
    /// Records there are.
    pub total_count: i64,
    /// Tenants aimed at; 0 for the platform itself.
    pub tenant_count: i64,
    /// Tenants with something to change.
    pub affected_tenant_count: i64,
    /// Tenants that might have been aimed at.
    pub fleet_count: i64,
    /// The phrase that confirms the start.
    pub phrase: String,
    /// Whether only the phrase confirms it.
    pub must_confirm: bool,
    /// Expected duration, from history.
    pub expected_seconds: Option<i64>,
    /// How many runs that is drawn from.
    pub expected_runs: i64,
    /// Whose it is; none: the system's.
    pub platform_user_id: Option<i64>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it stops being good.
    pub expires_at: DateTime<Utc>,
    /// The run that used it.
    pub used_by_run_id: Option<i64>,
}

/// A plan to store.
#[derive(Debug)]
pub struct NewPlan<'a> {
    /// The runbook's key.
    pub runbook: &'a str,
    /// Scope kind.
    pub scope_kind: &'a str,
    /// The scope, as a run's identity sees it.
    pub scope: &'a Value,
    /// Inputs.
    pub inputs: &'a Value,
    /// Hash over all of it.
    pub hash: &'a str,
    /// Targets, in the order in which a run takes them.
    pub targets: &'a [TargetCounts],
    /// Tenants that might have been aimed at.
    pub fleet_count: i64,
    /// The phrase that confirms the start.
    pub phrase: &'a str,
    /// Whether only the phrase confirms it.
    pub must_confirm: bool,
    /// Expected duration and the number of runs it is drawn from.
    pub expected: Option<(i64, i64)>,
    /// Whose it is.
    pub platform_user_id: Option<i64>,
    /// Now.
    pub now: DateTime<Utc>,
    /// When it stops being good.
    pub expires_at: DateTime<Utc>,
}

/// Stores a plan with its targets; gives it as stored.
pub async fn insert(tx: &mut Tx, new: &NewPlan<'_>) -> Result<PlanRow> {
    macro_rules! plan {
        () => {
            "insert into runbook_plans (runbook, scope_kind, scope, inputs, hash, affected_count, total_count, \
             tenant_count, fleet_count, phrase, must_confirm, expected_seconds, expected_runs, \
             platform_user_id, created_at, expires_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) returning id"
        };
    }
    let mut row = new.row();
    let bound = |statement: sql::QueryScalar<i64>| {
        statement
            .bind(&row.runbook)
            .bind(&row.scope_kind)
            .bind(Json(new.scope))
            .bind(Json(new.inputs))
            .bind(&row.hash)
            .bind(row.affected_count)
            .bind(row.total_count)
            .bind(row.tenant_count)
            .bind(row.fleet_count)
            .bind(&row.phrase)
            .bind(row.must_confirm)
            .bind(row.expected_seconds)
            .bind(row.expected_runs)
            .bind(row.platform_user_id)
            .bind(row.created_at)
            .bind(row.expires_at)
    };
    // One statement for many rows: they travel as one JSON array, which both engines unfold.
    let targets: Vec<Value> =
        new.targets.iter().map(|t| json!([t.tenant_id, t.affected, t.total])).collect();
    row.id = match tx {
        Tx::Postgres(transaction) => {
            let statement = concat!(
                "with plan as (",
                plan!(),
                "), targets as (insert into runbook_plan_targets \
                 (plan_id, ordinal, tenant_id, affected_count, total_count) \
                 select plan.id, t.n - 1, (t.r ->> 0)::bigint, (t.r ->> 1)::bigint, (t.r ->> 2)::bigint \
                 from plan, jsonb_array_elements($17) with ordinality as t (r, n)) select id from plan"
            );
            let statement = bound(sql::query_scalar(statement)).bind(Json(targets));
            statement.fetch_one(&mut *transaction).await?
        }
        Tx::Sqlite(transaction) => {
            let id = bound(sql::query_scalar(plan!())).fetch_one(&mut **transaction).await?;
            sql::query(
                "insert into runbook_plan_targets (plan_id, ordinal, tenant_id, affected_count, total_count) \
                 select $1, t.key, json_extract(t.value, '$[0]'), json_extract(t.value, '$[1]'), \
                 json_extract(t.value, '$[2]') from json_each($2) t",
            )
            .bind(id)
            .bind(Json(targets))
            .execute(&mut **transaction)
            .await?;
            id
        }
    };
    Ok(row)
}

impl NewPlan<'_> {
    /// The row that it makes, without its id.
    fn row(&self) -> PlanRow {
        let sum = |of: fn(&TargetCounts) -> i64| {
            self.targets.iter().fold(0_i64, |sum, target| sum.saturating_add(of(target)))
        };
        let tenants = || self.targets.iter().filter(|target| target.tenant_id.is_some());
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        PlanRow {
            id: 0,
            runbook: self.runbook.to_owned(),
            scope_kind: self.scope_kind.to_owned(),
            scope: Json(self.scope.clone()),
            inputs: Json(self.inputs.clone()),
            hash: self.hash.to_owned(),
            affected_count: sum(|target| target.affected),
            total_count: sum(|target| target.total),
            tenant_count: count(tenants().count()),
            affected_tenant_count: count(tenants().filter(|target| target.affected > 0).count()),
            fleet_count: self.fleet_count,
            phrase: self.phrase.to_owned(),
            must_confirm: self.must_confirm,
            expected_seconds: self.expected.map(|(seconds, _)| seconds),
            expected_runs: self.expected.map_or(0, |(_, runs)| runs),
            platform_user_id: self.platform_user_id,
            created_at: self.now,
            expires_at: self.expires_at,
            used_by_run_id: None,
        }
    }
}

/// A plan by id. `hold` keeps its row until the transaction ends, so that it is used once.
pub async fn by_id(tx: &mut Tx, id: i64, hold: bool) -> Result<Option<PlanRow>> {
    macro_rules! select {
        () => {
            "select p.id, p.runbook, p.scope_kind, p.scope, p.inputs, p.hash, p.affected_count, \
             p.total_count, p.tenant_count, p.fleet_count, p.phrase, p.must_confirm, \
             p.expected_seconds, p.expected_runs, p.platform_user_id, p.created_at, p.expires_at, \
             p.used_by_run_id, (select count(*) from runbook_plan_targets t where t.plan_id = p.id \
             and t.affected_count > 0 and t.tenant_id is not null) as affected_tenant_count \
             from runbook_plans p where p.id = $1"
        };
    }
    on_tx!(tx, c => {
        let sql = if hold { concat!(select!(), for_update!()) } else { select!() };
        Ok(sql::query_as(sql).bind(id).fetch_optional(c).await?)
    })
}

/// Whether every target of a plan lies within a view; the platform itself lies within an
/// unrestricted one only.
pub async fn in_view(tx: &mut Tx, plan_id: i64, view: ViewScope) -> Result<bool> {
    let ViewScope::Restricted { platform_user_id } = view else { return Ok(true) };
    on_tx!(tx, c => {
        let outside: i64 = sql::query_scalar(
            "select count(*) from (select 1 from runbook_plan_targets g \
             left join tenants t on t.id = g.tenant_id where g.plan_id = $1 \
             and (t.id is null or t.workspace_id not in (select v.workspace_id \
             from platform_user_workspaces v where v.platform_user_id = $2)) limit 1) o",
        )
        .bind(plan_id)
        .bind(platform_user_id)
        .fetch_one(c)
        .await?;
        Ok(outside == 0)
    })
}

/// The targets of a plan, in their order.
pub async fn targets(tx: &mut Tx, plan_id: i64) -> Result<Vec<TargetCounts>> {
    let rows: Vec<(Option<i64>, i64, i64)> = on_tx!(tx, c => {
        sql::query_as(
            "select tenant_id, affected_count, total_count from runbook_plan_targets \
             where plan_id = $1 order by ordinal",
        )
        .bind(plan_id)
        .fetch_all(c)
        .await?
    });
    let counts = |(tenant_id, affected, total)| TargetCounts { tenant_id, affected, total };
    Ok(rows.into_iter().map(counts).collect())
}

/// Notes that a run has used a plan; false if another one did before.
pub async fn use_up(tx: &mut Tx, plan_id: i64, run_id: i64) -> Result<bool> {
    on_tx!(tx, c => {
        let done = sql::query(
            "update runbook_plans set used_by_run_id = $2 where id = $1 and used_by_run_id is null",
        )
        .bind(plan_id)
        .bind(run_id)
        .execute(c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Removes at most `limit` plans that were never used and have not been good since `before`. The
/// newest stays whatever its age: its id must not be given away again.
pub async fn forget(tx: &mut Tx, before: DateTime<Utc>, limit: i64) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(
            "delete from runbook_plans where id in (select id from runbook_plans \
             where used_by_run_id is null and expires_at < $1 \
             and id < (select max(id) from runbook_plans) order by expires_at limit $2)",
        )
        .bind(before)
        .bind(limit)
        .execute(c)
        .await?;
        Ok(())
    })
}

/// One ended run of a runbook, as far as it tells how long the next will take.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct PastRun {
    /// When it was claimed.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub completed_at: DateTime<Utc>,
    /// How many targets it had.
    pub target_count: i64,
    /// Its counts.
    pub summary_counts: Json<Value>,
}

/// The newest runs of a runbook within a view that succeeded, at most `limit`.
pub async fn history(
    tx: &mut Tx,
    runbook: &str,
    limit: i64,
    view: ViewScope,
) -> Result<Vec<PastRun>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select r.started_at, r.completed_at, r.target_count, r.summary_counts from operation_runs r \
             where r.type = $1 and r.outcome = 'succeeded' and r.started_at is not null \
             and ($3 is null or r.workspace_id in (select v.workspace_id from platform_user_workspaces v \
             where v.platform_user_id = $3)) order by r.created_at desc, r.id desc limit $2",
        )
        .bind(runbook)
        .bind(limit)
        .bind(restricted_to(view))
        .fetch_all(c)
        .await?)
    })
}

/// One target of a plan, with the names that lists show.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, sqlx::FromRow)]
pub struct PlanTarget {
    /// The tenant; none for the platform itself.
    pub tenant_id: Option<i64>,
    /// Its name, as stored.
    pub tenant_name: Option<String>,
    /// Its workspace.
    pub workspace_id: Option<i64>,
    /// The workspace's name, as stored.
    pub workspace_name: Option<String>,
    /// Records that would change.
    pub affected_count: i64,
    /// Records there are.
    pub total_count: i64,
}

/// What narrows a list of targets: text in a name or an id, and whether something changes.
#[derive(Debug, Clone, Default)]
pub struct TargetFilter<'a> {
    /// As `name_matches!` takes it; none: all.
    pub name: Option<&'a str>,
    /// The same text as an id.
    pub id: Option<i64>,
    /// Only those with something to change.
    pub affected_only: bool,
}

/// Targets of a plan, most to change first; and how many match in all.
pub async fn list_targets(
    tx: &mut Tx,
    plan_id: i64,
    filter: &TargetFilter<'_>,
    (offset, limit): (i64, i64),
) -> Result<(Vec<PlanTarget>, i64)> {
    macro_rules! matching {
        () => {
            concat!(
                " from runbook_plan_targets g left join tenants t on t.id = g.tenant_id \
                 left join workspaces w on w.id = t.workspace_id where g.plan_id = $1 \
                 and ($2 is null or ",
                name_matches!("t.name", "$2"),
                " or ",
                name_matches!("w.name", "$2"),
                " or g.tenant_id = $3) and (g.affected_count > 0 or not $4)"
            )
        };
    }
    on_tx!(tx, c => {
        let rows = sql::query_as(concat!(
            "select g.tenant_id, t.name as tenant_name, t.workspace_id, w.name as workspace_name, \
             g.affected_count, g.total_count", matching!(),
            " order by g.affected_count desc, g.ordinal limit $5 offset $6"
        ))
        .bind(plan_id)
        .bind(filter.name)
        .bind(filter.id)
        .bind(filter.affected_only)
        .bind(limit)
        .bind(offset)
        .fetch_all(&mut *c)
        .await?;
        let matching: i64 = sql::query_scalar(concat!("select count(*)", matching!()))
            .bind(plan_id)
            .bind(filter.name)
            .bind(filter.id)
            .bind(filter.affected_only)
            .fetch_one(&mut *c)
            .await?;
        Ok((rows, matching))
    })
}
