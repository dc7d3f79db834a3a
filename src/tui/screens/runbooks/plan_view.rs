//! Draws the preflight and the plan with its targets.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;

use super::listing::number;
use super::plan::{Counting, Trouble};
use super::view::{draw_search, fact, failed, is_roomy, key, name, parts, put, put_below, text};
use super::{Cx, Draft};
use crate::domain::count::noun;
use crate::ops::plans::{Plan, PlanTarget};
use crate::tui::command::{Command, Context};
use crate::tui::look::{Look, grouped, wrapped};
use crate::tui::theme::Role;
use crate::tui::widgets::table::Column;

const ID: usize = 8;
const COUNT: usize = 10;
const NAME_MAX: usize = 50;
const HASH: usize = 8;

/// `18,204 of 1,030,551 findings in 388 tenants`.
pub(super) fn affects(plan: &Plan, items: &str) -> String {
    let total = plan.total_count;
    let items = noun(total, items);
    let affected = format!("{}{}", plan.affected_prefix(), grouped(plan.affected_count));
    let sum = format!("{affected} of {} {items}", grouped(total));
    match (plan.tenant_count, plan.affected_tenant_count) {
        (0, _) => sum,
        (_, 1) => format!("{sum} in 1 tenant"),
        (_, n) => format!("{sum} in {} tenants", grouped(n)),
    }
}

/// `usually 4 m (last 3 runs)`.
fn usually(plan: &Plan) -> String {
    let Some(seconds) = plan.expected_seconds else { return "no history yet".to_owned() };
    let time = match seconds {
        ..90 => format!("{seconds} s"),
        90..5_400 => format!("{} m", (seconds + 30) / 60),
        _ => format!("{} h", (seconds + 1_800) / 3_600),
    };
    let runs = match plan.expected_runs {
        1 => "last run".to_owned(),
        n => format!("last {n} runs"),
    };
    format!("usually {time} ({runs})")
}

/// `12 (7f3a91c2), expires 12:15:00 UTC`.
pub(super) fn plan_words(plan: &Plan, look: &Look) -> String {
    let hash: String = plan.hash.chars().take(HASH).collect();
    let word = if plan.expires_at <= look.now { "expired" } else { "expires" };
    let at = look.short_time(plan.expires_at);
    format!("{} ({hash}), {word} {at} {}", plan.id, look.zone_name())
}

impl Draft {
    fn facts(&self, area: Rect, look: &Look) -> Vec<Line<'static>> {
        let Some(plan) = self.plan.plan() else { return Vec::new() };
        let mut lines = fact(look, "scope", Role::Text, &plan.scope_named(), area);
        lines.extend(fact(look, "affects", Role::Accent, &affects(plan, self.card.items()), area));
        lines.extend(fact(look, "duration", Role::Text, &usually(plan), area));
        let expired = plan.expires_at <= look.now;
        let role = if expired { Role::Stale } else { Role::Text };
        lines.extend(fact(look, "plan", role, &plan_words(plan, look), area));
        if is_roomy(area) {
            lines.push(Line::default());
        }
        lines
    }

    fn plan_foot(&self, area: Rect, cx: &Cx<'_>) -> Vec<Line<'static>> {
        let look = cx.look;
        let mut lines = Vec::new();
        let renew = key(cx, Context::Plan, Command::PreflightNew);
        let trouble = self.plan.trouble(look.now, self.card.items());
        let said = match trouble.filter(|_| !self.plan.is_counting()) {
            Some(Trouble::Nothing(why)) => Some(why),
            Some(Trouble::Dead(why)) => Some(format!("{why}; {renew} makes a new preflight")),
            Some(Trouble::Expired) => {
                Some(format!("this plan has expired: {renew} makes a new preflight"))
            }
            Some(Trouble::NoPlan) => Some(format!("{renew} makes a new preflight, esc goes back")),
            None => None,
        };
        if let Some(note) = &self.plan.note {
            lines.extend(text(look, Role::Warning, note, area));
        }
        if self.plan.exporting {
            lines.extend(text(look, Role::Running, "exporting ...", area));
        }
        if let Some(file) = &self.plan.exported {
            lines.extend(text(look, Role::Success, &format!("written to {file}"), area));
        }
        if let Some(said) = said {
            lines.extend(failed(look, &said, area));
        }
        lines
    }

    /// The facts, the search and the column heads, the rows, and what is below them.
    pub(super) fn plan_parts(&self, area: Rect, cx: &Cx<'_>) -> [Rect; 4] {
        let rows_of = |lines: Vec<Line<'_>>| u16::try_from(lines.len()).unwrap_or(u16::MAX);
        let facts = rows_of(self.facts(area, cx.look)).min(area.height);
        let foot = rows_of(self.plan_foot(area, cx)).min(area.height - facts);
        let left = area.height - facts - foot;
        let head = 2.min(left);
        parts(area, [facts, head, left - head, foot])
    }

    pub(super) fn draw_plan(
        &self,
        area: Rect,
        buffer: &mut Buffer,
        cx: &Cx<'_>,
    ) -> Option<Position> {
        let look = cx.look;
        let [facts, head, rows, foot] = self.plan_parts(area, cx);
        put_below(self.plan_foot(area, cx), foot, buffer);
        if self.plan.plan().is_none() {
            let role = match self.plan.counting {
                Counting::Failed(_) => Role::Failed,
                Counting::Now(_) => Role::Running,
                _ => Role::Text,
            };
            let columns = usize::from(area.width.saturating_sub(2));
            let line = |line| Line::from(look.span(role, format!(" {line}")));
            let words = wrapped(&self.counting_words(), columns);
            let mut lines: Vec<Line<'static>> = words.into_iter().map(line).collect();
            if self.plan.is_counting() {
                let cancel = key(cx, Context::Plan, Command::PreflightCancel);
                let hint = format!("Nothing is changed by counting. esc or {cancel} cancels it.");
                lines.extend(text(look, Role::Hint, &hint, area));
            }
            put(lines, Rect { height: area.height - foot.height, ..area }, buffer);
            return None;
        }
        put(self.facts(area, look), facts, buffer);
        let more = self.plan.plan().is_some_and(|plan| plan.affected_at_least);
        let columns = columns(area, more, look);
        let first = Rect { height: head.height.min(1), ..head };
        let list = Rect { y: first.bottom(), height: rows.bottom() - first.bottom(), ..area };
        let targets = &self.plan.targets;
        let nothing = if self.plan.affected_only {
            "No such target has anything to change."
        } else {
            "No target matches this search."
        };
        targets.draw(&columns, nothing, list, buffer, cx);
        let only = if self.plan.affected_only { "affected only" } else { "all targets" };
        let found = targets.matching().map_or_else(String::new, number);
        let below = targets.more(rows.height, look);
        draw_search(&targets.search, &format!("{below}{only} {found} "), first, buffer, look)
    }
}

/// The columns of the targets; there may be `more` to change than was counted.
fn columns(area: Rect, more: bool, look: &Look) -> Vec<Column<'_, PlanTarget>> {
    let free = usize::from(area.width).saturating_sub(3 + ID + 2 + 2 * (COUNT + 1) + 1);
    let workspace = if free >= 36 { (free * 2 / 5).min(NAME_MAX) } else { 0 };
    let width = free.saturating_sub(workspace + usize::from(workspace > 0)).min(NAME_MAX);
    let role = |row: &PlanTarget| if row.affected_count == 0 { Role::Muted } else { Role::Text };
    let place = |row: &PlanTarget| {
        let id = row.workspace_id?;
        Some(format!("{} ({id})", row.workspace_name.as_deref().unwrap_or_default()))
    };
    vec![
        Column::new("TENANT", ID, move |row: &PlanTarget| {
            (role(row), row.tenant_id.map_or_else(|| "-".to_owned(), |id| id.to_string()))
        })
        .right()
        .chief(),
        Column::new("NAME", width, move |row: &PlanTarget| {
            let called = row.tenant_name.as_deref().unwrap_or("the platform itself");
            (role(row), name(look, called, width))
        })
        .apart(2),
        Column::new("WORKSPACE (ID)", workspace, move |row| {
            (role(row), place(row).unwrap_or_default())
        }),
        Column::new("CHANGES", COUNT, move |row: &PlanTarget| {
            let more = if more { "+" } else { "" };
            (role(row), format!("{}{more}", grouped(row.affected_count)))
        })
        .right(),
        Column::new("OF", COUNT, move |row: &PlanTarget| (role(row), grouped(row.total_count)))
            .right(),
    ]
}
