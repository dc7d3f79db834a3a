//! Redaction: what must not be stored, shown or sent is masked before it gets there.
//!
//! Matching happens on a *shadow* of the text in which nothing can hide: compatibility forms
//! are folded, and marks, invisible characters and escape sequences are gone. The mask is
//! then set into the original. Doubtful cases are masked: a lost word costs an operator a
//! guess, a leaked password costs a customer.

mod also;
mod chance;
mod rules;
mod shadow;
mod suspects;
mod tally;

use std::borrow::Cow;
use std::ops::Range;

use serde::Serialize;

use self::shadow::Shadow;
use super::safe_text::clean;
use crate::text_enum;

pub use also::redact_also;
pub use suspects::suspects;
pub use tally::Tally;

/// The longest sanitised message, in characters.
pub const MAX_MESSAGE: usize = 500;
/// The largest text that is looked at, in bytes; the rest is cut off.
pub const MAX_INPUT: usize = 64 * 1024;
/// Masking can bring new neighbours together; so often at most the text is looked at again.
const MAX_PASSES: usize = 6;

text_enum! {
    /// Why something was masked.
    pub enum Rule as "redaction rule" {
        /// A private key block, whole or in part.
        PrivateKey = "private_key",
        /// The value of an authorisation header, or a bearer token.
        Authorization = "authorization",
        /// The value of a cookie header.
        Cookie = "cookie",
        /// A database or broker address with what is needed to log in.
        ConnectionString = "connection_string",
        /// User name and password in an address.
        UrlCredentials = "url_credentials",
        /// A JSON web token.
        Jwt = "jwt",
        /// A token of a known maker.
        Token = "token",
        /// A value that is called a password.
        Password = "password",
        /// A value that is called a secret, a key or a token.
        Secret = "secret",
        /// An e-mail address.
        Email = "email",
        /// The query of an address.
        Query = "query",
        /// What an operator wanted masked besides.
        Operator = "operator",
        /// A long value that looks like chance.
        Random = "random",
    }
}

impl Rule {
    /// The word for `count` of them, `5 tokens`.
    pub fn counted(self, count: usize) -> String {
        let word = match self {
            Self::PrivateKey => "private key",
            Self::Authorization => "authorization",
            Self::Cookie => "cookie",
            Self::ConnectionString => "connection string",
            Self::UrlCredentials => "login in an address",
            Self::Jwt => "web token",
            Self::Token => "token",
            Self::Password => "password",
            Self::Secret => "secret",
            Self::Email => "e-mail",
            Self::Query => "address query",
            Self::Operator => "passage of the operator's",
            Self::Random => "random value",
        };
        match (self, count) {
            (_, 1) => format!("1 {word}"),
            (Self::UrlCredentials, _) => format!("{count} logins in addresses"),
            (Self::Query, _) => format!("{count} address queries"),
            (Self::Operator, _) => format!("{count} passages of the operator's"),
            _ => format!("{count} {word}s"),
        }
    }

    /// What stands in place of the value, `[redacted:token]`.
    pub fn mask(self) -> &'static str {
        match self {
            Self::PrivateKey => "[redacted:private_key]",
            Self::Authorization => "[redacted:authorization]",
            Self::Cookie => "[redacted:cookie]",
            Self::ConnectionString => "[redacted:connection_string]",
            Self::UrlCredentials => "[redacted:url_credentials]",
            Self::Jwt => "[redacted:jwt]",
            Self::Token => "[redacted:token]",
            Self::Password => "[redacted:password]",
            Self::Secret => "[redacted:secret]",
            Self::Email => "[redacted:email]",
            Self::Query => "[redacted:query]",
            Self::Operator => "[redacted:operator]",
            Self::Random => "[redacted:random]",
        }
    }
}

/// One mask in a redacted text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// Why it is there.
    pub rule: Rule,
    /// Where the mask stands in the redacted text, in bytes.
    pub range: Range<usize>,
}

/// A text without secrets, and where they were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Redacted {
    /// The text with masks.
    pub text: String,
    /// Every mask in it, in order; also those that stood in the input already.
    pub hits: Vec<Hit>,
}

/// A failure's message, fit to be stored and shown: redacted, one line, no control or bidi
/// characters, at most [`MAX_MESSAGE`] characters. Doing it again changes nothing.
pub fn message(text: &str) -> String {
    let mut current = message_once(text);
    for _ in 1..MAX_PASSES {
        let next = message_once(&current);
        if next == current {
            break;
        }
        current = next;
    }
    current
}

fn message_once(text: &str) -> String {
    let redacted = redact_text(text);
    let folded = redacted.split_whitespace().collect::<Vec<_>>().join(" ");
    cut(&clean(&folded), MAX_MESSAGE, |text| text.chars().count(), MAX_MESSAGE * 4).into_owned()
}

/// Masks every secret in `text`, which keeps its lines. Doing it again changes nothing.
pub fn redact(text: &str) -> Redacted {
    found(redact_text(text))
}

fn found(text: String) -> Redacted {
    let hits = hits(&text);
    Redacted { text, hits }
}

fn redact_text(text: &str) -> String {
    let mut text = cut(text, MAX_INPUT, str::len, MAX_INPUT).into_owned();
    for _ in 0..MAX_PASSES {
        let Some(next) = redact_once(&text) else { break };
        text = cut(&next, MAX_INPUT, str::len, MAX_INPUT).into_owned();
    }
    text
}

/// One pass; none where there was nothing to mask.
fn redact_once(text: &str) -> Option<String> {
    let shadow = Shadow::of(text);
    let masked = mask_ranges(text);
    let mut spans: Vec<(Range<usize>, Rule)> = rules::spans(&shadow.text)
        .into_iter()
        .filter(|(span, _)| !is_only_mask(&shadow.text[span.clone()]))
        .flat_map(|(span, rule)| {
            outside(&masked, shadow.origin(&span)).into_iter().map(move |span| (span, rule))
        })
        .flat_map(|(span, rule)| {
            line_by_line(text, span, rule).into_iter().map(move |span| (span, rule))
        })
        .filter(|(span, rule)| {
            *rule == Rule::Password && masked.is_empty()
                || text[span.clone()].contains(char::is_alphanumeric)
        })
        .collect();
    if spans.is_empty() {
        return None;
    }
    // The order of the enum is the order of importance: it names a mask that several made.
    spans.sort_by_key(|(span, _)| span.start);
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    let mut spans = spans.into_iter().peekable();
    while let Some((mut span, mut rule)) = spans.next() {
        while let Some((next, other)) = spans.next_if(|(next, _)| next.start < span.end) {
            span.end = span.end.max(next.end);
            rule = rule.min(other);
        }
        out.push_str(&text[done..span.start]);
        out.push_str(rule.mask());
        done = span.end;
    }
    out.push_str(&text[done..]);
    Some(out)
}

/// Whether nothing but masks, quotes and punctuation is left of a would-be secret.
fn is_only_mask(text: &str) -> bool {
    let mut done = 0;
    let mut rest = String::new();
    for (range, _) in masks(text) {
        rest.push_str(&text[done..range.start]);
        done = range.end;
    }
    rest.push_str(&text[done..]);
    !rest.chars().any(char::is_alphanumeric)
}

/// What is left of `span` without `masks`, which are in order.
fn outside(masks: &[Range<usize>], span: Range<usize>) -> Vec<Range<usize>> {
    let first = masks.partition_point(|mask| mask.end <= span.start);
    let mut parts = Vec::new();
    let mut done = span.start;
    for mask in masks[first..].iter().take_while(|mask| mask.start < span.end) {
        parts.push(done..mask.start.max(done));
        done = mask.end;
    }
    parts.push(done..span.end.max(done));
    parts.retain(|part| !part.is_empty());
    parts
}

/// `span` in pieces that hold no line break, so that the lines of a text keep their numbers;
/// only the block of a private key is one piece.
fn line_by_line(text: &str, span: Range<usize>, rule: Rule) -> Vec<Range<usize>> {
    if rule == Rule::PrivateKey || !text[span.clone()].contains('\n') {
        return vec![span];
    }
    let mut at = span.start;
    let lines = text[span].split_inclusive('\n').map(|line| {
        let start = at + line.len() - line.trim_start().len();
        at += line.len();
        start..start.max(at - (line.len() - line.trim_end().len()))
    });
    lines.filter(|line| !line.is_empty()).collect()
}

/// The masks that stand in a text, in order. In a redacted text, that is all that was masked.
pub fn hits(text: &str) -> Vec<Hit> {
    masks(text).map(|(range, rule)| Hit { rule, range }).collect()
}

/// The masks in `text`.
fn masks(text: &str) -> impl Iterator<Item = (Range<usize>, Rule)> + '_ {
    text.match_indices("[redacted:").filter_map(|(start, _)| {
        let rule = Rule::ALL.iter().find(|rule| text[start..].starts_with(rule.mask()))?;
        Some((start..start + rule.mask().len(), *rule))
    })
}

fn mask_ranges(text: &str) -> Vec<Range<usize>> {
    masks(text).map(|(range, _)| range).collect()
}

/// `text` with at most `max` of what `size` counts, ending in `…` where it was cut; never in
/// the middle of a mask. `cheap` is a number of bytes that is surely needed for the cut.
fn cut(text: &str, max: usize, size: fn(&str) -> usize, cheap: usize) -> Cow<'_, str> {
    if text.len() <= max || (text.len() <= cheap && size(text) <= max) {
        return Cow::Borrowed(text);
    }
    let room = max - size("…");
    let mut end = text
        .char_indices()
        .map(|(at, c)| at + c.len_utf8())
        .scan(0, |used, end| {
            *used += size(&text[end - last_char_len(&text[..end])..end]);
            Some((*used, end))
        })
        .take_while(|(used, _)| *used <= room)
        .last()
        .map_or(0, |(_, end)| end);
    if let Some((mask, _)) = masks(text).find(|(mask, _)| mask.start < end && end < mask.end) {
        end = mask.start;
    }
    Cow::Owned(format!("{}…", text[..end].trim_end()))
}

fn last_char_len(text: &str) -> usize {
    text.chars().next_back().map_or(0, char::len_utf8)
}
