//! The worker: claims runs, works through their targets in fenced steps, and ends them.
//!
//! A process executes a few runs at once ([`WorkerSettings::slots`]) with a bounded number of
//! steps in flight ([`WorkerSettings::lanes`]). Whatever kills it, the database holds all it
//! knew: another worker goes on where the last committed step left off. Beside that, [`alerts`]
//! sends what the outbox holds to the configured webhook.

pub mod alerts;

mod backoff;
mod clock;
mod condition;
mod event;
mod execution;
mod heart;
mod lane;
mod plan;
mod postponed;
mod rollups;
mod schedule;
mod slot;
mod starts;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::access::Actor;
use crate::clock::Clock;
use crate::ops::runs::TakeBackStarts;
use crate::ops::workers::{Leave, WorkerInfo};
use crate::ops::{ConnectionLimits, Create, Engine, Ops, OpsSettings, SchemaState};
use crate::{Error, ErrorKind, Result};
use alerts::{AlertSender, AlertSettings};
use clock::ClockWatch;
use condition::{Condition, LockWaits, Source};
pub use event::{Loss, WorkerEvent};
use heart::Heart;
use postponed::{Lost, Postponed};

/// How long a worker that is told to stop waits for its steps before it gives them up.
const GRACE: Duration = Duration::from_secs(8);
/// After this long it is gone, whatever its steps do.
const STOP_WITHIN: Duration = Duration::from_secs(9);
/// How often an idle worker looks for work where nothing hints at it.
const POLL: Duration = Duration::from_secs(1);
/// The same where the server notifies of changes; an expired lease notifies of nothing.
const HINTED_POLL: Duration = Duration::from_secs(5);
/// A statement of a run waits for a lock no longer, so that a lock that is held on to is told soon.
const LOCK_WAIT: Duration = Duration::from_secs(3);
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
    /// Whether the server notifies of changes.
    hinted: AtomicBool,
    /// Held by the one slot that looks for work while all wait.
    looking: tokio::sync::Mutex<()>,
    /// Told when the heartbeat has something new to say.
    pub news: Notify,
    pub stop: watch::Receiver<bool>,
    /// Stops the worker, whoever runs it.
    stopper: watch::Sender<bool>,
    pub condition: Condition,
    pub clock: ClockWatch,
    pub postponed: Postponed,
    pub lost: Lost,
    /// Starts of lost runs that are to be taken back once the database takes writes.
    owed: Mutex<Vec<TakeBackStarts>>,
    /// The error that the worker ends with: the schema has become newer.
    outdated: Mutex<Option<Error>>,
}

impl Shared {
    pub fn tell(&self, event: WorkerEvent) {
        if event.is_trouble() {
            tracing::warn!(worker = %self.info.name, "{event}");
        } else {
            tracing::info!(worker = %self.info.name, "{event}");
        }
        // Nobody listening is no reason to stop working.
        let _ = self.events.send(event);
    }

    /// Notes that something could not be written, and says so where that is new.
    pub fn failed(&self, source: Source, error: &Error) {
        if let Some(event) = self.condition.failed(source, error) {
            self.tell(event);
            self.news.notify_one();
        }
    }

    /// Notes that something was written.
    pub fn wrote(&self, source: Source) {
        if let Some(event) = self.condition.wrote(source) {
            self.tell(event);
            self.news.notify_one();
        }
    }

    /// Looks at the schema. One that is newer than this program ends the worker.
    pub async fn check_schema(&self) -> bool {
        let newer = matches!(self.heart_ops.schema_state().await, Ok(SchemaState::Newer { .. }));
        if newer && let Err(error) = self.heart_ops.require_current_schema().await {
            let mut outdated = self.outdated.lock().unwrap_or_else(PoisonError::into_inner);
            if outdated.is_none() {
                self.tell(WorkerEvent::Outdated { why: error.message().to_owned() });
                *outdated = Some(error);
            }
            drop(outdated);
            self.stopper.send_replace(true);
        }
        newer
    }

    /// Keeps starts of a lost run for when they can be taken back.
    pub fn owe(&self, starts: TakeBackStarts) {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner).push(starts);
    }

    /// Takes back what is owed, now that the database takes writes.
    pub async fn settle_owed(&self) {
        let owed = std::mem::take(&mut *self.owed.lock().unwrap_or_else(PoisonError::into_inner));
        for starts in owed {
            let taken_back = self.heart_ops.run(&Actor::System, starts.clone()).await;
            if taken_back.map_or_else(|error| error.is_waited_out(), |done| !done) {
                self.owe(starts);
            }
        }
    }

    /// How long to wait for a hint of work.
    pub fn poll(&self) -> Duration {
        let hinted = self.hinted.load(Ordering::Relaxed);
        if hinted { (self.settings.lease / 6).clamp(POLL, HINTED_POLL) } else { POLL }
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
    /// Says true once whoever runs it wants it to stop.
    stop: watch::Receiver<bool>,
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
        let limits = |connections, lock: Duration| ConnectionLimits {
            connections,
            idle_in_transaction: Some(step),
            // Longer than a step may take, so that a slow step is told from a slow server.
            statement: Some(step + step / 4),
            // Shorter, so that a lock of another session is told from a slow step.
            lock: Some(lock),
            pages: ops_settings.limits.pages,
            schema: ops_settings.limits.schema.clone(),
            require_tls: ops_settings.limits.require_tls,
            named_statements: true,
            ..ConnectionLimits::default()
        };
        let with = |connections, patience, lock| OpsSettings {
            limits: limits(connections, lock),
            patience,
            application: "tenantpilot worker",
            ..ops_settings.clone()
        };
        let lock = (step / 4 * 3).min(LOCK_WAIT);
        let steps = with(settings.lanes + settings.slots + 2, step, lock);
        let ops = Ops::open(url, Create::Never, clock.clone(), steps)?;
        // A heartbeat that is answered late is worth as much as none.
        let patience =
            (settings.lease / 6).clamp(Duration::from_millis(100), Duration::from_millis(1_300));
        let heart_ops = Ops::open(url, Create::Never, clock, with(1, patience, patience * 2))?;
        let (events, receiver) = mpsc::unbounded_channel();
        let info = WorkerInfo {
            id: uuid::Uuid::new_v4().to_string(),
            name: name(),
            types: ops.registry().types(),
            slots: settings.slots,
            heartbeat: settings.heartbeat,
        };
        let lanes = match ops.engine() {
            Engine::Postgres => settings.lanes,
            // One writer at a time: more would only wait for each other.
            Engine::Sqlite => 1,
        };
        let (stopper, stopping) = watch::channel(*stop.borrow());
        let shared = Shared {
            ops,
            heart_ops,
            lanes: Semaphore::new(lanes as usize),
            settings,
            info,
            events,
            hint: Notify::new(),
            hinted: AtomicBool::new(false),
            looking: tokio::sync::Mutex::default(),
            news: Notify::new(),
            stop: stopping,
            stopper,
            condition: Condition::new(LockWaits { heart: patience * 2, work: lock }),
            clock: ClockWatch::default(),
            postponed: Postponed::default(),
            lost: Lost::default(),
            owed: Mutex::default(),
            outdated: Mutex::default(),
        };
        Ok((Self { shared: Arc::new(shared), stop }, receiver))
    }

    /// Works until it is told to stop; then lets go of what it holds. A database that goes
    /// away is waited for.
    ///
    /// # Errors
    /// A schema that is not this version's at the start, or has become newer since.
    pub async fn run(self) -> Result<()> {
        let Self { shared, mut stop } = self;
        let told = Arc::clone(&shared);
        let forward = tokio::spawn(async move {
            // An error says that whoever could stop it is gone, which is a reason to stop.
            let _ = stop.wait_for(|stop| *stop).await;
            told.stopper.send_replace(true);
        });
        let done = Self::work(&shared).await;
        forward.abort();
        done?;
        let outdated = shared.outdated.lock().unwrap_or_else(PoisonError::into_inner).take();
        outdated.map_or(Ok(()), Err)
    }

    async fn work(shared: &Arc<Shared>) -> Result<()> {
        wait_for_database(shared).await?;
        if shared.is_stopping() {
            return Ok(());
        }
        // Before anything is claimed. Without an answer, the heart looks again.
        if shared.ops.database_now().await.is_ok() {
            shared.look_at_clock();
        }
        if !heart::first(shared).await? {
            return Ok(());
        }
        let heart = Arc::new(Heart::new());
        let beating = tokio::spawn(heart::beat(Arc::clone(shared), Arc::clone(&heart)));
        let mut background = JoinSet::new();
        background.spawn(watch_for_work(Arc::clone(shared)));
        background.spawn(rollups::keep(Arc::clone(shared)));
        if shared.settings.schedule {
            background.spawn(schedule::keep(Arc::clone(shared)));
        }
        let sender = shared.settings.alerts.clone().map(|alerts| {
            let sender = AlertSender::new(shared.ops.clone(), alerts);
            tokio::spawn(sender.run(shared.stop.clone()))
        });
        shared.tell(WorkerEvent::Ready { name: shared.info.name.clone(), types: shared.types() });
        let mut slots = JoinSet::new();
        for _ in 0..shared.settings.slots {
            slots.spawn(slot::work(Arc::clone(shared), Arc::clone(&heart)));
        }
        let mut stop = shared.stop.clone();
        // The sender lives as long as the worker.
        let _ = stop.wait_for(|stop| *stop).await;
        // A worker that met a newer schema has said that it stops.
        if shared.outdated.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            shared.tell(WorkerEvent::Stopping);
        }
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

/// Waits until the database is there, with the schema of this version and the grants of a worker.
/// One that was not there is made and migrated meanwhile.
async fn wait_for_database(shared: &Shared) -> Result<()> {
    let mut waited = false;
    loop {
        let error = match look_at_database(&shared.ops).await {
            // That it takes writes again, the first heartbeat says.
            Ok(()) => return Ok(()),
            Err(_) if shared.is_stopping() => return Ok(()),
            Err(error) => error,
        };
        let away = matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::TimedOut);
        let goes_on = away || may_change(&shared.ops, waited).await;
        if !goes_on {
            return Err(error);
        }
        waited = true;
        shared.failed(Source::Heart, &error);
        shared.rest(POLL).await;
    }
}

async fn look_at_database(ops: &Ops) -> Result<()> {
    ops.require_current_schema().await?;
    ops.require_direct_connection("a worker").await?;
    ops.require_worker_grants().await
}

/// Whether migrations are missing or were applied meanwhile, or it went away again. An empty database
/// may be the wrong one, unless it is `new`.
async fn may_change(ops: &Ops, new: bool) -> bool {
    match ops.schema_state().await {
        Ok(SchemaState::Older { .. }) => true,
        Ok(state) if state.is_usable() => look_at_database(ops).await.is_ok(),
        Ok(state) => new && state == SchemaState::Empty,
        Err(error) => matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::TimedOut),
    }
}

/// Listens for hints that something changed, so that a run need not wait for the next poll.
async fn watch_for_work(shared: Arc<Shared>) {
    loop {
        let ended = listen(&shared).await;
        shared.hinted.store(false, Ordering::Relaxed);
        if let Err(error) = ended
            && error.kind() != ErrorKind::Unreachable
        {
            tracing::debug!(%error, "hints of new work are not available");
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn listen(shared: &Shared) -> Result<()> {
    let mut watch = shared.ops.watch().await?;
    shared.hinted.store(shared.ops.engine() == Engine::Postgres, Ordering::Relaxed);
    // What changed before is heard of by a look.
    shared.hint.notify_waiters();
    loop {
        match shared.ops.engine() {
            Engine::Postgres => drop(watch.hint().await?),
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
    format!("{}:{}", host(), std::process::id())
}

fn host() -> String {
    let uname = rustix::system::uname();
    crate::domain::safe_text::clean(&uname.nodename().to_string_lossy()).into_owned()
}

/// Whether a worker of this name was a process of this machine that has ended. Of another machine's
/// nothing is known, and where the process number was given away again, it seems to be there.
pub fn is_gone(name: &str) -> bool {
    let Some((machine, process)) = name.rsplit_once(':') else { return false };
    let Some(pid) = process.parse().ok().and_then(rustix::process::Pid::from_raw) else {
        return false;
    };
    machine == host() && rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH)
}
