//! The console: state and its changes, what keys mean, how things look, and the loop that
//! ties them to a terminal and to the service.

#![expect(missing_docs, reason = "a name that says it all needs no sentence")]

pub mod app;
mod banner;
pub mod command;
pub mod control;
pub mod draft_files;
pub mod export;
pub mod frame;
pub mod keymap;
pub mod launch;
pub mod link;
pub mod look;
pub mod msg;
pub mod remote;
pub mod runner;
pub mod screen;
pub mod screens;
pub mod session;
pub mod setup;
pub mod slot;
pub mod source_file;
pub mod tabs;
pub mod theme;
pub mod trend;
pub mod widgets;
