//! Whether the database says of itself that it takes no writes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{self, Access as Allowed};

use super::server::Server;
use super::sql;
use super::{Db, Tx};
use crate::domain::database_fault::Condition;
use crate::domain::safe_text::SafeText;
use crate::paths::shown;
use crate::{Error, Result, files};

/// How long a server is asked why it takes no writes.
const LIMIT: Duration = Duration::from_secs(2);

/// Free bytes below which a file's disk is as good as full: one page of its log.
const ROOM: u64 = 8_192;

/// Why the database of a transaction takes no writes; none where it does.
pub async fn of_database(tx: &mut Tx) -> Result<Option<Condition>> {
    let transaction = match tx {
        Tx::Postgres(transaction) => {
            return Ok(transaction.takes_no_writes().then_some(Condition::ReadOnly));
        }
        Tx::Sqlite(transaction) => transaction,
    };
    let path: Option<String> =
        sql::query_scalar("select file from pragma_database_list where name = 'main'")
            .fetch_optional(&mut **transaction)
            .await?;
    Ok(path.and_then(|path| of_path(Path::new(&path))))
}

/// A database's file, and those that SQLite keeps beside it.
pub fn files_of(path: &Path) -> impl Iterator<Item = PathBuf> {
    ["", "-wal", "-shm", "-journal"].into_iter().map(move |end| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    })
}

fn of_path(path: &Path) -> Option<Condition> {
    // Its log stands beside it.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if [path, folder].iter().any(|at| fs::access(*at, Allowed::WRITE_OK).is_err()) {
        return Some(Condition::ReadOnly);
    }
    let space = fs::statvfs(folder).ok()?;
    (space.f_blocks > 0 && space.f_bavail * space.f_frsize < ROOM).then_some(Condition::Full)
}

/// Adds to the error of a database that takes no writes what to do: of a server that is no standby, whose
/// setting begins each transaction as one that only reads, and of a file, with those beside it, which have
/// the permissions that it had when they were made.
pub async fn explain(db: &Db, error: Error) -> Error {
    let Some(fault) = error.fault() else { return error };
    let server = match db {
        Db::Postgres(server) if fault.code == "25006" => server,
        Db::Sqlite(_, path) if fault.condition() == Some(Condition::ReadOnly) => {
            let closed = |file: &PathBuf| {
                files::is_own(file) && fs::access(file, Allowed::WRITE_OK).is_err()
            };
            let closed: Vec<_> = files_of(path).filter(closed).map(|file| shown(&file)).collect();
            if closed.is_empty() {
                return error;
            }
            return error.hint(format!("run: chmod 600 {}", closed.join(" ")));
        }
        _ => return error,
    };
    match tokio::time::timeout(LIMIT, setting(server)).await {
        Ok(Ok(Some(hint))) => error.hint(hint),
        _ => error,
    }
}

/// How the setting is taken back; none for a standby, or where it is off.
async fn setting(server: &Server) -> Result<Option<String>> {
    let (mut connection, _turn) = server.connection().await?;
    let found: Option<(String, String, String)> = sql::query_as(concat!(
        "select s.source, quote_ident(current_database()::text), quote_ident(current_user::text) \
         from pg_settings s where s.name = 'default_transaction_read_only' and ",
        read_only_by_default!(),
        " and not pg_is_in_recovery()"
    ))
    .fetch_optional(&mut connection)
    .await?;
    server.keeper().put(connection, false);
    let Some((source, database, role)) = found else { return Ok(None) };
    let (database, role) = (SafeText::new(&database), SafeText::new(&role));
    let of = match source.as_str() {
        "database" => format!("database {database}"),
        "user" => format!("role {role}"),
        "database user" => format!("role {role} in database {database}"),
        "client" => {
            return Ok(Some(
                "take default_transaction_read_only out of options of the database URL, or of \
                 PGOPTIONS"
                    .to_owned(),
            ));
        }
        _ => {
            return Ok(Some(
                "turn default_transaction_read_only off in the configuration of the server"
                    .to_owned(),
            ));
        }
    };
    Ok(Some(format!(
        "an administrator of the server allows writes with: alter {of} reset \
         default_transaction_read_only"
    )))
}
