//! Brings the schema up to date, in a database that was looked at first.

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{Migrate as _, MigrateError, Migration, Migrator};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqlitePool};

use super::database::{Engine, is_there};
use super::schema::{
    Found, POSTGRES, RESTORE, SQLITE, SchemaState, changed, keep_a_log, look, look_at_server,
    newer, not_empty, own_tables, refuse_unrecorded, there_already, unfinished,
};
use super::schema_look::{Within, owners};
use super::server::Server;
use super::{Db, grants, pooled, sql};
use crate::domain::database_fault::{AS_OWNER, Condition};
use crate::domain::safe_text::{SafeText, quoted};
use crate::domain::schema_name::SchemaName;
use crate::{Error, ErrorKind, Result, files};

/// SQLSTATEs of a name that is taken: of a table, a type or trigger, a function, a schema, a column.
const TAKEN: [&str; 5] = ["42P07", "42710", "42723", "42P06", "42701"];
/// How often a migration that another process got in the way of is tried on SQLite.
const TRIES: u32 = 20;
/// How long to wait in between.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a migration waits for a lock on a server. What comes meanwhile waits behind it.
const LOCK: Duration = Duration::from_secs(2);
/// How often it is tried again then, and how long others come first in between.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_secs(1);

/// What needs a connection of its own.
const MIGRATING: &str = "migrating";

/// Where the schema may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// In a database that holds nothing else.
    Own,
    /// Beside the tables of another program.
    Shared,
}

/// A migration that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Its version.
    pub version: i64,
    /// What it is for, in few words.
    pub name: String,
}

impl Missing {
    fn of(migration: &Migration) -> Self {
        Self { version: migration.version, name: migration.description.clone().into_owned() }
    }
}

/// The migrations that make a new embedded database.
///
/// # Errors
/// For a file that cannot be made.
pub fn of_new_file(path: &Path) -> Result<Vec<Missing>> {
    if !is_there(path)? {
        files::rehearse_creating(path)?;
    }
    Ok(SQLITE.iter().map(Missing::of).collect())
}

/// The migrations that bringing the schema up to date would apply.
///
/// # Errors
/// As [`migrate`], for what can be seen before.
pub async fn missing(db: &Db, target: Target) -> Result<Vec<Missing>> {
    let (found, migrator) = match db {
        Db::Postgres(server) => {
            pooled::require_direct(&server.keeper().options(), MIGRATING).await?;
            (look_at_server(server).await?, &POSTGRES)
        }
        Db::Sqlite(pool, _) => {
            let mut connection = pool.acquire().await?;
            (look(&mut *connection, Engine::Sqlite, Within::Database).await?, &SQLITE)
        }
    };
    let work = found.work(target, migrator)?;
    if matches!(work, Work::Nothing) {
        return Ok(Vec::new());
    }
    match db {
        Db::Postgres(server) => rehearse(server, &found, work).await?,
        Db::Sqlite(pool, _) => {
            let mut connection = pool.acquire().await?;
            let mut tx = connection.begin_with("begin immediate").await?;
            if matches!(work, Work::TheRest) {
                refuse_unrecorded(&mut *tx, migrator, &found.missing).await?;
                // On a file that only reads, a transaction begins all the same.
                sqlx::raw_sql(RECORD).execute(&mut *tx).await?;
            } else {
                SQLITE.run(&mut *tx).await.map_err(failed_on_empty)?;
            }
            tx.rollback().await?;
        }
    }
    let missing = migrator.iter().filter(|own| found.missing.contains(&own.version));
    Ok(missing.map(Missing::of).collect())
}

/// Refuses what migrating would refuse. A new schema is made and undone; of one that is there, a table
/// is, and the record is written to.
async fn rehearse(server: &Server, found: &Found, work: Work) -> Result<()> {
    let (mut connection, _turn) = server.connection().await?;
    let mut tx = connection.begin().await?;
    sqlx::raw_sql(AssertSqlSafe(server.path("local"))).execute(&mut *tx).await?;
    if matches!(work, Work::TheRest) {
        refuse_the_rest(&mut tx, found, server).await?;
        let changed = sqlx::raw_sql(CHANGE).execute(&mut *tx).await;
        changed.map_err(|error| failed_on_empty(MigrateError::Execute(error)))?;
    } else {
        make_all(&mut tx, server).await?;
    }
    tx.rollback().await?;
    Ok(())
}

/// What a migration and its record take, with no row.
const CHANGE: &str = "create table tenantpilot_rehearsal (); \
     insert into _sqlx_migrations select * from _sqlx_migrations where false; \
     update _sqlx_migrations set execution_time = 0 where false";

/// Refuses to apply what is missing where it is there already, or where the role may not alter the
/// tables that are there.
async fn refuse_the_rest(
    connection: &mut PgConnection,
    found: &Found,
    server: &Server,
) -> Result<()> {
    make_schema(connection, server.schema()).await?;
    refuse_unrecorded(connection, &POSTGRES, &found.missing).await?;
    match owners(connection, own_tables()).await? {
        Some((owners, role)) => Err(grants::not_owned(&owners, &role)),
        None => Ok(()),
    }
}

/// The same on SQLite.
const RECORD: &str = "update _sqlx_migrations set execution_time = 0 where false";

/// Brings the schema up to date; gives how many migrations were applied. `waits` hears of a lock that
/// a migration waits for.
///
/// # Errors
/// *Refused* for a database of another program or encoding, and for a schema that is newer than
/// this version or was changed by hand; nothing is changed then.
pub async fn migrate(db: &Db, target: Target, waits: &(dyn Fn(i64) + Sync)) -> Result<usize> {
    let mut tries = 0;
    loop {
        tries += 1;
        let done = match db {
            Db::Postgres(server) => migrate_postgres(server, target, waits).await,
            Db::Sqlite(pool, _) => migrate_sqlite(pool, target).await,
        };
        match done {
            // Another process that is opening a new file gets in the way without waiting.
            Err(error)
                if db.engine() == Engine::Sqlite
                    && error.kind() == ErrorKind::TimedOut
                    && tries < TRIES =>
            {
                tokio::time::sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}

/// What migrating has to do.
enum Work {
    Nothing,
    /// All of it, as one: a schema that is made half is of no use.
    Everything,
    /// What is missing, one by one: others may be at work, and go on in between.
    TheRest,
}

impl Found {
    fn work(&self, target: Target, migrator: &Migrator) -> Result<Work> {
        match (self.state, &self.others) {
            (SchemaState::Current | SchemaState::Ahead { .. }, _) => Ok(Work::Nothing),
            (SchemaState::Newer { database, program }, _) => Err(newer(database, program)),
            (SchemaState::Older { .. }, _) => Ok(Work::TheRest),
            (SchemaState::Empty, Some(others))
                if target == Target::Own || others.are_own(migrator) =>
            {
                Err(not_empty(others, migrator))
            }
            (SchemaState::Empty, _) => Ok(Work::Everything),
        }
    }
}

async fn migrate_postgres(
    server: &Server,
    target: Target,
    waits: &(dyn Fn(i64) + Sync),
) -> Result<usize> {
    pooled::require_direct(&server.keeper().options(), MIGRATING).await?;
    // The lock against other migrations ends with its connection, whatever happens.
    let (mut connection, _turn) = server.connection().await?;
    connection.lock().await.map_err(failed)?;
    sqlx::raw_sql(AssertSqlSafe(server.path("session"))).execute(&mut connection).await?;
    let found = look(&mut connection, Engine::Postgres, Within::of(server)).await?;
    match found.work(target, &POSTGRES)? {
        Work::Nothing => return Ok(0),
        Work::Everything => {
            let mut tx = connection.begin().await?;
            make_all(&mut tx, server).await?;
            tx.commit().await.map_err(|error| interrupted(error.into()))?;
        }
        Work::TheRest => {
            refuse_the_rest(&mut connection, &found, server).await?;
            apply_beside_others(&mut connection, waits).await?;
        }
    }
    // Others that wait for the lock go on at once.
    let _ = connection.close().await;
    Ok(found.missing.len())
}

/// Makes all of the schema, which counts once it is committed.
async fn make_all(connection: &mut PgConnection, server: &Server) -> Result<()> {
    make_schema(connection, server.schema()).await?;
    POSTGRES.run(connection).await.map_err(failed_on_empty)
}

/// Applies what is missing while others work: a lock that one of them holds is waited for a moment at
/// a time, so that others wait behind it no longer than that.
async fn apply_beside_others(
    connection: &mut PgConnection,
    waits: &(dyn Fn(i64) + Sync),
) -> Result<()> {
    let limit = format!("set lock_timeout = {}", LOCK.as_millis());
    sqlx::raw_sql(AssertSqlSafe(limit)).execute(&mut *connection).await?;
    let mut tries = 0;
    loop {
        let error = match POSTGRES.run(&mut *connection).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        tries += 1;
        match in_the_way(&error) {
            Some(version) if tries < LOCK_TRIES => waits(version),
            _ => return Err(failed(error)),
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
}

/// The migration that a lock of another session stood in the way of, or that had to give way.
fn in_the_way(error: &MigrateError) -> Option<i64> {
    let MigrateError::ExecuteMigration(sqlx::Error::Database(cause), version) = error else {
        return None;
    };
    let code = cause.code().unwrap_or_default();
    matches!(&*code, "55P03" | "40P01").then_some(*version)
}

/// Makes the schema that is named where there is none. Who may not make one uses one that is there.
async fn make_schema(connection: &mut PgConnection, schema: Option<&SchemaName>) -> Result<()> {
    let found: Option<(String, String, bool, String)> = sql::query_as(
        "select n.nspname::text, s.written, has_schema_privilege(n.oid, 'usage') \
         and has_schema_privilege(n.oid, 'create'), quote_ident(current_user::text) \
         from (select coalesce($1, quote_ident(current_schema()))) s (written) \
         join pg_namespace n on n.oid = to_regnamespace(s.written)",
    )
    .bind(schema.map(SchemaName::quoted))
    .fetch_optional(&mut *connection)
    .await?;
    match (found, schema) {
        (Some((name, written, false, role)), _) => {
            let (name, written) = (quoted(&name), SafeText::new(&written).to_string());
            Err(Error::refused(format!(
                "the database role may make no tables in the schema {name}"
            ))
            .hint(format!(
                "{AS_OWNER}grant usage, create on schema {written} to {}",
                SafeText::new(&role)
            )))
        }
        (None, Some(schema)) => {
            let make = format!("create schema {}", schema.quoted());
            let made = sqlx::raw_sql(AssertSqlSafe(make)).execute(connection).await;
            made.map(drop).map_err(|error| match Error::from(error) {
                error if error.condition() == Some(Condition::Denied) => {
                    let schema = quoted(schema.as_str());
                    let text = format!("the database role may not make the schema {schema}");
                    let hint =
                        "as the owner of the database: grant create on database NAME to ROLE";
                    error
                        .fault()
                        .cloned()
                        .into_iter()
                        .fold(Error::refused(text).hint(hint), Error::with_fault)
                }
                error => error,
            })
        }
        _ => Ok(()),
    }
}

async fn migrate_sqlite(pool: &SqlitePool, target: Target) -> Result<usize> {
    let mut connection = pool.acquire().await?;
    let found = look(&mut *connection, Engine::Sqlite, Within::Database).await?;
    if matches!(found.work(target, &SQLITE)?, Work::Nothing) {
        return Ok(0);
    }
    keep_a_log(&mut connection).await?;
    // One writer at a time: what is seen in it stays, and what is written in it counts as a whole.
    let mut tx = connection.begin_with("begin immediate").await?;
    let found = look(&mut *tx, Engine::Sqlite, Within::Database).await?;
    match found.work(target, &SQLITE)? {
        Work::Nothing => return Ok(0),
        Work::Everything => SQLITE.run(&mut *tx).await.map_err(failed_on_empty)?,
        Work::TheRest => {
            refuse_unrecorded(&mut *tx, &SQLITE, &found.missing).await?;
            SQLITE.run(&mut *tx).await.map_err(failed)?;
        }
    }
    tx.commit().await?;
    Ok(found.missing.len())
}

/// Why the first migrations failed: a name may be taken by another program.
fn failed_on_empty(error: MigrateError) -> Error {
    match &error {
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)
            if is_taken(cause) =>
        {
            Error::refused("the database holds an object of a name that TenantPilot needs")
                .hint("use another database; nothing was changed")
        }
        _ => failed(error),
    }
}

/// Whether a migration failed for a name that is taken.
fn is_taken(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    let (code, text) = (error.code().unwrap_or_default(), error.message());
    let in_sqlite = text.ends_with("already exists")
        || text.starts_with("there is already ")
        || text.starts_with("duplicate column name");
    TAKEN.contains(&&*code) || (code == "1" && in_sqlite)
}

fn failed(error: MigrateError) -> Error {
    match error {
        // It is undone as a whole; on a server, those before it stay.
        MigrateError::ExecuteMigration(cause, version) if is_taken(&cause) => {
            there_already(version).hint(format!("this migration changed nothing; {RESTORE}"))
        }
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            interrupted(Error::from(error))
        }
        MigrateError::VersionMismatch(version) => changed(version),
        MigrateError::Dirty(version) => unfinished(version),
        _ => Error::failed("the schema could not be brought up to date"),
    }
}

/// An error in the middle of migrating: each migration is committed by itself, so some may be
/// applied.
pub fn interrupted(error: Error) -> Error {
    // Where writes are not allowed, its own hint says what to do.
    if error.retry_can_help() && error.condition() != Some(Condition::ReadOnly) {
        return error.hint("some migrations may be applied; migrate again: it goes on from there");
    }
    error
}
