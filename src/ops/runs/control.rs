//! What people ask of a run: cancel, close by force, pause, resume. A decision that cannot be
//! audited does not happen.

use serde_json::json;

use super::finish;
use super::step::Asked;
use crate::access::{Requirement, ViewScope};
use crate::domain::capability::Capability;
use crate::domain::confirmation::{Action, Confirmation};
use crate::domain::operation_type;
use crate::domain::rollout::StopReason;
use crate::domain::run::{Run, RunStatus};
use crate::ops::retention::no_run;
use crate::ops::store::lifecycle::{self, Held};
use crate::ops::store::run_write::unwritten;
use crate::ops::store::{Tx, requests, run_read};
use crate::ops::workers::take_back;
use crate::ops::{About, Access, AuditStatus, Consent, Context, Operation};
use crate::{Error, Result};

const MANAGE: Requirement = Requirement::All(&[Capability::OpsView, Capability::OpsManage]);

/// What became of a request. Never more than is true: a worker may still be at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controlled {
    /// It happened at once.
    Done,
    /// The worker that holds the run is asked; what it does shows on the run.
    Requested,
    /// It was asked before.
    AlreadyRequested,
}

/// Notes that the holder of a run has seen what is asked of it.
pub(in crate::ops) async fn acknowledge(
    tx: &mut Tx,
    run_id: i64,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<Asked> {
    let rows = requests::of_run(tx, run_id).await?;
    if rows.iter().any(|row| row.acknowledged_at.is_none()) {
        requests::acknowledge(tx, run_id, now).await?;
    }
    let has = |kind: &str| rows.iter().any(|row| row.kind == kind);
    Ok(Asked { cancel: has("cancel"), pause: has("pause") })
}

/// Copies an acknowledged cancel to the run's own row, where lists look.
pub(in crate::ops) async fn show_cancel(tx: &mut Tx, run_id: i64) -> Result<()> {
    requests::show_cancel(tx, run_id).await
}

/// What can be asked of one run: who may, how it is confirmed, and the row that it leaves. What it
/// does is its `attempt`.
macro_rules! controls {
    ($($(#[$doc:meta])+ $name:ident = $action:literal;)+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            /// Run.
            pub run_id: i64,
            /// What confirms it.
            pub consent: Consent,
        }

        impl Operation for $name {
            const NAME: &'static str = $action;
            const REQUIREMENT: Requirement = MANAGE;
            const ACCESS: Access = Access::Write;
            type Output = Controlled;

            fn run_id(&self) -> Option<i64> {
                Some(self.run_id)
            }

            fn about(&self) -> About {
                About::run(self.run_id).with(&self.consent)
            }

            async fn execute(self, context: &mut Context) -> Result<Controlled> {
                let row = self.consent.begin(context, Self::NAME, &self.about()).await?;
                let attempt = self.attempt(context).await;
                self.consent.end(context, row, attempt).await
            }
        }
    )+};
}

controls! {
    /// Cancels a run: at once if nobody holds it or its lease has expired, else its worker is asked
    /// to stop.
    CancelRun = "runs.cancel";
    /// Pauses a run: at once if nobody holds it or its lease has expired, else once the steps in
    /// flight are done.
    PauseRun = "runs.pause";
    /// Lets a paused run go on, or takes a pause back that its worker has not made yet.
    ResumeRun = "runs.resume";
    /// Closes a run by force, whatever its worker does: the fence grows, so that nothing the
    /// worker still tries has an effect.
    CloseRun = "runs.close";
}

impl CancelRun {
    async fn attempt(&self, context: &mut Context) -> Result<Controlled> {
        let run = not_ended(context, self.run_id).await?;
        let action = Action::Cancel { run_id: run.id, targets: run.target_count };
        self.consent.allow(context, &Confirmation::of(&action)?)?;
        if self.consent.dry_run {
            return would_ask(context, &run, "cancel").await;
        }
        audit_decision(context, &run, Self::NAME, &self.consent).await?;
        self.write(context).await.map_err(unwritten)
    }

    async fn write(&self, context: &mut Context) -> Result<Controlled> {
        match ask(context, self.run_id, "cancel").await? {
            Ask::Requested(new) => Ok(requested(new)),
            Ask::Free(held) => {
                finish::conclude(context, &held, Some(StopReason::Cancelled)).await?;
                Ok(Controlled::Done)
            }
        }
    }
}

impl PauseRun {
    async fn attempt(&self, context: &mut Context) -> Result<Controlled> {
        let run = not_ended(context, self.run_id).await?;
        if run.paused_at.is_some() {
            return Ok(Controlled::AlreadyRequested);
        }
        self.consent.allow(context, &Confirmation::of(&Action::Pause(run.id))?)?;
        if self.consent.dry_run {
            return would_ask(context, &run, "pause").await;
        }
        audit_decision(context, &run, Self::NAME, &self.consent).await?;
        self.write(context).await.map_err(unwritten)
    }

    async fn write(&self, context: &mut Context) -> Result<Controlled> {
        let now = context.now();
        match ask(context, self.run_id, "pause").await? {
            Ask::Requested(new) => Ok(requested(new)),
            Ask::Free(held) => {
                let tx = context.tx()?;
                if held.status == "queued" {
                    lifecycle::pause(tx, held.id, now).await?;
                } else {
                    take_back(tx, held.id, held.fence, true, now).await?;
                }
                requests::withdraw(tx, held.id, "pause").await?;
                Ok(Controlled::Done)
            }
        }
    }
}

impl ResumeRun {
    async fn attempt(&self, context: &mut Context) -> Result<Controlled> {
        let run = not_ended(context, self.run_id).await?;
        let asked = requests::of_run(context.tx()?, run.id).await?;
        if run.paused_at.is_none() && !asked.iter().any(|row| row.kind == "pause") {
            return Err(self.not_paused());
        }
        self.consent.allow(context, &Confirmation::of(&Action::Resume(run.id))?)?;
        if self.consent.dry_run {
            return Ok(Controlled::Done);
        }
        audit_decision(context, &run, Self::NAME, &self.consent).await?;
        self.write(context).await.map_err(unwritten)
    }

    async fn write(&self, context: &mut Context) -> Result<Controlled> {
        let now = context.now();
        let tx = context.tx()?;
        let withdrawn = requests::withdraw(tx, self.run_id, "pause").await?;
        let held = lifecycle::hold(tx, self.run_id).await?;
        let resumed = match held {
            Some(held) if held.status == "queued" => lifecycle::resume(tx, held.id, now).await?,
            // It ended while its pause was being taken back.
            Some(held) if held.status == "completed" => return Err(ended(self.run_id)),
            _ => false,
        };
        if withdrawn || resumed {
            return Ok(Controlled::Done);
        }
        Err(self.not_paused())
    }

    fn not_paused(&self) -> Error {
        Error::refused(format!("run {} is not paused", self.run_id))
    }
}

impl CloseRun {
    async fn attempt(&self, context: &mut Context) -> Result<Controlled> {
        let run = not_ended(context, self.run_id).await?;
        self.consent.allow(context, &Confirmation::of(&Action::Close(run.id))?)?;
        if self.consent.dry_run {
            return Ok(Controlled::Done);
        }
        audit_decision(context, &run, Self::NAME, &self.consent).await?;
        self.write(context).await.map_err(unwritten)
    }

    async fn write(&self, context: &mut Context) -> Result<Controlled> {
        let tx = context.tx()?;
        let held = active(tx, self.run_id).await?;
        let held = Held { fence: lifecycle::raise_fence(tx, held.id).await?, ..held };
        finish::conclude(context, &held, Some(StopReason::Closed)).await?;
        Ok(Controlled::Done)
    }
}

/// A run within the actor's view that has not ended. One of an unknown type is not changed: only
/// a newer version knows what that would do.
async fn not_ended(context: &mut Context, run_id: i64) -> Result<Run> {
    let run = visible(context, run_id).await?;
    operation_type::require(&run.run_type)?;
    if run.status == RunStatus::Completed { Err(ended(run_id)) } else { Ok(run) }
}

enum Ask {
    /// The run is locked and no worker holds it: it is queued, or its worker is lost and can write
    /// nothing more.
    Free(Held),
    /// A worker holds it and was asked; false: it had been asked before.
    Requested(bool),
}

fn requested(new: bool) -> Controlled {
    if new { Controlled::Requested } else { Controlled::AlreadyRequested }
}

/// What asking for `kind` would come to. A dry run writes nothing, so it needs no room in the database.
async fn would_ask(context: &mut Context, run: &Run, kind: &str) -> Result<Controlled> {
    let tx = context.tx()?;
    if run.status == RunStatus::Queued || lifecycle::is_lost(tx, run.id).await? {
        return Ok(Controlled::Done);
    }
    let asked = requests::of_run(tx, run.id).await?;
    Ok(requested(!asked.iter().any(|row| row.kind == kind)))
}

/// Asks the worker that holds a run, or locks a run that no worker holds. A run whose lease has
/// expired is taken from its worker, as any worker could take it.
async fn ask(context: &mut Context, run_id: i64, kind: &str) -> Result<Ask> {
    let now = context.now();
    let holder = context.permit().holder();
    let by = holder.map(|holder| (holder.platform_user_id, holder.username.clone()));
    let tx = context.tx()?;
    // A run changes hands while one looks: queued, claimed, let go of. Each turn asks under
    // what it saw, and looks again with the run or its request locked.
    for _ in 0..5 {
        match lifecycle::status(tx, run_id).await?.as_str() {
            "queued" => {
                let held = active(tx, run_id).await?;
                if held.status == "queued" {
                    return Ok(Ask::Free(held));
                }
            }
            "running" if lifecycle::is_lost(tx, run_id).await? => {
                let held = active(tx, run_id).await?;
                if lifecycle::is_lost(tx, run_id).await? {
                    let fence = lifecycle::raise_fence(tx, run_id).await?;
                    return Ok(Ask::Free(Held { fence, ..held }));
                }
            }
            "running" => {
                let by = by.as_ref().map(|(id, name)| (*id, name.as_str()));
                let new = requests::insert(tx, run_id, kind, by, now).await?;
                // The request's foreign key holds the run against being let go of.
                if lifecycle::status(tx, run_id).await? == "running" {
                    return Ok(Ask::Requested(new));
                }
                requests::withdraw(tx, run_id, kind).await?;
            }
            _ => return Err(ended(run_id)),
        }
    }
    Err(Error::new(crate::ErrorKind::TimedOut, "the run changes hands too quickly")
        .hint("try again"))
}

/// A run that has not ended, locked.
async fn active(tx: &mut Tx, run_id: i64) -> Result<Held> {
    let held = lifecycle::hold(tx, run_id)
        .await?
        .ok_or_else(|| Error::not_found(format!("run {run_id}")))?;
    if held.status == "completed" {
        return Err(ended(run_id));
    }
    Ok(held)
}

fn ended(run_id: i64) -> Error {
    Error::refused(format!("run {run_id} has already ended"))
        .hint(format!("see how: tenantpilot runs show {run_id}"))
}

/// A run within the actor's view.
pub(super) async fn visible(context: &mut Context, run_id: i64) -> Result<Run> {
    let scope = context.permit().scope();
    found(context.tx()?, run_id, scope).await
}

/// A run within a view.
pub(in crate::ops) async fn found(tx: &mut Tx, run_id: i64, view: ViewScope) -> Result<Run> {
    match run_read::by_id(tx, run_id, view).await? {
        Some(run) => Ok(run),
        None => Err(no_run(tx, run_id, view).await?),
    }
}

/// Writes down who decided what about a run, and how it stood.
async fn audit_decision(
    context: &mut Context,
    run: &Run,
    action: &'static str,
    consent: &Consent,
) -> Result<()> {
    let mut row = context.audit_row(action, AuditStatus::Succeeded);
    row.run_id = Some(run.id);
    row.tenant_id = run.tenant_id;
    row.workspace_id = run.workspace_id;
    row.before = Some(json!({ "status": run.status.as_str(), "paused": run.paused_at.is_some() }));
    row.metadata = json!({ "type": run.run_type });
    consent.mark(&mut row.metadata);
    context.audit(&row).await
}
