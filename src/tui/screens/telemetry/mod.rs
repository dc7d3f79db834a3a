//! Telemetry: what customers use, in sums.

mod chart;
mod view;

pub(in crate::tui) use view::window_at;

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::super::app::Setup;
use super::super::keymap::Keymap;
use super::super::look::Look;
use super::super::msg::{Effect, Follows, Request, Slot, Sub};
use crate::domain::window::{Step, Window};
use crate::ops::telemetry::{Summarise, Summary};
use crate::{Error, Result};

/// Sums over hours and days are asked for this many times more seldom than lists.
const SELDOM: u32 = 5;
/// But this often at least.
const SLOWEST: Duration = Duration::from_secs(60);

/// What is around the screen when it is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// The window that is chosen, once it is known.
    pub window: Option<Window>,
    /// How things look.
    pub look: &'a Look,
    /// The keys in force.
    pub keymap: &'a Keymap,
    /// Whether what is shown is old.
    pub greyed: bool,
    /// Whether it is asked again and again, and answered.
    pub live: bool,
}

/// The state of the screen.
#[derive(Debug, Default)]
pub struct Telemetry {
    /// The numbers, as they were when they came first.
    summary: Option<Summary>,
    /// When they were last found to be the same.
    confirmed: Option<DateTime<Utc>>,
    error: Option<Error>,
}

impl Telemetry {
    /// It, with nothing on it yet.
    pub fn new(_: &Setup) -> Self {
        Self::default()
    }

    /// Asked again and again while it is shown; a window moves on by the passing of time alone.
    pub fn subscriptions(&self, window: Option<Window>, every: Duration) -> Vec<Sub> {
        let every = every.max((every * SELDOM).min(SLOWEST));
        let request = Request::of(Summarise { window });
        vec![Sub { slot: Slot::Usage, request, every, follows: Follows::Time }]
    }

    /// Asks now.
    pub fn refresh(&self, window: Option<Window>) -> Vec<Effect> {
        vec![Effect::ask(Slot::Usage, Summarise { window })]
    }

    /// What is shown was found to be unchanged.
    pub fn confirm(&mut self, now: DateTime<Utc>) {
        self.error = None;
        self.confirmed = Some(now);
    }

    /// Takes an answer. Numbers that say the same as those that are there do not replace
    /// them, so that nothing is drawn while nothing changes.
    pub fn take(&mut self, answer: Result<Summary>, now: DateTime<Utc>) {
        match answer {
            Ok(summary) => {
                self.error = None;
                self.confirmed = Some(now);
                if !self.summary.as_ref().is_some_and(|shown| says_the_same(shown, &summary)) {
                    self.summary = Some(summary);
                }
            }
            Err(error) => self.error = Some(error),
        }
    }

    /// The last error.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// Whether there is something to show beside an error.
    pub fn has_data(&self, window: Option<Window>) -> bool {
        self.shown(window).is_some()
    }

    /// The numbers, if they are of the chosen window.
    fn shown(&self, window: Option<Window>) -> Option<&Summary> {
        self.summary.as_ref().filter(|summary| Some(summary.window.key) == window)
    }
}

/// Whether two summaries look alike: the same numbers over the same pieces of the clock.
/// Where there is no event at all, no piece is shown.
fn says_the_same(a: &Summary, b: &Summary) -> bool {
    let numbers = |summary: &Summary| {
        let before = (summary.previous.active_workspaces, summary.previous.total_events);
        let kept = summary.kept_from;
        (summary.window.key, summary.active_workspaces, summary.total_events, before, kept)
    };
    let step: Step = a.window.key.step();
    let floors = |summary: &Summary| summary.buckets.last().map(|piece| step.floor(piece.start_at));
    numbers(a) == numbers(b)
        && a.families == b.families
        && (!a.has_events() || floors(a) == floors(b))
}
