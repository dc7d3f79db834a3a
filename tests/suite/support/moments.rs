//! Random moments where counting over windows goes wrong first.

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use rand::RngExt as _;
use rand::rngs::StdRng;

/// A moment of the last `days` days; often at an edge of something, or a microsecond beside it.
pub fn moment(rng: &mut StdRng, now: DateTime<Utc>, days: i64) -> DateTime<Utc> {
    let back = match rng.random_range(0..10) {
        0..3 => TimeDelta::seconds(rng.random_range(0..7_300)),
        3..6 => TimeDelta::seconds(rng.random_range(0..200_000)),
        _ => TimeDelta::seconds(rng.random_range(0..days * 86_400)),
    };
    let edge = match rng.random_range(0..5) {
        0 => TimeDelta::hours(1),
        1 => TimeDelta::days(1),
        2 => TimeDelta::minutes(5),
        _ => return now - back - TimeDelta::microseconds(rng.random_range(0..1_000_000)),
    };
    let at = (now - back).duration_trunc(edge).unwrap();
    at + TimeDelta::microseconds([0, 1, -1][rng.random_range(0..3)])
}
