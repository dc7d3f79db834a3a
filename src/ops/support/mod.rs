//! Support: a tenant at a glance, its diagnostics, and requests for help that carry them.
//!
//! Diagnostics are opened, not watched: each opening is one audit row and gives one
//! [`Evidence`](crate::domain::support::Evidence), which a request is then made of without another
//! look at the database. What was shown before sending is so what is stored.

mod create;
mod evidence;
mod requests;
mod sections;
mod tenants;

pub use create::{CreateRequest, Created, EVIDENCE_GOOD_FOR};
pub use evidence::{Compose, DiagnosticsSubject, ListRunTenants, OpenDiagnostics, RunTenants};
pub use requests::{
    GetRequest, ListRequests, RequestDetail, RequestPage, SEES_REQUESTS, SupportRequest,
};
pub use tenants::{GetTenant, ListTenants, TenantPage, TenantView};

pub use super::store::diagnostics::{Connection, FindingSums, RunSums, RunTenant, SupportTenant};
