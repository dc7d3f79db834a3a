//! What the demo's worker executes customers' types with: each target of a run gets a course that
//! its numbers decide, and the worker does the rest, as for any other type.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::activity::PACK_INPUT;
use super::words;
use crate::ErrorKind;
use crate::domain::failure::ReasonCode;
use crate::domain::operation_type;
use crate::domain::run::{RunOutcome, TargetStatus};
use crate::ops::activity::{CompleteReviewPack, PACK_TYPE, StoreReport};
use crate::ops::{Context, Operation as _};
use crate::runbooks::{Executor, ItemFailure, Progress, Step, StepError};

/// Why items fail.
const REASONS: [ReasonCode; 5] = [
    ReasonCode::ProviderThrottled,
    ReasonCode::ProviderUnavailable,
    ReasonCode::PermissionDenied,
    ReasonCode::Timeout,
    ReasonCode::ValidationFailed,
];
/// The largest number of failures of a step that are recorded one by one.
const RECORDED: i64 = 8;

/// How long steps wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As providers answer: a run takes some seconds.
    Lifelike,
    /// Not at all.
    AtOnce,
}

/// The executors of all customers' types.
pub fn executors(seed: u64, pace: Pace) -> Vec<Arc<dyn Executor>> {
    operation_type::started_by_customers()
        .map(|kind| Arc::new(Simulator { run_type: kind.key, seed, pace }) as Arc<dyn Executor>)
        .collect()
}

/// How few and how many items a target of a customers' type has.
fn items_of(run_type: &str) -> (i64, i64) {
    match run_type {
        "policy.sync" => (20, 160),
        "inventory.sync" => (60, 900),
        "backup.snapshot" => (30, 240),
        "stored_report.create" => (2, 12),
        "review_pack.generate" => (6, 50),
        _ => (1, 1),
    }
}

/// Where the next step of a target goes on.
pub fn cursor(done: i64, total: i64) -> Value {
    json!({ "done": done, "total": total })
}

/// How one target of a run goes, decided by its numbers alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    /// Items in all.
    pub total: i64,
    /// The items that fail, the first of the target being 0.
    pub failing: Vec<i64>,
    /// Why they fail.
    pub reason: ReasonCode,
    /// Whether the provider refuses: the items of the first step fail, and the rest is not tried.
    pub refused: bool,
    /// Whether the provider asks once for a pause.
    pub throttled: bool,
    /// Items per step.
    chunk: i64,
}

impl Course {
    /// The course of a tenant in a run of this type.
    pub fn of(seed: u64, run_type: &str, run_id: i64, tenant_id: i64) -> Self {
        let mut rng = dice(seed, run_id, tenant_id, 0);
        let (low, high) = items_of(run_type);
        let total = rng.random_range(low..=high);
        let chunk = (total + 5) / rng.random_range(4..13);
        let chunk = chunk.clamp(1, total);
        let chance = rng.random_range(0..100);
        let refused = chance < 6;
        let failing = match chance {
            0..6 => (0..chunk).collect(),
            6..14 => {
                let from = rng.random_range(total / 2..total);
                (from..total.min(from + 1 + total / 20)).collect()
            }
            _ => Vec::new(),
        };
        let reason = REASONS[rng.random_range(0..REASONS.len())];
        Self { total, failing, reason, refused, throttled: chance >= 90, chunk }
    }

    /// Items that succeed.
    pub fn succeeded(&self) -> i64 {
        let failed = i64::try_from(self.failing.len()).unwrap_or(i64::MAX);
        if self.refused { 0 } else { self.total - failed }
    }

    /// How the target ends.
    pub fn status(&self) -> TargetStatus {
        if self.failing.is_empty() { TargetStatus::Succeeded } else { TargetStatus::Failed }
    }

    /// How a run with only this target ends.
    pub fn outcome(&self) -> RunOutcome {
        match (self.failing.is_empty(), self.succeeded()) {
            (true, _) => RunOutcome::Succeeded,
            (false, 0) => RunOutcome::Failed,
            (false, _) => RunOutcome::PartiallySucceeded,
        }
    }

    fn failed_between(&self, from: i64, to: i64) -> i64 {
        let failed = self.failing.iter().filter(|item| (from..to).contains(*item)).count();
        i64::try_from(failed).unwrap_or(i64::MAX)
    }
}

/// A generator for one moment of a target.
fn dice(seed: u64, run_id: i64, tenant_id: i64, moment: i64) -> StdRng {
    let mix = |state: u64, n: i64| {
        (state ^ n.cast_unsigned()).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    };
    StdRng::seed_from_u64([run_id, tenant_id, moment].into_iter().fold(seed, mix))
}

/// The executor of one customers' type.
#[derive(Debug)]
struct Simulator {
    run_type: &'static str,
    seed: u64,
    pace: Pace,
}

impl Simulator {
    fn progress(&self, step: &Step) -> Progress {
        let tenant_id = step.tenant_id.unwrap_or(0);
        let course = Course::of(self.seed, self.run_type, step.run_id, tenant_id);
        let done = step.cursor["done"].as_i64().unwrap_or(0);
        // A run that is under way keeps its extent.
        let total = step.cursor["total"].as_i64().unwrap_or(course.total);
        let mut rng = dice(self.seed, step.run_id, tenant_id, 1 + done);
        let pause = |millis: u64| match self.pace {
            Pace::Lifelike => Some(Duration::from_millis(millis)),
            Pace::AtOnce => None,
        };
        let waited = step.cursor["waited"] == json!(true);
        if course.throttled && !waited && done * 2 >= total {
            let mut next = cursor(done, total);
            next["waited"] = json!(true);
            let pause = pause(rng.random_range(2_000..4_000));
            return Progress { next: Some(next), pause, total: Some(total), ..Progress::default() };
        }
        let to = total.min(done + course.chunk);
        let failed = course.failed_between(done, to);
        let failures = (0..failed.min(RECORDED))
            .map(|_| ItemFailure {
                reason: course.reason,
                message: words::message(course.reason, &mut rng),
            })
            .collect();
        let ended = to >= total || (course.refused && failed > 0);
        let next = (!ended).then(|| {
            let mut next = cursor(to, total);
            next["waited"] = json!(waited);
            next
        });
        Progress {
            next,
            pause: pause(rng.random_range(300..1_200)),
            total: Some(total),
            items: to - done,
            failed,
            failures,
            updated: (to - done - failed) / 9,
            ..Progress::default()
        }
    }

    /// What is left behind when a target ends well.
    async fn leave(&self, context: &mut Context, step: &Step) -> Result<(), StepError> {
        let run_id = step.run_id;
        let left = match (self.run_type, step.inputs[PACK_INPUT].as_i64()) {
            ("stored_report.create", _) => {
                let mut rng = dice(self.seed, run_id, step.tenant_id.unwrap_or(0), -1);
                let report_type = words::report(&mut rng).to_owned();
                StoreReport { run_id, report_type }.execute(context).await.map(drop)
            }
            (PACK_TYPE, Some(pack_id)) => {
                CompleteReviewPack { pack_id, run_id }.execute(context).await.map(drop)
            }
            _ => Ok(()),
        };
        match left {
            // A run over several tenants has none of its own to leave a report for; and a pack may
            // be ready already.
            Err(error) if matches!(error.kind(), ErrorKind::Refused | ErrorKind::NotFound) => {
                Ok(())
            }
            left => left.map_err(StepError::from),
        }
    }
}

impl Executor for Simulator {
    fn run_type(&self) -> &'static str {
        self.run_type
    }

    fn step<'a>(
        &'a self,
        context: &'a mut Context,
        step: &'a Step,
    ) -> BoxFuture<'a, Result<Progress, StepError>> {
        async move {
            let progress = self.progress(step);
            if progress.next.is_none() && progress.failed == 0 {
                self.leave(context, step).await?;
            }
            Ok(progress)
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does all steps of a target: items, failed items, steps.
    fn play(simulator: &Simulator, run_id: i64) -> (i64, i64, u32) {
        let mut step = Step {
            run_id,
            fence: 1,
            run_started_at: chrono::DateTime::UNIX_EPOCH,
            tenant_id: Some(run_id % 7 + 1),
            cursor: Value::Null,
            inputs: Value::Null,
            chunk: 500,
        };
        let (mut items, mut failed) = (0, 0);
        for steps in 1..100 {
            let progress = simulator.progress(&step);
            items += progress.items;
            failed += progress.failed;
            assert_eq!(progress.failures.is_empty(), progress.failed == 0);
            match progress.next {
                Some(next) => step.cursor = next,
                None => return (items, failed, steps),
            }
        }
        panic!("run {run_id} does not end");
    }

    #[test]
    fn steps_add_up_to_their_course() {
        let mut outcomes = std::collections::BTreeMap::new();
        for run_type in operation_type::started_by_customers().map(|kind| kind.key) {
            let (low, high) = items_of(run_type);
            let simulator = Simulator { run_type, seed: 1, pace: Pace::AtOnce };
            for run_id in 1..200 {
                let course = Course::of(1, run_type, run_id, run_id % 7 + 1);
                let (items, failed, steps) = play(&simulator, run_id);
                assert!((low..=high).contains(&course.total) && steps < 20, "{course:?}");
                assert_eq!(failed, i64::try_from(course.failing.len()).unwrap(), "{course:?}");
                assert_eq!(items - failed, course.succeeded(), "{course:?}");
                assert!(course.refused || items == course.total, "{course:?}");
                *outcomes.entry(course.outcome().as_str()).or_insert(0) += 1;
            }
        }
        assert!(outcomes.len() == 3 && outcomes.values().all(|n| *n > 30), "{outcomes:?}");
    }

    #[test]
    fn a_run_that_is_under_way_goes_on_where_it_stands() {
        let simulator = Simulator { run_type: "inventory.sync", seed: 1, pace: Pace::Lifelike };
        let step = Step {
            run_id: 3,
            fence: 1,
            run_started_at: chrono::DateTime::UNIX_EPOCH,
            tenant_id: Some(4),
            cursor: cursor(639, 640),
            inputs: Value::Null,
            chunk: 500,
        };
        let mut progress = simulator.progress(&step);
        if let Some(next) = progress.next {
            progress = simulator.progress(&Step { cursor: next, ..step });
        }
        assert_eq!((progress.next, progress.items, progress.total), (None, 1, Some(640)));
    }
}
