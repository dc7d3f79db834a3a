//! The dialog before anything of a run, or of the runs of an error, is changed: what it is, what will happen, and what has
//! to be typed. Nothing but typing confirms; a paste never does.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use ratatui::widgets::Widget;
use uuid::Uuid;

use super::super::control::{Control, ControlRequest, GroupRequest, covered, mistyped};
use super::super::look::{Look, wrapped};
use super::super::theme::Role;
use super::dialog;
use super::group::GroupQuestion;
use super::text_field::TextField;
use crate::domain::run::Run;
use crate::ops::runs::RetryPlan;
use crate::{Error, ErrorKind, Result};

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

/// What it asks about.
#[derive(Debug)]
enum Subject {
    /// A run.
    Run {
        run: Box<Run>,
        control: Control,
        /// How many targets a retry covers, once they are counted.
        targets: Option<usize>,
    },
    /// The runs of an error.
    Group(GroupQuestion),
}

/// What is sent once it is confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmed {
    /// A change of a run.
    Run(ControlRequest),
    /// A retry of the runs of an error.
    Group(GroupRequest),
}

/// The dialog.
#[derive(Debug)]
pub struct Confirm {
    subject: Subject,
    field: TextField,
    stage: Stage,
    error: Option<Error>,
    request_id: String,
    waiting: Waiting,
    /// The key of the second choice, as it is shown.
    wait_key: String,
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
        Self::about(Subject::Run { run: Box::new(run), control, targets: None })
    }

    /// A dialog before the runs of an error are retried.
    pub fn group(question: GroupQuestion) -> Self {
        Self::about(Subject::Group(question))
    }

    fn about(subject: Subject) -> Self {
        Self {
            subject,
            field: TextField::new(LIMIT),
            stage: Stage::Typing,
            error: None,
            request_id: Uuid::new_v4().to_string(),
            waiting: Waiting::No,
            wait_key: String::new(),
        }
    }

    /// The same with the key of the second choice.
    pub fn with_wait_key(self, wait_key: String) -> Self {
        Self { wait_key, ..self }
    }

    /// Whether the second choice is open: to queue what waits for a worker.
    pub fn offers_waiting(&self) -> bool {
        match &self.subject {
            Subject::Run { .. } => matches!(self.waiting, Waiting::Refused(_)),
            Subject::Group(question) => question.offers_waiting(),
        }
    }

    /// The second choice. Gives the error whose plan has to be made again, if it is about one.
    pub fn wait_for_worker(&mut self) -> Option<String> {
        if !self.offers_waiting() {
            return None;
        }
        self.error = None;
        match &mut self.subject {
            Subject::Run { .. } => {
                if let Waiting::Refused(why) = &mut self.waiting {
                    self.waiting = Waiting::Chosen(std::mem::take(why));
                }
                None
            }
            Subject::Group(question) => Some(question.wait_for_worker()),
        }
    }

    /// Whether it is about this.
    pub fn is_about(&self, run_id: i64, control: Control) -> bool {
        matches!(&self.subject, Subject::Run { run, control: asked, .. }
                 if run.id == run_id && *asked == control)
    }

    /// The question about the error with this fingerprint.
    pub fn question(&mut self, fingerprint: &str) -> Option<&mut GroupQuestion> {
        match &mut self.subject {
            Subject::Group(question) if question.is_about(fingerprint) => Some(question),
            _ => None,
        }
    }

    /// Takes what a retry would do.
    pub fn take_plan(&mut self, plan: Result<RetryPlan>) {
        let Subject::Run { targets, .. } = &mut self.subject else { return };
        match plan {
            Ok(plan) => {
                if let Some(why) = plan.refusal {
                    self.error = Some(Error::refused(why));
                    return;
                }
                *targets = Some(plan.targets());
                self.waiting = plan.obstacle().map_or(Waiting::No, Waiting::Refused);
            }
            Err(error) => self.error = Some(error),
        }
    }

    /// It went wrong: the dialog stays, and says why.
    pub fn failed(&mut self, error: Error) {
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
    pub fn asks_nothing(&self) -> bool {
        let empty = matches!(&self.subject, Subject::Group(question) if question.is_empty());
        empty || matches!(self.waiting, Waiting::Refused(_))
    }

    fn phrase(&self) -> Option<String> {
        match &self.subject {
            Subject::Run { .. } if matches!(self.waiting, Waiting::Refused(_)) => None,
            Subject::Run { run, control, targets } => control.phrase(run, *targets),
            Subject::Group(question) => question.phrase(),
        }
    }

    /// What was typed is to be taken; gives what to send if it is the phrase.
    pub fn submit(&mut self) -> Option<Confirmed> {
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
        Some(match &self.subject {
            Subject::Run { run, control, .. } => Confirmed::Run(ControlRequest {
                run_id: run.id,
                control: *control,
                confirm: Some(phrase),
                request_id: self.request_id.clone(),
                wait_for_worker: matches!(self.waiting, Waiting::Chosen(_)),
            }),
            Subject::Group(question) => Confirmed::Group(question.request(phrase)?),
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
        let roomy = body.height >= ROOMY;
        let (title, mut lines) = match &self.subject {
            Subject::Run { run, control, targets } => {
                (title_of(run, *control), lines_of(run, *control, *targets, roomy, columns, look))
            }
            Subject::Group(question) => {
                // The hint, the field and an answer need their lines, too.
                let room = usize::from(body.height).saturating_sub(8);
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
            put(Role::Hint, &format!("{} queues it all the same, to wait for one.", self.wait_key));
        }
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
