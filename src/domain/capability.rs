//! Capabilities of the system plane and the role presets made of them.
//!
//! This is the one registry: nothing else spells a capability's name.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::text_enum;

text_enum! {
    /// What a platform user may be allowed to do.
    pub enum Capability as "capability" {
        /// Needed for everything else.
        AccessSystemPanel = "platform.access_system_panel",
        /// The dashboard.
        ConsoleView = "platform.console.view",
        /// See operation runs.
        OpsView = "platform.ops.view",
        /// Cancel, retry, close, pause and resume runs.
        OpsManage = "platform.ops.manage",
        /// See runbooks and their plans.
        RunbooksView = "platform.runbooks.view",
        /// Start runbooks; each runbook asks for its own capability too.
        RunbooksRun = "platform.runbooks.run",
        /// The runbook `findings.lifecycle_backfill`.
        RunbookFindingsLifecycleBackfill = "platform.runbooks.findings.lifecycle_backfill",
        /// The runbook `operations.reconcile_stale`.
        RunbookOperationsReconcileStale = "platform.runbooks.operations.reconcile_stale",
        /// The runbook `product_usage.prune`.
        RunbookProductUsagePrune = "platform.runbooks.product_usage.prune",
        /// The runbook `retention.prune`.
        RunbookRetentionPrune = "platform.runbooks.retention.prune",
        /// Publish runbooks and operation types.
        RunbooksPublish = "platform.runbooks.publish",
        /// Create, pause and delete schedules.
        SchedulesManage = "platform.schedules.manage",
        /// Decide on the starts of others.
        ApprovalsDecide = "platform.approvals.decide",
        /// Open support diagnostics.
        SupportDiagnosticsView = "platform.support_diagnostics.view",
        /// Send support requests.
        SupportRequestsCreate = "platform.support_requests.create",
        /// Take break-glass.
        BreakGlassUse = "platform.break_glass.use",
        /// Read the audit log.
        AuditView = "platform.audit.view",
        /// Manage platform users.
        UsersManage = "platform.users.manage",
        /// Change the platform's settings.
        SettingsManage = "platform.settings.manage",
        /// Add, change and archive workspaces, tenants and customers.
        TenantsManage = "platform.tenants.manage",
    }
}

text_enum! {
    /// Role presets: names for sets of capabilities, nothing more.
    pub enum Role as "role" {
        /// Looks, changes nothing.
        Viewer = "viewer",
        /// Triages at night and asks for support.
        OnCall = "oncall",
        /// Runs maintenance.
        Operator = "operator",
        /// Everything.
        Administrator = "administrator",
    }
}

impl Role {
    /// The capabilities of the preset. A golden test pins this map.
    pub fn capabilities(self) -> CapabilitySet {
        use Capability as C;
        let mut set = vec![C::AccessSystemPanel, C::ConsoleView, C::OpsView, C::RunbooksView];
        if matches!(self, Self::OnCall | Self::Operator) {
            set.extend([C::OpsManage, C::SupportDiagnosticsView, C::SupportRequestsCreate]);
            set.extend([C::AuditView, C::BreakGlassUse, C::ApprovalsDecide]);
        }
        if self == Self::OnCall {
            set.extend([C::RunbooksRun, C::RunbookOperationsReconcileStale]);
        }
        if self == Self::Operator {
            set.extend([C::RunbooksRun, C::RunbookFindingsLifecycleBackfill]);
            set.extend([C::RunbookOperationsReconcileStale, C::RunbookProductUsagePrune]);
            set.extend([C::SchedulesManage, C::TenantsManage]);
        }
        if self == Self::Administrator {
            set = C::ALL.to_vec();
        }
        set.into_iter().collect()
    }
}

/// A set of capabilities, ordered as they are declared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CapabilitySet(BTreeSet<Capability>);

/// What is held before a login.
pub static NOTHING_HELD: CapabilitySet = CapabilitySet(BTreeSet::new());

impl CapabilitySet {
    /// Whether `capability` is in it.
    pub fn has(&self, capability: Capability) -> bool {
        self.0.contains(&capability)
    }

    /// Everything in it, in order.
    pub fn iter(&self) -> impl Iterator<Item = Capability> + '_ {
        self.0.iter().copied()
    }

    /// The preset with exactly these capabilities, if there is one.
    pub fn role(&self) -> Option<Role> {
        Role::ALL.iter().copied().find(|role| role.capabilities() == *self)
    }

    /// Names, one per capability.
    pub fn names(&self) -> Vec<&'static str> {
        self.iter().map(Capability::as_str).collect()
    }

    /// Reads a list of names. Names this version does not know grant nothing and are left
    /// out, so a newer version's capability never breaks an older binary.
    pub fn from_names<S: AsRef<str>>(names: &[S]) -> Self {
        names.iter().filter_map(|name| name.as_ref().parse().ok()).collect()
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<I: IntoIterator<Item = Capability>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}
