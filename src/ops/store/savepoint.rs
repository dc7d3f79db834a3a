//! One savepoint at a time inside a transaction.

use super::sql;
use super::{Tx, on_tx};
use crate::Result;

/// Marks a point to come back to.
pub async fn begin(tx: &mut Tx) -> Result<()> {
    go_first(tx, "savepoint step").await
}

/// Keeps what was written since.
pub async fn release(tx: &mut Tx) -> Result<()> {
    go_first(tx, RELEASE).await
}

const RELEASE: &str = "release savepoint step";

/// Asks it with the next statement where that saves a trip.
async fn go_first(tx: &mut Tx, statement: &'static str) -> Result<()> {
    if let Tx::Postgres(transaction) = tx
        && let Ok(own) = transaction.side()
    {
        own.defer(statement);
        return Ok(());
    }
    on_tx!(tx, c => {
        sql::query(statement).execute(c).await?;
        Ok(())
    })
}

/// Undoes what was written since, and forgets the point: one of the same name around it is the
/// next to come back to.
pub async fn undo(tx: &mut Tx) -> Result<()> {
    on_tx!(tx, c => {
        sql::query("rollback to savepoint step").execute(c).await?;
    });
    release(tx).await
}

/// Ends an attempt that began at the point: keeps what it wrote, or undoes it and gives its error.
///
/// # Errors
/// The attempt's own error where it cannot be undone, as on a full disk, when SQLite undoes the
/// whole transaction: then nothing more can be written in it.
pub async fn settle<T>(tx: &mut Tx, attempt: Result<T>) -> Result<Result<T>> {
    match attempt {
        Ok(done) => {
            release(tx).await?;
            Ok(Ok(done))
        }
        Err(error) => match undo(tx).await {
            Ok(()) => Ok(Err(error)),
            Err(_) => Err(error),
        },
    }
}
