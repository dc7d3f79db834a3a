//! Whether what a connection keeps stays with it. A pooler in transaction mode gives each
//! transaction another connection of the server, and loses locks and prepared statements.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, Row as _};

use super::hosts::connect_to;
use crate::{Error, Result};

/// A pooler with a single connection lets the second one wait for so long.
const WAIT: Duration = Duration::from_secs(1);

/// Refuses a server behind a pooler in transaction mode.
///
/// # Errors
/// *Refused* with what `who` needs; those of connecting.
pub async fn require_direct(options: &PgConnectOptions, who: &str) -> Result<()> {
    // Where no second connection is to be had, nothing is found out.
    let Ok(second) = connect_to(options).await else { return Ok(()) };
    let second = tokio::sync::Mutex::new(second);
    let asked = || async { Ok(process(&mut *second.lock().await).await?) };
    let pooled = is_pooled(options, asked).await?;
    let _ = second.into_inner().close().await;
    if !pooled {
        return Ok(());
    }
    Err(Error::refused("the database is reached through a pooler in transaction mode").hint(
        format!("{who} needs a direct connection, or a pooler in session mode; consoles and commands do not"),
    ))
}

/// The process of the server that answers `asked` changes once another connection gives its own
/// free, or is the same.
///
/// # Errors
/// Those of connecting, and of what is asked.
pub async fn is_pooled<F>(options: &PgConnectOptions, asked: impl Fn() -> F) -> Result<bool>
where
    F: Future<Output = Result<i32>>,
{
    let mut first = connect_to(options).await?;
    sqlx::raw_sql("begin").execute(&mut first).await?;
    let of_first = process(&mut first).await?;
    let (before, freed) = {
        let mut asking = std::pin::pin!(asked());
        tokio::select! {
            process = &mut asking => (process?, false),
            () = tokio::time::sleep(WAIT) => {
                sqlx::raw_sql("commit").execute(&mut first).await?;
                (asking.await?, true)
            }
        }
    };
    if !freed {
        sqlx::raw_sql("commit").execute(&mut first).await?;
    }
    let pooled = before == of_first || asked().await? != before;
    // How it ends makes no difference.
    let _ = first.close().await;
    Ok(pooled)
}

/// The server's process that answers.
pub async fn process(connection: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::raw_sql("select pg_backend_pid()").fetch_one(connection).await?.try_get(0)
}
