//! What tests of every area share.

pub mod console;
pub mod desk;
pub mod moments;
pub mod postgres;
pub mod proxy;
pub mod receiver;
pub mod run_rules;
pub mod scene;
pub mod secrets;
pub mod starts;
pub mod stores;
