//! What is known of changes of the database. One cheap question, asked for all requests that are
//! due together, tells whether anything has changed; hints tell when a run has.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Turn, MutexGuard, Notify};
use tokio::time::Instant;

use crate::Result;
use crate::ops::{ChangeWatch, Engine, Ops, Snapshot};
use crate::tui::msg::Follows;
use crate::tui::slot::Slot;

/// Timers are not exact.
const SLACK: Duration = Duration::from_millis(100);
/// While hints arrive, what they cover is read at most this often for other changes.
const COVERED: Duration = Duration::from_secs(60);

/// A state of the database, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    version: u64,
    hints: u64,
    bars: u64,
    /// When it was looked at, or asked for.
    pub at: Instant,
}

/// What is to be done about a subscription that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Read,
    Unchanged,
    /// It has changed, and was read a moment ago.
    Later,
}

/// What is known, shared by the requests of a session.
#[derive(Default)]
pub struct Feed {
    looks: Turn<Looks>,
    poll: Turn<()>,
    /// Held by the next poll of a slot that is no tab's own.
    aside: Turn<()>,
    version: AtomicU64,
    hints: AtomicU64,
    /// How often a lock that keeps readers out, or what keeps writers out, came or went.
    bars: AtomicU64,
    /// Whether such a lock was there when it was looked last.
    locked: AtomicBool,
    /// Whether what waited for it was read since: one that is there now is another one.
    passed: AtomicBool,
    proven: AtomicBool,
    /// The channel to which a message is to be sent that shows whether hints arrive.
    proof: Mutex<Option<String>>,
    pub sent: Notify,
    answered: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Looks {
    watch: Option<ChangeWatch>,
    snapshot: Option<Snapshot>,
    asked: Option<Instant>,
}

impl Feed {
    /// A turn of a poll. They go to a server one at a time, so that what a key asks for, and what the tab
    /// itself shows, waits for one of the others at most.
    pub async fn aside(&self, ops: &Ops, slot: Slot) -> MutexGuard<'_, ()> {
        let aside = if slot.is_aside() { Some(ops.queue(self.aside.lock()).await) } else { None };
        let turn = ops.queue(self.poll.lock()).await;
        drop(aside);
        turn
    }

    pub fn known(&self) -> Seen {
        let version = self.version.load(Ordering::Acquire);
        let hints = self.hints.load(Ordering::Acquire);
        Seen { version, hints, bars: self.bars(), at: Instant::now() }
    }

    /// What is known of the database as it was at `at` or later.
    pub async fn look(&self, ops: &Ops, at: Instant) -> Result<Seen> {
        let mut looks = self.looks.lock().await;
        match ops.engine() {
            Engine::Postgres if looks.asked.is_some_and(|asked| asked >= at) => {}
            Engine::Postgres => self.ask(ops, &mut looks).await?,
            Engine::Sqlite => self.look_at_file(ops, &mut looks).await?,
        }
        Ok(Seen { at, ..self.known() })
    }

    async fn ask(&self, ops: &Ops, looks: &mut Looks) -> Result<()> {
        let proof = lock(&self.proof).take();
        let (asked, snapshot) = match ops.snapshot(proof.as_deref()).await {
            Ok(answer) => answer.unzip(),
            Err(error) => {
                // A listener that came meanwhile has its own.
                let mut next = lock(&self.proof);
                *next = next.take().or(proof);
                return Err(error);
            }
        };
        if proof.is_some() {
            self.sent.notify_one();
        }
        self.answered();
        looks.asked = asked;
        self.locked.store(snapshot.as_ref().is_some_and(|s| s.locked), Ordering::Release);
        let barred = |looked: &Option<Snapshot>| {
            looked.as_ref().map_or((false, false), |s| (s.locked, s.read_only))
        };
        let (locked, read_only) = barred(&looks.snapshot);
        let passed = self.passed.swap(false, Ordering::AcqRel);
        let locked = locked && !passed;
        if (locked, read_only) != barred(&snapshot) {
            self.bars.fetch_add(1, Ordering::AcqRel);
        }
        if looks.snapshot != snapshot {
            looks.snapshot = snapshot;
            self.version.fetch_add(1, Ordering::AcqRel);
        }
        Ok(())
    }

    async fn look_at_file(&self, ops: &Ops, looks: &mut Looks) -> Result<()> {
        if looks.watch.is_none() {
            looks.watch = Some(ops.watch().await?);
            self.version.fetch_add(1, Ordering::AcqRel);
        }
        let Some(watch) = &mut looks.watch else { return Ok(()) };
        match watch.changed().await {
            Ok(Some(false)) => {}
            Ok(Some(true) | None) => drop(self.version.fetch_add(1, Ordering::AcqRel)),
            Err(error) => {
                looks.watch = None;
                return Err(error);
            }
        }
        Ok(())
    }

    /// What is to be done about the poll of `slot`, whose answer shows the state `shown`, in the state
    /// `now`.
    pub fn due(&self, engine: Engine, slot: Slot, follows: Follows, shown: Seen, now: Seen) -> Due {
        // What is read tells whether it waits for one.
        if self.is_barred_since(shown) {
            return Due::Read;
        }
        let age = now.at.saturating_duration_since(shown.at);
        let mut changed = now.version != shown.version;
        let mut holds = Duration::ZERO;
        if engine == Engine::Postgres {
            holds = slot.holds().unwrap_or(follows.holds());
            let covered = slot.is_hinted() && follows != Follows::Progress;
            if covered && self.proven.load(Ordering::Acquire) {
                changed = now.hints != shown.hints || (changed && age + SLACK >= COVERED);
            }
            if changed && age + SLACK < slot.distance() {
                return Due::Later;
            }
        }
        // What is said of time alone changes without a change.
        if changed || (follows != Follows::Changes && age >= holds) {
            Due::Read
        } else {
            Due::Unchanged
        }
    }

    /// A connection listens from now on; a message to `proof` shows whether hints arrive.
    pub fn listening(&self, proof: Option<&str>) {
        *lock(&self.proof) = proof.map(str::to_owned);
    }

    /// The message has arrived, and so do hints.
    pub fn prove(&self) {
        // What happened before was not heard.
        self.hint();
        self.proven.store(true, Ordering::Release);
    }

    /// Hints arrive no more.
    pub fn deaf(&self) {
        self.proven.store(false, Ordering::Release);
        *lock(&self.proof) = None;
    }

    pub fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Acquire)
    }

    pub fn hint(&self) {
        self.hints.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether a hint has arrived since the state `shown`.
    pub fn missed(&self, shown: Seen) -> bool {
        self.hints.load(Ordering::Acquire) != shown.hints
    }

    /// How often a lock that keeps readers out, or what keeps writers out, was seen to come or go.
    pub fn bars(&self) -> u64 {
        self.bars.load(Ordering::Acquire)
    }

    /// Whether a lock that keeps readers out was seen last.
    pub fn is_locked(&self) -> bool {
        self.locked.load(Ordering::Acquire)
    }

    /// What waited was read.
    pub fn lock_passed(&self) {
        self.passed.store(true, Ordering::Release);
    }

    /// Whether such a lock has come or gone since the state `shown`.
    pub fn is_barred_since(&self, shown: Seen) -> bool {
        self.bars() != shown.bars
    }

    pub fn answered(&self) {
        *lock(&self.answered) = Some(Instant::now());
    }

    pub fn answered_at(&self) -> Option<Instant> {
        *lock(&self.answered)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Follows {
    /// How long an answer of a server that speaks of time holds while nothing changes.
    const fn holds(self) -> Duration {
        match self {
            Self::Progress => Duration::from_secs(10),
            _ => COVERED,
        }
    }
}
