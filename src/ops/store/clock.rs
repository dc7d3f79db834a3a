//! What the database says the time is.

use chrono::{DateTime, Utc};

use super::Tx;
use super::sql;
use crate::{Clock, Result};

/// Has `clock` follow SQLite's, unless that was done within the last second. What PostgreSQL's shows
/// comes with the beginning of each transaction.
///
/// SQLite has no clock of its own. There the machine's counts, and never goes back behind the
/// newest row that carries a time: a clock set back would bring ended sessions to life again.
pub async fn follow(tx: &mut Tx, clock: &Clock) -> Result<()> {
    if !clock.is_due() {
        return Ok(());
    }
    let Tx::Sqlite(transaction) = tx else { return Ok(()) };
    let newest: Option<DateTime<Utc>> = sql::query_scalar(
        "select max(at) from (select max(occurred_at) as at from audit_logs \
         union all select max(heartbeat_at) from workers)",
    )
    .fetch_one(&mut **transaction)
    .await?;
    let machine = clock.machine();
    let now = newest.map_or(machine, |newest| newest.max(machine));
    clock.follow(now);
    Ok(())
}
