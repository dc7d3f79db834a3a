//! `runbooks`: listing maintenance procedures, seeing what one would change, starting it.

mod deploy;
mod plan;
mod scope;
mod show;
mod start;

use super::{Env, examples};
use crate::Result;

/// What can be done with runbooks.
#[derive(Debug, clap::Subcommand)]
pub enum RunbooksCommand {
    /// List the runbooks: what each changes, and whether it can be undone
    #[command(before_help = examples!("tenantpilot runbooks list", "tenantpilot runbooks list --json"))]
    List {
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one runbook: what it changes, what it takes, and whether you may start it
    #[command(before_help = examples!(
        "tenantpilot runbooks show findings.lifecycle_backfill",
        "tenantpilot runbooks show product_usage.prune --json",
    ))]
    Show {
        /// Key of the runbook
        #[arg(value_name = "KEY")]
        key: String,
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Count what a runbook would change, and keep that as a plan; changes nothing
    #[command(before_help = examples!(
        "tenantpilot runbooks preflight findings.lifecycle_backfill --tenant 412 --tenant 413",
        "tenantpilot runbooks preflight findings.lifecycle_backfill --all-tenants --targets",
        "tenantpilot runbooks preflight findings.lifecycle_backfill --workspace 3 --csv plan.csv",
        "tenantpilot runbooks preflight product_usage.prune --input days=30 --json",
    ))]
    Preflight(plan::PreflightArgs),
    /// Show a plan that you made before
    #[command(before_help = examples!(
        "tenantpilot runbooks plan 17",
        "tenantpilot runbooks plan 17 --targets --json",
        "tenantpilot runbooks plan 17 --csv - | column -ts,",
    ))]
    Plan(plan::PlanArgs),
    /// Start a runbook
    #[command(before_help = examples!(
        "tenantpilot runbooks start findings.lifecycle_backfill --tenant 412 --yes",
        "tenantpilot runbooks start findings.lifecycle_backfill --all-tenants \\",
        "    --reason-code DATA_REPAIR --reason 'rows of the March import' --confirm 'BACKFILL 412'",
        "tenantpilot runbooks start findings.lifecycle_backfill --plan 17 --dry-run",
        "tenantpilot runbooks start operations.reconcile_stale --confirm RECONCILE --json",
    ))]
    Start(Box<start::StartArgs>),
    /// Start what the configuration declares, each piece once; for deployment scripts
    #[command(
        before_help = examples!(
            "tenantpilot runbooks deploy --dry-run",
            "tenantpilot runbooks deploy --json",
        ),
        after_help = deploy::DECLARATION,
    )]
    Deploy(deploy::DeployArgs),
}

/// Runs one of them.
///
/// # Errors
/// Whatever the operation says.
pub async fn run(command: RunbooksCommand, env: &Env) -> Result<u8> {
    match command {
        RunbooksCommand::List { json } => show::list(json, env).await,
        RunbooksCommand::Show { key, json } => show::show(&key, json, env).await,
        RunbooksCommand::Preflight(args) => plan::preflight(args, env).await,
        RunbooksCommand::Plan(args) => plan::plan(args, env).await,
        RunbooksCommand::Start(args) => start::start(*args, env).await,
        RunbooksCommand::Deploy(args) => deploy::deploy(args, env).await,
    }
}
