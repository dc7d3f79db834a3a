//! The dialog before anything of a run, or of the runs of an error, is changed: what it is, what
//! will happen, and what has to be typed. Nothing but typing confirms; a paste never does.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Position;
use ratatui::text::Line;
use uuid::Uuid;

use super::group::{GroupQuestion, GroupReport};
use super::sheet::{Entry, Sheet};
use crate::domain::confirmation::Confirmation;
use crate::domain::run::Run;
use crate::ops::overview::GroupRetryPlan;
use crate::ops::runs::{PlanRetry, RetryPlan};
use crate::ops::{AnyOperation, AnyOutput, Consent};
use crate::tui::command::{Command, Context};
use crate::tui::control::{Control, covered, retry_outcome};
use crate::tui::look::Look;
use crate::tui::screen::{Cx, Go, Hint, Reply, Screen, UNTYPED};
use crate::tui::slot::Slot;
use crate::tui::theme::Role;
use crate::tui::widgets::form::{Field, Form, Pasted};
use crate::tui::widgets::text_field::TextField;
use crate::tui::widgets::{dialog, reason};
use crate::{Error, ErrorKind, Result};

impl Slot {
    pub const PLAN: Self = Self::new("plan", "the plan").anew();
    pub const CONTROL: Self = Self::new("control", "the change");
}

/// The longest text that can be typed.
const LIMIT: usize = 40;
/// From this height on, there is room for an empty line.
const ROOMY: u16 = 16;
/// The field of the form that is typed and never pasted.
const PHRASE: usize = 2;

#[derive(Debug)]
enum Subject {
    Run {
        run: Box<Run>,
        control: Control,
        /// What a retry would do, once its targets are counted.
        plan: Option<RetryPlan>,
    },
    Group(GroupQuestion),
}

#[derive(Debug)]
pub struct Confirm {
    subject: Subject,
    sheet: Sheet,
    request_id: String,
    waiting: Waiting,
}

/// Whether a new run would wait for a worker.
#[derive(Debug)]
enum Waiting {
    /// It would not, as far as is known.
    No,
    /// It would, and that is refused: why.
    Refused(String),
    /// It would, and that was chosen: why.
    Chosen(String),
}

impl Confirm {
    /// A dialog before `control` is asked of `run`.
    pub fn of(run: Run, control: Control) -> Self {
        Self::about(Subject::Run { run: Box::new(run), control, plan: None })
    }

    /// A dialog before the runs of an error are retried.
    pub fn group(question: GroupQuestion) -> Self {
        Self::about(Subject::Group(question))
    }

    fn about(subject: Subject) -> Self {
        let sheet = Sheet::of(Entry::Phrase(TextField::new(LIMIT)));
        Self { subject, sheet, request_id: Uuid::new_v4().to_string(), waiting: Waiting::No }
    }

    /// Whether the second choice is open: to queue what waits for a worker.
    fn offers_waiting(&self) -> bool {
        match &self.subject {
            Subject::Run { .. } => matches!(self.waiting, Waiting::Refused(_)),
            Subject::Group(question) => question.offers_waiting(),
        }
    }

    /// Asks what a retry would do.
    fn plan(&self) -> Reply {
        match &self.subject {
            Subject::Run { run, control: Control::Retry, .. } => {
                Reply::ask(Slot::PLAN, PlanRetry { run_id: run.id })
            }
            Subject::Run { .. } => Reply::default(),
            Subject::Group(question) => Reply::ask(Slot::PLAN, question.ask()),
        }
    }

    /// The second choice: what was refused is queued all the same.
    fn wait_for_worker(&mut self) -> Reply {
        if !self.offers_waiting() {
            return Reply::default();
        }
        self.sheet.error = None;
        if let Subject::Group(question) = &mut self.subject {
            question.wait_for_worker();
            return self.plan();
        }
        if let Waiting::Refused(why) = &mut self.waiting {
            self.waiting = Waiting::Chosen(std::mem::take(why));
        }
        self.ask();
        Reply::default()
    }

    fn take_plan(&mut self, planned: Result<RetryPlan>) {
        let Subject::Run { plan, .. } = &mut self.subject else { return };
        self.sheet.error = match planned {
            Ok(RetryPlan { refusal: Some(why), .. }) => Some(Error::refused(why)),
            Ok(planned) => {
                self.waiting = planned.obstacle.clone().map_or(Waiting::No, Waiting::Refused);
                *plan = Some(planned);
                None
            }
            Err(error) => Some(error),
        };
        self.ask();
    }

    /// Takes what a retry of the runs of the error would do.
    fn take_group(&mut self, plan: GroupRetryPlan) {
        if let Subject::Group(question) = &mut self.subject {
            question.plan = Some(plan);
            self.sheet.error = None;
        }
        self.ask();
    }

    /// Offers the fields that the confirmation needs, now that it is known.
    fn ask(&mut self) {
        if let Some(confirmation) = self.confirmation()
            && confirmation.reason.is_required()
        {
            let mut fields = reason::fields();
            let note = format!("type {}", confirmation.asks());
            fields.push(Field::text("confirm", LIMIT).note(&note));
            self.sheet.entry = Entry::Form(Form::new(fields));
        }
    }

    fn failed(&mut self, error: &Error) {
        self.sheet.failed(error.clone());
        if error.kind() == ErrorKind::NoWorker {
            // The last worker that supports the type has gone while this was open.
            self.waiting = Waiting::Refused(error.message().to_owned());
            self.sheet.error = None;
        }
    }

    /// Whether nothing can be confirmed, now or later.
    fn asks_nothing(&self) -> bool {
        let empty = matches!(&self.subject, Subject::Group(question) if question.is_empty());
        empty || matches!(self.waiting, Waiting::Refused(_))
    }

    fn confirmation(&self) -> Option<Confirmation> {
        match &self.subject {
            Subject::Run { .. } if matches!(self.waiting, Waiting::Refused(_)) => None,
            Subject::Run { run, control, plan } => control.confirmation(run, plan.as_ref()),
            Subject::Group(question) => question.confirmation(),
        }
    }

    /// Does a command; gives what to send once it is confirmed.
    fn confirm(&mut self, command: Command) -> Option<AnyOperation> {
        let confirmation = self.confirmation()?;
        if !self.sheet.command(command) {
            return None;
        }
        let (typed, reason) = match &mut self.sheet.entry {
            Entry::Phrase(field) => (field.text().trim().to_owned(), None),
            Entry::Form(form) => {
                let reason = reason::read(form, confirmation.reason)?;
                (form.value(PHRASE).trim().to_owned(), reason)
            }
        };
        let given = confirmation.read(&typed);
        if confirmation.allow(&given, false).is_err() {
            self.sheet.mistyped(&typed, confirmation.asks());
            return None;
        }
        let consent = Consent::of(given).because(reason);
        Some(match &self.subject {
            Subject::Run { run, control, .. } => {
                let waits = matches!(self.waiting, Waiting::Chosen(_));
                control.operation(run.id, consent, &self.request_id, waits)
            }
            Subject::Group(question) => question.operation(consent)?.into(),
        })
    }

    /// A change of what it is `about` went wrong, which is said also where this was closed.
    fn missed(&mut self, error: &Error, about: &str, cx: &Cx<'_>) -> Reply {
        if !cx.shown {
            return Reply::close().say(format!("{about}{error}"), cx);
        }
        self.failed(error);
        Reply::default()
    }
}

impl Screen for Confirm {
    fn context(&self, _: &Cx<'_>) -> Context {
        self.sheet.context()
    }

    fn open(&mut self, _: &Cx<'_>) -> Reply {
        self.plan()
    }

    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        if command == Command::WaitForWorker {
            return self.wait_for_worker();
        }
        match self.confirm(command) {
            Some(operation) => self.sheet.send(Slot::CONTROL, operation, cx),
            None => Reply::default(),
        }
    }

    fn answer(&mut self, answer: &AnyOutput, cx: &Cx<'_>) -> Option<Reply> {
        match (&self.subject, answer) {
            (
                Subject::Run { run, control: Control::Retry, .. },
                AnyOutput::PlanRetry(asked, plan),
            ) if asked.run_id == run.id => self.take_plan(plan.clone()),
            (Subject::Run { run, control, .. }, _) => {
                let id = run.id;
                return Some(match outcome(id, *control, answer)? {
                    Ok((text, view)) => Reply::close().lead(text, view, cx).go(Go::Refresh),
                    Err(error) => self.missed(error, &format!("run {id}: "), cx),
                });
            }
            (Subject::Group(question), AnyOutput::PlanGroupRetry(asked, plan))
                if question.is_about(&asked.fingerprint) =>
            {
                match plan {
                    Ok(plan) => self.take_group(plan.clone()),
                    Err(error) => self.failed(error),
                }
            }
            (Subject::Group(question), AnyOutput::RetryGroup(asked, done))
                if question.is_about(&asked.fingerprint) =>
            {
                return Some(match done {
                    Ok(done) => Reply::close().push(GroupReport::of(done.clone())).go(Go::Refresh),
                    Err(error) => self.missed(error, "", cx),
                });
            }
            _ => return None,
        }
        Some(Reply::default())
    }

    fn reads(&self, _: &Cx<'_>) -> Option<Slot> {
        Some(Slot::PLAN)
    }

    fn awaits(&self) -> Option<Slot> {
        self.sheet.sending.then_some(Slot::CONTROL)
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        if matches!(self.sheet.entry, Entry::Form(_)) {
            return dialog::form_hints();
        }
        let waits = self.offers_waiting();
        let second = if waits { Command::WaitForWorker } else { Command::FilterClear };
        let mut hints = dialog::phrase_hints(second);
        if self.asks_nothing() {
            hints.drain(..if waits { 1 } else { 2 });
        }
        hints
    }

    fn key(&mut self, event: &KeyEvent, _: &Cx<'_>) -> Reply {
        if self.confirmation().is_some() {
            self.sheet.key(event);
        }
        Reply::default()
    }

    /// Pastes into the reason; what confirms it has to be typed.
    fn paste(&mut self, text: &str, cx: &Cx<'_>) -> Reply {
        let pasted = match &mut self.sheet.entry {
            Entry::Form(form) if !self.sheet.sending && form.focus() != PHRASE => form.paste(text),
            _ => Pasted::Refused,
        };
        Reply::default().pasted(pasted, UNTYPED, cx)
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        let Cx { look, area: body, .. } = *cx;
        let columns = dialog::columns(body);
        let roomy = body.height >= ROOMY;
        let (title, mut lines) = match &self.subject {
            Subject::Run { run, control, plan } => {
                let targets = plan.as_ref().map(RetryPlan::targets);
                let (first, rest) = control.word().split_at(1);
                let title = format!(" {}{rest} run {}? ", first.to_uppercase(), run.id);
                (title, lines_of(run, *control, targets, roomy, columns, look))
            }
            Subject::Group(question) => {
                // The hint, the fields and an answer need their lines, too.
                let room = usize::from(body.height).saturating_sub(7 + self.sheet.rows(columns));
                (question.title(), question.lines(columns, room, roomy, look))
            }
        };
        let mut put = |role, text: &str| lines.extend(look.lines(role, text, columns));
        match &self.waiting {
            Waiting::Refused(why) => put(Role::Failed, &format!("Refused: {why}.")),
            Waiting::Chosen(why) => put(Role::Warning, &format!("The new run waits: {why}.")),
            Waiting::No => {}
        }
        if self.offers_waiting() {
            let command = Command::WaitForWorker;
            let key = cx.key(Context::Confirm, command).unwrap_or_else(|| format!(":{command}"));
            put(Role::Hint, &format!("{key} queues it all the same, to wait for one."));
        }
        let confirmation = self.confirmation();
        if let Some(confirmation) = &confirmation {
            let what = match self.sheet.entry {
                Entry::Phrase(_) => "Type",
                Entry::Form(_) => "Say why, type",
            };
            let rest = "and press enter. esc leaves everything as it is.";
            put(Role::Hint, &format!("{what} {} {rest}", confirmation.asks()));
        }
        self.sheet.draw(&title, lines, confirmation.is_some(), cx, buffer)
    }
}

/// What is said of a change that was made, and the run that it leads to; none where the answer is
/// to something else.
fn outcome(
    run_id: i64,
    control: Control,
    answer: &AnyOutput,
) -> Option<Result<(String, Option<i64>), &Error>> {
    let (about, done) = match (control, answer) {
        (Control::Cancel, AnyOutput::CancelRun(asked, done)) => (asked.run_id, done),
        (Control::Close, AnyOutput::CloseRun(asked, done)) => (asked.run_id, done),
        (Control::Pause, AnyOutput::PauseRun(asked, done)) => (asked.run_id, done),
        (Control::Resume, AnyOutput::ResumeRun(asked, done)) => (asked.run_id, done),
        (Control::Retry, AnyOutput::RetryRun(asked, done)) if asked.run_id == run_id => {
            let new = |done| (retry_outcome(done), Some(done.started.run_id));
            return Some(done.as_ref().map(new));
        }
        _ => return None,
    };
    (about == run_id).then(|| done.as_ref().map(|done| (control.outcome(run_id, *done), None)))
}

/// What a change of a run is about.
fn lines_of(
    run: &Run,
    control: Control,
    targets: Option<usize>,
    roomy: bool,
    columns: usize,
    look: &Look,
) -> Vec<Line<'static>> {
    let what = format!("run {}  {}", run.id, look.cut(&run.run_type, columns.saturating_sub(16)));
    let covers = look.cut(&format!("for {}", covered(run)), columns).to_string();
    let mut lines = vec![look.span(Role::Text, what).into(), look.span(Role::Text, covers).into()];
    if roomy {
        lines.push(Line::default());
    }
    lines.extend(look.lines(Role::Text, &control.consequence(run, targets), columns));
    lines
}
