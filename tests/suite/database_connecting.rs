//! Addresses of PostgreSQL, and what is said where no connection comes about.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use sqlx::{Connection, PgConnection, Row};
use tenantpilot::access::Actor;
use tenantpilot::ops::platform::PlatformInfo;
use tenantpilot::ops::{CONSOLE, Create, Ops, OpsSettings};
use tenantpilot::{Clock, Error, ErrorKind};

use crate::cli::Person;
use crate::support::console::Console;
use crate::support::postgres::{administer, fresh_postgres_database, postgres_url};
use crate::support::stores::{Store, block_on};

/// Passes connections to an address of its own on to `server`.
fn relay(at: &str, server: &str) -> Option<String> {
    let listener = match TcpListener::bind(at) {
        Ok(listener) => listener,
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => return None,
        Err(error) => panic!("{error}"),
    };
    let address = listener.local_addr().unwrap().to_string();
    let server = server.to_owned();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(there) = TcpStream::connect(&server) else { continue };
            for (mut from, mut to) in
                [(client.try_clone().unwrap(), there.try_clone().unwrap()), (there, client)]
            {
                thread::spawn(move || {
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    Some(address)
}

/// Looks at the schema of a database.
pub async fn state(url: &str) -> Result<(), Error> {
    let ops = Ops::open(url, Create::Never, Clock::system(), OpsSettings::default())?;
    let state = ops.schema_state().await.map(drop);
    ops.close().await;
    state
}

#[test]
fn fr_043_001_an_ipv6_address_leads_to_its_server() {
    block_on(async {
        let (url, _guard) = fresh_postgres_database().await;
        let (user, place) = url.rsplit_once('@').unwrap();
        let (server, database) = place.split_once('/').unwrap();
        let Some(address) = relay("[::1]:0", server) else {
            // A machine without IPv6: the address is read, and nobody listens there.
            let error = state(&format!("{user}@[::1]:1/{database}")).await.unwrap_err();
            return assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        };
        let port = address.rsplit_once(':').unwrap().1;
        for address in [
            format!("{user}@[::1]:{port}/{database}"),
            format!("{user}@[0:0:0:0:0:0:0:1]:{port}/{database}?sslmode=prefer"),
            format!("{user}@/{database}?host=::1&port={port}"),
            format!("{user}@/{database}?hostaddr=::1&port={port}"),
        ] {
            state(&address).await.unwrap_or_else(|error| panic!("{error}"));
            assert!(Person::at(&address).run(&["migrate"]).ends(0).err.contains(database));
        }
        let person = Person::at(&format!("{user}@::1:{port}/{database}"));
        let done = person.run(&["info"]).ends(2);
        assert!(done.err.contains("an IPv6 address stands in brackets: [::1]"), "{done:?}");
    });
}

#[test]
fn fr_043_002_what_must_be_percent_encoded_is_named() {
    for (password, code) in [
        ("s3#cret", "%23"),
        ("12#cret", "%23"),
        ("s3/cret", "%2F"),
        ("12/cret", "%2F"),
        ("s3?cret", "%3F"),
        ("s3%cret", "%25"),
        ("s3cret%e9", "%25"),
        ("s3/cr@et", "%40"),
    ] {
        let url = format!("postgres://u:{password}@db.invalid/x");
        let done = Person::at(&url).run(&["runs", "list"]).ends(2);
        assert!(done.err.contains("percent-encod") && done.err.contains(code), "{done:?}");
        assert!(!done.err.contains("cret") && done.err.lines().count() <= 2, "{done:?}");
        let error = block_on(state(&url)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains(code) && !error.to_string().contains("cret"), "{error}");
    }
    for (place, words) in [
        ("h:99999", "ports go from 1 to 65535"),
        ("h:5432:99", "two ports"),
        ("h:", "its port is missing"),
        (":5432", "its host is missing"),
        ("[::1", "not closed"),
        ("my host", "a space"),
    ] {
        let done = Person::at(&format!("postgres://u:s3cret@{place}/x")).run(&["info"]).ends(2);
        assert!(done.err.contains(words) && !done.err.contains("s3cret"), "{done:?}");
    }
    for (query, words) in [
        ("SSLMODE=verify-full", "the parameter is called sslmode"),
        ("sslmode=verify-full&ssl-mode=disable", "it says sslmode twice"),
        ("Require_Auth=none", "its parameter require_auth is not supported"),
        ("connect_timeout=s3cret@h", "percent-encode"),
        ("s3cret=1", "parameter 1 after its"),
    ] {
        let url = format!("postgres://u:s3cret@db.invalid/x?{query}");
        let done = Person::at(&url).run(&["info"]).ends(2);
        assert!(done.err.contains(words) && !done.err.contains("s3cret"), "{done:?}");
    }
    // What changes nothing about the connection is passed over, as in a service.
    for ignored in ["connect_timeout=3", "keepalives=1&keepalives_idle=30", "tcp_user_timeout=9"] {
        Person::at(&format!("postgres://u@127.0.0.1:1/x?{ignored}")).run(&["runs", "list"]).ends(7);
    }
    let person = Person::at("postgres://u@db.invalid/x");
    let mut command = person.command(&["runs", "list"]);
    let done = crate::cli::done(command.env("PGSSLMODE", "verify_full"), None).ends(2);
    assert!(done.err.contains("PGSSLMODE is not one of disable, allow"), "{done:?}");
    let missing = Person::at("postgres://u:s3cret@no-such-host.invalid/x").run(&["runs", "list"]);
    let missing = missing.ends(7);
    assert!(
        missing.err.contains("host name of the database URL cannot be resolved"),
        "{missing:?}"
    );
}

#[test]
fn fr_043_002_encoded_special_characters_reach_the_server() {
    block_on(async {
        let (url, _guard) = fresh_postgres_database().await;
        let place = url.rsplit_once('@').unwrap().1;
        let role = format!("r@/{}", uuid::Uuid::new_v4().simple());
        let password = "a#b/c?d@e%41+f:g é";
        administer(&format!("create role \"{role}\" login password '{password}'")).await;
        let user = role.replace('@', "%40").replace('/', "%2F");
        for (password, fits) in [
            ("a%23b%2Fc%3Fd%40e%2541+f%3Ag%20%C3%A9", true),
            // A second @ is not taken for the end of the password, a missing one is.
            ("a%23b%2Fc%3Fd@e%2541+f:g%20é", true),
            ("a%23b%2Fc%3Fd%40e%41+f:g%20é", false),
        ] {
            let done = state(&format!("postgres://{user}:{password}@{place}")).await;
            match done {
                Ok(()) => assert!(fits, "{password}"),
                Err(error) => {
                    assert!(!fits, "{password}: {error}");
                    assert!(error.to_string().contains("percent-encoded"), "{error}");
                }
            }
        }
        administer(&format!("drop role \"{role}\"")).await;
    });
}

#[test]
fn fr_043_007_a_server_without_room_is_said_as_such() {
    block_on(async {
        let (url, _guard) = fresh_postgres_database().await;
        let place = url.rsplit_once('@').unwrap().1;
        let role = format!("r_{}", uuid::Uuid::new_v4().simple());
        administer(&format!("create role {role} login password 'p' connection limit 1")).await;
        let own = format!("postgres://{role}:p@{place}");
        let held = PgConnection::connect(&own).await.unwrap();
        let error = state(&own).await.unwrap_err();
        assert_eq!((error.kind(), error.exit_code()), (ErrorKind::Unreachable, 7), "{error}");
        assert_eq!(error.message(), "the database has too many connections");
        assert!(error.to_string().contains("max_connections"), "{error}");
        let done = Person::at(&own).run(&["runs", "list"]).ends(7);
        assert!(done.err.contains("too many connections"), "{done:?}");
        held.close().await.unwrap();
        // The limit counts a session that is just ending.
        for _ in 0..50 {
            if state(&own).await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        state(&own).await.unwrap();
        administer(&format!("drop role {role}")).await;
    });
}

/// The names under which programs are connected to the store's database, without this one.
async fn applications(store: &Store) -> Vec<String> {
    let mut connection = PgConnection::connect(&postgres_url()).await.unwrap();
    let rows = sqlx::query(
        "select distinct application_name from pg_stat_activity where datname = $1 \
         and application_name <> '' order by 1",
    )
    .bind(store.url.rsplit_once('/').unwrap().1)
    .fetch_all(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Waits until the programs that are connected have these names.
async fn are_connected(store: &Store, names: &[&str]) {
    for _ in 0..300 {
        if applications(store).await == names {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{names:?} are not connected: {:?}", applications(store).await);
}

#[test]
fn fr_043_008_a_server_is_told_which_program_is_connected() {
    block_on(async {
        let store = Store::new(tenantpilot::ops::Engine::Postgres).await;
        store.administrator().await;
        store.ops.close().await;
        let settings = OpsSettings {
            application: CONSOLE,
            patience: Duration::from_secs(60),
            ..OpsSettings::default()
        };
        let ops = store.another(settings.clone());
        let mut console = Console::open(&ops, 120, 40).await;
        are_connected(&store, &[CONSOLE]).await;
        console.log_in("administrator").await;
        // The connections take turns, and follow with their next use.
        for _ in 0..8 {
            console.poll().await;
        }
        are_connected(&store, &["tenantpilot console administrator"]).await;
        console.keys(":app.logout<enter>").await;
        assert!(console.app.session().is_none());
        for _ in 0..8 {
            ops.run(&Actor::System, PlatformInfo).await.unwrap();
        }
        are_connected(&store, &[CONSOLE]).await;
        ops.close().await;
        // What the address says stays.
        let named = format!("{}?application_name=night%20shift", store.url);
        let ops = Ops::open(&named, Create::Never, store.clock.clone(), settings).unwrap();
        let mut console = Console::open(&ops, 120, 40).await;
        console.log_in("administrator").await;
        are_connected(&store, &["night shift"]).await;
        ops.close().await;
    });
}

#[test]
fn fr_043_008_a_worker_and_a_command_are_told_apart() {
    block_on(async {
        let store = Store::new(tenantpilot::ops::Engine::Postgres).await;
        store.ops.close().await;
        let person = Person::at(&store.url);
        let mut worker = person.command(&["worker"]).spawn().unwrap();
        are_connected(&store, &["tenantpilot worker"]).await;
        // A command that has to wait stays connected for a moment.
        let mut holder = PgConnection::connect(&store.url).await.unwrap();
        let lock = "begin; lock table _sqlx_migrations in access exclusive mode";
        sqlx::raw_sql(lock).execute(&mut holder).await.unwrap();
        let mut command = person.command(&["runs", "list"]).spawn().unwrap();
        are_connected(&store, &["tenantpilot cli", "tenantpilot worker"]).await;
        command.wait().unwrap();
        holder.close().await.unwrap();
        let mut named = person.command(&["worker"]).env("PGAPPNAME", "blue").spawn().unwrap();
        are_connected(&store, &["blue", "tenantpilot worker"]).await;
        for child in [&mut worker, &mut named] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    });
}
