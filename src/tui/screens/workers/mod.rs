//! Workers: who is there, who holds what since when, and what no worker can do.

mod view;

use ratatui::buffer::Buffer;
use ratatui::layout::Position;

use crate::ops::AnyOutput;
use crate::ops::workers::{HeldRow, ListWorkers, WorkerRow, WorkersView};
use crate::tui::command::{Command, Context};
use crate::tui::msg::{Follows, Request, Sub};
use crate::tui::remote::Remote;
use crate::tui::screen::{Cx, Hint, Reply, Screen, State, Target};
use crate::tui::setup::Setup;
use crate::tui::slot::Slot;
use crate::tui::widgets::table::{Row, Table};

impl Slot {
    pub const WORKERS: Self = Self::new("workers", "the workers").brief();
}

#[derive(Debug)]
enum Entry {
    Worker(WorkerRow),
    Lease(HeldRow),
}

impl Row for Entry {
    /// The run of a lease, or the ID of a worker.
    type Key = (i64, String);

    fn key(&self) -> Self::Key {
        match self {
            Self::Worker(worker) => (0, worker.id.clone()),
            Self::Lease(lease) => (lease.run_id, String::new()),
        }
    }
}

/// Workers and leases are two lists with one cursor.
#[derive(Debug, Default)]
pub struct Workers {
    view: Remote<WorkersView>,
    table: Table<Entry>,
    /// Index of the first line on the screen.
    top: usize,
}

impl Workers {
    pub fn new(_: &Setup) -> Self {
        Self::default()
    }

    fn held_by(&self, worker: &str) -> impl Iterator<Item = i64> {
        let leases = self.view.value().into_iter().flat_map(|view| &view.leases);
        leases.filter(move |lease| lease.owner == worker).map(|lease| lease.run_id)
    }

    /// The run of the selected line: of a lease its own, of a worker the one it holds longest.
    fn run(&self) -> Option<i64> {
        match self.table.selected()? {
            Entry::Lease(lease) => Some(lease.run_id),
            Entry::Worker(worker) => self.held_by(&worker.id).next(),
        }
    }

    fn go(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        let height = usize::from(cx.area.height);
        let is_trouble = |entry: &Entry| match entry {
            Entry::Worker(worker) => worker.silent,
            Entry::Lease(lease) => lease.overdue,
        };
        if matches!(command, Command::MatchNext | Command::MatchPrevious) {
            if let Some(at) = self.table.find(command == Command::MatchNext, is_trouble) {
                self.table.go(at, height);
            }
        } else if self.table.command(command, height).is_none() {
            return Reply::up(command);
        }
        self.settle(cx);
        Reply::default()
    }
}

impl Screen for Workers {
    fn context(&self, _: &Cx<'_>) -> Context {
        Context::Workers
    }

    fn subscriptions(&self, cx: &Cx<'_>) -> Vec<Sub> {
        let request = Request::of(ListWorkers);
        // Leases run out by the passing of time alone.
        vec![Sub { slot: Slot::WORKERS, request, every: cx.every, follows: Follows::Time }]
    }

    fn answer(&mut self, answer: &AnyOutput, cx: &Cx<'_>) -> Option<Reply> {
        let AnyOutput::ListWorkers(_, answer) = answer else { return None };
        if let Ok(view) = answer {
            let workers = view.shown().cloned().map(Entry::Worker);
            let leases = view.leases.iter().cloned().map(Entry::Lease);
            self.table.take(workers.chain(leases).collect(), usize::from(cx.area.height));
        }
        self.view.take(answer.clone(), cx.look.now);
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
        let line = self.lines(cx).into_iter().nth(self.top + usize::from(row));
        let Some(at) = line.and_then(|(at, _)| at) else { return Reply::default() };
        if at == self.table.at() {
            return self.command(Command::RowOpen, cx);
        }
        self.table.go(at, usize::from(cx.area.height));
        Reply::default()
    }

    /// Keeps the selected line in sight; above the first one, the head is.
    fn settle(&mut self, cx: &Cx<'_>) {
        let height = usize::from(cx.area.height.max(1));
        let here = Some(self.table.at()).filter(|at| *at > 0);
        let at = here.and_then(|here| self.lines(cx).iter().position(|line| line.0 == Some(here)));
        self.top = at.map_or(0, |at| self.top.clamp((at + 1).saturating_sub(height), at));
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        self.draw(buffer, cx);
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
