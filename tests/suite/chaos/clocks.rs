//! Workers whose machine's clock is wrong: they say so, start no scheduled and no destructive work,
//! and delete nothing that the database's clock does not call old.

use std::time::Duration as Elapsed;

use chrono::{DateTime, Duration, Utc};
use serde_json::json;
use tenantpilot::Clock;
use tenantpilot::access::Actor;
use tenantpilot::domain::run::Source;
use tenantpilot::ops::runs::RunScope;
use tenantpilot::ops::{Engine, OpsSettings};
use tenantpilot::worker::{Worker, WorkerEvent, WorkerSettings};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::cli::Person;
use crate::retention::PRUNE;
use crate::support::starts::Wish;
use crate::support::stores::{Store, both_engines};

const SCHEDULED: &str = "select count(*) from operation_runs where source = 'schedule'";

/// A worker on a machine whose clock is wrong.
struct Wrong {
    stop: watch::Sender<bool>,
    events: mpsc::UnboundedReceiver<WorkerEvent>,
    task: JoinHandle<tenantpilot::Result<()>>,
}

impl Wrong {
    fn start(store: &Store, clock: Clock, schedule: bool) -> Self {
        let settings = WorkerSettings {
            heartbeat: Elapsed::from_millis(300),
            lease: Elapsed::from_secs(30),
            schedule,
            ..WorkerSettings::default()
        };
        let (stop, stopped) = watch::channel(false);
        let (worker, events) =
            Worker::open(&store.url, settings, &OpsSettings::default(), clock, stopped).unwrap();
        Self { stop, events, task: tokio::spawn(worker.run()) }
    }

    /// Works for a while, and gives what it said.
    async fn for_a_while(mut self, while_: Elapsed) -> Vec<WorkerEvent> {
        tokio::time::sleep(while_).await;
        self.stop.send(true).unwrap();
        self.task.await.unwrap().unwrap();
        let mut events = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            events.push(event);
        }
        events
    }
}

fn wrongs(events: &[WorkerEvent]) -> Vec<i64> {
    let ahead = |event: &WorkerEvent| match event {
        WorkerEvent::ClockWrong { ahead } => Some(*ahead),
        _ => None,
    };
    events.iter().filter_map(ahead).collect()
}

impl Store {
    /// The newest moment that is stored anywhere in a column of these.
    async fn newest_stored(&self) -> DateTime<Utc> {
        let columns = [
            ("audit_logs", "occurred_at"),
            ("workers", "heartbeat_at"),
            ("operation_runs", "created_at"),
            ("operation_runs", "coalesce(started_at, created_at)"),
            ("operation_runs", "coalesce(completed_at, created_at)"),
            ("operation_run_targets", "updated_at"),
            ("runbook_plans", "created_at"),
            ("operation_run_failures", "occurred_at"),
        ];
        let each: Vec<String> = columns
            .iter()
            .map(|(table, column)| format!("select max({column}) as at from {table}"))
            .collect();
        let all = format!("select max(at) as at from ({}) x", each.join(" union all "));
        let text = match self.engine {
            Engine::Postgres => format!(
                "select to_char(at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') from ({all}) y"
            ),
            Engine::Sqlite => all,
        };
        self.text(&text).await.parse().unwrap()
    }

    /// Waits until a number is as it should be.
    async fn becomes(&self, sql: &str, expected: i64) {
        for _ in 0..1_500 {
            if self.number(sql).await == expected {
                return;
            }
            tokio::time::sleep(Elapsed::from_millis(20)).await;
        }
        assert_eq!(self.number(sql).await, expected, "{sql}");
    }
}

both_engines! {
    async fn fr_041_009_a_clock_200_days_fast_deletes_nothing(store) {
        let store = store.with_platform().await;
        let now = Clock::system().now();
        store.usage_on_days(now, 0, 80, 3).await;
        let held = store.ledger_size().await;
        let clock = Clock::shifted(Duration::days(200));
        let worker = Wrong::start(&store, clock, true);
        if store.engine == Engine::Sqlite {
            // The machine's clock counts here; the bound keeps the ledger.
            store.becomes("select count(*) from operation_runs where outcome = 'blocked'", 1).await;
            let why = "select reason_code from operation_runs where outcome = 'blocked'";
            assert_eq!(store.text(why).await, "prune_bound_exceeded");
            worker.for_a_while(Elapsed::from_millis(500)).await;
        } else {
            Person::administrator(&store.url);
            let events = worker.for_a_while(Elapsed::from_secs(3)).await;
            let told = wrongs(&events);
            assert!(told.len() == 1 && (told[0] - 200 * 86_400).abs() < 60, "{events:?}");
            assert_eq!(store.number(SCHEDULED).await, 0);
            assert!(store.newest_stored().await <= Clock::system().now() + Duration::minutes(1));
        }
        assert_eq!(store.ledger_size().await, held);
    }

    async fn fr_049_004_a_clock_200_days_fast_prunes_nothing_of_any_kind(store) {
        let store = store.with_platform().await;
        let (now, ages) = (Clock::system().now(), [25, 19, 13, 7, 1]);
        store.setting("runs.retention_days", "100").await;
        store.administrator().await;
        store.aged_rows(now, ages).await;
        for days in ages {
            store.ended_runs(now, (days * 100, 5), days).await;
        }
        // A pack says itself when it expires; these have.
        store.sql("delete from review_packs").await.unwrap();
        let worker = Wrong::start(&store, Clock::shifted(Duration::days(200)), true);
        let sizes = store.sizes().await;
        if store.engine == Engine::Sqlite {
            let blocked = "select count(distinct context ->> '$.inputs.data') from operation_runs where type = 'retention.prune' \
                and reason_code = 'prune_bound_exceeded' and outcome = 'blocked'";
            store.becomes(blocked, 5).await;
            worker.for_a_while(Elapsed::from_millis(300)).await;
        } else {
            let events = worker.for_a_while(Elapsed::from_secs(2)).await;
            assert_eq!(wrongs(&events).len(), 1, "{events:?}");
            assert_eq!(store.number(SCHEDULED).await, 0);
            assert!(store.newest_stored().await <= Clock::system().now() + Duration::minutes(1));
        }
        assert_eq!(store.sizes().await, sizes);
        assert_eq!(store.number("select count(*) from operation_runs where type = 'policy.sync'").await, 25);
    }

    async fn fr_049_004_a_prune_waits_for_a_worker_whose_clock_is_right(store) {
        let store = store.with_platform().await;
        let now = Clock::system().now();
        store.aged_rows(now, [100, 95, 1]).await;
        Person::administrator(&store.url);
        let ops = tenantpilot::ops::Ops::open(&store.url, tenantpilot::ops::Create::Never, Clock::system(), OpsSettings::default()).unwrap();
        let reports = crate::retention_data::prune(Source::Cli, json!({ "data": "reports" }));
        let id = reports.begin(&ops, &Actor::System).await.unwrap().run_id;
        let worker = Wrong::start(&store, Clock::shifted(Duration::minutes(-20)), false);
        store.becomes("select count(*) from workers where clock_offset_seconds < -1000", 1).await;
        worker.for_a_while(Elapsed::from_secs(1)).await;
        let waits = format!("select count(*) from operation_runs where id = {id} and status = 'queued' and fence = 0");
        assert_eq!((store.number(&waits).await, store.number("select count(*) from stored_reports").await), (1, 3));
        let worker = Wrong::start(&store, Clock::system(), false);
        store.becomes(&format!("select count(*) from operation_runs where id = {id} and outcome = 'succeeded'"), 1).await;
        worker.for_a_while(Elapsed::ZERO).await;
        assert_eq!(store.number("select count(*) from stored_reports").await, 1);
    }

    async fn fr_041_009_a_fast_clock_empties_no_young_ledger(store) {
        let store = store.with_platform().await;
        // All of it within two days: two days' worth are everything.
        store.usage_on_days(Clock::system().now(), 0, 1, 20).await;
        let worker = Wrong::start(&store, Clock::shifted(Duration::days(200)), true);
        if store.engine == Engine::Sqlite {
            store.becomes("select count(*) from operation_runs where outcome = 'blocked'", 1).await;
        }
        worker.for_a_while(Elapsed::from_secs(1)).await;
        assert_eq!(store.ledger_size().await, 40);
    }

    async fn fr_041_008_a_clock_a_day_slow_starts_no_scheduled_work_and_says_so_once(store) {
        let store = store.with_platform().await;
        store.usage_on_days(Clock::system().now(), 0, 100, 3).await;
        let held = store.ledger_size().await;
        // A sign of the right time, which SQLite has no other of.
        let person = Person::administrator(&store.url);
        let worker = Wrong::start(&store, Clock::shifted(Duration::days(-1)), true);
        store.becomes("select count(*) from workers where clock_offset_seconds < -86000", 1).await;
        let listed = person.run(&["workers", "list"]).ends(0);
        assert!(listed.out.contains("clock wrong"), "{listed:?}");
        assert!(listed.err.contains("24 hours behind the database's; it starts no scheduled and no destructive work"), "{listed:?}");
        let json = person.run(&["workers", "list", "--json"]).ends(0).json();
        assert!(json["workers"][0]["clock_offset_seconds"].as_i64().unwrap() < -86_000, "{json}");
        assert!(!json["workers"][0]["types"].to_string().contains(PRUNE), "{json}");
        let events = worker.for_a_while(Elapsed::from_secs(2)).await;
        assert_eq!(wrongs(&events).len(), 1, "{events:?}");
        assert_eq!((store.number(SCHEDULED).await, store.ledger_size().await), (0, held));
        assert!(store.newest_stored().await <= Clock::system().now() + Duration::minutes(1));
    }

    async fn fr_041_008_destructive_runs_wait_for_a_worker_whose_clock_is_right(store) {
        let store = store.with_platform().await;
        let now = Clock::system().now();
        store.usage_on_days(now, 0, 100, 1).await;
        Person::administrator(&store.url);
        let ops = tenantpilot::ops::Ops::open(&store.url, tenantpilot::ops::Create::Never, Clock::system(), OpsSettings::default()).unwrap();
        let mut waiting = Vec::new();
        for key in [PRUNE, "operations.reconcile_stale"] {
            let wish = Wish { source: Source::Schedule, inputs: json!({}), ..Wish::new(key, RunScope::Platform) };
            waiting.push(wish.begin(&ops, &Actor::System).await.unwrap().run_id);
        }
        store.legacy_findings(&[1], 3).await;
        let harmless = Wish::new("findings.lifecycle_backfill", RunScope::Tenant(1)).begin(&ops, &Actor::System).await.unwrap().run_id;
        let done = format!("select count(*) from operation_runs where id = {harmless} and outcome = 'succeeded'");
        let queued = format!("select count(*) from operation_runs where id in ({}, {}) and status = 'queued' and fence = 0", waiting[0], waiting[1]);
        let worker = Wrong::start(&store, Clock::shifted(Duration::minutes(-20)), false);
        store.becomes(&done, 1).await;
        let events = worker.for_a_while(Elapsed::from_secs(2)).await;
        assert_eq!(wrongs(&events).len(), 1, "{events:?}");
        assert_eq!((store.number(&queued).await, store.ledger_size().await), (2, 101));
        // One whose clock is off by four minutes is right.
        let worker = Wrong::start(&store, Clock::shifted(Duration::minutes(-4)), false);
        store.becomes("select count(*) from operation_runs where status = 'completed'", 3).await;
        let events = worker.for_a_while(Elapsed::from_millis(10)).await;
        assert!(wrongs(&events).is_empty(), "{events:?}");
        assert_eq!(store.ledger_size().await, 90);
    }
}
