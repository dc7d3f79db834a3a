//! Whether what a connection keeps stays with it. A pooler in transaction mode gives each
//! transaction another connection of the server, and loses locks and prepared statements.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, Row as _};

use super::connect::connect;
use crate::{Error, Result};

/// A pooler with a single connection lets the second one wait for so long.
const WAIT: Duration = Duration::from_secs(1);

/// Refuses a server behind a pooler in transaction mode.
///
/// # Errors
/// *Refused* with what `who` needs; those of connecting.
pub async fn require_direct(options: &PgConnectOptions, who: &str) -> Result<()> {
    let mut first = connect(options).await?;
    // Where no second connection is to be had, nothing is found out.
    let Ok(mut second) = connect(options).await else { return Ok(()) };
    let pooled = is_pooled(&mut first, &mut second).await?;
    // How they end makes no difference.
    let _ = tokio::join!(first.close(), second.close());
    if !pooled {
        return Ok(());
    }
    Err(Error::refused("the database is reached through a pooler in transaction mode").hint(
        format!("{who} needs a direct connection, or a pooler in session mode; consoles and commands do not"),
    ))
}

/// The process of the server that answers the second connection changes once the first one gives
/// its own free, or is the same.
async fn is_pooled(first: &mut PgConnection, second: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::raw_sql("begin").execute(&mut *first).await?;
    let of_first = process(first).await?;
    let (before, freed) = {
        let mut asked = std::pin::pin!(process(second));
        tokio::select! {
            process = &mut asked => (process?, false),
            () = tokio::time::sleep(WAIT) => {
                sqlx::raw_sql("commit").execute(&mut *first).await?;
                (asked.await?, true)
            }
        }
    };
    if !freed {
        sqlx::raw_sql("commit").execute(first).await?;
    }
    Ok(before == of_first || process(second).await? != before)
}

async fn process(connection: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::raw_sql("select pg_backend_pid()").fetch_one(connection).await?.try_get(0)
}
