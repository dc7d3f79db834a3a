//! What a database holds, and whether it is the schema that this version needs.
//!
//! A database is looked at before anything is written: one of another program, of another encoding,
//! or whose migrations were changed is refused as it is.

use sqlx::migrate::{Migration, Migrator};
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::schema_look::{Applied, Look, OwnTables, Within};
use super::server::Server;
use super::sql;
use super::{Db, Tx, database::Engine, on_tx};
use crate::domain::safe_text::{SafeText, quoted};
use crate::domain::schema_name::SchemaName;
use crate::{Error, Result};

pub(super) static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");
pub(super) static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");

/// The encoding that names and texts need.
const ENCODING: &str = "UTF8";

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
    /// Newer than this version knows, and made so that it can go on.
    Ahead {
        /// The database's version.
        database: i64,
        /// This program's.
        program: i64,
    },
    /// Newer than this version knows.
    Newer {
        /// The database's version.
        database: i64,
        /// This program's.
        program: i64,
    },
}

impl SchemaState {
    /// Whether this version works with it.
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Current | Self::Ahead { .. })
    }

    /// The same, where the database says which the oldest program is that goes on with it.
    fn with_oldest(self, oldest: Option<&str>) -> Self {
        let oldest = oldest.and_then(|version| version.parse::<i64>().ok());
        match self {
            Self::Newer { database, program } if oldest.is_some_and(|oldest| oldest <= program) => {
                Self::Ahead { database, program }
            }
            state => state,
        }
    }
}

/// What a database holds.
pub(super) struct Found {
    pub(super) state: SchemaState,
    /// What there is without a schema of this program.
    pub(super) others: Option<Others>,
    /// The migrations that are missing.
    pub(super) missing: Vec<i64>,
}

/// What a database without a record of migrations holds.
pub(super) struct Others {
    count: i64,
    /// Whether there is a table for that record.
    has_table: bool,
    /// The name of one.
    name: String,
    /// Tables with names that this program's migrations make, in the schema with the most of them.
    own: Option<OwnTables>,
}

fn migrator(engine: Engine) -> &'static Migrator {
    match engine {
        Engine::Postgres => &POSTGRES,
        Engine::Sqlite => &SQLITE,
    }
}

/// The tables that these migrations make, some of them only for a while.
fn tables(migrator: &Migrator) -> Vec<&str> {
    migrator.iter().flat_map(made_by).collect()
}

/// The tables of this program.
pub(super) fn own_tables() -> Vec<&'static str> {
    tables(&POSTGRES)
}

fn made_by(migration: &Migration) -> impl Iterator<Item = &str> {
    let statements = migration.sql.as_str().split("create table ").skip(1);
    statements.filter_map(|rest| rest.split(|character| !is_of_name(character)).next())
}

fn is_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// The first table of this program that a text of the server names.
pub(super) fn own_table_in(text: &str) -> Option<&str> {
    let own = tables(&POSTGRES);
    text.split(|character| !is_of_name(character)).find(|word| own.contains(word))
}

/// The names of tables, views and indexes that a migration makes. They are of one kind: none is taken
/// twice.
fn names_by(migration: &Migration) -> impl Iterator<Item = &str> {
    migration.sql.as_str().lines().filter_map(|line| {
        let rest = line.strip_prefix("create ")?;
        let (kind, rest) = rest.strip_prefix("unique ").unwrap_or(rest).split_once(' ')?;
        let name = rest.split(|character| !is_of_name(character)).next();
        name.filter(|_| matches!(kind, "table" | "view" | "index"))
    })
}

/// Refuses to go on with migrations where what a missing one makes is there already.
pub(super) async fn refuse_unrecorded<C: Look>(
    connection: &mut C,
    migrator: &Migrator,
    missing: &[i64],
) -> Result<()> {
    let is_missing = |migration: &&Migration| missing.contains(&migration.version);
    let recorded: Vec<&str> =
        migrator.iter().filter(|migration| !is_missing(migration)).flat_map(names_by).collect();
    for migration in migrator.iter().filter(is_missing) {
        let made = names_by(migration).filter(|name| !recorded.contains(name)).collect();
        if connection.is_taken(made).await? {
            return Err(
                there_already(migration.version).hint(format!("nothing was changed; {RESTORE}"))
            );
        }
    }
    Ok(())
}

/// What helps where a record of migrations was lost.
pub(super) const RESTORE: &str =
    "restore the table _sqlx_migrations, or the whole database, from a backup";

pub(super) fn there_already(version: i64) -> Error {
    Error::refused(format!("migration {version} is not recorded, but what it makes is there"))
}

/// The version that a program with these migrations needs.
fn newest(migrator: &Migrator) -> i64 {
    migrator.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The version this program needs.
pub fn program_version(db: &Db) -> i64 {
    newest(migrator(db.engine()))
}

pub(super) async fn look<C: Look>(
    connection: &mut C,
    engine: Engine,
    within: Within,
) -> Result<Found> {
    let (encoding, has_table) = connection.encoding().await?;
    if encoding != ENCODING {
        return Err(Error::refused(format!(
            "the database's encoding is {encoding}, and {ENCODING} is needed"
        ))
        .hint(match engine {
            Engine::Postgres => "make one with: createdb --encoding=UTF8 --template=template0 NAME",
            Engine::Sqlite => "use another file; tenantpilot migrate makes it",
        }));
    }
    let migrator = migrator(engine);
    let mut applied = if has_table { recorded(connection).await? } else { Vec::new() };
    let mut others = None;
    if applied.is_empty() {
        let (count, name) = connection.others(within).await?;
        if let Some(name) = name {
            let own = connection.named(tables(migrator), within).await?;
            others = Some(Others { count, has_table, name, own });
        }
        // Another process may be migrating: what it has made since came with its record.
        if connection.encoding().await?.1 {
            applied = recorded(connection).await?;
        }
    }
    if applied.is_empty() {
        let missing = migrator.iter().map(|migration| migration.version).collect();
        return Ok(Found { state: SchemaState::Empty, others, missing });
    }
    let (mut state, missing) = compare(migrator, &applied)?;
    if missing.is_empty() && matches!(state, SchemaState::Newer { .. }) {
        state = state.with_oldest(connection.oldest().await?.as_deref());
    }
    Ok(Found { state, others: None, missing })
}

/// The recorded migrations. A table of this name with other columns is another program's.
async fn recorded<C: Look>(connection: &mut C) -> Result<Vec<Applied>> {
    match connection.applied().await {
        Err(sqlx::Error::ColumnDecode { .. }) => Err(foreign()),
        Err(sqlx::Error::Database(error))
            if error.code().is_some_and(|code| matches!(&*code, "42703" | "1")) =>
        {
            Err(foreign())
        }
        applied => Ok(applied?),
    }
}

fn foreign() -> Error {
    Error::refused("the database belongs to another program").hint(
        "its table _sqlx_migrations holds other migrations; use a database of TenantPilot's own",
    )
}

/// Whether a server with this encoding and these migrations needs no closer look.
pub(super) fn needs_no_look(encoding: &str, applied: &[Applied], oldest: Option<&str>) -> bool {
    let compared = compare(&POSTGRES, applied);
    let usable = |(state, missing): (SchemaState, Vec<i64>)| {
        missing.is_empty() && state.with_oldest(oldest).is_usable()
    };
    encoding == ENCODING && compared.is_ok_and(usable)
}

/// How recorded migrations stand to those of this program, and which of these are missing.
fn compare(migrator: &Migrator, applied: &[Applied]) -> Result<(SchemaState, Vec<i64>)> {
    let own = |row: &Applied| migrator.iter().find(|own| own.version == row.version);
    let is_named = |row: &Applied| own(row).is_some_and(|own| own.description == row.description);
    let is_same = |row: &Applied| own(row).is_some_and(|own| *own.checksum == *row.checksum);
    let is_unchanged = |row: &Applied| is_named(row) && is_same(row);
    // Numbers are no sign: every program counts its migrations.
    let known: Vec<&Applied> = applied.iter().filter(|row| own(row).is_some()).collect();
    let is_ours = !known.is_empty() && known.iter().all(|row| is_named(row));
    if !is_ours && !known.iter().any(|row| is_unchanged(row)) {
        return Err(foreign());
    }
    let program = newest(migrator);
    for row in applied {
        let version = row.version;
        match own(row) {
            Some(_) if !is_unchanged(row) => return Err(changed(version)),
            None if version < program => {
                return Err(Error::refused(format!(
                    "the database holds migration {version}, which this program does not know"
                ))
                .hint("use the program that migrated this database"));
            }
            _ if !row.success => return Err(unfinished(version)),
            _ => {}
        }
    }
    let is_missing = |version: i64| applied.iter().all(|row| row.version != version);
    let missing: Vec<i64> = migrator
        .iter()
        .map(|migration| migration.version)
        .filter(|version| is_missing(*version))
        .collect();
    let database = applied.iter().map(|row| row.version).max().unwrap_or(0);
    let state = match missing.first() {
        _ if database > program => SchemaState::Newer { database, program },
        None => SchemaState::Current,
        // They are applied in their order, so its record was removed.
        Some(first) if *first < database => return Err(unrecorded(*first)),
        Some(_) => SchemaState::Older { database, program },
    };
    Ok((state, missing))
}

pub(super) async fn look_at_server(server: &Server) -> Result<Found> {
    let (mut connection, _turn) = server.connection().await?;
    let within = Within::of(server);
    if within == Within::Schema {
        let begin = format!("begin; {}", server.path("local"));
        sqlx::raw_sql(AssertSqlSafe(begin)).execute(&mut connection).await?;
    }
    let found = look(&mut connection, Engine::Postgres, within).await?;
    server.keeper().put(connection, within == Within::Schema);
    Ok(found)
}

/// Looks at the schema.
///
/// # Errors
/// *Refused* for a database of another program or encoding, or with changed migrations.
pub async fn state(db: &Db) -> Result<SchemaState> {
    let found = match db {
        Db::Postgres(server) => look_at_server(server).await?,
        Db::Sqlite(pool, _) => {
            let mut connection = pool.acquire().await?;
            let found = look(&mut *connection, Engine::Sqlite, Within::Database).await?;
            if found.state != SchemaState::Empty {
                // A copy of a database may have lost it. Where it cannot be set, all works the
                // same, only with more waiting.
                let _ = keep_a_log(&mut connection).await;
            }
            found
        }
    };
    match found.others {
        Some(others) => Err(not_empty(&others, migrator(db.engine()))),
        None => Ok(found.state),
    }
}

/// Has readers and the writer not wait for each other.
pub(super) async fn keep_a_log(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    let mode: String =
        sqlx::query_scalar("pragma journal_mode").fetch_one(&mut *connection).await?;
    if mode != "wal" {
        sqlx::query("pragma journal_mode = wal").execute(connection).await?;
    }
    Ok(())
}

fn named_schema(db: &Db) -> Option<&str> {
    let Db::Postgres(server) = db else { return None };
    server.schema().map(SchemaName::as_str)
}

/// Refuses any schema but the one this version needs.
///
/// # Errors
/// *Refused*, with the command that helps.
pub async fn require_current(db: &Db) -> Result<()> {
    match state(db).await? {
        SchemaState::Current | SchemaState::Ahead { .. } => Ok(()),
        SchemaState::Empty => Err(match named_schema(db) {
            None => Error::refused("the database has no TenantPilot schema yet")
                .hint("run: tenantpilot migrate"),
            Some(name) => {
                Error::refused(format!("the schema {} has no TenantPilot tables yet", quoted(name)))
                    .hint("check the setting schema, or make them with: tenantpilot migrate")
            }
        }),
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
        sql::query_scalar("select max(version) from _sqlx_migrations where success")
            .fetch_one(c)
            .await?
    });
    let Some(database) = database.filter(|database| *database > program) else { return Ok(()) };
    let oldest: Option<String> = on_tx!(tx, c => {
        sql::query_scalar("select value from platform_settings where key = 'oldest_program'")
            .fetch_optional(c)
            .await?
    });
    let state = SchemaState::Newer { database, program }.with_oldest(oldest.as_deref());
    if state.is_usable() { Ok(()) } else { Err(newer(database, program)) }
}

pub(super) fn newer(database: i64, program: i64) -> Error {
    Error::refused(format!(
        "the database's schema is version {database}, newer than this program knows ({program})"
    ))
    .hint("use a newer tenantpilot; nothing was changed")
}

impl Others {
    /// Whether they look like this program's own, with their record of migrations lost.
    pub(super) fn are_own(&self, migrator: &Migrator) -> bool {
        self.own.as_ref().is_some_and(|own| own.visible && own.are_most(migrator))
    }
}

impl OwnTables {
    /// Another program may have a table of the same name, but hardly most of them.
    fn are_most(&self, migrator: &Migrator) -> bool {
        usize::try_from(self.count).is_ok_and(|count| 2 * count > tables(migrator).len())
    }
}

pub(super) fn not_empty(others: &Others, migrator: &Migrator) -> Error {
    let taken = match &others.own {
        Some(own) if own.are_most(migrator) => {
            if own.visible {
                let record = if others.has_table { "empty" } else { "missing" };
                return Error::refused(format!(
                    "tables like TenantPilot's are there, but _sqlx_migrations is {record}"
                ))
                .hint(format!("nothing was changed; {RESTORE}"));
            }
            if !own.usable {
                let schema = quoted(&own.schema);
                return Error::refused(format!(
                    "the database role may not use the schema {schema}"
                ))
                .hint(format!(
                    "as its owner: grant usage on schema {schema} to {}",
                    SafeText::new(&own.role)
                ));
            }
            return Error::refused(format!(
                "tables like TenantPilot's are in the schema {}, outside of the search_path",
                quoted(&own.schema)
            ))
            .hint(
                "name it in the setting schema, or correct the search_path of the address, of the \
                 role or of the database",
            );
        }
        Some(own) if own.visible => own.name.as_deref(),
        _ => None,
    };
    let objects = if others.count == 1 { "object" } else { "objects" };
    let error =
        Error::refused(format!("the database holds {} {objects} of another program", others.count));
    error.hint(match taken {
        Some(name) => {
            format!("one is {}, a name that TenantPilot needs; use an empty database", quoted(name))
        }
        None => format!(
            "one is {}; use an empty database, or, where this one is meant: tenantpilot migrate \
             --into-nonempty-database",
            quoted(&others.name)
        ),
    })
}

pub(super) fn changed(version: i64) -> Error {
    Error::refused(format!(
        "migration {version} in the database is not the one this program carries"
    ))
    .hint("use the program that migrated this database, or restore its table _sqlx_migrations")
}

fn unrecorded(version: i64) -> Error {
    Error::refused(format!(
        "migration {version} is not recorded in the database, though later ones are"
    ))
    .hint("restore its row in the table _sqlx_migrations, or the database from a backup")
}

pub(super) fn unfinished(version: i64) -> Error {
    Error::refused(format!("migration {version} of the database was not finished"))
        .hint("restore the database from a backup")
}
