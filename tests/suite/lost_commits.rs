//! A COMMIT whose answer is lost: what is said is true of the database.

mod platform;
mod runs;
pub mod scene;

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::{Connection as _, Executor as _, PgConnection};
use tenantpilot::access::{Actor, ClientKind, Requirement};
use tenantpilot::domain::capability::Role;
use tenantpilot::domain::operation_type::started_by_customers;
use tenantpilot::domain::run::Source;
use tenantpilot::domain::window::Window;
use tenantpilot::ops::auth::{Login, Session};
use tenantpilot::ops::break_glass::{EndBreakGlass, EnterBreakGlass};
use tenantpilot::ops::overview::{ListFingerprints, RetryGroup};
use tenantpilot::ops::retention::PruneUsage;
use tenantpilot::ops::runs::CancelRun;
use tenantpilot::ops::settings::SetSetting;
use tenantpilot::ops::users::CreateFirstAdministrator;
use tenantpilot::ops::{
    Access, ConnectionLimits, Consent, Create, Engine, Mutant, Ops, OpsSettings, password, table,
};
use tenantpilot::{Error, ErrorKind};

use crate::support::proxy::{Cut, Proxy};
use crate::support::starts::reason;
use crate::support::stores::{ORIGIN, PASSWORD, Store, block_on, both_engines};
use scene::{Case, Scene, audited, run_is};

const PROOF: &str = "may or may not have been made";

/// A service behind a proxy.
pub fn behind(store: &Store, proxy: &Proxy, look_up: Duration, mutant: Option<Mutant>) -> Ops {
    let settings = OpsSettings {
        patience: Duration::from_secs(20),
        limits: ConnectionLimits { look_up, ..ConnectionLimits::default() },
        mutant,
        ..OpsSettings::default()
    };
    let url = proxy.url(&store.url);
    Ops::open(&url, Create::Never, store.clock.clone(), settings).unwrap()
}

/// Every change that a person, or a customer in process, can ask for.
pub fn cases() -> Vec<Case> {
    [platform::cases(), runs::cases()].concat()
}

/// How a COMMIT is cut off, and whether the database can be asked afterwards.
#[derive(Debug, Clone, Copy)]
struct Loss {
    cut: Cut,
    lost: bool,
}

/// Asks for a change whose COMMIT is cut off; gives what was said that is not true.
async fn judged(
    (store, administrator): (&Store, &Session),
    case: &Case,
    n: usize,
    loss: Loss,
    mutant: Option<Mutant>,
) -> Vec<String> {
    let proxy = Proxy::start(&store.url);
    let look_up = Duration::from_millis(if loss.lost { 200 } else { 20_000 });
    let ops = behind(store, &proxy, look_up, mutant);
    // While it is active, every start needs a reason.
    let _ = store.ops.run(&administrator.actor, EndBreakGlass { consent: Consent::yes() }).await;
    let mut scene = Scene { store, administrator, ops: &ops, n, id: 0 };
    scene.id = (case.prepare)(&scene).await;
    let made = (case.made)(n, scene.id);
    let before = store.number(&made).await;
    proxy.trap(loss.cut, None, case.passes, loss.lost);
    let answer = (case.ask)(&scene).await;
    let mut wrong = Vec::new();
    if !proxy.sprung() {
        wrong.push(format!("{}: no COMMIT was cut off: {answer:?}", case.name));
    }
    // The server may still be at it.
    let mut after = store.number(&made).await;
    for _ in 0..200 {
        if after != before || loss.cut == Cut::Before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        after = store.number(&made).await;
    }
    let is_made = after != before;
    if is_made != (loss.cut == Cut::After) {
        wrong.push(format!("{}: made is {is_made} after {loss:?}", case.name));
    }
    let text = answer.as_ref().err().map(Error::to_string).unwrap_or_default();
    let said = match &answer {
        Ok(()) => Some(true),
        Err(error) if error.is_uncertain() && text.contains(PROOF) => None,
        Err(_) if text.contains("nothing was changed") => Some(false),
        Err(_) => {
            wrong.push(format!("{}: says neither: {text}", case.name));
            None
        }
    };
    if said.is_some_and(|said| said != is_made) {
        wrong.push(format!("{}: says made is {said:?}, which is false: {text}", case.name));
    }
    // The server answered the look.
    if !loss.lost && text.contains("cannot be reached") {
        wrong.push(format!("{}: it was reached: {text}", case.name));
    }
    if !loss.lost && said.is_none() {
        wrong.push(format!("{}: was not looked up: {text}", case.name));
    }
    ops.close().await;
    wrong
}

pub async fn prepared() -> (Store, Session) {
    let store = Store::new(Engine::Postgres).await.with_platform().await.with_demo_worker().await;
    let administrator = store.administrator().await;
    store.legacy_findings(&[3], 2).await;
    (store, administrator)
}

#[test]
fn fr_038_001_fr_038_018_what_is_said_of_a_lost_commit_is_true_for_every_change() {
    block_on(async {
        let cases = cases();
        // Nothing that a person can change is left out.
        let covered: BTreeSet<&str> = cases.iter().map(|case| case.name).collect();
        let compares = ["overview.check_counts", "telemetry.check_rollups"];
        for listing in table() {
            let asked = listing.requirement != Requirement::SystemOnly;
            if listing.access != Access::Read && asked && !compares.contains(&listing.name) {
                assert!(covered.contains(listing.name), "{} is not tried", listing.name);
            }
        }
        let (store, administrator) = prepared().await;
        let mut wrong = Vec::new();
        for (index, case) in cases.iter().enumerate() {
            if case.name == "users.create_first_administrator" {
                continue;
            }
            let losses = [
                (Cut::After, false),
                (Cut::Before, false),
                (Cut::After, true),
                (Cut::Before, true),
            ];
            for (round, (cut, lost)) in losses.into_iter().enumerate() {
                // Numbers below 100 make a reference; those of requests are their own.
                let n = if case.name == "support.create_request" {
                    10 + round
                } else {
                    100 + index * 4 + round
                };
                let here = (&store, &administrator);
                wrong.extend(judged(here, case, n, Loss { cut, lost }, None).await);
            }
        }
        assert_eq!(wrong, Vec::<String>::new());
    });
}

#[test]
fn fr_038_001_the_first_administrator_is_there_or_is_not_as_it_is_said() {
    block_on(async {
        for (cut, lost) in [(Cut::After, false), (Cut::Before, false), (Cut::After, true)] {
            let store = Store::new(Engine::Postgres).await;
            let proxy = Proxy::start(&store.url);
            let ops = behind(
                &store,
                &proxy,
                Duration::from_millis(if lost { 200 } else { 20_000 }),
                None,
            );
            proxy.trap(cut, None, 0, lost);
            let first = CreateFirstAdministrator {
                username: "ana".to_owned(),
                password: password::secret(PASSWORD),
            };
            let done = ops.run(&Actor::Anonymous { origin: ORIGIN.to_owned() }, first).await;
            match (cut, lost) {
                (Cut::After, false) => assert_eq!(done.unwrap().username, "ana"),
                (Cut::Before, _) => {
                    assert!(done.unwrap_err().to_string().contains("nothing was changed"))
                }
                _ => {
                    let error = done.unwrap_err().to_string();
                    assert!(
                        error.contains(PROOF) && error.contains("tenantpilot users list"),
                        "{error}"
                    );
                }
            }
        }
    });
}

#[test]
fn fr_038_002_the_old_belief_that_a_lost_answer_is_a_refusal_is_caught() {
    block_on(async {
        let (store, administrator) = prepared().await;
        let cases = cases();
        for (n, name) in [(1, "runs.cancel"), (2, "users.create"), (3, "runs.pause")] {
            let case = cases.iter().find(|case| case.name == name).unwrap();
            let loss = Loss { cut: Cut::After, lost: false };
            let mutant = Some(Mutant::DeniesLostCommits);
            let wrong = judged((&store, &administrator), case, n, loss, mutant).await;
            assert!(wrong.iter().any(|text| text.contains("which is false")), "{name}: {wrong:?}");
        }
    });
}

#[test]
fn fr_038_003_a_commit_that_is_never_answered_is_looked_up_once_patience_ends() {
    block_on(async {
        let (store, administrator) = prepared().await;
        let proxy = Proxy::start(&store.url);
        let second = Duration::from_secs(1);
        // An answer that has a limit of its own is waited for no longer than that.
        for (patience, answer) in [(second, None), (second * 600, Some(second))] {
            let limits = ConnectionLimits { answer, ..ConnectionLimits::default() };
            let settings = OpsSettings { patience, limits, ..OpsSettings::default() };
            let url = proxy.url(&store.url);
            let ops = Ops::open(&url, Create::Never, store.clock.clone(), settings).unwrap();
            let run_id = store.start("policy.sync", 1).await;
            proxy.trap(Cut::Silent, None, 0, false);
            let consent = crate::support::starts::sure("CANCEL", run_id);
            let cancelled = ops.run(&administrator.actor, CancelRun { run_id, consent });
            tokio::time::timeout(second * 60, cancelled).await.unwrap().unwrap();
            assert!(proxy.sprung());
            assert_eq!(store.number(&run_is(run_id, "outcome = 'cancelled'")).await, 1);
        }
    });
}

#[test]
fn fr_038_004_what_is_given_up_before_its_commit_changed_nothing() {
    block_on(async {
        let (store, administrator) = prepared().await;
        let settings =
            OpsSettings { patience: Duration::from_millis(300), ..OpsSettings::default() };
        let ops = store.another(settings);
        let run_id = store.start("policy.sync", 1).await;
        let url = store.url.clone();
        let mut holder = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.unwrap();
        let hold = format!("begin; select 1 from operation_runs where id = {run_id} for update");
        sqlx::Executor::execute(&mut holder, sqlx::AssertSqlSafe(hold)).await.unwrap();
        let error = ops
            .run(
                &administrator.actor,
                CancelRun { run_id, consent: crate::support::starts::sure("CANCEL", run_id) },
            )
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(
            !error.is_uncertain() && error.to_string().contains("nothing was changed"),
            "{error}"
        );
        sqlx::Connection::close(holder).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(store.number(&run_is(run_id, "status = 'queued'")).await, 1);
        assert_eq!(store.number(&audited("runs.cancel")).await, 0);
    });
}

#[test]
fn fr_038_005_a_refusal_stays_one_whether_its_record_is_written_or_not() {
    block_on(async {
        let (store, administrator) = prepared().await;
        let viewer = store.user(&administrator, Role::Viewer).await;
        let run_id = store.start("policy.sync", 1).await;
        for cut in [Cut::Before, Cut::After] {
            let proxy = Proxy::start(&store.url);
            let ops = behind(&store, &proxy, Duration::from_millis(200), None);
            proxy.trap(cut, None, 0, true);
            let error = ops
                .run(
                    &viewer.actor,
                    CancelRun { run_id, consent: crate::support::starts::sure("CANCEL", run_id) },
                )
                .await
                .unwrap_err();
            assert!(proxy.sprung());
            assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
            assert!(!error.to_string().contains(PROOF), "{error}");
        }
        assert_eq!(store.number(&run_is(run_id, "status = 'queued'")).await, 1);
    });
}

#[test]
fn fr_038_017_a_login_that_loses_the_database_says_at_most_that_it_was_counted() {
    block_on(async {
        let (store, _) = prepared().await;
        let proxy = Proxy::start(&store.url);
        for (n, password) in [(1, PASSWORD), (2, "not the password")] {
            let ops = behind(&store, &proxy, Duration::from_millis(200), None);
            proxy.restore();
            // The attempt is on record; what follows it finds no database.
            proxy.trap(Cut::Behind, Some("login_attempts"), 0, true);
            let login = Login::new("administrator", password, ClientKind::Console);
            let actor = Actor::Anonymous { origin: format!("host{n}") };
            let error = ops.run(&actor, login).await.unwrap_err();
            assert!(proxy.sprung());
            assert_eq!((error.kind(), error.is_uncertain()), (ErrorKind::Unreachable, false));
            let said = error.next_step();
            assert_eq!(said, Some("at most the attempt was counted; check that it runs"));
            let counted = format!("select count(*) from login_attempts where origin = 'host{n}'");
            assert_eq!(store.number(&counted).await, 1);
            ops.close().await;
        }
    });
}

#[test]
fn fr_038_017_what_follows_a_counted_attempt_does_not_say_that_nothing_was_changed() {
    block_on(async {
        let (store, administrator) = prepared().await;
        let answer = Some(Duration::from_millis(700));
        let limits = ConnectionLimits { answer, ..ConnectionLimits::default() };
        let ops = store.another(OpsSettings { limits, ..OpsSettings::default() });
        let lock = async |table: &str| {
            let mut other = PgConnection::connect(&store.url).await.unwrap();
            let lock = format!("begin; lock table {table} in exclusive mode");
            other.execute(sqlx::AssertSqlSafe(lock)).await.unwrap();
            other
        };
        let counted = "select coalesce(sum(n), 0)::bigint from login_attempts";
        let held = lock("platform_sessions").await;
        let login = Login::new("administrator", PASSWORD, ClientKind::Console);
        let actor = Actor::Anonymous { origin: "host".to_owned() };
        let login = ops.run(&actor, login).await.map(drop).unwrap_err();
        drop(held);
        assert_eq!(store.number(counted).await, 1, "{login}");
        let held = lock("break_glass_grants").await;
        let enter = EnterBreakGlass {
            consent: Consent::yes().because(Some(reason())),
            minutes: 5,
            password: password::secret(PASSWORD),
        };
        let enter = ops.run(&administrator.actor, enter).await.map(drop).unwrap_err();
        drop(held);
        assert_eq!(store.number(counted).await, 2, "{enter}");
        for error in [login, enter] {
            let said = error.next_step();
            assert_eq!(
                said,
                Some("at most the attempt was counted; check that it runs"),
                "{error}"
            );
        }
    });
}

#[test]
fn fr_038_006_what_was_changed_in_part_is_not_told_as_nothing() {
    block_on(async {
        let (store, administrator) = prepared().await;
        store.sql("insert into product_usage_events (workspace_id, tenant_id, event_name, feature_area, subject_type, \
            subject_id, metadata, occurred_at) select 1, 1, 'product.operations.started', 'operations', 'operation_run', \
            n::text, '{}', '2020-01-01T00:00:00+00:00' from generate_series(1, 4500) n").await.unwrap();
        let proxy = Proxy::start(&store.url);
        let ops = behind(&store, &proxy, Duration::from_millis(200), None);
        proxy.trap(Cut::Before, None, 1, true);
        let prune = PruneUsage { days: None, consent: Consent::typed("PRUNE") };
        let error = ops.run(&administrator.actor, prune).await.unwrap_err().to_string();
        assert!(error.contains("at least 2000 event(s) were deleted before"), "{error}");
        assert!(!error.contains("nothing was changed"), "{error}");
        assert_eq!(store.number("select count(*) from product_usage_events").await, 2500);

        // Three retries, of which the second is cut off.
        let mut runs = Vec::new();
        for kind in started_by_customers().take(3) {
            runs.push(store.ended(kind.key, 1, 1, 1, 1).await);
        }
        let list = ListFingerprints { window: Some(Window::Month), limit: 50 };
        let found = store.ops.run(&administrator.actor, list).await.unwrap();
        for (cut, unknown) in [(Cut::Before, 1)] {
            proxy.restore();
            proxy.trap(cut, None, 2, true);
            let group = RetryGroup {
                fingerprint: found.fingerprints[0].fingerprint.clone(),
                run_ids: runs.clone(),
                consent: Consent::typed("RETRY 3").because(Some(reason())),
                source: Source::Cli,
                wait_for_worker: false,
            };
            let done = ops.run(&administrator.actor, group).await.unwrap();
            assert_eq!(
                (done.started.len(), done.unknown.len(), done.refused.len()),
                (1, unknown, 1),
                "{done:?}"
            );
            assert!(done.refused[0].why.contains("cannot be reached"), "{done:?}");
        }
    });
}

both_engines! {
    async fn fr_038_007_a_commit_that_the_database_refuses_made_nothing(store) {
        let administrator = store.administrator().await;
        store.sql("create table late_rule (id bigint primary key, other bigint references late_rule (id) deferrable initially deferred)").await.unwrap();
        let (make, gone) = match store.engine {
            Engine::Postgres => (
                "create function late() returns trigger language plpgsql as $$ begin \
                 insert into late_rule values (new.id, -1); return new; end $$; \
                 create trigger late after insert on audit_logs for each row execute function late()",
                "drop trigger late on audit_logs",
            ),
            Engine::Sqlite => (
                "create trigger late after insert on audit_logs begin insert into late_rule values (new.id, -1); end",
                "drop trigger late",
            ),
        };
        store.sql(make).await.unwrap();
        let set = || SetSetting { key: "environment.label".to_owned(), value: Some("LIVE".to_owned()), consent: Consent::yes() };
        let error = store.ops.run(&administrator.actor, set()).await.unwrap_err();
        assert!(!error.is_uncertain() && error.message().contains("a rule of the database forbids it"), "{error}");
        let made = "select count(*) from platform_settings where value = 'LIVE'";
        assert_eq!(store.number(made).await, 0);
        store.sql(gone).await.unwrap();
        store.ops.run(&administrator.actor, set()).await.unwrap();
        assert_eq!(store.number(made).await, 1);
    }
}
