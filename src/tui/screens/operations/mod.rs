//! The operations list: live, newest first, over any number of rows.
//!
//! The cursor is bound to a run's id: rows may come and go around it. While the newest rows
//! are shown they stay shown; once scrolled, the rows on the screen stay where they are.

mod filter_editor;
mod view;

pub(crate) use view::tenant_text;

use chrono::{DateTime, Utc};
use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Position;

use self::filter_editor::FilterEditor;
use self::view::{HEAD, rows_in};
use crate::Result;
use crate::domain::run::{Run, RunStatus};
use crate::domain::run_filter::{RunFilter, TermKind, When};
use crate::domain::run_state::RunState;
use crate::ops::AnyOutput;
use crate::ops::platform::{FilterNames, NameValues};
use crate::ops::runs::{CountRuns, Cursor, ListRuns, Page, RunCounts, RunPage};
use crate::tui::command::{Command, Context};
use crate::tui::msg::{Answer, Effect, Follows, Request, Sub};
use crate::tui::remote::Remote;
use crate::tui::screen::{
    Cx, Go, Hint, NO_FIELD, Place, Reply, Screen, State, Subject, Target, Way,
};
use crate::tui::setup::Setup;
use crate::tui::slot::Slot;
use crate::tui::tabs::{HOME, Tab};
use crate::tui::widgets::form::Pasted;
use crate::tui::widgets::table::{Row, Table};

impl Slot {
    pub const LIST: Self = Self::new("list", "the runs").hinted().kept();
    pub const COUNTS: Self = Self::new("counts", "the counts of runs").hinted().aside(5_000);
    pub const NAMES: Self = Self::new("names", "the names").anew();
}

/// The most rows that are held at once.
const HELD: usize = 1_000;
/// The next page is asked for when the cursor is nearer to the end than so many screens.
const AHEAD: usize = 2;

#[derive(Debug, Default)]
pub struct Operations {
    filter: RunFilter,
    editor: Option<FilterEditor>,
    table: Table<Run>,
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
    /// The run whose preview is shown: the selected one, once the cursor has rested.
    previewed: Option<i64>,
    counts: Remote<RunCounts>,
    names: FilterNames,
    page_size: i64,
    /// The filter that a run or a number has set, while it is in force, and where it was set.
    led: Option<(RunFilter, Place)>,
}

impl Operations {
    pub fn new(setup: &Setup) -> Self {
        Self { page_size: setup.page_size, table: Table::loose(), ..Self::default() }
    }

    pub fn filter(&self) -> &RunFilter {
        &self.filter
    }

    pub fn rows(&self) -> &[Run] {
        self.table.rows()
    }

    pub fn selected(&self) -> Option<i64> {
        self.table.selected().map(|run| run.id)
    }

    /// Whether the newest rows are held.
    fn at_newest(&self) -> bool {
        matches!(self.anchor, Page::Newest)
    }

    /// Shows the list under another filter, from its newest row.
    fn apply(&mut self, filter: RunFilter) -> Reply {
        self.editor = None;
        if filter != self.filter {
            self.filter = filter;
            self.table.clear();
            self.read = Remote::default();
        }
        self.anchor = Page::Newest;
        (self.older, self.searched, self.missing_before) = (None, None, None);
        self.table.show_top();
        Reply::ask(Slot::LIST, self.current_page())
    }

    /// What brings the rows held up to date.
    fn current_page(&self) -> ListRuns {
        let held = i64::try_from(self.table.count()).unwrap_or(self.page_size);
        ListRuns {
            filter: self.filter.clone(),
            page: self.anchor,
            limit: held.clamp(self.page_size, i64::try_from(HELD).unwrap_or(i64::MAX)),
        }
    }

    /// Takes rows; an answer to a filter that is no longer in force is dropped.
    fn take_page(&mut self, asked: &ListRuns, answer: Result<RunPage>, cx: &Cx<'_>) {
        let (height, now) = (rows_in(cx), cx.look.now);
        if asked.filter != self.filter {
            return;
        }
        let page = match answer {
            Ok(page) => page,
            Err(error) => return self.read.take(Err(error), now),
        };
        self.read.take(Ok(()), now);
        let before = self.selected();
        if let Page::NewerThan(_) = asked.page {
            let more = page.more;
            self.table.update(height, |rows| {
                rows.splice(0..0, page.runs);
                rows.truncate(HELD);
                !more
            });
            self.anchor = if more { self.anchor_here() } else { Page::Newest };
            self.older = self.rows().last().map(place_of);
        } else {
            // The list may have been moved while the answer was on its way.
            if matches!(asked.page, Page::Newest | Page::From(_)) && asked.page != self.anchor {
                return;
            }
            self.older = page.next;
            self.searched = page.searched;
            self.missing_before = page.missing_before;
            let mut surplus = 0;
            match asked.page {
                Page::OlderThan(_) => self.table.update(height, |rows| {
                    rows.extend(page.runs);
                    surplus = rows.len().saturating_sub(HELD);
                    rows.drain(..surplus);
                    surplus == 0 && self.anchor == Page::Newest
                }),
                Page::Oldest => {
                    surplus = usize::from(page.more);
                    self.anchor = Page::Newest;
                    self.older = None;
                    self.table.take(page.runs, height);
                    self.table.command(Command::CursorLast, height);
                }
                _ => self.table.update(height, |rows| {
                    *rows = page.runs;
                    self.anchor == Page::Newest
                }),
            }
            if surplus > 0 {
                self.anchor = self.anchor_here();
            }
        }
        if self.selected() != before && asked.page != Page::Oldest {
            self.previewed = self.selected();
        }
    }

    fn anchor_here(&self) -> Page {
        self.rows().first().map_or(Page::Newest, |run| Page::From(place_of(run)))
    }

    fn step(&mut self, command: Command, height: usize) -> Reply {
        let Some(on) = self.table.command(command, height) else { return Reply::up(command) };
        let (index, count, near) = (self.table.at(), self.table.count(), AHEAD * height);
        let reply = Reply::of(vec![Effect::WaitForRest]);
        if on && index + near >= count {
            return reply.and(self.ask_older());
        }
        let newer = self.rows().first().filter(|_| !on && index < near && !self.at_newest());
        reply.and(newer.map(|first| self.ask_page(Page::NewerThan(place_of(first)))))
    }

    fn ask_older(&self) -> Option<Effect> {
        self.older.map(|cursor| self.ask_page(Page::OlderThan(cursor)))
    }

    fn ask_page(&self, page: Page) -> Effect {
        let asked = ListRuns { filter: self.filter.clone(), page, limit: self.page_size };
        Effect::ask(Slot::LIST, asked)
    }

    /// Goes to the next run that needs attention: failed, partial, blocked, stale or stuck.
    fn find_trouble(&mut self, forward: bool, height: usize) -> Reply {
        use RunState::{Blocked, Failed, Partial, Stale, Stuck};
        let now = self.read.at().unwrap_or_default();
        let in_trouble = |run: &Run| {
            matches!(RunState::of(run, now), Failed | Partial | Blocked | Stale | Stuck)
        };
        let found = self.table.find(forward, in_trouble);
        if let Some(index) = found {
            self.table.go(index, height);
            return Reply::of(vec![Effect::WaitForRest]);
        }
        Reply::default().and(self.ask_older().filter(|_| forward))
    }

    fn edit(&mut self, command: Command) -> Reply {
        let Some(editor) = &mut self.editor else { return Reply::default() };
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
        Reply::default()
    }

    /// Whether the list was led to, and goes back there.
    fn is_led(&self) -> bool {
        self.led.as_ref().is_some_and(|(filter, _)| *filter == self.filter)
    }
}

impl Screen for Operations {
    fn context(&self, _: &Cx<'_>) -> Context {
        if self.editor.is_some() { Context::Filter } else { Context::Operations }
    }

    fn subscriptions(&self, cx: &Cx<'_>) -> Vec<Sub> {
        let relative = |kind: &TermKind| {
            matches!(kind, TermKind::Since(When::Ago(_)) | TermKind::Until(When::Ago(_)))
        };
        // Under a filter like since:24h rows leave the list by themselves, a lease runs out and
        // a worker goes silent by itself.
        let held = self.rows().iter().any(|run| run.status != RunStatus::Completed);
        let moves =
            self.rows().iter().any(|run| run.status == RunStatus::Running && !run.lease_overdue);
        let timed = self.filter.terms.iter().any(|term| relative(&term.kind));
        let by_time = |timed| if timed { Follows::Time } else { Follows::Changes };
        let follows = if moves { Follows::Progress } else { by_time(held || timed) };
        let sub = |slot, request, follows| Sub { slot, request, every: cx.every, follows };
        vec![
            sub(Slot::LIST, Request::of(self.current_page()), follows),
            sub(Slot::COUNTS, Request::of(CountRuns), by_time(held)),
        ]
    }

    fn refresh(&mut self, _: &Cx<'_>) -> Reply {
        Reply::ask(Slot::LIST, self.current_page())
    }

    fn place(&self) -> Option<(Target, Tab)> {
        Some((Target::Runs(self.filter.clone()), HOME))
    }

    fn show(&mut self, target: &Target, way: Way, _: &Cx<'_>) -> Option<Reply> {
        let Target::Runs(filter) = target else { return None };
        if let Way::Led(place) | Way::Named(place) = way {
            self.led = Some((filter.clone(), place));
        } else if *filter == self.filter {
            return Some(Reply::default());
        }
        Some(self.apply(filter.clone()))
    }

    fn answer(&mut self, answer: &AnyOutput, cx: &Cx<'_>) -> Option<Reply> {
        let now = cx.look.now;
        match answer {
            AnyOutput::ListRuns(asked, answer) => {
                self.take_page(asked, answer.clone(), cx);
                let missed = answer.as_ref().err().filter(|_| asked.leads_beyond());
                return Some(Reply::default().miss_rows(missed, cx));
            }
            AnyOutput::CountRuns(_, answer) => self.counts.take(answer.clone(), now),
            AnyOutput::NameValues(_, Ok(names)) => {
                self.names = names.clone();
                if let Some(editor) = &mut self.editor {
                    editor.refresh(&self.names);
                }
            }
            _ => return None,
        }
        Some(Reply::default())
    }

    fn outcome(&mut self, slot: Slot, answer: &Answer, cx: &Cx<'_>) -> Reply {
        if let (Slot::LIST, Answer::Unchanged) = (slot, answer) {
            self.read.confirm(cx.look.now);
        }
        Reply::default()
    }

    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        if self.editor.is_some() {
            return self.edit(command);
        }
        let height = rows_in(cx);
        match command {
            Command::RowOpen => match self.selected() {
                Some(id) => Reply::show(Target::Run(id)),
                None => Reply::default(),
            },
            // From a list that a run or a number led to back there, and to the filter before it.
            Command::AppBack => match self.led.take_if(|(filter, _)| *filter == self.filter) {
                Some((_, place)) => Reply::default().go(Go::Return(place)),
                None => Reply::default(),
            },
            Command::CursorFirst if !self.at_newest() => {
                self.table.restart(None);
                self.anchor = Page::Newest;
                self.refresh(cx)
            }
            Command::CursorLast if self.older.is_some() => {
                Reply::of(vec![self.ask_page(Page::Oldest)])
            }
            Command::ListOlder => Reply::default().and(self.ask_older()),
            Command::MatchNext | Command::MatchPrevious => {
                self.find_trouble(command == Command::MatchNext, height)
            }
            Command::FilterEdit => {
                let mut editor = FilterEditor::new(&self.filter, cx.look.offset());
                editor.refresh(&self.names);
                self.editor = Some(editor);
                Reply::ask(Slot::NAMES, NameValues)
            }
            Command::FilterClear if !self.filter.is_empty() => self.apply(RunFilter::default()),
            Command::PollNow => self.refresh(cx).and([Effect::ask(Slot::COUNTS, CountRuns)]),
            _ => self.step(command, height),
        }
    }

    fn key(&mut self, event: &KeyEvent, _: &Cx<'_>) -> Reply {
        if let Some(editor) = &mut self.editor {
            editor.key(event, &self.names);
        }
        Reply::default()
    }

    fn paste(&mut self, text: &str, cx: &Cx<'_>) -> Reply {
        let Some(editor) = &mut self.editor else {
            return Reply::default().say(NO_FIELD, cx);
        };
        let pasted = if editor.paste(text, &self.names) { Pasted::Whole } else { Pasted::Cut };
        Reply::default().pasted(pasted, NO_FIELD, cx)
    }

    /// A click selects a run; one on the selected run opens it. One beside the rows changes
    /// nothing, and does not open what is selected.
    fn click(&mut self, _: u16, row: u16, cx: &Cx<'_>) -> Reply {
        let line = row.checked_sub(HEAD);
        match line.and_then(|line| self.table.click(usize::from(line), rows_in(cx))) {
            Some(true) => self.command(Command::RowOpen, cx),
            _ => Reply::of(vec![Effect::WaitForRest]),
        }
    }

    fn is_typing(&self) -> bool {
        self.editor.is_some()
    }

    /// The preview of the run under the cursor is shown.
    fn rested(&mut self, _: &Cx<'_>) -> Reply {
        self.previewed = self.selected();
        Reply::default()
    }

    fn settle(&mut self, cx: &Cx<'_>) {
        self.table.settle(rows_in(cx));
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        self.draw(buffer, cx)
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        if self.editor.is_some() {
            return Hint::of(&[
                Command::FilterAccept,
                Command::FilterComplete,
                Command::FilterClear,
                Command::AppBack,
            ]);
        }
        let mut hints = Hint::of(self.is_led().then_some(Command::AppBack).as_slice());
        hints.push(Hint::Runs);
        hints.extend(Hint::of(&[
            Command::RowOpen,
            Command::FilterEdit,
            Command::MatchNext,
            Command::AppPalette,
            Command::PollPause,
        ]));
        hints
    }

    fn state(&self, _: &Cx<'_>) -> Option<State<'_>> {
        Some(State { error: self.read.error(), has_data: self.table.count() > 0 })
    }

    fn subject(&self, _: &Cx<'_>) -> Subject<'_> {
        let nothing = Subject::Nothing("no run is selected", "no run is selected");
        self.table.selected().map_or(nothing, Subject::Run)
    }

    fn copies(&self, _: &Cx<'_>) -> Option<String> {
        self.selected().map(|id| id.to_string())
    }

    fn reads(&self, _: &Cx<'_>) -> Option<Slot> {
        self.editor.as_ref().map(|_| Slot::NAMES)
    }
}

impl Row for Run {
    type Key = i64;

    fn key(&self) -> i64 {
        self.id
    }
}

fn place_of(run: &Run) -> Cursor {
    Cursor { created_at: run.created_at, id: run.id }
}
