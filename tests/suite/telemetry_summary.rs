//! The summary and the counts it stands on: always what the ledger says.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tenantpilot::ErrorKind;
use tenantpilot::access::Actor;
use tenantpilot::domain::capability::{Capability, CapabilitySet, Role};
use tenantpilot::domain::run::Source;
use tenantpilot::domain::telemetry::{SourceSurface, UsageEvent};
use tenantpilot::domain::window::Window;
use tenantpilot::ops::Consent;
use tenantpilot::ops::activity::{DiagnosticsSubject, OpenDiagnostics};
use tenantpilot::ops::retention::PruneUsage;
use tenantpilot::ops::runs::StartRun;
use tenantpilot::ops::telemetry::{CheckRollups, FoldRollups, RebuildRollups, Summarise, Summary};
use tenantpilot::ops::{Engine, Ops, OpsSettings};

use crate::support::moments::moment;
use crate::support::stores::{Store, both_engines, noon};

/// One event as the ledger holds it.
#[derive(Debug, Clone)]
struct Held {
    workspace: i64,
    event: UsageEvent,
    at: DateTime<Utc>,
}

fn micros(n: i64) -> TimeDelta {
    TimeDelta::microseconds(n)
}

fn values(workspace: i64, event: UsageEvent, at: DateTime<Utc>) -> String {
    let tenant = [1, 3][usize::try_from(workspace - 1).unwrap()];
    let at = at.to_rfc3339_opts(SecondsFormat::AutoSi, false);
    format!(
        "({workspace}, {tenant}, {workspace}, '{event}', '{}', '{}', '1', '{at}')",
        event.area(),
        event.subject_types()[0]
    )
}

const INTO: &str = "insert into product_usage_events \
    (workspace_id, tenant_id, user_id, event_name, feature_area, subject_type, subject_id, occurred_at) values ";

impl Store {
    /// Writes events past the program, as a service with its own tables would.
    async fn write(&self, events: &[(i64, UsageEvent, DateTime<Utc>)]) {
        let rows: Vec<String> = events.iter().map(|(w, e, at)| values(*w, *e, *at)).collect();
        if !rows.is_empty() {
            self.sql(&format!("{INTO}{}", rows.join(", "))).await.unwrap();
        }
    }

    /// The whole ledger, read past the program.
    async fn ledger(&self) -> Vec<Held> {
        let all = match self.engine {
            Engine::Postgres => {
                "select coalesce(string_agg(workspace_id || ' ' || event_name || ' ' || \
                 to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), ','), '') \
                 from product_usage_events"
            }
            Engine::Sqlite => {
                "select coalesce(group_concat(workspace_id || ' ' || event_name || ' ' || occurred_at, ','), '') \
                 from product_usage_events"
            }
        };
        let text = self.text(all).await;
        text.split(',')
            .filter(|one| !one.is_empty())
            .map(|one| {
                let mut words = one.split(' ');
                let mut next = || words.next().unwrap();
                Held {
                    workspace: next().parse().unwrap(),
                    event: next().parse().unwrap(),
                    at: next().parse().unwrap(),
                }
            })
            .collect()
    }

    /// From when on nothing was pruned, read past the program.
    async fn kept_from(&self) -> Option<DateTime<Utc>> {
        let kept = match self.engine {
            Engine::Postgres => {
                "to_char(kept_from at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
            }
            Engine::Sqlite => "kept_from",
        };
        let sql = format!("select coalesce((select {kept} from product_usage_kept), '')");
        self.text(&sql).await.parse().ok()
    }

    async fn summary(&self, actor: &Actor, window: Window) -> Summary {
        self.ops.run(actor, Summarise { window: Some(window) }).await.unwrap()
    }

    async fn different(&self) -> i64 {
        self.ops.run(&Actor::System, CheckRollups).await.unwrap().different
    }

    /// Holds every window against the ledger, counted one by one.
    async fn compare(&self, actor: &Actor, view: &[i64], what: &str) {
        let held = self.ledger().await;
        let kept_from = self.kept_from().await;
        let held: Vec<&Held> = held.iter().filter(|one| view.contains(&one.workspace)).collect();
        let now = self.clock.now();
        for window in Window::ALL {
            let found = self.summary(actor, *window).await;
            let start = now - window.length();
            let within = |from: DateTime<Utc>, to: DateTime<Utc>| -> Vec<&&Held> {
                held.iter().filter(|one| from <= one.at && one.at <= to).collect()
            };
            let current = within(start, now);
            let before = within(start - window.length(), start - micros(1));
            let active = |events: &[&&Held]| -> i64 {
                let active: BTreeSet<i64> = events.iter().map(|one| one.workspace).collect();
                i64::try_from(active.len()).unwrap()
            };
            let many = |events: &[&&Held]| i64::try_from(events.len()).unwrap();
            let what = format!("{what}, {window} at {now}");
            // What was pruned is no zero, and is compared with nothing.
            let is_kept = |from: DateTime<Utc>| kept_from.is_none_or(|kept| kept <= from);
            let now_of = |n: i64| (is_kept(start) || n > 0).then_some(n);
            let before_of = |n: i64| is_kept(start - window.length()).then_some(n);
            assert_eq!(found.total_events, now_of(many(&current)), "{what}");
            assert_eq!(found.previous.total_events, before_of(many(&before)), "{what}: before");
            assert_eq!(found.active_workspaces, now_of(active(&current)), "{what}: active");
            assert_eq!(
                found.previous.active_workspaces,
                before_of(active(&before)),
                "{what}: active before"
            );
            assert_eq!(found.families.len(), 5);
            for family in &found.families {
                let of = |events: &[&&Held]| -> Vec<DateTime<Utc>> {
                    events
                        .iter()
                        .filter(|one| one.event == family.event)
                        .map(|one| one.at)
                        .collect()
                };
                let (mine, mine_before) = (of(&current), of(&before));
                assert_eq!(
                    family.count,
                    now_of(i64::try_from(mine.len()).unwrap()),
                    "{what}: {}",
                    family.label
                );
                assert_eq!(
                    family.previous,
                    before_of(i64::try_from(mine_before.len()).unwrap()),
                    "{what}: {}",
                    family.label
                );
                let last = found.buckets.len() - 1;
                let trend: Vec<Option<i64>> = found
                    .buckets
                    .iter()
                    .enumerate()
                    .map(|(n, bucket)| {
                        let until = if n == last { now + micros(1) } else { bucket.end_at };
                        let inside =
                            mine.iter().filter(|at| bucket.start_at <= **at && **at < until);
                        let n = i64::try_from(inside.count()).unwrap();
                        (is_kept(bucket.start_at) || n > 0).then_some(n)
                    })
                    .collect();
                assert_eq!(family.trend, trend, "{what}: {}", family.label);
            }
        }
    }
}

fn some_events(rng: &mut StdRng, now: DateTime<Utc>) -> Vec<(i64, UsageEvent, DateTime<Utc>)> {
    (0..rng.random_range(1..40))
        .map(|_| {
            let event = UsageEvent::ALL[rng.random_range(0..5)];
            (rng.random_range(1..3), event, moment(rng, now, 100))
        })
        .collect()
}

async fn prune(ops: &Ops, days: i64) -> i64 {
    let phrase = if days < 90 { format!("PRUNE {days}") } else { "PRUNE".to_owned() };
    let prune = PruneUsage { days: Some(days), consent: Consent::typed(phrase) };
    ops.run(&Actor::System, prune).await.unwrap().events
}

/// Numbers alone: whatever else a text has to be one of these.
fn leaves(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => object.values().for_each(|value| leaves(value, found)),
        Value::Array(items) => items.iter().for_each(|value| leaves(value, found)),
        Value::String(text) => found.push(text.clone()),
        _ => {}
    }
}

both_engines! {
    async fn fr_023_010_a_window_is_summed_up_with_its_zeros_in_words(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await.actor;
        let none = store.summary(&admin, Window::default()).await;
        assert_eq!(none.sentence(), "No telemetry recorded in Last 24 hours.");
        assert_eq!((none.active_workspaces, none.total_events), (Some(0), Some(0)));
        assert!(none.families.iter().all(|f| f.count == Some(0) && f.trend == vec![Some(0); 25]));
        let labels: Vec<&str> = none.families.iter().map(|f| f.label).collect();
        assert_eq!(labels, ["Onboarding checkpoints", "Support diagnostics", "Operations started", "Stored reports", "Review packs requested"]);
        let (hour, day) = (TimeDelta::hours(1), TimeDelta::days(1));
        store.write(&[
            (1, UsageEvent::OperationStarted, noon()),
            (1, UsageEvent::OperationStarted, noon() - hour),
            (2, UsageEvent::ReportCreated, noon() - day),
            (2, UsageEvent::ReportCreated, noon() - day + micros(1)),
            // Just before the window, and later than it was looked.
            (1, UsageEvent::ReportCreated, noon() - day - micros(1)),
            (1, UsageEvent::ReportCreated, noon() + micros(1)),
        ]).await;
        let found = store.summary(&admin, Window::Day).await;
        assert_eq!(found.sentence(), "4 events in Last 24 hours");
        assert_eq!((found.active_workspaces, found.previous.active_workspaces, found.previous.total_events), (Some(2), Some(1), Some(1)));
        assert_eq!((found.window.start_at, found.window.end_at, found.as_of), (noon() - day, noon(), noon()));
        let reports = &found.families[3];
        assert_eq!((reports.count, reports.previous, reports.trend[0], reports.trend[24]), (Some(2), Some(1), Some(2), Some(0)));
        assert_eq!(store.summary(&admin, Window::Hour).await.sentence(), "2 events in Last hour");
        assert_eq!(store.summary(&admin, Window::Week).await.sentence(), "5 events in Last 7 days");
        assert_eq!(store.summary(&admin, Window::Month).await.sentence(), "5 events in Last 30 days");
        store.clock.advance(TimeDelta::days(40));
        assert_eq!(store.summary(&Actor::System, Window::Month).await.sentence(), "No telemetry recorded in Last 30 days.");
    }

    async fn fr_023_011_the_summary_is_the_ledger_after_whatever_happened_to_it(store) {
        let store = store.with_platform().await;
        for seed in [3_u64, 4] {
            let mut rng = StdRng::seed_from_u64(seed);
            for step in 0..14 {
                let now = store.clock.now();
                let what = match rng.random_range(0..10) {
                    // Late events among them.
                    0..5 => {
                        store.write(&some_events(&mut rng, now)).await;
                        "insert".to_owned()
                    }
                    5 => {
                        let part = rng.random_range(2..5);
                        store.sql(&format!("delete from product_usage_events where id % {part} = 0")).await.unwrap();
                        format!("delete each {part}th")
                    }
                    6 => {
                        let days = rng.random_range(1..120);
                        prune(&store.ops, days).await;
                        format!("prune {days}")
                    }
                    7 => {
                        store.ops.run(&Actor::System, RebuildRollups).await.unwrap();
                        "rebuild".to_owned()
                    }
                    8 => {
                        while store.ops.run(&Actor::System, FoldRollups).await.unwrap() {}
                        "fold".to_owned()
                    }
                    // Clocks step back, too.
                    _ => {
                        let by = TimeDelta::seconds(rng.random_range(-500_000..500_000)) + micros(rng.random_range(0..999_999));
                        store.clock.advance(by);
                        format!("clock {by}")
                    }
                };
                let what = format!("seed {seed}, step {step}, {what}");
                store.compare(&Actor::System, &[1, 2], &what).await;
                assert_eq!(store.different().await, 0, "{what}");
            }
        }
        assert!(store.ops.run(&Actor::System, RebuildRollups).await.unwrap() > 0, "nothing was left to compare");
    }

    async fn fr_023_011_it_stays_the_ledger_while_many_write_prune_fold_and_rebuild(store) {
        let store = store.with_platform().await;
        let mut rng = StdRng::seed_from_u64(8);
        for _ in 0..20 {
            store.write(&some_events(&mut rng, noon())).await;
        }
        let mut writers = Vec::new();
        for writer in 0..4_i64 {
            let ops = store.another(OpsSettings { patience: Duration::from_secs(60), ..OpsSettings::default() });
            writers.push(tokio::spawn(async move {
                let tenant_id = [1, 3][usize::try_from(writer % 2).unwrap()];
                let actor = Actor::Customer { user_id: 1 + writer % 2 };
                for n in 0..15 {
                    let start = StartRun { inputs: json!({ "n": n, "writer": writer }), ..StartRun::for_tenant("policy.sync", tenant_id, Source::Admin) };
                    ops.run(&actor, start).await.unwrap();
                    let subject = DiagnosticsSubject::Tenant(tenant_id);
                    ops.run(&actor, OpenDiagnostics { subject, source_surface: SourceSurface::Tenant }).await.unwrap();
                }
            }));
        }
        let keeper = {
            let ops = store.another(OpsSettings { patience: Duration::from_secs(60), ..OpsSettings::default() });
            tokio::spawn(async move {
                for days in [80, 60, 40, 20] {
                    ops.run(&Actor::System, FoldRollups).await.unwrap();
                    prune(&ops, days).await;
                    ops.run(&Actor::System, RebuildRollups).await.unwrap();
                }
            })
        };
        // Every state that can be seen is right, not only the last.
        while !keeper.is_finished() || !writers.iter().all(tokio::task::JoinHandle::is_finished) {
            assert_eq!(store.different().await, 0);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        keeper.await.unwrap();
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(store.number("select count(*) from product_usage_events where occurred_at >= '2026-11-20T12:00:00+00:00'").await, 120);
        assert_eq!(store.number("select count(*) from product_usage_events where occurred_at < '2026-10-31T12:00:00+00:00'").await, 0);
        for round in ["as it is", "folded"] {
            store.compare(&Actor::System, &[1, 2], round).await;
            while store.ops.run(&Actor::System, FoldRollups).await.unwrap() {}
        }
        assert_eq!(store.different().await, 0);
    }

    async fn fr_023_012_the_summary_needs_what_the_dashboard_needs(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await;
        let panel = Capability::AccessSystemPanel;
        for (name, more, fine) in [
            ("nothing", vec![], false),
            ("console", vec![Capability::ConsoleView], true),
            ("ops", vec![Capability::OpsView], false),
            ("runbooks", vec![Capability::RunbooksView], false),
            ("both", vec![Capability::OpsView, Capability::RunbooksView], true),
        ] {
            let held = more.into_iter().chain([panel]).collect::<CapabilitySet>();
            let person = store.user_with(&admin, name, held, &[]).await;
            match store.ops.run(&person.actor, Summarise::default()).await {
                Ok(_) => assert!(fine, "{name}"),
                Err(error) => {
                    assert!(!fine, "{name}: {error}");
                    assert_eq!(error.kind(), ErrorKind::Forbidden);
                    assert!(error.message().contains("platform.console.view, or platform.ops.view and platform.runbooks.view"), "{error}");
                }
            }
        }
        let error = store.ops.run(&Actor::Customer { user_id: 1 }, Summarise::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotLoggedIn);
    }

    async fn fr_023_012_a_restricted_view_counts_its_own_workspaces_and_nothing_names_anybody(store) {
        let store = store.with_platform().await;
        let mut admin = store.administrator().await;
        let mut one = store.user_with(&admin, "one", Role::Administrator.capabilities(), &[2]).await;
        let mut rng = StdRng::seed_from_u64(5);
        for _ in 0..6 {
            store.write(&some_events(&mut rng, store.clock.now())).await;
            store.clock.advance(TimeDelta::seconds(rng.random_range(-40_000..40_000)));
            // Sessions end meanwhile.
            (admin, one) = (store.login("administrator").await, store.login("one").await);
            store.compare(&one.actor, &[2], "restricted").await;
            store.compare(&admin.actor, &[1, 2], "all").await;
            store.ops.run(&Actor::System, FoldRollups).await.unwrap();
            store.compare(&one.actor, &[2], "restricted, folded").await;
        }
        for refused in [
            store.ops.run(&one.actor, CheckRollups).await.err(),
            store.ops.run(&one.actor, RebuildRollups).await.err(),
            store.ops.run(&one.actor, PruneUsage { days: None, consent: Consent::typed("PRUNE") }).await.err(),
        ] {
            assert_eq!(refused.unwrap().kind(), ErrorKind::Forbidden);
        }
        let summary = serde_json::to_value(store.summary(&admin.actor, Window::Month).await).unwrap();
        let mut texts = Vec::new();
        leaves(&summary, &mut texts);
        for text in texts {
            let catalog = UsageEvent::ALL.iter().any(|e| text == e.as_str() || text == e.area() || text == e.label());
            let window = text == "30d" || text == "Last 30 days";
            assert!(catalog || window || text.parse::<DateTime<Utc>>().is_ok(), "{text}");
        }
    }

    async fn fr_023_013_a_wrong_count_is_named_and_made_anew(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await;
        store.write(&[
            (1, UsageEvent::OperationStarted, noon()),
            (1, UsageEvent::ReportCreated, noon() - TimeDelta::days(2)),
            (2, UsageEvent::ReportCreated, noon() - TimeDelta::days(2)),
        ]).await;
        store.ops.run(&Actor::System, FoldRollups).await.unwrap();
        let fine = store.ops.run(&admin.actor, CheckRollups).await.unwrap();
        assert_eq!((fine.different, fine.differences.len()), (0, 0));
        // One too many, one missing, and one of an hour without events.
        store.sql("update product_usage_hours set events = events + 1 where event_name = 'product.operations.started'").await.unwrap();
        store.sql("delete from product_usage_workspace_days where workspace_id = 2").await.unwrap();
        store.sql("insert into product_usage_hours (hour, event_name, events) values ('2026-11-01T07:00:00+00:00', 'product.operations.started', 4)").await.unwrap();
        let found = store.ops.run(&admin.actor, CheckRollups).await.unwrap();
        let named: Vec<_> = found.differences.iter().map(|d| (d.span.as_str(), d.workspace_id, d.start_at.to_rfc3339(), d.ledger, d.counted)).collect();
        assert_eq!(found.different, 3);
        assert_eq!(named, [
            ("hour", None, "2026-11-01T07:00:00+00:00".to_owned(), 0, 4),
            ("workspace_day", Some(2), "2026-11-18T00:00:00+00:00".to_owned(), 1, 0),
            ("hour", None, "2026-11-20T12:00:00+00:00".to_owned(), 1, 2),
        ]);
        assert_eq!(store.ops.run(&admin.actor, RebuildRollups).await.unwrap(), 3);
        assert_eq!(store.different().await, 0);
        store.compare(&admin.actor, &[1, 2], "made anew").await;
        let audited = "select count(*) from audit_logs where action = 'telemetry.rebuild_rollups' and status = 'succeeded' and actor_name = 'administrator'";
        assert_eq!(store.number(audited).await, 1);
        let viewer = store.user(&admin, Role::Viewer).await;
        let error = store.ops.run(&viewer.actor, RebuildRollups).await.unwrap_err();
        assert!(error.message().contains("platform.ops.manage"), "{error}");
    }

    async fn fr_023_019_pruning_and_writing_get_along_and_so_do_clocks_that_step_back(store) {
        let store = store.with_platform().await;
        let old: Vec<_> = (0..300).map(|n| (1 + n % 2, UsageEvent::ReportCreated, noon() - TimeDelta::days(95) - TimeDelta::minutes(n))).collect();
        store.write(&old).await;
        let writer = {
            let ops = store.another(OpsSettings { patience: Duration::from_secs(60), ..OpsSettings::default() });
            tokio::spawn(async move {
                for n in 0..20 {
                    let start = StartRun { inputs: json!({ "n": n }), ..StartRun::for_tenant("policy.sync", 1, Source::Admin) };
                    ops.run(&Actor::Customer { user_id: 1 }, start).await.unwrap();
                }
            })
        };
        let (one, other) = (store.ops.clone(), store.ops.clone());
        let other = tokio::spawn(async move { prune(&other, 90).await });
        let (one, other) = (prune(&one, 90).await, other.await.unwrap());
        writer.await.unwrap();
        assert_eq!(one + other, 300);
        assert_eq!(store.number("select count(*) from product_usage_events").await, 20);
        // The clock was ahead: what it wrote is counted once its time has come.
        store.clock.advance(TimeDelta::minutes(-3));
        let start = StartRun::for_tenant("inventory.sync", 1, Source::Admin);
        store.ops.run(&Actor::Customer { user_id: 1 }, start).await.unwrap();
        store.compare(&Actor::System, &[1, 2], "stepped back").await;
        assert_eq!(store.summary(&Actor::System, Window::Hour).await.total_events, Some(1));
        store.clock.advance(TimeDelta::minutes(3));
        assert_eq!(store.summary(&Actor::System, Window::Hour).await.total_events, Some(21));
        assert_eq!(prune(&store.ops, 90).await, 0);
        assert_eq!(store.different().await, 0);
    }
}

#[test]
fn fr_023_014_nobody_who_writes_an_event_waits_for_somebody_else_who_does() {
    use crate::support::stores::block_on;
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_platform().await;
        let mut slow = PgConnection::connect(&store.url).await.unwrap();
        let mut open = slow.begin().await.unwrap();
        let row = format!("{INTO}{}", values(1, UsageEvent::OperationStarted, noon()));
        open.execute(sqlx::AssertSqlSafe(row)).await.unwrap();
        // The same hour, workspace and event, while the other one has not committed.
        let patience = Duration::from_secs(30);
        let start = StartRun::for_tenant("policy.sync", 1, Source::Admin);
        let started = store.ops.run(&Actor::Customer { user_id: 1 }, start);
        tokio::time::timeout(patience, started).await.unwrap().unwrap();
        for _ in 0..2 {
            let fold = store.ops.run(&Actor::System, FoldRollups);
            tokio::time::timeout(patience, fold).await.unwrap().unwrap();
        }
        tokio::time::timeout(patience, store.ops.run(&Actor::System, RebuildRollups))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(store.summary(&Actor::System, Window::Hour).await.total_events, Some(1));
        open.commit().await.unwrap();
        assert_eq!(store.summary(&Actor::System, Window::Hour).await.total_events, Some(2));
        assert_eq!(store.number("select count(*) from product_usage_deltas").await, 1);
        store.ops.run(&Actor::System, FoldRollups).await.unwrap();
        assert_eq!(store.number("select count(*) from product_usage_deltas").await, 0);
        assert_eq!(store.different().await, 0);
        store.compare(&Actor::System, &[1, 2], "folded").await;
    });
}
