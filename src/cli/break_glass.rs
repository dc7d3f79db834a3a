//! `break-glass`: taking it, ending it, and how it stands.

use serde_json::json;

use super::ask::{self, ConsentArgs, PasswordSource};
use super::{Env, examples, text};
use crate::Result;
use crate::access::BreakGlass;
use crate::ops::About;
use crate::ops::auth::Session;
use crate::ops::break_glass::{
    CurrentBreakGlass, DEFAULT_MINUTES, EndBreakGlass, EnterBreakGlass, check_minutes,
};
use crate::ops::password::secret;

/// What can be done about break-glass.
#[derive(Debug, clap::Subcommand)]
pub enum BreakGlassCommand {
    /// Take break-glass: every start then needs a reason, and what you do is marked
    #[command(before_help = examples!(
        "tenantpilot break-glass enter --reason-code INCIDENT --reason 'checkout is down'",
        "tenantpilot break-glass enter --reason-code SECURITY --reason 'leaked key' \\",
        "    --minutes 30 --yes --password-file - < password.txt",
    ))]
    Enter(EnterArgs),
    /// End your break-glass before it expires
    #[command(before_help = examples!("tenantpilot break-glass end --yes"))]
    End {
        #[command(flatten)]
        consent: ConsentArgs,
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
    #[command(flatten)]
    consent: ConsentArgs,
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
        BreakGlassCommand::End { consent: args, json } => {
            let ops = env.ops().await?;
            let session = env.session(&ops).await?;
            let consent = args.consent(env)?;
            let end = |consent| EndBreakGlass { consent };
            let what = "Your break-glass would end.";
            let glass = ask::confirmed(env, &ops, &session.actor, what, consent, end).await?;
            if args.is_dry_run() {
                let words = "your break-glass would end; nothing was changed";
                return answer(env, json, Some(&glass), words);
            }
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
    let consent = args.consent.consent(env)?;
    let dry_run = args.consent.is_dry_run();
    check_minutes(args.minutes)?;
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    ops.allow::<EnterBreakGlass>(&session, About::default().with(&consent)).await?;
    if !dry_run {
        args.password.check(env)?;
    }
    let password = if dry_run { secret("") } else { args.password.existing(env).await? };
    let enter =
        |consent| EnterBreakGlass { consent, minutes: args.minutes, password: password.clone() };
    let what = "Every start of yours will need a reason, and what you do is marked.";
    let glass = ask::confirmed(env, &ops, &session.actor, what, consent, enter).await?;
    if dry_run {
        let until = text::time(glass.expires_at, env.zone());
        let words = format!("break-glass would be active until {until}; nothing was changed");
        return answer(env, args.json, None, &words);
    }
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

/// Prints the active break-glass before a start.
pub fn notice(env: &Env, session: &Session) {
    if let Some(glass) = &session.break_glass {
        env.out.message(active(env, glass));
    }
}
