//! What the console says of runs that are waiting, stuck, paused or under way.

use tenantpilot::access::Actor;
use tenantpilot::domain::time_zone::TimeZone;
use tenantpilot::ops::runs::Pulse;
use tenantpilot::ops::runs::ReleaseRun;
use tenantpilot::tui::msg::Follows;
use tenantpilot::tui::setup::Setup;
use tenantpilot::tui::slot::Slot;

use super::captures::capture;
use super::run_control::{at_run, beat, begin, claim, hides, refresh, service, shows, start, step};
use crate::support::console::{Console, setup};
use crate::support::stores::both_engines;

both_engines! {
    async fn fr_018_010_a_run_whose_lease_ran_out_is_stuck_everywhere(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let ops = service(&store);
        start(&ops, &[1, 2]).await;
        claim(&ops).await;
        let mut console = Console::open(&ops, 80, 24).await;
        console.log_in("administrator").await;
        shows!(console, "▶ 0 %");
        let subs = console.app.subscriptions();
        assert!(subs.iter().all(|sub| matches!(sub.slot, Slot::UNREAD | Slot::BREAK_GLASS) || sub.follows != Follows::Changes), "time passes without a change: {subs:?}");
        store.sql("update operation_run_leases set expires_at = '2020-01-01T00:00:00+00:00'").await.unwrap();
        console.poll().await;
        shows!(console, "‼ stuck");
        shows!(console, "stuck 1");
        for (filter, found) in [("stuck", true), ("running", true), ("cancelling", false), ("active", true), ("!stuck", false)] {
            let term = match filter.strip_prefix('!') {
                Some(word) => format!("!status:{word}"),
                None => format!("status:{filter}"),
            };
            console.keys(&format!("/<ctrl-u>{term}<enter>")).await;
            assert_eq!(console.app.tabs.operations.rows().len(), usize::from(found), "{term}");
        }
        console.keys("c<enter>").await;
        shows!(console, "worker lost or unable to write: its lease expired");
        shows!(console, "no active worker supports testing.probe, so none takes over");
        beat(&ops, "b", &["testing.probe"], false).await;
        console.poll().await;
        shows!(console, "another worker takes over");
        beat(&ops, "b", &["testing.probe"], true).await;
        beat(&ops, "c", &["none.such"], false).await;
        console.poll().await;
        shows!(console, "no active worker supports testing.probe, so none takes over");
        let page = ops.run(&root.actor, tenantpilot::ops::runs::ListRuns::default()).await.unwrap();
        assert!(page.runs[0].lease_overdue);
        // A cancel does not wait for the worker that is lost.
        console.keys("X").await;
        shows!(console, "It ends at once.");
        console.keys("CANCEL 1<enter>").await;
        shows!(console, "run 1 is cancelled");
        shows!(console, "⊘ cancelled");
    }

    async fn fr_018_011_waiting_counts_from_when_a_run_became_free(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let ops = service(&store);
        start(&ops, &[1, 2]).await;
        let held = claim(&ops).await;
        store.pass(3600);
        ops.run(&Actor::System, ReleaseRun { run_id: held.id, fence: held.fence, pause: false }).await.unwrap();
        let mut console = Console::open(&ops, 80, 24).await;
        console.log_in("administrator").await;
        shows!(console, "◌ no active worker");
        shows!(console, "stale 0");
        console.keys("/status:stale<enter>").await;
        assert_eq!(console.app.tabs.operations.rows().len(), 0);
        console.keys("/<ctrl-u>status:queued<enter>").await;
        assert_eq!(console.app.tabs.operations.rows().len(), 1);
        store.pass(301);
        console.poll().await;
        assert_eq!(console.app.tabs.operations.rows().len(), 0);
        console.keys("c").await;
        shows!(console, "‼ no active worker");
        shows!(console, "stale 1");
    }

    async fn fr_018_012_a_queued_run_says_whether_anybody_could_claim_it(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let ops = service(&store);
        start(&ops, &[1, 2]).await;
        let mut console = at_run(&ops, "administrator").await;
        let none = "Waiting: no active worker supports testing.probe.";
        shows!(console, none);
        shows!(console, "next: Start a worker that supports testing.probe, or cancel the run.");
        beat(&ops, "a", &["none.such"], false).await;
        console.poll().await;
        shows!(console, none);
        beat(&ops, "b", &["testing.probe"], false).await;
        console.poll().await;
        shows!(console, "Waiting: next for an active worker that supports testing.probe.");
        hides!(console, none);
        // A worker that is about to leave takes nothing new.
        beat(&ops, "b", &["testing.probe"], true).await;
        console.poll().await;
        shows!(console, none);
    }

    async fn fr_018_013_progress_shows_targets_holder_and_a_rate_where_it_can_be_told(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let ops = service(&store);
        start(&ops, &[1, 2, 3, 4]).await;
        beat(&ops, "w-1", &["testing.probe"], false).await;
        let held = claim(&ops).await;
        let mut console = at_run(&ops, "administrator").await;
        shows!(console, "0 %  0 of 4 targets");
        shows!(console, "worker host-w-1 since");
        shows!(console, "rollout  4 at a time");
        hides!(console, "a minute");
        begin(&ops, &held, 0..1).await;
        step(&ops, &held, 0..1).await;
        store.pass(2);
        refresh(&ops, &held).await;
        console.poll().await;
        shows!(console, "25 %  1 of 4 targets");
        hides!(console, "a minute");
        begin(&ops, &held, 1..2).await;
        step(&ops, &held, 1..2).await;
        store.pass(28);
        refresh(&ops, &held).await;
        console.poll().await;
        shows!(console, "50 %  2 of 4 targets");
        shows!(console, "4 a minute, about 30s left at this rate");
        // After a pause nothing is known of its speed until it was watched again.
        ops.run(&Actor::System, ReleaseRun { run_id: held.id, fence: held.fence, pause: false }).await.unwrap();
        store.pass(600);
        claim(&ops).await;
        console.poll().await;
        shows!(console, "2 of 4 targets");
        hides!(console, "a minute");
    }

    async fn fr_018_016_the_dialogs_and_states_are_readable_at_every_size(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let ops = service(&store);
        start(&ops, &[1, 2, 3, 4]).await;
        let held = claim(&ops).await;
        begin(&ops, &held, 0..3).await;
        step(&ops, &held, 0..1).await;
        store.pass(20);
        refresh(&ops, &held).await;
        store.sql("update operation_run_leases set acquired_at = '2026-11-20T12:00:00+00:00', \
                   heartbeat_at = '2026-11-20T12:00:15+00:00'").await.unwrap();
        for (width, height, ascii, name) in [(80, 24, false, "80x24"), (200, 50, false, "200x50"), (60, 15, true, "60x15_ascii")] {
            let setup = Setup { ascii, zone: TimeZone::Utc, ..setup(width, height, &store.clock) };
            let mut console = Console::with(&ops, setup).await;
            console.log_in("administrator").await;
            console.keys("<enter>XCANCEL").await;
            capture!(store, console, format!("{name}_control_cancel"));
            assert!(!ascii || console.screen().is_ascii());
            console.keys("<enter>").await;
            capture!(store, console, format!("{name}_control_mistyped"));
        }
        let mut console = at_run(&ops, "administrator").await;
        console.keys("XCANCEL 1<enter><down>").await;
        store.pass(4);
        console.poll().await;
        capture!(store, console, "80x24_control_requested");
        ops.run(&Actor::System, Pulse { run_id: held.id, fence: held.fence }).await.unwrap();
        let overdue = "update operation_run_leases set expires_at = '2020-01-01T00:00:00+00:00'";
        console.poll().await;
        capture!(store, console, "80x24_control_stopping");
        store.sql(overdue).await.unwrap();
        console.poll().await;
        let screen = console.screen();
        assert!(screen.contains("‼ stuck"), "{screen}");
    }
}
