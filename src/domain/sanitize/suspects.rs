//! What still looks secret-shaped in a redacted text, although no rule is sure of it.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::rules::cards::luhn;
use super::rules::gates::Gates;
use super::rules::values::is_chosen;
use super::{chance, mask_ranges, outside};

/// Digits of payment cards.
const CARD: Range<usize> = 13..20;
/// The shortest word that is looked at.
const WORD: usize = 12;
/// How far from a word like `password` its value may stand, in bytes.
const REACH: usize = 48;

/// The places of `text`, which is redacted already, that still look like secrets: in bytes,
/// in order, outside of masks. They are for somebody to look at before it is sent.
pub fn suspects(text: &str) -> Vec<Range<usize>> {
    let masked = mask_ranges(text);
    let mut found = Vec::new();
    let mut near = 0;
    for part in outside(&masked, 0..text.len()) {
        cards(text, part.clone(), &mut found);
        drawn(text, part.clone(), &mut found);
        let mut last = "";
        for word in words(text, part) {
            let of = &text[word.clone()];
            let chosen =
                word.start < near && is_chosen(of) && has_digit_or_sign(of) && !is_owner(last, of);
            if is_password_word(of) {
                near = word.end + REACH;
            } else if chosen || is_mixed(of) {
                found.push(word);
            } else if of.ends_with(['.', '!', '?', '\n']) {
                near = 0;
            }
            last = of;
        }
    }
    if text.contains("-----BEGIN") {
        found.extend(BLOCK.iter().flat_map(|block| block.find_iter(text)).map(|at| at.range()));
    }
    merged(&masked, found)
}

/// In order, without overlaps, outside of masks.
fn merged(masked: &[Range<usize>], mut found: Vec<Range<usize>>) -> Vec<Range<usize>> {
    found.sort_by_key(|span| (span.start, span.end));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for span in found.into_iter().flat_map(|span| outside(masked, span)) {
        match merged.last_mut() {
            Some(last) if span.start < last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}

/// Groups of digits that pass the check of payment cards.
fn cards(text: &str, part: Range<usize>, found: &mut Vec<Range<usize>>) {
    let mut start = None;
    let mut end = part.start;
    let mut digits: Vec<u8> = Vec::new();
    for (at, byte) in text[part.clone()].bytes().chain(std::iter::once(b'x')).enumerate() {
        let at = part.start + at;
        if byte.is_ascii_digit() {
            start = start.or(Some(at));
            digits.push(byte - b'0');
            end = at + 1;
        } else if !(matches!(byte, b' ' | b'-') && start.is_some() && end == at) {
            if let Some(start) = start.take()
                && CARD.contains(&digits.len())
                && (2..=6).contains(&digits[0])
                && luhn(&digits)
            {
                found.push(start..end);
            }
            digits.clear();
        }
    }
}

/// Shorter runs than the rules take for chance, and what has the padding of base64.
fn drawn(text: &str, part: Range<usize>, found: &mut Vec<Range<usize>>) {
    let key =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-');
    for run in chance::runs(&text[part.clone()], key, WORD) {
        let run = part.start + run.start..part.start + run.end;
        let word = &text[run.clone()];
        let before = &text[part.start..run.start];
        if chance::is_known(word) || chance::is_called_public(before, word) {
            continue;
        }
        let dotted = before.ends_with('.') || text[run.end..].starts_with('.');
        if is_padded(word) || !dotted && is_forty(word) {
            found.push(run);
            continue;
        }
        let known = chance::ids(word);
        for rest in outside(&known, 0..word.len()) {
            for piece in
                chance::runs(&word[rest.clone()], |byte| byte.is_ascii_alphanumeric(), WORD)
            {
                let piece = rest.start + piece.start..rest.start + piece.end;
                if is_strange(&word[piece.clone()]) {
                    found.push(run.start + piece.start..run.start + piece.end);
                }
            }
        }
    }
}

/// Whether a piece of letters and digits looks drawn: the more so the fewer kinds it has.
fn is_strange(piece: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| piece.bytes().any(|byte| kind(&byte));
    let address =
        |digits: &str| digits.len() <= 16 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if piece.strip_prefix("0x").is_some_and(address) {
        return false;
    }
    let (upper, lower, digit) =
        (has(u8::is_ascii_uppercase), has(u8::is_ascii_lowercase), has(u8::is_ascii_digit));
    if piece.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return piece.len() >= 24 && chance::is_drawn(piece, 0.5);
    }
    match (upper, lower, digit) {
        (true, true, true) => chance::is_drawn(piece, 0.5),
        (_, _, true) => piece.len() >= 16 && chance::is_drawn(piece, 0.55),
        _ => piece.len() >= 16 && chance::is_drawn(piece, 0.55),
    }
}

/// The shape of a secret key of AWS, even where it spells words: forty signs of base64.
fn is_forty(word: &str) -> bool {
    let has = |kind: fn(char) -> bool| word.contains(kind);
    word.len() == 40
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
        && !word.starts_with('/')
        && has(|c| c.is_ascii_uppercase())
        && has(|c| c.is_ascii_lowercase())
        && has(|c| c.is_ascii_digit())
        && chance::is_drawn(word, 0.25)
}

/// Base64 with padding, in whole groups of four.
fn is_padded(word: &str) -> bool {
    let body = word.trim_end_matches('=');
    let has = |kind: fn(char) -> bool| body.contains(kind);
    body.len() < word.len()
        && word.len() - body.len() <= 2
        && word.len().is_multiple_of(4)
        && !body.contains(['=', '-', '_'])
        && has(|c| c.is_ascii_uppercase())
        && has(|c| c.is_ascii_lowercase())
}

/// The words of `part`, without the punctuation around them.
fn words(text: &str, part: Range<usize>) -> impl Iterator<Item = Range<usize>> + '_ {
    let outer = |c: char| c.is_whitespace() || "\"'`“”„«»()[]{}<>,;:=|".contains(c);
    let base = part.start;
    let mut at = 0;
    text[part].split_inclusive(outer).filter_map(move |word| {
        let start = base + at;
        at += word.len();
        let word = word.trim_end_matches(outer);
        (word.len() >= 2).then(|| start..start + word.len())
    })
}

fn is_password_word(word: &str) -> bool {
    if LazyLock::get(&NAMES).is_none() {
        let gates = Gates::of(word);
        if !gates.named() && !gates.has("login") {
            return false;
        }
    }
    NAMES.as_ref().is_some_and(|names| names.is_match(word))
}

/// Whether `word` is who or what has the password: `for db-west-2`.
fn is_owner(last: &str, word: &str) -> bool {
    matches!(last, "for" | "für" | "pour" | "para" | "per" | "voor" | "dla" | "для")
        && word.contains('-')
        && word.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.'))
}

fn has_digit_or_sign(word: &str) -> bool {
    // An escaped sign is no sign.
    let word = word.trim_end_matches("%3D").trim_end_matches("%3A");
    let word = word.trim_end_matches(['!', '?', '*']).trim_start_matches(['#', '*', '~']);
    word.contains(|c: char| c.is_ascii_digit() || "!$%&*#@+=^?~".contains(c))
}

/// Letters of both cases, a digit and a sign, as policies for passwords want them.
fn is_mixed(word: &str) -> bool {
    let has = |kind: fn(char) -> bool| word.contains(kind);
    word.len() >= 8
        && is_chosen(word)
        && has(|c| c.is_ascii_uppercase())
        && has(|c| c.is_ascii_lowercase())
        && has(|c| c.is_ascii_digit())
        && has(|c| "!$%&*#@^?~+".contains(c))
        && !has(|c| matches!(c, '/' | '\\'))
        && !word.contains("$$")
}

/// Words that a password is near to, in the languages of tickets.
static NAMES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^(?i:pass(?:word|wort|wd|phrase|code)?s?|kennwort|kennwörter|pwd?|login|credentials?|zugangsdaten|secret|geheimnis|contrase[nñ]a|clave|mdp|passe|senha|wachtwoord|lösenord|adgangskode|passord|salasana|hasło|heslo|jelszó|parola|şifre|пароль|пароля|pin|token|schlüssel)$|密码|パスワード|비밀번호",
    )
    .ok()
});

/// The start of a block of PEM that is not public.
static BLOCK: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"-----BEGIN (?:[A-BD-OQ-Z0-9][A-Z0-9 ]*|C[A-DF-Z][A-Z0-9 ]*|P[A-TV-Z][A-Z0-9 ]*)-----[^\n]*").ok()
});
