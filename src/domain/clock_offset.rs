//! How far a process's clock is from the database's, and what that means.

/// A clock that differs by more than this is wrong.
const TOLERANCE_SECONDS: i64 = 300;

/// Whether a clock that is `seconds` ahead of the database's (negative: behind) is wrong.
pub fn is_wrong(seconds: i64) -> bool {
    seconds.abs() > TOLERANCE_SECONDS
}

/// In words: `200 days ahead`, `20 minutes behind`.
pub fn words(seconds: i64) -> String {
    let size = seconds.unsigned_abs();
    let (count, unit) = match size {
        0..120 => (size, "second"),
        120..7_200 => (size / 60, "minute"),
        7_200..172_800 => (size / 3_600, "hour"),
        _ => (size / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    let direction = if seconds < 0 { "behind" } else { "ahead" };
    format!("{count} {unit}{plural} {direction}")
}

/// What a worker whose clock is wrong does not do, after "the clock is ...".
pub fn consequence(seconds: i64) -> String {
    format!(
        "{} of the database's; no scheduled and no destructive work is started",
        words(seconds).replace("behind", "behind that")
    )
    .replace("behind that of", "behind")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_told_in_its_largest_unit() {
        for (seconds, text) in [
            (1, "1 second ahead"),
            (-301, "5 minutes behind"),
            (1_200, "20 minutes ahead"),
            (-86_400, "24 hours behind"),
            (200 * 86_400, "200 days ahead"),
        ] {
            assert_eq!(words(seconds), text);
        }
        assert!(!is_wrong(300) && !is_wrong(-300) && is_wrong(301) && is_wrong(-301));
    }
}
