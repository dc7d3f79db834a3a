//! What to tell about a run: why it waits, whether a retry helps, and the next step. Derived
//! from the facts of the run, so that no advice names what is not possible.

use super::count::count;
use super::database_fault::Condition;
use super::failure::ReasonCode;
use super::run_facts::{NoRetry, RetriedAs, Retry, RunFacts, Wait};
use super::run_state::RunState;
use super::type_support::Support;

/// What to do first where a worker's clock is wrong.
const CORRECT_CLOCK: &str = "Correct the clock of the worker's machine";

impl Wait {
    /// In words, for the run's type.
    pub fn text(self, run_type: &str) -> String {
        let obstacle = match self {
            Self::UnknownType => Support::Unknown,
            Self::NoExecutor => Support::NoExecutor,
            Self::NoWorker => Support::NoWorker,
            Self::WrongClock => Support::WrongClock,
            Self::Paused => return "paused until it is resumed".to_owned(),
            Self::Behind => {
                return format!("queued behind others: no free slot for {run_type}");
            }
            Self::Next => return format!("next for an active worker that supports {run_type}"),
            Self::Database(condition) => {
                return format!("its worker tries again and {}", waits_for(condition));
            }
        };
        obstacle.obstacle(run_type).unwrap_or_default()
    }

    /// The same for a cell beside the type; none where the state's own word says it.
    pub fn short(self) -> Option<String> {
        if let Self::Database(condition) = self {
            Some(waits_for(condition))
        } else {
            self.least().map(str::to_owned)
        }
    }

    /// The same for a narrow cell.
    pub fn least(self) -> Option<&'static str> {
        match self {
            Self::Database(condition) => Some(condition.text()),
            Self::UnknownType => Support::Unknown.short_obstacle(),
            Self::NoExecutor => Support::NoExecutor.short_obstacle(),
            Self::NoWorker => Support::NoWorker.short_obstacle(),
            Self::WrongClock => Support::WrongClock.short_obstacle(),
            Self::Behind => Some("behind others"),
            Self::Paused | Self::Next => None,
        }
    }
}

fn waits_for(condition: Condition) -> String {
    format!("waits for the database: {}", condition.text())
}

impl RetriedAs {
    /// In words, of the run that was retried.
    pub fn text(self) -> String {
        format!("it was retried as run {} ({})", self.run_id, self.state.word())
    }
}

impl NoRetry {
    /// In words, as the rest of "no retry: ...".
    pub fn text(self, run_type: &str) -> String {
        match self {
            Self::NotEnded => "only an ended run can be retried".to_owned(),
            Self::Retried(retried) => retried.text(),
            Self::UnknownType => Support::Unknown.obstacle(run_type).unwrap_or_default(),
            Self::NoExecutor => Support::NoExecutor.obstacle(run_type).unwrap_or_default(),
            Self::NotRetryable => format!("start {run_type} again instead, with a new preflight"),
            Self::NothingLeft => "no failed or undone targets are left".to_owned(),
            Self::Archived => "the tenants of its failed or undone targets are archived".to_owned(),
            Self::Missing(capability) => format!("it requires the capability {capability}"),
            Self::Busy(busy) => match busy.run_id() {
                Some(run_id) => {
                    format!("run {run_id} of the same type is active and has to end first")
                }
                None => "another run of the same type is active and has to end first".to_owned(),
            },
        }
    }
}

impl RunFacts<'_> {
    /// Why it cannot be retried, as a person who asks is told; none where it can.
    pub fn no_retry(&self) -> Option<String> {
        let id = self.run_id;
        match self.retry() {
            Retry::Impossible(NoRetry::NotEnded) => {
                Some(format!("run {id} has not ended; only an ended run can be retried"))
            }
            Retry::Impossible(NoRetry::Retried(retried)) => {
                Some(retried.text().replacen("it", &format!("run {id}"), 1))
            }
            Retry::Impossible(NoRetry::NothingLeft) => {
                Some(format!("run {id} has no failed or undone targets"))
            }
            Retry::Impossible(why) => {
                Some(format!("run {id} cannot be retried: {}", why.text(self.run_type)))
            }
            Retry::Possible { .. } | Retry::NeedsWorker { .. } => None,
        }
    }

    /// Where to go where it cannot be retried.
    pub fn no_retry_hint(&self) -> String {
        match self.retry() {
            Retry::Impossible(NoRetry::Retried(RetriedAs { run_id, state })) => {
                if state.is_active() || state == RunState::Succeeded {
                    format!("see it: tenantpilot runs show {run_id}")
                } else {
                    format!("retry that one: tenantpilot runs retry {run_id}")
                }
            }
            Retry::Impossible(NoRetry::Busy(busy)) => match busy.run_id() {
                Some(run_id) => format!("follow it: tenantpilot runs watch {run_id}"),
                None => "it is outside of your view; retry once it has ended".to_owned(),
            },
            _ => format!("see what is possible: tenantpilot runs show {}", self.run_id),
        }
    }

    /// The line of a page that shows no reason of an ended run; none where a retry is advised,
    /// or nothing was left to do.
    pub fn no_retry_line(&self) -> Option<String> {
        match self.retry() {
            Retry::Impossible(NoRetry::NotEnded | NoRetry::NothingLeft) => None,
            Retry::Impossible(NoRetry::Retried(retried)) => Some(retried.text()),
            Retry::Impossible(why) => Some(format!("no retry: {}", why.text(self.run_type))),
            Retry::Possible { .. } | Retry::NeedsWorker { .. } => None,
        }
    }

    /// Why it waits, in words; none where it does not.
    pub fn wait_text(&self) -> Option<String> {
        // Where a worker is known to hold it, that is what waits.
        let held = matches!(self.state, RunState::Running | RunState::Cancelling);
        Some(match self.wait()? {
            Wait::Database(condition)
                if !held
                    && (self.state != RunState::Stuck
                        || matches!(condition, Condition::ReadOnly | Condition::Full)) =>
            {
                let why = condition.text();
                format!("no run can be executed until the database takes writes: {why}")
            }
            wait => wait.text(self.run_type),
        })
    }

    /// Whether a retry helps against a reason.
    pub fn retry_help(&self, reason: ReasonCode) -> String {
        match self.retry() {
            Retry::Impossible(NoRetry::Retried(retried)) => retried.text(),
            Retry::Impossible(why) => format!("not possible: {}", why.text(self.run_type)),
            Retry::Possible { .. } | Retry::NeedsWorker { .. } => {
                reason.retry().sentence().to_owned()
            }
        }
    }

    /// What to do next about a run that does not advance; none where there is nothing to do.
    pub fn next_while_active(&self) -> Option<String> {
        let kind = self.run_type;
        let lost = self.state == RunState::Stuck;
        let cancel = if self.may_manage { ", or cancel the run" } else { "" };
        if let Some(Wait::Database(condition)) = self.wait() {
            return Some(format!("{}; the run goes on by itself.", condition.remedy()));
        }
        // What is paused waits for a person, and in vain where nothing executes it.
        let in_vain = self.state == RunState::Paused
            && matches!(self.support, Support::Unknown | Support::NoExecutor);
        if !lost && !in_vain && !matches!(self.state, RunState::Queued | RunState::Stale) {
            return None;
        }
        match self.support {
            Support::Unknown => Some(format!(
                "This version does not know {kind} and can only show the run. Use the version \
                 that queued it."
            )),
            Support::NoExecutor if self.may_manage => {
                Some(format!("Cancel the run: nothing executes {kind} here."))
            }
            Support::NoExecutor => {
                Some(format!("Nothing executes {kind} here; ask an operator to cancel the run."))
            }
            Support::NoWorker if lost => Some(format!(
                "See whether its worker runs and can write; else start one that supports \
                 {kind}{cancel}."
            )),
            Support::NoWorker => Some(format!("Start a worker that supports {kind}{cancel}.")),
            Support::WrongClock => Some(format!("{CORRECT_CLOCK}{cancel}.")),
            Support::Busy => Some("Wait for a free slot, or start another worker.".to_owned()),
            Support::Free if lost => None,
            Support::Free => (self.state == RunState::Stale)
                .then(|| "An active worker takes it next; nothing has to be done.".to_owned()),
        }
    }

    /// What to do next about a reason for which targets of it failed.
    pub fn next_step(&self, reason: ReasonCode) -> String {
        let kind = self.run_type;
        let action = match self.retry() {
            Retry::Possible { targets: n } if reason == ReasonCode::StaleQueued => {
                return format!(
                    "An active worker supports {kind} now: retry {}.",
                    count(n, "target")
                );
            }
            Retry::NeedsWorker { targets: n } if self.support == Support::WrongClock => {
                return format!("{CORRECT_CLOCK}, then retry {}.", count(n, "target"));
            }
            Retry::NeedsWorker { targets: n } if reason == ReasonCode::StaleQueued => {
                return format!(
                    "Start a worker that supports {kind}, then retry {}.",
                    count(n, "target")
                );
            }
            Retry::Possible { targets: n } => format!("Then retry {}.", count(n, "target")),
            Retry::NeedsWorker { targets: n } => {
                format!(
                    "No active worker supports {kind}: start one, then retry {}.",
                    count(n, "target")
                )
            }
            Retry::Impossible(NoRetry::NotEnded) => String::new(),
            Retry::Impossible(NoRetry::Retried(RetriedAs { run_id, .. })) => {
                return format!("See run {run_id}.");
            }
            Retry::Impossible(NoRetry::Missing(capability)) => {
                format!("A retry requires the capability {capability}; ask an administrator.")
            }
            Retry::Impossible(why) => {
                format!("No retry is possible: {}.", why.text(kind))
            }
        };
        // Why no worker claimed it is said by what is possible now.
        let first = if reason == ReasonCode::StaleQueued { "" } else { reason.next_step() };
        [first, action.as_str()]
            .iter()
            .filter(|part| !part.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join(" ")
    }
}
