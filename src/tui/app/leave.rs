//! How the console is left, and what the palette leads to.

use super::App;
use crate::tui::command::{Command, Context};
use crate::tui::keymap::{Key, Keymap, Resolved};
use crate::tui::msg::Effect;
use crate::tui::screen::{Go, Target};
use crate::tui::screens::dialogs::question::Question;
use crate::tui::tabs::Tab;
use crate::tui::theme;
use crate::tui::widgets::go_to::GoTo;

impl App {
    /// Closes what lies on top; on a screen it leaves, after a question where something was
    /// entered.
    pub(super) fn close(&mut self) -> Vec<Effect> {
        if !self.modals.is_empty() {
            return self.command(Command::AppBack);
        }
        let Some(why) = self.unsaved().map(str::to_owned) else { return vec![Effect::Quit] };
        let leads = Go::Command(Command::AppQuit);
        let title = " Leave the console? ";
        self.push(Box::new(Question { title, why, yes: "leave", leads }))
    }

    /// What would be lost, as a question says it.
    fn unsaved(&self) -> Option<&'static str> {
        // The wizard comes before a request for support.
        Tab::ALL.iter().rev().find_map(|tab| self.tabs.get(*tab).unsaved())
    }

    /// Whether nothing is open over the screen, and nothing was entered in a form or the wizard.
    pub(in crate::tui) fn may_leave(&self) -> bool {
        self.modals.is_empty() && self.unsaved().is_none()
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

    pub(super) fn go_to(&mut self, target: GoTo) -> Vec<Effect> {
        match target {
            GoTo::Run(id) => self.visit(&Target::Run(id), true),
            GoTo::Request(reference) => self.visit(&Target::Request(reference), true),
            GoTo::Tenant(tenant) => self.visit(&Target::Tenant(tenant.id), true),
            GoTo::Tenants(name) => self.visit(&Target::Tenants(Some(name)), true),
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
