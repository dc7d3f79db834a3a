//! Migrations, and whether the schema is the one this version needs.

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};

use super::{Db, Tx, database::Engine, on_tx};
use crate::{Error, ErrorKind, Result};

static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");

/// How often a migration that another process got in the way of is tried on SQLite.
const TRIES: u32 = 20;
/// How long to wait in between.
const PAUSE: Duration = Duration::from_millis(20);

/// How the database's schema stands to this version of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaState {
    /// No schema at all.
    Empty,
    /// Older than this version: migrating brings it up to date.
    Older {
        /// The database's version.
        database: i64,
        /// This program's.
        program: i64,
    },
    /// The same.
    Current,
    /// Newer than this version knows.
    Newer {
        /// The database's version.
        database: i64,
        /// This program's.
        program: i64,
    },
}

fn migrator(db: &Db) -> &'static Migrator {
    match db.engine() {
        Engine::Postgres => &POSTGRES,
        Engine::Sqlite => &SQLITE,
    }
}

/// The version this program needs.
pub fn program_version(db: &Db) -> i64 {
    migrator(db).iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Looks at the schema.
pub async fn state(db: &Db) -> Result<SchemaState> {
    let database: Option<i64> = match db {
        Db::Postgres(pool, _) => {
            let known: bool =
                sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null")
                    .fetch_one(pool)
                    .await?;
            if known {
                sqlx::query_scalar("select max(version) from _sqlx_migrations where success")
                    .fetch_one(pool)
                    .await?
            } else {
                None
            }
        }
        Db::Sqlite(pool, _) => {
            let known: i64 = sqlx::query_scalar(
                "select count(*) from sqlite_master where type = 'table' and name = '_sqlx_migrations'",
            )
            .fetch_one(pool)
            .await?;
            if known > 0 {
                sqlx::query_scalar("select max(version) from _sqlx_migrations where success")
                    .fetch_one(pool)
                    .await?
            } else {
                None
            }
        }
    };
    let program = program_version(db);
    Ok(match database {
        None => SchemaState::Empty,
        Some(database) if database < program => SchemaState::Older { database, program },
        Some(database) if database > program => SchemaState::Newer { database, program },
        Some(_) => SchemaState::Current,
    })
}

/// Refuses any schema but the one this version needs.
///
/// # Errors
/// *Refused*, with the command that helps.
pub async fn require_current(db: &Db) -> Result<()> {
    match state(db).await? {
        SchemaState::Current => Ok(()),
        SchemaState::Empty => Err(Error::refused("the database has no TenantPilot schema yet")
            .hint("run: tenantpilot migrate")),
        SchemaState::Older { database, program } => Err(Error::refused(format!(
            "the database's schema is version {database}, this program needs {program}"
        ))
        .hint("run: tenantpilot migrate")),
        SchemaState::Newer { database, program } => Err(newer(database, program)),
    }
}

/// Refuses a schema that is newer than `program`, as it is committed.
///
/// # Errors
/// *Refused*, with both versions.
pub async fn refuse_newer(tx: &mut Tx, program: i64) -> Result<()> {
    let database: Option<i64> = on_tx!(tx, c => {
        sqlx::query_scalar("select max(version) from _sqlx_migrations where success")
            .fetch_one(c)
            .await?
    });
    match database {
        Some(database) if database > program => Err(newer(database, program)),
        _ => Ok(()),
    }
}

/// Brings the schema up to date; gives how many migrations were applied.
///
/// # Errors
/// *Refused* for a schema newer than this version, or changed by hand.
pub async fn migrate(db: &Db) -> Result<usize> {
    let mut tries = 0;
    loop {
        tries += 1;
        match migrate_once(db).await {
            Ok(applied) => return Ok(applied),
            // PostgreSQL has a lock for this, SQLite has none: a migration that another
            // process got in the way of fails as a whole, and the next look finds it done.
            Err(Trouble::Meanwhile(_)) if matches!(db, Db::Sqlite(..)) && tries < TRIES => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(Trouble::Meanwhile(error) | Trouble::Lasting(error)) => return Err(error),
        }
    }
}

/// Why migrating did not work.
enum Trouble {
    /// Another process may have been at it.
    Meanwhile(Error),
    /// It would fail again.
    Lasting(Error),
}

async fn migrate_once(db: &Db) -> Result<usize, Trouble> {
    let before = match state(db).await.map_err(Trouble::Meanwhile)? {
        SchemaState::Current => return Ok(0),
        SchemaState::Newer { database, program } => {
            return Err(Trouble::Lasting(newer(database, program)));
        }
        SchemaState::Empty => 0,
        SchemaState::Older { database, .. } => database,
    };
    let done = match db {
        Db::Postgres(pool, _) => POSTGRES.run(pool).await,
        Db::Sqlite(pool, _) => SQLITE.run(pool).await,
    };
    done.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            let error = interrupted(Error::from(error));
            Trouble::Meanwhile(if before == 0 && error.kind() == ErrorKind::Refused {
                Error::refused("the database holds tables that are not TenantPilot's")
                    .hint("use an empty database, or check the address")
            } else {
                error
            })
        }
        MigrateError::VersionMismatch(version) => Trouble::Lasting(
            Error::refused(format!(
                "migration {version} in the database is not the one this program carries"
            ))
            .hint("use the program that made this database"),
        ),
        MigrateError::Dirty(version) => Trouble::Lasting(Error::refused(format!(
            "migration {version} was cut off; restore the database from a backup"
        ))),
        _ => Trouble::Lasting(Error::failed("the schema could not be brought up to date")),
    })?;
    Ok(migrator(db).iter().filter(|migration| migration.version > before).count())
}

/// An error in the middle of migrating: each migration is committed by itself, so some may be
/// applied.
pub fn interrupted(error: Error) -> Error {
    if error.retry_can_help() {
        return error.hint("some migrations may be applied; migrate again: it goes on from there");
    }
    error
}

fn newer(database: i64, program: i64) -> Error {
    Error::refused(format!(
        "the database's schema is version {database}, newer than this program knows ({program})"
    ))
    .hint("use a newer tenantpilot; nothing was changed")
}
