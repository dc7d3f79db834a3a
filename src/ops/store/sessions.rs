//! Sessions and the throttle in front of them.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::break_glass::OpenGrant;
use super::sql;
use super::{Tx, on_tx};
use crate::Result;

/// A session together with its user, as the check reads them.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct SessionRow {
    /// Id.
    pub id: i64,
    /// Client kind.
    pub kind: String,
    /// Whose it is.
    pub platform_user_id: i64,
    /// Last activity of the person.
    pub last_active_at: DateTime<Utc>,
    /// Idle expiry after this many seconds.
    pub idle_seconds: i64,
    /// Absolute expiry.
    pub expires_at: DateTime<Utc>,
    /// Whether it has ended.
    pub ended: bool,
    /// Whether the user's credentials changed since it was made.
    pub outdated: bool,
    /// The user's name.
    pub username: String,
    /// The user's capabilities, as stored.
    pub capabilities: Json<Vec<String>>,
    /// Whether the user is active.
    pub active: bool,
    /// Whether the user sees only some workspaces.
    pub restricted: bool,
    /// Where it is used from.
    pub origin: String,
    /// The window of the dashboard that the person chose last.
    pub dashboard_window: Option<String>,
    /// The transaction that holds the user's row; none where nothing is held.
    #[sqlx(default)]
    pub transaction: Option<String>,
    /// The user's open break-glass grant, whether or not it has expired.
    #[sqlx(flatten)]
    pub grant: OpenGrant,
}

/// What a session is looked up by.
#[derive(Debug, Clone)]
pub enum By {
    /// Its row.
    Id(i64),
    /// The hash of its token.
    TokenHash(String),
}

/// What both look-ups of a session read.
macro_rules! session_columns {
    () => {
        session_columns!("null")
    };
    ($transaction:expr) => {
        concat!("select ", $transaction, " as \"transaction\", s.id, s.kind, s.platform_user_id, s.last_active_at, s.idle_seconds, s.expires_at, \
         s.ended_at is not null as ended, s.credential_version <> u.credential_version as outdated, \
         u.username, u.capabilities, u.active, not u.view_all as restricted, s.origin, (select p.dashboard_window \
         from platform_user_preferences p where p.platform_user_id = u.id) as dashboard_window, g.id as grant_id, \
         g.reason_code as grant_reason_code, g.reason as grant_reason, \
         g.granted_at as grant_granted_at, g.expires_at as grant_expires_at \
         from platform_sessions s join platform_users u on u.id = s.platform_user_id \
         left join break_glass_grants g on g.platform_user_id = u.id and g.ended_at is null ")
    };
}

/// A session by id.
pub async fn by_id(tx: &mut Tx, id: i64) -> Result<Option<SessionRow>> {
    on_tx!(tx, c => {
        let sql = concat!(session_columns!(), "where s.id = $1");
        Ok(sql::query_as(sql).bind(id).fetch_optional(c).await?)
    })
}

/// The same as a statement of PostgreSQL. In a transaction that writes it holds the user's row, so
/// that a change of capabilities waits until the write is done, or comes first and is seen. Holding
/// it gives the transaction its id, which comes along: its commit can be looked up by it.
pub(super) fn session_by(by: &By, hold: bool) -> sql::Query {
    let found = match (by, hold) {
        (By::Id(_), true) => concat!(
            session_columns!("pg_current_xact_id()::text"),
            "where s.id = $1 for share of u"
        ),
        (By::Id(_), false) => concat!(session_columns!(), "where s.id = $1"),
        (By::TokenHash(_), _) => concat!(session_columns!(), "where s.token_hash = $1"),
    };
    match by {
        By::Id(id) => sql::query(found).bind(*id),
        By::TokenHash(hash) => sql::query(found).bind(hash),
    }
}

/// A session by its token's hash.
pub async fn by_token_hash(tx: &mut Tx, token_hash: &str) -> Result<Option<SessionRow>> {
    on_tx!(tx, c => {
        let sql = concat!(session_columns!(), "where s.token_hash = $1");
        Ok(sql::query_as(sql).bind(token_hash).fetch_optional(c).await?)
    })
}

/// A session to make.
#[derive(Debug)]
pub struct NewSession<'a> {
    /// SHA-256 of the token, hex.
    pub token_hash: &'a str,
    /// Whose.
    pub platform_user_id: i64,
    /// Client kind.
    pub kind: &'a str,
    /// Where it is made from.
    pub origin: &'a str,
    /// The user's credential version that was verified.
    pub credential_version: i64,
    /// Idle expiry, seconds.
    pub idle_seconds: i64,
    /// Now.
    pub now: DateTime<Utc>,
    /// Absolute expiry.
    pub expires_at: DateTime<Utc>,
}

/// Makes a session; gives its id.
pub async fn insert(tx: &mut Tx, new: &NewSession<'_>) -> Result<i64> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar(
            "insert into platform_sessions (token_hash, platform_user_id, kind, origin, \
             credential_version, created_at, last_active_at, idle_seconds, expires_at) \
             values ($1, $2, $3, $4, $5, $6, $6, $7, $8) returning id",
        )
        .bind(new.token_hash)
        .bind(new.platform_user_id)
        .bind(new.kind)
        .bind(new.origin)
        .bind(new.credential_version)
        .bind(new.now)
        .bind(new.idle_seconds)
        .bind(new.expires_at)
        .fetch_one(c)
        .await?)
    })
}

/// Notes that the person did something.
pub async fn touch(tx: &mut Tx, id: i64, now: DateTime<Utc>) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(
            "update platform_sessions set last_active_at = $2 \
             where id = $1 and ended_at is null and last_active_at < $2",
        )
        .bind(id)
        .bind(now)
        .execute(c)
        .await?;
        Ok(())
    })
}

/// The same as a statement of PostgreSQL, for a session that is good at `now` and was not active
/// since `before`.
pub fn touching(id: i64, now: DateTime<Utc>, before: DateTime<Utc>) -> sql::Query {
    sql::query(
        "update platform_sessions set last_active_at = $2 where id = $1 and ended_at is null \
         and last_active_at <= $3 and expires_at > $2 \
         and last_active_at > $2 - idle_seconds * interval '1 second'",
    )
    .bind(id)
    .bind(now)
    .bind(before)
}

/// Ends one session.
pub async fn end(tx: &mut Tx, id: i64, now: DateTime<Utc>, reason: &str) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(
            "update platform_sessions set ended_at = $2, end_reason = $3 where id = $1 and ended_at is null",
        )
        .bind(id)
        .bind(now)
        .bind(reason)
        .execute(c)
        .await?;
        Ok(())
    })
}

/// Ends all of a user's sessions; gives how many.
pub async fn end_all(
    tx: &mut Tx,
    platform_user_id: i64,
    now: DateTime<Utc>,
    reason: &str,
) -> Result<u64> {
    on_tx!(tx, c => {
        Ok(sql::query(
            "update platform_sessions set ended_at = $2, end_reason = $3 \
             where platform_user_id = $1 and ended_at is null",
        )
        .bind(platform_user_id)
        .bind(now)
        .bind(reason)
        .execute(c)
        .await?
        .rows_affected())
    })
}

/// Takes a slot of the throttle's window, in one statement; gives how many are left.
/// Negative: refuse.
///
/// The window moves with every attempt that is let through and starts anew once a whole
/// window has passed since the last of them (`opened_after`), so no stretch of that length
/// ever holds more than `limit`. A refused attempt does not prolong it. The transaction's commit
/// can be looked up by it.
pub async fn reserve_attempt(
    tx: &mut Tx,
    origin: &str,
    username: &str,
    now: DateTime<Utc>,
    opened_after: DateTime<Utc>,
    limit: i64,
) -> Result<i64> {
    let (left, transaction): (i64, Option<String>) = on_tx!(tx, c => {
        sql::query_as(concat!(
            "insert into login_attempts as a (origin, username, window_start, n) values ($1, $2, $3, 1) \
             on conflict (origin, username) do update set \
             window_start = case when a.window_start <= $4 or a.n < $5 then $3 else a.window_start end, \
             n = case when a.window_start <= $4 then 1 else a.n + 1 end \
             returning $5 - n, ", transaction_id!()
        ))
        .bind(origin)
        .bind(username)
        .bind(now)
        .bind(opened_after)
        .bind(limit)
        .fetch_one(c)
        .await?
    });
    tx.remember(transaction.as_deref());
    Ok(left)
}

/// How many attempts are counted for a name, from every origin.
pub async fn attempts(tx: &mut Tx, username: &str) -> Result<i64> {
    on_tx!(tx, c => {
        let counted = "select cast(coalesce(sum(n), 0) as bigint) from login_attempts where username = $1";
        Ok(sql::query_scalar(counted).bind(username).fetch_one(c).await?)
    })
}

/// Clears the throttle: of one origin, or of all; gives how many attempts were counted.
pub async fn clear_attempts(tx: &mut Tx, origin: Option<&str>, username: &str) -> Result<i64> {
    on_tx!(tx, c => {
        let counted: Vec<i64> = sql::query_scalar(
            "delete from login_attempts where username = $1 and ($2 is null or origin = $2) returning n",
        )
        .bind(username)
        .bind(origin)
        .fetch_all(c)
        .await?;
        Ok(counted.into_iter().sum())
    })
}
