//! Removing ended runs with all that is theirs, and no more rows at once than asked for.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::AssertSqlSafe;
use sqlx::types::Json;

use super::savepoint;
use super::sql;
use super::{Tx, on_tx};
use crate::Result;

/// Tables with rows that are about a run and stay when it goes: they keep its number apart.
const ABOUT: [&str; 4] = ["notifications", "alert_deliveries", "stored_reports", "review_packs"];

/// Is one of a list of numbers. Not `in`: PostgreSQL takes the list for a long one then, and reads all runs
/// of a table that is not large.
const AMONG: &str = "= any(array(select g::bigint from jsonb_array_elements_text($1) g))";
const AMONG_ON_SQLITE: &str = "in (select g.value from json_each($1) g)";

/// A run, by its place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Listed {
    /// Run.
    pub id: i64,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// Whether it ended before the moment that was asked about.
    pub ended: bool,
}

/// The next runs that are listed after a place, newest first, at most `limit`.
pub async fn after(
    tx: &mut Tx,
    (created_at, id): (DateTime<Utc>, i64),
    cutoff: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Listed>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select r.id, r.created_at, (r.status = 'completed' and r.completed_at < $3) as ended \
             from operation_runs r where (r.created_at, r.id) < ($1, $2) \
             order by r.created_at desc, r.id desc limit $4",
        )
        .bind(created_at)
        .bind(id)
        .bind(cutoff)
        .bind(limit)
        .fetch_all(c)
        .await?)
    })
}

/// That a deployment declared a run, which would start it again otherwise.
const DECLARED: &str = "(r.source = 'deploy_hook' and r.request_id is not null)";

/// How many runs a prune would delete, counted up to `limit`: those that had ended at `cutoff` and that
/// nothing needs.
pub async fn count(tx: &mut Tx, cutoff: DateTime<Utc>, limit: i64) -> Result<i64> {
    const COLUMNS: &str = "x.id, x.created_at, x.status, x.completed_at, x.source, x.request_id";
    on_tx!(tx, c => {
        // A server that knows little of a table would read all of it for each run.
        let retries = by_engine!(
            "cross join lateral (select * from operation_runs n where n.retry_of_run_id = r.id offset 0)",
            "join operation_runs"
        );
        let text = format!(
            "select count(*) from (select 1 from operation_runs o where o.created_at < $1 and not exists (\
             with recursive r as (select {} union all \
             select {} from r {retries} x{}) select 1 from r \
             where r.created_at >= $1 or r.status <> 'completed' or r.completed_at >= $1 or {DECLARED}) limit $2) few",
            COLUMNS.replace("x.", "o."), COLUMNS,
            by_engine!("", " on x.retry_of_run_id = r.id"),
        );
        Ok(sql::query_scalar(AssertSqlSafe(text)).bind(cutoff).bind(limit).fetch_one(c).await?)
    })
}

/// A run that may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Removable {
    /// Run.
    pub id: i64,
    /// The plan that it used.
    pub plan_id: Option<i64>,
    /// How many rows go with it, itself among them; of each table no more than asked for.
    pub own: i64,
    /// How many are about it and stay.
    pub about: i64,
    /// The run that it tried again.
    pub retry_of: Option<i64>,
    /// How many runs tried it again.
    pub retries: i64,
    /// So many microseconds went by in the statement before it was held.
    pub read_us: i64,
}

/// Those of `ids` that no deployment would start again, newest first, held where the engine holds rows.
/// Rows are counted up to `limit` in each table.
pub async fn removable(
    tx: &mut Tx,
    ids: &[i64],
    newer_than_all: i64,
    limit: i64,
) -> Result<Vec<Removable>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let few = |(table, column, of): (&str, &str, &str)| {
        format!(
            "(select count(*) from (select 1 from {table} x where x.{column} = {of} limit $3) n)"
        )
    };
    let about = ABOUT.map(|table| few((table, "run_id", "r.id"))).join(" + ");
    let rows = [
        ("operation_run_targets", "run_id", "r.id"),
        ("operation_run_failures", "run_id", "r.id"),
        ("operation_run_faults", "run_id", "r.id"),
        ("operation_run_requests", "run_id", "r.id"),
        ("runbook_plan_targets", "plan_id", "r.plan_id"),
    ];
    let rows = rows.map(few).join(" + ");
    on_tx!(tx, c => {
        let text = format!(
            "select x.*, {} as read_us from (select r.id, r.plan_id, r.retry_of_run_id as retry_of, \
             (select count(*) from operation_runs n where n.retry_of_run_id = r.id) as retries, \
             cast(1 + {rows} + case when r.plan_id is null then 0 else 1 end as bigint) as own, \
             cast({about} as bigint) as about from operation_runs r where r.id {} and r.id < $2 \
             and not {DECLARED} \
             order by r.created_at desc, r.id desc{}) x",
            by_engine!(
                "(extract(epoch from clock_timestamp() - statement_timestamp()) * 1000000)::bigint", "0"
            ),
            by_engine!(AMONG, AMONG_ON_SQLITE), claim_lock!()
        );
        Ok(sql::query_as(AssertSqlSafe(text))
            .bind(as_list(ids.iter().copied()))
            .bind(newer_than_all)
            .bind(limit)
            .fetch_all(c)
            .await?)
    })
}

/// IDs as one value: a statement is the same text, however many it is about.
fn as_list(ids: impl IntoIterator<Item = i64>) -> Json<Value> {
    Json(ids.into_iter().collect())
}

/// Makes ready for a chunk, before others may wait. A server plans in each connection what deleting its
/// first run takes, which is longer than a chunk: so the first is one that only this transaction ever sees.
/// And a chunk need not be on the disk when it is committed: after a crash it was done with its marker or
/// not at all. SQLite needs neither.
pub async fn prepare(tx: &mut Tx, now: DateTime<Utc>) -> Result<()> {
    let Tx::Postgres(transaction) = tx else { return Ok(()) };
    let (planned, _, _): (String, String, String) = sql::query_as(
        "select coalesce(current_setting('tenantpilot.deletes_runs', true), ''), \
         set_config('tenantpilot.deletes_runs', 'on', false), set_config('synchronous_commit', 'off', true)",
    )
    .fetch_one(transaction)
    .await?;
    if planned == "on" {
        return Ok(());
    }
    savepoint::begin(tx).await?;
    let Tx::Postgres(transaction) = tx else { return Ok(()) };
    // Others do the same at once, with a number of their own.
    let id: i64 = sql::query_scalar(
        "insert into operation_runs (id, source, type, scope_kind, status, outcome, identity_hash, \
         created_at, completed_at, updated_at) values (-pg_backend_pid(), 'schedule', 'retention.prune', \
         'platform', 'completed', 'succeeded', repeat('0', 64), $1, $1, $1) returning id",
    )
    .bind(now)
    .fetch_one(transaction)
    .await?;
    let mut runs = removable(tx, &[id], i64::MAX, 1).await?;
    delete(tx, &runs).await?;
    for run in &mut runs {
        run.about = 1;
    }
    delete(tx, &runs).await?;
    savepoint::undo(tx).await
}

/// Deletes runs with all that is theirs, and the plans that they used.
pub async fn delete(tx: &mut Tx, runs: &[Removable]) -> Result<()> {
    if runs.is_empty() {
        return Ok(());
    }
    let ids = || runs.iter().map(|run| run.id);
    let mut text = "delete from operation_runs where id".to_owned();
    if runs.iter().any(|run| run.about > 0) {
        let keep = ABOUT.map(|table| {
            format!("update {table} set gone_run_id = run_id, run_id = null where run_id")
        });
        if matches!(tx, Tx::Postgres(_)) {
            // All in one trip: others wait meanwhile.
            let keep = keep
                .iter()
                .zip(ABOUT)
                .map(|(keep, table)| format!("of_{table} as ({keep} {AMONG})"));
            text = format!("with {} {text}", keep.collect::<Vec<_>>().join(", "));
        } else {
            for text in keep {
                change(tx, &text, ids()).await?;
            }
        }
    }
    change(tx, &text, ids()).await?;
    let plans: Vec<i64> = runs.iter().filter_map(|run| run.plan_id).collect();
    if !plans.is_empty() {
        change(tx, "delete from runbook_plans where id", plans).await?;
    }
    Ok(())
}

async fn change(tx: &mut Tx, text: &str, ids: impl IntoIterator<Item = i64>) -> Result<()> {
    on_tx!(tx, c => {
        let text = format!("{text} {}", by_engine!(AMONG, AMONG_ON_SQLITE));
        sql::query(AssertSqlSafe(text)).bind(as_list(ids)).execute(c).await?;
        Ok(())
    })
}

/// Notes that a run goes piece by piece: from now on it counts as gone.
pub async fn begin(tx: &mut Tx, run_id: i64, now: DateTime<Utc>) -> Result<()> {
    on_tx!(tx, c => {
        sql::query("insert into operation_runs_leaving (run_id, since) values ($1, $2)")
            .bind(run_id)
            .bind(now)
            .execute(c)
            .await?;
        Ok(())
    })
}

/// A run that goes piece by piece, and the plan that it used.
pub async fn leaving(tx: &mut Tx) -> Result<Option<(i64, Option<i64>)>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select l.run_id, (select r.plan_id from operation_runs r where r.id = l.run_id) \
             from operation_runs_leaving l order by l.run_id limit 1",
        )
        .fetch_optional(c)
        .await?)
    })
}

/// Deletes a piece of a run, at most `limit` rows; gives how many. Fewer: nothing but the run
/// itself is left.
pub async fn delete_piece(
    tx: &mut Tx,
    (run_id, plan_id): (i64, Option<i64>),
    limit: i64,
) -> Result<i64> {
    let some = |begin: String, key: &str, table: &str, column: &str| {
        format!("{begin} where ({key}) in (select {key} from {table} where {column} = $1 limit $2)")
    };
    let theirs = [
        ("operation_run_targets", "run_id, ordinal", "run_id", Some(run_id)),
        ("operation_run_failures", "id", "run_id", Some(run_id)),
        ("runbook_plan_targets", "plan_id, ordinal", "plan_id", plan_id),
    ];
    let theirs = theirs.into_iter().map(|(table, key, column, id)| {
        (some(format!("delete from {table}"), key, table, column), id)
    });
    let about = ABOUT.map(|table| {
        let set = format!("update {table} set gone_run_id = run_id, run_id = null");
        (some(set, "id", table, "run_id"), Some(run_id))
    });
    let mut rows = 0;
    for (text, id) in theirs.chain(about) {
        let Some(id) = id else { continue };
        let done = on_tx!(tx, c => {
            sql::query(AssertSqlSafe(text)).bind(id).bind(limit - rows).execute(c).await?
        });
        rows += i64::try_from(done.rows_affected()).unwrap_or(i64::MAX);
        if rows >= limit {
            break;
        }
    }
    Ok(rows)
}

/// Deletes what is left of a run that went piece by piece.
pub async fn end(tx: &mut Tx, (run_id, plan_id): (i64, Option<i64>)) -> Result<()> {
    let run =
        Removable { id: run_id, plan_id, own: 0, about: 0, retry_of: None, retries: 0, read_us: 0 };
    delete(tx, &[run]).await?;
    change(tx, "delete from operation_runs_leaving where run_id", [run_id]).await
}
