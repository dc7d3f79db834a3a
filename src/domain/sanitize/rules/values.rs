//! A last look at what a pattern found: whether it can be a secret in its place.

use std::ops::Range;

use super::super::chance;
use super::remarks::{REMARKS, STATES};
use super::sentences::is_composed;

/// What a pattern found, and where.
pub(super) struct Found<'a> {
    /// The text that is looked at.
    pub text: &'a str,
    /// What the whole pattern matched.
    pub whole: Range<usize>,
    /// The part that would be masked.
    pub value: Range<usize>,
}

impl Found<'_> {
    pub(super) fn value(&self) -> &str {
        &self.text[self.value.clone()]
    }

    /// What the pattern matched before the value.
    fn key(&self) -> &str {
        &self.text[self.whole.start..self.value.start]
    }

    /// At most `length` bytes of the same line before the match.
    fn before(&self, length: usize) -> &str {
        let from = self.whole.start.saturating_sub(length);
        let from = (from..=self.whole.start).find(|at| self.text.is_char_boundary(*at));
        let before = from.map_or("", |from| &self.text[from..self.whole.start]);
        before.rsplit('\n').next().unwrap_or_default()
    }

    fn is_quoted(&self) -> bool {
        self.text[..self.value.start].ends_with(['"', '\'', '`', '“', '„', '«'])
    }
}

/// Whether a word after `Bearer` was made by a machine, unlike `Bearer authentication`.
pub(super) fn looks_made(found: &Found<'_>) -> bool {
    is_made(found.value())
}

pub(super) fn is_made(text: &str) -> bool {
    text.len() >= 20 && !text.contains([' ', '.'])
        || text.contains(|c: char| c.is_ascii_digit() || c == '=')
        || text.chars().skip(1).any(|c| c.is_ascii_uppercase())
            && text.contains(|c: char| c.is_ascii_lowercase())
}

/// Whether a word in a sentence about a password is one: it has letters, and digits or signs
/// inside, as no word, time, number, version or name has.
pub(in super::super) fn is_chosen(text: &str) -> bool {
    let word = text.trim_matches(|c: char| !c.is_alphanumeric() && !"!$%&*#@".contains(c));
    let letters = word.chars().filter(|c| c.is_alphabetic()).count();
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let signs = word.chars().filter(|c| "!$%&*#@+=^?~".contains(*c)).count();
    let inner_upper = word.chars().skip(1).any(|c| c.is_ascii_uppercase())
        && word.contains(|c: char| c.is_ascii_lowercase());
    word.chars().count() >= 6
        && letters >= 2
        && (digits > 0 || signs > 0 || inner_upper && !word.contains(['.', '_', '(']))
        && !is_ordinary(word)
}

/// Names of algorithms, measures, times, versions and ids.
pub(super) fn is_ordinary(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    is_ordinary_start(word)
        || !chance::ids(word).is_empty()
        || chance::is_known(word)
        || word.starts_with(|c: char| c.is_ascii_digit()) && is_measure(&lower)
        || word.contains('-') && word.split('-').all(is_word_or_number)
        || word.contains('_') && word.split('_').all(is_word_or_number)
        || word.contains(['/', ':']) && !word.contains(|c: char| "!$%&*#@+=^?~".contains(c))
}

/// Whether `word` begins as names of algorithms and encodings, and masks.
pub(super) fn is_ordinary_start(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let starts = [
        "sha1",
        "sha2",
        "sha3",
        "sha5",
        "sha-",
        "md5",
        "argon2",
        "base64",
        "base32",
        "utf-8",
        "utf8",
        "oauth2",
        "bcrypt",
        "http",
        "aes-",
        "rs256",
        "hs256",
        "es256",
        "[redacted",
    ];
    starts.iter().any(|start| lower.starts_with(start))
}

/// `2026-11-20T10:00:00Z`, `30s`, `12.5ms`, `1.2.3-rc1`.
fn is_measure(text: &str) -> bool {
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    let rest = text.bytes().all(|b| b.is_ascii_alphanumeric() || b":.-+_,%".contains(&b));
    rest && letters <= 4 && text.contains([':', '-', '.'])
        || letters * 2 < text.len() && letters <= 2
}

fn is_word_or_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphabetic())
        || text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a word after `token` or `API key` is one: no name that is joined of words.
pub(super) fn is_direct_secret(found: &Found<'_>) -> bool {
    let value = found.value().trim_end_matches(['.', '!', '?', ':']);
    let joined = value.contains(['-', '_', '.', '/', ':', '(', '=']);
    value.len() >= 10
        && value.contains(|c: char| c.is_ascii_digit())
        && is_chosen(value)
        && (!joined || chance::is_drawn(value, 0.4))
}

/// Whether a part of a path is no word: the secret of a webhook.
pub(super) fn has_made_part(found: &Found<'_>) -> bool {
    found.value().split('/').any(|part| {
        part.len() >= 8
            && part.contains(|c: char| c.is_ascii_digit())
            && part.contains(|c: char| c.is_ascii_alphabetic())
            && !part.split(['-', '_', '.']).all(is_word_or_number)
    })
}

pub(super) fn is_drawn_value(found: &Found<'_>) -> bool {
    found.value().contains(|c: char| c.is_ascii_digit())
        && !is_ordinary(found.value())
        && chance::is_drawn(found.value(), 0.45)
}

pub(super) fn chosen(found: &Found<'_>) -> bool {
    is_chosen(found.value())
}

/// Whether a list of `Key=value;` holds something to log in with.
pub(super) fn has_key(found: &Found<'_>) -> bool {
    let text: String = found.value().to_ascii_lowercase().replace(' ', "");
    [
        "password=",
        "pwd=",
        "accountkey=",
        "sharedaccesskey=",
        "sharedaccesssignature=",
        "secret=",
        "apikey=",
        "token=",
    ]
    .iter()
    .any(|key| text.contains(key))
}

pub(super) fn is_secret_value(found: &Found<'_>) -> bool {
    let value = found.value();
    let word = value.trim_end_matches([',', ';', '.', ')', '}', ']', '!', '?', ':']);
    // A lone ellipsis is where an earlier cut ended.
    if word.is_empty()
        || word == "…"
        || !word.contains(|c: char| c.is_alphanumeric()) && !is_signs(word)
    {
        return false;
    }
    let lower = word.to_ascii_lowercase();
    let quoted = found.is_quoted();
    if STATES.contains(&lower.as_str()) || is_placeholder(word) {
        return false;
    }
    if !quoted {
        let first = lower.split([',', ';', '.']).next().unwrap_or_default();
        if REMARKS.contains(&lower.as_str())
            || STATES.contains(&first)
                && lower.len() > first.len()
                && !found.text[found.value.end..].starts_with(['&', '"'])
                && lower[first.len()..].starts_with([',', ';'])
        {
            return false;
        }
    }
    !is_harmless_key(found, word, quoted)
}

/// A value of nothing but signs, more than a row of stars.
fn is_signs(word: &str) -> bool {
    word.len() >= 6 && chance::distinct(word) >= 4
}

/// What stands where a secret was or will be.
pub(super) fn is_placeholder(word: &str) -> bool {
    let inner = word.trim_matches(['<', '>', '[', ']', '{', '}', '(', ')', '*', '%', ' ', '$']);
    let lower = inner.to_ascii_lowercase();
    let dollar = word.strip_prefix('$').is_some_and(|name| {
        name.len() >= 3
            && name.bytes().all(|byte| byte.is_ascii_uppercase() || b"{}_".contains(&byte))
    });
    dollar
        || word.starts_with("${") && word.ends_with('}')
        || word.starts_with("{{")
        || word.starts_with("%(")
        || word.starts_with("process.env.")
        || word.starts_with("os.environ")
        || word.starts_with("os.getenv")
        || word.starts_with("env!(")
        || word.len() >= 3 && lower.bytes().all(|byte| byte == b'x')
        || word != inner
            && matches!(
                lower.as_str(),
                "filtered"
                    | "redacted"
                    | "masked"
                    | "hidden"
                    | "removed"
                    | "s"
                    | "d"
                    | "v"
                    | "string"
                    | "your-password"
                    | "password"
                    | "token"
            )
        || matches!(lower.as_str(), "filtered" | "masked" | "&str" | "optional")
        || matches!(word, "Option" | "SecretString" | "String" | "Box" | "Vec" | "Into" | "impl")
}

/// What names of errors about secrets begin with.
const ERRORS: &[&str] =
    &["invalid", "expired", "missing", "malformed", "bad", "unknown", "unsupported", "revoked"];

/// Keys that are no names of secrets in their place.
fn is_harmless_key(found: &Found<'_>, word: &str, quoted: bool) -> bool {
    let key = found.key().trim_start_matches(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric());
    let key = key.to_ascii_lowercase();
    let before = found.before(24).to_ascii_lowercase();
    let number = word.bytes().all(|byte| byte.is_ascii_digit() || byte == b' ' || byte == b',');
    if key.starts_with("token")
        && (before.ends_with("unexpected ") || before.ends_with("publickey"))
    {
        return true;
    }
    // A path of a program, `password::hash`.
    if word.starts_with(':') {
        return true;
    }
    // The name of an error: `InvalidToken: lifetime`.
    let error = before.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    if ERRORS.iter().any(|start| error.starts_with(start)) && !quoted && !is_made(word) {
        return true;
    }
    // A count: `tokens: 12`.
    let plural = key.trim_end_matches(|c: char| !c.is_ascii_alphabetic()).ends_with('s')
        && !key.starts_with("pass:")
        && !key.starts_with("pass=")
        && !key.contains("codes");
    if number && !quoted && (plural || before.ends_with("max_") || before.ends_with("max ")) {
        return true;
    }
    // `pass` alone is more often a stage than a password.
    let alone = key.starts_with("pass")
        && !key.contains(" pass:")
        && !key[4..].starts_with(|c: char| c.is_ascii_alphabetic());
    if alone && !quoted && !before.contains("user") && !before.contains("login") {
        let stage = before.ends_with(' ') && word.bytes().all(|byte| byte.is_ascii_lowercase());
        return number
            || stage
            || matches!(word.to_ascii_lowercase().as_str(), "done" | "finished" | "one" | "two")
            || word.starts_with("test")
            || !is_made(word) && word.len() < 6;
    }
    if key.starts_with("pin") {
        return !number && !is_made(word);
    }
    let code = key.contains("code") && !key.contains("verifier");
    if code && !key.starts_with("pass") {
        return !(number && word.len() >= 4 || is_made(word));
    }
    let bare = key.strip_prefix('_').unwrap_or(&key).strip_prefix("session");
    if bare.is_some_and(|rest| !rest.starts_with(['_', '-', 'i', 'c', 's'])) {
        return word.len() < 8 || !is_made(word) || is_ordinary(word);
    }
    if key.starts_with("seed") {
        return number || word.len() < 12 && !quoted;
    }
    if key.starts_with("clave") || key.starts_with("assertion") || key.starts_with("on") {
        return !is_made(word);
    }
    false
}

/// The second of two arguments or of a pair, the first being a name; not the next name in a
/// list of names.
pub(super) fn is_argument(found: &Found<'_>) -> bool {
    let key = found.key();
    let call = key.contains('(') || key.contains(";s:") || key.contains("; s:");
    let before = found.before(60);
    let before = before
        .trim_end_matches(|c: char| c.is_ascii_alphanumeric() || "_.-".contains(c))
        .trim_end_matches(['\\', '"', '\'', '`'])
        .trim_end_matches('b')
        .trim_end();
    let pair = before.ends_with(['(', '{']) || before.ends_with('[') && is_chosen(found.value());
    (call || pair) && is_secret_value(found)
}

/// What follows an address and a name in a call that connects; or anything that was chosen.
pub(super) fn is_third_argument(found: &Found<'_>) -> bool {
    let arguments = found.key().split_once('(').map_or("", |(_, arguments)| arguments);
    let address = arguments.contains([':', '=', '.', '@', '#']) || arguments.contains("localhost");
    is_chosen(found.value())
        || is_composed(found.value(), true)
        || address && is_secret_value(found) && !is_ordinary(found.value())
}

/// A number that is a code: not a year, a status or a count of something.
pub(super) fn is_code(found: &Found<'_>) -> bool {
    let key = found.key().to_ascii_lowercase();
    let digits = found.value().bytes().filter(u8::is_ascii_digit).count();
    let after = found.text[found.value.end..].trim_start_matches(' ');
    let named =
        key.contains("code") || key.contains("pin") || key.contains("otp") || key.contains("tan");
    let counted = after.starts_with(|c: char| c.is_ascii_lowercase())
        && !after.starts_with("is ")
        && !after.starts_with("was ")
        && !after.starts_with("to ")
        && !after.starts_with("and ")
        && !after.starts_with("for ")
        && !after.starts_with("on ")
        && !after.starts_with("expires");
    named && digits >= 4 && !counted && !after.starts_with('-')
}

/// Whether a short word after `API key` was made by a machine: letters and digits take turns.
pub(super) fn is_short_key(found: &Found<'_>) -> bool {
    let value = found.value();
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let turn = |pair: &&[u8]| pair[0].is_ascii_digit() != pair[1].is_ascii_digit();
    let turns = value.as_bytes().windows(2).filter(turn).count();
    let mut after = found.text[found.value.end..].chars();
    let joined = after.next().is_some_and(|c| "-_./:@".contains(c))
        && after.next().is_some_and(char::is_alphanumeric);
    digits >= 2
        && value.len() >= digits + 2
        && turns >= 3
        && !joined
        && !is_ordinary(value)
        && !found.before(24).to_ascii_lowercase().ends_with("unexpected ")
}

pub(super) fn is_flag_value(found: &Found<'_>) -> bool {
    let value = found.value();
    // A word in quotes that something is said of: `password 'field' is missing`.
    let after = found.text[found.value.end..].trim_start_matches(['\\', '"', '\'']);
    if found.is_quoted()
        && REMARKS.contains(&value.to_ascii_lowercase().as_str())
        && [" is ", " was ", " must ", " has ", " cannot "]
            .iter()
            .any(|said| after.starts_with(said))
    {
        return false;
    }
    !value.starts_with(['-', '|', '<', '>', '=']) && is_secret_value(found)
}
