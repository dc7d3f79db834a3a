//! What a database holds, and whether it is the schema that this version needs.
//!
//! A database is looked at before anything is written: one of another program, of another encoding,
//! or whose migrations were changed is refused as it is.

use sqlx::migrate::{Migration, Migrator};
use sqlx::{PgConnection, SqliteConnection};

use super::sql;
use super::{Db, Tx, database::Engine, on_tx};
use crate::domain::safe_text::{SafeText, quoted};
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
    /// Newer than this version knows.
    Newer {
        /// The database's version.
        database: i64,
        /// This program's.
        program: i64,
    },
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

/// Tables with names that this program's migrations make.
#[derive(sqlx::FromRow)]
pub(super) struct OwnTables {
    schema: String,
    count: i64,
    name: Option<String>,
    /// Whether this program would use them.
    visible: bool,
    /// Whether the role may use their schema.
    usable: bool,
    /// The role, as a statement has it.
    role: String,
}

/// A migration as the database recorded it.
#[derive(sqlx::FromRow)]
pub(super) struct Applied {
    version: i64,
    description: String,
    checksum: Vec<u8>,
    success: bool,
}

/// Reads what a database says of itself, without changing anything.
pub(super) trait Look {
    /// Its encoding, and whether it has a table of migrations.
    async fn encoding(&mut self) -> sqlx::Result<(String, bool)>;
    /// The migrations in that table.
    async fn applied(&mut self) -> sqlx::Result<Vec<Applied>>;
    /// How many objects it holds besides that table and those of extensions, and the name of one.
    async fn others(&mut self) -> sqlx::Result<(i64, Option<String>)>;
    /// The tables with one of `names`, in the schema with the most of them.
    async fn named(&mut self, names: Vec<&str>) -> sqlx::Result<Option<OwnTables>>;
}

const APPLIED: &str =
    "select version, description, checksum, success from _sqlx_migrations order by version";

impl Look for PgConnection {
    async fn encoding(&mut self) -> sqlx::Result<(String, bool)> {
        sql::query_as(
            "select current_setting('server_encoding'), to_regclass('_sqlx_migrations') is not null",
        )
        .fetch_one(self)
        .await
    }

    async fn applied(&mut self) -> sqlx::Result<Vec<Applied>> {
        sql::query_as(APPLIED).fetch_all(self).await
    }

    async fn others(&mut self) -> sqlx::Result<(i64, Option<String>)> {
        // Tables and views, functions, and types that are not a table's own; indexes and the like
        // go with these. The schemas of the server itself start with pg_.
        sql::query_as(
            "select count(*), min(n.nspname || '.' || o.name) from (\
             select 'pg_class'::regclass as catalog, oid, relnamespace as schema, relname::text as name \
             from pg_class where relkind in ('r', 'p', 'v', 'm', 'f', 'S') \
             and oid is distinct from to_regclass('_sqlx_migrations') \
             union all select 'pg_proc'::regclass, oid, pronamespace, proname::text from pg_proc \
             union all select 'pg_type'::regclass, oid, typnamespace, typname::text from pg_type \
             where typtype in ('e', 'd', 'r')) o join pg_namespace n on n.oid = o.schema \
             where n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema' \
             and not exists (select 1 from pg_depend d where d.classid = o.catalog \
             and d.objid = o.oid and d.deptype = 'e')",
        )
        .fetch_one(self)
        .await
    }

    async fn named(&mut self, names: Vec<&str>) -> sqlx::Result<Option<OwnTables>> {
        sql::query_as(
            "select n.nspname::text as schema, count(*), min(c.relname)::text as name, \
             bool_or(pg_table_is_visible(c.oid)) as visible, \
             has_schema_privilege(n.oid, 'usage') as usable, quote_ident(current_user::text) as role \
             from pg_class c join pg_namespace n on n.oid = c.relnamespace \
             where c.relkind in ('r', 'p') and c.relname in (select jsonb_array_elements_text($1)) and n.nspname not like 'pg\\_%' \
             group by n.oid, n.nspname order by count(*) desc, visible desc limit 1",
        )
        .bind(sqlx::types::Json(names))
        .fetch_optional(self)
        .await
    }
}

impl Look for SqliteConnection {
    async fn encoding(&mut self) -> sqlx::Result<(String, bool)> {
        sqlx::query_as(
            "select case encoding when 'UTF-8' then 'UTF8' else encoding end, exists (select 1 \
             from sqlite_master where type = 'table' and name = '_sqlx_migrations') \
             from pragma_encoding",
        )
        .fetch_one(self)
        .await
    }

    async fn applied(&mut self) -> sqlx::Result<Vec<Applied>> {
        sqlx::query_as(APPLIED).fetch_all(self).await
    }

    async fn others(&mut self) -> sqlx::Result<(i64, Option<String>)> {
        sqlx::query_as(
            "select count(*), min(name) from sqlite_master \
             where name not like 'sqlite\\_%' escape '\\' and tbl_name <> '_sqlx_migrations'",
        )
        .fetch_one(self)
        .await
    }

    async fn named(&mut self, names: Vec<&str>) -> sqlx::Result<Option<OwnTables>> {
        sqlx::query_as(
            "select 'main' as schema, count(*) as count, min(name) as name, true as visible, true as usable, '' as role \
             from sqlite_master where type = 'table' and name in (select value from json_each($1))",
        )
        .bind(serde_json::json!(names))
        .fetch_optional(self)
        .await
    }
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
#[cfg(test)]
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

/// Refuses to go on with migrations where what a missing one makes is there already.
pub(super) async fn refuse_unrecorded<C: Look>(
    connection: &mut C,
    migrator: &Migrator,
    missing: &[i64],
) -> Result<()> {
    let is_missing = |migration: &&Migration| missing.contains(&migration.version);
    let recorded: Vec<&str> =
        migrator.iter().filter(|migration| !is_missing(migration)).flat_map(made_by).collect();
    for migration in migrator.iter().filter(is_missing) {
        let made = made_by(migration).filter(|table| !recorded.contains(table)).collect();
        if connection.named(made).await?.is_some_and(|found| found.visible && found.count > 0) {
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

pub(super) async fn look<C: Look>(connection: &mut C, engine: Engine) -> Result<Found> {
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
        let (count, name) = connection.others().await?;
        if let Some(name) = name {
            let own = connection.named(tables(migrator)).await?;
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
    let (state, missing) = compare(migrator, &applied)?;
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
pub(super) fn is_current(encoding: &str, applied: &[Applied]) -> bool {
    let compared = compare(&POSTGRES, applied);
    encoding == ENCODING && matches!(compared, Ok((SchemaState::Current, _)))
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

/// Looks at the schema.
///
/// # Errors
/// *Refused* for a database of another program or encoding, or with changed migrations.
pub async fn state(db: &Db) -> Result<SchemaState> {
    let found = match db {
        Db::Postgres(server) => {
            let (mut connection, _turn) = server.connection().await?;
            let found = look(&mut connection, Engine::Postgres).await?;
            server.keeper().put(connection, false);
            found
        }
        Db::Sqlite(pool, _) => {
            let mut connection = pool.acquire().await?;
            let found = look(&mut *connection, Engine::Sqlite).await?;
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
        sql::query_scalar("select max(version) from _sqlx_migrations where success")
            .fetch_one(c)
            .await?
    });
    match database {
        Some(database) if database > program => Err(newer(database, program)),
        _ => Ok(()),
    }
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
            .hint("correct the search_path of the address, of the role or of the database");
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
