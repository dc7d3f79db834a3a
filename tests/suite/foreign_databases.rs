//! Databases that were not made for this program: of another encoding, of another program, or with
//! migrations that were changed. They are refused as they are.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqliteConnection};
use tempfile::TempDir;
use tenantpilot::ops::runs::{CancelRun, ListRuns};
use tenantpilot::ops::{Consent, Create, Engine, Ops, OpsSettings, SchemaState, Target};
use tenantpilot::{Clock, Error, ErrorKind};

use crate::cli::Person;
use crate::support::console::Console;
use crate::support::postgres::{DatabaseGuard, fresh_postgres_database, postgres_database_with};
use crate::support::stores::{Store, block_on, both_engines};

/// A database that no migration has touched.
struct Bare {
    url: String,
    ops: Ops,
    engine: Engine,
    _guard: Option<DatabaseGuard>,
    folder: TempDir,
}

impl Bare {
    async fn new(engine: Engine) -> Self {
        match engine {
            Engine::Postgres => {
                let (url, guard) = fresh_postgres_database().await;
                Self::at(url, engine, Some(guard), TempDir::new().unwrap())
            }
            Engine::Sqlite => {
                let folder = TempDir::new().unwrap();
                private(&folder.path().join("p.db"), b"");
                let url = format!("sqlite://{}/p.db", folder.path().display());
                Self::at(url, engine, None, folder)
            }
        }
    }

    fn at(url: String, engine: Engine, guard: Option<DatabaseGuard>, folder: TempDir) -> Self {
        let ops = Ops::open(&url, Create::Never, Clock::system(), OpsSettings::default()).unwrap();
        Self { url, ops, engine, _guard: guard, folder }
    }

    async fn sql(&self, text: &str) {
        let text = AssertSqlSafe(text.to_owned());
        match self.engine {
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.unwrap();
                connection.execute(text).await.unwrap();
                connection.close().await.unwrap();
            }
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
                connection.execute(text).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }

    /// The tables that there are.
    async fn tables(&self) -> Vec<String> {
        match self.engine {
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.unwrap();
                let sql = "select relname::text from pg_class where relkind = 'r' and \
                           relnamespace = 'public'::regnamespace order by 1";
                let rows = connection.fetch_all(sql).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
                let sql = "select name from sqlite_master where type = 'table' order by 1";
                let rows = connection.fetch_all(sql).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }

    /// Everything refuses it with the same text.
    #[track_caller]
    fn refused(done: Result<usize, Error>, state: Result<SchemaState, Error>) -> String {
        let (done, state) = (done.unwrap_err(), state.unwrap_err());
        assert_eq!(done.kind(), ErrorKind::Refused, "{done}");
        assert_eq!(done, state);
        done.to_string()
    }
}

/// Writes a file that only its owner can use.
fn private(path: &Path, content: &[u8]) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

const ENGINES: [Engine; 2] = [Engine::Postgres, Engine::Sqlite];

#[test]
fn fr_043_003_a_database_of_another_encoding_is_refused_before_anything_is_made() {
    block_on(async {
        for encoding in ["LATIN1", "SQL_ASCII", "EUC_JP"] {
            let options = format!("ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'");
            let (url, guard) = postgres_database_with(&options).await;
            let folder = TempDir::new().unwrap();
            let bare = Bare::at(url.clone(), Engine::Postgres, Some(guard), folder);
            let said = Bare::refused(bare.ops.migrate().await, bare.ops.schema_state().await);
            assert!(said.contains(encoding) && said.contains("--encoding=UTF8"), "{said}");
            let shared = bare.ops.migrate_into(Target::Shared, &|_| {}).await.unwrap_err();
            assert!(shared.message().contains(encoding), "{shared}");
            assert!(bare.tables().await.is_empty());
            if encoding == "LATIN1" {
                let person = Person::at(&url);
                for command in ["migrate", "worker", "whoami", "seed"] {
                    let done = person.run(&[command]).ends(5);
                    assert!(done.err.contains("LATIN1"), "{done:?}");
                }
                let mut console = Console::open(&bare.ops, 80, 24).await;
                assert!(console.screen().contains("encoding is LATIN1"), "{}", console.screen());
                console.log_in("ana").await;
                let screen = console.screen();
                assert!(
                    screen.contains("encoding is LATIN1") && !screen.contains("migrate"),
                    "{screen}"
                );
                let info = person.run(&["info"]).ends(0);
                assert!(info.out.contains("LATIN1"), "{info:?}");
                assert!(bare.tables().await.is_empty());
            }
        }
        let bare = Bare::new(Engine::Sqlite).await;
        bare.sql("pragma encoding = 'UTF-16le'; create table x (y); drop table x").await;
        let said = Bare::refused(bare.ops.migrate().await, bare.ops.schema_state().await);
        assert!(said.contains("UTF-16le"), "{said}");
        // A C locale orders names in another way, and is no obstacle.
        let c = "ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'";
        let (url, guard) = postgres_database_with(c).await;
        let bare = Bare::at(url, Engine::Postgres, Some(guard), TempDir::new().unwrap());
        assert!(bare.ops.migrate().await.unwrap() > 0);
        bare.ops.require_current_schema().await.unwrap();
    });
}

#[test]
fn fr_043_004_a_database_of_another_program_is_left_as_it_is() {
    block_on(async {
        let postgres_only = [
            "create view orders as select 1 as id",
            "create function orders() returns int language sql as 'select 1'",
            "create type mood as enum ('sad')",
            "create sequence numbers",
            "create schema shop create table orders (id int)",
        ];
        let both = [
            "create table orders (id int)",
            "create table _sqlx_migrations (version bigint primary key, description text not null, installed_on timestamp, success boolean not null, checksum blob not null, execution_time bigint not null); create table orders (id int)",
        ];
        for engine in ENGINES {
            let only: &[&str] = if engine == Engine::Postgres {
                &postgres_only
            } else {
                &["create view v as select 1"]
            };
            for made in both.iter().chain(only) {
                let bare = Bare::new(engine).await;
                let blob = if engine == Engine::Postgres { "bytea" } else { "blob" };
                bare.sql(&made.replace("blob", blob)).await;
                let before = bare.tables().await;
                let said = Bare::refused(bare.ops.migrate().await, bare.ops.schema_state().await);
                assert!(said.contains("1 object of another program"), "{made}: {said}");
                assert!(said.contains("--into-nonempty-database"), "{said}");
                assert_eq!(bare.tables().await, before, "{made}");
                // Where it is meant, it is done.
                let applied = bare.ops.migrate_into(Target::Shared, &|_| {}).await.unwrap();
                assert!(applied > 10 && bare.tables().await.len() > before.len(), "{made}");
                bare.ops.require_current_schema().await.unwrap();
                assert_eq!(bare.ops.migrate().await.unwrap(), 0);
            }
        }
    });
}

#[test]
fn fr_043_004_an_empty_database_that_is_read_only_says_what_to_do() {
    block_on(async {
        let (url, guard) = fresh_postgres_database().await;
        let name = url.rsplit('/').next().unwrap();
        let set = format!("alter database {name} set default_transaction_read_only = on");
        crate::support::postgres::administer(&set).await;
        let ops = Ops::open(&url, Create::Never, Clock::system(), OpsSettings::default()).unwrap();
        let error = ops.migrate().await.unwrap_err();
        assert_eq!(error.message(), "the database is read-only");
        let hint = error.next_step().unwrap();
        assert!(
            hint.contains(&format!("alter database {name} reset default_transaction_read_only")),
            "{hint}"
        );
        ops.close().await;
        drop(guard);
    });
}

#[test]
fn fr_043_004_what_counts_as_nothing() {
    block_on(async {
        // Extensions and an empty table of migrations are nobody's data.
        let bare = Bare::new(Engine::Postgres).await;
        bare.sql("create extension hstore; create extension pg_trgm").await;
        assert_eq!(bare.ops.schema_state().await.unwrap(), SchemaState::Empty);
        assert!(bare.ops.migrate().await.unwrap() > 0);
        for engine in ENGINES {
            let bare = Bare::new(engine).await;
            let blob = if engine == Engine::Postgres { "bytea" } else { "blob" };
            bare.sql(&format!(
                "create table _sqlx_migrations (version bigint primary key, description text not null, \
                 installed_on timestamp default current_timestamp, success boolean not null, \
                 checksum {blob} not null, execution_time bigint not null)"
            )).await;
            assert_eq!(bare.ops.schema_state().await.unwrap(), SchemaState::Empty);
            assert!(bare.ops.migrate().await.unwrap() > 0);
            bare.ops.require_current_schema().await.unwrap();
        }
    });
}

#[test]
fn fr_043_004_names_that_are_taken_leave_nothing_half_made() {
    block_on(async {
        for engine in ENGINES {
            for taken in ["findings", "platform_settings"] {
                let bare = Bare::new(engine).await;
                bare.sql(&format!("create table {taken} (id int); insert into {taken} values (7)"))
                    .await;
                let error = bare.ops.migrate_into(Target::Shared, &|_| {}).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
                assert!(error.message().contains("a name that TenantPilot needs"), "{error}");
                let said = Bare::refused(bare.ops.migrate().await, bare.ops.schema_state().await);
                assert!(said.contains(taken) && said.contains("use an empty database"), "{said}");
                assert!(!said.contains("--into-nonempty-database"), "{said}");
                assert_eq!(bare.tables().await, [taken]);
            }
        }
    });
}

#[test]
fn fr_043_004_not_even_the_mode_of_a_foreign_file_changes() {
    block_on(async {
        let bare = Bare::new(Engine::Sqlite).await;
        bare.sql("create table bookmarks (id int); insert into bookmarks values (1)").await;
        let files = |folder: &Path| {
            let mut all: Vec<_> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .map(|path| (std::fs::read(&path).unwrap(), path))
                .collect();
            all.sort();
            all
        };
        let before = files(bare.folder.path());
        let person = Person::at(&bare.url);
        for command in [&["migrate"][..], &["runs", "list"], &["worker"], &["seed"]] {
            let done = person.run(command).ends(5);
            assert!(done.err.contains("another program"), "{done:?}");
        }
        assert!(person.run(&["info"]).ends(0).out.contains("another program"));
        assert!(files(bare.folder.path()) == before);
        let done = person.run(&["migrate", "--into-nonempty-database", "--json"]).ends(0);
        assert!(done.json()["migration"]["applied"].as_i64().unwrap() > 10);
        // A demo's reset deletes nothing that is not a demo's.
        let other = TempDir::new().unwrap();
        let file = other.path().join("demo.db");
        private(&file, &before[0].0);
        let url = format!("sqlite://{}", file.display());
        let ops = Ops::open(&url, Create::Never, Clock::system(), OpsSettings::default()).unwrap();
        assert_eq!(ops.schema_state().await.unwrap_err().kind(), ErrorKind::Refused);
    });
}

/// Refused when it is opened and when it is migrated, with a text that has these words.
async fn refused(store: &Store, words: &str) {
    for error in [
        store.ops.require_current_schema().await.unwrap_err(),
        store.ops.migrate().await.unwrap_err(),
        store.ops.migrate_into(Target::Shared, &|_| {}).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

both_engines! {
    async fn fr_043_005_a_changed_migration_is_an_error(store) {
        let bytes = if store.engine == Engine::Postgres { "'\\x00'" } else { "x'00'" };
        for (change, words) in [
            (format!("update _sqlx_migrations set checksum = {bytes} where version = 5"), "migration 5 in the database is not"),
            (format!("update _sqlx_migrations set checksum = {bytes}"), "migration 1 in the database is not"),
            ("update _sqlx_migrations set description = 'other' where version = 1".to_owned(), "migration 1 in the database is not"),
            ("update _sqlx_migrations set success = false where version = 3".to_owned(), "migration 3 of the database was not finished"),
            ("update _sqlx_migrations set version = -4 where version = 4".to_owned(), "holds migration -4"),
        ] {
            store.sql("create table kept as select * from _sqlx_migrations").await.unwrap();
            store.sql(&change).await.unwrap();
            refused(&store, words).await;
            store.sql("delete from _sqlx_migrations").await.unwrap();
            store.sql("insert into _sqlx_migrations select * from kept").await.unwrap();
            store.sql("drop table kept").await.unwrap();
            store.ops.require_current_schema().await.unwrap();
        }
    }

    async fn fr_043_004_own_tables_without_their_migrations_are_told_as_such(store) {
        if store.engine == Engine::Postgres {
            store.sql("create schema elsewhere").await.unwrap();
            let mark = if store.url.contains('?') { '&' } else { '?' };
            let url = format!("{}{mark}options=-c%20search_path%3Delsewhere", store.url);
            let bare = Bare::at(url, Engine::Postgres, None, TempDir::new().unwrap());
            let said = Bare::refused(bare.ops.migrate().await, bare.ops.schema_state().await);
            assert!(said.contains("in the schema \"public\", outside of the search_path"), "{said}");
            assert!(!said.contains("--into-nonempty-database"), "{said}");
        }
        for (lost, how) in
            [("delete from _sqlx_migrations", "empty"), ("drop table _sqlx_migrations", "missing")]
        {
            store.sql(lost).await.unwrap();
            let said = format!("tables like TenantPilot's are there, but _sqlx_migrations is {how}");
            refused(&store, &said).await;
            refused(&store, "nothing was changed; restore the table _sqlx_migrations").await;
        }
    }

    async fn fr_043_005_migrations_that_were_made_but_are_not_recorded_are_told(store) {
        store.sql("create table kept as select * from _sqlx_migrations").await.unwrap();
        for (cut, first) in [(1, 2), (8, 9), (14, 15), (16, 18)] {
            store.sql(&format!("delete from _sqlx_migrations where version > {cut}")).await.unwrap();
            for target in [Target::Own, Target::Shared] {
                let error = store.ops.migrate_into(target, &|_| {}).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
                let said = format!("migration {first} is not recorded, but what it makes is there");
                assert_eq!(error.message(), said);
                assert!(error.to_string().contains("nothing was changed; restore the table"), "{error}");
            }
            let newest = store.number("select max(version) from _sqlx_migrations").await;
            assert_eq!(newest, cut);
            store.sql("delete from _sqlx_migrations").await.unwrap();
            store.sql("insert into _sqlx_migrations select * from kept").await.unwrap();
        }
        // One that makes no table or index says it as it fails.
        store.sql("drop table open_alerts").await.unwrap();
        store.sql("delete from _sqlx_migrations where version > 13").await.unwrap();
        for table in ["product_usage_kept", "operation_run_faults", "data_kept", "operation_runs_leaving"] {
            store.sql(&format!("alter table {table} rename to {table}_kept")).await.unwrap();
        }
        for index in [
            "operation_runs_gaps", "operation_runs_plan", "notifications_age", "alert_deliveries_age",
            "alert_deliveries_run", "stored_reports_age", "stored_reports_run", "review_packs_expiry",
            "review_packs_without_expiry", "review_packs_run", "platform_sessions_expiry", "login_attempts_age",
        ] {
            store.sql(&format!("drop index {index}")).await.unwrap();
        }
        let error = store.ops.migrate().await.unwrap_err();
        assert_eq!(error.message(), "migration 14 is not recorded, but what it makes is there");
        assert!(error.to_string().contains("this migration changed nothing"), "{error}");
    }

    async fn fr_043_005_a_table_that_is_missing_although_all_is_migrated_is_named(store) {
        let actor = store.administrator().await.actor;
        let newest = store.number("select max(version) from _sqlx_migrations").await;
        // What a list reads, and what every change reads before it.
        for table in ["operation_runs", "platform_sessions"] {
            store.sql(&format!("alter table {table} rename to {table}_kept")).await.unwrap();
            let consent = Consent::yes();
            let mut errors = vec![
                store.ops.run(&actor, ListRuns::default()).await.unwrap_err(),
                store.ops.run(&actor, CancelRun { run_id: 1, consent }).await.unwrap_err(),
            ];
            // There is nothing to migrate; what it reads afterwards may be what is missing.
            errors.extend(store.ops.migrate().await.err());
            for error in errors {
                assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
                let said = format!("the table {table} is missing, but the schema's version is {newest}");
                assert_eq!(error.message(), said);
                let hint = error.next_step().unwrap();
                assert!(hint.contains("restore the database from a backup"), "{hint}");
                assert!(!hint.contains("run:"), "{hint}");
            }
            store.sql(&format!("alter table {table}_kept rename to {table}")).await.unwrap();
        }
        store.sql("alter table operation_runs rename column created_at to made_at").await.unwrap();
        let error = store.ops.run(&actor, ListRuns::default()).await.unwrap_err();
        assert_eq!(error.message(), format!("the schema lacks what its version {newest} has"));
        // Where a migration is missing, it helps.
        store.sql(&format!("delete from _sqlx_migrations where version = {newest}")).await.unwrap();
        let error = store.ops.run(&actor, ListRuns::default()).await.unwrap_err();
        assert_eq!(error.next_step(), Some("run: tenantpilot migrate"));
    }

    async fn fr_043_005_another_programs_migrations_are_told_by_what_they_are(store) {
        let newest = store.number("select max(version) from _sqlx_migrations").await;
        for change in [
            // The same numbers, and a newer one.
            "update _sqlx_migrations set description = 'step ' || version, checksum = cast('x' as CHECK)".to_owned(),
            format!("update _sqlx_migrations set version = version + {newest}, description = 'x', checksum = cast('x' as CHECK)"),
        ] {
            let check = if store.engine == Engine::Postgres { "bytea" } else { "blob" };
            store.sql(&change.replace("CHECK", check)).await.unwrap();
            refused(&store, "another program").await;
        }
        // A table of this name with other columns.
        store.sql("drop table _sqlx_migrations").await.unwrap();
        store.sql("create table _sqlx_migrations (a bigint)").await.unwrap();
        refused(&store, "another program").await;
    }

    async fn fr_043_005_a_migration_that_is_missing_in_the_middle_is_an_error(store) {
        let newest = store.number("select max(version) from _sqlx_migrations").await;
        store.sql(&format!("delete from _sqlx_migrations where version = {newest}")).await.unwrap();
        let before = store.number("select max(version) from _sqlx_migrations").await;
        let state = store.ops.schema_state().await.unwrap();
        assert_eq!(state, SchemaState::Older { database: before, program: newest });
        store.sql("delete from _sqlx_migrations where version = 12").await.unwrap();
        assert!(store.ops.schema_state().await.is_err());
        refused(&store, "migration 12 is not recorded in the database, though later ones are").await;
    }
}
