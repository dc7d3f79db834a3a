//! `product-usage`: what customers use, the retention of its ledger, and the counts it stands on.

use serde_json::json;

use super::ask::{self, ConsentArgs};
use super::{Env, Table, break_glass, examples, text};
use crate::Result;
use crate::domain::confirmation::Given;
use crate::domain::count::count;
use crate::domain::window::Window;
use crate::ops::retention::{Days, PruneUsage};
use crate::ops::settings::UsageRetention;
use crate::ops::telemetry::{CheckRollups, NOT_KEPT, RebuildRollups, Summarise, Summary};

/// What can be done with product usage.
#[derive(Debug, clap::Subcommand)]
pub enum ProductUsageCommand {
    /// Sum up what customers used in a window of time
    #[command(before_help = examples!(
        "tenantpilot product-usage summary",
        "tenantpilot product-usage summary --window 30d --json",
    ))]
    Summary(SummaryArgs),
    /// Delete the events that are older than their retention
    #[command(before_help = examples!(
        "tenantpilot product-usage prune --confirm PRUNE",
        "tenantpilot product-usage prune --days 30 --dry-run",
        "tenantpilot product-usage prune --days 30 --confirm 'PRUNE 30'",
    ))]
    Prune(PruneArgs),
    /// Compare the kept counts with the ledger; exit code 1 where they differ
    #[command(before_help = examples!("tenantpilot product-usage check --json"))]
    Check {
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Make the kept counts anew from the ledger, while events are written
    #[command(before_help = examples!("tenantpilot product-usage rebuild"))]
    Rebuild {
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
}

/// Arguments of `product-usage summary`.
#[derive(Debug, clap::Args)]
pub struct SummaryArgs {
    /// How far back: 1h, 24h, 7d or 30d; where absent, what you chose in the console (24h if
    /// nothing)
    #[arg(long, value_name = "WINDOW")]
    window: Option<Window>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `product-usage prune`.
#[derive(Debug, clap::Args)]
pub struct PruneArgs {
    /// For how many days events are kept, at least 1; the setting product_usage.retention_days
    /// where absent
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    days: Option<i64>,
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
pub async fn run(command: ProductUsageCommand, env: &Env) -> Result<u8> {
    match command {
        ProductUsageCommand::Summary(args) => summary(args, env).await,
        ProductUsageCommand::Prune(args) => prune(args, env).await,
        ProductUsageCommand::Check { json } => check(json, env).await,
        ProductUsageCommand::Rebuild { json } => rebuild(json, env).await,
    }
}

async fn summary(args: SummaryArgs, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let summary = ops.run(&session.actor, Summarise { window: args.window }).await?;
    if args.json {
        env.out.json(&json!({ "schema_version": 1, "summary": summary }))?;
        return Ok(0);
    }
    told(&summary, env)?;
    Ok(0)
}

fn told(summary: &Summary, env: &Env) -> Result<()> {
    env.out.line(summary.sentence())?;
    let before = shown(summary.previous.active_workspaces);
    env.out.line(match summary.active_workspaces {
        Some(n) => {
            format!("{} ({before} in the window before)", count(n, "active workspace"))
        }
        None => format!("active workspaces: {NOT_KEPT} ({before} in the window before)"),
    })?;
    let mut table = Table::new(&["WHAT", "EVENTS", "BEFORE", "CHANGE"]).right(1).right(2).right(3);
    for family in &summary.families {
        table.push([
            family.label.to_owned(),
            shown(family.count),
            shown(family.previous),
            changed(family.count, family.previous),
        ]);
    }
    let (total, before) = (summary.total_events, summary.previous.total_events);
    table.push(["total".to_owned(), shown(total), shown(before), changed(total, before)]);
    table.print(&env.out)?;
    let (start, end) = (summary.window.start_at, summary.window.end_at);
    let zone = env.zone();
    env.out.line(format!("from {} to {}", text::time(start, zone), text::time(end, zone)))
}

/// A number, or that it is not kept.
pub fn shown(count: Option<i64>) -> String {
    count.map_or_else(|| NOT_KEPT.to_owned(), |count| count.to_string())
}

/// The change of a number; there is none to what is not kept.
pub fn changed(now: Option<i64>, before: Option<i64>) -> String {
    match (now, before) {
        (Some(now), Some(before)) => text::change(now, before),
        _ => NOT_KEPT.to_owned(),
    }
}

async fn prune(args: PruneArgs, env: &Env) -> Result<u8> {
    // What is wrong in itself needs no database.
    let days = args.days.map(Days::new).transpose()?;
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let consent = args.consent.consent(env)?;
    let dry_run = args.consent.is_dry_run();
    let mut what = "The events beyond their retention would be deleted for good.".to_owned();
    if let Some(days) = days
        && consent.given == Given::Ask
        && session.may::<UsageRetention>()
        && let Ok(kept) = ops.run(&session.actor, UsageRetention).await
    {
        what = format!(
            "This platform keeps events for {}; those older than {} would be deleted for good.",
            count(kept.get(), "day"),
            count(days.get(), "day"),
        );
    }
    break_glass::notice(env, &session);
    let prune = |consent| PruneUsage { days: days.map(Days::get), consent };
    let pruned = ask::confirmed(env, &ops, &session.actor, &what, consent, prune).await?;
    let (events, days) = (pruned.events, pruned.days);
    let age = count(days, "day");
    if args.json {
        let mut answer = json!({
            "schema_version": 1,
            "prune": { "days": days, "cutoff": pruned.cutoff, "deleted": events },
        });
        if dry_run {
            answer["dry_run"] = json!(true);
            answer["prune"] = json!({ "days": days, "cutoff": pruned.cutoff, "to_delete": events });
        }
        env.out.json(&answer)?;
    } else if dry_run {
        env.out.line(format!(
            "{events} product usage event(s) older than {age} would be deleted; nothing was changed."
        ))?;
    } else {
        env.out.line(format!("Deleted {events} product usage event(s) older than {age}."))?;
    }
    Ok(0)
}

async fn check(json: bool, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let checked = ops.run(&session.actor, CheckRollups).await?;
    let code = u8::from(checked.different > 0);
    if json {
        env.out.json(&json!({ "schema_version": 1, "check": checked }))?;
        return Ok(code);
    }
    if checked.different == 0 {
        env.out.line("the counts are those of the ledger")?;
        return Ok(code);
    }
    let verb = if checked.different == 1 { "is not that" } else { "are not those" };
    env.out.line(format!("{} {verb} of the ledger", count(checked.different, "count")))?;
    let heading = text::time_heading("BEGINS", env.zone());
    let mut table = Table::new(&[&heading, "OF", "EVENT", "LEDGER", "COUNTED"]).right(3).right(4);
    for difference in &checked.differences {
        let of = match difference.workspace_id {
            Some(workspace) => format!("day of workspace {workspace}"),
            None => difference.span.clone(),
        };
        table.push([
            text::short_time(difference.start_at, env.zone()),
            of,
            difference.event.clone(),
            difference.ledger.to_string(),
            difference.counted.to_string(),
        ]);
    }
    table.print(&env.out)?;
    env.out.message("make them anew with: tenantpilot product-usage rebuild");
    Ok(code)
}

async fn rebuild(json: bool, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let events = ops.run(&session.actor, RebuildRollups).await?;
    if json {
        env.out.json(&json!({ "schema_version": 1, "rebuild": { "events": events } }))?;
    } else {
        env.out.line(format!("the counts were rebuilt from {}", count(events, "event")))?;
    }
    Ok(0)
}
