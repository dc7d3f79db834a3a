//! The inbox on the screen: what another process ends shows up, is viewed, and is read.

use std::time::Duration;

use tenantpilot::Error;
use tenantpilot::access::ClientKind;
use tenantpilot::domain::capability::Role;
use tenantpilot::ops::AnyOutput;
use tenantpilot::ops::OpsSettings;
use tenantpilot::ops::notifications::{CountUnread, MarkRead};
use tenantpilot::term::ColorSupport;
use tenantpilot::tui::keymap::Keymap;
use tenantpilot::tui::msg::{Answer, Effect, Msg, Request};
use tenantpilot::tui::runner::Runner;
use tenantpilot::tui::setup::Setup;
use tenantpilot::tui::slot::Slot;

use crate::notifications::{ended_for, user_id};
use crate::support::console::{Console, events, setup};
use crate::support::stores::{ORIGIN, Store, both_engines};

use super::captures::capture;

/// A platform with an environment, an administrator, and four of their runs that have ended;
/// the two oldest notices are read.
async fn with_inbox(store: Store) -> Store {
    let store = store.with_platform().await;
    store.sql("insert into platform_settings values ('environment.label', 'PROD', '2026-11-01T00:00:00+00:00'), \
               ('environment.color', 'red', '2026-11-01T00:00:00+00:00')").await.unwrap();
    store.administrator().await;
    store.pass(-100_000);
    ended_for(&store, 1, "stored_report.create", 1, 0).await;
    store.pass(90_000);
    ended_for(&store, 1, "inventory.sync", 2, 0).await;
    store.sql("update notifications set read_at = '2026-11-20T11:00:00+00:00'").await.unwrap();
    store.pass(9_000);
    ended_for(&store, 1, "findings.lifecycle_backfill", 3, 1).await;
    store.pass(900);
    ended_for(&store, 1, "policy.sync", 3, 4).await;
    store.pass(100);
    store
}

fn header(screen: &str) -> &str {
    screen.lines().next().unwrap()
}

/// The run's id on the line with the cursor's marker.
fn under_cursor(screen: &str) -> i64 {
    let line = screen.lines().find(|line| line.starts_with('▸')).expect("a row is selected");
    let words: Vec<&str> = line.trim_start_matches('▸').split_whitespace().collect();
    words.iter().find_map(|word| word.parse().ok()).unwrap()
}

both_engines! {
    async fn fr_015_008_a_run_that_ends_elsewhere_is_counted_viewed_and_read(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let patient = OpsSettings { patience: Duration::from_mins(1), ..OpsSettings::default() };
        let mut console = Console::open(&store.another(patient), 80, 24).await;
        console.log_in("administrator").await;
        assert!(!console.screen().contains('✉'), "{}", console.screen());
        let run = ended_for(&store, 1, "stored_report.create", 2, 4).await;
        // On the list, on a run, and without any key.
        console.poll().await;
        assert!(header(&console.screen()).contains("✉ 1 "), "{}", console.screen());
        console.keys("<enter>").await;
        ended_for(&store, 1, "provider.connection_check", 1, 0).await;
        console.poll().await;
        assert!(header(&console.screen()).contains("✉ 2 "), "{}", console.screen());
        console.keys("7j").await;
        let screen = console.screen();
        assert!(screen.contains(&format!("stored_report.create failed: run {run}")), "{screen}");
        assert_eq!(under_cursor(&screen), run);
        console.keys("<enter>").await;
        let screen = console.screen();
        assert!(screen.contains(&format!("▸ {run}  stored_report.create")), "{screen}");
        assert!(header(&screen).contains("✉ 1 "), "{screen}");
        assert_eq!(store.number("select count(*) from notifications where read_at is not null").await, 1);
        // Back where the run was chosen, with the cursor where it was.
        console.keys("<esc>").await;
        let screen = console.screen();
        assert!(screen.contains("NOTIFICATION") && under_cursor(&screen) == run, "{screen}");
        console.keys("k<enter>").await;
        assert!(!console.screen().contains('✉'), "{}", console.screen());
        console.keys("<esc><esc>").await;
        assert!(console.screen().contains("CREATED UTC"), "{}", console.screen());
    }

    async fn fr_015_009_the_cursor_stays_on_its_notice_while_others_come_and_go(store) {
        let store = with_inbox(store).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("7j").await;
        let chosen = under_cursor(&console.screen());
        for tenant in [1, 2, 4] {
            ended_for(&store, 1, "backup.snapshot", tenant, 0).await;
            console.poll().await;
            assert_eq!(under_cursor(&console.screen()), chosen);
        }
        store.sql(&format!("delete from notifications where run_id = {chosen}")).await.unwrap();
        console.poll().await;
        assert_eq!(under_cursor(&console.screen()), chosen - 1, "its neighbour takes over");
    }

    async fn fr_015_010_reading_one_and_all_says_what_it_did(store) {
        let store = with_inbox(store).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("7").await;
        assert!(console.screen().contains(" unread 2 "), "{}", console.screen());
        // One that is read already changes nothing, and asks nothing.
        console.keys("jjm").await;
        assert!(console.screen().contains(" unread 2 "));
        console.keys("gm").await;
        let screen = console.screen();
        assert!(screen.contains(" unread 1 ") && header(&screen).contains("✉ 1 "), "{screen}");
        assert!(!screen.lines().find(|line| line.starts_with('▸')).unwrap().contains('●'), "{screen}");
        console.keys("u").await;
        let screen = console.screen();
        assert!(screen.contains("showing unread only") && screen.contains("1 notification"), "{screen}");
        // What came after the look stays unread.
        let late = ended_for(&store, 1, "backup.snapshot", 1, 0).await;
        console.keys("M").await;
        let screen = console.screen();
        assert!(screen.lines().last().unwrap().contains("1 marked as read"), "{screen}");
        assert_eq!(under_cursor(&screen), late);
        assert!(screen.contains(" unread 1 "), "{screen}");
        console.keys("MM").await;
        let screen = console.screen();
        assert!(screen.contains("Nothing is unread. u shows all notifications."), "{screen}");
        assert!(screen.lines().last().unwrap().contains("there is no notification to mark"), "{screen}");
        console.keys("uM").await;
        assert!(console.screen().lines().last().unwrap().contains("nothing was unread"), "{}", console.screen());
        assert!(console.screen().contains("5 notifications"), "{}", console.screen());
    }

    async fn fr_015_011_keys_that_are_faster_than_the_database_lose_no_mark(store) {
        let store = with_inbox(store).await;
        for tenant in [1, 2, 3, 4] {
            ended_for(&store, 1, "backup.snapshot", tenant, 0).await;
        }
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("7").await;
        console.keys_at_once("mjmjmjmjm");
        console.settle().await;
        assert_eq!(store.number("select count(*) from notifications where read_at is null").await, 1);
        assert!(console.screen().contains(" unread 1 "), "{}", console.screen());
        // A mark that was not taken says so, and is tried again with the next key.
        console.keys("j").await;
        let id = console.app.tabs.inbox.selected().unwrap().id;
        let effects: Vec<Effect> = events("m")
            .into_iter()
            .flat_map(|event| console.app.update(Msg::Key(event), store.clock.now()))
            .collect();
        assert_eq!(effects, [Effect::ask(Slot::MARK_READ, MarkRead { ids: vec![id] })]);
        let refused = Answer::Op(AnyOutput::MarkRead(MarkRead { ids: vec![id] }, Err(Error::refused("not now"))));
        console.send(Msg::Done { slot: Slot::MARK_READ, answer: Box::new(refused) }).await;
        let screen = console.screen();
        assert!(screen.contains("not marked as read: not now") && screen.contains(" unread 1 "), "{screen}");
        console.keys("m").await;
        assert!(console.screen().contains(" unread 0 "), "{}", console.screen());
    }

    async fn fr_015_012_the_inbox_is_readable_at_every_size_and_in_ascii(store) {
        let store = with_inbox(store).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("7j").await;
        capture!(store, console, "80x24_inbox");
        console.keys("?").await;
        capture!(store, console, "80x24_inbox_help");
        let ascii = Setup { ascii: true, colors: ColorSupport::None, ..setup(60, 15, &store.clock) };
        let mut narrow = Console::with(&store.ops, ascii).await;
        narrow.log_in("administrator").await;
        narrow.keys("7").await;
        assert!(narrow.screen().is_ascii(), "{}", narrow.screen());
        assert!(header(&narrow.screen()).contains("PROD") && header(&narrow.screen()).contains("mail 2 "));
        capture!(store, narrow, "60x15_inbox_ascii");
        let mut wide = Console::open(&store.ops, 200, 50).await;
        wide.log_in("administrator").await;
        wide.keys("7").await;
        capture!(store, wide, "200x50_inbox");
        wide.keys("Mu").await;
        capture!(store, wide, "200x50_inbox_empty");
        for (width, height) in [(60, 15), (500, 200), (1, 1), (120, 16)] {
            wide.send(Msg::Resize(width, height)).await;
            wide.keys("ujjkGg").await;
            wide.screen();
        }
    }

    async fn fr_015_013_help_footer_and_palette_follow_the_keymap(store) {
        let store = with_inbox(store).await;
        let text = "inherits = \"default\"\n[inbox]\n\"m\" = \"none\"\n\"x\" = \"inbox.mark_read\"\n\"u\" = \"none\"\n\
                    \"U\" = \"inbox.unread_only\"\n[global]\n\"6\" = \"none\"\n\"i\" = \"tab.inbox\"\n";
        let keymap = Keymap::parse("mine.toml", text).unwrap();
        let mut console = Console::with(&store.ops, Setup { keymap, ..setup(80, 24, &store.clock) }).await;
        console.log_in("administrator").await;
        assert!(console.screen().lines().nth(1).unwrap().contains(" i Inbox "), "{}", console.screen());
        console.keys("i").await;
        let screen = console.screen();
        let footer = screen.lines().last().unwrap();
        assert!(footer.contains("enter view run") && footer.contains("x mark read"), "{footer}");
        console.keys("x").await;
        assert!(console.screen().contains(" unread 1 "));
        console.keys("?").await;
        let screen = console.screen();
        let line = screen.lines().find(|line| line.contains("Mark the selected notification as read")).unwrap();
        assert!(line.trim_start().starts_with("x "), "{line}");
        console.keys("<esc>:mark<space>every<enter>").await;
        assert!(console.screen().lines().last().unwrap().contains("1 marked as read"), "{}", console.screen());
        console.keys("U").await;
        assert!(console.screen().contains("Nothing is unread. U shows all notifications."), "{}", console.screen());
        // The palette leads there from elsewhere; what belongs to the inbox is not offered there.
        console.keys("2:inbox<enter>").await;
        assert!(console.screen().contains("NOTIFICATION"), "{}", console.screen());
        console.keys("2:inbox.mark").await;
        assert!(!console.screen().contains("inbox.mark_"), "{}", console.screen());
    }

    async fn fr_015_006_viewing_a_run_out_of_view_says_that_there_is_none(store) {
        let store = store.with_platform().await;
        let ana = store.administrator().await;
        store.user_with(&ana, "ben", Role::Operator.capabilities(), &[1]).await;
        let ben = user_id(&store, "ben").await;
        let run = ended_for(&store, ben, "policy.sync", 3, 4).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("ben").await;
        console.keys("7").await;
        let screen = console.screen();
        assert!(screen.contains("✗ failed") && screen.contains(&format!("run {run}")), "{screen}");
        console.keys("<enter>").await;
        let screen = console.screen();
        assert!(screen.contains(&format!("run {run}")) && screen.contains("not found"), "{screen}");
        assert!(!screen.contains("provider_throttled") && !screen.contains("Fabrikam"), "{screen}");
    }

    async fn fr_015_014_older_notices_are_loaded_as_the_cursor_comes_near(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        for part in 0..5 {
            let rows: Vec<String> = (part * 100 + 1..=part * 100 + 100)
                .map(|i| format!("({i}, 1, 'run_completed', null, 'notice {i}', '2026-11-20T{:02}:{:02}:{:02}+00:00')", i / 3600, i / 60 % 60, i % 60))
                .collect();
            store.sql(&format!("insert into notifications (id, platform_user_id, kind, run_id, title, created_at) values {}", rows.join(", "))).await.unwrap();
        }
        let small = Setup { page_size: 50, ..setup(80, 24, &store.clock) };
        let mut console = Console::with(&store.ops, small).await;
        console.log_in("administrator").await;
        console.keys("7").await;
        assert_eq!(console.app.tabs.inbox.rows().len(), 50);
        let mut seen = vec![console.app.tabs.inbox.selected().unwrap().id];
        while seen.len() < 500 {
            console.keys("j").await;
            if seen.len() % 100 == 0 {
                console.poll().await;
            }
            seen.push(console.app.tabs.inbox.selected().unwrap().id);
        }
        assert_eq!(seen, (1..=500).rev().collect::<Vec<i64>>());
        assert!(console.screen().contains("500 notifications"), "{}", console.screen());
        // A notice without a run can be read, and says that there is nothing to view.
        console.keys("<enter>").await;
        assert!(console.screen().contains("this notification is not about a run"), "{}", console.screen());
        assert!(console.screen().contains(" unread 499 "), "{}", console.screen());
    }

    async fn fr_015_015_what_one_person_asked_is_not_answered_to_the_next(store) {
        let store = store.with_platform().await;
        let ana = store.administrator().await;
        let ben = store.user(&ana, Role::Viewer).await;
        ended_for(&store, 1, "policy.sync", 1, 0).await;
        let (mut runner, mut answers, _hints) = Runner::new(store.ops.clone(), ORIGIN.to_owned(), ClientKind::Console);
        runner.set_session(Some(&ana));
        runner.ask(Slot::UNREAD, Request::of(CountUnread));
        runner.set_session(Some(&ben));
        runner.ask(Slot::UNREAD, Request::of(CountUnread));
        let mut taken = Vec::new();
        while !runner.busy().is_empty() {
            taken.extend(runner.take(answers.recv().await.unwrap()));
        }
        assert!(matches!(taken.as_slice(), [(Slot::UNREAD, Answer::Op(AnyOutput::CountUnread(_, Ok(0))))]), "{taken:?}");
    }

    async fn fr_015_016_logging_out_forgets_the_inbox(store) {
        let store = with_inbox(store).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("7:app.logout<enter>").await;
        let screen = console.screen();
        assert!(screen.contains("Log in") && !screen.contains('✉'), "{screen}");
        assert!(console.app.tabs.inbox.rows().is_empty() && console.app.tabs.inbox.unread().is_none());
    }

    async fn fr_015_017_clicks_select_a_notice_and_view_its_run(store) {
        let store = with_inbox(store).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("7").await;
        console.send(Msg::Click { column: 9, row: 5 }).await;
        let run = under_cursor(&console.screen());
        for row in [2, 3, 20] {
            console.send(Msg::Click { column: 9, row }).await;
            assert_eq!(under_cursor(&console.screen()), run);
        }
        console.keys("y").await;
        assert_eq!(console.outside, [Effect::Copy(run.to_string())]);
        console.send(Msg::Click { column: 9, row: 5 }).await;
        assert!(console.screen().contains(&format!("▸ {run}  findings.lifecycle_backfill")), "{}", console.screen());
    }
}
