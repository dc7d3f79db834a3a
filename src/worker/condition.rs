//! The condition of the database as this worker meets it: told once per change, and never told
//! over before everything that failed was written again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::event::WorkerEvent;
use crate::Error;
use crate::domain::database_fault::Condition as Kind;

/// So often in a row a lock has to be held by others before that is an outage ...
const HOLDS_ON: u32 = 3;
/// ... and once is enough where a statement waits for so long.
const LONG_WAIT: Duration = Duration::from_secs(5);

/// What meets the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The heartbeat.
    Heart,
    /// Claims.
    Claim,
    /// A target of a run.
    Target(i64, i64),
    /// A run as a whole.
    Run(i64),
}

#[derive(Debug, Default)]
struct State {
    failing: BTreeSet<Source>,
    since: Option<Instant>,
    /// How often in a row a lock was not free in time.
    met: BTreeMap<Source, u32>,
    /// The causes that were told in this outage.
    told: Vec<String>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Condition {
    state: Mutex<State>,
    /// For how long the statements of runs wait for a lock.
    lock_wait: Duration,
}

impl Condition {
    /// Nothing has failed yet; the statements of runs wait for a lock for `lock_wait`.
    pub fn new(lock_wait: Duration) -> Self {
        Self { lock_wait, ..Self::default() }
    }

    /// Notes a failure of `source`; gives what to tell, where it is new.
    pub fn failed(&self, source: Source, error: &Error) -> Option<WorkerEvent> {
        let mut state = self.locked();
        if error.condition() == Some(Kind::Locked) {
            // Writers meet now and then; who waits longer waits for somebody who holds on.
            let met = state.met.entry(source).or_default();
            *met += 1;
            let of_run = matches!(source, Source::Target(..) | Source::Run(_));
            let once = of_run && self.lock_wait >= LONG_WAIT;
            if *met < HOLDS_ON && !once {
                return None;
            }
        }
        state.failing.insert(source);
        state.since.get_or_insert_with(Instant::now);
        let why = cause(error);
        if state.told.contains(&why) {
            return None;
        }
        state.told.push(why.clone());
        Some(WorkerEvent::DatabaseLost { why })
    }

    /// Notes that `source` wrote something; gives what to tell, where nothing fails any more.
    pub fn wrote(&self, source: Source) -> Option<WorkerEvent> {
        let mut state = self.locked();
        state.met.remove(&source);
        if !state.failing.remove(&source) || !state.failing.is_empty() {
            return None;
        }
        state.told.clear();
        let away = state.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        Some(WorkerEvent::DatabaseBack { away })
    }

    /// Forgets what concerns `source` alone. If nothing else fails, the next heartbeat has to show
    /// that the database takes writes.
    pub fn forget(&self, is_meant: impl Fn(Source) -> bool) {
        let mut state = self.locked();
        state.met.retain(|source, _| !is_meant(*source));
        if state.failing.is_empty() {
            return;
        }
        state.failing.retain(|source| !is_meant(*source));
        if state.failing.is_empty() {
            state.failing.insert(Source::Heart);
        }
    }

    /// Whether `source` fails.
    pub fn is_failing(&self, source: Source) -> bool {
        self.locked().failing.contains(&source)
    }

    /// The cause of the outage that the worker is in.
    pub fn cause(&self) -> Option<String> {
        let state = self.locked();
        state.since.and_then(|_| state.told.last().cloned())
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cause of an outage: in the words that the runs which wait have for it, and what the
/// database said.
fn cause(error: &Error) -> String {
    match (error.condition(), error.fault()) {
        // Why a session is refused says more than that the server does.
        (Some(condition), Some(fault)) if !fault.is_of_session() => {
            format!("{} ({fault})", condition.text())
        }
        _ => error.full_message(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::domain::database_fault::DatabaseFault;

    #[test]
    fn a_lock_that_was_waited_for_at_length_is_told_the_first_time() {
        let locked = DatabaseFault::new("55P03", None, None);
        let locked = Error::new(ErrorKind::TimedOut, "a lock was not free").with_fault(locked);
        let told = |condition: &Condition, source| condition.failed(source, &locked).is_some();
        let short = Condition::new(Duration::from_millis(200));
        let (target, heart) = (Source::Target(1, 2), Source::Heart);
        assert_eq!([0; 3].map(|_| told(&short, target)), [false, false, true]);
        let long = Condition::new(Duration::from_secs(22));
        assert_eq!([told(&long, heart), told(&long, target)], [false, true]);
    }

    #[tokio::test]
    async fn an_outage_is_told_once_per_cause_and_is_over_once_all_is_written_again() {
        let condition = Condition::default();
        let full = Error::failed("the disk is full");
        let gone = Error::new(ErrorKind::Unreachable, "it cannot be reached");
        assert!(condition.wrote(Source::Heart).is_none());
        let told = condition.failed(Source::Target(1, 2), &full);
        assert_eq!(told, Some(WorkerEvent::DatabaseLost { why: "the disk is full".to_owned() }));
        assert_eq!(condition.failed(Source::Target(1, 3), &full), None);
        assert!(condition.failed(Source::Heart, &gone).is_some());
        assert_eq!(condition.failed(Source::Heart, &full), None);
        assert_eq!(condition.wrote(Source::Heart), None);
        assert_eq!(condition.wrote(Source::Target(1, 2)), None);
        assert!(condition.cause().is_some());
        assert!(matches!(
            condition.wrote(Source::Target(1, 3)),
            Some(WorkerEvent::DatabaseBack { .. })
        ));
        assert_eq!((condition.wrote(Source::Heart), condition.cause()), (None, None));
        condition.failed(Source::Run(7), &full);
        condition.forget(|source| source == Source::Run(7));
        assert!(condition.wrote(Source::Heart).is_some(), "a write has to show it");
    }
}
