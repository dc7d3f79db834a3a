//! The database goes away and comes back.

use std::time::{Duration, Instant};

use sqlx::{Connection as _, Executor as _, SqliteConnection};
use tenantpilot::ops::{ConnectionLimits, Create, Engine, Listen, Ops, OpsSettings};
use tenantpilot::tui::msg::{Effect, Msg};

use super::session::Running;
use super::states::{locked_table, of_console, platform};
use crate::support::console::Console;
use crate::support::proxy::{Cut, Proxy};
use crate::support::stores::{PASSWORD, Store, block_on, both_engines};

/// A console on PostgreSQL behind a proxy that can be cut and frozen.
pub(super) async fn behind_a_proxy() -> (Store, Proxy, Ops) {
    let store = Store::new(Engine::Postgres).await.with_scene().await;
    store.administrator().await;
    let proxy = Proxy::start(&store.url);
    let second = Duration::from_secs(1);
    let limits = ConnectionLimits { answer: Some(second), ..ConnectionLimits::default() };
    let settings = OpsSettings { patience: second, limits, ..OpsSettings::default() };
    let ops =
        Ops::open(&proxy.url(&store.url), Create::Never, store.clock.clone(), settings).unwrap();
    (store, proxy, ops)
}

macro_rules! capture {
    ($console:expr, $name:expr) => {{
        let text = $console.screen();
        let styles = $console.styles();
        insta::with_settings!({
            prepend_module_to_snapshot => false,
            omit_expression => true,
            snapshot_path => "../captures",
        }, {
            insta::assert_snapshot!($name, format!("{text}\n{styles}"));
        });
    }};
}

#[test]
fn fr_005_027_a_lost_database_greys_the_data_with_its_age_and_comes_back_by_itself() {
    block_on(async {
        let (store, proxy, ops) = behind_a_proxy().await;
        for (width, height) in [(80, 24), (200, 50)] {
            let mut console = Console::open(&ops, width, height).await;
            console.log_in("administrator").await;
            let alive = console.screen();
            proxy.cut();
            store.pass(2);
            console.poll().await;
            store.pass(10);
            console.send(Msg::Tick).await;
            let screen = console.screen();
            assert!(screen.contains("✗ disconnected, reconnecting"), "{screen}");
            assert!(screen.contains("12 s old"), "{screen}");
            assert!(screen.contains("inventory.sync"), "the last data stays: {screen}");
            capture!(console, format!("postgres_{width}x{height}_lost"));
            // Keys keep working on what is held.
            console.keys_at_once("jj?<esc>");
            assert_eq!(console.app.tabs.operations.selected(), Some(7));
            console.settle().await;
            proxy.restore();
            console.poll().await;
            console.keys("g").await;
            assert_eq!(console.screen().lines().next(), alive.lines().next());
            capture!(console, format!("postgres_{width}x{height}_recovered"));
            store.pass(-12);
        }
    });
}

#[test]
fn fr_005_036_an_embedded_file_that_is_removed_or_replaced_is_noticed_and_opened_again() {
    block_on(async {
        let store = Store::new(Engine::Sqlite).await.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        store.ops.close().await;
        let ops = store.another(OpsSettings::default());
        let mut console_too = Console::open(&ops, 80, 24).await;
        console_too.log_in("administrator").await;
        drop(console);
        let path = store.url.trim_start_matches("sqlite://");
        let kept = format!("{path}.kept");
        store.sql("pragma wal_checkpoint(truncate)").await.unwrap();
        std::fs::copy(path, &kept).unwrap();
        for file in [path.to_owned(), format!("{path}-wal"), format!("{path}-shm")] {
            let _ = std::fs::remove_file(file);
        }
        console_too.poll().await;
        let screen = console_too.screen();
        assert!(screen.contains("✗ disconnected, reconnecting"), "{screen}");
        std::fs::rename(&kept, path).unwrap();
        store.sql("update tenants set name = 'Renamed' where id = 4").await.unwrap();
        console_too.poll().await;
        console_too.poll().await;
        let screen = console_too.screen();
        assert!(screen.contains("● live") && screen.contains("Renamed"), "{screen}");
    });
}

#[test]
fn fr_005_028_while_the_database_is_frozen_keys_move_open_help_and_leave_at_once() {
    block_on(async {
        let (_store, proxy, ops) = behind_a_proxy().await;
        let mut console = Console::open(&ops, 80, 24).await;
        console.log_in("administrator").await;
        proxy.pause();
        for sub in console.app.subscriptions() {
            let request = Effect::Ask(sub.slot, sub.request);
            console.perform(vec![request]);
        }
        let before = Instant::now();
        console.keys_at_once("jjj?");
        assert!(console.screen().contains("Keys in force"));
        console.keys_at_once("<esc>");
        assert_eq!(console.app.tabs.operations.selected(), Some(6));
        console.keys_at_once("q");
        assert_eq!(console.outside, [Effect::Quit]);
        assert!(before.elapsed() < Duration::from_secs(1), "nothing waited for the database");
        // Once patience has run out, the screen says that there is no answer.
        console.settle().await;
        assert!(console.screen().contains("disconnected"), "{}", console.screen());
        proxy.resume();
    });
}

#[test]
fn fr_005_038_a_console_that_ends_gives_back_the_connection_that_listens() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_platform().await;
        store.administrator().await;
        // More consoles, one after the other, than the service has connections.
        for nth in 0..20 {
            let mut console = Console::open(&store.ops, 80, 24).await;
            console.log_in("administrator").await;
            assert!(console.screen().contains("● live"), "console {nth}:\n{}", console.screen());
        }
    });
}

#[test]
fn fr_005_038_only_captures_of_a_lost_database_show_one() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/captures");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let shows = std::fs::read_to_string(&path).unwrap().contains("disconnected");
        let named = path.file_name().unwrap().to_string_lossy().contains("lost");
        assert!(named || !shows, "{} shows a lost database", path.display());
        seen += usize::from(named && shows);
    }
    assert!(seen > 0, "no capture shows a lost database");
}

#[test]
fn fr_047_001_the_answer_to_a_commit_is_awaited_as_any_other() {
    block_on(async {
        let store = platform().await;
        let proxy = Proxy::start(&store.url);
        let mut settings = of_console(Listen::Off);
        settings.limits.answer = Some(Duration::from_millis(2_500));
        let ops = Ops::open(&proxy.url(&store.url), Create::Never, store.clock.clone(), settings);
        let running = Running::on(ops.unwrap(), Duration::from_secs(1));
        running.screen.until("live", |text| text.contains("● live")).await;
        proxy.trap(Cut::Silent, None, 0, false);
        let login = format!("administrator<tab>{}<enter>", PASSWORD.replace(' ', "<space>"));
        running.type_keys(&login);
        let waits = |text: &str| {
            let known = text.contains("○ slow") || text.contains("✗ disconnected");
            text.contains("checking") && known
        };
        running.screen.until("slow", waits).await;
        // What became of it is looked up, and the login goes on.
        let there = |text: &str| text.contains("● live") && text.contains("inventory.sync");
        running.screen.until("the list", there).await;
    });
}

both_engines! {
    async fn fr_047_002_a_login_that_met_a_lock_leaves_nothing_slow(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut settings = of_console(Listen::Off);
        settings.limits.lock = Some(Duration::from_millis(300));
        settings.patience = Duration::from_millis(600);
        let mut console = Console::open(&store.another(settings), 80, 24).await;
        let (mut table, mut file) = (None, None);
        match store.engine {
            Engine::Postgres => table = Some(locked_table(&store, "platform_users").await),
            Engine::Sqlite => {
                let mut other = SqliteConnection::connect(&store.url).await.unwrap();
                other.execute("begin exclusive").await.unwrap();
                file = Some(other);
            }
        }
        console.log_in("administrator").await;
        let why = match store.engine {
            Engine::Postgres => "another session holds it",
            Engine::Sqlite => "busy with another writer",
        };
        assert!(console.screen().contains(why), "{}", console.screen());
        drop((table, file));
        console.poll().await;
        assert!(console.screen().contains("● live"), "{}", console.screen());
    }
}
