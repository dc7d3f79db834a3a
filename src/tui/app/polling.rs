//! What is asked again and again, and how old that makes what is shown.

use std::time::Duration;

use super::{App, GRACE, POLL_FACTOR, POLL_RANGE};
use crate::ops::condition::ReadCondition;
use crate::ops::platform::PlatformInfo;
use crate::tui::msg::{Effect, Follows, Request, Sub};
use crate::tui::slot::Slot;
use crate::tui::tabs::Tab;

/// So many answers are awaited one after the other before a poll's at most: those of a poll that goes
/// before, and its own.
const QUESTIONS: u32 = 8;

impl App {
    /// How often the state wants to be polled.
    pub fn poll_every(&self) -> Duration {
        let every = self.setup.poll;
        let often = self.focused && !self.look.terse;
        if often { every } else { (every * POLL_FACTOR).min(POLL_RANGE.1) }
    }

    pub fn reachable(&self) -> bool {
        !self.link.is_lost() && self.stale_for().is_none()
    }

    /// What is to be asked again and again in this state.
    pub fn subscriptions(&self) -> Vec<Sub> {
        // What was asked for by a key comes, frozen or not.
        let frozen = self.paused && self.session.is_some();
        let mut subs = if frozen { self.once_subs() } else { self.wanted() };
        subs.retain(|sub| !self.link.is_denied(sub.slot));
        subs
    }

    pub(super) fn wanted(&self) -> Vec<Sub> {
        let every = self.poll_every();
        if self.session.is_none() {
            // The answer to a login says as much, and nothing else is to be in its way.
            if self.login.is_checking() {
                return Vec::new();
            }
            return vec![Sub {
                slot: Slot::PLATFORM,
                request: Request::of(PlatformInfo),
                every,
                follows: Follows::Time,
            }];
        }
        let mut subs = self.tab_subs();
        let cx = self.cx_of_link();
        subs.extend(Tab::ALL.iter().flat_map(|tab| self.tabs.get(*tab).always(&cx)));
        subs.push(self.glass_poll());
        subs.push(Sub {
            slot: Slot::CONDITION,
            request: Request::of(ReadCondition),
            every,
            follows: Follows::Time,
        });
        subs.extend(self.once_subs());
        subs
    }

    fn tab_subs(&self) -> Vec<Sub> {
        if self.session.is_none() {
            return Vec::new();
        }
        self.below().subscriptions(&self.cx_of_link())
    }

    pub(super) fn tab_slots(&self) -> Vec<Slot> {
        self.tab_subs().into_iter().map(|sub| sub.slot).collect()
    }

    /// How much older what the tab shows is than it should be.
    pub fn stale_for(&self) -> Option<chrono::Duration> {
        self.session.as_ref()?;
        let main = self.tab_subs().into_iter().next();
        let main = main.filter(|sub| !self.link.is_denied(sub.slot));
        let at = main.as_ref().and_then(|sub| self.link.answered_at(sub.slot));
        // What comes seldom is not late, unless something is known to be wrong.
        let every = main.filter(|_| !self.link.is_lost()).map(|sub| sub.every);
        let every = every.unwrap_or_else(|| self.poll_every());
        let at = at.or(self.link.answered)?;
        // What a tab is opened for is on its way.
        let since = self.link.opened.map_or(at, |opened| opened.max(at));
        // Over a long way, each question before it takes its time.
        let every = every + self.link.waiting().least * QUESTIONS;
        let every = chrono::Duration::from_std(every).unwrap_or(GRACE);
        (self.look.now - since > every + GRACE).then_some(self.look.now - at)
    }

    pub fn greyed(&self) -> bool {
        self.link.is_lost() || (!self.paused && self.stale_for().is_some())
    }

    /// Asks for what the state subscribes to without waiting for its next poll.
    pub(in crate::tui) fn ask_now(&self) -> Vec<Effect> {
        self.subscriptions().into_iter().map(|sub| Effect::Ask(sub.slot, sub.request)).collect()
    }
}
