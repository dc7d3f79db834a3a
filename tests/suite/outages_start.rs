//! A worker that is started before its database can be used.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use sqlx::{Connection as _, Executor as _};
use tempfile::TempDir;
use tenantpilot::ops::{Create, Engine, Ops, OpsSettings};
use tenantpilot::worker::WorkerEvent;

use crate::outages::{ONE, back, lost, until_told};
use crate::support::postgres::{administer, fresh_postgres_database};
use crate::support::stores::both_engines;
use crate::worker::{Running, ops_settings};

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
                let told = until_told(&mut worker, lost).await;
                assert!(told[0].to_string().contains("does not exist"), "{told:?}");
                administer(&format!("create database {name} template template0")).await;
                worker
            }
            Engine::Sqlite => {
                let mut other = sqlx::SqliteConnection::connect(&url).await.unwrap();
                other.execute("begin exclusive").await.unwrap();
                let mut worker = start();
                let told = until_told(&mut worker, lost).await;
                assert!(told[0].to_string().contains("lock"), "{told:?}");
                other.execute("rollback").await.unwrap();
                other.close().await.unwrap();
                worker
            }
        };
        let told = until_told(&mut worker, lost).await;
        assert!(told[0].to_string().contains("no TenantPilot schema yet"), "{told:?}");
        migrate().await;
        until_told(&mut worker, |event| matches!(event, WorkerEvent::Ready { .. })).await;
        until_told(&mut worker, back).await;
        worker.stop().await;
    }
}
