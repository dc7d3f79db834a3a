//! What an outage does to the targets of a run, to its takeovers, and to what a worker says of it.

use std::time::Duration;

use serde_json::json;
use sqlx::Connection as _;
use tenantpilot::access::Actor;
use tenantpilot::domain::rollout::Rollout;
use tenantpilot::domain::run::RunStatus;
use tenantpilot::domain::run_state::RunState;
use tenantpilot::ops::Engine;
use tenantpilot::ops::runs::{ClaimRun, RunScope, TAKEOVER_LIMIT, TakeBackStarts};
use tenantpilot::worker::{Loss, WorkerEvent, WorkerSettings};

use crate::outages::{ONE, back, lost, refuse_steps, until_told};
use crate::support::stores::{Store, block_on, both_engines};
use crate::worker::{Running, ops_settings};

const ONE_LANE: Rollout = Rollout { concurrency: 1, error_threshold: None, canary: 0 };

both_engines! {
    async fn fr_037_003_an_outage_that_outlasts_the_lease_is_no_lost_worker(store) {
        let store = store.with_platform().await;
        let run_id = store.probe(RunScope::All, json!({}), Rollout::default()).await;
        let service = store.another(ops_settings());
        let claim = async |owner: &str| {
            let types = vec!["testing.probe".to_owned()];
            let claim = ClaimRun { owner: owner.to_owned(), types, lease: Duration::from_mins(5) };
            let claimed = service.run(&Actor::System, claim).await.unwrap().expect("it is free");
            store.sql("update operation_run_leases set expires_at = '2020-01-01T00:00:00+00:00'").await.unwrap();
            (claimed.fence, claimed.takeovers)
        };
        // Its own process goes on with it, as often as it likes.
        for n in 0..=TAKEOVER_LIMIT + 1 {
            assert_eq!(claim("a").await, (n + 1, 0));
        }
        // It says that it lost the run before another one takes it, or after that.
        let (fence, _) = claim("a").await;
        let back = |fence, owner: &str| TakeBackStarts { run_id, fence, starts: Vec::new(), lost_by: Some(owner.to_owned()) };
        service.run(&Actor::System, back(fence, "a")).await.unwrap();
        assert_eq!(claim("b").await, (fence + 1, 0));
        assert_eq!(claim("a").await, (fence + 2, 1), "b was lost");
        service.run(&Actor::System, back(fence + 1, "b")).await.unwrap();
        assert_eq!(store.number("select takeovers from operation_runs").await, 0);
        // A worker that is lost stays counted.
        assert_eq!(claim("b").await, (fence + 3, 1));
        service.run(&Actor::System, back(fence + 1, "b")).await.unwrap();
        assert_eq!(claim("c").await, (fence + 4, 2), "b holds it itself again");
    }
}

#[test]
fn fr_037_002_a_lock_on_the_next_target_holds_up_no_step_of_the_one_before() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_platform().await.with_ledger().await;
        let id = store.probe(RunScope::All, json!({}), ONE_LANE).await;
        let mut other = sqlx::PgConnection::connect(&store.url).await.unwrap();
        let mut held = other.begin().await.unwrap();
        sqlx::query("select 1 from operation_run_targets where ordinal = 1 for update")
            .execute(&mut *held)
            .await
            .unwrap();
        let worker = Running::start(&store, ONE.settings());
        let done = "select count(*) from operation_run_targets where status = 'succeeded' and ordinal <> 1";
        while store.number(done).await < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(store.detail(id).await.run.status, RunStatus::Running);
        held.rollback().await.unwrap();
        let detail = store.end_of(id).await;
        assert_eq!(store.state(&detail), RunState::Succeeded, "{:?}", detail.failures);
        worker.stop().await;
    });
}

#[test]
fn fr_037_004_the_targets_of_an_outage_come_before_those_that_go_on() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_platform().await.with_ledger().await;
        let id =
            store.probe(RunScope::All, json!({ "steps": 400, "pause_ms": 10 }), ONE_LANE).await;
        refuse_steps(&store, "53100").await;
        let mut worker = Running::start(&store, ONE.settings());
        let pending = "select count(*) from operation_run_targets where status = 'pending'";
        let met = "select count(*) from operation_run_faults where times >= 4";
        until_told(&mut worker, lost).await;
        while store.number(met).await == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        store.sql("drop trigger refuse on fault_ledger").await.unwrap();
        let told = until_told(&mut worker, back).await;
        assert_eq!(store.number(pending).await, 4, "none is through: {told:?}");
        let detail = store.detail(id).await;
        assert!(detail.targets.iter().all(|target| target.starts <= 1), "{:?}", detail.targets);
        worker.stop().await;
    });
}

#[test]
fn fr_037_004_what_cost_a_run_its_lease_is_over_with_its_next_step() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_platform().await.with_ledger().await;
        let id = store
            .probe(RunScope::Tenant(1), json!({ "steps": 300, "pause_ms": 10 }), ONE_LANE)
            .await;
        let mut worker = Running::start(&store, ONE.settings());
        store.until(id, "under way", |d| d.targets.iter().any(|target| target.items > 0)).await;
        let no_room = "create function no_room() returns trigger language plpgsql as \
             $$ begin raise exception 'no' using errcode = '53100'; end $$; \
             create trigger no_lease before insert or update on operation_run_leases \
             for each row execute function no_room(); \
             create trigger no_line before insert on fault_ledger \
             for each row execute function no_room()";
        store.sql(no_room).await.unwrap();
        let expired =
            |event: &WorkerEvent| matches!(event, WorkerEvent::Lost { why: Loss::Expired, .. });
        let mut told = until_told(&mut worker, expired).await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        store.sql("drop trigger no_lease on operation_run_leases").await.unwrap();
        let goes_on = |event: &WorkerEvent| matches!(event, WorkerEvent::GoesOn { .. });
        told.extend(until_told(&mut worker, goes_on).await);
        tokio::time::sleep(Duration::from_millis(500)).await;
        while let Ok(event) = worker.events.try_recv() {
            told.push(event);
        }
        assert!(!told.iter().any(back), "no step has been written: {told:?}");
        store.sql("drop trigger no_line on fault_ledger").await.unwrap();
        told.extend(until_told(&mut worker, back).await);
        assert_eq!(
            told.iter().filter(|event| event.to_string().contains("53100")).count(),
            1,
            "{told:?}"
        );
        worker.stop().await;
    });
}

#[test]
fn fr_037_005_a_run_that_is_refused_is_no_outage() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_platform().await.with_ledger().await;
        let id = store.probe(RunScope::All, json!({}), ONE_LANE).await;
        store.refuse("no_start", "update on operation_run_targets", "").await;
        let mut worker = Running::start(
            &store,
            WorkerSettings { heartbeat: Duration::from_millis(300), ..ONE.settings() },
        );
        let postponed = |event: &WorkerEvent| matches!(event, WorkerEvent::Postponed { .. });
        let mut told = until_told(&mut worker, postponed).await;
        let fence = store.detail(id).await.run.fence;
        store.until(id, "tried again", |d| d.run.fence > fence).await;
        store.allow("no_start", "operation_run_targets").await;
        let detail = store.end_of(id).await;
        assert_eq!(store.state(&detail), RunState::Succeeded, "{:?}", detail.failures);
        told.extend(worker.stop().await);
        let of_outages = told.iter().filter(|event| lost(event) || back(event));
        assert_eq!(of_outages.count(), 0, "{told:?}");
        assert_eq!(told.iter().filter(|event| postponed(event)).count(), 1, "{told:?}");
    });
}
