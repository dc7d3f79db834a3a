//! What a screen does, what it may read of the console around it, and what it asks of it.

mod place;
mod reply;

pub use place::{Place, Purpose, Target, Way};
pub use reply::{CUT, Go, Hint, Nav, Reply, Toast, UNTYPED};

use std::fmt;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use crate::domain::capability::{Capability, CapabilitySet, NOTHING_HELD};
use crate::domain::run::Run;
use crate::domain::window::Window;
use crate::drafts::Drafts;
use crate::ops::AnyOutput;
use crate::ops::auth::Session;
use crate::ops::overview::FingerprintGroup;
use crate::ops::platform::Platform;
use crate::ops::runs::RunDetail;
use crate::ops::support::DiagnosticsSubject;
use crate::tui::command::{Command, Context};
use crate::tui::draft_files::Job;
use crate::tui::keymap::Keymap;
use crate::tui::link::Link;
use crate::tui::look::Look;
use crate::tui::msg::{Answer, Effect, Sub};
use crate::tui::remote::Remote;
pub use crate::tui::remote::State;
use crate::tui::setup::Setup;
use crate::tui::slot::Slot;
use crate::tui::tabs::Tab;

/// What is said where text is pasted and there is no field.
pub const NO_FIELD: &str = "pasted text is taken only in a text field; nothing was done";
/// What a tab shows, or what lies over the tabs: the top one gets what happens. What lies over them
/// is closed by going one level back.
pub trait Screen: fmt::Debug + Send {
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
    fn copies(&self, _cx: &Cx<'_>) -> Option<String> {
        None
    }
    /// What would be lost with it, as a question before the console is left says it.
    fn unsaved(&self) -> Option<&'static str> {
        None
    }
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

#[derive(Debug, Clone, Copy)]
pub struct Cx<'a> {
    /// How things look, and what time it is.
    pub look: &'a Look,
    pub keymap: &'a Keymap,
    /// Where exports go; none where there is no such place.
    pub exports: Option<&'a Path>,
    pub name: &'a str,
    pub held: &'a CapabilitySet,
    pub link: &'a Link,
    pub platform: &'a Remote<Platform>,
    pub area: Rect,
    /// Whether the database does not answer, or what is shown is old.
    pub lost: bool,
    pub paused: bool,
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

/// What the keys for runs and for support are about.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    Run(&'a Run),
    Detail(&'a RunDetail),
    Group(&'a FingerprintGroup),
    /// What support is asked for, and the tenant of it where it is known.
    Support(DiagnosticsSubject, Option<i64>),
    /// Nothing: what is said where a run is to be changed, and where support is asked for.
    Nothing(&'static str, &'static str),
}

impl Subject<'_> {
    pub const NONE: Self = Self::Nothing(
        "no run is selected",
        "support is asked for in a run, in a tenant, or in their lists",
    );
}
