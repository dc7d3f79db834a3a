//! What a user may do and see, and who may change it: nobody grants, removes or narrows beyond
//! their own capabilities and view.

use serde::{Serialize, Serializer};

use super::{PlatformUser, allow};
use crate::access::ViewScope;
use crate::domain::capability::{Capability, CapabilitySet};
use crate::domain::high_capability::HighCapability;
use crate::ops::store::Tx;
use crate::ops::store::users::{self, UserRow};
use crate::ops::{Consent, Context};
use crate::{Error, ErrorKind, Result};

/// Which workspaces a user sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserView {
    /// All of them, also those of later.
    All,
    /// These.
    Workspaces(Vec<i64>),
}

impl UserView {
    /// Whether it is all of them.
    pub fn is_all(&self) -> bool {
        *self == Self::All
    }

    /// The workspaces where it is restricted; empty where it is not.
    pub(super) fn workspaces(&self) -> &[i64] {
        match self {
            Self::All => &[],
            Self::Workspaces(ids) => ids,
        }
    }

    /// Refuses a restriction to nothing: such a user could see nothing, and most likely nobody
    /// meant that.
    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Workspaces(ids) if ids.is_empty() => {
                Err(Error::usage("no workspaces given")
                    .hint("add --workspace ID or --all-workspaces"))
            }
            _ => Ok(()),
        }
    }
}

impl Serialize for UserView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("all"),
            Self::Workspaces(ids) => ids.serialize(serializer),
        }
    }
}

/// The view of the actor: none for all workspaces.
pub(super) async fn own_view(context: &mut Context) -> Result<Option<Vec<i64>>> {
    match context.permit().scope() {
        ViewScope::All => Ok(None),
        ViewScope::Restricted { platform_user_id } => {
            users::workspaces(context.tx()?, platform_user_id).await.map(Some)
        }
    }
}

/// Refuses an actor who lacks one of these capabilities.
fn within_capabilities(context: &Context, capabilities: &CapabilitySet) -> Result<()> {
    match capabilities.iter().find(|capability| !context.permit().has(*capability)) {
        Some(capability) => Err(Error::forbidden(capability)),
        None => Ok(()),
    }
}

/// Refuses to grant what the actor does not hold, or a view that goes beyond theirs.
pub(super) async fn may_grant(
    context: &mut Context,
    capabilities: &CapabilitySet,
    view: &UserView,
) -> Result<()> {
    within_capabilities(context, capabilities)?;
    let Some(own) = own_view(context).await? else { return Ok(()) };
    match view {
        UserView::All => Err(Error::new(
            ErrorKind::Forbidden,
            "forbidden: your view is restricted, so you cannot open all workspaces",
        )
        .hint("name workspaces of your own view")),
        UserView::Workspaces(ids) => match ids.iter().find(|id| !own.contains(id)) {
            Some(id) => Err(Error::not_found(format!("workspace {id}"))),
            None => Ok(()),
        },
    }
}

/// Refuses to change a user who may do or see more than the actor.
pub(super) async fn may_change(context: &mut Context, user: &PlatformUser) -> Result<()> {
    within_capabilities(context, &user.capabilities)?;
    let own = own_view(context).await?;
    if own.is_none_or(|own| user.sees_at_most(&own)) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Forbidden,
        format!("forbidden: {} sees workspaces outside of your view", user.username),
    )
    .hint("ask an administrator who sees all workspaces"))
}

/// Refuses a grant that was not confirmed: a high capability that the user did not have asks for
/// their name, and the refusal names what each of them allows.
pub(super) fn confirm_grant(
    context: &Context,
    username: &str,
    before: &[HighCapability],
    after: &[HighCapability],
    consent: &Consent,
) -> Result<()> {
    let new: Vec<HighCapability> =
        after.iter().copied().filter(|high| !before.contains(high)).collect();
    let allowed = allow(context, consent, username, !new.is_empty());
    if new.is_empty() {
        return allowed;
    }
    allowed.map_err(|error| {
        let names: Vec<String> = new.iter().map(|high| high.name()).collect();
        let allows: Vec<&str> = new.iter().map(|high| high.allows()).collect();
        let told = Error::new(
            error.kind(),
            format!("granting {} has to be confirmed with the user name", names.join(", ")),
        )
        .hint(format!(
            "{username} may then {}; type exactly: {username} (on the command line: --confirm {username})",
            allows.join("; ")
        ));
        match error.asks() {
            Some(confirmation) => told.asking(confirmation.clone()),
            None => told,
        }
    })
}

/// Whether a user counts as the one who can always put things right: active, a user manager, and
/// with a view of all workspaces.
pub(super) fn keeps_the_door_open(active: bool, capabilities: &CapabilitySet, all: bool) -> bool {
    active
        && all
        && capabilities.has(Capability::AccessSystemPanel)
        && capabilities.has(Capability::UsersManage)
}

/// Refuses to take the last active, unrestricted user manager away. Changes of users run one at
/// a time, so what this sees still holds when the change is written.
pub(super) async fn keep_one_manager(
    tx: &mut Tx,
    before: &PlatformUser,
    stays: bool,
) -> Result<()> {
    let was = keeps_the_door_open(before.active, &before.capabilities, before.view_all);
    if stays || !was {
        return Ok(());
    }
    let other = |row: &UserRow| {
        row.id != before.id
            && keeps_the_door_open(
                row.active,
                &CapabilitySet::from_names(&row.capabilities.0),
                row.view_all,
            )
    };
    if users::all(tx).await?.iter().any(other) {
        return Ok(());
    }
    Err(Error::refused("that is the last active user manager who sees all workspaces")
        .hint("create another administrator first"))
}
