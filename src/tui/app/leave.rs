//! How the console is left, and what the palette leads to.

use crossterm::event::{KeyCode, KeyEvent};

use super::{App, Overlay};
use crate::domain::capability::Capability;
use crate::ops::named::FindNamed;
use crate::tui::command::{Command, Context};
use crate::tui::keymap::{Key, Keymap, Resolved};
use crate::tui::msg::{Effect, Slot};
use crate::tui::screens::support::Target;
use crate::tui::screens::support::compose::Composition;
use crate::tui::theme;
use crate::tui::widgets::go_to::GoTo;
use crate::tui::widgets::palette::{Offer, Palette};

impl App {
    /// Closes what lies on top; on a screen it leaves, after a question where something was
    /// entered.
    pub(super) fn close(&mut self) -> Vec<Effect> {
        if !self.overlays.is_empty() {
            return self.command(Command::AppBack);
        }
        if self.may_leave() {
            return vec![Effect::Quit];
        }
        self.overlays.push(Overlay::Leave);
        Vec::new()
    }

    /// Whether nothing is open over the screen, and nothing was entered in a form or the wizard.
    pub(in crate::tui) fn may_leave(&self) -> bool {
        let writes = self.composition().is_some_and(Composition::has_work);
        self.overlays.is_empty() && !writes && !self.runbooks.has_work()
    }

    /// `y` leaves, anything else stays.
    pub(super) fn answer_leave(&mut self, event: &KeyEvent) -> Vec<Effect> {
        self.overlays.pop();
        if event.code == KeyCode::Char('y') { vec![Effect::Quit] } else { Vec::new() }
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

    /// Changes the palette; asks what is typed there now.
    pub(super) fn change_palette<T>(
        &mut self,
        change: impl FnOnce(&mut Palette) -> T,
    ) -> (Option<T>, Vec<Effect>) {
        let may_ask =
            self.session.as_ref().is_some_and(|s| s.capabilities.has(Capability::OpsView));
        let Some(Overlay::Palette(palette)) = self.overlays.last_mut() else {
            return (None, Vec::new());
        };
        let before = palette.typed().to_owned();
        let changed = change(palette);
        let text = palette.typed().to_owned();
        let asks = may_ask && !text.is_empty() && text != before;
        let asked = Effect::ask(Slot::Named, FindNamed { text });
        (Some(changed), asks.then_some(asked).into_iter().collect())
    }

    /// Does what is selected in the palette.
    pub(super) fn accept_offer(&mut self) -> Vec<Effect> {
        let Some(Overlay::Palette(palette)) = self.overlays.last() else { return Vec::new() };
        let Some(offer) = palette.chosen() else {
            self.say("nothing is selected; type a name or an ID, or move to a command");
            return Vec::new();
        };
        self.overlays.pop();
        match offer {
            // Here, too, nothing that was entered is lost without a question.
            Offer::Command(Command::AppQuit) => self.close(),
            Offer::Command(command) => self.command(command),
            Offer::GoTo(target) => self.go_to(target),
        }
    }

    fn go_to(&mut self, target: GoTo) -> Vec<Effect> {
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
