//! Platform users: the people of the system plane.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::error::is_unique_violation;
use super::sql;
use super::{Tx, on_tx};
use crate::{Error, Result};

/// A platform user as stored, without the password hash.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct UserRow {
    /// Id.
    pub id: i64,
    /// Normalised name.
    pub username: String,
    /// Name for display.
    pub display_name: String,
    /// Capabilities, as stored.
    pub capabilities: Json<Vec<String>>,
    /// Whether they may log in.
    pub active: bool,
    /// Whether they see all workspaces.
    pub view_all: bool,
    /// Creation.
    pub created_at: DateTime<Utc>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

/// What a login needs, and nobody else reads.
#[derive(Debug, sqlx::FromRow)]
pub struct CredentialRow {
    /// Id.
    pub id: i64,
    /// PHC string.
    pub password_hash: String,
    /// Whether they may log in.
    pub active: bool,
    /// Grows with every change.
    pub credential_version: i64,
    /// Capabilities, as stored.
    pub capabilities: Json<Vec<String>>,
    /// Whether they see all workspaces.
    pub view_all: bool,
}

/// The credentials behind a normalised name. `hold` keeps the row until the transaction
/// ends.
pub async fn credentials(tx: &mut Tx, username: &str, hold: bool) -> Result<Option<CredentialRow>> {
    on_tx!(tx, c => {
        let sql = if hold {
            concat!("select u.id, u.password_hash, u.active, u.credential_version, u.capabilities, u.view_all \
                     from platform_users u where u.username = $1", for_share!("u"))
        } else {
            "select id, password_hash, active, credential_version, capabilities, view_all \
             from platform_users where username = $1"
        };
        Ok(sql::query_as(sql).bind(username).fetch_optional(c).await?)
    })
}

/// How many platform users there are.
pub async fn count(tx: &mut Tx) -> Result<i64> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar("select count(*) from platform_users").fetch_one(c).await?)
    })
}

/// Holds off other creations until the transaction ends, so that only one caller can be
/// the first administrator. SQLite's write transaction does that by itself.
pub async fn lock_creation(tx: &mut Tx) -> Result<()> {
    if let Tx::Postgres(transaction) = tx {
        sql::query("lock table platform_users in share row exclusive mode")
            .execute(&mut *transaction)
            .await?;
    }
    Ok(())
}

/// A user to make.
#[derive(Debug)]
pub struct NewUser<'a> {
    /// Normalised name.
    pub username: &'a str,
    /// Name for display.
    pub display_name: &'a str,
    /// PHC string.
    pub password_hash: &'a str,
    /// Capabilities.
    pub capabilities: &'a [&'static str],
    /// Whether they see all workspaces.
    pub view_all: bool,
    /// Now.
    pub now: DateTime<Utc>,
}

/// Makes a user; gives the id.
///
/// # Errors
/// *Refused* where the name is taken.
pub async fn insert(tx: &mut Tx, new: &NewUser<'_>) -> Result<i64> {
    let made: Result<i64, sqlx::Error> = on_tx!(tx, c => {
        sql::query_scalar(
            "insert into platform_users (username, display_name, password_hash, capabilities, \
             view_all, created_at, updated_at) values ($1, $2, $3, $4, $6, $5, $5) returning id",
        )
        .bind(new.username)
        .bind(new.display_name)
        .bind_secret(new.password_hash)
        .bind(Json(new.capabilities))
        .bind(new.now)
        .bind(new.view_all)
        .fetch_one(c)
        .await
    });
    made.map_err(|error| if is_unique_violation(&error) { taken() } else { error.into() })
}

/// The answer to a name that is taken.
pub fn taken() -> Error {
    Error::refused("a platform user of that name exists").hint("choose another name")
}

/// All users, by name.
pub async fn all(tx: &mut Tx) -> Result<Vec<UserRow>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select id, username, display_name, capabilities, active, view_all, created_at, updated_at \
             from platform_users order by username",
        )
        .fetch_all(c)
        .await?)
    })
}

/// One user; `hold` locks the row for a change.
pub async fn by_name(tx: &mut Tx, username: &str, hold: bool) -> Result<Option<UserRow>> {
    on_tx!(tx, c => {
        let sql = if hold {
            concat!("select id, username, display_name, capabilities, active, view_all, created_at, updated_at \
                     from platform_users where username = $1", for_update!())
        } else {
            "select id, username, display_name, capabilities, active, view_all, created_at, updated_at \
             from platform_users where username = $1"
        };
        Ok(sql::query_as(sql).bind(username).fetch_optional(c).await?)
    })
}

/// What to change of a user; every change ends their sessions by a new credential version.
#[derive(Debug, Default)]
pub struct UserChange<'a> {
    /// New capabilities.
    pub capabilities: Option<&'a [&'static str]>,
    /// New active flag.
    pub active: Option<bool>,
    /// New answer to whether they see all workspaces.
    pub view_all: Option<bool>,
    /// New PHC string.
    pub password_hash: Option<&'a str>,
}

/// Changes a user.
pub async fn change(
    tx: &mut Tx,
    id: i64,
    change: &UserChange<'_>,
    now: DateTime<Utc>,
) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(
            "update platform_users set capabilities = coalesce($2, capabilities), \
             active = coalesce($3, active), password_hash = coalesce($4, password_hash), \
             view_all = coalesce($6, view_all), \
             credential_version = credential_version + 1, updated_at = $5 where id = $1",
        )
        .bind(id)
        .bind(change.capabilities.map(Json))
        .bind(change.active)
        .bind_secret(change.password_hash)
        .bind(now)
        .bind(change.view_all)
        .execute(c)
        .await?;
        Ok(())
    })
}

/// The workspaces of a restricted user's view; none is none, and never all.
pub async fn workspaces(tx: &mut Tx, id: i64) -> Result<Vec<i64>> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar(
            "select workspace_id from platform_user_workspaces where platform_user_id = $1 order by workspace_id",
        )
        .bind(id)
        .fetch_all(c)
        .await?)
    })
}

/// Refuses workspaces that do not exist.
pub async fn require_workspaces(tx: &mut Tx, workspace_ids: &[i64]) -> Result<()> {
    on_tx!(tx, c => {
        for workspace_id in workspace_ids {
            let known: Option<i64> = sql::query_scalar("select id from workspaces where id = $1")
                .bind(*workspace_id)
                .fetch_optional(&mut *c)
                .await?;
            if known.is_none() {
                return Err(Error::not_found(format!("workspace {workspace_id}")));
            }
        }
        Ok(())
    })
}

/// Sets the workspaces a user's view is restricted to.
pub async fn set_workspaces(tx: &mut Tx, id: i64, workspace_ids: &[i64]) -> Result<()> {
    require_workspaces(tx, workspace_ids).await?;
    on_tx!(tx, c => {
        sql::query("delete from platform_user_workspaces where platform_user_id = $1")
            .bind(id)
            .execute(&mut *c)
            .await?;
        for workspace_id in workspace_ids {
            sql::query(
                "insert into platform_user_workspaces (platform_user_id, workspace_id) values ($1, $2) \
                 on conflict do nothing",
            )
            .bind(id)
            .bind(*workspace_id)
            .execute(&mut *c)
            .await?;
        }
        Ok(())
    })
}
