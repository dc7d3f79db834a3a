//! The list of requests that were sent, newest first: the home of the tab.

use std::time::Duration;

use chrono::{DateTime, Utc};
use ratatui::buffer::Buffer;
use ratatui::layout::Position;
use ratatui::text::{Line, Span};

use super::list::{Frame, List, Row, preview_field};
use super::{Around, Outcome, Screen, Search, Target};
use crate::domain::capability::Capability;
use crate::domain::support::Severity;
use crate::ops::support::{DiagnosticsSubject, ListRequests, RequestPage, SupportRequest};
use crate::tui::command::{Command, Context};
use crate::tui::look::Look;
use crate::tui::msg::{Effect, Follows, Request, Slot, Sub};
use crate::tui::theme::Role;
use crate::{Error, ErrorKind, Result};

const SENT: usize = 11;
const REFERENCE: usize = 29;
const SEVERITY: usize = 10;
/// With fewer columns than this, when a request was sent is told by the request alone.
const ROOMY: usize = 76;

impl Row for SupportRequest {
    type Key = i64;

    fn key(&self) -> i64 {
        self.id
    }
}

/// The state of the list.
#[derive(Debug, Default)]
pub struct Requests {
    list: List<SupportRequest>,
}

impl Requests {
    fn ask(&self) -> ListRequests {
        let search = self.list.search.text().to_owned();
        ListRequests { search, limit: self.list.limit(), ..ListRequests::default() }
    }

    /// Takes an answer; one to another search is dropped.
    pub fn take(
        &mut self,
        asked: &ListRequests,
        found: &Result<RequestPage>,
        now: DateTime<Utc>,
        around: &Around<'_>,
    ) {
        if asked.search == self.list.search.text() {
            let rows = found.clone().map(|page| (page.support_requests, page.next.is_some(), None));
            self.list.take(rows, now, around);
        }
    }

    /// The request under the cursor.
    pub fn selected(&self) -> Option<&SupportRequest> {
        self.list.selected()
    }
}

/// What a request is about, as one who asks again would say it.
pub(super) fn subject_of(request: &SupportRequest) -> DiagnosticsSubject {
    match request.run_id {
        Some(run_id) => DiagnosticsSubject::Run { run_id, tenant_id: Some(request.tenant_id) },
        None => DiagnosticsSubject::Tenant(request.tenant_id),
    }
}

/// A severity by its glyph and word, `‼ blocking`.
pub fn severity_label(severity: Severity, look: &Look) -> String {
    let glyph = match severity {
        Severity::Low => look.glyph("·", "."),
        Severity::Normal => look.glyph("○", "o"),
        Severity::High => look.glyph("▲", "^"),
        Severity::Blocking => look.glyph("‼", "!"),
    };
    format!("{glyph} {severity}")
}

/// The role of a severity.
pub fn severity_role(severity: Severity) -> Role {
    match severity {
        Severity::Low => Role::Muted,
        Severity::Normal => Role::Text,
        Severity::High => Role::Warning,
        Severity::Blocking => Role::Failed,
    }
}

/// The tenant of a request, by its name where it has one still.
pub(super) fn tenant_of(request: &SupportRequest) -> String {
    match &request.tenant_name {
        Some(name) => name.clone(),
        None => format!("tenant {}", request.tenant_id),
    }
}

/// What a request is about in a few words.
fn about(request: &SupportRequest) -> String {
    match request.run_id {
        Some(run) => format!("run {run}, {}", tenant_of(request)),
        None => tenant_of(request),
    }
}

/// Columns of what it is about, and of the summary.
fn columns(width: usize) -> (usize, usize) {
    let fixed = REFERENCE + 1 + SEVERITY + 1;
    if width < ROOMY {
        return (width.saturating_sub(fixed), 0);
    }
    let free = width.saturating_sub(fixed + SENT + 2);
    let about = (free * 2 / 5).max(10).min(free);
    (about, free - about)
}

fn head(width: usize, look: &Look) -> String {
    let (about, summary) = columns(width);
    let sent = look.time_heading("SENT");
    let about = look.cell("ABOUT", about);
    let rest = format!("{:<REFERENCE$} {:<SEVERITY$} {about}", "REFERENCE", "SEVERITY");
    if width < ROOMY {
        return rest;
    }
    format!("{} {rest} {}", look.cell(&sent, SENT), look.cut("SUMMARY", summary))
}

fn row(request: &SupportRequest, width: usize, selected: bool, look: &Look) -> Vec<Span<'static>> {
    let (columns, summary) = columns(width);
    let role = if selected { Role::Selected } else { Role::Text };
    let mut spans = Vec::new();
    if width >= ROOMY {
        let sent = format!("{:<SENT$} ", look.short_time(request.created_at));
        spans.push(look.span(Role::Text, sent));
    }
    spans.push(look.span(role, format!("{:<REFERENCE$}", request.reference)));
    let severity = severity_label(request.severity, look);
    let severity = format!(" {severity:<SEVERITY$} ");
    spans.push(look.span(severity_role(request.severity), severity));
    spans.push(look.span(Role::Text, look.cell(&about(request), columns)));
    if summary > 0 {
        let text = look.cut(&request.summary, summary).to_string();
        spans.push(Span::raw(" "));
        spans.extend(super::masked::spans(look, Role::Text, &text));
    }
    spans
}

fn preview(request: &SupportRequest, width: usize, around: &Around<'_>) -> Vec<Line<'static>> {
    let look = around.look;
    let mut lines = vec![
        Line::from(look.span(Role::Title, request.reference.to_string())),
        Line::from(
            look.span(severity_role(request.severity), severity_label(request.severity, look)),
        ),
        Line::default(),
    ];
    let mut field = |name: &str, text: &str| lines.extend(preview_field(name, text, width, around));
    field("summary", &request.summary);
    field("sent", &look.full_time(request.created_at));
    field("by", &request.created_by_name);
    if let Some(run) = request.run_id {
        field("run", &run.to_string());
    }
    field("tenant", &format!("{} ({})", tenant_of(request), request.tenant_id));
    if let Some(name) = &request.workspace_name {
        field("workspace", &format!("{name} ({})", request.workspace_id));
    }
    field("attached", request.attachment_mode.label());
    lines
}

/// Why there is nothing, and what to do.
fn empty(around: &Around<'_>) -> String {
    let mut text = "No request for support was sent yet, or none that you may see.".to_owned();
    if around.has(Capability::SupportRequestsCreate)
        && let Some(key) = around.key(Command::SupportRequest)
    {
        text.push_str(&format!(
            " {key} in a run, in a tenant or in the list of runs asks for support for it."
        ));
    }
    if around.has(Capability::OpsView)
        && let Some(key) = around.key(Command::SupportTenants)
    {
        text.push_str(&format!(" {key} finds a tenant."));
    }
    text
}

impl Screen for Requests {
    fn context(&self) -> Context {
        Context::Requests
    }

    fn subscriptions(&self, every: Duration) -> Vec<Sub> {
        let request = Request::of(self.ask());
        vec![Sub { slot: Slot::SupportRequests, request, every, follows: Follows::Changes }]
    }

    fn refresh(&mut self) -> Vec<Effect> {
        vec![Effect::ask(Slot::SupportRequests, self.ask())]
    }

    fn search(&mut self) -> &mut Search {
        &mut self.list.search
    }

    fn is_typing(&self) -> bool {
        self.list.search.is_typing()
    }

    fn searched(&mut self, _: &Around<'_>) -> Vec<Effect> {
        self.list.restart();
        self.refresh()
    }

    fn command(&mut self, command: Command, around: &Around<'_>) -> Outcome {
        if command == Command::RowOpen {
            return match self.selected() {
                Some(request) => Outcome::Open(Target::Request(request.reference)),
                None => Outcome::Stay,
            };
        }
        let more = self.list.command(command, around);
        if more { Outcome::Ask(self.refresh()) } else { Outcome::Stay }
    }

    fn click(&mut self, column: u16, row: u16, around: &Around<'_>) -> Outcome {
        if self.list.click(column, row, around) {
            return self.command(Command::RowOpen, around);
        }
        Outcome::Stay
    }

    fn settle(&mut self, around: &Around<'_>) {
        self.list.settle(around);
    }

    fn draw(&self, buffer: &mut Buffer, around: &Around<'_>) -> Option<Position> {
        let look = around.look;
        let frame = Frame {
            title: "Support requests",
            noun: "requests",
            head: &|width| head(width, look),
            row: &|request, width, selected| row(request, width, selected, look),
            preview: &|request, width| preview(request, width, around),
            empty: empty(around),
        };
        self.list.draw(&frame, buffer, around)
    }

    fn error(&self) -> Option<&Error> {
        self.list.error()
    }

    fn has_data(&self) -> bool {
        // What may no longer be seen is not shown beside the refusal.
        !self.list.rows().is_empty()
            && self.error().is_none_or(|error| error.kind() != ErrorKind::Forbidden)
    }

    fn subject(&self) -> Option<DiagnosticsSubject> {
        self.selected().map(subject_of)
    }

    fn tenant(&self) -> Option<i64> {
        self.selected().map(|request| request.tenant_id)
    }

    fn copies(&self) -> Option<String> {
        self.selected().map(|request| request.reference.to_string())
    }
}
