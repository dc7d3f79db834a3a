//! A tenant at a glance: how it is connected, what is open, what ran, what was asked.

use super::requests::severity_in;
use super::tenants::mark_of;
use crate::domain::capability::Capability;
use crate::domain::run::Run;
use crate::domain::run_state::RunState;
use crate::ops::AnyOutput;
use crate::ops::support::{
    Connection, DiagnosticsSubject, FindingSums, GetTenant, SupportRequest, TenantView,
};
use crate::ops::telemetry::NOT_KEPT;
use crate::tui::command::{Command, Context};
use crate::tui::look::{Look, grouped, state_role};
use crate::tui::msg::{Follows, Request, Sub};
use crate::tui::remote::Remote;
use crate::tui::screen::{Cx, Hint, State, Subject, Target};
use crate::tui::slot::Slot;
use crate::tui::theme::Role;
use crate::tui::widgets::document::Document;
use crate::tui::widgets::masked;
use crate::tui::widgets::page::Page;
use crate::tui::widgets::paper::Paper;

const NAME: usize = 14;

#[derive(Debug)]
pub struct TenantPaper {
    id: i64,
    view: Remote<TenantView>,
}

impl TenantPaper {
    pub fn page(id: i64) -> Page<Self> {
        Page::of(Self { id, view: Remote::default() })
    }
}

fn head(paper: &mut Paper<'_>, view: &TenantView, look: &Look) {
    let tenant = &view.tenant;
    let mark = mark_of(tenant);
    let mark = if mark.is_empty() { String::new() } else { format!(", {mark}") };
    paper.text(Role::Title, 0, &format!("{} (tenant {}){mark}", tenant.name, tenant.id));
    let mut line = |role: Role, name: &str, text: &str| {
        paper.labelled(role, 0, &format!("{name:<NAME$}"), text);
    };
    let workspace = format!("{} ({})", tenant.workspace_name, tenant.workspace_id);
    line(Role::Text, "workspace", &workspace);
    if let Some(at) = tenant.archived_at {
        line(Role::Warning, "archived", &look.full_time(at));
    }
    if view.connections.is_empty() {
        line(Role::Muted, "connection", "no provider was ever connected");
    }
    for (index, connection) in view.connections.iter().enumerate() {
        let (role, text) = connected(connection, look);
        line(role, if index == 0 { "connection" } else { "" }, &text);
    }
    let last =
        view.last_activity_at.map_or_else(|| "none is kept".to_owned(), |at| look.full_time(at));
    line(Role::Text, "last activity", &last);
    let week = &view.week;
    let mut text = match (week.total, week.failed) {
        (None, _) => NOT_KEPT.to_owned(),
        (Some(0), _) => "no run of its own".to_owned(),
        (Some(total), failed) => format!(
            "{} {} of its own, {} failed, {} active",
            grouped(total),
            if total == 1 { "run" } else { "runs" },
            failed.map_or_else(|| NOT_KEPT.to_owned(), grouped),
            grouped(week.active)
        ),
    };
    if let Some(at) = week.missing_before {
        text.push_str(&format!("; ended runs {NOT_KEPT} before {}", look.short_time(at)));
    }
    line(if week.failed > Some(0) { Role::Failed } else { Role::Text }, "last 7 days", &text);
}

fn connected(connection: &Connection, look: &Look) -> (Role, String) {
    let (glyph, role) = match connection.status.as_str() {
        "connected" => (look.glyph("✓", "+"), Role::Success),
        "degraded" => (look.glyph("◐", "~"), Role::Warning),
        _ => (look.glyph("✗", "x"), Role::Failed),
    };
    let status = connection.status.replace('_', " ");
    let mut text = format!("{glyph} {} {status}", connection.provider);
    if let Some(code) = &connection.last_error_code {
        text.push_str(&format!(", {code}"));
    }
    if let Some(at) = connection.last_checked_at {
        text.push_str(&format!(", checked {}", look.short_time(at)));
    }
    let role = match connection.consent_expires_at {
        Some(at) if at <= look.now => {
            text.push_str(&format!(", consent ended {}", look.short_time(at)));
            Role::Failed
        }
        Some(at) => {
            text.push_str(&format!(", consent until {}", look.format(at, "%F")));
            role
        }
        None => role,
    };
    (role, text)
}

fn findings(paper: &mut Paper<'_>, sums: &[FindingSums]) {
    let (open, overdue) =
        sums.iter().fold((0, 0), |(open, over), sums| (open + sums.open, over + sums.overdue));
    let note = format!("{} open, {} overdue", grouped(open), grouped(overdue));
    paper.section("Findings", if sums.is_empty() { "none" } else { &note });
    for sums in sums {
        let text = format!(
            "{:>5} open  {:>5} overdue  {:>5} in all",
            grouped(sums.open),
            grouped(sums.overdue),
            grouped(sums.total)
        );
        let role = if sums.overdue > 0 { Role::Warning } else { Role::Text };
        paper.columns(role, 4, &format!("{:<10}", sums.severity), &text);
    }
    paper.end_section();
}

fn runs(paper: &mut Paper<'_>, view: &TenantView, look: &Look) {
    let count = view.runs.len();
    let mut note = if count == 0 { "none is kept".to_owned() } else { format!("newest {count}") };
    if let Some(at) = view.runs_missing_before {
        note.push_str(&format!(", {NOT_KEPT} before {}", look.short_time(at)));
    }
    paper.section("Runs", &note);
    for run in &view.runs {
        run_line(paper, run, look);
    }
    paper.end_section();
}

fn run_line(paper: &mut Paper<'_>, run: &Run, look: &Look) {
    let state = RunState::of(run, look.now);
    let head = format!("{:>7}  {:<11}  ", run.id, look.short_time(run.created_at));
    let state_text = look.cell(&state.label(look.ascii), 12);
    let room = paper.width.saturating_sub(4 + head.chars().count() + 12);
    let many = run.tenant_id.is_none();
    let reason = run.reason_code.as_deref().map_or_else(String::new, |code| format!("  {code}"));
    let many =
        if many { format!(", {} tenants", grouped(run.target_count)) } else { String::new() };
    let text = look.cut(&format!("{}{many}{reason}", run.run_type), room).to_string();
    let spans = vec![
        look.span(Role::Text, head),
        look.span(state_role(state), state_text),
        look.span(Role::Text, text),
    ];
    paper.link(Target::Run(run.id), 2, spans);
}

fn requests(paper: &mut Paper<'_>, requests: Option<&[SupportRequest]>, look: &Look) {
    let Some(requests) = requests else {
        paper.section("Support requests", "hidden");
        paper.end_section();
        let (one, other) = (Capability::SupportRequestsCreate, Capability::SupportDiagnosticsView);
        let text = format!("seeing requests needs the capability {one} or {other}");
        return paper.text(Role::Muted, 4, &text);
    };
    let note = match requests.len() {
        0 => "none was sent".to_owned(),
        count => format!("newest {count}"),
    };
    paper.section("Support requests", &note);
    for request in requests {
        let head = format!("{:<11}  {}  ", look.short_time(request.created_at), request.reference);
        let (role, severity) = severity_in(request.severity, look);
        let room = paper.width.saturating_sub(4 + head.chars().count() + 12);
        let text = look.cut(&request.summary, room).to_string();
        let mut spans =
            vec![look.span(Role::Text, head), look.span(role, format!("{severity:<10}  "))];
        spans.extend(masked::spans(look, Role::Text, &text));
        paper.link(Target::Request(request.reference), 2, spans);
    }
    paper.end_section();
}

impl Document for TenantPaper {
    const CONTEXT: Context = Context::Tenant;
    const OPEN: &'static [usize] = &[0, 1, 2];

    fn subscriptions(&self, cx: &Cx<'_>) -> Vec<Sub> {
        let (slot, request) = (Slot::SUPPORT_TENANT, Request::of(GetTenant { id: self.id }));
        // Findings become overdue by the passing of time alone.
        vec![Sub { slot, request, every: cx.every, follows: Follows::Time }]
    }

    fn answer(&mut self, answer: &AnyOutput, cx: &Cx<'_>) -> bool {
        let AnyOutput::GetTenant(asked, view) = answer else { return false };
        let ours = asked.id == self.id;
        if ours {
            self.view.take(view.clone(), cx.look.now);
        }
        ours
    }

    fn write(&self, paper: &mut Paper<'_>, cx: &Cx<'_>) -> Option<()> {
        let (view, look) = (self.view.value()?, cx.look);
        head(paper, view, look);
        paper.gap();
        findings(paper, &view.findings);
        runs(paper, view, look);
        requests(paper, view.requests.as_deref(), look);
        Some(())
    }

    fn reading(&self) -> String {
        format!("reading tenant {} ...", self.id)
    }

    fn state(&self) -> State<'_> {
        self.view.state()
    }

    fn subject(&self) -> Subject<'_> {
        Subject::Support(DiagnosticsSubject::Tenant(self.id), Some(self.id))
    }

    fn copies(&self) -> Option<String> {
        Some(self.id.to_string())
    }

    fn hints(&self) -> Vec<Hint> {
        vec![
            Hint::own(Command::SupportRequest),
            Hint::own(Command::SupportDiagnostics),
            Hint::own(Command::AppBack),
            Hint::own(Command::RowOpen),
            Hint::Does(Command::FilterEdit, "search"),
            Hint::own(Command::FoldToggle),
        ]
    }
}
