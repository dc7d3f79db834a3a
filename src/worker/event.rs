//! What a worker tells whoever runs it.

use std::fmt;
use std::time::Duration;

use crate::domain::clock_offset;
use crate::domain::run::RunOutcome;

/// Why a worker holds a run no longer, though it has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Another claim or a decision took it.
    Taken,
    /// Its lease could not be renewed in time.
    Expired,
    /// It could not be released while the worker stopped.
    Unreleased,
}

/// An event of a worker. Never more than IDs, types, outcomes and causes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerEvent {
    /// It is ready.
    Ready {
        /// Its name.
        name: String,
        /// The types it executes.
        types: Vec<String>,
    },
    /// It holds a run now.
    Claimed {
        /// The run.
        run_id: i64,
        /// Its type.
        run_type: String,
        /// Whether another worker was lost on it.
        taken_over: bool,
    },
    /// It holds a run again that it had lost to an outage, and that nobody held meanwhile.
    GoesOn {
        /// The run.
        run_id: i64,
        /// Its type.
        run_type: String,
    },
    /// A run has ended.
    Ended {
        /// The run.
        run_id: i64,
        /// How.
        outcome: RunOutcome,
    },
    /// It let go of a run that has not ended.
    Released {
        /// The run.
        run_id: i64,
        /// Whether the run is paused.
        paused: bool,
    },
    /// A run whose next change the database refuses is put off, and the next one is taken.
    Postponed {
        /// The run.
        run_id: i64,
        /// What the database said.
        why: String,
        /// When it is tried again.
        pause: Duration,
    },
    /// It holds a run no longer, and wrote nothing more.
    Lost {
        /// The run.
        run_id: i64,
        /// Why.
        why: Loss,
    },
    /// The database does not answer, or refuses work whoever asks.
    DatabaseLost {
        /// The cause.
        why: String,
    },
    /// A write succeeded again.
    DatabaseBack {
        /// How long none did.
        away: Duration,
    },
    /// The schema has become newer than the worker: it claims no more and ends.
    Outdated {
        /// Which versions.
        why: String,
    },
    /// Its clock differs from the database's.
    ClockWrong {
        /// Seconds ahead of the database's; negative: behind.
        ahead: i64,
    },
    /// Its clock agrees with the database's again.
    ClockRight,
    /// It was told to stop, and finishes its steps.
    Stopping,
}

impl WorkerEvent {
    /// Whether it tells of trouble or of its end, which is said even where little else is.
    pub fn is_trouble(&self) -> bool {
        matches!(
            self,
            Self::Postponed { .. }
                | Self::DatabaseLost { .. }
                | Self::DatabaseBack { .. }
                | Self::Outdated { .. }
                | Self::ClockWrong { .. }
                | Self::ClockRight
        )
    }
}

impl fmt::Display for WorkerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready { name, types } => {
                write!(f, "worker {name} is ready for {}", types.join(", "))
            }
            Self::Claimed { run_id, run_type, taken_over: false } => {
                write!(f, "run {run_id} claimed: {run_type}")
            }
            Self::Claimed { run_id, run_type, taken_over: true } => {
                write!(f, "run {run_id} taken over from a lost worker: {run_type}")
            }
            Self::GoesOn { run_id, run_type } => {
                write!(f, "run {run_id} goes on after an outage: {run_type}")
            }
            Self::Ended { run_id, outcome } => {
                write!(f, "run {run_id} {}", outcome.as_str().replace('_', " "))
            }
            Self::Released { run_id, paused: true } => write!(f, "run {run_id} paused"),
            Self::Released { run_id, paused: false } => write!(f, "run {run_id} back in the queue"),
            Self::Postponed { run_id, why, pause } => write!(
                f,
                "run {run_id} postponed: it could not be written: {why}; next try in {} s",
                pause.as_secs()
            ),
            Self::Lost { run_id, why: Loss::Taken } => {
                write!(f, "run {run_id} given up: another claim or a decision took it")
            }
            Self::Lost { run_id, why: Loss::Expired } => write!(
                f,
                "run {run_id} given up: its lease could not be renewed in time; any worker can claim it"
            ),
            Self::Lost { run_id, why: Loss::Unreleased } => write!(
                f,
                "run {run_id} not released: any worker can claim it once its lease has expired"
            ),
            Self::DatabaseLost { why } => write!(f, "database outage, retrying: {why}"),
            Self::DatabaseBack { away } => {
                write!(f, "database back after {} s", away.as_secs())
            }
            Self::Outdated { why } => write!(f, "stopping, no run is claimed any more: {why}"),
            Self::ClockWrong { ahead } => write!(
                f,
                "this machine's clock is {}; {}",
                clock_offset::words(*ahead),
                clock_offset::CONSEQUENCE.replace("it starts", "the worker starts")
            ),
            Self::ClockRight => {
                f.write_str("this machine's clock agrees with the database's again")
            }
            Self::Stopping => f.write_str("stopping: finishing the steps in flight"),
        }
    }
}
