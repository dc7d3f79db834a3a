//! Break-glass: specs/021-break-glass.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tenantpilot::access::{Actor, BreakGlass, ClientKind};
use tenantpilot::domain::capability::{Capability, CapabilitySet, Role};
use tenantpilot::domain::confirmation::ReasonRule;
use tenantpilot::domain::rollout::StopReason;
use tenantpilot::domain::run::Source;
use tenantpilot::domain::start_reason::{StartReason, StartReasonCode};
use tenantpilot::ops::Consent;
use tenantpilot::ops::auth::{ATTEMPTS, Login, Session, WhoAmI};
use tenantpilot::ops::break_glass::{CurrentBreakGlass, EndBreakGlass, EnterBreakGlass};
use tenantpilot::ops::runs::{CancelRun, GetRun, ListRuns, RetryRun, RunScope, Started};
use tenantpilot::ops::users::{ListUsers, ResetPassword, SetActive};
use tenantpilot::ops::{Ops, OpsSettings, password};
use tenantpilot::{Error, ErrorKind};

use crate::console::run_control::{claim, finish, service, start};
use crate::database::texts;
use crate::support::starts::Wish;
use crate::support::starts::because;
use crate::support::stores::{ORIGIN, PASSWORD, Store, both_engines};

pub fn reason(text: &str) -> StartReason {
    StartReason::as_typed(StartReasonCode::Incident, text)
}

fn enter(minutes: u32, guess: &str) -> EnterBreakGlass {
    EnterBreakGlass {
        consent: Consent::yes().because(Some(reason("checkout is down"))),
        minutes,
        password: password::secret(guess),
    }
}

/// Takes break-glass for so many minutes.
pub async fn take(store: &Store, session: &Session, minutes: u32) -> Result<BreakGlass, Error> {
    store.ops.run(&session.actor, enter(minutes, PASSWORD)).await
}

async fn current(store: &Store, session: &Session) -> Option<BreakGlass> {
    store.ops.run(&session.actor, CurrentBreakGlass).await.unwrap()
}

async fn grants(store: &Store) -> i64 {
    store.number("select count(*) from break_glass_grants").await
}

/// The audit rows of actions like this, oldest first: action, status, mark.
async fn audited(store: &Store, action: &str) -> Vec<String> {
    texts(
        store,
        &format!(
            "select action || ' ' || status || case when break_glass then ' marked' else '' end \
             from audit_logs where action like '{action}' order by id"
        ),
    )
    .await
}

/// A start of the probe on one tenant, which needs no reason of its own.
pub async fn probe(
    ops: &Ops,
    actor: &Actor,
    tenant: i64,
    reason: Option<StartReason>,
) -> Result<Started, Error> {
    let wish = Wish {
        inputs: json!({ "ledger": false }),
        source: Source::Cli,
        ..Wish::new("testing.probe", RunScope::Tenant(tenant))
    };
    let plan = wish.plan(ops, actor).await?;
    ops.run(actor, because(&wish.start(&plan), reason)).await
}

/// A service whose password checks wait until a file is there, and find every password right.
fn slow(store: &Store, folder: &tempfile::TempDir) -> (Ops, PathBuf) {
    let (flag, program) = (folder.path().join("go"), folder.path().join("check"));
    let script = format!(
        "#!/bin/sh\nwhile [ ! -e '{}' ]; do /bin/sleep 0.02; done\n/bin/cat >/dev/null\nexit 10\n",
        flag.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let settings = OpsSettings {
        patience: Duration::from_secs(60),
        program: Some(program),
        ..OpsSettings::default()
    };
    (store.another(settings), flag)
}

/// Waits until a slot of the throttle was taken: the first check is done then.
async fn reserved(store: &Store) {
    for _ in 0..6000 {
        if store.number("select count(*) from login_attempts").await > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no slot was taken");
}

both_engines! {
    async fn fr_021_001_it_is_taken_with_reason_password_and_length(store) {
        let root = store.administrator().await;
        let session = store.user(&root, Role::OnCall).await;
        assert_eq!(current(&store, &session).await, None);
        let glass = take(&store, &session, 45).await.unwrap();
        assert_eq!(glass.reason_code, StartReasonCode::Incident);
        assert_eq!(glass.reason, "checkout is down");
        assert_eq!(glass.granted_at, store.clock.now());
        assert_eq!(glass.expires_at - glass.granted_at, chrono::Duration::minutes(45));
        assert_eq!(current(&store, &session).await, Some(glass.clone()));
        assert_eq!(audited(&store, "break_glass.%").await, ["break_glass.enter succeeded marked"]);
        let row = "from audit_logs where action = 'break_glass.enter'";
        let row = texts(&store, &format!("select actor_name || ' ' || target_type || ' ' || target_id || ' ' || origin || ' ' || cast(after_state as text) {row}")).await.remove(0);
        for part in ["oncall break_glass_grant 1 local:test", "INCIDENT", "checkout is down", "expires_at"] {
            assert!(row.contains(part), "{part} in {row}");
        }
        let everything = "select count(*) from audit_logs where cast(metadata as text) like '%horse%' or cast(after_state as text) like '%horse%'";
        assert_eq!(store.number(everything).await, 0);

        // Ending it.
        let ended = store.ops.run(&session.actor, EndBreakGlass { consent: Consent::yes() }).await.unwrap();
        assert_eq!(ended, glass);
        assert_eq!(current(&store, &session).await, None);
        let error = store.ops.run(&session.actor, EndBreakGlass { consent: Consent::yes() }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains("break-glass is not active"), "{error}");
        assert_eq!(audited(&store, "break_glass.end").await, ["break_glass.end succeeded marked", "break_glass.end refused"]);
    }

    async fn fr_021_002_the_password_is_checked_and_throttled_like_a_login(store) {
        let root = store.administrator().await;
        let session = store.user(&root, Role::OnCall).await;
        let guess = |guess: &str| store.ops.run(&session.actor, enter(60, guess));
        let wrong = guess("wrong").await.unwrap_err();
        assert_eq!(wrong.kind(), ErrorKind::Refused);
        assert!(wrong.to_string().contains("the password is not right"), "{wrong}");
        // The session lives on.
        store.ops.run(&session.actor, WhoAmI).await.unwrap();
        assert_eq!(audited(&store, "break_glass.%").await, ["break_glass.enter failed"]);
        // The right one clears what was counted.
        take(&store, &session, 60).await.unwrap();
        assert_eq!(store.number("select count(*) from login_attempts").await, 0);
        store.ops.run(&session.actor, EndBreakGlass { consent: Consent::yes() }).await.unwrap();

        for _ in 0..ATTEMPTS {
            assert!(guess("wrong").await.unwrap_err().to_string().contains("not right"));
        }
        let throttled = take(&store, &session, 60).await.unwrap_err();
        assert!(throttled.to_string().contains("too many attempts"), "{throttled}");
        let throttle = "select count(*) from audit_logs where action = 'break_glass.enter' \
                        and status = 'throttled' and actor_name = 'oncall' and origin = 'local:test'";
        assert_eq!(store.number(throttle).await, 1);
        // It is the login's own throttle, so nobody guesses twice as often by guessing here.
        let from = Actor::Anonymous { origin: ORIGIN.to_owned() };
        let login = store.ops.run(&from, Login::new("oncall", PASSWORD, ClientKind::Console)).await;
        assert!(login.unwrap_err().to_string().contains("too many attempts"));
        assert_eq!(store.number("select count(*) from break_glass_grants where ended_at is null").await, 0);
        store.pass(61);
        take(&store, &session, 60).await.unwrap();
    }

    async fn fr_021_003_a_reason_has_to_say_something(store) {
        let session = store.administrator().await;
        for text in ["", "   ", "\u{200b}\u{200d}\u{2060}", "\u{7}\u{1b}\u{9b}", "down\u{1b}[31m", "...", "ab", "x", "it hangs", "aaaaaaaaaaaa", "test test test", "asdfghjkl qwertz", &"x".repeat(501), &"x".repeat(10 * 1024)] {
            assert!(StartReason::new(StartReasonCode::Incident, text, ReasonRule::Required).is_err(), "{text:?}");
            // Nor by the back door.
            let code = StartReasonCode::Incident;
            let enter = EnterBreakGlass { consent: Consent::yes().because(Some(StartReason { code, text: text.to_owned() })), ..enter(60, PASSWORD) };
            let error = store.ops.run(&session.actor, enter).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{text:?}: {error}");
        }
        assert_eq!(grants(&store).await, 0);
        assert_eq!(store.number("select count(*) from login_attempts").await, 0);
        let hostile = StartReason { code: StartReasonCode::Security, text: "a\u{202e}b\u{200b} leak password=hunter2hunter2".to_owned() };
        let glass = store.ops.run(&session.actor, EnterBreakGlass { consent: Consent::yes().because(Some(hostile)), ..enter(60, PASSWORD) }).await.unwrap();
        assert!(!glass.reason.contains(|c: char| c.is_control() || c == '\u{202e}'), "{:?}", glass.reason);
        assert!(!glass.reason.contains("hunter2"), "{}", glass.reason);
        assert_eq!(texts(&store, "select reason from break_glass_grants").await, [glass.reason]);
    }

    async fn fr_021_004_it_lasts_five_to_two_hundred_and_forty_minutes(store) {
        let session = store.administrator().await;
        for minutes in [0, 4, 241, u32::MAX] {
            let error = take(&store, &session, minutes).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.to_string().contains("5 to 240 minutes"), "{error}");
        }
        assert_eq!(grants(&store).await, 0);
        for minutes in [5, 240] {
            take(&store, &session, minutes).await.unwrap();
            store.ops.run(&session.actor, EndBreakGlass { consent: Consent::yes() }).await.unwrap();
        }
    }

    async fn fr_021_005_there_is_one_at_a_time(store) {
        let session = store.administrator().await;
        let (one, two) = tokio::join!(take(&store, &session, 60), take(&store, &session, 30));
        let (won, lost) = match (one, two) {
            (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
            other => panic!("{other:?}"),
        };
        let until = won.expires_at.format("active already, until 2026-11-20 %H:%M:%S UTC").to_string();
        assert_eq!(lost.kind(), ErrorKind::Refused);
        assert!(lost.to_string().contains(&until), "{lost}");
        let again = take(&store, &session, 60).await.unwrap_err();
        assert!(again.to_string().contains(&until), "{again}");
        assert_eq!(grants(&store).await, 1);
        assert_eq!(
            store.number("select count(*) from audit_logs where action = 'break_glass.enter' and status = 'refused'").await,
            2
        );

        // Expired, but never ended: the next one closes it as of its expiry.
        store.clock.advance(won.expires_at - store.clock.now());
        let session = store.login("administrator").await;
        let next = take(&store, &session, 5).await.unwrap();
        assert_ne!(next.grant_id, won.grant_id);
        assert_eq!(
            texts(&store, "select case when ended_at is null then 'open' when ended_at = expires_at then 'expired' else 'ended' end from break_glass_grants order by id").await,
            ["expired", "open"]
        );
    }

    async fn fr_021_006_capability_and_session_are_checked_where_the_grant_is_written(store) {
        let root = store.administrator().await;
        let viewer = store.user(&root, Role::Viewer).await;
        for refused in [take(&store, &viewer, 60).await.err(), store.ops.run(&viewer.actor, EndBreakGlass { consent: Consent::yes() }).await.err()] {
            let error = refused.unwrap();
            assert_eq!(error.kind(), ErrorKind::Forbidden);
            assert!(error.to_string().contains("platform.break_glass.use"), "{error}");
        }
        assert_eq!(audited(&store, "break_glass.%").await, ["break_glass.enter denied", "break_glass.end denied"]);
        assert_eq!(store.number("select count(*) from login_attempts").await, 0);

        // The capability is taken away while the password is checked.
        let session = store.user(&root, Role::OnCall).await;
        let folder = tempfile::TempDir::new().unwrap();
        let (ops, flag) = slow(&store, &folder);
        let actor = session.actor.clone();
        let pending = tokio::spawn(async move { ops.run(&actor, enter(60, PASSWORD)).await });
        reserved(&store).await;
        let names = Role::Viewer.capabilities().names().iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(",");
        store.sql(&format!("update platform_users set capabilities = '[{names}]' where username = 'oncall'")).await.unwrap();
        std::fs::write(&flag, "").unwrap();
        let error = pending.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
        assert_eq!(grants(&store).await, 0);
        assert_eq!(audited(&store, "break_glass.enter").await.last().unwrap(), "break_glass.enter denied");

        // The password is changed while the old one is checked.
        store.sql("delete from login_attempts").await.unwrap();
        let session = store.user(&root, Role::Operator).await;
        let folder = tempfile::TempDir::new().unwrap();
        let (ops, flag) = slow(&store, &folder);
        let pending = tokio::spawn(async move { ops.run(&session.actor, enter(60, PASSWORD)).await });
        reserved(&store).await;
        let reset = ResetPassword { username: "operator".to_owned(), password: password::secret("another long password"), consent: Consent::yes() };
        store.ops.run(&root.actor, reset).await.unwrap();
        std::fs::write(&flag, "").unwrap();
        assert_eq!(pending.await.unwrap().unwrap_err().kind(), ErrorKind::NotLoggedIn);
        assert_eq!(grants(&store).await, 0);
    }

    async fn fr_021_006_a_capability_taken_while_it_is_active_ends_nothing_and_allows_nothing(store) {
        let root = store.administrator().await;
        let session = store.user(&root, Role::OnCall).await;
        let glass = take(&store, &session, 60).await.unwrap();
        let taken = crate::support::starts::capabilities("oncall", Role::Viewer.capabilities());
        store.ops.run(&root.actor, taken).await.unwrap();
        assert_eq!(store.ops.run(&session.actor, EndBreakGlass { consent: Consent::yes() }).await.unwrap_err().kind(), ErrorKind::NotLoggedIn);
        let session = store.login("oncall").await;
        assert_eq!(current(&store, &session).await, Some(glass));
        assert_eq!(store.ops.run(&session.actor, EndBreakGlass { consent: Consent::yes() }).await.unwrap_err().kind(), ErrorKind::Forbidden);
        assert_eq!(audited(&store, "break_glass.end").await, ["break_glass.end denied marked"; 2]);
    }

    async fn fr_021_007_what_cannot_be_audited_does_not_happen(store) {
        let session = store.administrator().await;
        store.sql("alter table audit_logs rename to gone").await.unwrap();
        take(&store, &session, 60).await.unwrap_err();
        assert_eq!(grants(&store).await, 0);
        store.sql("alter table gone rename to audit_logs").await.unwrap();
        take(&store, &session, 60).await.unwrap();
        store.sql("alter table audit_logs rename to gone").await.unwrap();
        store.ops.run(&session.actor, EndBreakGlass { consent: Consent::yes() }).await.unwrap_err();
        store.sql("alter table gone rename to audit_logs").await.unwrap();
        assert!(current(&store, &session).await.is_some());
        store.ops.run(&session.actor, EndBreakGlass { consent: Consent::yes() }).await.unwrap();
    }

    async fn fr_021_008_it_is_active_for_one_person_in_every_session_until_its_time_is_over(store) {
        let root = store.administrator().await;
        let one = store.user(&root, Role::OnCall).await;
        let two = store.login("oncall").await;
        let glass = take(&store, &one, 30).await.unwrap();
        assert_eq!(current(&store, &two).await, Some(glass.clone()));
        assert_eq!(current(&store, &root).await, None);
        // A session that is made later has it too.
        let three = store.login("oncall").await;
        assert_eq!(current(&store, &three).await, Some(glass.clone()));
        store.pass(30 * 60 - 1);
        let four = store.login("oncall").await;
        assert_eq!(current(&store, &four).await, Some(glass.clone()));
        store.pass(1);
        assert_eq!(current(&store, &four).await, None);
        assert_eq!(store.ops.run(&four.actor, EndBreakGlass { consent: Consent::yes() }).await.unwrap_err().kind(), ErrorKind::Refused);

        // Ended in one session, it is over in all of them.
        take(&store, &four, 30).await.unwrap();
        let five = store.login("oncall").await;
        store.ops.run(&five.actor, EndBreakGlass { consent: Consent::yes() }).await.unwrap();
        assert_eq!(current(&store, &four).await, None);
        assert_eq!(store.ops.run(&Actor::System, CurrentBreakGlass).await.unwrap_err().kind(), ErrorKind::NotLoggedIn);
    }

    async fn fr_021_009_it_grants_nothing(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let few: CapabilitySet = [Capability::AccessSystemPanel, Capability::OpsView, Capability::BreakGlassUse].into_iter().collect();
        let session = store.user_with(&root, "few", few, &[2]).await;
        store.start("policy.sync", 1).await;
        take(&store, &session, 60).await.unwrap();
        assert!(store.ops.run(&session.actor, ListRuns::default()).await.unwrap().runs.is_empty());
        for error in [
            store.ops.run(&session.actor, CancelRun { run_id: 1, consent: crate::support::starts::sure("CANCEL", 1) }).await.err(),
            store.ops.run(&session.actor, ListUsers).await.err(),
            probe(&service(&store), &session.actor, 1, Some(reason("the queue is stuck"))).await.err(),
        ] {
            assert_eq!(error.unwrap().kind(), ErrorKind::Forbidden);
        }
        assert_eq!(audited(&store, "runs.cancel").await, ["runs.cancel denied marked"]);
    }

    async fn fr_021_010_every_start_needs_a_reason(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let ops = service(&store);
        // Without break-glass one tenant needs none.
        let free = probe(&ops, &root.actor, 1, None).await.unwrap().run_id;
        take(&store, &root, 60).await.unwrap();
        let blank = StartReason { code: StartReasonCode::Incident, text: "\u{200b} ".to_owned() };
        let error = probe(&ops, &root.actor, 2, None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains("break-glass is active: every start needs a reason"), "{error}");
        for says_nothing in [blank, reason("ab"), reason("it hangs"), reason("aaaaaaaaaaaa")] {
            let error = probe(&ops, &root.actor, 2, Some(says_nothing)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        }
        let prune = Wish { source: Source::Cli, ..Wish::new("product_usage.prune", RunScope::Platform) };
        let plan = prune.plan(&ops, &root.actor).await.unwrap();
        let prune = because(&prune.start(&plan), None);
        assert!(ops.run(&root.actor, prune).await.unwrap_err().to_string().contains("needs a reason"));
        assert_eq!(store.number("select count(*) from operation_runs").await, 1);
        let given = probe(&ops, &root.actor, 2, Some(reason("the import hangs"))).await.unwrap().run_id;

        // Both end with work left undone, and are tried again.
        for run_id in [free, given] {
            let held = claim(&ops).await;
            assert_eq!(held.id, run_id);
            finish(&ops, &held, Some(StopReason::Closed)).await;
        }
        let retry = |run_id| RetryRun { run_id, consent: Consent::yes(), source: Source::Cli, request_id: None, wait_for_worker: true };
        let error = ops.run(&root.actor, retry(free)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        for part in ["every start needs a reason, and run 1 recorded none", "give --reason-code and --reason"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        let again = ops.run(&root.actor, retry(given)).await.unwrap().started.run_id;
        let detail = ops.run(&root.actor, GetRun { id: again }).await.unwrap();
        assert_eq!(detail.context["reason"]["text"], "the import hangs");
        assert!(detail.run.break_glass);
        // The system has no break-glass, whoever else has.
        start(&ops, &[3]).await;
        store.ops.run(&root.actor, EndBreakGlass { consent: Consent::yes() }).await.unwrap();
        ops.run(&root.actor, retry(free)).await.unwrap();
    }

    async fn fr_021_011_runs_and_audit_rows_are_marked(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let other = store.user(&root, Role::Operator).await;
        let ops = service(&store);
        let before = probe(&ops, &root.actor, 1, None).await.unwrap().run_id;
        let glass = take(&store, &root, 60).await.unwrap();
        let marked = probe(&ops, &root.actor, 2, Some(reason("the import hangs"))).await.unwrap().run_id;
        let others = probe(&ops, &other.actor, 3, None).await.unwrap().run_id;
        // Starting what is there already marks nothing.
        assert!(!probe(&ops, &root.actor, 1, Some(reason("the queue is stuck"))).await.unwrap().created);
        // Everything that the person does is marked, on whatever.
        ops.run(&root.actor, CancelRun { run_id: others, consent: crate::support::starts::sure("CANCEL", others) }).await.unwrap();
        let off = SetActive { username: "operator".to_owned(), active: false, consent: Consent::typed("operator".to_owned()) };
        ops.run(&root.actor, off).await.unwrap();
        ops.run(&root.actor, EndBreakGlass { consent: Consent::yes() }).await.unwrap();
        ops.run(&root.actor, SetActive { username: "operator".to_owned(), active: true, consent: Consent::typed("operator".to_owned()) }).await.unwrap();

        let context: Value = serde_json::from_str(&store.text(&format!("select cast(context as text) from operation_runs where id = {marked}")).await).unwrap();
        assert_eq!(context["break_glass"], json!({ "grant_id": glass.grant_id, "reason_code": "INCIDENT",
                   "reason": "checkout is down", "expires_at": glass.expires_at }));
        assert_eq!(context["reason"]["text"], "the import hangs");
        for id in [before, others] {
            assert!(!store.text(&format!("select cast(context as text) from operation_runs where id = {id}")).await.contains("break_glass"));
        }
        assert_eq!(texts(&store, "select cast(id as text) from operation_runs where break_glass").await, [marked.to_string()]);

        // The worker's rows follow the run, though nobody's break-glass is active any more.
        for _ in 0..2 {
            let held = claim(&ops).await;
            finish(&ops, &held, Some(StopReason::Blocked)).await;
        }
        let rows = |id: i64| format!("select action || case when break_glass then ' marked' else '' end from audit_logs where run_id = {id} order by id");
        // Somebody under break-glass asked for it while it was active.
        assert_eq!(texts(&store, &rows(before)).await, ["runbooks.start", "runbooks.start marked", "runs.complete"]);
        assert_eq!(texts(&store, &rows(marked)).await, ["runbooks.start marked", "runs.complete marked"]);
        assert_eq!(texts(&store, &rows(others)).await, ["runbooks.start", "runs.cancel marked", "runs.complete marked"]);
        let changes = audited(&store, "users.set_active").await;
        assert_eq!(changes.iter().filter(|row| row.ends_with("marked")).count(), 1, "{changes:?}");
    }
}
