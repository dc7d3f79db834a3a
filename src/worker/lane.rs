//! One lane of a run: takes a target, does its steps one after the other, takes the next.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::backoff;
use super::condition::{STEPS, Source};
use super::execution::{Ground, Halt};
use crate::access::Actor;
use crate::domain::database_fault::{Condition, DatabaseFault};
use crate::domain::failure::{ReasonCode, RetryHelp};
use crate::ops::runs::{
    BeginTarget, Beginning, Begun, FailStep, Pending, RunStep, Stepped, TakeBackStarts,
};
use crate::{Error, ErrorKind};
use futures_util::FutureExt as _;

/// So many failures in a row that a retry may help, and the target is failed.
const ATTEMPTS: i64 = 5;
/// A step that takes too long is tried less often: each try holds a lane up.
const TIMEOUTS: i64 = 2;
/// The longest pause before a target is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The pause after a crash or an unanswered question.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest of these.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// So often in a row the database may refuse a run before it is put off.
const REFUSALS: u32 = 4;

/// What one try of a step came to.
enum Tried {
    /// The database answered.
    Stepped(Stepped),
    /// The step took too long: by the worker's clock, or as the database says.
    TimedOut(Option<DatabaseFault>),
    /// The step panicked.
    Crashed(String),
    /// The database did not answer, or refused.
    Error(Error),
}

/// Where a lane stands with its target.
enum Next {
    /// The same target, at this marker.
    Same(Begun),
    /// The next target, which is started already.
    Other(Begun),
    /// Whatever the plan says.
    Plan,
}

/// Works until the plan has nothing more, or the run halts.
pub async fn run(ground: Arc<Ground>) {
    let mut next = Next::Plan;
    let mut outages = 0;
    loop {
        if ground.is_halted() {
            return;
        }
        let begun = match next {
            Next::Same(begun) | Next::Other(begun) => begun,
            Next::Plan => match take(&ground, &mut outages).await {
                Some(begun) => begun,
                None => return,
            },
        };
        next = advance(&ground, begun, &mut outages).await;
    }
}

/// The next target of the plan, started; none if there is none, or the run halts.
async fn take(ground: &Ground, outages: &mut u32) -> Option<Begun> {
    loop {
        if ground.is_halted() {
            return None;
        }
        let planned = ground.plan.lock().await.next(&ground.shared.ops).await;
        let target = match planned {
            Ok(planned) => planned?.target,
            Err(error) => {
                wait_out(ground, Source::Run(ground.run_id, STEPS), &error, outages).await;
                continue;
            }
        };
        let ordinal = target.ordinal;
        let begin = BeginTarget {
            run_id: ground.run_id,
            fence: ground.fence,
            ordinal,
            crash: ground.crash_of(ordinal),
            outage: ground.starts.outage(ordinal),
        };
        match ground.shared.ops.run(&Actor::System, begin).await {
            Ok(Beginning::Begun(begun)) => {
                ground.starts.began(&begun);
                return Some(begun);
            }
            Ok(Beginning::Crashed) => {
                ground.starts.ended(ordinal);
                ground.give_back(ordinal).await;
                ground.count_failure();
            }
            Ok(Beginning::Done) => elsewhere(ground, ordinal).await,
            Err(error) => {
                ground.starts.may_have_begun(&target, error.fault());
                if error.condition().is_some() {
                    // Told before the database is asked once more.
                    ground.shared.failed(ground.target(ordinal), &error);
                    take_back(ground, ordinal, &error).await;
                }
                put_off(ground, target, &error).await;
                wait_out(ground, ground.target(ordinal), &error, outages).await;
            }
        }
    }
}

/// A target is done, or further than it was known to be: nothing more is learnt from it about an outage.
async fn elsewhere(ground: &Ground, ordinal: i64) {
    ground.starts.ended(ordinal);
    let target = ground.target(ordinal);
    ground.shared.condition.forget(|source| source == target);
    ground.give_back(ordinal).await;
}

/// Gives a target back whose start or step came to nothing.
async fn put_off(ground: &Ground, target: Pending, error: &Error) {
    let mut plan = ground.plan.lock().await;
    if error.is_waited_out() {
        plan.put_off(target, error.condition() == Some(Condition::Locked));
    } else {
        plan.give_back(target.ordinal);
    }
}

/// One step of a target, and what follows from it.
async fn advance(ground: &Ground, begun: Begun, outages: &mut u32) -> Next {
    let ordinal = begun.ordinal;
    let tried = {
        let _lane = ground.shared.lanes.acquire().await;
        let _gate = ground.gate.read().await;
        if ground.is_halted() {
            return Next::Plan;
        }
        // The next target is reserved before the step, so that its start can be committed
        // with the end of this one. Where that comes to nothing, it is given back.
        let planned = ground.plan.lock().await.next(&ground.shared.ops).await;
        // Without an answer there is no reservation, and the step may fare better.
        let then = planned.unwrap_or_default();
        let ordinal = then.as_ref().map(|then| then.target.ordinal);
        let tried = step(ground, &begun, ordinal).await;
        let taken = matches!(&tried, Tried::Stepped(Stepped::Finished { begun: Some(_), .. }));
        if let Some(then) = then
            && !taken
        {
            ground.plan.lock().await.put_back(then);
        }
        tried
    };
    match tried {
        Tried::Stepped(Stepped::GoesOn { steps }) => {
            wrote(ground, ordinal, outages);
            // What it did next counts as started with the end of the step before.
            let begun = Begun { steps, errors: 0, starts: 1, ..begun };
            ground.starts.began(&begun);
            let mut plan = ground.plan.lock().await;
            if plan.has_due() {
                plan.put_back(pending(&begun).into());
                return Next::Plan;
            }
            Next::Same(begun)
        }
        Tried::Stepped(Stepped::Waits) => {
            wrote(ground, ordinal, outages);
            ground.starts.ended(ordinal);
            ground.give_back(ordinal).await;
            Next::Plan
        }
        Tried::Stepped(Stepped::Finished { failed, begun: following }) => {
            wrote(ground, ordinal, outages);
            ground.starts.ended(ordinal);
            ground.give_back(ordinal).await;
            if failed {
                ground.count_failure();
            }
            if let Some(following) = &following {
                ground.starts.began(following);
            }
            following.map_or(Next::Plan, Next::Other)
        }
        Tried::Stepped(Stepped::Elsewhere) => {
            elsewhere(ground, ordinal).await;
            Next::Plan
        }
        Tried::Stepped(Stepped::Blocked { reason, message }) => {
            ground.starts.ended(ordinal);
            ground.give_back(ordinal).await;
            ground.block(reason, message);
            Next::Plan
        }
        Tried::Stepped(Stepped::Failed { reason, message }) => {
            let again = (reason.retry() == RetryHelp::Helps).then_some(ATTEMPTS);
            fail(ground, &begun, Failed { reason, message, again, fault: None }, outages).await
        }
        // A database that answers nobody makes every step slow.
        Tried::TimedOut(_) if ground.shared.condition.is_failing(Source::Heart) => {
            let error = Error::new(ErrorKind::Unreachable, "the database does not answer");
            interrupted(ground, &begun, &error, outages).await
        }
        Tried::TimedOut(fault) => {
            let message = if let Some(fault) = &fault {
                let message = format!("the database ended the step: it took too long ({fault})");
                log(ground, ordinal, &message);
                message
            } else {
                let limit = ground.shared.settings.step_timeout();
                format!("the step took longer than {limit:?}")
            };
            let (reason, again) = (ReasonCode::Timeout, Some(TIMEOUTS));
            fail(ground, &begun, Failed { reason, message, again, fault }, outages).await
        }
        Tried::Crashed(text) => {
            ground.starts.ended(ordinal);
            ground.note_crash(ordinal, text);
            ground.give_back(ordinal).await;
            ground.shared.rest(PAUSE).await;
            Next::Plan
        }
        Tried::Error(error) if error.kind() == ErrorKind::Lost || error.condition().is_some() => {
            interrupted(ground, &begun, &error, outages).await
        }
        Tried::Error(error) => {
            let message = error.full_message();
            log(ground, ordinal, &message);
            let fault = error.fault().cloned();
            // Too busy: the database is there, and the step is to be tried again.
            let (reason, again) = match error.kind() {
                ErrorKind::TimedOut => (ReasonCode::Conflict, Some(ATTEMPTS)),
                _ => (ReasonCode::UnexpectedError, None),
            };
            fail(ground, &begun, Failed { reason, message, again, fault }, outages).await
        }
    }
}

fn log(ground: &Ground, ordinal: i64, message: &str) {
    if ground.starts.is_news(ordinal, message) {
        tracing::error!(
            run_id = ground.run_id,
            ordinal,
            error = %message,
            "the database failed a step"
        );
    }
}

/// An outage or a lost claim kept a step from being done: its start counts for nothing. It is taken
/// back at once where the database still writes that, else with the next start of the target.
async fn interrupted(ground: &Ground, begun: &Begun, error: &Error, outages: &mut u32) -> Next {
    let ordinal = begun.ordinal;
    ground.starts.interrupted(ordinal, error.fault());
    take_back(ground, ordinal, error).await;
    put_off(ground, pending(begun), error).await;
    wait_out(ground, ground.target(ordinal), error, outages).await;
    Next::Plan
}

/// A started target, as it is planned again.
fn pending(begun: &Begun) -> Pending {
    let Begun { ordinal, tenant_id, steps, errors, starts } = *begun;
    Pending { ordinal, tenant_id, steps, errors, starts: starts - 1 }
}

/// Takes a start back, and keeps what the database said of it, as far as it writes that.
async fn take_back(ground: &Ground, ordinal: i64, error: &Error) {
    if error.fault().is_some()
        && let Some(start) = ground.starts.open(ordinal)
    {
        let (run_id, fence) = (ground.run_id, ground.fence);
        let back = TakeBackStarts { run_id, fence, starts: vec![start], lost_by: None };
        if matches!(ground.shared.ops.run(&Actor::System, back).await, Ok(true)) {
            ground.starts.ended(ordinal);
        }
    }
}

async fn step(ground: &Ground, begun: &Begun, then: Option<i64>) -> Tried {
    let step = RunStep {
        run_id: ground.run_id,
        fence: ground.fence,
        ordinal: begun.ordinal,
        steps: begun.steps,
        chunk: ground.shared.settings.chunk,
        then,
    };
    // Built inside the guarded future: a panic anywhere in the step is this target's alone.
    let work = AssertUnwindSafe(ground.shared.ops.run(&Actor::System, step)).catch_unwind();
    let began = Instant::now();
    let done = tokio::time::timeout(ground.shared.settings.step_timeout(), work).await;
    // No lock of a step is held for longer.
    let took_us = began.elapsed().as_micros();
    tracing::debug!(run_id = ground.run_id, ordinal = begun.ordinal, took_us, "a step ended");
    match done {
        Err(_) => Tried::TimedOut(None),
        Ok(Err(panic)) => Tried::Crashed(panic_text(panic.as_ref())),
        Ok(Ok(Ok(stepped))) => Tried::Stepped(stepped),
        Ok(Ok(Err(error))) => match error.fault().filter(|fault| fault.is_timeout()) {
            Some(fault) => Tried::TimedOut(Some(fault.clone())),
            None => Tried::Error(error),
        },
    }
}

/// How a step failed.
struct Failed {
    reason: ReasonCode,
    message: String,
    /// After so many failures in a row it is not tried again; none: not at all.
    again: Option<i64>,
    fault: Option<DatabaseFault>,
}

/// Writes a failure down: put off while its attempts are not used up, failed for good otherwise.
async fn fail(ground: &Ground, begun: &Begun, failed: Failed, outages: &mut u32) -> Next {
    let Failed { reason, message, again, fault } = failed;
    let ordinal = begun.ordinal;
    let again_in = again.filter(|attempts| begun.errors + 1 < *attempts).map(|_| {
        let n = u32::try_from(begun.errors).unwrap_or(0);
        backoff::pause(ground.shared.settings.retry_pause, n, LONGEST_PAUSE)
    });
    let failed = FailStep {
        run_id: ground.run_id,
        fence: ground.fence,
        ordinal,
        steps: begun.steps,
        reason,
        message,
        again_in,
        fault,
    };
    match ground.shared.ops.run(&Actor::System, failed).await {
        Ok(written) => {
            wrote(ground, ordinal, outages);
            ground.starts.ended(ordinal);
            ground.starts.written(ordinal);
            // A target that is skipped because its tenant is gone has not failed.
            if written && again_in.is_none() && reason != ReasonCode::TenantGone {
                ground.count_failure();
            }
            ground.give_back(ordinal).await;
            Next::Plan
        }
        Err(error) => interrupted(ground, begun, &error, outages).await,
    }
}

/// A step was written: whatever was in the way of it is over.
fn wrote(ground: &Ground, ordinal: i64, outages: &mut u32) {
    *outages = 0;
    ground.refusals.store(0, Ordering::Relaxed);
    ground.shared.wrote(ground.target(ordinal));
}

/// After an error of the database: a lost claim ends the execution, an outage is waited out. What
/// the database refuses again and again puts the run off, so that the next one has its turn.
async fn wait_out(ground: &Ground, source: Source, error: &Error, outages: &mut u32) {
    if error.kind() == ErrorKind::Lost {
        ground.halt(Halt::Lost);
        return;
    }
    if error.is_waited_out() {
        ground.shared.failed(source, error);
    } else if ground.refusals.fetch_add(1, Ordering::Relaxed) >= REFUSALS {
        ground.refuse(error.clone());
        return;
    }
    ground.shared.rest(backoff::pause(PAUSE, *outages, LONGEST_WAIT)).await;
    *outages += 1;
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "the step panicked".to_owned())
}
