//! Ends of runs that cannot be written, or not in full, and what the database said of failures.

use std::time::Duration;

use serde_json::json;
use tenantpilot::access::Actor;
use tenantpilot::domain::database_fault::Condition;
use tenantpilot::domain::rollout::Rollout;
use tenantpilot::domain::run::{RunStatus, Source};
use tenantpilot::domain::run_state::RunState;
use tenantpilot::ops::Engine;
use tenantpilot::ops::runs::{ClaimRun, CloseRun, RunDetail, RunScope, TAKEOVER_LIMIT};
use tenantpilot::worker::{WorkerEvent, WorkerSettings};

use crate::cli::Person;
use crate::outages::{back, lost, until_told};
use crate::support::starts::Wish;
use crate::support::stores::{Store, block_on, both_engines};
use crate::worker::{Running, counts, ops_settings, settings};

fn one_slot() -> WorkerSettings {
    WorkerSettings {
        slots: 1,
        lease: Duration::from_secs(3),
        heartbeat: Duration::from_millis(300),
        ..settings()
    }
}

impl Store {
    /// Has the database refuse something, with a text that nobody may see.
    pub async fn refuse(&self, name: &str, event: &str, when: &str) {
        let text = match self.engine {
            Engine::Postgres => format!(
                "create or replace function {name}() returns trigger language plpgsql as \
                 $$ begin raise exception 'password=hunter2secret'; end $$; \
                 create trigger {name} before {event} for each row {when} execute function {name}()"
            ),
            Engine::Sqlite => format!(
                "create trigger {name} before {event} {when} begin select raise(abort, 'password=hunter2secret'); end"
            ),
        };
        self.sql(&text).await.unwrap();
    }

    pub async fn allow(&self, name: &str, table: &str) {
        let of =
            if self.engine == Engine::Postgres { format!(" on {table}") } else { String::new() };
        self.sql(&format!("drop trigger {name}{of}")).await.unwrap();
    }

    /// A run that a platform user started, who is to be notified.
    pub async fn probe_of(
        &self,
        person: &tenantpilot::ops::auth::Session,
        inputs: serde_json::Value,
    ) -> i64 {
        let wish =
            Wish { inputs, source: Source::Cli, ..Wish::new("testing.probe", RunScope::All) };
        wish.begin(&self.another(ops_settings()), &person.actor).await.unwrap().run_id
    }
}

fn stopped(detail: &RunDetail) -> Option<String> {
    detail.stop_reason.map(|reason| reason.as_str().to_owned())
}

#[test]
fn fr_037_006_an_end_that_waits_for_its_audit_row_says_so() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_platform().await.with_ledger().await;
        let id = store.probe(RunScope::Tenant(1), json!({}), Rollout::default()).await;
        let text = "create function no_room() returns trigger language plpgsql as \
             $$ begin raise exception 'no' using errcode = '53100'; end $$; \
             create trigger no_room before insert on audit_logs for each row \
             when (new.action = 'runs.complete') execute function no_room()";
        store.sql(text).await.unwrap();
        let mut worker = Running::start(&store, one_slot());
        let postponed = |event: &WorkerEvent| matches!(event, WorkerEvent::Postponed { .. });
        let told = until_told(&mut worker, postponed).await.pop().unwrap().to_string();
        let why =
            "the audit row of its end could not be written, so it has not ended (SQLSTATE 53100";
        assert!(told.contains(why) && !told.contains("nothing was done"), "{told}");
        assert_eq!(
            store.number("select count(*) from fault_ledger").await,
            1,
            "its step is committed"
        );
        store.sql("drop trigger no_room on audit_logs").await.unwrap();
        let detail = store.end_of(id).await;
        assert_eq!((store.state(&detail), detail.run.audit_gaps), (RunState::Succeeded, 0));
        worker.stop().await;
    });
}

#[test]
fn fr_037_005_a_run_that_cannot_even_be_postponed_is_tried_again_and_taken_over_by_none() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_platform().await.with_ledger().await;
        let id = store.probe(RunScope::All, json!({ "n": 1 }), Rollout::default()).await;
        let refuse = "create function no_row() returns trigger language plpgsql as \
             $$ begin raise exception 'no' using errcode = '53100'; end $$; \
             create trigger no_row before update on operation_runs \
             for each row when (old.started_at is not null) execute function no_row()";
        store.sql(refuse).await.unwrap();
        let settings = WorkerSettings { lease: Duration::from_secs(60), ..one_slot() };
        let mut worker = Running::start(&store, settings);
        let postponed = |event: &WorkerEvent| matches!(event, WorkerEvent::Postponed { .. });
        until_told(&mut worker, postponed).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        store.sql("drop trigger no_row on operation_runs").await.unwrap();
        // Long before its lease runs out.
        let detail = store.end_of(id).await;
        assert_eq!((store.state(&detail), stopped(&detail)), (RunState::Succeeded, None));
        assert_eq!(store.number("select takeovers from operation_runs").await, 0);
        worker.stop().await;
    });
}

both_engines! {
    async fn fr_037_005_a_run_whose_end_cannot_be_written_holds_up_no_other(store) {
        let store = store.with_platform().await.with_ledger().await;
        let stuck = store.probe(RunScope::All, json!({ "n": 1 }), Rollout::default()).await;
        let next = store.probe(RunScope::All, json!({ "n": 2 }), Rollout::default()).await;
        let when = format!("when (new.id = {stuck} and new.status = 'completed')");
        store.refuse("no_end", "update on operation_runs", &when).await;
        let worker = Running::start(&store, one_slot());
        assert_eq!(store.state(&store.end_of(next).await), RunState::Succeeded);
        // It is tried again some times, and counts as nobody's loss.
        tokio::time::sleep(Duration::from_secs(6)).await;
        let detail = store.detail(stuck).await;
        assert_eq!(detail.run.status, RunStatus::Running);
        let fault = detail.faults.iter().find(|fault| fault.during.as_str() == "end").expect("it says why");
        assert_eq!(detail.context["database_faults"][0]["code"], fault.fault.code);
        store.allow("no_end", "operation_runs").await;
        let detail = store.end_of(stuck).await;
        assert_eq!((store.state(&detail), stopped(&detail)), (RunState::Succeeded, None));
        assert_eq!(store.number("select takeovers from operation_runs where id = 1").await, 0);
        let told = worker.stop().await;
        let postponed = told.iter().filter(|e| matches!(e, WorkerEvent::Postponed { run_id, .. } if *run_id == stuck));
        assert_eq!(postponed.count(), 1, "once: {told:?}");
        let text = told.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(!text.contains("another worker goes on") && !text.contains("hunter2"), "{text}");
    }

    async fn fr_037_006_what_an_end_cannot_write_is_a_gap_that_shows(store) {
        let store = store.with_platform().await.with_ledger().await;
        let admin = store.administrator().await;
        store.refuse("no_note", "insert on notifications", "").await;
        store.refuse("no_alert", "insert on alert_deliveries", "").await;
        store.refuse("no_audit", "insert on audit_logs", "when (new.action = 'runs.complete')").await;
        let id = store.probe_of(&admin, json!({ "deny": [1, 2, 3, 4] })).await;
        let worker = Running::start(&store, one_slot());
        let detail = store.end_of(id).await;
        assert_eq!(store.state(&detail), RunState::Failed);
        assert_eq!((detail.run.audit_gaps, detail.gaps.notifications, detail.gaps.alerts), (1, 1, 1));
        let person = Person::at(&store.url);
        person.login("administrator").ends(0);
        let shown = person.run(&["runs", "show", &id.to_string()]).ends(0);
        for what in ["1 audit row could not be written", "1 notification could not", "1 alert could not"] {
            assert!(shown.out.contains(what), "{what}: {}", shown.out);
        }
        assert!(!shown.out.contains("hunter2"), "{}", shown.out);
        let json = person.run(&["runs", "show", &id.to_string(), "--json"]).ends(0).json();
        assert_eq!(json["run"]["gaps"], json!({ "notifications": 1, "alerts": 1 }));
        // A run that somebody closes by force ends as well.
        let other = store.probe_of(&admin, json!({ "steps": 4000, "pause_ms": 5 })).await;
        store.until(other, "under way", |d| d.targets.iter().any(|target| target.starts > 0)).await;
        store.ops.run(&admin.actor, CloseRun { run_id: other, consent: crate::support::starts::sure("CLOSE", other) }).await.unwrap();
        let detail = store.detail(other).await;
        assert_eq!((store.state(&detail), detail.gaps.notifications), (RunState::Cancelled, 1));
        worker.stop().await;
    }

    async fn fr_037_007_a_run_of_which_only_the_end_is_missing_lost_nothing(store) {
        let store = store.with_platform().await.with_ledger().await;
        let id = store.probe(RunScope::All, json!({}), Rollout::default()).await;
        store.sql("update operation_run_targets set status = 'succeeded', steps = 1").await.unwrap();
        let claim = || ClaimRun {
            owner: "lost".to_owned(), types: vec!["testing.probe".to_owned()], lease: Duration::from_secs(30),
        };
        for _ in 0..=TAKEOVER_LIMIT {
            store.ops.run(&Actor::System, claim()).await.unwrap().unwrap();
            store.sql("update operation_run_leases set expires_at = '2020-01-01T00:00:00+00:00'").await.unwrap();
        }
        store.sql("update operation_runs set takeovers = 9, takeover_mark = 4").await.unwrap();
        let worker = Running::start(&store, one_slot());
        let detail = store.end_of(id).await;
        assert_eq!((store.state(&detail), stopped(&detail)), (RunState::Succeeded, None));
        assert_eq!(detail.run.reason_code, None);
        worker.stop().await;
    }

    async fn fr_037_008_what_the_database_said_of_a_failed_step_is_kept_without_values(store) {
        let store = store.with_platform().await.with_ledger().await;
        // A rule that the second line of the ledger breaks.
        store.sql("create unique index one_line_per_run on fault_ledger (run_id)").await.unwrap();
        let id = store.probe(RunScope::Tenants(vec![1, 2]), json!({}), Rollout { concurrency: 1, ..Rollout::default() }).await;
        let worker = Running::start(&store, one_slot());
        let detail = store.end_of(id).await;
        assert_eq!(counts(&detail)[..3], [2, 1, 1]);
        let kept = &detail.faults[0];
        let (code, constraint) = match store.engine {
            Engine::Postgres => ("23505", "one_line_per_run"),
            Engine::Sqlite => ("2067", "fault_ledger.run_id"),
        };
        assert_eq!((kept.fault.code.as_str(), kept.times), (code, 1));
        assert_eq!(kept.fault.constraint.as_deref(), Some(constraint));
        assert_eq!(kept.fault.table.as_deref(), Some("fault_ledger"));
        let message = &detail.failures[0].message;
        assert_eq!((message.matches(code).count(), message.matches(constraint).count()), (1, 1), "{message}");
        // A trigger's text is a value, whatever it looks like.
        store.refuse("no_line", "insert on fault_ledger", "").await;
        let id = store.probe(RunScope::Tenant(3), json!({ "n": 2 }), Rollout::default()).await;
        let detail = store.end_of(id).await;
        let code = if store.engine == Engine::Postgres { "P0001" } else { "1811" };
        assert_eq!(detail.faults[0].fault.code, code);
        let engine = if store.engine == Engine::Postgres { "SQLSTATE" } else { "SQLite code" };
        assert_eq!(detail.failures[0].message, format!("the database refused the statement ({engine} {code})"));
        let person = Person::administrator(&store.url);
        let shown = person.run(&["runs", "show", &id.to_string(), "--json"]).ends(0);
        let text = shown.out.clone();
        assert_eq!(shown.json()["run"]["context"]["database_faults"][0]["code"], code);
        assert!(!text.contains("hunter2"), "{text}");
        worker.stop().await;
    }

    async fn fr_037_013_a_run_that_cannot_be_closed_keeps_no_other_from_it(store) {
        let store = store.with_platform().await;
        let stuck = store.start("policy.sync", 1).await;
        let other = store.start("policy.sync", 2).await;
        store.sql("update operation_runs set created_at = '2026-11-01T00:00:00+00:00'").await.unwrap();
        let when = format!("when (new.id = {stuck} and new.status = 'completed')");
        store.refuse("no_end", "update on operation_runs", &when).await;
        let id = Wish::new("operations.reconcile_stale", RunScope::Platform)
            .begin(&store.ops, &Actor::System).await.unwrap().run_id;
        let worker = Running::start(&store, one_slot());
        let detail = store.end_of(id).await;
        assert_eq!(store.state(&detail), RunState::Succeeded, "{:?}", detail.failures);
        assert_eq!(store.detail(other).await.run.status, RunStatus::Completed);
        assert_eq!(store.detail(stuck).await.run.status, RunStatus::Queued);
        worker.stop().await;
    }
}

#[test]
fn fr_037_021_an_end_that_meets_an_outage_is_told_once_and_waits_until_it_is_written() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_platform().await.with_ledger().await;
        let id = store.probe(RunScope::All, json!({ "n": 1 }), Rollout::default()).await;
        store
            .sql(
                "create function no_end() returns trigger language plpgsql as \
                 $$ begin raise exception 'no' using errcode = '42501'; end $$; \
                 create trigger no_end before update on operation_runs for each row \
                 when (new.status = 'completed') execute function no_end()",
            )
            .await
            .unwrap();
        let mut worker = Running::start(&store, one_slot());
        let waits = |d: &RunDetail| d.run.basis.outage == Some(Condition::Denied);
        store.until(id, "waiting for the database", waits).await;
        // It is put off and claimed again meanwhile, with a lease that has run out in between.
        let fence = store.detail(id).await.run.fence;
        let again = store.until(id, "tried again", |d| d.run.fence > fence).await;
        let why = again.facts(store.clock.now()).wait_text();
        assert!(why.as_ref().is_some_and(|why| why.contains("missing a grant")), "{why:?}");
        let mut told = Vec::new();
        while let Ok(event) = worker.events.try_recv() {
            told.push(event);
        }
        // A loaded machine may make a heartbeat late as well.
        let denied = told.iter().filter(|event| lost(event) && event.to_string().contains("42501"));
        assert_eq!(denied.count(), 1, "{told:?}");
        assert!(!told.iter().any(back), "{told:?}");
        store.sql("drop trigger no_end on operation_runs").await.unwrap();
        assert_eq!(store.state(&store.end_of(id).await), RunState::Succeeded);
        let told = worker.stop().await;
        assert!(told.iter().any(back), "{told:?}");
    });
}
