//! What an actor says with an action that has to be confirmed: the confirmation itself, a reason,
//! or that it is only a dry run.

use serde_json::{Value, json};

use super::store::audit::NewAudit;
use super::store::savepoint;
use super::{About, AuditStatus, Context, refusal};
use crate::access::Actor;
use crate::domain::confirmation::{Confirmation, Given};
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
        Self::of(Given::Yes)
    }

    /// A typed phrase.
    pub fn typed(phrase: impl Into<String>) -> Self {
        Self::of(Given::Typed(phrase.into()))
    }

    /// A dry run.
    pub fn dry_run() -> Self {
        Self { dry_run: true, ..Self::default() }
    }

    /// A look ahead for a person who is asked afterwards: checks everything, and writes nothing but
    /// a refusal, which is that of the action itself.
    pub fn look_ahead() -> Self {
        Self { given: Given::Ask, ..Self::dry_run() }
    }

    /// Whether somebody asked for a dry run; a look ahead is none.
    pub fn is_dry_run(&self) -> bool {
        self.dry_run && self.given != Given::Ask
    }

    /// What was given, without a reason.
    pub fn of(given: Given) -> Self {
        Self { given, ..Self::default() }
    }

    /// The same with a reason.
    #[must_use]
    pub fn because(mut self, reason: Option<StartReason>) -> Self {
        self.reason = reason;
        self
    }

    /// Whether it only asks what confirms the action, and that is the answer.
    pub(super) fn only_asks(&self, error: &Error) -> bool {
        self.given == Given::Ask && error.asks().is_some()
    }

    /// Refuses an action that this does not confirm; gives the reason, cleaned.
    ///
    /// # Errors
    /// As [`StartReason::new`] and [`Confirmation::allow`]; *usage* for a missing reason.
    pub(super) fn allow(
        &self,
        context: &Context,
        confirmation: &Confirmation,
    ) -> Result<Option<StartReason>> {
        let rule = confirmation.reason;
        let reason = self.reason.as_ref().map(|reason| reason.checked(rule)).transpose()?;
        if rule.is_required() && reason.is_none() && !self.dry_run {
            return Err(Error::usage("this needs a reason").hint("give --reason-code and --reason"));
        }
        // Only a schedule or a deployment has a definition.
        let given = match &self.given {
            Given::Declared if *context.permit().actor() != Actor::System => &Given::Nothing,
            given => given,
        };
        confirmation.allow(given, self.dry_run)?;
        Ok(reason)
    }

    /// Begins an attempt; gives the row that it leaves as a success, or as a refusal.
    pub(super) async fn begin(
        &self,
        context: &mut Context,
        action: &'static str,
        about: &About,
    ) -> Result<NewAudit> {
        if self.dry_run {
            context.rehearse();
        }
        savepoint::begin(context.tx()?).await?;
        let mut row = context.audit_row(action, AuditStatus::Succeeded);
        about.mark(&mut row);
        self.mark(&mut row.metadata);
        Ok(row)
    }

    /// Ends an attempt: a refusal leaves its row, a dry run nothing.
    pub(super) async fn end<T>(
        &self,
        context: &mut Context,
        row: NewAudit,
        attempt: Result<T>,
    ) -> Result<T> {
        if attempt.as_ref().is_err_and(|error| self.only_asks(error)) {
            return attempt;
        }
        refusal::settle(context, row, attempt).await
    }

    /// Writes the reason, and that it is a dry run, to what an audit row says.
    pub(super) fn mark(&self, facts: &mut Value) {
        if let Some(reason) = &self.reason {
            facts["reason"] =
                json!({ "code": reason.code, "text": sanitize::message(&reason.text) });
        }
        if self.is_dry_run() {
            facts["dry_run"] = json!(true);
        }
    }
}
