//! What tests of every area share.

pub mod console;
pub mod desk;
pub mod logs;
pub mod moments;
pub mod postgres;
pub mod proxy;
pub mod receiver;
pub mod run_rules;
pub mod scene;
pub mod secrets;
pub mod starts;
pub mod stores;

/// Copies a program that is to be started. Another process writes the copy: one that this process has
/// open for writing while another test starts a child counts as busy, and does not start.
pub fn copy_program(from: &std::path::Path, to: &std::path::Path) {
    assert!(std::process::Command::new("cp").args([from, to]).status().unwrap().success());
}
