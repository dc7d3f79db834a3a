//! What tests of every area share.

pub mod postgres;
pub mod proxy;
pub mod stores;
