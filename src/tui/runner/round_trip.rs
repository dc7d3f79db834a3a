//! How long the way to the database and back takes, as the header says it: in steps, so that the
//! header stands still while it varies.

use std::collections::VecDeque;
use std::time::Duration;

/// The steps, and their words. What is less than the first is not worth a word.
const STEPS: [(Duration, &str); 6] = [
    (Duration::from_millis(150), "150 ms"),
    (Duration::from_millis(250), "250 ms"),
    (Duration::from_millis(500), "500 ms"),
    (Duration::from_secs(1), "1 s"),
    (Duration::from_secs(2), "2 s"),
    (Duration::from_secs(5), "5 s"),
];
/// So many requests are looked at: some of them wait for more than the way.
const LOOKED_AT: usize = 4;

#[derive(Debug, Default)]
pub struct RoundTrip {
    /// The quickest round trips of the last requests.
    quickest: VecDeque<Duration>,
    step: Option<usize>,
}

impl RoundTrip {
    /// A request was answered, and its quickest round trip took so long.
    pub fn note(&mut self, quickest: Duration) {
        self.quickest.push_back(quickest);
        if self.quickest.len() > LOOKED_AT {
            self.quickest.pop_front();
        }
        let least = self.least();
        let reached = STEPS.iter().rposition(|(step, _)| least >= *step);
        // A fifth below its step, it is still that step.
        let left = self.step.is_none_or(|step| least < STEPS[step].0 * 4 / 5);
        if left || reached > self.step {
            self.step = reached.filter(|_| self.quickest.len() == LOOKED_AT);
        }
    }

    /// Its step in words; none while it is short.
    pub fn text(&self) -> Option<&'static str> {
        self.step.map(|step| STEPS[step].1)
    }

    /// How long it takes at least; nothing before an answer.
    pub fn least(&self) -> Duration {
        self.quickest.iter().min().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(trip: &mut RoundTrip, milliseconds: &[u64]) -> Option<&'static str> {
        for ms in milliseconds {
            trip.note(Duration::from_millis(*ms));
        }
        trip.text()
    }

    #[test]
    fn each_step_is_reached_and_left_a_fifth_below() {
        let mut trip = RoundTrip::default();
        assert_eq!(after(&mut trip, &[149; 9]), None);
        for (step, text) in STEPS {
            let ms = u64::try_from(step.as_millis()).unwrap();
            assert_eq!(after(&mut trip, &[ms; 3]), trip.text());
            assert_eq!(after(&mut trip, &[ms; 2]), Some(text));
            assert_eq!(after(&mut trip, &[ms * 4 / 5; 9]), Some(text));
        }
        assert_eq!(after(&mut trip, &[3_999]), Some("2 s"));
        assert_eq!(after(&mut trip, &[1]), None);
    }

    #[test]
    fn what_waits_for_more_than_the_way_says_nothing_and_a_wavering_way_stands_still() {
        let mut trip = RoundTrip::default();
        assert_eq!(after(&mut trip, &[2, 2_000, 900, 5_000]), None);
        assert_eq!(after(&mut trip, &[800, 810, 790, 805]), Some("500 ms"));
        for ms in [520, 430, 610, 405, 990, 450] {
            assert_eq!(after(&mut trip, &[ms]), Some("500 ms"));
        }
    }
}
