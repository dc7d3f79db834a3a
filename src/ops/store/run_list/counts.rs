//! Counts for the head of the list, each up to a bound.

use chrono::{DateTime, Utc};

use super::super::sql;
use crate::Result;
use crate::access::ViewScope;
use crate::domain::run_state::STALE_AFTER;
use crate::ops::store::run_read::restricted_to;
use crate::ops::store::{Tx, on_tx};

/// Bounded counts for the head of the list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Counts {
    /// Queued or running.
    pub active: i64,
    /// Queued for too long.
    pub stale: i64,
    /// Running under a lease that ran out.
    pub stuck: i64,
    /// Failed since a day ago, by creation.
    pub failed: i64,
}

/// Counts active, stale, stuck and lately failed runs, each up to `bound`.
pub async fn counts(
    tx: &mut Tx,
    scope: ViewScope,
    now: DateTime<Utc>,
    bound: i64,
) -> Result<Counts> {
    on_tx!(tx, c => {
        Ok(sql::query_as(concat!(
            "select count(*) as active, \
             count(*) filter (where a.status = 'queued' and a.paused_at is null \
             and coalesce(a.queued_at, a.created_at) < $2) as stale, \
             (select count(*) from (select 1 from operation_run_leases l join operation_runs r on r.id = l.run_id \
             where r.status = 'running' and l.expires_at < ", database_now!(), " and ($1 is null or exists \
             (select 1 from platform_user_workspaces v \
             where v.platform_user_id = $1 and v.workspace_id = r.workspace_id)) limit $4) s) as stuck, \
             (select count(*) from (select 1 from operation_runs r where r.outcome = 'failed' \
             and r.created_at >= $3 and ($1 is null or exists (select 1 from platform_user_workspaces v \
             where v.platform_user_id = $1 and v.workspace_id = r.workspace_id)) limit $4) f) as failed \
             from (select r.status, r.paused_at, r.queued_at, r.created_at from operation_runs r \
             where r.status in ('queued', 'running') and ($1 is null or exists \
             (select 1 from platform_user_workspaces v \
             where v.platform_user_id = $1 and v.workspace_id = r.workspace_id)) limit $4) a"
        ))
        .bind(restricted_to(scope))
        .bind(now - STALE_AFTER)
        .bind(now - chrono::Duration::hours(24))
        .bind(bound)
        .fetch_one(c)
        .await?)
    })
}

/// About how many runs there are: exact for small tables, the engine's estimate for large
/// ones. The flag says that it is an estimate.
pub async fn estimate(tx: &mut Tx) -> Result<(i64, bool)> {
    const EXACT_UP_TO: i64 = 10_000;
    // Rows are counted only where there may be few.
    let (exact, estimate): (i64, i64) = match tx {
        Tx::Postgres(transaction) => {
            sql::query_as(
                "select case when e.n < $1 then (select count(*) from (select 1 from operation_runs limit $1) few) \
                 else $1 end, e.n from (select reltuples::bigint as n from pg_class \
                 where oid = 'operation_runs'::regclass) e",
            )
            .bind(EXACT_UP_TO)
            .fetch_one(&mut *transaction)
            .await?
        }
        // Ids are given in order and runs are never removed, so the last one is near it.
        Tx::Sqlite(transaction) => {
            sql::query_as(
                "select (select count(*) from (select 1 from operation_runs limit $1) few), \
                 (select coalesce(max(id), 0) from operation_runs)",
            )
            .bind(EXACT_UP_TO)
            .fetch_one(&mut **transaction)
            .await?
        }
    };
    Ok(if exact < EXACT_UP_TO { (exact, false) } else { (estimate.max(exact), true) })
}
