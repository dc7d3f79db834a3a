//! The address of the platform database, whose password nothing here can print.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

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

/// Query parameters that may be shown; any other may be or hold a secret.
const SHOWN_PARAMETERS: [&str; 5] = ["sslmode", "host", "port", "dbname", "application_name"];

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
        if rest.is_empty() || (engine == Engine::Sqlite && rest.starts_with('?')) {
            let missing = if engine == Engine::Sqlite { "the path" } else { "the server" };
            return Err(format!("{missing} is missing after {scheme}://"));
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

    /// Whether the address carries a password.
    pub fn has_password(&self) -> bool {
        self.redacted_url() != self.expose()
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
