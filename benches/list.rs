//! What a page of the operations list costs, at ten thousand and at a million runs.
//!
//! The databases are made once, in `target/bench-data` (SQLite) and as databases of the server
//! that `TENANTPILOT_BENCH_POSTGRES` names (without it, only SQLite is measured).
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot prepare its data has to stop")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, TimeZone as _, Utc};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqliteConnection};
use tenantpilot::Clock;
use tenantpilot::access::{Actor, ClientKind};
use tenantpilot::domain::run_filter::RunFilter;
use tenantpilot::ops::auth::Login;
use tenantpilot::ops::runs::{CountRuns, Cursor, ListRuns, Page};
use tenantpilot::ops::users::CreateFirstAdministrator;
use tenantpilot::ops::{Create, Ops, OpsSettings, password};
use tokio::runtime::Runtime;

const SIZES: [i64; 2] = [10_000, 1_000_000];
const PASSWORD: &str = "a password for measuring";
const PAGE: i64 = 50;

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 20, 12, 0, 0).unwrap()
}

/// Run `n` is this old.
fn age(n: i64) -> chrono::Duration {
    chrono::Duration::seconds(n * 3)
}

/// 50 workspaces with 20 tenants each, and `runs` runs of which one in eleven failed.
fn statements(runs: i64, series: &str, time: &str, hash: &str) -> Vec<String> {
    let numbers = |to: i64| series.replace("LAST", &to.to_string());
    let at = time.replace("AGE", "n * 3");
    let fixed = time.replace("AGE", "0");
    vec![
        format!(
            "insert into workspaces (id, name, created_at) select n, 'Workspace ' || n, {fixed} from {}",
            numbers(50)
        ),
        format!(
            "insert into tenants (id, workspace_id, name, created_at) select n, 1 + (n - 1) / 20, 'Tenant ' || n, {fixed} from {}",
            numbers(1000)
        ),
        format!(
            "insert into operation_runs (workspace_id, tenant_id, initiator_name, source, type, scope_kind, status, outcome, \
             reason_code, identity_hash, summary_counts, created_at, started_at, completed_at, updated_at) \
             select 1 + (n * 7919 % 1000) / 20, 1 + n * 7919 % 1000, 'user' || n % 300, 'admin', \
             case when n % 97 = 0 then 'review_pack.generate' when n % 3 = 0 then 'policy.sync' else 'inventory.sync' end, 'tenant', \
             'completed', case when n % 11 = 0 then 'failed' else 'succeeded' end, \
             case when n % 22 = 0 then 'timeout' when n % 11 = 0 then 'conflict' end, {hash}, \
             '{{\"total\": 1, \"processed\": 1, \"succeeded\": 1}}', {at}, {at}, {at}, {at} from {}",
            numbers(runs)
        ),
    ]
}

async fn prepare(ops: &Ops) {
    ops.migrate().await.unwrap();
    let first = CreateFirstAdministrator {
        username: "administrator".to_owned(),
        password: password::secret(PASSWORD),
    };
    ops.run(&Actor::Anonymous { origin: "bench".to_owned() }, first).await.unwrap();
}

fn open(url: &str) -> Ops {
    let settings = OpsSettings { patience: Duration::from_secs(60), ..OpsSettings::default() };
    Ops::open(url, Create::IfMissing, Clock::fixed(noon()), settings).unwrap()
}

async fn sqlite(runs: i64) -> String {
    let folder = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    let path = folder.join("bench-data").join(format!("list-{runs}.db"));
    let url = format!("sqlite://{}", path.display());
    if path.exists() {
        return url;
    }
    let ops = open(&url);
    prepare(&ops).await;
    ops.close().await;
    let series = "(with recursive s (n) as (select 1 union all select n + 1 from s where n < LAST) select n from s) s";
    let time =
        "strftime('%Y-%m-%dT%H:%M:%S+00:00', '2026-11-20 12:00:00', '-' || (AGE) || ' seconds')";
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    for sql in statements(runs, series, time, "printf('%064d', n)") {
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    connection.execute("analyze").await.unwrap();
    connection.close().await.unwrap();
    url
}

async fn postgres(server: &str, runs: i64) -> String {
    let name = format!("tenantpilot_bench_{runs}");
    let url = format!("{}/{name}", server.rsplit_once('/').unwrap().0);
    let mut connection = PgConnection::connect(server).await.unwrap();
    let known = format!("select count(*) from pg_database where datname = '{name}'");
    let known: i64 = connection.fetch_one(AssertSqlSafe(known)).await.unwrap().get(0);
    if known > 0 {
        return url;
    }
    connection.execute(AssertSqlSafe(format!("create database {name}"))).await.unwrap();
    let ops = open(&url);
    prepare(&ops).await;
    ops.close().await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let time = "timestamptz '2026-11-20 12:00Z' - (AGE) * interval '1 second'";
    let series = "generate_series(1::bigint, LAST) n";
    for sql in statements(runs, series, time, "lpad(n::text, 64, '0')") {
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    connection.execute("vacuum analyze").await.unwrap();
    url
}

fn measure(criterion: &mut Criterion, runtime: &Runtime, engine: &str, runs: i64, url: &str) {
    let _inside = runtime.enter();
    let ops = open(url);
    let actor = runtime.block_on(async {
        let login = Login::new("administrator", PASSWORD, ClientKind::Console);
        let nobody = Actor::Anonymous { origin: "bench".to_owned() };
        ops.run(&nobody, login).await.unwrap().0.actor
    });
    let mut group = criterion.benchmark_group(format!("list/{engine}"));
    group.sample_size(20).warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(2));
    let deep = Cursor { created_at: noon() - age(runs * 9 / 10), id: runs * 9 / 10 };
    for (name, filter, page) in [
        ("first page", "", Page::Newest),
        ("deep page", "", Page::OlderThan(deep)),
        ("outcome", "outcome:failed", Page::Newest),
        ("rare type, deep", "type:review_pack.generate", Page::OlderThan(deep)),
        ("tenant and outcome", "tenant:7 outcome:failed", Page::Newest),
        ("text", "user299", Page::Newest),
        ("text without a hit", "nothing_like_it", Page::Newest),
    ] {
        let list = ListRuns { filter: RunFilter::parse(filter).unwrap(), page, limit: PAGE };
        group.bench_function(BenchmarkId::new(name, runs), |bencher| {
            bencher.to_async(runtime).iter(|| async {
                black_box(ops.run(&actor, list.clone()).await.unwrap());
            });
        });
    }
    group.bench_function(BenchmarkId::new("counts", runs), |bencher| {
        bencher.to_async(runtime).iter(|| async {
            black_box(ops.run(&actor, CountRuns).await.unwrap());
        });
    });
    group.finish();
    runtime.block_on(ops.close());
}

fn pages(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let server = std::env::var("TENANTPILOT_BENCH_POSTGRES").ok().filter(|url| !url.is_empty());
    for runs in SIZES {
        let url = runtime.block_on(sqlite(runs));
        measure(criterion, &runtime, "sqlite", runs, &url);
        if let Some(server) = &server {
            let url = runtime.block_on(postgres(server, runs));
            measure(criterion, &runtime, "postgres", runs, &url);
        }
    }
}

criterion_group!(benches, pages);
criterion_main!(benches);
