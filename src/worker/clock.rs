//! The worker's own clock, beside the database's. Limits in time go by the database's, so a wrong
//! clock does no harm by itself; it is a sign that the machine is not to be trusted with work that
//! cannot be undone.

use std::sync::Arc;

use tokio::sync::watch;

use super::Shared;
use super::event::WorkerEvent;
use super::execution::{Ground, Halt};
use crate::domain::{clock_offset, operation_type};

/// Whether a type deletes or closes by age.
pub fn is_by_age(run_type: &str) -> bool {
    operation_type::find(run_type).is_some_and(|kind| kind.by_age)
}

/// Whether the worker's clock is wrong, as it was found last.
#[derive(Debug)]
pub struct ClockWatch {
    wrong: watch::Sender<bool>,
}

impl Default for ClockWatch {
    fn default() -> Self {
        Self { wrong: watch::Sender::new(false) }
    }
}

impl ClockWatch {
    /// Whether it is wrong.
    pub fn is_wrong(&self) -> bool {
        *self.wrong.borrow()
    }

    /// Notes how far it is ahead; says what is to be told where that is new.
    fn note(&self, ahead: i64) -> Option<WorkerEvent> {
        let wrong = clock_offset::is_wrong(ahead);
        let changed = self.wrong.send_if_modified(|was| std::mem::replace(was, wrong) != wrong);
        changed.then_some(if wrong {
            WorkerEvent::ClockWrong { ahead }
        } else {
            WorkerEvent::ClockRight
        })
    }
}

impl Shared {
    /// Compares the clocks, as they were measured last, and says so where something changed.
    pub fn look_at_clock(&self) {
        let Some(ahead) = self.ops.clock().ahead() else { return };
        if let Some(event) = self.clock.note(ahead.num_seconds()) {
            self.tell(event);
        }
    }

    /// The types that it executes now.
    pub fn types(&self) -> Vec<String> {
        let wrong = self.clock.is_wrong();
        let types = self.info.types.iter();
        types.filter(|run_type| !wrong || !is_by_age(run_type)).cloned().collect()
    }
}

/// Lets go of a run that goes by age once the clock is found to be wrong: another worker goes on.
pub async fn guard(ground: Arc<Ground>) {
    let mut wrong = ground.shared.clock.wrong.subscribe();
    if wrong.wait_for(|wrong| *wrong).await.is_ok() {
        ground.halt(Halt::Clock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_of_the_clock_is_told_once() {
        let watch = ClockWatch::default();
        assert_eq!(watch.note(299), None);
        assert_eq!(watch.note(1_200), Some(WorkerEvent::ClockWrong { ahead: 1_200 }));
        assert_eq!(watch.note(1_300), None);
        assert_eq!(watch.note(0), Some(WorkerEvent::ClockRight));
        assert_eq!(watch.note(-1), None);
        assert!(!watch.is_wrong());
    }
}
