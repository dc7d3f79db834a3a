//! What is possible with a run: one place that list, page, footer, keys, command line and the
//! operations themselves compute it from.

use serde::{Serialize, Serializer};

use super::capability::Capability;
use super::database_fault::Condition;
use super::operation_type;
use super::run::{Run, RunStatus};
use super::run_state::RunState;
use super::type_support::Support;
use chrono::{DateTime, Utc};

/// Lists count a run's failed or undone targets up to this many.
pub const LEFT_BOUND: i64 = 100;

/// The targets of an ended run that a retry could cover.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    /// Whether any target failed or was left undone.
    pub any: bool,
    /// How many of these a run may still have: their tenants are not archived.
    pub targets: i64,
}

/// A retry of an ended run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RetriedAs {
    /// The new run.
    pub run_id: i64,
    /// Its state, as stored.
    pub state: RunState,
}

/// An active run of the same type that a retry would meet: it does the same, or works on a tenant
/// that the retry would work on, or is the one over many that there may be at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy {
    run_id: i64,
    named: bool,
}

impl Busy {
    /// As stored: the run's ID, negative where it lies outside of the workspace of the run that
    /// is to be retried.
    pub fn as_stored(run_id: i64) -> Self {
        Self { run_id: run_id.abs(), named: run_id > 0 }
    }

    /// The same for someone who sees all runs, or not.
    #[must_use]
    pub fn seen(self, all: bool) -> Self {
        Self { named: self.named || all, ..self }
    }

    /// The run, where it may be named.
    pub fn run_id(self) -> Option<i64> {
        self.named.then_some(self.run_id)
    }
}

impl Serialize for Busy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.run_id().serialize(serializer)
    }
}

/// What an answer knows of a run beside its row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Basis {
    /// Whether runs of its type can be executed now.
    pub support: Support,
    /// What a retry could cover; nothing while it has not ended.
    pub left: Left,
    /// Its newest retry that is active or succeeded, else its newest one.
    pub retried_as: Option<RetriedAs>,
    /// The active run that a retry would meet.
    pub busy: Option<Busy>,
    /// The first capability for a retry that the actor lacks.
    pub missing: Option<Capability>,
    /// Whether the actor may change runs at all.
    pub may_manage: bool,
    /// What it waits for, where that is the database.
    pub outage: Option<Condition>,
}

/// The facts of a run that decide what is possible with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunFacts<'a> {
    /// The run.
    pub run_id: i64,
    /// Its type.
    pub run_type: &'a str,
    /// Its state.
    pub state: RunState,
    /// Whether runs of its type can be executed now.
    pub support: Support,
    /// Whether failed targets of its type can be retried.
    pub retryable: bool,
    /// What a retry could cover.
    pub left: Left,
    /// Its newest retry that is active or succeeded, else its newest one.
    pub retried_as: Option<RetriedAs>,
    /// The active run that a retry would meet.
    pub busy: Option<Busy>,
    /// The first capability for a retry that the actor lacks.
    pub missing: Option<Capability>,
    /// Whether the actor may change runs at all.
    pub may_manage: bool,
    /// Whether a cancel was requested.
    pub cancel_requested: bool,
    /// Whether it is paused, or a pause was requested.
    pub pause_requested: bool,
    /// What it waits for, where that is the database.
    pub outage: Option<Condition>,
}

/// Whether a run can be retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It can: an active worker supports its type.
    Possible {
        /// How many targets.
        targets: i64,
    },
    /// Only for someone who accepts that the new run waits: no active worker supports its type.
    NeedsWorker {
        /// How many targets.
        targets: i64,
    },
    /// It cannot.
    Impossible(NoRetry),
}

/// Why a run cannot be retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoRetry {
    /// It has not ended.
    NotEnded,
    /// It was retried: that run is the one to retry.
    Retried(RetriedAs),
    /// The catalogue does not have its type.
    UnknownType,
    /// Nothing executes its type.
    NoExecutor,
    /// Its type is started again from a new preflight instead.
    NotRetryable,
    /// No target failed or was left undone.
    NothingLeft,
    /// The tenants of all failed and undone targets are archived.
    Archived,
    /// The actor lacks this capability.
    Missing(Capability),
    /// An active run is in its way.
    Busy(Busy),
}

impl NoRetry {
    /// The run that is why, where it may be named.
    pub fn other_run(self) -> Option<i64> {
        match self {
            Self::Retried(retried) => Some(retried.run_id),
            Self::Busy(busy) => busy.run_id(),
            _ => None,
        }
    }
}

impl Retry {
    /// How many targets it would cover; none where it is impossible.
    pub fn targets(self) -> Option<i64> {
        match self {
            Self::Possible { targets } | Self::NeedsWorker { targets } => Some(targets),
            Self::Impossible(_) => None,
        }
    }

    /// What the footer says beside its key; none where it is impossible.
    fn hint(self) -> Option<String> {
        let n = |targets: i64| {
            if targets > LEFT_BOUND { format!("{LEFT_BOUND}+") } else { targets.to_string() }
        };
        match self {
            Self::Possible { targets } => Some(format!("retry {}", n(targets))),
            Self::NeedsWorker { targets } => Some(format!("retry {} (no worker)", n(targets))),
            Self::Impossible(_) => None,
        }
    }
}

/// Why a run waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wait {
    /// It is paused.
    Paused,
    /// The catalogue does not have its type.
    UnknownType,
    /// Nothing executes its type.
    NoExecutor,
    /// No active worker supports its type.
    NoWorker,
    /// The clocks of the workers that would support its type are wrong.
    WrongClock,
    /// Every slot of the workers that support it is taken.
    Behind,
    /// A worker that supports it has a free slot.
    Next,
    /// For the database, which is in this condition.
    Database(Condition),
}

impl Wait {
    /// Why a run in the queue waits that is not paused.
    pub fn of(support: Support) -> Self {
        match support {
            Support::Unknown => Self::UnknownType,
            Support::NoExecutor => Self::NoExecutor,
            Support::NoWorker => Self::NoWorker,
            Support::WrongClock => Self::WrongClock,
            Support::Busy => Self::Behind,
            Support::Free => Self::Next,
        }
    }

    /// For the database, where that is what holds up a run of a type with this support: where nothing
    /// executes what no worker holds, the database makes no difference.
    pub fn for_database(condition: Condition, held: bool, support: Support) -> Option<Self> {
        let is_executed = !matches!(support, Support::Unknown | Support::NoExecutor);
        (held || is_executed).then_some(Self::Database(condition))
    }

    /// As a stable word.
    fn word(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::UnknownType => "unknown_type",
            Self::NoExecutor => "no_executor",
            Self::NoWorker => "no_worker",
            Self::WrongClock => "wrong_clock",
            Self::Behind => "behind",
            Self::Next => "next",
            Self::Database(condition) => condition.wait_word(),
        }
    }
}

impl Serialize for Wait {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl<'a> RunFacts<'a> {
    /// The facts of a run at `now`.
    pub fn of(run: &'a Run, now: DateTime<Utc>) -> Self {
        let Basis { support, left, retried_as, busy, missing, may_manage, outage } = run.basis;
        let ended = run.status == RunStatus::Completed;
        Self {
            run_id: run.id,
            run_type: &run.run_type,
            state: RunState::of(run, now),
            support,
            retryable: operation_type::find(&run.run_type).is_some_and(|kind| kind.retryable),
            left: if ended { left } else { Left::default() },
            retried_as: retried_as.filter(|_| ended),
            busy: busy.filter(|_| ended),
            missing,
            may_manage,
            cancel_requested: run.cancel_requested_at.is_some(),
            pause_requested: run.paused_at.is_some(),
            outage,
        }
    }

    /// The facts of an ended run of which only this is known.
    pub fn ended(run_id: i64, run_type: &'a str, basis: Basis) -> Self {
        let Basis { support, left, retried_as, busy, missing, may_manage, outage } = basis;
        Self {
            run_id,
            run_type,
            state: RunState::Failed,
            support,
            retryable: operation_type::find(run_type).is_some_and(|kind| kind.retryable),
            left,
            retried_as,
            busy,
            missing,
            may_manage,
            cancel_requested: false,
            pause_requested: false,
            outage,
        }
    }

    /// The same with what was requested of the worker that holds it.
    #[must_use]
    pub fn requested(self, cancel: bool, pause: bool) -> Self {
        Self {
            cancel_requested: self.cancel_requested || cancel,
            pause_requested: self.pause_requested || pause,
            ..self
        }
    }

    /// Whether it can be retried.
    pub fn retry(&self) -> Retry {
        let impossible = if self.state.is_active() {
            Some(NoRetry::NotEnded)
        } else if let Some(retried) = self.retried_as {
            Some(NoRetry::Retried(retried))
        } else if self.support == Support::Unknown {
            Some(NoRetry::UnknownType)
        } else if self.support == Support::NoExecutor {
            Some(NoRetry::NoExecutor)
        } else if !self.retryable {
            Some(NoRetry::NotRetryable)
        } else if !self.left.any {
            Some(NoRetry::NothingLeft)
        } else if self.left.targets == 0 {
            Some(NoRetry::Archived)
        } else {
            self.missing.map(NoRetry::Missing).or_else(|| self.busy.map(NoRetry::Busy))
        };
        let targets = self.left.targets;
        match impossible {
            Some(why) => Retry::Impossible(why),
            None if self.support.is_supported() => Retry::Possible { targets },
            None => Retry::NeedsWorker { targets },
        }
    }

    /// What the footer says beside the key of a retry; none where it is impossible.
    pub fn retry_hint(&self) -> Option<String> {
        self.retry().hint()
    }

    /// Why it waits; none where it does not.
    pub fn wait(&self) -> Option<Wait> {
        match self.state {
            RunState::Paused => Some(Wait::Paused),
            RunState::Running | RunState::Cancelling => self.for_database(true),
            RunState::Queued | RunState::Stale => {
                self.for_database(false).or_else(|| Some(Wait::of(self.support)))
            }
            RunState::Stuck => self.for_database(false),
            _ => None,
        }
    }

    fn for_database(&self, held: bool) -> Option<Wait> {
        Wait::for_database(self.outage?, held, self.support)
    }

    /// Why it cannot be cancelled; none where it can.
    pub fn no_cancel(&self) -> Option<String> {
        self.no_change().or_else(|| {
            // The run of a lost worker ends at once, whatever was asked of the worker.
            (self.cancel_requested && self.state != RunState::Stuck).then(|| {
                format!(
                    "a cancel of run {} was requested already; its page shows its state",
                    self.run_id
                )
            })
        })
    }

    /// Why it cannot be closed by force; none where it can.
    pub fn no_close(&self) -> Option<String> {
        self.no_change().or_else(|| {
            (!self.cancel_requested).then(|| {
                let id = self.run_id;
                format!("cancel run {id} first; it is closed by force only after that")
            })
        })
    }

    /// Why it cannot be changed at all; none where it can.
    pub fn no_change(&self) -> Option<String> {
        let id = self.run_id;
        if !self.state.is_active() {
            return Some(format!("run {id} has already ended"));
        }
        (self.support == Support::Unknown)
            .then(|| format!("unknown type {}: run {id} can only be viewed", self.run_type))
    }
}
