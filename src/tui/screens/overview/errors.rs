//! The failures of a window by what they say: a list of errors, and the selected one in full.

use chrono::{DateTime, Utc};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Text};
use ratatui::widgets::Widget;

use super::cells::{self, Cell};
use super::view::{as_of, missing, windows};
use crate::Result;
use crate::domain::count::count;
use crate::domain::failure::ReasonCode;
use crate::domain::window::Window;
use crate::ops::overview::{FingerprintGroup as Group, FingerprintPage};
use crate::tui::command::{Command, Context};
use crate::tui::look::{Look, grouped};
use crate::tui::remote::Remote;
use crate::tui::screen::{Cx, Reply};
use crate::tui::theme::Role;
use crate::tui::widgets::below;
use crate::tui::widgets::cursor::Cursor;
use crate::tui::widgets::paper::{Paper, PaperLine};
use crate::tui::widgets::table::{self, Column, Table};

/// From this width on, the selected error stands beside the list.
const BESIDE: u16 = 140;
/// From this width on, the list has when an error was seen first.
const WIDE: usize = 100;
/// Rows above the list.
const HEAD: u16 = 3;
/// Rows of the list that are kept in sight.
const LEAST: usize = 3;

#[derive(Debug, Default)]
pub(super) struct Errors {
    pub(super) read: Remote<FingerprintPage>,
    table: Table<Group>,
    /// Whether the selected error has the screen for itself.
    alone: bool,
    /// The first line of it on the screen then.
    detail: Cursor,
}

impl table::Row for Group {
    type Key = (String, String);

    fn key(&self) -> Self::Key {
        (self.fingerprint.clone(), self.reason_code.clone())
    }
}

impl Errors {
    pub(super) fn take(&mut self, answer: Result<FingerprintPage>, now: DateTime<Utc>) {
        if let Ok(page) = &answer {
            self.table.take(page.fingerprints.clone(), 1);
        }
        self.read.take(answer, now);
    }

    /// What was read, if it is of the chosen window.
    pub(super) fn shown(&self, window: Option<Window>) -> Option<&FingerprintPage> {
        self.read.value().filter(|page| Some(page.window.key) == window)
    }

    pub(super) fn selected(&self, window: Option<Window>) -> Option<&Group> {
        self.shown(window).and_then(|_| self.table.selected())
    }

    /// One level back within the screen; false where it is to be left.
    pub(super) fn back(&mut self) -> bool {
        self.detail = Cursor::default();
        std::mem::take(&mut self.alone)
    }

    /// Moves the cursor, or what is shown of the selected error where it is alone.
    pub(super) fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        if self.shown(cx.window).is_none() {
            return Reply::up(command);
        }
        let (list, detail) = self.parts(cx);
        match command {
            Command::FoldToggle => self.alone = !self.alone,
            Command::CursorPageDown | Command::CursorPageUp if self.alone => {
                let count = self.detail(detail, cx).len();
                self.detail.scroll(command, count, usize::from(detail.height));
                return Reply::default();
            }
            _ => {
                if self.table.command(command, usize::from(list.height)).is_none() {
                    return Reply::up(command);
                }
            }
        }
        self.detail = Cursor::default();
        Reply::default()
    }

    /// A click on a row of the list selects it; true if it was selected before.
    pub(super) fn click(&mut self, column: u16, row: u16, cx: &Cx<'_>) -> bool {
        let (list, _) = self.parts(cx);
        let y = cx.area.y + row;
        if self.shown(cx.window).is_none() || y < list.y || column >= list.right() {
            return false;
        }
        self.table.click(usize::from(y - list.y), usize::from(list.height)) == Some(true)
    }

    /// The room of the list, and that of the selected error.
    fn parts(&self, cx: &Cx<'_>) -> (Rect, Rect) {
        let area = cx.area;
        let rest = below(area, HEAD);
        if self.alone {
            return (Rect { height: 1.min(rest.height), ..rest }, below(rest, 1));
        }
        if area.width >= BESIDE {
            let width = area.width * 3 / 5;
            let detail = Rect { x: area.x + width, width: area.width - width, ..rest };
            // The lowest row says how many there are below.
            return (Rect { width, height: rest.height.saturating_sub(1), ..rest }, detail);
        }
        let count = self.shown(cx.window).map_or(0, |_| self.table.count());
        let (needs, room) = (self.detail(rest, cx).len(), usize::from(rest.height));
        let list = room.saturating_sub(needs + 1).max(LEAST.min(room)).min(count.max(1));
        let list = u16::try_from(list).unwrap_or(rest.height);
        // A blank row sets the two apart.
        (Rect { height: list, ..rest }, below(rest, list + 1))
    }

    pub(super) fn draw(&self, buffer: &mut Buffer, cx: &Cx<'_>) {
        let (look, area, page) = (cx.look, cx.area, self.shown(cx.window));
        let plain = |role, text: &str| cells::plain(role, text, usize::from(area.width));
        let mut rows = vec![self.window_row(cx)];
        match (page, self.read.error()) {
            (Some(page), _) => rows.extend(plain(Role::Title, &sentence(page)).into_iter().take(1)),
            (None, Some(error)) => {
                let text = look.cut(&error.to_string(), 1_000).to_string();
                rows.extend(plain(Role::Failed, &text));
            }
            (None, None) => rows.extend(plain(Role::Muted, "reading the failures ...")),
        }
        let grey = page.filter(|_| cx.lost).map(|_| 1);
        let Some(page) = page.filter(|page| !page.fingerprints.is_empty()) else {
            if let Some(page) = page {
                let key = cx.key(Context::Errors, Command::WindowNext);
                let advice = match key.filter(|_| page.window.key != Window::Month) {
                    Some(key) => format!("{key} looks further back."),
                    None => "This is the longest window.".to_owned(),
                };
                rows.extend(plain(Role::Hint, &advice));
            }
            return cells::draw(&rows, 0, None, grey, (area, buffer), look);
        };
        let top = Rect { height: (HEAD - 1).min(area.height), ..area };
        rows.truncate(usize::from(top.height));
        cells::draw(&rows, 0, None, grey, (top, buffer), look);
        let (list, detail) = self.parts(cx);
        let rows = Rect { y: top.bottom(), height: list.bottom() - top.bottom(), ..list };
        let columns = columns(page, usize::from(list.width), look);
        self.table.draw(&columns, rows, buffer, look, cx.lost);
        let more = self.table.below(usize::from(list.height));
        if more > 0 && !self.alone && list.bottom() < area.bottom() {
            let text = format!("  {} {}", look.glyph("↓", "v"), count(more, "more error"));
            let row = Rect { y: list.bottom(), height: 1, ..list };
            Line::from(look.span(Role::Hint, text)).render(row, buffer);
        }
        let (lines, top) = (self.detail(detail, cx), self.detail.at);
        let more = lines.len().saturating_sub(top + usize::from(detail.height));
        lines.into_iter().skip(top).collect::<Text<'_>>().render(detail, buffer);
        let key = cx.key(Context::Errors, Command::FoldToggle).filter(|_| top == 0);
        let what = key.map_or_else(|| "more rows".to_owned(), |key| format!("more: {key}"));
        cells::more(more, &what, detail, buffer, look);
    }

    fn window_row(&self, cx: &Cx<'_>) -> cells::Row {
        let mut row = windows(cx.window);
        row.push(Cell::plain(Role::Title, "   error groups"));
        let room = usize::from(cx.area.width).saturating_sub(cells::width(&row) + 3);
        if let Some(text) = as_of(&self.read, cx).filter(|text| text.len() < room) {
            row.push(Cell::plain(Role::Muted, format!("   {text}")));
        }
        row
    }

    /// Everything about the selected error: what it says, why, what to do, and where.
    fn detail(&self, area: Rect, cx: &Cx<'_>) -> Vec<Line<'static>> {
        let Some(group) = self.selected(cx.window) else { return Vec::new() };
        let (look, sample) = (cx.look, &group.sample);
        let reason = ReasonCode::of(&group.reason_code);
        let mut paper = Paper::new(&Cx { area, ..*cx });
        let mut put =
            |name: &str, role, text: &str| paper.labelled(role, 0, &format!("{name:<9}"), text);
        put("says", Role::Failed, &group.pattern);
        put("reason", Role::Title, &format!("{} ({})", group.label, group.reason_code));
        put("", Role::Text, &format!("{}; {}", reason.explanation(), reason.retry().sentence()));
        put("next", Role::Text, reason.next_step());
        put("sample", Role::Text, &sample.message);
        let tenant = sample.tenant_name.as_deref().unwrap_or("no tenant of its own");
        let at = look.short_time(sample.occurred_at);
        put("", Role::Muted, &format!("run {} {}, {tenant}, {at}", sample.run_id, sample.run_type));
        let (first, last) =
            (look.full_time(group.first_seen_at), look.full_time(group.last_seen_at));
        if group.first_seen_at == group.last_seen_at {
            put("seen", Role::Text, &format!("once, {first}"));
        } else {
            put("seen", Role::Text, &format!("{first} to {last}"));
        }
        if let Some(at) = group.missing_before {
            put("", Role::Muted, &missing(at, look));
        }
        if group.fingerprint.is_empty() {
            let text =
                "These failures have no fingerprint: only the run of the sample can be opened.";
            put("", Role::Warning, text);
        } else {
            put("", Role::Muted, &format!("fingerprint {}", group.fingerprint));
        }
        let grey = look.style(Role::Muted);
        let line = |mut line: PaperLine| {
            if cx.lost {
                line.spans.iter_mut().for_each(|span| span.style = grey);
            }
            line.spans.insert(0, look.span(Role::Muted, "  "));
            Line::from(line.spans)
        };
        paper.done().into_iter().map(line).collect()
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

fn columns<'a>(page: &FingerprintPage, width: usize, look: &'a Look) -> Vec<Column<'a, Group>> {
    let widest = |name: &str, text: &dyn Fn(&Group) -> usize| {
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
    let of_failures = |group: &Group| (Role::Title, grouped(group.failures));
    vec![
        Column::new("FAILURES", failures, of_failures).right().chief(),
        Column::new("RUNS", runs, |group: &Group| grouped(group.runs)).right(),
        Column::new("TENANTS", tenants, |group: &Group| grouped(group.tenants)).right(),
        Column::new(first_head, first, |group: &Group| look.short_time(group.first_seen_at)),
        Column::new(last_head, last, |group: &Group| look.short_time(group.last_seen_at)),
        Column::new("REASON", reason, |group: &Group| group.label.to_owned()),
        Column::new("WHAT IT SAYS", pattern, |group: &Group| group.pattern.clone()),
    ]
}
