//! Loading many rows at once: COPY on PostgreSQL, many-row inserts on SQLite, and the upkeep
//! around it. Everything but the upkeep happens in the caller's transaction.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite};

use super::bulk_rows::{Cell, Row, column};
use super::{Db, Tx};
use super::{run_count_upkeep, sql};
use crate::Result;

/// Rows per statement on SQLite: more gains nothing, and stays far below its limit of
/// variables.
const SQLITE_ROWS: usize = 64;
/// A page cache for the time of a load, in KiB as the pragma wants it.
const SQLITE_LOAD_CACHE: &str = "pragma cache_size = -8192";
/// The tables that a load fills in great numbers.
const LARGE: &[&str] = &[
    "operation_runs",
    "operation_run_targets",
    "operation_run_failures",
    "findings",
    "product_usage_events",
    "audit_logs",
];
/// The tables whose ids a load gives itself.
const NUMBERED: &[&str] = &[
    "workspaces",
    "tenants",
    "users",
    "platform_users",
    "provider_connections",
    "operation_runs",
    "operation_run_failures",
    "findings",
    "tenant_onboarding_sessions",
    "stored_reports",
    "review_packs",
    "product_usage_events",
];

/// Writes rows of one table.
pub async fn insert<R: Row>(tx: &mut Tx, rows: Vec<R>) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let columns = R::COLUMNS.iter().copied().map(column).collect::<Vec<_>>().join(", ");
    match tx {
        Tx::Postgres(transaction) => {
            let mut copy = transaction
                .connection()?
                .copy_in_raw(&format!("copy {} ({columns}) from stdin", R::TABLE))
                .await?;
            copy.send(copy_text(rows).into_bytes()).await?;
            copy.finish().await?;
        }
        Tx::Sqlite(transaction) => {
            let head = format!("insert into {} ({columns}) ", R::TABLE);
            let mut rows = rows.into_iter().peekable();
            while rows.peek().is_some() {
                let mut query = QueryBuilder::<Sqlite>::new(&head);
                query.push_values(rows.by_ref().take(SQLITE_ROWS), |mut values, row| {
                    for cell in row.cells() {
                        match cell {
                            Cell::Null => values.push_bind(None::<i64>),
                            Cell::Int(n) => values.push_bind(n),
                            Cell::Bool(b) => values.push_bind(b),
                            Cell::Text(text) => values.push_bind(text),
                            Cell::Word(word) => values.push_bind(word),
                            Cell::Time(at) => values.push_bind(at),
                        };
                    }
                });
                query.build().execute(&mut **transaction).await?;
            }
        }
    }
    Ok(())
}

/// Rows in the text form of COPY.
fn copy_text<R: Row>(rows: Vec<R>) -> String {
    let mut out = String::with_capacity(rows.len() * 256);
    for row in rows {
        for (n, cell) in row.cells().into_iter().enumerate() {
            if n > 0 {
                out.push('\t');
            }
            // Writing to a string cannot fail.
            let _ = match cell {
                Cell::Null => out.write_str("\\N"),
                Cell::Int(n) => write!(out, "{n}"),
                Cell::Bool(b) => out.write_str(if b { "t" } else { "f" }),
                Cell::Time(at) => write!(out, "{}", at.format("%Y-%m-%d %H:%M:%S%.6f+00")),
                Cell::Word(word) => {
                    escape(word, &mut out);
                    Ok(())
                }
                Cell::Text(text) => {
                    escape(&text, &mut out);
                    Ok(())
                }
            };
        }
        out.push('\n');
    }
    out
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
}

/// An index that was dropped, and the statement that makes it again.
pub struct Dropped(String);

/// Counts an ended run as it is inserted; three times the cost of its row.
const COUNTS_EACH: &str = "operation_runs_counted_insert";

/// Drops the secondary indexes of the large tables and, on PostgreSQL, counts no run as it is inserted;
/// the transaction makes up for both.
pub async fn drop_indexes(tx: &mut Tx) -> Result<Vec<Dropped>> {
    let mut dropped = Vec::new();
    if let Tx::Postgres(_) = tx {
        execute(tx, format!("alter table operation_runs disable trigger {COUNTS_EACH}")).await?;
    }
    for table in LARGE {
        let found: Vec<(String, String)> = match tx {
            Tx::Postgres(transaction) => {
                sql::query_as(
                    "select indexname::text, indexdef from pg_indexes \
                     where schemaname = current_schema() and tablename = $1 \
                     and indexname not in (select conname from pg_constraint) order by indexname",
                )
                .bind(table)
                .fetch_all(&mut *transaction)
                .await?
            }
            Tx::Sqlite(transaction) => {
                sql::query_as(
                    "select name, sql from sqlite_master \
                     where type = 'index' and tbl_name = $1 and sql is not null order by name",
                )
                .bind(table)
                .fetch_all(&mut **transaction)
                .await?
            }
        };
        for (name, definition) in found {
            execute(tx, format!("drop index {name}")).await?;
            dropped.push(Dropped(definition));
        }
    }
    Ok(dropped)
}

/// Makes the dropped indexes again, and counts the runs.
pub async fn create_indexes(tx: &mut Tx, dropped: Vec<Dropped>) -> Result<()> {
    for Dropped(definition) in dropped {
        execute(tx, definition).await?;
    }
    if let Tx::Postgres(_) = tx {
        execute(tx, format!("alter table operation_runs enable trigger {COUNTS_EACH}")).await?;
        run_count_upkeep::rebuild(tx).await?;
    }
    Ok(())
}

/// Prepares the connection for a load; [`after`] takes it back.
pub async fn before(tx: &mut Tx) -> Result<()> {
    match tx {
        Tx::Postgres(_) => Ok(()),
        Tx::Sqlite(_) => execute(tx, SQLITE_LOAD_CACHE.to_owned()).await,
    }
}

/// Takes the preparations of the connection back.
pub async fn after(tx: &mut Tx) -> Result<()> {
    match tx {
        Tx::Postgres(_) => Ok(()),
        Tx::Sqlite(_) => {
            let usual = super::database::SQLITE_CACHE_KIB;
            execute(tx, format!("pragma cache_size = {usual}")).await
        }
    }
}

/// Lets the database go on numbering after the ids that were given.
pub async fn set_sequences(tx: &mut Tx) -> Result<()> {
    if let Tx::Sqlite(_) = tx {
        // Its ids follow the greatest one by themselves.
        return Ok(());
    }
    for table in NUMBERED {
        execute(
            tx,
            format!(
                "select setval(pg_get_serial_sequence('{table}', 'id'), last) \
                 from (select max(id) as last from {table}) m where last is not null"
            ),
        )
        .await?;
    }
    Ok(())
}

/// Refreshes what the planners know, and leaves no long log behind. After the commit.
pub async fn tidy(db: &Db) -> Result<()> {
    match db {
        Db::Postgres(server) => {
            let (mut connection, _turn) = server.connection().await?;
            for table in NUMBERED.iter().chain(LARGE) {
                sqlx::query(AssertSqlSafe(format!("vacuum (analyze) {table}")))
                    .execute(&mut connection)
                    .await?;
            }
        }
        Db::Sqlite(pool, _) => {
            let mut connection = pool.acquire().await?;
            for text in [
                "pragma analysis_limit = 1000",
                "analyze",
                "pragma analysis_limit = 0",
                "pragma wal_checkpoint(truncate)",
            ] {
                sqlx::query(text).execute(&mut *connection).await?;
            }
        }
    }
    Ok(())
}

async fn execute(tx: &mut Tx, text: String) -> Result<()> {
    match tx {
        Tx::Postgres(transaction) => {
            sql::query(AssertSqlSafe(text)).execute(&mut *transaction).await?;
        }
        Tx::Sqlite(transaction) => {
            sql::query(AssertSqlSafe(text)).execute(&mut **transaction).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::store::bulk_rows::SettingRow;

    #[test]
    fn a_copied_text_keeps_its_line_and_its_columns() {
        let row = SettingRow {
            key: "k",
            value: "a\tb\\c\nd".to_owned(),
            updated_at: chrono::DateTime::UNIX_EPOCH,
        };
        assert_eq!(copy_text(vec![row]), "k\ta\\tb\\\\c\\nd\t1970-01-01 00:00:00.000000+00\n");
    }
}
