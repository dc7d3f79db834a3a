//! A number with its noun.

use std::fmt::Display;

/// `1 run`, `2 runs`.
pub fn count<N: Copy + Display + PartialEq + From<u8>>(n: N, noun: &str) -> String {
    let end = if n == N::from(1) { "" } else { "s" };
    format!("{n} {noun}{end}")
}

/// A plural noun as it is for `n`: `findings`, but `finding` where there is one.
pub fn noun(n: i64, plural: &str) -> &str {
    if n == 1 { plural.strip_suffix('s').unwrap_or(plural) } else { plural }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_all_else_plural() {
        let runs = [0_i64, 1, 2].map(|n| count(n, "run"));
        assert_eq!(runs, ["0 runs", "1 run", "2 runs"]);
        assert_eq!(count(1_usize, "failed target"), "1 failed target");
        assert_eq!([0, 1, 2].map(|n| noun(n, "steps")), ["steps", "step", "steps"]);
    }
}
