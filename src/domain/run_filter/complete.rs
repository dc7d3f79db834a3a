//! Completes the filter language while it is typed.

use std::ops::Range;

use super::{Word, in_quotes_if_needed, parse};
use crate::domain::failure::ReasonCode;
use crate::domain::name_pattern::{Extent, NamePattern};
use crate::domain::operation_type;
use crate::domain::safe_text::clean;

/// The most suggestions at once.
const MAX_SUGGESTIONS: usize = 50;

/// Names that only the caller knows.
#[derive(Debug, Clone, Default)]
pub struct Values {
    /// Operation types that occur, beside those that are known.
    pub types: Vec<String>,
    /// Names of tenants that the operator may see.
    pub tenants: Vec<String>,
    /// Names of workspaces that the operator may see.
    pub workspaces: Vec<String>,
    /// Reason codes that occur, beside those of the registry.
    pub reasons: Vec<String>,
    /// Names of initiators.
    pub initiators: Vec<String>,
}

/// One suggestion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// What it replaces, in characters of the input.
    pub range: Range<usize>,
    /// What to put there.
    pub replacement: String,
    /// What it means, one line, safe to show.
    pub hint: String,
}

/// Suggestions for `input` with the cursor before its character number `cursor`.
pub fn complete(input: &str, cursor: usize, values: &Values) -> Vec<Completion> {
    let typed: Vec<char> = input.chars().take(cursor).collect();
    let (start, value) = place(&typed);
    let Some(value) = value else {
        return words(&typed[start..], start..typed.len());
    };
    let head: String = typed[start..].iter().take_while(|c| **c != ':').collect();
    let Ok(word) = head.to_ascii_lowercase().parse::<Word>() else { return Vec::new() };
    let begun: String = typed[value..].iter().skip_while(|c| **c == '"').collect();
    let range = value..typed.len();
    let Some(begun) = NamePattern::new(&begun, Extent::Start).in_memory() else {
        return Vec::new();
    };
    candidates(word, values)
        .into_iter()
        .filter(|(text, _)| begun.is_match(text))
        .take(MAX_SUGGESTIONS)
        .map(|(replacement, hint)| Completion {
            range: range.clone(),
            replacement: written(word, &replacement),
            hint: clean(&hint).into_owned(),
        })
        .collect()
}

/// Where the word under the cursor starts (after a `!`), and where its last value does.
fn place(typed: &[char]) -> (usize, Option<usize>) {
    let (mut start, mut value) = (0, None);
    let (mut in_quotes, mut escaped) = (false, false);
    for (at, c) in typed.iter().enumerate() {
        if in_quotes {
            in_quotes = escaped || *c != '"';
            escaped = *c == '\\' && !escaped;
            continue;
        }
        match c {
            // Only where a value or a text may start does a quote open one.
            '"' if at == start || value == Some(at) => in_quotes = true,
            '!' if at == start => start = at + 1,
            ':' if value.is_none() => value = Some(at + 1),
            ',' if value.is_some() => value = Some(at + 1),
            c if c.is_whitespace() => (start, value) = (at + 1, None),
            _ => {}
        }
    }
    // What stands in quotes without a word before them is free text.
    (start, value.filter(|_| typed.get(start) != Some(&'"')))
}

fn words(begun: &[char], range: Range<usize>) -> Vec<Completion> {
    let begun: String = begun.iter().collect::<String>().to_ascii_lowercase();
    Word::ALL
        .iter()
        .filter(|word| word.as_str().starts_with(&begun))
        .map(|word| Completion {
            range: range.clone(),
            replacement: format!("{word}:"),
            hint: hint(*word).to_owned(),
        })
        .collect()
}

fn hint(word: Word) -> &'static str {
    match word {
        Word::Status => "state: queued, running, failed, active, ...",
        Word::Outcome => "how it ended",
        Word::Type => "operation type, policy.sync or policy.*",
        Word::Tenant => "tenant, by id or name",
        Word::Workspace => "workspace, by id or name",
        Word::Reason => "reason code of a failure",
        Word::By => "who started it",
        Word::Source => "where the start came from",
        Word::Since => "created at or after: 24h, 7d, 2026-11-20",
        Word::Until => "created before: 24h, 7d, 2026-11-20 (its first moment, UTC)",
        Word::Id => "run number, or several: 10482,10480",
        Word::Fingerprint => "error that one of its failures shares with others",
    }
}

/// Every value that a word may take, with what it means.
fn candidates(word: Word, values: &Values) -> Vec<(String, String)> {
    let mut list: Vec<(String, String)> =
        parse::closed(word).into_iter().map(|text| (text.to_owned(), String::new())).collect();
    let named = |(text, hint): (&str, &str)| (text.to_owned(), hint.to_owned());
    match word {
        Word::Type => {
            list.extend(operation_type::CATALOGUE.iter().map(|kind| named((kind.key, kind.label))))
        }
        Word::Reason => list
            .extend(ReasonCode::ALL.iter().map(|code| named((code.as_str(), code.explanation())))),
        Word::Since | Word::Until => list
            .extend([("1h", "an hour ago"), ("24h", "a day ago"), ("7d", "a week ago")].map(named)),
        _ => {}
    }
    let supplied: &[String] = match word {
        Word::Type => &values.types,
        Word::Tenant => &values.tenants,
        Word::Workspace => &values.workspaces,
        Word::Reason => &values.reasons,
        Word::By => &values.initiators,
        _ => &[],
    };
    for name in supplied {
        if !name.trim().is_empty() && !list.iter().any(|(text, _)| text == name) {
            list.push((name.clone(), String::new()));
        }
    }
    list
}

/// A value as it is written after `word`.
fn written(word: Word, text: &str) -> String {
    let number = text.bytes().all(|byte| byte.is_ascii_digit());
    match word {
        Word::Tenant | Word::Workspace if number => format!("\"{text}\""),
        _ => in_quotes_if_needed(text),
    }
}
