//! Starting maintenance: a runbook, a scope, a reason, and the phrase that was typed.

use serde_json::{Value, json};

use crate::access::Requirement;
use crate::domain::capability::Capability;
use crate::domain::rollout::Rollout;
use crate::domain::run::Source;
use crate::domain::start_reason::StartReason;
use crate::ops::runs::{Entry, NewStart, RunScope, Started, create, freeze};
use crate::ops::{Access, AuditStatus, Context, Operation};
use crate::runbooks::Runbook;
use crate::{Error, Result};

/// Starts a runbook as the platform user who is logged in, or as the system.
#[derive(Debug, Clone)]
pub struct StartRunbook {
    /// The runbook's key.
    pub key: String,
    /// What it is aimed at.
    pub scope: RunScope,
    /// The runbook's own inputs.
    pub inputs: Value,
    /// How the targets are worked through.
    pub rollout: Rollout,
    /// Why; compulsory for more than one tenant.
    pub reason: Option<StartReason>,
    /// The phrase that was typed; compulsory for more than one tenant.
    pub confirm: Option<String>,
    /// Where the start comes from.
    pub source: Source,
    /// The caller's own id of this request: a retry after a lost answer finds its run.
    pub request_id: Option<String>,
}

impl StartRunbook {
    /// A start of `key` on the platform itself.
    pub fn on_platform(key: &str, source: Source) -> Self {
        Self {
            key: key.to_owned(),
            scope: RunScope::Platform,
            inputs: json!({}),
            rollout: Rollout::default(),
            reason: None,
            confirm: None,
            source,
            request_id: None,
        }
    }

    /// A harmless example, for the test of the access check.
    pub(in crate::ops) fn sample() -> Self {
        Self::on_platform("none.such", Source::Cli)
    }
}

impl Operation for StartRunbook {
    const NAME: &'static str = "runbooks.start";
    const REQUIREMENT: Requirement =
        Requirement::All(&[Capability::RunbooksView, Capability::RunbooksRun]);
    const ACCESS: Access = Access::Write;
    type Output = Started;

    async fn execute(self, context: &mut Context) -> Result<Started> {
        let runbook = context.settings().registry.get(&self.key)?.clone();
        context.require(runbook.capability(), Self::NAME).await?;
        self.rollout.check()?;
        runbook.check_inputs(&self.inputs)?;
        let scope = context.permit().scope();
        let frozen = freeze(context.tx()?, &self.scope, None, scope).await?;
        if !runbook.scopes().contains(&frozen.kind) {
            let allowed: Vec<_> = runbook.scopes().iter().map(|kind| kind.as_str()).collect();
            return Err(Error::usage(format!(
                "{} cannot be aimed at the scope {}",
                self.key, frozen.kind
            ))
            .hint(format!("it takes: {}", allowed.join(", "))));
        }
        if frozen.targets.len() > 1 {
            if self.reason.is_none() {
                return Err(Error::usage("a start on more than one tenant needs a reason")
                    .hint("give --reason-code and --reason"));
            }
            confirm(&phrase(runbook.as_ref(), frozen.targets.len()), self.confirm.as_deref())?;
        }
        let mut facts = json!({ "inputs": self.inputs });
        if let Some(reason) = &self.reason {
            facts["reason"] = json!(reason);
        }
        let start = NewStart {
            run_type: &self.key,
            inputs: &self.inputs,
            facts,
            entry: &Entry::ReuseByInputs,
            source: self.source,
            request_id: self.request_id.as_deref(),
            rollout: self.rollout,
            retry_of: None,
            customer: None,
        };
        let started = create(context, &frozen, &start).await?;
        if started.created {
            let mut row = context.audit_row(Self::NAME, AuditStatus::Succeeded);
            row.run_id = Some(started.run_id);
            row.tenant_id = frozen.tenant_id;
            row.workspace_id = frozen.workspace_id;
            row.metadata = json!({
                "type": self.key, "source": self.source.as_str(), "scope": frozen.kind.as_str(),
                "targets": frozen.targets.len(), "rollout": self.rollout, "reason": self.reason,
            });
            context.audit(&row).await?;
        }
        Ok(started)
    }
}

/// Counts the targets that a start would freeze.
#[derive(Debug, Clone)]
pub struct CountTargets {
    /// The runbook's key.
    pub key: String,
    /// What it would be aimed at.
    pub scope: RunScope,
}

impl Operation for CountTargets {
    const NAME: &'static str = "runbooks.count_targets";
    const REQUIREMENT: Requirement =
        Requirement::All(&[Capability::RunbooksView, Capability::RunbooksRun]);
    const ACCESS: Access = Access::Read;
    type Output = usize;

    async fn execute(self, context: &mut Context) -> Result<usize> {
        context.settings().registry.get(&self.key)?;
        let view = context.permit().scope();
        match self.scope {
            // The start looks at each of them, and locks it.
            RunScope::Tenants(mut ids) => {
                ids.sort_unstable();
                ids.dedup();
                Ok(ids.len())
            }
            RunScope::Tenant(_) | RunScope::Platform => Ok(1),
            scope => Ok(freeze(context.tx()?, &scope, None, view).await?.targets.len()),
        }
    }
}

/// What has to be typed before a runbook starts on so many tenants.
pub fn phrase(runbook: &dyn Runbook, targets: usize) -> String {
    format!("{} {targets}", runbook.word())
}

/// Refuses anything but the phrase itself.
pub(in crate::ops) fn confirm(phrase: &str, typed: Option<&str>) -> Result<()> {
    match typed {
        Some(typed) if typed == phrase => Ok(()),
        Some(_) => Err(Error::usage("the confirmation is not the phrase that was asked for")
            .hint(format!("type exactly: {phrase}"))),
        None => {
            Err(Error::usage("more than one tenant would be changed, so this has to be confirmed")
                .hint(format!(
                    "type exactly: {phrase} (on the command line: --confirm '{phrase}')"
                )))
        }
    }
}
