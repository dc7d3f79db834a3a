//! `platform settings`: list, show, set and reset the platform's settings.

use serde_json::{Value, json};

use super::ask::{self, ConsentArgs};
use super::{Env, Table, examples};
use crate::Result;
use crate::domain::confirmation::Given;
use crate::domain::safe_text::{SafeText, quoted};
use crate::domain::setting::SettingKey;
use crate::ops::Consent;
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
        "tenantpilot platform settings set product_usage.retention_days 365 --yes",
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
    #[command(before_help = examples!("tenantpilot platform settings reset environment.color --yes"))]
    Reset {
        /// Name of the setting
        #[arg(value_name = "KEY")]
        key: String,
        #[command(flatten)]
        how: ChangeArgs,
    },
}

/// How a change is made: a less strict value is confirmed by the setting's name.
#[derive(Debug, clap::Args)]
pub struct ChangeArgs {
    #[command(flatten)]
    consent: ConsentArgs,
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
    for setting in &settings {
        let default = if setting.value == setting.default { "=" } else { shown(setting.default) };
        table.push([setting.key.to_string(), shown(&setting.value).to_owned(), default.to_owned()]);
        table.note(&SafeText::new(setting.about));
    }
    table.print(&env.out)?;
    for setting in &settings {
        warn(setting, env);
    }
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
    warn(&setting, env);
    Ok(0)
}

fn warn(setting: &PlatformSetting, env: &Env) {
    if let Some(warning) = setting.warning() {
        env.out.message(format!("warning: {warning}"));
    }
}

/// Arguments of `platform set-label`.
#[derive(Debug, clap::Args)]
pub struct SetLabelArgs {
    /// Name of the environment, as every header shows it
    #[arg(value_name = "NAME")]
    name: String,
    /// Color of the name; see: tenantpilot platform settings get environment.color
    #[arg(long, value_name = "COLOR")]
    color: Option<String>,
    #[command(flatten)]
    how: ChangeArgs,
}

/// Sets the label of the environment, and its color.
///
/// # Errors
/// *Usage* for a name or a color that is none, before anything is changed; else as of a setting.
pub async fn set_label(args: SetLabelArgs, env: &Env) -> Result<u8> {
    let SetLabelArgs { name, color, how } = args;
    let color = color.map(|color| (SettingKey::EnvironmentColor, color));
    let wanted = [(SettingKey::EnvironmentLabel, name)].into_iter().chain(color);
    let wanted: Vec<(SettingKey, String)> = wanted.collect();
    for (key, value) in &wanted {
        key.normalized(value)?;
    }
    let mut done = Vec::with_capacity(wanted.len());
    let mut consent = how.consent.consent(env)?;
    for (key, value) in wanted {
        done.push(set(key.to_string(), Some(value), consent.clone(), env).await?);
        // What was typed for the name confirms its color as well.
        if let Given::Typed(_) = consent.given {
            consent.given = Given::Yes;
        }
    }
    let dry_run = how.consent.is_dry_run();
    if how.json {
        let changed: Vec<Value> = done.iter().map(set_as_json).collect();
        let mut answer = json!({ "schema_version": 1, "settings": changed });
        if dry_run {
            answer["dry_run"] = json!(true);
        }
        env.out.json(&answer)?;
        return Ok(0);
    }
    done.iter().try_for_each(|done| tell(done, dry_run, env))?;
    Ok(0)
}

async fn change(key: String, value: Option<String>, how: ChangeArgs, env: &Env) -> Result<u8> {
    let done = set(key, value, how.consent.consent(env)?, env).await?;
    let dry_run = how.consent.is_dry_run();
    if how.json {
        env.out.json(&as_json(&done, dry_run))?;
        return Ok(0);
    }
    tell(&done, dry_run, env)?;
    Ok(0)
}

/// Sets one setting; asks for what confirms it where that was not given.
async fn set(
    key: String,
    value: Option<String>,
    consent: Consent,
    env: &Env,
) -> Result<SettingSet> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let set = |consent| SetSetting { key: key.clone(), value: value.clone(), consent };
    let mut what = String::new();
    if consent.given == Given::Ask {
        // A refusal of this look is on record already.
        let done = ops.run(&session.actor, set(Consent::look_ahead())).await?;
        let becomes = if done.looser { "becomes less strict" } else { "would be set" };
        let (key, after, before) = (done.key, shown(&done.after), before(&done));
        what = format!("{key} {becomes}: {after} instead of {before}.");
    }
    ask::confirmed(env, &ops, &session.actor, &what, consent, set).await
}

fn tell(done: &SettingSet, dry_run: bool, env: &Env) -> Result<()> {
    let (key, before, after) = (done.key, before(done), shown(&done.after));
    env.out.line(match (done.changed, dry_run) {
        (false, _) => format!("{key} is {after} already"),
        (true, false) => format!("{key} set to {after}, was {before}"),
        (true, true) => format!("{key} would be set to {after}, is {before}; nothing was changed"),
    })
}

fn as_json(done: &SettingSet, dry_run: bool) -> Value {
    let mut answer = json!({
        "schema_version": 1, "setting": set_as_json(done), "changed": done.changed,
    });
    if dry_run {
        answer["dry_run"] = json!(true);
    }
    answer
}

fn set_as_json(done: &SettingSet) -> Value {
    let mut set = json!({ "key": done.key.as_str(), "before": done.before, "value": done.after });
    if let Some(stored) = &done.stored {
        set["stored"] = json!(stored);
    }
    set
}

/// The value before; one that was not valid as it was stored.
fn before(done: &SettingSet) -> String {
    match &done.stored {
        Some(stored) => format!("{} (not valid)", quoted(stored)),
        None => shown(&done.before).to_owned(),
    }
}

fn shown(value: &str) -> &str {
    if value.is_empty() { "(none)" } else { value }
}
