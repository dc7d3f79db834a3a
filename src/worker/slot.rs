//! One slot of a worker: claims a run, executes it, and looks for the next.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::futures::Notified;

use super::condition::Source;
use super::event::{Loss, WorkerEvent};
use super::execution::{Execution, Outcome};
use super::heart::Heart;
use super::{POLL, Shared, backoff};
use crate::access::Actor;
use crate::ops::runs::{ClaimNext, ClaimRun, Claims, PostponeRun};
use crate::{Error, ErrorKind, Result};

/// Works until the worker stops.
pub async fn work(shared: Arc<Shared>, heart: Arc<Heart>) {
    let mut outages = 0;
    while !shared.is_stopping() {
        // Where nothing is to be done, one slot that looks for it is enough.
        let turn = shared.looking.lock().await;
        if shared.is_stopping() {
            return;
        }
        // Hears what comes while the question is under way, too.
        let hinted = shared.hint.notified();
        for (run_id, fence, fault) in shared.postponed.take_held() {
            write_postponed(&shared, PostponeRun { run_id, fence, pause: POLL, fault }).await;
        }
        let asked_at = tokio::time::Instant::now();
        let claims = match claim(&shared).await {
            Ok(claims) => claims,
            Err(error) => {
                // A schema that has become newer refuses every claim, and ends the worker.
                let refused = error.kind() == ErrorKind::Refused && !error.is_waited_out();
                if refused && shared.check_schema().await {
                    return;
                }
                shared.failed(Source::Claim, &error);
                shared.rest(backoff::pause(Duration::from_millis(250), outages, POLL)).await;
                outages += 1;
                continue;
            }
        };
        outages = 0;
        for (run_id, error) in &claims.refused {
            put_off(&shared, *run_id, error);
        }
        let Some(claimed) = claims.claimed else {
            let within = shared.settings.lease + POLL;
            let gone = [shared.postponed.gone(within), shared.lost.gone(within)].concat();
            shared.condition.forget(|source| {
                source == Source::Claim || gone.iter().any(|run_id| source.is_of(*run_id))
            });
            wait_for_work(&shared, hinted).await;
            continue;
        };
        drop(turn);
        shared.wrote(Source::Claim);
        let held = heart.hold(&claimed, asked_at + shared.settings.lease);
        let (run_id, fence) = (claimed.id, claimed.fence);
        let goes_on = shared.lost.take(run_id) == Some(fence - 1);
        if !shared.postponed.has(run_id) {
            let run_type = claimed.run_type.clone();
            let taken_over = claimed.takeovers > 0;
            shared.tell(if goes_on {
                WorkerEvent::GoesOn { run_id, run_type }
            } else {
                WorkerEvent::Claimed { run_id, run_type, taken_over }
            });
        }
        let outcome = Execution::new(Arc::clone(&shared), claimed, held).run().await;
        heart.let_go(run_id);
        // That its end could not be written stays true until it is.
        let waits = matches!(&outcome, Outcome::Unwritten(error) if error.is_waited_out());
        if let Outcome::Told(WorkerEvent::Lost { .. }) = &outcome {
            shared.lost.note(run_id, fence);
        }
        if let Outcome::Told(WorkerEvent::Lost { why: Loss::Expired, .. }) = &outcome {
            shared.condition.lose(run_id);
        } else {
            shared.condition.forget(|source| match source {
                Source::Run(..) => source.is_of(run_id) && !waits,
                _ => source.is_of(run_id),
            });
        }
        match outcome {
            Outcome::Told(event) => {
                shared.postponed.forget(run_id);
                shared.tell(event);
            }
            Outcome::Unwritten(error) => postpone(&shared, run_id, fence, &error).await,
        }
        // Where one run was, there may be more.
        shared.hint.notify_waiters();
    }
}

async fn claim(shared: &Shared) -> Result<Claims> {
    let claim = ClaimRun {
        owner: shared.info.id.clone(),
        types: shared.types(),
        lease: shared.settings.lease,
    };
    let next = ClaimNext { claim, except: shared.postponed.waiting() };
    shared.ops.run(&Actor::System, next).await
}

/// Puts a run off in this worker's own memory, and says why where that is new.
fn put_off(shared: &Shared, run_id: i64, error: &Error) -> Duration {
    let why = error.full_message();
    let (pause, new) = shared.postponed.put_off(run_id, &why, error.is_waited_out());
    if new {
        shared.tell(WorkerEvent::Postponed { run_id, why, pause });
    }
    pause
}

/// Puts a run off for everybody, as far as the database lets that be written.
async fn postpone(shared: &Shared, run_id: i64, fence: i64, error: &Error) {
    let pause = put_off(shared, run_id, error);
    let fault = error.fault().cloned();
    write_postponed(shared, PostponeRun { run_id, fence, pause, fault }).await;
}

async fn write_postponed(shared: &Shared, postpone: PostponeRun) {
    let (run_id, fence, fault) = (postpone.run_id, postpone.fence, postpone.fault.clone());
    if let Err(error) = shared.ops.run(&Actor::System, postpone).await {
        tracing::debug!(run_id, %error, "a run could not be postponed in the database");
        // Else its lease would have to run out first, and somebody would take it over.
        if error.is_waited_out() {
            shared.postponed.hold(run_id, fence, fault);
        }
    }
}

async fn wait_for_work(shared: &Shared, hinted: Notified<'_>) {
    let mut stop = shared.stop.clone();
    tokio::select! {
        () = hinted => {}
        () = tokio::time::sleep(backoff::around(shared.poll())) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}
