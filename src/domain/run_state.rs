//! The one presenter of a run's state: glyph, word and role for every screen and the CLI.

use chrono::{DateTime, Duration, Utc};
use serde::Serialize;

use super::run::{Run, RunOutcome, RunStatus};

/// How long a run may be queued before it counts as stale.
pub const STALE_AFTER: Duration = Duration::minutes(5);

/// What an operator sees of status and outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Waiting for a worker.
    Queued,
    /// Waiting for a worker for too long.
    Stale,
    /// Queued, and told to wait.
    Paused,
    /// Held by a worker.
    Running,
    /// Held by a worker that was asked to stop.
    Cancelling,
    /// Held by a worker whose lease ran out: nobody is known to be at it.
    Stuck,
    /// Ended well.
    Succeeded,
    /// Ended, partly well.
    Partial,
    /// Ended badly.
    Failed,
    /// Ended before anything was attempted.
    Blocked,
    /// Ended by a cancel.
    Cancelled,
}

impl RunState {
    /// Every state, in the order of a run's life.
    pub const ALL: &'static [Self] = &[
        Self::Queued,
        Self::Stale,
        Self::Paused,
        Self::Running,
        Self::Cancelling,
        Self::Stuck,
        Self::Succeeded,
        Self::Partial,
        Self::Failed,
        Self::Blocked,
        Self::Cancelled,
    ];

    /// The state of a run at `now`. A paused run is never stale.
    pub fn of(run: &Run, now: DateTime<Utc>) -> Self {
        match (run.status, run.outcome) {
            (RunStatus::Queued, _) if run.paused_at.is_some() => Self::Paused,
            (RunStatus::Queued, _) if now - run.waiting_since() > STALE_AFTER => Self::Stale,
            (RunStatus::Queued, _) => Self::Queued,
            (RunStatus::Running, _) if run.lease_overdue => Self::Stuck,
            (RunStatus::Running, _) if run.cancel_requested_at.is_some() => Self::Cancelling,
            (RunStatus::Running, _) => Self::Running,
            (RunStatus::Completed, RunOutcome::Succeeded) => Self::Succeeded,
            (RunStatus::Completed, RunOutcome::PartiallySucceeded) => Self::Partial,
            (RunStatus::Completed, RunOutcome::Blocked) => Self::Blocked,
            (RunStatus::Completed, RunOutcome::Cancelled) => Self::Cancelled,
            // The database keeps completed <=> an outcome, so *pending* cannot stand here;
            // were it to, calling it failed is the honest reading.
            (RunStatus::Completed, RunOutcome::Failed | RunOutcome::Pending) => Self::Failed,
        }
    }

    /// The state that is stored of a run: its status, *paused*, or the outcome of an ended one.
    pub fn stored(text: &str) -> Option<Self> {
        match text {
            "queued" => Some(Self::Queued),
            "paused" => Some(Self::Paused),
            "running" => Some(Self::Running),
            "succeeded" => Some(Self::Succeeded),
            "partially_succeeded" => Some(Self::Partial),
            "failed" => Some(Self::Failed),
            "blocked" => Some(Self::Blocked),
            "cancelled" => Some(Self::Cancelled),
            _ => None,
        }
    }

    /// The word; always shown with the glyph.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Stale => "stale",
            Self::Paused => "paused",
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::Stuck => "stuck",
            Self::Succeeded => "succeeded",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
            Self::Cancelled => "cancelled",
        }
    }

    /// The glyph, or its ASCII form.
    pub fn glyph(self, ascii: bool) -> &'static str {
        let (glyph, plain) = match self {
            Self::Queued => ("◌", "."),
            Self::Stale | Self::Stuck => ("‼", "!"),
            Self::Paused => ("⏸", "="),
            Self::Running => ("▶", ">"),
            Self::Cancelling => ("⊘", "-"),
            Self::Succeeded => ("✓", "+"),
            Self::Partial => ("◐", "~"),
            Self::Failed => ("✗", "x"),
            Self::Blocked => ("■", "#"),
            Self::Cancelled => ("⊘", "-"),
        };
        if ascii { plain } else { glyph }
    }

    /// Glyph and word, `✗ failed`.
    pub fn label(self, ascii: bool) -> String {
        format!("{} {}", self.glyph(ascii), self.word())
    }

    /// Whether the run is still to end.
    pub fn is_active(self) -> bool {
        matches!(
            self,
            Self::Queued
                | Self::Stale
                | Self::Paused
                | Self::Running
                | Self::Cancelling
                | Self::Stuck
        )
    }
}
