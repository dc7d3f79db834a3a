//! What is asked once, for what is not polled: it is asked again until it is answered.

use std::collections::BTreeMap;

use crate::tui::msg::Request;
use crate::tui::slot::Slot;
use crate::{Error, ErrorKind};

#[derive(Debug, Clone, Default)]
pub(in crate::tui) struct Once(BTreeMap<Slot, Asked>);

#[derive(Debug, Clone)]
struct Asked {
    request: Request,
    answered: bool,
}

impl Once {
    /// Takes note of a question; tells whether what was known of the slot is not about it.
    pub(in crate::tui) fn ask(&mut self, slot: Slot, request: &Request) -> bool {
        let asked = Asked { request: request.clone(), answered: false };
        let before = self.0.insert(slot, asked);
        // An earlier plan is gone once another preflight is asked for.
        slot.is_work() || before.is_some_and(|before| before.request != *request)
    }

    pub(in crate::tui) fn answer(&mut self, slot: Slot, error: Option<&Error>) {
        if let Some(asked) = self.0.get_mut(&slot) {
            asked.answered = !error.is_some_and(is_asked_again);
        }
    }

    /// What a slot was asked, as long as it is not answered.
    pub(in crate::tui) fn open(&self, slot: Slot) -> Option<&Request> {
        self.0.get(&slot).filter(|asked| !asked.answered).map(|asked| &asked.request)
    }

    pub(in crate::tui) fn forget(&mut self, slot: Slot) {
        self.0.remove(&slot);
    }

    /// Forgets what is asked anew when it is opened again, unless it is `shown`.
    pub(in crate::tui) fn forget_closed(&mut self, shown: &[Slot]) {
        self.0.retain(|slot, _| !slot.is_asked_anew() || shown.contains(slot));
    }
}

/// Whether what failed so is asked again by itself: the database could not answer, and nothing was
/// changed.
fn is_asked_again(error: &Error) -> bool {
    let unanswered = matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::TimedOut);
    (unanswered || error.fault().is_some()) && !error.is_uncertain()
}

pub(in crate::tui) fn told(error: &Error) -> String {
    if !is_asked_again(error) {
        return error.to_string();
    }
    // What another session holds is not the person's to try.
    let next = error.next_step().filter(|_| error.kind() != ErrorKind::TimedOut);
    let next = next.map(|next| format!("; {next}")).unwrap_or_default();
    format!("{}{next}. It is tried again by itself.", error.message())
}
