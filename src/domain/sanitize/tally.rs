//! How much was withheld, by rule: what a manifest says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Redacted, Rule};
use crate::domain::count::count;

/// How many masks of each rule several texts hold. As JSON it is an object, `{"token":5}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tally(BTreeMap<Rule, usize>);

impl Tally {
    /// Counts the masks of `redacted`.
    pub fn add(&mut self, redacted: &Redacted) {
        for hit in &redacted.hits {
            *self.0.entry(hit.rule).or_default() += 1;
        }
    }

    /// Counts the masks of a text that is redacted already.
    pub fn add_text(&mut self, redacted: &str) {
        for hit in super::hits(redacted) {
            *self.0.entry(hit.rule).or_default() += 1;
        }
    }

    /// Adds what `other` counted.
    pub fn merge(&mut self, other: &Self) {
        for (rule, count) in other.counts() {
            *self.0.entry(rule).or_default() += count;
        }
    }

    /// The number of all masks.
    pub fn total(&self) -> usize {
        self.0.values().sum()
    }

    /// The rules that masked something, most important first, and how often.
    pub fn counts(&self) -> impl Iterator<Item = (Rule, usize)> + '_ {
        self.0.iter().map(|(rule, count)| (*rule, *count)).filter(|(_, count)| *count > 0)
    }

    /// The counts in words: `12 values withheld: 5 tokens, 4 e-mails, 3 address queries`.
    pub fn sentence(&self) -> String {
        let values = match self.total() {
            0 => return "nothing withheld".to_owned(),
            n => count(n, "value"),
        };
        let counts: Vec<String> = self.counts().map(|(rule, count)| rule.counted(count)).collect();
        format!("{values} withheld: {}", counts.join(", "))
    }
}
