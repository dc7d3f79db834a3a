//! What the pages of support ask of the service, and diagnostics written into files.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::export;
use super::msg::{Effect, Request, Slot};
use crate::access::Actor;
use crate::domain::json;
use crate::domain::support::{Evidence, Reference, bundle_markdown};
use crate::ops::Ops;
use crate::ops::support::{
    DiagnosticsSubject, GetRequest, GetTenant, ListRequests, ListRunTenants, ListTenants,
    OpenDiagnostics, RequestDetail, RequestPage, RunTenants, TenantPage, TenantView,
};
use crate::{Error, ErrorKind, Result};

/// The version of the form in which diagnostics are exported.
pub const EXPORT_SCHEMA_VERSION: i64 = 1;

/// What a page asks.
#[derive(Debug, Clone, PartialEq)]
pub enum SupportAsk {
    /// Requests that were sent.
    Requests(ListRequests),
    /// One of them.
    Request(Reference),
    /// Tenants.
    Tenants(ListTenants),
    /// One of them at a glance.
    Tenant(i64),
    /// The tenants of a run.
    RunTenants(ListRunTenants),
    /// That diagnostics are opened, which is audited.
    Open(DiagnosticsSubject),
    /// Diagnostics in files.
    Export(ExportDiagnostics),
}

/// What came of it, with what was asked.
#[derive(Debug)]
pub enum SupportAnswer {
    /// Requests that were sent.
    Requests(ListRequests, Result<RequestPage>),
    /// One of them.
    Request(Reference, Box<Result<RequestDetail>>),
    /// Tenants.
    Tenants(ListTenants, Result<TenantPage>),
    /// One of them at a glance.
    Tenant(i64, Box<Result<TenantView>>),
    /// The tenants of a run.
    RunTenants(ListRunTenants, Result<RunTenants>),
    /// Diagnostics were opened.
    Opened(DiagnosticsSubject, Result<Arc<Evidence>>),
    /// Diagnostics were written into these files.
    Exported(Result<Vec<PathBuf>>),
}

impl SupportAsk {
    /// The slot it is asked in.
    pub fn slot(&self) -> Slot {
        match self {
            Self::Requests(_) => Slot::SupportRequests,
            Self::Request(_) => Slot::SupportRequest,
            Self::Tenants(_) => Slot::SupportTenants,
            Self::Tenant(_) => Slot::SupportTenant,
            Self::RunTenants(_) => Slot::RunTenants,
            Self::Open(_) => Slot::Diagnostics,
            Self::Export(_) => Slot::DiagnosticsExport,
        }
    }

    /// Whether it only reads what the database holds, so that nothing new is read while nothing
    /// has changed there.
    pub fn is_read(&self) -> bool {
        !matches!(self, Self::Open(_) | Self::Export(_))
    }

    /// As a request of the console.
    pub fn request(self) -> Request {
        Request::Support(Box::new(self))
    }

    /// The effect that asks it.
    pub fn ask(self) -> Effect {
        Effect::Ask(self.slot(), self.request())
    }

    /// Asks it, as the person who is logged in.
    pub async fn answer(self, ops: &Ops, actor: &Actor) -> SupportAnswer {
        match self {
            Self::Requests(asked) => {
                let page = ops.run(actor, asked.clone()).await;
                SupportAnswer::Requests(asked, page)
            }
            Self::Request(reference) => {
                let detail = ops.run(actor, GetRequest { reference }).await;
                SupportAnswer::Request(reference, Box::new(detail))
            }
            Self::Tenants(asked) => {
                let page = ops.run(actor, asked.clone()).await;
                SupportAnswer::Tenants(asked, page)
            }
            Self::Tenant(id) => {
                SupportAnswer::Tenant(id, Box::new(ops.run(actor, GetTenant { id }).await))
            }
            Self::RunTenants(asked) => {
                let tenants = ops.run(actor, asked.clone()).await;
                SupportAnswer::RunTenants(asked, tenants)
            }
            Self::Open(subject) => {
                let opened = ops.run(actor, OpenDiagnostics { subject }).await;
                SupportAnswer::Opened(subject, opened.map(Arc::new))
            }
            Self::Export(asked) => SupportAnswer::Exported(asked.send().await),
        }
    }
}

impl SupportAnswer {
    /// What went wrong with the service, if something did.
    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::Requests(_, answer) => answer.as_ref().err(),
            Self::Request(_, answer) => answer.as_ref().as_ref().err(),
            Self::Tenants(_, answer) => answer.as_ref().err(),
            Self::Tenant(_, answer) => answer.as_ref().as_ref().err(),
            Self::RunTenants(_, answer) => answer.as_ref().err(),
            Self::Opened(_, answer) => answer.as_ref().err(),
            // A disk that is full says nothing about the database.
            Self::Exported(answer) => {
                answer.as_ref().err().filter(|error| error.kind() != ErrorKind::Failed)
            }
        }
    }
}

/// Diagnostics to be written into files, as they were opened.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportDiagnostics {
    /// What was opened.
    pub evidence: Arc<Evidence>,
    /// The directory.
    pub dir: PathBuf,
    /// The moment, which is part of the files' names.
    pub now: DateTime<Utc>,
}

impl ExportDiagnostics {
    /// Writes both forms; gives the files.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub async fn send(&self) -> Result<Vec<PathBuf>> {
        let Some(bundle) = self.evidence.bundle() else {
            return Err(Error::failed("there are no diagnostics to write"));
        };
        let subject = self.evidence.subject();
        let name = match &subject.run {
            Some(run) => format!("diagnostics-run-{}-tenant-{}", run.id, subject.tenant_id),
            None => format!("diagnostics-tenant-{}", subject.tenant_id),
        };
        let whole = json!({
            "schema_version": EXPORT_SCHEMA_VERSION,
            "diagnostics": { "subject": subject, "bundle": bundle, "withheld": bundle.tally() },
        });
        let forms =
            [("json", json::text(&whole)? + "\n"), ("md", bundle_markdown(subject, bundle))];
        let mut files = Vec::new();
        for (ending, text) in forms {
            let file = export::file(&self.dir, &name, ending, self.now);
            export::write(file.clone(), text).await?;
            files.push(file);
        }
        Ok(files)
    }
}
