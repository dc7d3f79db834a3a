//! A PostgreSQL server: its few connections, and what begins a transaction on one.
//!
//! No connection keeps a state of its own: limits are set in each transaction, and a console's and a
//! command's statements have no names. So a pooler in transaction mode may stand in between.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use secrecy::ExposeSecret as _;
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, Either, Executor as _, FromRow as _, PgConnection, Row as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::commit::PgTx;
use super::database::{Begin, CHANGES, ConnectionLimits, Listen, Opened, Schema};
use super::error::unreachable_database;
use super::keeper::{Keeper, close};
use super::pg_transaction::Transaction;
use super::schema::needs_no_look;
use super::schema_look::Applied;
use super::sessions::{SessionRow, session_by};
use super::{awaited, connect, pooled, sql};
use crate::domain::schema_name::SchemaName;
use crate::{Error, Result};

/// What stands for the state of the data.
const CHANGES_SEEN: &str = concat!(
    "select pg_current_snapshot()::text as changes, pg_is_in_recovery() as standby, ",
    read_only_by_default!(),
    " as read_only"
);
/// What a console reads again and again. A lock that keeps readers out changes no data, so who reads
/// only what has changed would not notice it.
const READ: &str = "operation_runs, operation_run_leases, operation_run_failures, operation_run_targets, \
     operation_run_hours, operation_run_deltas, operation_run_days, operation_run_faults, \
     operation_runs_leaving, runbook_scope_locks, open_alerts, alert_deliveries, notifications, workers, \
     tenants, workspaces, platform_users, platform_user_workspaces, platform_user_preferences, \
     platform_sessions, platform_settings, break_glass_grants, data_kept, support_requests, \
     product_usage_events, product_usage_hours, product_usage_days, product_usage_workspace_days, \
     product_usage_deltas, product_usage_kept";
/// A role that may not read all of it is asked again after so long whether it may.
const REFUSED_FOR: Duration = Duration::from_secs(30);

/// The migrations, the platform's ID, and the oldest program that goes on with them.
const APPLIED: &str = "select version, description, checksum, success, \
     (select value from platform_settings where key = 'platform_id') as platform, \
     (select value from platform_settings where key = 'oldest_program') as oldest \
     from _sqlx_migrations order by version";

/// The state of a server's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Changes whenever a transaction begins to write or ends: two equal ones stand for the same data.
    pub changes: String,
    /// Whether a table that the lists or every request reads cannot be read.
    pub locked: bool,
    /// Whether nothing can be written.
    pub read_only: bool,
}

/// A server that is asked through few connections.
#[derive(Debug, Clone)]
pub struct Server {
    keeper: Arc<Keeper>,
    limits: Arc<ConnectionLimits>,
    /// One for each connection; a transaction without one waits here, not at the server.
    turns: Arc<Semaphore>,
    /// Whether the next transaction looks at the schema, too.
    checks_schema: Arc<AtomicBool>,
    /// The server's process that began a transaction last.
    backend: Arc<AtomicI32>,
    /// What is left of `READ` where the role may not read all of it, and since when.
    readable: Arc<Mutex<Option<(Instant, String)>>>,
    /// What goes before the next transaction, in one of its own.
    before: Arc<Mutex<Option<String>>>,
    /// The platform's ID.
    platform: Arc<OnceLock<String>>,
    /// Whether its connections may hear what they did not ask for.
    overhears: Arc<AtomicBool>,
}

impl Server {
    /// A server at `url`; no connection is made yet.
    ///
    /// # Errors
    /// *Usage* for a URL, or a certificate file it names, that cannot be used.
    pub fn new(url: &str, limits: &ConnectionLimits, application: &str) -> Result<Self> {
        Ok(Self {
            keeper: Keeper::new(
                connect::hosts(url, application, limits.require_tls)?,
                limits.linger,
            ),
            limits: Arc::new(limits.clone()),
            turns: Arc::new(Semaphore::new(limits.connections as usize)),
            checks_schema: Arc::default(),
            backend: Arc::default(),
            readable: Arc::default(),
            before: Arc::default(),
            platform: Arc::default(),
            overhears: Arc::default(),
        })
    }

    /// Its connections.
    pub fn keeper(&self) -> &Arc<Keeper> {
        &self.keeper
    }

    /// The schema that is named; none: it is found by the search_path.
    pub fn schema(&self) -> Option<&SchemaName> {
        self.limits.schema.as_ref()
    }

    /// What has statements find the tables: those of the transaction (`local`), or of the `session`.
    pub fn path(&self, of: &str) -> String {
        self.limits.path(of)
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.keeper.close().await;
    }

    /// Has a change go before the next transaction, in one of its own and with no round trip of its
    /// own. Where it fails, it is left out.
    pub fn ask_before(&self, change: &sql::Query) -> Result<()> {
        let path = self.path("local");
        let mut text = format!("begin; {path}set local lock_timeout = 250; ");
        change.write(&mut text)?;
        text += "; end; ";
        *self.before.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
        Ok(())
    }

    /// Has the next transaction look at the schema, too.
    pub fn check_schema_first(&self) {
        self.checks_schema.store(true, Ordering::Relaxed);
    }

    /// Whether the next transaction looks at the schema.
    pub fn checks_schema(&self) -> bool {
        self.checks_schema.load(Ordering::Relaxed)
    }

    /// The platform's ID, once a transaction has looked at the schema.
    pub fn platform_id(&self) -> Option<String> {
        self.platform.get().cloned()
    }

    fn is_checked_by(&self, begin: &Begin) -> bool {
        begin.schema || self.checks_schema()
    }

    /// The schema needs no look any more.
    pub fn schema_is_checked(&self) {
        self.checks_schema.store(false, Ordering::Relaxed);
    }

    /// One of its connections, out of any transaction, which is closed afterwards unless it is put
    /// back.
    pub async fn connection(&self) -> Result<(PgConnection, OwnedSemaphorePermit)> {
        let turn = self.turn().await?;
        match self.keeper.take_idle().await {
            Some(connection) => Ok((connection, turn)),
            None => Ok((self.keeper.hosts().connect().await?, turn)),
        }
    }

    /// The server's process that began a transaction last; 0 before there was one.
    pub fn backend(&self) -> i32 {
        self.backend.load(Ordering::Relaxed)
    }

    /// The server's process that answers on one of its connections.
    async fn process(&self) -> Result<i32> {
        let (mut connection, _turn) = self.connection().await?;
        let process = pooled::process(&mut connection).await?;
        self.keeper.put(connection, false);
        Ok(process)
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit> {
        let turn = awaited::turn(Arc::clone(&self.turns).acquire_owned()).await;
        turn.map_err(|_| unreachable_database())
    }

    /// The state of the data, by one cheap question, and when it was asked. A message is sent to the
    /// channel `proof` with it, where one is given.
    pub async fn snapshot(&self, proof: Option<&str>) -> Result<(Instant, Snapshot)> {
        let turn = self.turn().await?;
        let at = Instant::now();
        let (keeper, answer) = (Arc::clone(&self.keeper), self.limits.answer);
        let prove = proof.map(|channel| format!("select pg_notify('{channel}', ''); "));
        let mut prove = prove.unwrap_or_default();
        let path = self.path("local");
        let (readable, overhears) = (Arc::clone(&self.readable), Arc::clone(&self.overhears));
        // In its own task: a connection with an unread answer cannot be used again.
        let asked = tokio::spawn(async move {
            let _turn = turn;
            let mut locked = false;
            loop {
                let taken = keeper.take().await?;
                let mut connection = taken.connection;
                let undo = if taken.open { "rollback; " } else { "" };
                let quiet = quiet(&overhears);
                let lock = if locked { String::new() } else { lock_of(&readable) };
                // What was answered before a lock was refused is true all the same.
                let text = format!("{undo}{quiet}{prove}{CHANGES_SEEN}; {path}{lock}");
                let (row, ended) = last_row(&mut connection, text, answer).await;
                let refused = |with: &str, error| !lock.is_empty() && code(error) == with;
                locked |= matches!(&ended, Err(error) if refused("55P03", error));
                match ended
                    .or_else(|error| if locked && prove.is_empty() { Ok(()) } else { Err(error) })
                {
                    Ok(()) => {
                        let row = row.ok_or(sqlx::Error::RowNotFound)?;
                        let read_only = row.try_get("read_only")?;
                        if read_only && keeper.renew() {
                            close(connection);
                        } else {
                            keeper.put(connection, false);
                        }
                        let read_only = read_only || row.try_get("standby")?;
                        return Ok(Snapshot {
                            changes: row.try_get("changes")?,
                            locked,
                            read_only,
                        });
                    }
                    Err(error) if overheard(&error, &overhears) => close(connection),
                    Err(error) if taken.used && is_lost(&error) => close(connection),
                    Err(error) => {
                        match code(&error).as_str() {
                            // The message was undone with it.
                            "55P03" if !lock.is_empty() => {}
                            // A role may not be allowed to, or there is no schema yet.
                            "42501" | "42P01" if !lock.is_empty() => {
                                let found = may_read(&mut connection, &path, answer).await?;
                                let mut readable =
                                    readable.lock().unwrap_or_else(PoisonError::into_inner);
                                // Refused all the same: it is not the grants.
                                let again =
                                    readable.as_ref().is_some_and(|(_, tables)| *tables == found);
                                let tables = if again { String::new() } else { found };
                                *readable = Some((Instant::now(), tables));
                            }
                            // A standby takes no message.
                            "25006" | "55000" | "0A000" if !prove.is_empty() => prove.clear(),
                            _ => {
                                close(connection);
                                return Err(error);
                            }
                        }
                        keeper.put(connection, false);
                    }
                }
            }
        });
        Ok((at, awaited::round_trip(asked).await.map_err(|_| unreachable_database())??))
    }

    /// A connection of its own that hears of changes, and of messages to `proof`.
    ///
    /// # Errors
    /// *Refused* behind a pooler in transaction mode: some connection of the server would listen.
    pub async fn listen(&self, proof: &str) -> Result<PgListener> {
        if self.keeper.is_closed() {
            return Err(unreachable_database());
        }
        let options = self.keeper.options();
        let options = if let Listen::At(url) = &self.limits.listen {
            let name = options.get_application_name().unwrap_or_default();
            connect::hosts(url.expose_secret(), name, self.limits.require_tls)?.options()
        } else if pooled::is_pooled(&options, || self.process()).await? {
            return Err(Error::refused("nothing can be heard through a pooler"));
        } else {
            options
        };
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(connect::CONNECT_TIMEOUT)
            .connect_lazy_with(PgConnectOptions::clone(&options));
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen_all([CHANGES, proof]).await?;
        Ok(listener)
    }

    /// Begins a transaction, and asks who acts and what time it is, in one round trip.
    pub async fn begin(&self, begin: &Begin) -> Result<(PgTx, Opened)> {
        let turn = self.turn().await?;
        let options = self.keeper.options();
        let text = connect::opening(&options, self.opening(begin)?);
        let answer = self.limits.answer;
        let (keeper, writes) = (Arc::clone(&self.keeper), begin.writes);
        let overhears = Arc::clone(&self.overhears);
        let before = self.before.lock().unwrap_or_else(PoisonError::into_inner).take();
        let parts = Parts { schema: self.is_checked_by(begin), session: begin.session.is_some() };
        // In a task of its own, so that giving up does not stop it half-way. A transaction that is
        // no longer waited for is undone.
        let begun = tokio::spawn(async move {
            let mut before = before.unwrap_or_default();
            loop {
                let taken = keeper.take().await?;
                let undo = if taken.open { "rollback; " } else { "" };
                let mut transaction =
                    Transaction::on(taken.connection, Arc::clone(&keeper), writes);
                let quiet = quiet(&overhears);
                let text = format!("{undo}{quiet}{before}{text}");
                match answered(transaction.connection()?, text, answer, parts).await {
                    Ok(opened) => {
                        if opened.read_only && keeper.renew() {
                            transaction.make_last();
                        }
                        return Ok((transaction, turn, opened));
                    }
                    // It broke while it was idle. Nothing was asked of the server yet.
                    Err(error) if overheard(&error, &overhears) => {}
                    Err(error) if taken.used && is_lost(&error) => {}
                    Err(sqlx::Error::Database(_)) if !before.is_empty() => {
                        before.clear();
                        transaction.rollback().await;
                    }
                    Err(error) => {
                        // What a server refuses leaves the connection as it was.
                        if matches!(error, sqlx::Error::Database(_)) && !is_lost(&error) {
                            transaction.rollback().await;
                        }
                        return Err(error);
                    }
                }
            }
        });
        let begun = awaited::round_trip(begun).await;
        let (transaction, turn, opened) = begun.map_err(|_| unreachable_database())??;
        self.backend.store(opened.backend, Ordering::Relaxed);
        if opened.schema == Schema::Current {
            self.schema_is_checked();
        }
        if let Some(id) = &opened.platform {
            let _ = self.platform.set(id.clone());
        }
        // The host may be another one by now.
        let options = self.keeper.options();
        let takes_no_writes = opened.standby || opened.read_only;
        let limits = &self.limits;
        let answer = answer.map(|limit| limit * begin.patience);
        let tx = PgTx::new(transaction, options, limits, answer, takes_no_writes, turn);
        Ok((tx, opened))
    }

    fn opening(&self, begin: &Begin) -> Result<String> {
        let mut text = String::from(if begin.writes {
            "begin"
        } else {
            "begin isolation level repeatable read read only"
        });
        let limits = [
            ("statement_timeout", self.limits.statement.map(|limit| limit * begin.patience)),
            ("lock_timeout", self.limits.lock),
            ("idle_in_transaction_session_timeout", self.limits.idle_in_transaction),
        ];
        text += "; ";
        text += &self.path("local");
        if begin.one_at_a_time {
            if let Some(limit) = self.limits.lock {
                text += &format!("set local lock_timeout = {}; ", limit.as_millis());
            }
            text += "lock table platform_users in share row exclusive mode; ";
        }
        text += "select clock_timestamp() as now, current_setting('server_encoding') as encoding, \
                 pg_backend_pid() as backend, ";
        text +=
            concat!("pg_is_in_recovery() as standby, ", read_only_by_default!(), " as read_only");
        for (name, limit) in limits {
            if let Some(limit) = limit {
                text += &format!(", set_config('{name}', '{}', true)", limit.as_millis());
            }
        }
        if !begin.writes {
            // Starting processes to help, or compiling a statement, takes longer than what a screen
            // reads does.
            text += ", set_config('max_parallel_workers_per_gather', '0', true), \
                     set_config('jit', 'off', true)";
        }
        // Ends a statement whose client is gone; servers without POLLRDHUP refuse the setting.
        text += ", case when current_setting('server_version_num')::int >= 140000 \
                 and version() like '%linux%' \
                 then set_config('client_connection_check_interval', '1000', true) end";
        if self.is_checked_by(begin) {
            text += "; ";
            text += APPLIED;
        }
        if let Some(by) = &begin.session {
            text += "; ";
            session_by(by, begin.writes).write(&mut text)?;
        }
        Ok(text)
    }
}

/// What tries whether tables can be read.
fn lock_of(readable: &Mutex<Option<(Instant, String)>>) -> String {
    let mut readable = readable.lock().unwrap_or_else(PoisonError::into_inner);
    readable.take_if(|(since, _)| since.elapsed() >= REFUSED_FOR);
    let tables = readable.as_ref().map_or(READ, |(_, tables)| tables);
    if tables.is_empty() {
        return String::new();
    }
    format!("lock table {tables} in access share mode nowait; ")
}

/// Which of them the role may read.
async fn may_read(
    connection: &mut PgConnection,
    path: &str,
    answer: Option<Duration>,
) -> sqlx::Result<String> {
    let text = format!(
        "{path}select coalesce(string_agg(name, ', '), '') as tables \
         from unnest(string_to_array('{READ}', ', ')) name \
         where has_table_privilege(to_regclass(name), 'select')"
    );
    let (row, ended) = last_row(connection, text, answer).await;
    ended?;
    row.ok_or(sqlx::Error::RowNotFound)?.try_get("tables")
}

/// What a beginning asks beside the time.
#[derive(Debug, Clone, Copy)]
struct Parts {
    schema: bool,
    session: bool,
}

/// Asks what begins a transaction.
async fn answered(
    connection: &mut PgConnection,
    text: String,
    answer: Option<Duration>,
    parts: Parts,
) -> sqlx::Result<Opened> {
    let mut answers: Vec<Vec<PgRow>> = vec![Vec::new()];
    let mut steps = connection.fetch_many(sqlx::raw_sql(AssertSqlSafe(text)));
    while let Some(step) = within(answer, steps.try_next()).await?? {
        match (step, answers.last_mut()) {
            (Either::Right(row), Some(rows)) => rows.push(row),
            _ => answers.push(Vec::new()),
        }
    }
    // Behind the last statement nothing comes.
    answers.pop();
    let mut opened = Opened::default();
    if parts.session {
        let found = answers.pop().unwrap_or_default();
        opened.session = found.first().map(SessionRow::from_row).transpose()?;
    }
    let applied = if parts.schema { answers.pop() } else { None };
    let first = answers.pop().and_then(|rows| rows.into_iter().next());
    if let Some(first) = first {
        opened.now = Some(first.try_get("now")?);
        opened.backend = first.try_get("backend")?;
        opened.standby = first.try_get("standby")?;
        opened.read_only = first.try_get("read_only")?;
        if let Some(applied) = applied {
            let newest = applied.last();
            opened.platform = newest.map(|row| row.try_get("platform")).transpose()?.flatten();
            let oldest: Option<String> =
                newest.map(|row| row.try_get("oldest")).transpose()?.flatten();
            let applied = applied.iter().map(Applied::from_row).collect::<sqlx::Result<Vec<_>>>();
            let encoding: String = first.try_get("encoding")?;
            let current =
                applied.is_ok_and(|applied| needs_no_look(&encoding, &applied, oldest.as_deref()));
            opened.schema = if current { Schema::Current } else { Schema::Other };
        }
    }
    Ok(opened)
}

/// Asks `text`; gives the last row that came with data, and how it ended.
async fn last_row(
    connection: &mut PgConnection,
    text: String,
    answer: Option<Duration>,
) -> (Option<PgRow>, sqlx::Result<()>) {
    let mut last = None;
    let mut steps = connection.fetch_many(sqlx::raw_sql(AssertSqlSafe(text)));
    loop {
        match within(answer, steps.try_next()).await.and_then(|step| step) {
            Ok(Some(Either::Right(row))) => last = Some(row),
            Ok(Some(Either::Left(_))) => {}
            Ok(None) => return (last, Ok(())),
            Err(error) => return (last, Err(error)),
        }
    }
}

/// What a server says it was; nothing where it did not say it.
fn code(error: &sqlx::Error) -> String {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.unwrap_or_default().into_owned()
}

/// What keeps a connection from hearing what it did not ask for.
fn quiet(overhears: &AtomicBool) -> &'static str {
    if overhears.load(Ordering::Relaxed) { "begin; unlisten *; end; " } else { "" }
}

/// Whether something else came than what was asked for, for the first time: behind a pooler, a
/// connection of the server may go on listening for a client that is gone.
fn overheard(error: &sqlx::Error, overhears: &AtomicBool) -> bool {
    matches!(error, sqlx::Error::Protocol(_)) && !overhears.swap(true, Ordering::Relaxed)
}

/// Whether a connection is of no use any more.
fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() != std::io::ErrorKind::TimedOut,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P")),
        sqlx::Error::Protocol(_) => true,
        _ => false,
    }
}

/// Whether an answer did not come in its time.
pub fn is_silence(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut)
}

/// Waits for an answer no longer than `limit`.
pub async fn within<T>(
    limit: Option<Duration>,
    answer: impl Future<Output = T>,
) -> sqlx::Result<T> {
    let answer = awaited::answer(answer);
    match limit {
        None => Ok(answer.await),
        Some(limit) => match tokio::time::timeout(limit, answer).await {
            Ok(answered) => Ok(answered),
            Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
        },
    }
}
