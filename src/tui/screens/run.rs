//! One run: what happened, why, what to do next; live while it runs.

mod pace;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use self::pace::Pace;
pub use self::pace::Told;
use super::super::app::Setup;
use super::super::command::Command;
use super::super::look::{Look, wrapped};
use super::super::msg::{Effect, Follows, Request, Slot, Sub};
use super::super::remote::Remote;
use super::super::theme::Role;
use super::document::{self, Action, DocumentLine, Section};
use crate::domain::run::{RunOutcome, RunStatus};
use crate::domain::run_filter::{Pattern, RunFilter, Term, TermKind, When};
use crate::ops::runs::{GetRun, RunDetail};
use crate::{Error, Result};

/// The state of the run screen.
#[derive(Debug, Default)]
pub struct RunScreen {
    id: Option<i64>,
    detail: Remote<RunDetail>,
    pace: Pace,
    open: BTreeSet<Section>,
    /// Index of the line under the cursor.
    cursor: usize,
    /// Index of the first line on the screen.
    top: usize,
}

/// What a command of this screen leads to.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// Nothing outside of the screen.
    Stay,
    /// The list of the runs that failed for the same reason.
    List(RunFilter),
    /// Ask for these.
    Ask(Vec<Effect>),
    /// Another run.
    Open(i64),
    /// The question before a retry.
    Retry,
}

impl RunScreen {
    /// It, with nothing on it yet.
    pub fn new(_: &Setup) -> Self {
        Self::default()
    }

    /// The run that is open.
    pub fn id(&self) -> Option<i64> {
        self.id
    }

    /// Opens a run; another one than before starts folded and at its top.
    pub fn open(&mut self, id: i64) -> Vec<Effect> {
        if self.id != Some(id) {
            *self = Self { id: Some(id), ..Self::default() };
        }
        vec![Effect::ask(Slot::Detail, GetRun { id })]
    }

    /// Asks again while the run is shown.
    pub fn subscriptions(&self, every: Duration) -> Vec<Sub> {
        let sub = |id| Sub {
            slot: Slot::Detail,
            request: Request::of(GetRun { id }),
            every,
            follows: match self.detail() {
                Some(detail) if detail.run.status != RunStatus::Completed => Follows::Progress,
                // A worker that could retry it goes silent without a change.
                Some(detail) if detail.run.outcome != RunOutcome::Succeeded => Follows::Time,
                _ => Follows::Changes,
            },
        };
        self.id.map(sub).into_iter().collect()
    }

    /// Asks now.
    pub fn refresh(&self) -> Vec<Effect> {
        let ask = |id| Effect::ask(Slot::Detail, GetRun { id });
        self.id.map(ask).into_iter().collect()
    }

    /// Takes an answer; one about another run is dropped.
    pub fn take(&mut self, id: i64, answer: Result<RunDetail>, now: DateTime<Utc>) {
        if self.id == Some(id) {
            if let Ok(detail) = &answer {
                self.pace.note(&detail.run);
            }
            self.detail.take(answer, now);
        }
    }

    /// The run was found to be unchanged.
    pub fn confirm(&mut self, now: DateTime<Utc>) {
        self.detail.confirm(now);
    }

    /// The last error.
    pub fn error(&self) -> Option<&Error> {
        self.detail.error()
    }

    /// What is shown.
    pub fn detail(&self) -> Option<&RunDetail> {
        self.detail.value()
    }

    fn lines(&self, look: &Look, width: u16) -> Vec<DocumentLine> {
        self.detail.value().map_or_else(Vec::new, |detail| {
            let told = self.pace.tell(&detail.run);
            document::lines(detail, told, &self.open, look, usize::from(width.saturating_sub(3)))
        })
    }

    /// Does a command on a body of `area`'s size.
    pub fn command(&mut self, command: Command, look: &Look, area: Rect) -> Outcome {
        let lines = self.lines(look, area.width);
        let height = usize::from(area.height);
        let last = lines.len().saturating_sub(1);
        let page = height.saturating_sub(1).max(1);
        match command {
            Command::CursorUp => self.go(self.cursor.saturating_sub(1), last, height),
            Command::CursorDown => self.go(self.cursor + 1, last, height),
            Command::CursorPageUp => self.go(self.cursor.saturating_sub(page), last, height),
            Command::CursorPageDown => self.go(self.cursor + page, last, height),
            Command::CursorFirst => self.go(0, last, height),
            Command::CursorLast => self.go(last, last, height),
            Command::MatchNext => self.jump(&lines, true, height),
            Command::MatchPrevious => self.jump(&lines, false, height),
            Command::RowOpen | Command::FoldToggle => {
                match lines.get(self.cursor).map(|line| line.action) {
                    Some(Action::Fold(section)) => self.toggle(section),
                    Some(Action::SameFailures) if command == Command::RowOpen => {
                        return self.same_failures();
                    }
                    Some(Action::Open(id)) if command == Command::RowOpen => {
                        return Outcome::Open(id);
                    }
                    Some(Action::Retry) if command == Command::RowOpen => return Outcome::Retry,
                    // On text, the nearest section below is meant.
                    _ => self.jump(&lines, true, height),
                }
            }
            Command::FoldAll => {
                if self.open.len() == Section::ALL.len() {
                    self.open.clear();
                } else {
                    self.open = Section::ALL.iter().copied().collect();
                }
                let last = self.lines(look, area.width).len().saturating_sub(1);
                self.go(self.cursor, last, height);
            }
            Command::DetailSameFailures => return self.same_failures(),
            Command::PollNow => {
                return Outcome::Ask(self.refresh());
            }
            _ => {}
        }
        Outcome::Stay
    }

    fn toggle(&mut self, section: Section) {
        if !self.open.remove(&section) {
            self.open.insert(section);
        }
    }

    fn go(&mut self, to: usize, last: usize, height: usize) {
        self.cursor = to.min(last);
        if self.cursor < self.top {
            self.top = self.cursor;
        } else if height > 0 && self.cursor >= self.top + height {
            self.top = self.cursor + 1 - height;
        }
    }

    /// Keeps the line under the cursor on a screen of `height` lines.
    pub fn resized(&mut self, height: u16) {
        let height = usize::from(height).max(1);
        if self.cursor >= self.top && self.cursor - self.top >= height {
            self.top = self.cursor + 1 - height;
        }
    }

    /// Goes to the next line on which enter does something.
    fn jump(&mut self, lines: &[DocumentLine], forward: bool, height: usize) {
        let acts = |i: &usize| lines.get(*i).is_some_and(|line| line.action != Action::None);
        let found = if forward {
            (self.cursor + 1..lines.len()).find(acts)
        } else {
            (0..self.cursor).rev().find(acts)
        };
        if let Some(index) = found {
            self.go(index, lines.len().saturating_sub(1), height);
        }
    }

    /// The runs of the last day that failed for this run's main reason.
    fn same_failures(&self) -> Outcome {
        let reason = self.detail.value().and_then(|detail| detail.run.reason_code.clone());
        let Some(text) = reason else {
            return Outcome::Stay;
        };
        let term = |kind| Term { negated: false, kind };
        Outcome::List(RunFilter {
            terms: vec![
                term(TermKind::Reason(vec![Pattern { text, prefix: false }])),
                term(TermKind::Since(When::Ago(chrono::Duration::hours(24)))),
            ],
        })
    }

    /// Draws the run.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, look: &Look, greyed: bool) {
        if self.detail.value().is_none() {
            let (role, text) = match (self.id, self.detail.error()) {
                (None, _) => (
                    Role::Muted,
                    "No run is open. Select one in Operations and press enter.".to_owned(),
                ),
                (Some(_), Some(error)) => (Role::Failed, error.to_string()),
                (Some(id), None) => (Role::Muted, format!("reading run {id} ...")),
            };
            let width = usize::from(area.width.saturating_sub(4));
            for (y, text) in (area.y + 1..area.bottom()).zip(wrapped(&text, width)) {
                Line::from(look.span(role, format!("  {text}")))
                    .render(Rect { y, height: 1, ..area }, buffer);
            }
            return;
        }
        let lines = self.lines(look, area.width);
        for (i, line) in lines.iter().enumerate().skip(self.top).take(usize::from(area.height)) {
            let y = area.y + u16::try_from(i - self.top).unwrap_or(0);
            let marker = if i == self.cursor { look.glyph("▸ ", "> ") } else { "  " };
            let mut spans = vec![look.span(Role::Selected, marker)];
            if i != self.cursor {
                spans = vec![Span::raw(marker)];
            }
            let grey = look.style(Role::Muted);
            let style = |style: Style| if greyed { grey } else { style };
            spans.extend(
                line.spans.iter().map(|span| Span::styled(span.content.clone(), style(span.style))),
            );
            Line::from(spans).render(Rect { y, height: 1, ..area }, buffer);
        }
        let below = lines.len().saturating_sub(self.top + usize::from(area.height));
        if below > 0 && area.height > 0 {
            let text = format!("{} {below} more", look.glyph("↓", "v"));
            let width = u16::try_from(text.chars().count()).unwrap_or(0).min(area.width);
            let at = Rect { x: area.right() - width, y: area.bottom() - 1, width, height: 1 };
            Line::from(look.span(Role::Hint, text)).render(at, buffer);
        }
    }
}
