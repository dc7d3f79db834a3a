//! When what is asked again and again is asked next.

use std::time::Duration;

use tokio::time::Instant;

use super::Runner;
use super::feed::Seen;
use crate::tui::msg::Sub;
use crate::tui::slot::Slot;

/// Polls that are due within this time are asked together.
const TOGETHER: Duration = Duration::from_secs(1);
/// What a request waits for is looked up this often.
const LOOK: Duration = Duration::from_millis(1_500);

pub(super) struct Scheduled {
    pub(super) sub: Sub,
    asked: Instant,
}

impl Scheduled {
    pub(super) fn due(&self) -> Instant {
        self.asked + self.sub.every
    }

    /// Makes it due at `at`, unless it is before.
    pub(super) fn due_at(&mut self, at: Instant) {
        if at < self.due() {
            self.asked = at.checked_sub(self.sub.every).unwrap_or(self.asked);
        }
    }
}

impl Runner {
    /// A lock that came or went concerns what is read seldom, too; so does a database that is read-only.
    pub(super) fn follow_bars(&mut self) {
        let bars = self.feed.bars();
        if std::mem::replace(&mut self.bars, bars) != bars {
            self.due_now();
        }
    }

    pub(super) fn due_now(&mut self) {
        let now = Instant::now();
        self.scheduled.iter_mut().for_each(|scheduled| scheduled.due_at(now));
    }

    /// What has changed since a moment ago, or while it was read, is read soon.
    pub(super) fn follow_up(&mut self, slot: Slot, shown: Option<Seen>, later: bool) {
        let Some(shown) = shown else { return };
        let missed = !self.terse && slot.follows_hints() && self.feed.missed(shown);
        let scheduled = self.scheduled.iter_mut().find(|scheduled| scheduled.sub.slot == slot);
        if let Some(scheduled) = scheduled.filter(|_| later || missed) {
            scheduled.due_at(shown.at + slot.distance());
        }
    }

    /// Takes over what the state wants to be polled: new subscriptions start their wait now,
    /// those that are gone stop.
    pub fn subscribe(&mut self, subs: Vec<Sub>) {
        let now = Instant::now();
        let mut before: Vec<Scheduled> = std::mem::take(&mut self.scheduled);
        for sub in subs {
            let asked = before
                .iter()
                .position(|old| old.sub.slot == sub.slot)
                .map_or(now, |index| before.swap_remove(index).asked);
            self.scheduled.push(Scheduled { sub, asked });
        }
    }

    /// Asks what is due, gives up what is not wanted, and looks what is waited for.
    pub fn poll_due(&mut self) {
        self.follow_bars();
        let now = Instant::now();
        let mut due = Vec::new();
        let any = self.scheduled.iter().any(|scheduled| scheduled.due() <= now);
        for scheduled in self.scheduled.iter_mut().filter(|_| any) {
            // Asked together from now on, they need one question instead of two.
            if scheduled.due() <= now + (scheduled.sub.every / 2).min(TOGETHER) {
                scheduled.asked = now;
                due.push(scheduled.sub.clone());
            }
        }
        for sub in due {
            // Due together: one question is enough.
            self.put(sub.slot, sub.request, Some(sub.follows), now);
        }
        self.give_up();
        if self.longest().is_none_or(|(_, since)| now - since < self.slow_after()) {
            self.blocker = None;
        } else if self.looked.is_none_or(|looked| now - looked >= LOOK) {
            self.looked = Some(now);
            if let Some(second) = &self.second {
                second.look();
            }
        }
    }

    /// The database says that something has changed: what is subscribed is asked soon.
    pub fn hinted(&mut self) {
        if self.terse {
            return;
        }
        let now = Instant::now();
        for scheduled in &mut self.scheduled {
            if scheduled.sub.slot.follows_hints() {
                let slot = scheduled.sub.slot;
                let shown = self.slots.get(&slot).and_then(|state| state.shown.as_ref());
                let seen = shown.and_then(|(_, seen)| *seen);
                let next = seen.map_or(now, |seen| seen.at + slot.distance());
                scheduled.due_at(next.max(now));
            }
        }
    }
}
