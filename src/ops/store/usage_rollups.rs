//! The counts of the ledger: folding what was appended, comparing, making them anew.

use chrono::{DateTime, Utc};

use super::commit::PgTx;
use super::sql;
use super::{Tx, on_tx};
use crate::Result;

/// One count that is not what the ledger says.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct DifferenceRow {
    /// What is counted: `hour`, `day`, `workspace_day`.
    pub span: String,
    /// Of a workspace's day.
    pub workspace_id: Option<i64>,
    /// When the hour or the day begins.
    pub start_at: DateTime<Utc>,
    /// The event's name.
    pub event_name: String,
    /// How many events the ledger holds.
    pub ledger: i64,
    /// How many were counted.
    pub counted: i64,
}

/// Adds at most `limit` appended changes to the counts; gives how many it took. One at a time:
/// a second one waits. Nothing is ever appended on SQLite.
pub async fn fold(tx: &mut Tx, limit: i64) -> Result<i64> {
    let Tx::Postgres(transaction) = tx else { return Ok(0) };
    lock(transaction).await?;
    let (taken, deletions): (i64, bool) = sql::query_as(
        "with taken as (delete from product_usage_deltas where ctid = any(array( \
             select ctid from product_usage_deltas limit $1)) \
             returning hour, workspace_id, event_name, events), \
         hours as (insert into product_usage_hours as x (hour, event_name, events) \
             select hour, event_name, sum(events) from taken group by 1, 2 \
             on conflict (hour, event_name) do update set events = x.events + excluded.events), \
         days as (insert into product_usage_days as x (day, event_name, events) \
             select date_trunc('day', hour, 'UTC'), event_name, sum(events) from taken group by 1, 2 \
             on conflict (day, event_name) do update set events = x.events + excluded.events), \
         workspace_days as (insert into product_usage_workspace_days as x (workspace_id, day, event_name, events) \
             select workspace_id, date_trunc('day', hour, 'UTC'), event_name, sum(events) from taken group by 1, 2, 3 \
             on conflict (workspace_id, day, event_name) do update set events = x.events + excluded.events) \
         select count(*), coalesce(bool_or(events < 0), false) from taken",
    )
    .bind(limit)
    .fetch_one(&mut *transaction)
    .await?;
    // A count that came down to nothing is no count: a day that has one has events.
    if deletions {
        for sql in [
            "delete from product_usage_hours where events = 0",
            "delete from product_usage_days where events = 0",
            "delete from product_usage_workspace_days where events = 0",
        ] {
            sql::query(sql).execute(&mut *transaction).await?;
        }
    }
    Ok(taken)
}

/// Keeps other folds away; readers and writers of events go on.
async fn lock(transaction: &mut PgTx) -> Result<()> {
    sql::query("lock table product_usage_hours in share row exclusive mode")
        .execute(transaction)
        .await?;
    Ok(())
}

/// Compares every count with the ledger, in one state of the database: the first `limit`
/// differences, oldest first, and how many there are.
pub async fn differences(tx: &mut Tx, limit: i64) -> Result<(Vec<DifferenceRow>, i64)> {
    // One comparison: what the ledger says of each start, and what was counted.
    macro_rules! one {
        ($span:literal, $start:expr, $counts:literal, $column:literal) => {
            concat!(
                "select '", $span, "' as span, cast(null as bigint) as workspace_id, start_at, event_name, \
                 cast(sum(ledger) as bigint) as ledger, cast(sum(counted) as bigint) as counted from ( \
                 select ", $start, " as start_at, e.event_name, count(*) as ledger, 0 as counted \
                 from product_usage_events e group by 1, 2 union all \
                 select ", $column, ", event_name, 0, events from ", $counts, ") x \
                 group by 3, 4 having sum(ledger) <> sum(counted)"
            )
        };
    }
    macro_rules! compared {
        ($hour:expr, $day:expr) => {
            concat!(
                "with compared as (", one!("hour", $hour, "product_usage_hour_counts", "hour"), " union all ",
                one!("day", $day, "product_usage_day_counts", "day"), " union all \
                 select 'workspace_day', workspace_id, start_at, event_name, \
                 cast(sum(ledger) as bigint), cast(sum(counted) as bigint) from ( \
                 select e.workspace_id, ", $day, " as start_at, e.event_name, count(*) as ledger, 0 as counted \
                 from product_usage_events e group by 1, 2, 3 union all \
                 select workspace_id, day, event_name, 0, events from product_usage_workspace_day_counts) x \
                 group by 2, 3, 4 having sum(ledger) <> sum(counted)) "
            )
        };
    }
    on_tx!(tx, c => {
        let rows: Vec<DifferenceRow> = sql::query_as(concat!(
            compared!(hour!("e.occurred_at"), day!("e.occurred_at")),
            "select span, workspace_id, start_at, event_name, ledger, counted from compared \
             order by start_at, span, workspace_id, event_name limit $1"
        ))
        .bind(limit)
        .fetch_all(&mut *c)
        .await?;
        let found = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        if found < limit {
            return Ok((rows, found));
        }
        let all: i64 = sql::query_scalar(concat!(
            compared!(hour!("e.occurred_at"), day!("e.occurred_at")),
            "select count(*) from compared"
        ))
        .fetch_one(c)
        .await?;
        Ok((rows, all))
    })
}

/// Makes every count anew from the ledger; gives how many events it counted. Events that are
/// written meanwhile are neither lost nor counted twice: one statement sees one state, and what
/// comes later is appended.
pub async fn rebuild(tx: &mut Tx) -> Result<i64> {
    match tx {
        Tx::Postgres(transaction) => {
            lock(transaction).await?;
            Ok(sql::query_scalar(
                "with appended as (delete from product_usage_deltas), \
                 hours as materialized (select date_trunc('hour', occurred_at, 'UTC') as hour, event_name, \
                     count(*) as events from product_usage_events group by 1, 2), \
                 days as materialized (select date_trunc('day', hour, 'UTC') as day, event_name, \
                     sum(events) as events from hours group by 1, 2), \
                 workspace_days as materialized (select workspace_id, date_trunc('day', occurred_at, 'UTC') as day, \
                     event_name, count(*) as events from product_usage_events group by 1, 2, 3), \
                 new_hours as (insert into product_usage_hours (hour, event_name, events) \
                     select hour, event_name, events from hours \
                     on conflict (hour, event_name) do update set events = excluded.events), \
                 old_hours as (delete from product_usage_hours x where not exists ( \
                     select 1 from hours h where h.hour = x.hour and h.event_name = x.event_name)), \
                 new_days as (insert into product_usage_days (day, event_name, events) \
                     select day, event_name, events from days \
                     on conflict (day, event_name) do update set events = excluded.events), \
                 old_days as (delete from product_usage_days x where not exists ( \
                     select 1 from days d where d.day = x.day and d.event_name = x.event_name)), \
                 new_workspace_days as (insert into product_usage_workspace_days (workspace_id, day, event_name, events) \
                     select workspace_id, day, event_name, events from workspace_days \
                     on conflict (workspace_id, day, event_name) do update set events = excluded.events), \
                 old_workspace_days as (delete from product_usage_workspace_days x where not exists ( \
                     select 1 from workspace_days d where d.workspace_id = x.workspace_id and d.day = x.day \
                     and d.event_name = x.event_name)) \
                 select cast(coalesce(sum(events), 0) as bigint) from hours",
            )
            .fetch_one(&mut *transaction)
            .await?)
        }
        Tx::Sqlite(transaction) => {
            for sql in [
                "delete from product_usage_hours",
                "delete from product_usage_days",
                "delete from product_usage_workspace_days",
                "insert into product_usage_hours (hour, event_name, events) \
                 select substr(occurred_at, 1, 13) || ':00:00+00:00', event_name, count(*) \
                 from product_usage_events group by 1, 2",
                "insert into product_usage_days (day, event_name, events) \
                 select substr(hour, 1, 10) || 'T00:00:00+00:00', event_name, sum(events) \
                 from product_usage_hours group by 1, 2",
                "insert into product_usage_workspace_days (workspace_id, day, event_name, events) \
                 select workspace_id, substr(occurred_at, 1, 10) || 'T00:00:00+00:00', event_name, count(*) \
                 from product_usage_events group by 1, 2, 3",
            ] {
                sql::query(sql).execute(&mut **transaction).await?;
            }
            Ok(sql::query_scalar("select coalesce(sum(events), 0) from product_usage_hours")
                .fetch_one(&mut **transaction)
                .await?)
        }
    }
}
