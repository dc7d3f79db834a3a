//! One run with everything that explains it.

use serde_json::Value;

use crate::access::Requirement;
use crate::domain::capability::Capability;
use crate::domain::run::{Lease, Run, RunFailure, RunTarget};
use crate::ops::store::audit::{self, AuditRow};
use crate::ops::store::run_read;
use crate::ops::{Access, Context, Operation};
use crate::{Error, Result};

/// How many targets a detail shows; failed ones come first.
pub const TARGETS_SHOWN: i64 = 200;
/// How many failures a detail shows.
const FAILURES_SHOWN: i64 = 200;
/// How many audit rows a detail shows.
const AUDIT_SHOWN: i64 = 100;
/// How far "elsewhere" is counted.
pub const ELSEWHERE_BOUND: i64 = 1_000;

/// Reads one run.
#[derive(Debug, Clone, Copy)]
pub struct GetRun {
    /// Its id.
    pub id: i64,
}

/// The failures of one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureGroup {
    /// Stable reason code, as stored.
    pub reason_code: String,
    /// How many.
    pub count: i64,
}

/// A run and what belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct RunDetail {
    /// The run.
    pub run: Run,
    /// Inputs and other safe facts.
    pub context: Value,
    /// Targets, failed first, at most [`TARGETS_SHOWN`].
    pub targets: Vec<RunTarget>,
    /// Failures, newest first.
    pub failures: Vec<RunFailure>,
    /// Failures by reason, most first.
    pub groups: Vec<FailureGroup>,
    /// Who holds it.
    pub lease: Option<Lease>,
    /// Audit rows about it; none where the actor may not read the audit log.
    pub audit: Option<Vec<AuditRow>>,
    /// How many other runs of the last 24 hours failed for its main reason (up to 1,000).
    pub elsewhere: Option<i64>,
}

impl Operation for GetRun {
    const NAME: &'static str = "runs.get";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::OpsView]);
    const ACCESS: Access = Access::Read;
    type Output = RunDetail;

    async fn execute(self, context: &mut Context) -> Result<RunDetail> {
        let scope = context.permit().scope();
        let may_audit = context.permit().has(Capability::AuditView);
        let since = context.now() - chrono::Duration::hours(24);
        let tx = context.tx()?;
        let run = run_read::by_id(tx, self.id, scope)
            .await?
            .ok_or_else(|| Error::not_found(format!("run {}", self.id)))?;
        let audit =
            if may_audit { Some(audit::of_run(tx, self.id, AUDIT_SHOWN).await?) } else { None };
        let elsewhere = match &run.reason_code {
            Some(reason) => Some(
                run_read::same_reason(tx, self.id, reason, since, ELSEWHERE_BOUND, scope).await?,
            ),
            None => None,
        };
        Ok(RunDetail {
            context: run_read::context(tx, self.id).await?,
            targets: run_read::targets(tx, self.id, TARGETS_SHOWN).await?,
            failures: run_read::failures(tx, self.id, FAILURES_SHOWN).await?,
            groups: run_read::failure_groups(tx, self.id)
                .await?
                .into_iter()
                .map(|(reason_code, count)| FailureGroup { reason_code, count })
                .collect(),
            lease: run_read::lease(tx, self.id).await?,
            audit,
            elsewhere,
            run,
        })
    }
}
