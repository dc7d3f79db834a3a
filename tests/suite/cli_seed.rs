//! `seed` and `demo` as commands.

use tempfile::TempDir;

use crate::cli::Person;
use crate::support::postgres::fresh_postgres_database;
use crate::support::stores::block_on;

/// Seeds `url` and logs in with an account that it printed.
fn seeds_and_tells(url: &str) {
    let person = Person::at(url);
    let small = ["--tenants", "12", "--runs", "150", "--findings", "40", "--events", "30"];
    let arguments: Vec<&str> = ["seed", "--json"].into_iter().chain(small).collect();
    let seeded = person.run(&arguments).ends(0).json();
    assert_eq!(seeded["schema_version"], 1);
    let accounts = seeded["accounts"].as_array().unwrap();
    let names: Vec<&str> = accounts.iter().map(|a| a["username"].as_str().unwrap()).collect();
    for name in ["administrator", "operator", "oncall", "viewer"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let operator = accounts.iter().find(|a| a["username"] == "operator").unwrap();
    assert_eq!(operator["role"], "operator");
    let password = operator["password"].as_str().unwrap();
    person.run_with(&["login", "operator", "--password-file", "-"], password).ends(0);
    let runs = person.run(&["runs", "list", "--limit", "500", "--json"]).ends(0).json();
    assert_eq!(runs["runs"].as_array().unwrap().len(), 150);
    let again = person.run(&arguments).ends(5);
    assert!(again.out.is_empty() && again.err.contains("already holds"), "{again:?}");
}

#[test]
fn fr_008_011_seed_prints_accounts_that_work_and_refuses_a_second_time_on_sqlite() {
    let folder = TempDir::new().unwrap();
    seeds_and_tells(&format!("sqlite://{}/seeded.db", folder.path().display()));
}

#[test]
fn fr_008_011_seed_prints_accounts_that_work_and_refuses_a_second_time_on_postgres() {
    let (url, _guard) = block_on(fresh_postgres_database());
    seeds_and_tells(&url);
}
