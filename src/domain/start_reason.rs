//! Why somebody starts maintenance: a code of a closed list, and a text.

use serde::{Deserialize, Serialize};

use super::safe_text;
use super::sanitize;
use crate::{Error, Result, text_enum};

/// The longest reason text, in characters.
pub const MAX_REASON: usize = 500;

text_enum! {
    /// What kind of reason it is.
    pub enum StartReasonCode as "reason code" {
        /// Wrong data is put right.
        DataRepair = "DATA_REPAIR",
        /// Part of handling an incident.
        Incident = "INCIDENT",
        /// A customer asked.
        Support = "SUPPORT",
        /// A matter of security.
        Security = "SECURITY",
    }
}

/// A recorded reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartReason {
    /// Its kind.
    pub code: StartReasonCode,
    /// In words; cleaned, one line.
    pub text: String,
}

impl StartReason {
    /// A reason as it was typed. Whoever stores it checks it first: the refusal then has its
    /// line in the audit log.
    pub fn as_typed(code: StartReasonCode, text: &str) -> Self {
        Self { code, text: text.to_owned() }
    }

    /// The same, cleaned.
    ///
    /// # Errors
    /// As [`StartReason::new`].
    pub fn checked(&self) -> Result<Self> {
        Self::new(self.code, &self.text)
    }

    /// A reason whose text says something: it is cleaned first, so that blanks and invisible
    /// characters alone are refused, and secrets in it are masked.
    ///
    /// # Errors
    /// *Usage* for an empty or too long text, or one with control characters.
    pub fn new(code: StartReasonCode, text: &str) -> Result<Self> {
        if text.chars().count() > MAX_REASON {
            return Err(Error::usage(format!(
                "the reason is too long: at most {MAX_REASON} characters"
            )));
        }
        if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
            return Err(Error::usage("the reason holds control characters")
                .hint("type it as plain text, without escape sequences"));
        }
        let visible: String = text.chars().filter(|c| !safe_text::is_unseen(*c)).collect();
        let text = sanitize::message(visible.trim());
        let text = text.trim();
        if !text.chars().any(char::is_alphanumeric) {
            return Err(Error::usage("the reason is empty: it has no letter and no digit")
                .hint("say in a few words why this has to be done"));
        }
        Ok(Self { code, text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_to_say_something() {
        let new = |text: &str| StartReason::new(StartReasonCode::Incident, text);
        for empty in ["", "   ", "\u{200b}\u{200d}", "...", "\u{7}\u{1b}", "bell\u{7}", "\u{1b}[2J"]
        {
            assert!(new(empty).is_err(), "{empty:?}");
        }
        assert!(new(&"x".repeat(501)).is_err());
        assert_eq!(
            new("  rows of the \u{202e}March import ").unwrap().text,
            "rows of the March import"
        );
    }
}
