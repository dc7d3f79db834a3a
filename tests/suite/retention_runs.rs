//! Pruning ended runs: what goes with them, what is still needed, and how a run goes that has many rows.

use chrono::{DateTime, Duration, Utc};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tenantpilot::access::Actor;
use tenantpilot::domain::capability::Role;
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::domain::run::{RunOutcome, Source};
use tenantpilot::domain::run_filter::RunFilter;
use tenantpilot::domain::window::Window;
use tenantpilot::ops::Engine;
use tenantpilot::ops::notifications::ListNotifications;
use tenantpilot::ops::overview::{CheckRunCounts, FillFingerprints, FoldRunCounts, ReadOverview};
use tenantpilot::ops::plans::Preflight;
use tenantpilot::ops::runs::{FinishRun, GetRun, ListRuns, RunScope, RunStep, Stepped};
use tenantpilot::ops::support::{DiagnosticsSubject, GetTenant, OpenDiagnostics};
use tenantpilot::{Clock, ErrorKind};

use crate::cli::Person;
use crate::retention_data::{KEY, ago, prune};
use crate::support::stores::{Store, both_engines, noon};

impl Store {
    /// Writes `n` ended runs from `id` on, each a minute older than the one before, from so many days
    /// before `now`; each with one failed target and a failure.
    pub async fn ended_runs(&self, now: DateTime<Utc>, (id, n): (i64, i64), days: i64) {
        let numbers = match self.engine {
            Engine::Postgres => format!("(select generate_series(0, {n} - 1)::bigint as n)"),
            Engine::Sqlite => format!(
                "(with recursive s (n) as (select 0 union all select n + 1 from s where n < {n} - 1) select n from s)"
            ),
        };
        let at = match self.engine {
            Engine::Postgres => {
                format!("{}::timestamptz - x.n * interval '1 minute'", ago(now, days))
            }
            Engine::Sqlite => format!(
                "strftime('%Y-%m-%dT%H:%M:%f000+00:00', {}, '-' || x.n || ' minutes')",
                ago(now, days)
            ),
        };
        let hash = match self.engine {
            Engine::Postgres => "lpad(to_hex(x.n + {id}), 64, '0')",
            Engine::Sqlite => "printf('%064x', x.n + {id})",
        };
        let hash = hash.replace("{id}", &id.to_string());
        for text in [
            format!(
                "insert into operation_runs (id, workspace_id, tenant_id, source, type, scope_kind, status, outcome, reason_code, identity_hash, \
                 summary_counts, target_count, created_at, started_at, completed_at, updated_at) \
                 select {id} + x.n, 1, 1, 'cli', 'policy.sync', 'tenant', 'completed', 'failed', 'timeout', {hash}, \
                 '{{\"total\": 1, \"processed\": 1, \"failed\": 1}}', 1, {at}, {at}, {at}, {at} from {numbers} x"
            ),
            format!(
                "insert into operation_run_targets (run_id, ordinal, kind, tenant_id, status, reason_code, updated_at) \
                 select r.id, 0, 'tenant', 1, 'failed', 'timeout', r.updated_at from operation_runs r where r.id >= {id} and r.id < {id} + {n}"
            ),
            format!(
                "insert into operation_run_failures (run_id, tenant_id, reason_code, message, occurred_at) \
                 select r.id, 1, 'timeout', 'no answer', r.updated_at from operation_runs r where r.id >= {id} and r.id < {id} + {n}"
            ),
        ] {
            self.sql(&text).await.unwrap();
        }
        self.number_on().await;
    }

    /// Has the next run get a number after all that were written with their own.
    async fn number_on(&self) {
        if self.engine == Engine::Postgres {
            self.sql("select setval(pg_get_serial_sequence('operation_runs', 'id'), (select max(id) from operation_runs))").await.unwrap();
        }
    }

    /// Adds `n` targets to a run.
    pub async fn more_targets(&self, id: i64, n: i64) {
        let rows: Vec<String> = (1..=n)
            .map(|ordinal| {
                format!("({id}, {ordinal}, 'tenant', 1, 'succeeded', '2025-01-01T00:00:00+00:00')")
            })
            .collect();
        self.sql(&format!(
            "insert into operation_run_targets (run_id, ordinal, kind, tenant_id, status, updated_at) values {}", rows.join(", ")
        )).await.unwrap();
    }

    /// Prunes the runs as the schedule does, without its bound.
    async fn prune_runs(&self, chunk: i64) -> crate::runbooks::Executed {
        self.setting("retention.prune_bound", "100%").await;
        prune(Source::Schedule, json!({ "data": "runs" }))
            .begin(&self.ops, &Actor::System)
            .await
            .unwrap();
        self.pruned_by(chunk).await
    }

    /// Nothing of a run is left without it, and every count is that of the rows.
    async fn is_whole(&self) {
        for (table, column) in [
            ("operation_run_targets", "run_id"),
            ("operation_run_failures", "run_id"),
            ("operation_runs_leaving", "run_id"),
            ("runbook_plans", "used_by_run_id"),
        ] {
            let lost = format!(
                "select count(*) from {table} t where t.{column} not in (select id from operation_runs)"
            );
            assert_eq!(self.number(&lost).await, 0, "{table}");
        }
        assert_eq!(self.number("select count(*) from runbook_plan_targets where plan_id not in (select id from runbook_plans)").await, 0);
        assert_eq!(self.ops.run(&Actor::System, CheckRunCounts).await.unwrap().different, 0);
    }
}

const RUNS: &str = "select count(*) from operation_runs where type = 'policy.sync'";

both_engines! {
    async fn fr_049_006_a_run_goes_with_all_that_is_its_own_and_counts_stay_exact(store) {
        let store = store.with_platform().await;
        store.ended_runs(noon(), (100, 30), 401).await;
        store.ended_runs(noon(), (200, 10), 399).await;
        // It began long ago and ended lately, or has not ended.
        store.ended_runs(noon(), (300, 2), 500).await;
        store.sql(&format!("update operation_runs set completed_at = {} where id = 300", ago(noon(), 1))).await.unwrap();
        store.sql("update operation_runs set status = 'queued', outcome = 'pending', completed_at = null where id = 301").await.unwrap();
        let audit = "insert into audit_logs (plane, actor_kind, action, status, run_id, occurred_at) values ('system', 'system', 'runs.start', 'succeeded', 100, '2025-01-01T00:00:00+00:00')";
        store.sql(audit).await.unwrap();
        let done = store.prune_runs(500).await;
        assert_eq!((done.outcome, done.count("deleted")), (RunOutcome::Succeeded, 30));
        assert_eq!(store.number(RUNS).await, 12);
        assert_eq!(store.number("select count(*) from operation_run_targets where tenant_id = 1").await, 12);
        assert_eq!(store.number("select count(*) from audit_logs where run_id = 100").await, 1);
        store.is_whole().await;
        // A plan goes with the run that used it.
        let plans = "select count(*) from runbook_plans where used_by_run_id is not null";
        let before = store.number(plans).await;
        assert!(before > 0);
        store.sql("update runbook_plans set used_by_run_id = 200 where used_by_run_id is null").await.unwrap();
        store.clock.advance(Duration::days(399));
        store.prune_runs(500).await;
        store.clock.advance(Duration::days(402));
        let last = store.prune_runs(500).await;
        assert_eq!(store.number("select count(*) from operation_runs where status = 'completed'").await, 1);
        assert_eq!((last.count("deleted"), store.number(plans).await), (2, 1));
        store.is_whole().await;
    }

    async fn fr_049_006_what_is_still_needed_stays(store) {
        let store = store.with_platform().await;
        store.ended_runs(noon(), (100, 6), 500).await;
        store.ended_runs(noon(), (200, 1), 10).await;
        for text in [
            // Declared by a deployment, which must not start it again.
            "update operation_runs set source = 'deploy_hook', request_id = 'deploy:import' where id = 100",
            // Tried again, by one that is kept, and by one that is not.
            "update operation_runs set retry_of_run_id = 101 where id = 200",
            "update operation_runs set retry_of_run_id = 103 where id = 102",
            "update operation_runs set request_id = 'nightly-2024' where id = 104",
        ] {
            store.sql(text).await.unwrap();
        }
        assert_eq!(store.prune_runs(500).await.count("deleted"), 4);
        let left = if store.engine == Engine::Postgres { "string_agg(id::text, ' ')" } else { "group_concat(id, ' ')" };
        let left = format!("select {left} from (select id from operation_runs where type = 'policy.sync' order by id) x");
        assert_eq!(store.text(&left).await, "100 101 200");
        assert_eq!(store.prune_runs(500).await.count("deleted"), 0);
        store.is_whole().await;
    }

    async fn fr_049_015_a_preflight_of_runs_counts_what_would_be_deleted(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await.actor;
        store.ended_runs(noon(), (100, 9), 500).await;
        store.ended_runs(noon(), (200, 30), 10).await;
        for text in [
            "update operation_runs set source = 'deploy_hook', request_id = 'deploy:' || id where id = 100",
            // Tried again twice: the newest is kept, and so are those before it.
            "update operation_runs set retry_of_run_id = 101 where id = 200",
            "update operation_runs set retry_of_run_id = 103 where id = 101",
            "update operation_runs set retry_of_run_id = 105 where id = 104",
        ] {
            store.sql(text).await.unwrap();
        }
        store.sql(&format!("update operation_runs set completed_at = {} where id = 102", ago(noon(), 1))).await.unwrap();
        let plan = async || prune(Source::Cli, json!({ "data": "runs" })).plan(&store.ops, &admin).await.unwrap();
        let before = plan().await;
        assert_eq!((before.affected_count, before.total_count, before.affected_at_least), (5, 39, false));
        // What stays does not count to the bound of an unattended prune.
        store.ended_runs(noon(), (300, 30), 450).await;
        store.sql("update operation_runs set source = 'deploy_hook', request_id = 'deploy:' || id where id >= 300").await.unwrap();
        prune(Source::Schedule, json!({ "data": "runs" })).begin(&store.ops, &Actor::System).await.unwrap();
        let done = store.pruned_by(500).await;
        assert_eq!((done.outcome, done.count("deleted")), (RunOutcome::Succeeded, 5));
        let wish = prune(Source::Cli, json!({ "data": "runs" }));
        let nothing = store.ops.run(&admin, wish.start(&plan().await)).await.unwrap_err();
        assert!(nothing.message().starts_with("nothing would be changed: 0 of "), "{nothing}");
    }

    async fn fr_049_015_many_runs_are_counted_up_to_a_bound(store) {
        let store = store.with_platform().await;
        store.ended_runs(noon(), (100, 10_002), 500).await;
        let person = Person::administrator(&store.url);
        let preflight = ["runbooks", "preflight", KEY, "--input", "data=runs"];
        let said = person.run(&preflight).ends(0).out;
        assert!(said.contains("affected  at least 10000 of 10002 rows\n"), "{said}");
        let plan = &person.run(&[&preflight[..], &["--json"]].concat()).ends(0).json()["plan"];
        assert_eq!((&plan["affected_count"], &plan["affected_at_least"]), (&json!(10_000), &json!(true)));
        let done = prune(Source::Schedule, json!({ "data": "runs" })).begin(&store.ops, &Actor::System).await;
        done.unwrap();
        let why = "at least 10000 of 10002 ended runs are older than 400 days; an unattended prune deletes at most 2000";
        assert_eq!(store.pruned_by(500).await.failed, vec![(ReasonCode::PruneBoundExceeded, why.to_owned())]);
    }

    async fn fr_049_006_the_overview_is_exact_after_every_chunk_whatever_goes(store) {
        let store = store.with_platform().await;
        store.setting("retention.prune_bound", "100%").await;
        let mut rng = StdRng::seed_from_u64(49);
        let (mut next, mut gone) = (1_000, 0);
        for round in 0..3 {
            for _ in 0..30 {
                store.put_run(&mut rng, next).await;
                if rng.random_bool(0.2) {
                    store.more_targets(next, rng.random_range(1..20)).await;
                }
                next += 1;
            }
            store.number_on().await;
            store.setting("runs.retention_days", &rng.random_range(1..15).to_string()).await;
            let started = prune(Source::Schedule, json!({ "data": "runs" })).begin(&store.ops, &Actor::System).await.unwrap();
            next = next.max(started.run_id + 1);
            let claimed = store.claim_type(crate::retention_data::KEY).await;
            let (run_id, fence, mut steps) = (claimed.id, claimed.fence, 0);
            loop {
                let step = RunStep { run_id, fence, ordinal: 0, steps, chunk: rng.random_range(4..16), then: None };
                let stepped = store.ops.run(&Actor::System, step).await.unwrap();
                let what = format!("round {round}, chunk {steps}");
                store.compare_runs(&Actor::System, &[0, 1, 2], &what).await;
                assert_eq!(store.counted_wrong().await, 0, "{what}");
                match stepped {
                    Stepped::GoesOn { steps: next } => steps = next,
                    _ => break,
                }
                if rng.random_bool(0.4) {
                    store.put_run(&mut rng, next).await;
                    next += 1;
                } else {
                    store.ops.run(&Actor::System, FoldRunCounts).await.unwrap();
                }
            }
            store.ops.run(&Actor::System, FinishRun { run_id, fence, stop: None }).await.unwrap();
            gone += store.counts(run_id).await["deleted"];
        }
        assert!(gone > 10, "{gone}");
    }

    async fn fr_049_005_a_chunk_of_runs_counts_every_row_and_goes_on_where_it_was(store) {
        let store = store.with_platform().await;
        store.ended_runs(noon(), (100, 20), 500).await;
        store.more_targets(110, 30).await;
        let total = "select (select count(*) from operation_runs) + (select count(*) from operation_run_targets) + (select count(*) from operation_run_failures)";
        store.setting("retention.prune_bound", "100%").await;
        prune(Source::Schedule, json!({ "data": "runs" })).begin(&store.ops, &Actor::System).await.unwrap();
        let claimed = store.claim_type(crate::retention_data::KEY).await;
        let mut held = store.number(total).await;
        let (mut steps, mut ended) = (0, false);
        while !ended {
            // Each chunk by a process of its own, which dies after it.
            let ops = store.another(tenantpilot::ops::OpsSettings::default());
            let stepped = ops.run(&Actor::System, RunStep {
                run_id: claimed.id, fence: claimed.fence, ordinal: 0, steps, chunk: 10, then: None,
            }).await.unwrap();
            ops.close().await;
            match stepped {
                Stepped::GoesOn { steps: next } => steps = next,
                Stepped::Finished { .. } => ended = true,
                other => panic!("{other:?}"),
            }
            let now = store.number(total).await;
            assert!(held - now <= 10, "{held} {now}");
            held = now;
            assert_eq!(store.ops.run(&Actor::System, CheckRunCounts).await.unwrap().different, 0);
            // While it goes, it is not shown in half.
            let half = store.number("select count(*) from operation_run_targets where run_id = 110").await;
            if (1..31).contains(&half) {
                let gone = store.ops.run(&Actor::System, GetRun { id: 110 }).await.unwrap_err();
                assert_eq!(gone.message(), "run 110 is not kept any more");
                assert!(steps > 0);
            }
        }
        assert_eq!((store.number(RUNS).await, steps > 8), (0, true));
        store.is_whole().await;
    }

    async fn fr_049_014_a_chunk_is_prepared_before_it_locks_anything(store) {
        let store = store.with_platform().await;
        store.ended_runs(noon(), (100, 60), 401).await;
        let postgres = store.engine == Engine::Postgres;
        for text in [
            // What a sequence counts is never undone.
            "create sequence unseen", "create sequence on_disk", "create sequence statements",
            "create function look() returns trigger language plpgsql as $$ begin \
             if tg_level = 'STATEMENT' then perform nextval('statements'); return null; end if; \
             if old.id < 0 then perform nextval('unseen'); elsif current_setting('synchronous_commit') <> 'off' then \
             perform nextval('on_disk'); end if; return old; end $$",
            "create trigger look before delete on operation_runs for each row execute function look()",
            "create trigger look_once before delete on operation_runs for each statement execute function look()",
            "do $$ begin execute format('alter database %I set synchronous_commit = on', current_database()); end $$",
        ] {
            if postgres {
                store.sql(text).await.unwrap();
            }
        }
        assert_eq!(store.prune_runs(20).await.count("deleted"), 60);
        assert_eq!(store.number("select count(*) from operation_runs where id < 0").await, 0);
        store.is_whole().await;
        if postgres {
            let called = async |name: &str| store.number(&format!("select case when is_called then last_value else 0 end from {name}")).await;
            let (unseen, statements) = (called("unseen").await, called("statements").await);
            assert!(unseen > 0 && unseen * 4 < statements, "{unseen} of {statements}");
            assert_eq!(called("on_disk").await, 0);
        }
    }

    async fn fr_049_005_nothing_that_names_a_run_is_looked_for_without_an_index(store) {
        let missing = match store.engine {
            Engine::Postgres => {
                "select coalesce(string_agg(c.conrelid::regclass || '.' || a.attname, ' '), '') from pg_constraint c \
                 join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1] where c.contype = 'f' \
                 and c.confrelid in ('operation_runs'::regclass, 'runbook_plans'::regclass) \
                 and not exists (select 1 from pg_index i where i.indrelid = c.conrelid and i.indkey[0] = c.conkey[1])"
            }
            Engine::Sqlite => {
                "select coalesce(group_concat(m.name || '.' || f.\"from\", ' '), '') from sqlite_master m, pragma_foreign_key_list(m.name) f \
                 where m.type = 'table' and f.\"table\" in ('operation_runs', 'runbook_plans') and not exists (select 1 from pragma_index_list(m.name) i, \
                 pragma_index_info(i.name) k where k.seqno = 0 and k.name = f.\"from\") and not exists (select 1 from pragma_table_info(m.name) p \
                 where p.name = f.\"from\" and p.pk = 1)"
            }
        };
        assert_eq!(store.text(missing).await, "");
    }

    async fn fr_049_008_what_names_a_run_that_is_gone_says_so(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await;
        store.ended_runs(noon(), (100, 3), 401).await;
        for text in [
            "insert into notifications (platform_user_id, kind, run_id, title, created_at) select id, 'run_completed', 101, 'Policy sync', '2026-11-01T00:00:00+00:00' from platform_users",
            "insert into alert_deliveries (event, run_id, payload, status, next_attempt_at, created_at) values ('operations.run.failed', 101, '{}', 'dead', '2026-11-01T00:00:00+00:00', '2026-11-01T00:00:00+00:00')",
            "insert into stored_reports (workspace_id, tenant_id, run_id, report_type, created_at) values (1, 1, 101, 'a', '2026-11-01T00:00:00+00:00')",
            "insert into review_packs (workspace_id, tenant_id, run_id, status, include_operations, include_pii, created_at, expires_at) values \
             (1, 1, 101, 'ready', false, false, '2026-11-01T00:00:00+00:00', '2027-11-01T00:00:00+00:00')",
        ] {
            store.sql(text).await.unwrap();
        }
        assert_eq!(store.prune_runs(500).await.count("deleted"), 3);
        for table in ["notifications", "alert_deliveries", "stored_reports", "review_packs"] {
            assert_eq!(store.number(&format!("select count(*) from {table} where run_id is null and gone_run_id = 101")).await, 1, "{table}");
        }
        let inbox = store.ops.run(&admin.actor, ListNotifications::default()).await.unwrap().notifications;
        assert_eq!((inbox[0].run_id, inbox[0].state, inbox[0].state_label(false)), (Some(101), None, "not kept".to_owned()));
        let alerts = tenantpilot::ops::alerts::ListAlerts { status: None, limit: 10 };
        assert!(store.ops.run(&admin.actor, alerts).await.unwrap().alerts.iter().any(|alert| (alert.run_id, alert.run_kept) == (Some(101), false)));
        let gone = store.ops.run(&admin.actor, GetRun { id: 101 }).await.unwrap_err();
        assert_eq!((gone.message(), gone.next_step()), ("run 101 is not kept any more", Some("ended runs are kept for 400 days")));
        // Who sees a part only gets one answer for what is gone and what is not theirs.
        store.ended_runs(noon(), (99, 1), 10).await;
        let part = store.user_with(&admin, "part", Role::Viewer.capabilities(), &[2]).await;
        let answers = [99, 101].map(|id| format!("run {id}"));
        for (id, name) in [99, 101].into_iter().zip(answers) {
            let none = store.ops.run(&part.actor, GetRun { id }).await.unwrap_err();
            assert_eq!(none.to_string().replace(&name, "it"), store.ops.run(&part.actor, GetRun { id: 9_999 }).await.unwrap_err().to_string().replace("run 9999", "it"));
        }
        let unknown = store.ops.run(&admin.actor, GetRun { id: 9_999 }).await.unwrap_err();
        assert!(!unknown.message().contains("kept"), "{unknown}");
    }

    async fn fr_049_011_a_retention_shorter_than_what_is_in_force_is_refused(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await.actor;
        let set = |days: i64| tenantpilot::ops::settings::SetSetting {
            key: "runs.retention_days".to_owned(), value: Some(days.to_string()), consent: tenantpilot::ops::Consent::typed("runs.retention_days"),
        };
        store.ops.run(&admin, set(1)).await.unwrap();
        // A lease of three days and a bit.
        store.ended_runs(noon(), (100, 1), 5).await;
        let (then, later) = (ago(noon() - Duration::hours(2), 3), ago(noon(), -1));
        store.sql("update operation_runs set status = 'running', lease_owner = 'w', outcome = 'pending', completed_at = null where id = 100").await.unwrap();
        store.sql(&format!("insert into operation_run_leases (run_id, owner, acquired_at, heartbeat_at, expires_at) values (100, 'w', {then}, {then}, {later})")).await.unwrap();
        let refused = store.ops.run(&admin, set(3)).await.unwrap_err();
        assert_eq!(refused.message(), "runs.retention_days must be at least 4 now");
        assert!(refused.next_step().is_some_and(|hint| hint.contains("2026-11-17 10:00 UTC")), "{refused}");
        store.ops.run(&admin, set(4)).await.unwrap();
        // So are the days of a prune; other data does not care.
        let days = async |data: &str, days: i64| prune(Source::Cli, json!({ "data": data, "days": days })).plan(&store.ops, &admin).await;
        let refused = days("runs", 3).await.unwrap_err();
        assert_eq!((refused.kind(), refused.message()), (ErrorKind::Refused, "days must be at least 4 now"));
        assert_eq!(days("runs", 4).await.unwrap().phrase, "PRUNE");
        days("reports", 3).await.unwrap();
        store.sql("delete from operation_run_leases").await.unwrap();
        // A plan that can still be used.
        let plan = store.ops.run(&admin, Preflight::new("operations.reconcile_stale", RunScope::Platform)).await.unwrap();
        store.ops.run(&admin, set(1)).await.unwrap();
        store.sql(&format!("insert into runbook_plans (runbook, scope_kind, scope, hash, affected_count, total_count, tenant_count, phrase, \
                            created_at, expires_at) select runbook, scope_kind, scope, hash, 0, 0, 0, phrase, {}, {later} from runbook_plans where id = {}", ago(noon(), 6), plan.id)).await.unwrap();
        let refused = store.ops.run(&admin, set(5)).await.unwrap_err();
        assert!(refused.message().contains("at least 6"), "{refused}");
    }

    async fn fr_049_010_windows_and_lists_over_pruned_days_say_not_kept(store) {
        let store = store.with_platform().await;
        for (n, days) in [(1, 1), (2, 15), (3, 25), (4, 40)] {
            store.ended_runs(noon(), (n * 100, 2), days).await;
        }
        let month = ReadOverview { window: Some(Window::Month) };
        let whole = store.ops.run(&Actor::System, month).await.unwrap().runs;
        assert_eq!((whole.now(|runs| runs.failed), whole.before().map(|runs| runs.failed), whole.missing_before()), (Some(6), Some(2), None));
        let list = async |filter: &str| {
            let filter = RunFilter::parse(filter).unwrap();
            store.ops.run(&Actor::System, ListRuns { filter, ..ListRuns::default() }).await.unwrap().missing_before
        };
        assert_eq!(list("").await, None);
        store.setting("runs.retention_days", "20").await;
        assert_eq!(store.prune_runs(500).await.count("deleted"), 4);
        let kept = noon() - Duration::days(20);
        let cut = store.ops.run(&Actor::System, month).await.unwrap().runs;
        assert!(cut.kept_from.is_some_and(|at| (at - kept).num_seconds() < 60), "{:?}", cut.kept_from);
        assert_eq!((cut.now(|runs| runs.failed), cut.now(|runs| runs.cancelled), cut.before()), (Some(4), None, None));
        let week = store.ops.run(&Actor::System, ReadOverview { window: Some(Window::Week) }).await.unwrap().runs;
        assert_eq!((week.now(|runs| runs.cancelled), week.before().is_some(), week.missing_before()), (Some(0), true, None));
        assert_eq!((list("").await, list("type:policy.sync").await), (cut.kept_from, cut.kept_from));
        assert_eq!((list("since:7d").await, list("since:30d").await), (None, cut.kept_from));

        // The same on the command line, at its own time.
        let person = Person::administrator(&store.url);
        let now = Clock::system().now();
        store.ended_runs(now, (900, 1), 2).await;
        store.sql(&format!("update data_kept set kept_from = {} where data = 'runs'", ago(now, 20))).await.unwrap();
        let day = (now - Duration::days(20)).format("%Y-%m-%d").to_string();
        let plain = person.run(&["overview", "--window", "30d"]).ends(0).out;
        assert!(plain.contains(&format!("ended runs are not kept before {day}")), "{plain}");
        let row = |name: &str| plain.lines().find(|line| line.starts_with(name)).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(row("started").contains("not kept not kept"), "{plain}");
        assert_eq!(row("cancelled"), "cancelled not kept not kept not kept status:cancelled");
        // Where only the window before is gone, too.
        store.sql(&format!("update data_kept set kept_from = {} where data = 'runs'", ago(now, 10))).await.unwrap();
        let week = person.run(&["overview", "--window", "7d"]).ends(0).out;
        let of_before = (now - Duration::days(10)).format("ended runs are not kept before %Y-%m-%d").to_string();
        assert!(week.contains(&of_before), "{week}");
        store.sql(&format!("update data_kept set kept_from = {} where data = 'runs'", ago(now, 20))).await.unwrap();
        let json = person.run(&["overview", "--window", "30d", "--json"]).ends(0).json();
        let runs = json.pointer("/overview/runs").unwrap_or(&json["runs"]);
        assert!(runs["kept_from"].is_string() && runs["failed"]["count"].is_i64(), "{runs}");
        assert_eq!((&runs["failed"]["previous"]["count"], &runs["cancelled"]["count"]), (&Value::Null, &Value::Null));
        assert!(person.run(&["runs", "list"]).ends(0).err.contains(&format!("ended runs are not kept before {day}")));
        let errors = |more: &[&str]| person.run(&[&["failures", "list", "--window", "30d"], more].concat()).ends(0);
        let json = errors(&["--json"]).json();
        let listed = json.get("failures").filter(|inner| inner.is_object()).unwrap_or(&json);
        assert!(listed["missing_before"].is_string(), "{json}");
        let said = errors(&[]);
        assert!(format!("{said:?}").contains(&format!("; ended runs are not kept before {day}")), "{said:?}");
        assert!(person.run(&["runs", "list", "--json"]).ends(0).json()["missing_before"].is_string());
        let gone = person.run(&["runs", "show", "400"]).ends(4);
        assert!(gone.err.contains("run 400 is not kept any more") && gone.err.contains("ended runs are kept for 20 days"), "{gone:?}");
    }

    async fn fr_049_010_a_tenant_and_an_error_say_what_is_not_kept(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await.actor;
        let tenant = async || store.ops.run(&admin, GetTenant { id: 1 }).await.unwrap().week;
        let headline = async || {
            let opened = OpenDiagnostics { subject: DiagnosticsSubject::Tenant(1) };
            store.ops.run(&admin, opened).await.unwrap().bundle().unwrap().headline().to_owned()
        };
        let week = tenant().await;
        assert_eq!((week.total, week.failed, week.active, week.missing_before), (Some(0), Some(0), 0, None));
        assert_eq!(headline().await, "no run of its own in the last 7 days");
        let day = (noon() - Duration::days(3)).to_rfc3339();
        store.sql(&format!("insert into data_kept (data, kept_from, newest_id) values ('runs', '{day}', 0)")).await.unwrap();
        let week = tenant().await;
        assert_eq!((week.total, week.failed, week.active), (None, None, 0));
        assert!(week.missing_before.is_some());
        assert_eq!(headline().await, "no run of its own of the last 7 days is kept");
        store.ended_runs(noon(), (100, 2), 1).await;
        assert_eq!(headline().await, "2 of 2 kept runs of the last 7 days failed");
        store.sql("update operation_runs set outcome = 'succeeded', reason_code = null where type = 'policy.sync'").await.unwrap();
        let week = tenant().await;
        assert_eq!((week.total, week.failed), (Some(2), None));

        // The same on the command line, at its own time.
        let person = Person::at(&store.url);
        person.login("administrator").ends(0);
        let now = Clock::system().now();
        store.sql(&format!("update data_kept set kept_from = {} where data = 'runs'", ago(now, 3))).await.unwrap();
        let day = (now - Duration::days(3)).format("%Y-%m-%d").to_string();
        let missing = format!("ended runs are not kept before {day}");
        let shown = ["tenants", "show", "1"];
        store.ended_runs(now, (900, 1), 2).await;
        let said = person.run(&shown).ends(0).out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(said.matches(&missing).count(), 2, "{said}");
        let json = person.run(&[&shown[..], &["--json"]].concat()).ends(0).json();
        assert!(json["tenant"]["runs_missing_before"].is_string(), "{json}");
        let week = json.pointer("/tenant/last_7_days").unwrap();
        assert!(week["failed"] == 1 && week["missing_before"].is_string(), "{week}");
        let listed = person.run(&["failures", "list", "--window", "24h"]).ends(0).out;
        assert!(!listed.contains("not kept"), "{listed}");
        store.ops.run(&Actor::System, FillFingerprints).await.unwrap();
        let json = person.run(&["failures", "list", "--window", "30d", "--json"]).ends(0).json();
        let name = json.pointer("/fingerprints/0/fingerprint").and_then(Value::as_str).unwrap().to_owned();
        let error = |window: &str, more: &[&str]| person.run(&[&["failures", "show", &name, "--window", window], more].concat());
        let json = error("30d", &["--json"]).ends(0).json();
        assert!(json["fingerprint"]["missing_before"].is_string(), "{json}");
        let said = error("30d", &[]).ends(0).out;
        assert!(said.contains(&format!("missing    {missing}")), "{said}");
        let unknown = person.run(&["failures", "show", "0123456789ab", "--window", "30d"]).ends(4);
        assert!(unknown.err.contains(&missing), "{unknown:?}");
    }
}
