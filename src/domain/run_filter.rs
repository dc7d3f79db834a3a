//! The filter language of the operations list: `status:failed since:24h "contoso"`.
//!
//! A filter is a list of terms that all must hold. Its canonical text (`Display`) parses to
//! the same filter whatever zone the reader is in, so it can be kept and sent.

mod complete;
mod parse;

use std::fmt;
use std::ops::Range;

use chrono::{
    DateTime, Duration, FixedOffset, NaiveTime, Offset as _, SecondsFormat, Timelike as _, Utc,
};

use super::name_pattern::{Extent, NamePattern};
use super::run::{RunOutcome, Source};
use super::run_state::RunState;
use crate::{Error, text_enum};

pub use complete::{Completion, Values, complete};

/// The longest filter, in characters.
pub const MAX_LENGTH: usize = 500;

text_enum! {
    /// The words a filter knows.
    pub enum Word as "filter word" {
        /// State, in the operator's words.
        Status = "status",
        /// How it ended.
        Outcome = "outcome",
        /// Operation type.
        Type = "type",
        /// Tenant, by id or name.
        Tenant = "tenant",
        /// Workspace, by id or name.
        Workspace = "workspace",
        /// Reason code.
        Reason = "reason",
        /// Who started it.
        By = "by",
        /// Where the start came from.
        Source = "source",
        /// Created at or after.
        Since = "since",
        /// Created before.
        Until = "until",
        /// Run number.
        Id = "id",
        /// Fingerprint of a failure.
        Fingerprint = "fingerprint",
    }
}

text_enum! {
    /// A run's state as operators say it.
    pub enum StatusWord as "status" {
        /// Waiting for a worker, neither paused nor stale.
        Queued = "queued",
        /// Held by a worker.
        Running = "running",
        /// Queued and told to wait.
        Paused = "paused",
        /// Queued for too long.
        Stale = "stale",
        /// Running and asked to stop.
        Cancelling = "cancelling",
        /// Running under a lease that ran out.
        Stuck = "stuck",
        /// Ended well.
        Succeeded = "succeeded",
        /// Ended partly well.
        Partial = "partial",
        /// Ended badly.
        Failed = "failed",
        /// Ended before anything was attempted.
        Blocked = "blocked",
        /// Ended by a cancel.
        Cancelled = "cancelled",
        /// Not ended.
        Active = "active",
        /// Ended, whatever came of it.
        Completed = "completed",
    }
}

impl StatusWord {
    /// Whether a run in `state` is meant. One that is being cancelled, or is stuck, is running
    /// too.
    pub fn covers(self, state: RunState) -> bool {
        match self {
            Self::Queued => state == RunState::Queued,
            Self::Running => {
                matches!(state, RunState::Running | RunState::Cancelling | RunState::Stuck)
            }
            Self::Paused => state == RunState::Paused,
            Self::Stale => state == RunState::Stale,
            Self::Cancelling => state == RunState::Cancelling,
            Self::Stuck => state == RunState::Stuck,
            Self::Succeeded => state == RunState::Succeeded,
            Self::Partial => state == RunState::Partial,
            Self::Failed => state == RunState::Failed,
            Self::Blocked => state == RunState::Blocked,
            Self::Cancelled => state == RunState::Cancelled,
            Self::Active => state.is_active(),
            Self::Completed => !state.is_active(),
        }
    }
}

/// A filter: every term must hold. Empty means everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct RunFilter {
    /// The terms, as they were written.
    pub terms: Vec<Term>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Term {
    /// Whether the condition must *not* hold.
    pub negated: bool,
    /// The condition.
    pub kind: TermKind,
}

/// What a term asks for. A list holds alternatives, at least one, none twice.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TermKind {
    /// `status:`
    Status(Vec<StatusWord>),
    /// `outcome:`
    Outcome(Vec<RunOutcome>),
    /// `type:`
    Type(Vec<Pattern>),
    /// `tenant:`
    Tenant(Vec<IdOrName>),
    /// `workspace:`
    Workspace(Vec<IdOrName>),
    /// `reason:`; any text, for stored codes that this version does not know
    Reason(Vec<Pattern>),
    /// `by:`
    By(Vec<Pattern>),
    /// `source:`
    Source(Vec<Source>),
    /// `since:`, inclusive
    Since(When),
    /// `until:`, exclusive
    Until(When),
    /// `id:`
    Id(Vec<i64>),
    /// `fingerprint:`, of any of its failures
    Fingerprint(Vec<String>),
    /// Free text, to be found anywhere in what the list shows.
    Text(String),
}

/// A text to be met whole or from its start, without regard to the case of the letters A to Z:
/// the one folding that both database engines do alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// The text, as it was written.
    pub text: String,
    /// Whether more may follow (`policy.*`).
    pub prefix: bool,
}

impl Pattern {
    /// The names that are meant.
    pub fn names(&self) -> NamePattern {
        let extent = if self.prefix { Extent::Start } else { Extent::Whole };
        NamePattern::new(&self.text, extent)
    }

    /// Whether `value` is meant.
    pub fn matches(&self, value: &str) -> bool {
        self.names().in_memory().is_some_and(|names| names.is_match(value))
    }
}

/// A tenant or workspace, by its number or its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum IdOrName {
    /// Its id.
    Id(i64),
    /// Its name; a name that is a number is written in quotes.
    Name(Pattern),
}

/// A moment: fixed, or counted back from when it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum When {
    /// So long ago.
    Ago(Duration),
    /// At this moment.
    At(DateTime<Utc>),
}

impl When {
    /// The moment, seen from `now`.
    pub fn resolve(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Ago(ago) => now.checked_sub_signed(ago).unwrap_or(DateTime::<Utc>::MIN_UTC),
            Self::At(at) => at,
        }
    }
}

impl RunFilter {
    /// Reads a filter; a time without an offset is UTC.
    ///
    /// # Errors
    /// The first word that cannot be understood, with its place and what is allowed there.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        Self::parse_in(text, Utc.fix())
    }

    /// The same, where a time without an offset is one of `offset`.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_in(text: &str, offset: FixedOffset) -> Result<Self, FilterError> {
        parse::filter(text, offset)
    }

    /// Its text for a person who reads times in `offset`, and whose filters are read so.
    pub fn shown(&self, offset: FixedOffset) -> String {
        let term = |term: &Term| match (&term.kind, term.kind.word()) {
            // These are never negated.
            (TermKind::Since(when) | TermKind::Until(when), Some(word)) => {
                format!("{word}:{}", when.shown(offset))
            }
            _ => term.to_string(),
        };
        self.terms.iter().map(term).collect::<Vec<_>>().join(" ")
    }

    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }
}

/// What is wrong with a filter, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    /// The word at fault, in characters (not bytes) of the text.
    pub at: Range<usize>,
    /// What is wrong, one line, safe to show.
    pub message: String,
    /// What may stand there; empty where that is not a closed list.
    pub allowed: Vec<&'static str>,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for FilterError {}

impl From<FilterError> for Error {
    fn from(error: FilterError) -> Self {
        let column = error.at.start + 1;
        let text = format!("filter, column {column}: {}", error.message);
        match error.allowed.as_slice() {
            [] => Self::usage(text),
            allowed => Self::usage(text).hint(format!("one of: {}", allowed.join(", "))),
        }
    }
}

impl TermKind {
    /// The word it is written with; none for free text.
    pub fn word(&self) -> Option<Word> {
        Some(match self {
            Self::Status(_) => Word::Status,
            Self::Outcome(_) => Word::Outcome,
            Self::Type(_) => Word::Type,
            Self::Tenant(_) => Word::Tenant,
            Self::Workspace(_) => Word::Workspace,
            Self::Reason(_) => Word::Reason,
            Self::By(_) => Word::By,
            Self::Source(_) => Word::Source,
            Self::Since(_) => Word::Since,
            Self::Until(_) => Word::Until,
            Self::Id(_) => Word::Id,
            Self::Fingerprint(_) => Word::Fingerprint,
            Self::Text(_) => return None,
        })
    }
}

impl fmt::Display for RunFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, term) in self.terms.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            term.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negated {
            f.write_str("!")?;
        }
        if let Some(word) = self.kind.word() {
            write!(f, "{word}:")?;
        }
        match &self.kind {
            TermKind::Status(values) => list(f, values),
            TermKind::Outcome(values) => list(f, values),
            TermKind::Type(values) | TermKind::Reason(values) | TermKind::By(values) => {
                list(f, values)
            }
            TermKind::Tenant(values) | TermKind::Workspace(values) => list(f, values),
            TermKind::Source(values) => list(f, values),
            TermKind::Since(when) | TermKind::Until(when) => when.fmt(f),
            TermKind::Id(values) => list(f, values),
            TermKind::Fingerprint(values) => list(f, values),
            TermKind::Text(text) => f.write_str(&in_quotes_if_needed(text)),
        }
    }
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, values: &[T]) -> fmt::Result {
    for (i, value) in values.iter().enumerate() {
        write!(f, "{}{value}", if i > 0 { "," } else { "" })?;
    }
    Ok(())
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&in_quotes_if_needed(&self.text))?;
        f.write_str(if self.prefix { "*" } else { "" })
    }
}

impl fmt::Display for IdOrName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            // Without quotes it would be read as an id.
            Self::Name(name) if name.text.bytes().all(|byte| byte.is_ascii_digit()) => {
                write!(f, "\"{}\"{}", name.text, if name.prefix { "*" } else { "" })
            }
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ago(ago) => {
                let seconds = ago.num_seconds();
                let (size, unit) = [(86_400, "d"), (3_600, "h"), (60, "m")]
                    .into_iter()
                    .find(|(size, _)| seconds % size == 0)
                    .unwrap_or((1, "s"));
                write!(f, "{}{unit}", seconds / size)
            }
            Self::At(at) if to_the_minute(*at) => write!(f, "{}", at.format("%Y-%m-%dT%H:%MZ")),
            Self::At(at) => f.write_str(&at.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        }
    }
}

impl When {
    /// As it is written where `offset` is the one that times are read in.
    fn shown(self, offset: FixedOffset) -> String {
        let Self::At(at) = self else { return self.to_string() };
        let local = at.with_timezone(&offset).naive_local();
        match local.time() {
            NaiveTime::MIN => local.format("%Y-%m-%d").to_string(),
            _ if to_the_minute(at) => local.format("%Y-%m-%dT%H:%M").to_string(),
            _ => local.format("%Y-%m-%dT%H:%M:%S%.f").to_string(),
        }
    }
}

fn to_the_minute(at: DateTime<Utc>) -> bool {
    at.second() == 0 && at.nanosecond() == 0
}

/// A value as it must be written: in quotes unless it is plainly one word.
fn in_quotes_if_needed(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '@' | '#');
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
