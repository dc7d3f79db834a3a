//! Login, throttle, sessions.

use std::time::Duration as StdDuration;

use chrono::Duration;
use futures_util::future::join_all;
use tenantpilot::access::{Actor, ClientKind};
use tenantpilot::domain::capability::{Capability, CapabilitySet, Role};
use tenantpilot::ops::auth::{ATTEMPTS, Login, Logout, Resume, Session, WhoAmI};
use tenantpilot::ops::runs::{CountRuns, ListRuns};
use tenantpilot::ops::users::{ResetPassword, SetActive, SetCapabilities, Unlock};
use tenantpilot::ops::{Consent, Engine, OpsSettings, password};
use tenantpilot::{Error, ErrorKind};

use crate::database::texts;
use crate::support::stores::{ORIGIN, PASSWORD, Store, both_engines};

fn from(origin: &str) -> Actor {
    Actor::Anonymous { origin: origin.to_owned() }
}

async fn attempt(store: &Store, origin: &str, name: &str, guess: &str) -> Result<Session, Error> {
    let login = Login::new(name, guess, ClientKind::Console);
    store.ops.run(&from(origin), login).await.map(|(session, _)| session)
}

async fn audited(store: &Store, status: &str) -> i64 {
    let sql = format!(
        "select count(*) from audit_logs where action = 'auth.login' and status = '{status}'"
    );
    store.number(&sql).await
}

fn is_over<T>(answer: Result<T, Error>) -> bool {
    answer.is_err_and(|error| error.kind() == ErrorKind::NotLoggedIn)
}

both_engines! {
    async fn fr_003_001_a_login_makes_a_session_that_knows_its_user(store) {
        let session = store.administrator().await;
        let found = store.ops.run(&session.actor, WhoAmI).await.unwrap();
        assert_eq!(found.workspaces, None);
        let again = found.session;
        assert_eq!(again.username, "administrator");
        assert_eq!(again.capabilities, Role::Administrator.capabilities());
        assert!(!again.restricted);
        assert_eq!(again.expires_at, session.expires_at);
    }

    async fn fr_003_002_a_token_is_random_and_stored_only_as_its_hash(store) {
        store.administrator().await;
        let mut seen = Vec::new();
        for _ in 0..2 {
            let login = Login::new("administrator", PASSWORD, ClientKind::Cli);
            let (_, token) = store.ops.run(&from(ORIGIN), login).await.unwrap();
            assert_eq!(token.expose().len(), 64);
            assert!(!format!("{token:?}").contains(token.expose()));
            seen.push(token.expose().to_owned());
        }
        assert_ne!(seen[0], seen[1]);
        let stored = texts(&store, "select token_hash from platform_sessions").await;
        assert_eq!(stored.len(), 3);
        assert!(seen.iter().all(|token| !stored.contains(token)));
        store.ops.run(&from(ORIGIN), Resume::new(seen.remove(0), ClientKind::Cli)).await.unwrap();
    }

    async fn fr_003_007_a_change_of_the_user_ends_their_sessions_at_the_next_action(store) {
        let root = store.administrator().await;
        let name = || "viewer".to_owned();
        let mut viewer = store.user(&root, Role::Viewer).await;

        let capabilities = Role::OnCall.capabilities();
        let change = SetCapabilities { consent: Consent::typed(name()), ..crate::support::starts::capabilities("viewer", capabilities) };
        store.ops.run(&root.actor, change).await.unwrap();
        let denied = store.ops.run(&viewer.actor, CountRuns).await.unwrap_err();
        assert_eq!(denied.kind(), ErrorKind::NotLoggedIn);
        viewer = store.login("viewer").await;
        assert!(viewer.capabilities.has(Capability::OpsManage));

        let password = password::secret("another long password");
        store.ops.run(&root.actor, ResetPassword { username: name(), password, consent: Consent::yes() }).await.unwrap();
        assert!(is_over(store.ops.run(&viewer.actor, WhoAmI).await));
        assert!(attempt(&store, ORIGIN, "viewer", PASSWORD).await.is_err());
        viewer = attempt(&store, ORIGIN, "viewer", "another long password").await.unwrap();

        store.ops.run(&root.actor, SetActive { username: name(), active: false, consent: Consent::typed(name()) }).await.unwrap();
        assert!(is_over(store.ops.run(&viewer.actor, WhoAmI).await));
        assert!(attempt(&store, ORIGIN, "viewer", "another long password").await.is_err());
        store.ops.run(&root.actor, SetActive { username: name(), active: true, consent: Consent::typed(name()) }).await.unwrap();
        // An ended session stays ended.
        assert!(is_over(store.ops.run(&viewer.actor, WhoAmI).await));
        attempt(&store, ORIGIN, "viewer", "another long password").await.unwrap();
    }

    async fn fr_003_007_a_change_past_the_program_counts_as_well(store) {
        let root = store.administrator().await;
        store.sql("update platform_users set credential_version = credential_version + 1").await.unwrap();
        assert!(is_over(store.ops.run(&root.actor, WhoAmI).await));
        let again = store.login("administrator").await;
        store.sql("update platform_users set active = false").await.unwrap();
        assert!(is_over(store.ops.run(&again.actor, WhoAmI).await));
    }

    async fn fr_003_008_a_session_of_one_kind_is_not_accepted_as_another(store) {
        store.administrator().await;
        for made in ClientKind::ALL {
            let login = Login::new("administrator", PASSWORD, *made);
            let (_, token) = store.ops.run(&from(ORIGIN), login).await.unwrap();
            for used in ClientKind::ALL {
                let resumed =
                    store.ops.run(&from(ORIGIN), Resume::new(token.expose(), *used)).await;
                assert_eq!(resumed.is_ok(), made == used, "made for {made}, used as {used}");
            }
        }
    }

    async fn fr_003_009_reading_never_extends_a_session_and_acting_does(store) {
        let session = store.administrator().await;
        let idle = Duration::from_std(OpsSettings::default().idle_timeout).unwrap();
        // Half of it with polling, the other half with polling: over.
        for _ in 0..2 {
            store.ops.run(&session.actor, ListRuns::default()).await.unwrap();
            store.ops.run(&session.actor, WhoAmI).await.unwrap();
            store.clock.advance(idle / 2);
        }
        assert!(is_over(store.ops.run(&session.actor, WhoAmI).await));
        let touched = store.ops.touch(&session.actor).await;
        assert!(touched.is_ok() == (store.engine == Engine::Postgres), "{touched:?}");
        assert!(is_over(store.ops.run(&session.actor, WhoAmI).await), "an ended session cannot be woken");

        let session = store.login("administrator").await;
        for _ in 0..4 {
            store.clock.advance(idle - Duration::seconds(1));
            store.ops.touch(&session.actor).await.unwrap();
            store.ops.run(&session.actor, WhoAmI).await.unwrap();
        }
        store.clock.advance(idle - Duration::microseconds(1));
        store.ops.run(&session.actor, WhoAmI).await.unwrap();
        store.clock.advance(Duration::microseconds(1));
        assert!(is_over(store.ops.run(&session.actor, WhoAmI).await));
    }

    async fn fr_003_009_activity_does_not_move_the_absolute_end(store) {
        let session = store.administrator().await;
        let step = Duration::minutes(20);
        while store.clock.now() + step < session.expires_at {
            store.clock.advance(step);
            store.ops.touch(&session.actor).await.unwrap();
            store.ops.run(&session.actor, WhoAmI).await.unwrap();
        }
        store.clock.advance(session.expires_at - store.clock.now() - Duration::microseconds(1));
        store.ops.run(&session.actor, WhoAmI).await.unwrap();
        store.clock.advance(Duration::microseconds(1));
        assert!(is_over(store.ops.run(&session.actor, WhoAmI).await));
    }

    async fn fr_003_010_logging_out_ends_this_session_alone(store) {
        let one = store.administrator().await;
        let other = store.login("administrator").await;
        store.ops.run(&one.actor, Logout).await.unwrap();
        assert!(is_over(store.ops.run(&one.actor, WhoAmI).await));
        store.ops.run(&other.actor, WhoAmI).await.unwrap();
        let error = store.ops.run(&one.actor, Logout).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotLoggedIn);
        let rows = "select count(*) from audit_logs where action = 'auth.logout' and actor_name = 'administrator'";
        assert_eq!(store.number(rows).await, 1);
    }

    async fn fr_003_012_of_80_parallel_wrong_passwords_ten_are_verified(store) {
        let root = store.administrator().await;
        let guesses = (0..80).map(|n| {
            let store = &store;
            async move { attempt(store, "10.0.0.1", "administrator", &format!("wrong {n}")).await }
        });
        let answers = join_all(guesses).await;
        let kinds = |kind| answers.iter().filter(|a| a.as_ref().unwrap_err().kind() == kind).count();
        assert_eq!(kinds(ErrorKind::NotLoggedIn), 10);
        assert_eq!(kinds(ErrorKind::Refused), 70);
        assert_eq!(audited(&store, "failed").await, ATTEMPTS);
        assert_eq!(audited(&store, "throttled").await, 70);

        // Not even the right one, until the window has passed.
        let right = attempt(&store, "10.0.0.1", "administrator", PASSWORD).await.unwrap_err();
        assert_eq!(right.kind(), ErrorKind::Refused);
        store.clock.advance(Duration::seconds(59));
        assert!(attempt(&store, "10.0.0.1", "administrator", PASSWORD).await.is_err());
        store.clock.advance(Duration::seconds(2));
        attempt(&store, "10.0.0.1", "administrator", PASSWORD).await.unwrap();
        store.ops.run(&root.actor, WhoAmI).await.unwrap();
    }

    async fn fr_003_012_no_minute_holds_more_than_ten_attempts(store) {
        store.administrator().await;
        let mut allowed: Vec<chrono::DateTime<chrono::Utc>> = Vec::new();
        for seconds in [1, 50, 1, 5, 3, 1, 1, 1, 1, 1, 1, 1, 1, 20, 20, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1, 30, 30] {
            store.clock.advance(Duration::seconds(seconds));
            let error = attempt(&store, "10.0.0.1", "administrator", "wrong").await.unwrap_err();
            if error.kind() == ErrorKind::NotLoggedIn {
                allowed.push(store.clock.now());
            }
        }
        for (i, first) in allowed.iter().enumerate() {
            let within = allowed[i..].iter().filter(|at| **at - *first < Duration::minutes(1));
            assert!(within.count() <= 10, "{allowed:?}");
        }
        assert!(allowed.len() > 10);
    }

    async fn fr_003_013_spellings_of_a_name_count_as_one_and_origins_apart(store) {
        store.administrator().await;
        let spellings = ["administrator", "ADMINISTRATOR", "  Administrator ", "ａｄｍｉｎｉｓｔｒａｔｏｒ"];
        for n in 0..10 {
            let error = attempt(&store, "10.0.0.1", spellings[n % 4], "wrong").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotLoggedIn);
        }
        for spelling in spellings {
            let error = attempt(&store, "10.0.0.1", spelling, PASSWORD).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{spelling}");
        }
        assert!(attempt(&store, "10.0.0.1", "someone else", "wrong").await.is_err_and(
            |error| error.kind() == ErrorKind::NotLoggedIn
        ));
        attempt(&store, "10.0.0.2", "ＡＤＭＩＮＩＳＴＲＡＴＯＲ", PASSWORD).await.unwrap();
    }

    async fn fr_003_013_a_success_clears_the_attempts_of_its_origin(store) {
        store.administrator().await;
        for _ in 0..3 {
            for _ in 0..9 {
                assert!(attempt(&store, "10.0.0.1", "administrator", "wrong").await.is_err());
            }
            attempt(&store, "10.0.0.1", "administrator", PASSWORD).await.unwrap();
        }
    }

    async fn fr_003_013_an_administrator_unlocks_a_name_everywhere_and_it_is_audited(store) {
        let root = store.administrator().await;
        store.user(&root, Role::Viewer).await;
        for origin in ["10.0.0.1", "10.0.0.2"] {
            for _ in 0..11 {
                assert!(attempt(&store, origin, "viewer", "wrong").await.is_err());
            }
        }
        let cleared = store.ops.run(&root.actor, Unlock { username: "Viewer".to_owned(), consent: Consent::yes() }).await;
        assert_eq!(cleared.unwrap(), 22, "every attempt counts");
        for origin in ["10.0.0.1", "10.0.0.2"] {
            attempt(&store, origin, "viewer", PASSWORD).await.unwrap();
        }
        let rows = "select count(*) from audit_logs where action = 'users.unlock' \
                    and actor_name = 'administrator' and target_id = 'viewer' and status = 'succeeded'";
        assert_eq!(store.number(rows).await, 1);
    }

    async fn fr_003_014_every_failed_login_gets_the_same_answer(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        store.user(&root, Role::Viewer).await;
        store.ops.run(&root.actor, SetActive { username: "viewer".to_owned(), active: false, consent: Consent::typed("viewer".to_owned()) }).await.unwrap();
        // The customer's password is right on the customers' plane.
        store
            .sql("update users set password_hash = (select password_hash from platform_users where username = 'viewer')")
            .await
            .unwrap();
        let mut answers = Vec::new();
        let long = "x".repeat(3000);
        for (name, guess) in [
            ("administrator", "wrong password"),
            ("nobody", PASSWORD),
            ("viewer", PASSWORD),
            ("m.lang@contoso.example", PASSWORD),
            ("m.lang", PASSWORD),
            ("", ""),
            ("administrator", long.as_str()),
            (long.as_str(), "wrong"),
            ("nobody\u{0}'; drop table platform_users; --", "wrong"),
        ] {
            answers.push(attempt(&store, "10.0.0.1", name, guess).await.unwrap_err());
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert_eq!(answers[0].exit_code(), 4);
    }

    async fn fr_003_014_an_unknown_name_costs_a_password_hash_as_well(store) {
        store.administrator().await;
        let wrong = async |name: &str| {
            let mut best = StdDuration::MAX;
            for n in 0..5 {
                let begun = std::time::Instant::now();
                assert!(attempt(&store, &format!("10.0.0.{n}"), name, "wrong").await.is_err());
                best = best.min(begun.elapsed());
            }
            best
        };
        wrong("warm up").await;
        let (known, unknown) = (wrong("administrator").await, wrong("nobody").await);
        // A look without a hash takes about a hundredth of one with: this margin is wide.
        assert!(unknown * 4 > known, "known {known:?}, unknown {unknown:?}");
    }

    async fn fr_003_015_every_outcome_of_a_login_is_audited(store) {
        let root = store.administrator().await;
        let no_panel = CapabilitySet::from_iter([Capability::OpsView]);
        let new = tenantpilot::ops::users::NewPlatformUser {
            username: "outside".to_owned(),
            display_name: String::new(),
            password: password::secret(PASSWORD),
            capabilities: no_panel,
            view: tenantpilot::ops::users::UserView::All,
            consent: Consent::yes(),
        };
        store.ops.run(&root.actor, tenantpilot::ops::users::CreateUser(new)).await.unwrap();
        assert!(attempt(&store, "10.0.0.1", "Nobody", "wrong").await.is_err());
        let error = attempt(&store, "10.0.0.1", "outside", PASSWORD).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        assert!(error.message().contains("platform.access_system_panel"));
        let rows = texts(
            &store,
            "select action || ' ' || status || ' ' || actor_kind || ' ' || coalesce(actor_name, '-') || ' ' \
             || coalesce(target_id, '-') || ' ' || origin from audit_logs where action = 'auth.login' order by id",
        )
        .await;
        assert_eq!(
            rows,
            [
                "auth.login succeeded platform_user administrator - local:test",
                "auth.login failed anonymous - nobody 10.0.0.1",
                "auth.login denied anonymous - outside 10.0.0.1",
            ]
        );
        let sessions = "select count(*) from platform_sessions s join platform_users u \
                        on u.id = s.platform_user_id where u.username = 'outside'";
        assert_eq!(store.number(sessions).await, 0);
    }

    async fn fr_003_015_a_login_that_cannot_be_audited_does_not_happen(store) {
        store.administrator().await;
        let before = store.number("select count(*) from platform_sessions").await;
        store.sql("alter table audit_logs rename to audit_logs_gone").await.unwrap();
        let right = attempt(&store, ORIGIN, "administrator", PASSWORD).await.unwrap_err();
        assert_ne!(right.kind(), ErrorKind::NotLoggedIn);
        assert_eq!(store.number("select count(*) from platform_sessions").await, before);
        store.sql("alter table audit_logs_gone rename to audit_logs").await.unwrap();
        attempt(&store, ORIGIN, "administrator", PASSWORD).await.unwrap();
    }
}

#[test]
fn fr_003_022_a_password_can_be_checked_by_a_child_of_the_program() {
    use std::path::PathBuf;
    use std::sync::Arc;

    use tenantpilot::ops::password::{answer_as_child, hash, secret, verify};

    crate::support::stores::block_on(async {
        let places = Arc::new(tokio::sync::Semaphore::new(4));
        let stored = hash(&places, &secret(PASSWORD)).await.unwrap();
        // In a child; and here, where no child can be had.
        for program in [env!("CARGO_BIN_EXE_tenantpilot"), "/nowhere/tenantpilot"] {
            for (guess, known, right) in
                [(PASSWORD, true, true), ("wrong", true, false), (PASSWORD, false, false)]
            {
                let stored = known.then(|| stored.clone());
                let program = Some(PathBuf::from(program));
                let verdict = verify(&places, &secret(guess), stored, program).await.unwrap();
                assert_eq!(verdict, right, "{guess}");
            }
        }
        assert_eq!(answer_as_child(format!("{stored}\n{PASSWORD}").as_bytes()), 10);
        assert_eq!(answer_as_child(format!("{stored}\nwrong").as_bytes()), 11);
        for nonsense in ["", "no line end", "no hash\npassword"] {
            assert_eq!(answer_as_child(nonsense.as_bytes()), 2, "{nonsense:?} gets no verdict");
        }
    });
}
