//! What commands, keys and answers do to a request that is being written.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use crossterm::event::KeyEvent;

use super::form::Pasted;
use super::preview::{PreviewLine, Spot, counted, section_of};
use super::{Composition, Cursor, Cx, File, Origin, Outcome, Source, Step, suggest, view};
use crate::domain::sanitize::Rule;
use crate::domain::support::{Draft, Evidence, Prepared, Reference, SectionKey};
use crate::drafts::{Found, Kept};
use crate::ops::support::{CreateRequest, Created};
use crate::paths::shown;
use crate::tui::command::Command;
use crate::tui::compose::Done;
use crate::tui::widgets;
use crate::tui::widgets::text_field::TextField;
use crate::{Error, Result};

/// The longest passage that can be typed to be masked.
const PASSAGE: usize = 1_000;

impl Composition {
    /// Does a command.
    pub fn command(&mut self, command: Command, cx: &Cx<'_>) -> Outcome {
        match self.step {
            Step::Write => self.write(command),
            Step::Preview if self.cursor.prompt.is_some() => self.answer_prompt(command),
            Step::Preview => self.look(command, cx),
            Step::Sent => self.after(command),
        }
    }

    fn write(&mut self, command: Command) -> Outcome {
        match command {
            Command::AppBack => Outcome { keep: true, leave: true, ..Outcome::default() },
            Command::ComposeDiscard => self.discard(),
            Command::ComposePreview => self.show_preview(),
            _ if self.reading => Outcome::default(),
            _ => {
                let before = self.form.draft();
                self.form.command(command);
                self.changed_from(&before)
            }
        }
    }

    fn discard(&mut self) -> Outcome {
        if self.sending {
            return Outcome::say("it is being sent; it cannot be discarded now");
        }
        let ask = self.has_work();
        Outcome { ask, leave: !ask, ..Outcome::default() }
    }

    fn show_preview(&mut self) -> Outcome {
        self.step = Step::Preview;
        self.judged = true;
        self.cursor = Cursor { open: self.cursor.open.clone(), ..Cursor::default() };
        self.work_out();
        // What stands in the way comes first, after its heading.
        let ready = self.prepared().is_none_or(Prepared::is_ready);
        self.cursor.at = usize::from(!ready);
        Outcome { rest: true, keep: true, ..Outcome::default() }
    }

    /// Works out what would be stored.
    fn work_out(&mut self) {
        self.prepared = match &self.source {
            Source::Open(evidence) => Some(Box::new(evidence.prepare(&self.form.draft()))),
            Source::Opening | Source::Failed(_) => None,
        };
    }

    fn look(&mut self, command: Command, cx: &Cx<'_>) -> Outcome {
        let columns = view::preview_columns(cx.area);
        let lines = self.lines(cx.look, columns);
        let last = lines.len().saturating_sub(1);
        let here = widgets::cursor::Cursor { at: self.cursor.at.min(last), top: 0 };
        self.cursor.at = here.at;
        if let Some(to) = here.led(command, usize::from(view::preview_rows(cx.area))) {
            self.cursor.at = to.min(last);
            return Outcome::default();
        }
        match command {
            Command::AppBack if self.sending => {
                return Outcome::say("it is being sent; what comes of it is shown here");
            }
            Command::AppBack => self.step = Step::Write,
            Command::MatchNext | Command::MatchPrevious => {
                return self.next_issue(&lines, command == Command::MatchNext);
            }
            Command::FoldAll => {
                if self.cursor.open.len() == SectionKey::ALL.len() {
                    self.cursor.open.clear();
                } else {
                    self.cursor.open.extend(SectionKey::ALL.iter().copied());
                }
            }
            Command::PollNow if self.sending => {}
            Command::PollNow => {
                if !matches!(self.source, Source::Open(_)) {
                    self.source = Source::Opening;
                }
                return Outcome { open: true, ..Outcome::default() };
            }
            Command::ComposeDiscard => return self.discard(),
            Command::ComposeSend => return self.send(&lines, cx.look.now),
            // What is on its way is not changed any more.
            _ if self.sending => {}
            _ => return self.change(command, &lines, cx),
        }
        Outcome::default()
    }

    /// What can be done to the line under the cursor.
    fn change(&mut self, command: Command, lines: &[PreviewLine], cx: &Cx<'_>) -> Outcome {
        let line = lines.get(self.cursor.at);
        let spot = line.map_or(&Spot::Text, |line| &line.spot);
        let suspect = line.and_then(|line| line.suspect.clone());
        match (command, spot) {
            (Command::RowOpen | Command::FoldToggle, Spot::Section(key)) => {
                if !self.cursor.open.remove(key) {
                    self.cursor.open.insert(*key);
                }
                Outcome::default()
            }
            (Command::RowOpen, Spot::Field(field, line)) => {
                self.step = Step::Write;
                self.form.go(*field, *line);
                Outcome::default()
            }
            (Command::RowOpen, Spot::Item(path)) => {
                self.go_to_item(path, cx);
                Outcome::default()
            }
            (Command::ComposeWithhold | Command::FoldToggle, Spot::Item(path)) => {
                let before = self.form.draft();
                let path = path.clone();
                if !self.form.withhold.remove(&path) {
                    self.form.withhold.insert(path.clone());
                }
                let outcome = self.changed_from(&before);
                self.work_out();
                self.cursor.at = self.cursor.at.min(self.first_line_of(&path, lines));
                outcome
            }
            (Command::ComposeWithhold, _) => {
                Outcome::say("only an item of the diagnostics can be left out; move to one")
            }
            (Command::ComposeMask, _) => {
                if let Some(passage) = suspect {
                    return self.mask(&passage);
                }
                self.cursor.prompt = Some(TextField::new(PASSAGE));
                Outcome::default()
            }
            (Command::ComposeUnmask, _) => self.unmask(),
            _ => Outcome::default(),
        }
    }

    fn next_issue(&mut self, lines: &[PreviewLine], forward: bool) -> Outcome {
        let count = lines.len();
        let here = self.cursor.at;
        let found = (1..=count)
            .map(|step| if forward { here + step } else { here + count * 2 - step } % count.max(1))
            .find(|at| lines.get(*at).is_some_and(|line| line.issue));
        match found {
            Some(at) => {
                self.cursor.at = at;
                Outcome::default()
            }
            None => Outcome::say("nothing stands in the way of sending it"),
        }
    }

    /// Unfolds the section of an item and goes to it.
    fn go_to_item(&mut self, path: &str, cx: &Cx<'_>) {
        let key = self.prepared().and_then(|prepared| section_of(prepared, path));
        let Some(key) = key else { return };
        self.cursor.open.insert(key);
        let lines = self.lines(cx.look, view::preview_columns(cx.area));
        let head = lines.iter().position(|line| line.spot == Spot::Section(key)).unwrap_or(0);
        let item = Spot::Item(path.to_owned());
        let find = |suspect: bool| {
            let mut here = lines.iter().skip(head);
            here.position(|line| line.spot == item && (line.suspect.is_some() || !suspect))
        };
        let found = find(true).or_else(|| find(false));
        self.cursor.at = found.map_or(head, |after| head + after);
    }

    fn first_line_of(&self, path: &str, lines: &[PreviewLine]) -> usize {
        let here = lines.iter().take(self.cursor.at + 1);
        let before = here.rev().take_while(|line| line.spot == Spot::Item(path.to_owned())).count();
        (self.cursor.at + 1).saturating_sub(before)
    }

    fn answer_prompt(&mut self, command: Command) -> Outcome {
        match command {
            Command::AppBack => self.cursor.prompt = None,
            Command::FilterClear => {
                if let Some(prompt) = &mut self.cursor.prompt {
                    prompt.clear();
                }
            }
            Command::FormSubmit => {
                let passage = self.cursor.prompt.take().map(|mut prompt| prompt.take());
                return self.mask(&passage.unwrap_or_default());
            }
            _ => {}
        }
        Outcome::default()
    }

    /// Masks a passage wherever it stands.
    fn mask(&mut self, passage: &str) -> Outcome {
        let passage = passage.trim();
        if passage.chars().count() < 2 {
            return Outcome::say("a passage of two characters or more can be masked");
        }
        let own = |prepared: Option<&Prepared>| {
            let count = |prepared: &Prepared| {
                prepared.withheld.counts().find(|(rule, _)| *rule == Rule::Operator)
            };
            prepared.and_then(count).map_or(0, |(_, count)| count)
        };
        let before = self.form.draft();
        let count = own(self.prepared());
        let suspects = self.prepared().map_or(0, |prepared| prepared.suspects.len());
        self.form.mask.push(passage.to_owned());
        self.work_out();
        let more = own(self.prepared()).saturating_sub(count);
        let fewer = self.prepared().map_or(0, |prepared| prepared.suspects.len()) < suspects;
        if more == 0 && !fewer {
            self.form.mask.pop();
            self.work_out();
            return Outcome::say("this passage is nowhere in what would be stored");
        }
        let outcome = self.changed_from(&before);
        Outcome { say: Some(format!("masked in {}", counted(more, "place"))), ..outcome }
    }

    /// Takes back what was masked by hand last; what the rules mask stays masked.
    fn unmask(&mut self) -> Outcome {
        let before = self.form.draft();
        if self.form.mask.pop().is_none() {
            let why = "nothing was masked by hand; what the rules mask stays masked";
            return Outcome::say(why);
        }
        self.work_out();
        let outcome = self.changed_from(&before);
        Outcome { say: Some("the last passage is not masked any more".to_owned()), ..outcome }
    }

    fn send(&mut self, lines: &[PreviewLine], now: DateTime<Utc>) -> Outcome {
        if self.sending {
            return Outcome::say("it is being sent already");
        }
        let evidence = match &self.source {
            Source::Open(evidence) => Arc::clone(evidence),
            Source::Opening => return Outcome::say("what it is about is still being opened"),
            Source::Failed(_) => {
                return Outcome::say("what it is about could not be opened; nothing was sent");
            }
        };
        if !self.cursor.settled {
            let say = Some("this has only just come up; look at it, then press again".to_owned());
            return Outcome { say, rest: true, ..Outcome::default() };
        }
        self.work_out();
        if !self.prepared().is_some_and(Prepared::is_ready) {
            self.cursor.at = 0;
            self.next_issue(lines, true);
            return Outcome::say("it cannot be sent yet; what is wrong is told at the top");
        }
        let reference = *self.reference.get_or_insert_with(|| Reference::new(now));
        self.sending = true;
        self.touched = true;
        self.refusal = None;
        self.notes.clear();
        self.file = File::Written(now);
        let send = CreateRequest { evidence, draft: self.form.draft(), reference };
        Outcome { send: Some(send), ..Outcome::default() }
    }

    fn after(&mut self, command: Command) -> Outcome {
        let reference = self.sent.as_ref().map(|created| created.request.reference);
        match command {
            Command::AppBack | Command::RowOpen | Command::FormSubmit => {
                Outcome { leave: true, ..Outcome::default() }
            }
            Command::CopyId => {
                Outcome { copy: reference.map(|it| it.to_string()), ..Outcome::default() }
            }
            Command::ComposeShow => Outcome { show: reference, ..Outcome::default() },
            _ => Outcome::default(),
        }
    }

    /// What follows where the draft is another one than before.
    fn changed_from(&mut self, before: &Draft) -> Outcome {
        if self.form.draft() == *before {
            return Outcome::default();
        }
        self.touched = true;
        self.file = File::Behind;
        Outcome::rest()
    }

    /// Types a key into what has the keys.
    pub fn type_key(&mut self, event: &KeyEvent) -> Outcome {
        match self.step {
            Step::Write if !self.reading => {
                let before = self.form.draft();
                self.form.key(event);
                self.changed_from(&before)
            }
            Step::Preview => {
                if let Some(prompt) = &mut self.cursor.prompt {
                    prompt.key(event);
                }
                Outcome::default()
            }
            Step::Write | Step::Sent => Outcome::default(),
        }
    }

    /// Pastes text into what has the keys.
    pub fn paste(&mut self, text: &str) -> Outcome {
        let before = self.form.draft();
        let pasted = match (self.step, &mut self.cursor.prompt) {
            (Step::Write, _) if !self.reading => self.form.paste(text),
            (Step::Preview, Some(prompt)) => {
                if prompt.paste(text.trim_end()) {
                    Pasted::Whole
                } else {
                    Pasted::Not("the paste was longer than the field and was cut off".to_owned())
                }
            }
            _ => return Outcome::default(),
        };
        let outcome = self.changed_from(&before);
        match pasted {
            Pasted::Whole => outcome,
            Pasted::Not(why) => Outcome { say: Some(why), ..outcome },
        }
    }

    /// The keys have rested for a moment.
    pub fn rest(&mut self) -> Outcome {
        self.cursor.settled = self.step == Step::Preview;
        if self.step == Step::Write {
            self.work_out();
        }
        Outcome { keep: true, ..Outcome::default() }
    }

    /// What it is about was opened, or could not be.
    pub fn opened(&mut self, answer: Result<Arc<Evidence>>) -> Outcome {
        self.cursor.settled = false;
        match answer {
            Ok(evidence) => {
                self.source = Source::Open(evidence);
                self.refusal = None;
                self.suggest();
                self.work_out();
            }
            Err(error) if matches!(self.source, Source::Open(_)) => self.refusal = Some(error),
            Err(error) => self.source = Source::Failed(error),
        }
        Outcome::rest()
    }

    /// Begins the summary, where nobody has.
    fn suggest(&mut self) {
        let new = !self.reading && self.origin == Origin::New && self.suggested.is_none();
        if let Source::Open(evidence) = &self.source
            && new
            && self.form.summary.text().is_empty()
            && let Some(summary) = suggest::summary(evidence)
        {
            self.form.summary.set(&summary, summary.chars().count());
            self.suggested = Some(summary);
        }
    }

    /// Goes on with a draft that this console still held.
    pub fn resume(&mut self, draft: &Draft, reference: Option<Reference>, at: DateTime<Utc>) {
        self.form = super::ComposeForm::of(draft);
        self.reference = reference;
        self.origin = Origin::Restored { at, masks_lost: false };
        self.file = File::Behind;
    }

    /// The draft's file was read.
    pub fn loaded(&mut self, found: Result<Found>) {
        self.reading = false;
        match found {
            Ok(Found::Nothing) => {}
            Ok(Found::Draft(kept)) => {
                let Kept { saved_at, reference, masked_by_hand, draft } = *kept;
                self.form = super::ComposeForm::of(&draft);
                self.reference = reference;
                self.origin = Origin::Restored { at: saved_at, masks_lost: masked_by_hand > 0 };
                self.file = File::Written(saved_at);
            }
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

    /// Work on the draft's file is done.
    pub fn filed(&mut self, done: Done) {
        match done {
            Done::Loaded(found) => self.loaded(found),
            // What was typed meanwhile is behind again, whatever came of it.
            Done::Saved(_, Ok(())) | Done::Removed(Ok(())) => {}
            Done::Saved(_, Err(error)) => self.file = File::Failed(error),
            Done::Removed(Err(error)) => self.notes.push(error.to_string()),
        }
    }

    /// What came of sending it.
    pub fn took(&mut self, reference: Reference, answer: Result<Created, Error>) -> Outcome {
        if self.reference != Some(reference) || !self.sending {
            return Outcome::default();
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
                let copy = Some(reference.to_string());
                Outcome { keep: true, copy, ..Outcome::default() }
            }
            Ok(created) => {
                self.sent = Some(Box::new(created));
                self.step = Step::Sent;
                let copy = Some(reference.to_string());
                Outcome { forget: true, copy, ..Outcome::default() }
            }
            Err(error) => {
                self.refusal = Some(error);
                // The file was written with the reference, if it could be.
                self.file = File::Behind;
                Outcome { keep: true, ..Outcome::default() }
            }
        }
    }
}
