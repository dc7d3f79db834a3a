//! Folds what writers of telemetry and of runs appended into the counts, so that the dashboard
//! stays quick.

use std::sync::Arc;
use std::time::Duration;

use super::{Shared, backoff};
use crate::access::Actor;
use crate::ops::Engine;
use crate::ops::overview::{FillFingerprints, FoldRunCounts};
use crate::ops::telemetry::FoldRollups;

/// How often it looks for something to fold.
const LOOK: Duration = Duration::from_secs(20);

/// Folds until the worker stops. Several workers take turns; on SQLite there is nothing to do.
pub async fn keep(shared: Arc<Shared>) {
    // What was written past the program, or before there were fingerprints.
    if let Err(error) = shared.ops.run(&Actor::System, FillFingerprints).await {
        tracing::warn!(%error, "failures without a fingerprint were left without one");
    }
    if shared.ops.engine() == Engine::Sqlite {
        return;
    }
    while !shared.is_stopping() {
        let usage = shared.ops.run(&Actor::System, FoldRollups).await;
        let runs = shared.ops.run(&Actor::System, FoldRunCounts).await;
        let mut more = false;
        for (what, folded) in [("telemetry", usage), ("runs", runs)] {
            match folded {
                Ok(left) => more |= left,
                Err(error) if error.retry_can_help() => {}
                Err(error) => tracing::error!(%error, "the counts of {what} could not be kept up"),
            }
        }
        if more {
            continue;
        }
        shared.rest(backoff::around(LOOK)).await;
    }
}
