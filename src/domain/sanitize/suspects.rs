//! What still looks secret-shaped in a redacted text, although no rule is sure of it.

use std::ops::Range;

use super::masks;

/// Digits of payment cards.
const CARD: Range<usize> = 13..20;

/// The places of `text`, which is redacted already, that still look like secrets: in bytes,
/// in order, outside of masks. They are for somebody to look at before it is sent.
pub fn suspects(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut done = 0;
    for (mask, _) in
        masks(text).chain(std::iter::once((text.len()..text.len(), super::Rule::Random)))
    {
        cards(text, done..mask.start, &mut found);
        done = mask.end;
    }
    found
}

/// Groups of digits that pass the check of payment cards.
fn cards(text: &str, part: Range<usize>, found: &mut Vec<Range<usize>>) {
    let mut start = None;
    let mut digits: Vec<u8> = Vec::new();
    for (at, c) in text[part.clone()].char_indices().chain(std::iter::once((part.len(), 'x'))) {
        let at = part.start + at;
        if let Some(digit) = c.to_digit(10).and_then(|digit| u8::try_from(digit).ok()) {
            digits.push(digit);
            start = start.or(Some(at));
        } else if !(matches!(c, ' ' | '-') && start.is_some()) {
            if let Some(start) = start.take()
                && CARD.contains(&digits.len())
                && luhn(&digits)
            {
                found.push(start..at);
            }
            digits.clear();
        }
    }
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| u32::from(*digit) << (at % 2))
        .map(|digit| if digit > 9 { digit - 9 } else { digit })
        .sum();
    sum.is_multiple_of(10)
}
