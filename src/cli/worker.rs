//! `worker`: executes runs in the background until it is told to stop.

use tokio::sync::watch;

use super::options::duration;
use super::{Env, start_log, text};
use crate::domain::sanitize;
use crate::ops::OpsSettings;
use crate::term::signals::EndSignals;
use crate::worker::alerts::AlertSettings;
use crate::worker::{Worker, WorkerSettings};
use crate::{Error, Result};

/// Arguments of `worker`.
#[derive(Debug, clap::Args)]
pub struct WorkerArgs {
    /// How long a claim on a run lasts without a heartbeat
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    lease: String,
    /// How often claims are extended; at most a third of the lease
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    heartbeat: String,
    /// How many runs to execute at once
    #[arg(long, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u32).range(1..=32))]
    slots: u32,
    /// How many steps may be in flight at once, over all runs
    #[arg(long, value_name = "N", default_value_t = 8,
          value_parser = clap::value_parser!(u32).range(1..=64))]
    lanes: u32,
    /// How many records a step takes at most
    #[arg(long, value_name = "N", default_value_t = 500,
          value_parser = clap::value_parser!(i64).range(1..=100_000))]
    chunk: i64,
    /// Do not start the daily work
    #[arg(long)]
    no_schedule: bool,
    /// Say nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

impl WorkerArgs {
    fn settings(&self) -> Result<WorkerSettings> {
        let settings = WorkerSettings {
            lease: duration("--lease", &self.lease)?,
            heartbeat: duration("--heartbeat", &self.heartbeat)?,
            slots: self.slots,
            lanes: self.lanes,
            chunk: self.chunk,
            schedule: !self.no_schedule,
            ..WorkerSettings::default()
        };
        settings.check()?;
        Ok(settings)
    }
}

/// Works until SIGTERM, SIGINT or SIGHUP; then lets go of what it holds, and ends with 0.
///
/// # Errors
/// *Failed* where its first line cannot be written, before anything is claimed.
/// *Usage* for settings that could not keep a lease alive; *refused* for a schema that is not
/// this version's, or has become newer since (exit code 5). An unreachable database is waited for.
pub async fn run(args: WorkerArgs, env: &Env) -> Result<u8> {
    let alerts = Some(AlertSettings::from_config(&env.config)?);
    let settings = WorkerSettings { alerts, ..args.settings()? };
    let _log = start_log(env);
    quiet_panics();
    let (stop, stopped) = watch::channel(false);
    let url = env.database_url()?;
    let (worker, mut events) = Worker::open(
        url.expose(),
        settings,
        &tested(env.ops_settings()),
        env.clock.clone(),
        stopped,
    )?;
    let mut signals = EndSignals::listen()
        .map_err(|error| Error::failed(format!("signals cannot be heard: {}", error.kind())))?;
    if !args.quiet {
        let at = text::time(env.clock.now(), env.zone());
        env.out.line(format!("{at}  starting: looking for the database"))?;
        env.out.flush()?;
    }
    let working = tokio::spawn(worker.run());
    tokio::pin!(working);
    let mut told = false;
    loop {
        tokio::select! {
            _ = signals.received(), if !told => {
                told = true;
                // A worker that has ended already needs no telling.
                let _ = stop.send(true);
            }
            event = events.recv() => if let Some(event) = event
                && (!args.quiet || event.is_trouble())
            {
                let at = text::time(env.clock.now(), env.zone());
                if event.is_trouble() {
                    env.out.message(format!("{at}  {event}"));
                    continue;
                }
                // Nobody reading what a worker says is no reason to stop working.
                let _ = env.out.line(format!("{at}  {event}")).and_then(|()| env.out.flush());
            },
            ended = &mut working => {
                return match ended {
                    Ok(done) => done.map(|()| 0),
                    Err(_) => Err(Error::failed("the worker ended unexpectedly").hint("see its log")),
                };
            }
        }
    }
}

/// A step that panics is written down on its run and in the log; its text may hold a secret,
/// so it goes to the log only masked, and not to the terminal.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or("without a text");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, text = sanitize::redact(text).text, "a panic was caught");
    }));
}

/// In builds with debug assertions, what the fault tests ask for.
#[cfg(debug_assertions)]
fn tested(mut settings: OpsSettings) -> OpsSettings {
    use crate::ops::Mutant;
    if super::variable("TENANTPILOT_TEST_PROBE").is_some() {
        settings.registry = settings.registry.with_probe();
    }
    settings.mutant = super::variable("TENANTPILOT_TEST_MUTANT")
        .and_then(|wanted| Mutant::ALL.iter().find(|(name, _)| *name == wanted))
        .map(|(_, mutant)| *mutant);
    settings
}

#[cfg(not(debug_assertions))]
fn tested(settings: OpsSettings) -> OpsSettings {
    settings
}
