//! A support request from the first word to its reference: a form, what would be stored of it,
//! and what became of it. Nothing that was typed is lost on the way.

pub(super) mod desk;
mod flow;
mod form;
mod preview;
mod suggest;
mod view;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};

pub use self::form::{ComposeForm, Field};
use self::preview::PreviewLine;
use crate::Error;
use crate::domain::support::{Draft, Evidence, Prepared, Reference, SectionKey};
use crate::drafts::{DraftKey, Kept};
use crate::ops::support::{CreateRequest, Created};
use crate::tui::command::{Command, Context};
use crate::tui::look::Look;
use crate::tui::screen::Cx;
use crate::tui::widgets::text_field::TextField;

/// From so many columns on, form and preview stand beside each other.
pub const WIDE: u16 = 120;

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// It is written.
    Write,
    /// What would be stored is looked at.
    Preview,
    /// It was sent.
    Sent,
}

/// What the screen asks of the console around it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What is to be said.
    pub say: Option<String>,
    /// Whether the evidence is to be opened (again).
    pub open: bool,
    /// What is to be sent.
    pub send: Option<CreateRequest>,
    /// Whether to say when the keys rest.
    pub rest: bool,
    /// Whether the draft's file is to be written, if something was changed.
    pub keep: bool,
    /// Whether the draft's file is to be removed.
    pub forget: bool,
    /// What goes to the clipboard.
    pub copy: Option<String>,
    /// Whether to go back to where one came from.
    pub leave: bool,
    /// Whether to ask before the draft is thrown away.
    pub ask: bool,
    /// The request to be shown.
    pub show: Option<Reference>,
}

impl Outcome {
    fn say(text: impl Into<String>) -> Self {
        Self { say: Some(text.into()), ..Self::default() }
    }

    fn rest() -> Self {
        Self { rest: true, ..Self::default() }
    }
}

/// What the request is made of, as far as it is known.
#[derive(Debug, Clone)]
enum Source {
    /// It is being opened.
    Opening,
    /// It could not be opened.
    Failed(Error),
    /// It was opened.
    Open(Arc<Evidence>),
}

/// How the draft and its file stand to each other.
#[derive(Debug, Clone, PartialEq)]
enum File {
    /// There is nothing to keep.
    Nothing,
    /// What was typed last is not in it yet.
    Behind,
    /// It was written at this moment.
    Written(DateTime<Utc>),
    /// It could not be written.
    Failed(Error),
}

/// Where the draft came from.
#[derive(Debug, Clone, PartialEq)]
enum Origin {
    /// It begins here.
    New,
    /// From a file, or from what this console still held.
    Restored { at: DateTime<Utc>, masks_lost: bool },
}

/// The cursor on what would be stored.
#[derive(Debug)]
struct Cursor {
    at: usize,
    open: BTreeSet<SectionKey>,
    /// A passage to be masked, while it is typed.
    prompt: Option<TextField>,
    /// Whether the preview has stood for a moment: what was typed before it came up sends nothing.
    settled: bool,
}

impl Default for Cursor {
    fn default() -> Self {
        let open = BTreeSet::from([SectionKey::Overview]);
        Self { at: 0, open, prompt: None, settled: false }
    }
}

/// A request that is being written.
#[derive(Debug)]
pub struct Composition {
    key: DraftKey,
    step: Step,
    source: Source,
    /// Whether the draft's file is still being read: until then nothing can be typed.
    reading: bool,
    form: ComposeForm,
    /// Whether something was typed or chosen here.
    touched: bool,
    origin: Origin,
    file: File,
    /// What the suggestion was, so that nobody takes it for something that was typed.
    suggested: Option<String>,
    /// What would be stored, when it was last worked out.
    prepared: Option<Box<Prepared>>,
    /// Whether the preview has been looked at: from then on the form tells what is wrong with it.
    judged: bool,
    cursor: Cursor,
    reference: Option<Reference>,
    sending: bool,
    /// Why the last attempt to send came to nothing.
    refusal: Option<Error>,
    /// Something that has to be known, and stays until the next step.
    notes: Vec<String>,
    sent: Option<Box<Created>>,
    /// Where drafts are kept, as it is shown; none where there is no such place.
    folder: Option<String>,
}

impl Composition {
    /// A new one, whose draft is kept in `folder`; it names the person, as long as no other is named.
    pub fn new(key: DraftKey, folder: Option<String>) -> Self {
        let name = &key.person;
        let draft = Draft { contact_name: name.clone(), ..Draft::default() };
        Self {
            key,
            step: Step::Write,
            source: Source::Opening,
            reading: false,
            form: ComposeForm::of(&draft),
            touched: false,
            origin: Origin::New,
            file: File::Nothing,
            suggested: None,
            prepared: None,
            judged: false,
            cursor: Cursor::default(),
            reference: None,
            sending: false,
            refusal: None,
            notes: Vec::new(),
            sent: None,
            folder,
        }
    }

    /// Whose draft it is, and what it is about.
    pub fn key(&self) -> &DraftKey {
        &self.key
    }

    /// How far it has come.
    pub fn step(&self) -> Step {
        self.step
    }

    /// The form.
    pub fn form(&self) -> &ComposeForm {
        &self.form
    }

    /// What would be stored, when it was last worked out.
    pub fn prepared(&self) -> Option<&Prepared> {
        self.prepared.as_deref()
    }

    /// Whether it is under way to the service.
    pub fn is_sending(&self) -> bool {
        self.sending
    }

    /// What came of sending it.
    pub fn sent(&self) -> Option<&Created> {
        self.sent.as_deref()
    }

    /// Whether there is something of the person's own to lose.
    pub fn has_work(&self) -> bool {
        self.step != Step::Sent && (self.touched || self.origin != Origin::New)
    }

    /// The draft as it stands, and by what its sending goes on.
    pub fn draft(&self) -> (Draft, Option<Reference>) {
        (self.form.draft(), self.reference)
    }

    /// What has to be written into its file, if something was changed since the last time.
    pub fn unwritten(&self, now: DateTime<Utc>) -> Option<Kept> {
        let behind = matches!(self.file, File::Behind | File::Failed(_)) && self.has_work();
        behind.then(|| Kept::of(self.form.draft(), self.reference, now))
    }

    /// The file is being written.
    pub fn writing(&mut self, now: DateTime<Utc>) {
        self.file = File::Written(now);
    }

    /// The draft's file is being read.
    pub fn read_first(&mut self) {
        self.reading = true;
    }

    /// Where keys are looked up.
    pub fn context(&self) -> Context {
        match self.step {
            Step::Write if self.form.focus() == Field::Notes => Context::Notes,
            Step::Write => Context::Compose,
            Step::Preview if self.cursor.prompt.is_some() => Context::Mask,
            Step::Preview => Context::Preview,
            Step::Sent => Context::Sent,
        }
    }

    /// The commands that matter most in this step, for the footer, with their words.
    pub fn footer(&self) -> Vec<(Command, &'static str)> {
        let back = (Command::AppBack, "back");
        match self.context() {
            Context::Mask => vec![
                (Command::FormSubmit, "mask"),
                (Command::FilterClear, "clear"),
                (Command::AppBack, "not"),
            ],
            Context::Preview => {
                let ready = self.prepared().is_some_and(Prepared::is_ready);
                let mut offers = Vec::new();
                if matches!(self.source, Source::Failed(_)) {
                    offers.push((Command::PollNow, "open again"));
                } else if ready && !self.sending {
                    offers.push((Command::ComposeSend, "send"));
                } else if !ready {
                    offers.push((Command::MatchNext, "what is wrong"));
                }
                if self.prepared().is_some_and(|prepared| prepared.diagnostics.is_some()) {
                    offers.push((Command::ComposeWithhold, "leave out"));
                }
                offers.extend([(Command::ComposeMask, "mask"), (Command::RowOpen, "open/edit")]);
                if !self.form.mask.is_empty() {
                    offers.push((Command::ComposeUnmask, "unmask own"));
                }
                offers.push(back);
                offers
            }
            Context::Sent => vec![
                (Command::AppBack, "back"),
                (Command::CopyId, "copy again"),
                (Command::ComposeShow, "show it"),
            ],
            context => {
                let mut offers =
                    vec![(Command::ComposePreview, "preview"), (Command::FieldNext, "next field")];
                if context == Context::Notes {
                    offers.push((Command::TextUndo, "undo"));
                }
                offers.push(back);
                if self.has_work() {
                    offers.push((Command::ComposeDiscard, "discard"));
                }
                offers
            }
        }
    }

    /// The lines of what would be stored, in `columns` columns.
    fn lines(&self, look: &Look, columns: u16) -> Vec<PreviewLine> {
        self.prepared.as_ref().map_or_else(Vec::new, |prepared| {
            preview::lines(prepared, &self.cursor.open, look, usize::from(columns))
        })
    }
}
