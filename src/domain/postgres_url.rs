//! The address of a PostgreSQL database, taken apart before the driver sees it.
//!
//! The driver takes a raw `#`, `/` or `?` of a password for the end of the host and then connects
//! somewhere else or says something else, keeps the brackets of an IPv6 address, and needs a host
//! after a user name. So the address is checked here, and handed on as parameters only.

use std::net::Ipv6Addr;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The parameters that the driver knows. It ignores others, and what they were to say.
const KNOWN: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// Parameters of libpq's that the driver does not know.
const OTHERS: [&str; 12] = [
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "fallback_application_name",
    "gssencmode",
    "keepalives",
    "load_balance_hosts",
    "passfile",
    "require_auth",
    "service",
    "sslnegotiation",
    "target_session_attrs",
];

/// The driver's other names of parameters.
const ALIASES: [(&str, &str); 5] = [
    ("ssl-ca", "sslrootcert"),
    ("ssl-cert", "sslcert"),
    ("ssl-key", "sslkey"),
    ("ssl-mode", "sslmode"),
    ("ssl-root-cert", "sslrootcert"),
];

const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

const SEVERAL_HOSTS: &str = "it names several hosts; only one is supported";

/// What an address says, in the order in which it counts: a parameter wins.
pub struct PostgresUrl {
    parameters: Vec<(String, String)>,
}

impl PostgresUrl {
    /// Takes an address apart, without its `postgres://`.
    ///
    /// # Errors
    /// Why it cannot be used. The text never repeats a part of the address.
    pub fn parse(rest: &str) -> Result<Self, String> {
        if rest.contains('#') {
            return Err(raw("#", "%23"));
        }
        let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = before.split_once('/').unwrap_or((before, ""));
        if database.contains('@') {
            return Err(raw("/\" or \"@", "%2F and %40"));
        }
        let is_known = |key: &str| KNOWN.contains(&key) || key.starts_with("options[");
        let query: Vec<(&str, &str)> = query
            .split('&')
            .filter(|parameter| !parameter.is_empty())
            .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
            .collect();
        let is_odd = |(key, value): &(&str, &str)| {
            !is_known(key) && (key.contains('@') || value.contains('@'))
        };
        if query.iter().any(is_odd) {
            return Err(raw("?\" or \"@", "%3F and %40"));
        }
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        let mut parameters = Vec::new();
        if let Some(user) = user {
            let (name, password) = user.split_once(':').map_or((user, None), |(n, p)| (n, Some(p)));
            push(&mut parameters, "user", name)?;
            push(&mut parameters, "password", password.unwrap_or_default())?;
        }
        let (host, port) = host_and_port(place)?;
        push(&mut parameters, "host", &host)?;
        push(&mut parameters, "port", port)?;
        push(&mut parameters, "dbname", database)?;
        for (index, (key, value)) in query.iter().enumerate() {
            let value = decoded(&value.replace('+', " "))?;
            if !is_known(key) {
                return Err(unknown(key, index + 1));
            }
            if query.iter().take(index).any(|(before, _)| plain(before) == plain(key)) {
                return Err(format!("it says {} twice", plain(key)));
            }
            check(key, &value)?;
            parameters.push(((*key).to_owned(), value));
        }
        let own = Self { parameters };
        let several = |name| own.parameter(&[name]).is_some_and(|host| host.contains(','));
        if several("host") || several("hostaddr") {
            return Err(SEVERAL_HOSTS.to_owned());
        }
        Ok(own)
    }

    /// The value of the parameter that has one of these names.
    pub fn parameter(&self, names: &[&str]) -> Option<&str> {
        let mut found = self.parameters.iter().rev();
        found.find(|(key, _)| names.contains(&key.as_str())).map(|(_, value)| value.as_str())
    }

    /// The address in a form that the driver reads as it is meant.
    pub fn for_driver(&self) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let parameters: Vec<String> = self
            .parameters
            .iter()
            .map(|(key, value)| format!("{}={}", encoded(key), encoded(value)))
            .collect();
        format!("postgres:///?{}", parameters.join("&"))
    }
}

/// The one name of a parameter that may have several.
fn plain(key: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == key).map_or(key, |(_, name)| name)
}

/// Why a parameter is refused. What may be a part of a password is not repeated.
fn unknown(key: &str, place: usize) -> String {
    let same = |known: &&&str| known.eq_ignore_ascii_case(key);
    if let Some(name) = KNOWN.iter().find(same) {
        return format!("it says {key}; the parameter is called {name}");
    }
    if let Some(name) = OTHERS.iter().find(same) {
        return format!("its parameter {name} is not supported; leave it out");
    }
    format!("parameter {place} after its \"?\" is not known; there are {}", KNOWN.join(", "))
}

/// Refuses several hosts, as the environment names them: the driver would look for one of that name.
///
/// # Errors
/// With what is supported.
pub fn check_env_host(hosts: &str) -> Result<(), String> {
    if hosts.contains(',') {
        return Err("PGHOST names several hosts; only one is supported".to_owned());
    }
    Ok(())
}

/// Refuses a mode of TLS that there is not, as the environment says it: the driver would take its
/// usual one.
///
/// # Errors
/// With what it may be.
pub fn check_ssl_mode(mode: &str) -> Result<(), String> {
    if mode.is_empty() || SSL_MODES.contains(&mode) {
        return Ok(());
    }
    Err(format!("PGSSLMODE is not one of {}", SSL_MODES.join(", ")))
}

fn raw(what: &str, instead: &str) -> String {
    format!("it holds a raw \"{what}\"; percent-encode it as {instead}")
}

/// Adds a part of the address, unless it is empty: then what the environment says counts.
fn push(parameters: &mut Vec<(String, String)>, key: &str, part: &str) -> Result<(), String> {
    let value = decoded(part)?;
    if !value.is_empty() {
        parameters.push((key.to_owned(), value));
    }
    Ok(())
}

fn decoded(part: &str) -> Result<String, String> {
    let escaped = |after: &str| after.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !part.split('%').skip(1).all(escaped) {
        return Err(raw("%", "%25"));
    }
    match percent_decode_str(part).decode_utf8() {
        Ok(text) if text.contains('\0') => Err("it holds a null character".to_owned()),
        Ok(text) => Ok(text.into_owned()),
        Err(_) => {
            Err("its percent-encoding is not UTF-8; a raw \"%\" is written as %25".to_owned())
        }
    }
}

/// The host, percent-encoded, without the brackets of an IPv6 address; and the port, if any.
fn host_and_port(place: &str) -> Result<(String, &str), String> {
    if place.contains(',') {
        return Err(SEVERAL_HOSTS.to_owned());
    }
    let (host, port) = if let Some(rest) = place.strip_prefix('[') {
        let Some((host, port)) = rest.split_once(']') else {
            return Err("the bracket of its IPv6 address is not closed".to_owned());
        };
        // The zone of a link-local address: fe80::1%25eth0.
        let (address, zone) = host.split_once('%').map_or((host, None), |(a, z)| (a, Some(z)));
        if address.parse::<Ipv6Addr>().is_err() {
            return Err("what stands in brackets is not an IPv6 address".to_owned());
        }
        let zone = zone.map(|zone| format!("%25{}", zone.strip_prefix("25").unwrap_or(zone)));
        (format!("{address}{}", zone.unwrap_or_default()), port)
    } else if place.contains(['[', ']']) {
        return Err("the brackets of an IPv6 address stand around all of it".to_owned());
    } else {
        let (host, port) = place.find(':').map_or((place, ""), |at| place.split_at(at));
        if let Some(more) = port.strip_prefix(':').filter(|port| port.contains(':')) {
            return Err(of_colons(place, more).to_owned());
        }
        if host.chars().any(char::is_whitespace) {
            return Err("its host holds a space".to_owned());
        }
        if host.is_empty() && !port.is_empty() {
            return Err("its host is missing before the port".to_owned());
        }
        (host.to_owned(), port)
    };
    match port.strip_prefix(':') {
        Some(port) => check("port", port).map(|()| (host, port)),
        None if port.is_empty() => Ok((host, "")),
        None => Err("a port starts with a colon: [::1]:5432".to_owned()),
    }
}

/// What is wrong with a place that has several colons outside of brackets; `rest` follows the first.
fn of_colons(place: &str, rest: &str) -> &'static str {
    let address = place.split('%').next().unwrap_or(place);
    let is_hex = address.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '.'));
    if is_hex && (address.contains("::") || address.matches(':').count() > 6) {
        "an IPv6 address stands in brackets: [::1]"
    } else if rest.starts_with(':') || rest.ends_with(':') {
        "it holds a colon too many; its form is host:port"
    } else {
        "it holds two ports; its form is host:port"
    }
}

fn check(key: &str, value: &str) -> Result<(), String> {
    match key {
        "host" if value.is_empty() => Err("its host is empty".to_owned()),
        "port" => check_port(value),
        "sslmode" | "ssl-mode" if !SSL_MODES.contains(&value) => {
            Err(format!("its sslmode is not one of {}", SSL_MODES.join(", ")))
        }
        "hostaddr" if !value.contains(',') && value.parse::<std::net::IpAddr>().is_err() => {
            Err("its hostaddr is not an IP address".to_owned())
        }
        "statement-cache-capacity" if value.parse::<usize>().is_err() => {
            Err("its statement-cache-capacity is not a number".to_owned())
        }
        _ => Ok(()),
    }
}

fn check_port(value: &str) -> Result<(), String> {
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    let is_list = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b',');
    let why = match value.parse::<u16>() {
        _ if value.is_empty() => "its port is missing",
        _ if is_list && !is_number => "it names several ports; only one is supported",
        _ if !is_number => {
            "its port is not a number; percent-encode special characters of a password"
        }
        Ok(1..) => return Ok(()),
        _ => "its port is out of range; ports go from 1 to 65535",
    };
    Err(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(rest: &str) -> Vec<(String, String)> {
        PostgresUrl::parse(rest).unwrap_or_else(|why| panic!("{rest}: {why}")).parameters
    }

    #[test]
    fn every_part_reaches_the_driver_as_it_is_meant() {
        let all = told("a%40b:p%2F%23%25%3F@[fe80::1%25eth0]:5433/x%20y?sslmode=require&host=db");
        let of = |key: &str| all.iter().find(|(k, _)| k == key).unwrap().1.as_str();
        assert_eq!((of("user"), of("password")), ("a@b", "p/#%?"));
        assert_eq!((of("host"), of("port"), of("dbname")), ("fe80::1%eth0", "5433", "x y"));
        assert_eq!(PostgresUrl { parameters: all }.parameter(&["host"]), Some("db"));
        assert_eq!(told("[::1]/x")[0], ("host".to_owned(), "::1".to_owned()));
        assert_eq!(told("%2Frun%2Fpg/x")[0], ("host".to_owned(), "/run/pg".to_owned()));
        // A second @ belongs to the password, and without a host the default one is meant.
        assert_eq!(told("u:p@q@h/x")[1], ("password".to_owned(), "p@q".to_owned()));
        assert_eq!(told("u:p@/x")[2].0, "dbname");
        assert!(told("").is_empty());
    }

    #[test]
    fn the_driver_reads_back_what_was_meant() {
        use sqlx::postgres::PgConnectOptions;
        let url = PostgresUrl::parse("a%2Bb:p@[::1]:5433/x%2Fy?application_name=a%26b+c").unwrap();
        let options: PgConnectOptions = url.for_driver().parse().unwrap();
        assert_eq!((options.get_host(), options.get_port()), ("::1", 5433));
        assert_eq!((options.get_username(), options.get_database()), ("a+b", Some("x/y")));
        assert_eq!(options.get_application_name(), Some("a&b c"));
    }

    #[test]
    fn a_mode_of_tls_that_there_is_not_is_refused() {
        assert!(check_ssl_mode("").is_ok() && check_ssl_mode("verify-full").is_ok());
        assert!(check_ssl_mode("verify_full").unwrap_err().contains("verify-full"));
    }

    #[test]
    fn what_must_be_encoded_is_named() {
        for (rest, part) in [
            ("u:s3#cret@h/x", "%23"),
            ("u:5#cret@h/x", "%23"),
            ("u:s3/cret@h/x", "%2F"),
            ("u:5/cret@h/x", "%2F"),
            ("u:s3?cret@h/x", "%3F"),
            ("u:5?cret=1@h/x", "%3F"),
            ("u:s3%cret@h/x", "%25"),
            ("u:s3cret%e9@h/x", "%25"),
            ("u:s3/cret", "percent-encode"),
            ("u:s3cret%00@h/x", "null"),
            ("u:s3cret@::1/x", "brackets: [::1]"),
            ("u:s3cret@[::1/x", "not closed"),
            ("u:s3cret@[db]/x", "not an IPv6 address"),
            ("u:s3cret@[::1]5432/x", "colon"),
            ("u:s3cret@h:0/x", "from 1 to 65535"),
            ("u:s3cret@h:99999/x", "from 1 to 65535"),
            ("u:s3cret@h:123456789012345678901234567890/x", "from 1 to 65535"),
            ("u:s3cret@[::1]:65536/x", "from 1 to 65535"),
            ("u:s3cret@h/x?port=70000", "from 1 to 65535"),
            ("u:s3cret@h:-1/x", "not a number"),
            ("u:s3cret@h:+5432/x", "not a number"),
            ("u:s3cret@h: 5432/x", "not a number"),
            ("u:s3cret@h:5432a/x", "not a number"),
            ("u:s3cret@h:/x", "port is missing"),
            ("u:s3cret@[::1]:/x", "port is missing"),
            ("u:s3cret@h/x?port=", "port is missing"),
            ("u:s3cret@h/x?host=", "host is empty"),
            ("u:s3cret@:5432/x", "host is missing"),
            ("u:s3cret@h:5432:99/x", "two ports"),
            ("u:s3cret@10.0.0.1:5432:99/x", "two ports"),
            ("u:s3cret@h::5432/x", "a colon too many"),
            ("u:s3cret@h:5432:/x", "a colon too many"),
            ("u:s3cret@fe80:0:0:0:0:0:0:1/x", "brackets: [::1]"),
            ("u:s3cret@fe80::1%eth0:5432/x", "brackets: [::1]"),
            ("u:s3cret@::1]:5432/x", "around all of it"),
            ("u:s3cret@h]/x", "around all of it"),
            ("u:s3cret@h[::1]/x", "around all of it"),
            ("u:s3cret@my host/x", "a space"),
            ("u:s3cret@ /x", "a space"),
            ("u:s3cret@h1:1,h2:2/x", "several hosts"),
            ("u:s3cret@h%2Ch2/x", "several hosts"),
            ("u:s3cret@/x?host=a,b", "several hosts"),
            ("u:s3cret@h/x?host=/run/a,/run/b", "several hosts"),
            ("u:s3cret@h/x?hostaddr=10.0.0.1,10.0.0.2", "several hosts"),
            ("u:s3cret@h/x?port=5432,5433", "several ports"),
            ("u:s3cret@h/x?sslmode=s3cret", "verify-full"),
            ("u:s3cret@h/x?SSLMODE=verify-full", "is called sslmode"),
            ("u:s3cret@h/x?channel_binding=require", "channel_binding is not supported"),
            ("u:s3cret@h/x?sslmode=verify-full&ssl-mode=disable", "sslmode twice"),
            ("u:s3cret@h/x?sslrootcert=/y&ssl-ca=/x", "sslrootcert twice"),
            ("u:s3cret@h/x?foo=bar", "parameter 1 after its \"?\" is not known"),
            ("u:s3cret@h/x?sslmode=require&s3cret", "parameter 2 after its \"?\" is not known"),
            ("u:s3cret@h/x?sslmode=require&sslmode=disable", "sslmode twice"),
            ("u:s3cret@h/x?hostaddr=s3cret", "hostaddr"),
            ("u:s3cret@h/x?port=s3cret", "not a number"),
            ("u:s3cret@h/x?statement-cache-capacity=s3cret", "capacity"),
        ] {
            let why = PostgresUrl::parse(rest).err().unwrap_or_else(|| panic!("{rest} was taken"));
            assert!(why.contains(part) && !why.contains("cret"), "{rest}: {why}");
        }
    }
}
