//! `overview`: how the platform is, in one look; its window, and the counts it stands on.

mod as_json;
mod view;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Env, Table, examples, text};
use crate::Result;
use crate::domain::health::HealthLevel;
use crate::domain::run_filter::RunFilter;
use crate::domain::shell;
use crate::domain::window::Window;
use crate::ops::dashboard::{ChooseWindow, ChosenWindow};
use crate::ops::overview::{CheckRunCounts, ReadOverview, RebuildRunCounts};

/// How wide a line is that everybody can read.
const COLUMNS: usize = 80;

/// Arguments of `overview`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct OverviewArgs {
    #[command(subcommand)]
    command: Option<OverviewCommand>,
    #[command(flatten)]
    window: WindowArgs,
    /// End with 1 where the health is critical
    #[arg(long)]
    exit_status: bool,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// How far back to look.
#[derive(Debug, Clone, Copy, Args)]
pub struct WindowArgs {
    /// How far back: 1h, 24h, 7d or 30d; where absent, the window that you chose last (24h if
    /// none)
    #[arg(long, value_name = "WINDOW")]
    pub window: Option<Window>,
}

impl WindowArgs {
    /// What another command needs for the same window.
    pub fn again(self) -> String {
        self.window.map_or_else(String::new, |window| format!(" --window {window}"))
    }
}

/// What else can be done with the overview.
#[derive(Debug, Subcommand)]
pub enum OverviewCommand {
    /// Show the window that you chose last, or choose one: for all your consoles and commands
    #[command(before_help = examples!(
        "tenantpilot overview window",
        "tenantpilot overview window 7d",
    ))]
    Window {
        /// 1h, 24h, 7d or 30d
        #[arg(value_name = "WINDOW")]
        window: Option<Window>,
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Compare the kept counts with the runs; exit code 1 where they differ
    #[command(before_help = examples!("tenantpilot overview check --json"))]
    Check {
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Make the kept counts anew from the runs, while runs end
    #[command(before_help = examples!("tenantpilot overview rebuild"))]
    Rebuild {
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
}

/// Shows the overview, or does what else was asked.
///
/// # Errors
/// Whatever the operation says.
pub async fn run(args: OverviewArgs, env: &Env) -> Result<u8> {
    match args.command {
        None => show(&args, env).await,
        Some(OverviewCommand::Window { window, json }) => self::window(window, json, env).await,
        Some(OverviewCommand::Check { json }) => check(json, env).await,
        Some(OverviewCommand::Rebuild { json }) => rebuild(json, env).await,
    }
}

async fn show(args: &OverviewArgs, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let window = args.window.window;
    let overview = ops.run(&session.actor, ReadOverview { window }).await?;
    if args.json {
        let value = as_json::overview(&overview);
        env.out.json(&json!({ "schema_version": 1, "overview": value }))?;
    } else {
        view::overview(&overview, args.window, env)?;
    }
    Ok(u8::from(args.exit_status && overview.health.level == HealthLevel::Critical))
}

async fn window(chosen: Option<Window>, json: bool, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    if let Some(window) = chosen {
        ops.run(&session.actor, ChooseWindow { window }).await?;
    }
    let remembered = ops.run(&session.actor, ChosenWindow).await?;
    let window = remembered.unwrap_or_default();
    if json {
        env.out.json(&json!({
            "schema_version": 1,
            "window": {
                "key": window, "label": window.label(), "chosen": remembered.is_some(),
            },
        }))?;
        return Ok(0);
    }
    env.out.line(format!("{window}  {}", window.label()))?;
    env.out.message(match (chosen, remembered) {
        (Some(_), _) => "remembered for your consoles and your commands",
        (None, Some(_)) => "as you chose it",
        (None, None) => "the usual one: you have not chosen any",
    });
    Ok(0)
}

async fn check(json: bool, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let checked = ops.run(&session.actor, CheckRunCounts).await?;
    let code = u8::from(checked.different > 0);
    if json {
        env.out.json(&json!({ "schema_version": 1, "check": checked }))?;
        return Ok(code);
    }
    if checked.different == 0 {
        env.out.line("the counts are those of the runs")?;
        return Ok(code);
    }
    env.out.line(match checked.different {
        1 => "1 count is not that of the runs".to_owned(),
        n => format!("{n} counts are not those of the runs"),
    })?;
    let heading = text::time_heading("BEGINS", env.zone());
    let headings = [heading.as_str(), "OF", "OUTCOME", "STEP", "RUNS", "COUNTED"];
    let mut table = Table::new(&headings).right(3).right(4).right(5);
    for difference in &checked.differences {
        table.push([
            text::short_time(difference.start_at, env.zone()),
            difference.span.clone(),
            difference.outcome.clone(),
            difference.duration_step.to_string(),
            difference.runs.to_string(),
            difference.counted.to_string(),
        ]);
    }
    table.print(&env.out)?;
    env.out.message("make them anew with: tenantpilot overview rebuild");
    Ok(code)
}

async fn rebuild(json: bool, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let runs = ops.run(&session.actor, RebuildRunCounts).await?;
    if json {
        env.out.json(&json!({ "schema_version": 1, "rebuild": { "runs": runs } }))?;
    } else {
        let noun = if runs == 1 { "run that has" } else { "runs that have" };
        env.out.line(format!("the counts were rebuilt from {runs} {noun} ended"))?;
    }
    Ok(0)
}

/// Says in a line what lists the runs of a filter. Where that is too long to read, the command
/// stands below, on two lines that a shell takes as one.
pub fn listing(lead: &str, filter: &RunFilter) -> Vec<String> {
    let command = "tenantpilot runs list --filter";
    let filter = shell::quoted(&filter.to_string());
    let line = format!("{lead}: {command} {filter}");
    if line.chars().count() <= COLUMNS {
        return vec![line];
    }
    vec![format!("{lead}:"), format!("{command} \\"), filter]
}
