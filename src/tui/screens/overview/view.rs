//! What the overview says, as rows of cells.

use chrono::{DateTime, Duration, Utc};
use ratatui::buffer::Buffer;
use ratatui::text::Span;

use super::cells::{self, Cell, Row};
use super::change::{Good, of_bad, of_counts, of_durations, of_shares};
use super::items::{Item, Number};
use super::tables::{failures, offenders, usage};
use super::{Overview, chart};
use crate::domain::count::count;
use crate::domain::health::{HealthLevel, percentage};
use crate::domain::time_zone;
use crate::domain::window::Window;
use crate::ops::overview::{DurationFigure, Overview as OverviewData, RunKpis};
use crate::ops::telemetry::NOT_KEPT;
use crate::tui::command::{Command, Context};
use crate::tui::look::{Look, grouped, wrapped};
use crate::tui::remote::Remote;
use crate::tui::screen::Cx;
use crate::tui::theme::Role;
use crate::tui::widgets::windows::{length_of, names};

/// Columns of the names of the parts.
pub(super) const HEAD: usize = 10;
/// From this width on, the line of the window says what the marks mean.
const LEGEND: usize = 76;
/// From this width on, recent failures have more columns.
pub(super) const WIDE: usize = 110;
/// Reasons of health, and of failures, that are shown where there is little room.
const FEW: usize = 2;
const FEW_FAILURES: usize = 3;
const TALL: u16 = 30;
/// What may be added as long as there is room: rows of the two trends, and whether blank rows
/// set the parts apart.
const STEPS: [([u16; 2], bool); 5] =
    [([1, 1], false), ([1, 1], true), ([3, 2], true), ([6, 3], true), ([9, 5], true)];

impl Overview {
    pub(super) fn draw(&self, buffer: &mut Buffer, cx: &Cx<'_>) {
        if self.in_errors {
            return self.errors.draw(buffer, cx);
        }
        let rows = self.rows(cx);
        let top = self.top.min(rows.len().saturating_sub(usize::from(cx.area.height)));
        let selected = self.selected.as_ref();
        // The choice of the window is not old.
        let grey = cx.lost.then_some(1);
        cells::draw(&rows, top, selected, grey, (cx.area, buffer), cx.look);
    }

    /// Everything, as much apart as there is room for.
    pub(super) fn rows(&self, cx: &Cx<'_>) -> Vec<Row> {
        let look = cx.look;
        let Some(data) = self.shown(cx.window) else {
            let mut rows = vec![windows(cx.window)];
            let (role, text) = match self.read.error() {
                Some(error) => (Role::Failed, look.cut(&error.to_string(), 1_000).to_string()),
                None => (Role::Muted, "reading the numbers ...".to_owned()),
            };
            rows.extend(cells::plain(role, &text, usize::from(cx.area.width)));
            return rows;
        };
        let steps = STEPS.iter().rev();
        let mut candidates =
            steps.map(|(heights, apart)| self.rows_with(data, *heights, *apart, cx));
        let fits = |rows: &Vec<Row>| rows.len() <= usize::from(cx.area.height);
        candidates.find(fits).unwrap_or_else(|| self.rows_with(data, [1, 1], false, cx))
    }

    fn rows_with(
        &self,
        data: &OverviewData,
        heights: [u16; 2],
        apart: bool,
        cx: &Cx<'_>,
    ) -> Vec<Row> {
        let (look, width) = (cx.look, usize::from(cx.area.width));
        let mut parts = vec![runs(data, cx)];
        if data.runs.current.started > 0 {
            parts.push(chart::rows(data, heights, width, look));
        }
        parts.push(offenders(data, look, width));
        parts.push(self.failures(data, cx));
        parts.push(usage(data, look, width));
        let as_of = as_of(&self.read, cx);
        let explained = as_of.is_none();
        let first = window_row(data, cx, as_of);
        if let (true, Some(legend)) = (width < LEGEND && explained, legends(data, look).first()) {
            parts.push(cells::plain(Role::Muted, legend, width));
        }
        let mut rows = vec![first];
        rows.extend(self.reasons(data, cx));
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            if apart {
                rows.push(Row::new());
            }
            rows.extend(part);
        }
        rows
    }

    /// Why the platform is as it is, worst first.
    fn reasons(&self, data: &OverviewData, cx: &Cx<'_>) -> Vec<Row> {
        let look = cx.look;
        let reasons = &data.health.reasons;
        let width = usize::from(cx.area.width).saturating_sub(5);
        let little = cx.area.height < TALL && reasons.len() > FEW + 1;
        let shown = if little && !self.unfolded { FEW } else { reasons.len() };
        let mut rows = Vec::new();
        for reason in reasons.iter().take(shown) {
            let (role, glyph) = (health_role(reason.level), reason.level.glyph(look.ascii));
            let text = look.cut(&reason.text, 600).to_string();
            for (index, line) in wrapped(&text, width).into_iter().enumerate() {
                let mut row = vec![Cell::plain(Role::Text, " ")];
                if index == 0 {
                    row.push(Cell::lead(Item::Reason(reason.topic.clone())));
                    row.push(Cell::strong(role, glyph));
                    row.push(Cell::plain(Role::Text, format!(" {line}")));
                } else {
                    row.push(Cell::plain(Role::Text, format!("   {line}")));
                }
                rows.push(row);
            }
        }
        if little {
            let mut row = vec![Cell::plain(Role::Text, " ")];
            row.extend(folded(reasons.len() - shown, "reason", Item::Reasons));
            rows.push(row);
        }
        rows
    }

    fn failures(&self, data: &OverviewData, cx: &Cx<'_>) -> Vec<Row> {
        let runs = &data.recent_failures;
        let little = cx.area.height < TALL && runs.len() > FEW_FAILURES + 1;
        let shown = if little && !self.unfolded_failures { FEW_FAILURES } else { runs.len() };
        let runs = runs.get(..shown).unwrap_or(runs);
        let mut rows = failures(runs, cx.look, usize::from(cx.area.width));
        if little {
            rows.push(folded(data.recent_failures.len() - shown, "failure", Item::Failures));
        }
        rows
    }
}

/// When something was read, where that does not go on by itself.
pub(super) fn as_of<T>(read: &Remote<T>, cx: &Cx<'_>) -> Option<String> {
    let at = read.at().filter(|_| !cx.live())?;
    Some(format!("as of {} {}", cx.look.short_time(at), cx.look.zone_name()))
}

/// What unfolds the rest, or folds it away.
fn folded(more: usize, noun: &str, item: Item) -> Row {
    let text = match more {
        0 => format!("fewer {noun}s"),
        more => count(more, &format!("more {noun}")),
    };
    vec![Cell::lead(item), Cell::strong(Role::Accent, text)]
}

/// What runs did, what is held now, and what is unread.
fn runs(data: &OverviewData, cx: &Cx<'_>) -> Vec<Row> {
    let (look, width) = (cx.look, usize::from(cx.area.width));
    let (now, was) = (&data.runs.current, data.runs.before());
    let mut rows = if now.started == 0 {
        nothing(data, cx)
    } else {
        let mut groups = figures(&data.runs, look, width);
        if was.is_none() {
            groups.push(vec![Cell::plain(Role::Muted, format!(" before: {NOT_KEPT}"))]);
        }
        let of_before = data.runs.compared_from().filter(|_| width >= WIDE);
        if let Some(at) = data.runs.missing_before().or(of_before) {
            groups.push(vec![Cell::plain(Role::Muted, format!(" {}", missing(at, look)))]);
        }
        cells::flow(head("RUNS"), groups, width)
    };
    let held = [
        (Number::Active, "active", data.runs.active, Role::Running),
        (Number::Stuck, "stuck", data.runs.stuck, Role::Stale),
        (Number::Stale, "stale", data.runs.stale, Role::Stale),
    ];
    let pending = data.runs.current.pending;
    let mut groups: Vec<Row> = held
        .into_iter()
        .map(|(number, name, count, role)| {
            let role = if count > 0 { role } else { Role::Text };
            number_cells(number, name, grouped(count), role)
        })
        .collect();
    // Where there is little room, it stands beside what is active now.
    if pending > 0 && pending != data.runs.active && width < WIDE {
        let pending = number_cells(Number::Pending, "of this window", grouped(pending), Role::Text);
        groups.insert(1, pending);
    }
    if let Some(unread) = data.unread_notifications {
        let role = if unread > 0 { Role::Accent } else { Role::Text };
        groups.push(cells::entry(Item::Unread, "unread notifications", role, grouped(unread)));
    }
    rows.extend(cells::flow(head("NOW"), groups, width));
    rows
}

pub(super) fn head(name: &str) -> Cell {
    Cell::plain(Role::Title, format!(" {name:<width$}", width = HEAD - 1))
}

fn health_role(level: HealthLevel) -> Role {
    match level {
        HealthLevel::Healthy => Role::Success,
        HealthLevel::Warning => Role::Warning,
        HealthLevel::Critical => Role::Failed,
    }
}

pub(super) fn windows(chosen: Option<Window>) -> Row {
    let names = names(chosen).into_iter();
    names.map(|(role, text)| Cell::plain(role, text)).collect()
}

/// What the marks mean, from in full to in short.
fn legends(data: &OverviewData, look: &Look) -> Vec<String> {
    let before = length_of(data.window.key);
    let (up, down) = (look.glyph("▲", "+"), look.glyph("▼", "-"));
    let approximate = [&data.runs.current, &data.runs.previous].iter().any(|figures| {
        [figures.median, figures.p95].iter().flatten().any(|figure| figure.approximate)
    });
    let about = format!(", {} within 5 %", look.glyph("≈", "~"));
    let about = if approximate { about } else { String::new() };
    let short = about.replace("within", look.glyph("±", "+-"));
    let shortest = about.replace("within ", look.glyph("±", "+-"));
    vec![
        format!("{up} {down} against the {before} before, ! is worse{about}"),
        format!("{up} {down} to the {before} before, ! worse{about}"),
        format!("{up} {down} to {before} ago, ! worse{about}"),
        format!("{up} {down} to {before} ago, ! worse{short}"),
        format!("{up}{down} {before} before, ! worse{shortest}"),
        format!("{up}{down} {before} before, ! worse"),
        format!("! worse{about}"),
    ]
}

/// The window, what the marks mean, and at the right how the platform is.
fn window_row(data: &OverviewData, cx: &Cx<'_>, as_of: Option<String>) -> Row {
    let (look, width) = (cx.look, usize::from(cx.area.width));
    let mut row = windows(cx.window);
    let level = data.health.level;
    let health = format!("{} {level} ", level.glyph(look.ascii));
    let health = vec![Cell::plain(health_role(level), health)];
    let before = width.saturating_sub(cells::width(&health));
    let room = before.saturating_sub(cells::width(&row));
    let legends = match as_of {
        Some(as_of) => vec![as_of],
        None if width < LEGEND => Vec::new(),
        None => legends(data, look),
    };
    let fits = |text: &String| Span::raw(text.as_str()).width() + 5 <= room;
    let legend = legends.into_iter().find(fits).unwrap_or_default();
    row.push(Cell::plain(Role::Muted, format!("   {legend}")));
    row = cells::padded(row, before);
    row.extend(health);
    row
}

fn number_cells(number: Number, name: &str, text: String, role: Role) -> Row {
    cells::entry(Item::Number(number), name, role, text)
}

/// From when on ended runs are kept.
pub(super) fn missing(at: DateTime<Utc>, look: &Look) -> String {
    format!("ended runs {NOT_KEPT} before {}", look.short_time(at))
}

/// What runs did, each with its change where the window before is kept.
fn figures(runs: &RunKpis, look: &Look, width: usize) -> Vec<Row> {
    let (now, before, lost) = (&runs.current, runs.before(), runs.missing_before().is_some());
    let mut groups = Vec::new();
    let known = before.is_some();
    let was = before.copied().unwrap_or_default();
    let (ended, ended_before) = (now.ended(), was.ended());
    let mut add = |number, name, now: i64, was: i64, good, role: Role, share: Option<i64>| {
        let role = if now > 0 { role } else { Role::Text };
        if now == 0 && lost {
            groups.push(number_cells(number, name, NOT_KEPT.to_owned(), Role::Muted));
            return;
        }
        let mut row = number_cells(number, name, grouped(now), role);
        if let Some(whole) = share.filter(|whole| *whole > 0) {
            row.push(Cell::plain(Role::Text, format!(" ({})", percentage(now, whole))));
        }
        let (role, text) = if good == Good::Less {
            of_bad(look, (now, ended), (was, ended_before))
        } else {
            of_counts(look, now, was, good)
        };
        if known {
            row.push(Cell::plain(role, format!(" {text}")));
        }
        groups.push(row);
    };
    let title = Role::Title;
    add(Number::Started, "started", now.started, was.started, Good::Neither, title, None);
    add(Number::Succeeded, "succeeded", now.succeeded, was.succeeded, Good::Neither, title, None);
    let (partial, before) = (now.partially_succeeded, was.partially_succeeded);
    add(Number::Partial, "partial", partial, before, Good::Less, Role::Warning, None);
    add(Number::Failed, "failed", now.failed, was.failed, Good::Less, Role::Failed, Some(ended));
    if now.blocked + was.blocked > 0 {
        add(Number::Blocked, "blocked", now.blocked, was.blocked, Good::Less, Role::Blocked, None);
    }
    if now.cancelled + was.cancelled > 0 {
        let (cancelled, before) = (now.cancelled, was.cancelled);
        add(Number::Cancelled, "cancelled", cancelled, before, Good::Neither, title, None);
    }
    if now.pending > 0 && width >= WIDE {
        groups.push(number_cells(Number::Pending, "not ended", grouped(now.pending), title));
    }
    if ended > 0 {
        let share = percentage(now.succeeded, ended);
        let mut row = number_cells(Number::Ended, "success", share, title);
        let change = of_shares(look, now.success_rate(), was.success_rate(), Good::More);
        row.extend(change.map(|(role, text)| Cell::plain(role, format!(" {text}"))));
        row.push(Cell::plain(Role::Muted, format!(" of {}", grouped(ended))));
        groups.push(row);
    }
    let timed = [
        (Number::Median, "median", now.median, was.median),
        (Number::P95, "p95", now.p95, was.p95),
    ];
    for (number, name, figure, before) in timed {
        let Some(figure) = figure else { continue };
        let mut row = number_cells(number, name, duration(figure, look), title);
        let change = of_durations(look, Some(figure), before);
        row.extend(change.map(|(role, text)| Cell::plain(role, format!(" {text}"))));
        if number == Number::P95 {
            row.push(Cell::plain(Role::Muted, format!(" of {}", grouped(now.timed()))));
        }
        groups.push(row);
    }
    groups
}

fn duration(figure: DurationFigure, look: &Look) -> String {
    let mark = if figure.approximate { look.glyph("≈", "~") } else { "" };
    format!("{mark}{}", time_zone::took(Duration::milliseconds(figure.milliseconds)))
}

/// The window without any run: said in words, with what to do about it.
fn nothing(data: &OverviewData, cx: &Cx<'_>) -> Vec<Row> {
    let key = |command: Command| {
        cx.key(Context::Overview, command).unwrap_or_else(|| command.id().to_owned())
    };
    let before = data.runs.before().map_or(0, |before| before.started);
    let mut text = match data.runs.missing_before() {
        Some(at) => {
            format!("No run of {} is kept: {}.", data.window.label, missing(at, cx.look))
        }
        None => format!("No runs were started in {}.", data.window.label),
    };
    if before > 0 {
        let length = length_of(data.window.key);
        let verb = if before == 1 { "was" } else { "were" };
        text.push_str(&format!(" {} {verb} in the {length} before.", grouped(before)));
    }
    if data.window.key != Window::Month {
        text.push_str(&format!(" {} looks further back,", key(Command::WindowNext)));
    }
    let (runbooks, list) = (key(Command::TabRunbooks), key(Command::TabOperations));
    text.push_str(&format!(" {list} lists all runs, {runbooks} starts maintenance."));
    let width = usize::from(cx.area.width).saturating_sub(HEAD + 1);
    let lines = wrapped(&text, width).into_iter().enumerate();
    lines
        .map(|(index, line)| {
            let name = if index == 0 { "RUNS" } else { "" };
            vec![head(name), Cell::plain(Role::Text, format!(" {line}"))]
        })
        .collect()
}
