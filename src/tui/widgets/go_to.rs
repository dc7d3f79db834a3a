//! What the palette takes besides commands: IDs, references, themes, keymaps, names of tenants.

use super::super::keymap;
use super::super::theme;
use crate::domain::capability::Capability;
use crate::domain::support::Reference;
use crate::ops::named::run_id;
use crate::ops::support::SupportTenant;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GoTo {
    Run(i64),
    Request(Reference),
    Tenant(Box<SupportTenant>),
    /// The tenants of this name, or of a part of it.
    Tenants(String),
    Theme(&'static str),
    Keymap(&'static str),
}

impl GoTo {
    /// What `typed` names, the likeliest first.
    pub fn read(typed: &str) -> Vec<Self> {
        let typed = typed.trim();
        if let Some(id) = run_id(typed) {
            return vec![Self::Run(id)];
        }
        if let Ok(reference) = typed.parse() {
            return vec![Self::Request(reference)];
        }
        let names = |word: &str, known: &[(&'static str, &str)]| {
            let rest =
                typed.strip_prefix(word).filter(|rest| rest.is_empty() || rest.starts_with(' '));
            let rest = rest.map(|rest| rest.trim().to_lowercase());
            let fits =
                |name: &&'static str| rest.as_ref().is_some_and(|rest| name.starts_with(rest));
            known.iter().map(|(name, _)| *name).filter(fits).collect::<Vec<_>>()
        };
        let mut found: Vec<Self> =
            names("theme", theme::EMBEDDED).into_iter().map(Self::Theme).collect();
        found.extend(names("keymap", keymap::EMBEDDED).into_iter().map(Self::Keymap));
        found
    }

    pub fn name(&self) -> String {
        match self {
            Self::Run(id) => format!("run {id}"),
            Self::Request(_) => "request".to_owned(),
            Self::Tenant(tenant) => format!("tenant {}", tenant.id),
            Self::Tenants(_) => "tenants".to_owned(),
            Self::Theme(name) => format!("theme {name}"),
            Self::Keymap(name) => format!("keymap {name}"),
        }
    }

    pub fn typed(&self) -> String {
        match self {
            Self::Run(id) => id.to_string(),
            Self::Request(reference) => reference.to_string(),
            Self::Tenant(tenant) => tenant.name.clone(),
            Self::Tenants(name) => name.clone(),
            Self::Theme(_) | Self::Keymap(_) => self.name(),
        }
    }

    pub fn description(&self) -> String {
        match self {
            Self::Run(_) => "Open this run".to_owned(),
            Self::Request(reference) => format!("Open {reference}"),
            Self::Tenant(tenant) => {
                format!("Open {} ({})", tenant.name, tenant.workspace_name)
            }
            Self::Tenants(name) => format!("Find tenants by the name {name}"),
            Self::Theme(_) => "Change to this theme".to_owned(),
            Self::Keymap(_) => "Change to this keymap".to_owned(),
        }
    }

    pub fn capability(&self) -> Option<Capability> {
        let looks_only = matches!(self, Self::Theme(_) | Self::Keymap(_));
        (!looks_only).then_some(Capability::OpsView)
    }
}
