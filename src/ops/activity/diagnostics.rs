//! A customer opens support diagnostics, of a tenant or of a run. Opening is a decision of a
//! person: it is audited, once per opening.

use serde_json::json;

use super::{customer, own_tenant};
use crate::access::Requirement;
use crate::domain::telemetry::{SourceSurface, SubjectType, UsageEvent};
use crate::ops::store::activity;
use crate::ops::telemetry::record::{Told, record};
use crate::ops::{Access, AuditStatus, Context, Operation};
use crate::{Error, Result};

/// What the diagnostics are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiagnosticsSubject {
    /// A tenant.
    Tenant(i64),
    /// A run that has a tenant of its own.
    Run(i64),
}

/// Opens support diagnostics as a customer.
#[derive(Debug, Clone, Copy)]
pub struct OpenDiagnostics {
    /// What of.
    pub subject: DiagnosticsSubject,
    /// Where it was opened.
    pub source_surface: SourceSurface,
}

/// What was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiagnosticsOpened {
    /// The tenant.
    pub tenant_id: i64,
    /// The run, where it is of one.
    pub run_id: Option<i64>,
    /// The run's type.
    pub operation_type: Option<String>,
}

impl Operation for OpenDiagnostics {
    const NAME: &'static str = "activity.open_diagnostics";
    const REQUIREMENT: Requirement = Requirement::InProcess;
    const ACCESS: Access = Access::Write;
    type Output = DiagnosticsOpened;

    async fn execute(self, context: &mut Context) -> Result<DiagnosticsOpened> {
        let who = customer(context).await?;
        let (tenant_id, run_id, operation_type) = match self.subject {
            DiagnosticsSubject::Tenant(id) => (id, None, None),
            DiagnosticsSubject::Run(id) => {
                let unknown = || Error::not_found(format!("run {id}"));
                let run = activity::run(context.tx()?, id).await?.ok_or_else(unknown)?;
                // Customers never see maintenance.
                let maintenance = context.settings().registry.get(&run.run_type).is_ok();
                if run.workspace_id != Some(who.workspace_id) || maintenance {
                    return Err(unknown());
                }
                let tenant_id = run.tenant_id.ok_or_else(|| {
                    Error::refused(format!("run {id} has no tenant of its own"))
                        .hint("open the diagnostics of one of its tenants")
                })?;
                (tenant_id, Some(id), Some(run.run_type))
            }
        };
        let tenant = own_tenant(context, &who, tenant_id).await?;
        let mut metadata = json!({ "source_surface": self.source_surface });
        if let Some(operation_type) = &operation_type {
            metadata["operation_type"] = json!(operation_type);
        }
        let mut row = context.audit_row(Self::NAME, AuditStatus::Succeeded);
        row.actor_name = Some(who.name);
        row.workspace_id = Some(tenant.workspace_id);
        row.tenant_id = Some(tenant.id);
        row.run_id = run_id;
        row.metadata = metadata.clone();
        context.audit(&row).await?;
        let subject = match run_id {
            Some(id) => (SubjectType::OperationRun, id),
            None => (SubjectType::Tenant, tenant.id),
        };
        let told = Told {
            event: UsageEvent::DiagnosticsOpened,
            workspace_id: Some(tenant.workspace_id),
            tenant_id: Some(tenant.id),
            user_id: Some(who.id),
            subject,
            metadata,
        };
        record(context, told).await?;
        Ok(DiagnosticsOpened { tenant_id: tenant.id, run_id, operation_type })
    }
}
