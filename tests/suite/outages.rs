//! Conditions of the server are outages: the worker waits for them, and no target fails of them.

use std::time::Duration;

use serde_json::json;
use sqlx::{Connection as _, Executor as _};
use tenantpilot::ErrorKind;
use tenantpilot::access::Actor;
use tenantpilot::domain::database_fault::Condition;
use tenantpilot::domain::rollout::Rollout;
use tenantpilot::domain::run::RunStatus;
use tenantpilot::domain::run_state::RunState;
use tenantpilot::ops::runs::{
    BeginTarget, Beginning, CancelRun, ClaimRun, CloseRun, Controlled, OpenStart, PauseRun,
    ResumeRun, RunDetail, RunScope, TakeBackStarts,
};
use tenantpilot::ops::{ConnectionLimits, Consent, Engine, OpsSettings};
use tenantpilot::worker::{WorkerEvent, WorkerSettings};

use crate::cli::Person;
use crate::support::stores::{Store, block_on, both_engines};
use crate::worker::{Running, counts, ops_settings, settings};

pub const ONE: WorkerSettingsOf = WorkerSettingsOf { lease: 3 };

/// Settings of a worker with one lane of work and a short lease.
pub struct WorkerSettingsOf {
    lease: u64,
}

impl WorkerSettingsOf {
    pub fn settings(&self) -> WorkerSettings {
        let lease = Duration::from_secs(self.lease);
        WorkerSettings { lease, heartbeat: Duration::from_millis(300), slots: 1, ..settings() }
    }
}

/// The trigger that makes the database refuse lines of the ledger with a code.
pub async fn refuse_steps(store: &Store, code: &str) {
    store
        .sql(&format!(
            "create or replace function refuse() returns trigger language plpgsql as \
             $$ begin raise exception 'token=hunter2secret' using errcode = '{code}'; end $$; \
             create trigger refuse before insert on fault_ledger for each row execute function refuse()"
        ))
        .await
        .unwrap();
}

/// Waits for an event; gives all that came, that one last.
pub async fn until_told(
    worker: &mut Running,
    is: impl Fn(&WorkerEvent) -> bool,
) -> Vec<WorkerEvent> {
    let mut told = Vec::new();
    loop {
        let next = tokio::time::timeout(Duration::from_mins(2), worker.events.recv()).await;
        let event = next.unwrap_or_else(|_| panic!("it was never told: {told:?}")).unwrap();
        let found = is(&event);
        told.push(event);
        if found {
            return told;
        }
    }
}

pub fn lost(event: &WorkerEvent) -> bool {
    matches!(event, WorkerEvent::DatabaseLost { .. })
}

pub fn back(event: &WorkerEvent) -> bool {
    matches!(event, WorkerEvent::DatabaseBack { .. })
}

/// Lets an outage last for several tries of a step, ends it, and holds the run to its exact end.
async fn outlive(store: &Store, worker: Running, id: i64, end: &str, why: &str) {
    let mut worker = worker;
    let mut told = until_told(&mut worker, lost).await;
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    assert_eq!(store.detail(id).await.run.status, RunStatus::Running, "it waits");
    store.sql(end).await.unwrap();
    let detail = store.end_of(id).await;
    assert_eq!(store.state(&detail), RunState::Succeeded, "{:?}", detail.failures);
    assert_eq!(counts(&detail)[..4], [4, 4, 0, 0]);
    assert!(detail.failures.is_empty());
    told.extend(worker.stop().await);
    let causes = told.iter().filter(|event| lost(event) && event.to_string().contains(why));
    assert_eq!(causes.count(), 1, "once per change of state: {told:?}");
    // A loaded machine may make one writer of a file wait for the other as well.
    let all = told.iter().filter(|event| lost(event)).count();
    let over = told.iter().filter(|event| back(event)).count();
    assert!((1..=all).contains(&over) && all <= 3, "{told:?}");
    let text = format!("{told:?}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn fr_037_001_conditions_of_a_postgresql_fail_no_target() {
    for (code, why) in [
        ("53100", "disk is full"),
        ("55P03", "lock"),
        ("25006", "read-only"),
        ("58030", "58030"),
        ("XX000", "XX000"),
    ] {
        block_on(async {
            let store =
                Store::new(Engine::Postgres).await.with_platform().await.with_ledger().await;
            let id = store.probe(RunScope::All, json!({ "steps": 3 }), Rollout::default()).await;
            refuse_steps(&store, code).await;
            let worker = Running::start(&store, ONE.settings());
            outlive(&store, worker, id, "drop trigger refuse on fault_ledger", why).await;
            assert_eq!(store.number("select count(*) from fault_ledger").await, 12, "{code}");
            let kept = format!(
                "select count(*) from operation_run_faults where run_id = {id} and during = 'step' and code = '{code}'"
            );
            assert_eq!(store.number(&kept).await, 1, "{code}");
        });
    }
}

#[test]
fn fr_013_004_a_step_that_the_database_ends_for_its_length_fails_as_a_timeout() {
    for code in ["57014", "25P04"] {
        block_on(async {
            let store =
                Store::new(Engine::Postgres).await.with_platform().await.with_ledger().await;
            let id = store.probe(RunScope::Tenant(1), json!({}), Rollout::default()).await;
            refuse_steps(&store, code).await;
            let worker = Running::start(&store, ONE.settings());
            let detail = store.end_of(id).await;
            assert_eq!(store.state(&detail), RunState::Failed);
            assert_eq!(detail.run.reason_code.as_deref(), Some("timeout"));
            let [failure] = detail.failures.as_slice() else { panic!("{:?}", detail.failures) };
            let told = format!("the database ended the step: it took too long (SQLSTATE {code})");
            assert_eq!(
                (failure.reason_code.as_str(), failure.message.as_str()),
                ("timeout", &*told)
            );
            let [fault] = detail.faults.as_slice() else { panic!("{:?}", detail.faults) };
            assert_eq!((fault.fault.code.as_str(), fault.times), (code, 2), "tried twice");
            assert!(!worker.stop().await.iter().any(lost), "it is no outage");
        });
    }
}

#[test]
fn fr_037_001_a_full_sqlite_fails_no_target_and_is_used_again_once_there_is_room() {
    block_on(async {
        let store = Store::new(Engine::Sqlite).await.with_platform().await.with_ledger().await;
        store.sql("create table filler (data blob)").await.unwrap();
        store.sql("insert into filler values (zeroblob(4000000))").await.unwrap();
        let inputs = json!({ "steps": 400 });
        let id = store.probe(RunScope::All, inputs, Rollout::default()).await;
        let size = store.number("select page_count from pragma_page_count").await;
        let pages = Some(u32::try_from(size).unwrap());
        let limits = ConnectionLimits { pages, ..ConnectionLimits::default() };
        let ops = OpsSettings { limits, ..ops_settings() };
        let worker = Running::with(&store, ONE.settings(), &ops);
        outlive(&store, worker, id, "delete from filler", "disk is full").await;
        assert_eq!(store.number("select count(*) from fault_ledger").await, 1_600);
    });
}

both_engines! {
    async fn fr_037_002_a_lock_of_another_session_is_waited_for(store) {
        let store = store.with_platform().await.with_ledger().await;
        let id = store.probe(RunScope::All, json!({ "steps": 40, "pause_ms": 5 }), Rollout::default()).await;
        let mut worker = Running::start(&store, WorkerSettings { lease: Duration::from_secs(6), ..ONE.settings() });
        store.until(id, "under way", |d| d.targets.iter().any(|target| target.starts > 0)).await;
        // More than a moment in which a loaded machine does nothing.
        let soon = |since: std::time::Instant, within: u64| {
            assert!(since.elapsed() < Duration::from_secs(within + 3), "{:?}", since.elapsed());
        };
        let (told, over) = match store.engine {
            Engine::Postgres => {
                let mut other = sqlx::PgConnection::connect(&store.url).await.unwrap();
                other.execute("begin").await.unwrap();
                other.execute("lock table fault_ledger in access exclusive mode").await.unwrap();
                let since = std::time::Instant::now();
                let told = until_told(&mut worker, lost).await;
                soon(since, 5);
                let waits = |d: &RunDetail| d.run.basis.outage == Some(Condition::Locked);
                store.until(id, "waiting for the database", waits).await;
                tokio::time::sleep(Duration::from_secs(5)).await;
                other.execute("rollback").await.unwrap();
                (told, std::time::Instant::now())
            }
            Engine::Sqlite => {
                let mut other = sqlx::SqliteConnection::connect(&store.url).await.unwrap();
                other.execute("pragma busy_timeout = 10000").await.unwrap();
                other.execute("begin immediate").await.unwrap();
                let since = std::time::Instant::now();
                let told = until_told(&mut worker, lost).await;
                soon(since, 5);
                tokio::time::sleep(Duration::from_secs(3)).await;
                other.execute("rollback").await.unwrap();
                (told, std::time::Instant::now())
            }
        };
        let cause = told.iter().find(|event| lost(event)).unwrap().to_string();
        assert!(cause.starts_with("database outage, retrying: another session holds a lock ("), "{cause}");
        until_told(&mut worker, back).await;
        soon(over, 2);
        let since = std::time::Instant::now();
        store.until(id, "not waiting any more", |d| d.run.basis.outage.is_none()).await;
        assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
        let detail = store.end_of(id).await;
        assert_eq!(counts(&detail)[..4], [4, 4, 0, 0], "{:?}", detail.failures);
        assert_eq!(store.number("select count(*) from fault_ledger").await, 160);
        worker.stop().await;
    }

    async fn fr_037_003_a_start_that_an_outage_came_after_is_taken_back(store) {
        let store = store.with_platform().await.with_ledger().await;
        let run_id = store.probe(RunScope::Tenants(vec![1, 2]), json!({}), Rollout::default()).await;
        let service = store.another(ops_settings());
        let claim = |owner: &str| ClaimRun {
            owner: owner.to_owned(), types: vec!["testing.probe".to_owned()], lease: Duration::from_mins(5),
        };
        let first = service.run(&Actor::System, claim("a")).await.unwrap().unwrap();
        let begin = |fence, outage| BeginTarget { run_id, fence, ordinal: 0, crash: None, outage };
        let starts = format!("select starts from operation_run_targets where run_id = {run_id} and ordinal = 0");
        // A worker that knows of the outage begins as often as it likes, also where it does not
        // know whether the last start was committed.
        for counted in [0, 0, 0, 0, 1] {
            let outage = tenantpilot::ops::runs::Outage { counted, fault: None };
            let begun = service.run(&Actor::System, begin(first.fence, Some(outage))).await.unwrap();
            assert!(matches!(begun, Beginning::Begun(_)), "{begun:?}");
            assert_eq!(store.number(&starts).await, counted + 1);
        }
        // It loses the run, and another one takes over.
        store.sql("update operation_run_leases set expires_at = '2020-01-01T00:00:00+00:00'").await.unwrap();
        let second = service.run(&Actor::System, claim("b")).await.unwrap().unwrap();
        assert_eq!(second.takeovers, 1);
        let back = TakeBackStarts {
            run_id, fence: first.fence, starts: vec![OpenStart { ordinal: 0, steps: 0, counted: 1, fault: None }],
            lost_by: Some("a".to_owned()),
        };
        service.run(&Actor::System, back.clone()).await.unwrap();
        assert_eq!(store.number(&starts).await, 1);
        assert_eq!(store.number("select takeovers from operation_runs").await, 0);
        // What counted before stays, and progress is not touched.
        service.run(&Actor::System, back.clone()).await.unwrap();
        assert_eq!(store.number(&starts).await, 1);
        store.sql("update operation_run_targets set steps = 1, starts = 2 where ordinal = 0").await.unwrap();
        service.run(&Actor::System, back).await.unwrap();
        assert_eq!(store.number(&starts).await, 2);
    }

    async fn fr_037_009_a_worker_that_meets_a_newer_schema_says_so_and_ends(store) {
        let store = store.with_platform().await.with_ledger().await;
        let under_way = store.probe(RunScope::All, json!({ "steps": 4000, "pause_ms": 5 }), Rollout::default()).await;
        let mut worker = Running::start(&store, ONE.settings());
        store.until(under_way, "under way", |d| d.targets.iter().any(|target| target.starts > 0)).await;
        let (checksum, now) = match store.engine {
            Engine::Postgres => ("''::bytea", "now()"),
            Engine::Sqlite => ("x''", "datetime('now')"),
        };
        store.sql(&format!(
            "insert into _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
             values (9000, 'newer', {now}, true, {checksum}, 0); \
             update platform_settings set value = '9000' where key = 'oldest_program'"
        )).await.unwrap();
        // Once the newer schema stands, nothing is claimed any more, however quick one is.
        let claim = ClaimRun { owner: "quick".to_owned(), types: Vec::new(), lease: Duration::from_mins(5) };
        let next = tenantpilot::ops::runs::ClaimNext { claim, except: Vec::new() };
        let refused = store.ops.run(&Actor::System, next).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Refused);
        assert!(refused.message().contains("9000"), "{refused}");
        let told = until_told(&mut worker, |event| matches!(event, WorkerEvent::Outdated { .. })).await;
        assert!(told.last().unwrap().to_string().contains("9000"), "{told:?}");
        let ended = tokio::time::timeout(Duration::from_secs(30), worker.task).await.unwrap().unwrap();
        assert_eq!(ended.unwrap_err().exit_code(), 5);
        let status = format!("select status from operation_runs where id = {under_way}");
        assert_eq!(store.text(&status).await, "queued", "what it held is released");
    }

    async fn fr_037_009_a_claim_that_a_newer_schema_refuses_is_told_as_one_change(store) {
        let store = store.with_platform().await;
        // Many slots, so that a claim meets the schema before a heartbeat does.
        let mut worker = Running::start(&store, WorkerSettings { heartbeat: Duration::from_secs(10), slots: 16, ..settings() });
        until_told(&mut worker, |event| matches!(event, WorkerEvent::Ready { .. })).await;
        let (checksum, now) = match store.engine {
            Engine::Postgres => ("''::bytea", "now()"),
            Engine::Sqlite => ("x''", "datetime('now')"),
        };
        store.sql(&format!(
            "insert into _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
             values (9000, 'newer', {now}, true, {checksum}, 0); \
             update platform_settings set value = '9000' where key = 'oldest_program'"
        )).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(30), worker.task).await.unwrap().unwrap();
        assert_eq!(ended.unwrap_err().exit_code(), 5);
        let mut told = Vec::new();
        while let Some(event) = worker.events.recv().await {
            told.push(event);
        }
        assert!(matches!(told.as_slice(), [WorkerEvent::Outdated { .. }]), "{told:?}");
    }

    async fn fr_037_010_a_refusal_for_want_of_its_audit_row_says_so(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await;
        let id = store.start("policy.sync", 1).await;
        let refuse = match store.engine {
            Engine::Postgres => "create function no() returns trigger language plpgsql as $$ begin raise exception 'no' \
                using errcode = '53100'; end $$; \
                create trigger no before insert on audit_logs for each row execute function no()",
            Engine::Sqlite => "create trigger no before insert on audit_logs begin select raise(abort, 'no'); end",
        };
        store.sql(refuse).await.unwrap();
        let error = store.ops.run(&admin.actor, CancelRun { run_id: id, consent: crate::support::starts::sure("CANCEL", id) }).await.unwrap_err();
        assert_eq!(error.message(), "the audit row could not be written, so nothing was done");
        assert!(error.message().len() <= 80);
        let cause = if store.engine == Engine::Postgres { "disk is full" } else { "the database" };
        assert!(error.next_step().unwrap().contains(cause), "{error}");
        assert_eq!(store.text(&format!("select status from operation_runs where id = {id}")).await, "queued");
    }

    async fn fr_037_010_a_dry_run_needs_no_room_for_an_audit_row(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await;
        let [free, paused, ended] = [("policy.sync", 1), ("policy.sync", 2), ("policy.sync", 3)].map(|(key, tenant)| store.start(key, tenant));
        let (free, paused, ended) = (free.await, paused.await, ended.await);
        let actor = &admin.actor;
        let cancel = |run_id, consent| CancelRun { run_id, consent };
        store.ops.run(actor, cancel(ended, Consent::yes())).await.unwrap();
        store.ops.run(actor, PauseRun { run_id: paused, consent: Consent::yes() }).await.unwrap();
        for (name, event) in [
            ("a", "insert on audit_logs"), ("b", "insert on operation_run_requests"), ("c", "update on operation_runs"),
        ] {
            let refuse = match store.engine {
                Engine::Postgres => format!(
                    "create function {name}() returns trigger language plpgsql as $$ begin raise exception 'no' \
                     using errcode = '53100'; end $$; \
                     create trigger {name} before {event} for each row execute function {name}()"
                ),
                Engine::Sqlite => format!("create trigger {name} before {event} begin select raise(abort, 'no'); end"),
            };
            store.sql(&refuse).await.unwrap();
        }
        let dry = Consent::dry_run;
        assert_eq!(store.ops.run(actor, cancel(free, dry())).await.unwrap(), Controlled::Done);
        assert_eq!(store.ops.run(actor, PauseRun { run_id: free, consent: dry() }).await.unwrap(), Controlled::Done);
        assert_eq!(store.ops.run(actor, CloseRun { run_id: free, consent: dry() }).await.unwrap(), Controlled::Done);
        assert_eq!(store.ops.run(actor, ResumeRun { run_id: paused, consent: dry() }).await.unwrap(), Controlled::Done);
        // A refusal is on record, or nothing is said of the run.
        let error = store.ops.run(actor, cancel(ended, dry())).await.unwrap_err();
        assert_eq!(error.message(), "the audit row could not be written, so nothing was done");
    }

    async fn fr_037_011_workers_of_another_day_are_listed_only_when_asked_for(store) {
        let store = store.with_platform().await;
        let insert = |id: &str, days: i64| {
            let at = match store.engine {
                Engine::Postgres => format!("now() - interval '{days} days 1 hour'"),
                Engine::Sqlite => format!("strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '-{days} days', '-1 hours')"),
            };
            format!("insert into workers (id, name, version, runbooks, slots, heartbeat_seconds, started_at, heartbeat_at) \
                     values ('{id}', 'host:{id}', '1', '[]', 1, 10, {at}, {at})")
        };
        store.sql(&insert("lately", 0)).await.unwrap();
        store.sql(&insert("longago", 2)).await.unwrap();
        let person = Person::administrator(&store.url);
        let listed = person.run(&["workers", "list"]).ends(0);
        assert!(listed.out.contains("host:lately") && !listed.out.contains("host:longago"), "{listed:?}");
        assert!(listed.err.contains("1 worker not heard of for more than a day; list with --all"), "{listed:?}");
        let all = person.run(&["workers", "list", "--all", "--json"]).ends(0).json();
        let gone: Vec<(&str, bool)> = all["workers"].as_array().unwrap().iter()
            .map(|worker| (worker["name"].as_str().unwrap(), worker["gone"].as_bool().unwrap())).collect();
        assert_eq!(gone, [("host:lately", false), ("host:longago", true)]);
    }

    async fn fr_037_012_a_target_whose_tenant_is_gone_is_skipped(store) {
        let store = store.with_platform().await.with_ledger().await;
        let some = store.probe(RunScope::All, json!({ "steps": 2 }), Rollout::default()).await;
        let none = store.probe(RunScope::Tenant(2), json!({ "n": 2 }), Rollout::default()).await;
        store.sql("update tenants set archived_at = '2026-11-20T12:00:00+00:00' where id = 2").await.unwrap();
        let worker = Running::start(&store, settings());
        let detail = store.end_of(some).await;
        assert_eq!((store.state(&detail), counts(&detail)), (RunState::Succeeded, [4, 3, 0, 1, 6]));
        assert!(detail.failures.is_empty());
        let target = detail.targets.iter().find(|target| target.tenant_id == Some(2)).unwrap();
        assert_eq!((target.status.as_str(), target.reason_code.as_deref()), ("skipped", Some("tenant_gone")));
        let detail = store.end_of(none).await;
        assert_eq!((store.state(&detail), counts(&detail)[3]), (RunState::Blocked, 1));
        assert_eq!(detail.run.reason_code.as_deref(), Some("tenant_gone"));
        worker.stop().await;
    }
}

#[test]
fn fr_037_003_during_an_outage_only_a_step_in_flight_counts_as_a_start() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_platform().await.with_ledger().await;
        let rollout = Rollout { concurrency: 1, ..Rollout::default() };
        let id = store.probe(RunScope::All, json!({}), rollout).await;
        refuse_steps(&store, "53100").await;
        let worker = Running::start(&store, ONE.settings());
        let tries = |n: i64| {
            format!(
                "select cast(case when sum(times) >= {n} then 1 else 0 end as bigint) from operation_run_faults where run_id = {id}"
            )
        };
        let open = format!(
            "select count(*) from operation_run_targets where run_id = {id} and starts > 0"
        );
        while store.number(&tries(4)).await == 0 {
            assert!(store.number(&open).await <= 1);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        store.sql("drop trigger refuse on fault_ledger").await.unwrap();
        assert_eq!(counts(&store.end_of(id).await)[..2], [4, 4]);
        worker.stop().await;
    });
}

#[test]
fn fr_037_004_a_read_only_database_is_told_once_and_back_only_with_a_write() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_platform().await.with_ledger().await;
        let name = store.text("select current_database()::text").await;
        let others = "select pg_terminate_backend(pid) from pg_stat_activity \
                      where datname = current_database() and pid <> pg_backend_pid()";
        let mut worker = Running::start(&store, ONE.settings());
        until_told(&mut worker, |event| matches!(event, WorkerEvent::Ready { .. })).await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        let read_only =
            |on: &str| format!("alter database {name} set default_transaction_read_only = {on}");
        store.sql(&read_only("on")).await.unwrap();
        store.sql(others).await.unwrap();
        let told = until_told(&mut worker, |event| event.to_string().contains("read-only")).await;
        assert!(!told.iter().any(back), "{told:?}");
        // Long enough for many tries, each of which may read.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let mut more = Vec::new();
        while let Ok(event) = worker.events.try_recv() {
            more.push(event);
        }
        assert!(!more.iter().any(back), "no write has succeeded: {more:?}");
        assert!(more.len() <= 2, "not per try: {more:?}");
        let writable = format!(
            "begin read write; alter database {name} set default_transaction_read_only = off; commit"
        );
        crate::support::postgres::administer(&writable).await;
        // The sessions that began meanwhile keep their default, and are given up.
        until_told(&mut worker, back).await;
        let id = store.probe(RunScope::All, json!({}), Rollout::default()).await;
        assert_eq!(counts(&store.end_of(id).await)[..2], [4, 4]);
        worker.stop().await;
    });
}
