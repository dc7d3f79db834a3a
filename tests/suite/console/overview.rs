//! The overview: what it says, where its numbers lead, and how the cursor goes over them.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{SecondsFormat, TimeDelta};
use tenantpilot::access::Actor;
use tenantpilot::domain::capability::{Capability, CapabilitySet, Role};
use tenantpilot::domain::run_filter::RunFilter;
use tenantpilot::domain::window::Window;
use tenantpilot::ops::overview::FillFingerprints;
use tenantpilot::ops::runs::{ListRuns, Page};
use tenantpilot::ops::{Create, Engine, Ops, OpsSettings};
use tenantpilot::term::ColorSupport;
use tenantpilot::tui::keymap::Keymap;
use tenantpilot::tui::look::grouped;
use tenantpilot::tui::msg::{Effect, Msg};
use tenantpilot::tui::screens::overview::{Item, Number};
use tenantpilot::tui::setup::Setup;
use tenantpilot::tui::slot::Slot;

use super::captures::capture;
use super::run_control::{hides, shows};
use crate::support::console::{Console, setup};
use crate::support::proxy::Proxy;
use crate::support::stores::{Store, block_on, both_engines};

impl Store {
    /// The scene, and forty hours of runs before it: 240 of all outcomes, with failures and
    /// product usage.
    pub async fn with_traffic(self) -> Self {
        let store = self.with_scene().await;
        let now = store.clock.now();
        let text =
            |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, false);
        let kinds = ["policy.sync", "inventory.sync", "review_pack.generate", "backup.snapshot"];
        let reasons = ["provider_throttled", "timeout", "permission_denied"];
        let says = [
            "429 from provider, retry after 30 s",
            "no answer on page 7",
            "the right Files.Read is missing",
        ];
        let (mut runs, mut failures, mut events) = (Vec::new(), Vec::new(), Vec::new());
        for i in 1..=240_i64 {
            let created = now - TimeDelta::seconds(i * 601);
            let tenant = i * 7 % 4 + 1;
            let workspace = if tenant <= 2 { 1 } else { 2 };
            let kind = kinds[usize::try_from(i % 4).unwrap()];
            let outcome = match i {
                _ if i % 9 == 0 => "failed",
                _ if i % 20 == 5 => "partially_succeeded",
                _ if i % 37 == 0 => "blocked",
                _ if i % 41 == 0 => "cancelled",
                _ => "succeeded",
            };
            let which = usize::try_from(i % 3 + i % 2).unwrap() % 3;
            let bad = matches!(outcome, "failed" | "partially_succeeded");
            let reason = if bad { format!("'{}'", reasons[which]) } else { "null".to_owned() };
            let (id, done) = (1_000 + i, created + TimeDelta::seconds(i * 37 % 90 + 1));
            runs.push(format!(
                "({id}, {workspace}, {tenant}, 'schedule', '{kind}', 'tenant', 'completed', '{outcome}', {reason}, \
                 '{id:064x}', '{0}', '{0}', '{1}', '{1}')",
                text(created), text(done)
            ));
            if bad {
                failures.push(format!(
                    "({id}, {tenant}, {reason}, '{}', '{}')",
                    says[which],
                    text(done)
                ));
            }
            let (event, area, subject) = [
                ("product.operations.started", "operations", "operation_run"),
                ("product.support_diagnostics.opened", "support_diagnostics", "tenant"),
                ("product.stored_report.created", "stored_reports", "stored_report"),
            ][usize::try_from(i % 5 % 3).unwrap()];
            events.push(format!(
                "({workspace}, {tenant}, {workspace}, '{event}', '{area}', '{subject}', '1', '{}')",
                text(created)
            ));
        }
        for (into, rows) in [
            (
                "operation_runs (id, workspace_id, tenant_id, source, type, scope_kind, status, outcome, reason_code, \
              identity_hash, created_at, started_at, completed_at, updated_at)",
                runs,
            ),
            (
                "operation_run_failures (run_id, tenant_id, reason_code, message, occurred_at)",
                failures,
            ),
            (
                "product_usage_events (workspace_id, tenant_id, user_id, event_name, feature_area, subject_type, \
              subject_id, occurred_at)",
                events,
            ),
        ] {
            store.sql(&format!("insert into {into} values {}", rows.join(", "))).await.unwrap();
        }
        store.ops.run(&Actor::System, FillFingerprints).await.unwrap();
        store
    }
}

/// A console at the overview, as this person.
async fn at_overview(ops: &Ops, name: &str, width: u16, height: u16) -> Console {
    let mut console = Console::open(ops, width, height).await;
    console.log_in(name).await;
    console.keys("1").await;
    console
}

/// Every run under the filter of the console's list, page by page.
async fn listed(ops: &Ops, actor: &Actor, filter: &RunFilter) -> i64 {
    let (mut seen, mut page) = (BTreeSet::new(), Page::Newest);
    loop {
        let list = ListRuns { filter: filter.clone(), page, limit: 7 };
        let found = ops.run(actor, list).await.unwrap();
        seen.extend(found.runs.iter().map(|run| run.id));
        match found.next {
            Some(next) => page = Page::OlderThan(next),
            None => return i64::try_from(seen.len()).unwrap(),
        }
    }
}

/// The line with the marker of the cursor.
fn marked(console: &mut Console) -> String {
    let screen = console.screen();
    let marker = |line: &&str| line.contains('▸') || line.contains('>');
    screen.lines().find(marker).unwrap_or_else(|| panic!("no cursor in {screen}")).to_owned()
}

/// Moves the cursor on to an item.
pub(super) async fn to(console: &mut Console, item: &Item) {
    for _ in 0..100 {
        if selected(console) == *item {
            return;
        }
        console.keys("l").await;
    }
    panic!("{item:?} is not in {}", console.screen());
}

/// The screen below header and tabs.
fn body(console: &mut Console) -> String {
    let screen = console.screen();
    screen.lines().skip(2).collect::<Vec<_>>().join("\n")
}

fn selected(console: &Console) -> Item {
    console.app.tabs.overview.selected().expect("something is selected").clone()
}

both_engines! {
    async fn fr_026_001_it_is_the_first_tab_and_every_command_of_it_is_told(store) {
        let store = store.with_traffic().await;
        store.administrator().await;
        for keymap in ["default", "vim"] {
            let setup = Setup { keymap: Keymap::embedded(keymap).unwrap(), ..setup(80, 24, &store.clock) };
            let mut console = Console::with(&store.ops, setup).await;
            console.log_in("administrator").await;
            shows!(console, " 1 Overview 2 Ops 3 Run");
            shows!(console, "newest");
            console.keys("1").await;
            for text in ["enter open", "right next", "w longer window", "f errors", "esc back", "? help"] {
                shows!(console, text);
            }
            console.keys("?").await;
            let mut help = console.screen();
            console.keys("<pgdn>").await;
            help.push_str(&console.screen());
            for text in ["In the overview", "Show the error groups of the window", "Look further back", "Move to what stands next"] {
                assert!(help.contains(text), "{text} in {help}");
            }
            console.keys("<esc>:errors").await;
            shows!(console, "overview.errors");
            console.keys("<enter>").await;
            shows!(console, "error groups");
            console.keys("<esc><esc>").await;
            shows!(console, "newest");
            console.keys("<tab>").await;
            console.keys("<backtab><backtab>").await;
            shows!(console, "RUNS ");
        }
    }

    async fn fr_026_003_every_number_lists_exactly_the_runs_that_it_counts(store) {
        let store = store.with_traffic().await;
        let admin = store.administrator().await;
        let one = store.user_with(&admin, "one", Role::Administrator.capabilities(), &[2]).await;
        for (name, actor, width, height) in [("administrator", &admin.actor, 80, 24), ("administrator", &admin.actor, 200, 50), ("one", &one.actor, 60, 15)] {
            let mut console = at_overview(&store.ops, name, width, height).await;
            for window in [Window::Day, Window::Week, Window::Month, Window::Hour] {
                assert_eq!(console.app.window(), Some(window));
                let mut seen: Vec<Item> = Vec::new();
                console.keys("g").await;
                loop {
                    let item = selected(&console);
                    assert!(!seen.contains(&item), "{item:?} twice");
                    seen.push(item.clone());
                    let counted = console.app.tabs.overview.counted(console.app.window());
                    let line = marked(&mut console);
                    let before = body(&mut console);
                    if let Some((count, filter)) = counted {
                        // The median stands for the runs that are told beside the other duration.
                        let figure = item != Item::Number(Number::Median);
                        assert!(!figure || line.contains(&grouped(count)), "{count} in {line}");
                        console.keys("<enter>").await;
                        assert_eq!(console.app.tabs.operations.filter(), &filter, "{item:?}");
                        // The filter is told in full, and reads back.
                        let told = RunFilter::parse(&filter.to_string()).unwrap();
                        assert_eq!(listed(&store.ops, actor, &told).await, count, "{item:?} of {window}");
                        let rows = i64::try_from(console.app.tabs.operations.rows().len()).unwrap();
                        assert_eq!(rows, count.min(200), "{item:?} of {window}");
                        console.keys("<esc>").await;
                        assert_eq!((selected(&console), body(&mut console)), (item.clone(), before));
                    }
                    console.keys("l").await;
                    if selected(&console) == item {
                        break;
                    }
                }
                let numbers = seen.iter().filter(|item| matches!(item, Item::Number(_) | Item::Peak(_) | Item::Offender(..))).count();
                assert!(numbers >= if window == Window::Hour { 8 } else { 20 }, "{seen:?}");
                // The list has no filter of its own left.
                console.keys("<esc>").await;
                assert!(console.app.tabs.operations.filter().is_empty());
                console.keys("1w").await;
            }
        }
    }

    async fn fr_026_004_escape_comes_back_to_the_cursor_also_from_a_run_of_the_list(store) {
        let store = store.with_traffic().await;
        store.administrator().await;
        let mut console = at_overview(&store.ops, "administrator", 80, 24).await;
        to(&mut console, &Item::Number(Number::Failed)).await;
        let here = body(&mut console);
        console.keys("<enter>").await;
        shows!(console, "status:failed since:");
        shows!(console, "esc back");
        console.keys("j<enter>").await;
        shows!(console, "✗ failed");
        console.keys("<esc>").await;
        shows!(console, "status:failed since:");
        console.keys("<esc>").await;
        assert_eq!(body(&mut console), here);
        // Another filter makes it a list of its own: there is no way back from it but its tab.
        console.keys("<enter>cj<esc>").await;
        shows!(console, "newest");
        hides!(console, "esc back");
        console.keys("1").await;
        assert_eq!(body(&mut console), here);
        // The inbox likewise.
        console.keys("g").await;
        to(&mut console, &Item::Unread).await;
        console.keys("<enter>").await;
        hides!(console, "RUNS ");
        console.keys("<esc>").await;
        assert_eq!(selected(&console), Item::Unread);
        shows!(console, "RUNS ");
        console.keys("7<esc>").await;
        hides!(console, "RUNS ");
    }

    async fn fr_026_005_the_cursor_goes_over_everything_and_stays_on_what_it_is_on(store) {
        let store = store.with_traffic().await;
        store.administrator().await;
        let mut console = at_overview(&store.ops, "administrator", 80, 24).await;
        // Three failures stand there at this height; the others come out.
        to(&mut console, &Item::Failures).await;
        shows!(console, "17 more failures");
        console.keys("<enter>").await;
        console.keys("g").await;
        let mut walked = vec![selected(&console)];
        loop {
            console.keys("l").await;
            let item = selected(&console);
            assert!(marked(&mut console).contains('▸'));
            if walked.last() == Some(&item) { break; }
            walked.push(item);
        }
        assert_eq!(walked.iter().filter(|item| matches!(item, Item::Failure(_))).count(), 20);
        for item in walked.iter().rev().skip(1) {
            console.keys("h").await;
            assert_eq!(&selected(&console), item);
        }
        // Rows up and down, by the column.
        console.keys("G").await;
        assert_eq!(selected(&console), *walked.last().unwrap());
        console.keys("kkk").await;
        assert_eq!(selected(&console), walked[walked.len() - 4]);
        let mut rows = 0;
        while selected(&console) != walked[0] {
            let before = selected(&console);
            console.keys("<up>").await;
            assert_ne!(selected(&console), before);
            rows += 1;
        }
        assert!((15..45).contains(&rows), "{rows}");
        console.keys("<pgdn><pgup>").await;
        assert_eq!(selected(&console), walked[0]);
        // New runs come, the oldest of the failures goes: the cursor stays on its run.
        let Item::Failure(third) = walked[walked.len() - 19] else { panic!("{walked:?}") };
        to(&mut console, &Item::Failure(third)).await;
        store.ended("policy.sync", 3, 4, 4, 5).await;
        store.ended("inventory.sync", 1, 4, 4, 5).await;
        store.pass(2);
        let before = body(&mut console);
        console.poll().await;
        assert_ne!(body(&mut console), before);
        assert_eq!(selected(&console), Item::Failure(third));
        assert!(marked(&mut console).contains('▸'));
        // What is gone gives way to its neighbour, and is not found elsewhere.
        store.sql(&format!("update operation_runs set outcome = 'succeeded', reason_code = null where id = {third}")).await.unwrap();
        console.poll().await;
        assert!(matches!(selected(&console), Item::Failure(id) if id != third));
        // A number stays under the cursor at any size.
        console.keys("g").await;
        to(&mut console, &Item::Number(Number::P95)).await;
        for (width, height) in [(200, 50), (60, 15), (80, 24)] {
            console.send(Msg::Resize(width, height)).await;
            assert_eq!(selected(&console), Item::Number(Number::P95));
            assert!(marked(&mut console).contains("p95"));
        }
    }

    async fn fr_026_006_changes_tell_their_way_and_what_is_worse_without_colour(store) {
        let store = store.with_traffic().await.with_active_worker().await;
        store.administrator().await;
        let mut console = at_overview(&store.ops, "administrator", 200, 50).await;
        let screen = console.screen();
        shows!(console, "against the 24 hours before, ! is worse");
        let told = |screen: &str, name: &str| {
            let at = screen.find(&format!("   {name} ")).unwrap();
            screen[at + 3..].split("  ").next().unwrap().to_owned()
        };
        let failed = told(&screen, "failed");
        let before = store.number("select count(*) from operation_runs where outcome = 'failed'").await;
        assert!(failed.contains("▼") || failed.contains("▲") || failed.contains('='), "{failed}");
        assert!(before > 20 && !screen.contains('≈'), "few runs are counted one by one");
        // A larger share of what is bad is worse, and says so.
        let partial = told(&screen, "partial");
        assert!(partial.contains('▲') && partial.ends_with('!'), "{partial}");
        for _ in 0..12 { store.ended("policy.sync", 3, 4, 4, 5).await; }
        store.pass(2);
        console.poll().await;
        let screen = console.screen();
        let failed = told(&screen, "failed");
        assert!(failed.contains('▲') && failed.ends_with('!'), "{failed}");
        // Many runs are not counted one by one, which is marked and explained.
        let rows: Vec<String> = (5_000..7_200)
            .map(|id| {
                format!(
                    "({id}, 1, 1, 'schedule', 'policy.sync', 'tenant', 'completed', 'succeeded', '{id:064x}', \
                     '2026-11-20T09:00:00+00:00', '2026-11-20T09:00:00+00:00', '2026-11-20T09:00:{:02}+00:00', \
                     '2026-11-20T09:01:00+00:00')",
                    id % 60
                )
            })
            .collect();
        store.sql(&format!(
            "insert into operation_runs (id, workspace_id, tenant_id, source, type, scope_kind, status, outcome, \
             identity_hash, created_at, started_at, completed_at, updated_at) values {}", rows.join(", ")
        )).await.unwrap();
        console.poll().await;
        shows!(console, "median ≈");
        shows!(console, "p95 ≈");
        shows!(console, "≈ within 5 %");
        shows!(console, "started 2,3");
        let mut plain = Console::with(&store.ops, Setup { ascii: true, ..setup(200, 50, &store.clock) }).await;
        plain.log_in("administrator").await;
        plain.keys("1").await;
        let screen = plain.screen();
        let failed = told(&screen, "failed");
        // More in all, but of many more runs: that is no worse.
        assert!(failed.contains('+') && !failed.ends_with('!'), "{failed}");
        assert!(screen.is_ascii() && screen.contains("median ~"));
        // Where the line of the window has no room, the last line explains.
        plain.send(Msg::Resize(60, 15)).await;
        to(&mut plain, &Item::Failures).await;
        plain.keys("<enter>G").await;
        shows!(plain, "+ - against the 24 hours before, ! is worse");
    }

    async fn fr_026_008_nothing_is_said_in_words_with_what_to_do(store) {
        let store = store.with_platform().await.with_active_worker().await;
        store.administrator().await;
        let mut console = at_overview(&store.ops, "administrator", 80, 24).await;
        shows!(console, "● healthy");
        shows!(console, "No runs were started in Last 24 hours. w looks further back, 2 lists");
        shows!(console, "No telemetry recorded in Last 24 hours.");
        shows!(console, "active 0");
        hides!(console, "FAILURES");
        store.ended("policy.sync", 1, 1, 0, 2).await;
        store.pass(1);
        console.poll().await;
        shows!(console, "Nothing failed in Last 24 hours.");
        console.keys("ww").await;
        shows!(console, "[30d]");
        store.pass(24 * 3600);
        let mut console = at_overview(&store.ops, "administrator", 80, 24).await;
        console.keys("WW").await;
        shows!(console, "No runs were started in Last 24 hours. 1 was in the");
    }

    async fn fr_026_002_health_is_told_with_every_reason_and_each_leads_to_its_runs(store) {
        let store = store.with_traffic().await;
        let admin = store.administrator().await;
        for sql in [
            "update operation_runs set audit_gaps = 1 where id in (1001, 1002)",
            "update operation_run_leases set heartbeat_at = '2020-01-01T00:00:00+00:00', expires_at = '2020-01-01T00:00:30+00:00'",
        ] {
            store.sql(sql).await.unwrap();
        }
        store.pass(600);
        let mut console = at_overview(&store.ops, "administrator", 80, 24).await;
        shows!(console, "✗ critical");
        shows!(console, "✗ run 8: the lease is overdue by more than 2 times its length");
        // The others are folded away at this height, and come out.
        shows!(console, "more reasons");
        hides!(console, "audit rows could not be written");
        to(&mut console, &Item::Reasons).await;
        console.keys("<enter>").await;
        shows!(console, "◆ runs 1001, 1002: audit rows could not be written");
        shows!(console, "fewer reasons");
        shows!(console, "3 alerts are not delivered");
        for run in ["run 7 not started: no executor for inventory.sync", "run 9 not started: no executor for policy.sync"] {
            shows!(console, run);
        }
        shows!(console, "no active worker: the daily schedule waits");
        console.keys("g").await;
        let mut reasons = 0;
        while let Item::Reason(key) = selected(&console) {
            reasons += 1;
            let line = marked(&mut console);
            let before = body(&mut console);
            console.keys("<enter>").await;
            if key == "no active worker" {
                shows!(console, "No active worker. Start one with: tenantpilot worker");
                console.keys("1l").await;
                continue;
            }
            if key == "alerts" {
                shows!(console, "alerts are not runs; see: tenantpilot alerts list");
                console.keys("l").await;
                continue;
            }
            let rows = i64::try_from(console.app.tabs.operations.rows().len()).unwrap();
            let told: i64 = match key.as_str() {
                "failed" => line.split_whitespace().find_map(|word| word.parse().ok()).unwrap(),
                _ if line.contains(" runs ") => 2,
                _ => 1,
            };
            assert_eq!((listed(&store.ops, &admin.actor, console.app.tabs.operations.filter()).await, rows), (told, told), "{line}");
            console.keys("<esc>").await;
            assert_eq!(body(&mut console), before);
            console.keys("l").await;
        }
        assert_eq!(reasons, 7, "{}", console.screen());
        let mut tall = at_overview(&store.ops, "administrator", 200, 50).await;
        shows!(tall, "◆ runs 1001, 1002: audit rows could not be written");
        hides!(tall, "more reasons");
    }

    async fn fr_026_009_who_may_not_look_reads_what_is_missing_and_fr_026_010_who_may_not_list_too(store) {
        let store = store.with_traffic().await;
        let admin = store.administrator().await;
        let only = |list: &[Capability]| list.iter().copied().collect::<CapabilitySet>();
        let panel = Capability::AccessSystemPanel;
        store.user_with(&admin, "ops-only", only(&[panel, Capability::OpsView]), &[]).await;
        store.user_with(&admin, "looks", only(&[panel, Capability::ConsoleView]), &[]).await;
        let mut console = at_overview(&store.ops, "ops-only", 80, 24).await;
        shows!(console, "platform.console.view");
        hides!(console, "RUNS ");
        console.keys("f").await;
        shows!(console, "platform.console.view");
        let mut console = at_overview(&store.ops, "looks", 80, 24).await;
        shows!(console, "RUNS ");
        to(&mut console, &Item::Number(Number::Failed)).await;
        let before = body(&mut console);
        console.keys("<enter>").await;
        shows!(console, "platform.ops.view");
        shows!(console, "status:failed");
        capture!(store, console, "80x24_overview_list_forbidden");
        console.keys("<esc>").await;
        assert_eq!(body(&mut console), before);
        while !matches!(selected(&console), Item::Failure(_)) { console.keys("l").await; }
        console.keys("<enter>").await;
        shows!(console, "platform.ops.view");
        console.keys("<esc>R").await;
        shows!(console, "this needs the capability platform.ops.manage");
    }

    async fn fr_049_010_overview_and_list_say_from_when_on_runs_are_kept(store) {
        let store = store.with_traffic().await;
        store.administrator().await;
        let at = (store.ops.clock().now() - TimeDelta::days(10)).to_rfc3339_opts(SecondsFormat::Micros, false);
        store.sql(&format!("insert into data_kept (data, kept_from, newest_id) values ('runs', '{at}', 0)")).await.unwrap();
        let mut console = at_overview(&store.ops, "administrator", 120, 40).await;
        hides!(console, "ended runs not kept");
        // Of the second window only that before is gone.
        console.keys("w").await;
        shows!(console, "[7d]");
        shows!(console, "before: not kept");
        shows!(console, "ended runs not kept before 11-10");
        console.keys("w").await;
        shows!(console, "[30d]");
        shows!(console, "before: not kept");
        shows!(console, "ended runs not kept before 11-10");
        console.keys("2").await;
        hides!(console, "not kept before");
        console.keys("G").await;
        shows!(console, ", not kept before 11-10");
        // Where it is narrow, this goes before how many there are.
        console.send(Msg::Resize(80, 24)).await;
        shows!(console, "not kept before 11-10");
        console.send(Msg::Resize(120, 40)).await;
        console.keys("1f").await;
        shows!(console, "error groups");
        shows!(console, "ended runs not kept before 11-10");
    }

    async fn fr_049_010_bars_of_what_is_gone_have_a_mark_of_their_own(store) {
        let store = store.with_traffic().await;
        store.administrator().await;
        let at = (store.ops.clock().now() - TimeDelta::days(10)).to_rfc3339_opts(SecondsFormat::Micros, false);
        at_overview(&store.ops, "administrator", 80, 24).await.keys("ww").await;
        let mut console = at_overview(&store.ops, "administrator", 80, 24).await;
        shows!(console, &"·".repeat(28));
        hides!(console, "not kept");
        store.sql(&format!("insert into data_kept (data, kept_from, newest_id) values ('runs', '{at}', 0)")).await.unwrap();
        for (ascii, [gone, nothing]) in [(false, ["×", "·"]), (true, ["x", "."])] {
            let colors = if ascii { ColorSupport::None } else { ColorSupport::Ansi16 };
            let mut console = Console::with(&store.ops, Setup { ascii, colors, ..setup(80, 24, &store.clock) }).await;
            console.log_in("administrator").await;
            console.keys("1").await;
            shows!(console, "[30d]");
            let drawn = format!("{}{}", gone.repeat(21), nothing.repeat(7));
            assert_eq!(console.screen().matches(&drawn).count(), 2, "{}", console.screen());
            shows!(console, &format!("{gone} not kept"));
            assert!(!ascii || console.screen().is_ascii());
        }
    }

    async fn fr_049_010_a_number_of_which_nothing_is_left_is_no_zero(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let at = (store.ops.clock().now() - TimeDelta::hours(2)).to_rfc3339_opts(SecondsFormat::Micros, false);
        store.sql(&format!(
            "insert into operation_runs (id, workspace_id, tenant_id, source, type, scope_kind, status, outcome, \
             identity_hash, created_at, started_at, completed_at, updated_at) values (9, 1, 1, 'schedule', \
             'policy.sync', 'tenant', 'completed', 'succeeded', '{:064x}', '{at}', '{at}', '{at}', '{at}')", 9
        )).await.unwrap();
        let mut console = at_overview(&store.ops, "administrator", 120, 40).await;
        console.keys("ww").await;
        shows!(console, "failed 0");
        shows!(console, "Nothing failed in Last 30 days.");
        let at = (store.ops.clock().now() - TimeDelta::days(10)).to_rfc3339_opts(SecondsFormat::Micros, false);
        store.sql(&format!("insert into data_kept (data, kept_from, newest_id) values ('runs', '{at}', 0)")).await.unwrap();
        let mut console = at_overview(&store.ops, "administrator", 120, 40).await;
        shows!(console, "[30d]");
        shows!(console, "failed not kept");
        shows!(console, "Nothing that is kept failed in Last 30 days.");
        hides!(console, "failed 0");
    }

    async fn fr_026_011_it_is_asked_seldom_and_nothing_is_drawn_while_nothing_changes(store) {
        let store = store.with_traffic().await;
        store.administrator().await;
        // Away from the edges of minutes and hours.
        store.pass(7);
        let mut console = at_overview(&store.ops, "administrator", 80, 24).await;
        let subs = console.app.subscriptions();
        let sub = subs.iter().find(|sub| sub.slot == Slot::OVERVIEW).unwrap();
        assert_eq!(sub.every, Duration::from_secs(10));
        assert!(!Slot::OVERVIEW.follows_hints() && !Slot::ERRORS.follows_hints());
        assert!(subs.iter().all(|sub| !matches!(sub.slot, Slot::LIST | Slot::USAGE | Slot::ERRORS)));
        let (screen, styles) = (console.screen(), console.styles());
        for _ in 0..5 {
            store.pass(3);
            console.send(Msg::Tick).await;
            console.poll().await;
            assert_eq!((console.screen(), console.styles()), (screen.clone(), styles.clone()));
        }
        console.keys("f").await;
        let slots: Vec<Slot> = console.app.subscriptions().iter().map(|sub| sub.slot).collect();
        assert!(slots.contains(&Slot::ERRORS) && !slots.contains(&Slot::OVERVIEW), "{slots:?}");
        // Paused, it tells of when it is.
        console.keys("<esc>p").await;
        store.pass(60);
        console.keys("l").await;
        shows!(console, "as of ");
        assert!(console.app.subscriptions().is_empty());
        console.keys("w").await;
        shows!(console, "[7d]");
        shows!(console, "RUNS ");
    }

    async fn fr_026_016_a_recent_failure_opens_its_run_and_can_be_tried_again(store) {
        let store = store.with_traffic().await.with_demo_worker().await;
        store.administrator().await;
        let mut console = at_overview(&store.ops, "administrator", 80, 24).await;
        to(&mut console, &Item::Failure(4)).await;
        let before = body(&mut console);
        console.keys("<enter>").await;
        shows!(console, "3 of 40 items failed, for one reason");
        console.keys("<esc>").await;
        assert_eq!(body(&mut console), before);
        console.keys("y").await;
        assert_eq!(console.outside.last(), Some(&Effect::Copy("4".to_owned())));
        console.keys("R").await;
        shows!(console, "Retry run 4?");
        console.keys("<esc>g").await;
        console.keys("R").await;
        shows!(console, "R retries the failure under the cursor");
        // A click selects, a second one opens.
        console.send(Msg::Resize(200, 50)).await;
        let screen = console.screen();
        let row = screen.lines().position(|line| line.contains("  3  policy.sync ")).unwrap();
        let click = || Msg::Click { column: 40, row: u16::try_from(row).unwrap() };
        console.send(click()).await;
        assert_eq!(selected(&console), Item::Failure(3));
        console.send(click()).await;
        hides!(console, "RUNS ");
        shows!(console, "3  policy.sync");
    }
}

#[test]
fn fr_026_009_a_lost_database_greys_the_overview_with_its_age() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_traffic().await;
        store.administrator().await;
        let proxy = Proxy::start(&store.url);
        let settings = OpsSettings { patience: Duration::from_secs(1), ..OpsSettings::default() };
        let ops = Ops::open(&proxy.url(&store.url), Create::Never, store.clock.clone(), settings);
        let ops = ops.unwrap();
        let mut console = at_overview(&ops, "administrator", 80, 24).await;
        to(&mut console, &Item::Number(Number::Failed)).await;
        proxy.cut();
        store.pass(2);
        console.poll().await;
        store.pass(10);
        console.send(Msg::Tick).await;
        shows!(console, "✗ disconnected");
        shows!(console, "12 s old");
        shows!(console, "as of ");
        shows!(console, "failed ");
        capture!(store, console, "80x24_overview_lost");
        // Keys work on what is held; nothing can be changed.
        while !matches!(selected(&console), Item::Failure(_)) {
            console.keys_at_once("l");
        }
        console.keys_at_once("R");
        shows!(console, "changes are disabled");
        proxy.restore();
        console.poll().await;
        console.keys("g").await;
        shows!(console, "● live");
        hides!(console, "as of ");
    });
}
