//! `product_usage.prune` and `retention.prune`: what is older than its retention is removed.

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::{Affected, Input, Progress, Runbook, Step, StepError};
use crate::domain::capability::Capability;
use crate::domain::failure::ReasonCode;
use crate::domain::kept::Data;
use crate::domain::run::ScopeKind;
use crate::domain::safe_text::quoted;
use crate::ops::retention::{self, Days, Place, Policy};
use crate::ops::{Context, Reader};
use crate::{Error, Result};

/// The runbooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prune {
    /// Of product usage events.
    Usage,
    /// Of the data that an input names.
    Data,
}

const DAYS: Input = Input {
    name: retention::DAYS_INPUT,
    about: "for how many days events are kept, 1 to 36500",
    default: "the platform's setting",
};

const DATA: [Input; 2] = [
    Input {
        name: retention::DATA_INPUT,
        about: "runs, notifications, alerts, sessions, reports or packs",
        default: Input::REQUIRED,
    },
    Input { about: "for how many days they are kept, 1 to 36500; not of packs", ..DAYS },
];

impl Prune {
    fn data(self, inputs: &Value) -> Result<Data> {
        match self {
            Self::Usage => Ok(Data::Events),
            Self::Data => retention::data_of(inputs),
        }
    }

    async fn policy(self, context: &mut Context, inputs: &Value) -> Result<Policy> {
        Policy::of(context, self.data(inputs)?, inputs).await
    }
}

impl Runbook for Prune {
    fn key(&self) -> &'static str {
        match self {
            Self::Usage => "product_usage.prune",
            Self::Data => "retention.prune",
        }
    }

    fn changes(&self) -> &'static str {
        match self {
            Self::Usage => {
                "Deletes product usage events that are older than their retention (the platform's setting \
                 where the input `days` says nothing else)."
            }
            Self::Data => {
                "Deletes ended runs, notifications, alerts, sessions, stored reports or review packs that \
                 are older than their retention (the platform's setting where the input `days` says nothing \
                 else)."
            }
        }
    }

    fn undo(&self) -> &'static str {
        match self {
            Self::Usage => "It cannot be undone: the events are deleted.",
            Self::Data => "It cannot be undone: the data is deleted.",
        }
    }

    fn scopes(&self) -> &'static [ScopeKind] {
        &[ScopeKind::Platform]
    }

    fn capability(&self) -> Capability {
        match self {
            Self::Usage => Capability::RunbookProductUsagePrune,
            Self::Data => Capability::RunbookRetentionPrune,
        }
    }

    fn word(&self) -> &'static str {
        retention::WORD
    }

    fn exact_about(&self) -> Option<&'static str> {
        Some(match self {
            Self::Usage => "PRUNE <days> for fewer days than product_usage.retention_days",
            Self::Data => "PRUNE <days> for fewer days than the platform's setting",
        })
    }

    fn exact_phrase<'a>(
        &'a self,
        context: &'a mut Context,
        inputs: &'a Value,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async move {
            let policy = self.policy(context, inputs).await?;
            retention::exact_phrase(context, policy).await
        })
    }

    fn check_inputs(&self, inputs: &Value) -> Result<()> {
        let known = |key: &String| self.inputs().iter().any(|input| input.name == key);
        let unknown = inputs.as_object().and_then(|inputs| inputs.keys().find(|key| !known(key)));
        if let Some(key) = unknown {
            let takes = match self {
                Self::Usage => "it takes days, the days to keep events: days=90",
                Self::Data => "it takes data and days: data=runs days=400",
            };
            return Err(
                Error::usage(format!("{} takes no input {}", self.key(), quoted(key))).hint(takes)
            );
        }
        let data = self.data(inputs)?;
        match Days::from_inputs(inputs)? {
            Some(_) if data.setting().is_none() => {
                Err(Error::usage(format!("{data} take no days: each says when it expires")))
            }
            _ => Ok(()),
        }
    }

    fn items(&self) -> &'static str {
        match self {
            Self::Usage => "events",
            Self::Data => "rows",
        }
    }

    fn inputs(&self) -> &'static [Input] {
        match self {
            Self::Usage => &[DAYS],
            Self::Data => &DATA,
        }
    }

    fn lock(&self, inputs: &Value) -> String {
        match self.data(inputs) {
            Ok(data) if *self == Self::Data => format!("{}:{data}", self.key()),
            _ => self.key().to_owned(),
        }
    }

    fn settle<'a>(
        &'a self,
        context: &'a mut Context,
        inputs: &'a Value,
    ) -> BoxFuture<'a, Result<Value>> {
        Box::pin(async move {
            let mut inputs = inputs.clone();
            if let Some(days) = Days::from_inputs(&inputs)? {
                let (data, days) = (self.data(&inputs)?, days.get());
                retention::refuse_too_short(context, data, retention::DAYS_INPUT, days).await?;
            }
            if let Some(days) = self.policy(context, &inputs).await?.days {
                inputs[retention::DAYS_INPUT] = json!(days.get());
            }
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
            let policy = Policy { data: self.data(inputs)?, days: Days::from_inputs(inputs)? };
            if policy.days.is_none() && policy.data.setting().is_some() {
                return Err(Error::failed("the days to keep are not settled"));
            }
            let (affected, total) = retention::count_old(reader, policy, as_of).await?;
            Ok(Affected { affected, total })
        })
    }

    fn step<'a>(
        &'a self,
        context: &'a mut Context,
        step: &'a Step,
    ) -> BoxFuture<'a, Result<Progress, StepError>> {
        Box::pin(async move {
            let wrong = |error: Error| StepError::Failed {
                reason: ReasonCode::ValidationFailed,
                message: error.message().to_owned(),
            };
            self.check_inputs(&step.inputs).map_err(wrong)?;
            let policy = self.policy(context, &step.inputs).await?;
            // A start that lies ahead was written by a wrong clock.
            let at = step.run_started_at.min(context.now());
            // Decided once for the whole run, before anything is deleted.
            if step.cursor.is_null()
                && let Some(message) =
                    retention::beyond_bound(context, step.run_id, policy, at).await?
            {
                return Err(StepError::Blocked { reason: ReasonCode::PruneBoundExceeded, message });
            }
            let limit = step.chunk.max(1);
            let (deleted, next) = if policy.data == Data::Runs {
                let cutoff = policy.cutoff(at);
                let place = serde_json::from_value(step.cursor.clone());
                let place = place.unwrap_or_else(|_| Place::first(cutoff));
                let (deleted, next) =
                    retention::prune_runs(context, step.run_id, cutoff, place, limit).await?;
                (deleted, next.map(|place| json!(place)))
            } else {
                let deleted = retention::prune_chunk(context, policy, at, limit).await?;
                // What was deleted is gone, so the next chunk begins where this one did.
                (deleted, (deleted == limit).then(|| json!({ "more": true })))
            };
            Ok(Progress { next, items: deleted, deleted, ..Progress::default() })
        })
    }
}
