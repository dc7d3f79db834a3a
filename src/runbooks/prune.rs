//! `product_usage.prune`: removes product usage events that are older than their retention.

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::{Affected, Input, Progress, Runbook, Step, StepError};
use crate::domain::capability::Capability;
use crate::domain::failure::ReasonCode;
use crate::domain::run::ScopeKind;
use crate::domain::safe_text::quoted;
use crate::ops::retention::{self, Days};
use crate::ops::{Context, Reader};
use crate::{Error, Result};

/// The runbook.
#[derive(Debug)]
pub struct PruneUsage;

impl Runbook for PruneUsage {
    fn key(&self) -> &'static str {
        "product_usage.prune"
    }

    fn changes(&self) -> &'static str {
        "Deletes product usage events that are older than their retention (the platform's setting \
         where the input `days` says nothing else)."
    }

    fn undo(&self) -> &'static str {
        "It cannot be undone: the events are deleted."
    }

    fn scopes(&self) -> &'static [ScopeKind] {
        &[ScopeKind::Platform]
    }

    fn capability(&self) -> Capability {
        Capability::RunbookProductUsagePrune
    }

    fn word(&self) -> &'static str {
        retention::WORD
    }

    fn exact_about(&self) -> Option<&'static str> {
        Some("PRUNE <days> for fewer days than product_usage.retention_days")
    }

    fn exact_phrase<'a>(
        &'a self,
        context: &'a mut Context,
        inputs: &'a Value,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async move {
            let days = retention::days_of(context, inputs).await?;
            retention::exact_phrase(context, days).await
        })
    }

    fn check_inputs(&self, inputs: &Value) -> Result<()> {
        let unknown =
            inputs.as_object().and_then(|inputs| inputs.keys().find(|key| *key != "days"));
        match unknown {
            None => Days::from_inputs(inputs).map(drop),
            Some(key) => {
                Err(Error::usage(format!("{} takes no input {}", self.key(), quoted(key)))
                    .hint("it takes days, the days to keep events: days=90"))
            }
        }
    }

    fn items(&self) -> &'static str {
        "events"
    }

    fn inputs(&self) -> &'static [Input] {
        &[Input {
            name: retention::DAYS_INPUT,
            about: "for how many days events are kept, 1 to 36500",
            default: "the platform's setting",
        }]
    }

    fn settle<'a>(
        &'a self,
        context: &'a mut Context,
        inputs: &'a Value,
    ) -> BoxFuture<'a, Result<Value>> {
        Box::pin(async move {
            let mut inputs = inputs.clone();
            let days = retention::days_of(context, &inputs).await?;
            inputs[retention::DAYS_INPUT] = json!(days.get());
            Ok(inputs)
        })
    }

    fn preflight<'a>(
        &'a self,
        reader: Reader<'a>,
        _tenant_id: Option<i64>,
        inputs: &'a Value,
        as_of: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<Affected>> {
        Box::pin(async move {
            let days = Days::from_inputs(inputs)?
                .ok_or_else(|| Error::failed("the days to keep events are not settled"))?;
            let (affected, total) = retention::count_old(reader, days, as_of).await?;
            Ok(Affected { affected, total })
        })
    }

    fn step<'a>(
        &'a self,
        context: &'a mut Context,
        step: &'a Step,
    ) -> BoxFuture<'a, Result<Progress, StepError>> {
        Box::pin(async move {
            let given = Days::from_inputs(&step.inputs).map_err(|error| StepError::Failed {
                reason: ReasonCode::ValidationFailed,
                message: error.message().to_owned(),
            })?;
            let days = match given {
                Some(days) => days,
                None => retention::days_of(context, &step.inputs).await?,
            };
            // A start that lies ahead was written by a wrong clock.
            let at = step.run_started_at.min(context.now());
            // Decided once for the whole run, before anything is deleted.
            if step.cursor.is_null()
                && let Some(message) =
                    retention::beyond_bound(context, step.run_id, days, at).await?
            {
                return Err(StepError::Blocked { reason: ReasonCode::PruneBoundExceeded, message });
            }
            let limit = step.chunk.max(1);
            let deleted = retention::prune_chunk(context, days, at, limit).await?;
            // What was deleted is gone, so the next chunk begins where this one did.
            Ok(Progress {
                next: (deleted == limit).then(|| json!({ "more": true })),
                items: deleted,
                deleted,
                ..Progress::default()
            })
        })
    }
}
