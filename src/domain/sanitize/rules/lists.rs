//! Lists of codes for a lost second factor: one heading, many short values.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::{chance, mask_ranges};
use super::gates::Gates;

/// More codes than any maker hands out at once.
const MOST: usize = 40;
/// How far behind the heading its colon or line break may stand, in characters.
const REMARK: usize = 48;

/// What lists of such codes are called.
static HEADING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let kinds = "recovery|back-?up|rescue|emergency|scratch|restore|one[ _-]?time|single[ _-]use|2fa|mfa|two[ _-]factor|tan|wiederherstellungs|sicherungs|ersatz|notfall|einmal";
    let of = "codes de (?:secours|r(?:e|é)cup(?:e|é)ration)|c(?:o|ó)digos de (?:recupera(?:ci(?:o|ó)n|(?:c|ç)(?:a|ã)o)|respaldo|reserva)|codici di (?:backup|recupero|ripristino)|herstelcodes|kody (?:zapasowe|odzyskiwania)|リカバリーコード|バックアップコード|恢复代码|备用验证码";
    Regex::new(&format!(r"(?i)(?:{kinds})[ _-]?(?:pass)?(?:codes|keys|schl(?:ue|ü)ssel)|{of}")).ok()
});

/// One of these words is in every heading.
const WORDS: &str = "*|codes|keys|schl|digos|codici|kody";

/// The codes of every list in `text`.
pub(super) fn spans(text: &str, gates: &Gates<'_>) -> Vec<Range<usize>> {
    if LazyLock::get(&HEADING).is_none() && !gates.has(WORDS) {
        return Vec::new();
    }
    let masked = mask_ranges(text);
    let mut spans = Vec::new();
    for heading in HEADING.iter().flat_map(|heading| heading.find_iter(text)) {
        let mut codes = codes(text, heading.end(), &masked);
        if codes.is_empty() {
            let rest = text[heading.end()..].char_indices().take(REMARK);
            let colon = rest.into_iter().find(|(_, c)| matches!(c, ':' | '：' | '\n'));
            if let Some((at, c)) = colon {
                codes = self::codes(text, heading.end() + at + c.len_utf8(), &masked);
            }
        }
        spans.append(&mut codes);
    }
    spans
}

/// The codes that stand one after the other from `at` on.
fn codes(text: &str, mut at: usize, masked: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut codes: Vec<Range<usize>> = Vec::new();
    while codes.len() < MOST {
        if let Some(mask) = masked.iter().find(|mask| mask.start == at) {
            at = mask.end;
            continue;
        }
        let Some(c) = text[at..].chars().next() else { break };
        if c.is_whitespace() || "\\\"'`,;:=|[](){}*•·-–".contains(c) {
            at += c.len_utf8();
            continue;
        }
        let part = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let length = text[at..].find(|c: char| !part(c)).unwrap_or(text.len() - at);
        let word = text[at..at + length].trim_end_matches('-');
        let end = at + word.len();
        // A place in the list, `3.` or `3)`.
        if (1..=2).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit()) {
            let Some(sign) = text[end..].chars().next().filter(|c| matches!(c, '.' | ')' | ':'))
            else {
                break;
            };
            at = end + sign.len_utf8();
            continue;
        }
        if !is_code(word) {
            break;
        }
        codes.push(at..end);
        at = end;
    }
    codes
}

/// A word of four or more characters with a digit that is no date and no id, or parts of one
/// length that no language has.
fn is_code(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let parts: Vec<usize> = word.split('-').map(str::len).collect();
    let date = digits + parts.len() - 1 == word.len() && parts == [4, 2, 2];
    let even = parts.len() > 1 && parts.iter().all(|length| *length >= 3 && *length == parts[0]);
    (4..=40).contains(&word.len())
        && !date
        && chance::ids(word).is_empty()
        && if digits == 0 {
            even && chance::is_drawn(word, 0.3)
        } else {
            word.len() >= 6 || even || digits > 1
        }
}
