//! A worker that is started before its database can be used.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::json;
use sqlx::{Connection as _, Executor as _};
use tempfile::TempDir;
use tenantpilot::domain::rollout::Rollout;
use tenantpilot::ops::runs::RunScope;
use tenantpilot::ops::{Create, Engine, Ops, OpsSettings};
use tenantpilot::worker::{WorkerEvent, WorkerSettings};

use crate::outages::{ONE, back, lost, until_told};
use crate::support::postgres::{administer, fresh_postgres_database};
use crate::support::stores::both_engines;
use crate::worker::{Running, ops_settings, settings};

fn ready(event: &WorkerEvent) -> bool {
    matches!(event, WorkerEvent::Ready { .. })
}

/// Why, on a machine without time, may be first that nothing was answered.
fn lost_for(why: &str) -> impl Fn(&WorkerEvent) -> bool {
    move |event| lost(event) && event.to_string().contains(why)
}

fn is_lost(event: &WorkerEvent) -> bool {
    matches!(event, WorkerEvent::Lost { .. })
}

both_engines! {
    async fn fr_037_020_a_worker_waits_for_its_database_to_be_made_and_migrated(store) {
        // One that is there already is refused at once.
        let (url, _guard) = match store.engine {
            Engine::Postgres => {
                let (url, guard) = fresh_postgres_database().await;
                (url, (Some(guard), None))
            }
            Engine::Sqlite => {
                let folder = TempDir::new().unwrap();
                let path = folder.path().join("new.db");
                std::fs::write(&path, "").unwrap();
                std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
                (format!("sqlite://{}", path.display()), (None, Some(folder)))
            }
        };
        let start = || Running::at(&url, &store.clock, ONE.settings(), &ops_settings());
        let error = start().task.await.unwrap().unwrap_err();
        assert_eq!((error.exit_code(), error.message()), (5, "the database has no TenantPilot schema yet"));
        let migrate = async || {
            let ops = Ops::open(&url, Create::IfMissing, store.clock.clone(), OpsSettings::default()).unwrap();
            ops.migrate().await.unwrap();
            ops.close().await;
        };
        let mut worker = match store.engine {
            Engine::Postgres => {
                let name = url.rsplit_once('/').unwrap().1.to_owned();
                administer(&format!("drop database {name} with (force)")).await;
                let mut worker = start();
                until_told(&mut worker, lost_for("does not exist")).await;
                administer(&format!("create database {name} template template0")).await;
                worker
            }
            Engine::Sqlite => {
                let mut other = sqlx::SqliteConnection::connect(&url).await.unwrap();
                other.execute("begin exclusive").await.unwrap();
                let mut worker = start();
                until_told(&mut worker, lost_for("lock")).await;
                other.execute("rollback").await.unwrap();
                other.close().await.unwrap();
                worker
            }
        };
        until_told(&mut worker, lost_for("no TenantPilot schema yet")).await;
        migrate().await;
        until_told(&mut worker, back).await;
        until_told(&mut worker, ready).await;
        worker.stop().await;
    }

    async fn fr_037_020_a_worker_is_ready_only_once_its_first_heartbeat_is_written(store) {
        let store = store.with_platform().await;
        let name = match store.engine {
            Engine::Postgres => store.text("select current_database()::text").await,
            Engine::Sqlite => String::new(),
        };
        let mut other = None;
        let start = || Running::start(&store, ONE.settings());
        let read_only = |on: &str| format!("alter database {name} set default_transaction_read_only = {on}");
        match store.engine {
            Engine::Postgres => administer(&read_only("on")).await,
            Engine::Sqlite => {
                let mut session = sqlx::SqliteConnection::connect(&store.url).await.unwrap();
                session.execute("begin immediate").await.unwrap();
                other = Some(session);
            }
        }
        let mut worker = start();
        let mut told = until_told(&mut worker, lost).await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        while let Ok(event) = worker.events.try_recv() {
            told.push(event);
        }
        assert_eq!(told.len(), 1, "told once, and nothing else: {told:?}");
        match other {
            None => {
                administer(&read_only("off")).await;
                administer(&format!(
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
                ))
                .await;
            }
            Some(mut session) => {
                session.execute("rollback").await.unwrap();
            }
        }
        let told = until_told(&mut worker, ready).await;
        assert!(told.iter().any(back), "{told:?}");
        worker.stop().await;
    }

    async fn fr_013_018_a_worker_says_of_a_run_that_an_outage_cost_it_that_it_goes_on_with_it(store) {
        let store = store.with_platform().await.with_ledger().await;
        let id = store.probe(RunScope::All, json!({ "steps": 200, "pause_ms": 5 }), Rollout::default()).await;
        let short = WorkerSettings {
            lease: Duration::from_millis(900), heartbeat: Duration::from_millis(300), slots: 1, ..settings()
        };
        let mut worker = Running::start(&store, short);
        store.until(id, "under way", |d| d.targets.iter().any(|target| target.starts > 0)).await;
        // Until its lease has run out.
        let goes_on = match store.engine {
            Engine::Postgres => {
                let mut other = sqlx::PgConnection::connect(&store.url).await.unwrap();
                other.execute("begin").await.unwrap();
                other.execute("lock table operation_run_leases in exclusive mode").await.unwrap();
                let told = until_told(&mut worker, is_lost).await;
                other.execute("rollback").await.unwrap();
                told
            }
            Engine::Sqlite => {
                let mut other = sqlx::SqliteConnection::connect(&store.url).await.unwrap();
                other.execute("pragma busy_timeout = 10000").await.unwrap();
                other.execute("begin immediate").await.unwrap();
                let told = until_told(&mut worker, is_lost).await;
                other.execute("rollback").await.unwrap();
                told
            }
        };
        assert!(goes_on.last().unwrap().to_string().contains("any worker can claim it"), "{goes_on:?}");
        let again = |event: &WorkerEvent| matches!(event, WorkerEvent::GoesOn { .. } | WorkerEvent::Claimed { .. });
        let told = until_told(&mut worker, again).await;
        let said = told.last().unwrap().to_string();
        assert_eq!(said, format!("run {id} goes on after an outage: testing.probe"));
        worker.stop().await;
    }
}
