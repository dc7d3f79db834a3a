//! The console: what keys mean, how things look, and (above them) the screens.

pub mod command;
pub mod keymap;
pub mod source_file;
pub mod theme;
