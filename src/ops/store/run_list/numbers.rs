//! A number in a filter that is no ID may be a name.

use super::super::sql::QueryBuilder;
use super::super::{Tx, on_tx};
use super::push_within;
use super::terms::{Binds, BindsOn, Values};
use crate::Result;
use crate::domain::run_filter::{IdOrName, RunFilter, TermKind};

/// The filter in which a number that is no ID within the view stands for the IDs of those that have
/// it as their name, where there are any.
pub(super) async fn resolved(
    tx: &mut Tx,
    filter: &RunFilter,
    within: Option<&[i64]>,
) -> Result<RunFilter> {
    let mut filter = filter.clone();
    for term in &mut filter.terms {
        let (table, workspace, names) = match &mut term.kind {
            TermKind::Tenant(names) => ("tenants", "n.workspace_id", names),
            TermKind::Workspace(names) => ("workspaces", "n.id", names),
            _ => continue,
        };
        let mut found = Vec::with_capacity(names.len());
        for name in names.drain(..) {
            let IdOrName::Id(number) = name else {
                found.push(name);
                continue;
            };
            let ids: Vec<i64> = on_tx!(tx, c => {
                statement(table, workspace, number, within).fetch_scalars(c).await?
            });
            if ids.is_empty() {
                found.push(name);
            }
            found.extend(ids.into_iter().map(IdOrName::Id));
        }
        *names = found;
    }
    Ok(filter)
}

/// The row with this ID, or else those with this name.
fn statement<DB: Binds>(
    table: &str,
    workspace: &str,
    number: i64,
    within: Option<&[i64]>,
) -> QueryBuilder<DB>
where
    Values: BindsOn<DB>,
{
    let mut sql = QueryBuilder::new("with own as (");
    sql.push(format_args!("select n.id from {table} n where n.id = "));
    Values::int(&mut sql, number);
    push_within(&mut sql, workspace, within);
    sql.push(format_args!(
        ") select id from own union all \
         select n.id from {table} n where not exists (select 1 from own) and n.name = "
    ));
    Values::text(&mut sql, number.to_string());
    push_within(&mut sql, workspace, within);
    sql
}
