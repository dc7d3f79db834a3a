//! Passwords in sentences: `the password for the admin is Otter-Bay-7`.
//!
//! From the word for a password on, the words of the sentence are read one by one until one
//! says that the value comes now.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::chance;
use super::gates::Gates;
use super::keys::PASSWORD;
use super::remarks::is_remark;
use super::values::{is_chosen, is_ordinary_start};

/// So many words may stand between the word for a password and what is said of it.
const REACH: usize = 9;
/// The longest passphrase in quotes, in bytes.
const PHRASE: usize = 120;

static NAMES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    // Inflected as well: `hasła`, `lösenordet`.
    let names = PASSWORD.join("|").replace(r"\b", r"(?-u:\b)");
    Regex::new(&format!(r"(?i:{names})(?-u:[a-z])?\p{{L}}{{0,4}}")).ok()
});

/// Words after which nothing but the value can come.
const IS: &[&str] = &[
    "is",
    "was",
    "are",
    "be",
    "ist",
    "war",
    "lautet",
    "lauten",
    "sei",
    "est",
    "es",
    "era",
    "è",
    "é",
    "e'",
    "jest",
    "to",
    "je",
    "zní",
    "znie",
    "är",
    "er",
    "oli",
    "luidt",
    "este",
    "становится",
    "это",
    "είναι",
    "=",
    "-",
    "–",
    "—",
    "→",
    "->",
    "=>",
    "equals",
    "reads",
    "becomes",
    "now",
    "jetzt",
    "nun",
    "теперь",
    "σε",
];
/// Words after which a value may come, or a purpose, or an owner.
const MAY: &[&str] = &[
    "to",
    "as",
    "with",
    "auf",
    "mit",
    "zu",
    "à",
    "a",
    "em",
    "til",
    "till",
    "naar",
    "na",
    "на",
    "con",
    "avec",
    "using",
    "via",
    "used",
    "just",
    "still",
    "currently",
    "temporarily",
];
/// Words before whose the password is.
const OF: &[&str] = &[
    "for", "of", "to", "at", "für", "von", "vom", "zum", "zur", "der", "des", "pour", "de", "du",
    "del", "do", "da", "para", "per", "van", "voor", "dla", "do", "для", "от",
];
/// Words between a value and the word for a password that comes after it.
const AS: &[&str] = &["as", "als", "comme", "como", "come", "jako", "как"];
/// Words that say that a password is given.
const SET: &[&str] = &[
    "set",
    "reset",
    "change",
    "changed",
    "changing",
    "update",
    "updated",
    "setting",
    "resetting",
    "setze",
    "setzte",
    "ändere",
    "wurde",
    "geändert",
    "gesetzt",
    "changé",
    "cambiada",
    "cambiata",
    "alterada",
    "gewijzigd",
    "zmienione",
    "изменён",
    "изменен",
    "rotated",
];
/// Words that say what a password should be.
const ASKED: &[&str] = &[
    "characters",
    "chars",
    "digits",
    "letters",
    "bytes",
    "days",
    "hours",
    "length",
    "password",
    "passwords",
    "passphrase",
    "field",
    "policy",
    "zeichen",
    "caractères",
    "caracteres",
];
/// What has a name that begins with the word for a password.
const THINGS: &[&str] = &[
    "policy",
    "policies",
    "hash",
    "hashes",
    "rule",
    "rules",
    "manager",
    "field",
    "check",
    "checks",
    "length",
    "prompt",
    "rotation",
    "expiry",
    "history",
    "protection",
    "file",
    "store",
    "vault",
    "authentication",
    "type",
    "strength",
    "age",
    "complexity",
    "generator",
    "column",
    "validation",
    "writeback",
    "sync",
    "algorithm",
    "version",
    "form",
    "page",
    "richtlinie",
];

/// The passwords in the sentences of `text`.
pub(super) fn spans(text: &str, gates: &Gates<'_>) -> Vec<Range<usize>> {
    if LazyLock::get(&NAMES).is_none() && !gates.password() {
        return Vec::new();
    }
    let names = NAMES.iter().flat_map(|names| names.find_iter(text));
    names
        .flat_map(|name| [value_before(text, name.start()), value_after(text, name.range())])
        .flatten()
        .collect()
}

fn value_after(text: &str, name: Range<usize>) -> Option<Range<usize>> {
    let mut set = was_set(&text[..name.start]);
    // In a few languages words of other meanings say `is`.
    let own = text[name.clone()].to_lowercase();
    let own = [("salasana", "on"), ("has", "to")].iter().find(|(key, _)| own.starts_with(key));
    let mut owned = false;
    let mut at = name.end;
    let mut last = String::new();
    for read in 0..=REACH {
        let rest = &text[at..];
        let start = at + rest.len() - rest.trim_start_matches([' ', '\t', '\u{a0}']).len();
        if start == at {
            return None;
        }
        let sure = (last != "to" || set) && IS.contains(&last.as_str())
            || own.is_some_and(|(_, is)| last == *is)
            || last.ends_with(':');
        if sure && let Some(phrase) = quoted(text, start) {
            return Some(phrase);
        }
        if read == 0
            && let Some(phrase) = quoted(text, start)
            && is_given(&text[name.clone()], &text[phrase.clone()])
        {
            return Some(phrase);
        }
        let length = text[start..].find(char::is_whitespace).unwrap_or(text.len() - start);
        let whole = &text[start..start + length];
        if whole.is_empty() || whole.contains("[redacted") {
            return None;
        }
        let open = whole.len() - whole.trim_start_matches(is_outer).len();
        let word = whole[open..].trim_end_matches(is_outer);
        let word = word.trim_end_matches(['.', '!', '?', ':']);
        let direct = read == 0 || (read == 1 || set) && MAY.contains(&last.as_str());
        if sure && (is_chosen(word) || is_composed(word, last.ends_with(':') && !owned))
            || direct && is_composed(word, !set)
        {
            return Some(start + open..start + open + word.len());
        }
        let lower = whole.to_lowercase();
        if whole.ends_with(['.', '!', '?', ',', ';', ')', '"', '”'])
            || text[start + length..].starts_with(['\n', '\r'])
            || read == 0 && THINGS.contains(&lower.as_str())
        {
            return None;
        }
        set |= SET.contains(&lower.as_str());
        owned |= read == 0 && OF.contains(&lower.as_str());
        last = lower;
        at = start + length;
    }
    None
}

/// The value in `use Otter-Bay-7 as the password`.
fn value_before(text: &str, end: usize) -> Option<Range<usize>> {
    let mut words = text[..end].split(' ').rev().skip(1);
    let mut word = words.next()?;
    if !AS.contains(&word) {
        word = words.next().filter(|_| word.len() <= 7)?;
    }
    let value = words.next().filter(|_| AS.contains(&word))?;
    let value = value.rsplit(char::is_whitespace).next()?.trim_matches(is_outer);
    // It is a part of the text itself.
    let start = value.as_ptr() as usize - text.as_ptr() as usize;
    (is_chosen(value) || is_composed(value, true)).then(|| start..start + value.len())
}

fn is_outer(c: char) -> bool {
    "\\\"'`“”„«»()[]{}<>,;".contains(c)
}

/// Whether the sentence before says that a password is given: `I reset her`.
fn was_set(before: &str) -> bool {
    let sentence = before.rsplit(['.', '\n', ';']).next().unwrap_or_default();
    let words = sentence.split_whitespace().rev().take(6).map(str::to_lowercase);
    words.into_iter().any(|word| SET.contains(&word.as_str()))
}

/// What stands in quotes at `at`, when it can be a passphrase.
fn quoted(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = text[at..].trim_start_matches('\\');
    let start = text.len() - rest.len();
    let open = rest.chars().next()?;
    let close = match open {
        '"' | '\'' | '`' | '”' => open,
        '“' => '”',
        '„' => '“',
        '«' => '»',
        '»' => '«',
        '「' => '」',
        _ => return None,
    };
    let start = start + open.len_utf8();
    let length = text[start..].find([close, '\n']).unwrap_or(text.len() - start);
    let phrase = text[start..start + length].trim_end_matches('\\');
    let letters = phrase.chars().filter(|c| c.is_alphanumeric()).count();
    (letters >= 4 && phrase.len() <= PHRASE && !is_remark(phrase))
        .then(|| start..start + phrase.len())
}

/// Whether what stands in quotes right behind `name` is a password: `passwd 'my pass 77'`. A
/// plain word is rather the name of something, and a remark may say what is asked for.
fn is_given(name: &str, phrase: &str) -> bool {
    let name = name.trim_start_matches('_').to_lowercase();
    let stage = name
        .strip_prefix("pass")
        .map(|rest| rest.trim_start_matches([' ', '_', '-']))
        .is_some_and(|rest| !["w", "ph", "cod", "ord"].iter().any(|kind| rest.starts_with(kind)));
    let words = phrase.split_whitespace().count();
    let asked = |word: &str| ASKED.contains(&word.trim_matches([',', '.']));
    let number = phrase.contains(|c: char| c.is_ascii_digit());
    !stage
        && !name.starts_with("pin")
        && !phrase.to_lowercase().split_whitespace().any(asked)
        && if words > 1 { number || name.contains("phrase") } else { number && is_chosen(phrase) }
}

/// Whether `word` is composed of words and a number, as people make passwords, `Otter-Bay-7`;
/// of both cases, where it is `mixed`.
pub(super) fn is_composed(word: &str, mixed: bool) -> bool {
    let parts = || word.split(['-', '_', '.', '+', '~']);
    let letters = word.chars().filter(|c| c.is_alphabetic()).count();
    let (upper, lower) = (word.contains(char::is_uppercase), word.contains(char::is_lowercase));
    word.len() >= 8
        && letters >= 4
        && lower
        && (upper || !mixed)
        && word.contains(|c: char| c.is_ascii_digit())
        && parts().count() > 1
        && parts().all(|part| !part.is_empty() && part.chars().all(char::is_alphanumeric))
        && !is_ordinary_start(word)
        && chance::ids(word).is_empty()
}
