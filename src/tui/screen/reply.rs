//! What a screen asks of the console.

use chrono::{DateTime, Utc};

use crate::Error;
use crate::domain::window::Window;
use crate::ops::AnyOperation;
use crate::tui::command::Command;
use crate::tui::msg::{Effect, Sub};
use crate::tui::screen::{Cx, Place, Screen, Target};
use crate::tui::slot::Slot;
use crate::tui::tabs::Tab;
use crate::tui::widgets::form::Pasted;
use crate::tui::widgets::go_to::GoTo;

const TOAST: chrono::Duration = chrono::Duration::seconds(4);
/// How long a notice stays that leads somewhere.
const LEADING_TOAST: chrono::Duration = chrono::Duration::seconds(15);

/// What is said where a confirmation is pasted.
pub const UNTYPED: &str = "a confirmation has to be typed; the pasted text was not taken";
/// What is said where a field had no room for all of a paste.
pub const CUT: &str = "the paste was longer than the field and was cut off";

#[derive(Debug, Default)]
pub struct Reply {
    pub effects: Vec<Effect>,
    pub nav: Vec<Nav>,
    pub toast: Option<Toast>,
}

#[derive(Debug)]
pub enum Nav {
    Close,
    Up(Command),
    /// What was to be shown is not: the tab stays.
    Stay,
    Push(Box<dyn Screen>),
    Go(Go),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Go {
    /// Do a command, as though its key was pressed on the tab.
    Command(Command),
    To(GoTo),
    Show(Target),
    Ready(Target),
    Tab(Tab),
    /// Return to a place; what was looked at since lies between.
    Return(Place),
    Window(Window),
    WindowKnown(Window),
    /// Throw away what the tab would lose.
    Discard,
    /// Ask for what the tab shows, also while live updates are paused.
    Refresh,
    /// Ask for what is shown without waiting for its next poll.
    Poll,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
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

    pub const fn own(command: Command) -> Self {
        Self::Does(command, command.help())
    }
}

impl Reply {
    pub fn close() -> Self {
        Self { nav: vec![Nav::Close], ..Self::default() }
    }

    pub fn up(command: Command) -> Self {
        Self { nav: vec![Nav::Up(command)], ..Self::default() }
    }

    pub fn show(target: Target) -> Self {
        Self::default().go(Go::Show(target))
    }

    /// What was to be shown is not, and why.
    pub fn refuse(why: impl Into<String>, cx: &Cx<'_>) -> Self {
        Self { nav: vec![Nav::Stay], ..Self::default() }.say(why, cx)
    }

    pub fn of(effects: Vec<Effect>) -> Self {
        Self { effects, ..Self::default() }
    }

    /// What is polled is asked now.
    pub fn asks(subs: &[Sub]) -> Self {
        let ask = |sub: &Sub| Effect::Ask(sub.slot, sub.request.clone());
        Self::of(subs.iter().map(ask).collect())
    }

    pub fn ask(slot: Slot, operation: impl Into<AnyOperation>) -> Self {
        Self { effects: vec![Effect::ask(slot, operation)], ..Self::default() }
    }

    #[must_use]
    pub fn go(mut self, go: Go) -> Self {
        self.nav.push(Nav::Go(go));
        self
    }

    #[must_use]
    pub fn push(mut self, screen: impl Screen + 'static) -> Self {
        self.nav.push(Nav::Push(Box::new(screen)));
        self
    }

    #[must_use]
    pub fn and(mut self, effects: impl IntoIterator<Item = Effect>) -> Self {
        self.effects.extend(effects);
        self
    }

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

    pub fn closes(&self) -> bool {
        self.nav.iter().any(|nav| matches!(nav, Nav::Close))
    }
}

#[derive(Debug, Clone)]
pub struct Toast {
    pub text: String,
    /// The run that enter opens while the notice is shown.
    pub view: Option<i64>,
    pub until: DateTime<Utc>,
}

impl Toast {
    /// A notice at `now` that may lead to a run.
    pub fn new(text: impl Into<String>, view: Option<i64>, now: DateTime<Utc>) -> Self {
        let stays = if view.is_some() { LEADING_TOAST } else { TOAST };
        Self { text: text.into(), view, until: now + stays }
    }
}
