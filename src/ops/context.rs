//! What an operation works with: its permit, its transaction, the clock, the audit log.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::store::database::Begin;
use super::store::sessions::SessionRow;
use super::store::{self, Db, Tx, audit::NewAudit};
use super::{AuditStatus, Operation, Ops, OpsSettings};
use crate::access::{Actor, Permit, Requirement, ViewScope};
use crate::domain::capability::Capability;
use crate::{Error, Result};

/// The context of one execution. Only [`Ops::run`] makes one, after the check.
pub struct Context {
    ops: Ops,
    permit: Permit,
    tx: Option<Tx>,
    /// The reading transaction of a stepwise operation's check, still open.
    first: Option<Tx>,
    keep_on_error: bool,
    refusal_audited: bool,
    undone: bool,
    /// Whether it is a dry run.
    rehearses: bool,
    /// What a dry run was refused for, written down once its reading is over.
    refusals: Vec<NewAudit>,
    /// The actor's session, as the check found it.
    arrived: Option<SessionRow>,
    /// How many times the usual limits the operation's statements have.
    patience: u32,
}

/// Reads in an operation's transaction, for a runbook that counts: with others at once where a
/// server is asked.
pub struct Reader<'a> {
    pub(in crate::ops) tx: &'a mut Tx,
}

impl Context {
    pub(super) fn of<O: Operation>(
        ops: Ops,
        (permit, arrived): (Permit, Option<SessionRow>),
        tx: Option<Tx>,
    ) -> Self {
        Self {
            ops,
            permit,
            tx,
            first: None,
            keep_on_error: false,
            refusal_audited: false,
            undone: false,
            rehearses: false,
            refusals: Vec::new(),
            arrived,
            patience: O::PATIENCE,
        }
    }

    /// The actor's session, as the check found it; none for an actor without one.
    pub(super) fn arrived(&self) -> Option<&SessionRow> {
        self.arrived.as_ref()
    }

    /// Keeps the reading transaction of the check for what reads first.
    pub(super) fn keep_first(&mut self, tx: Option<Tx>) {
        self.first = tx;
    }

    async fn drop_first(&mut self) -> Result<()> {
        match self.first.take() {
            Some(tx) => tx.rollback().await,
            None => Ok(()),
        }
    }

    /// Begins a transaction of a stepwise operation.
    pub(super) async fn begin(&mut self, writes: bool) -> Result<Tx> {
        self.drop_first().await?;
        let schema = writes && *self.permit.actor() != Actor::System;
        let begin = Begin { writes, schema, patience: self.patience, ..Begin::READ };
        Ok(self.ops.inner.db.begin(&begin, &self.ops.inner.clock).await?.0)
    }

    pub(super) fn into_tx(self) -> Option<Tx> {
        self.tx.or(self.first)
    }

    pub(super) fn keeps_on_error(&self) -> bool {
        self.keep_on_error
    }

    /// Commits what was written even though the operation gives an error: a refusal that
    /// leaves its audit row.
    pub(super) fn keep_on_error(&mut self) {
        self.keep_on_error = true;
    }

    /// Whether a stepwise operation has audited its own refusal.
    pub(super) fn is_refusal_audited(&self) -> bool {
        self.refusal_audited
    }

    /// Notes that a stepwise operation has audited its own refusal past [`Context::audit`].
    pub(super) fn refusal_audited(&mut self) {
        self.refusal_audited = true;
    }

    pub(super) fn is_undone(&self) -> bool {
        self.undone
    }

    /// Notes that it is a dry run, which decides nothing: only what is denied or refused is audited.
    pub(super) fn rehearse(&mut self) {
        self.rehearses = true;
    }

    /// Whether it is a dry run, whose transaction only reads.
    pub(super) fn rehearses(&self) -> bool {
        self.rehearses
    }

    /// Undoes what was written even though the operation gives an answer.
    pub(super) fn undo(&mut self) {
        self.undone = true;
    }

    /// The rows of what a dry run was refused for.
    pub(super) fn take_refusals(&mut self) -> Vec<NewAudit> {
        std::mem::take(&mut self.refusals)
    }

    /// Begins a transaction of a stepwise operation, and checks the actor again in it: what is
    /// written later stands on what this check saw.
    pub(super) async fn begin_checked(
        &mut self,
        requirement: &Requirement,
        writes: bool,
    ) -> Result<()> {
        if let Some(first) = self.first.take_if(|_| !writes) {
            self.tx = Some(first);
            return Ok(());
        }
        self.drop_first().await?;
        let clock = &self.ops.inner.clock;
        let actor = self.permit.actor();
        let session = super::running::session_of(actor);
        let schema = writes && *actor != Actor::System;
        let begin = Begin { writes, schema, patience: self.patience, session, ..Begin::READ };
        let (tx, arrived) = self.ops.inner.db.begin(&begin, clock).await?;
        self.permit = super::authorise(actor, arrived.as_ref(), requirement, clock)?;
        self.arrived = arrived;
        self.tx = Some(tx);
        Ok(())
    }

    /// Ends the transaction of a stepwise operation, and keeps or undoes what was written.
    pub(super) async fn end(&mut self, keep: bool) -> Result<()> {
        match self.tx.take() {
            Some(tx) if keep => tx.commit().await,
            Some(tx) => tx.rollback().await,
            None => Ok(()),
        }
    }

    /// Ends the transaction of a stepwise operation that refuses, and keeps its record of that.
    pub(super) async fn end_refused(&mut self, keep: bool) -> Result<()> {
        match self.tx.take() {
            Some(tx) if keep => store::commit::commit_record(tx).await,
            Some(tx) => tx.rollback().await,
            None => Ok(()),
        }
    }

    /// Commits, and goes on after a pause in a transaction of its own. Nothing is held in the
    /// meantime.
    pub(super) async fn commit_and_begin(&mut self, pause: Duration) -> Result<()> {
        if let Some(tx) = self.tx.take() {
            tx.commit().await?;
        }
        tokio::time::sleep(pause).await;
        self.tx = Some(self.begin(true).await?);
        Ok(())
    }

    /// The proof of the check.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The current time, by the database's clock.
    pub fn now(&self) -> DateTime<Utc> {
        self.ops.inner.clock.now()
    }

    pub(super) fn settings(&self) -> &OpsSettings {
        &self.ops.inner.settings
    }

    pub(super) fn ops(&self) -> &Ops {
        &self.ops
    }

    pub(super) fn db(&self) -> &Db {
        &self.ops.inner.db
    }

    /// The operation's transaction.
    pub(super) fn tx(&mut self) -> Result<&mut Tx> {
        self.tx
            .as_mut()
            .ok_or_else(|| Error::failed("this operation has no transaction of its own"))
    }

    pub(super) fn reader(&mut self) -> Result<Reader<'_>> {
        Ok(Reader { tx: self.tx()? })
    }

    /// Refuses an actor who lacks a capability that only the operation's arguments tell; the
    /// refusal is audited, as the one at the door would be.
    pub(super) async fn require(
        &mut self,
        capability: Capability,
        action: &'static str,
    ) -> Result<()> {
        if self.permit.has(capability) {
            return Ok(());
        }
        let error = Error::forbidden(capability);
        let mut row = self.audit_row(action, AuditStatus::Denied);
        row.metadata = json!({ "answer": error.message() });
        self.audit(&row).await?;
        self.keep_on_error();
        Err(error)
    }

    /// Refuses an actor whose view is restricted: what `action` changes holds for every
    /// workspace. The refusal is audited as denied.
    pub(super) async fn require_unrestricted(&mut self, action: &'static str) -> Result<()> {
        if self.permit.scope() == ViewScope::All {
            return Ok(());
        }
        let error = Error::restricted();
        let mut row = self.audit_row(action, AuditStatus::Denied);
        row.metadata = json!({ "answer": error.message() });
        self.audit(&row).await?;
        self.keep_on_error();
        Err(error)
    }

    /// A row about this actor that says `action` ended as `status`.
    pub(super) fn audit_row(&self, action: &'static str, status: AuditStatus) -> NewAudit {
        let mut row = blank(self.permit.actor(), action, status, self.now());
        if let Some(holder) = self.permit.holder() {
            row.actor_id = Some(holder.platform_user_id);
            row.actor_name = Some(holder.username.clone());
        }
        row.break_glass = self.permit.break_glass().is_some();
        row
    }

    /// Writes an audit row in the operation's transaction: what cannot be audited does not
    /// happen.
    pub(super) async fn audit(&mut self, row: &NewAudit) -> Result<()> {
        if !self.rehearses {
            store::audit::insert(self.tx()?, row).await?;
        } else if row.status != AuditStatus::Succeeded {
            self.refusals.push(row.clone());
        }
        self.refusal_audited |= matches!(row.status, AuditStatus::Denied | AuditStatus::Refused);
        Ok(())
    }
}

/// A row about `actor`, without their name.
pub(super) fn blank(
    actor: &Actor,
    action: &'static str,
    status: AuditStatus,
    occurred_at: DateTime<Utc>,
) -> NewAudit {
    let (plane, actor_kind, actor_id, origin) = match actor {
        Actor::Platform(_) => ("system", "platform_user", None, None),
        Actor::System => ("system", "system", None, None),
        Actor::Customer { user_id } => ("admin", "customer", Some(*user_id), None),
        Actor::Anonymous { origin } => ("system", "anonymous", None, Some(origin.clone())),
    };
    NewAudit {
        plane,
        actor_kind,
        actor_id,
        actor_name: None,
        origin,
        action,
        status,
        workspace_id: None,
        tenant_id: None,
        run_id: None,
        target_type: None,
        target_id: None,
        before: None,
        after: None,
        metadata: Value::Object(serde_json::Map::new()),
        break_glass: false,
        occurred_at,
    }
}

/// The row of a denied change.
pub(super) async fn denial(
    tx: &mut Tx,
    actor: &Actor,
    action: &'static str,
    error: &Error,
    now: DateTime<Utc>,
) -> Result<NewAudit> {
    let mut row = blank(actor, action, AuditStatus::Denied, now);
    if let Actor::Platform(session) = actor
        && let Some(found) = store::sessions::by_id(tx, session.id()).await?
    {
        row.actor_id = Some(found.platform_user_id);
        row.actor_name = Some(found.username);
        row.break_glass = found.grant.active(now)?.is_some();
    }
    row.metadata = json!({ "answer": error.message() });
    Ok(row)
}
