//! Draws the telemetry.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Widget;

use super::super::super::look::grouped;
use super::super::super::theme::Role;
use super::{Around, Telemetry};
use crate::domain::window::Window;

impl Telemetry {
    /// Draws the screen.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, around: &Around<'_>) {
        let look = around.look;
        let mut lines = vec![Line::from(window_line(around.window))];
        match (self.shown(around.window), &self.error) {
            (Some(summary), _) => {
                lines.push(Line::from(format!(" {}", summary.sentence())));
                for family in &summary.families {
                    let text = format!(" {:<24}{:>9}", family.label, grouped(family.count));
                    lines.push(Line::from(look.span(Role::Text, text)));
                }
            }
            (None, Some(error)) => lines.push(Line::from(format!(" {error}"))),
            (None, None) => lines.push(Line::from(" reading the numbers ...")),
        }
        for (y, line) in (area.y..area.bottom()).zip(lines) {
            line.render(Rect { y, height: 1, ..area }, buffer);
        }
    }
}

/// The windows, the chosen one in brackets.
fn window_line(chosen: Option<Window>) -> String {
    let mark = |window: &Window| {
        if chosen == Some(*window) { format!("[{window}]") } else { window.to_string() }
    };
    let all: Vec<String> = Window::ALL.iter().map(mark).collect();
    format!(" window  {}", all.join(" "))
}
