//! A support request from the first word to its reference: a form, what would be stored of it,
//! and what became of it. Nothing that was typed is lost on the way.

pub(super) mod desk;
mod flow;
mod form;
mod preview;
mod read;
mod suggest;
mod view;

use std::sync::Arc;

use chrono::{DateTime, Utc};

pub use self::form::{ComposeForm, Field};
use self::preview::Preview;
use crate::Error;
use crate::domain::support::{Draft, Evidence, Prepared, Reference};
use crate::drafts::{DraftKey, Kept};
use crate::ops::support::{Created, DiagnosticsSubject};
use crate::tui::command::{Command, Context};
use crate::tui::screen::{Cx, Hint, Screen};
use crate::tui::widgets::page::Page;
use crate::tui::widgets::text_field::TextField;

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Write,
    Preview,
    Sent,
}

/// What the request is made of, as far as it is known.
#[derive(Debug, Clone)]
enum Source {
    Opening,
    Failed(Error),
    Open(Arc<Evidence>),
}

/// How the draft's file stands to it.
#[derive(Debug, Clone)]
enum File {
    /// There is nothing to be written.
    Current,
    /// What was typed last is not in it yet.
    Behind,
    Failed(Error),
}

/// When a draft was kept that is gone on with.
#[derive(Debug, Clone)]
struct Restored {
    at: DateTime<Utc>,
    /// Whether it had passages that were masked by hand, which no file holds.
    masks_lost: bool,
}

#[derive(Debug)]
pub struct Composition {
    pub key: DraftKey,
    pub step: Step,
    source: Source,
    /// Whether the draft's file is still being read: until then nothing can be typed.
    reading: bool,
    pub form: ComposeForm,
    /// Whether something was typed or chosen here.
    touched: bool,
    restored: Option<Restored>,
    file: File,
    /// Whether the summary was begun for the person.
    suggested: bool,
    page: Page<Preview>,
    /// A passage to be masked, while it is typed.
    prompt: Option<TextField>,
    /// Whether the preview has stood for a moment: what was typed before it came up sends nothing.
    settled: bool,
    /// Whether the preview has been looked at: from then on the form says what is wrong with it.
    judged: bool,
    reference: Option<Reference>,
    /// Whether it is under way to the service.
    pub sending: bool,
    /// Why the last attempt to send came to nothing.
    refusal: Option<Error>,
    /// Something that has to be known, and stays until the next step.
    notes: Vec<String>,
    pub sent: Option<Box<Created>>,
    /// Where drafts are kept, as it is shown; none where there is no such place.
    folder: Option<String>,
}

impl Composition {
    /// A new one, whose draft is kept in `folder`; it names the person, as long as no other is named.
    pub fn new(key: DraftKey, folder: Option<String>) -> Self {
        let draft = Draft { contact_name: key.person.clone(), ..Draft::default() };
        Self {
            key,
            step: Step::Write,
            source: Source::Opening,
            reading: false,
            form: ComposeForm::of(&draft),
            touched: false,
            restored: None,
            file: File::Current,
            suggested: false,
            page: Page::of(Preview::default()),
            prompt: None,
            settled: false,
            judged: false,
            reference: None,
            sending: false,
            refusal: None,
            notes: Vec::new(),
            sent: None,
            folder,
        }
    }

    /// What would be stored, when it was last worked out.
    pub fn prepared(&self) -> Option<&Prepared> {
        self.page.of.prepared.as_deref()
    }

    /// Whether there is something of the person's own to lose.
    pub fn has_work(&self) -> bool {
        self.step != Step::Sent && (self.touched || self.restored.is_some())
    }

    fn kept(&self, now: DateTime<Utc>) -> Kept {
        Kept::of(self.form.draft(), self.reference, now)
    }

    /// What has to be written into its file, if something was changed since the last time; from now
    /// on it is being written.
    fn unwritten(&mut self, now: DateTime<Utc>) -> Option<Kept> {
        if matches!(self.file, File::Current) || !self.has_work() {
            return None;
        }
        self.file = File::Current;
        Some(self.kept(now))
    }

    fn context(&self, cx: &Cx<'_>) -> Context {
        match self.step {
            Step::Write if self.form.focus == Field::Notes => Context::Notes,
            Step::Write => Context::Compose,
            Step::Preview if self.prompt.is_some() => Context::Mask,
            Step::Preview => self.page.context(cx),
            Step::Sent => Context::Sent,
        }
    }

    /// The commands that matter most in this step, for the footer, with their words.
    fn hints(&self, cx: &Cx<'_>) -> Vec<Hint> {
        let back = Hint::Does(Command::AppBack, "back");
        match self.context(cx) {
            Context::Search => self.page.hints(cx),
            Context::Mask => vec![
                Hint::Does(Command::FormSubmit, "mask"),
                Hint::Does(Command::FilterClear, "clear"),
                Hint::Does(Command::AppBack, "not"),
            ],
            Context::Preview => {
                let ready = self.prepared().is_some_and(Prepared::is_ready);
                let mut offers = Vec::new();
                if matches!(self.source, Source::Failed(_)) {
                    offers.push(Hint::Does(Command::PollNow, "open again"));
                } else if ready && !self.sending {
                    offers.push(Hint::own(Command::ComposeSend));
                } else if !ready {
                    offers.push(Hint::Does(Command::MatchNext, "what is wrong"));
                }
                if self.prepared().is_some_and(|prepared| prepared.diagnostics.is_some()) {
                    offers.push(Hint::own(Command::ComposeWithhold));
                }
                offers.push(Hint::own(Command::ComposeMask));
                offers.push(Hint::Does(Command::RowOpen, "open/edit"));
                if !self.form.mask.is_empty() {
                    offers.push(Hint::own(Command::ComposeUnmask));
                }
                offers.extend([back, Hint::Does(Command::FilterEdit, "search")]);
                offers
            }
            Context::Sent => vec![
                back,
                Hint::Does(Command::CopyId, "copy again"),
                Hint::own(Command::ComposeShow),
            ],
            context => {
                let mut offers =
                    vec![Hint::own(Command::ComposePreview), Hint::own(Command::FieldNext)];
                if context == Context::Notes {
                    offers.push(Hint::own(Command::TextUndo));
                }
                offers.push(back);
                if self.has_work() {
                    offers.push(Hint::own(Command::ComposeDiscard));
                }
                offers
            }
        }
    }
}

fn kept_in(folder: Option<&str>) -> String {
    match folder {
        Some(folder) => format!("draft kept in {folder}"),
        None => "the draft is kept as long as this console runs".to_owned(),
    }
}

fn named(subject: DiagnosticsSubject) -> String {
    match subject {
        DiagnosticsSubject::Tenant(id) => format!("tenant {id}"),
        DiagnosticsSubject::Run { run_id, .. } => format!("run {run_id}"),
    }
}
