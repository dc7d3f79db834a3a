//! Numbers over time: bars, and the change against the time before.

use crate::tui::look::grouped;

/// What a bar's cell looks like by its eighths, from one to eight.
const RICH: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
/// The same in ASCII, in four steps.
const PLAIN: [&str; 8] = ["_", "_", "-", "-", "=", "=", "#", "#"];

/// The bars of `values`, as rows of cells from the top down: one cell per value and row. The
/// greatest value has the whole height, the least one that is not nothing can still be seen,
/// and nothing has a glyph of its own, as has what is not kept.
pub fn kept_bars(values: &[Option<i64>], height: u16, ascii: bool) -> Vec<Vec<&'static str>> {
    let top = values.iter().flatten().copied().max().unwrap_or(0).max(1);
    let (cells, nothing) = if ascii { (PLAIN, ".") } else { (RICH, "·") };
    let eighths = |value: i64| -> i128 {
        let whole = 8 * i128::from(height);
        let exact = i128::from(value.max(0)) * whole;
        let rounded = (exact + i128::from(top) / 2) / i128::from(top);
        if value > 0 { rounded.max(1) } else { 0 }
    };
    let cell = |value: Option<i64>, from_below: u16| -> &'static str {
        let lowest = from_below == 0;
        let Some(value) = value else { return if lowest { not_kept(ascii) } else { " " } };
        let left = eighths(value) - 8 * i128::from(from_below);
        let at = usize::try_from(left.min(8)).unwrap_or(0);
        let drawn = at.checked_sub(1).and_then(|at| cells.get(at));
        drawn.copied().unwrap_or(if value <= 0 && lowest { nothing } else { " " })
    };
    let rows = (0..height).rev();
    rows.map(|row| values.iter().map(|value| cell(*value, row)).collect()).collect()
}

/// What stands for a value that is not kept.
pub fn not_kept(ascii: bool) -> &'static str {
    if ascii { "x" } else { "×" }
}

/// How a number differs from the one before: `+12 (+20 %)`, `same`, or `new` where there was
/// nothing before.
pub fn change(now: i64, before: i64) -> String {
    let short = short_change(now, before);
    match percent(now, before) {
        Some(percent) if now != before => format!("{short} ({percent})"),
        _ => short,
    }
}

/// The same without the share: `+12`.
pub fn short_change(now: i64, before: i64) -> String {
    match now.saturating_sub(before) {
        0 => "same".to_owned(),
        _ if before == 0 => "new".to_owned(),
        more @ 1.. => format!("+{}", grouped(more)),
        less => grouped(less),
    }
}

/// The share of a change in what was before, in percent; none where there was nothing.
fn percent(now: i64, before: i64) -> Option<String> {
    if before == 0 {
        return None;
    }
    let (now, before) = (i128::from(now), i128::from(before));
    let scaled = (now - before).abs() * 1_000;
    let tenths = (scaled + before.abs() / 2) / before.abs();
    let sign = if now < before { '-' } else { '+' };
    Some(match tenths {
        0 => "<0.1 %".to_owned(),
        1..100 => format!("{sign}{}.{} %", tenths / 10, tenths % 10),
        _ => format!("{sign}{} %", grouped(i64::try_from((tenths + 5) / 10).unwrap_or(i64::MAX))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(values: &[i64], height: u16, ascii: bool) -> Vec<String> {
        let values: Vec<Option<i64>> = values.iter().copied().map(Some).collect();
        kept_bars(&values, height, ascii).into_iter().map(|row| row.concat()).collect()
    }

    #[test]
    fn bars_keep_zeros_apart_and_the_least_in_sight() {
        assert_eq!(drawn(&[0, 1, 4, 8], 1, false), ["·▁▄█"]);
        assert_eq!(drawn(&[0, 1, 4, 8], 2, false), ["   █", "·▂██"]);
        assert_eq!(drawn(&[0, 1, 1_000_000], 1, false), ["·▁█"]);
        assert_eq!(drawn(&[0, 0], 2, false), ["  ", "··"]);
        assert_eq!(drawn(&[0, 1, 2, 3, 4], 1, true), ["._-=#"]);
        assert_eq!(drawn(&[i64::MAX, 1], 1, false), ["█▁"]);
        assert_eq!(drawn(&[], 1, false), [""]);
    }

    #[test]
    fn what_is_not_kept_is_no_zero() {
        let values = [None, Some(0), Some(1)];
        for (ascii, drawn) in [(false, ["  █", "×·█"]), (true, ["  #", "x.#"])] {
            let rows: Vec<String> =
                kept_bars(&values, 2, ascii).iter().map(|row| row.concat()).collect();
            assert_eq!(rows, drawn);
        }
    }

    #[test]
    fn a_change_is_told_with_its_sign_and_share() {
        let cases = [
            (12, 10, "+2 (+20 %)"),
            (10, 12, "-2 (-17 %)"),
            (41, 38, "+3 (+7.9 %)"),
            (0, 5, "-5 (-100 %)"),
            (5, 0, "new"),
            (0, 0, "same"),
            (7, 7, "same"),
            (1_000_001, 1_000_000, "+1 (<0.1 %)"),
            (50_000, 1, "+49,999 (+4,999,900 %)"),
        ];
        for (now, before, text) in cases {
            assert_eq!(change(now, before), text);
        }
        assert_eq!(short_change(1_200, 200), "+1,000");
        assert_eq!(short_change(0, 1_500), "-1,500");
    }
}
