//! `runs cancel`, `retry`, `pause` and `resume`: what people ask of a run.

use serde_json::json;

use super::ask::{self, ConsentArgs};
use super::runs::as_json;
use super::{Env, break_glass};
use crate::domain::count::count;
use crate::domain::run::{Run, RunStatus, Source};
use crate::ops::runs::{
    CancelRun, CloseRun, Controlled, GetRun, PauseRun, ResumeRun, Retried, RetryRun, Started,
};
use crate::ops::{Consent, Operation};
use crate::{Error, Result};

/// A run, what confirms its change, and how to answer.
#[derive(Debug, clap::Args)]
pub struct OneRun {
    /// Run ID
    #[arg(value_name = "ID", value_parser = super::runs::id)]
    id: i64,
    #[command(flatten)]
    consent: ConsentArgs,
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
}

/// Arguments of `runs retry`.
#[derive(Debug, clap::Args)]
pub struct RetryArgs {
    #[command(flatten)]
    run: OneRun,
    /// Idempotency key: the same one twice makes one run
    #[arg(long, value_name = "TEXT")]
    request_id: Option<String>,
    /// Queue the new run also where no active worker supports its type
    #[arg(long)]
    wait_for_worker: bool,
}

/// Cancels a run, or closes it by force.
///
/// # Errors
/// *Refused* for a run that has ended, *forbidden* without the capability.
pub async fn cancel(args: CancelArgs, env: &Env) -> Result<u8> {
    if args.force {
        let words = ["closed", "closed", "closed"];
        let what = "would be closed by force, and its worker fenced off";
        return control(&args.run, env, what, words, |run_id, consent| CloseRun {
            run_id,
            consent,
        })
        .await;
    }
    let words = [
        "cancelled",
        "cancel requested; its worker stops after the steps in flight",
        "a cancel was requested before; its worker has not ended it yet",
    ];
    control(&args.run, env, "would be cancelled", words, |run_id, consent| CancelRun {
        run_id,
        consent,
    })
    .await
}

/// Pauses a run.
///
/// # Errors
/// As [`cancel`].
pub async fn pause(args: OneRun, env: &Env) -> Result<u8> {
    let words = [
        "paused",
        "pause requested; its worker rests after the steps in flight",
        "it is paused already, or was asked to",
    ];
    control(&args, env, "would be paused", words, |run_id, consent| PauseRun { run_id, consent })
        .await
}

/// Lets a paused run go on.
///
/// # Errors
/// As [`cancel`]; *refused* for a run that is not paused.
pub async fn resume(args: OneRun, env: &Env) -> Result<u8> {
    let words = ["not paused any more"; 3];
    let what = "would not be paused any more";
    control(&args, env, what, words, |run_id, consent| ResumeRun { run_id, consent }).await
}

/// Asks something of a run. `words` tell what came of it: done, requested, requested before.
async fn control<O>(
    args: &OneRun,
    env: &Env,
    what: &str,
    words: [&str; 3],
    change: impl Fn(i64, Consent) -> O,
) -> Result<u8>
where
    O: Operation<Output = Controlled>,
{
    let id = args.id;
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let consent = args.consent.consent(env)?;
    let asked = format!("Run {id} {what}.");
    let change = |consent| change(id, consent);
    let done = ask::confirmed(env, &ops, &session.actor, &asked, consent, change).await?;
    let dry_run = args.consent.is_dry_run();
    let (result, words) = match done {
        Controlled::Done => ("done", words[0]),
        Controlled::Requested => ("requested", words[1]),
        Controlled::AlreadyRequested => ("already_requested", words[2]),
    };
    if args.json {
        // It is done, whether it can be looked at or not.
        let run = ops
            .run(&session.actor, GetRun { id })
            .await
            .map_or_else(|_| json!({ "id": id }), |detail| as_json(&detail.run, env.clock.now()));
        let mut answer = json!({ "schema_version": 1, "result": result, "run": run });
        if dry_run {
            answer["dry_run"] = json!(true);
        }
        env.out.json(&answer)?;
        return Ok(0);
    }
    if dry_run {
        env.out.line(match done {
            Controlled::AlreadyRequested => format!("run {id}: {words}; nothing was changed"),
            _ => format!("run {id} {what}; nothing was changed"),
        })?;
        return Ok(0);
    }
    env.out.line(format!("run {id}: {words}"))?;
    if O::NAME == ResumeRun::NAME
        && let Ok(detail) = ops.run(&session.actor, GetRun { id }).await
    {
        waits(env, &detail.run);
    }
    if done == Controlled::Requested {
        env.out.message(format!("follow it: tenantpilot runs watch {id}"));
    }
    Ok(0)
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
    let consent = args.run.consent.consent(env)?;
    break_glass::notice(env, &session);
    let retry = |consent| RetryRun {
        run_id: id,
        consent,
        source: Source::Cli,
        request_id: Some(request.clone()),
        wait_for_worker: args.wait_for_worker,
    };
    let what = format!("The failed and undone targets of run {id} would be retried.");
    let retried = ask::confirmed(env, &ops, &session.actor, &what, consent, retry).await;
    let retried = retried.map_err(|error| again(env, error, &request))?;
    if args.run.consent.is_dry_run() {
        let wait = if args.wait_for_worker { " --wait-for-worker" } else { "" };
        return rehearsed(&args.run, &retried, wait, env);
    }
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
    env.out.message(format!("it tries {} of run {id} again", count(retried.targets, "target")));
    left_out(env, retried.gone);
    if let Some(run) = &run {
        waits(env, run);
    }
    Ok(0)
}

/// Says what a retry would do, and what confirms it.
fn rehearsed(args: &OneRun, retried: &Retried, wait: &str, env: &Env) -> Result<u8> {
    let Retried { started, targets, gone, confirmation } = retried;
    // A run that was made for the dry run is gone.
    let there = (!started.created).then_some(started.run_id);
    if args.json {
        env.out.json(&json!({
            "schema_version": 1, "dry_run": true, "created": false, "run_id": there,
            "retry_of": args.id, "target_count": targets,
            "left_out_count": gone,
            "confirmation": confirmation,
        }))?;
        return Ok(0);
    }
    if let Some(run) = there {
        env.out.line(format!("run {run} does the same already; nothing was started"))?;
        return Ok(0);
    }
    let (id, targets) = (args.id, count(*targets, "target"));
    env.out.line(format!("{targets} of run {id} would be retried; nothing was started"))?;
    left_out(env, *gone);
    let options = confirmation.options();
    env.out.message(format!("start it: tenantpilot runs retry {id}{wait} {options}"));
    Ok(0)
}

/// Says how many targets a retry leaves out since their tenants are archived by now.
pub fn left_out(env: &Env, gone: usize) {
    if gone > 0 {
        env.out.message(format!("left out, since archived by now: {}", count(gone, "target")));
    }
}

/// Says why a new run waits, where no active worker supports its type.
pub fn waits(env: &Env, run: &Run) {
    if let Some(why) = run.basis.support.obstacle(&run.run_type) {
        env.out.message(format!("it waits: {why}"));
    }
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
