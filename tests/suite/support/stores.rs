//! A migrated database of either engine for one test, with a service on a fixed clock.

use std::future::Future;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use chrono::{DateTime, TimeZone, Utc};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqliteConnection};
use tempfile::TempDir;
use tenantpilot::Clock;
use tenantpilot::access::{Actor, ClientKind};
use tenantpilot::domain::capability::{CapabilitySet, Role};
use tenantpilot::ops::Consent;
use tenantpilot::ops::auth::{Login, Session};
use tenantpilot::ops::users::{CreateFirstAdministrator, CreateUser, NewPlatformUser, UserView};
use tenantpilot::ops::{Create, Engine, Ops, OpsSettings, password};

use super::postgres::{DatabaseGuard, postgres_database_from, postgres_url, with_database};

/// The password of every account that the fixtures make.
pub const PASSWORD: &str = "correct horse battery";
/// The origin that the fixtures log in from.
pub const ORIGIN: &str = "local:test";

/// One database of one test.
pub struct Store {
    /// The service.
    pub ops: Ops,
    /// Its clock, which stands still until it is moved.
    pub clock: Clock,
    /// Which engine.
    pub engine: Engine,
    /// The database's URL.
    pub url: String,
    _guard: Guard,
}

enum Guard {
    Postgres { _database: DatabaseGuard },
    Sqlite { _folder: TempDir },
}

/// The moment at which the fixtures' clocks stand.
pub fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 20, 12, 0, 0).unwrap()
}

impl Store {
    /// A migrated, empty platform database.
    pub async fn new(engine: Engine) -> Self {
        Self::with_clock(engine, Clock::fixed(noon())).await
    }

    /// A migrated, empty platform database, and a service with this clock.
    pub async fn with_clock(engine: Engine, clock: Clock) -> Self {
        let (url, guard) = match engine {
            Engine::Postgres => {
                let (url, database) = postgres_database_from(postgres_template()).await;
                (url, Guard::Postgres { _database: database })
            }
            Engine::Sqlite => {
                let folder = TempDir::new().unwrap();
                let path = folder.path().join("platform.db");
                std::fs::copy(sqlite_template(), &path).unwrap();
                (format!("sqlite://{}", path.display()), Guard::Sqlite { _folder: folder })
            }
        };
        // Tests share two cores: patience there is not what is under test here.
        let settings = OpsSettings { patience: Duration::from_secs(60), ..OpsSettings::default() };
        let ops = Ops::open(&url, Create::Never, clock.clone(), settings).unwrap();
        Self { ops, clock, engine, url, _guard: guard }
    }

    /// The same database through another service: another process, as far as it can tell.
    pub fn another(&self, settings: OpsSettings) -> Ops {
        Ops::open(&self.url, Create::Never, self.clock.clone(), settings).unwrap()
    }

    /// The same database through a process whose machine's clock is wrong by `by`.
    pub fn shifted(&self, by: chrono::Duration) -> Ops {
        let settings = OpsSettings { patience: Duration::from_secs(60), ..OpsSettings::default() };
        Ops::open(&self.url, Create::Never, Clock::shifted(by), settings).unwrap()
    }

    /// Runs SQL past the program, as the database's owner would.
    pub async fn sql(&self, text: &str) -> Result<u64, sqlx::Error> {
        match self.engine {
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.unwrap();
                let done = connection.execute(AssertSqlSafe(text.to_owned())).await;
                connection.close().await.unwrap();
                done.map(|done| done.rows_affected())
            }
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
                connection.execute("pragma busy_timeout = 10000").await.unwrap();
                let done = connection.execute(AssertSqlSafe(text.to_owned())).await;
                connection.close().await.unwrap();
                done.map(|done| done.rows_affected())
            }
        }
    }

    /// One number, past the program.
    pub async fn number(&self, text: &str) -> i64 {
        match self.engine {
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.unwrap();
                connection.fetch_one(AssertSqlSafe(text.to_owned())).await.unwrap().get(0)
            }
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
                connection.fetch_one(AssertSqlSafe(text.to_owned())).await.unwrap().get(0)
            }
        }
    }

    /// One text, past the program.
    pub async fn text(&self, text: &str) -> String {
        match self.engine {
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.unwrap();
                connection.fetch_one(AssertSqlSafe(text.to_owned())).await.unwrap().get(0)
            }
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
                connection.fetch_one(AssertSqlSafe(text.to_owned())).await.unwrap().get(0)
            }
        }
    }

    /// A small platform: two workspaces, each with two tenants and one customer; tenant 9
    /// is the platform's own, tenant 8 is archived.
    pub async fn with_platform(self) -> Self {
        let now = "2026-11-01T00:00:00+00:00";
        for text in [
            format!(
                "insert into workspaces (id, name, created_at) values (1, 'Contoso', '{now}'), (2, 'Fabrikam', '{now}')"
            ),
            format!(
                "insert into tenants (id, workspace_id, name, is_platform, created_at, archived_at) values \
                 (1, 1, 'Contoso DE', false, '{now}', null), (2, 1, 'Contoso FR', false, '{now}', null), \
                 (3, 2, 'Fabrikam', false, '{now}', null), (4, 2, 'Fabrikam Labs', false, '{now}', null), \
                 (8, 2, 'Fabrikam Old', false, '{now}', '{now}'), (9, 1, 'Platform', true, '{now}', null)"
            ),
            format!(
                "insert into users (id, workspace_id, email, name, created_at) values \
                 (1, 1, 'm.lang@contoso.example', 'm.lang', '{now}'), \
                 (2, 2, 'r.diaz@fabrikam.example', 'r.diaz', '{now}')"
            ),
        ] {
            self.sql(&text).await.unwrap();
        }
        self
    }

    /// Makes the first administrator and logs in as them.
    pub async fn administrator(&self) -> Session {
        let origin = ORIGIN.to_owned();
        let first = CreateFirstAdministrator {
            username: "administrator".to_owned(),
            password: password::secret(PASSWORD),
        };
        self.ops.run(&Actor::Anonymous { origin }, first).await.unwrap();
        self.login("administrator").await
    }

    /// Makes a user with a role's capabilities, as `by`, and logs in as them.
    pub async fn user(&self, by: &Session, role: Role) -> Session {
        self.user_with(by, role.as_str(), role.capabilities(), &[]).await
    }

    /// Makes a user, as `by`, and logs in as them; without workspaces they see all.
    pub async fn user_with(
        &self,
        by: &Session,
        name: &str,
        capabilities: CapabilitySet,
        workspaces: &[i64],
    ) -> Session {
        let new = NewPlatformUser {
            username: name.to_owned(),
            display_name: String::new(),
            password: password::secret(PASSWORD),
            capabilities,
            view: view_of(workspaces),
            consent: Consent::typed(name.to_owned()),
        };
        self.ops.run(&by.actor, CreateUser(new)).await.unwrap();
        self.login(name).await
    }

    /// Logs in on the console.
    pub async fn login(&self, name: &str) -> Session {
        let actor = Actor::Anonymous { origin: ORIGIN.to_owned() };
        self.ops.run(&actor, Login::new(name, PASSWORD, ClientKind::Console)).await.unwrap().0
    }
}

/// A view of these workspaces; of all where none is named.
pub fn view_of(workspaces: &[i64]) -> UserView {
    if workspaces.is_empty() { UserView::All } else { UserView::Workspaces(workspaces.to_vec()) }
}

/// Runs a test's future on a runtime of its own.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

/// Migrates `url` on a thread of its own: the caller may be inside a runtime.
fn migrated(url: String) {
    std::thread::spawn(move || {
        block_on(async {
            let ops = Ops::open(&url, Create::IfMissing, Clock::system(), OpsSettings::default())
                .unwrap();
            ops.migrate().await.unwrap();
            ops.close().await;
        });
    })
    .join()
    .unwrap();
}

fn postgres_template() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let name = format!("template_{}", uuid::Uuid::new_v4().simple());
        let create = format!("CREATE DATABASE {name} TEMPLATE template0");
        std::thread::spawn(move || block_on(super::postgres::administer(&create))).join().unwrap();
        migrated(with_database(&postgres_url(), &name));
        name
    })
}

fn sqlite_template() -> &'static PathBuf {
    static FILE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = FILE.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("template.db");
        migrated(format!("sqlite://{}", path.display()));
        // Without a write-ahead log, one file is the whole database.
        let url = format!("sqlite://{}", path.display());
        std::thread::spawn(move || {
            block_on(async {
                let mut connection = SqliteConnection::connect(&url).await.unwrap();
                connection.execute("pragma wal_checkpoint(truncate)").await.unwrap();
                connection.close().await.unwrap();
            });
        })
        .join()
        .unwrap();
        (folder, path)
    });
    path
}

/// Makes one test per engine out of an async function of a [`Store`]; the name holds the
/// requirement.
macro_rules! both_engines {
    ($(async fn $name:ident($store:ident) $body:block)+) => {
        $(mod $name {
            use super::*;

            async fn test($store: $crate::support::stores::Store) $body

            #[test]
            fn postgres() {
                use $crate::support::stores::{Store, block_on};
                block_on(async { test(Store::new(tenantpilot::ops::Engine::Postgres).await).await });
            }

            #[test]
            fn sqlite() {
                use $crate::support::stores::{Store, block_on};
                block_on(async { test(Store::new(tenantpilot::ops::Engine::Sqlite).await).await });
            }
        })+
    };
}
pub(crate) use both_engines;
