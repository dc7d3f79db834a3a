//! Where requests for support are written: how one begins and ends, and the files of their drafts.

use chrono::{DateTime, Utc};
use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Position;

use super::{Composition, File, Step, kept_in, named};
use crate::drafts::{DraftKey, Drafts, Kept};
use crate::ops::AnyOutput;
use crate::ops::support::DiagnosticsSubject;
use crate::tui::command::{Command, Context};
use crate::tui::draft_files::Job;
use crate::tui::msg::{Answer, Effect, Request};
use crate::tui::screen::{Cx, Go, Hint, Place, Reply, Screen, Target};
use crate::tui::screens::dialogs::question::Question;
use crate::tui::screens::support::keeper::Keeper;
use crate::tui::slot::Slot;

/// How many drafts a console holds beside their files.
const HELD: usize = 20;
/// What the question before the console is left with a draft says.
const LEAVE: &str =
    "A support request is being written. y leaves the console, any other key stays.";

/// Requests that are being written, and where their drafts are kept.
#[derive(Debug, Default)]
pub struct Desk {
    pub open: Option<Composition>,
    keeper: Keeper,
    /// Drafts that were left, with what was masked by hand in them.
    held: Vec<(DraftKey, Kept)>,
    /// What was being written when the session ended.
    interrupted: Option<DraftKey>,
    /// Where the composition was begun; none where that was a page of support.
    from: Option<Place>,
    /// Whether it was begun in the choice of a run's tenant, which is left with it.
    chosen: bool,
    folder: Option<String>,
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

    /// Begins a request about a tenant, or about one tenant of a run, on a page and from a place, or
    /// goes on with it.
    pub fn write(
        &mut self,
        subject: DiagnosticsSubject,
        page: Context,
        from: Option<Place>,
        cx: &Cx<'_>,
    ) -> Reply {
        let key = DraftKey { person: cx.name.to_owned(), subject };
        if let Some(open) = &self.open {
            if open.key == key && open.step != Step::Sent {
                return Reply::default();
            }
            if open.sending {
                let why = "another request is being sent; what comes of it is shown first";
                return Reply::default().say(why, cx);
            }
        }
        let now = cx.look.now;
        let mut effects = self.put_down(now);
        let mut open = Composition::new(key.clone(), self.folder.clone());
        match self.held.iter().position(|(whose, _)| *whose == key) {
            Some(at) => {
                open.resume(&self.held.remove(at).1);
                open.file = File::Behind;
            }
            None => {
                if let Some(load) = self.keeper.load(&key, now) {
                    open.reading = true;
                    effects.extend(load);
                }
            }
        }
        let opening = open.open();
        self.open = Some(open);
        self.from = from;
        self.chosen = page == Context::RunTenants;
        Reply::of(effects).and(opening.effects)
    }

    /// Puts the open composition down: its draft is written and held.
    fn put_down(&mut self, now: DateTime<Utc>) -> Vec<Effect> {
        let effects = self.keep(now);
        let Some(open) = self.open.take().filter(Composition::has_work) else { return effects };
        self.held.retain(|(whose, _)| *whose != open.key);
        let kept = open.kept(now);
        self.held.push((open.key, kept));
        if self.held.len() > HELD {
            self.held.remove(0);
        }
        effects
    }

    /// Writes the draft's file where something was changed since the last time.
    fn keep(&mut self, now: DateTime<Utc>) -> Vec<Effect> {
        let Some(open) = &mut self.open else { return Vec::new() };
        match open.unwritten(now) {
            Some(kept) => self.keeper.save(&open.key, kept),
            None => Vec::new(),
        }
    }

    /// The session ends: what was being written is kept, and offered again after the next login.
    /// What another person held is forgotten.
    pub fn interrupt(&mut self, on_purpose: bool, now: DateTime<Utc>) -> Vec<Effect> {
        let open = self.open.as_ref().filter(|open| open.has_work());
        let key = open.map(|open| open.key.clone());
        let effects = self.put_down(now);
        self.from = None;
        if on_purpose {
            self.held.clear();
        } else if key.is_some() {
            self.interrupted = key;
        }
        effects
    }

    fn forget(&mut self) -> Vec<Effect> {
        self.open.as_ref().map_or_else(Vec::new, |open| self.keeper.remove(&open.key))
    }

    /// Goes back to where the composition was begun; the choice of a run's tenant lies between.
    fn go_back(&mut self) -> Reply {
        self.open = None;
        Reply::default().go(match self.from.take() {
            Some(place) => Go::Return(place),
            None if self.chosen => Go::Command(Command::AppBack),
            None => Go::Poll,
        })
    }

    /// Leaves the composition; an unsent one is kept, and one goes on with it from the page below.
    fn leave(&mut self, cx: &Cx<'_>) -> Reply {
        let (kept, sent) = (self.has_work(), self.has_sent());
        let effects = self.put_down(cx.look.now);
        let back = if sent || self.from.is_some() {
            self.go_back()
        } else {
            Reply::default().go(Go::Poll)
        };
        let back = back.and(effects);
        if kept { back.say(kept_in(self.folder.as_deref()), cx) } else { back }
    }

    fn has_sent(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.step == Step::Sent)
    }

    fn act(&mut self, cx: &Cx<'_>, act: impl FnOnce(&mut Composition) -> Reply) -> Reply {
        let Some(open) = &mut self.open else { return Reply::default() };
        let reply = act(open);
        if reply.closes() { self.leave(cx) } else { reply }
    }

    /// Sends the request. The draft's file gets the reference before, so that a later attempt, in
    /// another console too, goes on with this one.
    fn send(&mut self, cx: &Cx<'_>) -> Reply {
        let Some(open) = &mut self.open else { return Reply::default() };
        let request = match open.send(cx) {
            Ok(request) => request,
            Err(why) => return why,
        };
        let kept = Kept::of(request.draft.clone(), Some(request.reference), cx.look.now);
        let kept = self.keeper.save_job(&open.key, kept);
        let create = Box::new(request.into());
        let request = match kept {
            Some(kept) => Request::Kept(Box::new(kept), create),
            None => Request::Op(create),
        };
        Reply::of(vec![Effect::Ask(Slot::SEND_REQUEST, request)])
    }

    /// Shows what was sent, in place of the page that it was written on.
    fn show_sent(&mut self) -> Option<Reply> {
        let reference = self.open.as_ref()?.sent.as_ref()?.request.reference;
        (self.open, self.from) = (None, None);
        Some(Reply::show(Target::Request(reference)))
    }

    /// Whether a command means the composition rather than the console.
    fn takes(&self, command: Command) -> bool {
        match command {
            Command::FilterEdit => self.open.as_ref().is_some_and(|it| it.step == Step::Preview),
            _ => !command.is_everywhere() || command == Command::CopyId,
        }
    }
}

/// What has the keys while a request is written.
impl Screen for Desk {
    fn context(&self, cx: &Cx<'_>) -> Context {
        self.open.as_ref().map_or(Context::Compose, |open| open.context(cx))
    }

    fn reads(&self, _: &Cx<'_>) -> Option<Slot> {
        (!self.has_sent()).then_some(Slot::EVIDENCE)
    }

    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        if !self.takes(command) {
            return Reply::up(command);
        }
        let context = self.context(cx);
        match command {
            Command::ComposeShow if context == Context::Sent => {
                self.show_sent().unwrap_or_default()
            }
            Command::ComposeSend if context == Context::Preview => self.send(cx),
            Command::ComposePreview => {
                let reply = self.act(cx, |open| open.command(command, cx));
                reply.and(self.keep(cx.look.now))
            }
            _ => self.act(cx, |open| open.command(command, cx)),
        }
    }

    fn key(&mut self, event: &KeyEvent, cx: &Cx<'_>) -> Reply {
        self.act(cx, |open| open.key_typed(event, cx))
    }

    fn paste(&mut self, text: &str, cx: &Cx<'_>) -> Reply {
        self.act(cx, |open| open.paste(text, cx))
    }

    fn click(&mut self, column: u16, row: u16, cx: &Cx<'_>) -> Reply {
        self.act(cx, |open| open.click(column, row, cx))
    }

    fn is_typing(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.page.is_typing())
    }

    fn rested(&mut self, cx: &Cx<'_>) -> Reply {
        if let Some(open) = &mut self.open {
            open.rested();
        }
        self.tick(cx)
    }

    fn tick(&mut self, cx: &Cx<'_>) -> Reply {
        Reply::of(self.keep(cx.look.now))
    }

    fn answer(&mut self, answer: &AnyOutput, cx: &Cx<'_>) -> Option<Reply> {
        Some(match answer {
            AnyOutput::Compose(asked, opened) => self.act(cx, |open| {
                let ours = open.key.subject == asked.subject;
                if ours { open.opened(opened.clone()) } else { Reply::default() }
            }),
            AnyOutput::CreateRequest(asked, sent) => {
                let reply = self.act(cx, |open| open.took(asked.reference, sent.clone(), cx));
                let files = if self.has_sent() { self.forget() } else { self.keep(cx.look.now) };
                reply.and(files)
            }
            _ => return None,
        })
    }

    /// Takes what came of work on files of drafts.
    fn outcome(&mut self, _: Slot, answer: &Answer, _: &Cx<'_>) -> Reply {
        let Answer::Files(done) = answer else { return Reply::default() };
        if let Some(open) = &mut self.open {
            for (whose, done) in done {
                if *whose == open.key {
                    open.filed(done.clone());
                }
            }
        }
        Reply::of(self.keeper.landed())
    }

    fn settle(&mut self, cx: &Cx<'_>) {
        if let Some(open) = &mut self.open {
            open.page.settle(&open.page_cx(cx));
        }
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        self.open.as_ref()?.view(cx, buffer)
    }

    fn hints(&self, cx: &Cx<'_>) -> Vec<Hint> {
        self.open.as_ref().map_or_else(Vec::new, |open| open.hints(cx))
    }

    fn unsaved(&self) -> Option<&'static str> {
        self.has_work().then_some(LEAVE)
    }

    fn discard(&mut self, cx: &Cx<'_>) -> Reply {
        let effects = self.forget();
        self.go_back().and(effects).say("the draft was discarded", cx)
    }

    /// A person has logged in: their interrupted draft is offered.
    fn begin(&mut self, cx: &Cx<'_>) -> Reply {
        self.held.retain(|(whose, _)| whose.person == cx.name);
        let interrupted = self.interrupted.take();
        let Some(key) = interrupted.filter(|key| key.person == cx.name) else {
            return Reply::default();
        };
        let why = format!(
            "A support request about {} was being written when the session ended; its draft is \
             kept. y goes on with it now, any other key leaves it for later.",
            named(key.subject)
        );
        let (title, leads) = (" Go on? ", Go::Show(Target::Compose(key.subject)));
        Reply::default().push(Question { title, why, yes: "go on", leads })
    }

    /// What may not be on the disk yet, when the console ends at `now`.
    fn last(&mut self, now: DateTime<Utc>) -> Option<(Drafts, Vec<Job>)> {
        if let Some(open) = &mut self.open
            && let Some(kept) = open.unwritten(now)
        {
            self.keeper.wait(&open.key, kept);
        }
        self.keeper.last()
    }
}
