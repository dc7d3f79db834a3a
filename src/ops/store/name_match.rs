//! Comparing names with what was typed, in SQL of either engine.

use sqlx::{Database, Postgres, Sqlite};

use super::database::Engine;
use super::sql::QueryBuilder;
use crate::domain::name_pattern::NamePattern;

/// The pattern as `name_matches!` takes it.
pub fn bound(pattern: &NamePattern, engine: Engine) -> String {
    match engine {
        Engine::Postgres => pattern.regex(),
        Engine::Sqlite => pattern.globs(),
    }
}

/// An engine on which a statement that is put together can compare names.
pub trait NameMatch: Database {
    /// Adds that `column` matches.
    fn push_match(sql: &mut QueryBuilder<Self>, column: &str, pattern: &NamePattern);
}

impl NameMatch for Postgres {
    fn push_match(sql: &mut QueryBuilder<Self>, column: &str, pattern: &NamePattern) {
        sql.push(format_args!("({column} collate \"C\" ~ ")).push_bind(pattern.regex()).push(")");
    }
}

impl NameMatch for Sqlite {
    fn push_match(sql: &mut QueryBuilder<Self>, column: &str, pattern: &NamePattern) {
        sql.push("(exists (select 1 from json_each(").push_bind(pattern.globs());
        sql.push(format_args!(") p where {column} glob p.value))"));
    }
}
