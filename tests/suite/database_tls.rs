//! Encrypted connections: the right certificate works, and of a wrong one the cause is said.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;
use tenantpilot::access::Actor;
use tenantpilot::ops::platform::PlatformInfo;
use tenantpilot::ops::{Create, Ops, OpsSettings};
use tenantpilot::{Clock, Error, ErrorKind};

use crate::chaos::cluster::Cluster;
use crate::cli::{Person, done};
use crate::support::postgres::{fresh_postgres_database, postgres_url};
use crate::support::stores::{ORIGIN, block_on};

/// Certificates that openssl makes.
struct Certificates(TempDir);

impl Certificates {
    fn new() -> Self {
        let own = Self(TempDir::new().unwrap());
        for ca in ["ca", "other"] {
            own.openssl(&format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
                 -subj /CN={ca} -keyout {ca}.key -out {ca}.pem"
            ));
        }
        own.openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost \
             -keyout server.key -out server.csr",
        );
        let limits = "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n";
        std::fs::write(own.0.path().join("limits"), limits).unwrap();
        for (name, days) in [("server", "2"), ("expired", "-1")] {
            own.openssl(&format!(
                "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {days} \
                 -extfile limits -out {name}.pem"
            ));
        }
        own.openssl("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -days 2 -out old.pem");
        own.openssl("pkey -in server.key -aes128 -passout pass:secret -out locked.key");
        own.openssl("genpkey -algorithm ED448 -out odd.key");
        std::fs::write(own.0.path().join("letter.pem"), "Dear Sir or Madam").unwrap();
        own
    }

    fn openssl(&self, arguments: &str) {
        let done = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.0.path())
            .output()
            .expect("openssl is needed: run tests/run, which installs it");
        assert!(done.status.success(), "{arguments}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.path().join(name)).unwrap()
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn permit(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    fn is_root(&self) -> bool {
        std::fs::metadata(self.0.path()).unwrap().uid() == 0
    }

    /// A server with TLS; its roles may log in with a certificate, with TLS, without, or as they like.
    fn server(&self) -> Cluster {
        let hba = "hostssl all certified 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n\
                   hostssl all encrypted 127.0.0.1/32 scram-sha-256\n\
                   hostnossl all plain 127.0.0.1/32 scram-sha-256\n\
                   host all postgres 127.0.0.1/32 scram-sha-256\n";
        Cluster::start_with(
            "ssl = on\nssl_ca_file = 'ca.crt'",
            &[
                ("server.crt", &self.read("server.pem")),
                ("server.key", &self.read("server.key")),
                ("ca.crt", &self.read("ca.pem")),
                ("pg_hba.conf", hba.as_bytes()),
            ],
        )
    }
}

async fn look(url: &str) -> Result<(), Error> {
    let ops = Ops::open(url, Create::Never, Clock::system(), OpsSettings::default())?;
    let state = ops.schema_state().await.map(drop);
    ops.close().await;
    state
}

#[track_caller]
fn says(done: Result<(), Error>, kind: ErrorKind, words: &str, hint: &str) {
    let error = done.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.message().contains(words), "{error} should say {words}");
    assert!(error.next_step().unwrap_or_default().contains(hint), "{error} should hint at {hint}");
}

/// Has the server use another certificate.
async fn swap(cluster: &Cluster, certificate: &[u8]) {
    cluster.put("server.crt", certificate);
    let url = format!("{}?sslmode=disable", cluster.url("postgres", "postgres"));
    let mut connection = PgConnection::connect(&url).await.unwrap();
    connection.execute("select pg_reload_conf()").await.unwrap();
    connection.close().await.unwrap();
}

/// One server for all cases: to start it takes most of the time.
#[test]
fn fr_043_006_the_cause_of_a_failed_tls_connection_is_said() {
    use ErrorKind::{Unreachable, Usage};
    let made = Certificates::new();
    let cluster = made.server();
    let plain = cluster.url("postgres", "postgres");
    let named = plain.replace("127.0.0.1", "localhost");
    let with = |url: &str, mode: &str, more: &str| format!("{url}?sslmode={mode}{more}");
    let root = |name: &str| format!("&sslrootcert={}", made.path(name));
    block_on(async {
        for role in ["certified", "encrypted"] {
            let sql = format!("create role {role} login password '{}'", cluster.password());
            let mut connection = PgConnection::connect(&plain).await.unwrap();
            connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
            connection.close().await.unwrap();
        }
        // What is right works.
        look(&with(&plain, "require", "")).await.unwrap();
        look(&with(&named, "verify-full", &root("ca.pem"))).await.unwrap();
        look(&with(&plain, "verify-ca", &root("ca.pem"))).await.unwrap();

        // As libpq does, a CA that is named is asked for; the host name is not.
        look(&with(&plain, "require", &root("ca.pem"))).await.unwrap();
        let other = look(&with(&plain, "require", &root("other.pem"))).await;
        says(other, Unreachable, "unknown CA", "sslrootcert");

        let full = |url: &str, name: &str| with(url, "verify-full", &root(name));
        says(look(&full(&named, "other.pem")).await, Unreachable, "unknown CA", "sslrootcert");
        says(
            look(&with(&named, "verify-full", "")).await,
            Unreachable,
            "unknown CA",
            "sslrootcert",
        );
        says(look(&full(&plain, "ca.pem")).await, Unreachable, "another host name", "verify-ca");
        look(&format!("{}&hostaddr=127.0.0.1", with(&named, "verify-ca", &root("ca.pem"))))
            .await
            .unwrap();
        says(
            look(&full(&named, "none.pem")).await,
            Usage,
            "sslrootcert cannot be read",
            "PGSSLROOTCERT",
        );
        says(
            look(&full(&named, "letter.pem")).await,
            Usage,
            "sslrootcert holds no certificate",
            "",
        );
        says(
            look(&with(&plain, "require", &format!("&sslcert={}", made.path("server.pem")))).await,
            Usage,
            "both sslcert and sslkey",
            "",
        );
        let pair =
            |key: &str| format!("&sslcert={}&sslkey={}", made.path("server.pem"), made.path(key));
        says(
            look(&with(&plain, "require", &pair("none.key"))).await,
            Usage,
            "sslkey cannot be read",
            "",
        );
        says(look(&with(&plain, "require", &pair("ca.pem"))).await, Usage, "no private key", "");
        let other = look(&with(&plain, "require", &pair("ca.key"))).await;
        says(other, Usage, "sslkey does not belong to the certificate of sslcert", "made with");
        let locked = look(&with(&plain, "require", &pair("locked.key"))).await;
        says(locked, Usage, "the key of sslkey is encrypted", "passphrases are not supported");
        let odd = look(&with(&plain, "require", &pair("odd.key"))).await;
        says(odd, Usage, "the key of sslkey is of a kind that cannot be used", "RSA");

        let old = format!("&sslcert={}&sslkey={}", made.path("old.pem"), made.path("server.key"));
        let old = look(&with(&plain, "require", &old)).await;
        says(old, Usage, "sslcert is of X.509 version 1", "basicConstraints");

        let certified =
            plain.replace("postgres:", "certified:").replacen("certified:", "postgres:", 1);
        says(
            look(&with(&certified, "require", "")).await,
            Unreachable,
            "refused",
            "client certificate",
        );
        look(&with(&certified, "require", &pair("server.key"))).await.unwrap();
        let encrypted = certified.replace("certified", "encrypted");
        says(look(&with(&encrypted, "disable", "")).await, Unreachable, "refused", "TLS");
        look(&with(&encrypted, "require", "")).await.unwrap();

        swap(&cluster, &made.read("old.pem")).await;
        says(look(&full(&named, "ca.pem")).await, Unreachable, "X.509 version 1", "CA:FALSE");
        swap(&cluster, &made.read("expired.pem")).await;
        says(look(&full(&named, "ca.pem")).await, Unreachable, "has expired", "clock");

        // A server without TLS.
        says(
            look(&with(&postgres_url(), "require", "")).await,
            Unreachable,
            "offers no TLS",
            "sslmode",
        );
        let done = Person::at(&full(&named, "ca.pem")).run(&["runs", "list"]).ends(7);
        assert!(
            done.err.contains("has expired") && !done.err.contains("cannot be reached"),
            "{done:?}"
        );
        let done = Person::at(&full(&named, "none.pem")).run(&["worker"]).ends(2);
        assert!(done.err.contains("sslrootcert"), "{done:?}");
    });
    assert!(Path::new(&made.path("ca.pem")).exists());
}

/// Whether the header says that others can read the connection.
async fn header(url: &str) -> String {
    let ops = Ops::open(url, Create::Never, Clock::system(), OpsSettings::default()).unwrap();
    let actor = Actor::Anonymous { origin: ORIGIN.to_owned() };
    let platform = ops.run(&actor, PlatformInfo).await.unwrap_or_else(|e| panic!("{url}: {e}"));
    ops.close().await;
    let said = platform.modes().map(|mode| mode.contains("NO TLS"));
    assert!(said.iter().all(|says| *says == platform.in_the_open), "{:?}", platform.modes());
    let [whole, ..] = platform.modes();
    whole
}

#[test]
fn fr_048_006_every_mode_and_certificate_is_followed_and_an_open_way_is_said() {
    let made = Certificates::new();
    let cluster = made.server();
    let near = cluster.url("postgres", "postgres");
    Person::at(&near).run(&["migrate"]).ends(0);
    // Another host as far as its text says, and this machine all the same.
    let far = |role: &str, mode: &str| {
        let url = cluster.url(role, "postgres").replace("127.0.0.1", "0.0.0.0");
        format!("{url}?sslmode={mode}")
    };
    let open = "DIRECT DB 0.0.0.0, NO TLS";
    let closed = "DIRECT DB 0.0.0.0";
    block_on(async {
        for role in ["certified", "encrypted", "plain"] {
            let sql =
                format!("create role {role} login superuser password '{}'", cluster.password());
            let mut connection = PgConnection::connect(&near).await.unwrap();
            connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
            connection.close().await.unwrap();
        }
        for (role, mode, says) in [
            ("postgres", "disable", open),
            ("postgres", "allow", open),
            ("postgres", "prefer", closed),
            ("postgres", "require", closed),
            ("encrypted", "allow", closed),
            ("encrypted", "prefer", closed),
            ("plain", "allow", open),
            ("plain", "prefer", open),
        ] {
            assert_eq!(header(&far(role, mode)).await, says, "{role} {mode}");
        }
        assert_eq!(header(&format!("{near}?sslmode=disable")).await, "DIRECT DB 127.0.0.1");
        says(look(&far("plain", "require")).await, ErrorKind::Unreachable, "refused", "TLS");
        says(look(&far("encrypted", "disable")).await, ErrorKind::Unreachable, "refused", "TLS");
    });
    let run = |url: &str, more: &[(&str, &str)]| {
        let person = Person::at(url);
        done(person.command(&["info"]).envs(more.iter().copied()), None).ends(0)
    };
    let note = "the connection to 0.0.0.0 has no TLS";
    assert!(run(&far("postgres", "allow"), &[]).out.contains(note));
    assert!(!run(&far("postgres", "prefer"), &[]).out.contains(note));
    let plain = cluster.url("plain", "postgres");
    assert!(run(&plain, &[("PGREQUIRESSL", "0")]).out.contains("up to date"));
    assert!(!run(&plain, &[("PGREQUIRESSL", "1")]).out.contains("up to date"));

    // A client certificate, by variables and from the usual files.
    let named = cluster.url("certified", "postgres").replace("127.0.0.1", "localhost");
    let person = Person::at(&named);
    let works = |person: &Person, more: &[(&str, &str)]| {
        let done = done(person.command(&["info"]).envs(more.iter().copied()), None);
        (done.out.contains("up to date"), done)
    };
    let paths = ["ca.pem", "server.pem", "server.key"].map(|name| made.path(name));
    let variables = [
        ("PGSSLMODE", "verify-full"),
        ("PGSSLROOTCERT", paths[0].as_str()),
        ("PGSSLCERT", &paths[1]),
        ("PGSSLKEY", &paths[2]),
    ];
    assert!(works(&person, &variables).0);
    let (worked, done) = works(&person, &variables[..2]);
    assert!(!worked && done.out.contains("client certificate"), "{done:?}");
    let folder = person.dir(".postgresql");
    std::fs::create_dir(&folder).unwrap();
    for (path, name) in paths.iter().zip(["root.crt", "postgresql.crt", "postgresql.key"]) {
        std::fs::copy(path, folder.join(name)).unwrap();
    }
    assert!(works(&person, &variables[..1]).0);
    std::fs::copy(made.path("other.pem"), folder.join("root.crt")).unwrap();
    let (worked, done) = works(&person, &[("PGSSLMODE", "require")]);
    assert!(!worked && done.out.contains("unknown CA"), "{done:?}");
}

#[test]
fn fr_048_006_a_key_that_others_can_read_is_refused() {
    let made = Certificates::new();
    let pair = format!("sslcert={}&sslkey={}", made.path("server.pem"), made.path("server.key"));
    let run = |mode: u32, code| {
        made.permit("server.key", mode);
        let person = Person::at(&format!("postgres://u@127.0.0.1:1/x?sslmode=require&{pair}"));
        person.run(&["runs", "list"]).ends(code).err
    };
    for open in [0o644, 0o604, 0o660] {
        let refused = run(open, 2);
        assert!(refused.contains("others than its owner can read or write it"), "{refused}");
        assert!(
            refused.contains("cannot use the file of sslkey") && refused.contains("chmod 600"),
            "{refused}"
        );
    }
    for kept in [0o600, 0o400] {
        run(kept, 7);
    }
    // The group may read one of root's.
    run(0o640, if made.is_root() { 7 } else { 2 });
}

#[test]
fn fr_048_006_a_name_is_not_verified_by_an_address() {
    let run = |url: &str, mode: &str, more: &[(&str, &str)]| {
        let person = Person::at(&format!("postgres://u@{url}sslmode={mode}"));
        done(person.command(&["runs", "list"]).envs(more.iter().copied()), None)
    };
    let why = "sslmode=verify-full cannot verify the name \"db.invalid\"";
    // Nothing listens at port 1.
    for url in [
        "db.invalid:1/x?hostaddr=127.0.0.1&",
        "127.0.0.1,db.invalid/x?hostaddr=127.0.0.1,127.0.0.2&port=1&",
    ] {
        let refused = run(url, "verify-full", &[]).ends(2);
        assert!(refused.err.contains(why) && refused.err.contains("/etc/hosts"), "{refused:?}");
        run(url, "verify-ca", &[]).ends(7);
    }
    let variables = [("PGHOST", "db.invalid"), ("PGHOSTADDR", "127.0.0.1")];
    assert!(run("/x?port=1&", "verify-full", &variables).ends(2).err.contains(why));
    for url in ["/x?hostaddr=127.0.0.1&port=1&", "127.0.0.1:1/x?hostaddr=127.0.0.1&"] {
        run(url, "verify-full", &[]).ends(7);
    }
}

#[test]
fn fr_048_007_a_connection_without_tls_is_refused_where_tls_is_required() {
    let run = |url: &str, arguments: &[&str]| {
        let person = Person::at(url);
        done(person.command(arguments).env("TENANTPILOT_REQUIRE_TLS", "true"), None)
    };
    // The suite's server has no TLS.
    let url = postgres_url();
    for query in ["", "?sslmode=prefer", "?sslmode=allow", "?sslmode=require"] {
        let done = run(&format!("{url}{query}"), &["runs", "list"]).ends(7);
        assert!(done.err.contains("offers no TLS") && done.err.contains("require_tls"), "{done:?}");
    }
    for command in [&["runs", "list"][..], &["worker"], &["migrate"]] {
        let done = run(&format!("{url}?sslmode=disable"), command).ends(2);
        assert!(done.err.contains("require_tls is set, and sslmode is disable"), "{done:?}");
    }
    let person = Person::at("");
    done(person.command(&["migrate"]).env("TENANTPILOT_REQUIRE_TLS", "true"), None).ends(0);
}

#[test]
fn fr_048_008_a_connection_without_tls_to_another_host_is_said() {
    let (url, _guard) = block_on(fresh_postgres_database());
    Person::at(&url).run(&["migrate"]).ends(0);
    let far = url.replace("127.0.0.1", "0.0.0.0");
    assert_ne!(url, far, "the suite's server is at 127.0.0.1");
    block_on(async {
        assert_eq!(header(&far).await, "DIRECT DB 0.0.0.0, NO TLS");
        assert_eq!(header(&url).await, "DIRECT DB 127.0.0.1");
    });
    let note = "has no TLS, and others on the way can read it";
    let said = Person::at(&far).run(&["info"]).ends(0);
    assert!(said.out.contains(note) && said.out.contains("require_tls"), "{said:?}");
    assert!(!Person::at(&url).run(&["info"]).ends(0).out.contains(note));
}
