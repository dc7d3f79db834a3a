//! A pooler between the program and the server (specs/046-few-round-trips).

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::geteuid;
use sqlx::Connection as _;
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use tenantpilot::ErrorKind;
use tenantpilot::ops::runs::ListRuns;
use tenantpilot::ops::{Create, Engine, Ops, OpsSettings};

use crate::cli::Person;
use crate::support::stores::{Store, block_on};

/// PgBouncer as its package configures it, but for where it listens and leads to.
struct Pooler {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Pooler {
    fn start(url: &str, mode: &str) -> Self {
        Self::of(url, mode, "*")
    }

    /// One that leads to `databases` only.
    fn of(url: &str, mode: &str, databases: &str) -> Self {
        let (before, rest) = url.rsplit_once('@').unwrap();
        let (user, password) = before.rsplit_once('/').unwrap().1.split_once(':').unwrap();
        let (host, server_port) = rest.split_once('/').unwrap().0.split_once(':').unwrap();
        let folder = TempDir::new().unwrap();
        // It runs as another account where the tests run as root.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (settings, users) = (folder.path().join("settings"), folder.path().join("users"));
        fs::write(&users, format!("\"{user}\" \"{password}\"\n")).unwrap();
        let text = format!(
            "[databases]\n{databases} = host={host} port={server_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nauth_file = {}\npool_mode = {mode}\ndefault_pool_size = 3\n\
             unix_socket_dir =\n",
            users.display()
        );
        fs::write(&settings, text).unwrap();
        let mut command = Command::new("pgbouncer");
        if geteuid().is_root() {
            command.args(["-u", "postgres"]);
        }
        let process = command
            .arg(&settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pgbouncer, which tests/run installs");
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(10), "the pooler does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { process, port, _folder: folder }
    }

    fn url(&self, url: &str) -> String {
        let (before, rest) = url.rsplit_once('@').unwrap();
        format!("{before}@127.0.0.1:{}/{}", self.port, rest.split_once('/').unwrap().1)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn eight_at_once(mode: &str) {
    let (store, run) = block_on(async {
        let store = Store::new(Engine::Postgres).await.with_scene().await;
        let run = store.ended("policy.sync", 1, 4, 4, 5).await.to_string();
        store.legacy_findings(&[1], 1).await;
        (store, run)
    });
    let pooler = Pooler::start(&store.url, mode);
    let admin = Person::administrator(&pooler.url(&store.url));
    for name in 0..8 {
        admin.create(&format!("eva{name}"), &["--role", "administrator"]).ends(0);
    }
    std::thread::scope(|scope| {
        for name in 0..8 {
            let (url, run) = (admin.url(), run.as_str());
            scope.spawn(move || {
                let eva = Person::at(url);
                eva.login(&format!("eva{name}")).ends(0);
                for arguments in [
                    &["runs", "list", "--status", "failed", "--since", "24h"][..],
                    &["runs", "show", run],
                    &["overview"],
                    &["failures", "list"],
                    &["notifications", "list"],
                    &["support", "list"],
                    &[
                        "runbooks",
                        "start",
                        "findings.lifecycle_backfill",
                        "--tenant",
                        "1",
                        "--dry-run",
                    ],
                    &["whoami"],
                    &["logout"],
                ] {
                    let done = eva.run(arguments);
                    // A start says that no worker would take it.
                    let refused = arguments[0] == "runbooks" && done.code == 5;
                    assert!(done.code == 0 || refused, "{mode} {arguments:?}: {done:?}");
                }
                // Without a session the schema is looked at first.
                eva.run(&["runs", "list"]).ends(4);
                eva.run(&["info"]).ends(0);
            });
        }
    });
    admin.run(&["users", "disable", "eva0", "--confirm", "eva0"]).ends(0);
    let disabled = block_on(store.number("select count(*) from platform_users where not active"));
    assert_eq!(disabled, 1);
}

#[test]
fn fr_046_004_eight_commands_share_three_connections_of_a_pooler_by_transaction() {
    eight_at_once("transaction");
}

#[test]
fn fr_046_004_eight_commands_share_three_connections_of_a_pooler_by_session() {
    eight_at_once("session");
}

#[test]
fn fr_046_004_migrating_and_a_worker_say_that_they_need_a_direct_connection() {
    let store = block_on(Store::new(Engine::Postgres));
    let refused = |url: &str| {
        let person = Person::at(url);
        [&["migrate"][..], &["worker"]].map(|arguments| {
            let done = person.run(arguments);
            assert!(done.code != 0, "{done:?}");
            done.err
        })
    };
    let pooler = Pooler::start(&store.url, "transaction");
    for told in refused(&pooler.url(&store.url)) {
        assert!(told.contains("a pooler in transaction mode"), "{told}");
        assert!(told.contains("needs a direct connection, or a pooler in session mode"), "{told}");
    }
    let pooler = Pooler::start(&store.url, "session");
    Person::at(&pooler.url(&store.url)).run(&["migrate"]).ends(0);
}

#[test]
fn fr_046_004_nothing_listens_on_a_connection_of_a_pooler_by_transaction() {
    let (store, session) = block_on(async {
        let store = Store::new(Engine::Postgres).await.with_scene().await;
        let session = store.administrator().await;
        (store, session)
    });
    let open = |url: &str| {
        Ops::open(url, Create::Never, store.clock.clone(), OpsSettings::default()).unwrap()
    };
    let watches = |url: &str| block_on(async { open(url).watch().await.err() });
    let direct = watches(&store.url);
    assert!(direct.is_none(), "{direct:?}");
    for mode in ["session", "transaction"] {
        let pooler = Pooler::start(&store.url, mode);
        let url = pooler.url(&store.url);
        for _ in 0..3 {
            let refused = watches(&url).is_some_and(|error| error.kind() == ErrorKind::Refused);
            assert_eq!(refused, mode == "transaction", "{mode}");
        }
        // A client that is gone listened all the same, and something is told on its connections.
        let ops = open(&url);
        block_on(async {
            for _ in 0..3 {
                let options: PgConnectOptions = url.parse().unwrap();
                let options = options.extra_float_digits(None);
                let mut client = sqlx::PgConnection::connect_with(&options).await.unwrap();
                sqlx::raw_sql("listen told").execute(&mut client).await.unwrap();
                client.close().await.unwrap();
            }
            for _ in 0..20 {
                ops.snapshot(Some("told")).await.unwrap();
                ops.run(&session.actor, ListRuns::default()).await.unwrap();
                ops.snapshot(None).await.unwrap();
            }
        });
    }
}

#[test]
fn fr_043_007_a_database_that_a_pooler_does_not_know_is_said_to_be_missing() {
    let store = block_on(Store::new(Engine::Postgres));
    let pooler = Pooler::of(&store.url, "transaction", "another");
    let done = Person::at(&pooler.url(&store.url)).run(&["runs", "list"]).ends(7);
    assert!(done.err.contains("the database named in the URL does not exist"), "{done:?}");
}
