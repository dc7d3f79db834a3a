//! Asks the service what the console wants to know, or wants done.

use std::sync::Arc;

use tokio::time::Instant;

use super::feed::{Due, Feed, Seen};
use super::msg::{Answer, Follows, Request, Slot};
use crate::access::{Actor, ClientKind};
use crate::ops::auth::{Login, Logout, Touch};
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
use crate::ops::{About, Consent, Engine, Ops};
use crate::{Error, ErrorKind, Result};

/// How many errors are listed.
const ERRORS: i64 = 200;

/// Whether a request is the poll of a subscription, and what its answer follows.
pub type Poll = Option<Follows>;

/// A request with all that it needs, moved into its task.
pub struct Asked {
    /// The service.
    pub ops: Ops,
    /// Who asks.
    pub actor: Actor,
    /// Through what.
    pub kind: ClientKind,
    /// For what.
    pub slot: Slot,
    /// What.
    pub request: Request,
    /// Whether it is a poll.
    pub poll: Poll,
    /// The state that the same request's last answer shows.
    pub shown: Option<Seen>,
    /// What is known of changes.
    pub feed: Arc<Feed>,
    /// When.
    pub at: Instant,
}

impl Asked {
    /// Asks it, or finds that nothing has changed; gives the state that the answer shows at least.
    pub async fn work(self, told: &(dyn Fn(Counted) + Send + Sync)) -> (Answer, Option<Seen>) {
        let Self { ops, actor, kind, request, feed, .. } = self;
        let engine = ops.engine();
        let known = feed.known();
        // What is asked until it is answered is awaited as it was when a key asked it.
        let aside = (self.poll.is_some() && request.is_watched()) || self.slot.is_aside();
        let _aside = match engine {
            Engine::Postgres if aside => Some(feed.aside(&ops, self.slot).await),
            _ => None,
        };
        let mut seen = None;
        if request.is_watched() {
            // Where a lock came meanwhile, what the tab shows goes first, to find out whether it waits.
            let steps_back = || self.slot.is_aside() && feed.is_barred_since(known);
            if steps_back() {
                return (Answer::Later, None);
            }
            let barred = self.shown.is_some_and(|shown| feed.is_barred_since(shown));
            if engine == Engine::Sqlite || (self.poll.is_some() && !barred) {
                match feed.look(&ops, self.at).await {
                    Ok(state) => seen = Some(state),
                    Err(error) => return (failed(request, error), None),
                }
                if steps_back() {
                    return (Answer::Later, None);
                }
            } else {
                seen = Some(feed.known());
            }
        }
        if let (Some(follows), Some(shown), Some(now)) = (self.poll, self.shown, seen) {
            match feed.due(engine, self.slot, follows, shown, now) {
                Due::Read => {}
                Due::Unchanged => return (Answer::Unchanged, None),
                Due::Later => return (Answer::Later, None),
            }
        }
        (answer(&ops, &actor, kind, request, told).await, seen)
    }
}

/// Asks `request` as `actor`; `told` hears of its progress.
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
                    let schema = ops.require_current_schema().await.err();
                    Err(schema.filter(|e| e.kind() == ErrorKind::Refused).unwrap_or(error))
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
        Request::Named(asked) => {
            let named = ops.run(actor, asked.clone()).await;
            Answer::Named(asked, named)
        }
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

impl Request {
    /// Whether the database's changes tell when its answer changes.
    pub fn is_watched(&self) -> bool {
        match self {
            Self::Support(asked) => asked.is_read(),
            Self::Page(_)
            | Self::Counts
            | Self::Detail(_)
            | Self::Unread
            | Self::BreakGlass
            | Self::Notices(_)
            | Self::Workers
            | Self::Overview(_)
            | Self::Errors(_)
            | Self::Usage(_)
            | Self::Condition => true,
            _ => false,
        }
    }
}

/// The answer to a request that could not be asked because of `error`.
fn failed(request: Request, error: Error) -> Answer {
    match request {
        Request::Page(asked) => Answer::Page(asked, Err(error)),
        Request::Detail(id) => Answer::Detail(id, Box::new(Err(error))),
        Request::Counts => Answer::Counts(Err(error)),
        Request::Unread => Answer::Unread(Err(error)),
        Request::BreakGlass => Answer::BreakGlass(Err(error)),
        Request::Notices(asked) => Answer::Notices(asked, Err(error)),
        Request::Workers => Answer::Workers(Err(error)),
        Request::Overview(window) => Answer::Overview(window, Box::new(Err(error))),
        Request::Errors(window) => Answer::Errors(window, Box::new(Err(error))),
        Request::Usage(window) => Answer::Usage(window, Box::new(Err(error))),
        _ => Answer::Unknown(error),
    }
}
