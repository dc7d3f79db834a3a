//! Managing platform users.

use futures_util::future::join_all;
use tenantpilot::ErrorKind;
use tenantpilot::access::Actor;
use tenantpilot::domain::capability::{Capability, CapabilitySet, Role};
use tenantpilot::ops::Consent;
use tenantpilot::ops::auth::Session;
use tenantpilot::ops::password;
use tenantpilot::ops::users::{
    CreateFirstAdministrator, CreateUser, GetUser, ListUsers, NewPlatformUser, PlatformUser,
    ResetPassword, SetActive, SetCapabilities, Unlock,
};
use tenantpilot::{Error, Result};

use crate::database::texts;
use crate::support::stores::{ORIGIN, PASSWORD, Store, both_engines, view_of};

fn new(name: &str, capabilities: CapabilitySet, workspaces: &[i64]) -> CreateUser {
    CreateUser(NewPlatformUser {
        username: name.to_owned(),
        display_name: String::new(),
        password: password::secret(PASSWORD),
        capabilities,
        view: view_of(workspaces),
        consent: Consent::typed(password::normalise_name(name)),
    })
}

async fn set(
    store: &Store,
    by: &Session,
    name: &str,
    capabilities: CapabilitySet,
    workspaces: Option<Vec<i64>>,
) -> Result<PlatformUser> {
    let change = SetCapabilities {
        view: workspaces.map(|ids| view_of(&ids)),
        consent: Consent::typed(name.to_owned()),
        ..crate::support::starts::capabilities(name, capabilities)
    };
    store.ops.run(&by.actor, change).await
}

async fn switch(store: &Store, by: &Session, name: &str, active: bool) -> Result<PlatformUser> {
    store
        .ops
        .run(
            &by.actor,
            SetActive {
                username: name.to_owned(),
                active,
                consent: Consent::typed(name.to_owned()),
            },
        )
        .await
}

fn manager() -> CapabilitySet {
    CapabilitySet::from_iter([Capability::AccessSystemPanel, Capability::UsersManage])
}

both_engines! {
    async fn fr_003_016_users_are_made_listed_shown_and_changed(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let made = store.ops.run(&root.actor, new("  Vera ", Role::Viewer.capabilities(), &[2, 1, 2])).await.unwrap();
        assert_eq!(made.username, "vera");
        assert_eq!(made.display_name, "vera");
        assert_eq!(made.role, Some(Role::Viewer));
        assert_eq!(made.workspaces, [1, 2]);
        assert!(made.active);

        let names: Vec<String> = store.ops.run(&root.actor, ListUsers).await.unwrap().into_iter().map(|u| u.username).collect();
        assert_eq!(names, ["administrator", "vera"]);
        let shown = store.ops.run(&root.actor, GetUser { username: "VERA".to_owned() }).await.unwrap();
        assert_eq!(shown, made);

        let changed = set(&store, &root, "vera", Role::Operator.capabilities(), Some(Vec::new())).await.unwrap();
        assert_eq!(changed.role, Some(Role::Operator));
        assert!(changed.workspaces.is_empty() && changed.view_all && !made.view_all);
        let off = switch(&store, &root, "vera", false).await.unwrap();
        assert!(!off.active);
        assert!(switch(&store, &root, "vera", true).await.unwrap().active);
    }

    async fn fr_003_016_what_is_not_there_or_there_already_is_said(store) {
        let root = store.administrator().await;
        store.user(&root, Role::Viewer).await;
        let taken = store.ops.run(&root.actor, new("VIEWER", CapabilitySet::default(), &[])).await.unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::Refused);
        assert!(taken.message().contains("of that name exists"));
        let nowhere = store.ops.run(&root.actor, new("walter", CapabilitySet::default(), &[77])).await.unwrap_err();
        assert_eq!(nowhere.kind(), ErrorKind::NotFound);
        assert_eq!(store.number("select count(*) from platform_users where username = 'walter'").await, 0);
        let mut errors: Vec<Error> = vec![
            set(&store, &root, "nobody", CapabilitySet::default(), None).await.unwrap_err(),
            switch(&store, &root, "nobody", false).await.unwrap_err(),
            store.ops.run(&root.actor, GetUser { username: "nobody".to_owned() }).await.unwrap_err(),
            store.ops.run(&root.actor, Unlock { username: "nobody".to_owned(), consent: Consent::yes() }).await.unwrap_err(),
        ];
        errors.dedup();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0].kind(), ErrorKind::NotFound);
    }

    async fn fr_003_017_the_last_manager_stays(store) {
        let root = store.administrator().await;
        for refused in [
            set(&store, &root, "administrator", Role::Viewer.capabilities(), None).await,
            switch(&store, &root, "administrator", false).await,
        ] {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(error.message().contains("last active user manager"), "{error}");
        }
        let rows = texts(&store, "select action from audit_logs where status = 'refused' order by id").await;
        assert_eq!(rows, ["users.set_capabilities", "users.set_active"]);
        // A disabled manager does not count.
        let second = store.user_with(&root, "second", Role::Administrator.capabilities(), &[]).await;
        switch(&store, &root, "second", false).await.unwrap();
        assert!(switch(&store, &root, "administrator", false).await.is_err());
        switch(&store, &root, "second", true).await.unwrap();
        switch(&store, &root, "administrator", false).await.unwrap();
        drop(second);
    }

    async fn fr_003_017_two_managers_cannot_remove_each_other_at_once(store) {
        let mut root = store.administrator().await;
        let full = Role::Administrator.capabilities();
        let mut second = store.user_with(&root, "second", full.clone(), &[]).await;
        for round in 0..10 {
            let (one, other) = tokio::join!(
                switch(&store, &root, "second", false),
                switch(&store, &second, "administrator", false)
            );
            let left = "select count(*) from platform_users where active";
            assert_eq!(store.number(left).await, 1, "round {round}: {one:?} {other:?}");
            let lost = if one.is_ok() { other } else { one }.unwrap_err();
            // Whoever came second has been disabled meanwhile, and is told so at once.
            assert_eq!(lost.kind(), ErrorKind::NotLoggedIn, "round {round}: {lost}");
            store.sql("update platform_users set active = true").await.unwrap();
            root = store.login("administrator").await;
            second = store.login("second").await;
        }
    }

    async fn fr_003_018_nobody_gives_what_they_do_not_hold(store) {
        let root = store.administrator().await;
        let small = store.user_with(&root, "small", manager(), &[]).await;
        store.user_with(&root, "other", CapabilitySet::from_iter([Capability::AccessSystemPanel]), &[]).await;
        let denied = "select count(*) from audit_logs where status = 'denied' and actor_name = 'small'";
        let gifts = [
            store.ops.run(&small.actor, new("gift", Role::Viewer.capabilities(), &[])).await,
            set(&store, &small, "other", Role::OnCall.capabilities(), None).await,
            set(&store, &small, "small", Role::Administrator.capabilities(), None).await,
        ];
        for (n, gift) in gifts.into_iter().enumerate() {
            let error = gift.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Forbidden, "{n}: {error}");
        }
        assert_eq!(store.number(denied).await, 3, "each denial is audited");
        // Nor do they become somebody who holds more.
        let reset = ResetPassword { username: "administrator".to_owned(), password: password::secret("mine from now on"), consent: Consent::yes() };
        let error = store.ops.run(&small.actor, reset).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
        store.login("administrator").await;
        // What they hold they may give, and their own password they may change.
        store.ops.run(&small.actor, new("peer", manager(), &[])).await.unwrap();
        let own = ResetPassword { username: "small".to_owned(), password: password::secret("mine from now on"), consent: Consent::yes() };
        store.ops.run(&small.actor, own).await.unwrap();
    }

    async fn fr_003_018_a_restricted_manager_opens_no_other_workspace(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let one = store.user_with(&root, "one", manager(), &[1]).await;
        for workspaces in [vec![], vec![2], vec![1, 2]] {
            let made = store.ops.run(&one.actor, new("gift", manager(), &workspaces)).await;
            assert!(made.is_err(), "{workspaces:?}");
            let own = set(&store, &one, "one", manager(), Some(workspaces.clone())).await;
            assert!(own.is_err(), "{workspaces:?}");
        }
        store.ops.run(&one.actor, new("peer", manager(), &[1])).await.unwrap();
        assert_eq!(store.number("select count(*) from platform_users where username = 'gift'").await, 0);
    }

    async fn fr_003_019_changes_are_audited_with_before_and_after(store) {
        let root = store.administrator().await;
        store.ops.run(&root.actor, new("vera", Role::Viewer.capabilities(), &[])).await.unwrap();
        switch(&store, &root, "vera", false).await.unwrap();
        let rows = texts(
            &store,
            "select actor_name || ' ' || target_id || ' ' || cast(before_state as text) || ' ' || cast(after_state as text) \
             from audit_logs where action = 'users.set_active' and status = 'succeeded'",
        )
        .await;
        assert_eq!(rows.len(), 1);
        let plain = rows[0].replace(": ", ":");
        assert!(plain.starts_with("administrator vera "), "{plain}");
        let (before, after) = plain.split_once("} ").unwrap();
        assert!(before.contains(r#""active":true"#) && after.contains(r#""active":false"#), "{plain}");
        assert!(before.contains("platform.ops.view"), "{plain}");
    }

    async fn fr_003_019_no_password_or_hash_is_in_any_record_or_debug_text(store) {
        let root = store.administrator().await;
        let secret = "xyzzy-canary-password";
        let mut create = new("vera", Role::Viewer.capabilities(), &[]);
        create.0.password = password::secret(secret);
        let reset = ResetPassword { username: "vera".to_owned(), password: password::secret(secret), consent: Consent::yes() };
        let first = CreateFirstAdministrator { username: "x".to_owned(), password: password::secret(secret) };
        let login = tenantpilot::ops::auth::Login::new("vera", secret, tenantpilot::access::ClientKind::Cli);
        let said = format!("{create:?} {reset:?} {first:?} {login:?}");
        assert!(!said.contains("canary"), "{said}");
        let made = store.ops.run(&root.actor, create).await.unwrap();
        store.ops.run(&root.actor, reset).await.unwrap();
        let nobody = Actor::Anonymous { origin: ORIGIN.to_owned() };
        let (_, token) = store.ops.run(&nobody, login).await.unwrap();
        assert!(!format!("{made:?} {token:?}").contains("canary"));
        let rows = texts(
            &store,
            "select coalesce(actor_name, '') || coalesce(origin, '') || action || coalesce(target_id, '') || \
             coalesce(cast(before_state as text), '') || coalesce(cast(after_state as text), '') || cast(metadata as text) from audit_logs",
        )
        .await;
        assert!(rows.len() >= 4);
        let hashes = texts(&store, "select password_hash from platform_users").await;
        assert!(hashes.iter().all(|hash| hash.starts_with("$argon2id$v=19$m=7168,t=5,p=1$")), "{hashes:?}");
        for row in rows {
            assert!(!row.contains("canary") && !row.contains("argon2") && !row.contains(token.expose()), "{row}");
        }
    }

    async fn fr_003_020_of_many_parallel_attempts_one_makes_the_first_administrator(store) {
        let attempts = (0..20).map(|n| {
            let store = &store;
            async move {
                let first = CreateFirstAdministrator { username: format!("root{n}"), password: password::secret(PASSWORD) };
                store.ops.run(&Actor::Anonymous { origin: ORIGIN.to_owned() }, first).await
            }
        });
        let answers = join_all(attempts).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
            assert!(error.message().contains("already has users"), "{error}");
        }
        assert_eq!(store.number("select count(*) from platform_users").await, 1);
        let made = answers.into_iter().find_map(Result::ok).unwrap();
        assert_eq!(made.role, Some(Role::Administrator));
        let audited = "select count(*) from audit_logs where action = 'users.create_first_administrator' and status = 'succeeded'";
        assert_eq!(store.number(audited).await, 1);
    }

    async fn fr_003_021_names_and_passwords_follow_rules_that_are_said(store) {
        let root = store.administrator().await;
        let long = "x".repeat(65);
        for name in ["", " ", "-dash", "two words", "m@il", "ümlaut", "a/b", "a\u{202e}b", long.as_str()] {
            let error = store.ops.run(&root.actor, new(name, CapabilitySet::default(), &[])).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{name:?}: {error}");
        }
        let heavy = "x".repeat(1025);
        for guess in ["", "short", "1234567", "tab\tinside it", heavy.as_str()] {
            let mut create = new("vera", CapabilitySet::default(), &[]);
            create.0.password = password::secret(guess);
            let error = store.ops.run(&root.actor, create).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
            let reset = ResetPassword { username: "administrator".to_owned(), password: password::secret(guess), consent: Consent::yes() };
            assert_eq!(store.ops.run(&root.actor, reset).await.unwrap_err().kind(), ErrorKind::Usage);
        }
        let mut create = new("vera", CapabilitySet::default(), &[]);
        "two\nlines".clone_into(&mut create.0.display_name);
        assert_eq!(store.ops.run(&root.actor, create).await.unwrap_err().kind(), ErrorKind::Usage);
        assert_eq!(store.number("select count(*) from platform_users").await, 1);
    }
}
