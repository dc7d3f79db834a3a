//! Every denied decision is on record once, and a decision that leaves no row is none.

use std::time::Duration;

use tenantpilot::access::{Actor, ClientKind, Requirement};
use tenantpilot::domain::capability::{Capability, CapabilitySet, Role};
use tenantpilot::ops::Consent;
use tenantpilot::ops::alerts::RetryAlert;
use tenantpilot::ops::auth::{Login, Session};
use tenantpilot::ops::flags::SetFlag;
use tenantpilot::ops::overview::{PlanGroupRetry, RetryGroup};
use tenantpilot::ops::plans::{GetPlan, ListPlanTargets, Preflight};
use tenantpilot::ops::runbooks::ADMIN_MAINTENANCE_FLAG;
use tenantpilot::ops::runs::{
    CancelRun, CloseRun, GetRun, PauseRun, PlanRetry, ResumeRun, RetryRun, RunScope,
};
use tenantpilot::ops::users::{GetUser, SetActive, SetCapabilities};
use tenantpilot::ops::{About, Access, Engine, OpsSettings, try_those};
use tenantpilot::{ErrorKind, Result};

use crate::database::texts;
use crate::support::starts::Wish;
use crate::support::stores::{ORIGIN, PASSWORD, Store, both_engines, view_of};

const DENIED: &str = "select action from audit_logs where status = 'denied' order by id";
const BACKFILL: &str = "findings.lifecycle_backfill";
/// The number of nothing.
const MISSING: i64 = 987_654;

/// Leaves every user all capabilities but one, without ending sessions.
async fn without(store: &Store, lacking: Capability) -> CapabilitySet {
    let left: CapabilitySet =
        Capability::ALL.iter().copied().filter(|held| *held != lacking).collect();
    let names: Vec<String> = left.names().iter().map(|name| format!("\"{name}\"")).collect();
    store
        .sql(&format!("update platform_users set capabilities = '[{}]'", names.join(",")))
        .await
        .unwrap();
    left
}

/// What was denied since `before`, as the audit log names it.
async fn denied_since(store: &Store, before: usize) -> Vec<String> {
    texts(store, DENIED).await.split_off(before)
}

both_engines! {
    async fn fr_040_009_each_operation_leaves_one_row_for_each_capability_that_is_missing(store) {
        let session = store.administrator().await;
        let mut decisions = 0;
        for lacking in Capability::ALL {
            let left = without(&store, *lacking).await;
            // One at a time: what one of them does must not be taken for the work of another.
            let wanted = |requirement: &Requirement| {
                matches!(requirement, Requirement::All(_) | Requirement::Any(_)) && requirement.missing(&left).is_some()
            };
            let names: Vec<&str> = tenantpilot::ops::table().into_iter().filter(|line| wanted(&line.requirement)).map(|line| line.name).collect();
            for name in names {
                let before = texts(&store, DENIED).await.len();
                let tried = try_those(&store.ops, &session.actor, |line| line.name == name).await;
                let (line, error) = tried.into_iter().next().unwrap();
                assert_eq!(error.expect(name).kind(), ErrorKind::Forbidden, "{name} without {lacking}");
                let rows = denied_since(&store, before).await;
                assert_eq!(rows, [name], "{name} without {lacking}");
                decisions += i32::from(line.access != Access::Read);
            }
        }
        assert!(decisions > 60, "{decisions} decisions were tried");
    }

    async fn fr_040_016_a_denied_row_says_what_was_meant_and_whether_it_was_a_dry_run(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let run = store.ended("policy.sync", 1, 4, 4, 5).await;
        without(&store, Capability::AccessSystemPanel).await;
        let rows = "select action || ' ' || coalesce(target_type, '') || ' ' || coalesce(target_id, '') || ' ' || cast(metadata as text) \
                    from audit_logs where status = 'denied' order by id";
        let source = tenantpilot::domain::run::Source::Cli;
        for consent in [Consent::yes(), Consent::dry_run(), Consent::look_ahead()] {
            let (retry, disable, flag) = (
                RetryRun { run_id: run, consent: consent.clone(), source, request_id: None, wait_for_worker: false },
                SetActive { username: "ben\u{202e}".to_owned(), active: false, consent: consent.clone() },
                SetFlag { name: ADMIN_MAINTENANCE_FLAG.to_owned(), on: true, consent },
            );
            assert!(store.ops.run(&root.actor, retry).await.is_err());
            assert!(store.ops.run(&root.actor, disable).await.is_err());
            assert!(store.ops.run(&root.actor, flag).await.is_err());
        }
        let found = texts(&store, rows).await;
        let dry: Vec<bool> = found.iter().map(|row| row.contains("dry_run")).collect();
        assert_eq!(dry, [false, false, false, true, true, true, false, false, false], "{found:?}");
        for three in found.chunks(3) {
            assert!(three[0].starts_with(&format!("runs.retry operation_run {run} ")), "{three:?}");
            assert!(three[1].starts_with("users.set_active platform_user ben"), "{three:?}");
            assert!(!three[1].contains('\u{202e}'), "{three:?}");
            assert!(three[2].starts_with(&format!("platform.set_flag platform_flag {ADMIN_MAINTENANCE_FLAG} ")), "{three:?}");
        }
    }

    async fn fr_040_009_a_capability_that_the_arguments_ask_for_is_missed_on_record_too(store) {
        let store = store.with_platform().await;
        store.legacy_findings(&[1, 2], 2).await;
        let root = store.administrator().await;
        let wish = Wish { source: tenantpilot::domain::run::Source::Cli, ..Wish::new(BACKFILL, RunScope::Tenants(vec![1, 2])) };
        let plan = wish.plan(&store.ops, &root.actor).await.unwrap();
        let failed = store.ended(BACKFILL, 1, 4, 4, 5).await;
        without(&store, Capability::RunbookFindingsLifecycleBackfill).await;
        let retry = || RetryRun { run_id: failed, consent: Consent::yes(), source: tenantpilot::domain::run::Source::Cli, request_id: None, wait_for_worker: false };
        let before = texts(&store, DENIED).await.len();
        let answers: Vec<Result<()>> = vec![
            wish.plan(&store.ops, &root.actor).await.map(drop),
            store.ops.run(&root.actor, wish.start(&plan)).await.map(drop),
            store.ops.run(&root.actor, retry()).await.map(drop),
        ];
        for answer in answers {
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::Forbidden);
        }
        assert_eq!(denied_since(&store, before).await, ["runbooks.preflight", "runbooks.start", "runs.retry"]);
    }

    async fn fr_040_009_a_preview_is_denied_as_the_decision_that_it_prepares(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let run = store.ended("policy.sync", 1, 4, 4, 5).await;
        let (ops, actor) = (&store.ops, &root.actor);
        let group = || PlanGroupRetry { fingerprint: "000000000000".to_owned(), window: None, wait_for_worker: false };
        let user = || GetUser { username: "administrator".to_owned() };
        without(&store, Capability::OpsManage).await;
        assert_eq!(ops.prepare::<CloseRun, _>(actor, About::run(run), GetRun { id: run }).await.unwrap_err().kind(), ErrorKind::Forbidden);
        assert_eq!(ops.prepare::<RetryRun, _>(actor, About::run(run), PlanRetry { run_id: run }).await.unwrap_err().kind(), ErrorKind::Forbidden);
        assert_eq!(ops.prepare::<RetryGroup, _>(actor, About::default(), group()).await.unwrap_err().kind(), ErrorKind::Forbidden);
        without(&store, Capability::UsersManage).await;
        assert_eq!(ops.prepare::<SetActive, _>(actor, About::default(), user()).await.unwrap_err().kind(), ErrorKind::Forbidden);
        assert_eq!(texts(&store, DENIED).await, ["runs.close", "runs.retry", "overview.retry_group", "users.set_active"]);
        without(&store, Capability::AuditView).await;
        ops.prepare::<SetActive, _>(actor, About::default(), user()).await.unwrap();
        ops.prepare::<CloseRun, _>(actor, About::run(run), GetRun { id: run }).await.unwrap();
        assert_eq!(texts(&store, DENIED).await.len(), 4, "what may be seen is on no record");
    }

    async fn fr_040_011_what_a_view_hides_is_denied_on_record_and_answered_as_if_it_were_not_there(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let hidden = store.ended("policy.sync", 3, 4, 4, 5).await;
        let one = store.user_with(&root, "one", Role::Administrator.capabilities(), &[1]).await;
        let alert = store.number("select min(id) from alert_deliveries").await;
        let retry = |run_id| RetryRun { run_id, consent: Consent::yes(), source: tenantpilot::domain::run::Source::Cli, request_id: None, wait_for_worker: false };
        macro_rules! hides {
            ($($operation:expr => $action:literal,)+) => {$(
                let answer = async |id: i64| {
                    let operation = $operation;
                    let before = texts(&store, DENIED).await.len();
                    let error = store.ops.run(&one.actor, operation(id)).await.err().unwrap();
                    assert_eq!(error.kind(), ErrorKind::NotFound, "{}: {error}", $action);
                    assert_eq!(denied_since(&store, before).await, [$action]);
                    error.to_string().replace(&id.to_string(), "N")
                };
                let id = if $action == "alerts.retry" { alert } else { hidden };
                let known = answer(id).await;
                assert_eq!(known, answer(MISSING).await, "{}", $action);
            )+};
        }
        hides! {
            |run_id| CancelRun { run_id, consent: crate::support::starts::sure("CANCEL", run_id) } => "runs.cancel",
            |run_id| CloseRun { run_id, consent: crate::support::starts::sure("CLOSE", run_id) } => "runs.close",
            |run_id| PauseRun { run_id, consent: crate::support::starts::sure("PAUSE", run_id) } => "runs.pause",
            |run_id| ResumeRun { run_id, consent: crate::support::starts::sure("RESUME", run_id) } => "runs.resume",
            retry => "runs.retry",
            |id| RetryAlert { id, consent: Consent::yes() } => "alerts.retry",
        }
        let before = texts(&store, DENIED).await.len();
        assert_eq!(store.ops.prepare::<CloseRun, _>(&one.actor, About::run(hidden), GetRun { id: hidden }).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(store.ops.prepare::<RetryRun, _>(&one.actor, About::run(hidden), PlanRetry { run_id: hidden }).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(denied_since(&store, before).await, ["runs.close", "runs.retry"]);
        // To those who see all, what is not there was denied by nobody.
        let before = texts(&store, DENIED).await.len();
        assert!(store.ops.run(&root.actor, CancelRun { run_id: MISSING, consent: crate::support::starts::sure("CANCEL", MISSING) }).await.is_err());
        assert!(denied_since(&store, before).await.is_empty());
    }

    async fn fr_040_012_a_decision_whose_row_the_database_swallows_does_not_happen(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let viewer = store.user(&root, Role::Viewer).await;
        let run = store.start("policy.sync", 1).await;
        let kept = "select count(*) from audit_logs";
        let swallows: &[(&str, &str)] = match store.engine {
            Engine::Postgres => &[
                ("create rule swallow as on insert to audit_logs do instead nothing", "drop rule swallow on audit_logs"),
                (
                    "create function swallow() returns trigger language plpgsql as 'begin return null; end'; \
                     create trigger swallow before insert on audit_logs for each row execute function swallow()",
                    "drop trigger swallow on audit_logs; drop function swallow()",
                ),
            ],
            Engine::Sqlite => &[(
                "create trigger swallow before insert on audit_logs begin select raise(ignore); end",
                "drop trigger swallow",
            )],
        };
        for (swallow, back) in swallows {
            store.sql(swallow).await.unwrap();
            // New connections: an old one may keep a statement that the rule has emptied.
            let ops = store.another(OpsSettings { patience: Duration::from_secs(60), ..OpsSettings::default() });
            let rows = store.number(kept).await;
            let sessions = store.number("select count(*) from platform_sessions").await;
            let flag = SetFlag { name: ADMIN_MAINTENANCE_FLAG.to_owned(), on: true, consent: Consent::typed(format!("{ADMIN_MAINTENANCE_FLAG} on")) };
            let narrow = SetCapabilities { view: Some(view_of(&[1])), ..crate::support::starts::capabilities("viewer", Role::Viewer.capabilities()) };
            let nobody = Actor::Anonymous { origin: ORIGIN.to_owned() };
            let answers: Vec<(&str, Result<()>)> = vec![
                ("flag", ops.run(&root.actor, flag).await.map(drop)),
                ("narrow", ops.run(&root.actor, narrow).await.map(drop)),
                ("disable", ops.run(&root.actor, SetActive { username: "viewer".to_owned(), active: false, consent: Consent::typed("viewer".to_owned()) }).await.map(drop)),
                ("cancel", ops.run(&root.actor, CancelRun { run_id: run, consent: crate::support::starts::sure("CANCEL", run) }).await.map(drop)),
                ("login", ops.run(&nobody, Login::new("administrator", PASSWORD, ClientKind::Cli)).await.map(drop)),
                ("denied", ops.run(&viewer.actor, CancelRun { run_id: run, consent: crate::support::starts::sure("CANCEL", run) }).await.map(drop)),
            ];
            for (what, answer) in answers {
                let error = answer.expect_err(what);
                assert!(error.message().contains("audit"), "{what}: {error}");
            }
            ops.close().await;
            store.sql(back).await.unwrap();
            assert_eq!(store.number(kept).await, rows);
            assert_eq!(store.number("select count(*) from platform_sessions").await, sessions);
            assert_eq!(store.number("select count(*) from platform_users where active and view_all").await, 2);
            assert_eq!(store.number("select count(*) from operation_runs where status = 'queued'").await, 1);
            assert_eq!(store.number("select count(*) from platform_settings where value = 'true'").await, 0);
        }
        let session: Session = store.login("administrator").await;
        store.ops.run(&session.actor, CancelRun { run_id: run, consent: crate::support::starts::sure("CANCEL", run) }).await.unwrap();
    }

    async fn fr_040_015_a_plan_is_gone_once_the_view_no_longer_holds_its_tenants(store) {
        let store = store.with_platform().await;
        store.legacy_findings(&[1, 2, 3], 2).await;
        let root = store.administrator().await;
        let ben = store.user_with(&root, "ben", Role::Operator.capabilities(), &[]).await;
        let plan = async |session: &Session, scope| store.ops.run(&session.actor, Preflight::new(BACKFILL, scope)).await.unwrap().id;
        let wide = plan(&ben, RunScope::All).await;
        let other = plan(&ben, RunScope::Tenants(vec![1, 3])).await;
        let platform = store.ops.run(&ben.actor, Preflight::new("operations.reconcile_stale", RunScope::Platform)).await.unwrap().id;
        let own = plan(&ben, RunScope::Tenants(vec![1, 2])).await;
        let narrow = SetCapabilities { view: Some(view_of(&[1])), ..crate::support::starts::capabilities("ben", Role::Operator.capabilities()) };
        store.ops.run(&root.actor, narrow).await.unwrap();
        let ben = store.login("ben").await;
        for id in [wide, other, platform] {
            assert_eq!(store.ops.run(&ben.actor, GetPlan { id }).await.unwrap_err().kind(), ErrorKind::NotFound, "{id}");
            assert_eq!(store.ops.run(&ben.actor, ListPlanTargets::all(id)).await.unwrap_err().kind(), ErrorKind::NotFound);
        }
        assert_eq!(store.ops.run(&ben.actor, GetPlan { id: own }).await.unwrap().tenant_count, 2);
        // Another view's run keeps this one away, and is not named.
        let busy = Wish::new(BACKFILL, RunScope::Tenants(vec![1, 3])).begin(&store.ops, &Actor::System).await.unwrap();
        let mine = Wish { source: tenantpilot::domain::run::Source::Cli, ..Wish::new(BACKFILL, RunScope::Tenants(vec![1, 2])) };
        let error = mine.begin(&store.ops, &ben.actor).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.message().contains("another run of"), "{error}");
        assert!(!error.to_string().contains(&format!("run {}", busy.run_id)), "{error}");
        let error = mine.begin(&store.ops, &root.actor).await.unwrap_err();
        assert!(error.message().contains(&format!("run {}", busy.run_id)), "{error}");
    }
}
