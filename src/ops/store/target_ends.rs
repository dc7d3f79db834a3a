//! How targets end beside their own steps: by what an executor reports, or because their run ends.

use chrono::{DateTime, Utc};

use super::sql;
use super::{Tx, on_tx};
use crate::Result;

/// The commonest reason among the failures of a target, the first in the alphabet where two are; a
/// query over the row of `operation_run_targets` at hand.
macro_rules! own_reason {
    () => {
        "select f.reason_code from operation_run_failures f where f.run_id = operation_run_targets.run_id \
         and (f.tenant_id = operation_run_targets.tenant_id \
         or (f.tenant_id is null and operation_run_targets.tenant_id is null)) \
         group by f.reason_code order by count(*) desc, f.reason_code limit 1"
    };
}

/// Notes what an executor reports of a run with one target: items in all, done, failed.
pub async fn report(tx: &mut Tx, run_id: i64, items: [i64; 3]) -> Result<()> {
    let [total, done, failed] = items;
    on_tx!(tx, c => {
        sql::query(
            "update operation_run_targets set item_total = $2, items = $3, failed_items = $4 \
             where run_id = $1 and status = 'pending' \
             and (select r.target_count from operation_runs r where r.id = $1) = 1",
        )
        .bind(run_id)
        .bind(total)
        .bind(done)
        .bind(failed)
        .execute(c)
        .await?;
        Ok(())
    })
}

/// Fails the pending targets of a run whose tenants have failures, each for its commonest reason;
/// gives how many.
pub async fn fail_named(tx: &mut Tx, run_id: i64, now: DateTime<Utc>) -> Result<u64> {
    on_tx!(tx, c => {
        Ok(sql::query(concat!(
            "update operation_run_targets set status = 'failed', step_started_at = null, next_attempt_at = null, \
             starts = case when starts < 1 then 1 else starts end, updated_at = $2, reason_code = (",
            own_reason!(), ") where run_id = $1 and status = 'pending' and exists (",
            own_reason!(), ")"
        ))
        .bind(run_id)
        .bind(now)
        .execute(c)
        .await?
        .rows_affected())
    })
}

/// The commonest reason among the failures of one target.
pub async fn reason_of(tx: &mut Tx, run_id: i64, ordinal: i64) -> Result<Option<String>> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar(concat!(
            "select (", own_reason!(), ") from operation_run_targets where run_id = $1 and ordinal = $2"
        ))
        .bind(run_id)
        .bind(ordinal)
        .fetch_one(c)
        .await?)
    })
}

/// Ends the pending targets of a run in one way; one with failed items is a failed target for the
/// commonest reason among its failures.
pub async fn settle(
    tx: &mut Tx,
    run_id: i64,
    status: &str,
    reason_code: Option<&str>,
    now: DateTime<Utc>,
) -> Result<u64> {
    on_tx!(tx, c => {
        Ok(sql::query(concat!(
            "update operation_run_targets set status = case when failed_items > 0 then 'failed' else $2 end, \
             reason_code = case when failed_items > 0 or $2 = 'failed' \
             then coalesce($3, (", own_reason!(), "), 'unexpected_error') end, \
             starts = case when $2 = 'skipped' then starts when starts < 1 then 1 else starts end, \
             step_started_at = null, next_attempt_at = null, updated_at = $4 \
             where run_id = $1 and status = 'pending'"
        ))
        .bind(run_id)
        .bind(status)
        .bind(reason_code)
        .bind(now)
        .execute(c)
        .await?
        .rows_affected())
    })
}
