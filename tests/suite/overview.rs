//! The overview: its numbers are what counting one by one gives, and lead to what they count.

use chrono::{DateTime, SecondsFormat, SubsecRound as _, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tenantpilot::ErrorKind;
use tenantpilot::access::Actor;
use tenantpilot::domain::capability::{Capability, CapabilitySet, Role};
use tenantpilot::domain::run_filter::{RunFilter, StatusWord};
use tenantpilot::domain::window::Window;
use tenantpilot::ops::Engine;
use tenantpilot::ops::dashboard::ChooseWindow;
use tenantpilot::ops::overview::{
    CheckRunCounts, FoldRunCounts, Overview, ReadOverview, RebuildRunCounts, RunFigures,
};
use tenantpilot::ops::runs::{ListRuns, Page};
use tenantpilot::ops::telemetry::Summarise;

use crate::support::moments::moment;
use crate::support::stores::{Store, both_engines, noon};

const ENDED: [&str; 5] = ["succeeded", "partially_succeeded", "failed", "blocked", "cancelled"];

/// One run as the database holds it.
#[derive(Debug, Clone)]
struct Held {
    workspace: i64,
    outcome: String,
    created: DateTime<Utc>,
    milliseconds: i64,
}

pub(crate) fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

impl Store {
    /// Writes a run past the program, in any state; gives nothing for reasons of an old state.
    pub(crate) async fn put_run(&self, rng: &mut StdRng, id: i64) {
        let at = moment(rng, self.clock.now(), 70);
        let created = text(at);
        let tenant = rng.random_range(1..=4);
        let workspace = if tenant <= 2 { 1 } else { 2 };
        let kind = ["policy.sync", "inventory.sync", "a.b"].choose(rng).unwrap();
        let (status, outcome) = match rng.random_range(0..6) {
            0 => ("queued", "pending"),
            1 => ("running", "pending"),
            _ => ("completed", *ENDED.choose(rng).unwrap()),
        };
        let reason = match outcome {
            "failed" | "partially_succeeded" => "'timeout'",
            _ => "null",
        };
        let started = at + TimeDelta::milliseconds(rng.random_range(0..5_000));
        let longest = 1 << rng.random_range(1..24);
        let took = TimeDelta::milliseconds(rng.random_range(0..longest));
        let quoted = |at: DateTime<Utc>| format!("'{}'", text(at));
        let begun = rng.random_bool(0.8) && status != "queued" || status == "running";
        let done = status == "completed";
        let sql = format!(
            "insert into operation_runs (id, workspace_id, tenant_id, source, type, scope_kind, status, outcome, \
             reason_code, identity_hash, lease_owner, created_at, started_at, completed_at, updated_at) values \
             ({id}, {workspace}, {tenant}, 'schedule', '{kind}', 'tenant', '{status}', '{outcome}', {reason}, '{id:064x}', \
             {}, '{created}', {}, {}, '{created}')",
            if status == "running" { "'w'" } else { "null" },
            if begun { quoted(started) } else { "null".to_owned() },
            if done { quoted(if begun { started } else { at } + took) } else { "null".to_owned() },
        );
        self.sql(&sql).await.unwrap();
    }

    async fn held(&self) -> Vec<Held> {
        let sql = match self.engine {
            Engine::Postgres => {
                "select coalesce(string_agg(coalesce(workspace_id, 0) || ' ' || outcome || ' ' || \
                 to_char(created_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') || ' ' || \
                 coalesce(to_char(coalesce(started_at, created_at) at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), '-') || ' ' || \
                 coalesce(to_char(completed_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), '-'), ','), '') \
                 from operation_runs"
            }
            Engine::Sqlite => {
                "select coalesce(group_concat(coalesce(workspace_id, 0) || ' ' || outcome || ' ' || created_at || ' ' || \
                 coalesce(started_at, created_at) || ' ' || coalesce(completed_at, '-'), ','), '') from operation_runs"
            }
        };
        let all = self.text(sql).await;
        all.split(',')
            .filter(|one| !one.is_empty())
            .map(|one| {
                let words: Vec<&str> = one.split(' ').collect();
                let at = |n: usize| words[n].parse::<DateTime<Utc>>().ok();
                let took = at(4).map(|done| done - at(3).unwrap());
                Held {
                    workspace: words[0].parse().unwrap(),
                    outcome: words[1].to_owned(),
                    created: at(2).unwrap(),
                    milliseconds: took.map_or(0, |took| {
                        (took.num_microseconds().unwrap() + 500).div_euclid(1_000).max(0)
                    }),
                }
            })
            .collect()
    }

    pub(crate) async fn overview(&self, actor: &Actor, window: Window) -> Overview {
        self.ops.run(actor, ReadOverview { window: Some(window) }).await.unwrap()
    }

    /// How many runs the operations list has under a filter.
    pub(crate) async fn listed(&self, actor: &Actor, filter: &RunFilter) -> i64 {
        // As it would be typed.
        let filter = RunFilter::parse(&filter.to_string()).unwrap();
        let (mut found, mut page) = (0, Page::Newest);
        loop {
            let list = ListRuns { filter: filter.clone(), page, limit: 500 };
            let part = self.ops.run(actor, list).await.unwrap();
            found += i64::try_from(part.runs.len()).unwrap();
            match part.next {
                Some(next) => page = Page::OlderThan(next),
                None => return found,
            }
        }
    }

    /// Holds every number of every window against the runs, counted one by one.
    pub(crate) async fn compare_runs(&self, actor: &Actor, view: &[i64], what: &str) {
        let held = self.held().await;
        let held: Vec<&Held> = held.iter().filter(|run| view.contains(&run.workspace)).collect();
        let until = self.clock.now().trunc_subsecs(0);
        for window in Window::ALL {
            let what = format!("{what}, {window}");
            let found = self.overview(actor, *window).await;
            let from = until - window.length();
            assert_eq!((found.window.start_at, found.window.end_at), (from, until), "{what}");
            let between = |from: DateTime<Utc>, until: DateTime<Utc>| -> Vec<&Held> {
                held.iter()
                    .filter(|run| from <= run.created && run.created < until)
                    .copied()
                    .collect()
            };
            let current = between(from, until);
            let before = between(from - window.length(), from);
            same(&found.runs.current, &current, &what);
            same(&found.runs.previous, &before, &format!("{what}, before"));
            let trend = &found.runs.trend;
            let last = trend.buckets.len() - 1;
            for (n, bucket) in trend.buckets.iter().enumerate() {
                let end = if n == last { until } else { bucket.end_at };
                let inside: Vec<_> = current
                    .iter()
                    .filter(|run| bucket.start_at <= run.created && run.created < end)
                    .collect();
                let failed = inside.iter().filter(|run| run.outcome == "failed").count();
                assert_eq!(trend.started[n], i64::try_from(inside.len()).unwrap(), "{what}");
                assert_eq!(trend.failed[n], i64::try_from(failed).unwrap(), "{what}");
            }
            let active = held.iter().filter(|run| run.outcome == "pending").count();
            assert_eq!(found.runs.active, i64::try_from(active).unwrap(), "{what}");
        }
    }

    pub(crate) async fn counted_wrong(&self) -> i64 {
        self.ops.run(&Actor::System, CheckRunCounts).await.unwrap().different
    }
}

/// Holds figures against the runs that they are of.
fn same(found: &RunFigures, runs: &[&Held], what: &str) {
    let count = |outcome: &str| {
        i64::try_from(runs.iter().filter(|run| run.outcome == outcome).count()).unwrap()
    };
    assert_eq!(found.started, i64::try_from(runs.len()).unwrap(), "{what}");
    assert_eq!(
        [found.succeeded, found.partially_succeeded, found.failed, found.blocked, found.cancelled],
        ENDED.map(count),
        "{what}"
    );
    assert_eq!(
        (found.pending, found.ended()),
        (count("pending"), found.started - count("pending"))
    );
    let timed = ["succeeded", "partially_succeeded", "failed"];
    let mut took: Vec<i64> = runs
        .iter()
        .filter(|run| timed.contains(&run.outcome.as_str()))
        .map(|run| run.milliseconds)
        .collect();
    took.sort_unstable();
    for (percent, figure) in [(50, found.median), (95, found.p95)] {
        let rank = (took.len() * percent).div_ceil(100);
        let expected = rank.checked_sub(1).map(|n| took[n]);
        let read = figure.map(|figure| figure.milliseconds);
        match figure {
            Some(figure) if figure.approximate => {
                assert!(took.len() > 2_000, "{what}");
                let (read, expected) = (figure.milliseconds, expected.unwrap());
                // Half a step, and a millisecond for those that are shorter than a step.
                assert!(
                    (read - expected).abs() * 20 <= expected + 40,
                    "{what}: {read}, not {expected}"
                );
            }
            // The two engines round halves of milliseconds each in its own way.
            _ => assert!(
                read.is_some() == expected.is_some()
                    && (read.unwrap_or(0) - expected.unwrap_or(0)).abs() <= 1,
                "{what}: {read:?}, not {expected:?}"
            ),
        }
    }
}

both_engines! {
    async fn fr_025_002_figures_are_the_runs_and_fr_025_004_so_are_the_kept_counts_whatever_happens(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await;
        store.user_with(&admin, "one", Role::Administrator.capabilities(), &[2]).await;
        let mut next = 1;
        for seed in [21_u64, 22] {
            let mut rng = StdRng::seed_from_u64(seed);
            for step in 0..12 {
                let what = match rng.random_range(0..9) {
                    0..4 => {
                        for _ in 0..rng.random_range(1..40) {
                            store.put_run(&mut rng, next).await;
                            next += 1;
                        }
                        "insert"
                    }
                    4 => {
                        let sql = format!(
                            "update operation_runs set status = 'completed', outcome = '{}', lease_owner = null, \
                             completed_at = '{}' where status <> 'completed' and id % 2 = 0",
                            ENDED.choose(&mut rng).unwrap(), text(store.clock.now())
                        );
                        store.sql(&sql).await.unwrap();
                        "end"
                    }
                    5 => {
                        let sql = format!("delete from operation_runs where id % {} = 0", rng.random_range(3..6));
                        store.sql(&sql).await.unwrap();
                        "delete"
                    }
                    6 => {
                        let sql = "update operation_runs set outcome = 'cancelled', started_at = null where status = 'completed' and id % 3 = 1";
                        store.sql(sql).await.unwrap();
                        "change"
                    }
                    7 => {
                        store.ops.run(&Actor::System, RebuildRunCounts).await.unwrap();
                        "rebuild"
                    }
                    _ => {
                        let by = TimeDelta::seconds(rng.random_range(-500_000..500_000))
                            + TimeDelta::microseconds(rng.random_range(0..999_999));
                        store.clock.advance(by);
                        "clock"
                    }
                };
                let what = format!("seed {seed}, step {step}, {what}");
                store.compare_runs(&Actor::System, &[1, 2], &what).await;
                assert_eq!(store.counted_wrong().await, 0, "{what}");
                if step % 2 == 0 {
                    while store.ops.run(&Actor::System, FoldRunCounts).await.unwrap() {}
                    assert_eq!(store.counted_wrong().await, 0, "{what}, folded");
                    let one = store.login("one").await;
                    store.compare_runs(&one.actor, &[2], &format!("{what}, restricted")).await;
                }
            }
        }
        assert!(store.ops.run(&Actor::System, RebuildRunCounts).await.unwrap() > 0, "nothing was left to compare");
    }

    async fn fr_025_001_every_number_lists_exactly_the_runs_that_it_counts(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await;
        store.user_with(&admin, "one", Role::Administrator.capabilities(), &[2]).await;
        let mut rng = StdRng::seed_from_u64(5);
        store.clock.advance(TimeDelta::microseconds(345_678));
        for id in 1..=160 {
            store.put_run(&mut rng, id).await;
        }
        // A lease that ran out, and runs that wait for too long.
        store.sql("insert into operation_run_leases (run_id, owner, acquired_at, heartbeat_at, expires_at) \
            select id, 'w', '2026-11-01T00:00:00+00:00', '2026-11-01T00:00:00+00:00', '2026-11-01T00:01:00+00:00' \
            from operation_runs where status = 'running' and id % 2 = 0").await.unwrap();
        for (actor, who) in [(Actor::System, "system"), (store.login("one").await.actor, "one")] {
            for window in Window::ALL {
                let found = store.overview(&actor, *window).await;
                let runs = &found.runs;
                let c = &runs.current;
                let mut numbers = vec![
                    (c.started, runs.filter(&[])),
                    (c.succeeded, runs.filter(&[StatusWord::Succeeded])),
                    (c.partially_succeeded, runs.filter(&[StatusWord::Partial])),
                    (c.failed, runs.filter(&[StatusWord::Failed])),
                    (c.blocked, runs.filter(&[StatusWord::Blocked])),
                    (c.cancelled, runs.filter(&[StatusWord::Cancelled])),
                    (c.ended(), runs.filter(&[StatusWord::Completed])),
                    (c.pending, runs.filter(&[StatusWord::Active])),
                    (c.timed(), runs.timed_filter()),
                    (runs.active, tenantpilot::ops::overview::RunKpis::now_filter(StatusWord::Active)),
                    (runs.stuck, tenantpilot::ops::overview::RunKpis::now_filter(StatusWord::Stuck)),
                    (runs.stale, tenantpilot::ops::overview::RunKpis::now_filter(StatusWord::Stale)),
                ];
                let offenders = [&found.offenders.types, &found.offenders.tenants, &found.offenders.reasons];
                assert!(*window != Window::Month || offenders.iter().all(|list| !list.is_empty()));
                for (column, list) in ["type", "tenant_id", "reason_code"].iter().zip(offenders) {
                    let counted = format!(
                        "(select count(*) as runs from operation_runs where outcome in ('failed', 'partially_succeeded') \
                         and created_at >= '{}' and created_at < '{}' and workspace_id in ({}) and {column} is not null group by {column}) x",
                        text(found.window.start_at), text(found.window.end_at), if who == "one" { "2" } else { "1, 2" }
                    );
                    let groups = store.number(&format!("select count(*) from {counted}")).await;
                    assert_eq!(i64::try_from(list.len()).unwrap(), groups.min(5), "{who}, {window}: {column}");
                    let top = format!("select cast(coalesce(sum(runs), 0) as bigint) from (select runs from {counted} order by runs desc limit 5) y");
                    assert_eq!(list.iter().map(|one| one.runs).sum::<i64>(), store.number(&top).await, "{who}, {window}: {column}");
                }
                for offender in offenders.into_iter().flatten() {
                    numbers.push((offender.runs, offender.filter.clone()));
                }
                for (number, filter) in numbers {
                    assert_eq!(store.listed(&actor, &filter).await, number, "{who}, {window}: {filter}");
                    assert!(filter.to_string().chars().count() <= 160, "{filter}");
                }
                for reason in &found.health.reasons {
                    // What is about workers or alerts lists no runs.
                    let Some(filter) = reason.filter.as_ref() else { continue };
                    assert!(store.listed(&actor, filter).await > 0, "{}: {filter}", reason.text);
                }
            }
        }
    }

    async fn fr_025_003_durations_of_many_runs_are_marked_and_near(store) {
        let store = store.with_platform().await;
        let series = match store.engine {
            Engine::Postgres => "from generate_series(1, 2600) n",
            Engine::Sqlite => "from (with recursive s (n) as (select 1 union all select n + 1 from s where n < 2600) select n from s)",
        };
        let (created, done) = match store.engine {
            Engine::Postgres => (
                "timestamptz '2026-11-20T11:59:59Z' - n * interval '10 minutes'",
                "timestamptz '2026-11-20T11:59:59Z' - n * interval '10 minutes' + n * n * interval '1 millisecond'",
            ),
            Engine::Sqlite => (
                "strftime('%Y-%m-%dT%H:%M:%f+00:00', '2026-11-20T11:59:59', '-' || (n * 10) || ' minutes')",
                "strftime('%Y-%m-%dT%H:%M:%f+00:00', '2026-11-20T11:59:59', '-' || (n * 10) || ' minutes', (n * n / 1000.0) || ' seconds')",
            ),
        };
        let hash = if store.engine == Engine::Postgres { "lpad(n::text, 64, '0')" } else { "printf('%064d', n)" };
        store.sql(&format!(
            "insert into operation_runs (workspace_id, tenant_id, source, type, scope_kind, status, outcome, identity_hash, \
             created_at, started_at, completed_at, updated_at) select 1, 1, 'schedule', 'policy.sync', 'tenant', 'completed', \
             'succeeded', {hash}, {created}, {created}, {done}, {created} {series}"
        )).await.unwrap();
        store.compare_runs(&Actor::System, &[1, 2], "2,600 runs").await;
        let month = store.overview(&Actor::System, Window::Month).await.runs.current;
        assert_eq!(month.started, 2_600);
        assert!(month.median.unwrap().approximate && month.p95.unwrap().approximate);
        let week = store.overview(&Actor::System, Window::Week).await.runs.current;
        assert!(week.started > 900 && !week.median.unwrap().approximate);
    }

    async fn fr_025_004_a_wrong_count_is_named_and_made_anew(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await;
        let mut rng = StdRng::seed_from_u64(9);
        for id in 1..=30 {
            store.put_run(&mut rng, id).await;
        }
        store.ops.run(&Actor::System, FoldRunCounts).await.unwrap();
        assert_eq!(store.counted_wrong().await, 0);
        store.sql("update operation_run_days set runs = runs + 2 where (day, outcome, took) in \
            (select day, outcome, took from operation_run_days order by 1, 2, 3 limit 1)").await.unwrap();
        store.sql("insert into operation_run_hours (hour, outcome, took, runs) values ('2026-01-01T07:00:00+00:00', 'failed', 3, 4)").await.unwrap();
        let found = store.ops.run(&admin.actor, CheckRunCounts).await.unwrap();
        assert_eq!(found.different, 2);
        let one = &found.differences[0];
        assert_eq!((one.span.as_str(), one.outcome.as_str(), one.duration_step, one.runs, one.counted), ("hour", "failed", 3, 0, 4));
        assert_eq!(found.differences[1].counted, found.differences[1].runs + 2);
        let ended = store.number("select count(*) from operation_runs where status = 'completed'").await;
        assert_eq!(store.ops.run(&admin.actor, RebuildRunCounts).await.unwrap(), ended);
        assert_eq!(store.counted_wrong().await, 0);
        let audited = "select count(*) from audit_logs where action = 'overview.rebuild_counts' and status = 'succeeded' and actor_name = 'administrator'";
        assert_eq!(store.number(audited).await, 1);
        let one = store.user_with(&admin, "one", Role::Administrator.capabilities(), &[2]).await;
        for refused in [
            store.ops.run(&one.actor, CheckRunCounts).await.err(),
            store.ops.run(&one.actor, RebuildRunCounts).await.err(),
        ] {
            assert_eq!(refused.unwrap().kind(), ErrorKind::Forbidden);
        }
    }

    async fn fr_025_004_a_run_is_never_replaced_past_its_counts(store) {
        let store = store.with_platform().await;
        let mut rng = StdRng::seed_from_u64(9);
        for id in 1..=20 {
            store.put_run(&mut rng, id).await;
        }
        if store.engine == Engine::Sqlite {
            for sql in [
                "insert or replace into operation_runs select * from operation_runs where status = 'completed'",
                "update or replace operation_runs set id = 2 where id = 1",
                "update operation_runs set id = 99 where id = 1",
            ] {
                assert!(store.sql(sql).await.is_err(), "{sql}");
            }
        } else {
            assert!(store.sql("update operation_runs set created_at = 'infinity' where id = 1").await.is_err());
        }
        assert_eq!((store.counted_wrong().await, store.number("select count(*) from operation_runs").await), (0, 20));
    }

    async fn fr_025_007_offenders_and_recent_failures_come_most_and_newest_first(store) {
        let store = store.with_platform().await;
        let put = async |id: i64, tenant: Option<i64>, kind: &str, outcome: &str, reason: &str| {
            let created = text(noon() - TimeDelta::minutes(100 - id));
            let workspace = tenant.map_or("null".to_owned(), |t| if t <= 2 { "1" } else { "2" }.to_owned());
            let scope = if tenant.is_some() { "tenant" } else { "all" };
            let tenant = tenant.map_or("null".to_owned(), |t| t.to_string());
            store.sql(&format!(
                "insert into operation_runs (id, workspace_id, tenant_id, source, type, scope_kind, status, outcome, reason_code, \
                 identity_hash, created_at, completed_at, updated_at) values ({id}, {workspace}, {tenant}, 'schedule', '{kind}', \
                 '{scope}', 'completed', '{outcome}', {reason}, '{id:064x}', '{created}', '{created}', '{created}')"
            )).await.unwrap();
        };
        for id in 1..=7 {
            put(id, Some(1), &format!("a.t{id}"), "failed", "'timeout'").await;
        }
        put(8, Some(2), "a.t7", "partially_succeeded", "'conflict'").await;
        put(9, None, "a.t7", "failed", "'newer.code'").await;
        put(10, Some(2), "a.t1", "succeeded", "null").await;
        put(11, Some(2), "a.t1", "cancelled", "null").await;
        let found = store.overview(&Actor::System, Window::Day).await;
        let names = |list: &[tenantpilot::ops::overview::Offender]| -> Vec<(String, i64)> {
            list.iter().map(|one| (one.name.clone(), one.runs)).collect()
        };
        let named = |list: &[(&str, i64)]| -> Vec<(String, i64)> {
            list.iter().map(|(name, runs)| ((*name).to_owned(), *runs)).collect()
        };
        assert_eq!(names(&found.offenders.types), named(&[("a.t7", 3), ("a.t1", 1), ("a.t2", 1), ("a.t3", 1), ("a.t4", 1)]));
        assert_eq!(names(&found.offenders.tenants), named(&[("Contoso DE", 7), ("Contoso FR", 1)]));
        assert_eq!(names(&found.offenders.reasons), named(&[("timeout", 7), ("conflict", 1), ("newer.code", 1)]));
        assert_eq!(found.offenders.reasons[0].label, Some("Timed out"));
        assert_eq!(found.offenders.reasons[2].label, None);
        let recent: Vec<i64> = found.recent_failures.iter().map(|run| run.id).collect();
        assert_eq!(recent, [9, 8, 7, 6, 5, 4, 3, 2, 1]);
    }

    async fn fr_025_008_the_overview_needs_what_the_dashboard_needs(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await;
        for (name, more, fine) in [
            ("nothing", vec![], false),
            ("console", vec![Capability::ConsoleView], true),
            ("ops", vec![Capability::OpsView], false),
            ("runbooks", vec![Capability::RunbooksView], false),
            ("both", vec![Capability::OpsView, Capability::RunbooksView], true),
        ] {
            let held = more.into_iter().chain([Capability::AccessSystemPanel]).collect::<CapabilitySet>();
            let person = store.user_with(&admin, name, held, &[]).await;
            match store.ops.run(&person.actor, ReadOverview::default()).await {
                Ok(found) => assert!(fine && found.unread_notifications == Some(0), "{name}"),
                Err(error) => {
                    assert!(!fine && error.kind() == ErrorKind::Forbidden, "{name}: {error}");
                    assert!(error.message().contains("platform.console.view, or platform.ops.view and platform.runbooks.view"), "{error}");
                }
            }
        }
        let error = store.ops.run(&Actor::Customer { user_id: 1 }, ReadOverview::default()).await.unwrap_err();
        let nobody = store.ops.run(&Actor::Anonymous { origin: "x".to_owned() }, ReadOverview::default()).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::NotLoggedIn, nobody.message()));
    }

    async fn fr_025_013_the_window_is_remembered_for_each_person(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await;
        let other = store.user(&admin, Role::Viewer).await;
        let looked = async |actor: &Actor| {
            let overview = store.ops.run(actor, ReadOverview::default()).await.unwrap().window.key;
            let usage = store.ops.run(actor, Summarise::default()).await.unwrap().window.key;
            assert_eq!(overview, usage);
            usage
        };
        assert_eq!(looked(&admin.actor).await, Window::Day);
        for window in [Window::Month, Window::Hour] {
            store.ops.run(&admin.actor, ChooseWindow { window }).await.unwrap();
            assert_eq!(looked(&admin.actor).await, window);
        }
        assert_eq!(looked(&store.login("administrator").await.actor).await, Window::Hour);
        assert_eq!(looked(&other.actor).await, Window::Day);
        assert_eq!(looked(&Actor::System).await, Window::Day);
        let error = "2h".parse::<Window>().unwrap_err().to_string();
        assert!(error.contains("1h, 24h, 7d, 30d"), "{error}");
    }
}
