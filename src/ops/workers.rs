//! Workers: their heartbeat, and the view of who holds what.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::Result;
use crate::access::Requirement;
use crate::domain::capability::Capability;
use crate::domain::type_support::Support;
use crate::ops::alerts::{self, AlertSummary};
use crate::ops::runs::active_workers;
use crate::ops::store::workers::{self, Announcement};
use crate::ops::store::{Tx, lifecycle, targets, together};
use crate::ops::{Access, Context, Operation};

pub use crate::ops::store::workers::{HeldRow, WorkerRow};

/// How much of an outage's cause is kept.
const OUTAGE_SHOWN: usize = 200;
/// How many leases a view shows.
const LEASES_SHOWN: i64 = 500;

/// What a worker says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerInfo {
    /// A fresh id per process.
    pub id: String,
    /// Host and process id, for people.
    pub name: String,
    /// The types it can execute.
    pub types: Vec<String>,
    /// How many runs it executes at once.
    pub slots: u32,
    /// How often it beats.
    pub heartbeat: Duration,
}

/// A sign of life: extends the leases a worker holds, and keeps it on the list of workers.
#[derive(Debug, Clone)]
pub struct Beat {
    /// Who beats.
    pub worker: WorkerInfo,
    /// Whether it takes no new runs any more.
    pub stopping: bool,
    /// The runs it believes to hold.
    pub runs: Vec<i64>,
    /// From now on, for this long.
    pub lease: Duration,
    /// What it waits for, where some of its work meets an outage.
    pub outage: Option<String>,
}

impl Beat {
    pub(in crate::ops) fn sample() -> Self {
        let worker = WorkerInfo {
            id: "nobody".to_owned(),
            name: "nobody".to_owned(),
            types: Vec::new(),
            slots: 1,
            heartbeat: Duration::from_secs(10),
        };
        Self {
            worker,
            stopping: true,
            runs: Vec::new(),
            lease: Duration::from_secs(30),
            outage: None,
        }
    }
}

impl Operation for Beat {
    const NAME: &'static str = "workers.beat";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    /// The runs that it still holds.
    type Output = Vec<i64>;

    async fn execute(self, context: &mut Context) -> Result<Vec<i64>> {
        let ahead = context.ops().clock().ahead();
        let tx = context.tx()?;
        let announcement = Announcement {
            id: &self.worker.id,
            name: &self.worker.name,
            version: env!("CARGO_PKG_VERSION"),
            runbooks: &Value::from(self.worker.types.clone()),
            slots: i64::from(self.worker.slots),
            heartbeat_seconds: self.worker.heartbeat.as_secs_f64(),
            stopping: self.stopping,
            clock_offset_seconds: ahead.map(|ahead| ahead.num_seconds()),
            outage: self.outage.map(|cause| cause.chars().take(OUTAGE_SHOWN).collect()),
        };
        workers::announce(tx, &announcement).await?;
        workers::forget_silent(tx).await?;
        let mut held = Vec::with_capacity(self.runs.len());
        for run_id in self.runs {
            let seconds = self.lease.as_secs_f64();
            if lifecycle::heartbeat(tx, run_id, &self.worker.id, seconds).await? {
                held.push(run_id);
            }
        }
        Ok(held)
    }
}

/// Takes a worker off the list: it leaves in order.
#[derive(Debug, Clone)]
pub struct Leave {
    /// The worker's id.
    pub id: String,
}

impl Operation for Leave {
    const NAME: &'static str = "workers.leave";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    type Output = ();

    async fn execute(self, context: &mut Context) -> Result<()> {
        workers::remove(context.tx()?, &self.id).await
    }
}

/// Takes workers that are known to be gone off the list, and puts the runs they held back into
/// the queue. The steps they were in stay counted: one of them may be what ended the process.
#[derive(Debug, Clone)]
pub struct Reclaim {
    /// The ids of the processes.
    pub owners: Vec<String>,
}

impl Operation for Reclaim {
    const NAME: &'static str = "workers.reclaim";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    /// The runs that are in the queue again.
    type Output = Vec<i64>;

    async fn execute(self, context: &mut Context) -> Result<Vec<i64>> {
        let now = context.now();
        let tx = context.tx()?;
        let mut reclaimed = Vec::new();
        for owner in &self.owners {
            for run_id in workers::held_by(tx, owner).await? {
                let Some(held) = lifecycle::hold(tx, run_id).await? else { continue };
                if held.status != "running" {
                    continue;
                }
                // Should the process be there after all, it writes nothing more.
                let fence = lifecycle::raise_fence(tx, run_id).await?;
                take_back(tx, run_id, fence, false, now).await?;
                reclaimed.push(run_id);
            }
            workers::remove(tx, owner).await?;
        }
        Ok(reclaimed)
    }
}

/// Puts the run of a worker that is gone back into the queue, or to rest. The steps it was in
/// stay counted.
pub(in crate::ops) async fn take_back(
    tx: &mut Tx,
    run_id: i64,
    fence: i64,
    pause: bool,
    now: DateTime<Utc>,
) -> Result<()> {
    targets::none_in_flight(tx, run_id).await?;
    let steps = targets::tally(tx, run_id).await?.steps;
    lifecycle::release(tx, run_id, fence, pause, steps, now).await
}

/// Runs that wait for a worker that supports their type, where none does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unserved {
    /// The type.
    pub run_type: String,
    /// How many runs of it are queued.
    pub queued: i64,
    /// What is missing: an executor, or an active worker.
    pub support: Support,
}

/// Workers, leases, and what nobody can execute.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WorkersView {
    /// Workers heard of in the last day, silent ones included.
    pub workers: Vec<WorkerRow>,
    /// Workers that were not heard of for more than a day.
    pub gone: Vec<WorkerRow>,
    /// The leases within the view.
    pub leases: Vec<HeldRow>,
    /// Queued types that no active worker supports.
    pub unserved: Vec<Unserved>,
    /// Alerts that are not delivered.
    pub alerts: AlertSummary,
}

impl WorkersView {
    /// The workers that a screen shows: those of the last day, and those that are gone and still
    /// hold something.
    pub fn shown(&self) -> impl Iterator<Item = &WorkerRow> {
        let holds = |worker: &&WorkerRow| self.leases.iter().any(|held| held.owner == worker.id);
        self.workers.iter().chain(self.gone.iter().filter(holds))
    }
}

/// Reads who works, and who holds what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListWorkers;

impl Operation for ListWorkers {
    const NAME: &'static str = "workers.list";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::OpsView]);
    const ACCESS: Access = Access::Read;
    type Output = WorkersView;

    async fn execute(self, context: &mut Context) -> Result<WorkersView> {
        let scope = context.permit().scope();
        let tx = context.tx()?;
        let (listed, active, queued, leases, alerts) = together!(
            tx,
            |tx| workers::list(tx),
            |tx| active_workers(tx),
            |tx| workers::queued_types(tx, scope),
            |tx| workers::leases(tx, scope, LEASES_SHOWN),
            |tx| alerts::summary(tx, scope),
        )?;
        let (gone, workers): (Vec<_>, Vec<_>) = listed.into_iter().partition(|worker| worker.gone);
        let unserved = queued
            .into_iter()
            .map(|(run_type, queued)| Unserved {
                support: active.support(&run_type),
                run_type,
                queued,
            })
            .filter(|unserved| !unserved.support.is_supported())
            .collect();
        Ok(WorkersView { workers, gone, leases, unserved, alerts })
    }
}
