//! The console: state and its changes, what keys mean, how things look, and the loop that
//! ties them to a terminal and to the service.

#![expect(missing_docs, reason = "a name that says it all needs no sentence")]

pub mod app;
mod banner;
pub mod command;
pub mod compose;
pub mod control;
pub mod effects;
pub mod export;
mod feed;
pub mod frame;
pub mod keymap;
pub mod launch;
pub mod look;
pub mod msg;
pub mod remote;
mod requests;
mod round_trip;
pub mod screen;
pub mod screens;
mod second;
pub mod session;
pub mod source_file;
pub mod tabs;
pub mod theme;
pub mod trend;
pub mod widgets;
