//! The break-glass banner: a line under the tabs, on every screen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use crate::domain::capability::Capability;
use crate::tui::app::App;
use crate::tui::command::Command;
use crate::tui::theme::Role;

/// The columns that the reason should have.
const REASON: usize = 12;

/// Draws it where break-glass is active; the reason has what room the rest leaves.
pub fn draw(app: &App, area: Rect, buffer: &mut Buffer) {
    let Some(glass) = app.break_glass() else {
        return;
    };
    let look = &app.look;
    let columns = usize::from(area.width);
    let head = format!(" {} BREAK-GLASS  {}  ", look.glyph("‼", "!!"), glass.reason_code);
    let left = (glass.expires_at - look.now).num_seconds();
    // Begun minutes count: it never says 0 while it is active.
    let minutes = format!("({} min) ", (left + 59) / 60);
    let until = format!("  until {} ", look.clock(glass.expires_at));
    let may = app.session().is_some_and(|s| s.capabilities.has(Capability::BreakGlassUse));
    let key = app.setup.keymap.keys_for(app.context(), Command::BreakGlassToggle);
    // A text field gets the letter, and a dialog ignores it: nothing is promised there.
    let here = may && app.modals.is_empty();
    let end =
        key.first().filter(|_| here).map_or_else(String::new, |key| format!(" {key} ends it "));
    // Where room is short, the reason matters more than what can be reckoned or looked up.
    let tails = [format!("{until}{minutes}{end}"), format!("{until}{end}"), until];
    let room = |tail: &str| {
        columns.saturating_sub(Span::raw(head.as_str()).width() + Span::raw(tail).width())
    };
    let Some(tail) = tails.iter().find(|tail| room(tail) >= REASON).or(tails.last()) else {
        return;
    };
    let line = format!("{head}{}{tail}", look.cut(&glass.reason, room(tail)));
    buffer.set_style(area, look.style(Role::Banner));
    Line::from(look.span(Role::Banner, line)).render(area, buffer);
}
