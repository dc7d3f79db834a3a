//! Where requests for support are written: how one begins and ends, and the files of their drafts.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Composition, Outcome, Step};
use crate::domain::support::{Draft, Reference};
use crate::drafts::{DraftKey, Drafts, Kept};
use crate::ops::AnyOutput;
use crate::ops::support::{Compose, CreateRequest, DiagnosticsSubject};
use crate::tui::command::{Command, Context};
use crate::tui::compose::{Done, Job, Keeper};
use crate::tui::msg::{Answer, Effect, Request, Slot};
use crate::tui::screen::{Cx, Go, Place, Reply, Target};
use crate::tui::screens::dialogs::question::Question;

/// What the question before a draft is discarded says.
const DISCARD: &str = "What was typed for this support request would be lost, its file too. y \
                       discards it, any other key keeps it.";
/// How many drafts a console holds beside their files.
const HELD: usize = 20;

/// Requests that are being written, and where their drafts are kept.
#[derive(Debug, Default)]
pub struct Desk {
    /// The one that is open.
    pub open: Option<Composition>,
    keeper: Keeper,
    /// Drafts that were left, with what was masked by hand in them.
    held: Vec<Held>,
    /// What was being written when the session ended.
    interrupted: Option<DraftKey>,
    /// Where the composition was begun; none where that was a page of support.
    pub from: Option<Place>,
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

impl Desk {
    /// Nothing is being written yet; drafts go to `drafts`.
    pub fn new(drafts: Option<Drafts>) -> Self {
        let folder = drafts.as_ref().map(|drafts| drafts.shown().to_owned());
        Self { keeper: Keeper::new(drafts), folder, ..Self::default() }
    }

    /// Whether there is something of the person's own to lose.
    pub fn has_work(&self) -> bool {
        self.open.as_ref().is_some_and(Composition::has_work)
    }

    /// Begins a request about a tenant, or about one tenant of a run, at this place, or goes on with
    /// it.
    pub fn begin(
        &mut self,
        subject: DiagnosticsSubject,
        from: Option<Place>,
        cx: &Cx<'_>,
    ) -> Reply {
        let key = DraftKey { person: cx.name.to_owned(), subject };
        if let Some(open) = &self.open {
            if *open.key() == key && open.step() != Step::Sent {
                return Reply::default();
            }
            if open.is_sending() {
                let why = "another request is being sent; what comes of it is shown first";
                return Reply::default().say(why, cx);
            }
        }
        let now = cx.look.now;
        let mut effects = self.put_down(now);
        let mut open = Composition::new(key.clone(), self.folder.clone());
        match self.held.iter().position(|held| held.key == key) {
            Some(at) => {
                let held = self.held.remove(at);
                open.resume(&held.draft, held.reference, held.at);
            }
            None => {
                if let Some(load) = self.keeper.load(&key, now) {
                    open.read_first();
                    effects.extend(load);
                }
            }
        }
        self.open = Some(open);
        self.from = from;
        effects.push(ask_evidence(subject));
        Reply::of(effects)
    }

    /// Puts the open composition down: its draft is written and held.
    fn put_down(&mut self, now: DateTime<Utc>) -> Vec<Effect> {
        let effects = self.keep(now);
        let Some(open) = self.open.take() else { return effects };
        if open.has_work() {
            let (draft, reference) = open.draft();
            let key = open.key().clone();
            self.held.retain(|held| held.key != key);
            self.held.push(Held { key, draft, reference, at: now });
            if self.held.len() > HELD {
                self.held.remove(0);
            }
        }
        effects
    }

    /// Writes the draft's file where something was changed since the last time.
    pub fn keep(&mut self, now: DateTime<Utc>) -> Vec<Effect> {
        let Some(open) = &mut self.open else { return Vec::new() };
        let Some(kept) = open.unwritten(now) else { return Vec::new() };
        if self.keeper.drafts().is_none() {
            return Vec::new();
        }
        open.writing(now);
        self.keeper.save(open.key(), kept)
    }

    /// What may not be on the disk yet, when the console ends at `now`.
    pub fn last(&mut self, now: DateTime<Utc>) -> Option<(Drafts, Vec<Job>)> {
        if let Some(open) = &mut self.open
            && let Some(kept) = open.unwritten(now)
        {
            let job = self.keeper.save_job(open.key(), kept);
            open.writing(now);
            self.keeper.wait(job);
        }
        self.keeper.last()
    }

    /// The session ends: what was being written is kept, and offered again after the next login.
    /// What another person held is forgotten.
    pub fn interrupt(&mut self, on_purpose: bool, now: DateTime<Utc>) -> Vec<Effect> {
        let open = self.open.as_ref().filter(|open| open.has_work());
        let key = open.map(|open| open.key().clone());
        let effects = self.put_down(now);
        self.from = None;
        if on_purpose {
            self.held.clear();
        } else if key.is_some() {
            self.interrupted = key;
        }
        effects
    }

    /// A person has logged in: their interrupted draft is offered.
    pub fn offer(&mut self, person: &str) -> Reply {
        self.held.retain(|held| held.key.person == person);
        let interrupted = self.interrupted.take();
        let Some(key) = interrupted.filter(|key| key.person == person) else {
            return Reply::default();
        };
        let about = match key.subject {
            DiagnosticsSubject::Tenant(id) => format!("tenant {id}"),
            DiagnosticsSubject::Run { run_id, .. } => format!("run {run_id}"),
        };
        let why = format!(
            "A support request about {about} was being written when the session ended; its draft \
             is kept. y goes on with it now, any other key leaves it for later."
        );
        let (title, leads) = (" Go on? ", Go::Show(Target::Compose(key.subject)));
        Reply::default().push(Question { title, why, yes: "go on", leads })
    }

    /// Throws the draft away; `page` is where the keys of the page below are looked up.
    pub fn discard(&mut self, page: Context, cx: &Cx<'_>) -> Reply {
        let effects = self.forget();
        self.leave(page).and(effects).say("the draft was discarded", cx)
    }

    fn forget(&mut self) -> Vec<Effect> {
        let Some(open) = &self.open else { return Vec::new() };
        let key = open.key().clone();
        self.held.retain(|held| held.key != key);
        self.keeper.remove(&key)
    }

    /// Goes back to where the composition was begun; the choice of a run's tenant lies between.
    fn leave(&mut self, page: Context) -> Reply {
        self.open = None;
        Reply::default().go(match self.from.take() {
            Some(place) => Go::Return(place),
            None if page == Context::RunTenants => Go::Command(Command::AppBack),
            None => Go::Poll,
        })
    }

    /// Whether a command means the composition rather than the console, while it has the keys.
    pub fn takes(command: Command) -> bool {
        let consoles = command.is_everywhere() || command == Command::FilterEdit;
        !consoles || command == Command::CopyId
    }

    /// Has the composition do something.
    pub fn act(
        &mut self,
        page: Context,
        cx: &Cx<'_>,
        act: impl FnOnce(&mut Composition) -> Outcome,
    ) -> Reply {
        let Some(open) = &mut self.open else { return Reply::default() };
        let outcome = act(open);
        self.follow(outcome, page, cx)
    }

    /// Takes an answer; none where it is not one to what the composition asked.
    pub fn answer(&mut self, answer: &AnyOutput, page: Context, cx: &Cx<'_>) -> Option<Reply> {
        Some(match answer {
            AnyOutput::Compose(asked, opened) => self.act(page, cx, |open| {
                if open.key().subject != asked.subject {
                    return Outcome::default();
                }
                open.opened(opened.clone().map(Arc::new))
            }),
            AnyOutput::CreateRequest(asked, sent) => {
                self.act(page, cx, |open| open.took(asked.reference, sent.clone()))
            }
            _ => return None,
        })
    }

    /// Takes what came of work on files of drafts.
    pub fn outcome(&mut self, answer: &Answer) -> Reply {
        let Answer::Files(done) = answer else { return Reply::default() };
        if let Some(open) = &mut self.open {
            let key = open.key().clone();
            for (_, done) in done.iter().filter(|(whose, _)| *whose == key) {
                open.filed(Done::clone(done));
            }
        }
        Reply::of(self.keeper.landed())
    }

    /// Does what the composition asks.
    fn follow(&mut self, outcome: Outcome, page: Context, cx: &Cx<'_>) -> Reply {
        let now = cx.look.now;
        let mut reply = Reply::default();
        if let Some(text) = outcome.say {
            reply = reply.say(text, cx);
        }
        if outcome.rest {
            reply.effects.push(Effect::WaitForRest);
        }
        if let Some(request) = outcome.send {
            reply.effects.push(self.send(request, now));
        }
        if outcome.keep {
            reply.effects.extend(self.keep(now));
        }
        if outcome.forget {
            reply.effects.extend(self.forget());
        }
        if let Some(open) = self.open.as_ref().filter(|_| outcome.open) {
            reply.effects.push(ask_evidence(open.key().subject));
        }
        let sent = self.open.as_ref().is_some_and(|open| open.step() == Step::Sent);
        if let Some(text) = outcome.copy {
            // The page of what was sent shows the reference itself.
            let what = if sent { String::new() } else { format!("{text} ") };
            reply = reply.say(format!("{what}copied (sent to terminal)"), cx);
            reply.effects.push(Effect::Copy(text));
        }
        if outcome.ask {
            let (title, why, leads) = (" Discard it? ", DISCARD.to_owned(), Go::Discard);
            reply = reply.push(Question { title, why, yes: "discard", leads });
        }
        if outcome.leave {
            let kept = self.has_work();
            let effects = self.put_down(now);
            let left = if sent || self.from.is_some() {
                self.leave(page)
            } else {
                Reply::default().go(Go::Poll)
            };
            reply.nav.extend(left.nav);
            reply.effects.extend(effects);
            if kept {
                reply = reply.say(
                    self.folder.as_ref().map_or_else(
                        || "the draft is kept as long as this console runs".to_owned(),
                        |folder| format!("draft kept in {folder}"),
                    ),
                    cx,
                );
            }
        }
        if let Some(reference) = outcome.show {
            // In place of the page that it was written on.
            self.open = None;
            self.from = None;
            reply = reply.go(Go::Show(Target::Request(reference)));
        }
        reply
    }

    /// Sends a request. The draft's file gets the reference before, so that a later attempt, in
    /// another console too, goes on with this one.
    fn send(&self, request: CreateRequest, now: DateTime<Utc>) -> Effect {
        let Self { open, keeper, .. } = self;
        let kept = Kept::of(request.draft.clone(), Some(request.reference), now);
        let job = open.as_ref().and_then(|open| keeper.save_job(open.key(), kept));
        let create = Box::new(request.into());
        let request = match keeper.drafts().cloned().zip(job) {
            Some(kept) => Request::Kept(Box::new(kept), create),
            None => Request::Op(create),
        };
        Effect::Ask(Slot::SendRequest, request)
    }
}

/// Asks what a request is made of; audited, for diagnostics are opened with it.
fn ask_evidence(subject: DiagnosticsSubject) -> Effect {
    Effect::ask(Slot::Evidence, Compose { subject, attach: true })
}
