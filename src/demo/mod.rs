//! A seeded, lifelike platform and its traffic.
//!
//! [`seed`] makes the same platform for the same seed and moment: a *cast* (customers, their
//! tenants and people), a *history* of runs as drafts, and the *records* beside them. Small
//! amounts are replayed through the operations, large ones are loaded as rows.
//! [`traffic`] lets the customers go on working, and [`worker`] executes what they start with
//! the steps of [`simulator`].

mod activity;
mod calendar;
mod cast;
mod draft;
mod history;
mod profile;
mod records;
mod replay;
mod requests;
mod rows;
pub mod seed;
pub mod simulator;
pub mod traffic;
mod words;
pub mod worker;
