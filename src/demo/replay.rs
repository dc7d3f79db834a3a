//! Plays a draft through the operations, at the times it tells of.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::cast::Cast;
use super::draft::{Draft, Starter};
use crate::access::Actor;
use crate::ops::Ops;
use crate::ops::runs::{
    ClaimRun, CompleteRun, Entry, RecordFailure, ReportProgress, StartRun, Started,
};
use crate::{Clock, Error, Result};

/// Starts, claims and ends a run; gives its id.
pub async fn play(ops: &Ops, cast: &Cast, draft: &Draft) -> Result<i64> {
    let clock = Clock::fixed(draft.created_at);
    let ops = ops.with_clock(clock.clone());
    let go_to = |at: DateTime<Utc>| clock.advance(at - clock.now());
    let actor = match draft.starter {
        Starter::Customer(at) => Actor::Customer { user_id: cast.users[at].0 },
        Starter::Platform(_) | Starter::Nobody => Actor::System,
    };
    let start = StartRun {
        run_type: draft.run_type.to_owned(),
        scope: draft.scope.clone(),
        inputs: json!({}),
        entry: Entry::Strict,
        source: draft.source,
        request_id: None,
    };
    let Started { run_id, .. } = ops.run(&actor, start).await?;
    let Some(started_at) = draft.started_at else { return Ok(run_id) };

    go_to(started_at);
    let claim = ClaimRun {
        owner: format!("seed-worker-{run_id}"),
        types: vec![draft.run_type.to_owned()],
        lease: super::rows::LEASE.to_std().unwrap_or_default(),
    };
    let claimed = ops.run(&Actor::System, claim).await?;
    let Some(claimed) = claimed.filter(|claimed| claimed.id == run_id) else {
        return Err(Error::failed("another worker took a run of the seeding"));
    };
    let fence = claimed.fence;
    for mishap in &draft.mishaps {
        go_to(mishap.at);
        let failure = RecordFailure {
            run_id,
            fence,
            tenant_id: mishap.tenant_id,
            reason: mishap.reason,
            message: mishap.message.clone(),
        };
        ops.run(&Actor::System, failure).await?;
    }
    let progress = ReportProgress { run_id, fence, counts: draft.counts() };
    let Some(completed_at) = draft.completed_at else {
        ops.run(&Actor::System, progress).await?;
        return Ok(run_id);
    };
    go_to(completed_at);
    if draft.blocked.is_none() {
        ops.run(&Actor::System, progress).await?;
    }
    let complete = CompleteRun { run_id, fence, blocked: draft.blocked };
    let outcome = ops.run(&Actor::System, complete).await?;
    if outcome != draft.outcome {
        return Err(Error::failed("a seeded run ended in another way than it was told to"));
    }
    Ok(run_id)
}
