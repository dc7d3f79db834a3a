//! What fails most, what failed last, and what health is judged by.

use chrono::{DateTime, Utc};

use super::run_read::{RunRow, overdue, restricted_to, run_columns, run_joins};
use super::sql;
use super::{Tx, on_tx};
use crate::Result;
use crate::access::ViewScope;
use crate::domain::run::Run;
use crate::domain::window::Span;

/// What fails: a type, a tenant or a reason.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct OffenderRow {
    /// `type`, `tenant` or `reason`.
    pub kind: String,
    /// The type or the reason; a tenant's name.
    pub name: Option<String>,
    /// The tenant.
    pub tenant_id: Option<i64>,
    /// How many runs failed, wholly or in part.
    pub runs: i64,
}

/// The runs of a restricted view, whose platform user is bound as `$3`.
macro_rules! own {
    () => {
        " and r.workspace_id in (select v.workspace_id from platform_user_workspaces v \
         where v.platform_user_id = $3)"
    };
}

/// What failed most in a window: at most `$limit` of each kind, most first.
pub async fn offenders(tx: &mut Tx, view: ViewScope, window: Span) -> Result<Vec<OffenderRow>> {
    // PostgreSQL counts by all three in one pass. Keeping the rows to be read three times takes it
    // longer, and writes them to disk where they are many.
    macro_rules! offenders {
        ($view:expr) => {
            concat!(
                "with failed as materialized (select r.type, r.tenant_id, r.reason_code, ",
                by_engine!("count(*)", "1"),
                " as runs from operation_runs r \
                 where r.outcome in ('failed', 'partially_succeeded') and r.created_at >= $1 and r.created_at < $2",
                $view,
                by_engine!(" group by grouping sets ((r.type), (r.tenant_id), (r.reason_code))", ""),
                ") select kind, coalesce(t.name, x.name) as name, x.tenant_id, x.runs from ( \
                 select * from (select 'type' as kind, type as name, cast(null as bigint) as tenant_id, cast(sum(runs) as bigint) as runs \
                 from failed where type is not null group by type order by 4 desc, 2 limit 5) a union all \
                 select * from (select 'tenant' as kind, cast(null as text) as name, tenant_id, cast(sum(runs) as bigint) as runs from failed \
                 where tenant_id is not null group by tenant_id order by 4 desc, 3 limit 5) b union all \
                 select * from (select 'reason' as kind, reason_code as name, cast(null as bigint) as tenant_id, cast(sum(runs) as bigint) as runs \
                 from failed where reason_code is not null group by reason_code order by 4 desc, 2 limit 5) c) x \
                 left join tenants t on t.id = x.tenant_id order by x.kind, x.runs desc, x.name, x.tenant_id"
            )
        };
    }
    on_tx!(tx, c => {
        let query = match view {
            ViewScope::All => sql::query_as(offenders!("")).bind(window.from).bind(window.until),
            ViewScope::Restricted { platform_user_id } => sql::query_as(offenders!(own!()))
                .bind(window.from)
                .bind(window.until)
                .bind(platform_user_id),
        };
        Ok(query.fetch_all(c).await?)
    })
}

/// The newest runs of a window that failed, wholly or in part.
pub async fn recent_failures(
    tx: &mut Tx,
    view: ViewScope,
    window: Span,
    limit: i64,
) -> Result<Vec<Run>> {
    let rows: Vec<RunRow> = on_tx!(tx, c => {
        sql::query_as(concat!(
            "select ", run_columns!(), ", ", overdue!(database_now!()), " as lease_overdue from operation_runs r",
            run_joins!(),
            "where r.outcome in ('failed', 'partially_succeeded') and r.created_at >= $1 and r.created_at < $2 \
             and ($3 is null or r.workspace_id in (select v.workspace_id from platform_user_workspaces v \
             where v.platform_user_id = $3)) order by r.created_at desc, r.id desc limit $4"
        ))
        .bind(window.from)
        .bind(window.until)
        .bind(restricted_to(view))
        .bind(limit)
        .fetch_all(c)
        .await?
    });
    rows.into_iter().map(Run::try_from).collect()
}

/// A lease that has run out.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct OverdueLease {
    /// The run.
    pub run_id: i64,
    /// Its last sign of life.
    pub heartbeat_at: DateTime<Utc>,
    /// When it ran out.
    pub expires_at: DateTime<Utc>,
    /// The database's clock.
    pub now: DateTime<Utc>,
}

/// Leases of running runs that have run out, the oldest first.
pub async fn overdue_leases(tx: &mut Tx, view: ViewScope, limit: i64) -> Result<Vec<OverdueLease>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(concat!(
            "select l.run_id, l.heartbeat_at, l.expires_at, ", database_now!(), " as now \
             from operation_run_leases l join operation_runs r on r.id = l.run_id \
             where r.status = 'running' and l.expires_at < ", database_now!(), " and ($1 is null or exists \
             (select 1 from platform_user_workspaces v \
             where v.platform_user_id = $1 and v.workspace_id = r.workspace_id)) \
             order by l.expires_at, l.run_id limit $2"
        ))
        .bind(restricted_to(view))
        .bind(limit)
        .fetch_all(c)
        .await?)
    })
}

/// A run in the queue.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct WaitingRow {
    /// The run.
    pub run_id: i64,
    /// Its type.
    #[sqlx(rename = "type")]
    pub run_type: String,
    /// Whether it has been free to claim since before the limit.
    pub late: bool,
}

/// Runs in the queue that are not paused, the oldest first.
pub async fn waiting(
    tx: &mut Tx,
    view: ViewScope,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<WaitingRow>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select r.id as run_id, r.type, coalesce(r.queued_at, r.created_at) < $2 as late from operation_runs r \
             where r.status in ('queued', 'running') and r.status = 'queued' and r.paused_at is null \
             and ($1 is null or exists (select 1 from platform_user_workspaces v \
             where v.platform_user_id = $1 and v.workspace_id = r.workspace_id)) order by r.id limit $3",
        )
        .bind(restricted_to(view))
        .bind(before)
        .bind(limit)
        .fetch_all(c)
        .await?)
    })
}

/// A run whose end could not write everything.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct GapRow {
    /// The run.
    pub run_id: i64,
    /// Whether an audit row is missing.
    pub audit: bool,
    /// Whether a notification is missing.
    pub notification: bool,
    /// Whether an alert is missing.
    pub alert: bool,
}

/// Runs of a window whose end could not write everything, newest first.
pub async fn gaps(tx: &mut Tx, view: ViewScope, window: Span, limit: i64) -> Result<Vec<GapRow>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select r.id as run_id, r.audit_gaps > 0 as audit, r.notification_gaps > 0 as notification, \
             r.alert_gaps > 0 as alert from operation_runs r \
             where (r.audit_gaps > 0 or r.notification_gaps > 0 or r.alert_gaps > 0) and r.created_at >= $1 and r.created_at < $2 \
             and ($3 is null or r.workspace_id in (select v.workspace_id from platform_user_workspaces v \
             where v.platform_user_id = $3)) order by r.created_at desc, r.id desc limit $4",
        )
        .bind(window.from)
        .bind(window.until)
        .bind(restricted_to(view))
        .bind(limit)
        .fetch_all(c)
        .await?)
    })
}
