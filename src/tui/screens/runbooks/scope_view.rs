//! Draws the scope: the ways to choose, the rows, and in one line what is chosen.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::listing::number;
use super::scope::{Candidate, RESTRICTED, Scope, Way};
use super::view::{
    draw_form, draw_search, fact, failed, is_roomy, name, parts, put, put_below, text,
};
use super::{Cx, Draft};
use crate::domain::plan::suspicion;
use crate::tui::link::once::told;
use crate::tui::look::Look;
use crate::tui::theme::Role;
use crate::tui::widgets::table::Column;

const ID: usize = 8;
const BOX: usize = 4;
const NAME_MAX: usize = 50;

impl Draft {
    /// The ways, the search and the column heads; the rows; and what is below them.
    pub(super) fn scope_parts(&self, area: Rect, cx: &Cx<'_>) -> [Rect; 3] {
        let foot = u16::try_from(self.scope_foot(area, cx.look).len()).unwrap_or(1);
        let foot = foot.min(area.height.saturating_sub(4));
        let head = 3.min(area.height);
        parts(area, [head, area.height.saturating_sub(head + foot), foot])
    }

    fn scope_foot(&self, area: Rect, look: &Look) -> Vec<Line<'static>> {
        let mut lines = text(look, Role::Accent, &self.scope.chosen_words(), area);
        if let Some(why) = &self.scope.refusal {
            lines.extend(failed(look, why, area));
        }
        lines
    }

    pub(super) fn draw_scope(
        &self,
        area: Rect,
        buffer: &mut Buffer,
        cx: &Cx<'_>,
    ) -> Option<Position> {
        let (look, scope) = (cx.look, &self.scope);
        let [head, rows, foot] = self.scope_parts(area, cx);
        let mut spans = vec![Span::raw(" ")];
        for way in &scope.ways {
            let word = match way {
                Way::Tenants => "TENANTS",
                Way::Workspace => "WORKSPACE",
                Way::All => "ALL",
            };
            if *way == scope.way {
                spans.push(look.span(Role::TabActive, format!("[{word}]")));
            } else {
                spans.push(look.span(Role::Tab, format!(" {word} ")));
            }
            spans.push(Span::raw(" "));
        }
        put(vec![Line::from(spans)], head, buffer);
        put_below(self.scope_foot(area, look), foot, buffer);
        if scope.way == Way::All {
            let all = Rect { y: head.y + 2, height: rows.height + 1, ..area };
            draw_all(scope, all, buffer, look);
            return None;
        }
        let second = Rect { y: head.y + 1, height: 1, ..area };
        let list = Rect { y: second.bottom(), height: rows.height + 1, ..area };
        let listed = scope.list();
        listed.draw(&columns(area, scope, look), nothing(scope), list, buffer, cx);
        let found = listed.matching().map_or_else(String::new, |n| {
            let what = if scope.search().is_empty() { scope.way.rows(n) } else { "match" };
            let below = listed.more(rows.height, look);
            format!("{below}{} {what} ", number(n))
        });
        draw_search(&listed.search, &found, second, buffer, look)
    }

    pub(super) fn draw_inputs(
        &self,
        area: Rect,
        buffer: &mut Buffer,
        cx: &Cx<'_>,
    ) -> Option<Position> {
        let look = cx.look;
        let mut lines = Vec::new();
        if self.card.is_platforms() {
            let aim = "It is aimed at the platform itself: there are no tenants to select.";
            lines.extend(text(look, Role::Text, aim, area));
        }
        if self.scope.inputs.is_none() {
            lines.extend(text(look, Role::Text, "It takes no inputs. Enter goes on.", area));
        }
        for input in self.card.inputs() {
            lines.extend(fact(look, input.name, Role::Hint, input.about, area));
        }
        if is_roomy(cx.area) {
            lines.push(Line::default());
        }
        let area = put(lines, area, buffer);
        let area = match &self.scope.refusal {
            Some(why) => put_below(text(look, Role::Failed, why, area), area, buffer),
            None => area,
        };
        self.scope.inputs.as_ref().and_then(|form| draw_form(form, area, buffer, look).0)
    }
}

impl Way {
    fn rows(self, n: usize) -> &'static str {
        match (self, n) {
            (Self::Workspace, 1) => "workspace",
            (Self::Workspace, _) => "workspaces",
            (_, 1) => "tenant",
            _ => "tenants",
        }
    }
}

fn nothing(scope: &Scope) -> &'static str {
    if scope.search().is_empty() {
        "There is nothing to select: no tenant that maintenance may touch is in your view."
    } else {
        "Nothing that may be selected matches this search."
    }
}

fn draw_all(scope: &Scope, area: Rect, buffer: &mut Buffer, look: &Look) {
    let lines = match scope.allowed {
        None => match &scope.tenants.error {
            Some(error) => text(look, Role::Failed, &told(error), area),
            None => text(look, Role::Muted, "reading ...", area),
        },
        Some((_, false)) => text(look, Role::Text, RESTRICTED, area),
        Some((_, true)) => {
            let mark = if scope.all { "[x]" } else { "[ ]" };
            let here = look.glyph("▸", ">");
            let all = format!(" {here} {mark} ALL{}", scope.all_words());
            let mut lines = vec![Line::from(look.span(Role::Selected, all))];
            let which = "Every tenant that maintenance may touch when it starts: not archived \
                         ones, and not the platform's own.";
            lines.push(Line::default());
            lines.extend(text(look, Role::Hint, which, area));
            lines
        }
    };
    put(lines, area, buffer);
}

fn columns<'a>(area: Rect, scope: &'a Scope, look: &'a Look) -> Vec<Column<'a, Candidate>> {
    let free = usize::from(area.width).saturating_sub(3 + BOX + ID + 2);
    let width = (free * 3 / 5).min(NAME_MAX);
    let workspaces = scope.way == Way::Workspace;
    let (what, rest) =
        if workspaces { ("WORKSPACE", "TENANTS") } else { ("TENANT", "WORKSPACE (ID)") };
    let chosen = scope.workspace.as_ref().map(|chosen| chosen.id);
    let marked = move |id| match workspaces {
        true if chosen == Some(id) => (Role::Accent, "(x)"),
        true => (Role::Text, "( )"),
        false if scope.marks.contains_key(&id) => (Role::Accent, "[x]"),
        false => (Role::Text, "[ ]"),
    };
    vec![
        Column::new(what, BOX + ID, move |row: &Candidate| {
            let (role, mark) = marked(row.id);
            (role, format!("{mark:<BOX$}{:>ID$}", row.id))
        })
        .right()
        .chief(),
        Column::new("NAME", width, move |row: &Candidate| {
            let role = if suspicion(&row.name).is_some() { Role::Warning } else { Role::Text };
            (role, name(look, &row.name, width))
        })
        .apart(2),
        Column::new(rest, free.saturating_sub(width + 1).min(NAME_MAX), |row: &Candidate| {
            row.rest.clone()
        }),
    ]
}
