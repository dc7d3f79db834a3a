//! A platform in a schema of its own, beside others in the same database.

use std::time::Duration;

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tenantpilot::Clock;
use tenantpilot::access::Actor;
use tenantpilot::domain::capability::Role;
use tenantpilot::domain::schema_name::SchemaName;
use tenantpilot::ops::users::CreateFirstAdministrator;
use tenantpilot::ops::{
    ConnectionLimits, Create, Engine, Ops, OpsSettings, Target, password, try_each,
};

use crate::cli::Person;
use crate::support::postgres::fresh_postgres_database;
use crate::support::proxy::Proxy;
use crate::support::stores::{ORIGIN, PASSWORD, Store, block_on};
use crate::worker_process::Process;

const ODD: &str = "Kunden \"Süd\".a";

fn settings(schema: &str) -> OpsSettings {
    let schema = Some(SchemaName::parse(schema).unwrap());
    OpsSettings {
        patience: Duration::from_secs(60),
        limits: ConnectionLimits { schema, ..ConnectionLimits::default() },
        ..OpsSettings::default()
    }
}

/// A store whose tables are in a schema of an odd name, and what is asked of it.
async fn moved() -> Store {
    let mut store = Store::new(Engine::Postgres).await.with_platform().await;
    store
        .sql(r#"alter schema public rename to "Kunden ""Süd"".a"; create schema public"#)
        .await
        .unwrap();
    store.ops = store.another(settings(ODD));
    store
}

/// A person whose configuration names a schema.
fn with_schema(url: &str, schema: Option<&str>) -> Person {
    let person = Person::at(url);
    if let Some(schema) = schema {
        std::fs::create_dir_all(person.dir("config")).unwrap();
        let text = format!("schema = {}\n", json!(schema));
        std::fs::write(person.dir("config/config.toml"), text).unwrap();
    }
    person
}

#[test]
fn fr_048_010_every_operation_finds_the_tables_of_its_schema() {
    block_on(async {
        let store = moved().await;
        let administrator = store.administrator().await;
        let operator = store.user(&administrator, Role::Operator).await;
        let mut done = 0;
        for actor in [&operator.actor, &Actor::System, &administrator.actor] {
            for (line, error) in try_each(&store.ops, actor).await {
                done += usize::from(error.is_none());
                let said = error.map(|error| error.to_string()).unwrap_or_default();
                assert!(
                    !said.contains("does not exist") && !said.contains("missing"),
                    "{}: {said}",
                    line.name
                );
            }
        }
        assert!(done > 40, "{done}");
        store.ops.require_current_schema().await.unwrap();
        store.ops.snapshot(None).await.unwrap();
        store.ops.close().await;
    });
}

#[test]
fn fr_048_010_a_lost_commit_is_looked_up_in_its_schema() {
    block_on(async {
        let store = moved().await;
        let proxy = Proxy::start(&store.url);
        let ops =
            Ops::open(&proxy.url(&store.url), Create::Never, store.clock.clone(), settings(ODD))
                .unwrap();
        let restored = async {
            while !proxy.sprung() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            proxy.restore();
        };
        proxy.lose_answer_to("platform_users");
        let actor = Actor::Anonymous { origin: ORIGIN.to_owned() };
        let first = CreateFirstAdministrator {
            username: "ana".to_owned(),
            password: password::secret(PASSWORD),
        };
        let (made, ()) = tokio::join!(ops.run(&actor, first), restored);
        made.unwrap();
        ops.close().await;
    });
}

#[test]
fn fr_048_010_installations_in_one_database_do_not_see_each_other() {
    let (url, _guard) = block_on(fresh_postgres_database());
    let schemas = [None, Some("one"), Some(ODD)];
    let people = schemas.map(|schema| with_schema(&url, schema));
    for (n, person) in people.iter().enumerate() {
        let done = person.run(&["info"]).ends(0);
        assert!(done.out.contains("none yet"), "{done:?}");
        if let Some(schema) = schemas[n] {
            let said = person.run(&["runs", "list"]).ends(5).err;
            assert!(said.contains("has no TenantPilot tables yet"), "{schema}: {said}");
            assert!(done.out.contains(&format!("  schema   {schema}, none yet")), "{done:?}");
        }
        person.run(&["migrate"]).ends(0);
        assert!(person.run(&["migrate"]).ends(0).out.contains("0 migrations"), "again");
        let name = format!("admin{n}");
        person.create(&name, &["--role", "administrator"]).ends(0);
        person.login(&name).ends(0);
    }
    let old = r#"set search_path = "Kunden ""Süd"".a";
        insert into workspaces (id, name, created_at) values (1, 'W', now());
        insert into tenants (id, workspace_id, name, is_platform, created_at) values (1, 1, 'T', false, now());
        insert into product_usage_events (workspace_id, tenant_id, event_name, feature_area, subject_type, subject_id,
            occurred_at) values (1, 1, 'product.operations.started', 'operations', 'operation_run', '1',
            now() - interval '200 days')"#;
    block_on(async {
        PgConnection::connect(&url).await.unwrap().execute(old).await.unwrap();
    });
    let worker = Process::start(&people[2], &["--quiet"]);
    let start = [
        "runbooks",
        "start",
        "product_usage.prune",
        "--confirm",
        "PRUNE",
        "--wait-for-worker",
        "--json",
    ];
    let run = people[2].run(&start).ends(0).json()["run"]["id"].to_string();
    people[2].run(&["runs", "watch", &run]).ends(0);
    assert_eq!(worker.stop().0, 0);
    for (n, person) in people.iter().enumerate() {
        let runs = person.run(&["runs", "list", "--json"]).ends(0).json();
        assert_eq!(runs["runs"].as_array().unwrap().len(), usize::from(n == 2), "{runs}");
        let users = person.run(&["users", "list"]).ends(0).out;
        for other in 0..3 {
            assert_eq!(users.contains(&format!("admin{other}")), other == n, "{users}");
        }
        let settings = person.run(&["info"]).ends(0).out;
        assert!(settings.contains(schemas[n].unwrap_or("(search_path)")), "{settings}");
    }
    // A session of one is none of another.
    let config = people[1].dir("config/config.toml");
    std::fs::write(config, format!("schema = {}\n", json!(ODD))).unwrap();
    people[1].run(&["users", "list"]).ends(4);
}

#[test]
fn fr_048_010_a_schema_that_cannot_be_used_is_named() {
    for (name, why) in [
        ("pg_x", "the server's own"),
        ("information_schema", "the server's own"),
        ("$user", "the role's name"),
        ("a\tb", "control characters"),
        ("ä".repeat(32).as_str(), "1 to 63 bytes"),
    ] {
        let done =
            with_schema("postgres://u@db.invalid/x", Some(name)).run(&["runs", "list"]).ends(2);
        assert!(done.err.contains(why) && done.err.contains("line 1"), "{done:?}");
    }
    block_on(async {
        let (url, _guard) = fresh_postgres_database().await;
        let sql = async |text: String| {
            let mut connection = PgConnection::connect(&url).await.unwrap();
            connection.execute(AssertSqlSafe(text)).await.unwrap();
        };
        let role = format!("tp_{}", uuid::Uuid::new_v4().simple());
        sql(format!("create role {role} login password 'right-secret'")).await;
        let place = url.rsplit_once('@').unwrap().1;
        let url_of_role = format!("postgres://{role}:right-secret@{place}");
        let at = |schema: &str| {
            Ops::open(&url_of_role, Create::Never, Clock::system(), settings(schema)).unwrap()
        };
        let (mine, none) = (at("mine"), at("none"));
        let said = mine.migrate().await.unwrap_err().to_string();
        let grant =
            format!("grant create on database {} to {role}", place.split_once('/').unwrap().1);
        assert!(said.contains(&grant), "{said}");
        let rehearsed = mine.missing_migrations(Target::Own).await.unwrap_err().to_string();
        assert_eq!(rehearsed, said);
        // One that is there needs no right to make one, but rights of its own.
        sql("create schema mine".to_owned()).await;
        let said = mine.migrate().await.unwrap_err().to_string();
        let grant = format!("as its owner: grant usage, create on schema \"mine\" to {role}");
        assert!(said.contains(&grant), "{said}");
        let rehearsed = mine.missing_migrations(Target::Own).await.unwrap_err().to_string();
        assert_eq!(rehearsed, said);
        sql(format!("alter schema mine owner to {role}")).await;
        assert!(mine.migrate().await.unwrap() > 0);
        mine.require_current_schema().await.unwrap();
        let said = none.require_current_schema().await.unwrap_err().to_string();
        assert!(said.contains("the schema \"none\" has no TenantPilot tables yet"), "{said}");
        let left = none.missing_migrations(Target::Own).await.unwrap_err().to_string();
        assert!(left.contains("grant create on database"), "{left}");
        // Who may not use it reads that, and not that it is empty.
        sql("alter schema mine owner to current_user".to_owned()).await;
        let barred = at("mine").require_current_schema().await.unwrap_err().to_string();
        assert!(barred.contains("may not use the schema \"mine\""), "{barred}");
        mine.close().await;
        none.close().await;
        sql(format!("drop owned by {role}; drop role {role}")).await;
    });
}

#[test]
fn fr_048_010_a_newer_schema_is_refused_where_it_is() {
    block_on(async {
        let store = moved().await;
        store.sql(r#"insert into "Kunden ""Süd"".a"._sqlx_migrations select 9999, 'later', now(), true, '\x00', 0"#).await.unwrap();
        store.sql(r#"update "Kunden ""Süd"".a".platform_settings set value = '9999' where key = 'oldest_program'"#).await.unwrap();
        for error in [
            store.ops.require_current_schema().await.unwrap_err(),
            store.ops.migrate().await.unwrap_err(),
        ] {
            assert!(error.to_string().contains("version 9999, newer than"), "{error}");
        }
        // What is beside it is not looked at.
        let beside = store.another(settings("beside"));
        assert!(beside.migrate().await.unwrap() > 0);
        beside.close().await;
        store.ops.close().await;
    });
}
