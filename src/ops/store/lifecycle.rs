//! A run's way from queued to completed. Every write repeats its precondition: the run, its
//! fence, and that it is still running.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use super::sql;
use super::{Tx, fingerprints, on_tx, savepoint};
use crate::domain::fingerprint::fingerprint;
use crate::domain::operation_type;
use crate::{Error, Result};

/// How often a claim looks again after another worker was faster.
const CLAIM_TRIES: u32 = 3;
/// How many runs that cannot be claimed one claim gets past.
const REFUSALS: usize = 20;

/// What a claim got.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Claimed {
    /// Run.
    pub id: i64,
    /// Its type.
    #[sqlx(rename = "type")]
    pub run_type: String,
    /// The fence that every later write repeats.
    pub fence: i64,
    /// Its tenant, if it is of one.
    pub tenant_id: Option<i64>,
    /// How many claims in a row, this one included, took it from a lost worker without
    /// finding progress.
    pub takeovers: i64,
    /// How its targets are to be worked through.
    #[sqlx(json)]
    pub rollout: Value,
}

/// Who claims, and what.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The claiming process.
    pub owner: &'a str,
    /// Only these types; empty: any.
    pub types: &'a [String],
    /// How long the lease lasts, in seconds.
    pub lease_seconds: f64,
    /// Now.
    pub now: DateTime<Utc>,
}

/// A claim, and the runs that could not be claimed though nobody holds them.
#[derive(Debug, Default)]
pub struct Claims {
    /// The run that was claimed.
    pub claimed: Option<Claimed>,
    /// Runs whose claim the database refused, with what it said.
    pub refused: Vec<(i64, Error)>,
}

/// Claims the oldest queued run, or one whose lease has run out by the database's clock, but none
/// of `except`. A run whose claim the database refuses holds up none behind it.
pub async fn claim(tx: &mut Tx, claim: Claim<'_>, except: &[i64]) -> Result<Claims> {
    let types = Value::from(claim.types.to_vec()).to_string();
    let mut except = except.to_vec();
    let mut refused = Vec::new();
    let mut tries = 0;
    while tries < CLAIM_TRIES && refused.len() < REFUSALS {
        let Some(id) = claimable(tx, &types, &except).await? else { break };
        savepoint::begin(tx).await?;
        let taken = take(tx, id, claim).await;
        match savepoint::settle(tx, taken).await? {
            Ok(Some(claimed)) => return Ok(Claims { claimed: Some(claimed), refused }),
            Ok(None) => tries += 1,
            Err(error) if error.is_waited_out() => return Err(error),
            Err(error) => {
                except.push(id);
                refused.push((id, error));
            }
        }
    }
    Ok(Claims { claimed: None, refused })
}

/// Claims one run, if it is still free. A process that takes its own run again has lost no worker.
async fn take(tx: &mut Tx, id: i64, claim: Claim<'_>) -> Result<Option<Claimed>> {
    // The look before may have seen a lease that another worker has renewed or taken since:
    // waiting for the run's row reads that row again, but not the lease. With the row held,
    // a look of its own sees what was committed.
    let claimed: Option<Claimed> = on_tx!(tx, c => {
        sql::query_as(concat!(
            "update operation_runs set lease_owner = $1, fence = fence + 1, \
             takeovers = case when status = 'queued' then 0 when takeover_mark < 0 or lease_owner = $1 then takeovers \
             when takeover_mark = m.steps then takeovers + 1 else 1 end, takeover_mark = m.steps, status = 'running', \
             started_at = coalesce(started_at, $3), updated_at = $3 \
             from (select cast(coalesce(sum(g.steps), 0) as bigint) as steps \
             from operation_run_targets g where g.run_id = $2) m \
             where id = $2 and paused_at is null and (status = 'queued' or (status = 'running' and exists \
             (select 1 from operation_run_leases l where l.run_id = $2 and l.expires_at < ",
            database_now!(), "))) returning id, type, fence, tenant_id, takeovers, rollout"
        ))
        .bind(claim.owner)
        .bind(id)
        .bind(claim.now)
        .fetch_optional(c)
        .await?
    });
    if let Some(claimed) = &claimed {
        set_lease(tx, claimed.id, claim.owner, claim.lease_seconds).await?;
    }
    Ok(claimed)
}

/// The oldest run that seems free to claim, held where the engine holds rows.
async fn claimable(tx: &mut Tx, types: &str, except: &[i64]) -> Result<Option<i64>> {
    let except: Vec<String> = except.iter().map(ToString::to_string).collect();
    let except = format!(",{},", except.join(","));
    on_tx!(tx, c => {
        Ok(sql::query_scalar(concat!(
            "select r.id from operation_runs r \
             left join operation_run_leases l on l.run_id = r.id \
             where r.status in ('queued', 'running') and r.paused_at is null \
             and (r.status = 'queued' or l.expires_at < ", database_now!(), ") \
             and ($1 = '[]' or $1 like '%\"' || replace(r.type, '_', '\\_') || '\"%' escape '\\') \
             and $2 not like '%,' || cast(r.id as text) || ',%' \
             order by r.created_at, r.id limit 1", claim_lock!()
        ))
        .bind(types)
        .bind(except)
        .fetch_optional(c)
        .await?)
    })
}

async fn set_lease(tx: &mut Tx, run_id: i64, owner: &str, seconds: f64) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(concat!(
            "insert into operation_run_leases (run_id, owner, acquired_at, heartbeat_at, expires_at) \
             values ($1, $2, ", database_now!(), ", ", database_now!(), ", ", database_in!("$3"), ") \
             on conflict (run_id) do update set owner = excluded.owner, acquired_at = excluded.acquired_at, \
             heartbeat_at = excluded.heartbeat_at, expires_at = excluded.expires_at"
        ))
        .bind(run_id)
        .bind(owner)
        .bind(seconds)
        .execute(c)
        .await?;
        Ok(())
    })
}

/// Extends the lease of a run that `owner` still holds; false if it was lost.
pub async fn heartbeat(tx: &mut Tx, run_id: i64, owner: &str, seconds: f64) -> Result<bool> {
    on_tx!(tx, c => {
        let done = sql::query(concat!(
            "update operation_run_leases set heartbeat_at = ", database_now!(), ", expires_at = ",
            database_in!("$3"), " where run_id = $1 and owner = $2"
        ))
        .bind(run_id)
        .bind(owner)
        .bind(seconds)
        .execute(c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// A run as its executor sees it, held until the transaction ends.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Held {
    /// Run.
    pub id: i64,
    /// Its type.
    #[sqlx(rename = "type")]
    pub run_type: String,
    /// Workspace, if it is of one.
    pub workspace_id: Option<i64>,
    /// Tenant, if it is of one.
    pub tenant_id: Option<i64>,
    /// The platform user who started it.
    pub platform_user_id: Option<i64>,
    /// Status, as stored.
    pub status: String,
    /// Fence.
    pub fence: i64,
    /// Counts, as stored.
    pub summary_counts: Json<Value>,
    /// Since when a cancel is asked for.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// Whether it was started under break-glass.
    pub break_glass: bool,
    /// Its inputs, and what its plan found.
    pub context: Json<Value>,
}

impl Held {
    /// What it is about, beside its type and tenant.
    pub fn subject(&self) -> Option<&str> {
        operation_type::subject(&self.run_type, self.context.0.get("inputs")?)
    }
}

/// Locks a run for a change.
pub async fn hold(tx: &mut Tx, run_id: i64) -> Result<Option<Held>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(concat!(
            "select id, type, workspace_id, tenant_id, platform_user_id, status, fence, summary_counts, \
             cancel_requested_at, break_glass, context from operation_runs where id = $1",
            for_update!()
        ))
        .bind(run_id)
        .fetch_optional(c)
        .await?)
    })
}

/// The status of a run, as it is committed; `missing` where there is none.
pub async fn status(tx: &mut Tx, run_id: i64) -> Result<String> {
    let status: Option<String> = on_tx!(tx, c => {
        sql::query_scalar("select status from operation_runs where id = $1")
            .bind(run_id)
            .fetch_optional(c)
            .await?
    });
    Ok(status.unwrap_or_else(|| "missing".to_owned()))
}

/// Whether a run is running under `fence`, as it is committed.
pub async fn is_held(tx: &mut Tx, run_id: i64, fence: i64) -> Result<bool> {
    on_tx!(tx, c => {
        let found: Option<i64> = sql::query_scalar(
            "select id from operation_runs where id = $1 and fence = $2 and status = 'running'",
        )
        .bind(run_id)
        .bind(fence)
        .fetch_optional(c)
        .await?;
        Ok(found.is_some())
    })
}

/// Whether a run is running under a lease that has expired, by the database's clock.
pub async fn is_lost(tx: &mut Tx, run_id: i64) -> Result<bool> {
    on_tx!(tx, c => {
        let found: Option<i64> = sql::query_scalar(concat!(
            "select r.id from operation_runs r join operation_run_leases l on l.run_id = r.id \
             where r.id = $1 and r.status = 'running' and l.expires_at < ", database_now!()
        ))
        .bind(run_id)
        .fetch_optional(c)
        .await?;
        Ok(found.is_some())
    })
}

/// Makes every claim on a run void; gives the new fence.
pub async fn raise_fence(tx: &mut Tx, run_id: i64) -> Result<i64> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar("update operation_runs set fence = fence + 1 where id = $1 returning fence")
            .bind(run_id)
            .fetch_one(c)
            .await?)
    })
}

/// Puts a running run back into the queue, or to rest. `steps` is what was done so far.
pub async fn release(
    tx: &mut Tx,
    run_id: i64,
    fence: i64,
    paused: bool,
    steps: i64,
    now: DateTime<Utc>,
) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(
            "update operation_runs set status = 'queued', lease_owner = null, queued_at = $4, \
             paused_at = case when $3 then $4 else null end, takeovers = 0, takeover_mark = $5, updated_at = $4 \
             where id = $1 and fence = $2 and status = 'running'",
        )
        .bind(run_id)
        .bind(fence)
        .bind(paused)
        .bind(now)
        .bind(steps)
        .execute(&mut *c)
        .await?;
        sql::query("delete from operation_run_leases where run_id = $1").bind(run_id).execute(c).await?;
        Ok(())
    })
}

/// Pauses a queued run.
pub async fn pause(tx: &mut Tx, run_id: i64, now: DateTime<Utc>) -> Result<()> {
    on_tx!(tx, c => {
        sql::query("update operation_runs set paused_at = $2, updated_at = $2 where id = $1 and status = 'queued'")
            .bind(run_id)
            .bind(now)
            .execute(c)
            .await?;
        Ok(())
    })
}

/// Puts a paused run back into the queue; false if it was not paused.
pub async fn resume(tx: &mut Tx, run_id: i64, now: DateTime<Utc>) -> Result<bool> {
    on_tx!(tx, c => {
        let done = sql::query(
            "update operation_runs set paused_at = null, queued_at = $2, updated_at = $2 \
             where id = $1 and status = 'queued' and paused_at is not null",
        )
        .bind(run_id)
        .bind(now)
        .execute(c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Notes that a run got on since it was claimed: its next takeover is the first again.
pub async fn note_progress(tx: &mut Tx, run_id: i64) -> Result<()> {
    on_tx!(tx, c => {
        sql::query("update operation_runs set takeovers = 0 where id = $1 and takeovers > 0")
            .bind(run_id)
            .execute(c)
            .await?;
        Ok(())
    })
}

/// Writes counts of a run that is still running under `fence`; false if it is not.
pub async fn set_counts(
    tx: &mut Tx,
    run_id: i64,
    fence: i64,
    counts: &Value,
    now: DateTime<Utc>,
) -> Result<bool> {
    on_tx!(tx, c => {
        let done = sql::query(
            "update operation_runs set summary_counts = $3, updated_at = $4 \
             where id = $1 and fence = $2 and status = 'running'",
        )
        .bind(run_id)
        .bind(fence)
        .bind(Json(counts))
        .bind(now)
        .execute(c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Adds one to the succeeded targets of a run: how counts must not be kept. Only a seeded
/// bug uses it.
pub async fn count_up(tx: &mut Tx, run_id: i64) -> Result<()> {
    on_tx!(tx, c => {
        let mut counts: Json<Value> =
            sql::query_scalar("select summary_counts from operation_runs where id = $1")
                .bind(run_id)
                .fetch_one(&mut *c)
                .await?;
        for key in ["processed", "succeeded"] {
            counts.0[key] = Value::from(counts.0[key].as_i64().unwrap_or(0) + 1);
        }
        sql::query("update operation_runs set summary_counts = $2 where id = $1")
            .bind(run_id)
            .bind(counts)
            .execute(c)
            .await?;
        Ok(())
    })
}

/// Writes one failure, with its fingerprint.
pub async fn insert_failure(
    tx: &mut Tx,
    run_id: i64,
    tenant_id: Option<i64>,
    reason_code: &str,
    message: &str,
    now: DateTime<Utc>,
) -> Result<i64> {
    let names = match tenant_id {
        Some(tenant_id) => fingerprints::names(tx, tenant_id).await?,
        None => None,
    };
    let names = names.map_or_else(Vec::new, |(tenant, workspace)| vec![tenant, workspace]);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    on_tx!(tx, c => {
        Ok(sql::query_scalar(
            "insert into operation_run_failures (run_id, tenant_id, reason_code, message, fingerprint, occurred_at) \
             values ($1, $2, $3, $4, $6, $5) returning id",
        )
        .bind(run_id)
        .bind(tenant_id)
        .bind(reason_code)
        .bind(message)
        .bind(now)
        .bind(fingerprint(reason_code, message, &names))
        .fetch_one(c)
        .await?)
    })
}

/// The commonest reason among a run's failures; the first in the alphabet where two are.
pub async fn dominant_reason(tx: &mut Tx, run_id: i64) -> Result<Option<String>> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar(
            "select reason_code from operation_run_failures where run_id = $1 \
             group by reason_code order by count(*) desc, reason_code limit 1",
        )
        .bind(run_id)
        .fetch_optional(c)
        .await?)
    })
}

/// How a run ended.
#[derive(Debug)]
pub struct Ending<'a> {
    /// Run.
    pub run_id: i64,
    /// The fence it was held under.
    pub fence: i64,
    /// Outcome word.
    pub outcome: &'a str,
    /// The commonest reason of its failures.
    pub reason_code: Option<&'a str>,
    /// Why targets were left undone.
    pub stop_reason: Option<&'a str>,
    /// Final counts.
    pub counts: &'a Value,
    /// Now.
    pub now: DateTime<Utc>,
}

/// Completes a run once; false if it was no longer active under that fence.
pub async fn complete(tx: &mut Tx, ending: &Ending<'_>) -> Result<bool> {
    on_tx!(tx, c => {
        let done = sql::query(
            "update operation_runs set status = 'completed', outcome = $3, reason_code = $4, \
             summary_counts = $5, lease_owner = null, paused_at = null, completed_at = $6, updated_at = $6, \
             stop_reason = $7 where id = $1 and fence = $2 and status <> 'completed'",
        )
        .bind(ending.run_id)
        .bind(ending.fence)
        .bind(ending.outcome)
        .bind(ending.reason_code)
        .bind(Json(ending.counts))
        .bind(ending.now)
        .bind(ending.stop_reason)
        .execute(&mut *c)
        .await?;
        sql::query("delete from operation_run_leases where run_id = $1").bind(ending.run_id).execute(c).await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Writes the one terminal notification of a run, if somebody started it.
pub async fn notify(tx: &mut Tx, held: &Held, title: &str, now: DateTime<Utc>) -> Result<()> {
    let Some(platform_user_id) = held.platform_user_id else { return Ok(()) };
    on_tx!(tx, c => {
        sql::query(
            "insert into notifications (platform_user_id, kind, run_id, title, created_at) \
             values ($1, 'run_completed', $2, $3, $4) on conflict do nothing",
        )
        .bind(platform_user_id)
        .bind(held.id)
        .bind(title)
        .bind(now)
        .execute(c)
        .await?;
        Ok(())
    })
}
