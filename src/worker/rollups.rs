//! Folds what writers of telemetry appended into the counts, so that summaries stay quick.

use std::sync::Arc;
use std::time::Duration;

use super::{Shared, backoff};
use crate::access::Actor;
use crate::ops::Engine;
use crate::ops::telemetry::FoldRollups;

/// How often it looks for something to fold.
const LOOK: Duration = Duration::from_secs(5);

/// Folds until the worker stops. Several workers take turns; on SQLite there is nothing to do.
pub async fn keep(shared: Arc<Shared>) {
    if shared.ops.engine() == Engine::Sqlite {
        return;
    }
    while !shared.is_stopping() {
        match shared.ops.run(&Actor::System, FoldRollups).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) if error.retry_can_help() => {}
            Err(error) => tracing::error!(%error, "the counts of telemetry could not be kept up"),
        }
        shared.rest(backoff::around(LOOK)).await;
    }
}
