//! When runs start: nightly schedules and office hours, spread exactly over a number of runs.

use chrono::{DateTime, Datelike, Duration, Timelike, Utc, Weekday};

/// How busy the schedule is, by hour of the day.
const SCHEDULE: [f64; 24] = [
    1.0, 5.0, 7.0, 5.0, 2.0, 0.8, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.8, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6,
    0.6, 0.6, 0.6, 0.8, 1.0,
];
/// How busy people are on a working day, by hour.
const PEOPLE: [f64; 24] = [
    0.05, 0.03, 0.03, 0.03, 0.03, 0.1, 0.4, 1.4, 3.2, 4.6, 4.6, 3.8, 2.4, 3.6, 4.6, 4.2, 3.2, 1.6,
    0.7, 0.4, 0.3, 0.2, 0.1, 0.1,
];
/// What is left of that at the weekend.
const WEEKEND: f64 = 0.12;

/// An hour of the history.
#[derive(Debug, Clone, Copy)]
pub struct Hour {
    /// Its first moment.
    pub start: DateTime<Utc>,
    /// How much of it is inside the history, in seconds.
    pub seconds: i64,
    /// How many runs start in it.
    pub runs: u64,
    /// The schedule's share of them.
    pub scheduled: f64,
}

/// Spreads `runs` over the hours from `start` to `end`; the sum is exact.
pub fn hours(start: DateTime<Utc>, end: DateTime<Utc>, runs: u64) -> impl Iterator<Item = Hour> {
    let count = (end - start).num_hours() + 1;
    let spans = move || {
        (0..count).map(move |n| {
            let from = start + Duration::hours(n);
            let seconds = (end - from).num_seconds().clamp(0, 3600);
            (from, seconds)
        })
    };
    #[expect(clippy::cast_precision_loss, reason = "weights need no more than a double")]
    let part = |seconds: i64| seconds as f64 / 3600.0;
    let total: f64 = spans().map(|(from, seconds)| weight(from).0 * part(seconds)).sum();
    let mut before = 0.0;
    let mut given = 0;
    spans().map(move |(from, seconds)| {
        let (weight, scheduled) = weight(from);
        before += weight * part(seconds);
        let due = share(runs, before / total);
        let here = due.saturating_sub(given);
        given += here;
        Hour { start: from, seconds, runs: here, scheduled }
    })
}

/// `part` of `runs`, rounded; the whole at the end in spite of rounding errors.
fn share(runs: u64, part: f64) -> u64 {
    if part > 1.0 - 1e-9 {
        return runs;
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rounded share of a count, between 0 and the count"
    )]
    let due = (runs as f64 * part).round() as u64;
    due.min(runs)
}

/// How busy an hour is, and the schedule's share of that.
fn weight(at: DateTime<Utc>) -> (f64, f64) {
    let hour = usize::try_from(at.hour()).unwrap_or(0) % 24;
    let quiet = if is_weekend(at) { WEEKEND } else { 1.0 };
    let people = PEOPLE[hour] * quiet;
    let all = SCHEDULE[hour] + people;
    (all, SCHEDULE[hour] / all)
}

/// Whether it is Saturday or Sunday.
pub fn is_weekend(at: DateTime<Utc>) -> bool {
    matches!(at.weekday(), Weekday::Sat | Weekday::Sun)
}

/// Whether people are usually at work.
pub fn is_office_hour(at: DateTime<Utc>) -> bool {
    !is_weekend(at) && (7..18).contains(&at.hour())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_has_its_hour_and_nights_and_offices_are_busy() {
        let end = DateTime::from_timestamp(1_795_176_000, 0).unwrap() - Duration::minutes(12);
        let start = end - Duration::days(35);
        for runs in [0, 1, 7, 3_000, 1_000_000] {
            assert_eq!(hours(start, end, runs).map(|hour| hour.runs).sum::<u64>(), runs);
        }
        let at = |wanted: u32, weekend: bool| -> u64 {
            hours(start, end, 100_000)
                .filter(|h| h.start.hour() == wanted && is_weekend(h.start) == weekend)
                .map(|h| h.runs)
                .sum()
        };
        assert!(at(2, false) > 3 * at(20, false));
        assert!(at(10, false) > 5 * at(10, true));
    }
}
