//! A run's way: claim, progress, failures, completion, takeover, stale runs.

use std::time::Duration;

use serde_json::json;
use tenantpilot::access::Actor;
use tenantpilot::domain::confirmation::Given;
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::domain::run::{RunOutcome, Source};
use tenantpilot::domain::run_state::{RunState, STALE_AFTER};
use tenantpilot::domain::summary_counts::{CountKey, SummaryCounts};
use tenantpilot::ops::Consent;
use tenantpilot::ops::Engine;
use tenantpilot::ops::auth::Session;
use tenantpilot::ops::runs::{
    CancelRun, ClaimRun, Claimed, CompleteRun, Controlled, CountRuns, ExtendLease, GetRun,
    PauseRun, RecordFailure, ReportProgress, ResumeRun, StartRun,
};
use tenantpilot::{ErrorKind, Result};

use crate::database::texts;
use crate::support::stores::{Store, both_engines};

const LEASE: Duration = Duration::from_secs(30);

async fn started(store: &Store, run_type: &str) -> i64 {
    let start = StartRun::for_tenant(run_type, 1, Source::Admin);
    store.ops.run(&Actor::System, start).await.unwrap().run_id
}

async fn claim(store: &Store, owner: &str, types: &[&str]) -> Option<Claimed> {
    let types = types.iter().map(|name| (*name).to_owned()).collect();
    let claim = ClaimRun { owner: owner.to_owned(), types, lease: LEASE };
    store.ops.run(&Actor::System, claim).await.unwrap()
}

async fn report(store: &Store, held: &Claimed, counts: SummaryCounts) -> Result<()> {
    let report = ReportProgress { run_id: held.id, fence: held.fence, counts };
    store.ops.run(&Actor::System, report).await
}

async fn fail(store: &Store, held: &Claimed, reason: ReasonCode, message: &str) -> Result<()> {
    let failure = RecordFailure {
        run_id: held.id,
        fence: held.fence,
        tenant_id: Some(1),
        reason,
        message: message.to_owned(),
    };
    store.ops.run(&Actor::System, failure).await
}

async fn complete(
    store: &Store,
    held: &Claimed,
    blocked: Option<ReasonCode>,
) -> Result<RunOutcome> {
    let done = CompleteRun { run_id: held.id, fence: held.fence, blocked };
    store.ops.run(&Actor::System, done).await
}

async fn lapse(store: &Store) {
    store
        .sql("update operation_run_leases set expires_at = '2020-01-01T00:00:00+00:00'")
        .await
        .unwrap();
}

fn counts(total: u64, succeeded: u64, failed: u64) -> SummaryCounts {
    SummaryCounts::default()
        .with(CountKey::Total, total)
        .with(CountKey::Processed, succeeded + failed)
        .with(CountKey::Succeeded, succeeded)
        .with(CountKey::Failed, failed)
}

/// Everything about runs that a lost worker could have touched.
async fn state(store: &Store) -> Vec<String> {
    texts(
        store,
        "select cast(id as text) || status || outcome || cast(summary_counts as text) || cast(fence as text) || \
         coalesce(lease_owner, '-') || cast(audit_gaps as text) || cast(updated_at as text) from operation_runs \
         union all select 'failure ' || message from operation_run_failures \
         union all select 'target ' || status from operation_run_targets \
         union all select 'notice ' || title from notifications \
         union all select 'alert ' || event from alert_deliveries \
         union all select 'audit ' || action || status from audit_logs \
         union all select 'lease ' || owner || cast(expires_at as text) from operation_run_leases",
    )
    .await
}

async fn state_of(store: &Store, reader: &Session, id: i64) -> RunState {
    let detail = store.ops.run(&reader.actor, GetRun { id }).await.unwrap();
    RunState::of(&detail.run, store.clock.now())
}

both_engines! {
    async fn fr_004_010_runs_are_claimed_oldest_first_once_and_by_type(store) {
        let store = store.with_platform().await;
        let mut ids = Vec::new();
        for run_type in ["policy.sync", "inventory.sync", "stored_report.create"] {
            ids.push(started(&store, run_type).await);
            store.clock.advance(chrono::Duration::seconds(1));
        }
        // An underscore is a letter here, not a wildcard.
        assert_eq!(claim(&store, "w1", &["storedXreport.create"]).await, None);
        let named = claim(&store, "w1", &["inventory.sync", "stored_report.create"]).await.unwrap();
        assert_eq!((named.id, named.fence, named.run_type.as_str()), (ids[1], 1, "inventory.sync"));
        assert_eq!(claim(&store, "w2", &[]).await.unwrap().id, ids[0]);
        assert_eq!(claim(&store, "w2", &[]).await.unwrap().id, ids[2]);
        assert_eq!(claim(&store, "w3", &[]).await, None);
        for (owner, lease) in [("", LEASE), ("w", Duration::from_millis(299))] {
            let wrong = ClaimRun { owner: owner.to_owned(), types: vec![], lease };
            assert_eq!(store.ops.run(&Actor::System, wrong).await.unwrap_err().kind(), ErrorKind::Usage);
        }
    }

    async fn fr_004_010_parallel_workers_never_share_a_run(store) {
        let store = store.with_platform().await;
        for n in 0..30 {
            let mut start = StartRun::for_tenant("policy.sync", 1, Source::Admin);
            start.inputs = json!({ "n": n });
            store.ops.run(&Actor::System, start).await.unwrap();
        }
        let workers = (0..6).map(|n| {
            let store = &store;
            async move {
                let mut got = Vec::new();
                // On PostgreSQL a row that another worker just locked is skipped, so an empty
                // answer may come early; look once more.
                for _ in 0..20 {
                    if let Some(claimed) = claim(store, &format!("w{n}"), &[]).await {
                        assert_eq!(claimed.fence, 1);
                        got.push(claimed.id);
                    }
                }
                got
            }
        });
        let mut all: Vec<i64> = futures_util::future::join_all(workers).await.concat();
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!((count, all.len()), (30, 30));
    }

    async fn fr_004_011_a_worker_that_lost_its_run_writes_nothing(store) {
        let store = store.with_platform().await;
        started(&store, "policy.sync").await;
        let old = claim(&store, "w1", &[]).await.unwrap();
        lapse(&store).await;
        let new = claim(&store, "w2", &[]).await.unwrap();
        assert_eq!((new.id, new.fence), (old.id, old.fence + 1));
        let before = state(&store).await;
        for lost in [
            report(&store, &old, counts(1, 1, 0)).await,
            fail(&store, &old, ReasonCode::Timeout, "too late").await,
            complete(&store, &old, None).await.map(drop),
            complete(&store, &old, Some(ReasonCode::TenantGone)).await.map(drop),
        ] {
            assert_eq!(lost.unwrap_err().kind(), ErrorKind::Lost);
        }
        let beat = ExtendLease { run_id: old.id, owner: "w1".to_owned(), lease: LEASE };
        assert!(!store.ops.run(&Actor::System, beat).await.unwrap());
        assert_eq!(state(&store).await, before);
        report(&store, &new, counts(1, 1, 0)).await.unwrap();
        assert_eq!(complete(&store, &new, None).await.unwrap(), RunOutcome::Succeeded);
    }

    async fn fr_004_012_completing_twice_announces_once(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        started(&store, "policy.sync").await;
        store.sql("update operation_runs set platform_user_id = 1").await.unwrap();
        let held = claim(&store, "w", &[]).await.unwrap();
        report(&store, &held, counts(1, 0, 1)).await.unwrap();
        fail(&store, &held, ReasonCode::Timeout, "slow").await.unwrap();
        let (one, other) = tokio::join!(complete(&store, &held, None), complete(&store, &held, None));
        assert_eq!([&one, &other].iter().filter(|answer| answer.is_ok()).count(), 1, "{one:?} {other:?}");
        assert_eq!(complete(&store, &held, None).await.unwrap_err().kind(), ErrorKind::Lost);
        // Even if the run were opened again past the program.
        store.sql("update operation_runs set status = 'running', outcome = 'pending', completed_at = null, lease_owner = 'w'").await.unwrap();
        complete(&store, &held, None).await.unwrap();
        assert_eq!(texts(&store, "select title from notifications").await, [format!("policy.sync failed: run {}", held.id)]);
        assert_eq!(texts(&store, "select event from alert_deliveries").await, ["operations.run.failed"]);
    }

    async fn fr_004_012_nobody_is_told_where_nobody_started_it_or_nothing_failed(store) {
        let store = store.with_platform().await;
        for failed in [0, 1] {
            started(&store, "policy.sync").await;
            let held = claim(&store, "w", &[]).await.unwrap();
            report(&store, &held, counts(1, 1 - failed, failed)).await.unwrap();
            complete(&store, &held, None).await.unwrap();
            assert_eq!(store.number("select count(*) from notifications").await, 0);
            assert_eq!(store.number("select count(*) from alert_deliveries").await, i64::try_from(failed).unwrap());
        }
    }

    async fn fr_004_013_outcomes_follow_the_counts(store) {
        let store = store.with_platform().await;
        let gone = Some(ReasonCode::TenantGone);
        for (given, cancel, blocked, expected) in [
            (counts(0, 0, 0), false, None, RunOutcome::Succeeded),
            (counts(4, 4, 0), false, None, RunOutcome::Succeeded),
            (counts(4, 0, 0), false, None, RunOutcome::Succeeded),
            (counts(4, 0, 4), false, None, RunOutcome::Failed),
            (counts(4, 1, 3), false, None, RunOutcome::PartiallySucceeded),
            (counts(4, 1, 1), true, None, RunOutcome::Cancelled),
            (counts(4, 4, 0), true, None, RunOutcome::Succeeded),
            (counts(4, 2, 2), true, None, RunOutcome::PartiallySucceeded),
            (counts(4, 0, 0), false, gone, RunOutcome::Blocked),
        ] {
            let id = started(&store, "policy.sync").await;
            let held = claim(&store, "w", &[]).await.unwrap();
            report(&store, &held, given.clone()).await.unwrap();
            if cancel {
                store.sql("update operation_runs set cancel_requested_at = created_at where status = 'running'").await.unwrap();
            }
            assert_eq!(complete(&store, &held, blocked).await.unwrap(), expected, "{given:?} {cancel}");
            let row = texts(&store, &format!(
                "select outcome || ' ' || coalesce(reason_code, '-') || ' ' || cast(summary_counts as text) from operation_runs where id = {id}"
            )).await;
            let (words, json) = row[0].split_once(" {").unwrap();
            let reason = match expected {
                RunOutcome::Failed | RunOutcome::PartiallySucceeded => "unexpected_error",
                RunOutcome::Blocked => "tenant_gone",
                _ => "-",
            };
            assert_eq!(words, format!("{expected} {reason}"));
            let kept: SummaryCounts = serde_json::from_str(&format!("{{{json}")).unwrap();
            let get = |key| kept.get(key).unwrap_or(0);
            assert_eq!(get(CountKey::Succeeded) + get(CountKey::Failed) + get(CountKey::Skipped), get(CountKey::Total));
            assert_eq!(get(CountKey::Processed), get(CountKey::Total));
        }
    }

    async fn fr_004_013_the_commonest_reason_stands_for_the_run(store) {
        let store = store.with_platform().await;
        let id = started(&store, "policy.sync").await;
        let held = claim(&store, "w", &[]).await.unwrap();
        for reason in [ReasonCode::Timeout, ReasonCode::Conflict, ReasonCode::Timeout] {
            fail(&store, &held, reason, "m").await.unwrap();
        }
        report(&store, &held, counts(3, 0, 3)).await.unwrap();
        complete(&store, &held, None).await.unwrap();
        assert_eq!(texts(&store, "select reason_code from operation_runs").await, ["timeout"]);
        assert_eq!(texts(&store, &format!("select status || ' ' || reason_code from operation_run_targets where run_id = {id}")).await, ["failed timeout"]);
        let payload = texts(&store, "select cast(payload as text) from alert_deliveries").await.remove(0);
        assert!(payload.contains(&format!("run/{id}")) && payload.contains("timeout"), "{payload}");
    }

    async fn fr_004_014_a_run_completes_although_its_end_cannot_be_audited(store) {
        let store = store.with_platform().await;
        started(&store, "policy.sync").await;
        let held = claim(&store, "w", &[]).await.unwrap();
        store.sql("alter table audit_logs rename to gone").await.unwrap();
        assert_eq!(complete(&store, &held, None).await.unwrap(), RunOutcome::Succeeded);
        store.sql("alter table gone rename to audit_logs").await.unwrap();
        assert_eq!(
            texts(&store, "select status || ' ' || outcome || ' ' || cast(audit_gaps as text) from operation_runs").await,
            ["completed succeeded 1"]
        );
        started(&store, "policy.sync").await;
        let held = claim(&store, "w", &[]).await.unwrap();
        complete(&store, &held, None).await.unwrap();
        assert_eq!(store.number(&format!("select audit_gaps from operation_runs where id = {}", held.id)).await, 0);
    }

    async fn fr_004_015_no_secret_of_a_failure_reaches_the_database(store) {
        let store = store.with_platform().await;
        started(&store, "policy.sync").await;
        let held = claim(&store, "w", &[]).await.unwrap();
        let canaries = [
            "Authorization: Bearer CANARYeyJabcdefghijkl0123456789",
            "password=CANARYhunter2hunter2",
            "postgres://svc:CANARYpw12345@db.internal/app",
            "https://graph.example/v1/users?token=CANARYquery123",
            "CANARYperson@customer.example is not allowed",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJDQU5BUlkifQ.CANARYsigsigsigsigsigsigsigsig",
            "-----BEGIN PRIVATE KEY-----\nCANARYMIIEvQIBADANBgkq\n-----END PRIVATE KEY-----",
        ];
        for canary in canaries {
            fail(&store, &held, ReasonCode::UnexpectedError, &format!("call failed: {canary}\n\u{1b}[31mred\u{202e}")).await.unwrap();
        }
        report(&store, &held, counts(1, 0, 1)).await.unwrap();
        complete(&store, &held, None).await.unwrap();
        let messages = texts(&store, "select message from operation_run_failures").await;
        assert_eq!(messages.len(), canaries.len());
        for message in &messages {
            assert!(message.contains("call failed"), "{message}");
            assert!(!message.contains(['\n', '\u{1b}', '\u{202e}']), "{message:?}");
        }
        let dump = dump(&store).await;
        assert!(dump.contains("call failed"), "the dump holds the messages");
        assert!(!dump.contains("CANARY"), "{dump}");
    }

    async fn fr_004_016_an_expired_lease_is_taken_over_and_a_live_one_is_not(store) {
        let store = store.with_platform().await;
        let id = started(&store, "policy.sync").await;
        let first = claim(&store, "w1", &[]).await.unwrap();
        assert_eq!(claim(&store, "w2", &[]).await, None);
        lapse(&store).await;
        let beat = ExtendLease { run_id: id, owner: "w1".to_owned(), lease: LEASE };
        assert!(store.ops.run(&Actor::System, beat.clone()).await.unwrap(), "nobody took it yet");
        assert_eq!(claim(&store, "w2", &[]).await, None, "the heartbeat renewed it");
        lapse(&store).await;
        let second = claim(&store, "w2", &[]).await.unwrap();
        assert_eq!((second.id, second.fence), (id, first.fence + 1));
        assert!(!store.ops.run(&Actor::System, beat).await.unwrap());
        assert_eq!(
            texts(&store, "select lease_owner || ' ' || cast(takeovers as text) from operation_runs").await,
            ["w2 1"]
        );
        complete(&store, &second, None).await.unwrap();
        assert_eq!(store.number("select count(*) from operation_run_leases").await, 0);
    }

    async fn fr_035_012_a_person_ends_or_pauses_the_run_of_a_lost_worker_at_once(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let by = |name: &'static str, id| (Consent::of(Given::Typed(format!("{name} {id}"))), id);
        let control = async |name: &'static str, id: i64| {
            let (consent, run_id) = by(name, id);
            match name {
                "CANCEL" => store.ops.run(&root.actor, CancelRun { run_id, consent }).await,
                _ => store.ops.run(&root.actor, PauseRun { run_id, consent }).await,
            }
        };
        let id = started(&store, "policy.sync").await;
        let first = claim(&store, "w1", &[]).await.unwrap();
        store.sql("update operation_run_targets set starts = 1, step_started_at = '2026-11-20T12:00:00+00:00'").await.unwrap();
        // While its lease lasts, its worker is asked; that worker is lost then.
        assert_eq!(control("PAUSE", id).await.unwrap(), Controlled::Requested);
        lapse(&store).await;
        assert_eq!(control("PAUSE", id).await.unwrap(), Controlled::Done);
        assert_eq!(report(&store, &first, counts(4, 1, 0)).await.unwrap_err().kind(), ErrorKind::Lost);
        let state = "select status || ' ' || case when paused_at is null then 'free' else 'paused' end from operation_runs";
        assert_eq!(texts(&store, state).await, ["queued paused"]);
        assert_eq!(store.number("select count(*) from operation_run_requests").await, 0);
        assert_eq!(store.number("select cast(sum(starts) as bigint) from operation_run_targets where step_started_at is null").await, 1, "the start stays counted");
        let (consent, run_id) = by("RESUME", id);
        store.ops.run(&root.actor, ResumeRun { run_id, consent }).await.unwrap();
        let second = claim(&store, "w2", &[]).await.unwrap();
        assert_eq!(control("CANCEL", id).await.unwrap(), Controlled::Requested);
        assert_eq!(control("CANCEL", id).await.unwrap(), Controlled::AlreadyRequested);
        lapse(&store).await;
        let facts = store.ops.run(&root.actor, GetRun { id }).await.unwrap();
        assert_eq!(facts.facts(store.ops.database_now().await.unwrap()).no_cancel(), None);
        assert_eq!(control("CANCEL", id).await.unwrap(), Controlled::Done);
        assert_eq!(texts(&store, "select status || ' ' || outcome from operation_runs").await, ["completed cancelled"]);
        assert_eq!(complete(&store, &second, None).await.unwrap_err().kind(), ErrorKind::Lost);
        assert_eq!(store.number("select count(*) from operation_run_leases").await, 0);
    }

    async fn fr_004_016_parallel_takeovers_have_one_winner(store) {
        let store = store.with_platform().await;
        started(&store, "policy.sync").await;
        claim(&store, "w0", &[]).await.unwrap();
        for round in 1..=10 {
            lapse(&store).await;
            let names: Vec<String> = (0..5).map(|n| format!("w{round}-{n}")).collect();
            let got = futures_util::future::join_all(names.iter().map(|name| claim(&store, name, &[]))).await;
            assert_eq!(got.iter().flatten().count(), 1, "round {round}");
            let winner = got.iter().flatten().next().unwrap();
            assert_eq!(winner.fence, round + 1);
            // A sign of progress, or the sixth takeover would close the run.
            let done = u64::try_from(round).unwrap();
            report(&store, winner, counts(100, done, 0)).await.unwrap();
        }
    }

    async fn fr_004_017_queued_for_long_is_stale_and_paused_never_is(store) {
        let store = store.with_platform().await;
        let reader = store.administrator().await;
        let id = started(&store, "policy.sync").await;
        let paused = started(&store, "inventory.sync").await;
        store.sql(&format!("update operation_runs set paused_at = created_at where id = {paused}")).await.unwrap();
        store.clock.advance(STALE_AFTER);
        assert_eq!(state_of(&store, &reader, id).await, RunState::Queued, "five minutes, not more");
        assert_eq!(store.ops.run(&reader.actor, CountRuns).await.unwrap().stale, 0);
        store.clock.advance(chrono::Duration::seconds(1));
        assert_eq!(state_of(&store, &reader, id).await, RunState::Stale);
        assert_eq!(state_of(&store, &reader, paused).await, RunState::Paused);
        assert_eq!(store.ops.run(&reader.actor, CountRuns).await.unwrap().stale, 1);
        // A paused run is not claimed; a stale one still is.
        assert_eq!(claim(&store, "w", &[]).await.unwrap().id, id);
        assert_eq!(claim(&store, "w", &[]).await, None);
        assert_eq!(state_of(&store, &reader, id).await, RunState::Running);
    }

    async fn fr_004_018_transitions_that_are_not_allowed_are_refused(store) {
        let store = store.with_platform().await;
        let id = started(&store, "policy.sync").await;
        let queued = Claimed {
            id,
            run_type: "policy.sync".to_owned(),
            fence: 0,
            tenant_id: Some(1),
            takeovers: 0,
            rollout: json!({}),
        };
        let missing = Claimed { id: 777, ..queued.clone() };
        for (held, kind) in [(&queued, ErrorKind::Lost), (&missing, ErrorKind::NotFound)] {
            assert_eq!(complete(&store, held, None).await.unwrap_err().kind(), kind, "queued -> completed");
            assert_eq!(fail(&store, held, ReasonCode::Timeout, "m").await.unwrap_err().kind(), kind);
            assert!(report(&store, held, counts(1, 1, 0)).await.is_err());
        }
        let held = claim(&store, "w", &[]).await.unwrap();
        complete(&store, &held, None).await.unwrap();
        let before = state(&store).await;
        assert!(report(&store, &held, counts(1, 1, 0)).await.is_err(), "completed -> running");
        assert!(fail(&store, &held, ReasonCode::Timeout, "m").await.is_err());
        assert_eq!(claim(&store, "w", &[]).await, None);
        lapse(&store).await;
        assert_eq!(claim(&store, "w", &[]).await, None, "completed -> running");
        assert_eq!(state(&store).await, before);
    }
}

/// Every text of every table, as one.
async fn dump(store: &Store) -> String {
    let tables = match store.engine {
        Engine::Postgres => "select tablename::text from pg_tables where schemaname = 'public'",
        Engine::Sqlite => {
            "select name from sqlite_master where type = 'table' and name <> '_sqlx_migrations'"
        }
    };
    let mut all = String::new();
    for table in texts(store, tables).await {
        let sql = match store.engine {
            Engine::Postgres => format!("select row_to_json(t)::text from \"{table}\" t"),
            Engine::Sqlite => {
                let names = format!("select name from pragma_table_info('{table}')");
                let columns: Vec<String> = texts(store, &names)
                    .await
                    .iter()
                    .map(|name| format!("coalesce(cast(\"{name}\" as text), '')"))
                    .collect();
                format!("select {} from \"{table}\"", columns.join(" || ' ' || "))
            }
        };
        all.push_str(&texts(store, &sql).await.join("\n"));
    }
    all
}
