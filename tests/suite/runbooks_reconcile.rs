//! Closing runs that can never finish: which ones, and as what they end.

use chrono::{Duration, SecondsFormat};
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};
use tenantpilot::access::Actor;
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::domain::operation_type;
use tenantpilot::domain::run::{RunOutcome, Source};
use tenantpilot::ops::Engine;
use tenantpilot::ops::auth::Session;
use tenantpilot::ops::runs::{
    BeginTarget, CancelRun, Claimed, FailStep, FinishRun, PauseRun, Pulse, ReleaseRun, ResumeRun,
    RunScope, RunStep, StartRun,
};
use tenantpilot::{Clock, ErrorKind};

use crate::database::texts;
use crate::runbooks::Executed;
use crate::support::starts::Wish;
use crate::support::stores::{Store, both_engines};

const KEY: &str = "operations.reconcile_stale";
const BACKFILL: &str = "findings.lifecycle_backfill";
/// Longer than a queued run may wait.
const TOO_LONG: i64 = 5 * 60 + 1;

/// A run in the queue; of a type that the catalogue does not have, as another version queues it.
async fn queued(store: &Store, run_type: &str, tenant_id: i64) -> i64 {
    let known = operation_type::find(run_type).map_or("policy.sync", |kind| kind.key);
    let start = StartRun {
        inputs: json!({ "as": run_type }),
        ..StartRun::for_tenant(known, tenant_id, Source::Schedule)
    };
    let id = store.ops.run(&Actor::System, start).await.unwrap().run_id;
    store
        .sql(&format!("update operation_runs set type = '{run_type}' where id = {id}"))
        .await
        .unwrap();
    id
}

/// Lets a run's lease have ended so many seconds ago, by the database's clock.
async fn lapse(store: &Store, run_id: i64, seconds: i64) {
    let at = (Clock::system().now() - Duration::seconds(seconds))
        .to_rfc3339_opts(SecondsFormat::AutoSi, false);
    let sql =
        format!("update operation_run_leases set expires_at = '{at}' where run_id = {run_id}");
    assert_eq!(store.sql(&sql).await.unwrap(), 1);
}

async fn reconcile(store: &Store, chunk: i64) -> Executed {
    store.execute(KEY, RunScope::Platform, json!({}), 1, chunk).await
}

/// `status outcome reason stop` of a run.
async fn state(store: &Store, run_id: i64) -> String {
    store
        .text(&format!(
            "select status || ' ' || outcome || ' ' || coalesce(reason_code, '-') || ' ' || \
             coalesce(stop_reason, '-') from operation_runs where id = {run_id}"
        ))
        .await
}

async fn count(store: &Store, table: &str, run_id: i64) -> i64 {
    store.number(&format!("select count(*) from {table} where run_id = {run_id}")).await
}

/// A backfill over the four tenants that `by` started and a worker has claimed.
async fn claimed_backfill(store: &Store, by: &Session) -> Claimed {
    store.legacy_findings(&[1, 2, 3, 4], 1).await;
    let wish = Wish { source: Source::Console, ..Wish::new(BACKFILL, RunScope::All) };
    wish.begin(&store.ops, &by.actor).await.unwrap();
    store.claim_type(BACKFILL).await
}

async fn begin(store: &Store, run: &Claimed, ordinal: i64) {
    let begin =
        BeginTarget { run_id: run.id, fence: run.fence, ordinal, crash: None, outage: None };
    store.ops.run(&Actor::System, begin).await.unwrap();
}

fn step(run: &Claimed, ordinal: i64) -> RunStep {
    RunStep { run_id: run.id, fence: run.fence, ordinal, steps: 0, chunk: 500, then: None }
}

async fn succeed(store: &Store, run: &Claimed, ordinal: i64) {
    begin(store, run, ordinal).await;
    store.ops.run(&Actor::System, step(run, ordinal)).await.unwrap();
}

fn failure(run: &Claimed, ordinal: i64) -> FailStep {
    FailStep {
        run_id: run.id,
        fence: run.fence,
        ordinal,
        steps: 0,
        reason: ReasonCode::ValidationFailed,
        message: "gone".to_owned(),
        again_in: None,
        fault: None,
    }
}

both_engines! {
    async fn fr_014_008_what_can_never_finish_is_closed_and_nothing_else(store) {
        let store = store.with_platform().await;
        let administrator = store.administrator().await;
        let stale = queued(&store, "policy.sync", 1).await;
        let paused = queued(&store, "policy.sync", 2).await;
        store.ops.run(&administrator.actor, PauseRun { run_id: paused, consent: crate::support::starts::sure("PAUSE", paused) }).await.unwrap();
        let resumed = queued(&store, "policy.sync", 3).await;
        store.ops.run(&administrator.actor, PauseRun { run_id: resumed, consent: crate::support::starts::sure("PAUSE", resumed) }).await.unwrap();
        let mut held = Vec::new();
        // Alive; over for a while; over for long; without a lease for long, and just now.
        for run_type in ["a.alive", "a.recent", "a.lost", "a.leaseless", "a.fresh"] {
            let id = queued(&store, run_type, 1).await;
            assert_eq!(store.claim_type(run_type).await.id, id);
            held.push(id);
        }
        let released = queued(&store, "a.released", 1).await;
        let run = store.claim_type("a.released").await;
        store.pass(TOO_LONG);
        let release = ReleaseRun { run_id: released, fence: run.fence, pause: false };
        store.ops.run(&Actor::System, release).await.unwrap();
        store.ops.run(&administrator.actor, ResumeRun { run_id: resumed, consent: crate::support::starts::sure("RESUME", resumed) }).await.unwrap();
        let fresh = queued(&store, "policy.sync", 4).await;
        lapse(&store, held[1], 14 * 60).await;
        lapse(&store, held[2], 16 * 60).await;
        for (run_id, minutes) in [(held[3], 16), (held[4], 14)] {
            let at = (Clock::system().now() - Duration::minutes(minutes))
                .to_rfc3339_opts(SecondsFormat::AutoSi, false);
            store.sql(&format!("delete from operation_run_leases where run_id = {run_id}")).await.unwrap();
            store.sql(&format!("update operation_runs set updated_at = '{at}' where id = {run_id}")).await.unwrap();
        }
        let asked = store.preflight(KEY, RunScope::Platform, json!({})).await;
        assert_eq!((asked.affected_count, asked.total_count), (3, 10));
        let done = reconcile(&store, 500).await;
        assert_eq!((done.count("items"), done.count("updated"), done.steps), (3, 3, 1));
        assert_eq!(done.outcome, RunOutcome::Succeeded);
        assert_eq!(state(&store, stale).await, "completed blocked stale_queued blocked");
        for run_id in [held[2], held[3]] {
            assert_eq!(state(&store, run_id).await, "completed blocked worker_lost blocked");
        }
        for run_id in [paused, resumed, released, fresh] {
            assert_eq!(state(&store, run_id).await, "queued pending - -");
        }
        for run_id in [held[0], held[1], held[4]] {
            assert_eq!(state(&store, run_id).await, "running pending - -");
        }
        assert_eq!(reconcile(&store, 500).await.count("items"), 0);
    }

    async fn fr_014_008_many_are_closed_chunk_by_chunk(store) {
        let store = store.with_platform().await;
        for n in 0..5 {
            queued(&store, &format!("a.n{n}"), 1).await;
        }
        store.pass(TOO_LONG);
        let done = reconcile(&store, 2).await;
        assert_eq!((done.count("items"), done.count("updated"), done.steps), (5, 5, 3));
        let left = store.number("select count(*) from operation_runs where status <> 'completed'").await;
        assert_eq!(left, 0);
    }

    async fn fr_014_008_a_reconciling_run_is_never_its_own_prey(store) {
        let store = store.with_platform().await;
        let run_id = store.start_runbook(KEY, RunScope::Platform, json!({}), 1).await;
        let claimed = store.claim_type(KEY).await;
        lapse(&store, run_id, 20 * 60).await;
        let done = store.work_off(&claimed, 500).await;
        assert_eq!((done.count("items"), done.outcome), (0, RunOutcome::Succeeded));
    }

    async fn fr_014_008_a_run_that_somebody_is_just_changing_is_left_to_them(store) {
        let store = store.with_platform().await;
        let runs = [queued(&store, "a.one", 1).await, queued(&store, "a.two", 1).await];
        store.pass(TOO_LONG);
        if store.engine == Engine::Sqlite {
            // One writer at a time: nobody can be just changing anything.
            assert_eq!(reconcile(&store, 500).await.count("updated"), 2);
            return;
        }
        let mut other = PgConnection::connect(&store.url).await.unwrap();
        let mut transaction = other.begin().await.unwrap();
        let sql = format!("select id from operation_runs where id = {} for update", runs[0]);
        transaction.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
        assert_eq!(reconcile(&store, 500).await.count("updated"), 1);
        assert_eq!(state(&store, runs[0]).await, "queued pending - -");
        transaction.rollback().await.unwrap();
        assert_eq!(reconcile(&store, 500).await.count("updated"), 1);
    }

    async fn fr_014_009_what_was_done_counts_and_the_rest_is_skipped_with_the_reason(store) {
        let store = store.with_platform().await;
        let administrator = store.administrator().await;
        let run = claimed_backfill(&store, &administrator).await;
        succeed(&store, &run, 0).await;
        begin(&store, &run, 1).await;
        store.ops.run(&Actor::System, failure(&run, 1)).await.unwrap();
        begin(&store, &run, 2).await;
        lapse(&store, run.id, 20 * 60).await;
        let by = reconcile(&store, 500).await.run_id;
        assert_eq!(state(&store, run.id).await, "completed partially_succeeded worker_lost worker_lost");
        let counts = store.counts(run.id).await;
        let parts = ["total", "processed", "succeeded", "failed", "skipped"].map(|key| counts[key]);
        assert_eq!(parts, [4, 4, 1, 2, 1]);
        let targets = format!("select status from operation_run_targets where run_id = {} order by ordinal", run.id);
        assert_eq!(texts(&store, &targets).await, ["succeeded", "failed", "failed", "skipped"]);
        let failures = format!("select reason_code || ' ' || message from operation_run_failures where run_id = {} order by id", run.id);
        let failures = texts(&store, &failures).await;
        assert_eq!(failures.len(), 2, "{failures:?}");
        assert!(failures[1].starts_with("worker_lost ") && failures[1].ends_with(&format!("run {by}")), "{failures:?}");
        assert_eq!(count(&store, "notifications", run.id).await, 1);
        assert_eq!(count(&store, "alert_deliveries", run.id).await, 1);
        assert_eq!(count(&store, "operation_run_leases", run.id).await, 0);
        let audit = format!("select action || cast(metadata as text) from audit_logs where run_id = {} order by id", run.id);
        let audit = texts(&store, &audit).await;
        let named = audit.iter().find(|row| row.starts_with("runs.reconcile")).unwrap();
        assert!(named.replace(' ', "").contains(&format!("\"reconciled_by\":{by}")), "{named}");
        assert_eq!(audit.iter().filter(|row| row.starts_with("runs.complete")).count(), 1);
    }

    async fn fr_014_009_outcomes_say_how_far_it_came(store) {
        let store = store.with_platform().await;
        let administrator = store.administrator().await;
        // Begun, and nothing done: failed, with its alert.
        let run = claimed_backfill(&store, &administrator).await;
        begin(&store, &run, 0).await;
        lapse(&store, run.id, 20 * 60).await;
        reconcile(&store, 500).await;
        assert_eq!(state(&store, run.id).await, "completed failed worker_lost worker_lost");
        assert_eq!(count(&store, "alert_deliveries", run.id).await, 1);
        // Somebody wanted it to stop: cancelled.
        let run = claimed_backfill(&store, &administrator).await;
        succeed(&store, &run, 0).await;
        store.ops.run(&administrator.actor, CancelRun { run_id: run.id, consent: crate::support::starts::sure("CANCEL", run.id) }).await.unwrap();
        lapse(&store, run.id, 20 * 60).await;
        reconcile(&store, 500).await;
        assert_eq!(state(&store, run.id).await, "completed cancelled worker_lost cancelled");
        // Only its completion was missing: nothing failed.
        let run = claimed_backfill(&store, &administrator).await;
        for ordinal in 0..4 {
            succeed(&store, &run, ordinal).await;
        }
        lapse(&store, run.id, 20 * 60).await;
        reconcile(&store, 500).await;
        assert_eq!(state(&store, run.id).await, "completed succeeded - -");
        assert_eq!(count(&store, "operation_run_failures", run.id).await, 0);
        // Counts that its executor reported are kept.
        let reported = queued(&store, "policy.sync", 1).await;
        let run = store.claim_type("policy.sync").await;
        store.report(&run, 12, 4, 1).await;
        lapse(&store, reported, 20 * 60).await;
        reconcile(&store, 500).await;
        assert_eq!(state(&store, reported).await, "completed partially_succeeded worker_lost worker_lost");
        let counts = store.counts(reported).await;
        let parts = ["total", "processed", "succeeded", "failed", "skipped"].map(|key| counts[key]);
        assert_eq!(parts, [12, 12, 4, 1, 7]);
        // Each of them told its initiator once; the schedule has nobody to tell.
        assert_eq!(store.number("select count(*) from notifications").await, 3);
    }

    async fn fr_014_009_a_worker_that_comes_back_writes_nothing(store) {
        let store = store.with_platform().await;
        let administrator = store.administrator().await;
        let run = claimed_backfill(&store, &administrator).await;
        begin(&store, &run, 0).await;
        lapse(&store, run.id, 20 * 60).await;
        reconcile(&store, 500).await;
        let rows = format!(
            "select status || outcome || cast(summary_counts as text) || cast(fence as text) from operation_runs \
             where id = {0} union all select status || cast(steps as text) from operation_run_targets where run_id = {0}",
            run.id
        );
        let before = texts(&store, &rows).await;
        let (run_id, fence) = (run.id, run.fence);
        let finish = FinishRun { run_id, fence, stop: None };
        let begin = BeginTarget { run_id, fence, ordinal: 1, crash: None, outage: None };
        let errors = [
            store.ops.run(&Actor::System, step(&run, 0)).await.unwrap_err(),
            store.ops.run(&Actor::System, failure(&run, 0)).await.unwrap_err(),
            store.ops.run(&Actor::System, begin).await.unwrap_err(),
            store.ops.run(&Actor::System, Pulse { run_id, fence }).await.unwrap_err(),
            store.ops.run(&Actor::System, finish).await.unwrap_err(),
        ];
        assert!(errors.iter().all(|error| error.kind() == ErrorKind::Lost), "{errors:?}");
        assert_eq!(texts(&store, &rows).await, before);
        assert_eq!(count(&store, "notifications", run.id).await, 1);
    }
}
