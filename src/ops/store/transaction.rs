//! A transaction on a connection of a pool. A connection goes back to its pool only when it is
//! known to be out of its transaction: one whose COMMIT or ROLLBACK failed is closed.
//!
//! A full disk makes SQLite undo a transaction by itself. A pool that takes such a connection back
//! hands it on as if it were still in one, and nothing can be written through it again.

use std::borrow::Cow;
use std::ops::{Deref, DerefMut};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Database, PgConnection, Pool, Postgres, Sqlite, SqliteConnection};

use super::connect;

/// An engine that a transaction can be begun on.
pub trait Engine: Database {
    /// A connection of the pool.
    fn acquire(pool: &Pool<Self>) -> BoxFuture<'_, sqlx::Result<PoolConnection<Self>>>;

    /// Executes statements without arguments.
    fn execute<'c>(
        connection: &'c mut Self::Connection,
        statements: Cow<'static, str>,
    ) -> BoxFuture<'c, sqlx::Result<()>>;

    /// What begins a transaction with `statement`.
    fn opening(_pool: &Pool<Self>, statement: &'static str) -> Cow<'static, str> {
        statement.into()
    }
}

impl Engine for Postgres {
    fn acquire(pool: &Pool<Self>) -> BoxFuture<'_, sqlx::Result<PoolConnection<Self>>> {
        connect::acquire(pool).boxed()
    }

    fn execute<'c>(
        connection: &'c mut PgConnection,
        statements: Cow<'static, str>,
    ) -> BoxFuture<'c, sqlx::Result<()>> {
        let statements = sqlx::raw_sql(AssertSqlSafe(statements.into_owned()));
        async move { statements.execute(connection).await.map(drop) }.boxed()
    }

    fn opening(pool: &Pool<Self>, statement: &'static str) -> Cow<'static, str> {
        connect::opening(pool, statement)
    }
}

impl Engine for Sqlite {
    fn acquire(pool: &Pool<Self>) -> BoxFuture<'_, sqlx::Result<PoolConnection<Self>>> {
        pool.acquire().boxed()
    }

    fn execute<'c>(
        connection: &'c mut SqliteConnection,
        statements: Cow<'static, str>,
    ) -> BoxFuture<'c, sqlx::Result<()>> {
        let statements = sqlx::raw_sql(AssertSqlSafe(statements.into_owned()));
        async move { statements.execute(connection).await.map(drop) }.boxed()
    }
}

/// An open transaction. Dropped before its end, it is undone with its connection.
pub struct Transaction<D: Engine> {
    connection: PoolConnection<D>,
    ended: bool,
}

impl<D: Engine> Transaction<D> {
    /// Begins one with `statement`.
    pub async fn begin(pool: &Pool<D>, statement: &'static str) -> sqlx::Result<Self> {
        let connection = D::acquire(pool).await?;
        let mut transaction = Self { connection, ended: false };
        D::execute(&mut transaction.connection, D::opening(pool, statement)).await?;
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
        D::execute(&mut self.connection, statement.into()).await?;
        self.ended = true;
        Ok(())
    }
}

impl<D: Engine> Deref for Transaction<D> {
    type Target = D::Connection;

    fn deref(&self) -> &D::Connection {
        &self.connection
    }
}

impl<D: Engine> DerefMut for Transaction<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        &mut self.connection
    }
}

impl<D: Engine> Drop for Transaction<D> {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.close_on_drop();
        }
    }
}
