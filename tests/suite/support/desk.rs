//! A platform with something to ask support for: connections, findings, secrets in a failure, a
//! run over many tenants, and requests that were sent.

use std::sync::Arc;

use tenantpilot::access::Actor;
use tenantpilot::domain::support::{Draft, Reference, Severity};
use tenantpilot::ops::auth::Session;
use tenantpilot::ops::runs::RunScope;
use tenantpilot::ops::support::{Compose, CreateRequest, DiagnosticsSubject};

use super::starts::Wish;
use super::stores::Store;

/// The reference of the request number `n` of a test.
pub fn reference(n: u8) -> Reference {
    format!("SR-01KAGJ8R0000000000000000{n:02}").parse().unwrap()
}

impl Store {
    /// The scene of runs, with what support looks at: tenant 3 is in trouble. Run 3 failed with a
    /// secret in what it says, run 10 is over tenants 1 to 4, of which 2 and 4 failed.
    pub async fn with_desk(self) -> (Self, Session) {
        let store = self.with_scene().await;
        let administrator = store.administrator().await;
        let at = |text: &str| format!("'2026-11-20T{text}:00+00:00'");
        let connection = "insert into provider_connections (workspace_id, tenant_id, provider, status, \
                          last_error_code, last_checked_at, consent_expires_at, created_at) values ";
        for (workspace, tenant, status, error, consent) in [
            (1, 1, "connected", "null", "'2027-03-01T00:00:00+00:00'"),
            (2, 3, "consent_expired", "'provider_auth_expired'", "'2026-11-18T00:00:00+00:00'"),
            (2, 4, "degraded", "'provider_throttled'", "null"),
        ] {
            let checked = at("09:30");
            let row = format!(
                "({workspace}, {tenant}, 'entra', '{status}', {error}, {checked}, {consent}, {checked})"
            );
            store.sql(&format!("{connection}{row}")).await.unwrap();
        }
        store.legacy_findings(&[1, 2, 3, 4], 2).await;
        let overdue = "update findings set status = 'new', due_at = '2026-11-15T00:00:00+00:00', \
                       severity = 'critical' where tenant_id = 3 and recurrence_key = 'key-3-0'";
        store.sql(overdue).await.unwrap();
        let said = "update operation_run_failures set message = \
                    'login of ana@contoso.example with password=Tr0ub4dor-and-3 was refused' where run_id = 3";
        store.sql(said).await.unwrap();
        let wish = Wish::new("findings.lifecycle_backfill", RunScope::Tenants(vec![1, 2, 3, 4]));
        let run = wish.begin(&store.ops, &Actor::System).await.unwrap().run_id;
        assert_eq!(run, 10);
        for (tenant, reason) in [(2, "timeout"), (4, "provider_throttled")] {
            let failed = format!(
                "update operation_run_targets set status = 'failed', reason_code = '{reason}' \
                 where run_id = 10 and tenant_id = {tenant}"
            );
            store.sql(&failed).await.unwrap();
        }
        (store, administrator)
    }

    /// Sends a request, as `by`.
    pub async fn request(
        &self,
        by: &Session,
        n: u8,
        subject: DiagnosticsSubject,
        draft: Draft,
    ) -> Reference {
        let evidence = self.ops.run(&by.actor, Compose { subject, attach: true }).await.unwrap();
        let reference = reference(n);
        let create = CreateRequest { evidence: Arc::new(evidence), draft, reference };
        self.ops.run(&by.actor, create).await.unwrap();
        reference
    }

    /// Three requests, a minute apart, as `by`: about tenant 1, about tenant 4 of run 10, and about
    /// run 3 with notes and a contact.
    pub async fn with_requests(&self, by: &Session) {
        let draft = |severity, summary: &str| Draft {
            severity,
            summary: summary.to_owned(),
            ..Draft::default()
        };
        let one = draft(Severity::Low, "How long are reports kept?");
        self.request(by, 1, DiagnosticsSubject::Tenant(1), one).await;
        self.pass(60);
        let two =
            Draft { attach: false, ..draft(Severity::High, "One tenant of the backfill fails") };
        let subject = DiagnosticsSubject::Run { run_id: 10, tenant_id: Some(4) };
        self.request(by, 2, subject, two).await;
        self.pass(60);
        let three = Draft {
            notes:
                "1. open the tenant\n2. sync its policies\n\nit says api_key=AKIAIOSFODNN7EXAMPLE"
                    .to_owned(),
            contact_name: "Ana Lindqvist".to_owned(),
            contact_email: "ana@contoso.example".to_owned(),
            ..draft(Severity::Blocking, "Policies of Fabrikam are not synced since this morning")
        };
        let subject = DiagnosticsSubject::Run { run_id: 3, tenant_id: None };
        self.request(by, 3, subject, three).await;
        self.pass(60);
    }

    /// How often diagnostics were opened.
    pub async fn openings(&self) -> i64 {
        let sql = "select count(*) from audit_logs where action = 'support.open_diagnostics'";
        self.number(sql).await
    }
}
