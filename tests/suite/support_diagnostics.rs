//! Diagnostics of a tenant or a run: specs/029-support.

use serde_json::{Value, json};
use tenantpilot::access::Actor;
use tenantpilot::domain::capability::{Capability, Role};
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::domain::support::{Bundle, Evidence, Item, Section, SectionKey, bundle_markdown};
use tenantpilot::ops::auth::Session;
use tenantpilot::ops::support::{
    Compose, DiagnosticsSubject, GetTenant, ListRunTenants, ListTenants, OpenDiagnostics,
};
use tenantpilot::{Error, ErrorKind};

use crate::console::run_control::{service, start};
use crate::database::texts;
use crate::support::stores::{Store, both_engines};

pub async fn open(
    store: &Store,
    by: &Session,
    subject: DiagnosticsSubject,
) -> Result<Evidence, Error> {
    store.ops.run(&by.actor, OpenDiagnostics { subject }).await
}

/// Rows of every section for tenant 3, beside what the scene made.
async fn records(store: &Store) {
    for sql in [
        "insert into provider_connections (id, workspace_id, tenant_id, provider, status, last_error_code, \
         last_checked_at, consent_expires_at, created_at) values (5, 2, 3, 'graph', 'degraded', 'throttled', \
         '2026-11-20T09:00:00+00:00', '2027-01-01T00:00:00+00:00', '2026-11-01T00:00:00+00:00')",
        "insert into findings (id, workspace_id, tenant_id, recurrence_key, title, severity, status, due_at, \
         created_at, updated_at) values \
         (11, 2, 3, 'k1', 'Guest Maria Keller owns a group', 'critical', 'new', '2026-11-19T00:00:00+00:00', \
          '2026-11-01T00:00:00+00:00', '2026-11-20T08:00:00+00:00'), \
         (12, 2, 3, 'k2', 'No owner', 'critical', 'triaged', '2027-01-01T00:00:00+00:00', \
          '2026-11-01T00:00:00+00:00', '2026-11-10T08:00:00+00:00'), \
         (13, 2, 3, 'k3', 'Old', 'low', 'resolved', null, '2026-11-01T00:00:00+00:00', '2026-11-02T08:00:00+00:00'), \
         (14, 1, 1, 'k1', 'Elsewhere', 'high', 'new', null, '2026-11-01T00:00:00+00:00', '2026-11-02T08:00:00+00:00')",
        "insert into stored_reports (id, workspace_id, tenant_id, run_id, report_type, created_at) values \
         (21, 2, 3, null, 'compliance_summary', '2026-11-19T00:00:00+00:00')",
        "insert into review_packs (id, workspace_id, tenant_id, run_id, status, include_operations, include_pii, \
         created_at) values (31, 2, 3, 4, 'ready', true, false, '2026-11-18T00:00:00+00:00')",
    ] {
        store.sql(sql).await.unwrap();
    }
}

fn section(bundle: &Bundle, key: SectionKey) -> &Section {
    bundle.sections.iter().find(|section| section.key == key).unwrap()
}

fn item<'a>(bundle: &'a Bundle, path: &str) -> &'a Item {
    bundle
        .sections
        .iter()
        .flat_map(|section| &section.items)
        .find(|item| item.path == path)
        .unwrap_or_else(|| panic!("{path}"))
}

both_engines! {
    async fn fr_029_001_a_bundle_says_what_is_wrong_how_fresh_that_is_and_why_a_section_is_empty(store) {
        let store = store.with_scene().await;
        records(&store).await;
        let on_call = { let first = store.administrator().await; store.user(&first, Role::OnCall).await };
        let evidence = open(&store, &on_call, DiagnosticsSubject::Run { run_id: 4, tenant_id: None }).await.unwrap();
        let bundle = evidence.bundle().unwrap();
        let keys: Vec<SectionKey> = bundle.sections.iter().map(|section| section.key).collect();
        assert_eq!(keys, SectionKey::ALL);
        assert_eq!(bundle.headline(), "partial: 3 of 40 items failed, for one reason");
        assert_eq!(bundle.dominant_issue(), "provider_throttled");
        let overview = item(bundle, "overview/summary");
        let reason = ReasonCode::ProviderThrottled;
        assert_eq!(overview.fact("dominant_issue_means").unwrap(), reason.explanation());
        assert_eq!(overview.fact("next_step").unwrap(), reason.next_step());
        assert_eq!(overview.fact("failures_of_it").unwrap(), 3);
        assert_eq!(overview.fact("tenant_id").unwrap(), 3);

        // Each section holds what its table holds of this tenant, and nothing of another.
        let connection = item(bundle, "provider_connection/connection-5");
        assert_eq!(connection.fact("status").unwrap(), "degraded");
        let critical = item(bundle, "findings/critical-findings");
        let counts: Vec<&Value> = ["open", "overdue", "closed"].iter().map(|name| critical.fact(name).unwrap()).collect();
        assert_eq!(counts, [&json!(2), &json!(1), &json!(0)]);
        assert_eq!(item(bundle, "findings/low-findings").fact("closed").unwrap(), 1);
        assert_eq!(section(bundle, SectionKey::Findings).items.len(), 2);
        assert_eq!(item(bundle, "stored_reports/report-21").fact("report_type").unwrap(), "compliance_summary");
        assert_eq!(item(bundle, "review_packs/review-pack-31").fact("run_id").unwrap(), 4);
        let run = item(bundle, "runs/run-4");
        assert_eq!(run.fact("subject").unwrap(), true);
        assert_eq!(run.fact("failed").unwrap(), 3);
        assert_eq!(item(bundle, "runs/run-3").fact("reason_code").unwrap(), "provider_throttled");
        let failures = section(bundle, SectionKey::Runs).items.iter().filter(|item| item.title.starts_with("failure "));
        assert_eq!(failures.count(), 3);
        let trail = texts(&store, "select cast(id as text) as shown from audit_logs where run_id = 4 order by id desc").await;
        // The row of this opening is written after the trail is read.
        let shown: Vec<String> = section(bundle, SectionKey::AuditTrail).items.iter()
            .map(|item| item.title.replace("audit row ", "")).collect();
        assert_eq!(shown, trail[1..]);
        for (key, newest) in [
            (SectionKey::ProviderConnection, "2026-11-20T09:00:00+00:00"),
            (SectionKey::Findings, "2026-11-20T08:00:00+00:00"),
            (SectionKey::StoredReports, "2026-11-19T00:00:00+00:00"),
            (SectionKey::ReviewPacks, "2026-11-18T00:00:00+00:00"),
        ] {
            let at = section(bundle, key).newest_at.unwrap();
            assert_eq!(at.to_rfc3339(), newest, "{key}");
        }

        // A tenant without anything: every section says why.
        store.sql("insert into tenants (id, workspace_id, name, created_at) values (20, 2, 'New', '2026-11-20T00:00:00+00:00')").await.unwrap();
        let evidence = open(&store, &on_call, DiagnosticsSubject::Tenant(20)).await.unwrap();
        let bundle = evidence.bundle().unwrap();
        assert_eq!(bundle.headline(), "no run of its own in the last 7 days");
        assert_eq!(bundle.dominant_issue(), "none");
        for section in &bundle.sections[1..] {
            assert!(section.items.is_empty() && section.empty.as_ref().is_some_and(|why| why.len() > 20), "{section:?}");
        }
    }

    async fn fr_029_001_a_section_says_how_many_it_does_not_list(store) {
        let store = store.with_scene().await;
        let first = store.administrator().await;
        for id in 1..=12 {
            store.sql(&format!("insert into stored_reports (id, workspace_id, tenant_id, report_type, created_at) \
                values ({id}00, 2, 3, 'summary', '2026-11-{id:02}T00:00:00+00:00')")).await.unwrap();
        }
        let evidence = open(&store, &first, DiagnosticsSubject::Tenant(3)).await.unwrap();
        let reports = section(evidence.bundle().unwrap(), SectionKey::StoredReports);
        assert_eq!((reports.items.len(), reports.more), (5, 7));
        assert_eq!(reports.items[0].title, "report 1200");
        // Of a tenant, the newest failure is there with its run.
        let bundle = evidence.bundle().unwrap();
        assert_eq!(bundle.headline(), "2 of 2 runs of the last 7 days failed");
        assert_eq!(section(bundle, SectionKey::Runs).items[0].title, "run 4");
        assert!(section(bundle, SectionKey::Runs).items[1].title.starts_with("failure "));
        // 12 failures in one run: ten are listed.
        for _ in 0..9 {
            store.sql("insert into operation_run_failures (run_id, tenant_id, reason_code, message, occurred_at) \
                values (4, 3, 'timeout', 'late', '2026-11-20T11:00:00+00:00')").await.unwrap();
        }
        let evidence = open(&store, &first, DiagnosticsSubject::Run { run_id: 4, tenant_id: None }).await.unwrap();
        assert_eq!(section(evidence.bundle().unwrap(), SectionKey::Runs).more, 2);
    }

    async fn fr_029_002_a_bundle_holds_no_names_of_people_no_titles_and_no_context(store) {
        let store = store.with_scene().await;
        records(&store).await;
        store.sql("update operation_runs set context = '{\"note\": \"ring Maria Keller\"}' where id = 4").await.unwrap();
        let first = store.administrator().await;
        for subject in [DiagnosticsSubject::Tenant(3), DiagnosticsSubject::Run { run_id: 4, tenant_id: Some(3) }] {
            let evidence = open(&store, &first, subject).await.unwrap();
            let json = tenantpilot::domain::json::line(evidence.bundle().unwrap()).unwrap();
            for never in ["Keller", "Maria", "r.diaz", "m.lang", "administrator", "mode", "Contoso", "example"] {
                assert!(!json.contains(never), "{never} in {json}");
            }
            assert!(json.contains("429 from provider"), "{json}");
        }
    }

    async fn fr_029_003_an_opening_is_one_audit_row(store) {
        let store = store.with_scene().await;
        let first = store.administrator().await;
        let on_call = store.user(&first, Role::OnCall).await;
        let count = "select count(*) from audit_logs where action = 'support.open_diagnostics' and status = 'succeeded'";
        open(&store, &on_call, DiagnosticsSubject::Run { run_id: 4, tenant_id: None }).await.unwrap();
        assert_eq!(store.number(count).await, 1);
        open(&store, &on_call, DiagnosticsSubject::Tenant(3)).await.unwrap();
        assert_eq!(store.number(count).await, 2);
        let rows = texts(&store, "select actor_name || ' ' || target_type || ' ' || target_id || ' ' || \
            cast(tenant_id as text) || ' ' || coalesce(cast(run_id as text), '-') from audit_logs \
            where action = 'support.open_diagnostics' order by id").await;
        assert_eq!(rows, ["oncall operation_run 4 3 4", "oncall tenant 3 3 -"]);
        // Gathering for a request is an opening where diagnostics go with it, and none where not.
        let without = Compose { subject: DiagnosticsSubject::Tenant(3), attach: false };
        assert!(store.ops.run(&on_call.actor, without).await.unwrap().bundle().is_none());
        assert_eq!(store.number(count).await, 2);
        let subject = DiagnosticsSubject::Tenant(3);
        store.ops.run(&on_call.actor, Compose { subject, attach: true }).await.unwrap();
        assert_eq!(store.number(count).await, 3);
        let writer = store.user_with(&first, "writer",
            [Capability::AccessSystemPanel, Capability::SupportRequestsCreate].into_iter().collect(), &[]).await;
        assert!(store.ops.run(&writer.actor, Compose { subject, attach: true }).await.unwrap().bundle().is_none());
        assert_eq!(store.number(count).await, 3);
        // No customer did anything.
        assert_eq!(store.number("select count(*) from product_usage_events where event_name like '%diagnostics%'").await, 0);

        // Without the capability it is named, and the try is on record.
        let viewer = store.user(&first, Role::Viewer).await;
        let error = open(&store, &viewer, subject).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        assert!(error.message().contains("platform.support_diagnostics.view"), "{error}");
        assert_eq!(store.number("select count(*) from audit_logs where action = 'support.open_diagnostics' and status = 'denied'").await, 1);
        for actor in [Actor::Customer { user_id: 2 }, Actor::System] {
            assert!(store.ops.run(&actor, OpenDiagnostics { subject }).await.is_err());
        }
        assert_eq!(store.number(count).await, 3);
    }

    async fn fr_029_003_what_cannot_be_audited_is_not_opened(store) {
        let store = store.with_scene().await;
        let first = store.administrator().await;
        refuse_audit(&store, "support.open_diagnostics").await;
        assert!(open(&store, &first, DiagnosticsSubject::Tenant(3)).await.is_err());
        assert!(store.ops.run(&first.actor, Compose { subject: DiagnosticsSubject::Tenant(3), attach: true }).await.is_err());
    }

    async fn fr_029_003_the_audit_trail_is_for_who_may_read_the_audit_log(store) {
        let store = store.with_scene().await;
        let first = store.administrator().await;
        let some = [Capability::AccessSystemPanel, Capability::SupportDiagnosticsView];
        let opener = store.user_with(&first, "opener", some.into_iter().collect(), &[]).await;
        let evidence = open(&store, &opener, DiagnosticsSubject::Run { run_id: 4, tenant_id: None }).await.unwrap();
        let trail = section(evidence.bundle().unwrap(), SectionKey::AuditTrail);
        assert!(trail.items.is_empty());
        assert_eq!(trail.empty.as_deref(), Some("not shown: this needs the capability platform.audit.view"));
    }

    async fn fr_029_004_what_lies_outside_of_the_view_does_not_exist(store) {
        let store = store.with_scene().await;
        let first = store.administrator().await;
        let contoso = store.user_with(&first, "contoso", Role::OnCall.capabilities(), &[1]).await;
        let run = |run_id, tenant_id| DiagnosticsSubject::Run { run_id, tenant_id };
        let refusal = async |subject| {
            let opened = open(&store, &contoso, subject).await.unwrap_err();
            let composed = store.ops.run(&contoso.actor, Compose { subject, attach: true }).await.unwrap_err();
            assert_eq!((opened.kind(), composed.kind()), (ErrorKind::NotFound, ErrorKind::NotFound));
            assert_eq!(opened.to_string(), composed.to_string());
            opened.to_string()
        };
        assert_eq!(refusal(DiagnosticsSubject::Tenant(3)).await, refusal(DiagnosticsSubject::Tenant(777)).await.replace("777", "3"));
        assert_eq!(refusal(run(4, None)).await, refusal(run(777, None)).await.replace("777", "4"));
        assert_eq!(refusal(run(4, Some(1))).await, refusal(run(777, Some(1))).await.replace("777", "4"));
        assert_eq!(refusal(run(1, Some(3))).await, refusal(run(1, Some(777))).await.replace("777", "3"));
        open(&store, &contoso, DiagnosticsSubject::Tenant(1)).await.unwrap();
        open(&store, &contoso, run(1, None)).await.unwrap();

        let unseen = store.ops.run(&contoso.actor, GetTenant { id: 3 }).await.unwrap_err();
        assert_eq!(unseen.kind(), ErrorKind::NotFound);
        let unseen = store.ops.run(&contoso.actor, ListRunTenants { run_id: 4, ..ListRunTenants::default() }).await;
        assert_eq!(unseen.unwrap_err().kind(), ErrorKind::NotFound);
    }

    async fn fr_029_005_from_a_run_over_many_one_tenant_is_chosen(store) {
        let store = store.with_platform().await;
        let first = store.administrator().await;
        let run_id = start(&service(&store), &[1, 2, 3]).await;
        let fail = format!("update operation_run_targets set status = 'failed', reason_code = 'timeout' where run_id = {run_id} and tenant_id = 2");
        store.sql(&fail).await.unwrap();
        for (tenant, message) in [("2", "took too long"), ("3", "of Fabrikam alone"), ("null", "of the run")] {
            store.sql(&format!("insert into operation_run_failures (run_id, tenant_id, reason_code, message, occurred_at) \
                values ({run_id}, {tenant}, 'timeout', '{message}', '2026-11-20T11:00:00+00:00')")).await.unwrap();
        }
        let run = |tenant_id| DiagnosticsSubject::Run { run_id, tenant_id };
        let list = |search: &str| ListRunTenants { run_id, search: search.to_owned(), limit: 0 };
        let listed = store.ops.run(&first.actor, list("")).await.unwrap();
        let order: Vec<i64> = listed.tenants.iter().map(|tenant| tenant.tenant_id).collect();
        assert_eq!((order, listed.matching), (vec![2, 1, 3], 3));
        assert_eq!(listed.tenants[0].reason_code.as_deref(), Some("timeout"));
        assert_eq!(store.ops.run(&first.actor, list("fabri")).await.unwrap().tenants.len(), 1);
        assert_eq!(store.ops.run(&first.actor, list("3")).await.unwrap().tenants[0].tenant_id, 3);

        let error = open(&store, &first, run(None)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains("3 tenants; one has to be chosen"), "{error}");
        let error = open(&store, &first, run(Some(4))).await.unwrap_err();
        assert_eq!(error.to_string(), format!("tenant 4 is no tenant of run {run_id}; choose one of the run's tenants"));

        // What failed elsewhere stays there.
        let evidence = open(&store, &first, run(Some(2))).await.unwrap();
        let facts = &evidence.subject().run.as_ref().unwrap().facts;
        let fact = |name: &str| facts.iter().find(|fact| fact.name == name).map(tenantpilot::domain::support::Fact::text);
        assert_eq!(fact("tenant_status").as_deref(), Some("failed"));
        assert_eq!(fact("tenant_reason_code").as_deref(), Some("timeout"));
        assert_eq!(fact("failures_by_reason").as_deref(), Some("timeout x2"));
        let markdown = bundle_markdown(evidence.subject(), evidence.bundle().unwrap());
        assert!(markdown.contains("took too long") && markdown.contains("of the run"), "{markdown}");
        assert!(!markdown.contains("Fabrikam"), "{markdown}");

        // A run with one tenant needs no choice; one without any has nobody to help.
        let one = start(&service(&store), &[4]).await;
        let evidence = open(&store, &first, DiagnosticsSubject::Run { run_id: one, tenant_id: None }).await.unwrap();
        assert_eq!(evidence.subject().tenant_id, 4);
        let none = store.start("backup.snapshot", 1).await;
        store.sql(&format!("delete from operation_run_targets where run_id = {none}")).await.unwrap();
        store.sql(&format!("update operation_runs set scope_kind = 'platform', tenant_id = null, workspace_id = null where id = {none}")).await.unwrap();
        let error = open(&store, &first, DiagnosticsSubject::Run { run_id: none, tenant_id: None }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains("has no tenant"), "{error}");
    }

    async fn fr_029_017_tenants_are_listed_and_seen_at_a_glance(store) {
        let store = store.with_scene().await;
        records(&store).await;
        let first = store.administrator().await;
        let list = |search: &str| ListTenants { search: search.to_owned(), ..ListTenants::default() };
        let names = async |by: &Session, search: &str| {
            let page = store.ops.run(&by.actor, list(search)).await.unwrap();
            assert_eq!(page.matching, i64::try_from(page.tenants.len()).unwrap());
            page.tenants.into_iter().map(|tenant| tenant.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&first, "").await, ["Contoso DE", "Contoso FR", "Fabrikam", "Fabrikam Labs", "Fabrikam Old", "Platform"]);
        assert_eq!(names(&first, "labs").await, ["Fabrikam Labs"]);
        assert_eq!(names(&first, "8").await, ["Fabrikam Old"]);
        assert!(names(&first, "%").await.is_empty());
        let contoso = store.user_with(&first, "contoso", Role::Viewer.capabilities(), &[1]).await;
        assert_eq!(names(&contoso, "").await, ["Contoso DE", "Contoso FR", "Platform"]);

        let view = store.ops.run(&first.actor, GetTenant { id: 3 }).await.unwrap();
        assert_eq!(view.runs.iter().map(|run| run.id).collect::<Vec<_>>(), [4, 3]);
        assert_eq!((view.week.total, view.week.failed, view.week.active), (Some(2), Some(2), 0));
        let findings: Vec<_> = view.findings.iter().map(|sums| (sums.severity.as_str(), sums.open, sums.overdue, sums.total)).collect();
        assert_eq!(findings, [("critical", 2, 1, 2), ("low", 0, 0, 1)]);
        assert_eq!(view.connections[0].status, "degraded");
        assert_eq!(view.requests, Some(Vec::new()));
        let last = view.runs.iter().map(|run| run.updated_at).max();
        assert_eq!(view.last_activity_at, last.max(view.connections[0].last_checked_at));
        // A viewer sees the tenant, and no requests.
        let viewer = store.user(&first, Role::Viewer).await;
        assert_eq!(store.ops.run(&viewer.actor, GetTenant { id: 3 }).await.unwrap().requests, None);
        assert!(store.ops.run(&first.actor, GetTenant { id: 8 }).await.unwrap().tenant.archived_at.is_some());
    }
}

/// Makes the database refuse every audit row of an action.
pub async fn refuse_audit(store: &Store, action: &str) {
    match store.engine {
        tenantpilot::ops::Engine::Sqlite => {
            let sql = format!(
                "create trigger no before insert on audit_logs when new.action = '{action}' \
                 begin select raise(abort, 'no'); end"
            );
            store.sql(&sql).await.unwrap();
        }
        tenantpilot::ops::Engine::Postgres => {
            let sql = format!(
                "alter table audit_logs add constraint no check (action <> '{action}') not valid"
            );
            store.sql(&sql).await.unwrap();
        }
    }
}
