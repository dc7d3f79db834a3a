//! Draws the operations list.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Clear, Widget};

use super::{FilterEditor, Operations};
use crate::domain::failure::ReasonCode;
use crate::domain::operation_type;
use crate::domain::run::{Run, RunStatus, ScopeKind};
use crate::domain::run_facts::RunFacts;
use crate::domain::run_state::RunState;
use crate::domain::safe_text::SafeText;
use crate::domain::time_zone;
use crate::ops::runs::{COUNT_BOUND, RunCounts};
use crate::ops::telemetry::NOT_KEPT;
use crate::tui::look::{Look, SHORT_TIME, bounded, grouped, state_role, wrapped};
use crate::tui::screen::Cx;
use crate::tui::theme::Role;
use crate::tui::widgets::table::Column;
use crate::tui::widgets::{below, beside, draw_beside, say};

/// Lines above the rows: counts, filter, column heads.
pub(super) const HEAD: u16 = 3;
const PREVIEW: u16 = 42;
/// From this width on, more columns are shown.
const MORE_FROM: u16 = 160;
/// Offers shown under the filter line.
const OFFERS: usize = 6;

const CREATED: usize = SHORT_TIME;
const STATE: usize = 11;
const TOOK: usize = 6;

/// How many rows there is room for.
pub(super) fn rows_in(cx: &Cx<'_>) -> usize {
    usize::from(cx.area.height.saturating_sub(HEAD))
}

impl Operations {
    pub(super) fn draw(&self, buffer: &mut Buffer, cx: &Cx<'_>) -> Option<Position> {
        let (look, area) = (cx.look, cx.area);
        let (list, preview) = beside(cx, PREVIEW);
        self.draw_counts(Rect { height: 1, ..area }, buffer, look, rows_in(cx));
        let filter_row = Rect { y: area.y + 1, height: 1, ..area };
        let cursor = self.draw_filter(filter_row, buffer, look);
        let columns = columns(usize::from(list.width), self.rows(), look);
        self.table.draw(&columns, below(list, HEAD - 1), buffer, look, cx.lost);
        if self.rows().is_empty() {
            self.draw_empty(below(list, HEAD + 1), buffer, look);
        }
        if let Some(area) = preview {
            self.draw_preview(below(area, HEAD - 1), buffer, look);
        }
        if let Some(editor) = &self.editor {
            draw_offers(editor, below(area, HEAD - 1), buffer, look);
        }
        cursor
    }

    fn draw_counts(&self, area: Rect, buffer: &mut Buffer, look: &Look, visible: usize) {
        let columns = usize::from(area.width).saturating_sub(1);
        let left = if let Some(counts) = self.counts.value() {
            let wide = counts_line(counts, look, 3, "failed in 24 h");
            // A count is never cut.
            if wide.width() <= columns { wide } else { counts_line(counts, look, 1, "failed 24 h") }
        } else if let Some(error) = self.counts.error() {
            let text = look.cut(&error.to_string(), columns.saturating_sub(23));
            Line::from(vec![Span::raw(" "), look.span(Role::Failed, text.to_string())])
        } else {
            Line::from(vec![Span::raw(" "), look.span(Role::Muted, "reading ...")])
        };
        let room = columns.saturating_sub(left.width() + 1);
        left.render(area, buffer);
        let (below, place, kept) = self.place_text(visible, look);
        let join = |one: &str, with: &str, other: &str| match (one, other) {
            ("", text) | (text, "") => text.to_owned(),
            _ => format!("{one}{with}{other}"),
        };
        let placed = join(&place, ", ", &kept);
        let texts = [join(&below, "   ", &placed), below, placed, kept, place];
        let texts = texts.into_iter().filter(|text| !text.is_empty());
        let fits = |text: &Span<'_>| text.width() <= room;
        if let Some(text) = texts.map(|text| look.span(Role::Muted, text)).find(fits) {
            let line = Line::from(text).right_aligned();
            line.render(Rect { width: area.width.saturating_sub(1), ..area }, buffer);
        }
    }

    /// Where the cursor is, if it is not in view; which part of the list is held,
    /// `newest 200 of ~1,204,311`; and what is not kept beyond its end.
    fn place_text(&self, visible: usize, look: &Look) -> (String, String, String) {
        if self.rows().is_empty() {
            return Default::default();
        }
        let n = grouped(i64::try_from(self.rows().len()).unwrap_or(0));
        let what = if self.at_newest() { "newest" } else { "older" };
        let below = self.table.astray(visible, look);
        let place = if !self.filter.is_empty() {
            let more = if self.older.is_some() || !self.at_newest() { "+" } else { "" };
            match self.searched {
                Some(bound) => format!("{n}{more} found in the newest {} searched", grouped(bound)),
                None => format!("{n}{more} found"),
            }
        } else if let Some(counts) = self.counts.value()
            && let Some(total) = counts.total
        {
            let about = if counts.estimated { "~" } else { "" };
            format!("{what} {n} of {about}{}", grouped(total))
        } else {
            format!("{what} {n}")
        };
        let kept = self
            .missing_before
            .filter(|_| self.older.is_none())
            .map_or_else(String::new, |at| format!("{NOT_KEPT} before {}", look.short_time(at)));
        (below, place, kept)
    }

    fn draw_filter(&self, area: Rect, buffer: &mut Buffer, look: &Look) -> Option<Position> {
        let label = " filter  ";
        let rest = Rect { x: area.x + 9, width: area.width.saturating_sub(10), ..area };
        Line::from(look.span(Role::Muted, label)).render(area, buffer);
        let Some(editor) = &self.editor else {
            let text = self.filter.shown(look.offset());
            let (role, text) = match text.as_str() {
                "" => (Role::Muted, "none"),
                text => (Role::Accent, text),
            };
            let text = look.cut(text, usize::from(rest.width)).to_string();
            Line::from(look.span(role, text)).render(rest, buffer);
            return None;
        };
        let style = look.style(Role::InputError);
        let wrong = editor.error.as_ref().map(|error| (error.at.clone(), style));
        Some(editor.field.draw(rest, buffer, look.style(Role::Input), wrong.as_ref()))
    }

    fn draw_empty(&self, area: Rect, buffer: &mut Buffer, look: &Look) {
        let (role, text) = match (self.read.error(), self.read.value()) {
            (Some(error), _) => (Role::Failed, error.to_string()),
            (None, None) => (Role::Muted, "reading the runs ...".to_owned()),
            (None, Some(())) if !self.filter.is_empty() => {
                let searched = self.searched.map_or_else(String::new, |bound| {
                    let bound = grouped(bound);
                    format!(" in the newest {bound} runs; the next page goes on from there")
                });
                let missing = self.missing_before.map_or_else(String::new, |at| {
                    format!(" Ended runs are {NOT_KEPT} before {}.", look.short_time(at))
                });
                (Role::Text, format!("No run matches the filter{searched}.{missing} c clears it."))
            }
            (None, Some(())) => (
                Role::Text,
                "No runs yet, or none that you may see. They appear here as they start.".to_owned(),
            ),
        };
        say(role, &text, area, buffer, look);
    }

    fn draw_preview(&self, area: Rect, buffer: &mut Buffer, look: &Look) {
        let run = self.previewed.and_then(|id| self.rows().iter().find(|run| run.id == id));
        if let Some(run) = run {
            let lines = preview_lines(run, look, usize::from(area.width.saturating_sub(3)));
            draw_beside(lines, area, buffer, look);
        }
    }
}

fn preview_lines(run: &Run, look: &Look, width: usize) -> Vec<Line<'static>> {
    let state = RunState::of(run, look.now);
    let facts = RunFacts::of(run, look.now);
    let mut lines = vec![Line::from(vec![
        look.span(Role::Title, run.id.to_string()),
        Span::raw("  "),
        look.span(state_role(state), state.label(look.ascii)),
    ])];
    let mut field = |label: &str, text: &str| {
        lines.push(Line::from(vec![
            look.span(Role::Muted, format!("{label:<10}")),
            look.span(Role::Text, look.cut(text, width.saturating_sub(10)).to_string()),
        ]));
    };
    field("what", operation_type::label(&run.run_type));
    field("tenant", &tenant_text(run));
    if let Some(workspace) = &run.workspace_name {
        field("workspace", workspace);
    }
    field("by", run.initiator_name.as_deref().unwrap_or("the system"));
    field("source", run.source.as_str());
    let times = [
        ("created", Some(run.created_at)),
        ("started", run.started_at),
        ("completed", run.completed_at),
    ];
    for (label, at) in times {
        if let Some(at) = at {
            field(label, &look.full_time(at));
        }
    }
    let counts: Vec<String> =
        run.summary_counts.iter().map(|(key, n)| format!("{key} {n}")).collect();
    for (i, line) in wrapped(&counts.join("  "), width.saturating_sub(10)).into_iter().enumerate() {
        field(if i == 0 { "counts" } else { "" }, &line);
    }
    if let Some(code) = &run.reason_code {
        let reason = ReasonCode::of(code);
        lines.push(Line::default());
        lines.push(look.span(Role::Failed, look.cut(code, width).to_string()).into());
        lines.extend(look.lines(Role::Text, reason.explanation(), width));
        lines.extend(look.lines(Role::Muted, &facts.retry_help(reason), width));
        lines.extend(look.lines(Role::Text, &facts.next_step(reason), width));
    }
    for text in [facts.wait_text(), facts.next_while_active()].into_iter().flatten() {
        lines.push(Line::default());
        lines.extend(look.lines(Role::Stale, &text, width));
    }
    lines
}

/// Whom a run is for, in a few words.
pub fn tenant_text(run: &Run) -> String {
    match (&run.tenant_name, run.target_count) {
        (Some(name), _) => name.clone(),
        (None, _) if run.scope == ScopeKind::Platform => match &run.subject {
            Some(subject) => format!("platform: {subject}"),
            None => "platform".to_owned(),
        },
        (None, 1) => "1 tenant".to_owned(),
        (None, n) => format!("{} tenants", grouped(n)),
    }
}

/// The counts above the list, `gap` columns apart.
fn counts_line(counts: &RunCounts, look: &Look, gap: usize, failed: &'static str) -> Line<'static> {
    let stuck = (counts.stuck > 0).then_some(("stuck", counts.stuck, Role::Stale));
    let numbers = [("active", counts.active, Role::Running), ("stale", counts.stale, Role::Stale)];
    let mut line = Line::from(" ");
    for (label, n, role) in
        numbers.into_iter().chain(stuck).chain([(failed, counts.failed, Role::Failed)])
    {
        if line.spans.len() > 1 {
            line.push_span(" ".repeat(gap));
        }
        line.push_span(look.span(Role::Muted, format!("{label} ")));
        let role = if n > 0 { role } else { Role::Text };
        line.push_span(look.span(role, bounded(n, COUNT_BOUND)));
    }
    line
}

fn columns<'a>(width: usize, rows: &[Run], look: &'a Look) -> Vec<Column<'a, Run>> {
    let id = rows.iter().map(|run| run.id).max().unwrap_or(0).to_string().len().max(5);
    // Not by the rows held: a long type that comes along must not move the others.
    let run_type = match width {
        78.. => 27,
        66.. => 18,
        _ => 14,
    };
    let fixed = 2 + id + 1 + CREATED + 1 + run_type + 1 + 1 + STATE + 1 + TOOK;
    let free = width.saturating_sub(fixed);
    let (mut tenant, mut workspace, mut by, mut reason) = (free, 0, 0, 0);
    if width >= usize::from(MORE_FROM - PREVIEW) {
        let free = free.saturating_sub(3);
        (reason, by) = (22.min(free / 4), 12.min(free / 5));
        workspace = (free - reason - by) / 2;
        tenant = free - reason - by - workspace;
    }
    let initiator = |run: &Run| run.initiator_name.clone().unwrap_or("the system".to_owned());
    let why = move |run: &Run| {
        let why = run.reason_code.clone().or_else(|| wait(run, reason, look));
        (Role::Failed, why.unwrap_or_default())
    };
    vec![
        Column::new("ID", id, |run: &Run| run.id.to_string()).right().chief(),
        Column::new(look.time_heading("CREATED"), CREATED, |run: &Run| {
            look.short_time(run.created_at)
        }),
        Column::new("TYPE", run_type, |run: &Run| run.run_type.clone()),
        Column::new("TENANT", tenant, tenant_text),
        Column::new(
            format!("{:<STATE$} {:>TOOK$}", "STATE", "TOOK"),
            STATE + 1 + TOOK,
            move |run| state_and_time(run, reason == 0, look),
        ),
        Column::new("WORKSPACE", workspace, |run: &Run| {
            run.workspace_name.clone().unwrap_or_default()
        }),
        Column::new("BY", by, initiator),
        Column::new("REASON", reason, why),
    ]
}

/// Why a run waits, in so many columns.
fn wait(run: &Run, room: usize, look: &Look) -> Option<String> {
    let facts = RunFacts::of(run, look.now);
    let wait = facts.wait()?;
    let short = wait.short().filter(|text| text.chars().count() <= room);
    short.or_else(|| wait.least().map(str::to_owned))
}

/// The state of a run and how long it took, or instead of that why it waits.
fn state_and_time(run: &Run, tells_wait: bool, look: &Look) -> Vec<Span<'static>> {
    let state = RunState::of(run, look.now);
    let room = STATE + 1 + TOOK;
    if let Some(wait) = wait(run, room - 2, look).filter(|_| tells_wait) {
        let text = look.cell(&format!("{} {wait}", state.glyph(look.ascii)), room);
        return vec![look.span(state_role(state), text)];
    }
    // How long an active run has been at it would change every second; its last sign of
    // life does not.
    let took = run.took(run.updated_at).filter(|_| run.completed_at.is_some());
    let took = took.map_or_else(String::new, time_zone::took);
    vec![
        look.span(state_role(state), look.cell(&state_cell(run, state, look), STATE)),
        look.span(Role::Text, format!(" {took:>TOOK$}")),
    ]
}

/// The state of a row: a running one shows how far it is.
fn state_cell(run: &Run, state: RunState, look: &Look) -> String {
    match (state, run.progress()) {
        #[expect(clippy::cast_possible_truncation, reason = "a percentage")]
        (RunState::Running, Some(share)) if run.status == RunStatus::Running => {
            format!("{} {} %", state.glyph(look.ascii), (share * 100.0) as i64)
        }
        _ => state.label(look.ascii),
    }
}

/// The error or the offers under the filter line, over the top of the list.
fn draw_offers(editor: &FilterEditor, area: Rect, buffer: &mut Buffer, look: &Look) {
    let mut lines: Vec<Line<'static>> = Vec::new();
    if let Some(error) = &editor.error {
        let at = u16::try_from(error.at.start).unwrap_or(0).min(area.width.saturating_sub(12));
        let marks = "^".repeat((error.at.end - error.at.start).clamp(1, 20));
        let marks = format!("{:>width$}{marks}", "", width = usize::from(9 + at));
        lines.push(look.span(Role::InputError, marks).into());
        let allowed = match error.allowed.as_slice() {
            [] => String::new(),
            words => format!("; one of: {}", words.join(", ")),
        };
        let columns = usize::from(area.width.saturating_sub(10));
        for text in wrapped(&format!("{error}{allowed}"), columns) {
            lines.push(look.span(Role::Failed, format!("         {text}")).into());
        }
    } else {
        let first = editor.chosen.saturating_sub(OFFERS - 1);
        for (i, offer) in editor.offers.iter().enumerate().skip(first).take(OFFERS) {
            let (marker, role) = if i == editor.chosen {
                (look.glyph("▸", ">"), Role::Selected)
            } else {
                (" ", Role::Text)
            };
            let text = format!("{marker}{:<28}", SafeText::new(&offer.replacement));
            let hint = look.cut(&offer.hint, usize::from(area.width.saturating_sub(44)));
            let hint = look.span(Role::Hint, format!(" {hint}"));
            lines.push(Line::from(vec![Span::raw("        "), look.span(role, text), hint]));
        }
    }
    let height = u16::try_from(lines.len()).unwrap_or(area.height).min(area.height);
    Clear.render(Rect { height, ..area }, buffer);
    Text::from(lines).render(area, buffer);
}
