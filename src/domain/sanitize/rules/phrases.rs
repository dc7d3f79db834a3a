//! Passphrases of several words without quotes: `my passphrase = correct horse battery`.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::gates::Gates;
use super::remarks::{REMARKS, STATES, is_remark};

/// So many words after a verb are a passphrase rather than what is said of one.
const WORDS: usize = 3;
/// Words that are said of passphrases and stand in none, besides those of remarks.
const SAID: &[&str] = &[
    "after",
    "again",
    "always",
    "as",
    "asked",
    "before",
    "being",
    "but",
    "by",
    "copied",
    "correctly",
    "decrypted",
    "derived",
    "during",
    "encrypted",
    "entered",
    "given",
    "incorrectly",
    "kept",
    "known",
    "longer",
    "lost",
    "mistyped",
    "needed",
    "our",
    "passed",
    "read",
    "sent",
    "shared",
    "shorter",
    "supplied",
    "that",
    "their",
    "twice",
    "typed",
    "very",
    "weak",
    "which",
    "while",
    "your",
];

/// The name, then a sign or a verb, then what may be the passphrase up to a sign that ends it.
static NAMED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let name =
        r"(?i:pass[ _-]?phrase|phrase[ _-]de[ _-]passe|frase[ _-]de[ _-](?:paso|contrase(?:n|ñ)a))";
    let verb = r"(?i:(?:(?:is|was|has been|ist|wurde) +)?(?:is|was|now|set to|changed to|reset to|ist|war|lautet|est|es|equals))";
    Regex::new(&format!(
        r#"{name}(?:[ \t]*(?P<sign>=>|:=|==?|:|->)[ \t]*|[ \t]+{verb}:?[ \t]+)(?P<value>[^\s"'`“”„«»<>(){{}}\[\]|;…\\$*][^\r\n\t"“”„«»<>(){{}}\[\]|;…\\]*)"#
    ))
    .ok()
});

/// The passphrases in `text`.
pub(super) fn spans(text: &str, gates: &Gates<'_>) -> Vec<Range<usize>> {
    if LazyLock::get(&NAMED).is_none() && !gates.has("*|phrase|frase") {
        return Vec::new();
    }
    let named = NAMED.iter().flat_map(|named| named.captures_iter(text));
    named
        .filter_map(|captures| {
            let value = captures.name("value")?;
            let phrase = clause(value.as_str());
            is_phrase(phrase, captures.name("sign").is_some())
                .then(|| value.start()..value.start() + phrase.len())
        })
        .collect()
}

/// `text` up to the end of the clause, or to the next pair of a name and a value.
fn clause(text: &str) -> &str {
    let mut end = 0;
    for word in text.split_inclusive(' ') {
        let bare = word.trim_end();
        if end > 0 && (bare.contains('=') || bare.ends_with(':')) {
            break;
        }
        end += word.len();
        if bare.ends_with(['.', '!', '?', ',']) {
            break;
        }
    }
    text[..end].trim_end_matches([' ', '.', '!', '?', ','])
}

/// Whether the words of `phrase` are a passphrase. After a `sign` they are, unless they begin
/// as a remark or with a password of one word.
fn is_phrase(phrase: &str, sign: bool) -> bool {
    let words: Vec<String> = phrase.split_whitespace().map(str::to_lowercase).collect();
    let Some(first) = words.first().filter(|_| words.len() > 1) else { return false };
    if is_remark(phrase) {
        return false;
    }
    if sign {
        return first.chars().count() < 6 || first.chars().all(char::is_alphabetic);
    }
    let said =
        |word: &str| STATES.contains(&word) || REMARKS.contains(&word) || SAID.contains(&word);
    let plain = |word: &str| word.chars().all(|c| c.is_alphanumeric() || "-'’".contains(c));
    words.len() >= WORDS && words.iter().all(|word| plain(word) && !said(word))
}
