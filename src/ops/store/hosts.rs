//! The hosts of an address: they are tried in their order, until one is connected that fits.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgSslMode};
use sqlx::{Connection as _, PgConnection, Row as _};

use super::connect::CONNECT_TIMEOUT;
use super::tls;
use crate::{Error, ErrorKind};

/// Whether a server takes writes, and whether it is a standby.
const STATE: &str = "select pg_is_in_recovery() as standby, \
                     current_setting('transaction_read_only')::bool as read_only";

/// Which of several servers is wanted, `target_session_attrs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Any that answers.
    Any,
    /// One that takes writes.
    ReadWrite,
    /// One that takes none.
    ReadOnly,
    /// One that is no standby.
    Primary,
    /// A standby.
    Standby,
    /// A standby, or else any.
    PreferStandby,
}

impl Wanted {
    /// The one of this name; any for another name.
    pub fn of(name: &str) -> Self {
        match name {
            "read-write" => Self::ReadWrite,
            "read-only" => Self::ReadOnly,
            "primary" => Self::Primary,
            "standby" => Self::Standby,
            "prefer-standby" => Self::PreferStandby,
            _ => Self::Any,
        }
    }

    fn fits(self, standby: bool, read_only: bool) -> bool {
        match self {
            Self::Any => true,
            Self::ReadWrite => !read_only,
            Self::ReadOnly => read_only,
            Self::Primary => !standby,
            Self::Standby | Self::PreferStandby => standby,
        }
    }

    /// Why no server is connected, where each that answers is of another kind.
    fn unmet(self) -> Error {
        let (what, hint) = match self {
            Self::ReadWrite => ("takes writes", "name the primary server among its hosts"),
            Self::ReadOnly => ("is read-only", "name a standby among its hosts"),
            Self::Primary => ("is a primary", "name the primary server among its hosts"),
            _ => ("is a standby", "name a standby among its hosts"),
        };
        let message = format!("no host of the database URL that answers {what}");
        Error::new(ErrorKind::Unreachable, message)
            .hint(format!("{hint}, or use another target_session_attrs"))
    }
}

/// What is connected with.
#[derive(Debug)]
pub struct Hosts(Mutex<State>);

#[derive(Debug)]
struct State {
    each: Vec<PgConnectOptions>,
    wanted: Wanted,
    /// The host that was connected last.
    current: usize,
    /// What it was connected with.
    options: Arc<PgConnectOptions>,
    /// Whether it was connected.
    connected: bool,
}

impl Hosts {
    /// Those of `each`, of which there is at least one.
    pub fn new(each: Vec<PgConnectOptions>, wanted: Wanted) -> Self {
        let options = Arc::new(each.first().cloned().unwrap_or_default());
        Self(Mutex::new(State { each, wanted, current: 0, options, connected: false }))
    }

    /// What the host that was connected last is connected with; before that, the first one.
    pub fn options(&self) -> Arc<PgConnectOptions> {
        Arc::clone(&self.state().options)
    }

    /// Gives connections to come another name.
    pub fn name_application(&self, name: &str) {
        let mut state = self.state();
        for options in &mut state.each {
            *options = options.clone().application_name(name);
        }
        state.options = Arc::new(PgConnectOptions::clone(&state.options).application_name(name));
    }

    /// Whether the host that was connected last is reached over a network without TLS.
    pub fn in_the_open(&self) -> bool {
        let state = self.state();
        let plain = matches!(state.options.get_ssl_mode(), PgSslMode::Disable);
        state.connected && plain && is_far(&state.options)
    }

    /// A new connection. The host that was connected last is tried first.
    pub async fn connect(&self) -> sqlx::Result<PgConnection> {
        let (each, first, wanted) = {
            let state = self.state();
            (state.each.clone(), state.current, state.wanted)
        };
        // On the heap: what waits for a connection would grow by it otherwise.
        match Box::pin(self.try_each(&each, first, wanted)).await {
            Err(_) if wanted == Wanted::PreferStandby => {
                Box::pin(self.try_each(&each, first, Wanted::Any)).await
            }
            tried => tried,
        }
    }

    async fn try_each(
        &self,
        each: &[PgConnectOptions],
        first: usize,
        wanted: Wanted,
    ) -> sqlx::Result<PgConnection> {
        // One that does not answer leaves time for another one.
        let limit = if each.len() > 1 { CONNECT_TIMEOUT / 2 } else { CONNECT_TIMEOUT };
        let (mut last, mut unmet) = (sqlx::Error::PoolTimedOut, false);
        for at in (0..each.len()).map(|step| (first + step) % each.len()) {
            let connecting = async {
                let (mut connection, options) = connect_one(&each[at]).await?;
                let fits = wanted == Wanted::Any || fits(&mut connection, wanted).await?;
                Ok((connection, options, fits))
            };
            let connected: sqlx::Result<_> = match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(sqlx::Error::PoolTimedOut),
            };
            match connected {
                Ok((connection, options, true)) => {
                    self.connected(at, options);
                    return Ok(connection);
                }
                Ok((connection, _, false)) => {
                    super::keeper::close(connection);
                    unmet = true;
                }
                Err(error) if is_of_host(&error) => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(if unmet { sqlx::Error::AnyDriverError(Box::new(wanted.unmet())) } else { last })
    }

    fn connected(&self, at: usize, options: PgConnectOptions) {
        let mut state = self.state();
        // The name may be another one by now.
        let name = state.options.get_application_name().unwrap_or_default().to_owned();
        state.options = Arc::new(options.application_name(&name));
        (state.current, state.connected) = (at, true);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A new connection with these options only.
pub async fn connect_to(options: &PgConnectOptions) -> sqlx::Result<PgConnection> {
    match tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await {
        Ok(connected) => connected,
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

/// Connects to one host, and says with what it was.
async fn connect_one(options: &PgConnectOptions) -> sqlx::Result<(PgConnection, PgConnectOptions)> {
    // The driver does not say which of both came about, nor try the other one.
    let modes: &[PgSslMode] = match options.get_ssl_mode() {
        PgSslMode::Allow => &[PgSslMode::Disable, PgSslMode::Require],
        PgSslMode::Prefer if is_far(options) => &[PgSslMode::Require, PgSslMode::Disable],
        PgSslMode::Prefer => &[PgSslMode::Prefer, PgSslMode::Disable],
        _ => return Ok((PgConnection::connect_with(options).await?, options.clone())),
    };
    let of = |mode: PgSslMode| options.clone().ssl_mode(mode);
    let first = of(modes[0]);
    match PgConnection::connect_with(&first).await {
        Ok(connection) => Ok((connection, first)),
        Err(error) if tls::is_not_offered(&error) => {
            let second = of(modes[1]);
            Ok((PgConnection::connect_with(&second).await?, second))
        }
        // The server asks for TLS, or wants none.
        Err(error) if is_refused_by_hba(&error) => {
            let second = of(modes[1]);
            match PgConnection::connect_with(&second).await {
                Ok(connection) => Ok((connection, second)),
                Err(_) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

async fn fits(connection: &mut PgConnection, wanted: Wanted) -> sqlx::Result<bool> {
    let row = sqlx::raw_sql(STATE).fetch_one(connection).await?;
    Ok(wanted.fits(row.try_get("standby")?, row.try_get("read_only")?))
}

/// Whether another host may be connected where this one is not: as with libpq, not where it
/// refuses the role.
fn is_of_host(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code == "57P03"),
        _ => false,
    }
}

fn is_refused_by_hba(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    let error = error.try_downcast_ref::<PgDatabaseError>();
    error.is_some_and(|error| {
        error.code() == "28000" && error.routine() == Some("ClientAuthentication")
    })
}

/// The host, or the directory of its socket.
pub fn host_of(options: &PgConnectOptions) -> String {
    let socket = options.get_socket().map(|path| path.to_string_lossy().into_owned());
    socket.unwrap_or_else(|| options.get_host().to_owned())
}

/// Whether it is a socket of this machine.
pub fn is_socket(options: &PgConnectOptions) -> bool {
    host_of(options).starts_with('/')
}

/// Whether others can read what goes over the wire: it is neither a socket nor this machine.
fn is_far(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let near = match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    };
    !is_socket(options) && !near
}
