//! Whether a run of a type can be executed now: its executor, and the active workers that
//! support it.

use serde::Serialize;

use super::operation_type::{self, Executor};

/// Whether a run of a type can be executed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    /// The catalogue does not have the type.
    #[default]
    Unknown,
    /// Nothing executes the type.
    NoExecutor,
    /// The type has an executor, and no active worker supports it.
    NoWorker,
    /// It deletes or closes by age, and the clocks of all active workers are wrong.
    WrongClock,
    /// Active workers support it, and all their slots are taken.
    Busy,
    /// An active worker that supports it has a free slot.
    Free,
}

impl Support {
    /// Every value.
    pub const ALL: &'static [Self] = &[
        Self::Unknown,
        Self::NoExecutor,
        Self::NoWorker,
        Self::WrongClock,
        Self::Busy,
        Self::Free,
    ];

    /// Whether an active worker supports the type.
    pub fn is_supported(self) -> bool {
        matches!(self, Self::Busy | Self::Free)
    }

    /// Whether a run of the type can be queued, and waits for a worker that supports it.
    pub fn lacks_worker(self) -> bool {
        matches!(self, Self::NoWorker | Self::WrongClock)
    }

    /// What keeps runs of a type from being executed; none where a worker supports it.
    pub fn obstacle(self, run_type: &str) -> Option<String> {
        match self {
            Self::Unknown => Some(format!("unknown type {run_type}")),
            Self::NoExecutor => Some(format!("no executor for {run_type}")),
            Self::NoWorker => Some(format!("no active worker supports {run_type}")),
            Self::WrongClock => {
                Some(format!("the worker's clock is wrong: it does not execute {run_type}"))
            }
            Self::Busy | Self::Free => None,
        }
    }

    /// The same for a cell beside the type.
    pub fn short_obstacle(self) -> Option<&'static str> {
        match self {
            Self::Unknown => Some("unknown type"),
            Self::NoExecutor => Some("no executor"),
            Self::NoWorker => Some("no active worker"),
            Self::WrongClock => Some("worker clock wrong"),
            Self::Busy | Self::Free => None,
        }
    }
}

/// A worker whose heartbeat is fresh and that takes new runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveWorker {
    /// The types that it announces.
    pub types: Vec<String>,
    /// Whether it has a free slot.
    pub free: bool,
    /// Its host and process id.
    pub name: String,
    /// How many seconds its clock is ahead of the database's, where that is too far: then it
    /// announces no type that goes by age.
    pub wrong_clock: Option<i64>,
}

/// The active workers at the moment of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActiveWorkers {
    /// Whether the database is a demo's, whose simulator executes the customers' types.
    pub demo: bool,
    /// The workers.
    pub workers: Vec<ActiveWorker>,
}

impl ActiveWorkers {
    /// Whether runs of a type can be executed now.
    pub fn support(&self, run_type: &str) -> Support {
        let Some(kind) = operation_type::find(run_type) else { return Support::Unknown };
        if kind.executor_in(self.demo) == Executor::None {
            return Support::NoExecutor;
        }
        let supports =
            |worker: &&ActiveWorker| worker.types.iter().any(|announced| announced == run_type);
        let supporting: Vec<_> = self.workers.iter().filter(supports).collect();
        if supporting.is_empty() {
            let clock =
                kind.by_age && self.workers.iter().any(|worker| worker.wrong_clock.is_some());
            if clock { Support::WrongClock } else { Support::NoWorker }
        } else if supporting.iter().any(|worker| worker.free) {
            Support::Free
        } else {
            Support::Busy
        }
    }
}
