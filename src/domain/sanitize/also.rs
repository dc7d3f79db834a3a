//! What an operator wants masked besides what the rules mask: more, never less.

use std::ops::Range;

use super::{MAX_PASSES, Redacted, Rule, Shadow, found, mask_ranges, outside, redact, redact_text};

/// The shortest passage that is masked, in characters.
const MIN_PASSAGE: usize = 2;

/// Like [`redact`], and every occurrence of each of `also` is masked as the operator's own.
///
/// Case, kinds of white space and what hides from the eye make no difference. Passages are
/// trimmed; those of less than two characters are ignored. Every mask of [`redact`] stays.
/// Doing it again changes nothing.
pub fn redact_also(text: &str, also: &[String]) -> Redacted {
    let passages = passages(also);
    if passages.is_empty() {
        return redact(text);
    }
    let mut text = redact_text(text);
    for _ in 0..MAX_PASSES {
        let Some(next) = masked_once(&text, &passages) else { break };
        // Masks bring new neighbours together.
        text = redact_text(&next);
    }
    found(text)
}

/// The passages as they are looked for; with and without what the rules mask in them, for
/// they are looked for in a text that the rules have seen.
fn passages(also: &[String]) -> Vec<Vec<char>> {
    let mut all: Vec<Vec<char>> = Vec::new();
    for passage in also {
        for text in [passage.clone(), redact_text(passage)] {
            let folded = trimmed(Folded::of(&text).chars);
            if folded.len() >= MIN_PASSAGE && !all.contains(&folded) {
                all.push(folded);
            }
        }
    }
    all
}

/// Without the white space at both ends; runs of it are one space already.
fn trimmed(mut folded: Vec<char>) -> Vec<char> {
    folded.pop_if(|last| *last == ' ');
    let blank = usize::from(folded.first() == Some(&' '));
    folded.split_off(blank)
}

/// One pass; none where nothing was found outside of masks.
fn masked_once(text: &str, passages: &[Vec<char>]) -> Option<String> {
    let folded = Folded::of(text);
    let masked = mask_ranges(text);
    let mut spans: Vec<Range<usize>> = passages
        .iter()
        .flat_map(|passage| occurrences(&folded.chars, passage))
        .map(|span| folded.origins[span.start].start..folded.origins[span.end - 1].end)
        .collect();
    spans.sort_by_key(|span| span.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for span in merged.into_iter().flat_map(|span| outside(&masked, span)) {
        if text[span.clone()].trim().is_empty() {
            continue;
        }
        out.push_str(&text[done..span.start]);
        out.push_str(Rule::Operator.mask());
        done = span.end;
    }
    (done > 0).then(|| {
        out.push_str(&text[done..]);
        out
    })
}

/// A text in which only differences that count are left.
struct Folded {
    chars: Vec<char>,
    /// For each character, the bytes of the original that it stands for.
    origins: Vec<Range<usize>>,
}

impl Folded {
    fn of(text: &str) -> Self {
        let shadow = Shadow::of(text);
        let mut chars = Vec::with_capacity(text.len());
        let mut origins: Vec<Range<usize>> = Vec::with_capacity(text.len());
        for (at, c) in shadow.text.char_indices() {
            let origin = shadow.origin(&(at..at + c.len_utf8()));
            if !c.is_whitespace() {
                chars.extend(c.to_lowercase());
                origins.resize(chars.len(), origin);
            } else if chars.last() == Some(&' ') {
                if let Some(last) = origins.last_mut() {
                    last.end = origin.end;
                }
            } else {
                chars.push(' ');
                origins.push(origin);
            }
        }
        Self { chars, origins }
    }
}

/// Every place of `passage` in `text`, also overlapping ones, in linear time (Knuth, Morris
/// and Pratt).
fn occurrences(text: &[char], passage: &[char]) -> Vec<Range<usize>> {
    // How much of the passage's start is also the end of its first n characters.
    let mut borders = vec![0; passage.len()];
    let mut length = 0;
    for at in 1..passage.len() {
        while length > 0 && passage[at] != passage[length] {
            length = borders[length - 1];
        }
        length += usize::from(passage[at] == passage[length]);
        borders[at] = length;
    }
    let mut found = Vec::new();
    let mut length = 0;
    for (at, c) in text.iter().enumerate() {
        while length > 0 && *c != passage[length] {
            length = borders[length - 1];
        }
        length += usize::from(*c == passage[length]);
        if length == passage.len() {
            found.push(at + 1 - length..at + 1);
            length = borders[length - 1];
        }
    }
    found
}
