//! What the runbook of the fault tests writes. Only in builds with debug assertions.

use super::Context;
use super::store::probe;
use crate::Result;

/// Writes one line of the fault tests' ledger: this step was done, under what fence.
pub(crate) async fn record(
    context: &mut Context,
    run_id: i64,
    tenant_id: i64,
    step: i64,
) -> Result<()> {
    probe::record(context.tx()?, run_id, tenant_id, step).await
}
