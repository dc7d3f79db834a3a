//! Removing what is older than its retention.

use chrono::{DateTime, Utc};

use super::{Tx, on_tx};
use crate::Result;

/// Deletes at most `limit` product usage events from before `cutoff`, the oldest first; gives
/// how many. Two at once share the events between them.
pub async fn delete_usage_events(tx: &mut Tx, cutoff: DateTime<Utc>, limit: i64) -> Result<u64> {
    on_tx!(tx, c => {
        // By the time, not by the id: that is the order of the index, so a chunk never reads
        // past what it deletes.
        Ok(sqlx::query(concat!(
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
        Ok(sqlx::query_as(
            "select (select count(*) from product_usage_events e where e.occurred_at < $1), \
             (select count(*) from product_usage_events)",
        )
        .bind(cutoff)
        .fetch_one(c)
        .await?)
    })
}
