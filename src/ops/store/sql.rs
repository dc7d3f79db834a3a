//! Statements with their values, for either engine: the few forms of sqlx's that are used, with one
//! round trip each.
//!
//! sqlx asks a PostgreSQL server twice for a statement that it has not prepared on that connection, and
//! what it prepared is lost behind a pooler in transaction mode. So a console and a command send the
//! text with its values in it, by the protocol that knows no prepared statements. Values are typed,
//! and a text is always quoted. A secret value goes apart from the text, whatever that costs: a server
//! may log and show its texts.

use std::fmt::Write as _;
use std::marker::PhantomData;

use futures_util::TryStreamExt as _;
use futures_util::future::{BoxFuture, join_all};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{
    AssertSqlSafe, Either, Executor as _, FromRow, PgConnection, Postgres, Row, SqlSafeStr, SqlStr,
    Sqlite, SqliteConnection,
};

use super::commit::{Own, PgTx};
use super::server::{is_silence, within};
use super::together::Answer;
use super::value::{Value, with_values};

/// A statement and its values.
#[derive(Debug)]
pub struct Query {
    text: SqlStr,
    values: Vec<Value>,
    /// Whether a value must not stand in the text.
    secret: bool,
}

/// A statement whose rows become `T`.
#[derive(Debug)]
pub struct QueryAs<T> {
    query: Query,
    rows: PhantomData<T>,
}

/// A statement whose rows have one column, a `T`.
#[derive(Debug)]
pub struct QueryScalar<T> {
    query: Query,
    rows: PhantomData<T>,
}

/// A statement; its values stand in it as `$1`, `$2` and so on.
pub fn query(text: impl SqlSafeStr) -> Query {
    Query { text: text.into_sql_str(), values: Vec::new(), secret: false }
}

/// A statement whose rows become `T`.
pub fn query_as<T>(text: impl SqlSafeStr) -> QueryAs<T> {
    QueryAs { query: query(text), rows: PhantomData }
}

/// A statement whose rows have one column, a `T`.
pub fn query_scalar<T>(text: impl SqlSafeStr) -> QueryScalar<T> {
    QueryScalar { query: query(text), rows: PhantomData }
}

/// What a statement gave whose rows are not read.
#[derive(Debug, Clone, Copy)]
pub struct Done(u64);

impl Done {
    /// How many rows it changed.
    pub fn rows_affected(self) -> u64 {
        self.0
    }
}

/// A connection that statements are asked on.
pub trait Connection: Send {
    /// Its driver.
    type Driver;
    /// A row of its driver.
    type Row: Row;

    /// Asks one statement; gives its rows, and how many it changed.
    fn ask(&mut self, query: Query) -> BoxFuture<'_, sqlx::Result<(Vec<Self::Row>, Done)>>;
}

impl Connection for PgTx {
    type Driver = Postgres;
    type Row = PgRow;

    fn ask(&mut self, query: Query) -> BoxFuture<'_, sqlx::Result<(Vec<PgRow>, Done)>> {
        Box::pin(async move {
            match self.side() {
                Err(counter) => counter.ask(query).await,
                Ok(own) if own.named || query.secret => own.ask_prepared(query).await,
                Ok(own) => match own.ask_at_once(vec![query]).await {
                    (_, Some(error)) => Err(error),
                    (mut answers, None) => answers.pop().ok_or(sqlx::Error::RowNotFound),
                },
            }
        })
    }
}

impl PgTx {
    /// Asks statements that do not depend on each other, in one round trip where they need not be
    /// prepared. Gives what they gave, and the error of the first that failed.
    pub async fn ask_all(&mut self, queries: Vec<Query>) -> (Vec<Answer>, Option<sqlx::Error>) {
        let mut answers = Vec::with_capacity(queries.len());
        match self.side() {
            Ok(own) if !own.named && !queries.iter().any(|query| query.secret) => {
                return own.ask_at_once(queries).await;
            }
            Ok(own) => {
                for query in queries {
                    match own.ask_prepared(query).await {
                        Ok(answer) => answers.push(answer),
                        Err(error) => return (answers, Some(error)),
                    }
                }
            }
            Err(counter) => {
                for answer in join_all(queries.into_iter().map(|query| counter.ask(query))).await {
                    match answer {
                        Ok(answer) => answers.push(answer),
                        Err(error) => return (answers, Some(error)),
                    }
                }
            }
        }
        (answers, None)
    }
}

impl Own {
    async fn ask_prepared(&mut self, query: Query) -> sqlx::Result<Answer> {
        let mut arguments = PgArguments::default();
        for value in query.values {
            value.bind_postgres(&mut arguments)?;
        }
        if let (_, Some(error)) = self.ask_at_once(Vec::new()).await {
            return Err(error);
        }
        let (limit, named) = (self.answer, self.named);
        let asked = sqlx::query_with(query.text, arguments).persistent(named);
        let steps = self.connection()?.fetch_many(asked);
        let answered = within(limit, gathered(steps)).await;
        // Whatever is sent after it would wait as well.
        if answered.is_err() {
            self.give_up();
        }
        match answered.and_then(|answered| answered) {
            Ok(answer) => {
                self.note(None);
                Ok(answer)
            }
            Err(error) => Err(self.note(Some(error)).unwrap_or(sqlx::Error::BeginFailed)),
        }
    }

    async fn ask_at_once(&mut self, queries: Vec<Query>) -> (Vec<Answer>, Option<sqlx::Error>) {
        let mut answers = Vec::with_capacity(queries.len());
        if queries.is_empty() && !self.has_due() {
            return (answers, None);
        }
        let asked = self.ask_text(&queries, &mut answers).await;
        if asked.as_ref().is_err_and(is_silence) {
            self.give_up();
        }
        (answers, self.note(asked.err()))
    }

    async fn ask_text(&mut self, queries: &[Query], answers: &mut Vec<Answer>) -> sqlx::Result<()> {
        let due = self.take_due();
        let mut text = due.join(";");
        for query in queries {
            if !text.is_empty() {
                text.push(';');
            }
            query.write(&mut text)?;
        }
        let (limit, mut due) = (self.answer, due.len());
        let mut steps = self.connection()?.fetch_many(sqlx::raw_sql(AssertSqlSafe(text)));
        let mut rows = Vec::new();
        while let Some(step) = within(limit, steps.try_next()).await?? {
            match step {
                Either::Right(row) => rows.push(row),
                Either::Left(_) if due > 0 => due -= 1,
                Either::Left(ended) => {
                    answers.push((std::mem::take(&mut rows), Done(ended.rows_affected())));
                }
            }
        }
        Ok(())
    }
}

impl Connection for PgConnection {
    type Driver = Postgres;
    type Row = PgRow;

    fn ask(&mut self, query: Query) -> BoxFuture<'_, sqlx::Result<(Vec<PgRow>, Done)>> {
        Box::pin(async move {
            let mut text = String::new();
            query.write(&mut text)?;
            gathered(self.fetch_many(sqlx::raw_sql(AssertSqlSafe(text)))).await
        })
    }
}

impl Connection for SqliteConnection {
    type Driver = Sqlite;
    type Row = SqliteRow;

    fn ask(&mut self, query: Query) -> BoxFuture<'_, sqlx::Result<(Vec<SqliteRow>, Done)>> {
        Box::pin(async move {
            let mut arguments = SqliteArguments::default();
            for value in query.values {
                value.bind_sqlite(&mut arguments)?;
            }
            gathered(self.fetch_many(sqlx::query_with(query.text, arguments))).await
        })
    }
}

/// What one statement gave.
async fn gathered<R, D>(
    mut steps: impl futures_util::Stream<Item = sqlx::Result<Either<D, R>>> + Unpin,
) -> sqlx::Result<(Vec<R>, Done)>
where
    D: Changed,
{
    let (mut rows, mut done) = (Vec::new(), Done(0));
    while let Some(step) = steps.try_next().await? {
        match step {
            Either::Right(row) => rows.push(row),
            Either::Left(ended) => done.0 += ended.rows_affected(),
        }
    }
    Ok((rows, done))
}

/// What a driver says of a statement that has ended.
trait Changed {
    fn rows_affected(&self) -> u64;
}

impl Changed for sqlx::postgres::PgQueryResult {
    fn rows_affected(&self) -> u64 {
        Self::rows_affected(self)
    }
}

impl Changed for sqlx::sqlite::SqliteQueryResult {
    fn rows_affected(&self) -> u64 {
        Self::rows_affected(self)
    }
}

impl Query {
    /// Adds the next value.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Writes it with its values in it, as PostgreSQL takes it.
    pub fn write(&self, text: &mut String) -> sqlx::Result<()> {
        with_values(self.text.as_str(), &self.values, text)
    }

    /// Adds the next value, which must not stand in a text that a server may log.
    #[must_use]
    pub fn bind_secret(mut self, value: impl Into<Value>) -> Self {
        self.secret = true;
        self.bind(value)
    }

    /// Asks it; no row of it is read.
    pub async fn execute(self, connection: &mut impl Connection) -> sqlx::Result<Done> {
        Ok(connection.ask(self).await?.1)
    }
}

macro_rules! fetches {
    ($query:ident, $row:ty, $take:expr) => {
        impl<T> $query<T> {
            /// Adds the next value.
            #[must_use]
            pub fn bind(mut self, value: impl Into<Value>) -> Self {
                self.query.values.push(value.into());
                self
            }

            /// All rows.
            pub async fn fetch_all<C: Connection>(self, connection: &mut C) -> sqlx::Result<Vec<T>>
            where
                $row: for<'r> FromRow<'r, C::Row>,
            {
                let (rows, _) = connection.ask(self.query).await?;
                rows.iter().map(|row| <$row>::from_row(row).map($take)).collect()
            }

            /// The first row, if there is one.
            pub async fn fetch_optional<C: Connection>(
                self,
                connection: &mut C,
            ) -> sqlx::Result<Option<T>>
            where
                $row: for<'r> FromRow<'r, C::Row>,
            {
                let (rows, _) = connection.ask(self.query).await?;
                rows.first().map(|row| <$row>::from_row(row).map($take)).transpose()
            }

            /// The first row.
            pub async fn fetch_one<C: Connection>(self, connection: &mut C) -> sqlx::Result<T>
            where
                $row: for<'r> FromRow<'r, C::Row>,
            {
                self.fetch_optional(connection).await?.ok_or(sqlx::Error::RowNotFound)
            }
        }
    };
}

fetches!(QueryAs, T, |row| row);
fetches!(QueryScalar, (T,), |row: (T,)| row.0);

impl<T> QueryScalar<T> {
    /// As [`Query::bind_secret`].
    #[must_use]
    pub fn bind_secret(mut self, value: impl Into<Value>) -> Self {
        self.query = self.query.bind_secret(value);
        self
    }
}

/// Puts a statement together from parts and values.
#[derive(Debug)]
pub struct QueryBuilder<DB> {
    text: String,
    values: Vec<Value>,
    engine: PhantomData<DB>,
}

impl<DB> QueryBuilder<DB> {
    /// Begins with `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Vec::new(), engine: PhantomData }
    }

    /// Adds a part, which must not hold text that was typed.
    pub fn push(&mut self, part: impl std::fmt::Display) -> &mut Self {
        let _ = write!(self.text, "{part}");
        self
    }

    /// Adds a value.
    pub fn push_bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        let _ = write!(self.text, "${}", self.values.len());
        self
    }

    /// Adds values with `between` in between.
    pub fn push_list<V: Into<Value>>(
        &mut self,
        between: &str,
        values: impl IntoIterator<Item = V>,
    ) -> &mut Self {
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                self.text.push_str(between);
            }
            self.push_bind(value);
        }
        self
    }

    fn build(self) -> Query {
        Query { text: AssertSqlSafe(self.text).into_sql_str(), values: self.values, secret: false }
    }

    /// All rows.
    pub async fn fetch_all<T, C>(self, connection: &mut C) -> sqlx::Result<Vec<T>>
    where
        C: Connection<Driver = DB>,
        T: for<'r> FromRow<'r, C::Row>,
    {
        QueryAs { query: self.build(), rows: PhantomData }.fetch_all(connection).await
    }

    /// The first row, if there is one.
    pub async fn fetch_optional<T, C>(self, connection: &mut C) -> sqlx::Result<Option<T>>
    where
        C: Connection<Driver = DB>,
        T: for<'r> FromRow<'r, C::Row>,
    {
        QueryAs { query: self.build(), rows: PhantomData }.fetch_optional(connection).await
    }

    /// The one column of all rows.
    pub async fn fetch_scalars<T, C>(self, connection: &mut C) -> sqlx::Result<Vec<T>>
    where
        C: Connection<Driver = DB>,
        (T,): for<'r> FromRow<'r, C::Row>,
    {
        QueryScalar { query: self.build(), rows: PhantomData }.fetch_all(connection).await
    }

    /// Asks it; no row of it is read.
    pub async fn execute<C>(self, connection: &mut C) -> sqlx::Result<Done>
    where
        C: Connection<Driver = DB>,
    {
        self.build().execute(connection).await
    }

    /// Its text.
    #[cfg(test)]
    pub fn into_sql(self) -> String {
        self.text
    }
}
