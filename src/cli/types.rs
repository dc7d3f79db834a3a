//! `types`: the catalogue of operation types, and what executes each here.

use serde_json::json;

use super::text::Table;
use super::{Env, examples};
use crate::domain::operation_type;
use crate::domain::type_support::Support;
use crate::ops::types::{ListTypes, ListedType};
use crate::{Error, Result};

/// What can be done with types.
#[derive(Debug, clap::Subcommand)]
pub enum TypesCommand {
    /// List the operation types
    #[command(before_help = examples!("tenantpilot types list", "tenantpilot types list --json"))]
    List {
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one operation type: what executes it, what it risks, who may start it
    #[command(before_help = examples!(
        "tenantpilot types show policy.sync",
        "tenantpilot types show product_usage.prune --json",
    ))]
    Show {
        /// Key of the type
        #[arg(value_name = "TYPE")]
        key: String,
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs one of them.
///
/// # Errors
/// *Not found* for a type that the catalogue does not have.
pub async fn run(command: TypesCommand, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let types = ops.run(&session.actor, ListTypes).await?;
    match command {
        TypesCommand::List { json: true } => {
            env.out.json(&json!({ "schema_version": 1, "types": types }))?;
        }
        TypesCommand::List { json: false } => list(&types, env)?,
        TypesCommand::Show { key, json } => {
            operation_type::check(&key)?;
            let found = types.iter().find(|listed| listed.kind.key == key).ok_or_else(|| {
                Error::not_found(format!("the type {key}"))
                    .hint("see the types: tenantpilot types list")
            })?;
            if json {
                env.out.json(&json!({ "schema_version": 1, "type": found }))?;
            } else {
                show(found, env)?;
            }
        }
    }
    Ok(0)
}

fn list(types: &[ListedType], env: &Env) -> Result<()> {
    let mut table = Table::new(&["TYPE", "EXECUTOR", "RISK", "RETRY", "NOW"]);
    for listed in types {
        table.push([
            listed.kind.key.to_owned(),
            listed.executor_here.to_string(),
            listed.kind.risk.to_string(),
            yes(listed.kind.retryable).to_owned(),
            now(listed.support).to_owned(),
        ]);
    }
    table.print(&env.out)
}

fn show(listed: &ListedType, env: &Env) -> Result<()> {
    let (kind, out) = (&listed.kind, &env.out);
    out.line(format!("{}  {}", kind.key, kind.label))?;
    for (name, value) in [
        ("category", kind.category),
        ("executor", listed.executor_here.as_str()),
        ("risk", kind.risk.as_str()),
        ("retryable", yes(kind.retryable)),
        ("customers", if kind.customers_start { "may start it" } else { "may not start it" }),
        ("provider", if kind.needs_provider { "required" } else { "not required" }),
    ] {
        out.line(format!("{name:<10} {value}"))?;
    }
    let now = listed.support.obstacle(kind.key);
    out.line(format!("now        {}", now.as_deref().unwrap_or("an active worker supports it")))
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

fn now(support: Support) -> &'static str {
    support.short_obstacle().unwrap_or("supported")
}
