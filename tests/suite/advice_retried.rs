//! A run that was retried is not advised to be retried: what is told of it leads to its retry.

use tenantpilot::access::Actor;
use tenantpilot::domain::window::Window;
use tenantpilot::ops::overview::PlanGroupRetry;

use crate::cli::Person;
use crate::support::console::Console;
use crate::support::stores::{Store, both_engines};

impl Store {
    /// Ends the run `id`, or what stands for it, with one target.
    async fn ends(&self, id: i64, outcome: &str) {
        let reason = if outcome == "failed" { "'timeout'" } else { "null" };
        self.sql(&format!(
            "update operation_run_targets set status = '{outcome}', reason_code = {reason} where run_id = {id}; \
             update operation_runs set status = 'completed', outcome = '{outcome}', reason_code = {reason}, \
             completed_at = updated_at, summary_counts = '{{}}' where id = {id}"
        ))
        .await
        .unwrap();
    }

    async fn newest(&self) -> i64 {
        self.number("select max(id) from operation_runs").await
    }
}

both_engines! {
    async fn fr_035_013_what_was_retried_leads_to_its_retry_and_is_not_advised_to_be_retried(store) {
        let store = store.with_platform().await.with_demo_worker().await;
        store.administrator().await;
        let person = Person::at(&store.url);
        person.login("administrator").ends(0);
        let id = store.ended("policy.sync", 1, 1, 1, 5).await;
        store.pass(5);
        let fingerprint = store.text("select max(fingerprint) from operation_run_failures").await;
        let mut console = Console::open(&store.ops, 200, 50).await;
        console.log_in("administrator").await;
        console.keys(&format!("/id:{id}<enter>")).await;
        let shown = id.to_string();
        let look = async |console: &mut Console, new: i64, state: &str| {
            let text = format!("it was retried as run {new} ({state})");
            let cli = person.run(&["runs", "show", &shown]).ends(0);
            for part in [format!("retry: {text}\n"), format!("next: See run {new}.\n"), format!("retried    as run {new} ({state})\n")] {
                assert!(cli.out.contains(&part), "{part}: {cli:?}");
            }
            assert!(cli.err.contains(&format!("{text}; see it: tenantpilot runs show {new}")), "{cli:?}");
            console.keys("2").await;
            console.poll().await;
            let list = console.screen();
            console.keys("<enter>").await;
            console.poll().await;
            let page = console.screen();
            for part in [format!("retry: {text}"), format!("next:  See run {new}."), format!("▹ retried as run {new} ({state})")] {
                assert!(page.contains(&part), "{part}: {page}");
            }
            for advice in ["Then retry", "now: retry", "retry the target", "R retry", "runs retry", "can help"] {
                for told in [&cli.out, &cli.err, &list, &page] {
                    assert!(!told.contains(advice), "{advice}: {told}");
                }
            }
            let json = person.run(&["runs", "show", &shown, "--json"]).ends(0).json();
            assert_eq!(json["run"]["retried_as"]["run_id"], new);
            let plan = PlanGroupRetry { fingerprint: fingerprint.clone(), window: Some(Window::Day), wait_for_worker: false };
            let plan = store.ops.run(&Actor::System, plan).await.unwrap();
            assert!(plan.runs.iter().all(|run| run.run_id != id), "{plan:?}");
            let skip = plan.skipped.iter().find(|skip| skip.run_id == id).unwrap();
            assert_eq!((&skip.why, skip.retried_as.unwrap().run_id), (&text, new));
            // Who asks for another one is told, and may have it.
            let rehearsed = person.run(&["runs", "retry", &shown, "--dry-run"]).ends(0);
            assert!(rehearsed.err.contains(&format!("run {id} was retried as run {new} ({state})")), "{rehearsed:?}");
            console.keys("R").await;
            let dialog = console.screen();
            assert!(dialog.contains(&format!("Note: {text}.")) && dialog.contains("Type y and press enter"), "{dialog}");
            console.keys("<esc>").await;
        };
        person.run(&["runs", "retry", &shown, "--yes"]).ends(0);
        let first = store.newest().await;
        look(&mut console, first, "queued").await;
        store.ends(first, "succeeded").await;
        look(&mut console, first, "succeeded").await;
        store.ends(first, "failed").await;
        look(&mut console, first, "failed").await;
        let again = person.run(&["runs", "retry", &shown, "--yes"]).ends(0);
        assert!(again.err.contains(&format!("run {id} was retried as run {first} (failed)")), "{again:?}");
        let second = store.newest().await;
        store.ends(second, "failed").await;
        look(&mut console, second, "failed").await;
        // One that succeeded counts for more than a newer one that failed.
        store.ends(first, "succeeded").await;
        look(&mut console, first, "succeeded").await;
        // The retry that failed is what is advised to be retried.
        store.ends(first, "failed").await;
        let cli = person.run(&["runs", "show", &second.to_string()]).ends(0);
        assert!(cli.out.contains("Then retry 1 target.") && cli.err.contains(&format!("runs retry {second} --yes")), "{cli:?}");
    }
}
