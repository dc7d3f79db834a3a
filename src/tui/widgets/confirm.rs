//! The dialog before anything of a run is changed: what it is, what will happen, and what has
//! to be typed. Nothing but typing confirms; a paste never does.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use ratatui::widgets::Widget;
use uuid::Uuid;

use super::super::control::{Control, ControlRequest, covered, mistyped};
use super::super::look::{Look, wrapped};
use super::super::theme::Role;
use super::dialog;
use super::text_field::TextField;
use crate::domain::run::Run;
use crate::{Error, Result};

/// The longest text that can be typed.
const LIMIT: usize = 40;
/// From this height on, there is room for an empty line.
const ROOMY: u16 = 16;

/// How far a dialog is.
#[derive(Debug)]
enum Stage {
    /// Something is to be typed.
    Typing,
    /// The request is on its way.
    Sending,
}

/// The dialog.
#[derive(Debug)]
pub struct Confirm {
    run: Run,
    control: Control,
    /// How many targets a retry covers, once they are counted.
    targets: Option<usize>,
    field: TextField,
    stage: Stage,
    error: Option<Error>,
    request_id: String,
}

impl Confirm {
    /// A dialog before `control` is asked of `run`.
    pub fn of(run: Run, control: Control) -> Self {
        Self {
            run,
            control,
            targets: None,
            field: TextField::new(LIMIT),
            stage: Stage::Typing,
            error: None,
            request_id: Uuid::new_v4().to_string(),
        }
    }

    /// Whether it is about this.
    pub fn is_about(&self, run_id: i64, control: Control) -> bool {
        self.run.id == run_id && self.control == control
    }

    /// Takes the count of targets that a retry covers.
    pub fn take_targets(&mut self, counted: Result<usize>) {
        match counted {
            Ok(0) => {
                self.error = Some(Error::refused(format!(
                    "nothing of run {} can be retried: what failed or was left undone is archived",
                    self.run.id
                )));
            }
            Ok(n) => self.targets = Some(n),
            Err(error) => self.error = Some(error),
        }
    }

    /// It went wrong: the dialog stays, and says why.
    pub fn failed(&mut self, error: Error) {
        self.stage = Stage::Typing;
        self.error = Some(error);
    }

    fn phrase(&self) -> Option<String> {
        self.control.phrase(&self.run, self.targets)
    }

    /// What was typed is to be taken; gives what to send if it is the phrase.
    pub fn submit(&mut self) -> Option<ControlRequest> {
        let phrase = self.phrase()?;
        if matches!(self.stage, Stage::Sending) {
            return None;
        }
        if self.field.text().trim() != phrase {
            // Before anything is typed, enter is more likely a slip than a wrong phrase.
            if !self.field.text().is_empty() {
                self.error = Some(mistyped(&phrase));
            }
            return None;
        }
        self.stage = Stage::Sending;
        self.error = None;
        Some(ControlRequest {
            run_id: self.run.id,
            control: self.control,
            confirm: Some(phrase),
            request_id: self.request_id.clone(),
        })
    }

    /// Types a key.
    pub fn key(&mut self, event: &KeyEvent) {
        if matches!(self.stage, Stage::Typing) && self.phrase().is_some() && self.field.key(event) {
            self.error = None;
        }
    }

    /// Empties the field.
    pub fn clear(&mut self) {
        self.field.clear();
        self.error = None;
    }

    /// Draws it over the body; gives where the terminal's cursor belongs.
    pub fn draw(&self, body: Rect, buffer: &mut Buffer, look: &Look) -> Option<Position> {
        let columns = dialog::columns(body);
        let run = &self.run;
        let mut lines = vec![Line::from(look.span(
            Role::Text,
            format!("run {}  {}", run.id, look.cut(&run.run_type, columns.saturating_sub(16))),
        ))];
        let covers = format!("for {}", covered(run));
        lines.push(Line::from(look.span(Role::Text, look.cut(&covers, columns).to_string())));
        if body.height >= ROOMY {
            lines.push(Line::default());
        }
        let mut put = |role: Role, text: &str| {
            for line in wrapped(text, columns) {
                lines.push(Line::from(look.span(role, line)));
            }
        };
        put(Role::Text, &self.control.consequence(run, self.targets));
        if let Some(phrase) = self.phrase() {
            put(
                Role::Hint,
                &format!("Type {phrase} and press enter. esc leaves everything as it is."),
            );
        }
        let field_at = lines.len();
        lines.push(Line::default());
        let mut put = |role: Role, text: &str| {
            for line in wrapped(text, columns) {
                lines.push(Line::from(look.span(role, line)));
            }
        };
        match (&self.stage, &self.error) {
            (Stage::Sending, _) => {
                put(Role::Running, "sending ... esc closes this; what was sent is not taken back");
            }
            (Stage::Typing, Some(error)) => put(Role::Failed, &error.to_string()),
            (Stage::Typing, None) => lines.push(Line::default()),
        }
        let title = format!(" {} run {}? ", capitalised(self.control.word()), run.id);
        let room = dialog::draw(body, lines.len(), &title, buffer, look);
        let inner = Rect { height: 1, ..room };
        let shown = usize::from(room.height);
        for (y, line) in (inner.y..).zip(lines.into_iter().take(shown)) {
            line.render(Rect { y, ..inner }, buffer);
        }
        if self.phrase().is_none() || field_at >= shown {
            return None;
        }
        let y = inner.y + u16::try_from(field_at).unwrap_or(0);
        let field = Rect { y, width: inner.width.min(30), ..inner };
        let at = self.field.draw(field, buffer, look.style(Role::Input), None);
        matches!(self.stage, Stage::Typing).then_some(at)
    }
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + characters.as_str()
    })
}
