//! What a platform user chose for themselves.

use chrono::{DateTime, Utc};

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
        sqlx::query(
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

/// The window that was remembered.
pub async fn window(tx: &mut Tx, platform_user_id: i64) -> Result<Option<Window>> {
    on_tx!(tx, c => {
        let stored: Option<String> = sqlx::query_scalar(
            "select dashboard_window from platform_user_preferences where platform_user_id = $1",
        )
        .bind(platform_user_id)
        .fetch_optional(c)
        .await?;
        // The database takes no other.
        Ok(stored.and_then(|window| window.parse().ok()))
    })
}
