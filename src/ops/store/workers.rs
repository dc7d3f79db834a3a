//! Worker processes: their signs of life, and what they hold.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use super::sql;
use super::{Tx, on_tx};
use crate::Result;
use crate::access::ViewScope;
use crate::domain::clock_offset;
use crate::domain::type_support::ActiveWorker;

/// A worker process as it announces itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Announcement<'a> {
    /// A fresh id per process.
    pub id: &'a str,
    /// Host and process id, for people.
    pub name: &'a str,
    /// The program's version.
    pub version: &'a str,
    /// The types it can execute.
    pub runbooks: &'a Value,
    /// How many runs it executes at once.
    pub slots: i64,
    /// How often it beats, in seconds.
    pub heartbeat_seconds: f64,
    /// Whether it takes no new runs any more.
    pub stopping: bool,
    /// The condition of the database that it waits for.
    pub outage: Option<String>,
    /// How far its clock is ahead of the database's; negative: behind. None: not measured.
    pub clock_offset_seconds: Option<i64>,
}

/// Notes a sign of life, by the database's clock.
pub async fn announce(tx: &mut Tx, worker: &Announcement<'_>) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(concat!(
            "insert into workers (id, name, version, runbooks, slots, heartbeat_seconds, started_at, \
             heartbeat_at, stopping, outage, clock_offset_seconds) values ($1, $2, $3, $4, $5, $6, ", database_now!(), ", ",
            database_now!(), ", $7, $8, $9) on conflict (id) do update set heartbeat_at = excluded.heartbeat_at, \
             stopping = excluded.stopping, outage = excluded.outage, runbooks = excluded.runbooks, \
             clock_offset_seconds = excluded.clock_offset_seconds"
        ))
        .bind(worker.id)
        .bind(worker.name)
        .bind(worker.version)
        .bind(Json(worker.runbooks))
        .bind(worker.slots)
        .bind(worker.heartbeat_seconds)
        .bind(worker.stopping)
        .bind(worker.outage.as_deref())
        .bind(worker.clock_offset_seconds)
        .execute(c)
        .await?;
        Ok(())
    })
}

/// Forgets a worker that leaves.
pub async fn remove(tx: &mut Tx, id: &str) -> Result<()> {
    on_tx!(tx, c => {
        sql::query("delete from workers where id = $1").bind(id).execute(c).await?;
        Ok(())
    })
}

/// The runs that a process holds.
pub async fn held_by(tx: &mut Tx, owner: &str) -> Result<Vec<i64>> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar("select run_id from operation_run_leases where owner = $1 order by run_id")
            .bind(owner)
            .fetch_all(c)
            .await?)
    })
}

/// Forgets workers that have been silent for a day and hold nothing.
pub async fn forget_silent(tx: &mut Tx) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(concat!(
            "delete from workers where heartbeat_at < ", database_in!("$1"),
            " and not exists (select 1 from operation_run_leases l where l.owner = workers.id)"
        ))
        .bind(-86_400.0)
        .execute(c)
        .await?;
        Ok(())
    })
}

/// A worker as lists show it.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct WorkerRow {
    /// The process's id.
    pub id: String,
    /// Host and process id.
    pub name: String,
    /// The program's version.
    pub version: String,
    /// The types it can execute.
    pub runbooks: Json<Vec<String>>,
    /// How many runs it executes at once.
    pub slots: i64,
    /// How often it beats, in seconds.
    pub heartbeat_seconds: f64,
    /// Since when it runs.
    pub started_at: DateTime<Utc>,
    /// Its last sign of life.
    pub heartbeat_at: DateTime<Utc>,
    /// Whether it takes no new runs any more.
    pub stopping: bool,
    /// The condition of the database that it waits for.
    pub outage: Option<String>,
    /// How far its clock is ahead of the database's; negative: behind. None: not measured.
    pub clock_offset_seconds: Option<i64>,
    /// Whether it missed three heartbeats, by the database's clock.
    pub silent: bool,
    /// Whether it was not heard of for more than a day.
    pub gone: bool,
}

/// Every worker that was heard of lately, the longest running first.
pub async fn list(tx: &mut Tx) -> Result<Vec<WorkerRow>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(concat!(
            "select id, name, version, runbooks, slots, heartbeat_seconds, started_at, heartbeat_at, stopping, outage, \
             clock_offset_seconds, \
             heartbeat_at < ", database_in!("(-3 * heartbeat_seconds)"), " as silent, \
             heartbeat_at < ", database_in!("(-86400)"), " and heartbeat_at < ",
            database_in!("(-3 * heartbeat_seconds)"), " as gone \
             from workers order by heartbeat_at < ", database_in!("(-86400)"), ", started_at, id limit 200"
        ))
        .fetch_all(c)
        .await?)
    })
}

/// The workers whose heartbeat is fresh and that take new runs.
pub async fn active(tx: &mut Tx) -> Result<Vec<ActiveWorker>> {
    type Row = (Json<Vec<String>>, bool, String, Option<i64>);
    let rows: Vec<Row> = on_tx!(tx, c => {
        sql::query_as(concat!(
            "select k.runbooks, k.slots > (select count(*) from operation_run_leases l where l.owner = k.id), \
             k.name, k.clock_offset_seconds from workers k where not k.stopping and k.heartbeat_at >= ",
            database_in!("(-3 * k.heartbeat_seconds)"), " order by k.id limit 200"
        ))
        .fetch_all(c)
        .await?
    });
    let workers = rows.into_iter().map(|(types, free, name, ahead)| ActiveWorker {
        types: types.0,
        free,
        name,
        wrong_clock: ahead.filter(|seconds| clock_offset::is_wrong(*seconds)),
    });
    Ok(workers.collect())
}

/// A lease as lists show it.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct HeldRow {
    /// The run.
    pub run_id: i64,
    /// Its type.
    #[sqlx(rename = "type")]
    pub run_type: String,
    /// Its tenant's name, where it is of one, as stored.
    pub tenant_name: Option<String>,
    /// How many targets it has.
    pub target_count: i64,
    /// The process that holds it.
    pub owner: String,
    /// Since when.
    pub acquired_at: DateTime<Utc>,
    /// The lease's last heartbeat.
    pub heartbeat_at: DateTime<Utc>,
    /// When others may take over.
    pub expires_at: DateTime<Utc>,
    /// Whether that time has passed, by the database's clock.
    pub overdue: bool,
    /// Takeovers without progress.
    pub takeovers: i64,
}

/// The leases within a view, the oldest first, at most `limit`.
pub async fn leases(tx: &mut Tx, scope: ViewScope, limit: i64) -> Result<Vec<HeldRow>> {
    let restricted = super::run_read::restricted_to(scope);
    on_tx!(tx, c => {
        Ok(sql::query_as(concat!(
            "select l.run_id, r.type, t.name as tenant_name, r.target_count, l.owner, l.acquired_at, \
             l.heartbeat_at, l.expires_at, l.expires_at < ", database_now!(), " as overdue, r.takeovers \
             from operation_run_leases l join operation_runs r on r.id = l.run_id \
             left join tenants t on t.id = r.tenant_id \
             where ($1 is null or exists (select 1 from platform_user_workspaces v \
             where v.platform_user_id = $1 and v.workspace_id = r.workspace_id)) \
             order by l.acquired_at, l.run_id limit $2"
        ))
        .bind(restricted)
        .bind(limit)
        .fetch_all(c)
        .await?)
    })
}

/// Queued types within a view and how many runs of each wait, at most 100 types.
pub async fn queued_types(tx: &mut Tx, scope: ViewScope) -> Result<Vec<(String, i64)>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select r.type, count(*) from operation_runs r where r.status in ('queued', 'running') \
             and r.status = 'queued' and r.paused_at is null and ($1 is null or exists \
             (select 1 from platform_user_workspaces v where v.platform_user_id = $1 \
             and v.workspace_id = r.workspace_id)) group by r.type order by r.type limit 100",
        )
        .bind(super::run_read::restricted_to(scope))
        .fetch_all(c)
        .await?)
    })
}

impl WorkerRow {
    /// How far its clock is from the database's, where that is too far.
    pub fn wrong_clock(&self) -> Option<i64> {
        self.clock_offset_seconds.filter(|seconds| clock_offset::is_wrong(*seconds))
    }
}
