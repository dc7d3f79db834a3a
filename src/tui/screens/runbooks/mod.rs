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

use self::card::Card;
use self::confirm::ConfirmStep;
use self::plan::{PlanStep, Trouble};
use self::scope::{Page, Scope, Way};
use crate::domain::capability::Capability;
use crate::domain::confirmation::ReasonRule;
use crate::ops::plans::Preflight;
use crate::tui::command::{Command, Context};
use crate::tui::screen::Hint::{self, Does};
use crate::tui::screen::{Cx, Reply};
use crate::tui::setup::Setup;
use crate::tui::slot::Slot;
use crate::tui::widgets::form::Form;
use crate::tui::widgets::reason::fields;
use crate::tui::widgets::table::Table;

impl Slot {
    pub const SCOPE_CHOICES: Self = Self::new("scope choices", "the tenants").once();
    pub const PREFLIGHT: Self = Self::new("preflight", "the preflight").work();
    pub const PLAN_TARGETS: Self = Self::new("plan targets", "the targets").once();
    pub const START_RUNBOOK: Self = Self::new("start runbook", "the change");
    pub const EXPORT: Self = Self::new("export", "the export");
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Runbook,
    Scope,
    Preflight,
    Rollout,
    Reason,
    Confirm,
}

const DISCARD: &str = "What was selected and typed for this runbook would be lost. y discards it, \
                       any other key keeps it.";

fn say(cx: &Cx<'_>, text: impl Into<String>) -> Reply {
    Reply::default().say(text, cx)
}

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
            step: Step::Scope,
            scope: Scope::new(card.clone()),
            card,
            plan: PlanStep::default(),
            rollout: settings::rollout_form(),
            reason: Form::new(fields()),
            confirm: ConfirmStep::default(),
        }
    }

    fn has_work(&self) -> bool {
        self.scope.has_work()
            || self.plan.plan().is_some()
            || settings::is_touched(&self.rollout, &self.reason)
    }

    fn reason_rule(&self, always: bool) -> ReasonRule {
        if self.needs_reason(always).is_some() {
            ReasonRule::Required
        } else {
            ReasonRule::Optional
        }
    }

    fn needs_reason(&self, always: bool) -> Option<&'static str> {
        let several = self.plan.plan().is_some_and(|p| p.confirmation().reason.is_required());
        if always {
            return Some("break-glass is active: every start needs a reason");
        }
        several.then_some("a start on more than one tenant needs a reason")
    }

    fn is_refused(&self, now: DateTime<Utc>) -> bool {
        let trouble = self.plan.trouble(now, self.card.items());
        let dead = matches!(trouble, Some(Trouble::Expired | Trouble::Dead(_)));
        !self.confirm.sending && (self.confirm.is_refused() || dead)
    }

    fn form(&mut self) -> Option<&mut Form> {
        match self.step {
            Step::Scope => self.scope.inputs.as_mut(),
            Step::Rollout => Some(&mut self.rollout),
            Step::Reason => Some(&mut self.reason),
            Step::Runbook | Step::Preflight | Step::Confirm => None,
        }
    }

    fn request(&self, cx: &Cx<'_>) -> Result<Preflight, String> {
        let scope = self.scope.choice(cx)?;
        Ok(Preflight { inputs: self.scope.given(), ..Preflight::new(self.card.key(), scope) })
    }
}

#[derive(Debug)]
pub struct Runbooks {
    cards: Table<Card>,
    draft: Option<Draft>,
    last: Option<i64>,
}

impl Runbooks {
    pub fn new(setup: &Setup) -> Self {
        let mut cards = Table::default();
        cards.take(setup.registry.iter().cloned().map(Card).collect(), 1);
        Self { cards, draft: None, last: None }
    }

    pub fn step(&self) -> Step {
        self.draft.as_ref().map_or(Step::Runbook, |draft| draft.step)
    }

    fn context_at(&self, now: DateTime<Utc>) -> Context {
        let Some(draft) = &self.draft else { return Context::Runbooks };
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

    /// The commands that matter most in this step, with their words.
    fn offers(&self, now: DateTime<Utc>) -> Vec<Hint> {
        let back = Does(Command::AppBack, "back");
        let Some(draft) = &self.draft else {
            return vec![
                Does(Command::RowOpen, "select"),
                Does(Command::AppPalette, "command"),
                back,
            ];
        };
        match self.context_at(now) {
            Context::Filter => vec![
                Does(Command::FilterAccept, "done"),
                Does(Command::FilterClear, "clear"),
                Does(Command::AppBack, "as before"),
            ],
            Context::Scope if draft.card.is_platforms() => {
                vec![Does(Command::WizardNext, "preflight"), back]
            }
            Context::Scope => {
                let mut offers = vec![
                    Does(Command::WizardNext, "preflight"),
                    Does(Command::ScopeMark, "mark"),
                    Does(Command::ScopeNextWay, "ways"),
                ];
                if draft.scope.way != Way::All {
                    offers.push(Does(Command::FilterEdit, "search"));
                    if !draft.scope.search().is_empty() {
                        offers.push(Does(Command::FilterClear, "clear search"));
                    }
                    if draft.scope.has_work() {
                        offers.push(Does(Command::ScopeUnmark, "unmark"));
                    }
                }
                offers.push(back);
                offers
            }
            Context::Plan if draft.plan.is_counting() => {
                vec![Does(Command::PreflightCancel, "cancel")]
            }
            Context::Plan => {
                let mut offers = vec![Does(Command::PreflightNew, "new preflight")];
                if draft.plan.trouble(now, draft.card.items()).is_none() {
                    offers.insert(0, Does(Command::WizardNext, "go on"));
                }
                if draft.plan.plan().is_some() {
                    offers.extend([
                        Does(Command::FilterEdit, "search"),
                        Does(Command::PlanAffectedOnly, "affected"),
                        Does(Command::PlanExport, "export"),
                    ]);
                }
                offers.push(back);
                offers
            }
            Context::Form => vec![
                Does(Command::FormSubmit, "go on"),
                Does(Command::FieldNext, "next field"),
                back,
                Does(Command::FieldPrevious, "field before"),
            ],
            Context::Refused => vec![
                Does(Command::PreflightNew, "new preflight"),
                Does(Command::CommandCopy, "copy command"),
                back,
            ],
            Context::Phrase if draft.waits_for_worker() => {
                vec![Does(Command::WaitForWorker, "wait for one"), back]
            }
            Context::Phrase => vec![
                Does(Command::FormSubmit, "start"),
                Does(Command::FilterClear, "clear"),
                Does(Command::CommandCopy, "copy command"),
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
