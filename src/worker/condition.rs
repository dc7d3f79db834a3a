//! The condition of the database as this worker meets it: told once per change, and never told
//! over before everything that failed was written again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::event::WorkerEvent;
use crate::Error;
use crate::domain::database_fault::{AS_OWNER, Condition as Kind};

/// For so long what may pass has to last before it is an outage: a lock that others hold, a denial for
/// which no grant is missing.
const HOLDS_ON: Duration = Duration::from_secs(2);

/// What meets the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The heartbeat.
    Heart,
    /// Claims.
    Claim,
    /// A target of a run.
    Target(i64, i64),
    /// A run as a whole, at an operation.
    Run(i64, &'static str),
}

impl Source {
    /// Whether it is a run, or a target of it.
    pub fn is_of(self, run_id: i64) -> bool {
        matches!(self, Self::Target(id, _) | Self::Run(id, _) if id == run_id)
    }
}

/// The steps of a run, whichever is written first.
pub const STEPS: &str = "steps";

#[derive(Debug, Default)]
struct State {
    failing: BTreeSet<Source>,
    since: Option<Instant>,
    /// Since when what may pass lasts, for whom; the targets of a run also as the run.
    waiting: BTreeMap<Source, Instant>,
    /// The causes that were told in this outage.
    told: Vec<String>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Condition {
    state: Mutex<State>,
    waits: LockWaits,
}

/// For how long a statement waits for a lock before it fails.
#[derive(Debug, Clone, Copy, Default)]
pub struct LockWaits {
    /// One of the heartbeat.
    pub heart: Duration,
    /// Any other.
    pub work: Duration,
}

impl Condition {
    /// Nothing has failed yet.
    pub fn new(waits: LockWaits) -> Self {
        Self { waits, ..Self::default() }
    }

    /// Notes a failure of `source`; gives what to tell, where it is new.
    pub fn failed(&self, source: Source, error: &Error) -> Option<WorkerEvent> {
        self.failed_at(source, error, Instant::now())
    }

    fn failed_at(&self, source: Source, error: &Error, now: Instant) -> Option<WorkerEvent> {
        let mut state = self.locked();
        if let Some(wait) = self.may_pass(source, error) {
            let began = now.checked_sub(wait).unwrap_or(now);
            // Each try of a run may be one of another target.
            let all = [Some(source), run_of(source)].into_iter().flatten();
            let since = all.map(|source| *state.waiting.entry(source).or_insert(began)).min();
            if since.is_some_and(|since| now - since < HOLDS_ON) {
                return None;
            }
        }
        state.failing.insert(source);
        state.since.get_or_insert(now);
        let why = cause(error);
        if state.told.contains(&why) {
            return None;
        }
        state.told.push(why.clone());
        Some(WorkerEvent::DatabaseLost { why })
    }

    /// How long a failure has lasted already that may be over by the next try; none for any other.
    fn may_pass(&self, source: Source, error: &Error) -> Option<Duration> {
        match error.condition() {
            // Writers meet now and then; who waits longer waits for a session that holds on.
            Some(Kind::Locked) if source == Source::Heart => Some(self.waits.heart),
            Some(Kind::Locked) => Some(self.waits.work),
            // Nothing was missing any more when it was looked up.
            Some(Kind::Denied) if !names_grant(error) => Some(Duration::ZERO),
            _ => None,
        }
    }

    /// Notes that `source` wrote something; gives what to tell, where nothing fails any more.
    pub fn wrote(&self, source: Source) -> Option<WorkerEvent> {
        let mut state = self.locked();
        let mut failed = false;
        for source in [Some(source), run_of(source)].into_iter().flatten() {
            state.waiting.remove(&source);
            failed |= state.failing.remove(&source);
        }
        if !failed || !state.failing.is_empty() {
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
        state.waiting.retain(|source, _| !is_meant(*source));
        if state.failing.is_empty() {
            return;
        }
        state.failing.retain(|source| !is_meant(*source));
        if state.failing.is_empty() {
            state.failing.insert(Source::Heart);
        }
    }

    /// A run was lost to an outage. What failed of it fails until any step of it is written.
    pub fn lose(&self, run_id: i64) {
        let mut state = self.locked();
        let before = state.failing.len();
        state.failing.retain(|source| !source.is_of(run_id));
        if state.failing.len() < before {
            state.failing.insert(Source::Run(run_id, STEPS));
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

/// The run of a target.
fn run_of(source: Source) -> Option<Source> {
    match source {
        Source::Target(run_id, _) => Some(Source::Run(run_id, STEPS)),
        Source::Heart | Source::Claim | Source::Run(..) => None,
    }
}

fn names_grant(error: &Error) -> bool {
    error.next_step().is_some_and(|hint| hint.contains(AS_OWNER))
}

/// The cause of an outage: in the words that the runs which wait have for it, and what the
/// database said.
fn cause(error: &Error) -> String {
    match (error.condition(), error.fault()) {
        // Its table, and the grant.
        (Some(Kind::Denied), _) => match error.next_step() {
            Some(hint) => format!("{}; {hint}", error.full_message()),
            None => error.full_message(),
        },
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

    fn locked() -> Error {
        let fault = DatabaseFault::new("55P03", None, None);
        Error::new(ErrorKind::TimedOut, "a lock was not free").with_fault(fault)
    }

    #[test]
    fn a_lock_that_was_waited_for_at_length_is_told_the_first_time() {
        let told = |wait: u64, source| {
            let wait = Duration::from_millis(wait);
            let condition = Condition::new(LockWaits { heart: wait, work: wait });
            condition.failed(source, &locked()).is_some()
        };
        let sources = [Source::Heart, Source::Claim, Source::Run(1, "end"), Source::Target(1, 2)];
        assert_eq!(sources.map(|source| told(1_500, source)), [false; 4]);
        assert_eq!(sources.map(|source| told(2_600, source)), [true; 4]);
    }

    #[test]
    fn a_grant_that_is_back_when_it_is_looked_up_is_told_once() {
        let condition = Condition::default();
        let began = Instant::now();
        let fault = DatabaseFault::new("42501", None, Some("findings"));
        let denied = Error::refused("the role may not use it").with_fault(fault);
        let missing = denied.clone().hint(format!("{AS_OWNER}grant insert on findings to w"));
        let fails = |error: &Error, ordinal, seconds| {
            let at = began + Duration::from_secs(seconds);
            condition.failed_at(Source::Target(1, ordinal), error, at).is_some()
        };
        // Two fail; what is missing is looked up before and after it is given.
        assert_eq!((fails(&missing, 1, 0), fails(&denied, 2, 1)), (true, false));
        assert!(condition.wrote(Source::Target(1, 1)).is_some());
        assert!(!fails(&denied, 3, 2), "the outage is over");
        assert_eq!(condition.wrote(Source::Target(1, 3)), None);
        // What lasts is told, whatever is missing.
        assert_eq!([3, 4, 5].map(|at| fails(&denied, 4, at)), [false, false, true]);
    }

    #[test]
    fn a_lock_that_is_held_on_to_is_told_whichever_target_waits_for_it() {
        let wait = Duration::from_millis(750);
        let condition = Condition::new(LockWaits { heart: wait, work: wait });
        let began = Instant::now();
        let fails = |n: u32, ordinal| {
            let at = began + n * Duration::from_millis(850);
            condition.failed_at(Source::Target(1, ordinal), &locked(), at).is_some()
        };
        assert_eq!([1, 2, 3].map(|n| fails(n, i64::from(n))), [false, false, true]);
        assert!(condition.wrote(Source::Target(1, 3)).is_some());
        // Another target got on in between.
        assert_eq!([4, 5].map(|n| fails(n, i64::from(n))), [false; 2]);
        condition.wrote(Source::Target(1, 6));
        assert!(!fails(6, 7));
    }

    #[test]
    fn an_outage_that_cost_a_run_lasts_until_a_step_of_it_is_written() {
        let condition = Condition::default();
        let full = Error::failed("the disk is full");
        let fails = || [1, 2].map(|n| condition.failed(Source::Target(7, n), &full).is_some());
        assert_eq!(fails(), [true, false]);
        condition.lose(7);
        assert!(condition.wrote(Source::Heart).is_none(), "a heartbeat shows nothing of steps");
        assert!(condition.wrote(Source::Claim).is_none());
        assert_eq!(fails(), [false, false], "the same outage");
        assert!(condition.wrote(Source::Target(7, 1)).is_none());
        assert!(condition.wrote(Source::Target(7, 2)).is_some());
        condition.lose(7);
        assert_eq!(condition.cause(), None, "nothing failed");
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
        // That another statement is written shows nothing of the one that failed.
        condition.failed(Source::Run(7, "end"), &full);
        assert_eq!(condition.wrote(Source::Run(7, "refresh")), None);
        assert!(condition.wrote(Source::Run(7, "end")).is_some());
        condition.failed(Source::Run(7, "end"), &full);
        condition.forget(|source| source == Source::Run(7, "end"));
        assert!(condition.wrote(Source::Heart).is_some(), "a write has to show it");
    }
}
