//! Reason codes of failures.
