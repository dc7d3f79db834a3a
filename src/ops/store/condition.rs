//! Whether the database says of itself that it takes no writes.

use std::path::Path;

use rustix::fs::{self, Access as Allowed};

use super::sql;
use super::{Db, Tx};
use crate::Result;
use crate::domain::database_fault::Condition;

/// Free bytes below which a file's disk is as good as full: one page of its log.
const ROOM: u64 = 8_192;

/// What the file system says of an embedded database; none for a server.
pub fn of_file(db: &Db) -> Option<Condition> {
    let Db::Sqlite(_, path) = db else { return None };
    of_path(path)
}

/// The same inside of a transaction.
pub async fn of_file_in(tx: &mut Tx) -> Result<Option<Condition>> {
    let Tx::Sqlite(transaction) = tx else { return Ok(None) };
    let path: Option<String> =
        sql::query_scalar("select file from pragma_database_list where name = 'main'")
            .fetch_optional(&mut **transaction)
            .await?;
    Ok(path.and_then(|path| of_path(Path::new(&path))))
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

/// What a server says to a session that wants to write.
pub async fn of_session(tx: &mut Tx) -> Result<Option<Condition>> {
    let Tx::Postgres(transaction) = tx else { return Ok(None) };
    let read_only: bool = sql::query_scalar(
        "select pg_is_in_recovery() or current_setting('default_transaction_read_only') = 'on'",
    )
    .fetch_one(&mut *transaction)
    .await?;
    Ok(read_only.then_some(Condition::ReadOnly))
}
