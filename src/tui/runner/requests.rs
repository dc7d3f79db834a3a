//! Asks the service what the console wants to know, or wants done.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::feed::{Due, Feed, Seen};
use crate::access::{Actor, ClientKind};
use crate::ops::overview::RetryGroup;
use crate::ops::plans::{Counted, Preflight};
use crate::ops::runs::RetryRun;
use crate::ops::{About, AnyOperation, AnyOutput, Engine, Ops};
use crate::tui::draft_files::run_jobs;
use crate::tui::msg::{Answer, Follows, Request};
use crate::tui::slot::Slot;
use crate::{Error, ErrorKind};

/// How far a preflight is, is said at most this often.
const SAY_EVERY: Duration = Duration::from_millis(200);

/// Whether a request is the poll of a subscription, and what its answer follows.
pub type Poll = Option<Follows>;

/// A request with all that it needs, moved into its task.
pub struct Asked {
    pub ops: Ops,
    pub actor: Actor,
    pub kind: ClientKind,
    pub slot: Slot,
    pub request: Request,
    pub poll: Poll,
    /// The state that the same request's last answer shows.
    pub shown: Option<Seen>,
    pub feed: Arc<Feed>,
    pub at: Instant,
}

impl Asked {
    /// Asks it, or finds that nothing has changed; gives the state that the answer shows at least.
    pub async fn work(self, report: &(dyn Fn(Counted) + Send + Sync)) -> (Answer, Option<Seen>) {
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
        (answer(&ops, &actor, kind, request, report).await, seen)
    }
}

/// Asks `request` as `actor`; `report` hears of its progress.
async fn answer(
    ops: &Ops,
    actor: &Actor,
    kind: ClientKind,
    request: Request,
    report: &(dyn Fn(Counted) + Send + Sync),
) -> Answer {
    match request {
        Request::Op(operation) => Answer::Op(output(ops, actor, kind, *operation, report).await),
        Request::Kept(kept, operation) => {
            // A disk that is full keeps no one from asking for help.
            let (drafts, job) = *kept;
            run_jobs(drafts, vec![job]).await;
            Answer::Op(output(ops, actor, kind, *operation, report).await)
        }
        Request::Files(drafts, jobs) => Answer::Files(run_jobs(drafts, jobs).await),
        Request::ExportPlan(asked) => {
            let written = asked.send(ops, actor).await;
            Answer::PlanExported(asked, written)
        }
        Request::ExportDiagnostics(asked) => Answer::DiagnosticsExported(asked.send().await),
    }
}

/// Asks an operation; around some, more is to be done.
async fn output(
    ops: &Ops,
    actor: &Actor,
    kind: ClientKind,
    operation: AnyOperation,
    report: &(dyn Fn(Counted) + Send + Sync),
) -> AnyOutput {
    match operation {
        AnyOperation::Preflight(asked) => preflight(ops, actor, asked, report).await,
        // A schema that this version does not know is refused at the first question, with a text that
        // says what to do.
        AnyOperation::PlatformInfo(asked) => match ops.require_current_schema_first().await {
            Ok(()) => AnyOperation::from(asked).run(ops, actor).await,
            Err(error) => AnyOutput::PlatformInfo(asked, Err(error)),
        },
        AnyOperation::Login(login) => {
            let output = AnyOperation::from(login.through(kind)).run(ops, actor).await;
            let AnyOutput::Login(login, done) = output else { return output };
            if let Ok((session, _)) = &done {
                ops.name_user(Some(&session.username)).await;
            }
            let done = match done {
                // Of a database that cannot be used at all, the schema's state says why.
                Err(error) if error.kind() == ErrorKind::Refused => {
                    let schema = ops.require_current_schema().await.err();
                    Err(schema.filter(|e| e.kind() == ErrorKind::Refused).unwrap_or(error))
                }
                done => done,
            };
            AnyOutput::Login(login, done)
        }
        AnyOperation::PlanRetry(asked) => {
            let about = About::run(asked.run_id);
            AnyOutput::PlanRetry(asked, ops.prepare::<RetryRun, _>(actor, about, asked).await)
        }
        AnyOperation::PlanGroupRetry(asked) => {
            let about = About::of("failure_fingerprint", &asked.fingerprint);
            let planned = ops.prepare::<RetryGroup, _>(actor, about, asked.clone()).await;
            AnyOutput::PlanGroupRetry(asked, planned)
        }
        operation => operation.run(ops, actor).await,
    }
}

/// Makes a plan; `report` is called with how far it is, now and then.
async fn preflight(
    ops: &Ops,
    actor: &Actor,
    asked: Preflight,
    report: &(dyn Fn(Counted) + Send + Sync),
) -> AnyOutput {
    let (progress, mut counted) = watch::channel(Counted::default());
    let asked = Preflight { progress: Some(Arc::new(progress)), ..asked };
    let mut work = pin!(AnyOperation::from(asked).run(ops, actor));
    loop {
        tokio::select! {
            // What was counted is said before the plan that it led to.
            biased;
            Ok(()) = counted.changed() => report(*counted.borrow_and_update()),
            done = &mut work => return done,
        }
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(SAY_EVERY) => {}
        }
    }
}

impl Request {
    /// Whether the database's changes tell when its answer changes.
    pub fn is_watched(&self) -> bool {
        matches!(self, Self::Op(operation) if operation.is_watched())
    }
}

/// The answer to a request that could not be asked because of `error`.
fn failed(request: Request, error: Error) -> Answer {
    match request {
        Request::Op(operation) => Answer::Op(operation.failed(error)),
        _ => Answer::Unknown(error),
    }
}
