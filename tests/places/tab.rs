//! A tab that only `tests/long places` adds, in a scratch copy.

use ratatui::buffer::Buffer;
use ratatui::layout::Position;
use ratatui::text::Line;
use ratatui::widgets::Widget;

use crate::ops::AnyOutput;
use crate::ops::spare::Spare;
use crate::tui::command::{Command, Context};
use crate::tui::msg::{Follows, Request, Sub};
use crate::tui::remote::Remote;
use crate::tui::screen::{Cx, Hint, Reply, Screen, State};
use crate::tui::screens::dialogs::spare::SpareDialog;
use crate::tui::setup::Setup;
use crate::tui::slot::Slot;

impl Slot {
    pub const SPARE: Self = Self::new("spare", "the spare");
}

#[derive(Debug, Default)]
pub struct SpareTab {
    found: Remote<i64>,
}

impl SpareTab {
    pub fn new(_: &Setup) -> Self {
        Self::default()
    }
}

impl Screen for SpareTab {
    fn context(&self, _: &Cx<'_>) -> Context {
        Context::Spare
    }

    fn subscriptions(&self, cx: &Cx<'_>) -> Vec<Sub> {
        let request = Request::of(Spare);
        vec![Sub { slot: Slot::SPARE, request, every: cx.every, follows: Follows::Changes }]
    }

    fn answer(&mut self, answer: &AnyOutput, cx: &Cx<'_>) -> Option<Reply> {
        let AnyOutput::Spare(_, found) = answer else { return None };
        self.found.take(found.clone(), cx.look.now);
        Some(Reply::default())
    }

    fn command(&mut self, command: Command, _: &Cx<'_>) -> Reply {
        match command {
            Command::RowOpen => Reply::default().push(SpareDialog),
            _ => Reply::up(command),
        }
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        let text = self.found.value().map_or(String::new(), i64::to_string);
        Line::from(text).render(cx.area, buffer);
        None
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        Hint::of(&[Command::RowOpen, Command::AppBack])
    }

    fn state(&self, _: &Cx<'_>) -> Option<State<'_>> {
        Some(self.found.state())
    }
}
