//! Changing a run from the console: who may, what is asked first, what is told afterwards.

use super::App;
use crate::domain::capability::Capability;
use crate::domain::run::Run;
use crate::domain::run_facts::{Retry, RunFacts};
use crate::tui::command::Command;
use crate::tui::control::{Control, LOST};
use crate::tui::msg::{Effect, Slot};
use crate::tui::screens::dialogs::confirm::Confirm;
use crate::tui::tabs::Tab;

impl App {
    /// The run that a change would be about, and the facts that decide what is possible.
    fn subject(&self) -> Option<(&Run, RunFacts<'_>)> {
        let now = self.look.now;
        let run = match self.tab {
            Tab::Operations => self.tabs.operations.selected_run()?,
            Tab::Run => {
                let detail = self.tabs.run.detail()?;
                return Some((&detail.run, detail.facts(now)));
            }
            Tab::Overview => self.overview_run()?,
            Tab::Telemetry | Tab::Support | Tab::Inbox | Tab::Workers | Tab::Runbooks => {
                return None;
            }
        };
        Some((run, RunFacts::of(run, now)))
    }

    /// Whether the person may change runs at all.
    pub(super) fn may_manage(&self) -> bool {
        self.session.as_ref().is_some_and(|s| s.capabilities.has(Capability::OpsManage))
    }

    /// What can be asked of the run at hand, with the words for the footer.
    pub(in crate::tui) fn controls(&self) -> Vec<(Command, String)> {
        if self.group().is_some() && self.may_manage() && !self.greyed() {
            return vec![(Command::RunRetry, "retry error".to_owned())];
        }
        let Some((_, facts)) = self.subject().filter(|_| self.may_manage() && !self.greyed())
        else {
            return Vec::new();
        };
        let mut offers = Vec::new();
        if let Some(hint) = facts.retry_hint() {
            offers.push((Command::RunRetry, hint));
        }
        if facts.no_cancel().is_none() {
            offers.push((Command::RunCancel, "cancel".to_owned()));
        } else if self.tab == Tab::Run && facts.no_close().is_none() {
            offers.push((Command::RunClose, "force close".to_owned()));
        }
        if self.tab == Tab::Run && facts.no_change().is_none() {
            let word = if facts.pause_requested { "resume" } else { "pause" };
            offers.push((Command::RunPause, word.to_owned()));
        }
        offers
    }

    /// Opens the dialog for a change, or says why it cannot be made.
    pub(super) fn ask_control(&mut self, command: Command) -> Vec<Effect> {
        if !self.may_manage() {
            let needed = Capability::OpsManage;
            self.say(format!("this needs the capability {needed}; ask an admin"));
            return Vec::new();
        }
        if self.greyed() {
            self.say(LOST);
            return Vec::new();
        }
        if self.awaits(Slot::Control) {
            self.say("the last request is still being sent");
            return Vec::new();
        }
        if self.tab == Tab::Overview && self.tabs.overview.errors().is_some() {
            return self.ask_group();
        }
        let Some((run, facts)) = self.subject() else {
            self.say(if self.tab == Tab::Overview {
                "R retries the failure under the cursor; f shows errors, to retry all runs of one"
            } else {
                "no run is selected"
            });
            return Vec::new();
        };
        let control = match command {
            Command::RunCancel => Control::Cancel,
            Command::RunClose => Control::Close,
            Command::RunRetry => Control::Retry,
            _ if facts.pause_requested => Control::Resume,
            _ => Control::Pause,
        };
        if let Some(why) = control.refusal(&facts) {
            match facts.retry() {
                Retry::Impossible(no) if control == Control::Retry => match no.other_run() {
                    Some(other) => self.say_with(format!("{why}, enter to view"), Some(other)),
                    None => self.say(why),
                },
                _ => self.say(why),
            }
            return Vec::new();
        }
        let run = run.clone();
        self.push(Box::new(Confirm::of(run, control)))
    }

    /// Asks for what is shown, also while live updates are paused.
    pub(super) fn ask_again(&self) -> Vec<Effect> {
        match self.tab {
            Tab::Operations => vec![self.tabs.operations.refresh()],
            Tab::Run => self.tabs.run.refresh(),
            Tab::Workers => self.tabs.workers.refresh(),
            Tab::Overview => self.tabs.overview.refresh(self.window),
            Tab::Telemetry | Tab::Support | Tab::Inbox | Tab::Runbooks => self.ask_now(),
        }
    }
}
