//! On a slow link one frame is on its way at a time. Behind it the terminal is asked for its status
//! (`CSI 5 n`), and the next frame is drawn once it has answered (`CSI 0 n`): frames are left out,
//! never keys. A link that is not slow is not asked.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::input::Status;

/// What asks the terminal.
pub const FENCE: &[u8] = b"\x1b[5n";
/// A terminal that has not answered for so long, once it had the time to read what was sent
/// before, never answers.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// The slowest line that is waited for, in bytes per second.
const PACE: u32 = 1_000;
/// What a pseudo-terminal of Linux holds at most.
const LINE: u64 = 20 * 1024;
/// A terminal that takes no output for so long is slow.
const FULL: Duration = Duration::from_millis(250);
/// How often it is looked whether it takes output again.
const RECHECK: Duration = Duration::from_millis(50);
/// Answers within this time are one: some terminals answer twice.
const SETTLE: Duration = Duration::from_millis(20);
/// An answer within this time is quick, and so many in a row are those of a link that is no longer
/// slow.
const QUICK: Duration = Duration::from_millis(100);
const QUICK_ANSWERS: u8 = 5;
/// Who notices the end of a wait so much later was not running.
const STOPPED: Duration = Duration::from_secs(1);
/// How long after a question that has no answer one may still come.
const LATE: Duration = Duration::from_secs(30);
/// How long an answer is waited for when the terminal is left.
const LAST: Duration = Duration::from_secs(1);

/// How fast the way to the terminal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Link {
    /// Slow once the terminal is seen to take no output.
    Auto,
    /// Never slow.
    #[default]
    Fast,
    /// Slow from the start.
    Slow,
}

/// What the thread that reads the terminal shares with the session.
#[derive(Debug, Default)]
pub struct Ear {
    /// When the terminal was last asked, until it answers.
    asked: Mutex<Option<Instant>>,
    awaited: AtomicBool,
    heard: Notify,
}

impl Ear {
    /// Whether an answer may come at `now`.
    pub fn status(&self, now: Instant) -> Status {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if self.awaited.load(Ordering::Acquire) {
            Status::Awaited
        } else if asked.is_some_and(|at| now <= at + LATE) {
            Status::Asked
        } else {
            Status::Unasked
        }
    }

    fn set_asked(&self, asked: Option<Instant>) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = asked;
    }

    /// The terminal has answered.
    pub fn answer(&self) {
        self.set_asked(None);
        self.awaited.store(false, Ordering::Release);
        self.heard.notify_one();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// The next frame may be drawn.
    #[default]
    Open,
    /// The terminal was asked, and has until then to answer.
    Asked { since: Instant, until: Instant },
    /// It has answered, and may do so again until then.
    Answered { until: Instant },
    /// It does not answer.
    Off,
}

/// When the next frame may be drawn.
#[derive(Debug, Default)]
pub struct Fence {
    link: Link,
    ear: Arc<Ear>,
    /// Whether the terminal takes output now; none where that is not looked at.
    takes_output: Option<fn() -> bool>,
    slow: bool,
    state: State,
    /// Bytes that the terminal may not have read yet, and those of them behind the question.
    unread: u64,
    behind: u64,
    /// Since when the terminal takes no output.
    full: Option<Instant>,
    /// How many answers in a row were quick.
    quick: u8,
}

impl Fence {
    /// Of the process's own terminal.
    pub fn new(link: Link) -> Self {
        let takes_output: Option<fn() -> bool> = match link {
            Link::Fast => None,
            Link::Auto | Link::Slow => Some(takes_output),
        };
        Self { link, takes_output, slow: link == Link::Slow, ..Self::default() }
    }

    /// Where answers are heard.
    pub fn ear(&self) -> Arc<Ear> {
        Arc::clone(&self.ear)
    }

    /// Whether the link is slow.
    pub fn is_slow(&self) -> bool {
        self.slow
    }

    /// Whether to ask with the next frame.
    pub fn asks(&self) -> bool {
        let asks = self.slow && self.state == State::Open;
        if asks {
            // Before the terminal can answer.
            self.ear.awaited.store(true, Ordering::Release);
        }
        asks
    }

    /// The terminal was asked, behind so many bytes that were written before `now`.
    pub fn asked(&mut self, bytes: u64, now: Instant) {
        self.unread += bytes;
        self.behind = 0;
        let read = Duration::from_secs(self.unread) / PACE;
        self.state = State::Asked { since: now, until: now + PATIENCE + read };
        self.ear.set_asked(Some(now));
        if !self.ear.awaited.load(Ordering::Acquire) {
            // The answer was quicker.
            self.ear.set_asked(None);
        }
    }

    /// A frame of so many bytes was written before `now`, which took so long; it asks if
    /// [`asks`](Self::asks) said so.
    pub fn drew(&mut self, bytes: u64, took: Duration, now: Instant) {
        match self.state {
            _ if !self.slow && took < FULL => {}
            _ if !self.slow => self.find(),
            State::Open if bytes > 0 => self.asked(bytes, now),
            State::Open => self.ear.awaited.store(false, Ordering::Release),
            _ => {
                self.unread += bytes;
                self.behind += bytes;
            }
        }
    }

    /// The terminal has answered. That nothing was asked, or that it was given up, does not matter.
    pub fn answered(&mut self, now: Instant) {
        let State::Asked { since, .. } = self.state else { return };
        self.unread = self.behind;
        self.state = State::Answered { until: now + SETTLE };
        self.quick = if now < since + QUICK { self.quick + 1 } else { 0 };
        if self.link == Link::Auto && self.quick >= QUICK_ANSWERS {
            self.slow = false;
            self.quick = 0;
        }
    }

    /// Whether a frame may be drawn at `now`.
    pub fn is_open(&mut self, now: Instant) -> bool {
        match self.state {
            State::Asked { until, .. } | State::Answered { until } if now < until => return false,
            State::Asked { until, .. } => {
                self.ear.awaited.store(false, Ordering::Release);
                self.state = if now < until + STOPPED { State::Off } else { State::Open };
            }
            State::Answered { .. } => self.state = State::Open,
            State::Open | State::Off => {}
        }
        self.takes_output.is_none_or(|takes| self.is_taken(takes(), now))
    }

    /// Whether the terminal takes output, and what that says of the link.
    fn is_taken(&mut self, taken: bool, now: Instant) -> bool {
        if taken {
            self.full = None;
            return true;
        }
        let since = *self.full.get_or_insert(now);
        if !self.slow && now >= since + FULL {
            self.find();
        }
        false
    }

    /// The terminal takes no output for long.
    fn find(&mut self) {
        self.slow = self.link == Link::Auto;
        self.unread = LINE;
    }

    /// When to look again whether a frame may be drawn, after `now`.
    pub fn opens(&self, now: Instant) -> Instant {
        match self.state {
            State::Asked { until, .. } | State::Answered { until } => until,
            State::Open | State::Off if self.full.is_some() => now + RECHECK,
            State::Open | State::Off => now,
        }
    }

    /// When the terminal has had its time to answer.
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Asked { until, .. } => Some(until),
            _ => None,
        }
    }

    /// Waits until the terminal is heard.
    pub async fn heard(&self) {
        self.ear.heard.notified().await;
    }

    /// Waits a moment for an answer that is on its way, before the terminal is left: a shell would
    /// take it for keys.
    pub async fn settle(&mut self) {
        if let State::Asked { until, .. } = self.state {
            let _ = timeout_at(until.min(Instant::now() + LAST), self.heard()).await;
        }
        self.reset();
    }

    /// Nothing is known of what was asked before: the terminal was another program's.
    pub fn reset(&mut self) {
        self.ear.awaited.store(false, Ordering::Release);
        self.full = None;
        if self.state != State::Off {
            self.state = State::Open;
        }
    }
}

/// Whether the process's own terminal takes output without a wait.
fn takes_output() -> bool {
    let stdout = io::stdout();
    let mut watched = [PollFd::new(&stdout, PollFlags::OUT)];
    // One that is gone, or cannot be asked, is found by writing.
    !matches!(poll(&mut watched, Some(&Timespec::default())), Ok(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A fence with a terminal that takes output, after its first answer.
    fn slow(now: Instant) -> Fence {
        let mut fence = Fence { link: Link::Slow, slow: true, ..Fence::default() };
        fence.asked(4, now);
        fence.answered(now);
        assert!(!fence.is_open(now) && fence.is_open(now + SETTLE));
        fence
    }

    fn draw(fence: &mut Fence, bytes: u64, now: Instant) {
        assert!(fence.asks());
        fence.drew(bytes, MS, now);
    }

    #[test]
    fn one_frame_is_on_its_way_until_the_terminal_answers() {
        let now = Instant::now();
        let mut fence = slow(now);
        draw(&mut fence, 0, now);
        assert!(
            fence.is_open(now) && fence.ear.status(now) == Status::Unasked,
            "an empty frame asks nothing"
        );
        draw(&mut fence, 1_300, now);
        assert!(!fence.asks() && fence.ear.status(now) == Status::Awaited);
        assert!(!fence.is_open(now + PATIENCE), "1.3 s are the frame's");
        fence.answered(now + PATIENCE);
        assert!(fence.is_open(now + PATIENCE + SETTLE) && fence.asks());
    }

    #[test]
    fn a_second_answer_opens_nothing() {
        let now = Instant::now();
        let mut fence = slow(now);
        draw(&mut fence, 1_300, now);
        fence.answered(now + 900 * MS);
        fence.answered(now + 901 * MS);
        let then = now + 900 * MS + SETTLE;
        assert!(fence.is_open(then));
        fence.answered(then);
        draw(&mut fence, 1_300, then);
        assert!(!fence.is_open(then + SETTLE));
    }

    #[test]
    fn without_an_answer_it_is_off_and_a_late_one_changes_nothing() {
        let now = Instant::now();
        let mut fence = Fence { link: Link::Slow, slow: true, ..Fence::default() };
        fence.asked(0, now);
        fence.drew(600, MS, now);
        assert_eq!(fence.deadline(), Some(now + PATIENCE));
        assert!(!fence.is_open(now + PATIENCE - MS) && fence.is_open(now + PATIENCE));
        fence.answered(now + PATIENCE + MS);
        for step in 2..5 {
            assert!(!fence.asks() && fence.is_open(now + step * PATIENCE));
            fence.drew(1_300, MS, now + step * PATIENCE);
        }
        assert!(fence.is_slow(), "it is still drawn tersely");
    }

    #[test]
    fn fr_050_002_an_answer_that_is_missing_is_expected_for_a_while() {
        let now = Instant::now();
        for late in [true, false] {
            let mut fence = slow(now);
            draw(&mut fence, 1_300, now);
            let given_up = now + 2 * PATIENCE;
            assert!(fence.is_open(given_up) && fence.ear.status(given_up) == Status::Asked);
            if late {
                fence.ear.answer();
                assert_eq!(fence.ear.status(given_up), Status::Unasked);
            }
            assert_eq!(fence.ear.status(now + LATE) == Status::Asked, !late);
            assert_eq!(fence.ear.status(now + LATE + MS), Status::Unasked);
        }
    }

    #[test]
    fn a_process_that_was_stopped_does_not_blame_the_terminal() {
        let now = Instant::now();
        let mut fence = slow(now);
        draw(&mut fence, 1_300, now);
        assert!(fence.is_open(now + 10 * PATIENCE) && fence.asks());
        fence.drew(1_300, MS, now);
        fence.reset();
        assert!(fence.is_open(now) && fence.asks());
    }

    #[test]
    fn a_terminal_that_takes_no_output_is_slow_until_it_answers_quickly() {
        let now = Instant::now();
        let mut fence = Fence { link: Link::Auto, ..Fence::default() };
        assert!(!fence.asks());
        assert!(!fence.is_taken(false, now) && fence.is_taken(true, now + FULL));
        assert!(!fence.is_slow(), "it took it in time");
        assert!(!fence.is_taken(false, now) && !fence.is_taken(false, now + FULL));
        assert!(fence.is_slow() && fence.opens(now) == now + RECHECK);
        assert!(fence.is_taken(true, now + 2 * FULL));
        // The same where it took the beginning of a frame only.
        let mut fence = Fence { link: Link::Auto, ..Fence::default() };
        fence.drew(1_300, FULL / 2, now);
        assert!(!fence.is_slow());
        fence.drew(1_300, FULL, now);
        let mut now = now;
        for _ in 0..QUICK_ANSWERS {
            draw(&mut fence, 1_300, now);
            fence.answered(now + QUICK / 2);
            now += QUICK;
            assert!(fence.is_open(now));
        }
        assert!(!fence.is_slow() && !fence.asks());
    }
}
