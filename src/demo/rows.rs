//! A draft as the rows that the operations would have written for it.

use chrono::{DateTime, Duration, Utc};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::cast::{Cast, number};
use super::draft::{Draft, Starter};
use crate::domain::alert::AlertEvent;
use crate::domain::failure::ReasonCode;
use crate::domain::fingerprint::fingerprint;
use crate::domain::identity::identity_hash;
use crate::domain::run::{RunOutcome, RunStatus, TargetStatus};
use crate::domain::run_end::target_status;
use crate::ops::runs::RunScope;
use crate::ops::seed::{
    AlertRow, AuditLine, Chunk, FailureRow, LeaseRow, NotificationRow, RunRow, TargetRow,
};

/// What rows are made with.
pub struct Writer<'a> {
    cast: &'a Cast,
    /// The platform's accounts: id and name.
    accounts: &'a [(i64, &'static str)],
    next_failure: i64,
}

impl<'a> Writer<'a> {
    /// Makes rows for runs of `cast`.
    pub fn new(cast: &'a Cast, accounts: &'a [(i64, &'static str)]) -> Self {
        Self { cast, accounts, next_failure: 1 }
    }

    /// Adds the run `id` and what belongs to it; with `audited`, the audit lines of its start
    /// and end.
    pub fn add(&mut self, chunk: &mut Chunk, id: i64, draft: &Draft, audited: bool) {
        let targets = draft.targets(self.cast);
        let reason = draft.dominant();
        let (user, platform) = match draft.starter {
            Starter::Customer(at) => (Some(self.cast.users[at].0), None),
            Starter::Platform(at) => (None, Some(self.accounts[at].0)),
            Starter::Nobody => (None, None),
        };
        let status = match (draft.completed_at, draft.started_at) {
            (Some(_), _) => RunStatus::Completed,
            (None, Some(_)) => RunStatus::Running,
            (None, None) => RunStatus::Queued,
        };
        let owner = (status == RunStatus::Running).then(|| format!("seed-worker-{id}"));
        let changed = draft.completed_at.or(draft.started_at).unwrap_or(draft.created_at);
        add_targets(chunk, id, draft, &targets);
        chunk.runs.push(RunRow {
            id,
            workspace_id: draft.workspace_id(self.cast),
            tenant_id: match draft.scope {
                RunScope::Tenant(tenant) => Some(tenant),
                _ => None,
            },
            user_id: user,
            platform_user_id: platform,
            initiator_name: self.initiator(draft),
            source: draft.source.as_str(),
            run_type: draft.run_type,
            scope_kind: draft.kind().as_str(),
            status: status.as_str(),
            outcome: draft.outcome.as_str(),
            reason_code: reason.map(ReasonCode::as_str),
            identity_hash: identity_hash(draft.run_type, &scope_json(&draft.scope), &json!({})),
            summary_counts: draft.counts().to_json(),
            context: json!({ "inputs": {} }),
            target_count: number(targets.len()),
            fence: i64::from(draft.started_at.is_some()),
            lease_owner: owner.clone(),
            cancel_requested_at: draft
                .completed_at
                .filter(|_| draft.outcome == RunOutcome::Cancelled)
                .map(|end| {
                    end.min(draft.started_at.unwrap_or(end).max(end - Duration::seconds(2)))
                }),
            created_at: draft.created_at,
            started_at: draft.started_at,
            completed_at: draft.completed_at,
            updated_at: changed,
        });
        if let (Some(owner), Some(acquired_at)) = (owner, draft.started_at) {
            // As of its last heartbeat: whoever has it next takes it over.
            chunk.leases.push(LeaseRow {
                run_id: id,
                owner,
                acquired_at,
                heartbeat_at: acquired_at + Duration::seconds(10),
                expires_at: acquired_at + LEASE,
            });
        }
        for mishap in &draft.mishaps {
            chunk.failures.push(FailureRow {
                id: self.next_failure,
                run_id: id,
                tenant_id: mishap.tenant_id,
                reason_code: mishap.reason.as_str(),
                fingerprint: fingerprint(mishap.reason.as_str(), &mishap.message, &[]),
                message: mishap.message.clone(),
                occurred_at: mishap.at,
            });
            self.next_failure += 1;
        }
        if audited {
            self.audit(chunk, id, draft);
        }
        self.announce(chunk, id, draft);
    }

    fn initiator(&self, draft: &Draft) -> Option<String> {
        match draft.starter {
            Starter::Customer(at) => Some(self.cast.users[at].1.clone()),
            Starter::Platform(at) => Some(self.accounts[at].1.to_owned()),
            Starter::Nobody => None,
        }
    }

    fn audit(&self, chunk: &mut Chunk, id: i64, draft: &Draft) {
        let (plane, actor_kind, actor_id) = match draft.starter {
            Starter::Customer(at) => ("admin", "customer", Some(self.cast.users[at].0)),
            Starter::Platform(at) => ("system", "platform_user", Some(self.accounts[at].0)),
            Starter::Nobody => ("system", "system", None),
        };
        let line = AuditLine {
            plane,
            actor_kind,
            actor_id,
            actor_name: self.initiator(draft),
            origin: None,
            action: "runs.start",
            status: "succeeded",
            workspace_id: draft.workspace_id(self.cast),
            tenant_id: draft.tenant.map(super::draft::tenant_id),
            run_id: Some(id),
            target_type: None,
            target_id: None,
            before_state: None,
            after_state: None,
            metadata: json!({ "type": draft.run_type, "source": draft.source.as_str() }),
            occurred_at: draft.created_at,
        };
        if let Some(end) = draft.completed_at {
            let reason = draft.dominant().map(ReasonCode::as_str);
            let before =
                if draft.started_at.is_some() { RunStatus::Running } else { RunStatus::Queued };
            let outcome = draft.outcome.as_str();
            let failed = draft.outcome == RunOutcome::Failed;
            chunk.audit.push(AuditLine {
                plane: "system",
                actor_kind: "system",
                actor_id: None,
                actor_name: None,
                action: "runs.complete",
                status: if failed { "failed" } else { "succeeded" },
                before_state: Some(json!({ "status": before.as_str(), "plan": null })),
                after_state: Some(json!({ "outcome": outcome, "summary_counts": draft.counts().to_json() })),
                metadata: json!({ "type": draft.run_type, "outcome": outcome, "reason_code": reason }),
                occurred_at: end,
                ..line.clone()
            });
            // The start stands before the end.
            let end = chunk.audit.len() - 1;
            chunk.audit.insert(end, line);
        } else {
            chunk.audit.push(line);
        }
    }

    /// The notification of the initiator, and the alert of a failure; both are old news.
    fn announce(&self, chunk: &mut Chunk, id: i64, draft: &Draft) {
        let Some(end) = draft.completed_at else { return };
        if let Starter::Platform(at) = draft.starter {
            let outcome = draft.outcome.as_str().replace('_', " ");
            chunk.notifications.push(NotificationRow {
                platform_user_id: self.accounts[at].0,
                kind: "run_completed",
                run_id: id,
                title: format!("{} {outcome}: run {id}", draft.run_type),
                created_at: end,
                // A few of them wait to be read.
                read_at: (id % 7 != 0).then(|| end + Duration::seconds(25)),
            });
        }
        let reason = draft.dominant().map(ReasonCode::as_str);
        if let Some(event) = AlertEvent::of_end(draft.outcome, reason).first() {
            chunk.alerts.push(AlertRow {
                event: event.as_str(),
                run_id: id,
                payload: json!({ "event": event.as_str(), "run_id": id, "type": draft.run_type,
                    "tenant_id": draft.tenant.map(super::draft::tenant_id),
                    "outcome": draft.outcome.as_str(), "reason_code": reason,
                    "view": format!("run/{id}") }),
                status: "delivered",
                attempts: 1,
                next_attempt_at: end,
                created_at: end,
                delivered_at: Some(end + Duration::seconds(3)),
                delivery_id: Some(delivery_id(id, end)),
                last_attempt_at: Some(end + Duration::seconds(2)),
            });
        }
    }
}

/// The ID of an alert's delivery: as random as the worker's, and the same for the same seed.
fn delivery_id(run_id: i64, end: DateTime<Utc>) -> String {
    let hash = Sha256::digest(format!("{run_id} {}", end.timestamp_micros()));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// How long a claim of the seeded runs lasts.
pub const LEASE: Duration = Duration::seconds(30);

/// A scope as a run's identity has it.
fn scope_json(scope: &RunScope) -> serde_json::Value {
    match scope {
        RunScope::Tenant(id) => json!({ "tenant": id }),
        RunScope::Tenants(ids) => json!({ "tenants": ids }),
        RunScope::Workspace(id) => json!({ "workspace": id }),
        RunScope::All => json!({ "all": true }),
        RunScope::Platform => json!({ "platform": true }),
    }
}

fn add_targets(chunk: &mut Chunk, id: i64, draft: &Draft, targets: &[Option<i64>]) {
    let reason_of = |tenant: Option<i64>| {
        let own = draft.mishaps.iter().find(|mishap| mishap.tenant_id == tenant);
        own.map(|mishap| mishap.reason).or(draft.dominant()).map(ReasonCode::as_str)
    };
    // A customer's run of one tenant counts its items, any other run its targets.
    let items = draft.tenant.map(|_| draft.items());
    let [done, failed_items, updated] = items.unwrap_or_default();
    for (ordinal, tenant) in targets.iter().enumerate() {
        let failed_here = tenant.is_some_and(|id| draft.failed_tenants.contains(&id));
        let otherwise = match draft.outcome {
            RunOutcome::Pending => TargetStatus::Pending,
            RunOutcome::Failed => TargetStatus::Failed,
            RunOutcome::Blocked | RunOutcome::Cancelled => TargetStatus::Skipped,
            _ if failed_here => TargetStatus::Failed,
            _ => TargetStatus::Succeeded,
        };
        let status = match otherwise {
            TargetStatus::Pending => otherwise,
            _ => target_status(failed_items, otherwise),
        };
        let reason_code = match (status, draft.tenant) {
            (TargetStatus::Failed, Some(_)) => draft.dominant().map(ReasonCode::as_str),
            (TargetStatus::Failed, None) => reason_of(*tenant),
            _ => None,
        };
        // A run that is under way goes on where it stands.
        let under_way = status == TargetStatus::Pending && done > 0;
        let n = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        chunk.targets.push(TargetRow {
            run_id: id,
            ordinal: number(ordinal),
            kind: if tenant.is_some() { "tenant" } else { "platform" },
            tenant_id: *tenant,
            status: status.as_str(),
            starts: match status {
                // A crash counts once three starts made no progress.
                _ if reason_code == Some(ReasonCode::StepCrashed.as_str()) => 3,
                TargetStatus::Failed | TargetStatus::Succeeded => 1,
                _ => 0,
            },
            reason_code,
            progress: if under_way {
                super::simulator::cursor(n(done), n(draft.total))
            } else {
                json!({})
            },
            steps: i64::from(under_way),
            items: n(done),
            failed_items: n(failed_items),
            item_total: items.map(|_| n(draft.total)),
            updated: n(updated),
            updated_at: draft.completed_at.unwrap_or(draft.created_at),
        });
    }
}
