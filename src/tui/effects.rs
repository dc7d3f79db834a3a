//! Runs requests: per slot one runs and one waits, and a newer one replaces what waits. An
//! answer that a newer request has made old is dropped here and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::app::link::is_late;
use super::feed::{Feed, Seen};
use super::msg::{Answer, Request, Slot, Sub, Waiting};
use super::requests::{Asked, Poll};
use super::round_trip::RoundTrip;
use super::second::{Looked, Second};
use crate::ErrorKind;
use crate::access::{Actor, ClientKind};
use crate::ops::auth::{Logout, Session};
use crate::ops::{Awaited, Blocker, Engine, Ops};

/// An answer that is awaited for so long is slow, unless the way alone takes half of it.
const SLOW: Duration = Duration::from_millis(800);
/// A way that takes so long is a long one.
const LONG: Duration = Duration::from_millis(150);
/// Polls that are due within this time are asked together.
const TOGETHER: Duration = Duration::from_secs(1);
/// What a request waits for is looked up this often.
const LOOK: Duration = Duration::from_millis(1_500);
/// A database that has answered nothing for `QUIET`, and to which one question has been open for
/// `OPEN`, is disconnected; both are longer where the way is.
const QUIET: Duration = Duration::from_millis(3_500);
const OPEN: Duration = Duration::from_millis(2_700);
/// A statement that was given up has ended after so long.
const ENDED: Duration = Duration::from_secs(5);

/// An answer on its way to the application.
#[derive(Debug)]
pub struct Arrived {
    /// Whose.
    pub slot: Slot,
    generation: u64,
    /// The answer.
    pub answer: Answer,
    /// The state of the database that it shows at least.
    seen: Option<Seen>,
}

impl Arrived {
    /// What was found of what a request waits for.
    pub fn looked(looked: Looked) -> Self {
        let answer = Answer::Looked(looked);
        Self { slot: Slot::Blocker, generation: 0, answer, seen: None }
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

struct Scheduled {
    sub: Sub,
    asked: Instant,
}

impl Scheduled {
    fn due(&self) -> Instant {
        self.asked + self.sub.every
    }

    /// Makes it due at `at`, unless it is before.
    fn due_at(&mut self, at: Instant) {
        if at < self.due() {
            self.asked = at.checked_sub(self.sub.every).unwrap_or(self.asked);
        }
    }
}

/// Runs requests and subscriptions of one session.
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

    /// Who acts from now on.
    pub fn set_session(&mut self, session: Option<&Session>) {
        let actor = match session {
            Some(session) => session.actor.clone(),
            None => Actor::Anonymous { origin: self.origin.clone() },
        };
        if actor != self.actor {
            self.stop(Slot::Preflight);
            let named = self.second.as_ref().map(Second::named);
            // What one person asked is not answered to the next one. It is not stopped: a
            // change that is under way is still made. Files of drafts are each a person's own.
            let of_person =
                |slot: &Slot| !matches!(slot, Slot::Session | Slot::Platform | Slot::Drafts);
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
        if slot != Slot::Drafts {
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
            let kept = matches!(slot, Slot::List | Slot::Notices | Slot::Diagnostics);
            if !kept || !matches!(answer, Answer::Op(_)) {
                return None;
            }
        }
        Some((slot, answer))
    }

    /// A lock that came or went concerns what is read seldom, too; so does a database that is read-only.
    fn follow_bars(&mut self) {
        let bars = self.feed.bars();
        if std::mem::replace(&mut self.bars, bars) != bars {
            self.due_now();
        }
    }

    fn due_now(&mut self) {
        let now = Instant::now();
        self.scheduled.iter_mut().for_each(|scheduled| scheduled.due_at(now));
    }

    /// What has changed since a moment ago, or while it was read, is read soon.
    fn follow_up(&mut self, slot: Slot, shown: Option<Seen>, later: bool) {
        let Some(shown) = shown else { return };
        let missed = !self.terse && slot.follows_hints() && self.feed.missed(shown);
        let scheduled = self.scheduled.iter_mut().find(|scheduled| scheduled.sub.slot == slot);
        if let Some(scheduled) = scheduled.filter(|_| later || missed) {
            scheduled.due_at(shown.at + slot.distance());
        }
    }

    /// Takes over what the state wants to be polled: new subscriptions start their wait now,
    /// those that are gone stop.
    pub fn subscribe(&mut self, subs: Vec<Sub>) {
        let now = Instant::now();
        let mut before: Vec<Scheduled> = std::mem::take(&mut self.scheduled);
        for sub in subs {
            let asked = before
                .iter()
                .position(|old| old.sub.slot == sub.slot)
                .map_or(now, |index| before.swap_remove(index).asked);
            self.scheduled.push(Scheduled { sub, asked });
        }
    }

    /// When there is something to do next without an answer.
    pub fn next_due(&self) -> Option<Instant> {
        let due = self.scheduled.iter().map(Scheduled::due).min();
        let waiting = match self.longest() {
            Some((_, since)) => {
                let open = since.elapsed();
                let second = Duration::from_secs(open.as_secs() + 1);
                let marks =
                    [self.slow_after(), self.open_for()].into_iter().filter(|at| *at > open);
                Some(since + marks.fold(second, Duration::min))
            }
            // Its next answer may be one that does not come.
            None => (!self.busy().is_empty()).then(|| Instant::now() + SLOW / 2),
        };
        due.into_iter().chain(waiting).min()
    }

    /// Asks what is due, gives up what is not wanted, and looks what is waited for.
    pub fn poll_due(&mut self) {
        self.follow_bars();
        let now = Instant::now();
        let mut due = Vec::new();
        let any = self.scheduled.iter().any(|scheduled| scheduled.due() <= now);
        for scheduled in self.scheduled.iter_mut().filter(|_| any) {
            // Asked together from now on, they need one question instead of two.
            if scheduled.due() <= now + (scheduled.sub.every / 2).min(TOGETHER) {
                scheduled.asked = now;
                due.push(scheduled.sub.clone());
            }
        }
        for sub in due {
            // Due together: one question is enough.
            self.put(sub.slot, sub.request, Some(sub.follows), now);
        }
        self.give_up();
        if self.longest().is_none_or(|(_, since)| now - since < self.slow_after()) {
            self.blocker = None;
        } else if self.looked.is_none_or(|looked| now - looked >= LOOK) {
            self.looked = Some(now);
            if let Some(second) = &self.second {
                second.look();
            }
        }
    }

    /// The request whose answer is awaited longest, and since when. On a server all requests share
    /// one connection; a file is read by each on its own, and only what is shown counts.
    fn longest(&self) -> Option<(Slot, Instant)> {
        let shown = |slot: &Slot| self.scheduled.iter().any(|s| s.sub.slot == *slot);
        let counts = |slot: &Slot| self.ops.engine() == Engine::Postgres || shown(slot);
        let running = self.slots.iter().filter(|(slot, _)| counts(slot));
        let since = running
            .filter_map(|(slot, state)| Some((*slot, state.running.as_ref()?.awaited.since()?)));
        since.min_by_key(|(_, since)| *since)
    }

    fn usually_slow_after(&self) -> Duration {
        SLOW.max(self.trip.least() * 2)
    }

    /// How long an answer takes that is slow.
    fn slow_after(&self) -> Duration {
        let trip = self.trip.least();
        // Where a lock was seen, what takes longer than the way waits for it.
        let suspect = self.feed.is_locked() && trip >= LONG;
        if suspect { trip + LONG } else { self.usually_slow_after() }
    }

    /// How long a question is open to a database that is disconnected.
    fn open_for(&self) -> Duration {
        OPEN.max(self.trip.least() * 2)
    }

    /// What is waited for, in whole seconds; nothing while answers come in time. What was slow is so
    /// until it is answered.
    pub fn waiting(&mut self) -> Waiting {
        let longest = self.longest().map(|(slot, since)| (slot, since.elapsed()));
        let longest = longest.filter(|(_, open)| *open >= self.slow_after());
        let generation = |slot: &Slot| Some(self.slots.get(slot)?.running.as_ref()?.generation);
        let slow = match longest {
            Some((slot, open)) => generation(&slot).map(|at| (slot, at, open.as_secs().max(1))),
            None => self.slow.filter(|(slot, at, _)| generation(slot) == Some(*at)),
        };
        self.slow = slow;
        let trip = self.trip.text();
        let Some((slot, _, seconds)) = slow else {
            return Waiting { trip, least: self.trip.least(), ..Waiting::default() };
        };
        let silence = QUIET.max(self.trip.least() * 5 / 2);
        let quiet = self.feed.answered_at().is_none_or(|at| at.elapsed() >= silence);
        Waiting {
            longest: Some((slot, seconds)),
            slots: self.busy(),
            silent: quiet && longest.is_some_and(|(_, open)| open >= self.open_for()),
            blocker: self.blocker.clone(),
            trip,
            least: self.trip.least(),
        }
    }

    /// Whether changes are to be shown with the next poll only.
    pub fn set_terse(&mut self, terse: bool) {
        self.terse = terse;
    }

    /// The database says that something has changed: what is subscribed is asked soon.
    pub fn hinted(&mut self) {
        if self.terse {
            return;
        }
        let now = Instant::now();
        for scheduled in &mut self.scheduled {
            if scheduled.sub.slot.follows_hints() {
                let slot = scheduled.sub.slot;
                let shown = self.slots.get(&slot).and_then(|state| state.shown.as_ref());
                let seen = shown.and_then(|(_, seen)| *seen);
                let next = seen.map_or(now, |seen| seen.at + slot.distance());
                scheduled.due_at(next.max(now));
            }
        }
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
