//! The platform database: equal schemas, and its rules.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqliteConnection};
use tenantpilot::ErrorKind;
use tenantpilot::access::Actor;
use tenantpilot::domain::run::Source;
use tenantpilot::ops::platform::PlatformInfo;
use tenantpilot::ops::runs::{RunScope, StartRun};
use tenantpilot::ops::{Engine, OpsSettings, SchemaState};

use crate::support::stores::{Store, block_on, both_engines};

/// The first column of every row, past the program.
pub async fn texts(store: &Store, sql: &str) -> Vec<String> {
    let sql = AssertSqlSafe(sql.to_owned());
    match store.engine {
        Engine::Postgres => {
            let mut connection = PgConnection::connect(&store.url).await.unwrap();
            let rows = connection.fetch_all(sql).await.unwrap();
            rows.iter().map(|row| row.get(0)).collect()
        }
        Engine::Sqlite => {
            let mut connection = SqliteConnection::connect(&store.url).await.unwrap();
            let rows = connection.fetch_all(sql).await.unwrap();
            rows.iter().map(|row| row.get(0)).collect()
        }
    }
}

/// `table.column` -> whether it may be null.
type Columns = BTreeMap<String, bool>;

async fn columns(store: &Store) -> Columns {
    let sql = match store.engine {
        Engine::Postgres => {
            "select table_name || '.' || column_name || ' ' || is_nullable from information_schema.columns \
             where table_schema = 'public' and table_name <> '_sqlx_migrations' and table_name not in \
             (select table_name from information_schema.views where table_schema = 'public')"
        }
        Engine::Sqlite => {
            "select m.name || '.' || c.name || ' ' || case when c.\"notnull\" or c.pk > 0 then 'NO' else 'YES' end \
             from sqlite_master m join pragma_table_info(m.name) c where m.type = 'table' \
             and m.name <> '_sqlx_migrations' and m.name not like 'sqlite_%'"
        }
    };
    let split = |text: String| {
        let (name, nullable) = text.split_once(' ').unwrap();
        (name.to_owned(), nullable == "YES")
    };
    texts(store, sql).await.into_iter().map(split).collect()
}

async fn indexes(store: &Store) -> Vec<String> {
    let sql = match store.engine {
        Engine::Postgres => {
            "select indexname::text from pg_indexes where schemaname = 'public' \
             and indexname !~ '(_pkey|_key)$' order by indexname collate \"C\""
        }
        Engine::Sqlite => {
            "select name from sqlite_master where type = 'index' and name not like 'sqlite_%' order by name"
        }
    };
    texts(store, sql).await
}

#[test]
fn fr_002_001_migrations_have_equal_names() {
    let names = |engine: &str| {
        let folder = format!("{}/migrations/{engine}", env!("CARGO_MANIFEST_DIR"));
        let mut names: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert!(!names("postgres").is_empty());
    assert_eq!(names("postgres"), names("sqlite"));
}

#[test]
fn fr_002_002_both_engines_have_the_same_tables_columns_and_indexes() {
    block_on(async {
        let postgres = Store::new(Engine::Postgres).await;
        let sqlite = Store::new(Engine::Sqlite).await;
        assert_eq!(columns(&postgres).await, columns(&sqlite).await);
        assert_eq!(indexes(&postgres).await, indexes(&sqlite).await);
    });
}

/// A valid row of everything that the broken rows below refer to.
const BASE: &str = "insert into platform_users (id, username, display_name, password_hash, capabilities, created_at, updated_at) \
    values (1, 'kept', 'Kept', 'x', '[]', '2026-11-01T00:00:00+00:00', '2026-11-01T00:00:00+00:00'); \
    insert into operation_runs (id, workspace_id, tenant_id, source, type, scope_kind, identity_hash, created_at, updated_at) \
    values (1, 1, 1, 'admin', 'policy.sync', 'tenant', 'HASH', '2026-11-01T00:00:00+00:00', '2026-11-01T00:00:00+00:00'); \
    insert into runbook_plans (id, runbook, scope_kind, scope, hash, affected_count, total_count, tenant_count, phrase, created_at, expires_at) \
    values (1, 'x.y', 'all', '{}', 'HASH', 0, 0, 1, 'X', '2026-11-01T00:00:00+00:00', '2026-11-02T00:00:00+00:00')";

/// The columns of a valid row of each table, and one value at a time that a rule forbids.
/// `T` stands for a time, `H` for a hash.
const RULES: &[(&str, &str, &[&str])] = &[
    (
        "workspaces",
        "name='A', created_at=T",
        &["name=''", "name=LONG", "name=null", "created_at=null"],
    ),
    (
        "tenants",
        "workspace_id=1, name='A', created_at=T",
        &[
            "workspace_id=77",
            "workspace_id=null",
            "name=''",
            "is_platform=true",
            "is_platform=null",
        ],
    ),
    (
        "users",
        "workspace_id=1, email='a@b', name='A', created_at=T",
        &["email='m.lang@contoso.example'", "workspace_id=77", "email=null"],
    ),
    (
        "platform_users",
        "username='a', display_name='A', password_hash='x', capabilities='[]', created_at=T, updated_at=T",
        &[
            "username='kept'",
            "username=''",
            "username=LONG",
            "password_hash=null",
            "capabilities=null",
        ],
    ),
    (
        "platform_user_workspaces",
        "platform_user_id=1, workspace_id=1",
        &["platform_user_id=77", "workspace_id=77"],
    ),
    (
        "platform_sessions",
        "token_hash=H, platform_user_id=1, kind='cli', origin='o', credential_version=1, created_at=T, last_active_at=T, idle_seconds=60, expires_at=T",
        &[
            "token_hash='short'",
            "kind='web'",
            "platform_user_id=77",
            "idle_seconds=0",
            "ended_at=T",
            "end_reason='x'",
        ],
    ),
    (
        "login_attempts",
        "origin='o', username='u', window_start=T, n=1",
        &["origin=null", "username=null", "n=null"],
    ),
    (
        "break_glass_grants",
        "platform_user_id=1, reason_code='INCIDENT', reason='x', granted_at=T, expires_at=LATER",
        &["reason_code='FUN'", "reason=''", "expires_at=T", "platform_user_id=77"],
    ),
    (
        "runbook_plans",
        "runbook='x.y', scope_kind='all', scope='{}', hash=H, affected_count=1, total_count=2, tenant_count=1, phrase='X', created_at=T, expires_at=LATER",
        &[
            "scope_kind='galaxy'",
            "hash='x'",
            "affected_count=-1",
            "total_count=0",
            "tenant_count=-1",
            "expires_at=T",
            "platform_user_id=77",
        ],
    ),
    (
        "runbook_plan_targets",
        "plan_id=1, ordinal=0, tenant_id=1, affected_count=0, total_count=0",
        &[
            "plan_id=77",
            "ordinal=-1",
            "ordinal=1",
            "tenant_id=77",
            "affected_count=-1",
            "affected_count=1",
        ],
    ),
    (
        "operation_runs",
        "workspace_id=1, tenant_id=1, source='admin', type='policy.sync', scope_kind='tenant', identity_hash=H, created_at=T, updated_at=T",
        &[
            "source='web'",
            "type='policy'",
            "type='Policy.Sync'",
            "type='policy..sync'",
            "type='policy.'",
            "type='.sync'",
            "scope_kind='galaxy'",
            "status='lost'",
            "outcome='fine'",
            "status='completed'",
            "outcome='failed'",
            "completed_at=T",
            "status='running'",
            "lease_owner='w'",
            "tenant_id=null",
            "workspace_id=2",
            "workspace_id=null",
            "tenant_id=77",
            "identity_hash='x'",
            "target_count=-1",
            "fence=-1",
            "takeovers=-1",
            "audit_gaps=-1",
            "plan_id=77",
            "retry_of_run_id=77",
            "user_id=77",
            "platform_user_id=77",
            "summary_counts='{\"total\": 1, \"processed\": 2}'",
        ],
    ),
    (
        "operation_runs",
        "workspace_id=1, tenant_id=1, source='admin', type='policy.sync', scope_kind='tenant', identity_hash=H, created_at=T, updated_at=T, status='completed', outcome='failed', completed_at=T",
        &[
            "outcome='pending'",
            "completed_at=null",
            "paused_at=T",
            "lease_owner='w'",
            "summary_counts='{\"total\": 2, \"processed\": 2, \"failed\": 1}'",
        ],
    ),
    (
        "operation_runs",
        "workspace_id=1, tenant_id=1, source='admin', type='policy.sync', scope_kind='tenant', identity_hash=H, created_at=T, updated_at=T, user_id=1",
        &["platform_user_id=1"],
    ),
    (
        "operation_run_targets",
        "run_id=1, ordinal=0, kind='tenant', tenant_id=1, updated_at=T",
        &[
            "run_id=77",
            "ordinal=-1",
            "kind='user'",
            "kind='platform'",
            "tenant_id=null",
            "tenant_id=77",
            "status='lost'",
            "starts=-1",
            "status='failed'",
            "reason_code='timeout'",
        ],
    ),
    (
        "operation_run_failures",
        "run_id=1, tenant_id=1, reason_code='timeout', message='m', occurred_at=T",
        &["run_id=77", "tenant_id=77", "reason_code=''", "message=LONG", "message=null"],
    ),
    (
        "operation_run_leases",
        "run_id=1, owner='w', acquired_at=T, heartbeat_at=T, expires_at=T",
        &["run_id=77", "owner=null"],
    ),
    (
        "provider_connections",
        "workspace_id=1, tenant_id=1, provider='p', status='connected', created_at=T",
        &["workspace_id=2", "tenant_id=77", "status='odd'"],
    ),
    (
        "findings",
        "workspace_id=1, tenant_id=1, recurrence_key='k', title='t', severity='low', status='new', created_at=T, updated_at=T",
        &[
            "workspace_id=2",
            "severity='odd'",
            "status='odd'",
            "times_seen=0",
            "sla_days=0",
            "status='duplicate'",
            "duplicate_of_id=77",
        ],
    ),
    (
        "tenant_onboarding_sessions",
        "workspace_id=1, checkpoint_key='k', lifecycle_state='s', created_at=T, updated_at=T",
        &["workspace_id=77", "tenant_id=3", "user_id=77"],
    ),
    (
        "stored_reports",
        "workspace_id=1, tenant_id=1, report_type='x', created_at=T",
        &["workspace_id=2", "run_id=77"],
    ),
    (
        "review_packs",
        "workspace_id=1, tenant_id=1, status='ready', include_operations=true, include_pii=false, created_at=T",
        &["workspace_id=2", "status='odd'", "run_id=77", "include_pii=null"],
    ),
    (
        "product_usage_events",
        "workspace_id=1, tenant_id=1, event_name='product.operations.started', feature_area='operations', subject_type='operation_run', subject_id='1', metadata='{\"operation_type\": \"policy.sync\"}', occurred_at=T",
        &[
            "subject_type='tenant'",
            "user_id=2",
            "metadata='{\"operation_type\": \"policy sync\"}'",
            "metadata='{\"operation_type\": \"m@lang.example\"}'",
            "metadata='{\"operation_type\": {}}'",
            "metadata='{\"operation_type\": [1]}'",
            "metadata='{\"operation_type\": null}'",
            "metadata='{\"operation_type\": 1.5}'",
            "metadata='{\"operation_type\": \"\"}'",
            "metadata='{\"report_type\": \"x\"}'",
            "metadata='{\"name\": \"x\"}'",
            "metadata='7'",
            "workspace_id=null",
            "tenant_id=null",
            "tenant_id=3",
            "event_name='product.other'",
            "feature_area='review_pack'",
            "subject_type='user'",
            "subject_id='a b'",
            "subject_id=''",
            "subject_id='a@b'",
            "occurred_at='9999-01-01T00:00:00+00:00'",
            "occurred_at='1999-12-31T00:00:00+00:00'",
            "subject_id=LONG",
            "metadata='[]'",
            "user_id=77",
        ],
    ),
    (
        "audit_logs",
        "plane='system', actor_kind='system', action='a.b', status='succeeded', occurred_at=T",
        &[
            "plane='other'",
            "actor_kind='robot'",
            "action='login'",
            "action='Auth.Login'",
            "status='maybe'",
        ],
    ),
    (
        "support_requests",
        "reference='SR-01J9ZQ4M9QZ6W3J8R5T2Y7XKNV', workspace_id=1, tenant_id=1, primary_context='tenant', created_by_platform_user=1, created_by_name='n', summary='s', attachment_mode='canonical_context_only', context_schema_version=1, context='{}', created_at=T",
        &[
            "reference='SR-1'",
            "reference='SR-01J9ZQ4M9QZ6W3J8R5T2Y7XKNU'",
            "primary_context='user'",
            "primary_context='operation_run'",
            "run_id=1",
            "severity='odd'",
            "summary=''",
            "summary=LONG",
            "attachment_mode='odd'",
            "workspace_id=null",
            "tenant_id=null",
        ],
    ),
    (
        "notifications",
        "platform_user_id=1, kind='k', run_id=1, title='t', created_at=T",
        &["platform_user_id=77", "run_id=77", "title=null"],
    ),
    (
        "alert_deliveries",
        "event='e', run_id=1, payload='{}', next_attempt_at=T, created_at=T",
        &["run_id=77", "status='odd'", "attempts=-1", "status='delivered'", "delivered_at=T"],
    ),
    ("platform_settings", "key='k', value='v', updated_at=T", &["value=null"]),
];

fn insert(table: &str, row: &str, wrong: Option<&str>, hash: usize) -> String {
    let mut cells: Vec<(&str, &str)> =
        row.split(", ").map(|cell| cell.split_once('=').unwrap()).collect();
    if let Some(wrong) = wrong {
        let (column, value) = wrong.split_once('=').unwrap();
        cells.retain(|(name, _)| *name != column);
        cells.push((column, value));
    }
    let names: Vec<&str> = cells.iter().map(|(name, _)| *name).collect();
    let values: Vec<String> = cells
        .iter()
        .map(|(_, value)| match *value {
            "T" => "'2026-11-01T00:00:00+00:00'".to_owned(),
            "LATER" => "'2026-11-02T00:00:00+00:00'".to_owned(),
            "H" => format!("'{hash:064x}'"),
            "LONG" => format!("'{}'", "x".repeat(501)),
            other => other.to_owned(),
        })
        .collect();
    format!("insert into {table} ({}) values ({})", names.join(", "), values.join(", "))
}

fn base() -> String {
    BASE.replace("HASH", &"a".repeat(64))
}

both_engines! {
    async fn fr_002_002_every_table_of_the_platform_exists(store) {
        let columns = columns(&store).await;
        for table in [
            "workspaces", "tenants", "users", "platform_users", "platform_sessions", "login_attempts",
            "operation_runs", "operation_run_targets", "operation_run_failures", "operation_run_leases",
            "runbook_plans", "platform_user_workspaces", "break_glass_grants", "findings",
            "product_usage_events", "tenant_onboarding_sessions", "stored_reports", "review_packs",
            "provider_connections", "support_requests", "audit_logs", "notifications", "alert_deliveries",
        ] {
            assert!(columns.keys().any(|name| name.starts_with(&format!("{table}."))), "no {table}");
            assert!(RULES.iter().any(|(name, ..)| *name == table), "no rule of {table} is tried");
        }
    }

    async fn fr_002_003_the_database_itself_refuses_what_breaks_a_rule(store) {
        let store = store.with_platform().await;
        store.sql(&base()).await.unwrap();
        let mut hash = 1;
        for (table, row, wrongs) in RULES {
            for wrong in *wrongs {
                hash += 1;
                let refused = store.sql(&insert(table, row, Some(wrong), hash)).await;
                assert!(refused.is_err(), "{table} took {wrong}");
            }
            // The row itself is fine, so what was refused was refused for the one value.
            hash += 1;
            let taken = store.sql(&insert(table, row, None, hash)).await;
            assert!(taken.is_ok(), "{table}: {taken:?}");
        }
        for (table, row) in [("platform_sessions", RULES[5].1), ("alert_deliveries", RULES[RULES.len() - 2].1),
            ("notifications", RULES[RULES.len() - 3].1), ("operation_run_targets", "run_id=1, ordinal=0, kind='tenant', tenant_id=1, updated_at=T"),
            ("break_glass_grants", RULES[7].1), ("login_attempts", RULES[6].1), ("platform_settings", "key='k', value='v', updated_at=T")]
        {
            // The hash of the row above it, or the natural key: twice is once too often.
            let hash = if table == "platform_sessions" {
                let at = texts(&store, "select token_hash from platform_sessions").await;
                usize::from_str_radix(at[0].trim_start_matches('0'), 16).unwrap()
            } else {
                0
            };
            assert!(store.sql(&insert(table, row, None, hash)).await.is_err(), "{table} took a row twice");
        }
    }

    async fn fr_002_003_what_is_referred_to_cannot_be_removed(store) {
        let store = store.with_platform().await;
        store.sql(&base()).await.unwrap();
        for sql in ["delete from tenants where id = 1", "delete from workspaces", "delete from runbook_plans where id = 1 and exists (select 1 from missing)"] {
            assert!(store.sql(sql).await.is_err(), "{sql}");
        }
    }

    async fn fr_002_004_an_index_keeps_two_active_runs_of_one_identity_away(store) {
        let store = store.with_platform().await;
        store.sql(&base()).await.unwrap();
        let again = |status: &str, id: u8| format!(
            "insert into operation_runs (id, workspace_id, tenant_id, source, type, scope_kind, identity_hash, \
             created_at, updated_at, status, lease_owner) values ({id}, 1, 1, 'admin', 'policy.sync', 'tenant', '{}', \
             '2026-11-01T00:00:00+00:00', '2026-11-01T00:00:00+00:00', '{status}', {})",
            "a".repeat(64), if status == "running" { "'w'" } else { "null" }
        );
        assert!(store.sql(&again("queued", 2)).await.is_err());
        assert!(store.sql(&again("running", 3)).await.is_err());
        store
            .sql("update operation_runs set status = 'completed', outcome = 'succeeded', completed_at = created_at")
            .await
            .unwrap();
        store.sql(&again("running", 4)).await.unwrap();
        assert!(store.sql(&again("queued", 5)).await.is_err());
    }

    async fn fr_002_006_only_the_schema_of_this_version_is_accepted(store) {
        assert_eq!(store.ops.schema_state().await.unwrap(), SchemaState::Current);
        store.ops.require_current_schema().await.unwrap();

        let newest = "select max(version) from _sqlx_migrations";
        let version = store.number(newest).await;
        store.sql(&format!("update _sqlx_migrations set version = {} where version = {version}", version + 900)).await.unwrap();
        let error = store.ops.require_current_schema().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.message().contains("newer than this program"), "{error}");
        let error = store.ops.migrate().await.unwrap_err();
        assert!(error.message().contains("newer than this program"), "{error}");

        store.sql(&format!("delete from _sqlx_migrations where version > {version}")).await.unwrap();
        let error = store.ops.require_current_schema().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains("run: tenantpilot migrate"), "{error}");

        // Its tables are told without the record of its migrations, too.
        store.sql("drop table _sqlx_migrations").await.unwrap();
        let error = store.ops.require_current_schema().await.unwrap_err();
        assert!(error.message().contains("tables like TenantPilot's"), "{error}");
    }

    async fn fr_002_007_migrating_again_changes_nothing(store) {
        let before = columns(&store).await;
        assert_eq!(store.ops.migrate().await.unwrap(), 0);
        assert_eq!(store.ops.migrate().await.unwrap(), 0);
        assert_eq!(columns(&store).await, before);
    }

    async fn fr_002_011_a_read_cannot_write_past_its_snapshot(store) {
        // A reading operation sees one state although another process writes meanwhile.
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let writer = store.another(OpsSettings::default());
        let stop = std::sync::atomic::AtomicBool::new(false);
        let reading = async {
            for _ in 0..40 {
                let counts = store.ops.run(&root.actor, tenantpilot::ops::runs::CountRuns).await.unwrap();
                assert!(counts.active <= counts.total.unwrap(), "{counts:?}");
            }
            stop.store(true, std::sync::atomic::Ordering::SeqCst);
        };
        let writing = async {
            let mut n = 0;
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                n += 1;
                let mut start = StartRun::for_tenant("policy.sync", 1, Source::Admin);
                start.inputs = serde_json::json!({ "n": n });
                writer.run(&Actor::System, start).await.unwrap();
            }
            n
        };
        let ((), written) = tokio::join!(reading, writing);
        assert!(written > 0);
    }

    async fn fr_002_012_a_change_by_another_process_is_noticed(store) {
        let store = store.with_platform().await;
        let mut watch = store.ops.watch().await.unwrap();
        let other = store.another(OpsSettings::default());
        let start = || StartRun { scope: RunScope::Tenant(1), ..StartRun::for_tenant("policy.sync", 1, Source::Admin) };
        match store.engine {
            Engine::Sqlite => {
                assert_eq!(watch.changed().await.unwrap(), Some(true), "the first look");
                assert_eq!(watch.changed().await.unwrap(), Some(false));
                other.run(&Actor::System, PlatformInfo).await.unwrap();
                assert_eq!(watch.changed().await.unwrap(), Some(false), "a read is no change");
                other.run(&Actor::System, start()).await.unwrap();
                assert_eq!(watch.changed().await.unwrap(), Some(true));
                assert_eq!(watch.changed().await.unwrap(), Some(false));
            }
            Engine::Postgres => {
                assert_eq!(watch.changed().await.unwrap(), None, "it has to look");
                other.run(&Actor::System, start()).await.unwrap();
                tokio::time::timeout(Duration::from_secs(20), watch.hint()).await.unwrap().unwrap();
                // Progress is no change of state: it must not wake every console.
                store.sql("update operation_runs set summary_counts = '{\"total\": 1}'").await.unwrap();
                let more = tokio::time::timeout(Duration::from_millis(300), watch.hint()).await;
                assert!(more.is_err(), "a hint for progress");
                store.sql("update operation_runs set cancel_requested_at = created_at").await.unwrap();
                tokio::time::timeout(Duration::from_secs(20), watch.hint()).await.unwrap().unwrap();
            }
        }
    }
}
