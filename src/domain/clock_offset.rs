//! How far a process's clock is from the database's, and what that means.

/// A clock that differs by more than this is wrong.
const TOLERANCE_SECONDS: i64 = 300;

/// What a worker whose clock is wrong does not do.
pub const CONSEQUENCE: &str = "it starts no scheduled and no destructive work";

/// Whether a clock that is `seconds` ahead of the database's (negative: behind) is wrong.
pub fn is_wrong(seconds: i64) -> bool {
    seconds.unsigned_abs() > TOLERANCE_SECONDS.unsigned_abs()
}

/// What is wrong with a worker's clock, and what follows.
pub fn notice(worker: &str, seconds: i64) -> String {
    format!("the clock of {worker} is {}; {CONSEQUENCE}", words(seconds))
}

/// In words: `200 days ahead of the database's`, `20 minutes behind the database's`.
pub fn words(seconds: i64) -> String {
    let size = seconds.unsigned_abs();
    let (count, unit) = match size {
        0..120 => (size, "second"),
        120..7_200 => ((size + 30) / 60, "minute"),
        7_200..172_800 => ((size + 1_800) / 3_600, "hour"),
        _ => ((size + 43_200) / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    let direction = if seconds < 0 { "behind" } else { "ahead of" };
    format!("{count} {unit}{plural} {direction} the database's")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_told_in_its_largest_unit() {
        for (seconds, text) in [
            (1, "1 second ahead of the database's"),
            (-301, "5 minutes behind the database's"),
            (1_200, "20 minutes ahead of the database's"),
            (-86_399, "24 hours behind the database's"),
            (200 * 86_400, "200 days ahead of the database's"),
        ] {
            assert_eq!(words(seconds), text);
        }
        assert!(!is_wrong(300) && !is_wrong(-300) && is_wrong(301) && is_wrong(-301));
    }
}
