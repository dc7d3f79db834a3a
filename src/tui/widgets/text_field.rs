//! One line of typed text.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use tui_input::{Input, InputRequest};

use crate::domain::safe_text::SafeText;

#[derive(Debug, Clone, Default)]
pub struct TextField {
    input: Input,
    limit: usize,
    secret: bool,
}

impl TextField {
    pub fn new(limit: usize) -> Self {
        Self { input: Input::default(), limit, secret: false }
    }

    pub fn secret(limit: usize) -> Self {
        Self { input: Input::default(), limit, secret: true }
    }

    pub fn text(&self) -> &str {
        self.input.value()
    }

    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Where the cursor stands, in characters.
    pub fn cursor(&self) -> usize {
        self.input.cursor()
    }

    /// Replaces the text and puts the cursor at `cursor` (characters).
    pub fn set(&mut self, text: &str, cursor: usize) {
        self.input = Input::new(text.to_owned()).with_cursor(cursor);
    }

    pub fn clear(&mut self) {
        self.input.reset();
    }

    pub fn take(&mut self) -> String {
        self.input.value_and_reset()
    }

    pub fn key(&mut self, event: &KeyEvent) -> bool {
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        let alt = event.modifiers.contains(KeyModifiers::ALT);
        let request = match event.code {
            KeyCode::Char('a') if ctrl => InputRequest::GoToStart,
            KeyCode::Char('e') if ctrl => InputRequest::GoToEnd,
            KeyCode::Char('b') if ctrl => InputRequest::GoToPrevChar,
            KeyCode::Char('f') if ctrl => InputRequest::GoToNextChar,
            KeyCode::Char('w') if ctrl => InputRequest::DeletePrevWord,
            KeyCode::Char('k') if ctrl => InputRequest::DeleteTillEnd,
            KeyCode::Char('h') if ctrl => InputRequest::DeletePrevChar,
            KeyCode::Char('d') if ctrl => InputRequest::DeleteNextChar,
            KeyCode::Char(_) if ctrl || alt => return false,
            KeyCode::Char(c) => return self.insert(c),
            KeyCode::Left if ctrl => InputRequest::GoToPrevWord,
            KeyCode::Right if ctrl => InputRequest::GoToNextWord,
            KeyCode::Left => InputRequest::GoToPrevChar,
            KeyCode::Right => InputRequest::GoToNextChar,
            KeyCode::Home => InputRequest::GoToStart,
            KeyCode::End => InputRequest::GoToEnd,
            KeyCode::Backspace => InputRequest::DeletePrevChar,
            KeyCode::Delete => InputRequest::DeleteNextChar,
            _ => return false,
        };
        self.input.handle(request);
        true
    }

    /// Pastes text: line ends become spaces and control characters are left out, so a paste
    /// never submits and never hides anything. False if not all of it had room.
    pub fn paste(&mut self, text: &str) -> bool {
        let mut last_was_end = false;
        for c in text.chars() {
            let end = matches!(c, '\n' | '\r');
            let typed = if end || c == '\t' { ' ' } else { c };
            if (end && last_was_end) || typed.is_control() {
                continue;
            }
            last_was_end = end;
            if !self.insert(typed) {
                return false;
            }
        }
        true
    }

    fn insert(&mut self, c: char) -> bool {
        if self.input.value().chars().count() >= self.limit {
            return false;
        }
        self.input.handle(InputRequest::InsertChar(c));
        true
    }

    /// Draws it in one row of `area`; gives where the terminal's cursor belongs. `wrong` is
    /// a range of characters to mark.
    pub fn draw(
        &self,
        area: Rect,
        buffer: &mut Buffer,
        style: Style,
        wrong: Option<&(std::ops::Range<usize>, Style)>,
    ) -> Position {
        let width = usize::from(area.width.max(1));
        buffer.set_style(Rect { height: 1, ..area }, style);
        let scroll = self.input.visual_scroll(width.saturating_sub(1));
        let mut column = 0;
        for (i, c) in self.input.value().chars().enumerate() {
            let shown =
                if self.secret { SafeText::new("*") } else { SafeText::new(&c.to_string()) };
            let start = column;
            column += shown.width();
            if start < scroll || column > scroll + width {
                continue;
            }
            let style = match wrong {
                Some((range, wrong)) if range.contains(&i) => *wrong,
                _ => style,
            };
            let x = area.x + u16::try_from(start - scroll).unwrap_or(0);
            buffer.set_string(x, area.y, shown.as_str(), style);
        }
        let cursor = if self.secret { self.input.cursor() } else { self.input.visual_cursor() };
        let x = cursor.saturating_sub(scroll).min(width.saturating_sub(1));
        Position::new(area.x + u16::try_from(x).unwrap_or(0), area.y)
    }
}
