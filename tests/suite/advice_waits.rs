//! What is told of runs that wait: the same words everywhere, and never more than is so.

use tenantpilot::access::Actor;
use tenantpilot::domain::health::HealthLevel;
use tenantpilot::domain::window::Window;

use crate::cli::Person;
use crate::console::run_control::beat;
use crate::support::console::Console;
use crate::support::stores::{Store, both_engines};

both_engines! {
    async fn fr_035_007_a_run_that_waits_says_why_in_the_same_words_everywhere(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let person = Person::at(&store.url);
        person.login("administrator").ends(0);
        let id = store.start("policy.sync", 1).await;
        store.pass(400);
        let look = async |short: &str, text: &str, in_health: bool| {
            let mut console = Console::open(&store.ops, 80, 24).await;
            console.log_in("administrator").await;
            console.keys(&format!("/id:{id}<enter>")).await;
            let list = console.screen();
            assert!(short.is_empty() || list.contains(short), "{short} in {list}");
            console.keys("<enter>").await;
            let page = console.screen();
            assert!(page.contains(text), "{text} in {page}");
            let mut wide = Console::open(&store.ops, 200, 50).await;
            wide.log_in("administrator").await;
            wide.keys(&format!("/id:{id}<enter>")).await;
            // The preview wraps it.
            let begins = text.split(' ').take(4).collect::<Vec<_>>().join(" ");
            assert!(wide.screen().contains(&begins), "{text} in {}", wide.screen());
            let list = person.run(&["runs", "list"]).ends(0).out;
            assert!(short.is_empty() || list.contains(short), "{short} in {list}");
            let shown = person.run(&["runs", "show", &id.to_string()]).ends(0).out;
            assert!(shown.contains(text), "{text} in {shown}");
            let json = person.run(&["runs", "show", &id.to_string(), "--json"]).ends(0).json();
            assert_eq!(json["run"]["waits_sentence"], text);
            let watched = ["runs", "watch", &id.to_string(), "--timeout", "100ms", "--interval", "100ms"];
            let watched = person.run(&watched).ends(6).out;
            assert!(watched.contains(&format!("  waits: {text}\n")), "{text} in {watched}");
            let health = store.overview(&Actor::System, Window::Day).await.health;
            let told = health.reasons.iter().any(|reason| reason.text == format!("run {id} not started: {text}"));
            assert_eq!(told, in_health, "{health:?}");
            if in_health {
                console.keys("1").await;
                assert!(console.screen().contains(&format!("run {id} not started: {text}")), "{}", console.screen());
            }
        };
        look("no executor", "no executor for policy.sync", true).await;
        store.mark_demo().await;
        look("no active worker", "no active worker supports policy.sync", true).await;
        beat(&store.ops, "w", &["policy.sync"], false).await;
        look("", "next for an active worker that supports policy.sync", true).await;
        store.sql("update workers set slots = 1").await.unwrap();
        store.start("policy.sync", 3).await;
        let claim = tenantpilot::ops::runs::ClaimRun { owner: "w".to_owned(), types: vec!["policy.sync".to_owned()], lease: std::time::Duration::from_secs(3600) };
        store.sql(&format!("update operation_runs set paused_at = created_at where id = {id}")).await.unwrap();
        store.ops.run(&Actor::System, claim).await.unwrap().unwrap();
        look("paused", "paused until it is resumed", false).await;
        store.sql(&format!("update operation_runs set paused_at = null, created_at = '2026-11-20T12:00:10+00:00' where id = {id}")).await.unwrap();
        look("behind others", "queued behind others: no free slot for policy.sync", true).await;
        store.sql(&format!("update operation_runs set type = 'none.such' where id = {id}")).await.unwrap();
        look("unknown type", "unknown type none.such", true).await;
    }

    async fn fr_035_008_a_run_closed_as_not_started_and_a_long_wait_are_told_as_they_are(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await;
        let person = Person::at(&store.url);
        person.login("administrator").ends(0);
        let id = store.start("policy.sync", 1).await;
        store.pass(200 * 86_400 + 600);
        store.login("administrator").await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("<enter>").await;
        let screen = console.screen();
        assert!(screen.contains("Not started for 200 d: no executor for policy.sync."), "{screen}");
        assert!(screen.contains("Cancel the run: nothing executes policy.sync here."), "{screen}");
        store.sql(&format!(
            "update operation_runs set status = 'completed', outcome = 'blocked', reason_code = 'stale_queued', stop_reason = 'blocked', summary_counts = '{{}}', \
             completed_at = updated_at where id = {id}"
        )).await.unwrap();
        store.sql("update operation_run_targets set status = 'skipped'").await.unwrap();
        console.poll().await;
        let screen = console.screen();
        assert!(screen.contains("No retry is possible: no executor for policy.sync."), "{screen}");
        assert!(screen.contains("not possible: no executor for policy.sync"), "{screen}");
        for never in ["starts by itself", "worker is running", "R retry"] {
            assert!(!screen.contains(never), "{never} in {screen}");
        }
        let shown = tenantpilot::ops::runs::GetRun { id };
        let detail = store.ops.run(&admin.actor, shown).await;
        assert!(detail.is_err() || detail.unwrap().facts(store.clock.now()).no_retry().is_some());
        // A failed run of which nothing was counted.
        store.sql(&format!("update operation_runs set outcome = 'failed', summary_counts = '{{}}' where id = {id}")).await.unwrap();
        let diagnostics = person.run(&["support", "diagnostics", "--run", &id.to_string()]);
        assert!(!diagnostics.out.contains("nothing failed"), "{diagnostics:?}");
        console.poll().await;
        assert!(!console.screen().to_lowercase().contains("nothing failed"), "{}", console.screen());
    }

    async fn fr_035_010_without_an_active_worker_nothing_is_healthy(store) {
        let store = store.with_platform().await;
        let health = async || store.overview(&Actor::System, Window::Day).await.health;
        let found = health().await;
        assert_eq!((found.level, found.sentence()), (HealthLevel::Warning, "no active worker: the daily schedule waits"));
        store.start("findings.lifecycle_backfill", 1).await;
        assert_eq!(health().await.sentence(), "no active worker: 1 queued run waits");
        store.start("findings.lifecycle_backfill", 2).await;
        let found = health().await;
        assert_eq!(found.sentence(), "no active worker: 2 queued runs wait");
        assert_eq!(store.listed(&Actor::System, found.reasons[0].filter.as_ref().unwrap()).await, 2);
        let store = store.with_active_worker().await;
        let found = health_of(&store).await;
        assert_eq!((found.level, found.reasons.len()), (HealthLevel::Healthy, 0));
        // Right after a clean stop no worker is said to be silent for a day.
        store.ops.run(&Actor::System, tenantpilot::ops::workers::Leave { id: "active".to_owned() }).await.unwrap();
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("8").await;
        let screen = console.screen();
        assert!(screen.contains("No active worker. Start one with: tenantpilot worker") && !screen.contains("last day"), "{screen}");
        assert!(screen.contains("no active worker, and 2 runs are queued"), "{screen}");
    }
}

async fn health_of(store: &Store) -> tenantpilot::domain::health::Health {
    store.overview(&Actor::System, Window::Day).await.health
}
