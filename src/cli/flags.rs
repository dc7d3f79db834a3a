//! `platform`: the flags and settings of the whole platform.

use serde_json::json;

use super::ask::{self, ConsentArgs};
use super::settings::{self, SetLabelArgs, SettingsCommand};
use super::{Env, Table, examples};
use crate::Result;
use crate::domain::confirmation::Given;
use crate::ops::About;
use crate::ops::flags::{ListFlags, SetFlag};

/// What can be done with the platform's flags.
#[derive(Debug, clap::Subcommand)]
pub enum PlatformCommand {
    /// List the flags, and whether each is on
    #[command(before_help = examples!("tenantpilot platform flags", "tenantpilot platform flags --json"))]
    Flags {
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Turn a flag on or off
    #[command(before_help = examples!(
        "tenantpilot platform set-flag allow_admin_maintenance_actions on --dry-run",
        "tenantpilot platform set-flag allow_admin_maintenance_actions off \\",
        "    --confirm 'allow_admin_maintenance_actions off'",
    ))]
    SetFlag(SetFlagArgs),
    /// Set the name of the environment that every header shows
    #[command(before_help = examples!(
        "tenantpilot platform set-label 'PRODUCTION EU' --color red --yes",
        "tenantpilot platform set-label STAGING --dry-run",
    ))]
    SetLabel(SetLabelArgs),
    /// List and change the platform's settings
    #[command(subcommand, before_help = examples!(
        "tenantpilot platform settings list",
        "tenantpilot platform settings set product_usage.retention_days 365 --yes",
        "tenantpilot platform settings reset environment.label --dry-run",
    ))]
    Settings(SettingsCommand),
}

/// On or off, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Wanted {
    On,
    Off,
}

/// Arguments of `platform set-flag`.
#[derive(Debug, clap::Args)]
pub struct SetFlagArgs {
    /// Name of the flag
    #[arg(value_name = "NAME")]
    name: String,
    /// on or off
    #[arg(value_name = "on|off", hide_possible_values = true)]
    wanted: Wanted,
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
pub async fn run(command: PlatformCommand, env: &Env) -> Result<u8> {
    match command {
        PlatformCommand::Flags { json } => list(json, env).await,
        PlatformCommand::SetFlag(args) => set(args, env).await,
        PlatformCommand::SetLabel(args) => settings::set_label(args, env).await,
        PlatformCommand::Settings(command) => settings::run(command, env).await,
    }
}

async fn list(json: bool, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let flags = ops.run(&session.actor, ListFlags).await?;
    if json {
        env.out.json(&json!({ "schema_version": 1, "flags": flags }))?;
        return Ok(0);
    }
    let mut table = Table::new(&["FLAG", "STATE", "WHILE IT IS ON"]);
    for flag in flags {
        table.push([flag.name.to_owned(), word(flag.on).to_owned(), flag.about.to_owned()]);
    }
    table.print(&env.out)?;
    Ok(0)
}

async fn set(args: SetFlagArgs, env: &Env) -> Result<u8> {
    let on = args.wanted == Wanted::On;
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let consent = args.consent.consent(env)?;
    let dry_run = args.consent.is_dry_run();
    let mut what = String::new();
    if consent.given == Given::Ask {
        let known = {
            let about = About::of("platform_flag", &args.name);
            ops.prepare::<SetFlag, _>(&session.actor, about, ListFlags).await?
        };
        if let Some(flag) = known.iter().find(|flag| flag.name == args.name) {
            what = format!("{} is {}; while it is on, {}.", flag.name, word(flag.on), flag.about);
        }
    }
    let set = |consent| SetFlag { name: args.name.clone(), on, consent };
    let done = ask::confirmed(env, &ops, &session.actor, &what, consent, set).await?;
    if args.json {
        let mut answer = json!({
            "schema_version": 1, "flag": done.flag, "changed": done.changed,
        });
        if dry_run {
            answer["dry_run"] = json!(true);
        }
        env.out.json(&answer)?;
        return Ok(0);
    }
    let (name, state) = (done.flag.name, word(on));
    env.out.line(match (done.changed, dry_run) {
        (false, _) => format!("{name} is {state} already"),
        (true, false) => format!("{name} is {state} now"),
        (true, true) => format!("{name} would be turned {state}; nothing was changed"),
    })?;
    Ok(0)
}

fn word(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
