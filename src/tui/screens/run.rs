//! One run: what happened, why, what to do next; live while it runs.

mod pace;

use std::collections::BTreeSet;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use self::pace::Pace;
pub use self::pace::Told;
use super::document::{self, Action, DocumentLine, Section};
use crate::domain::run::{RunOutcome, RunStatus};
use crate::domain::run_filter::{Pattern, RunFilter, Term, TermKind, When};
use crate::ops::AnyOutput;
use crate::ops::runs::{GetRun, RunDetail};
use crate::tui::app::Setup;
use crate::tui::command::{Command, Context};
use crate::tui::look::{Look, wrapped};
use crate::tui::msg::{Answer, Follows, Request, Slot, Sub};
use crate::tui::remote::Remote;
use crate::tui::screen::{Cx, Go, Hint, Reply, Screen, State, Subject, Target, Way};
use crate::tui::tabs::Tab;
use crate::tui::theme::Role;

/// The state of the run screen.
#[derive(Debug, Default)]
pub struct RunScreen {
    id: Option<i64>,
    /// The tab that it was chosen from.
    from: Tab,
    detail: Remote<RunDetail>,
    pace: Pace,
    open: BTreeSet<Section>,
    /// Index of the line under the cursor.
    cursor: usize,
    /// Index of the first line on the screen.
    top: usize,
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
    fn same_failures(&self) -> Reply {
        let reason = self.detail.value().and_then(|detail| detail.run.reason_code.clone());
        let Some(text) = reason else {
            return Reply::default();
        };
        let term = |kind| Term { negated: false, kind };
        Reply::show(Target::Runs(RunFilter {
            terms: vec![
                term(TermKind::Reason(vec![Pattern { text, prefix: false }])),
                term(TermKind::Since(When::Ago(chrono::Duration::hours(24)))),
            ],
        }))
    }

    fn draw(&self, area: Rect, buffer: &mut Buffer, look: &Look, greyed: bool) {
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

impl Screen for RunScreen {
    fn context(&self, _: &Cx<'_>) -> Context {
        Context::Run
    }

    fn subscriptions(&self, cx: &Cx<'_>) -> Vec<Sub> {
        let sub = |id| Sub {
            slot: Slot::Detail,
            request: Request::of(GetRun { id }),
            every: cx.every,
            follows: match self.detail() {
                Some(detail) if detail.run.status != RunStatus::Completed => Follows::Progress,
                // A worker that could retry it goes silent without a change.
                Some(detail) if detail.run.outcome != RunOutcome::Succeeded => Follows::Time,
                _ => Follows::Changes,
            },
        };
        self.id.map(sub).into_iter().collect()
    }

    fn place(&self) -> Option<(Target, Tab)> {
        Some((Target::Run(self.id?), self.from))
    }

    /// Another run than before starts folded and at its top.
    fn show(&mut self, target: &Target, way: Way, cx: &Cx<'_>) -> Option<Reply> {
        let Target::Run(id) = *target else { return None };
        // A run that another one led to has the same place to go back to.
        let (from, _) = way.before(self.from, cx);
        if self.id == Some(id) {
            self.from = from;
        } else {
            *self = Self { id: Some(id), from, ..Self::default() };
        }
        Some(Reply::ask(Slot::Detail, GetRun { id }))
    }

    /// An answer about another run is dropped.
    fn answer(&mut self, answer: &AnyOutput, cx: &Cx<'_>) -> Option<Reply> {
        let AnyOutput::GetRun(asked, answer) = answer else { return None };
        if self.id == Some(asked.id) {
            if let Ok(detail) = answer {
                self.pace.note(&detail.run);
            }
            self.detail.take(answer.clone(), cx.look.now);
        }
        Some(Reply::default())
    }

    fn outcome(&mut self, slot: Slot, answer: &Answer, cx: &Cx<'_>) -> Reply {
        if let (Slot::Detail, Answer::Unchanged) = (slot, answer) {
            self.detail.confirm(cx.look.now);
        }
        Reply::default()
    }

    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        let (look, area) = (cx.look, cx.area);
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
                        return Reply::show(Target::Run(id));
                    }
                    Some(Action::Retry) if command == Command::RowOpen => {
                        return Reply::up(Command::RunRetry);
                    }
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
                return self.refresh(cx);
            }
            Command::AppBack => return Reply::default().go(Go::Tab(self.from)),
            _ => return Reply::up(command),
        }
        Reply::default()
    }

    /// Keeps the line under the cursor on the screen.
    fn settle(&mut self, cx: &Cx<'_>) {
        let height = usize::from(cx.area.height).max(1);
        if self.cursor >= self.top && self.cursor - self.top >= height {
            self.top = self.cursor + 1 - height;
        }
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        self.draw(cx.area, buffer, cx.look, cx.lost);
        None
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        let mut hints = vec![Hint::Runs];
        hints.extend(Hint::of(&[
            Command::SupportRequest,
            Command::SupportDiagnostics,
            Command::AppBack,
            Command::FoldToggle,
            Command::DetailSameFailures,
            Command::CopyId,
            Command::AppPalette,
        ]));
        hints
    }

    fn caption(&self) -> Option<String> {
        self.id.map(|id| id.to_string())
    }

    fn state(&self, _: &Cx<'_>) -> Option<State<'_>> {
        let (error, has_data) = (self.detail.error(), self.detail().is_some());
        Some(State { error, has_data })
    }

    fn subject(&self, _: &Cx<'_>) -> Subject<'_> {
        let nothing =
            Subject::Nothing("no run is selected", "no run is open, or it is still being read");
        self.detail().map_or(nothing, Subject::Detail)
    }

    fn copies(&self, _: &Cx<'_>) -> Option<String> {
        self.caption()
    }
}
