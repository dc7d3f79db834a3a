//! `runs cancel`, `retry`, `pause` and `resume`: what people ask of a run.

use serde_json::json;

use super::runs::as_json;
use super::{Env, ask, break_glass};
use crate::domain::run::{Run, RunStatus, Source};
use crate::ops::Ops;
use crate::ops::auth::Session;
use crate::ops::runs::{
    CancelRun, CloseRun, Controlled, GetRun, PauseRun, PlanRetry, ResumeRun, RetryRun, Started,
    retry_phrase,
};
use crate::{Error, Result};

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
    let request = args.request_id.unwrap_or_else(new_request);
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
        request_id: Some(request.clone()),
    };
    break_glass::notice(env, &ops, &session).await;
    let retried = ops.run(&session.actor, retry).await;
    let retried = retried.map_err(|error| again(env, error, &request))?;
    // It is started, whether it can be looked at or not.
    let new = retried.started.run_id;
    let run = ops.run(&session.actor, GetRun { id: new }).await.ok().map(|detail| detail.run);
    if args.run.json {
        env.out.json(&json!({
            "schema_version": 1,
            "run": run.map_or_else(|| json!({ "id": new }), |run| as_json(&run, env.clock.now())),
            "created": retried.started.created,
            "retry_of": id,
            "target_count": retried.targets,
            "left_out_count": retried.gone,
        }))?;
        return Ok(0);
    }
    started(env, retried.started, run.as_ref())?;
    env.out.message(format!("it tries {} of run {id} again", targets_word(retried.targets)));
    if retried.gone > 0 {
        env.out.message(format!("left out, since archived by now: {}", targets_word(retried.gone)));
    }
    Ok(0)
}

fn targets_word(n: usize) -> String {
    if n == 1 { "1 target".to_owned() } else { format!("{n} targets") }
}

/// An idempotency key for a start that was given none.
pub fn new_request() -> String {
    format!("cli:{}", uuid::Uuid::new_v4())
}

/// Where a start may have been made, says how to repeat it so that it is made once.
pub fn again(env: &Env, error: Error, request: &str) -> Error {
    if error.is_uncertain() {
        env.out.message(format!(
            "repeat the command with --request-id {request}: it starts one run in any case"
        ));
    }
    error
}

/// Says what a start gave, and how to look at it; the run where it could be read.
///
/// # Errors
/// Where the output cannot be written.
pub fn started(env: &Env, started: Started, run: Option<&Run>) -> Result<()> {
    let id = started.run_id;
    if started.created {
        env.out.line(format!("queued as run {id}"))?;
    } else if let Some(run) = run {
        if run.status == RunStatus::Completed {
            env.out.line(format!("this request made run {id} before, which has ended"))?;
        } else {
            let state = match (run.status, run.paused_at) {
                (RunStatus::Running, _) => "running",
                (_, Some(_)) => "paused",
                _ => "queued",
            };
            env.out.line(format!("already {state} as run {id}"))?;
        }
    } else {
        env.out.line(format!("this is run {id}"))?;
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
        // It is done, whether it can be looked at or not.
        let run = ops
            .run(&session.actor, GetRun { id })
            .await
            .map_or_else(|_| json!({ "id": id }), |detail| as_json(&detail.run, env.clock.now()));
        let result = match done {
            Controlled::Done => "done",
            Controlled::Requested => "requested",
            Controlled::AlreadyRequested => "already_requested",
        };
        env.out.json(&json!({
            "schema_version": 1, "result": result, "run": run,
        }))?;
        return Ok(0);
    }
    env.out.line(format!("run {id}: {words}"))?;
    if done == Controlled::Requested {
        env.out.message(format!("follow it: tenantpilot runs watch {id}"));
    }
    Ok(0)
}
