//! Daily work, started by whichever worker comes first: the request's id names the day, and
//! the database takes each id once.

use std::sync::Arc;
use std::time::Duration;

use super::{Shared, backoff};
use crate::access::Actor;
use crate::domain::run::Source;
use crate::ops::runbooks::StartRunbook;

/// How often it is looked whether the day's work was started.
const LOOK: Duration = Duration::from_secs(60);
/// The runbooks that every day starts once.
const DAILY: &[&str] = &["product_usage.prune"];

/// Starts what each day needs.
pub async fn keep(shared: Arc<Shared>) {
    loop {
        for key in DAILY {
            start(&shared, key).await;
        }
        shared.rest(backoff::around(LOOK)).await;
        if shared.is_stopping() {
            return;
        }
    }
}

async fn start(shared: &Shared, key: &str) {
    if shared.ops.registry().get(key).is_err() {
        return;
    }
    let day = shared.ops.clock().now().format("%Y-%m-%d");
    let start = StartRunbook {
        request_id: Some(format!("schedule:{key}:{day}")),
        ..StartRunbook::on_platform(key, Source::Schedule)
    };
    match shared.ops.run(&Actor::System, start).await {
        Ok(started) if started.created => {
            tracing::info!(run_id = started.run_id, key, "started the day's work");
        }
        Ok(_) => {}
        Err(error) if error.retry_can_help() => {}
        Err(error) => tracing::error!(%error, key, "the day's work could not be started"),
    }
}
