//! The one source of the current time, so that logic can be tested at a fixed moment and
//! every process of a platform goes by the database's clock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration as Elapsed, Instant};

use chrono::{DateTime, Duration, SubsecRound, Utc};

/// A measurement of the database's clock is good for so long.
const FRESH: Elapsed = Elapsed::from_secs(1);

/// A clock: the database's as it was last measured, or one that stands still until it is moved.
/// Clones share it.
///
/// Before the first measurement it is the machine's. Times are cut to microseconds, the
/// precision that both database engines keep; a value read back therefore equals the value
/// written.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    source: Arc<Mutex<Source>>,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    Fixed(DateTime<Utc>),
    Following {
        /// How wrong this process's clock is made, for tests.
        shift: Duration,
        measured: Option<Measured>,
    },
}

impl Default for Source {
    fn default() -> Self {
        Self::Following { shift: Duration::zero(), measured: None }
    }
}

/// What the database's clock showed.
#[derive(Debug, Clone, Copy)]
struct Measured {
    database: DateTime<Utc>,
    machine: DateTime<Utc>,
    at: Instant,
}

impl Clock {
    /// The machine's clock, until the database's is measured.
    pub fn system() -> Self {
        Self::default()
    }

    /// The clock of a process whose machine is wrong by `by`. For tests.
    pub fn shifted(by: Duration) -> Self {
        Self::from(Source::Following { shift: by, measured: None })
    }

    /// A clock that stands at `at` until [`Clock::advance`] moves it.
    pub fn fixed(at: DateTime<Utc>) -> Self {
        Self::from(Source::Fixed(at.trunc_subsecs(6)))
    }

    fn from(source: Source) -> Self {
        Self { source: Arc::new(Mutex::new(source)) }
    }

    fn source(&self) -> Source {
        *self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The current time, cut to microseconds.
    pub fn now(&self) -> DateTime<Utc> {
        let now = match self.source() {
            Source::Fixed(at) => return at,
            Source::Following { shift, measured: None } => machine(shift),
            Source::Following { measured: Some(measured), .. } => {
                measured.database + Duration::from_std(measured.at.elapsed()).unwrap_or_default()
            }
        };
        now.trunc_subsecs(6)
    }

    /// What this machine's clock shows, whatever the database's does.
    pub(crate) fn machine(&self) -> DateTime<Utc> {
        match self.source() {
            Source::Fixed(at) => at,
            Source::Following { shift, .. } => machine(shift).trunc_subsecs(6),
        }
    }

    /// By how much the machine's clock is ahead of the database's; negative: behind. None before
    /// the first measurement.
    pub fn ahead(&self) -> Option<Duration> {
        match self.source() {
            Source::Following { shift, measured: Some(_) } => Some(machine(shift) - self.now()),
            _ => None,
        }
    }

    /// Whether the database's clock has to be measured before a limit in time is looked at.
    pub(crate) fn is_due(&self) -> bool {
        match self.source() {
            Source::Fixed(_) => false,
            Source::Following { measured: None, .. } => true,
            Source::Following { shift, measured: Some(measured) } => {
                // A machine that slept or was set differs in how long that was.
                let passed = measured.at.elapsed();
                let shown = machine(shift) - measured.machine;
                let fresh = i64::try_from(FRESH.as_millis()).unwrap_or(i64::MAX);
                passed >= FRESH || shown.num_milliseconds().abs() >= fresh
            }
        }
    }

    /// Follows the database's clock, which shows `database`. A fixed clock stays.
    pub(crate) fn follow(&self, database: DateTime<Utc>) {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        if let Source::Following { shift, measured } = &mut *source {
            let machine = machine(*shift);
            *measured = Some(Measured { database, machine, at: Instant::now() });
        }
    }

    /// Moves a fixed clock by `by` (which may be negative); any other ignores it.
    pub fn advance(&self, by: Duration) {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        if let Source::Fixed(at) = &mut *source {
            *at += by;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
fn machine(shift: Duration) -> DateTime<Utc> {
    Utc::now() + shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_machine_follows_the_database() {
        let clock = Clock::shifted(Duration::days(200));
        let right = Clock::system().now();
        assert!(clock.is_due() && clock.ahead().is_none());
        assert!(clock.now() - right > Duration::days(199));
        clock.follow(right);
        assert!(!clock.is_due());
        assert!(clock.now() - right < Duration::minutes(1), "{}", clock.now());
        assert!(clock.ahead().unwrap() > Duration::days(199));
        assert!(clock.machine() - right > Duration::days(199));
    }

    #[test]
    fn a_fixed_clock_follows_nobody() {
        let at = Clock::system().now() - Duration::days(9);
        let clock = Clock::fixed(at);
        clock.follow(at + Duration::days(1));
        assert_eq!(clock.now(), at);
        clock.clone().advance(Duration::hours(1));
        assert_eq!(clock.now(), at + Duration::hours(1));
    }
}
