//! The two engines behind one type: opening, transactions, cheap change checks.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use sqlx::postgres::PgListener;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, SqliteConnection};

use super::commit::PgTx;
use super::condition::files_of;
use super::connect;
use super::error::unreachable_database;
use super::keeper::Keeper;
use super::server::{Server, Snapshot};
use super::sessions::{By, SessionRow};
use super::transaction::Transaction;
use crate::domain::safe_text::quoted;
use crate::domain::schema_name::SchemaName;
use crate::files::{self, Refusal};
use crate::paths::shown;
use crate::{Clock, Error, ErrorKind, Result};

/// How long a writer waits for another one on SQLite.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// SQLite's page cache per connection, in KiB (negative as the pragma wants it). A console
/// reads pages of a few hundred rows; the operating system caches the file anyway.
pub(super) const SQLITE_CACHE_KIB: &str = "-512";

/// The channel of hints that a run has changed.
pub(super) const CHANGES: &str = "tenantpilot_runs";

/// Which engine it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The platform database.
    Postgres,
    /// The embedded default.
    Sqlite,
}

/// Whether opening may make a new embedded database file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Create {
    /// Only what exists.
    Never,
    /// A missing SQLite file is created, mode 0600.
    IfMissing,
}

/// Where hints of changes are listened for (PostgreSQL).
#[derive(Debug, Clone, Default)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// Where everything else is asked.
    #[default]
    Here,
    /// At another address of the same database, past a pooler.
    At(SecretString),
}

/// What the database does with a connection whose process froze or died, and how many there
/// are. A frozen process must not hold others up with what it has locked.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// At most so many connections to a server.
    pub connections: u32,
    /// An answer of the server is waited for so long (PostgreSQL).
    pub answer: Option<Duration>,
    /// Statements are kept on their connection by a name, and prepared once (PostgreSQL). A pooler
    /// in transaction mode loses them.
    pub named_statements: bool,
    /// A transaction that does nothing for so long is ended (PostgreSQL).
    pub idle_in_transaction: Option<Duration>,
    /// A statement that takes longer is ended (PostgreSQL).
    pub statement: Option<Duration>,
    /// A lock of another session is waited for so long; on SQLite, at most as long as it always
    /// is.
    pub lock: Option<Duration>,
    /// A file may have at most so many pages, or as many as it has (SQLite).
    pub pages: Option<u32>,
    /// How long it is looked up what became of a COMMIT whose answer was lost (PostgreSQL): a
    /// server that restarts needs a moment.
    pub look_up: Duration,
    /// A transaction that only read is undone with the next one, or after so long (PostgreSQL).
    pub linger: Duration,
    /// Where hints of changes are listened for.
    pub listen: Listen,
    /// Where the tables are (PostgreSQL); none: where the search_path has them.
    pub schema: Option<SchemaName>,
    /// Only TLS or a socket leads to a server.
    pub require_tls: bool,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 8,
            answer: None,
            named_statements: false,
            idle_in_transaction: None,
            statement: None,
            lock: None,
            pages: None,
            look_up: Duration::from_secs(4),
            linger: Duration::from_secs(1),
            listen: Listen::default(),
            schema: None,
            require_tls: false,
        }
    }
}

impl ConnectionLimits {
    /// What has statements find the tables: those of the transaction (`local`), or of the `session`.
    pub fn path(&self, of: &str) -> String {
        let set = |schema: &SchemaName| format!("set {of} search_path = {}; ", schema.quoted());
        self.schema.as_ref().map_or_else(String::new, set)
    }
}

/// How a transaction begins.
#[derive(Debug, Clone)]
pub struct Begin {
    /// Whether it writes. One that does not sees one state of the database.
    pub writes: bool,
    /// Whether it waits for others of its kind to end. SQLite's write transactions all do.
    pub one_at_a_time: bool,
    /// How many times the usual limits its statements have.
    pub patience: u32,
    /// Whether a schema that this version does not know refuses it.
    pub schema: bool,
    /// The session that acts; a transaction that writes holds its user's row.
    pub session: Option<By>,
}

impl Begin {
    /// One that reads.
    pub const READ: Self =
        Self { writes: false, one_at_a_time: false, patience: 1, schema: false, session: None };
    /// One that writes.
    pub const WRITE: Self = Self { writes: true, ..Self::READ };
}

/// What came with the beginning of a transaction.
#[derive(Debug, Default)]
pub struct Opened {
    /// What the database's clock showed.
    pub now: Option<DateTime<Utc>>,
    /// The server's process.
    pub backend: i32,
    /// Whether the server follows another one.
    pub standby: bool,
    /// Whether the session began where writes are not allowed by default.
    pub read_only: bool,
    /// The session that was asked for, if there is one.
    pub session: Option<SessionRow>,
    /// What was seen of the schema.
    pub schema: Schema,
    /// The platform's ID, which comes with the schema.
    pub platform: Option<String>,
}

/// What the first transaction of a process sees of the schema.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Schema {
    /// Nothing: that was looked at before.
    #[default]
    Unasked,
    /// It is the one that this version needs.
    Current,
    /// It may be another one.
    Other,
}

/// A pool of connections to the platform database.
#[derive(Debug, Clone)]
pub enum Db {
    /// PostgreSQL.
    Postgres(Server),
    /// SQLite, with the file's path.
    Sqlite(SqlitePool, PathBuf),
}

/// An open transaction; rolled back when dropped.
pub enum Tx {
    /// PostgreSQL.
    Postgres(PgTx),
    /// SQLite.
    Sqlite(Transaction),
}

impl Db {
    /// Prepares a pool for `url` (`postgres://...` or `sqlite://path`); no connection is
    /// made yet. A server is told `application` as the name of the program, unless the URL or
    /// the environment names another.
    ///
    /// # Errors
    /// *Usage* for a URL that is neither, *unreachable* for a missing SQLite file.
    pub fn open(
        url: &str,
        create: Create,
        limits: &ConnectionLimits,
        application: &str,
    ) -> Result<Self> {
        if let Some(path) = url.strip_prefix("sqlite://") {
            return Self::open_sqlite(Path::new(path), create, limits);
        }
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err(Error::usage("the database URL is not understood")
                .hint("use postgres://user@host/database or sqlite://path"));
        }
        Ok(Self::Postgres(Server::new(url, limits, application)?))
    }

    fn open_sqlite(path: &Path, create: Create, limits: &ConnectionLimits) -> Result<Self> {
        if path.as_os_str().is_empty() {
            return Err(Error::usage("sqlite:// needs a path")
                .hint("for instance sqlite:///var/lib/tenantpilot/tenantpilot.db"));
        }
        if !is_there(path)? {
            if create == Create::Never {
                return Err(Error::new(
                    crate::ErrorKind::Unreachable,
                    format!("there is no database at {}", quoted(&path.to_string_lossy())),
                )
                .hint(
                    "make one with: tenantpilot migrate (or look around with: tenantpilot demo)",
                ));
            }
            create_private_file(path)?;
        }
        let busy = limits.lock.unwrap_or(BUSY_TIMEOUT).min(BUSY_TIMEOUT);
        let mut options = sqlite_options(path).busy_timeout(busy);
        if let Some(pages) = limits.pages {
            options = options.pragma("max_page_count", pages.to_string());
        }
        let watched = Watched::new(path);
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .min_connections(0)
            .acquire_timeout(BUSY_TIMEOUT)
            .before_acquire(move |_, connection| {
                let holds = watched.holds(connection.age);
                Box::pin(async move { Ok(holds) })
            })
            .connect_lazy_with(options);
        Ok(Self::Sqlite(pool, path.to_owned()))
    }

    /// Which engine it is.
    pub fn engine(&self) -> Engine {
        match self {
            Self::Postgres(..) => Engine::Postgres,
            Self::Sqlite(..) => Engine::Sqlite,
        }
    }

    /// The host of the server, or the directory of its socket; none for a file.
    pub fn host(&self) -> Option<String> {
        let Self::Postgres(server) = self else { return None };
        Some(super::hosts::host_of(&server.keeper().options()))
    }

    /// The platform's ID, where a transaction that looked at the schema has seen it.
    pub fn platform_id(&self) -> Option<String> {
        match self {
            Self::Postgres(server) => server.platform_id(),
            Self::Sqlite(..) => None,
        }
    }

    /// Whether what goes to the server and back can be read on the way: it has another host, and the
    /// connection no TLS.
    pub fn in_the_open(&self) -> bool {
        match self {
            Self::Postgres(server) => server.keeper().hosts().in_the_open(),
            Self::Sqlite(..) => false,
        }
    }

    /// Begins a transaction, and asks what `begin` says in the same round trip. `clock` follows the
    /// database's, unless it did within the last second.
    ///
    /// A transaction that writes takes SQLite's write lock at once: one that reads first and
    /// writes later fails under contention.
    pub async fn begin(&self, begin: &Begin, clock: &Clock) -> Result<(Tx, Option<SessionRow>)> {
        match self {
            Self::Postgres(server) => {
                let (tx, opened) = match server.begin(begin).await {
                    // What is in the way is told by a closer look.
                    Ok((tx, Opened { schema: Schema::Other, .. })) => {
                        tx.rollback().await;
                        super::schema::require_current(self).await?;
                        server.schema_is_checked();
                        server.begin(begin).await?
                    }
                    Err(error)
                        if (begin.schema || server.checks_schema()) && error.fault().is_some() =>
                    {
                        super::schema::require_current(self).await?;
                        server.schema_is_checked();
                        server.begin(begin).await?
                    }
                    begun => begun?,
                };
                let mut tx = Tx::Postgres(tx);
                if let Some(now) = opened.now {
                    clock.follow(now);
                }
                let held = opened.session.as_ref().and_then(|row| row.transaction.as_deref());
                tx.remember(held);
                Ok((tx, opened.session))
            }
            Self::Sqlite(pool, _) => {
                let (pool, writes) = (pool.clone(), begin.writes);
                let text = if writes { "begin immediate" } else { "begin" };
                let mut tx = Tx::Sqlite(
                    to_the_end(async move { Transaction::begin(&pool, text).await }).await?,
                );
                if begin.schema {
                    super::schema::refuse_newer(&mut tx, super::schema::program_version(self))
                        .await?;
                }
                super::clock::follow(&mut tx, clock).await?;
                let session = match &begin.session {
                    Some(By::Id(id)) => super::sessions::by_id(&mut tx, *id).await?,
                    Some(By::TokenHash(hash)) => {
                        super::sessions::by_token_hash(&mut tx, hash).await?
                    }
                    None => None,
                };
                Ok((tx, session))
            }
        }
    }

    /// Has the first transaction refuse any schema but the one this version needs, in the same round
    /// trip. SQLite is looked at now.
    pub async fn require_current_schema_first(&self) -> Result<()> {
        match self {
            Self::Postgres(server) => {
                server.check_schema_first();
                Ok(())
            }
            Self::Sqlite(..) => super::schema::require_current(self).await,
        }
    }

    /// A watch on other processes' changes.
    pub async fn watch(&self) -> Result<ChangeWatch> {
        Ok(match self {
            Self::Postgres(server) => {
                let proof = format!("tenantpilot_{}", uuid::Uuid::new_v4().simple());
                let listener = Box::new(server.listen(&proof).await?);
                ChangeWatch::Postgres { listener, proof, keeper: Arc::clone(server.keeper()) }
            }
            Self::Sqlite(_, path) => {
                let connection = SqliteConnection::connect_with(&sqlite_options(path)).await?;
                let file = FileIdentity { path: path.clone(), identity: identity(path) };
                ChangeWatch::Sqlite { connection: Box::new(connection), file, last: None }
            }
        })
    }

    /// The state of a server's data, [`Server::snapshot`]; none for a file.
    pub async fn snapshot(
        &self,
        proof: Option<&str>,
    ) -> Result<Option<(tokio::time::Instant, Snapshot)>> {
        match self {
            Self::Postgres(server) => Ok(Some(server.snapshot(proof).await?)),
            Self::Sqlite(..) => Ok(None),
        }
    }

    /// Tells a server that `user` is at the console now; none after a logout.
    pub async fn name_user(&self, user: Option<&str>) {
        if let Self::Postgres(server) = self {
            connect::name_user(server, user).await;
        }
    }

    /// Has a watch's connection be listed with the console's user, too.
    pub async fn name_watch(&self, watch: &mut ChangeWatch) {
        if let (Self::Postgres(server), ChangeWatch::Postgres { listener, .. }) = (self, watch) {
            let naming = connect::naming(&server.keeper().options());
            // Without the name it listens all the same.
            let _ = sqlx::raw_sql(naming).execute(&mut **listener).await;
        }
    }

    /// Closes every connection.
    pub async fn close(&self) {
        match self {
            Self::Postgres(server) => server.close().await,
            Self::Sqlite(pool, _) => pool.close().await,
        }
    }
}

/// Starts a transaction in a task of its own, so that whoever stops waiting does not stop it
/// half-way: the driver would not know of the transaction then, and hand the connection on with
/// it open. One that nobody waits for any more is rolled back.
async fn to_the_end<T: Send + 'static>(
    begin: impl Future<Output = sqlx::Result<T>> + Send + 'static,
) -> Result<T> {
    match tokio::spawn(begin).await {
        Ok(begun) => Ok(begun?),
        Err(_) => Err(unreachable_database()),
    }
}

impl Tx {
    /// Undoes everything written in it. Where the database cannot be told, or has undone it
    /// already, its connection is closed, which undoes it as well.
    pub async fn rollback(self) -> Result<()> {
        match self {
            Self::Postgres(transaction) => transaction.rollback().await,
            Self::Sqlite(transaction) => transaction.rollback().await,
        }
        Ok(())
    }
}

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// A run has changed.
    Change,
    /// A message that this process sent itself.
    Proof,
}

/// Tells that something may have changed. A hint: nothing may depend on it.
pub enum ChangeWatch {
    /// `LISTEN`, on a connection of its own.
    Postgres {
        /// The connection.
        listener: Box<PgListener>,
        /// A channel of this process alone: a message that was sent to it through another
        /// connection, and arrives, shows that others do.
        proof: String,
        /// The other connections, with which it is closed.
        keeper: Arc<Keeper>,
    },
    /// `data_version`, on a connection that never writes.
    Sqlite {
        /// The connection.
        connection: Box<SqliteConnection>,
        /// The file that it was opened on.
        file: FileIdentity,
        /// The version seen last.
        last: Option<i64>,
    },
}

impl ChangeWatch {
    /// Whether the database has changed since the last call; `None` where this engine
    /// cannot say, so the caller has to look. The first call on SQLite says yes.
    pub async fn changed(&mut self) -> Result<Option<bool>> {
        match self {
            Self::Postgres { .. } => Ok(None),
            Self::Sqlite { connection, file, last } => {
                // An open file that was removed or replaced would answer for ever.
                if identity(&file.path) != file.identity {
                    return Err(Error::new(
                        ErrorKind::Unreachable,
                        "the database file was removed or replaced",
                    )
                    .hint("it is opened again as soon as it is back"));
                }
                let version: i64 =
                    sqlx::query_scalar("pragma data_version").fetch_one(&mut **connection).await?;
                let changed = *last != Some(version);
                *last = Some(version);
                Ok(Some(changed))
            }
        }
    }

    /// The channel of this process alone; none on an engine without hints.
    pub fn proof(&self) -> Option<&str> {
        match self {
            Self::Postgres { proof, .. } => Some(proof),
            Self::Sqlite { .. } => None,
        }
    }

    /// Waits for a hint; never returns on an engine that has none.
    ///
    /// # Errors
    /// When the connection was lost: what came meanwhile was not heard.
    pub async fn hint(&mut self) -> Result<Hint> {
        match self {
            Self::Postgres { listener, proof, keeper } => {
                let heard = tokio::select! {
                    () = keeper.closed() => None,
                    heard = listener.try_recv() => heard?,
                };
                match heard {
                    Some(message) if message.channel() == proof => Ok(Hint::Proof),
                    Some(_) => Ok(Hint::Change),
                    None => Err(unreachable_database()),
                }
            }
            Self::Sqlite { .. } => std::future::pending().await,
        }
    }
}

/// Which file a path led to when it was opened.
pub struct FileIdentity {
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

/// Device and inode of a file; none where there is none.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Tells which connections were opened before their path came to lead to another file.
struct Watched {
    path: PathBuf,
    /// The file, and when it was first seen; connections of a new pool are all younger.
    seen: Mutex<(Option<(u64, u64)>, Instant)>,
}

impl Watched {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), seen: Mutex::new((identity(path), Instant::now())) }
    }

    /// Whether a connection opened `age` ago is on the file that is there now.
    fn holds(&self, age: Duration) -> bool {
        let now = identity(&self.path);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0 != now {
            *seen = (now, Instant::now());
        }
        now.is_some() && age <= seen.1.elapsed()
    }
}

/// How a file is opened. Nothing here changes the file: it may be another program's.
fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .pragma("recursive_triggers", "on")
        .pragma("cache_size", SQLITE_CACHE_KIB)
        .statement_cache_capacity(32)
}

/// Whether there is a database. Its file, and those that SQLite keeps beside it, have to be
/// private.
pub(super) fn is_there(path: &Path) -> Result<bool> {
    let what = "cannot use the database";
    let mut there = false;
    let mut open_to_others = Vec::new();
    for file in files_of(path) {
        match files::check_private(&file) {
            Ok(()) => there |= file == path,
            Err(Refusal::Missing) => {}
            Err(Refusal::OpenToOthers) => open_to_others.push(shown(&file)),
            Err(refusal) => return Err(refusal.error(ErrorKind::Failed, what, &file)),
        }
    }
    match open_to_others.first() {
        None => Ok(there),
        Some(first) => {
            Err(Error::failed(format!("{what} {first}: {}", Refusal::OpenToOthers.reason()))
                .hint(format!("run: chmod 600 {}", open_to_others.join(" "))))
        }
    }
}

fn create_private_file(path: &Path) -> Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        files::create_private_dir(parent)?;
    }
    match files::create_new(path) {
        Ok(_) => Ok(()),
        // Another process made it meanwhile.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => is_there(path).map(drop),
        Err(error) => Err(files::no_file(path, &error)),
    }
}
