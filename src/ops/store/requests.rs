//! What people ask of a run that a worker holds: to cancel it, to pause it.

use chrono::{DateTime, Utc};

use super::sql;
use super::{Tx, on_tx};
use crate::Result;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct RequestRow {
    /// `cancel` or `pause`.
    pub kind: String,
    /// Who asked.
    pub requested_by: Option<String>,
    /// When.
    pub requested_at: DateTime<Utc>,
    /// When the worker noticed it.
    pub acknowledged_at: Option<DateTime<Utc>>,
}

/// Notes a request; false if it was there already.
pub async fn insert(
    tx: &mut Tx,
    run_id: i64,
    kind: &str,
    by: Option<(i64, &str)>,
    now: DateTime<Utc>,
) -> Result<bool> {
    on_tx!(tx, c => {
        let done = sql::query(
            "insert into operation_run_requests (run_id, kind, platform_user_id, requested_by, requested_at) \
             values ($1, $2, $3, $4, $5) on conflict do nothing",
        )
        .bind(run_id)
        .bind(kind)
        .bind(by.map(|(id, _)| id))
        .bind(by.map(|(_, name)| name))
        .bind(now)
        .execute(c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Everything asked of a run.
pub async fn of_run(tx: &mut Tx, run_id: i64) -> Result<Vec<RequestRow>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select kind, requested_by, requested_at, acknowledged_at from operation_run_requests \
             where run_id = $1 order by kind",
        )
        .bind(run_id)
        .fetch_all(c)
        .await?)
    })
}

/// Notes that the holder of a run has seen what is asked of it.
pub async fn acknowledge(tx: &mut Tx, run_id: i64, now: DateTime<Utc>) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(
            "update operation_run_requests set acknowledged_at = $2 where run_id = $1 and acknowledged_at is null",
        )
        .bind(run_id)
        .bind(now)
        .execute(c)
        .await?;
        Ok(())
    })
}

/// Copies an acknowledged cancel to the run's own row, where lists look.
pub async fn show_cancel(tx: &mut Tx, run_id: i64) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(
            "update operation_runs set cancel_requested_at = (select q.requested_at from operation_run_requests q \
             where q.run_id = $1 and q.kind = 'cancel') where id = $1 and cancel_requested_at is null \
             and exists (select 1 from operation_run_requests q where q.run_id = $1 and q.kind = 'cancel' \
             and q.acknowledged_at is not null)",
        )
        .bind(run_id)
        .execute(c)
        .await?;
        Ok(())
    })
}

/// Takes a request back; false if there was none.
pub async fn withdraw(tx: &mut Tx, run_id: i64, kind: &str) -> Result<bool> {
    on_tx!(tx, c => {
        let done = sql::query("delete from operation_run_requests where run_id = $1 and kind = $2")
            .bind(run_id)
            .bind(kind)
            .execute(c)
            .await?;
        Ok(done.rows_affected() == 1)
    })
}
