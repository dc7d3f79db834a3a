//! Changing a run from the console: who may, what is asked first, what is told afterwards.

use super::{App, Overlay};
use crate::Result;
use crate::domain::capability::Capability;
use crate::domain::run::Run;
use crate::domain::run_facts::{Retry, RunFacts};
use crate::ops::overview::PlanGroupRetry;
use crate::ops::runs::{Controlled, PlanRetry, Retried, RetryPlan};
use crate::tui::command::{Command, Context};
use crate::tui::control::{Control, retry_outcome};
use crate::tui::msg::{Effect, Slot};
use crate::tui::screens::Tab;
use crate::tui::widgets::confirm::Confirm;

/// Why nothing can be changed while the database does not answer.
pub(super) const LOST: &str =
    "changes are disabled: the database does not answer; they come back with it";

impl App {
    /// The run that a change would be about, and the facts that decide what is possible.
    fn subject(&self) -> Option<(&Run, RunFacts<'_>)> {
        let now = self.look.now;
        let run = match self.tab {
            Tab::Operations => self.operations.selected_run()?,
            Tab::Run => {
                let detail = self.run.detail()?;
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
        if self.sending {
            self.say("the last request is still being sent");
            return Vec::new();
        }
        if self.tab == Tab::Overview && self.overview.errors().is_some() {
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
        let (id, run) = (run.id, run.clone());
        let confirm = Confirm::of(run, control).with_wait_key(self.wait_key());
        self.overlays.push(Overlay::Confirm(Box::new(confirm)));
        match control {
            Control::Retry => vec![Effect::ask(Slot::Plan, PlanRetry { run_id: id })],
            _ => Vec::new(),
        }
    }

    /// A command in the dialog.
    pub(super) fn command_confirm(&mut self, command: Command) -> Vec<Effect> {
        let lost = self.greyed();
        let Some(Overlay::Confirm(confirm)) = self.overlays.last_mut() else {
            return Vec::new();
        };
        let Some(operation) = confirm.command(command) else {
            return Vec::new();
        };
        if lost {
            confirm.failed(crate::Error::new(crate::ErrorKind::Unreachable, LOST));
            return Vec::new();
        }
        self.sending = true;
        vec![Effect::ask(Slot::Control, operation)]
    }

    /// The dialog about a run, if it is open.
    pub(super) fn dialog(&mut self, run_id: i64, control: Control) -> Option<&mut Confirm> {
        self.overlays.iter_mut().find_map(|overlay| match overlay {
            Overlay::Confirm(confirm) if confirm.is_about(run_id, control) => Some(&mut **confirm),
            _ => None,
        })
    }

    /// The key that has a new run wait for a worker.
    pub(super) fn wait_key(&self) -> String {
        let command = Command::WaitForWorker;
        let keys = self.setup.keymap.keys_for(Context::Confirm, command);
        keys.into_iter().next().unwrap_or_else(|| format!(":{command}"))
    }

    /// The new runs may wait for a worker: the second choice of the dialog.
    pub(super) fn choose_waiting(&mut self) -> Vec<Effect> {
        let window = self.window;
        let Some(Overlay::Confirm(confirm)) = self.overlays.last_mut() else {
            return Vec::new();
        };
        match confirm.wait_for_worker() {
            Some(fingerprint) => {
                let plan = PlanGroupRetry { fingerprint, window, wait_for_worker: true };
                vec![Effect::ask(Slot::Plan, plan)]
            }
            None => Vec::new(),
        }
    }

    /// Takes what a retry would do.
    pub(super) fn counted(&mut self, run_id: i64, plan: Result<RetryPlan>) {
        if let Some(dialog) = self.dialog(run_id, Control::Retry) {
            dialog.take_plan(plan);
        }
    }

    /// Takes what came of a change.
    pub(super) fn controlled(
        &mut self,
        run_id: i64,
        control: Control,
        done: Result<Controlled>,
    ) -> Vec<Effect> {
        self.changed(run_id, control, done.map(|done| (control.outcome(run_id, done), None)))
    }

    /// Takes what came of a retry; its run can be viewed then.
    pub(super) fn retried(&mut self, run_id: i64, done: Result<Retried>) -> Vec<Effect> {
        let done = done.map(|done| (retry_outcome(&done), Some(done.started.run_id)));
        self.changed(run_id, Control::Retry, done)
    }

    fn changed(
        &mut self,
        run_id: i64,
        control: Control,
        done: Result<(String, Option<i64>)>,
    ) -> Vec<Effect> {
        self.sending = false;
        match done {
            Ok((text, view)) => {
                self.overlays.retain(|overlay| {
                    !matches!(overlay, Overlay::Confirm(dialog)
                              if dialog.is_about(run_id, control))
                });
                self.say_with(text, view);
                self.ask_again()
            }
            Err(error) => {
                match self.dialog(run_id, control) {
                    Some(dialog) => dialog.failed(error),
                    None => self.say(format!("run {run_id}: {error}")),
                }
                Vec::new()
            }
        }
    }

    /// Asks for what is shown, also while live updates are paused.
    pub(super) fn ask_again(&self) -> Vec<Effect> {
        match self.tab {
            Tab::Operations => vec![self.operations.refresh()],
            Tab::Run => self.run.refresh(),
            Tab::Workers => self.workers.refresh(),
            Tab::Overview => self.overview.refresh(self.window),
            Tab::Telemetry | Tab::Support | Tab::Inbox | Tab::Runbooks => self.ask_now(),
        }
    }
}
