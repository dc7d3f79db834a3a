//! The catalogue of operation types: what it holds, what is refused by it, and waiting for a
//! worker.

use tenantpilot::ErrorKind;
use tenantpilot::access::Actor;
use tenantpilot::domain::capability::Role;
use tenantpilot::domain::operation_type::{CATALOGUE, Executor, find, label, started_by_customers};
use tenantpilot::domain::run::Source;
use tenantpilot::domain::run_filter::{Values, complete};
use tenantpilot::domain::type_support::{ActiveWorker, ActiveWorkers, Support};
use tenantpilot::domain::window::Window;
use tenantpilot::ops::Engine;
use tenantpilot::ops::overview::{PlanGroupRetry, RetryGroup};
use tenantpilot::ops::runbooks::StartRunbook;
use tenantpilot::ops::runs::{
    CancelRun, CloseRun, GetRun, PauseRun, PlanRetry, ResumeRun, RetryRun, RunScope, StartRun,
};
use tenantpilot::runbooks::Registry;

use crate::cli::Person;
use crate::console::run_control::beat;
use crate::console::runbook_wizard::{ALL, SETTINGS, at_runbooks, prepared};
use crate::support::console::Console;
use crate::support::starts::Wish;
use crate::support::starts::{again, sure};
use crate::support::stores::{Store, both_engines};

const BACKFILL: &str = "findings.lifecycle_backfill";

impl Store {
    /// Marks the database as a demo's.
    pub async fn mark_demo(&self) {
        self.sql("insert into platform_settings (key, value, updated_at) values ('demo', '1', '2026-11-01T00:00:00+00:00')")
            .await
            .unwrap();
    }

    /// A demo's database with an active worker for these types.
    pub async fn with_demo_worker(self) -> Self {
        self.mark_demo().await;
        let types: Vec<&str> = CATALOGUE.iter().map(|kind| kind.key).collect();
        beat(&self.ops, "demo-worker", &types, false).await;
        self
    }

    /// An active worker for the types of maintenance.
    pub async fn with_active_worker(self) -> Self {
        let keys = Registry::standard().keys();
        let types: Vec<&str> = keys.iter().map(String::as_str).collect();
        beat(&self.ops, "active", &types, false).await;
        self
    }
}

fn retry(run_id: i64, wait_for_worker: bool) -> RetryRun {
    RetryRun { run_id, consent: again(1), source: Source::Cli, request_id: None, wait_for_worker }
}

#[test]
fn fr_035_001_the_catalogue_holds_these_rows() {
    let rows: Vec<String> = CATALOGUE
        .iter()
        .map(|kind| {
            format!(
                "{} | {} | {} | {} | {} | retry {} | customers {} | provider {}",
                kind.key,
                kind.label,
                kind.category,
                kind.executor,
                kind.risk,
                kind.retryable,
                kind.customers_start,
                kind.needs_provider
            )
        })
        .collect();
    let golden = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/golden/types.txt"),
    )
    .unwrap();
    assert_eq!(rows.join("\n") + "\n", golden);
    assert!(CATALOGUE.windows(2).all(|pair| pair[0].key < pair[1].key));
}

#[test]
fn fr_035_001_runbooks_filters_and_labels_use_the_catalogue() {
    for runbook in Registry::standard().with_probe().iter() {
        let kind = find(runbook.key()).unwrap();
        assert_eq!((kind.executor, kind.customers_start), (Executor::Builtin, false), "{kind:?}");
        assert_eq!(runbook.title(), kind.label);
    }
    let offered: Vec<String> = complete("type:", 5, &Values::default())
        .into_iter()
        .map(|completion| completion.replacement)
        .collect();
    let keys: Vec<&str> = CATALOGUE.iter().map(|kind| kind.key).collect();
    assert_eq!(offered, keys);
    assert_eq!((label("policy.sync"), label("none.such")), ("Policy sync", "none.such"));
    assert_eq!(started_by_customers().count(), 6);
    assert!(started_by_customers().all(|kind| kind.executor == Executor::None));
}

#[test]
fn fr_035_005_support_is_an_active_worker_that_announces_the_type() {
    let worker = |types: &[&str], free| ActiveWorker {
        types: types.iter().map(|name| (*name).to_owned()).collect(),
        free,
        name: "w".to_owned(),
        wrong_clock: None,
    };
    let of = |demo, workers: Vec<ActiveWorker>, run_type: &str| {
        ActiveWorkers { demo, workers }.support(run_type)
    };
    let both = || vec![worker(&["policy.sync"], false), worker(&[BACKFILL], true)];
    for (demo, workers, run_type, support) in [
        (false, both(), "policy.sync", Support::NoExecutor),
        (true, both(), "policy.sync", Support::Busy),
        (true, Vec::new(), "policy.sync", Support::NoWorker),
        (false, both(), BACKFILL, Support::Free),
        (false, Vec::new(), BACKFILL, Support::NoWorker),
        (true, vec![worker(&["none.such"], true)], "none.such", Support::Unknown),
        (false, both(), "product_usage.prune", Support::NoWorker),
    ] {
        assert_eq!(of(demo, workers, run_type), support, "{run_type}, demo {demo}");
    }
    // A worker whose clock is wrong announces nothing that goes by age.
    let fast = || vec![ActiveWorker { wrong_clock: Some(1_200), ..worker(&[BACKFILL], true) }];
    let right = [fast(), vec![worker(&["product_usage.prune"], true)]].concat();
    for (workers, run_type, support) in [
        (fast(), "product_usage.prune", Support::WrongClock),
        (fast(), "operations.reconcile_stale", Support::WrongClock),
        (fast(), BACKFILL, Support::Free),
        (right, "product_usage.prune", Support::Free),
    ] {
        assert_eq!(of(false, workers, run_type), support, "{run_type}");
    }
}

both_engines! {
    async fn fr_035_002_the_types_are_listed_and_shown_with_what_executes_them(store) {
        let store = store.with_platform().await;
        let person = Person::administrator(&store.url);
        let list = person.run(&["types", "list", "--json"]).ends(0).json();
        let types = list["types"].as_array().unwrap();
        assert_eq!(types.len(), CATALOGUE.len());
        assert!(types.iter().all(|row| row["support"] == if row["executor"] == "none" { "no_executor" } else { "no_worker" }), "{list}");
        let store = store.with_active_worker().await;
        let text = person.run(&["types", "list"]).ends(0).out;
        for part in ["TYPE", "EXECUTOR", "policy.sync", "no executor", "supported", "destructive"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let shown = person.run(&["types", "show", BACKFILL, "--json"]).ends(0).json();
        assert_eq!((&shown["type"]["executor"], &shown["type"]["support"]), (&"builtin".into(), &"free".into()));
        let shown = person.run(&["types", "show", "policy.sync"]).ends(0).out;
        assert!(shown.contains("no executor for policy.sync"), "{shown}");
        store.mark_demo().await;
        let shown = person.run(&["types", "show", "policy.sync"]).ends(0).out;
        assert!(shown.contains("executor   builtin") && shown.contains("no active worker supports policy.sync"), "{shown}");
        person.run(&["types", "show", "none.such"]).ends(4);
        person.run(&["types", "show", "none"]).ends(2);
    }

    async fn fr_035_011_a_worker_whose_clock_is_wrong_is_named_as_what_is_in_the_way(store) {
        let store = store.with_platform().await.with_active_worker().await;
        let person = Person::administrator(&store.url);
        store.usage_at(&[store.clock.now() - chrono::Duration::days(1_000)]).await;
        let fast = "update workers set clock_offset_seconds = 1200, runbooks = ";
        let types = match store.engine {
            Engine::Postgres => format!("'[\"{BACKFILL}\"]'::jsonb"),
            Engine::Sqlite => format!("'[\"{BACKFILL}\"]'"),
        };
        store.sql(&format!("{fast}{types}")).await.unwrap();
        let why = "the worker's clock is wrong: it does not execute product_usage.prune";
        assert!(person.run(&["types", "list"]).ends(0).out.contains("worker clock wrong"));
        assert!(person.run(&["types", "show", "product_usage.prune"]).ends(0).out.contains(why));
        let start = ["runbooks", "start", "product_usage.prune", "--confirm", "PRUNE"];
        let refused = person.run(&start).ends(5);
        assert!(refused.err.contains(why) && refused.err.contains("correct its clock"), "{refused:?}");
        assert!(!refused.err.contains("start one"), "{refused:?}");
        person.run(&[&start[..], &["--wait-for-worker"]].concat()).ends(0);
        let shown = person.run(&["runs", "show", "1"]).ends(0).out;
        assert!(shown.contains(why) && shown.contains("Correct the clock of the worker's machine"), "{shown}");
        assert!(person.run(&["runs", "list"]).ends(0).out.contains("worker clock wrong"));
        let health = store.overview(&Actor::System, Window::Day).await.health;
        let texts: Vec<&str> = health.reasons.iter().map(|reason| reason.text.as_str()).collect();
        assert_eq!(texts, [
            "the worker's clock is wrong: it does not execute product_usage.prune: 1 queued run waits",
            "the clock of host-active is 20 minutes ahead of the database's; it starts no scheduled and no destructive work",
        ]);
    }

    async fn fr_035_007_the_overview_says_why_queued_runs_wait_as_list_and_page_do(store) {
        let store = store.with_platform().await.with_active_worker().await;
        for (run_type, tenant) in [("policy.sync", 1), ("policy.sync", 2), ("inventory.sync", 1)] {
            store.start(run_type, tenant).await;
        }
        store.sql("update operation_runs set type = 'findings.newer' where type = 'inventory.sync'").await.unwrap();
        let reasons = async || {
            let health = store.overview(&Actor::System, Window::Day).await.health;
            health.reasons.into_iter().map(|reason| (reason.text, reason.filter)).collect::<Vec<_>>()
        };
        let found = reasons().await;
        let texts: Vec<&str> = found.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(texts, [
            "no executor for policy.sync: 2 queued runs wait",
            "unknown type findings.newer: 1 queued run waits",
        ]);
        for ((_, filter), count) in found.iter().zip([2, 1]) {
            assert_eq!(store.listed(&Actor::System, filter.as_ref().unwrap()).await, count, "{filter:?}");
        }
        // Without any worker these are still the causes, and what a worker would help is told apart.
        store.sql("delete from workers").await.unwrap();
        store.start(BACKFILL, 3).await;
        let found = reasons().await;
        let texts: Vec<&str> = found.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(texts, [
            "no active worker: 1 queued run waits",
            "no executor for policy.sync: 2 queued runs wait",
            "unknown type findings.newer: 1 queued run waits",
        ]);
        assert_eq!(store.listed(&Actor::System, found[0].1.as_ref().unwrap()).await, 1);
    }

    async fn fr_035_003_an_unknown_type_can_only_be_viewed(store) {
        let store = store.with_platform().await.with_demo_worker().await;
        let admin = store.administrator().await;
        let start = StartRun::for_tenant("findings.newer_than_this", 1, Source::Admin);
        for actor in [Actor::Customer { user_id: 1 }, Actor::System] {
            let error = store.ops.run(&actor, start.clone()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(error.to_string().contains("unknown type findings.newer_than_this"), "{error}");
        }
        let id = store.start("policy.sync", 1).await;
        store.sql("update operation_runs set type = 'findings.newer_than_this'").await.unwrap();
        let refusals = [
            store.ops.run(&admin.actor, CancelRun { run_id: id, consent: sure("CANCEL", id) }).await.unwrap_err(),
            store.ops.run(&admin.actor, PauseRun { run_id: id, consent: sure("PAUSE", id) }).await.unwrap_err(),
            store.ops.run(&admin.actor, ResumeRun { run_id: id, consent: sure("RESUME", id) }).await.unwrap_err(),
            store.ops.run(&admin.actor, CloseRun { run_id: id, consent: sure("CLOSE", id) }).await.unwrap_err(),
        ];
        for refusal in refusals {
            assert!(refusal.kind() == ErrorKind::Refused && refusal.to_string().contains("can only be viewed"), "{refusal}");
        }
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        let screen = console.screen();
        assert!(screen.contains("◌ unknown type") && !screen.contains("X cancel"), "{screen}");
        console.keys("X").await;
        assert!(console.screen().contains("can only be viewed"), "{}", console.screen());
        assert_eq!(store.text("select status from operation_runs").await, "queued");
    }

    async fn fr_035_004_what_nothing_executes_is_never_retried_but_in_a_demo(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await;
        let failed = store.ended("policy.sync", 1, 1, 1, 5).await;
        store.sql("update operation_run_targets set status = 'failed', reason_code = 'timeout'").await.unwrap();
        // A worker that announces it changes nothing: the type has no executor here.
        beat(&store.ops, "stray", &["policy.sync"], false).await;
        for wait in [false, true] {
            let error = store.ops.run(&admin.actor, retry(failed, wait)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(error.to_string().contains("no executor for policy.sync"), "{error}");
        }
        let person = Person::at(&store.url);
        person.login("administrator").ends(0);
        for more in [&[][..], &["--wait-for-worker"][..]] {
            let refused = person.run(&[&["runs", "retry", &failed.to_string()], more].concat()).ends(5);
            assert!(refused.err.contains("no executor for policy.sync"), "{refused:?}");
        }
        assert_eq!(store.number("select count(*) from audit_logs where action = 'runs.retry' and status = 'refused'").await, 4);
        assert_eq!(store.number("select count(*) from operation_runs").await, 1);
        store.mark_demo().await;
        let retried = store.ops.run(&admin.actor, retry(failed, false)).await.unwrap();
        assert!(retried.started.created);
    }

    async fn fr_035_005_a_start_without_an_active_worker_waits_only_where_that_is_said(store) {
        let store = store.with_platform().await;
        store.legacy_findings(&[1, 2], 2).await;
        let person = Person::administrator(&store.url);
        let start = ["runbooks", "start", BACKFILL, "--tenant", "1"];
        let runs = "select count(*) from operation_runs";
        let why = format!("no active worker supports {BACKFILL}");
        for more in [&[][..], &["--dry-run"][..], &["--json"][..]] {
            let refused = person.run(&[&start[..], more].concat()).ends(5);
            assert!(refused.err.contains(&why) && refused.err.contains("--wait-for-worker"), "{refused:?}");
        }
        assert_eq!(store.number(runs).await, 0);
        let preflight = person.run(&["runbooks", "preflight", BACKFILL, "--tenant", "1"]).ends(0);
        assert!(preflight.err.contains("--wait-for-worker"), "{preflight:?}");
        let queued = person.run(&[&start[..], &["--wait-for-worker", "--yes"]].concat()).ends(0);
        assert!(queued.err.contains(&format!("it waits: {why}")), "{queued:?}");
        person.run(&["runs", "cancel", "1", "--yes"]).ends(0);
        let refused = person.run(&["runs", "retry", "1"]).ends(5);
        assert!(refused.err.contains(&why) && refused.err.contains("--wait-for-worker"), "{refused:?}");
        let shown = person.run(&["runs", "show", "1"]).ends(0);
        assert!(shown.err.contains("a retry waits for a worker"), "{shown:?}");
        person.run(&["runs", "retry", "1", "--wait-for-worker", "--yes"]).ends(0);
        person.run(&["runs", "cancel", "2", "--yes"]).ends(0);
        // Without a person at it, it is queued.
        let system = Wish::new(BACKFILL, RunScope::Tenant(2));
        let plan = system.plan(&store.ops, &Actor::System).await.unwrap();
        let unattended = StartRunbook { wait_for_worker: false, ..system.start(&plan) };
        assert!(store.ops.run(&Actor::System, unattended).await.unwrap().created);
        // A worker that is silent or stops does not count.
        beat(&store.ops, "w", &[BACKFILL], true).await;
        person.run(&["runs", "retry", "2", "--yes"]).ends(5);
        beat(&store.ops, "w", &[BACKFILL], false).await;
        store.sql("update workers set heartbeat_at = '2020-01-01T00:00:00+00:00', heartbeat_seconds = 10.0").await.unwrap();
        person.run(&["runs", "retry", "2", "--yes"]).ends(5);
        store.sql("delete from workers").await.unwrap();
        beat(&store.ops, "w", &[BACKFILL], false).await;
        let done = person.run(&["runs", "retry", "2", "--yes"]).ends(0);
        assert!(!done.err.contains("it waits"), "{done:?}");
    }

    async fn fr_035_005_a_deployment_is_queued_and_says_that_it_waits(store) {
        let store = store.with_platform().await;
        store.legacy_findings(&[1], 2).await;
        let machine = Person::administrator(&store.url);
        crate::runbooks_deploy::declare(&machine, &[crate::runbooks_deploy::backfill("march", "tenants = [1]")]);
        let text = machine.run(&["runbooks", "deploy"]).ends(0).out;
        assert!(text.contains(&format!("it waits: no active worker supports {BACKFILL}")), "{text}");
        assert_eq!(store.number("select count(*) from operation_runs").await, 1);
    }

    async fn fr_035_005_an_error_is_retried_for_what_a_worker_supports(store) {
        let store = store.with_platform().await;
        store.mark_demo().await;
        let admin = store.administrator().await;
        let reason = tenantpilot::domain::failure::ReasonCode::Timeout;
        let (first, second) = (store.failed_run(1, reason, &["no answer"]).await, store.failed_run(2, reason, &["no answer"]).await);
        store.sql(&format!("update operation_runs set type = 'inventory.sync' where id = {second}")).await.unwrap();
        store.sql("update operation_run_targets set status = 'failed', reason_code = 'timeout'").await.unwrap();
        store.pass(2);
        let fingerprint = store.text("select max(fingerprint) from operation_run_failures").await;
        beat(&store.ops, "w", &["policy.sync"], false).await;
        let plan = async |wait_for_worker| {
            let asked = PlanGroupRetry { fingerprint: fingerprint.clone(), window: None, wait_for_worker };
            store.ops.run(&admin.actor, asked).await.unwrap()
        };
        let some = plan(false).await;
        assert_eq!((some.runs[0].run_id, some.runs.len(), some.waiting), (first, 1, 1));
        assert_eq!(some.skipped[0].why, "no active worker supports inventory.sync");
        assert_eq!(plan(true).await.runs.len(), 2);
        let group = |run_ids: &[i64], wait_for_worker| RetryGroup {
            fingerprint: fingerprint.clone(), run_ids: run_ids.to_vec(),
            consent: again(run_ids.len()), source: Source::Cli, wait_for_worker,
        };
        let error = store.ops.run(&admin.actor, group(&[second], false)).await.unwrap_err();
        assert!(error.to_string().contains("no active worker supports inventory.sync"), "{error}");
        let done = store.ops.run(&admin.actor, group(&[first, second], true)).await.unwrap();
        assert_eq!((done.started.len(), done.refused.len()), (2, 0));
    }

    async fn fr_035_006_waiting_for_a_worker_is_a_second_choice_of_the_retry_dialog(store) {
        let store = store.with_platform().await;
        store.mark_demo().await;
        store.administrator().await;
        let failed = store.ended("policy.sync", 1, 1, 1, 5).await;
        store.sql("update operation_run_targets set status = 'failed', reason_code = 'timeout'").await.unwrap();
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        assert!(console.screen().contains("R retry 1 (no worker)"), "{}", console.screen());
        console.keys("R").await;
        let screen = console.screen();
        for part in ["Refused: no active worker supports policy.sync.", "ctrl-t queues it all the same"] {
            assert!(screen.contains(part), "{part} in {screen}");
        }
        assert!(!screen.contains("press enter"), "{screen}");
        console.keys("y<enter>").await;
        assert_eq!(store.number("select count(*) from operation_runs").await, 1);
        console.keys("<ctrl-t>").await;
        let screen = console.screen();
        assert!(screen.contains("Type y and press enter") && screen.contains("The new run waits"), "{screen}");
        console.keys("y<enter>").await;
        assert_eq!(store.number(&format!("select count(*) from operation_runs where retry_of_run_id = {failed}")).await, 1);
        // The worker goes while the dialog is open.
        store.sql("update operation_run_targets set status = 'skipped' where status = 'pending'; \
                   update operation_runs set status = 'completed', outcome = 'cancelled', completed_at = updated_at, summary_counts = '{}' where retry_of_run_id is not null").await.unwrap();
        beat(&store.ops, "w", &["policy.sync"], false).await;
        console.keys("r").await;
        console.keys("kR").await;
        assert!(console.screen().contains("Type y and press enter"), "{}", console.screen());
        store.sql("delete from workers").await.unwrap();
        console.keys("y<enter>").await;
        let screen = console.screen();
        assert!(screen.contains("Refused: no active worker") && screen.contains("ctrl-t"), "{screen}");
        assert_eq!(store.number("select count(*) from operation_runs").await, 2);
    }

    async fn fr_035_006_waiting_for_a_worker_is_a_second_choice_of_the_wizard(store) {
        let store = prepared(store).await;
        store.sql("delete from workers").await.unwrap();
        let mut console = at_runbooks(&store.ops).await;
        console.keys(&format!("{ALL}<enter>{SETTINGS}")).await;
        let screen = console.screen();
        for part in [&format!("refused: no active worker supports {BACKFILL}")[..], "ctrl-t queues it all the same", "ctrl-t wait for one"] {
            assert!(screen.contains(part), "{part} in {screen}");
        }
        assert!(!screen.contains("press enter to start it"), "{screen}");
        console.keys("BACKFILL<space>4<enter>").await;
        assert_eq!(store.number("select count(*) from operation_runs").await, 0);
        console.keys("<ctrl-t>").await;
        let screen = console.screen();
        assert!(screen.contains("press enter to start it") && screen.contains("--wait-for-worker"), "{screen}");
        // What was typed while no field was shown does not count.
        console.keys("<enter>").await;
        assert_eq!(store.number("select count(*) from operation_runs").await, 0, "{}", console.screen());
        console.keys("BACKFILL<space>4<enter>").await;
        assert_eq!(store.number("select count(*) from operation_runs").await, 1, "{}", console.screen());
    }

    async fn fr_035_009_a_viewer_is_told_of_the_capability_and_the_plan_agrees(store) {
        let store = store.with_platform().await.with_demo_worker().await;
        let admin = store.administrator().await;
        let viewer = store.user(&admin, Role::Viewer).await;
        let failed = store.ended("policy.sync", 1, 1, 1, 5).await;
        store.sql("update operation_run_targets set status = 'failed', reason_code = 'timeout'").await.unwrap();
        let detail = store.ops.run(&viewer.actor, GetRun { id: failed }).await.unwrap();
        let facts = detail.facts(store.clock.now());
        assert!(facts.no_retry().unwrap().contains("platform.ops.manage"), "{facts:?}");
        assert_eq!(store.ops.run(&viewer.actor, PlanRetry { run_id: failed }).await.unwrap_err().kind(), ErrorKind::Forbidden);
        let plan = store.ops.run(&admin.actor, PlanRetry { run_id: failed }).await.unwrap();
        assert_eq!((plan.targets(), plan.obstacle, plan.refusal), (1, None, None));
    }
}
