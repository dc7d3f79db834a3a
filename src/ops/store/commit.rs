//! The end of a transaction. Where the answer to COMMIT is lost, whether it was committed is
//! looked up on a new connection; an error says what is true, or that it is not known.
//!
//! PostgreSQL keeps the state of recent transactions (`pg_xact_status`). The id comes with a
//! statement that is sent anyway, so that looking it up later costs nothing now. A server that
//! crashed may give an id again; where the transaction wrote an audit row, that has to be there,
//! too.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout};

use super::database::ConnectionLimits;
use super::error::{is_of_aborted, of_driver, unreachable_database};
use super::pg_transaction::Transaction;
use super::sql;
use super::together::Counter;
use super::{Tx, awaited};
use crate::{Error, ErrorKind, Result};

/// How long the answer to COMMIT is waited for where nothing else is said.
const ANSWER: Duration = Duration::from_secs(30);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// What is said where a database does not answer in time.
pub const NO_ANSWER: &str = "the database did not answer";

/// A transaction on PostgreSQL.
pub struct PgTx(Kind);

enum Kind {
    Own(Box<Own>),
    /// A read in another one's transaction, together with others.
    Branch(Counter),
}

/// A transaction on a connection, with what its commit can be looked up by.
pub struct Own {
    transaction: Transaction,
    server: Arc<PgConnectOptions>,
    /// How long it is looked up.
    patience: Duration,
    trail: Trail,
    /// How long an answer is waited for.
    pub answer: Option<Duration>,
    /// The same of the answer to COMMIT, however long a statement may take.
    commit_answer: Option<Duration>,
    /// Whether statements are prepared once, and kept by a name.
    pub named: bool,
    /// Statements that go with the next one.
    due: Vec<&'static str>,
    /// What its last statement failed of: until that is undone, the server refuses the next ones.
    failed: Option<Error>,
    /// Whether the server took no writes when it began.
    takes_no_writes: bool,
    /// Since when it holds locks of which it is to be said how long.
    held: Option<std::time::Instant>,
    /// Until it ends, others wait.
    _turn: OwnedSemaphorePermit,
}

/// What the commit of a transaction can be looked up by.
#[derive(Debug, Default)]
pub struct Trail {
    /// The transaction's id.
    id: Option<String>,
    /// An audit row of it.
    audit: Option<(i64, DateTime<Utc>)>,
    /// What has the server find the audit log.
    path: String,
}

/// What became of a transaction.
enum Fate {
    Committed,
    Aborted,
}

impl Own {
    /// Its connection.
    pub fn connection(&mut self) -> sqlx::Result<&mut PgConnection> {
        self.transaction.connection()
    }

    /// Has a statement that gives nothing go with the next one, and no trip of its own. What never
    /// goes is undone or made lasting with the transaction, as if it had.
    pub fn defer(&mut self, statement: &'static str) {
        self.due.push(statement);
    }

    /// Whether any do.
    pub fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// The statements that go first.
    pub fn take_due(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.due)
    }

    /// Keeps what a statement failed of; gives that for those that are refused after it.
    pub fn note(&mut self, error: Option<sqlx::Error>) -> Option<sqlx::Error> {
        match (error, &self.failed) {
            (Some(error), Some(first)) if is_of_aborted(&error) => {
                Some(sqlx::Error::AnyDriverError(Box::new(first.clone())))
            }
            (error, _) => {
                let database = error.as_ref().filter(|e| matches!(e, sqlx::Error::Database(_)));
                self.failed = database.map(of_driver);
                error
            }
        }
    }

    /// Closes its connection, which undoes what was written in it.
    pub fn give_up(&mut self) {
        self.transaction.give_up();
    }
}

impl PgTx {
    /// A transaction that was begun on a server which `options` lead to.
    pub fn new(
        transaction: Transaction,
        options: Arc<PgConnectOptions>,
        limits: &ConnectionLimits,
        answer: Option<Duration>,
        takes_no_writes: bool,
        turn: OwnedSemaphorePermit,
    ) -> Self {
        Self(Kind::Own(Box::new(Own {
            transaction,
            server: options,
            patience: limits.look_up,
            trail: Trail { path: limits.path("local"), ..Trail::default() },
            answer,
            commit_answer: limits.answer,
            named: limits.named_statements,
            due: Vec::new(),
            failed: None,
            takes_no_writes,
            held: None,
            _turn: turn,
        })))
    }

    /// Reads that leave what they ask at `counter`.
    pub fn at(counter: Counter) -> Self {
        Self(Kind::Branch(counter))
    }

    /// Where reads leave what they ask.
    pub fn counter(&mut self) -> Counter {
        Counter::new(self.takes_no_writes())
    }

    /// Whether the server took no writes when it began.
    pub fn takes_no_writes(&mut self) -> bool {
        match self.side() {
            Ok(own) => own.takes_no_writes,
            Err(counter) => counter.takes_no_writes,
        }
    }

    /// The transaction's own side, or where its reads leave what they ask.
    pub fn side(&mut self) -> Result<&mut Own, &Counter> {
        match &mut self.0 {
            Kind::Own(own) => Ok(own),
            Kind::Branch(counter) => Err(counter),
        }
    }

    /// Its connection.
    ///
    /// # Errors
    /// For a read in another one's transaction, which has none.
    pub fn connection(&mut self) -> sqlx::Result<&mut PgConnection> {
        match self.side() {
            Ok(own) => own.connection(),
            Err(_) => Err(sqlx::Error::BeginFailed),
        }
    }

    /// Keeps what was left of statements that were asked together.
    pub fn follow(&mut self, left: Trail) {
        self.keep(|trail| {
            trail.id = left.id.or(trail.id.take());
            trail.audit = left.audit.or(trail.audit.take());
        });
    }

    fn keep(&mut self, keep: impl FnOnce(&mut Trail)) {
        match self.side() {
            Ok(own) => keep(&mut own.trail),
            Err(counter) => counter.leave(keep),
        }
    }

    /// Undoes everything written in it, or closes its connection, which does so too.
    pub async fn rollback(self) {
        if let Kind::Own(own) = self.0 {
            // Given up after a while, its connection is closed, which undoes it as well.
            let undone = awaited::answer(own.transaction.rollback());
            let _ = within(own.answer, undone).await;
        }
    }

    async fn commit(self, limit: Option<Duration>) -> Result<()> {
        let Kind::Own(own) = self.0 else { return Err(sqlx::Error::BeginFailed.into()) };
        let Own {
            transaction, server, patience, trail, failed, answer, commit_answer, held, ..
        } = *own;
        // The server would undo it, and call that a success.
        if let Some(error) = failed {
            let _ = within(answer, transaction.rollback()).await;
            return Err(error);
        }
        let limit = commit_answer.or(limit).unwrap_or(ANSWER);
        let error = match timeout(limit, transaction.commit()).await {
            Ok(Ok(())) => {
                if let Some(held) = held {
                    let held_us = held.elapsed().as_micros();
                    tracing::debug!(held_us, "locks were released");
                }
                return Ok(());
            }
            Ok(Err(error)) if is_answer(&error) => return Err(error.into()),
            Ok(Err(error)) => Error::from(error),
            Err(_) => Error::new(ErrorKind::TimedOut, NO_ANSWER).hint("nothing was changed"),
        };
        match trail.look_up(&server, patience).await {
            Some(Fate::Committed) => Ok(()),
            // The server has just answered, whatever became of the connection.
            Some(Fate::Aborted) if error.kind() == ErrorKind::Unreachable => Err(undone(error)),
            Some(Fate::Aborted) => Err(error),
            None => Err(Error::uncertain(error.kind(), error.message())),
        }
    }
}

impl Trail {
    /// What became of the transaction; none where that cannot be found out.
    async fn look_up(&self, server: &PgConnectOptions, patience: Duration) -> Option<Fate> {
        let id = self.id.as_deref()?;
        let until = Instant::now() + patience;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            match timeout(left, self.look(server, id)).await {
                Ok(Ok(Some(fate))) => return Some(fate),
                // Still being committed, or no answer yet.
                Ok(Ok(None) | Err(_)) => sleep(PAUSE).await,
                Err(_) => return None,
            }
        }
        None
    }

    async fn look(&self, server: &PgConnectOptions, id: &str) -> sqlx::Result<Option<Fate>> {
        let mut connection = PgConnection::connect_with(server).await?;
        let (audit_id, occurred_at) = self.audit.unzip();
        if !self.path.is_empty() {
            let path = format!("begin; {}", self.path);
            sqlx::raw_sql(AssertSqlSafe(path)).execute(&mut connection).await?;
        }
        // A standby may not have heard of it yet.
        let (standby, status, seen): (bool, Option<String>, bool) = sql::query_as(
            "select pg_is_in_recovery(), pg_xact_status($1::xid8), \
             $2::bigint is null or exists (select 1 from audit_logs where id = $2 and occurred_at = $3)",
        )
        .bind(id)
        .bind(audit_id)
        .bind(occurred_at)
        .fetch_one(&mut connection)
        .await?;
        // It has answered; how the connection ends makes no difference.
        let _ = connection.close().await;
        Ok(match status.as_deref() {
            Some("committed") if seen && !standby => Some(Fate::Committed),
            Some("aborted") if !standby => Some(Fate::Aborted),
            _ => None,
        })
    }
}

/// What is said of a transaction that the server undid without an answer.
fn undone(error: Error) -> Error {
    const NEXT: &str = "nothing was changed; try again";
    if error.fault().is_some() {
        return error.hint(NEXT);
    }
    let broke = "the connection to the database broke before the change was made";
    Error::new(error.kind(), broke).hint(NEXT)
}

/// Whether the server has answered COMMIT with an error, and so undone the transaction. A server
/// that shuts down or crashes says so whether it had committed or not.
fn is_answer(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(database) = error else { return false };
    let code = database.code().unwrap_or_default();
    !["08", "57P", "58", "XX"].iter().any(|class| code.starts_with(class))
}

async fn within<T>(limit: Option<Duration>, work: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => timeout(limit, work).await.ok(),
        None => Some(work.await),
    }
}

async fn commit_sqlite(
    transaction: super::transaction::Transaction,
    limit: Option<Duration>,
) -> Result<()> {
    let error = match within(limit, transaction.commit()).await {
        Some(Ok(())) => return Ok(()),
        Some(Err(error)) => error,
        None => return Err(Error::uncertain(ErrorKind::TimedOut, NO_ANSWER)),
    };
    let code = match &error {
        sqlx::Error::Database(database) => database.code().and_then(|code| code.parse().ok()),
        _ => None,
    };
    match code.map(|code: u32| code & 0xff) {
        // Its pages may be in the log, and be found there by whoever opens the file next.
        Some(10) | None => {
            let error = Error::from(error);
            Err(Error::uncertain(error.kind(), error.message()))
        }
        Some(5 | 6) => Err(Error::from(error).hint("nothing was changed; try again")),
        // SQLite has answered, and the transaction is undone.
        Some(_) => Err(error.into()),
    }
}

impl Tx {
    /// Makes everything written in it lasting.
    ///
    /// # Errors
    /// An uncertain one where the answer was lost and could not be looked up; after any other,
    /// nothing of it was made.
    pub async fn commit(self) -> Result<()> {
        self.commit_within(None).await
    }

    /// The same, and waits no longer than `limit` for the answer before it is looked up.
    pub async fn commit_within(self, limit: Option<Duration>) -> Result<()> {
        match self {
            // One answer, also where it is looked up.
            Self::Postgres(transaction) => awaited::answer(transaction.commit(limit)).await,
            Self::Sqlite(transaction) => commit_sqlite(transaction, limit).await,
        }
    }

    /// Keeps the transaction's id, which a statement gave.
    pub fn remember(&mut self, id: Option<&str>) {
        if let (Self::Postgres(transaction), Some(id)) = (self, id) {
            transaction.keep(|trail| trail.id = Some(id.to_owned()));
        }
    }

    /// Keeps which audit row was written last.
    pub fn remember_audit(&mut self, id: i64, occurred_at: DateTime<Utc>) {
        if let Self::Postgres(transaction) = self {
            transaction.keep(|trail| trail.audit = Some((id, occurred_at)));
        }
    }

    /// Asks for the transaction's id where no statement gave it.
    pub async fn identify(&mut self) -> Result<()> {
        if let Self::Postgres(transaction) = self
            && transaction.side().is_ok_and(|own| own.trail.id.is_none())
        {
            let ask = sql::query_scalar("select pg_current_xact_id()::text");
            let id: String = ask.fetch_one(transaction).await?;
            self.remember(Some(&id));
        }
        Ok(())
    }

    /// Has the log say how long it holds its locks: from `since` until COMMIT is answered.
    pub fn locks(&mut self, since: std::time::Instant) {
        if let Self::Postgres(transaction) = self
            && let Ok(own) = transaction.side()
        {
            own.held.get_or_insert(since);
        }
    }

    /// Forgets what its commit could be looked up by.
    pub fn forget(&mut self) {
        if let Self::Postgres(transaction) = self {
            transaction.keep(|trail| trail.id = None);
        }
    }
}

/// What became of a record that goes with an answer which nothing can change: one that is not
/// known to be written counts as written.
///
/// # Errors
/// Whatever kept it from being written, for certain.
pub async fn commit_record(tx: Tx) -> Result<()> {
    match tx.commit().await {
        Err(error) if error.is_uncertain() => Ok(()),
        done => done,
    }
}

/// The error of something that had to be written down before anything else could be done.
pub fn before_anything(error: Error) -> Error {
    if error.is_uncertain() {
        return after_attempt(unreachable_database());
    }
    error
}

/// The error of something that had to follow what was written down so.
pub fn after_attempt(error: Error) -> Error {
    if error.kind() == ErrorKind::Unreachable && !error.is_uncertain() {
        return error.hint("at most the attempt was counted; check that it runs");
    }
    error
}
