//! The events between the thread that reads the terminal and the session that takes them. The
//! thread never waits long for the session: a ctrl-c behind other events has to be seen.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::time::Instant;

/// So many events wait before the reading waits for the session.
const LIMIT: usize = 1024;
/// How long it waits, unless the session takes one.
const STALL: Duration = Duration::from_millis(250);
/// How long a ctrl-c waits for the session.
const GRACE: Duration = Duration::from_secs(1);
/// So long after a ctrl-c, one more is a press of its own, and nothing waits for the session. Less
/// lies between keys that were sent together.
const AGAIN: Duration = Duration::from_millis(50);

/// Events in their order.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    taken: Condvar,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Event>,
    interrupt: Interrupt,
    /// Nothing was taken for the time of a stall.
    stalled: bool,
    /// No more events come.
    closed: bool,
    waker: Option<Waker>,
}

impl Queue {
    /// Adds events that came at `now`. Where the session takes none, keys that are too many are
    /// discarded, but no ctrl-c.
    pub(super) fn add(&self, events: impl Iterator<Item = Event>, now: Instant) {
        let mut state = self.lock();
        for event in events {
            if is_interrupt(&event) {
                state.interrupt.came(now, &event);
            } else if state.events.len() >= 2 * LIMIT {
                continue;
            }
            state.events.push_back(event);
        }
        if !state.events.is_empty() {
            state.wake();
        }
    }

    /// Tells that no more events come.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.wake();
    }

    /// The next event; none once it is closed and empty.
    pub(super) fn take(&self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut state = self.lock();
        let Some(event) = state.events.pop_front() else {
            state.waker = Some(context.waker().clone());
            return if state.closed { Poll::Ready(None) } else { Poll::Pending };
        };
        if is_interrupt(&event) {
            state.interrupt.taken = true;
        }
        state.stalled = false;
        self.taken.notify_one();
        Poll::Ready(Some(event))
    }

    /// Waits while it is full, for the time of a stall at most.
    pub(super) fn wait_for_room(&self) {
        let is_full = |state: &mut State| state.events.len() >= LIMIT && !state.stalled;
        let state = self.taken.wait_timeout_while(self.lock(), STALL, is_full);
        let (mut state, waited) = state.unwrap_or_else(PoisonError::into_inner);
        state.stalled |= waited.timed_out();
    }

    /// When a ctrl-c has waited for the session for too long, or one more came.
    pub(super) fn interrupt_due(&self) -> Option<Instant> {
        self.lock().interrupt.due()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// A ctrl-c, which quits: the session may not have taken it, or still be at its end.
#[derive(Debug, Default, Clone, Copy)]
struct Interrupt {
    first: Option<Instant>,
    taken: bool,
    again: Option<Instant>,
}

impl Interrupt {
    fn came(&mut self, now: Instant, event: &Event) {
        let first = *self.first.get_or_insert(now);
        if now >= first + AGAIN && !is_repeat(event) {
            self.again.get_or_insert(now);
        }
    }

    fn due(self) -> Option<Instant> {
        let waited = self.first.filter(|_| !self.taken).map(|at| at + GRACE);
        self.again.or(waited)
    }
}

/// Whether a terminal that can tell says so of a key that is held down.
fn is_repeat(event: &Event) -> bool {
    matches!(event, Event::Key(key) if key.kind == KeyEventKind::Repeat)
}

fn is_interrupt(event: &Event) -> bool {
    matches!(event, Event::Key(key) if key.code == KeyCode::Char('c')
        && key.modifiers == KeyModifiers::CONTROL && key.kind != KeyEventKind::Release)
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyEvent;

    use super::*;

    fn key(character: char, modifiers: KeyModifiers) -> Event {
        Event::Key(KeyEvent::new(KeyCode::Char(character), modifiers))
    }

    fn take(queue: &Queue) -> Option<Event> {
        match queue.take(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_ctrl_c_is_due_after_its_grace_and_a_second_one_at_once() {
        for is_taken in [false, true] {
            let (queue, start) = (Queue::default(), Instant::now());
            let press = |at: Duration, kind: KeyEventKind| {
                let key =
                    KeyEvent { kind, ..KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL) };
                queue.add([Event::Key(key)].into_iter(), start + at);
                queue.interrupt_due().map(|due| due - start)
            };
            assert_eq!(press(Duration::ZERO, KeyEventKind::Press), Some(GRACE));
            // The session takes the first, but has not ended yet.
            let waits = (!is_taken).then_some(GRACE);
            if is_taken {
                assert!(take(&queue).is_some());
            }
            assert_eq!(queue.interrupt_due().map(|due| due - start), waits);
            // What was sent together with it, and a key that is held down, press nothing again.
            assert_eq!(press(AGAIN / 2, KeyEventKind::Press), waits);
            assert_eq!(press(4 * AGAIN, KeyEventKind::Repeat), waits);
            assert_eq!(press(5 * AGAIN, KeyEventKind::Press), Some(5 * AGAIN));
            assert_eq!(press(6 * AGAIN, KeyEventKind::Press), Some(5 * AGAIN));
        }
    }

    #[test]
    fn keys_that_nobody_takes_are_bounded_and_ctrl_c_is_kept() {
        let (queue, now) = (Queue::default(), Instant::now());
        for _ in 0..4 {
            queue.wait_for_room();
            queue.add(std::iter::repeat_n(key('x', KeyModifiers::NONE), LIMIT), now);
        }
        queue.add([key('c', KeyModifiers::CONTROL)].into_iter(), now);
        queue.close();
        let all: Vec<Event> = std::iter::from_fn(|| take(&queue)).collect();
        assert_eq!(all.len(), 2 * LIMIT + 1);
        assert!(all.last().is_some_and(is_interrupt));
    }
}
