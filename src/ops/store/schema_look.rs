//! What a database says of itself: its encoding, its migrations, and what else it holds.

use sqlx::{PgConnection, SqliteConnection};

use super::server::Server;
use super::sql;

/// Tables with names that this program's migrations make.
#[derive(sqlx::FromRow)]
pub(super) struct OwnTables {
    pub(super) schema: String,
    pub(super) count: i64,
    pub(super) name: Option<String>,
    /// Whether this program would use them.
    pub(super) visible: bool,
    /// Whether the role may use their schema.
    pub(super) usable: bool,
    /// The role, as a statement has it.
    pub(super) role: String,
}

/// A migration as the database recorded it.
#[derive(sqlx::FromRow)]
pub(super) struct Applied {
    pub(super) version: i64,
    pub(super) description: String,
    pub(super) checksum: Vec<u8>,
    pub(super) success: bool,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// All of a database.
    Database,
    /// The first schema of the search_path only.
    Schema,
}

impl Within {
    /// What a server's settings ask for.
    pub(super) fn of(server: &Server) -> Self {
        if server.schema().is_some() { Self::Schema } else { Self::Database }
    }
}

/// Reads what a database says of itself, without changing anything.
pub(super) trait Look {
    /// Its encoding, and whether it has a table of migrations.
    async fn encoding(&mut self) -> sqlx::Result<(String, bool)>;
    /// The migrations in that table.
    async fn applied(&mut self) -> sqlx::Result<Vec<Applied>>;
    /// The version of the oldest program that goes on with it.
    async fn oldest(&mut self) -> sqlx::Result<Option<String>>;
    /// How many objects it holds besides that table and those of extensions, and the name of one.
    async fn others(&mut self, within: Within) -> sqlx::Result<(i64, Option<String>)>;
    /// Whether one of `names` is that of anything that a new table may not share it with.
    async fn is_taken(&mut self, names: Vec<&str>) -> sqlx::Result<bool>;
    /// The tables with one of `names`, in the schema with the most of them.
    async fn named(&mut self, names: Vec<&str>, within: Within) -> sqlx::Result<Option<OwnTables>>;
}

/// Whether a namespace `n` is the one that is looked at. Who may not use it has no schema.
macro_rules! first {
    () => {
        "(n.nspname = current_schema() or (current_schema() is null and quote_ident(n.nspname) = current_setting('search_path')))"
    };
}

const APPLIED: &str =
    "select version, description, checksum, success from _sqlx_migrations order by version";
const OLDEST: &str = "select value from platform_settings where key = 'oldest_program'";

/// The roles that own tables of these names, or functions of their triggers, and that the role may not
/// act for; and the role. Both as a statement has them.
pub(super) async fn owners(
    connection: &mut PgConnection,
    names: Vec<&str>,
) -> sqlx::Result<Option<(String, String)>> {
    sql::query_as(
        "select string_agg(distinct o.owner::regrole::text, ', '), quote_ident(current_user::text) \
         from (select c.relowner, p.proowner from pg_class c \
         left join pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal \
         left join pg_proc p on p.oid = t.tgfoid where c.relkind in ('r', 'p') \
         and c.relname in (select jsonb_array_elements_text($1)) \
         and c.relnamespace = (select relnamespace from pg_class where oid = to_regclass('_sqlx_migrations'))) f, \
         lateral (values (f.relowner), (f.proowner)) o (owner) \
         where o.owner is not null and not pg_has_role(o.owner, 'usage') having count(*) > 0",
    )
    .bind(sqlx::types::Json(names))
    .fetch_optional(connection)
    .await
}

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

    async fn oldest(&mut self) -> sqlx::Result<Option<String>> {
        sql::query_scalar(OLDEST).fetch_optional(self).await
    }

    async fn others(&mut self, within: Within) -> sqlx::Result<(i64, Option<String>)> {
        // Tables and views, functions, and types that are not a table's own; indexes and the like
        // go with these. The schemas of the server itself start with pg_.
        sql::query_as(concat!(
            "select count(*), min(n.nspname || '.' || o.name) from (\
             select 'pg_class'::regclass as catalog, oid, relnamespace as schema, relname::text as name \
             from pg_class where relkind in ('r', 'p', 'v', 'm', 'f', 'S') \
             and oid is distinct from to_regclass('_sqlx_migrations') \
             union all select 'pg_proc'::regclass, oid, pronamespace, proname::text from pg_proc \
             union all select 'pg_type'::regclass, oid, typnamespace, typname::text from pg_type \
             where typtype in ('e', 'd', 'r')) o join pg_namespace n on n.oid = o.schema \
             where n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema' \
             and ($1 or ", first!(), ") \
             and not exists (select 1 from pg_depend d where d.classid = o.catalog \
             and d.objid = o.oid and d.deptype = 'e')"
        ))
        .bind(within == Within::Database)
        .fetch_one(self)
        .await
    }

    async fn is_taken(&mut self, names: Vec<&str>) -> sqlx::Result<bool> {
        sql::query_scalar(
            "select exists (select 1 from (select jsonb_array_elements_text($1)) n (name) where \
             exists (select 1 from pg_class c where c.relname = n.name and pg_table_is_visible(c.oid)) \
             or exists (select 1 from pg_type t where t.typname = n.name and pg_type_is_visible(t.oid)))",
        )
        .bind(sqlx::types::Json(names))
        .fetch_one(self)
        .await
    }

    async fn named(&mut self, names: Vec<&str>, within: Within) -> sqlx::Result<Option<OwnTables>> {
        sql::query_as(concat!(
            "select n.nspname::text as schema, count(*), min(c.relname)::text as name, \
             bool_or(pg_table_is_visible(c.oid)) as visible, \
             has_schema_privilege(n.oid, 'usage') as usable, quote_ident(current_user::text) as role \
             from pg_class c join pg_namespace n on n.oid = c.relnamespace \
             where c.relkind in ('r', 'p') and c.relname in (select jsonb_array_elements_text($1)) and n.nspname not like 'pg\\_%' \
             and ($2 or ", first!(), ") \
             group by n.oid, n.nspname order by count(*) desc, visible desc limit 1"
        ))
        .bind(sqlx::types::Json(names))
        .bind(within == Within::Database)
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

    async fn oldest(&mut self) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar(OLDEST).fetch_optional(self).await
    }

    async fn others(&mut self, _: Within) -> sqlx::Result<(i64, Option<String>)> {
        sqlx::query_as(
            "select count(*), min(name) from sqlite_master \
             where name not like 'sqlite\\_%' escape '\\' and tbl_name <> '_sqlx_migrations'",
        )
        .fetch_one(self)
        .await
    }

    async fn is_taken(&mut self, names: Vec<&str>) -> sqlx::Result<bool> {
        sqlx::query_scalar(
            "select exists (select 1 from sqlite_master where type <> 'trigger' \
             and lower(name) in (select value from json_each($1)))",
        )
        .bind(serde_json::json!(names))
        .fetch_one(self)
        .await
    }

    async fn named(&mut self, names: Vec<&str>, _: Within) -> sqlx::Result<Option<OwnTables>> {
        sqlx::query_as(
            "select 'main' as schema, count(*) as count, min(name) as name, true as visible, true as usable, '' as role \
             from sqlite_master where type = 'table' and name in (select value from json_each($1))",
        )
        .bind(serde_json::json!(names))
        .fetch_optional(self)
        .await
    }
}
