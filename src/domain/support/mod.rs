//! Support: diagnostics of a tenant or a run, and the request for help that carries them.

mod bundle;
mod draft;
mod markdown;
mod prepared;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use bundle::{Bundle, Fact, Item, Section, SectionKey};
pub use draft::{
    Draft, MAX_EMAIL, MAX_MASKS, MAX_NAME, MAX_NOTES, MAX_SUMMARY, Problem, ProblemField,
};
pub use markdown::{bundle_markdown, request_markdown, sent_markdown, title};
pub use prepared::{Evidence, EvidenceRun, Place, Prepared, Subject, Suspect, safe_line};

use super::safe_text::quoted;
use crate::{Error, Result, text_enum};

/// The version of the form in which a request's context is stored.
pub const CONTEXT_SCHEMA_VERSION: i64 = 1;

text_enum! {
    /// How much a request presses.
    #[derive(Default)]
    pub enum Severity as "severity" {
        /// A question, or something that can wait.
        Low = "low",
        /// Work is hindered.
        #[default]
        Normal = "normal",
        /// Work of many is hindered, or a deadline is near.
        High = "high",
        /// Nothing goes on until it is mended.
        Blocking = "blocking",
    }
}

text_enum! {
    /// What goes with a request.
    pub enum AttachmentMode as "attachment mode" {
        /// The diagnostics as they were opened, redacted.
        Snapshot = "diagnostic_snapshot_attached",
        /// Ids, codes and times that say what it is about, nothing more.
        ContextOnly = "canonical_context_only",
    }
}

impl AttachmentMode {
    /// What a person reads of it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Snapshot => "diagnostics attached",
            Self::ContextOnly => "ids and codes only",
        }
    }
}

text_enum! {
    /// What a request is about.
    pub enum PrimaryContext as "primary context" {
        /// A tenant.
        Tenant = "tenant",
        /// A run, and one tenant of it.
        Run = "operation_run",
    }
}

/// What people quote: `SR-` and a ULID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference(ulid::Ulid);

impl Reference {
    /// A new one, made of the time and of chance.
    pub fn new(now: DateTime<Utc>) -> Self {
        let milliseconds = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        Self(ulid::Ulid::from_parts(milliseconds, rand::random()))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("SR-{}", self.0))
    }
}

impl FromStr for Reference {
    type Err = Error;

    /// Reads it as people type it: in either case, with blanks around it.
    fn from_str(text: &str) -> Result<Self> {
        let upper = text.trim().to_ascii_uppercase();
        upper
            .strip_prefix("SR-")
            .filter(|id| id.len() == 26)
            .and_then(|id| ulid::Ulid::from_string(id).ok())
            .map(Self)
            .filter(|reference| reference.to_string() == upper)
            .ok_or_else(|| {
                Error::usage(format!("{} is not a reference of a support request", quoted(text)))
                    .hint("a reference is SR- and 26 digits and letters; support list shows them")
            })
    }
}

impl Serialize for Reference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_people_type_them() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let made = Reference::new(now);
        assert_ne!(made, Reference::new(now));
        assert_eq!(made.to_string().len(), 29);
        assert_eq!(
            format!(" {} ", made.to_string().to_lowercase()).parse::<Reference>().unwrap(),
            made
        );
        for wrong in [
            "",
            "SR-",
            "SR-01J9ZQ4M9QZ6W3J8R5T2Y7XKN",
            "01J9ZQ4M9QZ6W3J8R5T2Y7XKNV",
            "SR-81J9ZQ4M9QZ6W3J8R5T2Y7XKNV",
            "SR-01J9ZQ4M9QZ6W3J8R5T2Y7XKNI",
        ] {
            assert!(wrong.parse::<Reference>().is_err(), "{wrong}");
        }
    }
}
