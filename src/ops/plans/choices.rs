//! What a scope can be chosen from: tenants and workspaces within the actor's view that
//! maintenance may touch.

use serde::Serialize;

use super::Pattern;
use crate::Result;
use crate::access::{Requirement, ViewScope};
use crate::domain::capability::Capability;
use crate::ops::store::scope_choices::{self, ScopeTenant, ScopeWorkspace};
use crate::ops::{Access, Context, Operation};

/// Rows that one answer holds at most.
const MAX_ROWS: i64 = 1000;

/// Lists tenants that a runbook may be aimed at, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListScopeTenants {
    /// Part of a tenant's or workspace's name, or a tenant's id; empty: all.
    pub search: String,
    /// So many are left out before.
    pub offset: i64,
    /// At most so many rows, 1,000 in any case.
    pub limit: i64,
}

/// Tenants to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScopeTenants {
    /// The rows asked for.
    pub tenants: Vec<ScopeTenant>,
    /// How many match the search.
    pub matching: i64,
    /// How many there are in all.
    pub allowed: i64,
    /// Whether all of them may be chosen at once: not by somebody whose view is restricted.
    pub all_allowed: bool,
}

impl Operation for ListScopeTenants {
    const NAME: &'static str = "runbooks.list_scope_tenants";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::RunbooksView]);
    const ACCESS: Access = Access::Read;
    type Output = ScopeTenants;

    async fn execute(self, context: &mut Context) -> Result<ScopeTenants> {
        let view = context.permit().scope();
        let pattern = Pattern::of(&self.search, context.ops().engine());
        let page = (self.offset.max(0), self.limit.clamp(0, MAX_ROWS));
        let tx = context.tx()?;
        let allowed = scope_choices::count(tx, view).await?;
        let (tenants, matching) =
            scope_choices::tenants(tx, view, pattern.name.as_deref(), pattern.id, page).await?;
        Ok(ScopeTenants { tenants, matching, allowed, all_allowed: view == ViewScope::All })
    }
}

/// Lists workspaces with tenants that a runbook may be aimed at, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListScopeWorkspaces {
    /// Part of a workspace's name, or its id; empty: all.
    pub search: String,
    /// So many are left out before.
    pub offset: i64,
    /// At most so many rows, 1,000 in any case.
    pub limit: i64,
}

/// Workspaces to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScopeWorkspaces {
    /// The rows asked for.
    pub workspaces: Vec<ScopeWorkspace>,
    /// How many match the search.
    pub matching: i64,
}

impl Operation for ListScopeWorkspaces {
    const NAME: &'static str = "runbooks.list_scope_workspaces";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::RunbooksView]);
    const ACCESS: Access = Access::Read;
    type Output = ScopeWorkspaces;

    async fn execute(self, context: &mut Context) -> Result<ScopeWorkspaces> {
        let view = context.permit().scope();
        let pattern = Pattern::of(&self.search, context.ops().engine());
        let page = (self.offset.max(0), self.limit.clamp(0, MAX_ROWS));
        let tx = context.tx()?;
        let (workspaces, matching) =
            scope_choices::workspaces(tx, view, pattern.name.as_deref(), pattern.id, page).await?;
        Ok(ScopeWorkspaces { workspaces, matching })
    }
}
