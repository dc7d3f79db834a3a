//! The last step: the phrase that starts it, and what became of it.

use crossterm::event::KeyEvent;
use uuid::Uuid;

use crate::tui::widgets::text_field::TextField;
use crate::{Error, ErrorKind};

const LIMIT: usize = 120;

#[derive(Debug)]
pub(super) struct ConfirmStep {
    pub(super) field: TextField,
    /// The same for every attempt with one plan.
    pub(super) request_id: String,
    pub(super) sending: bool,
    pub(super) error: Option<Error>,
    pub(super) wait_for_worker: bool,
    /// Index of the first line of the summary on the screen.
    pub(super) top: usize,
}

impl Default for ConfirmStep {
    fn default() -> Self {
        Self {
            field: TextField::new(LIMIT),
            request_id: Uuid::new_v4().to_string(),
            sending: false,
            error: None,
            wait_for_worker: false,
            top: 0,
        }
    }
}

impl ConfirmStep {
    /// What was typed before for other settings does not count for these.
    pub(super) fn enter(&mut self) {
        if !self.sending {
            self.empty();
            self.wait_for_worker = false;
        }
        self.top = 0;
    }

    pub(super) fn empty(&mut self) {
        self.field.clear();
        self.error = None;
    }

    pub(super) fn type_key(&mut self, event: &KeyEvent) {
        if !self.sending && self.field.key(event) {
            self.error = None;
        }
    }

    /// Whether the platform refused the plan as it is: only a new one can be started.
    pub(super) fn is_refused(&self) -> bool {
        let refused = |error: &Error| {
            matches!(error.kind(), ErrorKind::Refused | ErrorKind::NotFound) && !self.sending
        };
        self.error.as_ref().is_some_and(refused)
    }
}
