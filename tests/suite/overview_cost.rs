//! What the overview reads: kept counts where it can, and few runs.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use tenantpilot::access::Actor;
use tenantpilot::domain::window::Window;
use tenantpilot::ops::overview::{CheckRunCounts, FoldRunCounts, ReadOverview, RebuildRunCounts};
use tenantpilot::ops::{Engine, OpsSettings};

use crate::overview::text;
use crate::support::stores::{Store, block_on, both_engines, noon};

both_engines! {
    async fn fr_025_004_a_duration_at_the_edge_of_a_step_is_counted_in_it(store) {
        let store = store.with_platform().await;
        let all = match store.engine {
            Engine::Postgres => "select string_agg(from_ms::text, ' ') from duration_steps",
            Engine::Sqlite => "select group_concat(from_ms, ' ') from duration_steps",
        };
        let created = noon() - TimeDelta::days(50) + TimeDelta::seconds(90);
        let mut rows = Vec::new();
        for from in store.text(all).await.split(' ') {
            // Durations are rounded to milliseconds, and none is below zero.
            for off in [-501, -500, -499, -1, 0, 1, 499, 500, 501] {
                let took = TimeDelta::microseconds(from.parse::<i64>().unwrap() * 1_000 + off);
                rows.push(format!(
                    "(1, 1, 'schedule', 'a.b', 'tenant', 'completed', 'succeeded', '{:064}', '{}', '{}', '{}')",
                    rows.len(), text(created), text(created + took), text(created)
                ));
            }
        }
        store.sql(&format!(
            "insert into operation_runs (workspace_id, tenant_id, source, type, scope_kind, status, outcome, identity_hash, \
             created_at, completed_at, updated_at) values {}", rows.join(", ")
        )).await.unwrap();
        for _ in 0..2 {
            let found = store.ops.run(&Actor::System, CheckRunCounts).await.unwrap();
            assert_eq!(found.differences, []);
            store.ops.run(&Actor::System, RebuildRunCounts).await.unwrap();
        }
        // Of a whole day and of the edge of a window they give the same figures.
        let mut figures = Vec::new();
        for now in [created + TimeDelta::days(15), created + TimeDelta::days(30) - TimeDelta::seconds(30)] {
            store.clock.advance(now - store.clock.now());
            let found = store.overview(&Actor::System, Window::Month).await.runs.current;
            assert!(found.median.unwrap().approximate);
            figures.push(found);
        }
        assert_eq!(figures[0], figures[1]);
    }
}

/// The server counts the rows that it reads.
#[test]
fn fr_025_014_few_runs_are_read_however_many_there_are() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_platform().await;
        // Ten runs an hour; one of a hundred failed.
        store.sql("insert into operation_runs (workspace_id, tenant_id, source, type, scope_kind, status, outcome, reason_code, \
            identity_hash, created_at, started_at, completed_at, updated_at) select 1, 1, 'schedule', 'policy.sync', 'tenant', \
            'completed', case when n % 100 = 0 then 'failed' else 'succeeded' end, case when n % 100 = 0 then 'timeout' end, \
            lpad(n::text, 64, '0'), x.at, x.at, x.at + interval '1 second', x.at from generate_series(1, 20000) n, \
            lateral (select timestamptz '2026-11-20T12:30:00Z' - n * interval '6 minutes' as at) x").await.unwrap();
        while store.ops.run(&Actor::System, FoldRunCounts).await.unwrap() {}
        store.sql("vacuum analyze").await.unwrap();
        let read = "select seq_tup_read + coalesce(idx_tup_fetch, 0) from pg_stat_user_tables where relname = 'operation_runs'";
        let before = store.number(read).await;
        store.clock.advance(TimeDelta::minutes(29));
        let ops = store
            .another(OpsSettings { patience: Duration::from_secs(60), ..OpsSettings::default() });
        let found =
            ops.run(&Actor::System, ReadOverview { window: Some(Window::Month) }).await.unwrap();
        assert_eq!((found.runs.current.started, found.runs.previous.started), (7_200, 7_200));
        assert_eq!(found.offenders.types[0].runs, 72);
        // A backend reports its statistics when it exits.
        ops.close().await;
        let deadline = Instant::now() + Duration::from_secs(20);
        let rows = loop {
            let rows = store.number(read).await - before;
            if rows > 0 {
                break rows;
            }
            assert!(Instant::now() < deadline, "no statistics from the server");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        // Two hours at the edges, and the newest failures.
        assert!(rows <= 200, "{rows} of 20,000 runs were read");
    });
}
