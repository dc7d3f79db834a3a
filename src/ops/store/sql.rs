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

use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::TryStreamExt as _;
use futures_util::future::{BoxFuture, join_all};
use serde::Serialize;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::types::Json;
use sqlx::{
    Arguments as _, AssertSqlSafe, Either, Executor as _, FromRow, Postgres, Row, SqlSafeStr,
    SqlStr, Sqlite, SqliteConnection,
};

use super::commit::{Own, PgTx};
use super::server::{is_silence, within};
use super::together::Answer;
use crate::domain::json;

/// A value of a statement. Each has its type, also where it is absent.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A whole number.
    Int(Option<i64>),
    /// A number.
    Float(f64),
    /// A moment.
    Time(Option<DateTime<Utc>>),
    /// Yes or no.
    Bool(Option<bool>),
    /// A text.
    Text(Option<String>),
    /// A JSON document, written.
    Json(Option<String>),
    /// What could not be written as JSON.
    Unwritten,
}

macro_rules! values {
    ($($from:ty => $make:expr;)+) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                $make(value)
            }
        }
    )+};
}

values! {
    i64 => |value| Self::Int(Some(value));
    i32 => |value| Self::Int(Some(i64::from(value)));
    Option<i64> => Self::Int;
    Option<i32> => |value: Option<i32>| Self::Int(value.map(i64::from));
    f64 => Self::Float;
    DateTime<Utc> => |value| Self::Time(Some(value));
    Option<DateTime<Utc>> => Self::Time;
    bool => |value| Self::Bool(Some(value));
    Option<bool> => Self::Bool;
    &str => |value: &str| Self::Text(Some(value.to_owned()));
    &&str => |value: &&str| Self::Text(Some((*value).to_owned()));
    &String => |value: &String| Self::Text(Some(value.clone()));
    String => |value| Self::Text(Some(value));
    Option<&str> => |value: Option<&str>| Self::Text(value.map(str::to_owned));
    Option<String> => Self::Text;
    &Option<String> => |value: &Option<String>| Self::Text(value.clone());
}

impl<T: Serialize> From<Json<T>> for Value {
    fn from(value: Json<T>) -> Self {
        json::line(&value.0).map_or(Self::Unwritten, |text| Self::Json(Some(text)))
    }
}

impl<T: Serialize> From<Option<Json<T>>> for Value {
    fn from(value: Option<Json<T>>) -> Self {
        value.map_or(Self::Json(None), Self::from)
    }
}

/// Why a value cannot be sent.
fn unfit(why: &'static str) -> sqlx::Error {
    sqlx::Error::Encode(why.into())
}

const UNWRITTEN: &str = "a value cannot be written as JSON";

impl Value {
    /// As a literal of PostgreSQL.
    fn write(&self, text: &mut String) -> sqlx::Result<()> {
        // Writing to a text cannot fail.
        let _ = match self {
            Self::Int(Some(number)) => write!(text, "('{number}'::bigint)"),
            Self::Int(None) => write!(text, "(null::bigint)"),
            Self::Float(number) => write!(text, "('{number:?}'::double precision)"),
            Self::Time(Some(at)) => {
                let at = at.to_rfc3339_opts(SecondsFormat::Micros, true);
                write!(text, "('{at}'::timestamptz)")
            }
            Self::Time(None) => write!(text, "(null::timestamptz)"),
            Self::Bool(Some(value)) => write!(text, "({value})"),
            Self::Bool(None) => write!(text, "(null::boolean)"),
            Self::Text(None) => write!(text, "(null::text)"),
            Self::Text(Some(value)) => return quote(value, "text", text),
            Self::Json(None) => write!(text, "(null::jsonb)"),
            Self::Json(Some(value)) => return quote(value, "jsonb", text),
            Self::Unwritten => return Err(unfit(UNWRITTEN)),
        };
        Ok(())
    }

    fn bind_postgres(self, arguments: &mut PgArguments) -> sqlx::Result<()> {
        let bound = match self {
            Self::Int(value) => arguments.add(value),
            Self::Float(value) => arguments.add(value),
            Self::Time(value) => arguments.add(value),
            Self::Bool(value) => arguments.add(value),
            Self::Text(value) => arguments.add(value),
            Self::Json(value) => {
                let value: Option<serde_json::Value> = value
                    .map(|text| serde_json::from_str(&text))
                    .transpose()
                    .map_err(|_| unfit(UNWRITTEN))?;
                arguments.add(value.map(Json))
            }
            Self::Unwritten => return Err(unfit(UNWRITTEN)),
        };
        bound.map_err(sqlx::Error::Encode)
    }

    fn bind_sqlite(self, arguments: &mut SqliteArguments) -> sqlx::Result<()> {
        let bound = match self {
            Self::Int(value) => arguments.add(value),
            Self::Float(value) => arguments.add(value),
            Self::Time(value) => arguments.add(value),
            Self::Bool(value) => arguments.add(value),
            Self::Text(value) | Self::Json(value) => arguments.add(value),
            Self::Unwritten => return Err(unfit(UNWRITTEN)),
        };
        bound.map_err(sqlx::Error::Encode)
    }
}

/// Writes a text as a literal; with E its characters mean the same whatever the server is set to.
fn quote(value: &str, of: &str, text: &mut String) -> sqlx::Result<()> {
    if value.contains('\0') {
        return Err(unfit("a text holds a zero byte"));
    }
    let value = value.replace('\\', "\\\\").replace('\'', "''");
    let _ = write!(text, "(E'{value}'::{of})");
    Ok(())
}

/// Writes a statement with its values in the place of `$1`, `$2` and so on.
fn with_values(statement: &str, values: &[Value], text: &mut String) -> sqlx::Result<()> {
    let mut rest = statement;
    let mut quote = None;
    while let Some(at) = rest.find(['\'', '"', '$']) {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        let (mark, after) = from.split_at(1);
        rest = after;
        if mark == "$" && quote.is_none() {
            let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            let (number, after) = after.split_at(digits);
            let place = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            let value = place.and_then(|place| values.get(place));
            value.ok_or_else(|| unfit("a statement lacks a value"))?.write(text)?;
            rest = after;
            continue;
        }
        text.push_str(mark);
        match quote {
            None if mark != "$" => quote = Some(mark),
            Some(open) if open == mark => quote = None,
            _ => {}
        }
    }
    text.push_str(rest);
    Ok(())
}

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
        let (limit, named) = (self.answer, self.named);
        let asked = sqlx::query_with(query.text, arguments).persistent(named);
        let steps = self.connection()?.fetch_many(asked);
        let answered = within(limit, gathered(steps)).await;
        // Whatever is sent after it would wait as well.
        if answered.is_err() {
            self.give_up();
        }
        answered?
    }

    async fn ask_at_once(&mut self, queries: Vec<Query>) -> (Vec<Answer>, Option<sqlx::Error>) {
        let mut answers = Vec::with_capacity(queries.len());
        let asked = self.ask_text(&queries, &mut answers).await;
        if asked.as_ref().is_err_and(is_silence) {
            self.give_up();
        }
        (answers, asked.err())
    }

    async fn ask_text(&mut self, queries: &[Query], answers: &mut Vec<Answer>) -> sqlx::Result<()> {
        let mut text = String::new();
        for query in queries {
            query.write(&mut text)?;
            text.push(';');
        }
        let limit = self.answer;
        let mut steps = self.connection()?.fetch_many(sqlx::raw_sql(AssertSqlSafe(text)));
        let mut rows = Vec::new();
        while let Some(step) = within(limit, steps.try_next()).await?? {
            match step {
                Either::Right(row) => rows.push(row),
                Either::Left(ended) => {
                    answers.push((std::mem::take(&mut rows), Done(ended.rows_affected())));
                }
            }
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn told(statement: &str, values: &[Value]) -> String {
        let mut text = String::new();
        with_values(statement, values, &mut text).unwrap();
        text
    }

    #[test]
    fn values_stand_where_their_numbers_stood() {
        let at = DateTime::from_timestamp(0, 1_000).unwrap();
        let values = [(-5_i64).into(), at.into(), true.into(), None::<i64>.into()];
        let text = told("select $2, $1 where $3 and $4 is null and '$1' = \"$9\"", &values);
        assert_eq!(
            text,
            "select ('1970-01-01T00:00:00.000001Z'::timestamptz), ('-5'::bigint) \
             where (true) and (null::bigint) is null and '$1' = \"$9\""
        );
        assert!(with_values("select $3", &[1_i64.into()], &mut String::new()).is_err());
    }

    #[test]
    fn a_text_stays_a_text() {
        let text = told("select $1", &["it's \\' $1; drop".into()]);
        assert_eq!(text, "select (E'it''s \\\\'' $1; drop'::text)");
        assert!(with_values("$1", &["a\0b".into()], &mut String::new()).is_err());
    }
}
