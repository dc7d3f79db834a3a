//! Customers who go on working while somebody watches: they start runs and do whatever else
//! leaves telemetry, and a simulated
//! executor claims them, reports, fails now and then, and completes, all through the
//! operations.
//!
//! When it stops, runs in progress stay claimed until their lease runs out; the next traffic,
//! or a worker, then takes them over where they stand. Maintenance is never touched.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::activity::Habits;
use super::words;
use crate::access::Actor;
use crate::domain::failure::ReasonCode;
use crate::domain::summary_counts::{CountKey, SummaryCounts};
use crate::ops::Ops;
use crate::ops::activity::{CompleteReviewPack, StoreReport};
use crate::ops::runs::{
    ClaimRun, CompleteRun, GetRun, Pulse, RecordFailure, ReleaseRun, ReportProgress,
};
use crate::ops::seed::Starters;
use crate::ops::workers::{Beat, Leave, WorkerInfo};
use crate::{Error, Result};

/// What customers start, with how many items such a run has. Only these are ever claimed.
pub const CUSTOMER_TYPES: &[(&str, u64, u64)] = &[
    ("policy.sync", 20, 160),
    ("inventory.sync", 60, 900),
    ("backup.snapshot", 30, 240),
    ("provider.connection_check", 1, 1),
    ("stored_report.create", 2, 12),
    ("review_pack.generate", 6, 50),
];
/// At most so many runs are executed at once.
const AT_ONCE: u32 = 4;
const LEASE: Duration = Duration::from_secs(30);
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How often it looks what is asked of a run.
const LOOK: Duration = Duration::from_secs(1);
/// The beat of the whole.
const TICK: Duration = Duration::from_millis(500);
/// The wait after the database did not answer.
const PAUSE: Duration = Duration::from_secs(2);

/// Traffic in the background; stops when dropped.
#[derive(Debug)]
pub struct Traffic {
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl Traffic {
    /// Starts it, on the runtime at hand.
    pub fn start(ops: Ops, seed: u64) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(Executor::new(ops, seed).run(stopped));
        Self { stop, task: Some(task) }
    }

    /// Stops it and waits until its last step is done.
    pub async fn stop(mut self) {
        // Nobody listening means that it has ended already.
        let _ = self.stop.send(true);
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// A run that is being executed.
#[derive(Debug)]
struct Job {
    run_id: i64,
    fence: i64,
    tenant_id: Option<i64>,
    total: u64,
    done: u64,
    failed: u64,
    /// Items per report.
    step: u64,
    /// So many items will fail, for this reason.
    mishaps: u64,
    reason: ReasonCode,
    /// A fault that stops it at half way.
    stops: bool,
    /// It leaves a report.
    reports: bool,
    next: Instant,
    asked: Instant,
}

struct Executor {
    ops: Ops,
    rng: StdRng,
    owner: String,
    starters: Vec<(i64, i64)>,
    habits: Habits,
    jobs: Vec<Job>,
    next_start: Instant,
    next_claim: Instant,
    next_beat: Instant,
}

impl Executor {
    fn new(ops: Ops, seed: u64) -> Self {
        let now = Instant::now();
        Self {
            ops,
            rng: StdRng::seed_from_u64(seed ^ 0x7472_6166_6669_6300),
            owner: format!("traffic-{}", uuid::Uuid::new_v4().simple()),
            starters: Vec::new(),
            habits: Habits::default(),
            jobs: Vec::new(),
            next_start: now + Duration::from_secs(1),
            next_claim: now,
            next_beat: now,
        }
    }

    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stopped.changed() => {
                    // Forgotten after a while if this does not work.
                    let _ = self.ops.run(&Actor::System, Leave { id: self.owner }).await;
                    return;
                }
                _ = ticks.tick() => {}
            }
            if let Err(error) = self.tick().await {
                tracing::warn!(%error, "the demo's traffic pauses");
                tokio::select! {
                    _ = stopped.changed() => return,
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        }
    }

    async fn tick(&mut self) -> Result<()> {
        let now = Instant::now();
        if now >= self.next_beat {
            self.beat().await?;
            self.next_beat = now + HEARTBEAT;
        }
        if now >= self.next_start {
            self.next_start = now + Duration::from_millis(self.rng.random_range(2_500..9_000));
            self.start_one().await?;
        }
        if now >= self.next_claim && self.jobs.len() < AT_ONCE as usize {
            self.next_claim = now + Duration::from_millis(self.rng.random_range(700..2_500));
            self.claim_one().await?;
        }
        let mut at = 0;
        while at < self.jobs.len() {
            let going_on = match self.advance(at, now).await {
                Ok(going_on) => going_on,
                // Somebody else has it now, or it was ended: nothing more to write.
                Err(error) if !waits(&error) => false,
                Err(error) => return Err(error),
            };
            if going_on {
                at += 1;
            } else {
                self.jobs.swap_remove(at);
            }
        }
        Ok(())
    }

    /// Keeps the leases, and stands on the list of workers like any other.
    async fn beat(&mut self) -> Result<()> {
        let worker = WorkerInfo {
            id: self.owner.clone(),
            name: "customers (simulated)".to_owned(),
            types: CUSTOMER_TYPES.iter().map(|(name, ..)| (*name).to_owned()).collect(),
            slots: AT_ONCE,
            heartbeat: HEARTBEAT,
        };
        let runs = self.jobs.iter().map(|job| job.run_id).collect();
        let beat = Beat { worker, stopping: false, runs, lease: LEASE, outage: None };
        let held = self.ops.run(&Actor::System, beat).await?;
        self.jobs.retain(|job| held.contains(&job.run_id));
        Ok(())
    }

    async fn start_one(&mut self) -> Result<()> {
        if self.starters.is_empty() {
            self.starters = self.ops.run(&Actor::System, Starters).await?;
        }
        // A platform without customers has no traffic.
        if self.starters.is_empty() || self.jobs.len() > AT_ONCE as usize {
            return Ok(());
        }
        let (user_id, tenant_id) = self.starters[self.rng.random_range(0..self.starters.len())];
        let done = self.habits.act(&self.ops, &mut self.rng, user_id, tenant_id).await;
        match done {
            Err(error) if waits(&error) => Err(error),
            Err(_) => {
                // The tenant or the person is gone: look again who there is.
                self.starters.clear();
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    async fn claim_one(&mut self) -> Result<()> {
        let claim = ClaimRun {
            owner: self.owner.clone(),
            types: CUSTOMER_TYPES.iter().map(|(name, ..)| (*name).to_owned()).collect(),
            lease: LEASE,
        };
        let Some(claimed) = self.ops.run(&Actor::System, claim).await? else { return Ok(()) };
        let found = self.ops.run(&Actor::System, GetRun { id: claimed.id }).await?;
        let counts = found.run.summary_counts;
        let get = |key| counts.get(key).unwrap_or(0);
        let (low, high) = CUSTOMER_TYPES
            .iter()
            .find(|(name, ..)| *name == claimed.run_type)
            .map_or((1, 1), |(_, low, high)| (*low, *high));
        // A run that was taken over goes on where it stands.
        let done = get(CountKey::Processed);
        let total = match get(CountKey::Total) {
            total if total > 1 => total,
            _ => self.rng.random_range(low..=high),
        };
        let chance = self.rng.random_range(0..100);
        let reason = [
            ReasonCode::ProviderThrottled,
            ReasonCode::ProviderUnavailable,
            ReasonCode::PermissionDenied,
            ReasonCode::Timeout,
            ReasonCode::ValidationFailed,
        ][self.rng.random_range(0..5)];
        // 5 to 60 seconds, with a report every one to two.
        let reports = self.rng.random_range(4..36);
        let now = Instant::now();
        self.jobs.push(Job {
            run_id: claimed.id,
            fence: claimed.fence,
            tenant_id: claimed.tenant_id,
            total,
            done: done.min(total),
            failed: get(CountKey::Failed).min(done),
            step: total.div_ceil(reports).max(1),
            mishaps: if (6..14).contains(&chance) { 1 + total / 20 } else { 0 },
            reason,
            stops: chance < 6,
            reports: claimed.run_type == "stored_report.create",
            next: now + Duration::from_millis(self.rng.random_range(1_000..4_000)),
            asked: now + LOOK,
        });
        Ok(())
    }

    /// One step of a run; false once there is nothing more to do for it.
    async fn advance(&mut self, at: usize, now: Instant) -> Result<bool> {
        let job = &mut self.jobs[at];
        let (run_id, fence) = (job.run_id, job.fence);
        if now >= job.asked {
            job.asked = now + LOOK;
            let asked = self.ops.run(&Actor::System, Pulse { run_id, fence }).await?;
            if asked.cancel {
                self.ops.run(&Actor::System, CompleteRun { run_id, fence, blocked: None }).await?;
                return Ok(false);
            }
            if asked.pause {
                self.ops.run(&Actor::System, ReleaseRun { run_id, fence, pause: true }).await?;
                return Ok(false);
            }
        }
        let job = &mut self.jobs[at];
        if now < job.next {
            return Ok(true);
        }
        job.next = now + Duration::from_millis(self.rng.random_range(900..1_900));
        let left = job.total - job.done;
        let half = job.done * 2 >= job.total;
        let fails = half && job.failed < job.mishaps && left > 0;
        let stops = half && job.stops;
        if fails || stops {
            let message = words::message(job.reason, &mut self.rng);
            let failure = RecordFailure {
                run_id: job.run_id,
                fence: job.fence,
                tenant_id: job.tenant_id,
                reason: job.reason,
                message,
            };
            self.ops.run(&Actor::System, failure).await?;
        }
        let job = &mut self.jobs[at];
        if stops {
            // Everything that was read is of no use without the rest.
            job.failed = job.total;
            job.done = job.total;
        } else if fails {
            job.failed += 1;
            job.done += 1;
        } else {
            job.done += job.step.min(left);
        }
        let counts = SummaryCounts::default()
            .with(CountKey::Total, job.total)
            .with(CountKey::Processed, job.done)
            .with(CountKey::Succeeded, job.done - job.failed)
            .with(CountKey::Failed, job.failed);
        let (run_id, fence, ended) = (job.run_id, job.fence, job.done == job.total);
        let succeeded = job.failed < job.total;
        let reports = job.reports && succeeded;
        self.ops.run(&Actor::System, ReportProgress { run_id, fence, counts }).await?;
        if ended {
            if reports {
                let report_type = words::report(&mut self.rng).to_owned();
                self.ops.run(&Actor::System, StoreReport { run_id, report_type }).await?;
            }
            let pack_id = self.habits.pack_of(run_id).filter(|_| succeeded);
            if let Some(pack_id) = pack_id {
                self.ops.run(&Actor::System, CompleteReviewPack { pack_id, run_id }).await?;
            }
            self.ops.run(&Actor::System, CompleteRun { run_id, fence, blocked: None }).await?;
        }
        Ok(!ended)
    }
}

/// Whether the database was the trouble: then waiting helps, and nothing is given up.
fn waits(error: &Error) -> bool {
    error.retry_can_help()
}
