//! Terminals, local or remote: what is drawn, what is read, and leaving them as they were.
//!
//! A session draws through [`SizedBackend`] into a writer it is given, and reads a stream
//! of events; neither knows whether the terminal is the process's own.

pub mod backend;
pub mod color;
mod encode;
pub mod fence;
pub mod guard;
pub mod input;
pub mod local;
mod queue;
pub mod signals;

pub use backend::SizedBackend;
pub use color::ColorSupport;
pub use guard::{Crash, Exit, Modes, ScreenWriter, TerminalGuard};
