//! What a start may be given: facts, never payloads.

use serde_json::Value;

use crate::{Error, Result};

/// The largest context that is stored, in bytes of JSON.
const MAX_CONTEXT: usize = 8 * 1024;
/// How idempotency keys of the system's own begin.
const RESERVED: &[&str] = &["deploy:", "schedule:"];
/// The longest idempotency key.
const MAX_REQUEST_ID: usize = 120;

/// Inputs are facts: an object of short, plain values, no nested payloads, no control
/// characters (which not every engine stores).
pub(super) fn check_inputs(inputs: &Value) -> Result<()> {
    let object = inputs.as_object().ok_or_else(|| Error::usage("inputs must be an object"))?;
    if inputs.to_string().len() > MAX_CONTEXT {
        return Err(Error::usage(format!("the inputs are too large: at most {MAX_CONTEXT} bytes")));
    }
    for (key, value) in object {
        let clean = |text: &str| !text.contains(char::is_control);
        let plain = |value: &Value| match value {
            Value::Object(_) | Value::Array(_) => false,
            Value::String(text) => clean(text),
            _ => true,
        };
        let fine = match value {
            Value::Array(items) => items.iter().all(plain),
            other => plain(other),
        };
        if !fine || !clean(key) {
            return Err(Error::usage(format!(
                "the input {} must be a plain value of one line, or a list of them",
                crate::domain::safe_text::quoted(key)
            )));
        }
    }
    Ok(())
}

/// What deployments and the schedule name their work by is theirs: whoever took such an id would
/// keep them from doing it.
pub(in crate::ops) fn check_reserved(request_id: Option<&str>) -> Result<()> {
    match request_id.and_then(|id| RESERVED.iter().find(|prefix| id.starts_with(**prefix))) {
        None => Ok(()),
        Some(prefix) => {
            Err(Error::usage(format!("idempotency keys that start with {prefix} are reserved"))
                .hint("choose another idempotency key"))
        }
    }
}

/// An idempotency key is one word.
pub(super) fn check_request_id(request_id: Option<&str>) -> Result<()> {
    let fine = request_id.is_none_or(|id| {
        (1..=MAX_REQUEST_ID).contains(&id.len()) && id.chars().all(|c| c.is_ascii_graphic())
    });
    if fine {
        return Ok(());
    }
    Err(Error::usage(format!(
        "an idempotency key is 1 to {MAX_REQUEST_ID} printable ASCII characters"
    )))
}
