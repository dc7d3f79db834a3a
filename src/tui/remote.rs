//! Data from the service with its age, and the last error beside it.

use chrono::{DateTime, Utc};

use crate::{Error, Result};

/// The last good value of something, when it came, and what went wrong since.
#[derive(Debug, Clone)]
pub struct Remote<T> {
    value: Option<T>,
    at: Option<DateTime<Utc>>,
    error: Option<Error>,
}

/// How the data of a screen stands.
#[derive(Debug, Clone, Copy)]
pub struct State<'a> {
    pub error: Option<&'a Error>,
    /// Whether there is something to show beside it.
    pub has_data: bool,
}

impl<T> Default for Remote<T> {
    fn default() -> Self {
        Self { value: None, at: None, error: None }
    }
}

impl<T> Remote<T> {
    /// Takes an answer: a good one replaces the value, a bad one stands beside it.
    pub fn take(&mut self, answer: Result<T>, now: DateTime<Utc>) {
        match answer {
            Ok(value) => {
                self.value = Some(value);
                self.at = Some(now);
                self.error = None;
            }
            Err(error) => self.error = Some(error),
        }
    }

    /// The value was found to be unchanged.
    pub fn confirm(&mut self, now: DateTime<Utc>) {
        if self.value.is_some() {
            self.at = Some(now);
            self.error = None;
        }
    }

    pub fn value(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// When the last good value came or was confirmed.
    pub fn at(&self) -> Option<DateTime<Utc>> {
        self.at
    }

    /// What went wrong since the last good answer.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    pub fn state(&self) -> State<'_> {
        State { error: self.error(), has_data: self.value.is_some() }
    }
}
