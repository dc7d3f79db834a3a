//! A small platform with one run of every kind, made through the same operations as a real
//! one, at fixed times.

use std::time::Duration;

use serde_json::json;
use tenantpilot::access::Actor;
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::domain::run::Source;
use tenantpilot::domain::summary_counts::{CountKey, SummaryCounts};
use tenantpilot::ops::runs::{
    ClaimRun, Claimed, CompleteRun, RecordFailure, ReportProgress, StartRun,
};
use tenantpilot::runbooks::Registry;

use super::stores::Store;

fn counts(total: u64, succeeded: u64, failed: u64) -> SummaryCounts {
    SummaryCounts::default()
        .with(CountKey::Total, total)
        .with(CountKey::Processed, succeeded + failed)
        .with(CountKey::Succeeded, succeeded)
        .with(CountKey::Failed, failed)
}

impl Store {
    /// Lets time pass.
    pub fn pass(&self, seconds: i64) {
        self.clock.advance(chrono::Duration::seconds(seconds));
    }

    /// Starts a run of a customer's; gives its id.
    pub async fn start(&self, run_type: &str, tenant_id: i64) -> i64 {
        let user_id = if tenant_id <= 2 { 1 } else { 2 };
        // Customers start no maintenance.
        let (actor, source) = match Registry::standard().get(run_type) {
            Ok(_) => (Actor::System, Source::Schedule),
            Err(_) => (Actor::Customer { user_id }, Source::Admin),
        };
        let start = StartRun {
            inputs: json!({ "mode": "full" }),
            ..StartRun::for_tenant(run_type, tenant_id, source)
        };
        self.ops.run(&actor, start).await.unwrap().run_id
    }

    /// Claims the oldest queued run.
    pub async fn claim(&self) -> Claimed {
        let claim = ClaimRun {
            owner: "worker-1".to_owned(),
            types: Vec::new(),
            lease: Duration::from_secs(3600),
        };
        self.ops.run(&Actor::System, claim).await.unwrap().unwrap()
    }

    /// Reports how far a claimed run is.
    pub async fn report(&self, claimed: &Claimed, total: u64, succeeded: u64, failed: u64) {
        let report = ReportProgress {
            run_id: claimed.id,
            fence: claimed.fence,
            counts: counts(total, succeeded, failed),
        };
        self.ops.run(&Actor::System, report).await.unwrap();
    }

    /// Records a failure of a claimed run.
    pub async fn fail(&self, claimed: &Claimed, reason: ReasonCode, message: &str) {
        let failure = RecordFailure {
            run_id: claimed.id,
            fence: claimed.fence,
            tenant_id: claimed.tenant_id,
            reason,
            message: message.to_owned(),
        };
        self.ops.run(&Actor::System, failure).await.unwrap();
    }

    /// Completes a claimed run.
    pub async fn complete(&self, claimed: &Claimed, blocked: Option<ReasonCode>) {
        let complete = CompleteRun { run_id: claimed.id, fence: claimed.fence, blocked };
        self.ops.run(&Actor::System, complete).await.unwrap();
    }

    /// A run that was started, claimed and completed.
    pub async fn ended(
        &self,
        run_type: &str,
        tenant_id: i64,
        total: u64,
        failed: u64,
        seconds: i64,
    ) -> i64 {
        let id = self.start(run_type, tenant_id).await;
        self.pass(1);
        let claimed = self.claim().await;
        self.pass(seconds);
        self.report(&claimed, total, total - failed, failed).await;
        for _ in 0..failed {
            let message = "429 from provider, retry after 30 s";
            self.fail(&claimed, ReasonCode::ProviderThrottled, message).await;
        }
        self.complete(&claimed, None).await;
        id
    }

    /// The scene: eight runs, newest last.
    ///
    /// 1 and 2 succeeded, 3 failed wholly, 4 partly, 5 was blocked, 6 cancelled, 7 is stale,
    /// 8 runs at 37 %, 9 is queued.
    pub async fn with_scene(self) -> Self {
        let store = self.with_platform().await;
        store.sql("insert into platform_settings values ('environment.label', 'PROD', '2026-11-01T00:00:00+00:00'), \
                   ('environment.color', 'red', '2026-11-01T00:00:00+00:00')").await.unwrap();
        store.pass(-7200);
        store.ended("inventory.sync", 1, 12, 0, 41).await;
        store.pass(60);
        store.ended("stored_report.create", 2, 1, 0, 2).await;
        store.pass(60);
        store.ended("policy.sync", 3, 4, 4, 5).await;
        store.pass(60);
        store.ended("review_pack.generate", 3, 40, 3, 2).await;
        store.pass(60);
        store.start("provider.connection_check", 4).await;
        let blocked = store.claim().await;
        store.complete(&blocked, Some(ReasonCode::ProviderAuthExpired)).await;
        store.pass(60);
        store.start("backup.snapshot", 1).await;
        let cancelled = store.claim().await;
        store.report(&cancelled, 10, 4, 0).await;
        let id = cancelled.id;
        store
            .sql(&format!(
                "update operation_runs set cancel_requested_at = updated_at where id = {id}"
            ))
            .await
            .unwrap();
        store.complete(&cancelled, None).await;
        store.pass(60);
        // The one that is to grow stale must not be claimed: it is told to wait meanwhile.
        let stale = store.start("inventory.sync", 2).await;
        store
            .sql(&format!("update operation_runs set paused_at = created_at where id = {stale}"))
            .await
            .unwrap();
        store.pass(600);
        store.start("inventory.sync", 1).await;
        store.pass(1);
        let running = store.claim().await;
        store.pass(20);
        store.report(&running, 100, 37, 0).await;
        // Leases go by the database's clock, which no test can fix: this one never runs out.
        let sql = "update operation_run_leases set acquired_at = '2026-11-20T10:16:55+00:00', \
                   heartbeat_at = '2026-11-20T10:17:15+00:00', expires_at = '2999-01-01T00:00:00+00:00'";
        store.sql(sql).await.unwrap();
        store
            .sql(&format!("update operation_runs set paused_at = null where id = {stale}"))
            .await
            .unwrap();
        store.pass(10);
        store.start("policy.sync", 4).await;
        store.pass(5);
        store
    }
}
