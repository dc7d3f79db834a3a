//! Which target is next: pending targets in order, a page at a time, so that a run over a
//! hundred thousand tenants takes no more memory than one over ten.

use std::collections::{HashSet, VecDeque};

use crate::Result;
use crate::access::Actor;
use crate::ops::Ops;
use crate::ops::runs::{DueTargets, Pending};

/// Targets read at once.
const PAGE: i64 = 256;

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
        }
    }

    /// The next target that nobody works on; none once the pass is over.
    pub async fn next(&mut self, ops: &Ops) -> Result<Option<Pending>> {
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

    /// Says that a target is no longer worked on.
    pub fn give_back(&mut self, ordinal: i64) {
        self.out.remove(&ordinal);
    }

    /// Gives a reserved target back that was not started: it is the next again.
    pub fn put_back(&mut self, target: Pending) {
        if self.out.remove(&target.ordinal) {
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
