//! Addresses of databases: what is said of a password, of parameters and of several hosts.

use std::os::unix::fs::PermissionsExt as _;

use tenantpilot::ErrorKind;

use crate::cli::{Person, done};
use crate::database_connecting::state;
use crate::support::postgres::fresh_postgres_database;
use crate::support::stores::block_on;

const WITHOUT: [&str; 5] = [
    "postgres://u@db.invalid/x?sslrootcert=/none.pem",
    "postgres://u@db.invalid/x?options=-c%20jit%3Doff&hostaddr=10.0.0.1",
    "postgres://u:@db.invalid/x",
    "postgres:///x?statement-cache-capacity=10",
    "sqlite:///none/a:b@c.db",
];
const WITH: [&str; 2] =
    ["postgres://u:secret@db.invalid/x", "postgres://u@db.invalid/x?password=secret"];

#[test]
fn fr_010_015_only_a_password_is_warned_about() {
    let person = Person::at("sqlite:///none/x.db");
    let config = person.dir("config/config.toml");
    std::fs::create_dir(person.dir("config")).unwrap();
    let file = |name: &str, url: &str| {
        let text = match name.split_once('.') {
            Some((section, key)) => format!("[{section}]\n{key} = \"{url}\"\n"),
            None => format!("{name} = \"{url}\"\n"),
        };
        std::fs::write(&config, text).unwrap();
        std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o644)).unwrap();
        let done = person.run(&["runbooks", "deploy", "--dry-run"]);
        assert!(!done.err.contains("secret"), "{done:?}");
        done.err.contains("holds a database password")
    };
    let flag = |url: &str| {
        let done = person.run(&["--database-url", url, "whoami"]);
        assert!(!done.err.contains("secret"), "{done:?}");
        done.err.contains("can see the password in --database-url")
    };
    let variable = |url: &str| {
        let mut command = person.command(&["whoami"]);
        done(command.env("TENANTPILOT_DATABASE_URL", url), None).err.contains("password in")
    };
    for url in WITHOUT {
        std::fs::remove_file(&config).ok();
        assert!(!flag(url) && !variable(url), "{url}");
        assert!(!file("database_url", url), "{url}");
        assert!(url.starts_with("sqlite") || !file("database.listen_url", url), "{url}");
    }
    for url in WITH {
        std::fs::remove_file(&config).ok();
        assert!(flag(url) && !variable(url), "{url}");
        assert!(file("database_url", url) && file("database.listen_url", url), "{url}");
    }
}

#[test]
fn fr_010_007_a_parameter_of_a_local_database_is_refused_by_its_name() {
    let person = Person::at("");
    let path = person.dir("x.db");
    for (query, named) in
        [("?mode=ro", "\"mode\""), ("?cache=shared&mode=ro", "\"cache\""), ("?x", "\"x\"")]
    {
        let url = format!("sqlite://{}{query}", path.display());
        for command in [&["info"][..], &["migrate"], &["runs", "list"]] {
            let done = person.run(&[&["--database-url", &url], command].concat()).ends(2);
            assert!(
                done.err.contains(&format!("its parameter {named} is not supported"))
                    && done.err.contains("sqlite://PATH"),
                "{done:?}"
            );
        }
    }
    assert!(
        std::fs::read_dir(person.folder.path())
            .unwrap()
            .all(|file| { !file.unwrap().file_name().to_string_lossy().starts_with("x.db") })
    );
}

#[test]
fn fr_043_002_hosts_and_ports_that_do_not_fit_are_refused() {
    for (place, words) in [
        ("a,/x", "one of its hosts is empty"),
        ("/x?host=a,,b", "its host names an empty one"),
        ("a/x?hostaddr=10.0.0.1,10.0.0.2", "hosts and of addresses do not fit"),
        ("a,b,c/x?port=5432,5433", "it names 2 ports for 3 hosts"),
    ] {
        let person = Person::at(&format!("postgres://u:s3cret@{place}"));
        let done = person.run(&["runs", "list"]).ends(2);
        assert!(done.err.contains(words) && !done.err.contains("s3cret"), "{done:?}");
    }
    let person = Person::at("postgres:///x?host=h");
    let mut command = person.command(&["runs", "list"]);
    let done = done(command.env("PGPORT", "1,2"), None).ends(2);
    assert!(done.err.contains("2 ports for 1 hosts"), "{done:?}");
}

#[test]
fn fr_043_007_options_that_a_server_refuses_are_said_with_the_parameter() {
    block_on(async {
        let (url, _guard) = fresh_postgres_database().await;
        for (options, named) in [
            ("-c%20bogus%3D1", ": bogus"),
            ("-c%20work_mem%3Dplenty", ": work_mem"),
            ("-c%20shared_buffers%3D1MB", ": shared_buffers"),
            ("-c%20no-value", ""),
        ] {
            let url = format!("{url}?options={options}");
            let error = state(&url).await.unwrap_err();
            let expected = format!("the server refused the connection's options{named}");
            assert_eq!(
                (error.kind(), error.message()),
                (ErrorKind::Unreachable, expected.as_str())
            );
            assert!(error.next_step().unwrap_or_default().contains("PGOPTIONS"), "{error}");
            let done = Person::at(&url).run(&["runs", "list"]).ends(7);
            assert!(done.err.contains(&expected), "{done:?}");
        }
        state(&format!("{url}?options=-c%20jit%3Doff")).await.unwrap();
    });
}
