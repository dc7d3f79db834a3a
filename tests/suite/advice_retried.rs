//! A run that was retried is not retried again: what is told of it leads to its retry.

use serde_json::json;
use tenantpilot::ErrorKind;
use tenantpilot::access::Actor;
use tenantpilot::domain::capability::Role;
use tenantpilot::domain::run::Source;
use tenantpilot::domain::window::Window;
use tenantpilot::ops::Consent;
use tenantpilot::ops::overview::{PlanGroupRetry, RetryGroup};

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
    async fn fr_035_013_what_was_retried_leads_to_its_retry_and_is_not_retried_again(store) {
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
            assert_eq!(json["run"]["retryable"], 0);
            let refused = format!("run {id} was retried as run {new} ({state})");
            assert_eq!(json["run"]["retry_refusal"], refused);
            // Who asks for another one gets the active one, or is led to the one that ended.
            let newest = store.newest().await;
            for how in ["--yes", "--dry-run"] {
                let asked = person.run(&["runs", "retry", &shown, how]).ends(if state == "queued" { 0 } else { 5 });
                if state == "queued" {
                    let said = if how == "--yes" { format!("already queued as run {new}") } else { format!("run {new} does the same already") };
                    assert!(asked.out.contains(&said), "{asked:?}");
                    continue;
                }
                let hint = if state == "failed" { format!("retry that one: tenantpilot runs retry {new}") } else { format!("see it: tenantpilot runs show {new}") };
                assert!(asked.err.contains(&refused) && asked.err.contains(&hint), "{asked:?}");
            }
            let retry = RetryGroup {
                fingerprint: fingerprint.clone(), run_ids: vec![id], consent: Consent::yes(), source: Source::Cli, wait_for_worker: false,
            };
            let bulk = store.ops.run(&Actor::System, retry).await.unwrap_err();
            assert_eq!((bulk.kind(), bulk.message()), (ErrorKind::Refused, format!("run {id}: {text}").as_str()));
            console.keys("R").await;
            let note = console.screen();
            assert!(note.contains(&format!("{refused}, enter to view")) && !note.contains("press enter"), "{note}");
            console.keys("<enter>").await;
            console.poll().await;
            assert!(console.screen().contains(&format!("tries again what run {id} left")), "{}", console.screen());
            console.keys("<esc>").await;
            assert_eq!(store.newest().await, newest, "nothing was started");
        };
        person.run(&["runs", "retry", &shown, "--yes"]).ends(0);
        let first = store.newest().await;
        look(&mut console, first, "queued").await;
        store.ends(first, "succeeded").await;
        look(&mut console, first, "succeeded").await;
        store.ends(first, "failed").await;
        look(&mut console, first, "failed").await;
        // The retry that failed is what is retried.
        person.run(&["runs", "retry", &first.to_string(), "--yes"]).ends(0);
        let second = store.newest().await;
        store.ends(second, "failed").await;
        // Of two retries, which an earlier version made, the newer one counts.
        store.sql(&format!("update operation_runs set retry_of_run_id = {id} where id = {second}")).await.unwrap();
        look(&mut console, second, "failed").await;
        // One that succeeded counts for more than a newer one that failed.
        store.ends(first, "succeeded").await;
        look(&mut console, first, "succeeded").await;
        store.ends(first, "failed").await;
        let cli = person.run(&["runs", "show", &second.to_string()]).ends(0);
        assert!(cli.out.contains("Then retry 1 target.") && cli.err.contains(&format!("runs retry {second} --yes")), "{cli:?}");
    }
    async fn fr_035_013_a_repeated_request_answers_with_the_run_that_it_made(store) {
        let store = store.with_platform().await.with_demo_worker().await;
        store.administrator().await;
        let person = Person::at(&store.url);
        person.login("administrator").ends(0);
        let id = store.ended("policy.sync", 1, 1, 1, 5).await.to_string();
        let asked = |key: &str| person.run(&["runs", "retry", &id, "--yes", "--request-id", key, "--json"]);
        let first = asked("first").ends(0).json();
        let new = first["run"]["id"].as_i64().unwrap();
        assert_eq!((&first["created"], &first["target_count"]), (&json!(true), &json!(1)));
        let repeated = || {
            let answer = asked("first").ends(0).json();
            assert_eq!((&answer["run"]["id"], &answer["created"]), (&json!(new), &json!(false)));
            assert_eq!((&answer["target_count"], &answer["left_out_count"]), (&json!(1), &json!(0)));
        };
        repeated();
        for outcome in ["failed", "succeeded"] {
            store.ends(new, outcome).await;
            repeated();
            let other = asked("second").ends(5);
            assert!(other.err.contains(&format!("run {id} was retried as run {new} ({outcome})")), "{other:?}");
        }
        let text = person.run(&["runs", "retry", &id, "--yes", "--request-id", "first"]).ends(0);
        assert!(text.out.contains(&format!("this request made run {new} before, which has ended")), "{text:?}");
        // Whatever has changed since.
        store.sql("update tenants set archived_at = '2026-11-20T12:00:00+00:00' where id = 1; update workers set stopping = true").await.unwrap();
        repeated();
        assert_eq!(store.newest().await, new);
        // A key that made another run is refused.
        let failed = store.ended("policy.sync", 2, 1, 1, 5).await;
        let used = person.run(&["runs", "retry", &failed.to_string(), "--yes", "--request-id", "first", "--wait-for-worker"]).ends(5);
        assert!(used.err.contains("was used for another start"), "{used:?}");
    }
    async fn fr_035_014_a_retry_that_would_meet_an_active_run_is_not_offered(store) {
        let store = store.with_platform().await.with_demo_worker().await;
        let admin = store.administrator().await;
        let roles = Role::Administrator.capabilities();
        let narrow = store.user_with(&admin, "narrow", roles, &[1]).await;
        let actors = [admin.actor.clone(), narrow.actor];
        let people = ["administrator", "narrow"].map(|name| {
            let person = Person::at(&store.url);
            person.login(name).ends(0);
            person
        });
        let id = store.ended("policy.sync", 1, 1, 1, 5).await;
        store.pass(5);
        let fingerprint = store.text("select max(fingerprint) from operation_run_failures").await;
        let mut console = Console::open(&store.ops, 200, 50).await;
        console.log_in("administrator").await;
        let shown = id.to_string();
        let newest = store.newest().await;
        let (mine, many) = (newest + 1, newest + 2);
        // An active run that does the same; one that holds the tenant; one over many that does.
        let active = |new: i64, workspace: &str, scope: &str, identity: i64| format!(
            "insert into operation_runs (id, workspace_id, tenant_id, source, type, scope_kind, status, outcome, \
             identity_hash, target_count, created_at, updated_at) select {new}, {workspace}, \
             case when '{scope}' = 'tenant' then tenant_id end, source, type, '{scope}', 'queued', 'pending', \
             case when {identity} = {id} then identity_hash else '{identity:064x}' end, 1, '2026-11-20T00:00:00+00:00', updated_at \
             from operation_runs where id = {id}; "
        );
        let lock = |new: i64| format!("insert into runbook_scope_locks (runbook, tenant_id, run_id) values ('policy.sync', 1, {new})");
        let cases = [
            (mine, active(mine, "workspace_id", "tenant", id), true),
            (mine, active(mine, "workspace_id", "tenant", mine) + &lock(mine), true),
            (many, active(many, "null", "tenants", many) + &lock(many), false),
        ];
        for (other, made, within) in cases {
            store.sql(&made).await.unwrap();
            for ((person, actor), sees) in people.iter().zip(&actors).zip([true, within]) {
                let run = if sees { format!("run {other}") } else { "another run".to_owned() };
                let why = format!("{run} of the same type is active and has to end first");
                let cli = person.run(&["runs", "show", &shown]).ends(0);
                assert!(cli.out.contains(&format!("No retry is possible: {why}")), "{why}: {cli:?}");
                let json = person.run(&["runs", "show", &shown, "--json"]).ends(0).json();
                assert_eq!(json["run"]["retry_refusal"], format!("run {id} cannot be retried: {why}"));
                let plan = PlanGroupRetry { fingerprint: fingerprint.clone(), window: Some(Window::Day), wait_for_worker: false };
                let plan = store.ops.run(actor, plan).await.unwrap();
                let skip = plan.skipped.iter().find(|skip| skip.run_id == id).unwrap();
                assert!(skip.why == why && plan.runs.is_empty(), "{plan:?}");
                for how in ["--yes", "--dry-run"] {
                    let asked = person.run(&["runs", "retry", &shown, how]).ends(5);
                    assert!(asked.err.contains(&why) && asked.err.contains(&other.to_string()) == sees, "{asked:?}");
                }
            }
            console.keys(&format!("2/<ctrl-u>id:{id}<enter>")).await;
            let list = console.screen();
            console.keys("<enter>").await;
            let page = console.screen();
            let why = format!("run {other} of the same type is active and has to end first");
            assert!(page.contains(&format!("No retry is possible: {why}")), "{page}");
            assert!(!list.contains("R retry") && !page.contains("R retry"), "{list}\n{page}");
            console.keys("R").await;
            assert!(console.screen().contains(&format!("{why}, enter to view")), "{}", console.screen());
            console.keys("<esc><esc>").await;
            assert_eq!(store.number("select count(*) from operation_runs").await, newest + 1, "nothing was started");
            store.sql(&format!("delete from operation_runs where id = {other}")).await.unwrap();
            let cli = people[1].run(&["runs", "show", &shown]).ends(0);
            assert!(cli.out.contains("Then retry 1 target."), "{cli:?}");
        }
    }
}
