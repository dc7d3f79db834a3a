//! What of the things that are asked once is shown.

use super::App;
use crate::tui::msg::{Effect, Follows, Sub};
use crate::tui::slot::Slot;

impl App {
    fn once(&self) -> Vec<Slot> {
        if self.session.is_none() {
            return Vec::new();
        }
        let cx = self.cx_of_link();
        let on_tab = self.below().reads(&cx);
        let over_it = self.modals.last().and_then(|top| top.reads(&cx));
        on_tab.into_iter().chain(over_it).collect()
    }

    /// Those of them that only read, so that leaving them gives them up.
    pub(super) fn read_once(&self) -> Vec<Slot> {
        self.once().into_iter().filter(|slot| slot.is_read_once()).collect()
    }

    /// What is to be asked again until it is answered.
    pub(super) fn once_subs(&self) -> Vec<Sub> {
        let every = self.poll_every();
        let open = |slot| Some((slot, self.link.once.open(slot)?.clone()));
        let open = self.once().into_iter().filter_map(open);
        open.map(|(slot, request)| Sub { slot, request, every, follows: Follows::Time }).collect()
    }

    /// Takes note of what is asked once, or given up.
    pub(super) fn note_asked(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Ask(slot, request) if slot.is_asked_once() => {
                    self.link.asked(*slot, request);
                }
                Effect::Stop(slot) => self.link.once.forget(*slot),
                _ => {}
            }
        }
        // What lies over a screen asks anew when it is opened.
        let shown = self.once();
        self.link.once.forget_closed(&shown);
    }
}
