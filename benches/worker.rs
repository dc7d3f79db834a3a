//! The worker against the database alone: a whole backfill through fenced steps, and one
//! hand-written set-based update that makes the same change, on copies of the same rows, in
//! one run. Then what a step and a claim cost by themselves.
//!
//!     TENANTPILOT_BENCH_POSTGRES=postgres://user:password@127.0.0.1/postgres cargo bench --bench worker
//!
//! `TENANTPILOT_BENCH_FINDINGS` and `TENANTPILOT_BENCH_TENANTS` change the size (1,000,000 and
//! 1,000). The databases it makes are dropped at the end.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot prepare its data has to stop")]
#![expect(clippy::print_stdout, reason = "it prints its figures")]

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use tenantpilot::Clock;
use tenantpilot::access::Actor;
use tenantpilot::domain::rollout::Rollout;
use tenantpilot::domain::run::Source;
use tenantpilot::domain::start_reason::{StartReason, StartReasonCode};
use tenantpilot::ops::Consent;
use tenantpilot::ops::plans::Preflight;
use tenantpilot::ops::runbooks::StartRunbook;
use tenantpilot::ops::runs::RunScope;
use tenantpilot::ops::{Create, Ops, OpsSettings};
use tenantpilot::worker::{Worker, WorkerEvent, WorkerSettings};
use tokio::sync::watch;

const KEY: &str = "findings.lifecycle_backfill";
/// Tenants without findings: their step does nothing.
const EMPTY_TENANTS: i64 = 20_000;
/// Runs of one empty tenant, one after the other.
const SINGLE_RUNS: usize = 200;

/// The same change as the runbook makes, over all tenants at once.
const UPDATE: &str = "\
with newest as (\
 select distinct on (tenant_id, recurrence_key) tenant_id, recurrence_key, id from findings \
 where status not in ('resolved', 'duplicate') order by tenant_id, recurrence_key, created_at desc, id desc) \
update findings f set \
 status = case when n.id <> f.id and f.status <> 'resolved' then 'duplicate' when f.status = 'open' then 'new' \
 when f.status = 'acknowledged' then 'triaged' else f.status end, \
 duplicate_of_id = case when n.id <> f.id and f.status <> 'resolved' then n.id else f.duplicate_of_id end, \
 first_seen_at = coalesce(f.first_seen_at, f.created_at), \
 last_seen_at = coalesce(f.last_seen_at, greatest(f.first_seen_at, f.created_at)), \
 times_seen = greatest(coalesce(f.times_seen, 1), 1), sla_days = coalesce(f.sla_days, s.days), \
 due_at = case when f.due_at is null and f.status not in ('resolved', 'duplicate') and n.id = f.id \
 then now() + coalesce(f.sla_days, s.days) * interval '1 day' else f.due_at end, updated_at = now() \
from findings g left join newest n on n.tenant_id = g.tenant_id and n.recurrence_key = g.recurrence_key, \
 (values ('critical', 3), ('high', 7), ('medium', 14), ('low', 30)) s (severity, days) \
where g.id = f.id and s.severity = f.severity";

fn number(variable: &str, default: i64) -> i64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn sql(connection: &mut PgConnection, text: &str) -> u64 {
    connection.execute(AssertSqlSafe(text.to_owned())).await.unwrap().rows_affected()
}

fn database(server: &str, name: &str) -> String {
    format!("{}/{name}", server.rsplit_once('/').unwrap().0)
}

/// Resident memory of this process, now and at most, in MB.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let get = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    (get("VmRSS"), get("VmHWM"))
}

/// Legacy findings as they come: three in four open, one in ten a duplicate of another.
fn rows(findings: i64, tenants: i64) -> [String; 3] {
    let at = "timestamptz '2026-01-01' + n * interval '1 second'";
    [
        "insert into workspaces (id, name, created_at) select n, 'Workspace ' || n, now() from generate_series(1, 50) n".to_owned(),
        format!(
            "insert into tenants (id, workspace_id, name, created_at) select n, 1 + n % 50, 'Tenant ' || n, now() \
             from generate_series(1, {tenants}) n"
        ),
        format!(
            "insert into findings (workspace_id, tenant_id, recurrence_key, title, severity, status, created_at, updated_at) \
             select 1 + (1 + n % {tenants}) % 50, 1 + n % {tenants}, 'rule-' || (n / {tenants}) % (9 * {findings} / {tenants} / 10 + 1), \
             'Finding ' || n, (array['critical', 'high', 'medium', 'low'])[1 + n % 4], \
             (array['open', 'open', 'open', 'acknowledged'])[1 + n / 7 % 4], {at}, {at} from generate_series(1, {findings}) n"
        ),
    ]
}

struct Measured {
    preflight: Duration,
    start: Duration,
    took: Duration,
    counts: String,
}

fn service(url: &str) -> Ops {
    let settings = OpsSettings { patience: Duration::from_secs(120), ..OpsSettings::default() };
    Ops::open(url, Create::Never, Clock::system(), settings).unwrap()
}

/// Plans a backfill and starts it, as the schedule would: also where there is nothing to do.
async fn start(ops: &Ops, scope: RunScope, concurrency: u32) -> Begun {
    let asked = Instant::now();
    let plan = ops.run(&Actor::System, Preflight::new(KEY, scope)).await.unwrap();
    let preflight = asked.elapsed();
    let start = StartRunbook {
        rollout: Rollout { concurrency, ..Rollout::default() },
        consent: Consent::typed(plan.phrase)
            .because(Some(StartReason::as_typed(StartReasonCode::DataRepair, "a measurement"))),
        ..StartRunbook::of_plan(KEY, plan.id, Source::Schedule)
    };
    let asked = Instant::now();
    let id = ops.run(&Actor::System, start).await.unwrap().run_id;
    Begun { id, preflight, start: asked.elapsed() }
}

/// A run that was started, and what that took.
struct Begun {
    id: i64,
    preflight: Duration,
    start: Duration,
}

/// Starts a backfill over all tenants and waits for the worker to end it.
async fn backfill(url: &str, concurrency: u32) -> Measured {
    let ops = service(url);
    let Begun { id, preflight, start } = start(&ops, RunScope::All, concurrency).await;
    let (stop, stopped) = watch::channel(false);
    let settings = WorkerSettings { schedule: false, ..WorkerSettings::default() };
    let (worker, mut events) =
        Worker::open(url, settings, &OpsSettings::default(), Clock::system(), stopped).unwrap();
    let working = tokio::spawn(worker.run());
    let mut claimed = Instant::now();
    let took = loop {
        match events.recv().await.unwrap() {
            WorkerEvent::Claimed { run_id, .. } if run_id == id => claimed = Instant::now(),
            WorkerEvent::Ended { run_id, .. } if run_id == id => break claimed.elapsed(),
            _ => {}
        }
    };
    stop.send(true).unwrap();
    working.await.unwrap().unwrap();
    let mut connection = connect(url).await;
    let row = connection
        .fetch_one(AssertSqlSafe(format!(
            "select outcome || ' ' || summary_counts::text from operation_runs where id = {id}"
        )))
        .await
        .unwrap();
    Measured { preflight, start, took, counts: row.get(0) }
}

/// One run after the other, each of one tenant whose step does nothing; gives the median of
/// start to end as the caller sees it, and of claim to the first step's end as stored.
async fn singles(url: &str, tenants: i64) -> (Duration, f64) {
    let ops = service(url);
    let (stop, stopped) = watch::channel(false);
    let settings = WorkerSettings { schedule: false, ..WorkerSettings::default() };
    let (worker, mut events) =
        Worker::open(url, settings, &OpsSettings::default(), Clock::system(), stopped).unwrap();
    let working = tokio::spawn(worker.run());
    while !matches!(events.recv().await.unwrap(), WorkerEvent::Ready { .. }) {}
    let mut times = Vec::new();
    let mut ids = Vec::new();
    for n in 0..SINGLE_RUNS {
        let scope = RunScope::Tenant(1 + i64::try_from(n).unwrap() % tenants);
        let asked = Instant::now();
        let id = start(&ops, scope, 1).await.id;
        while !matches!(events.recv().await.unwrap(), WorkerEvent::Ended { run_id, .. } if run_id == id)
        {
        }
        times.push(asked.elapsed());
        ids.push(id);
    }
    stop.send(true).unwrap();
    working.await.unwrap().unwrap();
    times.sort_unstable();
    let mut connection = connect(url).await;
    let text = format!(
        "select percentile_cont(0.5) within group (order by extract(epoch from g.updated_at - r.started_at) * 1000)::float8 \
         from operation_runs r join operation_run_targets g on g.run_id = r.id where r.id >= {}",
        ids[0]
    );
    (times[times.len() / 2], connection.fetch_one(AssertSqlSafe(text)).await.unwrap().get(0))
}

#[tokio::main]
async fn main() {
    // The harness passes flags of its own.
    let Ok(server) = std::env::var("TENANTPILOT_BENCH_POSTGRES") else {
        println!("TENANTPILOT_BENCH_POSTGRES is not set: nothing was measured");
        return;
    };
    let findings = number("TENANTPILOT_BENCH_FINDINGS", 1_000_000);
    let tenants = number("TENANTPILOT_BENCH_TENANTS", 1_000);
    let names = [
        "tenantpilot_bench_w0",
        "tenantpilot_bench_w1",
        "tenantpilot_bench_w2",
        "tenantpilot_bench_w3",
    ];
    let mut admin = connect(&server).await;
    for name in names {
        sql(&mut admin, &format!("drop database if exists {name} with (force)")).await;
    }
    sql(&mut admin, &format!("create database {}", names[0])).await;
    let template = database(&server, names[0]);
    service(&template).migrate().await.unwrap();
    sql(&mut admin, &format!("create database {} template {}", names[3], names[0])).await;
    let mut connection = connect(&template).await;
    for text in rows(findings, tenants) {
        sql(&mut connection, &text).await;
    }
    sql(&mut connection, "vacuum analyze").await;
    connection.close().await.unwrap();
    for name in &names[1..3] {
        sql(&mut admin, &format!("create database {name} template {}", names[0])).await;
    }
    sql(&mut admin, "checkpoint").await;

    let mut connection = connect(&database(&server, names[1])).await;
    let begun = Instant::now();
    let changed = sql(&mut connection, UPDATE).await;
    let update = begun.elapsed();
    println!("one update: {changed} rows in {:.1} s", update.as_secs_f64());
    connection.close().await.unwrap();
    sql(&mut admin, "checkpoint").await;

    let worker_url = database(&server, names[2]);
    let before = memory();
    let first = backfill(&worker_url, 4).await;
    println!(
        "preflight of all: {:.1} s; start, which counts again: {:.1} s",
        first.preflight.as_secs_f64(),
        first.start.as_secs_f64()
    );
    println!("worker: {} in {:.1} s", first.counts, first.took.as_secs_f64());
    println!(
        "worker / update: {:.2} of its speed",
        update.as_secs_f64() / first.took.as_secs_f64()
    );
    let second = backfill(&worker_url, 4).await;
    println!("again: {} in {:.1} s", second.counts, second.took.as_secs_f64());
    println!("memory: {} MB before, {} MB after, {} MB at most", before.0, memory().0, memory().1);

    // Both changed the same rows to the same values, times apart.
    let digest = "select count(*) || ' ' || sum(hashtext(concat_ws('|', id, status, duplicate_of_id, first_seen_at, \
                  last_seen_at, times_seen, sla_days, due_at is null))::bigint) from findings";
    let mut digests = Vec::new();
    for name in &names[1..3] {
        let mut connection = connect(&database(&server, name)).await;
        digests.push(connection.fetch_one(digest).await.unwrap().get::<String, _>(0));
    }
    assert_eq!(digests[0], digests[1], "update and worker must make the same change");

    let empty = database(&server, names[3]);
    let mut connection = connect(&empty).await;
    for text in &rows(0, EMPTY_TENANTS)[..2] {
        sql(&mut connection, text).await;
    }
    sql(&mut connection, "analyze").await;
    for concurrency in [1, 4, 8] {
        let run = backfill(&empty, concurrency).await;
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let rate = EMPTY_TENANTS as f64 / run.took.as_secs_f64();
        println!("empty targets, {concurrency} at once: {rate:.0} a second");
    }
    let (start_to_end, claim_to_step) = singles(&empty, EMPTY_TENANTS).await;
    println!(
        "one empty tenant: {start_to_end:.1?} from start to end, {claim_to_step:.1} ms from claim to the first step's end"
    );
    for name in names {
        sql(&mut admin, &format!("drop database if exists {name} with (force)")).await;
    }
}
