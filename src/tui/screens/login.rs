//! The login: name, password, and what the platform says to whoever comes.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Text};
use ratatui::widgets::Widget;

use crate::access::ClientKind;
use crate::ops::auth;
use crate::ops::password;
use crate::tui::command::{Command, Context};
use crate::tui::look::Look;
use crate::tui::screen::{Cx, Hint, NO_FIELD, Reply, Screen};
use crate::tui::slot::Slot;
use crate::tui::theme::Role;
use crate::tui::widgets::form::{Field, Form};
use crate::{Error, ErrorKind};

/// The longest name that can be typed.
const NAME_LIMIT: usize = 64;
/// The longest password that can be typed.
const PASSWORD_LIMIT: usize = 1024;
const NOTE_LINES: usize = 8;
/// Columns of the fields, with their names.
const FIELDS: u16 = 52;

const NAME: usize = 0;
const PASSWORD: usize = 1;

#[derive(Debug)]
pub struct Login {
    form: Form,
    /// A login is under way.
    checking: bool,
    /// What went wrong, or why one has to log in again.
    message: Option<Error>,
}

impl Default for Login {
    fn default() -> Self {
        let fields =
            vec![Field::text("name", NAME_LIMIT), Field::secret("password", PASSWORD_LIMIT)];
        Self { form: Form::new(fields), checking: false, message: None }
    }
}

impl Login {
    /// The form again, after a session ended.
    pub fn because(error: Option<Error>) -> Self {
        Self { message: error, ..Self::default() }
    }

    pub const fn is_checking(&self) -> bool {
        self.checking
    }

    fn submit(&mut self) -> Reply {
        let no_name = self.form.value(NAME).trim().is_empty();
        if self.checking {
        } else if no_name {
            self.form.go(NAME);
            self.message = Some(Error::usage("type your user name"));
        } else if !self.form.command(Command::FormSubmit) {
            // It went on to the password.
        } else if self.form.value(PASSWORD).is_empty() {
            self.message = Some(Error::usage("type your password"));
        } else {
            (self.checking, self.message) = (true, None);
            let password = password::secret(self.form.take(PASSWORD));
            let login = auth::Login::with(self.form.value(NAME), password, ClientKind::Console);
            return Reply::ask(Slot::SESSION, login);
        }
        Reply::default()
    }

    /// Takes the answer to a login that failed.
    pub fn refused(&mut self, error: Error) {
        self.checking = false;
        if error.kind() != ErrorKind::Unreachable {
            self.form.go(PASSWORD);
        }
        self.message = Some(error);
    }

    /// Draws the form; gives where the terminal's cursor belongs.
    fn draw(
        &self,
        area: Rect,
        buffer: &mut Buffer,
        look: &Look,
        note: Option<&str>,
    ) -> Option<Position> {
        let notes: Vec<&str> = note.unwrap_or_default().lines().take(NOTE_LINES).collect();
        let width = area.width.clamp(20, 76);
        let x = area.x + (area.width - width.min(area.width)) / 2;
        let height = 9 + u16::try_from(notes.len()).unwrap_or(0);
        let y = area.y + area.height.saturating_sub(height) / 3;
        let columns = usize::from(width);
        let mut lines = vec![Line::from(look.span(Role::Title, "Log in"))];
        lines.resize(5, Line::default());
        if self.checking {
            lines.push(look.span(Role::Muted, "checking ...").into());
        } else if let Some(error) = &self.message {
            lines.extend(look.lines(Role::Failed, &error.to_string(), columns));
        }
        lines.resize(lines.len().max(6) + 1, Line::default());
        let hint =
            |text: &str| Line::from(look.span(Role::Hint, look.cut(text, columns).to_string()));
        lines.extend(notes.into_iter().map(hint));
        Text::from(lines).render(Rect { x, y, width, height: area.bottom() - y }, buffer);
        let fields = Rect { x, y: y + 2, width: width.min(FIELDS), height: 2 };
        self.form.draw(fields.intersection(area), buffer, look)
    }
}

impl Screen for Login {
    fn context(&self, _: &Cx<'_>) -> Context {
        Context::Login
    }

    fn command(&mut self, command: Command, _: &Cx<'_>) -> Reply {
        if command == Command::FormSubmit {
            return self.submit();
        }
        self.form.command(command);
        Reply::default()
    }

    fn key(&mut self, event: &KeyEvent, _: &Cx<'_>) -> Reply {
        self.form.key(event);
        Reply::default()
    }

    fn paste(&mut self, text: &str, cx: &Cx<'_>) -> Reply {
        Reply::default().pasted(self.form.paste(text), NO_FIELD, cx)
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        let (look, body, platform) = (cx.look, cx.area, cx.platform);
        let lost = cx.link.trouble.as_ref().or(platform.error());
        let lost = lost.filter(|_| platform.value().is_none() || cx.link.is_lost());
        if let Some(error) = lost.filter(|_| !self.checking && self.message.is_none()) {
            let width = body.width.saturating_sub(2);
            let lines = look.lines(Role::Lost, &error.to_string(), usize::from(width));
            Text::from(lines).render(Rect { x: body.x + 1, width, ..body }, buffer);
        }
        let note = platform.value().and_then(|platform| platform.login_note.as_deref());
        self.draw(body, buffer, look, note)
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        vec![
            Hint::Does(Command::FormSubmit, "log in"),
            Hint::own(Command::FieldNext),
            Hint::own(Command::AppQuit),
        ]
    }
}
