//! The trends beside the numbers, with one axis below all of them.

use chrono::{DateTime, Utc};
use ratatui::text::{Line, Span};

use super::view::{Columns, peak, shown};
use crate::domain::window::{Step, Window};
use crate::ops::telemetry::{Family, NOT_KEPT, Summary};
use crate::tui::look::{Look, grouped};
use crate::tui::theme::Role;
use crate::tui::trend::{kept_bars, not_kept};

/// The widest bars, with the column that sets them apart.
const WIDEST: usize = 8;
/// Screens that are narrower get fewer words about the bars.
const NARROW: usize = 72;
/// From this width on, bars are set apart.
const APART: usize = 3;

impl Family {
    /// Its area of the product in one word.
    pub(in crate::tui) fn short_label(&self) -> &'static str {
        match self.area {
            "onboarding" => "Onboarding",
            "support_diagnostics" => "Diagnostics",
            "operations" => "Operations",
            "stored_reports" => "Reports",
            _ => "Packs",
        }
    }
}

pub(super) struct Chart<'a> {
    summary: &'a Summary,
    columns: &'a Columns,
    /// Bars that there is no room for: the oldest ones.
    skipped: usize,
    /// Columns of a bar, with what sets it apart.
    each: usize,
    height: u16,
}

impl<'a> Chart<'a> {
    /// Trends beside `columns` on a screen `width` wide, `height` rows each.
    pub(super) fn of(
        summary: &'a Summary,
        columns: &'a Columns,
        width: usize,
        height: u16,
    ) -> Self {
        let room = width.saturating_sub(columns.chart() + 1).max(1);
        let count = summary.buckets.len();
        let each = (room / count.max(1)).clamp(1, WIDEST);
        Self { summary, columns, skipped: count.saturating_sub(room), each, height }
    }

    fn window(&self) -> Window {
        self.summary.window.key
    }

    /// Columns that all bars take.
    fn width(&self) -> usize {
        (self.summary.buckets.len() - self.skipped) * self.each
    }

    /// The rows of a family: its words, and beside them its trend.
    pub(super) fn rows(
        &self,
        family: &Family,
        first: &[Span<'static>],
        look: &Look,
        lines: &mut Vec<Line<'static>>,
    ) {
        let trend = family.trend.get(self.skipped..).unwrap_or(&family.trend);
        let (words, top) = (self.columns.words(), self.columns.top);
        let mut details = self.details(family, look).into_iter();
        for (index, row) in kept_bars(trend, self.height, look.ascii).into_iter().enumerate() {
            let (mut spans, most) = if index == 0 {
                (first.to_vec(), grouped(peak(trend)))
            } else {
                let text = details.next().unwrap_or_default();
                let text = format!("   {}", look.cut(&text, words.saturating_sub(3)));
                (vec![look.span(Role::Muted, format!("{text:<words$}"))], String::new())
            };
            spans.push(look.span(Role::Muted, format!(" {most:>top$} ")));
            self.bars(&row, &mut spans, look);
            lines.push(spans.into());
        }
    }

    /// One row of bars; the two that the window cuts are dim.
    fn bars(&self, row: &[&'static str], spans: &mut Vec<Span<'static>>, look: &Look) {
        let apart = usize::from(self.each >= APART);
        let last = row.len().saturating_sub(1);
        spans.extend(row.iter().enumerate().map(|(index, cell)| {
            let cut = (index == 0 && self.skipped == 0) || index == last;
            let dim = cut || matches!(*cell, "·" | "." | "×" | "x");
            let bar = format!("{}{:apart$}", cell.repeat(self.each - apart), "");
            look.span(if dim { Role::Muted } else { Role::Accent }, bar)
        }));
    }

    /// What is told of a family where its trend has more than one row.
    fn details(&self, family: &Family, look: &Look) -> Vec<String> {
        let before = format!("before {}", shown(family.previous));
        let most = peak(&family.trend);
        let at = family.trend.iter().position(|count| *count == Some(most));
        let bucket = at.filter(|_| most > 0).and_then(|at| self.summary.buckets.get(at));
        let Some(bucket) = bucket else {
            let none = if family.count.is_none() { NOT_KEPT } else { "none" };
            return vec![format!("{none} in {}, {before}", self.window().label())];
        };
        let word = if self.window().step() == Step::Day { "on" } else { "at" };
        let at = self.label(bucket.start_at, look);
        let mut lines = vec![format!("{before}, top {} {word} {at}", grouped(most))];
        // The average of a part would be taken for that of the window.
        if let (Some(count), None) = (family.count, self.summary.missing_before()) {
            lines.push(format!("on average {}", self.average(count)));
        }
        lines
    }

    /// Events in a piece of the window, with one decimal.
    fn average(&self, count: i64) -> String {
        let (pieces, unit) = match self.window() {
            Window::Hour => (12, "in 5 minutes"),
            Window::Day => (24, "an hour"),
            Window::Week => (7, "a day"),
            Window::Month => (30, "a day"),
        };
        let tenths = (i128::from(count) * 10 + pieces / 2) / pieces;
        let whole = i64::try_from(tenths / 10).unwrap_or(i64::MAX);
        format!("{}.{} {unit}", grouped(whole), tenths % 10)
    }

    fn label(&self, at: DateTime<Utc>, look: &Look) -> String {
        let days = self.window().step() == Step::Day;
        look.format(at, if days { "%m-%d" } else { "%H:%M" })
    }

    /// The line below the bars: where the first one begins, the middle one, and where the last
    /// one ends; in full where there is room.
    pub(super) fn axis(&self, look: &Look) -> Line<'static> {
        let buckets = self.summary.buckets.get(self.skipped..).unwrap_or_default();
        let (Some(first), Some(last)) = (buckets.first(), buckets.last()) else {
            return Line::default();
        };
        let middle = buckets.len() / 2;
        let at = middle * self.each;
        let between = buckets.get(middle).map_or(first.start_at, |bucket| bucket.start_at);
        let full = |at| look.format(at, "%m-%d %H:%M");
        let short = |at| self.label(at, look);
        let labels = |form: &dyn Fn(DateTime<Utc>) -> String| {
            let [start, middle, end] = [first.start_at, between, last.end_at].map(form);
            let (before, after) = (start.len() + 1, at + middle.len() + 1 + end.len());
            (before <= at && after <= self.width()).then(|| {
                let room = self.width() - at;
                format!("{start:<at$}{middle}{end:>end_at$}", end_at = room - middle.len())
            })
        };
        let ends = || {
            let (start, end) = (short(first.start_at), short(last.end_at));
            let room = self.width().saturating_sub(start.len());
            format!("{start}{end:>room$}")
        };
        let text = labels(&full).or_else(|| labels(&short)).unwrap_or_else(ends);
        let zone = look.zone_name();
        let before = self.columns.chart() - 1;
        Line::from(look.span(Role::Muted, format!("{zone:>before$} {text}")))
    }

    /// What the bars mean, as much of it as fits.
    pub(super) fn legend(&self, look: &Look, width: usize) -> Line<'static> {
        let each = match self.window().step() {
            Step::FiveMinutes => "5 minutes",
            Step::Hour => "1 hour",
            Step::Day => "1 day of UTC",
        };
        let newest = self.summary.buckets.len() - self.skipped;
        let narrow = width < NARROW;
        let bars = match (self.skipped, narrow) {
            (0, false) => format!("each bar {each}; the first and the last are partial"),
            (0, true) => format!("bar = {each}; both ends partial"),
            _ => format!("bar = {each}, newest {newest}; last partial"),
        };
        let top = if narrow { "TOP = tallest bar" } else { "TOP: tallest bar" };
        let nothing = format!("{} none", look.glyph("·", "."));
        let pruned = self
            .summary
            .families
            .iter()
            .any(|family| family.trend.get(self.skipped..).unwrap_or_default().contains(&None));
        let mut parts = vec![bars, top.to_owned(), nothing];
        if pruned {
            parts.insert(1, format!("{} {NOT_KEPT}", not_kept(look.ascii)));
        }
        let mut text = String::new();
        for part in parts {
            let more = if text.is_empty() { part } else { format!("{text}; {part}") };
            if more.chars().count() + 2 > width {
                break;
            }
            text = more;
        }
        let room = width.saturating_sub(2);
        Line::from(look.span(Role::Hint, format!(" {text:>room$}")))
    }
}
