//! Plans: what a preflight stores, and what a start is held to.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tenantpilot::access::Actor;
use tenantpilot::domain::capability::Role;
use tenantpilot::domain::confirmation::{Given, ReasonRule};
use tenantpilot::domain::rollout::Rollout;
use tenantpilot::domain::run::Source;
use tenantpilot::domain::start_reason::{StartReason, StartReasonCode};
use tenantpilot::ops::Consent;
use tenantpilot::ops::Engine;
use tenantpilot::ops::plans::{Counted, GetPlan, ListPlanTargets, Plan, Preflight};
use tenantpilot::ops::runbooks::StartRunbook;
use tenantpilot::ops::runs::{CancelRun, GetRun, RunScope};
use tenantpilot::{Error, ErrorKind};
use tokio::sync::watch;

use crate::database::texts;
use crate::support::starts::Wish;
use crate::support::starts::{because, given};
use crate::support::stores::{Store, both_engines, noon};

pub const BACKFILL: &str = "findings.lifecycle_backfill";
pub const PRUNE: &str = "product_usage.prune";
pub const RECONCILE: &str = "operations.reconcile_stale";

/// A wish of a person at the console.
pub fn wish(key: &str, scope: RunScope) -> Wish {
    Wish { source: Source::Console, ..Wish::new(key, scope) }
}

pub fn backfill(scope: RunScope) -> Wish {
    wish(BACKFILL, scope)
}

/// The small platform with so many legacy findings in each of its four tenants.
pub async fn with_work(store: Store, each: i64) -> Store {
    let store = store.with_platform().await;
    store.legacy_findings(&[1, 2, 3, 4], each).await;
    store
}

pub async fn runs(store: &Store) -> i64 {
    store.number("select count(*) from operation_runs").await
}

/// Asserts that a start was refused as it should be: no run, no lock, no plan used up, and one
/// more audit row of this status that says why.
pub async fn refused(
    store: &Store,
    before: &Before,
    done: Result<tenantpilot::ops::runs::Started, Error>,
    kind: ErrorKind,
    told: &str,
) -> Error {
    let error = done.expect_err(told);
    assert_eq!(error.kind(), kind, "{told}: {error}");
    assert!(error.to_string().contains(told), "{told} is not in: {error}");
    let after = Before::of(store).await;
    assert_eq!((after.runs, after.locks, after.used), (before.runs, before.locks, before.used));
    assert_eq!(after.rows, before.rows + 1, "{told}: one audit row");
    let status = if kind == ErrorKind::Forbidden { "denied" } else { "refused" };
    let newest = texts(
        store,
        "select action || ' ' || status || ' ' || cast(metadata as text) from audit_logs order by id desc limit 1",
    )
    .await;
    assert!(newest[0].starts_with(&format!("runbooks.start {status} ")), "{newest:?}");
    assert!(newest[0].contains("\"answer\""), "{newest:?}");
    error
}

/// What a refusal leaves alone.
pub struct Before {
    pub runs: i64,
    pub locks: i64,
    pub used: i64,
    pub rows: i64,
}

impl Before {
    pub async fn of(store: &Store) -> Self {
        Self {
            runs: runs(store).await,
            locks: store.number("select count(*) from runbook_scope_locks").await,
            used: store
                .number("select count(*) from runbook_plans where used_by_run_id is not null")
                .await,
            rows: store.number("select count(*) from audit_logs").await,
        }
    }
}

both_engines! {
    async fn fr_019_001_a_preflight_stores_what_it_counted_and_shows_it_again(store) {
        let store = with_work(store, 2).await;
        store.sql("update findings set status = 'resolved', first_seen_at = created_at, last_seen_at = created_at, \
                   times_seen = 1, sla_days = 7 where tenant_id = 2").await.unwrap();
        let admin = store.administrator().await;
        let plan = backfill(RunScope::All).plan(&store.ops, &admin.actor).await.unwrap();
        assert_eq!((plan.affected_count, plan.total_count), (6, 8));
        assert_eq!((plan.tenant_count, plan.affected_tenant_count, plan.fleet_count), (4, 3, 4));
        assert_eq!(plan.scope_words(), "ALL (4 tenants, 100 %)");
        assert_eq!((plan.phrase.as_str(), plan.must_confirm), ("BACKFILL 4", true));
        assert_eq!(plan.hash.len(), 64);
        assert_eq!((plan.created_at, plan.expires_at), (noon(), noon() + chrono::Duration::minutes(15)));
        assert_eq!((plan.expected_seconds, plan.used_by_run_id), (None, None));
        assert_eq!(store.ops.run(&admin.actor, GetPlan { id: plan.id }).await.unwrap(), plan);
        store.sql("update tenants set name = 'Cont\u{43e}so\u{1b}[1m DE' where id = 1").await.unwrap();
        let named = backfill(RunScope::Tenants(vec![1, 2])).plan(&store.ops, &admin.actor).await.unwrap().scope_named();
        assert_eq!(named, "tenants 1, 2 (50 %): 1 Cont\u{43e}so\u{fffd}[1m DE, mixes scripts; 2 Contoso FR");
        store.sql("update tenants set name = 'Contoso DE' where id = 1").await.unwrap();
        let listed = store.ops.run(&admin.actor, ListPlanTargets::all(plan.id)).await.unwrap();
        let counts: Vec<_> =
            listed.targets.iter().map(|t| (t.tenant_id.unwrap(), t.affected_count, t.total_count)).collect();
        assert_eq!(counts, [(1, 2, 2), (3, 2, 2), (4, 2, 2), (2, 0, 2)], "most to change first");
        let search = |search: &str, affected_only| ListPlanTargets {
            search: search.to_owned(),
            affected_only,
            ..ListPlanTargets::all(plan.id)
        };
        for (text, affected_only, expected) in
            [("fabrikam", false, 2), ("FR", false, 1), ("fr", true, 0), ("3", false, 1), ("%", false, 0), ("_", false, 0)]
        {
            let found = store.ops.run(&admin.actor, search(text, affected_only)).await.unwrap();
            assert_eq!((found.matching, found.targets.len()), (expected, usize::try_from(expected).unwrap()), "{text}");
        }
        let page = ListPlanTargets { offset: 1, limit: 2, ..ListPlanTargets::all(plan.id) };
        let page = store.ops.run(&admin.actor, page).await.unwrap();
        assert_eq!((page.targets.len(), page.matching), (2, 4));
        let audited = "select count(*) from audit_logs where action = 'runbooks.preflight' and status = 'succeeded' \
                       and cast(metadata as text) like '%hash%'";
        assert_eq!(store.number(audited).await, 2);
        let one = backfill(RunScope::Tenants(vec![3, 1])).plan(&store.ops, &admin.actor).await.unwrap();
        assert_eq!((one.scope_words(), one.share()), ("tenants 1, 3 (50 %)".to_owned(), Some(50.0)));
        let platform = wish(PRUNE, RunScope::Platform).plan(&store.ops, &admin.actor).await.unwrap();
        assert_eq!((platform.phrase.as_str(), platform.must_confirm, platform.tenant_count), ("PRUNE", true, 0));
    }

    async fn fr_019_001_a_preflight_tells_how_far_it_is_and_given_up_it_leaves_nothing(store) {
        let store = with_work(store, 1).await;
        let (sender, receiver) = watch::channel(Counted::default());
        let ask = Preflight { progress: Some(Arc::new(sender)), ..Preflight::new(BACKFILL, RunScope::All) };
        store.ops.run(&Actor::System, ask).await.unwrap();
        assert_eq!(*receiver.borrow(), Counted { done: 4, total: 4 });
        assert_eq!(store.number("select count(*) from runbook_plans").await, 1);
        // Given up wherever it happens to stand by then.
        for n in 0..40 {
            let ask = store.ops.run(&Actor::System, Preflight::new(BACKFILL, RunScope::All));
            let _ = tokio::time::timeout(Duration::from_micros(n * 250), ask).await;
        }
        // What is left is whole, and nothing stands in anybody's way.
        let torn = "select count(*) from runbook_plans p where (select count(*) from runbook_plan_targets t \
                    where t.plan_id = p.id) <> 4";
        assert_eq!(store.number(torn).await, 0);
        backfill(RunScope::All).begin(&store.ops, &Actor::System).await.unwrap();
    }

    async fn fr_019_002_a_stored_plan_never_changes(store) {
        let store = with_work(store, 1).await;
        let plan = backfill(RunScope::All).plan(&store.ops, &Actor::System).await.unwrap();
        let id = plan.id;
        let changes = [
            format!("update runbook_plans set affected_count = 0 where id = {id}"),
            format!("update runbook_plans set expires_at = '2999-01-01T00:00:00+00:00' where id = {id}"),
            format!("update runbook_plans set hash = '{}' where id = {id}", "0".repeat(64)),
            format!("update runbook_plans set phrase = 'y' where id = {id}"),
            format!("update runbook_plans set platform_user_id = null, must_confirm = false where id = {id}"),
            format!("update runbook_plan_targets set affected_count = 0 where plan_id = {id}"),
            format!("delete from runbook_plan_targets where plan_id = {id}"),
        ];
        for text in &changes {
            store.sql(text).await.unwrap_err();
        }
        let more = format!("insert into runbook_plan_targets values ({id}, 4, 1, 0, 1)");
        store.sql(&more).await.unwrap_err();
        match store.engine {
            Engine::Sqlite => {
                let replace = format!("insert or replace into runbook_plan_targets values ({id}, 0, 1, 0, 1)");
                store.sql(&replace).await.unwrap_err();
                let by_row = "insert or replace into runbook_plan_targets (rowid, plan_id, ordinal, tenant_id, \
                              affected_count, total_count) values (1, 1, 77, 3, 1, 1)";
                store.sql(by_row).await.unwrap_err();
            }
            Engine::Postgres => {
                for table in ["runbook_plan_targets", "runbook_plans cascade", "runbook_scope_locks"] {
                    store.sql(&format!("truncate {table}")).await.unwrap_err();
                }
            }
        }
        let run_id = store.ops.run(&Actor::System, backfill(RunScope::All).start(&plan)).await.unwrap().run_id;
        for text in [
            format!("update runbook_plans set used_by_run_id = null where id = {id}"),
            format!("update runbook_plans set used_by_run_id = used_by_run_id + 1 where id = {id}"),
            format!("delete from runbook_plans where id = {id}"),
        ] {
            store.sql(&text).await.unwrap_err();
        }
        let after = store.ops.run(&Actor::System, GetPlan { id }).await.unwrap();
        assert_eq!(after, Plan { used_by_run_id: Some(run_id), ..plan });
        // Plans that nobody used go a week after they expired.
        backfill(RunScope::Tenant(1)).plan(&store.ops, &Actor::System).await.unwrap();
        store.pass(7 * 86_400 + 15 * 60 + 1);
        backfill(RunScope::Tenant(2)).plan(&store.ops, &Actor::System).await.unwrap();
        assert_eq!(store.number("select count(*) from runbook_plans").await, 3, "the newest keeps its id from coming back");
        let last = backfill(RunScope::Tenant(3)).plan(&store.ops, &Actor::System).await.unwrap();
        assert_eq!(store.number("select count(*) from runbook_plans").await, 3);
        assert_eq!(last.id, 4, "no id comes back");
    }

    async fn fr_019_003_a_start_makes_the_run_that_its_plan_says(store) {
        let store = with_work(store, 3).await;
        let admin = store.administrator().await;
        let wish = Wish {
            rollout: Rollout { concurrency: 2, canary: 1, error_threshold: None },
            ..backfill(RunScope::Workspace(1))
        };
        let plan = wish.plan(&store.ops, &admin.actor).await.unwrap();
        let started = store.ops.run(&admin.actor, wish.start(&plan)).await.unwrap();
        assert!(started.created);
        let detail = store.ops.run(&admin.actor, GetRun { id: started.run_id }).await.unwrap();
        assert_eq!(detail.context["plan"], json!({ "id": plan.id, "hash": plan.hash,
            "affected_count": 6, "total_count": 6, "tenant_count": 2 }));
        assert_eq!(detail.context["reason"]["code"], "DATA_REPAIR");
        let stored = format!("select plan_id from operation_runs where id = {}", started.run_id);
        assert_eq!(store.number(&stored).await, plan.id);
        assert_eq!(store.number("select count(*) from runbook_scope_locks").await, 3, "two tenants, and the place of many");
        let audited = texts(&store, "select cast(metadata as text) from audit_logs where action = 'runbooks.start'").await;
        let facts: Value = serde_json::from_str(&audited[0]).unwrap();
        assert_eq!((&facts["targets"], &facts["affected"], &facts["hash"]), (&json!(2), &json!(6), &json!(plan.hash)));
        // However the run ends, its locks end with it.
        store.ops.run(&admin.actor, CancelRun { run_id: started.run_id, consent: crate::support::starts::sure("CANCEL", started.run_id) }).await.unwrap();
        assert_eq!(store.number("select count(*) from runbook_scope_locks").await, 0);
    }

    async fn fr_019_004_a_plan_is_ones_own_unused_unexpired_and_of_this_scope(store) {
        let store = with_work(store, 1).await;
        let admin = store.administrator().await;
        let ben = store.user_with(&admin, "ben", Role::Operator.capabilities(), &[]).await;
        let wish = backfill(RunScope::Tenants(vec![1, 2]));
        let plan = wish.plan(&store.ops, &ben.actor).await.unwrap();
        let start = wish.start(&plan);
        let run = |actor: &Actor, start: StartRunbook| {
            let (ops, actor) = (store.ops.clone(), actor.clone());
            async move { ops.run(&actor, start).await }
        };
        let before = Before::of(&store).await;
        refused(&store, &before, run(&admin.actor, start.clone()).await, ErrorKind::NotFound, "belongs to the person").await;
        let error = store.ops.run(&admin.actor, GetPlan { id: plan.id }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let before = Before::of(&store).await;
        refused(&store, &before, run(&ben.actor, StartRunbook { plan_id: 4711, ..start.clone() }).await, ErrorKind::NotFound, "plan 4711").await;
        let other_book = StartRunbook { key: RECONCILE.to_owned(), ..start.clone() };
        let before = Before::of(&store).await;
        refused(&store, &before, run(&ben.actor, other_book).await, ErrorKind::Refused, "is for findings.lifecycle_backfill").await;
        for scope in [RunScope::All, RunScope::Tenant(1), RunScope::Tenants(vec![1, 2, 3]), RunScope::Platform] {
            let other = StartRunbook { scope: Some(scope), ..start.clone() };
            let before = Before::of(&store).await;
            refused(&store, &before, run(&ben.actor, other).await, ErrorKind::Refused, "for another scope: tenants 1, 2").await;
        }
        let before = Before::of(&store).await;
        let shown = StartRunbook { plan_hash: Some("0".repeat(64)), ..start.clone() };
        refused(&store, &before, run(&ben.actor, shown).await, ErrorKind::Refused, "not the one that was shown").await;
        store.pass(15 * 60);
        let before = Before::of(&store).await;
        refused(&store, &before, run(&ben.actor, start.clone()).await, ErrorKind::Refused, "expired at 12:15:00 UTC").await;
        let plan = wish.plan(&store.ops, &ben.actor).await.unwrap();
        let first = StartRunbook { request_id: Some("r-1".to_owned()), ..wish.start(&plan) };
        let made = run(&ben.actor, first.clone()).await.unwrap();
        let again = run(&ben.actor, first.clone()).await.unwrap();
        assert_eq!((again.run_id, again.created), (made.run_id, false), "the same request has the same answer");
        store.ops.run(&ben.actor, CancelRun { run_id: made.run_id, consent: crate::support::starts::sure("CANCEL", made.run_id) }).await.unwrap();
        let told = format!("was used before, by run {}", made.run_id);
        let before = Before::of(&store).await;
        let other = StartRunbook { request_id: Some("r-2".to_owned()), ..first };
        refused(&store, &before, run(&ben.actor, other).await, ErrorKind::Refused, &told).await;
    }

    async fn fr_019_005_what_changed_since_the_preflight_is_named_and_refused(store) {
        let store = with_work(store, 2).await;
        let admin = store.administrator().await;
        let wish = backfill(RunScope::All);
        let change = |text: &'static str, told: &'static str| (text, told);
        for (text, told) in [
            change("update findings set status = 'resolved' where tenant_id = 3 and recurrence_key = 'key-3-0'", ""),
            change("delete from findings where tenant_id = 1 and recurrence_key = 'key-1-0'",
                   "1 tenant changed since preflight: tenant 1 has 1 to change instead of 2"),
            change("insert into findings (workspace_id, tenant_id, recurrence_key, title, severity, status, created_at, updated_at) \
                    values (1, 1, 'new', 'A finding', 'low', 'open', '2026-11-01T00:00:00+00:00', '2026-11-01T00:00:00+00:00')",
                   "tenant 1 has 2 to change instead of 1"),
            change("update tenants set archived_at = '2026-11-20T00:00:00+00:00' where id = 4", "tenant 4 left the scope"),
            change("update tenants set archived_at = null where id = 4", "tenant 4 joined the scope"),
            change("insert into tenants (id, workspace_id, name, created_at) values (7, 2, 'Fabrikam Sud', '2026-11-20T00:00:00+00:00')",
                   "tenant 7 joined the scope"),
            change("update workspaces set archived_at = '2026-11-20T00:00:00+00:00' where id = 2",
                   "3 tenants changed since preflight: tenant 3 left the scope, tenant 4 left the scope, tenant 7 left the scope"),
        ] {
            let plan = wish.plan(&store.ops, &admin.actor).await.unwrap();
            store.sql(text).await.unwrap();
            if told.is_empty() {
                continue; // Resolving it left as much to change: see the next plan.
            }
            let before = Before::of(&store).await;
            let done = store.ops.run(&admin.actor, wish.start(&plan)).await;
            let error = refused(&store, &before, done, ErrorKind::Refused, told).await;
            assert!(error.to_string().contains("new preflight"), "{error}");
        }
        // Records that would not be touched may come and go.
        let plan = wish.plan(&store.ops, &admin.actor).await.unwrap();
        store.sql("insert into findings (workspace_id, tenant_id, recurrence_key, title, severity, status, first_seen_at, \
                   last_seen_at, times_seen, sla_days, due_at, created_at, updated_at) select workspace_id, tenant_id, 'fine', \
                   'A finding', 'low', 'new', created_at, created_at, 1, 30, created_at, created_at, created_at \
                   from findings where tenant_id = 1 limit 1").await.unwrap();
        store.ops.run(&admin.actor, wish.start(&plan)).await.unwrap();
    }

    async fn fr_019_006_nothing_affected_is_refused_but_to_the_schedule(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await;
        let cases = [
            (backfill(RunScope::All), "nothing would be changed: 0 of 0 findings"),
            (wish(PRUNE, RunScope::Platform), "nothing would be changed: 0 of 0 events"),
            (wish(RECONCILE, RunScope::Platform), "nothing would be changed"),
        ];
        for (wish, told) in cases {
            let plan = wish.plan(&store.ops, &admin.actor).await.unwrap();
            let before = Before::of(&store).await;
            refused(&store, &before, store.ops.run(&admin.actor, wish.start(&plan)).await, ErrorKind::Refused, told).await;
            // A person who says to be the schedule is not.
            let pretended = StartRunbook { source: Source::Schedule, ..wish.start(&plan) };
            let before = Before::of(&store).await;
            refused(&store, &before, store.ops.run(&admin.actor, pretended).await, ErrorKind::Refused, told).await;
            let hook = Wish { source: Source::DeployHook, ..wish };
            let plan = hook.plan(&store.ops, &Actor::System).await.unwrap();
            let before = Before::of(&store).await;
            refused(&store, &before, store.ops.run(&Actor::System, hook.start(&plan)).await, ErrorKind::Refused, told).await;
        }
        let daily = Wish::new(PRUNE, RunScope::Platform);
        assert!(daily.begin(&store.ops, &Actor::System).await.unwrap().created);
    }

    async fn fr_019_013_a_dry_run_checks_everything_and_starts_nothing(store) {
        let store = with_work(store, 1).await;
        let admin = store.administrator().await;
        let wish = backfill(RunScope::All);
        let plan = wish.plan(&store.ops, &admin.actor).await.unwrap();
        let dry = StartRunbook { consent: Consent::dry_run(), ..wish.start(&plan) };
        let wrong = given(&dry, Given::Typed("no".to_owned()));
        let before = Before::of(&store).await;
        refused(&store, &before, store.ops.run(&admin.actor, wrong).await, ErrorKind::Refused, "BACKFILL 4").await;
        let before = Before::of(&store).await;
        store.ops.run(&admin.actor, dry).await.unwrap();
        let after = Before::of(&store).await;
        assert_eq!((after.runs, after.locks, after.used, after.rows), (0, 0, 0, before.rows));
        assert!(store.ops.run(&admin.actor, wish.start(&plan)).await.unwrap().created, "the plan is still good");
    }

    async fn fr_019_014_what_cannot_be_audited_is_not_started(store) {
        let store = with_work(store, 1).await;
        let admin = store.administrator().await;
        let wish = backfill(RunScope::All);
        let plan = wish.plan(&store.ops, &admin.actor).await.unwrap();
        let break_audit = match store.engine {
            Engine::Postgres => "create function no() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$; \
                                 create trigger no before insert on audit_logs for each row when (new.action like 'runbooks.%') execute function no()",
            Engine::Sqlite => "create trigger no before insert on audit_logs when new.action like 'runbooks.%' begin select raise(abort, 'no'); end",
        };
        store.sql(break_audit).await.unwrap();
        store.ops.run(&admin.actor, wish.start(&plan)).await.unwrap_err();
        wish.plan(&store.ops, &admin.actor).await.unwrap_err();
        assert_eq!(runs(&store).await, 0);
        assert_eq!(store.number("select count(*) from runbook_plans").await, 1);
        let undo = match store.engine {
            Engine::Postgres => "drop trigger no on audit_logs",
            Engine::Sqlite => "drop trigger no",
        };
        store.sql(undo).await.unwrap();
        store.ops.run(&admin.actor, wish.start(&plan)).await.unwrap();
    }

    async fn fr_019_015_expected_durations_come_from_the_newest_runs_that_succeeded(store) {
        let store = with_work(store, 10).await;
        for (seconds, items, outcome) in [(10, 10, "succeeded"), (40, 20, "succeeded"), (9000, 10, "failed"), (60, 20, "succeeded")] {
            let text = format!(
                "insert into operation_runs (source, type, scope_kind, status, outcome, identity_hash, summary_counts, target_count, \
                 created_at, started_at, completed_at, updated_at) values ('cli', '{BACKFILL}', 'all', 'completed', '{outcome}', '{}', \
                 '{{\"items\": {items}}}', 4, '2026-11-01T00:00:00+00:00', '2026-11-01T00:00:00+00:00', '{}', '2026-11-01T00:00:00+00:00')",
                "0".repeat(64),
                (noon() - chrono::Duration::days(19) + chrono::Duration::seconds(seconds - 43_200))
                    .to_rfc3339_opts(chrono::SecondsFormat::AutoSi, false),
            );
            store.sql(&text).await.unwrap();
        }
        // 1, 2 and 3 seconds a finding: the median, for 40 findings.
        let plan = backfill(RunScope::All).plan(&store.ops, &Actor::System).await.unwrap();
        assert_eq!((plan.expected_seconds, plan.expected_runs), (Some(80), 3));
        let plan = backfill(RunScope::Tenant(1)).plan(&store.ops, &Actor::System).await.unwrap();
        assert_eq!(plan.expected_seconds, Some(20));
    }

    async fn fr_019_016_reasons_that_say_nothing_are_refused(store) {
        let store = store.with_platform().await;
        for text in ["", " ", "\u{200b}\u{200d}\u{feff}", "\t\n\r", "\u{1b}[2J", "...", &"x".repeat(10_000), &"\u{e9}".repeat(501)] {
            assert_eq!(StartReason::new(StartReasonCode::Incident, text, ReasonRule::Optional).unwrap_err().kind(), ErrorKind::Usage, "{text:?}");
        }
        store.legacy_findings(&[1, 2], 1).await;
        let wish = backfill(RunScope::Tenants(vec![1, 2]));
        let plan = wish.plan(&store.ops, &Actor::System).await.unwrap();
        for text in [" \u{200b} ", "\u{1b}[2J"] {
            // Past the door that checks it.
            let reason = StartReason { code: StartReasonCode::Incident, text: text.to_owned() };
            let start = because(&wish.start(&plan), Some(reason));
            let before = Before::of(&store).await;
            refused(&store, &before, store.ops.run(&Actor::System, start).await, ErrorKind::Usage, "the reason").await;
        }
        let said = StartReason::as_typed(StartReasonCode::Incident, "red\n alert\u{202e}, password=hunter2hunter2");
        let start = because(&wish.start(&plan), Some(said));
        let id = store.ops.run(&Actor::System, start).await.unwrap().run_id;
        let stored = store.text(&format!("select cast(context as text) from operation_runs where id = {id}")).await;
        assert!(stored.contains("red alert") && !stored.contains("hunter2") && !stored.contains("\\n"), "{stored}");
    }

    async fn fr_019_017_the_end_is_audited_with_what_was_planned_and_what_was_done(store) {
        let store = with_work(store, 2).await;
        store.execute(BACKFILL, RunScope::All, json!({}), 4, 500).await;
        store.legacy_findings(&[1], 3).await;
        let run_id = store.start_runbook(BACKFILL, RunScope::Tenant(1), json!({}), 1).await;
        let claimed = store.claim_type(BACKFILL).await;
        assert_eq!(claimed.id, run_id);
        store.sql("update tenants set archived_at = '2026-11-20T00:00:00+00:00' where id = 1").await.unwrap();
        store.work_off(&claimed, 500).await;
        let rows = texts(
            &store,
            "select status || ' ' || cast(before_state as text) || ' ' || cast(after_state as text) from audit_logs \
             where action = 'runs.complete' order by id",
        )
        .await;
        let told = |row: &str, parts: &[&str]| {
            let row = row.replace(' ', "");
            for part in parts {
                assert!(row.contains(part), "{part} is not in {row}");
            }
        };
        told(&rows[0], &["succeeded", "\"affected_count\":8", "\"updated\":8", "\"outcome\":\"succeeded\""]);
        told(&rows[1], &["succeeded", "\"affected_count\":5", "\"skipped\":1", "\"outcome\":\"blocked\""]);
    }
}
