//! What the database said of the failures of a run: codes and names, never values.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use serde::Serialize;

use super::run_read::{overdue, restricted_to};
use super::sql;
use super::{Tx, condition, on_tx, savepoint};
use crate::access::ViewScope;
use crate::domain::database_fault::{Condition, DatabaseFault};
use crate::{Error, Result};

/// So many kinds of failure are kept of a run.
const MOST: i64 = 20;
/// So many failures are looked at for what runs wait for.
const LOOKED_AT: i64 = 100_000;
/// A run whose last outage is longer ago does not wait for the database any more.
const RECENT: Duration = Duration::seconds(60);

crate::text_enum! {
    /// What a run was at when the database failed it.
    pub enum During as "moment" {
        /// A step of a target.
        Step = "step",
        /// Its end.
        End = "end",
        /// The notification of its end.
        Notification = "notification",
        /// The alert of its end.
        Alert = "alert",
        /// The audit row of its end.
        Audit = "audit",
    }
}

/// Keeps a failure of a run. Not on the run's own row, which steps hold.
pub async fn record(
    tx: &mut Tx,
    run_id: i64,
    during: During,
    fault: &DatabaseFault,
    now: DateTime<Utc>,
) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(
            "insert into operation_run_faults (run_id, during, code, constraint_name, table_name, first_at, last_at) \
             select $1, $2, $3, $4, $5, $6, $6 where (select count(*) from operation_run_faults where run_id = $1) < $7 \
             or exists (select 1 from operation_run_faults where run_id = $1 and during = $2 and code = $3 \
             and constraint_name = $4 and table_name = $5) \
             on conflict (run_id, during, code, constraint_name, table_name) \
             do update set times = operation_run_faults.times + 1, last_at = excluded.last_at",
        )
        .bind(run_id)
        .bind(during.as_str())
        .bind(fault.code.as_str())
        .bind(fault.constraint.as_deref().unwrap_or_default())
        .bind(fault.table.as_deref().unwrap_or_default())
        .bind(now)
        .bind(MOST)
        .execute(c)
        .await?;
        Ok(())
    })
}

/// The same, where that it cannot be kept must not undo what it comes with.
pub async fn try_record(
    tx: &mut Tx,
    run_id: i64,
    during: During,
    fault: Option<&DatabaseFault>,
    now: DateTime<Utc>,
) -> Result<()> {
    let Some(fault) = fault else { return Ok(()) };
    savepoint::begin(tx).await?;
    let kept = record(tx, run_id, during, fault, now).await;
    if let Err(error) = savepoint::settle(tx, kept).await? {
        // An outage is reported by the worker, once.
        if error.retry_can_help() {
            tracing::debug!(run_id, %error, "a failure of the database could not be kept");
        } else {
            tracing::warn!(run_id, %error, "a failure of the database could not be kept");
        }
    }
    Ok(())
}

/// A failure as a run shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunFault {
    /// What the run was at.
    pub during: During,
    /// What the database said.
    #[serde(flatten)]
    pub fault: DatabaseFault,
    /// How often.
    pub times: i64,
    /// When it last happened.
    pub last_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct FaultRow {
    during: String,
    code: String,
    constraint_name: String,
    table_name: String,
    times: i64,
    last_at: DateTime<Utc>,
}

/// The failures of a run, the newest first.
pub async fn of_run(tx: &mut Tx, run_id: i64) -> Result<Vec<RunFault>> {
    let rows: Vec<FaultRow> = on_tx!(tx, c => {
        sql::query_as(
            "select during, code, constraint_name, table_name, times, last_at from operation_run_faults \
             where run_id = $1 order by last_at desc, during, code",
        )
        .bind(run_id)
        .fetch_all(c)
        .await?
    });
    rows.into_iter()
        .map(|row| {
            let fault =
                DatabaseFault::new(&row.code, Some(&row.constraint_name), Some(&row.table_name));
            Ok::<_, Error>(RunFault {
                during: row.during.parse()?,
                fault,
                times: row.times,
                last_at: row.last_at,
            })
        })
        .collect()
}

/// What holds a run up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldUp {
    /// The database's condition.
    pub condition: Condition,
    /// The run's type.
    pub run_type: String,
    /// Whether a worker holds it, by its lease.
    pub held: bool,
}

/// Of runs that the database holds up: how.
pub type Outages = BTreeMap<i64, HeldUp>;

/// Running runs whose worker is in an outage, whose steps met a condition of the database lately,
/// and whose counts have not changed since, or whose end met one; of the run `only` where given. Where
/// the database takes no writes and no worker has a fresh heartbeat, all that are queued or running: a
/// worker could not write either.
pub async fn waiting(
    tx: &mut Tx,
    view: ViewScope,
    now: DateTime<Utc>,
    only: Option<i64>,
) -> Result<Outages> {
    let refuses = condition::of_database(tx).await?;
    let rows: Vec<(i64, String, String, bool)> = on_tx!(tx, c => {
        macro_rules! waiting {
            ($refused:expr) => {
                concat!(
                    "select id, code, type, held from (select r.id, f.code, f.last_at, r.type, r.status = 'running' and not ",
                    overdue!(database_now!()), " as held from operation_runs r \
                     join operation_run_faults f on f.run_id = r.id \
                     where r.status in ('queued', 'running') and r.status = 'running' \
                     and exists (select 1 from workers k where k.id = r.lease_owner and k.outage is not null \
                     and (f.during = 'step' and f.last_at > $2 and f.last_at >= r.updated_at and not ", overdue!(database_now!()),
                    " or f.during = 'end' and k.heartbeat_at >= ", database_in!("(-3 * k.heartbeat_seconds)"), "))",
                    $refused,
                    ") w where ($3 is null or w.id = $3) \
                     and ($1 is null or exists (select 1 from operation_runs r \
                     join platform_user_workspaces v on v.workspace_id = r.workspace_id \
                     where r.id = w.id and v.platform_user_id = $1)) \
                     order by id, last_at desc, code limit $4"
                )
            };
        }
        let mut query = sql::query_as(match refuses {
            None => waiting!(""),
            Some(_) => waiting!(concat!(
                " union all select r.id, $5, r.updated_at, r.type, r.status = 'running' and not ",
                overdue!(database_now!()), " from operation_runs r \
                 where r.status in ('queued', 'running') and r.paused_at is null \
                 and not exists (select 1 from workers k where k.heartbeat_at >= ",
                database_in!("(-3 * k.heartbeat_seconds)"), ")"
            )),
        })
        .bind(restricted_to(view))
        .bind(now - RECENT)
        .bind(only)
        .bind(LOOKED_AT);
        if let Some(condition) = refuses {
            query = query.bind(if condition == Condition::Full { "13" } else { "8" });
        }
        query.fetch_all(c).await?
    });
    let mut found = Outages::new();
    for (id, code, run_type, held) in rows {
        if let Some(condition) = DatabaseFault::new(&code, None, None).condition() {
            // The newest one counts.
            found.entry(id).or_insert(HeldUp { condition, run_type, held });
        }
    }
    Ok(found)
}
