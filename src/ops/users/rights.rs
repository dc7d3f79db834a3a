//! What a user may do and see, and who may change it: nobody grants, removes or narrows beyond
//! their own capabilities and view.

use serde::{Serialize, Serializer};

use super::{PlatformUser, allow};
use crate::access::ViewScope;
use crate::domain::capability::{Capability, CapabilitySet, Role};
use crate::domain::high_capability::HighCapability;
use crate::ops::store::Tx;
use crate::ops::store::users::{self, UserChange, UserRow};
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
    (after, all_workspaces): (&[HighCapability], bool),
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
        let allows: Vec<&str> = new.iter().map(|high| high.allows(all_workspaces)).collect();
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

/// Who a user is to the others: active, what they hold, and whether they see all workspaces.
type Standing = (bool, CapabilitySet, bool);
/// Whether somebody may be the last one.
type Guards = fn(&Standing) -> bool;

/// Whether a user can always put things right among users.
fn manages((active, capabilities, all): &Standing) -> bool {
    let holds = |capability| capabilities.has(capability);
    *active && *all && holds(Capability::AccessSystemPanel) && holds(Capability::UsersManage)
}

/// Whether they can grant everything, too: nobody grants what they do not hold.
fn grants_all(standing: &Standing) -> bool {
    manages(standing) && Role::Administrator.capabilities().iter().all(|one| standing.1.has(one))
}

/// Refuses to take the last active, unrestricted user manager away, and the last of them who can
/// grant every capability. Changes of users run one at a time, so what this sees still holds when
/// the change is written.
pub(super) async fn keep_one_manager(
    tx: &mut Tx,
    before: &PlatformUser,
    change: &UserChange<'_>,
) -> Result<()> {
    let was = (before.active, before.capabilities.clone(), before.view_all);
    let after = (
        change.active.unwrap_or(was.0),
        change.capabilities.map_or_else(|| was.1.clone(), CapabilitySet::from_names),
        change.view_all.unwrap_or(was.2),
    );
    let rules: [(Guards, &str); 2] = [
        (manages, "that is the last active user manager who sees all workspaces"),
        (grants_all, "that is the last active administrator who holds all capabilities"),
    ];
    for (holds, why) in rules {
        if !holds(&was) || holds(&after) {
            continue;
        }
        let other = |row: &UserRow| {
            let capabilities = CapabilitySet::from_names(&row.capabilities.0);
            row.id != before.id && holds(&(row.active, capabilities, row.view_all))
        };
        if !users::all(tx).await?.iter().any(other) {
            return Err(Error::refused(why).hint("create another administrator first"));
        }
    }
    Ok(())
}
