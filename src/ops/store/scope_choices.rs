//! What a runbook may be aimed at: the allowed tenants and workspaces of a view.

use serde_json::Value;
use sqlx::types::Json;

use super::run_read::restricted_to;
use super::sql;
use super::{Tx, on_tx};
use crate::Result;
use crate::access::ViewScope;

/// A tenant that may be chosen.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, sqlx::FromRow)]
pub struct ScopeTenant {
    /// Id.
    pub id: i64,
    /// Its name, as stored.
    pub name: String,
    /// Its workspace.
    pub workspace_id: i64,
    /// The workspace's name, as stored.
    pub workspace_name: String,
}

/// A workspace that may be chosen.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, sqlx::FromRow)]
pub struct ScopeWorkspace {
    /// Id.
    pub id: i64,
    /// Its name, as stored.
    pub name: String,
    /// How many allowed tenants it has.
    pub tenant_count: i64,
}

/// The tenants `t` of workspaces `w` that maintenance may touch and the view `$1` shows.
macro_rules! allowed {
    () => {
        " from tenants t join workspaces w on w.id = t.workspace_id where t.archived_at is null \
         and w.archived_at is null and not t.is_platform and ($1 is null or exists (select 1 \
         from platform_user_workspaces v where v.platform_user_id = $1 and v.workspace_id = w.id))"
    };
}

/// How many tenants a view allows.
pub async fn count(tx: &mut Tx, view: ViewScope) -> Result<i64> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar(concat!("select count(*)", allowed!()))
            .bind(restricted_to(view))
            .fetch_one(c)
            .await?)
    })
}

/// Allowed tenants whose name, workspace or id match, by name; and how many do in all.
pub async fn tenants(
    tx: &mut Tx,
    view: ViewScope,
    name: Option<&str>,
    id: Option<i64>,
    (offset, limit): (i64, i64),
) -> Result<(Vec<ScopeTenant>, i64)> {
    macro_rules! matching {
        () => {
            concat!(
                allowed!(),
                " and ($2 is null or ",
                name_matches!("t.name", "$2"),
                " or ",
                name_matches!("w.name", "$2"),
                " or t.id = $3)"
            )
        };
    }
    on_tx!(tx, c => {
        let rows = sql::query_as(concat!(
            "select t.id, t.name, t.workspace_id, w.name as workspace_name", matching!(),
            " order by lower(t.name), t.id limit $4 offset $5"
        ))
        .bind(restricted_to(view))
        .bind(name)
        .bind(id)
        .bind(limit)
        .bind(offset)
        .fetch_all(&mut *c)
        .await?;
        let matching = sql::query_scalar(concat!("select count(*)", matching!()))
            .bind(restricted_to(view))
            .bind(name)
            .bind(id)
            .fetch_one(&mut *c)
            .await?;
        Ok((rows, matching))
    })
}

/// Workspaces with allowed tenants whose name or id match, by name; and how many do in all.
pub async fn workspaces(
    tx: &mut Tx,
    view: ViewScope,
    name: Option<&str>,
    id: Option<i64>,
    (offset, limit): (i64, i64),
) -> Result<(Vec<ScopeWorkspace>, i64)> {
    macro_rules! matching {
        () => {
            concat!(
                allowed!(),
                " and ($2 is null or ",
                name_matches!("w.name", "$2"),
                " or w.id = $3)"
            )
        };
    }
    on_tx!(tx, c => {
        let rows = sql::query_as(concat!(
            "select w.id, w.name, count(*) as tenant_count", matching!(),
            " group by w.id, w.name order by lower(w.name), w.id limit $4 offset $5"
        ))
        .bind(restricted_to(view))
        .bind(name)
        .bind(id)
        .bind(limit)
        .bind(offset)
        .fetch_all(&mut *c)
        .await?;
        let matching = sql::query_scalar(concat!("select count(distinct w.id)", matching!()))
            .bind(restricted_to(view))
            .bind(name)
            .bind(id)
            .fetch_one(&mut *c)
            .await?;
        Ok((rows, matching))
    })
}

/// The name of a workspace, with its id.
pub async fn workspace_name(tx: &mut Tx, id: i64) -> Result<Vec<(i64, String)>> {
    on_tx!(tx, c => {
        Ok(sql::query_as("select id, name from workspaces where id = $1")
            .bind(id)
            .fetch_all(c)
            .await?)
    })
}

/// The names of tenants, by id.
pub async fn names(tx: &mut Tx, ids: &[i64]) -> Result<Vec<(i64, String)>> {
    let ids = Json(Value::from(ids.to_vec()));
    Ok(match tx {
        Tx::Postgres(transaction) => {
            sql::query_as(
                "select t.id, t.name from tenants t where t.id in \
                 (select e::bigint from jsonb_array_elements_text($1) e) order by t.id",
            )
            .bind(ids)
            .fetch_all(&mut *transaction)
            .await?
        }
        Tx::Sqlite(transaction) => sql::query_as(
            "select t.id, t.name from tenants t where t.id in (select value from json_each($1)) \
                 order by t.id",
        )
        .bind(ids)
        .fetch_all(&mut **transaction)
        .await?,
    })
}
