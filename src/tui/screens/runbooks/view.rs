//! What the pages of the wizard have in common: the line of steps, the title, facts.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::scope::Page;
use super::{Cx, Draft, Runbooks, Step, settings};
use crate::domain::plan::suspicion;
use crate::domain::start_reason::MAX_REASON;
use crate::tui::command::{Command, Context};
use crate::tui::look::{Look, wrapped};
use crate::tui::theme::Role;
use crate::tui::widgets::form::Form;
use crate::tui::widgets::search::Search;

const STEPS: [(Step, &str); 6] = [
    (Step::Runbook, "runbook"),
    (Step::Scope, "scope"),
    (Step::Preflight, "preflight"),
    (Step::Rollout, "rollout"),
    (Step::Reason, "reason"),
    (Step::Confirm, "confirm"),
];

/// From this height on, there is room for empty lines.
const ROOMY: u16 = 16;
/// From this width on, every step is named.
const NAMED: u16 = 72;
const SEARCH: usize = 50;
const LABEL: usize = 11;

pub(super) fn is_roomy(area: Rect) -> bool {
    area.height >= ROOMY
}

pub(super) fn head_rows(area: Rect) -> u16 {
    if is_roomy(area) { 3 } else { 2 }
}

pub(super) fn below_head(area: Rect) -> Rect {
    let head = head_rows(area).min(area.height);
    Rect { y: area.y + head, height: area.height - head, ..area }
}

pub(super) fn list_rows(area: Rect) -> usize {
    usize::from(below_head(area).height.saturating_sub(1) / 2).max(1)
}

pub(super) fn parts<const N: usize>(area: Rect, heights: [u16; N]) -> [Rect; N] {
    let mut y = area.y;
    heights.map(|height| {
        y += height;
        Rect { y: y - height, height, ..area }
    })
}

pub(super) fn put(lines: Vec<Line<'_>>, area: Rect, buffer: &mut Buffer) -> Rect {
    let count = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(area.height);
    for (y, line) in (area.y..area.bottom()).zip(lines) {
        line.render(Rect { y, height: 1, ..area }, buffer);
    }
    Rect { y: area.y + count, height: area.height - count, ..area }
}

/// Lines at the bottom; gives the area that is left above them.
pub(super) fn put_below(lines: Vec<Line<'_>>, area: Rect, buffer: &mut Buffer) -> Rect {
    let count = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(area.height);
    let at = Rect { y: area.bottom() - count, height: count, ..area };
    put(lines, at, buffer);
    Rect { height: area.height - count, ..area }
}

/// The search of a list, and at the right how much it leaves.
pub(super) fn draw_search(
    search: &Search,
    left: &str,
    area: Rect,
    buffer: &mut Buffer,
    look: &Look,
) -> Option<Position> {
    let right = Line::from(look.span(Role::Muted, left.to_owned()));
    let room = usize::from(area.width).saturating_sub(right.width() + 1);
    right.right_aligned().render(area, buffer);
    if !search.is_typing() && search.text().is_empty() {
        return None;
    }
    search.draw(Rect { width: u16::try_from(room.min(SEARCH)).unwrap_or(0), ..area }, buffer, look)
}

/// A text in lines of `area`'s width, one column in.
pub(super) fn text(look: &Look, role: Role, text: &str, area: Rect) -> Vec<Line<'static>> {
    let columns = usize::from(area.width.saturating_sub(2));
    let line = |text: String| Line::from(vec![Span::raw(" "), look.span(role, text)]);
    wrapped(text, columns).into_iter().map(line).collect()
}

pub(super) fn failed(look: &Look, why: &str, area: Rect) -> Vec<Line<'static>> {
    text(look, Role::Failed, &format!("{} {why}", look.glyph("✗", "x")), area)
}

pub(super) fn fact(
    look: &Look,
    label: &str,
    role: Role,
    text: &str,
    area: Rect,
) -> Vec<Line<'static>> {
    let columns = usize::from(area.width).saturating_sub(LABEL + 2);
    let mut lines: Vec<Line<'static>> = Vec::new();
    for text in wrapped(text, columns) {
        let label = if lines.is_empty() { label } else { "" };
        let label = look.span(Role::Muted, format!(" {label:<LABEL$}"));
        lines.push(Line::from(vec![label, look.span(role, text)]));
    }
    lines
}

/// A foreign name, with a word of warning where it could be taken for another.
pub(super) fn name(look: &Look, name: &str, columns: usize) -> String {
    let Some(why) = suspicion(name) else { return look.cut(name, columns).to_string() };
    let warning = format!(" ({why})");
    format!("{}{warning}", look.cut(name, columns.saturating_sub(warning.len())))
}

pub(super) fn key(cx: &Cx<'_>, context: Context, command: Command) -> String {
    cx.key(context, command).unwrap_or_else(|| format!(":{command}"))
}

impl Runbooks {
    pub(super) fn draw(&self, buffer: &mut Buffer, cx: &Cx<'_>) -> Option<Position> {
        let (look, area) = (cx.look, cx.area);
        if let Some(missing) = super::refusal(cx) {
            let why = format!("This needs the capability {missing}; ask an administrator for it.");
            put(text(look, Role::Failed, &why, area), area, buffer);
            return None;
        }
        let steps = steps_line(look, self.step(), area);
        steps.render(Rect { height: 1, ..area }, buffer);
        let second = Rect { y: area.y + 1, height: area.height.saturating_sub(1).min(1), ..area };
        let below = below_head(area);
        let Some(draft) = &self.draft else {
            let why = "Select a runbook. Nothing starts before the last step.";
            Line::from(look.span(Role::Hint, format!(" {why}"))).render(second, buffer);
            self.draw_list(below, buffer, cx);
            return None;
        };
        let title = format!(" {}", draft.card.title());
        let room = usize::from(area.width).saturating_sub(title.chars().count() + 2);
        let mut spans = vec![look.span(Role::Title, title)];
        if draft.card.key().len() <= room {
            spans.push(look.span(Role::Muted, format!("  {}", draft.card.key())));
        }
        Line::from(spans).render(second, buffer);
        match draft.step {
            Step::Runbook | Step::Scope if draft.scope.page == Page::Inputs => {
                draft.draw_inputs(below, buffer, cx)
            }
            Step::Runbook | Step::Scope => draft.draw_scope(below, buffer, cx),
            Step::Preflight => draft.draw_plan(below, buffer, cx),
            Step::Rollout => draft.draw_rollout(below, buffer, look),
            Step::Reason => draft.draw_reason(below, buffer, cx),
            Step::Confirm => draft.draw_confirm(below, buffer, cx),
        }
    }
}

impl Draft {
    /// Where the rows of the step's list begin in the body, and how many are shown.
    pub(super) fn rows(&self, cx: &Cx<'_>) -> (u16, usize) {
        let below = below_head(cx.area);
        let rows = match self.step {
            Step::Preflight => self.plan_parts(below, cx)[2],
            _ => self.scope_parts(below, cx)[1],
        };
        (rows.y - cx.area.y, usize::from(rows.height))
    }

    fn draw_rollout(&self, area: Rect, buffer: &mut Buffer, look: &Look) -> Option<Position> {
        let intro = if self.card.is_platforms() {
            "There is one target, the platform itself: these settings change little."
        } else {
            "How the tenants are worked through."
        };
        let (cursor, area) = draw_with_intro(intro, &self.rollout, area, buffer, look);
        let (role, said) = match settings::rollout(&self.rollout) {
            Ok(rollout) => (Role::Accent, rollout.words()),
            Err(_) => (Role::Muted, "not right yet; enter says what is wrong".to_owned()),
        };
        put(fact(look, "in words", role, &said, area), area, buffer);
        cursor
    }

    fn draw_reason(&self, area: Rect, buffer: &mut Buffer, cx: &Cx<'_>) -> Option<Position> {
        let look = cx.look;
        let kept = "It is kept with the run and in the audit log.";
        let intro = match self.needs_reason(cx.under_glass) {
            Some(why) => format!("Required: {why}. {kept}"),
            None => format!("For one target a reason may be left empty. {kept}"),
        };
        let (cursor, area) = draw_with_intro(&intro, &self.reason, area, buffer, look);
        let typed = self.reason.value(1).chars().count();
        let left = format!("{typed} of at most {MAX_REASON} characters");
        let role = if typed > MAX_REASON { Role::Failed } else { Role::Muted };
        let mut lines = fact(look, "", role, &left, area);
        let hint = "left and right choose the code, or its first letter";
        lines.extend(fact(look, "", Role::Hint, hint, area));
        put(lines, area, buffer);
        cursor
    }
}

fn draw_with_intro(
    intro: &str,
    form: &Form,
    area: Rect,
    buffer: &mut Buffer,
    look: &Look,
) -> (Option<Position>, Rect) {
    let mut lines = text(look, Role::Text, intro, area);
    if is_roomy(area) {
        lines.push(Line::default());
    }
    let area = put(lines, area, buffer);
    draw_form(form, area, buffer, look)
}

pub(super) fn draw_form(
    form: &Form,
    area: Rect,
    buffer: &mut Buffer,
    look: &Look,
) -> (Option<Position>, Rect) {
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let rows = u16::try_from(form.rows(usize::from(inner.width))).unwrap_or(u16::MAX);
    // The line below it stays in sight.
    let rows = rows.min(area.height.saturating_sub(1));
    let cursor = form.draw(Rect { height: rows, ..inner }, buffer, look);
    let blank = u16::from(is_roomy(Rect { height: area.height + 3, ..area }));
    let used = (rows + blank).min(area.height);
    (cursor, Rect { y: area.y + used, height: area.height - used, ..area })
}

fn steps_line(look: &Look, current: Step, area: Rect) -> Line<'static> {
    let mut spans = vec![Span::raw(" ")];
    for (n, (step, word)) in (1..).zip(STEPS) {
        if n > 1 {
            spans.push(look.span(Role::Muted, look.glyph(" ─ ", " - ")));
        }
        if step == current {
            spans.push(look.span(Role::TabActive, format!("[{n} {word}]")));
        } else {
            let role = if step < current { Role::Text } else { Role::Muted };
            let word = if area.width >= NAMED { format!(" {word}") } else { String::new() };
            spans.push(look.span(role, format!("{n}{word}")));
        }
    }
    Line::from(spans)
}
