//! `support` and `tenants`: a tenant at a glance, its diagnostics, and requests for help.

mod create;
mod diagnostics;
mod input;
mod list;
mod preview;
mod repeat;
mod show;
mod subject;
mod tenants;
mod view;

pub use tenants::{TenantsCommand, run as tenants};

use super::{Env, examples};
use crate::Result;

/// What can be done about support.
#[derive(Debug, clap::Subcommand)]
pub enum SupportCommand {
    /// Send a request for support: what is stored is shown first, and never changes after
    #[command(before_help = examples!(
        "tenantpilot support create --run 10480 --summary 'every sync ends throttled'",
        "tenantpilot support create --run 10480 --tenant 412 --severity high \\",
        "    --summary 'every sync ends throttled' --notes-file notes.txt --dry-run",
        "tenantpilot support create --fingerprint 3fa9c01b77de --summary 'again' --confirm SEND",
        "tenantpilot support create --tenant 412 --summary 'no consent' --no-diagnostics \\",
        "    --notes-file - --confirm SEND --json < notes.txt",
    ))]
    Create(Box<create::CreateArgs>),
    /// List requests, newest first
    #[command(before_help = examples!(
        "tenantpilot support list",
        "tenantpilot support list --mine --severity blocking",
        "tenantpilot support list --tenant 412 --search throttled --json",
    ))]
    List(list::ListArgs),
    /// Show one request as it was stored
    #[command(before_help = examples!(
        "tenantpilot support show SR-01J9ZQ4M9QZ6W3J8R5T2Y7XKNV",
        "tenantpilot support show SR-01J9ZQ4M9QZ6W3J8R5T2Y7XKNV --markdown > request.md",
    ))]
    Show(show::ShowArgs),
    /// Open the redacted diagnostics of a tenant or a run; each opening is audited
    #[command(before_help = examples!(
        "tenantpilot support diagnostics --tenant 412",
        "tenantpilot support diagnostics --run 10480 --tenant 412 --json",
        "tenantpilot support diagnostics --run 10480 --markdown --output diagnostics.md",
    ))]
    Diagnostics(diagnostics::DiagnosticsArgs),
}

/// Runs one of them.
///
/// # Errors
/// Whatever the operation says.
pub async fn run(command: SupportCommand, env: &Env) -> Result<u8> {
    match command {
        SupportCommand::Create(args) => Box::pin(create::run(*args, env)).await,
        SupportCommand::List(args) => list::run(args, env).await,
        SupportCommand::Show(args) => show::run(args, env).await,
        SupportCommand::Diagnostics(args) => diagnostics::run(args, env).await,
    }
}
