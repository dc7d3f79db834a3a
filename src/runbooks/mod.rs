//! Runbooks: code-owned maintenance procedures, and the registry that lists them.
//!
//! A runbook says what it changes, where it may be aimed, and how one step on one target is
//! done. Everything else (claims, fences, counts, retries, the end) is the worker's business
//! and the same for all.

mod backfill;
#[cfg(debug_assertions)]
mod probe;
mod prune;
mod reconcile;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::domain::capability::Capability;
use crate::domain::failure::ReasonCode;
use crate::domain::operation_type;
use crate::domain::run::ScopeKind;
use crate::ops::{Context, Reader};
use crate::{Error, Result};

/// A maintenance procedure.
pub trait Runbook: Send + Sync + 'static {
    /// The key, which is also the type of its runs: `findings.lifecycle_backfill`.
    fn key(&self) -> &'static str;
    /// What lists call it: as they call its runs.
    fn title(&self) -> &'static str {
        operation_type::label(self.key())
    }
    /// What it changes, in one sentence.
    fn changes(&self) -> &'static str;
    /// Whether and how it can be undone, in one sentence.
    fn undo(&self) -> &'static str;
    /// What it may be aimed at.
    fn scopes(&self) -> &'static [ScopeKind];
    /// The capability it asks for, beside the one to run runbooks at all.
    fn capability(&self) -> Capability;
    /// The word to type before it starts on more than one tenant: `BACKFILL`.
    fn word(&self) -> &'static str;

    /// What it counts, in the plural: `findings`.
    fn items(&self) -> &'static str;

    /// The inputs it takes; most take none.
    fn inputs(&self) -> &'static [Input] {
        &[]
    }

    /// Whether several of its runs may work on one tenant at a time, or several runs over many
    /// tenants at once. No runbook that ships does.
    fn shares_tenants(&self) -> bool {
        false
    }

    /// What keeps its runs apart: with most, the runbook alone.
    fn lock(&self, _inputs: &Value) -> String {
        self.key().to_owned()
    }

    /// Refuses inputs that it does not take; most take none.
    ///
    /// # Errors
    /// *Usage*, with what it takes.
    fn check_inputs(&self, inputs: &Value) -> Result<()> {
        match inputs.as_object().and_then(|inputs| inputs.keys().next()) {
            None => Ok(()),
            Some(key) => Err(Error::usage(format!(
                "{} takes no input {}",
                self.key(),
                crate::domain::safe_text::quoted(key)
            ))
            .hint("it takes no inputs at all")),
        }
    }

    /// Fills in what inputs leave to the platform's settings. A plan keeps what it gives, so that
    /// a run does what its plan showed, whatever the settings say by then.
    ///
    /// # Errors
    /// Those of reading a setting.
    fn settle<'a>(
        &'a self,
        _context: &'a mut Context,
        inputs: &'a Value,
    ) -> BoxFuture<'a, Result<Value>> {
        Box::pin(async move { Ok(inputs.clone()) })
    }

    /// When another phrase replaces its word, `PRUNE <days> for fewer days than ...`.
    fn exact_about(&self) -> Option<&'static str> {
        None
    }

    /// The phrase that replaces its word where the inputs go beyond a setting of the platform: a
    /// person has to type it, or the definition of a deployment to give it.
    ///
    /// # Errors
    /// Those of reading a setting.
    fn exact_phrase<'a>(
        &'a self,
        _context: &'a mut Context,
        _inputs: &'a Value,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async { Ok(None) })
    }

    /// Counts what a run on this target would change, and what there is in all, as it would
    /// have at `as_of`: a plan that is looked at again counts by its own time, not by the time
    /// that went by.
    fn preflight<'a>(
        &'a self,
        reader: Reader<'a>,
        tenant_id: Option<i64>,
        inputs: &'a Value,
        as_of: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<Affected>>;

    /// Does the next chunk of one target's work, in the context's transaction, which also
    /// keeps the marker that it was done. What it gives as an error is undone.
    fn step<'a>(
        &'a self,
        context: &'a mut Context,
        step: &'a Step,
    ) -> BoxFuture<'a, Result<Progress, StepError>>;
}

/// What executes the steps of one type of runs that is no runbook: a customer's type.
pub trait Executor: Send + Sync + 'static {
    /// The type of its runs.
    fn run_type(&self) -> &'static str;

    /// Does the next chunk of one target's work; as [`Runbook::step`].
    fn step<'a>(
        &'a self,
        context: &'a mut Context,
        step: &'a Step,
    ) -> BoxFuture<'a, Result<Progress, StepError>>;
}

/// An input that a runbook takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Input {
    /// Its name, as `--input NAME=VALUE` spells it.
    pub name: &'static str,
    /// What it says, one line.
    pub about: &'static str,
    /// What holds where it is not given.
    pub default: &'static str,
}

impl Input {
    /// What is said to hold of one that has to be given.
    pub const REQUIRED: &'static str = "refused";
}

/// What a preflight counts for one target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Affected {
    /// Records that would change.
    pub affected: i64,
    /// Records there are.
    pub total: i64,
}

/// What a step is told.
#[derive(Debug, Clone)]
pub struct Step {
    /// The run.
    pub run_id: i64,
    /// The claim that the worker believes to hold; each later claim has a higher one.
    pub fence: i64,
    /// When the run was first claimed: the same for every target, whoever does it.
    pub run_started_at: DateTime<Utc>,
    /// The tenant; none for the platform itself.
    pub tenant_id: Option<i64>,
    /// Where the last step left off; null before the first.
    pub cursor: Value,
    /// The run's inputs.
    pub inputs: Value,
    /// How many records a step should take at most.
    pub chunk: i64,
}

/// What a step did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// Where the next step goes on; none: the target is done. It has failed then if any of its
    /// items has.
    pub next: Option<Value>,
    /// The next step comes no sooner than this; none: at once.
    pub pause: Option<Duration>,
    /// Items that the target has in all, where the executor knows. A run with one such target
    /// counts items, any other counts targets.
    pub total: Option<i64>,
    /// Items done by this step, failed ones among them.
    pub items: i64,
    /// Items of this step that failed.
    pub failed: i64,
    /// Why they failed; a few of many are enough.
    pub failures: Vec<ItemFailure>,
    /// Records it made.
    pub created: i64,
    /// Records it changed.
    pub updated: i64,
    /// Records it removed.
    pub deleted: i64,
}

/// Why an item failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemFailure {
    /// Why.
    pub reason: ReasonCode,
    /// What happened, for a person; sanitised before it is stored.
    pub message: String,
}

/// Why a step did not succeed.
#[derive(Debug)]
pub enum StepError {
    /// The work itself failed, for a reason of the registry. Whether it is tried again is
    /// the reason's own rule: those where a retry *helps* are, a few times, with a pause.
    Failed {
        /// Why.
        reason: ReasonCode,
        /// What happened, for a person; sanitised before it is stored.
        message: String,
    },
    /// A precondition does not hold: the run ends as blocked. Only before anything was done.
    Blocked {
        /// Why.
        reason: ReasonCode,
        /// What was found, for a person; sanitised before it is stored.
        message: String,
    },
    /// The database failed; the target is tried again where it stands.
    Database(Error),
}

impl From<Error> for StepError {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

/// The runbooks a program knows.
#[derive(Clone)]
pub struct Registry {
    runbooks: Vec<Arc<dyn Runbook>>,
    executors: Vec<Arc<dyn Executor>>,
}

impl Registry {
    /// The runbooks of this version.
    pub fn standard() -> Self {
        Self {
            runbooks: vec![
                Arc::new(backfill::LifecycleBackfill),
                Arc::new(reconcile::ReconcileStale),
                Arc::new(prune::Prune::Usage),
                Arc::new(prune::Prune::Data),
            ],
            executors: Vec::new(),
        }
    }

    /// The same with executors of types that are no runbooks: a worker announces and executes
    /// them; nobody starts them as maintenance.
    #[must_use]
    pub fn with_executors(mut self, executors: Vec<Arc<dyn Executor>>) -> Self {
        self.executors.extend(executors);
        self
    }

    /// The types whose runs a worker with this registry executes.
    pub fn types(&self) -> Vec<String> {
        let others = self.executors.iter().map(|executor| executor.run_type().to_owned());
        self.keys().into_iter().chain(others).collect()
    }

    /// Does a step of a run of `run_type`.
    ///
    /// # Errors
    /// Whatever the step gives; *usage* in it for a type that is not in this registry.
    pub async fn step(
        &self,
        run_type: &str,
        context: &mut Context,
        step: &Step,
    ) -> Result<Progress, StepError> {
        match self.executors.iter().find(|executor| executor.run_type() == run_type) {
            Some(executor) => executor.step(context, step).await,
            None => self.get(run_type)?.step(context, step).await,
        }
    }

    /// The same with a runbook that the fault tests watch: it writes down every step it does,
    /// and fails, hangs or crashes where it is told to.
    #[cfg(debug_assertions)]
    #[must_use]
    pub fn with_probe(mut self) -> Self {
        self.runbooks.push(Arc::new(probe::Probe));
        self
    }

    /// Every runbook, in the order in which lists show them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Runbook>> {
        self.runbooks.iter()
    }

    /// The keys, in the same order.
    pub fn keys(&self) -> Vec<String> {
        self.iter().map(|runbook| runbook.key().to_owned()).collect()
    }

    /// The runbook called `key`.
    ///
    /// # Errors
    /// *Usage*, with the keys there are.
    pub fn get(&self, key: &str) -> Result<&Arc<dyn Runbook>> {
        self.iter().find(|runbook| runbook.key() == key).ok_or_else(|| {
            Error::usage(format!("there is no runbook {}", crate::domain::safe_text::quoted(key)))
                .hint(format!("one of: {}", self.keys().join(", ")))
        })
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.types()).finish()
    }
}

/// Where a cursor by id stands: everything up to this id is done.
fn after_id(cursor: &Value) -> i64 {
    cursor.get("after_id").and_then(Value::as_i64).unwrap_or(i64::MIN)
}
