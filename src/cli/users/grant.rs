//! `users create` and `set-capabilities`: granting rights, and confirming those that reach far.

use serde_json::json;

use super::{CreateArgs, FIRST_STEP, SetArgs, done, logged_in};
use crate::cli::{Env, ask};
use crate::domain::capability::{CapabilitySet, Role};
use crate::domain::confirmation::{Action, Confirmation};
use crate::domain::high_capability::HighCapability;
use crate::ops::users::{
    CreateFirstAdministrator, CreateUser, GetUser, IsUnclaimed, NewPlatformUser, PlatformUser,
    SetCapabilities,
};
use crate::ops::{About, Consent, Ops, password};
use crate::{Error, Result};

/// Creates a user, or the first administrator where there is no user yet.
pub(super) async fn create(args: CreateArgs, env: &Env) -> Result<()> {
    let ops = env.ops().await?;
    let capabilities = args.rights.set();
    let Some(session) = env.resume(&ops).await? else {
        return first(args, &capabilities, env, &ops).await;
    };
    let consent = args.consent.consent(env)?;
    let about = About::user(&args.name).with(&consent);
    ops.allow::<CreateUser>(&session, about).await?;
    if !args.consent.is_dry_run() {
        args.password.check(env)?;
    }
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
        consent: look_ahead(&consent),
    };
    let user = ops.run(&session.actor, CreateUser(new.clone())).await?;
    if consent.dry_run {
        return rehearsed(env, &user, &user.high_capabilities, "would be created", args.json);
    }
    let consent = confirmed(env, &user, &user.high_capabilities, consent).await?;
    let password = args.password.new_one(env, &user.username).await?;
    let new = NewPlatformUser { password, consent, ..new };
    let user = ops.run(&session.actor, CreateUser(new)).await?;
    done(env, &user, "is created", args.json)
}

/// Sets what a user may do and see.
pub(super) async fn set_capabilities(args: SetArgs, env: &Env) -> Result<()> {
    let (ops, session) = logged_in(env).await?;
    let consent = args.consent.consent(env)?;
    let change = |consent: Consent| SetCapabilities {
        view: args.view.view(),
        consent,
        ..SetCapabilities::new(&args.name, args.rights.set())
    };
    let look = GetUser { username: args.name.clone() };
    let about = About::user(&args.name).with(&consent);
    let before = ops.prepare::<SetCapabilities, _>(&session.actor, about, look).await?;
    let user = ops.run(&session.actor, change(look_ahead(&consent))).await?;
    let mut granted = user.high_capabilities.clone();
    granted.retain(|high| !before.high_capabilities.contains(high));
    if consent.dry_run {
        return rehearsed(env, &user, &granted, "their rights would be set", args.json);
    }
    let consent = confirmed(env, &user, &granted, consent).await?;
    let user = ops.run(&session.actor, change(consent)).await?;
    done(env, &user, "their rights are set; their sessions have ended", args.json)
}

/// Looks at what a person confirms afterwards; a dry run only looks, with what was given for it.
fn look_ahead(consent: &Consent) -> Consent {
    if consent.dry_run { consent.clone() } else { Consent::look_ahead() }
}

/// Names what each high capability allows, and asks for the confirmation where it was not given.
/// Whether it is right is for the operation to say.
async fn confirmed(
    env: &Env,
    user: &PlatformUser,
    granted: &[HighCapability],
    consent: Consent,
) -> Result<Consent> {
    warn(env, user, granted);
    let (name, high) = (user.username.as_str(), !granted.is_empty());
    let confirmation = Confirmation::of(&Action::User { name, high })?;
    let may = if high { "may then do that" } else { "gets these rights" };
    let given = ask::asked(env, consent.given, &confirmation, &format!("{name} {may}.")).await;
    Ok(Consent { given, ..consent })
}

fn warn(env: &Env, user: &PlatformUser, granted: &[HighCapability]) {
    for high in granted {
        let (name, allows) = (high.name(), high.allows(user.view_all));
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
    if args.consent.is_dry_run() {
        return Err(Error::usage("the first administrator has no dry run").hint(hint));
    }
    args.password.check(env)?;
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
