//! The tab of runbooks: a wizard from the list of runbooks to a started run. What was chosen
//! and typed stays while one goes back and forth, until it is started or thrown away.

mod card;
mod command_line;
mod confirm;
mod confirm_view;
mod flow;
mod list_view;
mod listing;
mod plan;
mod plan_view;
mod scope;
mod scope_view;
mod settings;
mod steps;
mod view;

use chrono::{DateTime, Utc};
use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Position;

use self::card::Card;
use self::confirm::ConfirmStep;
use self::plan::{PlanStep, Trouble};
use self::scope::{Keys, Page, Scope, Way};
use crate::domain::capability::Capability;
use crate::domain::confirmation::ReasonRule;
use crate::ops::AnyOutput;
use crate::ops::plans::Preflight;
use crate::runbooks::Registry;
use crate::tui::command::{Command, Context};
use crate::tui::msg::{Answer, Slot};
use crate::tui::screen::{Cx, Go, Hint, NO_FIELD, Reply, Screen, UNTYPED};
use crate::tui::setup::Setup;
use crate::tui::tabs::HOME;
use crate::tui::widgets::form::Form;
use crate::tui::widgets::table::Table;

/// A step of the wizard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Which runbook.
    Runbook,
    /// What it is aimed at.
    Scope,
    /// What it would change.
    Preflight,
    /// How the targets are worked through.
    Rollout,
    /// Why.
    Reason,
    /// The phrase.
    Confirm,
}

impl Step {
    /// Every step, in order.
    pub const ALL: &'static [Self] =
        &[Self::Runbook, Self::Scope, Self::Preflight, Self::Rollout, Self::Reason, Self::Confirm];

    /// Its word on the line of steps.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Runbook => "runbook",
            Self::Scope => "scope",
            Self::Preflight => "preflight",
            Self::Rollout => "rollout",
            Self::Reason => "reason",
            Self::Confirm => "confirm",
        }
    }
}

/// What the question before the console is left says.
const LEAVE: &str = "What was entered for the runbook would be lost. y leaves the console, any \
                     other key stays.";
/// What the question before a draft is discarded says.
const DISCARD: &str = "What was selected and typed for this runbook would be lost. y discards it, \
                       any other key keeps it.";

fn say(cx: &Cx<'_>, text: impl Into<String>) -> Reply {
    Reply::default().say(text, cx)
}

/// What was chosen and typed for one runbook.
#[derive(Debug)]
struct Draft {
    card: Card,
    step: Step,
    scope: Scope,
    plan: PlanStep,
    rollout: Form,
    reason: Form,
    confirm: ConfirmStep,
}

impl Draft {
    fn of(card: Card) -> Self {
        Self {
            card,
            step: Step::Scope,
            scope: Scope::new(card),
            plan: PlanStep::default(),
            rollout: settings::rollout_form(),
            reason: settings::reason_form(),
            confirm: ConfirmStep::default(),
        }
    }

    fn has_work(&self) -> bool {
        self.scope.has_work()
            || self.plan.plan().is_some()
            || settings::is_touched(&self.rollout, &self.reason)
    }

    /// Whether a reason is required.
    fn reason_rule(&self, always: bool) -> ReasonRule {
        match self.needs_reason(always) {
            Some(_) => ReasonRule::Required,
            None => ReasonRule::Optional,
        }
    }

    /// Whether a reason is required, and why.
    fn needs_reason(&self, always: bool) -> Option<&'static str> {
        let several = self.plan.plan().is_some_and(|p| p.confirmation().reason.is_required());
        if always {
            return Some("break-glass is active: every start needs a reason");
        }
        several.then_some("a start on more than one tenant needs a reason")
    }

    fn request(&self, keys: &Keys) -> Result<Preflight, String> {
        let scope = self.scope.choice(keys)?;
        Ok(Preflight { inputs: self.scope.given(), ..Preflight::new(self.card.key, scope) })
    }
}

/// The state of the tab.
#[derive(Debug)]
pub struct Runbooks {
    registry: Registry,
    cards: Table<Card>,
    draft: Option<Draft>,
    /// The run that was started here last.
    last: Option<i64>,
}

impl Runbooks {
    /// A wizard over the runbooks of a service, at its first step.
    pub fn new(setup: &Setup) -> Self {
        let registry = setup.registry.clone();
        let mut cards = Table::default();
        cards.take(registry.iter().map(|runbook| Card::of(runbook.as_ref())).collect(), 1);
        Self { registry, cards, draft: None, last: None }
    }

    /// The step that is shown.
    pub fn step(&self) -> Step {
        self.draft.as_ref().map_or(Step::Runbook, |draft| draft.step)
    }

    /// Where keys are looked up, at `now`.
    fn context_at(&self, now: DateTime<Utc>) -> Context {
        let Some(draft) = &self.draft else {
            return Context::Runbooks;
        };
        match draft.step {
            Step::Runbook => Context::Runbooks,
            Step::Scope if draft.is_typing() => Context::Filter,
            Step::Scope if draft.scope.page == Page::Inputs && draft.scope.inputs.is_some() => {
                Context::Form
            }
            Step::Scope => Context::Scope,
            Step::Preflight if draft.is_typing() => Context::Filter,
            Step::Preflight => Context::Plan,
            Step::Rollout | Step::Reason => Context::Form,
            Step::Confirm if draft.is_refused(now) => Context::Refused,
            Step::Confirm => Context::Phrase,
        }
    }

    /// The commands that matter most in this step, for the footer, with their words.
    fn offers(&self, now: DateTime<Utc>) -> Vec<(Command, &'static str)> {
        let Some(draft) = &self.draft else {
            return vec![
                (Command::RowOpen, "select"),
                (Command::AppPalette, "command"),
                (Command::AppBack, "back"),
            ];
        };
        let back = (Command::AppBack, "back");
        match self.context_at(now) {
            Context::Filter => vec![
                (Command::FilterAccept, "done"),
                (Command::FilterClear, "clear"),
                (Command::AppBack, "as before"),
            ],
            Context::Scope if draft.card.is_platforms() => {
                vec![(Command::WizardNext, "preflight"), back]
            }
            Context::Scope => {
                let mut offers = vec![
                    (Command::WizardNext, "preflight"),
                    (Command::ScopeMark, "mark"),
                    (Command::ScopeNextWay, "ways"),
                ];
                if draft.scope.way != Way::All {
                    offers.push((Command::FilterEdit, "search"));
                    if !draft.scope.search().is_empty() {
                        offers.push((Command::FilterClear, "clear search"));
                    }
                    if draft.scope.has_work() {
                        offers.push((Command::ScopeUnmark, "unmark"));
                    }
                }
                offers.push(back);
                offers
            }
            Context::Plan if draft.plan.is_counting() => vec![(Command::PreflightCancel, "cancel")],
            Context::Plan => {
                let good = draft.plan.trouble(now, draft.card.items).is_none();
                let next = good.then_some((Command::WizardNext, "go on"));
                let renew = (Command::PreflightNew, "new preflight");
                let mut offers: Vec<_> = next.into_iter().collect();
                if draft.plan.plan().is_some() {
                    offers.extend([
                        (Command::FilterEdit, "search"),
                        (Command::PlanAffectedOnly, "affected"),
                        (Command::PlanExport, "export"),
                    ]);
                }
                offers.insert(usize::from(good), renew);
                offers.push(back);
                offers
            }
            Context::Form => vec![
                (Command::FormSubmit, "go on"),
                (Command::FieldNext, "next field"),
                back,
                (Command::FieldPrevious, "field before"),
            ],
            Context::Refused => vec![
                (Command::PreflightNew, "new preflight"),
                (Command::CommandCopy, "copy command"),
                back,
            ],
            Context::Phrase if draft.waits_for_worker() => {
                vec![(Command::WaitForWorker, "wait for one"), back]
            }
            Context::Phrase => vec![
                (Command::FormSubmit, "start"),
                (Command::FilterClear, "clear"),
                (Command::CommandCopy, "copy command"),
                back,
            ],
            _ => Vec::new(),
        }
    }
}

/// What keeps a person from the whole tab.
fn refusal(cx: &Cx<'_>) -> Option<Capability> {
    let needed = Capability::RunbooksView;
    (!cx.has(needed)).then_some(needed)
}

impl Screen for Runbooks {
    fn context(&self, cx: &Cx<'_>) -> Context {
        self.context_at(cx.look.now)
    }

    /// Asks for what the step shows.
    fn open(&mut self, _: &Cx<'_>) -> Reply {
        match &self.draft {
            Some(draft) if draft.step == Step::Scope => Reply::of(draft.scope.ask()),
            _ => Reply::default(),
        }
    }

    fn reads(&self, _: &Cx<'_>) -> Option<Slot> {
        let draft = self.draft.as_ref()?;
        let chooses = draft.scope.page == Page::Choose;
        match draft.step {
            Step::Scope => chooses.then_some(Slot::ScopeChoices),
            Step::Preflight if draft.plan.plan().is_some() => Some(Slot::PlanTargets),
            Step::Preflight => Some(Slot::Preflight),
            _ => None,
        }
    }

    fn answer(&mut self, answer: &AnyOutput, cx: &Cx<'_>) -> Option<Reply> {
        self.take(answer, cx)
    }

    fn outcome(&mut self, _: Slot, answer: &Answer, cx: &Cx<'_>) -> Reply {
        match (answer, &mut self.draft) {
            (Answer::Counted(counted), Some(draft)) => draft.plan.take_progress(*counted),
            (Answer::PlanExported(asked, written), _) => {
                return self.exported(asked, written, cx);
            }
            _ => {}
        }
        Reply::default()
    }

    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        let context = self.context(cx);
        let moves = matches!(command, Command::AppBack | Command::FilterEdit);
        let own = context == Context::Filter || (context != Context::Runbooks && moves);
        if !own && (moves || command.is_everywhere()) {
            return Reply::up(command);
        }
        if refusal(cx).is_some() {
            return if moves { Reply::default().go(Go::Tab(HOME)) } else { Reply::default() };
        }
        self.step_command(command, cx)
    }

    fn key(&mut self, event: &KeyEvent, cx: &Cx<'_>) -> Reply {
        // The field of the phrase is gone, but the hand may still be typing it.
        if self.context(cx) == Context::Refused {
            return Reply::default();
        }
        self.type_key(event)
    }

    fn paste(&mut self, text: &str, cx: &Cx<'_>) -> Reply {
        match self.context(cx) {
            Context::Phrase | Context::Refused => say(cx, UNTYPED),
            context if context.is_text() => self.paste_in_step(text, cx),
            _ => say(cx, NO_FIELD),
        }
    }

    fn click(&mut self, _: u16, row: u16, cx: &Cx<'_>) -> Reply {
        if refusal(cx).is_some() { Reply::default() } else { self.click_row(row, cx) }
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        self.draw(buffer, cx)
    }

    fn hints(&self, cx: &Cx<'_>) -> Vec<Hint> {
        if refusal(cx).is_some() {
            return Vec::new();
        }
        let offers = self.offers(cx.look.now).into_iter();
        offers.map(|(command, label)| Hint::Does(command, label)).collect()
    }

    fn unsaved(&self) -> Option<&'static str> {
        self.draft.as_ref().is_some_and(Draft::has_work).then_some(LEAVE)
    }

    /// Forgets the draft, and stops what it asked for.
    fn discard(&mut self, _: &Cx<'_>) -> Reply {
        let counting = self.draft.as_mut().filter(|draft| draft.plan.is_counting());
        let effects = counting.map_or_else(Vec::new, |draft| draft.plan.cancel());
        self.draft = None;
        Reply::of(effects)
    }
}

impl Draft {
    /// Whether the page of the confirmation can only be left.
    fn is_refused(&self, now: DateTime<Utc>) -> bool {
        let trouble = self.plan.trouble(now, self.card.items);
        let dead = matches!(trouble, Some(Trouble::Expired | Trouble::Dead(_)));
        !self.confirm.sending && (self.confirm.is_refused() || dead)
    }
}
