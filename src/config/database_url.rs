//! The address of the platform database, whose password nothing here can print.

use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::domain::identity::hex;
use crate::domain::postgres_url::PostgresUrl;
use crate::domain::safe_text::quoted;

/// Which engine an address speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A PostgreSQL server.
    Postgres,
    /// An embedded SQLite file.
    Sqlite,
}

/// `postgres://...`, `postgresql://...` or `sqlite://path`.
#[derive(Clone)]
pub struct DatabaseUrl {
    secret: SecretString,
    engine: Engine,
}

/// Where a console hears of changes.
#[derive(Debug, Clone)]
pub enum ListenUrl {
    /// Nowhere: it only asks.
    None,
    /// At this address of the same database.
    At(DatabaseUrl),
}

impl ListenUrl {
    /// Checks the form, as [`DatabaseUrl::parse`] does.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim() == "none" {
            return Ok(Self::None);
        }
        let url = DatabaseUrl::parse(text)?;
        match url.engine() {
            Engine::Postgres => Ok(Self::At(url)),
            Engine::Sqlite => Err("only a PostgreSQL server sends notifications".to_owned()),
        }
    }
}

/// Query parameters that may be shown; any other may be or hold a secret.
const SHOWN_PARAMETERS: [&str; 7] =
    ["sslmode", "host", "port", "dbname", "application_name", "service", "target_session_attrs"];

/// Variables that a PostgreSQL address without these parts is completed with.
const COMPLETING: [&str; 7] =
    ["PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE", "PGSERVICEFILE"];

impl DatabaseUrl {
    /// Checks the form. The reason of a refusal never repeats the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.chars().any(char::is_control) {
            return Err("the address holds a control character".to_owned());
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err("this is not a database address".to_owned());
        };
        let engine = match scheme {
            "postgres" | "postgresql" => Engine::Postgres,
            "sqlite" => Engine::Sqlite,
            other if is_scheme(other) => {
                return Err(format!("databases of kind \"{other}\" are not supported"));
            }
            _ => return Err("this is not a database address".to_owned()),
        };
        if engine == Engine::Sqlite && (rest.is_empty() || rest.starts_with('?')) {
            return Err("the path is missing after sqlite://".to_owned());
        }
        match engine {
            Engine::Postgres => PostgresUrl::parse(rest).map(drop)?,
            Engine::Sqlite => only_a_path(rest)?,
        }
        Ok(Self { secret: SecretString::from(text.to_owned()), engine })
    }

    /// The engine it speaks of.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// The whole address, password included: for connecting, never for showing.
    pub fn expose(&self) -> &str {
        self.secret.expose_secret()
    }

    /// A digest that differs between any two databases, by which private files keep them apart.
    /// `variable` looks up what an address is completed with.
    pub fn digest(&self, variable: impl Fn(&str) -> Option<String>) -> String {
        let mut hash = Sha256::new();
        match self.engine {
            Engine::Sqlite => {
                // The same relative path is another file in another directory.
                let path = self.expose().trim_start_matches("sqlite://");
                let full = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path));
                let full = full.unwrap_or_else(|_| PathBuf::from(path));
                hash.update(b"sqlite\0");
                hash.update(full.as_os_str().as_encoded_bytes());
            }
            Engine::Postgres => {
                let shown = self.redacted_url();
                // A new password does not make another database; a hidden part may.
                let whole = shown.replacen(":***@", "@", 1).contains("***");
                hash.update(if whole { self.expose() } else { &shown });
                for name in COMPLETING {
                    let value = variable(name);
                    // Without a service the digest is as it was before there were any.
                    if value.is_some() || !name.starts_with("PGSERVICE") {
                        hash.update(format!("\0{name}={}", value.unwrap_or_default()));
                    }
                }
            }
        }
        hex(&hash.finalize())
    }

    /// Whether the address carries a password.
    pub fn has_password(&self) -> bool {
        let rest = self.expose().split_once("://").map_or("", |(_, rest)| rest);
        let parsed = (self.engine == Engine::Postgres).then(|| PostgresUrl::parse(rest).ok());
        let parsed = parsed.flatten();
        let password = parsed.as_ref().and_then(|url| url.parameter(&["password"]));
        password.is_some_and(|password| !password.is_empty())
    }

    /// The address without what may be secret. When in doubt where the password ends, nothing
    /// but the scheme is shown.
    pub fn redacted_url(&self) -> String {
        let Some((scheme, rest)) = self.expose().split_once("://") else { return String::new() };
        if self.engine == Engine::Sqlite {
            return format!("{scheme}://{rest}");
        }
        let (user, rest) = match rest.rsplit_once('@') {
            None => (String::new(), rest),
            // An "@" in a parameter or an unescaped "/" in a password look alike.
            Some((userinfo, _)) if userinfo.contains(['/', '?', '#']) => {
                return format!("{scheme}://***");
            }
            Some((userinfo, rest)) => match userinfo.split_once(':') {
                Some((user, _)) => (format!("{user}:***@"), rest),
                None => (format!("{userinfo}@"), rest),
            },
        };
        let (place, query) = match rest.split_once('?') {
            None => (rest, String::new()),
            Some((place, query)) => {
                let shown: Vec<String> = query.split('&').map(shown_parameter).collect();
                (place, format!("?{}", shown.join("&")))
            }
        };
        format!("{scheme}://{user}{place}{query}")
    }
}

/// Refuses what would be taken for a part of the file's name. No parameter of SQLite is supported.
fn only_a_path(rest: &str) -> Result<(), String> {
    let Some((_, query)) = rest.split_once('?') else { return Ok(()) };
    let name = query.split(['=', '&']).next().unwrap_or_default();
    Err(format!("its parameter {} is not supported; its form is sqlite://PATH", quoted(name)))
}

fn shown_parameter(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((key, _)) if SHOWN_PARAMETERS.contains(&key) => parameter.to_owned(),
        Some((key, _)) => format!("{key}=***"),
        None => "***".to_owned(),
    }
}

fn is_scheme(text: &str) -> bool {
    (1..=16).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '+')
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted_url())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({})", self.redacted_url())
    }
}

impl PartialEq for DatabaseUrl {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for DatabaseUrl {}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(url: &str) -> String {
        DatabaseUrl::parse(url).unwrap().digest(|_| None)
    }

    #[test]
    fn a_password_is_told_from_what_is_only_hidden() {
        let carries = |url: &str| DatabaseUrl::parse(url).unwrap().has_password();
        for url in [
            "postgres://ana:one@db/platform",
            "postgres://ana@db/platform?password=one",
            "postgres://db/platform?sslcert=/a&password=one",
        ] {
            assert!(carries(url), "{url}");
        }
        for url in [
            "postgres://db/platform?hostaddr=10.0.0.1",
            "postgres://ana@db/platform?sslrootcert=/ca.pem&options=-c%20jit%3Doff",
            "postgres://ana:@db/platform?statement-cache-capacity=1",
            "postgres://ana@db/platform?password=",
            "sqlite:///a:b@c",
        ] {
            assert!(!carries(url), "{url}");
        }
    }

    #[test]
    fn a_new_password_is_the_same_database_and_anything_else_another() {
        let base = key_of("postgres://ana:one@db/platform");
        assert_eq!(base, key_of("postgres://ana:two@db/platform"));
        for other in [
            "postgres://ana:one@db/other",
            "postgres://ana:one@db2/platform",
            "postgres://ana:one@db/platform?hostaddr=10.0.0.1",
            "postgres://eva:one@db/platform",
        ] {
            assert_ne!(base, key_of(other), "{other}");
        }
        let hidden = "postgres://db/platform?hostaddr=10.0.0.";
        assert_ne!(key_of(&format!("{hidden}1")), key_of(&format!("{hidden}2")));
        let elsewhere = DatabaseUrl::parse("postgres:///platform").unwrap();
        let host = |host: &'static str| {
            elsewhere.digest(move |name| (name == "PGHOST").then(|| host.to_owned()))
        };
        assert_ne!(host("a"), host("b"));
    }
}
