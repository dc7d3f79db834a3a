//! The login: name, password, and what the platform says to whoever comes.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use ratatui::widgets::Widget;

use crate::access::ClientKind;
use crate::domain::safe_text::SafeText;
use crate::ops::auth;
use crate::ops::password;
use crate::tui::command::{Command, Context};
use crate::tui::look::{Look, wrapped};
use crate::tui::msg::{Effect, Slot};
use crate::tui::screen::{Cx, Hint, NO_FIELD, Reply, Screen};
use crate::tui::theme::Role;
use crate::tui::widgets::form::Pasted;
use crate::tui::widgets::text_field::TextField;
use crate::{Error, ErrorKind};

/// The longest name that can be typed.
const NAME_LIMIT: usize = 64;
/// The longest password that can be typed.
const PASSWORD_LIMIT: usize = 1024;
/// Lines of the platform's note that are shown.
const NOTE_LINES: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    Password,
}

/// The login form.
#[derive(Debug)]
pub struct Login {
    name: TextField,
    password: TextField,
    field: Field,
    /// A login is under way.
    checking: bool,
    /// What went wrong, or why one has to log in again.
    message: Option<Error>,
}

impl Default for Login {
    fn default() -> Self {
        Self {
            name: TextField::new(NAME_LIMIT),
            password: TextField::secret(PASSWORD_LIMIT),
            field: Field::Name,
            checking: false,
            message: None,
        }
    }
}

impl Login {
    /// The form again, after a session ended.
    pub fn because(error: Option<Error>) -> Self {
        Self { message: error, ..Self::default() }
    }

    /// Whether its answer is awaited.
    pub const fn is_checking(&self) -> bool {
        self.checking
    }

    fn submit(&mut self) -> Vec<Effect> {
        if self.checking {
            return Vec::new();
        }
        if self.name.text().trim().is_empty() {
            self.field = Field::Name;
            self.message = Some(Error::usage("type your user name"));
            return Vec::new();
        }
        if self.field == Field::Name {
            self.field = Field::Password;
            return Vec::new();
        }
        if self.password.text().is_empty() {
            self.message = Some(Error::usage("type your password"));
            return Vec::new();
        }
        self.checking = true;
        self.message = None;
        let password = password::secret(self.password.take());
        vec![Effect::ask(
            Slot::Session,
            auth::Login::with(self.name.text(), password, ClientKind::Console),
        )]
    }

    /// Takes the answer to a login that failed.
    pub fn refused(&mut self, error: Error) {
        self.checking = false;
        if error.kind() != ErrorKind::Unreachable {
            self.field = Field::Password;
        }
        self.message = Some(error);
    }

    fn current(&mut self) -> &mut TextField {
        match self.field {
            Field::Name => &mut self.name,
            Field::Password => &mut self.password,
        }
    }

    /// Draws the form; gives where the terminal's cursor belongs.
    fn draw(&self, area: Rect, buffer: &mut Buffer, look: &Look, note: Option<&str>) -> Position {
        let notes = note.map(|text| SafeNote::of(text).0).unwrap_or_default();
        let width = area.width.clamp(20, 76);
        let left = area.x + (area.width - width.min(area.width)) / 2;
        let height = 9 + u16::try_from(notes.len()).unwrap_or(0);
        let top = area.y + area.height.saturating_sub(height) / 3;
        let row = |n: u16| Rect {
            x: left,
            y: (top + n).min(area.bottom().saturating_sub(1)),
            width,
            height: 1,
        };
        let put = |buffer: &mut Buffer, n: u16, line: Line<'_>| {
            if top + n < area.bottom() {
                line.render(row(n), buffer);
            }
        };
        put(buffer, 0, Line::from(look.span(Role::Title, "Log in")));
        let label = |field: Field, text: &str| {
            let marker = if field == self.field { look.glyph("▸ ", "> ") } else { "  " };
            let role = if field == self.field { Role::Selected } else { Role::Text };
            Line::from(look.span(role, format!("{marker}{text}")))
        };
        put(buffer, 2, label(Field::Name, "name"));
        put(buffer, 3, label(Field::Password, "password"));
        let field = |n: u16| {
            let row = row(n);
            let x = row.x + 12;
            Rect { x, width: width.saturating_sub(12).min(40), ..row }
        };
        let style = look.style(Role::Input);
        let at_name = self.name.draw(field(2), buffer, style, None);
        let at_password = self.password.draw(field(3), buffer, style, None);
        let mut next = 5;
        if self.checking {
            put(buffer, next, Line::from(look.span(Role::Muted, "checking ...")));
        } else if let Some(error) = &self.message {
            for text in wrapped(&error.to_string(), usize::from(width)) {
                put(buffer, next, Line::from(look.span(Role::Failed, text)));
                next += 1;
            }
        }
        for (n, text) in (next.max(6) + 1..).zip(&notes) {
            put(
                buffer,
                n,
                Line::from(look.span(Role::Hint, look.cut(text, usize::from(width)).to_string())),
            );
        }
        if self.field == Field::Name { at_name } else { at_password }
    }
}

impl Screen for Login {
    fn context(&self, _: &Cx<'_>) -> Context {
        Context::Login
    }

    fn command(&mut self, command: Command, _: &Cx<'_>) -> Reply {
        match command {
            Command::FieldNext | Command::FieldPrevious => {
                self.field = if self.field == Field::Name { Field::Password } else { Field::Name };
            }
            Command::FilterClear => self.current().clear(),
            Command::FormSubmit => return Reply::of(self.submit()),
            _ => {}
        }
        Reply::default()
    }

    fn key(&mut self, event: &KeyEvent, _: &Cx<'_>) -> Reply {
        self.current().key(event);
        Reply::default()
    }

    fn paste(&mut self, text: &str, cx: &Cx<'_>) -> Reply {
        let whole = self.current().paste(text.trim_end_matches(['\n', '\r']));
        let pasted = if whole { Pasted::Whole } else { Pasted::Cut };
        Reply::default().pasted(pasted, NO_FIELD, cx)
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        let (look, body, platform) = (cx.look, cx.area, cx.platform);
        let lost = cx.link.trouble.as_ref().or(platform.error());
        let lost = lost.filter(|_| platform.value().is_none() || cx.link.is_lost());
        if let Some(error) = lost.filter(|_| !self.checking && self.message.is_none()) {
            let width = usize::from(body.width.saturating_sub(2));
            for (y, text) in (body.y..body.bottom()).zip(wrapped(&error.to_string(), width)) {
                let row = Rect { y, height: 1, ..body };
                Line::from(look.span(Role::Lost, format!(" {text}"))).render(row, buffer);
            }
        }
        let note = platform.value().and_then(|platform| platform.login_note.as_deref());
        Some(self.draw(body, buffer, look, note))
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        vec![
            Hint::Does(Command::FormSubmit, "log in"),
            Hint::own(Command::FieldNext),
            Hint::own(Command::AppQuit),
        ]
    }
}

/// The platform's note in clean lines.
struct SafeNote(Vec<String>);

impl SafeNote {
    fn of(text: &str) -> Self {
        Self(text.lines().take(NOTE_LINES).map(|line| SafeText::new(line).to_string()).collect())
    }
}
