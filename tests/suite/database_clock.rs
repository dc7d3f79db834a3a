//! The database's clock: specs/034-database-clock.

use chrono::{DateTime, Duration, Utc};
use serde_json::json;
use sqlx::{Connection, PgConnection, Row};
use tenantpilot::access::{Actor, ClientKind};
use tenantpilot::domain::run::Source;
use tenantpilot::domain::start_reason::{StartReason, StartReasonCode};
use tenantpilot::ops::Consent;
use tenantpilot::ops::auth::{ATTEMPTS, Login, Session, WhoAmI};
use tenantpilot::ops::break_glass::{CurrentBreakGlass, EnterBreakGlass};
use tenantpilot::ops::plans::Preflight;
use tenantpilot::ops::runbooks::StartRunbook;
use tenantpilot::ops::runs::{RunScope, StartRun};
use tenantpilot::ops::{Engine, Ops, password};
use tenantpilot::{Clock, ErrorKind};

use crate::cli::Person;
use crate::support::stores::{ORIGIN, PASSWORD, Store, block_on, both_engines};

const RECONCILE: &str = "operations.reconcile_stale";

fn shifts() -> [Duration; 4] {
    [Duration::days(200), Duration::minutes(20), -Duration::minutes(20), -Duration::days(200)]
}

fn anonymous() -> Actor {
    Actor::Anonymous { origin: ORIGIN.to_owned() }
}

async fn login(ops: &Ops, name: &str) -> Session {
    ops.run(&anonymous(), Login::new(name, PASSWORD, ClientKind::Console)).await.unwrap().0
}

fn near(at: DateTime<Utc>, real: DateTime<Utc>) -> bool {
    (at - real).abs() < Duration::minutes(2)
}

/// Every moment that is stored after `limit`, as `table.column`, but for ends that lie ahead.
async fn ahead(url: &str, limit: DateTime<Utc>) -> Vec<String> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let columns = sqlx::query(
        "select table_name::text, column_name::text from information_schema.columns \
         where table_schema = 'public' and data_type = 'timestamp with time zone' \
         and table_name not like '\\_sqlx%' and column_name not like '%expires%'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert!(columns.len() > 30, "only {} columns hold a time", columns.len());
    let mut found = Vec::new();
    for column in columns {
        let (table, name): (String, String) = (column.get(0), column.get(1));
        let sql = format!("select count(*) from {table} where {name} > $1");
        let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(limit)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        if count > 0 {
            found.push(format!("{table}.{name}"));
        }
    }
    found
}

/// On PostgreSQL, a process whose clock is wrong by `by` does what everybody else does.
async fn follows(by: Duration) {
    let store = Store::with_clock(Engine::Postgres, Clock::system()).await.with_platform().await;
    let wrong = store.shifted(by);
    let real = store.ops.database_now().await.unwrap();
    store.administrator().await;

    // Sessions of one live at the other, and end when everybody's end.
    let theirs = login(&wrong, "administrator").await;
    assert!(near(wrong.clock().now(), real), "{}", wrong.clock().now());
    store.ops.run(&theirs.actor, WhoAmI).await.unwrap();
    let ours = login(&store.ops, "administrator").await;
    wrong.run(&ours.actor, WhoAmI).await.unwrap();

    // Break-glass ends in half an hour, not by the wrong clock.
    let reason = StartReason::as_typed(StartReasonCode::Incident, "checkout is down");
    let enter = EnterBreakGlass {
        consent: Consent::yes().because(Some(reason)),
        minutes: 30,
        password: password::secret(PASSWORD),
    };
    let grant = wrong.run(&theirs.actor, enter).await.unwrap();
    assert!(near(grant.expires_at, real + Duration::minutes(30)), "{}", grant.expires_at);
    assert!(store.ops.run(&theirs.actor, CurrentBreakGlass).await.unwrap().is_some());
    store.sql("update break_glass_grants set ended_at = now()").await.unwrap();

    // A run queued two minutes ago waits still; one of six minutes ago does not.
    let start = StartRun::for_tenant("policy.sync", 1, Source::Schedule);
    let queued = wrong.run(&Actor::System, start).await.unwrap().run_id;
    let mut affected = Vec::new();
    for minutes in [2, 6] {
        let sql = format!(
            "update operation_runs set created_at = clock_timestamp() - interval '{minutes} minutes' where id = {queued}"
        );
        store.sql(&sql).await.unwrap();
        let preflight = Preflight::new(RECONCILE, RunScope::Platform);
        let plan = wrong.run(&theirs.actor, preflight).await.unwrap();
        affected.push(plan.affected_count);
        if minutes == 6 {
            // A plan is good for a quarter of an hour wherever it is started.
            let start = StartRunbook {
                consent: Consent::typed(plan.phrase),
                wait_for_worker: true,
                ..StartRunbook::of_plan(RECONCILE, plan.id, Source::Console)
            };
            wrong.run(&theirs.actor, start).await.unwrap();
        }
    }
    assert_eq!(affected, [0, 1], "shifted by {by}");

    // Guesses count in one window, whoever's clock they are made at.
    for attempt in 0..=ATTEMPTS {
        let at = if attempt % 2 == 0 { &wrong } else { &store.ops };
        let guess = Login::new("administrator", "wrong horse battery", ClientKind::Console);
        let error = at.run(&anonymous(), guess).await.unwrap_err();
        let throttled = error.kind() == ErrorKind::Refused;
        assert_eq!(throttled, attempt == ATTEMPTS, "attempt {attempt}: {error}");
    }

    assert_eq!(ahead(&store.url, real + Duration::minutes(5)).await, Vec::<String>::new());
}

#[test]
fn fr_034_001_limits_and_stored_times_follow_the_database_whatever_the_process_shows() {
    block_on(async {
        for by in shifts() {
            follows(by).await;
        }
    });
}

#[test]
fn fr_034_001_a_time_stored_ahead_is_found() {
    block_on(async {
        let store =
            Store::with_clock(Engine::Postgres, Clock::system()).await.with_platform().await;
        let real = store.ops.database_now().await.unwrap();
        let sql = "update tenants set archived_at = now() + interval '1 day' where id = 1";
        store.sql(sql).await.unwrap();
        let found = ahead(&store.url, real + Duration::minutes(5)).await;
        assert_eq!(found, ["tenants.archived_at"]);
    });
}

#[test]
fn fr_034_002_a_clock_set_back_revives_no_session_and_stores_nothing_earlier() {
    block_on(async {
        let store = Store::with_clock(Engine::Sqlite, Clock::system()).await.with_platform().await;
        store.administrator().await;
        let session = login(&store.ops, "administrator").await;
        // Idle for longer than a session may be, as of the newest audit row.
        let idle = store.ops.database_now().await.unwrap() - Duration::hours(1);
        let sql = format!("update platform_sessions set last_active_at = '{}'", idle.to_rfc3339());
        store.sql(&sql).await.unwrap();
        login(&store.ops, "administrator").await;
        for by in [-Duration::days(1), -Duration::days(200)] {
            let back = store.shifted(by);
            let error = back.run(&session.actor, WhoAmI).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotLoggedIn);
            let start = StartRun {
                inputs: json!({ "by": by.num_days() }),
                ..StartRun::for_tenant("policy.sync", 1, Source::Schedule)
            };
            let run_id = back.run(&Actor::System, start).await.unwrap().run_id;
            let earlier = format!(
                "select count(*) from operation_runs r where r.id = {run_id} and r.created_at < \
                 (select max(occurred_at) from audit_logs a where a.run_id is null)"
            );
            assert_eq!(store.number(&earlier).await, 0);
        }
    });
}

both_engines! {
    async fn fr_034_003_info_says_whose_clock_counts(store) {
        let person = Person::administrator(&store.url);
        let info = person.run(&["info"]).ends(0).out;
        assert_eq!(info.contains("the local database has no clock"), store.engine == Engine::Sqlite, "{info}");
        assert!(!info.contains("ahead of the database") && !info.contains("newest stored row is"), "{info}");
        let later = match store.engine {
            Engine::Postgres => return,
            Engine::Sqlite => "strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '+200 days')",
        };
        store.sql(&format!(
            "insert into workers (id, name, version, runbooks, slots, heartbeat_seconds, started_at, heartbeat_at) \
             values ('fast', 'fast', '1', '[]', 1, 10, {later}, {later})"
        )).await.unwrap();
        let info = person.run(&["info"]).ends(0).out;
        assert!(info.contains("the newest stored row is 199d"), "{info}");
    }
}
