//! `runs`: listing, and what the other commands about runs share.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::runs_filter::{FilterArgs, cursor};
use super::text::{self, Table};
use super::{Env, examples, runs_control, runs_show, runs_watch};
use crate::domain::count::count;
use crate::domain::run::{Run, ScopeKind};
use crate::domain::run_facts::{RunFacts, Wait};
use crate::domain::run_state::RunState;
use crate::domain::summary_counts::CountKey;
use crate::ops::runs::{ListRuns, Page};
use crate::ops::telemetry::NOT_KEPT;
use crate::{Error, Result};

/// What can be done with runs.
#[derive(Debug, clap::Subcommand)]
pub enum RunsCommand {
    /// List runs, newest first
    #[command(before_help = examples!(
        "tenantpilot runs list",
        "tenantpilot runs list --filter 'status:failed since:24h !source:schedule'",
        "tenantpilot runs list --status failed,partial --tenant 'Contoso DE' --json",
    ))]
    List(Box<ListArgs>),
    /// Show one run: what failed, why, and what to do next
    #[command(before_help = examples!(
        "tenantpilot runs show 10480",
        "tenantpilot runs show 10480 --json",
    ))]
    Show(runs_show::ShowArgs),
    /// Follow one run until it ends
    #[command(before_help = examples!(
        "tenantpilot runs watch 10480",
        "tenantpilot runs watch 10480 --exit-status --timeout 10m && echo done",
    ))]
    Watch(runs_watch::WatchArgs),
    /// Cancel a run: at once if no active worker holds it, else after the steps in flight
    #[command(before_help = examples!(
        "tenantpilot runs cancel 10480 --dry-run",
        "tenantpilot runs cancel 10480 --yes",
        "tenantpilot runs cancel 10480 --force --confirm 'CLOSE 10480'",
    ))]
    Cancel(runs_control::CancelArgs),
    /// Try those targets of an ended run again that failed or never ran
    #[command(before_help = examples!(
        "tenantpilot runs retry 10480 --yes",
        "tenantpilot runs retry 10480 --confirm 'RETRY 12' \\",
        "    --reason-code INCIDENT --reason 'the provider is back'",
    ))]
    Retry(runs_control::RetryArgs),
    /// Pause a run: it rests in the queue until it is resumed
    #[command(before_help = examples!("tenantpilot runs pause 10480 --yes"))]
    Pause(runs_control::OneRun),
    /// Let a paused run go on
    #[command(before_help = examples!("tenantpilot runs resume 10480 --yes"))]
    Resume(runs_control::OneRun),
}

/// Arguments of `runs list`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// At most this many runs, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 50,
          value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
    /// Runs older than this place, which the page before gave as "next"
    #[arg(long, value_name = "CURSOR")]
    before: Option<String>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Runs one of them.
///
/// # Errors
/// Whatever the operation says.
pub async fn run(command: RunsCommand, env: &Env) -> Result<u8> {
    match command {
        RunsCommand::List(args) => list(*args, env).await,
        RunsCommand::Show(args) => runs_show::run(args, env).await,
        RunsCommand::Watch(args) => runs_watch::run(args, env).await,
        RunsCommand::Cancel(args) => runs_control::cancel(args, env).await,
        RunsCommand::Retry(args) => runs_control::retry(args, env).await,
        RunsCommand::Pause(args) => runs_control::pause(args, env).await,
        RunsCommand::Resume(args) => runs_control::resume(args, env).await,
    }
}

async fn list(args: ListArgs, env: &Env) -> Result<u8> {
    let filter = args.filter.filter(env.zone().offset(env.clock.now()))?;
    let page = match &args.before {
        Some(before) => Page::OlderThan(cursor::parse(before)?),
        None => Page::Newest,
    };
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let page = ops.run(&session.actor, ListRuns { filter, page, limit: args.limit }).await?;
    let now = env.clock.now();
    let next = page.next.as_ref().map(cursor::text);
    if args.json {
        let runs: Vec<Value> = page.runs.iter().map(|run| as_json(run, now)).collect();
        env.out.json(&json!({
            "schema_version": 1, "runs": runs, "next": next, "searched": page.searched,
            "missing_before": page.missing_before,
        }))?;
        return Ok(0);
    }
    table(&page.runs, env, now)?;
    if page.runs.is_empty() {
        env.out.message("no runs");
    }
    if let Some(searched) = page.searched {
        env.out.message(format!("searched {}", count(searched, "run")));
    }
    if let Some(at) = page.missing_before {
        let at = text::time(at, env.zone());
        env.out.message(format!("ended runs are {NOT_KEPT} before {at}"));
    }
    if let Some(next) = next {
        env.out.message(format!("there may be more: add --before {next}"));
    }
    Ok(0)
}

fn table(runs: &[Run], env: &Env, now: DateTime<Utc>) -> Result<()> {
    if runs.is_empty() {
        return Ok(());
    }
    let (zone, ascii) = (env.zone(), env.ascii());
    let created = text::time_heading("CREATED", zone);
    let headings = ["ID", &created, "TYPE", "TENANT", "STATE", "DONE", "TOOK", "BY", "REASON"];
    let mut table = Table::new(&headings).right(0).right(5).right(6);
    for run in runs {
        table.push([
            run.id.to_string(),
            text::short_time(run.created_at, zone),
            text::name(&run.run_type, ascii),
            text::name(&covered(run), ascii),
            RunState::of(run, now).label(ascii),
            progress(run).unwrap_or_default(),
            run.took(now).map(text::took).unwrap_or_default(),
            text::name(&initiator(run), ascii),
            reason(run, now),
        ]);
    }
    table.print(&env.out)
}

/// Why a run failed, or why it waits.
fn reason(run: &Run, now: DateTime<Utc>) -> String {
    let waits = || RunFacts::of(run, now).wait().and_then(Wait::short);
    run.reason_code.clone().or_else(waits).unwrap_or_default()
}

/// Reads the number of a run.
///
/// # Errors
/// *Usage* for anything but a whole number above 0.
pub fn id(text: &str) -> Result<i64> {
    text.parse()
        .ok()
        .filter(|id| *id > 0)
        .ok_or_else(|| Error::usage("the number of a run is a whole number above 0"))
}

/// A run with its columns, and its state as operators say it.
pub fn as_json(run: &Run, now: DateTime<Utc>) -> Value {
    let mut value = json!(run);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("state".to_owned(), json!(RunState::of(run, now)));
        let facts = RunFacts::of(run, now);
        fields.insert("waits".to_owned(), json!(facts.wait()));
        fields.insert("waits_sentence".to_owned(), json!(facts.wait_text()));
        fields.insert("support".to_owned(), json!(run.basis.support));
    }
    value
}

/// What a run covers, in a few words.
pub fn covered(run: &Run) -> String {
    let tenants = count(run.target_count, "tenant");
    match (run.scope, &run.tenant_name, &run.workspace_name) {
        (ScopeKind::Platform, ..) => match &run.subject {
            Some(subject) => format!("(platform: {subject})"),
            None => "(platform)".to_owned(),
        },
        (ScopeKind::Tenant, Some(name), _) => name.clone(),
        (ScopeKind::Tenant, None, _) => {
            run.tenant_id.map_or_else(String::new, |id| format!("tenant {id}"))
        }
        (ScopeKind::Workspace, _, Some(name)) => format!("{tenants} of {name}"),
        (ScopeKind::All, ..) => format!("all ({tenants})"),
        _ => tenants,
    }
}

/// Who started it.
pub fn initiator(run: &Run) -> String {
    match &run.initiator_name {
        Some(name) => name.clone(),
        None => format!("({})", run.source),
    }
}

/// `37 of 40`, where the total is known.
pub fn progress(run: &Run) -> Option<String> {
    let total = run.summary_counts.get(CountKey::Total)?;
    let done = run.summary_counts.get(CountKey::Processed).unwrap_or(0);
    Some(format!("{done}/{total}"))
}
