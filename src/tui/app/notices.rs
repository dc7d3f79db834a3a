//! What the inbox asks of the rest of the console.

use super::App;
use crate::ops::notifications::Marked;
use crate::tui::look::grouped;
use crate::tui::msg::Effect;
use crate::tui::screens::inbox::Inbox;
use crate::{Error, Result};

impl App {
    /// Says that rows that a key asked for did not come: no poll asks for them.
    pub(super) fn miss_rows(&mut self, error: Option<&Error>) {
        if let Some(error) = error {
            self.say(format!("these rows did not come: {error}"));
        }
    }

    /// Opens the run of the selected notice, which counts as having read it.
    pub(super) fn view_run(&mut self) -> Vec<Effect> {
        let Some(notice) = self.tabs.inbox.selected() else {
            return Vec::new();
        };
        let run = notice.run_id;
        let mut effects = self.tabs.inbox.mark();
        match run {
            Some(id) => effects.extend(self.open_run(id)),
            None => self.say("this notification is not about a run"),
        }
        effects
    }

    /// A click selects a notice; one on the selected notice views its run.
    pub(super) fn click_notice(&mut self, line: u16) -> Vec<Effect> {
        match self.tabs.inbox.click(line) {
            Some(true) => self.view_run(),
            _ => Vec::new(),
        }
    }

    pub(super) fn mark_all_read(&mut self) -> Vec<Effect> {
        let effects = self.tabs.inbox.mark_all();
        if effects.is_empty() && self.tabs.inbox.rows().is_empty() {
            self.say("there is no notification to mark as read");
        }
        effects
    }

    /// Takes what came of marking some notices.
    pub(super) fn marked(&mut self, ids: &[i64], result: Result<Marked>) -> Vec<Effect> {
        let rows = Inbox::rows_in(self.body().height);
        self.tabs.inbox.marked(ids, result.is_ok(), rows, self.look.now);
        match result {
            Ok(_) => self.after_marking(),
            Err(error) => {
                self.say(unmarked(&error));
                Vec::new()
            }
        }
    }

    /// Takes what came of marking all notices; it cannot be undone, so it says what it did.
    pub(super) fn marked_all(&mut self, up_to: i64, result: Result<u64>) -> Vec<Effect> {
        let rows = Inbox::rows_in(self.body().height);
        self.tabs.inbox.marked_all(up_to, result.is_ok(), rows, self.look.now);
        match result {
            Ok(0) => self.say("nothing was unread"),
            Ok(n) => {
                let n = grouped(i64::try_from(n).unwrap_or(i64::MAX));
                self.say(format!("{n} marked as read"));
            }
            Err(error) => {
                self.say(unmarked(&error));
                return Vec::new();
            }
        }
        self.after_marking()
    }

    /// The count in the header and the rows are asked again, paused or not: the person has
    /// just changed them.
    fn after_marking(&self) -> Vec<Effect> {
        if self.session.is_some() { self.tabs.inbox.refresh() } else { Vec::new() }
    }
}

/// Says that notices were not marked, if that is known.
fn unmarked(error: &Error) -> String {
    if error.is_uncertain() { error.to_string() } else { format!("not marked as read: {error}") }
}
