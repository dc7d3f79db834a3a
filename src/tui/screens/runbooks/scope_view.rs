//! Draws the scope: the ways to choose, the rows, and in one line what is chosen.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::super::super::app::once::told;
use super::super::super::look::{Look, grouped};
use super::super::super::theme::Role;
use super::scope::{RESTRICTED, Scope, Way};
use super::view::{draw_form, fact, is_roomy, name, put, put_below, text};
use super::{Cx, Draft};
use crate::domain::plan::suspicion;
use crate::ops::plans::{ScopeTenant, ScopeWorkspace};

/// Cells of an id.
const ID: usize = 8;
/// Cells of a box to mark.
const BOX: usize = 4;
/// The widest name.
const NAME_MAX: usize = 50;

/// Where the parts of the page are.
pub(super) struct Layout {
    head: Rect,
    pub(super) rows: Rect,
    foot: Rect,
}

impl Draft {
    pub(super) fn scope_layout(&self, area: Rect, cx: &Cx<'_>) -> Layout {
        let foot = u16::try_from(self.scope_foot(area, cx.look).len()).unwrap_or(1);
        let foot = foot.min(area.height.saturating_sub(4));
        let head = 3.min(area.height);
        Layout {
            head: Rect { height: head, ..area },
            rows: Rect {
                y: area.y + head,
                height: area.height.saturating_sub(head + foot),
                ..area
            },
            foot: Rect { y: area.bottom() - foot, height: foot, ..area },
        }
    }

    /// What is chosen, and why it cannot go on.
    fn scope_foot(&self, area: Rect, look: &Look) -> Vec<Line<'static>> {
        let mut lines = text(look, Role::Accent, &self.scope.chosen_words(), area);
        if let Some(why) = &self.scope.refusal {
            let why = format!("{} {why}", look.glyph("✗", "x"));
            lines.extend(text(look, Role::Failed, &why, area));
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
        let layout = self.scope_layout(area, cx);
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
        put(vec![Line::from(spans)], layout.head, buffer);
        put_below(self.scope_foot(area, look), layout.foot, buffer);
        if scope.way == Way::All {
            let all = Rect { y: layout.head.y + 2, height: layout.rows.height + 1, ..area };
            draw_all(scope, all, buffer, look);
            return None;
        }
        let second = Rect { y: layout.head.y + 1, height: 1, ..area };
        let columns = Columns::of(area, look, scope.way);
        let third = Rect { y: layout.head.y + 2, height: 1, ..area };
        put(vec![columns.head(look)], third, buffer);
        let rows = usize::from(layout.rows.height);
        let lines: Vec<Line<'static>> = match scope.way {
            Way::Tenants => scope
                .tenants
                .shown(rows)
                .map(|(row, here)| {
                    let marked = row.is_some_and(|row| scope.marks.contains_key(&row.id));
                    columns.tenant(row, here, marked, look, cx.lost)
                })
                .collect(),
            _ => scope
                .workspaces
                .shown(rows)
                .map(|(row, here)| {
                    let chosen = scope.workspace.as_ref().map(|chosen| chosen.id);
                    let marked = row.is_some_and(|row| chosen == Some(row.id));
                    columns.workspace(row, here, marked, look, cx.lost)
                })
                .collect(),
        };
        let (matching, error) = match scope.way {
            Way::Tenants => (scope.tenants.matching(), scope.tenants.error()),
            _ => (scope.workspaces.matching(), scope.workspaces.error()),
        };
        let lines = match (lines.is_empty(), error) {
            (_, Some(error)) => text(look, Role::Failed, &told(error), layout.rows),
            (false, None) => lines,
            (true, None) => text(look, Role::Muted, nothing(scope, matching), layout.rows),
        };
        put(lines, layout.rows, buffer);
        draw_search(scope, matching, rows, second, buffer, look)
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
        for input in self.card.inputs {
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

impl Scope {
    /// Puts the cursor on the row that was clicked; one on the cursor's row marks it.
    pub(super) fn click(&mut self, line: usize, height: usize) {
        match self.way {
            Way::Tenants => self.tenants.click(line, height),
            Way::Workspace => self.workspaces.click(line, height),
            Way::All => false,
        };
    }
}

impl Way {
    /// What its rows are.
    fn rows(self, n: usize) -> &'static str {
        match (self, n) {
            (Self::Workspace, 1) => "workspace",
            (Self::Workspace, _) => "workspaces",
            (_, 1) => "tenant",
            _ => "tenants",
        }
    }
}

/// What stands where no row does.
fn nothing(scope: &Scope, matching: Option<usize>) -> &'static str {
    match (matching, scope.search().trim().is_empty()) {
        (None, _) => "reading ...",
        (Some(_), false) => "Nothing that may be selected matches this search.",
        (Some(_), true) => {
            "There is nothing to select: no tenant that maintenance may touch is in your view."
        }
    }
}

/// The search, and how much it leaves.
fn draw_search(
    scope: &Scope,
    matching: Option<usize>,
    rows: usize,
    area: Rect,
    buffer: &mut Buffer,
    look: &Look,
) -> Option<Position> {
    let count = |n: usize| grouped(i64::try_from(n).unwrap_or(i64::MAX));
    let below = match scope.way {
        Way::Tenants => scope.tenants.beyond(rows).1,
        _ => scope.workspaces.beyond(rows).1,
    };
    let more = match below {
        0 => String::new(),
        n => format!("{} {} more below   ", look.glyph("↓", "v"), count(n)),
    };
    let found = matching.map_or_else(String::new, |n| match scope.search().trim() {
        "" => format!("{more}{} {} ", count(n), scope.way.rows(n)),
        _ => format!("{more}{} match ", count(n)),
    });
    let right = Line::from(look.span(Role::Muted, found));
    let room = usize::from(area.width).saturating_sub(right.width() + 1);
    ratatui::widgets::Widget::render(right.right_aligned(), area, buffer);
    let label = look.span(Role::Muted, " search  ");
    let at = Rect {
        x: area.x + 9,
        width: u16::try_from(room.saturating_sub(9).min(40)).unwrap_or(0),
        ..area
    };
    match &scope.editor {
        Some(editor) => {
            put(vec![Line::from(label)], Rect { width: 9, ..area }, buffer);
            Some(editor.field.draw(at, buffer, look.style(Role::Input), None))
        }
        None if scope.search().is_empty() => None,
        None => {
            let text = look.cut(scope.search(), usize::from(at.width)).to_string();
            let line = Line::from(vec![label, look.span(Role::Input, text)]);
            put(vec![line], Rect { width: at.right() - area.x, ..area }, buffer);
            None
        }
    }
}

fn draw_all(scope: &Scope, area: Rect, buffer: &mut Buffer, look: &Look) {
    let lines = match scope.allowed {
        None => match scope.tenants.error() {
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

/// Widths of the columns that vary.
struct Columns {
    way: Way,
    name: usize,
    rest: usize,
}

impl Columns {
    fn of(area: Rect, _look: &Look, way: Way) -> Self {
        let free = usize::from(area.width).saturating_sub(3 + BOX + ID + 2);
        let name = (free * 3 / 5).min(NAME_MAX);
        Self { way, name, rest: free.saturating_sub(name + 1).min(NAME_MAX) }
    }

    fn head(&self, look: &Look) -> Line<'static> {
        let (what, rest) = match self.way {
            Way::Tenants => ("TENANT", "WORKSPACE (ID)"),
            _ => ("WORKSPACE", "TENANTS"),
        };
        let name = self.name;
        let text = format!("   {:<BOX$}{what:>ID$}  {:<name$} {rest}", "", "NAME");
        let text = if what.len() > ID {
            format!("   {what:>width$}  {:<name$} {rest}", "NAME", width = BOX + ID)
        } else {
            text
        };
        Line::from(look.span(Role::Header, text))
    }

    fn tenant(
        &self,
        row: Option<&ScopeTenant>,
        here: bool,
        marked: bool,
        look: &Look,
        greyed: bool,
    ) -> Line<'static> {
        let mark = if marked { "[x]" } else { "[ ]" };
        let shown = row.map(|row| {
            let workspace = format!("{} ({})", row.workspace_name, row.workspace_id);
            (row.id, row.name.as_str(), workspace)
        });
        self.line(shown, here, mark, marked, look, greyed)
    }

    fn workspace(
        &self,
        row: Option<&ScopeWorkspace>,
        here: bool,
        chosen: bool,
        look: &Look,
        greyed: bool,
    ) -> Line<'static> {
        let mark = if chosen { "(x)" } else { "( )" };
        let shown = row.map(|row| (row.id, row.name.as_str(), grouped(row.tenant_count)));
        self.line(shown, here, mark, chosen, look, greyed)
    }

    fn line(
        &self,
        row: Option<(i64, &str, String)>,
        here: bool,
        mark: &str,
        marked: bool,
        look: &Look,
        greyed: bool,
    ) -> Line<'static> {
        let cursor = if here { look.glyph(" ▸ ", " > ") } else { "   " };
        let Some((id, called, rest)) = row else {
            return Line::from(look.span(Role::Muted, format!("{cursor}reading ...")));
        };
        let role = match (greyed, here, marked) {
            (true, ..) => Role::Muted,
            (_, true, _) => Role::Selected,
            (_, _, true) => Role::Accent,
            _ => Role::Text,
        };
        let plain = if greyed { Role::Muted } else { Role::Text };
        let warned = suspicion(called).is_some();
        let called = name(look, called, self.name);
        Line::from(vec![
            look.span(role, cursor),
            look.span(role, format!("{mark:<BOX$}{id:>ID$}")),
            Span::raw("  "),
            look.span(if warned { Role::Warning } else { plain }, look.cell(&called, self.name)),
            Span::raw(" "),
            look.span(plain, look.cut(&rest, self.rest).to_string()),
        ])
    }
}
