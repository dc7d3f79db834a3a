//! The box that a dialog stands in.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::symbols::border;
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Widget};

use super::super::command::Command;
use super::super::look::Look;
use super::super::screen::Hint;
use super::super::theme::Role;

const WIDTH: u16 = 74;
const PLAIN: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

/// What the footer offers where a phrase confirms; `second` is the command beside that.
pub fn phrase_hints(second: Command) -> Vec<Hint> {
    vec![
        Hint::Does(Command::FormSubmit, "confirm"),
        Hint::Does(second, second.help()),
        Hint::Does(Command::AppBack, "change nothing"),
    ]
}

pub fn form_hints() -> Vec<Hint> {
    use Command::{AppBack, FieldNext, FieldPrevious, FormSubmit};
    Hint::of(&[FormSubmit, FieldNext, AppBack, FieldPrevious])
}

/// How many columns there are inside of a box over `body`.
pub fn columns(body: Rect) -> usize {
    usize::from(width(body).saturating_sub(4))
}

fn width(body: Rect) -> u16 {
    WIDTH.min(body.width.saturating_sub(2))
}

/// Draws an empty box in the middle of `body` with room for `lines` lines, as far as they fit;
/// gives the room.
pub fn draw(body: Rect, lines: usize, title: &str, buffer: &mut Buffer, look: &Look) -> Rect {
    let width = width(body);
    let height = u16::try_from(lines + 2).unwrap_or(body.height).min(body.height);
    let area = Rect {
        x: body.x + (body.width - width) / 2,
        y: body.y + (body.height - height) / 2,
        width,
        height,
    };
    Clear.render(area, buffer);
    buffer.set_style(area, look.style(Role::Text));
    Block::bordered()
        .border_set(if look.ascii { PLAIN } else { border::PLAIN })
        .border_style(look.style(Role::Border))
        .title(Line::from(look.span(Role::Title, title.to_owned())))
        .render(area, buffer);
    Rect {
        x: area.x + 2,
        y: area.y + 1,
        width: width.saturating_sub(4),
        height: height.saturating_sub(2),
    }
}
