//! A panic of a command: one line for a person, with nothing secret in it.

use super::Output;
use crate::domain::safe_text::SafeText;
use crate::domain::sanitize;

/// What is said of a panic: its text may hold anything, so secrets in it are masked.
pub fn said(text: &str, place: &str) -> String {
    let text = SafeText::new(&sanitize::redact(text).text);
    format!("tenantpilot stopped because of a bug at {place}: {text}")
}

/// Makes every panic say that, on standard error and in the log. The console and the worker put
/// hooks of their own in its place.
pub(super) fn install() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let said = said(text, &place);
        tracing::error!(text = said, "panic");
        Output::process().message(&said);
    }));
}
