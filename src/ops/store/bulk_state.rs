//! What a seed and the demo's traffic read, and the mark of a load that goes in steps.

use chrono::{DateTime, Utc};

use super::sql;
use super::{Tx, on_tx};
use crate::Result;

/// The setting that stands while a load in several transactions is not finished.
const MARK: &str = "seeding";

/// Marks the database as being seeded.
pub async fn mark(tx: &mut Tx, now: DateTime<Utc>) -> Result<()> {
    super::settings::set(tx, MARK, "unfinished", now).await
}

/// Whether the mark stands.
pub async fn marked(tx: &mut Tx) -> Result<bool> {
    Ok(super::settings::get(tx, MARK).await?.is_some())
}

/// Takes the mark away and lets the accounts in.
pub async fn unmark(tx: &mut Tx) -> Result<()> {
    on_tx!(tx, c => {
        sql::query("delete from platform_settings where key = $1").bind(MARK).execute(&mut *c).await?;
        sql::query("update platform_users set active = true").execute(c).await?;
        Ok(())
    })
}

/// Which active customer may start runs for which tenant, at most `limit` pairs.
pub async fn starters(tx: &mut Tx, limit: i64) -> Result<Vec<(i64, i64)>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select u.id, t.id from users u join tenants t on t.workspace_id = u.workspace_id \
             join workspaces w on w.id = t.workspace_id \
             where u.active and t.archived_at is null and w.archived_at is null and not t.is_platform \
             order by t.id, u.id limit $1",
        )
        .bind(limit)
        .fetch_all(c)
        .await?)
    })
}
