//! `demo`: a lifelike platform in an embedded database, and the console on it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Env;
use crate::access::Actor;
use crate::demo::seed::seed_demo;
use crate::demo::simulator::Pace;
use crate::demo::traffic::Traffic;
use crate::demo::worker;
use crate::ops::seed::{Holding, LookAtHolding};
use crate::ops::{Create, Ops, SchemaState};
use crate::paths;
use crate::term::signals::EndSignals;
use crate::tui::launch::{self, Launch};
use crate::{Error, Result};

/// How long the end of the program waits for what a customer is just doing.
const LAST_ACT: Duration = Duration::from_secs(1);

/// What `demo` is told.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Keep the demo's database in this directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Delete the demo's database and make a new one
    #[arg(long)]
    reset: bool,
    /// Let nothing happen by itself
    #[arg(long)]
    no_traffic: bool,
    /// The same number makes the same platform
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
}

/// Makes the demo if it is not there, and opens the console on it.
///
/// # Errors
/// *Refused* where the file holds something else than a demo.
pub async fn run(args: DemoArgs, env: &Env) -> Result<u8> {
    let _log = super::start_log(env);
    let file = match args.dir {
        None => env.paths.demo_database_file(),
        Some(dir) => std::path::absolute(&dir)
            .map_err(|error| {
                Error::usage(format!("{}: {}", paths::shown(&dir), paths::reason(&error)))
            })?
            .join("demo.db"),
    };
    if args.reset && file.exists() {
        remove(&file, env).await?;
    }
    let ops = open(&file, Create::IfMissing, env)?;
    ops.migrate().await?;
    match ops.run(&Actor::System, LookAtHolding).await? {
        Holding::Platform { demo: true } => {}
        Holding::Platform { demo: false } => return Err(no_demo(&file)),
        Holding::Empty | Holding::Unfinished => {
            env.out.message(format!("making a demo in {}", paths::shown(&file)));
            seed_demo(&ops, args.seed, &mut |line| env.out.message(line)).await?;
        }
    }
    let reclaimed = worker::reclaim(&ops).await?;
    tracing::info!(runs = reclaimed.len(), "reclaimed from processes that are gone");
    let traffic = (!args.no_traffic).then(|| Traffic::start(ops.clone(), args.seed));
    let (stop, stopped) = watch::channel(false);
    let working = if args.no_traffic { None } else { Some(work(&file, args.seed, env, stopped)?) };
    let (config, paths) = (env.config.clone(), env.paths.clone());
    let drafts = env.drafts(&super::env::embedded(&file)?);
    let shown = Box::pin(launch::run(Launch { ops: ops.clone(), config, paths, drafts })).await;
    let ending = async {
        if let Some(traffic) = traffic {
            let _ = tokio::time::timeout(LAST_ACT, traffic.stop()).await;
        }
        if let Some(working) = working {
            // What it cannot put back in time is reclaimed at the next start.
            let _ = stop.send(true);
            let _ = tokio::time::timeout(worker::STOP_WITHIN, working).await;
        }
    };
    // The terminal is the shell's again, so ctrl-c is a signal now.
    match EndSignals::listen() {
        Ok(mut again) => tokio::select! {
            () = ending => {}
            _ = again.received() => {}
        },
        Err(_) => ending.await,
    }
    shown
}

/// Starts a worker beside the traffic: it executes what customers start, and maintenance.
fn work(
    file: &Path,
    seed: u64,
    env: &Env,
    stopped: watch::Receiver<bool>,
) -> Result<JoinHandle<Result<()>>> {
    let (url, clock, settings) = (address(file)?, env.clock.clone(), env.ops_settings());
    let pace = Pace::Lifelike;
    let (worker, _) = worker::open(&url, &settings, clock, seed, pace, stopped)?;
    Ok(tokio::spawn(worker.run()))
}

/// Deletes a demo's database, and nothing else.
async fn remove(file: &Path, env: &Env) -> Result<()> {
    let ops = open(file, Create::Never, env)?;
    let holding = match ops.schema_state().await? {
        SchemaState::Empty => Holding::Empty,
        _ => ops.run(&Actor::System, LookAtHolding).await?,
    };
    ops.close().await;
    if holding == (Holding::Platform { demo: false }) || holding == Holding::Unfinished {
        return Err(no_demo(file));
    }
    for end in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(end);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::failed(format!(
                    "cannot delete {}: {}",
                    paths::shown(Path::new(&name)),
                    paths::reason(&error)
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

fn open(file: &Path, create: Create, env: &Env) -> Result<Ops> {
    Ops::open(&address(file)?, create, env.clock.clone(), env.ops_settings())
}

fn address(file: &Path) -> Result<String> {
    let text = file.to_str().ok_or_else(|| {
        Error::usage(format!(
            "the path {} cannot be part of a database address",
            paths::shown(file)
        ))
        .hint("choose another directory with: tenantpilot demo --dir DIR")
    })?;
    Ok(format!("sqlite://{text}"))
}

fn no_demo(file: &Path) -> Error {
    Error::refused(format!("{} is not a demo's database; it was left as it is", paths::shown(file)))
        .hint("choose another directory with: tenantpilot demo --dir DIR")
}
