//! The command that does the same as the wizard.

use crate::domain::rollout::Rollout;
use crate::domain::shell::quoted;
use crate::domain::start_reason::StartReason;
use crate::ops::plans::Plan;
use crate::ops::runs::RunScope;

/// The command, quoted for a shell. The inputs are part of the plan.
pub(super) fn of(
    plan: &Plan,
    scope: &RunScope,
    rollout: Rollout,
    reason: Option<&StartReason>,
    wait_for_worker: bool,
) -> String {
    let mut words = vec![format!("tenantpilot runbooks start {}", quoted(&plan.runbook))];
    match scope {
        RunScope::Tenant(id) => words.push(format!("--tenant {id}")),
        RunScope::Tenants(ids) => words.extend(ids.iter().map(|id| format!("--tenant {id}"))),
        RunScope::Workspace(id) => words.push(format!("--workspace {id}")),
        RunScope::All => words.push("--all-tenants".to_owned()),
        RunScope::Platform => {}
    }
    words.push(format!("--plan {}", plan.id));
    words.push(format!("--concurrency {}", rollout.concurrency));
    if let Some(threshold) = rollout.error_threshold {
        words.push(format!("--error-threshold {threshold}"));
    }
    if rollout.canary > 0 {
        words.push(format!("--canary {}", rollout.canary));
    }
    if let Some(reason) = reason {
        words.push(format!("--reason-code {}", reason.code));
        words.push(format!("--reason {}", quoted(&reason.text)));
    }
    if wait_for_worker {
        words.push("--wait-for-worker".to_owned());
    }
    words.push(plan.confirmation().option());
    words.join(" ")
}
