//! Runs requests: per slot one runs and one waits, and a newer one replaces what waits. An
//! answer that a newer request has made old is dropped here and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::msg::{Answer, Request, Slot, Sub};
use super::wizard::WizardAnswer;
use crate::access::{Actor, ClientKind};
use crate::ops::auth::{Login, Logout, Session, Touch};
use crate::ops::break_glass::{CurrentBreakGlass, EndBreakGlass, EnterBreakGlass};
use crate::ops::condition::ReadCondition;
use crate::ops::dashboard::ChooseWindow;
use crate::ops::notifications::{CountUnread, MarkAllRead, MarkRead};
use crate::ops::overview::{ListFingerprints, PlanGroupRetry, ReadOverview, RetryGroup};
use crate::ops::plans::Counted;
use crate::ops::platform::{NameValues, PlatformInfo};
use crate::ops::runs::{CountRuns, GetRun, ListRuns, PlanRetry, RetryRun};
use crate::ops::telemetry::Summarise;
use crate::ops::workers::ListWorkers;
use crate::ops::{About, ChangeWatch, Consent, Engine, Ops};
use crate::{Error, ErrorKind, Result};

/// After a hint, a subscription is asked at the earliest this long after its last time.
const HINT_DISTANCE: Duration = Duration::from_millis(300);
/// How many errors are listed.
const ERRORS: i64 = 200;
/// How long to wait before a lost listener is set up again.
const LISTEN_AGAIN: Duration = Duration::from_secs(3);

/// An answer on its way to the application.
#[derive(Debug)]
pub struct Arrived {
    /// Whose.
    pub slot: Slot,
    generation: u64,
    /// The answer.
    pub answer: Answer,
}

/// Counts changes of the database, as far as it can tell.
#[derive(Default)]
struct Feed {
    watch: Option<ChangeWatch>,
    version: u64,
}

impl Feed {
    /// A number that differs from the last one if something may have changed.
    async fn look(&mut self, ops: &Ops) -> Result<u64> {
        if ops.engine() == Engine::Postgres {
            // It cannot say cheaply, so each look counts as a change.
            self.version += 1;
            return Ok(self.version);
        }
        if self.watch.is_none() {
            self.watch = Some(ops.watch().await?);
            self.version += 1;
        }
        let Some(watch) = &mut self.watch else {
            return Ok(self.version);
        };
        match watch.changed().await {
            Ok(Some(false)) => {}
            Ok(Some(true) | None) => self.version += 1,
            Err(error) => {
                self.watch = None;
                return Err(error);
            }
        }
        Ok(self.version)
    }
}

struct Running {
    generation: u64,
    request: Request,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct SlotState {
    running: Option<Running>,
    waiting: Option<(Request, bool)>,
    /// The request whose answer is on the screen, and the version it was read at.
    seen: Option<(Request, u64)>,
}

struct Scheduled {
    sub: Sub,
    asked: Instant,
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
    feed: Arc<Mutex<Feed>>,
    seen: Arc<Mutex<BTreeMap<Slot, u64>>>,
    sender: mpsc::UnboundedSender<Arrived>,
    hints: Option<JoinHandle<()>>,
    /// Tells the listener that its connection gets another name.
    named: Arc<Notify>,
}

impl Drop for Runner {
    /// The listener holds a connection of its own, which nothing else would close.
    fn drop(&mut self) {
        if let Some(hints) = self.hints.take() {
            hints.abort();
        }
    }
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
        let mut runner = Self {
            ops,
            origin,
            kind,
            actor,
            slots: BTreeMap::new(),
            scheduled: Vec::new(),
            generation: 0,
            feed: Arc::new(Mutex::new(Feed::default())),
            seen: Arc::new(Mutex::new(BTreeMap::new())),
            sender,
            hints: None,
            named: Arc::new(Notify::new()),
        };
        runner.listen(hint);
        (runner, receiver, hinted)
    }

    /// Passes on the database's hints; a hint that nobody has taken yet is enough.
    fn listen(&mut self, hint: mpsc::Sender<()>) {
        if self.ops.engine() == Engine::Sqlite {
            return;
        }
        let (ops, named) = (self.ops.clone(), Arc::clone(&self.named));
        self.hints = Some(tokio::spawn(async move {
            loop {
                if let Ok(mut watch) = ops.watch().await {
                    loop {
                        tokio::select! {
                            hinted = watch.hint() => match hinted {
                                Ok(()) => drop(hint.try_send(())),
                                Err(_) => break,
                            },
                            () = named.notified() => ops.name_watch(&mut watch).await,
                        }
                    }
                }
                tokio::time::sleep(LISTEN_AGAIN).await;
            }
        }));
    }

    /// Who acts from now on.
    pub fn set_session(&mut self, session: Option<&Session>) {
        let actor = match session {
            Some(session) => session.actor.clone(),
            None => Actor::Anonymous { origin: self.origin.clone() },
        };
        if actor != self.actor {
            self.stop(Slot::Preflight);
            // What one person asked is not answered to the next one. It is not stopped: a
            // change that is under way is still made. Files of drafts are each a person's own.
            let of_person =
                |slot: &Slot| !matches!(slot, Slot::Session | Slot::Platform | Slot::Drafts);
            for (_, state) in self.slots.iter_mut().filter(|(slot, _)| of_person(slot)) {
                *state = SlotState::default();
            }
            let (ops, named) = (self.ops.clone(), Arc::clone(&self.named));
            let left = session.is_none();
            tokio::spawn(async move {
                if left {
                    ops.name_user(None).await;
                }
                named.notify_one();
            });
        }
        self.actor = actor;
    }

    /// Asks now. The same request that is already under way is not asked twice.
    pub fn ask(&mut self, slot: Slot, request: Request) {
        self.put(slot, request, false);
    }

    fn put(&mut self, slot: Slot, request: Request, when_changed: bool) {
        let state = self.slots.entry(slot).or_default();
        match &state.running {
            Some(running) if running.request == request => {
                // What waited was asked before and is no longer wanted.
                state.waiting = None;
            }
            Some(_) => state.waiting = Some((request, when_changed)),
            None => self.start(slot, request, when_changed),
        }
    }

    fn start(&mut self, slot: Slot, request: Request, when_changed: bool) {
        self.generation += 1;
        let generation = self.generation;
        let ops = self.ops.clone();
        let actor = match request {
            Request::Platform | Request::Login { .. } => {
                Actor::Anonymous { origin: self.origin.clone() }
            }
            _ => self.actor.clone(),
        };
        let kind = self.kind;
        let sender = self.sender.clone();
        let state = self.slots.entry(slot).or_default();
        let known = when_changed && state.seen.as_ref().is_some_and(|(seen, _)| *seen == request);
        let feed = Arc::clone(&self.feed);
        let seen = Arc::clone(&self.seen);
        let asked = request.clone();
        let task = tokio::spawn(async move {
            let told = |counted| {
                let answer = Answer::Wizard(Box::new(WizardAnswer::Counted(counted)));
                let _ = sender.send(Arrived { slot, generation, answer });
            };
            let answer = work(&ops, &actor, kind, slot, asked, known, &feed, &seen, &told).await;
            // Nobody is left to tell when the session has ended.
            let _ = sender.send(Arrived { slot, generation, answer });
        });
        state.running = Some(Running { generation, request, task });
    }

    /// Gives up what a slot asks. Only for what changes nothing half-way.
    pub fn stop(&mut self, slot: Slot) {
        let state = self.slots.entry(slot).or_default();
        state.waiting = None;
        if let Some(running) = state.running.take() {
            running.task.abort();
        }
    }

    /// Takes an answer in: the slot is free again, and what waited starts. None if a newer
    /// request has made the answer old.
    pub fn take(&mut self, arrived: Arrived) -> Option<(Slot, Answer)> {
        let slot = arrived.slot;
        let state = self.slots.entry(slot).or_default();
        if arrived.answer.is_progress() {
            let current = |running: &Running| running.generation == arrived.generation;
            return state.running.as_ref().is_some_and(current).then_some((slot, arrived.answer));
        }
        let running = state.running.take_if(|running| running.generation == arrived.generation)?;
        if arrived.answer.error().is_none() {
            state.seen = Some((running.request, 0));
        } else {
            state.seen = None;
        }
        if let Some((request, when_changed)) = state.waiting.take() {
            self.start(slot, request, when_changed);
            // The page that was asked for in between would be lost with it: only a request
            // of the same kind makes an answer old.
            // Nor is an opening that was audited lost.
            if !matches!(arrived.answer, Answer::Page(..) | Answer::Notices(..))
                && slot != Slot::Diagnostics
            {
                return None;
            }
        }
        Some((slot, arrived.answer))
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

    /// When the next subscription is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.scheduled.iter().map(|scheduled| scheduled.asked + scheduled.sub.every).min()
    }

    /// Asks what is due.
    pub fn poll_due(&mut self) {
        let now = Instant::now();
        let mut due = Vec::new();
        for scheduled in &mut self.scheduled {
            if scheduled.asked + scheduled.sub.every <= now {
                scheduled.asked = now;
                due.push(scheduled.sub.clone());
            }
        }
        for sub in due {
            self.put(sub.slot, sub.request, sub.when_changed);
        }
    }

    /// The database says that something has changed: what is subscribed is asked soon.
    pub fn hinted(&mut self) {
        let now = Instant::now();
        let following = |scheduled: &&mut Scheduled| scheduled.sub.slot.follows_hints();
        for scheduled in self.scheduled.iter_mut().filter(following) {
            let soon = (scheduled.asked + HINT_DISTANCE).max(now);
            let due = scheduled.asked + scheduled.sub.every;
            if soon < due {
                scheduled.asked = soon.checked_sub(scheduled.sub.every).unwrap_or(scheduled.asked);
            }
        }
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
        if let Some(hints) = self.hints.take() {
            hints.abort();
        }
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

#[expect(
    clippy::too_many_arguments,
    reason = "everything that one request needs, moved into its task"
)]
async fn work(
    ops: &Ops,
    actor: &Actor,
    kind: ClientKind,
    slot: Slot,
    request: Request,
    known: bool,
    feed: &Mutex<Feed>,
    seen: &Mutex<BTreeMap<Slot, u64>>,
    told: &(dyn Fn(Counted) + Send + Sync),
) -> Answer {
    let version = match &request {
        Request::Support(asked) if !asked.is_read() => None,
        Request::Support(_)
        | Request::Page(_)
        | Request::Counts
        | Request::Detail(_)
        | Request::Unread
        | Request::BreakGlass
        | Request::Notices(_) => match feed.lock().await.look(ops).await {
            Ok(version) => Some(version),
            Err(error) => return failed(request, error),
        },
        _ => None,
    };
    if known && version.is_some() && seen.lock().await.get(&slot) == version.as_ref() {
        return Answer::Unchanged;
    }
    let answer = answer(ops, actor, kind, request, told).await;
    if answer.error().is_none()
        && let Some(version) = version
    {
        seen.lock().await.insert(slot, version);
    }
    answer
}

async fn answer(
    ops: &Ops,
    actor: &Actor,
    kind: ClientKind,
    request: Request,
    told: &(dyn Fn(Counted) + Send + Sync),
) -> Answer {
    match request {
        Request::Platform => Answer::Platform(platform(ops, actor).await),
        Request::Condition => Answer::Condition(ops.run(actor, ReadCondition).await),
        Request::Login { username, password } => {
            let done = ops.run(actor, Login::with(&username, password, kind)).await;
            if let Ok((session, _)) = &done {
                ops.name_user(Some(&session.username)).await;
            }
            Answer::Login(match done {
                // Of a database that cannot be used at all, the schema's state says why.
                Err(error) if error.kind() == ErrorKind::Refused => {
                    Err(ops.require_current_schema().await.err().unwrap_or(error))
                }
                done => done.map(|(session, _)| session),
            })
        }
        Request::Logout => Answer::Logout(ops.run(actor, Logout).await),
        Request::Touch => Answer::Touch(ops.run(actor, Touch).await),
        Request::Page(asked) => {
            let list =
                ListRuns { filter: asked.filter.clone(), page: asked.page, limit: asked.limit };
            let result = ops.run(actor, list).await;
            Answer::Page(asked, result)
        }
        Request::Counts => Answer::Counts(ops.run(actor, CountRuns).await),
        Request::Names => Answer::Names(ops.run(actor, NameValues).await),
        Request::Detail(id) => Answer::Detail(id, Box::new(ops.run(actor, GetRun { id }).await)),
        Request::Unread => Answer::Unread(ops.run(actor, CountUnread).await),
        Request::Notices(asked) => {
            let result = ops.run(actor, asked.clone()).await;
            Answer::Notices(asked, result)
        }
        Request::MarkRead(ids) => {
            let mark = MarkRead { ids: ids.iter().copied().collect() };
            let result = ops.run(actor, mark).await;
            Answer::MarkedRead(ids, result)
        }
        Request::MarkAllRead(up_to_id) => {
            Answer::MarkedAllRead(up_to_id, ops.run(actor, MarkAllRead { up_to_id }).await)
        }
        Request::PlanRetry(run_id) => {
            let look = PlanRetry { run_id };
            Answer::PlanRetry(
                run_id,
                ops.prepare::<RetryRun, _>(actor, About::run(run_id), look).await,
            )
        }
        Request::Control(request) => {
            let done = request.send(ops, actor).await;
            Answer::Control(request, done)
        }
        Request::Workers => Answer::Workers(ops.run(actor, ListWorkers).await),
        Request::Overview(window) => {
            let read = ops.run(actor, ReadOverview { window }).await;
            Answer::Overview(window, Box::new(read))
        }
        Request::Errors(window) => {
            let read = ops.run(actor, ListFingerprints { window, limit: ERRORS }).await;
            Answer::Errors(window, Box::new(read))
        }
        Request::PlanGroup(fingerprint, window, wait_for_worker) => {
            let asked = fingerprint.clone();
            let about = About::of("failure_fingerprint", &asked);
            let plan = PlanGroupRetry { fingerprint: asked, window, wait_for_worker };
            let planned = ops.prepare::<RetryGroup, _>(actor, about, plan).await;
            Answer::PlanGroup(fingerprint, planned)
        }
        Request::RetryGroup(request) => {
            let done = request.send(ops, actor).await;
            Answer::GroupRetried(request, done)
        }
        Request::Usage(window) => {
            let summary = ops.run(actor, Summarise { window }).await;
            Answer::Usage(window, Box::new(summary))
        }
        Request::ChooseWindow(window) => {
            Answer::WindowChosen(window, ops.run(actor, ChooseWindow { window }).await)
        }
        Request::BreakGlass => Answer::BreakGlass(ops.run(actor, CurrentBreakGlass).await),
        Request::EnterBreakGlass { reason, minutes, password } => {
            let consent = Consent::yes().because(Some(reason));
            let enter = EnterBreakGlass { consent, minutes, password };
            Answer::EnteredBreakGlass(ops.run(actor, enter).await)
        }
        Request::EndBreakGlass => {
            let end = EndBreakGlass { consent: Consent::yes() };
            Answer::EndedBreakGlass(ops.run(actor, end).await)
        }
        Request::Wizard(asked) => Answer::Wizard(Box::new(asked.answer(ops, actor, told).await)),
        Request::Support(asked) => Answer::Support(Box::new(asked.answer(ops, actor).await)),
        Request::Compose(asked) => Answer::Compose(Box::new(asked.answer(ops, actor).await)),
    }
}

/// The header's facts; a schema that this version does not know is refused here, at the
/// first question, with a text that says what to do.
async fn platform(ops: &Ops, actor: &Actor) -> Result<crate::ops::platform::Platform> {
    ops.require_current_schema().await?;
    ops.run(actor, PlatformInfo).await
}

fn failed(request: Request, error: Error) -> Answer {
    match request {
        Request::Page(asked) => Answer::Page(asked, Err(error)),
        Request::Detail(id) => Answer::Detail(id, Box::new(Err(error))),
        Request::Counts => Answer::Counts(Err(error)),
        Request::Unread => Answer::Unread(Err(error)),
        Request::BreakGlass => Answer::BreakGlass(Err(error)),
        Request::Notices(asked) => Answer::Notices(asked, Err(error)),
        _ => Answer::Unknown(error),
    }
}
