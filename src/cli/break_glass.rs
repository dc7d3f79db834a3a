//! `break-glass`: taking it, ending it, and how it stands.

use serde_json::json;

use super::ask::PasswordSource;
use super::{Env, examples, text};
use crate::Result;
use crate::access::BreakGlass;
use crate::domain::start_reason::{StartReason, StartReasonCode};
use crate::ops::Ops;
use crate::ops::auth::Session;
use crate::ops::break_glass::{
    CurrentBreakGlass, DEFAULT_MINUTES, EndBreakGlass, EnterBreakGlass, check_minutes,
};

/// What can be done about break-glass.
#[derive(Debug, clap::Subcommand)]
pub enum BreakGlassCommand {
    /// Take break-glass: every start then needs a reason, and what you do is marked
    #[command(before_help = examples!(
        "tenantpilot break-glass enter --reason-code INCIDENT --reason 'checkout is down'",
        "tenantpilot break-glass enter --reason-code SECURITY --reason 'leaked key' \\",
        "    --minutes 30 --password-file - < password.txt",
    ))]
    Enter(EnterArgs),
    /// End your break-glass before it expires
    #[command(before_help = examples!("tenantpilot break-glass end"))]
    End {
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell whether your break-glass is active
    #[command(before_help = examples!("tenantpilot break-glass status --json"))]
    Status {
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
}

/// Arguments of `break-glass enter`.
#[derive(Debug, clap::Args)]
pub struct EnterArgs {
    /// Why: DATA_REPAIR, INCIDENT, SUPPORT or SECURITY
    #[arg(long, value_name = "CODE")]
    reason_code: String,
    /// Why, in your words; at most 500 characters
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// For how many minutes, 5 to 240
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MINUTES)]
    minutes: u32,
    #[command(flatten)]
    password: PasswordSource,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Runs one of them.
///
/// # Errors
/// Whatever the operation says.
pub async fn run(command: BreakGlassCommand, env: &Env) -> Result<u8> {
    match command {
        BreakGlassCommand::Enter(args) => enter(args, env).await,
        BreakGlassCommand::End { json } => {
            let ops = env.ops().await?;
            let session = env.session(&ops).await?;
            ops.run(&session.actor, EndBreakGlass).await?;
            answer(env, json, None, "break-glass has ended")
        }
        BreakGlassCommand::Status { json } => {
            let ops = env.ops().await?;
            let session = env.session(&ops).await?;
            let glass = ops.run(&session.actor, CurrentBreakGlass).await?;
            let words = match &glass {
                Some(glass) => active(env, glass),
                None => "break-glass is not active".to_owned(),
            };
            answer(env, json, glass.as_ref(), &words)
        }
    }
}

async fn enter(args: EnterArgs, env: &Env) -> Result<u8> {
    let reason = StartReason::new(args.reason_code.parse::<StartReasonCode>()?, &args.reason)?;
    check_minutes(args.minutes)?;
    args.password.check(env)?;
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let password = args.password.existing(env).await?;
    let enter = EnterBreakGlass { reason, minutes: args.minutes, password };
    let glass = ops.run(&session.actor, enter).await?;
    answer(env, args.json, Some(&glass), &active(env, &glass))
}

fn active(env: &Env, glass: &BreakGlass) -> String {
    let until = text::time(glass.expires_at, env.zone());
    format!("break-glass is active until {until}: {}, {}", glass.reason_code, glass.reason)
}

fn answer(env: &Env, json: bool, glass: Option<&BreakGlass>, words: &str) -> Result<u8> {
    if json {
        env.out.json(&json!({ "schema_version": 1, "break_glass": glass }))?;
    } else {
        env.out.line(words)?;
    }
    Ok(0)
}

/// Tells a person who is about to start something that their break-glass is active. Whether
/// the start may go on is not decided here, so not finding out is no reason to stop.
pub async fn notice(env: &Env, ops: &Ops, session: &Session) {
    if let Ok(Some(glass)) = ops.run(&session.actor, CurrentBreakGlass).await {
        env.out.message(active(env, &glass));
    }
}
