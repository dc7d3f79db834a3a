//! What simulated customers do next: mostly they start runs; they also get on with onboarding,
//! open diagnostics and ask for review packs.

use std::collections::HashMap;

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::words::CHECKPOINTS;
use crate::Result;
use crate::access::Actor;
use crate::domain::operation_type;
use crate::domain::run::Source;
use crate::domain::telemetry::SourceSurface;
use crate::ops::Ops;
use crate::ops::activity::{
    DiagnosticsSubject, OpenDiagnostics, PACK_TYPE, RequestReviewPack, SaveCheckpoint,
};
use crate::ops::runs::StartRun;

/// The input of a run that makes a review pack: the pack.
pub(super) const PACK_INPUT: &str = "pack_id";

/// What customers remember of what they did.
#[derive(Debug, Default)]
pub struct Habits {
    /// Per tenant: its onboarding session, and the checkpoint it works on.
    onboarding: HashMap<i64, (i64, usize)>,
    /// The run started last, with its tenant.
    last_run: Option<(i64, i64)>,
}

impl Habits {
    /// Lets a customer do one thing about a tenant.
    ///
    /// # Errors
    /// Whatever the operation says; nothing was done then.
    pub async fn act(
        &mut self,
        ops: &Ops,
        rng: &mut StdRng,
        user_id: i64,
        tenant_id: i64,
    ) -> Result<()> {
        let actor = Actor::Customer { user_id };
        match rng.random_range(0..100) {
            0..10 => {
                let (session_id, at) = match self.onboarding.get(&tenant_id) {
                    Some((id, at)) => (Some(*id), (*at + 1) % CHECKPOINTS.len()),
                    None => (None, 0),
                };
                let save = |session_id, state: &str| SaveCheckpoint {
                    session_id,
                    tenant_id: Some(tenant_id),
                    checkpoint_key: CHECKPOINTS[at].to_owned(),
                    lifecycle_state: state.to_owned(),
                };
                // Work on a checkpoint first; only its completion is an event.
                let begun = ops.run(&actor, save(session_id, "in_progress")).await?;
                let id = begun.session_id;
                self.onboarding.insert(tenant_id, (id, at));
                ops.run(&actor, save(Some(id), "completed")).await?;
            }
            10..28 => {
                let open = match self.last_run {
                    Some((run_id, of)) if of == tenant_id => OpenDiagnostics {
                        subject: DiagnosticsSubject::Run(run_id),
                        source_surface: SourceSurface::OperationRunViewer,
                    },
                    _ => OpenDiagnostics {
                        subject: DiagnosticsSubject::Tenant(tenant_id),
                        source_surface: SourceSurface::TenantDashboard,
                    },
                };
                ops.run(&actor, open).await?;
            }
            28..40 => {
                let request = RequestReviewPack {
                    tenant_id,
                    source_surface: SourceSurface::TenantReview,
                    include_operations: rng.random_bool(0.7),
                    include_pii: rng.random_bool(0.2),
                };
                let answer = ops.run(&actor, request).await?;
                if answer.created {
                    // The inputs name the pack that the run makes.
                    let inputs = json!({ PACK_INPUT: answer.pack_id });
                    self.start(ops, &actor, PACK_TYPE, tenant_id, inputs).await?;
                }
            }
            _ => {
                let kinds: Vec<_> = operation_type::started_by_customers().collect();
                let kind = kinds[rng.random_range(0..kinds.len())];
                self.start(ops, &actor, kind.key, tenant_id, json!({})).await?;
            }
        }
        Ok(())
    }

    async fn start(
        &mut self,
        ops: &Ops,
        actor: &Actor,
        run_type: &str,
        tenant_id: i64,
        inputs: Value,
    ) -> Result<()> {
        let start = StartRun { inputs, ..StartRun::for_tenant(run_type, tenant_id, Source::Admin) };
        let started = ops.run(actor, start).await?;
        self.last_run = Some((started.run_id, tenant_id));
        Ok(())
    }
}
