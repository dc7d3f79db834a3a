//! The overview: is anything wrong, what, and what next; each number leads to what it counts.
//!
//! The cursor is bound to what a number is of, not to its place: numbers come and go around it.

mod cells;
mod change;
mod chart;
mod errors;
mod items;
mod tables;
mod view;

pub use items::{Item, Number};

use ratatui::buffer::Buffer;
use ratatui::layout::Position;

use self::cells::{Place, Row};
use self::errors::Errors;
use crate::domain::health::ALERTS;
use crate::domain::run::Run;
use crate::domain::run_filter::RunFilter;
use crate::domain::window::Window;
use crate::ops::AnyOutput;
use crate::ops::overview::{ListFingerprints, Overview as OverviewData, ReadOverview};
use crate::tui::command::{Command, Context};
use crate::tui::msg::{Answer, Follows, Request, Sub};
use crate::tui::remote::Remote;
use crate::tui::screen::{Cx, Go, Hint, Reply, Screen, State, Subject, Target};
use crate::tui::setup::Setup;
use crate::tui::slot::Slot;
use crate::tui::tabs::Tab;
use crate::tui::widgets::windows;

impl Slot {
    pub const OVERVIEW: Self = Self::new("overview", "the overview").hinted().sums();
    pub const ERRORS: Self = Self::new("errors", "the errors").hinted().sums();
}

/// How many errors are listed.
const ERRORS: i64 = 200;

#[derive(Debug, Default)]
pub struct Overview {
    read: Remote<OverviewData>,
    selected: Option<Item>,
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

impl Overview {
    pub fn new(_: &Setup) -> Self {
        Self::default()
    }

    fn errors(&self) -> Option<&Errors> {
        self.in_errors.then_some(&self.errors)
    }

    /// What was read, if it is of the chosen window.
    fn shown(&self, window: Option<Window>) -> Option<&OverviewData> {
        self.read.value().filter(|data| Some(data.window.key) == window)
    }

    pub fn selected(&self) -> Option<&Item> {
        self.selected.as_ref()
    }

    /// The recent failure under the cursor.
    fn selected_run(&self, window: Option<Window>) -> Option<&Run> {
        let Some(Item::Failure(id)) = self.selected else { return None };
        self.shown(window)?.recent_failures.iter().find(|run| run.id == id)
    }

    /// The runs that the number under the cursor counts: how many, and their filter.
    pub fn counted(&self, window: Option<Window>) -> Option<(i64, RunFilter)> {
        self.selected.as_ref()?.counts(self.shown(window)?)
    }

    fn open_item(&mut self, cx: &Cx<'_>) -> Reply {
        let Some(data) = self.shown(cx.window) else {
            return Reply::default().say("the numbers are on their way", cx);
        };
        let item = self.selected.as_ref();
        match item {
            Some(Item::Reasons | Item::Failures) => {
                let reasons = item == Some(&Item::Reasons);
                let unfolded =
                    if reasons { &mut self.unfolded } else { &mut self.unfolded_failures };
                *unfolded = !*unfolded;
                self.settle(cx);
                Reply::default()
            }
            Some(Item::Reason(key)) => {
                let reason = data.health.reasons.iter().find(|reason| reason.topic == *key);
                match reason.and_then(|reason| reason.filter.clone()) {
                    Some(filter) => Reply::show(Target::Runs(filter)),
                    None if key == ALERTS => {
                        let why = "alerts are not runs; see: tenantpilot alerts list";
                        Reply::default().say(why, cx)
                    }
                    None => Reply::default().go(Go::Tab(Tab::Workers)),
                }
            }
            Some(Item::Failure(id)) => Reply::show(Target::Run(*id)),
            Some(Item::Unread) => Reply::show(Target::Inbox),
            _ => match self.counted(cx.window) {
                Some((_, filter)) => Reply::show(Target::Runs(filter)),
                None => Reply::default(),
            },
        }
    }

    fn go(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        let rows = self.rows(cx);
        let places = cells::places(&rows);
        let here = self.here(&places);
        let Some((here, from)) = here.and_then(|here| Some((here, places.get(here)?))) else {
            return Reply::up(command);
        };
        let last = places.len() - 1;
        let page = usize::from(cx.area.height.max(2) - 1);
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
            _ => return Reply::up(command),
        };
        self.select(to, &places, &rows, cx);
        Reply::default()
    }

    /// Where the cursor is among the places: on its item, or where that stood.
    fn here(&self, places: &[Place]) -> Option<usize> {
        let item = self.selected.as_ref();
        let found = places.iter().position(|place| Some(&place.item) == item);
        found.or_else(|| {
            let (row, column) = self.place;
            let row = places.iter().map(|place| place.row).min_by_key(|r| r.abs_diff(row))?;
            cells::nearest(places, row, column)
        })
    }

    fn select(&mut self, to: usize, places: &[Place], rows: &[Row], cx: &Cx<'_>) {
        let Some(place) = places.get(to) else { return };
        self.selected = Some(place.item.clone());
        self.place = (place.row, place.column);
        let height = usize::from(cx.area.height.max(1));
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

    /// A click selects what it hits; true if that was selected before.
    fn hit(&mut self, column: u16, row: u16, cx: &Cx<'_>) -> bool {
        let rows = self.rows(cx);
        let places = cells::places(&rows);
        let (row, column) = (self.top + usize::from(row), usize::from(column));
        let hit = places.iter().rposition(|place| place.row == row && place.column <= column);
        let Some(hit) = hit else { return false };
        let before = self.selected.clone();
        self.select(hit, &places, &rows, cx);
        before == self.selected
    }
}

impl Screen for Overview {
    fn context(&self, _: &Cx<'_>) -> Context {
        if self.in_errors { Context::Errors } else { Context::Overview }
    }

    fn subscriptions(&self, cx: &Cx<'_>) -> Vec<Sub> {
        let (window, limit) = (cx.window, ERRORS);
        let (slot, request) = if self.in_errors {
            (Slot::ERRORS, Request::of(ListFingerprints { window, limit }))
        } else {
            (Slot::OVERVIEW, Request::of(ReadOverview { window }))
        };
        // A window moves on by the passing of time alone.
        vec![Sub { slot, request, every: windows::every(cx), follows: Follows::Time }]
    }

    /// While updates are frozen, nothing asks again and again; the person does.
    fn open(&mut self, cx: &Cx<'_>) -> Reply {
        if cx.paused { self.refresh(cx) } else { Reply::default() }
    }

    fn answer(&mut self, answer: &AnyOutput, cx: &Cx<'_>) -> Option<Reply> {
        let (asked, read) = match answer {
            AnyOutput::ReadOverview(asked, read) => {
                (asked.window, read.as_ref().ok().map(|data| data.window.key))
            }
            AnyOutput::ListFingerprints(asked, read) => {
                (asked.window, read.as_ref().ok().map(|page| page.window.key))
            }
            _ => return None,
        };
        let (wanted, reply) = windows::answered(asked, read, cx);
        match answer {
            _ if !wanted => return Some(reply),
            AnyOutput::ReadOverview(_, read) => self.read.take(read.clone(), cx.look.now),
            AnyOutput::ListFingerprints(_, read) => self.errors.take(read.clone(), cx.look.now),
            _ => {}
        }
        self.settle(&Cx { window: cx.window.or(read), ..*cx });
        Some(reply)
    }

    fn outcome(&mut self, slot: Slot, answer: &Answer, cx: &Cx<'_>) -> Reply {
        if !matches!((slot, answer), (Slot::OVERVIEW | Slot::ERRORS, Answer::Unchanged)) {
        } else if self.in_errors {
            self.errors.read.confirm(cx.look.now);
        } else {
            self.read.confirm(cx.look.now);
        }
        Reply::default()
    }

    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        match command {
            // It is the overview that it goes to, not what was opened from it.
            Command::TabOverview => {
                self.in_errors = false;
                Reply::default()
            }
            Command::AppBack if self.in_errors => {
                let alone = self.errors.back();
                self.in_errors = alone;
                self.settle(cx);
                if alone { Reply::default() } else { self.refresh(cx) }
            }
            Command::WindowNext | Command::WindowPrevious => windows::step(command, cx),
            Command::PollNow => self.refresh(cx),
            Command::OverviewErrors if !self.in_errors => {
                self.in_errors = true;
                self.refresh(cx)
            }
            Command::SampleOpen | Command::RowOpen if self.in_errors => {
                let Some(group) = self.errors.selected(cx.window) else { return Reply::default() };
                Reply::show(match command {
                    Command::RowOpen => Target::Runs(group.filter.clone()),
                    _ => Target::Run(group.sample.run_id),
                })
            }
            Command::SampleOpen => Reply::default(),
            Command::RowOpen => self.open_item(cx),
            _ if self.in_errors => self.errors.command(command, cx),
            _ => self.go(command, cx),
        }
    }

    /// A click selects what it hits; one on what is selected opens it.
    fn click(&mut self, column: u16, row: u16, cx: &Cx<'_>) -> Reply {
        if row == 0 && (self.in_errors || self.top == 0) {
            return windows::click(column, cx);
        }
        let again = if self.in_errors {
            self.errors.click(column, row, cx)
        } else {
            self.hit(column, row, cx)
        };
        if again { self.command(Command::RowOpen, cx) } else { Reply::default() }
    }

    /// Keeps the cursor on its item, and that in sight, after the data or the screen has changed.
    fn settle(&mut self, cx: &Cx<'_>) {
        if self.shown(cx.window).is_none() {
            return;
        }
        let rows = self.rows(cx);
        let places = cells::places(&rows);
        if let Some(here) = self.here(&places) {
            self.select(here, &places, &rows, cx);
        }
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        self.draw(buffer, cx);
        None
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        if self.in_errors {
            return vec![
                Hint::Runs,
                Hint::Does(Command::RowOpen, "list runs"),
                Hint::own(Command::SampleOpen),
                Hint::Does(Command::FoldToggle, "alone"),
                Hint::own(Command::AppBack),
                Hint::own(Command::WindowNext),
                Hint::own(Command::AppPalette),
            ];
        }
        let mut hints = vec![Hint::Runs];
        hints.extend(Hint::of(&[
            Command::RowOpen,
            Command::CursorRight,
            Command::WindowNext,
            Command::OverviewErrors,
            Command::AppBack,
            Command::PollNow,
            Command::AppPalette,
        ]));
        hints
    }

    fn state(&self, cx: &Cx<'_>) -> Option<State<'_>> {
        Some(match self.errors() {
            Some(errors) => {
                State { error: errors.read.error(), has_data: errors.shown(cx.window).is_some() }
            }
            None => State { error: self.read.error(), has_data: self.shown(cx.window).is_some() },
        })
    }

    fn subject(&self, cx: &Cx<'_>) -> Subject<'_> {
        if let Some(errors) = self.errors() {
            let nothing = Subject::Nothing("no error is selected", "no error is selected");
            return errors.selected(cx.window).map_or(nothing, Subject::Group);
        }
        let nothing = Subject::Nothing(
            "R retries the failure under the cursor; f shows errors, to retry all runs of one",
            "support is for the failure under the cursor; none is selected",
        );
        self.selected_run(cx.window).map_or(nothing, Subject::Run)
    }

    fn copies(&self, cx: &Cx<'_>) -> Option<String> {
        match self.errors() {
            Some(errors) => errors.selected(cx.window).map(|group| group.fingerprint.clone()),
            None => self.selected_run(cx.window).map(|run| run.id.to_string()),
        }
    }
}
