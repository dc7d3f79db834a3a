//! The one writer of JSON: nothing that a terminal would act on, or that a reader could not see,
//! stands in it raw.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::safe_text::is_unseen;
use crate::{Error, Result};

/// `value` as JSON over several lines.
///
/// # Errors
/// *Failed* where it cannot be written as JSON.
#[expect(clippy::disallowed_methods, reason = "this is the writer")]
pub fn text(value: &impl Serialize) -> Result<String> {
    Ok(escaped(&serde_json::to_string_pretty(value).map_err(|_| no_json())?))
}

/// `value` as JSON on one line.
///
/// # Errors
/// As [`text`].
#[expect(clippy::disallowed_methods, reason = "this is the writer")]
pub fn line(value: &impl Serialize) -> Result<String> {
    Ok(escaped(&serde_json::to_string(value).map_err(|_| no_json())?))
}

/// A value, which can always be written, as JSON on one line.
pub fn of_value(value: &Value) -> String {
    escaped(&value.to_string())
}

fn no_json() -> Error {
    Error::failed("the answer cannot be written as JSON")
}

/// Outside of strings JSON has none of these characters; in strings an escape means the same, so
/// a program still reads exactly what is stored.
fn escaped(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        let unsafe_char =
            (c.is_control() && c != '\n') || is_unseen(c) || matches!(c, '\u{2028}' | '\u{2029}');
        if unsafe_char {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a string cannot fail.
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_its_meaning_without_raw_controls() {
        let hostile = "a\u{1b}[31m\u{9b}\u{202e}\u{200b}\u{e0041}\u{2028}\u{7f}b\n";
        for json in [text(&vec![hostile]).unwrap(), line(&vec![hostile]).unwrap()] {
            assert!(
                json.chars().all(|c| c == '\n' || (!c.is_control() && !is_unseen(c))),
                "{json}"
            );
            let back: Vec<String> = serde_json::from_str(&json).unwrap();
            assert_eq!(back, [hostile]);
        }
    }
}
