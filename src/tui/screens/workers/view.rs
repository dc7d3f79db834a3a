//! Draws workers and leases.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::{Key, Workers};
use crate::domain::clock_offset;
use crate::domain::count::count;
use crate::domain::run_state::RunState;
use crate::ops::workers::{HeldRow, WorkerRow, WorkersView};
use crate::tui::look::{Look, grouped, wrapped};
use crate::tui::theme::Role;
use crate::tui::widgets::more_below;

/// Cells of a short time.
const TIME: usize = 11;
/// Cells of a state.
const STATE: usize = 10;
/// From this width on, everything is shown.
const WIDE: usize = 76;

/// One line of the screen.
pub(super) struct ScreenLine {
    spans: Vec<Span<'static>>,
    pub(super) key: Option<Key>,
}

impl Workers {
    /// Draws the screen.
    pub(super) fn draw(&self, area: Rect, buffer: &mut Buffer, look: &Look, greyed: bool) {
        let lines = self.lines(look, usize::from(area.width));
        let height = usize::from(area.height);
        let top = self.top.min(lines.len().saturating_sub(height.min(lines.len())));
        for (y, line) in (area.y..area.bottom()).zip(lines.iter().skip(top)) {
            let selected = line.key.is_some() && line.key == self.selected;
            let mut spans = vec![look.marker(selected)];
            let grey = look.style(Role::Muted);
            spans.extend(line.spans.iter().map(|span| {
                Span::styled(span.content.clone(), if greyed { grey } else { span.style })
            }));
            Line::from(spans).render(Rect { y, height: 1, ..area }, buffer);
        }
        more_below(lines.len().saturating_sub(top + height), area, buffer, look);
    }

    /// The lines in `width` columns, the marker's two included.
    pub(super) fn lines(&self, look: &Look, width: usize) -> Vec<ScreenLine> {
        let width = width.saturating_sub(3);
        let mut lines = Vec::new();
        let mut put = |role: Role, text: &str| {
            for text in wrapped(text, width) {
                lines.push(ScreenLine { spans: vec![look.span(role, text)], key: None });
            }
        };
        let Some(view) = self.view.value() else {
            match self.view.error() {
                Some(error) => put(Role::Failed, &error.to_string()),
                None => put(Role::Muted, "reading the workers ..."),
            }
            return lines;
        };
        for text in warnings(view) {
            put(Role::Stale, &format!("{} {text}", RunState::Stuck.glyph(look.ascii)));
        }
        if !lines.is_empty() {
            lines.push(ScreenLine { spans: Vec::new(), key: None });
        }
        lines.push(worker_head(look, width));
        if view.shown().next().is_none() {
            let text = "No active worker. Start one with: tenantpilot worker";
            for text in wrapped(text, width) {
                lines.push(ScreenLine { spans: vec![look.span(Role::Text, text)], key: None });
            }
        }
        for worker in view.shown() {
            let held: Vec<i64> = self.held_by(&worker.id).map(|lease| lease.run_id).collect();
            lines.push(worker_line(worker, &held, look, width));
        }
        lines.push(ScreenLine { spans: Vec::new(), key: None });
        lines.push(lease_head(look, width));
        if view.leases.is_empty() {
            let text = "No run is held: nothing is being executed.";
            lines.push(ScreenLine { spans: vec![look.span(Role::Text, text)], key: None });
        }
        for lease in &view.leases {
            let worker =
                view.workers.iter().chain(&view.gone).find(|worker| worker.id == lease.owner);
            lines.push(lease_line(lease, worker, look, width));
        }
        lines
    }
}

/// What needs somebody, in words.
fn warnings(view: &WorkersView) -> Vec<String> {
    let runs = |n: i64| {
        if n == 1 {
            "1 run is queued".to_owned()
        } else {
            format!("{} runs are queued", grouped(n))
        }
    };
    let mut texts = Vec::new();
    let queued: i64 = view.unserved.iter().map(|unserved| unserved.queued).sum();
    let taking = view.workers.iter().any(|worker| !worker.silent && !worker.stopping);
    if !taking && queued > 0 {
        texts.push(format!("no active worker, and {}", runs(queued)));
    } else {
        texts.extend(view.unserved.iter().map(|unserved| {
            let why = unserved.support.obstacle(&unserved.run_type).unwrap_or_default();
            format!("{why}: {}", runs(unserved.queued))
        }));
    }
    for worker in view.workers.iter().filter(|worker| !worker.silent) {
        if let Some(outage) = &worker.outage {
            texts.push(format!("{} waits for the database: {outage}", worker.name));
        }
        if let Some(seconds) = worker.wrong_clock() {
            texts.push(clock_offset::notice(&worker.name, seconds));
        }
    }
    let overdue = view.leases.iter().filter(|lease| lease.overdue).count();
    match overdue {
        0 => {}
        1 => texts.push("1 run: worker lost, its lease expired".to_owned()),
        n => texts.push(format!("{n} runs: worker lost, their leases expired")),
    }
    let alerts =
        |n: i64| if n == 1 { "1 alert".to_owned() } else { format!("{} alerts", grouped(n)) };
    let said = view.alerts.last_error.as_deref().map(|e| format!(" ({e})")).unwrap_or_default();
    let see = "see: tenantpilot alerts list";
    match (view.alerts.dead, view.alerts.pending) {
        (0, 0) => {}
        (0, n) if view.alerts.overdue > 0 || view.alerts.last_error.is_some() => {
            texts.push(format!("{} not delivered yet{said}; {see}", alerts(n)));
        }
        (0, _) => {}
        (n, _) => texts.push(format!("{} given up{said}; {see}", alerts(n))),
    }
    texts
}

fn worker_head(look: &Look, width: usize) -> ScreenLine {
    let name = name_width(width);
    let mut text = format!("{:<name$} {:<STATE$} ", "WORKER", "STATE");
    if width >= WIDE {
        let since = look.time_heading("SINCE");
        text.push_str(&format!("{:<8} {:>5} {since:<TIME$} ", "VERSION", "SLOTS"));
    }
    text.push_str(&format!("{:<TIME$} HOLDS", look.time_heading("BEAT")));
    ScreenLine { spans: vec![look.span(Role::Header, text)], key: None }
}

fn name_width(width: usize) -> usize {
    let fixed = if width >= WIDE { 62 } else { 36 };
    width.saturating_sub(fixed).clamp(12, 34)
}

fn worker_line(worker: &WorkerRow, held: &[i64], look: &Look, width: usize) -> ScreenLine {
    let (role, glyph, word) = if worker.silent {
        (Role::Stale, look.glyph("‼", "!"), "silent")
    } else if worker.stopping {
        (Role::Paused, look.glyph("◌", "."), "stopping")
    } else if worker.outage.is_some() {
        (Role::Stale, look.glyph("‼", "!"), "outage")
    } else if worker.wrong_clock().is_some() {
        (Role::Stale, look.glyph("‼", "!"), "clock")
    } else {
        (Role::Success, look.glyph("●", "*"), "active")
    };
    let mut spans = vec![
        look.span(Role::Text, look.cell(&worker.name, name_width(width))),
        look.span(role, format!(" {} ", look.cell(&format!("{glyph} {word}"), STATE))),
    ];
    if width >= WIDE {
        let since = look.short_time(worker.started_at);
        let text = format!("{} {:>5} {since:<TIME$} ", look.cell(&worker.version, 8), worker.slots);
        spans.push(look.span(Role::Text, text));
    }
    spans.push(look.span(Role::Text, format!("{:<TIME$} ", look.short_time(worker.heartbeat_at))));
    let used: usize = spans.iter().map(Span::width).sum();
    let ids: Vec<String> = held.iter().map(ToString::to_string).collect();
    let holds = if ids.is_empty() { "nothing".to_owned() } else { ids.join(", ") };
    let room = width.saturating_sub(used);
    let holds = if holds.len() <= room { holds } else { count(ids.len(), "run") };
    let role = if ids.is_empty() { Role::Muted } else { Role::Text };
    spans.push(look.span(role, holds));
    ScreenLine { spans, key: Some(Key::Worker(worker.id.clone())) }
}

/// Widths of a lease's type, tenant and holder.
fn lease_widths(width: usize) -> (usize, usize, usize) {
    let fixed = 8 + 1 + STATE + 1 + TIME + if width >= WIDE { TIME + 1 } else { 0 };
    let free = width.saturating_sub(fixed + 2);
    if width >= WIDE {
        let owner = (free / 4).clamp(8, 30);
        let tenant = (free / 3).clamp(8, 40);
        (free.saturating_sub(owner + tenant).clamp(8, 60), tenant, owner)
    } else {
        let owner = free / 2;
        (free - owner, 0, owner)
    }
}

fn lease_head(look: &Look, width: usize) -> ScreenLine {
    let (run_type, tenant, owner) = lease_widths(width);
    let mut text = format!("{:>7} {:<STATE$} {:<run_type$} ", "RUN", "STATE", "TYPE");
    if tenant > 0 {
        text.push_str(&format!("{:<tenant$} ", "TENANT"));
    }
    text.push_str(&format!("{:<owner$} ", look.cut("HELD BY", owner)));
    if tenant > 0 {
        text.push_str(&format!("{:<TIME$} ", look.time_heading("SINCE")));
    }
    text.push_str(&look.time_heading("BEAT"));
    ScreenLine { spans: vec![look.span(Role::Header, text)], key: None }
}

fn lease_line(
    lease: &HeldRow,
    worker: Option<&WorkerRow>,
    look: &Look,
    width: usize,
) -> ScreenLine {
    let (run_type, tenant, owner) = lease_widths(width);
    let (role, state) = if lease.overdue {
        (Role::Stale, RunState::Stuck)
    } else {
        (Role::Running, RunState::Running)
    };
    let holder = worker.map_or(lease.owner.as_str(), |worker| worker.name.as_str());
    let covers = match (&lease.tenant_name, lease.target_count) {
        (Some(name), _) => name.clone(),
        (None, 1) => "1 target".to_owned(),
        (None, n) => format!("{} targets", grouped(n)),
    };
    let mut spans = vec![
        look.span(Role::Text, format!("{:>7} ", lease.run_id)),
        look.span(role, format!("{} ", look.cell(&state.label(look.ascii), STATE))),
        look.span(Role::Text, format!("{} ", look.cell(&lease.run_type, run_type))),
    ];
    if tenant > 0 {
        spans.push(look.span(Role::Text, format!("{} ", look.cell(&covers, tenant))));
    }
    spans.push(look.span(Role::Text, format!("{} ", look.cell(holder, owner))));
    if tenant > 0 {
        let since = look.short_time(lease.acquired_at);
        spans.push(look.span(Role::Text, format!("{since:<TIME$} ")));
    }
    let role = if lease.overdue { Role::Stale } else { Role::Text };
    spans.push(look.span(role, look.short_time(lease.heartbeat_at)));
    ScreenLine { spans, key: Some(Key::Lease(lease.run_id)) }
}
