//! Summary counts of a run: a closed list of keys, never negative.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Error, Result, text_enum};

text_enum! {
    /// What may be counted.
    pub enum CountKey as "count" {
        /// Targets in all.
        Total = "total",
        /// Targets done, whatever came of them.
        Processed = "processed",
        /// Targets that succeeded.
        Succeeded = "succeeded",
        /// Targets that failed.
        Failed = "failed",
        /// Targets left undone on purpose.
        Skipped = "skipped",
        /// Records made.
        Created = "created",
        /// Records changed.
        Updated = "updated",
        /// Records removed.
        Deleted = "deleted",
        /// Tenants touched.
        Tenants = "tenants",
        /// Items looked at.
        Items = "items",
    }
}

/// Counts by key, in the order of [`CountKey`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SummaryCounts(BTreeMap<CountKey, u64>);

impl SummaryCounts {
    /// Reads counts from JSON.
    ///
    /// # Errors
    /// *Usage* for anything but an object, an unknown key, or a value that is not a whole
    /// number of at least 0.
    pub fn from_json(value: &Value) -> Result<Self> {
        let object = value
            .as_object()
            .ok_or_else(|| Error::usage("summary counts must be an object of whole numbers"))?;
        let mut counts = Self::default();
        for (key, value) in object {
            let key: CountKey = key.parse()?;
            let n = value.as_u64().ok_or_else(|| {
                Error::usage(format!("summary count {key} must be a whole number of at least 0"))
            })?;
            counts.set(key, n);
        }
        Ok(counts)
    }

    /// Sets one count.
    pub fn set(&mut self, key: CountKey, n: u64) {
        self.0.insert(key, n);
    }

    /// The same with one count set.
    #[must_use]
    pub fn with(mut self, key: CountKey, n: u64) -> Self {
        self.set(key, n);
        self
    }

    /// One count, if it was set.
    pub fn get(&self, key: CountKey) -> Option<u64> {
        self.0.get(&key).copied()
    }

    /// All counts that were set.
    pub fn iter(&self) -> impl Iterator<Item = (CountKey, u64)> + '_ {
        self.0.iter().map(|(key, n)| (*key, *n))
    }

    /// As JSON, `{"total": 40, ...}`.
    pub fn to_json(&self) -> Value {
        Value::Object(
            self.0.iter().map(|(k, n)| (k.as_str().to_owned(), Value::from(*n))).collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_keys_and_negative_numbers_are_refused_by_name() {
        let error = SummaryCounts::from_json(&json!({"totals": 1})).unwrap_err();
        assert!(error.to_string().contains("totals"), "{error}");
        let error = SummaryCounts::from_json(&json!({"total": -1})).unwrap_err();
        assert!(error.to_string().contains("total"), "{error}");
        assert!(SummaryCounts::from_json(&json!({"total": 1.5})).is_err());
        assert!(SummaryCounts::from_json(&json!([1])).is_err());
    }
}
