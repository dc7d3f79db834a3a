//! No secret of the corpus through any text of support: specs/029-support.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use tenantpilot::Clock;
use tenantpilot::cli::crash;
use tenantpilot::config::LogLevel;
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::domain::support::{
    Draft, MAX_NAME, MAX_SUMMARY, Reference, bundle_markdown, request_markdown,
};
use tenantpilot::logging;
use tenantpilot::ops::notifications::ListNotifications;
use tenantpilot::ops::overview::{FingerprintPage, ListFingerprints};
use tenantpilot::ops::runs::GetRun;
use tenantpilot::ops::support::{CreateRequest, DiagnosticsSubject, GetRequest};
use tenantpilot::paths::Paths;

use crate::database::texts;
use crate::support::secrets::{self, Shape};
use crate::support::stores::{Store, both_engines, noon};
use crate::support_requests::compose;

const RUN: DiagnosticsSubject = DiagnosticsSubject::Run { run_id: 4, tenant_id: Some(3) };

/// Every string of a JSON value, keys with them.
fn strings(value: &Value, into: &mut String) {
    match value {
        Value::String(text) => {
            into.push_str(text);
            into.push('\n');
        }
        Value::Array(values) => values.iter().for_each(|value| strings(value, into)),
        Value::Object(entries) => entries.iter().for_each(|(key, value)| {
            into.push_str(key);
            into.push('\n');
            strings(value, into);
        }),
        _ => {}
    }
}

fn flat(value: &impl serde::Serialize) -> String {
    let mut text = String::new();
    strings(&serde_json::to_value(value).unwrap(), &mut text);
    text
}

fn holds_none(shape: &Shape, place: &str, text: &str) {
    for secret in shape.secret.iter().filter(|part| part.len() >= 6) {
        assert!(!text.contains(secret.as_str()), "{} {}: {place}", shape.family, shape.name);
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''").replace('\0', ""))
}

/// Lets a shape stand wherever a text can, past the program and through it, and looks at all that
/// comes out.
async fn everywhere(store: &Store, shapes: &[Shape]) {
    let first = store.administrator().await;
    for (at, shape) in shapes.iter().enumerate() {
        let stored = quoted(&shape.text.chars().take(500).collect::<String>());
        let name = quoted(&shape.text.chars().take(200).collect::<String>());
        let statements = [
            format!("update operation_run_failures set message = {stored} where run_id = 4"),
            format!("update operation_runs set initiator_name = {name} where id = 4"),
            format!("update tenants set name = {name} where id = 3"),
            format!("update workspaces set name = {name} where id = 2"),
            "delete from provider_connections".to_owned(),
            format!(
                "insert into provider_connections (workspace_id, tenant_id, provider, status, last_error_code, created_at) \
                 values (2, 3, {stored}, 'degraded', {stored}, '2026-11-01T00:00:00+00:00')"
            ),
            "delete from stored_reports where tenant_id = 3".to_owned(),
            format!(
                "insert into stored_reports (workspace_id, tenant_id, report_type, created_at) \
                 values (2, 3, {stored}, '2026-11-01T00:00:00+00:00')"
            ),
        ];
        store.sql(&statements.join("; ")).await.unwrap();
        let evidence = compose(store, &first, RUN).await;
        let bundle = evidence.bundle().unwrap();
        holds_none(shape, "bundle", &flat(bundle));
        let heading = bundle_markdown(evidence.subject(), bundle);
        holds_none(shape, "heading", &heading.replace('\\', ""));
        let detail = store.ops.run(&first.actor, GetRun { id: 4 }).await.unwrap();
        for failure in &detail.failures {
            holds_none(shape, "failure of a run", &failure.message);
        }
        let draft = Draft {
            summary: shape.text.chars().take(MAX_SUMMARY).collect(),
            notes: shape.text.clone(),
            contact_name: shape.text.chars().take(MAX_NAME).collect(),
            contact_email: "ana@example.com".to_owned(),
            ..Draft::default()
        };
        let prepared = evidence.prepare(&draft);
        let email = prepared.contact_email.clone().unwrap();
        for (place, text) in [
            ("preview", flat(&prepared)),
            ("request as Markdown", request_markdown(&prepared, None).replace('\\', "")),
            (
                "diagnostics as Markdown",
                bundle_markdown(&prepared.subject, bundle).replace('\\', ""),
            ),
            ("draft's file", flat(&draft.for_file())),
        ] {
            holds_none(shape, place, &text.replace(&email, ""));
        }
        // What is sent is what was shown; what only may be a secret is masked by hand first.
        let mask: Vec<String> =
            prepared.suspects.iter().map(|suspect| suspect.text.clone()).collect();
        let draft = Draft { mask, ..draft };
        let prepared = evidence.prepare(&draft);
        if prepared.is_ready() && at % 4 == 0 {
            let reference = Reference::new(noon());
            let create = CreateRequest { evidence: Arc::clone(&evidence), draft, reference };
            store.ops.run(&first.actor, create).await.unwrap();
            let detail = store.ops.run(&first.actor, GetRequest { reference }).await.unwrap();
            holds_none(shape, "request", &flat(&detail));
        }
    }
    let sent = store.number("select count(*) from support_requests").await;
    assert!(sent > i64::try_from(shapes.len() / 8).unwrap(), "only {sent} could be sent");
    let rows = "select coalesce(reproduction_notes, '') || summary || coalesce(contact_name, '') || cast(context as text) from support_requests";
    let audits = "select cast(metadata as text) || coalesce(target_id, '') from audit_logs";
    for sql in [rows, audits] {
        let all = texts(store, sql).await.join("\n");
        for shape in shapes {
            holds_none(shape, sql, &all);
        }
    }
    let errors: FingerprintPage =
        store.ops.run(&first.actor, ListFingerprints::default()).await.unwrap();
    assert!(!errors.fingerprints.is_empty());
    for shape in shapes {
        for error in &errors.fingerprints {
            holds_none(shape, "error", &format!("{} {}", error.pattern, error.sample.message));
        }
    }
}

both_engines! {
    async fn fr_029_019_no_secret_comes_out_of_support(store) {
        let store = store.with_scene().await;
        // Each goes through the database, so some of them stand for all: half were kept away.
        let known = secrets::development().into_iter().step_by(3);
        let shapes: Vec<Shape> = known.chain(secrets::held_out().into_iter().step_by(2)).collect();
        let families: BTreeSet<&str> = shapes.iter().map(|shape| shape.family).collect();
        assert!(shapes.len() >= 200 && families.len() >= 20, "{} {}", shapes.len(), families.len());
        everywhere(&store, &shapes).await;
    }
}

both_engines! {
    async fn fr_029_019_no_secret_reaches_an_inbox_or_an_alert(store) {
        let store = store.with_platform().await;
        let first = store.administrator().await;
        let shapes = secrets::all();
        // A person of the platform is told how their run ended, and so is whoever takes alerts.
        let run_id = store.start("policy.sync", 1).await;
        let by = "update operation_runs set user_id = null, source = 'console', platform_user_id = (select id from platform_users)";
        store.sql(by).await.unwrap();
        let claimed = store.claim().await;
        let failed = u64::try_from(shapes.len()).unwrap();
        store.report(&claimed, failed, 0, failed).await;
        for shape in &shapes {
            store.fail(&claimed, ReasonCode::ProviderThrottled, &shape.text).await;
        }
        store.complete(&claimed, None).await;
        let inbox = store.ops.run(&first.actor, ListNotifications::default()).await.unwrap();
        assert_eq!(inbox.notifications[0].run_id, Some(run_id));
        let payloads = texts(&store, "select cast(payload as text) from alert_deliveries").await;
        assert_eq!(payloads.len(), 1);
        let messages = texts(&store, "select message from operation_run_failures").await;
        assert_eq!(messages.len(), shapes.len());
        let all = format!("{} {} {}", flat(&inbox.notifications), payloads.join(" "), messages.join(" "));
        for shape in &shapes {
            holds_none(shape, "notice, alert or failure", &all);
        }
    }
}

#[test]
fn fr_029_019_no_secret_reaches_a_log_or_the_words_of_a_panic() {
    let folder = tempfile::TempDir::new().unwrap();
    let paths = Paths::from_env(|_| folder.path().to_str().map(str::to_owned)).unwrap();
    let clock = Clock::fixed(noon());
    let shapes = secrets::all();
    let (subscriber, guard) = logging::subscriber(&paths, LogLevel::Info, clock.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        for shape in &shapes {
            tracing::warn!(target: "tenantpilot", answer = shape.text, raw = ?shape.text, "the provider answered");
            holds_none(shape, "panic", &crash::said(&shape.text, "src/x.rs:1:1"));
        }
    });
    drop(guard);
    let log = std::fs::read_to_string(logging::current_file(&paths, &clock)).unwrap();
    assert_eq!(log.lines().count(), shapes.len());
    for shape in &shapes {
        holds_none(shape, "log", &log);
    }
}
