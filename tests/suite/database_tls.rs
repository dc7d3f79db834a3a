//! Encrypted connections: the right certificate works, and of a wrong one the cause is said.

use std::path::Path;
use std::process::Command;

use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;
use tenantpilot::ops::{Create, Ops, OpsSettings};
use tenantpilot::{Clock, Error, ErrorKind};

use crate::chaos::cluster::Cluster;
use crate::cli::Person;
use crate::support::postgres::postgres_url;
use crate::support::stores::block_on;

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
    let mut connection = PgConnection::connect(&cluster.url("postgres", "postgres")).await.unwrap();
    connection.execute("select pg_reload_conf()").await.unwrap();
    connection.close().await.unwrap();
}

/// One server for all cases: to start it takes most of the time.
#[test]
fn fr_043_006_the_cause_of_a_failed_tls_connection_is_said() {
    use ErrorKind::{Unreachable, Usage};
    let made = Certificates::new();
    let hba = "hostssl all certified 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n\
               hostssl all encrypted 127.0.0.1/32 scram-sha-256\n\
               host all postgres 127.0.0.1/32 scram-sha-256\n";
    let cluster = Cluster::start_with(
        "ssl = on\nssl_ca_file = 'ca.crt'",
        &[
            ("server.crt", &made.read("server.pem")),
            ("server.key", &made.read("server.key")),
            ("ca.crt", &made.read("ca.pem")),
            ("pg_hba.conf", hba.as_bytes()),
        ],
    );
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
