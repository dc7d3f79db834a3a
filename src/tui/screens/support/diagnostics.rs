//! Diagnostics as they were opened. Nothing here asks for them but the key that opens and the
//! key that opens anew: each opening is audited. One that failed for the database, and was not made,
//! is asked again until it is.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Position;

use super::reader::{Act, Paper, PaperLine, Reader};
use super::{Around, Outcome, Screen, Search, bundle};
use crate::domain::failure::ReasonCode;
use crate::domain::sanitize::{Rule, Tally};
use crate::domain::support::{Bundle, Evidence, title};
use crate::ops::support::{DiagnosticsSubject, OpenDiagnostics};
use crate::tui::command::{Command, Context};
use crate::tui::msg::{Effect, Slot, Sub};
use crate::tui::theme::Role;
use crate::{Error, Result};

/// The state of the page.
#[derive(Debug)]
pub struct Diagnostics {
    subject: DiagnosticsSubject,
    evidence: Option<Arc<Evidence>>,
    /// What is masked in it; to count it takes too long for each frame.
    withheld: Tally,
    error: Option<Error>,
    /// Whether an opening is on its way.
    opening: bool,
    /// Where they were written to.
    files: Vec<PathBuf>,
    reader: Reader,
}

impl Diagnostics {
    /// A page for the diagnostics of a subject.
    pub fn of(subject: DiagnosticsSubject) -> Self {
        // All sections at a glance, with how fresh each is.
        let reader = Reader::default();
        Self {
            subject,
            evidence: None,
            withheld: Tally::default(),
            error: None,
            opening: false,
            files: Vec::new(),
            reader,
        }
    }

    /// What they are of.
    pub fn about(&self) -> DiagnosticsSubject {
        self.subject
    }

    /// What was opened.
    pub fn evidence(&self) -> Option<&Arc<Evidence>> {
        self.evidence.as_ref()
    }

    /// Whether an opening is on its way.
    pub fn is_opening(&self) -> bool {
        self.opening
    }

    /// Takes what was opened; what was opened of something else is dropped.
    pub fn take(&mut self, subject: DiagnosticsSubject, opened: &Result<Evidence>) {
        if subject != self.subject {
            return;
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
    }

    /// Takes where they were written to.
    pub fn exported(&mut self, files: &Result<Vec<PathBuf>>) {
        if let Ok(files) = files {
            self.files.clone_from(files);
        }
    }

    fn lines(&self, around: &Around<'_>) -> Vec<PaperLine> {
        let Some(evidence) = &self.evidence else { return Vec::new() };
        let Some(opened) = evidence.bundle() else { return Vec::new() };
        let look = around.look;
        let mut paper = Paper::new(around);
        paper.text(Role::Title, 0, &format!("Diagnostics of {}", title(evidence.subject())));
        if let Some(run) = &evidence.subject().run {
            let text = look.span(Role::Text, format!("open run {}", run.id));
            paper.link(Act::Run(run.id), 0, vec![text]);
        }
        paper.gap();
        answer(&mut paper, opened);
        let again = around.key(Command::PollNow);
        let again = again.map_or_else(String::new, |key| format!("; {key} reopens them"));
        let at = look.full_time(opened.opened_at);
        paper.text(Role::Muted, 0, &format!("opened at {at}, and audited{again}"));
        redaction(&mut paper, &self.withheld);
        for file in &self.files {
            paper.text(Role::Accent, 0, &format!("written to {}", crate::paths::shown(file)));
        }
        paper.gap();
        bundle::sections(&mut paper, opened, look);
        paper.done()
    }
}

/// What is wrong, and what to do next.
fn answer(paper: &mut Paper<'_>, bundle: &Bundle) {
    paper.labelled(Role::Title, 0, "headline ", bundle.headline(), None);
    let code = bundle.dominant_issue();
    if code == "none" || code == "-" {
        return paper.labelled(Role::Text, 0, "issue    ", "none stands out", None);
    }
    let reason = ReasonCode::of(code);
    let text = format!("{code}: {}", reason.explanation());
    paper.labelled(Role::Failed, 0, "issue    ", &text, None);
    paper.labelled(Role::Text, 0, "next     ", reason.next_step(), None);
}

/// What was withheld, by which rules and how often.
fn redaction(paper: &mut Paper<'_>, tally: &Tally) {
    let rules: Vec<String> = tally.counts().map(|(rule, _)| Rule::mask(rule).to_owned()).collect();
    let masks =
        if rules.is_empty() { String::new() } else { format!("; they read {}", rules.join(" ")) };
    paper.text(Role::Text, 0, &format!("{}{masks}", tally.sentence()));
}

impl Screen for Diagnostics {
    fn context(&self) -> Context {
        Context::Diagnostics
    }

    fn subscriptions(&self, _: Duration) -> Vec<Sub> {
        Vec::new()
    }

    fn refresh(&mut self) -> Vec<Effect> {
        if std::mem::replace(&mut self.opening, true) {
            return Vec::new();
        }
        vec![Effect::ask(Slot::Diagnostics, OpenDiagnostics { subject: self.subject })]
    }

    fn search(&mut self) -> &mut Search {
        &mut self.reader.search
    }

    fn is_typing(&self) -> bool {
        self.reader.search.is_typing()
    }

    fn searched(&mut self, around: &Around<'_>) -> Vec<Effect> {
        let lines = self.lines(around);
        self.reader.searched(&lines, around);
        Vec::new()
    }

    fn command(&mut self, command: Command, around: &Around<'_>) -> Outcome {
        let lines = self.lines(around);
        self.reader.command(command, &lines, around).into()
    }

    fn click(&mut self, _: u16, row: u16, around: &Around<'_>) -> Outcome {
        let lines = self.lines(around);
        self.reader.click(row, &lines, around).into()
    }

    fn settle(&mut self, around: &Around<'_>) {
        let lines = self.lines(around);
        self.reader.settle(&lines, around);
    }

    fn draw(&self, buffer: &mut Buffer, around: &Around<'_>) -> Option<Position> {
        if self.evidence.is_some() {
            return self.reader.draw(&self.lines(around), buffer, around);
        }
        let (role, text) = match &self.error {
            Some(error) => {
                let key = around.key(Command::PollNow);
                let again = key.map_or_else(String::new, |key| format!(" {key} tries again."));
                (Role::Failed, format!("Not opened: {error}.{again}"))
            }
            None => (Role::Muted, "opening the diagnostics ...".to_owned()),
        };
        super::draw_text(role, &text, buffer, around);
        None
    }

    fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    fn has_data(&self) -> bool {
        self.evidence.is_some()
    }

    fn subject(&self) -> Option<DiagnosticsSubject> {
        Some(self.subject)
    }

    fn tenant(&self) -> Option<i64> {
        match (&self.evidence, self.subject) {
            (Some(evidence), _) => Some(evidence.subject().tenant_id),
            (None, DiagnosticsSubject::Tenant(id)) => Some(id),
            (None, DiagnosticsSubject::Run { tenant_id, .. }) => tenant_id,
        }
    }

    fn copies(&self) -> Option<String> {
        match self.subject {
            DiagnosticsSubject::Tenant(id) => Some(id.to_string()),
            DiagnosticsSubject::Run { run_id, .. } => Some(run_id.to_string()),
        }
    }
}
