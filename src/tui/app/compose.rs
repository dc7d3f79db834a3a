//! Writing a request for support: how it begins and ends, and the files of its drafts.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use crossterm::event::KeyEvent;

use super::{App, Place};
use crate::domain::capability::{Capability, CapabilitySet};
use crate::domain::support::{Draft, Reference};
use crate::drafts::{DraftKey, Drafts, Kept};
use crate::ops::AnyOutput;
use crate::ops::auth::Session;
use crate::ops::support::{Compose, CreateRequest, DiagnosticsSubject};
use crate::tui::command::Command;
use crate::tui::compose::{Done, Job, Keeper};
use crate::tui::msg::{Effect, Request, Slot};
use crate::tui::screen::Go;
use crate::tui::screens::dialogs::question::Question;
use crate::tui::screens::support::compose::{Around, Composition, Outcome, Step};
use crate::tui::screens::support::{Page, Target};
use crate::tui::tabs::Tab;

/// What the question before a draft is discarded says.
const DISCARD: &str = "What was typed for this support request would be lost, its file too. y \
                       discards it, any other key keeps it.";
/// How many drafts a console holds beside their files.
const HELD: usize = 20;

/// Requests that are being written, and where their drafts are kept.
#[derive(Debug, Default)]
pub(in crate::tui) struct Composing {
    pub(in crate::tui) open: Option<Composition>,
    keeper: Keeper,
    /// Drafts that were left, with what was masked by hand in them.
    held: Vec<Held>,
    /// What was being written when the session ended.
    interrupted: Option<DraftKey>,
    /// Where the composition was begun; none where that was a page of support.
    from: Option<Place>,
    /// Where drafts are kept, as it is shown.
    folder: Option<String>,
}

#[derive(Debug)]
struct Held {
    key: DraftKey,
    draft: Draft,
    reference: Option<Reference>,
    at: DateTime<Utc>,
}

impl Composing {
    /// Nothing is being written yet; drafts go to `drafts`.
    pub(super) fn new(drafts: Option<Drafts>) -> Self {
        let folder = drafts.as_ref().map(|drafts| drafts.shown().to_owned());
        Self { keeper: Keeper::new(drafts), folder, ..Self::default() }
    }
}

impl App {
    /// The request that is being written.
    pub fn composition(&self) -> Option<&Composition> {
        self.composing.open.as_ref()
    }

    /// Whether keys reach the composition.
    pub(in crate::tui) fn in_composition(&self) -> bool {
        self.shows_composition() && self.modals.is_empty()
    }

    /// Whether the composition is what the tab shows.
    pub(in crate::tui) fn shows_composition(&self) -> bool {
        self.session.is_some() && self.tab == Tab::Support && self.composing.open.is_some()
    }

    /// Begins a request about a tenant, or about one tenant of a run, or goes on with it.
    pub(super) fn compose(&mut self, subject: DiagnosticsSubject) -> Vec<Effect> {
        let Some(session) = &self.session else { return Vec::new() };
        let needed = Capability::SupportRequestsCreate;
        if !session.capabilities.has(needed) {
            self.say(format!("this needs the capability {needed}; ask an admin"));
            return Vec::new();
        }
        let name = session.username.clone();
        let key = DraftKey { person: name.clone(), subject };
        if let Some(open) = &self.composing.open {
            if *open.key() == key && open.step() != Step::Sent {
                return self.show_composition();
            }
            if open.is_sending() {
                self.say("another request is being sent; what comes of it is shown first");
                return self.show_composition();
            }
        }
        let mut effects = self.put_down();
        let now = self.look.now;
        let mut open = Composition::new(key.clone(), &name);
        match self.composing.held.iter().position(|held| held.key == key) {
            Some(at) => {
                let held = self.composing.held.remove(at);
                open.resume(&held.draft, held.reference, held.at);
            }
            None => {
                if let Some(load) = self.composing.keeper.load(&key, now) {
                    open.read_first();
                    effects.extend(load);
                }
            }
        }
        self.composing.open = Some(open);
        self.composing.from = (self.tab != Tab::Support).then(|| self.here());
        effects.extend(self.show_composition());
        effects.push(ask_evidence(subject));
        effects
    }

    fn show_composition(&mut self) -> Vec<Effect> {
        self.go(Tab::Support)
    }

    /// Puts the open composition down: its draft is written and held.
    fn put_down(&mut self) -> Vec<Effect> {
        let effects = self.keep_draft();
        let Some(open) = self.composing.open.take() else { return effects };
        if open.has_work() {
            let (draft, reference) = open.draft();
            let key = open.key().clone();
            self.composing.held.retain(|held| held.key != key);
            self.composing.held.push(Held { key, draft, reference, at: self.look.now });
            if self.composing.held.len() > HELD {
                self.composing.held.remove(0);
            }
        }
        effects
    }

    /// Writes the draft's file where something was changed since the last time.
    pub(super) fn keep_draft(&mut self) -> Vec<Effect> {
        let now = self.look.now;
        let Some(open) = &mut self.composing.open else { return Vec::new() };
        let Some(kept) = open.unwritten(now) else { return Vec::new() };
        if self.composing.keeper.drafts().is_none() {
            return Vec::new();
        }
        open.writing(now);
        self.composing.keeper.save(open.key(), kept)
    }

    /// What may not be on the disk yet, when the console ends at `now`.
    pub fn last_drafts(&mut self, now: DateTime<Utc>) -> Option<(Drafts, Vec<Job>)> {
        if let Some(open) = &mut self.composing.open
            && let Some(kept) = open.unwritten(now)
        {
            let job = self.composing.keeper.save_job(open.key(), kept);
            open.writing(now);
            self.composing.keeper.wait(job);
        }
        self.composing.keeper.last()
    }

    /// The session ends: what was being written is kept, and offered again after the next login.
    /// What somebody else held is forgotten.
    pub(super) fn interrupt_composition(&mut self, on_purpose: bool) -> Vec<Effect> {
        let open = self.composing.open.as_ref().filter(|open| open.has_work());
        let key = open.map(|open| open.key().clone());
        let effects = self.put_down();
        self.composing.from = None;
        if on_purpose {
            self.composing.held.clear();
        } else if key.is_some() {
            self.composing.interrupted = key;
        }
        effects
    }

    /// Somebody has logged in: their interrupted draft is offered.
    pub(super) fn offer_draft(&mut self) -> Vec<Effect> {
        let Some(session) = &self.session else { return Vec::new() };
        let person = session.username.clone();
        self.composing.held.retain(|held| held.key.person == person);
        let interrupted = self.composing.interrupted.take();
        let Some(key) = interrupted.filter(|key| key.person == person) else { return Vec::new() };
        let about = match key.subject {
            DiagnosticsSubject::Tenant(id) => format!("tenant {id}"),
            DiagnosticsSubject::Run { run_id, .. } => format!("run {run_id}"),
        };
        let why = format!(
            "A support request about {about} was being written when the session ended; its draft \
             is kept. y goes on with it now, any other key leaves it for later."
        );
        let (title, leads) = (" Go on? ", Go::Compose(key.subject));
        self.push(Box::new(Question { title, why, yes: "go on", leads }))
    }

    /// Throws the draft away.
    pub(super) fn drop_draft(&mut self) -> Vec<Effect> {
        let mut effects = self.forget_draft();
        self.say("the draft was discarded");
        effects.extend(self.leave_composition());
        effects
    }

    fn forget_draft(&mut self) -> Vec<Effect> {
        let Some(open) = &self.composing.open else { return Vec::new() };
        let key = open.key().clone();
        self.composing.held.retain(|held| held.key != key);
        self.composing.keeper.remove(&key)
    }

    /// Goes back to where the composition was begun; the choice of a run's tenant lies between.
    fn leave_composition(&mut self) -> Vec<Effect> {
        self.composing.open = None;
        match self.composing.from.take() {
            Some(place) => self.return_to(place),
            None if matches!(self.tabs.support.page(), Page::RunTenants(_)) => {
                self.command(Command::AppBack)
            }
            None => self.ask_now(),
        }
    }

    /// What the composition has to know of the console around it.
    fn with_composition(
        &mut self,
        act: impl FnOnce(&mut Composition, &Around<'_>) -> Outcome,
    ) -> Vec<Effect> {
        let (area, lost) = (self.body(), self.greyed());
        let nobody = CapabilitySet::default();
        let held = held(self.session.as_ref(), &nobody);
        let (look, keymap) = (&self.look, &self.setup.keymap);
        let folder = self.composing.folder.as_deref();
        let around = Around { held, lost, look, keymap, area, folder };
        let Some(open) = &mut self.composing.open else { return Vec::new() };
        let outcome = act(open, &around);
        self.follow_composition(outcome)
    }

    /// Draws it; gives where the terminal's cursor belongs.
    pub(in crate::tui) fn draw_composition(
        &self,
        buffer: &mut ratatui::buffer::Buffer,
    ) -> Option<ratatui::layout::Position> {
        let nobody = CapabilitySet::default();
        let around = Around {
            held: held(self.session.as_ref(), &nobody),
            lost: self.greyed(),
            look: &self.look,
            keymap: &self.setup.keymap,
            area: self.body(),
            folder: self.composing.folder.as_deref(),
        };
        self.composing.open.as_ref()?.draw(buffer, &around)
    }

    /// Whether a command means the composition rather than the console, while it has the keys.
    pub(super) fn is_compositions(command: Command) -> bool {
        matches!(
            command,
            Command::AppBack
                | Command::RowOpen
                | Command::CopyId
                | Command::PollNow
                | Command::CursorUp
                | Command::CursorDown
                | Command::CursorPageUp
                | Command::CursorPageDown
                | Command::CursorFirst
                | Command::CursorLast
                | Command::MatchNext
                | Command::MatchPrevious
                | Command::FoldToggle
                | Command::FoldAll
                | Command::FieldNext
                | Command::FieldPrevious
                | Command::FormSubmit
                | Command::FilterClear
                | Command::TextUndo
                | Command::TextRedo
                | Command::ComposePreview
                | Command::ComposeSend
                | Command::ComposeWithhold
                | Command::ComposeMask
                | Command::ComposeUnmask
                | Command::ComposeDiscard
                | Command::ComposeShow
        )
    }

    pub(super) fn command_composition(&mut self, command: Command) -> Vec<Effect> {
        self.with_composition(|open, around| open.command(command, around))
    }

    pub(super) fn type_in_composition(&mut self, event: &KeyEvent) -> Vec<Effect> {
        self.with_composition(|open, _| open.type_key(event))
    }

    pub(super) fn paste_in_composition(&mut self, text: &str) -> Vec<Effect> {
        self.with_composition(|open, _| open.paste(text))
    }

    pub(super) fn rest_composition(&mut self) -> Vec<Effect> {
        self.with_composition(|open, _| open.rest())
    }

    pub(super) fn take_in_composition(&mut self, output: AnyOutput) -> Vec<Effect> {
        self.with_composition(|open, _| match output {
            AnyOutput::Compose(asked, opened) if open.key().subject == asked.subject => {
                open.opened(opened.map(Arc::new))
            }
            AnyOutput::CreateRequest(asked, sent) => open.took(asked.reference, sent),
            _ => Outcome::default(),
        })
    }

    /// Takes what came of work on files of drafts.
    pub(super) fn drafts_done(&mut self, done: Vec<(DraftKey, Done)>) -> Vec<Effect> {
        if let Some(open) = &mut self.composing.open {
            let key = open.key().clone();
            for (_, done) in done.into_iter().filter(|(whose, _)| *whose == key) {
                open.filed(done);
            }
        }
        self.composing.keeper.landed()
    }

    /// Does what the composition asks of the console.
    fn follow_composition(&mut self, outcome: Outcome) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(text) = outcome.say {
            self.say(text);
        }
        if outcome.rest {
            effects.push(Effect::WaitForRest);
        }
        if let Some(request) = outcome.send {
            effects.push(self.send(request));
        }
        if outcome.keep {
            effects.extend(self.keep_draft());
        }
        if outcome.forget {
            effects.extend(self.forget_draft());
        }
        let subject = self.composition().map(|open| open.key().subject);
        if let Some(subject) = subject.filter(|_| outcome.open) {
            effects.push(ask_evidence(subject));
        }
        if let Some(text) = outcome.copy {
            // The page of what was sent shows the reference itself.
            if self.composition().is_some_and(|open| open.step() == Step::Sent) {
                self.say("copied (sent to terminal)");
            } else {
                self.say(format!("{text} copied (sent to terminal)"));
            }
            effects.push(Effect::Copy(text));
        }
        if outcome.ask {
            let (title, why, leads) = (" Discard it? ", DISCARD.to_owned(), Go::DropDraft);
            effects.extend(self.push(Box::new(Question { title, why, yes: "discard", leads })));
        }
        if outcome.leave {
            effects.extend(self.leave_with_draft());
        }
        if let Some(reference) = outcome.show {
            effects.extend(self.show_request(reference));
        }
        effects
    }

    /// Sends a request. The draft's file gets the reference before, so that a later attempt, in
    /// another console too, goes on with this one.
    fn send(&self, request: CreateRequest) -> Effect {
        let Composing { open, keeper, .. } = &*self.composing;
        let kept = Kept::of(request.draft.clone(), Some(request.reference), self.look.now);
        let job = open.as_ref().and_then(|open| keeper.save_job(open.key(), kept));
        let create = Box::new(request.into());
        let request = match keeper.drafts().cloned().zip(job) {
            Some(kept) => Request::Kept(Box::new(kept), create),
            None => Request::Op(create),
        };
        Effect::Ask(Slot::SendRequest, request)
    }

    fn leave_with_draft(&mut self) -> Vec<Effect> {
        let kept = self.composition().is_some_and(Composition::has_work);
        let sent = self.composition().is_some_and(|open| open.step() == Step::Sent);
        let mut effects = self.put_down();
        match self.composing.from.take() {
            Some(place) => effects.extend(self.return_to(place)),
            None if sent => effects.extend(self.leave_composition()),
            None => effects.extend(self.ask_now()),
        }
        if kept {
            let place = self.composing.folder.clone();
            let place = place.map_or_else(
                || "the draft is kept as long as this console runs".to_owned(),
                |folder| format!("draft kept in {folder}"),
            );
            self.say(place);
        }
        effects
    }

    /// Shows the request that was sent, in place of the page that it was written on.
    fn show_request(&mut self, reference: Reference) -> Vec<Effect> {
        self.composing.open = None;
        self.composing.from = None;
        self.open_support(Target::Request(reference))
    }
}

/// Asks what a request is made of; audited, for diagnostics are opened with it.
fn ask_evidence(subject: DiagnosticsSubject) -> Effect {
    Effect::ask(Slot::Evidence, Compose { subject, attach: true })
}

fn held<'a>(session: Option<&'a Session>, nobody: &'a CapabilitySet) -> &'a CapabilitySet {
    session.map_or(nobody, |session| &session.capabilities)
}
