//! The inboxes of platform users: their rows and nobody else's.

use chrono::{DateTime, Utc};

use super::run_list::Cursor;
use super::run_read::{RunRow, overdue, run_columns, run_joins};
use super::sql;
use super::sql::QueryBuilder;
use super::{Tx, on_tx};
use crate::Result;
use crate::domain::run::Run;

/// A notification as the driver gives it.
#[derive(Debug, sqlx::FromRow)]
pub struct NotificationRow {
    /// Id.
    pub id: i64,
    /// What it is about, as a stable word.
    pub kind: String,
    /// The run it is about.
    pub run_id: Option<i64>,
    /// One line.
    pub title: String,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was read.
    pub read_at: Option<DateTime<Utc>>,
}

/// A part of one inbox.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Whose.
    pub platform_user_id: i64,
    /// Leave out what was read.
    pub unread_only: bool,
    /// Only what is older than this place.
    pub before: Option<Cursor>,
    /// At most this many rows.
    pub limit: i64,
}

/// Reads a part of an inbox, newest first.
pub async fn page(tx: &mut Tx, wanted: &Wanted) -> Result<Vec<NotificationRow>> {
    on_tx!(tx, c => {
        let mut sql = QueryBuilder::new(
            "select n.id, n.kind, coalesce(n.run_id, n.gone_run_id) as run_id, n.title, n.created_at, n.read_at \
             from notifications n where n.platform_user_id = ",
        );
        sql.push_bind(wanted.platform_user_id);
        if wanted.unread_only {
            sql.push(" and n.read_at is null");
        }
        if let Some(place) = wanted.before {
            sql.push(" and (n.created_at, n.id) < (").push_bind(place.created_at);
            sql.push(", ").push_bind(place.id).push(")");
        }
        sql.push(" order by n.created_at desc, n.id desc limit ").push_bind(wanted.limit);
        Ok(sql.fetch_all(c).await?)
    })
}

/// The runs with these ids, whatever the view: the caller shows no more of them than the
/// notification itself tells.
pub async fn runs(tx: &mut Tx, ids: &[i64]) -> Result<Vec<Run>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<RunRow> = on_tx!(tx, c => {
        let mut sql = QueryBuilder::new(concat!(
            "select ", run_columns!(), ", ", overdue!(database_now!()),
            " as lease_overdue from operation_runs r", run_joins!(), "where r.id in ("
        ));
        sql.push_list(", ", ids.iter().copied());
        sql.push(")");
        sql.fetch_all(c).await?
    });
    rows.into_iter().map(Run::try_from).collect()
}

/// How many of an inbox are unread.
pub async fn unread(tx: &mut Tx, platform_user_id: i64) -> Result<i64> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar(
            "select count(*) from notifications where platform_user_id = $1 and read_at is null",
        )
        .bind(platform_user_id)
        .fetch_one(c)
        .await?)
    })
}

/// Which of `ids` are in an inbox.
pub async fn among(tx: &mut Tx, platform_user_id: i64, ids: &[i64]) -> Result<Vec<i64>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    on_tx!(tx, c => {
        let mut sql = QueryBuilder::new("select id from notifications where platform_user_id = ");
        sql.push_bind(platform_user_id).push(" and id in (");
        sql.push_list(", ", ids.iter().copied());
        sql.push(")");
        Ok(sql.fetch_scalars(c).await?)
    })
}

/// Marks those of `ids` as read that are in an inbox and unread; gives how many.
pub async fn mark(
    tx: &mut Tx,
    platform_user_id: i64,
    ids: &[i64],
    now: DateTime<Utc>,
) -> Result<u64> {
    if ids.is_empty() {
        return Ok(0);
    }
    on_tx!(tx, c => {
        let mut sql = QueryBuilder::new("update notifications set read_at = ");
        sql.push_bind(now).push(" where platform_user_id = ").push_bind(platform_user_id);
        sql.push(" and read_at is null and id in (");
        sql.push_list(", ", ids.iter().copied());
        sql.push(")");
        Ok(sql.execute(c).await?.rows_affected())
    })
}

/// Marks everything unread in an inbox up to an id as read; gives how many.
pub async fn mark_up_to(
    tx: &mut Tx,
    platform_user_id: i64,
    up_to_id: i64,
    now: DateTime<Utc>,
) -> Result<u64> {
    on_tx!(tx, c => {
        let done = sql::query(
            "update notifications set read_at = $3 \
             where platform_user_id = $1 and id <= $2 and read_at is null",
        )
        .bind(platform_user_id)
        .bind(up_to_id)
        .bind(now)
        .execute(c)
        .await?;
        Ok(done.rows_affected())
    })
}
