//! Operation types: canonical dotted names, and the labels of those we know.

use crate::domain::safe_text::quoted;
use crate::{Error, Result};

/// The longest type name.
const MAX_LENGTH: usize = 80;

/// The types this version knows, with the words a person reads.
pub const KNOWN: &[(&str, &str)] = &[
    ("backup.snapshot", "Configuration backup"),
    ("findings.lifecycle_backfill", "Backfill findings lifecycle"),
    ("inventory.sync", "Inventory sync"),
    ("operations.reconcile_stale", "Reconcile stale runs"),
    ("policy.sync", "Policy sync"),
    ("product_usage.prune", "Prune product usage"),
    ("provider.connection_check", "Provider connection check"),
    ("review_pack.generate", "Review pack"),
    ("stored_report.create", "Stored report"),
];

/// The label of a type; the type itself where it is not known.
pub fn label(run_type: &str) -> &str {
    KNOWN.iter().find(|(name, _)| *name == run_type).map_or(run_type, |(_, label)| label)
}

/// Checks that `text` is a canonical dotted name, `findings.lifecycle_backfill`.
///
/// # Errors
/// *Usage*, with the rule.
pub fn check(text: &str) -> Result<()> {
    let part_ok = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let ok = text.len() <= MAX_LENGTH && text.contains('.') && text.split('.').all(part_ok);
    if ok {
        return Ok(());
    }
    Err(Error::usage(format!("{} is not an operation type", quoted(text)))
        .hint("use lower-case words joined by dots, such as policy.sync"))
}
