//! The console, driven by keys.

mod captures;
mod inbox;
mod keys;
mod live;
mod lost;
mod program;
mod run_control;
mod run_states;
mod session;
mod untrusted;
mod workers;
