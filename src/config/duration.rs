//! Durations as people write them: `500ms`, `30s`, `5m`, `2h`, `7d`.

use std::time::Duration;

use super::excerpt;
use crate::{Error, Result};

/// The units, longest first, in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a whole number and its unit: `ms`, `s`, `m`, `h` or `d`.
///
/// ```
/// use std::time::Duration;
/// use tenantpilot::config::parse_duration;
///
/// assert_eq!(parse_duration("5m")?, Duration::from_secs(300));
/// assert!(parse_duration("5").is_err(), "a number without a unit says nothing");
/// # Ok::<(), tenantpilot::Error>(())
/// ```
pub fn parse_duration(text: &str) -> Result<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    number
        .parse::<u64>()
        .ok()
        .zip(UNITS.iter().find(|(name, _)| *name == unit))
        .and_then(|(number, (_, millis))| number.checked_mul(*millis))
        .map(Duration::from_millis)
        .ok_or_else(|| {
            Error::usage(format!("{} is not a duration", excerpt(text)))
                .hint("write a whole number and a unit: 500ms, 30s, 5m, 2h or 7d")
        })
}

/// Writes a duration the way [`parse_duration`] reads it, in the longest unit that is exact.
/// What is below a millisecond is cut.
pub fn format_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    match UNITS.iter().find(|(_, unit)| millis > 0 && millis % unit == 0) {
        Some((name, unit)) => format!("{}{name}", millis / unit),
        None => "0s".to_owned(),
    }
}
