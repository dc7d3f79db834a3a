//! The seeded platform: lifelike, the same both ways, refused where there is one already.

use std::collections::BTreeMap;
use std::time::Duration;

use tenantpilot::ErrorKind;
use tenantpilot::access::{Actor, ClientKind};
use tenantpilot::demo::seed::{Amounts, DEMO_PASSWORD, SMALL, Seeded, seed, seed_demo};
use tenantpilot::demo::simulator::Pace;
use tenantpilot::demo::traffic::Traffic;
use tenantpilot::demo::worker;
use tenantpilot::domain::capability::Role;
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::domain::operation_type;
use tenantpilot::ops::auth::Login;
use tenantpilot::ops::platform::PlatformInfo;
use tenantpilot::ops::seed::{Chunk, LoadPlatform, Part, Stage, WorkspaceRow};
use tenantpilot::ops::{Engine, OpsSettings};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::stores::{ORIGIN, Store, both_engines};

/// More than goes through the operations, and quick to load.
fn loaded() -> Amounts {
    Amounts { tenants: 60, runs: 3_000, findings: 1_500, events: 1_200 }
}

/// Little enough to go through the operations.
fn played() -> Amounts {
    Amounts { tenants: 12, runs: SMALL - 10, findings: 60, events: 80 }
}

async fn seeded(store: &Store, amounts: &Amounts, number: u64) -> Seeded {
    seed(&store.ops, amounts, number, &mut |_| {}).await.unwrap()
}

fn words<'a>(all: impl IntoIterator<Item = &'a str>) -> String {
    all.into_iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ")
}

/// Every rule that a platform's runs and records keep, as a count of the rows that break it.
/// Both ways of seeding are held to it.
async fn check_invariants(store: &Store) {
    let reasons = words(ReasonCode::ALL.iter().map(|code| code.as_str()));
    let types = words(operation_type::CATALOGUE.iter().map(|kind| kind.key));
    let number = |key: &str| match store.engine {
        Engine::Postgres => format!("coalesce((r.summary_counts ->> '{key}')::bigint, 0)"),
        Engine::Sqlite => format!("coalesce(r.summary_counts ->> '{key}', 0)"),
    };
    let (total, done) = (number("total"), number("processed"));
    let (well, failed, skipped) = (number("succeeded"), number("failed"), number("skipped"));
    let dominant = "(select f.reason_code from operation_run_failures f where f.run_id = r.id \
                    group by f.reason_code order by count(*) desc, f.reason_code limit 1)";
    let keys_of = |column: &str| match store.engine {
        Engine::Postgres => {
            format!("(select string_agg(k, ' ' order by k) from jsonb_object_keys({column}) k)")
        }
        Engine::Sqlite => format!(
            "(select group_concat(k, ' ') from (select key as k from json_each({column}) order by key))"
        ),
    };
    let member = |column: &str, key: &str| match store.engine {
        Engine::Postgres => format!("({column} ->> '{key}')"),
        Engine::Sqlite => format!("json_extract({column}, '$.{key}')"),
    };
    // Whether one moment is not so many days after another.
    let not_days_after = |later: &str, earlier: &str, days: i64| match store.engine {
        Engine::Postgres => format!("{later} <> {earlier} + interval '{days} days'"),
        Engine::Sqlite => {
            format!("abs(julianday({later}) - julianday({earlier}) - {days}) > 0.0001")
        }
    };
    let metadata = keys_of("e.metadata");
    let id_of = |column: &str| format!("cast({column} as bigint)");
    let subject = id_of("e.subject_id");
    let rules = [
        ("known types", format!("select count(*) from operation_runs r where r.type not in ({types}) and not (r.type = 'findings.risk_rescore' and r.status = 'queued')")),
        ("as many targets as frozen", "select count(*) from operation_runs r where r.target_count <> (select count(*) from operation_run_targets t where t.run_id = r.id) or r.target_count = 0".to_owned()),
        ("ordinals without gaps", "select count(*) from (select run_id from operation_run_targets group by run_id having min(ordinal) <> 0 or max(ordinal) <> count(*) - 1) x".to_owned()),
        ("a single tenant's run has that target", "select count(*) from operation_runs r join operation_run_targets t on t.run_id = r.id where r.tenant_id is not null and (t.tenant_id is null or t.tenant_id <> r.tenant_id)".to_owned()),
        ("a platform run has the one platform target", "select count(*) from operation_runs r join operation_run_targets t on t.run_id = r.id where (r.scope_kind = 'platform') <> (t.kind = 'platform')".to_owned()),
        ("completed means outcome", "select count(*) from operation_runs r where (r.status = 'completed') <> (r.outcome <> 'pending') or (r.status = 'completed') <> (r.completed_at is not null)".to_owned()),
        ("counts add up at the end", format!("select count(*) from operation_runs r where r.status = 'completed' and ({well} + {failed} + {skipped} <> {total} or {done} <> {total} or {total} = 0)")),
        ("counts stay below the total", format!("select count(*) from operation_runs r where {well} + {failed} + {skipped} > {total} or {done} > {total}")),
        ("outcome follows the counts", format!(
            "select count(*) from operation_runs r where r.status = 'completed' and not case r.outcome \
             when 'succeeded' then {failed} = 0 and {skipped} = 0 \
             when 'failed' then {failed} > 0 and {well} = 0 \
             when 'partially_succeeded' then {failed} > 0 and {well} > 0 \
             when 'cancelled' then {skipped} > 0 and r.cancel_requested_at is not null \
             else {skipped} = {total} end")),
        ("failures only where something failed", format!("select count(*) from operation_run_failures f join operation_runs r on r.id = f.run_id where r.outcome not in ('failed', 'partially_succeeded') or f.reason_code not in ({reasons})")),
        ("no more failures than failed items, and at least one", format!("select count(*) from operation_runs r where r.outcome in ('failed', 'partially_succeeded') and (select count(*) from operation_run_failures f where f.run_id = r.id) not between 1 and {failed}")),
        ("the run's reason is the commonest", format!("select count(*) from operation_runs r where r.outcome in ('failed', 'partially_succeeded') and (r.reason_code is null or r.reason_code <> {dominant})")),
        ("no reason without need", "select count(*) from operation_runs r where r.outcome in ('succeeded', 'cancelled', 'pending') and r.reason_code is not null or r.outcome = 'blocked' and r.reason_code is null".to_owned()),
        ("failures at targets of the run", "select count(*) from operation_run_failures f where f.tenant_id is not null and not exists (select 1 from operation_run_targets t where t.run_id = f.run_id and t.tenant_id = f.tenant_id)".to_owned()),
        ("targets end with their run", "select count(*) from operation_runs r join operation_run_targets t on t.run_id = r.id where (r.status = 'completed') <> (t.status <> 'pending')".to_owned()),
        ("a failed run has a failed target", "select count(*) from operation_runs r where r.outcome = 'failed' and not exists (select 1 from operation_run_targets t where t.run_id = r.id and t.status = 'failed')".to_owned()),
        ("one active run per identity", "select count(*) from (select identity_hash from operation_runs where status <> 'completed' group by identity_hash having count(*) > 1) x".to_owned()),
        ("tenants in their workspaces", "select count(*) from operation_runs r join tenants t on t.id = r.tenant_id where t.workspace_id <> r.workspace_id".to_owned()),
        ("no run at the platform's own or an archived tenant", "select count(*) from operation_run_targets x join tenants t on t.id = x.tenant_id join operation_runs r on r.id = x.run_id where t.is_platform or t.archived_at < r.created_at".to_owned()),
        ("times in order", "select count(*) from operation_runs r where r.started_at < r.created_at or r.completed_at < coalesce(r.started_at, r.created_at) or r.updated_at < r.created_at or r.cancel_requested_at < r.created_at".to_owned()),
        ("failures within the run's time", "select count(*) from operation_run_failures f join operation_runs r on r.id = f.run_id where f.occurred_at < r.created_at or f.occurred_at > r.completed_at".to_owned()),
        ("a lease exactly while running", "select count(*) from operation_runs r where (r.status = 'running') <> exists (select 1 from operation_run_leases l where l.run_id = r.id and l.owner = r.lease_owner)".to_owned()),
        ("claimed means fenced", "select count(*) from operation_runs r where (r.started_at is not null) <> (r.fence > 0)".to_owned()),
        ("customers start only in their workspace", "select count(*) from operation_runs r join users u on u.id = r.user_id where u.workspace_id <> r.workspace_id or r.source <> 'admin' or r.initiator_name <> u.name".to_owned()),
        ("the system has no name", "select count(*) from operation_runs r where r.user_id is null and r.platform_user_id is null and (r.initiator_name is not null or r.source not in ('schedule', 'deploy_hook'))".to_owned()),
        ("no maintenance by customers", "select count(*) from operation_runs r where r.user_id is not null and (r.type like 'findings.%' or r.type like 'operations.%' or r.type like 'product_usage.%')".to_owned()),
        ("one notification per ended run of a platform user", "select count(*) from operation_runs r where (r.platform_user_id is not null and r.status = 'completed') <> exists (select 1 from notifications n where n.run_id = r.id and n.platform_user_id = r.platform_user_id)".to_owned()),
        ("an alert per run that ended badly", "select count(*) from operation_runs r where (r.outcome in ('failed', 'partially_succeeded', 'blocked')) <> exists (select 1 from alert_deliveries a where a.run_id = r.id and a.event <> 'operations.run.recovered')".to_owned()),
        ("the start is audited once", "select count(*) from operation_runs r where 1 <> (select count(*) from audit_logs a where a.run_id = r.id and a.action = 'runs.start')".to_owned()),
        ("the end is audited once", "select count(*) from operation_runs r where r.status = 'completed' and 1 <> (select count(*) from audit_logs a where a.run_id = r.id and a.action = 'runs.complete')".to_owned()),
        ("events have a customer of their workspace", "select count(*) from product_usage_events e left join users u on u.id = e.user_id where u.id is null or u.workspace_id <> e.workspace_id".to_owned()),
        ("events say what the catalogue allows", format!(
            "select count(*) from product_usage_events e where not case e.event_name \
             when 'product.onboarding.checkpoint_completed' then e.subject_type = 'tenant_onboarding_session' and {metadata} = 'checkpoint_key completed_at lifecycle_state' \
             when 'product.support_diagnostics.opened' then e.subject_type in ('tenant', 'operation_run') and {metadata} in ('source_surface', 'operation_type source_surface') \
             when 'product.operations.started' then e.subject_type = 'operation_run' and {metadata} = 'operation_type' \
             when 'product.stored_report.created' then e.subject_type = 'stored_report' and {metadata} = 'report_type' \
             when 'product.review_pack.requested' then e.subject_type = 'review_pack' and {metadata} = 'include_operations include_pii source_surface' \
             else false end")),
        ("events of runs have their run", format!("select count(*) from product_usage_events e where e.subject_type = 'operation_run' and not exists (select 1 from operation_runs r where r.id = {subject} and r.tenant_id = e.tenant_id and r.user_id is not null and r.created_at <= e.occurred_at)")),
        ("events of reports have their report", format!("select count(*) from product_usage_events e where e.subject_type = 'stored_report' and not exists (select 1 from stored_reports r where r.id = {subject} and r.tenant_id = e.tenant_id)")),
        ("events of packs have their pack", format!("select count(*) from product_usage_events e where e.subject_type = 'review_pack' and not exists (select 1 from review_packs r where r.id = {subject} and r.tenant_id = e.tenant_id)")),
        ("one event per start, report, pack and checkpoint", "select count(*) from (select event_name, subject_id from product_usage_events where event_name <> 'product.support_diagnostics.opened' group by event_name, subject_id having count(*) > 1) x".to_owned()),
        ("duplicates are linked within a tenant", "select count(*) from findings d join findings f on f.id = d.duplicate_of_id where f.tenant_id <> d.tenant_id or f.recurrence_key <> d.recurrence_key or f.created_at < d.created_at".to_owned()),
        ("a pack has its expiry and its evidence", "select count(*) from review_packs r where r.expires_at is null or r.expires_at <= r.created_at or r.evidence_fingerprint is null".to_owned()),
        ("packs of different tenants are made of different evidence", "select count(*) from review_packs a join review_packs b on b.evidence_fingerprint = a.evidence_fingerprint and b.tenant_id <> a.tenant_id".to_owned()),
        ("a pack expires 90 days after it was made", format!("select count(*) from review_packs r join operation_runs o on o.id = r.run_id where r.status = 'ready' and {}", not_days_after("r.expires_at", "o.completed_at", 90))),
        ("a session names its last completed checkpoint", "select count(*) from tenant_onboarding_sessions s where s.last_completed_checkpoint is null or (s.lifecycle_state = 'completed') <> (s.last_completed_checkpoint = s.checkpoint_key)".to_owned()),
        ("the end's audit row has before and after", format!("select count(*) from audit_logs a join operation_runs r on r.id = a.run_id where a.action = 'runs.complete' and ({} is distinct from r.outcome or {} is null or (a.status = 'failed') <> (r.outcome = 'failed'))", member("a.after_state", "outcome"), member("a.before_state", "status"))),
        ("a login names its user", "select count(*) from audit_logs a where a.action = 'auth.login' and (a.target_type <> 'platform_user' or a.target_id is null)".to_owned()),
        ("a delivered alert has its delivery", "select count(*) from alert_deliveries a where a.status = 'delivered' and (a.delivery_id is null or a.last_attempt_at is null or a.last_attempt_at > a.delivered_at)".to_owned()),
        ("nobody is shut out", "select count(*) from platform_users where not active".to_owned()),
        ("no mark is left", "select count(*) from platform_settings where key = 'seeding'".to_owned()),
    ];
    for (rule, sql) in &rules {
        assert_eq!(store.number(sql).await, 0, "broken: {rule}");
    }
}

/// A digest of all tables, without what is random on purpose.
async fn digest(store: &Store) -> BTreeMap<&'static str, String> {
    let tables = [
        ("workspaces", "x.id"),
        ("tenants", "x.id"),
        ("users", "x.id"),
        ("provider_connections", "x.id"),
        ("operation_runs", "x.id"),
        ("operation_run_targets", "x.run_id, x.ordinal"),
        ("operation_run_failures", "x.id"),
        ("findings", "x.id"),
        ("tenant_onboarding_sessions", "x.id"),
        ("stored_reports", "x.id"),
        ("review_packs", "x.id"),
        ("product_usage_events", "x.id"),
        ("audit_logs", "x.id"),
        ("notifications", "x.id"),
        ("alert_deliveries", "x.id"),
        ("platform_settings", "x.key"),
    ];
    let mut found = BTreeMap::new();
    for (table, order) in tables {
        let text = match store.engine {
            Engine::Postgres => format!(
                "select md5(coalesce(string_agg(x::text, '|' order by {order}), '')) from {table} x"
            ),
            Engine::Sqlite => {
                let columns = store.text(&format!("select group_concat('quote(x.' || name || ')', ' || ') from pragma_table_info('{table}')")).await;
                format!(
                    "select coalesce(group_concat(line, '|'), '') from (select {columns} as line from {table} x order by {order})"
                )
            }
        };
        found.insert(table, store.text(&text).await);
    }
    found
}

both_engines! {
    async fn fr_008_001_a_loaded_platform_keeps_every_invariant(store) {
        let made = seeded(&store, &loaded(), 7).await;
        check_invariants(&store).await;
        assert_eq!((made.runs, made.tenants, made.workspaces), (3_000, 60, 14));
        for (table, count) in [("operation_runs", 3_000), ("tenants", 60), ("workspaces", 14), ("findings", 1_500), ("product_usage_events", 1_200)] {
            assert_eq!(store.number(&format!("select count(*) from {table}")).await, count, "{table}");
        }
    }

    async fn fr_008_001_a_played_platform_keeps_every_invariant(store) {
        let made = seeded(&store, &played(), 7).await;
        check_invariants(&store).await;
        for (table, count) in [("operation_runs", made.runs), ("tenants", made.tenants), ("findings", made.findings), ("product_usage_events", made.events)] {
            assert_eq!(store.number(&format!("select count(*) from {table}")).await, i64::try_from(count).unwrap(), "{table}");
        }
    }

    async fn fr_008_001_the_invariants_can_be_broken(store) {
        seeded(&store, &Amounts { runs: 300, ..loaded() }, 7).await;
        store.sql("delete from operation_run_failures").await.unwrap();
        let checked = tokio::spawn(async move { check_invariants(&store).await }).await;
        assert!(checked.unwrap_err().is_panic());
    }

    async fn fr_008_002_the_same_seed_makes_the_same_platform(store) {
        for amounts in [Amounts { runs: 400, ..loaded() }, played()] {
            let (one, two, other) = (Store::new(store.engine).await, Store::new(store.engine).await, Store::new(store.engine).await);
            for (store, number) in [(&one, 5), (&two, 5), (&other, 6)] {
                seeded(store, &amounts, number).await;
            }
            let (first, second) = (digest(&one).await, digest(&two).await);
            for (table, text) in &first {
                assert!(second[table] == *text, "{table} differs");
            }
            assert_ne!(first["operation_runs"], digest(&other).await["operation_runs"]);
        }
    }

    async fn fr_008_003_a_database_with_a_platform_is_refused(store) {
        seeded(&store, &Amounts { runs: 0, ..played() }, 1).await;
        let again = seed(&store.ops, &played(), 1, &mut |_| {}).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Refused);
        assert!(again.to_string().contains("already holds a platform"), "{again}");
    }

    async fn fr_008_003_two_seeds_at_once_make_one_platform(store) {
        let other = store.another(OpsSettings { patience: Duration::from_secs(60), ..OpsSettings::default() });
        let amounts = Amounts { runs: 500, ..loaded() };
        let (mut quiet, mut still) = (|_: &str| {}, |_: &str| {});
        let (one, two) = tokio::join!(
            seed(&store.ops, &amounts, 1, &mut quiet),
            seed(&other, &amounts, 2, &mut still)
        );
        assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1);
        let refusal = one.err().or(two.err()).unwrap();
        assert_eq!(refusal.kind(), ErrorKind::Refused, "{refusal}");
        check_invariants(&store).await;
    }

    async fn fr_008_004_a_cut_off_seed_leaves_nothing_or_a_mark(store) {
        // A load whose maker goes away half way is rolled back.
        let (rows, parts) = tokio::sync::mpsc::channel(1);
        let load = LoadPlatform { stage: Stage::Whole, accounts: Vec::new(), large: true, parts };
        let made = async move {
            let at = chrono::DateTime::UNIX_EPOCH;
            let workspace = WorkspaceRow { id: 1, name: "Half".to_owned(), created_at: at, archived_at: None };
            let chunk = Chunk { workspaces: vec![workspace], ..Chunk::default() };
            rows.send(Part::Rows(Box::new(chunk))).await.unwrap();
        };
        let (loaded, ()) = tokio::join!(store.ops.run(&Actor::System, load), made);
        assert!(loaded.unwrap_err().to_string().contains("cut off"));
        assert_eq!(store.number("select count(*) from workspaces").await, 0);
        seeded(&store, &Amounts { runs: 200, ..self::loaded() }, 1).await;
        // A marked one is told as what it is.
        let half = Store::new(store.engine).await;
        half.sql("insert into platform_settings (key, value, updated_at) values ('seeding', 'unfinished', '2026-11-20T00:00:00+00:00')").await.unwrap();
        let error = seed(&half.ops, &played(), 1, &mut |_| {}).await.unwrap_err();
        assert!(error.to_string().contains("cut off"), "{error}");
    }

    async fn fr_008_005_every_role_has_an_account_that_can_log_in(store) {
        let made = seeded(&store, &played(), 1).await;
        let names: Vec<_> = made.accounts.iter().map(|account| account.username.as_str()).collect();
        assert_eq!(names, ["administrator", "operator", "oncall", "viewer"]);
        let mut passwords: Vec<_> = made.accounts.iter().map(|account| &account.password).collect();
        passwords.sort();
        passwords.dedup();
        assert_eq!(passwords.len(), 4, "passwords are not shared");
        for account in &made.accounts {
            let login = Login::new(&account.username, account.password.clone(), ClientKind::Cli);
            let (session, _) = store.ops.run(&Actor::Anonymous { origin: ORIGIN.to_owned() }, login).await.unwrap();
            let role: Role = account.role.parse().unwrap();
            assert_eq!(session.capabilities, role.capabilities());
        }
        let info = store.ops.run(&Actor::System, PlatformInfo).await.unwrap();
        assert_eq!((info.environment.as_str(), info.login_note), ("SEED", None));
    }

    async fn fr_008_006_the_demo_tells_its_accounts_on_the_login_screen(store) {
        let made = seed_demo(&store.ops, 1, &mut |_| {}).await.unwrap();
        let info = store.ops.run(&Actor::System, PlatformInfo).await.unwrap();
        assert_eq!((info.environment.as_str(), info.environment_color.as_str()), ("DEMO", "magenta"));
        let note = info.login_note.unwrap();
        for account in &made.accounts {
            assert!(note.lines().any(|line| line.contains(&account.username) && line.contains(DEMO_PASSWORD)), "{note}");
        }
        for sql in [
            "select count(*) from support_requests where severity = 'blocking' and primary_context = 'operation_run'",
            "select count(*) from support_requests where primary_context = 'tenant'",
            "select count(*) from support_requests where reproduction_notes like '%password=[redacted:password]%'",
        ] {
            assert_eq!(store.number(sql).await, 1, "{sql}");
        }
        let login = Login::new("viewer", DEMO_PASSWORD, ClientKind::Console);
        store.ops.run(&Actor::Anonymous { origin: ORIGIN.to_owned() }, login).await.unwrap();
    }

    async fn fr_008_007_the_platform_is_lifelike(store) {
        seeded(&store, &loaded(), 1).await;
        let failed = store.number("select count(*) from operation_runs where outcome = 'failed'").await;
        assert!((100..=210).contains(&failed), "{failed} of 3000 failed");
        for sql in [
            "select count(*) from operation_runs where outcome = 'partially_succeeded'",
            "select count(*) from operation_runs where outcome = 'cancelled'",
            "select count(*) from operation_runs where outcome = 'blocked'",
            "select count(*) from operation_runs where status = 'queued'",
            "select count(*) from operation_runs where status = 'running'",
            "select count(*) from operation_runs where scope_kind = 'all' and platform_user_id = 2",
            "select count(*) from operation_runs where source = 'deploy_hook'",
            "select count(*) from operation_runs where source = 'cli'",
            "select count(*) from operation_runs where reason_code = 'worker_lost'",
            "select count(*) from operation_runs where reason_code = 'stale_queued'",
            "select count(*) from tenants where archived_at is not null",
            "select count(*) from tenants where is_platform",
            "select count(*) from provider_connections where status = 'consent_expired'",
            "select count(*) from provider_connections where status = 'degraded'",
            "select count(*) from findings where status = 'open' and first_seen_at is null",
            "select count(*) from (select 1 from findings where status in ('open', 'acknowledged') group by tenant_id, recurrence_key having count(*) > 1) x",
            "select count(*) from notifications where read_at is null",
            "select count(*) from audit_logs where action = 'auth.login'",
            "select count(*) from (select tenant_id from operation_runs where reason_code = 'provider_auth_expired' and outcome = 'failed' group by tenant_id having count(*) >= 8) x",
        ] {
            assert!(store.number(sql).await > 0, "none: {sql}");
        }
        let mails = store.number("select count(*) from users where email not like '%.example'").await;
        assert_eq!(mails, 0, "addresses of a domain that could exist");
    }

    async fn fr_008_007_no_failure_says_that_it_took_longer_than_its_run(store) {
        seeded(&store, &loaded(), 1).await;
        let messages = crate::database::texts(&store, "select distinct message from operation_run_failures").await;
        for message in &messages {
            // What the provider asks for says nothing of the run.
            let told = message.split("; retry-after").next().unwrap();
            let words: Vec<&str> = told.split([' ', ',', ';']).collect();
            let spans = words.windows(2).filter(|pair| {
                pair[0].chars().all(|c| c.is_ascii_digit())
                    && ["s", "seconds", "min", "minutes", "h", "hours"].contains(&pair[1])
            });
            assert_eq!(spans.count(), 0, "{message}");
        }
        assert!(messages.len() > 20, "{messages:?}");
    }

    async fn fr_008_008_many_rows_are_loaded_with_their_indexes_and_numbers(store) {
        let indexes = match store.engine {
            Engine::Postgres => "select count(*) from pg_indexes where schemaname = current_schema()",
            Engine::Sqlite => "select count(*) from sqlite_master where type = 'index'",
        };
        let before = store.number(indexes).await;
        seeded(&store, &Amounts { tenants: 400, runs: 60_000, findings: 100, events: 100 }, 3).await;
        assert_eq!(store.number(indexes).await, before);
        assert_eq!(store.number("select count(*) from operation_runs").await, 60_000);
        assert_eq!(store.number("select count(distinct name) from tenants").await, 400);
        // The database goes on numbering where the load ended.
        let starter = tenantpilot::ops::runs::StartRun::for_tenant("policy.sync", 1, tenantpilot::domain::run::Source::Schedule);
        let started = store.ops.run(&Actor::System, starter).await.unwrap();
        assert_eq!(started.run_id, 60_001);
    }

    async fn fr_008_009_traffic_starts_runs_and_the_demos_worker_ends_them(store) {
        // Leases go by the database's clock; the runs of this test are of the present.
        seeded(&store, &Amounts { runs: 0, ..played() }, 1).await;
        let traffic = Traffic::start(store.ops.clone(), 1);
        let (stop, worker) = demo_worker(&store);
        let begun = std::time::Instant::now();
        let count = "select count(*) from operation_runs where status = 'completed' and user_id is not null";
        while store.number(count).await < 2 {
            assert!(begun.elapsed() < Duration::from_secs(150), "no run was completed");
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        traffic.stop().await;
        stop.send(true).unwrap();
        worker.await.unwrap().unwrap();
        let others = "select count(*) from operation_runs where user_id is null and source <> 'schedule'";
        assert_eq!(store.number(others).await, 0);
        check_runs_of_traffic(&store).await;
        assert_eq!(crate::support::run_rules::broken(&store).await, []);
    }

    async fn fr_008_010_traffic_claims_nothing_and_the_worker_takes_what_it_supports(store) {
        seeded(&store, &Amounts { runs: 40, ..played() }, 1).await;
        let waiting = "select count(*) from operation_runs where type = 'findings.risk_rescore' and status = 'queued'";
        let held = "select count(*) from operation_run_leases";
        let (waits, before) = (store.number(waiting).await, store.number(held).await);
        assert_eq!(waits, 1);
        let traffic = Traffic::start(store.ops.clone(), 1);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(store.number(held).await, before, "traffic claimed a run");
        drop(traffic);
        let (stop, worker) = demo_worker(&store);
        let begun = std::time::Instant::now();
        while store.number("select count(*) from operation_runs where status <> 'completed' and type <> 'findings.risk_rescore'").await > 0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "something is left");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert_eq!(store.number(waiting).await, 1);
        stop.send(true).unwrap();
        worker.await.unwrap().unwrap();
    }
}

/// The worker of a demo, without its pauses.
fn demo_worker(store: &Store) -> (watch::Sender<bool>, JoinHandle<tenantpilot::Result<()>>) {
    let (stop, stopped) = watch::channel(false);
    let (clock, settings) = (store.clock.clone(), OpsSettings::default());
    let opened = worker::open(&store.url, &settings, clock, 1, Pace::AtOnce, stopped);
    (stop, tokio::spawn(opened.unwrap().0.run()))
}

async fn check_runs_of_traffic(store: &Store) {
    let odd = "select count(*) from operation_runs where status = 'completed' and (started_at is null or reason_code is null and outcome = 'failed')";
    assert_eq!(store.number(odd).await, 0);
}
