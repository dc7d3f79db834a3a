//! Onboarding: a customer moves a session from checkpoint to checkpoint, first without a tenant,
//! later linked to one.

use serde_json::json;

use super::{customer, own_tenant};
use crate::access::Requirement;
use crate::domain::telemetry::{MAX_TOKEN, SubjectType, UsageEvent};
pub use crate::ops::store::activity::COMPLETED;
use crate::ops::store::activity::{self, OnboardingSession, OnboardingState};
use crate::ops::telemetry::record::{Told, record};
use crate::ops::{Access, Context, Operation};
use crate::{Error, Result};

/// Says where a session of onboarding stands.
#[derive(Debug, Clone)]
pub struct SaveCheckpoint {
    /// The session; none begins one.
    pub session_id: Option<i64>,
    /// Links the session to this tenant. A link stays.
    pub tenant_id: Option<i64>,
    /// Code of the checkpoint, `consent_granted`.
    pub checkpoint_key: String,
    /// Code of how it stands, `in_progress` or `completed`.
    pub lifecycle_state: String,
}

impl SaveCheckpoint {
    /// A harmless example, for the test of the access check.
    pub(in crate::ops) fn sample() -> Self {
        Self {
            session_id: Some(0),
            tenant_id: None,
            checkpoint_key: "consent_granted".to_owned(),
            lifecycle_state: COMPLETED.to_owned(),
        }
    }
}

/// A session, and whether anything was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointSaved {
    /// The session.
    pub session_id: i64,
    /// Whether its checkpoint or that one's state is another now.
    pub changed: bool,
}

impl Operation for SaveCheckpoint {
    const NAME: &'static str = "activity.save_checkpoint";
    const REQUIREMENT: Requirement = Requirement::InProcess;
    const ACCESS: Access = Access::Write;
    type Output = CheckpointSaved;

    async fn execute(self, context: &mut Context) -> Result<CheckpointSaved> {
        check_code("checkpoint", &self.checkpoint_key)?;
        check_code("state", &self.lifecycle_state)?;
        let who = customer(context).await?;
        let before = match self.session_id {
            Some(id) => Some(own_session(context, who.workspace_id, id).await?),
            None => None,
        };
        let linked = before.as_ref().and_then(|session| session.tenant_id);
        if let (Some(linked), Some(wanted)) = (linked, self.tenant_id)
            && linked != wanted
        {
            return Err(Error::refused("this onboarding is linked to another tenant already"));
        }
        // Looked at again: a tenant may have been archived since it was linked.
        let tenant_id = match linked.or(self.tenant_id) {
            Some(id) => Some(own_tenant(context, &who, id).await?.id),
            None => None,
        };
        let changed = before.as_ref().is_none_or(|session| {
            session.checkpoint_key != self.checkpoint_key
                || session.lifecycle_state != self.lifecycle_state
        });
        let now = context.now();
        let last = before.as_ref().and_then(OnboardingSession::last_completed);
        let completed = self.lifecycle_state == COMPLETED;
        let completed_at = match &before {
            // It was completed then, and is not completed again.
            Some(session) if completed && !changed => session.completed_at.or(Some(now)),
            _ => completed.then_some(now),
        };
        let state = OnboardingState {
            workspace_id: who.workspace_id,
            tenant_id,
            user_id: who.id,
            checkpoint_key: &self.checkpoint_key,
            lifecycle_state: &self.lifecycle_state,
            completed_at,
            last_completed: if completed { Some(&self.checkpoint_key) } else { last },
            now,
        };
        let session_id = match &before {
            None => activity::begin_onboarding(context.tx()?, &state).await?,
            Some(session) => {
                if changed || session.tenant_id != tenant_id {
                    activity::move_onboarding(context.tx()?, session.id, &state).await?;
                }
                session.id
            }
        };
        // Of a linked tenant, and only where another checkpoint is the last completed one now.
        if tenant_id.is_some() && completed && last != Some(self.checkpoint_key.as_str()) {
            let metadata = json!({
                "checkpoint_key": self.checkpoint_key,
                "lifecycle_state": self.lifecycle_state,
                "completed_at": completed_at,
            });
            let told = Told {
                event: UsageEvent::OnboardingCheckpoint,
                workspace_id: Some(who.workspace_id),
                tenant_id,
                user_id: Some(who.id),
                subject: (SubjectType::OnboardingSession, session_id),
                metadata,
            };
            record(context, told).await?;
        }
        Ok(CheckpointSaved { session_id, changed })
    }
}

async fn own_session(
    context: &mut Context,
    workspace_id: i64,
    id: i64,
) -> Result<OnboardingSession> {
    activity::onboarding(context.tx()?, id)
        .await?
        .filter(|session| session.workspace_id == workspace_id)
        .ok_or_else(|| Error::not_found(format!("onboarding session {id}")))
}

/// Codes are words of a program, linked to a tenant or not.
fn check_code(what: &str, code: &str) -> Result<()> {
    let fine = (1..=MAX_TOKEN).contains(&code.len())
        && code.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if fine {
        return Ok(());
    }
    Err(Error::usage(format!("the {what} is not a code of lower-case letters, digits and _")))
}
