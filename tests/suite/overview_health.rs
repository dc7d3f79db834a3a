//! Health: what is wrong, judged by what is there, with every run that it is about.

use tenantpilot::access::Actor;
use tenantpilot::domain::health::{Health, HealthLevel, HealthThresholds};
use tenantpilot::domain::window::Window;
use tenantpilot::ops::overview::ReadOverview;
use tenantpilot::ops::{Engine, OpsSettings};

use crate::support::stores::both_engines;

both_engines! {
    async fn fr_025_005_all_leases_and_audit_gaps_are_counted_however_many(store) {
        let store = store.with_platform().await.with_active_worker().await;
        for id in 1..=60 {
            let (status, outcome, lease, done) = if id <= 30 {
                ("running", "pending", "'w'", "null")
            } else {
                ("completed", "succeeded", "null", "'2026-11-20T11:01:00+00:00'")
            };
            store.sql(&format!(
                "insert into operation_runs (id, workspace_id, tenant_id, source, type, scope_kind, status, outcome, identity_hash, \
                 lease_owner, audit_gaps, created_at, started_at, completed_at, updated_at) values ({id}, 1, 1, 'schedule', 'policy.sync', \
                 'tenant', '{status}', '{outcome}', '{id:064x}', {lease}, {}, '2026-11-20T11:00:00+00:00', '2026-11-20T11:00:00+00:00', \
                 {done}, '2026-11-20T11:00:00+00:00')", i64::from(id > 30)
            )).await.unwrap();
        }
        let lease = |beat: &str, part: &str| format!(
            "insert into operation_run_leases (run_id, owner, acquired_at, heartbeat_at, expires_at) select id, 'w', '{beat}', '{beat}', \
             '2026-11-01T00:00:00+00:00' from operation_runs where status = 'running' and {part}"
        );
        store.sql(&lease("2026-10-31T23:59:00+00:00", "id <= 25")).await.unwrap();
        let found = store.overview(&Actor::System, Window::Day).await.health;
        let reasons = |found: &Health| -> Vec<(String, String)> {
            found.reasons.iter().map(|reason| (reason.text.clone(), reason.filter.as_ref().unwrap().to_string())).collect()
        };
        let told = reasons(&found);
        assert_eq!(told[0], ("runs 1, 2, 3 and 22 more: the lease is overdue by more than 2 times its length".to_owned(), "status:stuck".to_owned()));
        assert_eq!(told[1].0, "runs 60, 59, 58 and 27 more: audit rows could not be written (the newest 20 are listed)");
        assert_eq!(store.listed(&Actor::System, found.reasons[0].filter.as_ref().unwrap()).await, 25);
        assert_eq!(store.listed(&Actor::System, found.reasons[1].filter.as_ref().unwrap()).await, 20);
        // A lease of three hundred years is not overdue by twice that.
        store.sql(&lease("1700-01-01T00:00:00+00:00", "id > 25")).await.unwrap();
        let found = store.overview(&Actor::System, Window::Day).await.health;
        assert_eq!(reasons(&found)[0], ("30 runs: the lease has run out, of 25 of them by more than 2 times its length".to_owned(), "status:stuck".to_owned()));
        assert_eq!(found.reasons.len(), 2);
        assert_eq!(store.listed(&Actor::System, found.reasons[0].filter.as_ref().unwrap()).await, 30);
    }

    async fn fr_025_005_and_fr_037_006_every_kind_of_gap_is_counted_and_named(store) {
        let store = store.with_platform().await.with_active_worker().await;
        for (id, gaps) in [(1, "1, 0, 0"), (2, "0, 3, 0"), (3, "0, 0, 1"), (4, "2, 1, 1"), (5, "0, 0, 0"), (6, "1, 1, 1")] {
            // The last one is outside of the window.
            let at = if id == 6 { "2026-11-10T11:00:00+00:00" } else { "2026-11-20T11:00:00+00:00" };
            store.sql(&format!(
                "insert into operation_runs (id, workspace_id, tenant_id, source, type, scope_kind, status, outcome, identity_hash, audit_gaps, \
                 notification_gaps, alert_gaps, created_at, started_at, completed_at, updated_at) values ({id}, 1, 1, 'schedule', 'policy.sync', \
                 'tenant', 'completed', 'succeeded', '{id:064x}', {gaps}, '{at}', '{at}', '{at}', '{at}')"
            )).await.unwrap();
        }
        let health = async || store.overview(&Actor::System, Window::Day).await.health;
        let found = health().await;
        assert_eq!(found.level, HealthLevel::Warning);
        let told: Vec<(&str, String)> = found.reasons.iter().map(|reason| (reason.text.as_str(), reason.filter.as_ref().unwrap().to_string())).collect();
        assert_eq!(told, [
            ("runs 4, 3: alerts could not be written", "id:4,3".to_owned()),
            ("runs 4, 1: audit rows could not be written", "id:4,1".to_owned()),
            ("runs 4, 2: notifications could not be written", "id:4,2".to_owned()),
        ]);
        for reason in &found.reasons {
            assert_eq!(store.listed(&Actor::System, reason.filter.as_ref().unwrap()).await, 2);
        }
        store.sql("update operation_runs set audit_gaps = 0, alert_gaps = 0").await.unwrap();
        assert_eq!(health().await.sentence(), "runs 4, 2: notifications could not be written");
        store.sql("update operation_runs set notification_gaps = 0").await.unwrap();
        assert_eq!(health().await.level, HealthLevel::Healthy);
    }

    async fn fr_025_005_health_is_judged_by_what_is_there_and_fr_025_006_by_its_settings(store) {
        let store = store.with_platform().await.with_active_worker().await;
        let health = async |limits: HealthThresholds| {
            let ops = store.another(OpsSettings { health: limits, ..OpsSettings::default() });
            ops.run(&Actor::System, ReadOverview::default()).await.unwrap().health
        };
        let usual = HealthThresholds::default();
        let run = |id: i64, status: &str, outcome: &str| {
            let (created, lease) = ("2026-11-20T11:00:00+00:00", if status == "running" { "'w'" } else { "null" });
            let done = if status == "completed" { "'2026-11-20T11:01:00+00:00'" } else { "null" };
            format!(
                "insert into operation_runs (id, workspace_id, tenant_id, source, type, scope_kind, status, outcome, identity_hash, \
                 lease_owner, created_at, started_at, completed_at, updated_at) values ({id}, 1, 1, 'schedule', 'policy.sync', 'tenant', \
                 '{status}', '{outcome}', '{id:064x}', {lease}, '{created}', '{created}', {done}, '{created}')"
            )
        };
        let fine = health(usual).await;
        assert_eq!((fine.level, fine.sentence(), fine.reasons.len()), (HealthLevel::Healthy, "nothing needs attention", 0));
        for id in 1..=15 {
            store.sql(&run(id, "completed", "succeeded")).await.unwrap();
        }
        assert_eq!(health(usual).await.level, HealthLevel::Healthy);
        // 1 of 16 is more than 5 %; 4 of 19 are too few to be critical, 5 of 20 are a quarter.
        for (id, level, text) in [
            (16, HealthLevel::Warning, "1 of 16 ended runs failed (6.3 %); the limit is 5 %"),
            (17, HealthLevel::Warning, "2 of 17 ended runs failed (11.8 %); the limit is 5 %"),
            (18, HealthLevel::Warning, "3 of 18 ended runs failed (16.7 %); the limit is 5 %"),
            (19, HealthLevel::Warning, "4 of 19 ended runs failed (21.1 %); the limit is 5 %"),
            (20, HealthLevel::Critical, "5 of 20 ended runs failed (25.0 %); the limit is 25 %"),
        ] {
            store.sql(&run(id, "completed", "failed")).await.unwrap();
            let found = health(usual).await;
            assert_eq!((found.level, found.sentence()), (level, text));
        }
        let strict = HealthThresholds { critical_ended_runs: 21, ..usual };
        assert_eq!(health(strict).await.level, HealthLevel::Warning);
        let lenient = HealthThresholds { critical_failed_percent: 26, warning_failed_percent: 26, ..usual };
        assert_eq!(health(lenient).await.level, HealthLevel::Healthy);
        // A lease that is overdue; by how much the database's clock says.
        store.sql(&run(21, "running", "pending")).await.unwrap();
        let lease = |beat: &str, end: &str| match store.engine {
            Engine::Postgres => format!(
                "insert into operation_run_leases (run_id, owner, acquired_at, heartbeat_at, expires_at) values \
                 (21, 'w', now() - interval '1 day', now() + interval '{beat} seconds', now() + interval '{end} seconds') \
                 on conflict (run_id) do update set heartbeat_at = excluded.heartbeat_at, expires_at = excluded.expires_at"
            ),
            Engine::Sqlite => format!(
                "insert into operation_run_leases (run_id, owner, acquired_at, heartbeat_at, expires_at) values \
                 (21, 'w', strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '-1 day'), strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '{beat} seconds'), \
                 strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '{end} seconds')) \
                 on conflict (run_id) do update set heartbeat_at = excluded.heartbeat_at, expires_at = excluded.expires_at"
            ),
        };
        store.sql(&lease("+0", "+3600")).await.unwrap();
        assert_eq!(health(lenient).await.level, HealthLevel::Healthy);
        // An hour long, ended an hour and a half ago: less than twice.
        store.sql(&lease("-9000", "-5400")).await.unwrap();
        let found = health(lenient).await;
        assert_eq!((found.level, found.sentence()), (HealthLevel::Warning, "run 21: the lease has run out"));
        assert_eq!(found.reasons[0].filter.as_ref().unwrap().to_string(), "id:21");
        store.sql(&lease("-12000", "-8400")).await.unwrap();
        let found = health(lenient).await;
        let text = "run 21: the lease is overdue by more than 2 times its length";
        assert_eq!((found.level, found.sentence()), (HealthLevel::Critical, text));
        let patient = HealthThresholds { critical_lease_lengths: 3, ..lenient };
        assert_eq!(health(patient).await.level, HealthLevel::Warning);
        store.sql("delete from operation_run_leases").await.unwrap();
        // A run that waits, an alert that is not delivered, an audit row that is missing.
        store.sql(&run(22, "queued", "pending").replace("'2026-11-20T11:00:00+00:00', null, '2026", "null, null, '2026")).await.unwrap();
        assert_eq!(health(lenient).await.sentence(), "run 22 not started: no executor for policy.sync");
        store.sql("delete from operation_runs where id = 22").await.unwrap();
        let alert = |created: &str| format!(
            "insert into alert_deliveries (event, run_id, payload, status, attempts, next_attempt_at, created_at) \
             values ('operations.run.failed', 16, '{{}}', 'pending', 0, '{created}', '{created}')"
        );
        store.sql(&alert("2026-11-20T11:58:00+00:00")).await.unwrap();
        assert_eq!(health(lenient).await.level, HealthLevel::Healthy);
        store.sql("update alert_deliveries set created_at = '2026-11-20T11:54:00+00:00'").await.unwrap();
        assert_eq!(health(lenient).await.sentence(), "1 alert is not delivered");
        store.sql("update alert_deliveries set status = 'dead', attempts = 10, last_error = 'refused'").await.unwrap();
        assert_eq!(health(lenient).await.sentence(), "1 alert is not delivered, given up: refused");
        store.sql("delete from alert_deliveries").await.unwrap();
        store.sql("update operation_runs set audit_gaps = 2 where id in (3, 4)").await.unwrap();
        let found = health(usual).await;
        assert_eq!(found.level, HealthLevel::Critical);
        let texts: Vec<&str> = found.reasons.iter().map(|reason| reason.text.as_str()).collect();
        assert_eq!(texts, ["5 of 20 ended runs failed (25.0 %); the limit is 25 %", "runs 4, 3: audit rows could not be written"]);
    }
}
