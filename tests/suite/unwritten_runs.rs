//! A run that the database does not write: each refusal says so, and what to do.

use serde_json::json;
use tenantpilot::Error;
use tenantpilot::access::Actor;
use tenantpilot::domain::run::Source;
use tenantpilot::ops::auth::Session;
use tenantpilot::ops::runs::{
    CancelRun, CloseRun, PauseRun, ResumeRun, RetryRun, RunScope, StartRun,
};
use tenantpilot::ops::{Consent, Engine, Ops};

use crate::grants::Role;
use crate::support::starts::{Wish, again, sure};
use crate::support::stores::{Store, block_on, both_engines};

const UNWRITTEN: &str = "the run could not be written, so nothing was done";

/// Runs to change: one that is queued, one that is paused, one that failed.
struct Runs {
    queued: i64,
    paused: i64,
    failed: i64,
}

impl Runs {
    async fn of(store: &Store, admin: &Session) -> Self {
        store.legacy_findings(&[1], 2).await;
        let failed = store.ended("backup.snapshot", 1, 1, 1, 1).await;
        let paused = store.start("policy.sync", 2).await;
        let pause = PauseRun { run_id: paused, consent: Consent::yes() };
        store.ops.run(&admin.actor, pause).await.unwrap();
        Self { queued: store.start("policy.sync", 1).await, paused, failed }
    }

    /// What each change says.
    async fn refusals(&self, ops: &Ops, admin: &Session) -> Vec<(&'static str, Error)> {
        let (actor, run_id) = (&admin.actor, self.queued);
        let retry = RetryRun {
            run_id: self.failed,
            consent: again(1),
            source: Source::Cli,
            request_id: None,
            wait_for_worker: true,
        };
        let wish = Wish::new("findings.lifecycle_backfill", RunScope::Tenant(1));
        let customers = StartRun {
            inputs: json!({ "n": 1 }),
            ..StartRun::for_tenant("policy.sync", 1, Source::Admin)
        };
        vec![
            ("start", wish.begin(ops, actor).await.unwrap_err()),
            (
                "start of a customer",
                ops.run(&Actor::Customer { user_id: 1 }, customers).await.unwrap_err(),
            ),
            ("retry", ops.run(actor, retry).await.unwrap_err()),
            (
                "cancel",
                ops.run(actor, CancelRun { run_id, consent: sure("CANCEL", run_id) })
                    .await
                    .unwrap_err(),
            ),
            (
                "pause",
                ops.run(actor, PauseRun { run_id, consent: Consent::yes() }).await.unwrap_err(),
            ),
            (
                "resume",
                ops.run(actor, ResumeRun { run_id: self.paused, consent: Consent::yes() })
                    .await
                    .unwrap_err(),
            ),
            (
                "close",
                ops.run(actor, CloseRun { run_id, consent: sure("CLOSE", run_id) })
                    .await
                    .unwrap_err(),
            ),
        ]
    }
}

both_engines! {
    async fn fr_037_022_a_refusal_for_want_of_its_run_says_so(store) {
        let store = store.with_platform().await.with_demo_worker().await;
        let admin = store.administrator().await;
        let runs = Runs::of(&store, &admin).await;
        for (code, help) in [("53100", "free space"), ("P0001", "a rule or a trigger of the database")] {
            for event in ["insert", "update"] {
                let (make, gone) = match store.engine {
                    Engine::Postgres => (
                        format!(
                            "create or replace function no() returns trigger language plpgsql as \
                             $$ begin raise exception 'no' using errcode = '{code}'; end $$; \
                             create trigger no_{event} before {event} on operation_runs for each row execute function no()"
                        ),
                        format!("drop trigger no_{event} on operation_runs"),
                    ),
                    Engine::Sqlite if code == "53100" => continue,
                    Engine::Sqlite => (
                        format!(
                            "create trigger no_{event} before {event} on operation_runs begin select raise(abort, 'no'); end"
                        ),
                        format!("drop trigger no_{event}"),
                    ),
                };
                store.sql(&make).await.unwrap();
                if event == "insert" {
                    continue;
                }
                for (what, error) in runs.refusals(&store.ops, &admin).await {
                    assert_eq!(error.message(), UNWRITTEN, "{what}: {error}");
                    assert!(error.next_step().unwrap().contains(help), "{what}: {error}");
                    assert!(error.fault().is_some() && !error.is_refusal(), "{what}");
                }
                store.sql(&gone).await.unwrap();
                store.sql(&gone.replace("update", "insert")).await.unwrap();
            }
        }
        let kept = "select count(*) from operation_runs where status = 'queued'";
        assert_eq!(store.number(kept).await, 2);
    }
}

#[test]
fn fr_037_022_a_run_that_a_role_may_not_write_names_the_grant() {
    block_on(async {
        let store =
            Store::new(Engine::Postgres).await.with_platform().await.with_demo_worker().await;
        let admin = store.administrator().await;
        let runs = Runs::of(&store, &admin).await;
        let role = Role::with_all(&store).await;
        let ops = role.ops(&store);
        store
            .sql(&format!("revoke insert, update on operation_runs from {}", role.name))
            .await
            .unwrap();
        for (what, error) in runs.refusals(&ops, &admin).await {
            let named = "the database role may not use the table operation_runs";
            assert_eq!(error.message(), named, "{what}");
            let hint = error.next_step().unwrap();
            assert!(hint.starts_with("as its owner: grant "), "{what}: {hint}");
            assert!(hint.ends_with(&format!("on operation_runs to {}", role.name)), "{hint}");
        }
        ops.close().await;
        role.drop(&store).await;
    });
}
