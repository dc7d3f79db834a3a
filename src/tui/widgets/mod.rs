//! Pieces that several screens are made of.

pub mod cursor;
pub mod dialog;
pub mod document;
pub mod form;
pub mod go_to;
pub mod masked;
pub mod page;
pub mod paper;
pub mod reason;
pub mod search;
pub mod table;
pub mod text_area;
pub mod text_field;
pub mod windows;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use super::look::{Look, wrapped};
use super::screen::Cx;
use super::theme::Role;

pub fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect { y: area.y + rows, height: area.height - rows, ..area }
}

pub fn say(role: Role, text: &str, area: Rect, buffer: &mut Buffer, look: &Look) {
    let text = look.cut(text, 1_000).to_string();
    let lines = wrapped(&text, usize::from(area.width.saturating_sub(4)));
    for (y, text) in (area.y..area.bottom()).zip(lines) {
        let row = Rect { y, height: 1, ..area };
        Line::from(look.span(role, format!("  {text}"))).render(row, buffer);
    }
}

/// Says at the lower right how many lines there are below.
pub fn more_below(below: usize, area: Rect, buffer: &mut Buffer, look: &Look) {
    if below == 0 || area.height == 0 {
        return;
    }
    let text = format!("{} {below} more", look.glyph("↓", "v"));
    let width = u16::try_from(text.chars().count() + 1).unwrap_or(0).min(area.width);
    let at = Rect { x: area.right() - width, y: area.bottom() - 1, width, height: 1 };
    Clear.render(at, buffer);
    buffer.set_style(at, look.style(Role::Text));
    Line::from(vec![Span::raw(" "), look.span(Role::Hint, text)]).render(at, buffer);
}

/// From this width on, the selected row of a list is shown in full beside it, unless that writes too
/// much.
const BESIDE_FROM: u16 = 120;

/// The room of a list, and that of its selected row in `columns` columns, where there is room.
pub fn beside(cx: &Cx<'_>, columns: u16) -> (Rect, Option<Rect>) {
    let area = cx.area;
    if area.width < BESIDE_FROM || cx.look.terse {
        return (area, None);
    }
    let list = Rect { width: area.width - columns, ..area };
    (list, Some(Rect { x: list.right(), width: columns, ..area }))
}

pub fn draw_beside(lines: Vec<Line<'static>>, area: Rect, buffer: &mut Buffer, look: &Look) {
    let bar = look.glyph("│ ", "| ");
    let lines = lines.into_iter().chain(std::iter::repeat_with(Line::default));
    for (y, line) in (area.y..area.bottom()).zip(lines) {
        let mut spans = vec![look.span(Role::Border, bar)];
        spans.extend(line.spans);
        Line::from(spans).render(Rect { y, height: 1, ..area }, buffer);
    }
}
