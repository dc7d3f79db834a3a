//! One run: what happened, why, what to do next; live while it runs.

mod document;
mod pace;

use self::pace::Pace;
pub use self::pace::Told;
use crate::domain::run::{RunOutcome, RunStatus};
use crate::domain::run_filter::{Pattern, RunFilter, Term, TermKind, When};
use crate::ops::AnyOutput;
use crate::ops::runs::{GetRun, RunDetail};
use crate::tui::command::{Command, Context};
use crate::tui::msg::{Answer, Follows, Request, Sub};
use crate::tui::remote::Remote;
use crate::tui::screen::{Cx, Go, Hint, Reply, State, Subject, Target, Way};
use crate::tui::setup::Setup;
use crate::tui::slot::Slot;
use crate::tui::tabs::Tab;
use crate::tui::widgets::document::Document;
use crate::tui::widgets::page::Page;
use crate::tui::widgets::paper::Paper;

pub type RunScreen = Page<RunDocument>;

impl Slot {
    pub const DETAIL: Self = Self::new("detail", "the run").hinted().brief();
}

#[derive(Debug, Default)]
pub struct RunDocument {
    id: Option<i64>,
    from: Tab,
    detail: Remote<RunDetail>,
    pace: Pace,
}

impl RunScreen {
    pub fn new(_: &Setup) -> Self {
        Self::of(RunDocument::default())
    }

    pub fn id(&self) -> Option<i64> {
        self.of.id
    }
}

impl RunDocument {
    fn same_failures(&self) -> Reply {
        let reason = self.detail.value().and_then(|detail| detail.run.reason_code.clone());
        let Some(text) = reason else { return Reply::default() };
        let term = |kind| Term { negated: false, kind };
        Reply::show(Target::Runs(RunFilter {
            terms: vec![
                term(TermKind::Reason(vec![Pattern { text, prefix: false }])),
                term(TermKind::Since(When::Ago(chrono::Duration::hours(24)))),
            ],
        }))
    }
}

impl Document for RunDocument {
    const CONTEXT: Context = Context::Run;

    fn subscriptions(&self, cx: &Cx<'_>) -> Vec<Sub> {
        let sub = |id| Sub {
            slot: Slot::DETAIL,
            request: Request::of(GetRun { id }),
            every: cx.every,
            follows: match self.detail.value() {
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

    fn show(&mut self, target: &Target, way: Way, cx: &Cx<'_>) -> Option<Reply> {
        let Target::Run(id) = *target else { return None };
        // A run that another one led to has the same place to go back to.
        let (from, _) = way.before(self.from, cx);
        if self.id == Some(id) {
            self.from = from;
        } else {
            *self = Self { id: Some(id), from, ..Self::default() };
        }
        Some(Reply::ask(Slot::DETAIL, GetRun { id }))
    }

    /// An answer about another run is dropped.
    fn answer(&mut self, answer: &AnyOutput, cx: &Cx<'_>) -> bool {
        let AnyOutput::GetRun(asked, answer) = answer else { return false };
        if self.id == Some(asked.id) {
            if let Ok(detail) = answer {
                self.pace.note(&detail.run);
            }
            self.detail.take(answer.clone(), cx.look.now);
        }
        true
    }

    fn outcome(&mut self, slot: Slot, answer: &Answer, cx: &Cx<'_>) {
        if let (Slot::DETAIL, Answer::Unchanged) = (slot, answer) {
            self.detail.confirm(cx.look.now);
        }
    }

    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Option<Reply> {
        Some(match command {
            Command::DetailSameFailures => self.same_failures(),
            Command::PollNow => self.refresh(cx),
            Command::AppBack => Reply::default().go(Go::Tab(self.from)),
            _ => return None,
        })
    }

    fn write(&self, paper: &mut Paper<'_>, _: &Cx<'_>) -> Option<()> {
        let detail = self.detail.value()?;
        document::write(paper, detail, self.pace.tell(&detail.run));
        Some(())
    }

    fn reading(&self) -> String {
        let none = || "No run is open. Select one in Operations and press enter.".to_owned();
        self.id.map_or_else(none, |id| format!("reading run {id} ..."))
    }

    fn hints(&self) -> Vec<Hint> {
        vec![
            Hint::Runs,
            Hint::own(Command::SupportRequest),
            Hint::own(Command::SupportDiagnostics),
            Hint::own(Command::AppBack),
            Hint::own(Command::FoldToggle),
            Hint::own(Command::DetailSameFailures),
            Hint::own(Command::CopyId),
            Hint::Does(Command::FilterEdit, "search"),
            Hint::own(Command::AppPalette),
        ]
    }

    fn caption(&self) -> Option<String> {
        self.copies()
    }

    fn state(&self) -> State<'_> {
        self.detail.state()
    }

    fn subject(&self) -> Subject<'_> {
        let nothing =
            Subject::Nothing("no run is selected", "no run is open, or it is still being read");
        self.detail.value().map_or(nothing, Subject::Detail)
    }

    fn copies(&self) -> Option<String> {
        self.id.map(|id| id.to_string())
    }
}
