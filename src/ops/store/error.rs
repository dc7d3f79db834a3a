//! What a driver's error means to a person. Its own text stays behind: it can hold row data.

use crate::{Error, ErrorKind};

/// SQLSTATE of the triggers that keep a table append-only (PostgreSQL).
const APPEND_ONLY: &str = "TP001";

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => unreachable_database(),
            sqlx::Error::Tls(_) => unreachable_database().hint("the TLS handshake with it failed; check sslmode and the certificates"),
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default();
                of_code(&code, database.constraint())
            }
            sqlx::Error::Protocol(_) => unreachable_database(),
            sqlx::Error::ColumnDecode { index, .. } => {
                Error::failed(format!("the database holds a value that this version cannot read, in {index}"))
                    .hint("check that the program and the schema are of the same version: tenantpilot migrate")
            }
            sqlx::Error::Configuration(_) => Error::usage("the database URL cannot be used"),
            _ => Error::failed("the database refused the statement"),
        }
    }
}

/// The text for a database that does not answer.
pub fn unreachable_database() -> Error {
    Error::new(ErrorKind::Unreachable, "the database cannot be reached")
        .hint("check that it runs and that the database URL is right; nothing was changed")
}

fn of_code(code: &str, constraint: Option<&str>) -> Error {
    // SQLite gives extended result codes as numbers; the low byte is the primary code.
    if let Ok(number) = code.parse::<u32>()
        && code.len() < 5
    {
        return of_sqlite(number);
    }
    match code {
        "28P01" | "28000" => {
            Error::new(ErrorKind::Unreachable, "the database refused the name or password")
                .hint("check the user and password of the database URL")
        }
        "3D000" => {
            Error::new(ErrorKind::Unreachable, "the database named in the URL does not exist")
        }
        "57014" => Error::new(ErrorKind::TimedOut, "the database took too long")
            .hint("narrow what you ask for, for instance with since:24h"),
        "42P01" | "42703" => {
            Error::refused("the database's schema is not the one this version needs")
                .hint("run: tenantpilot migrate")
        }
        "42501" => Error::refused("the database role may not do this")
            .hint("check the grants of the login role"),
        "25006" => {
            Error::refused("the database is read-only").hint("connect to the primary server")
        }
        "22021" | "22P05" => Error::usage("a text holds a character that cannot be stored")
            .hint("remove the null characters from it"),
        "53100" => Error::failed("the database's disk is full"),
        "40001" | "40P01" => {
            Error::new(ErrorKind::TimedOut, "the database was too busy").hint("try again")
        }
        APPEND_ONLY => Error::refused("this record can never be changed"),
        // The server has ended a session whose process had fallen asleep: the connection is gone
        // with its transaction.
        "25P03" | "25P04" | "57P05" => unreachable_database(),
        c if c.starts_with("08") || c.starts_with("57P") || c.starts_with("53") => {
            unreachable_database()
        }
        c if c.starts_with("23") => conflict(constraint),
        c => Error::failed(format!("the database refused the statement (code {c})")),
    }
}

fn of_sqlite(number: u32) -> Error {
    match number & 0xff {
        5 | 6 => Error::new(ErrorKind::TimedOut, "the database is busy with another writer")
            .hint("try again"),
        8 => Error::refused("the database file is read-only")
            .hint("check the permissions of the file and its folder"),
        10 => unreachable_database().hint("the database file could not be read or written"),
        11 | 26 => Error::failed("the file is not a usable TenantPilot database")
            .hint("check the path, or restore the file from a backup"),
        13 => Error::failed("the disk is full; nothing was changed"),
        14 => Error::new(ErrorKind::Unreachable, "the database file cannot be opened")
            .hint("check the path, or make a new database: tenantpilot migrate"),
        // A trigger of ours: the append-only tables raise it.
        19 if number == 1811 => Error::refused("this record can never be changed"),
        19 => conflict(None),
        1 => Error::refused("the database's schema is not the one this version needs")
            .hint("run: tenantpilot migrate"),
        other => Error::failed(format!("the database refused the statement (code {other})")),
    }
}

fn conflict(constraint: Option<&str>) -> Error {
    let rule = constraint.map(|name| format!(" ({name})")).unwrap_or_default();
    Error::refused(format!("a rule of the database forbids it{rule}"))
}

/// Whether a failed write hit a uniqueness rule.
pub fn is_unique_violation(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(database) if database.is_unique_violation())
}
