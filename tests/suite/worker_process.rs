//! The worker as a process, and the commands that feed and steer it.

use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tenantpilot::domain::rollout::Rollout;
use tenantpilot::domain::run::RunStatus;
use tenantpilot::domain::summary_counts::CountKey;
use tenantpilot::ops::Consent;
use tenantpilot::ops::Engine;
use tenantpilot::ops::runs::RunScope;

use crate::cli::Person;
use crate::support::proxy::Proxy;
use crate::support::starts::Wish;
use crate::support::stores::{Store, block_on, both_engines};

/// A worker process; killed if a test ends before it does.
pub struct Process(Child);

impl Process {
    pub fn start(person: &Person, more: &[&str]) -> Self {
        let mut arguments = vec!["worker", "--no-schedule"];
        arguments.extend(more);
        Self(person.command(&arguments).spawn().unwrap())
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.0.id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Tells it to stop; gives its exit code and what it said.
    pub fn stop(mut self) -> (i32, String) {
        use std::io::Read as _;
        self.signal(Signal::TERM);
        let status = self.0.wait().unwrap();
        let mut said = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        // Trouble is told on the other stream.
        if let Some(mut trouble) = self.0.stderr.take() {
            trouble.read_to_string(&mut said).unwrap();
        }
        (status.code().unwrap_or(-1), said)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until a command's JSON says so.
fn until(person: &Person, arguments: &[&str], is: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..600 {
        let json = person.run(arguments).ends(0).json();
        if is(&json) {
            return json;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{arguments:?} never was as expected: {:?}", person.run(arguments));
}

const BACKFILL: &str = "findings.lifecycle_backfill";
const REASON: [&str; 4] = ["--reason-code", "DATA_REPAIR", "--reason", "rows of the import"];

impl Store {
    /// Findings of the time before the lifecycle model: `n` at each of the four tenants.
    async fn with_findings(self, n: i64) -> Self {
        let store = self.with_platform().await;
        let numbers = match store.engine {
            Engine::Postgres => format!("generate_series(1, {n}) as s (n)"),
            Engine::Sqlite => format!(
                "(with recursive s(n) as (select 1 union all select n + 1 from s where n < {n}) select n from s) s"
            ),
        };
        let text = format!(
            "insert into findings (workspace_id, tenant_id, recurrence_key, title, severity, status, created_at, updated_at) \
             select t.workspace_id, t.id, 'key-' || s.n, 'Finding', 'high', 'open', '2026-10-01T00:00:00+00:00', \
             '2026-10-01T00:00:00+00:00' from tenants t cross join {numbers} where t.id < 5"
        );
        store.sql(&text).await.unwrap();
        store
    }
}

both_engines! {
    async fn fr_013_018_a_worker_process_executes_what_the_command_line_starts(store) {
        let store = store.with_findings(30).await;
        let person = Person::administrator(&store.url);
        let worker = Process::start(&person, &["--chunk", "10"]);
        let all = |confirm: &'static str| {
            let mut arguments = vec!["runbooks", "start", BACKFILL, "--wait-for-worker", "--all-tenants", "--json", "--confirm", confirm];
            arguments.extend(REASON);
            arguments
        };
        let started = person.run(&all("BACKFILL 4")).ends(0).json();
        assert_eq!(started["created"], true);
        let id = started["run"]["id"].as_i64().unwrap().to_string();
        person.run(&["runs", "watch", &id, "--exit-status", "--interval", "100ms"]).ends(0);
        let run = person.run(&["runs", "show", &id, "--json"]).ends(0).json()["run"].clone();
        assert_eq!(run["state"], "succeeded");
        assert_eq!(run["summary_counts"]["updated"], 120, "{run}");
        assert_eq!(run["summary_counts"]["tenants"], 4, "{run}");
        let again = person.run(&all("BACKFILL 4")).ends(5);
        assert!(again.err.contains("nothing would be changed: 0 of 120"), "{again:?}");
        let workers = person.run(&["workers", "list", "--json"]).ends(0).json();
        assert_eq!(workers["workers"].as_array().unwrap().len(), 1);
        assert_eq!(workers["workers"][0]["silent"], false);
        let (code, said) = worker.stop();
        assert_eq!(code, 0, "{said}");
        for expected in ["is ready for", "claimed", "succeeded", "stopping"] {
            assert!(said.contains(expected), "{expected} is not in\n{said}");
        }
    }

    async fn fr_013_002_a_tenant_that_kills_its_workers_fails_alone(store) {
        let store = store.with_platform().await.with_ledger().await;
        let id = store.probe(RunScope::All, json!({ "steps": 3, "abort": 2 }), Rollout::default()).await;
        let person = Person::administrator(&store.url);
        let arguments = ["worker", "--no-schedule", "--lease", "900ms", "--heartbeat", "300ms"];
        let mut deaths = 0;
        let detail = loop {
            let mut command = person.command(&arguments);
            command.env("TENANTPILOT_TEST_PROBE", "1");
            let mut worker = Process(command.spawn().unwrap());
            let ended = loop {
                let detail = store.detail(id).await;
                if detail.run.status == RunStatus::Completed {
                    break Some(detail);
                }
                if worker.0.try_wait().unwrap().is_some() {
                    break None;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            };
            if let Some(detail) = ended {
                assert_eq!(worker.stop().0, 0);
                break detail;
            }
            deaths += 1;
            assert!(deaths <= 10, "the run never ends");
        };
        assert_eq!(deaths, 3, "so often a target may kill its worker");
        let counts = &detail.run.summary_counts;
        let get = |key| counts.get(key).unwrap_or(0);
        assert_eq!((get(CountKey::Succeeded), get(CountKey::Failed)), (3, 1), "{counts:?}");
        assert_eq!(detail.failures[0].tenant_id, Some(2));
        assert_eq!(detail.failures[0].reason_code, "step_crashed");
    }

    async fn fr_013_019_a_start_on_several_tenants_needs_a_reason_and_the_phrase(store) {
        let store = store.with_findings(1).await;
        let person = Person::administrator(&store.url);
        let start = |more: &[&str]| {
            let mut arguments = vec!["runbooks", "start", BACKFILL, "--wait-for-worker"];
            arguments.extend(more);
            person.run(&arguments)
        };
        for (more, code, told) in [
            (vec![], 2, "--all-tenants"),
            (vec!["--all-tenants"], 2, "reason"),
            ([&["--all-tenants"][..], &REASON].concat(), 2, "BACKFILL 4"),
            ([&["--all-tenants", "--confirm", "BACKFILL 3"][..], &REASON].concat(), 5, "BACKFILL 4"),
            ([&["--all-tenants", "--confirm", "backfill 4"][..], &REASON].concat(), 5, "BACKFILL 4"),
            (vec!["--tenant", "1", "--tenant", "2", "--reason-code", "WHIM", "--reason", "x"], 2, "INCIDENT"),
            (vec!["--tenant", "1", "--reason-code", "INCIDENT", "--reason", " \u{200b} "], 2, "empty"),
            (vec!["--tenant", "9"], 5, "platform's own"),
            (vec!["--tenant", "8"], 5, "archived"),
            (vec!["--tenant", "777"], 4, "not found"),
            (vec!["--tenant", "1", "--input", "dyas=30"], 2, "takes no input"),
            (vec!["--tenant", "1", "--concurrency", "0"], 2, "concurrency"),
            (vec!["--tenant", "1", "--error-threshold", "101%"], 2, "threshold"),
        ] {
            let done = start(&more).ends(code);
            assert!(done.err.contains(told), "{told} is not in {done:?}");
            assert_eq!(done.out, "");
        }
        assert_eq!(store.number("select count(*) from operation_runs").await, 0, "nothing was started");
        person.run(&["runbooks", "start", "no.such"]).ends(2);
        for wrong in ["dyas=30", "days=0", "days=soon", "days=-5"] {
            let done = person.run(&["runbooks", "start", "product_usage.prune", "--input", wrong]).ends(2);
            assert!(done.err.contains("days"), "{done:?}");
        }
        start(&["--tenant", "1", "--json", "--yes"]).ends(0);
        for same in [&["--tenant", "1", "--json", "--yes"][..], &["--tenant", "1", "--tenant", "1", "--json", "--yes"]] {
            let reused = start(same).ends(0).json();
            assert_eq!(reused["created"], false, "already running");
        }
        let list = person.run(&["runbooks", "list", "--json"]).ends(0).json();
        assert_eq!(list["runbooks"][0]["key"], BACKFILL);
    }

    async fn fr_013_019_runs_are_steered_from_the_command_line(store) {
        let store = store.with_findings(4).await;
        let person = Person::administrator(&store.url);
        let start = |tenant: &str| {
            let done = person.run(&["runbooks", "start", BACKFILL, "--wait-for-worker", "--tenant", tenant, "--json", "--yes"]).ends(0);
            done.json()["run"]["id"].as_i64().unwrap().to_string()
        };
        let id = start("1");
        let paused = person.run(&["runs", "pause", &id, "--json", "--yes"]).ends(0).json();
        assert_eq!((&paused["result"], &paused["run"]["state"]), (&"done".into(), &"paused".into()));
        person.run(&["runs", "resume", &id, "--yes"]).ends(0);
        person.run(&["runs", "resume", &id, "--yes"]).ends(5);
        person.run(&["runs", "retry", &id, "--yes"]).ends(5);
        let cancelled = person.run(&["runs", "cancel", &id, "--json", "--yes"]).ends(0).json();
        assert_eq!(cancelled["run"]["state"], "cancelled");
        let ended = person.run(&["runs", "cancel", &id, "--yes"]).ends(5);
        assert!(ended.err.contains("already ended"), "{ended:?}");
        person.run(&["runs", "cancel", "4711", "--yes"]).ends(4);
        let forced = person.run(&["runs", "cancel", &id, "--force"]).ends(5);
        assert!(forced.err.contains("already ended"), "{forced:?}");
        let retried = person.run(&["runs", "retry", &id, "--wait-for-worker", "--json", "--yes"]).ends(0).json();
        assert_eq!((&retried["target_count"], &retried["created"]), (&1.into(), &true.into()));
        let new = retried["run"]["id"].as_i64().unwrap().to_string();
        let worker = Process::start(&person, &[]);
        person.run(&["runs", "watch", &new, "--exit-status", "--interval", "100ms"]).ends(0);
        let run = until(&person, &["runs", "show", &new, "--json"], |json| json["run"]["state"] == "succeeded");
        assert_eq!(run["run"]["summary_counts"]["updated"], 4);
        assert_eq!(worker.stop().0, 0);
    }

    async fn fr_013_020_decisions_need_their_capability_and_are_audited(store) {
        use tenantpilot::domain::capability::{Capability as C, CapabilitySet};
        use tenantpilot::ops::runs::{CancelRun, CloseRun, PauseRun, ResumeRun, RetryRun};
        let store = store.with_platform().await;
        let admin = store.administrator().await;
        let id = store.start("policy.sync", 1).await;
        let looks: CapabilitySet = [C::AccessSystemPanel, C::OpsView].into_iter().collect();
        let viewer = store.user_with(&admin, "looks", looks, &[]).await;
        let refusals = [
            store.ops.run(&viewer.actor, CancelRun { run_id: id, consent: crate::support::starts::sure("CANCEL", id) }).await.unwrap_err(),
            store.ops.run(&viewer.actor, CloseRun { run_id: id, consent: crate::support::starts::sure("CLOSE", id) }).await.unwrap_err(),
            store.ops.run(&viewer.actor, PauseRun { run_id: id, consent: crate::support::starts::sure("PAUSE", id) }).await.unwrap_err(),
            store.ops.run(&viewer.actor, ResumeRun { run_id: id, consent: crate::support::starts::sure("RESUME", id) }).await.unwrap_err(),
        ];
        for refusal in refusals {
            assert!(refusal.message().contains("platform.ops.manage"), "{refusal}");
        }
        let denied = "select count(*) from audit_logs where status = 'denied' and action in \
                      ('runs.cancel', 'runs.close', 'runs.pause', 'runs.resume')";
        assert_eq!(store.number(denied).await, 4);
        // Who may run runbooks, but not this one, is told which capability is missing.
        let some = [C::AccessSystemPanel, C::OpsView, C::OpsManage, C::RunbooksView, C::RunbooksRun];
        let runner = store.user_with(&admin, "runs", some.into_iter().collect(), &[]).await;
        store.legacy_findings(&[1], 1).await;
        let scope = tenantpilot::ops::runs::RunScope::Tenant(1);
        let wish = Wish { source: tenantpilot::domain::run::Source::Cli, ..Wish::new(BACKFILL, scope) };
        let plan = wish.plan(&store.ops, &admin.actor).await.unwrap();
        let refusal = store.ops.run(&runner.actor, wish.start(&plan)).await.unwrap_err();
        assert!(refusal.message().contains("platform.runbooks.findings.lifecycle_backfill"), "{refusal}");
        assert_eq!(store.number("select count(*) from audit_logs where status = 'denied' and action = 'runbooks.start'").await, 1);
        let kept = store.ops.run(&admin.actor, wish.start(&plan)).await.unwrap().run_id;
        store.ops.run(&admin.actor, CancelRun { run_id: kept, consent: crate::support::starts::sure("CANCEL", kept) }).await.unwrap();
        let retry = RetryRun { run_id: kept, consent: Consent::yes(), source: tenantpilot::domain::run::Source::Cli, request_id: None, wait_for_worker: true };
        assert!(store.ops.run(&runner.actor, retry).await.unwrap_err().message().contains("lifecycle_backfill"));
        // What cannot be audited does not happen.
        let break_audit = match store.engine {
            Engine::Postgres => "create or replace function no() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$; \
                                 create trigger no before insert on audit_logs for each row when (new.action = 'runs.cancel') execute function no()",
            Engine::Sqlite => "create trigger no before insert on audit_logs when new.action = 'runs.cancel' begin select raise(abort, 'no'); end",
        };
        store.sql(break_audit).await.unwrap();
        store.ops.run(&admin.actor, CancelRun { run_id: id, consent: crate::support::starts::sure("CANCEL", id) }).await.unwrap_err();
        assert_eq!(store.text(&format!("select status from operation_runs where id = {id}")).await, "queued");
    }

    async fn fr_013_021_a_restricted_view_restricts_starts(store) {
        use tenantpilot::domain::capability::Role;
        use tenantpilot::domain::run::Source;
        use tenantpilot::ops::runs::{CancelRun, RunScope};
        let store = store.with_platform().await;
        let admin = store.administrator().await;
        let other = store.start("policy.sync", 3).await;
        let ben = store.user_with(&admin, "ben", Role::Operator.capabilities(), &[1]).await;
        store.legacy_findings(&[1], 1).await;
        let wish = |scope| Wish { source: Source::Cli, ..Wish::new(BACKFILL, scope) };
        for (scope, kind) in [
            (RunScope::Tenant(3), tenantpilot::ErrorKind::NotFound),
            (RunScope::Tenants(vec![1, 3]), tenantpilot::ErrorKind::NotFound),
            (RunScope::Workspace(2), tenantpilot::ErrorKind::NotFound),
            (RunScope::All, tenantpilot::ErrorKind::Forbidden),
        ] {
            let error = wish(scope.clone()).begin(&store.ops, &ben.actor).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{scope:?}: {error}");
        }
        assert_eq!(store.ops.run(&ben.actor, CancelRun { run_id: other, consent: crate::support::starts::sure("CANCEL", other) }).await.unwrap_err().kind(), tenantpilot::ErrorKind::NotFound);
        wish(RunScope::Tenant(1)).begin(&store.ops, &ben.actor).await.unwrap();
        let platform = Wish::new("operations.reconcile_stale", RunScope::Platform);
        let error = platform.begin(&store.ops, &ben.actor).await.unwrap_err();
        assert_eq!(error.kind(), tenantpilot::ErrorKind::Forbidden, "it would touch what is out of view");
    }
}

#[test]
fn fr_013_018_bad_settings_are_refused_before_anything_is_touched() {
    let person = Person::at("sqlite:///nowhere/at/all.db");
    for (more, told) in [
        (vec!["--lease", "20s"], "three heartbeats"),
        (vec!["--lease", "soon"], "--lease"),
        (vec!["--heartbeat", "1ms"], "heartbeat"),
        (vec!["--slots", "0"], "slots"),
    ] {
        let mut arguments = vec!["worker"];
        arguments.extend(more);
        let done = person.run(&arguments).ends(2);
        assert!(done.err.contains(told), "{told} is not in {done:?}");
    }
    let done = person.run(&["worker"]).ends(7);
    assert!(done.err.contains("migrate"), "{done:?}");
}

#[test]
fn fr_013_008_a_frozen_database_does_not_keep_a_worker_that_is_told_to_stop() {
    let store = block_on(async { Store::new(Engine::Postgres).await.with_findings(400).await });
    let person = Person::administrator(&store.url);
    let proxy = Proxy::start(&store.url);
    let behind = Person::at(&proxy.url(&store.url));
    let worker = Process::start(&behind, &["--chunk", "1"]);
    let start =
        ["runbooks", "start", BACKFILL, "--wait-for-worker", "--tenant", "1", "--json", "--yes"];
    let id = person.run(&start).ends(0).json()["run"]["id"].as_i64().unwrap().to_string();
    until(&person, &["runs", "show", &id, "--json"], |json| json["run"]["status"] == "running");
    proxy.pause();
    let told = std::time::Instant::now();
    let (code, said) = worker.stop();
    // Ten seconds are what is promised; the machine that tests may be slow. Without the
    // promise it would be the half minute that a claim may wait.
    assert!(told.elapsed() < Duration::from_secs(25), "{:?}: {said}", told.elapsed());
    assert_eq!(code, 0, "{said}");
}

#[test]
fn fr_013_017_a_worker_lives_through_an_outage_and_the_run_ends_exactly() {
    let store = block_on(async { Store::new(Engine::Postgres).await.with_findings(400).await });
    let person = Person::administrator(&store.url);
    let proxy = Proxy::start(&store.url);
    let behind = Person::at(&proxy.url(&store.url));
    // Before the worker can do anything the database is gone: it waits for that, too.
    proxy.cut();
    let worker =
        Process::start(&behind, &["--lease", "2s", "--heartbeat", "500ms", "--chunk", "1"]);
    let mut arguments = vec![
        "runbooks",
        "start",
        BACKFILL,
        "--wait-for-worker",
        "--all-tenants",
        "--json",
        "--confirm",
        "BACKFILL 4",
    ];
    arguments.extend(REASON);
    let started = person.run(&arguments).ends(0).json();
    let id = started["run"]["id"].as_i64().unwrap().to_string();
    std::thread::sleep(Duration::from_millis(500));
    let show = ["runs", "show", &id, "--json"];
    for hold in [Proxy::cut as fn(&Proxy), Proxy::pause] {
        proxy.restore();
        proxy.resume();
        until(&person, &show, |json| json["run"]["status"] != "queued");
        hold(&proxy);
        // Longer than the lease: the worker has to give the run up by its own clock.
        std::thread::sleep(Duration::from_secs(3));
    }
    proxy.restore();
    proxy.resume();
    let run = until(&person, &show, |json| json["run"]["status"] == "completed")["run"].clone();
    assert_eq!(run["state"], "succeeded", "{run}");
    assert_eq!(run["summary_counts"]["updated"], 1_600, "{run}");
    let left = "select count(*) from findings where status = 'open' or times_seen is null";
    assert_eq!(block_on(store.number(left)), 0);
    let (code, said) = worker.stop();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("database outage, retrying: the database cannot be reached"), "{said}");
    assert!(said.contains("database back after"), "{said}");
}
