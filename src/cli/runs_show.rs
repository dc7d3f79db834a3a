//! `runs show`: the answer first (what failed, why, what to do), then the evidence.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::Env;
use super::runs::{as_json, covered};
use super::text::{self, Table};
use crate::Result;
use crate::domain::confirmation::{Action, Confirmation, RETRY};
use crate::domain::failure::{ReasonCode, one_sentence_summary};
use crate::domain::run::{RunOutcome, RunStatus, RunTarget};
use crate::domain::run_facts::{NoRetry, RetriedAs, Retry, RunFacts};
use crate::domain::run_state::RunState;
use crate::domain::summary_counts::CountKey;
use crate::ops::runs::{FailureGroup, GetRun, RunDetail, RunFault};

/// How many failures of one reason are shown as text; `--json` has them all.
const EXAMPLES: usize = 5;
/// How many targets are shown as text.
const TARGETS: usize = 20;

/// Arguments of `runs show`.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// Number of the run
    #[arg(value_name = "ID", value_parser = super::runs::id)]
    id: i64,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Shows one run.
///
/// # Errors
/// *Not found* also for a run that may not be seen.
pub async fn run(args: ShowArgs, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let detail = ops.run(&session.actor, GetRun { id: args.id }).await?;
    let now = env.clock.now();
    if args.json {
        env.out.json(&json!({ "schema_version": 1, "run": detail_json(&detail, now) }))?;
    } else {
        head(&detail, env, now)?;
        verdict(&detail, env, now)?;
        evidence(&detail, env, now)?;
    }
    Ok(0)
}

/// A run with everything that explains it.
pub fn detail_json(detail: &RunDetail, now: DateTime<Utc>) -> Value {
    let mut value = as_json(&detail.run, now);
    let facts = detail.facts(now);
    let groups: Vec<Value> = detail.groups.iter().map(|group| group_json(group, &facts)).collect();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("context".to_owned(), detail.context.clone());
        fields.insert("targets".to_owned(), json!(detail.targets));
        fields.insert("failures".to_owned(), json!(detail.failures));
        fields.insert("groups".to_owned(), Value::Array(groups));
        fields.insert("audit".to_owned(), json!(detail.audit));
        fields.insert("lease".to_owned(), json!(detail.lease));
        fields.insert("elsewhere".to_owned(), json!(detail.elsewhere));
        fields.insert("in_flight".to_owned(), json!(detail.in_flight));
        fields.insert("stop_reason".to_owned(), json!(detail.stop_reason));
        fields.insert("rollout".to_owned(), json!(detail.rollout));
        fields.insert("retry_of".to_owned(), json!(detail.retry_of));
        let retries: Vec<i64> = detail.retried_by.iter().map(|again| again.run_id).collect();
        fields.insert("retried_by".to_owned(), json!(retries));
        fields.insert("retried_as".to_owned(), json!(facts.retried_as));
        fields.insert("waits".to_owned(), json!(facts.wait()));
        fields.insert("waits_sentence".to_owned(), json!(facts.wait_text()));
        fields.insert("retryable".to_owned(), json!(facts.retry().targets().unwrap_or(0)));
        fields.insert("retry_refusal".to_owned(), json!(facts.no_retry()));
        let needs_worker = matches!(facts.retry(), Retry::NeedsWorker { .. });
        fields.insert("retry_needs_worker".to_owned(), json!(needs_worker));
        fields.insert("next_step".to_owned(), json!(facts.next_while_active()));
        let requests: Vec<Value> = detail
            .requests
            .iter()
            .map(|request| {
                json!({
                    "kind": request.kind, "requested_by": request.requested_by,
                    "requested_at": request.requested_at,
                    "acknowledged_at": request.acknowledged_at,
                })
            })
            .collect();
        fields.insert("requests".to_owned(), Value::Array(requests));
        fields.insert("gaps".to_owned(), json!(detail.gaps));
    }
    value
}

fn group_json(group: &FailureGroup, facts: &RunFacts<'_>) -> Value {
    let code = ReasonCode::of(&group.reason_code);
    json!({
        "reason_code": group.reason_code,
        "count": group.count,
        "label": code.label(),
        "explanation": code.explanation(),
        "retry": code.retry(),
        "retry_sentence": facts.retry_help(code),
        "next_step": facts.next_step(code),
    })
}

fn head(detail: &RunDetail, env: &Env, now: DateTime<Utc>) -> Result<()> {
    let (run, out, zone) = (&detail.run, &env.out, env.zone());
    let state = RunState::of(run, now).label(env.ascii());
    out.line(format!("run {}  {}  {state}", run.id, run.run_type))?;
    let mut place = covered(run);
    if let Some(workspace) = &run.workspace_name {
        place = format!("{place}, workspace {workspace}");
    }
    out.line(format!("covers     {place}"))?;
    out.line(match &run.initiator_name {
        Some(name) => format!("started by {name} ({})", run.source),
        None => format!("started by the system ({})", run.source),
    })?;
    if let Some((code, reason)) = detail.break_glass() {
        out.line(format!("started under break-glass: {code}, {reason}"))?;
    }
    out.line(format!("queued     {}", text::time(run.created_at, zone)))?;
    if let Some(at) = run.started_at {
        out.line(format!("started    {}", text::time(at, zone)))?;
    }
    if let Some(at) = run.paused_at {
        out.line(format!("paused     {}", text::time(at, zone)))?;
    }
    for request in &detail.requests {
        let by = request.requested_by.as_deref().unwrap_or("the system");
        let how = match (request.acknowledged_at, run.status) {
            (_, RunStatus::Completed) => String::new(),
            (None, _) => ", not yet acknowledged".to_owned(),
            (Some(_), _) => format!(", acknowledged, {} in flight", detail.in_flight),
        };
        let at = text::time(request.requested_at, zone);
        let by = text::name(by, env.ascii());
        out.line(format!("{:<10} requested {at} by {by}{how}", request.kind))?;
    }
    let facts = detail.facts(now);
    if let Some(why) = facts.wait_text() {
        let waited = text::took(now - run.waiting_since());
        out.line(match facts.state {
            RunState::Stale => format!("waits      not started for {waited}: {why}"),
            _ => format!("waits      {why}"),
        })?;
    }
    if facts.state == RunState::Stuck && facts.wait().is_none() {
        let next = facts.support.obstacle(&run.run_type);
        let next = next.map_or("another worker takes over".to_owned(), |why| {
            format!("{why}, so none takes over")
        });
        out.line(format!("worker lost or unable to write, its lease expired: {next}"))?;
    }
    if let Some(next) = facts.next_while_active() {
        out.line(format!("next       {next}"))?;
    }
    if detail.run.target_count > 1 {
        out.line(format!("rollout    {}", detail.rollout.words()))?;
    }
    if let Some(first) = detail.retry_of {
        out.line(format!("retries    run {first}"))?;
    }
    for RetriedAs { run_id, state } in &detail.retried_by {
        out.line(format!("retried    as run {run_id} ({})", state.word()))?;
    }
    if let Some(reason) = detail.stop_reason {
        out.line(format!("stopped    {}", reason.sentence()))?;
    }
    if let Some(at) = run.completed_at {
        out.line(format!("completed  {}", text::time(at, zone)))?;
    }
    if let Some(took) = run.took(now) {
        out.line(format!("took       {}", text::took(took)))?;
    }
    if let Some(lease) = &detail.lease {
        let (beat, until) =
            (text::time(lease.heartbeat_at, zone), text::time(lease.expires_at, zone));
        out.line(format!(
            "worker     {}, last sign of life {beat}, held until {until}",
            text::name(lease.worker.as_deref().unwrap_or(&lease.owner), env.ascii())
        ))?;
    }
    let counts: Vec<String> =
        run.summary_counts.iter().map(|(key, n)| format!("{key} {n}")).collect();
    if !counts.is_empty() {
        out.line(format!("counts     {}", counts.join("  ")))?;
    }
    for gap in detail.gaps.lines(run.audit_gaps) {
        out.line(format!("missing    {gap}"))?;
    }
    for RunFault { during, fault, times, last_at } in &detail.faults {
        let (times, at) = (times_of(*times), text::time(*last_at, zone));
        out.line(format!("database   {during}: {fault}; {times}, last {at}"))?;
    }
    Ok(())
}

fn times_of(n: i64) -> String {
    if n == 1 { "once".to_owned() } else { format!("{n} times") }
}

fn verdict(detail: &RunDetail, env: &Env, now: DateTime<Utc>) -> Result<()> {
    let (run, out) = (&detail.run, &env.out);
    let facts = detail.facts(now);
    let failed = run.summary_counts.get(CountKey::Failed).unwrap_or(0);
    if detail.groups.is_empty() && failed == 0 && run.reason_code.is_none() {
        return Ok(());
    }
    out.line("")?;
    let total = run.summary_counts.get(CountKey::Total).unwrap_or(0);
    let skipped = run.summary_counts.get(CountKey::Skipped).unwrap_or(0);
    let groups: Vec<(String, u64)> = detail
        .groups
        .iter()
        .map(|group| (group.reason_code.clone(), u64::try_from(group.count).unwrap_or(0)))
        .collect();
    if failed > 0 {
        let targets = run.target_count;
        let sentence = one_sentence_summary(failed, skipped, total, targets, &groups);
        out.line(format!("{sentence}:"))?;
    }
    if detail.groups.is_empty()
        && let Some(reason) = &run.reason_code
    {
        explain(env, &facts, reason, None)?;
    }
    for group in &detail.groups {
        explain(env, &facts, &group.reason_code, Some(group.count))?;
        let mine = || detail.failures.iter().filter(|f| f.reason_code == group.reason_code);
        for failure in mine().take(EXAMPLES) {
            let tenant = failure.tenant_name.as_deref().unwrap_or("(platform)");
            let at = text::time(failure.occurred_at, env.zone());
            out.line(format!(
                "    {at}  {}  {}",
                text::name(tenant, env.ascii()),
                failure.message
            ))?;
        }
        let more =
            usize::try_from(group.count).unwrap_or(0).saturating_sub(mine().take(EXAMPLES).count());
        if more > 0 {
            out.line(format!("    and {more} more"))?;
        }
    }
    if let Some(elsewhere) = detail.elsewhere.filter(|n| *n > 0) {
        out.line("")?;
        out.line(format!(
            "other runs that failed for the main reason within 24 hours: {elsewhere}"
        ))?;
    }
    Ok(())
}

fn explain(env: &Env, facts: &RunFacts<'_>, reason: &str, count: Option<i64>) -> Result<()> {
    let code = ReasonCode::of(reason);
    let glyph = RunState::Failed.glyph(env.ascii());
    let times = if env.ascii() { "x" } else { "×" };
    let count = count.map(|count| format!("  {times}{count}")).unwrap_or_default();
    env.out.line(format!("  {glyph} {reason}{count}  {}", code.explanation()))?;
    env.out.line(format!("    retry: {}", facts.retry_help(code)))?;
    match facts.next_step(code).as_str() {
        "" => Ok(()),
        next => env.out.line(format!("    next: {next}")),
    }
}

fn evidence(detail: &RunDetail, env: &Env, now: DateTime<Utc>) -> Result<()> {
    let (run, out, zone, ascii) = (&detail.run, &env.out, env.zone(), env.ascii());
    if !detail.targets.is_empty() {
        out.line("")?;
        out.line(format!("targets ({})", run.target_count))?;
        let changed = text::time_heading("CHANGED", zone);
        let mut table =
            Table::new(&["#", "TENANT", "STATUS", "STARTS", &changed, "REASON"]).right(0);
        for target in detail.targets.iter().take(TARGETS) {
            table.push(target_row(target, env));
        }
        table.print(out)?;
        let shown = detail.targets.len().min(TARGETS);
        let more = usize::try_from(run.target_count).unwrap_or(0).saturating_sub(shown);
        if more > 0 {
            out.line(format!(
                "and {more} more; --json shows up to {}",
                crate::ops::runs::TARGETS_SHOWN
            ))?;
        }
    }
    if let Value::Object(context) = &detail.context
        && !context.is_empty()
    {
        out.line("")?;
        out.line("context")?;
        for (key, value) in context.iter().filter(|(key, _)| *key != "database_faults") {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            out.line(format!("  {key}: {value}"))?;
        }
    }
    if let Some(audit) = detail.audit.as_ref().filter(|audit| !audit.is_empty()) {
        out.line("")?;
        out.line("audit")?;
        for row in audit {
            let who = row.actor_name.as_deref().unwrap_or(&row.actor_kind);
            let at = text::time(row.occurred_at, zone);
            let who = text::name(who, ascii);
            let mark = if row.break_glass { "  break-glass" } else { "" };
            out.line(format!("  {at}  {who}  {}  {}{mark}", row.action, row.status))?;
        }
    }
    if run.status != RunStatus::Completed {
        out.line("")?;
        out.message(format!("follow it with: tenantpilot runs watch {}", run.id));
        return Ok(());
    }
    let id = run.id;
    let facts = detail.facts(now);
    match facts.retry() {
        Retry::Impossible(NoRetry::Retried(retried)) => {
            let (text, new) = (retried.text(), retried.run_id);
            out.message(format!("{text}; see it: tenantpilot runs show {new}"));
        }
        Retry::Possible { targets } => {
            let count = usize::try_from(targets).unwrap_or(usize::MAX);
            let confirmation = Confirmation::of(&Action::Tenants { word: RETRY, count, odd: &[] })?;
            let options = confirmation.options();
            out.message(format!("retry it: tenantpilot runs retry {id} {options}"));
        }
        Retry::NeedsWorker { .. } => {
            let why = run.basis.support.obstacle(&run.run_type).unwrap_or_default();
            out.message(format!("a retry waits for a worker: {why}"));
        }
        Retry::Impossible(_) => {
            let line = facts.no_retry_line();
            if let Some(line) = line.filter(|_| run.outcome != RunOutcome::Succeeded) {
                out.message(line);
            }
        }
    }
    if matches!(
        run.outcome,
        RunOutcome::Failed | RunOutcome::PartiallySucceeded | RunOutcome::Blocked
    ) {
        out.message(format!(
            "ask for support: tenantpilot support create --run {id} --summary TEXT"
        ));
    }
    Ok(())
}

fn target_row(target: &RunTarget, env: &Env) -> [String; 6] {
    let tenant = match (&target.tenant_name, target.tenant_id) {
        (Some(name), _) => text::name(name, env.ascii()),
        (None, Some(id)) => format!("tenant {id}"),
        (None, None) => "(platform)".to_owned(),
    };
    [
        target.ordinal.to_string(),
        tenant,
        target.status.to_string(),
        target.starts.to_string(),
        text::short_time(target.updated_at, env.zone()),
        match (target.reason_code.clone().unwrap_or_default(), target.failed_share()) {
            (reason, Some(share)) => format!("{reason}, {share}"),
            (reason, None) => reason,
        },
    ]
}
