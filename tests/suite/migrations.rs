//! Bringing a platform up to date while others work on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};
use tenantpilot::ops::{Engine, Ops, OpsSettings, SchemaState, Target};

use crate::cli::{Person, Unprivileged, done};
use crate::grants::Role;
use crate::support::postgres::fresh_postgres_database;
use crate::support::stores::{Store, block_on, both_engines};
use crate::worker_process::Process;

const BACKFILL: [&str; 11] = [
    "runbooks",
    "start",
    "findings.lifecycle_backfill",
    "--wait-for-worker",
    "--all-tenants",
    "--json",
    "--confirm",
    "BACKFILL 4",
    "--reason-code",
    "DATA_REPAIR",
    "--reason=rows of the import",
];

impl Store {
    /// Makes the newest migration one that is missing.
    async fn outdate(&self) -> i64 {
        let newest = self.number("select max(version) from _sqlx_migrations").await;
        self.sql(&format!("delete from _sqlx_migrations where version = {newest}")).await.unwrap();
        newest
    }

    /// Applies a migration that this version does not know.
    async fn advance(&self) {
        let (checksum, now) = match self.engine {
            Engine::Postgres => ("''::bytea", "now()"),
            Engine::Sqlite => ("x''", "datetime('now')"),
        };
        self.sql(&format!(
            "insert into _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
             values (9000, 'newer', {now}, true, {checksum}, 0)"
        ))
        .await
        .unwrap();
    }
}

/// Waits until a run has ended; gives its JSON.
fn ended(person: &Person, run: &str) -> Value {
    for _ in 0..1_200 {
        let shown = person.run(&["runs", "show", run, "--json"]).ends(0).json();
        if shown["run"]["status"] == "completed" {
            return shown;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("run {run} did not end");
}

#[test]
fn fr_051_001_a_dry_run_of_a_new_file_says_what_would_be_made_and_makes_nothing() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("new/platform.db");
    let person = Person::at(&format!("sqlite://{}", file.display()));
    let said = person.run(&["migrate", "--dry-run"]).ends(0);
    assert!(said.out.starts_with("   1  "), "{said:?}");
    assert!(said.err.contains(", which would be made"), "{said:?}");
    let json = person.run(&["migrate", "--dry-run", "--json"]).ends(0).json();
    let missing = json["migration"]["missing"].as_array().unwrap().len();
    assert!(
        said.out
            .contains(&format!("\n{missing} migrations would be applied; nothing was changed\n"))
    );
    assert!(!file.parent().unwrap().exists());
    let made = person.run(&["migrate"]).ends(0).out;
    assert!(made.starts_with(&format!("{missing} migrations applied")), "{made}");
}

#[test]
fn fr_051_001_a_dry_run_refuses_a_file_that_cannot_be_made() {
    // Nothing can be made there, not even by root.
    for path in ["/proc/self/platform.db", "/proc/self/new/platform.db"] {
        let person = Person::at(&format!("sqlite://{path}"));
        let refused = person.run(&["migrate"]).ends(1).err;
        assert_eq!(person.run(&["migrate", "--dry-run"]).ends(1).err, refused);
        assert!(refused.contains("cannot create "), "{refused}");
    }
    let folder = tempfile::TempDir::new().unwrap();
    let at = |name: &str| Person::at(&format!("sqlite://{}/{name}", folder.path().display()));
    at("new/x.db").run(&["migrate", "--dry-run"]).ends(0);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    std::os::unix::fs::symlink("nothing", folder.path().join("link.db")).unwrap();
    let long = "x".repeat(252);
    for (name, why) in [
        ("link.db", "it is a symbolic link"),
        ("x.db/", "it is a directory"),
        ("new/x.db/", "it is a directory"),
        (&long, "invalid filename"),
        (&format!("other/{long}"), "invalid filename"),
    ] {
        let rehearsed = at(name).run(&["migrate", "--dry-run"]).ends(1).err;
        assert!(rehearsed.contains(why), "{name}: {rehearsed}");
        assert_eq!(rehearsed, at(name).run(&["migrate"]).ends(1).err);
    }
}

#[test]
fn fr_051_001_a_dry_run_refuses_a_read_only_file_and_says_what_repairs_it() {
    let store = block_on(Store::new(Engine::Sqlite));
    block_on(async {
        store.outdate().await;
        store.sql("pragma wal_checkpoint(truncate)").await.unwrap();
    });
    let user = Unprivileged::with_copy_of(&store.url);
    user.permit(0o400, 0o755);
    let rehearsed = user.run(&["migrate", "--dry-run"], None).ends(5);
    assert_eq!(user.run(&["migrate"], None).ends(5).err, rehearsed.err);
    assert!(rehearsed.err.contains("the database file is read-only"), "{rehearsed:?}");
    // The files beside it have its permissions.
    let named = |said: &str| -> Vec<String> {
        let names = said.split("run: chmod 600 ").nth(1).unwrap_or_else(|| panic!("{said}"));
        names.split_whitespace().map(|name| name.trim_matches('"').to_owned()).collect()
    };
    let file = user.file.display().to_string();
    let all = [file.clone(), format!("{file}-wal"), format!("{file}-shm")];
    assert_eq!(named(&rehearsed.err), all);
    // Of what is repaired in part, the rest is named.
    user.permit(0o600, 0o755);
    let refused = user.run(&["migrate", "--dry-run"], None).ends(5);
    let rest = named(&refused.err);
    assert!(!rest.contains(&file) && rest.contains(&all[2]), "{refused:?}");
    assert!(Command::new("chmod").arg("600").args(&rest).status().unwrap().success());
    let rehearsed = user.run(&["migrate", "--dry-run"], None).ends(0);
    assert!(rehearsed.out.contains("1 migration would be applied"), "{rehearsed:?}");
    user.run(&["migrate"], None).ends(0);
}

/// Changes a database as another program.
async fn change(url: &str, statements: &'static str) {
    if url.starts_with("sqlite") {
        SqliteConnection::connect(url).await.unwrap().execute(statements).await.unwrap();
    } else {
        PgConnection::connect(url).await.unwrap().execute(statements).await.unwrap();
    }
}

#[test]
fn fr_051_001_a_dry_run_refuses_a_name_that_another_program_has() {
    let (url, _guard) = block_on(fresh_postgres_database());
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("theirs.db");
    drop(tenantpilot::files::create_new(&file).unwrap());
    let file = format!("sqlite://{}", file.display());
    let view = "create sequence operation_runs_id_seq; create view tenants as select 1 as a";
    for (url, taken, freed) in [
        (&url, "create table tenants (a int)", "drop table tenants; create table theirs (a int)"),
        (&url, view, "drop view tenants"),
        (&file, "create table Tenants (a)", "alter table Tenants rename to theirs"),
        (&file, "create index operation_runs on theirs (a)", "drop index operation_runs"),
    ] {
        let person = Person::at(url);
        let both = |code| {
            for options in [&["--dry-run"][..], &[]] {
                let options = [&["migrate", "--into-nonempty-database"], options].concat();
                let done = person.run(&options).ends(code);
                let named = done.err.contains("an object of a name that TenantPilot needs");
                assert_eq!(named, code == 5, "{taken}: {done:?}");
            }
        };
        block_on(change(url, taken));
        both(5);
        block_on(change(url, freed));
        if freed.starts_with("drop view") || freed.starts_with("drop index") {
            both(0);
        }
    }
}

both_engines! {
    async fn fr_051_001_a_dry_run_says_what_is_missing_and_changes_nothing(store) {
        let person = Person::at(&store.url);
        let nothing = person.run(&["migrate", "--dry-run"]).ends(0).out;
        assert_eq!(nothing, "0 migrations would be applied; nothing was changed\n");
        let newest = store.outdate().await;
        for _ in 0..2 {
            let said = person.run(&["migrate", "--dry-run"]).ends(0).out;
            assert!(said.contains(&format!("{newest}  ")) && said.contains("1 migration would be"), "{said}");
        }
        let json = person.run(&["migrate", "--dry-run", "--json"]).ends(0).json();
        assert_eq!(json["migration"]["missing"][0]["version"], newest);
        assert!(person.run(&["migrate"]).ends(0).out.starts_with("1 migration applied"));
        store.sql("update _sqlx_migrations set description = 'other' where version = 3").await.unwrap();
        let refused = person.run(&["migrate", "--dry-run"]).ends(5).err;
        assert_eq!(refused, person.run(&["migrate"]).ends(5).err);
    }

    async fn fr_051_001_a_dry_run_refuses_what_is_there_unrecorded(store) {
        store.sql("delete from _sqlx_migrations where version > 1").await.unwrap();
        let person = Person::at(&store.url);
        let refused = person.run(&["migrate", "--dry-run"]).ends(5).err;
        assert!(refused.contains("is not recorded, but what it makes is there"), "{refused}");
        assert_eq!(refused, person.run(&["migrate"]).ends(5).err);
    }

    async fn fr_051_001_a_dry_run_refuses_any_object_of_a_needed_name(store) {
        for gone in [
            "delete from _sqlx_migrations where version > 21",
            "drop table data_kept",
            "drop table operation_runs_leaving",
            "drop index notifications_age",
            "drop index alert_deliveries_age",
            "drop index stored_reports_age",
            "drop index review_packs_expiry",
            "drop index review_packs_without_expiry",
            "drop index platform_sessions_expiry",
            "drop index login_attempts_age",
            "drop index alert_deliveries_run",
            "drop index stored_reports_run",
            "drop index review_packs_run",
            "drop index operation_runs_plan",
        ] {
            store.sql(gone).await.unwrap();
        }
        let person = Person::at(&store.url);
        person.run(&["migrate", "--dry-run"]).ends(0);
        let mut objects = vec![("view data_kept", "as select 1 as a"), ("index data_kept", "on findings (id)")];
        if store.engine == Engine::Postgres {
            objects.push(("type data_kept", "as enum ('a')"));
        }
        for (object, of) in objects {
            store.sql(&format!("create {object} {of}")).await.unwrap();
            let refused = person.run(&["migrate", "--dry-run"]).ends(5).err;
            assert!(refused.contains("migration 22 is not recorded, but what it makes is"), "{refused}");
            assert_eq!(refused, person.run(&["migrate"]).ends(5).err);
            store.sql(&format!("drop {object}")).await.unwrap();
        }
    }

    async fn fr_051_003_two_bring_an_older_database_up_to_date_at_once(store) {
        for _ in 0..3 {
            store.outdate().await;
            let services: Vec<_> = (0..4).map(|_| store.another(OpsSettings::default())).collect();
            let done = futures_util::future::join_all(services.iter().map(Ops::migrate)).await;
            let applied: usize = done.into_iter().map(Result::unwrap).sum();
            assert!(applied >= 1, "{applied}");
            assert_eq!(store.ops.schema_state().await.unwrap(), SchemaState::Current);
        }
    }

    async fn fr_051_004_programs_go_on_with_a_newer_schema_that_lets_them(store) {
        let store = store.with_platform().await;
        store.sql(
            "insert into findings (workspace_id, tenant_id, recurrence_key, title, severity, status, created_at, updated_at) \
             select workspace_id, id, 'key', 'Finding', 'high', 'open', '2026-10-01T00:00:00+00:00', \
             '2026-10-01T00:00:00+00:00' from tenants where id < 5"
        ).await.unwrap();
        let person = Person::administrator(&store.url);
        let worker = Process::start(&person, &["--quiet"]);
        let run = person.run(&BACKFILL).ends(0).json()["run"]["id"].to_string();
        assert_eq!(ended(&person, &run)["run"]["outcome"], "succeeded");
        store.advance().await;
        // The worker that was there, and one that comes, commands, and a change.
        let late = Process::start(&person, &["--quiet"]);
        store.sql("update findings set first_seen_at = null").await.unwrap();
        let run = person.run(&BACKFILL).ends(0).json()["run"]["id"].to_string();
        assert_eq!(ended(&person, &run)["run"]["outcome"], "succeeded");
        person.create("bob", &["--role", "viewer"]).ends(0);
        assert_eq!(person.run(&["info", "--json"]).ends(0).json()["info"]["database"]["schema"]["state"], "ahead");
        assert!(person.run(&["info"]).ends(0).out.contains("version 9000, newer than this program's"));
        assert_eq!(person.run(&["migrate"]).ends(0).out, "0 migrations applied; the schema is version 9000\n");
        for worker in [worker, late] {
            assert_eq!(worker.stop().0, 0);
        }
        // It takes away what this program needs.
        store.sql("update platform_settings set value = '9000' where key = 'oldest_program'").await.unwrap();
        let said = person.run(&["runs", "list"]).ends(5).err;
        assert!(said.contains("version 9000, newer than this program knows"), "{said}");
        store.sql("update platform_settings set value = 'none' where key = 'oldest_program'").await.unwrap();
        person.run(&["runs", "list"]).ends(5);
    }
}

#[test]
fn fr_051_001_a_role_that_may_not_alter_the_tables_reads_whose_they_are() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await;
        let (role, owner) = (Role::with_all(&store).await, Role::new(&store).await);
        store.sql(&format!("grant create on schema public to {}", role.name)).await.unwrap();
        let person = Person::at(&role.url);
        let both = |code| {
            let rehearsed = person.run(&["migrate", "--dry-run"]).ends(code);
            let done = person.run(&["migrate"]).ends(code);
            assert!(code == 0 || rehearsed.err == done.err, "{rehearsed:?} {done:?}");
            done.err
        };
        // Where nothing is missing, nothing is altered.
        both(0);
        store.outdate().await;
        store.sql(&format!("alter table findings owner to {}", owner.name)).await.unwrap();
        let of_several = both(5);
        assert!(of_several.contains(&owner.name), "{of_several}");
        store.sql(&format!("grant {} to {}", owner.name, role.name)).await.unwrap();
        let said = both(5);
        let of = store.text("select current_user::text").await;
        assert!(said.contains(&format!("grant {of} to {}", role.name)), "{said}");
        assert!(
            said.contains(&format!("migrate as {of}; or")) && !said.contains(&owner.name),
            "{said}"
        );
        // Who owns them may still not write the record.
        let every = format!(
            "do $$ declare name text; begin for name in select c.oid::regclass::text from pg_class c \
             where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace \
             loop execute 'alter table ' || name || ' owner to {0}'; end loop; \
             for name in select p.oid::regprocedure::text from pg_proc p where p.pronamespace = 'public'::regnamespace \
             loop execute 'alter function ' || name || ' owner to {0}'; end loop; end $$",
            owner.name
        );
        store.sql(&every).await.unwrap();
        store.sql(&format!("alter table _sqlx_migrations owner to {of}")).await.unwrap();
        store.sql(&format!("revoke insert on _sqlx_migrations from {}", role.name)).await.unwrap();
        let said = both(5);
        assert!(said.contains("grant insert on _sqlx_migrations"), "{said}");
        store.sql(&format!("grant insert on _sqlx_migrations to {}", role.name)).await.unwrap();
        both(0);
        store.sql(&format!("reassign owned by {} to current_user", owner.name)).await.unwrap();
        role.drop(&store).await;
        owner.drop(&store).await;
    });
}

#[test]
fn fr_051_002_a_lock_is_waited_for_a_moment_at_a_time() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await;
        let newest = store.outdate().await;
        store.sql("delete from platform_settings where key = 'oldest_program'").await.unwrap();
        let mut holder = PgConnection::connect(&store.url).await.unwrap();
        let hold = "begin; lock table platform_settings in share mode";
        holder.execute(AssertSqlSafe(hold)).await.unwrap();
        let heard = Mutex::new(Vec::new());
        let waits = |version| heard.lock().unwrap().push(version);
        let migrating = store.ops.migrate_into(Target::Own, &waits);
        let other = async {
            while heard.lock().unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            // Between two tries nothing waits behind it, not even for what it keeps out.
            let held =
                "set lock_timeout = 900; begin; lock table platform_settings in share mode; commit";
            store.sql(held).await.unwrap();
            holder.execute("rollback").await.unwrap();
        };
        let (applied, ()) = tokio::join!(migrating, other);
        assert_eq!(applied.unwrap(), 1);
        assert_eq!(heard.into_inner().unwrap()[0], newest);
        assert_eq!(store.ops.schema_state().await.unwrap(), SchemaState::Current);
        assert_eq!(
            store
                .number("select count(*) from platform_settings where key = 'oldest_program'")
                .await,
            1
        );
    });
}

#[test]
fn fr_051_005_a_migration_that_takes_something_away_says_so() {
    const TAKES: [&str; 7] = [
        "drop table",
        "drop column",
        "rename ",
        "set not null",
        " type ",
        "drop default",
        "add constraint",
    ];
    let allowed = |text: &str| {
        let text = text.to_lowercase();
        let mut statements = text.lines().filter(|line| !line.trim_start().starts_with("--"));
        let takes_away = statements.any(|line| TAKES.iter().any(|word| line.contains(word)));
        !takes_away || text.contains("'oldest_program'")
    };
    assert!(allowed(
        "-- drop table x\ncreate table y (id bigint);\nalter table x add column z text;"
    ));
    assert!(!allowed("create table y (id bigint);\nALTER TABLE x\n    DROP COLUMN z;"));
    for engine in ["postgres", "sqlite"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(engine);
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(
                name.as_str() <= "0023_" || allowed(&text),
                "{name} needs a newer oldest_program"
            );
        }
    }
}

/// A program of another version, asked as a person.
fn at(program: &Path, person: &Person, arguments: &[&str]) -> Command {
    let asked = person.command(arguments);
    let mut command = Command::new(program);
    command.args(arguments).env_clear().current_dir(person.folder.path());
    command.envs(asked.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The long form has the program of an earlier version; the short one makes one of this version's schema.
#[test]
fn fr_051_006_workers_of_two_versions_share_a_database_through_a_migration() {
    let old = std::env::var_os("TENANTPILOT_LONG_OLD").map(PathBuf::from);
    let store = block_on(async { Store::new(Engine::Postgres).await });
    if old.is_some() {
        block_on(store.sql("drop schema public cascade; create schema public")).unwrap();
    } else {
        block_on(store.outdate());
    }
    let person = Person::at(&store.url);
    let run_old = |arguments: &[&str], input: Option<&str>| {
        let program = old.as_deref().unwrap();
        done(&mut at(program, &person, arguments), input).ends(0)
    };
    if old.is_some() {
        run_old(&["migrate"], None);
    }
    let (tenants, each) = (4, if old.is_some() { 40_000 } else { 200 });
    let store = block_on(store.with_platform());
    block_on(store.sql(&format!(
        "insert into findings (workspace_id, tenant_id, recurrence_key, title, severity, status, created_at, updated_at) \
         select t.workspace_id, t.id, 'key-' || s.n, 'Finding', 'high', 'open', '2026-10-01T00:00:00+00:00', \
         '2026-10-01T00:00:00+00:00' from tenants t cross join generate_series(1, {each}) s (n) where t.id < 5"
    )))
    .unwrap();
    let mut before = Vec::new();
    let mut run = None;
    if let Some(program) = &old {
        let input = crate::support::stores::PASSWORD;
        let create = [
            "users",
            "create",
            "ana",
            "--password-file",
            "-",
            "--confirm",
            "ana",
            "--all-workspaces",
            "--role",
            "administrator",
        ];
        run_old(&create, Some(input));
        run_old(&["login", "ana", "--password-file", "-"], Some(input));
        for _ in 0..2 {
            before.push(
                at(program, &person, &["worker", "--no-schedule", "--quiet"]).spawn().unwrap(),
            );
        }
        run = Some(run_old(&BACKFILL, None).json()["run"]["id"].to_string());
    }
    // They wait for the migration.
    let new = [Process::start(&person, &["--quiet"]), Process::start(&person, &["--quiet"])];
    std::thread::sleep(Duration::from_millis(1_500));
    let said = person.run(&["migrate"]).ends(0);
    println!("migrate: {}", said.out.trim());
    if old.is_none() {
        person.create("ana", &["--role", "administrator"]).ends(0);
        person.login("ana").ends(0);
        run = Some(person.run(&BACKFILL).ends(0).json()["run"]["id"].to_string());
    }
    let shown = ended(&person, &run.unwrap());
    println!("run: {}", shown["run"]["summary_counts"]);
    assert_eq!(shown["run"]["outcome"], "succeeded", "{shown}");
    let filled = "select count(*) from findings where first_seen_at is not null and times_seen = 1";
    assert_eq!(block_on(store.number(filled)), tenants * each);
    for mut worker in before {
        let status = worker.wait().unwrap();
        println!("a worker of the version before ended with {:?}", status.code());
        assert_eq!(status.code(), Some(5));
    }
    for worker in new {
        assert_eq!(worker.stop().0, 0);
    }
}
