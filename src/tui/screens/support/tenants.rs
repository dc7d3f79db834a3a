//! The list of tenants, by name: where one is found to look at.

use ratatui::text::Line;

use super::list::{Listed, Rows, preview_field};
use crate::Result;
use crate::ops::support::{DiagnosticsSubject, ListTenants, SupportTenant, TenantPage};
use crate::ops::{AnyOperation, AnyOutput};
use crate::tui::command::{Command, Context};
use crate::tui::look::Look;
use crate::tui::screen::{Cx, Hint, Target};
use crate::tui::slot::Slot;
use crate::tui::theme::Role;
use crate::tui::widgets::table::{Column, Row};

#[derive(Debug)]
pub struct Tenants;

pub(super) fn mark_of(tenant: &SupportTenant) -> &'static str {
    match (tenant.archived_at, tenant.is_platform) {
        (Some(_), _) => "archived",
        (None, true) => "the platform's",
        (None, false) => "",
    }
}

const ID: usize = 8;
const MARK: usize = 15;

impl Row for SupportTenant {
    type Key = i64;

    fn key(&self) -> i64 {
        self.id
    }
}

impl Listed for Tenants {
    type Row = SupportTenant;
    const CONTEXT: Context = Context::Tenants;
    const SLOT: Slot = Slot::SUPPORT_TENANTS;
    // Names change rarely.
    const POLL_FACTOR: u32 = 5;
    const NOUN: &'static str = "tenants";

    fn ask(&self, search: String, limit: i64) -> AnyOperation {
        ListTenants { search, offset: 0, limit }.into()
    }

    fn take(&self, answer: &AnyOutput, search: &str) -> Option<Result<Rows<SupportTenant>>> {
        let AnyOutput::ListTenants(asked, found) = answer else { return None };
        let rows = |page: TenantPage| {
            let held = i64::try_from(page.tenants.len()).unwrap_or(i64::MAX);
            (page.tenants, page.matching > held, Some(page.matching))
        };
        (asked.search == search).then(|| found.clone().map(rows))
    }

    fn open(&self, tenant: &SupportTenant) -> Target {
        Target::Tenant(tenant.id)
    }

    fn about(&self, tenant: &SupportTenant) -> (DiagnosticsSubject, i64) {
        (DiagnosticsSubject::Tenant(tenant.id), tenant.id)
    }

    fn title(&self) -> String {
        "Tenants".to_owned()
    }

    fn columns(width: usize, _: &Look) -> Vec<Column<'_, SupportTenant>> {
        let free = width.saturating_sub(ID + 1 + 1 + 1 + MARK);
        let (name, workspace) = (free / 2, free - free / 2);
        vec![
            Column::new("ID", ID, |tenant: &SupportTenant| tenant.id.to_string()).right().chief(),
            Column::new("TENANT", name, |tenant: &SupportTenant| tenant.name.clone()),
            Column::new("WORKSPACE", workspace, |tenant: &SupportTenant| {
                tenant.workspace_name.clone()
            }),
            Column::new("", MARK, |tenant: &SupportTenant| {
                (Role::Muted, mark_of(tenant).to_owned())
            }),
        ]
    }

    fn preview(tenant: &SupportTenant, width: usize, cx: &Cx<'_>) -> Vec<Line<'static>> {
        let look = cx.look;
        let name = look.cut(&tenant.name, width).to_string();
        let mut lines = vec![Line::from(look.span(Role::Title, name)), Line::default()];
        let mut field = |name: &str, text: &str| lines.extend(preview_field(name, text, width, cx));
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

    fn empty(&self, _: &Cx<'_>) -> String {
        "There is no tenant, or none that you may see.".to_owned()
    }

    fn hints(&self) -> Vec<Hint> {
        vec![
            Hint::own(Command::RowOpen),
            Hint::Does(Command::FilterEdit, "search"),
            Hint::own(Command::SupportRequest),
            Hint::own(Command::SupportDiagnostics),
            Hint::own(Command::AppBack),
        ]
    }
}
