//! What the dialogs before a change have in common: a phrase or a form confirms it, and what went
//! wrong stays below that.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Text};
use ratatui::widgets::Widget;

use crate::Error;
use crate::ops::AnyOperation;
use crate::tui::command::{Command, Context};
use crate::tui::control::{lost, mistyped};
use crate::tui::screen::{Cx, Reply};
use crate::tui::slot::Slot;
use crate::tui::theme::Role;
use crate::tui::widgets::form::Form;
use crate::tui::widgets::text_field::TextField;
use crate::tui::widgets::{below, dialog};

/// The widest field of a phrase.
const PHRASE: usize = 30;

#[derive(Debug)]
pub(super) enum Entry {
    /// Only what confirms it.
    Phrase(TextField),
    /// More than that.
    Form(Form),
}

#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) entry: Entry,
    pub(super) sending: bool,
    pub(super) error: Option<Error>,
}

impl Sheet {
    pub(super) fn of(entry: Entry) -> Self {
        Self { entry, sending: false, error: None }
    }

    pub(super) fn context(&self) -> Context {
        match self.entry {
            Entry::Phrase(_) => Context::Confirm,
            Entry::Form(_) => Context::Form,
        }
    }

    /// Does a command; whether what was typed is to be judged.
    pub(super) fn command(&mut self, command: Command) -> bool {
        if self.sending {
            return false;
        }
        match &mut self.entry {
            Entry::Form(form) => {
                let sent = form.command(command);
                if sent {
                    form.forgive();
                }
                sent
            }
            Entry::Phrase(field) => {
                if command == Command::FilterClear {
                    field.clear();
                    self.error = None;
                }
                command == Command::FormSubmit
            }
        }
    }

    /// What was typed is not the phrase. Before anything is typed, enter is more likely a slip.
    pub(super) fn mistyped(&mut self, typed: &str, phrase: &str) {
        if !typed.is_empty() {
            self.error = Some(mistyped(phrase));
        }
    }

    pub(super) fn send(
        &mut self,
        slot: Slot,
        operation: impl Into<AnyOperation>,
        cx: &Cx<'_>,
    ) -> Reply {
        if cx.lost {
            self.failed(lost());
            return Reply::default();
        }
        (self.sending, self.error) = (true, None);
        Reply::ask(slot, operation)
    }

    /// It went wrong: the dialog stays, and says why.
    pub(super) fn failed(&mut self, error: Error) {
        (self.sending, self.error) = (false, Some(error));
    }

    pub(super) fn key(&mut self, event: &KeyEvent) {
        let typed = !self.sending
            && match &mut self.entry {
                Entry::Phrase(field) => field.key(event),
                Entry::Form(form) => form.key(event),
            };
        if typed {
            self.error = None;
        }
    }

    /// How many rows it takes in `columns` columns.
    pub(super) fn rows(&self, columns: usize) -> usize {
        match &self.entry {
            Entry::Phrase(_) => 1,
            Entry::Form(form) => form.rows(columns),
        }
    }

    /// Draws it below `lines`, without what is typed where it does not `ask`; gives where the
    /// terminal's cursor belongs.
    pub(super) fn draw(
        &self,
        title: &str,
        mut lines: Vec<Line<'static>>,
        asks: bool,
        cx: &Cx<'_>,
        buffer: &mut Buffer,
    ) -> Option<Position> {
        let Cx { look, area: body, .. } = *cx;
        let columns = dialog::columns(body);
        let mut end = match (self.sending, &self.error) {
            (true, _) => {
                let text = "sending ... esc closes this; what was sent is not taken back";
                look.lines(Role::Running, text, columns)
            }
            (false, Some(error)) => look.lines(Role::Failed, &error.to_string(), columns),
            (false, None) => Vec::new(),
        };
        if end.is_empty() {
            end.push(Line::default());
        }
        let needed = self.rows(columns) + end.len();
        if matches!(self.entry, Entry::Form(_)) {
            // Where room is short, what can be typed and what went wrong come first.
            lines.truncate(usize::from(body.height.saturating_sub(2)).saturating_sub(needed));
        }
        let room = dialog::draw(body, lines.len() + needed, title, buffer, look);
        let rest = below(room, u16::try_from(lines.len()).unwrap_or(room.height));
        Text::from(lines).render(room, buffer);
        let rows = usize::from(rest.height).min(needed).saturating_sub(end.len()).max(1);
        let height = u16::try_from(rows).unwrap_or(rest.height).min(rest.height);
        Text::from(end).render(below(rest, height), buffer);
        if !asks || height == 0 {
            return None;
        }
        let area = Rect { height, ..rest };
        let at = match &self.entry {
            Entry::Phrase(field) => {
                let width = u16::try_from(PHRASE.min(field.limit() + 2)).unwrap_or(area.width);
                let area = Rect { width: area.width.min(width), ..area };
                Some(field.draw(area, buffer, look.style(Role::Input), None))
            }
            Entry::Form(form) => form.draw(area, buffer, look),
        };
        at.filter(|_| !self.sending)
    }
}
