//! `platform settings`: list, show, set and reset the platform's settings.

use serde_json::{Value, json};

use super::{Env, Table, ask, examples};
use crate::Result;
use crate::domain::safe_text::SafeText;
use crate::domain::setting::SettingKey;
use crate::ops::settings::{ListSettings, PlatformSetting, SetSetting, SettingSet};

/// What can be done with the platform's settings.
#[derive(Debug, clap::Subcommand)]
pub enum SettingsCommand {
    /// List the settings with their values and defaults
    #[command(before_help = examples!(
        "tenantpilot platform settings list",
        "tenantpilot platform settings list --json",
    ))]
    List {
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one setting
    #[command(before_help = examples!("tenantpilot platform settings get environment.label"))]
    Get {
        /// Name of the setting
        #[arg(value_name = "KEY")]
        key: String,
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Set a setting
    #[command(before_help = examples!(
        "tenantpilot platform settings set product_usage.retention_days 365",
        "tenantpilot platform settings set product_usage.retention_days 30 \\",
        "    --confirm product_usage.retention_days",
        "tenantpilot platform settings set environment.label 'PRODUCTION EU' --dry-run",
    ))]
    Set {
        /// Name of the setting
        #[arg(value_name = "KEY")]
        key: String,
        /// New value
        #[arg(value_name = "VALUE", allow_hyphen_values = true)]
        value: String,
        #[command(flatten)]
        how: ChangeArgs,
    },
    /// Reset a setting to its default
    #[command(before_help = examples!("tenantpilot platform settings reset environment.color"))]
    Reset {
        /// Name of the setting
        #[arg(value_name = "KEY")]
        key: String,
        #[command(flatten)]
        how: ChangeArgs,
    },
}

/// How a change is made.
#[derive(Debug, clap::Args)]
pub struct ChangeArgs {
    /// The setting's name; required where the new value is less strict
    #[arg(long, value_name = "KEY")]
    confirm: Option<String>,
    /// Check everything and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Runs one of them.
///
/// # Errors
/// Whatever the operation says.
pub async fn run(command: SettingsCommand, env: &Env) -> Result<u8> {
    match command {
        SettingsCommand::List { json } => list(json, env).await,
        SettingsCommand::Get { key, json } => get(&key, json, env).await,
        SettingsCommand::Set { key, value, how } => change(key, Some(value), how, env).await,
        SettingsCommand::Reset { key, how } => change(key, None, how, env).await,
    }
}

async fn read(env: &Env) -> Result<Vec<PlatformSetting>> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    ops.run(&session.actor, ListSettings).await
}

async fn list(json: bool, env: &Env) -> Result<u8> {
    let settings = read(env).await?;
    if json {
        env.out.json(&json!({ "schema_version": 1, "settings": settings }))?;
        return Ok(0);
    }
    let mut table = Table::new(&["SETTING", "VALUE", "DEFAULT"]);
    for setting in settings {
        let default =
            if setting.value == setting.default { "=" } else { shown(setting.default) }.to_owned();
        let value = if setting.invalid { "(not valid)" } else { shown(&setting.value) }.to_owned();
        table.push([setting.key.to_string(), value, default]);
        table.note(&SafeText::new(setting.about));
    }
    table.print(&env.out)?;
    Ok(0)
}

async fn get(key: &str, json: bool, env: &Env) -> Result<u8> {
    let key: SettingKey = key.parse()?;
    let settings = read(env).await?;
    let Some(setting) = settings.into_iter().find(|setting| setting.key == key) else {
        return Err(crate::Error::not_found(format!("the setting {key}")));
    };
    if json {
        env.out.json(&json!({ "schema_version": 1, "setting": setting }))?;
        return Ok(0);
    }
    env.out.line(shown(&setting.value))?;
    if setting.invalid {
        env.out.message(format!(
            "warning: what is stored is not valid, and the default is in force; set it: tenantpilot platform settings set {key} VALUE"
        ));
    }
    Ok(0)
}

async fn change(key: String, value: Option<String>, how: ChangeArgs, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let mut set = SetSetting { key, value, confirm: how.confirm, dry_run: how.dry_run };
    if set.confirm.is_none() && !set.dry_run && env.can_ask() {
        // What would happen, before a less strict value is asked to be confirmed. A refusal of
        // the dry run is on record already.
        let look = SetSetting { dry_run: true, ..set.clone() };
        let done = ops.run(&session.actor, look).await?;
        if done.looser {
            let what = format!(
                "{} becomes less strict: {} instead of {}.",
                done.key,
                shown(&done.after),
                shown(&done.before)
            );
            set.confirm = ask::phrase(env, done.key.as_str(), &what).await;
        }
    }
    let done = ops.run(&session.actor, set).await?;
    if how.json {
        env.out.json(&as_json(&done, how.dry_run))?;
        return Ok(0);
    }
    let (key, before, after) = (done.key, shown(&done.before), shown(&done.after));
    env.out.line(match (done.changed, how.dry_run) {
        (false, _) => format!("{key} is {after} already"),
        (true, false) => format!("{key} set to {after}, was {before}"),
        (true, true) => format!("{key} would be set to {after}, is {before}; nothing was changed"),
    })?;
    Ok(0)
}

fn as_json(done: &SettingSet, dry_run: bool) -> Value {
    let mut answer = json!({
        "schema_version": 1,
        "setting": { "key": done.key.as_str(), "before": done.before, "value": done.after },
        "changed": done.changed,
    });
    if dry_run {
        answer["dry_run"] = json!(true);
    }
    answer
}

fn shown(value: &str) -> &str {
    if value.is_empty() { "(none)" } else { value }
}
