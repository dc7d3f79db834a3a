//! One run under execution: lanes over its targets, until they are done or something halts it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{RwLock, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::heart::Until;
use super::plan::Plan;
use super::{GRACE, Shared, WorkerEvent, backoff, lane};
use crate::access::Actor;
use crate::domain::rollout::{Rollout, StopReason};
use crate::domain::sanitize;
use crate::ops::runs::{Canary, Claimed, FinishRun, HowFar, Pulse, Refresh, ReleaseRun, Released};
use crate::{Error, ErrorKind, Result};

/// How often requests are looked for.
const PULSE: Duration = Duration::from_secs(1);
/// How often the counts on screens are brought up to date.
const REFRESH: Duration = Duration::from_secs(2);
/// How long the lanes are held up for that at most.
const GATE_WAIT: Duration = Duration::from_millis(100);
/// The wait for targets that were put off.
const IDLE: Duration = Duration::from_millis(200);

/// Why an execution stops before its targets are done. Later ones outrank earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Halt {
    /// It does not.
    Go,
    /// More targets failed than the run bears.
    Threshold,
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
    halt: watch::Sender<Halt>,
    crashes: Mutex<HashMap<i64, String>>,
}

impl Ground {
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
}

/// How the targets came to an end.
enum Worked {
    /// All are done.
    Done,
    /// It stops, and what is left is skipped.
    Stop(StopReason),
    /// It is let go of.
    Release { pause: bool },
    /// The claim is lost.
    Lost,
}

impl Execution {
    pub fn new(shared: Arc<Shared>, claimed: Claimed, until: watch::Receiver<Until>) -> Self {
        let rollout: Rollout = serde_json::from_value(claimed.rollout).unwrap_or_default();
        let (halt, _) = watch::channel(Halt::Go);
        let ground = Ground {
            shared,
            run_id: claimed.id,
            fence: claimed.fence,
            plan: tokio::sync::Mutex::new(Plan::new(claimed.id)),
            gate: RwLock::new(()),
            rollout,
            total: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            halt,
            crashes: Mutex::new(HashMap::new()),
        };
        Self { ground: Arc::new(ground), until }
    }

    /// Executes it to an end; says which.
    pub async fn run(self) -> WorkerEvent {
        let run_id = self.ground.run_id;
        let mut watchers = JoinSet::new();
        watchers.spawn(guard_lease(Arc::clone(&self.ground), self.until.clone()));
        watchers.spawn(guard_stop(Arc::clone(&self.ground)));
        watchers.spawn(pulse(Arc::clone(&self.ground)));
        watchers.spawn(refresh(Arc::clone(&self.ground)));
        let worked = self.work().await;
        // The guards stay until the end is written: a lost claim ends that, too.
        let event = match worked {
            Worked::Lost => WorkerEvent::Lost { run_id },
            Worked::Done => self.finish(None).await,
            Worked::Stop(reason) => self.finish(Some(reason)).await,
            Worked::Release { pause } => self.release(pause).await,
        };
        watchers.shutdown().await;
        event
    }

    async fn work(&self) -> Worked {
        let ground = &self.ground;
        let how_far = || Refresh { run_id: ground.run_id, fence: ground.fence };
        let Ok(far) = self.insist(how_far).await else { return Worked::Lost };
        ground.know(far);
        let mut outages = 0;
        // What a lost worker had in flight may be what killed it. One at a time it kills
        // nobody else, and only its own starts add up.
        let mut suspects = true;
        loop {
            let Ok(canary) = self.canary().await else { return Worked::Lost };
            let bound = match canary {
                Ahead::Rest => i64::MAX,
                Ahead::First => i64::from(ground.rollout.canary),
                Ahead::Failed => return Worked::Stop(StopReason::CanaryFailed),
            };
            ground.plan.lock().await.again(bound, suspects);
            self.lanes(if suspects { 1 } else { ground.rollout.concurrency }).await;
            let halt = *ground.halt.borrow();
            match halt {
                Halt::Go => {}
                Halt::Lost => return Worked::Lost,
                Halt::Cancel => return self.unless_done(Worked::Stop(StopReason::Cancelled)).await,
                Halt::Threshold => {
                    return self.unless_done(Worked::Stop(StopReason::ErrorThreshold)).await;
                }
                Halt::Pause => return self.unless_done(Worked::Release { pause: true }).await,
                Halt::Shutdown => return self.unless_done(Worked::Release { pause: false }).await,
            }
            let far = self.insist(|| Refresh { run_id: ground.run_id, fence: ground.fence }).await;
            match far {
                Ok(far) if far.pending == 0 => return Worked::Done,
                Ok(far) => ground.know(far),
                Err(_) => return Worked::Lost,
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

    /// A run whose last target was just done has ended, whatever was asked of it since.
    async fn unless_done(&self, otherwise: Worked) -> Worked {
        let ground = &self.ground;
        match self.insist(|| Refresh { run_id: ground.run_id, fence: ground.fence }).await {
            Ok(far) if far.pending == 0 => Worked::Done,
            Ok(_) => otherwise,
            Err(_) => Worked::Lost,
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

    async fn canary(&self) -> Result<Ahead, ()> {
        let first = i64::from(self.ground.rollout.canary);
        if first == 0 {
            return Ok(Ahead::Rest);
        }
        let run_id = self.ground.run_id;
        let (pending, failed) = self.insist(|| Canary { run_id, first }).await.map_err(drop)?;
        Ok(match (pending, failed) {
            (_, 1..) => Ahead::Failed,
            (0, _) => Ahead::Rest,
            _ => Ahead::First,
        })
    }

    async fn finish(&self, stop: Option<StopReason>) -> WorkerEvent {
        let (run_id, fence) = (self.ground.run_id, self.ground.fence);
        match self.insist(|| FinishRun { run_id, fence, stop }).await {
            Ok(outcome) => WorkerEvent::Ended { run_id, outcome },
            Err(error) => {
                if error.kind() != ErrorKind::Lost {
                    tracing::error!(run_id, %error, "a run could not be completed");
                }
                WorkerEvent::Lost { run_id }
            }
        }
    }

    async fn release(&self, pause: bool) -> WorkerEvent {
        let (run_id, fence) = (self.ground.run_id, self.ground.fence);
        match self.insist(|| ReleaseRun { run_id, fence, pause }).await {
            Ok(Released::Ended(outcome)) => WorkerEvent::Ended { run_id, outcome },
            Ok(Released::Paused) => WorkerEvent::Released { run_id, paused: true },
            Ok(Released::Queued) => WorkerEvent::Released { run_id, paused: false },
            Err(_) => WorkerEvent::Lost { run_id },
        }
    }

    /// Asks until the database answers or the claim is lost. An answer that got lost on its
    /// way is no trouble: these questions can be asked twice.
    async fn insist<O: crate::ops::Operation>(&self, ask: impl Fn() -> O) -> Result<O::Output> {
        let mut outages = 0;
        let mut halt = self.ground.halt.subscribe();
        loop {
            let answer = self.ground.shared.ops.run(&Actor::System, ask()).await;
            match answer {
                Err(error) if error.retry_can_help() => {}
                other => return other,
            }
            tokio::select! {
                () = tokio::time::sleep(backoff::pause(IDLE, outages, Duration::from_secs(2))) => {}
                _ = halt.wait_for(|halt| *halt == Halt::Lost) => {
                    return Err(Error::new(ErrorKind::Lost, "the claim was lost in the meantime"));
                }
            }
            outages += 1;
            if self.ground.shared.is_stopping() && outages > 3 {
                return Err(Error::new(ErrorKind::Lost, "the worker stops; others go on with it"));
            }
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
