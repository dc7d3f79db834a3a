//! Names for completing a filter, within a view and bounded.

use super::run_read::restricted_to;
use super::{Tx, on_tx};
use crate::Result;
use crate::access::ViewScope;

/// At most this many names of one kind: a completion list, not a catalogue.
const BOUND: i64 = 2000;
/// How many of the newest runs are looked at for types and initiators.
const RECENT: i64 = 2000;

/// Names of tenants.
pub async fn tenants(tx: &mut Tx, scope: ViewScope) -> Result<Vec<String>> {
    on_tx!(tx, c => {
        Ok(sqlx::query_scalar(
            "select t.name from tenants t where $1 is null or exists (select 1 from platform_user_workspaces v \
             where v.platform_user_id = $1 and v.workspace_id = t.workspace_id) order by t.name limit $2",
        )
        .bind(restricted_to(scope))
        .bind(BOUND)
        .fetch_all(c)
        .await?)
    })
}

/// Names of workspaces.
pub async fn workspaces(tx: &mut Tx, scope: ViewScope) -> Result<Vec<String>> {
    on_tx!(tx, c => {
        Ok(sqlx::query_scalar(
            "select w.name from workspaces w where $1 is null or exists (select 1 from platform_user_workspaces v \
             where v.platform_user_id = $1 and v.workspace_id = w.id) order by w.name limit $2",
        )
        .bind(restricted_to(scope))
        .bind(BOUND)
        .fetch_all(c)
        .await?)
    })
}

/// Types and initiators of the newest runs, each sorted and without doubles.
pub async fn of_recent_runs(tx: &mut Tx, scope: ViewScope) -> Result<(Vec<String>, Vec<String>)> {
    let rows: Vec<(String, Option<String>)> = on_tx!(tx, c => {
        sqlx::query_as(
            "select distinct n.type, n.initiator_name from (select r.type, r.initiator_name, r.workspace_id \
             from operation_runs r order by r.created_at desc, r.id desc limit $2) n \
             where $1 is null or exists (select 1 from platform_user_workspaces v \
             where v.platform_user_id = $1 and v.workspace_id = n.workspace_id)",
        )
        .bind(restricted_to(scope))
        .bind(RECENT)
        .fetch_all(c)
        .await?
    });
    let mut types: Vec<String> = rows.iter().map(|(run_type, _)| run_type.clone()).collect();
    let mut initiators: Vec<String> = rows.into_iter().filter_map(|(_, name)| name).collect();
    for names in [&mut types, &mut initiators] {
        names.sort();
        names.dedup();
    }
    Ok((types, initiators))
}
