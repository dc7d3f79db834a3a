//! Plain text for people: aligned tables, times in the configured zone, durations.

use chrono::{DateTime, Local, Utc};

use super::Output;
use crate::Result;
use crate::domain::safe_text::SafeText;
use crate::domain::time_zone::TimeZone;
pub use crate::domain::time_zone::took;
use crate::tui::look;

/// The widest a name is shown in a table, in columns.
const MAX_NAME: usize = 48;

/// Rows under headings, aligned by what they take on a terminal.
pub struct Table {
    rows: Vec<Vec<SafeText>>,
    right: Vec<usize>,
    /// Lines under a row, by the row's place.
    notes: Vec<(usize, SafeText)>,
}

impl Table {
    /// A table with these headings.
    pub fn new(headings: &[&str]) -> Self {
        let first = headings.iter().map(|heading| SafeText::new(heading)).collect();
        Self { rows: vec![first], right: Vec::new(), notes: Vec::new() }
    }

    /// Aligns one column, counted from 0, on the right.
    #[must_use]
    pub fn right(mut self, column: usize) -> Self {
        self.right.push(column);
        self
    }

    /// Adds a row.
    pub fn push(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| SafeText::new(&cell)).collect());
    }

    /// Adds a line under the last row, four columns in.
    pub fn note(&mut self, text: &SafeText) {
        self.notes.push((self.rows.len() - 1, text.clone()));
    }

    /// Writes it, two spaces between columns and none at the end of a line.
    ///
    /// # Errors
    /// Where the output cannot be written.
    pub fn print(&self, out: &Output) -> Result<()> {
        let columns = self.rows.first().map_or(0, Vec::len);
        let widths: Vec<usize> = (0..columns)
            .map(|i| self.rows.iter().filter_map(|row| row.get(i)).map(SafeText::width).max())
            .map(Option::unwrap_or_default)
            .collect();
        for (at, row) in self.rows.iter().enumerate() {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(i, (cell, &width))| {
                    if self.right.contains(&i) {
                        format!("{cell:>width$}")
                    } else {
                        format!("{cell:<width$}")
                    }
                })
                .collect();
            out.line(cells.join("  ").trim_end())?;
            for (_, note) in self.notes.iter().filter(|(of, _)| *of == at) {
                out.line(format!("    {note}"))?;
            }
        }
        Ok(())
    }
}

/// `name` for a table: cut where it would push everything else away.
pub fn name(name: &str, ascii: bool) -> String {
    cut(name, MAX_NAME, ascii).to_string()
}

/// At most `columns` columns of `text`.
pub fn cut(text: &str, columns: usize, ascii: bool) -> SafeText {
    let text = SafeText::new(text);
    if ascii { text.truncated_ascii(columns) } else { text.truncated(columns) }
}

/// `text` after `lead`, broken between words so that lines have at most 80 columns; each further
/// one begins under the first word.
pub fn wrapped(lead: &str, text: &str) -> Vec<String> {
    const COLUMNS: usize = 80;
    let indent = SafeText::new(lead).width();
    let mut lines = look::wrapped(text, COLUMNS.saturating_sub(indent));
    match lines.split_first_mut() {
        Some((first, more)) => {
            first.insert_str(0, lead);
            for line in more {
                line.insert_str(0, &" ".repeat(indent));
            }
        }
        None => lines.push(lead.trim_end().to_owned()),
    }
    lines
}

/// A time with its zone, `2026-11-20 12:00:05 UTC` or `2026-11-20 13:00:05 +01:00`.
pub fn time(at: DateTime<Utc>, zone: TimeZone) -> String {
    match zone {
        TimeZone::Utc => at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
        TimeZone::Local => at.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S %:z").to_string(),
    }
}

/// A time for a column whose heading names the zone; the local one differs from row to row
/// where clocks change, so it is there in every row too.
pub fn short_time(at: DateTime<Utc>, zone: TimeZone) -> String {
    match zone {
        TimeZone::Utc => at.format("%Y-%m-%d %H:%M:%S").to_string(),
        TimeZone::Local => time(at, zone),
    }
}

/// A heading with its zone, `CREATED (UTC)`.
pub fn time_heading(what: &str, zone: TimeZone) -> String {
    match zone {
        TimeZone::Utc => format!("{what} (UTC)"),
        TimeZone::Local => format!("{what} (LOCAL)"),
    }
}

/// A change with its sign, `+3`, `0`, `-2`.
pub fn change(now: i64, before: i64) -> String {
    match now - before {
        0 => "0".to_owned(),
        change => format!("{change:+}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_broken_between_words() {
        let text = "many words ".repeat(20);
        let lines = wrapped("  ✗ ", &text);
        assert!(
            lines.len() == 3 && lines[0].starts_with("  ✗ many") && lines[1].starts_with("    ")
        );
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:?}");
        let back: Vec<&str> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
        assert_eq!(back[1..].join(" "), text.trim_end());
        assert_eq!(wrapped("next: ", "wait"), ["next: wait"]);
        assert_eq!(wrapped("next: ", ""), ["next:"]);
    }
}
