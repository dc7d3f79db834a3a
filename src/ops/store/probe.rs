//! The fault tests' ledger: a table of theirs, in which a step done twice stands twice.

use super::{Tx, on_tx};
use crate::Result;

/// Adds a line with the run's status and fence as they are at this moment.
pub async fn record(tx: &mut Tx, run_id: i64, tenant_id: i64, step: i64) -> Result<()> {
    on_tx!(tx, c => {
        sqlx::query(
            "insert into fault_ledger (run_id, tenant_id, step, fence, status) \
             select r.id, $2, $3, r.fence, r.status from operation_runs r where r.id = $1",
        )
        .bind(run_id)
        .bind(tenant_id)
        .bind(step)
        .execute(c)
        .await?;
        Ok(())
    })
}
