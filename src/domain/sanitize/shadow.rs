//! The text as the rules read it: nothing hides in it, and what was escaped is spelled out.

use std::borrow::Cow;
use std::ops::Range;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use crate::domain::safe_text::{REPLACEMENT, is_unseen};

/// The text as the rules read it, and the way back to the original.
pub(super) struct Shadow<'a> {
    /// What the rules read.
    pub text: Cow<'a, str>,
    /// For each byte of the shadow, the bytes of the original that it stands for; empty
    /// where both are the same.
    origins: Vec<(usize, usize)>,
}

impl<'a> Shadow<'a> {
    pub(super) fn of(original: &'a str) -> Self {
        let plain = |byte: u8| {
            matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t')
                && !matches!(byte, b'\\' | b'%' | b'&')
        };
        if original.bytes().all(plain) {
            return Self { text: Cow::Borrowed(original), origins: Vec::new() };
        }
        let mut text = String::with_capacity(original.len());
        let mut origins = Vec::with_capacity(original.len());
        let mut skip_to = 0;
        for (at, c) in original.char_indices() {
            if at < skip_to {
                continue;
            }
            if c == '\u{1b}' {
                skip_to = at + escape_length(&original.as_bytes()[at..]);
                continue;
            }
            if let Some((decoded, length)) = decoded(&original.as_bytes()[at..]) {
                skip_to = at + length;
                text.push(decoded);
                origins.push((at, skip_to));
                continue;
            }
            let hidden = (c.is_control() && !c.is_ascii_whitespace())
                || c == REPLACEMENT
                || is_unseen(c)
                || is_combining_mark(c);
            if hidden {
                continue;
            }
            let before = text.len();
            if c.is_ascii() {
                text.push(c);
            } else {
                text.extend(std::iter::once(c).nfkc().filter(|c| !is_combining_mark(*c)));
            }
            origins.resize(origins.len() + text.len() - before, (at, at + c.len_utf8()));
        }
        Self { text: Cow::Owned(text), origins }
    }

    /// The bytes of the original that `span` of the shadow stands for.
    pub(super) fn origin(&self, span: &Range<usize>) -> Range<usize> {
        match (self.origins.get(span.start), span.end.checked_sub(1)) {
            (Some((start, _)), Some(last)) => *start..self.origins[last].1,
            _ => span.clone(),
        }
    }
}

/// What the escape at the start of `bytes` stands for, and its length: line breaks and signs
/// as JSON, HTML and addresses write them. Only signs that the rules look for are spelled out;
/// quotes of JSON stay escaped, for they may be part of a value.
fn decoded(bytes: &[u8]) -> Option<(char, usize)> {
    match bytes[0] {
        b'\\' => {
            let slashes = bytes.iter().take(8).take_while(|byte| **byte == b'\\').count();
            let c = match bytes.get(slashes)? {
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'/' => '/',
                b'u' => {
                    let c = printable(bytes.get(slashes + 1..slashes + 5)?, 16)?;
                    return Some((c, slashes + 5));
                }
                b'x' => {
                    let c = printable(bytes.get(slashes + 1..slashes + 3)?, 16)?;
                    return Some((c, slashes + 3));
                }
                _ => return None,
            };
            Some((c, slashes + 1))
        }
        b'%' => {
            // Also what was encoded twice or more often.
            let again = bytes[1..].chunks_exact(2).take_while(|pair| *pair == b"25").count();
            let at = 1 + 2 * again;
            let c = printable(bytes.get(at..at + 2)?, 16)?;
            matches!(c, '=' | ':' | '@').then_some((c, at + 2))
        }
        b'&' => {
            let end = 1 + bytes[1..].iter().take(6).position(|byte| *byte == b';')?;
            let c = match &bytes[1..end] {
                b"quot" => '"',
                b"apos" => '\'',
                b"lt" => '<',
                b"gt" => '>',
                b"amp" => '&',
                [b'#', b'x' | b'X', hex @ ..] => printable(hex, 16)?,
                [b'#', digits @ ..] => printable(digits, 10)?,
                _ => return None,
            };
            Some((c, end + 1))
        }
        _ => None,
    }
}

fn printable(digits: &[u8], radix: u32) -> Option<char> {
    let digits = std::str::from_utf8(digits).ok()?;
    let byte = u8::from_str_radix(digits, radix).ok()?;
    (b' '..=b'~').contains(&byte).then_some(char::from(byte))
}

/// Bytes of the escape sequence at the start of `bytes`, at least the escape itself.
fn escape_length(bytes: &[u8]) -> usize {
    if bytes.get(1) != Some(&b'[') {
        return 1;
    }
    let parameters = bytes[2..].iter().take_while(|byte| matches!(byte, 0x20..=0x3f)).count();
    let last = bytes.get(2 + parameters).is_some_and(|byte| matches!(byte, 0x40..=0x7e));
    2 + parameters + usize::from(last)
}
