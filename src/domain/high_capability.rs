//! Rights that reach further than their name says: granting one is confirmed, and lists mark it.

use serde::{Serialize, Serializer};

use super::capability::{Capability, CapabilitySet};

/// A right that is confirmed before it is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HighCapability {
    /// Managing platform users.
    Users,
    /// Changing the platform's settings.
    Settings,
    /// Taking break-glass.
    BreakGlass,
    /// Starting runbooks, with a view of all workspaces.
    RunbooksEverywhere,
}

impl HighCapability {
    /// Every one of them.
    pub const ALL: [Self; 4] =
        [Self::Users, Self::Settings, Self::BreakGlass, Self::RunbooksEverywhere];

    /// Those that a user with these capabilities and this view has.
    pub fn held(capabilities: &CapabilitySet, all_workspaces: bool) -> Vec<Self> {
        let holds = |high: &Self| {
            capabilities.has(high.capability())
                && (all_workspaces || *high != Self::RunbooksEverywhere)
        };
        Self::ALL.into_iter().filter(holds).collect()
    }

    fn capability(self) -> Capability {
        match self {
            Self::Users => Capability::UsersManage,
            Self::Settings => Capability::SettingsManage,
            Self::BreakGlass => Capability::BreakGlassUse,
            Self::RunbooksEverywhere => Capability::RunbooksRun,
        }
    }

    /// Its name: the capability, and the view that it comes with.
    pub fn name(self) -> String {
        match self {
            Self::RunbooksEverywhere => format!("{} on all workspaces", self.capability()),
            _ => self.capability().to_string(),
        }
    }

    /// One word for lists.
    pub fn word(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Settings => "settings",
            Self::BreakGlass => "break-glass",
            Self::RunbooksEverywhere => "runbooks",
        }
    }

    /// What it allows, with a view of all workspaces or of some.
    pub fn allows(self, all_workspaces: bool) -> &'static str {
        match self {
            Self::Users => "create, change and disable users, and grant what they hold themselves",
            Self::Settings if all_workspaces => "change the settings of the whole platform",
            Self::Settings => {
                "see the settings of the whole platform, and change them once they see all workspaces"
            }
            Self::BreakGlass => "take break-glass",
            Self::RunbooksEverywhere => "start runbooks on the tenants of every workspace",
        }
    }
}

impl Serialize for HighCapability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::capability::Role;

    #[test]
    fn what_is_high_follows_from_capabilities_and_view() {
        use HighCapability as H;
        let held = |role: Role, all| H::held(&role.capabilities(), all);
        assert_eq!(held(Role::Viewer, true), []);
        assert_eq!(held(Role::OnCall, false), [H::BreakGlass]);
        assert_eq!(held(Role::Operator, true), [H::BreakGlass, H::RunbooksEverywhere]);
        assert_eq!(held(Role::Administrator, true), H::ALL);
        let restricted = held(Role::Administrator, false);
        assert_eq!(restricted, [H::Users, H::Settings, H::BreakGlass]);
    }
}
