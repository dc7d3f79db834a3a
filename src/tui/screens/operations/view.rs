//! Draws the operations list.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::super::super::look::{Look, SHORT_TIME, bounded, grouped, state_role, wrapped};
use super::super::super::theme::Role;
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

/// Lines above the rows: counts, filter, column heads.
const HEAD: u16 = 3;
/// From this width on, the selected run's preview is shown on the right, unless that writes too much.
const PREVIEW_FROM: u16 = 120;
/// The preview's width.
const PREVIEW: u16 = 42;
/// From this width on, more columns are shown.
const MORE_FROM: u16 = 160;
/// Offers shown under the filter line.
const OFFERS: usize = 6;

/// Widths of the columns.
struct Columns {
    id: usize,
    run_type: usize,
    tenant: usize,
    workspace: usize,
    by: usize,
    reason: usize,
}

const CREATED: usize = SHORT_TIME;
const STATE: usize = 11;
const TOOK: usize = 6;

impl Columns {
    fn of(width: usize, rows: &[Run]) -> Self {
        let id = rows.iter().map(|run| run.id).max().unwrap_or(0).to_string().len().max(5);
        // Not by the rows held: a long type that comes along must not move the others.
        let run_type = match width {
            78.. => 27,
            66.. => 18,
            _ => 14,
        };
        let fixed = 2 + id + 1 + CREATED + 1 + run_type + 1 + 1 + STATE + 1 + TOOK;
        let free = width.saturating_sub(fixed);
        if width >= usize::from(MORE_FROM - PREVIEW) {
            let free = free.saturating_sub(3);
            let reason = 22.min(free / 4);
            let by = 12.min(free / 5);
            let workspace = (free - reason - by) / 2;
            Self { id, run_type, workspace, by, reason, tenant: free - reason - by - workspace }
        } else {
            Self { id, run_type, tenant: free, workspace: 0, by: 0, reason: 0 }
        }
    }
}

impl Operations {
    /// Which row of the screen a line of the body shows.
    pub fn row_at(line: u16) -> Option<usize> {
        line.checked_sub(HEAD).map(usize::from)
    }

    /// How many rows fit into a body of `height` lines.
    pub fn rows_in(height: u16) -> usize {
        usize::from(height.saturating_sub(HEAD))
    }

    /// Draws the list; gives where the terminal's cursor belongs while a filter is typed.
    pub(super) fn draw(
        &self,
        area: Rect,
        buffer: &mut Buffer,
        look: &Look,
        greyed: bool,
    ) -> Option<Position> {
        let with_preview = area.width >= PREVIEW_FROM && !look.terse;
        let list = Rect { width: area.width - if with_preview { PREVIEW } else { 0 }, ..area };
        self.draw_counts(Rect { height: 1, ..area }, buffer, look, Self::rows_in(area.height));
        let filter_row = Rect { y: area.y + 1, height: 1, ..area };
        let cursor = self.draw_filter(filter_row, buffer, look);
        let rows = Rect {
            y: area.y + HEAD.min(area.height),
            height: area.height.saturating_sub(HEAD),
            ..list
        };
        let columns = Columns::of(usize::from(list.width), &self.rows);
        let head = Rect { y: area.y + 2, height: 1, ..list };
        head_line(&columns, look).render(head, buffer);
        if self.rows.is_empty() {
            self.draw_empty(rows, buffer, look);
        }
        for (i, run) in self.rows.iter().skip(self.top).take(usize::from(rows.height)).enumerate() {
            let y = rows.y + u16::try_from(i).unwrap_or(0);
            let selected = Some(run.id) == self.selected;
            row_line(run, selected, greyed, &columns, look)
                .render(Rect { y, height: 1, ..rows }, buffer);
        }
        if with_preview {
            let x = list.right();
            let right =
                Rect { x, y: area.y + 2, width: PREVIEW, height: area.height.saturating_sub(2) };
            self.draw_preview(right, buffer, look);
        }
        if let Some(editor) = &self.editor {
            draw_offers(
                editor,
                Rect { y: filter_row.y + 1, height: area.height - 2, ..area },
                buffer,
                look,
            );
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
        if self.rows.is_empty() {
            return Default::default();
        }
        let n = grouped(i64::try_from(self.rows.len()).unwrap_or(0));
        let what = if self.at_newest() { "newest" } else { "older" };
        let below = match self.selected_index() {
            Some(index) if index < self.top => format!("{} cursor above", look.glyph("↑", "^")),
            Some(index) if index >= self.top + visible => {
                format!("{} cursor below", look.glyph("↓", "v"))
            }
            _ => String::new(),
        };
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
            let (role, text) = if text.is_empty() {
                (Role::Muted, "none".to_owned())
            } else {
                (Role::Accent, text)
            };
            let text = look.cut(&text, usize::from(rest.width)).to_string();
            Line::from(look.span(role, text)).render(rest, buffer);
            return None;
        };
        let wrong = editor.error().map(|error| (error.at.clone(), look.style(Role::InputError)));
        Some(editor.field().draw(rest, buffer, look.style(Role::Input), wrong.as_ref()))
    }

    fn draw_empty(&self, area: Rect, buffer: &mut Buffer, look: &Look) {
        let (role, text) = match (self.read.error(), self.read.value()) {
            (Some(error), _) => (Role::Failed, error.to_string()),
            (None, None) => (Role::Muted, "reading the runs ...".to_owned()),
            (None, Some(())) if !self.filter.is_empty() => {
                let searched = self.searched.map_or_else(String::new, |bound| {
                    format!(
                        " in the newest {} runs; the next page goes on from there",
                        grouped(bound)
                    )
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
        let width = usize::from(area.width.saturating_sub(4));
        for (i, line) in wrapped(&text, width).into_iter().enumerate() {
            let y = area.y + 1 + u16::try_from(i).unwrap_or(0);
            if y < area.bottom() {
                Line::from(look.span(role, format!("  {line}")))
                    .render(Rect { y, height: 1, ..area }, buffer);
            }
        }
    }

    fn draw_preview(&self, area: Rect, buffer: &mut Buffer, look: &Look) {
        let Some(run) = self.previewed.and_then(|id| self.rows.iter().find(|run| run.id == id))
        else {
            return;
        };
        let width = usize::from(area.width.saturating_sub(3));
        let bar = look.glyph("│ ", "| ");
        for (y, line) in (area.y..area.bottom()).zip(
            preview_lines(run, look, width)
                .into_iter()
                .map(Some)
                .chain(std::iter::repeat_with(|| None)),
        ) {
            let mut spans = vec![look.span(Role::Border, bar)];
            spans.extend(line.into_iter().flatten());
            Line::from(spans).render(Rect { y, height: 1, ..area }, buffer);
        }
    }
}

fn preview_lines(run: &Run, look: &Look, width: usize) -> Vec<Vec<Span<'static>>> {
    let state = RunState::of(run, look.now);
    let facts = RunFacts::of(run, look.now);
    let field = |label: &str, text: &str| {
        vec![
            look.span(Role::Muted, format!("{label:<10}")),
            look.span(Role::Text, look.cut(text, width.saturating_sub(10)).to_string()),
        ]
    };
    let mut lines = vec![
        vec![
            look.span(Role::Title, run.id.to_string()),
            Span::raw("  "),
            Span::styled(state.label(look.ascii), look.style(state_role(state))),
        ],
        field("what", operation_type::label(&run.run_type)),
        field("tenant", &tenant_text(run)),
    ];
    if let Some(workspace) = &run.workspace_name {
        lines.push(field("workspace", workspace));
    }
    lines.push(field("by", run.initiator_name.as_deref().unwrap_or("the system")));
    lines.push(field("source", run.source.as_str()));
    lines.push(field("created", &look.full_time(run.created_at)));
    if let Some(at) = run.started_at {
        lines.push(field("started", &look.full_time(at)));
    }
    if let Some(at) = run.completed_at {
        lines.push(field("completed", &look.full_time(at)));
    }
    let counts: Vec<String> =
        run.summary_counts.iter().map(|(key, n)| format!("{key} {n}")).collect();
    for (i, line) in wrapped(&counts.join("  "), width.saturating_sub(10)).into_iter().enumerate() {
        lines.push(field(if i == 0 { "counts" } else { "" }, &line));
    }
    if let Some(code) = &run.reason_code {
        let reason = ReasonCode::of(code);
        lines.push(Vec::new());
        lines.push(vec![look.span(Role::Failed, look.cut(code, width).to_string())]);
        for text in wrapped(reason.explanation(), width) {
            lines.push(vec![look.span(Role::Text, text)]);
        }
        for text in wrapped(&facts.retry_help(reason), width) {
            lines.push(vec![look.span(Role::Muted, text)]);
        }
        for text in wrapped(&facts.next_step(reason), width) {
            lines.push(vec![look.span(Role::Text, text)]);
        }
    }
    for text in [facts.wait_text(), facts.next_while_active()].into_iter().flatten() {
        lines.push(Vec::new());
        lines.extend(
            wrapped(&text, width).into_iter().map(|text| vec![look.span(Role::Stale, text)]),
        );
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

fn head_line(columns: &Columns, look: &Look) -> Line<'static> {
    let created = look.time_heading("CREATED");
    let mut text = format!(
        "  {:>id$} {:<CREATED$} {:<run_type$} {:<tenant$} {:<STATE$} {:>TOOK$}",
        "ID",
        created,
        "TYPE",
        look.cut("TENANT", columns.tenant),
        "STATE",
        "TOOK",
        id = columns.id,
        run_type = columns.run_type,
        tenant = columns.tenant,
    );
    if columns.workspace > 0 {
        text.push_str(&format!(
            " {:<workspace$} {:<by$} {:<reason$}",
            "WORKSPACE",
            "BY",
            "REASON",
            workspace = columns.workspace,
            by = columns.by,
            reason = columns.reason,
        ));
    }
    Line::from(look.span(Role::Header, text))
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

fn row_line(
    run: &Run,
    selected: bool,
    greyed: bool,
    columns: &Columns,
    look: &Look,
) -> Line<'static> {
    let state = RunState::of(run, look.now);
    let style = |role: Role| -> Style { look.style(if greyed { Role::Muted } else { role }) };
    let (marker, id_role) =
        if selected { (look.glyph("▸ ", "> "), Role::Selected) } else { ("  ", Role::Text) };
    // How long an active run has been at it would change every second; its last sign of
    // life does not.
    let took = run.took(run.updated_at).filter(|_| run.completed_at.is_some());
    let took = took.map_or_else(String::new, time_zone::took);
    let facts = RunFacts::of(run, look.now);
    let wait = |room: usize| {
        let wait = facts.wait()?;
        let short = wait.short().filter(|text| text.chars().count() <= room);
        short.or_else(|| wait.least().map(str::to_owned))
    };
    let (mut state_text, mut rest) =
        (look.cell(&state_cell(run, state, look), STATE), format!(" {took:>TOOK$}"));
    // It has taken no time yet: why it waits stands in that column, too.
    let room = STATE + 1 + TOOK;
    if let Some(wait) = wait(room - 2).filter(|_| columns.reason == 0) {
        state_text = look.cell(&format!("{} {wait}", state.glyph(look.ascii)), room);
        rest = String::new();
    }
    let mut spans = vec![
        Span::styled(marker, if selected { look.style(Role::Selected) } else { style(Role::Text) }),
        Span::styled(
            format!("{:>width$}", run.id, width = columns.id),
            if selected { look.style(id_role) } else { style(Role::Text) },
        ),
        Span::styled(format!(" {:<CREATED$} ", look.short_time(run.created_at)), style(Role::Text)),
        Span::styled(look.cell(&run.run_type, columns.run_type), style(Role::Text)),
        Span::raw(" "),
        Span::styled(look.cell(&tenant_text(run), columns.tenant), style(Role::Text)),
        Span::raw(" "),
        Span::styled(state_text, style(state_role(state))),
        Span::styled(rest, style(Role::Text)),
    ];
    if columns.workspace > 0 {
        let workspace = run.workspace_name.as_deref().unwrap_or("");
        let by = run.initiator_name.as_deref().unwrap_or("the system");
        let reason = run.reason_code.clone().or_else(|| wait(columns.reason)).unwrap_or_default();
        spans.push(Span::styled(
            format!(" {}", look.cell(workspace, columns.workspace)),
            style(Role::Text),
        ));
        spans.push(Span::styled(format!(" {}", look.cell(by, columns.by)), style(Role::Text)));
        spans.push(Span::styled(
            format!(" {}", look.cell(&reason, columns.reason)),
            style(Role::Failed),
        ));
    }
    Line::from(spans)
}

/// The error or the offers under the filter line, over the top of the list.
fn draw_offers(editor: &FilterEditor, area: Rect, buffer: &mut Buffer, look: &Look) {
    let mut lines: Vec<Line<'static>> = Vec::new();
    if let Some(error) = editor.error() {
        let at = u16::try_from(error.at.start).unwrap_or(0).min(area.width.saturating_sub(12));
        let marks = "^".repeat((error.at.end - error.at.start).clamp(1, 20));
        lines.push(Line::from(look.span(
            Role::InputError,
            format!("{:>width$}{marks}", "", width = usize::from(9 + at)),
        )));
        let allowed = match error.allowed.as_slice() {
            [] => String::new(),
            words => format!("; one of: {}", words.join(", ")),
        };
        for text in
            wrapped(&format!("{error}{allowed}"), usize::from(area.width.saturating_sub(10)))
        {
            lines.push(Line::from(look.span(Role::Failed, format!("         {text}"))));
        }
    } else {
        let (offers, chosen) = editor.offers();
        let first = chosen.saturating_sub(OFFERS - 1);
        for (i, offer) in offers.iter().enumerate().skip(first).take(OFFERS) {
            let (marker, role) = if i == chosen {
                (look.glyph("▸", ">"), Role::Selected)
            } else {
                (" ", Role::Text)
            };
            let text = format!("{:<28}", SafeText::new(&offer.replacement));
            let hint =
                look.cut(&offer.hint, usize::from(area.width.saturating_sub(44))).to_string();
            lines.push(Line::from(vec![
                Span::raw("        "),
                look.span(role, format!("{marker}{text}")),
                look.span(Role::Hint, format!(" {hint}")),
            ]));
        }
    }
    for (y, line) in (area.y..area.bottom()).zip(lines) {
        let row = Rect { y, height: 1, ..area };
        ratatui::widgets::Clear.render(row, buffer);
        line.render(row, buffer);
    }
}
