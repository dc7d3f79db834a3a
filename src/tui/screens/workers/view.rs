//! Draws workers and leases.

use ratatui::buffer::Buffer;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::Widget;

use super::Workers;
use crate::domain::clock_offset;
use crate::domain::count::count;
use crate::domain::run_state::RunState;
use crate::ops::workers::{HeldRow, WorkerRow, WorkersView};
use crate::tui::look::{Look, SHORT_TIME as TIME, grouped};
use crate::tui::screen::Cx;
use crate::tui::theme::Role;
use crate::tui::widgets::more_below;
use crate::tui::widgets::table::{Column, head, row_line};

const STATE: usize = 10;
const WIDE: usize = 76;

impl Workers {
    pub(super) fn draw(&self, buffer: &mut Buffer, cx: &Cx<'_>) {
        let (lines, height) = (self.lines(cx), usize::from(cx.area.height));
        let top = self.top.min(lines.len().saturating_sub(height));
        let more = lines.len().saturating_sub(top + height);
        let grey = cx.look.style(Role::Muted);
        let shown = lines.into_iter().skip(top).map(|(at, mut line)| {
            if cx.lost && at.is_none() {
                line.spans.iter_mut().for_each(|span| span.style = grey);
            }
            line
        });
        shown.collect::<Text<'_>>().render(cx.area, buffer);
        more_below(more, cx.area, buffer, cx.look);
    }

    /// The lines, and the place of the row that each is about.
    pub(super) fn lines(&self, cx: &Cx<'_>) -> Vec<(Option<usize>, Line<'static>)> {
        let look = cx.look;
        let width = usize::from(cx.area.width).saturating_sub(3);
        let mut lines = Vec::new();
        let put = |lines: &mut Vec<_>, role, text: &str| {
            lines.extend(look.lines(role, text, width).into_iter().map(|mut line| {
                line.spans.insert(0, Span::raw("  "));
                (None, line)
            }));
        };
        let Some(view) = self.view.value() else {
            match self.view.error() {
                Some(error) => put(&mut lines, Role::Failed, &error.to_string()),
                None => put(&mut lines, Role::Muted, "reading the workers ..."),
            }
            return lines;
        };
        for text in warnings(view) {
            put(&mut lines, Role::Stale, &format!("{} {text}", RunState::Stuck.glyph(look.ascii)));
        }
        if !lines.is_empty() {
            lines.push((None, Line::default()));
        }
        let workers = self.worker_columns(width, look);
        let leases = lease_columns(view, width, look);
        let here = self.table.at();
        let places = view.shown().count()..;
        lines.push((None, head(&workers, look)));
        if places.start == 0 {
            put(&mut lines, Role::Text, "No active worker. Start one with: tenantpilot worker");
        }
        lines.extend(view.shown().enumerate().map(|(at, worker)| {
            (Some(at), row_line(&workers, Some(worker), at == here, cx.lost, look))
        }));
        lines.push((None, Line::default()));
        lines.push((None, head(&leases, look)));
        if view.leases.is_empty() {
            put(&mut lines, Role::Text, "No run is held: nothing is being executed.");
        }
        lines.extend(places.zip(&view.leases).map(|(at, lease)| {
            (Some(at), row_line(&leases, Some(lease), at == here, cx.lost, look))
        }));
        lines
    }

    fn worker_columns<'a>(&'a self, width: usize, look: &'a Look) -> Vec<Column<'a, WorkerRow>> {
        let wide = |columns| if width >= WIDE { columns } else { 0 };
        let name = width.saturating_sub(if width >= WIDE { 62 } else { 36 }).clamp(12, 34);
        let room = width.saturating_sub(name + if width >= WIDE { 51 } else { 24 });
        let holds = move |worker: &WorkerRow| {
            let ids: Vec<String> = self.held_by(&worker.id).map(|id| id.to_string()).collect();
            match ids.join(", ") {
                none if none.is_empty() => (Role::Muted, "nothing".to_owned()),
                all if all.len() <= room => (Role::Text, all),
                _ => (Role::Text, count(ids.len(), "run")),
            }
        };
        let since = |worker: &WorkerRow| look.short_time(worker.started_at);
        let beat = |worker: &WorkerRow| look.short_time(worker.heartbeat_at);
        vec![
            Column::new("WORKER", name, |worker: &WorkerRow| worker.name.clone()),
            Column::new("STATE", STATE, |worker| state_of(worker, look)),
            Column::new("VERSION", wide(8), |worker: &WorkerRow| worker.version.clone()),
            Column::new("SLOTS", wide(5), |worker: &WorkerRow| worker.slots.to_string()).right(),
            Column::new(look.time_heading("SINCE"), wide(TIME), since),
            Column::new(look.time_heading("BEAT"), TIME, beat),
            Column::new("HOLDS", room, holds),
        ]
    }
}

fn state_of(worker: &WorkerRow, look: &Look) -> (Role, String) {
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
    (role, format!("{glyph} {word}"))
}

fn lease_columns<'a>(
    view: &'a WorkersView,
    width: usize,
    look: &'a Look,
) -> Vec<Column<'a, HeldRow>> {
    let longest = view.leases.iter().map(|lease| lease.run_id).max().unwrap_or(0);
    let id = longest.to_string().len().max(7);
    let wide = width >= WIDE;
    let free = width.saturating_sub(id + STATE + TIME + 5 + if wide { TIME + 1 } else { 0 });
    let (tenant, owner) =
        if wide { ((free / 3).clamp(8, 40), (free / 4).clamp(8, 30)) } else { (0, free / 2) };
    let run_type = free.saturating_sub(owner + tenant);
    let run_type = if wide { run_type.clamp(8, 60) } else { run_type };
    let holder = |lease: &HeldRow| {
        let mut workers = view.workers.iter().chain(&view.gone);
        let worker = workers.find(|worker| worker.id == lease.owner);
        worker.map_or(lease.owner.clone(), |worker| worker.name.clone())
    };
    let covers = |lease: &HeldRow| match (&lease.tenant_name, lease.target_count) {
        (Some(name), _) => name.clone(),
        (None, 1) => "1 target".to_owned(),
        (None, n) => format!("{} targets", grouped(n)),
    };
    let state = |lease: &HeldRow| {
        let (role, state) = if lease.overdue {
            (Role::Stale, RunState::Stuck)
        } else {
            (Role::Running, RunState::Running)
        };
        (role, state.label(look.ascii))
    };
    let since = |lease: &HeldRow| look.short_time(lease.acquired_at);
    let beat = |lease: &HeldRow| {
        let role = if lease.overdue { Role::Stale } else { Role::Text };
        (role, look.short_time(lease.heartbeat_at))
    };
    vec![
        Column::new("RUN", id, |lease: &HeldRow| lease.run_id.to_string()).right(),
        Column::new("STATE", STATE, state),
        Column::new("TYPE", run_type, |lease: &HeldRow| lease.run_type.clone()),
        Column::new("TENANT", tenant, covers),
        Column::new("HELD BY", owner, holder),
        Column::new(look.time_heading("SINCE"), if wide { TIME } else { 0 }, since),
        Column::new(look.time_heading("BEAT"), TIME, beat),
    ]
}

/// What needs somebody, in words.
fn warnings(view: &WorkersView) -> Vec<String> {
    let counted = |n: i64, noun| match n {
        1 => format!("1 {noun}"),
        n => format!("{} {noun}s", grouped(n)),
    };
    let queued =
        |n: i64| format!("{} {} queued", counted(n, "run"), if n == 1 { "is" } else { "are" });
    let mut texts = Vec::new();
    let unserved: i64 = view.unserved.iter().map(|unserved| unserved.queued).sum();
    let taking = view.workers.iter().any(|worker| !worker.silent && !worker.stopping);
    if !taking && unserved > 0 {
        texts.push(format!("no active worker, and {}", queued(unserved)));
    } else {
        texts.extend(view.unserved.iter().map(|unserved| {
            let why = unserved.support.obstacle(&unserved.run_type).unwrap_or_default();
            format!("{why}: {}", queued(unserved.queued))
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
    match view.leases.iter().filter(|lease| lease.overdue).count() {
        0 => {}
        1 => texts.push("1 run: worker lost, its lease expired".to_owned()),
        n => texts.push(format!("{n} runs: worker lost, their leases expired")),
    }
    let alerts = |n| counted(n, "alert");
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
