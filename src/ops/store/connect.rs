//! Connecting to PostgreSQL, and why a connection could not be made.

use std::path::Path;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _};

use super::hosts::{Hosts, Wanted, host_of, is_socket};
use super::libpq::{self, Login};
use super::server::Server;
use super::tls;
use crate::domain::postgres_url::PostgresUrl;
use crate::{Error, Result};

/// How long to wait for a connection before the database counts as unreachable: four to six answers,
/// each of which may take more than a second on a bad link.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// The port of a server, unless another is said.
const DEFAULT_PORT: u16 = 5432;
/// What a server is told of a console, before anybody has logged in.
pub const CONSOLE: &str = "tenantpilot console";

/// The hosts that `url` leads to, and what they are connected with.
///
/// # Errors
/// *Usage* for a URL, a service, or a certificate file it names, that cannot be used, and where
/// `require_tls` and the URL exclude each other.
pub fn hosts(url: &str, application: &str, require_tls: bool) -> Result<Hosts> {
    let (parsed, each) = places(url)?;
    let mut all = Vec::new();
    for place in &each {
        let mut options: PgConnectOptions =
            place.for_driver().parse().map_err(|_| unusable("it is not a URL"))?;
        if is_socket(&options) {
            // As with libpq, nothing on the way could read it.
            options = options.ssl_mode(PgSslMode::Disable);
        } else if require_tls {
            options = match options.get_ssl_mode() {
                PgSslMode::Disable => {
                    return Err(Error::usage("require_tls is set, and sslmode is disable")
                        .hint("use sslmode=require or verify-full, or a socket of this machine"));
                }
                PgSslMode::Allow | PgSslMode::Prefer => options.ssl_mode(PgSslMode::Require),
                _ => options,
            };
        }
        if matches!(options.get_ssl_mode(), PgSslMode::VerifyFull) {
            tls::check_name(place)?;
        }
        tls::check_files(&parsed, options.get_ssl_mode())?;
        // As libpq does: a CA that is named is a CA that is meant.
        if matches!(options.get_ssl_mode(), PgSslMode::Require) && tls::names_root(&parsed) {
            options = options.ssl_mode(PgSslMode::VerifyCa);
        }
        if options.get_application_name().is_none_or(str::is_empty) {
            options = options.application_name(application);
        }
        // A pooler refuses what it does not know at start-up, and a statement may hold what no log
        // is to hold.
        all.push(options.extra_float_digits(None).disable_statement_logging());
    }
    if parsed.parameter(&["password"]).is_none()
        && let Ok(passwords) = of_file(&parsed, &each, &all)
    {
        for (options, password) in all.iter_mut().zip(passwords) {
            if let Some(password) = password {
                *options = options.clone().password(&password);
            }
        }
    }
    let wanted = parsed.parameter(&["target_session_attrs"]).unwrap_or_default();
    Ok(Hosts::new(all, Wanted::of(wanted)))
}

/// What `url` and what completes it say, and the same for each of its hosts.
fn places(url: &str) -> Result<(PostgresUrl, Vec<PostgresUrl>)> {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let mut parsed = PostgresUrl::parse(rest).map_err(|why| unusable(&why))?;
    libpq::complete(&mut parsed, &libpq::variable)?;
    let mut each = parsed.each_host().map_err(|why| unusable(&why))?;
    for place in &mut each {
        let host = place.parameter(&["hostaddr", "host"]).is_none().then(|| {
            let port = place.parameter(&["port"]).and_then(|port| port.parse().ok());
            libpq::default_host(port.unwrap_or(DEFAULT_PORT))
        });
        let mut add = |key, value: &str| place.complete(key, value).map_err(|why| unusable(&why));
        add("host", &host.unwrap_or_default())?;
        add("port", &DEFAULT_PORT.to_string())?;
    }
    Ok((parsed, each))
}

fn unusable(why: &str) -> Error {
    Error::usage(format!("the PostgreSQL URL cannot be used: {why}"))
        .hint("its form is postgres://user:password@host:port/database?sslmode=...")
}

/// The passwords that the password file has for the hosts. As with libpq, one that has a name and an
/// address is looked up by its name.
fn of_file(
    url: &PostgresUrl,
    places: &[PostgresUrl],
    hosts: &[PgConnectOptions],
) -> Result<Vec<Option<String>>, String> {
    let Some(file) = url.parameter(&["passfile"]) else { return Ok(Vec::new()) };
    let named = places.iter().zip(hosts).map(|(place, options)| {
        let name = place.parameter(&["host"]).filter(|name| !name.is_empty());
        name.filter(|_| place.parameter(&["hostaddr"]).is_some())
            .map_or_else(|| host_of(options), str::to_owned)
    });
    let named: Vec<String> = named.collect();
    let logins: Vec<Login<'_>> = hosts
        .iter()
        .zip(&named)
        .map(|(options, host)| Login {
            host,
            port: options.get_port(),
            database: options.get_database().unwrap_or(options.get_username()),
            user: options.get_username(),
        })
        .collect();
    libpq::passwords(Path::new(file), &logins)
}

/// Why the password file that `url` needs is not used; none where it is, or is not needed.
pub fn ignored_password_file(url: &str) -> Option<String> {
    let (parsed, _) = places(url).ok()?;
    let file = parsed.parameter(&["passfile"]);
    let needed = file.filter(|_| parsed.parameter(&["password"]).is_none())?;
    libpq::passwords(Path::new(needed), &[]).err()
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
    keeper.hosts().name_application(&name);
    let options = keeper.options();
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
