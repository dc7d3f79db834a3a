//! `SafeText`: the only form in which foreign text reaches a terminal, a log or a file.

use std::fmt;

/// Text without anything that a terminal would act on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SafeText(String);

impl SafeText {
    /// Cleans `text`.
    pub fn new(text: &str) -> Self {
        Self(text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect())
    }

    /// The cleaned text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// `text`, cleaned and in quotes, for error messages.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", SafeText::new(text))
}
