//! What the keys for runs and for support do to what is shown: who may, what is asked first.

use super::App;
use crate::domain::capability::Capability;
use crate::domain::run::{Run, ScopeKind};
use crate::domain::run_facts::{Retry, RunFacts};
use crate::ops::support::DiagnosticsSubject;
use crate::tui::command::Command;
use crate::tui::control::{Control, LOST};
use crate::tui::msg::Effect;
use crate::tui::screen::{Purpose, Subject, Target};
use crate::tui::screens::dialogs::confirm::Confirm;
use crate::tui::screens::dialogs::group::GroupQuestion;
use crate::tui::slot::Slot;

/// Why diagnostics are not opened while the database does not answer.
const NOT_OPENED: &str = "diagnostics are not opened while the database does not answer";

/// A change that makes sense, and is asked about first.
enum Change {
    Run(Box<Run>, Control),
    Group(GroupQuestion),
}

impl App {
    fn subject(&self) -> Subject<'_> {
        self.below().subject(&self.cx())
    }

    /// Whether the person holds a capability; says so where not.
    pub(super) fn may(&mut self, needed: Capability) -> bool {
        let holds = self.cx_of_link().has(needed);
        if !holds {
            self.say(format!("this needs the capability {needed}; ask an admin"));
        }
        holds
    }

    /// What can be asked of the run at hand, with the words for the footer.
    pub(in crate::tui) fn controls(&self) -> Vec<(Command, String)> {
        let cx = self.cx();
        if !cx.has(Capability::OpsManage) || cx.lost {
            return Vec::new();
        }
        let subject = self.subject();
        let open = matches!(subject, Subject::Detail(_));
        let facts = match subject {
            Subject::Group(_) => return vec![(Command::RunRetry, "retry error".to_owned())],
            Subject::Run(run) => RunFacts::of(run, cx.look.now),
            Subject::Detail(detail) => detail.facts(cx.look.now),
            Subject::Support(..) | Subject::Nothing(..) => return Vec::new(),
        };
        let mut offers = Vec::new();
        if let Some(hint) = facts.retry_hint() {
            offers.push((Command::RunRetry, hint));
        }
        if facts.no_cancel().is_none() {
            offers.push((Command::RunCancel, "cancel".to_owned()));
        } else if open && facts.no_close().is_none() {
            offers.push((Command::RunClose, "force close".to_owned()));
        }
        if open && facts.no_change().is_none() {
            let word = if facts.pause_requested { "resume" } else { "pause" };
            offers.push((Command::RunPause, word.to_owned()));
        }
        offers
    }

    /// Opens the dialog for a change, or says why it cannot be made.
    pub(super) fn ask_control(&mut self, command: Command) -> Vec<Effect> {
        if !self.may(Capability::OpsManage) {
            return Vec::new();
        }
        let change = if self.greyed() {
            Err((LOST.to_owned(), None))
        } else if self.awaits(Slot::CONTROL) {
            Err(("the last request is still being sent".to_owned(), None))
        } else {
            self.change(command)
        };
        match change {
            Ok(Change::Run(run, control)) => self.push(Box::new(Confirm::of(*run, control))),
            Ok(Change::Group(question)) => self.push(Box::new(Confirm::group(question))),
            Err((why, view)) => {
                self.say_with(why, view);
                Vec::new()
            }
        }
    }

    /// What a command changes; or why it cannot, and the run that this leads to.
    fn change(&self, command: Command) -> Result<Change, (String, Option<i64>)> {
        let now = self.look.now;
        let (run, facts) = match self.subject() {
            Subject::Run(run) => (run, RunFacts::of(run, now)),
            Subject::Detail(detail) => (&detail.run, detail.facts(now)),
            Subject::Group(group) if group.fingerprint.is_empty() => {
                let why = "these failures have no fingerprint; open their run and retry that";
                return Err((why.to_owned(), None));
            }
            Subject::Group(group) => {
                return Ok(Change::Group(GroupQuestion::of(group, self.window)));
            }
            Subject::Nothing(why, _) => return Err((why.to_owned(), None)),
            Subject::Support(..) => return Err(("no run is selected".to_owned(), None)),
        };
        let control = match command {
            Command::RunCancel => Control::Cancel,
            Command::RunClose => Control::Close,
            Command::RunRetry => Control::Retry,
            _ if facts.pause_requested => Control::Resume,
            _ => Control::Pause,
        };
        let Some(why) = control.refusal(&facts) else {
            return Ok(Change::Run(Box::new(run.clone()), control));
        };
        Err(match facts.retry() {
            Retry::Impossible(no) if control == Control::Retry => match no.other_run() {
                Some(other) => (format!("{why}, enter to view"), Some(other)),
                None => (why, None),
            },
            _ => (why, None),
        })
    }

    /// Asks for support, opens diagnostics, or shows the tenant, of what is open or selected.
    pub(super) fn ask_support(&mut self, command: Command) -> Vec<Effect> {
        let (purpose, needed) = match command {
            Command::SupportRequest => (Purpose::Request, Capability::SupportRequestsCreate),
            Command::SupportDiagnostics => {
                (Purpose::Diagnostics, Capability::SupportDiagnosticsView)
            }
            _ => (Purpose::Tenant, Capability::OpsView),
        };
        if !self.may(needed) {
            return Vec::new();
        }
        let lost = purpose == Purpose::Diagnostics && self.greyed();
        match self.subject().target(purpose) {
            _ if lost => self.say(NOT_OPENED),
            Ok(target) => return self.visit(&target, false),
            Err(why) => self.say(why),
        }
        Vec::new()
    }
}

impl Subject<'_> {
    /// What is shown for a purpose of support; or why there is nothing.
    fn target(self, purpose: Purpose) -> Result<Target, &'static str> {
        let (about, tenant) = match self {
            Subject::Run(run) => (about(run)?, run.tenant_id),
            Subject::Detail(detail) => (about(&detail.run)?, detail.run.tenant_id),
            Subject::Group(group) => {
                let (run_id, tenant_id) = (group.sample.run_id, group.sample.tenant_id);
                match tenant_id {
                    Some(_) => (Ok(DiagnosticsSubject::Run { run_id, tenant_id }), tenant_id),
                    None => (Err(run_id), None),
                }
            }
            Subject::Support(subject, tenant) => (Ok(subject), tenant),
            Subject::Nothing(_, why) => return Err(why),
        };
        Ok(match (about, purpose) {
            (Err(run_id), _) => Target::RunTenants(run_id, purpose),
            (Ok(subject), Purpose::Request) => Target::Compose(subject),
            (Ok(subject), Purpose::Diagnostics) => Target::Diagnostics(subject),
            (Ok(subject), Purpose::Tenant) => match (subject, tenant) {
                (_, Some(id)) | (DiagnosticsSubject::Tenant(id), None) => Target::Tenant(id),
                (DiagnosticsSubject::Run { run_id, .. }, None) => {
                    Target::RunTenants(run_id, purpose)
                }
            },
        })
    }
}

/// What support for a run is about: it with one tenant, or else the run, of whose tenants one has to
/// be chosen.
fn about(run: &Run) -> Result<Result<DiagnosticsSubject, i64>, &'static str> {
    let run_id = run.id;
    match (run.tenant_id, run.target_count) {
        (None, _) if run.scope == ScopeKind::Platform => {
            Err("this run is the platform's own; support is for a tenant")
        }
        (None, count) if count != 1 => Ok(Err(run_id)),
        (tenant_id, _) => Ok(Ok(DiagnosticsSubject::Run { run_id, tenant_id })),
    }
}
