//! What happens to the console, and what it wants done: data both, so tests can assert it.
//!
//! Neither is ever read from a file; a keymap names [`super::command::Command`]s only.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crossterm::event::KeyEvent;

use crate::access::Requirement;
use crate::drafts::{DraftKey, Drafts};
use crate::ops::plans::Counted;
use crate::ops::{AnyOperation, AnyOutput, Blocker};
use crate::tui::draft_files::{Done, Job};
use crate::tui::export::{ExportDiagnostics, ExportPlan};
use crate::tui::slot::Slot;
use crate::{Error, ErrorKind, Result};

#[derive(Debug)]
pub enum Msg {
    Key(KeyEvent),
    Paste(String),
    /// The wheel was turned, away from the person (up) or towards them.
    Wheel {
        up: bool,
    },
    Click {
        column: u16,
        row: u16,
    },
    /// The terminal has a new size, in cells.
    Resize(u16, u16),
    Focus(bool),
    /// The line to the terminal was found to be slow, or is no longer.
    Terse(bool),
    Tick,
    Waiting(Waiting),
    Rested,
    Done {
        slot: Slot,
        answer: Box<Answer>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Whose answer is awaited longest, and for how many seconds.
    pub longest: Option<(Slot, u64)>,
    pub slots: BTreeSet<Slot>,
    /// The database has answered nothing for seconds.
    pub silent: bool,
    pub blocker: Option<Blocker>,
    /// How long the way to the database and back takes, where that is long.
    pub trip: Option<&'static str>,
    pub least: Duration,
}

impl Waiting {
    /// Whether only the seconds have changed.
    pub fn is_like(&self, other: &Self) -> bool {
        let slot = |waiting: &Self| waiting.longest.map(|(slot, _)| slot);
        slot(self) == slot(other)
            && (self.silent, &self.blocker, self.trip) == (other.silent, &other.blocker, other.trip)
    }
}

/// What is asked of the service, or of this machine's disk. Two equal requests are the same request.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    Op(Box<AnyOperation>),
    /// An operation, once a draft's file was written, or could not be.
    Kept(Box<(Drafts, Job)>, Box<AnyOperation>),
    /// Work on files of drafts, in this order.
    Files(Drafts, Vec<Job>),
    ExportPlan(ExportPlan),
    ExportDiagnostics(ExportDiagnostics),
}

impl Request {
    pub fn of(operation: impl Into<AnyOperation>) -> Self {
        Self::Op(Box::new(operation.into()))
    }

    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::Op(asked) if asked.requirement() == Requirement::BeforeLogin)
    }

    /// Whether it asks for rows beyond those that are polled.
    pub fn leads_beyond(&self) -> bool {
        let Self::Op(operation) = self else { return false };
        match &**operation {
            AnyOperation::ListRuns(asked) => asked.leads_beyond(),
            AnyOperation::ListNotifications(asked) => asked.before.is_some(),
            _ => false,
        }
    }
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a message holds it in a box")]
pub enum Answer {
    Op(AnyOutput),
    /// How far a preflight is; its plan is still to come.
    Counted(Counted),
    /// What came of each job on files of drafts, in order, with whom it was for.
    Files(Vec<(DraftKey, Done)>),
    /// How many targets of a plan were written into a file.
    PlanExported(ExportPlan, Result<usize>),
    DiagnosticsExported(Result<Vec<PathBuf>>),
    /// Nothing has changed since the last answer to the same request.
    Unchanged,
    /// Something has, and is read a moment later.
    Later,
    Looked(Result<Option<Blocker>>),
    /// Whether something has changed could not be found out.
    Unknown(Error),
}

impl Answer {
    pub fn logs_in(&self) -> bool {
        matches!(self, Self::Op(AnyOutput::Login(_, Ok(_))))
    }

    /// Whether it is the answer to a write that was made.
    pub fn wrote(&self) -> bool {
        matches!(self, Self::Op(output) if output.wrote())
    }

    /// Whether it only says how far the request is that will be answered.
    pub fn is_progress(&self) -> bool {
        matches!(self, Self::Counted(_))
    }

    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::Op(output) => output.error(),
            // A disk that is full says nothing about the database.
            Self::PlanExported(_, result) => {
                result.as_ref().err().filter(|error| error.kind() != ErrorKind::Failed)
            }
            Self::Unknown(error) => Some(error),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Ask(Slot, Request),
    /// Give up what is asked; it is read only, so nothing is left of it.
    Stop(Slot),
    /// Give up what is read, once it turns out to be slow.
    Leave(Slot),
    Copy(String),
    /// Say [`Msg::Rested`] when nothing else was asked to for a moment.
    WaitForRest,
    Suspend,
    Repaint,
    Quit,
}

impl Effect {
    pub fn ask(slot: Slot, operation: impl Into<AnyOperation>) -> Self {
        Self::Ask(slot, Request::of(operation))
    }
}

/// Something to be asked again and again while the state wants it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sub {
    pub slot: Slot,
    pub request: Request,
    pub every: Duration,
    pub follows: Follows,
}

/// What an answer follows, and with that when a poll may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    Changes,
    /// The passing of time, too: leases run out and workers go silent by it.
    Time,
    /// A run that is under way, too, whose steps no hint tells of.
    Progress,
}
