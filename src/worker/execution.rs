//! One run under execution: lanes over its targets, until they are done or something halts it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{RwLock, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::clock::is_by_age;
use super::condition::Source;
use super::event::{Loss, WorkerEvent};
use super::heart::Until;
use super::plan::Plan;
use super::starts::Starts;
use super::{GRACE, Shared, backoff, lane};
use crate::access::Actor;
use crate::domain::failure::ReasonCode;
use crate::domain::rollout::{Rollout, StopReason};
use crate::domain::sanitize;
use crate::ops::runs::{
    BlockRun, Canary, Claimed, FinishRun, HowFar, Pulse, Refresh, ReleaseRun, Released,
    TAKEOVER_LIMIT, TakeBackStarts,
};
use crate::ops::{Access, Operation as _};
use crate::{Error, ErrorKind, Result};

/// How often requests are looked for.
const PULSE: Duration = Duration::from_secs(1);
/// How often the counts on screens are brought up to date.
const REFRESH: Duration = Duration::from_secs(2);
/// How long the lanes are held up for that at most.
const GATE_WAIT: Duration = Duration::from_millis(100);
/// So often an outage that meets one run only is waited out before the run is put off.
const TRIES: u32 = 4;
/// The wait for targets that were put off.
const IDLE: Duration = Duration::from_millis(200);

/// Why an execution stops before its targets are done. Later ones outrank earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Halt {
    /// It does not.
    Go,
    /// More targets failed than the run bears.
    Threshold,
    /// A precondition of its work does not hold.
    Blocked,
    /// The database refuses to write the run.
    Refused,
    /// The machine's clock is wrong, and the run is destructive.
    Clock,
    /// The worker is told to stop.
    Shutdown,
    /// Somebody wants it paused.
    Pause,
    /// Somebody wants it cancelled.
    Cancel,
    /// The claim is lost: nothing more may be written.
    Lost,
}

/// What the lanes of a run stand on.
pub struct Ground {
    pub shared: Arc<Shared>,
    pub run_id: i64,
    pub fence: i64,
    pub plan: tokio::sync::Mutex<Plan>,
    /// Steps hold it for reading; a refresh of the counts holds it alone.
    pub gate: RwLock<()>,
    rollout: Rollout,
    total: AtomicU64,
    failed: AtomicU64,
    pub starts: Starts,
    halt: watch::Sender<Halt>,
    crashes: Mutex<HashMap<i64, String>>,
    /// Whether the claim was lost because its lease could not be renewed in time.
    expired: AtomicBool,
    /// So often in a row the database refused to write it.
    pub refusals: AtomicU32,
    /// What the database refuses the run with.
    refusal: Mutex<Option<Error>>,
    /// Why the run is to end as blocked.
    block: Mutex<Option<(ReasonCode, String)>>,
}

impl Ground {
    /// Ends the run as blocked: a precondition of its work does not hold.
    pub fn block(&self, reason: ReasonCode, message: String) {
        *self.block.lock().unwrap_or_else(PoisonError::into_inner) = Some((reason, message));
        self.halt(Halt::Blocked);
    }

    pub fn target(&self, ordinal: i64) -> Source {
        Source::Target(self.run_id, ordinal)
    }

    /// Puts the run off: the database refuses to write it.
    pub fn refuse(&self, error: Error) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        self.halt(Halt::Refused);
    }

    fn refusal(&self) -> Error {
        let refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take();
        refusal.unwrap_or_else(|| Error::failed("the database refuses the run"))
    }

    fn loss(&self) -> Outcome {
        let expired = self.expired.load(Ordering::Relaxed);
        let why = if expired { Loss::Expired } else { Loss::Taken };
        Outcome::Told(WorkerEvent::Lost { run_id: self.run_id, why })
    }

    pub fn is_halted(&self) -> bool {
        *self.halt.borrow() != Halt::Go
    }

    /// Halts the run, unless something that outranks this did.
    pub fn halt(&self, why: Halt) {
        self.halt.send_if_modified(|halt| {
            let outranks = why > *halt;
            if outranks {
                *halt = why;
            }
            outranks
        });
    }

    /// Counts a failed target, and halts if that is one too many.
    pub fn count_failure(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.check_threshold();
    }

    fn know(&self, far: HowFar) {
        self.total.store(far.total, Ordering::Relaxed);
        self.failed.store(far.failed, Ordering::Relaxed);
        self.check_threshold();
    }

    fn check_threshold(&self) {
        let (failed, total) =
            (self.failed.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
        if self.rollout.error_threshold.is_some_and(|threshold| threshold.exceeded(failed, total)) {
            self.halt(Halt::Threshold);
        }
    }

    pub async fn give_back(&self, ordinal: i64) {
        self.plan.lock().await.give_back(ordinal);
    }

    pub fn note_crash(&self, ordinal: i64, text: String) {
        tracing::error!(
            run_id = self.run_id,
            ordinal,
            text = sanitize::message(&text),
            "a step crashed"
        );
        self.crashes.lock().unwrap_or_else(PoisonError::into_inner).insert(ordinal, text);
    }

    pub fn crash_of(&self, ordinal: i64) -> Option<String> {
        self.crashes.lock().unwrap_or_else(PoisonError::into_inner).get(&ordinal).cloned()
    }
}

/// A run under execution.
pub struct Execution {
    ground: Arc<Ground>,
    until: watch::Receiver<Until>,
    /// Whether it is only to be closed: its workers keep disappearing.
    closes: bool,
    /// Whether it is not executed while the machine's clock is wrong.
    guarded: bool,
}

/// What came of an execution.
pub enum Outcome {
    /// What is to be told of it.
    Told(WorkerEvent),
    /// The database refuses to write it; the worker still holds it.
    Unwritten(Error),
}

/// How the targets came to an end.
enum Worked {
    /// All are done.
    Done,
    /// It stops, and what is left is skipped.
    Stop(StopReason),
    /// It ends as blocked.
    Blocked,
    /// It is let go of.
    Release { pause: bool },
    /// The claim is lost.
    Lost,
    /// The database refuses to write it.
    Unwritten(Error),
}

impl Worked {
    /// What an unanswered question comes to.
    fn of_error(error: Error) -> Self {
        if error.kind() == ErrorKind::Lost { Self::Lost } else { Self::Unwritten(error) }
    }
}

impl Execution {
    pub fn new(shared: Arc<Shared>, claimed: Claimed, until: watch::Receiver<Until>) -> Self {
        let rollout: Rollout = serde_json::from_value(claimed.rollout).unwrap_or_default();
        let (halt, _) = watch::channel(Halt::Go);
        let closes = claimed.takeovers > TAKEOVER_LIMIT;
        let ground = Ground {
            shared,
            run_id: claimed.id,
            fence: claimed.fence,
            plan: tokio::sync::Mutex::new(Plan::new(claimed.id)),
            gate: RwLock::new(()),
            rollout,
            total: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            starts: Starts::default(),
            halt,
            crashes: Mutex::new(HashMap::new()),
            expired: AtomicBool::new(false),
            refusals: AtomicU32::new(0),
            refusal: Mutex::default(),
            block: Mutex::default(),
        };
        let guarded = is_by_age(&claimed.run_type);
        Self { ground: Arc::new(ground), until, closes, guarded }
    }

    /// Executes it to an end; says which.
    pub async fn run(self) -> Outcome {
        let mut watchers = JoinSet::new();
        watchers.spawn(guard_lease(Arc::clone(&self.ground), self.until.clone()));
        watchers.spawn(guard_stop(Arc::clone(&self.ground)));
        if self.guarded {
            watchers.spawn(super::clock::guard(Arc::clone(&self.ground)));
        }
        watchers.spawn(pulse(Arc::clone(&self.ground)));
        watchers.spawn(refresh(Arc::clone(&self.ground)));
        let worked = if self.closes {
            // Nobody gets on with it: one more worker would only be the next to be lost.
            tracing::error!(run_id = self.ground.run_id, "closing a run whose workers disappear");
            Worked::Stop(StopReason::WorkerLost)
        } else {
            self.work().await
        };
        // The guards stay until the end is written: a lost claim ends that, too.
        let outcome = match worked {
            Worked::Lost => self.ground.loss(),
            Worked::Unwritten(error) => Outcome::Unwritten(error),
            Worked::Done => self.finish(None).await,
            Worked::Stop(reason) => self.finish(Some(reason)).await,
            Worked::Blocked => self.finish_blocked().await,
            Worked::Release { pause } => self.release(pause).await,
        };
        watchers.shutdown().await;
        if let Outcome::Told(WorkerEvent::Lost { run_id, .. }) = &outcome {
            // This process is alive, so nothing that it started has crashed.
            let starts = self.ground.starts.take_all();
            self.ground.shared.owe(TakeBackStarts {
                run_id: *run_id,
                fence: self.ground.fence,
                starts,
                lost_by: Some(self.ground.shared.info.id.clone()),
            });
        }
        outcome
    }

    async fn work(&self) -> Worked {
        let ground = &self.ground;
        match self.insist(|| self.far()).await {
            Ok(far) => ground.know(far),
            Err(error) => return Worked::of_error(error),
        }
        let mut outages = 0;
        // What a lost worker had in flight may be what killed it. One at a time it kills
        // nobody else, and only its own starts add up.
        let mut suspects = true;
        loop {
            let bound = match self.canary().await {
                Ok(Ahead::Rest) => i64::MAX,
                Ok(Ahead::First) => i64::from(ground.rollout.canary),
                Ok(Ahead::Failed) => return Worked::Stop(StopReason::CanaryFailed),
                Err(error) => return Worked::of_error(error),
            };
            ground.plan.lock().await.again(bound, suspects);
            self.lanes(if suspects { 1 } else { ground.rollout.concurrency }).await;
            let halt = *ground.halt.borrow();
            match halt {
                Halt::Go => {}
                Halt::Lost => return Worked::Lost,
                Halt::Refused => return Worked::Unwritten(ground.refusal()),
                Halt::Cancel => return self.unless_done(Worked::Stop(StopReason::Cancelled)).await,
                Halt::Threshold => {
                    return self.unless_done(Worked::Stop(StopReason::ErrorThreshold)).await;
                }
                Halt::Pause => return self.unless_done(Worked::Release { pause: true }).await,
                Halt::Blocked => return Worked::Blocked,
                Halt::Shutdown | Halt::Clock => {
                    return self.unless_done(Worked::Release { pause: false }).await;
                }
            }
            match self.insist(|| self.far()).await {
                Ok(far) if far.pending == 0 => return Worked::Done,
                Ok(far) => ground.know(far),
                Err(error) => return Worked::of_error(error),
            }
            if suspects {
                suspects = false;
                continue;
            }
            // Some targets were put off; the next pass takes those that are due.
            ground.shared.rest(backoff::pause(IDLE, outages, Duration::from_secs(1))).await;
            outages += 1;
        }
    }

    fn far(&self) -> Refresh {
        Refresh { run_id: self.ground.run_id, fence: self.ground.fence }
    }

    /// A run whose last target was just done has ended, whatever was asked of it since.
    async fn unless_done(&self, otherwise: Worked) -> Worked {
        match self.insist(|| self.far()).await {
            Ok(far) if far.pending == 0 => Worked::Done,
            Ok(_) => otherwise,
            Err(error) => Worked::of_error(error),
        }
    }

    /// Runs the lanes until the pass is over or the run halts. Steps in flight are finished,
    /// but not waited for longer than the grace, and not at all once the claim is lost.
    async fn lanes(&self, n: u32) {
        let ground = &self.ground;
        let mut lanes = JoinSet::new();
        for _ in 0..n.max(1) {
            lanes.spawn(lane::run(Arc::clone(ground)));
        }
        let mut halt = ground.halt.subscribe();
        let mut deadline: Option<Instant> = None;
        loop {
            let patience = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                joined = lanes.join_next() => match joined {
                    None => return,
                    Some(Ok(())) => {}
                    Some(Err(error)) => tracing::error!(%error, "a lane ended unexpectedly"),
                },
                Ok(()) = halt.changed() => match *halt.borrow_and_update() {
                    Halt::Lost => break,
                    Halt::Shutdown => deadline = Some(Instant::now() + GRACE),
                    _ => {}
                },
                () = patience => break,
            }
        }
        // Dropped steps are rolled back; the database has the last word on a commit under way.
        lanes.shutdown().await;
    }

    async fn canary(&self) -> Result<Ahead> {
        let first = i64::from(self.ground.rollout.canary);
        if first == 0 {
            return Ok(Ahead::Rest);
        }
        let run_id = self.ground.run_id;
        let (pending, failed) = self.insist(|| Canary { run_id, first }).await?;
        Ok(match (pending, failed) {
            (_, 1..) => Ahead::Failed,
            (0, _) => Ahead::Rest,
            _ => Ahead::First,
        })
    }

    async fn finish(&self, stop: Option<StopReason>) -> Outcome {
        let (run_id, fence) = (self.ground.run_id, self.ground.fence);
        match self.insist(|| FinishRun { run_id, fence, stop }).await {
            Ok(outcome) => Outcome::Told(WorkerEvent::Ended { run_id, outcome }),
            Err(error) => self.not_written(error),
        }
    }

    async fn finish_blocked(&self) -> Outcome {
        let (run_id, fence) = (self.ground.run_id, self.ground.fence);
        let why = self.ground.block.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (reason, message) = why.unwrap_or((ReasonCode::UnexpectedError, String::new()));
        let block = || BlockRun { run_id, fence, reason, message: message.clone() };
        match self.insist(block).await {
            Ok(outcome) => Outcome::Told(WorkerEvent::Ended { run_id, outcome }),
            Err(error) => self.not_written(error),
        }
    }

    async fn release(&self, pause: bool) -> Outcome {
        let (run_id, fence) = (self.ground.run_id, self.ground.fence);
        let event = match self.insist(|| ReleaseRun { run_id, fence, pause }).await {
            Ok(Released::Ended(outcome)) => WorkerEvent::Ended { run_id, outcome },
            Ok(Released::Paused) => WorkerEvent::Released { run_id, paused: true },
            Ok(Released::Queued) => WorkerEvent::Released { run_id, paused: false },
            Err(error) => return self.not_written(error),
        };
        Outcome::Told(event)
    }

    fn not_written(&self, error: Error) -> Outcome {
        let Ground { run_id, shared, .. } = &*self.ground;
        if error.kind() == ErrorKind::Lost {
            return self.ground.loss();
        }
        if shared.is_stopping() {
            return Outcome::Told(WorkerEvent::Lost { run_id: *run_id, why: Loss::Unreleased });
        }
        Outcome::Unwritten(error)
    }

    /// Asks until the database answers or the claim is lost. An answer that got lost on its
    /// way is no trouble: these questions can be asked twice. Where only this run is refused, the
    /// error comes back after some tries, so that the next run has its turn.
    async fn insist<O: crate::ops::Operation>(&self, ask: impl Fn() -> O) -> Result<O::Output> {
        let shared = &self.ground.shared;
        let run_id = self.ground.run_id;
        // A question that writes nothing never shows that its outage is over.
        let writes = O::ACCESS == Access::Write;
        let source = Source::Run(run_id, if writes { O::NAME } else { Refresh::NAME });
        // A run that was put off has had its tries.
        let tries = if shared.postponed.has(run_id) { 0 } else { TRIES };
        let mut outages = 0;
        let mut refused = 0;
        let mut halt = self.ground.halt.subscribe();
        loop {
            let error = match shared.ops.run(&Actor::System, ask()).await {
                Ok(answer) => {
                    if writes {
                        shared.wrote(source);
                    }
                    return Ok(answer);
                }
                Err(error) if error.is_waited_out() => error,
                Err(error) => return Err(error),
            };
            shared.failed(source, &error);
            if !shared.condition.is_failing(Source::Heart) {
                refused += 1;
            }
            if refused > tries || (shared.is_stopping() && outages > 3) {
                return Err(error);
            }
            tokio::select! {
                () = tokio::time::sleep(backoff::pause(IDLE, outages, Duration::from_secs(1))) => {}
                _ = halt.wait_for(|halt| *halt == Halt::Lost) => {
                    return Err(Error::new(ErrorKind::Lost, "the claim was lost in the meantime"));
                }
            }
            outages += 1;
        }
    }
}

/// What the canary targets allow.
enum Ahead {
    /// They are still to be done.
    First,
    /// One of them failed.
    Failed,
    /// They are done well, or there are none.
    Rest,
}

/// Fences this process off by its own clock: once the lease could be over, nothing more is
/// tried, whether or not the database can be asked.
async fn guard_lease(ground: Arc<Ground>, mut until: watch::Receiver<Until>) {
    loop {
        let deadline = *until.borrow_and_update();
        if !ground.shared.ops.is_fenced() {
            return;
        }
        let Some(deadline) = deadline else {
            ground.halt(Halt::Lost);
            return;
        };
        tokio::select! {
            () = tokio::time::sleep_until(deadline) => {
                ground.expired.store(true, Ordering::Relaxed);
                ground.halt(Halt::Lost);
                return;
            }
            changed = until.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

async fn guard_stop(ground: Arc<Ground>) {
    let mut stop = ground.shared.stop.clone();
    if stop.wait_for(|stop| *stop).await.is_ok() {
        ground.halt(Halt::Shutdown);
    }
}

/// Looks for what people ask of the run.
async fn pulse(ground: Arc<Ground>) {
    loop {
        let pulse = Pulse { run_id: ground.run_id, fence: ground.fence };
        match ground.shared.ops.run(&Actor::System, pulse).await {
            Ok(asked) if asked.cancel => ground.halt(Halt::Cancel),
            Ok(asked) if asked.pause => ground.halt(Halt::Pause),
            Err(error) if error.kind() == ErrorKind::Lost => ground.halt(Halt::Lost),
            // The heart says so when the database is gone.
            _ => {}
        }
        tokio::time::sleep(PULSE.min(ground.shared.settings.heartbeat)).await;
    }
}

/// Keeps the counts on screens up to date. A long step is not waited for: the next round may
/// find a gap.
async fn refresh(ground: Arc<Ground>) {
    let pause = REFRESH.min(ground.shared.settings.heartbeat);
    loop {
        tokio::time::sleep(pause).await;
        let Ok(_gate) = tokio::time::timeout(GATE_WAIT, ground.gate.write()).await else {
            continue;
        };
        let refresh = Refresh { run_id: ground.run_id, fence: ground.fence };
        match ground.shared.ops.run(&Actor::System, refresh).await {
            Ok(far) => ground.know(far),
            Err(error) if error.kind() == ErrorKind::Lost => ground.halt(Halt::Lost),
            Err(_) => {}
        }
    }
}
