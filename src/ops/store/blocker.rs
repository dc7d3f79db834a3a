//! What the request under way waits for, looked up on another connection.

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection as _, Executor, PgConnection, Postgres, Row as _};

use super::Db;
use super::database::ChangeWatch;
use super::server::{Server, within};
use crate::Result;

/// How long this look may take.
const LIMIT: Duration = Duration::from_secs(2);

/// A lock that a request waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocker {
    /// The table it is on, where it is one of a table.
    pub table: Option<String>,
    /// The program and the role of the session that holds it.
    pub holder: Option<String>,
}

impl Db {
    /// Looks whether the server answers, and which lock the request under way waits for: through
    /// the connection that listens, or else through one of its own.
    pub async fn blocker(&self, watch: Option<&mut ChangeWatch>) -> Result<Option<Blocker>> {
        let Self::Postgres(server) = self else { return Ok(None) };
        let text = question(server.backend());
        let found = match watch {
            Some(ChangeWatch::Postgres { listener, .. }) => {
                within(Some(LIMIT), ask(&mut **listener, text)).await?
            }
            _ => within(Some(LIMIT), ask_apart(server, text)).await?,
        };
        Ok(found?)
    }
}

/// A process waits for one lock at a time; of those who hold it, the oldest is named.
fn question(backend: i32) -> String {
    format!(
        "select t.relname::text as \"table\", h.holder from pg_locks w \
         left join pg_class t on t.oid = w.relation \
         left join lateral (select concat_ws(' of ', nullif(a.application_name, ''), a.usename) as holder \
         from pg_stat_activity a where a.pid = any(pg_blocking_pids(w.pid)) \
         order by a.backend_start limit 1) h on true \
         where w.pid = {backend} and not w.granted limit 1"
    )
}

async fn ask_apart(server: &Server, text: String) -> sqlx::Result<Option<Blocker>> {
    let mut connection = PgConnection::connect_with(&server.keeper().options()).await?;
    let found = ask(&mut connection, text).await;
    // It has answered; how the connection ends makes no difference.
    let _ = connection.close().await;
    found
}

async fn ask<'c>(
    connection: impl Executor<'c, Database = Postgres>,
    text: String,
) -> sqlx::Result<Option<Blocker>> {
    let rows: Vec<PgRow> = sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(connection).await?;
    let found = rows.first().map(|row| {
        let (table, holder): (_, Option<String>) = (row.try_get("table")?, row.try_get("holder")?);
        Ok(Blocker { table, holder: holder.filter(|holder| !holder.is_empty()) })
    });
    found.transpose()
}
