//! What outages leave on a run: gaps in what its end wrote, an end that is put off, and starts and
//! takeovers that count for nothing.

use super::sql;
use super::{Tx, on_tx};
use crate::Result;

/// What the end of a run should write beside its own row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// The notification of its initiator.
    Notification,
    /// Its alert.
    Alert,
    /// Its audit row.
    Audit,
}

impl Gap {
    /// What is missing, in words.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Notification => "notification",
            Self::Alert => "alert",
            Self::Audit => "audit row",
        }
    }
}

/// Counts something that the end of a run could not write.
pub async fn count_gap(tx: &mut Tx, run_id: i64, gap: Gap) -> Result<()> {
    let count = match gap {
        Gap::Notification => {
            "update operation_runs set notification_gaps = notification_gaps + 1 where id = $1"
        }
        Gap::Alert => "update operation_runs set alert_gaps = alert_gaps + 1 where id = $1",
        Gap::Audit => "update operation_runs set audit_gaps = audit_gaps + 1 where id = $1",
    };
    on_tx!(tx, c => {
        sql::query(count).bind(run_id).execute(c).await?;
        Ok(())
    })
}

/// Lets the lease of a run that `fence` holds end after `seconds`, for whoever comes first then;
/// false if the claim was lost.
pub async fn postpone(tx: &mut Tx, run_id: i64, fence: i64, seconds: f64) -> Result<bool> {
    on_tx!(tx, c => {
        let done = sql::query(concat!(
            "update operation_run_leases set expires_at = ", database_in!("$3"),
            " where run_id = $1 and exists (select 1 from operation_runs r where r.id = $1 and r.fence = $2 \
             and r.status = 'running')"
        ))
        .bind(run_id)
        .bind(fence)
        .bind(seconds)
        .execute(c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Notes on a run that `fence` holds, or held last, that its next claim takes it from no lost worker.
pub async fn no_takeover(tx: &mut Tx, run_id: i64, fence: i64) -> Result<()> {
    on_tx!(tx, c => {
        sql::query("update operation_runs set takeover_mark = -1 where id = $1 and fence = $2 and status = 'running'")
            .bind(run_id)
            .bind(fence)
            .execute(c)
            .await?;
        Ok(())
    })
}

/// Takes back a takeover of a run from the process `owner`, which held it under `fence`: an outage kept
/// it from the run.
pub async fn take_back_takeover(tx: &mut Tx, run_id: i64, fence: i64, owner: &str) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(
            "update operation_runs set takeovers = takeovers - 1 \
             where id = $1 and fence > $2 and lease_owner <> $3 and status = 'running' and takeovers > 0",
        )
        .bind(run_id)
        .bind(fence)
        .bind(owner)
        .execute(c)
        .await?;
        Ok(())
    })
}

/// Takes back a start that an outage came after, unless its target got on since; `counted` are
/// the starts before it.
pub async fn take_back_start(
    tx: &mut Tx,
    run_id: i64,
    ordinal: i64,
    steps: i64,
    counted: i64,
) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(
            "update operation_run_targets set starts = starts - 1, \
             step_started_at = case when starts - 1 = $4 then null else step_started_at end \
             where run_id = $1 and ordinal = $2 and status = 'pending' and steps = $3 and starts > $4",
        )
        .bind(run_id)
        .bind(ordinal)
        .bind(steps)
        .bind(counted)
        .execute(c)
        .await?;
        Ok(())
    })
}
