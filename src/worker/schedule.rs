//! Daily work, started by whichever worker comes first: the request's id names the day, and
//! the database takes each id once.

use std::sync::Arc;
use std::time::Duration;

use super::{Shared, backoff};
use crate::Result;
use crate::access::Actor;
use crate::domain::confirmation::Given;
use crate::domain::run::Source;
use crate::ops::plans::Preflight;
use crate::ops::runbooks::StartRunbook;
use crate::ops::runs::{FindRequest, RunScope, Started};
use crate::ops::{Consent, Ops};

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
    let now = match shared.ops.database_now().await {
        Ok(now) => now,
        Err(error) if error.is_waited_out() => return,
        Err(error) => {
            tracing::error!(%error, key, "the database's clock could not be read");
            return;
        }
    };
    shared.look_at_clock();
    if shared.clock.is_wrong() {
        return;
    }
    let request_id = format!("schedule:{key}:{}", now.format("%Y-%m-%d"));
    match start_once(&shared.ops, key, request_id).await {
        Ok(Some(started)) if started.created => {
            tracing::info!(run_id = started.run_id, key, "started the day's work");
        }
        Ok(_) => {}
        Err(error) if error.is_waited_out() => {}
        Err(error) => tracing::error!(%error, key, "the day's work could not be started"),
    }
}

/// Plans the day's work and starts it, unless that was done.
async fn start_once(ops: &Ops, key: &str, request_id: String) -> Result<Option<Started>> {
    let found = FindRequest { request_id: request_id.clone() };
    if ops.run(&Actor::System, found).await?.is_some() {
        return Ok(None);
    }
    let plan = ops.run(&Actor::System, Preflight::new(key, RunScope::Platform)).await?;
    let start = StartRunbook {
        request_id: Some(request_id),
        consent: Consent::of(Given::Declared),
        ..StartRunbook::of_plan(key, plan.id, Source::Schedule)
    };
    ops.run(&Actor::System, start).await.map(Some)
}
