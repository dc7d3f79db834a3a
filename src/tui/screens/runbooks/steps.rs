//! What commands do to a draft, step by step.

use super::plan::Counting;
use super::scope::Page;
use super::{Cx, DISCARD, Draft, Reply, Step, command_line, say, settings};
use crate::domain::capability::Capability;
use crate::domain::count::count;
use crate::domain::run::Source;
use crate::ops::Consent;
use crate::ops::runbooks::StartRunbook;
use crate::tui::command::Command;
use crate::tui::export::ExportPlan;
use crate::tui::link::once::told;
use crate::tui::msg::{Effect, Request};
use crate::tui::screen::Go;
use crate::tui::screens::dialogs::question::Question;
use crate::tui::slot::Slot;
use crate::tui::widgets::reason;
use crate::tui::widgets::search::Search;
use crate::{Error, ErrorKind};

const LOST: &str = "this is disabled: the database does not answer; it comes back with it";

impl Draft {
    fn ask_to_discard(&self) -> Reply {
        let leads = Go::Discard;
        if !self.has_work() {
            return Reply::default().go(leads);
        }
        let (title, why) = (" Discard it? ", DISCARD.to_owned());
        Reply::default().push(Question { title, why, yes: "discard", leads })
    }

    pub(super) fn back(&mut self, cx: &Cx<'_>) -> Reply {
        match self.step {
            Step::Scope if self.scope.page == Page::Inputs && !self.card.is_platforms() => {
                self.scope.page = Page::Choose;
            }
            Step::Runbook | Step::Scope => return self.ask_to_discard(),
            Step::Preflight if self.plan.is_counting() => {
                return Reply::of(self.plan.cancel());
            }
            Step::Preflight => {
                self.step = Step::Scope;
                let mut effects = self.scope.ask();
                if self.plan.has_failed() {
                    // It may be asked again at this moment.
                    effects.push(Effect::Stop(Slot::PREFLIGHT));
                }
                return Reply::of(effects);
            }
            Step::Rollout => self.step = Step::Preflight,
            Step::Reason => self.step = Step::Rollout,
            Step::Confirm if self.confirm.sending => {
                return say(cx, "it is being sent; what was sent is not taken back");
            }
            Step::Confirm => self.step = Step::Reason,
        }
        Reply::default()
    }

    pub(super) fn is_typing(&self) -> bool {
        match self.step {
            Step::Scope => self.scope.is_typing(),
            Step::Preflight => self.plan.targets.search.is_typing(),
            _ => false,
        }
    }

    pub(super) fn change(&mut self, change: impl FnOnce(&mut Search)) -> Reply {
        let scope = self.step == Step::Scope;
        Reply::of(if scope { self.scope.change(change) } else { self.plan.change(change) })
    }

    /// A command of the step's list, or of its search.
    pub(super) fn list_command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        let height = self.rows(cx).1;
        let scope = self.step == Step::Scope;
        Reply::of(if scope {
            self.scope.command(command, height)
        } else {
            self.plan.command(command, height)
        })
    }

    /// A command of the scope; none where it goes on to the preflight.
    pub(super) fn scope_command(&mut self, command: Command, cx: &Cx<'_>) -> Option<Reply> {
        let inputs = self.scope.page == Page::Inputs;
        match (command, &mut self.scope.inputs) {
            (Command::WizardNext, _) | (Command::FormSubmit, None) => {}
            (_, Some(form)) if inputs => {
                self.scope.refusal = None;
                if !form.command(command) {
                    return Some(Reply::default());
                }
            }
            _ => {
                return Some(self.list_command(command, cx));
            }
        }
        match self.scope.choice(cx) {
            Err(why) => self.scope.refusal = Some(why),
            Ok(_) if !inputs && self.scope.inputs.is_some() => self.scope.page = Page::Inputs,
            Ok(_) => return None,
        }
        Some(Reply::default())
    }

    pub(super) fn refuse_input(&mut self, field: usize, error: &Error) {
        match &mut self.scope.inputs {
            Some(form) => form.refuse(field, error.to_string()),
            None => self.scope.refusal = Some(error.to_string()),
        }
    }

    /// Goes to the plan of what is chosen: the one that is there, or (`again` in any case) one
    /// that is made now.
    pub(super) fn count(&mut self, cx: &Cx<'_>, again: bool) -> Reply {
        let request = match self.request(cx) {
            Ok(request) => request,
            Err(why) => {
                self.step = Step::Scope;
                self.scope.refusal = Some(why);
                return Reply::default();
            }
        };
        if self.plan.is_for(&request) && !again {
            self.step = Step::Preflight;
            return Reply::default();
        }
        if cx.lost {
            return say(cx, LOST);
        }
        self.step = Step::Preflight;
        self.confirm = super::ConfirmStep::default();
        Reply::of(self.plan.count(request))
    }

    pub(super) fn plan_command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        let counting = self.plan.is_counting();
        match command {
            Command::PreflightCancel if counting => Reply::of(self.plan.cancel()),
            Command::PreflightNew if !counting => self.count(cx, true),
            Command::WizardNext if counting => {
                say(cx, "it is still counting; wait for it, or cancel it")
            }
            Command::WizardNext => {
                // What is wrong with it stands below it.
                if self.plan.trouble(cx.look.now, self.card.items()).is_none() {
                    self.plan.note = None;
                    self.step = Step::Rollout;
                    self.rollout.go(0);
                }
                Reply::default()
            }
            Command::PlanExport => self.export(cx),
            _ => self.list_command(command, cx),
        }
    }

    fn export(&mut self, cx: &Cx<'_>) -> Reply {
        let Some(plan) = self.plan.plan().filter(|_| !self.plan.exporting) else {
            return Reply::default();
        };
        if cx.lost {
            return say(cx, LOST);
        }
        let Some(dir) = cx.exports else {
            return say(cx, "there is no place for exports on this machine");
        };
        let export = ExportPlan::new(plan.id, dir, cx.look.now);
        self.plan.exporting = true;
        Reply::of(vec![Effect::Ask(Slot::EXPORT, Request::ExportPlan(export))])
    }

    pub(super) fn form_command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        let rollout = self.step == Step::Rollout;
        let rule = self.reason_rule(cx.under_glass);
        let form = if rollout { &mut self.rollout } else { &mut self.reason };
        // Enter goes on as soon as it can; what stands in the rollout is a whole proposal, the
        // reason is typed field by field.
        let done = match command {
            Command::WizardNext => true,
            Command::FormSubmit if rollout => true,
            Command::FormSubmit if settings::reason(form, rule).is_ok() => true,
            _ => form.command(command),
        };
        if !done {
            return Reply::default();
        }
        form.forgive();
        if let Some(wrong) = settings::rollout(form).err().filter(|_| rollout) {
            for (field, why) in wrong {
                form.refuse(field, why);
            }
        } else if rollout {
            self.step = Step::Reason;
            self.reason.go(0);
        } else if reason::read(form, rule).is_some() {
            self.step = Step::Confirm;
            self.confirm.enter();
        }
        Reply::default()
    }

    pub(super) fn confirm_command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        match command {
            Command::FormSubmit | Command::WizardNext => return self.start(cx),
            Command::FilterClear if !self.confirm.sending => self.confirm.empty(),
            Command::CommandCopy => {
                let Some(text) = self.command_line(cx.under_glass) else { return Reply::default() };
                let outcome = say(cx, "the command was sent to the terminal's clipboard");
                return outcome.and([Effect::Copy(text)]);
            }
            Command::PreflightNew if !self.confirm.sending => return self.count(cx, true),
            Command::WaitForWorker if self.waits_for_worker() => {
                self.confirm.wait_for_worker = true;
                // Until now no field was shown.
                self.confirm.empty();
            }
            Command::CursorUp => self.confirm.top = self.confirm.top.saturating_sub(1),
            Command::CursorDown => self.confirm.top += 1,
            Command::CursorPageUp | Command::CursorFirst => self.confirm.top = 0,
            Command::CursorPageDown | Command::CursorLast => self.confirm.top = usize::MAX / 2,
            _ => {}
        }
        self.confirm.top = self.confirm.top.min(self.summary_overflow(cx));
        Reply::default()
    }

    pub(super) fn waits_for_worker(&self) -> bool {
        let plan = self.plan.plan();
        let none = plan.is_some_and(|plan| plan.support.lacks_worker());
        none && !self.confirm.wait_for_worker && !self.confirm.sending
    }

    pub(super) fn command_line(&self, always_reason: bool) -> Option<String> {
        let (plan, asked) = (self.plan.plan()?, self.plan.asked.as_ref()?);
        let rollout = settings::rollout(&self.rollout).ok()?;
        let rule = self.reason_rule(always_reason);
        let reason = settings::reason(&self.reason, rule).ok()?;
        let wait = self.confirm.wait_for_worker;
        Some(command_line::of(plan, &asked.scope, rollout, reason.as_ref(), wait))
    }

    fn start(&mut self, cx: &Cx<'_>) -> Reply {
        let (Some(plan), Some(asked)) = (self.plan.plan(), &self.plan.asked) else {
            return Reply::default();
        };
        let waits = self.plan.obstacle().is_some() && !self.confirm.wait_for_worker;
        if self.confirm.sending || waits || self.is_refused(cx.look.now) {
            return Reply::default();
        }
        if !cx.held.has(Capability::RunbooksRun) {
            self.confirm.error = Some(Error::forbidden(Capability::RunbooksRun));
            return Reply::default();
        }
        let (typed, confirmation) = (self.confirm.field.text(), plan.confirmation());
        let given = confirmation.read(typed);
        if confirmation.allow(&given, false).is_err() {
            // Before anything is typed, enter is more likely a slip than a wrong phrase.
            if !typed.is_empty() {
                let why = format!("that is not {}; nothing was started", confirmation.asks());
                self.confirm.error = Some(Error::usage(why));
            }
            return Reply::default();
        }
        if cx.lost {
            self.confirm.error = Some(Error::new(ErrorKind::Unreachable, LOST));
            return Reply::default();
        }
        let rule = self.reason_rule(cx.under_glass);
        let reason = settings::reason(&self.reason, rule);
        let (Ok(rollout), Ok(reason)) = (settings::rollout(&self.rollout), reason) else {
            self.confirm.error = Some(Error::usage("the reason is missing; go back and give one"));
            return Reply::default();
        };
        let start = StartRunbook {
            plan_hash: Some(plan.hash.clone()),
            scope: Some(asked.scope.clone()),
            rollout,
            consent: Consent::of(given).because(reason),
            request_id: Some(self.confirm.request_id.clone()),
            wait_for_worker: self.confirm.wait_for_worker,
            ..StartRunbook::of_plan(self.card.key(), plan.id, Source::Console)
        };
        self.confirm.sending = true;
        self.confirm.error = None;
        Reply::ask(Slot::START_RUNBOOK, start)
    }

    pub(super) fn counting_words(&self) -> String {
        match &self.plan.counting {
            Counting::Now(counted) if counted.total > 0 && !self.card.is_platforms() => {
                format!("counting {} of {} ...", counted.done, count(counted.total, "tenant"))
            }
            Counting::Now(_) => "counting ...".to_owned(),
            Counting::Cancelled => {
                "The preflight was cancelled; nothing was kept of it.".to_owned()
            }
            Counting::Failed(error) => told(error),
            Counting::No => "There is no plan yet.".to_owned(),
        }
    }
}
