//! Changing a run from the console: who may, what is asked first, what is told afterwards.

use super::{App, Overlay};
use crate::Result;
use crate::domain::capability::Capability;
use crate::domain::run::{Run, RunStatus};
use crate::ops::runs::RetryPlan;
use crate::tui::command::Command;
use crate::tui::control::{Asked, Control, ControlDone, ControlRequest};
use crate::tui::msg::{Effect, Request, Slot};
use crate::tui::screens::Tab;
use crate::tui::widgets::confirm::{Confirm, Confirmed};

/// Why nothing can be changed while the database does not answer.
pub(super) const LOST: &str = "changes are disabled: the database is lost; they come back with it";

impl App {
    /// The run that a change would be about, and what is known of it.
    fn subject(&self) -> Option<(&Run, Asked)> {
        match self.tab {
            Tab::Operations => {
                let run = self.operations.selected_run()?;
                let asked = Asked {
                    cancel: run.cancel_requested_at.is_some(),
                    pause: run.paused_at.is_some(),
                    retryable: None,
                };
                Some((run, asked))
            }
            Tab::Run => self.run.detail().map(|detail| (&detail.run, self.run.asked())),
            Tab::Overview => {
                let run = self.overview_run()?;
                Some((run, Asked::default()))
            }
            Tab::Telemetry | Tab::Support | Tab::Inbox | Tab::Workers | Tab::Runbooks => None,
        }
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
        let Some((run, asked)) = self.subject().filter(|_| self.may_manage() && !self.greyed())
        else {
            return Vec::new();
        };
        let mut offers = Vec::new();
        if run.status == RunStatus::Completed {
            let some = run.outcome != crate::domain::run::RunOutcome::Succeeded;
            match asked.retryable {
                Some(0) => {}
                Some(n) => offers.push((Command::RunRetry, format!("retry {n}"))),
                None if some => offers.push((Command::RunRetry, "retry".to_owned())),
                None => {}
            }
            return offers;
        }
        if !asked.cancel {
            offers.push((Command::RunCancel, "cancel".to_owned()));
        } else if self.tab == Tab::Run {
            offers.push((Command::RunClose, "force close".to_owned()));
        }
        if self.tab == Tab::Run {
            let word = if asked.pause { "resume" } else { "pause" };
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
        let Some((run, asked)) = self.subject() else {
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
            _ if asked.pause => Control::Resume,
            _ => Control::Pause,
        };
        if let Some(why) = control.refusal(run, asked) {
            self.say(why);
            return Vec::new();
        }
        let (id, run) = (run.id, run.clone());
        self.overlays.push(Overlay::Confirm(Box::new(Confirm::of(run, control))));
        match control {
            Control::Retry => vec![Effect::Ask(Slot::Plan, Request::PlanRetry(id))],
            _ => Vec::new(),
        }
    }

    /// A command in the dialog.
    pub(super) fn command_confirm(&mut self, command: Command) -> Vec<Effect> {
        let lost = self.greyed();
        let Some(Overlay::Confirm(confirm)) = self.overlays.last_mut() else {
            return Vec::new();
        };
        let Some(request) = confirm.command(command) else {
            return Vec::new();
        };
        if lost {
            confirm.failed(crate::Error::new(crate::ErrorKind::Unreachable, LOST));
            return Vec::new();
        }
        let request = match request {
            Confirmed::Run(request) => Request::Control(request),
            Confirmed::Group(request) => Request::RetryGroup(request),
        };
        self.sending = true;
        vec![Effect::Ask(Slot::Control, request)]
    }

    /// The dialog about a run, if it is open.
    pub(super) fn dialog(&mut self, run_id: i64, control: Control) -> Option<&mut Confirm> {
        self.overlays.iter_mut().find_map(|overlay| match overlay {
            Overlay::Confirm(confirm) if confirm.is_about(run_id, control) => Some(&mut **confirm),
            _ => None,
        })
    }

    /// Takes the count of what a retry covers.
    pub(super) fn counted(&mut self, run_id: i64, counted: Result<RetryPlan>) {
        if let Some(dialog) = self.dialog(run_id, Control::Retry) {
            dialog.take_plan(counted);
        }
    }

    /// Takes what came of a change.
    pub(super) fn controlled(
        &mut self,
        request: &ControlRequest,
        done: Result<ControlDone>,
    ) -> Vec<Effect> {
        self.sending = false;
        match done {
            Ok(done) => {
                self.overlays.retain(|overlay| {
                    !matches!(overlay, Overlay::Confirm(dialog)
                              if dialog.is_about(request.run_id, request.control))
                });
                let (text, view) = request.told(done);
                self.say_with(text, view);
                self.ask_again()
            }
            Err(error) => {
                match self.dialog(request.run_id, request.control) {
                    Some(dialog) => dialog.failed(error),
                    None => self.say(format!("run {}: {error}", request.run_id)),
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
