//! Dry runs where nothing can be written: each answers as it does elsewhere.

use std::time::Duration;

use tenantpilot::domain::capability::Role;
use tenantpilot::domain::run::Source;
use tenantpilot::domain::window::Window;
use tenantpilot::ops::alerts::RetryAlert;
use tenantpilot::ops::auth::Session;
use tenantpilot::ops::break_glass::{EndBreakGlass, EnterBreakGlass};
use tenantpilot::ops::flags::SetFlag;
use tenantpilot::ops::overview::{ListFingerprints, RetryGroup};
use tenantpilot::ops::retention::PruneUsage;
use tenantpilot::ops::runbooks::StartRunbook;
use tenantpilot::ops::runs::{
    CancelRun, CloseRun, Controlled, PauseRun, ResumeRun, RetryRun, RunScope,
};
use tenantpilot::ops::settings::SetSetting;
use tenantpilot::ops::users::{
    CreateUser, NewPlatformUser, ResetPassword, SetActive, SetCapabilities, Unlock, UserView,
};
use tenantpilot::ops::{Consent, Engine, Ops, OpsSettings, password};

use crate::support::postgres::administer;
use crate::support::starts::{Wish, reason};
use crate::support::stores::{PASSWORD, Store, both_engines};

/// What dry runs are about.
struct Scene {
    admin: Session,
    /// One whose break-glass is active.
    other: Session,
    queued: i64,
    paused: i64,
    failed: i64,
    start: StartRunbook,
    fingerprint: String,
}

impl Scene {
    async fn of(store: &Store) -> Self {
        let admin = store.administrator().await;
        store.user(&admin, Role::Viewer).await;
        let other = store.user_with(&admin, "glass", Role::Administrator.capabilities(), &[]).await;
        let enter = EnterBreakGlass {
            consent: Consent::yes().because(Some(reason())),
            minutes: 30,
            password: password::secret(PASSWORD),
        };
        store.ops.run(&other.actor, enter).await.unwrap();
        store.legacy_findings(&[1], 2).await;
        let failed = store.ended("backup.snapshot", 1, 1, 1, 1).await;
        let paused = store.start("policy.sync", 2).await;
        let pause = PauseRun { run_id: paused, consent: Consent::yes() };
        store.ops.run(&admin.actor, pause).await.unwrap();
        let queued = store.start("policy.sync", 1).await;
        store
            .sql(
                "insert into alert_deliveries (id, event, payload, status, next_attempt_at, created_at) values \
                 (7, 'x', '{}', 'dead', '2026-11-20T12:00:00+00:00', '2026-11-20T12:00:00+00:00')",
            )
            .await
            .unwrap();
        let wish = Wish::new("findings.lifecycle_backfill", RunScope::Tenant(1));
        let plan = wish.plan(&store.ops, &admin.actor).await.unwrap();
        let start = StartRunbook { consent: dry(), ..wish.start(&plan) };
        let list = ListFingerprints { window: Some(Window::Month), limit: 50 };
        let found = store.ops.run(&admin.actor, list).await.unwrap();
        let fingerprint = found.fingerprints[0].fingerprint.clone();
        Self { admin, other, queued, paused, failed, start, fingerprint }
    }

    /// Asks for every dry run; gives what was answered wrongly.
    async fn wrong(&self, ops: &Ops) -> Vec<String> {
        let mut wrong = Vec::new();
        macro_rules! dry_run {
            ($actor:expr, $operation:expr, |$done:ident| $holds:expr) => {
                match ops.run($actor, $operation).await {
                    Ok($done) if $holds => {}
                    answer => wrong.push(format!("{}: {answer:?}", stringify!($operation))),
                }
            };
        }
        let actor = &self.admin.actor;
        let (run_id, consent) = (self.queued, dry());
        let username = || "viewer".to_owned();
        dry_run!(actor, self.start.clone(), |done| done.created);
        dry_run!(actor, CancelRun { run_id, consent: dry() }, |done| done == Controlled::Done);
        dry_run!(actor, PauseRun { run_id, consent: dry() }, |done| done == Controlled::Done);
        dry_run!(actor, CloseRun { run_id, consent: dry() }, |done| done == Controlled::Done);
        dry_run!(actor, ResumeRun { run_id: self.paused, consent: dry() }, |done| done
            == Controlled::Done);
        let retry = RetryRun {
            run_id: self.failed,
            consent: dry(),
            source: Source::Cli,
            request_id: None,
            wait_for_worker: true,
        };
        dry_run!(actor, retry, |done| done.started.created && done.targets == 1);
        let group = RetryGroup {
            fingerprint: self.fingerprint.clone(),
            run_ids: vec![self.failed],
            consent: dry(),
            source: Source::Cli,
            wait_for_worker: true,
        };
        dry_run!(actor, group, |done| done.started.is_empty());
        let set = SetSetting {
            key: "environment.label".to_owned(),
            value: Some("LIVE".to_owned()),
            consent: dry(),
        };
        dry_run!(actor, set, |done| done.changed && done.after == "LIVE");
        let flag = SetFlag {
            name: "allow_admin_maintenance_actions".to_owned(),
            on: true,
            consent: dry(),
        };
        dry_run!(actor, flag, |done| done.changed && done.flag.on);
        let enter = EnterBreakGlass {
            consent: dry().because(Some(reason())),
            minutes: 30,
            password: password::secret(""),
        };
        dry_run!(actor, enter, |done| done.grant_id == 0);
        dry_run!(&self.other.actor, EndBreakGlass { consent: dry() }, |done| done.grant_id > 0);
        let ben = NewPlatformUser {
            username: "ben".to_owned(),
            display_name: String::new(),
            password: password::secret(""),
            capabilities: Role::Operator.capabilities(),
            view: UserView::Workspaces(vec![1]),
            consent: dry(),
        };
        dry_run!(actor, CreateUser(ben), |done| done.username == "ben"
            && done.role == Some(Role::Operator)
            && done.workspaces == [1]);
        let rights = SetCapabilities {
            consent: dry(),
            view: Some(UserView::Workspaces(vec![2])),
            ..SetCapabilities::new("viewer", Role::Operator.capabilities())
        };
        dry_run!(actor, rights, |done| done.role == Some(Role::Operator)
            && done.workspaces == [2]
            && !done.view_all);
        let disable = SetActive { username: username(), active: false, consent: dry() };
        dry_run!(actor, disable, |done| !done.active);
        let reset =
            ResetPassword { username: username(), password: password::secret(""), consent: dry() };
        dry_run!(actor, reset, |done| done.username == "viewer");
        dry_run!(actor, Unlock { username: username(), consent: dry() }, |done| done == 3);
        dry_run!(actor, RetryAlert { id: 7, consent }, |done| done.attempts == 0);
        dry_run!(actor, PruneUsage { days: None, consent: dry() }, |done| done.events == 0);
        wrong
    }
}

fn dry() -> Consent {
    Consent::dry_run()
}

both_engines! {
    async fn fr_037_023_a_dry_run_answers_where_nothing_can_be_written(store) {
        let store = store.with_platform().await.with_demo_worker().await;
        let scene = Scene::of(&store).await;
        store
            .sql("insert into login_attempts (origin, username, window_start, n) values ('h', 'viewer', '2026-11-20T12:00:00+00:00', 3)")
            .await
            .unwrap();
        assert_eq!(scene.wrong(&store.ops).await, Vec::<String>::new(), "where it can");
        let settings = || OpsSettings { patience: Duration::from_secs(20), ..OpsSettings::default() };
        if store.engine == Engine::Postgres {
            let name = store.url.rsplit('/').next().unwrap();
            let read_only = |on: &str| format!("alter database {name} set default_transaction_read_only = {on}");
            administer(&read_only("on")).await;
            let ops = store.another(settings());
            assert_eq!(scene.wrong(&ops).await, Vec::<String>::new(), "read-only");
            ops.close().await;
            administer(&read_only("off")).await;
        }
        // As a full disk does: every write fails, and reading goes on.
        let tables = match store.engine {
            Engine::Postgres => {
                store
                    .sql(
                        "create function full_disk() returns trigger language plpgsql as \
                         $$ begin raise exception 'no' using errcode = '53100'; end $$",
                    )
                    .await
                    .unwrap();
                "select string_agg(relname, ',') from pg_class where relkind in ('r', 'p') and not relispartition \
                 and relnamespace = 'public'::regnamespace"
            }
            Engine::Sqlite => "select group_concat(name, ',') from sqlite_master where type = 'table' and name not like 'sqlite%'",
        };
        let tables = store.text(tables).await;
        for table in tables.split(',') {
            for event in ["insert", "update", "delete"] {
                let refuse = match store.engine {
                    Engine::Postgres => format!(
                        "create trigger full_{event} before {event} on {table} for each row execute function full_disk()"
                    ),
                    Engine::Sqlite => format!(
                        "create trigger full_{event}_{table} before {event} on {table} begin select raise(abort, 'no'); end"
                    ),
                };
                store.sql(&refuse).await.unwrap();
            }
        }
        let ops = store.another(settings());
        assert_eq!(scene.wrong(&ops).await, Vec::<String>::new(), "full");
        // What it is refused for has to be on record, or it is not said.
        let unknown = CancelRun { run_id: scene.failed, consent: dry() };
        let error = ops.run(&scene.admin.actor, unknown).await.unwrap_err();
        assert_eq!(error.message(), "the audit row could not be written, so nothing was done");
        ops.close().await;
    }
}
