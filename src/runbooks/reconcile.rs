//! `operations.reconcile_stale`: closes runs that can never finish.

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::{Affected, Progress, Runbook, Step, StepError};
use crate::Result;
use crate::domain::capability::Capability;
use crate::domain::run::ScopeKind;
use crate::ops::{Context, Reader, reconcile};

/// At most this many runs are closed in one transaction: each takes a handful of statements.
const MAX_CHUNK: i64 = 100;

/// The runbook.
#[derive(Debug)]
pub struct ReconcileStale;

impl Runbook for ReconcileStale {
    fn key(&self) -> &'static str {
        "operations.reconcile_stale"
    }

    fn changes(&self) -> &'static str {
        "Closes runs that no worker has claimed for 5 minutes, and runs whose worker has been \
         gone for 15 minutes, with the reason; paused runs are left alone."
    }

    fn undo(&self) -> &'static str {
        "It cannot be undone; what a closed run left undone can be started again."
    }

    fn scopes(&self) -> &'static [ScopeKind] {
        &[ScopeKind::Platform]
    }

    fn capability(&self) -> Capability {
        Capability::RunbookOperationsReconcileStale
    }

    fn word(&self) -> &'static str {
        "RECONCILE"
    }

    fn items(&self) -> &'static str {
        "active runs"
    }

    fn preflight<'a>(
        &'a self,
        reader: Reader<'a>,
        _tenant_id: Option<i64>,
        _inputs: &'a Value,
        as_of: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<Affected>> {
        Box::pin(async move {
            let (affected, total) = reconcile::count_stuck(reader, as_of).await?;
            Ok(Affected { affected, total })
        })
    }

    fn step<'a>(
        &'a self,
        context: &'a mut Context,
        step: &'a Step,
    ) -> BoxFuture<'a, Result<Progress, StepError>> {
        Box::pin(async move {
            let limit = step.chunk.clamp(1, MAX_CHUNK);
            let after = super::after_id(&step.cursor);
            let chunk = reconcile::close_chunk(context, step.run_id, after, limit).await?;
            Ok(Progress {
                next: chunk.last_id.map(|id| json!({ "after_id": id })),
                items: chunk.looked_at,
                updated: chunk.closed,
                ..Progress::default()
            })
        })
    }
}
