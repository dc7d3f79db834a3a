//! Runs that can never finish: finding them, and taking them from whoever may hold them.

use chrono::{DateTime, Utc};

use super::sql;
use super::{Tx, on_tx};
use crate::Result;

/// Whether the run `r` with its lease `l` can never finish: waiting unclaimed since before
/// `$2`, or held under a lease that has been over (or missing) for 15 minutes.
macro_rules! stuck {
    () => {
        concat!(
            "((r.status = 'queued' and r.paused_at is null and coalesce(r.queued_at, r.created_at) < $2) \
             or (r.status = 'running' and coalesce(l.expires_at, r.updated_at) < ",
            database_in!("-900"),
            "))"
        )
    };
}

/// The ids of the next `limit` runs after `after_id` that can never finish, held against
/// others where the engine holds rows; `own` is never among them.
pub async fn next_stuck(
    tx: &mut Tx,
    own: i64,
    queued_before: DateTime<Utc>,
    after_id: i64,
    limit: i64,
) -> Result<Vec<i64>> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar(concat!(
            "select r.id from operation_runs r left join operation_run_leases l on l.run_id = r.id \
             where r.id > $3 and r.id <> $1 and ", stuck!(), " order by r.id limit $4", claim_lock!()
        ))
        .bind(own)
        .bind(queued_before)
        .bind(after_id)
        .bind(limit)
        .fetch_all(c)
        .await?)
    })
}

/// Takes a run that still can never finish from whoever may hold it: the fence grows, so a
/// worker that comes back writes nothing. Gives the new fence; none: it is alive after all.
pub async fn take(tx: &mut Tx, run_id: i64, queued_before: DateTime<Utc>) -> Result<Option<i64>> {
    on_tx!(tx, c => {
        // A look of its own, after the run was held: it sees a lease that was renewed since.
        Ok(sql::query_scalar(concat!(
            "update operation_runs set fence = fence + 1 where id = $1 and exists (select 1 from operation_runs r \
             left join operation_run_leases l on l.run_id = r.id where r.id = $1 and ", stuck!(),
            ") returning fence"
        ))
        .bind(run_id)
        .bind(queued_before)
        .fetch_optional(c)
        .await?)
    })
}

/// How many runs can never finish, and how many are active.
pub async fn count(tx: &mut Tx, own: i64, queued_before: DateTime<Utc>) -> Result<(i64, i64)> {
    on_tx!(tx, c => {
        Ok(sql::query_as(concat!(
            "select count(case when ", stuck!(), " then 1 end), count(*) from operation_runs r \
             left join operation_run_leases l on l.run_id = r.id \
             where r.status in ('queued', 'running') and r.id <> $1"
        ))
        .bind(own)
        .bind(queued_before)
        .fetch_one(c)
        .await?)
    })
}

/// How many targets of a run were begun, whatever came of it.
pub async fn begun(tx: &mut Tx, run_id: i64) -> Result<i64> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar(
            "select count(*) from operation_run_targets \
             where run_id = $1 and (starts > 0 or steps > 0 or errors > 0)",
        )
        .bind(run_id)
        .fetch_one(c)
        .await?)
    })
}
