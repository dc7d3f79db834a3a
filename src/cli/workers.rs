//! `workers list`: who works, who holds what, and what no worker can execute.

use serde_json::json;

use super::text::{self, Table};
use super::{Env, examples};
use crate::Result;
use crate::domain::clock_offset;
use crate::ops::workers::{ListWorkers, WorkersView};

/// What can be done with workers.
#[derive(Debug, clap::Subcommand)]
pub enum WorkersCommand {
    /// List the workers, their leases, and what no worker can execute
    #[command(before_help = examples!("tenantpilot workers list", "tenantpilot workers list --json"))]
    List {
        /// List also workers that were not heard of for more than a day
        #[arg(long)]
        all: bool,
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs one of them.
///
/// # Errors
/// Whatever the operation says.
pub async fn run(command: WorkersCommand, env: &Env) -> Result<u8> {
    let WorkersCommand::List { all, json } = command;
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let mut view = ops.run(&session.actor, ListWorkers).await?;
    if all {
        view.workers.append(&mut view.gone);
    }
    if json {
        env.out.json(&as_json(&view))?;
        return Ok(0);
    }
    let (zone, ascii) = (env.zone(), env.ascii());
    let (since, beat) = (text::time_heading("SINCE", zone), text::time_heading("HEARTBEAT", zone));
    if view.workers.is_empty() {
        env.out.message("no active worker; start one: tenantpilot worker");
    } else {
        let mut table =
            Table::new(&["WORKER", "STATE", "HOLDS", "SLOTS", &since, &beat, "VERSION"]);
        for worker in &view.workers {
            let state = match (worker.silent, worker.stopping, &worker.outage) {
                (true, ..) => "silent",
                (_, true, _) => "stopping",
                (.., Some(_)) => "outage",
                _ if worker.wrong_clock().is_some() => "clock wrong",
                _ => "active",
            };
            let holds = view.leases.iter().filter(|lease| lease.owner == worker.id).count();
            table.push([
                text::name(&worker.name, ascii),
                state.to_owned(),
                holds.to_string(),
                worker.slots.to_string(),
                text::short_time(worker.started_at, zone),
                text::short_time(worker.heartbeat_at, zone),
                text::name(&worker.version, ascii),
            ]);
        }
        table.print(&env.out)?;
    }
    for worker in view.workers.iter().filter(|worker| !worker.silent) {
        if let Some(outage) = &worker.outage {
            let name = text::name(&worker.name, ascii);
            env.out.message(format!("warning: {name} waits for the database: {outage}"));
        }
        if let Some(seconds) = worker.wrong_clock() {
            let name = text::name(&worker.name, ascii);
            env.out.message(format!("warning: {}", clock_offset::notice(&name, seconds)));
        }
    }
    match view.gone.len() {
        0 => {}
        n => env.out.message(format!(
            "{n} worker{} not heard of for more than a day; list with --all",
            if n == 1 { "" } else { "s" }
        )),
    }
    if !view.leases.is_empty() {
        env.out.line("")?;
        let mut table = Table::new(&["RUN", "TYPE", "HELD BY", "STATE", &since, &beat]).right(0);
        for lease in &view.leases {
            let worker =
                view.workers.iter().chain(&view.gone).find(|worker| worker.id == lease.owner);
            table.push([
                lease.run_id.to_string(),
                text::name(&lease.run_type, ascii),
                text::name(worker.map_or(lease.owner.as_str(), |worker| &worker.name), ascii),
                if lease.overdue { "stuck" } else { "held" }.to_owned(),
                text::short_time(lease.acquired_at, zone),
                text::short_time(lease.heartbeat_at, zone),
            ]);
        }
        table.print(&env.out)?;
    }
    for unserved in &view.unserved {
        env.out.message(format!(
            "warning: {}; queued: {}",
            unserved.support.obstacle(&unserved.run_type).unwrap_or_default(),
            unserved.queued
        ));
    }
    let alerts = &view.alerts;
    if alerts.dead > 0 || alerts.overdue > 0 {
        env.out.message(format!(
            "warning: alerts not delivered: {} waiting, {} given up; see: tenantpilot alerts list",
            alerts.pending, alerts.dead
        ));
    }
    Ok(0)
}

fn as_json(view: &WorkersView) -> serde_json::Value {
    let workers: Vec<_> = view
        .workers
        .iter()
        .map(|worker| {
            json!({
                "id": worker.id, "name": worker.name, "version": worker.version,
                "types": worker.runbooks.0, "slots": worker.slots, "silent": worker.silent,
                "stopping": worker.stopping, "outage": worker.outage,
                "clock_offset_seconds": worker.clock_offset_seconds, "gone": worker.gone,
                "started_at": worker.started_at,
                "heartbeat_at": worker.heartbeat_at,
            })
        })
        .collect();
    let leases: Vec<_> = view
        .leases
        .iter()
        .map(|lease| {
            json!({
                "run_id": lease.run_id, "type": lease.run_type, "owner": lease.owner,
                "acquired_at": lease.acquired_at, "heartbeat_at": lease.heartbeat_at,
                "expires_at": lease.expires_at, "overdue": lease.overdue,
                "takeovers": lease.takeovers,
            })
        })
        .collect();
    let unserved: Vec<_> = view
        .unserved
        .iter()
        .map(|row| json!({ "type": row.run_type, "queued": row.queued, "support": row.support }))
        .collect();
    json!({ "schema_version": 1, "workers": workers, "leases": leases, "unserved": unserved,
        "alerts": { "pending": view.alerts.pending, "overdue": view.alerts.overdue,
                    "dead": view.alerts.dead, "last_error": view.alerts.last_error } })
}
