//! A search that a list or a document has: what is typed searches at once.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use crate::tui::command::Command;
use crate::tui::look::Look;
use crate::tui::screen::{Cx, Hint, NO_FIELD, Reply, Screen};
use crate::tui::theme::Role;
use crate::tui::widgets::form::Pasted;
use crate::tui::widgets::text_field::TextField;

/// The longest search, in characters.
const LIMIT: usize = 60;

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

    #[cfg(test)]
    pub fn set(&mut self, text: &str) {
        self.field.set(text, text.len());
    }

    pub fn is_typing(&self) -> bool {
        self.typing
    }

    fn open(&mut self) {
        self.typing = true;
        self.before = self.field.text().to_owned();
    }

    fn cancel(&mut self) {
        self.typing = false;
        let before = std::mem::take(&mut self.before);
        self.field.set(&before, before.chars().count());
    }

    pub fn command(&mut self, command: Command) -> bool {
        match command {
            Command::AppBack if self.typing => self.cancel(),
            Command::FilterClear => self.field.clear(),
            Command::FilterAccept if self.typing => self.typing = false,
            Command::FilterEdit => self.open(),
            _ => return false,
        }
        true
    }

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

pub trait Searched: Screen {
    fn search(&mut self) -> &mut Search;
    /// A search begins: where it is typed that is nowhere, one comes back to where one is now.
    fn begin_search(&mut self, cx: &Cx<'_>);
    fn searched(&mut self, cx: &Cx<'_>) -> Reply;

    fn change(&mut self, cx: &Cx<'_>, change: impl FnOnce(&mut Search)) -> Reply {
        let before = self.search().text().to_owned();
        change(self.search());
        if self.search().text() == before { Reply::default() } else { self.searched(cx) }
    }

    fn search_command(&mut self, command: Command, cx: &Cx<'_>) -> Option<Reply> {
        if command == Command::FilterEdit && !self.is_typing() {
            self.begin_search(cx);
        }
        let mut known = false;
        let reply = self.change(cx, |search| known = search.command(command));
        if known {
            self.settle(cx);
        }
        known.then_some(reply)
    }

    fn search_key(&mut self, event: &KeyEvent, cx: &Cx<'_>) -> Reply {
        if !self.is_typing() {
            return Reply::default();
        }
        self.change(cx, |search| search.key(event))
    }

    fn search_paste(&mut self, text: &str, cx: &Cx<'_>) -> Reply {
        if !self.is_typing() {
            return Reply::default().say(NO_FIELD, cx);
        }
        let mut whole = true;
        let reply = self.change(cx, |search| whole = search.paste(text));
        reply.pasted(if whole { Pasted::Whole } else { Pasted::Cut }, NO_FIELD, cx)
    }
}

pub fn search_hints() -> Vec<Hint> {
    Hint::of(&[Command::FilterAccept, Command::FilterClear, Command::AppBack])
}

/// The pieces of a span, with what a search has found in it marked.
pub fn mark_hits(
    span: &Span<'static>,
    wanted: &str,
    style: Style,
    found: Style,
    into: &mut Vec<Span<'static>>,
) {
    let text = span.content.as_ref();
    let lower = text.to_lowercase();
    // Where small letters take other bytes than great ones, places differ.
    if wanted.is_empty() || lower.len() != text.len() {
        return into.push(Span::styled(text.to_owned(), style));
    }
    let mut done = 0;
    for (at, hit) in lower.match_indices(wanted) {
        let (Some(before), Some(piece)) = (text.get(done..at), text.get(at..at + hit.len())) else {
            continue;
        };
        into.push(Span::styled(before.to_owned(), style));
        into.push(Span::styled(piece.to_owned(), style.patch(found)));
        done = at + hit.len();
    }
    into.push(Span::styled(text.get(done..).unwrap_or_default().to_owned(), style));
}
