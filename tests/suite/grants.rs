//! The grants that the role of a worker needs on a server: looked at before it is ready, and waited for
//! where one is revoked while it works.

use std::time::Duration;

use serde_json::json;
use tenantpilot::access::{Actor, Requirement};
use tenantpilot::domain::database_fault::Condition;
use tenantpilot::domain::rollout::Rollout;
use tenantpilot::domain::run_state::RunState;
use tenantpilot::ops::runs::{RunDetail, RunScope};
use tenantpilot::ops::{Create, Engine, Ops, try_those};
use tenantpilot::worker::{WorkerEvent, WorkerSettings};
use tenantpilot::{Error, ErrorKind};

use crate::cli::Person;
use crate::outages::{back, lost, until_told};
use crate::support::logs::Log;
use crate::support::postgres::administer;
use crate::support::starts::Wish;
use crate::support::stores::{Store, block_on};
use crate::worker::{Running, counts, ops_settings, settings};

/// A role of a server that may log in.
pub struct Role {
    pub name: String,
    pub url: String,
}

impl Role {
    pub async fn new(store: &Store) -> Self {
        let name = format!("r_{}", uuid::Uuid::new_v4().simple());
        administer(&format!("create role {name} login password 'p'")).await;
        let url = format!("postgres://{name}:p@{}", store.url.rsplit_once('@').unwrap().1);
        Self { name, url }
    }

    /// One that may use all tables and sequences.
    pub async fn with_all(store: &Store) -> Self {
        let role = Self::new(store).await;
        for on in ["all tables in schema public", "all sequences in schema public"] {
            store.sql(&format!("grant all on {on} to {}", role.name)).await.unwrap();
        }
        role
    }

    pub fn ops(&self, store: &Store) -> Ops {
        Ops::open(&self.url, Create::Never, store.clock.clone(), ops_settings()).unwrap()
    }

    fn worker(&self, store: &Store, settings: WorkerSettings) -> Running {
        Running::at(&self.url, &store.clock, settings, &ops_settings())
    }

    pub async fn drop(self, store: &Store) {
        store.sql(&format!("drop owned by {}", self.name)).await.unwrap();
        administer(&format!("drop role {}", self.name)).await;
    }
}

/// The statements that a refusal names.
pub fn statements(error: &Error) -> String {
    error.next_step().unwrap().strip_prefix("as its owner: ").unwrap().to_owned()
}

#[test]
fn fr_043_007_who_may_not_connect_reads_the_role_and_the_database() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await;
        let role = Role::new(&store).await;
        let database = store.text("select current_database()::text").await;
        store.sql(&format!("revoke connect on database {database} from public")).await.unwrap();
        let refused = Person::at(&role.url).run(&["runs", "list"]).ends(7);
        let grant = format!("grant connect on database {database} to {}", role.name);
        assert!(refused.err.contains(&grant), "{refused:?}");
        role.drop(&store).await;
    });
}

#[test]
fn fr_043_010_a_worker_that_lacks_a_grant_on_any_table_is_not_ready() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_platform().await;
        let role = Role::with_all(&store).await;
        let ops = role.ops(&store);
        ops.require_worker_grants().await.unwrap();
        for (grant, table) in [
            ("update", "operation_runs"),
            ("update", "operation_run_targets"),
            ("update", "findings"),
            ("select", "platform_settings"),
            ("insert", "notifications"),
            ("delete", "product_usage_events"),
        ] {
            let of_role = format!("{grant} on {table}");
            store.sql(&format!("revoke {of_role} from {}", role.name)).await.unwrap();
            let error = ops.require_worker_grants().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused);
            let told = format!("the database role may not use the table {table}");
            assert_eq!(error.message(), told);
            assert_eq!(statements(&error), format!("grant {of_role} to {}", role.name));
            if table == "findings" {
                let done = Person::at(&role.url).run(&["worker"]).ends(5);
                assert!(done.err.contains(&told) && done.err.contains(&of_role), "{done:?}");
                assert!(!format!("{done:?}").contains("is ready"), "{done:?}");
            }
            store.sql(&statements(&error)).await.unwrap();
        }
        ops.close().await;
        role.drop(&store).await;
    });
}

#[test]
fn fr_043_010_a_worker_works_with_the_grants_that_its_refusal_names() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_platform().await.with_ledger().await;
        store.legacy_findings(&[1, 2], 2).await;
        let role = Role::new(&store).await;
        let ops = role.ops(&store);
        let error = ops.require_worker_grants().await.unwrap_err();
        assert!(error.message().len() <= 80 && error.message().contains(" more"), "{error}");
        store.sql(&statements(&error)).await.unwrap();
        store.sql(&format!("grant insert, select on fault_ledger to {}", role.name)).await.unwrap();
        ops.require_worker_grants().await.unwrap();

        let service = store.another(ops_settings());
        let mut ids = Vec::new();
        for (key, scope) in [
            ("findings.lifecycle_backfill", RunScope::All),
            ("operations.reconcile_stale", RunScope::Platform),
            ("product_usage.prune", RunScope::Platform),
        ] {
            ids.push(Wish::new(key, scope).begin(&service, &Actor::System).await.unwrap().run_id);
        }
        let inputs = json!({ "deny": [2], "throttle": [3] });
        ids.push(store.probe(RunScope::All, inputs, Rollout::default()).await);
        let mut worker = role.worker(&store, WorkerSettings { schedule: true, ..settings() });
        for _ in &ids {
            let is =
                |event: &WorkerEvent| matches!(event, WorkerEvent::Ended { .. }) || lost(event);
            let told = until_told(&mut worker, is).await;
            assert!(!told.iter().any(lost), "{told:?}");
        }
        for id in ids {
            let detail = store.end_of(id).await;
            let expected = [RunState::Succeeded, RunState::Partial];
            assert!(expected.contains(&store.state(&detail)), "{:?}", detail.run);
            assert!(detail.faults.is_empty() && detail.run.audit_gaps == 0, "{:?}", detail.faults);
        }
        let told = worker.stop().await;
        assert!(!told.iter().any(lost), "{told:?}");

        let tried = try_those(&ops, &Actor::System, |listing| {
            listing.requirement == Requirement::SystemOnly && !listing.name.starts_with("seed.")
        });
        for (listing, error) in tried.await {
            let code = error.as_ref().and_then(Error::fault).map(|fault| fault.code.as_str());
            assert_ne!(code, Some("42501"), "{}: {error:?}", listing.name);
        }
        ops.close().await;
        role.drop(&store).await;
    });
}

#[test]
fn fr_037_018_a_grant_that_is_revoked_while_a_worker_runs_is_waited_for() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_platform().await.with_ledger().await;
        let role = Role::with_all(&store).await;
        let name = &role.name;
        let inputs = json!({ "steps": 400, "pause_ms": 5 });
        let id = store.probe(RunScope::All, inputs, Rollout::default()).await;
        let mut worker = role.worker(&store, settings());
        let under_way = |d: &RunDetail| d.targets.iter().any(|target| target.starts > 0);
        store.until(id, "under way", under_way).await;
        for (grant, table) in
            [("update", "operation_run_targets"), ("insert", "fault_ledger"), ("update", "workers")]
        {
            store.sql(&format!("revoke {grant} on {table} from {name}")).await.unwrap();
            let told = until_told(&mut worker, lost).await.pop().unwrap().to_string();
            assert!(
                told.contains(&format!("may not use the table {table} (SQLSTATE 42501")),
                "{told}"
            );
            assert!(told.contains(&format!("grant {grant} on {table} to {name}")), "{told}");
            if table != "workers" {
                let waits = |d: &RunDetail| d.run.basis.outage == Some(Condition::Denied);
                store.until(id, "waiting for the grant", waits).await;
            }
            // Long enough for many tries.
            tokio::time::sleep(Duration::from_millis(700)).await;
            store.sql(&format!("grant {grant} on {table} to {name}")).await.unwrap();
            until_told(&mut worker, back).await;
        }
        let detail = store.end_of(id).await;
        assert_eq!(counts(&detail)[..4], [4, 4, 0, 0], "{:?}", detail.failures);
        let told = format!("{:?}", worker.stop().await);
        assert!(!told.contains("25P02"), "{told}");
        role.drop(&store).await;
    });
}

#[tokio::test]
async fn fr_037_018_a_failure_that_may_not_be_written_is_logged_once() {
    let store = Store::new(Engine::Postgres).await.with_platform().await.with_ledger().await;
    let log = Log::of_this_thread();
    let role = Role::with_all(&store).await;
    let mut worker = role.worker(&store, settings());
    until_told(&mut worker, |event| matches!(event, WorkerEvent::Ready { .. })).await;
    let of_role = format!("insert on operation_run_failures from {}", role.name);
    store.sql(&format!("revoke {of_role}")).await.unwrap();
    store
        .sql(
            "create function no_line() returns trigger language plpgsql as \
             $$ begin raise exception 'no'; end $$; \
             create trigger no_line before insert on fault_ledger for each row execute function no_line()",
        )
        .await
        .unwrap();
    let id = store.probe(RunScope::Tenant(1), json!({}), Rollout::default()).await;
    let told = until_told(&mut worker, lost).await.pop().unwrap().to_string();
    assert!(told.contains("grant insert on operation_run_failures"), "{told}");
    // Long enough for many tries.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let found =
        ["the database failed a step", "the database refused it"].map(|what| log.times(what));
    assert_eq!(found, [1, 0]);
    store.sql(&format!("grant {}", of_role.replace("from", "to"))).await.unwrap();
    let detail = store.end_of(id).await;
    assert_eq!((store.state(&detail), detail.failures.len()), (RunState::Failed, 1));
    let told = worker.stop().await;
    let again = |of: fn(&WorkerEvent) -> bool| told.iter().filter(|event| of(event)).count();
    assert_eq!((again(lost), again(back)), (0, 1), "{told:?}");
    drop(log);
    role.drop(&store).await;
}

#[test]
fn fr_037_006_what_an_end_may_not_write_for_want_of_a_grant_is_a_gap() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_platform().await.with_ledger().await;
        let admin = store.administrator().await;
        let role = Role::with_all(&store).await;
        let name = &role.name;
        let mut worker = role.worker(&store, settings());
        until_told(&mut worker, |event| matches!(event, WorkerEvent::Ready { .. })).await;
        for (table, grant, gaps) in [
            ("audit_logs", "insert", (1, 0, 0)),
            ("notifications", "insert", (0, 1, 0)),
            ("alert_deliveries", "insert", (0, 0, 1)),
            // What the alert is decided by.
            ("platform_settings", "select", (0, 0, 1)),
        ] {
            store.sql(&format!("revoke {grant} on {table} from {name}")).await.unwrap();
            let inputs = json!({ "deny": [1, 2, 3, 4] });
            let id = store.probe_of(&admin, inputs).await;
            let detail = store.end_of(id).await;
            assert_eq!(store.state(&detail), RunState::Failed, "{table}");
            let found = (detail.run.audit_gaps, detail.gaps.notifications, detail.gaps.alerts);
            assert_eq!((found, detail.run.fence), (gaps, 1), "{table}");
            let fault = detail.faults.iter().find(|fault| fault.fault.code == "42501");
            assert!(fault.is_some(), "{table}: {:?}", detail.faults);
            store.sql(&format!("grant {grant} on {table} to {name}")).await.unwrap();
        }
        let told = worker.stop().await;
        assert!(!told.iter().any(lost), "it waits for none of them: {told:?}");
        role.drop(&store).await;
    });
}
