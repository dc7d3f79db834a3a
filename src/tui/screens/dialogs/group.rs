//! Retrying the runs of an error: the question before it, and what came of it.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Text};
use ratatui::widgets::Widget;

use crate::domain::confirmation::Confirmation;
use crate::domain::failure::{ReasonCode, RetryHelp};
use crate::domain::run::Source;
use crate::domain::run_filter::{RunFilter, Term, TermKind};
use crate::domain::window::Window;
use crate::ops::Consent;
use crate::ops::overview::{
    FingerprintGroup, GroupRetried, GroupRetryPlan, PlanGroupRetry, RetryGroup,
};
use crate::tui::command::{Command, Context};
use crate::tui::look::{Look, grouped};
use crate::tui::screen::{Cx, Go, Hint, Reply, Screen, Target};
use crate::tui::theme::Role;
use crate::tui::widgets::cursor::Cursor;
use crate::tui::widgets::dialog;

/// How many of the new runs a list can be told.
const LISTED: usize = 20;

/// The question before the runs of an error are retried.
#[derive(Debug)]
pub struct GroupQuestion {
    group: Box<FingerprintGroup>,
    window: Option<Window>,
    /// What it would do, once that is known.
    pub(super) plan: Option<GroupRetryPlan>,
    /// Whether it was chosen that new runs may wait for a worker.
    wait_for_worker: bool,
}

fn count(n: usize, noun: &str) -> String {
    let end = if n == 1 { "" } else { "s" };
    format!("{} {noun}{end}", grouped(i64::try_from(n).unwrap_or(i64::MAX)))
}

impl GroupQuestion {
    pub fn of(group: &FingerprintGroup, window: Option<Window>) -> Self {
        Self { group: Box::new(group.clone()), window, plan: None, wait_for_worker: false }
    }

    pub(super) fn is_about(&self, fingerprint: &str) -> bool {
        self.group.fingerprint == fingerprint
    }

    /// Whether more runs can be retried if they may wait for a worker.
    pub(super) fn offers_waiting(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.waiting > 0)
    }

    /// The new runs may wait for a worker; the plan has to be made again.
    pub(super) fn wait_for_worker(&mut self) {
        self.wait_for_worker = true;
        self.plan = None;
    }

    pub(super) fn ask(&self) -> PlanGroupRetry {
        let Self { wait_for_worker, window, .. } = *self;
        let fingerprint = self.group.fingerprint.clone();
        PlanGroupRetry { fingerprint, window, wait_for_worker }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.runs.is_empty())
    }

    /// What confirms it; nothing before it is known what it would do, or where it would do
    /// nothing.
    pub(super) fn confirmation(&self) -> Option<Confirmation> {
        let plan = self.plan.as_ref().filter(|plan| !plan.runs.is_empty())?;
        Some(plan.confirmation.clone())
    }

    pub(super) fn operation(&self, consent: Consent) -> Option<RetryGroup> {
        let plan = self.plan.as_ref()?;
        Some(RetryGroup {
            fingerprint: self.group.fingerprint.clone(),
            run_ids: plan.runs.iter().map(|run| run.run_id).collect(),
            consent,
            source: Source::Console,
            wait_for_worker: self.wait_for_worker,
        })
    }

    pub(super) fn title(&self) -> String {
        match &self.plan {
            Some(plan) if plan.runs.is_empty() => " Nothing to retry ".to_owned(),
            Some(plan) => format!(" Retry {}? ", count(plan.runs.len(), "run")),
            None => " Retry the runs of this error? ".to_owned(),
        }
    }

    /// What it is about, in at most `room` lines where that can be.
    pub(super) fn lines(
        &self,
        columns: usize,
        room: usize,
        roomy: bool,
        look: &Look,
    ) -> Vec<Line<'static>> {
        let says = format!("{}: {}", self.group.label, self.group.pattern);
        let says = look.span(Role::Text, look.cut(&says, columns).to_string());
        let mut lines = vec![Line::from(says)];
        if roomy {
            lines.push(Line::default());
        }
        let Some(plan) = &self.plan else {
            lines.push(look.span(Role::Muted, "looking which runs can be retried ...").into());
            return lines;
        };
        let mut put = |role, text: &str| lines.extend(look.lines(role, text, columns));
        if plan.runs.is_empty() {
            put(Role::Text, "No run of this error can be retried now.");
        } else {
            let (runs, targets) =
                (count(plan.runs.len(), "new run"), count(plan.targets, "target"));
            let what = "what failed there, for any reason, or never ran.";
            put(Role::Text, &format!("{targets} in {runs}: {what}"));
            let retry = ReasonCode::of(&self.group.reason_code).retry();
            if retry != RetryHelp::Helps {
                put(Role::Warning, &format!("Note: {}.", retry.sentence()));
            }
        }
        if plan.left > 0 {
            let more = count(plan.left, "more run");
            put(Role::Text, &format!("{more} could be retried after these."));
        }
        let skipped = |text: String| look.lines(Role::Muted, &text, columns);
        let mut left_out: Vec<Line<'static>> = plan.left_out().flat_map(skipped).collect();
        if lines.len() + left_out.len() > room {
            let (runs, reasons) = (plan.skipped.len(), plan.reasons().len());
            let (runs, reasons) = (count(runs, "run"), count(reasons, "reason"));
            left_out = skipped(format!("left out: {runs}, for {reasons}"));
        }
        lines.extend(left_out);
        lines
    }
}

/// What came of it: how many runs were started, which were not and why.
#[derive(Debug)]
pub struct GroupReport {
    done: GroupRetried,
    shown: Cursor,
}

impl GroupReport {
    pub fn of(done: GroupRetried) -> Self {
        Self { done, shown: Cursor::default() }
    }

    /// The new runs, as far as a list can be told; none where there is none.
    fn filter(&self) -> Option<RunFilter> {
        let newest = self.done.started.len().saturating_sub(LISTED);
        let ids: Vec<i64> = self.done.started.iter().skip(newest).map(|(_, new)| *new).collect();
        let term = Term { negated: false, kind: TermKind::Id(ids) };
        (!self.done.started.is_empty()).then(|| RunFilter { terms: vec![term] })
    }

    fn lines(&self, columns: usize, look: &Look) -> Vec<Line<'static>> {
        let mut lines = Vec::new();
        let mut put = |role, text: &str| {
            lines.extend(look.lines(role, look.cut(text, 2_000).as_ref(), columns));
        };
        match self.done.started.as_slice() {
            [] => put(Role::Failed, "No run was started."),
            [(old, new)] => put(Role::Success, &format!("Run {old} is retried as run {new}.")),
            several => {
                put(Role::Success, &format!("{} were started.", count(several.len(), "run")));
                let pairs: Vec<String> =
                    several.iter().map(|(old, new)| format!("{old} as {new}")).collect();
                put(Role::Text, &pairs.join(", "));
            }
        }
        if !self.done.refused.is_empty() {
            put(Role::Warning, &format!("{} not retried:", count(self.done.refused.len(), "run")));
            for one in &self.done.refused {
                put(Role::Text, &format!("run {}: {}", one.run_id, one.why));
            }
        }
        for run in &self.done.unknown {
            put(Role::Warning, &format!("Run {run}: its retry may or may not have been started."));
        }
        match self.done.started.len() {
            0 => {}
            1..=LISTED => put(Role::Hint, "enter lists what was started."),
            _ => put(Role::Hint, &format!("enter lists the newest {LISTED} of what was started.")),
        }
        lines
    }
}

impl Screen for GroupReport {
    fn context(&self, _: &Cx<'_>) -> Context {
        Context::Report
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        vec![Hint::Does(Command::RowOpen, "list runs"), Hint::Does(Command::AppBack, "close")]
    }

    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        let lines = self.lines(dialog::columns(cx.area), cx.look).len();
        let height = usize::from(cx.area.height.saturating_sub(2));
        if command == Command::RowOpen {
            let show = |filter| Reply::close().go(Go::Show(Target::Runs(filter)));
            return self.filter().map_or_else(Reply::close, show);
        }
        self.shown.scroll(command, lines, height);
        Reply::default()
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        let Cx { look, area: body, .. } = *cx;
        let lines = self.lines(dialog::columns(body), look);
        let total = lines.len();
        let room = dialog::draw(body, total, " Retried ", buffer, look);
        let shown: Vec<Line<'_>> = lines.into_iter().skip(self.shown.at).collect();
        Text::from(shown).render(room, buffer);
        let below = total.saturating_sub(self.shown.at + usize::from(room.height));
        if below > 0 {
            let text = format!(" {} {below} more ", look.glyph("↓", "v"));
            let at = Rect { y: room.bottom(), height: 1, ..room };
            Line::from(look.span(Role::Hint, text)).right_aligned().render(at, buffer);
        }
        None
    }
}
