//! Pauses that grow and are jittered, so that many workers do not come back in one breath.

use std::time::Duration;

use rand::RngExt as _;

/// The pause before attempt `n` (from 0): between half and all of `first * 2^n`, at most
/// `most`.
pub fn pause(first: Duration, n: u32, most: Duration) -> Duration {
    let full = first.saturating_mul(1_u32.checked_shl(n).unwrap_or(u32::MAX)).min(most);
    full.mul_f64(rand::rng().random_range(0.5..=1.0))
}

/// A pause of about `length`, a tenth more or less.
pub fn around(length: Duration) -> Duration {
    length.mul_f64(rand::rng().random_range(0.9..=1.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_are_jittered() {
        let second = Duration::from_secs(1);
        for n in 0..200 {
            let pause = pause(second, n, second * 60);
            let full = second * 2_u32.saturating_pow(n).min(60);
            assert!(pause >= full / 2 && pause <= full, "{n}: {pause:?}");
        }
    }
}
