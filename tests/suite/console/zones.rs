//! Times with their zone, lengths of time in full, the label of the platform, and what does not
//! fit.

use std::os::unix::fs::PermissionsExt as _;

use chrono::{FixedOffset, Offset as _, Utc};
use tempfile::TempDir;
use tenantpilot::access::Actor;
use tenantpilot::domain::run_filter::RunFilter;
use tenantpilot::domain::time_zone::TimeZone;
use tenantpilot::ops::AnyOutput;
use tenantpilot::ops::Engine;
use tenantpilot::ops::platform::PlatformInfo;
use tenantpilot::ops::runs::CountRuns;
use tenantpilot::ops::runs::RunCounts;
use tenantpilot::tui::msg::{Answer, Msg};
use tenantpilot::tui::session::keep_if_long;
use tenantpilot::tui::setup::Setup;
use tenantpilot::tui::slot::Slot;

use super::live::fill;
use super::run_control::shows;
use crate::cli::{Person, done};
use crate::support::console::{Console, setup};
use crate::support::stores::both_engines;

/// Half an hour beside every usual zone, and without a zone's file.
const INDIA: &str = "<+0530>-05:30";

fn india() -> FixedOffset {
    FixedOffset::east_opt(19_800).unwrap()
}

#[test]
fn fr_045_003_a_filter_is_read_and_shown_in_a_zone_and_kept_in_utc() {
    for (typed, shown, kept) in [
        ("since:2026-11-20T17:30", "since:2026-11-20T17:30", "since:2026-11-20T12:00Z"),
        ("since:2026-11-20", "since:2026-11-20", "since:2026-11-19T18:30Z"),
        ("until:2026-11-20T00:30:05", "until:2026-11-20T00:30:05", "until:2026-11-19T19:00:05Z"),
        ("since:2026-11-20T12:00Z", "since:2026-11-20T17:30", "since:2026-11-20T12:00Z"),
        ("since:2026-11-20T14:00+02:00", "since:2026-11-20T17:30", "since:2026-11-20T12:00Z"),
        (
            "since:2026-11-20T14:00:00+02:00 x",
            "since:2026-11-20T17:30 x",
            "since:2026-11-20T12:00Z x",
        ),
        ("since:24h tenant:\"a b\"", "since:1d tenant:\"a b\"", "since:1d tenant:\"a b\""),
    ] {
        let filter = RunFilter::parse_in(typed, india()).unwrap();
        assert_eq!((filter.shown(india()).as_str(), filter.to_string().as_str()), (shown, kept));
        assert_eq!(RunFilter::parse_in(shown, india()).unwrap(), filter);
        for offset in [india(), Utc.fix()] {
            assert_eq!(RunFilter::parse_in(kept, offset).unwrap(), filter, "{kept}");
        }
    }
    let error = RunFilter::parse_in("since:noon", india()).unwrap_err().message;
    assert!(error.contains("2026-11-20T10:00 (+05:30)"), "{error}");
    assert!(RunFilter::parse("since:noon").unwrap_err().message.contains("(UTC)"));
}

both_engines! {
    async fn fr_045_001_a_length_of_time_is_whole_at_every_width(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        for (seconds, told) in [(725, "12m05s"), (86_340, "23h59m"), (8_636_000, "99d22h")] {
            store.ended("policy.sync", 1, 4, 0, seconds).await;
            let mut console = Console::open(&store.ops, 200, 50).await;
            console.log_in("administrator").await;
            for (width, height) in [(60, 15), (61, 15), (77, 20), (78, 24), (80, 24), (119, 24), (120, 40), (159, 40), (160, 50), (200, 50)] {
                console.send(Msg::Resize(width, height)).await;
                let screen = console.screen();
                let row = screen.lines().find(|line| line.starts_with("▸")).unwrap();
                let list = if width >= 120 { usize::from(width) - 42 } else { usize::from(width) };
                let row: String = row.chars().take(list).collect();
                assert!(row.split_whitespace().any(|word| word == told), "{told} at {width}: {row}");
            }
        }
        let person = Person::at(&store.url);
        person.login("administrator").ends(0);
        assert!(person.run(&["runs", "list"]).ends(0).out.contains("12m05s"));
    }

    async fn fr_045_002_the_header_names_the_zone_on_every_screen(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        for (width, height) in [(60, 15), (80, 24), (200, 50)] {
            let mut console = Console::open(&store.ops, width, height).await;
            console.log_in("administrator").await;
            for tab in ["1", "2", "3", "4", "5", "6", "7", "8"] {
                console.keys(tab).await;
                let screen = console.screen();
                let header = screen.lines().next().unwrap();
                assert!(header.contains(" UTC ") && header.trim_end().ends_with("live"), "{tab} at {width}: {header}");
            }
            // The heading of a column has it too, where it fits.
            console.keys("2").await;
            shows!(console, "CREATED UTC");
        }
        let local = Setup { zone: TimeZone::Local, ..setup(80, 24, &store.clock) };
        let mut console = Console::with(&store.ops, local).await;
        console.log_in("administrator").await;
        let offset = TimeZone::Local.offset(store.clock.now()).to_string();
        assert!(console.screen().lines().next().unwrap().contains(&offset), "{}", console.screen());
    }

    async fn fr_045_002_the_heading_of_a_column_of_times_names_the_zone(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        for zone in [TimeZone::Utc, TimeZone::Local] {
            let with = Setup { zone, ..setup(200, 50, &store.clock) };
            let mut console = Console::with(&store.ops, with).await;
            console.log_in("administrator").await;
            let offset = zone.offset(store.clock.now()).to_string();
            let named = if zone == TimeZone::Utc { "UTC" } else { offset.trim_end_matches(":00") };
            for (keys, heading) in [("2", "CREATED"), ("8", "BEAT")] {
                console.keys(keys).await;
                let screen = console.screen();
                let head = format!("{heading} {named}");
                assert!(screen.lines().skip(1).any(|line| line.contains(&head)), "{head} in\n{screen}");
            }
        }
    }

    async fn fr_045_003_filters_of_the_command_line_follow_the_zone(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        // Made at 12:00 UTC.
        store.start("policy.sync", 1).await;
        let person = Person::at(&store.url);
        person.login("administrator").ends(0);
        let listed = |arguments: &[&str]| {
            let mut command = person.command(&[&["runs", "list", "--json"], arguments].concat());
            let answer = done(command.env("TZ", INDIA), None).ends(0).json();
            answer["runs"].as_array().unwrap().len()
        };
        let local = ["--local", "--since", "2026-11-20T17:30", "--until", "2026-11-20T17:31"];
        assert_eq!(listed(&local), 1);
        assert_eq!(listed(&local[1..]), 0);
        assert_eq!(listed(&["--local", "--filter", "since:2026-11-20T17:31"]), 0);
        assert_eq!(listed(&["--local", "--filter", "since:2026-11-20T12:00Z until:2026-11-20T12:01Z"]), 1);
        assert_eq!(listed(&["--since", "2026-11-20T12:00", "--until", "2026-11-20T12:01"]), 1);
    }

    async fn fr_045_004_a_time_of_another_year_shows_the_year(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        store.ended("policy.sync", 1, 4, 4, 5).await;
        for (column, at) in [("created_at", "2024-11-20T12:00:00+00:00"), ("started_at", "2024-11-20T12:00:01+00:00"), ("completed_at", "2024-11-20T12:00:06+00:00")] {
            store.sql(&format!("update operation_runs set {column} = '{at}'")).await.unwrap();
        }
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        shows!(console, " 2024-11-20 ");
        console.keys("<enter>").await;
        shows!(console, "created 2024-11-20");
    }

    async fn fr_045_008_a_platform_without_a_label_says_so_with_its_host(store) {
        let store = store.with_platform().await;
        let person = Person::administrator(&store.url);
        let host = store.ops.host();
        let first_line = async |width, height| {
            let mut console = Console::open(&store.ops, width, height).await;
            console.log_in("ana").await;
            console.screen().lines().next().unwrap().to_owned()
        };
        for (width, height) in [(60, 15), (80, 24), (200, 50)] {
            let header = first_line(width, height).await;
            match (store.engine, &host) {
                (Engine::Postgres, Some(host)) => assert!(header.contains(" UNLABELLED ") && header.contains(host.as_str()), "{header}"),
                (Engine::Sqlite, None) => assert!(header.contains(" LOCAL ") && !header.contains("UNLABELLED"), "{header}"),
                other => panic!("{other:?}"),
            }
        }
        let set = |arguments: &[&str]| person.run(&[&["platform", "set-label"], arguments].concat());
        let label = async || store.ops.run(&Actor::System, PlatformInfo).await.unwrap();
        set(&["PRODUCTION EU", "--color", "purple", "--yes"]).ends(2);
        set(&["PRODUCTION EU"]).ends(2);
        set(&["PRODUCTION EU", "--color", "red", "--dry-run"]).ends(0);
        assert!(!label().await.labelled);
        let told = set(&["PRODUCTION EU", "--color", "red", "--yes"]).ends(0).out;
        assert!(told.contains("environment.label set to PRODUCTION EU") && told.contains("environment.color set to red"), "{told}");
        let after = label().await;
        assert_eq!((after.environment.as_str(), after.environment_color.as_str(), after.labelled), ("PRODUCTION EU", "red", true));
        assert!(first_line(80, 24).await.contains(" PRODUCTION EU "));
        let json = set(&["STAGING", "--confirm", "environment.label", "--json"]).ends(0).json();
        assert_eq!(json["settings"][0]["value"], "STAGING");
        let mode = first_line(200, 50).await;
        assert_eq!(mode.contains("LOCAL DATABASE: permissions are not enforced"), store.engine == Engine::Sqlite, "{mode}");
        assert_eq!(mode.contains("DIRECT DB"), store.engine == Engine::Postgres, "{mode}");
    }

    async fn fr_045_009_info_refuses_what_the_console_would_refuse(store) {
        let person = Person::administrator(&store.url);
        for (arguments, name) in [(["--theme", "nosuch"], "theme"), (["--keymap", "nosuch"], "keymap")] {
            for json in [&[][..], &["--json"]] {
                let refused = person.run(&[&["info"], &arguments[..], json].concat()).ends(2);
                assert!(refused.err.contains(name) && refused.err.contains("nosuch"), "{refused:?}");
                assert!(refused.out.contains("session"), "everything else is said: {refused:?}");
            }
        }
        person.run(&["info", "--theme", "light"]).ends(0);
    }

    async fn fr_045_010_what_is_too_long_for_the_clipboard_goes_to_a_file(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let folder = TempDir::new().unwrap();
        let with = Setup { exports: Some(folder.path().to_owned()), ..setup(200, 50, &store.clock) };
        let mut console = Console::with(&store.ops, with).await;
        console.log_in("administrator").await;
        let now = store.clock.now();
        let fits = "x".repeat(8 * 1024);
        assert_eq!(keep_if_long(&mut console.app, fits.clone(), now).await, Some(fits.clone()));
        let long = format!("{fits}y");
        assert_eq!(keep_if_long(&mut console.app, long.clone(), now).await, None);
        shows!(console, "too long for the terminal's clipboard (8193 bytes): written to");
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files.len(), 1);
        assert_eq!(std::fs::read_to_string(&files[0]).unwrap(), long);
        assert_eq!(std::fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
        *console.app = tenantpilot::tui::app::App::new(setup(200, 50, &store.clock));
        assert_eq!(keep_if_long(&mut console.app, long, now).await, None);
        shows!(console, "and there is no folder for files");
    }

    async fn fr_045_011_the_counts_above_the_list_are_whole_at_every_width(store) {
        let store = store.with_platform().await;
        fill(&store, 400).await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 60, 15).await;
        console.log_in("administrator").await;
        shows!(console, "newest 200 of 400");
        for (n, wide, line) in [
            (3, 60, " active 3   stale 3   stuck 3   failed in 24 h 3"),
            (3, 80, " active 3   stale 3   stuck 3   failed in 24 h 3              newest 200 of 400"),
            (1_001, 60, " active 1,000+ stale 1,000+ stuck 1,000+ failed 24 h 1,000+"),
            (1_001, 80, " active 1,000+   stale 1,000+   stuck 1,000+   failed in 24 h 1,000+"),
        ] {
            console.send(Msg::Resize(wide, 15)).await;
            let counts = RunCounts {
                active: n, stale: n, stuck: n, failed: n, total: Some(400), estimated: false,
            };
            let answer = Box::new(Answer::Op(AnyOutput::CountRuns(CountRuns, Ok(counts))));
            console.app.update(Msg::Done { slot: Slot::COUNTS, answer }, store.clock.now());
            let screen = console.screen();
            assert!(screen.lines().any(|shown| shown.trim_end() == line), "{line:?} in\n{screen}");
        }
    }
}
