//! Rows of `platform_settings`: settings, flags, and marks of the platform, by key.

use chrono::{DateTime, Utc};

use super::sql;
use super::{Tx, on_tx};
use crate::Result;

/// What is stored under `key`.
pub async fn get(tx: &mut Tx, key: &str) -> Result<Option<String>> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar("select value from platform_settings where key = $1")
            .bind(key)
            .fetch_optional(c)
            .await?)
    })
}

/// Every key with its value.
pub async fn all(tx: &mut Tx) -> Result<Vec<(String, String)>> {
    on_tx!(tx, c => {
        Ok(sql::query_as("select key, value from platform_settings order by key").fetch_all(c).await?)
    })
}

/// Removes what is stored under `key`.
pub async fn remove(tx: &mut Tx, key: &str) -> Result<()> {
    on_tx!(tx, c => {
        sql::query("delete from platform_settings where key = $1").bind(key).execute(c).await?;
        Ok(())
    })
}

/// Stores `value` under `key`.
pub async fn set(tx: &mut Tx, key: &str, value: &str, now: DateTime<Utc>) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(
            "insert into platform_settings (key, value, updated_at) values ($1, $2, $3) \
             on conflict (key) do update set value = excluded.value, updated_at = excluded.updated_at",
        )
        .bind(key)
        .bind(value)
        .bind(now)
        .execute(c)
        .await?;
        Ok(())
    })
}
