//! `users create` and `set-capabilities`: granting rights, and confirming those that reach far.

use serde_json::json;

use super::{CreateArgs, FIRST_STEP, SetArgs, done, logged_in};
use crate::cli::{Env, ask};
use crate::domain::capability::{CapabilitySet, Role};
use crate::domain::high_capability::HighCapability;
use crate::ops::users::{
    CreateFirstAdministrator, CreateUser, GetUser, IsUnclaimed, NewPlatformUser, PlatformUser,
    SetCapabilities,
};
use crate::ops::{Ops, password};
use crate::{Error, Result};

/// Creates a user, or the first administrator where there is no user yet.
pub(super) async fn create(args: CreateArgs, env: &Env) -> Result<()> {
    if !args.how.dry_run {
        args.password.check(env)?;
    }
    let ops = env.ops().await?;
    let capabilities = args.rights.set();
    let Some(session) = env.resume(&ops).await? else {
        return first(args, &capabilities, env, &ops).await;
    };
    let Some(view) = args.view.view() else {
        return Err(Error::usage("it was not said which workspaces the user sees")
            .hint("add: --workspace ID or --all-workspaces"));
    };
    // Checked before anything is typed.
    let new = NewPlatformUser {
        username: args.name,
        display_name: args.display_name.unwrap_or_default(),
        password: password::secret(""),
        capabilities,
        view,
        confirm: args.how.confirm,
        dry_run: true,
    };
    let user = ops.run(&session.actor, CreateUser(new.clone())).await?;
    if args.how.dry_run {
        return rehearsed(env, &user, &user.high_capabilities, "would be created", args.json);
    }
    let confirm = confirmed(env, &user, &user.high_capabilities, new.confirm.clone()).await;
    let password = args.password.new_one(env, &user.username).await?;
    let new = NewPlatformUser { password, confirm, dry_run: false, ..new };
    let user = ops.run(&session.actor, CreateUser(new)).await?;
    done(env, &user, "is created", args.json)
}

/// Sets what a user may do and see.
pub(super) async fn set_capabilities(args: SetArgs, env: &Env) -> Result<()> {
    let (ops, session) = logged_in(env).await?;
    let change = |confirm: Option<String>, dry_run: bool| SetCapabilities {
        view: args.view.view(),
        confirm,
        dry_run,
        ..SetCapabilities::new(&args.name, args.rights.set())
    };
    let look = GetUser { username: args.name.clone() };
    let before = ops.prepare::<SetCapabilities, _>(&session.actor, look).await?;
    let user = ops.run(&session.actor, change(None, true)).await?;
    let mut granted = user.high_capabilities.clone();
    granted.retain(|high| !before.high_capabilities.contains(high));
    if args.how.dry_run {
        return rehearsed(env, &user, &granted, "their rights would be set", args.json);
    }
    let confirm = confirmed(env, &user, &granted, args.how.confirm.clone()).await;
    let user = ops.run(&session.actor, change(confirm, false)).await?;
    done(env, &user, "their rights are set; their sessions have ended", args.json)
}

/// Names what each high capability allows, and asks for the user name where it was not given.
/// Whether it is right is for the operation to say.
async fn confirmed(
    env: &Env,
    user: &PlatformUser,
    granted: &[HighCapability],
    given: Option<String>,
) -> Option<String> {
    warn(env, user, granted);
    if given.is_some() || granted.is_empty() {
        return given;
    }
    let what = format!("{} may then do that.", user.username);
    ask::phrase(env, &user.username, &what).await
}

fn warn(env: &Env, user: &PlatformUser, granted: &[HighCapability]) {
    for high in granted {
        let (name, allows) = (high.name(), high.allows());
        env.out.message(format!("warning: {name} lets {} {allows}", user.username));
    }
}

/// Says what a dry run found.
fn rehearsed(
    env: &Env,
    user: &PlatformUser,
    granted: &[HighCapability],
    what: &str,
    json: bool,
) -> Result<()> {
    if json {
        let answer = json!({ "schema_version": 1, "dry_run": true, "user": user,
            "granted_high_capabilities": granted });
        return env.out.json(&answer);
    }
    warn(env, user, granted);
    env.out.line(format!("{}: {what}; nothing was changed", user.username))
}

/// Without a login, only the first administrator can be made, and only as just that.
async fn first(args: CreateArgs, capabilities: &CapabilitySet, env: &Env, ops: &Ops) -> Result<()> {
    if !ops.run(&env.anonymous(), IsUnclaimed).await? {
        return Err(Error::not_logged_in());
    }
    let hint = format!("create it with: {FIRST_STEP}");
    if *capabilities != Role::Administrator.capabilities() {
        return Err(Error::refused(
            "this platform has no users yet; the first one has to be an administrator",
        )
        .hint(hint));
    }
    if args.how.dry_run {
        return Err(Error::usage("the first administrator has no dry run").hint(hint));
    }
    if args.display_name.is_some() || !args.view.workspaces.is_empty() {
        return Err(Error::usage(
            "the first administrator has no display name of their own and sees all workspaces",
        )
        .hint(hint));
    }
    let password = args.password.new_one(env, &args.name).await?;
    let first = CreateFirstAdministrator { username: args.name, password };
    let user = ops.run(&env.anonymous(), first).await?;
    done(env, &user, "is the first administrator of this platform", args.json)?;
    env.out.message(format!("log in with: tenantpilot login {}", user.username));
    Ok(())
}
