//! How a number differs from that of the window before: an arrow, by how much, and whether
//! that is worse, never by colour alone.

use chrono::Duration;

use crate::domain::time_zone;
use crate::ops::overview::DurationFigure;
use crate::tui::look::{Look, grouped};
use crate::tui::theme::Role;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Good {
    More,
    Less,
    Neither,
}

/// The words and their role. What got worse has an exclamation mark.
fn marked(look: &Look, more: i64, good: Good, by: &str) -> (Role, String) {
    if more == 0 {
        return (Role::Muted, "=".to_owned());
    }
    let arrow = if more > 0 { look.glyph("▲ ", "+") } else { look.glyph("▼ ", "-") };
    let better = match good {
        Good::More => more > 0,
        Good::Less => more < 0,
        Good::Neither => return (Role::Muted, format!("{arrow}{by}")),
    };
    if better {
        (Role::Success, format!("{arrow}{by}"))
    } else {
        (Role::Warning, format!("{arrow}{by}!"))
    }
}

pub(super) fn of_counts(look: &Look, now: i64, before: i64, good: Good) -> (Role, String) {
    let more = now.saturating_sub(before);
    marked(look, more, good, &grouped(more.saturating_abs()))
}

/// The change of a count that is bad, each of so many in all: worse is a larger share, for more
/// of everything is no trouble. Nothing is better or worse than a window without any.
pub(super) fn of_bad(
    look: &Look,
    (now, all): (i64, i64),
    (before, all_before): (i64, i64),
) -> (Role, String) {
    let (role, text) = of_counts(look, now, before, Good::Neither);
    if all_before == 0 || now == before {
        return (role, text);
    }
    let (share, share_before) = (now.saturating_mul(all_before), before.saturating_mul(all.max(1)));
    match share.cmp(&share_before) {
        std::cmp::Ordering::Greater => (Role::Warning, format!("{text}!")),
        std::cmp::Ordering::Less => (Role::Success, text),
        std::cmp::Ordering::Equal => (role, text),
    }
}

/// The change of a share, in points of a percent; nothing where there was none before.
pub(super) fn of_shares(
    look: &Look,
    now: Option<f64>,
    before: Option<f64>,
    good: Good,
) -> Option<(Role, String)> {
    #[expect(clippy::cast_possible_truncation, reason = "a share in tenths of a percent")]
    let tenths = |share: f64| (share * 1_000.0).round() as i64;
    let more = tenths(now?) - tenths(before?);
    let by = format!("{}.{}", more.abs() / 10, more.abs() % 10);
    Some(marked(look, more, good, &by))
}

/// The change of a duration; nothing where there was none before.
pub(super) fn of_durations(
    look: &Look,
    now: Option<DurationFigure>,
    before: Option<DurationFigure>,
) -> Option<(Role, String)> {
    // What is shown the same is the same.
    let more = now?.milliseconds - before?.milliseconds;
    let more = if more.abs() < 100 { 0 } else { more };
    Some(marked(look, more, Good::Less, &time_zone::took(Duration::milliseconds(more.abs()))))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::time_zone::TimeZone;
    use crate::tui::theme::Theme;

    #[test]
    fn what_is_bad_is_worse_where_its_share_grew() {
        let look = Look {
            theme: Theme::embedded("monochrome").unwrap(),
            ascii: true,
            terse: false,
            zone: TimeZone::Utc,
            now: DateTime::UNIX_EPOCH,
        };
        for (now, before, text) in [
            // More of as many, more of many more, fewer of many fewer, the same share.
            ((6, 100), (5, 100), "+1!"),
            ((6, 1_000), (5, 100), "+1"),
            ((4, 10), (5, 100), "-1!"),
            ((3, 100), (5, 100), "-2"),
            ((10, 200), (5, 100), "+5"),
            // As many, and more than of nothing.
            ((5, 50), (5, 50), "="),
            ((3, 9), (0, 0), "+3"),
        ] {
            assert_eq!(of_bad(&look, now, before).1, text, "{now:?} after {before:?}");
        }
    }
}
