//! How things stand with the database: per slot, what its last answer was and when it came.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::once::Once;
use super::{App, condition};
use crate::domain::database_fault::Condition;
use crate::ops::Blocker;
use crate::tui::msg::{Answer, Request, Slot, Waiting};
use crate::{Error, ErrorKind};

/// How things stand with the database.
#[derive(Debug, Clone, Default)]
pub struct Link {
    /// When it answered last.
    pub answered: Option<DateTime<Utc>>,
    /// Why it does not.
    pub trouble: Option<Error>,
    /// Whether it takes writes.
    pub writes: condition::Writes,
    /// Since when the tab reads what it does.
    pub(super) opened: Option<DateTime<Utc>>,
    /// What is waited for.
    waiting: Waiting,
    /// The lock that was waited for last.
    blocker: Option<Blocker>,
    slots: BTreeMap<Slot, Answered>,
    /// What is not polled, and asked again until it is answered.
    pub(super) once: Once,
}

/// How a slot was answered.
#[derive(Debug, Clone, Default)]
struct Answered {
    /// When its data came, or was found to be unchanged.
    at: Option<DateTime<Utc>>,
    /// Why it did not come in time since.
    slow: Option<Error>,
    /// Whether the database refused it since.
    refused: bool,
    /// Whether the person may not have it. It is not asked again by itself: each such decision is
    /// audited.
    denied: bool,
}

/// The state of the connection, as far as what is shown goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing was answered yet.
    Connecting,
    /// What is shown is what there is.
    Live,
    /// The database is there, and this did not come in time.
    Slow {
        /// What is waited for.
        slot: Slot,
        /// For how many seconds; none while it is not asked.
        waiting: Option<u64>,
        /// How old is what is shown instead.
        age: Option<chrono::Duration>,
    },
    /// The database is there, and refused this.
    Refused {
        /// What could not be read.
        slot: Slot,
        /// How old is what is shown instead.
        age: Option<chrono::Duration>,
    },
    /// What is shown is older than it should be.
    Old(chrono::Duration),
    /// The database does not answer.
    Disconnected,
}

impl Link {
    /// What is waited for.
    pub fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    /// Whether the database does not answer.
    pub fn is_lost(&self) -> bool {
        self.trouble.is_some() || self.waiting.silent
    }

    /// Forgets what was answered: it was another person's.
    pub(super) fn forget(&mut self) {
        self.slots.clear();
        self.once = Once::default();
        self.blocker = None;
    }

    /// When a slot's data came.
    pub fn answered_at(&self, slot: Slot) -> Option<DateTime<Utc>> {
        self.slots.get(&slot).and_then(|answered| answered.at)
    }

    /// Whether a slot was denied when it was asked last.
    pub fn is_denied(&self, slot: Slot) -> bool {
        self.slots.get(&slot).is_some_and(|answered| answered.denied)
    }

    /// What a slot was asked once, as long as it is not answered.
    pub fn asked_once(&self, slot: Slot) -> Option<&Request> {
        self.once.open(slot)
    }

    /// Takes note of a question that is asked once.
    pub(super) fn asked(&mut self, slot: Slot, request: &Request) {
        if self.once.ask(slot, request) {
            self.slots.remove(&slot);
        }
    }

    /// Takes note of an answer.
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
            state.slow = (slot != Slot::Session).then(|| error.clone());
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

impl App {
    /// Takes over what is waited for.
    pub(super) fn take_waiting(&mut self, waiting: Waiting) {
        if waiting.blocker.is_some() {
            self.link.blocker.clone_from(&waiting.blocker);
        }
        self.link.waiting = waiting;
    }

    /// What is waited for.
    pub fn waiting(&self) -> &Waiting {
        &self.link.waiting
    }

    /// The slots that this state shows.
    fn shown_slots(&self) -> Vec<Slot> {
        let subs = self.wanted();
        let session = self.session.is_none().then_some(Slot::Session);
        subs.into_iter().map(|sub| sub.slot).chain(session).collect()
    }

    /// The state of the connection, as far as what is shown goes.
    pub fn link_state(&self) -> State {
        if self.link.is_lost() {
            return State::Disconnected;
        }
        if self.link.answered.is_none() {
            return State::Connecting;
        }
        if let Some((slot, waiting)) = self.slow() {
            let age = self.link.answered_at(slot).map(|at| self.look.now - at);
            return State::Slow { slot, waiting, age };
        }
        let refused = |slot: &Slot| {
            // The form says why a login was refused.
            *slot != Slot::Session && self.link.slots.get(slot).is_some_and(|s| s.refused)
        };
        if let Some(slot) = self.shown_slots().into_iter().find(refused) {
            let age = self.link.answered_at(slot).map(|at| self.look.now - at);
            return State::Refused { slot, age };
        }
        self.stale_for().map_or(State::Live, State::Old)
    }

    /// What is shown and did not come in time, and for how long it is waited for now.
    fn slow(&self) -> Option<(Slot, Option<u64>)> {
        let shown = self.shown_slots();
        let Waiting { longest, slots, .. } = &self.link.waiting;
        let waits = shown.iter().any(|slot| slots.contains(slot));
        let late = |slot: &Slot| self.link.slots.get(slot).is_some_and(|s| s.slow.is_some());
        let late = shown.iter().copied().find(late);
        // The tab's own data comes before the header's and the counts.
        let of_tab = late.is_some_and(|slot| !slot.is_aside());
        let named = longest.filter(|(slot, _)| waits && !(of_tab && slot.is_aside()));
        named.map(|(slot, seconds)| (slot, Some(seconds))).or(late.map(|slot| (slot, None)))
    }

    /// What a slow answer waits for, in a sentence, where that is known.
    pub fn blocked(&self) -> Option<String> {
        let State::Slow { slot, .. } = self.link_state() else { return None };
        let error = self.link.slots.get(&slot).and_then(|state| state.slow.as_ref());
        let locked = error.is_none_or(|error| error.condition() == Some(Condition::Locked));
        // What an earlier question waited for says nothing of one whose answer came since.
        let known = if error.is_some() { &self.link.blocker } else { &self.link.waiting.blocker };
        match known.as_ref().filter(|_| locked) {
            Some(Blocker { table, holder }) => {
                let on = table.as_ref().map(|table| format!(" on {table}")).unwrap_or_default();
                let by = holder.as_ref().map(|by| format!(", held by {by}")).unwrap_or_default();
                Some(format!("Waiting for a lock{on}{by}"))
            }
            None => error.map(ToString::to_string),
        }
    }
}

impl Slot {
    /// What is waited for, in words.
    pub const fn subject(self) -> &'static str {
        match self {
            Self::List => "the runs",
            Self::Counts => "the counts of runs",
            Self::Detail => "the run",
            Self::Unread | Self::Notices => "the inbox",
            Self::Workers => "the workers",
            Self::Overview => "the overview",
            Self::Errors => "the errors",
            Self::Usage => "the numbers",
            Self::BreakGlass => "break-glass",
            Self::Session => "the login",
            Self::SupportRequests | Self::SupportRequest => "the support requests",
            Self::SupportTenants | Self::SupportTenant | Self::RunTenants | Self::ScopeChoices => {
                "the tenants"
            }
            Self::Preflight => "the preflight",
            Self::PlanTargets => "the targets",
            Self::Plan => "the plan",
            Self::Named | Self::Names => "the names",
            Self::Evidence | Self::Diagnostics => "the diagnostics",
            Self::SendRequest => "the support request",
            Self::Export => "the export",
            Self::Control
            | Self::StartRunbook
            | Self::BreakGlassChange
            | Self::MarkRead
            | Self::MarkAllRead => "the change",
            _ => "the database",
        }
    }
}
