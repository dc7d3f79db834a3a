//! Workers: who is there, who holds what since when, and what nobody can do.

mod view;

use std::time::Duration;

use chrono::{DateTime, Utc};
use ratatui::layout::Rect;

use super::super::app::Setup;
use super::super::command::Command;
use super::super::look::Look;
use super::super::msg::{Effect, Follows, Request, Slot, Sub};
use super::super::remote::Remote;
use crate::ops::workers::{HeldRow, ListWorkers, WorkerRow, WorkersView};
use crate::{Error, Result};

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

    /// Asked again and again while it is shown; leases run out by the passing of time alone.
    pub fn subscriptions(&self, every: Duration) -> Vec<Sub> {
        let request = Request::of(ListWorkers);
        vec![Sub { slot: Slot::Workers, request, every, follows: Follows::Time }]
    }

    /// Asks now.
    pub fn refresh(&self) -> Vec<Effect> {
        vec![Effect::ask(Slot::Workers, ListWorkers)]
    }

    /// Takes an answer.
    pub fn take(&mut self, answer: Result<WorkersView>, now: DateTime<Utc>) {
        self.view.take(answer, now);
        let keys = self.keys();
        let found = self.selected.as_ref().and_then(|key| keys.iter().position(|k| k == key));
        self.index = found.unwrap_or_else(|| self.index.min(keys.len().saturating_sub(1)));
        self.selected = keys.into_iter().nth(self.index);
    }

    /// The last error.
    pub fn error(&self) -> Option<&Error> {
        self.view.error()
    }

    /// Whether there is something to show beside an error.
    pub fn has_data(&self) -> bool {
        self.view.value().is_some()
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
    pub fn run(&self) -> Option<i64> {
        match self.selected.as_ref()? {
            Key::Lease(run_id) => Some(*run_id),
            Key::Worker(id) => self.held_by(id).next().map(|lease| lease.run_id),
        }
    }

    /// Does a command on a body of `area`'s size.
    pub fn command(&mut self, command: Command, look: &Look, area: Rect) {
        let keys = self.keys();
        let last = keys.len().saturating_sub(1);
        let page = usize::from(area.height.saturating_sub(1).max(1));
        let troubled = |i: &usize| keys.get(*i).is_some_and(|key| self.is_trouble(key));
        let to = match command {
            Command::CursorUp => self.index.saturating_sub(1),
            Command::CursorDown => self.index + 1,
            Command::CursorPageUp => self.index.saturating_sub(page),
            Command::CursorPageDown => self.index + page,
            Command::CursorFirst => 0,
            Command::CursorLast => last,
            Command::MatchNext => (self.index + 1..keys.len()).find(troubled).unwrap_or(self.index),
            Command::MatchPrevious => (0..self.index).rev().find(troubled).unwrap_or(self.index),
            _ => return,
        };
        self.index = to.min(last);
        self.selected = keys.into_iter().nth(self.index);
        self.scroll(look, area);
    }

    /// A click on a line of the body selects it; on the selected one, it gives its run.
    pub fn click(&mut self, row: u16, look: &Look, area: Rect) -> Option<i64> {
        let lines = self.lines(look, usize::from(area.width));
        let key = lines.into_iter().nth(self.top + usize::from(row))?.key?;
        if self.selected.as_ref() == Some(&key) {
            return self.run();
        }
        self.index = self.keys().iter().position(|k| *k == key)?;
        self.selected = Some(key);
        None
    }

    fn is_trouble(&self, key: &Key) -> bool {
        match key {
            Key::Worker(id) => self.workers().any(|worker| worker.id == *id && worker.silent),
            Key::Lease(id) => {
                self.leases().iter().any(|lease| lease.run_id == *id && lease.overdue)
            }
        }
    }

    /// Keeps the selected line on a screen of `area`'s size.
    pub fn resized(&mut self, look: &Look, area: Rect) {
        self.scroll(look, area);
    }

    /// Keeps the selected line in sight; above the first one, the head is.
    fn scroll(&mut self, look: &Look, area: Rect) {
        let lines = self.lines(look, usize::from(area.width));
        let height = usize::from(area.height.max(1));
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
}
