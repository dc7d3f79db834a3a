//! The demo's worker: the real one, which also executes what customers start; and what earlier
//! processes of the demo left behind.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::simulator::{self, Pace};
use crate::Result;
use crate::access::Actor;
use crate::clock::Clock;
use crate::ops::workers::{ListWorkers, Reclaim};
use crate::ops::{Ops, OpsSettings};
use crate::worker::alerts::AlertSettings;
use crate::worker::{Worker, WorkerEvent, WorkerSettings, is_gone};

/// Runs executed at once: customers' and maintenance.
const SLOTS: u32 = 6;
/// How long the end of a demo waits for its worker to put its runs back. Its steps take
/// milliseconds; what waits between two steps is not waited for.
pub const STOP_WITHIN: Duration = Duration::from_secs(3);

/// Prepares the worker of a demo on the database at `url`.
///
/// # Errors
/// As [`Worker::open`].
pub fn open(
    url: &str,
    settings: &OpsSettings,
    clock: Clock,
    seed: u64,
    pace: Pace,
    stop: watch::Receiver<bool>,
) -> Result<(Worker, mpsc::UnboundedReceiver<WorkerEvent>)> {
    let settings = OpsSettings {
        registry: settings.registry.clone().with_executors(simulator::executors(seed, pace)),
        ..settings.clone()
    };
    let how = WorkerSettings {
        slots: SLOTS,
        alerts: Some(AlertSettings::default()),
        ..WorkerSettings::default()
    };
    Worker::open(url, how, &settings, clock, stop)
}

/// Puts runs back into the queue whose workers have ended: those of an earlier demo that was killed,
/// and of the seeded history. All workers of a demo run on this machine. Gives the runs.
///
/// # Errors
/// Whatever the database says.
pub async fn reclaim(ops: &Ops) -> Result<Vec<i64>> {
    let view = ops.run(&Actor::System, ListWorkers).await?;
    let listed = |id: &str| view.workers.iter().any(|worker| worker.id == id);
    let mut owners: Vec<String> =
        view.workers.iter().filter(|worker| is_gone(&worker.name)).map(|w| w.id.clone()).collect();
    // Whoever left the list in order, or was never on it, holds nothing any more.
    owners.extend(view.leases.iter().filter(|l| !listed(&l.owner)).map(|l| l.owner.clone()));
    owners.sort();
    owners.dedup();
    ops.run(&Actor::System, Reclaim { owners }).await
}
