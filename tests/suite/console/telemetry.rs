//! The tab of telemetry: specs/024-telemetry-tab.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use tenantpilot::access::Actor;
use tenantpilot::domain::capability::{Capability, CapabilitySet};
use tenantpilot::domain::telemetry::UsageEvent;
use tenantpilot::domain::window::Window;
use tenantpilot::ops::AnyOutput;
use tenantpilot::ops::telemetry::Summarise;
use tenantpilot::term::ColorSupport;
use tenantpilot::tui::keymap::Keymap;
use tenantpilot::tui::msg::{Answer, Effect, Msg, Request};
use tenantpilot::tui::setup::Setup;
use tenantpilot::tui::slot::Slot;

use super::captures::capture;
use super::lost::behind_a_proxy;
use crate::cli::Person;
use crate::support::console::{Console, setup};
use crate::support::stores::{Store, block_on, both_engines};

macro_rules! shows {
    ($console:expr, $text:expr) => {{
        let screen = $console.screen();
        assert!(screen.contains($text), "{:?} in {screen}", $text);
    }};
}

macro_rules! hides {
    ($console:expr, $text:expr) => {{
        let screen = $console.screen();
        assert!(!screen.contains($text), "{:?} in {screen}", $text);
    }};
}

/// Events of a kind that happened `hours` and seven minutes ago.
fn often(event: UsageEvent, hours: i64) -> i64 {
    match event {
        UsageEvent::OnboardingCheckpoint => i64::from(hours % 11 == 0),
        UsageEvent::DiagnosticsOpened if hours % 5 == 0 => 2,
        UsageEvent::OperationStarted if (6..18).contains(&(hours % 24)) => 1 + hours % 3,
        UsageEvent::ReportCreated if hours % 24 == 12 => 3,
        // Nobody has asked for one in the last 30 days.
        UsageEvent::ReviewPackRequested if hours >= 720 && hours % 50 == 0 => 1,
        _ => 0,
    }
}

impl Store {
    async fn used(&self, events: &[(UsageEvent, DateTime<Utc>)], subject: &str) {
        let row = |(index, (event, at)): (usize, &(UsageEvent, DateTime<Utc>))| {
            let (workspace, tenant) = if index.is_multiple_of(3) { (2, 3) } else { (1, 1) };
            let at = at.to_rfc3339_opts(SecondsFormat::AutoSi, false);
            let (area, kind) = (event.area(), event.subject_types()[0]);
            format!(
                "({workspace}, {tenant}, {workspace}, '{event}', '{area}', '{kind}', '{subject}', '{at}')"
            )
        };
        let rows: Vec<String> = events.iter().enumerate().map(row).collect();
        let into = "insert into product_usage_events (workspace_id, tenant_id, user_id, event_name, \
                    feature_area, subject_type, subject_id, occurred_at) values";
        for part in rows.chunks(500) {
            self.sql(&format!("{into} {}", part.join(", "))).await.unwrap();
        }
    }

    /// Two months of use, seen at 12:03:10.
    async fn with_use(self) -> Self {
        let store = self.with_platform().await;
        store.pass(190);
        let now = store.clock.now();
        let mut events = Vec::new();
        for hours in 0..1_440 {
            let at = now - TimeDelta::hours(hours) - TimeDelta::minutes(7);
            for event in UsageEvent::ALL {
                events.extend((0..often(*event, hours)).map(|_| (*event, at)));
            }
        }
        store.used(&events, "1").await;
        store
    }

    async fn remembered(&self) -> String {
        self.text("select coalesce(max(dashboard_window), '') from platform_user_preferences").await
    }
}

async fn at_tab(store: &Store, setup: Setup) -> Console {
    let mut console = Console::with(&store.ops, setup).await;
    console.log_in("administrator").await;
    console.keys("4").await;
    console
}

both_engines! {
    async fn fr_024_001_fr_024_002_fr_024_003_fr_024_004_a_window_with_events_is_readable_at_every_size(store) {
        let store = store.with_use().await;
        store.administrator().await;
        let sizes = [
            (80, 24, false, ColorSupport::Ansi16, "80x24"),
            (200, 50, false, ColorSupport::Ansi16, "200x50"),
            (60, 15, true, ColorSupport::None, "60x15_ascii"),
            (80, 24, false, ColorSupport::None, "80x24_no_color"),
            (200, 50, false, ColorSupport::None, "200x50_no_color"),
        ];
        for (width, height, ascii, colors, name) in sizes {
            let setup = Setup { ascii, colors, ..setup(width, height, &store.clock) };
            let mut console = at_tab(&store, setup).await;
            assert_eq!(console.app.window(), Some(Window::Day));
            for _ in Window::ALL {
                let window = console.app.window().unwrap();
                if colors != ColorSupport::None || window == Window::Day || ascii {
                    capture!(store, console, format!("{name}_telemetry_{window}"));
                }
                assert!(!ascii || console.screen().is_ascii());
                shows!(console, format!("events in {}", window.label()).as_str());
                shows!(console, format!("[{window}]").as_str());
                // One round ends where it began.
                console.keys("w").await;
            }
        }
    }

    async fn fr_024_004_any_number_is_survived_at_any_size(store) {
        let store = store.with_use().await;
        store.administrator().await;
        for (width, height) in [(60, 15), (61, 16), (80, 24), (99, 31), (200, 50), (400, 120)] {
            let mut console = at_tab(&store, setup(width, height, &store.clock)).await;
            for window in Window::ALL {
                let found = store.ops.run(&Actor::System, Summarise { window: Some(*window) }).await.unwrap();
                while console.app.window() != Some(*window) {
                    console.keys("w").await;
                }
                for most in [1_234_567, i64::MAX / 8] {
                    let mut huge = found.clone();
                    huge.families[0].count = Some(most);
                    huge.families[0].trend[1] = Some(most);
                    huge.families[1].previous = Some(most);
                    huge.total_events = Some(most);
                    let answer = Box::new(Answer::Op(AnyOutput::Summarise(Summarise { window: Some(*window) }, Ok(huge))));
                    console.send(Msg::Done { slot: Slot::USAGE, answer }).await;
                    shows!(console, format!("{most} events in {}", window.label()).as_str());
                    if most < 10_000_000 && width > 60 {
                        shows!(console, "1,234,567");
                        shows!(console, "bar ");
                    }
                }
            }
        }
    }

    async fn fr_024_005_a_window_without_an_event_says_so_and_what_to_do(store) {
        let store = store.with_platform().await;
        store.pass(190);
        store.administrator().await;
        for (width, height, ascii, colors, name) in [
            (80, 24, false, ColorSupport::Ansi16, "80x24"),
            (200, 50, false, ColorSupport::None, "200x50_no_color"),
            (60, 15, true, ColorSupport::None, "60x15_ascii"),
        ] {
            let setup = Setup { ascii, colors, ..setup(width, height, &store.clock) };
            let mut console = at_tab(&store, setup).await;
            capture!(store, console, format!("{name}_telemetry_none"));
            let screen = console.screen();
            let said = screen.lines().nth(3).unwrap().trim();
            assert_eq!(said, "No telemetry recorded in Last 24 hours.");
            shows!(console, "Try a longer window: w.");
            for label in UsageEvent::ALL.iter().map(|event| event.label()) {
                let line = screen.lines().find(|line| line.contains(label)).expect(label);
                assert!(line.contains(" 0 ") && line.contains("none"), "{line}");
            }
            console.keys("ww").await;
            shows!(console, "No telemetry recorded in Last 30 days.");
            hides!(console, "Try a longer window");
            console.keys("WW").await;
        }
        // What was before is not lost.
        let before = store.clock.now() - TimeDelta::hours(30);
        store.used(&[(UsageEvent::OperationStarted, before)], "1").await;
        let mut console = at_tab(&store, setup(80, 24, &store.clock)).await;
        shows!(console, "No telemetry recorded in Last 24 hours.");
        shows!(console, "-1 (-100 %)");
    }

    async fn fr_024_006_keys_choose_the_window_and_no_number_stands_under_another_ones_name(store) {
        let store = store.with_use().await;
        store.administrator().await;
        let mut console = at_tab(&store, setup(80, 24, &store.clock)).await;
        let of_day = console.screen();
        console.keys_at_once("w");
        shows!(console, "[7d]");
        shows!(console, "reading the numbers of Last 7 days");
        hides!(console, "events in");
        hides!(console, "as of");
        console.settle().await;
        shows!(console, "events in Last 7 days");
        for (keys, window) in [("w", Window::Month), ("w", Window::Hour), ("w", Window::Day), ("W", Window::Hour), ("W", Window::Month), ("WW", Window::Day)] {
            console.keys(keys).await;
            assert_eq!(console.app.window(), Some(window));
        }
        assert_eq!(console.screen(), of_day);
        // Faster than any answer: the last one counts.
        console.keys_at_once("wwwwwww");
        console.settle().await;
        assert_eq!(console.app.window(), Some(Window::Hour));
        shows!(console, "events in Last hour");
        assert_eq!(store.remembered().await, "1h");
        // A click on a name, with the chosen one in brackets: ` window  [1h] 24h 7d 30d`.
        for (column, window) in [(3, Window::Hour), (14, Window::Day), (18, Window::Week), (18, Window::Week), (9, Window::Hour)] {
            console.send(Msg::Click { column, row: 2 }).await;
            assert_eq!(console.app.window(), Some(window), "{}", console.screen());
            shows!(console, format!("events in {}", window.label()).as_str());
        }
        // Elsewhere the key means nothing.
        console.keys("2w").await;
        assert_eq!(console.app.window(), Some(Window::Hour));
    }

    async fn fr_024_006_an_answer_for_a_window_that_is_no_longer_chosen_is_dropped(store) {
        let store = store.with_use().await;
        store.administrator().await;
        let old = store.ops.run(&Actor::System, Summarise { window: Some(Window::Day) }).await;
        let mut console = at_tab(&store, setup(80, 24, &store.clock)).await;
        console.keys("w").await;
        let before = console.screen();
        for asked in [Some(Window::Day), None] {
            let answer = Box::new(Answer::Op(AnyOutput::Summarise(Summarise { window: asked }, old.clone())));
            console.send(Msg::Done { slot: Slot::USAGE, answer }).await;
            assert_eq!(console.screen(), before);
            assert_eq!(console.app.window(), Some(Window::Week));
        }
    }

    async fn fr_024_007_the_window_is_remembered_over_the_login_and_by_the_command_line(store) {
        let store = store.with_use().await;
        store.administrator().await;
        let person = Person::at(&store.url);
        person.login("administrator").ends(0);
        let mut console = at_tab(&store, setup(80, 24, &store.clock)).await;
        shows!(console, "1h [24h] 7d 30d");
        console.keys("w").await;
        let told = person.run(&["product-usage", "summary"]).ends(0).out;
        assert!(told.lines().next().unwrap().contains("in Last 7 days"), "{told}");
        console.keys(":app.logout<enter>").await;
        assert_eq!(console.app.window(), None);
        console.log_in("administrator").await;
        console.keys_at_once("4");
        hides!(console, "[");
        console.keys("w").await;
        // Before the first answer nobody knows what comes after.
        assert_eq!(console.app.window(), Some(Window::Week));
        shows!(console, "1h 24h [7d] 30d");
        shows!(console, "events in Last 7 days");
    }

    async fn fr_024_008_a_window_that_could_not_be_remembered_stays_chosen_and_says_so(store) {
        let store = store.with_use().await;
        store.administrator().await;
        let mut console = at_tab(&store, setup(80, 24, &store.clock)).await;
        store.sql("alter table platform_user_preferences rename column updated_at to elsewhere").await.unwrap();
        console.keys("w").await;
        shows!(console, "[7d]");
        let screen = console.screen();
        let footer = screen.lines().last().unwrap();
        assert!(footer.contains("Last 7 days is shown, but not remembered"), "{footer}");
        console.poll().await;
        shows!(console, "events in Last 7 days");
        store.sql("alter table platform_user_preferences rename column elsewhere to updated_at").await.unwrap();
        console.keys("w").await;
        hides!(console, "not remembered");
        assert_eq!(store.remembered().await, "30d");
    }

    async fn fr_024_009_no_tenant_user_or_subject_reaches_the_screen(store) {
        let store = store.with_platform().await;
        store.pass(190);
        store.administrator().await;
        let marks = ["Zebrafish", "quokka", "narwhal", "aardvark", "771177"];
        for sql in [
            "update workspaces set name = 'Zebrafish Group ' || id",
            "update tenants set name = 'Zebrafish ' || id || ' 771177'",
            "update users set name = 'quokka' || id, email = 'quokka' || id || '@narwhal.example'",
        ] {
            store.sql(sql).await.unwrap();
        }
        let now = store.clock.now();
        let mut events = Vec::new();
        for event in UsageEvent::ALL {
            for minutes in [1, 50, 200, 3_000, 20_000, 50_000] {
                events.push((*event, now - TimeDelta::minutes(minutes)));
            }
        }
        store.used(&events, "aardvark-771177").await;
        store.sql("insert into tenants (id, workspace_id, name, is_platform, created_at) values (771177, 1, 'Zebrafish', false, '2026-11-01T00:00:00+00:00')").await.unwrap();
        store.sql("insert into product_usage_events (workspace_id, tenant_id, user_id, event_name, feature_area, subject_type, subject_id, metadata, occurred_at) \
                   select workspace_id, 771177, user_id, event_name, feature_area, subject_type, subject_id, '{\"operation_type\": \"narwhal.sync\"}', occurred_at \
                   from product_usage_events where workspace_id = 1 and event_name = 'product.operations.started'").await.unwrap();
        let mut sums = BTreeSet::new();
        for (width, height, ascii) in [(60, 15, false), (60, 15, true), (80, 24, false), (120, 40, false), (200, 50, false), (300, 90, true)] {
            let setup = Setup { ascii, ..setup(width, height, &store.clock) };
            let mut console = at_tab(&store, setup).await;
            for _ in Window::ALL {
                console.keys("<enter>?").await;
                let mut seen = vec![console.screen()];
                console.keys("<esc>gjG<enter>y").await;
                seen.push(console.screen());
                console.keys("<right>l").await;
                seen.push(console.screen());
                for screen in seen {
                    for mark in marks {
                        assert!(!screen.to_lowercase().contains(&mark.to_lowercase()), "{mark} in {screen}");
                    }
                }
                assert!(console.outside.is_empty(), "nothing is copied: {:?}", console.outside);
                let screen = console.screen();
                sums.insert(screen.lines().find(|line| line.contains("events in")).unwrap().to_owned());
                console.keys("w").await;
            }
        }
        assert!(sums.len() >= 4, "each window had its numbers: {sums:?}");
    }

    async fn fr_024_010_a_missing_capability_is_named_and_no_number_is_shown(store) {
        let store = store.with_use().await;
        let root = store.administrator().await;
        let with = |held: &[Capability]| -> CapabilitySet {
            [Capability::AccessSystemPanel].iter().chain(held).copied().collect()
        };
        store.user_with(&root, "lone", with(&[Capability::OpsView]), &[]).await;
        store.user_with(&root, "both", with(&[Capability::OpsView, Capability::RunbooksView]), &[]).await;
        store.user_with(&root, "part", with(&[Capability::ConsoleView]), &[2]).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("lone").await;
        console.keys("4").await;
        shows!(console, "platform.console.view");
        hides!(console, "events in");
        hides!(console, "Onboarding checkpoints");
        console.keys("w").await;
        assert_eq!(console.app.window(), None);
        let mut totals = Vec::new();
        for name in ["both", "part"] {
            let mut console = Console::open(&store.ops, 80, 24).await;
            console.log_in(name).await;
            console.keys("4").await;
            let screen = console.screen();
            let total: i64 = screen.lines().nth(3).unwrap().split_whitespace().next().unwrap().parse().unwrap();
            totals.push(total);
        }
        assert!(totals[1] > 0 && totals[1] < totals[0], "who sees one workspace counts that one only: {totals:?}");
    }

    async fn fr_024_012_numbers_are_asked_seldom_and_nothing_is_drawn_while_they_stay(store) {
        let store = store.with_use().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        assert!(console.app.subscriptions().iter().all(|sub| sub.slot != Slot::USAGE));
        console.keys("4").await;
        let sub = console.app.subscriptions().into_iter().find(|sub| sub.slot == Slot::USAGE).unwrap();
        assert_eq!((sub.every, sub.request), (Duration::from_secs(10), Request::of(Summarise { window: Some(Window::Day) })));
        assert!(!Slot::USAGE.follows_hints() && Slot::LIST.follows_hints());
        let before = (console.screen(), console.styles());
        for _ in 0..6 {
            store.pass(10);
            console.poll().await;
            assert_eq!((console.screen(), console.styles()), before);
        }
        // A new event changes the numbers, and the moment with them.
        store.used(&[(UsageEvent::ReviewPackRequested, store.clock.now())], "1").await;
        console.keys("r").await;
        shows!(console, "as of 12:04:10 UTC, unchanged since");
        shows!(console, "new");
        let asks = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Ask(Slot::USAGE, _)));
        console.app.update(Msg::Focus(false), store.clock.now());
        assert!(asks(&console.app.update(Msg::Focus(true), store.clock.now())));
        // Paused, it stands still, but the person still gets what they ask for.
        console.keys("p").await;
        assert!(console.app.subscriptions().is_empty());
        store.used(&[(UsageEvent::ReviewPackRequested, store.clock.now())], "1").await;
        hides!(console, "unchanged since");
        let paused = console.screen();
        console.poll().await;
        assert_eq!(console.screen(), paused);
        store.pass(5);
        console.keys("r").await;
        shows!(console, "as of 12:04:15 UTC");
        // With no event at all, only the clock goes on.
        console.keys("p").await;
        store.sql("delete from product_usage_events").await.unwrap();
        console.keys("r").await;
        shows!(console, "No telemetry recorded");
        let none = console.screen();
        store.pass(1_500);
        console.poll().await;
        assert_eq!(console.screen(), none);
    }

    async fn fr_024_013_a_number_opens_nothing_and_says_so(store) {
        let store = store.with_use().await;
        store.administrator().await;
        let mut console = at_tab(&store, setup(80, 24, &store.clock)).await;
        console.keys("<enter>").await;
        shows!(console, "telemetry numbers are sums only: they open nothing");
        console.keys("X").await;
        console.send(Msg::Click { column: 30, row: 8 }).await;
        console.send(Msg::Wheel { up: false }).await;
        shows!(console, "events in Last 24 hours");
        console.keys("<esc>").await;
        shows!(console, "active 0   stale 0");
    }

    async fn fr_024_014_the_tabs_have_their_order_and_fit_with_the_mode_in_the_header(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let tabs = ["1 Over", "2 Op", "3 Run", "4 Tel", "5 Supp", "6 ", "7 Inbox", "8 Work"];
        for (width, height) in [(60, 15), (80, 24), (120, 40)] {
            let mut console = Console::open(&store.ops, width, height).await;
            console.log_in("administrator").await;
            for key in ["1", "2", "3", "4", "5", "6", "7", "8"] {
                console.keys(key).await;
                let screen = console.screen();
                let mut lines = screen.lines();
                let (header, line) = (lines.next().unwrap(), lines.next().unwrap());
                let places: Vec<usize> = tabs.iter().map(|tab| line.find(tab).expect(line)).collect();
                assert!(places.is_sorted(), "{line}");
                assert!(header.contains("PROD   DIRECT DB") || header.contains("PROD   LOCAL"), "{header}");
            }
            // The landing tab.
            let mut console = Console::open(&store.ops, width, height).await;
            console.log_in("administrator").await;
            shows!(console, "newest 9 of 9");
        }
    }

    async fn fr_024_015_help_footer_palette_and_advice_follow_the_keymap(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let text = "inherits = \"default\"\n[telemetry]\n\"w\" = \"none\"\n\">\" = \"window.next\"\n";
        let keymap = Keymap::parse("mine.toml", text).unwrap();
        let mut console = at_tab(&store, Setup { keymap, ..setup(80, 24, &store.clock) }).await;
        shows!(console, "Try a longer window: >.");
        let screen = console.screen();
        let footer = screen.lines().last().unwrap();
        assert!(footer.contains("> longer window") && footer.contains("W shorter window"), "{footer}");
        console.keys("w").await;
        shows!(console, "[24h]");
        console.keys(">").await;
        shows!(console, "[7d]");
        console.keys("?").await;
        shows!(console, "Look further back");
        console.keys("<esc>:window.prev<enter>").await;
        shows!(console, "[24h]");
        console.keys("2:window").await;
        shows!(console, "no command, run or tenant matches");
        hides!(console, "window.");
        let vim = Keymap::embedded("vim").unwrap();
        let mut console = at_tab(&store, Setup { keymap: vim, ..setup(80, 24, &store.clock) }).await;
        console.keys("w").await;
        shows!(console, "[7d]");
    }
}

#[test]
fn fr_024_011_with_the_database_lost_the_numbers_stay_grey_with_their_age() {
    block_on(async {
        let (store, proxy, ops) = behind_a_proxy().await;
        for (width, height) in [(80, 24), (60, 15)] {
            let mut console = Console::open(&ops, width, height).await;
            console.log_in("administrator").await;
            console.keys("4").await;
            let alive = console.screen();
            store.pass(2);
            console.poll().await;
            proxy.cut();
            store.pass(12);
            console.poll().await;
            let screen = console.screen();
            assert!(screen.contains("12 s old"), "{screen}");
            assert!(screen.contains("events in Last 24 hours"), "the last numbers stay: {screen}");
            // When they were found to be right last, which is not when they came.
            assert!(
                screen.contains("as of 10:17:32 UTC") && !screen.contains("unchanged"),
                "{screen}"
            );
            let styles = console.styles();
            let grey =
                |text: &str| styles.lines().any(|s| s.contains(text) && s.ends_with("DarkGray"));
            assert!(grey("events in Last 24 hours"), "{styles}");
            // Another window can be chosen; its numbers are not there.
            console.keys("w").await;
            let screen = console.screen();
            assert!(screen.contains("[7d]") && !screen.contains("events in"), "{screen}");
            assert!(screen.contains("not remembered"), "{screen}");
            console.keys("W").await;
            assert!(console.screen().contains("events in Last 24 hours"));
            proxy.restore();
            console.poll().await;
            console.keys("r").await;
            assert_eq!(console.screen().lines().next(), alive.lines().next());
            assert!(console.screen().contains("unchanged since") || width == 60);
            store.pass(-14);
        }
    });
}
