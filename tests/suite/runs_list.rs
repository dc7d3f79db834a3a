//! The operations list: pages, filters, bounds, counts, views.

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, Utc};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tenantpilot::ErrorKind;
use tenantpilot::access::Actor;
use tenantpilot::domain::capability::{Capability, CapabilitySet};
use tenantpilot::domain::run::{Run, RunOutcome, Source};
use tenantpilot::domain::run_filter::{IdOrName, RunFilter, Term, TermKind};
use tenantpilot::domain::run_state::RunState;
use tenantpilot::ops::platform::NameValues;
use tenantpilot::ops::runs::{CountRuns, Cursor, GetRun, ListRuns, Page, RunPage, StartRun};
use tenantpilot::ops::{Engine, Ops, OpsSettings};

use crate::support::stores::{Store, both_engines, noon};

/// Runs with everything a filter can ask for, many at equal times, from a seed.
async fn fill(store: &Store, seed: u64, n: i64) {
    let mut random = StdRng::seed_from_u64(seed);
    let types = ["policy.sync", "policy.check", "inventory.sync", "a_b.c"];
    let names = ["m.lang", "M.Lang", "r_diaz", "100%", "Über Eck", "back\\slash", "Nightly"];
    let reasons = ["timeout", "conflict", "time_out", "newer.code"];
    let mut rows = Vec::new();
    for id in 1..=n {
        let minutes = random.random_range(0..600) / 5 * 5;
        let seconds = if random.random_bool(0.5) { 0 } else { random.random_range(0..60) };
        let at = noon() - Duration::minutes(minutes) - Duration::seconds(seconds);
        let text = |value: Option<&&str>| value.map_or("null".to_owned(), |v| format!("'{v}'"));
        let time = format!("'{}'", at.to_rfc3339());
        let (mut status, mut outcome, mut done, mut lease, mut paused, mut cancel) = (
            "completed",
            *["succeeded", "partially_succeeded", "failed", "blocked", "cancelled"]
                .choose(&mut random)
                .unwrap(),
            time.as_str(),
            "null",
            "null",
            "null",
        );
        match random.random_range(0..8) {
            0 => (status, outcome, done) = ("queued", "pending", "null"),
            1 => (status, outcome, done, paused) = ("queued", "pending", "null", &time),
            2 => (status, outcome, done, lease) = ("running", "pending", "null", "'w'"),
            3 => {
                (status, outcome, done, lease, cancel) =
                    ("running", "pending", "null", "'w'", &time)
            }
            _ => {}
        }
        let (scope, workspace, tenant) = *[
            ("tenant", "1", "1"),
            ("tenant", "1", "2"),
            ("tenant", "2", "3"),
            ("tenant", "2", "4"),
            ("workspace", "1", "null"),
            ("all", "null", "null"),
            ("platform", "null", "null"),
        ]
        .choose(&mut random)
        .unwrap();
        let name = text(if random.random_bool(0.7) { names.choose(&mut random) } else { None });
        let reason = text(if outcome == "failed" { reasons.choose(&mut random) } else { None });
        let kind = types.choose(&mut random).unwrap();
        let source = Source::ALL.choose(&mut random).unwrap();
        rows.push(format!(
            "({id}, {workspace}, {tenant}, {name}, '{source}', '{kind}', '{scope}', '{status}', '{outcome}', {reason}, \
             '{id:064x}', {lease}, {paused}, {cancel}, {time}, {done}, {time})"
        ));
    }
    for part in rows.chunks(500) {
        let sql = format!(
            "insert into operation_runs (id, workspace_id, tenant_id, initiator_name, source, type, scope_kind, status, \
             outcome, reason_code, identity_hash, lease_owner, paused_at, cancel_requested_at, created_at, completed_at, \
             updated_at) values {}",
            part.join(", ")
        );
        store.sql(&sql).await.unwrap();
    }
    if store.engine == Engine::Postgres {
        store
            .sql("select setval(pg_get_serial_sequence('operation_runs', 'id'), 1000000)")
            .await
            .unwrap();
    }
}

async fn list(ops: &Ops, actor: &Actor, filter: &RunFilter, page: Page, limit: i64) -> RunPage {
    ops.run(actor, ListRuns { filter: filter.clone(), page, limit }).await.unwrap()
}

/// Walks all pages; gives the rows newest first, and how many pages looked at a bounded part.
async fn walk(
    ops: &Ops,
    actor: &Actor,
    filter: &RunFilter,
    limit: i64,
    up: bool,
) -> (Vec<Run>, usize) {
    let mut found: Vec<Vec<Run>> = Vec::new();
    let mut bounded = 0;
    let mut page = if up { Page::Oldest } else { Page::Newest };
    loop {
        let part = list(ops, actor, filter, page, limit).await;
        assert!(part.runs.len() <= usize::try_from(limit).unwrap());
        assert_eq!(part.more, part.next.is_some(), "{filter}");
        bounded += usize::from(part.searched.is_some());
        found.push(part.runs);
        match part.next {
            Some(next) if up => page = Page::NewerThan(next),
            Some(next) => page = Page::OlderThan(next),
            None => break,
        }
        assert!(found.len() < 2000, "{filter} never ends");
    }
    if up {
        found.reverse();
    }
    (found.concat(), bounded)
}

fn ids(runs: &[Run]) -> Vec<i64> {
    runs.iter().map(|run| run.id).collect()
}

/// What a filter means, said without a database.
fn holds(term: &Term, run: &Run, now: DateTime<Utc>) -> bool {
    let named = |id: Option<i64>, name: &Option<String>, wanted: &[IdOrName]| {
        wanted.iter().any(|wanted| match wanted {
            IdOrName::Id(wanted) => id == Some(*wanted),
            IdOrName::Name(pattern) => name.as_deref().is_some_and(|name| pattern.matches(name)),
        })
    };
    let some = |text: &Option<String>, patterns: &[tenantpilot::domain::run_filter::Pattern]| {
        text.as_deref().is_some_and(|text| patterns.iter().any(|p| p.matches(text)))
    };
    let held = match &term.kind {
        TermKind::Status(words) => words.iter().any(|word| word.covers(RunState::of(run, now))),
        TermKind::Outcome(outcomes) => outcomes.contains(&run.outcome),
        TermKind::Type(patterns) => patterns.iter().any(|p| p.matches(&run.run_type)),
        TermKind::Tenant(wanted) => named(run.tenant_id, &run.tenant_name, wanted),
        TermKind::Workspace(wanted) => named(run.workspace_id, &run.workspace_name, wanted),
        TermKind::Reason(patterns) => some(&run.reason_code, patterns),
        TermKind::By(patterns) => some(&run.initiator_name, patterns),
        TermKind::Source(sources) => sources.contains(&run.source),
        TermKind::Since(when) => run.created_at >= when.resolve(now),
        TermKind::Until(when) => run.created_at < when.resolve(now),
        TermKind::Id(ids) => ids.contains(&run.id),
        TermKind::Fingerprint(_) => unreachable!("a run alone does not tell its failures"),
        TermKind::Text(text) => {
            let text = text.to_lowercase();
            let shown = [
                Some(run.id.to_string()),
                Some(run.run_type.clone()),
                run.tenant_name.clone(),
                run.workspace_name.clone(),
                run.initiator_name.clone(),
                run.reason_code.clone(),
                Some(run.source.to_string()),
            ];
            shown.iter().flatten().any(|value| value.to_lowercase().contains(&text))
        }
    };
    held != term.negated
}

/// A filter of one to three terms.
fn random_filter(random: &mut StdRng) -> RunFilter {
    let terms = [
        "status:queued",
        "status:stale",
        "status:paused",
        "status:running",
        "status:cancelling",
        "status:active",
        "status:completed",
        "status:failed",
        "status:partial,blocked",
        "status:queued,cancelled",
        "status:succeeded",
        "status:running,stale",
        "outcome:failed",
        "outcome:pending",
        "outcome:succeeded,partially_succeeded",
        "type:policy.sync",
        "type:POLICY.*",
        "type:a_b.c,inventory.sync",
        "type:a_*",
        "tenant:1",
        "tenant:3,4",
        "tenant:\"contoso de\"",
        "tenant:fab*",
        "workspace:1",
        "workspace:Fabrikam",
        "reason:timeout",
        "reason:time_*",
        "reason:newer.code,conflict",
        "by:m.lang",
        "by:r_d*",
        "by:\"100%\"",
        "by:\"Über Eck\"",
        "by:\"über eck\"",
        "by:\"Ü\"*",
        "source:cli",
        "source:admin,schedule",
        "since:2h",
        "since:5h",
        "until:1h",
        "until:2026-11-20T08:30",
        "since:2026-11-20T09:00",
        "id:7",
        "id:3,5,900",
        "sync",
        "lang",
        "\"100%\"",
        "\"_\"",
        "\"%\"",
        "\"\\\\\"",
        "\"Über\"",
        "nothing_like_it",
        "1",
        "contoso",
    ];
    loop {
        let count = random.random_range(1..=3);
        let words: Vec<String> = (0..count)
            .map(|_| {
                let term = terms.choose(random).unwrap();
                format!("{}{term}", if random.random_bool(0.25) { "!" } else { "" })
            })
            .collect();
        // Some words may stand only once, and times are not negated.
        if let Ok(filter) = RunFilter::parse(&words.join(" ")) {
            return filter;
        }
    }
}

both_engines! {
    async fn fr_004_019_pages_hold_every_run_once_and_in_order(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        fill(&store, 1, 300).await;
        let all = RunFilter::default();
        let (whole, _) = walk(&store.ops, &root.actor, &all, 1000, false).await;
        assert_eq!(whole.len(), 300);
        assert!(whole.is_sorted_by(|a, b| (a.created_at, a.id) > (b.created_at, b.id)));
        for limit in [1, 7, 50, 299, 300, 301] {
            for up in [false, true] {
                let (walked, bounded) = walk(&store.ops, &root.actor, &all, limit, up).await;
                assert_eq!(ids(&walked), ids(&whole), "{limit} {up}");
                assert_eq!(bounded, 0);
            }
        }
        // From a place, both ways.
        let middle = Cursor { created_at: whole[150].created_at, id: whole[150].id };
        for (page, expected) in [
            (Page::From(middle), &whole[150..160]), (Page::OlderThan(middle), &whole[151..161]), (Page::NewerThan(middle), &whole[140..150]),
        ] {
            assert_eq!(ids(&list(&store.ops, &root.actor, &all, page, 10).await.runs), ids(expected), "{page:?}");
        }
    }

    async fn fr_004_019_new_runs_do_not_disturb_a_walk(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        fill(&store, 2, 120).await;
        let all = RunFilter::default();
        let before: BTreeSet<i64> = ids(&walk(&store.ops, &root.actor, &all, 1000, false).await.0).into_iter().collect();
        store.clock.advance(Duration::seconds(1));
        let mut seen: Vec<Run> = Vec::new();
        let mut page = Page::Newest;
        let mut n = 0;
        loop {
            let part = list(&store.ops, &root.actor, &all, page, 7).await;
            seen.extend(part.runs);
            for _ in 0..3 {
                n += 1;
                let mut start = StartRun::for_tenant("policy.sync", 1, Source::Admin);
                start.inputs = serde_json::json!({ "n": n });
                store.ops.run(&Actor::System, start).await.unwrap();
            }
            match part.next {
                Some(next) => page = Page::OlderThan(next),
                None => break,
            }
        }
        assert!(seen.is_sorted_by(|a, b| (a.created_at, a.id) > (b.created_at, b.id)));
        assert_eq!(ids(&seen).into_iter().collect::<BTreeSet<_>>(), before);
        assert_eq!(seen.len(), before.len());
        // Going back up from the first row, the new ones are there, the nearest first.
        let first = Cursor { created_at: seen[0].created_at, id: seen[0].id };
        let newer = list(&store.ops, &root.actor, &all, Page::NewerThan(first), 1000).await;
        assert_eq!(newer.runs.len(), n);
    }

    async fn fr_004_020_a_filter_finds_what_it_says(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        fill(&store, 3, 250).await;
        let (whole, _) = walk(&store.ops, &root.actor, &RunFilter::default(), 1000, false).await;
        let small = store.another(OpsSettings { search_bound: 23, patience: std::time::Duration::from_secs(60), ..OpsSettings::default() });
        let mut random = StdRng::seed_from_u64(4);
        let mut hits = 0;
        for _ in 0..200 {
            let filter = random_filter(&mut random);
            let expected: Vec<i64> = whole
                .iter()
                .filter(|run| filter.terms.iter().all(|term| holds(term, run, noon())))
                .map(|run| run.id)
                .collect();
            hits += expected.len();
            let limit = random.random_range(1..60);
            let up = random.random_bool(0.4);
            for ops in [&store.ops, &small] {
                let (found, _) = walk(ops, &root.actor, &filter, limit, up).await;
                assert_eq!(ids(&found), expected, "{filter}, {limit} a page, up: {up}");
            }
        }
        assert!(hits > 500, "the filters are too narrow to prove anything: {hits}");
    }

    async fn fr_004_021_wildcards_of_the_database_are_ordinary_letters(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        fill(&store, 5, 200).await;
        let (whole, _) = walk(&store.ops, &root.actor, &RunFilter::default(), 1000, false).await;
        for (text, part) in [("\"%\"", "100%"), ("by:\"100%\"", "100%"), ("by:r_*", "r_diaz"), ("\"\\\\\"", "back\\slash"), ("by:\"back\\\\\"*", "back\\slash")] {
            let filter = RunFilter::parse(text).unwrap();
            let (found, _) = walk(&store.ops, &root.actor, &filter, 1000, false).await;
            let expected = whole.iter().filter(|run| run.initiator_name.as_deref() == Some(part)).count();
            assert!(expected > 0);
            assert_eq!(found.len(), expected, "{text}");
        }
        for text in ["by:m%", "by:m_lang", "type:policy_sync", "tenant:\"%\"", "reason:%*"] {
            let filter = RunFilter::parse(text).unwrap();
            assert!(walk(&store.ops, &root.actor, &filter, 1000, false).await.0.is_empty(), "{text}");
        }
    }

    async fn fr_004_022_a_search_states_its_bound_and_goes_on_from_there(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        fill(&store, 6, 100).await;
        let small = store.another(OpsSettings { search_bound: 30, ..OpsSettings::default() });
        let filter = RunFilter::parse("nothing_like_it").unwrap();
        let first = list(&small, &root.actor, &filter, Page::Newest, 50).await;
        assert!(first.runs.is_empty() && first.more);
        assert_eq!(first.searched, Some(30));
        let (found, bounded) = walk(&small, &root.actor, &filter, 50, false).await;
        assert!(found.is_empty());
        assert_eq!(bounded, 3, "100 rows in windows of 30: three are stated, the last is whole");
        // A condition with an index of its own needs no bound.
        let leading = RunFilter::parse("type:policy.sync").unwrap();
        assert_eq!(walk(&small, &root.actor, &leading, 5, false).await.1, 0);
        let exact = store.another(OpsSettings { search_bound: 100, ..OpsSettings::default() });
        let (found, _) = walk(&exact, &root.actor, &filter, 50, false).await;
        assert!(found.is_empty());
    }

    async fn fr_004_023_counts_say_what_is_active_stale_and_lately_failed(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        assert_eq!(store.ops.run(&root.actor, CountRuns).await.unwrap().total, Some(0));
        fill(&store, 7, 200).await;
        let (whole, _) = walk(&store.ops, &root.actor, &RunFilter::default(), 1000, false).await;
        let count = |test: &dyn Fn(&Run) -> bool| i64::try_from(whole.iter().filter(|run| test(run)).count()).unwrap();
        let counts = store.ops.run(&root.actor, CountRuns).await.unwrap();
        assert_eq!(counts.active, count(&|run| RunState::of(run, noon()).is_active()));
        assert_eq!(counts.stale, count(&|run| RunState::of(run, noon()) == RunState::Stale));
        assert_eq!(counts.failed, count(&|run| run.outcome == RunOutcome::Failed));
        assert_eq!((counts.total, counts.estimated), (Some(200), false));
        store.clock.advance(Duration::hours(25));
        // The session ended meanwhile; its user comes back.
        let root = store.login("administrator").await;
        assert_eq!(store.ops.run(&root.actor, CountRuns).await.unwrap().failed, 0);
    }

    async fn fr_004_026_a_restricted_view_holds_its_workspaces_and_nothing_else(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        fill(&store, 8, 150).await;
        let caps = CapabilitySet::from_iter([Capability::AccessSystemPanel, Capability::OpsView, Capability::AuditView]);
        let one = store.user_with(&root, "one", caps, &[1]).await;
        assert!(one.restricted);
        let (whole, _) = walk(&store.ops, &root.actor, &RunFilter::default(), 1000, false).await;
        let own: Vec<i64> = whole.iter().filter(|run| run.workspace_id == Some(1)).map(|run| run.id).collect();
        for up in [false, true] {
            assert_eq!(ids(&walk(&store.ops, &one.actor, &RunFilter::default(), 9, up).await.0), own);
        }
        for filter in ["workspace:2", "tenant:3", "tenant:Fabrikam", "fabrikam", "workspace:Fabrikam"] {
            let filter = RunFilter::parse(filter).unwrap();
            assert!(walk(&store.ops, &one.actor, &filter, 50, false).await.0.is_empty(), "{filter}");
        }
        for run in &whole {
            let seen = store.ops.run(&one.actor, GetRun { id: run.id }).await;
            assert_eq!(seen.is_ok(), own.contains(&run.id), "{}", run.id);
        }
        let foreign = whole.iter().find(|run| run.workspace_id == Some(2)).unwrap().id;
        let hidden = store.ops.run(&one.actor, GetRun { id: foreign }).await.unwrap_err();
        let missing = store.ops.run(&one.actor, GetRun { id: 9_999 }).await.unwrap_err();
        assert_eq!(hidden.kind(), ErrorKind::NotFound);
        let same = |text: String, id: i64| text.replace(&id.to_string(), "N");
        assert_eq!(same(hidden.to_string(), foreign), same(missing.to_string(), 9_999));

        let active = whole.iter().filter(|run| run.workspace_id == Some(1) && RunState::of(run, noon()).is_active()).count();
        let counts = store.ops.run(&one.actor, CountRuns).await.unwrap();
        assert_eq!(counts.active, i64::try_from(active).unwrap());
        assert_eq!(counts.total, None, "the size of the whole table is not theirs to know");
        let names = store.ops.run(&one.actor, NameValues).await.unwrap();
        assert_eq!(names.workspaces, ["Contoso"]);
        assert_eq!(names.tenants, ["Contoso DE", "Contoso FR", "Platform"]);
        let all = store.ops.run(&root.actor, NameValues).await.unwrap();
        assert_eq!(all.workspaces, ["Contoso", "Fabrikam"]);
        assert_eq!(all.types, ["a_b.c", "inventory.sync", "policy.check", "policy.sync"]);
        // A restriction to a workspace without runs shows nothing, not everything.
        store.sql("insert into workspaces (id, name, created_at) values (6, 'Empty', '2026-11-01T00:00:00+00:00')").await.unwrap();
        let caps = CapabilitySet::from_iter([Capability::AccessSystemPanel, Capability::OpsView]);
        let six = store.user_with(&root, "six", caps, &[6]).await;
        assert!(walk(&store.ops, &six.actor, &RunFilter::default(), 9, false).await.0.is_empty());
        assert_eq!(store.ops.run(&six.actor, CountRuns).await.unwrap().active, 0);
    }
}

/// A lot of runs in one statement, all but the newest of one uninteresting kind.
const MANY: &str = "insert into operation_runs (workspace_id, tenant_id, source, type, scope_kind, status, outcome, reason_code, \
    identity_hash, created_at, completed_at, updated_at) \
    select 1 + n % 2, case when n % 2 = 0 then 1 + n / 2 % 2 else 3 + n / 2 % 2 end, 'admin', \
    case when n % 7 = 0 then 'policy.sync' else 'inventory.sync' end, 'tenant', 'completed', \
    case when n % 11 = 0 then 'failed' else 'succeeded' end, case when n % 11 = 0 then 'timeout' end, \
    lpad(n::text, 64, '0'), timestamptz '2026-11-20 12:00Z' - n * interval '7 seconds', \
    timestamptz '2026-11-20 12:00Z', timestamptz '2026-11-20 12:00Z' from generate_series(1, 30000) n";

/// PostgreSQL counts what it reads: no page may read more than it needs off its index.
/// (SQLite's plans are looked at beside the code.)
#[test]
fn fr_004_024_a_page_reads_no_more_of_the_table_than_its_part() {
    crate::support::stores::block_on(async {
        let store = Store::new(Engine::Postgres).await.with_platform().await;
        let root = store.administrator().await;
        store.sql(MANY).await.unwrap();
        store.sql("analyze").await.unwrap();
        let read = "select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint from pg_stat_user_tables \
                    where relname = 'operation_runs'";
        let deep = Cursor { created_at: noon() - Duration::seconds(7 * 20_000), id: 20_000 };
        for (text, bound) in [
            ("", 60),
            ("since:7d", 60),
            ("outcome:failed", 60),
            ("status:failed", 60),
            ("type:policy.sync", 60),
            ("tenant:3", 60),
            ("workspace:2", 60),
            ("reason:timeout", 60),
            ("status:active", 60),
            ("id:77", 60),
            // The window, and once more its end.
            ("contoso", 2100),
            ("nothing_like_it", 2100),
            ("tenant:3 outcome:failed", 2100),
            ("type:policy.* !source:cli", 2100),
        ] {
            for page in [Page::Newest, Page::Oldest, Page::OlderThan(deep), Page::NewerThan(deep)] {
                let before = store.number(read).await;
                let ops =
                    store.another(OpsSettings { search_bound: 1000, ..OpsSettings::default() });
                let filter = RunFilter::parse(text).unwrap();
                list(&ops, &root.actor, &filter, page, 50).await;
                // A connection hands in its numbers when it ends.
                ops.close().await;
                tokio::time::sleep(std::time::Duration::from_millis(30)).await;
                let rows = store.number(read).await - before;
                assert!(rows <= bound, "{text:?} {page:?} read {rows} rows");
            }
        }
    });
}
