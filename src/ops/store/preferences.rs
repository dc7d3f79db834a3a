//! What a platform user chose for themselves.

use chrono::{DateTime, Utc};

use super::sql;
use super::{Tx, on_tx};
use crate::Result;
use crate::domain::window::Window;

/// Remembers the window of the dashboard.
pub async fn choose_window(
    tx: &mut Tx,
    platform_user_id: i64,
    window: Window,
    now: DateTime<Utc>,
) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(
            "insert into platform_user_preferences (platform_user_id, dashboard_window, updated_at) \
             values ($1, $2, $3) on conflict (platform_user_id) do update \
             set dashboard_window = excluded.dashboard_window, updated_at = excluded.updated_at",
        )
        .bind(platform_user_id)
        .bind(window.as_str())
        .bind(now)
        .execute(c)
        .await?;
        Ok(())
    })
}
