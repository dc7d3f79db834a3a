//! What is told of a run whose steps wait for the database.

use std::time::Duration;

use serde_json::json;
use tenantpilot::access::Actor;
use tenantpilot::domain::capability::Role;
use tenantpilot::domain::database_fault::DatabaseFault;
use tenantpilot::domain::health::HealthLevel;
use tenantpilot::domain::rollout::Rollout;
use tenantpilot::domain::window::Window;
use tenantpilot::ops::Engine;
use tenantpilot::ops::overview::ReadOverview;
use tenantpilot::ops::runs::{BeginTarget, ClaimRun, GetRun, OpenStart, RunScope, TakeBackStarts};
use tenantpilot::ops::workers::{Beat, WorkerInfo};

use crate::cli::Person;
use crate::support::console::Console;
use crate::support::postgres::administer;
use crate::support::stores::{Store, block_on, both_engines};
use crate::worker::ops_settings;

impl Store {
    /// A run that was claimed, and whose first step met an outage.
    async fn held_up(&self, n: i64, code: &str) -> i64 {
        let run_id = self.probe(RunScope::All, json!({ "n": n }), Rollout::default()).await;
        let service = self.another(ops_settings());
        let claim = ClaimRun {
            owner: "w".to_owned(),
            types: vec!["testing.probe".to_owned()],
            lease: Duration::from_mins(5),
        };
        let fence = service.run(&Actor::System, claim).await.unwrap().unwrap().fence;
        let begin = BeginTarget { run_id, fence, ordinal: 0, crash: None, outage: None };
        service.run(&Actor::System, begin).await.unwrap();
        let fault = Some(DatabaseFault::new(code, None, None));
        let starts = vec![OpenStart { ordinal: 0, steps: 0, counted: 0, fault }];
        service
            .run(&Actor::System, TakeBackStarts { run_id, fence, starts, lost_by: None })
            .await
            .unwrap();
        self.worker_in(Some("an outage")).await;
        run_id
    }

    /// The heartbeat of the worker that holds such runs.
    async fn worker_in(&self, outage: Option<&str>) {
        let worker = WorkerInfo {
            id: "w".to_owned(),
            name: "host:1".to_owned(),
            types: vec!["testing.probe".to_owned()],
            slots: 9,
            heartbeat: Duration::from_mins(1),
        };
        let (runs, lease) = (Vec::new(), Duration::from_mins(5));
        let outage = outage.map(str::to_owned);
        let beat = Beat { worker, stopping: false, runs, lease, outage };
        self.ops.run(&Actor::System, beat).await.unwrap();
    }
}

both_engines! {
    async fn fr_037_003_a_start_is_taken_back_at_once_with_what_the_database_said(store) {
        let store = store.with_platform().await.with_ledger().await;
        let code = if store.engine == Engine::Postgres { "53100" } else { "13" };
        let id = store.held_up(1, code).await;
        let of = format!("from operation_run_targets where run_id = {id} and (starts > 0 or step_started_at is not null)");
        assert_eq!(store.number(&format!("select count(*) {of}")).await, 0);
        let fault = &store.detail(id).await.faults[0];
        assert_eq!((fault.fault.code.as_str(), fault.during.as_str(), fault.times), (code, "step", 1));
    }

    async fn fr_037_017_a_run_that_waits_for_the_database_says_so_with_the_cause(store) {
        let store = store.with_platform().await.with_ledger().await.with_active_worker().await;
        let admin = store.administrator().await;
        let person = Person::at(&store.url);
        person.login("administrator").ends(0);
        let (told, now) = match store.engine {
            Engine::Postgres => (&[
                ("53100", "its disk is full", "database_full"),
                ("25006", "it is read-only", "database_read_only"),
                ("55P03", "another session holds a lock", "database_locked"),
                ("53200", "it is out of memory", "database_out_of_memory"),
                ("53300", "it has too many connections", "database_too_many_connections"),
                ("57P03", "it is starting or stopping", "database_starting"),
                ("57P01", "it ended the connection", "database_disconnected"),
                ("58030", "its server fails", "database_failing"),
            ][..], "clock_timestamp()"),
            Engine::Sqlite => (&[
                ("13", "its disk is full", "database_full"),
                ("8", "it is read-only", "database_read_only"),
                ("5", "another session holds a lock", "database_locked"),
                ("10", "its file cannot be read or written", "database_unreadable"),
            ][..], "strftime('%Y-%m-%dT%H:%M:%f+00:00')"),
        };
        let (last_code, last_cause, _) = told[told.len() - 1];
        let id = store.held_up(1, told[0].0).await;
        // The command line has no clock that a test can fix.
        let last = async |at: &str| {
            store.sql(&format!("update operation_run_faults set last_at = {at}")).await.unwrap();
        };
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys(&format!("/id:{id}<enter>")).await;
        let mut wide = Console::open(&store.ops, 200, 50).await;
        wide.log_in("administrator").await;
        for (code, cause, word) in told {
            store.sql(&format!("update operation_run_faults set code = '{code}'")).await.unwrap();
            last(now).await;
            let text = format!("its worker tries again and waits for the database: {cause}");
            let shown = person.run(&["runs", "show", &id.to_string()]).ends(0).out;
            assert!(shown.contains(&format!("waits      {text}\n")), "{shown}");
            assert!(shown.contains("next       ") && shown.contains("; the run goes on by itself.\n"), "{shown}");
            let json = person.run(&["runs", "show", &id.to_string(), "--json"]).ends(0).json();
            assert_eq!((&json["run"]["waits"], &json["run"]["waits_sentence"]), (&json!(word), &json!(text)));
            // The list, in as many of these words as there is room for.
            let waits = format!("waits for the database: {cause}");
            let listed = person.run(&["runs", "list"]).ends(0).out;
            assert!(listed.contains(&format!(" {waits}\n")), "{listed}");
            let listed = person.run(&["runs", "list", "--json"]).ends(0).json()["runs"][0].clone();
            assert_eq!((&listed["waits"], &listed["waits_sentence"]), (&json!(word), &json!(text)));
            console.poll().await;
            let list = console.screen();
            assert!(list.contains(&cause[..15]), "{list}");
            wide.poll().await;
            let list = wide.screen();
            let preview = list.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
            assert!(list.contains(&cause[..15]) && preview.contains("its worker tries again and"), "{list}");
            console.keys("<enter>").await;
            let page = console.screen().split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(page.contains(&format!("Waiting: {text}.")) && page.contains("; the run goes on by itself."), "{page}");
            console.keys("2").await;
            let health = store.overview(&Actor::System, Window::Day).await.health;
            let wanted = format!("1 run {waits}");
            let reason = health.reasons.iter().find(|reason| reason.text == wanted).unwrap_or_else(|| panic!("{wanted}: {health:?}"));
            assert_eq!((reason.level, store.listed(&Actor::System, reason.filter.as_ref().unwrap()).await), (HealthLevel::Warning, 1));
        }
        // Several, and who does not see them.
        store.held_up(2, last_code).await;
        store.held_up(3, last_code).await;
        let said = async |actor: &Actor| {
            let health = store.overview(actor, Window::Day).await.health;
            health.reasons.into_iter().map(|reason| reason.text).filter(|text| text.contains("for the database")).collect::<Vec<_>>()
        };
        assert_eq!(said(&Actor::System).await, [format!("3 runs wait for the database: {last_cause}")]);
        let one = store.user_with(&admin, "one", Role::Administrator.capabilities(), &[2]).await;
        assert_eq!(said(&one.actor).await, Vec::<String>::new());
        // What is over is not told: a worker that is back, a minute without an outage, a step that
        // got on, a lost worker, an end.
        let told = async || {
            let shown = person.run(&["runs", "show", &id.to_string()]).ends(0).out;
            let listed = person.run(&["runs", "list", "--filter", &format!("id:{id}")]).ends(0).out;
            let waits = "waits for the database";
            assert_eq!(shown.contains(waits), listed.contains(waits), "{shown}{listed}");
            (shown.contains(waits), said(&Actor::System).await.len())
        };
        last(now).await;
        store.worker_in(None).await;
        assert_eq!(told().await, (false, 0));
        store.worker_in(Some("an outage")).await;
        last(now).await;
        assert_eq!(told().await, (true, 1));
        last("'2026-11-20T11:58:00+00:00'").await;
        assert_eq!(told().await, (false, 0));
        last(now).await;
        for (over, again) in [
            ("update operation_runs set updated_at = '2999-01-01T00:00:00+00:00'", "update operation_runs set updated_at = '2026-11-20T12:00:00+00:00'"),
            ("update operation_run_leases set expires_at = '2020-01-01T00:00:00+00:00'", "update operation_run_leases set expires_at = '2999-01-01T00:00:00+00:00'"),
        ] {
            store.sql(over).await.unwrap();
            assert_eq!(told().await, (false, 0), "{over}");
            store.sql(again).await.unwrap();
            assert_eq!(told().await, (true, 1), "{over}");
        }
        store.sql("update operation_run_targets set status = 'succeeded'; update operation_runs set status = 'completed', \
                   outcome = 'succeeded', lease_owner = null, completed_at = updated_at, summary_counts = '{}'").await.unwrap();
        assert_eq!(told().await, (false, 0));
    }
}

both_engines! {
    async fn fr_037_021_a_run_whose_end_waits_says_so_also_after_its_lease_and_health_is_critical(store) {
        let store = store.with_platform().await.with_ledger().await;
        let code = if store.engine == Engine::Postgres { "55P03" } else { "5" };
        let waits = store.held_up(1, code).await;
        let lost = store.held_up(2, code).await;
        store.worker_in(Some("an outage")).await;
        store.sql("update operation_run_faults set during = 'end', last_at = '2026-11-20T11:00:00+00:00'").await.unwrap();
        let facts = async |id: i64| {
            let detail = store.detail(id).await;
            let facts = detail.facts(store.clock.now());
            (facts.wait_text(), facts.next_while_active())
        };
        let text = "its worker tries again and waits for the database: another session holds a lock";
        let next = "Wait for the other session, or end it; the run goes on by itself.";
        let told = (Some(text.to_owned()), Some(next.to_owned()));
        assert_eq!([facts(waits).await, facts(lost).await], [told.clone(), told.clone()]);
        store.sql(&format!(
            "update operation_run_leases set heartbeat_at = '2019-12-31T23:59:00+00:00', expires_at = '2020-01-01T00:00:00+00:00' \
             where run_id = {lost}"
        )).await.unwrap();
        assert_eq!([facts(waits).await, facts(lost).await], [told.clone(), told]);
        let reasons = async || {
            let health = store.overview(&Actor::System, Window::Day).await.health;
            health.reasons.into_iter().map(|reason| (reason.level, reason.text)).collect::<Vec<_>>()
        };
        let critical = (HealthLevel::Critical, format!("run {lost}: the lease is overdue by more than 2 times its length"));
        let warning = (HealthLevel::Warning, "2 runs wait for the database: another session holds a lock".to_owned());
        assert_eq!(reasons().await[..2], [critical, warning]);
        // Once the worker is back, no run waits.
        store.worker_in(None).await;
        assert_eq!(facts(waits).await.0, None);
        assert!(!reasons().await.iter().any(|(_, text)| text.contains("for the database")));
    }
}

#[test]
fn fr_037_019_what_a_database_without_writes_holds_up_says_so() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_platform().await.with_ledger().await;
        store.administrator().await;
        let lost = store.held_up(1, "25006").await;
        let queued = store.probe(RunScope::Tenant(1), json!({ "n": 2 }), Rollout::default()).await;
        let idle = store.start("policy.sync", 3).await;
        let paused = store.probe(RunScope::Tenant(2), json!({ "n": 3 }), Rollout::default()).await;
        let past = "'2026-11-20T11:00:00+00:00'";
        for text in [
            format!("update operation_run_leases set heartbeat_at = {past}, expires_at = {past}"),
            format!("update operation_runs set paused_at = {past} where id = {paused}"),
            format!("update operation_runs set created_at = {past} where id in ({queued}, {idle})"),
            format!("update workers set heartbeat_at = {past}"),
        ] {
            store.sql(&text).await.unwrap();
        }
        let mut console = Console::open(&store.ops, 120, 40).await;
        console.log_in("administrator").await;
        let name = store.text("select current_database()::text").await;
        store
            .sql(&format!("alter database {name} set default_transaction_read_only = on"))
            .await
            .unwrap();
        administer(&format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
        ))
        .await;
        // The connections that were ended are noticed first.
        for _ in 0..10 {
            console.poll().await;
        }
        let list = console.screen();
        assert_eq!(list.matches("read-only").count(), 3, "header and two runs: {list}");
        assert_eq!(list.matches("no executor").count(), 1, "{list}");
        console.keys(&format!("/id:{lost}<enter><enter>")).await;
        let page = console.screen().split_whitespace().collect::<Vec<_>>().join(" ");
        let waits = "no run can be executed until the database takes writes: it is read-only";
        assert!(page.contains(&format!("Waiting: {waits}.")), "{page}");
        assert!(!page.contains("worker lost") && !page.contains("cancel the run"), "{page}");

        let reader = store.another(ops_settings());
        let facts = async |id: i64| {
            let detail = reader.run(&Actor::System, GetRun { id }).await.unwrap();
            let facts = detail.facts(store.clock.now());
            (facts.wait_text(), facts.next_while_active())
        };
        let next = "Let the database take writes; the run goes on by itself.";
        for id in [lost, queued] {
            assert_eq!(facts(id).await, (Some(waits.to_owned()), Some(next.to_owned())));
        }
        assert_eq!(facts(paused).await, (Some("paused until it is resumed".to_owned()), None));
        assert!(facts(idle).await.0.unwrap().contains("no executor"));
        let told = async || {
            let read = ReadOverview { window: Some(Window::Day) };
            let health = reader.run(&Actor::System, read).await.unwrap().health;
            health.reasons.into_iter().map(|reason| reason.text).collect::<Vec<_>>()
        };
        let reasons = told().await;
        assert!(
            reasons.contains(&"2 runs wait for the database: it is read-only".to_owned()),
            "{reasons:?}"
        );
        // What is overdue for long is critical, whatever the cause.
        let overdue = format!("run {lost}: the lease is overdue by more than 2 times its length");
        assert_eq!(reasons[0], overdue);
        let late = reasons.iter().filter(|text| text.contains("not started")).collect::<Vec<_>>();
        let [late] = late.as_slice() else { panic!("{reasons:?}") };
        assert!(late.starts_with(&format!("run {idle} not started: no executor")), "{late}");
        // A worker that writes all the same shows that it is this client alone that cannot.
        store
            .sql("begin read write; update workers set heartbeat_at = clock_timestamp(); commit")
            .await
            .unwrap();
        let (why, _) = facts(queued).await;
        assert!(!why.unwrap().contains("read-only"));
        assert!(told().await.iter().any(|text| text.contains("the lease")));
    });
}
