//! What is said of a runbook, and whether a person may run it.

use crate::domain::capability::{Capability, CapabilitySet};
use crate::domain::run::ScopeKind;
use crate::runbooks::{Input, Runbook};
use crate::tui::widgets::table::Row;

#[derive(Debug, Clone, Copy)]
pub(super) struct Card {
    pub(super) key: &'static str,
    pub(super) title: &'static str,
    pub(super) changes: &'static str,
    pub(super) undo: &'static str,
    pub(super) items: &'static str,
    pub(super) inputs: &'static [Input],
    pub(super) capability: Capability,
    scopes: &'static [ScopeKind],
}

impl Card {
    pub(super) fn of(runbook: &dyn Runbook) -> Self {
        Self {
            key: runbook.key(),
            title: runbook.title(),
            changes: runbook.changes(),
            undo: runbook.undo(),
            items: runbook.items(),
            inputs: runbook.inputs(),
            capability: runbook.capability(),
            scopes: runbook.scopes(),
        }
    }

    pub(super) fn takes(self, scope: ScopeKind) -> bool {
        self.scopes.contains(&scope)
    }

    /// Whether it is aimed at the platform itself.
    pub(super) fn is_platforms(self) -> bool {
        self.scopes == [ScopeKind::Platform]
    }

    pub(super) fn aims(self) -> String {
        let words: Vec<&str> = self
            .scopes
            .iter()
            .map(|scope| match scope {
                ScopeKind::Tenant => "one tenant",
                ScopeKind::Tenants => "several tenants",
                ScopeKind::Workspace => "a workspace's tenants",
                ScopeKind::All => "all tenants",
                ScopeKind::Platform => "the platform itself",
            })
            .collect();
        words.join(", ")
    }

    /// The capabilities that a start needs, each with whether it is held.
    pub(super) fn needs(self, held: &CapabilitySet) -> [(Capability, bool); 2] {
        [Capability::RunbooksRun, self.capability]
            .map(|capability| (capability, held.has(capability)))
    }

    pub(super) fn missing(self, held: &CapabilitySet) -> Option<Capability> {
        self.needs(held).into_iter().find(|(_, held)| !held).map(|(capability, _)| capability)
    }
}

impl Row for Card {
    type Key = &'static str;

    fn key(&self) -> &'static str {
        self.key
    }
}
