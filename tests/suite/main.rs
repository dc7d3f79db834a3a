//! The integration suite: one binary, one module per capability.

#![expect(clippy::unwrap_used, reason = "a fixture that fails has to fail the test")]

mod access;
mod alerts;
mod alerts_cli;
mod append_only;
mod backend;
mod break_glass;
mod break_glass_cli;
mod chaos;
mod cli;
mod cli_runs;
mod cli_seed;
mod cli_terminal;
mod configuration;
mod console;
mod database;
mod database_opening;
mod house;
mod keymap;
mod notifications;
mod notifications_cli;
mod plans;
mod plans_guards;
mod run_filter;
mod runbooks;
mod runbooks_backfill;
mod runbooks_cli;
mod runbooks_deploy;
mod runbooks_reconcile;
mod runs_lifecycle;
mod runs_list;
mod runs_read;
mod runs_start;
mod seed;
mod sessions;
mod support;
mod telemetry;
mod telemetry_cli;
mod telemetry_summary;
mod terminal;
mod text_safety;
mod theme;
mod users;
mod worker;
mod worker_process;
