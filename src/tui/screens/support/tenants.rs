//! The list of tenants, by name: where one is found to look at.

use std::time::Duration;

use chrono::{DateTime, Utc};
use ratatui::buffer::Buffer;
use ratatui::layout::Position;
use ratatui::text::{Line, Span};

use super::list::{Frame, List, Row, preview_field};
use super::{Around, Outcome, Screen, Search, Target};
use crate::ops::support::{DiagnosticsSubject, ListTenants, SupportTenant, TenantPage};
use crate::tui::command::{Command, Context};
use crate::tui::look::Look;
use crate::tui::msg::{Effect, Follows, Request, Slot, Sub};
use crate::tui::theme::Role;
use crate::{Error, Result};

/// Names seldom change: they are asked so many times less often than the rest.
const SELDOM: u32 = 5;

impl Row for SupportTenant {
    type Key = i64;

    fn key(&self) -> i64 {
        self.id
    }
}

/// The state of the list.
#[derive(Debug, Default)]
pub struct Tenants {
    list: List<SupportTenant>,
}

impl Tenants {
    fn ask(&self) -> ListTenants {
        let search = self.list.search.text().to_owned();
        ListTenants { search, offset: 0, limit: self.list.limit() }
    }

    /// Takes an answer; one to another search is dropped.
    pub fn take(
        &mut self,
        asked: &ListTenants,
        found: &Result<TenantPage>,
        now: DateTime<Utc>,
        around: &Around<'_>,
    ) {
        if asked.search == self.list.search.text() {
            let rows = found.clone().map(|page| {
                let held = i64::try_from(page.tenants.len()).unwrap_or(i64::MAX);
                (page.tenants, page.matching > held, Some(page.matching))
            });
            self.list.take(rows, now, around);
        }
    }
}

/// What is special about a tenant.
pub(super) fn mark_of(tenant: &SupportTenant) -> &'static str {
    match (tenant.archived_at, tenant.is_platform) {
        (Some(_), _) => "archived",
        (None, true) => "the platform's",
        (None, false) => "",
    }
}

const ID: usize = 8;
const MARK: usize = 15;

fn columns(width: usize) -> (usize, usize) {
    let free = width.saturating_sub(ID + 1 + 1 + 1 + MARK);
    (free / 2, free - free / 2)
}

fn row(tenant: &SupportTenant, width: usize, selected: bool, look: &Look) -> Vec<Span<'static>> {
    let (name, workspace) = columns(width);
    let role = if selected { Role::Selected } else { Role::Text };
    vec![
        look.span(role, format!("{:>ID$}", tenant.id)),
        look.span(Role::Text, format!(" {}", look.cell(&tenant.name, name))),
        look.span(Role::Text, format!(" {}", look.cell(&tenant.workspace_name, workspace))),
        look.span(Role::Muted, format!(" {}", mark_of(tenant))),
    ]
}

fn head(width: usize, look: &Look) -> String {
    let (name, workspace) = columns(width);
    let (name, workspace) = (look.cell("TENANT", name), look.cell("WORKSPACE", workspace));
    format!("{:>ID$} {name} {workspace}", "ID")
}

fn preview(tenant: &SupportTenant, width: usize, around: &Around<'_>) -> Vec<Line<'static>> {
    let look = around.look;
    let name = look.cut(&tenant.name, width).to_string();
    let mut lines = vec![Line::from(look.span(Role::Title, name)), Line::default()];
    let mut field = |name: &str, text: &str| lines.extend(preview_field(name, text, width, around));
    field("tenant", &format!("{} ({})", tenant.name, tenant.id));
    field("workspace", &format!("{} ({})", tenant.workspace_name, tenant.workspace_id));
    field("created", &look.full_time(tenant.created_at));
    if let Some(at) = tenant.archived_at {
        field("archived", &look.full_time(at));
    }
    if tenant.is_platform {
        field("", "the platform's own tenant");
    }
    lines
}

impl Screen for Tenants {
    fn context(&self) -> Context {
        Context::Tenants
    }

    fn subscriptions(&self, every: Duration) -> Vec<Sub> {
        let request = Request::of(self.ask());
        let every = every * SELDOM;
        vec![Sub { slot: Slot::SupportTenants, request, every, follows: Follows::Changes }]
    }

    fn refresh(&mut self) -> Vec<Effect> {
        vec![Effect::ask(Slot::SupportTenants, self.ask())]
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
            return match self.tenant() {
                Some(id) => Outcome::Open(Target::Tenant(id)),
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
            title: "Tenants",
            noun: "tenants",
            head: &|width| head(width, look),
            row: &|tenant, width, selected| row(tenant, width, selected, look),
            preview: &|tenant, width| preview(tenant, width, around),
            empty: "There is no tenant, or none that you may see.".to_owned(),
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
        self.tenant().map(DiagnosticsSubject::Tenant)
    }

    fn tenant(&self) -> Option<i64> {
        self.list.selected().map(|tenant| tenant.id)
    }

    fn copies(&self) -> Option<String> {
        self.tenant().map(|id| id.to_string())
    }
}
