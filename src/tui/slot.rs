//! What a question is for.

use std::fmt;
use std::time::Duration;

/// What the header says of other things is read at most this often, in milliseconds.
pub const HEADER: u64 = 15_000;

/// Requests of one slot replace each other: one runs, at most one waits. A screen names its own beside what it
/// asks; here are those of the console itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[must_use]
pub struct Slot {
    name: &'static str,
    subject: &'static str,
    kind: Kind,
    follows_hints: bool,
    is_hinted: bool,
    is_aside: bool,
    is_kept: bool,
    /// What a server is asked again and again is read at most this often, however much changes.
    distance_ms: u64,
    holds_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    /// Again and again, or as a change.
    Usual,
    /// Until it is answered; it only reads.
    Once,
    /// The same by what lies over a screen, which asks anew when it is opened.
    Anew,
    /// Until it is answered; the answer leaves something behind, if only in the audit log.
    Made,
    /// The same, and it is work: an earlier answer is gone with the question, and the work with the session.
    Work,
}

impl Slot {
    pub const PLATFORM: Self = Self::new("platform", "the database");
    /// Whether the database takes writes.
    pub const CONDITION: Self = Self::new("condition", "the database").sums().aside(HEADER);
    /// Login and logout.
    pub const SESSION: Self = Self::new("session", "the login");
    /// Signs of life of the person.
    pub const TOUCH: Self = Self::new("touch", "the database");
    /// Remembering the window that was chosen.
    pub const WINDOW: Self = Self::new("window", "the database");
    pub const BREAK_GLASS: Self = Self::new("break-glass", "break-glass").aside(HEADER);
    pub const DRAFTS: Self = Self::new("drafts", "the database");
    /// What a request waits for.
    pub const BLOCKER: Self = Self::new("blocker", "the database");

    /// A slot: its own name, and what is waited for, in words.
    pub const fn new(name: &'static str, subject: &'static str) -> Self {
        Self {
            name,
            subject,
            kind: Kind::Usual,
            follows_hints: true,
            is_hinted: false,
            is_aside: false,
            is_kept: false,
            distance_ms: 2_500,
            holds_ms: None,
        }
    }

    /// Sums over a long time are not asked again at each change.
    pub const fn sums(self) -> Self {
        Self { follows_hints: false, ..self }
    }

    /// Its answer is not awaited, and its answers are so far apart at least.
    pub const fn aside(self, distance_ms: u64) -> Self {
        Self { is_aside: true, distance_ms, ..self }
    }

    /// Hints tell of all that changes its answer.
    pub const fn hinted(self) -> Self {
        Self { is_hinted: true, ..self }
    }

    pub const fn kept(self) -> Self {
        Self { is_kept: true, ..self }
    }

    /// Its answer holds for a few seconds only while nothing changes.
    pub const fn brief(self) -> Self {
        Self { holds_ms: Some(5_000), ..self }
    }

    pub const fn once(self) -> Self {
        Self { kind: Kind::Once, ..self }
    }

    pub const fn anew(self) -> Self {
        Self { kind: Kind::Anew, ..self }
    }

    pub const fn made(self) -> Self {
        Self { kind: Kind::Made, ..self }
    }

    pub const fn work(self) -> Self {
        Self { kind: Kind::Work, ..self }
    }

    pub const fn subject(self) -> &'static str {
        self.subject
    }

    pub fn is_asked_once(self) -> bool {
        self.kind != Kind::Usual
    }

    pub fn is_read_once(self) -> bool {
        matches!(self.kind, Kind::Once | Kind::Anew)
    }

    /// Whether it is asked anew by what is opened over a screen.
    pub fn is_asked_anew(self) -> bool {
        self.kind == Kind::Anew
    }

    pub fn is_work(self) -> bool {
        self.kind == Kind::Work
    }

    /// Whether the database's hints of change make its subscription due at once.
    pub const fn follows_hints(self) -> bool {
        self.follows_hints
    }

    /// Whether hints tell of all that changes its answer.
    pub const fn is_hinted(self) -> bool {
        self.is_hinted
    }

    pub const fn is_aside(self) -> bool {
        self.is_aside
    }

    /// Whether its answer is taken although another was asked meanwhile, where that is of another kind: a page
    /// that was asked for would be lost, or an opening that was audited.
    pub const fn is_kept(self) -> bool {
        self.is_kept
    }

    /// How far apart its answers are at least.
    pub const fn distance(self) -> Duration {
        Duration::from_millis(self.distance_ms)
    }

    /// How long an answer holds while nothing changes, where that is not long.
    pub fn holds(self) -> Option<Duration> {
        self.holds_ms.map(Duration::from_millis)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
