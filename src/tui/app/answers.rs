//! What an answer does: to its screen, and to what is known of the database.

use super::App;
use crate::ErrorKind;
use crate::ops::AnyOutput;
use crate::tui::msg::{Answer, Effect, Slot};
use crate::tui::screens::inbox::Inbox;
use crate::tui::screens::login::Login;

impl App {
    /// Takes an answer: into its screen, and into what is known of the database.
    pub(super) fn done(&mut self, slot: Slot, answer: Answer) -> Vec<Effect> {
        let now = self.look.now;
        let answer = match answer {
            // The disk's answer says nothing about the database.
            Answer::Files(done) => return self.drafts_done(done),
            answer => answer,
        };
        self.link.note(slot, &answer, now);
        if let Some(error) = answer.error()
            && error.kind() == ErrorKind::NotLoggedIn
            && self.session.is_some()
        {
            let error = error.clone().hint("log in again");
            let effects = self.interrupt_composition(false);
            self.end_session(Some(error));
            return effects;
        }
        match answer {
            Answer::Op(output) => {
                // An answer that comes after the logout belongs to no one who is here.
                let here = self.session.is_some();
                let over = if here { self.answer_modals(&output) } else { Vec::new() };
                return over.into_iter().chain(self.take_output(output, here)).collect();
            }
            Answer::Counted(counted) => self.tabs.runbooks.counted(counted),
            Answer::PlanExported(asked, written) if self.session.is_some() => {
                return self.plan_written(&asked, written);
            }
            Answer::DiagnosticsExported(files) if self.session.is_some() => {
                self.diagnostics_written(&files);
            }
            Answer::Unchanged => match slot {
                Slot::Notices => self.tabs.inbox.confirm(now),
                Slot::List => self.tabs.operations.confirm(now),
                Slot::Detail => self.tabs.run.confirm(now),
                Slot::Overview | Slot::Errors => self.tabs.overview.confirm(now),
                Slot::Usage => self.tabs.telemetry.confirm(now),
                _ => {}
            },
            _ => {}
        }
        Vec::new()
    }

    /// Takes what came of an operation.
    fn take_output(&mut self, output: AnyOutput, here: bool) -> Vec<Effect> {
        let now = self.look.now;
        match output {
            AnyOutput::PlatformInfo(_, result) => self.platform.take(result, now),
            AnyOutput::Login(_, Ok((session, _))) => {
                self.session = Some(session);
                self.login = Login::default();
                self.touched = Some(now);
                let offer = self.offer_draft();
                return offer.into_iter().chain(self.ask_now()).collect();
            }
            AnyOutput::Login(_, Err(error)) => self.login.refused(error),
            AnyOutput::MarkRead(asked, result) => return self.marked(&asked.ids, result),
            AnyOutput::MarkAllRead(asked, result) => {
                return self.marked_all(asked.up_to_id, result);
            }
            _ if !here => {}
            AnyOutput::ListRuns(asked, result) => {
                if asked.leads_beyond() {
                    self.miss_rows(result.as_ref().err());
                }
                let rows = self.rows();
                self.tabs.operations.take_page(&asked, result, rows, now);
            }
            AnyOutput::CountRuns(_, result) => self.tabs.operations.take_counts(result, now),
            AnyOutput::NameValues(_, Ok(names)) => self.tabs.operations.take_names(names),
            AnyOutput::GetRun(asked, result) => self.tabs.run.take(asked.id, result, now),
            AnyOutput::CountUnread(_, result) => self.tabs.inbox.take_unread(result, now),
            AnyOutput::ListNotifications(asked, result) => {
                if asked.before.is_some() {
                    self.miss_rows(result.as_ref().err());
                }
                let rows = Inbox::rows_in(self.body().height);
                self.tabs.inbox.take_page(&asked, result, rows, now);
            }
            AnyOutput::ListWorkers(_, result) => self.tabs.workers.take(result, now),
            AnyOutput::ReadOverview(asked, result) => self.take_overview(asked.window, result),
            AnyOutput::ListFingerprints(asked, result) => self.take_errors(asked.window, result),
            AnyOutput::Summarise(asked, result) => self.take_usage(asked.window, result),
            AnyOutput::ChooseWindow(asked, result) => self.window_remembered(asked.window, result),
            AnyOutput::CurrentBreakGlass(_, found) => return self.take_glass(found),
            AnyOutput::EnterBreakGlass(_, Ok(glass)) => return self.glass_changed(Some(glass)),
            AnyOutput::EndBreakGlass(_, Ok(_)) => return self.glass_changed(None),
            output @ (AnyOutput::ListScopeTenants(..)
            | AnyOutput::ListScopeWorkspaces(..)
            | AnyOutput::Preflight(..)
            | AnyOutput::ListPlanTargets(..)
            | AnyOutput::StartRunbook(..)) => return self.take_in_wizard(output),
            output @ (AnyOutput::Compose(..) | AnyOutput::CreateRequest(..)) => {
                return self.take_in_composition(output);
            }
            output => self.take_in_support(&output),
        }
        Vec::new()
    }
}
