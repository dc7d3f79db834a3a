//! The choice of one of a run's tenants: failed ones first, with why they failed.

use ratatui::text::Line;

use super::list::{Listed, Rows, preview_field};
use crate::Result;
use crate::domain::failure::ReasonCode;
use crate::domain::run_state::RunState;
use crate::ops::support::{DiagnosticsSubject, ListRunTenants, RunTenant, RunTenants};
use crate::ops::{AnyOperation, AnyOutput};
use crate::tui::command::{Command, Context};
use crate::tui::look::{Look, state_role};
use crate::tui::screen::{Cx, Hint, Purpose, Target};
use crate::tui::slot::Slot;
use crate::tui::theme::Role;
use crate::tui::widgets::table::{Column, Row};

impl Purpose {
    const fn question(self) -> &'static str {
        match self {
            Self::Request => "ask for support for which tenant?",
            Self::Diagnostics => "open diagnostics of which tenant?",
            Self::Tenant => "show which tenant?",
        }
    }
}

#[derive(Debug)]
pub struct RunTenantChoice(pub i64, pub Purpose);

const ID: usize = 8;
const STATE: usize = 11;

fn share(tenant: &RunTenant) -> (RunState, &str) {
    let state = match tenant.status.as_str() {
        "succeeded" => RunState::Succeeded,
        "failed" => RunState::Failed,
        "skipped" => RunState::Cancelled,
        _ => RunState::Queued,
    };
    (state, tenant.status.as_str())
}

impl Row for RunTenant {
    type Key = i64;

    fn key(&self) -> i64 {
        self.tenant_id
    }
}

impl Listed for RunTenantChoice {
    type Row = RunTenant;
    const CONTEXT: Context = Context::RunTenants;
    const SLOT: Slot = Slot::RUN_TENANTS;
    const NOUN: &'static str = "tenants";

    fn ask(&self, search: String, limit: i64) -> AnyOperation {
        ListRunTenants { run_id: self.0, search, limit }.into()
    }

    fn take(&self, answer: &AnyOutput, search: &str) -> Option<Result<Rows<RunTenant>>> {
        let AnyOutput::ListRunTenants(asked, found) = answer else { return None };
        let rows = |found: RunTenants| {
            let held = i64::try_from(found.tenants.len()).unwrap_or(i64::MAX);
            (found.tenants, found.matching > held, Some(found.matching))
        };
        (asked.run_id == self.0 && asked.search == search).then(|| found.clone().map(rows))
    }

    fn open(&self, tenant: &RunTenant) -> Target {
        let (subject, id) = self.about(tenant);
        match self.1 {
            Purpose::Request => Target::Compose(subject),
            Purpose::Tenant => Target::Tenant(id),
            Purpose::Diagnostics => Target::Diagnostics(subject),
        }
    }

    fn about(&self, tenant: &RunTenant) -> (DiagnosticsSubject, i64) {
        let tenant_id = tenant.tenant_id;
        (DiagnosticsSubject::Run { run_id: self.0, tenant_id: Some(tenant_id) }, tenant_id)
    }

    fn title(&self) -> String {
        format!("Run {}: {}", self.0, self.1.question())
    }

    fn columns(width: usize, look: &Look) -> Vec<Column<'_, RunTenant>> {
        let free = width.saturating_sub(STATE + 1 + ID + 1 + 1);
        let (name, reason) = (free / 2, free - free / 2);
        let state = |tenant: &RunTenant| {
            let (state, word) = share(tenant);
            (state_role(state), format!("{} {word}", state.glyph(look.ascii)))
        };
        let code = |tenant: &RunTenant| tenant.reason_code.clone().unwrap_or_default();
        vec![
            Column::new("STATE", STATE, state),
            Column::new("ID", ID, |tenant: &RunTenant| tenant.tenant_id.to_string())
                .right()
                .chief(),
            Column::new("TENANT", name, |tenant: &RunTenant| tenant.tenant_name.clone()),
            Column::new("REASON", reason, move |tenant| (Role::Failed, code(tenant))),
        ]
    }

    fn preview(tenant: &RunTenant, width: usize, cx: &Cx<'_>) -> Vec<Line<'static>> {
        let look = cx.look;
        let name = look.cut(&tenant.tenant_name, width).to_string();
        let (state, word) = share(tenant);
        let label = look.cut(&format!("{} {word}", state.glyph(look.ascii)), width).to_string();
        let mut lines = vec![
            Line::from(look.span(Role::Title, name)),
            Line::from(look.span(state_role(state), label)),
            Line::default(),
        ];
        let mut field = |name: &str, text: &str| lines.extend(preview_field(name, text, width, cx));
        field("tenant", &format!("{} ({})", tenant.tenant_name, tenant.tenant_id));
        if let Some(code) = &tenant.reason_code {
            let reason = ReasonCode::of(code);
            field("reason", code);
            field("why", reason.explanation());
            field("next", reason.next_step());
        }
        lines
    }

    fn empty(&self, _: &Cx<'_>) -> String {
        format!(
            "Run {} has no tenant, or none that you may see: support is about a tenant.",
            self.0
        )
    }

    fn hints(&self) -> Vec<Hint> {
        vec![
            Hint::Does(Command::RowOpen, "select"),
            Hint::Does(Command::FilterEdit, "search"),
            Hint::own(Command::AppBack),
        ]
    }
}
