//! Runs requests: per slot one runs and one waits, and a newer one replaces what waits. An
//! answer that a newer request has made old is dropped here and nowhere else.

mod feed;
mod polls;
mod requests;
mod round_trip;
mod second;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use feed::{Feed, Seen};
use polls::Scheduled;
use requests::{Asked, Poll};
use round_trip::RoundTrip;
use second::{Looked, Second};

use crate::ErrorKind;
use crate::access::{Actor, ClientKind};
use crate::ops::auth::{Logout, Session};
use crate::ops::{Awaited, Blocker, Engine, Ops};
use crate::tui::link::is_late;
use crate::tui::msg::{Answer, Request};
use crate::tui::slot::Slot;

/// A statement that was given up has ended after so long.
const ENDED: Duration = Duration::from_secs(5);

/// An answer on its way to the application.
#[derive(Debug)]
pub struct Arrived {
    pub slot: Slot,
    generation: u64,
    pub answer: Answer,
    /// The state of the database that it shows at least.
    seen: Option<Seen>,
}

impl Arrived {
    /// What was found of what a request waits for.
    pub fn looked(looked: Looked) -> Self {
        let answer = Answer::Looked(looked);
        Self { slot: Slot::BLOCKER, generation: 0, answer, seen: None }
    }
}

struct Running {
    generation: u64,
    request: Request,
    task: JoinHandle<()>,
    awaited: Awaited,
    /// Nothing that is shown needs its answer any more.
    unwanted: bool,
    /// A key asked for it, too, since this poll began: that nothing has changed is no answer to that.
    pressed: bool,
}

#[derive(Default)]
struct SlotState {
    running: Option<Running>,
    waiting: Option<(Request, Poll)>,
    /// The request whose answer is on the screen, and the state that it shows.
    shown: Option<(Request, Option<Seen>)>,
}

pub struct Runner {
    ops: Ops,
    /// Who logs in, and who acts once they have.
    origin: String,
    kind: ClientKind,
    actor: Actor,
    slots: BTreeMap<Slot, SlotState>,
    scheduled: Vec<Scheduled>,
    generation: u64,
    feed: Arc<Feed>,
    sender: mpsc::UnboundedSender<Arrived>,
    second: Option<Second>,
    /// When it was last looked what is waited for, and what was found.
    looked: Option<Instant>,
    blocker: Option<Blocker>,
    trip: RoundTrip,
    /// The request that was found to be slow, and for how many seconds.
    slow: Option<(Slot, u64, u64)>,
    /// When a statement that was given up has ended at the latest.
    ends: Option<Instant>,
    /// Whether hints make nothing due: the line to the terminal is slow.
    terse: bool,
    /// How often locks and the like had come or gone when all that is shown was made due for it.
    bars: u64,
    /// Whether the last answer was that it cannot be reached.
    lost: bool,
}

impl Runner {
    /// A runner for a person at `origin`; answers come through the receiver, hints of change
    /// through the second.
    pub fn new(
        ops: Ops,
        origin: String,
        kind: ClientKind,
    ) -> (Self, mpsc::UnboundedReceiver<Arrived>, mpsc::Receiver<()>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (hint, hinted) = mpsc::channel(1);
        let actor = Actor::Anonymous { origin: origin.clone() };
        let feed = Arc::new(Feed::default());
        let second = Second::start(ops.clone(), Arc::clone(&feed), hint, sender.clone());
        let runner = Self {
            ops,
            origin,
            kind,
            actor,
            slots: BTreeMap::new(),
            scheduled: Vec::new(),
            generation: 0,
            feed,
            sender,
            second: Some(second),
            looked: None,
            blocker: None,
            trip: RoundTrip::default(),
            slow: None,
            ends: None,
            terse: false,
            bars: 0,
            lost: false,
        };
        (runner, receiver, hinted)
    }

    pub fn set_session(&mut self, session: Option<&Session>) {
        let actor = match session {
            Some(session) => session.actor.clone(),
            None => Actor::Anonymous { origin: self.origin.clone() },
        };
        if actor != self.actor {
            let work: Vec<Slot> =
                self.slots.keys().copied().filter(|slot| slot.is_work()).collect();
            for slot in work {
                self.stop(slot);
            }
            let named = self.second.as_ref().map(Second::named);
            // What one person asked is not answered to the next one. It is not stopped: a
            // change that is under way is still made. Files of drafts are each a person's own.
            let of_person =
                |slot: &Slot| !matches!(*slot, Slot::SESSION | Slot::PLATFORM | Slot::DRAFTS);
            for (_, state) in self.slots.iter_mut().filter(|(slot, _)| of_person(slot)) {
                *state = SlotState::default();
            }
            let (ops, left) = (self.ops.clone(), session.is_none());
            tokio::spawn(async move {
                if left {
                    ops.name_user(None).await;
                }
                if let Some(named) = named {
                    named.notify_one();
                }
            });
        }
        self.actor = actor;
    }

    /// Asks now. The same request that is already under way is not asked twice.
    pub fn ask(&mut self, slot: Slot, request: Request) {
        self.put(slot, request, None, Instant::now());
    }

    fn put(&mut self, slot: Slot, request: Request, poll: Poll, at: Instant) {
        let state = self.slots.entry(slot).or_default();
        let kept = poll.is_some()
            && state.waiting.as_ref().is_some_and(|(waiting, _)| waiting.leads_beyond());
        match &mut state.running {
            // A poll does not take the place of what a key asked for.
            Some(running) if kept => running.unwanted = false,
            Some(running) if running.request == request => {
                running.unwanted = false;
                running.pressed |= poll.is_none();
                // What waited was asked before and is no longer wanted.
                state.waiting = None;
            }
            Some(_) => state.waiting = Some((request, poll)),
            None => self.start(slot, request, poll, at),
        }
    }

    fn start(&mut self, slot: Slot, request: Request, poll: Poll, at: Instant) {
        self.generation += 1;
        let generation = self.generation;
        let actor = match request {
            _ if request.is_anonymous() => Actor::Anonymous { origin: self.origin.clone() },
            _ => self.actor.clone(),
        };
        let sender = self.sender.clone();
        let state = self.slots.entry(slot).or_default();
        let shown = state.shown.as_ref().filter(|(shown, _)| *shown == request);
        let asked = Asked {
            ops: self.ops.clone(),
            actor,
            kind: self.kind,
            slot,
            request: request.clone(),
            poll,
            shown: shown.and_then(|(_, seen)| *seen),
            feed: Arc::clone(&self.feed),
            at,
        };
        let awaited = Awaited::default();
        let tracked = awaited.clone();
        let mut work = Box::pin(async move {
            let ops = asked.ops.clone();
            let told = |counted| {
                let answer = Answer::Counted(counted);
                let _ = sender.send(Arrived { slot, generation, answer, seen: None });
            };
            let (answer, seen) = ops.tracked(&tracked, Box::pin(asked.work(&told))).await;
            // The receiver is gone once the session has ended.
            let _ = sender.send(Arrived { slot, generation, answer, seen });
        });
        // Requests share a server's connection in the order in which they were asked, not in that
        // in which their tasks happen to begin.
        let begun = work.as_mut().now_or_never();
        let task = tokio::spawn(async move {
            if begun.is_none() {
                work.await;
            }
        });
        state.running =
            Some(Running { generation, request, task, awaited, unwanted: false, pressed: false });
    }

    /// Gives up what a slot asks. Only for what changes nothing half-way.
    pub fn stop(&mut self, slot: Slot) {
        let state = self.slots.entry(slot).or_default();
        state.waiting = None;
        if let Some(running) = state.running.take() {
            running.task.abort();
        }
    }

    /// Gives up what a slot reads, once it turns out to be slow: nothing that is shown needs it.
    pub fn leave(&mut self, slot: Slot) {
        let state = self.slots.entry(slot).or_default();
        state.waiting = None;
        if let Some(running) = &mut state.running {
            running.unwanted = true;
        }
        self.give_up();
    }

    /// Stops what is no longer wanted and waits. Its connection is closed with it, and the server may
    /// not notice before the statement ends; so there is one such statement at a time.
    fn give_up(&mut self) {
        let (now, slow) = (Instant::now(), self.usually_slow_after());
        let mut next = Vec::new();
        for (slot, state) in &mut self.slots {
            let Some(running) = state.running.as_ref().filter(|running| running.unwanted) else {
                continue;
            };
            let since = running.awaited.since().filter(|since| now - *since >= slow);
            let since = since.filter(|_| self.ends.is_none_or(|ends| ends <= now));
            if since.is_none() && !running.awaited.is_queued() {
                continue;
            }
            running.task.abort();
            state.running = None;
            self.ends = since.map_or(self.ends, |since| Some(since + ENDED));
            next.extend(state.waiting.take().map(|(request, poll)| (*slot, request, poll)));
        }
        for (slot, request, poll) in next {
            self.start(slot, request, poll, now);
        }
    }

    /// Takes an answer in: the slot is free again, and what waited starts. None if a newer
    /// request has made the answer old.
    pub fn take(&mut self, arrived: Arrived) -> Option<(Slot, Answer)> {
        let Arrived { slot, generation, answer, seen } = arrived;
        if let Answer::Looked(looked) = answer {
            if let Ok(blocker) = looked {
                self.feed.answered();
                self.blocker = blocker;
            }
            return None;
        }
        if slot != Slot::DRAFTS {
            let lost = answer.error().is_some_and(|error| error.kind() == ErrorKind::Unreachable);
            if !lost {
                self.feed.answered();
            }
            // What could not be reached is read as soon as anything can.
            if std::mem::replace(&mut self.lost, lost) && !lost {
                self.due_now();
            }
        }
        let state = self.slots.entry(slot).or_default();
        let current = |running: &Running| running.generation == generation;
        if answer.is_progress() {
            return state.running.as_ref().is_some_and(current).then_some((slot, answer));
        }
        let running = state.running.take_if(|running| running.generation == generation)?;
        let quickest = running.awaited.quickest().filter(|_| answer.error().is_none());
        if let Some(quickest) = quickest.filter(|_| self.ops.engine() == Engine::Postgres) {
            self.trip.note(quickest);
        }
        let not_read = matches!(answer, Answer::Unchanged | Answer::Later);
        if not_read && running.pressed && state.waiting.is_none() {
            self.start(slot, running.request, None, Instant::now());
            return None;
        }
        match (&answer, answer.error()) {
            _ if not_read => {}
            (_, None) => {
                let waited = state.shown.is_none() || self.slow.is_some_and(|(of, ..)| of == slot);
                if waited && !slot.is_aside() {
                    self.feed.lock_passed();
                }
                state.shown = Some((running.request, seen));
            }
            (_, Some(error)) => {
                state.shown = None;
                if is_late(error) {
                    let at = Instant::now() + slot.distance();
                    let mut scheduled = self.scheduled.iter_mut();
                    if let Some(scheduled) = scheduled.find(|s| s.sub.slot == slot) {
                        scheduled.due_at(at);
                    }
                }
            }
        }
        let shown = state.shown.as_ref().and_then(|(_, seen)| *seen);
        self.follow_bars();
        self.follow_up(slot, shown, matches!(answer, Answer::Later));
        let state = self.slots.entry(slot).or_default();
        if let Some((request, poll)) = state.waiting.take() {
            self.start(slot, request, poll, Instant::now());
            // The page that was asked for in between would be lost with it: only a request
            // of the same kind makes an answer old.
            // Nor is an opening that was audited lost.
            if !slot.is_kept() || !matches!(answer, Answer::Op(_)) {
                return None;
            }
        }
        Some((slot, answer))
    }

    /// Whether changes are to be shown with the next poll only.
    pub fn set_terse(&mut self, terse: bool) {
        self.terse = terse;
    }

    /// Whether hints of changes are known to arrive.
    pub fn is_hinted(&self) -> bool {
        self.feed.is_proven()
    }

    /// Slots with a request under way, for tests that wait for quiet.
    pub fn busy(&self) -> BTreeSet<Slot> {
        self.slots
            .iter()
            .filter(|(_, state)| state.running.is_some())
            .map(|(slot, _)| *slot)
            .collect()
    }

    /// Ends the session at the service if it can be done at once, and drops everything.
    pub async fn close(mut self, within: Duration, reachable: bool) {
        self.second = None;
        for state in self.slots.values() {
            if let Some(running) = &state.running {
                running.task.abort();
            }
        }
        if reachable && matches!(self.actor, Actor::Platform(_)) {
            let _ = tokio::time::timeout(within, self.ops.run(&self.actor, Logout)).await;
        }
    }
}
