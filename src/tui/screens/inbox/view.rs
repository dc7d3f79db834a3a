//! Draws the inbox.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::super::super::command::{Command, Context};
use super::super::super::keymap::Keymap;
use super::super::super::look::{Look, grouped, state_role, wrapped};
use super::super::super::theme::Role;
use super::{HELD, Inbox};
use crate::ops::notifications::Notification;

/// Lines above the rows: the count and the column heads.
const HEAD: u16 = 2;
/// From this width on, there is a column for the time.
const TIME_FROM: u16 = 100;

const TIME: usize = 11;
const STATE: usize = 11;
const AGE: usize = 7;
/// A wider title would leave its age too far away to be read with it.
const TITLE_MAX: usize = 72;

/// Widths of the columns that vary.
struct Columns {
    run: usize,
    /// 0: there is no room for it.
    time: usize,
    title: usize,
}

impl Columns {
    fn of(width: u16, rows: &[Notification]) -> Self {
        let longest = rows.iter().filter_map(|row| row.run_id).max().unwrap_or(0);
        let run = longest.to_string().len().max(5);
        let time = if width >= TIME_FROM { TIME } else { 0 };
        let fixed = 4 + run + 1 + if time > 0 { time + 1 } else { 0 } + STATE + 1 + 1 + AGE;
        Self { run, time, title: usize::from(width).saturating_sub(fixed).min(TITLE_MAX) }
    }
}

impl Inbox {
    /// Which row of the screen a line of the body shows.
    pub(super) fn row_at(line: u16) -> Option<usize> {
        line.checked_sub(HEAD).map(usize::from)
    }

    /// How many rows fit into a body of `height` lines.
    pub(super) fn rows_in(height: u16) -> usize {
        usize::from(height.saturating_sub(HEAD))
    }

    /// Draws the inbox.
    pub(super) fn draw(
        &self,
        area: Rect,
        buffer: &mut Buffer,
        look: &Look,
        greyed: bool,
        keymap: &Keymap,
    ) {
        let head = HEAD.min(area.height);
        let rows = Rect { y: area.y + head, height: area.height - head, ..area };
        self.draw_count(Rect { height: head.min(1), ..area }, buffer, look, rows.height);
        let columns = Columns::of(area.width, &self.rows);
        let line = Rect { y: area.y + 1, height: head.saturating_sub(1), ..area };
        head_line(&columns, look).render(line, buffer);
        if self.rows.is_empty() {
            return self.draw_empty(rows, buffer, look, keymap);
        }
        for (y, row) in (rows.y..rows.bottom()).zip(self.rows.iter().skip(self.top)) {
            let selected = Some(row.id) == self.selected;
            row_line(row, selected, greyed, &columns, look)
                .render(Rect { y, height: 1, ..rows }, buffer);
        }
    }

    fn draw_count(&self, area: Rect, buffer: &mut Buffer, look: &Look, visible: u16) {
        let mut left = vec![Span::raw(" ")];
        match (self.unread.value(), self.unread.error()) {
            (Some(unread), _) => {
                let role = if *unread > 0 { Role::Accent } else { Role::Text };
                left.push(look.span(Role::Muted, "unread "));
                left.push(look.span(role, grouped(*unread)));
            }
            (None, Some(error)) => {
                let text = look.cut(&error.to_string(), usize::from(area.width / 2));
                left.push(look.span(Role::Failed, text.to_string()));
            }
            (None, None) => left.push(look.span(Role::Muted, "reading ...")),
        }
        let shown = if self.unread_only { "unread only" } else { "all" };
        left.push(look.span(Role::Muted, format!("   showing {shown}")));
        Line::from(left).render(area, buffer);
        let text = self.place_text(usize::from(visible), look);
        let line = Line::from(look.span(Role::Muted, text)).right_aligned();
        line.render(Rect { width: area.width.saturating_sub(1), ..area }, buffer);
    }

    /// Which part of the inbox is held: `5 notices`, `newest 200`.
    fn place_text(&self, visible: usize, look: &Look) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let below = match self.selected_index() {
            Some(index) if index < self.top => format!("{} cursor above   ", look.glyph("↑", "^")),
            Some(index) if index >= self.top + visible => {
                format!("{} cursor below   ", look.glyph("↓", "v"))
            }
            _ => String::new(),
        };
        let n = grouped(i64::try_from(self.rows.len()).unwrap_or(i64::MAX));
        match (self.older, self.rows.len()) {
            (Some(_), HELD..) => {
                format!("{below}newest {n}; older ones: tenantpilot notifications list")
            }
            (Some(_), _) => format!("{below}newest {n}"),
            (None, 1) => format!("{below}1 notification"),
            (None, _) => format!("{below}{n} notifications"),
        }
    }

    fn draw_empty(&self, area: Rect, buffer: &mut Buffer, look: &Look, keymap: &Keymap) {
        let key = keymap.keys_for(Context::Inbox, Command::InboxUnreadOnly).into_iter().next();
        let (role, text) = match (self.read.error(), self.read.value()) {
            (Some(error), _) => (Role::Failed, error.to_string()),
            (None, None) => (Role::Muted, "reading the inbox ...".to_owned()),
            (None, Some(())) if self.unread_only => {
                let more =
                    key.map_or_else(String::new, |key| format!(" {key} shows all notifications."));
                (Role::Text, format!("Nothing is unread.{more}"))
            }
            (None, Some(())) => (
                Role::Text,
                "No notifications yet. One comes when a run that you started has ended.".to_owned(),
            ),
        };
        let width = usize::from(area.width.saturating_sub(4));
        for (y, line) in (area.y + 1..area.bottom()).zip(wrapped(&text, width)) {
            Line::from(look.span(role, format!("  {line}")))
                .render(Rect { y, height: 1, ..area }, buffer);
        }
    }
}

fn head_line(columns: &Columns, look: &Look) -> Line<'static> {
    let mut text = format!("    {:>width$} ", "RUN", width = columns.run);
    if columns.time > 0 {
        let heading = look.time_heading("ENDED");
        text.push_str(&format!(
            "{:<width$} ",
            look.cut(&heading, columns.time),
            width = columns.time
        ));
    }
    text.push_str(&format!(
        "{:<STATE$} {:<title$} {:>AGE$}",
        "STATE",
        look.cut("NOTIFICATION", columns.title),
        "AGO",
        title = columns.title
    ));
    Line::from(look.span(Role::Header, text))
}

fn row_line(
    row: &Notification,
    selected: bool,
    greyed: bool,
    columns: &Columns,
    look: &Look,
) -> Line<'static> {
    let style = |role: Role| look.style(if greyed { Role::Muted } else { role });
    let text_role = if row.is_unread() { Role::Text } else { Role::Muted };
    let cursor = if selected { look.glyph("▸ ", "> ") } else { "  " };
    let unread = if row.is_unread() { look.glyph("● ", "* ") } else { "  " };
    let run = row.run_id.map_or_else(String::new, |id| id.to_string());
    let run = format!("{run:>width$}", width = columns.run);
    let chosen = look.style(Role::Selected);
    let mut spans = vec![
        Span::styled(cursor, if selected { chosen } else { style(Role::Text) }),
        Span::styled(unread, style(Role::Accent)),
        Span::styled(run, if selected { chosen } else { style(text_role) }),
        Span::raw(" "),
    ];
    if columns.time > 0 {
        let time = look.short_time(row.created_at);
        spans
            .push(Span::styled(format!("{time:<width$} ", width = columns.time), style(text_role)));
    }
    let role = row.state.map_or(Role::Muted, state_role);
    spans.push(Span::styled(look.cell(&row.state_label(look.ascii), STATE), style(role)));
    spans.push(Span::raw(" "));
    spans.push(Span::styled(look.cell(&row.title, columns.title), style(text_role)));
    let age = format!(" {:>AGE$}", ago(look.now - row.created_at));
    spans.push(Span::styled(age, style(Role::Muted)));
    Line::from(spans)
}

/// How long ago, in steps so large that a quiet screen is hardly ever drawn again.
fn ago(age: chrono::Duration) -> String {
    match age.num_minutes() {
        ..5 => "< 5 min".to_owned(),
        5..60 => "< 1 h".to_owned(),
        60..1_440 => format!("{} h", age.num_hours()),
        _ => format!("{} d", age.num_days()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_come_in_steps_that_fit_their_column() {
        let cases = [
            (-3, "< 5 min"),
            (4, "< 5 min"),
            (5, "< 1 h"),
            (59, "< 1 h"),
            (119, "1 h"),
            (1_439, "23 h"),
            (1_440, "1 d"),
            (99_999 * 1_440, "99999 d"),
        ];
        for (minutes, text) in cases {
            assert_eq!(ago(chrono::Duration::minutes(minutes)), text);
            assert!(text.len() <= AGE);
        }
    }
}
