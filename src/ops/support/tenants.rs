//! A tenant at a glance: what runs, what is open, what was last.

use chrono::{DateTime, Duration, Utc};
use serde::Serialize;

use super::requests::{SEES_REQUESTS, SupportRequest};
use super::{Connection, FindingSums, RunSums, SupportTenant};
use crate::access::Requirement;
use crate::domain::capability::Capability;
use crate::domain::kept::Data;
use crate::domain::run::Run;
use crate::ops::plans::Pattern;
use crate::ops::store::{diagnostics as rows, retention, support};
use crate::ops::{Access, Context, Operation};
use crate::{Error, Result};

/// Rows that one answer holds at most.
const MAX_ROWS: i64 = 1_000;
/// How many runs a tenant's view lists.
const RUNS: i64 = 20;
/// How many connections a tenant's view lists.
const CONNECTIONS: i64 = 20;
/// How many requests a tenant's view lists.
const REQUESTS: i64 = 10;
/// How far back runs are summed up, in days.
pub(super) const SUMMED_DAYS: i64 = 7;

/// Lists the tenants of the actor's view by name, archived ones and the platform's own with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListTenants {
    /// Part of a tenant's or workspace's name, or a tenant's id; empty: all.
    pub search: String,
    /// So many are left out before.
    pub offset: i64,
    /// At most so many rows, 1,000 in any case; 0 means 50.
    pub limit: i64,
}

/// A part of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TenantPage {
    /// By name.
    pub tenants: Vec<SupportTenant>,
    /// How many match the search.
    pub matching: i64,
}

impl Operation for ListTenants {
    const NAME: &'static str = "support.list_tenants";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::OpsView]);
    const ACCESS: Access = Access::Read;
    type Output = TenantPage;

    async fn execute(self, context: &mut Context) -> Result<TenantPage> {
        let view = context.permit().scope();
        let pattern = Pattern::of(&self.search, context.ops().engine());
        let limit = if self.limit <= 0 { 50 } else { self.limit.min(MAX_ROWS) };
        let page = (self.offset.max(0), limit);
        let found =
            rows::tenants(context.tx()?, view, pattern.name.as_deref(), pattern.id, page).await?;
        Ok(TenantPage { tenants: found.0, matching: found.1 })
    }
}

/// Reads a tenant at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetTenant {
    /// Its id.
    pub id: i64,
}

/// A tenant at a glance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TenantView {
    /// The tenant.
    pub tenant: SupportTenant,
    /// When it was looked at.
    pub as_of: DateTime<Utc>,
    /// When something happened last: a run, a finding, a look at the connection.
    pub last_activity_at: Option<DateTime<Utc>>,
    /// Its own runs of the last seven days.
    pub week: RunSums,
    /// Its newest runs, those over many tenants with them.
    pub runs: Vec<Run>,
    /// Where they are all that there is: the moment before which ended runs are not kept.
    pub runs_missing_before: Option<DateTime<Utc>>,
    /// Findings by severity, worst first.
    pub findings: Vec<FindingSums>,
    /// How it is connected to its provider.
    pub connections: Vec<Connection>,
    /// Its newest requests; none where the actor may not see them.
    pub requests: Option<Vec<SupportRequest>>,
}

impl Operation for GetTenant {
    const NAME: &'static str = "support.get_tenant";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::OpsView]);
    const ACCESS: Access = Access::Read;
    type Output = TenantView;

    async fn execute(self, context: &mut Context) -> Result<TenantView> {
        let (view, now) = (context.permit().scope(), context.now());
        let sees_requests = context
            .permit()
            .holder()
            .is_some_and(|holder| SEES_REQUESTS.missing(&holder.capabilities).is_none());
        let tx = context.tx()?;
        let tenant = rows::tenant(tx, self.id, view)
            .await?
            .ok_or_else(|| Error::not_found(format!("tenant {}", self.id)))?;
        let runs = rows::runs(tx, self.id, view, RUNS).await?;
        let missing = retention::missing_before(tx, Data::Runs, tenant.created_at).await?;
        let all = i64::try_from(runs.len()).is_ok_and(|count| count < RUNS);
        let findings = rows::findings(tx, self.id, now).await?;
        let connections = rows::connections(tx, self.id, CONNECTIONS).await?;
        let requests = if sees_requests {
            let wanted = support::Wanted {
                tenant_id: Some(self.id),
                limit: REQUESTS,
                ..support::Wanted::default()
            };
            let found = support::page(tx, view, &wanted).await?;
            Some(found.into_iter().map(SupportRequest::try_from).collect::<Result<_>>()?)
        } else {
            None
        };
        let last_activity_at = runs
            .iter()
            .map(|run| run.updated_at)
            .chain(findings.iter().filter_map(|sums| sums.newest_at))
            .chain(connections.iter().filter_map(|connection| connection.last_checked_at))
            .max();
        Ok(TenantView {
            week: rows::run_sums(tx, self.id, now - Duration::days(SUMMED_DAYS)).await?,
            as_of: now,
            last_activity_at,
            runs_missing_before: missing.filter(|_| all),
            tenant,
            runs,
            findings,
            connections,
            requests,
        })
    }
}
