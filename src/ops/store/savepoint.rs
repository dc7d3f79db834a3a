//! One savepoint at a time inside a transaction.

use super::{Tx, on_tx};
use crate::Result;

/// Marks a point to come back to.
pub async fn begin(tx: &mut Tx) -> Result<()> {
    on_tx!(tx, c => {
        sqlx::query("savepoint step").execute(c).await?;
        Ok(())
    })
}

/// Keeps what was written since.
pub async fn release(tx: &mut Tx) -> Result<()> {
    on_tx!(tx, c => {
        sqlx::query("release savepoint step").execute(c).await?;
        Ok(())
    })
}

/// Undoes what was written since.
pub async fn undo(tx: &mut Tx) -> Result<()> {
    on_tx!(tx, c => {
        sqlx::query("rollback to savepoint step").execute(c).await?;
        Ok(())
    })
}
