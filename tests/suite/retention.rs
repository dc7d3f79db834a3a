//! What is kept of the telemetry and for how long: packs, prunes, their bound, and what a summary
//! says of events that are gone.

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde_json::{Value, json};
use tenantpilot::access::Actor;
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::domain::run::{RunOutcome, Source};
use tenantpilot::domain::telemetry::{SourceSurface, UsageEvent};
use tenantpilot::domain::window::Window;
use tenantpilot::ops::Consent;
use tenantpilot::ops::activity::{CompleteReviewPack, RequestReviewPack, StoreReport};
use tenantpilot::ops::retention::PruneUsage;
use tenantpilot::ops::runs::{RetryRun, RunScope, StartRun};
use tenantpilot::ops::telemetry::{CheckRollups, Summarise, Summary};
use tenantpilot::{Clock, ErrorKind};

use crate::cli::Person;
use crate::support::starts::Wish;
use crate::support::stores::{Store, both_engines, noon};

/// The customer of workspace 1, who has tenants 1 and 2.
const LANG: Actor = Actor::Customer { user_id: 1 };
pub const PRUNE: &str = "product_usage.prune";

impl Store {
    /// Writes an event at each of these moments.
    pub async fn usage_at(&self, moments: &[DateTime<Utc>]) {
        let row = |at: &DateTime<Utc>| {
            let at = at.to_rfc3339_opts(SecondsFormat::AutoSi, false);
            format!(
                "(1, 1, 1, 'product.operations.started', 'operations', 'operation_run', '1', '{at}')"
            )
        };
        let rows: Vec<String> = moments.iter().map(row).collect();
        self.sql(&format!(
            "insert into product_usage_events (workspace_id, tenant_id, user_id, event_name, feature_area, \
             subject_type, subject_id, occurred_at) values {}",
            rows.join(", ")
        ))
        .await
        .unwrap();
    }

    /// Writes `each` events on each of the days from `first` to `last` before `now`.
    pub async fn usage_on_days(&self, now: DateTime<Utc>, first: i64, last: i64, each: i64) {
        let mut moments = Vec::new();
        for day in first..=last {
            moments.extend((0..each).map(|n| now - Duration::days(day) - Duration::minutes(n + 1)));
        }
        self.usage_at(&moments).await;
    }

    pub async fn ledger_size(&self) -> i64 {
        self.number("select count(*) from product_usage_events").await
    }

    /// Sets a setting of the platform past the program.
    pub async fn setting(&self, key: &str, value: &str) {
        self.sql(&format!(
            "insert into platform_settings (key, value, updated_at) values ('{key}', '{value}', \
             '2026-11-01T00:00:00+00:00') on conflict (key) do update set value = excluded.value"
        ))
        .await
        .unwrap();
    }

    async fn month(&self) -> Summary {
        let summarise = Summarise { window: Some(Window::Month) };
        self.ops.run(&Actor::System, summarise).await.unwrap()
    }

    async fn pruned(&self, days: i64) -> i64 {
        let phrase = if days < 90 { format!("PRUNE {days}") } else { "PRUNE".to_owned() };
        let prune = PruneUsage { days: Some(days), consent: Consent::typed(phrase) };
        self.ops.run(&Actor::System, prune).await.unwrap().events
    }
}

fn pack(tenant_id: i64, include_operations: bool) -> RequestReviewPack {
    let source_surface = SourceSurface::TenantReview;
    RequestReviewPack { tenant_id, source_surface, include_operations, include_pii: false }
}

/// A prune as somebody starts it.
fn prune(source: Source, inputs: Value) -> Wish {
    Wish { inputs, source, ..Wish::new(PRUNE, RunScope::Platform) }
}

both_engines! {
    async fn fr_041_002_a_pack_is_reused_while_it_is_ready_valid_and_of_the_same_evidence(store) {
        let store = store.with_platform().await;
        store.legacy_findings(&[1, 2], 2).await;
        let made = async |include_operations| {
            let answer = store.ops.run(&LANG, pack(1, include_operations)).await.unwrap();
            let start = StartRun::for_tenant("review_pack.generate", 1, Source::Admin);
            let run_id = store.ops.run(&LANG, start).await.unwrap().run_id;
            store.clock.advance(Duration::seconds(5));
            let complete = CompleteReviewPack { pack_id: answer.pack_id, run_id };
            store.ops.run(&Actor::System, complete).await.unwrap();
            // Its own run is no evidence.
            store.sql(&format!("update operation_runs set status = 'completed', outcome = 'succeeded', lease_owner = null, \
                                summary_counts = '{{}}', completed_at = '2026-11-20T12:00:09+00:00' where id = {run_id}")).await.unwrap();
            answer
        };
        let asks = async |include_operations| store.ops.run(&LANG, pack(1, include_operations)).await.unwrap();
        for operations in [false, true] {
            let mut last = made(operations).await;
            assert!(last.created);
            assert_eq!(asks(operations).await.pack_id, last.pack_id);
            assert!(!asks(operations).await.created);
            let other_tenant = "insert into findings (workspace_id, tenant_id, recurrence_key, title, severity, status, created_at, \
                                updated_at) values (1, 2, 'k', 'A', 'low', 'new', '2026-11-20T12:00:00+00:00', '2026-11-20T12:00:00+00:00')";
            store.sql(other_tenant).await.unwrap();
            assert!(!asks(operations).await.created, "another tenant's evidence");
            for evidence in [
                "insert into findings (workspace_id, tenant_id, recurrence_key, title, severity, status, created_at, updated_at) \
                 values (1, 1, 'k', 'A', 'low', 'new', '2026-11-20T12:00:00+00:00', '2026-11-20T12:00:00+00:00')",
                "update findings set status = 'resolved' where tenant_id = 1 and severity = 'low'",
                "update findings set updated_at = '2026-11-20T12:00:01+00:00' where tenant_id = 1 and severity = 'low'",
                "insert into stored_reports (workspace_id, tenant_id, report_type, created_at) \
                 values (1, 1, 'compliance_summary', '2026-11-20T12:00:00+00:00')",
                "delete from findings where tenant_id = 1 and severity = 'low'",
            ] {
                store.sql(evidence).await.unwrap();
                assert!(asks(operations).await.created, "{operations} {evidence}");
                last = made(operations).await;
                assert!(!asks(operations).await.created, "{evidence}");
            }
            // Ended runs are evidence of a pack that lists operations, and only of that.
            store.sql("insert into operation_runs (workspace_id, tenant_id, source, type, scope_kind, status, outcome, identity_hash, \
                       created_at, completed_at, updated_at) select 1, 1, 'schedule', 'policy.sync', 'tenant', 'completed', 'succeeded', \
                       identity_hash, created_at, created_at, created_at from operation_runs order by id limit 1").await.unwrap();
            assert_eq!(asks(operations).await.created, operations);
            if operations {
                last = made(operations).await;
            }
            // Expired, not ready, or from before there were fingerprints.
            let id = last.pack_id;
            for (change, back) in [
                ("status = 'failed'", "status = 'ready'"),
                ("expires_at = '2026-11-20T11:59:59+00:00'", "expires_at = '2027-01-01T00:00:00+00:00'"),
                ("expires_at = null", "expires_at = '2027-01-01T00:00:00+00:00'"),
            ] {
                store.sql(&format!("update review_packs set {change} where id = {id}")).await.unwrap();
                assert!(asks(operations).await.created, "{change}");
                store.sql(&format!("update review_packs set {back} where id = {id}")).await.unwrap();
                assert_eq!(asks(operations).await.pack_id, id, "{back}");
            }
            store.sql("update review_packs set evidence_fingerprint = null").await.unwrap();
            assert!(asks(operations).await.created);
        }
        let requested = format!("select count(*) from product_usage_events where event_name = '{}'", UsageEvent::ReviewPackRequested);
        let audited = store.number(&requested).await;
        asks(true).await;
        assert_eq!(store.number(&requested).await, audited + 1);
    }

    async fn fr_041_002_only_the_run_of_a_pack_makes_it_ready(store) {
        let store = store.with_platform().await;
        let pack_id = store.ops.run(&LANG, pack(1, false)).await.unwrap().pack_id;
        let start = async |run_type: &str, tenant_id| {
            let start = StartRun::for_tenant(run_type, tenant_id, Source::Admin);
            store.ops.run(&LANG, start).await.unwrap().run_id
        };
        let (other_type, other_tenant) = (start("policy.sync", 1).await, start("review_pack.generate", 2).await);
        let run_id = start("review_pack.generate", 1).await;
        let diaz = Actor::Customer { user_id: 2 };
        for (actor, pack_id, run_id, kind) in [
            (Actor::System, pack_id, other_type, ErrorKind::Refused),
            (Actor::System, pack_id, other_tenant, ErrorKind::Refused),
            (Actor::System, pack_id, 7_777, ErrorKind::Refused),
            (Actor::System, 7_777, run_id, ErrorKind::NotFound),
            (diaz, pack_id, run_id, ErrorKind::NotFound),
        ] {
            let error = store.ops.run(&actor, CompleteReviewPack { pack_id, run_id }).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{actor:?} {run_id}");
        }
        let expires = store.ops.run(&LANG, CompleteReviewPack { pack_id, run_id }).await.unwrap();
        assert_eq!(expires, noon() + Duration::days(90));
        let again = store.ops.run(&LANG, CompleteReviewPack { pack_id, run_id }).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::NotFound, "it is ready already");
    }

    async fn fr_041_003_a_report_of_a_tenant_that_is_gone_is_not_stored(store) {
        let store = store.with_platform().await;
        let start = StartRun::for_tenant("stored_report.create", 1, Source::Admin);
        let run_id = store.ops.run(&LANG, start).await.unwrap().run_id;
        let report = || StoreReport { run_id, report_type: "compliance_summary".to_owned() };
        for (change, back, kind) in [
            ("archived_at = '2026-11-19T00:00:00+00:00'", "archived_at = null", ErrorKind::Refused),
            ("is_platform = true", "is_platform = false", ErrorKind::NotFound),
        ] {
            store.sql("update tenants set is_platform = false where id = 9").await.unwrap();
            store.sql(&format!("update tenants set {change} where id = 1")).await.unwrap();
            let error = store.ops.run(&Actor::System, report()).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{change}");
            store.sql(&format!("update tenants set {back} where id = 1")).await.unwrap();
        }
        let reports = "select count(*) from stored_reports";
        let events = "select count(*) from product_usage_events where subject_type = 'stored_report'";
        assert_eq!((store.number(reports).await, store.number(events).await), (0, 0));
        store.ops.run(&Actor::System, report()).await.unwrap();
        assert_eq!((store.number(reports).await, store.number(events).await), (1, 1));
    }

    async fn fr_041_004_a_prune_without_days_keeps_what_the_platform_says(store) {
        let store = store.with_platform().await;
        store.setting("product_usage.retention_days", "365").await;
        store.usage_on_days(noon(), 100, 120, 1).await;
        store.usage_on_days(noon(), 366, 367, 1).await;
        store.usage_on_days(noon(), 1, 1, 1).await;
        let admin = store.administrator().await.actor;
        let asked = prune(Source::Cli, json!({})).plan(&store.ops, &admin).await.unwrap();
        assert_eq!((asked.affected_count, asked.total_count), (2, 24));
        assert_eq!(asked.inputs, json!({ "days": 365 }));
        // What the plan showed is what its run does, whatever the setting says by then.
        let wish = prune(Source::Cli, json!({}));
        let started = store.ops.run(&admin, wish.start(&asked)).await.unwrap();
        store.setting("product_usage.retention_days", "30").await;
        let claimed = store.claim_type(PRUNE).await;
        assert_eq!(claimed.id, started.run_id);
        let done = store.work_off(&claimed, 500).await;
        assert_eq!((done.outcome, done.count("deleted"), store.ledger_size().await), (RunOutcome::Succeeded, 2, 22));
        // A run from before there were settings names no days; its step asks the setting.
        store.setting("product_usage.retention_days", "110").await;
        let run_id = prune(Source::Cli, json!({})).begin(&store.ops, &admin).await.unwrap().run_id;
        store.sql(&format!("update operation_runs set context = '{{\"inputs\": {{}}}}' where id = {run_id}")).await.unwrap();
        let claimed = store.claim_type(PRUNE).await;
        let done = store.work_off(&claimed, 500).await;
        assert_eq!((done.count("deleted"), store.ledger_size().await), (11, 11));
        // A setting that cannot be read deletes nothing.
        store.setting("product_usage.retention_days", "soon").await;
        let refused = prune(Source::Cli, json!({})).plan(&store.ops, &admin).await.unwrap_err();
        assert!(refused.message().contains("product_usage.retention_days"), "{refused}");
        let given = prune(Source::Cli, json!({ "days": 400 })).plan(&store.ops, &admin).await.unwrap();
        assert_eq!(given.affected_count, 0);
    }

    async fn fr_041_004_a_run_that_waited_deletes_nothing_that_the_platform_keeps_by_now(store) {
        let store = store.with_platform().await;
        store.setting("product_usage.retention_days", "20").await;
        store.usage_on_days(noon(), 100, 120, 1).await;
        let admin = store.administrator().await.actor;
        let wish = prune(Source::Cli, json!({}));
        let asked = wish.plan(&store.ops, &admin).await.unwrap();
        store.ops.run(&admin, wish.start(&asked)).await.unwrap();
        store.setting("product_usage.retention_days", "365").await;
        let claimed = store.claim_type(PRUNE).await;
        let done = store.work_off(&claimed, 500).await;
        assert_eq!((done.outcome, store.ledger_size().await), (RunOutcome::Blocked, 21));
        // Fewer days that were confirmed as such are deleted.
        let run_id = prune(Source::Cli, json!({ "days": 110 })).begin(&store.ops, &admin).await.unwrap().run_id;
        let claimed = store.claim_type(PRUNE).await;
        assert_eq!(claimed.id, run_id);
        let done = store.work_off(&claimed, 500).await;
        assert_eq!((done.outcome, store.ledger_size().await), (RunOutcome::Succeeded, 10));
    }

    async fn fr_041_004_a_declaration_stays_the_same_when_the_setting_changes(store) {
        let store = store.with_platform().await;
        let now = Clock::system().now();
        store.usage_on_days(now, 200, 200, 1).await;
        store.usage_on_days(now, 1, 10, 10).await;
        let admin = Person::administrator(&store.url);
        let declared = "[[deploy.runbooks]]\nid = \"p\"\nrunbook = \"product_usage.prune\"\n";
        std::fs::create_dir_all(admin.dir("config")).unwrap();
        std::fs::write(admin.dir("config").join("config.toml"), declared).unwrap();
        let deploy = || {
            let mut command = admin.command(&["runbooks", "deploy", "--json"]);
            command.env("TENANTPILOT_CONFIG", admin.dir("config").join("config.toml"));
            crate::cli::done(&mut command, None).out
        };
        let first = deploy();
        assert!(first.contains("\"started\""), "{first}");
        store.setting("product_usage.retention_days", "365").await;
        let again = deploy();
        assert!(again.contains("running") && !again.contains("refused"), "{again}");
        assert_eq!(store.number("select count(*) from operation_runs where source = 'deploy_hook'").await, 1);
    }

    async fn fr_041_005_what_was_pruned_is_not_kept_and_never_zero(store) {
        let store = store.with_platform().await;
        store.usage_on_days(noon(), 0, 59, 2).await;
        let before = store.month().await;
        assert_eq!((before.total_events, before.previous.total_events, before.kept_from), (Some(60), Some(60), None));
        assert_eq!(before.sentence(), "60 events in Last 30 days");
        // Nothing was deleted: nothing is missing.
        assert_eq!(store.pruned(70).await, 0);
        assert_eq!(store.month().await, before);
        // The window before is cut.
        assert_eq!(store.pruned(40).await, 40);
        let cut = store.month().await;
        assert_eq!((cut.total_events, cut.previous.total_events, cut.previous.active_workspaces), (Some(60), None, None));
        assert_eq!(cut.kept_from, Some(noon() - Duration::days(40)));
        assert!(cut.families.iter().all(|family| family.previous.is_none()));
        assert_eq!(cut.families[2].trend, before.families[2].trend);
        assert_eq!(cut.families[0].count, Some(0), "the window itself is whole");
        let week = store.ops.run(&Actor::System, Summarise { window: Some(Window::Week) }).await.unwrap();
        assert_eq!((week.total_events, week.previous.total_events), (Some(14), Some(14)));
        // The window itself is cut.
        assert_eq!(store.pruned(10).await, 60);
        let cut = store.month().await;
        assert_eq!((cut.total_events, cut.families[0].count), (Some(20), None));
        assert_eq!(cut.sentence(), "20 events in Last 30 days; not kept before 2026-11-10 12:00 UTC");
        let trend = &cut.families[2].trend;
        assert!(trend[..20].iter().all(Option::is_none) && trend[21..].iter().all(Option::is_some), "{trend:?}");
        assert_eq!(trend.iter().flatten().sum::<i64>(), 20);
        // A later cut-off counts, an earlier one changes nothing.
        assert_eq!(store.pruned(20).await, 0);
        assert_eq!(store.month().await.kept_from, cut.kept_from);
        assert_eq!(store.ops.run(&Actor::System, CheckRollups).await.unwrap().different, 0);
        // Nothing is left of the window.
        assert_eq!(store.pruned(1).await, 18);
        store.sql("delete from product_usage_events").await.unwrap();
        let none = store.month().await;
        assert_eq!((none.total_events, none.active_workspaces), (None, None));
        assert_eq!(none.sentence(), "Telemetry of Last 30 days is not kept before 2026-11-19 12:00 UTC.");
        // What is written from now on is kept, and a day later the last day is whole.
        store.clock.advance(Duration::days(1));
        let day = store.ops.run(&Actor::System, Summarise { window: Some(Window::Day) }).await.unwrap();
        assert_eq!(day.total_events, Some(0));
    }

    async fn fr_041_005_a_cut_off_is_recorded_with_its_chunk_and_never_ahead_of_the_events(store) {
        let store = store.with_platform().await;
        store.usage_on_days(noon(), 50, 59, 2).await;
        let admin = store.administrator().await.actor;
        let run_id = prune(Source::Cli, json!({ "days": 30 })).begin(&store.ops, &admin).await.unwrap().run_id;
        let kept = "select count(*) from product_usage_kept";
        assert_eq!(store.number(kept).await, 0);
        let claimed = store.claim_type(PRUNE).await;
        assert_eq!(claimed.id, run_id);
        let done = store.work_off(&claimed, 3).await;
        assert_eq!((done.count("deleted"), done.steps, store.number(kept).await), (20, 7, 1));
        // There was no event between the newest one and the cut-off: none is missing there.
        let newest = noon() - Duration::days(50) - Duration::minutes(1);
        assert_eq!(store.month().await.kept_from, Some(newest + Duration::microseconds(1)));
        assert_eq!(store.month().await.total_events, Some(0));
    }

    async fn fr_041_006_not_kept_stands_wherever_a_number_would(store) {
        let store = store.with_platform().await;
        let now = Clock::system().now();
        store.usage_on_days(now, 0, 0, 3).await;
        store.usage_on_days(now, 35, 44, 5).await;
        let person = Person::administrator(&store.url);
        let summary = |more: &[&str]| person.run(&[&["product-usage", "summary", "--window", "30d"], more].concat()).ends(0);
        assert!(summary(&[]).out.contains("\ntotal                        3      50     -47\n"), "{:?}", summary(&[]));
        person.run(&["product-usage", "prune", "--days", "40", "--confirm", "PRUNE 40"]).ends(0);
        let plain = summary(&[]).out;
        assert!(plain.starts_with("3 events in Last 30 days\n1 active workspace (not kept in the window before)\n"), "{plain}");
        let total = plain.lines().find(|line| line.starts_with("total")).unwrap();
        assert_eq!(total.split_whitespace().collect::<Vec<_>>().join(" "), "total 3 not kept not kept");
        assert!(!plain.contains("new"), "{plain}");
        let json = summary(&["--json"]).json();
        let found = &json["summary"];
        assert_eq!((&found["previous"]["total_events"], &found["families"][2]["previous"]), (&Value::Null, &Value::Null));
        assert!(found["kept_from"].is_string() && found["total_events"] == 3, "{found}");
        let overview = person.run(&["overview", "--window", "30d", "--json"]).ends(0).json();
        let usage = overview.pointer("/overview/usage").unwrap_or(&overview["usage"]);
        assert_eq!(usage["previous"]["total_events"], Value::Null, "{overview}");
        // Cut within the window: also the plain overview says so.
        store.usage_on_days(now, 20, 20, 1).await;
        person.run(&["product-usage", "prune", "--days", "10", "--confirm", "PRUNE 10"]).ends(0);
        let plain = summary(&[]).out;
        assert!(plain.contains("Onboarding checkpoints  not kept  not kept  not kept"), "{plain}");
        let overview = person.run(&["overview", "--window", "30d"]).ends(0).out;
        assert!(overview.contains("usage: 3 events in Last 30 days; not kept before "), "{overview}");
    }

    async fn fr_041_007_an_unattended_prune_beyond_its_bound_deletes_nothing(store) {
        let store = store.with_platform().await;
        store.usage_on_days(noon(), 1, 120, 2).await;
        // Ten of forty days more than the retention of 80: more than a fifth, more than two days.
        store.setting("product_usage.retention_days", "80").await;
        for source in [Source::Schedule, Source::DeployHook] {
            let run_id = prune(source, json!({})).begin(&store.ops, &Actor::System).await.unwrap().run_id;
            let claimed = store.claim_type(PRUNE).await;
            let done = store.work_off(&claimed, 5).await;
            assert_eq!((done.run_id, done.outcome, done.steps, store.ledger_size().await), (run_id, RunOutcome::Blocked, 0, 240));
            assert_eq!(done.failed, [(ReasonCode::PruneBoundExceeded,
                "82 of 240 events are older than 80 days; an unattended prune deletes at most 48".to_owned())]);
            let stored = store.text(&format!(
                "select r.outcome || ' ' || r.reason_code || ' ' || f.reason_code || ' ' || r.stop_reason from operation_runs r \
                 join operation_run_failures f on f.run_id = r.id where r.id = {run_id}"
            )).await;
            assert_eq!(stored, "blocked prune_bound_exceeded prune_bound_exceeded blocked");
            assert_eq!((done.count("skipped"), done.count("deleted")), (1, 0));
        }
        assert_eq!(store.number("select count(*) from product_usage_kept").await, 0);
        // A wider bound lets it pass, once and for the whole run.
        store.setting("retention.prune_bound", "35%").await;
        store.usage_on_days(noon(), 0, 0, 4).await;
        prune(Source::Schedule, json!({ "days": 100 })).begin(&store.ops, &Actor::System).await.unwrap();
        let claimed = store.claim_type(PRUNE).await;
        let done = store.work_off(&claimed, 5).await;
        assert_eq!((done.outcome, done.count("deleted"), done.steps), (RunOutcome::Succeeded, 42, 9));
        // What deletes is not retried, but started by a person with a preflight, and is not bounded then.
        store.setting("retention.prune_bound", "1%").await;
        let admin = store.administrator().await.actor;
        let blocked = store.number("select min(id) from operation_runs where outcome = 'blocked'").await;
        let retry = RetryRun { run_id: blocked, source: Source::Cli, consent: Consent::typed("PRUNE"), request_id: None, wait_for_worker: true };
        let refused = store.ops.run(&admin, retry).await.unwrap_err();
        assert!(refused.message().contains("start product_usage.prune again instead"), "{refused}");
        prune(Source::Cli, json!({ "days": 80 })).begin(&store.ops, &admin).await.unwrap();
        let claimed = store.claim_type(PRUNE).await;
        let done = store.work_off(&claimed, 500).await;
        assert_eq!((done.outcome, done.count("deleted")), (RunOutcome::Succeeded, 40));
    }

    async fn fr_041_010_what_was_pruned_before_the_upgrade_is_not_kept_either(store) {
        let store = store.with_platform().await;
        let text = match store.engine {
            tenantpilot::ops::Engine::Postgres => include_str!("../../migrations/postgres/0015_review_packs.sql"),
            tenantpilot::ops::Engine::Sqlite => include_str!("../../migrations/sqlite/0015_review_packs.sql"),
        };
        let start = text.find("insert into product_usage_kept").unwrap();
        let backfill = &text[start..start + text[start..].find(';').unwrap()];
        let now = Clock::system().now();
        let at = |days: i64| (now - Duration::days(days)).to_rfc3339_opts(SecondsFormat::Secs, false);
        store.sql(backfill).await.unwrap();
        assert_eq!(store.number("select count(*) from product_usage_kept").await, 0);
        let run = |days_ago, inputs: &str, deleted: i64, hash: i64| format!(
            "insert into operation_runs (source, type, scope_kind, status, outcome, identity_hash, summary_counts, context, \
             created_at, started_at, completed_at, updated_at) values ('schedule', '{PRUNE}', 'platform', 'completed', 'succeeded', \
             '{hash:064x}', '{{\"total\": 1, \"succeeded\": 1, \"processed\": 1, \"deleted\": {deleted}}}', '{{\"inputs\": {inputs}}}', \
             '{0}', '{0}', '{0}', '{0}')", at(days_ago)
        );
        let row = |cutoff_days: i64, deleted: i64| format!(
            "insert into audit_logs (plane, actor_kind, action, status, metadata, occurred_at) values ('system', 'platform_user', \
             'product_usage.pruned', 'succeeded', '{{\"cutoff\": \"{}\", \"deleted\": {deleted}}}', '{}')", at(cutoff_days), at(3)
        );
        for (sql, kept_days) in [
            (run(5, "{}", 9, 1), 95),
            (run(1, "{\"days\": 40}", 0, 2), 95),
            (run(2, "{\"days\": 50}", 9, 3), 52),
            (row(45, 1), 45),
            (row(20, 0), 45),
        ] {
            store.sql(&sql).await.unwrap();
            store.sql("delete from product_usage_kept").await.unwrap();
            store.sql(backfill).await.unwrap();
            let kept = store.month().await.kept_from.unwrap();
            let off = kept - (now - Duration::days(kept_days));
            assert!(off.num_seconds().abs() <= 2, "{sql}: {kept}");
        }
    }
}
