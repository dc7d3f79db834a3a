//! The overview: is anything wrong, what, and what next; each number leads to what it counts.
//!
//! The cursor is bound to what a number is of, not to its place: numbers come and go around it.

mod cells;
mod change;
mod chart;
pub mod errors;
mod tables;
mod view;

use std::time::Duration;

use chrono::{DateTime, Utc};
use ratatui::layout::Rect;

use self::cells::{Place, Row};
use self::errors::Errors;
use super::super::app::Setup;
use super::super::command::Command;
use super::super::keymap::Keymap;
use super::super::look::Look;
use super::super::msg::{Effect, Follows, Request, Slot, Sub};
use crate::domain::health::ALERTS;
use crate::domain::run::Run;
use crate::domain::run_filter::{RunFilter, StatusWord, Term, TermKind, When};
use crate::domain::window::Window;
use crate::ops::overview::{
    ListFingerprints, Offender, Overview as OverviewData, ReadOverview, RunKpis,
};
use crate::{Error, Result};

/// Sums over hours and days are asked for this many times more seldom than lists.
const SELDOM: u32 = 5;
/// But this often at least.
const SLOWEST: Duration = Duration::from_secs(60);

/// What is around the screen.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// The window that is chosen, once it is known.
    pub window: Option<Window>,
    /// How things look.
    pub look: &'a Look,
    /// The keys in force.
    pub keymap: &'a Keymap,
    /// The body.
    pub area: Rect,
    /// Whether what is shown is old.
    pub greyed: bool,
    /// Whether it is asked again and again, and answered.
    pub live: bool,
}

/// Which trend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trend {
    /// Of the runs that were started.
    Started,
    /// Of those of them that failed.
    Failed,
}

/// What offends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offence {
    /// A type of operation.
    Type,
    /// A tenant.
    Tenant,
    /// A reason.
    Reason,
}

/// One of the numbers of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// Created in the window.
    Started,
    /// Of these, to be ended.
    Pending,
    /// Of these, ended.
    Ended,
    /// Of these, ended well.
    Succeeded,
    /// Of these, ended partly well.
    Partial,
    /// Of these, ended badly.
    Failed,
    /// Of these, ended before anything was attempted.
    Blocked,
    /// Of these, ended by a cancel.
    Cancelled,
    /// The median duration.
    Median,
    /// The duration that 95 % did not exceed.
    P95,
    /// To be ended now.
    Active,
    /// Without anybody at it now.
    Stuck,
    /// In the queue for too long now.
    Stale,
}

/// Something that the cursor goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A reason of health: what it is about.
    Reason(String),
    /// The reasons that are folded away, or that can be.
    Reasons,
    /// A number of runs.
    Number(Number),
    /// The greatest number of a trend.
    Peak(Trend),
    /// What fails, by its name.
    Offender(Offence, String),
    /// The failures that are folded away, or that can be.
    Failures,
    /// A recent failure: its run.
    Failure(i64),
    /// The notifications that are unread.
    Unread,
}

/// Where something leads.
#[derive(Debug, Clone, PartialEq)]
pub enum Opens {
    /// The list of runs under a filter.
    Runs(RunFilter),
    /// A run.
    Run(i64),
    /// The inbox.
    Inbox,
    /// The workers.
    Workers,
    /// Nowhere: what to say instead.
    Nothing(String),
    /// It was done here.
    Here,
}

/// The state of the tab.
#[derive(Debug, Default)]
pub struct Overview {
    data: Option<OverviewData>,
    /// When it was answered last.
    read_at: Option<DateTime<Utc>>,
    error: Option<Error>,
    selected: Option<Item>,
    /// Where it stood, for when it goes.
    place: (usize, usize),
    /// Index of the first row on the screen.
    top: usize,
    /// Whether every reason of health is shown where there is little room.
    unfolded: bool,
    /// And every recent failure.
    unfolded_failures: bool,
    errors: Errors,
    in_errors: bool,
}

/// How many errors are listed.
const ERRORS: i64 = 200;

impl Overview {
    /// It, with nothing on it yet.
    pub fn new(_: &Setup) -> Self {
        Self::default()
    }

    /// Asked again and again while it is shown; a window moves on by the passing of time alone.
    pub fn subscriptions(&self, window: Option<Window>, every: Duration) -> Vec<Sub> {
        let every = every.max((every * SELDOM).min(SLOWEST));
        let (slot, request) = self.request(window);
        vec![Sub { slot, request, every, follows: Follows::Time }]
    }

    /// Asks now.
    pub fn refresh(&self, window: Option<Window>) -> Vec<Effect> {
        let (slot, request) = self.request(window);
        vec![Effect::Ask(slot, request)]
    }

    fn request(&self, window: Option<Window>) -> (Slot, Request) {
        if self.in_errors {
            (Slot::Errors, Request::of(ListFingerprints { window, limit: ERRORS }))
        } else {
            (Slot::Overview, Request::of(ReadOverview { window }))
        }
    }

    /// The list of errors, where it is shown.
    pub fn errors(&self) -> Option<&Errors> {
        self.in_errors.then_some(&self.errors)
    }

    /// The list of errors.
    pub fn errors_mut(&mut self) -> &mut Errors {
        &mut self.errors
    }

    /// Shows the list of errors, or the overview again.
    pub fn show_errors(&mut self, shown: bool) {
        self.in_errors = shown;
    }

    /// Takes an answer.
    pub fn take(&mut self, answer: Result<OverviewData>, now: DateTime<Utc>) {
        match answer {
            Ok(data) => {
                self.error = None;
                self.read_at = Some(now);
                self.data = Some(data);
            }
            Err(error) => self.error = Some(error),
        }
    }

    /// What is shown was found to be unchanged.
    pub fn confirm(&mut self, now: DateTime<Utc>) {
        if self.in_errors {
            self.errors.confirm(now);
        } else if self.data.is_some() {
            self.error = None;
            self.read_at = Some(now);
        }
    }

    /// The last error of what is shown.
    pub fn error(&self) -> Option<&Error> {
        if self.in_errors { self.errors.error() } else { self.error.as_ref() }
    }

    /// Whether there is something to show beside an error.
    pub fn has_data(&self, window: Option<Window>) -> bool {
        if self.in_errors {
            self.errors.shown(window).is_some()
        } else {
            self.shown(window).is_some()
        }
    }

    /// What was read, if it is of the chosen window.
    pub fn shown(&self, window: Option<Window>) -> Option<&OverviewData> {
        self.data.as_ref().filter(|data| Some(data.window.key) == window)
    }

    /// What is under the cursor.
    pub fn selected(&self) -> Option<&Item> {
        self.selected.as_ref()
    }

    /// The recent failure under the cursor.
    pub fn selected_run(&self, window: Option<Window>) -> Option<&Run> {
        let Some(Item::Failure(id)) = self.selected else { return None };
        self.shown(window)?.recent_failures.iter().find(|run| run.id == id)
    }

    /// The runs that the number under the cursor counts: how many, and their filter.
    pub fn counted(&self, window: Option<Window>) -> Option<(i64, RunFilter)> {
        let (data, item) = (self.shown(window)?, self.selected.as_ref()?);
        match item {
            Item::Number(number) => Some(number.counts(&data.runs)),
            Item::Peak(trend) => peak_runs(&data.runs, *trend),
            Item::Offender(offence, name) => {
                let offender = offence.of(data).iter().find(|one| one.key() == *name)?;
                Some((offender.runs, offender.filter.clone()))
            }
            Item::Reason(_) | Item::Reasons | Item::Failure(_) | Item::Failures | Item::Unread => {
                None
            }
        }
    }

    /// Opens what is under the cursor.
    pub fn open(&mut self, around: &Around<'_>) -> Opens {
        let Some(data) = self.shown(around.window) else {
            return Opens::Nothing("the numbers are on their way".to_owned());
        };
        match &self.selected {
            None => Opens::Here,
            Some(Item::Reasons) => {
                self.unfolded = !self.unfolded;
                self.settle(around);
                Opens::Here
            }
            Some(Item::Failures) => {
                self.unfolded_failures = !self.unfolded_failures;
                self.settle(around);
                Opens::Here
            }
            Some(Item::Reason(key)) => {
                let reason = data.health.reasons.iter().find(|reason| reason.topic == *key);
                match reason.and_then(|reason| reason.filter.clone()) {
                    Some(filter) => Opens::Runs(filter),
                    None if key == ALERTS => Opens::Nothing(
                        "alerts are not runs; see: tenantpilot alerts list".to_owned(),
                    ),
                    None => Opens::Workers,
                }
            }
            Some(Item::Failure(id)) => Opens::Run(*id),
            Some(Item::Unread) => Opens::Inbox,
            Some(_) => self.counted(around.window).map_or(Opens::Here, |(_, f)| Opens::Runs(f)),
        }
    }

    /// Moves the cursor.
    pub fn command(&mut self, command: Command, around: &Around<'_>) {
        let rows = self.rows(around);
        let places = cells::places(&rows);
        let Some(here) = self.here(&places) else { return };
        let Some(from) = places.get(here) else { return };
        let last = places.len() - 1;
        let page = usize::from(around.area.height.max(2) - 1);
        let to = match command {
            Command::CursorUp => cells::vertical(&places, from, false).unwrap_or(0),
            Command::CursorDown => cells::vertical(&places, from, true).unwrap_or(last),
            Command::CursorLeft => here.saturating_sub(1),
            Command::CursorRight => (here + 1).min(last),
            Command::CursorFirst => 0,
            Command::CursorLast => last,
            Command::CursorPageDown => {
                places.iter().position(|place| place.row >= from.row + page).unwrap_or(last)
            }
            Command::CursorPageUp => {
                let row = from.row.saturating_sub(page);
                places.iter().rposition(|place| place.row <= row).unwrap_or(0)
            }
            _ => return,
        };
        self.select(to, &places, &rows, around);
    }

    /// Where the cursor is among the places: on its item, or where that stood.
    fn here(&self, places: &[Place]) -> Option<usize> {
        let found = self
            .selected
            .as_ref()
            .and_then(|item| places.iter().position(|place| place.item == *item));
        found.or_else(|| {
            let (row, column) = self.place;
            let row = places.iter().map(|place| place.row).min_by_key(|r| r.abs_diff(row))?;
            cells::nearest(places, row, column)
        })
    }

    fn select(&mut self, to: usize, places: &[Place], rows: &[Row], around: &Around<'_>) {
        let Some(place) = places.get(to) else { return };
        self.selected = Some(place.item.clone());
        self.place = (place.row, place.column);
        let height = usize::from(around.area.height.max(1));
        let (first, last) = (to == 0, to + 1 == places.len());
        // Above the first and below the last there is nothing to go to, but something to see.
        if first || rows.len() <= height {
            self.top = 0;
        } else if last {
            self.top = rows.len() - height;
        } else if place.row < self.top {
            self.top = place.row;
        } else if place.row + 1 >= self.top + height {
            // The lowest row tells how much is below.
            self.top = place.row + 2 - height;
        }
        self.top = self.top.min(rows.len().saturating_sub(height));
    }

    /// Keeps the cursor on its item, and that in sight, after the data or the screen has changed.
    pub fn settle(&mut self, around: &Around<'_>) {
        if self.shown(around.window).is_none() {
            return;
        }
        let rows = self.rows(around);
        let places = cells::places(&rows);
        if let Some(here) = self.here(&places) {
            self.select(here, &places, &rows, around);
        }
    }

    /// Whether the first row is the first on the screen.
    pub fn is_at_top(&self) -> bool {
        self.top == 0
    }

    /// A click selects what it hits; true if that was selected before.
    pub fn click(&mut self, column: u16, row: u16, around: &Around<'_>) -> bool {
        let rows = self.rows(around);
        let places = cells::places(&rows);
        let (row, column) = (self.top + usize::from(row), usize::from(column));
        let hit = places.iter().rposition(|place| place.row == row && place.column <= column);
        let Some(hit) = hit else { return false };
        let before = self.selected.clone();
        self.select(hit, &places, &rows, around);
        before == self.selected
    }
}

impl Offence {
    fn of(self, data: &OverviewData) -> &[Offender] {
        match self {
            Self::Type => &data.offenders.types,
            Self::Tenant => &data.offenders.tenants,
            Self::Reason => &data.offenders.reasons,
        }
    }
}

impl Offender {
    /// What tells it from the others of its kind.
    fn key(&self) -> String {
        self.tenant_id.map_or_else(|| self.name.clone(), |id| id.to_string())
    }
}

impl Number {
    /// How many runs stand behind the number, and their filter.
    fn counts(self, runs: &RunKpis) -> (i64, RunFilter) {
        let now = &runs.current;
        let (count, word) = match self {
            Self::Started => return (now.started, runs.filter(&[])),
            Self::Median | Self::P95 => return (now.timed(), runs.timed_filter()),
            Self::Active => return (runs.active, RunKpis::now_filter(StatusWord::Active)),
            Self::Stuck => return (runs.stuck, RunKpis::now_filter(StatusWord::Stuck)),
            Self::Stale => return (runs.stale, RunKpis::now_filter(StatusWord::Stale)),
            Self::Pending => (now.pending, StatusWord::Active),
            Self::Ended => (now.ended(), StatusWord::Completed),
            Self::Succeeded => (now.succeeded, StatusWord::Succeeded),
            Self::Partial => (now.partially_succeeded, StatusWord::Partial),
            Self::Failed => (now.failed, StatusWord::Failed),
            Self::Blocked => (now.blocked, StatusWord::Blocked),
            Self::Cancelled => (now.cancelled, StatusWord::Cancelled),
        };
        (count, runs.filter(&[word]))
    }
}

/// The runs of the highest bar.
fn peak_runs(runs: &RunKpis, trend: Trend) -> Option<(i64, RunFilter)> {
    let (counts, words): (_, &[StatusWord]) = match trend {
        Trend::Started => (&runs.trend.started, &[]),
        Trend::Failed => (&runs.trend.failed, &[StatusWord::Failed]),
    };
    let (index, most) = chart::peak(counts)?;
    let bucket = runs.trend.buckets.get(index)?;
    let mut filter = runs.filter(words);
    for Term { kind, .. } in &mut filter.terms {
        match kind {
            TermKind::Since(when) => *when = When::At(bucket.start_at),
            TermKind::Until(when) => *when = When::At(bucket.end_at),
            _ => {}
        }
    }
    Some((most, filter))
}
