//! What the header says of the database is true, and what a console holds of it.

use std::time::{Duration, Instant};

use sqlx::{Connection as _, Executor as _, PgConnection};
use tenantpilot::access::{Actor, ClientKind};
use tenantpilot::ops::AnyOutput;
use tenantpilot::ops::notifications::CountUnread;
use tenantpilot::ops::overview::ReadOverview;
use tenantpilot::ops::runs::CountRuns;
use tenantpilot::ops::{CONSOLE, ConnectionLimits, Create, Engine, Listen, Ops, OpsSettings};
use tenantpilot::tui::msg::{Answer, Effect, Msg, Request};
use tenantpilot::tui::runner::Runner;
use tenantpilot::tui::slot::Slot;

use super::live::{fill, under_cursor};
use super::session::Running;
use crate::grants::Role;
use crate::support::console::{Console, events, setup};
use crate::support::postgres::administer;
use crate::support::proxy::Proxy;
use crate::support::stores::{ORIGIN, Store, block_on};

/// The settings of a console.
pub(super) fn of_console(listen: Listen) -> OpsSettings {
    let seconds = Duration::from_secs;
    OpsSettings {
        application: CONSOLE,
        patience: seconds(6),
        limits: ConnectionLimits {
            connections: 1,
            answer: Some(seconds(6)),
            statement: Some(seconds(5)),
            lock: Some(seconds(2)),
            listen,
            ..ConnectionLimits::default()
        },
        ..OpsSettings::default()
    }
}

/// A small platform on PostgreSQL with an administrator.
pub(super) async fn platform() -> Store {
    let store = Store::new(Engine::Postgres).await.with_scene().await;
    store.administrator().await;
    store
}

pub(super) fn service(store: &Store, url: &str, listen: Listen) -> Ops {
    Ops::open(url, Create::Never, store.clock.clone(), of_console(listen)).unwrap()
}

/// A console that is logged in through a proxy, and polls every so many seconds.
async fn proxied(store: &Store, poll: u64) -> (Proxy, Running) {
    let proxy = Proxy::start(&store.url);
    let ops = service(store, &proxy.url(&store.url), Listen::Here);
    let running = Running::on(ops, Duration::from_secs(poll));
    running.log_in().await;
    (proxy, running)
}

/// Another session that holds a lock on a table, here that of runs, until it is dropped.
async fn locked(store: &Store) -> PgConnection {
    locked_table(store, "operation_runs").await
}

pub(super) async fn locked_table(store: &Store, table: &str) -> PgConnection {
    let mut other = PgConnection::connect(&store.url).await.unwrap();
    other.execute("set application_name = 'psql'").await.unwrap();
    other.execute("begin").await.unwrap();
    let lock = format!("lock table {table} in access exclusive mode");
    other.execute(sqlx::AssertSqlSafe(lock)).await.unwrap();
    other
}

const WAITING: &str = "select count(*) from pg_locks l join pg_stat_activity a using (pid) \
                       where not l.granted and a.datname = current_database()";
const CONNECTED: &str = "select count(*) from pg_stat_activity where datname = current_database() \
                         and application_name like 'tenantpilot%'";

#[test]
fn fr_047_002_fr_047_001_a_locked_table_is_slow_says_by_whom_and_recovers() {
    block_on(async {
        let store = platform().await;
        let running = Running::on(store.another(of_console(Listen::Here)), Duration::from_secs(2));
        running.log_in().await;
        running.screen.until("live", |text| text.contains("● live")).await;
        let lock = locked(&store).await;
        let since = Instant::now();
        running.screen.until("slow", |text| text.contains("○ slow: waiting 1 s for the ")).await;
        assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
        let held = "Waiting for a lock on operation_runs, held by psql of ";
        running.screen.until("the lock", |text| text.contains(held)).await;
        // Past the lock timeout it is asked again, and is still slow.
        let mut most = 0;
        while since.elapsed() < Duration::from_secs(5) {
            let text = running.screen.text();
            assert!(text.contains("slow") && text.contains("inventory.sync"), "{text}");
            most = most.max(store.number(WAITING).await);
        }
        // A tab that does not need the table works meanwhile.
        running.type_keys("4");
        let works = |text: &str| text.contains("events in") && text.contains("● live");
        running.screen.until("telemetry", works).await;
        running.type_keys("2");
        running.screen.until("slow again", |text| text.contains("○ slow")).await;
        assert!((1..=2).contains(&most), "{most} connections wait");
        drop(lock);
        running.screen.until("live again", |text| text.contains("● live")).await;
        assert!(!running.screen.text().contains("for a lock"));
    });
}

#[test]
fn fr_047_002_a_lock_is_said_soon_on_tabs_that_are_read_seldom() {
    block_on(async {
        let store = platform().await;
        let running = Running::on(store.another(of_console(Listen::Here)), Duration::from_secs(1));
        running.log_in().await;
        // The overview is read every 5 s, and a list of which nothing changes once a minute.
        let tables = [
            ("1", "operation_runs"),
            ("5", "support_requests"),
            ("4", "product_usage_hours"),
            ("2", "platform_users"),
        ];
        for (tab, table) in tables {
            running.type_keys(tab);
            running.screen.until("live", |text| text.contains("● live")).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            let lock = locked_table(&store, table).await;
            let since = Instant::now();
            running.screen.until("slow", |text| text.contains("○ slow: waiting 1 s for ")).await;
            assert!(since.elapsed() < Duration::from_secs(3), "{table}: {:?}", since.elapsed());
            drop(lock);
        }
    });
}

#[test]
fn fr_047_002_a_lock_is_named_while_the_address_to_listen_at_does_not_answer() {
    block_on(async {
        let store = platform().await;
        let hole = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("postgres://u@{}/x", hole.local_addr().unwrap());
        let ops = store.another(of_console(Listen::At(address.into())));
        let running = Running::on(ops, Duration::from_secs(1));
        running.log_in().await;
        running.screen.until("live", |text| text.contains("● live")).await;
        let _lock = locked(&store).await;
        let since = Instant::now();
        let held = "Waiting for a lock on operation_runs, held by psql of ";
        running.screen.until("the lock", |text| text.contains(held)).await;
        assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    });
}

#[test]
fn fr_047_002_a_lock_is_said_whatever_grant_a_role_has_lost() {
    block_on(async {
        let store = platform().await;
        let role = Role::with_all(&store).await;
        let running = Running::on(service(&store, &role.url, Listen::Here), Duration::from_secs(1));
        running.log_in().await;
        running.screen.until("live", |text| text.contains("● live")).await;
        // Nothing that the list shows needs it.
        let lost = format!("revoke all on support_requests from {}", role.name);
        store.sql(&lost).await.unwrap();
        // What is read for the change of the grant itself is over.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let lock = locked_table(&store, "tenants").await;
        let since = Instant::now();
        let held = "Waiting for a lock on tenants, held by psql of ";
        running.screen.until("the lock", |text| text.contains(held)).await;
        // What is read 15 s after the login would notice it, too.
        assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
        drop(lock);
        running.screen.until("live again", |text| text.contains("● live")).await;
        drop(running);
        role.drop(&store).await;
    });
}

#[test]
fn fr_047_002_a_lock_is_said_soon_over_a_long_way() {
    block_on(async {
        let store = platform().await;
        let (proxy, running) = proxied(&store, 1).await;
        running.type_keys("1");
        running.screen.until("live", |text| text.contains("● live")).await;
        proxy.delay(Duration::from_millis(300));
        for _ in 0..2 {
            running.screen.until("the way", |text| text.contains("● live · 250 ms")).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let lock = locked(&store).await;
            let since = Instant::now();
            running.screen.until("slow", |text| text.contains("○ slow: waiting 1 s for ")).await;
            assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
            drop(lock);
        }
    });
}

#[test]
fn fr_047_002_a_lock_on_what_every_request_reads_is_named_until_it_is_gone() {
    block_on(async {
        let store = platform().await;
        let running = Running::on(store.another(of_console(Listen::Here)), Duration::from_secs(1));
        running.log_in().await;
        running.screen.until("live", |text| text.contains("● live")).await;
        let lock = locked_table(&store, "platform_sessions").await;
        let held = "Waiting for a lock on platform_sessions, held by psql of ";
        running.screen.until("the lock", |text| text.contains(held)).await;
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(5) {
            let text = running.screen.text();
            assert!(text.contains(held) && text.contains("the runs"), "{text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drop(lock);
        running.screen.until("live again", |text| text.contains("● live")).await;
    });
}

#[test]
fn fr_047_011_rows_that_a_key_asked_for_come_later_or_are_missed_in_words() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_platform().await;
        store.administrator().await;
        fill(&store, 300).await;
        let running = Running::on(store.another(of_console(Listen::Here)), Duration::from_secs(1));
        running.log_in().await;
        running.screen.until("live", |text| text.contains("● live")).await;
        let lock = locked(&store).await;
        running.screen.until("slow", |text| text.contains("○ slow: waiting 1 s")).await;
        running.type_keys("G");
        running.screen.until("a word", |text| text.contains("these rows did not come")).await;
        running.type_keys("G");
        drop(lock);
        let there = |text: &str| text.contains("● live") && under_cursor(text) == 1;
        running.screen.until("the oldest", there).await;
    });
}

#[test]
fn fr_047_002_a_lock_of_before_is_not_what_a_later_question_waits_for() {
    block_on(async {
        let store = platform().await;
        let (proxy, running) = proxied(&store, 1).await;
        running.screen.until("live", |text| text.contains("● live")).await;
        let lock = locked(&store).await;
        running.type_keys("1");
        running.screen.until("the lock", |text| text.contains("held by psql of ")).await;
        // Past its lock timeout the tab is left, and not asked again.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        running.type_keys("4");
        running.screen.until("telemetry", |text| text.contains("● live")).await;
        drop(lock);
        proxy.pause();
        let slow = |text: &str| text.contains("○ slow") || text.contains("✗ disconnected");
        loop {
            let text = running.screen.until("waiting", slow).await;
            assert!(!text.contains("for a lock"), "{text}");
            if text.contains("✗ disconnected") {
                break;
            }
        }
    });
}

#[test]
fn fr_047_003_a_database_that_does_not_answer_is_disconnected_and_comes_back() {
    block_on(async {
        let store = platform().await;
        let (proxy, running) = proxied(&store, 1).await;
        for frozen in [true, false] {
            running.screen.until("live", |text| text.contains("● live")).await;
            let since = Instant::now();
            if frozen {
                proxy.pause();
            } else {
                proxy.cut();
            }
            running.screen.until("disconnected", |text| text.contains("✗ disconnected")).await;
            assert!(since.elapsed() < Duration::from_secs(6), "{:?}", since.elapsed());
            proxy.resume();
            proxy.restore();
        }
        let text = running.screen.until("live again", |text| text.contains("● live")).await;
        assert!(text.contains("inventory.sync"), "{text}");
    });
}

#[test]
fn fr_047_003_a_login_screen_is_disconnected_and_comes_back_too() {
    block_on(async {
        let store = platform().await;
        // Before a login, too, it is asked as often as ever.
        let mut console = Console::open(&store.ops, 80, 24).await;
        assert!(console.screen().contains("● live"), "{}", console.screen());
        let asked: Vec<_> = console.app.subscriptions().iter().map(|sub| sub.every).collect();
        assert_eq!(asked, [console.app.poll_every()]);
        // Nothing is in the way of a login, and a refused one is followed by polls again.
        console.keys("administrator<tab>wrong<enter>").await;
        assert_eq!(console.app.subscriptions().len(), 1);
        for event in events("right<enter>") {
            console.app.update(Msg::Key(event), store.clock.now());
        }
        assert!(console.app.subscriptions().is_empty());
        let proxy = Proxy::start(&store.url);
        let ops = service(&store, &proxy.url(&store.url), Listen::Here);
        let running = Running::on(ops, Duration::from_secs(1));
        for frozen in [true, false] {
            running.screen.until("live", |text| text.contains("● live")).await;
            if frozen {
                proxy.pause();
            } else {
                proxy.cut();
            }
            let lost = |text: &str| text.contains("Log in") && text.contains("✗ disconnected");
            running.screen.until("disconnected", lost).await;
            running.screen.until("why", |text| text.contains("the database")).await;
            proxy.resume();
            proxy.restore();
        }
        running.screen.until("live", |text| text.contains("● live")).await;
    });
}

#[test]
fn fr_047_003_a_list_without_a_row_says_why_it_is_disconnected() {
    block_on(async {
        let store = platform().await;
        let (proxy, running) = proxied(&store, 1).await;
        running.type_keys("5");
        let empty = |text: &str| text.contains("● live") && text.contains("No request for support");
        running.screen.until("live", empty).await;
        proxy.cut();
        let why =
            |text: &str| text.contains("✗ disconnected") && text.contains("cannot be reached");
        running.screen.until("why", why).await;
    });
}

#[test]
fn fr_047_003_what_is_read_seldom_is_back_with_the_database() {
    block_on(async {
        let store = platform().await;
        // The overview is read every 10 s.
        let (proxy, running) = proxied(&store, 2).await;
        running.type_keys("1");
        running.screen.until("live", |text| text.contains("● live")).await;
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            proxy.cut();
            let lost = |text: &str| text.contains("✗ disconnected");
            running.screen.until("disconnected", lost).await;
            // Longer than a poll and what it may be late.
            tokio::time::sleep(Duration::from_secs(4)).await;
            proxy.restore();
            running.screen.until("answered", |text| !lost(text)).await;
            tokio::time::sleep(Duration::from_millis(800)).await;
            let text = running.screen.text();
            assert!(text.contains("● live") && !text.contains("cannot be reached"), "{text}");
        }
    });
}

#[test]
fn fr_047_003_a_long_statement_on_a_server_that_answers_is_slow() {
    block_on(async {
        let store = platform().await;
        for listen in [Listen::Here, Listen::Off] {
            let mut settings = of_console(listen);
            settings.limits.lock = None;
            let running = Running::on(store.another(settings), Duration::from_secs(1));
            running.log_in().await;
            running.screen.until("live", |text| text.contains("● live")).await;
            let lock = locked(&store).await;
            running.screen.until("slow", |text| text.contains("slow: waiting 4 s")).await;
            running.screen.until("its end", |text| text.contains(", 0 s old")).await;
            assert!(running.screen.text().contains("took too long"), "{}", running.screen.text());
            drop(lock);
            running.screen.until("live again", |text| text.contains("● live")).await;
        }
    });
}

#[test]
fn fr_037_016_that_a_database_takes_no_writes_is_said_soon_and_no_longer_than_it_is_so() {
    block_on(async {
        let store = platform().await;
        let running = Running::on(store.another(of_console(Listen::Here)), Duration::from_secs(1));
        running.log_in().await;
        running.screen.until("live", |text| text.contains("● live")).await;
        let name = store.text("select current_database()::text").await;
        for (on, shown) in [("on", "‼ read-only"), ("off", "● live")] {
            let set = format!("alter database {name} set default_transaction_read_only = {on}");
            administer(&set).await;
            if on == "on" {
                let end = "select pg_terminate_backend(pid) from pg_stat_activity where datname =";
                administer(&format!("{end} '{name}'")).await;
            }
            let since = Instant::now();
            running.screen.until(shown, |text| text.contains(shown)).await;
            assert!(since.elapsed() < Duration::from_secs(7), "{on}: {:?}", since.elapsed());
        }
    });
}

#[test]
fn fr_047_003_a_link_on_which_each_answer_takes_long_is_no_outage() {
    block_on(async {
        let store = platform().await;
        let proxy = Proxy::start(&store.url);
        proxy.delay(Duration::from_millis(850));
        let ops = service(&store, &proxy.url(&store.url), Listen::Off);
        ops.require_current_schema().await.unwrap();
    });
}

#[test]
fn fr_047_001_quick_answers_one_after_the_other_are_not_slow() {
    block_on(async {
        let store = platform().await;
        let proxy = Proxy::start(&store.url);
        proxy.delay(Duration::from_millis(150));
        let ops = service(&store, &proxy.url(&store.url), Listen::Here);
        let running = Running::on(ops, Duration::from_secs(1));
        running.log_in().await;
        running.screen.until("live", |text| text.contains("● live")).await;
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(4) {
            let text = running.screen.text();
            assert!(text.contains("● live"), "{text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn fr_047_007_a_console_holds_two_connections_and_a_command_one() {
    block_on(async {
        let store = platform().await;
        store.ops.close().await;
        let before = store.number(CONNECTED).await;
        let running = Running::on(store.another(of_console(Listen::Here)), Duration::from_secs(1));
        running.log_in().await;
        let mut most = 0;
        for key in ["1", "2", "3", "4", "5", "6", "7", "8", "1", "2"] {
            running.type_keys(key);
            for _ in 0..5 {
                most = most.max(store.number(CONNECTED).await);
            }
        }
        assert_eq!(most - before, 2, "a console");
        running.type_keys("q");
        running.end().await;
        let command = store
            .another(OpsSettings { application: "tenantpilot cli", ..of_console(Listen::Here) });
        let actor = Actor::System;
        let asked = (0..8).map(|_| command.run(&actor, ReadOverview::default()));
        let asked = futures_util::future::join_all(asked);
        let mut asked = std::pin::pin!(asked);
        let count = || async {
            store.number(&format!("{CONNECTED} and application_name = 'tenantpilot cli'")).await
        };
        let mut most = 0;
        loop {
            tokio::select! {
                answers = &mut asked => {
                    assert!(answers.iter().all(Result::is_ok));
                    break;
                }
                n = count() => most = most.max(n),
            }
        }
        assert_eq!(most.max(count().await), 1, "a command");
    });
}

#[test]
fn fr_047_008_leaving_a_tab_gives_up_its_slow_read_and_no_change() {
    block_on(async {
        let store = platform().await;
        // What the state asks for.
        let mut console = Console::with(&store.ops, setup(80, 24, &store.clock)).await;
        console.log_in("administrator").await;
        let left = |effects: Vec<Effect>| {
            let left = effects.into_iter().filter(|effect| matches!(effect, Effect::Leave(_)));
            left.collect::<Vec<_>>()
        };
        let press = |console: &mut Console, key| {
            let event = crate::support::console::events(key).remove(0);
            console.app.update(tenantpilot::tui::msg::Msg::Key(event), store.clock.now())
        };
        let effects = press(&mut console, "4");
        assert_eq!(left(effects), [Effect::Leave(Slot::LIST), Effect::Leave(Slot::COUNTS)]);
        let effects = press(&mut console, "4");
        assert_eq!(left(effects), [], "the same tab");
        // What becomes of it.
        let mut settings = of_console(Listen::Off);
        // Longer than the test waits, on a busy machine, too.
        let (lock, statement) = (Duration::from_secs(30), Duration::from_secs(40));
        settings.limits.lock = Some(lock);
        settings.limits.statement = Some(statement);
        settings.limits.answer = Some(statement + Duration::from_secs(1));
        let ops = store.another(settings);
        let (mut runner, mut answers, _hints) =
            Runner::new(ops, ORIGIN.to_owned(), ClientKind::Console);
        runner.set_session(Some(&store.login("administrator").await));
        let lock = locked(&store).await;
        runner.ask(Slot::COUNTS, Request::of(CountRuns));
        runner.leave(Slot::COUNTS);
        runner.ask(Slot::UNREAD, Request::of(CountUnread));
        let since = Instant::now();
        let answered = loop {
            tokio::select! {
                arrived = answers.recv() => {
                    if let Some((slot, answer)) = runner.take(arrived.unwrap()) {
                        break (slot, answer);
                    }
                }
                () = tokio::time::sleep_until(runner.next_due().unwrap_or_else(far)) => runner.poll_due(),
            }
        };
        assert!(
            matches!(answered, (Slot::UNREAD, Answer::Op(AnyOutput::CountUnread(_, Ok(_))))),
            "{answered:?}"
        );
        assert!(since.elapsed() < Duration::from_secs(15), "{:?}", since.elapsed());
        // The server may still wait for the first; no second one joins it.
        runner.ask(Slot::COUNTS, Request::of(CountRuns));
        runner.leave(Slot::COUNTS);
        tokio::time::sleep(Duration::from_secs(1)).await;
        runner.poll_due();
        assert!(runner.busy().contains(&Slot::COUNTS), "it ends by itself");
        assert!(store.number(WAITING).await <= 2);
        drop(lock);
    });
}

fn far() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(60)
}
