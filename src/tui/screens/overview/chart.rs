//! The trend of runs: bars over the window, what they reach, and their axis.

use ratatui::text::Span;

use super::cells::{Cell, Row};
use super::items::{Item, Trend};
use crate::domain::window::{Bucket, Step};
use crate::ops::overview::{Overview, RunTrend};
use crate::ops::telemetry::NOT_KEPT;
use crate::tui::look::{Look, grouped};
use crate::tui::theme::Role;
use crate::tui::trend::{kept_bars, not_kept};

/// The widest bars, with the column that sets them apart.
const WIDEST: usize = 12;
/// From this width on, bars are set apart.
const APART: usize = 3;
/// Columns before the bars.
const HEAD: usize = 10;

/// The bars of runs that were started and of those that failed, `heights` rows each, in
/// `columns`, with an axis below.
pub(super) fn rows(data: &Overview, heights: [u16; 2], columns: usize, look: &Look) -> Vec<Row> {
    let (runs, trend, step) = (&data.runs, &data.runs.trend, data.window.key.step());
    let label = |bucket: &Bucket| {
        let pattern = if step == Step::Day { "%m-%d" } else { "%H:%M" };
        // A bar stands for a step of the clock: its label does not move with the window.
        look.format(step.floor(bucket.start_at), pattern)
    };
    let both = [Trend::Started, Trend::Failed];
    let at = if step == Step::Day { "on" } else { "at" };
    let peaks = both.map(|which| {
        let (index, most) = which.peak(runs)?;
        let when = trend.buckets.get(index).map(&label).unwrap_or_default();
        Some((grouped(most), format!(" {at} {when}")))
    });
    let kept = both.map(|which| -> Vec<Option<i64>> {
        let pieces = trend.buckets.iter().zip(which.of(runs));
        pieces.map(|(piece, count)| runs.of_piece(piece, *count)).collect()
    });
    let gone = kept.iter().any(|counts| counts.contains(&None));
    let (none, legend) = if gone {
        ("  none kept", format!("  {} {NOT_KEPT}", not_kept(look.ascii)))
    } else {
        ("  none", String::new())
    };
    let words = |peak: &Option<(String, String)>| {
        peak.as_ref().map_or(none.len(), |(most, when)| 6 + most.len() + when.len())
    };
    let aside = peaks.iter().map(words).max().unwrap_or(0).max(legend.chars().count());
    let room = columns.saturating_sub(HEAD + aside + 2).max(1);
    let count = trend.buckets.len();
    let each = (room / count.max(1)).clamp(1, WIDEST);
    let skipped = count.saturating_sub(room);
    let mut rows = Vec::new();
    for (((which, counts), peak), height) in both.into_iter().zip(kept).zip(peaks).zip(heights) {
        let shown = counts.get(skipped..).unwrap_or(&counts);
        let (role, name) = match which {
            Trend::Started => (Role::Accent, "  started "),
            Trend::Failed => (Role::Failed, "  failed  "),
        };
        for (index, cells) in kept_bars(shown, height, look.ascii).into_iter().enumerate() {
            let name = if index == 0 { name } else { "          " };
            let mut row = vec![Cell::plain(Role::Muted, name)];
            let gap = usize::from(each >= APART);
            for (bar, cell) in cells.iter().enumerate() {
                let nothing = matches!(*cell, "·" | "." | "×" | "x");
                let cut = bar + 1 == cells.len() || (bar == 0 && skipped == 0);
                let role = if nothing || cut { Role::Muted } else { role };
                row.push(Cell::plain(role, cell.repeat(each - gap) + &" ".repeat(gap)));
            }
            match (index, &peak) {
                (0, Some((most, when))) => {
                    row.push(Cell::plain(Role::Text, " "));
                    row.push(Cell::lead(Item::Peak(which)));
                    row.push(Cell::plain(Role::Muted, "most "));
                    row.push(Cell::strong(Role::Title, most));
                    row.push(Cell::plain(Role::Muted, when));
                }
                (0, None) => row.push(Cell::plain(Role::Muted, none)),
                _ => {}
            }
            rows.push(row);
        }
    }
    let mut axis = axis(trend, skipped, each, look, &label);
    axis.push(Cell::plain(Role::Muted, legend));
    rows.push(axis);
    rows
}

/// The line below the bars: where the first one begins, and the middle one.
fn axis(
    trend: &RunTrend,
    skipped: usize,
    each: usize,
    look: &Look,
    label: &dyn Fn(&Bucket) -> String,
) -> Row {
    let buckets = trend.buckets.get(skipped..).unwrap_or_default();
    let zone = look.zone_name();
    let mut text = format!("{zone:>width$} ", width = HEAD - 1);
    let whole = HEAD + buckets.len() * each;
    let last = buckets.len().saturating_sub(1);
    // As many labels as stand apart, each where its bar begins.
    let step = if each >= 7 { 1 } else { (8 / each.max(1)).max(1) };
    for (index, bucket) in buckets.iter().enumerate().step_by(step) {
        let at = HEAD + index * each;
        let used = Span::raw(text.as_str()).width();
        let label = label(bucket);
        if index != last && (used < at || index == 0) && at + label.len() + 4 <= whole {
            text.push_str(&" ".repeat(at.saturating_sub(used)));
            text.push_str(&label);
        }
    }
    let used = Span::raw(text.as_str()).width();
    text.push_str(&format!("{:>width$}", "now", width = whole.saturating_sub(used)));
    vec![Cell::plain(Role::Muted, text)]
}
