//! The counts of ended runs: folding what was appended, comparing, making them anew.

use chrono::{DateTime, Utc};

use super::commit::PgTx;
use super::sql;
use super::{Tx, on_tx};
use crate::Result;

/// One count that is not what the runs say.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct DifferenceRow {
    /// What is counted: `hour`, `day`.
    pub span: String,
    /// When it begins.
    pub start_at: DateTime<Utc>,
    /// The outcome.
    pub outcome: String,
    /// The step of durations.
    pub took: i64,
    /// How many runs there are.
    pub held: i64,
    /// How many were counted.
    pub counted: i64,
}

/// Adds at most `limit` appended changes to the counts; gives how many it took. One at a time:
/// a second one waits. Nothing is ever appended on SQLite.
pub async fn fold(tx: &mut Tx, limit: i64) -> Result<i64> {
    let Tx::Postgres(transaction) = tx else { return Ok(0) };
    lock(transaction).await?;
    let taken: i64 = sql::query_scalar(
        "with taken as (delete from operation_run_deltas where ctid = any(array( \
             select ctid from operation_run_deltas limit $1)) returning hour, outcome, took, runs), \
         hours as (insert into operation_run_hours as x (hour, outcome, took, runs) \
             select hour, outcome, took, sum(runs) from taken group by 1, 2, 3 having sum(runs) <> 0 \
             on conflict (hour, outcome, took) do update set runs = x.runs + excluded.runs), \
         days as (insert into operation_run_days as x (day, outcome, took, runs) \
             select date_trunc('day', hour, 'UTC'), outcome, took, sum(runs) from taken group by 1, 2, 3 \
             having sum(runs) <> 0 \
             on conflict (day, outcome, took) do update set runs = x.runs + excluded.runs) \
         select count(*) from taken",
    )
    .bind(limit)
    .fetch_one(&mut *transaction)
    .await?;
    Ok(taken)
}

/// Keeps other folds away; whoever ends a run goes on, and readers do.
async fn lock(transaction: &mut PgTx) -> Result<()> {
    sql::query("lock table operation_run_hours in share row exclusive mode")
        .execute(transaction)
        .await?;
    Ok(())
}

/// Compares every count with the runs, in one state of the database: the first `limit`
/// differences, oldest first, and how many there are.
pub async fn differences(tx: &mut Tx, limit: i64) -> Result<(Vec<DifferenceRow>, i64)> {
    // One comparison: what the runs say of each start, and what was counted.
    macro_rules! one {
        ($span:literal, $start:expr, $counts:literal, $column:literal) => {
            concat!(
                "select '", $span, "' as span, start_at, outcome, took, \
                 cast(sum(held) as bigint) as held, cast(sum(counted) as bigint) as counted from ( \
                 select ", $start, " as start_at, outcome, took, 1 as held, 0 as counted from runs union all \
                 select ", $column, ", outcome, took, 0, runs from ", $counts, ") x \
                 group by 2, 3, 4 having sum(held) <> sum(counted)"
            )
        };
    }
    on_tx!(tx, c => {
        let rows: Vec<Counted> = sql::query_as(concat!(
            "with runs as materialized (select r.created_at, r.outcome, case when r.outcome in \
             ('succeeded', 'partially_succeeded', 'failed') then ", duration_step!(), " else 0 end as took \
             from operation_runs r where r.status = 'completed'), compared as (",
            one!("hour", hour!("created_at"), "operation_run_hour_counts", "hour"), " union all ",
            one!("day", day!("created_at"), "operation_run_day_counts", "day"),
            ") select span, start_at, outcome, took, held, counted, count(*) over () as found from compared \
             order by start_at, span, outcome, took limit $1"
        ))
        .bind(limit)
        .fetch_all(c)
        .await?;
        let found = rows.first().map_or(0, |row| row.found);
        Ok((rows.into_iter().map(|row| row.row).collect(), found))
    })
}

#[derive(sqlx::FromRow)]
struct Counted {
    #[sqlx(flatten)]
    row: DifferenceRow,
    found: i64,
}

/// Makes every count anew from the runs; gives how many ended runs it counted. Runs that end
/// meanwhile are neither lost nor counted twice: one statement sees one state, and what comes
/// later is appended.
pub async fn rebuild(tx: &mut Tx) -> Result<i64> {
    match tx {
        Tx::Postgres(transaction) => {
            lock(transaction).await?;
            Ok(sql::query_scalar(
                "with appended as (delete from operation_run_deltas), \
                 hours as materialized (select date_trunc('hour', created_at, 'UTC') as hour, outcome, \
                     run_duration_step(outcome, created_at, started_at, completed_at) as took, count(*) as runs \
                     from operation_runs where status = 'completed' group by 1, 2, 3), \
                 days as materialized (select date_trunc('day', hour, 'UTC') as day, outcome, took, \
                     sum(runs) as runs from hours group by 1, 2, 3), \
                 new_hours as (insert into operation_run_hours (hour, outcome, took, runs) \
                     select hour, outcome, took, runs from hours \
                     on conflict (hour, outcome, took) do update set runs = excluded.runs), \
                 old_hours as (delete from operation_run_hours x where not exists (select 1 from hours h \
                     where h.hour = x.hour and h.outcome = x.outcome and h.took = x.took)), \
                 new_days as (insert into operation_run_days (day, outcome, took, runs) \
                     select day, outcome, took, runs from days \
                     on conflict (day, outcome, took) do update set runs = excluded.runs), \
                 old_days as (delete from operation_run_days x where not exists (select 1 from days d \
                     where d.day = x.day and d.outcome = x.outcome and d.took = x.took)) \
                 select cast(coalesce(sum(runs), 0) as bigint) from hours",
            )
            .fetch_one(&mut *transaction)
            .await?)
        }
        Tx::Sqlite(transaction) => {
            for sql in [
                "delete from operation_run_hours",
                "delete from operation_run_days",
                "insert into operation_run_hours (hour, outcome, took, runs) \
                 select substr(r.created_at, 1, 13) || ':00:00+00:00', r.outcome, d.took, count(*) \
                 from operation_runs r join operation_run_durations d on d.id = r.id \
                 where r.status = 'completed' group by 1, 2, 3",
                "insert into operation_run_days (day, outcome, took, runs) \
                 select substr(hour, 1, 10) || 'T00:00:00+00:00', outcome, took, sum(runs) \
                 from operation_run_hours group by 1, 2, 3",
            ] {
                sql::query(sql).execute(&mut **transaction).await?;
            }
            Ok(sql::query_scalar("select coalesce(sum(runs), 0) from operation_run_hours")
                .fetch_one(&mut **transaction)
                .await?)
        }
    }
}
