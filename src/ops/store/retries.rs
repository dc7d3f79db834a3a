//! The retries of a run.

use super::sql;
use super::{Tx, on_tx};
use crate::Result;
use crate::domain::run_facts::RetriedAs;
use crate::domain::run_state::RunState;

/// The other runs that decide whether an ended run `r` can be retried. Of its retries: the newest
/// that is active or succeeded, else the newest. And the active run that a retry would meet: one that
/// holds a lock of its scope, or does the same; negative where a view of the workspace of `r` may not
/// have it. Few locks are held where no run over many holds its place, so they are read first.
macro_rules! retry_columns {
    () => {
        concat!(
            "case when r.status = 'completed' and r.outcome <> 'succeeded' then (select n.id || ' ' || ",
            $crate::ops::store::retries::retry_state!(),
            $crate::ops::store::retries::retries!("r.id", "r.workspace_id"),
            " limit 1) end as retried, \
             case when r.status = 'completed' and r.outcome <> 'succeeded' then (select \
             case when r.workspace_id is null or b.workspace_id = r.workspace_id then b.id else -b.id end \
             from operation_runs b where b.id = coalesce(\
             (select k.run_id from runbook_scope_locks k where k.runbook = r.type \
             and k.tenant_id = case when r.scope_kind = 'tenant' then r.tenant_id else 0 end), \
             case when r.scope_kind <> 'tenant' then (select k.run_id from runbook_scope_locks k \
             cross join operation_run_targets bg where k.runbook = r.type and bg.run_id = r.id \
             and bg.tenant_id = k.tenant_id and bg.status in ('failed', 'skipped') \
             order by k.tenant_id limit 1) end, \
             case when r.scope_kind <> 'tenants' then (select a.id from operation_runs a \
             where a.identity_hash = r.identity_hash and a.status in ('queued', 'running') limit 1) end\
             )) end as busy_with"
        )
    };
}
pub(super) use retry_columns;

/// The retries `n` of a run: active and succeeded ones first, the newest of these first. A run
/// outside of a workspace is seen only by who sees all; its retries may be within one.
macro_rules! retries {
    ($run:literal, $workspace:literal) => {
        concat!(
            " from operation_runs n where n.retry_of_run_id = ",
            $run,
            " and (",
            $workspace,
            " is null or n.workspace_id = ",
            $workspace,
            ") order by case when n.outcome in ('pending', 'succeeded') then 0 else 1 end, n.id desc"
        )
    };
}
pub(super) use retries;

/// The state that is stored of the run `n`.
macro_rules! retry_state {
    () => {
        "(case when n.status = 'completed' then n.outcome when n.status = 'queued' \
         and n.paused_at is not null then 'paused' else n.status end)"
    };
}
pub(super) use retry_state;

/// A retry as the column `retried` has it: its id and its state. One text, since two columns would
/// be looked up twice.
pub fn as_stored(retried: &str) -> Option<RetriedAs> {
    let (run_id, state) = retried.split_once(' ')?;
    Some(RetriedAs { run_id: run_id.parse().ok()?, state: RunState::stored(state)? })
}

/// The retries of an ended run within its view, at most `limit`: active and succeeded ones first,
/// the newest of these first.
pub async fn of_run(tx: &mut Tx, run_id: i64, limit: i64) -> Result<Vec<RetriedAs>> {
    let rows: Vec<String> = on_tx!(tx, c => {
        sql::query_scalar(concat!(
            "select n.id || ' ' || ", retry_state!(), retries!("$1", "(select x.workspace_id from operation_runs x where x.id = $1)"), " limit $2"
        ))
        .bind(run_id)
        .bind(limit)
        .fetch_all(c)
        .await?
    });
    Ok(rows.iter().filter_map(|retried| as_stored(retried)).collect())
}
