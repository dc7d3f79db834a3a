//! The third step: the preflight while it counts, and the plan that it made.

use chrono::{DateTime, Utc};

use super::listing::{Listing, Part};
use crate::domain::count::noun;
use crate::domain::type_support::Support;
use crate::ops::plans::{Counted, ListPlanTargets, Plan, PlanTarget, PlanTargets, Preflight};
use crate::tui::command::Command;
use crate::tui::look::grouped;
use crate::tui::msg::Effect;
use crate::tui::slot::Slot;
use crate::tui::widgets::search::Search;
use crate::tui::widgets::table::Row;
use crate::{Error, Result};

impl Row for PlanTarget {
    type Key = i64;

    fn key(&self) -> i64 {
        self.tenant_id.unwrap_or(0)
    }
}

#[derive(Debug, Clone, Default)]
pub(super) enum Counting {
    #[default]
    No,
    Now(Counted),
    Cancelled,
    Failed(Error),
}

#[derive(Debug, Default)]
pub(super) struct PlanStep {
    pub(super) asked: Option<Preflight>,
    pub(super) counting: Counting,
    plan: Option<Plan>,
    pub(super) targets: Listing<PlanTarget>,
    pub(super) affected_only: bool,
    pub(super) note: Option<String>,
    /// Why no start of it will be taken any more.
    pub(super) dead: Option<String>,
    pub(super) exporting: bool,
    pub(super) exported: Option<String>,
}

impl PlanStep {
    pub(super) fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    /// Why a start of the plan waits for a worker; none where it does not.
    pub(super) fn obstacle(&self) -> Option<String> {
        let plan = self.plan.as_ref()?;
        plan.support.obstacle(&plan.runbook)
    }

    pub(super) fn lose_workers(&mut self) {
        if let Some(plan) = &mut self.plan {
            plan.support = Support::NoWorker;
        }
    }

    pub(super) fn is_counting(&self) -> bool {
        matches!(self.counting, Counting::Now(_))
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self.counting, Counting::Failed(_))
    }

    /// Whether what was counted, or is being counted, is this.
    pub(super) fn is_for(&self, request: &Preflight) -> bool {
        let some = self.plan.is_some() || self.is_counting();
        some && self.asked.as_ref() == Some(request)
    }

    pub(super) fn count(&mut self, request: Preflight) -> Vec<Effect> {
        let changed = self.asked.as_ref().is_some_and(|asked| *asked != request);
        let note = self.plan.as_ref().filter(|_| changed).map(|plan| {
            format!("plan {} was discarded: the scope or the inputs were changed", plan.id)
        });
        *self = Self {
            asked: Some(request.clone()),
            counting: Counting::Now(Counted::default()),
            note,
            affected_only: self.affected_only,
            ..Self::default()
        };
        vec![Effect::ask(Slot::PREFLIGHT, request)]
    }

    pub(super) fn cancel(&mut self) -> Vec<Effect> {
        self.counting = Counting::Cancelled;
        vec![Effect::Stop(Slot::PREFLIGHT)]
    }

    pub(super) fn take_progress(&mut self, counted: Counted) {
        if let Counting::Now(before) = &mut self.counting {
            *before = counted;
        }
    }

    pub(super) fn take(&mut self, asked: &Preflight, answer: Result<Plan>) -> Vec<Effect> {
        // One that failed for the database is asked again.
        let awaited = self.is_counting() || self.has_failed();
        if self.asked.as_ref() != Some(asked) || !awaited {
            return Vec::new();
        }
        match answer {
            Ok(plan) => {
                self.plan = Some(plan);
                self.counting = Counting::No;
            }
            Err(error) => self.counting = Counting::Failed(error),
        }
        self.ask(self.targets.part())
    }

    fn ask(&self, (offset, limit): Part) -> Vec<Effect> {
        let Some(plan) = &self.plan else { return Vec::new() };
        let request = ListPlanTargets {
            plan_id: plan.id,
            search: self.targets.search.text().to_owned(),
            affected_only: self.affected_only,
            offset,
            limit,
        };
        vec![Effect::ask(Slot::PLAN_TARGETS, request)]
    }

    pub(super) fn take_targets(&mut self, asked: &ListPlanTargets, answer: Result<PlanTargets>) {
        let ours = self.plan.as_ref().is_some_and(|plan| plan.id == asked.plan_id);
        if ours && asked.affected_only == self.affected_only {
            let answer = answer.map(|answer| (answer.targets, answer.matching));
            self.targets.take(&asked.search, asked.offset, answer);
        }
    }

    pub(super) fn command(&mut self, command: Command, height: usize) -> Vec<Effect> {
        if self.plan.is_none() {
            return Vec::new();
        }
        match command {
            Command::PlanAffectedOnly => {
                self.affected_only = !self.affected_only;
                let part = self.targets.restart();
                self.ask(part)
            }
            Command::FilterEdit
            | Command::FilterClear
            | Command::FilterAccept
            | Command::AppBack => self.change(|search| _ = search.command(command)),
            Command::PollNow => self.ask(self.targets.part()),
            _ => {
                let part = self.targets.command(command, height);
                part.map_or_else(Vec::new, |part| self.ask(part))
            }
        }
    }

    pub(super) fn change(&mut self, change: impl FnOnce(&mut Search)) -> Vec<Effect> {
        let part = self.targets.change(change);
        part.map_or_else(Vec::new, |part| self.ask(part))
    }

    pub(super) fn trouble(&self, now: DateTime<Utc>, items: &str) -> Option<Trouble> {
        let Some(plan) = &self.plan else { return Some(Trouble::NoPlan) };
        if plan.expires_at <= now {
            return Some(Trouble::Expired);
        }
        if let Some(why) = &self.dead {
            return Some(Trouble::Dead(why.clone()));
        }
        (plan.affected_count == 0).then(|| {
            let (n, total) = (plan.total_count, grouped(plan.total_count));
            Trouble::Nothing(format!(
                "nothing would be changed: 0 of {total} {} {}; there is nothing to start",
                noun(n, items),
                if n == 1 { "needs it" } else { "need it" },
            ))
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    NoPlan,
    Expired,
    Dead(String),
    Nothing(String),
}
