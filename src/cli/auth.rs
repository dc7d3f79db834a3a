//! `login`, `logout`, `whoami`.

use serde_json::{Value, json};

use super::Env;
use super::ask::PasswordSource;
use super::text;
use super::users::FIRST_STEP;
use crate::access::ClientKind;
use crate::domain::count::count;
use crate::ops::auth::{Identity, Login, Logout, Session, WhoAmI};
use crate::ops::users::IsUnclaimed;
use crate::ops::{Ops, password};
use crate::{Error, ErrorKind, Result};

/// Arguments of `login`.
#[derive(Debug, clap::Args)]
pub struct LoginArgs {
    /// Name of the platform user
    #[arg(value_name = "NAME", required_unless_present = "username")]
    name: Option<String>,
    /// The same as NAME
    #[arg(long, value_name = "NAME", conflicts_with = "name")]
    username: Option<String>,
    #[command(flatten)]
    password: PasswordSource,
}

/// Logs the command line in and keeps the session for this database.
///
/// # Errors
/// Whatever the login says.
pub async fn login(args: LoginArgs, env: &Env) -> Result<u8> {
    let name = args.name.or(args.username).unwrap_or_default();
    args.password.check(env)?;
    let file = env.session_file()?;
    // Before the password: a session that cannot be kept is not worth asking for.
    let before = file.replaceable()?;
    let ops = env.ops().await?;
    // Before a password is typed in vain.
    if args.password.password_file.is_none() {
        require_users(env, &ops).await?;
    }
    let password = args.password.existing(env).await?;
    let login = Login::new(&name, exposed(&password), ClientKind::Cli).replacing(before.clone());
    let (session, token) = match ops.run(&env.anonymous(), login).await {
        Err(error) if error.kind() == ErrorKind::NotLoggedIn => {
            // What keeps it from being looked at says nothing of the login.
            let unclaimed = require_users(env, &ops).await.err();
            return Err(unclaimed.filter(|e| e.kind() == ErrorKind::Refused).unwrap_or(error));
        }
        done => done?,
    };
    // Without it the session is good at this address only.
    let platform = env.platform_id(&ops).await.ok().flatten();
    // A session whose token is kept nowhere is ended; if it cannot be, it ends by itself.
    match file.keep(&password::secret(token.expose()), platform.as_deref()) {
        Ok(None) => {}
        // It has ended with the login, unless another one kept it meanwhile.
        Ok(Some(replaced)) if before.as_ref().map(exposed) == Some(exposed(&replaced)) => {}
        Ok(Some(replaced)) => {
            if let Ok(Some(before)) = env.resumed(&ops, &replaced).await {
                let _ = ops.run(&before.actor, Logout).await;
            }
        }
        Err(error) => {
            let _ = ops.run(&session.actor, Logout).await;
            return Err(error);
        }
    }
    let until = text::time(session.expires_at, env.zone());
    env.out.message(format!("logged in as {} until {until}", session.username));
    Ok(0)
}

/// Refuses a platform without users.
async fn require_users(env: &Env, ops: &Ops) -> Result<()> {
    if ops.run(&env.anonymous(), IsUnclaimed).await? {
        return Err(Error::refused("this platform has no users yet")
            .hint(format!("make the first administrator: {FIRST_STEP}")));
    }
    Ok(())
}

fn exposed(password: &secrecy::SecretString) -> String {
    secrecy::ExposeSecret::expose_secret(password).to_owned()
}

/// Ends the command line's session on this database.
///
/// # Errors
/// *Not logged in* where there is none.
pub async fn logout(env: &Env) -> Result<u8> {
    let file = env.session_file()?;
    let ops = env.ops().await?;
    let not_here = || Error::new(ErrorKind::NotLoggedIn, "you are not logged in here");
    if file.is_empty()? {
        return Err(not_here());
    }
    let found = env.resume(&ops).await?;
    let token = file.token()?.ok_or_else(not_here)?;
    let ended = match found {
        Some(session) => ops.run(&session.actor, Logout).await,
        None => Err(not_here()),
    };
    // A session that has ended is no use any more; one that could not be ended is.
    if ended.is_ok() || ended.as_ref().is_err_and(|e| e.kind() == ErrorKind::NotLoggedIn) {
        file.forget(&token)?;
    }
    ended?;
    env.out.message("logged out");
    Ok(0)
}

/// Arguments of commands that only choose how to answer.
#[derive(Debug, clap::Args)]
pub struct JsonArgs {
    /// Answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// Tells who is logged in.
///
/// # Errors
/// *Not logged in* where nobody is.
pub async fn whoami(args: JsonArgs, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let Identity { session, workspaces } = ops.run(&session.actor, WhoAmI).await?;
    let url = env.database_url()?.redacted_url();
    if args.json {
        let mut found = as_json(&session, &url);
        found["workspaces"] = json!(workspaces);
        env.out.json(&json!({ "schema_version": 1, "session": found }))?;
        return Ok(0);
    }
    let role = session.capabilities.role().map_or("none of the presets", |role| role.as_str());
    env.out.line(format!("user          {}", session.username))?;
    env.out.line(format!("role          {role}"))?;
    let sees = match workspaces.as_deref() {
        None => "all workspaces".to_owned(),
        Some([]) => "no workspaces".to_owned(),
        Some(some) => count(some.len(), "workspace"),
    };
    env.out.line(format!("sees          {sees}"))?;
    env.out.line(format!("expires       {}", text::time(session.expires_at, env.zone())))?;
    env.out.line(format!("database      {url}"))?;
    for (i, capability) in session.capabilities.iter().enumerate() {
        let heading = if i == 0 { "capabilities" } else { "" };
        env.out.line(format!("{heading:<12}  {capability}"))?;
    }
    Ok(0)
}

fn as_json(session: &Session, url: &str) -> Value {
    json!({
        "username": session.username,
        "role": session.capabilities.role(),
        "capabilities": session.capabilities,
        "restricted": session.restricted,
        "expires_at": session.expires_at,
        "database": url,
    })
}
