//! A form: labelled fields one below the other, each with what is wrong with it. Tab moves
//! between them, enter goes on, and on the last field it sends.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::super::command::Command;
use super::super::look::{Look, wrapped};
use super::super::theme::Role;
use super::text_field::TextField;

#[derive(Debug, Clone)]
enum Input {
    Text(TextField),
    Choice {
        options: Vec<String>,
        /// Nothing is chosen before somebody does.
        chosen: Option<usize>,
    },
}

#[derive(Debug, Clone)]
pub struct Field {
    label: String,
    input: Input,
    note: String,
    error: Option<String>,
}

impl Field {
    /// A line of text of at most `limit` characters.
    pub fn text(label: &str, limit: usize) -> Self {
        Self::with(label, Input::Text(TextField::new(limit)))
    }

    pub fn secret(label: &str, limit: usize) -> Self {
        Self::with(label, Input::Text(TextField::secret(limit)))
    }

    /// One of `options`; left and right, or an option's first letter, choose.
    pub fn choice(label: &str, options: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let options = options.into_iter().map(Into::into).collect();
        Self::with(label, Input::Choice { options, chosen: None })
    }

    fn with(label: &str, input: Input) -> Self {
        Self { label: label.to_owned(), input, note: String::new(), error: None }
    }

    #[must_use]
    pub fn filled(mut self, text: &str) -> Self {
        match &mut self.input {
            Input::Text(field) => field.set(text, text.chars().count()),
            Input::Choice { options, chosen } => {
                *chosen = options.iter().position(|option| option == text);
            }
        }
        self
    }

    #[must_use]
    pub fn note(mut self, note: &str) -> Self {
        note.clone_into(&mut self.note);
        self
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pasted {
    Whole,
    Cut,
    Refused,
}

#[derive(Debug, Clone)]
pub struct Form {
    fields: Vec<Field>,
    focus: usize,
}

impl Form {
    pub fn new(fields: Vec<Field>) -> Self {
        Self { fields, focus: 0 }
    }

    pub fn focus(&self) -> usize {
        self.focus
    }

    pub fn go(&mut self, field: usize) {
        self.focus = field.min(self.fields.len().saturating_sub(1));
    }

    pub fn value(&self, field: usize) -> &str {
        match self.fields.get(field).map(|field| &field.input) {
            Some(Input::Text(field)) => field.text(),
            Some(Input::Choice { options, chosen }) => {
                chosen.and_then(|chosen| options.get(chosen)).map_or("", String::as_str)
            }
            None => "",
        }
    }

    pub fn take(&mut self, field: usize) -> String {
        match self.fields.get_mut(field).map(|field| &mut field.input) {
            Some(Input::Text(field)) => field.take(),
            _ => String::new(),
        }
    }

    /// Says what is wrong with a field, and gives it the keys unless one above is wrong too.
    pub fn refuse(&mut self, field: usize, why: impl Into<String>) {
        if !self.fields.iter().take(field).any(|above| above.error.is_some()) {
            self.go(field);
        }
        if let Some(field) = self.fields.get_mut(field) {
            field.error = Some(why.into());
        }
    }

    pub fn is_wrong(&self) -> bool {
        self.fields.iter().any(|field| field.error.is_some())
    }

    pub fn forgive(&mut self) {
        for field in &mut self.fields {
            field.error = None;
        }
    }

    /// Does a command; true if the form is to be sent.
    pub fn command(&mut self, command: Command) -> bool {
        let count = self.fields.len().max(1);
        match command {
            Command::FieldNext => self.focus = (self.focus + 1) % count,
            Command::FieldPrevious => self.focus = (self.focus + count - 1) % count,
            Command::FormSubmit if self.focus + 1 < count => self.focus += 1,
            Command::FormSubmit => return true,
            Command::FilterClear => {
                if let Some(field) = self.fields.get_mut(self.focus) {
                    field.error = None;
                    match &mut field.input {
                        Input::Text(field) => field.clear(),
                        Input::Choice { chosen, .. } => *chosen = None,
                    }
                }
            }
            _ => {}
        }
        false
    }

    pub fn key(&mut self, event: &KeyEvent) -> bool {
        let Some(field) = self.fields.get_mut(self.focus) else { return false };
        let typed = match &mut field.input {
            Input::Text(field) => field.key(event),
            Input::Choice { options, chosen } => choose(options, chosen, event),
        };
        if typed {
            field.error = None;
        }
        typed
    }

    /// Pastes text into the field that has the keys; it never sends anything.
    pub fn paste(&mut self, text: &str) -> Pasted {
        let Some(field) = self.fields.get_mut(self.focus) else { return Pasted::Refused };
        let Input::Text(input) = &mut field.input else { return Pasted::Refused };
        field.error = None;
        if input.paste(text.trim_end_matches(['\n', '\r'])) { Pasted::Whole } else { Pasted::Cut }
    }

    pub fn rows(&self, columns: usize) -> usize {
        self.fields.iter().map(|field| 1 + self.errors(field, columns).len()).sum()
    }

    fn indent(&self) -> usize {
        self.fields.iter().map(|field| field.label.chars().count()).max().unwrap_or(0) + 4
    }

    fn errors(&self, field: &Field, columns: usize) -> Vec<String> {
        let columns = columns.saturating_sub(self.indent());
        field.error.as_ref().map_or_else(Vec::new, |error| wrapped(error, columns))
    }

    /// Draws it; gives where the terminal's cursor belongs. Where not all of it fits, the field
    /// that has the keys does.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, look: &Look) -> Option<Position> {
        let columns = usize::from(area.width);
        let indent = u16::try_from(self.indent()).unwrap_or(0).min(area.width);
        let heights = self.fields.iter().map(|field| 1 + self.errors(field, columns).len());
        let above: usize = heights.clone().take(self.focus + 1).sum();
        let mut skip = above.saturating_sub(usize::from(area.height));
        let mut y = area.y;
        let mut cursor = None;
        for (i, (field, height)) in self.fields.iter().zip(heights).enumerate() {
            if skip > 0 {
                skip = skip.saturating_sub(height);
                continue;
            }
            if y >= area.bottom() {
                break;
            }
            let row = Rect { y, height: 1, ..area };
            let here = i == self.focus;
            let marker = if here { look.glyph("▸ ", "> ") } else { "  " };
            let role = if here { Role::Selected } else { Role::Text };
            Line::from(look.span(role, format!("{marker}{}", field.label))).render(row, buffer);
            let rest = Rect { x: row.x + indent, width: row.width - indent, ..row };
            let at = draw_field(field, rest, buffer, look, here);
            if here {
                cursor = Some(at);
            }
            for (error, y) in self.errors(field, columns).into_iter().zip(y + 1..area.bottom()) {
                Line::from(look.span(Role::Failed, error)).render(Rect { y, ..rest }, buffer);
            }
            y = y.saturating_add(u16::try_from(height).unwrap_or(u16::MAX));
        }
        cursor
    }
}

fn draw_field(field: &Field, area: Rect, buffer: &mut Buffer, look: &Look, here: bool) -> Position {
    let note = Span::raw(field.note.as_str()).width();
    let room = usize::from(area.width).saturating_sub(if note > 0 { note + 2 } else { 0 });
    match &field.input {
        Input::Text(input) => {
            let width = u16::try_from(room).unwrap_or(area.width);
            // A short answer gets a short field.
            let width = width.min(u16::try_from(input.limit() + 1).unwrap_or(width));
            let style =
                look.style(if field.error.is_some() { Role::InputError } else { Role::Input });
            let at = input.draw(Rect { width, ..area }, buffer, style, None);
            if note > 0 {
                let x = area.x + width + 2;
                let rest = Rect { x, width: area.right().saturating_sub(x), ..area };
                Line::from(look.span(Role::Hint, field.note.clone())).render(rest, buffer);
            }
            at
        }
        Input::Choice { options, chosen } => {
            let hint = "left/right";
            let width: usize = options.iter().map(|option| option.chars().count() + 3).sum();
            let width = width.saturating_sub(1);
            let mut spans = Vec::new();
            if width <= usize::from(area.width) {
                for (i, option) in options.iter().enumerate() {
                    let (text, role) = if *chosen == Some(i) {
                        (format!("[{option}]"), Role::Selected)
                    } else {
                        (format!(" {option} "), Role::Text)
                    };
                    if i > 0 {
                        spans.push(Span::raw(" "));
                    }
                    spans.push(look.span(role, text));
                }
                if here && chosen.is_none() && width + hint.len() <= usize::from(area.width) {
                    spans.push(look.span(Role::Hint, hint));
                }
            } else {
                let shown = chosen.and_then(|i| options.get(i)).map_or("choose", String::as_str);
                spans.push(look.span(Role::Hint, look.glyph("◂ ", "< ")));
                spans.push(look.span(Role::Selected, shown.to_owned()));
                spans.push(look.span(Role::Hint, look.glyph(" ▸", " >")));
            }
            Line::from(spans).render(area, buffer);
            Position::new(area.x, area.y)
        }
    }
}

/// Left and right go round; a letter goes to the next option that begins with it.
fn choose(options: &[String], chosen: &mut Option<usize>, event: &KeyEvent) -> bool {
    let count = options.len();
    if count == 0 || event.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) {
        return false;
    }
    let next = match (event.code, *chosen) {
        (KeyCode::Home, _) | (KeyCode::Right | KeyCode::Char(' '), None) => 0,
        (KeyCode::End, _) | (KeyCode::Left, None) => count - 1,
        (KeyCode::Right | KeyCode::Char(' '), Some(i)) => (i + 1) % count,
        (KeyCode::Left, Some(i)) => (i + count - 1) % count,
        (KeyCode::Char(c), chosen) => {
            let first = chosen.map_or(0, |i| i + 1);
            let begins = |i: &usize| {
                let initial = options.get(*i).and_then(|option| option.chars().next());
                initial.is_some_and(|initial| initial.to_lowercase().eq(c.to_lowercase()))
            };
            let found = (first..first + count).map(|i| i % count).find(begins);
            let Some(found) = found else { return false };
            found
        }
        _ => return false,
    };
    *chosen = Some(next);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> Form {
        Form::new(vec![
            Field::choice("code", ["DATA_REPAIR", "INCIDENT", "SUPPORT", "SECURITY"]),
            Field::text("reason", 20),
            Field::secret("password", 20),
        ])
    }

    fn press(form: &mut Form, code: KeyCode) {
        form.key(&KeyEvent::new(code, KeyModifiers::NONE));
    }

    #[test]
    fn arrows_and_letters_choose() {
        let mut form = form();
        assert_eq!(form.value(0), "");
        for (code, value) in [
            (KeyCode::Char('s'), "SUPPORT"),
            (KeyCode::Char('S'), "SECURITY"),
            (KeyCode::Char('s'), "SUPPORT"),
            (KeyCode::Char('x'), "SUPPORT"),
            (KeyCode::Left, "INCIDENT"),
            (KeyCode::Left, "DATA_REPAIR"),
            (KeyCode::Left, "SECURITY"),
            (KeyCode::Right, "DATA_REPAIR"),
        ] {
            press(&mut form, code);
            assert_eq!(form.value(0), value, "{code:?}");
        }
        form.command(Command::FilterClear);
        assert_eq!(form.value(0), "");
        assert_eq!(form.paste("INCIDENT"), Pasted::Refused);
    }

    #[test]
    fn enter_goes_on_and_only_the_last_field_sends() {
        let mut form = form();
        assert!(!form.command(Command::FormSubmit));
        assert_eq!(form.paste("two\nlines\n"), Pasted::Whole);
        assert_eq!(form.paste("and a bit more than fits"), Pasted::Cut);
        assert!(form.value(1).starts_with("two lines"));
        assert!(!form.command(Command::FormSubmit));
        assert!(form.command(Command::FormSubmit));
        form.command(Command::FieldNext);
        assert_eq!(form.focus(), 0);
        form.command(Command::FieldPrevious);
        assert_eq!(form.focus(), 2);
    }

    #[test]
    fn the_first_wrong_field_has_the_keys_until_it_is_changed() {
        let mut form = form();
        form.refuse(0, "choose one");
        form.refuse(2, "type it");
        assert_eq!((form.focus(), form.is_wrong()), (0, true));
        assert_eq!(form.rows(60), 5);
        press(&mut form, KeyCode::Right);
        assert_eq!(form.rows(60), 4);
        form.forgive();
        assert!(!form.is_wrong());
    }
}
