//! Starts of targets that neither progress nor a crash has ended yet. An outage that comes between
//! a start and its step makes the start count for nothing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::domain::database_fault::DatabaseFault;
use crate::ops::runs::{Begun, OpenStart, Outage, Pending};

#[derive(Debug)]
struct Open {
    steps: i64,
    counted: i64,
    fault: Option<DatabaseFault>,
}

impl Open {
    fn start(&self, ordinal: i64) -> OpenStart {
        let Self { steps, counted, fault } = self;
        OpenStart { ordinal, steps: *steps, counted: *counted, fault: fault.clone() }
    }
}

/// The open starts of a run under execution, by position.
#[derive(Debug, Default)]
pub struct Starts {
    open: Mutex<HashMap<i64, Open>>,
    /// What the database failed steps with, as it was logged; until it is written.
    logged: Mutex<HashMap<i64, String>>,
}

impl Starts {
    /// A start was committed.
    pub fn began(&self, begun: &Begun) {
        let counted = begun.starts - 1;
        self.locked().insert(begun.ordinal, Open { steps: begun.steps, counted, fault: None });
    }

    /// Whether a start was committed is not known: the database did not answer.
    pub fn may_have_begun(&self, target: &Pending, fault: Option<&DatabaseFault>) {
        let mut open = self.locked();
        let (steps, counted) = (target.steps, target.starts);
        let entry = open.entry(target.ordinal).or_insert(Open { steps, counted, fault: None });
        entry.fault = fault.cloned();
    }

    /// An outage kept a step from being done.
    pub fn interrupted(&self, ordinal: i64, fault: Option<&DatabaseFault>) {
        if let Some(open) = self.locked().get_mut(&ordinal) {
            open.fault = fault.cloned();
        }
    }

    /// The start ended in order, or in a crash.
    pub fn ended(&self, ordinal: i64) {
        self.locked().remove(&ordinal);
    }

    /// Whether a failure of a step is to be logged. Where it cannot be written, the step is tried, and
    /// fails, again and again.
    pub fn is_news(&self, ordinal: i64, message: &str) -> bool {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        logged.insert(ordinal, message.to_owned()).is_none_or(|before| before != message)
    }

    /// The failure of a step was written.
    pub fn written(&self, ordinal: i64) {
        self.logged.lock().unwrap_or_else(PoisonError::into_inner).remove(&ordinal);
    }

    /// What the next start of a target has to know.
    pub fn outage(&self, ordinal: i64) -> Option<Outage> {
        let open = self.locked();
        let open = open.get(&ordinal)?;
        Some(Outage { counted: open.counted, fault: open.fault.clone() })
    }

    /// A start that is still open.
    pub fn open(&self, ordinal: i64) -> Option<OpenStart> {
        self.locked().get(&ordinal).map(|open| open.start(ordinal))
    }

    /// All that is still open.
    pub fn take_all(&self) -> Vec<OpenStart> {
        self.locked().drain().map(|(ordinal, open)| open.start(ordinal)).collect()
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<i64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
