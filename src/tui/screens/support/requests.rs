//! The list of requests that were sent, newest first: the home of the tab.

use ratatui::text::Line;

use super::list::{Listed, Rows, preview_field};
use crate::Result;
use crate::domain::capability::Capability;
use crate::domain::support::Severity;
use crate::ops::support::{DiagnosticsSubject, ListRequests, RequestPage, SupportRequest};
use crate::ops::{AnyOperation, AnyOutput};
use crate::tui::command::{Command, Context};
use crate::tui::look::Look;
use crate::tui::screen::{Cx, Hint, Target};
use crate::tui::slot::Slot;
use crate::tui::theme::Role;
use crate::tui::widgets::masked;
use crate::tui::widgets::table::{Column, Row};

const SENT: usize = 11;
const REFERENCE: usize = 29;
const SEVERITY: usize = 10;
/// With fewer columns than this, when a request was sent is told by the request alone.
const ROOMY: usize = 76;

#[derive(Debug)]
pub struct Requests;

/// What a request is about, as one who asks again would say it.
pub(super) fn subject_of(request: &SupportRequest) -> DiagnosticsSubject {
    match request.run_id {
        Some(run_id) => DiagnosticsSubject::Run { run_id, tenant_id: Some(request.tenant_id) },
        None => DiagnosticsSubject::Tenant(request.tenant_id),
    }
}

/// A severity by its glyph and word, `‼ blocking`.
pub fn severity_in(severity: Severity, look: &Look) -> (Role, String) {
    let (role, glyph) = match severity {
        Severity::Low => (Role::Muted, look.glyph("·", ".")),
        Severity::Normal => (Role::Text, look.glyph("○", "o")),
        Severity::High => (Role::Warning, look.glyph("▲", "^")),
        Severity::Blocking => (Role::Failed, look.glyph("‼", "!")),
    };
    (role, format!("{glyph} {severity}"))
}

pub(super) fn tenant_of(request: &SupportRequest) -> String {
    match &request.tenant_name {
        Some(name) => name.clone(),
        None => format!("tenant {}", request.tenant_id),
    }
}

fn about(request: &SupportRequest) -> String {
    match request.run_id {
        Some(run) => format!("run {run}, {}", tenant_of(request)),
        None => tenant_of(request),
    }
}

impl Row for SupportRequest {
    type Key = i64;

    fn key(&self) -> i64 {
        self.id
    }
}

impl Listed for Requests {
    type Row = SupportRequest;
    const CONTEXT: Context = Context::Requests;
    const SLOT: Slot = Slot::SUPPORT_REQUESTS;
    const HIDES: bool = true;
    const NOUN: &'static str = "requests";

    fn ask(&self, search: String, limit: i64) -> AnyOperation {
        ListRequests { search, limit, ..ListRequests::default() }.into()
    }

    fn take(&self, answer: &AnyOutput, search: &str) -> Option<Result<Rows<SupportRequest>>> {
        let AnyOutput::ListRequests(asked, found) = answer else { return None };
        let rows = |page: RequestPage| (page.support_requests, page.next.is_some(), None);
        (asked.search == search).then(|| found.clone().map(rows))
    }

    fn open(&self, request: &SupportRequest) -> Target {
        Target::Request(request.reference)
    }

    fn about(&self, request: &SupportRequest) -> (DiagnosticsSubject, i64) {
        (subject_of(request), request.tenant_id)
    }

    fn copies(&self, request: &SupportRequest) -> String {
        request.reference.to_string()
    }

    fn title(&self) -> String {
        "Support requests".to_owned()
    }

    fn columns(width: usize, look: &Look) -> Vec<Column<'_, SupportRequest>> {
        let roomy = width >= ROOMY;
        let sent = if roomy { SENT } else { 0 };
        let free =
            width.saturating_sub(REFERENCE + 1 + SEVERITY + 1 + if roomy { SENT + 2 } else { 0 });
        let subject = if roomy { (free * 2 / 5).max(10).min(free) } else { free };
        let summary = free - subject;
        let severity = |request: &SupportRequest| severity_in(request.severity, look);
        let said = move |request: &SupportRequest| {
            masked::spans(look, Role::Text, look.cut(&request.summary, summary).as_str())
        };
        vec![
            Column::new(look.time_heading("SENT"), sent, |request: &SupportRequest| {
                look.short_time(request.created_at)
            }),
            Column::new("REFERENCE", REFERENCE, |request: &SupportRequest| {
                request.reference.to_string()
            })
            .chief(),
            Column::new("SEVERITY", SEVERITY, severity),
            Column::new("ABOUT", subject, about),
            Column::new("SUMMARY", summary, said),
        ]
    }

    fn preview(request: &SupportRequest, width: usize, cx: &Cx<'_>) -> Vec<Line<'static>> {
        let look = cx.look;
        let (role, severity) = severity_in(request.severity, look);
        let mut lines = vec![
            Line::from(look.span(Role::Title, request.reference.to_string())),
            Line::from(look.span(role, severity)),
            Line::default(),
        ];
        let mut field = |name: &str, text: &str| lines.extend(preview_field(name, text, width, cx));
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

    fn empty(&self, cx: &Cx<'_>) -> String {
        let mut text = "No request for support was sent yet, or none that you may see.".to_owned();
        if cx.has(Capability::SupportRequestsCreate)
            && let Some(key) = cx.key(Context::Requests, Command::SupportRequest)
        {
            text.push_str(&format!(
                " {key} in a run, in a tenant or in the list of runs asks for support for it."
            ));
        }
        if cx.has(Capability::OpsView)
            && let Some(key) = cx.key(Context::Requests, Command::SupportTenants)
        {
            text.push_str(&format!(" {key} finds a tenant."));
        }
        text
    }

    fn hints(&self) -> Vec<Hint> {
        vec![
            Hint::own(Command::RowOpen),
            Hint::Does(Command::FilterEdit, "search"),
            Hint::own(Command::SupportTenants),
            Hint::own(Command::CopyId),
            Hint::own(Command::AppPalette),
        ]
    }
}
