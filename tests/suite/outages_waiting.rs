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
use tenantpilot::ops::runs::{BeginTarget, ClaimRun, OpenStart, RunScope, TakeBackStarts};

use crate::cli::Person;
use crate::support::console::Console;
use crate::support::stores::{Store, both_engines};
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
        service.run(&Actor::System, TakeBackStarts { run_id, fence, starts }).await.unwrap();
        run_id
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
        let (codes, now) = match store.engine {
            Engine::Postgres => (["53100", "25006", "55P03", "58030"], "clock_timestamp()"),
            Engine::Sqlite => (["13", "8", "5", "10"], "strftime('%Y-%m-%dT%H:%M:%f+00:00')"),
        };
        let id = store.held_up(1, codes[0]).await;
        // The command line has no clock that a test can fix.
        let last = async |at: &str| {
            store.sql(&format!("update operation_run_faults set last_at = {at}")).await.unwrap();
        };
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys(&format!("/id:{id}<enter><enter>")).await;
        let causes = ["its disk is full", "it is read-only", "another session holds a lock", "its server fails"];
        let words = ["database_full", "database_read_only", "database_locked", "database_failing"];
        for ((code, cause), word) in codes.into_iter().zip(causes).zip(words) {
            store.sql(&format!("update operation_run_faults set code = '{code}'")).await.unwrap();
            last(now).await;
            let text = format!("its worker tries again and waits for the database: {cause}");
            let shown = person.run(&["runs", "show", &id.to_string()]).ends(0).out;
            assert!(shown.contains(&format!("waits      {text}\n")), "{shown}");
            assert!(shown.contains("next       ") && shown.contains("; the run goes on by itself.\n"), "{shown}");
            let json = person.run(&["runs", "show", &id.to_string(), "--json"]).ends(0).json();
            assert_eq!((&json["run"]["waits"], &json["run"]["waits_sentence"]), (&json!(word), &json!(text)));
            console.poll().await;
            let page = console.screen().split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(page.contains(&format!("Waiting: {text}.")) && page.contains("; the run goes on by itself."), "{page}");
            let health = store.overview(&Actor::System, Window::Day).await.health;
            let wanted = format!("1 run waits for the database: {cause}");
            let reason = health.reasons.iter().find(|reason| reason.text == wanted).unwrap_or_else(|| panic!("{wanted}: {health:?}"));
            assert_eq!((reason.level, store.listed(&Actor::System, reason.filter.as_ref().unwrap()).await), (HealthLevel::Warning, 1));
        }
        // Several, and who does not see them.
        store.held_up(2, codes[3]).await;
        store.held_up(3, codes[3]).await;
        let said = async |actor: &Actor| {
            let health = store.overview(actor, Window::Day).await.health;
            health.reasons.into_iter().map(|reason| reason.text).filter(|text| text.contains("for the database")).collect::<Vec<_>>()
        };
        assert_eq!(said(&Actor::System).await, ["3 runs wait for the database: its server fails"]);
        let one = store.user_with(&admin, "one", Role::Administrator.capabilities(), &[2]).await;
        assert_eq!(said(&one.actor).await, Vec::<String>::new());
        // What is over is not told: a minute without an outage, a step that got on, a lost worker, an end.
        let told = async || {
            let shown = person.run(&["runs", "show", &id.to_string()]).ends(0).out;
            (shown.contains("waits for the database"), said(&Actor::System).await.len())
        };
        last(now).await;
        assert_eq!(told().await, (true, 1));
        last("'2026-11-20T11:58:00+00:00'").await;
        assert_eq!(told().await, (false, 0));
        last(now).await;
        for (over, again) in [
            ("update operation_runs set updated_at = '2999-01-01T00:00:00+00:00'", "update operation_runs set updated_at = '2026-11-20T12:00:00+00:00'"),
            ("update operation_run_leases set expires_at = '2020-01-01T00:00:00+00:00'", "update operation_run_leases set expires_at = '2999-01-01T00:00:00+00:00'"),
            ("update operation_run_faults set during = 'end'", "update operation_run_faults set during = 'step'"),
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
