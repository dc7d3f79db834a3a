//! A look at the database past the program.

use std::time::{Duration, Instant};

use sqlx::postgres::{PgPool, PgPoolOptions, PgRow};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions, SqliteRow};
use sqlx::{AssertSqlSafe, FromRow};

/// How long a database that is down is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Connections of the harness.
pub enum Eyes {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

impl Eyes {
    /// Prepares connections to `url`.
    pub fn open(url: &str) -> Self {
        if url.starts_with("sqlite") {
            return Self::Sqlite(
                SqlitePoolOptions::new()
                    .max_connections(1)
                    .after_connect(|connection, _| {
                        Box::pin(async move {
                            sqlx::query("pragma busy_timeout = 30000").execute(connection).await?;
                            Ok(())
                        })
                    })
                    .connect_lazy(url)
                    .unwrap(),
            );
        }
        let pool = PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(3));
        Self::Postgres(pool.connect_lazy(url).unwrap())
    }

    /// The rows of a query.
    pub async fn look<R>(&self, sql: &str) -> Result<Vec<R>, sqlx::Error>
    where
        R: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Postgres(pool) => sqlx::query_as(sql).fetch_all(pool).await,
            Self::Sqlite(pool) => sqlx::query_as(sql).fetch_all(pool).await,
        }
    }

    /// The rows of a query, from a database that may be down for a while.
    pub async fn rows<R>(&self, sql: &str) -> Vec<R>
    where
        R: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        let started = Instant::now();
        loop {
            match self.look(sql).await {
                Ok(rows) => return rows,
                // A connection that a crash has cut says so once.
                Err(error) => {
                    let down = !matches!(error, sqlx::Error::Database(_) | sqlx::Error::Decode(_))
                        || error
                            .as_database_error()
                            .is_some_and(|e| e.code().is_some_and(|code| code.starts_with("57P")));
                    assert!(down && started.elapsed() < PATIENCE, "{error}: {sql}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// One number.
    pub async fn number(&self, sql: &str) -> i64 {
        self.rows::<(i64,)>(sql).await[0].0
    }

    /// Changes something.
    pub async fn change(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Postgres(pool) => drop(sqlx::raw_sql(sql).execute(pool).await.unwrap()),
            Self::Sqlite(pool) => drop(sqlx::raw_sql(sql).execute(pool).await.unwrap()),
        }
    }
}
