//! `runs watch`: follows one run until it ends, also through an outage of the database.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::options::duration;
use super::runs::{as_json, initiator, progress};
use super::runs_show::detail_json;
use super::text;
use super::{Env, start_log};
use crate::config::format_duration;
use crate::domain::run::{Run, RunStatus};
use crate::domain::run_state::RunState;
use crate::domain::summary_counts::CountKey;
use crate::ops::runs::{GetRun, RunDetail};
use crate::{Error, ErrorKind, Result};

/// How long an outage is waited out where no `--timeout` was given.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// The shortest pause between two looks.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// Arguments of `runs watch`.
#[derive(Debug, clap::Args)]
pub struct WatchArgs {
    /// Number of the run
    #[arg(value_name = "ID", value_parser = super::runs::id)]
    id: i64,
    /// End with 0 if the run succeeded and with 1 if it ended in any other way
    #[arg(long)]
    exit_status: bool,
    /// Give up after so long, with exit code 6; the run goes on
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    /// How often to look; the poll interval of the configuration when absent
    #[arg(long, value_name = "DURATION")]
    interval: Option<String>,
    /// Answer as JSON, one object per line and change
    #[arg(long)]
    json: bool,
}

/// Follows one run.
///
/// # Errors
/// *Timed out* where it did not end in time, *not found* also for a run that may not be seen.
pub async fn run(args: WatchArgs, env: &Env) -> Result<u8> {
    let timeout = args.timeout.as_deref().map(|text| duration("--timeout", text)).transpose()?;
    let interval = match args.interval.as_deref() {
        Some(text) => duration("--interval", text)?,
        None => env.config.poll_interval.value,
    }
    .max(MIN_INTERVAL);
    let started = Instant::now();
    let _log = start_log(env);
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let mut last_line = None;
    let mut lost_since = None;
    loop {
        match ops.run(&session.actor, GetRun { id: args.id }).await {
            Ok(detail) => {
                if lost_since.take().is_some() {
                    env.out.message("the database is back");
                }
                let now = env.clock.now();
                let ended = detail.run.status == RunStatus::Completed;
                let line = change(&detail, now, env);
                if last_line.as_ref() != Some(&line) {
                    if args.json {
                        let run = if ended {
                            detail_json(&detail, now)
                        } else {
                            as_json(&detail.run, now)
                        };
                        env.out.json_line(&json!({ "schema_version": 1, "run": run }))?;
                    } else {
                        let at = text::time(detail.run.updated_at, env.zone());
                        env.out.line(format!("{at}  {line}"))?;
                    }
                    env.out.flush()?;
                    last_line = Some(line);
                }
                if ended {
                    return Ok(ending(&args, &detail.run, env, now));
                }
            }
            // The person asked to be told the end; an outage in between is no reason to go.
            Err(error) if last_line.is_some() && error.retry_can_help() => {
                let since = *lost_since.get_or_insert_with(|| {
                    env.out.message(format!("{}; trying again", error.message()));
                    Instant::now()
                });
                if timeout.is_none() && since.elapsed() >= PATIENCE {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
        let left = timeout.map(|timeout| timeout.saturating_sub(started.elapsed()));
        if let (Some(timeout), Some(Duration::ZERO)) = (timeout, left) {
            let text = format!("run {} has not ended within {}", args.id, format_duration(timeout));
            return Err(Error::new(ErrorKind::TimedOut, text)
                .hint("it goes on; watch it again, or give a longer --timeout"));
        }
        tokio::time::sleep(left.map_or(interval, |left| left.min(interval))).await;
    }
}

/// What a person wants to hear about; a new line is printed when it differs.
fn change(detail: &RunDetail, now: chrono::DateTime<chrono::Utc>, env: &Env) -> String {
    let run = &detail.run;
    let waits = detail.facts(now).wait_text();
    let parts = [
        Some(RunState::of(run, now).label(env.ascii())),
        progress(run),
        run.summary_counts
            .get(CountKey::Failed)
            .filter(|n| *n > 0)
            .map(|failed| format!("{failed} failed")),
        run.reason_code.clone(),
        waits.map(|why| format!("waits: {why}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("  ")
}

fn ending(args: &WatchArgs, run: &Run, env: &Env, now: chrono::DateTime<chrono::Utc>) -> u8 {
    let state = RunState::of(run, now);
    if !args.json {
        let took = run.took(now).map(|took| format!(" after {}", text::took(took)));
        env.out.message(format!(
            "run {} ({}, by {}) ended: {}{}",
            run.id,
            run.run_type,
            initiator(run),
            state.word(),
            took.unwrap_or_default(),
        ));
        if state != RunState::Succeeded {
            env.out.message(format!("why: tenantpilot runs show {}", run.id));
        }
    }
    u8::from(args.exit_status && state != RunState::Succeeded)
}
