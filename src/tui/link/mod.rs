//! How things stand with the database: per slot, what its last answer was and when it came.

pub mod once;
mod writes;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::domain::database_fault::Condition;
use crate::ops::Blocker;
use crate::tui::msg::{Answer, Request, Waiting};
use crate::tui::slot::Slot;
use crate::{Error, ErrorKind};
use once::Once;
use writes::Writes;

/// What is said while no request has failed yet.
const SILENT: &str = "the database does not answer; it may be frozen, overloaded or locked";

#[derive(Debug, Clone, Default)]
pub struct Link {
    pub answered: Option<DateTime<Utc>>,
    pub trouble: Option<Error>,
    pub writes: Writes,
    /// Since when the tab reads what it does.
    pub(in crate::tui) opened: Option<DateTime<Utc>>,
    waiting: Waiting,
    blocker: Option<Blocker>,
    slots: BTreeMap<Slot, Answered>,
    /// What is not polled, and asked again until it is answered.
    pub(in crate::tui) once: Once,
}

#[derive(Debug, Clone, Default)]
struct Answered {
    /// When its data came, or was found to be unchanged.
    at: Option<DateTime<Utc>>,
    /// Why it did not come in time since.
    slow: Option<Error>,
    refused: bool,
    /// Whether the person may not have it. It is not asked again by itself: each such decision is
    /// audited.
    denied: bool,
}

impl Link {
    pub fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    pub fn is_lost(&self) -> bool {
        self.trouble.is_some() || self.waiting.silent
    }

    /// Why the database does not answer, where it does not.
    pub fn outage(&self) -> Option<String> {
        let silent = || SILENT.to_owned();
        self.is_lost().then(|| self.trouble.as_ref().map_or_else(silent, ToString::to_string))
    }

    /// Forgets what was answered: it was another person's.
    pub(in crate::tui) fn forget(&mut self) {
        self.slots.clear();
        self.once = Once::default();
        self.blocker = None;
    }

    pub(in crate::tui) fn wait(&mut self, waiting: Waiting) {
        if waiting.blocker.is_some() {
            self.blocker.clone_from(&waiting.blocker);
        }
        self.waiting = waiting;
    }

    pub fn blocker(&self) -> Option<&Blocker> {
        self.blocker.as_ref()
    }

    /// Why a slot's data did not come in time since.
    pub fn late(&self, slot: Slot) -> Option<&Error> {
        self.slots.get(&slot).and_then(|answered| answered.slow.as_ref())
    }

    /// Whether the database has refused a slot since its data came.
    pub fn is_refused(&self, slot: Slot) -> bool {
        self.slots.get(&slot).is_some_and(|answered| answered.refused)
    }

    pub fn answered_at(&self, slot: Slot) -> Option<DateTime<Utc>> {
        self.slots.get(&slot).and_then(|answered| answered.at)
    }

    pub fn is_denied(&self, slot: Slot) -> bool {
        self.slots.get(&slot).is_some_and(|answered| answered.denied)
    }

    /// What a slot was asked once, as long as it is not answered.
    pub fn asked_once(&self, slot: Slot) -> Option<&Request> {
        self.once.open(slot)
    }

    /// Takes note of a question that is asked once.
    pub(in crate::tui) fn asked(&mut self, slot: Slot, request: &Request) {
        if self.once.ask(slot, request) {
            self.slots.remove(&slot);
        }
    }

    pub fn note(&mut self, slot: Slot, answer: &Answer, now: DateTime<Utc>) {
        self.writes.note(answer);
        if answer.is_progress() || matches!(answer, Answer::Later) {
            return self.answered(now);
        }
        self.once.answer(slot, answer.error());
        let state = self.slots.entry(slot).or_default();
        let Some(error) = answer.error() else {
            *state = Answered { at: Some(now), ..Answered::default() };
            return self.answered(now);
        };
        if is_late(error) {
            // A login is asked again by a key alone, and its form says why it was not answered.
            state.slow = (slot != Slot::SESSION).then(|| error.clone());
            return self.answered(now);
        }
        if is_silence(error) {
            // Other slots are answered sooner than it is asked again.
            state.refused |= self.once.open(slot).is_some();
            self.trouble = Some(error.clone());
            return;
        }
        let denied = error.kind() == ErrorKind::Forbidden;
        let refused = error.fault().is_some();
        let at = if refused { state.at } else { Some(now) };
        *state = Answered { at, slow: None, refused, denied };
        self.answered(now);
    }

    fn answered(&mut self, now: DateTime<Utc>) {
        self.answered = Some(now);
        self.trouble = None;
        if self.slots.values().all(|state| state.slow.is_none()) && self.waiting.longest.is_none() {
            self.blocker = None;
        }
    }
}

/// Whether the database says that it could not answer in time.
pub(in crate::tui) fn is_late(error: &Error) -> bool {
    error.kind() == ErrorKind::TimedOut && error.fault().is_some()
}

/// Whether there was no answer, or one with nothing that could be shown: a file that is garbage
/// answers so. One that is full answers reads.
fn is_silence(error: &Error) -> bool {
    use ErrorKind::{Failed, TimedOut, Unreachable};
    matches!(error.kind(), Unreachable | TimedOut | Failed)
        && error.condition() != Some(Condition::Full)
}
