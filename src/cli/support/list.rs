//! `support list`: requests of one's view, newest first.

use serde_json::json;

use super::subject::tenant_id;
use crate::Result;
use crate::cli::runs_filter::cursor;
use crate::cli::text::{self, Table};
use crate::cli::{Env, runs};
use crate::domain::support::Severity;
use crate::ops::support::{ListRequests, SupportRequest};

/// How wide a tenant's name is, so that a line stays within 80 columns.
const NAME: usize = 18;
/// How wide a line under a row is.
const UNDER: usize = 76;

/// Arguments of `support list`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// About this tenant
    #[arg(long, value_name = "ID", allow_negative_numbers = true, value_parser = tenant_id)]
    tenant: Option<i64>,
    /// About this run
    #[arg(long, value_name = "ID", allow_negative_numbers = true, value_parser = runs::id)]
    run: Option<i64>,
    /// low, normal, high or blocking
    #[arg(long, value_name = "SEVERITY")]
    severity: Option<Severity>,
    /// Sent by you
    #[arg(long)]
    mine: bool,
    /// Part of a reference, a summary, a tenant's or a sender's name
    #[arg(long, value_name = "TEXT", default_value = "")]
    search: String,
    /// At most this many requests, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 50, allow_negative_numbers = true,
          value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
    /// Requests older than this place, which the page before gave as "next"
    #[arg(long, value_name = "CURSOR")]
    before: Option<String>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Lists them.
///
/// # Errors
/// Whatever the operation says.
pub async fn run(args: ListArgs, env: &Env) -> Result<u8> {
    let before = args.before.as_deref().map(cursor::parse).transpose()?;
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let asked = ListRequests {
        tenant_id: args.tenant,
        run_id: args.run,
        severity: args.severity,
        mine: args.mine,
        search: args.search,
        before,
        limit: args.limit,
    };
    let page = ops.run(&session.actor, asked).await?;
    let next = page.next.as_ref().map(cursor::text);
    if args.json {
        env.out.json(&json!({
            "schema_version": 1, "support_requests": page.support_requests, "next": next,
        }))?;
        return Ok(0);
    }
    if page.support_requests.is_empty() {
        env.out.message("no support requests");
        return Ok(0);
    }
    table(&page.support_requests, env)?;
    if let Some(next) = next {
        env.out.message(format!("there may be more: add --before {next}"));
    }
    Ok(0)
}

/// Requests as a table; what each says stands under it.
///
/// # Errors
/// Where the output cannot be written.
pub fn table(requests: &[SupportRequest], env: &Env) -> Result<()> {
    let (zone, ascii) = (env.zone(), env.ascii());
    let sent = text::time_heading("SENT", zone);
    let mut table = Table::new(&["REFERENCE", &sent, "SEVERITY", "TENANT"]);
    for request in requests {
        let tenant = match &request.tenant_name {
            Some(name) => text::cut(name, NAME, ascii).to_string(),
            None => format!("tenant {}", request.tenant_id),
        };
        table.push([
            request.reference.to_string(),
            text::short_time(request.created_at, zone),
            request.severity.to_string(),
            tenant,
        ]);
        table.note(&text::cut(&request.summary, UNDER, ascii));
        let about = request.run_id.map_or_else(String::new, |run| format!("run {run}, "));
        let how = request.attachment_mode.label();
        let more = format!("{about}by {}, {how}", text::name(&request.created_by_name, ascii));
        table.note(&text::cut(&more, UNDER, ascii));
    }
    table.print(&env.out)
}
