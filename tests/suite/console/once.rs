//! What is asked once, for what is not polled, and could not be answered.

use std::time::{Duration, Instant};

use tenantpilot::ops::{Engine, Listen};
use tenantpilot::tui::msg::Msg;
use tenantpilot::tui::slot::Slot;

use super::errors::at_errors;
use super::run_control::{hides, shows};
use super::runbook_wizard::{at_runbooks, prepared};
use super::session::Running;
use super::states::{locked_table, of_console, platform, service};
use crate::support::console::{Console, events};
use crate::support::proxy::Proxy;
use crate::support::stores::{Store, block_on, both_engines};

/// Takes a table away, or gives it back.
async fn move_table(store: &Store, from: &str, to: &str) {
    store.sql(&format!("alter table {from} rename to {to}")).await.unwrap();
}

/// Presses keys while a table is gone: what is not read is said, and comes with a poll.
async fn without(store: &Store, console: &mut Console, table: &str, keys: &str, subject: &str) {
    let gone = format!("{table}_gone");
    move_table(store, table, &gone).await;
    console.keys(keys).await;
    shows!(console, &format!("not read: {subject}"));
    // Asked again, it is as far as before.
    console.poll().await;
    hides!(console, "● live");
    move_table(store, &gone, table).await;
    console.poll().await;
    shows!(console, "● live");
}

async fn plans(store: &Store) -> i64 {
    store.number("select count(*) from runbook_plans").await
}

both_engines! {
    async fn fr_047_010_the_wizard_asks_again_until_it_is_answered(store) {
        let store = prepared(store).await;
        let mut console = at_runbooks(&store.ops).await;
        without(&store, &mut console, "tenants", "<enter>", "the tenants").await;
        shows!(console, "Contoso");
        without(&store, &mut console, "workspaces", "<tab>", "the tenants").await;
        shows!(console, "selected no workspace");
        hides!(console, "schema");
        console.keys("<backtab><space>").await;
        without(&store, &mut console, "findings", "<enter>", "the preflight").await;
        shows!(console, "R new preflight");
        assert_eq!(plans(&store).await, 1);
        without(&store, &mut console, "runbook_plan_targets", "a", "the targets").await;
        hides!(console, "schema");
        console.poll().await;
        assert_eq!(plans(&store).await, 1);
        // One that is left is not made any more.
        console.keys("<esc>").await;
        move_table(&store, "findings", "findings_gone").await;
        console.keys("j<space><enter>").await;
        shows!(console, "It is tried again by itself.");
        console.keys("<esc>").await;
        move_table(&store, "findings_gone", "findings").await;
        console.poll().await;
        shows!(console, "● live");
        assert_eq!(plans(&store).await, 1);
    }

    async fn fr_047_010_what_lies_over_a_screen_asks_again_until_it_is_answered(store) {
        let store = store.with_errors().await;
        store.administrator().await;
        let mut console = at_errors(&store, "administrator", 80, 24).await;
        without(&store, &mut console, "operation_run_targets", "R", "the plan").await;
        shows!(console, "Say why, type RETRY ");
        hides!(console, "schema");
        console.keys("<esc>").await;
        without(&store, &mut console, "tenants", ":Contoso", "").await;
        shows!(console, "Open Contoso DE (Contoso)");
        console.keys("<esc>2").await;
        without(&store, &mut console, "operation_run_targets", "R", "").await;
        shows!(console, " and press enter.");
        hides!(console, "schema");
    }

    async fn fr_047_010_a_preflight_that_counts_is_waited_for(store) {
        let store = prepared(store).await;
        let mut console = at_runbooks(&store.ops).await;
        console.keys("<enter><space>").await;
        let waited = |console: &Console| {
            console.app.subscriptions().iter().any(|sub| sub.slot == Slot::PREFLIGHT)
        };
        assert!(!waited(&console));
        for event in events("<enter>") {
            console.app.update(Msg::Key(event), store.clock.now());
        }
        shows!(console, "counting ...");
        assert!(waited(&console));
        for event in events("X") {
            console.app.update(Msg::Key(event), store.clock.now());
        }
        assert!(!waited(&console));
    }

    async fn fr_047_010_diagnostics_that_were_not_opened_are_opened_once(store) {
        let (store, _) = store.with_desk().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("5tFabrikam<enter><enter>").await;
        for (keys, shown) in [("D", "Diagnostics of"), ("<esc>S", "preview")] {
            let before = store.openings().await;
            without(&store, &mut console, "provider_connections", keys, "the diagnostics").await;
            shows!(console, shown);
            hides!(console, "schema");
            console.poll().await;
            assert_eq!(store.openings().await, before + 1, "{keys}");
        }
    }
}

/// A session on the tab of runbooks that waits for a lock for a second.
async fn at_wizard(store: &Store) -> Running {
    let mut settings = of_console(Listen::Off);
    settings.limits.lock = Some(Duration::from_millis(1_200));
    let running = Running::on(store.another(settings), Duration::from_millis(500));
    running.log_in().await;
    running.type_keys("6");
    running.screen.until("the runbooks", |text| text.contains("enter select")).await;
    running
}

#[test]
fn fr_047_010_a_lock_keeps_the_wizard_slow_until_it_is_gone() {
    block_on(async {
        let store = platform().await;
        store.legacy_findings(&[1], 3).await;
        let running = at_wizard(&store).await;
        for (table, keys, subject, then) in [
            ("tenants", "<enter>", "the tenants", "Contoso"),
            ("findings", "<space><enter>", "the preflight", "3 of 3 findings"),
        ] {
            running.screen.until("live", |text| text.contains("● live")).await;
            let lock = locked_table(&store, table).await;
            running.type_keys(keys);
            let waits = format!("○ slow: waiting 1 s for {subject}");
            running.screen.until("slow", |text| text.contains(&waits)).await;
            // On a busy machine, what came before it may have been slow.
            let held = format!("Waiting for a lock on {table}, held by psql of ");
            running.screen.until("the lock", |text| text.contains(&held)).await;
            let since = Instant::now();
            while since.elapsed() < Duration::from_secs(2) {
                let text = running.screen.text();
                assert!(text.contains("○ slow"), "{text}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            drop(lock);
            let there = |text: &str| text.contains("● live") && text.contains(then);
            running.screen.until("what was asked", there).await;
        }
        assert_eq!(plans(&store).await, 1);
    });
}

#[test]
fn fr_047_010_the_wizard_recovers_from_an_outage_without_a_key() {
    block_on(async {
        let store = platform().await;
        let proxy = Proxy::start(&store.url);
        let ops = service(&store, &proxy.url(&store.url), Listen::Off);
        let running = Running::on(ops, Duration::from_millis(500));
        running.log_in().await;
        running.type_keys("6");
        running.screen.until("the runbooks", |text| text.contains("enter select")).await;
        proxy.cut();
        running.type_keys("<enter>");
        let said = |text: &str| text.contains("✗ disconnected") && text.contains("reached");
        running.screen.until("disconnected", said).await;
        proxy.restore();
        let text = running.screen.until("live", |text| text.contains("● live")).await;
        assert!(text.contains("Contoso"), "{text}");
    });
}

#[test]
fn fr_047_010_a_preflight_that_may_have_been_kept_is_not_made_again_by_itself() {
    block_on(async {
        let store = prepared(Store::new(Engine::Postgres).await).await;
        let proxy = Proxy::start(&store.url);
        let ops = service(&store, &proxy.url(&store.url), Listen::Off);
        let mut console = at_runbooks(&ops).await;
        console.keys("<enter><space>").await;
        proxy.lose_answer_to("runbook_plans");
        console.keys("<enter>").await;
        proxy.restore();
        for _ in 0..2 {
            console.poll().await;
        }
        for text in ["● live", "may or may not have been made", "R makes a new preflight"] {
            shows!(console, text);
        }
        assert_eq!(plans(&store).await, 1);
        console.keys("R").await;
        shows!(console, "3 of 3 findings");
    });
}
