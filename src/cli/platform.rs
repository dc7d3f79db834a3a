//! `migrate` and `info`: the database's schema, and where everything comes from.

use std::path::Path;

use chrono::TimeDelta;
use clap::Args;
use serde_json::{Value, json};

use super::auth::JsonArgs;
use super::users::FIRST_STEP;
use super::{Env, VERSION, text};
use crate::config::definition;
use crate::domain::count::count;
use crate::domain::database_fault::Condition;
use crate::domain::safe_text::SafeText;
use crate::domain::setting::SettingKey;
use crate::logging;
use crate::ops::platform::PlatformInfo;
use crate::ops::settings::SettingWarnings;
use crate::ops::users::IsUnclaimed;
use crate::ops::{Create, Engine, Ops, SchemaState, Target, of_new_file};
use crate::paths;
use crate::tui::keymap::Keymap;
use crate::tui::theme::Theme;
use crate::{Result, config};

/// Arguments of `migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Make the tables in a database that already holds tables of another program
    #[arg(long)]
    into_nonempty_database: bool,
    /// Say what would be applied, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Brings the schema up to date; makes a missing embedded database.
///
/// # Errors
/// *Refused* for a schema that is newer than this program, and for a database of another program.
pub async fn migrate(args: MigrateArgs, env: &Env) -> Result<u8> {
    let target = if args.into_nonempty_database { Target::Shared } else { Target::Own };
    if args.dry_run {
        return rehearse_migrating(&args, target, env).await;
    }
    let url = env.database_url()?;
    let ops = env.open(Create::IfMissing)?;
    let waits = |version| {
        env.out.message(format!("migration {version} waits for a lock that another session holds"));
    };
    let applied = ops.migrate_into(target, &waits).await?;
    let mut version = ops.program_schema_version();
    if applied == 0
        && let SchemaState::Ahead { database, .. } = ops.schema_state().await?
    {
        version = database;
    }
    let unclaimed = ops.run(&env.anonymous(), IsUnclaimed).await?;
    ops.close().await;
    if args.json {
        let url = url.redacted_url();
        env.out.json(&json!({
            "schema_version": 1,
            "migration": { "database": url, "applied": applied, "version": version },
        }))?;
        return Ok(0);
    }
    let migrations = if applied == 1 { "migration" } else { "migrations" };
    env.out.line(format!("{applied} {migrations} applied; the schema is version {version}"))?;
    env.out.message(format!("database: {}", url.redacted_url()));
    if unclaimed {
        env.out.message(format!("next, make the first administrator: {FIRST_STEP}"));
    }
    Ok(0)
}

async fn rehearse_migrating(args: &MigrateArgs, target: Target, env: &Env) -> Result<u8> {
    let url = env.database_url()?;
    let file = url.expose().strip_prefix("sqlite://").filter(|path| !path.is_empty());
    let is_new = file.is_some_and(|file| matches!(Path::new(file).try_exists(), Ok(false)));
    let url = url.redacted_url();
    let missing = if let Some(file) = file.filter(|_| is_new) {
        of_new_file(Path::new(file))?
    } else {
        let ops = env.open(Create::Never)?;
        let missing = ops.missing_migrations(target).await?;
        ops.close().await;
        missing
    };
    if args.json {
        let missing: Vec<_> = missing
            .iter()
            .map(|missing| json!({ "version": missing.version, "name": missing.name }))
            .collect();
        env.out.json(&json!({
            "schema_version": 1,
            "migration": { "database": url, "dry_run": true, "missing": missing },
        }))?;
        return Ok(0);
    }
    for missing in &missing {
        env.out.line(format!("{:>4}  {}", missing.version, missing.name))?;
    }
    let migrations = count(i64::try_from(missing.len()).unwrap_or(i64::MAX), "migration");
    env.out.line(format!("{migrations} would be applied; nothing was changed"))?;
    let made = if is_new { ", which would be made" } else { "" };
    env.out.message(format!("database: {url}{made}"));
    Ok(0)
}

/// Prints every path and every setting with its origin, and how the database is.
///
/// # Errors
/// *Usage* for a theme or keymap that cannot be used, after all of it; an unreachable database is
/// an answer.
pub async fn info(args: JsonArgs, env: &Env) -> Result<u8> {
    let url = env.database_url()?;
    let engine = match url.engine() {
        config::Engine::Postgres => "postgres",
        config::Engine::Sqlite => "sqlite",
    };
    let database = look_at(env).await;
    let schema = database.as_ref().map(|found| found.schema).map_err(Clone::clone);
    let (notes, platform) =
        database.map(|found| (found.notes, found.usage_retention_days)).unwrap_or_default();
    let places = places(env)?;
    if args.json {
        let paths: serde_json::Map<String, Value> = places
            .iter()
            .map(|(name, path)| (name.replace(' ', "_"), path.to_string_lossy().into()))
            .collect();
        let settings: Vec<Value> = in_force(env, platform)
            .into_iter()
            .map(|(name, value, origin)| json!({ "name": name, "value": value, "origin": origin }))
            .collect();
        env.out.json(&json!({
            "schema_version": 1,
            "info": {
                "version": VERSION,
                "database": { "url": url.redacted_url(), "engine": engine, "schema": schema_json(&schema) },
                "notes": notes,
                "paths": paths,
                "settings": settings,
                "deployments": env.config.deployments.len(),
            },
        }))?;
        usable(env)?;
        return Ok(0);
    }
    env.out.line(format!("tenantpilot {VERSION}"))?;
    env.out.line("")?;
    env.out.line("database")?;
    env.out.line(format!("  address  {}", url.redacted_url()))?;
    let name =
        env.config.schema.value.as_ref().filter(|_| url.engine() == config::Engine::Postgres);
    let name = name.map_or_else(String::new, |name| format!("{name}, "));
    env.out.line(format!("  schema   {name}{}", schema_text(&schema)))?;
    for note in notes {
        env.out.line(format!("  note     {note}"))?;
    }
    env.out.line("")?;
    env.out.line("paths")?;
    for (name, path) in &places {
        env.out.line(format!("  {name:<15}  {}", path.display()))?;
    }
    env.out.line("")?;
    env.out.line("settings")?;
    let rows = in_force(env, platform);
    let longest = rows.iter().map(|(_, value, _)| value.chars().count()).max().unwrap_or(0).min(32);
    for (name, value, origin) in rows {
        env.out.line(format!("  {name:<25}  {value:<longest$}  {origin}"))?;
        env.out.line(format!("  {:<25}  {}", "", definition(name).about))?;
    }
    env.out.line("")?;
    env.out.line("deployments")?;
    env.out.line(match env.config.deployments.len() {
        0 => "  none declared as [[deploy.runbooks]]".to_owned(),
        1 => "  1 declared; see: tenantpilot runbooks deploy --dry-run".to_owned(),
        n => format!("  {n} declared; see: tenantpilot runbooks deploy --dry-run"),
    })?;
    usable(env)?;
    Ok(0)
}

/// Refuses a theme or keymap that the console would refuse.
fn usable(env: &Env) -> Result<()> {
    Theme::load(&env.config.theme.value, Some(&env.paths.themes_dir()))?;
    Keymap::load(&env.config.keymap.value, Some(&env.paths.keymaps_dir()))?;
    Ok(())
}

fn places(env: &Env) -> Result<Vec<(&'static str, std::path::PathBuf)>> {
    let paths = &env.paths;
    Ok(vec![
        ("config file", paths.config_file()),
        ("themes", paths.themes_dir()),
        ("keymaps", paths.keymaps_dir()),
        ("data", paths.data_dir().to_owned()),
        ("database file", paths.database_file()),
        ("demo database", paths.demo_database_file()),
        ("state", paths.state_dir().to_owned()),
        ("session file", env.session_file()?.path().to_owned()),
        ("drafts", paths.drafts_dir()),
        ("exports", paths.exports_dir()),
        ("logs", paths.logs_dir()),
        ("log of today", logging::current_file(paths, &env.clock)),
    ])
}

/// The state of the database, for `info`.
struct Found {
    schema: (SchemaState, i64),
    /// For how many days the platform keeps usage events, where that could be read.
    usage_retention_days: Option<i64>,
    /// What an operator should know: settings without effect, whose clock counts.
    notes: Vec<String>,
}

async fn look_at(env: &Env) -> Result<Found> {
    let ops = env.open(Create::Never)?;
    let schema = (ops.schema_state().await?, ops.program_schema_version());
    let (mut notes, mut days) = (Vec::new(), None);
    if ops.in_the_open() {
        let host = SafeText::new(&ops.host().unwrap_or_default()).to_string();
        notes.push(format!(
            "the connection to {host} has no TLS, and others on the way can read it; use \
             sslmode=verify-full, and require_tls = true"
        ));
    }
    if schema.0.is_usable() {
        let platform = ops.run(&env.anonymous(), PlatformInfo).await?;
        notes.extend(platform.refuses.map(refused));
        notes.extend(ops.run(&env.anonymous(), SettingWarnings).await?);
        notes.extend(looser_retention(env, platform.usage_retention_days));
        notes.extend(clock_notes(&ops));
        days = Some(platform.usage_retention_days);
    }
    ops.close().await;
    Ok(Found { schema, usage_retention_days: days, notes })
}

fn refused(condition: Condition) -> String {
    let why = if condition == Condition::Full { "its disk is full" } else { "it is read-only" };
    format!("the database takes no writes: {why}; no login and no change is taken")
}

/// A client may keep usage events for longer than the platform, not for less.
fn looser_retention(env: &Env, platform: i64) -> Option<String> {
    let own = &env.config.usage_retention_days;
    let looser = own.origin != config::Origin::Default && i64::from(own.value) < platform;
    looser.then(|| {
        let key = SettingKey::UsageRetentionDays;
        format!(
            "{key} = {} ({}) is ignored: the platform keeps {}; change it with: \
             tenantpilot platform settings set {key} {}",
            own.value,
            own.origin,
            count(platform, "day"),
            own.value
        )
    })
}

/// This client's settings, those that the platform sets longer as the platform has them.
fn in_force(env: &Env, platform: Option<i64>) -> Vec<(&'static str, String, String)> {
    let key = SettingKey::UsageRetentionDays.as_str();
    let own = i64::from(env.config.usage_retention_days.value);
    let rows = env.config.all_settings().into_iter();
    rows.map(|(name, value, origin)| match platform {
        Some(days) if name == key && days > own => {
            (name, days.to_string(), "platform setting".to_owned())
        }
        _ => (name, value, origin),
    })
    .collect()
}

fn clock_notes(ops: &Ops) -> Vec<String> {
    let mut notes = Vec::new();
    let local = ops.engine() == Engine::Sqlite;
    if local {
        notes.push(
            "the local database has no clock: this machine's counts, and limits in time never go \
             back behind the newest stored heartbeat or audit row"
                .to_owned(),
        );
    }
    let ahead = ops.clock().ahead().filter(|ahead| ahead.abs() >= TimeDelta::seconds(5));
    if let Some(ahead) = ahead {
        let by = text::took(ahead.abs());
        notes.push(match (local, ahead > TimeDelta::zero()) {
            (true, _) => format!(
                "the newest stored row is {by} ahead of this machine's clock: until then no limit \
                 in time passes. Where this clock is right, restore a backup from before the \
                 wrong one, or begin with a new database file"
            ),
            (_, true) => {
                format!("this machine's clock is {by} ahead of the database's, whose clock counts")
            }
            (_, false) => {
                format!("this machine's clock is {by} behind the database's, whose clock counts")
            }
        });
    }
    notes
}

/// The schema's state, and the version that this program needs.
type Schema = Result<(SchemaState, i64)>;

fn schema_json(schema: &Schema) -> Value {
    let (word, database, program) = match schema {
        Ok((SchemaState::Empty, program)) => ("empty", None, program),
        Ok((SchemaState::Current, program)) => ("current", Some(*program), program),
        Ok((SchemaState::Older { database, .. }, program)) => ("older", Some(*database), program),
        Ok((SchemaState::Ahead { database, .. }, program)) => ("ahead", Some(*database), program),
        Ok((SchemaState::Newer { database, .. }, program)) => ("newer", Some(*database), program),
        Err(error) => return json!({ "state": "unknown", "error": error.message() }),
    };
    json!({ "state": word, "database": database, "program": program })
}

fn schema_text(schema: &Schema) -> String {
    match schema {
        Ok((SchemaState::Empty, _)) => "none yet; run: tenantpilot migrate".to_owned(),
        Ok((SchemaState::Current, program)) => format!("version {program}, up to date"),
        Ok((SchemaState::Older { database, .. }, program)) => {
            format!("version {database}, this program needs {program}; run: tenantpilot migrate")
        }
        Ok((SchemaState::Ahead { database, .. }, program)) => {
            format!(
                "version {database}, newer than this program's {program}, which goes on with it"
            )
        }
        Ok((SchemaState::Newer { database, .. }, program)) => {
            format!("version {database}, newer than this program knows ({program})")
        }
        Err(error) => format!("unknown: {error}"),
    }
}

/// Says what deserves a word before a command runs: a password that others can read, a password file
/// that is not used.
pub fn warn(env: &Env) {
    for warning in env.config.warnings() {
        env.out.message(format!("warning: {warning}"));
    }
    let setting = &env.config.database_url;
    let url = setting.value.as_ref().filter(|url| url.engine() == config::Engine::Postgres);
    if let Some(ignored) = url.and_then(|url| Ops::ignored_password_file(url.expose())) {
        env.out.message(format!("warning: {ignored}"));
    }
    let in_the_open = matches!(setting.origin, config::Origin::Flag(_))
        && setting.value.as_ref().is_some_and(config::DatabaseUrl::has_password);
    if in_the_open {
        env.out.message(format!(
            "warning: others on this machine can see the password in --database-url; use {} or {}",
            definition("database_url").variable,
            paths::shown(&env.paths.config_file()),
        ));
    }
}
