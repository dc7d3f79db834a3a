//! What the database says the time is.

use chrono::{DateTime, Utc};

use super::Tx;
use crate::{Clock, Result};

/// Has `clock` follow the database's clock, unless that was done within the last second.
///
/// SQLite has no clock of its own. There the machine's counts, and never goes back behind the
/// newest row that carries a time: a clock set back would bring ended sessions to life again.
pub async fn follow(tx: &mut Tx, clock: &Clock) -> Result<()> {
    if !clock.is_due() {
        return Ok(());
    }
    let now = match tx {
        Tx::Postgres(transaction) => {
            sqlx::query_scalar("select clock_timestamp()").fetch_one(&mut **transaction).await?
        }
        Tx::Sqlite(transaction) => {
            let newest: Option<DateTime<Utc>> = sqlx::query_scalar(
                "select max(at) from (select max(occurred_at) as at from audit_logs \
                 union all select max(heartbeat_at) from workers)",
            )
            .fetch_one(&mut **transaction)
            .await?;
            let machine = clock.machine();
            newest.map_or(machine, |newest| newest.max(machine))
        }
    };
    clock.follow(now);
    Ok(())
}
