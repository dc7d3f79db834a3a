//! Connecting to PostgreSQL, and why a connection could not be made.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};

use super::server::Server;
use super::tls;
use crate::domain::postgres_url::{PostgresUrl, check_env_host, check_ssl_mode};
use crate::{Error, Result};

/// How long to wait for a connection before the database counts as unreachable: four to six answers,
/// each of which may take more than a second on a bad link.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// What a server is told of a console, before anybody has logged in.
pub const CONSOLE: &str = "tenantpilot console";

/// What a server at `url` is connected to with.
///
/// # Errors
/// *Usage* for a URL, or a certificate file it names, that cannot be used.
pub fn options(url: &str, application: &str) -> Result<PgConnectOptions> {
    let parsed = PostgresUrl::parse(url.split_once("://").map_or("", |(_, rest)| rest));
    let form = "its form is postgres://user:password@host:port/database?sslmode=...";
    let unusable =
        |why: &str| Error::usage(format!("the PostgreSQL URL cannot be used: {why}")).hint(form);
    let parsed = parsed.map_err(|why| unusable(&why))?;
    if parsed.parameter(&["sslmode", "ssl-mode"]).is_none()
        && let Ok(mode) = std::env::var("PGSSLMODE")
    {
        check_ssl_mode(&mode).map_err(Error::usage)?;
    }
    if parsed.parameter(&["host", "hostaddr"]).is_none()
        && let Ok(host) = std::env::var("PGHOST")
    {
        check_env_host(&host).map_err(Error::usage)?;
    }
    let mut options: PgConnectOptions =
        parsed.for_driver().parse().map_err(|_| unusable("it is not a URL"))?;
    tls::check_files(&parsed, options.get_ssl_mode())?;
    // As libpq does: a CA that is named is a CA that is meant.
    if matches!(options.get_ssl_mode(), PgSslMode::Require) && tls::names_root(&parsed) {
        options = options.ssl_mode(PgSslMode::VerifyCa);
    }
    if options.get_application_name().is_none_or(str::is_empty) {
        options = options.application_name(application);
    }
    // A pooler refuses what it does not know at start-up, and a statement may hold what is nobody's
    // to read in a log.
    Ok(options.extra_float_digits(None).disable_statement_logging())
}

/// A new connection.
pub async fn connect(options: &PgConnectOptions) -> sqlx::Result<PgConnection> {
    match tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await {
        Ok(connected) => connected,
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

/// Tells the server who is at this console: on new connections, on others with their next transaction,
/// and after a logout on those that are idle. What a URL or the environment says stays.
pub async fn name_user(server: &Server, user: Option<&str>) {
    let keeper = server.keeper();
    let options = keeper.options();
    if !is_consoles(&options) {
        return;
    }
    let name = user.map_or_else(|| CONSOLE.to_owned(), |user| format!("{CONSOLE} {user}"));
    let options = PgConnectOptions::clone(&options).application_name(&name);
    keeper.set_options(options.clone());
    // Who has logged in asks at once, and each transaction brings the name.
    if user.is_some() {
        return;
    }
    let mut idle = Vec::new();
    while let Some(mut connection) = keeper.take_idle().await {
        if sqlx::raw_sql(naming(&options)).execute(&mut connection).await.is_ok() {
            idle.push(connection);
        }
    }
    for connection in idle {
        keeper.put(connection, false);
    }
}

/// What begins a transaction. Where a user has logged in since a connection was made, its name
/// changes with no round trip of its own; outside of the transaction, whose end could take it back.
pub fn opening(options: &PgConnectOptions, statement: String) -> String {
    if !is_consoles(options) {
        return statement;
    }
    let AssertSqlSafe(naming) = naming(options);
    format!("begin; {naming}; end; {statement}")
}

fn is_consoles(options: &PgConnectOptions) -> bool {
    options.get_application_name().is_some_and(|name| name.starts_with(CONSOLE))
}

/// Gives a connection the name that these options have.
pub fn naming(options: &PgConnectOptions) -> AssertSqlSafe<String> {
    let name = options.get_application_name().unwrap_or_default().replace('\'', "''");
    AssertSqlSafe(format!("set application_name = '{name}'"))
}
