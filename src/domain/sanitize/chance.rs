//! Telling chance from words: what a machine drew has neighbours that no language has.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// For each letter the letters that often follow it in words, names and identifiers of
/// European languages, as bits from `a` on; 96 of 100 pairs in such text are among them.
const NEIGHBOURS: [u32; 26] = [
    0x17e_bd6e, 0x112_4911, 0x01a_4d91, 0x016_4119, 0x1ef_b97d, 0x012_6931, 0x006_4190, 0x000_4111,
    0x2ae_787f, 0x010_4011, 0x004_0110, 0x11c_4939, 0x014_d111, 0x13c_457d, 0x07e_fc2c, 0x01e_c911,
    0x010_0000, 0x11e_755d, 0x11c_c195, 0x11e_4995, 0x00e_b956, 0x000_0111, 0x006_6191, 0x008_0010,
    0x004_e000, 0x000_0010,
];

/// The shortest part that is taken for chance by itself.
const PART: usize = 20;
/// The shortest run that is looked at as a whole.
const RUN: usize = 32;

/// How much of `text` is unlike words, from 0 to about 1: rare pairs of letters, and changes
/// between letters and digits, and from lower to upper case.
fn strangeness(text: &str) -> f32 {
    let strange = text
        .as_bytes()
        .windows(2)
        .filter(|pair| {
            let (a, b) = (pair[0], pair[1]);
            match (a.is_ascii_alphabetic(), b.is_ascii_alphabetic()) {
                (true, true) => {
                    a.is_ascii_lowercase() && b.is_ascii_uppercase() || !is_common(a, b)
                }
                (one, other) => {
                    one != other && (a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric())
                }
            }
        })
        .count();
    #[expect(clippy::cast_precision_loss, reason = "texts are far shorter than 2^23")]
    let share = strange as f32 / text.len().max(1) as f32;
    share
}

fn is_common(a: u8, b: u8) -> bool {
    let [a, b] = [a, b].map(|letter| letter.to_ascii_lowercase().wrapping_sub(b'a'));
    NEIGHBOURS.get(usize::from(a)).is_some_and(|next| next >> b & 1 == 1)
}

/// Whether `text`, ASCII letters, digits and joiners, was drawn rather than written, when at
/// least `least` of it is strange.
pub(super) fn is_drawn(text: &str, least: f32) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    let hex = |upper: bool| {
        text.bytes().all(|b| b.is_ascii_hexdigit() && b.is_ascii_uppercase() <= upper)
    };
    if letters < 4 || distinct(text) < 8 {
        return false;
    }
    if digits > 0 && (hex(false) || hex(true)) {
        // Six of its letters are neighbours of each other in any language.
        return text.len() >= 24;
    }
    let least = if digits == 0 { least + 0.07 } else { least };
    strangeness(text) >= least
}

/// The places of `text` that look like chance: long runs of the characters of keys.
///
/// Our own long values are let through: UUIDs, ULIDs, and identity hashes (exactly 64
/// lower-case hex digits); also what is called a trace, a commit or a checksum.
pub(super) fn spans(text: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    for run in runs(text, is_key, PART) {
        let word = &text[run.clone()];
        if is_known(word) || is_called_public(&text[..run.start], word) {
            continue;
        }
        let known = ids(word);
        for rest in super::outside(&known, 0..word.len()) {
            let part = &word[rest.clone()];
            let start = run.start + rest.start;
            let joins =
                part.bytes().filter(|byte| matches!(byte, b'-' | b'_' | b'/' | b'+')).count();
            let whole = joins * 8 <= part.len();
            if part.len() >= RUN && whole && is_random(part) {
                spans.push(start..start + part.len());
                continue;
            }
            for piece in runs(part, |byte| byte.is_ascii_alphanumeric(), PART) {
                let drawn = &part[piece.clone()];
                let hex = drawn.bytes().all(|byte| byte.is_ascii_hexdigit());
                if (!hex || drawn.len() >= RUN) && is_random(drawn) {
                    // With what it hangs on, up to the parts of a path.
                    let from = part[..piece.start].rfind('/').map_or(0, |at| at + 1);
                    let to = part[piece.end..].find('/').map_or(part.len(), |at| piece.end + at);
                    spans.push(start + from..start + to);
                }
            }
        }
    }
    spans
}

fn is_random(text: &str) -> bool {
    is_drawn(text, 0.5) && !is_known(text)
}

/// Runs of at least `least` bytes that `belongs` takes.
pub(super) fn runs(
    text: &str,
    belongs: fn(u8) -> bool,
    least: usize,
) -> impl Iterator<Item = Range<usize>> + '_ {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let start = at + bytes[at..].iter().take_while(|byte| !belongs(**byte)).count();
            at = start + bytes[start..].iter().take_while(|byte| belongs(**byte)).count();
            if at - start >= least {
                return Some(start..at);
            }
        }
        None
    })
}

fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-')
}

/// An identity hash.
pub(super) fn is_known(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A hex value of a usual length that the word before it calls something public.
pub(super) fn is_called_public(before: &str, word: &str) -> bool {
    if TRACE.as_ref().is_some_and(|trace| trace.is_match(word)) {
        return true;
    }
    let start = word.rfind(|c: char| !c.is_ascii_hexdigit()).map_or(0, |at| at + 1);
    let (label, hex) = word.split_at(start);
    if !matches!(hex.len(), 32 | 40) || hex.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return false;
    }
    let from = before.len().saturating_sub(24);
    let before =
        (from..before.len()).find(|at| before.is_char_boundary(*at)).map_or("", |at| &before[at..]);
    PUBLIC.as_ref().is_some_and(|public| public.is_match(&format!("{before}{label}")))
}

/// The UUIDs and ULIDs in `word`.
pub(super) fn ids(word: &str) -> Vec<Range<usize>> {
    IDS.iter().flat_map(|ids| ids.find_iter(word)).map(|id| id.range()).collect()
}

static IDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let uuid = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}";
    Regex::new(&format!(r"{uuid}|(?-u:\b)[0-7][0-9A-HJKMNP-TV-Z]{{25}}(?-u:\b)")).ok()
});

/// The header `traceparent` of W3C.
static TRACE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$").ok());

static PUBLIC: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let words =
        "trace|span|commit|revision|rev|sha1?|digest|etag|checksum|md5|build|git|head|merge|branch";
    Regex::new(&format!(
        r#"(?i-u:\b(?:x[_-])?(?:{words})(?:[ _-]?id)?)["']?\s*(?:[:=]|is|at|of)?\s*["']?$"#
    ))
    .ok()
});

pub(super) fn distinct(text: &str) -> usize {
    let mut seen = [false; 256];
    text.bytes().for_each(|byte| seen[usize::from(byte)] = true);
    seen.iter().filter(|seen| **seen).count()
}
