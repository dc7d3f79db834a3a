//! `notifications`: the inbox of the person who is logged in.

use serde_json::json;

use super::runs_filter::cursor;
use super::text::{self, Table};
use super::{Env, examples};
use crate::ops::notifications::{
    CountUnread, ListNotifications, MAX_LIMIT, MarkAllRead, MarkRead, Marked, Notification,
};
use crate::{Error, ErrorKind, Result};

/// What can be done with notifications.
#[derive(Debug, clap::Subcommand)]
pub enum NotificationsCommand {
    /// List your notifications, newest first
    #[command(before_help = examples!(
        "tenantpilot notifications list",
        "tenantpilot notifications list --unread --json",
    ))]
    List(ListArgs),
    /// Mark notifications as read
    #[command(before_help = examples!(
        "tenantpilot notifications read 12 13",
        "tenantpilot notifications read --all",
    ))]
    Read(ReadArgs),
}

/// Arguments of `notifications list`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Leave out what was read
    #[arg(long)]
    unread: bool,
    /// At most this many, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 50,
          value_parser = clap::value_parser!(i64).range(1..=MAX_LIMIT))]
    limit: i64,
    /// Those older than this place, which the page before gave as "next"
    #[arg(long, value_name = "CURSOR")]
    before: Option<String>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `notifications read`.
#[derive(Debug, clap::Args)]
pub struct ReadArgs {
    /// Their ids, as the list shows them
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all",
          value_parser = clap::value_parser!(i64).range(1..))]
    ids: Vec<i64>,
    /// All there are
    #[arg(long)]
    all: bool,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Runs one of them.
///
/// # Errors
/// Whatever the operation says.
pub async fn run(command: NotificationsCommand, env: &Env) -> Result<u8> {
    match command {
        NotificationsCommand::List(args) => list(args, env).await,
        NotificationsCommand::Read(args) => read(args, env).await,
    }
}

async fn list(args: ListArgs, env: &Env) -> Result<u8> {
    let before = args.before.as_deref().map(cursor::parse).transpose()?;
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let asked = ListNotifications { unread_only: args.unread, before, limit: args.limit };
    let page = ops.run(&session.actor, asked).await?;
    let unread = ops.run(&session.actor, CountUnread).await?;
    let next = page.next.as_ref().map(cursor::text);
    if args.json {
        env.out.json(&json!({
            "schema_version": 1, "notifications": page.notifications, "unread": unread, "next": next,
        }))?;
        return Ok(0);
    }
    table(&page.notifications, env)?;
    if page.notifications.is_empty() {
        env.out.message(if args.unread { "nothing is unread" } else { "no notifications" });
    } else {
        env.out.message(format!("{unread} unread"));
    }
    if let Some(next) = next {
        env.out.message(format!("there are more: add --before {next}"));
    }
    Ok(0)
}

fn table(notifications: &[Notification], env: &Env) -> Result<()> {
    if notifications.is_empty() {
        return Ok(());
    }
    let (zone, ascii, now) = (env.zone(), env.ascii(), env.clock.now());
    let created = text::time_heading("CREATED", zone);
    let headings = ["ID", &created, "AGO", "", "RUN", "STATE", "NOTICE"];
    let mut table = Table::new(&headings).right(0).right(2).right(4);
    for one in notifications {
        table.push([
            one.id.to_string(),
            text::short_time(one.created_at, zone),
            text::took(now - one.created_at),
            if one.is_unread() { "unread" } else { "" }.to_owned(),
            one.run_id.map_or_else(String::new, |id| id.to_string()),
            one.state_label(ascii),
            one.title.clone(),
        ]);
    }
    table.print(&env.out)
}

async fn read(args: ReadArgs, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let done = if args.all {
        let marked = ops.run(&session.actor, MarkAllRead { up_to_id: i64::MAX }).await?;
        Marked { marked, missing: Vec::new() }
    } else {
        ops.run(&session.actor, MarkRead { ids: args.ids }).await?
    };
    if args.json {
        env.out.json(&json!({
            "schema_version": 1, "marked": done.marked, "missing": done.missing,
        }))?;
    } else {
        env.out.line(format!("{} marked as read", done.marked))?;
    }
    match done.missing.as_slice() {
        [] => Ok(0),
        missing => {
            let ids: Vec<String> = missing.iter().map(i64::to_string).collect();
            let text = format!("not among your notifications: {}", ids.join(", "));
            Err(Error::new(ErrorKind::NotFound, text)
                .hint("any others were marked; see: tenantpilot notifications list"))
        }
    }
}
