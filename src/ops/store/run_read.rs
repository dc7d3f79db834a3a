//! Reading one run and what belongs to it.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use super::sql;
use super::{Tx, on_tx, retries};
use crate::access::ViewScope;
use crate::domain::operation_type;
use crate::domain::run::{Lease, Run, RunFailure, RunTarget};
use crate::domain::run_facts::{Basis, Busy, Left};
use crate::domain::sanitize;
use crate::domain::summary_counts::SummaryCounts;
use crate::{Error, Result};

/// The columns of a run as lists and details read them; `r` is the run. What is left is looked up for
/// each row that is given; for an `exists` PostgreSQL may read the targets of all runs instead.
macro_rules! run_columns {
    () => {
        concat!(
            "r.id, r.workspace_id, w.name as workspace_name, r.tenant_id, t.name as tenant_name, r.user_id, \
         r.platform_user_id, r.initiator_name, r.source, r.type, r.scope_kind, r.status, r.outcome, \
         r.reason_code, r.identity_hash, r.summary_counts, r.target_count, r.fence, r.lease_owner, \
         r.paused_at, r.cancel_requested_at, r.audit_gaps, r.break_glass, r.created_at, r.queued_at, r.started_at, \
         r.completed_at, r.updated_at, \
         case when r.scope_kind = 'platform' then r.context -> 'inputs' end as platform_inputs, \
         (r.status = 'completed' and r.outcome <> 'succeeded' and (select 1 from operation_run_targets lg \
         where lg.run_id = r.id and lg.status in ('failed', 'skipped') limit 1) is not null) as left_any, \
         case when r.status = 'completed' and r.outcome <> 'succeeded' then (select count(*) from (select 1 \
         from operation_run_targets lg left join tenants lt on lt.id = lg.tenant_id \
         left join workspaces lw on lw.id = lt.workspace_id where lg.run_id = r.id \
         and lg.status in ('failed', 'skipped') and (lg.tenant_id is null or (lt.archived_at is null \
         and lw.archived_at is null and not lt.is_platform)) limit 101) lb) else 0 end as left_targets, ",
            $crate::ops::store::retries::retry_columns!()
        )
    };
}
pub(super) use run_columns;

/// The names that go with a run's ids.
macro_rules! run_joins {
    () => {
        " left join workspaces w on w.id = r.workspace_id left join tenants t on t.id = r.tenant_id "
    };
}
pub(super) use run_joins;

/// Whether the lease of run `r` has run out at the moment that an SQL text tells. Leases are
/// looked up for the rows that are given only, one by one.
macro_rules! overdue {
    ($now:expr) => {
        concat!(
            "coalesce(case when r.status = 'running' then (select l.expires_at < ",
            $now,
            " from operation_run_leases l where l.run_id = r.id) end, false)"
        )
    };
}
pub(super) use overdue;

/// A run as the driver gives it.
#[derive(Debug, sqlx::FromRow)]
pub struct RunRow {
    id: i64,
    workspace_id: Option<i64>,
    workspace_name: Option<String>,
    tenant_id: Option<i64>,
    tenant_name: Option<String>,
    user_id: Option<i64>,
    platform_user_id: Option<i64>,
    initiator_name: Option<String>,
    source: String,
    #[sqlx(rename = "type")]
    run_type: String,
    platform_inputs: Option<Json<Value>>,
    scope_kind: String,
    status: String,
    outcome: String,
    reason_code: Option<String>,
    identity_hash: String,
    summary_counts: Json<Value>,
    target_count: i64,
    fence: i64,
    lease_owner: Option<String>,
    lease_overdue: bool,
    paused_at: Option<DateTime<Utc>>,
    cancel_requested_at: Option<DateTime<Utc>>,
    audit_gaps: i64,
    break_glass: bool,
    created_at: DateTime<Utc>,
    queued_at: Option<DateTime<Utc>>,
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    updated_at: DateTime<Utc>,
    left_any: bool,
    left_targets: i64,
    retried: Option<String>,
    busy_with: Option<i64>,
}

impl TryFrom<RunRow> for Run {
    type Error = Error;

    fn try_from(row: RunRow) -> Result<Self> {
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            workspace_name: row.workspace_name,
            tenant_id: row.tenant_id,
            tenant_name: row.tenant_name,
            user_id: row.user_id,
            platform_user_id: row.platform_user_id,
            initiator_name: row.initiator_name,
            source: row.source.parse()?,
            subject: row.platform_inputs.and_then(|inputs| {
                operation_type::subject(&row.run_type, &inputs.0).map(str::to_owned)
            }),
            run_type: row.run_type,
            scope: row.scope_kind.parse()?,
            status: row.status.parse()?,
            outcome: row.outcome.parse()?,
            reason_code: row.reason_code,
            identity_hash: row.identity_hash,
            // A count that this version does not know is left out of what is shown.
            summary_counts: SummaryCounts::from_json(&row.summary_counts.0).unwrap_or_default(),
            target_count: row.target_count,
            fence: row.fence,
            lease_owner: row.lease_owner,
            lease_overdue: row.lease_overdue,
            paused_at: row.paused_at,
            cancel_requested_at: row.cancel_requested_at,
            audit_gaps: row.audit_gaps,
            break_glass: row.break_glass,
            created_at: row.created_at,
            queued_at: row.queued_at,
            started_at: row.started_at,
            completed_at: row.completed_at,
            updated_at: row.updated_at,
            basis: Basis {
                left: Left { any: row.left_any, targets: row.left_targets },
                retried_as: row.retried.as_deref().and_then(retries::as_stored),
                busy: row.busy_with.map(Busy::as_stored),
                ..Basis::default()
            },
        })
    }
}

/// The condition that keeps rows outside of a restricted view away, on run `r` and a
/// platform user bound as `$2` (null: sees all).
macro_rules! in_view {
    () => {
        " and ($2 is null or exists (select 1 from platform_user_workspaces v \
         where v.platform_user_id = $2 and v.workspace_id = r.workspace_id)) "
    };
}
pub(super) use in_view;

/// Who restricts a view, as it is bound.
pub fn restricted_to(scope: ViewScope) -> Option<i64> {
    match scope {
        ViewScope::All => None,
        ViewScope::Restricted { platform_user_id } => Some(platform_user_id),
    }
}

/// One run within a view.
pub async fn by_id(tx: &mut Tx, id: i64, scope: ViewScope) -> Result<Option<Run>> {
    let row: Option<RunRow> = on_tx!(tx, c => {
        sql::query_as(concat!(
            "select ", run_columns!(), ", ", overdue!(database_now!()),
            " as lease_overdue from operation_runs r", run_joins!(), "where r.id = $1", in_view!(),
            "and not exists (select 1 from operation_runs_leaving x where x.run_id = r.id)"
        ))
        .bind(id)
        .bind(restricted_to(scope))
        .fetch_optional(c)
        .await?
    });
    row.map(Run::try_from).transpose()
}

/// The context of a run.
pub async fn context(tx: &mut Tx, id: i64) -> Result<Value> {
    let context: Json<Value> = on_tx!(tx, c => {
        sql::query_scalar("select context from operation_runs where id = $1").bind(id).fetch_one(c).await?
    });
    Ok(context.0)
}

/// How the targets of a run are worked through, as stored.
pub async fn rollout(tx: &mut Tx, id: i64) -> Result<Value> {
    let rollout: Json<Value> = on_tx!(tx, c => {
        sql::query_scalar("select rollout from operation_runs where id = $1").bind(id).fetch_one(c).await?
    });
    Ok(rollout.0)
}

/// What a retry of a run would cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retryable {
    /// Targets that failed or never ran.
    pub total: i64,
    /// Their tenants, as far as they may still be aimed at.
    pub tenants: Vec<i64>,
}

/// The failed and skipped targets of a run.
pub async fn retryable(tx: &mut Tx, run_id: i64) -> Result<Retryable> {
    on_tx!(tx, c => {
        let total = sql::query_scalar(
            "select count(*) from operation_run_targets where run_id = $1 and status in ('failed', 'skipped')",
        )
        .bind(run_id)
        .fetch_one(&mut *c)
        .await?;
        let tenants = sql::query_scalar(
            "select g.tenant_id from operation_run_targets g join tenants t on t.id = g.tenant_id \
             join workspaces w on w.id = t.workspace_id where g.run_id = $1 \
             and g.status in ('failed', 'skipped') and t.archived_at is null and w.archived_at is null \
             and not t.is_platform order by g.tenant_id",
        )
        .bind(run_id)
        .fetch_all(c)
        .await?;
        Ok(Retryable { total, tenants })
    })
}

#[derive(sqlx::FromRow)]
struct TargetRow {
    ordinal: i64,
    tenant_id: Option<i64>,
    tenant_name: Option<String>,
    status: String,
    starts: i64,
    reason_code: Option<String>,
    items: i64,
    failed_items: i64,
    item_total: Option<i64>,
    updated_at: DateTime<Utc>,
}

/// The targets of a run, failed ones first, then pending, at most `limit`.
pub async fn targets(tx: &mut Tx, run_id: i64, limit: i64) -> Result<Vec<RunTarget>> {
    let rows: Vec<TargetRow> = on_tx!(tx, c => {
        sql::query_as(
            "select g.ordinal, g.tenant_id, t.name as tenant_name, g.status, g.starts, \
             coalesce(g.reason_code, g.skip_reason) as reason_code, \
             g.items, g.failed_items, g.item_total, g.updated_at \
             from operation_run_targets g left join tenants t on t.id = g.tenant_id where g.run_id = $1 \
             order by case g.status when 'failed' then 0 when 'pending' then 1 when 'skipped' then 2 else 3 end, \
             g.ordinal limit $2",
        )
        .bind(run_id)
        .bind(limit)
        .fetch_all(c)
        .await?
    });
    rows.into_iter()
        .map(|row| {
            Ok(RunTarget {
                ordinal: row.ordinal,
                tenant_id: row.tenant_id,
                tenant_name: row.tenant_name,
                status: row.status.parse()?,
                starts: row.starts,
                reason_code: row.reason_code,
                items: row.items,
                failed_items: row.failed_items,
                item_total: row.item_total,
                updated_at: row.updated_at,
            })
        })
        .collect()
}

#[derive(sqlx::FromRow)]
struct FailureRow {
    id: i64,
    tenant_id: Option<i64>,
    tenant_name: Option<String>,
    reason_code: String,
    message: String,
    occurred_at: DateTime<Utc>,
}

/// The failures of a run, newest first, at most `limit`.
pub async fn failures(tx: &mut Tx, run_id: i64, limit: i64) -> Result<Vec<RunFailure>> {
    let rows: Vec<FailureRow> = on_tx!(tx, c => {
        sql::query_as(
            "select f.id, f.tenant_id, t.name as tenant_name, f.reason_code, f.message, f.occurred_at \
             from operation_run_failures f left join tenants t on t.id = f.tenant_id \
             where f.run_id = $1 order by f.id desc limit $2",
        )
        .bind(run_id)
        .bind(limit)
        .fetch_all(c)
        .await?
    });
    Ok(rows
        .into_iter()
        .map(|row| RunFailure {
            id: row.id,
            tenant_id: row.tenant_id,
            tenant_name: row.tenant_name,
            reason_code: row.reason_code,
            // Again: whoever wrote it may have known fewer rules.
            message: sanitize::message(&row.message),
            occurred_at: row.occurred_at,
        })
        .collect())
}

/// How many failures a run has per reason, most first.
pub async fn failure_groups(tx: &mut Tx, run_id: i64) -> Result<Vec<(String, i64)>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select reason_code, count(*) from operation_run_failures where run_id = $1 \
             group by reason_code order by count(*) desc, reason_code",
        )
        .bind(run_id)
        .fetch_all(c)
        .await?)
    })
}

#[derive(sqlx::FromRow)]
struct LeaseRow {
    owner: String,
    worker: Option<String>,
    now: DateTime<Utc>,
    overdue: bool,
    acquired_at: DateTime<Utc>,
    heartbeat_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

/// The lease of a run.
pub async fn lease(tx: &mut Tx, run_id: i64) -> Result<Option<Lease>> {
    let row: Option<LeaseRow> = on_tx!(tx, c => {
        sql::query_as(concat!(
            "select l.owner, k.name as worker, l.acquired_at, l.heartbeat_at, l.expires_at, ",
            database_now!(), " as now, l.expires_at < ", database_now!(), " as overdue \
             from operation_run_leases l left join workers k on k.id = l.owner where l.run_id = $1"
        ))
        .bind(run_id)
        .fetch_optional(c)
        .await?
    });
    Ok(row.map(|row| Lease {
        overdue_seconds: row.overdue.then(|| (row.now - row.expires_at).num_seconds().max(0)),
        owner: row.owner,
        worker: row.worker,
        acquired_at: row.acquired_at,
        heartbeat_at: row.heartbeat_at,
        expires_at: row.expires_at,
    }))
}

/// How many other runs within the view failed for the reason of this run since `since`, counted up
/// to `bound`.
pub async fn same_reason(
    tx: &mut Tx,
    run_id: i64,
    since: DateTime<Utc>,
    bound: i64,
    scope: ViewScope,
) -> Result<i64> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar(concat!(
            "select count(*) from (select 1 from operation_runs r where r.reason_code = \
             (select x.reason_code from operation_runs x where x.id = $1) \
             and r.created_at >= $3 and r.id <> $1", in_view!(), "limit $4) bounded"
        ))
        .bind(run_id)
        .bind(restricted_to(scope))
        .bind(since)
        .bind(bound)
        .fetch_one(c)
        .await?)
    })
}

/// What a detail tells beyond what lists do, as stored.
#[derive(Debug, sqlx::FromRow)]
pub struct Facts {
    /// Inputs and other safe facts.
    pub context: Json<Value>,
    /// How its targets are worked through.
    pub rollout: Json<Value>,
    /// Why its end left targets undone.
    pub stop_reason: Option<String>,
    /// The run that it tries again.
    pub retry_of_run_id: Option<i64>,
    /// Notifications that its end could not write.
    pub notification_gaps: i64,
    /// Alerts that its end could not write.
    pub alert_gaps: i64,
}

/// The facts of a run; of the run that it tries again only within the view.
pub async fn facts(tx: &mut Tx, run_id: i64, scope: ViewScope) -> Result<Option<Facts>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(concat!(
            "select x.context, x.rollout, x.stop_reason, (select r.id from operation_runs r \
             where r.id = x.retry_of_run_id", in_view!(), ") as retry_of_run_id, \
             x.notification_gaps, x.alert_gaps from operation_runs x where x.id = $1"
        ))
        .bind(run_id)
        .bind(restricted_to(scope))
        .fetch_optional(c)
        .await?)
    })
}

/// How many targets of a run have a step under way.
pub async fn in_flight(tx: &mut Tx, run_id: i64) -> Result<i64> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar(
            "select count(*) from operation_run_targets where run_id = $1 and status = 'pending' \
             and step_started_at is not null",
        )
        .bind(run_id)
        .fetch_one(c)
        .await?)
    })
}

/// What a retry of an ended run could cover, counted in full; the same targets as
/// [`retryable`].
pub async fn left(tx: &mut Tx, run_id: i64) -> Result<Left> {
    on_tx!(tx, c => {
        let (all, targets): (i64, i64) = sql::query_as(
            "select count(*), count(case when g.tenant_id is null or (t.archived_at is null \
             and w.archived_at is null and not t.is_platform) then 1 end) from operation_run_targets g \
             left join tenants t on t.id = g.tenant_id left join workspaces w on w.id = t.workspace_id \
             where g.run_id = $1 and g.status in ('failed', 'skipped') \
             and (select r.outcome from operation_runs r where r.id = $1) <> 'succeeded'",
        )
        .bind(run_id)
        .fetch_one(c)
        .await?;
        Ok(Left { any: all > 0, targets })
    })
}
