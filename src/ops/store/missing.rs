//! Tables and columns that are gone although no migration is missing.

use std::time::Duration;

use super::Db;
use super::schema::{SchemaState, program_version, state};
use crate::Error;
use crate::domain::database_fault::DatabaseFault;

/// How long the schema is looked at.
const LIMIT: Duration = Duration::from_secs(2);

/// Whether a statement was refused for something that is not there.
fn is_of_missing(fault: &DatabaseFault) -> bool {
    matches!(fault.code.as_str(), "42P01" | "42703") || fault.sqlite() == Some(1)
}

/// Says of a table or column that is missing in a current schema that no migration makes it again.
pub async fn explain(db: &Db, error: Error) -> Error {
    let Some(fault) = error.fault().filter(|fault| is_of_missing(fault)).cloned() else {
        return error;
    };
    let Ok(Ok(SchemaState::Current | SchemaState::Ahead { .. })) =
        tokio::time::timeout(LIMIT, state(db)).await
    else {
        return error;
    };
    let version = program_version(db);
    let (message, gone) = match &fault.table {
        Some(table) => (
            format!("the table {table} is missing, but the schema's version is {version}"),
            "it was dropped or renamed",
        ),
        None => (
            format!("the schema lacks what its version {version} has"),
            "a column was dropped or renamed",
        ),
    };
    Error::refused(message)
        .hint(format!(
            "{gone}, and migrate does not make it again; restore the database from a backup"
        ))
        .with_fault(fault)
}
