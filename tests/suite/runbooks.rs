//! The runbooks: what each declares, what a preflight counts, and the pruning of telemetry;
//! also the way in which the tests of runbooks execute one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tenantpilot::ErrorKind;
use tenantpilot::access::Actor;
use tenantpilot::domain::capability::{Capability, Role};
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::domain::run::{RunOutcome, ScopeKind};
use tenantpilot::ops::plans::{ListPlanTargets, Plan, Preflight};
use tenantpilot::ops::runs::{
    BeginTarget, Beginning, BlockRun, ClaimRun, Claimed, DueTargets, FailStep, FinishRun, RunScope,
    RunStep, Stepped,
};
use tenantpilot::runbooks::Registry;

use crate::support::starts::Wish;
use crate::support::stores::{Store, both_engines, noon};

/// How an executed run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Executed {
    /// The run.
    pub run_id: i64,
    /// Its outcome.
    pub outcome: RunOutcome,
    /// Its counts, as they are stored.
    pub counts: BTreeMap<String, i64>,
    /// Steps done, over all targets.
    pub steps: usize,
    /// What failed steps said.
    pub failed: Vec<(ReasonCode, String)>,
}

impl Executed {
    /// One of its counts; 0 if it is not there.
    pub fn count(&self, key: &str) -> i64 {
        self.counts.get(key).copied().unwrap_or(0)
    }
}

impl Store {
    /// Starts a runbook as the system; gives the run's id.
    pub async fn start_runbook(
        &self,
        key: &str,
        scope: RunScope,
        inputs: Value,
        targets: usize,
    ) -> i64 {
        let wish = Wish { inputs, ..Wish::new(key, scope) };
        let plan = wish.plan(&self.ops, &Actor::System).await.unwrap();
        assert_eq!(plan.tenant_count.max(1), i64::try_from(targets).unwrap());
        self.ops.run(&Actor::System, wish.start(&plan)).await.unwrap().run_id
    }

    /// Claims a run of one type.
    pub async fn claim_type(&self, key: &str) -> Claimed {
        let claim = ClaimRun {
            owner: "tester".to_owned(),
            types: vec![key.to_owned()],
            lease: Duration::from_secs(600),
        };
        self.ops.run(&Actor::System, claim).await.unwrap().unwrap()
    }

    /// Does a claimed run's targets one by one and completes it, letting a second pass before
    /// each step.
    pub async fn work_off(&self, claimed: &Claimed, chunk: i64) -> Executed {
        let (run_id, fence) = (claimed.id, claimed.fence);
        let system = Actor::System;
        let due = DueTargets { run_id, after: -1, started: false, limit: 1000 };
        let (mut steps_done, mut failed) = (0, Vec::new());
        for target in self.ops.run(&system, due).await.unwrap() {
            let ordinal = target.ordinal;
            let begin = BeginTarget { run_id, fence, ordinal, crash: None, outage: None };
            let begun = self.ops.run(&system, begin).await.unwrap();
            assert!(matches!(begun, Beginning::Begun(_)), "{begun:?}");
            let mut steps = target.steps;
            loop {
                self.pass(1);
                let step = RunStep { run_id, fence, ordinal, steps, chunk, then: None };
                match self.ops.run(&system, step).await.unwrap() {
                    Stepped::GoesOn { steps: next } => {
                        steps = next;
                        steps_done += 1;
                    }
                    Stepped::Finished { .. } => {
                        steps_done += 1;
                        break;
                    }
                    Stepped::Failed { reason, message } => {
                        failed.push((reason, message.clone()));
                        let fail = FailStep {
                            run_id,
                            fence,
                            ordinal,
                            steps,
                            reason,
                            message,
                            again_in: None,
                            fault: None,
                        };
                        self.ops.run(&system, fail).await.unwrap();
                        break;
                    }
                    Stepped::Blocked { reason, message } => {
                        let block = BlockRun { run_id, fence, reason, message: message.clone() };
                        let outcome = self.ops.run(&system, block).await.unwrap();
                        let counts = self.counts(run_id).await;
                        failed.push((reason, message));
                        return Executed { run_id, outcome, counts, steps: steps_done, failed };
                    }
                    Stepped::Waits => panic!("no runbook asks for a pause"),
                    Stepped::Elsewhere => panic!("nobody else is at it"),
                }
            }
        }
        let finish = FinishRun { run_id, fence, stop: None };
        let outcome = self.ops.run(&system, finish).await.unwrap();
        let counts = self.counts(run_id).await;
        Executed { run_id, outcome, counts, steps: steps_done, failed }
    }

    /// A run's counts, as they are stored.
    pub async fn counts(&self, run_id: i64) -> BTreeMap<String, i64> {
        let sql =
            format!("select cast(summary_counts as text) from operation_runs where id = {run_id}");
        serde_json::from_str(&self.text(&sql).await).unwrap()
    }

    /// Starts a runbook, claims it and executes it.
    pub async fn execute(
        &self,
        key: &str,
        scope: RunScope,
        inputs: Value,
        targets: usize,
        chunk: i64,
    ) -> Executed {
        let run_id = self.start_runbook(key, scope, inputs, targets).await;
        let claimed = self.claim_type(key).await;
        assert_eq!(claimed.id, run_id);
        self.work_off(&claimed, chunk).await
    }

    /// What a runbook would change, asked by the system.
    pub async fn preflight(&self, key: &str, scope: RunScope, inputs: Value) -> Plan {
        Wish { inputs, ..Wish::new(key, scope) }.plan(&self.ops, &Actor::System).await.unwrap()
    }
}

const BACKFILL: &str = "findings.lifecycle_backfill";
const PRUNE: &str = "product_usage.prune";

#[test]
fn fr_014_001_the_runbooks_say_what_they_are_and_where_they_may_be_aimed() {
    let registry = Registry::standard();
    let declared: Vec<_> = registry
        .iter()
        .map(|book| {
            (book.key(), book.word(), book.capability().to_string(), book.scopes().to_vec())
        })
        .collect();
    let many = vec![ScopeKind::Tenant, ScopeKind::Tenants, ScopeKind::Workspace, ScopeKind::All];
    let platform = vec![ScopeKind::Platform];
    let capability = |key: &str| format!("platform.runbooks.{key}");
    let reconcile = "operations.reconcile_stale";
    assert_eq!(
        declared,
        [
            (BACKFILL, "BACKFILL", capability(BACKFILL), many),
            (reconcile, "RECONCILE", capability(reconcile), platform.clone()),
            (PRUNE, "PRUNE", capability(PRUNE), platform.clone()),
            ("retention.prune", "PRUNE", capability("retention.prune"), platform),
        ]
    );
    for book in registry.iter() {
        assert_ne!(book.title(), book.key());
        for text in [book.changes(), book.undo()] {
            assert!(text.len() > 20, "{text}");
        }
        assert_eq!(registry.get(book.key()).unwrap().key(), book.key());
    }
    let error = registry.get("findings.erase").err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains(PRUNE), "{error}");
}

async fn events(store: &Store, days_ago: &[i64]) {
    for days in days_ago {
        let at = (noon() - chrono::Duration::days(*days))
            .to_rfc3339_opts(chrono::SecondsFormat::AutoSi, false);
        store
            .sql(&format!(
                "insert into product_usage_events (workspace_id, tenant_id, user_id, event_name, feature_area, \
                 subject_type, subject_id, occurred_at) values (1, 1, 1, 'product.operations.started', \
                 'operations', 'operation_run', '1', '{at}')"
            ))
            .await
            .unwrap();
    }
}

/// What no pruning may touch, as counts.
async fn rest(store: &Store) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in
        ["workspaces", "tenants", "users", "findings", "stored_reports", "alert_deliveries"]
    {
        counts.push(store.number(&format!("select count(*) from {table}")).await);
    }
    counts
}

both_engines! {
    async fn fr_014_010_events_past_their_retention_are_deleted_in_chunks_and_nothing_else(store) {
        let store = store.with_platform().await;
        // Started by the system, and a few events only: what is bounded is not under test here.
        store.sql("insert into platform_settings (key, value, updated_at) values \
                   ('retention.prune_bound', '100%', '2026-11-01T00:00:00+00:00')").await.unwrap();
        // The newest of the old ones is older by its day; one stands at the edge itself.
        events(&store, &[1, 400, 91, 30, 90, 200, 89, 365, 100]).await;
        let before = rest(&store).await;
        let asked = store.preflight(PRUNE, RunScope::Platform, json!({})).await;
        assert_eq!((asked.affected_count, asked.total_count), (5, 9));
        let run_id = store.start_runbook(PRUNE, RunScope::Platform, json!({}), 1).await;
        let claimed = store.claim_type(PRUNE).await;
        // Days that pass after the claim do not count: what is too old is said by the start.
        store.pass(3 * 86_400);
        let done = store.work_off(&claimed, 2).await;
        assert_eq!((done.run_id, done.outcome, done.steps), (run_id, RunOutcome::Succeeded, 3));
        assert_eq!((done.count("deleted"), done.count("items")), (5, 5));
        assert_eq!(store.number("select count(*) from product_usage_events").await, 4);
        assert_eq!(rest(&store).await, before);
        let again = store.execute(PRUNE, RunScope::Platform, json!({ "days": 120 }), 1, 2).await;
        assert_eq!((again.count("deleted"), again.steps), (0, 1));
        let shorter = store.execute(PRUNE, RunScope::Platform, json!({ "days": 10 }), 1, 500).await;
        assert_eq!((shorter.count("deleted"), shorter.steps), (3, 1));
    }

    async fn fr_014_010_a_retention_that_is_no_number_of_days_fails_and_deletes_nothing(store) {
        let store = store.with_platform().await;
        events(&store, &[400]).await;
        for wrong in [json!(0), json!(-3), json!("90"), json!(1.5), json!(40_000)] {
            let inputs = json!({ "days": wrong });
            let wish = Wish { inputs: inputs.clone(), ..Wish::new(PRUNE, RunScope::Platform) };
            let refused = wish.plan(&store.ops, &Actor::System).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Usage);
            // Queued by a version that did not look, it still deletes nothing.
            let run_id = store.start_runbook(PRUNE, RunScope::Platform, json!({}), 1).await;
            let context = json!({ "inputs": inputs });
            store.sql(&format!("update operation_runs set context = '{context}' where id = {run_id}")).await.unwrap();
            let claimed = store.claim_type(PRUNE).await;
            let done = store.work_off(&claimed, 10).await;
            assert_eq!(done.outcome, RunOutcome::Failed);
            assert_eq!(done.failed[0].0, ReasonCode::ValidationFailed, "{:?}", done.failed);
        }
        assert_eq!(store.number("select count(*) from product_usage_events").await, 1);
    }

    async fn fr_014_011_a_preflight_asks_for_the_runbooks_own_capability_and_is_audited(store) {
        let store = store.with_platform().await;
        let administrator = store.administrator().await;
        let viewer = store.user(&administrator, Role::Viewer).await;
        let mut own = Role::Viewer.capabilities().iter().collect::<Vec<_>>();
        own.push(Capability::RunbookProductUsagePrune);
        let pruner =
            store.user_with(&administrator, "pruner", own.into_iter().collect(), &[]).await;
        let ask = Preflight::new;
        let audited = |status: &'static str| {
            format!("select count(*) from audit_logs where action = 'runbooks.preflight' and status = '{status}'")
        };
        let error = store.ops.run(&viewer.actor, ask(PRUNE, RunScope::Platform)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        assert!(error.to_string().contains("platform.runbooks.product_usage.prune"), "{error}");
        assert_eq!(store.number(&audited("denied")).await, 1);
        store.ops.run(&pruner.actor, ask(PRUNE, RunScope::Platform)).await.unwrap();
        assert_eq!(store.number(&audited("succeeded")).await, 1);
        let error = store.ops.run(&pruner.actor, ask(BACKFILL, RunScope::Tenant(1))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        assert_eq!(store.number("select count(*) from operation_runs").await, 0);
    }

    async fn fr_014_011_a_preflight_refuses_what_a_runbook_may_not_be_aimed_at(store) {
        let store = store.with_platform().await;
        let administrator = store.administrator().await;
        let everything = Role::Administrator.capabilities();
        let restricted = store.user_with(&administrator, "restricted", everything, &[1]).await;
        let ask = Preflight::new;
        for (scope, kind) in [
            (RunScope::Platform, ErrorKind::Usage),
            (RunScope::Tenant(8), ErrorKind::Refused),
            (RunScope::Tenant(9), ErrorKind::Refused),
            (RunScope::Tenant(77), ErrorKind::NotFound),
            (RunScope::Tenants(vec![]), ErrorKind::Usage),
            (RunScope::Tenants(vec![1, 8]), ErrorKind::Refused),
            (RunScope::Workspace(77), ErrorKind::NotFound),
        ] {
            let error = store.ops.run(&administrator.actor, ask(BACKFILL, scope.clone())).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{scope:?}: {error}");
        }
        let error = store.ops.run(&administrator.actor, ask(PRUNE, RunScope::All)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        let error = store.ops.run(&restricted.actor, ask(BACKFILL, RunScope::Tenant(3))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let own = store.ops.run(&restricted.actor, ask(BACKFILL, RunScope::Workspace(1))).await.unwrap();
        let targets = store.ops.run(&restricted.actor, ListPlanTargets::all(own.id)).await.unwrap().targets;
        let tenants: Vec<_> = targets.iter().map(|target| target.tenant_id).collect();
        assert_eq!(tenants, [Some(1), Some(2)]);
    }
}
