//! Failures by their fingerprint.

use chrono::{DateTime, Utc};

use super::retries::retry_columns;
use super::run_read::restricted_to;
use super::sql;
use super::{Tx, on_tx};
use crate::Result;
use crate::access::ViewScope;
use crate::domain::window::Span;

/// Failures of one fingerprint.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct GroupRow {
    /// The fingerprint; empty for failures that were never given one.
    pub fingerprint: String,
    /// How many failures.
    pub failures: i64,
    /// In how many runs.
    pub runs: i64,
    /// Of how many tenants.
    pub tenants: i64,
    /// The first one.
    pub first_seen_at: DateTime<Utc>,
    /// The last one.
    pub last_seen_at: DateTime<Utc>,
    /// The newest failure.
    #[sqlx(flatten)]
    pub sample: SampleRow,
}

/// The view's failures of runs that were created in a window; `$1` to `$3` are bound.
macro_rules! of_window {
    () => {
        " from operation_run_failures f where f.run_created_at >= $1 and f.run_created_at < $2 \
         and ($3 is null or exists (select 1 from operation_runs r join platform_user_workspaces v \
         on v.workspace_id = r.workspace_id where r.id = f.run_id and v.platform_user_id = $3)) "
    };
}

/// How many failures a window has, and in how many groups.
pub async fn totals(tx: &mut Tx, view: ViewScope, window: Span) -> Result<(i64, i64)> {
    on_tx!(tx, c => {
        Ok(sql::query_as(concat!(
            "select coalesce(cast(sum(x.failures) as bigint), 0), count(*) from (select count(*) as failures",
            of_window!(), "group by f.fingerprint, f.reason_code) x"
        ))
        .bind(window.from)
        .bind(window.until)
        .bind(restricted_to(view))
        .fetch_one(c)
        .await?)
    })
}

/// One failure, with the names that its message may hold.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct SampleRow {
    /// Its id.
    pub id: i64,
    /// Its run.
    pub run_id: i64,
    /// The run's type.
    #[sqlx(rename = "type")]
    pub run_type: String,
    /// Its tenant.
    pub tenant_id: Option<i64>,
    /// The tenant's name.
    pub tenant_name: Option<String>,
    /// The name of the tenant's workspace.
    pub workspace_name: Option<String>,
    /// The reason.
    pub reason_code: String,
    /// What it says, as stored.
    pub message: String,
    /// When.
    pub occurred_at: DateTime<Utc>,
}

macro_rules! sample_columns {
    () => {
        "f.id, f.run_id, r.type, f.tenant_id, t.name as tenant_name, w.name as workspace_name, f.reason_code, \
         f.message, f.occurred_at"
    };
}

macro_rules! sample_joins {
    () => {
        "join operation_runs r on r.id = f.run_id left join tenants t on t.id = f.tenant_id \
         left join workspaces w on w.id = t.workspace_id "
    };
}

/// The groups of a window with their newest failure, most failures first, at most `limit`; `only`
/// one of them where given.
pub async fn groups(
    tx: &mut Tx,
    view: ViewScope,
    window: Span,
    only: Option<&str>,
    limit: i64,
) -> Result<Vec<GroupRow>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(concat!(
            "with g as (select f.fingerprint, count(*) as failures, count(distinct f.run_id) as runs, \
             count(distinct f.tenant_id) as tenants, min(f.occurred_at) as first_seen_at, \
             max(f.occurred_at) as last_seen_at, max(f.id) as sample_id", of_window!(),
            "and ($4 is null or f.fingerprint = $4) group by f.fingerprint, f.reason_code \
             order by 2 desc, 6 desc, 7 desc limit $5) \
             select g.*, ", sample_columns!(), " from g join operation_run_failures f on f.id = g.sample_id ",
            sample_joins!(), "order by g.failures desc, g.last_seen_at desc, g.sample_id desc"
        ))
        .bind(window.from)
        .bind(window.until)
        .bind(restricted_to(view))
        .bind(only)
        .bind(limit)
        .fetch_all(c)
        .await?)
    })
}

/// Failures without a fingerprint, in the order of their ids, at most `limit`.
pub async fn without(tx: &mut Tx, after: i64, limit: i64) -> Result<Vec<SampleRow>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(concat!(
            "select ", sample_columns!(), " from operation_run_failures f ", sample_joins!(),
            "where f.fingerprint = '' and f.id > $1 order by f.id limit $2"
        ))
            .bind(after)
            .bind(limit)
            .fetch_all(c)
            .await?)
    })
}

/// Gives a failure its fingerprint.
pub async fn set(tx: &mut Tx, id: i64, fingerprint: &str) -> Result<()> {
    on_tx!(tx, c => {
        sql::query("update operation_run_failures set fingerprint = $2 where id = $1")
            .bind(id)
            .bind(fingerprint)
            .execute(c)
            .await?;
        Ok(())
    })
}

/// The names of a tenant and its workspace.
pub async fn names(tx: &mut Tx, tenant_id: i64) -> Result<Option<(String, String)>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select t.name, w.name from tenants t join workspaces w on w.id = t.workspace_id where t.id = $1",
        )
        .bind(tenant_id)
        .fetch_optional(c)
        .await?)
    })
}

/// An ended run that a group touches, and what became of it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct TouchedRow {
    /// The run.
    pub run_id: i64,
    /// Its type.
    #[sqlx(rename = "type")]
    pub run_type: String,
    /// What it is aimed at.
    pub scope_kind: String,
    /// Its status.
    pub status: String,
    /// Its newest retry that is active or succeeded, else its newest one, as stored.
    pub retried: Option<String>,
    /// The active run that a retry would meet, as stored.
    pub busy_with: Option<i64>,
    /// Whether there is a newer run like it of the same tenant: then that one tells.
    pub superseded: bool,
}

/// The runs of a window that a group touches, newest first, at most `limit`.
pub async fn touched(
    tx: &mut Tx,
    view: ViewScope,
    window: Span,
    fingerprint: &str,
    limit: i64,
) -> Result<Vec<TouchedRow>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(concat!(
            "select r.id as run_id, r.type, r.scope_kind, r.status, ", retry_columns!(), ", \
             exists (select 1 from operation_runs n where n.tenant_id = r.tenant_id and n.identity_hash = r.identity_hash \
             and (n.created_at, n.id) > (r.created_at, r.id)) as superseded \
             from operation_runs r where r.id in (select f.run_id from operation_run_failures f \
             where f.fingerprint = $4 and f.run_created_at >= $1 and f.run_created_at < $2) \
             and ($3 is null or r.workspace_id in (select v.workspace_id from platform_user_workspaces v \
             where v.platform_user_id = $3)) order by r.created_at desc, r.id desc limit $5"
        ))
        .bind(window.from)
        .bind(window.until)
        .bind(restricted_to(view))
        .bind(fingerprint)
        .bind(limit)
        .fetch_all(c)
        .await?)
    })
}
