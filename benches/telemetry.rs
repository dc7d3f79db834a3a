//! What the summary of product usage costs at ten million events, against counting the ledger
//! itself, and what recording an event costs, against a bare insert.
//!
//! The databases are made once and kept: SQLite in `target/bench-data` (if
//! `TENANTPILOT_BENCH_SQLITE` is set), on the server that `TENANTPILOT_BENCH_POSTGRES` names the
//! database `tenantpilot_bench_telemetry`. `TENANTPILOT_BENCH_EVENTS` sets another size.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot prepare its data has to stop")]
#![expect(clippy::print_stdout, reason = "figures are what it is for")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, TimeZone as _, Utc};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool, Row, SqliteConnection};
use tenantpilot::Clock;
use tenantpilot::access::{Actor, ClientKind};
use tenantpilot::domain::capability::Role;
use tenantpilot::domain::window::Window;
use tenantpilot::ops::Consent;
use tenantpilot::ops::auth::Login;
use tenantpilot::ops::telemetry::{CheckRollups, FoldRollups, RebuildRollups, Summarise};
use tenantpilot::ops::users::{CreateFirstAdministrator, CreateUser, NewPlatformUser, UserView};
use tenantpilot::ops::{Create, Ops, OpsSettings, password};
use tokio::runtime::Runtime;

const PASSWORD: &str = "a password for measuring";
const WORKSPACES: i64 = 1_000;
const DAYS: i64 = 90;
/// How often each figure is taken; the median is told.
const SUMMARIES: usize = 25;
const PLAIN: usize = 5;
/// So many inserts a writer, in rounds that take turns.
const INSERTS: usize = 2_000;
const ROUNDS: usize = 5;

/// Not at an edge of anything.
fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 20, 12, 34, 56).unwrap()
}

fn size() -> i64 {
    std::env::var("TENANTPILOT_BENCH_EVENTS").map_or(10_000_000, |n| n.parse().unwrap())
}

const EVENT: &str = "case n % 20 when 0 then 'product.review_pack.requested' when 1 then 'product.review_pack.requested' \
    when 2 then 'product.stored_report.created' when 3 then 'product.stored_report.created' \
    when 4 then 'product.onboarding.checkpoint_completed' when 5 then 'product.onboarding.checkpoint_completed' \
    when 6 then 'product.support_diagnostics.opened' when 7 then 'product.support_diagnostics.opened' \
    when 8 then 'product.support_diagnostics.opened' else 'product.operations.started' end";

fn statements(events: i64, series: &str, time: &str) -> Vec<String> {
    let numbers = |to: i64| series.replace("LAST", &to.to_string());
    let fixed = time.replace("AGE", "0");
    // The oldest first, as they are written in life.
    let age = format!("(({events} - n) * {} / {events})", DAYS * 86_400);
    let at = time.replace("AGE", &age);
    let workspace = format!("1 + n * 7919 % {WORKSPACES}");
    vec![
        format!(
            "insert into workspaces (id, name, created_at) select n, 'Workspace ' || n, {fixed} from {}",
            numbers(WORKSPACES)
        ),
        format!(
            "insert into tenants (id, workspace_id, name, created_at) select n, n, 'Tenant ' || n, {fixed} from {}",
            numbers(WORKSPACES)
        ),
        format!(
            "insert into users (id, workspace_id, email, name, created_at) select n, n, 'u' || n, 'u' || n, {fixed} from {}",
            numbers(WORKSPACES)
        ),
        format!(
            "insert into product_usage_events (workspace_id, tenant_id, user_id, event_name, feature_area, \
             subject_type, subject_id, metadata, occurred_at) select {workspace}, {workspace}, {workspace}, {EVENT}, \
             case n % 20 when 0 then 'review_pack' when 1 then 'review_pack' when 2 then 'stored_reports' \
             when 3 then 'stored_reports' when 4 then 'onboarding' when 5 then 'onboarding' \
             when 6 then 'support_diagnostics' when 7 then 'support_diagnostics' when 8 then 'support_diagnostics' \
             else 'operations' end, case n % 20 when 0 then 'review_pack' when 1 then 'review_pack' \
             when 2 then 'stored_report' when 3 then 'stored_report' when 4 then 'tenant_onboarding_session' \
             when 5 then 'tenant_onboarding_session' when 6 then 'tenant' when 7 then 'tenant' when 8 then 'tenant' \
             else 'operation_run' end, cast(n as text), \
             case when n % 20 > 8 then '{{\"operation_type\":\"policy.sync\"}}'METADATA else '{{}}'METADATA end, {at} from {}",
            numbers(events)
        ),
    ]
}

fn open(url: &str) -> Ops {
    let settings = OpsSettings { patience: Duration::from_secs(600), ..OpsSettings::default() };
    Ops::open(url, Create::IfMissing, Clock::fixed(now()), settings).unwrap()
}

async fn prepare(url: &str) {
    let ops = open(url);
    ops.migrate().await.unwrap();
    let nobody = Actor::Anonymous { origin: "bench".to_owned() };
    let first = CreateFirstAdministrator {
        username: "administrator".to_owned(),
        password: password::secret(PASSWORD),
    };
    ops.run(&nobody, first).await.unwrap();
    ops.close().await;
}

async fn log_in(ops: &Ops, name: &str) -> Actor {
    let nobody = Actor::Anonymous { origin: "bench".to_owned() };
    ops.run(&nobody, Login::new(name, PASSWORD, ClientKind::Console)).await.unwrap().0.actor
}

/// Somebody who sees ten workspaces; made after those.
async fn add_restricted(url: &str) {
    let ops = open(url);
    let admin = log_in(&ops, "administrator").await;
    let new = NewPlatformUser {
        username: "restricted".to_owned(),
        display_name: String::new(),
        password: password::secret(PASSWORD),
        capabilities: Role::Administrator.capabilities(),
        view: UserView::Workspaces((1..=10).collect()),
        consent: Consent::typed("restricted"),
    };
    ops.run(&admin, CreateUser(new)).await.unwrap();
    let before = Instant::now();
    let counted = ops.run(&admin, RebuildRollups).await.unwrap();
    println!("rebuild of {counted} events: {:.1} s", before.elapsed().as_secs_f64());
    ops.close().await;
}

async fn postgres(server: &str) -> String {
    let name = "tenantpilot_bench_telemetry";
    let url = format!("{}/{name}", server.rsplit_once('/').unwrap().0);
    let mut connection = PgConnection::connect(server).await.unwrap();
    let known = format!("select count(*) from pg_database where datname = '{name}'");
    let known: i64 = connection.fetch_one(AssertSqlSafe(known)).await.unwrap().get(0);
    if known > 0 {
        return url;
    }
    connection.execute(AssertSqlSafe(format!("create database {name}"))).await.unwrap();
    prepare(&url).await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let time = "timestamptz '2026-11-20 12:34:56Z' - (AGE) * interval '1 second'";
    let series = "generate_series(1::bigint, LAST) n";
    // Rows that are right by their making are checked and counted at the end.
    let aside = "set session_replication_role = replica; drop index product_usage_events_time; \
        drop index product_usage_events_workspace; \
        alter table product_usage_events drop constraint product_usage_events_catalog";
    connection.execute(aside).await.unwrap();
    for sql in statements(size(), series, time) {
        let sql = sql.replace("METADATA", "::jsonb");
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    let back = "create index product_usage_events_time on product_usage_events (occurred_at, event_name); \
        create index product_usage_events_workspace on product_usage_events (workspace_id, occurred_at, event_name); \
        alter table product_usage_events add constraint product_usage_events_catalog check \
        (is_usage_event(event_name, feature_area, subject_type, subject_id, metadata)) not valid; \
        set session_replication_role = origin";
    connection.execute(back).await.unwrap();
    add_restricted(&url).await;
    connection.execute("vacuum analyze").await.unwrap();
    url
}

async fn sqlite() -> String {
    let folder = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    let path = folder.join("bench-data").join("telemetry.db");
    let url = format!("sqlite://{}", path.display());
    if path.exists() {
        return url;
    }
    prepare(&url).await;
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let series = "(with recursive s (n) as (select 1 union all select n + 1 from s where n < LAST) select n from s) s";
    let time =
        "strftime('%Y-%m-%dT%H:%M:%S+00:00', '2026-11-20 12:34:56', '-' || (AGE) || ' seconds')";
    let counted: String = connection
        .fetch_one("select sql from sqlite_master where name = 'product_usage_events_counted'")
        .await
        .unwrap()
        .get(0);
    let aside = "pragma synchronous = off; drop index product_usage_events_time; \
        drop index product_usage_events_workspace; drop trigger product_usage_events_counted";
    connection.execute(aside).await.unwrap();
    for sql in statements(size(), series, time) {
        connection.execute(AssertSqlSafe(sql.replace("METADATA", ""))).await.unwrap();
    }
    let back = "create index product_usage_events_time on product_usage_events (occurred_at, event_name); \
        create index product_usage_events_workspace on product_usage_events (workspace_id, occurred_at, event_name)";
    connection.execute(back).await.unwrap();
    connection.execute(AssertSqlSafe(counted)).await.unwrap();
    add_restricted(&url).await;
    connection.execute("analyze").await.unwrap();
    connection.close().await.unwrap();
    url
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1_000.0
}

const PLAIN_COUNT: &str = "select event_name, count(*) from product_usage_events \
    where occurred_at >= 'FROM' and occurred_at <= 'UNTIL' group by event_name";
const PLAIN_ACTIVE: &str = "select '', count(distinct workspace_id) from product_usage_events \
    where occurred_at >= 'FROM' and occurred_at <= 'UNTIL'";

async fn plain(url: &str, sql: &str, window: Window) -> f64 {
    let sql = sql
        .replace("FROM", &(now() - window.length()).to_rfc3339())
        .replace("UNTIL", &now().to_rfc3339());
    let mut times = Vec::new();
    if url.starts_with("postgres") {
        let mut connection = PgConnection::connect(url).await.unwrap();
        for _ in 0..PLAIN {
            let before = Instant::now();
            connection.fetch_all(AssertSqlSafe(sql.clone())).await.unwrap();
            times.push(before.elapsed());
        }
    } else {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        for _ in 0..PLAIN {
            let before = Instant::now();
            connection.fetch_all(AssertSqlSafe(sql.clone())).await.unwrap();
            times.push(before.elapsed());
        }
    }
    median(times)
}

async fn summaries(ops: &Ops, actor: &Actor, window: Window) -> (f64, i64) {
    let mut times = Vec::new();
    let mut events = 0;
    for _ in 0..SUMMARIES {
        let before = Instant::now();
        events = ops
            .run(actor, Summarise { window: Some(window) })
            .await
            .unwrap()
            .total_events
            .unwrap_or_default();
        times.push(before.elapsed());
    }
    (median(times), events)
}

async fn measure_summaries(engine: &str, url: &str) {
    let ops = open(url);
    let (admin, restricted) =
        (log_in(&ops, "administrator").await, log_in(&ops, "restricted").await);
    for window in Window::ALL {
        let (all, events) = summaries(&ops, &admin, *window).await;
        let (own, _) = summaries(&ops, &restricted, *window).await;
        let count = plain(url, PLAIN_COUNT, *window).await;
        let active = plain(url, PLAIN_ACTIVE, *window).await;
        println!(
            "{engine} {window}: {events} events; summary {all:.1} ms, of ten workspaces {own:.1} ms; \
             plain count {count:.1} ms ({:.0} times), plain count of workspaces {active:.1} ms",
            count / all
        );
    }
    let before = Instant::now();
    let different = ops.run(&admin, CheckRollups).await.unwrap().different;
    println!(
        "{engine}: check of all counts {:.1} s, {different} differ",
        before.elapsed().as_secs_f64()
    );
    ops.close().await;
}

/// The ledger as it was before anything was counted or checked beyond its columns.
const BARE: &str = "drop table if exists bare_events; \
    create table bare_events (like product_usage_events including defaults including identity); \
    alter table bare_events add primary key (id), \
    add foreign key (tenant_id, workspace_id) references tenants (id, workspace_id), \
    add foreign key (user_id) references users (id), \
    add check (subject_type in ('tenant_onboarding_session', 'tenant', 'operation_run', 'stored_report', 'review_pack')), \
    add check (subject_id ~ '^[A-Za-z0-9._:+/-]{1,120}$'), add check (jsonb_typeof(metadata) = 'object'), \
    add check (event_name || ' ' || feature_area in ('product.onboarding.checkpoint_completed onboarding', \
    'product.support_diagnostics.opened support_diagnostics', 'product.operations.started operations', \
    'product.stored_report.created stored_reports', 'product.review_pack.requested review_pack')); \
    create index on bare_events (occurred_at, event_name)";

/// Each writer inserts row by row, each row in its own transaction; gives inserts a second.
async fn inserts(pool: &PgPool, table: &str, writers: usize) -> f64 {
    let before = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let pool = pool.clone();
            let sql = format!(
                "insert into {table} (workspace_id, tenant_id, user_id, event_name, feature_area, subject_type, \
                 subject_id, metadata, occurred_at) values ($1, $1, $1, 'product.operations.started', 'operations', \
                 'operation_run', $2, '{{\"operation_type\":\"policy.sync\"}}', $3)"
            );
            tokio::spawn(async move {
                let mut connection = pool.acquire().await.unwrap();
                for n in 0..INSERTS / writers {
                    let workspace = 1 + (n * 7919 + writer) % 1_000;
                    sqlx::query(AssertSqlSafe(sql.clone()))
                        .bind(i64::try_from(workspace).unwrap())
                        .bind(n.to_string())
                        .bind(now() + TimeDelta::microseconds(i64::try_from(n).unwrap()))
                        .execute(&mut *connection)
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let made = u32::try_from(INSERTS / writers * writers).unwrap();
    f64::from(made) / before.elapsed().as_secs_f64()
}

async fn measure_recording(url: &str) {
    let pool = PgPoolOptions::new().max_connections(8).connect(url).await.unwrap();
    pool.execute(BARE).await.unwrap();
    let ops = open(url);
    for writers in [1, 8] {
        let mut ratios = Vec::new();
        for round in 0..=ROUNDS {
            let bare = inserts(&pool, "bare_events", writers).await;
            let ledger = inserts(&pool, "product_usage_events", writers).await;
            // The first round warms up.
            if round > 0 {
                ratios.push((bare / ledger, bare, ledger));
            }
        }
        ratios.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (ratio, bare, ledger) = ratios[ROUNDS / 2];
        println!(
            "recording, {writers} writers: bare {:.0} µs, ledger {:.0} µs, {ratio:.2} times (median of {ROUNDS} rounds)",
            1e6 / bare,
            1e6 / ledger
        );
    }
    let admin = log_in(&ops, "administrator").await;
    let (unfolded, _) = summaries(&ops, &admin, Window::Month).await;
    let appended: i64 =
        pool.fetch_one("select count(*) from product_usage_deltas").await.unwrap().get(0);
    let before = Instant::now();
    while ops.run(&Actor::System, FoldRollups).await.unwrap() {}
    println!(
        "30d with {appended} changes appended: {unfolded:.1} ms; folding them: {:.0} ms",
        before.elapsed().as_secs_f64() * 1_000.0
    );
    // As it was.
    pool.execute("drop table bare_events").await.unwrap();
    pool.execute(AssertSqlSafe(format!("delete from product_usage_events where id > {}", size())))
        .await
        .unwrap();
    ops.run(&admin, RebuildRollups).await.unwrap();
    pool.execute("vacuum analyze").await.unwrap();
    ops.close().await;
}

fn main() {
    let runtime = Runtime::new().unwrap();
    let _inside = runtime.enter();
    runtime.block_on(async {
        let server = std::env::var("TENANTPILOT_BENCH_POSTGRES").ok().filter(|url| !url.is_empty());
        if let Some(server) = server {
            let url = postgres(&server).await;
            measure_summaries("postgres", &url).await;
            measure_recording(&url).await;
        }
        if std::env::var_os("TENANTPILOT_BENCH_SQLITE").is_some() {
            let url = sqlite().await;
            measure_summaries("sqlite", &url).await;
        }
    });
}
