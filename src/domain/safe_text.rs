//! `SafeText`: the only form in which foreign text reaches a terminal, a log or a file.
//!
//! Cleaning never hides that something was there: what a terminal could act on, or what a
//! reader could not see, becomes `�`; a line break becomes `␊`; a tab becomes a space.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde::{Serialize, Serializer};
use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Stands for what was taken out.
pub const REPLACEMENT: char = '\u{fffd}';
/// Stands for a line break inside one line.
pub const LINE_BREAK: char = '␊';
/// How many replacements in a row are kept; more would only let a hostile text push the
/// rest off the screen.
const MAX_REPLACEMENTS: usize = 3;
/// How many combining marks one base character may carry.
const MAX_MARKS: usize = 4;
/// The longest quotation in an error message, in columns.
const MAX_QUOTED: usize = 80;

/// Text without anything that a terminal would act on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SafeText(String);

impl SafeText {
    /// Cleans `text` to one line. Cleaning clean text changes nothing.
    pub fn new(text: &str) -> Self {
        Self(clean(text).into_owned())
    }

    /// Cleans bytes that should be UTF-8; each invalid sequence shows as `�`.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self::new(&String::from_utf8_lossy(bytes))
    }

    /// Cleans a text of several lines, one item per line, at most `max_lines` items.
    ///
    /// Where lines are left out, the last item says how many.
    pub fn lines(text: &str, max_lines: usize) -> Vec<Self> {
        let total = text.lines().count();
        if total <= max_lines {
            return text.lines().map(Self::new).collect();
        }
        let Some(kept) = max_lines.checked_sub(1) else { return Vec::new() };
        let mut lines: Vec<Self> = text.lines().take(kept).map(Self::new).collect();
        lines.push(Self(format!("… {} more lines", total - kept)));
        lines
    }

    /// The cleaned text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many columns it takes on a terminal.
    pub fn width(&self) -> usize {
        if self.0.is_ascii() { self.0.len() } else { self.0.graphemes(true).map(columns).sum() }
    }

    /// At most `max_columns` columns of it; ends in `…` where something was cut off.
    #[must_use]
    pub fn truncated(&self, max_columns: usize) -> Self {
        self.cut(max_columns, '…')
    }

    /// Like [`SafeText::truncated`], for terminals without line drawing: ends in `~`.
    #[must_use]
    pub fn truncated_ascii(&self, max_columns: usize) -> Self {
        self.cut(max_columns, '~')
    }

    fn cut(&self, max_columns: usize, mark: char) -> Self {
        if self.width() <= max_columns {
            return self.clone();
        }
        let Some(room) = max_columns.checked_sub(1) else { return Self::default() };
        let mut used = 0;
        let mut kept = String::with_capacity(room + mark.len_utf8());
        for cluster in self.0.graphemes(true) {
            used += columns(cluster);
            if used > room {
                break;
            }
            kept.push_str(cluster);
        }
        kept.push(mark);
        Self(kept)
    }
}

/// Columns of one grapheme cluster.
fn columns(cluster: &str) -> usize {
    cluster.width()
}

impl fmt::Display for SafeText {
    /// Pads and cuts by columns, not by characters, so that tables stay aligned.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut;
        let shown = match f.precision() {
            Some(max) => {
                cut = self.truncated(max);
                &cut
            }
            None => self,
        };
        let missing = f.width().unwrap_or(0).saturating_sub(shown.width());
        let before = match f.align() {
            Some(fmt::Alignment::Right) => missing,
            Some(fmt::Alignment::Center) => missing / 2,
            Some(fmt::Alignment::Left) | None => 0,
        };
        let fill = f.fill();
        for _ in 0..before {
            f.write_char(fill)?;
        }
        f.write_str(&shown.0)?;
        for _ in before..missing {
            f.write_char(fill)?;
        }
        Ok(())
    }
}

impl From<&str> for SafeText {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl AsRef<str> for SafeText {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Serialize for SafeText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// `text`, cleaned, capped and in quotes, for error messages.
pub fn quoted(text: &str) -> String {
    // Bounded before the work, so that a megabyte on a command line costs nothing.
    let end = text.char_indices().nth(MAX_QUOTED * 8).map_or(text.len(), |(at, _)| at);
    format!("\"{}\"", SafeText::new(&text[..end]).truncated(MAX_QUOTED))
}

/// The cleaned form of `text`; borrowed where nothing had to change.
pub fn clean(text: &str) -> Cow<'_, str> {
    let plain = text.bytes().take_while(|byte| matches!(byte, b' '..=b'~')).count();
    if plain == text.len() {
        return Cow::Borrowed(text);
    }
    let mut cleaner = Cleaner::after_ascii(&text[..plain], text.len());
    let mut rest = text[plain..].chars().peekable();
    while let Some(c) = rest.next() {
        // A carriage return before a line feed is one line break, not two.
        if !(c == '\r' && rest.peek() == Some(&'\n')) {
            cleaner.push(c);
        }
    }
    if cleaner.out == text { Cow::Borrowed(text) } else { Cow::Owned(cleaner.out) }
}

/// The state of one cleaning pass.
struct Cleaner {
    out: String,
    /// Replacements written in a row.
    replaced: usize,
    /// Marks on the current base; at the limit where there is no base to carry one.
    marks: usize,
}

impl Cleaner {
    fn after_ascii(start: &str, capacity: usize) -> Self {
        let mut out = String::with_capacity(capacity);
        out.push_str(start);
        Self { out, replaced: 0, marks: if start.is_empty() { MAX_MARKS } else { 0 } }
    }

    fn push(&mut self, c: char) {
        match Class::of(c) {
            Class::Shown(c) => {
                self.out.push(c);
                self.replaced = 0;
                self.marks = 0;
            }
            Class::Mark if self.marks < MAX_MARKS => {
                self.out.push(c);
                self.replaced = 0;
                self.marks += 1;
            }
            Class::Mark => self.replace(REPLACEMENT),
            Class::Replaced(with) => self.replace(with),
        }
    }

    fn replace(&mut self, with: char) {
        if self.replaced < MAX_REPLACEMENTS {
            self.out.push(with);
        }
        self.replaced += 1;
        // A mark on a replacement would be one more hidden difference.
        self.marks = MAX_MARKS;
    }
}

/// What becomes of one character.
enum Class {
    Shown(char),
    Mark,
    Replaced(char),
}

impl Class {
    fn of(c: char) -> Self {
        match c {
            ' '..='~' => Self::Shown(c),
            '\t' => Self::Shown(' '),
            '\n' | '\u{2028}' | '\u{2029}' | LINE_BREAK => Self::Replaced(LINE_BREAK),
            REPLACEMENT => Self::Replaced(REPLACEMENT),
            _ if c.is_control() || is_unseen(c) => Self::Replaced(REPLACEMENT),
            _ if is_combining_mark(c) || is_joining_jamo(c) => Self::Mark,
            _ if c.width() == Some(0) => Self::Replaced(REPLACEMENT),
            _ => Self::Shown(c),
        }
    }
}

/// Vowels and finals of decomposed Korean: no width of their own, but plain letters.
fn is_joining_jamo(c: char) -> bool {
    matches!(c, '\u{1161}'..='\u{11ff}' | '\u{d7b0}'..='\u{d7c6}' | '\u{d7cb}'..='\u{d7fb}')
}

/// Characters that steer or deceive without being seen: bidi controls, zero-width and tag
/// characters, fillers, variation selectors, private use and non-characters.
pub fn is_unseen(c: char) -> bool {
    if c < '\u{ad}' {
        return false;
    }
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{13430}'..='\u{1345f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{e0000}'..='\u{10ffff}')
        // The last two of every plane are non-characters.
        || (c as u32) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_text_is_not_copied() {
        assert!(matches!(clean("policy.sync"), Cow::Borrowed(_)));
        assert!(matches!(clean("Müller Straße 한국 日本"), Cow::Borrowed(_)));
        assert!(matches!(clean("a\u{7}"), Cow::Owned(_)));
    }

    #[test]
    fn quotations_are_short() {
        assert_eq!(quoted("a\nb"), "\"a␊b\"");
        assert_eq!(quoted(&"x".repeat(1_000_000)).chars().count(), MAX_QUOTED + 2);
    }
}
