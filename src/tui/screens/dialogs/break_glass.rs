//! The dialog that takes break-glass, or ends it. Errors stay in it, and nothing that was
//! typed is lost but the password.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Position;
use ratatui::text::Line;

use super::sheet::{Entry, Sheet};
use crate::access::BreakGlass;
use crate::domain::confirmation::ReasonRule;
use crate::domain::start_reason::{MAX_REASON, StartReason, StartReasonCode};
use crate::ops::break_glass::{
    DEFAULT_MINUTES, EndBreakGlass, EnterBreakGlass, MAX_MINUTES, MIN_MINUTES, check_minutes,
};
use crate::ops::{AnyOutput, Consent, password};
use crate::tui::command::{Command, Context};
use crate::tui::screen::{Cx, Hint, Reply, Screen, UNTYPED};
use crate::tui::slot::Slot;
use crate::tui::theme::Role;
use crate::tui::widgets::dialog;
use crate::tui::widgets::form::{Field, Form, Pasted};
use crate::tui::widgets::text_field::TextField;

impl Slot {
    pub const BREAK_GLASS_CHANGE: Self = Self::new("break-glass change", "the change");
}

const CODE: usize = 0;
const REASON: usize = 1;
const MINUTES: usize = 2;
const PASSWORD: usize = 3;

const YES: &str = "y";
const MEANING: &str = "It allows nothing more. While it is active, every start needs a reason, and \
                       what you do is marked as done under it.";
const END: &str = "Starts need a reason only where they always do, and are no longer marked.";

#[derive(Debug)]
pub struct GlassDialog {
    sheet: Sheet,
}

impl GlassDialog {
    /// The form to take break-glass, or the question before it is ended.
    pub fn over(active: Option<&BreakGlass>) -> Self {
        let entry = match active {
            Some(_) => Entry::Phrase(TextField::new(YES.len() + 9)),
            None => Entry::Form(Form::new(vec![
                Field::choice("reason code", StartReasonCode::ALL.iter().map(|code| code.as_str())),
                Field::text("reason", MAX_REASON),
                Field::text("minutes", 3)
                    .filled(&DEFAULT_MINUTES.to_string())
                    .note(&format!("{MIN_MINUTES} to {MAX_MINUTES}; then it ends by itself")),
                Field::secret("password", password::MAX_LENGTH).note("your own, once more"),
            ])),
        };
        Self { sheet: Sheet::of(entry) }
    }

    /// Whether it takes break-glass, rather than ending it.
    fn takes(&self) -> bool {
        matches!(self.sheet.entry, Entry::Form(_))
    }
}

impl Screen for GlassDialog {
    fn context(&self, _: &Cx<'_>) -> Context {
        self.sheet.context()
    }

    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        if !self.sheet.command(command) {
            return Reply::default();
        }
        match &mut self.sheet.entry {
            Entry::Form(form) => match read(form) {
                Some(operation) => self.sheet.send(Slot::BREAK_GLASS_CHANGE, operation, cx),
                None => Reply::default(),
            },
            Entry::Phrase(field) => {
                let typed = field.text().trim().to_owned();
                if typed == YES {
                    let consent = Consent::yes();
                    return self.sheet.send(
                        Slot::BREAK_GLASS_CHANGE,
                        EndBreakGlass { consent },
                        cx,
                    );
                }
                self.sheet.mistyped(&typed, YES);
                Reply::default()
            }
        }
    }

    fn answer(&mut self, answer: &AnyOutput, cx: &Cx<'_>) -> Option<Reply> {
        let done = match answer {
            AnyOutput::EnterBreakGlass(_, done) if self.takes() => done,
            AnyOutput::EndBreakGlass(_, done) if !self.takes() => done,
            _ => return None,
        };
        Some(match done {
            Ok(glass) if self.takes() => {
                let until = cx.look.clock(glass.expires_at);
                Reply::close().say(format!("break-glass is active until {until}"), cx)
            }
            Ok(_) => Reply::close().say("break-glass has ended", cx),
            Err(error) if cx.shown => {
                self.sheet.failed(error.clone());
                Reply::default()
            }
            Err(error) => Reply::close().say(format!("break-glass: {error}"), cx),
        })
    }

    fn awaits(&self) -> Option<Slot> {
        self.sheet.sending.then_some(Slot::BREAK_GLASS_CHANGE)
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        if self.takes() { dialog::form_hints() } else { dialog::phrase_hints(Command::FilterClear) }
    }

    fn key(&mut self, event: &KeyEvent, _: &Cx<'_>) -> Reply {
        self.sheet.key(event);
        Reply::default()
    }

    fn paste(&mut self, text: &str, cx: &Cx<'_>) -> Reply {
        let refusal = if self.takes() { "this field takes no pasted text" } else { UNTYPED };
        let pasted = match &mut self.sheet.entry {
            Entry::Form(form) if !self.sheet.sending => form.paste(text),
            _ => Pasted::Refused,
        };
        Reply::default().pasted(pasted, refusal, cx)
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        let columns = dialog::columns(cx.area);
        let (title, meaning) = if self.takes() {
            (" Take break-glass? ", MEANING)
        } else {
            (" End break-glass? ", END)
        };
        let mut lines = cx.look.lines(Role::Text, meaning, columns);
        if !self.takes() {
            let hint = format!("Type {YES} and press enter. esc leaves everything as it is.");
            lines.extend(cx.look.lines(Role::Text, &hint, columns));
        }
        lines.push(Line::default());
        self.sheet.draw(title, lines, true, cx, buffer)
    }
}

/// What the form asks for, or none, with what is wrong beside its fields.
fn read(form: &mut Form) -> Option<EnterBreakGlass> {
    let code = form.value(CODE).parse::<StartReasonCode>();
    if code.is_err() {
        form.refuse(CODE, "choose the kind of reason");
    }
    // The code plays no part in whether the text says something.
    let code = code.unwrap_or(StartReasonCode::Incident);
    let reason = StartReason::new(code, form.value(REASON), ReasonRule::Required);
    if let Err(error) = &reason {
        form.refuse(REASON, error.to_string());
    }
    let minutes = form.value(MINUTES).trim().parse::<u32>().unwrap_or(0);
    if let Err(error) = check_minutes(minutes) {
        form.refuse(MINUTES, error.message());
    }
    if form.value(PASSWORD).is_empty() {
        form.refuse(PASSWORD, "type your password");
    }
    if form.is_wrong() {
        return None;
    }
    let password = password::secret(form.take(PASSWORD));
    let consent = Consent::yes().because(Some(reason.ok()?));
    Some(EnterBreakGlass { consent, minutes, password })
}
