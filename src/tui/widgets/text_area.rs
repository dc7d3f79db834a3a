//! Several lines of typed text. What is in it can be drawn as it is: whatever a terminal could
//! act on, or a reader could not see, is replaced as it comes in.

use std::cell::Cell;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::widgets::Widget;
use ratatui_textarea::{CursorMove, TextArea as Editor, WrapMode};

use super::super::command::Command;
use super::super::look::{Look, grouped};
use super::super::theme::Role;
use crate::domain::safe_text::{REPLACEMENT, SafeText, clean};

pub const MAX_BYTES: usize = 256 * 1024;
pub const MAX_LINES: usize = 20_000;
const UNDO: usize = 500;

#[derive(Debug, Clone)]
pub struct TextArea {
    editor: Editor<'static>,
    bytes: usize,
    rows: Cell<u16>,
}

impl Default for TextArea {
    fn default() -> Self {
        Self::of("")
    }
}

impl TextArea {
    /// A field that holds `text`, cleaned; the cursor is at its end, and nothing can be undone.
    pub fn of(text: &str) -> Self {
        let lines = cleaned(text);
        let bytes = lines.iter().map(|line| line.len() + 1).sum();
        let mut editor = Editor::new(lines);
        editor.set_wrap_mode(WrapMode::WordOrGlyph);
        editor.set_max_histories(UNDO);
        // The terminal's own cursor shows where one is; the theme does the rest.
        for style in [Editor::set_cursor_line_style, Editor::set_cursor_style, Editor::set_style] {
            style(&mut editor, Style::default());
        }
        editor.move_cursor(CursorMove::Bottom);
        editor.move_cursor(CursorMove::End);
        Self { editor, bytes, rows: Cell::new(1) }
    }

    pub fn text(&self) -> String {
        self.editor.lines().join("\n")
    }

    pub fn characters(&self) -> usize {
        let lines = self.editor.lines();
        lines.iter().map(|line| line.chars().count() + 1).sum::<usize>().saturating_sub(1)
    }

    pub fn lines(&self) -> usize {
        self.editor.lines().len()
    }

    /// Puts the cursor at the start of a line, from 1.
    pub fn go_to(&mut self, line: usize) {
        let row = line.saturating_sub(1).min(self.lines().saturating_sub(1));
        self.editor.move_cursor(CursorMove::Jump(u16::try_from(row).unwrap_or(u16::MAX), 0));
    }

    pub fn key(&mut self, event: &KeyEvent) -> bool {
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        let alt = event.modifiers.contains(KeyModifiers::ALT);
        let go = match event.code {
            KeyCode::Char('a') if ctrl => CursorMove::Head,
            KeyCode::Char('e') if ctrl => CursorMove::End,
            KeyCode::Char('b') if ctrl => CursorMove::Back,
            KeyCode::Char('f') if ctrl => CursorMove::Forward,
            KeyCode::Home if ctrl => CursorMove::Top,
            KeyCode::End if ctrl => CursorMove::Bottom,
            KeyCode::Left if ctrl => CursorMove::WordBack,
            KeyCode::Right if ctrl => CursorMove::WordForward,
            KeyCode::Left => CursorMove::Back,
            KeyCode::Right => CursorMove::Forward,
            KeyCode::Home => CursorMove::Head,
            KeyCode::End => CursorMove::End,
            KeyCode::Up => CursorMove::Up,
            KeyCode::Down => CursorMove::Down,
            _ => return self.edit(event, ctrl, alt),
        };
        self.editor.move_cursor(go);
        true
    }

    fn edit(&mut self, event: &KeyEvent, ctrl: bool, alt: bool) -> bool {
        match event.code {
            KeyCode::Char('w') if ctrl => drop(self.editor.delete_word()),
            KeyCode::Char('k') if ctrl => drop(self.editor.delete_line_by_end()),
            KeyCode::Char('h') if ctrl => drop(self.editor.delete_char()),
            KeyCode::Char('d') if ctrl => drop(self.editor.delete_next_char()),
            KeyCode::Char(_) if ctrl || alt => return false,
            KeyCode::Char(c) => return self.insert(c),
            KeyCode::Enter => return self.insert('\n'),
            KeyCode::Backspace => drop(self.editor.delete_char()),
            KeyCode::Delete => drop(self.editor.delete_next_char()),
            _ => return false,
        }
        self.drop_orphans();
        self.count();
        true
    }

    pub fn command(&mut self, command: Command) -> bool {
        let page = i32::from(self.rows.get());
        match command {
            Command::CursorUp => self.editor.move_cursor(CursorMove::Up),
            Command::CursorDown => self.editor.move_cursor(CursorMove::Down),
            Command::CursorPageUp => self.move_by(-page),
            Command::CursorPageDown => self.move_by(page),
            Command::CursorFirst => self.editor.move_cursor(CursorMove::Top),
            Command::CursorLast => self.editor.move_cursor(CursorMove::Bottom),
            Command::FilterClear => {
                // At the start of a line there is nothing to clear; the line before stays.
                if self.editor.cursor().1 > 0 {
                    self.editor.delete_line_by_head();
                    self.drop_orphans();
                }
            }
            Command::TextUndo => _ = self.editor.undo(),
            Command::TextRedo => _ = self.editor.redo(),
            _ => return false,
        }
        self.count();
        true
    }

    /// Pastes text with its line ends. Nothing of it is taken where not all of it has room: the
    /// error says how much there is.
    ///
    /// # Errors
    /// What there is too much of.
    pub fn paste(&mut self, text: &str) -> Result<(), String> {
        let bytes = self.bytes + text.len();
        let refused = |n: usize, what: &str, most: usize| {
            let (n, most) = (thousands(n), thousands(most));
            let why = format!("the pasted text has {n} {what}, the field holds {most} at most");
            Err(format!("{why}; nothing was taken"))
        };
        if bytes > MAX_BYTES {
            return refused(text.len(), "bytes", MAX_BYTES);
        }
        let piece = cleaned(text);
        if self.lines() + piece.len() > MAX_LINES {
            return refused(piece.len(), "lines", MAX_LINES);
        }
        self.editor.insert_str(piece.join("\n"));
        self.count();
        Ok(())
    }

    fn insert(&mut self, c: char) -> bool {
        if self.bytes + c.len_utf8() > MAX_BYTES || self.lines() >= MAX_LINES {
            return false;
        }
        if c == '\n' || c.is_ascii_graphic() || c == ' ' {
            self.editor.insert_char(c);
        } else {
            let cursor = self.editor.cursor();
            let line = self.editor.lines().get(cursor.0).map_or("", String::as_str);
            let before: String = line.chars().take(cursor.1).collect();
            let with = format!("{before}{c}");
            let fits = clean(&with) == with;
            let c = if c == '\t' { ' ' } else { c };
            self.editor.insert_char(if fits || c == ' ' { c } else { REPLACEMENT });
        }
        self.count();
        true
    }

    /// A mark whose letter was deleted goes with it.
    fn drop_orphans(&mut self) {
        for _ in 0..8 {
            let cursor = self.editor.cursor();
            let line = self.editor.lines().get(cursor.0).map_or("", String::as_str);
            if line.is_ascii() || clean(line) == line {
                return;
            }
            let next = line.chars().nth(cursor.1);
            let mark = next.is_some_and(|next| {
                next != REPLACEMENT && SafeText::new(&next.to_string()).as_str() == "\u{fffd}"
            });
            if !mark || !self.editor.delete_next_char() {
                return;
            }
        }
    }

    fn count(&mut self) {
        self.bytes = self.editor.lines().iter().map(|line| line.len() + 1).sum();
    }

    fn move_by(&mut self, rows: i32) {
        let go = || if rows < 0 { CursorMove::Up } else { CursorMove::Down };
        for _ in 0..rows.abs() {
            self.editor.move_cursor(go());
        }
    }

    /// Draws it, wrapped and scrolled to the cursor; gives where the terminal's cursor belongs.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, look: &Look, wrong: bool) -> Position {
        let role = if wrong { Role::InputError } else { Role::Input };
        self.rows.set(area.height);
        buffer.set_style(area, look.style(role));
        (&self.editor).render(area, buffer);
        let (top, _) = self.editor.scroll_offset();
        let at = self.editor.screen_cursor();
        let column = u16::try_from(at.col).unwrap_or(u16::MAX).min(area.width.saturating_sub(1));
        let row = u16::try_from(at.row).unwrap_or(u16::MAX).saturating_sub(top);
        Position::new(area.x + column, area.y + row.min(area.height.saturating_sub(1)))
    }
}

fn cleaned(text: &str) -> Vec<String> {
    let unix = text.replace("\r\n", "\n").replace('\r', "\n");
    unix.split('\n').map(|line| clean(line).into_owned()).collect()
}

fn thousands(n: usize) -> String {
    grouped(i64::try_from(n).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(area: &mut TextArea, code: KeyCode) {
        assert!(area.key(&KeyEvent::new(code, KeyModifiers::NONE)), "{code:?}");
    }

    fn typed(area: &mut TextArea, text: &str) {
        for c in text.chars() {
            let code = if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) };
            press(area, code);
        }
    }

    #[test]
    fn lines_are_typed_and_undone() {
        let mut area = TextArea::default();
        typed(&mut area, "one\ntwo");
        assert_eq!(area.text(), "one\ntwo");
        press(&mut area, KeyCode::Up);
        press(&mut area, KeyCode::Home);
        typed(&mut area, "x");
        assert_eq!(area.text(), "xone\ntwo");
        for _ in 0..3 {
            assert!(area.command(Command::TextUndo));
        }
        assert_eq!(area.text(), "one\nt");
        area.command(Command::TextRedo);
        assert_eq!(area.text(), "one\ntw");
        assert!(!area.key(&KeyEvent::new(KeyCode::Char('x'), KeyModifiers::CONTROL)));
        assert!(!area.command(Command::RunRetry));
    }

    #[test]
    fn a_paste_keeps_its_lines_and_is_taken_whole_or_not_at_all() {
        let mut area = TextArea::of("a");
        area.paste("1\r\n2\r3\n").unwrap();
        assert_eq!(area.text(), "a1\n2\n3\n");
        let large = "x".repeat(1_000_000);
        assert!(area.paste(&large).unwrap_err().contains("1,000,000 bytes"));
        assert!(area.paste(&"\n".repeat(MAX_LINES)).unwrap_err().contains("lines"));
        assert_eq!(area.text(), "a1\n2\n3\n");
        area.paste(&"y".repeat(100_000)).unwrap();
        assert_eq!(area.text().len(), 100_007);
    }

    #[test]
    fn nothing_that_steers_a_terminal_gets_in() {
        let mut area = TextArea::default();
        area.paste("a\u{1b}[31mb\u{202e}c\u{200b}\td").unwrap();
        typed(&mut area, "\u{202e}\u{7}");
        assert_eq!(area.text(), "a\u{fffd}[31mb\u{fffd}c\u{fffd} d\u{fffd}\u{fffd}");
        let mut area = TextArea::default();
        area.paste(&format!("e{}", "\u{301}".repeat(1_000))).unwrap();
        assert!(area.text().chars().count() < 10);
        // The letter goes, and its marks with it.
        press(&mut area, KeyCode::Home);
        press(&mut area, KeyCode::Delete);
        assert!(clean(&area.text()) == area.text(), "{:?}", area.text());
    }
}
