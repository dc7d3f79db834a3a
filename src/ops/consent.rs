//! What an actor says with an action that has to be confirmed: the confirmation itself, a reason,
//! or that it is only a rehearsal.

use serde_json::{Value, json};

use super::store::audit::NewAudit;
use super::{AuditStatus, Context};
use crate::domain::confirmation::{Confirmation, Confirmed, Given};
use crate::domain::sanitize;
use crate::domain::start_reason::StartReason;
use crate::{Error, Result};

/// What an actor says with an action.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Consent {
    /// What confirms it.
    pub given: Given,
    /// Why, as it was typed.
    pub reason: Option<StartReason>,
    /// Checks everything, and writes nothing.
    pub dry_run: bool,
}

impl Consent {
    /// `y`, or `--yes`.
    pub fn yes() -> Self {
        Self { given: Given::Yes, ..Self::default() }
    }

    /// A typed phrase.
    pub fn typed(phrase: impl Into<String>) -> Self {
        Self { given: Given::Typed(phrase.into()), ..Self::default() }
    }

    /// A rehearsal.
    pub fn rehearsal() -> Self {
        Self { dry_run: true, ..Self::default() }
    }

    /// Lets an action go on that this confirms, and gives the reason, cleaned.
    pub(super) fn allow(
        &self,
        confirmation: &Confirmation,
    ) -> Result<(Confirmed, Option<StartReason>)> {
        let rule = confirmation.reason;
        let reason = self.reason.as_ref().map(|reason| reason.checked(rule)).transpose()?;
        if rule.is_required() && reason.is_none() && !self.dry_run {
            return Err(missing_reason());
        }
        Ok((confirmation.allow(&self.given, self.dry_run)?, reason))
    }

    /// A row about an attempt, which says what was said with it. It becomes one of a success or of
    /// a refusal.
    pub(super) fn row(&self, context: &Context, action: &'static str) -> NewAudit {
        let mut row = context.audit_row(action, AuditStatus::Succeeded);
        self.mark(&mut row.metadata);
        row
    }

    /// Writes the reason, and that it is a rehearsal, to what an audit row says.
    pub(super) fn mark(&self, facts: &mut Value) {
        if let Some(reason) = &self.reason {
            facts["reason"] =
                json!({ "code": reason.code, "text": sanitize::message(&reason.text) });
        }
        if self.dry_run {
            facts["dry_run"] = json!(true);
        }
    }
}

/// The refusal of work on more than one tenant that nobody gave a reason for.
pub(super) fn missing_reason() -> Error {
    Error::usage("more than one tenant needs a reason").hint("give --reason-code and --reason")
}
