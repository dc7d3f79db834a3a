//! The zone that times are shown and read in, and how times and lengths of time are written.

use chrono::{DateTime, Duration, FixedOffset, Local, Offset as _, Utc};

/// The zone that times are shown and read in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeZone {
    /// Coordinated universal time.
    Utc,
    /// The machine's zone.
    Local,
}

impl TimeZone {
    /// Its offset at a moment.
    pub fn offset(self, at: DateTime<Utc>) -> FixedOffset {
        match self {
            Self::Utc => Utc.fix(),
            Self::Local => at.with_timezone(&Local).offset().fix(),
        }
    }
}

/// A time of a list in at most 11 columns, both in one zone: the clock for today, the day and the
/// clock for this year, else the day with its year.
pub fn short_time(at: DateTime<FixedOffset>, now: DateTime<FixedOffset>) -> String {
    let same = |pattern: &str| at.format(pattern).to_string() == now.format(pattern).to_string();
    let pattern = match (same("%F"), same("%Y")) {
        (true, _) => "%H:%M:%S",
        (_, true) => "%m-%d %H:%M",
        _ => "%Y-%m-%d",
    };
    at.format(pattern).to_string()
}

/// A length of time in its two largest units, at most 6 columns wide: `1m04s`, `123d`.
pub fn took(duration: Duration) -> String {
    let seconds = duration.num_seconds().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match () {
        () if seconds < 10 => {
            format!("{}.{}s", seconds, duration.num_milliseconds().max(0) % 1_000 / 100)
        }
        () if minutes < 1 => format!("{seconds}s"),
        () if hours < 1 => format!("{minutes}m{:02}s", seconds % 60),
        () if days < 1 => format!("{hours}h{:02}m", minutes % 60),
        () if days < 100 => format!("{days}d{:02}h", hours % 24),
        () => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_two_units_in_six_columns() {
        for (millis, text) in [
            (-5, "0.0s"),
            (0, "0.0s"),
            (2_340, "2.3s"),
            (41_000, "41s"),
            (64_000, "1m04s"),
            (725_000, "12m05s"),
            (7_500_000, "2h05m"),
            (86_340_000, "23h59m"),
            (273_600_000, "3d04h"),
            (8_636_400_000, "99d23h"),
            (12_345_678_900, "142d"),
        ] {
            assert_eq!(took(Duration::milliseconds(millis)), text);
            assert!(text.len() <= 6);
        }
    }

    #[test]
    fn a_time_of_a_list_names_its_day_and_another_year() {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap();
        let now = at("2026-01-02T00:10:00+02:00");
        for (text, told) in [
            ("2026-01-02T00:05:09+02:00", "00:05:09"),
            ("2026-01-01T23:59:00+02:00", "01-01 23:59"),
            ("2025-12-31T23:59:00+02:00", "2025-12-31"),
            ("2027-01-02T00:10:00+02:00", "2027-01-02"),
        ] {
            assert_eq!(short_time(at(text), now), told);
        }
    }
}
