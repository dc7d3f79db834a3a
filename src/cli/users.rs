//! `users`: managing platform users.

mod grant;

use serde_json::json;

use super::ask::{self, ConsentArgs, PasswordSource};
use super::auth::JsonArgs;
use super::text::{self, Table};
use super::{Env, examples};
use crate::Result;
use crate::domain::capability::{Capability, CapabilitySet, Role};
use crate::domain::count::count;
use crate::ops::auth::Session;
use crate::ops::password::{normalise_name, secret};
use crate::ops::users::{
    GetUser, ListUsers, PlatformUser, ResetPassword, SetActive, Unlock, UserView,
};
use crate::ops::{About, Consent, Operation, Ops};

/// What a platform without users needs.
pub const FIRST_STEP: &str = "tenantpilot users create NAME --role administrator";

/// What can be done with platform users.
#[derive(Debug, clap::Subcommand)]
pub enum UsersCommand {
    /// Create a platform user; the first one of a platform is its administrator
    #[command(before_help = examples!(
        "tenantpilot users create ana --role administrator",
        "tenantpilot users create eva --role viewer --all-workspaces --yes",
        "tenantpilot users create ben --role oncall --workspace 3 --confirm ben --password-file -",
    ))]
    Create(CreateArgs),
    /// List platform users
    #[command(before_help = examples!("tenantpilot users list --json"))]
    List(JsonArgs),
    /// Show one platform user
    #[command(before_help = examples!("tenantpilot users show ana"))]
    Show(OneArgs),
    /// Set what a user may do and see; ends their sessions
    #[command(before_help = examples!(
        "tenantpilot users set-capabilities ben --role operator --confirm ben",
        "tenantpilot users set-capabilities ben --role viewer --workspace 3 --workspace 4 --yes",
    ))]
    SetCapabilities(SetArgs),
    /// Keep a user out and end their sessions
    #[command(before_help = examples!(
        "tenantpilot users disable ben --dry-run",
        "tenantpilot users disable ben --confirm ben",
    ))]
    Disable(ChangeArgs),
    /// Let a disabled user in again
    #[command(before_help = examples!("tenantpilot users enable ben --yes"))]
    Enable(ChangeArgs),
    /// Give a user a new password; ends their sessions
    #[command(before_help = examples!("tenantpilot users reset-password ben"))]
    ResetPassword(ResetArgs),
    /// Clear the lock after too many wrong passwords
    #[command(before_help = examples!("tenantpilot users unlock ben --yes"))]
    Unlock(ChangeArgs),
}

/// What a user may do: a role, or single capabilities.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Rights {
    /// The capabilities of a role: viewer, oncall, operator or administrator
    #[arg(long, value_name = "ROLE")]
    role: Option<Role>,
    /// One capability, such as platform.ops.view; may be repeated
    #[arg(long = "capability", value_name = "CAPABILITY")]
    capabilities: Vec<Capability>,
}

impl Rights {
    fn set(&self) -> CapabilitySet {
        match self.role {
            Some(role) => role.capabilities(),
            None => self.capabilities.iter().copied().collect(),
        }
    }
}

/// Arguments of `users create`.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// Name to log in with
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    rights: Rights,
    /// Name for display; the user name when absent
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    #[command(flatten)]
    view: ViewArgs,
    #[command(flatten)]
    password: PasswordSource,
    #[command(flatten)]
    consent: ConsentArgs,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// What a user sees.
#[derive(Debug, clap::Args)]
pub struct ViewArgs {
    /// Show only this workspace; may be repeated
    #[arg(long = "workspace", value_name = "ID", conflicts_with = "all_workspaces")]
    workspaces: Vec<i64>,
    /// Show all workspaces
    #[arg(long)]
    all_workspaces: bool,
}

impl ViewArgs {
    /// The view that was asked for, if one was.
    fn view(&self) -> Option<UserView> {
        match (self.all_workspaces, self.workspaces.is_empty()) {
            (true, _) => Some(UserView::All),
            (false, false) => Some(UserView::Workspaces(self.workspaces.clone())),
            (false, true) => None,
        }
    }
}

/// Arguments of commands about one user.
#[derive(Debug, clap::Args)]
pub struct OneArgs {
    /// Name of the platform user
    #[arg(value_name = "NAME")]
    name: String,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `users set-capabilities`.
#[derive(Debug, clap::Args)]
pub struct SetArgs {
    /// Name of the platform user
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    rights: Rights,
    #[command(flatten)]
    view: ViewArgs,
    #[command(flatten)]
    consent: ConsentArgs,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of commands that change one user.
#[derive(Debug, clap::Args)]
pub struct ChangeArgs {
    /// Name of the platform user
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    consent: ConsentArgs,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `users reset-password`.
#[derive(Debug, clap::Args)]
pub struct ResetArgs {
    /// Name of the platform user
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    password: PasswordSource,
    #[command(flatten)]
    consent: ConsentArgs,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Runs one of them.
///
/// # Errors
/// Whatever the operation says.
pub async fn run(command: UsersCommand, env: &Env) -> Result<u8> {
    match command {
        UsersCommand::Create(args) => grant::create(args, env).await?,
        UsersCommand::List(args) => list(&args, env).await?,
        UsersCommand::Show(args) => {
            let (ops, session) = logged_in(env).await?;
            let user = ops.run(&session.actor, GetUser { username: args.name }).await?;
            show(env, &user, args.json)?;
        }
        UsersCommand::SetCapabilities(args) => grant::set_capabilities(args, env).await?,
        UsersCommand::Disable(args) => set_active(args, false, env).await?,
        UsersCommand::Enable(args) => set_active(args, true, env).await?,
        UsersCommand::ResetPassword(args) => reset_password(args, env).await?,
        UsersCommand::Unlock(args) => unlock(args, env).await?,
    }
    Ok(0)
}

async fn logged_in(env: &Env) -> Result<(Ops, Session)> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    Ok((ops, session))
}

async fn list(args: &JsonArgs, env: &Env) -> Result<()> {
    let (ops, session) = logged_in(env).await?;
    let users = ops.run(&session.actor, ListUsers).await?;
    if args.json {
        return env.out.json(&json!({ "schema_version": 1, "users": users }));
    }
    let created = text::time_heading("CREATED", env.zone());
    let headings = ["NAME", "ROLE", "ACTIVE", "WORKSPACES", "HIGH", &created, "DISPLAY NAME"];
    let mut table = Table::new(&headings);
    for user in users {
        table.push([
            user.username.clone(),
            role(&user),
            if user.active { "yes" } else { "no" }.to_owned(),
            workspaces(&user),
            high(&user),
            text::short_time(user.created_at, env.zone()),
            text::name(&user.display_name, env.ascii()),
        ]);
    }
    table.print(&env.out)
}

fn role(user: &PlatformUser) -> String {
    user.role.map_or_else(|| "custom".to_owned(), |role| role.to_string())
}

fn workspaces(user: &PlatformUser) -> String {
    if user.view_all {
        return "all".to_owned();
    }
    let mut shown: Vec<String> = user.workspaces.iter().map(i64::to_string).collect();
    if user.more_workspaces {
        shown.push("others".to_owned());
    }
    if shown.is_empty() { "none".to_owned() } else { shown.join(",") }
}

/// The high capabilities of a user, a word each.
fn high(user: &PlatformUser) -> String {
    let words: Vec<_> = user.high_capabilities.iter().map(|high| high.word()).collect();
    words.join(",")
}

fn show(env: &Env, user: &PlatformUser, json: bool) -> Result<()> {
    if json {
        return env.out.json(&json!({ "schema_version": 1, "user": user }));
    }
    let zone = env.zone();
    env.out.line(format!("name          {}", user.username))?;
    env.out.line(format!("display name  {}", user.display_name))?;
    env.out.line(format!("role          {}", role(user)))?;
    env.out.line(format!("active        {}", if user.active { "yes" } else { "no" }))?;
    env.out.line(format!("workspaces    {}", workspaces(user)))?;
    env.out.line(format!("created       {}", text::time(user.created_at, zone)))?;
    env.out.line(format!("updated       {}", text::time(user.updated_at, zone)))?;
    for (i, high) in user.high_capabilities.iter().enumerate() {
        let heading = if i == 0 { "high" } else { "" };
        env.out.line(format!("{heading:<12}  {}: {}", high.name(), high.allows(user.view_all)))?;
    }
    for (i, capability) in user.capabilities.iter().enumerate() {
        let heading = if i == 0 { "capabilities" } else { "" };
        env.out.line(format!("{heading:<12}  {capability}"))?;
    }
    Ok(())
}

fn done(env: &Env, user: &PlatformUser, what: &str, json: bool) -> Result<()> {
    if json {
        return env.out.json(&json!({ "schema_version": 1, "user": user }));
    }
    env.out.line(format!("{}: {what}", user.username))
}

/// Says what a dry run found.
fn rehearsed(env: &Env, user: &PlatformUser, what: &str, json: bool) -> Result<()> {
    if json {
        return env.out.json(&json!({ "schema_version": 1, "dry_run": true, "user": user }));
    }
    env.out.line(format!("{}: {what}; nothing was changed", user.username))
}

/// Runs a change of a user; `would` says what it would do, and `what` what it did.
async fn changed<O>(
    env: &Env,
    (name, consent, json): (&str, &ConsentArgs, bool),
    [would, what]: [&str; 2],
    change: impl Fn(Consent) -> O,
) -> Result<()>
where
    O: Operation<Output = PlatformUser>,
{
    let (ops, session) = logged_in(env).await?;
    let asked = format!("{} {would}.", normalise_name(name));
    let given = consent.consent(env)?;
    let user = ask::confirmed(env, &ops, &session.actor, &asked, given, change).await?;
    if consent.is_dry_run() {
        return rehearsed(env, &user, would, json);
    }
    done(env, &user, what, json)
}

async fn set_active(args: ChangeArgs, active: bool, env: &Env) -> Result<()> {
    let words = if active {
        ["would be let in again", "is enabled"]
    } else {
        ["would be kept out, and their sessions end", "is disabled; their sessions have ended"]
    };
    let name = normalise_name(&args.name);
    let change = |consent| SetActive { username: name.clone(), active, consent };
    changed(env, (&name, &args.consent, args.json), words, change).await
}

async fn reset_password(args: ResetArgs, env: &Env) -> Result<()> {
    let dry_run = args.consent.is_dry_run();
    let password = if dry_run {
        secret("")
    } else {
        let (ops, session) = logged_in(env).await?;
        let look = GetUser { username: args.name.clone() };
        let about = About::user(&args.name);
        let user = ops.prepare::<ResetPassword, _>(&session.actor, about, look).await?;
        args.password.check(env)?;
        args.password.new_one(env, &user.username).await?
    };
    let change = |consent| ResetPassword {
        username: args.name.clone(),
        password: password.clone(),
        consent,
    };
    let words = [
        "would get a new password, and their sessions end",
        "has a new password; their sessions have ended",
    ];
    changed(env, (&args.name, &args.consent, args.json), words, change).await
}

async fn unlock(args: ChangeArgs, env: &Env) -> Result<()> {
    let (ops, session) = logged_in(env).await?;
    let name = normalise_name(&args.name);
    let unlock = |consent| Unlock { username: name.clone(), consent };
    let what = format!("The failed logins of {name} would be forgotten.");
    let consent = args.consent.consent(env)?;
    let cleared = ask::confirmed(env, &ops, &session.actor, &what, consent, unlock).await?;
    let dry_run = args.consent.is_dry_run();
    if args.json {
        // It is done, whether the user can be read or not.
        let user = ops.run(&session.actor, GetUser { username: name.clone() }).await;
        let user = user.map_or_else(|_| json!({ "username": name }), |user| json!(user));
        let mut answer = json!({ "schema_version": 1, "user": user, "cleared": cleared });
        if dry_run {
            answer["dry_run"] = json!(true);
        }
        return env.out.json(&answer);
    }
    env.out.line(if dry_run {
        format!("{name}: {} would be forgotten; nothing was changed", count(cleared, "attempt"))
    } else {
        format!("{name}: may log in again; {} forgotten", count(cleared, "attempt"))
    })
}
