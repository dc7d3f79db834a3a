//! What the runbook of the fault tests writes. Only in builds with debug assertions.

use super::Context;
use super::store::probe::{self, Line};
use crate::Result;
use crate::runbooks::Step;

/// Writes one line of the fault tests' ledger: step `number` was done, under what claim, and
/// under what claim its worker believed to do it.
pub(crate) async fn record(
    context: &mut Context,
    step: &Step,
    tenant_id: i64,
    number: i64,
) -> Result<()> {
    let line = Line { run_id: step.run_id, tenant_id, step: number, believed: step.fence };
    probe::record(context.tx()?, line).await
}
