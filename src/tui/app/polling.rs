//! What is asked again and again, and how old that makes what is shown.

use std::time::Duration;

use super::{App, GRACE, POLL_RANGE, UNFOCUSED};
use crate::tui::msg::{Request, Slot, Sub};
use crate::tui::screens::Tab;
use crate::tui::screens::inbox::Inbox;

impl App {
    /// How often the state wants to be polled.
    pub fn poll_every(&self) -> Duration {
        let every = self.setup.poll;
        if self.focused { every } else { (every * UNFOCUSED).min(POLL_RANGE.1) }
    }

    /// Whether the database answered last time.
    pub fn reachable(&self) -> bool {
        self.link.trouble.is_none() && self.stale_for().is_none()
    }

    /// What is to be asked again and again in this state.
    pub fn subscriptions(&self) -> Vec<Sub> {
        let every = self.poll_every();
        if self.session.is_none() {
            // The header comes back by itself once the database does.
            let known = self.platform.value().is_some() && self.link.trouble.is_none();
            let every = if known { POLL_RANGE.1 } else { every };
            return vec![Sub {
                slot: Slot::Platform,
                request: Request::Platform,
                every,
                when_changed: false,
            }];
        }
        if self.paused {
            return Vec::new();
        }
        let mut subs = match self.tab {
            Tab::Operations => self.operations.subscriptions(every),
            Tab::Run => self.run.subscriptions(every),
            Tab::Inbox => self.inbox.subscriptions(every),
            Tab::Workers => self.workers.subscriptions(every),
            Tab::Overview => self.overview.subscriptions(self.window, every),
            Tab::Telemetry => self.telemetry.subscriptions(self.window, every),
            Tab::Support if self.shows_composition() => Vec::new(),
            Tab::Support => self.support.screen().subscriptions(every),
            Tab::Runbooks => Vec::new(),
        };
        subs.push(Inbox::count(every));
        subs.push(self.glass_poll());
        subs.push(self.condition_poll());
        subs
    }

    /// Whether the data shown is older than it should be.
    pub fn stale_for(&self) -> Option<chrono::Duration> {
        self.session.as_ref()?;
        let answered = self.link.answered?;
        let age = self.look.now - answered;
        let every = chrono::Duration::from_std(self.poll_every()).unwrap_or(GRACE);
        (age > every + GRACE).then_some(age)
    }

    /// Whether data is to be shown as old.
    pub fn greyed(&self) -> bool {
        self.link.trouble.is_some() || (!self.paused && self.stale_for().is_some())
    }
}
