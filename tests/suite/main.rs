//! The integration suite: one binary, one module per capability.

mod configuration;
mod house;
mod support;
