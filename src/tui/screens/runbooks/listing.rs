//! A list of any length of which a part is held: the rows around the cursor are asked for as
//! they are needed, and a search asks anew from the top.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::view::{put, text};
use crate::tui::command::Command;
use crate::tui::link::once::told;
use crate::tui::look::{Look, grouped};
use crate::tui::screen::Cx;
use crate::tui::theme::Role;
use crate::tui::widgets::search::Search;
use crate::tui::widgets::table::{Column, Row, Table};
use crate::{Error, Result};

const PAGE: usize = 200;
/// The next part is asked for when the cursor is this near to the end of what is held.
const AHEAD: usize = 20;

#[derive(Debug)]
pub(super) struct Listing<T: Row> {
    pub(super) table: Table<T>,
    pub(super) search: Search,
    known: bool,
    pub(super) error: Option<Error>,
}

impl<T: Row> Default for Listing<T> {
    fn default() -> Self {
        let (table, search) = (Table::default(), Search::default());
        Self { table, search, known: false, error: None }
    }
}

/// A part of a list: how many rows to leave out, and how many to give.
pub(super) type Part = (i64, i64);

impl<T: Row> Listing<T> {
    pub(super) fn matching(&self) -> Option<usize> {
        self.known.then(|| self.table.count())
    }

    pub(super) fn draw(
        &self,
        columns: &[Column<'_, T>],
        nothing: &str,
        area: Rect,
        buffer: &mut Buffer,
        cx: &Cx<'_>,
    ) {
        let said = match (&self.error, self.matching()) {
            (Some(error), _) => Some((Role::Failed, told(error))),
            (None, None) => Some((Role::Muted, "reading ...".to_owned())),
            (None, Some(0)) => Some((Role::Muted, nothing.to_owned())),
            (None, Some(_)) => None,
        };
        let height = if said.is_some() { area.height.min(1) } else { area.height };
        let list = Rect { x: area.x + 1, width: area.width.saturating_sub(1), height, ..area };
        self.table.draw(columns, list, buffer, cx.look, cx.lost);
        if let Some((role, said)) = said {
            let rows = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
            put(text(cx.look, role, &said, rows), rows, buffer);
        }
    }

    pub(super) fn more(&self, height: u16, look: &Look) -> String {
        match self.table.below(usize::from(height)) {
            0 => String::new(),
            n => format!("{} {} more below   ", look.glyph("↓", "v"), number(n)),
        }
    }

    /// Changes the search; gives the part to ask for where it is another one then.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Search)) -> Option<Part> {
        let before = self.search.text().to_owned();
        change(&mut self.search);
        (self.search.text() != before).then(|| self.restart())
    }

    /// Asks anew, from the top. Where a search is taken away, the cursor stays on its row if
    /// that is near enough.
    pub(super) fn restart(&mut self) -> Part {
        let key = self.table.key().cloned().filter(|_| self.search.text().is_empty());
        self.table.restart(key);
        self.part()
    }

    pub(super) fn part(&self) -> Part {
        let offset = self.table.at().saturating_sub(PAGE / 2);
        (i64::try_from(offset).unwrap_or(0), i64::try_from(PAGE).unwrap_or(0))
    }

    pub(super) fn command(&mut self, command: Command, height: usize) -> Option<Part> {
        self.table.command(command, height)?;
        let (at, count, (start, end)) = (self.table.at(), self.table.count(), self.table.held());
        let early = start > 0 && at < start + AHEAD;
        let late = end < count && at + AHEAD >= end;
        (early || late).then(|| self.part())
    }

    /// Takes a part that was asked for under `search`. The cursor stays on its row, if that
    /// is still in it.
    pub(super) fn take(&mut self, search: &str, offset: i64, answer: Result<(Vec<T>, i64)>) {
        if search != self.search.text() {
            return;
        }
        match answer {
            Ok((rows, matching)) => {
                let (offset, count) =
                    (usize::try_from(offset).unwrap_or(0), usize::try_from(matching).unwrap_or(0));
                self.table.take_part(rows, offset, count, 1);
                (self.known, self.error) = (true, None);
            }
            Err(error) => self.error = Some(error),
        }
    }
}

pub(super) fn number(n: usize) -> String {
    grouped(i64::try_from(n).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Row for i64 {
        type Key = Self;

        fn key(&self) -> Self {
            *self
        }
    }

    fn rows((offset, limit): Part, of: i64) -> (Vec<i64>, i64) {
        ((offset..(offset + limit).min(of)).collect(), of)
    }

    #[test]
    fn every_row_of_a_long_list_is_reached_and_shown() {
        let mut list = Listing::default();
        let part = list.part();
        list.take("", part.0, Ok(rows(part, 1_000)));
        for expected in 0..1_000 {
            assert_eq!(list.table.selected(), Some(&expected));
            if let Some(part) = list.command(Command::CursorDown, 10) {
                list.take("", part.0, Ok(rows(part, 1_000)));
            }
            assert!(list.table.top(10) + list.table.below(10) == 990);
        }
        for expected in (0..1_000).rev() {
            assert_eq!(list.table.selected(), Some(&expected));
            if let Some(part) = list.command(Command::CursorUp, 10) {
                list.take("", part.0, Ok(rows(part, 1_000)));
            }
        }
        let part = list.command(Command::CursorLast, 10).unwrap();
        assert_eq!(list.table.selected(), None, "it is being read");
        list.take("", part.0, Ok(rows(part, 1_000)));
        assert_eq!((list.table.selected(), list.table.below(10)), (Some(&999), 0));
    }

    #[test]
    fn the_cursor_stays_on_its_row_and_old_answers_are_dropped() {
        let mut list = Listing::default();
        list.take("", 0, Ok((vec![3, 5, 7], 3)));
        list.command(Command::CursorLast, 10);
        list.take("", 0, Ok((vec![1, 2, 3, 5, 7, 9], 6)));
        assert_eq!(list.table.selected(), Some(&7));
        let part = list.change(|search| search.set("x")).unwrap();
        list.take("", 0, Ok((vec![8], 1)));
        assert_eq!(list.matching(), Some(6));
        list.take("x", part.0, Ok((vec![], 0)));
        assert_eq!((list.table.selected(), list.matching()), (None, Some(0)));
        assert_eq!(list.table.click(0, 10), None);
    }
}
