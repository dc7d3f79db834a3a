//! The pages of support that are a list: rows that lead somewhere, a search, and as many rows as
//! were looked for.

use std::fmt::Debug;

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use ratatui::widgets::Widget;

use crate::ops::support::DiagnosticsSubject;
use crate::ops::{AnyOperation, AnyOutput};
use crate::tui::command::{Command, Context};
use crate::tui::look::{Look, grouped, wrapped};
use crate::tui::msg::{Follows, Request, Sub};
use crate::tui::remote::Remote;
use crate::tui::screen::{Cx, Hint, Reply, Screen, State, Subject, Target};
use crate::tui::slot::Slot;
use crate::tui::theme::Role;
use crate::tui::widgets::search::{Search, Searched, search_hints};
use crate::tui::widgets::table::{Column, Row, Table};
use crate::tui::widgets::{beside, draw_beside, masked, say};
use crate::{ErrorKind, Result};

/// Lines above the column heads: title, search.
const HEAD: u16 = 2;
const PAGE: i64 = 200;
/// The most rows that are held; a search finds the others.
const HELD: i64 = 1_000;
/// More rows are asked for when the cursor is this near to the end.
const AHEAD: usize = 20;
/// The columns of the selected row in full.
const PREVIEW: u16 = 46;

/// Rows: all of them, whether there are more, and how many match where that is known.
pub type Rows<R> = (Vec<R>, bool, Option<i64>);

pub trait Listed: Debug + Send {
    type Row: Row<Key = i64> + Debug + Send;
    const CONTEXT: Context;
    const SLOT: Slot;
    /// They are asked so many times less often than the rest.
    const POLL_FACTOR: u32 = 1;
    /// Whether rows that may no longer be seen are not shown beside the refusal.
    const HIDES: bool = false;
    const NOUN: &'static str;

    fn ask(&self, search: String, limit: i64) -> AnyOperation;
    /// The rows that an answer holds; none where it is one to something else.
    fn take(&self, answer: &AnyOutput, search: &str) -> Option<Result<Rows<Self::Row>>>;
    fn open(&self, row: &Self::Row) -> Target;
    fn about(&self, row: &Self::Row) -> (DiagnosticsSubject, i64);
    fn copies(&self, row: &Self::Row) -> String {
        row.key().to_string()
    }
    fn title(&self) -> String;
    /// The columns of the rows, in so many columns of the screen.
    fn columns(width: usize, look: &Look) -> Vec<Column<'_, Self::Row>>;
    /// A row in full, in so many columns.
    fn preview(row: &Self::Row, width: usize, cx: &Cx<'_>) -> Vec<Line<'static>>;
    fn empty(&self, cx: &Cx<'_>) -> String;
    fn hints(&self) -> Vec<Hint>;
}

#[derive(Debug)]
pub struct ListPage<L: Listed> {
    of: L,
    table: Table<L::Row>,
    read: Remote<()>,
    search: Search,
    limit: i64,
    /// How many rows there are in all, where that is known.
    matching: Option<i64>,
    /// Whether there are more rows than are held.
    more: bool,
    /// The row that the cursor was on when the search began.
    before: Option<i64>,
}

impl<L: Listed> ListPage<L> {
    pub fn of(of: L) -> Self {
        let (table, read, search) = (Table::default(), Remote::default(), Search::default());
        Self { of, table, read, search, limit: PAGE, matching: None, more: false, before: None }
    }

    /// Asks for more rows than before, where there are some, and not too many.
    fn grow(&mut self, cx: &Cx<'_>) -> Reply {
        let held = i64::try_from(self.table.count()).unwrap_or(i64::MAX);
        // What was asked for last has to come first.
        if !self.more || self.limit >= HELD || held < self.limit {
            return Reply::default();
        }
        self.limit = (self.limit + PAGE).min(HELD);
        self.refresh(cx)
    }

    fn count(&self) -> String {
        let held = i64::try_from(self.table.count()).unwrap_or(i64::MAX);
        if self.read.value().is_none() {
            return String::new();
        }
        let one = held == 1 && !self.more;
        let noun = if one { L::NOUN.trim_end_matches('s') } else { L::NOUN };
        match self.matching {
            Some(matching) if matching > held => {
                format!("{} of {} {noun}", grouped(held), grouped(matching))
            }
            _ if self.more => format!("newest {} {noun}", grouped(held)),
            _ => format!("{} {noun}", grouped(held)),
        }
    }

    /// Why there is nothing, or that it is being read.
    fn nothing(&self, cx: &Cx<'_>) -> (Role, String) {
        match (self.read.error(), self.read.value()) {
            (Some(error), _) => (Role::Failed, error.to_string()),
            (None, None) => (Role::Muted, "reading ...".to_owned()),
            (None, Some(())) if !self.search.text().is_empty() => {
                let key = cx.key(L::CONTEXT, Command::FilterClear);
                let clear = key.map_or_else(String::new, |key| format!(" {key} clears it."));
                (Role::Text, format!("Nothing matches the search.{clear}"))
            }
            (None, Some(())) => (Role::Text, self.of.empty(cx)),
        }
    }
}

fn rows_in(cx: &Cx<'_>) -> usize {
    usize::from(cx.area.height.saturating_sub(HEAD + 1))
}

impl<L: Listed> Searched for ListPage<L> {
    fn search(&mut self) -> &mut Search {
        &mut self.search
    }

    fn begin_search(&mut self, _: &Cx<'_>) {
        self.before = self.table.key().copied();
    }

    /// It begins at the first row, without a search at the one that it was on before.
    fn searched(&mut self, cx: &Cx<'_>) -> Reply {
        self.limit = PAGE;
        self.table.restart(self.before.filter(|_| self.search.text().is_empty()));
        self.refresh(cx)
    }
}

impl<L: Listed> Screen for ListPage<L> {
    fn context(&self, _: &Cx<'_>) -> Context {
        if self.is_typing() { Context::Search } else { L::CONTEXT }
    }

    fn subscriptions(&self, cx: &Cx<'_>) -> Vec<Sub> {
        let asked = self.of.ask(self.search.text().to_owned(), self.limit);
        let (request, every) = (Request::of(asked), cx.every * L::POLL_FACTOR);
        vec![Sub { slot: L::SLOT, request, every, follows: Follows::Changes }]
    }

    fn answer(&mut self, answer: &AnyOutput, cx: &Cx<'_>) -> Option<Reply> {
        let rows = self.of.take(answer, self.search.text())?.map(|(rows, more, matching)| {
            (self.more, self.matching) = (more, matching);
            self.table.take(rows, rows_in(cx));
        });
        self.read.take(rows, cx.look.now);
        Some(Reply::default())
    }

    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        if let Some(reply) = self.search_command(command, cx) {
            return reply;
        }
        match command {
            Command::RowOpen => self
                .table
                .selected()
                .map_or_else(Reply::default, |row| Reply::show(self.of.open(row))),
            Command::PollNow => self.refresh(cx),
            Command::ListOlder => self.grow(cx),
            _ => match self.table.command(command, rows_in(cx)) {
                Some(true) if self.table.at() + AHEAD >= self.table.count() => self.grow(cx),
                Some(_) => Reply::default(),
                None => Reply::up(command),
            },
        }
    }

    fn key(&mut self, event: &KeyEvent, cx: &Cx<'_>) -> Reply {
        self.search_key(event, cx)
    }

    fn paste(&mut self, text: &str, cx: &Cx<'_>) -> Reply {
        self.search_paste(text, cx)
    }

    fn click(&mut self, column: u16, row: u16, cx: &Cx<'_>) -> Reply {
        let line = row.checked_sub(HEAD + 1).filter(|_| column < beside(cx, PREVIEW).0.width);
        match line.and_then(|line| self.table.click(usize::from(line), rows_in(cx))) {
            Some(true) => self.command(Command::RowOpen, cx),
            _ => Reply::default(),
        }
    }

    fn is_typing(&self) -> bool {
        self.search.is_typing()
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        let (look, area) = (cx.look, cx.area);
        let line = |y: u16| Rect { y: area.y + y, height: 1, ..area }.intersection(area);
        let title = Line::from(look.span(Role::Title, format!(" {}", self.of.title())));
        let taken = title.width();
        title.render(line(0), buffer);
        let count = Line::from(look.span(Role::Muted, self.count()));
        if taken + count.width() + 2 <= usize::from(area.width) {
            let room = Rect { width: area.width.saturating_sub(1), ..line(0) };
            count.right_aligned().render(room, buffer);
        }
        let cursor = self.search.draw(line(1), buffer, look);
        let below = |area: Rect, head: u16| {
            let head = head.min(area.height);
            Rect { y: area.y + head, height: area.height - head, ..area }
        };
        let (list, preview) = beside(cx, PREVIEW);
        if self.table.count() == 0 {
            let (role, text) = self.nothing(cx);
            say(role, &text, below(list, HEAD + 1), buffer, look);
            return cursor;
        }
        let columns = L::columns(usize::from(list.width.saturating_sub(2)), look);
        self.table.draw(&columns, below(list, HEAD), buffer, look, cx.lost);
        if let (Some(area), Some(row)) = (preview, self.table.selected()) {
            let lines = L::preview(row, usize::from(area.width.saturating_sub(3)), cx);
            draw_beside(lines, below(area, HEAD), buffer, look);
        }
        cursor
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        if self.is_typing() { search_hints() } else { self.of.hints() }
    }

    fn state(&self, _: &Cx<'_>) -> Option<State<'_>> {
        let error = self.read.error();
        let hidden = L::HIDES && error.is_some_and(|error| error.kind() == ErrorKind::Forbidden);
        Some(State { error, has_data: self.table.count() > 0 && !hidden })
    }

    fn subject(&self, _: &Cx<'_>) -> Subject<'_> {
        let about = |row| {
            let (subject, tenant) = self.of.about(row);
            Subject::Support(subject, Some(tenant))
        };
        self.table.selected().map_or(NOTHING, about)
    }

    fn copies(&self, _: &Cx<'_>) -> Option<String> {
        self.table.selected().map(|row| self.of.copies(row))
    }
}

pub(super) const NOTHING: Subject<'static> =
    Subject::Nothing("no run is selected", "nothing is selected; t finds a tenant");

pub fn preview_field(name: &str, text: &str, width: usize, cx: &Cx<'_>) -> Vec<Line<'static>> {
    const NAME: usize = 11;
    let look = cx.look;
    let text = look.cut(text, 2_000).to_string();
    let pieces = wrapped(&text, width.saturating_sub(NAME));
    let lines = pieces.into_iter().enumerate().map(|(index, piece)| {
        let name = if index == 0 { name } else { "" };
        let mut spans = vec![look.span(Role::Muted, format!("{name:<NAME$}"))];
        spans.extend(masked::spans(look, Role::Text, &piece));
        Line::from(spans)
    });
    lines.collect()
}
