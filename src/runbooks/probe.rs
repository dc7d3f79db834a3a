//! The runbook of the fault tests: every step leaves a line in a ledger that has no rule
//! against doubles, so that a step done twice shows. Only in builds with debug assertions.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::{Affected, Progress, Runbook, Step, StepError};
use crate::Result;
use crate::domain::capability::Capability;
use crate::domain::failure::ReasonCode;
use crate::domain::run::ScopeKind;
use crate::ops::{Context, Reader, probe};

/// See the module.
#[derive(Debug)]
pub struct Probe;

/// Whether the input `key` names this tenant.
fn names(inputs: &Value, key: &str, tenant_id: i64) -> bool {
    match &inputs[key] {
        Value::Array(ids) => ids.iter().any(|id| id.as_i64() == Some(tenant_id)),
        other => other.as_i64() == Some(tenant_id),
    }
}

impl Runbook for Probe {
    fn key(&self) -> &'static str {
        "testing.probe"
    }

    fn changes(&self) -> &'static str {
        "writes a line per step into the ledger of the fault tests"
    }

    fn undo(&self) -> &'static str {
        "drop the ledger"
    }

    fn scopes(&self) -> &'static [ScopeKind] {
        &[ScopeKind::Tenant, ScopeKind::Tenants, ScopeKind::Workspace, ScopeKind::All]
    }

    fn capability(&self) -> Capability {
        Capability::RunbookFindingsLifecycleBackfill
    }

    fn word(&self) -> &'static str {
        "PROBE"
    }

    fn items(&self) -> &'static str {
        "steps"
    }

    /// The fault tests start many of its runs beside each other.
    fn shares_tenants(&self) -> bool {
        true
    }

    fn check_inputs(&self, _inputs: &Value) -> Result<()> {
        Ok(())
    }

    fn preflight<'a>(
        &'a self,
        _reader: Reader<'a>,
        _tenant_id: Option<i64>,
        inputs: &'a Value,
        _as_of: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<Affected>> {
        let steps = inputs["steps"].as_i64().unwrap_or(1);
        async move { Ok(Affected { affected: steps, total: steps }) }.boxed()
    }

    fn step<'a>(
        &'a self,
        context: &'a mut Context,
        step: &'a Step,
    ) -> BoxFuture<'a, Result<Progress, StepError>> {
        async move {
            let inputs = &step.inputs;
            let tenant_id = step.tenant_id.unwrap_or(0);
            let done = step.cursor["done"].as_i64().unwrap_or(0);
            let wanted = inputs["steps"].as_i64().unwrap_or(1);
            if wanted > 0 && inputs["ledger"] != json!(false) {
                probe::record(context, step, tenant_id, done).await?;
            }
            if let Some(pause) = inputs["pause_ms"].as_u64() {
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            if names(inputs, "abort", tenant_id) {
                std::process::abort();
            }
            assert!(!names(inputs, "panic", tenant_id), "probe told to panic, token=hunter2secret");
            if names(inputs, "hang", tenant_id) {
                std::future::pending::<()>().await;
            }
            let failed = |reason, message: &str| {
                Err(StepError::Failed { reason, message: message.to_owned() })
            };
            if names(inputs, "throttle", tenant_id) {
                return failed(ReasonCode::ProviderThrottled, "429, retry later");
            }
            if names(inputs, "deny", tenant_id) {
                let message = "Authorization: Bearer abcdef0123456789abcdef was refused";
                return failed(ReasonCode::PermissionDenied, message);
            }
            let done = done + 1;
            let next = (done < wanted).then(|| json!({ "done": done }));
            Ok(Progress { next, items: 1, updated: 1, ..Progress::default() })
        }
        .boxed()
    }
}
