//! Which types and tenants have alerted and not succeeded since. Tenant 0 is the platform itself:
//! a run that has no tenant. A type with several subjects stands there as `type:subject`.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use super::sql;
use super::{Tx, on_tx};
use crate::Result;

/// Opens an alert for every failed target of a run, or for all that did not succeed.
pub async fn open(
    tx: &mut Tx,
    (run_id, run_type): (i64, &str),
    event: &str,
    only_failed: bool,
    now: DateTime<Utc>,
) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(
            "insert into open_alerts (run_type, tenant_id, event, run_id, alerted_at) \
             select distinct $2, coalesce(t.tenant_id, 0), $3, t.run_id, $5 from operation_run_targets t \
             where t.run_id = $1 and t.status <> 'succeeded' and (t.status = 'failed' or not $4) \
             on conflict (run_type, tenant_id) do update set event = excluded.event, \
             run_id = excluded.run_id, alerted_at = excluded.alerted_at",
        )
        .bind(run_id)
        .bind(run_type)
        .bind(event)
        .bind(only_failed)
        .bind(now)
        .execute(c)
        .await?;
        Ok(())
    })
}

/// Closes the alerts of the targets that succeeded in a run; gives their tenants and the runs
/// that alerted, oldest tenant first.
pub async fn close(tx: &mut Tx, (run_id, run_type): (i64, &str)) -> Result<Vec<(i64, i64)>> {
    let mut closed: Vec<(i64, i64)> = on_tx!(tx, c => {
        sql::query_as(
            "delete from open_alerts where run_type = $2 and tenant_id in \
             (select coalesce(t.tenant_id, 0) from operation_run_targets t \
             where t.run_id = $1 and t.status = 'succeeded') returning tenant_id, run_id",
        )
        .bind(run_id)
        .bind(run_type)
        .fetch_all(c)
        .await?
    });
    closed.sort_unstable();
    Ok(closed)
}

/// Puts an alert into the outbox; a run has one of each event.
pub async fn enqueue(
    tx: &mut Tx,
    event: &str,
    run_id: i64,
    payload: &Value,
    now: DateTime<Utc>,
) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(
            "insert into alert_deliveries (event, run_id, payload, next_attempt_at, created_at) \
             values ($1, $2, $3, $4, $4) on conflict do nothing",
        )
        .bind(event)
        .bind(run_id)
        .bind(Json(payload))
        .bind(now)
        .execute(c)
        .await?;
        Ok(())
    })
}
