//! `tenants`: which there are, and one at a glance.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::list;
use super::subject::tenant_id;
use super::view::field;
use crate::Result;
use crate::cli::text::{self, Table};
use crate::cli::{Env, examples, runs};
use crate::domain::run_state::RunState;
use crate::ops::support::{GetTenant, ListTenants, SupportTenant, TenantView};
use crate::ops::telemetry::NOT_KEPT;

/// How wide names, types and codes are, so that a line stays within 80 columns.
const NAME: usize = 32;
const TYPE: usize = 18;
const CODE: usize = 16;

/// What can be done with tenants.
#[derive(Debug, clap::Subcommand)]
pub enum TenantsCommand {
    /// List the tenants that you may see, by name
    #[command(before_help = examples!(
        "tenantpilot tenants list",
        "tenantpilot tenants list --search fabrikam --json",
    ))]
    List(ListArgs),
    /// Show one tenant: last activity, runs, findings, its connection, requests
    #[command(before_help = examples!(
        "tenantpilot tenants show 412",
        "tenantpilot tenants show 412 --json",
    ))]
    Show(ShowArgs),
}

/// Arguments of `tenants list`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Part of a tenant's or workspace's name, or a tenant's id
    #[arg(long, value_name = "TEXT", default_value = "")]
    search: String,
    /// At most this many tenants, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 50, allow_negative_numbers = true,
          value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
    /// Leave so many out before
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true,
          value_parser = clap::value_parser!(i64).range(0..))]
    offset: i64,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `tenants show`.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// The tenant's id
    #[arg(value_name = "ID", value_parser = tenant_id)]
    id: i64,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Runs one of them.
///
/// # Errors
/// Whatever the operation says.
pub async fn run(command: TenantsCommand, env: &Env) -> Result<u8> {
    match command {
        TenantsCommand::List(args) => list(args, env).await,
        TenantsCommand::Show(args) => show(args, env).await,
    }
}

async fn list(args: ListArgs, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let asked = ListTenants { search: args.search, offset: args.offset, limit: args.limit };
    let page = ops.run(&session.actor, asked).await?;
    if args.json {
        env.out.json(&json!({
            "schema_version": 1, "tenants": page.tenants, "matching": page.matching,
        }))?;
        return Ok(0);
    }
    let shown = i64::try_from(page.tenants.len()).unwrap_or(i64::MAX);
    if shown == 0 {
        env.out.message("no tenants");
        return Ok(0);
    }
    let mut table = Table::new(&["ID", "TENANT", "WORKSPACE", "NOTE"]).right(0);
    for tenant in &page.tenants {
        table.push([
            tenant.id.to_string(),
            text::cut(&tenant.name, NAME, env.ascii()).to_string(),
            text::cut(&tenant.workspace_name, TYPE, env.ascii()).to_string(),
            notes(tenant).join(", "),
        ]);
    }
    table.print(&env.out)?;
    let after = args.offset.saturating_add(shown);
    if page.matching > after {
        let left = page.matching - after;
        env.out.message(format!("{left} more: add --offset {after}, or narrow it with --search"));
    }
    Ok(0)
}

/// What is special about a tenant.
fn notes(tenant: &SupportTenant) -> Vec<&'static str> {
    let mut notes = Vec::new();
    if tenant.archived_at.is_some() {
        notes.push("archived");
    }
    if tenant.is_platform {
        notes.push("platform's own");
    }
    notes
}

async fn show(args: ShowArgs, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let view = ops.run(&session.actor, GetTenant { id: args.id }).await?;
    if args.json {
        env.out.json(&json!({ "schema_version": 1, "tenant": as_json(&view) }))?;
        return Ok(0);
    }
    head(&view, env)?;
    findings(&view, env)?;
    runs_of(&view, env)?;
    connections(&view, env)?;
    if let Some(requests) = view.requests.as_ref().filter(|requests| !requests.is_empty()) {
        section("support requests", env)?;
        list::table(requests, env)?;
    }
    env.out.message(format!(
        "ask for support: tenantpilot support create --tenant {} --summary TEXT",
        args.id
    ));
    Ok(0)
}

/// The tenant's columns, and what is known of it.
fn as_json(view: &TenantView) -> Value {
    let mut value = json!(view.tenant);
    let runs: Vec<Value> = view.runs.iter().map(|run| runs::as_json(run, view.as_of)).collect();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("as_of".to_owned(), json!(view.as_of));
        fields.insert("last_activity_at".to_owned(), json!(view.last_activity_at));
        fields.insert("last_7_days".to_owned(), json!(view.week));
        fields.insert("runs".to_owned(), Value::Array(runs));
        fields.insert("runs_missing_before".to_owned(), json!(view.runs_missing_before));
        fields.insert("findings".to_owned(), json!(view.findings));
        fields.insert("provider_connections".to_owned(), json!(view.connections));
        fields.insert("support_requests".to_owned(), json!(view.requests));
    }
    value
}

fn head(view: &TenantView, env: &Env) -> Result<()> {
    let (tenant, zone) = (&view.tenant, env.zone());
    let mut lines = text::wrapped("", &format!("tenant {}  {}", tenant.id, tenant.name));
    lines.extend(field(
        "workspace",
        &format!("{} ({})", tenant.workspace_name, tenant.workspace_id),
    ));
    lines.extend(field("created", &text::time(tenant.created_at, zone)));
    if let Some(at) = tenant.archived_at {
        lines.extend(field("archived", &text::time(at, zone)));
    }
    if tenant.is_platform {
        lines.extend(field("note", "the platform's own tenant"));
    }
    let last =
        view.last_activity_at.map_or_else(|| "none is kept".to_owned(), |at| text::time(at, zone));
    lines.extend(field("activity", &last));
    let week = view.week;
    let mut runs = match (week.total, week.failed) {
        (None, _) => NOT_KEPT.to_owned(),
        (Some(total), failed) => {
            let noun = if total == 1 { "run" } else { "runs" };
            let failed = failed.map_or_else(|| NOT_KEPT.to_owned(), |failed| failed.to_string());
            format!("{total} {noun}, {failed} failed, {} active", week.active)
        }
    };
    if let Some(at) = week.missing_before {
        runs.push_str(&format!("; ended runs are {NOT_KEPT} before {}", text::time(at, zone)));
    }
    lines.extend(field("7 days", &runs));
    lines.iter().try_for_each(|line| env.out.line(line))
}

fn section(heading: &str, env: &Env) -> Result<()> {
    env.out.line("")?;
    env.out.line(heading)
}

fn at(at: Option<DateTime<Utc>>, env: &Env) -> String {
    at.map_or_else(String::new, |at| text::short_time(at, env.zone()))
}

fn findings(view: &TenantView, env: &Env) -> Result<()> {
    section("findings", env)?;
    if view.findings.is_empty() {
        return env.out.line("none");
    }
    let changed = text::time_heading("CHANGED", env.zone());
    let headings = ["SEVERITY", "OPEN", "OVERDUE", "CLOSED", &changed];
    let mut table = Table::new(&headings).right(1).right(2).right(3);
    for sums in &view.findings {
        table.push([
            sums.severity.clone(),
            sums.open.to_string(),
            sums.overdue.to_string(),
            (sums.total - sums.open).to_string(),
            at(sums.newest_at, env),
        ]);
    }
    table.print(&env.out)
}

fn runs_of(view: &TenantView, env: &Env) -> Result<()> {
    section("runs", env)?;
    if let Some(at) = view.runs_missing_before {
        let at = text::time(at, env.zone());
        env.out.line(format!("ended runs are {NOT_KEPT} before {at}"))?;
    }
    if view.runs.is_empty() {
        return env.out.line("none is kept");
    }
    let created = text::time_heading("CREATED", env.zone());
    let mut table = Table::new(&["ID", &created, "TYPE", "STATE", "REASON"]).right(0);
    for run in &view.runs {
        let reason = run.reason_code.as_deref().unwrap_or_default();
        table.push([
            run.id.to_string(),
            text::short_time(run.created_at, env.zone()),
            text::cut(&run.run_type, TYPE, env.ascii()).to_string(),
            RunState::of(run, view.as_of).label(env.ascii()),
            text::cut(reason, CODE, env.ascii()).to_string(),
        ]);
    }
    table.print(&env.out)
}

fn connections(view: &TenantView, env: &Env) -> Result<()> {
    section("provider connection", env)?;
    if view.connections.is_empty() {
        return env.out.line("none");
    }
    let checked = text::time_heading("CHECKED", env.zone());
    let mut table = Table::new(&["ID", "PROVIDER", "STATUS", "ERROR", &checked]).right(0);
    for connection in &view.connections {
        let error = connection.last_error_code.as_deref().unwrap_or_default();
        table.push([
            connection.id.to_string(),
            text::cut(&connection.provider, CODE, env.ascii()).to_string(),
            connection.status.clone(),
            text::cut(error, CODE, env.ascii()).to_string(),
            at(connection.last_checked_at, env),
        ]);
    }
    table.print(&env.out)
}
