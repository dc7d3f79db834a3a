//! One lane of a run: takes a target, does its steps one after the other, takes the next.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::backoff;
use super::execution::{Ground, Halt};
use crate::access::Actor;
use crate::domain::failure::{ReasonCode, RetryHelp};
use crate::ops::runs::{BeginTarget, Beginning, Begun, FailStep, RunStep, Stepped};
use crate::{Error, ErrorKind};

/// So many failures in a row that a retry may help, and the target is failed.
const ATTEMPTS: i64 = 5;
/// A step that takes too long is tried less often: each try holds a lane up.
const TIMEOUTS: i64 = 2;
/// The longest pause before a target is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The pause after a crash or an unanswered question.
const BREATH: Duration = Duration::from_millis(200);

/// What one try of a step came to.
enum Tried {
    /// The database answered.
    Stepped(Stepped),
    /// The step took too long.
    TimedOut,
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
            Ok(target) => target?,
            Err(error) => {
                stumble(ground, &error, outages).await;
                continue;
            }
        };
        let ordinal = target.ordinal;
        let begin = BeginTarget {
            run_id: ground.run_id,
            fence: ground.fence,
            ordinal,
            crash: ground.crash_of(ordinal),
        };
        match ground.shared.ops.run(&Actor::System, begin).await {
            Ok(Beginning::Begun(begun)) => return Some(begun),
            Ok(Beginning::Crashed) => {
                ground.give_back(ordinal).await;
                ground.count_failure();
            }
            Ok(Beginning::Done) => ground.give_back(ordinal).await,
            Err(error) => {
                ground.give_back(ordinal).await;
                stumble(ground, &error, outages).await;
            }
        }
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
        let ordinal = then.as_ref().map(|target| target.ordinal);
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
            *outages = 0;
            Next::Same(Begun { steps, errors: 0, ..begun })
        }
        Tried::Stepped(Stepped::Waits) => {
            *outages = 0;
            ground.give_back(ordinal).await;
            Next::Plan
        }
        Tried::Stepped(Stepped::Finished { failed, begun: following }) => {
            *outages = 0;
            ground.give_back(ordinal).await;
            if failed {
                ground.count_failure();
            }
            following.map_or(Next::Plan, Next::Other)
        }
        Tried::Stepped(Stepped::Elsewhere) => {
            ground.give_back(ordinal).await;
            Next::Plan
        }
        Tried::Stepped(Stepped::Failed { reason, message }) => {
            let again = (reason.retry() == RetryHelp::Helps).then_some(ATTEMPTS);
            fail(ground, &begun, reason, message, again).await
        }
        Tried::TimedOut => {
            let message =
                format!("the step took longer than {:?}", ground.shared.settings.step_timeout());
            fail(ground, &begun, ReasonCode::Timeout, message, Some(TIMEOUTS)).await
        }
        Tried::Crashed(text) => {
            ground.note_crash(ordinal, text);
            ground.give_back(ordinal).await;
            ground.shared.rest(BREATH).await;
            Next::Plan
        }
        // Too busy, too slow: the database is there, and the step is to be tried again.
        Tried::Error(error) if error.kind() == ErrorKind::TimedOut => {
            let message = error.message().to_owned();
            fail(ground, &begun, ReasonCode::Conflict, message, Some(ATTEMPTS)).await
        }
        Tried::Error(error) if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Lost) => {
            ground.give_back(ordinal).await;
            stumble(ground, &error, outages).await;
            Next::Plan
        }
        Tried::Error(error) => {
            let message = error.message().to_owned();
            fail(ground, &begun, ReasonCode::UnexpectedError, message, None).await
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
    match tokio::time::timeout(ground.shared.settings.step_timeout(), work).await {
        Err(_) => Tried::TimedOut,
        Ok(Err(panic)) => Tried::Crashed(panic_text(panic.as_ref())),
        Ok(Ok(Ok(stepped))) => Tried::Stepped(stepped),
        Ok(Ok(Err(error))) => Tried::Error(error),
    }
}

/// Writes a failure down: put off while `again` attempts are not used up, failed for good
/// otherwise.
async fn fail(
    ground: &Ground,
    begun: &Begun,
    reason: ReasonCode,
    message: String,
    again: Option<i64>,
) -> Next {
    let again_in = again.filter(|attempts| begun.errors + 1 < *attempts).map(|_| {
        let n = u32::try_from(begun.errors).unwrap_or(0);
        backoff::pause(ground.shared.settings.retry_pause, n, LONGEST_PAUSE)
    });
    let failed = FailStep {
        run_id: ground.run_id,
        fence: ground.fence,
        ordinal: begun.ordinal,
        steps: begun.steps,
        reason,
        message,
        again_in,
    };
    let written = ground.shared.ops.run(&Actor::System, failed).await;
    match &written {
        Ok(true) if again_in.is_none() => ground.count_failure(),
        Ok(_) => {}
        Err(error) => stumble(ground, error, &mut 0).await,
    }
    ground.give_back(begun.ordinal).await;
    Next::Plan
}

/// After an error of the database: a lost claim ends the execution, anything else is waited
/// out.
async fn stumble(ground: &Ground, error: &Error, outages: &mut u32) {
    if error.kind() == ErrorKind::Lost {
        ground.halt(Halt::Lost);
        return;
    }
    if !error.retry_can_help() {
        tracing::error!(run_id = ground.run_id, %error, "a step could not be started");
    }
    let started = Instant::now();
    ground.shared.rest(backoff::pause(BREATH, *outages, Duration::from_secs(2))).await;
    tracing::debug!(waited = ?started.elapsed(), "tried again after an outage");
    *outages += 1;
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "the step panicked".to_owned())
}
