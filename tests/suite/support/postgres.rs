//! Databases of the throwaway PostgreSQL cluster that `tests/run` starts.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// The variable in which `tests/run` says where its cluster is.
pub const VARIABLE: &str = "TENANTPILOT_TEST_POSTGRES";

/// The administrator's address of the cluster. A missing cluster fails the test: a suite
/// that skips half of its engines proves nothing.
pub fn postgres_url() -> String {
    required(std::env::var(VARIABLE).ok())
}

/// The address, or a panic that says how to get one.
pub fn required(url: Option<String>) -> String {
    url.filter(|url| !url.is_empty()).unwrap_or_else(|| {
        panic!("{VARIABLE} is not set: run tests/run, which starts a PostgreSQL for the tests")
    })
}

/// A database of one test; dropping it drops the database, open connections included.
#[derive(Debug)]
pub struct DatabaseGuard {
    name: String,
}

impl DatabaseGuard {
    /// The database's name in the cluster.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for DatabaseGuard {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // A test may be inside a runtime, in which another one cannot block.
        let dropped = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(administer(&statement));
        })
        .join();
        // A panic while a failing test unwinds would hide what failed.
        let reported = dropped.is_ok() || std::thread::panicking();
        assert!(reported, "the test's database {} could not be dropped", self.name);
    }
}

/// Makes an empty database and returns its address.
pub async fn fresh_postgres_database() -> (String, DatabaseGuard) {
    // template1 may be in use by another test's statement; nobody connects to template0.
    postgres_database_from("template0").await
}

/// Makes a copy of the database called `template`, to which nothing may be connected.
pub async fn postgres_database_from(template: &str) -> (String, DatabaseGuard) {
    let guard = DatabaseGuard { name: format!("t_{}", uuid::Uuid::new_v4().simple()) };
    administer(&format!("CREATE DATABASE {} TEMPLATE {template}", guard.name)).await;
    let url = with_database(&postgres_url(), &guard.name);
    (url, guard)
}

/// Makes an empty database with an encoding and a collation of its own, as `create database` has
/// them.
pub async fn postgres_database_with(options: &str) -> (String, DatabaseGuard) {
    postgres_database_from(&format!("template0 {options}")).await
}

/// `url` with another database name.
pub fn with_database(url: &str, database: &str) -> String {
    let (server, _) = url.rsplit_once('/').expect("the address ends with a database");
    format!("{server}/{database}")
}

/// Runs one statement as the cluster's administrator.
pub async fn administer(statement: &str) {
    let work = async {
        let mut connection = PgConnection::connect(&postgres_url()).await.unwrap();
        connection.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
        connection.close().await.unwrap();
    };
    tokio::time::timeout(Duration::from_mins(1), work).await.expect("the cluster answers");
}
