//! Who may change whom: rights and views of user managers, and what is confirmed.

use tenantpilot::ErrorKind::{self, self as K};
use tenantpilot::domain::capability::{Capability, CapabilitySet, Role};
use tenantpilot::domain::high_capability::HighCapability;
use tenantpilot::ops::Consent;
use tenantpilot::ops::Engine;
use tenantpilot::ops::auth::Session;
use tenantpilot::ops::flags::SetFlag;
use tenantpilot::ops::overview::{CheckRunCounts, RebuildRunCounts};
use tenantpilot::ops::password;
use tenantpilot::ops::retention::PruneUsage;
use tenantpilot::ops::runbooks::ADMIN_MAINTENANCE_FLAG;
use tenantpilot::ops::runs::CountRuns;
use tenantpilot::ops::settings::SetSetting;
use tenantpilot::ops::telemetry::{CheckRollups, RebuildRollups};
use tenantpilot::ops::users::{
    CreateUser, GetUser, ListUsers, NewPlatformUser, ResetPassword, SetActive, SetCapabilities,
    Unlock, UserView,
};

use crate::database::texts;
use crate::support::stores::{PASSWORD, Store, both_engines, view_of};

const DENIED: &str = "select count(*) from audit_logs where status = 'denied'";

fn new(name: &str, capabilities: CapabilitySet, workspaces: &[i64]) -> NewPlatformUser {
    NewPlatformUser {
        username: name.to_owned(),
        display_name: String::new(),
        password: password::secret(PASSWORD),
        capabilities,
        view: view_of(workspaces),
        consent: Consent::typed(name.to_owned()),
    }
}

fn manager() -> CapabilitySet {
    CapabilitySet::from_iter([Capability::AccessSystemPanel, Capability::UsersManage])
}

fn viewer() -> CapabilitySet {
    Role::Viewer.capabilities()
}

/// Everything that a change of a user can change.
async fn state(store: &Store) -> Vec<String> {
    let users = "select username || cast(capabilities as text) || cast(active as text) || cast(view_all as text) || \
                 password_hash || cast(credential_version as text) from platform_users order by id";
    let views = "select cast(platform_user_id as text) || '-' || cast(workspace_id as text) \
                 from platform_user_workspaces order by platform_user_id, workspace_id";
    let attempts = "select username || cast(n as text) from login_attempts order by username";
    [texts(store, users).await, texts(store, views).await, texts(store, attempts).await].concat()
}

/// Tries every change of `name` as `by`; gives what each was answered.
async fn every_change(
    store: &Store,
    by: &Session,
    name: &str,
) -> Vec<(&'static str, tenantpilot::Result<()>)> {
    let (ops, actor) = (&store.ops, &by.actor);
    let username = || name.to_owned();
    let set = |capabilities, view| SetCapabilities {
        view,
        consent: Consent::typed(username()),
        ..crate::support::starts::capabilities(name, capabilities)
    };
    let panel = CapabilitySet::from_iter([Capability::AccessSystemPanel]);
    vec![
        ("take capabilities", ops.run(actor, set(panel.clone(), None)).await.map(drop)),
        ("narrow the view", ops.run(actor, set(panel, Some(view_of(&[1])))).await.map(drop)),
        (
            "disable",
            ops.run(
                actor,
                SetActive {
                    username: username(),
                    active: false,
                    consent: Consent::typed(username()),
                },
            )
            .await
            .map(drop),
        ),
        (
            "enable",
            ops.run(
                actor,
                SetActive {
                    username: username(),
                    active: true,
                    consent: Consent::typed(username()),
                },
            )
            .await
            .map(drop),
        ),
        (
            "reset",
            ops.run(
                actor,
                ResetPassword {
                    username: username(),
                    password: password::secret("mine from now on"),
                    consent: Consent::yes(),
                },
            )
            .await
            .map(drop),
        ),
        (
            "unlock",
            ops.run(actor, Unlock { username: username(), consent: Consent::yes() })
                .await
                .map(drop),
        ),
    ]
}

both_engines! {
    async fn fr_040_001_a_view_of_all_is_said_and_never_follows_from_missing_rows(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let one = store.user_with(&root, "one", viewer(), &[1]).await;
        assert!(one.restricted && !root.restricted);
        store.ended("policy.sync", 1, 1, 0, 1).await;
        let active = async |session: &Session| store.ops.run(&session.actor, CountRuns).await.unwrap().total;
        assert_eq!((active(&root).await, active(&one).await), (Some(1), None));
        // The last row goes: nothing is seen then.
        store.sql("delete from platform_user_workspaces").await.unwrap();
        assert_eq!(active(&one).await, None);
        let runs = store.ops.run(&one.actor, tenantpilot::ops::runs::ListRuns::default()).await.unwrap().runs;
        assert!(runs.is_empty(), "{runs:?}");
        assert!(store.login("one").await.restricted);
        // Nor is a view made of nothing.
        let nothing = NewPlatformUser { view: UserView::Workspaces(Vec::new()), ..new("none", viewer(), &[]) };
        assert_eq!(store.ops.run(&root.actor, CreateUser(nothing)).await.unwrap_err().kind(), ErrorKind::Usage);
        // What another program inserts sees nothing either.
        let plain = "insert into platform_users (id, username, display_name, password_hash, capabilities, created_at, updated_at) \
            values (77, 'plain', 'Plain', 'x', '[]', '2026-11-01T00:00:00+00:00', '2026-11-01T00:00:00+00:00')";
        store.sql(plain).await.unwrap();
        assert_eq!(store.number("select count(*) from platform_users where view_all").await, 1);
    }

    async fn fr_040_002_the_migration_keeps_every_view_and_a_workspace_in_a_view_stays(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        store.user_with(&root, "one", viewer(), &[1]).await;
        store.user_with(&root, "both", viewer(), &[1, 2]).await;
        store.user_with(&root, "all", viewer(), &[]).await;
        // As it was before, and once more.
        store.sql("alter table platform_users drop column view_all").await.unwrap();
        let migration = match store.engine {
            Engine::Postgres => include_str!("../../migrations/postgres/0013_view_all.sql"),
            Engine::Sqlite => include_str!("../../migrations/sqlite/0013_view_all.sql"),
        };
        store.sql(migration).await.unwrap();
        let seeing_all = texts(&store, "select username from platform_users where view_all order by username").await;
        assert_eq!(seeing_all, ["administrator", "all"]);
        assert_eq!(store.number("select count(*) from platform_user_workspaces").await, 3);
        assert_eq!(store.ops.run(&root.actor, ListUsers).await.unwrap().len(), 4);
        store.sql("insert into workspaces (id, name, created_at) values (7, 'Gone', '2026-11-01T00:00:00+00:00')").await.unwrap();
        store.user_with(&root, "seven", viewer(), &[7]).await;
        let deleted = store.sql("delete from workspaces where id = 7").await;
        assert!(deleted.is_err(), "a workspace of a view was deleted");
        assert_eq!(store.number("select count(*) from platform_user_workspaces where workspace_id = 7").await, 1);
    }

    async fn fr_040_004_nobody_changes_a_user_beyond_their_own_rights_or_view(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let full = Role::Administrator.capabilities();
        let one = store.user_with(&root, "one", full.clone(), &[1]).await;
        let small = store.user_with(&root, "small", manager(), &[]).await;
        for (name, workspaces) in [("peer", &[1][..]), ("two", &[2]), ("both", &[1, 2]), ("all", &[])] {
            store.ops.run(&root.actor, CreateUser(new(name, viewer(), workspaces))).await.unwrap();
        }
        let before = state(&store).await;
        for (by, name, kind) in [
            (&one, "administrator", K::Forbidden),
            (&one, "all", K::Forbidden),
            (&one, "both", K::Forbidden),
            // Not in the view at all: as if there were no such user.
            (&one, "two", K::NotFound),
            (&one, "nobody", K::NotFound),
            (&small, "administrator", K::Forbidden),
            (&small, "one", K::Forbidden),
            (&small, "two", K::Forbidden),
        ] {
            for (what, answer) in {
                let denied = store.number(DENIED).await;
                let answers = every_change(&store, by, name).await;
                let rows = store.number(DENIED).await - denied;
                assert_eq!(rows, 6, "{name}: each of the six attempts leaves one denied row");
                answers
            } {
                let error = answer.expect_err(what);
                assert_eq!(error.kind(), kind, "{what} {name}: {error}");
            }
            assert_eq!(state(&store).await, before, "{name}");
        }
        // What would come of it is held against the actor, too.
        let beyond = [
            (&one, SetCapabilities { view: Some(UserView::All), ..crate::support::starts::capabilities("peer", viewer()) }, K::Forbidden),
            (&one, SetCapabilities { view: Some(view_of(&[1, 2])), ..crate::support::starts::capabilities("peer", viewer()) }, K::NotFound),
            (&one, SetCapabilities { view: Some(UserView::All), ..crate::support::starts::capabilities("one", full.clone()) }, K::Forbidden),
            (&small, crate::support::starts::capabilities("small", Role::OnCall.capabilities()), K::Forbidden),
        ];
        for (by, change, kind) in beyond {
            let (name, denied) = (change.username.clone(), store.number(DENIED).await);
            let change = SetCapabilities { consent: Consent::typed(name.clone()), ..change };
            assert_eq!(store.ops.run(&by.actor, change).await.unwrap_err().kind(), kind, "{name}");
            assert_eq!(store.number(DENIED).await, denied + 1, "{name}");
        }
        for (by, user, kind) in [
            (&one, new("made", full.clone(), &[]), K::Forbidden),
            (&one, new("made", viewer(), &[2]), K::NotFound),
            (&small, new("made", viewer(), &[1]), K::Forbidden),
        ] {
            let denied = store.number(DENIED).await;
            assert_eq!(store.ops.run(&by.actor, CreateUser(user)).await.unwrap_err().kind(), kind);
            assert_eq!(store.number(DENIED).await, denied + 1);
        }
        assert_eq!(state(&store).await, before);
        // Within their rights and view everything works.
        for (what, answer) in every_change(&store, &one, "peer").await {
            answer.expect(what);
        }
        store.ops.run(&one.actor, CreateUser(new("made", viewer(), &[1]))).await.unwrap();
    }

    async fn fr_040_005_one_active_unrestricted_user_manager_remains(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let full = Role::Administrator.capabilities();
        // None of these is another one.
        store.user_with(&root, "restricted", full.clone(), &[1]).await;
        store.user_with(&root, "outside", CapabilitySet::from_iter([Capability::AccessSystemPanel]), &[]).await;
        store.sql("update platform_users set capabilities = '[\"platform.users.manage\"]' where username = 'outside'").await.unwrap();
        let refused = "select count(*) from audit_logs where status = 'refused'";
        let less = |capability| full.iter().filter(|held| *held != capability).collect::<CapabilitySet>();
        let changes = [
            crate::support::starts::capabilities("administrator", less(Capability::UsersManage)),
            crate::support::starts::capabilities("administrator", less(Capability::AccessSystemPanel)),
            SetCapabilities { view: Some(view_of(&[1, 2])), ..crate::support::starts::capabilities("administrator", full.clone()) },
        ];
        let before = state(&store).await;
        for change in changes {
            let error = store.ops.run(&root.actor, change).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
            assert!(error.message().contains("last active user manager"), "{error}");
        }
        let off = SetActive { username: "administrator".to_owned(), active: false, consent: Consent::typed("administrator".to_owned()) };
        assert_eq!(store.ops.run(&root.actor, off).await.unwrap_err().kind(), ErrorKind::Refused);
        assert_eq!(store.number(refused).await, 4);
        assert_eq!(state(&store).await, before);
        // Nobody grants what they do not hold: a manager of users alone could not put things right.
        let manager = CapabilitySet::from_iter([Capability::AccessSystemPanel, Capability::UsersManage]);
        store.user_with(&root, "manager", manager, &[]).await;
        let viewer = crate::support::starts::capabilities("administrator", Role::Viewer.capabilities());
        let error = store.ops.run(&root.actor, viewer).await.unwrap_err();
        assert!(error.message().contains("holds all capabilities"), "{error}");
    }

    async fn fr_040_005_parallel_attempts_leave_one_too(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let full = Role::Administrator.capabilities();
        store.user_with(&root, "second", full.clone(), &[]).await;
        let open = "select count(*) from platform_users where active and view_all and cast(capabilities as text) like '%users.manage%'";
        let back = "update platform_users set active = true, view_all = true, \
                    capabilities = (select capabilities from platform_users where username = 'kept')";
        store.ops.run(&root.actor, CreateUser(new("kept", full.clone(), &[1]))).await.unwrap();
        let less: CapabilitySet = full.iter().filter(|held| *held != Capability::UsersManage).collect();
        for round in 0..9 {
            let (root, second) = (store.login("administrator").await, store.login("second").await);
            let attempt = async |by: &Session, name: &str, way: usize| match way % 3 {
                0 => store.ops.run(&by.actor, SetActive { username: name.to_owned(), active: false, consent: Consent::typed(name.to_owned()) }).await,
                1 => {
                    let view = Some(view_of(&[1, 2]));
                    store.ops.run(&by.actor, SetCapabilities { view, ..crate::support::starts::capabilities(name, full.clone()) }).await
                }
                _ => store.ops.run(&by.actor, crate::support::starts::capabilities(name, less.clone())).await,
            };
            let (one, other) = tokio::join!(attempt(&root, "second", round), attempt(&second, "administrator", round / 3));
            assert_eq!(store.number(open).await, 1, "round {round}: {one:?} {other:?}");
            assert!(one.is_ok() != other.is_ok(), "round {round}: {one:?} {other:?}");
            store.sql(&format!("{back} where username <> 'kept'")).await.unwrap();
        }
    }

    async fn fr_040_006_a_high_capability_is_granted_only_with_the_name_typed(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let grants = |user: NewPlatformUser| async { store.ops.run(&root.actor, CreateUser(user)).await };
        let operator = || Role::Operator.capabilities();
        let error = grants(NewPlatformUser { consent: Consent::yes(), ..new("ben", operator(), &[]) }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        let said = error.to_string();
        for part in ["platform.break_glass.use", "platform.runbooks.run on all workspaces", "take break-glass", "every workspace", "--confirm ben"] {
            assert!(said.contains(part), "{part:?} in {said}");
        }
        let error = grants(NewPlatformUser { consent: Consent::typed("be".to_owned()), ..new("ben", operator(), &[]) }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert_eq!(store.number("select count(*) from audit_logs where action = 'users.create' and status = 'refused'").await, 2);
        // A dry run needs none, and makes nobody.
        let look = grants(NewPlatformUser { consent: Consent::dry_run(), ..new("ben", operator(), &[]) }).await.unwrap();
        assert_eq!(look.high_capabilities, [HighCapability::BreakGlass, HighCapability::RunbooksEverywhere]);
        assert_eq!(store.number("select count(*) from platform_users").await, 1);
        // What is not high needs none either.
        let run_one = CapabilitySet::from_iter([Capability::AccessSystemPanel, Capability::RunbooksRun]);
        grants(NewPlatformUser { consent: Consent::yes(), ..new("vera", viewer(), &[]) }).await.unwrap();
        grants(NewPlatformUser { consent: Consent::yes(), ..new("rob", run_one.clone(), &[1]) }).await.unwrap();
        for (name, capability) in [("um", Capability::UsersManage), ("sm", Capability::SettingsManage), ("bg", Capability::BreakGlassUse)] {
            let set = CapabilitySet::from_iter([capability]);
            let error = grants(NewPlatformUser { consent: Consent::yes(), ..new(name, set, &[1]) }).await.unwrap_err();
            assert!(error.message().contains(capability.as_str()), "{error}");
        }
        // Of a change only what is new is asked about.
        let set = |name: &str, capabilities, view, confirm: Option<&str>| SetCapabilities {
            view, consent: confirm.map_or_else(Consent::yes, Consent::typed), ..crate::support::starts::capabilities(name, capabilities)
        };
        let run = |change| async { store.ops.run(&root.actor, change).await };
        assert!(run(set("rob", run_one.clone(), Some(UserView::All), None)).await.is_err(), "all workspaces with runbooks.run");
        run(set("rob", run_one.clone(), Some(UserView::All), Some("rob"))).await.unwrap();
        run(set("rob", run_one.clone(), Some(UserView::All), None)).await.unwrap();
        assert!(run(set("vera", operator(), None, None)).await.is_err());
        let error = run(set("vera", operator(), None, Some("rob"))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        run(SetCapabilities { consent: Consent::dry_run(), ..set("vera", operator(), None, None) }).await.unwrap();
        run(set("vera", operator(), None, Some("vera"))).await.unwrap();
        let listed = store.ops.run(&root.actor, ListUsers).await.unwrap();
        let high = |name: &str| listed.iter().find(|user| user.username == name).unwrap().high_capabilities.clone();
        assert_eq!(high("administrator"), HighCapability::ALL);
        assert_eq!(high("rob"), [HighCapability::RunbooksEverywhere]);
        assert_eq!(high("vera"), [HighCapability::BreakGlass, HighCapability::RunbooksEverywhere]);
    }

    async fn fr_040_007_what_holds_for_the_whole_platform_needs_an_unrestricted_view(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let one = store.user_with(&root, "one", Role::Administrator.capabilities(), &[1, 2]).await;
        macro_rules! denied {
            ($($operation:expr => $action:literal,)+) => {$(
                let rows = format!("{DENIED} and action = '{}'", $action);
                let before = store.number(&rows).await;
                let error = store.ops.run(&one.actor, $operation).await.err().unwrap();
                assert_eq!(error.kind(), ErrorKind::Forbidden, "{}: {error}", $action);
                assert!(error.message().contains("restricted to some workspaces"), "{error}");
                assert_eq!(store.number(&rows).await, before + 1, "{}", $action);
            )+};
        }
        let flag = |dry_run| SetFlag { name: ADMIN_MAINTENANCE_FLAG.to_owned(), on: true, consent: Consent { dry_run, ..Consent::typed(format!("{ADMIN_MAINTENANCE_FLAG} on")) } };
        let setting = |dry_run| SetSetting { key: "environment.label".to_owned(), value: Some("PROD".to_owned()), consent: Consent { dry_run, ..Consent::yes() } };
        denied! {
            flag(false) => "platform.set_flag",
            flag(true) => "platform.set_flag",
            setting(false) => "platform.set_setting",
            setting(true) => "platform.set_setting",
            PruneUsage { days: None, consent: Consent::typed("PRUNE") } => "product_usage.prune",
            PruneUsage { days: None, consent: Consent::dry_run() } => "product_usage.prune",
            RebuildRollups => "telemetry.rebuild_rollups",
            RebuildRunCounts => "overview.rebuild_counts",
            CheckRollups => "telemetry.check_rollups",
            CheckRunCounts => "overview.check_counts",
        }
        assert_eq!(store.number("select count(*) from platform_settings where value in ('true', 'PROD')").await, 0);
        store.ops.run(&root.actor, flag(false)).await.unwrap();
        store.ops.run(&root.actor, setting(false)).await.unwrap();
    }

    async fn fr_040_008_a_restricted_manager_sees_the_users_of_their_view(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let one = store.user_with(&root, "one", manager(), &[1]).await;
        for (name, workspaces) in [("two", &[2][..]), ("both", &[1, 2])] {
            store.ops.run(&root.actor, CreateUser(new(name, viewer(), workspaces))).await.unwrap();
        }
        let seen = store.ops.run(&one.actor, ListUsers).await.unwrap();
        let rows: Vec<_> = seen.iter().map(|user| (user.username.as_str(), user.workspaces.as_slice(), user.more_workspaces, user.view_all)).collect();
        assert_eq!(rows, [("administrator", &[][..], false, true), ("both", &[1], true, false), ("one", &[1], false, false)]);
        let of = |name: &str| GetUser { username: name.to_owned() };
        let hidden = store.ops.run(&one.actor, of("two")).await.unwrap_err();
        let missing = store.ops.run(&one.actor, of("six")).await.unwrap_err();
        assert_eq!(hidden.to_string().replace("two", "six"), missing.to_string());
        assert_eq!(store.ops.run(&root.actor, ListUsers).await.unwrap().len(), 4);
    }
}
