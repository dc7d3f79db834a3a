//! A run stores its report.

use serde_json::json;

use super::{customer, own_tenant, real_tenant};
use crate::access::{Actor, Requirement};
use crate::domain::telemetry::{SubjectType, UsageEvent};
use crate::ops::store::activity;
use crate::ops::telemetry::record::{Told, record};
use crate::ops::{Access, Context, Operation};
use crate::{Error, Result};

/// Stores the report of a run that has a tenant of its own. Whoever executes the run enters
/// here: the system for a customer, or the customer. It counts as used where a customer started
/// the run.
#[derive(Debug, Clone)]
pub struct StoreReport {
    /// The run.
    pub run_id: i64,
    /// Code of the kind of report, `compliance_summary`.
    pub report_type: String,
}

impl StoreReport {
    /// A harmless example, for the test of the access check.
    pub(in crate::ops) fn sample() -> Self {
        Self { run_id: 0, report_type: "compliance_summary".to_owned() }
    }
}

impl Operation for StoreReport {
    const NAME: &'static str = "activity.store_report";
    const REQUIREMENT: Requirement = Requirement::InProcess;
    const ACCESS: Access = Access::Write;
    /// The report's id.
    type Output = i64;

    async fn execute(self, context: &mut Context) -> Result<i64> {
        let unknown = || Error::not_found(format!("run {}", self.run_id));
        let run = activity::run(context.tx()?, self.run_id).await?.ok_or_else(unknown)?;
        let entered = matches!(context.permit().actor(), Actor::Customer { .. });
        if entered {
            let who = customer(context).await?;
            if run.workspace_id != Some(who.workspace_id) {
                return Err(unknown());
            }
            if let Some(tenant_id) = run.tenant_id {
                own_tenant(context, &who, tenant_id).await?;
            }
        }
        let (Some(workspace_id), Some(tenant_id)) = (run.workspace_id, run.tenant_id) else {
            return Err(Error::refused(format!("run {} has no tenant of its own", self.run_id)));
        };
        real_tenant(context, tenant_id).await?;
        let code = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !(1..=80).contains(&self.report_type.len()) || !self.report_type.chars().all(code) {
            return Err(Error::usage(
                "the kind of report is not a code of lower-case letters, digits and _",
            ));
        }
        let now = context.now();
        let owner = (workspace_id, tenant_id, self.run_id);
        let report_id =
            activity::insert_report(context.tx()?, owner, &self.report_type, now).await?;
        if run.user_id.is_some() {
            let told = Told {
                event: UsageEvent::ReportCreated,
                workspace_id: Some(workspace_id),
                tenant_id: Some(tenant_id),
                user_id: run.user_id,
                subject: (SubjectType::StoredReport, report_id),
                metadata: json!({ "report_type": self.report_type }),
            };
            record(context, told).await?;
        }
        Ok(report_id)
    }
}
