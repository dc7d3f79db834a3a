//! TenantPilot: the operator console of a multi-tenant platform, its worker and its
//! command line, in one library with a thin binary.
//!
//! The map, from the outside in:
//!
//! | module | what it is for |
//! |---|---|
//! | [`cli`] | parses the command line; one file per command family |
//! | [`tui`] | the console: `update(Msg) -> Effects`, `view(&self)`, no I/O of its own |
//! | [`term`] | terminals: a sized backend, the event stream, guards and signals |
//! | [`ops`] | the only door to data: check, audit, execute |
//! | [`worker`] | executes runs in fenced steps: lanes, heartbeat, schedule |
//! | [`runbooks`] | maintenance procedures: the trait, the registry, one file each |
//! | [`access`] | actors, requirements and permits |
//! | [`domain`] | plain types and rules without I/O |
//! | [`drafts`] | support requests that were not sent yet, in private files |
//! | [`demo`] | a seeded, lifelike platform and its traffic |
//! | [`config`], [`paths`], [`files`], [`logging`], [`clock`], [`error`] | the ground everything stands on |
//!
//! `specs/architecture.md` says why it is laid out like this and what was rejected.

pub mod access;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod domain;
pub mod drafts;
pub mod error;
pub mod files;
pub mod logging;
pub mod ops;
pub mod paths;
pub mod runbooks;
pub mod term;
pub mod tui;
pub mod worker;

pub use clock::Clock;
pub use error::{Error, ErrorKind, Result};
