//! What lies over the tabs: the top one gets what happens, and one level back closes it.

use super::App;
use crate::ops::AnyOutput;
use crate::tui::msg::{Effect, Slot};
use crate::tui::screen::{Cx, Go, Nav, Reply, Screen};

impl App {
    /// What a screen may read.
    pub(in crate::tui) fn cx(&self) -> Cx<'_> {
        Cx {
            look: &self.look,
            keymap: &self.setup.keymap,
            area: self.body(),
            held: self.session.as_ref().map(|session| &session.capabilities),
            lost: self.greyed(),
            shown: true,
        }
    }

    /// Lays a screen over what is shown.
    pub fn push(&mut self, mut screen: Box<dyn Screen>) -> Vec<Effect> {
        let reply = screen.open(&self.cx());
        self.modals.push(screen);
        self.follow_reply(reply)
    }

    /// Has the top one do something.
    pub(super) fn ask_top(
        &mut self,
        act: impl FnOnce(&mut dyn Screen, &Cx<'_>) -> Reply,
    ) -> Vec<Effect> {
        let Some(mut top) = self.modals.pop() else { return Vec::new() };
        let reply = act(top.as_mut(), &self.cx());
        if !reply.closes() {
            self.modals.push(top);
        }
        self.follow_reply(reply)
    }

    /// Closes the top one; what it has sent is answered all the same.
    pub(super) fn close_top(&mut self) {
        self.closed.extend(self.modals.pop().filter(|top| top.awaits().is_some()));
    }

    /// Whether a change that one of them has sent in this slot is not answered yet.
    pub(super) fn awaits(&self, slot: Slot) -> bool {
        self.modals.iter().chain(&self.closed).any(|screen| screen.awaits() == Some(slot))
    }

    /// Gives an answer to whichever asked for it.
    pub(super) fn answer_modals(&mut self, answer: &AnyOutput) -> Vec<Effect> {
        let mut replies = Vec::new();
        let (mut modals, mut closed) =
            (std::mem::take(&mut self.modals), std::mem::take(&mut self.closed));
        for (shown, screens) in [(true, &mut modals), (false, &mut closed)] {
            let cx = Cx { shown, ..self.cx() };
            screens.retain_mut(|screen| {
                let Some(reply) = screen.answer(answer, &cx) else { return true };
                let stays = !reply.closes() && (shown || screen.awaits().is_some());
                replies.push(reply);
                stays
            });
        }
        (self.modals, self.closed) = (modals, closed);
        replies.into_iter().flat_map(|reply| self.follow_reply(reply)).collect()
    }

    /// Does what a screen asks of the console.
    fn follow_reply(&mut self, reply: Reply) -> Vec<Effect> {
        let mut effects = reply.effects;
        if reply.toast.is_some() {
            self.toast = reply.toast;
        }
        for nav in reply.nav {
            effects.extend(match nav {
                Nav::Close => Vec::new(),
                Nav::Push(screen) => self.push(screen),
                Nav::Go(Go::Command(command)) => self.command(command),
                Nav::Go(Go::To(target)) => self.go_to(target),
                Nav::Go(Go::List(filter)) => self.lead_to_list(filter),
                Nav::Go(Go::Compose(subject)) => self.compose(subject),
                Nav::Go(Go::DropScope) => self.tabs.runbooks.throw_away(),
                Nav::Go(Go::DropDraft) => self.drop_draft(),
                Nav::Go(Go::Refresh) => self.ask_again(),
            });
        }
        effects
    }
}
