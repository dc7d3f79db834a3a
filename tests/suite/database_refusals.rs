//! Why a server takes no session, and which grant a role is missing there: each has its own sentence,
//! in the console and in commands.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tenantpilot::access::Actor;
use tenantpilot::ops::overview::ReadOverview;
use tenantpilot::ops::runs::{CancelRun, GetRun, ListRuns};
use tenantpilot::ops::settings::SetSetting;
use tenantpilot::ops::workers::ListWorkers;
use tenantpilot::ops::{ConnectionLimits, Consent, Create, Engine, Ops, OpsSettings};
use tenantpilot::{Clock, Error, ErrorKind};

use crate::cli::Person;
use crate::grants::Role;
use crate::support::console::Console;
use crate::support::postgres::{administer, fresh_postgres_database};
use crate::support::stores::{Store, block_on};

fn open(url: &str) -> Ops {
    Ops::open(url, Create::Never, Clock::system(), OpsSettings::default()).unwrap()
}

async fn refusal(url: &str) -> Error {
    let ops = open(url);
    let error = ops.schema_state().await.unwrap_err();
    ops.close().await;
    error
}

/// A server that refuses every session with these fields; gives its address.
fn server_that_says(code: &str, routine: &str, message: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut answer: Vec<u8> = Vec::new();
    for (field, text) in
        [(b'S', "FATAL"), (b'V', "FATAL"), (b'C', code), (b'M', message), (b'R', routine)]
    {
        answer.push(field);
        answer.extend(text.as_bytes());
        answer.push(0);
    }
    answer.push(0);
    let length = u32::try_from(answer.len() + 4).unwrap().to_be_bytes();
    let answer = [&b"E"[..], &length, &answer].concat();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            // One that gives up early is none of the test's.
            let _ = refuse(client, &answer);
        }
    });
    format!("postgres://u:p@127.0.0.1:{port}/x")
}

fn refuse(mut client: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    let mut head = [0; 8];
    client.read_exact(&mut head)?;
    // No TLS here; what follows is the beginning of a session.
    if head[4..] == 80_877_103_u32.to_be_bytes() {
        client.write_all(b"N")?;
        client.read_exact(&mut head)?;
    }
    let length = usize::try_from(u32::from_be_bytes([head[0], head[1], head[2], head[3]])).unwrap();
    client.read_exact(&mut vec![0; length - head.len()])?;
    client.write_all(answer)
}

#[test]
fn fr_043_007_each_refusal_of_a_session_has_its_own_sentence() {
    let cases = [
        (
            "28P01",
            "auth_failed",
            "password authentication failed for user \"u\"",
            "refused the name or password",
            "expired",
        ),
        (
            "28000",
            "ClientAuthentication",
            "pg_hba.conf rejects connection for host \"10.0.0.9\"",
            "refused by the server's pg_hba.conf",
            "TLS",
        ),
        (
            "28000",
            "InitializeSessionUserId",
            "role \"u\" is not permitted to log in",
            "may not log in",
            "alter role",
        ),
        (
            "28000",
            "InitializeSessionUserId",
            "role \"u\" does not exist",
            "the role of the database URL does not exist",
            "user",
        ),
        (
            "28000",
            "InitializeSessionUserId",
            "Rolle »u« hat keine Berechtigung zum Einloggen",
            "may not log in",
            "alter role",
        ),
        (
            "3D000",
            "InitPostgres",
            "database \"x\" does not exist",
            "the database named in the URL does not exist",
            "createdb",
        ),
        (
            "42501",
            "CheckMyDatabase",
            "permission denied for database \"x\"",
            "may not connect",
            "grant connect",
        ),
        (
            "53300",
            "InitProcess",
            "sorry, too many clients already",
            "too many connections",
            "max_connections",
        ),
        (
            "55000",
            "CheckMyDatabase",
            "database \"x\" is not currently accepting connections",
            "takes no connections",
            "allow_connections true",
        ),
        (
            "57P01",
            "ProcessInterrupts",
            "terminating connection due to administrator command",
            "the server ended the connection",
            "administrator",
        ),
        (
            "57P02",
            "quickdie",
            "terminating connection because of crash of another server process",
            "after a crash",
            "restarts",
        ),
        (
            "57P03",
            "ProcessStartupPacket",
            "the database system is starting up",
            "the database is starting",
            "in a moment",
        ),
        (
            "57P03",
            "ProcessStartupPacket",
            "the database system is shutting down",
            "the database is stopping",
            "once it runs",
        ),
        (
            "57P03",
            "ProcessStartupPacket",
            "the database system is in recovery mode",
            "in recovery after a crash",
            "in a moment",
        ),
        (
            "57P03",
            "ProcessStartupPacket",
            "the database system is not accepting connections",
            "starting, stopping or in recovery",
            "hot_standby",
        ),
        ("57P04", "ProcessInterrupts", "terminating connection", "was dropped", "name"),
        ("57P05", "ProcessInterrupts", "terminating", "an idle connection", "idle_session_timeout"),
        (
            "25P03",
            "ProcessInterrupts",
            "terminating",
            "an idle transaction",
            "idle_in_transaction_session_timeout",
        ),
        ("25P04", "ProcessInterrupts", "terminating", "a long transaction", "transaction_timeout"),
        // Of the same kind, of a server that is newer than this program.
        (
            "57P0X",
            "ProcessInterrupts",
            "terminating",
            "the server ended the session",
            "server's log",
        ),
    ];
    let mut said = Vec::new();
    for (code, routine, message, words, help) in cases {
        let url = server_that_says(code, routine, message);
        let error = block_on(refusal(&url));
        let text = error.to_string();
        assert_eq!((error.kind(), error.exit_code()), (ErrorKind::Unreachable, 7), "{text}");
        assert!(error.message().contains(words) && text.contains(help), "{message}: {text}");
        assert!(error.message().len() <= 73 && !text.contains("SQLSTATE"), "{text}");
        assert!(!text.contains("10.0.0.9"), "{text}");
        said.push(error.message().to_owned());
        if ["28000", "55000", "57P03"].contains(&code) {
            let done = Person::at(&url).run(&["runs", "list"]).ends(7);
            assert!(done.err.contains(words) && done.err.contains("hint: "), "{done:?}");
            block_on(async {
                let mut console = Console::open(&open(&url), 120, 40).await;
                assert!(console.screen().contains(words), "{}", console.screen());
            });
        }
    }
    said.sort();
    said.dedup();
    assert_eq!(said.len(), cases.len() - 1, "{said:?}");
}

#[test]
fn fr_043_007_a_real_server_refuses_with_these_sentences() {
    block_on(async {
        let (url, guard) = fresh_postgres_database().await;
        let name = guard.name();
        let place = url.rsplit_once('@').unwrap().1;
        let role = format!("r_{}", uuid::Uuid::new_v4().simple());
        let own = format!("postgres://{role}:p@{place}");
        let says = async |url: &str, words: &str| {
            let error = refusal(url).await;
            assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
            assert!(error.message().contains(words), "{error}");
        };
        administer(&format!("create role {role} nologin password 'p'")).await;
        says(&own, "may not log in").await;
        administer(&format!("alter role {role} login valid until '2020-01-01'")).await;
        says(&own, "refused the name or password").await;
        administer(&format!("alter role {role} valid until 'infinity'")).await;
        administer(&format!("revoke connect on database {name} from public")).await;
        says(&own, "may not connect").await;
        administer(&format!("grant connect on database {name} to {role}")).await;
        let ops = open(&own);
        ops.schema_state().await.unwrap();
        administer(&format!("alter database {name} allow_connections false")).await;
        says(&own, "takes no connections").await;
        administer(&format!("drop database {name} with (force)")).await;
        // The connection that was idle is gone; the next one is refused.
        let _ = ops.schema_state().await;
        let error = ops.schema_state().await.unwrap_err();
        assert!(error.message().contains("does not exist"), "{error}");
        says(&own, "does not exist").await;
        administer(&format!("drop role {role}")).await;
    });
}

#[test]
fn fr_043_010_a_missing_grant_names_the_table_the_role_and_the_grant() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_scene().await;
        let actor = store.administrator().await.actor;
        let grantee = Role::with_all(&store).await;
        let (role, own) = (grantee.name.clone(), grantee.url.clone());
        let ops =
            Ops::open(&own, Create::Never, store.clock.clone(), OpsSettings::default()).unwrap();
        ops.run(&actor, ListRuns::default()).await.unwrap();
        for (revoked, grants) in [("select", "select"), ("select, update", "select")] {
            store.sql(&format!("revoke {revoked} on operation_runs from {role}")).await.unwrap();
            let error = ops.run(&actor, ListRuns::default()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
            assert_eq!(error.message(), "the database role may not use the table operation_runs");
            let grant = format!("as its owner: grant {grants} on operation_runs to {role}");
            assert_eq!(error.next_step(), Some(grant.as_str()));
        }
        // What changes may need more than what reads.
        let cancel = CancelRun { run_id: 1, consent: Consent::yes() };
        let error = ops.run(&actor, cancel).await.unwrap_err();
        let grant = format!("as its owner: grant select, update on operation_runs to {role}");
        assert_eq!(error.next_step(), Some(grant.as_str()));
        let mut console = Console::open(&ops, 120, 40).await;
        console.log_in("administrator").await;
        let screen = console.screen();
        assert!(screen.contains("may not use the table operation_runs"), "{screen}");
        assert!(screen.contains("not read: the runs") && !screen.contains("● live"), "{screen}");

        // A worker that could do nothing does not wait for that to change.
        store.sql(&format!("revoke insert on workers from {role}")).await.unwrap();
        let done = Person::at(&own).run(&["worker"]).ends(5);
        assert!(done.err.contains("may not use the table operation_runs and 1 more"), "{done:?}");
        assert!(done.err.contains(&format!("; grant insert on workers to {role}")), "{done:?}");
        assert!(!done.err.contains("is ready"), "{done:?}");

        store.sql(&format!("revoke all on _sqlx_migrations from {role}")).await.unwrap();
        let done = Person::at(&own).run(&["runs", "list"]).ends(5);
        let grant = format!("grant select on _sqlx_migrations to {role}");
        assert!(
            done.err.contains("use the table _sqlx_migrations") && done.err.contains(&grant),
            "{done:?}"
        );

        store.sql("revoke usage on schema public from public").await.unwrap();
        let done = Person::at(&own).run(&["migrate"]).ends(5);
        let grant = format!("grant usage on schema \"public\" to {role}");
        assert!(
            done.err.contains("may not use the schema") && done.err.contains(&grant),
            "{done:?}"
        );
        ops.close().await;
        grantee.drop(&store).await;
    });
}

/// What screens and commands ask, several statements of it together.
async fn asked(ops: &Ops, actor: &Actor) -> Vec<(&'static str, Option<Error>)> {
    vec![
        ("overview", ops.run(actor, ReadOverview { window: None }).await.err()),
        ("runs", ops.run(actor, ListRuns::default()).await.err()),
        ("run", ops.run(actor, GetRun { id: 3 }).await.err()),
        ("workers", ops.run(actor, ListWorkers).await.err()),
    ]
}

#[test]
fn fr_043_010_fr_046_003_what_is_asked_together_says_what_was_in_its_way() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_scene().await;
        let actor = store.administrator().await.actor;
        let grantee = Role::with_all(&store).await;
        let (role, own) = (grantee.name.clone(), grantee.url.clone());
        let limits = ConnectionLimits {
            lock: Some(Duration::from_millis(200)),
            ..ConnectionLimits::default()
        };
        let settings = OpsSettings { limits, ..OpsSettings::default() };
        let ops = Ops::open(&own, Create::Never, store.clock.clone(), settings).unwrap();
        let tables = store
            .text("select string_agg(tablename, ' ') from pg_tables where schemaname = 'public'")
            .await;
        let (mut denied, mut locked) = (0, 0);
        for table in tables.split(' ').filter(|table| *table != "_sqlx_migrations") {
            store.sql(&format!("revoke all on {table} from {role}")).await.unwrap();
            for (what, error) in asked(&ops, &actor).await {
                let Some(error) = error else { continue };
                let told = format!("the database role may not use the table {table}");
                assert_eq!(error.message(), told, "{what} without {table}");
                assert_eq!(error.kind(), ErrorKind::Refused);
                denied += 1;
            }
            store.sql(&format!("grant all on {table} to {role}")).await.unwrap();
        }
        for table in ["operation_runs", "workers", "platform_settings", "tenants"] {
            let mut other = PgConnection::connect(&store.url).await.unwrap();
            let lock = format!("begin; lock table {table} in access exclusive mode");
            other.execute(AssertSqlSafe(lock)).await.unwrap();
            for (what, error) in asked(&ops, &actor).await {
                let Some(error) = error else { continue };
                assert!(error.message().contains("lock"), "{what} with {table} locked: {error}");
                locked += 1;
            }
            other.close().await.unwrap();
        }
        assert!(denied >= 20 && locked >= 8, "{denied} {locked}");
        ops.close().await;
        grantee.drop(&store).await;
    });
}

#[test]
fn fr_043_010_a_role_that_may_make_nothing_cannot_migrate() {
    block_on(async {
        let (url, _guard) = fresh_postgres_database().await;
        let role = format!("r_{}", uuid::Uuid::new_v4().simple());
        administer(&format!("create role {role} login password 'p'")).await;
        let own = format!("postgres://{role}:p@{}", url.rsplit_once('@').unwrap().1);
        let done = Person::at(&own).run(&["migrate"]).ends(5);
        assert!(done.err.contains("may make no tables in the schema \"public\""), "{done:?}");
        let grant = format!("grant usage, create on schema public to {role}");
        assert!(done.err.contains(&grant), "{done:?}");
        assert_eq!(Person::at(&own).run(&["migrate", "--dry-run"]).ends(5).err, done.err);
        administer(&format!("drop role {role}")).await;
    });
}

#[test]
fn fr_043_011_a_read_only_default_is_not_taken_for_a_standby() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_platform().await;
        let admin = store.administrator().await;
        let role = Role::with_all(&store).await;
        let (name, database) = (&role.name, store.url.rsplit('/').next().unwrap());
        for of in [
            format!("database {database}"),
            format!("role {name}"),
            format!("role {name} in database {database}"),
        ] {
            administer(&format!("alter {of} set default_transaction_read_only = on")).await;
            let ops = role.ops(&store);
            let set = SetSetting {
                key: "environment.label".to_owned(),
                value: Some("LIVE".to_owned()),
                consent: Consent::yes(),
            };
            let error = ops.run(&admin.actor, set).await.unwrap_err();
            assert_eq!(error.message(), "the database is read-only");
            let hint = error.next_step().unwrap();
            assert!(
                hint.ends_with(&format!("alter {of} reset default_transaction_read_only")),
                "{hint}"
            );
            assert!(!hint.contains("primary"), "{hint}");
            administer(&format!("alter {of} reset default_transaction_read_only")).await;
            ops.close().await;
        }
        let url = format!("{}?options=-c%20default_transaction_read_only%3Don", store.url);
        let ops =
            Ops::open(&url, Create::Never, store.clock.clone(), OpsSettings::default()).unwrap();
        let consent = Consent::yes();
        let label = SetSetting { key: "environment.label".to_owned(), value: None, consent };
        let error = ops.run(&admin.actor, label).await.unwrap_err();
        assert!(error.next_step().unwrap().contains("PGOPTIONS"), "{error}");
        ops.close().await;
        role.drop(&store).await;
    });
}
