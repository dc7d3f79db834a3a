//! The dialog before anything of a run is changed: what it is, what will happen, and what has
//! to be typed. Nothing but typing confirms; a paste never does.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::symbols::border;
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Widget};
use uuid::Uuid;

use super::super::control::{Control, ControlRequest, covered, mistyped};
use super::super::look::{Look, wrapped};
use super::super::theme::Role;
use super::text_field::TextField;
use crate::domain::run::Run;
use crate::{Error, Result};

/// The longest text that can be typed.
const LIMIT: usize = 40;
/// The widest box.
const WIDTH: u16 = 74;
/// From this height on, there is room for an empty line.
const ROOMY: u16 = 16;
/// A box of ASCII characters.
const PLAIN: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

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
        let width = WIDTH.min(body.width.saturating_sub(2));
        let columns = usize::from(width.saturating_sub(4));
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
        let height = u16::try_from(lines.len() + 2).unwrap_or(body.height).min(body.height);
        let area = Rect {
            x: body.x + (body.width - width) / 2,
            y: body.y + (body.height - height) / 2,
            width,
            height,
        };
        Clear.render(area, buffer);
        buffer.set_style(area, look.style(Role::Text));
        let title = format!(" {} run {}? ", capitalised(self.control.word()), run.id);
        Block::bordered()
            .border_set(if look.ascii { PLAIN } else { border::PLAIN })
            .border_style(look.style(Role::Border))
            .title(Line::from(look.span(Role::Title, title)))
            .render(area, buffer);
        let inner = Rect { x: area.x + 2, y: area.y + 1, width: width - 4, height: 1 };
        let shown = usize::from(height.saturating_sub(2));
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
