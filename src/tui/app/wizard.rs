//! The wizard of runbooks inside the console: what reaches it, and what it asks for.

use crossterm::event::KeyEvent;
use ratatui::layout::Rect;

use super::{App, Setup};
use crate::Result;
use crate::ops::AnyOutput;
use crate::ops::auth::Session;
use crate::tui::command::{Command, Context};
use crate::tui::export::ExportPlan;
use crate::tui::look::Look;
use crate::tui::msg::Effect;
use crate::tui::screen::Go;
use crate::tui::screens::dialogs::question::Question;
use crate::tui::screens::runbooks::{Around, Outcome, Runbooks};
use crate::tui::tabs::Tab;

/// What the question before a draft of the wizard is discarded says.
const DISCARD: &str = "What was selected and typed for this runbook would be lost. y discards it, \
                       any other key keeps it.";

impl App {
    fn wizard(&mut self, act: impl FnOnce(&mut Runbooks, &Around<'_>) -> Outcome) -> Outcome {
        let (area, lost, glass) = (self.body(), self.greyed(), self.break_glass().is_some());
        let around = around(self.session.as_ref(), &self.look, &self.setup, area, lost);
        act(&mut self.tabs.runbooks, &Around { always_reason: glass, ..around })
    }

    /// What the wizard has to know of the console around it.
    pub(in crate::tui) fn around_wizard(&self) -> Around<'_> {
        let always_reason = self.break_glass().is_some();
        let (area, lost) = (self.body(), self.greyed());
        Around {
            always_reason,
            ..around(self.session.as_ref(), &self.look, &self.setup, area, lost)
        }
    }

    /// Whether keys reach the wizard.
    pub(in crate::tui) fn in_wizard(&self) -> bool {
        self.session.is_some() && self.tab == Tab::Runbooks && self.modals.is_empty()
    }

    /// Whether a command means the wizard rather than the console, while the wizard has the keys.
    pub(super) fn is_wizards(&self, command: Command) -> bool {
        if self.context() == Context::Runbooks {
            return false;
        }
        match command {
            Command::AppBack | Command::FilterEdit => true,
            _ => self.context() == Context::Filter,
        }
    }

    pub(super) fn command_wizard(&mut self, command: Command) -> Vec<Effect> {
        if self.refuses_wizard() {
            return if command == Command::AppBack { self.go(Tab::Operations) } else { Vec::new() };
        }
        let outcome = self.wizard(|runbooks, around| runbooks.command(command, around));
        self.follow(outcome)
    }

    pub(super) fn click_wizard(&mut self, row: u16) -> Vec<Effect> {
        if self.refuses_wizard() {
            return Vec::new();
        }
        let outcome = self.wizard(|runbooks, around| runbooks.click(row, around));
        self.follow(outcome)
    }

    pub(super) fn type_in_wizard(&mut self, event: &KeyEvent) -> Vec<Effect> {
        let outcome = self.tabs.runbooks.type_key(event);
        self.follow(outcome)
    }

    pub(super) fn paste_in_wizard(&mut self, text: &str) -> Vec<Effect> {
        let outcome = self.tabs.runbooks.paste(text);
        self.follow(outcome)
    }

    pub(super) fn take_in_wizard(&mut self, output: AnyOutput) -> Vec<Effect> {
        let outcome = self.tabs.runbooks.take(output);
        self.follow(outcome)
    }

    pub(super) fn plan_written(
        &mut self,
        asked: &ExportPlan,
        written: Result<usize>,
    ) -> Vec<Effect> {
        let outcome = self.tabs.runbooks.exported(asked, written);
        self.follow(outcome)
    }

    /// Whether the person may not even look at the wizard.
    pub(in crate::tui) fn refuses_wizard(&self) -> bool {
        let held = self.session.as_ref().map(|session| &session.capabilities);
        held.is_none_or(|held| Runbooks::refusal(held).is_some())
    }

    /// Does what the wizard asks of the console.
    fn follow(&mut self, outcome: Outcome) -> Vec<Effect> {
        let mut effects = outcome.effects;
        if let Some(text) = outcome.say {
            self.say_with(text, outcome.view);
        }
        // The notice goes; the run stays where runs are looked at.
        if let Some(id) = outcome.view {
            effects.extend(self.tabs.run.open(id));
        }
        if outcome.leave {
            effects.extend(self.go(Tab::Operations));
        }
        if outcome.ask {
            effects.extend(if self.tabs.runbooks.has_work() {
                let (title, why, leads) = (" Discard it? ", DISCARD.to_owned(), Go::DropScope);
                self.push(Box::new(Question { title, why, yes: "discard", leads }))
            } else {
                self.tabs.runbooks.throw_away()
            });
        }
        effects
    }
}

/// What the wizard has to know of the console around it.
fn around<'a>(
    session: Option<&Session>,
    look: &'a Look,
    setup: &'a Setup,
    area: Rect,
    lost: bool,
) -> Around<'a> {
    Around {
        held: session.map(|session| session.capabilities.clone()).unwrap_or_default(),
        lost,
        always_reason: false,
        look,
        keymap: &setup.keymap,
        area,
        exports: setup.exports.as_deref(),
    }
}
