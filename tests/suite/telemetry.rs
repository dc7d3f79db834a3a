//! The ledger of product usage: what it may say, who writes it, and when.

use chrono::Duration;
use serde_json::{Value, json};
use tenantpilot::ErrorKind;
use tenantpilot::access::Actor;
use tenantpilot::demo::traffic::Traffic;
use tenantpilot::domain::run::Source;
use tenantpilot::domain::telemetry::{
    MAX_TOKEN, SourceSurface, SubjectType, UsageDraft, UsageEvent,
};
use tenantpilot::ops::Engine;
use tenantpilot::ops::activity::{
    DiagnosticsSubject, OpenDiagnostics, RequestReviewPack, SaveCheckpoint, StoreReport,
};
use tenantpilot::ops::runs::{Entry, RunScope, StartRun};

use crate::support::stores::{Store, both_engines, noon};

/// The customer of workspace 1, who has tenants 1 and 2.
const LANG: Actor = Actor::Customer { user_id: 1 };
/// The customer of workspace 2, who has tenants 3 and 4.
const DIAZ: Actor = Actor::Customer { user_id: 2 };

#[test]
fn fr_023_001_the_catalog_is_exactly_this() {
    let mut found = String::new();
    for event in UsageEvent::ALL {
        let keys: Vec<String> =
            event.keys().iter().map(|(key, kind)| format!("{key} {kind:?}")).collect();
        let subjects: Vec<&str> = event.subject_types().iter().map(|s| s.as_str()).collect();
        found += &format!(
            "{event} | {} | {} | {} | {}\n",
            event.area(),
            event.label(),
            keys.join(", "),
            subjects.join(", ")
        );
    }
    assert_eq!(
        found,
        "product.onboarding.checkpoint_completed | onboarding | Onboarding checkpoints | \
         checkpoint_key Token, lifecycle_state Token, completed_at Timestamp | tenant_onboarding_session\n\
         product.support_diagnostics.opened | support_diagnostics | Support diagnostics | \
         source_surface Surface, operation_type Token | tenant, operation_run\n\
         product.operations.started | operations | Operations started | operation_type Token | operation_run\n\
         product.stored_report.created | stored_reports | Stored reports | report_type Token | stored_report\n\
         product.review_pack.requested | review_pack | Review packs requested | \
         source_surface Surface, include_operations Boolean, include_pii Boolean | review_pack\n"
    );
    let surfaces: Vec<&str> = SourceSurface::ALL.iter().map(|s| s.as_str()).collect();
    assert_eq!(surfaces, ["tenant_dashboard", "operation_run_viewer", "tenant", "tenant_review"]);
    assert_eq!(MAX_TOKEN, 120);
}

fn draft(event: UsageEvent, subject_type: SubjectType, metadata: Value) -> UsageDraft {
    UsageDraft {
        event,
        workspace_id: Some(1),
        tenant_id: Some(1),
        user_id: Some(1),
        subject_type,
        subject_id: "1".to_owned(),
        metadata,
        occurred_at: noon(),
    }
}

fn run_draft(metadata: Value) -> UsageDraft {
    draft(UsageEvent::OperationStarted, SubjectType::OperationRun, metadata)
}

#[test]
fn fr_023_002_what_breaks_a_rule_is_refused_and_the_rule_is_named() {
    let pack = |metadata| draft(UsageEvent::ReviewPackRequested, SubjectType::ReviewPack, metadata);
    let step = |metadata| {
        draft(UsageEvent::OnboardingCheckpoint, SubjectType::OnboardingSession, metadata)
    };
    let run = |value: Value| run_draft(json!({ "operation_type": value }));
    let plain = || run_draft(json!({}));
    let long = "x".repeat(121);
    let ahead = noon() + Duration::minutes(6);
    for (wrong, rule) in [
        (run_draft(json!({ "note": "x" })), "no key \"note\"; its keys are operation_type"),
        (pack(json!({ "operation_type": "policy.sync" })), "no key \"operation_type\""),
        (run(json!("the sync of monday")), "operation_type is free text"),
        (run(json!("m.lang@contoso.example")), "operation_type holds an @"),
        (run(json!(long)), "operation_type has more than 120 characters"),
        (run(json!("")), "operation_type is empty"),
        (run(json!("a\nb")), "operation_type is free text"),
        (run(json!("naïve")), "operation_type is free text"),
        (run(json!({ "a": 1 })), "operation_type is nested"),
        (run(json!(["policy.sync"])), "operation_type is nested"),
        (run(json!(1.5)), "operation_type is not a whole number"),
        (run(json!(f64::NAN)), "operation_type has no value"),
        (run(json!(null)), "operation_type has no value"),
        (run(json!(true)), "operation_type is not a machine token"),
        (pack(json!({ "include_pii": "yes" })), "include_pii is neither true nor false"),
        (pack(json!({ "include_pii": 1 })), "include_pii is neither true nor false"),
        (
            pack(json!({ "source_surface": "console" })),
            "source_surface is one of tenant_dashboard,",
        ),
        (pack(json!({ "source_surface": 3 })), "source_surface is not a machine token"),
        (step(json!({ "completed_at": "monday" })), "completed_at is not a moment"),
        (step(json!({ "completed_at": 3 })), "completed_at is not a machine token"),
        (
            step(json!({ "completed_at": ahead })),
            "completed_at is more than 5 minutes in the future",
        ),
        (run_draft(json!([])), "metadata is not an object"),
        (run_draft(json!("x")), "metadata is not an object"),
        (UsageDraft { tenant_id: None, ..plain() }, "needs a tenant"),
        (UsageDraft { workspace_id: None, ..plain() }, "needs a workspace"),
        (UsageDraft { user_id: None, ..plain() }, "needs a customer"),
        (
            UsageDraft { occurred_at: ahead, ..plain() },
            "its time is more than 5 minutes in the future",
        ),
        (UsageDraft { subject_id: "a b".to_owned(), ..plain() }, "the subject is free text"),
        (UsageDraft { subject_id: "a@b".to_owned(), ..plain() }, "the subject holds an @"),
        (UsageDraft { subject_id: long.clone(), ..plain() }, "the subject has more than 120"),
        (
            UsageDraft { subject_type: SubjectType::Tenant, ..plain() },
            "its subject cannot be tenant",
        ),
    ] {
        let error = wrong.clone().check(noon()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{wrong:?}");
        assert!(error.message().contains(rule), "{rule}: {error}");
        assert!(error.message().starts_with(wrong.event.as_str()), "{error}");
    }
    for right in [
        plain(),
        run(json!("policy.sync")),
        run(json!("x".repeat(120))),
        run(json!("Az09._:+/-")),
        run(json!(7)),
        pack(
            json!({ "source_surface": "tenant", "include_operations": true, "include_pii": false }),
        ),
        step(json!({ "completed_at": noon() })),
        UsageDraft { occurred_at: noon() + Duration::minutes(5), ..plain() },
        UsageDraft { occurred_at: noon() - Duration::days(900), ..plain() },
    ] {
        assert!(right.clone().check(noon()).is_ok(), "{right:?}");
    }
    let error = "product.run.opened".parse::<UsageEvent>().unwrap_err();
    assert!(
        error.message().contains("unknown product usage event \"product.run.opened\""),
        "{error}"
    );
}

impl Store {
    async fn count(&self, sql: &str) -> i64 {
        self.number(&format!("select count(*) from {sql}")).await
    }

    /// How many events there are of a kind.
    async fn usage(&self, event: UsageEvent) -> i64 {
        self.count(&format!("product_usage_events where event_name = '{event}'")).await
    }

    async fn usage_in_all(&self) -> i64 {
        self.count("product_usage_events").await
    }

    /// The newest event as one text.
    async fn newest_usage(&self) -> String {
        let key = |key: &str| format!("coalesce(' {key}=' || (metadata ->> '{key}'), '')");
        let keys = [
            "checkpoint_key",
            "lifecycle_state",
            "completed_at",
            "source_surface",
            "operation_type",
            "report_type",
            "include_operations",
            "include_pii",
        ];
        let keys = keys.map(key).join(" || ");
        self.text(&format!(
            "select event_name || ' ' || feature_area || ' ' || workspace_id || '/' || tenant_id || '/' || user_id \
             || ' ' || subject_type || ' ' || subject_id || {keys} from product_usage_events order by id desc limit 1"
        ))
        .await
    }
}

fn checkpoint(
    session_id: Option<i64>,
    tenant_id: Option<i64>,
    key: &str,
    state: &str,
) -> SaveCheckpoint {
    SaveCheckpoint {
        session_id,
        tenant_id,
        checkpoint_key: key.to_owned(),
        lifecycle_state: state.to_owned(),
    }
}

fn diagnostics(subject: DiagnosticsSubject, source_surface: SourceSurface) -> OpenDiagnostics {
    OpenDiagnostics { subject, source_surface }
}

fn pack(tenant_id: i64, include_operations: bool, include_pii: bool) -> RequestReviewPack {
    let source_surface = SourceSurface::TenantReview;
    RequestReviewPack { tenant_id, source_surface, include_operations, include_pii }
}

fn report(run_id: i64) -> StoreReport {
    StoreReport { run_id, report_type: "compliance_summary".to_owned() }
}

fn sync(tenant_id: i64) -> StartRun {
    StartRun::for_tenant("policy.sync", tenant_id, Source::Admin)
}

both_engines! {
    async fn fr_023_003_the_database_itself_keeps_events_as_they_are(store) {
        let store = store.with_platform().await;
        store.ops.run(&LANG, sync(1)).await.unwrap();
        for change in [
            "update product_usage_events set event_name = event_name",
            "update product_usage_events set occurred_at = '2026-01-01T00:00:00+00:00'",
        ] {
            assert!(store.sql(change).await.is_err(), "{change}");
        }
        let again = "product_usage_events (id, workspace_id, tenant_id, user_id, event_name, feature_area, subject_type, \
                     subject_id, metadata, occurred_at) select id, workspace_id, tenant_id, user_id, event_name, \
                     feature_area, subject_type, subject_id, metadata, occurred_at from product_usage_events";
        match store.engine {
            Engine::Postgres => assert!(store.sql("truncate product_usage_events").await.is_err()),
            Engine::Sqlite => assert!(store.sql(&format!("replace into {again}")).await.is_err()),
        }
        assert!(store.sql(&format!("insert into {again}")).await.is_err());
        assert_eq!(store.usage_in_all().await, 1);
    }

    async fn fr_023_003_no_text_is_hidden_from_the_rules_of_the_database(store) {
        let store = store.with_platform().await;
        let row = |subject: &str, metadata: &str, at: &str| format!(
            "insert into product_usage_events (workspace_id, tenant_id, user_id, event_name, feature_area, subject_type, \
             subject_id, metadata, occurred_at) values (1, 1, 1, 'product.onboarding.checkpoint_completed', 'onboarding', \
             'tenant_onboarding_session', {subject}, {metadata}, {at})"
        );
        let (subject, metadata, at) = ("'5'", "'{\"completed_at\":\"2026-11-20T10:00:00.5Z\"}'", "'2026-11-20T10:00:00.25+00:00'");
        let mut wrong = vec![
            row(subject, "'{\"completed_at\":\"2026-11-20Tana.lang-said\"}'", at),
            row(subject, "'{\"completed_at\":\"2026-99-20T10:00:00Z\"}'", at),
            row(subject, "'{\"checkpoint_key\":\"x\\u0000ana\"}'", at),
            row(subject, metadata, "'2026-19-20T10:00:00+00:00'"),
            row(subject, metadata, "'4000-11-20T10:00:00+00:00'"),
        ];
        if store.engine == Engine::Sqlite {
            wrong.push(row(subject, metadata, "'2026-11-20T10:00:00 ana+00:00'"));
            wrong.extend([
                row("'5' || char(0) || ' ana@contoso.com'", metadata, at),
                row("cast('5 ana' as blob)", metadata, at),
                row("cast('5' as blob)", metadata, at),
                row(subject, &format!("{metadata} || char(0) || ' ana'"), at),
                row(subject, &format!("cast({metadata} as blob)"), at),
                row(subject, "'{\"checkpoint_key\":\"x\"/* ana */}'", at),
                row(subject, "'{checkpoint_key:\"x\"}'", at),
                row(subject, metadata, "'2026-11-20T10:00:00' || char(0) || '+00:00'"),
            ]);
        } else {
            wrong.extend([row(subject, metadata, "'infinity'"), row(subject, metadata, "'-infinity'")]);
        }
        for sql in wrong {
            assert!(store.sql(&sql).await.is_err(), "{sql}");
        }
        store.sql(&row(subject, metadata, at)).await.unwrap();
        assert_eq!(store.usage_in_all().await, 1);
    }

    async fn fr_023_004_another_last_completed_checkpoint_of_a_linked_tenant_is_recorded(store) {
        let store = store.with_platform().await;
        let run = async |actor: &Actor, save| store.ops.run(actor, save).await;
        // Without a tenant, nothing; linking one is no change of the checkpoint.
        let begun = run(&LANG, checkpoint(None, None, "consent_granted", "in_progress")).await.unwrap();
        let id = Some(begun.session_id);
        run(&LANG, checkpoint(id, None, "consent_granted", "completed")).await.unwrap();
        let linked = run(&LANG, checkpoint(id, Some(1), "consent_granted", "completed")).await.unwrap();
        assert!(begun.changed && !linked.changed);
        assert_eq!(store.usage_in_all().await, 0);
        assert_eq!(store.count("tenant_onboarding_sessions where tenant_id = 1").await, 1);
        // From now on each checkpoint that is completed after another one, once; a change of state alone
        // is no event.
        for (key, state, events) in [
            ("consent_granted", "in_progress", 0),
            ("consent_granted", "completed", 0),
            ("first_sync", "in_progress", 0),
            ("first_sync", "blocked", 0),
            ("first_sync", "completed", 1),
            ("first_sync", "completed", 1),
            ("first_sync", "in_progress", 1),
            ("first_sync", "completed", 1),
            ("first_review", "in_progress", 1),
            ("first_review", "completed", 2),
            ("first_sync", "in_progress", 2),
            ("first_sync", "completed", 3),
            ("first_review", "completed", 4),
        ] {
            run(&LANG, checkpoint(id, None, key, state)).await.unwrap();
            assert_eq!(store.usage(UsageEvent::OnboardingCheckpoint).await, events, "{key} {state}");
        }
        let newest = store.newest_usage().await;
        assert_eq!(newest, format!(
            "product.onboarding.checkpoint_completed onboarding 1/1/1 tenant_onboarding_session {} \
             checkpoint_key=first_review lifecycle_state=completed completed_at=2026-11-20T12:00:00Z", begun.session_id
        ));
        let direct = run(&LANG, checkpoint(None, Some(2), "consent_granted", "in_progress")).await.unwrap();
        assert_ne!(direct.session_id, begun.session_id);
        assert_eq!(store.usage_in_all().await, 4);
        // A session that another writer moved stands where its state says.
        store.sql(&format!("update tenant_onboarding_sessions set checkpoint_key = 'x', lifecycle_state = 'completed', \
                            last_completed_checkpoint = null where id = {}", begun.session_id)).await.unwrap();
        run(&LANG, checkpoint(id, None, "x", "in_progress")).await.unwrap();
        run(&LANG, checkpoint(id, None, "x", "completed")).await.unwrap();
        assert_eq!(store.usage_in_all().await, 4);
        // A link stays; other people's sessions and tenants do not exist.
        for (actor, save, kind) in [
            (LANG, checkpoint(id, Some(2), "a", "b"), ErrorKind::Refused),
            (DIAZ, checkpoint(id, None, "a", "b"), ErrorKind::NotFound),
            (DIAZ, checkpoint(None, Some(1), "a", "b"), ErrorKind::NotFound),
            (DIAZ, checkpoint(None, Some(8), "a", "b"), ErrorKind::Refused),
            (LANG, checkpoint(None, Some(9), "a", "b"), ErrorKind::NotFound),
            (LANG, checkpoint(id, None, "a free text", "b"), ErrorKind::Usage),
            (LANG, checkpoint(None, None, "a", "m@lang.example"), ErrorKind::Usage),
            (Actor::System, checkpoint(None, Some(1), "a", "b"), ErrorKind::Refused),
            (Actor::Customer { user_id: 77 }, checkpoint(None, Some(1), "a", "b"), ErrorKind::NotFound),
        ] {
            assert_eq!(run(&actor, save.clone()).await.unwrap_err().kind(), kind, "{actor:?} {save:?}");
        }
        assert_eq!((store.usage_in_all().await, store.count("tenant_onboarding_sessions").await), (4, 2));
    }

    async fn fr_023_005_opening_diagnostics_is_audited_and_recorded_once_per_opening(store) {
        let store = store.with_platform().await;
        let run_id = store.start("policy.sync", 1).await;
        let maintenance = store.start("findings.lifecycle_backfill", 1).await;
        let many = StartRun { scope: RunScope::Workspace(1), ..sync(1) };
        let many = store.ops.run(&LANG, many).await.unwrap().run_id;
        let event = UsageEvent::DiagnosticsOpened;
        let (tenant, run) = (DiagnosticsSubject::Tenant, DiagnosticsSubject::Run);
        for _ in 0..2 {
            let open = diagnostics(tenant(1), SourceSurface::TenantDashboard);
            let opened = store.ops.run(&LANG, open).await.unwrap();
            assert_eq!((opened.tenant_id, opened.run_id), (1, None));
        }
        assert_eq!(
            store.newest_usage().await,
            "product.support_diagnostics.opened support_diagnostics 1/1/1 tenant 1 source_surface=tenant_dashboard"
        );
        let open = diagnostics(run(run_id), SourceSurface::OperationRunViewer);
        let opened = store.ops.run(&LANG, open).await.unwrap();
        assert_eq!((opened.tenant_id, opened.operation_type.as_deref()), (1, Some("policy.sync")));
        assert_eq!(
            store.newest_usage().await,
            format!(
                "product.support_diagnostics.opened support_diagnostics 1/1/1 operation_run {run_id} \
                 source_surface=operation_run_viewer operation_type=policy.sync"
            )
        );
        let audited = "audit_logs where action = 'activity.open_diagnostics' and actor_kind = 'customer' \
                       and plane = 'admin' and tenant_id = 1 and workspace_id = 1";
        assert_eq!((store.usage(event).await, store.count(audited).await), (3, 3));
        for (actor, subject, kind) in [
            (DIAZ, tenant(1), ErrorKind::NotFound),
            (DIAZ, run(run_id), ErrorKind::NotFound),
            (LANG, run(maintenance), ErrorKind::NotFound),
            (LANG, run(7_777), ErrorKind::NotFound),
            (LANG, run(many), ErrorKind::Refused),
            (LANG, tenant(9), ErrorKind::NotFound),
            (Actor::System, tenant(1), ErrorKind::Refused),
        ] {
            let error = store.ops.run(&actor, diagnostics(subject, SourceSurface::Tenant)).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{actor:?} {subject:?}");
        }
        assert_eq!((store.usage(event).await, store.count(audited).await), (3, 3));
    }

    async fn fr_023_006_a_start_by_a_customer_is_recorded_once_per_created_run(store) {
        let store = store.with_platform().await;
        let event = UsageEvent::OperationStarted;
        let started = store.ops.run(&LANG, sync(1)).await.unwrap();
        assert_eq!(
            store.newest_usage().await,
            format!("product.operations.started operations 1/1/1 operation_run {} operation_type=policy.sync", started.run_id)
        );
        // A reuse, a refused strict start, a repeated request, and a start over many tenants.
        assert!(!store.ops.run(&LANG, sync(1)).await.unwrap().created);
        let strict = StartRun { entry: Entry::Strict, ..sync(1) };
        assert_eq!(store.ops.run(&LANG, strict).await.unwrap_err().kind(), ErrorKind::Refused);
        let request = StartRun { request_id: Some("r-1".to_owned()), ..sync(2) };
        for created in [true, false] {
            assert_eq!(store.ops.run(&LANG, request.clone()).await.unwrap().created, created);
        }
        let many = StartRun { scope: RunScope::Tenants(vec![1, 2]), ..sync(1) };
        assert!(store.ops.run(&LANG, many).await.unwrap().created);
        assert_eq!(store.usage(event).await, 2);
        // Neither schedules nor maintenance, nor a tenant of others.
        let scheduled = StartRun::for_tenant("inventory.sync", 1, Source::Schedule);
        assert!(store.ops.run(&Actor::System, scheduled).await.unwrap().created);
        store.start("findings.lifecycle_backfill", 1).await;
        assert_eq!(store.ops.run(&DIAZ, sync(1)).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!((store.usage(event).await, store.usage_in_all().await), (2, 2));
    }

    async fn fr_023_007_a_report_counts_where_a_customer_started_its_run(store) {
        let store = store.with_platform().await;
        let event = UsageEvent::ReportCreated;
        let by_customer = store.start("stored_report.create", 1).await;
        let scheduled = StartRun::for_tenant("stored_report.create", 2, Source::Schedule);
        let by_schedule = store.ops.run(&Actor::System, scheduled).await.unwrap().run_id;
        let many = StartRun { scope: RunScope::Workspace(1), ..sync(1) };
        let many = store.ops.run(&LANG, many).await.unwrap().run_id;
        let id = store.ops.run(&Actor::System, report(by_customer)).await.unwrap();
        assert_eq!(
            store.newest_usage().await,
            format!("product.stored_report.created stored_reports 1/1/1 stored_report {id} report_type=compliance_summary")
        );
        store.ops.run(&LANG, report(by_customer)).await.unwrap();
        store.ops.run(&Actor::System, report(by_schedule)).await.unwrap();
        assert_eq!((store.count("stored_reports").await, store.usage(event).await), (3, 2));
        let odd = StoreReport { report_type: "Quarterly report".to_owned(), ..report(by_customer) };
        for (actor, store_report, kind) in [
            (DIAZ, report(by_customer), ErrorKind::NotFound),
            (LANG, report(7_777), ErrorKind::NotFound),
            (Actor::System, report(many), ErrorKind::Refused),
            (LANG, odd, ErrorKind::Usage),
        ] {
            let error = store.ops.run(&actor, store_report.clone()).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{actor:?} {store_report:?}");
        }
        assert_eq!((store.count("stored_reports").await, store.usage(event).await), (3, 2));
    }

    async fn fr_023_008_a_review_pack_is_made_or_found_and_both_are_recorded(store) {
        let store = store.with_platform().await;
        let event = UsageEvent::ReviewPackRequested;
        let first = store.ops.run(&LANG, pack(1, true, false)).await.unwrap();
        assert_eq!(
            store.newest_usage().await.replace("=1", "=true").replace("=0", "=false"),
            format!(
                "product.review_pack.requested review_pack 1/1/1 review_pack {} source_surface=tenant_review \
                 include_operations=true include_pii=false", first.pack_id
            )
        );
        let mut newest = first.pack_id;
        for (status, created) in [("requested", true), ("ready", false), ("failed", true)] {
            store.sql(&format!("update review_packs set status = '{status}'")).await.unwrap();
            let again = store.ops.run(&LANG, pack(1, true, false)).await.unwrap();
            assert_eq!(again.created, created, "{status}");
            assert_eq!(again.pack_id == newest, !created, "{status}");
            newest = again.pack_id;
        }
        // Other options, or another tenant, are another pack.
        for other in [pack(1, false, false), pack(1, true, true), pack(2, true, false)] {
            assert!(store.ops.run(&LANG, other).await.unwrap().created);
        }
        assert_eq!((store.count("review_packs").await, store.usage(event).await), (6, 7));
        for (actor, tenant_id, kind) in [
            (DIAZ, 1, ErrorKind::NotFound),
            (LANG, 9, ErrorKind::NotFound),
            (LANG, 77, ErrorKind::NotFound),
            (DIAZ, 8, ErrorKind::Refused),
            (Actor::System, 1, ErrorKind::Refused),
        ] {
            let error = store.ops.run(&actor, pack(tenant_id, true, true)).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{actor:?} {tenant_id}");
        }
        assert_eq!((store.count("review_packs").await, store.usage(event).await), (6, 7));
        // Many who ask at once share a ready one.
        let ready = store.ops.run(&DIAZ, pack(3, true, true)).await.unwrap().pack_id;
        store.sql(&format!("update review_packs set status = 'ready' where id = {ready}")).await.unwrap();
        let asked = (0..12).map(|_| {
            let ops = store.ops.clone();
            tokio::spawn(async move { ops.run(&DIAZ, pack(3, true, true)).await.unwrap() })
        });
        for one in asked.collect::<Vec<_>>() {
            assert_eq!(one.await.unwrap().pack_id, ready);
        }
        assert_eq!((store.count("review_packs").await, store.usage(event).await), (7, 20));
    }

    async fn fr_023_009_a_source_and_its_event_happen_together_or_not_at_all(store) {
        let store = store.with_platform().await;
        let run_id = store.start("stored_report.create", 1).await;
        store.ops.run(&LANG, checkpoint(None, Some(1), "consent_granted", "in_progress")).await.unwrap();
        let tables = [
            "operation_runs", "operation_run_targets", "tenant_onboarding_sessions where checkpoint_key = 'first_sync'",
            "audit_logs", "stored_reports", "review_packs", "product_usage_events",
        ];
        let mut before = Vec::new();
        for table in tables {
            before.push(store.count(table).await);
        }
        let refuse = match store.engine {
            Engine::Postgres => "create function nothing_more() returns trigger language plpgsql as \
                $$ begin raise exception 'full' using errcode = '53100'; end $$; \
                create trigger nothing_more before insert on product_usage_events for each row execute function nothing_more()",
            Engine::Sqlite => "create trigger nothing_more before insert on product_usage_events \
                begin select raise(abort, 'full'); end",
        };
        store.sql(refuse).await.unwrap();
        let (ops, surface) = (&store.ops, SourceSurface::Tenant);
        assert!(ops.run(&LANG, sync(2)).await.is_err());
        assert!(ops.run(&LANG, checkpoint(Some(1), None, "first_sync", "completed")).await.is_err());
        assert!(ops.run(&LANG, diagnostics(DiagnosticsSubject::Tenant(1), surface)).await.is_err());
        assert!(ops.run(&Actor::System, report(run_id)).await.is_err());
        assert!(ops.run(&LANG, pack(1, true, true)).await.is_err());
        for (table, before) in tables.iter().zip(before) {
            assert_eq!(store.count(table).await, before, "{table}");
        }
    }

    async fn fr_023_009_no_platform_user_can_write_an_event(store) {
        let store = store.with_platform().await;
        let person = store.administrator().await.actor;
        let run_id = store.start("stored_report.create", 1).await;
        let surface = SourceSurface::Tenant;
        let tries = [
            store.ops.run(&person, checkpoint(None, Some(1), "a", "b")).await.err(),
            store.ops.run(&person, diagnostics(DiagnosticsSubject::Tenant(1), surface)).await.err(),
            store.ops.run(&person, sync(2)).await.err(),
            store.ops.run(&person, report(run_id)).await.err(),
            store.ops.run(&person, pack(1, true, true)).await.err(),
        ];
        for tried in tries {
            assert_eq!(tried.unwrap().kind(), ErrorKind::Forbidden);
        }
        assert_eq!(store.usage_in_all().await, 1);
    }

    async fn fr_023_018_customers_of_the_demo_leave_events_by_what_they_do(store) {
        let store = store.with_platform().await;
        let traffic = Traffic::start(store.ops.clone(), 11);
        for _ in 0..3_000 {
            if store.usage_in_all().await >= 3 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        traffic.stop().await;
        assert!(store.usage_in_all().await >= 3);
        let runs = "operation_runs where user_id is not null and tenant_id is not null";
        assert_eq!(store.usage(UsageEvent::OperationStarted).await, store.count(runs).await);
        let audited = "audit_logs where action = 'activity.open_diagnostics'";
        assert_eq!(store.usage(UsageEvent::DiagnosticsOpened).await, store.count(audited).await);
    }
}
