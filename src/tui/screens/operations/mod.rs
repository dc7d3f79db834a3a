//! The operations list: live, newest first, over any number of rows.
//!
//! The cursor is bound to a run's id: rows may come and go around it. While the newest rows
//! are shown they stay shown; once scrolled, the rows on the screen stay where they are.

mod filter_editor;
mod view;

pub(crate) use view::tenant_text;

use std::time::Duration;

use chrono::FixedOffset;
use chrono::{DateTime, Utc};
use crossterm::event::KeyEvent;

pub use filter_editor::FilterEditor;

use super::super::app::Setup;
use super::super::command::Command;
use super::super::msg::{Effect, Follows, Request, Slot, Sub};
use super::super::remote::Remote;
use crate::domain::run::{Run, RunStatus};
use crate::domain::run_filter::{RunFilter, TermKind, When};
use crate::domain::run_state::RunState;
use crate::ops::platform::{FilterNames, NameValues};
use crate::ops::runs::{CountRuns, Cursor, ListRuns, Page, RunCounts, RunPage};
use crate::{Error, Result};

/// The most rows that are held at once.
const HELD: usize = 1_000;
/// The next page is asked for when the cursor is nearer to the end than so many screens.
const AHEAD: usize = 2;

/// The state of the list.
#[derive(Debug)]
pub struct Operations {
    filter: RunFilter,
    editor: Option<FilterEditor>,
    rows: Vec<Run>,
    /// Where the rows held start.
    anchor: Page,
    /// When the rows were read or confirmed, and what went wrong since.
    read: Remote<()>,
    /// Whether older rows may follow, and from where.
    older: Option<Cursor>,
    /// How many rows were searched, where a filter looked at the newest part only.
    searched: Option<i64>,
    /// At the oldest end of the list: the moment before which ended runs are not kept.
    missing_before: Option<DateTime<Utc>>,
    selected: Option<i64>,
    /// Index of the first row on the screen.
    top: usize,
    /// The run whose preview is shown: the selected one, once the cursor has rested.
    previewed: Option<i64>,
    counts: Remote<RunCounts>,
    names: FilterNames,
    page_size: i64,
}

impl Operations {
    /// An empty list.
    pub fn new(setup: &Setup) -> Self {
        Self {
            filter: RunFilter::default(),
            editor: None,
            rows: Vec::new(),
            anchor: Page::Newest,
            read: Remote::default(),
            older: None,
            searched: None,
            missing_before: None,
            selected: None,
            top: 0,
            previewed: None,
            counts: Remote::default(),
            names: FilterNames::default(),
            page_size: setup.page_size,
        }
    }

    /// The filter in force.
    pub fn filter(&self) -> &RunFilter {
        &self.filter
    }

    /// The filter line while it is being edited.
    pub fn editor(&self) -> Option<&FilterEditor> {
        self.editor.as_ref()
    }

    /// The rows held.
    pub fn rows(&self) -> &[Run] {
        &self.rows
    }

    /// The run under the cursor.
    pub fn selected(&self) -> Option<i64> {
        self.selected
    }

    /// The run under the cursor, as it was read last.
    pub fn selected_run(&self) -> Option<&Run> {
        self.rows.get(self.selected_index()?)
    }

    fn selected_index(&self) -> Option<usize> {
        let id = self.selected?;
        self.rows.iter().position(|run| run.id == id)
    }

    /// Whether the newest rows are held.
    pub fn at_newest(&self) -> bool {
        matches!(self.anchor, Page::Newest)
    }

    /// Shows the list under another filter, from its newest row.
    pub fn apply(&mut self, filter: RunFilter) -> Vec<Effect> {
        self.editor = None;
        if filter != self.filter {
            self.filter = filter;
            self.rows.clear();
            self.selected = None;
            self.read = Remote::default();
        }
        self.anchor = Page::Newest;
        self.older = None;
        self.searched = None;
        self.missing_before = None;
        self.top = 0;
        vec![self.refresh()]
    }

    /// The request that brings the rows held up to date.
    pub fn refresh(&self) -> Effect {
        Effect::ask(Slot::List, self.current_page())
    }

    fn current_page(&self) -> ListRuns {
        let held = i64::try_from(self.rows.len()).unwrap_or(self.page_size);
        ListRuns {
            filter: self.filter.clone(),
            page: self.anchor,
            limit: held.clamp(self.page_size, i64::try_from(HELD).unwrap_or(i64::MAX)),
        }
    }

    /// What is asked again and again while the list is shown.
    pub fn subscriptions(&self, every: Duration) -> Vec<Sub> {
        let relative = |kind: &TermKind| {
            matches!(kind, TermKind::Since(When::Ago(_)) | TermKind::Until(When::Ago(_)))
        };
        // Under a filter like since:24h rows leave the list by themselves, a lease runs out and
        // a worker goes silent by itself.
        let held = self.rows.iter().any(|run| run.status != RunStatus::Completed);
        let moves =
            self.rows.iter().any(|run| run.status == RunStatus::Running && !run.lease_overdue);
        let timed = self.filter.terms.iter().any(|term| relative(&term.kind));
        let by_time = |timed| if timed { Follows::Time } else { Follows::Changes };
        let follows = if moves { Follows::Progress } else { by_time(held || timed) };
        vec![
            Sub { slot: Slot::List, request: Request::of(self.current_page()), every, follows },
            Sub {
                slot: Slot::Counts,
                request: Request::of(CountRuns),
                every,
                follows: by_time(held),
            },
        ]
    }

    /// Takes names for completing a filter.
    pub fn take_names(&mut self, names: FilterNames) {
        self.names = names;
        if let Some(editor) = &mut self.editor {
            editor.refresh(&self.names);
        }
    }

    /// Takes the counts above the list.
    pub fn take_counts(&mut self, counts: Result<RunCounts>, now: DateTime<Utc>) {
        self.counts.take(counts, now);
    }

    /// The rows were found to be unchanged.
    pub fn confirm(&mut self, now: DateTime<Utc>) {
        self.read.confirm(now);
    }

    /// Takes rows; an answer to a filter that is no longer in force is dropped.
    pub fn take_page(
        &mut self,
        asked: &ListRuns,
        answer: Result<RunPage>,
        height: usize,
        now: DateTime<Utc>,
    ) {
        if asked.filter != self.filter {
            return;
        }
        let page = match answer {
            Ok(page) => page,
            Err(error) => return self.read.take(Err(error), now),
        };
        self.read.take(Ok(()), now);
        let first_before = self.rows.get(self.top).map(|run| run.id);
        let index_before = self.selected_index();
        match asked.page {
            Page::Newest | Page::From(_) if asked.page == self.anchor => {
                self.rows = page.runs;
                self.older = page.next;
                self.searched = page.searched;
                self.missing_before = page.missing_before;
            }
            Page::OlderThan(_) => {
                self.rows.extend(page.runs);
                self.older = page.next;
                self.searched = page.searched;
                self.missing_before = page.missing_before;
                self.drop_head();
            }
            Page::NewerThan(_) => {
                let mut rows = page.runs;
                rows.append(&mut self.rows);
                rows.truncate(HELD);
                self.rows = rows;
                self.anchor = if page.more { self.anchor_here() } else { Page::Newest };
                self.older = self.rows.last().map(place_of);
            }
            Page::Oldest => {
                self.rows = page.runs;
                self.anchor = if page.more { self.anchor_here() } else { Page::Newest };
                self.older = None;
                self.searched = page.searched;
                self.missing_before = page.missing_before;
                self.selected = self.rows.last().map(|run| run.id);
                self.top = self.rows.len().saturating_sub(height);
                return;
            }
            // The list was moved while the answer was on its way.
            Page::Newest | Page::From(_) => return,
        }
        self.keep_place(first_before, index_before, height);
    }

    /// Rows came and went: the first row on the screen stays there, unless the newest rows
    /// are shown; a selected row that is gone gives way to its neighbour.
    fn keep_place(
        &mut self,
        first_before: Option<i64>,
        index_before: Option<usize>,
        height: usize,
    ) {
        let pinned = self.top == 0 && self.at_newest();
        if !pinned && let Some(index) = first_before.and_then(|id| self.index_of(id)) {
            self.top = index;
        }
        if self.selected_index().is_none() {
            let index = index_before.unwrap_or(0).min(self.rows.len().saturating_sub(1));
            self.selected = self.rows.get(index).map(|run| run.id);
            self.previewed = self.selected;
        }
        self.top = self.top.min(self.rows.len().saturating_sub(height.min(self.rows.len())));
    }

    fn index_of(&self, id: i64) -> Option<usize> {
        self.rows.iter().position(|run| run.id == id)
    }

    fn anchor_here(&self) -> Page {
        self.rows.first().map_or(Page::Newest, |run| Page::From(place_of(run)))
    }

    fn drop_head(&mut self) {
        if self.rows.len() > HELD {
            let surplus = self.rows.len() - HELD;
            self.rows.drain(..surplus);
            self.top = self.top.saturating_sub(surplus);
            self.anchor = self.anchor_here();
        }
    }

    /// Does a command; `height` is how many rows the screen shows.
    pub fn command(&mut self, command: Command, height: usize, offset: FixedOffset) -> Vec<Effect> {
        let page = isize::try_from(height.saturating_sub(1).max(1)).unwrap_or(1);
        match command {
            Command::CursorUp => self.step(-1, height),
            Command::CursorDown => self.step(1, height),
            Command::CursorPageUp => self.step(-page, height),
            Command::CursorPageDown => self.step(page, height),
            Command::CursorFirst => {
                self.top = 0;
                if self.at_newest() {
                    self.selected = self.rows.first().map(|run| run.id);
                    return vec![Effect::WaitForRest];
                }
                self.selected = None;
                self.anchor = Page::Newest;
                vec![self.refresh()]
            }
            Command::CursorLast => {
                if self.older.is_none() {
                    return self.step(isize::MAX / 2, height);
                }
                vec![self.ask_page(Page::Oldest)]
            }
            Command::ListOlder => self.ask_older(),
            Command::MatchNext => self.find_trouble(true, height),
            Command::MatchPrevious => self.find_trouble(false, height),
            Command::FilterEdit => {
                let mut editor = FilterEditor::new(&self.filter, offset);
                editor.refresh(&self.names);
                self.editor = Some(editor);
                vec![Effect::ask(Slot::Names, NameValues)]
            }
            Command::FilterClear if !self.filter.is_empty() => self.apply(RunFilter::default()),
            Command::PollNow => vec![self.refresh(), Effect::ask(Slot::Counts, CountRuns)],
            _ => Vec::new(),
        }
    }

    /// Selects the row on line `line` of the body. Nothing where there is none, or where it
    /// is selected already.
    pub fn click(&mut self, line: u16) -> Vec<Effect> {
        let clicked = Self::row_at(line).and_then(|row| self.rows.get(self.top + row));
        match clicked.map(|run| run.id) {
            Some(id) if self.selected != Some(id) => {
                self.selected = Some(id);
                vec![Effect::WaitForRest]
            }
            // A click beside the rows changes nothing, and must not open what is selected.
            None => vec![Effect::WaitForRest],
            Some(_) => Vec::new(),
        }
    }

    fn step(&mut self, by: isize, height: usize) -> Vec<Effect> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let last = self.rows.len() - 1;
        let index = self.selected_index().unwrap_or(0).saturating_add_signed(by).min(last);
        self.select(index, height);
        let mut effects = vec![Effect::WaitForRest];
        let near = AHEAD * height;
        if by > 0 && index + near > last {
            effects.extend(self.ask_older());
        }
        if by < 0 && index < near && !self.at_newest() {
            effects.extend(self.ask_newer());
        }
        effects
    }

    fn select(&mut self, index: usize, height: usize) {
        self.selected = self.rows.get(index).map(|run| run.id);
        // At an edge half a screen goes by at once: line by line, every further key would
        // write the whole list anew, which a slow link feels.
        let half = height / 2;
        let last_top = self.rows.len().saturating_sub(height);
        if index < self.top {
            self.top = index.saturating_sub(half);
        } else if height > 0 && index >= self.top + height {
            self.top = (index + 1 - height + half).min(last_top).max(index + 1 - height);
        }
    }

    fn ask_older(&self) -> Vec<Effect> {
        let Some(cursor) = self.older else {
            return Vec::new();
        };
        vec![self.ask_page(Page::OlderThan(cursor))]
    }

    fn ask_newer(&self) -> Vec<Effect> {
        let Some(first) = self.rows.first() else {
            return Vec::new();
        };
        vec![self.ask_page(Page::NewerThan(place_of(first)))]
    }

    fn ask_page(&self, page: Page) -> Effect {
        let asked = ListRuns { filter: self.filter.clone(), page, limit: self.page_size };
        Effect::ask(Slot::List, asked)
    }

    /// Goes to the next run that needs somebody: failed, partial, blocked, stale or stuck.
    fn find_trouble(&mut self, forward: bool, height: usize) -> Vec<Effect> {
        let Some(from) = self.selected_index() else {
            return Vec::new();
        };
        let now = self.read.at().unwrap_or_default();
        let in_trouble = |run: &Run| {
            let state = RunState::of(run, now);
            matches!(
                state,
                RunState::Failed
                    | RunState::Partial
                    | RunState::Blocked
                    | RunState::Stale
                    | RunState::Stuck
            )
        };
        let found = if forward {
            (from + 1..self.rows.len()).find(|i| self.rows.get(*i).is_some_and(in_trouble))
        } else {
            (0..from).rev().find(|i| self.rows.get(*i).is_some_and(in_trouble))
        };
        match found {
            Some(index) => {
                self.select(index, height);
                vec![Effect::WaitForRest]
            }
            None if forward => self.ask_older(),
            None => Vec::new(),
        }
    }

    /// Does a command of the filter line; true while it stays open.
    pub fn edit(&mut self, command: Command) -> Vec<Effect> {
        let Some(editor) = &mut self.editor else {
            return Vec::new();
        };
        match command {
            Command::AppBack => self.editor = None,
            Command::FilterClear => editor.clear(&self.names),
            Command::FilterComplete => editor.complete(&self.names),
            Command::CursorDown => editor.choose(1),
            Command::CursorUp => editor.choose(-1),
            Command::FilterAccept => {
                if let Some(filter) = editor.accept() {
                    return self.apply(filter);
                }
            }
            _ => {}
        }
        Vec::new()
    }

    /// Types a key into the filter line.
    pub fn type_key(&mut self, event: &KeyEvent) -> bool {
        self.editor.as_mut().is_some_and(|editor| editor.key(event, &self.names))
    }

    /// Pastes into the filter line.
    pub fn paste(&mut self, text: &str) -> bool {
        self.editor.as_mut().is_some_and(|editor| editor.paste(text, &self.names))
    }

    /// The cursor has rested: its run's preview is shown.
    pub fn rest(&mut self) {
        self.previewed = self.selected;
    }

    /// The last error of the list.
    pub fn error(&self) -> Option<&Error> {
        self.read.error()
    }

    /// The screen has another height: the selected row stays in sight if it was.
    pub fn resized(&mut self, height: usize) {
        if let Some(index) = self.selected_index()
            && index >= self.top
        {
            self.select(index, height);
        }
    }
}

fn place_of(run: &Run) -> Cursor {
    Cursor { created_at: run.created_at, id: run.id }
}
