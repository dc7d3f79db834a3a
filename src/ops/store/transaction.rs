//! A transaction on a connection to SQLite. A connection goes back to its pool only when it is
//! known to be out of its transaction: one whose COMMIT or ROLLBACK failed is closed.
//!
//! A full disk makes SQLite undo a transaction by itself. A pool that takes such a connection back
//! hands it on as if it were still in one, and nothing can be written through it again.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqliteConnection, SqlitePool};

/// An open transaction. Dropped before its end, it is undone with its connection.
pub struct Transaction {
    connection: PoolConnection<Sqlite>,
    ended: bool,
}

impl Transaction {
    /// Begins one with `statement`.
    pub async fn begin(pool: &SqlitePool, statement: &'static str) -> sqlx::Result<Self> {
        let mut transaction = Self { connection: pool.acquire().await?, ended: false };
        sqlx::raw_sql(statement).execute(&mut *transaction.connection).await?;
        Ok(transaction)
    }

    /// Makes everything written in it lasting.
    pub async fn commit(mut self) -> sqlx::Result<()> {
        self.end("COMMIT").await
    }

    /// Undoes everything written in it; closing the connection does that where it cannot be told.
    pub async fn rollback(mut self) {
        if let Err(error) = self.end("ROLLBACK").await {
            let error = crate::Error::from(error);
            tracing::debug!(%error, "a connection was closed instead of a rollback");
        }
    }

    async fn end(&mut self, statement: &'static str) -> sqlx::Result<()> {
        sqlx::raw_sql(statement).execute(&mut *self.connection).await?;
        self.ended = true;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.close_on_drop();
        }
    }
}
