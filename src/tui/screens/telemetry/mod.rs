//! Telemetry: what customers use, in sums.

mod chart;
mod view;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Position;

use crate::domain::window::{Step, Window};
use crate::ops::AnyOutput;
use crate::ops::telemetry::{Summarise, Summary};
use crate::tui::command::{Command, Context};
use crate::tui::msg::{Answer, Follows, Request, Sub};
use crate::tui::remote::Remote;
use crate::tui::screen::{Cx, Hint, Reply, Screen, State};
use crate::tui::setup::Setup;
use crate::tui::slot::Slot;
use crate::tui::widgets::windows;

impl Slot {
    pub const USAGE: Self = Self::new("usage", "the numbers").sums();
}

#[derive(Debug, Default)]
pub struct Telemetry {
    /// The numbers, as they were when they came first.
    read: Remote<Summary>,
}

impl Telemetry {
    pub fn new(_: &Setup) -> Self {
        Self::default()
    }

    /// The numbers, if they are of the chosen window.
    fn shown(&self, window: Option<Window>) -> Option<&Summary> {
        self.read.value().filter(|summary| Some(summary.window.key) == window)
    }
}

impl Screen for Telemetry {
    fn context(&self, _: &Cx<'_>) -> Context {
        Context::Telemetry
    }

    fn subscriptions(&self, cx: &Cx<'_>) -> Vec<Sub> {
        let request = Request::of(Summarise { window: cx.window });
        // A window moves on by the passing of time alone.
        vec![Sub { slot: Slot::USAGE, request, every: windows::every(cx), follows: Follows::Time }]
    }

    fn answer(&mut self, answer: &AnyOutput, cx: &Cx<'_>) -> Option<Reply> {
        let AnyOutput::Summarise(asked, answer) = answer else { return None };
        let read = answer.as_ref().map(|summary| summary.window.key).ok();
        let (wanted, reply) = windows::answered(asked.window, read, cx);
        let same = |summary| self.read.value().is_some_and(|shown| says_the_same(shown, summary));
        // Numbers that say the same as those that are there do not replace them, so that nothing is
        // drawn while nothing changes.
        if wanted && answer.as_ref().is_ok_and(same) {
            self.read.confirm(cx.look.now);
        } else if wanted {
            self.read.take(answer.clone(), cx.look.now);
        }
        Some(reply)
    }

    fn outcome(&mut self, slot: Slot, answer: &Answer, cx: &Cx<'_>) -> Reply {
        if let (Slot::USAGE, Answer::Unchanged) = (slot, answer) {
            self.read.confirm(cx.look.now);
        }
        Reply::default()
    }

    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        match command {
            Command::WindowNext | Command::WindowPrevious => windows::step(command, cx),
            Command::PollNow => self.refresh(cx),
            // Behind the numbers are customers.
            Command::RowOpen => {
                Reply::default().say("telemetry numbers are sums only: they open nothing", cx)
            }
            _ => Reply::up(command),
        }
    }

    fn key(&mut self, event: &KeyEvent, cx: &Cx<'_>) -> Reply {
        match event.code {
            KeyCode::Enter => self.command(Command::RowOpen, cx),
            _ => Reply::default(),
        }
    }

    fn click(&mut self, column: u16, row: u16, cx: &Cx<'_>) -> Reply {
        if row == 0 { windows::click(column, cx) } else { Reply::default() }
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        self.draw(buffer, cx);
        None
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        Hint::of(&[
            Command::WindowNext,
            Command::WindowPrevious,
            Command::PollNow,
            Command::AppBack,
            Command::AppPalette,
        ])
    }

    fn state(&self, cx: &Cx<'_>) -> Option<State<'_>> {
        let (error, has_data) = (self.read.error(), self.shown(cx.window).is_some());
        Some(State { error, has_data })
    }
}

/// Whether two summaries look alike: the same numbers over the same pieces of the clock.
/// Where there is no event at all, no piece is shown.
fn says_the_same(a: &Summary, b: &Summary) -> bool {
    let numbers = |summary: &Summary| {
        let before = (summary.previous.active_workspaces, summary.previous.total_events);
        let kept = summary.kept_from;
        (summary.window.key, summary.active_workspaces, summary.total_events, before, kept)
    };
    let step: Step = a.window.key.step();
    let floors = |summary: &Summary| summary.buckets.last().map(|piece| step.floor(piece.start_at));
    numbers(a) == numbers(b)
        && a.families == b.families
        && (!a.has_events() || floors(a) == floors(b))
}
