//! Where a person is in a list or in a document: the line under the cursor, and the first one on
//! the screen.

use crate::tui::command::Command;

/// The place, counted from the first line.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub at: usize,
    pub top: usize,
}

impl Cursor {
    /// Where a command leads on a screen of `height` lines, the last one or beyond it for the end;
    /// none where the command is no move.
    pub fn led(self, command: Command, height: usize) -> Option<usize> {
        let page = height.saturating_sub(1).max(1);
        Some(match command {
            Command::CursorUp => self.at.saturating_sub(1),
            Command::CursorDown => self.at.saturating_add(1),
            Command::CursorPageUp => self.at.saturating_sub(page),
            Command::CursorPageDown => self.at.saturating_add(page),
            Command::CursorFirst => 0,
            Command::CursorLast => usize::MAX,
            _ => return None,
        })
    }

    /// Goes to a line of `count`, and brings it into sight. At an edge half a screen goes by at
    /// once: line by line, every further key would write the whole screen, which a slow link feels.
    pub fn go(&mut self, to: usize, count: usize, height: usize) {
        self.at = to.min(count.saturating_sub(1));
        let half = height / 2;
        if self.at < self.top {
            self.top = self.at.saturating_sub(half);
        } else if height > 0 && self.at >= self.top + height {
            let least = self.at + 1 - height;
            self.top = (least + half).min(count.saturating_sub(height)).max(least);
        }
        self.top = self.top.min(count.saturating_sub(height));
    }

    /// The first line on a screen of this height, on which the cursor is.
    pub fn top_in(self, count: usize, height: usize) -> usize {
        let height = height.max(1);
        let last = count.saturating_sub(height);
        self.top.min(last).clamp((self.at + 1).saturating_sub(height), self.at)
    }

    /// The same where only what is shown is moved: `at` is the first line.
    pub fn scroll(&mut self, command: Command, count: usize, height: usize) -> bool {
        let to = self.led(command, height);
        self.at = to.unwrap_or(self.at).min(count.saturating_sub(height));
        to.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_moves_half_a_screen_and_the_cursor_stays_in_sight() {
        let mut cursor = Cursor::default();
        for at in 1..30 {
            cursor.go(cursor.led(Command::CursorDown, 10).unwrap(), 30, 10);
            assert_eq!(cursor.at, at);
            assert!((cursor.top..cursor.top + 10).contains(&at));
        }
        cursor.go(cursor.led(Command::CursorLast, 10).unwrap(), 30, 10);
        assert_eq!(cursor, Cursor { at: 29, top: 20 });
        cursor.go(19, 30, 10);
        assert_eq!(cursor.top, 14);
        assert_eq!(cursor.top_in(30, 4), 16);
        assert_eq!(cursor.led(Command::RowOpen, 10), None);
    }
}
