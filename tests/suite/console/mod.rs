//! The console, driven by keys.

mod captures;
mod keys;
mod live;
mod lost;
mod session;
mod untrusted;
