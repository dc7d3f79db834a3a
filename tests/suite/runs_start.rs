//! Starting runs: identity, reuse, the allowed tenants, and what is refused.

use futures_util::future::join_all;
use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};
use proptest::strategy::Strategy as _;
use serde_json::{Value, json};
use tenantpilot::access::Actor;
use tenantpilot::domain::identity::identity_hash;
use tenantpilot::domain::run::Source;
use tenantpilot::domain::summary_counts::{CountKey, SummaryCounts};
use tenantpilot::ops::runs::{
    ClaimRun, CompleteRun, Entry, ReportProgress, RunScope, StartRun, Started,
};
use tenantpilot::ops::{Ops, OpsSettings};
use tenantpilot::{Error, ErrorKind, Result};

use crate::database::texts;
use crate::support::stores::{Store, both_engines};

const CUSTOMER: Actor = Actor::Customer { user_id: 1 };
const STRANGER: Actor = Actor::Customer { user_id: 2 };
const LEASE: std::time::Duration = std::time::Duration::from_secs(30);

fn sync(tenant: i64) -> StartRun {
    StartRun::for_tenant("policy.sync", tenant, Source::Admin)
}

fn over(scope: RunScope) -> StartRun {
    StartRun { scope, ..sync(1) }
}

fn with_inputs(inputs: Value) -> StartRun {
    StartRun { inputs, ..sync(1) }
}

async fn start(ops: &Ops, actor: &Actor, start: StartRun) -> Result<Started> {
    ops.run(actor, start).await
}

async fn runs(store: &Store) -> i64 {
    store.number("select count(*) from operation_runs").await
}

/// Ends whatever is active, through the operations.
async fn finish_all(ops: &Ops) {
    while let Some(claimed) = ops
        .run(&Actor::System, ClaimRun { owner: "w".to_owned(), types: vec![], lease: LEASE })
        .await
        .unwrap()
    {
        let done = CompleteRun { run_id: claimed.id, fence: claimed.fence, blocked: None };
        ops.run(&Actor::System, done).await.unwrap();
    }
}

fn refused_as(answer: Result<Started>, kind: ErrorKind) -> Error {
    let error = answer.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    error
}

both_engines! {
    async fn fr_004_001_a_start_makes_the_run_its_targets_and_its_audit_row_and_does_no_work(store) {
        let store = store.with_platform().await;
        let started = start(&store.ops, &CUSTOMER, sync(1)).await.unwrap();
        assert!(started.created);
        let row = texts(
            &store,
            "select status || ' ' || outcome || ' ' || source || ' ' || scope_kind || ' ' || initiator_name || ' ' \
             || cast(user_id as text) || ' ' || cast(workspace_id as text) || ' ' || cast(tenant_id as text) || ' ' \
             || cast(target_count as text) || ' ' || coalesce(started_at is null, false) from operation_runs",
        ).await;
        assert!(row[0].starts_with("queued pending admin tenant m.lang 1 1 1 1 "), "{row:?}");
        assert_eq!(texts(&store, "select kind || ' ' || status from operation_run_targets").await, ["tenant pending"]);
        assert_eq!(
            texts(&store, "select actor_kind || ' ' || plane || ' ' || actor_name || ' ' || action from audit_logs").await,
            ["customer admin m.lang runs.start"]
        );
        assert_eq!(store.number("select count(*) from notifications").await, 0);
        // One transaction: without the audit row there is no run, and without targets neither.
        for table in ["audit_logs", "operation_run_targets"] {
            store.sql(&format!("alter table {table} rename to gone")).await.unwrap();
            assert!(start(&store.ops, &CUSTOMER, sync(2)).await.is_err());
            store.sql(&format!("alter table gone rename to {table}")).await.unwrap();
            assert_eq!(runs(&store).await, 1);
        }
    }

    async fn fr_004_001_every_scope_freezes_the_allowed_tenants(store) {
        let store = store.with_platform().await;
        for (scope, tenants, target) in [
            (RunScope::Tenant(3), vec![3], "tenant"),
            (RunScope::Tenants(vec![3, 1, 3]), vec![1, 3], "tenant"),
            (RunScope::Workspace(2), vec![3, 4], "tenant"),
            (RunScope::All, vec![1, 2, 3, 4], "tenant"),
            (RunScope::Platform, vec![], "platform"),
        ] {
            let started = start(&store.ops, &Actor::System, over(scope.clone())).await.unwrap();
            let sql = format!(
                "select kind || coalesce(' ' || cast(tenant_id as text), '') from operation_run_targets where run_id = {} order by ordinal",
                started.run_id
            );
            let expected: Vec<String> = if target == "platform" {
                vec!["platform".to_owned()]
            } else {
                tenants.iter().map(|id| format!("tenant {id}")).collect()
            };
            assert_eq!(texts(&store, &sql).await, expected, "{scope:?}");
        }
    }

    async fn fr_004_002_the_order_of_keys_and_lists_does_not_matter(store) {
        let store = store.with_platform().await;
        let first = start(&store.ops, &CUSTOMER, with_inputs(json!({"a": [3, 1, 2], "b": "x"}))).await.unwrap();
        let same = start(&store.ops, &CUSTOMER, with_inputs(json!({"b": "x", "a": [1, 2, 3]}))).await.unwrap();
        assert_eq!(same, Started { run_id: first.run_id, created: false });
        for other in [json!({"a": [1, 2], "b": "x"}), json!({"a": [1, 2, 3], "b": "y"}), json!({})] {
            assert!(start(&store.ops, &CUSTOMER, with_inputs(other)).await.unwrap().created);
        }
        let other_type = StartRun { run_type: "inventory.sync".to_owned(), ..sync(1) };
        assert!(start(&store.ops, &CUSTOMER, other_type).await.unwrap().created);
        assert!(start(&store.ops, &CUSTOMER, sync(2)).await.unwrap().created);
        let some = start(&store.ops, &Actor::System, over(RunScope::Tenants(vec![1, 3]))).await.unwrap();
        let swapped = start(&store.ops, &Actor::System, over(RunScope::Tenants(vec![3, 1]))).await.unwrap();
        assert_eq!(swapped, Started { created: false, ..some });
    }

    async fn fr_004_003_there_are_three_ways_to_start(store) {
        let store = store.with_platform().await;
        let first = start(&store.ops, &CUSTOMER, sync(1)).await.unwrap();
        let again = start(&store.ops, &CUSTOMER, sync(1)).await.unwrap();
        assert_eq!(again, Started { run_id: first.run_id, created: false });

        let strict = StartRun { entry: Entry::Strict, ..sync(1) };
        let error = refused_as(start(&store.ops, &CUSTOMER, strict.clone()).await, ErrorKind::Refused);
        assert!(error.message().contains(&format!("run {}", first.run_id)), "{error}");
        assert!(error.message().contains("already running"), "{error}");

        let named = |name: &str, inputs: Value| StartRun {
            entry: Entry::ReuseByIdentity(name.to_owned()), ..with_inputs(inputs)
        };
        let one = start(&store.ops, &CUSTOMER, named("night", json!({"n": 1}))).await.unwrap();
        let same = start(&store.ops, &CUSTOMER, named("night", json!({"n": 2}))).await.unwrap();
        assert!(one.created && !same.created && same.run_id == one.run_id);
        assert!(start(&store.ops, &CUSTOMER, named("day", json!({"n": 1}))).await.unwrap().created);

        // Once it has ended there is room again.
        finish_all(&store.ops).await;
        assert!(start(&store.ops, &CUSTOMER, strict).await.unwrap().created);
        let audited = "select count(*) from audit_logs where action = 'runs.start'";
        assert_eq!(store.number(audited).await, 4, "reuse and refusal start nothing");
    }

    async fn fr_004_004_of_fifty_parallel_identical_starts_one_makes_a_run(store) {
        let store = store.with_platform().await;
        let rounds = 200;
        let settings = OpsSettings { patience: std::time::Duration::from_secs(60), ..OpsSettings::default() };
        let services = [store.another(settings.clone()), store.another(settings)];
        for round in 0..rounds {
            let starts = (0..50).map(|n| {
                let ops = &services[n % 2];
                let this = with_inputs(json!({ "round": round }));
                async move { start(ops, &CUSTOMER, this).await }
            });
            let answers = join_all(starts).await;
            let made: Vec<Started> = answers.into_iter().map(|answer| answer.unwrap()).collect();
            assert_eq!(made.iter().filter(|started| started.created).count(), 1, "round {round}");
            assert!(made.iter().all(|started| started.run_id == made[0].run_id), "round {round}");
        }
        assert_eq!(runs(&store).await, rounds);
    }

    async fn fr_004_004_starts_that_race_with_the_end_make_at_most_one_active_run(store) {
        let store = store.with_platform().await;
        for _ in 0..15 {
            let starts = join_all((0..10).map(|_| start(&store.ops, &CUSTOMER, sync(1))));
            let (answers, ()) = tokio::join!(starts, finish_all(&store.ops));
            for answer in answers {
                answer.unwrap();
            }
            let active = "select count(*) from operation_runs where status <> 'completed'";
            assert!(store.number(active).await <= 1);
        }
    }

    async fn fr_004_005_a_retried_request_finds_its_run(store) {
        let store = store.with_platform().await;
        let request = |tenant| StartRun { request_id: Some("call-1".to_owned()), ..sync(tenant) };
        let first = start(&store.ops, &CUSTOMER, request(1)).await.unwrap();
        finish_all(&store.ops).await;
        // The answer was lost, the run has ended meanwhile: still the same run.
        let retried = start(&store.ops, &CUSTOMER, request(1)).await.unwrap();
        assert_eq!(retried, Started { run_id: first.run_id, created: false });
        let strict = StartRun { entry: Entry::Strict, ..request(1) };
        assert_eq!(start(&store.ops, &CUSTOMER, strict).await.unwrap(), retried);
        refused_as(start(&store.ops, &CUSTOMER, request(2)).await, ErrorKind::Refused);
        refused_as(start(&store.ops, &STRANGER, request(3)).await, ErrorKind::Refused);
        for id in ["", "two words", "tab\t", "ü", &"x".repeat(121)] {
            let wrong = StartRun { request_id: Some(id.to_owned()), ..sync(1) };
            refused_as(start(&store.ops, &CUSTOMER, wrong).await, ErrorKind::Usage);
        }
        assert_eq!(runs(&store).await, 1);
    }

    async fn fr_004_005_parallel_retries_of_one_request_make_one_run(store) {
        let store = store.with_platform().await;
        for round in 0..10 {
            let request = StartRun { request_id: Some(format!("call-{round}")), ..with_inputs(json!({"n": round})) };
            let answers = join_all((0..20).map(|_| start(&store.ops, &CUSTOMER, request.clone()))).await;
            assert_eq!(answers.iter().filter(|answer| answer.as_ref().unwrap().created).count(), 1);
        }
        assert_eq!(runs(&store).await, 10);
    }

    async fn fr_004_006_the_platforms_own_and_archived_tenants_are_refused(store) {
        let store = store.with_platform().await;
        store.sql("insert into workspaces (id, name, created_at, archived_at) values (5, 'Gone', '2026-11-01T00:00:00+00:00', '2026-11-02T00:00:00+00:00')").await.unwrap();
        store.sql("insert into tenants (id, workspace_id, name, created_at) values (50, 5, 'Orphan', '2026-11-01T00:00:00+00:00')").await.unwrap();
        for scope in [
            RunScope::Tenant(8), RunScope::Tenant(9), RunScope::Tenant(50),
            RunScope::Tenants(vec![1, 8]), RunScope::Tenants(vec![9, 1]), RunScope::Tenants(vec![50]),
        ] {
            let error = refused_as(start(&store.ops, &Actor::System, over(scope)).await, ErrorKind::Refused);
            assert!(error.message().ends_with("runs never aim at it"), "{error}");
        }
        refused_as(start(&store.ops, &Actor::System, over(RunScope::Workspace(5))).await, ErrorKind::NotFound);
        assert_eq!(runs(&store).await, 0);
    }

    async fn fr_004_007_a_customer_aims_only_at_their_own_workspace(store) {
        let store = store.with_platform().await;
        let text = |tenant: i64, answer: Result<Started>| {
            refused_as(answer, ErrorKind::NotFound).to_string().replace(&tenant.to_string(), "N")
        };
        let foreign = text(3, start(&store.ops, &CUSTOMER, sync(3)).await);
        let missing = text(777, start(&store.ops, &CUSTOMER, sync(777)).await);
        // Not even that it is archived is told about a tenant of others.
        let archived = text(8, start(&store.ops, &CUSTOMER, sync(8)).await);
        assert_eq!(foreign, missing);
        assert_eq!(archived, missing);
        for scope in [RunScope::Workspace(2), RunScope::All, RunScope::Platform, RunScope::Tenants(vec![1, 3])] {
            refused_as(start(&store.ops, &CUSTOMER, over(scope)).await, ErrorKind::NotFound);
        }
        start(&store.ops, &CUSTOMER, over(RunScope::Workspace(1))).await.unwrap();
        let nobody = Actor::Customer { user_id: 99 };
        refused_as(start(&store.ops, &nobody, sync(1)).await, ErrorKind::NotFound);
        store.sql("update users set active = false where id = 2").await.unwrap();
        refused_as(start(&store.ops, &STRANGER, sync(3)).await, ErrorKind::NotFound);
        assert_eq!(runs(&store).await, 1);
    }

    async fn fr_004_008_inputs_and_types_that_break_the_rules_are_refused(store) {
        let store = store.with_platform().await;
        refused_as(start(&store.ops, &CUSTOMER, over(RunScope::Tenants(vec![]))).await, ErrorKind::Usage);
        let deep = json!({"a": {"b": 1}});
        let list_of_lists = json!({"a": [[1]]});
        for inputs in [json!([1]), json!("x"), json!(null), deep, list_of_lists, json!({"a": "x".repeat(9000)}), json!({"a": "nul\u{0}"}), json!({"nul\u{0}": 1})] {
            refused_as(start(&store.ops, &CUSTOMER, with_inputs(inputs)).await, ErrorKind::Usage);
        }
        for name in ["", "policy", "Policy.Sync", "policy.", ".sync", "policy..sync", "policy sync.x", "a.b\n", "pölicy.sync", &"a.".repeat(60)] {
            let wrong = StartRun { run_type: name.to_owned(), ..sync(1) };
            let error = refused_as(start(&store.ops, &CUSTOMER, wrong).await, ErrorKind::Usage);
            assert!(!error.to_string().contains('\n'));
        }
        assert_eq!(runs(&store).await, 0);
        start(&store.ops, &CUSTOMER, with_inputs(json!({"a": null, "b": [true, 1.5, "x"], "c": "x".repeat(8000)}))).await.unwrap();
    }

    async fn fr_004_009_counts_beyond_the_closed_list_or_the_total_are_refused(store) {
        let store = store.with_platform().await;
        start(&store.ops, &CUSTOMER, sync(1)).await.unwrap();
        let claimed = store.ops.run(&Actor::System, ClaimRun { owner: "w".to_owned(), types: vec![], lease: LEASE }).await.unwrap().unwrap();
        let report = |counts| ReportProgress { run_id: claimed.id, fence: claimed.fence, counts };
        let base = || SummaryCounts::default().with(CountKey::Total, 3);
        for counts in [
            base().with(CountKey::Processed, 4),
            base().with(CountKey::Succeeded, 2).with(CountKey::Failed, 1).with(CountKey::Skipped, 1),
            SummaryCounts::default().with(CountKey::Created, u64::MAX),
            base().with(CountKey::Succeeded, u64::MAX).with(CountKey::Failed, u64::MAX),
        ] {
            let error = store.ops.run(&Actor::System, report(counts)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        }
        let all = CountKey::ALL.iter().fold(SummaryCounts::default(), |counts, key| counts.with(*key, 0));
        store.ops.run(&Actor::System, report(all)).await.unwrap();
        for wrong in [json!({"totals": 1}), json!({"total": -1}), json!({"total": 1.5}), json!({"total": "1"}), json!([])] {
            assert_eq!(SummaryCounts::from_json(&wrong).unwrap_err().kind(), ErrorKind::Usage, "{wrong}");
        }
    }
}

fn shuffled(value: &Value, seed: usize) -> Value {
    match value {
        Value::Object(map) => {
            let mut pairs: Vec<_> =
                map.iter().map(|(k, v)| (k.clone(), shuffled(v, seed))).collect();
            let by = seed % pairs.len().max(1);
            pairs.rotate_left(by);
            Value::Object(pairs.into_iter().collect())
        }
        Value::Array(items) => {
            let mut items: Vec<_> = items.iter().map(|item| shuffled(item, seed)).collect();
            let by = seed % items.len().max(1);
            items.rotate_left(by);
            items.reverse();
            Value::Array(items)
        }
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn fr_004_002_shuffled_inputs_have_the_same_identity(
        inputs in proptest::collection::btree_map("[a-z]{1,3}", proptest::collection::vec(0..5_i64, 0..4), 0..5)
            .prop_map(|map| json!(map)),
        seed in 0..50_usize,
    ) {
        let scope = json!({ "tenant": 1 });
        prop_assert_eq!(
            identity_hash("policy.sync", &scope, &inputs),
            identity_hash("policy.sync", &scope, &shuffled(&inputs, seed))
        );
    }
}
