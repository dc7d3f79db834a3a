//! Opening a database: what can be used, and how it is said what cannot.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use sqlx::{Connection, Executor, Row, SqliteConnection};
use tempfile::TempDir;
use tenantpilot::access::Actor;
use tenantpilot::domain::run::Source;
use tenantpilot::ops::runs::StartRun;
use tenantpilot::ops::{Create, Ops, OpsSettings};
use tenantpilot::{Clock, Error, ErrorKind};

use crate::support::copy_program;
use crate::support::postgres::{administer, postgres_database_from, postgres_url, with_database};
use crate::support::stores::block_on;

fn open(url: &str, create: Create) -> Result<Ops, Error> {
    Ops::open(url, create, Clock::system(), OpsSettings::default())
}

async fn use_it(url: &str) -> Error {
    match open(url, Create::Never) {
        Ok(ops) => ops.schema_state().await.unwrap_err(),
        Err(error) => error,
    }
}

/// Two processes, as far as the database can tell, bring an empty database up at once.
async fn migrate_twice_at_once(url: &str) {
    let services: Vec<Ops> = (0..4).map(|_| open(url, Create::IfMissing).unwrap()).collect();
    let done = futures_util::future::join_all(services.iter().map(Ops::migrate)).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    for ops in services {
        ops.require_current_schema().await.unwrap();
        ops.close().await;
    }
}

#[test]
fn fr_002_007_several_may_migrate_an_empty_database_at_once() {
    block_on(async {
        for _ in 0..5 {
            let folder = TempDir::new().unwrap();
            migrate_twice_at_once(&format!("sqlite://{}/new/p.db", folder.path().display())).await;
            let (url, _guard) = postgres_database_from("template0").await;
            migrate_twice_at_once(&url).await;
        }
    });
}

#[test]
fn fr_002_008_a_postgresql_that_cannot_be_used_is_explained_without_its_secrets() {
    block_on(async {
        let (url, _guard) = postgres_database_from("template0").await;
        let server = url.split_once('@').unwrap().1;
        let (address, database) = server.split_once('/').unwrap();
        let name = format!("tp_{}", uuid::Uuid::new_v4().simple());
        administer(&format!("create role {name} login password 'right-secret'")).await;
        let cases = [
            (format!("postgres://{name}:wrong-secret@{server}"), "name or password"),
            (
                format!("postgres://{name}:right-secret@{address}/no_such_database_{name}"),
                "does not exist",
            ),
            (format!("postgres://{name}:right-secret@127.0.0.1:1/{database}"), "database"),
            (format!("postgres://{name}:right-secret@no-such-host.invalid/{database}"), "database"),
        ];
        for (url, words) in cases {
            let error = use_it(&url).await;
            assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
            assert_eq!(error.exit_code(), 7);
            let text = format!("{error} {error:?}");
            assert!(text.contains(words), "{text} should say {words}");
            for secret in ["secret", &name, "127.0.0.1", "invalid", "postgres://"] {
                assert!(!text.contains(secret), "{text}");
            }
        }
        // Without the right to see the tables, it says so.
        let ops = open(&url, Create::Never).unwrap();
        ops.migrate().await.unwrap();
        ops.close().await;
        let error = use_it(&format!("postgres://{name}:right-secret@{server}")).await;
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        administer(&format!("drop role {name}")).await;
    });
}

#[test]
fn fr_002_008_a_sqlite_file_that_cannot_be_used_is_explained() {
    block_on(async {
        let folder = TempDir::new().unwrap();
        let at = |name: &str| format!("sqlite://{}/{name}", folder.path().display());
        let missing = use_it(&at("missing.db")).await;
        assert_eq!(missing.kind(), ErrorKind::Unreachable);
        assert!(missing.to_string().contains("there is no database at"), "{missing}");
        assert!(missing.to_string().contains("tenantpilot migrate"), "{missing}");
        assert!(!folder.path().join("missing.db").exists());

        let letter = "Dear Sir or Madam, ".repeat(200);
        tenantpilot::files::write_private(&folder.path().join("letter.db"), letter.as_bytes())
            .unwrap();
        let other = use_it(&at("letter.db")).await;
        assert_eq!(other.kind(), ErrorKind::Failed);
        assert!(other.message().contains("not a usable"), "{other}");

        std::fs::create_dir(folder.path().join("folder.db")).unwrap();
        let folder_error = use_it(&at("folder.db")).await;
        assert!(folder_error.message().contains("it is a directory"), "{folder_error}");
    });
}

#[test]
fn fr_002_008_a_read_only_sqlite_file_is_explained() {
    const FILE: &str = "TENANTPILOT_TEST_READ_ONLY_FILE";
    if let Ok(path) = std::env::var(FILE) {
        block_on(async {
            let ops = open(&format!("sqlite://{path}"), Create::Never).unwrap();
            let error = match ops.schema_state().await {
                Err(error) => error,
                Ok(_) => ops
                    .run(&Actor::System, StartRun::for_tenant("policy.sync", 1, Source::Admin))
                    .await
                    .unwrap_err(),
            };
            assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
            assert!(error.message().contains("read-only"), "{error}");
        });
        return;
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("p.db");
    block_on(async {
        let ops = open(&format!("sqlite://{}", path.display()), Create::IfMissing).unwrap();
        ops.migrate().await.unwrap();
        ops.close().await;
    });
    // Whoever owns everything is never refused, so somebody else has to try.
    let program = folder.path().join("suite");
    copy_program(&std::env::current_exe().unwrap(), &program);
    for (file, mode) in [(folder.path(), 0o755), (&path, 0o400), (&program, 0o755)] {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let mut command = Command::new(&program);
    command
        .args(["--exact", "database_opening::fr_002_008_a_read_only_sqlite_file_is_explained"])
        .env(FILE, &path);
    if std::fs::metadata(folder.path()).unwrap().uid() == 0 {
        std::os::unix::fs::chown(&path, Some(65534), Some(65534)).unwrap();
        command.uid(65534).gid(65534);
    } else {
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    }
    let output = command.output().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said} {}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "{said}");
}

#[test]
fn fr_002_009_an_embedded_database_is_private_durable_and_keeps_its_references() {
    block_on(async {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("deep/er/p.db");
        let url = format!("sqlite://{}", path.display());
        let ops = open(&url, Create::IfMissing).unwrap();
        ops.migrate().await.unwrap();
        for name in ["p.db", "p.db-wal", "p.db-shm"] {
            let mode = std::fs::metadata(path.with_file_name(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        let mode: String = connection.fetch_one("pragma journal_mode").await.unwrap().get(0);
        assert_eq!(mode, "wal");
        ops.close().await;
    });
}

#[test]
fn fr_002_010_only_the_two_forms_of_a_database_url_are_understood() {
    for url in [
        "",
        "mysql://a:secret@b/c",
        "/var/lib/p.db",
        "sqlite://",
        "sqlite:p.db",
        "postgres://[::broken:secret",
    ] {
        let error = open(url, Create::IfMissing).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{url}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    assert!(with_database(&postgres_url(), "x").starts_with("postgres://"));
}
