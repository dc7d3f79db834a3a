//! What is shown, and how one comes there and back.

use crate::domain::run_filter::RunFilter;
use crate::domain::support::Reference;
use crate::ops::support::DiagnosticsSubject;
use crate::tui::screen::Cx;
use crate::tui::tabs::Tab;

#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    Run(i64),
    Runs(RunFilter),
    Inbox,
    Request(Reference),
    /// The tenants of this name, or of a part of it; without one, it is to be typed.
    Tenants(Option<String>),
    Tenant(i64),
    RunTenants(i64, Purpose),
    /// Diagnostics; opening them is audited.
    Diagnostics(DiagnosticsSubject),
    /// A request for support about this, which is written.
    Compose(DiagnosticsSubject),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Request,
    Diagnostics,
    Tenant,
}

#[derive(Debug, Clone)]
pub enum Way {
    Led(Place),
    Named(Place),
    /// Back to it; one level back from there is this tab.
    Back(Tab),
}

impl Way {
    /// The tab that one level back leads to, which was `now` until then, and the place that was left.
    pub fn before(self, now: Tab, cx: &Cx<'_>) -> (Tab, Option<Place>) {
        match self {
            Self::Back(tab) => (tab, None),
            Self::Led(place) | Self::Named(place) if cx.shown => (now, Some(place)),
            Self::Led(place) | Self::Named(place) => (place.tab, Some(place)),
        }
    }
}

/// A place to come back to: a tab, and what the tabs show in particular.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    pub tab: Tab,
    /// What the tabs show, and the tab that one level back from there leads to.
    pub shown: Vec<(Target, Tab)>,
}
