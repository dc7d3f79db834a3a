//! Since when a task waits for an answer of the database.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

tokio::task_local! {
    static AWAITED: Awaited;
}

/// How a request of a task stands with the database.
#[derive(Debug, Clone, Default)]
pub struct Awaited(Arc<Mutex<State>>);

#[derive(Debug, Clone, Copy, Default)]
struct State {
    queued: bool,
    since: Option<Instant>,
    quickest: Option<Duration>,
}

impl Awaited {
    /// Since when one answer is awaited; none while there is nothing to wait for.
    pub fn since(&self) -> Option<Instant> {
        self.state(|state| state.since)
    }

    /// How long the quickest of its round trips took; none before the first.
    pub fn quickest(&self) -> Option<Duration> {
        self.state(|state| state.quickest)
    }

    /// Whether it waits for a connection that another request uses.
    pub fn is_queued(&self) -> bool {
        self.state(|state| state.queued)
    }

    /// Does `work`, and keeps track of what it waits for.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        AWAITED.scope(self.clone(), work).await
    }

    fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Waits for one answer of the database.
pub async fn answer<T>(answer: impl Future<Output = T>) -> T {
    noting(answer, |state, begins| state.since = begins.then(Instant::now)).await
}

/// Waits for one answer that is a whole round trip: nothing of it came before.
pub async fn round_trip<T>(answer: impl Future<Output = T>) -> T {
    let note = |state: &mut State, begins: bool| {
        let begun = std::mem::replace(&mut state.since, begins.then(Instant::now));
        let took = begun.filter(|_| !begins).map(|begun| begun.elapsed());
        state.quickest = state.quickest.into_iter().chain(took).min();
    };
    noting(answer, note).await
}

/// Waits for the use of a connection.
pub async fn turn<T>(turn: impl Future<Output = T>) -> T {
    noting(turn, |state, begins| state.queued = begins).await
}

async fn noting<T>(work: impl Future<Output = T>, note: fn(&mut State, bool)) -> T {
    let Ok(awaited) = AWAITED.try_with(Awaited::clone) else { return work.await };
    awaited.state(|state| note(state, true));
    let done = work.await;
    awaited.state(|state| note(state, false));
    done
}
