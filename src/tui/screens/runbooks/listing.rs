//! A list of any length of which a part is held: the rows around the cursor are asked for as
//! they are needed, and a search asks anew from the top.

use crate::tui::command::Command;
use crate::{Error, Result};

/// Rows that are asked for at once.
const PAGE: usize = 200;
/// The next part is asked for when the cursor is this near to the end of what is held.
const AHEAD: usize = 20;

/// What has an identity that the cursor stays on.
pub(super) trait Row {
    /// Its id.
    fn id(&self) -> i64;
}

/// The list.
#[derive(Debug, Clone)]
pub(super) struct Listing<T> {
    rows: Vec<T>,
    /// Position of the first row held.
    offset: usize,
    /// How many rows there are under the search.
    matching: Option<usize>,
    /// Position of the cursor.
    at: usize,
    /// Position of the first row on the screen.
    top: usize,
    /// The search in force.
    search: String,
    /// The search is new: the cursor goes to this row with its answer, or else to the first.
    fresh: bool,
    keep: Option<i64>,
    error: Option<Error>,
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            offset: 0,
            matching: None,
            at: 0,
            top: 0,
            search: String::new(),
            fresh: false,
            keep: None,
            error: None,
        }
    }
}

/// A part of a list: how many rows to leave out, and how many to give.
pub(super) type Part = (i64, i64);

impl<T: Row> Listing<T> {
    pub(super) fn search(&self) -> &str {
        &self.search
    }

    /// How many rows match; none before the first answer.
    pub(super) fn matching(&self) -> Option<usize> {
        self.matching
    }

    pub(super) fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// The row under the cursor, if it is held.
    pub(super) fn selected(&self) -> Option<&T> {
        self.rows.get(self.at.checked_sub(self.offset)?)
    }

    /// What the screen shows in `height` lines: each row with whether the cursor is on it. A
    /// row that is still being read is none.
    pub(super) fn shown(&self, height: usize) -> impl Iterator<Item = (Option<&T>, bool)> {
        let top = self.top_in(height);
        let end = (top + height).min(self.matching.unwrap_or(0));
        (top..end).map(|at| {
            let row = at.checked_sub(self.offset).and_then(|index| self.rows.get(index));
            (row, at == self.at)
        })
    }

    /// How many rows are above and below what the screen shows.
    pub(super) fn beyond(&self, height: usize) -> (usize, usize) {
        let top = self.top_in(height);
        (top, self.matching.unwrap_or(0).saturating_sub(top + height))
    }

    fn top_in(&self, height: usize) -> usize {
        let height = height.max(1);
        let last = self.matching.unwrap_or(0).saturating_sub(height);
        self.top.min(last).clamp((self.at + 1).saturating_sub(height), self.at)
    }

    /// Puts the cursor on the row on line `line` of the screen; false where there is none.
    pub(super) fn click(&mut self, line: usize, height: usize) -> bool {
        let at = self.top_in(height) + line;
        let there = line < height && at < self.matching.unwrap_or(0);
        if there {
            self.top = self.top_in(height);
            self.at = at;
        }
        there
    }

    /// Asks anew, from the top. Where a search is taken away, the cursor stays on its row if
    /// that is near enough.
    pub(super) fn search_for(&mut self, text: &str) -> Part {
        self.keep = self.selected().map(Row::id).filter(|_| text.is_empty());
        self.fresh = true;
        text.clone_into(&mut self.search);
        (self.at, self.top) = (0, 0);
        self.part()
    }

    /// The part around the cursor.
    pub(super) fn part(&self) -> Part {
        let offset = self.at.saturating_sub(PAGE / 2);
        (i64::try_from(offset).unwrap_or(0), i64::try_from(PAGE).unwrap_or(0))
    }

    /// Moves the cursor; gives the part to ask for, if one is needed.
    pub(super) fn command(&mut self, command: Command, height: usize) -> Option<Part> {
        let count = self.matching.unwrap_or(0);
        let page = height.saturating_sub(1).max(1);
        let to = match command {
            Command::CursorUp => self.at.saturating_sub(1),
            Command::CursorDown => self.at + 1,
            Command::CursorPageUp => self.at.saturating_sub(page),
            Command::CursorPageDown => self.at + page,
            Command::CursorFirst => 0,
            Command::CursorLast => count,
            _ => return None,
        };
        self.at = to.min(count.saturating_sub(1));
        self.top = self.top_in(height);
        let end = self.offset + self.rows.len();
        let early = self.offset > 0 && self.at < self.offset + AHEAD;
        let late = end < count && self.at + AHEAD >= end;
        (early || late).then(|| self.part())
    }

    /// Takes a part that was asked for under `search`. The cursor stays on its row, if that
    /// is still in it.
    pub(super) fn take(&mut self, search: &str, offset: i64, answer: Result<(Vec<T>, i64)>) {
        if search != self.search {
            return;
        }
        match answer {
            Ok((rows, matching)) => {
                let here = self.selected().map(Row::id);
                let before = if self.fresh { self.keep } else { here };
                self.fresh = false;
                let offset = usize::try_from(offset).unwrap_or(0);
                let index = before.and_then(|id| rows.iter().position(|row| row.id() == id));
                let matching = usize::try_from(matching).unwrap_or(0);
                if let Some(index) = index.filter(|_| self.matching.is_some()) {
                    let on_screen = self.at.saturating_sub(self.top);
                    self.at = offset + index;
                    self.top = self.at.saturating_sub(on_screen);
                }
                self.at = self.at.min(matching.saturating_sub(1));
                (self.rows, self.offset, self.matching) = (rows, offset, Some(matching));
                self.error = None;
            }
            Err(error) => self.error = Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Row for i64 {
        fn id(&self) -> i64 {
            *self
        }
    }

    fn rows((offset, limit): Part, of: i64) -> (Vec<i64>, i64) {
        ((offset..(offset + limit).min(of)).collect(), of)
    }

    fn shown(list: &Listing<i64>, height: usize) -> Vec<i64> {
        list.shown(height).filter_map(|(row, _)| row.copied()).collect()
    }

    #[test]
    fn every_row_of_a_long_list_is_reached_and_shown() {
        let mut list = Listing::default();
        let part = list.part();
        list.take("", part.0, Ok(rows(part, 1_000)));
        for expected in 0..1_000 {
            assert_eq!(list.selected(), Some(&expected));
            if let Some(part) = list.command(Command::CursorDown, 10) {
                list.take("", part.0, Ok(rows(part, 1_000)));
            }
            assert_eq!(shown(&list, 10).len(), 10);
        }
        for expected in (0..1_000).rev() {
            assert_eq!(list.selected(), Some(&expected));
            if let Some(part) = list.command(Command::CursorUp, 10) {
                list.take("", part.0, Ok(rows(part, 1_000)));
            }
        }
        let part = list.command(Command::CursorLast, 10).unwrap();
        assert_eq!(list.selected(), None, "it is being read");
        list.take("", part.0, Ok(rows(part, 1_000)));
        assert_eq!((list.selected(), list.beyond(10)), (Some(&999), (990, 0)));
    }

    #[test]
    fn the_cursor_stays_on_its_row_and_old_answers_are_dropped() {
        let mut list = Listing::default();
        list.take("", 0, Ok((vec![3, 5, 7], 3)));
        list.command(Command::CursorLast, 10);
        list.take("", 0, Ok((vec![1, 2, 3, 5, 7, 9], 6)));
        assert_eq!(list.selected(), Some(&7));
        let part = list.search_for("x");
        list.take("", 0, Ok((vec![8], 1)));
        assert_eq!(list.matching(), Some(6));
        list.take("x", part.0, Ok((vec![], 0)));
        assert_eq!((list.selected(), list.matching()), (None, Some(0)));
        assert!(!list.click(0, 10));
    }
}
