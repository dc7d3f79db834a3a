//! What is kept of each kind of data and for how long: what a prune of it deletes, its settings, its bound
//! and its daily run.

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, Row, SqliteConnection};
use tenantpilot::access::Actor;
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::domain::kept::Data;
use tenantpilot::domain::run::{RunOutcome, Source};
use tenantpilot::domain::setting::SettingKey;
use tenantpilot::ops::retention::OldData;
use tenantpilot::ops::runs::RunScope;
use tenantpilot::ops::{Engine, OpsSettings};
use tenantpilot::{Clock, ErrorKind};

use crate::cli::Person;
use crate::support::console::Console;
use crate::support::starts::Wish;
use crate::support::stores::{Store, both_engines, noon};

pub const KEY: &str = "retention.prune";

/// A prune of `data` as it is started.
pub fn prune(source: Source, inputs: Value) -> Wish {
    Wish { inputs, source, ..Wish::new(KEY, RunScope::Platform) }
}

/// A moment so many days before `now`, as SQL has it.
pub fn ago(now: DateTime<Utc>, days: i64) -> String {
    format!("'{}'", (now - Duration::days(days)).to_rfc3339_opts(SecondsFormat::Micros, false))
}

/// What counts what is left of a kind of data.
const TABLES: [(Data, &str); 6] = [
    (Data::Notifications, "notifications where title = 'A run'"),
    (Data::Alerts, "alert_deliveries where event <> 'operations.run.blocked'"),
    (Data::Sessions, "platform_sessions"),
    (Data::Sessions, "login_attempts"),
    (Data::Reports, "stored_reports"),
    (Data::Packs, "review_packs"),
];

impl Store {
    /// Writes a row of each kind (but runs) for each of these numbers of days before `now`.
    pub async fn aged_rows(&self, now: DateTime<Utc>, days: impl IntoIterator<Item = i64>) {
        for (n, days) in days.into_iter().enumerate() {
            let at = ago(now, days);
            for text in [
                format!(
                    "insert into notifications (platform_user_id, kind, title, created_at) \
                     select id, 'run_completed', 'A run', {at} from platform_users order by id limit 1"
                ),
                format!(
                    "insert into alert_deliveries (event, payload, status, next_attempt_at, created_at, delivered_at) \
                     values ('operations.run.failed', '{{}}', 'delivered', {at}, {at}, {at})"
                ),
                format!(
                    "insert into platform_sessions (token_hash, platform_user_id, kind, origin, credential_version, created_at, \
                     last_active_at, idle_seconds, expires_at) select '{:064x}', id, 'cli', 'local', 1, {at}, {at}, 60, {at} \
                     from platform_users order by id limit 1",
                    now.timestamp_micros() * 1_000 + i64::try_from(n).unwrap()
                ),
                format!(
                    "insert into login_attempts (origin, username, window_start, n) values ('local', 'user{n}-{days}', {at}, 1)"
                ),
                format!(
                    "insert into stored_reports (workspace_id, tenant_id, report_type, created_at) values (1, 1, 'a', {at})"
                ),
                format!(
                    "insert into review_packs (workspace_id, tenant_id, status, include_operations, include_pii, created_at, \
                     expires_at) values (1, 1, 'ready', false, false, {}, {at})",
                    ago(now, days + 90)
                ),
            ] {
                self.sql(&text).await.unwrap();
            }
        }
    }

    /// How many rows each table holds.
    pub async fn sizes(&self) -> Vec<i64> {
        let mut held = Vec::new();
        for (_, table) in TABLES {
            held.push(self.number(&format!("select count(*) from {table}")).await);
        }
        held
    }

    /// What the last of some statements gives, line by line.
    async fn lines(&self, text: &str) -> Vec<String> {
        let text = sqlx::AssertSqlSafe(text.to_owned());
        match self.engine {
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.unwrap();
                let rows = sqlx::raw_sql(text).fetch_all(&mut connection).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
                let rows = sqlx::raw_sql(text).fetch_all(&mut connection).await.unwrap();
                rows.iter().map(|row| row.get("detail")).collect()
            }
        }
    }

    /// Works the one queued prune off, chunk by chunk.
    pub async fn pruned_by(&self, chunk: i64) -> crate::runbooks::Executed {
        let claimed = self.claim_type(KEY).await;
        self.work_off(&claimed, chunk).await
    }
}

both_engines! {
    async fn fr_049_001_each_kind_goes_by_its_age_and_nothing_else_with_it(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await.actor;
        let ages = [-1, 25, 35, 85, 95, 175, 185, 500];
        store.aged_rows(noon(), ages.into_iter().rev()).await;
        // Old, but still tried, in use, or without an expiry.
        let old = ago(noon(), 900);
        store.sql(&format!("insert into alert_deliveries (event, payload, next_attempt_at, created_at) values ('e', '{{}}', {old}, {old})")).await.unwrap();
        let later = ago(noon(), -1);
        store.sql(&format!("update platform_sessions set created_at = {old}, expires_at = {later} where id = (select max(id) from platform_sessions)")).await.unwrap();
        let pack = |days: i64| format!(
            "insert into review_packs (workspace_id, tenant_id, status, include_operations, include_pii, created_at) values (1, 1, 'requested', \
             false, false, {})", ago(noon(), days)
        );
        for days in [95, 85] {
            store.sql(&pack(days)).await.unwrap();
        }
        let before = store.sizes().await;
        for (data, deleted) in [
            (Data::Notifications, 2),
            (Data::Alerts, 4),
            (Data::Sessions, 12),
            (Data::Reports, 4),
            (Data::Packs, 8),
        ] {
            let at_first = store.sizes().await;
            prune(Source::Cli, json!({ "data": data })).begin(&store.ops, &admin).await.unwrap();
            let done = store.pruned_by(500).await;
            assert_eq!((done.outcome, done.count("deleted")), (RunOutcome::Succeeded, deleted), "{data}");
            for ((kind, table), (now, then)) in TABLES.iter().zip(store.sizes().await.into_iter().zip(at_first)) {
                assert!(*kind == data || now == then, "{data} changed {table}: {then} {now}");
            }
        }
        assert_eq!(store.sizes().await, [before[0] - 2, before[1] - 4, before[2] - 6, before[3] - 6, before[4] - 4, before[5] - 8]);
        assert_eq!(store.ops.run(&Actor::System, OldData).await.unwrap(), []);
        assert_eq!(store.number("select count(*) from audit_logs where action = 'runs.complete'").await, 5);
        // The newest row stays, whatever its age: its number is not given away again.
        store.clock.advance(Duration::days(900));
        let last = store.number("select max(id) from stored_reports").await;
        prune(Source::Schedule, json!({ "data": "reports" })).begin(&store.ops, &Actor::System).await.unwrap();
        store.setting("retention.prune_bound", "100%").await;
        assert_eq!(store.pruned_by(500).await.outcome, RunOutcome::Succeeded);
        assert_eq!((store.number("select count(*) from stored_reports").await, store.number("select max(id) from stored_reports").await), (1, last));
    }

    async fn fr_049_002_the_setting_or_confirmed_days_say_what_is_old(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await.actor;
        for data in Data::ALL.iter().filter(|data| **data != Data::Events) {
            let days = data.setting().map(SettingKey::default_text);
            let plan = prune(Source::Cli, json!({ "data": data })).plan(&store.ops, &admin).await.unwrap();
            assert_eq!(plan.inputs["days"].as_i64().map(|days| days.to_string()).as_deref(), days, "{data}");
            assert_eq!((plan.phrase.as_str(), plan.affected_count), ("PRUNE", 0));
        }
        for wrong in [json!({}), json!({ "data": "events" }), json!({ "data": 3 }), json!({ "data": "runs", "day": 3 }),
                      json!({ "data": "runs", "days": 0 }), json!({ "data": "packs", "days": 9 })] {
            let refused = prune(Source::Cli, wrong.clone()).plan(&store.ops, &admin).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Usage, "{wrong}");
        }
        store.aged_rows(noon(), [70, 60, 0]).await;
        let fewer = prune(Source::Cli, json!({ "data": "reports", "days": 65 }));
        let plan = fewer.plan(&store.ops, &admin).await.unwrap();
        assert_eq!((plan.phrase.as_str(), plan.affected_count, plan.total_count), ("PRUNE 65", 1, 3));
        store.setting("reports.retention_days", "50").await;
        let plan = prune(Source::Cli, json!({ "data": "reports" })).plan(&store.ops, &admin).await.unwrap();
        assert_eq!((plan.phrase.as_str(), plan.affected_count), ("PRUNE", 2));
        let started = store.ops.run(&admin, fewer.start(&plan)).await.unwrap();
        // A setting that changes meanwhile is followed where it keeps for longer, and one of each kind runs.
        let other = prune(Source::Cli, json!({ "data": "reports", "days": 55 })).begin(&store.ops, &admin).await.unwrap_err();
        assert!(other.message().contains(&format!("run {} of retention.prune is already at reports", started.run_id)), "{other}");
        prune(Source::Schedule, json!({ "data": "alerts" })).begin(&store.ops, &Actor::System).await.unwrap();
        store.setting("reports.retention_days", "65").await;
        assert_eq!(store.pruned_by(9).await.outcome, RunOutcome::Blocked);
        assert_eq!(store.number("select count(*) from stored_reports").await, 3);
        // What cannot be read deletes nothing.
        store.setting("reports.retention_days", "soon").await;
        let refused = prune(Source::Cli, json!({ "data": "reports" })).plan(&store.ops, &admin).await.unwrap_err();
        assert!(refused.message().contains("reports.retention_days"), "{refused}");
    }

    async fn fr_038_012_each_subject_of_a_type_alerts_and_recovers_by_itself(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await.actor;
        store.aged_rows(noon(), [200, 199, 198, 0]).await;
        store.sql("delete from alert_deliveries").await.unwrap();
        store.setting("retention.prune_bound", "1%").await;
        let told = async |event: &str| {
            let payload = "select coalesce(max(cast(payload as text)), 'null') from alert_deliveries where event";
            let text = store.text(&format!("{payload} = 'operations.run.{event}'")).await;
            serde_json::from_str::<Value>(&text).unwrap()
        };
        let scheduled = async |data: &str| {
            prune(Source::Schedule, json!({ "data": data })).begin(&store.ops, &Actor::System).await.unwrap();
            store.pruned_by(500).await
        };
        let blocked = scheduled("reports").await;
        assert_eq!(blocked.outcome, RunOutcome::Blocked);
        assert_eq!(told("blocked").await["subject"], "reports");
        // Another kind of data says nothing about this one.
        let other = prune(Source::Cli, json!({ "data": "notifications" })).begin(&store.ops, &admin).await.unwrap();
        assert_eq!(store.pruned_by(500).await.outcome, RunOutcome::Succeeded);
        assert_eq!(store.text("select max(title) from notifications").await, format!("retention.prune of notifications succeeded: run {}", other.run_id));
        assert_eq!(told("recovered").await, Value::Null);
        store.setting("retention.prune_bound", "100%").await;
        assert_eq!(scheduled("reports").await.outcome, RunOutcome::Succeeded);
        let recovered = told("recovered").await;
        assert_eq!((&recovered["subject"], &recovered["alerted_run_id"]), (&json!("reports"), &json!(blocked.run_id)));
        assert_eq!(store.number("select count(*) from open_alerts").await, 0);
    }

    async fn fr_049_002_lists_say_which_data_a_prune_is_of(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let id = prune(Source::Schedule, json!({ "data": "reports" })).begin(&store.ops, &Actor::System).await.unwrap().run_id;
        let mut console = Console::open(&store.ops, 120, 40).await;
        console.log_in("administrator").await;
        console.keys("2").await;
        assert!(console.screen().contains("platform: reports"), "{}", console.screen());
        let person = Person::at(&store.url);
        person.login("administrator").ends(0);
        assert!(person.run(&["runs", "list"]).ends(0).out.contains("(platform: reports)"));
        let json = person.run(&["runs", "show", &id.to_string(), "--json"]).ends(0).json();
        assert_eq!(json["run"]["subject"], "reports", "{json}");
    }

    async fn fr_049_003_each_day_has_one_run_of_each_kind_with_something_old(store) {
        let store = store.with_platform().await;
        Person::administrator(&store.url);
        let now = Clock::system().now();
        store.aged_rows(now, [100, -1, -1, -1, -1, -1]).await;
        let stop = tokio::sync::watch::Sender::new(false);
        let settings = OpsSettings { patience: std::time::Duration::from_secs(60), ..OpsSettings::default() };
        let mut workers = Vec::new();
        for _ in 0..2 {
            let (worker, events) = tenantpilot::worker::Worker::open(&store.url, tenantpilot::worker::WorkerSettings::default(), &settings, Clock::system(), stop.subscribe()).unwrap();
            workers.push((tokio::spawn(worker.run()), events));
        }
        let done = format!("select count(*) from operation_runs where type = '{KEY}' and source = 'schedule' and outcome = 'succeeded'");
        for _ in 0..3_000 {
            if store.number(&done).await == 4 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        stop.send_replace(true);
        for (worker, _events) in workers {
            worker.await.unwrap().unwrap();
        }
        let keys = store.text(&format!(
            "select {}(request_id, ' ') from (select request_id from operation_runs where type = '{KEY}' order by 1) x",
            if store.engine == Engine::Postgres { "string_agg" } else { "group_concat" }
        )).await;
        let day = now.format("%Y-%m-%d");
        let next = Clock::system().now().format("%Y-%m-%d");
        let of = |day: &dyn std::fmt::Display| ["alerts", "packs", "reports", "sessions"].map(|data| format!("schedule:{KEY}:{data}:{day}")).join(" ");
        assert!(keys == of(&day) || keys == of(&next), "{keys}");
        assert_eq!(store.number("select count(*) from stored_reports").await, 5);
    }

    async fn fr_049_003_what_becomes_old_after_its_preflight_is_planned_again(store) {
        let store = store.with_platform().await;
        Person::administrator(&store.url);
        let now = Clock::system().now();
        store.aged_rows(now, [-1; 10]).await;
        let report = |days| format!("insert into stored_reports (workspace_id, tenant_id, report_type, created_at) select 1, 1, 'a', {}", ago(now, days));
        for days in [100, 0] {
            store.sql(&report(days)).await.unwrap();
        }
        // Another one that is old comes with the first plan.
        let first = "where (select count(*) from runbook_plans where runbook = 'retention.prune') = 1;";
        let body = format!("{} {first} {} {first}", report(100), report(0));
        store.sql(&match store.engine {
            Engine::Sqlite => format!("create trigger late after insert on runbook_plans begin {body} end"),
            Engine::Postgres => format!(
                "create function late() returns trigger language plpgsql as $$begin {body} return null; end$$; \
                 create trigger late after insert on runbook_plans for each row execute function late()"
            ),
        }).await.unwrap();
        let old = format!("select count(*) from stored_reports where created_at < {}", ago(now, 90));
        let stop = tokio::sync::watch::Sender::new(false);
        let (worker, mut events) = tenantpilot::worker::Worker::open(&store.url, tenantpilot::worker::WorkerSettings::default(), &OpsSettings::default(), Clock::system(), stop.subscribe()).unwrap();
        let worker = tokio::spawn(worker.run());
        for _ in 0..1_000 {
            if store.number(&old).await == 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        stop.send_replace(true);
        worker.await.unwrap().unwrap();
        events.close();
        assert_eq!(store.number(&old).await, 0);
        assert_eq!(store.number("select count(*) from runbook_plans where runbook = 'retention.prune'").await, 2);
    }

    async fn fr_049_004_no_kind_is_emptied_unasked(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await.actor;
        store.aged_rows(noon(), [-1, 50, 60, 300, 310, 320, 330].into_iter().rev()).await;
        for (data, why) in [
            ("notifications", "4 of 7 notifications are older than 180 days; an unattended prune deletes at most 2"),
            ("packs", "6 of 7 review packs have expired; an unattended prune deletes at most 2"),
        ] {
            let before = store.sizes().await;
            prune(Source::Schedule, json!({ "data": data })).begin(&store.ops, &Actor::System).await.unwrap();
            let done = store.pruned_by(5).await;
            assert_eq!((done.outcome, done.failed), (RunOutcome::Blocked, vec![(ReasonCode::PruneBoundExceeded, why.to_owned())]));
            assert_eq!(store.sizes().await, before);
            prune(Source::Cli, json!({ "data": data })).begin(&store.ops, &admin).await.unwrap();
            assert_eq!(store.pruned_by(5).await.outcome, RunOutcome::Succeeded);
        }
        let types = tenantpilot::domain::operation_type::require(KEY).unwrap();
        assert!(types.by_age && !types.retryable, "a worker whose clock is wrong takes none");
    }

    async fn fr_049_005_a_chunk_has_a_limit_and_reads_no_whole_table(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await.actor;
        store.aged_rows(noon(), (0..=7).rev().map(|n| n * 100)).await;
        match store.engine {
            Engine::Sqlite => {
                for text in tenantpilot::ops::retention::statements() {
                    let plan = store.lines(&format!("explain query plan {text}")).await;
                    assert!(!plan.iter().any(|line| line.starts_with("SCAN") && !line.contains("CONSTANT ROW")), "{text}: {plan:?}");
                }
            }
            Engine::Postgres => {
                for text in tenantpilot::ops::retention::statements() {
                    let text = text.replace("$1", &format!("{}::timestamptz", ago(noon(), 90))).replace("$2", "500");
                    let plan = store.lines(&format!("set enable_seqscan = off; explain {text}")).await;
                    assert!(!plan.iter().any(|line| line.contains("Seq Scan")), "{text}: {plan:?}");
                }
            }
        }
        prune(Source::Cli, json!({ "data": "reports" })).begin(&store.ops, &admin).await.unwrap();
        let done = store.pruned_by(3).await;
        assert_eq!((done.count("deleted"), done.steps), (7, 3));
    }
}
