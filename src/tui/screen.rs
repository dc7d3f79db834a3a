//! What a screen does, what it may read of the console around it, and what it asks of it.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::app::Setup;
use super::app::link::Link;
use super::command::{Command, Context};
use super::compose::Job;
use super::keymap::Keymap;
use super::look::Look;
use super::msg::{Answer, Effect, Slot, Sub};
use super::remote::Remote;
use super::tabs::Tab;
use super::widgets::form::Pasted;
use super::widgets::go_to::GoTo;
use crate::Error;
use crate::domain::capability::{Capability, CapabilitySet, NOTHING_HELD};
use crate::domain::run::Run;
use crate::domain::run_filter::RunFilter;
use crate::domain::support::Reference;
use crate::domain::window::Window;
use crate::drafts::Drafts;
use crate::ops::auth::Session;
use crate::ops::overview::FingerprintGroup;
use crate::ops::platform::Platform;
use crate::ops::runs::RunDetail;
use crate::ops::support::DiagnosticsSubject;
use crate::ops::{AnyOperation, AnyOutput};

/// How long a notice stays.
const TOAST: chrono::Duration = chrono::Duration::seconds(4);
/// How long a notice stays that leads somewhere.
const LEADING_TOAST: chrono::Duration = chrono::Duration::seconds(15);

/// What is said where a confirmation is pasted.
pub const UNTYPED: &str = "a confirmation has to be typed; the pasted text was not taken";
/// What is said where text is pasted and there is no field.
pub const NO_FIELD: &str = "pasted text is taken only in a text field; nothing was done";
/// What is said where a field had no room for all of a paste.
pub const CUT: &str = "the paste was longer than the field and was cut off";

/// What a tab shows, or what lies over the tabs: the top one gets what happens. What lies over them
/// is closed by going one level back.
pub trait Screen: fmt::Debug + Send {
    /// Where its keys are looked up.
    fn context(&self, cx: &Cx<'_>) -> Context;
    /// What is asked again and again while it is shown; what it is opened for comes first.
    fn subscriptions(&self, _cx: &Cx<'_>) -> Vec<Sub> {
        Vec::new()
    }
    /// What is asked again and again whatever is shown.
    fn always(&self, _cx: &Cx<'_>) -> Vec<Sub> {
        Vec::new()
    }
    /// It becomes visible.
    fn open(&mut self, _cx: &Cx<'_>) -> Reply {
        Reply::default()
    }
    /// Asks for what it shows, also while live updates are paused.
    fn refresh(&mut self, cx: &Cx<'_>) -> Reply {
        Reply::asks(&self.subscriptions(cx))
    }
    /// Does a command, or leaves it to the console ([`Reply::up`]).
    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply;
    /// Takes a key that no command is bound to.
    fn key(&mut self, _event: &KeyEvent, _cx: &Cx<'_>) -> Reply {
        Reply::default()
    }
    /// Takes text that is pasted in one piece.
    fn paste(&mut self, _text: &str, cx: &Cx<'_>) -> Reply {
        Reply::default().say(NO_FIELD, cx)
    }
    /// Takes a click on a cell of the body.
    fn click(&mut self, _column: u16, _row: u16, _cx: &Cx<'_>) -> Reply {
        Reply::default()
    }
    /// Whether a line is typed that a click does not leave.
    fn is_typing(&self) -> bool {
        false
    }
    /// The cursor has rested for a moment.
    fn rested(&mut self, _cx: &Cx<'_>) -> Reply {
        Reply::default()
    }
    /// Time went by.
    fn tick(&mut self, _cx: &Cx<'_>) -> Reply {
        Reply::default()
    }
    /// Takes an answer; none where it is not one to what this asked.
    fn answer(&mut self, _answer: &AnyOutput, _cx: &Cx<'_>) -> Option<Reply> {
        None
    }
    /// Takes what came of a request in a slot that is no operation's answer: that nothing has
    /// changed, how far it is, what was written into files.
    fn outcome(&mut self, _slot: Slot, _answer: &Answer, _cx: &Cx<'_>) -> Reply {
        Reply::default()
    }
    /// Keeps the cursor in sight after the screen has changed its size.
    fn settle(&mut self, _cx: &Cx<'_>) {}
    /// Draws it; gives where the terminal's cursor belongs.
    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position>;
    /// What the footer offers.
    fn hints(&self, cx: &Cx<'_>) -> Vec<Hint>;
    /// What the header says of it, whatever is shown.
    fn badge(&self, _look: &Look) -> Option<String> {
        None
    }
    /// What the tab line says beside its name where there is room.
    fn caption(&self) -> Option<String> {
        None
    }
    /// The last error, and whether there is something to show beside it; none where it says itself
    /// what is wrong.
    fn state(&self, _cx: &Cx<'_>) -> Option<State<'_>> {
        None
    }
    /// What the keys for runs and for support are about.
    fn subject(&self, _cx: &Cx<'_>) -> Subject<'_> {
        Subject::NONE
    }
    /// What is copied.
    fn copies(&self, _cx: &Cx<'_>) -> Option<String> {
        None
    }
    /// What would be lost with it, as a question before the console is left says it.
    fn unsaved(&self) -> Option<&'static str> {
        None
    }
    /// Throws that away.
    fn discard(&mut self, _cx: &Cx<'_>) -> Reply {
        Reply::default()
    }
    /// What it shows in particular, and the tab that one level back leads to.
    fn place(&self) -> Option<(Target, Tab)> {
        None
    }
    /// Shows what was named; none where that is another screen's.
    fn show(&mut self, _target: &Target, _way: Way, _cx: &Cx<'_>) -> Option<Reply> {
        None
    }
    /// The slot of what it shows and has asked once.
    fn reads(&self, _cx: &Cx<'_>) -> Option<Slot> {
        None
    }
    /// The slot of a change that it has sent and that is not answered. It takes that answer also
    /// after it was closed.
    fn awaits(&self) -> Option<Slot> {
        None
    }
    /// The session has begun.
    fn begin(&mut self, _cx: &Cx<'_>) -> Reply {
        Reply::default()
    }
    /// Takes what outlives the session from the one before, which ended `on_purpose` or not.
    fn inherit(&mut self, _old: Self, _on_purpose: bool, _now: DateTime<Utc>) -> Vec<Effect>
    where
        Self: Sized,
    {
        Vec::new()
    }
    /// What may not be on the disk yet, when the console ends at `now`.
    fn last(&mut self, _now: DateTime<Utc>) -> Option<(Drafts, Vec<Job>)> {
        None
    }
}

/// What a screen may read.
#[derive(Debug, Clone, Copy)]
pub struct Cx<'a> {
    /// How things look, and what time it is.
    pub look: &'a Look,
    /// The keys in force.
    pub keymap: &'a Keymap,
    /// Where exports go; none where there is no such place.
    pub exports: Option<&'a Path>,
    /// Who is logged in.
    pub name: &'a str,
    /// What the person holds.
    pub held: &'a CapabilitySet,
    /// How things stand with the database.
    pub link: &'a Link,
    /// What the platform says of itself.
    pub platform: &'a Remote<Platform>,
    /// Where it is drawn.
    pub area: Rect,
    /// Whether the database does not answer, or what is shown is old.
    pub lost: bool,
    /// Whether live updates are frozen.
    pub paused: bool,
    /// How often to poll.
    pub every: Duration,
    /// The window of everything that sums up, once it is known.
    pub window: Option<Window>,
    /// Whether break-glass is active: then every start needs a reason.
    pub under_glass: bool,
    /// Whether it is shown, rather than closed or on another tab.
    pub shown: bool,
}

impl<'a> Cx<'a> {
    /// What there is to read of these; the rest is not known yet.
    pub fn new(
        look: &'a Look,
        setup: &'a Setup,
        session: Option<&'a Session>,
        link: &'a Link,
        platform: &'a Remote<Platform>,
    ) -> Self {
        Self {
            look,
            keymap: &setup.keymap,
            exports: setup.exports.as_deref(),
            name: session.map_or("", |session| &session.username),
            held: session.map_or(&NOTHING_HELD, |session| &session.capabilities),
            link,
            platform,
            area: Rect::default(),
            lost: false,
            paused: false,
            every: setup.poll,
            window: None,
            under_glass: false,
            shown: true,
        }
    }

    /// Whether the person holds a capability.
    pub fn has(&self, capability: Capability) -> bool {
        self.held.has(capability)
    }

    /// Whether what is shown is asked again and again, and answered.
    pub fn live(&self) -> bool {
        !self.paused && !self.lost
    }

    /// The first key of a command in a context, `r`.
    pub fn key(&self, context: Context, command: Command) -> Option<String> {
        self.keymap.keys_for(context, command).into_iter().next()
    }
}

/// How the data of a screen stands.
#[derive(Debug, Clone, Copy)]
pub struct State<'a> {
    /// The last error.
    pub error: Option<&'a Error>,
    /// Whether there is something to show beside it.
    pub has_data: bool,
}

/// What the keys for runs and for support are about.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// A run of a list.
    Run(&'a Run),
    /// The run that is open.
    Detail(&'a RunDetail),
    /// The runs of an error.
    Group(&'a FingerprintGroup),
    /// What support is asked for, and the tenant of it where it is known.
    Support(DiagnosticsSubject, Option<i64>),
    /// Nothing: what is said where a run is to be changed, and where support is asked for.
    Nothing(&'static str, &'static str),
}

impl Subject<'_> {
    /// Nothing at all.
    pub const NONE: Self = Self::Nothing(
        "no run is selected",
        "support is asked for in a run, in a tenant, or in their lists",
    );
}

/// Something that a tab shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// A run.
    Run(i64),
    /// The runs of a filter.
    Runs(RunFilter),
    /// The inbox.
    Inbox,
    /// A support request.
    Request(Reference),
    /// The tenants of this name, or of a part of it; without one, it is to be typed.
    Tenants(Option<String>),
    /// A tenant.
    Tenant(i64),
    /// The choice of one of a run's tenants.
    RunTenants(i64, Purpose),
    /// Diagnostics; opening them is audited.
    Diagnostics(DiagnosticsSubject),
    /// A request for support about this, which is written.
    Compose(DiagnosticsSubject),
}

/// What a tenant is chosen for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A request for support.
    Request,
    /// Its diagnostics.
    Diagnostics,
    /// A look at it.
    Tenant,
}

/// How one comes to what is shown.
#[derive(Debug, Clone)]
pub enum Way {
    /// Led by something at this place.
    Led(Place),
    /// The person named it at this place.
    Named(Place),
    /// Back to it; one level back from there is this tab.
    Back(Tab),
}

impl Way {
    /// The tab that one level back leads to, which was `now` until then, and the place that was left.
    pub fn before(self, now: Tab, cx: &Cx<'_>) -> (Tab, Option<Place>) {
        match self {
            Self::Back(tab) => (tab, None),
            Self::Led(place) | Self::Named(place) if cx.shown => (now, Some(place)),
            Self::Led(place) | Self::Named(place) => (place.tab, Some(place)),
        }
    }
}

/// A place to come back to: a tab, and what the tabs show in particular.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// The tab.
    pub tab: Tab,
    /// What the tabs show, and the tab that one level back from there leads to.
    pub shown: Vec<(Target, Tab)>,
}

/// What a screen asks of the console.
#[derive(Debug, Default)]
pub struct Reply {
    /// What is to be done.
    pub effects: Vec<Effect>,
    /// Where it leads, one after the other.
    pub nav: Vec<Nav>,
    /// A notice.
    pub toast: Option<Toast>,
}

/// Where a screen leads.
#[derive(Debug)]
pub enum Nav {
    /// It is closed.
    Close,
    /// The console is to do this command.
    Up(Command),
    /// What was to be shown is not: the tab stays.
    Stay,
    /// Another one lies over it.
    Push(Box<dyn Screen>),
    /// Something of the console itself.
    Go(Go),
}

/// Something that the console itself does.
#[derive(Debug, Clone, PartialEq)]
pub enum Go {
    /// Do a command, as though its key was pressed on the tab.
    Command(Command),
    /// Go to what was named.
    To(GoTo),
    /// Show this.
    Show(Target),
    /// Have this ready, without going there.
    Ready(Target),
    /// Go to a tab.
    Tab(Tab),
    /// Return to a place; what was looked at since lies between.
    Return(Place),
    /// Look at another window.
    Window(Window),
    /// The window that was chosen last is known.
    WindowKnown(Window),
    /// Throw away what the tab would lose.
    Discard,
    /// Ask for what the tab shows, also while live updates are paused.
    Refresh,
    /// Ask for what is shown without waiting for its next poll.
    Poll,
}

/// Something that the footer offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// A command, and what it is called here.
    Does(Command, &'static str),
    /// A key that no keymap changes, and what it does.
    Key(&'static str, &'static str),
    /// What can be done to the run at hand.
    Runs,
}

impl Hint {
    /// Commands by their own names.
    pub fn of(commands: &[Command]) -> Vec<Self> {
        commands.iter().copied().map(Self::own).collect()
    }

    /// A command by its own name.
    pub const fn own(command: Command) -> Self {
        Self::Does(command, command.help())
    }
}

impl Reply {
    /// The screen is closed.
    pub fn close() -> Self {
        Self { nav: vec![Nav::Close], ..Self::default() }
    }

    /// The console is to do a command.
    pub fn up(command: Command) -> Self {
        Self { nav: vec![Nav::Up(command)], ..Self::default() }
    }

    /// Something else is shown.
    pub fn show(target: Target) -> Self {
        Self::default().go(Go::Show(target))
    }

    /// What was to be shown is not, and why.
    pub fn refuse(why: impl Into<String>, cx: &Cx<'_>) -> Self {
        Self { nav: vec![Nav::Stay], ..Self::default() }.say(why, cx)
    }

    /// These are done.
    pub fn of(effects: Vec<Effect>) -> Self {
        Self { effects, ..Self::default() }
    }

    /// What is polled is asked now.
    pub fn asks(subs: &[Sub]) -> Self {
        let ask = |sub: &Sub| Effect::Ask(sub.slot, sub.request.clone());
        Self::of(subs.iter().map(ask).collect())
    }

    /// The service is asked.
    pub fn ask(slot: Slot, operation: impl Into<AnyOperation>) -> Self {
        Self { effects: vec![Effect::ask(slot, operation)], ..Self::default() }
    }

    /// The same, and the console does something.
    #[must_use]
    pub fn go(mut self, go: Go) -> Self {
        self.nav.push(Nav::Go(go));
        self
    }

    /// The same, and another screen is shown.
    #[must_use]
    pub fn push(mut self, screen: impl Screen + 'static) -> Self {
        self.nav.push(Nav::Push(Box::new(screen)));
        self
    }

    /// The same, and these are done, too.
    #[must_use]
    pub fn and(mut self, effects: impl IntoIterator<Item = Effect>) -> Self {
        self.effects.extend(effects);
        self
    }

    /// The same with a notice.
    #[must_use]
    pub fn say(self, text: impl Into<String>, cx: &Cx<'_>) -> Self {
        self.lead(text, None, cx)
    }

    /// The same with a notice that may lead to a run.
    #[must_use]
    pub fn lead(self, text: impl Into<String>, view: Option<i64>, cx: &Cx<'_>) -> Self {
        Self { toast: Some(Toast::new(text, view, cx.look.now)), ..self }
    }

    /// The same, and says that rows that a key asked for did not come: no poll asks for them.
    #[must_use]
    pub fn miss_rows(self, error: Option<&Error>, cx: &Cx<'_>) -> Self {
        match error {
            Some(error) => self.say(format!("these rows did not come: {error}"), cx),
            None => self,
        }
    }

    /// The same, and says what became of a paste where not all of it was taken.
    #[must_use]
    pub fn pasted(self, pasted: Pasted, refusal: &str, cx: &Cx<'_>) -> Self {
        match pasted {
            Pasted::Whole => self,
            Pasted::Cut => self.say(CUT, cx),
            Pasted::Refused => self.say(refusal, cx),
        }
    }

    /// Whether the screen is closed by it.
    pub fn closes(&self) -> bool {
        self.nav.iter().any(|nav| matches!(nav, Nav::Close))
    }
}

/// A short notice.
#[derive(Debug, Clone)]
pub struct Toast {
    /// What it says.
    pub text: String,
    /// The run that enter opens while the notice is shown.
    pub view: Option<i64>,
    /// How long it stays.
    pub until: DateTime<Utc>,
}

impl Toast {
    /// A notice at `now` that may lead to a run.
    pub fn new(text: impl Into<String>, view: Option<i64>, now: DateTime<Utc>) -> Self {
        let stays = if view.is_some() { LEADING_TOAST } else { TOAST };
        Self { text: text.into(), view, until: now + stays }
    }
}
