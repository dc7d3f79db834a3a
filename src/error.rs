//! The one error type: what a person reads, whether a retry can help, and the exit code.
//!
//! Its text never carries row data, connection strings or a driver's own message, because
//! those can hold secrets. What a driver says is reduced to its stable code.

use std::fmt;

use crate::domain::confirmation::Confirmation;
use crate::domain::database_fault::{Condition, DatabaseFault};

/// What kind of trouble it is; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// It was tried and did not work (exit 1).
    Failed,
    /// The call itself is wrong (exit 2).
    Usage,
    /// A platform user lacks a capability, which the text names (exit 3).
    Forbidden,
    /// It does not exist, or may not be seen: the same answer (exit 4).
    NotFound,
    /// There is no session, or it has ended (exit 4).
    NotLoggedIn,
    /// A rule of the platform refuses it (exit 5).
    Refused,
    /// No active worker supports the type of what was to be started (exit 5).
    NoWorker,
    /// A worker's claim on a run is no longer good (exit 5).
    Lost,
    /// It took too long (exit 6).
    TimedOut,
    /// The database cannot be reached (exit 7).
    Unreachable,
}

/// A failure, in words for the person who reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    fault: Option<Box<DatabaseFault>>,
    uncertain: bool,
    asks: Option<Box<Confirmation>>,
}

/// The result of nearly everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            fault: None,
            uncertain: false,
            asks: None,
        }
    }

    /// A COMMIT was sent and its answer was lost: the change may or may not have been made.
    pub(crate) fn uncertain(kind: ErrorKind, message: impl Into<String>) -> Self {
        let error = Self { uncertain: true, ..Self::new(kind, message) };
        error.hint("the change may or may not have been made; look before you try again")
    }

    /// It was tried and did not work.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    /// The call is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// A rule of the platform refuses it.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Refused, message)
    }

    /// The same answer for what does not exist and for what may not be seen.
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, format!("{what} was not found"))
    }

    /// The actor lacks `capability` (one name, or several joined in words).
    pub fn forbidden(capability: impl fmt::Display) -> Self {
        Self::new(
            ErrorKind::Forbidden,
            format!("forbidden: this needs the capability {capability}"),
        )
        .hint("ask an administrator of the platform for it")
    }

    /// The actor sees some workspaces only, and this touches all of them.
    pub fn restricted() -> Self {
        Self::new(ErrorKind::Forbidden, "forbidden: your view is restricted to some workspaces")
            .hint("ask an administrator who sees all workspaces; this touches the whole platform")
    }

    /// There is no live session.
    pub fn not_logged_in() -> Self {
        Self::new(ErrorKind::NotLoggedIn, "you are not logged in, or your session has ended")
            .hint("log in with: tenantpilot login NAME")
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what the database said of it.
    #[must_use]
    pub(crate) fn with_fault(mut self, fault: DatabaseFault) -> Self {
        self.fault = Some(Box::new(fault));
        self
    }

    /// Adds what confirms the action that was refused.
    #[must_use]
    pub(crate) fn asking(mut self, confirmation: Confirmation) -> Self {
        self.asks = Some(Box::new(confirmation));
        self
    }

    /// What confirms the action, where only that was missing.
    pub fn asks(&self) -> Option<&Confirmation> {
        self.asks.as_deref()
    }

    /// The same failure, told by `message`: what it was, and what the database said, stay.
    #[must_use]
    pub(crate) fn told_as(mut self, message: impl Into<String>) -> Self {
        let cause = std::mem::replace(&mut self.message, message.into());
        self.hint = Some(match self.hint.take() {
            Some(hint) => format!("{cause}; {hint}"),
            None => cause,
        });
        self
    }

    /// What the database said of it, if it was the database's.
    pub fn fault(&self) -> Option<&DatabaseFault> {
        self.fault.as_deref()
    }

    /// The message, and what the database said of it, which is its code and names.
    pub fn full_message(&self) -> String {
        let Some(fault) = self.fault() else { return self.message.clone() };
        let text = format!(" ({fault})");
        if self.message.contains(&text) {
            return self.message.clone();
        }
        // The constraint is among what the database said.
        let rule = fault.constraint.as_ref().map(|rule| format!(" ({rule})"));
        let message = rule.and_then(|rule| self.message.strip_suffix(&rule));
        format!("{}{text}", message.unwrap_or(&self.message))
    }

    /// The condition of the server that it comes from, whoever asks.
    pub fn condition(&self) -> Option<Condition> {
        let reported = self.fault.as_ref().and_then(|fault| fault.condition());
        reported.or((self.kind == ErrorKind::Unreachable).then_some(Condition::Other))
    }

    /// What kind of trouble it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What happened, one line, without what to do next.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do next, if there is something.
    pub fn next_step(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether the change may have been made all the same.
    pub fn is_uncertain(&self) -> bool {
        self.uncertain
    }

    /// Whether a rule refused it, rather than something that broke.
    pub fn is_refusal(&self) -> bool {
        use ErrorKind as K;
        // What the database itself refuses, as for a missing grant, is trouble with it.
        self.fault.is_none()
            && matches!(self.kind, K::Usage | K::Forbidden | K::NotFound | K::Refused | K::NoWorker)
    }

    /// Whether the same call may succeed later without any change.
    pub fn retry_can_help(&self) -> bool {
        matches!(self.kind, ErrorKind::TimedOut | ErrorKind::Unreachable)
            || self.condition().is_some_and(|condition| condition != Condition::Denied)
    }

    /// Whether a worker waits until it is over: a retry can help, or an administrator gives a grant.
    pub fn is_waited_out(&self) -> bool {
        self.kind == ErrorKind::TimedOut || self.condition().is_some()
    }

    /// The process's exit code for it.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            ErrorKind::Failed => 1,
            ErrorKind::Usage => 2,
            ErrorKind::Forbidden => 3,
            ErrorKind::NotFound | ErrorKind::NotLoggedIn => 4,
            ErrorKind::Refused | ErrorKind::NoWorker | ErrorKind::Lost => 5,
            ErrorKind::TimedOut => 6,
            ErrorKind::Unreachable => 7,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
