//! Masks in a text, marked so that nobody takes them for what was written.

use std::ops::Range;

use ratatui::text::Span;

use crate::domain::sanitize::Rule;
use crate::tui::look::Look;
use crate::tui::theme::Role;

/// Where masks stand in a text, in bytes.
pub fn masks(text: &str) -> Vec<Range<usize>> {
    let found = text.match_indices("[redacted:").filter_map(|(start, _)| {
        let rule = Rule::ALL.iter().find(|rule| text[start..].starts_with(rule.mask()))?;
        Some(start..start + rule.mask().len())
    });
    found.collect()
}

pub fn spans(look: &Look, role: Role, text: &str) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    let mut done = 0;
    let mut put = |role, piece: &str| {
        if !piece.is_empty() {
            spans.push(look.span(role, piece.to_owned()));
        }
    };
    for mask in masks(text) {
        put(role, text.get(done..mask.start).unwrap_or_default());
        put(Role::Redacted, text.get(mask.clone()).unwrap_or_default());
        done = mask.end;
    }
    put(role, text.get(done..).unwrap_or_default());
    spans
}
