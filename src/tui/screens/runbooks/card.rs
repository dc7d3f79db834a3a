//! What is said of a runbook, and whether a person may run it.

use std::fmt::{self, Debug, Formatter};
use std::ops::Deref;
use std::sync::Arc;

use crate::domain::capability::{Capability, CapabilitySet};
use crate::domain::run::ScopeKind;
use crate::runbooks::Runbook;
use crate::tui::widgets::table::Row;

#[derive(Clone)]
pub(super) struct Card(pub(super) Arc<dyn Runbook>);

impl Debug for Card {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

impl Deref for Card {
    type Target = dyn Runbook;

    fn deref(&self) -> &Self::Target {
        self.0.as_ref()
    }
}

impl Card {
    pub(super) fn takes(&self, scope: ScopeKind) -> bool {
        self.scopes().contains(&scope)
    }

    pub(super) fn is_platforms(&self) -> bool {
        self.scopes() == [ScopeKind::Platform]
    }

    pub(super) fn aims(&self) -> String {
        let word = |scope: &ScopeKind| match scope {
            ScopeKind::Tenant => "one tenant",
            ScopeKind::Tenants => "several tenants",
            ScopeKind::Workspace => "a workspace's tenants",
            ScopeKind::All => "all tenants",
            ScopeKind::Platform => "the platform itself",
        };
        self.scopes().iter().map(word).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn needs(&self, held: &CapabilitySet) -> [(Capability, bool); 2] {
        [Capability::RunbooksRun, self.capability()]
            .map(|capability| (capability, held.has(capability)))
    }

    pub(super) fn missing(&self, held: &CapabilitySet) -> Option<Capability> {
        self.needs(held).into_iter().find(|(_, held)| !held).map(|(capability, _)| capability)
    }
}

impl Row for Card {
    type Key = &'static str;

    fn key(&self) -> &'static str {
        self.0.key()
    }
}
