//! The console, driven by keys.

mod captures;
mod inbox;
mod keys;
mod live;
mod lost;
mod program;
mod session;
mod untrusted;
