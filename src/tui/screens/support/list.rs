//! A list of a page: rows with a cursor that is bound to what a row is about, a search, and as
//! many rows as were looked for.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::pages::{Listed, Rows};
use super::search::Search;
use crate::tui::command::Command;
use crate::tui::look::{grouped, wrapped};
use crate::tui::remote::Remote;
use crate::tui::screen::Cx;
use crate::tui::theme::Role;
use crate::{Error, Result};

/// Lines above the rows: title, search, column heads.
const HEAD: u16 = 3;
/// Rows that are asked for at once.
const PAGE: i64 = 200;
/// The most rows that are held; a search finds the others.
const HELD: i64 = 1_000;
/// More rows are asked for when the cursor is this near to the end.
const AHEAD: usize = 20;
/// From this width on, the selected row is told in full on the right.
const PREVIEW_FROM: u16 = 120;
/// The columns of that.
const PREVIEW: u16 = 46;

/// The state of a list.
#[derive(Debug)]
pub struct List<L: Listed> {
    rows: Vec<L::Row>,
    read: Remote<()>,
    /// The search, and the field that it is typed into.
    pub search: Search,
    limit: i64,
    /// How many rows there are in all, where that is known.
    matching: Option<i64>,
    /// Whether there are more rows than are held.
    more: bool,
    selected: Option<i64>,
    /// Where the selected row stood, for when it goes.
    index: usize,
    /// Index of the first row on the screen.
    top: usize,
}

impl<L: Listed> Default for List<L> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            read: Remote::default(),
            search: Search::default(),
            limit: PAGE,
            matching: None,
            more: false,
            selected: None,
            index: 0,
            top: 0,
        }
    }
}

impl<L: Listed> List<L> {
    /// How many rows are to be asked for.
    pub fn limit(&self) -> i64 {
        self.limit
    }

    /// The row under the cursor.
    pub fn selected(&self) -> Option<&L::Row> {
        self.rows.get(self.index)
    }

    /// The rows held.
    pub fn rows(&self) -> &[L::Row] {
        &self.rows
    }

    /// The last error.
    pub fn error(&self) -> Option<&Error> {
        self.read.error()
    }

    /// Takes rows: all of them, whether there are more, and how many match where that is known.
    pub fn take(&mut self, answer: Result<Rows<L::Row>>, cx: &Cx<'_>) {
        let now = cx.look.now;
        match answer {
            Ok((rows, more, matching)) => {
                let first = self.rows.get(self.top).map(L::key);
                self.rows = rows;
                self.more = more;
                self.matching = matching;
                self.read.take(Ok(()), now);
                let place =
                    |key: Option<i64>| self.rows.iter().position(|row| Some(L::key(row)) == key);
                // Rows that come above move nothing, but where the newest are looked at.
                if self.top > 0
                    && let Some(top) = place(first)
                {
                    self.top = top;
                }
                let found = place(self.selected);
                self.index =
                    found.unwrap_or_else(|| self.index.min(self.rows.len().saturating_sub(1)));
                self.selected = self.rows.get(self.index).map(L::key);
                self.settle(cx);
            }
            Err(error) => self.read.take(Err(error), now),
        }
    }

    /// Shows the list from its first row on: another search is in force.
    pub fn restart(&mut self) {
        self.limit = PAGE;
        self.index = 0;
        self.top = 0;
        self.selected = None;
    }

    /// Moves the cursor; says whether more rows are to be asked for, none where the command means
    /// something else.
    pub fn command(&mut self, command: Command, cx: &Cx<'_>) -> Option<bool> {
        let last = self.rows.len().saturating_sub(1);
        let page = Self::rows_in(cx).saturating_sub(1).max(1);
        let to = match command {
            Command::CursorUp => self.index.saturating_sub(1),
            Command::CursorDown => self.index + 1,
            Command::CursorPageUp => self.index.saturating_sub(page),
            Command::CursorPageDown => self.index + page,
            Command::CursorFirst => 0,
            Command::CursorLast => last,
            Command::ListOlder => return Some(self.grow()),
            _ => return None,
        };
        let forward = to > self.index;
        self.index = to.min(last);
        self.selected = self.rows.get(self.index).map(L::key);
        self.settle(cx);
        Some(forward && self.index + AHEAD > last && self.grow())
    }

    /// Asks for more rows than before; false where there are none, or too many.
    fn grow(&mut self) -> bool {
        let held = i64::try_from(self.rows.len()).unwrap_or(i64::MAX);
        // What was asked for last has to come first.
        let grows = self.more && self.limit < HELD && held >= self.limit;
        if grows {
            self.limit = (self.limit + PAGE).min(HELD);
        }
        grows
    }

    /// A click on a row selects it; true if it was selected before.
    pub fn click(&mut self, column: u16, line: u16, cx: &Cx<'_>) -> bool {
        let Some(row) = line.checked_sub(HEAD) else { return false };
        let index = self.top + usize::from(row);
        let Some(clicked) = self.rows.get(index).filter(|_| column < list_width(cx)) else {
            return false;
        };
        let before = self.index == index;
        self.selected = Some(L::key(clicked));
        self.index = index;
        before
    }

    /// Keeps the selected row on the screen.
    pub fn settle(&mut self, cx: &Cx<'_>) {
        let rows = Self::rows_in(cx).max(1);
        if self.index < self.top {
            self.top = self.index;
        } else if self.index >= self.top + rows {
            self.top = self.index + 1 - rows;
        }
        self.top = self.top.min(self.rows.len().saturating_sub(rows.min(self.rows.len())));
    }

    fn rows_in(cx: &Cx<'_>) -> usize {
        usize::from(cx.area.height.saturating_sub(HEAD))
    }

    /// Draws the list; gives where the terminal's cursor belongs while a search is typed.
    pub fn draw(&self, of: &L, buffer: &mut Buffer, cx: &Cx<'_>) -> Option<Position> {
        let (look, area) = (cx.look, cx.area);
        let line = |y: u16| Rect { y: area.y + y, height: 1, ..area }.intersection(area);
        let title = Line::from(look.span(Role::Title, format!(" {}", of.title())));
        let taken = title.width();
        title.render(line(0), buffer);
        let count = Line::from(look.span(Role::Muted, self.count(L::NOUN)));
        if taken + count.width() + 2 <= usize::from(area.width) {
            let room = Rect { width: area.width.saturating_sub(1), ..line(0) };
            count.right_aligned().render(room, buffer);
        }
        let cursor = self.search.draw(line(1), buffer, look);
        let width = list_width(cx);
        let rows = Rect {
            y: area.y + HEAD.min(area.height),
            height: area.height.saturating_sub(HEAD),
            width,
            ..area
        };
        if self.rows.is_empty() {
            self.draw_empty(of, rows, buffer, cx);
            return cursor;
        }
        let columns = usize::from(width).saturating_sub(2);
        let head = format!("  {}", L::head(columns, look));
        Line::from(look.span(Role::Header, head)).render(Rect { width, ..line(2) }, buffer);
        let shown = self.rows.iter().enumerate().skip(self.top);
        for (y, (index, row)) in (rows.y..rows.bottom()).zip(shown) {
            let selected = index == self.index;
            let marker = if selected { look.glyph("▸ ", "> ") } else { "  " };
            let role = if selected { Role::Selected } else { Role::Text };
            let mut spans = vec![look.span(role, marker)];
            let grey = look.style(Role::Muted);
            let spans_of_row = L::row(row, columns, selected, look)
                .into_iter()
                .map(|span| if cx.lost { Span::styled(span.content, grey) } else { span });
            spans.extend(spans_of_row);
            Line::from(spans).render(Rect { y, height: 1, ..rows }, buffer);
        }
        if width < area.width
            && let Some(row) = self.selected()
        {
            let right = Rect {
                x: area.x + width,
                y: area.y + 2,
                width: area.width - width,
                height: area.height.saturating_sub(2),
            };
            let lines = L::preview(row, usize::from(right.width.saturating_sub(3)), cx);
            draw_preview(lines, right, buffer, cx);
        }
        cursor
    }

    /// How many rows there are.
    fn count(&self, noun: &str) -> String {
        let held = i64::try_from(self.rows.len()).unwrap_or(i64::MAX);
        if self.read.value().is_none() {
            return String::new();
        }
        let noun = if held == 1 && !self.more { noun.trim_end_matches('s') } else { noun };
        match self.matching {
            Some(matching) if matching > held => {
                format!("{} of {} {noun}", grouped(held), grouped(matching))
            }
            _ if self.more => format!("newest {} {noun}", grouped(held)),
            _ => format!("{} {noun}", grouped(held)),
        }
    }

    fn draw_empty(&self, of: &L, area: Rect, buffer: &mut Buffer, cx: &Cx<'_>) {
        let look = cx.look;
        let (role, text) = match (self.read.error(), self.read.value()) {
            (Some(error), _) => (Role::Failed, error.to_string()),
            (None, None) => (Role::Muted, "reading ...".to_owned()),
            (None, Some(())) if !self.search.text().is_empty() => {
                let key = cx.key(L::CONTEXT, Command::FilterClear);
                let clear = key.map_or_else(String::new, |key| format!(" {key} clears it."));
                (Role::Text, format!("Nothing matches the search.{clear}"))
            }
            (None, Some(())) => (Role::Text, of.empty(cx)),
        };
        let text = look.cut(&text, 1_000).to_string();
        let lines = wrapped(&text, usize::from(area.width.saturating_sub(4)));
        for (y, text) in (area.y..area.bottom()).zip(lines) {
            let row = Rect { y, height: 1, ..area };
            Line::from(look.span(role, format!("  {text}"))).render(row, buffer);
        }
    }
}

/// The columns of the rows, beside the preview where there is room for one.
fn list_width(cx: &Cx<'_>) -> u16 {
    let width = cx.area.width;
    if width >= PREVIEW_FROM && !cx.look.terse { width - PREVIEW } else { width }
}

fn draw_preview(lines: Vec<Line<'static>>, area: Rect, buffer: &mut Buffer, cx: &Cx<'_>) {
    let bar = cx.look.glyph("│ ", "| ");
    let lines = lines.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
    for (y, line) in (area.y..area.bottom()).zip(lines) {
        let mut spans = vec![cx.look.span(Role::Border, bar)];
        spans.extend(line.into_iter().flat_map(|line| line.spans));
        Line::from(spans).render(Rect { y, height: 1, ..area }, buffer);
    }
}

/// A name and a text of a preview, wrapped beside it.
pub fn preview_field(name: &str, text: &str, width: usize, cx: &Cx<'_>) -> Vec<Line<'static>> {
    const NAME: usize = 11;
    let look = cx.look;
    let text = look.cut(text, 2_000).to_string();
    let pieces = wrapped(&text, width.saturating_sub(NAME));
    let lines = pieces.into_iter().enumerate().map(|(index, piece)| {
        let name = if index == 0 { name } else { "" };
        let mut spans = vec![look.span(Role::Muted, format!("{name:<NAME$}"))];
        spans.extend(super::masked::spans(look, Role::Text, &piece));
        Line::from(spans)
    });
    lines.collect()
}
