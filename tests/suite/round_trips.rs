//! How often a database is waited for (specs/046-few-round-trips).

use std::time::{Duration, Instant};

use sqlx::{Connection as _, Executor as _, PgConnection};
use tenantpilot::ops::auth::Login;
use tenantpilot::ops::break_glass::CurrentBreakGlass;
use tenantpilot::ops::condition::ReadCondition;
use tenantpilot::ops::notifications::{CountUnread, ListNotifications};
use tenantpilot::ops::overview::ReadOverview;
use tenantpilot::ops::platform::PlatformInfo;
use tenantpilot::ops::runs::{CountRuns, GetRun, ListRuns};
use tenantpilot::ops::support::ListRequests;
use tenantpilot::ops::telemetry::Summarise;
use tenantpilot::ops::workers::ListWorkers;
use tenantpilot::ops::{ConnectionLimits, Create, Engine, Listen, Ops, OpsSettings};
use tenantpilot::tui::msg::Request;
use tenantpilot::tui::runner::Runner;
use tenantpilot::tui::slot::Slot;
use tenantpilot::worker::alerts::AlertSettings;
use tenantpilot::worker::{Worker, WorkerSettings};
use tenantpilot::{
    Clock,
    access::{Actor, ClientKind},
};
use tokio::sync::watch;

use crate::cli::{Person, done};
use crate::database::texts;
use crate::support::proxy::Proxy;
use crate::support::stores::{PASSWORD, Store, block_on, both_engines};

/// Connecting: TLS is asked for, then the start-up and two steps of the password.
const CONNECTING: usize = 4;

#[test]
fn fr_046_001_a_command_waits_for_few_answers_on_one_connection() {
    let (store, run) = block_on(async {
        let store = Store::new(Engine::Postgres).await.with_scene().await;
        let run = store.ended("policy.sync", 1, 4, 4, 5).await.to_string();
        store.legacy_findings(&[1], 1).await;
        (store, run)
    });
    let proxy = Proxy::start(&store.url);
    let person = Person::at(&proxy.url(&store.url));
    person.create("ana", &["--role", "administrator"]).ends(0);
    proxy.counted();
    person.login("ana").ends(0);
    assert_counted(&proxy, "login", 12);
    person.login("ana").ends(0);
    assert_counted(&proxy, "login in place of a session", 12);
    let start = [
        "runbooks",
        "start",
        "findings.lifecycle_backfill",
        "--tenant",
        "1",
        "--wait-for-worker",
        "--yes",
    ];
    for (arguments, most) in
        [(&["runs", "list"][..], 8), (&["runs", "show", &run], 8), (&["overview"], 9), (&start, 20)]
    {
        person.run(arguments).ends(0);
        assert_counted(&proxy, &arguments.join(" "), most);
    }
}

#[test]
fn fr_046_008_a_session_that_is_used_again_costs_no_round_trip() {
    let store = block_on(async { Store::new(Engine::Postgres).await.with_scene().await });
    let proxy = Proxy::start(&store.url);
    let person = Person::at(&proxy.url(&store.url));
    person.create("ana", &["--role", "administrator"]).ends(0);
    person.login("ana").ends(0);
    let long_ago = || async {
        let back =
            "update platform_sessions set last_active_at = last_active_at - interval '5 minutes'";
        store.sql(back).await.unwrap();
    };
    let unwritten = "select count(*) from platform_sessions where last_active_at < now() - interval '4 minutes'";
    block_on(long_ago());
    proxy.counted();
    person.run(&["overview"]).ends(0);
    assert_counted(&proxy, "overview", 9);
    block_on(async {
        assert_eq!(store.number(unwritten).await, 0);
        long_ago().await;
        // Its row is locked by another session.
        let mut other = PgConnection::connect(&store.url).await.unwrap();
        other.execute("begin; select id from platform_sessions for update").await.unwrap();
        person.run(&["overview"]).ends(0);
        other.close().await.unwrap();
        assert_eq!(store.number(unwritten).await, 1);
        // Nothing can be written.
        let name = store.text("select current_database()").await;
        let read_only = format!("alter database \"{name}\" set default_transaction_read_only = on");
        store.sql(&read_only).await.unwrap();
        person.run(&["overview"]).ends(0);
        assert_eq!(store.number(unwritten).await, 1);
    });
}

fn assert_counted(proxy: &Proxy, what: &str, most: usize) {
    let (trips, connections) = proxy.counted();
    assert_eq!(connections, 1, "{what}");
    assert!(trips > CONNECTING && trips <= most, "{what}: {trips} round trips, at most {most}");
}

#[test]
fn fr_046_002_a_screen_waits_for_at_most_three_answers() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_scene().await;
        store.administrator().await;
        let run = store.ended("policy.sync", 1, 4, 4, 5).await;
        let proxy = Proxy::start(&store.url);
        let listen = Listen::Off;
        let limits = ConnectionLimits { connections: 1, listen, ..ConnectionLimits::default() };
        let settings = OpsSettings { limits, ..OpsSettings::default() };
        let url = proxy.url(&store.url);
        let ops = Ops::open(&url, Create::Never, Clock::system(), settings).unwrap();
        let nobody = Actor::Anonymous { origin: "test".to_owned() };
        let login = Login::new("administrator", PASSWORD, ClientKind::Console);
        let actor = ops.run(&nobody, login).await.unwrap().0.actor;
        macro_rules! counted {
            ($($operation:expr => $most:literal;)+) => {$(
                proxy.counted();
                ops.run(&actor, $operation).await.unwrap();
                let (trips, connections) = proxy.counted();
                assert_eq!(connections, 0, "{}", stringify!($operation));
                assert!((1..=$most).contains(&trips), "{}: {trips}", stringify!($operation));
            )+};
        }
        counted! {
            ListRuns::default() => 3;
            CountRuns => 3;
            GetRun { id: run } => 3;
            ListWorkers => 3;
            ListRequests::default() => 3;
            Summarise::default() => 3;
            ReadOverview::default() => 4;
            PlatformInfo => 3;
            ReadCondition => 3;
            CurrentBreakGlass => 3;
            CountUnread => 3;
            ListNotifications::default() => 3;
        }
        // What a login screen asks comes with a look at the schema.
        let (mut runner, mut answers, _hints) =
            Runner::new(ops.clone(), "test".to_owned(), ClientKind::Console);
        proxy.counted();
        runner.ask(Slot::PLATFORM, Request::of(PlatformInfo));
        answers.recv().await.unwrap();
        let (trips, _) = proxy.counted();
        assert!((1..=3).contains(&trips), "a login screen: {trips}");
        ops.close().await;
    });
}

#[test]
fn fr_046_003_a_lock_of_somebody_else_is_named_and_waited_for_no_longer_than_the_setting() {
    let (store, person) = {
        let store = block_on(async { Store::new(Engine::Postgres).await.with_scene().await });
        let person = Person::administrator(&store.url);
        (store, person)
    };
    let held = block_on(async {
        let mut connection = PgConnection::connect(&store.url).await.unwrap();
        connection.execute("begin; lock table operation_runs").await.unwrap();
        connection
    });
    let mut command = person.command(&["runs", "list"]);
    command.env("TENANTPILOT_DATABASE_LOCK_TIMEOUT", "200ms");
    let done = done(&mut command, None);
    assert!(done.code != 0 && done.err.contains("lock"), "{done:?}");
    drop(held);
    person.run(&["runs", "list"]).ends(0);
}

#[test]
fn fr_046_003_a_statement_that_takes_longer_than_the_setting_is_ended() {
    let store = block_on(async {
        let store = Store::new(Engine::Postgres).await;
        for statement in [
            "create function wait() returns trigger language plpgsql as \
             'begin perform pg_sleep(20); return new; end'",
            "create trigger wait before insert on platform_settings \
             for each row execute function wait()",
        ] {
            store.sql(statement).await.unwrap();
        }
        store
    });
    let person = Person::administrator(&store.url);
    let set = ["platform", "settings", "set", "support.contact_text", "call us", "--yes"];
    let mut command = person.command(&set);
    command.env("TENANTPILOT_DATABASE_STATEMENT_TIMEOUT", "1s");
    let done = done(&mut command, None);
    assert!(done.code != 0 && done.err.contains("the database took too long"), "{done:?}");
    assert!(done.err.contains("nothing was changed"), "{done:?}");
}

#[test]
fn fr_046_003_a_statement_of_a_command_that_was_killed_ends_soon() {
    let store = block_on(async { Store::new(Engine::Postgres).await.with_scene().await });
    let person = Person::administrator(&store.url);
    block_on(async {
        let mut holder = PgConnection::connect(&store.url).await.unwrap();
        holder.execute("begin; lock table operation_runs").await.unwrap();
        let mut command = person.command(&["runs", "list"]);
        command.env("TENANTPILOT_DATABASE_LOCK_TIMEOUT", "50s");
        command.env("TENANTPILOT_DATABASE_STATEMENT_TIMEOUT", "55s");
        let mut command = command.spawn().unwrap();
        let waiting = "select count(*) from pg_stat_activity where datname = current_database() \
                       and wait_event_type = 'Lock'";
        let becomes = async |wanted: i64| {
            let begun = Instant::now();
            while store.number(waiting).await != wanted {
                assert!(begun.elapsed() < Duration::from_secs(10), "never {wanted}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        becomes(1).await;
        command.kill().unwrap();
        command.wait().unwrap();
        becomes(0).await;
    });
}

both_engines! {
    async fn fr_046_005_a_text_is_the_same_whatever_is_in_it(store) {
        let person = Person::administrator(&store.url);
        for text in ["it's \\' here", "$1 and $2", "a\\nb'; drop table platform_users; --", "/* \"$9\" */ E'x'"] {
            let set = ["platform", "settings", "set", "support.contact_text", text, "--yes"];
            person.run(&set).ends(0);
            let stored = texts(&store, "select value from platform_settings where key = 'support.contact_text'").await;
            assert_eq!(stored, [text]);
        }
        assert_eq!(store.number("select count(*) from platform_users").await, 1);
    }
}

#[test]
fn fr_046_007_an_idle_worker_waits_for_at_most_three_answers_a_second() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_platform().await;
        let proxy = Proxy::start(&store.url);
        let (stop, stopped) = watch::channel(false);
        let settings =
            WorkerSettings { alerts: Some(AlertSettings::default()), ..WorkerSettings::default() };
        let (url, ops) = (proxy.url(&store.url), OpsSettings::default());
        let (worker, mut events) =
            Worker::open(&url, settings, &ops, Clock::system(), stopped).unwrap();
        let working = tokio::spawn(worker.run());
        // What the day brings is done first.
        while tokio::time::timeout(Duration::from_secs(2), events.recv()).await.is_ok() {}
        let started = Instant::now();
        proxy.counted();
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if proxy.counted().1 == 0 {
                break;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "it connects again and again");
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        let (trips, connections) = proxy.counted();
        // What comes every ten or twenty seconds may fall into these five: as much as twelve may have.
        let most = 3 * 12;
        assert_eq!(connections, 0);
        assert!((1..=most).contains(&trips), "{trips} round trips, at most {most}");
        stop.send_replace(true);
        working.await.unwrap().unwrap();
    });
}

#[test]
fn fr_046_006_a_password_hash_never_stands_in_the_text_of_a_statement() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await;
        for statement in [
            "create table texts_seen (text text)",
            "create function note_text() returns trigger language plpgsql as \
             'begin insert into texts_seen values (current_query()); return new; end'",
            "create trigger note_text before insert or update on platform_users \
             for each row execute function note_text()",
        ] {
            store.sql(statement).await.unwrap();
        }
        let person = Person::administrator(&store.url);
        person.create("eva", &["--role", "viewer"]).ends(0);
        let reset = ["users", "reset-password", "eva", "--password-file", "-", "--yes"];
        person.run_with(&reset, "another password of hers").ends(0);
        let seen = texts(&store, "select text from texts_seen").await;
        assert!(seen.len() >= 3, "{seen:?}");
        assert!(seen.iter().all(|text| !text.contains("$argon2")), "{seen:?}");
    });
}
