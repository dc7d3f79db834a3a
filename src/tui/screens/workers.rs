//! Workers: who is there, who holds what since when, and what nobody can do.

mod view;

use ratatui::buffer::Buffer;
use ratatui::layout::Position;

use crate::ops::AnyOutput;
use crate::ops::workers::{HeldRow, ListWorkers, WorkerRow, WorkersView};
use crate::tui::command::{Command, Context};
use crate::tui::msg::{Follows, Request, Slot, Sub};
use crate::tui::remote::Remote;
use crate::tui::screen::{Cx, Hint, Reply, Screen, State, Target};
use crate::tui::setup::Setup;
use crate::tui::widgets::cursor::Cursor;

/// What a line is about; the cursor stays on it while lines come and go around it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Worker(String),
    Lease(i64),
}

/// The state of the screen.
#[derive(Debug, Default)]
pub struct Workers {
    view: Remote<WorkersView>,
    selected: Option<Key>,
    /// Where the selected line stood, for when it goes.
    index: usize,
    /// Index of the first line on the screen.
    top: usize,
}

impl Workers {
    /// It, with nothing on it yet.
    pub fn new(_: &Setup) -> Self {
        Self::default()
    }

    fn workers(&self) -> impl Iterator<Item = &WorkerRow> {
        self.view.value().into_iter().flat_map(WorkersView::shown)
    }

    fn leases(&self) -> &[HeldRow] {
        self.view.value().map_or(&[], |view| view.leases.as_slice())
    }

    fn held_by<'a>(&'a self, worker: &'a str) -> impl Iterator<Item = &'a HeldRow> {
        self.leases().iter().filter(move |lease| lease.owner == worker)
    }

    fn keys(&self) -> Vec<Key> {
        let workers = self.workers().map(|worker| Key::Worker(worker.id.clone()));
        workers.chain(self.leases().iter().map(|lease| Key::Lease(lease.run_id))).collect()
    }

    /// The run of the selected line: of a lease its own, of a worker the one it holds longest.
    fn run(&self) -> Option<i64> {
        match self.selected.as_ref()? {
            Key::Lease(run_id) => Some(*run_id),
            Key::Worker(id) => self.held_by(id).next().map(|lease| lease.run_id),
        }
    }

    fn go(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        let keys = self.keys();
        let last = keys.len().saturating_sub(1);
        let troubled = |i: &usize| keys.get(*i).is_some_and(|key| self.is_trouble(key));
        let here = Cursor { at: self.index, top: self.top };
        let to = match command {
            Command::MatchNext => (self.index + 1..keys.len()).find(troubled).unwrap_or(self.index),
            Command::MatchPrevious => (0..self.index).rev().find(troubled).unwrap_or(self.index),
            _ => match here.led(command, usize::from(cx.area.height)) {
                Some(to) => to,
                None => return Reply::up(command),
            },
        };
        self.index = to.min(last);
        self.selected = keys.into_iter().nth(self.index);
        self.settle(cx);
        Reply::default()
    }

    fn is_trouble(&self, key: &Key) -> bool {
        match key {
            Key::Worker(id) => self.workers().any(|worker| worker.id == *id && worker.silent),
            Key::Lease(id) => {
                self.leases().iter().any(|lease| lease.run_id == *id && lease.overdue)
            }
        }
    }
}

impl Screen for Workers {
    fn context(&self, _: &Cx<'_>) -> Context {
        Context::Workers
    }

    fn subscriptions(&self, cx: &Cx<'_>) -> Vec<Sub> {
        let request = Request::of(ListWorkers);
        // Leases run out by the passing of time alone.
        vec![Sub { slot: Slot::Workers, request, every: cx.every, follows: Follows::Time }]
    }

    fn answer(&mut self, answer: &AnyOutput, cx: &Cx<'_>) -> Option<Reply> {
        let AnyOutput::ListWorkers(_, answer) = answer else { return None };
        self.view.take(answer.clone(), cx.look.now);
        let keys = self.keys();
        let found = self.selected.as_ref().and_then(|key| keys.iter().position(|k| k == key));
        self.index = found.unwrap_or_else(|| self.index.min(keys.len().saturating_sub(1)));
        self.selected = keys.into_iter().nth(self.index);
        Some(Reply::default())
    }

    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        match (command, self.run()) {
            (Command::RowOpen, Some(id)) => Reply::show(Target::Run(id)),
            (Command::RowOpen, None) => Reply::default(),
            (Command::PollNow, _) => self.refresh(cx),
            _ => self.go(command, cx),
        }
    }

    /// A click on a line of the body selects it; on the selected one, it opens its run.
    fn click(&mut self, _: u16, row: u16, cx: &Cx<'_>) -> Reply {
        let lines = self.lines(cx.look, usize::from(cx.area.width));
        let line = lines.into_iter().nth(self.top + usize::from(row));
        let Some(key) = line.and_then(|line| line.key) else { return Reply::default() };
        if self.selected.as_ref() == Some(&key) {
            return self.command(Command::RowOpen, cx);
        }
        if let Some(index) = self.keys().iter().position(|k| *k == key) {
            self.index = index;
            self.selected = Some(key);
        }
        Reply::default()
    }

    /// Keeps the selected line in sight; above the first one, the head is.
    fn settle(&mut self, cx: &Cx<'_>) {
        let lines = self.lines(cx.look, usize::from(cx.area.width));
        let height = usize::from(cx.area.height.max(1));
        let at = lines.iter().position(|line| line.key.is_some() && line.key == self.selected);
        let Some(at) = at.filter(|_| self.index > 0) else {
            self.top = 0;
            return;
        };
        if at < self.top {
            self.top = at;
        } else if at >= self.top + height {
            self.top = at + 1 - height;
        }
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        self.draw(cx.area, buffer, cx.look, cx.lost);
        None
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        Hint::of(&[Command::RowOpen, Command::MatchNext, Command::AppBack, Command::AppPalette])
    }

    fn state(&self, _: &Cx<'_>) -> Option<State<'_>> {
        Some(self.view.state())
    }

    fn copies(&self, _: &Cx<'_>) -> Option<String> {
        self.run().map(|id| id.to_string())
    }
}
