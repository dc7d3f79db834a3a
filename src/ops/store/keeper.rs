//! The connections to a server that are kept between transactions.
//!
//! A pool of sqlx's asks a server at every return of a connection whether it still answers. Here
//! whatever is asked next tells that, and a transaction that only read is undone with the beginning
//! of the next one, or after a moment.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::hosts::Hosts;

/// A connection that was not needed for so long is closed.
const IDLE: Duration = Duration::from_secs(60);
/// Connections that take no writes are made again this often.
const RENEW: Duration = Duration::from_secs(3);

/// Connections that are not in use at the moment.
#[derive(Debug)]
pub struct Keeper {
    hosts: Hosts,
    /// After so long a transaction that only read is undone, where no other began meanwhile.
    linger: Duration,
    kept: Mutex<Kept>,
    /// Something new is kept.
    changed: Arc<Notify>,
    closed: watch::Sender<bool>,
    /// When connections that take no writes were last made again.
    renewed: Mutex<Option<Instant>>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        for idle in lock(&self.kept).idle.drain(..) {
            close(idle.connection);
        }
    }
}

#[derive(Debug, Default)]
struct Kept {
    idle: Vec<Idle>,
    /// Whether a task looks after them.
    tended: bool,
}

#[derive(Debug)]
struct Idle {
    connection: PgConnection,
    since: Instant,
    /// Whether its last transaction is still to be undone.
    open: bool,
}

/// A connection, and whether its last transaction is still to be undone.
pub struct Taken {
    /// The connection.
    pub connection: PgConnection,
    /// Whether the next statement has to undo a transaction first.
    pub open: bool,
    /// Whether it was used before, and may be broken.
    pub used: bool,
}

impl Keeper {
    /// One that connects to `hosts`; nothing is connected yet. A transaction that only read is
    /// left open for `linger`.
    pub fn new(hosts: Hosts, linger: Duration) -> Arc<Self> {
        Arc::new(Self {
            hosts,
            linger,
            kept: Mutex::default(),
            changed: Arc::default(),
            closed: watch::Sender::new(false),
            renewed: Mutex::default(),
        })
    }

    /// What it connects with.
    pub fn options(&self) -> Arc<PgConnectOptions> {
        self.hosts.options()
    }

    /// What it connects to.
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// A connection that was kept, or a new one.
    pub async fn take(&self) -> sqlx::Result<Taken> {
        let kept = lock(&self.kept).idle.pop();
        if let Some(Idle { connection, open, .. }) = kept {
            return Ok(Taken { connection, open, used: true });
        }
        let connection = self.hosts.connect().await?;
        Ok(Taken { connection, open: false, used: false })
    }

    /// A connection that was kept, out of its transaction; none if there is none.
    pub async fn take_idle(&self) -> Option<PgConnection> {
        let Idle { mut connection, open, .. } = lock(&self.kept).idle.pop()?;
        if open && sqlx::raw_sql("rollback").execute(&mut connection).await.is_err() {
            return None;
        }
        Some(connection)
    }

    /// Keeps a connection for the next use. `open`: its transaction only read, and is still
    /// to be undone.
    pub fn put(self: &Arc<Self>, connection: PgConnection, open: bool) {
        let mut kept = lock(&self.kept);
        if self.is_closed() {
            drop(kept);
            close(connection);
            return;
        }
        kept.idle.push(Idle { connection, since: Instant::now(), open });
        if !std::mem::replace(&mut kept.tended, true) {
            // Weak: dropping the keeper closes its connections.
            let (keeper, changed) = (Arc::downgrade(self), Arc::clone(&self.changed));
            tokio::spawn(async move {
                while let Some(next) = keeper.upgrade().and_then(|keeper| keeper.tend()) {
                    let _ = tokio::time::timeout_at(next, changed.notified()).await;
                }
            });
        } else if open {
            self.changed.notify_one();
        }
    }

    /// Closes what is idle, since a session keeps the default it began with when a database or a role
    /// is allowed to write again. Whether it is time for that: then the connection that told is to
    /// be closed, too.
    pub fn renew(&self) -> bool {
        let now = Instant::now();
        let mut renewed = lock(&self.renewed);
        if renewed.is_some_and(|at| now < at + RENEW) {
            return false;
        }
        *renewed = Some(now);
        for idle in lock(&self.kept).idle.drain(..) {
            close(idle.connection);
        }
        true
    }

    /// Undoes what lingers and closes what is idle for too long; says when to look again.
    fn tend(&self) -> Option<Instant> {
        let mut kept = lock(&self.kept);
        let now = Instant::now();
        let old = |idle: &mut Idle| now.duration_since(idle.since) >= IDLE;
        for idle in kept.idle.extract_if(.., old) {
            close(idle.connection);
        }
        for idle in &mut kept.idle {
            if idle.open && now.duration_since(idle.since) >= self.linger {
                // What it answers is read before the next statement.
                let sent = sqlx::raw_sql("rollback").execute(&mut idle.connection);
                let _ = sent.now_or_never();
                idle.open = false;
            }
        }
        if kept.idle.is_empty() {
            kept.tended = false;
            return None;
        }
        let due = |idle: &Idle| idle.since + if idle.open { self.linger } else { IDLE };
        kept.idle.iter().map(due).min()
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Waits until it is closed.
    pub async fn closed(&self) {
        // It cannot end before this does.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Closes every connection, and keeps none from now on.
    pub async fn close(&self) {
        self.closed.send_replace(true);
        let idle = std::mem::take(&mut lock(&self.kept).idle);
        for Idle { connection, .. } in idle {
            // How it ends makes no difference.
            let _ = connection.close().await;
        }
    }
}

/// Closes a connection without waiting for that.
pub fn close(connection: PgConnection) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(connection.close());
    }
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
