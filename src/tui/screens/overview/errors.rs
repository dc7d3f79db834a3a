//! The failures of a window by what they say: a list of errors, and the selected one in full.

use chrono::{DateTime, Utc};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Widget;

use super::cells::{self, Cell, Row};
use crate::domain::failure::ReasonCode;
use crate::domain::window::Window;
use crate::ops::overview::{FingerprintGroup, FingerprintPage};
use crate::tui::command::{Command, Context};
use crate::tui::look::{Look, grouped, wrapped};
use crate::tui::remote::Remote;
use crate::tui::screen::{Cx, Reply};
use crate::tui::theme::Role;
use crate::tui::widgets::cursor::Cursor;
use crate::tui::widgets::table::{self, Column, Table};
use crate::{Error, Result};

/// From this width on, the selected error stands beside the list.
const BESIDE: u16 = 140;
/// From this width on, the list tells when an error was seen first.
const WIDE: usize = 100;
/// Rows above the list.
const HEAD: u16 = 3;
/// Rows of the list that are kept in sight.
const LEAST: usize = 3;
/// Columns of the names in the detail.
const NAME: usize = 10;

/// The state of the list.
#[derive(Debug, Default)]
pub struct Errors {
    read: Remote<FingerprintPage>,
    table: Table<FingerprintGroup>,
    /// Whether the selected error has the screen for itself.
    alone: bool,
    /// The first line of it on the screen then.
    detail: Cursor,
}

impl table::Row for FingerprintGroup {
    /// Its fingerprint, or its reason where it has none.
    type Key = (String, String);

    fn key(&self) -> Self::Key {
        (self.fingerprint.clone(), self.reason_code.clone())
    }
}

/// The screen, cut into the list and the selected error.
struct Parts {
    list: Rect,
    detail: Rect,
}

impl Errors {
    /// Takes an answer.
    pub fn take(&mut self, answer: Result<FingerprintPage>, now: DateTime<Utc>) {
        if let Ok(page) = &answer {
            self.table.take(page.fingerprints.clone(), 1);
        }
        self.read.take(answer, now);
    }

    /// The list was found to be unchanged.
    pub fn confirm(&mut self, now: DateTime<Utc>) {
        self.read.confirm(now);
    }

    /// The last error of the screen.
    pub fn error(&self) -> Option<&Error> {
        self.read.error()
    }

    /// What was read, if it is of the chosen window.
    pub fn shown(&self, window: Option<Window>) -> Option<&FingerprintPage> {
        self.read.value().filter(|page| Some(page.window.key) == window)
    }

    /// The error under the cursor.
    pub fn selected(&self, window: Option<Window>) -> Option<&FingerprintGroup> {
        self.shown(window).and_then(|_| self.table.selected())
    }

    /// One level back within the screen; false where it is to be left.
    pub fn back(&mut self) -> bool {
        self.detail = Cursor::default();
        std::mem::take(&mut self.alone)
    }

    /// Moves the cursor, or what is shown of the selected error where it is alone.
    pub fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        if self.shown(cx.window).is_none() {
            return Reply::up(command);
        }
        let parts = self.parts(cx);
        match command {
            Command::FoldToggle => self.alone = !self.alone,
            Command::CursorPageDown | Command::CursorPageUp if self.alone => {
                let group = self.selected(cx.window);
                let rows = group.map(|group| detail(group, cx, usize::from(parts.detail.width)));
                let count = rows.map_or(0, |rows| rows.len());
                self.detail.scroll(command, count, usize::from(parts.detail.height));
                return Reply::default();
            }
            _ => {
                if self.table.command(command, usize::from(parts.list.height)).is_none() {
                    return Reply::up(command);
                }
            }
        }
        self.detail = Cursor::default();
        Reply::default()
    }

    /// A click on a row of the list selects it; true if it was selected before.
    pub fn click(&mut self, column: u16, row: u16, cx: &Cx<'_>) -> bool {
        let list = self.parts(cx).list;
        let y = cx.area.y + row;
        if self.shown(cx.window).is_none() || y < list.y || column >= list.right() {
            return false;
        }
        let line = usize::from(y - list.y);
        self.table.click(line, usize::from(list.height)) == Some(true)
    }

    fn parts(&self, cx: &Cx<'_>) -> Parts {
        let area = cx.area;
        let rest = Rect { y: area.y + HEAD, height: area.height.saturating_sub(HEAD), ..area };
        let count = self.shown(cx.window).map_or(0, |_| self.table.count());
        if self.alone {
            let list = Rect { height: 1.min(rest.height), ..rest };
            let y = list.bottom();
            return Parts { list, detail: Rect { y, height: rest.bottom() - y, ..rest } };
        }
        if area.width >= BESIDE {
            let width = area.width * 3 / 5;
            let detail = Rect { x: area.x + width, width: area.width - width, ..rest };
            // The lowest row tells how many there are below.
            let height = rest.height.saturating_sub(1);
            return Parts { list: Rect { width, height, ..rest }, detail };
        }
        let needs = self
            .selected(cx.window)
            .map_or(0, |group| detail(group, cx, usize::from(area.width)).len());
        let room = usize::from(rest.height);
        let list = room.saturating_sub(needs + 1).max(LEAST.min(room)).min(count.max(1));
        let list = Rect { height: u16::try_from(list).unwrap_or(rest.height), ..rest };
        // A blank row sets the two apart.
        let y = (list.bottom() + 1).min(rest.bottom());
        Parts { list, detail: Rect { y, height: rest.bottom() - y, ..rest } }
    }

    /// Draws the screen.
    pub fn draw(&self, buffer: &mut Buffer, cx: &Cx<'_>) {
        let (look, area) = (cx.look, cx.area);
        let width = usize::from(area.width);
        let grey = cx.lost.then_some(1);
        let mut rows = vec![window_row(self, cx)];
        let Some(page) = self.shown(cx.window) else {
            let (role, text) = match self.error() {
                Some(error) => (Role::Failed, error.to_string()),
                None => (Role::Muted, "reading the failures ...".to_owned()),
            };
            let text = look.cut(&text, 1_000).to_string();
            rows.extend(plain(role, &text, width));
            return cells::draw(&rows, 0, None, None, (area, buffer), look);
        };
        rows.extend(plain(Role::Title, &sentence(page), width).into_iter().take(1));
        if page.fingerprints.is_empty() {
            let keys = cx.keymap.keys_for(Context::Errors, Command::WindowNext);
            let advice = match (page.window.key, keys.first()) {
                (Window::Month, _) | (_, None) => "This is the longest window.".to_owned(),
                (_, Some(key)) => format!("{key} looks further back."),
            };
            rows.extend(plain(Role::Hint, &advice, width));
            return cells::draw(&rows, 0, None, grey, (area, buffer), look);
        }
        let parts = self.parts(cx);
        let top = Rect { height: (HEAD - 1).min(area.height), ..area };
        let shown = rows.get(..usize::from(top.height)).unwrap_or(&rows);
        cells::draw(shown, 0, None, grey, (top, buffer), look);
        let list =
            Rect { y: top.bottom(), height: parts.list.bottom() - top.bottom(), ..parts.list };
        let columns = columns(page, usize::from(list.width), look);
        self.table.draw(&columns, list, buffer, look, cx.lost);
        let below = self.table.below(usize::from(parts.list.height));
        if below > 0 && !self.alone && parts.list.bottom() < area.bottom() {
            let text = format!(
                "  {} {below} more {}",
                look.glyph("↓", "v"),
                if below == 1 { "error" } else { "errors" }
            );
            let row = Rect { y: parts.list.bottom(), height: 1, ..parts.list };
            Line::from(look.span(Role::Hint, text)).render(row, buffer);
        }
        let Some(group) = self.selected(cx.window) else { return };
        let rows = detail(group, cx, usize::from(parts.detail.width));
        draw_detail(&rows, self.detail.at, cx, (parts.detail, buffer));
    }
}

/// Draws the selected error, and says how much of it there is no room for.
fn draw_detail(rows: &[Row], top: usize, cx: &Cx<'_>, (area, buffer): (Rect, &mut Buffer)) {
    let look = cx.look;
    let height = usize::from(area.height);
    let cut = rows.len() > height && height > 0;
    let keys = cx.keymap.keys_for(Context::Errors, Command::FoldToggle);
    cells::draw(rows, top, None, cx.lost.then_some(0), (area, buffer), look);
    if let (true, 0, Some(key)) = (cut, top, keys.first()) {
        let text = format!(" {} {} more: {key}", look.glyph("↓", "v"), rows.len() - height + 1);
        let width = u16::try_from(text.chars().count()).unwrap_or(0).min(area.width);
        let at = Rect { x: area.right() - width, y: area.bottom() - 1, width, height: 1 };
        Line::from(look.span(Role::Hint, text)).render(at, buffer);
    }
}

/// The whole in one sentence, and how much of it is listed.
fn sentence(page: &FingerprintPage) -> String {
    let listed = i64::try_from(page.fingerprints.len()).unwrap_or(i64::MAX);
    let text = page.sentence();
    if listed < page.total_fingerprints {
        format!("{text}; the {listed} with most failures are listed")
    } else {
        text
    }
}

fn plain(role: Role, text: &str, width: usize) -> Vec<Row> {
    let lines = wrapped(text, width.saturating_sub(2)).into_iter();
    lines.map(|line| vec![Cell::plain(role, format!(" {line}"))]).collect()
}

fn window_row(errors: &Errors, cx: &Cx<'_>) -> Row {
    let look = cx.look;
    let mut row = super::view::windows(cx.window);
    row.push(Cell::plain(Role::Title, "   error groups"));
    if let Some(at) = errors.read.at().filter(|_| !cx.live()) {
        let text = format!("   as of {} {}", look.short_time(at), look.zone_name());
        if cells::width(&row) + text.len() < usize::from(cx.area.width) {
            row.push(Cell::plain(Role::Muted, text));
        }
    }
    row
}

/// The columns of the list in so many of the screen.
fn columns<'a>(
    page: &FingerprintPage,
    width: usize,
    look: &'a Look,
) -> Vec<Column<'a, FingerprintGroup>> {
    let widest = |name: &str, text: &dyn Fn(&FingerprintGroup) -> usize| {
        page.fingerprints.iter().map(text).max().unwrap_or(0).max(name.len())
    };
    let failures = widest("FAILURES", &|group| grouped(group.failures).len());
    let runs = widest("RUNS", &|group| grouped(group.runs).len());
    let tenants = widest("TENANTS", &|group| grouped(group.tenants).len());
    let (first_head, last_head) = (look.time_heading("FIRST"), look.time_heading("LAST"));
    let last = widest(&last_head, &|group| look.short_time(group.last_seen_at).len()) + 1;
    let first = widest(&first_head, &|group| look.short_time(group.first_seen_at).len());
    let first = if width >= WIDE { first } else { 0 };
    let fixed = 2 + failures + 1 + runs + 1 + tenants + 1 + first + usize::from(first > 0) + last;
    let free = width.saturating_sub(fixed + 1);
    let reason = widest("REASON", &|group| group.label.chars().count()).min(free * 2 / 5);
    let pattern = free.saturating_sub(reason + 1);
    vec![
        Column::new("FAILURES", failures, |group: &FingerprintGroup| {
            (Role::Title, grouped(group.failures))
        })
        .right()
        .chief(),
        Column::new("RUNS", runs, |group: &FingerprintGroup| grouped(group.runs)).right(),
        Column::new("TENANTS", tenants, |group: &FingerprintGroup| grouped(group.tenants)).right(),
        Column::new(first_head, first, |group: &FingerprintGroup| {
            look.short_time(group.first_seen_at)
        }),
        Column::new(last_head, last, |group: &FingerprintGroup| {
            look.short_time(group.last_seen_at)
        }),
        Column::new("REASON", reason, |group: &FingerprintGroup| group.label.to_owned()),
        Column::new("WHAT IT SAYS", pattern, |group: &FingerprintGroup| group.pattern.clone()),
    ]
}

/// Everything about an error: what it says, why, what to do, and where.
fn detail(group: &FingerprintGroup, cx: &Cx<'_>, width: usize) -> Vec<Row> {
    let look = cx.look;
    let reason = ReasonCode::of(&group.reason_code);
    let sample = &group.sample;
    let room = width.saturating_sub(NAME + 3);
    let mut rows = Vec::new();
    let mut put = |name: &str, role: Role, text: &str| {
        let text = look.cut(text, 2_000).to_string();
        for (index, line) in wrapped(&text, room).into_iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            rows.push(vec![
                Cell::plain(Role::Muted, format!("  {name:<NAME$}")),
                Cell::plain(role, line),
            ]);
        }
    };
    put("says", Role::Failed, &group.pattern);
    put("reason", Role::Title, &format!("{} ({})", group.label, group.reason_code));
    put("", Role::Text, &format!("{}; {}", reason.explanation(), reason.retry().sentence()));
    put("next", Role::Text, reason.next_step());
    put("sample", Role::Text, &sample.message);
    let tenant = sample.tenant_name.as_deref().unwrap_or("no tenant of its own");
    let at = look.short_time(sample.occurred_at);
    put("", Role::Muted, &format!("run {} {}, {tenant}, {at}", sample.run_id, sample.run_type));
    let (first, last) = (look.full_time(group.first_seen_at), look.full_time(group.last_seen_at));
    if group.first_seen_at == group.last_seen_at {
        put("seen", Role::Text, &format!("once, {first}"));
    } else {
        put("seen", Role::Text, &format!("{first} to {last}"));
    }
    if let Some(at) = group.missing_before {
        put("", Role::Muted, &super::view::missing(at, look));
    }
    if group.fingerprint.is_empty() {
        let text = "These failures have no fingerprint: only the run of the sample can be opened.";
        put("", Role::Warning, text);
    } else {
        put("", Role::Muted, &format!("fingerprint {}", group.fingerprint));
    }
    rows
}
