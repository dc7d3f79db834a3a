//! Names for completing a filter, within a view and bounded.

use super::run_read::restricted_to;
use super::sql;
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
        Ok(sql::query_scalar(
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
        Ok(sql::query_scalar(
            "select w.name from workspaces w where $1 is null or exists (select 1 from platform_user_workspaces v \
             where v.platform_user_id = $1 and v.workspace_id = w.id) order by w.name limit $2",
        )
        .bind(restricted_to(scope))
        .bind(BOUND)
        .fetch_all(c)
        .await?)
    })
}

/// Types and initiators of the newest runs of a view, each sorted and without doubles.
pub async fn of_recent_runs(tx: &mut Tx, scope: ViewScope) -> Result<(Vec<String>, Vec<String>)> {
    // The view bounds which runs are the newest: others must not push its own out of sight.
    macro_rules! newest {
        ($view:literal) => {
            concat!(
                "select distinct n.type, n.initiator_name from (select r.type, r.initiator_name \
                 from operation_runs r where true",
                $view,
                " order by r.created_at desc, r.id desc limit $1) n"
            )
        };
    }
    let rows: Vec<(String, Option<String>)> = on_tx!(tx, c => {
        let query = match scope {
            ViewScope::All => sql::query_as(newest!("")).bind(RECENT),
            ViewScope::Restricted { platform_user_id } => sql::query_as(newest!(
                " and r.workspace_id in (select v.workspace_id from platform_user_workspaces v \
                 where v.platform_user_id = $2)"
            ))
            .bind(RECENT)
            .bind(platform_user_id),
        };
        query.fetch_all(c).await?
    });
    let mut types: Vec<String> = rows.iter().map(|(run_type, _)| run_type.clone()).collect();
    let mut initiators: Vec<String> = rows.into_iter().filter_map(|(_, name)| name).collect();
    for names in [&mut types, &mut initiators] {
        names.sort();
        names.dedup();
    }
    Ok((types, initiators))
}
