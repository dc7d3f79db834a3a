//! A question that one letter answers; any other key leaves everything as it is.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Position;
use ratatui::text::Text;
use ratatui::widgets::Widget;

use crate::tui::command::{Command, Context};
use crate::tui::screen::{Cx, Go, Hint, Reply, Screen};
use crate::tui::theme::Role;
use crate::tui::widgets::dialog;

#[derive(Debug)]
pub struct Question {
    pub title: &'static str,
    pub why: String,
    /// What the footer calls `y`.
    pub yes: &'static str,
    pub leads: Go,
}

impl Screen for Question {
    fn context(&self, _: &Cx<'_>) -> Context {
        Context::Discard
    }

    fn command(&mut self, _: Command, _: &Cx<'_>) -> Reply {
        // Whatever it is, it is not the one letter.
        Reply::close()
    }

    fn key(&mut self, event: &KeyEvent, _: &Cx<'_>) -> Reply {
        match event.code {
            KeyCode::Char('y') => Reply::close().go(self.leads.clone()),
            _ => Reply::close(),
        }
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        let lines = cx.look.lines(Role::Text, &self.why, dialog::columns(cx.area));
        let room = dialog::draw(cx.area, lines.len(), self.title, buffer, cx.look);
        Text::from(lines).render(room, buffer);
        None
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        vec![Hint::Key("y", self.yes)]
    }
}
