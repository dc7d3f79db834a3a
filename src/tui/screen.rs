//! What a screen does, what it may read of the console around it, and what it asks of it.

use std::fmt;

use chrono::{DateTime, Utc};
use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::command::{Command, Context};
use super::keymap::Keymap;
use super::look::Look;
use super::msg::{Effect, Slot};
use super::widgets::form::Pasted;
use super::widgets::go_to::GoTo;
use crate::domain::capability::{Capability, CapabilitySet};
use crate::domain::run_filter::RunFilter;
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

/// Something that lies over the tabs; the top one gets what happens. One level back closes it.
pub trait Screen: fmt::Debug + Send + Sync {
    /// Where its keys are looked up.
    fn context(&self) -> Context;
    /// It becomes visible.
    fn open(&mut self, _cx: &Cx<'_>) -> Reply {
        Reply::default()
    }
    /// Does a command.
    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply;
    /// Takes a key that no command is bound to.
    fn key(&mut self, _event: &KeyEvent, _cx: &Cx<'_>) -> Reply {
        Reply::default()
    }
    /// Takes text that is pasted in one piece.
    fn paste(&mut self, _text: &str, cx: &Cx<'_>) -> Reply {
        Reply::default().say(NO_FIELD, cx)
    }
    /// Takes an answer; none where it is not one to what this asked.
    fn answer(&mut self, _answer: &AnyOutput, _cx: &Cx<'_>) -> Option<Reply> {
        None
    }
    /// Draws it; gives where the terminal's cursor belongs.
    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position>;
    /// What the footer offers.
    fn hints(&self) -> Vec<Hint>;
    /// The slot of what it shows and has asked once.
    fn reads(&self) -> Option<Slot> {
        None
    }
    /// The slot of a change that it has sent and that is not answered. It takes that answer also
    /// after it was closed.
    fn awaits(&self) -> Option<Slot> {
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
    /// Where it is drawn.
    pub area: Rect,
    /// What the person holds.
    pub held: Option<&'a CapabilitySet>,
    /// Whether the database does not answer.
    pub lost: bool,
    /// Whether it is still there, rather than closed with an answer on its way.
    pub shown: bool,
}

impl Cx<'_> {
    /// Whether the person holds a capability.
    pub fn has(&self, capability: Capability) -> bool {
        self.held.is_some_and(|held| held.has(capability))
    }
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
    /// List these runs.
    List(RunFilter),
    /// Write a request for support about this.
    Compose(DiagnosticsSubject),
    /// Throw away what was entered for a runbook.
    DropScope,
    /// Throw away the support request that is written.
    DropDraft,
    /// Ask for what the tab shows, also while live updates are paused.
    Refresh,
}

/// Something that the footer offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// A command, and what it is called here.
    Does(Command, &'static str),
    /// A key that no keymap changes, and what it does.
    Key(&'static str, &'static str),
}

impl Hint {
    /// Commands by their own names.
    pub fn of(commands: &[Command]) -> Vec<Self> {
        commands.iter().map(|command| Self::Does(*command, command.help())).collect()
    }
}

impl Reply {
    /// The screen is closed.
    pub fn close() -> Self {
        Self { nav: vec![Nav::Close], ..Self::default() }
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
