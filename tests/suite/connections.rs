//! Ways to connect to PostgreSQL: services, variables, password files, several hosts, sockets.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tenantpilot::ops::platform::PlatformInfo;
use tenantpilot::ops::{Create, Engine, Ops, OpsSettings};
use tenantpilot::{Clock, Error, ErrorKind};

use crate::chaos::cluster::Cluster;
use crate::cli::{Done, Person, done};
use crate::support::postgres::{fresh_postgres_database, postgres_url};
use crate::support::stores::{ORIGIN, block_on, both_engines};

/// Runs a command at an address, with variables.
fn at(url: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Done {
    with_home(&Person::at(url), arguments, variables)
}

fn with_home(person: &Person, arguments: &[&str], variables: &[(&str, &str)]) -> Done {
    done(person.command(arguments).envs(variables.iter().copied()), None)
}

/// User, password, host and port of the suite's server.
fn parts() -> [String; 4] {
    let url = postgres_url();
    let (user, place) = url.strip_prefix("postgres://").unwrap().rsplit_once('@').unwrap();
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let (host, port) = place.split('/').next().unwrap().rsplit_once(':').unwrap();
    [user, password, host, port].map(str::to_owned)
}

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn fr_048_001_variables_complete_an_address() {
    let (_url, guard) = block_on(fresh_postgres_database());
    let [user, password, host, port] = parts();
    let all = [
        ("PGUSER", user.as_str()),
        ("PGPASSWORD", &password),
        ("PGHOST", &host),
        ("PGPORT", &port),
        ("PGDATABASE", guard.name()),
    ];
    at("postgres://", &["migrate"], &all).ends(0);
    // The address wins.
    let wrong = all.map(|(name, _)| (name, if name == "PGPORT" { "1" } else { "wrong" }));
    let url = format!("postgres://{user}:{password}@{host}:{port}/{}", guard.name());
    let done = at(&url, &["info"], &wrong).ends(0);
    assert!(done.out.contains("up to date"), "{done:?}");
    let done = at(&format!("postgres://{user}@/{}", guard.name()), &["info"], &all).ends(0);
    assert!(done.out.contains("up to date"), "{done:?}");
    for (name, value, words) in [
        ("PGPORT", "x", "PGPORT is not a number"),
        ("PGTARGETSESSIONATTRS", "master", "PGTARGETSESSIONATTRS is not one of any"),
        ("PGHOSTADDR", "db", "PGHOSTADDR is not an IP address"),
        ("PGCHANNELBINDING", "require", "PGCHANNELBINDING is set, and what it asks for is not"),
        ("PGSSLCRL", "/crl.pem", "PGSSLCRL is set, and what it asks for is not supported"),
        ("PGGSSENCMODE", "require", "is not supported except with prefer or disable"),
        ("PGSSLMINPROTOCOLVERSION", "TLSv1.3", "is not supported except with TLSv1 or"),
        ("PGSSLMAXPROTOCOLVERSION", "TLSv1.2", "is not supported except with TLSv1.3"),
        ("PGSSLNEGOTIATION", "direct", "is not supported except with postgres"),
        ("PGSSLCERTMODE", "require", "is not supported except with allow"),
        ("PGSSLSNI", "0", "is not supported except with 1"),
        ("PGMINPROTOCOLVERSION", "3.2", "is not supported except with 3.0"),
    ] {
        let done = at("postgres://", &["runs", "list"], &[(name, value)]).ends(2);
        assert!(done.err.contains(words) && !done.err.contains("verify-full"), "{done:?}");
        // Only what is said of protection may be said in the address, too.
        let Some(key) = DEMANDED.iter().find(|(variable, _)| *variable == name) else { continue };
        let done = at(&format!("postgres://?{}={value}", key.1), &["runs", "list"], &[]).ends(2);
        assert!(
            done.err.contains(&format!("its parameter {} is not supported", key.1)),
            "{done:?}"
        );
    }
    // What is kept to anyway is taken.
    let mut met = all.to_vec();
    met.extend([
        ("PGGSSENCMODE", "disable"),
        ("PGSSLMINPROTOCOLVERSION", "tlsv1.2"),
        ("PGSSLMAXPROTOCOLVERSION", "TLSv1.3"),
        ("PGSSLNEGOTIATION", "postgres"),
        ("PGSSLCERTMODE", "allow"),
        ("PGSSLSNI", "1"),
        ("PGMAXPROTOCOLVERSION", "latest"),
        ("PGREQUIRESSL", "0"),
    ]);
    let url =
        "postgres://?gssencmode=prefer&ssl_min_protocol_version=TLSv1.2&channel_binding=prefer";
    let done = at(url, &["info"], &met).ends(0);
    assert!(done.out.contains("up to date"), "{done:?}");
    let done =
        at("postgres://?sslrootcert=system&sslmode=verify-full", &["runs", "list"], &all).ends(2);
    assert!(done.err.contains("leave sslrootcert out"), "{done:?}");
}

/// Variables that ask for a protection, and the parameters of an address.
const DEMANDED: [(&str, &str); 9] = [
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGSSLCRL", "sslcrl"),
    ("PGGSSENCMODE", "gssencmode"),
    ("PGSSLMINPROTOCOLVERSION", "ssl_min_protocol_version"),
    ("PGSSLMAXPROTOCOLVERSION", "ssl_max_protocol_version"),
    ("PGSSLNEGOTIATION", "sslnegotiation"),
    ("PGSSLCERTMODE", "sslcertmode"),
    ("PGSSLSNI", "sslsni"),
    ("PGMINPROTOCOLVERSION", "min_protocol_version"),
];

#[test]
fn fr_048_002_a_service_completes_an_address() {
    let (_url, guard) = block_on(fresh_postgres_database());
    let [user, password, host, port] = parts();
    let person = Person::at("postgres://?service=platform");
    let file = person.dir(".pg_service.conf");
    let text = format!(
        "# services\n[other]\nhost=wrong.invalid\n\n[platform]\nhost={host}\nport={port}\n\
         user={user}\npassword={password}\ndbname={}\nconnect_timeout=10\ngssencmode=prefer\n[last]\nhost=x\nbroken\n",
        guard.name()
    );
    write(&file, &text, 0o600);
    // It comes before the environment.
    with_home(&person, &["migrate"], &[("PGHOST", "wrong.invalid"), ("PGUSER", "wrong")]).ends(0);
    let elsewhere = person.dir("services");
    std::fs::rename(&file, &elsewhere).unwrap();
    let named = elsewhere.to_str().unwrap();
    let variables = [("PGSERVICE", "platform"), ("PGSERVICEFILE", named)];
    let done = at("postgres://", &["info"], &variables).ends(0);
    assert!(done.out.contains("up to date"), "{done:?}");

    let unknown = with_home(&person, &["info"], &[("PGSERVICEFILE", named)]).ends(0);
    assert!(unknown.out.contains("up to date"), "{unknown:?}");
    let refused = |service: &str, file: &str, words: &[&str]| {
        let variables = [("PGSERVICE", service), ("PGSERVICEFILE", file)];
        let done = at("postgres://", &["runs", "list"], &variables).ends(2);
        assert!(words.iter().all(|word| done.err.contains(word)), "{done:?}");
        assert!(password.is_empty() || !done.err.contains(&password), "{done:?}");
    };
    refused("plattform", named, &["the service \"plattform\" is not in", "services", "PGSERVICE"]);
    refused("platform", "/none/services", &["/none/services", "does not exist", "PGSERVICEFILE"]);
    refused("last", named, &["services", "line 15", "KEY=VALUE"]);
    write(&elsewhere, "[a]\nport=0\n[b]\nrequire_auth=none\n[c]\ngssencmode=require\n", 0o600);
    refused("c", named, &["line 6", "\"gssencmode\" of service \"c\" is not supported except"]);
    refused("a", named, &["line 2", "\"port\" of service \"a\" is out of range"]);
    refused("b", named, &["line 4", "\"require_auth\" of service \"b\" is not supported"]);
    let none = at("postgres://?service=a", &["runs", "list"], &[("PGSYSCONFDIR", "/none")]).ends(2);
    assert!(none.err.contains("no service file that could hold the service \"a\""), "{none:?}");
}

/// The host of the server that is connected.
async fn connected(ops: &Ops) -> Result<String, Error> {
    let actor = tenantpilot::access::Actor::Anonymous { origin: ORIGIN.to_owned() };
    Ok(ops.run(&actor, PlatformInfo).await?.host.unwrap_or_default())
}

async fn host_at(url: &str) -> Result<String, Error> {
    let ops = Ops::open(url, Create::Never, Clock::system(), OpsSettings::default())?;
    let host = connected(&ops).await;
    ops.close().await;
    host
}

/// A port on which nothing listens.
fn closed_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// One server for all cases: to start it takes most of the time.
#[test]
fn fr_048_003_a_password_comes_from_the_password_file() {
    let cluster = Cluster::start();
    let (port, password) = (cluster.port(), cluster.password());
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    let person = Person::at(&url);
    let file = person.dir(".pgpass");
    let lines = format!("other:*:*:*:wrong\n127.0.0.1:{port}:postgres:postgres:{password}\n");
    write(&file, &lines, 0o600);
    let done = with_home(&person, &["migrate"], &[]).ends(0);
    assert!(!done.err.contains("warning"), "{done:?}");
    // One that is said counts.
    with_home(&person, &["runs", "list"], &[("PGPASSWORD", "wrong")]).ends(7);

    let hosts = format!("named.invalid:{port}:*:*:{password}\n127.0.0.1:*:*:*:wrong\n");
    write(&file, &hosts, 0o600);
    let named = format!("postgres://postgres@named.invalid:{port}/postgres?hostaddr=127.0.0.1");
    at(&named, &["info"], &[("PGPASSFILE", file.to_str().unwrap())]).ends(0);

    write(&file, &lines, 0o644);
    let done = with_home(&person, &["runs", "list"], &[]).ends(7);
    let ignored = done.err.contains("warning: the password file") && done.err.contains(".pgpass");
    assert!(ignored && done.err.contains("run: chmod 600"), "{done:?}");
    assert!(!done.err.contains(password), "{done:?}");
    // What is not needed is not warned about.
    let done = with_home(&person, &["info"], &[("PGPASSWORD", password)]).ends(0);
    assert!(!done.err.contains("warning") && done.out.contains("up to date"), "{done:?}");

    let named = person.dir("passwords");
    let folder = cluster.socket_folder().to_str().unwrap().to_owned();
    // That line is for the usual directories of sockets only.
    let lines = format!("localhost:*:*:*:wrong\n{folder}:{port}:*:*:{password}\n");
    write(&named, &lines, 0o600);
    let named = named.to_str().unwrap();
    let done = with_home(&person, &["runs", "list"], &[("PGPASSFILE", named)]).ends(7);
    assert!(done.err.contains("name or password"), "{done:?}");
    let socket = format!("postgres://postgres@/postgres?host={folder}&port={port}");
    at(&socket, &["info"], &[("PGPASSFILE", named)]).ends(0);
    let done = at(&socket, &["runs", "list"], &[("PGPASSFILE", named)]).ends(4);
    assert!(done.err.contains("log in"), "{done:?}");
}

#[test]
fn fr_048_005_a_socket_is_a_host() {
    let cluster = Cluster::start();
    let (port, password) = (cluster.port(), cluster.password());
    let folder = cluster.socket_folder().to_str().unwrap();
    let encoded = folder.replace('/', "%2F");
    let user = format!("postgres:{password}");
    at(&cluster.url("postgres", "postgres"), &["migrate"], &[]).ends(0);
    for url in [
        format!("postgres://{user}@/postgres?host={folder}&port={port}"),
        format!("postgres://{user}@{encoded}:{port}/postgres"),
        // As with libpq, there is no TLS, whatever is asked for.
        format!(
            "postgres://{user}@{encoded}:{port}/postgres?sslmode=verify-full&sslrootcert=/none"
        ),
    ] {
        assert_eq!(block_on(host_at(&url)).unwrap(), folder, "{url}");
        let done = at(&url, &["info"], &[("TENANTPILOT_REQUIRE_TLS", "true")]).ends(0);
        assert!(done.out.contains("up to date") && !done.out.contains("no TLS"), "{done:?}");
    }
    let variables = [("PGHOST", folder), ("PGPORT", &port.to_string()), ("PGUSER", "postgres")];
    let variables = [&variables[..], &[("PGPASSWORD", password)]].concat();
    let done = at("postgres:///postgres", &["info"], &variables).ends(0);
    assert!(done.out.contains("up to date"), "{done:?}");
    let missing = format!("postgres://{user}@/postgres?host=/none&port={port}");
    assert_eq!(block_on(host_at(&missing)).unwrap_err().kind(), ErrorKind::Unreachable);
}

#[test]
fn fr_048_004_of_several_hosts_the_one_that_fits_is_connected() {
    let mut primary = Cluster::start();
    at(&primary.url("postgres", "postgres"), &["migrate"], &[]).ends(0);
    let standby = primary.standby();
    let done = at(&standby.url("postgres", "postgres"), &["info"], &[]).ends(0);
    assert!(done.out.contains("takes no writes: it is read-only"), "{done:?}");
    let user = format!("postgres:{}", primary.password());
    // Their hosts tell them apart.
    let p = format!("127.0.0.1:{}", primary.port());
    let s = format!("localhost:{}", standby.port());
    let closed = format!("127.0.0.1:{}", closed_port());
    let (p, s, closed) = (p.as_str(), s.as_str(), closed.as_str());
    let url = |hosts: &[&str], attrs: &str| {
        format!("postgres://{user}@{}/postgres?target_session_attrs={attrs}", hosts.join(","))
    };
    block_on(async {
        for (attrs, hosts, expected) in [
            ("any", [p, s], p),
            ("any", [s, p], s),
            ("any", [closed, p], p),
            ("read-write", [s, p], p),
            ("primary", [s, p], p),
            ("read-only", [p, s], s),
            ("standby", [p, s], s),
            ("standby", [closed, s], s),
            ("prefer-standby", [p, s], s),
            ("prefer-standby", [p, closed], p),
        ] {
            let host = host_at(&url(&hosts, attrs)).await;
            let host = host.unwrap_or_else(|error| panic!("{attrs} {hosts:?}: {error}"));
            assert_eq!(host, expected.split(':').next().unwrap(), "{attrs} {hosts:?}");
        }
        for (attrs, hosts, words) in [
            ("standby", vec![p], "no host of the database URL that answers is a standby"),
            (
                "read-write",
                vec![s, closed],
                "no host of the database URL that answers takes writes",
            ),
            ("any", vec![closed, closed], "cannot be reached"),
        ] {
            let error = host_at(&url(&hosts, attrs)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
            assert!(error.message().contains(words), "{error}");
        }
        // Where a host refuses the role, another one is not asked.
        let wrong =
            url(&[p, s], "any").replace("postgres:", "nobody:").replacen("nobody", "postgres", 1);
        let error = host_at(&wrong).await.unwrap_err();
        assert!(error.message().contains("name or password"), "{error}");

        let both = url(&[p, s], "any");
        let ops = Ops::open(&both, Create::Never, Clock::system(), OpsSettings::default()).unwrap();
        assert_eq!(connected(&ops).await.unwrap(), "127.0.0.1");
        primary.crash();
        assert_eq!(connected(&ops).await.unwrap(), "localhost");
        primary.restart();
        // It works, so it stays.
        assert_eq!(connected(&ops).await.unwrap(), "localhost");
        ops.close().await;
    });
    let hosts = format!("localhost,{}", "127.0.0.1");
    let ports = format!("{},{}", standby.port(), primary.port());
    let variables = [
        ("PGHOST", hosts.as_str()),
        ("PGPORT", &ports),
        ("PGUSER", "postgres"),
        ("PGPASSWORD", primary.password()),
        ("PGTARGETSESSIONATTRS", "primary"),
    ];
    let done = at("postgres:///postgres", &["migrate"], &variables).ends(0);
    assert!(done.out.contains("0 migrations applied"), "{done:?}");
}

both_engines! {
    async fn fr_048_009_a_session_belongs_to_the_platform(store) {
        let person = Person::administrator(&store.url);
        let file = person.dir("state/session.toml");
        let kept = || toml::from_str::<toml::Table>(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let first = kept();
        let part = |table: &toml::Table, name: &str| table.get(name).cloned();
        let count = |name: &str| part(&kept(), name).map_or(0, |part| part.as_table().unwrap().len());
        let whoami = |url: &str| person.run(&["--database-url", url, "whoami"]);

        // The same platform at another address.
        let (other, third) = match store.engine {
            Engine::Postgres => (
                format!("{}?application_name=other", store.url),
                format!("{}?application_name=third", store.url),
            ),
            Engine::Sqlite => {
                let link = person.dir("folder");
                let path = store.url.strip_prefix("sqlite://").unwrap();
                std::fs::create_dir(&link).unwrap();
                let copy = |name: &str| {
                    let copy = link.join(name);
                    let path = Path::new(path);
                    std::fs::copy(path, &copy).unwrap();
                    let log = path.with_extension("db-wal");
                    if log.exists() {
                        std::fs::copy(log, copy.with_extension("db-wal")).unwrap();
                    }
                    format!("sqlite://{}", copy.display())
                };
                (copy("other.db"), copy("third.db"))
            }
        };
        whoami(&other).ends(0);
        assert_eq!((count("sessions"), count("platforms")), (2, 2));
        whoami(&store.url).ends(0);

        // What an earlier version kept.
        let mut old = first.clone();
        old.remove("platforms").unwrap();
        let old = toml::to_string(&old).unwrap();
        write(&file, &old, 0o600);
        assert!(whoami(&third).ends(4).err.contains("log in"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), old);
        whoami(&store.url).ends(0);
        assert_eq!(kept(), first);
        whoami(&third).ends(0);
        // It ends everywhere.
        assert_eq!(count("sessions"), 2);
        person.run(&["--database-url", &third, "logout"]).ends(0);
        assert_eq!((count("sessions"), count("platforms")), (0, 0));
        person.run(&["--database-url", &third, "logout"]).ends(4);

        // Another platform at the address.
        person.login("ana").ends(0);
        let before = kept();
        for change in [
            "update platform_settings set value = 'other' where key = 'platform_id'",
            "update platform_sessions set token_hash = substr(token_hash, 2) || 'z'",
        ] {
            store.sql(change).await.unwrap();
        }
        whoami(&store.url).ends(4);
        assert_eq!(kept(), before);
        person.login("ana").ends(0);
        assert_ne!(part(&kept(), "platforms"), part(&before, "platforms"));
        let elsewhere = store.text("select value from platform_settings where key = 'platform_id'");
        assert_eq!(elsewhere.await, "other");
    }
}
