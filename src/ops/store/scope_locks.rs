//! The locks that keep runs of one runbook apart: rows of a table whose key is the runbook and
//! the tenant, so that the database itself refuses a second one. A trigger removes them when
//! the run ends.

use serde_json::Value;
use sqlx::types::Json;

use super::sql;
use super::{Tx, on_tx, together};
use crate::Result;

/// Stands for the one run over many tenants, or over the platform.
pub const MANY: i64 = 0;

/// A lock that another run holds.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Held {
    /// The tenant; [`MANY`] for the place of the run over many.
    pub tenant_id: i64,
    /// The tenant's name.
    pub tenant_name: Option<String>,
    /// The run that holds it.
    pub run_id: i64,
}

/// Takes the locks of a run's targets, and the place of the run over many tenants where it is
/// one. Gives a lock that another run holds; what was taken is then to be undone.
pub async fn take(
    tx: &mut Tx,
    runbook: &str,
    run_id: i64,
    many: bool,
    targets: i64,
) -> Result<Option<Held>> {
    let (place, tenants) =
        together!(tx, |tx| take_place(tx, runbook, run_id, many), |tx| take_tenants(
            tx, runbook, run_id
        ))?;
    if place && i64::try_from(tenants).is_ok_and(|taken| taken == targets) {
        return Ok(None);
    }
    on_tx!(tx, c => {
        let held: Option<Held> = sql::query_as(
            "select l.tenant_id, t.name as tenant_name, l.run_id from runbook_scope_locks l \
             left join tenants t on t.id = l.tenant_id where l.runbook = $1 and l.run_id <> $2 \
             and (($3 and l.tenant_id = 0) or exists (select 1 from operation_run_targets g \
             where g.run_id = $2 and g.tenant_id = l.tenant_id)) order by l.tenant_id limit 1",
        )
        .bind(runbook)
        .bind(run_id)
        .bind(many)
        .fetch_optional(&mut *c)
        .await?;
        // It may have been let go of between the two looks.
        Ok(Some(held.unwrap_or(Held { tenant_id: MANY, tenant_name: None, run_id: 0 })))
    })
}

/// A lock that keeps a run on these tenants from starting; none is taken.
pub async fn held(tx: &mut Tx, runbook: &str, many: bool, tenants: &[i64]) -> Result<Option<Held>> {
    let tenants = Json(Value::from(tenants.to_vec()));
    on_tx!(tx, c => {
        Ok(sql::query_as(concat!(
            "select l.tenant_id, t.name as tenant_name, l.run_id from runbook_scope_locks l \
             left join tenants t on t.id = l.tenant_id where l.runbook = $1 \
             and (($2 and l.tenant_id = 0) or l.tenant_id in (",
            by_engine!(
                "select g::bigint from jsonb_array_elements_text($3) g",
                "select g.value from json_each($3) g"
            ),
            ")) order by l.tenant_id limit 1"
        ))
        .bind(runbook)
        .bind(many)
        .bind(tenants)
        .fetch_optional(c)
        .await?)
    })
}

/// Takes the place of the run over many where it is one; false if another run has it.
async fn take_place(tx: &mut Tx, runbook: &str, run_id: i64, many: bool) -> Result<bool> {
    if !many {
        return Ok(true);
    }
    on_tx!(tx, c => {
        let taken = sql::query(
            "insert into runbook_scope_locks (runbook, tenant_id, run_id) values ($1, $2, $3) \
             on conflict do nothing",
        )
        .bind(runbook)
        .bind(MANY)
        .bind(run_id)
        .execute(c)
        .await?;
        Ok(taken.rows_affected() == 1)
    })
}

/// Takes the locks of a run's targets; gives how many.
async fn take_tenants(tx: &mut Tx, runbook: &str, run_id: i64) -> Result<u64> {
    on_tx!(tx, c => {
        // In the order of the tenants: two starts wait for each other in one direction only.
        let taken = sql::query(
            "insert into runbook_scope_locks (runbook, tenant_id, run_id) \
             select $1, t.tenant_id, t.run_id from operation_run_targets t \
             where t.run_id = $2 and t.tenant_id is not null order by t.tenant_id \
             on conflict do nothing",
        )
        .bind(runbook)
        .bind(run_id)
        .execute(c)
        .await?;
        Ok(taken.rows_affected())
    })
}
