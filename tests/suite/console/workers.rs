//! The tab of workers.

use tenantpilot::ops::Engine;
use tenantpilot::tui::setup::Setup;
use tenantpilot::tui::slot::Slot;

use super::captures::capture;
use super::run_control::{beat, claim, service, start};
use crate::support::console::{Console, setup};
use crate::support::stores::both_engines;

macro_rules! shows {
    ($console:expr, $text:expr) => {{
        let screen = $console.screen();
        assert!(screen.contains($text), "{:?} in {screen}", $text);
    }};
}

both_engines! {
    async fn fr_018_014_workers_and_leases_are_listed_live_and_lead_to_their_runs(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let ops = service(&store);
        start(&ops, &[1, 2, 3, 4]).await;
        start(&ops, &[3]).await;
        beat(&ops, "w-1", &["testing.probe"], false).await;
        claim(&ops).await;
        let mut console = Console::open(&ops, 80, 24).await;
        console.log_in("administrator").await;
        assert!(console.app.subscriptions().iter().all(|sub| sub.slot != Slot::WORKERS));
        console.keys("8").await;
        let slots: Vec<Slot> = console.app.subscriptions().iter().map(|sub| sub.slot).collect();
        assert!(slots.contains(&Slot::WORKERS) && !slots.contains(&Slot::LIST), "{slots:?}");
        shows!(console, "host-w-1");
        shows!(console, "● active");
        shows!(console, "4 targets");
        // A second run is claimed, and one worker goes silent, another leaves.
        claim(&ops).await;
        beat(&ops, "b", &["testing.probe"], true).await;
        beat(&ops, "c", &["testing.probe"], false).await;
        let hour_ago = match store.engine {
            Engine::Postgres => "now() - interval '1 hour'",
            Engine::Sqlite => "strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '-1 hours')",
        };
        store.sql(&format!("update workers set heartbeat_at = {hour_ago}, heartbeat_seconds = 10 where id = 'c'")).await.unwrap();
        console.poll().await;
        shows!(console, "1, 2");
        shows!(console, "◌ stopping");
        shows!(console, "‼ silent");
        // Workers stand above the leases, the oldest lease first.
        console.keys("jjj<enter>").await;
        shows!(console, "▸ 1  testing.probe");
        console.keys("<esc>").await;
        console.keys("8G<enter>").await;
        shows!(console, "▸ 2  testing.probe");
        // A worker's line opens what it holds; the cursor stays on its line when others come.
        console.keys("8g").await;
        beat(&ops, "0", &["testing.probe"], false).await;
        store.sql("update workers set started_at = '2020-01-01T00:00:00+00:00' where id = '0'").await.unwrap();
        console.poll().await;
        let screen = console.screen();
        let marked = screen.lines().find(|line| line.starts_with('▸')).unwrap();
        assert!(!marked.contains("host-0"), "{screen}");
        console.keys("<enter>").await;
        shows!(console, "testing.probe");
    }

    async fn fr_018_015_it_warns_of_what_nobody_does_and_says_what_is_empty(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let ops = service(&store);
        let mut console = Console::open(&ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("8").await;
        shows!(console, "No active worker. Start one with: tenantpilot worker");
        shows!(console, "No run is held: nothing is being executed.");
        assert!(!console.screen().contains('‼'));
        start(&ops, &[1, 2]).await;
        store.start("policy.sync", 3).await;
        store.start("policy.sync", 4).await;
        console.poll().await;
        shows!(console, "‼ no active worker, and 3 runs are queued");
        beat(&ops, "w-1", &["testing.probe"], false).await;
        console.poll().await;
        shows!(console, "‼ no executor for policy.sync: 2 runs are queued");
        assert!(!console.screen().contains("supports testing.probe"));
        claim(&ops).await;
        store.sql("update operation_run_leases set expires_at = '2020-01-01T00:00:00+00:00'").await.unwrap();
        console.poll().await;
        shows!(console, "‼ 1 run: worker lost, its lease expired");
        shows!(console, "‼ stuck");
        console.keys("gn<enter>").await;
        shows!(console, "▸ 1  testing.probe");
    }

    async fn fr_018_016_the_workers_are_readable_at_every_size(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let ops = service(&store);
        start(&ops, &[1, 2, 3, 4]).await;
        start(&ops, &[3]).await;
        store.start("policy.sync", 3).await;
        for (id, stopping) in [("w-1", false), ("w-2", true), ("w-3", false)] {
            beat(&ops, id, &["testing.probe"], stopping).await;
        }
        claim(&ops).await;
        claim(&ops).await;
        // By the database's clock, which no test can fix, one is living and one silent for ever.
        for sql in [
            "update workers set version = '0.1.0', started_at = '2026-11-20T11:00:00+00:00', \
             heartbeat_at = '2026-11-20T11:59:55+00:00', heartbeat_seconds = 10000000000.0",
            "update workers set heartbeat_at = '2020-01-01T00:00:00+00:00', heartbeat_seconds = 10.0 where id = 'w-3'",
            "update operation_run_leases set acquired_at = '2026-11-20T11:59:30+00:00', \
             heartbeat_at = '2026-11-20T11:59:55+00:00', expires_at = '2999-01-01T00:00:00+00:00'",
            "update operation_run_leases set owner = 'w-3', heartbeat_at = '2020-01-01T00:00:00+00:00', \
             expires_at = '2020-01-01T00:00:30+00:00' where run_id = 2",
        ] {
            store.sql(sql).await.unwrap();
        }
        for (width, height, ascii, name) in [(80, 24, false, "80x24"), (200, 50, false, "200x50"), (60, 15, true, "60x15_ascii")] {
            let setup = Setup { ascii, ..setup(width, height, &store.clock) };
            let mut console = Console::with(&ops, setup).await;
            console.log_in("administrator").await;
            console.keys("8j").await;
            capture!(store, console, format!("{name}_workers"));
            assert!(!ascii || console.screen().is_ascii());
        }
    }
}
