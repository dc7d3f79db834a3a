//! Diagnostics as they were opened. Nothing here asks for them but the key that opens and the
//! key that opens anew: each opening is audited. One that failed for the database, and was not made,
//! is asked again until it is.

use std::path::PathBuf;
use std::sync::Arc;

use super::{bundle, needs};
use crate::Error;
use crate::domain::capability::Capability;
use crate::domain::failure::ReasonCode;
use crate::domain::sanitize::{Rule, Tally};
use crate::domain::support::{Bundle, Evidence, title};
use crate::ops::AnyOutput;
use crate::ops::support::{DiagnosticsSubject, OpenDiagnostics};
use crate::tui::command::{Command, Context};
use crate::tui::export::ExportDiagnostics;
use crate::tui::msg::{Answer, Effect, Request};
use crate::tui::screen::{Cx, Hint, Reply, State, Subject, Target};
use crate::tui::slot::Slot;
use crate::tui::theme::Role;
use crate::tui::widgets::document::Document;
use crate::tui::widgets::page::Page;
use crate::tui::widgets::paper::Paper;

#[derive(Debug)]
pub struct Diagnostics {
    subject: DiagnosticsSubject,
    evidence: Option<Arc<Evidence>>,
    /// What is masked in it; to count it takes too long for each frame.
    withheld: Tally,
    error: Option<Error>,
    opening: bool,
    files: Vec<PathBuf>,
}

impl Diagnostics {
    /// A page for the diagnostics of a subject: all sections at a glance, with how fresh each is.
    pub fn page(subject: DiagnosticsSubject) -> Page<Self> {
        let (withheld, files) = (Tally::default(), Vec::new());
        Page::of(Self { subject, evidence: None, withheld, error: None, opening: false, files })
    }

    /// Writes them into files, as they were opened.
    fn export(&self, cx: &Cx<'_>) -> Reply {
        let said = Reply::default();
        let Some(evidence) = self.evidence.clone() else {
            return said.say("no diagnostics are open", cx);
        };
        let Some(dir) = cx.exports else {
            return said.say("there is no directory that exports could go to", cx);
        };
        let export = ExportDiagnostics { evidence, dir: dir.to_owned(), now: cx.look.now };
        let request = Request::ExportDiagnostics(export);
        Reply::of(vec![Effect::Ask(Slot::DIAGNOSTICS_EXPORT, request)])
    }
}

fn answer(paper: &mut Paper<'_>, bundle: &Bundle) {
    paper.labelled(Role::Title, 0, "headline ", bundle.headline());
    let code = bundle.dominant_issue();
    if code == "none" || code == "-" {
        return paper.labelled(Role::Text, 0, "issue    ", "none stands out");
    }
    let reason = ReasonCode::of(code);
    let text = format!("{code}: {}", reason.explanation());
    paper.labelled(Role::Failed, 0, "issue    ", &text);
    paper.labelled(Role::Text, 0, "next     ", reason.next_step());
}

/// What was withheld, by which rules and how often.
fn redaction(paper: &mut Paper<'_>, tally: &Tally) {
    let rules: Vec<String> = tally.counts().map(|(rule, _)| Rule::mask(rule).to_owned()).collect();
    let masks =
        if rules.is_empty() { String::new() } else { format!("; they read {}", rules.join(" ")) };
    paper.text(Role::Text, 0, &format!("{}{masks}", tally.sentence()));
}

impl Document for Diagnostics {
    const CONTEXT: Context = Context::Diagnostics;

    fn refresh(&mut self, _: &Cx<'_>) -> Reply {
        if std::mem::replace(&mut self.opening, true) {
            return Reply::default();
        }
        Reply::ask(Slot::DIAGNOSTICS, OpenDiagnostics { subject: self.subject })
    }

    /// What was opened of something else is dropped.
    fn answer(&mut self, answer: &AnyOutput, _: &Cx<'_>) -> bool {
        let AnyOutput::OpenDiagnostics(asked, opened) = answer else { return false };
        if asked.subject != self.subject {
            return false;
        }
        self.opening = false;
        match opened {
            Ok(evidence) => {
                // Files hold what was opened before.
                self.files.clear();
                self.withheld = evidence.bundle().map(Bundle::tally).unwrap_or_default();
                self.evidence = Some(Arc::new(evidence.clone()));
                self.error = None;
            }
            Err(error) => self.error = Some(error.clone()),
        }
        true
    }

    fn outcome(&mut self, _: Slot, answer: &Answer, _: &Cx<'_>) {
        if let Answer::DiagnosticsExported(Ok(files)) = answer {
            self.files.clone_from(files);
        }
    }

    /// The key that asks now opens them again, which says so.
    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Option<Reply> {
        let needed = Capability::SupportDiagnosticsView;
        Some(match command {
            Command::DiagnosticsExport => self.export(cx),
            Command::PollNow if self.opening => {
                Reply::default().say("the diagnostics are being opened", cx)
            }
            Command::PollNow if !cx.has(needed) => Reply::default().say(needs(needed), cx),
            Command::PollNow => {
                self.refresh(cx).say("the diagnostics are reopened, which is audited", cx)
            }
            _ => return None,
        })
    }

    fn write(&self, paper: &mut Paper<'_>, cx: &Cx<'_>) -> Option<()> {
        let evidence = self.evidence.as_ref()?;
        let Some(opened) = evidence.bundle() else { return Some(()) };
        let look = cx.look;
        paper.text(Role::Title, 0, &format!("Diagnostics of {}", title(evidence.subject())));
        if let Some(run) = &evidence.subject().run {
            let text = look.span(Role::Text, format!("open run {}", run.id));
            paper.link(Target::Run(run.id), 0, vec![text]);
        }
        paper.gap();
        answer(paper, opened);
        let again = cx.key(Context::Diagnostics, Command::PollNow);
        let again = again.map_or_else(String::new, |key| format!("; {key} reopens them"));
        let at = look.full_time(opened.opened_at);
        paper.text(Role::Muted, 0, &format!("opened at {at}, and audited{again}"));
        redaction(paper, &self.withheld);
        for file in &self.files {
            paper.text(Role::Accent, 0, &format!("written to {}", crate::paths::shown(file)));
        }
        paper.gap();
        bundle::sections(paper, opened, look);
        Some(())
    }

    fn reading(&self) -> String {
        "opening the diagnostics ...".to_owned()
    }

    fn failed(&self, error: &Error, cx: &Cx<'_>) -> String {
        let key = cx.key(Context::Diagnostics, Command::PollNow);
        let again = key.map_or_else(String::new, |key| format!(" {key} tries again."));
        format!("Not opened: {error}.{again}")
    }

    fn state(&self) -> State<'_> {
        State { error: self.error.as_ref(), has_data: self.evidence.is_some() }
    }

    fn subject(&self) -> Subject<'_> {
        let tenant = match (&self.evidence, self.subject) {
            (Some(evidence), _) => Some(evidence.subject().tenant_id),
            (None, DiagnosticsSubject::Tenant(id)) => Some(id),
            (None, DiagnosticsSubject::Run { tenant_id, .. }) => tenant_id,
        };
        Subject::Support(self.subject, tenant)
    }

    fn copies(&self) -> Option<String> {
        let (DiagnosticsSubject::Tenant(id) | DiagnosticsSubject::Run { run_id: id, .. }) =
            self.subject;
        Some(id.to_string())
    }

    fn hints(&self) -> Vec<Hint> {
        use Command::{AppBack, DiagnosticsExport, FoldToggle, SupportRequest};
        let mut hints = Hint::of(&[SupportRequest, DiagnosticsExport, AppBack, FoldToggle]);
        hints.push(Hint::Does(Command::FilterEdit, "search"));
        hints.push(Hint::Does(Command::PollNow, "reopen"));
        hints
    }

    fn reads(&self, cx: &Cx<'_>) -> Option<Slot> {
        let asked = Request::of(OpenDiagnostics { subject: self.subject });
        let open = cx.link.asked_once(Slot::DIAGNOSTICS);
        open.filter(|open| **open == asked).map(|_| Slot::DIAGNOSTICS)
    }
}
