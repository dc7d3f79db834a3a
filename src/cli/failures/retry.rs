//! `failures retry`: has the runs of one error tried again, exactly those that were shown.

use serde_json::{Value, json};

use crate::cli::ask::{self, ConsentArgs};
use crate::cli::overview::WindowArgs;
use crate::cli::{Env, break_glass, runs_control};
use crate::domain::confirmation::Given;
use crate::domain::count::count;
use crate::domain::run::Source;
use crate::ops::About;
use crate::ops::overview::{GroupRetried, GroupRetryPlan, PlanGroupRetry, RetryGroup, Skipped};
use crate::{Error, Result};

/// How many runs that are left out stand in the text.
const SHOWN: usize = 20;

/// Arguments of `failures retry`.
#[derive(Debug, clap::Args)]
pub struct RetryArgs {
    /// The error's fingerprint, as the list shows it
    #[arg(value_name = "FINGERPRINT")]
    fingerprint: String,
    #[command(flatten)]
    window: WindowArgs,
    #[command(flatten)]
    consent: ConsentArgs,
    /// Queue new runs also where no active worker supports their type
    #[arg(long)]
    wait_for_worker: bool,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Tries them again.
///
/// # Errors
/// *Refused* where nothing can be tried again, and whatever the operation says.
pub async fn run(args: RetryArgs, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let (fingerprint, window) = (args.fingerprint.clone(), args.window.window);
    let wait_for_worker = args.wait_for_worker;
    let look = PlanGroupRetry { fingerprint, window, wait_for_worker };
    let about =
        About::of("failure_fingerprint", &args.fingerprint).with(&args.consent.consent(env)?);
    let plan = ops.prepare::<RetryGroup, _>(&session.actor, about, look).await?;
    let dry_run = args.consent.is_dry_run();
    let retry = |run_ids, consent| RetryGroup {
        fingerprint: plan.fingerprint.clone(),
        run_ids,
        consent,
        source: Source::Cli,
        wait_for_worker,
    };
    if plan.runs.is_empty() {
        if dry_run {
            rehearsed(&plan, &args, env)?;
        } else {
            answer(&plan, &GroupRetried::default(), &args, env)?;
        }
        let run_ids = plan.denied();
        if !run_ids.is_empty() {
            // It is denied by name, and audited.
            ops.run(&session.actor, retry(run_ids, args.consent.consent(env)?)).await?;
        }
        return Err(nothing());
    }
    let consent = args.consent.consent(env)?;
    if consent.given == Given::Ask {
        for line in planned(&plan) {
            env.out.message(line);
        }
        runs_control::left_out(env, plan.left_out_count);
    }
    break_glass::notice(env, &session);
    let what = format!("{} would be tried again.", aim(&plan));
    let retry = |consent| retry(plan.runs.iter().map(|run| run.run_id).collect(), consent);
    let done = ask::confirmed(env, &ops, &session.actor, &what, consent, retry).await?;
    if dry_run {
        rehearsed(&plan, &args, env)?;
        return Ok(0);
    }
    answer(&plan, &done, &args, env)?;
    if done.started.is_empty() { Err(nothing()) } else { Ok(u8::from(!done.unknown.is_empty())) }
}

fn nothing() -> Error {
    Error::refused("nothing was started").hint("each run that was left out is named, with why")
}

/// `12 targets of 3 runs`.
fn aim(plan: &GroupRetryPlan) -> String {
    format!("{} of {}", count(plan.targets, "target"), count(plan.runs.len(), "run"))
}

/// The runs that would be tried again.
fn planned(plan: &GroupRetryPlan) -> impl Iterator<Item = String> {
    plan.runs.iter().map(|run| {
        format!("run {}  {}  {}", run.run_id, run.run_type, count(run.targets, "target"))
    })
}

fn rehearsed(plan: &GroupRetryPlan, args: &RetryArgs, env: &Env) -> Result<()> {
    if args.json {
        return env.out.json(&json!({ "schema_version": 1, "dry_run": true, "plan": plan }));
    }
    if !plan.runs.is_empty() {
        env.out.line(format!("{} would be tried again; nothing was started", aim(plan)))?;
    }
    planned(plan).try_for_each(|line| env.out.line(line))?;
    left_out(plan, env);
    if !plan.runs.is_empty() {
        let (one, again) = (&plan.fingerprint, args.window.again());
        let confirmation = &plan.confirmation;
        // On a line of its own, so that it stays whole.
        env.out.message("start them:");
        let options = confirmation.options();
        let wait = if args.wait_for_worker { " --wait-for-worker" } else { "" };
        env.out.message(format!("tenantpilot failures retry {one}{again}{wait} {options}"));
    }
    Ok(())
}

fn answer(plan: &GroupRetryPlan, done: &GroupRetried, args: &RetryArgs, env: &Env) -> Result<()> {
    if args.json {
        let started: Vec<Value> =
            done.started.iter().map(|(of, run)| json!({ "retry_of": of, "run_id": run })).collect();
        return env.out.json(&json!({
            "schema_version": 1,
            "retry": {
                "fingerprint": plan.fingerprint,
                "started": started,
                "refused": done.refused,
                "unknown": done.unknown,
                "skipped": plan.skipped,
                "left": plan.left,
                "left_out_count": plan.left_out_count,
            },
        }));
    }
    for (of, run) in &done.started {
        env.out.line(format!("run {of} is tried again as run {run}"))?;
    }
    for one in &done.refused {
        env.out.message(not_started(one));
    }
    for run in &done.unknown {
        env.out.message(format!(
            "run {run}: its retry may or may not have been started; look: tenantpilot runs list"
        ));
    }
    left_out(plan, env);
    if let Some((_, run)) = done.started.first() {
        env.out.message(format!("follow one: tenantpilot runs watch {run}"));
    }
    Ok(())
}

fn not_started(one: &Skipped) -> String {
    format!("run {} is not tried again: {}", one.run_id, one.why)
}

/// Names what the plan left out.
fn left_out(plan: &GroupRetryPlan, env: &Env) {
    for one in plan.skipped.iter().take(SHOWN) {
        env.out.message(not_started(one));
    }
    let more = plan.skipped.len().saturating_sub(SHOWN);
    if more > 0 {
        env.out.message(format!("and {more} more are not; --json names all of them"));
    }
    runs_control::left_out(env, plan.left_out_count);
    if plan.waiting > 0 {
        let runs = count(plan.waiting, "run");
        env.out.message(format!("{runs} can wait for a worker: add --wait-for-worker"));
    }
    if plan.left > 0 {
        let after = count(plan.left, "run");
        env.out.message(format!("{after} can be tried again after these: do it once more"));
    }
}
