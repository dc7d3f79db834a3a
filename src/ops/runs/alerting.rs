//! The alerts that the end of a run puts into the outbox, in the transaction of the end: one
//! about how it ended, and one if a type and tenant that alerted succeeded in it.
//!
//! An alert opens for each failed target (for a blocked run, each target), and closes when that
//! tenant's target succeeds in any later run of the type, about the same where the type has several
//! subjects. However many close at once, one run sends one alert.

use serde_json::{Map, Value, json};

use super::finish::End;
use crate::Result;
use crate::domain::alert::AlertEvent;
use crate::domain::summary_counts::CountKey;
use crate::ops::store::lifecycle::Held;
use crate::ops::store::{Tx, open_alerts, targets};
use crate::ops::{Context, settings};

/// How many recovered tenants an alert names.
const NAMED: usize = 20;

/// Queues what is to be told of an end, as far as the platform's settings say.
pub(super) async fn raise(
    context: &mut Context,
    run: &Held,
    end: &End,
    reason: Option<&str>,
) -> Result<()> {
    let now = context.now();
    let subject = run.subject();
    let of_type =
        subject.map_or_else(|| run.run_type.clone(), |name| format!("{}:{name}", run.run_type));
    let about = (run.id, of_type.as_str());
    let tx = context.tx()?;
    let recovered = open_alerts::close(tx, about).await?;
    let about_end = AlertEvent::of_end(end.outcome, reason);
    if recovered.is_empty() && about_end.is_empty() {
        return Ok(());
    }
    let sent = settings::alert_events(tx).await?;
    let sends = |event: AlertEvent| sent.iter().any(|name| name == event.as_str());
    if !recovered.is_empty() && sends(AlertEvent::Recovered) {
        let mut payload = facts(run, end, None);
        let named: Vec<i64> = recovered.iter().map(|(tenant, _)| *tenant).take(NAMED).collect();
        payload.insert("recovered_tenant_ids".to_owned(), json!(named));
        payload.insert("recovered_tenants".to_owned(), json!(recovered.len()));
        let alerted = recovered.iter().map(|(_, run)| *run).max();
        payload.insert("alerted_run_id".to_owned(), json!(alerted));
        enqueue(tx, AlertEvent::Recovered, run, payload, now).await?;
    }
    let Some(event) = about_end.into_iter().find(|event| sends(*event)) else { return Ok(()) };
    let share = settings::failed_share(tx).await?;
    let tally = targets::tally(tx, run.id).await?;
    if event.is_below(share, tally.failed, tally.total) {
        return Ok(());
    }
    let only_failed = end.outcome != crate::domain::run::RunOutcome::Blocked;
    open_alerts::open(tx, about, event.as_str(), only_failed, now).await?;
    enqueue(tx, event, run, facts(run, end, reason), now).await
}

/// What every alert of a run says.
fn facts(run: &Held, end: &End, reason: Option<&str>) -> Map<String, Value> {
    let count = |key| end.counts.get(key).unwrap_or(0);
    let fields = [
        ("run_id", json!(run.id)),
        ("type", json!(run.run_type)),
        ("subject", json!(run.subject())),
        ("tenant_id", json!(run.tenant_id)),
        ("outcome", json!(end.outcome.as_str())),
        ("reason_code", json!(reason)),
        ("failed", json!(count(CountKey::Failed))),
        ("total", json!(count(CountKey::Total))),
        ("view", json!(format!("run/{}", run.id))),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

async fn enqueue(
    tx: &mut Tx,
    event: AlertEvent,
    run: &Held,
    mut payload: Map<String, Value>,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<()> {
    payload.insert("event".to_owned(), json!(event.as_str()));
    open_alerts::enqueue(tx, event.as_str(), run.id, &Value::Object(payload), now).await
}
