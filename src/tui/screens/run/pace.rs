//! How fast a run gets on, by what was seen of it.

use chrono::{DateTime, Duration, Utc};

use crate::domain::run::{Run, RunStatus};
use crate::domain::summary_counts::CountKey;

const WINDOW: Duration = Duration::minutes(5);
const SHORTEST: Duration = Duration::seconds(5);
const FARTHEST: Duration = Duration::days(7);

/// Counts of one claim of a run, as they were seen, oldest first.
#[derive(Debug, Default)]
pub struct Pace {
    fence: i64,
    points: Vec<(DateTime<Utc>, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    pub per_minute: i64,
    pub left: Duration,
}

fn counts(run: &Run) -> (u64, u64) {
    let get = |key| run.summary_counts.get(key).unwrap_or(0);
    (get(CountKey::Processed), get(CountKey::Total))
}

impl Pace {
    /// Notes how far a run is. Another claim starts anew: what lay between was a pause or a
    /// loss, and says nothing about speed.
    pub fn note(&mut self, run: &Run) {
        if run.status != RunStatus::Running || run.fence != self.fence {
            *self = Self { fence: run.fence, points: Vec::new() };
        }
        if run.status != RunStatus::Running {
            return;
        }
        let point = (run.updated_at, counts(run).0);
        if self.points.last().is_none_or(|last| last.0 < point.0) {
            self.points.push(point);
        }
        let oldest = run.updated_at - WINDOW;
        let old = self.points.iter().take_while(|(at, _)| *at < oldest).count();
        self.points.drain(..old);
    }

    pub fn tell(&self, run: &Run) -> Option<Told> {
        let (done, total) = counts(run);
        let goes_on = run.status == RunStatus::Running
            && !run.lease_overdue
            && run.cancel_requested_at.is_none();
        if !goes_on || done == 0 || done >= total {
            return None;
        }
        let long_ago = |(at, n): &(_, u64)| run.updated_at - *at >= SHORTEST && *n < done;
        let seen = self.points.first().copied().filter(long_ago);
        // Its first claim has been at it since the start, whether or not it was watched.
        let whole = run.started_at.filter(|_| run.fence == 1).map(|at| (at, 0));
        let (since, before) = seen.or(whole)?;
        let milliseconds = (run.updated_at - since).num_milliseconds();
        let steps = i64::try_from(done.checked_sub(before)?).ok()?;
        if milliseconds < SHORTEST.num_milliseconds() || steps == 0 {
            return None;
        }
        let left = i64::try_from(total - done).ok()?.checked_mul(milliseconds)? / steps;
        let left = Duration::try_milliseconds(left).filter(|left| *left <= FARTHEST)?;
        Some(Told { per_minute: steps.checked_mul(60_000)? / milliseconds, left })
    }
}
