//! The console, driven by keys.

mod break_glass;
mod captures;
pub mod compose;
mod compose_captures;
mod compose_drafts;
mod condition;
mod errors;
mod inbox;
mod keys;
mod live;
mod lost;
mod overview;
mod overview_captures;
mod program;
pub mod run_control;
mod run_states;
mod runbook_captures;
mod runbook_confirm;
pub mod runbook_wizard;
mod session;
mod support;
mod support_captures;
mod telemetry;
mod untrusted;
mod workers;
mod zones;
