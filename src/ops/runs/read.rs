//! One run with everything that explains it.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::basis::{active_workers, complete_with};
use super::control::found;
use crate::access::Requirement;
use crate::domain::capability::Capability;
use crate::domain::rollout::{Rollout, StopReason};
use crate::domain::run::{Lease, Run, RunFailure, RunStatus, RunTarget};
use crate::domain::run_facts::{RetriedAs, RunFacts};
use crate::ops::store::audit::{self, AuditRow};
use crate::ops::store::faults::{self, RunFault};
use crate::ops::store::outages::Gap;
use crate::ops::store::requests::{self, RequestRow};
use crate::ops::store::{retries, run_read, together};
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
/// How many retries of a run a detail names.
const RETRIES_SHOWN: i64 = 5;

/// Reads one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// What was asked of it while a worker held it.
    pub requests: Vec<RequestRow>,
    /// How many of its targets have a step under way.
    pub in_flight: i64,
    /// Why its end left targets undone.
    pub stop_reason: Option<StopReason>,
    /// How its targets are worked through.
    pub rollout: Rollout,
    /// The run that it tries again.
    pub retry_of: Option<i64>,
    /// Its retries, at most five: active and succeeded ones first, the newest of these first.
    pub retried_by: Vec<RetriedAs>,
    /// What the database said of its failures: codes and names, also part of its context.
    pub faults: Vec<RunFault>,
    /// What its end could not write beside audit rows.
    pub gaps: Gaps,
}

/// What the end of a run could not write, beside audit rows, which every list counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Gaps {
    /// Notifications.
    pub notifications: i64,
    /// Alerts.
    pub alerts: i64,
}

impl Gaps {
    /// In words, one line for each that there is.
    pub fn lines(self, audit: i64) -> Vec<String> {
        [(Gap::Audit, audit), (Gap::Notification, self.notifications), (Gap::Alert, self.alerts)]
            .into_iter()
            .filter(|(_, n)| *n > 0)
            .map(|(gap, n)| {
                let what = gap.noun();
                format!("{n} {what}{} could not be written", if n == 1 { "" } else { "s" })
            })
            .collect()
    }
}

impl RunDetail {
    /// What decides what is possible with it.
    pub fn facts(&self, now: DateTime<Utc>) -> RunFacts<'_> {
        let has = |kind: &str| self.requests.iter().any(|request| request.kind == kind);
        RunFacts::of(&self.run, now).requested(has("cancel"), has("pause"))
    }

    /// The reason code and the reason of the break-glass under which it was started; none if
    /// it was not.
    pub fn break_glass(&self) -> Option<(&str, &str)> {
        let text = |key: &str| self.context["break_glass"][key].as_str().unwrap_or("");
        self.run.break_glass.then(|| (text("reason_code"), text("reason")))
    }
}

impl Operation for GetRun {
    const NAME: &'static str = "runs.get";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::OpsView]);
    const ACCESS: Access = Access::Read;
    type Output = RunDetail;

    async fn execute(self, context: &mut Context) -> Result<RunDetail> {
        let scope = context.permit().scope();
        let may_audit = context.permit().has(Capability::AuditView);
        let now = context.now();
        let since = now - chrono::Duration::hours(24);
        let id = self.id;
        let (
            mut run,
            active,
            known,
            faults,
            audit,
            elsewhere,
            left,
            retried_by,
            outages,
            requests,
            in_flight,
            targets,
            failures,
            groups,
            lease,
        ) = together!(
            context.tx()?,
            |tx| found(tx, id, scope),
            |tx| active_workers(tx),
            |tx| run_read::facts(tx, id, scope),
            |tx| faults::of_run(tx, id),
            |tx| async {
                if may_audit {
                    audit::of_run(tx, id, AUDIT_SHOWN).await.map(Some)
                } else {
                    Ok(None)
                }
            },
            |tx| run_read::same_reason(tx, id, since, ELSEWHERE_BOUND, scope),
            |tx| run_read::left(tx, id),
            |tx| retries::of_run(tx, id, RETRIES_SHOWN),
            |tx| faults::waiting(tx, scope, now, Some(id)),
            |tx| requests::of_run(tx, id),
            |tx| run_read::in_flight(tx, id),
            |tx| run_read::targets(tx, id, TARGETS_SHOWN),
            |tx| run_read::failures(tx, id, FAILURES_SHOWN),
            |tx| run_read::failure_groups(tx, id),
            |tx| run_read::lease(tx, id),
        )?;
        complete_with(context, &active, &outages, std::slice::from_mut(&mut run));
        let mut facts: run_read::Facts =
            known.ok_or_else(|| Error::not_found(format!("run {id}")))?;
        if let Value::Object(known) = &mut facts.context.0
            && !faults.is_empty()
        {
            known.insert("database_faults".to_owned(), serde_json::json!(faults));
        }
        let ended = run.status == RunStatus::Completed;
        if ended {
            run.basis.left = left;
        }
        Ok(RunDetail {
            requests,
            in_flight: if run.status == RunStatus::Running { in_flight } else { 0 },
            stop_reason: facts.stop_reason.and_then(|text| text.parse().ok()),
            rollout: serde_json::from_value(facts.rollout.0).unwrap_or_default(),
            retry_of: facts.retry_of_run_id,
            retried_by: if ended { retried_by } else { Vec::new() },
            context: facts.context.0,
            targets,
            failures,
            groups: groups
                .into_iter()
                .map(|(reason_code, count)| FailureGroup { reason_code, count })
                .collect(),
            lease,
            audit,
            elsewhere: run.reason_code.is_some().then_some(elsewhere),
            faults,
            gaps: Gaps { notifications: facts.notification_gaps, alerts: facts.alert_gaps },
            run,
        })
    }
}
