//! `tenantpilot product-usage`, and the setting of the retention.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use tenantpilot::Clock;
use tenantpilot::ops::OpsSettings;
use tenantpilot::ops::retention::Days;
use tenantpilot::worker::{Worker, WorkerSettings};

use crate::cli::Person;
use crate::support::stores::{Store, both_engines};

impl Store {
    /// Writes an event of each of these ages.
    async fn aged(&self, ages: &[TimeDelta]) {
        for age in ages {
            let at = (Clock::system().now() - *age).to_rfc3339_opts(SecondsFormat::AutoSi, false);
            self.sql(&format!(
                "insert into product_usage_events (workspace_id, tenant_id, user_id, event_name, feature_area, \
                 subject_type, subject_id, occurred_at) values (1, 1, 1, 'product.operations.started', \
                 'operations', 'operation_run', '1', '{at}')"
            ))
            .await
            .unwrap();
        }
    }

    async fn events(&self) -> i64 {
        self.number("select count(*) from product_usage_events").await
    }
}

fn days(n: i64) -> TimeDelta {
    TimeDelta::days(n)
}

both_engines! {
    async fn fr_023_016_the_command_line_sums_a_window_up(store) {
        let store = store.with_platform().await;
        let person = Person::administrator(&store.url);
        let none = person.run(&["product-usage", "summary"]).ends(0).out;
        assert!(none.starts_with("No telemetry recorded in Last 24 hours.\n0 active workspaces"), "{none}");
        for label in ["Onboarding checkpoints", "Support diagnostics", "Operations started", "Stored reports", "Review packs requested"] {
            assert!(none.contains(&format!("\n{label}")), "{none}");
        }
        store.aged(&[TimeDelta::minutes(1), TimeDelta::minutes(90), days(2), days(8), days(20), days(40)]).await;
        for (window, label, events) in [("1h", "Last hour", 1), ("24h", "Last 24 hours", 2), ("7d", "Last 7 days", 3), ("30d", "Last 30 days", 5)] {
            let answer = person.run(&["product-usage", "summary", "--window", window, "--json"]).ends(0).json();
            let summary = &answer["summary"];
            assert_eq!((&summary["window"]["key"], &summary["window"]["label"]), (&window.into(), &label.into()));
            assert_eq!((&summary["total_events"], &summary["active_workspaces"]), (&events.into(), &1.into()));
            let time = |at: &serde_json::Value| at.as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
            assert!(time(&summary["window"]["start_at"]) < time(&summary["window"]["end_at"]));
            assert_eq!(summary["as_of"], summary["window"]["end_at"]);
            let families = summary["families"].as_array().unwrap();
            assert_eq!(families.len(), 5);
            assert_eq!((&families[2]["label"], &families[2]["count"]), (&"Operations started".into(), &events.into()));
            let trend = families[2]["trend"].as_array().unwrap();
            assert_eq!(trend.iter().map(|n| n.as_i64().unwrap()).sum::<i64>(), events);
            assert_eq!(trend.len(), summary["buckets"].as_array().unwrap().len());
        }
        let plain = person.run(&["product-usage", "summary"]).ends(0).out;
        assert!(plain.starts_with("2 events in Last 24 hours\n1 active workspace (0 in the window before)\n"), "{plain}");
        let wrong = person.run(&["product-usage", "summary", "--window", "2h"]).ends(2);
        assert!(wrong.err.contains("1h, 24h, 7d, 30d"), "{wrong:?}");
        Person::at(&store.url).run(&["product-usage", "summary"]).ends(4);
    }

    async fn fr_023_015_pruning_says_what_it_deleted_and_is_audited(store) {
        let store = store.with_platform().await;
        let person = Person::administrator(&store.url);
        let old: Vec<TimeDelta> = (0..12).map(|n| days(91 + n)).collect();
        store.aged(&old).await;
        store.aged(&[days(89), days(31), days(1)]).await;
        let audited = "select count(*) from audit_logs where action in ('product_usage.prune', 'product_usage.pruned') and status = 'succeeded'";
        let would = person.run(&["product-usage", "prune", "--dry-run"]).ends(0).out;
        assert_eq!(would, "12 product usage event(s) older than 90 days would be deleted; nothing was changed.\n");
        assert_eq!((store.events().await, store.number(audited).await), (15, 0));
        for wrong in ["0", "-1", "soon", "1.5", "36501", ""] {
            let refused = person.run(&["product-usage", "prune", "--days", wrong]).ends(2);
            assert!(refused.out.is_empty(), "{refused:?}");
        }
        assert_eq!(store.events().await, 15);
        let done = person.run(&["product-usage", "prune", "--days", "90", "--confirm", "PRUNE"]).ends(0).out;
        assert_eq!(done, "Deleted 12 product usage event(s) older than 90 days.\n");
        assert_eq!((store.events().await, store.number(audited).await), (3, 2));
        let done = person.run(&["product-usage", "prune", "--confirm", "PRUNE"]).ends(0).out;
        assert_eq!(done, "Deleted 0 product usage event(s) older than 90 days.\n");
        // Also what the daily run deletes anyway: it touches the platform itself.
        let asked = person.run(&["product-usage", "prune"]).ends(2);
        assert!(asked.err.contains("--confirm PRUNE"), "{asked:?}");
        // More than the retention allows has a phrase of its own.
        person.run(&["product-usage", "prune", "--days", "30", "--confirm", "PRUNE"]).ends(5);
        let asked = person.run(&["product-usage", "prune", "--days", "30"]).ends(2);
        assert!(asked.err.contains("PRUNE 30"), "{asked:?}");
        person.run(&["product-usage", "prune", "--days", "30", "--confirm", "PRUNE 31"]).ends(5);
        assert_eq!(store.events().await, 3);
        let refused = "select count(*) from audit_logs where action = 'product_usage.prune' and status = 'refused'";
        assert_eq!(store.number(refused).await, 4);
        let done = person.run(&["product-usage", "prune", "--days", "30", "--confirm", "PRUNE 30", "--json"]).ends(0).json();
        assert_eq!((&done["prune"]["deleted"], &done["prune"]["days"]), (&2.into(), &30.into()));
        assert_eq!(store.events().await, 1);
        let kept = "select count(*) from workspaces w, tenants t, users u";
        assert_eq!(store.number(kept).await, 2 * 6 * 2);
        let check = person.run(&["product-usage", "check"]).ends(0).out;
        assert_eq!(check, "the counts are those of the ledger\n");
    }

    async fn fr_023_015_pruning_needs_its_capabilities_and_a_reason_under_break_glass(store) {
        let store = store.with_platform().await;
        store.aged(&[days(100)]).await;
        let person = Person::administrator(&store.url);
        person.create("val", &["--role", "viewer"]).ends(0);
        let viewer = Person::at(&store.url);
        viewer.login("val").ends(0);
        let refused = viewer.run(&["product-usage", "prune", "--confirm", "PRUNE"]).ends(3);
        assert!(refused.err.contains("platform.runbooks.run"), "{refused:?}");
        person.run_with(&["break-glass", "enter", "--reason-code", "INCIDENT", "--reason", "checkout is down", "--password-file", "-", "--yes"], crate::support::stores::PASSWORD).ends(0);
        let refused = person.run(&["product-usage", "prune", "--confirm", "PRUNE"]).ends(5);
        assert!(refused.err.contains("--reason-code and --reason"), "{refused:?}");
        assert_eq!(store.events().await, 1);
        let why = ["product-usage", "prune", "--confirm", "PRUNE", "--reason-code", "INCIDENT", "--reason"];
        person.run(&[&why[..], &["it hangs"]].concat()).ends(2);
        assert_eq!(store.events().await, 1);
        person.run(&[&why[..], &["the ledger is too large"]].concat()).ends(0);
        assert_eq!(store.events().await, 0);
    }

    async fn fr_023_013_the_command_line_compares_the_counts_and_makes_them_anew(store) {
        let store = store.with_platform().await;
        let person = Person::administrator(&store.url);
        store.aged(&[days(1), days(2)]).await;
        person.run(&["product-usage", "rebuild"]).ends(0);
        store.sql("update product_usage_hours set events = events + 5").await.unwrap();
        let wrong = person.run(&["product-usage", "check"]).ends(1);
        assert!(wrong.out.starts_with("2 counts are not those of the ledger\n") && wrong.out.contains("product.operations.started       1        6"), "{wrong:?}");
        assert!(wrong.err.contains("tenantpilot product-usage rebuild"), "{wrong:?}");
        let json = person.run(&["product-usage", "check", "--json"]).ends(1).json();
        assert_eq!((&json["check"]["different"], &json["check"]["differences"][0]["counted"]), (&2.into(), &6.into()));
        assert_eq!(person.run(&["product-usage", "rebuild"]).ends(0).out, "the counts were rebuilt from 2 events\n");
        person.run(&["product-usage", "check"]).ends(0);
    }

    async fn fr_023_017_the_setting_of_the_retention_is_what_a_day_and_a_command_prune_by(store) {
        let store = store.with_platform().await;
        let person = Person::administrator(&store.url);
        store.aged(&[days(50), days(35), days(1)]).await;
        let set = |days: &str| {
            let mut command = person.command(&["product-usage", "prune", "--confirm", "PRUNE"]);
            command.env("TENANTPILOT_PRODUCT_USAGE_RETENTION_DAYS", days);
            crate::cli::done(&mut command, None)
        };
        let key = "product_usage.retention_days";
        person.run(&["platform", "settings", "set", key, "40", "--confirm", key]).ends(0);
        // A client may keep them for longer, not for less.
        assert_eq!(set("60").ends(0).out, "Deleted 0 product usage event(s) older than 60 days.\n");
        assert_eq!(set("20").ends(0).out, "Deleted 1 product usage event(s) older than 40 days.\n");
        person.run(&["platform", "settings", "set", key, "30", "--confirm", key]).ends(0);
        for wrong in ["0", "-1", "soon", "36501"] {
            assert!(set(wrong).ends(2).err.contains("product_usage.retention_days"));
        }
        let settings = OpsSettings { usage_retention: Some(Days::new(20).unwrap()), ..OpsSettings::default() };
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let (worker, _events) = Worker::open(&store.url, WorkerSettings::default(), &settings, Clock::system(), stopped).unwrap();
        let running = tokio::spawn(worker.run());
        for _ in 0..3_000 {
            if store.events().await == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.send(true).unwrap();
        running.await.unwrap().unwrap();
        assert_eq!(store.events().await, 1);
        let run = "operation_runs where type = 'product_usage.prune' and source = 'schedule'";
        assert_eq!(store.number(&format!("select count(*) from {run}")).await, 1);
        let inputs = store.text(&format!("select context ->> 'inputs' from {run}")).await;
        assert_eq!(inputs.replace(' ', ""), "{\"days\":30}");
    }
}
