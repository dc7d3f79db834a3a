//! A dialog that only `tests/long places` adds, in a scratch copy.

use ratatui::buffer::Buffer;
use ratatui::layout::Position;
use ratatui::text::Line;
use ratatui::widgets::Widget;

use crate::tui::command::{Command, Context};
use crate::tui::screen::{Cx, Hint, Reply, Screen};
use crate::tui::widgets::dialog;

#[derive(Debug)]
pub struct SpareDialog;

impl Screen for SpareDialog {
    fn context(&self, _: &Cx<'_>) -> Context {
        Context::Discard
    }

    fn command(&mut self, _: Command, _: &Cx<'_>) -> Reply {
        Reply::close()
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        let room = dialog::draw(cx.area, 1, " Spare ", buffer, cx.look);
        Line::from("spare").render(room, buffer);
        None
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        vec![Hint::Key("y", "close")]
    }
}
