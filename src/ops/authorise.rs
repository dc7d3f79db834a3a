//! Who may pass the door: the actor behind a session, held against what an operation asks.

use super::auth;
use super::store::sessions::SessionRow;
use crate::access::{Actor, Holder, Permit, Requirement, SessionRef, ViewScope, gate};
use crate::domain::capability::CapabilitySet;
use crate::{Clock, Error, Result};

/// Holds an actor, with the session that was found for them, against the requirement.
pub(super) fn authorise(
    actor: &Actor,
    arrived: Option<&SessionRow>,
    requirement: &Requirement,
    clock: &Clock,
) -> Result<Permit> {
    let bare = |actor: &Actor| gate::permit(actor.clone(), None, ViewScope::All);
    match (actor, requirement) {
        (_, Requirement::BeforeLogin)
        | (Actor::System, Requirement::InProcess | Requirement::SystemOnly) => Ok(bare(actor)),
        (Actor::System, Requirement::All(_) | Requirement::Any(_)) => Ok(bare(actor)),
        (Actor::Customer { .. }, Requirement::InProcess) => Ok(bare(actor)),
        (Actor::Platform(session), requirement) => {
            let (holder, scope) = live_session(arrived, session, clock)?;
            match requirement.missing(&holder.capabilities) {
                None => Ok(gate::permit(actor.clone(), Some(holder), scope)),
                Some(capability) => Err(Error::forbidden(capability)),
            }
        }
        // A customer on the system plane, the system where a session is needed, and nobody
        // at all get the same answer as an ended session.
        _ => Err(Error::not_logged_in()),
    }
}

/// The person behind a session that is still good.
fn live_session(
    arrived: Option<&SessionRow>,
    session: &SessionRef,
    clock: &Clock,
) -> Result<(Holder, ViewScope)> {
    let row = arrived.ok_or_else(Error::not_logged_in)?;
    if !auth::is_live(row, session.kind(), clock.now()) {
        return Err(Error::not_logged_in());
    }
    let scope = if row.restricted {
        ViewScope::Restricted { platform_user_id: row.platform_user_id }
    } else {
        ViewScope::All
    };
    let holder = Holder {
        platform_user_id: row.platform_user_id,
        username: row.username.clone(),
        capabilities: CapabilitySet::from_names(&row.capabilities.0),
        session: session.clone(),
        break_glass: row.grant.active(clock.now())?,
    };
    Ok((holder, scope))
}
