//! Private keys in armour, also those whose end was lost.
//!
//! Where the end is there, all up to it is the key. Where it is not, the key goes on as long
//! as the lines look like its body, so that a log behind it stays readable.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::chance;
use super::values::is_made;

/// The last line of a private key.
pub(super) const END: &str = r"-+[\s+]*END[ A-Z0-9+%_]*PRIVATE[ +%20_]*KEY[ +A-Z%20]*-*";
/// A word of so many characters may be a line of a key.
const LONG: usize = 20;
/// What stands before the body of a key.
const HEADERS: &[&str] = &[
    "Proc-Type:",
    "DEK-Info:",
    "Version:",
    "Comment:",
    "Hash:",
    "Charset:",
    "MessageID:",
    "Subject:",
    "Encryption:",
    "X-",
    "x-",
];

static BEGINS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"-{2,}[\s+]*BEGIN[ A-Z0-9+%_]*PRIVATE[ +%20_]*KEY[ +A-Z%20]*-*").ok()
});
static ENDS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(END).ok());

/// What a line is behind the start of a key: so many of its bytes belong to the key.
enum Line {
    /// And the next line may as well.
    Body(usize),
    /// And the next line does not.
    Other(usize),
}

/// The keys in `text` whose start is there.
pub(super) fn spans(text: &str) -> Vec<Range<usize>> {
    if !text.contains("PRIVATE") {
        return Vec::new();
    }
    let begins: Vec<_> =
        BEGINS.iter().flat_map(|begins| begins.find_iter(text)).map(|at| at.range()).collect();
    let nexts = begins.iter().skip(1).map(|next| next.start).chain([text.len()]);
    begins
        .iter()
        .zip(nexts)
        .map(|(begin, next)| {
            let rest = &text[begin.end..next];
            let end = ENDS.as_ref().and_then(|ends| ends.find(rest));
            begin.start..begin.end + end.map_or_else(|| body(rest), |end| end.end())
        })
        .collect()
}

/// How many bytes of `rest` belong to a key whose end is not in it. What stands in the line of
/// its start does in any case.
fn body(rest: &str) -> usize {
    let mut at = rest.find('\n').unwrap_or(rest.len());
    let mut end = rest[..at].trim_end().len();
    while at < rest.len() {
        let start = at + 1;
        at = rest[start..].find('\n').map_or(rest.len(), |length| start + length);
        match judged(&rest[start..at]) {
            Line::Body(0) => {}
            Line::Body(length) => end = start + length,
            Line::Other(0) => break,
            Line::Other(length) => return start + length,
        }
    }
    end
}

fn judged(line: &str) -> Line {
    let line = line.trim_end();
    let rest = line.trim_start_matches(|c: char| c.is_whitespace() || "\"'`>|*#,+-".contains(c));
    let lead = line.len() - rest.len();
    let run = rest.find(|c| !is_body(c)).unwrap_or(rest.len());
    let (word, after) = rest.split_at(run);
    let end = if run == 0 { 0 } else { lead + run };
    if !after.contains(char::is_alphanumeric) {
        return Line::Body(end);
    }
    let drawn = |word: &str| word.len() >= LONG && chance::is_drawn(word, 0.35);
    let header = HEADERS.iter().any(|header| rest.starts_with(header));
    if header || after.split(|c| !is_body(c)).any(drawn) {
        return Line::Body(line.len());
    }
    let spaced = rest.contains(char::is_whitespace);
    if run > 0 && after.trim_start_matches('\\').starts_with(['"', '\'', '`', '<']) {
        return Line::Other(if !spaced || is_tail(word) { end } else { 0 });
    }
    if !spaced {
        return Line::Body(line.len());
    }
    match (drawn(word), is_tail(word)) {
        (true, _) => Line::Body(end),
        (false, true) => Line::Other(end),
        (false, false) => Line::Other(0),
    }
}

fn is_body(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+/=_-%".contains(c)
}

/// Whether a word at the start of a sentence is the last line of a key.
fn is_tail(word: &str) -> bool {
    word.len() >= 4
        && word.contains(|c: char| c.is_ascii_alphabetic())
        && (is_made(word) || chance::is_drawn(word, 0.4))
}
