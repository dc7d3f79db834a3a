//! Who acts, what an operation asks of them, and the proof that it was checked.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::capability::{Capability, CapabilitySet};
use crate::domain::start_reason::StartReasonCode;
use crate::text_enum;

text_enum! {
    /// What kind of client a session belongs to. A session of one kind is not accepted as
    /// another.
    pub enum ClientKind as "client kind" {
        /// The console.
        Console = "console",
        /// The command line.
        Cli = "cli",
        /// A console over the SSH service.
        Ssh = "ssh",
    }
}

/// A reference to a live session: proves nothing by itself, every operation looks it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRef {
    id: i64,
    kind: ClientKind,
}

impl SessionRef {
    /// The session's row.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// The client it is used from.
    pub fn kind(&self) -> ClientKind {
        self.kind
    }
}

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Nobody yet: the login screen, the first administrator.
    Anonymous {
        /// What the throttle counts by.
        origin: String,
    },
    /// A platform user, by a session.
    Platform(SessionRef),
    /// The worker, the schedule or the deploy hook: never logs in.
    System,
    /// An action of the customers' plane that enters in process.
    Customer {
        /// The customer.
        user_id: i64,
    },
}

/// What an operation asks of its actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// All of these capabilities (and access to the system panel).
    All(&'static [Capability]),
    /// Any one of these sets (and access to the system panel).
    Any(&'static [&'static [Capability]]),
    /// A live session, whatever it may do.
    Session,
    /// Nobody needs to be logged in.
    BeforeLogin,
    /// The system or a customer acting in process; no platform user.
    InProcess,
    /// The system alone.
    SystemOnly,
}

impl Requirement {
    /// The first thing that `held` lacks, in words; none if nothing is missing. Only for
    /// requirements of platform users.
    pub fn missing(&self, held: &CapabilitySet) -> Option<String> {
        let lacks = |set: &[Capability]| set.iter().copied().find(|c| !held.has(*c));
        let panel = Capability::AccessSystemPanel;
        match self {
            Self::Session | Self::BeforeLogin => None,
            Self::InProcess | Self::SystemOnly => Some("of the system itself".to_owned()),
            Self::All(_) | Self::Any(_) if !held.has(panel) => Some(panel.to_string()),
            Self::All(set) => lacks(set).map(|c| c.to_string()),
            Self::Any(sets) => {
                if sets.iter().any(|set| lacks(set).is_none()) {
                    return None;
                }
                let ways: Vec<String> = sets
                    .iter()
                    .map(|set| set.iter().map(|c| c.as_str()).collect::<Vec<_>>().join(" and "))
                    .collect();
                Some(ways.join(", or "))
            }
        }
    }
}

/// Whose rows a permit opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewScope {
    /// Every workspace.
    All,
    /// Only the workspaces listed for this platform user.
    Restricted {
        /// The platform user.
        platform_user_id: i64,
    },
}

/// A person's break-glass while it is active: an exception that is declared, with a reason
/// and an end. It allows nothing; it asks for more and marks what is done under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BreakGlass {
    /// Id of the grant.
    pub grant_id: i64,
    /// What kind of reason it has.
    pub reason_code: StartReasonCode,
    /// Why, in words.
    pub reason: String,
    /// Since when.
    pub granted_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
}

/// A platform user as the check found them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Id.
    pub platform_user_id: i64,
    /// Normalised user name.
    pub username: String,
    /// What they may do, read in the same transaction.
    pub capabilities: CapabilitySet,
    /// The session.
    pub session: SessionRef,
    /// Their break-glass, where it is active: read in the same query as the session.
    pub break_glass: Option<BreakGlass>,
}

/// Proof that an operation's requirement was checked. Only [`crate::ops`] makes one.
#[derive(Debug, Clone)]
pub struct Permit {
    actor: Actor,
    holder: Option<Holder>,
    scope: ViewScope,
}

impl Permit {
    pub(in crate::access) fn make(actor: Actor, holder: Option<Holder>, scope: ViewScope) -> Self {
        Self { actor, holder, scope }
    }

    /// Who acts.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The platform user, where one acts.
    pub fn holder(&self) -> Option<&Holder> {
        self.holder.as_ref()
    }

    /// Whose rows it opens.
    pub fn scope(&self) -> ViewScope {
        self.scope
    }

    /// The break-glass under which the actor acts, if it is active.
    pub fn break_glass(&self) -> Option<&BreakGlass> {
        self.holder.as_ref()?.break_glass.as_ref()
    }

    /// Whether the actor holds `capability`; the system holds all, a customer none.
    pub fn has(&self, capability: Capability) -> bool {
        match (&self.actor, &self.holder) {
            (Actor::System, _) => true,
            (_, Some(holder)) => holder.capabilities.has(capability),
            _ => false,
        }
    }
}

/// What only [`crate::ops`] may call.
pub(crate) mod gate {
    use super::{Actor, ClientKind, Holder, Permit, SessionRef, ViewScope};

    /// Refers to the session that a login or a token found.
    pub(crate) fn session(id: i64, kind: ClientKind) -> SessionRef {
        SessionRef { id, kind }
    }

    /// Makes the permit of an actor who was checked.
    pub(crate) fn permit(actor: Actor, holder: Option<Holder>, scope: ViewScope) -> Permit {
        Permit::make(actor, holder, scope)
    }
}
