//! The targets of a run under execution. A target's row is the marker that makes the effect
//! of a step happen once, and the one source of the run's counts.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use super::sql;
use super::{Tx, on_tx};
use crate::Result;

/// A target that is not done, as the worker plans with it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Pending {
    /// Position in the run.
    pub ordinal: i64,
    /// Tenant; none for the platform itself.
    pub tenant_id: Option<i64>,
    /// Steps done: the marker.
    pub steps: i64,
    /// Failures in a row that may be retried.
    pub errors: i64,
    /// Starts since its last progress.
    pub starts: i64,
}

/// Pending targets that are due, after `after`, in order; `started` leaves out those that no
/// lost worker had started.
pub async fn due(
    tx: &mut Tx,
    run_id: i64,
    after: i64,
    started: bool,
    limit: i64,
) -> Result<Vec<Pending>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(concat!(
            "select ordinal, tenant_id, steps, errors, starts from operation_run_targets \
             where run_id = $1 and status = 'pending' and ordinal > $2 and (starts > 0 or not $4) \
             and (next_attempt_at is null or next_attempt_at <= ", database_now!(), ") \
             order by ordinal limit $3"
        ))
        .bind(run_id)
        .bind(after)
        .bind(limit)
        .bind(started)
        .fetch_all(c)
        .await?)
    })
}

/// How many of the first `first` targets are pending, and how many failed.
pub async fn canary(tx: &mut Tx, run_id: i64, first: i64) -> Result<(i64, i64)> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select count(*) filter (where status = 'pending'), count(*) filter (where status = 'failed') \
             from operation_run_targets where run_id = $1 and ordinal < $2",
        )
        .bind(run_id)
        .bind(first)
        .fetch_one(c)
        .await?)
    })
}

/// The start of target `$2` of run `$1` where `$condition` holds.
macro_rules! begin_where {
    ($condition:expr) => {
        concat!(
            "update operation_run_targets set starts = coalesce($5, starts) + 1, step_started_at = $4, \
             next_attempt_at = null, updated_at = $4 \
             where run_id = $1 and ordinal = $2 and coalesce($5, starts) < $3 and ",
            $condition,
            " returning ordinal, tenant_id, steps, errors, starts"
        )
    };
}

/// A target's start, as it is committed before its step.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Begun {
    /// Position in the run.
    pub ordinal: i64,
    /// Tenant; none for the platform itself.
    pub tenant_id: Option<i64>,
    /// Steps done: the marker that the step must find.
    pub steps: i64,
    /// Failures in a row that may be retried.
    pub errors: i64,
    /// Starts since its last progress, this one included.
    pub starts: i64,
}

/// Counts a start of a pending target that was started less than `limit` times since its
/// last progress; none where it is not. `counted` are the starts that count so far, where the
/// worker knows that an outage came between a start and its step.
pub async fn begin(
    tx: &mut Tx,
    run_id: i64,
    ordinal: i64,
    limit: i64,
    counted: Option<i64>,
    now: DateTime<Utc>,
) -> Result<Option<Begun>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(begin_where!("status = 'pending'"))
            .bind(run_id)
            .bind(ordinal)
            .bind(limit)
            .bind(now)
            .bind(counted)
            .fetch_optional(c)
            .await?)
    })
}

/// The same within the step of another target, which must not wait: none also where another session
/// holds the target's row.
pub async fn begin_next(
    tx: &mut Tx,
    run_id: i64,
    ordinal: i64,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<Option<Begun>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(begin_where!(concat!(
            "ordinal in (select r.ordinal from operation_run_targets r \
             where r.run_id = $1 and r.ordinal = $2 and r.status = 'pending'", claim_lock!(), ")"
        )))
        .bind(run_id)
        .bind(ordinal)
        .bind(limit)
        .bind(now)
        .bind(None::<i64>)
        .fetch_optional(c)
        .await?)
    })
}

/// What a step finds: the run's facts and the target's marker.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Found {
    /// The run's type.
    #[sqlx(rename = "type")]
    pub run_type: String,
    /// The run's first claim.
    pub started_at: Option<DateTime<Utc>>,
    /// The run's context.
    pub context: Json<Value>,
    /// The run's fence, as it stands.
    pub fence: i64,
    /// The run's status.
    pub run_status: String,
    /// Tenant of the target.
    pub tenant_id: Option<i64>,
    /// The target's status.
    pub status: String,
    /// The target's marker.
    pub steps: i64,
    /// Where its last step left off.
    pub progress: Json<Value>,
    /// Items done, failed ones among them.
    pub items: i64,
    /// Items that failed.
    pub failed_items: i64,
    /// Items in all, where its executor says so.
    pub item_total: Option<i64>,
    /// Whether its tenant was archived or removed.
    pub gone: bool,
}

/// Reads run and target for a step, the run held against a claim until the step is over.
pub async fn find(tx: &mut Tx, run_id: i64, ordinal: i64) -> Result<Option<Found>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(concat!(
            "select r.type, r.started_at, r.context, r.fence, r.status as run_status, g.tenant_id, g.status, \
             g.steps, g.progress, g.items, g.failed_items, g.item_total, \
             g.tenant_id is not null and (t.id is null or t.archived_at is not null \
             or w.archived_at is not null) as gone \
             from operation_runs r join operation_run_targets g on g.run_id = r.id \
             left join tenants t on t.id = g.tenant_id left join workspaces w on w.id = t.workspace_id \
             where r.id = $1 and g.ordinal = $2", for_share!("r")
        ))
        .bind(run_id)
        .bind(ordinal)
        .fetch_optional(c)
        .await?)
    })
}

/// What one step leaves on its target.
#[derive(Debug)]
pub struct Left<'a> {
    /// The run.
    pub run_id: i64,
    /// The target.
    pub ordinal: i64,
    /// The marker the step found.
    pub steps: i64,
    /// Where the next step goes on; none: the target is done.
    pub next: Option<&'a Value>,
    /// The next step comes after so many seconds; 0: at once.
    pub pause: f64,
    /// Items done so far, failed ones among them.
    pub items: i64,
    /// Items that failed so far.
    pub failed_items: i64,
    /// Items in all, where the executor says so.
    pub item_total: Option<i64>,
    /// Why the target failed, if it did.
    pub failed_as: Option<&'a str>,
    /// Records made, changed, removed by this step.
    pub records: [i64; 3],
    /// Now.
    pub now: DateTime<Utc>,
}

/// Moves the marker by one step; false if it was moved meanwhile. A target that goes on at once
/// counts as started for its next step.
pub async fn leave(tx: &mut Tx, left: &Left<'_>) -> Result<bool> {
    let status = match (left.next, left.failed_as) {
        (Some(_), _) => "pending",
        (None, Some(_)) => "failed",
        (None, None) => "succeeded",
    };
    on_tx!(tx, c => {
        let done = sql::query(concat!(
            "update operation_run_targets set steps = steps + 1, errors = 0, status = $4, reason_code = $14, \
             next_attempt_at = case when $15 then ", database_in!("$11"), " end, \
             starts = case when $16 then 1 else 0 end, step_started_at = case when $16 then $6 end, \
             progress = coalesce($5, progress), items = $7, failed_items = $12, item_total = $13, \
             created = created + $8, updated = updated + $9, deleted = deleted + $10, updated_at = $6 \
             where run_id = $1 and ordinal = $2 and status = 'pending' and steps = $3"
        ))
        .bind(left.run_id)
        .bind(left.ordinal)
        .bind(left.steps)
        .bind(status)
        .bind(left.next.map(Json))
        .bind(left.now)
        .bind(left.items)
        .bind(left.records[0])
        .bind(left.records[1])
        .bind(left.records[2])
        .bind(left.pause)
        .bind(left.failed_items)
        .bind(left.item_total)
        .bind(left.failed_as)
        .bind(left.pause > 0.0)
        .bind(left.next.is_some() && left.pause <= 0.0)
        .execute(c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Ends a pending target as failed; false if it is not pending at that marker. Of one that says how
/// many items it has, the item at hand failed, if none did before.
pub async fn fail(
    tx: &mut Tx,
    run_id: i64,
    ordinal: i64,
    steps: i64,
    reason_code: &str,
    now: DateTime<Utc>,
) -> Result<bool> {
    on_tx!(tx, c => {
        let done = sql::query(
            "update operation_run_targets set status = 'failed', reason_code = $4, step_started_at = null, \
             next_attempt_at = null, updated_at = $5, \
             items = case when failed_items = 0 and items < item_total then items + 1 else items end, \
             failed_items = case when failed_items = 0 and item_total > 0 then 1 else failed_items end \
             where run_id = $1 and ordinal = $2 and status = 'pending' and steps = $3",
        )
        .bind(run_id)
        .bind(ordinal)
        .bind(steps)
        .bind(reason_code)
        .bind(now)
        .execute(c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Skips a pending target for a reason of its own; false if it is not pending at that marker. One
/// with failed items is a failed target for that reason.
pub async fn skip(
    tx: &mut Tx,
    run_id: i64,
    ordinal: i64,
    steps: i64,
    reason_code: &str,
    now: DateTime<Utc>,
) -> Result<bool> {
    on_tx!(tx, c => {
        let done = sql::query(
            "update operation_run_targets set status = case when failed_items > 0 then 'failed' else 'skipped' end, \
             reason_code = case when failed_items > 0 then $4 end, \
             skip_reason = case when failed_items > 0 then null else $4 end, step_started_at = null, \
             next_attempt_at = null, updated_at = $5 \
             where run_id = $1 and ordinal = $2 and status = 'pending' and steps = $3",
        )
        .bind(run_id)
        .bind(ordinal)
        .bind(steps)
        .bind(reason_code)
        .bind(now)
        .execute(c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Puts a pending target off for `seconds`; false if it is not pending at that marker. A
/// step that failed in order is no crash, so its start is taken back.
pub async fn put_off(
    tx: &mut Tx,
    run_id: i64,
    ordinal: i64,
    steps: i64,
    seconds: f64,
    now: DateTime<Utc>,
) -> Result<bool> {
    on_tx!(tx, c => {
        let done = sql::query(concat!(
            "update operation_run_targets set errors = errors + 1, starts = 0, step_started_at = null, \
             next_attempt_at = ", database_in!("$4"), ", updated_at = $5 \
             where run_id = $1 and ordinal = $2 and status = 'pending' and steps = $3"
        ))
        .bind(run_id)
        .bind(ordinal)
        .bind(steps)
        .bind(seconds)
        .bind(now)
        .execute(c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Takes back the starts of targets whose steps were given up in order.
pub async fn take_back_starts(tx: &mut Tx, run_id: i64) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(
            "update operation_run_targets set starts = 0, step_started_at = null \
             where run_id = $1 and status = 'pending' and step_started_at is not null",
        )
        .bind(run_id)
        .execute(c)
        .await?;
        Ok(())
    })
}

/// Marks the steps of a lost worker as no longer in flight. Their starts stay counted.
pub async fn none_in_flight(tx: &mut Tx, run_id: i64) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(
            "update operation_run_targets set step_started_at = null \
             where run_id = $1 and status = 'pending' and step_started_at is not null",
        )
        .bind(run_id)
        .execute(c)
        .await?;
        Ok(())
    })
}

/// Fails the targets that were started and are still pending, or the first pending one where
/// none was; gives their tenants.
pub async fn fail_started(
    tx: &mut Tx,
    run_id: i64,
    reason_code: &str,
    now: DateTime<Utc>,
) -> Result<Vec<Option<i64>>> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar(
            "update operation_run_targets set status = 'failed', reason_code = $2, step_started_at = null, \
             items = case when failed_items = 0 and items < item_total then items + 1 else items end, \
             failed_items = case when failed_items = 0 and item_total > 0 then 1 else failed_items end, \
             updated_at = $3 where run_id = $1 and status = 'pending' and (starts > 0 or not exists (select 1 \
             from operation_run_targets s where s.run_id = $1 and s.status = 'pending' and s.starts > 0) \
             and ordinal = (select min(f.ordinal) from operation_run_targets f \
             where f.run_id = $1 and f.status = 'pending')) returning tenant_id",
        )
        .bind(run_id)
        .bind(reason_code)
        .bind(now)
        .fetch_all(c)
        .await?)
    })
}

/// Everything a run's counts are made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Tally {
    /// Targets.
    pub total: i64,
    /// Not done.
    pub pending: i64,
    /// Done well.
    pub succeeded: i64,
    /// Failed.
    pub failed: i64,
    /// Left undone.
    pub skipped: i64,
    /// Left undone because their tenants are gone.
    pub gone: i64,
    /// Tenants that were done, well or not.
    pub tenants: i64,
    /// Pending with a step under way.
    pub in_flight: i64,
    /// Steps done.
    pub steps: i64,
    /// Items done, failed ones among them.
    pub items: i64,
    /// Items that failed.
    pub failed_items: i64,
    /// Items in all, as far as executors say so.
    pub item_total: i64,
    /// Items that succeeded within failed targets that say how many they have.
    pub good_items: i64,
    /// Records made.
    pub created: i64,
    /// Records changed.
    pub updated: i64,
    /// Records removed.
    pub deleted: i64,
}

/// Counts a run's targets.
pub async fn tally(tx: &mut Tx, run_id: i64) -> Result<Tally> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select count(*) as total, \
             count(*) filter (where status = 'pending') as pending, \
             count(*) filter (where status = 'succeeded') as succeeded, \
             count(*) filter (where status = 'failed') as failed, \
             count(*) filter (where status = 'skipped') as skipped, \
             count(*) filter (where skip_reason = 'tenant_gone') as gone, \
             count(*) filter (where kind = 'tenant' and status in ('succeeded', 'failed')) as tenants, \
             count(*) filter (where status = 'pending' and step_started_at is not null) as in_flight, \
             cast(coalesce(sum(steps), 0) as bigint) as steps, \
             cast(coalesce(sum(items), 0) as bigint) as items, \
             cast(coalesce(sum(failed_items), 0) as bigint) as failed_items, \
             cast(coalesce(sum(item_total), 0) as bigint) as item_total, \
             cast(coalesce(sum(case when status = 'failed' and item_total > 0 then items - failed_items end), 0) \
             as bigint) as good_items, \
             cast(coalesce(sum(created), 0) as bigint) as created, \
             cast(coalesce(sum(updated), 0) as bigint) as updated, \
             cast(coalesce(sum(deleted), 0) as bigint) as deleted \
             from operation_run_targets where run_id = $1",
        )
        .bind(run_id)
        .fetch_one(c)
        .await?)
    })
}
