//! The backfill of findings: its rules one by one, and against a plain model of them.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tenantpilot::access::Actor;
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::domain::run::RunOutcome;
use tenantpilot::ops::Engine;
use tenantpilot::ops::plans::ListPlanTargets;
use tenantpilot::ops::runs::RunScope;

use crate::database::texts;
use crate::runbooks::Executed;
use crate::support::stores::{Store, both_engines, noon};

const KEY: &str = "findings.lifecycle_backfill";

type Moment = Option<DateTime<Utc>>;

/// A finding, as the tables hold it.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
struct Finding {
    id: i64,
    tenant_id: i64,
    recurrence_key: String,
    severity: String,
    status: String,
    first_seen_at: Moment,
    last_seen_at: Moment,
    times_seen: Option<i64>,
    sla_days: Option<i64>,
    due_at: Moment,
    duplicate_of_id: Option<i64>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// A legacy finding with nothing but what it was made with.
fn legacy(id: i64, tenant_id: i64, key: &str, status: &str) -> Finding {
    let created_at = noon() - Duration::days(100) + Duration::hours(id);
    Finding {
        id,
        tenant_id,
        recurrence_key: key.to_owned(),
        severity: "high".to_owned(),
        status: status.to_owned(),
        first_seen_at: None,
        last_seen_at: None,
        times_seen: None,
        sla_days: None,
        due_at: None,
        duplicate_of_id: None,
        created_at,
        updated_at: created_at,
    }
}

fn stored(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

/// Puts findings into the database, as they are.
async fn put(store: &Store, findings: &[Finding]) {
    let moment = |at: Moment| at.map_or("null".to_owned(), |at| format!("'{}'", stored(at)));
    let number = |n: Option<i64>| n.map_or("null".to_owned(), |n| n.to_string());
    let rows: Vec<String> = findings
        .iter()
        .map(|f| {
            let workspace = if f.tenant_id <= 2 || f.tenant_id == 9 { 1 } else { 2 };
            format!(
                "({}, {workspace}, {}, '{}', 'A finding', '{}', '{}', {}, {}, {}, {}, {}, {}, '{}', '{}')",
                f.id,
                f.tenant_id,
                f.recurrence_key,
                f.severity,
                f.status,
                moment(f.first_seen_at),
                moment(f.last_seen_at),
                number(f.times_seen),
                number(f.sla_days),
                moment(f.due_at),
                number(f.duplicate_of_id),
                stored(f.created_at),
                stored(f.updated_at)
            )
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    let sql = format!(
        "insert into findings (id, workspace_id, tenant_id, recurrence_key, title, severity, status, \
         first_seen_at, last_seen_at, times_seen, sla_days, due_at, duplicate_of_id, created_at, updated_at) \
         values {}",
        rows.join(", ")
    );
    store.sql(&sql).await.unwrap();
}

/// Every finding, by id.
async fn all(store: &Store) -> Vec<Finding> {
    let sql = "select id, tenant_id, recurrence_key, severity, status, first_seen_at, last_seen_at, times_seen, \
               sla_days, due_at, duplicate_of_id, created_at, updated_at from findings order by id";
    match store.engine {
        Engine::Postgres => {
            let mut connection = PgConnection::connect(&store.url).await.unwrap();
            sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap()
        }
        Engine::Sqlite => {
            let mut connection = SqliteConnection::connect(&store.url).await.unwrap();
            sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap()
        }
    }
}

async fn one(store: &Store, id: i64) -> Finding {
    all(store).await.into_iter().find(|finding| finding.id == id).unwrap()
}

/// The rules, in plain code: what a backfill makes of one tenant's findings. Gives how many
/// it changes. `updated_at` is left alone.
fn model(findings: &mut [Finding], tenant_id: i64, started: DateTime<Utc>) -> i64 {
    let open = |f: &Finding| !matches!(f.status.as_str(), "resolved" | "duplicate");
    let mut newest: BTreeMap<String, (DateTime<Utc>, i64)> = BTreeMap::new();
    let mut keys: BTreeMap<i64, String> = BTreeMap::new();
    for finding in findings.iter().filter(|f| f.tenant_id == tenant_id) {
        keys.insert(finding.id, finding.recurrence_key.clone());
        if open(finding) {
            let at = (finding.created_at, finding.id);
            let best = newest.entry(finding.recurrence_key.clone()).or_insert(at);
            *best = (*best).max(at);
        }
    }
    let mut changed = 0;
    for finding in findings.iter_mut().filter(|f| f.tenant_id == tenant_id) {
        let before = finding.clone();
        // A duplicate goes by the key of what it is linked to.
        let key =
            finding.duplicate_of_id.and_then(|id| keys.get(&id)).unwrap_or(&finding.recurrence_key);
        let survivor = newest.get(key).map(|(_, id)| *id).filter(|id| *id != finding.id);
        if finding.status != "resolved"
            && let Some(survivor) = survivor
        {
            "duplicate".clone_into(&mut finding.status);
            finding.duplicate_of_id = Some(survivor);
        }
        match finding.status.as_str() {
            "open" => "new".clone_into(&mut finding.status),
            "acknowledged" => "triaged".clone_into(&mut finding.status),
            _ => {}
        }
        let first = *finding.first_seen_at.get_or_insert(finding.created_at);
        finding.last_seen_at.get_or_insert(first.max(finding.created_at));
        finding.times_seen.get_or_insert(1);
        let days = *finding.sla_days.get_or_insert(match finding.severity.as_str() {
            "critical" => 3,
            "high" => 7,
            "medium" => 14,
            _ => 30,
        });
        if open(finding) {
            finding.due_at.get_or_insert(started + Duration::days(days.min(36_500)));
        }
        changed += i64::from(*finding != before);
    }
    changed
}

async fn backfill(store: &Store, scope: RunScope, targets: usize, chunk: i64) -> Executed {
    store.execute(KEY, scope, json!({}), targets, chunk).await
}

async fn first_claim(store: &Store, run_id: i64) -> DateTime<Utc> {
    let sql = format!("select started_at from operation_runs where id = {run_id}");
    match store.engine {
        Engine::Postgres => {
            let mut connection = PgConnection::connect(&store.url).await.unwrap();
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap()
        }
        Engine::Sqlite => {
            let mut connection = SqliteConnection::connect(&store.url).await.unwrap();
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap()
        }
    }
}

/// Random findings of three tenants, a few keys each: every mixture that the tables allow.
fn random(rng: &mut StdRng) -> Vec<Finding> {
    let count = rng.random_range(0..40);
    let base = noon() - Duration::days(400);
    let moment = |rng: &mut StdRng| {
        // Few different moments, so that several findings share one; some with fractions.
        let micros = [0, 500_000, 123_456, 120_000][rng.random_range(0..4)];
        base + Duration::hours(rng.random_range(0..3)) + Duration::microseconds(micros)
    };
    let mut tenants = BTreeMap::new();
    let mut findings: Vec<Finding> = (1..=count)
        .map(|id| {
            let tenant_id = rng.random_range(1..=3);
            tenants.insert(id, tenant_id);
            let pick =
                |rng: &mut StdRng, from: &[&str]| from[rng.random_range(0..from.len())].to_owned();
            let maybe = |rng: &mut StdRng| rng.random_bool(0.5);
            let (key, status) = (
                pick(rng, &["a", "b", "c", "d"]),
                pick(rng, &["open", "acknowledged", "new", "triaged", "resolved", "duplicate"]),
            );
            Finding {
                severity: pick(rng, &["critical", "high", "medium", "low"]),
                first_seen_at: maybe(rng).then(|| moment(rng)),
                last_seen_at: maybe(rng).then(|| moment(rng)),
                times_seen: maybe(rng).then(|| rng.random_range(1..9)),
                sla_days: maybe(rng)
                    .then(|| [1, 45, 3_650, 36_500, 1_000_000_000][rng.random_range(0..5)]),
                due_at: maybe(rng).then(|| moment(rng)),
                created_at: moment(rng),
                ..legacy(id, tenant_id, &key, &status)
            }
        })
        .collect();
    for finding in findings.iter_mut().filter(|f| f.status == "duplicate") {
        let others: Vec<i64> = tenants
            .iter()
            .filter(|(_, tenant)| **tenant == finding.tenant_id)
            .map(|(id, _)| *id)
            .collect();
        finding.duplicate_of_id = Some(others[rng.random_range(0..others.len())]);
    }
    findings
}

both_engines! {
    async fn fr_014_002_each_field_is_brought_to_the_lifecycle_model(store) {
        let store = store.with_platform().await;
        let seen = noon() - Duration::days(3);
        put(&store, &[
            legacy(1, 1, "a", "open"),
            Finding { severity: "critical".to_owned(), ..legacy(2, 1, "b", "acknowledged") },
            // Seen for the first time after it was written down, and the other way round.
            Finding { first_seen_at: Some(seen), severity: "medium".to_owned(), ..legacy(3, 1, "c", "new") },
            Finding { first_seen_at: Some(noon() - Duration::days(300)), severity: "low".to_owned(), ..legacy(4, 1, "d", "triaged") },
            Finding { last_seen_at: Some(seen), times_seen: Some(5), ..legacy(5, 1, "e", "resolved") },
        ]).await;
        let before = all(&store).await;
        let done = backfill(&store, RunScope::Tenant(1), 1, 500).await;
        assert_eq!((done.outcome, done.steps), (RunOutcome::Succeeded, 1));
        assert_eq!((done.count("items"), done.count("updated")), (5, 5));
        let after = all(&store).await;
        let words: Vec<_> = after.iter().map(|f| (f.status.as_str(), f.sla_days.unwrap())).collect();
        assert_eq!(words, [("new", 7), ("triaged", 3), ("new", 14), ("triaged", 30), ("resolved", 7)]);
        let made: Vec<_> = before.iter().map(|f| Some(f.created_at)).collect();
        let first: Vec<_> = after.iter().map(|f| f.first_seen_at).collect();
        assert_eq!(first, [made[0], made[1], Some(seen), before[3].first_seen_at, made[4]]);
        let last: Vec<_> = after.iter().map(|f| f.last_seen_at).collect();
        assert_eq!(last, [made[0], made[1], Some(seen), made[3], Some(seen)]);
        let times: Vec<_> = after.iter().map(|f| f.times_seen.unwrap()).collect();
        assert_eq!(times, [1, 1, 1, 1, 5]);
        assert!(after.iter().all(|f| f.updated_at == store.clock.now()));
    }

    async fn fr_014_003_due_dates_count_from_the_start_of_the_run_in_every_chunk(store) {
        let store = store.with_platform().await;
        let due = noon() - Duration::days(40);
        let own = [(1, None), (2, Some(2)), (3, None), (4, Some(1_000_000_000)), (5, None)];
        let mut findings: Vec<_> = own
            .iter()
            .map(|(id, days)| Finding { sla_days: *days, ..legacy(*id, 1, &format!("k{id}"), "open") })
            .collect();
        findings[2].due_at = Some(due);
        "resolved".clone_into(&mut findings[4].status);
        put(&store, &findings).await;
        store.clock.advance(Duration::microseconds(123_456));
        let done = backfill(&store, RunScope::Tenant(1), 1, 2).await;
        assert_eq!(done.steps, 3);
        let started = first_claim(&store, done.run_id).await;
        assert_eq!(started, noon() + Duration::microseconds(123_456));
        let after: Vec<_> = all(&store).await.into_iter().map(|f| f.due_at).collect();
        // What has a date keeps it; a resolved one gets none; a hundred years are the most.
        let in_days = |days| Some(started + Duration::days(days));
        assert_eq!(after, [in_days(7), in_days(2), Some(due), in_days(36_500), None]);
        if store.engine == Engine::Sqlite {
            let text = texts(&store, "select due_at from findings where id = 1").await;
            assert_eq!(text, [stored(started + Duration::days(7))], "as every other moment is written");
        }
    }

    async fn fr_014_004_duplicates_are_linked_to_the_newest_across_chunks_and_never_deleted(store) {
        let store = store.with_platform().await;
        let day = |id: i64, key: &str, status: &str, days: i64| Finding {
            created_at: noon() - Duration::days(days),
            ..legacy(id, 1, key, status)
        };
        put(&store, &[
            // The newest stands in the middle; 6 is as new as 4 but came later.
            day(1, "a", "open", 30), day(2, "a", "acknowledged", 20), day(3, "a", "new", 10),
            day(4, "b", "open", 5), day(5, "a", "triaged", 40), day(6, "b", "open", 5),
            // The newest of all is history.
            day(7, "c", "resolved", 1), day(8, "c", "open", 9), day(9, "c", "open", 8),
        ]).await;
        let done = backfill(&store, RunScope::Tenant(1), 1, 2).await;
        assert_eq!((done.count("items"), done.count("updated"), done.steps), (9, 9, 5));
        let after = all(&store).await;
        let links: Vec<_> = after.iter().map(|f| (f.status.as_str(), f.duplicate_of_id)).collect();
        assert_eq!(links, [
            ("duplicate", Some(3)), ("duplicate", Some(3)), ("new", None), ("duplicate", Some(6)),
            ("duplicate", Some(3)), ("new", None), ("resolved", None), ("duplicate", Some(9)), ("new", None),
        ]);
        // One that is closed as a duplicate is no longer due.
        assert!(after.iter().all(|f| f.due_at.is_some() == (f.status == "new")));
    }

    async fn fr_014_004_a_link_follows_to_the_newest_and_a_good_one_is_kept(store) {
        let store = store.with_platform().await;
        let linked = |id, key: &str, to| Finding { duplicate_of_id: Some(to), ..legacy(id, 1, key, "duplicate") };
        put(&store, &[
            legacy(1, 1, "a", "new"), linked(2, "a", 1), legacy(3, 1, "a", "new"),
            // Linked by a person to one of another key, which stays what it is.
            legacy(4, 1, "b", "new"), linked(5, "c", 4), legacy(6, 1, "c", "new"),
            // To one that is resolved: kept where nothing is open, moved where something is.
            legacy(7, 1, "d", "resolved"), linked(8, "d", 7),
            legacy(9, 1, "e", "resolved"), linked(10, "e", 9), legacy(11, 1, "e", "open"),
        ]).await;
        backfill(&store, RunScope::Tenant(1), 1, 1).await;
        let links: BTreeMap<_, _> =
            all(&store).await.into_iter().filter_map(|f| Some((f.id, f.duplicate_of_id?))).collect();
        assert_eq!(links, BTreeMap::from([(1, 3), (2, 3), (5, 4), (8, 7), (10, 11)]));
    }

    async fn fr_014_005_any_findings_become_what_the_rules_say_and_a_second_run_updates_none(store) {
        let store = store.with_platform().await;
        let mut rng = StdRng::seed_from_u64(14);
        for round in 0..15 {
            store.sql("delete from findings").await.unwrap();
            let mut expected = random(&mut rng);
            let before = expected.clone();
            put(&store, &before).await;
            let chunk = rng.random_range(1..=9);
            let scope = || RunScope::Tenants(vec![1, 2]);
            let asked = store.preflight(KEY, scope(), json!({})).await;
            let done = backfill(&store, scope(), 2, chunk).await;
            let started = first_claim(&store, done.run_id).await;
            let changed: Vec<i64> = [1, 2].map(|tenant| model(&mut expected, tenant, started)).to_vec();
            let listed = ListPlanTargets::all(asked.id);
            let mut listed = store.ops.run(&Actor::System, listed).await.unwrap().targets;
            listed.sort_by_key(|target| target.tenant_id);
            let counted: Vec<i64> = listed.iter().map(|target| target.affected_count).collect();
            assert_eq!(counted, changed, "round {round}");
            assert_eq!(done.count("updated"), changed.iter().sum::<i64>(), "round {round}");
            let mut after = all(&store).await;
            // What was not changed was not touched.
            for ((now, then), expected) in after.iter().zip(&before).zip(&expected) {
                assert_eq!(now.updated_at != then.updated_at, expected != then, "round {round}: {now:?}");
            }
            for (now, then) in after.iter_mut().zip(&before) {
                now.updated_at = then.updated_at;
            }
            assert_eq!(after, expected, "round {round}, chunk {chunk}");
            let again = backfill(&store, scope(), 2, 500).await;
            assert_eq!((again.outcome, again.count("updated")), (RunOutcome::Succeeded, 0), "round {round}");
            assert_eq!(store.preflight(KEY, scope(), json!({})).await.affected_count, 0);
        }
    }

    async fn fr_014_006_only_the_tenants_that_were_aimed_at_are_touched(store) {
        let store = store.with_platform().await;
        // The same recurrence key in every tenant, the archived and the platform's own too.
        let findings: Vec<_> =
            [1, 2, 3, 8, 9, 1, 2, 3].iter().zip(1..).map(|(tenant, id)| legacy(id, *tenant, "a", "open")).collect();
        put(&store, &findings).await;
        let done = backfill(&store, RunScope::Tenant(2), 1, 1).await;
        assert_eq!((done.count("items"), done.count("updated")), (2, 2));
        for finding in all(&store).await {
            let untouched = findings.contains(&finding);
            assert_eq!(untouched, finding.tenant_id != 2, "{finding:?}");
        }
        let done = backfill(&store, RunScope::All, 4, 500).await;
        assert_eq!((done.count("items"), done.count("updated"), done.count("tenants")), (6, 4, 4));
        for id in [4, 5] {
            assert_eq!(one(&store, id).await, findings[usize::try_from(id).unwrap() - 1]);
        }
    }

    async fn fr_014_006_a_tenant_that_is_gone_is_skipped_alone(store) {
        let store = store.with_platform().await;
        let findings: Vec<_> = (1..=4).map(|id| legacy(id, id, "a", "open")).collect();
        put(&store, &findings).await;
        store.start_runbook(KEY, RunScope::All, json!({}), 4).await;
        let claimed = store.claim_type(KEY).await;
        store.sql("update tenants set archived_at = '2026-11-20T00:00:00+00:00' where id = 2").await.unwrap();
        store.sql("update workspaces set archived_at = '2026-11-20T00:00:00+00:00' where id = 2").await.unwrap();
        let done = store.work_off(&claimed, 500).await;
        assert_eq!(done.outcome, RunOutcome::Succeeded);
        assert_eq!((done.count("succeeded"), done.count("skipped"), done.count("updated")), (1, 3, 1));
        let gone = "select count(*) from operation_run_targets where status = 'skipped' and skip_reason = 'tenant_gone'";
        assert_eq!(store.number(gone).await, 3);
        assert!(done.failed.iter().all(|(reason, _)| *reason == ReasonCode::TenantGone), "{:?}", done.failed);
        assert_eq!(one(&store, 1).await.status, "new");
        assert_eq!(all(&store).await[1..], findings[1..]);
    }

    async fn fr_014_007_a_tenant_with_fewer_findings_than_a_chunk_takes_one_step(store) {
        let store = store.with_platform().await;
        for (count, chunk, steps) in [(0, 5, 1), (4, 5, 1), (5, 5, 2), (7, 3, 3)] {
            store.sql("delete from findings").await.unwrap();
            let findings: Vec<_> = (1..=count).map(|id| legacy(id, 1, &format!("k{id}"), "open")).collect();
            put(&store, &findings).await;
            let done = backfill(&store, RunScope::Tenant(1), 1, chunk).await;
            assert_eq!((done.steps, done.count("items"), done.count("updated")), (steps, count, count));
        }
    }
}
