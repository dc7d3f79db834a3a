//! The outbox of alerts. Due times and claims follow the database's clock, so that senders
//! whose own clocks differ agree on who may send.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::run_read::restricted_to;
use super::sql;
use super::{Tx, on_tx};
use crate::access::ViewScope;
use crate::text_enum;
use crate::{Error, Result};

text_enum! {
    /// How far the delivery of an alert is.
    pub enum AlertStatus as "alert status" {
        /// It is still tried.
        Pending = "pending",
        /// The receiver took it.
        Delivered = "delivered",
        /// It was tried as often as the settings say, and is not tried again by itself.
        Dead = "dead",
    }
}

/// One alert and its delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// Number.
    pub id: i64,
    /// What the receiver knows it by; none before the first attempt.
    pub delivery_id: Option<String>,
    /// Dotted name of what happened.
    pub event: String,
    /// The run it tells of.
    pub run_id: Option<i64>,
    /// Whether that run is kept.
    pub run_kept: bool,
    /// How far the delivery is.
    pub status: AlertStatus,
    /// Attempts begun since it was queued or last revived.
    pub attempts: i64,
    /// Why it is not delivered, sanitised.
    pub last_error: Option<String>,
    /// When it is tried next, by the database's clock; of a pending alert only.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When it was tried last.
    pub last_attempt_at: Option<DateTime<Utc>>,
    /// When it was queued.
    pub created_at: DateTime<Utc>,
    /// When the receiver took it.
    pub delivered_at: Option<DateTime<Utc>>,
}

#[derive(Debug, sqlx::FromRow)]
struct AlertRow {
    id: i64,
    delivery_id: Option<String>,
    event: String,
    run_id: Option<i64>,
    run_kept: bool,
    status: String,
    attempts: i64,
    last_error: Option<String>,
    next_attempt_at: DateTime<Utc>,
    last_attempt_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    delivered_at: Option<DateTime<Utc>>,
}

impl TryFrom<AlertRow> for Alert {
    type Error = Error;

    fn try_from(row: AlertRow) -> Result<Self> {
        let status: AlertStatus = row.status.parse()?;
        Ok(Self {
            id: row.id,
            delivery_id: row.delivery_id,
            event: row.event,
            run_id: row.run_id,
            run_kept: row.run_kept,
            status,
            attempts: row.attempts,
            last_error: row.last_error,
            next_attempt_at: (status == AlertStatus::Pending).then_some(row.next_attempt_at),
            last_attempt_at: row.last_attempt_at,
            created_at: row.created_at,
            delivered_at: row.delivered_at,
        })
    }
}

/// The columns of an alert `r`.
macro_rules! alert_columns {
    () => {
        "r.id, r.delivery_id, r.event, coalesce(r.run_id, r.gone_run_id) as run_id, \
         r.run_id is not null as run_kept, r.status, r.attempts, \
         r.last_error, r.next_attempt_at, \
         r.last_attempt_at, r.created_at, r.delivered_at"
    };
}

/// The condition that keeps an alert `r` outside of a restricted view away; the platform user
/// is bound as `$1` (null: sees all).
macro_rules! in_view {
    () => {
        "($1 is null or exists (select 1 from operation_runs o join platform_user_workspaces v \
         on v.workspace_id = o.workspace_id where o.id = r.run_id and v.platform_user_id = $1))"
    };
}

/// The newest alerts within a view, at most `limit`.
pub async fn newest(
    tx: &mut Tx,
    scope: ViewScope,
    status: Option<AlertStatus>,
    limit: i64,
) -> Result<Vec<Alert>> {
    let rows: Vec<AlertRow> = on_tx!(tx, c => {
        sql::query_as(concat!(
            "select ", alert_columns!(), " from alert_deliveries r where ", in_view!(),
            " and ($2 is null or r.status = $2) order by r.id desc limit $3"
        ))
        .bind(restricted_to(scope))
        .bind(status.map(AlertStatus::as_str))
        .bind(limit)
        .fetch_all(c)
        .await?
    });
    rows.into_iter().map(Alert::try_from).collect()
}

/// One alert within a view, held until the transaction ends where it is to be changed.
pub async fn by_id(tx: &mut Tx, scope: ViewScope, id: i64, hold: bool) -> Result<Option<Alert>> {
    let row: Option<AlertRow> = on_tx!(tx, c => {
        let text = if hold {
            concat!(
                "select ", alert_columns!(), " from alert_deliveries r where ", in_view!(),
                " and r.id = $2", for_update!()
            )
        } else {
            concat!(
                "select ", alert_columns!(), " from alert_deliveries r where ", in_view!(), " and r.id = $2"
            )
        };
        sql::query_as(text).bind(restricted_to(scope)).bind(id).fetch_optional(c).await?
    });
    row.map(Alert::try_from).transpose()
}

/// What is not delivered, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Undelivered {
    /// Still tried.
    pub pending: i64,
    /// Of these, those that failed at least once.
    pub overdue: i64,
    /// Not tried any more.
    pub dead: i64,
}

/// Counts what is not delivered within a view.
pub async fn count_undelivered(tx: &mut Tx, scope: ViewScope) -> Result<Undelivered> {
    on_tx!(tx, c => {
        Ok(sql::query_as(concat!(
            "select coalesce(sum(case when r.status = 'pending' then 1 else 0 end), 0) as pending, \
             coalesce(sum(case when r.status = 'pending' and r.attempts > 0 and r.last_error is not null \
             then 1 else 0 end), 0) as overdue, \
             coalesce(sum(case when r.status = 'dead' then 1 else 0 end), 0) as dead \
             from alert_deliveries r where r.status in ('pending', 'dead') and ", in_view!()
        ))
        .bind(restricted_to(scope))
        .fetch_one(c)
        .await?)
    })
}

/// How many alerts are late: still tried, and either the last attempt failed or they wait since
/// before `since`.
pub async fn count_late(tx: &mut Tx, scope: ViewScope, since: DateTime<Utc>) -> Result<i64> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar(concat!(
            "select count(*) from alert_deliveries r where r.status = 'pending' and ((r.attempts > 0 \
             and r.last_error is not null) or r.created_at < $2) and ", in_view!()
        ))
        .bind(restricted_to(scope))
        .bind(since)
        .fetch_one(c)
        .await?)
    })
}

/// What the newest attempt that failed said, of alerts that are not delivered.
pub async fn last_error(tx: &mut Tx, scope: ViewScope) -> Result<Option<String>> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar(concat!(
            "select r.last_error from alert_deliveries r where r.status in ('pending', 'dead') \
             and r.last_error is not null and ", in_view!(),
            " order by r.last_attempt_at desc nulls last, r.id desc limit 1"
        ))
        .bind(restricted_to(scope))
        .fetch_optional(c)
        .await?)
    })
}

/// Whether an alert waits to be sent now.
pub async fn is_due(tx: &mut Tx) -> Result<bool> {
    on_tx!(tx, c => {
        // The smallest alone, which the index gives at once however many wait for later.
        let due: Option<bool> = sql::query_scalar(concat!(
            "select (select min(r.next_attempt_at) from alert_deliveries r where r.status = 'pending') <= ",
            database_now!()
        ))
        .fetch_one(c)
        .await?;
        Ok(due == Some(true))
    })
}

/// An alert that a sender took to send it once.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct ClaimedAlert {
    /// Number.
    pub id: i64,
    /// What the receiver knows it by: the same at every attempt.
    pub delivery_id: String,
    /// This attempt: what its report has to repeat.
    pub claim_id: String,
    /// Dotted name of what happened.
    pub event: String,
    /// The run it tells of.
    pub run_id: Option<i64>,
    /// What was stored to be sent.
    #[sqlx(json)]
    pub payload: Value,
    /// Which attempt it is, from 1.
    pub attempts: i64,
    /// When it was queued.
    pub created_at: DateTime<Utc>,
}

/// Takes up to `limit` due alerts; nobody else gets one of them until `visibility` is over.
pub async fn claim(
    tx: &mut Tx,
    limit: i64,
    visibility: Duration,
    now: DateTime<Utc>,
) -> Result<Vec<ClaimedAlert>> {
    let ids: Vec<i64> = on_tx!(tx, c => {
        sql::query_scalar(concat!(
            "select r.id from alert_deliveries r where r.status = 'pending' and r.next_attempt_at <= ",
            database_now!(), " order by r.next_attempt_at, r.id limit $1", claim_lock!()
        ))
        .bind(limit)
        .fetch_all(c)
        .await?
    });
    let mut claimed = Vec::with_capacity(ids.len());
    for id in ids {
        let (delivery_id, claim_id) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
        claimed.push(on_tx!(tx, c => {
            sql::query_as(concat!(
                "update alert_deliveries set attempts = attempts + 1, \
                 delivery_id = coalesce(delivery_id, $2), claim_id = $3, last_attempt_at = $4, \
                 last_error = case when attempts = 0 then null else last_error end, \
                 next_attempt_at = ", database_in!("$5"), " where id = $1 \
                 returning id, delivery_id, claim_id, event, coalesce(run_id, gone_run_id) as run_id, payload, attempts, created_at"
            ))
            .bind(id)
            .bind(delivery_id.to_string())
            .bind(claim_id.to_string())
            .bind(now)
            .bind(seconds(visibility))
            .fetch_one(c)
            .await?
        }));
    }
    Ok(claimed)
}

/// Records that the receiver took it. That stays true whoever holds it now.
pub async fn delivered(tx: &mut Tx, id: i64, now: DateTime<Utc>) -> Result<bool> {
    on_tx!(tx, c => {
        let done = sql::query(
            "update alert_deliveries set status = 'delivered', delivered_at = $2, last_error = null, \
             claim_id = null where id = $1 and status <> 'delivered'",
        )
        .bind(id)
        .bind(now)
        .execute(c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Records that an attempt failed, and when the next one is; dead after `max_attempts`. Gives
/// the status, or none if the attempt was no longer the one under way.
pub async fn failed(
    tx: &mut Tx,
    (id, claim_id): (i64, &str),
    error: &str,
    delay: Duration,
    max_attempts: i64,
) -> Result<Option<AlertStatus>> {
    let status: Option<String> = on_tx!(tx, c => {
        sql::query_scalar(concat!(
            "update alert_deliveries set last_error = $3, claim_id = null, \
             status = case when attempts >= $4 then 'dead' else 'pending' end, next_attempt_at = ",
            database_in!("$5"), " where id = $1 and claim_id = $2 and status = 'pending' returning status"
        ))
        .bind(id)
        .bind(claim_id)
        .bind(error)
        .bind(max_attempts)
        .bind(seconds(delay))
        .fetch_optional(c)
        .await?
    });
    status.map(|status| status.parse()).transpose()
}

/// Says on every due alert that was never tried why it is not.
pub async fn explain_waiting(tx: &mut Tx, reason: &str) -> Result<u64> {
    on_tx!(tx, c => {
        Ok(sql::query(concat!(
            "update alert_deliveries set last_error = $1 where status = 'pending' and attempts = 0 \
             and last_error is null and next_attempt_at <= ", database_now!()
        ))
        .bind(reason)
        .execute(c)
        .await?
        .rows_affected())
    })
}

/// Makes a dead alert pending again, due now, with a fresh count of attempts.
pub async fn revive(tx: &mut Tx, id: i64) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(concat!(
            "update alert_deliveries set status = 'pending', attempts = 0, claim_id = null, \
             next_attempt_at = ", database_now!(), " where id = $1 and status = 'dead'"
        ))
        .bind(id)
        .execute(c)
        .await?;
        Ok(())
    })
}

/// Seconds for the database, to the millisecond.
fn seconds(duration: Duration) -> f64 {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)).as_secs_f64()
}
