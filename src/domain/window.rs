//! The windows of time that summaries look at, and how a window is cut for its trend.

use chrono::{DateTime, DurationRound as _, SubsecRound as _, TimeDelta, Utc};
use serde::Serialize;

use crate::text_enum;

text_enum! {
    /// How far back a summary looks: one choice for everything that is shown together.
    #[derive(Default)]
    pub enum Window as "window" {
        /// The last hour.
        Hour = "1h",
        /// The last 24 hours.
        #[default]
        Day = "24h",
        /// The last 7 days.
        Week = "7d",
        /// The last 30 days.
        Month = "30d",
    }
}

/// How a trend is cut: at whole steps of the clock, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Every five minutes.
    FiveMinutes,
    /// Every hour.
    Hour,
    /// Every day.
    Day,
}

impl Step {
    /// How long it is.
    pub fn length(self) -> TimeDelta {
        match self {
            Self::FiveMinutes => TimeDelta::minutes(5),
            Self::Hour => TimeDelta::hours(1),
            Self::Day => TimeDelta::days(1),
        }
    }

    /// The start of the step that `at` lies in.
    pub fn floor(self, at: DateTime<Utc>) -> DateTime<Utc> {
        // Only times outside any calendar cannot be cut.
        at.duration_trunc(self.length()).unwrap_or(at)
    }

    /// The first start of a step that is not before `at`.
    pub fn ceil(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let floor = self.floor(at);
        if floor == at { at } else { floor + self.length() }
    }
}

impl Window {
    /// What a person reads.
    pub fn label(self) -> &'static str {
        match self {
            Self::Hour => "Last hour",
            Self::Day => "Last 24 hours",
            Self::Week => "Last 7 days",
            Self::Month => "Last 30 days",
        }
    }

    /// How long it is.
    pub fn length(self) -> TimeDelta {
        match self {
            Self::Hour => TimeDelta::hours(1),
            Self::Day => TimeDelta::hours(24),
            Self::Week => TimeDelta::days(7),
            Self::Month => TimeDelta::days(30),
        }
    }

    /// How its trend is cut.
    pub fn step(self) -> Step {
        match self {
            Self::Hour => Step::FiveMinutes,
            Self::Day => Step::Hour,
            Self::Week | Self::Month => Step::Day,
        }
    }

    /// The window that ends with the moment `now`.
    pub fn ending(self, now: DateTime<Utc>) -> Span {
        Span { from: now - self.length(), until: now + TimeDelta::microseconds(1) }
    }

    /// The window of the same length that ends just before the one that ends at `now` begins.
    pub fn before(self, now: DateTime<Utc>) -> Span {
        let from = now - self.length();
        Span { from: from - self.length(), until: from }
    }

    /// The window of runs that ends with the last whole second before `now`, and the one before
    /// it: a list of runs can be told exactly the same window.
    pub fn of_runs(self, now: DateTime<Utc>) -> [Span; 2] {
        let until = now.trunc_subsecs(0);
        let from = until - self.length();
        [Span { from, until }, Span { from: from - self.length(), until: from }]
    }

    /// The pieces of the window's trend, oldest first: whole steps of the clock, of which the
    /// first and the last are cut by the window.
    pub fn buckets(self, now: DateTime<Utc>) -> Vec<Bucket> {
        let (step, start) = (self.step(), now - self.length());
        let mut buckets = Vec::new();
        let mut at = step.floor(start);
        while at <= now {
            let next = at + step.length();
            buckets.push(Bucket { start_at: at.max(start), end_at: next.min(now) });
            at = next;
        }
        buckets
    }

    /// Which of [`Window::buckets`] the step that begins at `floor` is.
    pub fn bucket_of(self, now: DateTime<Utc>, floor: DateTime<Utc>) -> Option<usize> {
        let since = floor - self.step().floor(now - self.length());
        usize::try_from(since.num_seconds() / self.step().length().num_seconds()).ok()
    }
}

/// The moments from `from` on that are before `until`; times have microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first moment.
    pub from: DateTime<Utc>,
    /// The first moment after it.
    pub until: DateTime<Utc>,
}

/// A range, cut into whole days and hours, which are counted already, and what is left of it.
/// No piece lies in two steps of the trend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pieces {
    /// What has to be counted one by one.
    pub single: [Span; 2],
    /// Whole hours.
    pub hours: [Span; 2],
    /// Whole days.
    pub days: Span,
}

impl Pieces {
    /// Nothing of `range` is counted already.
    pub fn uncounted(range: Span) -> Self {
        let none = Span { from: range.until, until: range.until };
        Self { single: [range, none], hours: [none; 2], days: none }
    }

    /// Hours and days are counted; the trend has steps of `step`.
    pub fn of_hours_and_days(range: Span, step: Step) -> Self {
        let all_of_it = Self::uncounted(range);
        if step == Step::FiveMinutes {
            return all_of_it;
        }
        let Some((first, whole, last)) = cut(range, Step::Hour) else { return all_of_it };
        let edges = Self { single: [first, last], hours: [whole, all_of_it.days], ..all_of_it };
        match cut(whole, Step::Day) {
            Some((early, days, late)) if step == Step::Day => {
                Self { hours: [early, late], days, ..edges }
            }
            _ => edges,
        }
    }

    /// Only days are counted; the trend has steps of `step`.
    pub fn of_days(range: Span, step: Step) -> Self {
        let all_of_it = Self::uncounted(range);
        match cut(range, Step::Day) {
            Some((first, days, last)) if step == Step::Day => {
                Self { single: [first, last], days, ..all_of_it }
            }
            _ => all_of_it,
        }
    }
}

/// What is before the whole steps of a range, these, and what is after them.
fn cut(range: Span, step: Step) -> Option<(Span, Span, Span)> {
    let (from, until) = (step.ceil(range.from), step.floor(range.until));
    let before = Span { from: range.from, until: from };
    let after = Span { from: until, until: range.until };
    (from < until).then_some((before, Span { from, until }, after))
}

impl Span {
    /// Whether it holds any moment.
    pub fn is_some(&self) -> bool {
        self.from < self.until
    }
}

/// One piece of a trend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// Its first moment.
    pub start_at: DateTime<Utc>,
    /// Where the next one begins; of the last one, the moment of looking.
    pub end_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone as _;

    #[test]
    fn a_trend_covers_its_window_without_gaps() {
        let whole = Utc.with_ymd_and_hms(2026, 11, 20, 0, 0, 0).unwrap();
        for now in [whole, whole + TimeDelta::microseconds(43_265_123_457)] {
            for (window, at_least) in
                [(Window::Hour, 12), (Window::Day, 24), (Window::Week, 7), (Window::Month, 30)]
            {
                let (buckets, span) = (window.buckets(now), window.ending(now));
                assert_eq!(buckets.len(), at_least + 1, "{window}");
                assert_eq!(buckets[0].start_at, span.from);
                assert_eq!(buckets[at_least].end_at, now);
                assert!(buckets.windows(2).all(|pair| pair[0].end_at == pair[1].start_at));
                for (at, bucket) in buckets.iter().enumerate() {
                    let floor = window.step().floor(bucket.start_at);
                    assert_eq!(window.bucket_of(now, floor), Some(at));
                }
                assert_eq!(window.before(now).until, span.from);
            }
        }
    }
}
