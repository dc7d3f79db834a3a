//! `findings.lifecycle_backfill`: brings legacy findings to the lifecycle model.

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::{Affected, Progress, Runbook, Step, StepError};
use crate::domain::capability::Capability;
use crate::domain::failure::ReasonCode;
use crate::domain::run::ScopeKind;
use crate::ops::{Context, Reader, findings};
use crate::{Error, Result};

/// The runbook.
#[derive(Debug)]
pub struct LifecycleBackfill;

impl Runbook for LifecycleBackfill {
    fn key(&self) -> &'static str {
        "findings.lifecycle_backfill"
    }

    fn changes(&self) -> &'static str {
        "Gives legacy findings a status, sightings and a due date of the lifecycle model, and \
         links duplicates to the newest of their kind."
    }

    fn undo(&self) -> &'static str {
        "It cannot be undone; nothing is deleted, and running it again changes nothing."
    }

    fn scopes(&self) -> &'static [ScopeKind] {
        &[ScopeKind::Tenant, ScopeKind::Tenants, ScopeKind::Workspace, ScopeKind::All]
    }

    fn capability(&self) -> Capability {
        Capability::RunbookFindingsLifecycleBackfill
    }

    fn word(&self) -> &'static str {
        "BACKFILL"
    }

    fn items(&self) -> &'static str {
        "findings"
    }

    fn preflight<'a>(
        &'a self,
        reader: Reader<'a>,
        tenant_id: Option<i64>,
        _inputs: &'a Value,
        _as_of: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<Affected>> {
        Box::pin(async move {
            let tenant_id = tenant_id.ok_or_else(|| Error::usage("it needs a tenant"))?;
            let (affected, total) = findings::count_legacy(reader, tenant_id).await?;
            Ok(Affected { affected, total })
        })
    }

    fn step<'a>(
        &'a self,
        context: &'a mut Context,
        step: &'a Step,
    ) -> BoxFuture<'a, Result<Progress, StepError>> {
        Box::pin(async move {
            let tenant_id = step.tenant_id.ok_or_else(|| StepError::Failed {
                reason: ReasonCode::ValidationFailed,
                message: "it needs a tenant".to_owned(),
            })?;
            let started = step.run_started_at;
            let after = super::after_id(&step.cursor);
            let chunk = findings::backfill_chunk(context, tenant_id, after, step.chunk, started)
                .await?
                .ok_or_else(|| StepError::Failed {
                    reason: ReasonCode::TenantGone,
                    message: format!("tenant {tenant_id} was archived or removed"),
                })?;
            Ok(Progress {
                next: chunk.last_id.map(|id| json!({ "after_id": id })),
                items: chunk.looked_at,
                updated: chunk.updated,
                ..Progress::default()
            })
        })
    }
}
