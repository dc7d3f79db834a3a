//! Denied decisions: each leaves one row in the audit log, whatever was read or asked first.

use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::auth::Session;
use super::password::{MAX_NAME, normalise_name};
use super::store::audit::NewAudit;
use super::store::database::Begin;
use super::store::grants::Use;
use super::store::{self, Tx};
use super::{Access, Consent, Operation, Ops, context};
use crate::access::{Actor, Requirement};
use crate::domain::safe_text::quoted;
use crate::{Error, ErrorKind, Result};

/// What a decision is about, and that it was a dry run, as each of its audit rows says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    target: Option<(&'static str, String)>,
    dry_run: bool,
    rehearses: bool,
}

impl About {
    /// One thing of a kind, `platform_user`.
    pub fn of(kind: &'static str, id: impl fmt::Display) -> Self {
        let id = quoted(&id.to_string()).trim_matches('"').to_owned();
        Self { target: Some((kind, id)), ..Self::default() }
    }

    /// A run.
    pub fn run(id: i64) -> Self {
        Self::of("operation_run", id)
    }

    /// A platform user, by name.
    pub fn user(name: &str) -> Self {
        let name: String = normalise_name(name).chars().take(MAX_NAME).collect();
        Self::of("platform_user", name)
    }

    /// Writes it to a row.
    pub(super) fn mark(&self, row: &mut NewAudit) {
        if let Some((kind, id)) = &self.target {
            row.target_type = Some(kind);
            row.target_id = Some(id.clone());
        }
        if self.dry_run {
            row.metadata["dry_run"] = json!(true);
        }
    }

    /// The same, as it was asked for.
    #[must_use]
    pub fn with(self, consent: &Consent) -> Self {
        Self { rehearses: consent.dry_run, ..self.dry_run(consent.is_dry_run()) }
    }

    /// Whether what is asked for is to change nothing, so that it only reads.
    pub(super) fn rehearses(&self) -> bool {
        self.rehearses
    }

    /// The same, for what would only be shown.
    #[must_use]
    pub fn dry_run(self, dry_run: bool) -> Self {
        Self { dry_run, ..self }
    }
}

impl Ops {
    /// Runs an operation: check, execute, commit; a refused write and a denied look are audited.
    ///
    /// # Errors
    /// *Not logged in* for an ended session, *forbidden* with the capability named, and
    /// whatever the operation says.
    pub async fn run<O: Operation>(&self, actor: &Actor, operation: O) -> Result<O::Output> {
        let about = operation.about();
        let done = self.ask(actor, operation).await;
        if let Err(error) = &done
            && O::ACCESS == Access::Read
            && error.kind() == ErrorKind::Forbidden
            && let Err(lost) = Box::pin(self.audit_denial::<O>(actor, &about, error)).await
        {
            // It stays denied, also where the database takes no writes.
            tracing::warn!(action = O::NAME, %lost, "a denied look could not be audited");
        }
        done
    }

    /// Checks that a session, as it was just read, has the capabilities for `D`, before a command reads
    /// or asks for anything else. Without them the database is asked, and the denial is audited as one
    /// of `D`.
    ///
    /// # Errors
    /// As [`Ops::run`] of `D` at its start.
    pub async fn allow<D: Operation>(&self, session: &Session, about: About) -> Result<()> {
        if session.may::<D>() {
            return Ok(());
        }
        let permitted = self.permit::<D>(&session.actor, &about).await.map(drop);
        self.explaining(permitted, Use::Reads).await
    }

    /// Runs `look`, which shows what `D` would do: a denial of either is audited as one of `D`.
    ///
    /// # Errors
    /// As [`Ops::allow`] of `D` and [`Ops::run`] of `look`.
    pub async fn prepare<D: Operation, O: Operation>(
        &self,
        actor: &Actor,
        about: About,
        look: O,
    ) -> Result<O::Output> {
        let permitted = self.permit::<D>(actor, &about).await.map(drop);
        self.explaining(permitted, Use::Reads).await?;
        let looked = self.ask(actor, look).await;
        if let Err(error) = &looked
            && O::ACCESS == Access::Read
        {
            Box::pin(self.audit_denial::<D>(actor, &about, error)).await?;
        }
        looked
    }

    /// Audits a decision that was denied after the door, where its own transaction has not.
    pub(super) async fn audit_denial<O: Operation>(
        &self,
        actor: &Actor,
        about: &About,
        error: &Error,
    ) -> Result<()> {
        use ErrorKind as K;
        if matches!(actor, Actor::Platform(_))
            && matches!(error.kind(), K::Forbidden | K::NotLoggedIn | K::NotFound)
        {
            let (tx, _) = self.inner.db.begin(&Begin::WRITE, &self.inner.clock).await?;
            leave_trace::<O>(tx, actor, about, error, self.inner.clock.now()).await?;
        }
        Ok(())
    }
}

/// Audits a change that was denied: the actor lacks a capability, their session has ended, or
/// what they named lies outside of their restricted view. Other errors leave nothing behind.
pub(super) async fn leave_trace<O: Operation>(
    mut tx: Tx,
    actor: &Actor,
    about: &About,
    error: &Error,
    now: DateTime<Utc>,
) -> Result<()> {
    // What asks for no capability is no decision: a sign of life, a logout.
    let decides = matches!(O::REQUIREMENT, Requirement::All(_) | Requirement::Any(_));
    let denied = match (error.kind(), actor) {
        (ErrorKind::Forbidden, _) => true,
        (ErrorKind::NotLoggedIn, Actor::Platform(_)) => decides,
        // What a restricted view hides and what does not exist look the same here, too.
        (ErrorKind::NotFound, Actor::Platform(session)) if decides => {
            let row = store::sessions::by_id(&mut tx, session.id()).await?;
            row.is_some_and(|row| row.restricted)
        }
        _ => false,
    };
    if !denied {
        return tx.rollback().await;
    }
    let mut row = context::denial(&mut tx, actor, O::NAME, error, now).await?;
    about.mark(&mut row);
    store::audit::insert(&mut tx, &row).await?;
    store::commit::commit_record(tx).await
}
