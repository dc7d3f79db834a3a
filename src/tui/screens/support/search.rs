//! A search that a page has: what is typed searches at once.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use ratatui::widgets::Widget;

use crate::tui::look::Look;
use crate::tui::theme::Role;
use crate::tui::widgets::text_field::TextField;

/// The longest search, in characters.
const LIMIT: usize = 60;

/// The search of a page.
#[derive(Debug, Clone)]
pub struct Search {
    field: TextField,
    typing: bool,
    /// What was searched before the field was opened, for going back to.
    before: String,
}

impl Default for Search {
    fn default() -> Self {
        Self { field: TextField::new(LIMIT), typing: false, before: String::new() }
    }
}

impl Search {
    /// What is searched, without blanks around it.
    pub fn text(&self) -> &str {
        self.field.text().trim()
    }

    /// Whether it is being typed.
    pub fn is_typing(&self) -> bool {
        self.typing
    }

    /// Opens the field.
    pub fn open(&mut self) {
        self.typing = true;
        self.before = self.field.text().to_owned();
    }

    /// Closes the field and keeps what was typed.
    pub fn accept(&mut self) {
        self.typing = false;
    }

    /// Closes the field and goes back to what was searched before.
    pub fn cancel(&mut self) {
        self.typing = false;
        let before = std::mem::take(&mut self.before);
        self.field.set(&before, before.chars().count());
    }

    /// Searches nothing.
    pub fn clear(&mut self) {
        self.field.clear();
    }

    /// Types a key.
    pub fn key(&mut self, event: &KeyEvent) {
        self.field.key(event);
    }

    /// Pastes text; false if not all of it had room.
    pub fn paste(&mut self, text: &str) -> bool {
        self.field.paste(text)
    }

    /// Draws it in one row, `none` where nothing is searched; gives where the terminal's cursor
    /// belongs while it is typed.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, look: &Look) -> Option<Position> {
        let label = " search  ";
        let left = u16::try_from(label.len()).unwrap_or(0).min(area.width);
        let rest = Rect {
            x: area.x + left,
            width: area.width.saturating_sub(left + 1),
            height: 1,
            ..area
        };
        Line::from(look.span(Role::Muted, label)).render(area, buffer);
        if self.typing {
            return Some(self.field.draw(rest, buffer, look.style(Role::Input), None));
        }
        let (role, text) = match self.text() {
            "" => (Role::Muted, "none"),
            text => (Role::Accent, text),
        };
        let text = look.cut(text, usize::from(rest.width)).to_string();
        Line::from(look.span(role, text)).render(rest, buffer);
        None
    }
}
