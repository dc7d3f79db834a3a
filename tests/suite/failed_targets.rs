//! A target with failed items is a failed target, with its counts, whoever executes it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tenantpilot::access::Actor;
use tenantpilot::demo::seed::{Amounts, SMALL, seed};
use tenantpilot::demo::simulator::{Course, Pace, executors};
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::domain::operation_type::started_by_customers;
use tenantpilot::domain::rollout::{ErrorThreshold, Rollout};
use tenantpilot::domain::run::{RunOutcome, RunStatus, RunTarget, Source, TargetStatus};
use tenantpilot::domain::summary_counts::{CountKey, SummaryCounts};
use tenantpilot::ops::runs::{
    CancelRun, ClaimRun, CompleteRun, GetRun, RecordFailure, ReportProgress, RetryRun, RunDetail,
    RunScope, StartRun,
};
use tenantpilot::ops::{Context, Engine, OpsSettings};
use tenantpilot::runbooks::{Executor, ItemFailure, Progress, Registry, Step, StepError};
use tenantpilot::worker::{Worker, WorkerSettings};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cli::Person;
use crate::database::texts;
use crate::support::run_rules::broken;
use crate::support::starts::{again, sure};
use crate::support::stores::{Store, both_engines};

/// The seed of the simulated courses.
const SEED: u64 = 7;

/// Executes `policy.sync`: of 52 items a tenant's share fails.
struct Uneven {
    /// Tenant, and how many of its last items fail.
    failing: Vec<(i64, i64)>,
    /// The pause between two steps.
    pause: Option<Duration>,
}

impl Uneven {
    fn step_of(&self, step: &Step) -> Progress {
        let failing = self.failing.iter().find(|(tenant, _)| step.tenant_id == Some(*tenant));
        let first_bad = 52 - failing.map_or(0, |(_, n)| *n);
        let done = step.cursor["done"].as_i64().unwrap_or(0);
        let to = done + 13;
        let failed = (done..to).filter(|item| *item >= first_bad).count();
        let failure = ItemFailure {
            reason: ReasonCode::Timeout,
            message: "no answer, token=hunter2secret".to_owned(),
        };
        Progress {
            next: (to < 52).then(|| json!({ "done": to })),
            pause: self.pause,
            total: Some(52),
            items: 13,
            failed: i64::try_from(failed).unwrap(),
            failures: vec![failure; failed],
            ..Progress::default()
        }
    }
}

impl Executor for Uneven {
    fn run_type(&self) -> &'static str {
        "policy.sync"
    }

    fn step<'a>(
        &'a self,
        _context: &'a mut Context,
        step: &'a Step,
    ) -> BoxFuture<'a, Result<Progress, StepError>> {
        async move { Ok(self.step_of(step)) }.boxed()
    }
}

/// A worker in the background.
struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<tenantpilot::Result<()>>,
}

impl Running {
    async fn start(store: &Store, executors: Vec<Arc<dyn Executor>>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let settings = WorkerSettings {
            heartbeat: Duration::from_millis(500),
            schedule: false,
            ..WorkerSettings::default()
        };
        let registry = Registry::standard().with_executors(executors);
        let ops = OpsSettings { registry, ..OpsSettings::default() };
        let clock = store.clock.clone();
        let (worker, _) = Worker::open(&store.url, settings, &ops, clock, stopped).unwrap();
        let task = tokio::spawn(worker.run());
        while store.number("select count(*) from workers").await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap().unwrap();
    }
}

async fn start(store: &Store, run_type: &str, scope: RunScope, rollout: Option<Rollout>) -> i64 {
    let start = StartRun { scope, ..StartRun::for_tenant(run_type, 1, Source::Schedule) };
    let run_id = store.ops.run(&Actor::System, start).await.unwrap().run_id;
    if let Some(rollout) = rollout {
        let text = json!(rollout).to_string();
        let sql = format!("update operation_runs set rollout = '{text}' where id = {run_id}");
        store.sql(&sql).await.unwrap();
    }
    run_id
}

async fn end_of(store: &Store, run_id: i64) -> RunDetail {
    for _ in 0..3_000 {
        let detail = store.ops.run(&Actor::System, GetRun { id: run_id }).await.unwrap();
        if detail.run.status == RunStatus::Completed {
            return detail;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("run {run_id} does not end");
}

fn counts(detail: &RunDetail) -> [u64; 4] {
    [CountKey::Total, CountKey::Succeeded, CountKey::Failed, CountKey::Skipped]
        .map(|key| detail.run.summary_counts.get(key).unwrap_or(0))
}

fn of_tenant(detail: &RunDetail, tenant_id: i64) -> &RunTarget {
    detail.targets.iter().find(|target| target.tenant_id == Some(tenant_id)).unwrap()
}

/// A run of an executor that reports counts of its own.
async fn reported(store: &Store, scope: RunScope, parts: [u64; 3], failing: &[i64]) -> i64 {
    let run_id = start(store, "inventory.sync", scope, None).await;
    let types = vec!["inventory.sync".to_owned()];
    let claim = ClaimRun { owner: "w".to_owned(), types, lease: Duration::from_secs(60) };
    let fence = store.ops.run(&Actor::System, claim).await.unwrap().unwrap().fence;
    let [total, succeeded, failed] = parts;
    let counts = SummaryCounts::default()
        .with(CountKey::Total, total)
        .with(CountKey::Processed, succeeded + failed)
        .with(CountKey::Succeeded, succeeded)
        .with(CountKey::Failed, failed);
    store.ops.run(&Actor::System, ReportProgress { run_id, fence, counts }).await.unwrap();
    for tenant_id in failing {
        let failure = RecordFailure {
            run_id,
            fence,
            tenant_id: Some(*tenant_id),
            reason: ReasonCode::Conflict,
            message: "changed meanwhile".to_owned(),
        };
        store.ops.run(&Actor::System, failure).await.unwrap();
    }
    store.ops.run(&Actor::System, CompleteRun { run_id, fence, blocked: None }).await.unwrap();
    run_id
}

/// Partially succeeded runs of one tenant, the newest first.
async fn partial(store: &Store) -> Vec<i64> {
    let ids = "select id from operation_runs where outcome = 'partially_succeeded' \
               and tenant_id is not null order by created_at desc, id desc";
    let joined = match store.engine {
        Engine::Postgres => {
            format!("select coalesce(string_agg(id::text, ','), '') from ({ids}) x")
        }
        Engine::Sqlite => format!("select coalesce(group_concat(id, ','), '') from ({ids}) x"),
    };
    let text = store.text(&joined).await;
    text.split(',').filter(|id| !id.is_empty()).map(|id| id.parse().unwrap()).collect()
}

both_engines! {
    async fn fr_036_001_seed_demo_worker_and_reports_obey_one_rule(store) {
        // Seeded, as rows and through the operations.
        let amounts = Amounts { tenants: 60, runs: 1_500, findings: 0, events: 0 };
        seed(&store.ops, &amounts, 7, &mut |_| {}).await.unwrap();
        assert_eq!(broken(&store).await, []);
        let played = Store::new(store.engine).await;
        let few = Amounts { tenants: 12, runs: SMALL, findings: 0, events: 0 };
        seed(&played.ops, &few, 7, &mut |_| {}).await.unwrap();
        assert_eq!(broken(&played).await, []);
        // Executed by the worker, as a demo does, some of it cancelled on the way.
        let worker = Running::start(&store, executors(SEED, Pace::AtOnce)).await;
        let mut runs = Vec::new();
        for tenant in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] {
            for run_type in started_by_customers().map(|kind| kind.key) {
                let sql = format!("select count(*) from tenants where id = {tenant} and archived_at is null and not is_platform");
                if store.number(&sql).await == 1 {
                    runs.push(start(&store, run_type, RunScope::Tenant(tenant), None).await);
                }
            }
        }
        runs.push(start(&store, "policy.sync", RunScope::All, None).await);
        for run_id in &runs {
            end_of(&store, *run_id).await;
        }
        let ends = format!("select count(distinct outcome) from operation_runs where id >= {}", runs[0]);
        assert!(store.number(&ends).await >= 3, "the courses are too much alike");
        worker.stop().await;
        // Reported, over one tenant and over several.
        let tenants = store.text("select cast(min(id) as text) || ',' || cast(max(id) as text) from tenants where archived_at is null and not is_platform").await;
        let (one, other) = tenants.split_once(',').unwrap();
        let (one, other): (i64, i64) = (one.parse().unwrap(), other.parse().unwrap());
        for (parts, failing) in [([52, 13, 39], vec![one; 39]), ([4, 0, 4], vec![one; 4]), ([9, 9, 0], vec![])] {
            reported(&store, RunScope::Tenant(one), parts, &failing).await;
        }
        let several = reported(&store, RunScope::Tenants(vec![one, other]), [2, 1, 1], &[other]).await;
        let detail = end_of(&store, several).await;
        assert_eq!(of_tenant(&detail, one).status, TargetStatus::Succeeded);
        assert_eq!(of_tenant(&detail, other).status, TargetStatus::Failed);
        assert_eq!(broken(&store).await, []);
    }

    async fn fr_036_001_a_broken_rule_is_found(store) {
        let amounts = Amounts { tenants: 20, runs: 300, findings: 0, events: 0 };
        seed(&store.ops, &amounts, 7, &mut |_| {}).await.unwrap();
        let runs = partial(&store).await;
        let damages = [
            format!("update operation_run_targets set status = 'succeeded', reason_code = null, failed_items = 0 where run_id = {}", runs[0]),
            format!("update operation_runs set outcome = 'failed' where id = {}", runs[1]),
            format!("delete from operation_run_failures where run_id = {}", runs[2]),
        ];
        assert_eq!(broken(&store).await, []);
        for damage in damages {
            let before = broken(&store).await;
            assert!(store.sql(&damage).await.unwrap() > 0, "{damage}");
            assert_ne!(broken(&store).await, before, "{damage}");
        }
        // What the rule forbids outright is refused by the database.
        let refused = store.sql("update operation_run_targets set failed_items = 1 where status = 'succeeded'").await;
        assert!(refused.is_err());
    }

    async fn fr_036_002_every_partial_run_of_a_seed_has_something_to_retry(store) {
        let amounts = Amounts { tenants: 40, runs: 1_200, findings: 0, events: 0 };
        seed(&store.ops, &amounts, 3, &mut |_| {}).await.unwrap();
        let runs = partial(&store).await;
        assert!(runs.len() >= 20, "{} partial runs", runs.len());
        for run_id in runs {
            let detail = store.ops.run(&Actor::System, GetRun { id: run_id }).await.unwrap();
            let target = &detail.targets[0];
            assert_eq!(target.status, TargetStatus::Failed);
            let [total, succeeded, failed, _] = counts(&detail);
            assert_eq!(target.failed_share().unwrap(), format!("{failed} of {total} items failed"));
            assert_eq!(u64::try_from(target.items).unwrap(), succeeded + failed);
        }
        // A crash counts once three starts made no progress.
        let starts = "select count(*) from operation_run_targets where reason_code = 'step_crashed' and starts";
        assert_eq!(store.number(&format!("{starts} <> 3")).await, 0);
        assert!(store.number(&format!("{starts} = 3")).await > 0);
        for message in texts(&store, "select message from operation_run_failures where message like '%attempt %'").await {
            let attempt = message.split_once("attempt ").unwrap().1.split(' ').next().unwrap();
            assert!((2..=5).contains(&attempt.parse().unwrap()), "{message}");
        }
    }

    async fn fr_036_003_one_tenant_with_39_of_52_items_failed_is_a_failed_target(store) {
        let store = store.with_platform().await;
        store.mark_demo().await;
        let person = Person::administrator(&store.url);
        let uneven = Uneven { failing: vec![(1, 39)], pause: None };
        let worker = Running::start(&store, vec![Arc::new(uneven)]).await;
        let run_id = start(&store, "policy.sync", RunScope::Tenant(1), None).await;
        let detail = end_of(&store, run_id).await;
        assert_eq!(detail.run.outcome, RunOutcome::PartiallySucceeded);
        assert_eq!(counts(&detail), [52, 13, 39, 0]);
        let target = of_tenant(&detail, 1);
        assert_eq!((target.status, target.reason_code.as_deref()), (TargetStatus::Failed, Some("timeout")));
        assert_eq!((target.items, target.failed_items, target.item_total), (52, 39, Some(52)));
        assert_eq!(detail.failures.len(), 39);
        assert!(detail.failures.iter().all(|failure| !failure.message.contains("hunter2")), "not sanitised");
        let shown = person.run(&["runs", "show", &run_id.to_string()]).ends(0);
        assert!(shown.out.contains("39 of 52 items failed"), "{}", shown.out);
        assert!(shown.out.lines().any(|line| line.contains("Contoso DE") && line.contains("39 of 52 items failed")), "{}", shown.out);
        let shown = person.run(&["runs", "show", &run_id.to_string(), "--json"]).ends(0).json();
        assert_eq!(shown["run"]["targets"][0]["failed_items"], 39);
        assert_eq!(shown["run"]["retryable"], 1);
        let again = person.run(&["runs", "retry", &run_id.to_string(), "--json", "--yes"]).ends(0).json();
        assert_eq!(again["target_count"], 1);
        let retried = store.number(&format!("select id from operation_runs where retry_of_run_id = {run_id}")).await;
        assert_eq!(counts(&end_of(&store, retried).await), [52, 13, 39, 0]);
        assert_eq!(broken(&store).await, []);
        worker.stop().await;
    }

    async fn fr_036_004_over_many_tenants_items_of_failed_targets_decide(store) {
        let store = store.with_platform().await;
        store.mark_demo().await;
        let administrator = store.administrator().await;
        let uneven = Uneven { failing: vec![(1, 52), (2, 52), (3, 4)], pause: None };
        let rollout = Rollout {
            concurrency: 1,
            error_threshold: Some(ErrorThreshold::Count(0)),
            ..Rollout::default()
        };
        let tenants = |ids: &[i64]| RunScope::Tenants(ids.to_vec());
        let stopped = start(&store, "policy.sync", tenants(&[1, 4]), Some(rollout)).await;
        let worker = Running::start(&store, vec![Arc::new(uneven)]).await;
        // Nothing succeeded; only items did; one target did.
        for (scope, outcome, expected) in [
            (tenants(&[1, 2]), RunOutcome::Failed, [2, 0, 2, 0]),
            (tenants(&[1, 3]), RunOutcome::PartiallySucceeded, [2, 0, 2, 0]),
            (RunScope::All, RunOutcome::PartiallySucceeded, [4, 1, 3, 0]),
        ] {
            let run_id = start(&store, "policy.sync", scope, None).await;
            let detail = end_of(&store, run_id).await;
            assert_eq!((detail.run.outcome, counts(&detail)), (outcome, expected), "{:?}", detail.run);
        }
        let last = store.number("select max(id) from operation_runs").await;
        let retry = RetryRun { run_id: last, consent: again(3), ..retry_from_cli() };
        let retried = store.ops.run(&administrator.actor, retry).await.unwrap();
        let detail = end_of(&store, retried.started.run_id).await;
        assert_eq!(counts(&detail), [3, 0, 3, 0]);
        // A target whose items failed counts for the threshold.
        let detail = end_of(&store, stopped).await;
        assert_eq!(counts(&detail), [2, 0, 1, 1]);
        assert_eq!(broken(&store).await, []);
        worker.stop().await;
    }

    async fn fr_036_005_a_cancel_keeps_what_failed(store) {
        let store = store.with_platform().await;
        let administrator = store.administrator().await;
        let uneven = Uneven { failing: vec![(1, 52)], pause: Some(Duration::from_secs(3)) };
        let worker = Running::start(&store, vec![Arc::new(uneven)]).await;
        let run_id = start(&store, "policy.sync", RunScope::Tenants(vec![1, 2]), None).await;
        let stepped = format!("select count(*) from operation_run_targets where run_id = {run_id} and steps = 1");
        while store.number(&stepped).await < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // A step that asked for a pause is in flight no longer, and its target waits.
        let waiting = format!("select count(*) from operation_run_targets where run_id = {run_id} and steps = 1 and starts = 0 and step_started_at is null and next_attempt_at is not null");
        assert_eq!(store.number(&waiting).await, 2);
        store.ops.run(&administrator.actor, CancelRun { run_id, consent: sure("CANCEL", run_id) }).await.unwrap();
        let detail = end_of(&store, run_id).await;
        assert_eq!(detail.run.outcome, RunOutcome::Cancelled);
        let target = of_tenant(&detail, 1);
        assert_eq!((target.status, target.failed_items), (TargetStatus::Failed, 13));
        assert_eq!(target.reason_code.as_deref(), Some("timeout"));
        assert_eq!(of_tenant(&detail, 2).status, TargetStatus::Skipped);
        assert_eq!(broken(&store).await, []);
        worker.stop().await;
    }

    async fn fr_036_006_counts_outside_of_the_list_are_refused_by_the_database(store) {
        let store = store.with_scene().await;
        for bad in [
            r#"{"totals": 1}"#, r#"{"total": 4, "failed": -1}"#, r#"{"total": 1.5}"#, r#"{"total": "4"}"#,
            r#"{"total": null}"#, r#"{"total": true}"#, r#"{"items": [1]}"#, "[]", "4", r#"{"Total": 1}"#,
        ] {
            for run_id in [1, 9] {
                let sql = format!("update operation_runs set summary_counts = '{bad}' where id = {run_id}");
                assert!(store.sql(&sql).await.is_err(), "{bad}");
            }
            let columns = "source, type, scope_kind, identity_hash, created_at, updated_at";
            let sql = format!(
                "insert into operation_runs ({columns}, summary_counts) select 'cli', 'a.b', 'platform', \
                 '{}', created_at, updated_at, '{bad}' from operation_runs where id = 1",
                "0".repeat(64)
            );
            assert!(store.sql(&sql).await.is_err(), "{bad}");
        }
        let all = json!({
            "total": 4, "processed": 4, "succeeded": 4, "failed": 0, "skipped": 0, "created": 1,
            "updated": 2, "deleted": 3, "tenants": 4, "items": 9_007_199_254_740_992_i64,
        });
        for good in ["{}".to_owned(), all.to_string()] {
            let sql = format!("update operation_runs set summary_counts = '{good}' where id = 1");
            assert_eq!(store.sql(&sql).await.unwrap(), 1, "{good}");
        }
    }

    async fn fr_036_007_existing_rows_are_brought_under_the_rule(store) {
        let store = store.with_scene().await;
        // As the version before had it: no rule, and a target that succeeded in spite of its items.
        let undo: &[&str] = match store.engine {
            Engine::Postgres => &[
                "alter table operation_runs drop constraint operation_runs_summary_counts",
                "alter table operation_run_targets drop constraint operation_run_targets_items",
                "alter table operation_run_targets drop column item_total, drop column failed_items",
            ],
            Engine::Sqlite => &[
                "drop trigger operation_runs_counts_insert",
                "drop trigger operation_runs_counts_update",
                "alter table operation_run_targets drop column item_total",
                "alter table operation_run_targets drop column failed_items",
            ],
        };
        for sql in undo {
            store.sql(sql).await.unwrap();
        }
        let hours = "select cast(coalesce(sum(runs), 0) as bigint) from operation_run_hour_counts";
        let (counted, rows) = (store.number(hours).await, store.number("select count(*) from operation_runs").await);
        let counts = |id: i64, text: &str| format!("update operation_runs set summary_counts = '{text}' where id = {id}");
        for sql in [
            // Runs 3 and 4 failed wholly and partly, 6 was cancelled after an item had failed.
            "update operation_run_targets set status = 'succeeded', reason_code = null, items = 0 where run_id in (3, 4)".to_owned(),
            counts(6, r#"{"total": 10, "processed": 10, "succeeded": 4, "failed": 1, "skipped": 5}"#),
            counts(1, r#"{"total": 12, "processed": 12, "succeeded": 14, "failed": -2, "seen": 3}"#),
            counts(2, r#"{"what": "ever"}"#),
            counts(8, r#"{"total": 100, "processed": 37, "succeeded": 37, "skipped": -4, "updated": 2.0}"#),
        ] {
            assert!(store.sql(&sql).await.unwrap() > 0, "{sql}");
        }
        let file = format!("migrations/{}/0014_summary_counts.sql", match store.engine { Engine::Postgres => "postgres", Engine::Sqlite => "sqlite" });
        let text = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        store.sql(&text).await.unwrap();
        let json = async |id: i64| -> Value {
            serde_json::from_str(&store.text(&format!("select cast(summary_counts as text) from operation_runs where id = {id}")).await).unwrap()
        };
        assert_eq!(json(1).await, json!({ "total": 14, "processed": 14, "succeeded": 14, "failed": 0 }));
        assert_eq!(json(2).await, json!({}));
        assert_eq!(json(8).await, json!({ "total": 100, "processed": 37, "succeeded": 37, "skipped": 0, "updated": 2 }));
        for (run_id, expected) in [
            (3, "failed provider_throttled 4 4 4"),
            (4, "failed provider_throttled 40 40 3"),
            (6, "failed unexpected_error 10 5 1"),
        ] {
            let target = format!(
                "select status || ' ' || reason_code || ' ' || cast(item_total as text) || ' ' || cast(items as text) \
                 || ' ' || cast(failed_items as text) from operation_run_targets where run_id = {run_id}"
            );
            assert_eq!(store.text(&target).await, expected, "run {run_id}");
        }
        assert_eq!(store.number(hours).await, counted);
        assert_eq!(store.number("select count(*) from operation_runs").await, rows);
        assert!(store.sql(&counts(1, r#"{"seen": 3}"#)).await.is_err());
        let detail = store.ops.run(&Actor::System, GetRun { id: 4 }).await.unwrap();
        assert_eq!(detail.targets[0].failed_share().as_deref(), Some("3 of 40 items failed"));
    }

    async fn fr_036_013_page_and_command_line_say_how_many_failures_are_recorded(store) {
        let store = store.with_platform().await;
        let id = store.start("policy.sync", 1).await;
        let claimed = store.claim().await;
        store.report(&claimed, 200, 189, 11).await;
        for _ in 0..8 {
            store.fail(&claimed, ReasonCode::Timeout, "no answer").await;
        }
        store.complete(&claimed, None).await;
        let told = "11 of 200 items failed, for one reason (8 of the failures are recorded):\n";
        store.administrator().await;
        let person = Person::at(&store.url);
        person.login("administrator").ends(0);
        let shown = person.run(&["runs", "show", &id.to_string()]).ends(0);
        assert!(shown.out.contains(told), "{shown:?}");
        let mut console = crate::support::console::Console::open(&store.ops, 100, 30).await;
        console.log_in("administrator").await;
        console.keys("2<enter>").await;
        assert!(console.screen().contains(told.trim_end()), "{}", console.screen());
    }

    async fn fr_036_009_a_customers_type_over_many_tenants_is_executed_target_by_target(store) {
        let amounts = Amounts { tenants: 50, runs: 0, findings: 0, events: 0 };
        seed(&store.ops, &amounts, 7, &mut |_| {}).await.unwrap();
        let worker = Running::start(&store, executors(SEED, Pace::AtOnce)).await;
        let run_id = start(&store, "policy.sync", RunScope::All, None).await;
        let detail = end_of(&store, run_id).await;
        assert!(detail.targets.len() > 40, "{} targets", detail.targets.len());
        for target in &detail.targets {
            let course = Course::of(SEED, "policy.sync", run_id, target.tenant_id.unwrap());
            assert_eq!((target.status, target.item_total), (course.status(), Some(course.total)), "{course:?}");
            let expected = (target.status == TargetStatus::Failed).then(|| course.reason.as_str());
            assert_eq!(target.reason_code.as_deref(), expected, "{course:?}");
            assert_eq!(target.items - target.failed_items, course.succeeded(), "{course:?}");
        }
        assert_eq!(broken(&store).await, []);
        worker.stop().await;
    }
}

/// A retry as the command line asks for it.
pub fn retry_from_cli() -> RetryRun {
    RetryRun {
        run_id: 0,
        consent: again(1),
        source: Source::Cli,
        request_id: None,
        wait_for_worker: false,
    }
}
