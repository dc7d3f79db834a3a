//! The dialog that takes break-glass, or ends it. Errors stay in it, and nothing that was
//! typed is lost but the password.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use ratatui::widgets::Widget;

use crate::Error;
use crate::access::BreakGlass;
use crate::domain::confirmation::ReasonRule;
use crate::domain::start_reason::{MAX_REASON, StartReason, StartReasonCode};
use crate::ops::break_glass::{
    DEFAULT_MINUTES, EndBreakGlass, EnterBreakGlass, MAX_MINUTES, MIN_MINUTES, check_minutes,
};
use crate::ops::{AnyOperation, AnyOutput, Consent, password};
use crate::tui::command::{Command, Context};
use crate::tui::control::{lost, mistyped};
use crate::tui::look::wrapped;
use crate::tui::msg::Slot;
use crate::tui::screen::{Cx, Hint, Reply, Screen, UNTYPED};
use crate::tui::theme::Role;
use crate::tui::widgets::dialog;
use crate::tui::widgets::form::{Field, Form, Pasted};
use crate::tui::widgets::text_field::TextField;

const CODE: usize = 0;
const REASON: usize = 1;
const MINUTES: usize = 2;
const PASSWORD: usize = 3;

/// What confirms the end.
const YES: &str = "y";
/// What is said above the form.
const MEANING: &str = "It allows nothing more. While it is active, every start needs a reason, and \
                       what you do is marked as done under it.";
/// What is said above the question.
const END: &str = "Starts need a reason only where they always do, and are no longer marked.";

#[derive(Debug)]
enum Kind {
    /// It is to be taken.
    Enter(Form),
    /// It is to be ended.
    End(TextField),
}

/// The dialog.
#[derive(Debug)]
pub struct GlassDialog {
    kind: Kind,
    sending: bool,
    error: Option<Error>,
}

impl GlassDialog {
    /// The form to take break-glass, or the question before it is ended.
    pub fn over(active: Option<&BreakGlass>) -> Self {
        let kind = match active {
            Some(_) => Kind::End(TextField::new(YES.len() + 9)),
            None => Kind::Enter(Form::new(vec![
                Field::choice("reason code", StartReasonCode::ALL.iter().map(|code| code.as_str())),
                Field::text("reason", MAX_REASON),
                Field::text("minutes", 3)
                    .filled(&DEFAULT_MINUTES.to_string())
                    .note(&format!("{MIN_MINUTES} to {MAX_MINUTES}; then it ends by itself")),
                Field::secret("password", password::MAX_LENGTH).note("your own, once more"),
            ])),
        };
        Self { kind, sending: false, error: None }
    }

    /// Whether it takes break-glass, rather than ending it.
    fn takes(&self) -> bool {
        matches!(self.kind, Kind::Enter(_))
    }

    /// Does a command; gives what is to be sent.
    fn confirm(&mut self, command: Command) -> Option<AnyOperation> {
        if self.sending {
            return None;
        }
        let request = match &mut self.kind {
            Kind::Enter(form) => {
                if !form.command(command) {
                    return None;
                }
                form.forgive();
                read(form)?
            }
            Kind::End(field) => match command {
                Command::FormSubmit if field.text().trim() == YES => {
                    AnyOperation::from(EndBreakGlass { consent: Consent::yes() })
                }
                Command::FormSubmit => {
                    if !field.text().is_empty() {
                        self.error = Some(mistyped(YES));
                    }
                    return None;
                }
                Command::FilterClear => {
                    field.clear();
                    return None;
                }
                _ => return None,
            },
        };
        self.sending = true;
        self.error = None;
        Some(request)
    }

    /// It went wrong: the dialog stays, and says why.
    fn failed(&mut self, error: Error) {
        self.sending = false;
        self.error = Some(error);
    }
}

impl Screen for GlassDialog {
    fn context(&self, _: &Cx<'_>) -> Context {
        match self.kind {
            Kind::Enter(_) => Context::Form,
            Kind::End(_) => Context::Confirm,
        }
    }

    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        match self.confirm(command) {
            Some(_) if cx.lost => self.failed(lost()),
            Some(operation) => return Reply::ask(Slot::BreakGlassChange, operation),
            None => {}
        }
        Reply::default()
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
                self.failed(error.clone());
                Reply::default()
            }
            Err(error) => Reply::close().say(format!("break-glass: {error}"), cx),
        })
    }

    fn awaits(&self) -> Option<Slot> {
        self.sending.then_some(Slot::BreakGlassChange)
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        match self.kind {
            Kind::Enter(_) => dialog::form_hints(),
            Kind::End(_) => dialog::phrase_hints(Command::FilterClear),
        }
    }

    fn key(&mut self, event: &KeyEvent, _: &Cx<'_>) -> Reply {
        let typed = !self.sending
            && match &mut self.kind {
                Kind::Enter(form) => form.key(event),
                Kind::End(field) => field.key(event),
            };
        if typed {
            self.error = None;
        }
        Reply::default()
    }

    fn paste(&mut self, text: &str, cx: &Cx<'_>) -> Reply {
        let refusal = if self.takes() { "this field takes no pasted text" } else { UNTYPED };
        let pasted = match &mut self.kind {
            Kind::Enter(form) if !self.sending => form.paste(text),
            _ => Pasted::Refused,
        };
        Reply::default().pasted(pasted, refusal, cx)
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        let Cx { look, area: body, .. } = *cx;
        let columns = dialog::columns(body);
        let (title, meaning, fields) = match &self.kind {
            Kind::Enter(form) => (" Take break-glass? ", MEANING, form.rows(columns)),
            Kind::End(_) => (" End break-glass? ", END, 1),
        };
        let mut above = wrapped(meaning, columns);
        if !self.takes() {
            let hint = format!("Type {YES} and press enter. esc leaves everything as it is.");
            above.extend(wrapped(&hint, columns));
        }
        above.push(String::new());
        let below = match (self.sending, &self.error) {
            (true, _) => (
                Role::Running,
                "sending ... esc closes this; what was sent is not taken back".to_owned(),
            ),
            (false, Some(error)) => (Role::Failed, error.to_string()),
            (false, None) => (Role::Text, String::new()),
        };
        let mut end = wrapped(&below.1, columns);
        if end.is_empty() {
            end.push(String::new());
        }
        // Where room is short, what can be typed and what went wrong come first.
        let fits = usize::from(body.height.saturating_sub(2));
        above.truncate(fits.saturating_sub(fields + end.len()));
        let room = dialog::draw(body, above.len() + fields + end.len(), title, buffer, look);
        let mut y = room.y;
        for line in above {
            let row = Rect { y, height: 1, ..room };
            Line::from(look.span(Role::Text, line)).render(row, buffer);
            y += 1;
        }
        let left = room.bottom().saturating_sub(y);
        let rows = u16::try_from(fields).unwrap_or(left);
        let rows = rows.min(left.saturating_sub(u16::try_from(end.len()).unwrap_or(left)).max(1));
        let area = Rect { y, height: rows, ..room };
        let cursor = match &self.kind {
            Kind::Enter(form) => form.draw(area, buffer, look),
            Kind::End(field) => {
                let area = Rect { width: area.width.min(12), ..area };
                Some(field.draw(area, buffer, look.style(Role::Input), None))
            }
        };
        for (line, y) in end.into_iter().zip(y + rows..room.bottom()) {
            let row = Rect { y, height: 1, ..room };
            Line::from(look.span(below.0, line)).render(row, buffer);
        }
        cursor.filter(|_| !self.sending)
    }
}

/// What the form asks for, or none, with what is wrong beside its fields.
fn read(form: &mut Form) -> Option<AnyOperation> {
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
    Some(EnterBreakGlass { consent, minutes, password }.into())
}
