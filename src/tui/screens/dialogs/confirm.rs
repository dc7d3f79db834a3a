//! The dialog before anything of a run, or of the runs of an error, is changed: what it is, what
//! will happen, and what has to be typed. Nothing but typing confirms; a paste never does.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use ratatui::widgets::Widget;
use uuid::Uuid;

use super::group::{GroupQuestion, GroupReport};
use crate::domain::confirmation::Confirmation;
use crate::domain::run::Run;
use crate::ops::overview::GroupRetryPlan;
use crate::ops::runs::{PlanRetry, RetryPlan};
use crate::ops::{AnyOperation, AnyOutput, Consent};
use crate::tui::command::{Command, Context};
use crate::tui::control::{Control, covered, lost, mistyped, retry_outcome};
use crate::tui::look::{Look, wrapped};
use crate::tui::msg::Slot;
use crate::tui::screen::{Cx, Go, Hint, Reply, Screen, UNTYPED};
use crate::tui::theme::Role;
use crate::tui::widgets::dialog;
use crate::tui::widgets::form::{Field, Form, Pasted};
use crate::tui::widgets::reason;
use crate::tui::widgets::text_field::TextField;
use crate::{Error, ErrorKind, Result};

/// The longest text that can be typed.
const LIMIT: usize = 40;
/// From this height on, there is room for an empty line.
const ROOMY: u16 = 16;
/// The field of the form that is typed and never pasted.
const PHRASE: usize = 2;

/// How far a dialog is.
#[derive(Debug)]
enum Stage {
    /// Something is to be typed.
    Typing,
    /// The request is on its way.
    Sending,
}

/// What it asks about.
#[derive(Debug)]
enum Subject {
    /// A run.
    Run {
        run: Box<Run>,
        control: Control,
        /// What a retry would do, once its targets are counted.
        plan: Option<RetryPlan>,
    },
    /// The runs of an error.
    Group(GroupQuestion),
}

/// Where it is typed.
#[derive(Debug)]
enum Entry {
    /// Only what confirms it.
    Phrase(TextField),
    /// A reason, too.
    Reasoned(Form),
}

/// The dialog.
#[derive(Debug)]
pub struct Confirm {
    subject: Subject,
    entry: Entry,
    stage: Stage,
    error: Option<Error>,
    request_id: String,
    waiting: Waiting,
}

/// Whether a new run would wait for a worker.
#[derive(Debug, PartialEq, Eq)]
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
        Self {
            subject,
            entry: Entry::Phrase(TextField::new(LIMIT)),
            stage: Stage::Typing,
            error: None,
            request_id: Uuid::new_v4().to_string(),
            waiting: Waiting::No,
        }
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
                Reply::ask(Slot::Plan, PlanRetry { run_id: run.id })
            }
            Subject::Run { .. } => Reply::default(),
            Subject::Group(question) => Reply::ask(Slot::Plan, question.ask()),
        }
    }

    /// The second choice: what was refused is queued all the same.
    fn wait_for_worker(&mut self) -> Reply {
        if !self.offers_waiting() {
            return Reply::default();
        }
        self.error = None;
        match &mut self.subject {
            Subject::Run { .. } => {
                if let Waiting::Refused(why) = &mut self.waiting {
                    self.waiting = Waiting::Chosen(std::mem::take(why));
                }
                self.ask();
                Reply::default()
            }
            Subject::Group(question) => {
                question.wait_for_worker();
                self.plan()
            }
        }
    }

    /// Takes what a retry of the run would do.
    fn take_plan(&mut self, planned: Result<RetryPlan>) {
        let Subject::Run { plan, .. } = &mut self.subject else { return };
        match planned {
            Ok(RetryPlan { refusal: Some(why), .. }) => self.error = Some(Error::refused(why)),
            Ok(planned) => {
                self.waiting = planned.obstacle.clone().map_or(Waiting::No, Waiting::Refused);
                *plan = Some(planned);
                self.error = None;
            }
            Err(error) => self.error = Some(error),
        }
        self.ask();
    }

    /// Takes what a retry of the runs of the error would do.
    fn take_group(&mut self, plan: GroupRetryPlan) {
        if let Subject::Group(question) = &mut self.subject {
            question.take_plan(plan);
            self.error = None;
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
            self.entry = Entry::Reasoned(Form::new(fields));
        }
    }

    /// It went wrong: the dialog stays, and says why.
    fn failed(&mut self, error: Error) {
        self.stage = Stage::Typing;
        if error.kind() == ErrorKind::NoWorker {
            // The last worker that supports the type has gone while this was open.
            self.waiting = Waiting::Refused(error.message().to_owned());
            self.error = None;
            return;
        }
        self.error = Some(error);
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
        if matches!(self.stage, Stage::Sending) {
            return None;
        }
        let confirmation = self.confirmation()?;
        let (typed, reason) = match &mut self.entry {
            Entry::Phrase(field) => match command {
                Command::FormSubmit => (field.text().trim().to_owned(), None),
                Command::FilterClear => {
                    field.clear();
                    self.error = None;
                    return None;
                }
                _ => return None,
            },
            Entry::Reasoned(form) => {
                if !form.command(command) {
                    return None;
                }
                form.forgive();
                let reason = reason::read(form, confirmation.reason)?;
                (form.value(PHRASE).trim().to_owned(), reason)
            }
        };
        let given = confirmation.read(&typed);
        if confirmation.allow(&given, false).is_err() {
            // Before anything is typed, enter is more likely a slip than a wrong phrase.
            if !typed.is_empty() {
                self.error = Some(mistyped(confirmation.asks()));
            }
            return None;
        }
        let consent = Consent::of(given).because(reason);
        let confirmed = match &self.subject {
            Subject::Run { run, control, .. } => {
                let waits = matches!(self.waiting, Waiting::Chosen(_));
                control.operation(run.id, consent, &self.request_id, waits)
            }
            Subject::Group(question) => question.operation(consent)?.into(),
        };
        self.stage = Stage::Sending;
        self.error = None;
        Some(confirmed)
    }

    /// A change of what it is `about` went wrong, which is said also where this was closed.
    fn missed(&mut self, error: &Error, about: &str, cx: &Cx<'_>) -> Reply {
        if !cx.shown {
            return Reply::close().say(format!("{about}{error}"), cx);
        }
        self.failed(error.clone());
        Reply::default()
    }
}

impl Screen for Confirm {
    fn context(&self, _: &Cx<'_>) -> Context {
        match self.entry {
            Entry::Phrase(_) => Context::Confirm,
            Entry::Reasoned(_) => Context::Form,
        }
    }

    fn open(&mut self, _: &Cx<'_>) -> Reply {
        self.plan()
    }

    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        if command == Command::WaitForWorker {
            return self.wait_for_worker();
        }
        match self.confirm(command) {
            Some(_) if cx.lost => self.failed(lost()),
            Some(operation) => return Reply::ask(Slot::Control, operation),
            None => {}
        }
        Reply::default()
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
                    Err(error) => self.failed(error.clone()),
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
        Some(Slot::Plan)
    }

    fn awaits(&self) -> Option<Slot> {
        matches!(self.stage, Stage::Sending).then_some(Slot::Control)
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        if matches!(self.entry, Entry::Reasoned(_)) {
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
        if matches!(self.stage, Stage::Sending) || self.confirmation().is_none() {
            return Reply::default();
        }
        let typed = match &mut self.entry {
            Entry::Phrase(field) => field.key(event),
            Entry::Reasoned(form) => form.key(event),
        };
        if typed {
            self.error = None;
        }
        Reply::default()
    }

    /// Pastes into the reason; what confirms it has to be typed.
    fn paste(&mut self, text: &str, cx: &Cx<'_>) -> Reply {
        let pasted = match (&mut self.entry, &self.stage) {
            (Entry::Reasoned(form), Stage::Typing) if form.focus() != PHRASE => form.paste(text),
            _ => Pasted::Refused,
        };
        Reply::default().pasted(pasted, UNTYPED, cx)
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        let Cx { look, area: body, .. } = *cx;
        let columns = dialog::columns(body);
        let roomy = body.height >= ROOMY;
        let confirmation = self.confirmation();
        let fields = match &self.entry {
            Entry::Phrase(_) => 1,
            Entry::Reasoned(form) => form.rows(columns),
        };
        let (title, mut lines) = match &self.subject {
            Subject::Run { run, control, plan } => {
                let targets = plan.as_ref().map(RetryPlan::targets);
                (title_of(run, *control), lines_of(run, *control, targets, roomy, columns, look))
            }
            Subject::Group(question) => {
                // The hint, the fields and an answer need their lines, too.
                let room = usize::from(body.height).saturating_sub(7 + fields);
                (question.title(), question.lines(columns, room, roomy, look))
            }
        };
        let mut put = |role: Role, text: &str| {
            for line in wrapped(text, columns) {
                lines.push(Line::from(look.span(role, line)));
            }
        };
        match &self.waiting {
            Waiting::Refused(why) => put(Role::Failed, &format!("Refused: {why}.")),
            Waiting::Chosen(why) => put(Role::Warning, &format!("The new run waits: {why}.")),
            Waiting::No => {}
        }
        if self.offers_waiting() {
            let command = Command::WaitForWorker;
            let key = cx.keymap.keys_for(Context::Confirm, command).into_iter().next();
            let key = key.unwrap_or_else(|| format!(":{command}"));
            put(Role::Hint, &format!("{key} queues it all the same, to wait for one."));
        }
        if let Some(confirmation) = &confirmation {
            let what = match self.entry {
                Entry::Phrase(_) => format!("Type {}", confirmation.asks()),
                Entry::Reasoned(_) => format!("Say why, type {}", confirmation.asks()),
            };
            put(Role::Hint, &format!("{what} and press enter. esc leaves everything as it is."));
        }
        let mut end = Vec::new();
        let mut put = |role: Role, text: &str| {
            let lines = wrapped(text, columns).into_iter();
            end.extend(lines.map(|line| Line::from(look.span(role, line))));
        };
        match (&self.stage, &self.error) {
            (Stage::Sending, _) => {
                put(Role::Running, "sending ... esc closes this; what was sent is not taken back");
            }
            (Stage::Typing, Some(error)) => put(Role::Failed, &error.to_string()),
            (Stage::Typing, None) => end.push(Line::default()),
        }
        let fits = usize::from(body.height.saturating_sub(2));
        if matches!(self.entry, Entry::Reasoned(_)) {
            // Where room is short, what can be typed and what went wrong come first.
            lines.truncate(fits.saturating_sub(fields + end.len()));
        }
        let above = lines.len();
        let room = dialog::draw(body, above + fields + end.len(), &title, buffer, look);
        let rows = u16::try_from(fields).unwrap_or(1);
        let mut y = room.y;
        for line in lines {
            if y < room.bottom() {
                line.render(Rect { y, height: 1, ..room }, buffer);
            }
            y = y.saturating_add(1);
        }
        let field_at = y;
        for (line, y) in end.into_iter().zip(field_at.saturating_add(rows)..room.bottom()) {
            line.render(Rect { y, height: 1, ..room }, buffer);
        }
        if confirmation.is_none() || field_at >= room.bottom() {
            return None;
        }
        let height = rows.min(room.bottom() - field_at);
        let area = Rect { y: field_at, height, ..room };
        let at = match &self.entry {
            Entry::Phrase(field) => {
                let area = Rect { width: area.width.min(30), ..area };
                Some(field.draw(area, buffer, look.style(Role::Input), None))
            }
            Entry::Reasoned(form) => form.draw(area, buffer, look),
        };
        at.filter(|_| matches!(self.stage, Stage::Typing))
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

fn title_of(run: &Run, control: Control) -> String {
    format!(" {} run {}? ", capitalised(control.word()), run.id)
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
    let mut lines = vec![Line::from(look.span(
        Role::Text,
        format!("run {}  {}", run.id, look.cut(&run.run_type, columns.saturating_sub(16))),
    ))];
    let covers = format!("for {}", covered(run));
    lines.push(Line::from(look.span(Role::Text, look.cut(&covers, columns).to_string())));
    if roomy {
        lines.push(Line::default());
    }
    for line in wrapped(&control.consequence(run, targets), columns) {
        lines.push(Line::from(look.span(Role::Text, line)));
    }
    lines
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + characters.as_str()
    })
}
