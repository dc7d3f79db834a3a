//! Why somebody starts maintenance: a code of a closed list, and a text.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::confirmation::ReasonRule;
use super::operation_type;
use super::safe_text;
use super::sanitize;
use crate::{Error, Result, text_enum};

/// The longest reason text, in characters.
pub const MAX_REASON: usize = 500;
/// The shortest text where a reason is required, in characters that are not filler.
pub const MIN_REASON: usize = 10;
/// So many different letters or digits such a text has at least.
const MIN_DIFFERENT: usize = 5;
/// So many letters it has at least: digits alone are no reason.
const MIN_LETTERS: usize = 3;
/// Neighbouring keys or letters of the alphabet count for nothing from this length on, inside of
/// a word; no ordinary word holds so many.
const ROW_INSIDE: usize = 5;
/// The same where the whole word is made of such rows.
const ROW_ALONE: usize = 3;
/// Words that fill a field and say nothing.
const FILLER: [&str; 36] = [
    "applicable",
    "as",
    "backfill",
    "bar",
    "baz",
    "because",
    "bla",
    "blah",
    "blub",
    "comment",
    "discussed",
    "dolor",
    "dummy",
    "foo",
    "idk",
    "ipsum",
    "lorem",
    "n/a",
    "na",
    "no",
    "none",
    "not",
    "nothing",
    "ok",
    "placeholder",
    "prune",
    "qux",
    "reason",
    "reconcile",
    "retry",
    "stuff",
    "tbd",
    "test",
    "testing",
    "todo",
    "whatever",
];
/// Keys side by side, and the alphabet.
const ROWS: [&str; 12] = [
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "qsdfghjklm",
    "zxcvbnm",
    "yxcvbnm",
    "1234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "йцукенгшщзхъ",
    "фывапролджэ",
    "ячсмитьбю",
];

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

    /// The same, cleaned and held against the rule.
    ///
    /// # Errors
    /// As [`StartReason::new`].
    pub fn checked(&self, rule: ReasonRule) -> Result<Self> {
        Self::new(self.code, &self.text, rule)
    }

    /// A reason whose text says something: it is cleaned first, so that blanks and invisible
    /// characters alone are refused, and secrets in it are masked. Where a reason is required, it
    /// has at least [`MIN_REASON`] characters that are not filler.
    ///
    /// # Errors
    /// *Usage* for an empty, too short or too long text, filler, or control characters.
    pub fn new(code: StartReasonCode, text: &str, rule: ReasonRule) -> Result<Self> {
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
        if rule.is_required() {
            says_enough(text)?;
        }
        Ok(Self { code, text: text.to_owned() })
    }
}

/// Refuses a text that is too short, or long only by filler.
fn says_enough(text: &str) -> Result<()> {
    let length = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().count();
    let wanted = "say in a few words why this has to be done";
    if length < MIN_REASON {
        return Err(Error::usage(format!(
            "the reason is too short: {length} of at least {MIN_REASON} characters"
        ))
        .hint(wanted));
    }
    let said = without_filler(text);
    let characters: BTreeSet<char> = said.chars().filter(|c| c.is_alphanumeric()).collect();
    let letters = said.chars().filter(|c| c.is_alphabetic()).count();
    if said.chars().count() >= MIN_REASON
        && characters.len() >= MIN_DIFFERENT
        && letters >= MIN_LETTERS
    {
        return Ok(());
    }
    Err(Error::usage(format!(
        "the reason is filler: it needs {MIN_REASON} characters that say something"
    ))
    .hint(format!(
        "{wanted}; repeated characters and words, rows of keys, and digits alone do not count"
    )))
}

/// A text as far as it says something: each word once, without rows of keys; what a word repeats
/// stands in it once.
fn without_filler(text: &str) -> String {
    let folded = text.to_lowercase();
    let mut kept: Vec<String> = Vec::new();
    for word in folded.split_whitespace() {
        let word = without_rows(&unit_of(word));
        let word = word.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
        // Letters and digits in turn, and what the program calls a code or a type, say nothing of why.
        let letters = word.chars().map(char::is_alphabetic).collect::<Vec<_>>();
        let turns = letters.windows(2).filter(|pair| pair[0] != pair[1]).count();
        let empty = (letters.len() >= 6 && turns + 2 >= letters.len())
            || word.to_uppercase().parse::<StartReasonCode>().is_ok()
            || operation_type::find(&word).is_some();
        if !empty && !FILLER.contains(&word.as_str()) && !kept.contains(&word) {
            kept.push(word);
        }
    }
    if kept.iter().all(|word| word.chars().count() < 2) {
        return String::new();
    }
    kept.join(" ")
}

/// The shortest part that a word is made of: `foo` of `foofoofoo`.
fn unit_of(word: &str) -> String {
    let characters: Vec<char> = word.chars().collect();
    let length = characters.len();
    let repeats = |size: usize| (size..length).all(|i| characters[i] == characters[i - size]);
    let size = (1..=length / 2).find(|size| repeats(*size)).unwrap_or(length);
    characters.into_iter().take(size).collect()
}

/// A word without runs of neighbouring keys or letters, forwards or backwards.
fn without_rows(word: &str) -> String {
    let bare: Vec<char> = word.chars().filter(|c| c.is_alphanumeric()).collect();
    let mut left: &[char] = &bare;
    while !left.is_empty() && row_at(left) >= ROW_ALONE {
        left = &left[row_at(left)..];
    }
    if left.is_empty() {
        return String::new();
    }
    let mut rest: &[char] = &word.chars().collect::<Vec<_>>();
    let mut kept = String::new();
    while let Some(first) = rest.first() {
        match row_at(rest) {
            length if length >= ROW_INSIDE => rest = &rest[length..],
            _ => {
                kept.push(*first);
                rest = &rest[1..];
            }
        }
    }
    kept
}

/// How many of the first characters stand side by side in one row.
fn row_at(characters: &[char]) -> usize {
    let along = |row: &[char]| {
        let from = |start: usize| {
            row[start..].iter().zip(characters).take_while(|(key, typed)| key == typed).count()
        };
        (0..row.len()).map(from).max().unwrap_or(0)
    };
    let both = ROWS.iter().map(|row| {
        let there: Vec<char> = row.chars().collect();
        let back: Vec<char> = row.chars().rev().collect();
        along(&there).max(along(&back))
    });
    both.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn new(text: &str, rule: ReasonRule) -> Result<StartReason> {
        StartReason::new(StartReasonCode::Incident, text, rule)
    }

    #[test]
    fn a_reason_has_to_say_something() {
        for rule in [ReasonRule::Optional, ReasonRule::Required] {
            for empty in
                ["", "   ", "\u{200b}\u{200d}", "...", "\u{7}\u{1b}", "bell\u{7}", "\u{1b}[2J"]
            {
                assert!(new(empty, rule).is_err(), "{empty:?}");
            }
            assert!(new(&"rows of the March import ".repeat(21), rule).is_err());
            assert_eq!(
                new("  rows of the \u{202e}March import ", rule).unwrap().text,
                "rows of the March import"
            );
        }
        assert!(new("x", ReasonRule::Optional).is_ok());
    }

    #[test]
    fn a_required_reason_is_ten_characters_that_are_not_filler() {
        for said in [
            "for a trial",
            "fix import",
            "INC-204 db",
            "checkout is down",
            "leaked key",
            "ticket 12345 asks for it",
            "property of the poverty index",
            "Störung beim Kunden",
            "データベースの修復作業です",
        ] {
            assert!(new(said, ReasonRule::Required).is_ok(), "{said}");
        }
        for short in ["a", "ab", "SR-7", "it hangs", "ten chars", "x         y", "        because"]
        {
            let error = new(short, ReasonRule::Required).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.message().contains("too short"), "{short}: {error}");
        }
        for filler in [
            "aaaaaaaaaa",
            "AaAaAaAaAa",
            "x.........",
            "abababababab",
            "1234567890",
            "20261129031500",
            "a1234567890",
            "test test test",
            "Test TEST test!test",
            "testtesttest",
            "foobarfoobar",
            "because because",
            "qwertyuiop",
            "qwertyuiopasdfghjkl",
            "poiuytrewq",
            "asdfghjkl zxcvbnm",
            "abcdefghijkl",
            "asd asd qwe qwe",
            "qsdfghjklm",
            "- - - - - - x",
            "ok ok ok ok ok",
            "asdfqwerzxcv",
            "lorem ipsum dolor",
            "foo bar baz qux",
            "no reason, none",
            "please!!!!!!",
            "testing testing 123",
            "n/a n/a n/a",
            "tbd: todo later",
            "1234 5678 9012",
            "a b c d e f g h i j",
            "йцукенгшщз",
            "a1b2c3d4e5",
            "BACKFILL 56",
            "DATA_REPAIR DATA_REPAIR",
            "findings.lifecycle_backfill",
            "no comment",
            "not applicable",
            "as discussed",
        ] {
            let error = new(filler, ReasonRule::Required).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.message().contains("filler"), "{filler}: {error}");
            assert!(new(filler, ReasonRule::Optional).is_ok(), "{filler}");
        }
    }
}
