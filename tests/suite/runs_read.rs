//! One run with everything that explains it.

use tenantpilot::access::Actor;
use tenantpilot::domain::capability::{Capability, CapabilitySet, Role};
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::domain::run::{Source, TargetStatus};
use tenantpilot::domain::summary_counts::{CountKey, SummaryCounts};
use tenantpilot::ops::runs::{
    ClaimRun, CompleteRun, FailureGroup, GetRun, RecordFailure, ReportProgress, RunScope, StartRun,
    TARGETS_SHOWN,
};
use tenantpilot::{ErrorKind, Result};

use crate::support::stores::{Store, both_engines};

const LEASE: std::time::Duration = std::time::Duration::from_secs(30);

/// A run of `scope` that fails with `reasons`.
async fn failed(store: &Store, scope: RunScope, reasons: &[ReasonCode], finish: bool) -> i64 {
    let mut start = StartRun { scope, ..StartRun::for_tenant("policy.sync", 1, Source::Admin) };
    start.inputs = serde_json::json!({ "policy": "baseline" });
    let id = store.ops.run(&Actor::System, start).await.unwrap().run_id;
    let claim = ClaimRun { owner: "w".to_owned(), types: vec![], lease: LEASE };
    let held = store.ops.run(&Actor::System, claim).await.unwrap().unwrap();
    for reason in reasons {
        store.clock.advance(chrono::Duration::seconds(1));
        let failure = RecordFailure {
            run_id: id,
            fence: held.fence,
            tenant_id: Some(2),
            reason: *reason,
            message: format!("no: {reason}"),
        };
        store.ops.run(&Actor::System, failure).await.unwrap();
    }
    let n = u64::try_from(reasons.len()).unwrap();
    let counts = SummaryCounts::default()
        .with(CountKey::Total, n)
        .with(CountKey::Failed, n)
        .with(CountKey::Processed, n);
    store
        .ops
        .run(&Actor::System, ReportProgress { run_id: id, fence: held.fence, counts })
        .await
        .unwrap();
    if finish {
        let done = CompleteRun { run_id: id, fence: held.fence, blocked: None };
        store.ops.run(&Actor::System, done).await.unwrap();
    }
    id
}

fn refused_as<T>(answer: Result<T>, kind: ErrorKind) {
    assert_eq!(answer.err().unwrap().kind(), kind);
}

both_engines! {
    async fn fr_004_025_a_detail_holds_what_explains_the_run(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let reasons = [ReasonCode::Timeout, ReasonCode::Conflict, ReasonCode::Timeout];
        let id = failed(&store, RunScope::Tenants(vec![1, 2]), &reasons, true).await;
        let detail = store.ops.run(&root.actor, GetRun { id }).await.unwrap();
        assert_eq!(detail.run.reason_code.as_deref(), Some("timeout"));
        assert_eq!(detail.context["inputs"]["policy"], "baseline");
        assert_eq!(detail.groups, [
            FailureGroup { reason_code: "timeout".to_owned(), count: 2 },
            FailureGroup { reason_code: "conflict".to_owned(), count: 1 },
        ]);
        let codes: Vec<&str> = detail.failures.iter().map(|failure| failure.reason_code.as_str()).collect();
        assert_eq!(codes, ["timeout", "conflict", "timeout"], "newest first");
        assert!(detail.failures.is_sorted_by(|a, b| a.occurred_at > b.occurred_at));
        assert_eq!(detail.failures[0].tenant_name.as_deref(), Some("Contoso FR"));
        let tenants: Vec<Option<i64>> = detail.targets.iter().map(|target| target.tenant_id).collect();
        assert_eq!(tenants, [Some(2), Some(1)], "failed ones first");
        let statuses: Vec<TargetStatus> = detail.targets.iter().map(|target| target.status).collect();
        assert_eq!(statuses, [TargetStatus::Failed, TargetStatus::Succeeded]);
        assert_eq!(detail.lease, None);
        let audit: Vec<String> = detail.audit.unwrap().into_iter().map(|row| row.action).collect();
        assert_eq!(audit, ["runs.start", "runs.complete"]);
        refused_as(store.ops.run(&root.actor, GetRun { id: id + 1000 }).await, ErrorKind::NotFound);
    }

    async fn fr_004_025_a_running_run_shows_who_holds_it(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let id = failed(&store, RunScope::Tenant(1), &[], false).await;
        let lease = store.ops.run(&root.actor, GetRun { id }).await.unwrap().lease.unwrap();
        assert_eq!(lease.owner, "w");
        assert_eq!((lease.expires_at - lease.heartbeat_at).num_seconds(), 30);
    }

    async fn fr_004_025_the_audit_trail_needs_its_own_capability(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let viewer = store.user(&root, Role::Viewer).await;
        assert!(!viewer.capabilities.has(Capability::AuditView));
        let id = failed(&store, RunScope::Tenant(1), &[], true).await;
        assert_eq!(store.ops.run(&viewer.actor, GetRun { id }).await.unwrap().audit, None);
    }

    async fn fr_004_025_the_same_reason_elsewhere_is_counted_within_the_view(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let caps = CapabilitySet::from_iter([Capability::AccessSystemPanel, Capability::OpsView]);
        let one = store.user_with(&root, "one", caps, &[1]).await;
        failed(&store, RunScope::Tenant(1), &[ReasonCode::Timeout], true).await;
        store.clock.advance(chrono::Duration::hours(25));
        for tenant in [2, 3, 4] {
            failed(&store, RunScope::Tenant(tenant), &[ReasonCode::Timeout], true).await;
        }
        failed(&store, RunScope::Tenant(3), &[ReasonCode::Conflict], true).await;
        let id = failed(&store, RunScope::Tenant(1), &[ReasonCode::Timeout], true).await;
        drop((root, one));
        let (root, one) = (store.login("administrator").await, store.login("one").await);
        assert_eq!(store.ops.run(&root.actor, GetRun { id }).await.unwrap().elsewhere, Some(3));
        assert_eq!(store.ops.run(&one.actor, GetRun { id }).await.unwrap().elsewhere, Some(1));
    }

    async fn fr_004_025_of_many_targets_the_failed_ones_come_first(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let id = failed(&store, RunScope::Tenant(1), &[], true).await;
        for ordinal in 1..300 {
            let (status, reason) = if ordinal == 299 { ("failed", "'timeout'") } else { ("succeeded", "null") };
            store.sql(&format!(
                "insert into operation_run_targets (run_id, ordinal, kind, tenant_id, status, reason_code, updated_at) \
                 values ({id}, {ordinal}, 'tenant', 1, '{status}', {reason}, '2026-11-20T12:00:00+00:00')"
            )).await.unwrap();
        }
        let targets = store.ops.run(&root.actor, GetRun { id }).await.unwrap().targets;
        assert_eq!(i64::try_from(targets.len()).unwrap(), TARGETS_SHOWN);
        assert_eq!(targets[0].ordinal, 299);
        assert!(targets[1..].is_sorted_by_key(|target| target.ordinal));
    }
}
