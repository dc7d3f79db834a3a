//! Draws the inbox.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::{HELD, Inbox};
use crate::ops::notifications::Notification;
use crate::tui::command::{Command, Context};
use crate::tui::look::{Look, SHORT_TIME as TIME, grouped, state_role};
use crate::tui::screen::Cx;
use crate::tui::theme::Role;
use crate::tui::widgets::table::Column;
use crate::tui::widgets::{below, say};

/// Lines above the rows: the count and the column heads.
pub(super) const HEAD: u16 = 2;
/// From this width on, there is a column for the time.
const TIME_FROM: u16 = 100;

const STATE: usize = 11;
const AGE: usize = 7;
/// A wider title would leave its age too far away to be read with it.
const TITLE_MAX: usize = 72;

/// How many rows there is room for.
pub(super) fn rows_in(cx: &Cx<'_>) -> usize {
    usize::from(cx.area.height.saturating_sub(HEAD))
}

impl Inbox {
    pub(super) fn draw(&self, buffer: &mut Buffer, cx: &Cx<'_>) {
        let (look, area) = (cx.look, cx.area);
        self.draw_count(Rect { height: area.height.min(1), ..area }, buffer, cx);
        let columns = columns(area.width, self.rows(), look);
        self.table.draw(&columns, below(area, HEAD - 1), buffer, look, cx.lost);
        if self.rows().is_empty() {
            let (role, text) = self.nothing(cx);
            say(role, &text, below(area, HEAD + 1), buffer, look);
        }
    }

    fn draw_count(&self, area: Rect, buffer: &mut Buffer, cx: &Cx<'_>) {
        let look = cx.look;
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
        let text = self.place_text(rows_in(cx), look);
        let line = Line::from(look.span(Role::Muted, text)).right_aligned();
        line.render(Rect { width: area.width.saturating_sub(1), ..area }, buffer);
    }

    /// Which part of the inbox is held: `5 notices`, `newest 200`.
    fn place_text(&self, visible: usize, look: &Look) -> String {
        if self.rows().is_empty() {
            return String::new();
        }
        let below = match self.table.astray(visible, look) {
            text if text.is_empty() => text,
            text => format!("{text}   "),
        };
        let n = grouped(i64::try_from(self.rows().len()).unwrap_or(i64::MAX));
        let held = match (self.older, self.rows().len()) {
            (Some(_), HELD..) => format!("newest {n}; older ones: tenantpilot notifications list"),
            (Some(_), _) => format!("newest {n}"),
            (None, 1) => "1 notification".to_owned(),
            (None, _) => format!("{n} notifications"),
        };
        below + &held
    }

    /// Why there is nothing, or that it is being read.
    fn nothing(&self, cx: &Cx<'_>) -> (Role, String) {
        match (self.read.error(), self.read.value()) {
            (Some(error), _) => (Role::Failed, error.to_string()),
            (None, None) => (Role::Muted, "reading the inbox ...".to_owned()),
            (None, Some(())) if self.unread_only => {
                let key = cx.key(Context::Inbox, Command::InboxUnreadOnly);
                let more =
                    key.map_or_else(String::new, |key| format!(" {key} shows all notifications."));
                (Role::Text, format!("Nothing is unread.{more}"))
            }
            (None, Some(())) => (
                Role::Text,
                "No notifications yet. One comes when a run that you started has ended.".to_owned(),
            ),
        }
    }
}

fn columns<'a>(width: u16, rows: &[Notification], look: &'a Look) -> Vec<Column<'a, Notification>> {
    let longest = rows.iter().filter_map(|row| row.run_id).max().unwrap_or(0);
    let run = longest.to_string().len().max(5);
    let time = if width >= TIME_FROM { TIME } else { 0 };
    let fixed = 4 + run + 1 + if time > 0 { time + 1 } else { 0 } + STATE + 1 + 1 + AGE;
    let title = usize::from(width).saturating_sub(fixed).min(TITLE_MAX);
    let role = |row: &Notification| if row.is_unread() { Role::Text } else { Role::Muted };
    let state = |row: &Notification| {
        (row.state.map_or(Role::Muted, state_role), row.state_label(look.ascii))
    };
    vec![
        Column::new("", 1, |row: &Notification| {
            let mark = if row.is_unread() { look.glyph("●", "*") } else { "" };
            (Role::Accent, mark.to_owned())
        }),
        Column::new("RUN", run, move |row| {
            (role(row), row.run_id.map_or_else(String::new, |id| id.to_string()))
        })
        .right()
        .chief(),
        Column::new(look.time_heading("ENDED"), time, move |row| {
            (role(row), look.short_time(row.created_at))
        }),
        Column::new("STATE", STATE, state),
        Column::new("NOTIFICATION", title, move |row| (role(row), row.title.clone())),
        Column::new("AGO", AGE, |row: &Notification| (Role::Muted, ago(look.now - row.created_at)))
            .right(),
    ]
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
