//! The worker: claims runs, works through their targets in fenced steps, and ends them.
//!
//! A process executes a few runs at once ([`WorkerSettings::slots`]) with a bounded number of
//! steps in flight ([`WorkerSettings::lanes`]). Whatever kills it, the database holds all it
//! knew: another worker goes on where the last committed step left off. Beside that, [`alerts`]
//! sends what the outbox holds to the configured webhook.

pub mod alerts;

mod backoff;
mod execution;
mod heart;
mod lane;
mod plan;
mod rollups;
mod schedule;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::access::Actor;
use crate::clock::Clock;
use crate::domain::run::RunOutcome;
use crate::ops::runs::{ClaimRun, Claimed};
use crate::ops::workers::{Leave, WorkerInfo};
use crate::ops::{ConnectionLimits, Create, Engine, Ops, OpsSettings};
use crate::{Error, ErrorKind, Result};
use alerts::{AlertSender, AlertSettings};
use execution::Execution;
use heart::Heart;

/// How long a worker that is told to stop waits for its steps before it gives them up.
const GRACE: Duration = Duration::from_secs(8);
/// After this long it is gone, whatever its steps do.
const STOP_WITHIN: Duration = Duration::from_secs(9);
/// How often an idle worker looks for work where nothing hints at it.
const POLL: Duration = Duration::from_secs(1);
/// How often an embedded database is asked whether it changed.
const LOOK: Duration = Duration::from_millis(250);

/// How a worker works.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// How long a claim lasts without a heartbeat.
    pub lease: Duration,
    /// How often leases are extended.
    pub heartbeat: Duration,
    /// Runs executed at once.
    pub slots: u32,
    /// Steps in flight at once, over all runs.
    pub lanes: u32,
    /// Records per step.
    pub chunk: i64,
    /// The first pause before a failed step is tried again; it doubles, and is jittered.
    pub retry_pause: Duration,
    /// Whether the daily work is started, too.
    pub schedule: bool,
    /// How alerts are sent; none: by somebody else.
    pub alerts: Option<AlertSettings>,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            heartbeat: Duration::from_secs(10),
            slots: 4,
            lanes: 8,
            chunk: 500,
            retry_pause: Duration::from_secs(1),
            schedule: true,
            alerts: None,
        }
    }
}

impl WorkerSettings {
    /// Refuses settings that could not keep a lease alive.
    ///
    /// # Errors
    /// *Usage*, with the rule.
    pub fn check(&self) -> Result<()> {
        if self.heartbeat < Duration::from_millis(100) {
            return Err(Error::usage("the heartbeat is too short: at least 100ms"));
        }
        if self.lease < self.heartbeat * 3 {
            return Err(Error::usage(format!(
                "a lease of {:?} is shorter than three heartbeats of {:?}",
                self.lease, self.heartbeat
            ))
            .hint("one late heartbeat must not lose a run: use a longer --lease or a shorter --heartbeat"));
        }
        if self.lease > Duration::from_hours(1) {
            return Err(Error::usage("the lease is too long: at most 1h"));
        }
        if self.slots == 0 || self.lanes == 0 || self.chunk < 1 {
            return Err(Error::usage("slots, lanes and chunk have to be at least 1"));
        }
        Ok(())
    }

    /// How long a step may take: well below the lease.
    pub fn step_timeout(&self) -> Duration {
        self.lease / 3
    }
}

/// What a worker tells whoever runs it. Never more than ids, types and outcomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerEvent {
    /// It is ready.
    Ready {
        /// Its name.
        name: String,
        /// The types it executes.
        types: Vec<String>,
    },
    /// It holds a run now.
    Claimed {
        /// The run.
        run_id: i64,
        /// Its type.
        run_type: String,
        /// Whether another worker was lost on it.
        taken_over: bool,
    },
    /// A run has ended.
    Ended {
        /// The run.
        run_id: i64,
        /// How.
        outcome: RunOutcome,
    },
    /// It let go of a run that has not ended.
    Released {
        /// The run.
        run_id: i64,
        /// Whether the run is paused.
        paused: bool,
    },
    /// It lost its claim on a run, and wrote nothing more.
    Lost {
        /// The run.
        run_id: i64,
    },
    /// The database does not answer.
    DatabaseLost {
        /// What it looks like from here.
        why: String,
    },
    /// The database answers again.
    DatabaseBack {
        /// How long it was away.
        away: Duration,
    },
    /// It was told to stop, and finishes its steps.
    Stopping,
}

impl std::fmt::Display for WorkerEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready { name, types } => {
                write!(f, "worker {name} is ready for {}", types.join(", "))
            }
            Self::Claimed { run_id, run_type, taken_over: false } => {
                write!(f, "run {run_id} claimed: {run_type}")
            }
            Self::Claimed { run_id, run_type, taken_over: true } => {
                write!(f, "run {run_id} taken over from a lost worker: {run_type}")
            }
            Self::Ended { run_id, outcome } => {
                write!(f, "run {run_id} {}", outcome.as_str().replace('_', " "))
            }
            Self::Released { run_id, paused: true } => write!(f, "run {run_id} paused"),
            Self::Released { run_id, paused: false } => write!(f, "run {run_id} back in the queue"),
            Self::Lost { run_id } => write!(
                f,
                "run {run_id} given up: its claim is lost, and another worker goes on with it"
            ),
            Self::DatabaseLost { why } => write!(f, "database lost, retrying: {why}"),
            Self::DatabaseBack { away } => {
                write!(f, "database back after {} s", away.as_secs())
            }
            Self::Stopping => f.write_str("stopping: finishing the steps in flight"),
        }
    }
}

/// What every part of a worker shares.
pub(crate) struct Shared {
    /// For claims and steps.
    pub ops: Ops,
    /// For heartbeats, on a connection of their own.
    pub heart_ops: Ops,
    pub settings: WorkerSettings,
    pub info: WorkerInfo,
    pub events: mpsc::UnboundedSender<WorkerEvent>,
    pub lanes: Semaphore,
    /// Told when there may be work.
    pub hint: Notify,
    pub stop: watch::Receiver<bool>,
}

impl Shared {
    pub fn tell(&self, event: WorkerEvent) {
        tracing::info!(worker = %self.info.name, "{event}");
        // Nobody listening is no reason to stop working.
        let _ = self.events.send(event);
    }

    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Sleeps, or wakes up early because the worker is told to stop.
    pub async fn rest(&self, pause: Duration) {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}

/// A worker process, or a worker inside one.
pub struct Worker {
    shared: Arc<Shared>,
}

impl Worker {
    /// Prepares a worker on the database at `url`. It stops, in order, once `stop` says true.
    ///
    /// # Errors
    /// *Usage* for settings or a URL that cannot work.
    pub fn open(
        url: &str,
        settings: WorkerSettings,
        ops_settings: &OpsSettings,
        clock: Clock,
        stop: watch::Receiver<bool>,
    ) -> Result<(Self, mpsc::UnboundedReceiver<WorkerEvent>)> {
        settings.check()?;
        let step = settings.step_timeout();
        // A frozen worker's transaction ends by itself before its lease does, so that what it
        // holds locked never outlives its claim.
        let limits = |connections| ConnectionLimits {
            connections,
            idle_in_transaction: Some(step),
            // Longer than a step may take, so that a slow step is told from a slow server.
            statement: Some(step + step / 4),
            ..ConnectionLimits::default()
        };
        let with = |connections, patience| OpsSettings {
            limits: limits(connections),
            patience,
            ..ops_settings.clone()
        };
        let steps = with(settings.lanes + settings.slots + 2, step);
        let ops = Ops::open(url, Create::Never, clock.clone(), steps)?;
        // A heartbeat that is answered late is worth as much as none.
        let patience =
            (settings.lease / 6).clamp(Duration::from_millis(100), Duration::from_millis(1_300));
        let heart_ops = Ops::open(url, Create::Never, clock, with(1, patience))?;
        let (events, receiver) = mpsc::unbounded_channel();
        let info = WorkerInfo {
            id: uuid::Uuid::new_v4().to_string(),
            name: name(),
            types: ops.registry().keys(),
            slots: settings.slots,
            heartbeat: settings.heartbeat,
        };
        let lanes = match ops.engine() {
            Engine::Postgres => settings.lanes,
            // One writer at a time: more would only wait for each other.
            Engine::Sqlite => 1,
        };
        let shared = Shared {
            ops,
            heart_ops,
            lanes: Semaphore::new(lanes as usize),
            settings,
            info,
            events,
            hint: Notify::new(),
            stop,
        };
        Ok((Self { shared: Arc::new(shared) }, receiver))
    }

    /// Works until it is told to stop; then lets go of what it holds. A database that goes
    /// away is waited for.
    ///
    /// # Errors
    /// Only those of the start: a schema that is not this version's.
    pub async fn run(self) -> Result<()> {
        let shared = self.shared;
        wait_for_database(&shared).await?;
        if shared.is_stopping() {
            return Ok(());
        }
        let heart = Arc::new(Heart::new());
        let beating = tokio::spawn(heart::beat(Arc::clone(&shared), Arc::clone(&heart)));
        let mut background = JoinSet::new();
        background.spawn(watch_for_work(Arc::clone(&shared)));
        background.spawn(rollups::keep(Arc::clone(&shared)));
        if shared.settings.schedule {
            background.spawn(schedule::keep(Arc::clone(&shared)));
        }
        let sender = shared.settings.alerts.clone().map(|alerts| {
            let sender = AlertSender::new(shared.ops.clone(), alerts);
            tokio::spawn(sender.run(shared.stop.clone()))
        });
        shared.tell(WorkerEvent::Ready {
            name: shared.info.name.clone(),
            types: shared.info.types.clone(),
        });
        let mut slots = JoinSet::new();
        for _ in 0..shared.settings.slots {
            slots.spawn(work(Arc::clone(&shared), Arc::clone(&heart)));
        }
        let mut stop = shared.stop.clone();
        // An error says that whoever could stop it is gone, which is a reason to stop.
        let _ = stop.wait_for(|stop| *stop).await;
        shared.tell(WorkerEvent::Stopping);
        let work_off = async {
            while slots.join_next().await.is_some() {}
            if let Some(sender) = sender {
                // It waits for its attempts no longer than its grace.
                let _ = sender.await;
            }
        };
        // A database that does not answer must not keep a worker that is told to stop: its
        // claims run out by themselves.
        if tokio::time::timeout(STOP_WITHIN, work_off).await.is_err() {
            slots.abort_all();
        }
        background.shutdown().await;
        beating.abort();
        let leave = shared.ops.run(&Actor::System, Leave { id: shared.info.id.clone() });
        // Forgotten after a day if this does not work.
        let _ = tokio::time::timeout(Duration::from_millis(500), leave).await;
        let close = async { tokio::join!(shared.ops.close(), shared.heart_ops.close()) };
        let _ = tokio::time::timeout(Duration::from_millis(300), close).await;
        Ok(())
    }
}

/// Waits until the database is there, with the schema of this version.
async fn wait_for_database(shared: &Shared) -> Result<()> {
    let mut lost = None;
    loop {
        match shared.ops.require_current_schema().await {
            Ok(()) => {
                if let Some(since) = lost {
                    let away = tokio::time::Instant::now().duration_since(since);
                    shared.tell(WorkerEvent::DatabaseBack { away });
                }
                return Ok(());
            }
            Err(error) if error.retry_can_help() && !shared.is_stopping() => {
                if lost.is_none() {
                    lost = Some(tokio::time::Instant::now());
                    shared.tell(WorkerEvent::DatabaseLost { why: error.message().to_owned() });
                }
                shared.rest(POLL).await;
            }
            Err(_) if shared.is_stopping() => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// One slot: claims a run, executes it, and looks for the next.
async fn work(shared: Arc<Shared>, heart: Arc<Heart>) {
    let mut outages = 0;
    while !shared.is_stopping() {
        let asked_at = tokio::time::Instant::now();
        match claim(&shared).await {
            Ok(Some(claimed)) => {
                outages = 0;
                let held = heart.hold(&claimed, asked_at + shared.settings.lease);
                shared.tell(WorkerEvent::Claimed {
                    run_id: claimed.id,
                    run_type: claimed.run_type.clone(),
                    taken_over: claimed.takeovers > 0,
                });
                let run_id = claimed.id;
                let event = Execution::new(Arc::clone(&shared), claimed, held).run().await;
                heart.let_go(run_id);
                shared.tell(event);
                // Where one run was, there may be more.
                shared.hint.notify_waiters();
            }
            Ok(None) => {
                outages = 0;
                wait_for_work(&shared).await;
            }
            Err(error) => {
                if !error.retry_can_help() {
                    tracing::error!(%error, "a run could not be claimed");
                }
                shared.rest(backoff::pause(Duration::from_millis(250), outages, POLL * 3)).await;
                outages += 1;
            }
        }
    }
}

async fn claim(shared: &Shared) -> Result<Option<Claimed>> {
    let claim = ClaimRun {
        owner: shared.info.id.clone(),
        types: shared.info.types.clone(),
        lease: shared.settings.lease,
    };
    shared.ops.run(&Actor::System, claim).await
}

async fn wait_for_work(shared: &Shared) {
    let mut stop = shared.stop.clone();
    tokio::select! {
        () = shared.hint.notified() => {}
        () = tokio::time::sleep(backoff::around(POLL)) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

/// Listens for hints that something changed, so that a run need not wait for the next poll.
async fn watch_for_work(shared: Arc<Shared>) {
    loop {
        if let Err(error) = listen(&shared).await
            && error.kind() != ErrorKind::Unreachable
        {
            tracing::debug!(%error, "hints of new work are not available");
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn listen(shared: &Shared) -> Result<()> {
    let mut watch = shared.ops.watch().await?;
    loop {
        match shared.ops.engine() {
            Engine::Postgres => watch.hint().await?,
            Engine::Sqlite => {
                tokio::time::sleep(LOOK).await;
                if watch.changed().await? != Some(true) {
                    continue;
                }
            }
        }
        shared.hint.notify_waiters();
    }
}

/// Host and process id: enough to find the process, and nothing more.
fn name() -> String {
    let uname = rustix::system::uname();
    let host = crate::domain::safe_text::clean(&uname.nodename().to_string_lossy()).into_owned();
    format!("{host}:{}", std::process::id())
}
