//! Findings, as maintenance reaches them: a chunk of one tenant's at a time.

use chrono::{DateTime, Utc};

use super::store::{customers, findings};
use super::{Context, Reader};
use crate::Result;

/// What became of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Findings looked at.
    pub looked_at: i64,
    /// Findings changed.
    pub updated: i64,
    /// The last one's id, if there may be more after it.
    pub last_id: Option<i64>,
}

/// Brings the next `limit` findings of a tenant after `after_id` to the lifecycle model, due
/// dates counted from `run_started_at`. None: the tenant is not one that maintenance may
/// touch (any more).
pub(crate) async fn backfill_chunk(
    context: &mut Context,
    tenant_id: i64,
    after_id: i64,
    limit: i64,
    run_started_at: DateTime<Utc>,
) -> Result<Option<Chunk>> {
    let now = context.now();
    let tx = context.tx()?;
    let tenant = customers::tenant(tx, tenant_id, true).await?;
    if tenant.is_none_or(|tenant| tenant.archived || tenant.is_platform) {
        return Ok(None);
    }
    let limit = limit.max(1);
    let (looked_at, last_id) = findings::next(tx, tenant_id, after_id, limit).await?;
    let Some(last_id) = last_id else {
        return Ok(Some(Chunk { looked_at: 0, updated: 0, last_id: None }));
    };
    let changed =
        findings::backfill(tx, tenant_id, (after_id, last_id), run_started_at, now).await?;
    Ok(Some(Chunk {
        looked_at,
        updated: i64::try_from(changed).unwrap_or(i64::MAX),
        last_id: (looked_at == limit).then_some(last_id),
    }))
}

/// How many of a tenant's findings a backfill would change, and how many there are.
pub(crate) async fn count_legacy(reader: Reader<'_>, tenant_id: i64) -> Result<(i64, i64)> {
    findings::count(reader.tx, tenant_id).await
}
