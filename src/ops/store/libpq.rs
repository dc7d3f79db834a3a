//! What completes the address of a PostgreSQL database, as with libpq: a service file, variables of
//! the environment, files in `~/.postgresql`, and a password file.

use std::path::{Path, PathBuf};

use crate::domain::postgres_url::{DEMANDS, IGNORED, PostgresUrl, demand};
use crate::domain::safe_text::quoted;
use crate::files::{self, Refusal};
use crate::paths::shown;
use crate::{Error, Result};

/// More than any file of services or passwords has.
const LARGEST: u64 = 4 * 1024 * 1024;
/// Where the packages of Debian have the service file of all users.
const SYSTEM_FOLDER: &str = "/etc/postgresql-common";
/// Where servers have their sockets by default.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];
/// The host whose password is that of a socket.
const LOCALHOST: &str = "localhost";

/// Variables, and the parameters that they complete.
const VARIABLES: [(&str, &str); 13] = [
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGDATABASE", "dbname"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGPASSFILE", "passfile"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGAPPNAME", "application_name"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
];

/// Looks a variable up.
pub type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A variable of this process.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Adds what the address does not say: first the service's parameters, then the environment's, then
/// the files at their usual places.
///
/// # Errors
/// *Usage* for a service that there is not, and for a value that cannot be used.
pub fn complete(url: &mut PostgresUrl, variable: Variable<'_>) -> Result<()> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    for (key, name, _) in DEMANDS {
        if let Some(Err(why)) = variable(name).and_then(|value| demand(key, &value)) {
            return Err(Error::usage(format!("{name} is set, and what it asks for {why}"))
                .hint(format!("unset {name}")));
        }
    }
    let named = url.parameter(&["service"]).map(str::to_owned);
    if let Some(service) = named.or_else(|| variable("PGSERVICE")) {
        Service::find(&service, &variable)?.complete(url)?;
    }
    // An address and a host are one place: with either said, the other is not looked for elsewhere.
    let has_place = url.parameter(&["host", "hostaddr"]).is_some();
    for (name, key) in VARIABLES {
        let completes = !(has_place && matches!(key, "host" | "hostaddr"));
        if let Some(value) = variable(name).filter(|_| completes) {
            url.complete(key, &value).map_err(|why| Error::usage(format!("{name} {why}")))?;
        }
    }
    if variable("PGREQUIRESSL").is_some_and(|value| value.starts_with('1')) {
        url.complete("sslmode", "require").map_err(Error::usage)?;
    }
    let Some(home) = variable("HOME") else { return Ok(()) };
    let file = |name: &str| {
        let path = Path::new(&home).join(".postgresql").join(name);
        path.is_file().then(|| path.to_string_lossy().into_owned())
    };
    let mut add = |key: &str, value: &str| url.complete(key, value).map_err(Error::usage);
    if let Some(root) = file("root.crt") {
        add("sslrootcert", &root)?;
    }
    if let (Some(certificate), Some(key)) = (file("postgresql.crt"), file("postgresql.key")) {
        add("sslcert", &certificate)?;
        add("sslkey", &key)?;
    }
    add("passfile", &Path::new(&home).join(".pgpass").to_string_lossy())
}

/// The host of an address that names none: a socket where there is one.
pub fn default_host(port: u16) -> String {
    let has_socket = |folder: &&str| Path::new(folder).join(format!(".s.PGSQL.{port}")).exists();
    SOCKET_FOLDERS.into_iter().find(has_socket).unwrap_or(LOCALHOST).to_owned()
}

/// A section of a service file.
struct Service {
    name: String,
    path: PathBuf,
    /// Lines, keys and values.
    parameters: Vec<(usize, String, String)>,
}

impl Service {
    fn find(name: &str, variable: Variable<'_>) -> Result<Self> {
        let own = match (variable("PGSERVICEFILE"), variable("HOME")) {
            (Some(path), _) => Some(PathBuf::from(path)),
            (None, Some(home)) => Some(Path::new(&home).join(".pg_service.conf")),
            (None, None) => None,
        };
        let folder = variable("PGSYSCONFDIR").unwrap_or_else(|| SYSTEM_FOLDER.to_owned());
        let of_system = Path::new(&folder).join("pg_service.conf");
        let mut looked = Vec::new();
        for path in own.into_iter().chain([of_system]) {
            match files::read(&path, LARGEST) {
                Ok(content) => {
                    let text = String::from_utf8_lossy(&content.bytes);
                    if let Some(parameters) = section(&text, name, &path)? {
                        return Ok(Self { name: name.to_owned(), path, parameters });
                    }
                    looked.push(shown(&path));
                }
                Err(Refusal::Missing) if variable("PGSERVICEFILE").is_none() => {}
                Err(Refusal::Missing) if !looked.is_empty() => {}
                Err(refusal) => {
                    let path = shown(&path);
                    let why = refusal.reason();
                    return Err(Error::usage(format!(
                        "the service file {path} cannot be read: {why}"
                    ))
                    .hint("check PGSERVICEFILE"));
                }
            }
        }
        let name = quoted(name);
        let hint = "check the service of the database URL, or PGSERVICE";
        if looked.is_empty() {
            let message = format!("there is no service file that could hold the service {name}");
            return Err(Error::usage(message)
                .hint(format!("{hint}; a service is a section of ~/.pg_service.conf")));
        }
        let looked = looked.join(" or ");
        Err(Error::usage(format!("the service {name} is not in {looked}")).hint(hint))
    }

    fn complete(&self, url: &mut PostgresUrl) -> Result<()> {
        let place = |line: &usize| format!("{}, line {line}", shown(&self.path));
        let has_place = url.parameter(&["host", "hostaddr"]).is_some();
        for (line, key, value) in &self.parameters {
            let refused = |why: &str| {
                let name = quoted(&self.name);
                Error::usage(format!("{}: {} of service {name} {why}", place(line), quoted(key)))
            };
            if let Some(met) = demand(key, value) {
                met.map_err(|why| refused(&why))?;
                continue;
            }
            match key.as_str() {
                key if IGNORED.contains(&key) => {}
                "host" | "hostaddr" if has_place => {}
                key if key == "options" || VARIABLES.iter().any(|(_, known)| *known == key) => {
                    url.complete(key, value).map_err(|why| refused(&why))?;
                }
                _ => return Err(refused("is not supported")),
            }
        }
        Ok(())
    }
}

/// The parameters of a service, where the file has it.
fn section(text: &str, name: &str, path: &Path) -> Result<Option<Vec<(usize, String, String)>>> {
    let mut found: Option<Vec<(usize, String, String)>> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            let is_this = header.strip_suffix(']') == Some(name);
            found = is_this.then(Vec::new);
        } else if let Some(parameters) = &mut found {
            let Some((key, value)) = line.split_once('=') else {
                let place = format!("{}, line {}", shown(path), index + 1);
                return Err(Error::usage(format!("{place}: this is not KEY=VALUE")));
            };
            parameters.push((index + 1, key.to_owned(), value.to_owned()));
        }
    }
    Ok(found)
}

/// A place whose password is looked for.
#[derive(Debug)]
pub struct Login<'a> {
    /// The host, or the directory of a socket.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: &'a str,
    /// The role.
    pub user: &'a str,
}

/// The password that a file has for one of `logins`, in their order.
///
/// # Errors
/// Why the file is not used, with what makes it usable. A missing one has no passwords.
pub fn passwords(path: &Path, logins: &[Login<'_>]) -> Result<Vec<Option<String>>, String> {
    let unused = |refusal: &Refusal| {
        let repair = refusal.repair(path).map_or_else(String::new, |repair| format!("; {repair}"));
        format!("the password file {} is ignored: {}{repair}", shown(path), refusal.reason())
    };
    let content = match files::read(path, LARGEST) {
        Err(Refusal::Missing) => return Ok(logins.iter().map(|_| None).collect()),
        Err(refusal) => return Err(unused(&refusal)),
        Ok(content) if content.open_to_others() => return Err(unused(&Refusal::OpenToOthers)),
        Ok(content) => String::from_utf8_lossy(&content.bytes).into_owned(),
    };
    Ok(logins.iter().map(|login| content.lines().find_map(|line| login.password(line))).collect())
}

impl Login<'_> {
    /// What a line `host:port:database:user:password` has for it. `*` stands for any.
    fn password(&self, line: &str) -> Option<String> {
        if line.starts_with('#') {
            return None;
        }
        let port = self.port.to_string();
        let mut rest = line;
        for wanted in [self.host, &port, self.database, self.user] {
            let (field, after) = field(rest)?;
            let is_any = rest.starts_with("*:");
            let is_socket = SOCKET_FOLDERS.contains(&wanted) && field == LOCALHOST;
            if !is_any && field != wanted && !is_socket {
                return None;
            }
            rest = after;
        }
        Some(plain(rest))
    }
}

/// The text before the next colon that no backslash stands before, and what follows.
fn field(text: &str) -> Option<(String, &str)> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ':' => return Some((plain(&text[..at]), &text[at + 1..])),
            _ => {}
        }
    }
    None
}

/// A field without its backslashes.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(c) = letters.next() {
        match c {
            '\\' => plain.extend(letters.next()),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: Login<'_> = Login { host: "db", port: 5432, database: "x:y", user: "ana" };

    #[test]
    fn the_line_of_a_password_file_that_fits_first_counts() {
        let of = |line: &str| LOGIN.password(line);
        for (line, password) in [
            ("db:5432:x\\:y:ana:secret", Some("secret")),
            ("*:*:*:*:a\\:b\\\\c", Some("a:b\\c")),
            ("*:*:*:*:a:b", Some("a:b")),
            ("db:5433:*:ana:secret", None),
            ("\\*:*:*:*:secret", None),
            ("db:5432:x\\:y:ana", None),
            ("#*:*:*:*:secret", None),
            ("localhost:*:*:*:secret", None),
            ("", None),
        ] {
            assert_eq!(of(line).as_deref(), password, "{line}");
        }
        let usual = Login { host: SOCKET_FOLDERS[0], ..LOGIN };
        assert_eq!(usual.password("localhost:*:*:*:one").as_deref(), Some("one"));
        let socket = Login { host: "/run/pg", ..LOGIN };
        assert_eq!(socket.password("localhost:*:*:*:one"), None);
        assert_eq!(socket.password("/run/pg:*:*:*:two").as_deref(), Some("two"));
    }

    #[test]
    fn a_service_comes_before_the_environment_and_after_the_address() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("services");
        let text = "# ours\n[other]\nhost=o\n\n[mine]\nhost=h\nport=7\nconnect_timeout=3\n[mine]\nuser=no\n";
        std::fs::write(&file, text).unwrap();
        let variable = |name: &str| match name {
            "PGSERVICEFILE" => Some(file.to_string_lossy().into_owned()),
            "PGSERVICE" => Some("mine".to_owned()),
            "PGHOST" => Some("e".to_owned()),
            "PGUSER" => Some("eva".to_owned()),
            "PGHOSTADDR" => Some("10.0.0.1".to_owned()),
            "PGCHANNELBINDING" => Some("prefer".to_owned()),
            "PGREQUIRESSL" => Some("1".to_owned()),
            _ => None,
        };
        let mut url = PostgresUrl::parse("/x?port=5").unwrap();
        complete(&mut url, &variable).unwrap();
        let of = |key| url.parameter(&[key]);
        assert_eq!((of("host"), of("port"), of("user")), (Some("h"), Some("5"), Some("eva")));
        assert_eq!((of("dbname"), of("hostaddr")), (Some("x"), None));
        assert_eq!(of("sslmode"), Some("require"));
        let mut url = PostgresUrl::parse("/x?sslmode=allow").unwrap();
        complete(&mut url, &variable).unwrap();
        assert_eq!(url.parameter(&["sslmode"]), Some("allow"));
    }
}
