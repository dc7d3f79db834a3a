//! What the whole overview costs at a million runs, all of its widgets in one answer, and the list
//! of fingerprints, against counting the runs themselves.
//!
//! The databases are made once and kept: SQLite in `target/bench-data`, on the server that
//! `TENANTPILOT_BENCH_POSTGRES` names the database `tenantpilot_bench_overview`. With
//! `TENANTPILOT_BENCH_RUNS` there are that many runs instead of a million, in databases of their own.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot prepare its data has to stop")]
#![expect(clippy::print_stdout, reason = "figures are what it is for")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeZone as _, Utc};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqliteConnection};
use tenantpilot::Clock;
use tenantpilot::access::{Actor, ClientKind};
use tenantpilot::domain::capability::Role;
use tenantpilot::domain::window::Window;
use tenantpilot::ops::Consent;
use tenantpilot::ops::auth::Login;
use tenantpilot::ops::overview::{
    CheckRunCounts, ListFingerprints, ReadOverview, RebuildRunCounts,
};
use tenantpilot::ops::telemetry::RebuildRollups;
use tenantpilot::ops::users::{CreateFirstAdministrator, CreateUser, NewPlatformUser, UserView};
use tenantpilot::ops::{Create, Ops, OpsSettings, password};
use tokio::runtime::Runtime;

const PASSWORD: &str = "a password for measuring";
const RUNS: i64 = 1_000_000;
const EVENTS: i64 = 1_000_000;
const TENANTS: i64 = 1_000;
const DAYS: i64 = 90;
/// How often each figure is taken; the median is told.
const LOOKS: usize = 25;
const PLAIN: usize = 5;

fn runs() -> i64 {
    std::env::var("TENANTPILOT_BENCH_RUNS").ok().map_or(RUNS, |text| text.parse().unwrap())
}

/// What the name of a database ends with.
fn suffix() -> String {
    if runs() == RUNS { String::new() } else { format!("_{}", runs()) }
}

/// Not at an edge of anything.
fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 20, 12, 34, 56).unwrap()
}

/// How the data is made. Of 100 runs one to two fail, each with two failures of one of ten kinds;
/// the newest twenty are active.
fn statements(series: &str, time: &str, hash: &str, number: &str, reset: &str) -> Vec<String> {
    let runs = runs();
    let numbers = |to: i64| series.replace("LAST", &to.to_string());
    let fixed = time.replace("AGE", "0");
    let age = |of: i64| format!("(({of} - n) * {} / {of})", DAYS * 86_400);
    let (at, event_at) = (time.replace("AGE", &age(runs)), time.replace("AGE", &age(EVENTS)));
    // None ends in the future.
    let done = format!("(case when {0} > 600 then {0} - n * 7919 % 600 else 0 end)", age(runs));
    let done = time.replace("AGE", &done);
    let tenant = format!("1 + n * 7919 % {TENANTS}");
    let outcome = "case when n * 31 % 1000 < 15 then 'failed' when n * 31 % 1000 < 18 then 'partially_succeeded' \
        when n * 31 % 1000 < 20 then 'blocked' when n * 31 % 1000 < 22 then 'cancelled' else 'succeeded' end";
    let kind = "case n % 8 when 0 then 'review_pack.generate' when 1 then 'stored_report.create' \
        when 2 then 'backup.snapshot' when 3 then 'inventory.sync' else 'policy.sync' end";
    let active = format!("n > {runs} - 20");
    let kinds = |of: &str| {
        format!(
            "case {of} % 5 when 0 then 'timeout' when 1 then 'conflict' when 2 then 'provider_throttled' \
             when 3 then 'permission_denied' else 'quota_exceeded' end"
        )
    };
    vec![
        format!(
            "insert into workspaces (id, name, created_at) select n, 'Workspace ' || n, {fixed} from {}",
            numbers(100)
        ),
        format!(
            "insert into tenants (id, workspace_id, name, created_at) select n, 1 + n % 100, 'Tenant ' || n, {fixed} from {}",
            numbers(TENANTS)
        ),
        format!(
            "insert into users (id, workspace_id, email, name, created_at) select n, n, 'u' || n, 'u' || n, {fixed} from {}",
            numbers(100)
        ),
        format!(
            "insert into operation_runs (id, workspace_id, tenant_id, source, type, scope_kind, status, outcome, reason_code, \
             identity_hash, created_at, started_at, completed_at, updated_at) \
             select n, 1 + ({tenant}) % 100, {tenant}, 'schedule', {kind}, 'tenant', \
             case when {active} then 'queued' else 'completed' end, case when {active} then 'pending' else {outcome} end, \
             case when n * 31 % 1000 < 18 and not {active} then {} end, {hash}, {at}, \
             case when {active} then null else {at} end, case when {active} then null else {done} end, {at} from {}",
            kinds("n"),
            numbers(runs)
        ),
        format!(
            "insert into operation_run_failures (run_id, tenant_id, reason_code, message, fingerprint, occurred_at) \
             select r.id, r.tenant_id, r.reason_code, 'item ' || r.id || ' was refused, kind ' || k.n, \
             substr('abcdef0123456789', 1 + {number} % 5, 10) || '0' || k.n, r.completed_at \
             from operation_runs r cross join (select 1 as n union all select 2) k where r.reason_code is not null"
        ),
        format!(
            "insert into product_usage_events (workspace_id, tenant_id, user_id, event_name, feature_area, subject_type, \
             subject_id, occurred_at) select 1 + ({tenant}) % 100, {tenant}, 1 + ({tenant}) % 100, 'product.operations.started', \
             'operations', 'operation_run', cast(n as text), {event_at} from {}",
            numbers(EVENTS)
        ),
        reset.to_owned(),
    ]
}

fn open(url: &str) -> Ops {
    let settings = OpsSettings { patience: Duration::from_secs(600), ..OpsSettings::default() };
    Ops::open(url, Create::IfMissing, Clock::fixed(now()), settings).unwrap()
}

async fn log_in(ops: &Ops, name: &str) -> Actor {
    let nobody = Actor::Anonymous { origin: "bench".to_owned() };
    ops.run(&nobody, Login::new(name, PASSWORD, ClientKind::Console)).await.unwrap().0.actor
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

/// Somebody who sees one workspace of a hundred, and counts that stand where they belong.
async fn finish(url: &str) {
    let ops = open(url);
    let admin = log_in(&ops, "administrator").await;
    let new = NewPlatformUser {
        username: "restricted".to_owned(),
        display_name: String::new(),
        password: password::secret(PASSWORD),
        capabilities: Role::Administrator.capabilities(),
        view: UserView::Workspaces(vec![1]),
        consent: Consent::typed("restricted"),
    };
    ops.run(&admin, CreateUser(new)).await.unwrap();
    let before = Instant::now();
    let counted = ops.run(&admin, RebuildRunCounts).await.unwrap();
    println!("rebuild of {counted} runs: {:.1} s", before.elapsed().as_secs_f64());
    ops.run(&admin, RebuildRollups).await.unwrap();
    ops.close().await;
}

async fn postgres(server: &str) -> String {
    let name = format!("tenantpilot_bench_overview{}", suffix());
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
    // Rows that are right by their making are counted at the end.
    connection.execute("set session_replication_role = replica").await.unwrap();
    let all = statements(
        "generate_series(1::bigint, LAST) n",
        "timestamptz '2026-11-20 12:34:56Z' - (AGE) * interval '1 second'",
        "lpad(n::text, 64, '0')",
        "r.id::int",
        "update operation_run_failures f set run_created_at = r.created_at from operation_runs r where r.id = f.run_id",
    );
    for sql in all {
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    connection.execute("set session_replication_role = origin").await.unwrap();
    finish(&url).await;
    connection.execute("vacuum analyze").await.unwrap();
    url
}

async fn sqlite() -> String {
    let folder = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    let folder = folder.join("bench-data");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("overview{}.db", suffix()));
    let url = format!("sqlite://{}", file.display());
    if file.exists() {
        return url;
    }
    prepare(&url).await;
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    connection.execute("pragma synchronous = off").await.unwrap();
    let all = statements(
        "(with recursive s (n) as (select 1 union all select n + 1 from s where n < LAST) select n from s) s",
        "strftime('%Y-%m-%dT%H:%M:%S+00:00', '2026-11-20 12:34:56', '-' || (AGE) || ' seconds')",
        "printf('%064d', n)",
        "r.id",
        "select 1",
    );
    for sql in all {
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    finish(&url).await;
    connection.execute("analyze").await.unwrap();
    connection.close().await.unwrap();
    url
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1_000.0
}

const PLAIN_COUNT: &str = "select outcome, count(*) from operation_runs \
    where created_at >= 'FROM' and created_at < 'UNTIL' group by outcome";

async fn plain(url: &str, window: Window) -> f64 {
    let sql = PLAIN_COUNT
        .replace("FROM", &(now() - window.length()).to_rfc3339())
        .replace("UNTIL", &now().to_rfc3339());
    let mut times = Vec::new();
    for _ in 0..PLAIN {
        let sql = AssertSqlSafe(sql.clone());
        if url.starts_with("postgres") {
            let mut connection = PgConnection::connect(url).await.unwrap();
            let before = Instant::now();
            connection.fetch_all(sql).await.unwrap();
            times.push(before.elapsed());
        } else {
            let mut connection = SqliteConnection::connect(url).await.unwrap();
            let before = Instant::now();
            connection.fetch_all(sql).await.unwrap();
            times.push(before.elapsed());
        }
    }
    median(times)
}

async fn looks(ops: &Ops, actor: &Actor, window: Window) -> (f64, i64) {
    let (mut times, mut started) = (Vec::new(), 0);
    for _ in 0..LOOKS {
        let before = Instant::now();
        let found = ops.run(actor, ReadOverview { window: Some(window) }).await.unwrap();
        times.push(before.elapsed());
        started = found.runs.current.started;
    }
    (median(times), started)
}

async fn groups(ops: &Ops, actor: &Actor, window: Window) -> (f64, i64) {
    let (mut times, mut failures) = (Vec::new(), 0);
    for _ in 0..LOOKS {
        let before = Instant::now();
        let list = ListFingerprints { window: Some(window), limit: 0 };
        let found = ops.run(actor, list).await.unwrap();
        times.push(before.elapsed());
        failures = found.total_failures;
    }
    (median(times), failures)
}

async fn measure(engine: &str, url: &str) {
    let ops = open(url);
    let (admin, restricted) =
        (log_in(&ops, "administrator").await, log_in(&ops, "restricted").await);
    for window in Window::ALL {
        let (all, started) = looks(&ops, &admin, *window).await;
        let (own, _) = looks(&ops, &restricted, *window).await;
        let (errors, failures) = groups(&ops, &admin, *window).await;
        let count = plain(url, *window).await;
        println!(
            "{engine} {window}: {started} runs; overview {all:.1} ms, of one workspace {own:.1} ms; \
             fingerprints of {failures} failures {errors:.1} ms; plain count of the runs {count:.1} ms"
        );
    }
    let before = Instant::now();
    let different = ops.run(&admin, CheckRunCounts).await.unwrap().different;
    println!(
        "{engine}: check of all counts {:.1} s, {different} differ",
        before.elapsed().as_secs_f64()
    );
    ops.close().await;
}

fn main() {
    let runtime = Runtime::new().unwrap();
    let _inside = runtime.enter();
    runtime.block_on(async {
        let server = std::env::var("TENANTPILOT_BENCH_POSTGRES").ok().filter(|url| !url.is_empty());
        if let Some(server) = server {
            measure("postgres", &postgres(&server).await).await;
        }
        measure("sqlite", &sqlite().await).await;
    });
}
