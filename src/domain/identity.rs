//! A run's identity: one hash over type, scope and normalised inputs.
//!
//! Neither the order of keys nor the order of lists changes it, so the same request made
//! twice in other words finds the same active run.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// The identity of a run of `run_type` over `scope` with `inputs`: 64 lower-case hex digits.
pub fn identity_hash(run_type: &str, scope: &Value, inputs: &Value) -> String {
    let mut text = String::new();
    // A tag before each part keeps ("ab", "c") and ("a", "bc") apart.
    text.push_str("type:");
    canonical(&Value::from(run_type), &mut text);
    text.push_str("scope:");
    canonical(scope, &mut text);
    text.push_str("inputs:");
    canonical(inputs, &mut text);
    hex(&Sha256::digest(text.as_bytes()))
}

/// JSON as one text, whatever the order of its keys and lists.
pub fn canonical_text(value: &Value) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    text
}

/// Bytes as lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        use std::fmt::Write as _;
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort();
            out.push('{');
            for key in keys {
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                canonical(&map[key], out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            let mut items: Vec<String> = items
                .iter()
                .map(|item| {
                    let mut text = String::new();
                    canonical(item, &mut text);
                    text
                })
                .collect();
            items.sort();
            out.push('[');
            for item in items {
                out.push_str(&item);
                out.push(',');
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn neither_key_order_nor_list_order_matters() {
        let a = identity_hash(
            "policy.sync",
            &json!({"tenants": [3, 1, 2]}),
            &json!({"a": 1, "b": {"c": [1, 2]}}),
        );
        let b = identity_hash(
            "policy.sync",
            &json!({"tenants": [1, 2, 3]}),
            &json!({"b": {"c": [2, 1]}, "a": 1}),
        );
        assert_eq!(a, b);
        assert_eq!(a.len(), 64);
    }

    #[test]
    fn type_scope_and_inputs_each_matter() {
        let base = identity_hash("policy.sync", &json!({"tenant": 1}), &json!({}));
        assert_ne!(base, identity_hash("policy.synd", &json!({"tenant": 1}), &json!({})));
        assert_ne!(base, identity_hash("policy.sync", &json!({"tenant": 2}), &json!({})));
        assert_ne!(base, identity_hash("policy.sync", &json!({"tenant": 1}), &json!({"x": null})));
    }
}
