//! Removing what is older than its retention.

use chrono::{DateTime, Utc};

use super::sql;
use super::{Tx, on_tx};
use crate::Result;

/// Deletes at most `limit` product usage events from before `cutoff`, the oldest first; gives
/// how many. Two at once share the events between them.
pub async fn delete_usage_events(tx: &mut Tx, cutoff: DateTime<Utc>, limit: i64) -> Result<u64> {
    on_tx!(tx, c => {
        // By the time, not by the id: that is the order of the index, so a chunk never reads
        // past what it deletes.
        Ok(sql::query(concat!(
            "delete from product_usage_events where id in (select r.id from product_usage_events r \
             where r.occurred_at < $1 order by r.occurred_at limit $2",
            claim_lock!(), ")"
        ))
        .bind(cutoff)
        .bind(limit)
        .execute(c)
        .await?
        .rows_affected())
    })
}

/// How many product usage events are from before `cutoff`, and how many there are.
pub async fn count_usage_events(tx: &mut Tx, cutoff: DateTime<Utc>) -> Result<(i64, i64)> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select (select count(*) from product_usage_events e where e.occurred_at < $1), \
             (select count(*) from product_usage_events)",
        )
        .bind(cutoff)
        .fetch_one(c)
        .await?)
    })
}

/// How much of the ledger there is, and how much of it is from before a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct LedgerSize {
    /// Events from before the moment.
    pub old: i64,
    /// All events.
    pub total: i64,
    /// The oldest event.
    pub oldest: Option<DateTime<Utc>>,
    /// The newest event.
    pub newest: Option<DateTime<Utc>>,
}

/// How large the ledger is, and how much of it is from before `cutoff`.
pub async fn ledger_size(tx: &mut Tx, cutoff: DateTime<Utc>) -> Result<LedgerSize> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select (select count(*) from product_usage_events e where e.occurred_at < $1) as old, \
             (select count(*) from product_usage_events) as total, \
             (select min(e.occurred_at) from product_usage_events e) as oldest, \
             (select max(e.occurred_at) from product_usage_events e) as newest",
        )
        .bind(cutoff)
        .fetch_one(c)
        .await?)
    })
}

/// When the newest product usage event occurred.
pub async fn newest_usage_event(tx: &mut Tx) -> Result<Option<DateTime<Utc>>> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar("select max(e.occurred_at) from product_usage_events e")
            .fetch_one(c)
            .await?)
    })
}

/// From when on no product usage event is missing because it was pruned; none: none was.
pub async fn usage_kept_from(tx: &mut Tx) -> Result<Option<DateTime<Utc>>> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar("select kept_from from product_usage_kept where id = 1")
            .fetch_optional(c)
            .await?)
    })
}

/// Notes that product usage events from before `from` were pruned.
pub async fn keep_usage_from(tx: &mut Tx, from: DateTime<Utc>) -> Result<()> {
    // Only the first chunk of a prune moves it, so that prunes at once do not wait for each other.
    if usage_kept_from(tx).await?.is_some_and(|kept| kept >= from) {
        return Ok(());
    }
    on_tx!(tx, c => {
        sql::query(
            "insert into product_usage_kept as k (id, kept_from) values (1, $1) \
             on conflict (id) do update set kept_from = excluded.kept_from \
             where k.kept_from < excluded.kept_from",
        )
        .bind(from)
        .execute(c)
        .await?;
        Ok(())
    })
}

/// The phrase that confirms the plan by which a run was started; none without a plan.
pub async fn planned_phrase(tx: &mut Tx, run_id: i64) -> Result<Option<String>> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar(
            "select p.phrase from operation_runs r join runbook_plans p on p.id = r.plan_id where r.id = $1",
        )
        .bind(run_id)
        .fetch_optional(c)
        .await?)
    })
}

/// Whether nobody watches over a run: it was started by a schedule or a deployment.
pub async fn is_unattended(tx: &mut Tx, run_id: i64) -> Result<bool> {
    on_tx!(tx, c => {
        let found: Option<bool> = sql::query_scalar(
            "select source in ('schedule', 'deploy_hook') and platform_user_id is null and user_id is null \
             from operation_runs where id = $1",
        )
        .bind(run_id)
        .fetch_optional(c)
        .await?;
        Ok(found.unwrap_or(true))
    })
}
