//! Places: what the tabs show, where one comes from, and back.

use super::App;
use crate::tui::msg::Effect;
use crate::tui::screen::{Nav, Place, Target, Way};
use crate::tui::tabs::Tab;

/// The most places that are remembered: a night's walk.
const PLACES: usize = 100;

impl App {
    fn here(&self) -> Place {
        let shown = Tab::ALL.iter().filter_map(|tab| self.tabs.get(*tab).place());
        Place { tab: self.tab, shown: shown.collect() }
    }

    fn remember(&mut self, place: Place) {
        if self.back.last() != Some(&place) {
            self.back.push(place);
        }
        self.forward.clear();
        if self.back.len() > PLACES {
            self.back.remove(0);
        }
    }

    pub(super) fn go(&mut self, tab: Tab) -> Vec<Effect> {
        if tab == self.tab {
            return Vec::new();
        }
        self.remember(self.here());
        self.tab = tab;
        let mut effects = self.ask_now();
        effects.extend(self.ask_front(|front, cx| front.open(cx)));
        effects
    }

    /// Shows what the person `named`, or what they are led to, on the tab that it belongs to.
    pub(super) fn visit(&mut self, target: &Target, named: bool) -> Vec<Effect> {
        let here = self.here();
        for tab in Tab::ALL.iter().copied() {
            let place = here.clone();
            let way = if named { Way::Named(place) } else { Way::Led(place) };
            let shown = self.act(Some(tab), |screen, cx| screen.show(target, way, cx));
            let Some(reply) = shown else { continue };
            if !reply.nav.iter().any(|nav| matches!(nav, Nav::Stay)) {
                if tab != self.tab || self.tabs.get(tab).place().is_some() {
                    self.remember(here);
                }
                self.tab = tab;
            }
            return self.follow(reply);
        }
        Vec::new()
    }

    /// Has something ready on its tab, without going there.
    pub(super) fn ready(&mut self, target: &Target) -> Vec<Effect> {
        self.restore(target, self.tab)
    }

    fn restore(&mut self, target: &Target, from: Tab) -> Vec<Effect> {
        let show = |tab| self.act(Some(tab), |screen, cx| screen.show(target, Way::Back(from), cx));
        let shown = Tab::ALL.iter().copied().find_map(show);
        shown.map_or_else(Vec::new, |reply| self.follow(reply))
    }

    /// Goes to a place that something was opened from; what was looked at since lies between.
    pub(super) fn return_to(&mut self, place: Place) -> Vec<Effect> {
        if let Some(at) = self.back.iter().rposition(|before| *before == place) {
            self.back.truncate(at + 1);
        } else {
            self.back.push(place);
        }
        self.travel(true)
    }

    /// Goes to the place before this one, or forward again.
    pub(super) fn travel(&mut self, backwards: bool) -> Vec<Effect> {
        let here = self.here();
        let place = if backwards { self.back.pop() } else { self.forward.pop() };
        let Some(place) = place else {
            self.say("there is no place to go to");
            return Vec::new();
        };
        if backwards {
            self.forward.push(here);
        } else {
            self.back.push(here);
        }
        self.tab = place.tab;
        let mut effects = self.ask_front(|front, cx| front.open(cx));
        for (target, from) in &place.shown {
            effects.extend(self.restore(target, *from));
        }
        effects.extend(self.ask_now());
        effects
    }
}
