//! How the console is left, and what the palette leads to.

use super::App;
use crate::tui::command::{Command, Context};
use crate::tui::keymap::{Key, Keymap, Resolved};
use crate::tui::msg::Effect;
use crate::tui::screen::Go;
use crate::tui::screens::dialogs::question::Question;
use crate::tui::screens::support::Target;
use crate::tui::screens::support::compose::Composition;
use crate::tui::theme;
use crate::tui::widgets::go_to::GoTo;

/// What the question before the console is left with a started runbook says.
const LEAVE: &str = "What was entered for the runbook would be lost. y leaves the console, any \
                     other key stays.";
/// What the question before the console is left with a draft says.
const LEAVE_DRAFT: &str = "A support request is being written. y leaves the console, any other \
                           key stays.";

impl App {
    /// Closes what lies on top; on a screen it leaves, after a question where something was
    /// entered.
    pub(super) fn close(&mut self) -> Vec<Effect> {
        if !self.modals.is_empty() {
            return self.command(Command::AppBack);
        }
        if self.may_leave() {
            return vec![Effect::Quit];
        }
        let why = if self.tabs.runbooks.has_work() { LEAVE } else { LEAVE_DRAFT }.to_owned();
        let leads = Go::Command(Command::AppQuit);
        let title = " Leave the console? ";
        self.push(Box::new(Question { title, why, yes: "leave", leads }))
    }

    /// Whether nothing is open over the screen, and nothing was entered in a form or the wizard.
    pub(in crate::tui) fn may_leave(&self) -> bool {
        let writes = self.composition().is_some_and(Composition::has_work);
        self.modals.is_empty() && !writes && !self.tabs.runbooks.has_work()
    }

    /// Where nothing is shown, nothing is done but to leave: nobody sees what a key would do.
    pub(super) fn key_unseen(&mut self, key: Key) -> Vec<Effect> {
        match self.setup.keymap.resolve(Context::Operations, &self.pending, key) {
            Resolved::Pending => self.pending.push(key),
            Resolved::Command(command @ (Command::AppQuit | Command::AppSuspend)) => {
                self.pending.clear();
                return self.command(command);
            }
            Resolved::Command(Command::AppClose) if self.may_leave() => {
                return self.command(Command::AppQuit);
            }
            Resolved::Command(_) | Resolved::Unbound => self.pending.clear(),
        }
        Vec::new()
    }

    /// Goes to what was named.
    pub(super) fn go_to(&mut self, target: GoTo) -> Vec<Effect> {
        let of_support = matches!(target, GoTo::Request(_) | GoTo::Tenant(_) | GoTo::Tenants(_));
        if of_support && self.composition().is_some_and(Composition::has_work) {
            self.say("a support request is being written; leave it first");
            return Vec::new();
        }
        if of_support {
            self.composing.open = None;
        }
        match target {
            GoTo::Run(id) => self.open_run(id),
            GoTo::Request(reference) => self.open_support(Target::Request(reference)),
            GoTo::Tenant(tenant) => self.open_support(Target::Tenant(tenant.id)),
            GoTo::Tenants(name) => self.find_tenants(&name),
            GoTo::Theme(name) => {
                if let Some(index) = theme::EMBEDDED.iter().position(|(known, _)| *known == name) {
                    self.show_theme(index);
                }
                Vec::new()
            }
            GoTo::Keymap(name) => {
                if let Ok(keymap) = Keymap::embedded(name) {
                    self.setup.keymap = keymap;
                    self.say(format!("keymap {name}"));
                }
                Vec::new()
            }
        }
    }
}
