//! The screens: each is one state with its commands, its polls and its view.

pub mod dialogs;
pub mod document;
pub mod inbox;
pub mod login;
pub mod operations;
pub mod overview;
pub mod run;
pub mod runbooks;
pub mod support;
pub mod telemetry;
pub mod workers;

pub(crate) use operations::tenant_text as operations_tenant_text;
