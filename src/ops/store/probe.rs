//! The fault tests' ledger: a table of theirs, in which a step done twice stands twice.

use super::sql;
use super::{Tx, on_tx};
use crate::Result;

/// One line of the ledger, as far as the worker knows it.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// Run.
    pub run_id: i64,
    /// Tenant; 0 for the platform itself.
    pub tenant_id: i64,
    /// Which of the target's steps, from 0.
    pub step: i64,
    /// The claim that the worker believes to hold.
    pub believed: i64,
}

/// Adds a line with the run's status and fence as they are at this moment.
pub async fn record(tx: &mut Tx, line: Line) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(
            "insert into fault_ledger (run_id, tenant_id, step, believed, fence, status) \
             select r.id, $2, $3, $4, r.fence, r.status from operation_runs r where r.id = $1",
        )
        .bind(line.run_id)
        .bind(line.tenant_id)
        .bind(line.step)
        .bind(line.believed)
        .execute(c)
        .await?;
        Ok(())
    })
}
