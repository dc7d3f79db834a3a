//! What keys and answers do to a request that is being written, and how it is sent.

use std::sync::Arc;

use crossterm::event::KeyEvent;

use super::{ComposeForm, Composition, File, Restored, Source, Step, suggest};
use crate::domain::support::{Evidence, Prepared, Reference};
use crate::drafts::{Found, Kept};
use crate::ops::support::{Compose, CreateRequest, Created};
use crate::paths::shown;
use crate::tui::command::Command;
use crate::tui::draft_files::Done;
use crate::tui::msg::Effect;
use crate::tui::screen::{CUT, Cx, Go, NO_FIELD, Reply, Screen};
use crate::tui::screens::dialogs::question::Question;
use crate::tui::slot::Slot;
use crate::{Error, Result};

/// What the question before a draft is discarded says.
const DISCARD: &str = "What was typed for this support request would be lost, its file too. y \
                       discards it, any other key keeps it.";

impl Composition {
    /// Does a command, other than to send it; closes where it is left.
    pub fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        match self.step {
            Step::Write => self.write(command, cx),
            Step::Preview if self.prompt.is_some() => self.answer_prompt(command, cx),
            Step::Preview => self.look(command, cx),
            Step::Sent => self.after(command, cx),
        }
    }

    fn write(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        match command {
            Command::AppBack => return Reply::close(),
            Command::ComposeDiscard => return self.discard(cx),
            Command::ComposePreview => self.show_preview(cx),
            _ if self.reading => return Reply::default(),
            _ => {
                return self.edit(|form| {
                    form.command(command);
                });
            }
        }
        rest()
    }

    pub(super) fn discard(&self, cx: &Cx<'_>) -> Reply {
        if self.sending {
            return Reply::default().say("it is being sent; it cannot be discarded now", cx);
        }
        if !self.has_work() {
            return Reply::close();
        }
        let (title, why, leads) = (" Discard it? ", DISCARD.to_owned(), Go::Discard);
        Reply::default().push(Question { title, why, yes: "discard", leads })
    }

    pub(super) fn work_out(&mut self) {
        self.page.of.prepared = match &self.source {
            Source::Open(evidence) => Some(Box::new(evidence.prepare(&self.form.draft()))),
            Source::Opening | Source::Failed(_) => None,
        };
    }

    /// Opens what it is about; audited, for diagnostics are opened with it.
    pub(super) fn open(&self) -> Reply {
        Reply::ask(Slot::EVIDENCE, Compose { subject: self.key.subject, attach: true })
    }

    /// The request that is to be sent now, or why there is none.
    pub fn send(&mut self, cx: &Cx<'_>) -> Result<CreateRequest, Reply> {
        let why = |why: &str| Reply::default().say(why, cx);
        if self.sending {
            return Err(why("it is being sent already"));
        }
        let evidence = match &self.source {
            Source::Open(evidence) => Arc::clone(evidence),
            Source::Opening => return Err(why("what it is about is still being opened")),
            Source::Failed(_) => {
                return Err(why("what it is about could not be opened; nothing was sent"));
            }
        };
        if !self.settled {
            let why = "this has only just come up; look at it, then press again";
            return Err(rest().say(why, cx));
        }
        self.work_out();
        if !self.prepared().is_some_and(Prepared::is_ready) {
            self.page.restart();
            self.go_to_issue(true, cx);
            return Err(why("it cannot be sent yet; what is wrong is told at the top"));
        }
        let reference = *self.reference.get_or_insert_with(|| Reference::new(cx.look.now));
        self.sending = true;
        self.touched = true;
        self.refusal = None;
        self.notes.clear();
        self.file = File::Current;
        Ok(CreateRequest { evidence, draft: self.form.draft(), reference })
    }

    fn after(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        match (command, &self.sent) {
            (Command::AppBack | Command::RowOpen | Command::FormSubmit, _) => Reply::close(),
            (Command::CopyId, Some(sent)) => copied(sent.request.reference, "", cx),
            _ => Reply::default(),
        }
    }

    /// What follows where the draft is another one than before.
    pub(super) fn changed(&mut self) -> Reply {
        self.touched = true;
        self.file = File::Behind;
        rest()
    }

    pub(super) fn edit(&mut self, change: impl FnOnce(&mut ComposeForm)) -> Reply {
        let before = self.form.draft();
        change(&mut self.form);
        if self.form.draft() == before { Reply::default() } else { self.changed() }
    }

    pub fn key_typed(&mut self, event: &KeyEvent, cx: &Cx<'_>) -> Reply {
        match (self.step, &mut self.prompt) {
            (Step::Write, _) if !self.reading => self.edit(|form| {
                form.key(event);
            }),
            (Step::Preview, Some(prompt)) => {
                prompt.key(event);
                Reply::default()
            }
            (Step::Preview, None) => self.page.key(event, &self.page_cx(cx)),
            _ => Reply::default(),
        }
    }

    pub fn paste(&mut self, text: &str, cx: &Cx<'_>) -> Reply {
        match (self.step, &mut self.prompt) {
            (Step::Write, _) if self.reading => Reply::default(),
            (Step::Write, _) => {
                let mut pasted = Ok(());
                let reply = self.edit(|form| pasted = form.paste(text));
                match pasted {
                    Ok(()) => reply,
                    Err(why) => reply.say(why, cx),
                }
            }
            (Step::Preview, Some(prompt)) => {
                let whole = prompt.paste(text.trim_end());
                if whole { Reply::default() } else { Reply::default().say(CUT, cx) }
            }
            (Step::Preview, None) => self.page.paste(text, &self.page_cx(cx)),
            (Step::Sent, _) => Reply::default().say(NO_FIELD, cx),
        }
    }

    /// The keys have rested for a moment.
    pub fn rested(&mut self) {
        self.settled = self.step == Step::Preview;
        if self.step == Step::Write {
            self.work_out();
        }
    }

    /// What it is about was opened, or could not be.
    pub fn opened(&mut self, answer: Result<Evidence>) -> Reply {
        self.settled = false;
        match answer {
            Ok(evidence) => {
                self.source = Source::Open(Arc::new(evidence));
                self.refusal = None;
                self.suggest();
                self.work_out();
            }
            Err(error) if matches!(self.source, Source::Open(_)) => self.refusal = Some(error),
            Err(error) => self.source = Source::Failed(error),
        }
        rest()
    }

    /// Begins the summary, where the person has not.
    fn suggest(&mut self) {
        let new = !self.reading && self.restored.is_none() && !self.suggested;
        if let Source::Open(evidence) = &self.source
            && new
            && self.form.summary.text().is_empty()
            && let Some(summary) = suggest::summary(evidence)
        {
            self.form.summary.set(&summary, summary.chars().count());
            self.suggested = true;
        }
    }

    pub fn resume(&mut self, kept: &Kept) {
        let masks_lost = kept.masked_by_hand > kept.draft.mask.len();
        self.form = ComposeForm::of(&kept.draft);
        self.reference = kept.reference;
        self.restored = Some(Restored { at: kept.saved_at, masks_lost });
    }

    fn loaded(&mut self, found: Result<Found>) {
        self.reading = false;
        match found {
            Ok(Found::Nothing) => {}
            Ok(Found::Draft(kept)) => self.resume(&kept),
            Ok(Found::SetAside { file, why, repair }) => {
                let file = shown(&file);
                let mut note = format!("the file of an earlier draft {why}; it is kept as {file}");
                if let Some(repair) = repair {
                    note.push_str(&format!("; {repair}"));
                }
                self.notes.push(note);
            }
            Err(error) => self.notes.push(error.to_string()),
        }
        self.suggest();
        self.work_out();
    }

    pub fn filed(&mut self, done: Done) {
        match done {
            Done::Loaded(found) => self.loaded(found),
            // What was typed meanwhile is behind again, whatever came of it.
            Done::Saved(Ok(())) | Done::Removed(Ok(())) => {}
            Done::Saved(Err(error)) => self.file = File::Failed(error),
            Done::Removed(Err(error)) => self.notes.push(error.to_string()),
        }
    }

    pub fn took(
        &mut self,
        reference: Reference,
        answer: Result<Created, Error>,
        cx: &Cx<'_>,
    ) -> Reply {
        if self.reference != Some(reference) || !self.sending {
            return Reply::default();
        }
        self.sending = false;
        match answer {
            Ok(created) if created.differs => {
                self.notes.push(format!(
                    "{reference} had been stored before your last changes, without them. What \
                     stands here is a new draft now: sending it makes a second request"
                ));
                self.reference = None;
                self.file = File::Behind;
                copied(reference, &format!("{reference} "), cx)
            }
            Ok(created) => {
                self.sent = Some(Box::new(created));
                self.step = Step::Sent;
                // The page of what was sent shows the reference itself.
                copied(reference, "", cx)
            }
            Err(error) => {
                self.refusal = Some(error);
                // The file was written with the reference, if it could be.
                self.file = File::Behind;
                Reply::default()
            }
        }
    }
}

/// To be done when the keys have rested for a moment.
fn rest() -> Reply {
    Reply::of(vec![Effect::WaitForRest])
}

fn copied(reference: Reference, what: &str, cx: &Cx<'_>) -> Reply {
    let reply = Reply::default().say(format!("{what}copied (sent to terminal)"), cx);
    reply.and([Effect::Copy(reference.to_string())])
}
