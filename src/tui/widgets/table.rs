//! A list: rows in columns, with a cursor that is bound to what a row is about and not to its
//! place. Of a list that is very long, a part of its rows is held.

use std::fmt::Debug;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::cursor::Cursor;
use crate::tui::command::Command;
use crate::tui::look::Look;
use crate::tui::theme::Role;

pub trait Row {
    type Key: Clone + PartialEq + Debug + Send;
    fn key(&self) -> Self::Key;
}

#[derive(Debug)]
pub struct Table<R: Row> {
    rows: Vec<R>,
    /// The place of the first row held.
    offset: usize,
    count: usize,
    key: Option<R::Key>,
    cursor: Cursor,
    /// Whether rows that come and go may move the cursor out of sight.
    loose: bool,
}

impl<R: Row> Default for Table<R> {
    fn default() -> Self {
        let cursor = Cursor::default();
        Self { rows: Vec::new(), offset: 0, count: 0, key: None, cursor, loose: false }
    }
}

impl<R: Row> Table<R> {
    /// An empty list whose rows stay where they are on the screen, whatever comes above them.
    pub fn loose() -> Self {
        Self { loose: true, ..Self::default() }
    }

    pub fn rows(&self) -> &[R] {
        &self.rows
    }

    /// How many rows there are, held or not.
    pub fn count(&self) -> usize {
        self.count
    }

    pub fn at(&self) -> usize {
        self.cursor.at
    }

    pub fn key(&self) -> Option<&R::Key> {
        self.key.as_ref()
    }

    pub fn selected(&self) -> Option<&R> {
        self.row(self.cursor.at)
    }

    fn row(&self, at: usize) -> Option<&R> {
        self.rows.get(at.checked_sub(self.offset)?)
    }

    fn place(&self, key: Option<&R::Key>) -> Option<usize> {
        let key = key?;
        Some(self.offset + self.rows.iter().position(|row| row.key() == *key)?)
    }

    pub fn top(&self, height: usize) -> usize {
        if self.loose { self.cursor.top } else { self.cursor.top_in(self.count, height) }
    }

    pub fn below(&self, height: usize) -> usize {
        self.count.saturating_sub(self.top(height) + height)
    }

    /// Which part of the rows is held: where it begins and ends.
    pub fn held(&self) -> (usize, usize) {
        (self.offset, self.offset + self.rows.len())
    }

    /// Begins at the first row, or at that of `key` if it comes; the rows stay until others come.
    pub fn restart(&mut self, key: Option<R::Key>) {
        (self.key, self.cursor) = (key, Cursor::default());
    }

    /// Shows the rows from the first one on; the cursor stays.
    pub fn show_top(&mut self) {
        self.cursor.top = 0;
    }

    pub fn clear(&mut self) {
        *self = Self { loose: self.loose, ..Self::default() };
    }

    pub fn take(&mut self, rows: Vec<R>, height: usize) {
        let count = rows.len();
        self.take_part(rows, 0, count, height);
    }

    pub fn take_part(&mut self, rows: Vec<R>, offset: usize, count: usize, height: usize) {
        let first = self.row(self.cursor.top).map(R::key).filter(|_| self.cursor.top > 0);
        (self.rows, self.offset, self.count) = (rows, offset, count);
        self.keep_place(first.as_ref(), height);
    }

    /// Rows come and go; `change` says whether the first one held is the first there is.
    pub fn update(&mut self, height: usize, change: impl FnOnce(&mut Vec<R>) -> bool) {
        let first = self.row(self.cursor.top).map(R::key);
        let all = change(&mut self.rows);
        self.count = self.rows.len();
        let first = first.filter(|_| self.cursor.top > 0 || !all);
        self.keep_place(first.as_ref(), height);
    }

    /// The first row on the screen stays there, unless the list is looked at from its start; a row
    /// under the cursor that is gone gives way to its neighbour.
    fn keep_place(&mut self, first: Option<&R::Key>, height: usize) {
        let top = self.place(first).unwrap_or(self.cursor.top);
        self.cursor.top = top.min(self.count.saturating_sub(height));
        let at = self.place(self.key.as_ref()).unwrap_or(self.cursor.at);
        self.cursor.at = at.min(self.count.saturating_sub(1));
        self.key = self.selected().map(R::key);
    }

    pub fn go(&mut self, to: usize, height: usize) {
        self.cursor.go(to, self.count, height);
        self.key = self.selected().map(R::key);
    }

    /// Moves the cursor; gives whether that leads on in the list, none where the command is no move.
    pub fn command(&mut self, command: Command, height: usize) -> Option<bool> {
        self.cursor.top = self.top(height);
        let to = self.cursor.led(command, height)?;
        let on = to > self.cursor.at;
        self.go(to, height);
        Some(on)
    }

    /// The next row held, or the one before, that is `wanted`.
    pub fn find(&self, forward: bool, wanted: impl Fn(&R) -> bool) -> Option<usize> {
        let mut rows = self.rows.iter().enumerate().filter(|(_, row)| wanted(row));
        let here = self.cursor.at;
        let found = if forward {
            rows.find(|(at, _)| at + self.offset > here)
        } else {
            rows.rfind(|(at, _)| at + self.offset < here)
        };
        Some(found?.0 + self.offset)
    }

    /// Puts the cursor on the row at a line of the screen; whether it was there before, none where
    /// there is no row.
    pub fn click(&mut self, line: usize, height: usize) -> Option<bool> {
        let top = self.top(height);
        let at = Some(top + line).filter(|at| line < height && *at < self.count)?;
        let before = self.cursor.at == at && self.key.is_some();
        self.cursor = Cursor { at, top };
        self.key = self.selected().map(R::key);
        Some(before)
    }

    /// After the screen has changed its size, the cursor stays in sight if it was.
    pub fn settle(&mut self, height: usize) {
        if self.cursor.at >= self.cursor.top {
            self.go(self.cursor.at, height);
        }
    }

    /// Where the cursor is if it is out of sight, in words.
    pub fn astray(&self, height: usize, look: &Look) -> String {
        let (at, top) = (self.cursor.at, self.top(height));
        if at < top {
            format!("{} cursor above", look.glyph("↑", "^"))
        } else if at >= top + height && self.count > 0 {
            format!("{} cursor below", look.glyph("↓", "v"))
        } else {
            String::new()
        }
    }

    /// Draws the column heads, and below them the rows. Where `greyed`, what they say is old.
    pub fn draw(
        &self,
        columns: &[Column<'_, R>],
        area: Rect,
        buffer: &mut Buffer,
        look: &Look,
        greyed: bool,
    ) {
        let line = Rect { height: area.height.min(1), ..area };
        head(columns, look).render(line, buffer);
        let height = usize::from(area.height.saturating_sub(1));
        let top = self.top(height);
        for (y, at) in (area.y + 1..area.bottom()).zip(top..self.count) {
            let here = at == self.cursor.at;
            let line = row_line(columns, self.row(at), here, greyed, look);
            line.render(Rect { y, height: 1, ..area }, buffer);
        }
    }
}

/// A column: its head, how wide it is, and its texts. With no width, there is none.
pub struct Column<'a, R> {
    head: String,
    width: usize,
    right: bool,
    chief: bool,
    apart: usize,
    text: Box<dyn Fn(&R) -> Text + 'a>,
}

pub enum Text {
    /// Text, cut where there is no room.
    Plain(Role, String),
    /// Text in pieces, which fit.
    Pieces(Vec<Span<'static>>),
}

impl From<(Role, String)> for Text {
    fn from((role, text): (Role, String)) -> Self {
        Self::Plain(role, text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::Plain(Role::Text, text)
    }
}

impl From<Vec<Span<'static>>> for Text {
    fn from(pieces: Vec<Span<'static>>) -> Self {
        Self::Pieces(pieces)
    }
}

impl<'a, R> Column<'a, R> {
    pub fn new<T: Into<Text>>(
        head: impl Into<String>,
        width: usize,
        text: impl Fn(&R) -> T + 'a,
    ) -> Self {
        let text = Box::new(move |row: &R| text(row).into());
        Self { head: head.into(), width, right: false, chief: false, apart: 1, text }
    }

    #[must_use]
    pub fn right(self) -> Self {
        Self { right: true, ..self }
    }

    #[must_use]
    pub fn apart(self, apart: usize) -> Self {
        Self { apart, ..self }
    }

    /// The same, which stands out in the row under the cursor.
    #[must_use]
    pub fn chief(self) -> Self {
        Self { chief: true, ..self }
    }

    fn cell(&self, text: &str, look: &Look) -> String {
        let (text, width) = (look.cut(text, self.width), self.width);
        if self.right { format!("{text:>width$}") } else { format!("{text:<width$}") }
    }
}

pub fn head<R>(columns: &[Column<'_, R>], look: &Look) -> Line<'static> {
    let mut text = "  ".to_owned();
    for column in columns.iter().filter(|column| column.width > 0) {
        let apart = if text.len() > 2 { column.apart } else { 0 };
        text.push_str(&format!("{:apart$}{}", "", column.cell(&column.head, look)));
    }
    Line::from(look.span(Role::Header, text))
}

/// A row as a line; without one, it is being read.
pub fn row_line<R>(
    columns: &[Column<'_, R>],
    row: Option<&R>,
    here: bool,
    greyed: bool,
    look: &Look,
) -> Line<'static> {
    let mut line = Line::from(look.marker(here));
    let Some(row) = row else {
        line.push_span(look.span(Role::Muted, "reading ..."));
        return line;
    };
    for column in columns.iter().filter(|column| column.width > 0) {
        let apart = if line.spans.len() > 1 { column.apart } else { 0 };
        let apart = " ".repeat(apart);
        let over = match (here && column.chief, greyed) {
            (true, _) => Some(Role::Selected),
            (false, true) => Some(Role::Muted),
            (false, false) => None,
        };
        match (column.text)(row) {
            Text::Plain(role, text) => {
                let text = format!("{apart}{}", column.cell(&text, look));
                line.push_span(look.span(over.unwrap_or(role), text));
            }
            Text::Pieces(pieces) => {
                line.push_span(Span::raw(apart));
                let used: usize = pieces.iter().map(Span::width).sum();
                let restyled = |span: Span<'static>| match over {
                    Some(role) => span.style(look.style(role)),
                    None => span,
                };
                line.spans.extend(pieces.into_iter().map(restyled));
                line.push_span(Span::raw(" ".repeat(column.width.saturating_sub(used))));
            }
        }
    }
    line
}
