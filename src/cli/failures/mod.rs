//! `failures`: what fails, by what it says.

mod retry;

use serde_json::{Value, json};

use super::overview::{WindowArgs, listing};
use super::text::{self, Table};
use super::{Env, examples};
use crate::domain::capability::Capability;
use crate::domain::count::count;
use crate::domain::failure::ReasonCode;
use crate::domain::run_state::RunState;
use crate::ops::Ops;
use crate::ops::auth::Session;
use crate::ops::overview::{
    FingerprintGroup, FingerprintPage, GetFingerprint, ListFingerprints, PlanGroupRetry,
};
use crate::ops::telemetry::NOT_KEPT;
use crate::{Error, Result};

/// How wide a pattern is under its row, so that it stays within 80 columns.
const PATTERN: usize = 76;

/// What can be done with failures.
#[derive(Debug, clap::Subcommand)]
pub enum FailuresCommand {
    /// List the errors of a window, each once, the commonest first
    #[command(before_help = examples!(
        "tenantpilot failures list",
        "tenantpilot failures list --window 7d --limit 5 --json",
    ))]
    List(ListArgs),
    /// Show one error: what it says, why, whether a retry helps, and what to do next
    #[command(before_help = examples!(
        "tenantpilot failures show 3fa9c01b77de",
        "tenantpilot failures show 3fa9c01b77de --window 30d --json",
    ))]
    Show(ShowArgs),
    /// Try the runs of one error again, at most 50 at a time
    #[command(before_help = examples!(
        "tenantpilot failures retry 3fa9c01b77de --dry-run",
        "tenantpilot failures retry 3fa9c01b77de --confirm 'RETRY 12' \\",
        "    --reason-code INCIDENT --reason 'the provider is back'",
    ))]
    Retry(retry::RetryArgs),
}

/// Arguments of `failures list`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    window: WindowArgs,
    /// At most this many errors, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 20, allow_negative_numbers = true,
          value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `failures show`.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// The error's fingerprint, as the list shows it
    #[arg(value_name = "FINGERPRINT")]
    fingerprint: String,
    #[command(flatten)]
    window: WindowArgs,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Runs one of them.
///
/// # Errors
/// Whatever the operation says.
pub async fn run(command: FailuresCommand, env: &Env) -> Result<u8> {
    match command {
        FailuresCommand::List(args) => list(args, env).await,
        FailuresCommand::Show(args) => show(args, env).await,
        FailuresCommand::Retry(args) => retry::run(args, env).await,
    }
}

async fn list(args: ListArgs, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let asked = ListFingerprints { window: args.window.window, limit: args.limit };
    let page = ops.run(&session.actor, asked).await?;
    if args.json {
        env.out.json(&json!({
            "schema_version": 1,
            "window": page.window,
            "as_of": page.as_of,
            "missing_before": page.missing_before,
            "sentence": page.sentence(),
            "total_failures": page.total_failures,
            "total_fingerprints": page.total_fingerprints,
            "fingerprints": page.fingerprints,
        }))?;
        return Ok(0);
    }
    env.out.line(page.sentence())?;
    if page.fingerprints.is_empty() {
        return Ok(0);
    }
    env.out.line("")?;
    table(&page, env)?;
    let left = page.total_fingerprints - i64::try_from(page.fingerprints.len()).unwrap_or(0);
    if left > 0 {
        env.out.message(format!("{}: raise --limit", count(left, "more error")));
    }
    let again = args.window.again();
    env.out.message(format!("look at one: tenantpilot failures show FINGERPRINT{again}"));
    Ok(0)
}

fn table(page: &FingerprintPage, env: &Env) -> Result<()> {
    let last = text::time_heading("LAST", env.zone());
    let headings = ["FINGERPRINT", "FAILURES", "RUNS", "TENANTS", &last, "REASON"];
    let mut table = Table::new(&headings).right(1).right(2).right(3);
    for group in &page.fingerprints {
        table.push([
            named(&group.fingerprint).to_owned(),
            group.failures.to_string(),
            group.runs.to_string(),
            group.tenants.to_string(),
            text::short_time(group.last_seen_at, env.zone()),
            group.reason_code.clone(),
        ]);
        table.note(&text::cut(&group.pattern, PATTERN, env.ascii()));
    }
    table.print(&env.out)
}

/// A fingerprint; failures that were written past the program have none.
fn named(fingerprint: &str) -> &str {
    if fingerprint.is_empty() { "(none)" } else { fingerprint }
}

async fn show(args: ShowArgs, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let asked =
        GetFingerprint { fingerprint: args.fingerprint.clone(), window: args.window.window };
    let group = ops.run(&session.actor, asked).await?;
    if args.json {
        env.out.json(&json!({ "schema_version": 1, "fingerprint": explained(&group)? }))?;
        return Ok(0);
    }
    told(&group, env)?;
    for line in listing("list its runs", &group.filter) {
        env.out.message(line);
    }
    if session.capabilities.has(Capability::OpsManage) && !group.fingerprint.is_empty() {
        retry_hint(&ops, &session, &group, &args, env).await?;
    }
    Ok(0)
}

/// Says how the runs of a group are retried, or why none can be.
async fn retry_hint(
    ops: &Ops,
    session: &Session,
    group: &FingerprintGroup,
    args: &ShowArgs,
    env: &Env,
) -> Result<()> {
    let (one, again) = (&group.fingerprint, args.window.again());
    let (fingerprint, window) = (one.clone(), args.window.window);
    let asked = PlanGroupRetry { fingerprint, window, wait_for_worker: false };
    let plan = ops.run(&session.actor, asked).await?;
    let command = format!("tenantpilot failures retry {one}{again}");
    match plan.reasons().as_slice() {
        _ if !plan.runs.is_empty() => env.out.message(format!("retry them: {command}")),
        [] => {}
        _ if plan.waiting > 0 => {
            env.out.message("no active worker supports them; queue a retry all the same:");
            env.out.message(format!("{command} --wait-for-worker"));
        }
        [(_, why, _)] => env.out.message(format!("none can be retried: {why}")),
        _ => {
            env.out.message("none can be retried:");
            plan.left_out().for_each(|text| env.out.message(text));
        }
    }
    Ok(())
}

/// A group with what its reason means.
fn explained(group: &FingerprintGroup) -> Result<Value> {
    let unreadable = |_| Error::failed("the answer cannot be written as JSON");
    let mut value = serde_json::to_value(group).map_err(unreadable)?;
    let code = ReasonCode::of(&group.reason_code);
    value["explanation"] = json!(code.explanation());
    value["retry"] = json!(code.retry());
    value["retry_sentence"] = json!(code.retry().sentence());
    value["next_step"] = json!(code.next_step());
    Ok(value)
}

fn told(group: &FingerprintGroup, env: &Env) -> Result<()> {
    let (out, zone, ascii) = (&env.out, env.zone(), env.ascii());
    let code = ReasonCode::of(&group.reason_code);
    let glyph = RunState::Failed.glyph(ascii);
    let long = |lead: &str, text: &str| {
        text::wrapped(lead, text).iter().try_for_each(|line| out.line(line))
    };
    long(&format!("{}  ", group.fingerprint), &group.pattern)?;
    out.line("")?;
    long(&format!("{glyph} "), &format!("{}: {}", group.reason_code, code.explanation()))?;
    out.line(format!("  {}", code.retry().sentence()))?;
    long("  next: ", code.next_step())?;
    out.line("")?;
    out.line(format!("failures   {}", counts(group)))?;
    out.line(format!("first      {}", text::time(group.first_seen_at, zone)))?;
    out.line(format!("last       {}", text::time(group.last_seen_at, zone)))?;
    if let Some(at) = group.missing_before {
        out.line(format!("missing    ended runs are {NOT_KEPT} before {}", text::time(at, zone)))?;
    }
    let sample = &group.sample;
    let tenant = match (&sample.tenant_name, sample.tenant_id) {
        (Some(name), _) => text::name(name, ascii),
        (None, Some(id)) => format!("tenant {id}"),
        (None, None) => "(no tenant)".to_owned(),
    };
    out.line(format!("sample     run {}  {}  {tenant}", sample.run_id, sample.run_type))?;
    out.line(format!("           {}", text::time(sample.occurred_at, zone)))?;
    long("           ", &sample.message)
}

/// `1200 in 400 runs of 388 tenants`.
fn counts(group: &FingerprintGroup) -> String {
    let of = match group.tenants {
        0 => String::new(),
        tenants => format!(" of {}", count(tenants, "tenant")),
    };
    format!("{} in {}{of}", group.failures, count(group.runs, "run"))
}
