//! Daily work, started by whichever worker comes first: the request's id names the day, and
//! the database takes each id once.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Shared, backoff};
use crate::access::Actor;
use crate::domain::confirmation::Given;
use crate::domain::run::Source;
use crate::ops::plans::Preflight;
use crate::ops::retention::{DATA_INPUT, OldData};
use crate::ops::runbooks::StartRunbook;
use crate::ops::runs::{FindRequest, RunScope, Started};
use crate::ops::{Consent, Ops};
use crate::{Error, Result};

/// How often it is looked whether the day's work was started.
const LOOK: Duration = Duration::from_secs(60);
/// How soon at first where not all could be started: more may have become old since its preflight.
const SOON: Duration = Duration::from_secs(2);
/// The runbook that every day starts once.
const USAGE: &str = "product_usage.prune";
/// The runbook that every day starts once for each kind of data of which something is old.
const DATA: &str = "retention.prune";

/// Starts what each day needs.
pub async fn keep(shared: Arc<Shared>) {
    let mut failures = 0;
    loop {
        let pause = if start(&shared).await {
            failures = 0;
            backoff::around(LOOK)
        } else {
            failures += 1;
            backoff::pause(SOON, failures - 1, LOOK)
        };
        shared.rest(pause).await;
        if shared.is_stopping() {
            return;
        }
    }
}

/// The same, as far as it can; tells whether that was all.
async fn start(shared: &Shared) -> bool {
    let now = match shared.ops.database_now().await {
        Ok(now) => now,
        Err(error) => {
            say(&error, "the database's clock could not be read");
            return false;
        }
    };
    shared.look_at_clock();
    if shared.clock.is_wrong() {
        return true;
    }
    let mut all = true;
    let day = now.format("%Y-%m-%d");
    let mut work = vec![(USAGE, format!("schedule:{USAGE}:{day}"), json!({}))];
    match shared.ops.run(&Actor::System, OldData).await {
        Ok(old) => work.extend(old.into_iter().map(|data| {
            (DATA, format!("schedule:{DATA}:{data}:{day}"), json!({ DATA_INPUT: data }))
        })),
        Err(error) => {
            say(&error, "what is old could not be read");
            all = false;
        }
    }
    for (key, request_id, inputs) in work {
        if shared.ops.registry().get(key).is_err() {
            continue;
        }
        match start_once(&shared.ops, key, request_id, inputs).await {
            Ok(Some(started)) if started.created => {
                tracing::info!(run_id = started.run_id, key, "started the day's work");
            }
            Ok(_) => {}
            Err(error) => {
                say(&error, &format!("the day's {key} could not be started"));
                all = false;
            }
        }
    }
    all
}

/// Logs an error, unless it is one of a database that is waited for.
fn say(error: &Error, what: &str) {
    if !error.is_waited_out() {
        tracing::error!(%error, "{what}");
    }
}

/// Plans the day's work and starts it, unless that was done.
async fn start_once(
    ops: &Ops,
    key: &str,
    request_id: String,
    inputs: Value,
) -> Result<Option<Started>> {
    let found = FindRequest { request_id: request_id.clone() };
    if ops.run(&Actor::System, found).await?.is_some() {
        return Ok(None);
    }
    let preflight = Preflight { inputs, ..Preflight::new(key, RunScope::Platform) };
    let plan = ops.run(&Actor::System, preflight).await?;
    let start = StartRunbook {
        request_id: Some(request_id),
        consent: Consent::of(Given::Declared),
        ..StartRunbook::of_plan(key, plan.id, Source::Schedule)
    };
    ops.run(&Actor::System, start).await.map(Some)
}
