//! The choice of one of a run's tenants: failed ones first, with why they failed.

use std::time::Duration;

use chrono::{DateTime, Utc};
use ratatui::buffer::Buffer;
use ratatui::layout::Position;
use ratatui::text::{Line, Span};

use super::list::{Frame, List, Row, preview_field};
use super::{Around, Outcome, Screen, Search, Target};
use crate::domain::failure::ReasonCode;
use crate::domain::run_state::RunState;
use crate::ops::support::{DiagnosticsSubject, ListRunTenants, RunTenant, RunTenants};
use crate::tui::command::{Command, Context};
use crate::tui::look::{Look, state_role};
use crate::tui::msg::{Effect, Follows, Request, Slot, Sub};
use crate::tui::theme::Role;
use crate::{Error, Result};

/// What the tenant is chosen for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A request for support.
    Request,
    /// Its diagnostics.
    Diagnostics,
    /// A look at it.
    Tenant,
}

impl Purpose {
    /// What the list asks.
    const fn question(self) -> &'static str {
        match self {
            Self::Request => "ask for support for which tenant?",
            Self::Diagnostics => "open diagnostics of which tenant?",
            Self::Tenant => "show which tenant?",
        }
    }
}

impl Row for RunTenant {
    type Key = i64;

    fn key(&self) -> i64 {
        self.tenant_id
    }
}

/// The state of the choice.
#[derive(Debug)]
pub struct RunTenantChoice {
    run_id: i64,
    purpose: Purpose,
    list: List<RunTenant>,
}

impl RunTenantChoice {
    /// A choice among the tenants of a run.
    pub fn of(run_id: i64, purpose: Purpose) -> Self {
        Self { run_id, purpose, list: List::default() }
    }

    fn ask(&self) -> ListRunTenants {
        let search = self.list.search.text().to_owned();
        ListRunTenants { run_id: self.run_id, search, limit: self.list.limit() }
    }

    /// Takes an answer; one to another run or search is dropped.
    pub fn take(
        &mut self,
        asked: &ListRunTenants,
        found: &Result<RunTenants>,
        now: DateTime<Utc>,
        around: &Around<'_>,
    ) {
        if asked.run_id == self.run_id && asked.search == self.list.search.text() {
            let rows = found.clone().map(|found| {
                let held = i64::try_from(found.tenants.len()).unwrap_or(i64::MAX);
                (found.tenants, found.matching > held, Some(found.matching))
            });
            self.list.take(rows, now, around);
        }
    }
}

const ID: usize = 8;
const STATE: usize = 11;

fn columns(width: usize) -> (usize, usize) {
    let free = width.saturating_sub(STATE + 1 + ID + 1 + 1);
    (free / 2, free - free / 2)
}

/// The state of a tenant's share, by its stored word.
fn share(tenant: &RunTenant) -> (RunState, &str) {
    let state = match tenant.status.as_str() {
        "succeeded" => RunState::Succeeded,
        "failed" => RunState::Failed,
        "skipped" => RunState::Cancelled,
        _ => RunState::Queued,
    };
    (state, tenant.status.as_str())
}

fn row(tenant: &RunTenant, width: usize, selected: bool, look: &Look) -> Vec<Span<'static>> {
    let (name, reason) = columns(width);
    let role = if selected { Role::Selected } else { Role::Text };
    let (state, word) = share(tenant);
    let label = format!("{} {word}", state.glyph(look.ascii));
    let code = tenant.reason_code.as_deref().unwrap_or("");
    vec![
        look.span(state_role(state), look.cell(&label, STATE)),
        look.span(role, format!(" {:>ID$}", tenant.tenant_id)),
        look.span(Role::Text, format!(" {}", look.cell(&tenant.tenant_name, name))),
        look.span(Role::Failed, format!(" {}", look.cut(code, reason))),
    ]
}

fn head(width: usize, look: &Look) -> String {
    let (name, _) = columns(width);
    format!("{:<STATE$} {:>ID$} {} REASON", "STATE", "ID", look.cell("TENANT", name))
}

fn preview(tenant: &RunTenant, width: usize, around: &Around<'_>) -> Vec<Line<'static>> {
    let look = around.look;
    let name = look.cut(&tenant.tenant_name, width).to_string();
    let (state, word) = share(tenant);
    let label = look.cut(&format!("{} {word}", state.glyph(look.ascii)), width).to_string();
    let mut lines = vec![
        Line::from(look.span(Role::Title, name)),
        Line::from(look.span(state_role(state), label)),
        Line::default(),
    ];
    let mut field = |name: &str, text: &str| lines.extend(preview_field(name, text, width, around));
    field("tenant", &format!("{} ({})", tenant.tenant_name, tenant.tenant_id));
    if let Some(code) = &tenant.reason_code {
        let reason = ReasonCode::of(code);
        field("reason", code);
        field("why", reason.explanation());
        field("next", reason.next_step());
    }
    lines
}

impl Screen for RunTenantChoice {
    fn context(&self) -> Context {
        Context::RunTenants
    }

    fn subscriptions(&self, every: Duration) -> Vec<Sub> {
        let request = Request::of(self.ask());
        vec![Sub { slot: Slot::RunTenants, request, every, follows: Follows::Changes }]
    }

    fn refresh(&mut self) -> Vec<Effect> {
        vec![Effect::ask(Slot::RunTenants, self.ask())]
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
            let Some(subject) = self.subject() else { return Outcome::Stay };
            return match (self.purpose, self.tenant()) {
                (Purpose::Request, _) => Outcome::Compose(subject),
                (Purpose::Tenant, Some(id)) => Outcome::Open(Target::Tenant(id)),
                _ => Outcome::Open(Target::Diagnostics(subject)),
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
        let title = format!("Run {}: {}", self.run_id, self.purpose.question());
        let frame = Frame {
            title: &title,
            noun: "tenants",
            head: &|width| head(width, look),
            row: &|tenant, width, selected| row(tenant, width, selected, look),
            preview: &|tenant, width| preview(tenant, width, around),
            empty: format!(
                "Run {} has no tenant, or none that you may see: support is about a tenant.",
                self.run_id
            ),
        };
        self.list.draw(&frame, buffer, around)
    }

    fn error(&self) -> Option<&Error> {
        self.list.error()
    }

    fn has_data(&self) -> bool {
        !self.list.rows().is_empty()
    }

    fn subject(&self) -> Option<DiagnosticsSubject> {
        let tenant_id = self.tenant()?;
        Some(DiagnosticsSubject::Run { run_id: self.run_id, tenant_id: Some(tenant_id) })
    }

    fn tenant(&self) -> Option<i64> {
        self.list.selected().map(|tenant| tenant.tenant_id)
    }

    fn copies(&self) -> Option<String> {
        self.tenant().map(|id| id.to_string())
    }
}
