//! Values of statements: as literals of PostgreSQL, and as what either driver binds.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use sqlx::Arguments as _;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::types::Json;

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

    /// Binds it for PostgreSQL.
    pub fn bind_postgres(self, arguments: &mut PgArguments) -> sqlx::Result<()> {
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

    /// Binds it for SQLite.
    pub fn bind_sqlite(self, arguments: &mut SqliteArguments) -> sqlx::Result<()> {
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
pub fn with_values(statement: &str, values: &[Value], text: &mut String) -> sqlx::Result<()> {
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
