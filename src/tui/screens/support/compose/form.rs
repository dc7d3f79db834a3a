//! What is typed into a request: fields, which of them has the keys, and the draft they make.

use std::collections::BTreeSet;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::domain::support::{Draft, MAX_NOTES, MAX_SUMMARY, ProblemField, Severity};
use crate::text_enum;
use crate::tui::command::Command;
use crate::tui::look::grouped;
use crate::tui::screen::CUT;
use crate::tui::widgets::text_area::TextArea;
use crate::tui::widgets::text_field::TextField;

/// More than is kept of any line: what is too long is told, not cut.
const LINE: usize = 4_000;

text_enum! {
    /// The fields of the form, from top to bottom, by their labels.
    pub enum Field as "field" {
        Severity = "severity",
        Summary = "summary",
        Notes = "notes",
        ContactName = "contact",
        ContactEmail = "e-mail",
        Attach = "attach",
    }
}

impl Field {
    /// The field that a problem is about; none for what was masked by hand.
    pub const fn of(problem: ProblemField) -> Option<Self> {
        match problem {
            ProblemField::Summary => Some(Self::Summary),
            ProblemField::Notes => Some(Self::Notes),
            ProblemField::ContactName => Some(Self::ContactName),
            ProblemField::ContactEmail => Some(Self::ContactEmail),
            ProblemField::Mask => None,
        }
    }

    fn step(self, forward: bool) -> Self {
        let count = Self::ALL.len();
        let here = Self::ALL.iter().position(|field| *field == self).unwrap_or(0);
        let next = if forward { here + 1 } else { here + count - 1 } % count;
        Self::ALL.get(next).copied().unwrap_or(self)
    }
}

#[derive(Debug, Clone)]
pub struct ComposeForm {
    pub(super) severity: Severity,
    pub(super) summary: TextField,
    pub(super) notes: TextArea,
    pub(super) contact_name: TextField,
    pub(super) contact_email: TextField,
    pub(super) attach: bool,
    pub(super) mask: Vec<String>,
    pub(super) withhold: BTreeSet<String>,
    pub focus: Field,
}

impl ComposeForm {
    /// A form filled with a draft; the summary has the keys.
    pub fn of(draft: &Draft) -> Self {
        let line = |text: &str| {
            let mut field = TextField::new(LINE);
            field.set(text, text.chars().count());
            field
        };
        Self {
            severity: draft.severity,
            summary: line(&draft.summary),
            notes: TextArea::of(&draft.notes),
            contact_name: line(&draft.contact_name),
            contact_email: line(&draft.contact_email),
            attach: draft.attach,
            mask: draft.mask.clone(),
            withhold: draft.withhold.clone(),
            focus: Field::Summary,
        }
    }

    pub fn draft(&self) -> Draft {
        Draft {
            severity: self.severity,
            summary: self.summary.text().to_owned(),
            notes: self.notes.text(),
            contact_name: self.contact_name.text().to_owned(),
            contact_email: self.contact_email.text().to_owned(),
            attach: self.attach,
            mask: self.mask.clone(),
            withhold: self.withhold.clone(),
        }
    }

    /// How much more a field holds than is stored of it, `10,001 of 10,000 characters`.
    pub fn over(&self, field: Field) -> Option<String> {
        let (has, max) = match field {
            Field::Summary => (self.summary.text().chars().count(), MAX_SUMMARY),
            Field::Notes => (self.notes.characters(), MAX_NOTES),
            _ => return None,
        };
        let [has_text, max_text] =
            [has, max].map(|n| grouped(i64::try_from(n).unwrap_or(i64::MAX)));
        (has > max).then(|| format!("{has_text} of {max_text} characters; shorten it"))
    }

    /// Gives a field the keys; the notes at a line, from 1.
    pub fn go(&mut self, field: Field, line: Option<usize>) {
        self.focus = field;
        if let (Field::Notes, Some(line)) = (field, line) {
            self.notes.go_to(line);
        }
    }

    /// Does a command; true where it changed what was written.
    pub fn command(&mut self, command: Command) -> bool {
        match command {
            Command::FieldNext | Command::FormSubmit => self.focus = self.focus.step(true),
            Command::FieldPrevious => self.focus = self.focus.step(false),
            Command::FilterClear if self.focus == Field::Notes => {
                return self.notes.command(command);
            }
            Command::FilterClear => {
                let line = self.line();
                let clears = line.is_some();
                line.into_iter().for_each(TextField::clear);
                return clears;
            }
            Command::TextUndo | Command::TextRedo if self.focus == Field::Notes => {
                return self.notes.command(command);
            }
            _ if self.focus == Field::Notes => drop(self.notes.command(command)),
            _ => {}
        }
        false
    }

    /// Types a key into the field that has the keys; true where it meant something.
    pub fn key(&mut self, event: &KeyEvent) -> bool {
        match (self.focus, self.line()) {
            (_, Some(line)) => line.key(event),
            (Field::Severity, _) => self.choose_severity(event),
            (Field::Notes, _) => self.notes.key(event),
            _ => self.choose_attach(event),
        }
    }

    fn line(&mut self) -> Option<&mut TextField> {
        match self.focus {
            Field::Summary => Some(&mut self.summary),
            Field::ContactName => Some(&mut self.contact_name),
            Field::ContactEmail => Some(&mut self.contact_email),
            Field::Severity | Field::Notes | Field::Attach => None,
        }
    }

    /// Pastes into the field that has the keys. It never goes on, let alone sends anything.
    ///
    /// # Errors
    /// Why not all of it was taken.
    pub fn paste(&mut self, text: &str) -> Result<(), String> {
        if self.focus == Field::Notes {
            return self.notes.paste(text);
        }
        let Some(line) = self.line() else {
            return Err("text is pasted into a text field; nothing was done".to_owned());
        };
        let whole = line.paste(text.trim_end_matches(['\n', '\r']));
        if whole { Ok(()) } else { Err(CUT.to_owned()) }
    }

    fn choose_severity(&mut self, event: &KeyEvent) -> bool {
        let all = Severity::ALL;
        let here = all.iter().position(|severity| *severity == self.severity).unwrap_or(0);
        let next = match event.code {
            _ if is_modified(event) => None,
            KeyCode::Right | KeyCode::Char(' ') => Some((here + 1) % all.len()),
            KeyCode::Left => Some((here + all.len() - 1) % all.len()),
            KeyCode::Home => Some(0),
            KeyCode::End => Some(all.len() - 1),
            KeyCode::Char(c) => all
                .iter()
                .position(|severity| severity.as_str().starts_with(c.to_ascii_lowercase())),
            _ => None,
        };
        let chosen = next.and_then(|next| all.get(next));
        if let Some(severity) = chosen {
            self.severity = *severity;
        }
        chosen.is_some()
    }

    fn choose_attach(&mut self, event: &KeyEvent) -> bool {
        match event.code {
            _ if is_modified(event) => return false,
            KeyCode::Left | KeyCode::Right | KeyCode::Char(' ') => self.attach = !self.attach,
            KeyCode::Char('y') | KeyCode::Home => self.attach = true,
            KeyCode::Char('n') | KeyCode::End => self.attach = false,
            _ => return false,
        }
        true
    }
}

fn is_modified(event: &KeyEvent) -> bool {
    event.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(form: &mut ComposeForm, code: KeyCode) -> bool {
        form.key(&KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn a_draft_comes_out_as_it_went_in() {
        let draft = Draft {
            severity: Severity::High,
            summary: "all of it".to_owned(),
            notes: "one\n two\n".to_owned(),
            contact_name: "Ana".to_owned(),
            contact_email: "ana@example.com".to_owned(),
            attach: false,
            mask: vec!["Fabrikam".to_owned()],
            withhold: BTreeSet::from(["runs/run-4".to_owned()]),
        };
        assert_eq!(ComposeForm::of(&draft).draft(), draft);
    }

    #[test]
    fn enter_and_tab_walk_and_choices_choose() {
        let mut form = ComposeForm::of(&Draft::default());
        assert_eq!(form.focus, Field::Summary);
        form.command(Command::FieldPrevious);
        assert!(press(&mut form, KeyCode::Char('b')));
        assert_eq!(form.draft().severity, Severity::Blocking);
        assert!(press(&mut form, KeyCode::Right) && form.draft().severity == Severity::Low);
        assert!(!press(&mut form, KeyCode::Char('x')));
        assert_eq!(
            form.paste("high"),
            Err("text is pasted into a text field; nothing was done".to_owned())
        );
        form.command(Command::FieldPrevious);
        assert_eq!(form.focus, Field::Attach);
        assert!(press(&mut form, KeyCode::Char(' ')) && !form.draft().attach);
        for field in Field::ALL {
            form.command(Command::FormSubmit);
            assert_eq!(form.focus, *field);
        }
    }

    #[test]
    fn only_the_field_with_the_keys_changes() {
        let mut form = ComposeForm::of(&Draft::default());
        assert_eq!(form.paste("two\nlines\n"), Ok(()));
        form.go(Field::Notes, None);
        assert_eq!(form.paste("two\nlines\n"), Ok(()));
        let draft = form.draft();
        assert_eq!((draft.summary.as_str(), draft.notes.as_str()), ("two lines", "two\nlines\n"));
        assert!(form.command(Command::TextUndo) && form.draft().notes.is_empty());
        assert!(form.command(Command::TextRedo));
        for c in "abc".chars() {
            press(&mut form, KeyCode::Char(c));
        }
        assert!(form.command(Command::FilterClear));
        assert_eq!(form.draft().notes, "two\nlines\n", "only the line is cleared");
        assert!(form.command(Command::TextUndo));
        assert_eq!(form.draft().notes, "two\nlines\nabc");
        assert_eq!(form.over(Field::Notes), None);
        assert_eq!(form.paste(&"x".repeat(MAX_NOTES)), Ok(()));
        assert_eq!(form.over(Field::Notes).unwrap(), "10,013 of 10,000 characters; shorten it");
        assert!(form.command(Command::FilterClear));
        assert_eq!(form.draft().notes, "two\nlines\n");
        form.go(Field::Summary, None);
        assert!(form.command(Command::FilterClear) && form.draft().summary.is_empty());
        assert_eq!(form.paste(&"x".repeat(LINE + 1)), Err(CUT.to_owned()));
    }
}
