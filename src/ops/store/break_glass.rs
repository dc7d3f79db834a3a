//! Break-glass grants: at most one open per person.

use chrono::{DateTime, Utc};

use super::sql;
use super::{Tx, on_tx};
use crate::Result;
use crate::access::BreakGlass;
use crate::domain::start_reason::StartReason;

/// The grant of a person that was not ended, as a session's look-up reads it; every column is
/// null where there is none.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct OpenGrant {
    #[sqlx(rename = "grant_id")]
    id: Option<i64>,
    #[sqlx(rename = "grant_reason_code")]
    reason_code: Option<String>,
    #[sqlx(rename = "grant_reason")]
    reason: Option<String>,
    #[sqlx(rename = "grant_granted_at")]
    granted_at: Option<DateTime<Utc>>,
    #[sqlx(rename = "grant_expires_at")]
    expires_at: Option<DateTime<Utc>>,
}

impl OpenGrant {
    /// The break-glass that is active at `now`: an open grant that has not expired.
    ///
    /// # Errors
    /// *Failed* for a reason code that this version does not know.
    pub fn active(&self, now: DateTime<Utc>) -> Result<Option<BreakGlass>> {
        let (Some(grant_id), Some(code), Some(reason), Some(granted_at), Some(expires_at)) =
            (self.id, &self.reason_code, &self.reason, self.granted_at, self.expires_at)
        else {
            return Ok(None);
        };
        if expires_at <= now {
            return Ok(None);
        }
        let (reason_code, reason) = (code.parse()?, reason.clone());
        Ok(Some(BreakGlass { grant_id, reason_code, reason, granted_at, expires_at }))
    }
}

/// Ends a person's grant that has expired without anybody ending it, at the time of its expiry.
pub async fn close_expired(tx: &mut Tx, platform_user_id: i64, now: DateTime<Utc>) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(
            "update break_glass_grants set ended_at = expires_at \
             where platform_user_id = $1 and ended_at is null and expires_at <= $2",
        )
        .bind(platform_user_id)
        .bind(now)
        .execute(c)
        .await?;
        Ok(())
    })
}

/// Makes a grant; gives its id, or none where the person has an open one.
pub async fn insert(
    tx: &mut Tx,
    platform_user_id: i64,
    reason: &StartReason,
    granted_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<Option<i64>> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar(
            "insert into break_glass_grants (platform_user_id, reason_code, reason, granted_at, expires_at) \
             values ($1, $2, $3, $4, $5) on conflict do nothing returning id",
        )
        .bind(platform_user_id)
        .bind(reason.code.as_str())
        .bind(&reason.text)
        .bind(granted_at)
        .bind(expires_at)
        .fetch_optional(c)
        .await?)
    })
}

/// When a person's open grant expires.
pub async fn open_until(tx: &mut Tx, platform_user_id: i64) -> Result<Option<DateTime<Utc>>> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar(
            "select expires_at from break_glass_grants where platform_user_id = $1 and ended_at is null",
        )
        .bind(platform_user_id)
        .fetch_optional(c)
        .await?)
    })
}

/// Ends a grant; false if it was ended before.
pub async fn end(tx: &mut Tx, id: i64, now: DateTime<Utc>) -> Result<bool> {
    on_tx!(tx, c => {
        let done = sql::query(
            "update break_glass_grants set ended_at = $2 where id = $1 and ended_at is null",
        )
        .bind(id)
        .bind(now)
        .execute(c)
        .await?;
        Ok(done.rows_affected() > 0)
    })
}
