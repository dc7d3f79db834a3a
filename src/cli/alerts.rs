//! `alerts`: what was sent, what was not and why, and having a dead one tried again.

use serde_json::json;

use super::ask::{self, ConsentArgs};
use super::text::{self, Table};
use super::{Env, examples};
use crate::ops::alerts::{Alert, AlertStatus, ListAlerts, RetryAlert};
use crate::worker::alerts::NO_WEBHOOK;
use crate::{Error, Result};

/// What can be done with alerts.
#[derive(Debug, clap::Subcommand)]
pub enum AlertsCommand {
    /// List alerts and their delivery, newest first
    #[command(before_help = examples!(
        "tenantpilot alerts list",
        "tenantpilot alerts list --status dead --json",
    ))]
    List(ListArgs),
    /// Have a dead alert tried again
    #[command(before_help = examples!("tenantpilot alerts retry 17 --yes"))]
    Retry(RetryArgs),
}

/// Arguments of `alerts list`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Only these: pending, delivered or dead
    #[arg(long, value_name = "STATUS")]
    status: Option<AlertStatus>,
    /// At most this many alerts, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 50,
          value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `alerts retry`.
#[derive(Debug, clap::Args)]
pub struct RetryArgs {
    /// Number of the alert
    #[arg(value_name = "ID", value_parser = id)]
    id: i64,
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
pub async fn run(command: AlertsCommand, env: &Env) -> Result<u8> {
    match command {
        AlertsCommand::List(args) => list(args, env).await,
        AlertsCommand::Retry(args) => retry(args, env).await,
    }
}

async fn list(args: ListArgs, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let list = ListAlerts { status: args.status, limit: args.limit };
    let page = ops.run(&session.actor, list).await?;
    let configured = env.config.alerts_webhook_url.value.is_some();
    if args.json {
        env.out.json(&json!({
            "schema_version": 1, "alerts": page.alerts, "more": page.more,
            "webhook_configured": configured,
        }))?;
        return Ok(0);
    }
    table(&page.alerts, env)?;
    if page.alerts.is_empty() {
        env.out.message("no alerts");
    }
    if page.more {
        env.out.message("there are more: raise --limit, or narrow with --status");
    }
    if !configured && page.alerts.iter().any(|alert| alert.status == AlertStatus::Pending) {
        env.out.message(format!("{NO_WEBHOOK} here: set alerts.webhook_url where the worker runs"));
    }
    Ok(0)
}

fn table(alerts: &[Alert], env: &Env) -> Result<()> {
    if alerts.is_empty() {
        return Ok(());
    }
    let (zone, ascii) = (env.zone(), env.ascii());
    let created = text::time_heading("CREATED", zone);
    let next = text::time_heading("NEXT", zone);
    let headings = ["ID", &created, "EVENT", "RUN", "STATUS", "TRIES", &next, "ERROR"];
    let mut table = Table::new(&headings).right(0).right(3).right(5);
    for alert in alerts {
        table.push([
            alert.id.to_string(),
            text::short_time(alert.created_at, zone),
            text::name(&alert.event, ascii),
            run_text(alert),
            alert.status.to_string(),
            alert.attempts.to_string(),
            alert.next_attempt_at.map(|at| text::short_time(at, zone)).unwrap_or_default(),
            alert.last_error.clone().unwrap_or_default(),
        ]);
    }
    table.print(&env.out)
}

/// The number of its run, and whether that is kept no more.
fn run_text(alert: &Alert) -> String {
    let gone = if alert.run_kept { "" } else { " not kept" };
    alert.run_id.map(|id| format!("{id}{gone}")).unwrap_or_default()
}

async fn retry(args: RetryArgs, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let consent = args.consent.consent(env)?;
    let retry = |consent| RetryAlert { id: args.id, consent };
    let what = format!("Alert {} would be sent again.", args.id);
    let alert = ask::confirmed(env, &ops, &session.actor, &what, consent, retry).await?;
    let dry_run = args.consent.is_dry_run();
    if args.json {
        let mut answer = json!({ "schema_version": 1, "alert": alert });
        if dry_run {
            answer["dry_run"] = json!(true);
        }
        env.out.json(&answer)?;
    } else if dry_run {
        env.out.line(format!("alert {} would be tried again; nothing was changed", alert.id))?;
    } else {
        env.out.line(format!("alert {} is tried again", alert.id))?;
    }
    Ok(0)
}

fn id(text: &str) -> Result<i64> {
    text.parse()
        .ok()
        .filter(|id| *id > 0)
        .ok_or_else(|| Error::usage("the number of an alert is a whole number above 0"))
}
