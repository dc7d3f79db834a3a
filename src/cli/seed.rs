//! `seed`: an empty database becomes a lifelike platform.

use clap::Args;
use serde::Serialize;

use super::{Env, Table};
use crate::Result;
use crate::demo::seed::{Amounts, Seeded, seed};
use crate::domain::count::count;
use crate::ops::{Create, SchemaState};

/// What `seed` is told.
#[derive(Debug, Args)]
pub struct SeedArgs {
    /// Tenants, the platform's own and archived ones among them [default: by the runs]
    #[arg(long, value_name = "N")]
    tenants: Option<u64>,
    /// Operation runs
    #[arg(long, value_name = "N", default_value_t = Amounts::default().runs)]
    runs: u64,
    /// Findings
    #[arg(long, value_name = "N", default_value_t = Amounts::default().findings)]
    findings: u64,
    /// Telemetry events
    #[arg(long, value_name = "N", default_value_t = Amounts::default().events)]
    events: u64,
    /// The same number makes the same platform, apart from passwords and the time it is made
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer {
    schema_version: u8,
    #[serde(flatten)]
    seeded: Seeded,
}

/// Seeds the configured database and prints the accounts, once.
///
/// # Errors
/// *Refused* where there is a platform already.
pub async fn run(args: SeedArgs, env: &Env) -> Result<u8> {
    let ops = env.open(Create::IfMissing)?;
    ops.require_direct_connection("seeding").await?;
    if ops.schema_state().await? == SchemaState::Empty {
        ops.migrate().await?;
    }
    ops.require_current_schema().await?;
    let scaled = Amounts::for_runs(args.runs);
    let amounts = Amounts {
        tenants: args.tenants.unwrap_or(scaled.tenants),
        runs: args.runs,
        findings: args.findings,
        events: args.events,
    };
    let mut progress = |line: &str| env.out.message(line);
    let seeded = seed(&ops, &amounts, args.seed, &mut progress).await;
    ops.close().await;
    // It is loaded in several transactions.
    let seeded = seeded.map_err(|error| {
        if error.retry_can_help() {
            return error.hint("a part may be stored: remove this database and seed an empty one");
        }
        error
    })?;
    if args.json {
        env.out.json(&Answer { schema_version: 1, seeded })?;
        return Ok(0);
    }
    env.out.line(format!(
        "{}, {}, {}, {}, {}",
        count(seeded.workspaces, "workspace"),
        count(seeded.tenants, "tenant"),
        count(seeded.runs, "run"),
        count(seeded.findings, "finding"),
        count(seeded.events, "telemetry event"),
    ))?;
    env.out.line("")?;
    let mut table = Table::new(&["ACCOUNT", "PASSWORD", "ROLE"]);
    for account in seeded.accounts {
        table.push([account.username, account.password, account.role]);
    }
    table.print(&env.out)?;
    env.out.message("the passwords are shown this once");
    Ok(0)
}
