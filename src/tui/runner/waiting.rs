//! What is waited for, and from when on an answer is late.

use std::time::Duration;

use tokio::time::Instant;

use super::Runner;
use super::polls::Scheduled;
use crate::ops::Engine;
use crate::tui::msg::Waiting;
use crate::tui::slot::Slot;

/// An answer that is awaited for so long is slow, unless the way alone takes half of it.
const SLOW: Duration = Duration::from_millis(800);
/// A way that takes so long is a long one.
const LONG: Duration = Duration::from_millis(150);
/// A database that has answered nothing for `QUIET`, and to which one question has been open for
/// `OPEN`, is disconnected; both are longer where the way is.
const QUIET: Duration = Duration::from_millis(3_500);
const OPEN: Duration = Duration::from_millis(2_700);

impl Runner {
    /// When there is something to do next without an answer.
    pub fn next_due(&self) -> Option<Instant> {
        let due = self.scheduled.iter().map(Scheduled::due).min();
        let waiting = match self.longest() {
            Some((_, since)) => {
                let open = since.elapsed();
                let second = Duration::from_secs(open.as_secs() + 1);
                let marks =
                    [self.slow_after(), self.open_for()].into_iter().filter(|at| *at > open);
                Some(since + marks.fold(second, Duration::min))
            }
            // Its next answer may be one that does not come.
            None => (!self.busy().is_empty()).then(|| Instant::now() + SLOW / 2),
        };
        due.into_iter().chain(waiting).min()
    }

    /// The request whose answer is awaited longest, and since when. On a server all requests share
    /// one connection; a file is read by each on its own, and only what is shown counts.
    pub(super) fn longest(&self) -> Option<(Slot, Instant)> {
        let shown = |slot: &Slot| self.scheduled.iter().any(|s| s.sub.slot == *slot);
        let counts = |slot: &Slot| self.ops.engine() == Engine::Postgres || shown(slot);
        let running = self.slots.iter().filter(|(slot, _)| counts(slot));
        let since = running
            .filter_map(|(slot, state)| Some((*slot, state.running.as_ref()?.awaited.since()?)));
        since.min_by_key(|(_, since)| *since)
    }

    pub(super) fn usually_slow_after(&self) -> Duration {
        SLOW.max(self.trip.least() * 2)
    }

    /// How long an answer takes that is slow.
    pub(super) fn slow_after(&self) -> Duration {
        let trip = self.trip.least();
        // Where a lock was seen, what takes longer than the way waits for it.
        let suspect = self.feed.is_locked() && trip >= LONG;
        if suspect { trip + LONG } else { self.usually_slow_after() }
    }

    /// How long a question is open to a database that is disconnected.
    fn open_for(&self) -> Duration {
        OPEN.max(self.trip.least() * 2)
    }

    /// What is waited for, in whole seconds; nothing while answers come in time. What was slow is so
    /// until it is answered.
    pub fn waiting(&mut self) -> Waiting {
        let longest = self.longest().map(|(slot, since)| (slot, since.elapsed()));
        let longest = longest.filter(|(_, open)| *open >= self.slow_after());
        let generation = |slot: &Slot| Some(self.slots.get(slot)?.running.as_ref()?.generation);
        let slow = match longest {
            Some((slot, open)) => generation(&slot).map(|at| (slot, at, open.as_secs().max(1))),
            None => self.slow.filter(|(slot, at, _)| generation(slot) == Some(*at)),
        };
        self.slow = slow;
        let trip = self.trip.text();
        let Some((slot, _, seconds)) = slow else {
            return Waiting { trip, least: self.trip.least(), ..Waiting::default() };
        };
        let silence = QUIET.max(self.trip.least() * 5 / 2);
        let quiet = self.feed.answered_at().is_none_or(|at| at.elapsed() >= silence);
        Waiting {
            longest: Some((slot, seconds)),
            slots: self.busy(),
            silent: quiet && longest.is_some_and(|(_, open)| open >= self.open_for()),
            blocker: self.blocker.clone(),
            trip,
            least: self.trip.least(),
        }
    }
}
