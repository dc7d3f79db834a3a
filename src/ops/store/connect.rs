//! Connecting to PostgreSQL, and why a connection could not be made.

use std::borrow::Cow;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres};

use super::database::ConnectionLimits;
use super::tls;
use crate::domain::postgres_url::PostgresUrl;
use crate::{Error, Result};

/// How long to wait for a connection before the database counts as unreachable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long it is looked up then why.
const LOOK: Duration = Duration::from_millis(700);
/// What a server is told of a console, before anybody has logged in.
pub const CONSOLE: &str = "tenantpilot console";

/// A pool for `url`; no connection is made yet.
///
/// # Errors
/// *Usage* for a URL, or a certificate file it names, that cannot be used.
pub fn postgres(url: &str, limits: &ConnectionLimits, application: &str) -> Result<PgPool> {
    let parsed = PostgresUrl::parse(url.split_once("://").map_or("", |(_, rest)| rest));
    let form = "its form is postgres://user:password@host:port/database?sslmode=...";
    let unusable =
        |why: &str| Error::usage(format!("the PostgreSQL URL cannot be used: {why}")).hint(form);
    let parsed = parsed.map_err(|why| unusable(&why))?;
    let mut options: PgConnectOptions =
        parsed.for_driver().parse().map_err(|_| unusable("it is not a URL"))?;
    tls::check_files(&parsed, options.get_ssl_mode())?;
    if options.get_application_name().is_none_or(str::is_empty) {
        options = options.application_name(application);
    }
    let limited = [
        ("idle_in_transaction_session_timeout", limits.idle_in_transaction),
        ("statement_timeout", limits.statement),
        ("lock_timeout", limits.lock),
    ];
    for (name, limit) in limited {
        if let Some(limit) = limit {
            options = options.options([(name, limit.as_millis().to_string())]);
        }
    }
    Ok(PgPoolOptions::new()
        .max_connections(limits.connections)
        .min_connections(0)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options))
}

/// A connection of the pool. The pool tries again where a server has no room or is starting, and
/// then only says that time is up; so the reason is looked up.
pub async fn acquire(pool: &PgPool) -> sqlx::Result<PoolConnection<Postgres>> {
    match pool.acquire().await {
        // With all connections in use, one more would be one too many.
        Err(sqlx::Error::PoolTimedOut) if pool.size() < pool.options().get_max_connections() => {
            Err(reason(pool).await)
        }
        acquired => acquired,
    }
}

async fn reason(pool: &PgPool) -> sqlx::Error {
    let options = pool.connect_options();
    match tokio::time::timeout(LOOK, PgConnection::connect_with(&options)).await {
        Ok(Err(error)) => error,
        Ok(Ok(connection)) => {
            // How it ends makes no difference.
            let _ = connection.close().await;
            sqlx::Error::PoolTimedOut
        }
        Err(_) => sqlx::Error::PoolTimedOut,
    }
}

/// Tells the server who is at this console, on connections that are idle and on new ones; those in
/// use follow with their next transaction. What a URL or the environment says stays.
pub async fn name_user(pool: &PgPool, user: Option<&str>) {
    let options = pool.connect_options();
    if !options.get_application_name().is_some_and(|name| name.starts_with(CONSOLE)) {
        return;
    }
    let name = user.map_or_else(|| CONSOLE.to_owned(), |user| format!("{CONSOLE} {user}"));
    let options = PgConnectOptions::clone(&options).application_name(&name);
    pool.set_connect_options(options.clone());
    let mut idle = Vec::new();
    while let Some(connection) = pool.try_acquire() {
        idle.push(connection);
    }
    for mut connection in idle {
        if sqlx::raw_sql(naming(&options)).execute(&mut *connection).await.is_err() {
            connection.close_on_drop();
        }
    }
}

/// What begins a transaction of this pool. Where a user has logged in since a connection was made,
/// its name changes with no round trip of its own; outside of the transaction, whose end could
/// take it back.
pub fn opening(pool: &PgPool, statement: &'static str) -> Cow<'static, str> {
    let options = pool.connect_options();
    if !options.get_application_name().is_some_and(|name| name.starts_with(CONSOLE)) {
        return statement.into();
    }
    let AssertSqlSafe(naming) = naming(&options);
    format!("begin; {naming}; end; {statement}").into()
}

/// Gives a connection the name that these options have.
pub fn naming(options: &PgConnectOptions) -> AssertSqlSafe<String> {
    let name = options.get_application_name().unwrap_or_default().replace('\'', "''");
    AssertSqlSafe(format!("set application_name = '{name}'"))
}
