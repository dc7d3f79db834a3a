//! How things stand with the database, as far as what is shown goes.

use super::App;
use crate::domain::database_fault::Condition;
use crate::ops::Blocker;
use crate::tui::msg::Waiting;
use crate::tui::slot::Slot;

/// The state of the connection, as far as what is shown goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Connecting,
    Live,
    /// The database is there, and this did not come in time.
    Slow {
        slot: Slot,
        /// For how many seconds; none while it is not asked.
        waiting: Option<u64>,
        age: Option<chrono::Duration>,
    },
    Refused {
        slot: Slot,
        age: Option<chrono::Duration>,
    },
    /// What is shown is older than it should be.
    Old(chrono::Duration),
    Disconnected,
}

impl App {
    pub fn waiting(&self) -> &Waiting {
        self.link.waiting()
    }

    fn shown_slots(&self) -> Vec<Slot> {
        let subs = self.wanted();
        let session = self.session.is_none().then_some(Slot::SESSION);
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
            *slot != Slot::SESSION && self.link.is_refused(*slot)
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
        let Waiting { longest, slots, .. } = self.waiting();
        let waits = shown.iter().any(|slot| slots.contains(slot));
        let late = shown.iter().copied().find(|slot| self.link.late(*slot).is_some());
        // The tab's own data comes before the header's and the counts.
        let of_tab = late.is_some_and(|slot| !slot.is_aside());
        let named = longest.filter(|(slot, _)| waits && !(of_tab && slot.is_aside()));
        named.map(|(slot, seconds)| (slot, Some(seconds))).or(late.map(|slot| (slot, None)))
    }

    /// What a slow answer waits for, in a sentence, where that is known.
    pub fn blocked(&self) -> Option<String> {
        let State::Slow { slot, .. } = self.link_state() else { return None };
        let error = self.link.late(slot);
        let locked = error.is_none_or(|error| error.condition() == Some(Condition::Locked));
        // What an earlier question waited for says nothing of one whose answer came since.
        let now = self.waiting().blocker.as_ref();
        let known = if error.is_some() { self.link.blocker() } else { now };
        match known.filter(|_| locked) {
            Some(Blocker { table, holder }) => {
                let on = table.as_ref().map(|table| format!(" on {table}")).unwrap_or_default();
                let by = holder.as_ref().map(|by| format!(", held by {by}")).unwrap_or_default();
                Some(format!("Waiting for a lock{on}{by}"))
            }
            None => error.map(ToString::to_string),
        }
    }
}
