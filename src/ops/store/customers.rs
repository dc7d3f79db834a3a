//! The customers' side that the console reads: workspaces, tenants, people.

use super::sql;
use super::{Tx, on_tx};
use crate::Result;
use crate::access::ViewScope;

/// A tenant as runs need it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct TenantRow {
    /// Id.
    pub id: i64,
    /// Its workspace.
    pub workspace_id: i64,
    /// Its name, as stored.
    pub name: String,
    /// Whether it is the platform's own.
    pub is_platform: bool,
    /// Whether it is archived.
    pub archived: bool,
}

/// A customer as a start needs them.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct CustomerRow {
    /// Id.
    pub id: i64,
    /// Their workspace.
    pub workspace_id: i64,
    /// Their name, as stored.
    pub name: String,
    /// Whether they are active.
    pub active: bool,
}

/// One tenant. `hold` keeps it against archiving until the transaction ends, which a reading
/// transaction cannot.
pub async fn tenant(tx: &mut Tx, id: i64, hold: bool) -> Result<Option<TenantRow>> {
    macro_rules! select {
        () => {
            "select t.id, t.workspace_id, t.name, t.is_platform, \
             t.archived_at is not null or w.archived_at is not null as archived \
             from tenants t join workspaces w on w.id = t.workspace_id where t.id = $1"
        };
    }
    on_tx!(tx, c => {
        let sql = if hold { concat!(select!(), for_share!("t")) } else { select!() };
        Ok(sql::query_as(sql).bind(id).fetch_optional(c).await?)
    })
}

/// Whether a workspace lies within a view.
pub async fn in_view(tx: &mut Tx, workspace_id: i64, view: ViewScope) -> Result<bool> {
    let ViewScope::Restricted { platform_user_id } = view else { return Ok(true) };
    on_tx!(tx, c => {
        let found: Option<i64> = sql::query_scalar(
            "select workspace_id from platform_user_workspaces where platform_user_id = $1 and workspace_id = $2",
        )
        .bind(platform_user_id)
        .bind(workspace_id)
        .fetch_optional(c)
        .await?;
        Ok(found.is_some())
    })
}

/// The allowed tenants (neither archived nor the platform's own), of one workspace or of
/// all, by id.
pub async fn allowed_tenants(tx: &mut Tx, workspace_id: Option<i64>) -> Result<Vec<TenantRow>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select t.id, t.workspace_id, t.name, t.is_platform, t.archived_at is not null as archived \
             from tenants t join workspaces w on w.id = t.workspace_id \
             where t.archived_at is null and w.archived_at is null and not t.is_platform \
             and ($1 is null or t.workspace_id = $1) order by t.id",
        )
        .bind(workspace_id)
        .fetch_all(c)
        .await?)
    })
}

/// One customer.
pub async fn customer(tx: &mut Tx, id: i64) -> Result<Option<CustomerRow>> {
    on_tx!(tx, c => {
        Ok(sql::query_as("select id, workspace_id, name, active from users where id = $1")
            .bind(id)
            .fetch_optional(c)
            .await?)
    })
}

/// Whether the database already holds a platform.
pub async fn is_empty(tx: &mut Tx) -> Result<bool> {
    on_tx!(tx, c => {
        let rows: i64 = sql::query_scalar(
            "select (select count(*) from workspaces) + (select count(*) from platform_users) \
             + (select count(*) from (select 1 from operation_runs limit 1) r)",
        )
        .fetch_one(c)
        .await?;
        Ok(rows == 0)
    })
}
