//! What is written once can never be changed, not even by the database's owner.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use tenantpilot::ops::Engine;

use crate::database::texts;
use crate::support::stores::{Store, both_engines};

const AUDIT: &str = "into audit_logs (id, plane, actor_kind, action, status, occurred_at) values \
    (7, 'system', 'system', 'a.b', 'succeeded', '2026-11-01T00:00:00+00:00')";
const SUPPORT: &str = "into support_requests (id, reference, workspace_id, tenant_id, primary_context, \
    created_by_platform_user, created_by_name, summary, attachment_mode, context_schema_version, context, created_at) \
    values (7, 'SR-01J9ZQ4M9QZ6W3J8R5T2Y7XKNV', 1, 1, 'tenant', 1, 'n', 'kept', 'canonical_context_only', 1, '{}', \
    '2026-11-01T00:00:00+00:00')";

async fn filled(store: &Store) -> Vec<String> {
    store.sql(&format!("insert {AUDIT}")).await.unwrap();
    store.sql(&format!("insert {SUPPORT}")).await.unwrap();
    kept(store).await
}

async fn kept(store: &Store) -> Vec<String> {
    texts(
        store,
        "select cast(id as text) || action || status || occurred_at from audit_logs union all \
         select cast(id as text) || reference || summary || severity || cast(context as text) from support_requests",
    )
    .await
}

/// Ways to change or remove a row that both engines know.
const WAYS: &[&str] = &[
    "update audit_logs set status = 'failed'",
    "update audit_logs set id = 8 where id = 7",
    "delete from audit_logs",
    "delete from audit_logs where id = 7",
    "update support_requests set summary = 'changed'",
    "delete from support_requests",
    "insert into audit_logs (id, plane, actor_kind, action, status, occurred_at) values \
     (7, 'system', 'system', 'a.b', 'failed', '2026-11-01T00:00:00+00:00') \
     on conflict (id) do update set status = excluded.status",
];

async fn refused_on_postgres(connection: &mut PgConnection, way: &str) {
    let error = connection.execute(AssertSqlSafe(way.to_owned())).await.unwrap_err();
    let database = error.as_database_error().unwrap();
    assert!(database.message().contains("append-only"), "{way}: {database}");
}

async fn refused_on_sqlite(connection: &mut SqliteConnection, way: &str) {
    let error = connection.execute(AssertSqlSafe(way.to_owned())).await.unwrap_err();
    assert!(error.to_string().contains("append-only"), "{way}: {error}");
}

both_engines! {
    async fn fr_002_005_no_way_of_writing_changes_or_removes_a_record(store) {
        let before = filled(&store).await;
        assert_eq!(before.len(), 2);
        match store.engine {
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&store.url).await.unwrap();
                let more = ["truncate audit_logs", "truncate support_requests", "truncate audit_logs, support_requests cascade"];
                for role in ["origin", "replica", "local"] {
                    connection.execute(AssertSqlSafe(format!("set session_replication_role = {role}"))).await.unwrap();
                    for way in WAYS.iter().chain(&more) {
                        refused_on_postgres(&mut connection, way).await;
                    }
                }
            }
            Engine::Sqlite => {
                let replaces = [
                    format!("replace {AUDIT}"),
                    format!("insert or replace {AUDIT}"),
                    format!("insert or replace {SUPPORT}"),
                    // Another id, but the reference of a kept request.
                    format!("insert or replace {}", SUPPORT.replace("(7,", "(8,")),
                    "update or replace audit_logs set status = 'failed'".to_owned(),
                ];
                for recursive in ["on", "off"] {
                    let mut connection = SqliteConnection::connect(&store.url).await.unwrap();
                    connection.execute(AssertSqlSafe(format!("pragma recursive_triggers = {recursive}"))).await.unwrap();
                    for way in WAYS.iter().copied().chain(replaces.iter().map(String::as_str)) {
                        refused_on_sqlite(&mut connection, way).await;
                    }
                }
            }
        }
        assert_eq!(kept(&store).await, before);
    }

    async fn fr_002_005_records_outlive_what_they_tell_of(store) {
        let store = store.with_platform().await;
        let before = filled(&store).await;
        store.sql("delete from users").await.unwrap();
        store.sql("delete from tenants where id = 1").await.unwrap();
        assert_eq!(kept(&store).await, before);
    }

    async fn fr_002_005_new_records_are_still_taken(store) {
        filled(&store).await;
        store.sql(&format!("insert {}", AUDIT.replace("(7,", "(8,"))).await.unwrap();
        store
            .sql(&format!("insert {}", SUPPORT.replace("(7,", "(8,").replace("XKNV", "XKNW")))
            .await
            .unwrap();
        assert_eq!(kept(&store).await.len(), 4);
    }
}
