//! A request that was sent, whole: what it says, what it is about, and what went with it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use ratatui::buffer::Buffer;
use ratatui::layout::Position;
use serde_json::Value;

use super::reader::{Act, Paper, PaperLine, Reader};
use super::requests::{severity_label, severity_role, subject_of, tenant_of};
use super::{Around, Outcome, Screen, Search, bundle};
use crate::domain::capability::Capability;
use crate::domain::support::{AttachmentMode, CONTEXT_SCHEMA_VERSION, Fact, Reference};
use crate::ops::support::{DiagnosticsSubject, GetRequest, RequestDetail};
use crate::tui::command::{Command, Context};
use crate::tui::msg::{Effect, Follows, Request, Slot, Sub};
use crate::tui::remote::Remote;
use crate::tui::theme::Role;
use crate::{Error, Result};

/// Columns of the names in the head.
const NAME: &str = "attached ";

/// The state of the page.
#[derive(Debug)]
pub struct RequestPaper {
    reference: Reference,
    detail: Remote<RequestDetail>,
    reader: Reader,
}

impl RequestPaper {
    /// A page for the request of a reference.
    pub fn of(reference: Reference) -> Self {
        Self { reference, detail: Remote::default(), reader: Reader::opened([0]) }
    }

    /// Takes an answer; one about another request is dropped.
    pub fn take(
        &mut self,
        reference: Reference,
        detail: &Result<RequestDetail>,
        now: DateTime<Utc>,
    ) {
        if reference == self.reference {
            self.detail.take(detail.clone(), now);
        }
    }

    fn lines(&self, around: &Around<'_>) -> Vec<PaperLine> {
        let Some(detail) = self.detail.value() else { return Vec::new() };
        let mut paper = Paper::new(around);
        head(&mut paper, detail, around);
        paper.gap();
        notes(&mut paper, detail);
        context(&mut paper, detail, around);
        redaction(&mut paper, detail);
        attached(&mut paper, detail, around);
        paper.done()
    }
}

/// Whom and what it is about, and what it says in one line.
fn head(paper: &mut Paper<'_>, detail: &RequestDetail, around: &Around<'_>) {
    let look = around.look;
    let request = &detail.request;
    paper.put(
        vec![
            look.span(Role::Title, request.reference.to_string()),
            look.span(Role::Text, "  "),
            look.span(severity_role(request.severity), severity_label(request.severity, look)),
        ],
        None,
    );
    paper.text(Role::Title, 0, &request.summary);
    paper.gap();
    let mut line = |name: &str, text: &str, act: Option<Act>| {
        let name = format!("{name:<width$}", width = NAME.len());
        paper.labelled(Role::Text, 0, &name, text, act);
    };
    let at = look.full_time(request.created_at);
    line("sent", &format!("{at} by {}", request.created_by_name), None);
    if let Some(run) = request.run_id {
        let kind = detail.context["run"]["type"].as_str().unwrap_or("");
        line("run", &format!("{run} {kind}; enter opens it"), Some(Act::Run(run)));
    }
    let tenant = format!("{} ({}); enter shows it", tenant_of(request), request.tenant_id);
    line("tenant", &tenant, Some(Act::Tenant(request.tenant_id)));
    if let Some(name) = &request.workspace_name {
        line("workspace", &format!("{name} ({})", request.workspace_id), None);
    }
    match (&detail.contact_name, &detail.contact_email) {
        (None, None) => line("contact", "none was given", None),
        (name, email) => {
            let both = [name.as_deref(), email.as_deref()];
            let both: Vec<&str> = both.into_iter().flatten().collect();
            line("contact", &both.join(", "), None);
        }
    }
    if !detail.answered_at.is_empty() {
        line("goes to", &detail.answered_at, None);
    }
    line("attached", request.attachment_mode.label(), None);
}

fn notes(paper: &mut Paper<'_>, detail: &RequestDetail) {
    let Some(notes) = &detail.reproduction_notes else {
        paper.section("Reproduction notes", "none");
        return paper.end_section();
    };
    let count = notes.lines().count();
    let note = if count == 1 { "1 line".to_owned() } else { format!("{count} lines") };
    paper.section("Reproduction notes", &note);
    for text in notes.lines() {
        if text.trim().is_empty() {
            paper.gap();
        } else {
            paper.text(Role::Text, 4, text);
        }
    }
    paper.end_section();
}

/// What was stored of the subject, under the version of its form.
fn context(paper: &mut Paper<'_>, detail: &RequestDetail, around: &Around<'_>) {
    let version = detail.context_schema_version;
    paper.section("Stored context", &format!("version {version}"));
    if version > CONTEXT_SCHEMA_VERSION {
        let text = "a newer version of this program has written it; --json shows it as it is";
        paper.text(Role::Warning, 4, text);
        return paper.end_section();
    }
    let opened = detail.context["opened_at"].clone();
    put(paper, "opened_at", opened, around);
    for subject in ["workspace", "tenant", "run"] {
        if let Some(facts) = detail.context[subject].as_object() {
            for (name, value) in facts {
                put(paper, &format!("{subject}_{name}"), value.clone(), around);
            }
        }
    }
    paper.end_section();
}

fn put(paper: &mut Paper<'_>, name: &str, value: Value, around: &Around<'_>) {
    let name = name.to_owned();
    bundle::put_fact(paper, &Fact { name, value }, around.look);
}

/// What was withheld from it, rule by rule.
fn redaction(paper: &mut Paper<'_>, detail: &RequestDetail) {
    let tally = detail.withheld();
    paper.section("Redaction", &tally.sentence());
    for (rule, count) in tally.counts() {
        paper.labelled(Role::Text, 4, &format!("{:<28}", rule.mask()), &rule.counted(count), None);
    }
    match detail.context["redaction"]["items_left_out"].as_u64() {
        Some(1) => paper.text(Role::Text, 4, "1 item of the diagnostics was left out"),
        Some(items) if items > 1 => {
            paper.text(Role::Text, 4, &format!("{items} items of the diagnostics were left out"));
        }
        _ => {}
    }
    paper.end_section();
}

/// The diagnostics that went with it, or why they are not shown.
fn attached(paper: &mut Paper<'_>, detail: &RequestDetail, around: &Around<'_>) {
    paper.gap();
    let (role, text) = match (detail.bundle(), detail.request.attachment_mode) {
        (Some(opened), _) => {
            let at = around.look.full_time(opened.opened_at);
            paper.text(Role::Title, 0, &format!("Diagnostics that went with it, of {at}"));
            return bundle::sections(paper, &opened, around.look);
        }
        (None, AttachmentMode::ContextOnly) => {
            (Role::Muted, "No diagnostics went with it: ids, codes and times only.".to_owned())
        }
        (None, _) if detail.diagnostics_hidden => {
            let needed = Capability::SupportDiagnosticsView;
            let text = format!(
                "Diagnostics went with it; they are hidden: seeing them needs the capability {needed}."
            );
            (Role::Warning, text)
        }
        (None, _) => {
            let text = "Diagnostics went with it in a form that this version cannot read.";
            (Role::Warning, text.to_owned())
        }
    };
    paper.text(role, 0, &text);
}

impl Screen for RequestPaper {
    fn context(&self) -> Context {
        Context::Request
    }

    fn subscriptions(&self, every: Duration) -> Vec<Sub> {
        // What was read once never changes.
        if self.detail.value().is_some() {
            return Vec::new();
        }
        let request = Request::of(GetRequest { reference: self.reference });
        vec![Sub { slot: Slot::SupportRequest, request, every, follows: Follows::Time }]
    }

    fn refresh(&mut self) -> Vec<Effect> {
        vec![Effect::ask(Slot::SupportRequest, GetRequest { reference: self.reference })]
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
        if self.detail.value().is_some() {
            return self.reader.draw(&self.lines(around), buffer, around);
        }
        match self.detail.error() {
            Some(error) => super::draw_text(Role::Failed, &error.to_string(), buffer, around),
            None => super::draw_text(
                Role::Muted,
                &format!("reading {} ...", self.reference),
                buffer,
                around,
            ),
        }
        None
    }

    fn error(&self) -> Option<&Error> {
        self.detail.error()
    }

    fn has_data(&self) -> bool {
        self.detail.value().is_some()
    }

    fn subject(&self) -> Option<DiagnosticsSubject> {
        self.detail.value().map(|detail| subject_of(&detail.request))
    }

    fn tenant(&self) -> Option<i64> {
        self.detail.value().map(|detail| detail.request.tenant_id)
    }

    fn copies(&self) -> Option<String> {
        Some(self.reference.to_string())
    }
}
