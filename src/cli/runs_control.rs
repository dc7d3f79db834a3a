//! `runs cancel`, `retry`, `pause` and `resume`: what people ask of a run.

use serde_json::json;

use super::runs::as_json;
use super::{Env, ask, break_glass};
use crate::Result;
use crate::domain::run::{Run, RunStatus, Source};
use crate::ops::Ops;
use crate::ops::auth::Session;
use crate::ops::runs::{
    CancelRun, CloseRun, Controlled, GetRun, PauseRun, PlanRetry, ResumeRun, RetryRun, Started,
    retry_phrase,
};

/// A run, and how to answer.
#[derive(Debug, clap::Args)]
pub struct OneRun {
    /// Number of the run
    #[arg(value_name = "ID", value_parser = super::runs::id)]
    id: i64,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `runs cancel`.
#[derive(Debug, clap::Args)]
pub struct CancelArgs {
    #[command(flatten)]
    run: OneRun,
    /// Close it at once, whatever its worker does; for a worker that does not answer
    #[arg(long)]
    force: bool,
    /// With --force: the phrase "CLOSE ID"
    #[arg(long, value_name = "PHRASE", requires = "force")]
    confirm: Option<String>,
}

/// Arguments of `runs retry`.
#[derive(Debug, clap::Args)]
pub struct RetryArgs {
    #[command(flatten)]
    run: OneRun,
    /// The phrase "RETRY N", where more than one target is to be tried again
    #[arg(long, value_name = "PHRASE")]
    confirm: Option<String>,
    /// Your own id of this request: the same one twice makes one run
    #[arg(long, value_name = "TEXT")]
    request_id: Option<String>,
}

/// Cancels a run, or closes it by force.
///
/// # Errors
/// *Refused* for a run that has ended, *forbidden* without the capability.
pub async fn cancel(args: CancelArgs, env: &Env) -> Result<u8> {
    let id = args.run.id;
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    if !args.force {
        let done = ops.run(&session.actor, CancelRun { run_id: id }).await?;
        let words = match done {
            Controlled::Done => "cancelled",
            Controlled::Requested => "cancel requested; its worker stops after the steps in flight",
            Controlled::AlreadyRequested => {
                "a cancel was requested before; its worker has not ended it yet"
            }
        };
        return answer(&args.run, env, &ops, &session, done, words).await;
    }
    let detail = ops.prepare::<CloseRun, _>(&session.actor, GetRun { id }).await?;
    let what = format!(
        "Run {id} ({}) would be closed by force, and its worker fenced off.",
        detail.run.run_type
    );
    ask::confirm(env, args.confirm.as_deref(), &format!("CLOSE {id}"), &what)?;
    ops.run(&session.actor, CloseRun { run_id: id }).await?;
    answer(&args.run, env, &ops, &session, Controlled::Done, "closed").await
}

/// Pauses a run.
///
/// # Errors
/// As [`cancel`].
pub async fn pause(args: OneRun, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let done = ops.run(&session.actor, PauseRun { run_id: args.id }).await?;
    let words = match done {
        Controlled::Done => "paused",
        Controlled::Requested => "pause requested; its worker rests after the steps in flight",
        Controlled::AlreadyRequested => "it is paused already, or was asked to",
    };
    answer(&args, env, &ops, &session, done, words).await
}

/// Lets a paused run go on.
///
/// # Errors
/// As [`cancel`]; *refused* for a run that is not paused.
pub async fn resume(args: OneRun, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    ops.run(&session.actor, ResumeRun { run_id: args.id }).await?;
    answer(&args, env, &ops, &session, Controlled::Done, "goes on").await
}

/// Tries the failed and skipped targets of an ended run again.
///
/// # Errors
/// As [`cancel`]; *refused* where nothing failed or was left undone.
pub async fn retry(args: RetryArgs, env: &Env) -> Result<u8> {
    let id = args.run.id;
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let targets = ops.prepare::<RetryRun, _>(&session.actor, PlanRetry { run_id: id }).await?;
    if let Some(phrase) = retry_phrase(targets) {
        let what = format!("{targets} targets of run {id} would be tried again.");
        ask::confirm(env, args.confirm.as_deref(), &phrase, &what)?;
    }
    let retry = RetryRun {
        run_id: id,
        confirm: retry_phrase(targets),
        source: Source::Cli,
        request_id: args.request_id,
    };
    break_glass::notice(env, &ops, &session).await;
    let retried = ops.run(&session.actor, retry).await?;
    let run = ops.run(&session.actor, GetRun { id: retried.started.run_id }).await?.run;
    if args.run.json {
        env.out.json(&json!({
            "schema_version": 1,
            "run": as_json(&run, env.clock.now()),
            "created": retried.started.created,
            "retry_of": id,
            "target_count": retried.targets,
            "left_out_count": retried.gone,
        }))?;
        return Ok(0);
    }
    started(env, retried.started, &run)?;
    env.out.message(format!("it tries {} of run {id} again", targets_word(retried.targets)));
    if retried.gone > 0 {
        env.out.message(format!("left out, since archived by now: {}", targets_word(retried.gone)));
    }
    Ok(0)
}

fn targets_word(n: usize) -> String {
    if n == 1 { "1 target".to_owned() } else { format!("{n} targets") }
}

/// Says what a start gave, and how to look at it.
///
/// # Errors
/// Where the output cannot be written.
pub fn started(env: &Env, started: Started, run: &Run) -> Result<()> {
    let id = started.run_id;
    if started.created {
        env.out.line(format!("queued as run {id}"))?;
    } else if run.status == RunStatus::Completed {
        env.out.line(format!("this request made run {id} before, which has ended"))?;
    } else {
        let state = match (run.status, run.paused_at) {
            (RunStatus::Running, _) => "running",
            (_, Some(_)) => "paused",
            _ => "queued",
        };
        env.out.line(format!("already {state} as run {id}"))?;
    }
    env.out.message(format!("follow it: tenantpilot runs watch {id}"));
    Ok(())
}

async fn answer(
    args: &OneRun,
    env: &Env,
    ops: &Ops,
    session: &Session,
    done: Controlled,
    words: &str,
) -> Result<u8> {
    let id = args.id;
    if args.json {
        let run = ops.run(&session.actor, GetRun { id }).await?.run;
        let result = match done {
            Controlled::Done => "done",
            Controlled::Requested => "requested",
            Controlled::AlreadyRequested => "already_requested",
        };
        env.out.json(&json!({
            "schema_version": 1, "result": result, "run": as_json(&run, env.clock.now()),
        }))?;
        return Ok(0);
    }
    env.out.line(format!("run {id}: {words}"))?;
    if done == Controlled::Requested {
        env.out.message(format!("follow it: tenantpilot runs watch {id}"));
    }
    Ok(0)
}
