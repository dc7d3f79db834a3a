//! Runs that this worker has put off because the database refuses to write them, and those that it has
//! lost.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::backoff;
use crate::domain::database_fault::DatabaseFault;

/// The first pause; it doubles.
const FIRST: Duration = Duration::from_secs(2);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);
/// The longest pause in an outage, whose end is to be noticed.
const LONGEST_OUTAGE: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct PutOff {
    until: Instant,
    times: u32,
    told: String,
    /// The fence that this worker still holds it under, and what the database said: that it is put off
    /// could not be written either.
    held: Option<(i64, Option<DatabaseFault>)>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Postponed {
    runs: Mutex<HashMap<i64, PutOff>>,
}

impl Postponed {
    /// Puts a run off; gives for how long, and whether its cause is a new one.
    pub fn put_off(&self, run_id: i64, why: &str, outage: bool) -> (Duration, bool) {
        let mut runs = self.locked();
        let entry = runs.entry(run_id).or_insert_with(|| PutOff {
            until: Instant::now(),
            times: 0,
            told: String::new(),
            held: None,
        });
        let longest = if outage { LONGEST_OUTAGE } else { LONGEST };
        let pause = backoff::pause(FIRST, entry.times, longest);
        entry.until = Instant::now() + pause;
        entry.times += 1;
        let new = entry.told != why;
        why.clone_into(&mut entry.told);
        (pause, new)
    }

    /// That a run is put off could not be written: it is held under `fence` until that is tried again.
    pub fn hold(&self, run_id: i64, fence: i64, fault: Option<DatabaseFault>) {
        let now = Instant::now();
        if let Some(run) = self.locked().get_mut(&run_id) {
            run.held = Some((fence, fault));
            if run.until <= now {
                run.until = now + backoff::pause(FIRST, run.times, LONGEST_OUTAGE);
                run.times += 1;
            }
        }
    }

    /// The runs that are still held although their time has come; they are held no more.
    pub fn take_held(&self) -> Vec<(i64, i64, Option<DatabaseFault>)> {
        let now = Instant::now();
        let mut runs = self.locked();
        let due = runs.iter_mut().filter(|(_, run)| run.until <= now);
        due.filter_map(|(id, run)| run.held.take().map(|(fence, fault)| (*id, fence, fault)))
            .collect()
    }

    /// The runs whose time has not come.
    pub fn waiting(&self) -> Vec<i64> {
        let now = Instant::now();
        self.locked().iter().filter(|(_, run)| run.until > now).map(|(id, _)| *id).collect()
    }

    /// Forgets the runs whose time has come for longer than `within`, where none can be claimed; gives them.
    /// They have ended, or are somebody else's.
    pub fn gone(&self, within: Duration) -> Vec<i64> {
        let now = Instant::now();
        self.locked().extract_if(|_, run| run.until + within < now).map(|(id, _)| id).collect()
    }

    /// Whether a run was put off before.
    pub fn has(&self, run_id: i64) -> bool {
        self.locked().contains_key(&run_id)
    }

    /// The run was written after all, or is somebody else's.
    pub fn forget(&self, run_id: i64) {
        self.locked().remove(&run_id);
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<i64, PutOff>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The runs that this worker has lost, with the fences that it held them under.
#[derive(Debug, Default)]
pub struct Lost {
    fences: Mutex<HashMap<i64, (i64, Instant)>>,
}

impl Lost {
    /// A run was lost.
    pub fn note(&self, run_id: i64, fence: i64) {
        self.locked().insert(run_id, (fence, Instant::now()));
    }

    /// The fence that a run was lost under, if it was; it is claimed again.
    pub fn take(&self, run_id: i64) -> Option<i64> {
        self.locked().remove(&run_id).map(|(fence, _)| fence)
    }

    /// Forgets the runs that were lost longer ago than `within`; gives them.
    /// They have ended, or another process goes on with them.
    pub fn gone(&self, within: Duration) -> Vec<i64> {
        self.locked().extract_if(|_, (_, at)| at.elapsed() > within).map(|(id, _)| id).collect()
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<i64, (i64, Instant)>> {
        self.fences.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fr_037_018_a_run_that_waits_for_an_outage_is_tried_again_within_ten_seconds() {
        let postponed = Postponed::default();
        for (why, outage, longest) in [("denied", true, 10), ("bad", false, 60)] {
            let pauses = (0..20).map(|_| postponed.put_off(1, why, outage).0);
            // Half of it is left to chance.
            let longest_seen = pauses.max().unwrap_or_default();
            let longest = Duration::from_secs(longest);
            assert!((longest / 2..=longest).contains(&longest_seen), "{why}: {longest_seen:?}");
        }
    }
}
