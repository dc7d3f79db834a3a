//! What the wizard asks of the service: counting, starting, and writing a plan into a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::export;
use super::msg::{Answer, Effect, Request, Slot};
use crate::access::Actor;
use crate::domain::rollout::Rollout;
use crate::domain::run::Source;
use crate::ops::plans::{
    Counted, ListPlanTargets, ListScopeTenants, ListScopeWorkspaces, Plan, PlanTargets, Preflight,
    ScopeTenants, ScopeWorkspaces, targets_csv,
};
use crate::ops::runbooks::StartRunbook;
use crate::ops::runs::{RunScope, Started};
use crate::ops::{Consent, Ops};
use crate::{Error, ErrorKind, Result};

/// The progress of a preflight is told at most this often.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// What the wizard asks.
#[derive(Debug, Clone, PartialEq)]
pub enum WizardRequest {
    /// Tenants that a scope can be chosen from.
    Tenants(ListScopeTenants),
    /// Workspaces that a scope can be chosen from.
    Workspaces(ListScopeWorkspaces),
    /// A plan.
    Preflight(PreflightRequest),
    /// The targets of a plan.
    Targets(ListPlanTargets),
    /// A start of a plan.
    Start(StartRequest),
    /// A plan in a file.
    Export(ExportRequest),
}

/// What came of it, with what was asked.
#[derive(Debug)]
pub enum WizardAnswer {
    /// Tenants that a scope can be chosen from.
    Tenants(ListScopeTenants, Result<ScopeTenants>),
    /// Workspaces that a scope can be chosen from.
    Workspaces(ListScopeWorkspaces, Result<ScopeWorkspaces>),
    /// How far a preflight is; its plan is still to come.
    Counted(Counted),
    /// A plan.
    Plan(PreflightRequest, Result<Plan>),
    /// The targets of a plan.
    Targets(ListPlanTargets, Result<PlanTargets>),
    /// A start of a plan.
    Started(StartRequest, Result<Started>),
    /// How many targets of a plan were written into a file.
    Exported(ExportRequest, Result<usize>),
}

impl WizardRequest {
    /// The effect that asks it.
    pub fn ask(self) -> Effect {
        let slot = match self {
            Self::Tenants(_) | Self::Workspaces(_) => Slot::ScopeChoices,
            Self::Preflight(_) => Slot::Preflight,
            Self::Targets(_) => Slot::PlanTargets,
            Self::Start(_) => Slot::StartRunbook,
            Self::Export(_) => Slot::Export,
        };
        Effect::Ask(slot, Request::Wizard(Box::new(self)))
    }

    /// Asks it, as the person who is logged in; `told` is called with how far a preflight is.
    pub async fn answer(
        self,
        ops: &Ops,
        actor: &Actor,
        told: &(dyn Fn(Counted) + Send + Sync),
    ) -> WizardAnswer {
        match self {
            Self::Tenants(asked) => {
                let answer = ops.run(actor, asked.clone()).await;
                WizardAnswer::Tenants(asked, answer)
            }
            Self::Workspaces(asked) => {
                let answer = ops.run(actor, asked.clone()).await;
                WizardAnswer::Workspaces(asked, answer)
            }
            Self::Preflight(asked) => {
                let plan = asked.send(ops, actor, told).await;
                WizardAnswer::Plan(asked, plan)
            }
            Self::Targets(asked) => {
                let answer = ops.run(actor, asked.clone()).await;
                WizardAnswer::Targets(asked, answer)
            }
            Self::Start(asked) => {
                let started = asked.send(ops, actor).await;
                WizardAnswer::Started(asked, started)
            }
            Self::Export(asked) => {
                let written = asked.send(ops, actor).await;
                WizardAnswer::Exported(asked, written)
            }
        }
    }
}

impl WizardAnswer {
    /// What went wrong with the service, if something did.
    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::Tenants(_, answer) => answer.as_ref().err(),
            Self::Workspaces(_, answer) => answer.as_ref().err(),
            Self::Plan(_, answer) => answer.as_ref().err(),
            Self::Targets(_, answer) => answer.as_ref().err(),
            Self::Started(_, answer) => answer.as_ref().err(),
            // A disk that is full says nothing about the database.
            Self::Exported(_, answer) => {
                answer.as_ref().err().filter(|error| error.kind() != ErrorKind::Failed)
            }
            Self::Counted(_) => None,
        }
    }
}

impl Answer {
    /// Whether it only tells how far the request is that will be answered.
    pub fn is_progress(&self) -> bool {
        matches!(self, Self::Wizard(answer) if matches!(**answer, WizardAnswer::Counted(_)))
    }
}

/// A preflight to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct PreflightRequest {
    /// The runbook's key.
    pub key: String,
    /// What it would be aimed at.
    pub scope: RunScope,
    /// Its inputs.
    pub inputs: Value,
}

impl PreflightRequest {
    /// Makes the plan; `told` is called with how far it is, now and then.
    pub async fn send(
        &self,
        ops: &Ops,
        actor: &Actor,
        told: &(dyn Fn(Counted) + Send + Sync),
    ) -> Result<Plan> {
        let (progress, mut counted) = watch::channel(Counted::default());
        let preflight = Preflight {
            key: self.key.clone(),
            scope: self.scope.clone(),
            inputs: self.inputs.clone(),
            progress: Some(Arc::new(progress)),
        };
        let mut work = std::pin::pin!(ops.run(actor, preflight));
        loop {
            tokio::select! {
                done = &mut work => return done,
                Ok(()) = counted.changed() => told(*counted.borrow_and_update()),
            }
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(TELL_EVERY) => {}
            }
        }
    }
}

/// A start of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct StartRequest {
    /// The runbook's key.
    pub key: String,
    /// The plan.
    pub plan_id: i64,
    /// The plan's hash as it was shown.
    pub plan_hash: String,
    /// What was chosen.
    pub scope: RunScope,
    /// How the targets are worked through.
    pub rollout: Rollout,
    /// What confirms it, and why.
    pub consent: Consent,
    /// The same for every attempt of one confirmation: a lost answer does not start two runs.
    pub request_id: String,
    /// Whether it was chosen that the run may wait for a worker.
    pub wait_for_worker: bool,
}

impl StartRequest {
    /// Sends it, as the person who is logged in.
    pub async fn send(&self, ops: &Ops, actor: &Actor) -> Result<Started> {
        let start = StartRunbook {
            plan_hash: Some(self.plan_hash.clone()),
            scope: Some(self.scope.clone()),
            rollout: self.rollout,
            consent: self.consent.clone(),
            request_id: Some(self.request_id.clone()),
            wait_for_worker: self.wait_for_worker,
            ..StartRunbook::of_plan(&self.key, self.plan_id, Source::Console)
        };
        ops.run(actor, start).await
    }
}

/// A plan to be written into a file.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportRequest {
    /// The plan.
    pub plan: Plan,
    /// The file.
    pub file: PathBuf,
}

impl ExportRequest {
    /// Writes all of the plan's targets as comma-separated values; gives how many.
    ///
    /// # Errors
    /// What reading the targets or writing the file says.
    pub async fn send(&self, ops: &Ops, actor: &Actor) -> Result<usize> {
        let targets = ops.run(actor, ListPlanTargets::all(self.plan.id)).await?.targets;
        let text = targets_csv(&targets);
        export::write(self.file.clone(), text).await?;
        Ok(targets.len())
    }
}

/// Where an export of a plan made now goes.
pub fn export_file(dir: &Path, plan: &Plan, now: chrono::DateTime<chrono::Utc>) -> PathBuf {
    export::file(dir, &format!("plan-{}", plan.id), "csv", now)
}
