//! The address of a PostgreSQL database, taken apart before the driver sees it.
//!
//! The driver takes a raw `#`, `/` or `?` of a password for the end of the host and then connects
//! somewhere else or says something else, keeps the brackets of an IPv6 address, and needs a host
//! after a user name. So the address is checked here, and handed on as parameters only.

use std::net::Ipv6Addr;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The parameters that are known.
const KNOWN: [&str; 21] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "passfile",
    "password",
    "port",
    "service",
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
    "target_session_attrs",
    "user",
];

/// Those of them that the driver does not know: it ignores them, and what they were to say.
const OWN: [&str; 3] = ["passfile", "service", "target_session_attrs"];

/// Parameters of libpq's that make no difference to which server is reached how securely, and have no
/// effect.
pub const IGNORED: [&str; 9] = [
    "client_encoding",
    "connect_timeout",
    "fallback_application_name",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "tcp_user_timeout",
];

/// Parameters of libpq's that ask how a connection is protected, their variables, and the values that
/// every connection of this program is in keeping with.
pub const DEMANDS: [(&str, &str, &[&str]); 13] = [
    ("channel_binding", "PGCHANNELBINDING", &["prefer", "disable"]),
    ("gssencmode", "PGGSSENCMODE", &["prefer", "disable"]),
    ("max_protocol_version", "PGMAXPROTOCOLVERSION", &["3.0", "3.2", "latest"]),
    ("min_protocol_version", "PGMINPROTOCOLVERSION", &["3.0"]),
    ("require_auth", "PGREQUIREAUTH", &[]),
    ("requirepeer", "PGREQUIREPEER", &[]),
    ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", &["TLSv1.3"]),
    ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", &["TLSv1", "TLSv1.1", "TLSv1.2"]),
    ("sslcertmode", "PGSSLCERTMODE", &["allow"]),
    ("sslcrl", "PGSSLCRL", &[]),
    ("sslcrldir", "PGSSLCRLDIR", &[]),
    ("sslnegotiation", "PGSSLNEGOTIATION", &["postgres"]),
    ("sslsni", "PGSSLSNI", &["1"]),
];

/// Whether a parameter asks for a protection, and why its value is refused, as it follows a name.
pub fn demand(key: &str, value: &str) -> Option<Result<(), String>> {
    let (_, _, kept) = DEMANDS.iter().find(|(name, ..)| *name == key)?;
    let is_kept = value.is_empty() || kept.iter().any(|kept| kept.eq_ignore_ascii_case(value));
    let other = match kept {
        [] => String::new(),
        kept => format!(" except with {}", kept.join(" or ")),
    };
    Some(is_kept.then_some(()).ok_or_else(|| format!("is not supported{other}")))
}

/// The driver's other names of parameters.
const ALIASES: [(&str, &str); 5] = [
    ("ssl-ca", "sslrootcert"),
    ("ssl-cert", "sslcert"),
    ("ssl-key", "sslkey"),
    ("ssl-mode", "sslmode"),
    ("ssl-root-cert", "sslrootcert"),
];

const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// Which server is meant, where there are several.
pub const SESSION_ATTRS: [&str; 6] =
    ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"];

/// What an address says, in the order in which it counts: a parameter wins.
#[derive(Clone)]
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
        let places: Vec<(String, &str)> =
            place.split(',').map(host_and_port).collect::<Result<_, _>>()?;
        let hosts: Vec<&str> = places.iter().map(|(host, _)| host.as_str()).collect();
        if hosts.len() > 1 && hosts.contains(&"") {
            return Err("one of its hosts is empty".to_owned());
        }
        push(&mut parameters, "host", &hosts.join(","))?;
        if places.iter().any(|(_, port)| !port.is_empty()) {
            let ports: Vec<&str> = places.iter().map(|(_, port)| *port).collect();
            push(&mut parameters, "port", &ports.join(","))?;
        }
        push(&mut parameters, "dbname", database)?;
        for (index, (key, value)) in query.iter().enumerate() {
            let value = decoded(&value.replace('+', " "))?;
            if let Some(met) = demand(key, &value) {
                met.map_err(|why| format!("its parameter {key} {why}; leave it out"))?;
                continue;
            }
            if IGNORED.contains(key) {
                continue;
            }
            if !is_known(key) {
                return Err(unknown(key, index + 1));
            }
            if query.iter().take(index).any(|(before, _)| plain(before) == plain(key)) {
                return Err(format!("it says {} twice", plain(key)));
            }
            check(key, &value).map_err(|why| format!("its {} {why}", plain(key)))?;
            parameters.push(((*key).to_owned(), value));
        }
        Ok(Self { parameters })
    }

    /// Adds what is not said yet.
    ///
    /// # Errors
    /// What is wrong with the value, as it follows a name.
    pub fn complete(&mut self, key: &str, value: &str) -> Result<(), String> {
        let is_said = self.parameters.iter().any(|(said, _)| plain(said) == key);
        if !is_said && !value.is_empty() {
            check(key, value)?;
            self.parameters.push((key.to_owned(), value.to_owned()));
        }
        Ok(())
    }

    /// The same for each of its hosts, in their order; the host may still be missing.
    ///
    /// # Errors
    /// For numbers of hosts, addresses and ports that do not fit.
    pub fn each_host(&self) -> Result<Vec<Self>, String> {
        let list = |name| -> Vec<&str> {
            self.parameter(&[name]).map(|text| text.split(',').collect()).unwrap_or_default()
        };
        let (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
        let count = hosts.len().max(addresses.len()).max(1);
        let fits = |all: &[&str]| all.is_empty() || all.len() == count;
        if !fits(&hosts) || !fits(&addresses) {
            return Err("its numbers of hosts and of addresses do not fit".to_owned());
        }
        if ports.len() > 1 && ports.len() != count {
            return Err(format!("it names {} ports for {count} hosts", ports.len()));
        }
        let of_place = |key: &str| matches!(key, "host" | "hostaddr" | "port");
        let rest = self.parameters.iter().filter(|(key, _)| !of_place(key));
        let rest: Vec<(String, String)> = rest.cloned().collect();
        let each = (0..count).map(|at| {
            let mut parameters = rest.clone();
            let mut add = |key: &str, value: Option<&&str>| {
                if let Some(value) = value.filter(|value| !value.is_empty()) {
                    parameters.push((key.to_owned(), (*value).to_owned()));
                }
            };
            add("host", hosts.get(at));
            add("hostaddr", addresses.get(at));
            add("port", ports.get(at).or_else(|| ports.first().filter(|_| ports.len() == 1)));
            Self { parameters }
        });
        Ok(each.collect())
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
            .filter(|(key, _)| !OWN.contains(&key.as_str()))
            .map(|(key, value)| format!("{}={}", encoded(key), encoded(value)))
            .collect();
        // Without a password it would look for a password file by itself.
        format!("postgres:///?password=&{}", parameters.join("&"))
    }
}

/// The one name of a parameter that may have several.
fn plain(key: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == key).map_or(key, |(_, name)| name)
}

/// Why a parameter is refused. What may be a part of a password is not repeated.
fn unknown(key: &str, place: usize) -> String {
    let same = |known: &&&str| known.eq_ignore_ascii_case(key);
    if let Some(name) = KNOWN.iter().chain(&IGNORED).find(same) {
        return format!("it says {key}; the parameter is called {name}");
    }
    if let Some(name) = DEMANDS.iter().map(|(name, ..)| name).find(same) {
        return format!("its parameter {name} is not supported; leave it out");
    }
    format!("parameter {place} after its \"?\" is not known; there are {}", KNOWN.join(", "))
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
        Some("") => Err("its port is missing".to_owned()),
        Some(port) => match check_port(port) {
            Ok(()) => Ok((host, port)),
            Err(why) if why.ends_with("number") => {
                Err(format!("its port {why}; percent-encode special characters of a password"))
            }
            Err(why) => Err(format!("its port {why}")),
        },
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

/// What is wrong with a value, as it follows the name of the parameter.
fn check(key: &str, value: &str) -> Result<(), String> {
    let one_of = |words: &[&str]| {
        let fits = words.contains(&value);
        fits.then_some(()).ok_or_else(|| format!("is not one of {}", words.join(", ")))
    };
    match key {
        "host" if value.is_empty() => Err("is empty".to_owned()),
        "host" if value.contains(',') && value.split(',').any(str::is_empty) => {
            Err("names an empty one".to_owned())
        }
        "port" if value.is_empty() => Err("is missing".to_owned()),
        "port" => value.split(',').filter(|port| !port.is_empty()).try_for_each(check_port),
        "sslmode" | "ssl-mode" => one_of(&SSL_MODES),
        "target_session_attrs" => one_of(&SESSION_ATTRS),
        "hostaddr"
            if value.split(',').any(|address| address.parse::<std::net::IpAddr>().is_err()) =>
        {
            Err("is not an IP address".to_owned())
        }
        "statement-cache-capacity" if value.parse::<usize>().is_err() => {
            Err("is not a number".to_owned())
        }
        _ => Ok(()),
    }
}

fn check_port(value: &str) -> Result<(), String> {
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    let why = match value.parse::<u16>() {
        _ if !is_number => "is not a number",
        Ok(1..) => return Ok(()),
        _ => "is out of range; ports go from 1 to 65535",
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
    fn what_is_said_is_not_completed_and_a_wrong_value_is_refused() {
        let mut url = PostgresUrl::parse("ana@h/x?ssl-mode=require").unwrap();
        for (key, value) in [("sslmode", "disable"), ("user", "eva"), ("port", "1"), ("host", "")] {
            url.complete(key, value).unwrap();
        }
        let said = |key| url.parameter(&[key]);
        assert_eq!((said("user"), said("port")), (Some("ana"), Some("1")));
        assert_eq!((said("host"), said("ssl-mode")), (Some("h"), Some("require")));
        assert!(said("sslmode").is_none());
        let mut none = PostgresUrl::parse("").unwrap();
        assert!(none.complete("sslmode", "verify_full").unwrap_err().contains("verify-full"));
        assert!(none.complete("port", "5432x").unwrap_err().contains("not a number"));
    }

    #[test]
    fn each_of_several_hosts_has_its_port() {
        let places = |rest: &str| -> Vec<(String, String)> {
            let url = PostgresUrl::parse(rest).unwrap_or_else(|why| panic!("{rest}: {why}"));
            let of = |url: &PostgresUrl, key| url.parameter(&[key]).unwrap_or("-").to_owned();
            let each = url.each_host().unwrap();
            each.iter().map(|url| (of(url, "host"), of(url, "port"))).collect()
        };
        let expected =
            |all: &[(&str, &str)]| all.iter().map(|(h, p)| ((*h).into(), (*p).into())).collect();
        let check = |rest: &str, all: &[(&str, &str)]| {
            let all: Vec<(String, String)> = expected(all);
            assert_eq!(places(rest), all, "{rest}");
        };
        check("u:p@h1:1,h2:2/x", &[("h1", "1"), ("h2", "2")]);
        check("h1,[::1]:2/x", &[("h1", "-"), ("::1", "2")]);
        check("/x?host=a,/run/b&port=5", &[("a", "5"), ("/run/b", "5")]);
        check("h%2Ch2/x", &[("h", "-"), ("h2", "-")]);
        check("/x?port=,2&host=a,b", &[("a", "-"), ("b", "2")]);
        check("", &[("-", "-")]);
        let why = |rest: &str| PostgresUrl::parse(rest).unwrap().each_host().err().unwrap();
        assert!(why("h/x?port=1,2").contains("2 ports for 1 hosts"));
        assert!(why("a,b,c/x?port=1,2").contains("2 ports for 3 hosts"));
        assert!(why("a,b/x?hostaddr=10.0.0.1").contains("do not fit"));
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
            ("u:s3cret@h1,/x", "one of its hosts is empty"),
            ("u:s3cret@h/x?host=a,,b", "its host names an empty one"),
            ("u:s3cret@h/x?hostaddr=10.0.0.1,s3cret", "hostaddr"),
            ("u:s3cret@h/x?port=5432,70000", "from 1 to 65535"),
            ("u:s3cret@h/x?target_session_attrs=s3cret", "prefer-standby"),
            ("u:s3cret@h/x?sslmode=s3cret", "verify-full"),
            ("u:s3cret@h/x?SSLMODE=verify-full", "is called sslmode"),
            ("u:s3cret@h/x?channel_binding=require", "channel_binding is not supported"),
            (
                "u:s3cret@h/x?sslnegotiation=direct",
                "sslnegotiation is not supported except with postgres; leave",
            ),
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
