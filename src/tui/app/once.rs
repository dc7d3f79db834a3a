//! What is asked once, for what is not polled: it is asked again until it is answered.

use std::collections::BTreeMap;

use super::App;
use crate::tui::msg::{Effect, Follows, Request, Slot, Sub};
use crate::{Error, ErrorKind};

/// What was asked once last, by slot.
#[derive(Debug, Clone, Default)]
pub(super) struct Once(BTreeMap<Slot, Asked>);

#[derive(Debug, Clone)]
struct Asked {
    request: Request,
    answered: bool,
}

impl Once {
    /// Takes note of a question; tells whether what was known of the slot is not about it.
    pub(super) fn ask(&mut self, slot: Slot, request: &Request) -> bool {
        let asked = Asked { request: request.clone(), answered: false };
        let before = self.0.insert(slot, asked);
        // An earlier plan is gone once another preflight is asked for.
        slot == Slot::Preflight || before.is_some_and(|before| before.request != *request)
    }

    /// Takes note of an answer.
    pub(super) fn answer(&mut self, slot: Slot, error: Option<&Error>) {
        if let Some(asked) = self.0.get_mut(&slot) {
            asked.answered = !error.is_some_and(is_asked_again);
        }
    }

    /// What a slot was asked, as long as it is not answered.
    pub(super) fn open(&self, slot: Slot) -> Option<&Request> {
        self.0.get(&slot).filter(|asked| !asked.answered).map(|asked| &asked.request)
    }

    /// Forgets what a slot was asked.
    fn forget(&mut self, slot: Slot) {
        self.0.remove(&slot);
    }
}

/// Whether what failed so is asked again by itself: the database could not answer, and nothing was
/// changed.
fn is_asked_again(error: &Error) -> bool {
    let unanswered = matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::TimedOut);
    (unanswered || error.fault().is_some()) && !error.is_uncertain()
}

/// What is said of it where it is shown.
pub(in crate::tui) fn told(error: &Error) -> String {
    if !is_asked_again(error) {
        return error.to_string();
    }
    // What another session holds is not the person's to try.
    let next = error.next_step().filter(|_| error.kind() != ErrorKind::TimedOut);
    let next = next.map(|next| format!("; {next}")).unwrap_or_default();
    format!("{}{next}. It is tried again by itself.", error.message())
}

impl Slot {
    /// Whether it is asked for what is not polled.
    const fn is_asked_once(self) -> bool {
        self.is_read_once() || self.is_made_once()
    }

    /// The same, where it only reads.
    const fn is_read_once(self) -> bool {
        matches!(
            self,
            Self::ScopeChoices | Self::PlanTargets | Self::Plan | Self::Named | Self::Names
        )
    }

    /// The same, where the answer leaves something behind, if only in the audit log.
    const fn is_made_once(self) -> bool {
        matches!(self, Self::Preflight | Self::Evidence | Self::Diagnostics)
    }
}

impl App {
    /// The slots of what is shown and asked once.
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
        for slot in [Slot::Plan, Slot::Named, Slot::Names] {
            if !shown.contains(&slot) {
                self.link.once.forget(slot);
            }
        }
    }
}
