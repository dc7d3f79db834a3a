//! A transaction on a connection to a server. The connection is kept only when it is known how its
//! transaction ended: one whose COMMIT failed is closed.

use std::sync::Arc;

use sqlx::PgConnection;

use super::keeper::{Keeper, close};

/// An open transaction. Dropped before its end, it is undone with its connection.
pub struct Transaction {
    connection: Option<PgConnection>,
    keeper: Arc<Keeper>,
    writes: bool,
    /// Whether its connection is closed with it.
    last: bool,
}

impl Transaction {
    /// One that is begun on `connection` next.
    pub fn on(connection: PgConnection, keeper: Arc<Keeper>, writes: bool) -> Self {
        Self { connection: Some(connection), keeper, writes, last: false }
    }

    /// Its connection.
    ///
    /// # Errors
    /// Never before its end.
    pub fn connection(&mut self) -> sqlx::Result<&mut PgConnection> {
        self.connection.as_mut().ok_or(sqlx::Error::BeginFailed)
    }

    /// Its connection is not to be used after it.
    pub fn make_last(&mut self) {
        self.last = true;
    }

    fn keep(&mut self, open: bool) {
        match self.connection.take() {
            Some(connection) if self.last => close(connection),
            Some(connection) => self.keeper.put(connection, open),
            None => {}
        }
    }

    /// Closes its connection, which undoes it.
    pub fn give_up(&mut self) {
        if let Some(connection) = self.connection.take() {
            close(connection);
        }
    }

    /// Makes everything written in it lasting.
    pub async fn commit(mut self) -> sqlx::Result<()> {
        sqlx::raw_sql("COMMIT").execute(self.connection()?).await?;
        self.keep(false);
        Ok(())
    }

    /// Undoes everything written in it. Nothing that only read holds anybody up, and is undone
    /// later; where a server cannot be told, closing the connection does it.
    pub async fn rollback(mut self) {
        if self.writes
            && let Ok(connection) = self.connection()
            && let Err(error) = sqlx::raw_sql("ROLLBACK").execute(connection).await
        {
            let error = crate::Error::from(error);
            tracing::debug!(%error, "a connection was closed instead of a rollback");
            return;
        }
        self.keep(!self.writes);
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.give_up();
    }
}
