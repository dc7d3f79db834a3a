//! Which target is next: pending targets in order, a page at a time, so that a run over a
//! hundred thousand tenants takes no more memory than one over ten.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::Result;
use crate::access::Actor;
use crate::ops::Ops;
use crate::ops::runs::{DueTargets, Pending};

/// Targets read at once.
const PAGE: i64 = 256;
/// After so long a target that met an outage is tried again.
const LATER: Duration = Duration::from_secs(1);
/// The same where others have locked it and there are more targets: to wait for it holds a lane up.
const LOCKED_LATER: Duration = Duration::from_secs(4);
/// With so many of these the others wait.
const MANY: usize = 32;

/// A target that met an outage.
#[derive(Debug)]
struct Later {
    target: Pending,
    since: Instant,
    /// Whether that was a lock of another session.
    locked: bool,
}

/// A target that was given out, and where it came from.
#[derive(Debug)]
pub struct Planned {
    /// The target.
    pub target: Pending,
    /// Since when it waits because it met an outage, and whether that was a lock; none for any other.
    met: Option<(Instant, bool)>,
}

impl From<Pending> for Planned {
    fn from(target: Pending) -> Self {
        Self { target, met: None }
    }
}

/// One pass over the pending targets of a run.
#[derive(Debug)]
pub struct Plan {
    run_id: i64,
    /// Only targets before this one.
    bound: i64,
    /// Only targets that a lost worker had started.
    suspects: bool,
    after: i64,
    queue: VecDeque<Pending>,
    /// Given out and not given back.
    out: HashSet<i64>,
    passed: bool,
    /// Those that met an outage. They come in turn with the others, so that the end of an outage is
    /// noticed soon, and a target that is locked holds up no other.
    later: VecDeque<Later>,
    /// Whether it is the turn of the others.
    turn: bool,
}

impl Plan {
    /// A plan without targets; [`Plan::again`] gives it some.
    pub fn new(run_id: i64) -> Self {
        Self {
            run_id,
            bound: 0,
            suspects: false,
            after: -1,
            queue: VecDeque::new(),
            out: HashSet::new(),
            passed: true,
            later: VecDeque::new(),
            turn: false,
        }
    }

    /// The next target that nobody works on; none once the pass is over.
    pub async fn next(&mut self, ops: &Ops) -> Result<Option<Planned>> {
        if let Some(due) = self.due_in_turn() {
            return Ok(Some(due));
        }
        let next = self.next_of_pass(ops).await?;
        self.turn = false;
        Ok(next.map(Planned::from).or_else(|| self.take_due(false)))
    }

    fn due_in_turn(&mut self) -> Option<Planned> {
        if self.turn && self.later.len() < MANY {
            return None;
        }
        let due = self.take_due(true)?;
        self.turn = true;
        Some(due)
    }

    async fn next_of_pass(&mut self, ops: &Ops) -> Result<Option<Pending>> {
        loop {
            if let Some(next) = self.queue.pop_front() {
                if next.ordinal >= self.bound {
                    self.passed = true;
                    self.queue.clear();
                    return Ok(None);
                }
                if self.out.insert(next.ordinal) {
                    return Ok(Some(next));
                }
                continue;
            }
            if self.passed {
                return Ok(None);
            }
            let due = DueTargets {
                run_id: self.run_id,
                after: self.after,
                started: self.suspects,
                limit: PAGE,
            };
            let page = ops.run(&Actor::System, due).await?;
            match page.last() {
                Some(last) => self.after = last.ordinal,
                None => self.passed = true,
            }
            self.queue.extend(page);
        }
    }

    fn due(&self, others: bool) -> Option<usize> {
        self.later.iter().position(|later| {
            let pause = if later.locked && others { LOCKED_LATER } else { LATER };
            later.since.elapsed() >= pause
        })
    }

    fn take_due(&mut self, others: bool) -> Option<Planned> {
        let due = self.due(others)?;
        let Later { target, since, locked } = self.later.remove(due)?;
        Some(Planned { target, met: Some((since, locked)) })
    }

    /// Whether a target that met an outage is to be tried again before the one at hand goes on.
    pub fn has_due(&self) -> bool {
        self.due(true).is_some()
    }

    /// Gives a target back that met an outage. Where there are many, the next pass has it.
    pub fn put_off(&mut self, target: Pending, locked: bool) {
        if self.later.len() < MANY {
            self.later.push_back(Later { target, since: Instant::now(), locked });
        } else {
            self.out.remove(&target.ordinal);
        }
    }

    /// Says that a target is no longer worked on.
    pub fn give_back(&mut self, ordinal: i64) {
        self.out.remove(&ordinal);
    }

    /// Gives a target back that is to be the next again. One that met an outage still has its turn.
    pub fn put_back(&mut self, Planned { target, met }: Planned) {
        if let Some((since, locked)) = met {
            self.later.push_front(Later { target, since, locked });
            self.turn = false;
        } else if self.out.remove(&target.ordinal) {
            self.queue.push_front(target);
        }
    }

    /// Starts another pass, over the targets before position `bound`; `suspects` are only
    /// those that a lost worker had started.
    pub fn again(&mut self, bound: i64, suspects: bool) {
        self.bound = bound;
        self.suspects = suspects;
        self.after = -1;
        self.queue.clear();
        self.passed = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(ordinal: i64) -> Pending {
        Pending { ordinal, tenant_id: Some(ordinal), steps: 0, errors: 0, starts: 0 }
    }

    #[test]
    fn a_target_that_met_an_outage_and_was_reserved_in_vain_still_comes_first() {
        let mut plan = Plan::new(1);
        plan.put_off(target(7), false);
        plan.later[0].since = Instant::now().checked_sub(LATER).expect("the machine is up");
        // It is reserved for the end of a step of another, which goes on instead.
        for _ in 0..3 {
            let reserved = plan.due_in_turn().expect("it is due");
            assert!(!plan.has_due());
            plan.put_back(reserved);
            assert!(plan.has_due());
        }
        assert_eq!(plan.due_in_turn().map(|due| due.target.ordinal), Some(7));
    }
}
