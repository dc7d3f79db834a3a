//! Grants that the database role is missing: on what, and how they are given.

use std::time::Duration;

use sqlx::PgConnection;

use super::Db;
use super::schema;
use super::server::Server;
use super::sql;
use crate::access::Actor;
use crate::domain::database_fault::AS_OWNER;
use crate::domain::safe_text::SafeText;
use crate::ops::{Access, Operation};
use crate::{Error, Result};

/// How the server's text of a denial begins.
const DENIED: &str = "permission denied for ";
/// How long it is looked up what is missing.
const LIMIT: Duration = Duration::from_secs(2);
/// What is a table to the server's grants.
const TABLES: [&str; 5] = ["table ", "relation ", "view ", "materialized view ", "sequence "];

/// Tables and the grants on them, by their first letters.
type Tables = &'static [(&'static str, &'static str)];

/// What a worker needs on the tables: select, insert, update and delete.
const OF_WORKER: Tables = &[
    ("_sqlx_migrations", "s"),
    ("alert_deliveries", "siud"),
    ("audit_logs", "si"),
    ("data_kept", "siu"),
    ("duration_steps", "s"),
    ("findings", "su"),
    ("login_attempts", "sud"),
    ("notifications", "siud"),
    ("open_alerts", "siud"),
    ("operation_run_days", "siud"),
    ("operation_run_deltas", "sid"),
    ("operation_run_failures", "siud"),
    ("operation_run_faults", "siu"),
    ("operation_run_hours", "siud"),
    ("operation_run_leases", "siud"),
    ("operation_run_requests", "sud"),
    ("operation_run_targets", "siud"),
    ("operation_runs", "siud"),
    ("operation_runs_leaving", "sid"),
    ("platform_sessions", "sud"),
    ("platform_settings", "s"),
    ("platform_user_workspaces", "s"),
    ("platform_users", "s"),
    ("product_usage_days", "siud"),
    ("product_usage_deltas", "sid"),
    ("product_usage_events", "sud"),
    ("product_usage_hours", "siud"),
    ("product_usage_kept", "siu"),
    ("product_usage_workspace_days", "siud"),
    ("review_packs", "sud"),
    ("runbook_plan_targets", "sid"),
    ("runbook_plans", "siud"),
    ("runbook_scope_locks", "sid"),
    ("stored_reports", "sud"),
    ("tenants", "su"),
    ("users", "s"),
    ("workers", "siud"),
    ("workspaces", "s"),
];

/// What changes write, as the same letters: the operations, and their tables beside those of every
/// change. Other tables are only read.
const OF_CHANGES: &[(&[&str], Tables)] = &[
    (
        &["activity.save_checkpoint"],
        &[
            ("product_usage_deltas", "i"),
            ("product_usage_events", "i"),
            ("tenant_onboarding_sessions", "siu"),
            ("tenants", "su"),
        ],
    ),
    (
        &["activity.open_diagnostics"],
        &[("product_usage_deltas", "i"), ("product_usage_events", "i"), ("tenants", "su")],
    ),
    (
        &["activity.store_report"],
        &[
            ("product_usage_deltas", "i"),
            ("product_usage_events", "i"),
            ("stored_reports", "si"),
            ("tenants", "su"),
        ],
    ),
    (
        &["activity.request_review_pack"],
        &[
            ("product_usage_deltas", "i"),
            ("product_usage_events", "i"),
            ("review_packs", "si"),
            ("tenants", "su"),
        ],
    ),
    (&["activity.complete_review_pack"], &[("review_packs", "su"), ("tenants", "su")]),
    (&["alerts.retry"], &[("alert_deliveries", "su")]),
    (&["auth.login"], &[("login_attempts", "siud"), ("platform_sessions", "siu")]),
    (&["auth.logout", "auth.touch"], &[("platform_sessions", "su")]),
    (&["break_glass.enter"], &[("break_glass_grants", "siu"), ("login_attempts", "siud")]),
    (&["break_glass.end"], &[("break_glass_grants", "su")]),
    (&["dashboard.choose_window"], &[("platform_user_preferences", "siu")]),
    (&["notifications.mark_read", "notifications.mark_all_read"], &[("notifications", "su")]),
    // These only read.
    (&["overview.check_counts", "telemetry.check_rollups"], &[("platform_users", "s")]),
    (
        &["overview.rebuild_counts"],
        &[
            ("operation_run_days", "siud"),
            ("operation_run_deltas", "d"),
            ("operation_run_hours", "siud"),
        ],
    ),
    (&["platform.set_flag"], &[("platform_settings", "siu")]),
    (&["platform.set_setting"], &[("platform_settings", "siud")]),
    (
        &["product_usage.prune"],
        &[
            ("product_usage_deltas", "i"),
            ("product_usage_events", "sud"),
            ("product_usage_kept", "siu"),
        ],
    ),
    (&["runbooks.preflight"], &[("runbook_plan_targets", "i"), ("runbook_plans", "sid")]),
    (
        &["runbooks.start"],
        &[
            ("operation_run_targets", "si"),
            ("operation_runs", "si"),
            ("runbook_plans", "su"),
            ("runbook_scope_locks", "i"),
            ("tenants", "su"),
        ],
    ),
    (
        &["overview.retry_group", "runs.retry"],
        &[("operation_run_targets", "si"), ("operation_runs", "si"), ("tenants", "su")],
    ),
    (
        &["runs.cancel"],
        &[
            ("operation_run_deltas", "i"),
            ("operation_run_leases", "sd"),
            ("operation_run_requests", "sid"),
            ("operation_run_targets", "su"),
            ("operation_runs", "su"),
            ("runbook_scope_locks", "sd"),
        ],
    ),
    (
        &["runs.close"],
        &[
            ("operation_run_deltas", "i"),
            ("operation_run_leases", "sd"),
            ("operation_run_targets", "su"),
            ("operation_runs", "su"),
            ("runbook_scope_locks", "sd"),
        ],
    ),
    (
        &["runs.pause"],
        &[
            ("operation_run_leases", "sd"),
            ("operation_run_requests", "sid"),
            ("operation_run_targets", "su"),
            ("operation_runs", "su"),
        ],
    ),
    (&["runs.resume"], &[("operation_run_requests", "sd"), ("operation_runs", "su")]),
    (
        &["runs.start"],
        &[
            ("operation_run_targets", "i"),
            ("operation_runs", "si"),
            ("product_usage_deltas", "i"),
            ("product_usage_events", "i"),
            ("tenants", "su"),
        ],
    ),
    (&["support.create_request"], &[("support_requests", "si")]),
    (
        &["telemetry.rebuild_rollups"],
        &[
            ("product_usage_days", "siud"),
            ("product_usage_deltas", "d"),
            ("product_usage_hours", "siud"),
            ("product_usage_workspace_days", "siud"),
        ],
    ),
    (&["users.create"], &[("platform_user_workspaces", "sid"), ("platform_users", "siu")]),
    (
        &["users.create_first_administrator"],
        &[("platform_user_workspaces", "sd"), ("platform_users", "siu")],
    ),
    (
        &["users.set_capabilities"],
        &[("platform_sessions", "su"), ("platform_user_workspaces", "sid")],
    ),
    (&["users.set_active", "users.reset_password"], &[("platform_sessions", "su")]),
    (&["users.unlock"], &[("login_attempts", "sd")]),
];

/// What every change writes: its audit row; and the user who asks is held.
const OF_EVERY_CHANGE: [(&str, &str); 2] = [("audit_logs", "si"), ("platform_users", "su")];

/// Every grant on a table.
const ALL: &str = "siud";

/// Refuses a role that lacks a grant which a worker needs.
///
/// # Errors
/// *Refused*, with the table, and the statements that give what is missing.
pub async fn require_of_worker(db: &Db) -> Result<()> {
    let Db::Postgres(server) = db else { return Ok(()) };
    let (mut connection, _turn) = server.connection().await?;
    let missing = missing_of_worker(&mut connection).await?;
    server.keeper().put(connection, false);
    let Some((table, _, role)) = missing.first() else { return Ok(()) };
    let more = match missing.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let role = SafeText::new(role);
    // Tables with the same grants missing go into one statement.
    let mut statements: Vec<(&str, Vec<&str>)> = Vec::new();
    for (table, grants, _) in &missing {
        match statements.iter_mut().find(|(known, _)| known == grants) {
            Some((_, tables)) => tables.push(table),
            None => statements.push((grants, vec![table])),
        }
    }
    let statements = statements
        .iter()
        .map(|(grants, tables)| format!("grant {grants} on {} to {role}", tables.join(", ")))
        .collect::<Vec<_>>();
    Err(Error::refused(format!("the database role may not use the table {table}{more}"))
        .hint(format!("{AS_OWNER}{}", statements.join("; "))))
}

async fn missing_of_worker(
    connection: &mut PgConnection,
) -> sqlx::Result<Vec<(String, String, String)>> {
    let (mut tables, mut grants) = (Vec::new(), Vec::new());
    for (table, letters) in OF_WORKER {
        for letter in letters.chars() {
            tables.push(*table);
            grants.push(grant_of(letter));
        }
    }
    // A grant on columns may be enough.
    sqlx::query_as(
        "select n.on_table, string_agg(n.grant_name, ', ' order by n.place), \
         quote_ident(current_user::text) \
         from unnest($1::text[], $2::text[]) with ordinality n(on_table, grant_name, place) \
         where not coalesce(case n.grant_name \
         when 'delete' then has_table_privilege(to_regclass(n.on_table), n.grant_name) \
         else has_any_column_privilege(to_regclass(n.on_table), n.grant_name) end, true) \
         group by n.on_table order by min(n.place)",
    )
    .bind(tables)
    .bind(grants)
    .fetch_all(connection)
    .await
}

/// What a change needs on a table.
fn of_change(operation: &str, table: &str) -> &'static str {
    let own = OF_CHANGES.iter().find(|(operations, _)| operations.contains(&operation));
    let own = own.map_or(&[][..], |(_, tables)| tables);
    let known = own.iter().chain(&OF_EVERY_CHANGE).find(|(name, _)| *name == table);
    known.map_or("s", |(_, letters)| letters)
}

fn grant_of(letter: char) -> &'static str {
    match letter {
        's' => "select",
        'i' => "insert",
        'u' => "update",
        _ => "delete",
    }
}

/// The table that a denial is about. In another language than English, only this program's own are
/// found.
pub fn denied_table(message: &str) -> Option<&str> {
    match message.strip_prefix(DENIED) {
        Some(of) => TABLES.iter().find_map(|kind| of.strip_prefix(kind)),
        None => schema::own_table_in(message),
    }
}

/// What a denial means. Who gives the grant, and to whom, [`explain`] adds.
pub fn of_denial(message: &str) -> Error {
    let is_plain = |name: &&str| {
        name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && name.len() <= 63
    };
    let check = "check the grants of the login role";
    if let Some(table) = denied_table(message).filter(is_plain) {
        return Error::refused(format!("the database role may not use the table {table}"))
            .hint(format!("{check} on {table}"));
    }
    let schema = message.strip_prefix(DENIED).and_then(|of| of.strip_prefix("schema "));
    if let Some(schema) = schema.filter(is_plain) {
        return Error::refused(format!("the database role may not use the schema {schema}")).hint(
            format!("{AS_OWNER}grant usage on schema {schema} to ROLE, and create to migrate"),
        );
    }
    if let Some(what) = message.strip_prefix("must be owner of ") {
        let is_plain =
            what.split_once(' ').is_some_and(|(kind, name)| is_plain(&kind) && is_plain(&name));
        let what = if is_plain { format!("the {what}") } else { "what it is to change".to_owned() };
        return Error::refused(format!("the database role does not own {what}"))
            .hint("migrate as the role that owns it");
    }
    Error::refused("the database role may not do this").hint(check)
}

/// What it means that others own the tables, named as a statement has them.
pub fn not_owned(owners: &str, role: &str) -> Error {
    let (owners, role) = (SafeText::new(owners), SafeText::new(role));
    Error::refused(format!(
        "the database role {role} may not alter tables or functions that belong to {owners}"
    ))
    .hint(format!(
        "migrate as {owners}; or, as an administrator of the server: grant {owners} to {role}"
    ))
}

/// What was done with the database where a grant was missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Reading only.
    Reads,
    /// What a worker does.
    Works,
    /// An operation that a person changes something with, by its name.
    Changes(&'static str),
    /// The migrations, and seeding.
    Migrates,
}

impl Use {
    /// What an operation does.
    pub fn of<O: Operation>(actor: &Actor) -> Self {
        match (O::ACCESS, actor) {
            (Access::Read, _) => Self::Reads,
            (_, Actor::System) if O::NAME.starts_with("seed.") => Self::Migrates,
            (_, Actor::System) => Self::Works,
            _ => Self::Changes(O::NAME),
        }
    }

    /// The grants that it may need on `table`.
    fn needs(self, table: &str) -> Vec<&'static str> {
        let of_worker = || OF_WORKER.iter().find(|(name, _)| *name == table);
        let letters = match self {
            Self::Reads => "s",
            // Only migrations write it.
            Self::Works if table == "_sqlx_migrations" => "s",
            Self::Works => of_worker().map_or(ALL, |(_, letters)| letters),
            Self::Changes(operation) => of_change(operation, table),
            Self::Migrates => ALL,
        };
        letters.chars().map(grant_of).collect()
    }
}

/// A hint with the names for its placeholders, as a statement has them.
fn named(hint: &str, role: &str, database: &str) -> String {
    let words = hint.split(' ').map(|word| match word.trim_end_matches([',', ';']) {
        "ROLE" => word.replace("ROLE", &identifier(role)),
        "NAME" => word.replace("NAME", &identifier(database)),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn identifier(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let name = SafeText::new(name).to_string();
    if name.chars().all(is_plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        return name;
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Adds to the error of a table that is denied which grant the role is missing there for `what`, and to
/// others the names of the role and of the database.
pub async fn explain(db: &Db, error: Error, what: Use) -> Error {
    let (Db::Postgres(server), Some(fault)) = (db, error.fault()) else { return error };
    // Where the name or the password was refused, a name may be a part of a password.
    if fault.code != "42501" {
        return error;
    }
    let Some(table) = &fault.table else {
        let options = server.keeper().options();
        let role = options.get_username();
        let database = options.get_database().unwrap_or(role);
        let hint = error.next_step().map(|hint| named(hint, role, database));
        return hint.into_iter().fold(error, Error::hint);
    };
    match tokio::time::timeout(LIMIT, missing(server, table, what)).await {
        Ok(Ok(Some((grants, table, role)))) => {
            error.hint(format!("{AS_OWNER}grant {grants} on {table} to {}", SafeText::new(&role)))
        }
        _ => error,
    }
}

/// The grants that `what` needs on `table` and the role lacks, with the names of both.
async fn missing(
    server: &Server,
    table: &str,
    what: Use,
) -> Result<Option<(String, String, String)>> {
    let (mut connection, _turn) = server.connection().await?;
    let found = ask(&mut connection, table, what.needs(table)).await?;
    server.keeper().put(connection, false);
    Ok(found)
}

async fn ask(
    connection: &mut PgConnection,
    table: &str,
    needed: Vec<&str>,
) -> sqlx::Result<Option<(String, String, String)>> {
    // No rule needs more than select and insert on what is append-only.
    sql::query_as(
        "select string_agg(g.name, ', ' order by g.place), c.oid::regclass::text, \
         quote_ident(current_user::text) from pg_class c, \
         unnest(case when c.relkind = 'S' then array['usage'] \
         else string_to_array($2, ',') end) with ordinality g(name, place) \
         where c.oid = to_regclass($1) \
         and not case when c.relkind = 'S' then has_sequence_privilege(c.oid, g.name) \
         else has_table_privilege(c.oid, g.name) end \
         and not (g.name in ('update', 'delete') and exists (select 1 from pg_trigger t \
         where t.tgrelid = c.oid and t.tgname like '%\\_append\\_only')) group by c.oid",
    )
    .bind(table)
    .bind(needed.join(","))
    .fetch_optional(connection)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables that no worker uses.
    const OF_OTHERS: [&str; 5] = [
        "break_glass_grants",
        "platform_user_preferences",
        "provider_connections",
        "support_requests",
        "tenant_onboarding_sessions",
    ];

    #[test]
    fn of_every_table_it_is_said_what_a_worker_needs() {
        let of_worker = OF_WORKER.iter().map(|(table, _)| *table).skip(1);
        let mut said: Vec<&str> = of_worker.chain(OF_OTHERS).collect();
        let mut made = schema::own_tables();
        said.sort_unstable();
        made.sort_unstable();
        assert_eq!(said, made);
    }

    #[test]
    fn the_table_of_a_denial_is_found_in_any_language() {
        for (message, table) in [
            ("permission denied for table findings", Some("findings")),
            ("permission denied for relation findings", Some("findings")),
            ("permission denied for sequence findings_id_seq", Some("findings_id_seq")),
            ("keine Berechtigung für Tabelle »findings«", Some("findings")),
            ("droit refusé pour la table operation_runs", Some("operation_runs")),
            ("permission denied for schema public", None),
            ("keine Berechtigung für Schema public", None),
        ] {
            assert_eq!(denied_table(message), table, "{message}");
        }
        let schema = of_denial("permission denied for schema public");
        assert!(schema.to_string().contains("grant usage on schema public"), "{schema}");
        assert!(!of_denial("permission denied for table a b").to_string().contains("a b"));
    }
}
