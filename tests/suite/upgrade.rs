//! Databases of the previous schema version, kept as dumps, open and migrate: FR-033-007.

use std::path::PathBuf;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use tempfile::TempDir;
use tenantpilot::Clock;
use tenantpilot::access::{Actor, ClientKind};
use tenantpilot::domain::capability::{Capability, Role};
use tenantpilot::ops::auth::{Login, WhoAmI};
use tenantpilot::ops::runs::{GetRun, ListRuns, ResumeRun};
use tenantpilot::ops::users::ListUsers;
use tenantpilot::ops::{Create, Engine, Ops, OpsSettings};

use crate::support::postgres::fresh_postgres_database;
use crate::support::stores::{ORIGIN, PASSWORD, block_on};

/// The accounts of the dump, each with its preset, and those without one.
const ACCOUNTS: &[(&str, Option<Role>)] = &[
    ("second", Some(Role::Administrator)),
    ("operator", Some(Role::Operator)),
    ("oncall", Some(Role::OnCall)),
    ("viewer", Some(Role::Viewer)),
    ("restricted", Some(Role::Operator)),
    ("custom", None),
    ("manager", None),
];

fn dump(engine: Engine) -> String {
    let name = match engine {
        Engine::Postgres => "version_11.postgres.sql",
        Engine::Sqlite => "version_11.sqlite.sql",
    };
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/suite/fixtures").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// The newer capabilities, which no preset of before held.
const NEWER: &[Capability] = &[
    Capability::RunbooksPublish,
    Capability::SchedulesManage,
    Capability::ApprovalsDecide,
    Capability::SettingsManage,
    Capability::TenantsManage,
];

async fn upgraded(ops: &Ops) {
    ops.migrate().await.unwrap();
    ops.require_current_schema().await.unwrap();
    let anonymous = Actor::Anonymous { origin: ORIGIN.to_owned() };
    let mut whole = 0;
    for (name, preset) in ACCOUNTS {
        let login = Login::new(name, PASSWORD, ClientKind::Console);
        let session = ops.run(&anonymous, login).await.unwrap().0;
        let held = ops.run(&session.actor, WhoAmI).await.unwrap().session.capabilities;
        let before = |capability: &Capability| !NEWER.contains(capability);
        match preset {
            Some(Role::Administrator) => assert_eq!(held, Role::Administrator.capabilities()),
            Some(role) => assert_eq!(held, role.capabilities().iter().filter(before).collect()),
            None => assert!(held.iter().all(|held| before(&held)), "{name}"),
        }
        if held.has(Capability::OpsView) {
            let page = ops
                .run(&session.actor, ListRuns { limit: 200, ..ListRuns::default() })
                .await
                .unwrap();
            let seen = page.runs.len();
            whole = whole.max(seen);
            let restricted = *name == "restricted";
            assert_eq!(seen < whole, restricted, "{name} sees {seen} of {whole} runs");
            assert!(seen > 0, "{name} sees no run");
        }
        if held.has(Capability::UsersManage) {
            assert!(ops.run(&session.actor, ListUsers).await.unwrap().len() >= ACCOUNTS.len());
        }
        if held.has(Capability::OpsManage) && *name != "restricted" {
            // The run that was paused before the upgrade is paused still, and can go on.
            let run = ops.run(&session.actor, GetRun { id: 61 }).await.unwrap();
            if run.run.paused_at.is_some() {
                ops.run(
                    &session.actor,
                    ResumeRun { run_id: 61, consent: crate::support::starts::sure("RESUME", 61) },
                )
                .await
                .unwrap();
            }
        }
    }
}

#[test]
fn fr_033_007_a_database_of_the_previous_version_opens_on_postgres() {
    block_on(async {
        let (url, _guard) = fresh_postgres_database().await;
        let mut connection = PgConnection::connect(&url).await.unwrap();
        connection.execute(AssertSqlSafe(dump(Engine::Postgres))).await.unwrap();
        connection.close().await.unwrap();
        let ops = Ops::open(&url, Create::Never, Clock::system(), patient()).unwrap();
        upgraded(&ops).await;
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let count = |sql: &'static str| sqlx::query_scalar::<_, i64>(sql);
        kept(&[
            count(RUNS).fetch_one(&mut connection).await.unwrap(),
            count(LABEL).fetch_one(&mut connection).await.unwrap(),
            count(ADMINISTRATORS).fetch_one(&mut connection).await.unwrap(),
        ]);
        ops.close().await;
    });
}

#[test]
fn fr_033_007_a_database_of_the_previous_version_opens_on_sqlite() {
    block_on(async {
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite://{}", folder.path().join("old.db").display());
        tenantpilot::files::create_new(&folder.path().join("old.db")).unwrap();
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        connection.execute(AssertSqlSafe(dump(Engine::Sqlite))).await.unwrap();
        connection.close().await.unwrap();
        let ops = Ops::open(&url, Create::Never, Clock::system(), patient()).unwrap();
        upgraded(&ops).await;
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        let count = |sql: &'static str| sqlx::query_scalar::<_, i64>(sql);
        kept(&[
            count(RUNS).fetch_one(&mut connection).await.unwrap(),
            count(LABEL).fetch_one(&mut connection).await.unwrap(),
            count(ADMINISTRATORS).fetch_one(&mut connection).await.unwrap(),
        ]);
        ops.close().await;
    });
}

fn patient() -> OpsSettings {
    OpsSettings { patience: std::time::Duration::from_secs(60), ..OpsSettings::default() }
}

const RUNS: &str = "select count(*) from operation_runs";
const LABEL: &str =
    "select count(*) from platform_settings where key = 'environment.label' and value = 'SEED'";
const ADMINISTRATORS: &str = "select count(*) from platform_users where cast(capabilities as text) like '%platform.settings.manage%'";

fn kept(counts: &[i64]) {
    let [runs, label, administrators] = counts else { panic!("three counts") };
    assert_eq!((*runs, *label), (62, 1));
    // The seed's administrator and the second one; nobody else was given more.
    assert_eq!(*administrators, 2);
}
