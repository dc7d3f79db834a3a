//! What is known of a runbook before it is started.

use serde::Serialize;
use serde_json::{Value, json};

use super::runs::{RunScope, freeze};
use super::{Access, AuditStatus, Context, Operation};
use crate::access::Requirement;
use crate::domain::capability::Capability;
use crate::runbooks::Affected;
use crate::{Error, Result};

/// Counts what a runbook would change, target by target.
#[derive(Debug, Clone)]
pub struct Preflight {
    /// The runbook's key.
    pub key: String,
    /// What it would be aimed at.
    pub scope: RunScope,
    /// Its inputs.
    pub inputs: Value,
}

impl Preflight {
    pub(in crate::ops) fn sample() -> Self {
        let key = "findings.lifecycle_backfill".to_owned();
        Self { key, scope: RunScope::Tenant(0), inputs: json!({}) }
    }
}

/// What a runbook would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Preflighted {
    /// The runbook's key.
    pub key: String,
    /// Records that would change, of all targets.
    pub affected: i64,
    /// Records there are, of all targets.
    pub total: i64,
    /// Each target, in the order in which a run would take them.
    pub targets: Vec<TargetCounts>,
}

/// What a runbook would change at one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetCounts {
    /// The tenant; none for the platform itself.
    pub tenant_id: Option<i64>,
    /// Records that would change.
    pub affected: i64,
    /// Records there are.
    pub total: i64,
}

impl Operation for Preflight {
    const NAME: &'static str = "runbooks.preflight";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::RunbooksView]);
    // It changes nothing but leaves its line in the audit log.
    const ACCESS: Access = Access::Write;
    type Output = Preflighted;

    async fn execute(self, context: &mut Context) -> Result<Preflighted> {
        let runbook = context.settings().registry.get(&self.key)?.clone();
        context.require(runbook.capability(), Self::NAME).await?;
        let view = context.permit().scope();
        let frozen = freeze(context.tx()?, &self.scope, None, view).await?;
        if !runbook.scopes().contains(&frozen.kind) {
            let allowed: Vec<_> = runbook.scopes().iter().map(|kind| kind.as_str()).collect();
            return Err(Error::usage(format!(
                "{} cannot be aimed at the scope {}",
                self.key, frozen.kind
            ))
            .hint(format!("it takes: {}", allowed.join(", "))));
        }
        let mut targets = Vec::with_capacity(frozen.targets.len());
        let mut sum = Affected::default();
        for tenant_id in frozen.targets {
            let Affected { affected, total } =
                runbook.preflight(context, tenant_id, &self.inputs).await?;
            sum.affected = sum.affected.saturating_add(affected);
            sum.total = sum.total.saturating_add(total);
            targets.push(TargetCounts { tenant_id, affected, total });
        }
        let mut row = context.audit_row(Self::NAME, AuditStatus::Succeeded);
        row.tenant_id = frozen.tenant_id;
        row.workspace_id = frozen.workspace_id;
        row.target_type = Some("runbook");
        row.target_id = Some(self.key.clone());
        row.metadata = json!({ "scope": frozen.kind.as_str(), "targets": targets.len(),
                               "affected": sum.affected, "total": sum.total });
        context.audit(&row).await?;
        Ok(Preflighted { key: self.key, affected: sum.affected, total: sum.total, targets })
    }
}
