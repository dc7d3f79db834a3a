//! What a driver's error means to a person. Its own text stays behind: it can hold row data.

use std::io;

use sqlx::error::DatabaseError;
use sqlx::postgres::{PgDatabaseError, PgSeverity};
use sqlx::sqlite::SqliteError;

use super::server::is_silence;
use super::{grants, schema, tls};

use crate::domain::database_fault::DatabaseFault;
use crate::{Error, ErrorKind};

/// SQLSTATE of the triggers that keep a table append-only (PostgreSQL).
const APPEND_ONLY: &str = "TP001";
/// How the texts of the same triggers end on SQLite, which has no codes of one's own.
const APPEND_ONLY_TEXTS: [&str; 5] = [
    "is append-only",
    "never changes",
    "that was used stays",
    "is never replaced",
    "keeps its number",
];

/// What is said of a database that does not answer.
pub const SILENT: &str = "the database does not answer";

/// How the texts begin for a host name that does not resolve.
const UNRESOLVED: [&str; 2] =
    ["failed to lookup address information", "could not resolve to any address"];

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        of_driver(&error)
    }
}

/// What a pooler says whose server is gone.
const POOLER_ALONE: [&str; 4] = [
    "(server down)",
    "(server_login_retry)",
    "cannot connect to server",
    "no working server connection",
];

/// The code of a statement that is refused because one before it failed.
const ABORTED: &str = "25P02";

/// Whether a statement was refused because one before it failed, which says nothing of the cause.
pub fn is_of_aborted(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().is_some_and(|code| code == ABORTED))
}

/// What a driver's error means.
pub fn of_driver(error: &sqlx::Error) -> Error {
    match error {
        // The first error of the transaction, kept by `Own::note`.
        sqlx::Error::AnyDriverError(known) => match known.downcast_ref::<Error>() {
            Some(cause) => cause.clone(),
            None => Error::failed("the database refused the statement"),
        },
        silence if is_silence(silence) => silent_database(),
        sqlx::Error::Io(error) => of_io(error),
        sqlx::Error::PoolTimedOut => unreachable(
            "its address does not answer",
            "check the host and the port of the database URL, and what is between: a firewall, a VPN, \
             a proxy, or a pooler whose server is down",
        ),
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed | sqlx::Error::BeginFailed => {
            unreachable_database()
        }
        sqlx::Error::Tls(error) => tls::of_driver(error),
        sqlx::Error::Database(database) => {
            let fault = fault_of(database.as_ref());
            let error = match fault.sqlite() {
                Some(number) => of_sqlite(number, &fault, database.message()),
                None => of_session(database.as_ref())
                    .unwrap_or_else(|| of_sqlstate(&fault, database.message())),
            };
            error.with_fault(fault)
        }
        sqlx::Error::Protocol(_) => unreachable_database(),
        sqlx::Error::ColumnDecode { index, .. } => Error::failed(format!(
            "the database holds a value that this version cannot read, in {index}"
        ))
        .hint("check that the program and the schema are of the same version: tenantpilot migrate"),
        sqlx::Error::Configuration(_) => Error::usage("the database URL cannot be used"),
        _ => Error::failed("the database refused the statement"),
    }
}

/// Why no connection could be made, where the operating system or the TLS handshake says it.
fn of_io(error: &io::Error) -> Error {
    if let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        return tls::of_handshake(error);
    }
    // The standard library has no kind of its own for these.
    let text = error.to_string();
    if UNRESOLVED.iter().any(|start| text.starts_with(start)) {
        return Error::new(
            ErrorKind::Unreachable,
            "the host name of the database URL cannot be resolved",
        )
        .hint("check the host in the database URL, and this machine's name resolution");
    }
    match error.kind() {
        // Of a socket, its file is missing.
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => unreachable(
            "nothing listens at its address",
            "check that the server runs, and the host and the port of the database URL",
        ),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => unreachable(
            "there is no route to its host",
            "check the host of the database URL, and the network or VPN of this machine",
        ),
        _ => unreachable_database(),
    }
}

/// The same where it is known why, and what to do about it.
fn unreachable(why: &str, hint: &str) -> Error {
    Error::new(ErrorKind::Unreachable, format!("the database cannot be reached: {why}"))
        .hint(format!("{hint}; nothing was changed"))
}

/// An answer did not come in its time.
pub fn silent_database() -> Error {
    Error::new(ErrorKind::Unreachable, SILENT)
        .hint("it may be frozen, overloaded or locked; nothing was changed")
}

/// The text for a database that cannot be reached.
pub fn unreachable_database() -> Error {
    Error::new(ErrorKind::Unreachable, "the database cannot be reached")
        .hint("check that it runs and that the database URL is right; nothing was changed")
}

/// What may be kept of a driver's error.
fn fault_of(error: &dyn DatabaseError) -> DatabaseFault {
    let code = error.code().unwrap_or_default();
    let (constraint, table) = match error.try_downcast_ref::<SqliteError>() {
        Some(_) => names_in_sqlite(&code, error.message()),
        None if code == "42501" => (None, grants::denied_table(error.message())),
        None if code == "42P01" => (None, schema::own_table_in(error.message())),
        None => (error.constraint(), error.table()),
    };
    DatabaseFault::new(&code, constraint, table)
}

/// Constraint and table, which SQLite tells in its text only. What a trigger raises is a text of
/// its own and has neither.
fn names_in_sqlite<'a>(code: &str, message: &'a str) -> (Option<&'a str>, Option<&'a str>) {
    let of = |kind: &str| message.strip_prefix(kind)?.strip_prefix(" constraint failed: ");
    match code {
        // CHECK
        "275" => (of("CHECK"), None),
        "1" if message.starts_with("no such table: ") => (None, schema::own_table_in(message)),
        // NOT NULL, PRIMARY KEY, UNIQUE: the first column tells the table.
        "1299" | "1555" | "2067" => {
            let kind = if code == "1299" { "NOT NULL" } else { "UNIQUE" };
            let column = of(kind).and_then(|columns| columns.split(", ").next());
            (column, column.and_then(|column| Some(column.split_once('.')?.0)))
        }
        _ => (None, None),
    }
}

/// Why a server takes no session, or ends one; none for an error of a statement.
fn of_session(error: &dyn DatabaseError) -> Option<Error> {
    let error = error.try_downcast_ref::<PgDatabaseError>()?;
    if !matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic) {
        return None;
    }
    if is_of_options(error) {
        let parameter = named_in(error.message());
        let parameter = parameter.map_or_else(String::new, |name| format!(": {name}"));
        let message = format!("the server refused the connection's options{parameter}");
        return Some(Error::new(ErrorKind::Unreachable, message).hint(
            "correct or remove the parameter in options of the database URL, or in PGOPTIONS",
        ));
    }
    // Servers speak other languages too: the text tells more, but nothing depends on it.
    let ends = |text: &str| error.message().ends_with(text);
    let (message, hint) = match (error.code(), error.routine()) {
        // A pooler has one code for all that it refuses.
        ("28P01" | "08P01", _) if error.code() == "28P01" || ends("authentication failed") => (
            "the database refused the name or password",
            "check the user and password of the database URL, and whether the password has expired \
             (VALID UNTIL); special characters are percent-encoded, for instance @ as %40",
        ),
        ("28000", Some("InitializeSessionUserId")) if ends("does not exist") => {
            ("the role of the database URL does not exist", "check the user of the database URL")
        }
        ("28000", Some("InitializeSessionUserId")) => (
            "the role of the database URL may not log in",
            "check the user of the database URL; an administrator of the server allows it with: \
             alter role ROLE login",
        ),
        ("28000", Some("ClientAuthentication")) => (
            "the connection is refused by the server's pg_hba.conf",
            "check what it asks of this role, database and address: TLS, a client certificate, or \
             a line of its own",
        ),
        ("28000", _) => (
            "the database refused the name or password",
            "check the role, and what pg_hba.conf on the server asks of it: TLS, a client \
             certificate or another method",
        ),
        ("3D000" | "08P01", _)
            if error.code() == "3D000"
                || ends("\" does not exist")
                || error.message().starts_with("no such database") =>
        {
            (
                "the database named in the URL does not exist",
                "check the name; an administrator of the server makes a database with: createdb NAME",
            )
        }
        _ if POOLER_ALONE.iter().any(|text| error.message().contains(text)) => (
            "the pooler in front of the database cannot reach its server",
            "check that the server runs, and the pooler's address of it; nothing was changed",
        ),
        ("42501", _) => (
            "the role may not connect to the database",
            "an administrator allows it with: grant connect on database NAME to ROLE",
        ),
        ("55000", _) => (
            "the database takes no connections (allow_connections is false)",
            "an administrator allows them with: alter database NAME allow_connections true",
        ),
        ("57P01", _) => (
            "the server ended the connection",
            "an administrator ended it, or the server stops; try again",
        ),
        ("57P02", _) => {
            ("the server ended the connection after a crash", "it restarts; try again in a moment")
        }
        ("57P03", _) if ends("starting up") => {
            ("the database is starting", "try again in a moment; nothing was changed")
        }
        ("57P03", _) if ends("shutting down") => {
            ("the database is stopping", "try again once it runs; nothing was changed")
        }
        ("57P03", _) if ends("in recovery mode") => (
            "the database is in recovery after a crash",
            "try again in a moment; nothing was changed",
        ),
        ("57P03", _) => (
            "the database is starting, stopping or in recovery",
            "try again in a moment; a standby server may have hot_standby off",
        ),
        ("57P04", _) => ("the database was dropped", "check the name in the database URL"),
        ("57P05", _) => (
            "the server ended an idle connection",
            "its idle_session_timeout is short for this program; try again",
        ),
        ("25P03", _) => (
            "the server ended an idle transaction",
            "this program had fallen asleep (idle_in_transaction_session_timeout); try again",
        ),
        ("25P04", _) => (
            "the server ended a long transaction",
            "its transaction_timeout is short for this; try again",
        ),
        (code, _) if code.starts_with("57P") => {
            ("the server ended the session", "see the server's log for why; try again")
        }
        _ => return None,
    };
    Some(Error::new(ErrorKind::Unreachable, message).hint(hint))
}

/// Whether a server refuses a session for its options: a parameter that is not known, not allowed
/// or has no such value. Poolers have one code for all of what they refuse.
fn is_of_options(error: &PgDatabaseError) -> bool {
    match error.code() {
        "42704" | "42601" | "22023" | "55P02" => true,
        "42501" => error.message().contains("parameter"),
        "08P01" => error.message().contains("startup parameter"),
        _ => false,
    }
}

/// The parameter that a server names, in quotes; its value may follow. A pooler names it last.
fn named_in(message: &str) -> Option<&str> {
    let quoted = message.split(['"', '«', '»', '„', '“']).nth(1);
    let name = quoted.or_else(|| message.rsplit(": ").next())?.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    (!name.is_empty() && name.len() <= 63 && name.chars().all(plain)).then_some(name)
}

fn of_sqlstate(fault: &DatabaseFault, message: &str) -> Error {
    match fault.code.as_str() {
        "57014" => Error::new(ErrorKind::TimedOut, "the database took too long")
            .hint("narrow what you ask for, for instance with since:24h"),
        "42P01" | "42703" => {
            Error::refused("the database's schema is not the one this version needs")
                .hint("run: tenantpilot migrate")
        }
        "42501" => grants::of_denial(message),
        "25006" => {
            Error::refused("the database is read-only").hint("connect to the primary server")
        }
        "22021" | "22P05" => Error::usage("a text holds a character that cannot be stored")
            .hint("remove the null characters from it"),
        "53100" => Error::failed("the database's disk is full")
            .hint("free space on the server; what waits goes on by itself"),
        "53200" => Error::new(ErrorKind::Unreachable, "the database is out of memory"),
        "53300" => Error::new(ErrorKind::Unreachable, "the database has too many connections")
            .hint(
                "close other clients, or raise max_connections or the limit of the role or database",
            ),
        "3F000" => Error::refused("the database has no schema that tables can be created in")
            .hint("check search_path and the grants of the login role"),
        "55P03" => Error::new(ErrorKind::TimedOut, "a lock in the database was not free in time")
            .hint("another session holds it; try again"),
        "40001" | "40P01" => {
            Error::new(ErrorKind::TimedOut, "the database was too busy").hint("try again")
        }
        APPEND_ONLY => Error::refused("this record can never be changed"),
        "XX001" | "XX002" => Error::failed("the database reports damaged data")
            .hint("see the server's log; restore from a backup"),
        c if c.starts_with("58") || c.starts_with("XX") => {
            Error::failed(format!("the database's server failed ({fault})"))
                .hint("see the server's log")
        }
        // The server has ended a session whose process had fallen asleep: the connection is gone
        // with its transaction.
        "25P03" | "25P04" | "57P05" => unreachable_database(),
        c if c.starts_with("08") || c.starts_with("57P") || c.starts_with("53") => {
            unreachable_database()
        }
        c if c.starts_with("23") => conflict(fault),
        _ => Error::failed(format!("the database refused the statement ({fault})")),
    }
}

fn of_sqlite(number: u32, fault: &DatabaseFault, message: &str) -> Error {
    match number & 0xff {
        5 | 6 => Error::new(ErrorKind::TimedOut, "the database is busy with another writer")
            .hint("try again"),
        8 => Error::refused("the database file is read-only")
            .hint("check the permissions of the file and its folder"),
        10 => Error::new(ErrorKind::Unreachable, "the database file could not be read or written")
            .hint("check the disk that it is on"),
        11 | 26 => Error::failed("the file is not a usable TenantPilot database")
            .hint("check the path, or restore the file from a backup"),
        13 => Error::failed("the database's disk is full")
            .hint("free space on it; what waits goes on by itself"),
        14 => Error::new(ErrorKind::Unreachable, "the database file cannot be opened")
            .hint("check the path, or make a new database: tenantpilot migrate"),
        19 if number == 1811 && APPEND_ONLY_TEXTS.iter().any(|text| message.ends_with(text)) => {
            Error::refused("this record can never be changed")
        }
        // Raised by a trigger of somebody else's.
        19 if number == 1811 => {
            Error::failed(format!("the database refused the statement ({fault})"))
        }
        19 => conflict(fault),
        1 => Error::refused("the database's schema is not the one this version needs")
            .hint("run: tenantpilot migrate"),
        _ => Error::failed(format!("the database refused the statement ({fault})")),
    }
}

fn conflict(fault: &DatabaseFault) -> Error {
    let rule = fault.constraint.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    Error::refused(format!("a rule of the database forbids it{rule}"))
}

/// Whether a failed write hit a uniqueness rule.
pub fn is_unique_violation(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(database) if database.is_unique_violation())
}
