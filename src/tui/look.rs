//! How things look: theme, glyphs, times and numbers, the same on every screen.

use std::fmt::Write as _;

use chrono::{DateTime, Duration, FixedOffset, Utc};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::domain::run_state::RunState;
use crate::domain::safe_text::SafeText;
use crate::domain::time_zone::{TimeZone, short_time};
use crate::tui::theme::{Role, Theme};

pub const SHORT_TIME: usize = 11;

/// Everything that a view needs beside its data.
#[derive(Debug, Clone)]
pub struct Look {
    /// The theme, cut to what the terminal can show.
    pub theme: Theme,
    pub ascii: bool,
    /// Whether to write little: the line to the terminal is slow.
    pub terse: bool,
    pub zone: TimeZone,
    pub now: DateTime<Utc>,
}

impl Look {
    pub fn style(&self, role: Role) -> Style {
        self.theme.style(role)
    }

    pub fn span(&self, role: Role, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), self.style(role))
    }

    /// Text of ours in lines of at most `columns` columns.
    pub fn lines(&self, role: Role, text: &str, columns: usize) -> Vec<Line<'static>> {
        wrapped(text, columns).into_iter().map(|line| self.span(role, line).into()).collect()
    }

    /// The mark before a line: whether it is the one under the cursor.
    pub fn marker(&self, here: bool) -> Span<'static> {
        if here { self.span(Role::Selected, self.glyph("▸ ", "> ")) } else { Span::raw("  ") }
    }

    /// Foreign text, cleaned, in exactly `columns` columns.
    pub fn cell(&self, text: &str, columns: usize) -> String {
        let text = self.cut(text, columns);
        format!("{text:<columns$}")
    }

    /// Foreign text, cleaned, in at most `columns` columns.
    pub fn cut(&self, text: &str, columns: usize) -> SafeText {
        let text = SafeText::new(text);
        if self.ascii { text.truncated_ascii(columns) } else { text.truncated(columns) }
    }

    pub fn glyph(&self, rich: &'static str, plain: &'static str) -> &'static str {
        if self.ascii { plain } else { rich }
    }

    pub fn zone_name(&self) -> String {
        match self.zone {
            TimeZone::Utc => "UTC".to_owned(),
            TimeZone::Local => self.offset().to_string(),
        }
    }

    /// The offset that all times are shown and read in: the zone's as it is now, so that one
    /// heading is right for all of them.
    pub fn offset(&self) -> FixedOffset {
        self.zone.offset(self.now)
    }

    /// A time of a list, at most 11 columns: the clock for today, else the day too.
    pub fn short_time(&self, at: DateTime<Utc>) -> String {
        let offset = self.offset();
        short_time(at.with_timezone(&offset), self.now.with_timezone(&offset))
    }

    /// The heading of a column of such times with the zone, no wider than they are: `CREATED UTC`,
    /// `CREATED +01`, `AT +05:30`.
    pub fn time_heading(&self, what: &str) -> String {
        let zone = self.zone_name();
        let hours = zone.strip_suffix(":00").unwrap_or(&zone);
        let fits = |heading: &String| heading.chars().count() <= SHORT_TIME;
        [format!("{what} {zone}"), format!("{what} {hours}")]
            .into_iter()
            .find(fits)
            .unwrap_or_else(|| format!("AT {zone}"))
    }

    pub fn full_time(&self, at: DateTime<Utc>) -> String {
        format!("{} {}", self.format(at, "%F %H:%M:%S"), self.zone_name())
    }

    /// A time of the next hours, with its zone: `12:45 UTC`.
    pub fn clock(&self, at: DateTime<Utc>) -> String {
        format!("{} {}", self.format(at, "%H:%M"), self.zone_name())
    }

    /// A time by a pattern of `chrono`, in the zone that is shown.
    pub fn format(&self, at: DateTime<Utc>, pattern: &str) -> String {
        at.with_timezone(&self.offset()).format(pattern).to_string()
    }
}

pub fn state_role(state: RunState) -> Role {
    match state {
        RunState::Queued => Role::Queued,
        RunState::Stale | RunState::Stuck => Role::Stale,
        RunState::Paused => Role::Paused,
        RunState::Running => Role::Running,
        RunState::Cancelling | RunState::Cancelled => Role::Cancelled,
        RunState::Succeeded => Role::Success,
        RunState::Partial => Role::Warning,
        RunState::Failed => Role::Failed,
        RunState::Blocked => Role::Blocked,
    }
}

/// How long ago something was, in one unit, so that it seldom changes: `4 s`, `12 min`,
/// `3 h`, `2 d`.
pub fn ago(duration: Duration) -> String {
    let seconds = duration.num_seconds().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A number with its thousands apart: `1,204,311`.
pub fn grouped(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if n < 0 {
        text.push('-');
    }
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A bounded count: `12`, or `1,000+` where counting stopped.
pub fn bounded(n: i64, bound: i64) -> String {
    if n > bound { format!("{}+", grouped(bound)) } else { grouped(n) }
}

/// Words of `text` in lines of at most `columns` columns.
pub fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(10);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let mut word = SafeText::new(word);
        let used = SafeText::new(&line).width();
        if !line.is_empty() && used + 1 + word.width() > columns {
            lines.push(std::mem::take(&mut line));
        }
        // A word longer than a line is cut into pieces of a line.
        while word.width() > columns {
            let mut head = String::new();
            let mut width = 0;
            let mut rest = String::new();
            for c in word.as_str().chars() {
                let w = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
                if rest.is_empty() && width + w <= columns {
                    width += w;
                    head.push(c);
                } else {
                    rest.push(c);
                }
            }
            lines.push(head);
            word = SafeText::new(&rest);
        }
        if !line.is_empty() {
            line.push(' ');
        }
        // Writing to a string cannot fail.
        let _ = write!(line, "{word}");
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_bounded() {
        assert_eq!(grouped(1_204_311), "1,204,311");
        assert_eq!(grouped(-12), "-12");
        assert_eq!(bounded(1_001, 1_000), "1,000+");
    }

    #[test]
    fn long_words_are_cut_and_short_ones_wrapped() {
        assert_eq!(wrapped("one two three", 10), ["one two", "three"]);
        assert_eq!(wrapped(&"x".repeat(25), 10), ["x".repeat(10), "x".repeat(10), "x".repeat(5)]);
    }
}
