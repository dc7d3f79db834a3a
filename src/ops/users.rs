//! Managing platform users.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::json;

use super::store::users::{self, NewUser, UserChange, UserRow};
use super::store::{Tx, sessions};
use super::{Access, AuditStatus, Context, Operation, password};
use crate::access::{Requirement, ViewScope};
use crate::domain::capability::{Capability, CapabilitySet, Role};
use crate::domain::safe_text::quoted;
use crate::{Error, Result};

const MANAGE: Requirement = Requirement::All(&[Capability::UsersManage]);
/// The longest display name.
const MAX_DISPLAY_NAME: usize = 100;

/// A platform user as administrators see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlatformUser {
    /// Id.
    pub id: i64,
    /// Normalised name.
    pub username: String,
    /// Name for display.
    pub display_name: String,
    /// The preset with exactly these capabilities, if there is one.
    pub role: Option<Role>,
    /// What they may do.
    pub capabilities: CapabilitySet,
    /// Workspaces their view is restricted to; empty: sees all.
    pub workspaces: Vec<i64>,
    /// Whether they may log in.
    pub active: bool,
    /// Creation.
    pub created_at: DateTime<Utc>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

impl PlatformUser {
    fn of(row: UserRow, workspaces: Vec<i64>) -> Self {
        let capabilities = CapabilitySet::from_names(&row.capabilities.0);
        Self {
            id: row.id,
            username: row.username,
            display_name: row.display_name,
            role: capabilities.role(),
            capabilities,
            workspaces,
            active: row.active,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// What a new platform user is made of.
#[derive(Debug, Clone)]
pub struct NewPlatformUser {
    /// Name to log in with.
    pub username: String,
    /// Name for display; empty: the user name.
    pub display_name: String,
    /// First password.
    pub password: SecretString,
    /// What they may do.
    pub capabilities: CapabilitySet,
    /// Workspaces their view is restricted to; empty: sees all.
    pub workspaces: Vec<i64>,
}

/// Makes the first administrator of a database without any platform user. Whoever can
/// reach an empty database may do this, once; afterwards only administrators make users.
#[derive(Debug)]
pub struct CreateFirstAdministrator {
    /// Name to log in with.
    pub username: String,
    /// First password.
    pub password: SecretString,
}

impl CreateFirstAdministrator {
    pub(super) fn sample() -> Self {
        // Not a name that is allowed, so that trying it on an empty database makes nobody.
        Self { username: String::new(), password: password::secret("not a password") }
    }
}

impl Operation for CreateFirstAdministrator {
    const NAME: &'static str = "users.create_first_administrator";
    const REQUIREMENT: Requirement = Requirement::BeforeLogin;
    const ACCESS: Access = Access::Stepwise;
    type Output = PlatformUser;

    async fn execute(self, context: &mut Context) -> Result<PlatformUser> {
        let new = NewPlatformUser {
            display_name: String::new(),
            capabilities: Role::Administrator.capabilities(),
            workspaces: Vec::new(),
            username: self.username,
            password: self.password,
        };
        let prepared = prepare(context, new).await?;
        let mut tx = context.db().begin_write().await?;
        users::lock_creation(&mut tx).await?;
        if users::count(&mut tx).await? > 0 {
            tx.rollback().await?;
            return Err(Error::refused("this platform already has users")
                .hint("log in as an administrator to create more"));
        }
        let user = insert(&mut tx, context, &prepared).await?;
        let mut row = context.audit_row(Self::NAME, AuditStatus::Succeeded);
        row.target_type = Some("platform_user");
        row.target_id = Some(user.username.clone());
        row.after = Some(json!({ "role": user.role }));
        super::store::audit::insert(&mut tx, &row).await.map_err(super::context::unaudited)?;
        tx.commit().await?;
        Ok(user)
    }
}

/// Whether there is no platform user yet, so that the first administrator is still to be
/// made. Whoever can reach the database finds that out by trying; asking first is kinder.
#[derive(Debug)]
pub struct IsUnclaimed;

impl Operation for IsUnclaimed {
    const NAME: &'static str = "users.is_unclaimed";
    const REQUIREMENT: Requirement = Requirement::BeforeLogin;
    const ACCESS: Access = Access::Read;
    type Output = bool;

    async fn execute(self, context: &mut Context) -> Result<bool> {
        Ok(users::count(context.tx()?).await? == 0)
    }
}

/// Makes a platform user.
#[derive(Debug)]
pub struct CreateUser(
    /// What they are made of.
    pub NewPlatformUser,
);

impl CreateUser {
    pub(super) fn sample() -> Self {
        Self(NewPlatformUser {
            username: String::new(),
            display_name: String::new(),
            password: password::secret("not a password"),
            capabilities: CapabilitySet::default(),
            workspaces: Vec::new(),
        })
    }
}

impl Operation for CreateUser {
    const NAME: &'static str = "users.create";
    const REQUIREMENT: Requirement = MANAGE;
    const ACCESS: Access = Access::Write;
    const ONE_AT_A_TIME: bool = true;
    type Output = PlatformUser;

    async fn execute(self, context: &mut Context) -> Result<PlatformUser> {
        let workspaces = Some(self.0.workspaces.as_slice());
        no_more_than_own(context, Self::NAME, &self.0.username, &self.0.capabilities, workspaces)
            .await?;
        let prepared = prepare(context, self.0).await?;
        let now = context.now();
        let user = insert_at(context.tx()?, &prepared, now).await?;
        let mut row = context.audit_row(Self::NAME, AuditStatus::Succeeded);
        row.target_type = Some("platform_user");
        row.target_id = Some(user.username.clone());
        row.after =
            Some(json!({ "capabilities": user.capabilities, "workspaces": user.workspaces }));
        context.audit(&row).await?;
        Ok(user)
    }
}

struct Prepared {
    username: String,
    display_name: String,
    hash: String,
    capabilities: CapabilitySet,
    workspaces: Vec<i64>,
}

async fn prepare(context: &Context, new: NewPlatformUser) -> Result<Prepared> {
    let username = password::new_name(&new.username)?;
    let display_name =
        if new.display_name.trim().is_empty() { username.clone() } else { new.display_name };
    if display_name.chars().count() > MAX_DISPLAY_NAME || display_name.chars().any(char::is_control)
    {
        return Err(Error::usage(format!(
            "a display name is one line of at most {MAX_DISPLAY_NAME} characters"
        )));
    }
    password::check_rules(&new.password)?;
    let hash = password::hash(&context.ops().inner.hashing, &new.password).await?;
    Ok(Prepared {
        username,
        display_name,
        hash,
        capabilities: new.capabilities,
        workspaces: new.workspaces,
    })
}

async fn insert(tx: &mut Tx, context: &Context, prepared: &Prepared) -> Result<PlatformUser> {
    insert_at(tx, prepared, context.now()).await
}

async fn insert_at(tx: &mut Tx, prepared: &Prepared, now: DateTime<Utc>) -> Result<PlatformUser> {
    let new = NewUser {
        username: &prepared.username,
        display_name: &prepared.display_name,
        password_hash: &prepared.hash,
        capabilities: &prepared.capabilities.names(),
        now,
    };
    let id = users::insert(tx, &new).await?;
    users::set_workspaces(tx, id, &prepared.workspaces).await?;
    user_by_name(tx, &prepared.username, false).await
}

/// Nobody can give what they do not hold, nor open workspaces outside of their own view; an
/// attempt is audited.
async fn no_more_than_own(
    context: &mut Context,
    action: &'static str,
    name: &str,
    wanted: &CapabilitySet,
    workspaces: Option<&[i64]>,
) -> Result<()> {
    if let Some(capability) = wanted.iter().find(|capability| !context.permit().has(*capability)) {
        return denied(context, action, name, Error::forbidden(capability)).await;
    }
    let (Some(holder), ViewScope::Restricted { .. }, Some(workspaces)) =
        (context.permit().holder().cloned(), context.permit().scope(), workspaces)
    else {
        return Ok(());
    };
    let own = users::workspaces(context.tx()?, holder.platform_user_id).await?;
    if workspaces.is_empty() {
        let error = Error::refused("your view is restricted, so you cannot open all workspaces")
            .hint("name workspaces of your own view");
        return denied(context, action, name, error).await;
    }
    match workspaces.iter().find(|id| !own.contains(id)) {
        None => Ok(()),
        Some(id) => {
            denied(context, action, name, Error::not_found(format!("workspace {id}"))).await
        }
    }
}

/// Refuses a change of the user called `name`, and leaves the row that says so.
async fn denied(
    context: &mut Context,
    action: &'static str,
    name: &str,
    error: Error,
) -> Result<()> {
    let mut row = context.audit_row(action, AuditStatus::Denied);
    row.target_type = Some("platform_user");
    row.target_id = Some(password::normalise_name(name).chars().take(password::MAX_NAME).collect());
    row.metadata = json!({ "answer": error.message() });
    context.audit(&row).await?;
    context.keep_on_error();
    Err(error)
}

async fn user_by_name(tx: &mut Tx, name: &str, hold: bool) -> Result<PlatformUser> {
    let username = password::normalise_name(name);
    let row = users::by_name(tx, &username, hold)
        .await?
        .ok_or_else(|| Error::not_found(format!("platform user {}", quoted(&username))))?;
    let workspaces = users::workspaces(tx, row.id).await?;
    Ok(PlatformUser::of(row, workspaces))
}

/// Lists all platform users, by name.
#[derive(Debug)]
pub struct ListUsers;

impl Operation for ListUsers {
    const NAME: &'static str = "users.list";
    const REQUIREMENT: Requirement = MANAGE;
    const ACCESS: Access = Access::Read;
    type Output = Vec<PlatformUser>;

    async fn execute(self, context: &mut Context) -> Result<Vec<PlatformUser>> {
        let tx = context.tx()?;
        let mut found = Vec::new();
        for row in users::all(tx).await? {
            let workspaces = users::workspaces(tx, row.id).await?;
            found.push(PlatformUser::of(row, workspaces));
        }
        Ok(found)
    }
}

/// Reads one platform user.
#[derive(Debug)]
pub struct GetUser {
    /// Name.
    pub username: String,
}

impl Operation for GetUser {
    const NAME: &'static str = "users.get";
    const REQUIREMENT: Requirement = MANAGE;
    const ACCESS: Access = Access::Read;
    type Output = PlatformUser;

    async fn execute(self, context: &mut Context) -> Result<PlatformUser> {
        user_by_name(context.tx()?, &self.username, false).await
    }
}

/// Sets what a platform user may do and see; ends their sessions.
#[derive(Debug)]
pub struct SetCapabilities {
    /// Name.
    pub username: String,
    /// New capabilities.
    pub capabilities: CapabilitySet,
    /// New restriction of the view; none leaves it.
    pub workspaces: Option<Vec<i64>>,
}

impl SetCapabilities {
    pub(super) fn sample() -> Self {
        Self {
            username: "nobody".to_owned(),
            capabilities: CapabilitySet::default(),
            workspaces: None,
        }
    }
}

impl Operation for SetCapabilities {
    const NAME: &'static str = "users.set_capabilities";
    const REQUIREMENT: Requirement = MANAGE;
    const ACCESS: Access = Access::Write;
    const ONE_AT_A_TIME: bool = true;
    type Output = PlatformUser;

    async fn execute(self, context: &mut Context) -> Result<PlatformUser> {
        let workspaces = self.workspaces.as_deref();
        no_more_than_own(context, Self::NAME, &self.username, &self.capabilities, workspaces)
            .await?;
        let keeps_managing = self.capabilities.has(Capability::UsersManage);
        let names = self.capabilities.names();
        let change = UserChange { capabilities: Some(&names), ..UserChange::default() };
        changed(context, Self::NAME, &self.username, &change, keeps_managing, self.workspaces).await
    }
}

/// Lets a platform user in, or keeps them out and ends their sessions.
#[derive(Debug)]
pub struct SetActive {
    /// Name.
    pub username: String,
    /// Whether they may log in.
    pub active: bool,
}

impl Operation for SetActive {
    const NAME: &'static str = "users.set_active";
    const REQUIREMENT: Requirement = MANAGE;
    const ACCESS: Access = Access::Write;
    const ONE_AT_A_TIME: bool = true;
    type Output = PlatformUser;

    async fn execute(self, context: &mut Context) -> Result<PlatformUser> {
        let change = UserChange { active: Some(self.active), ..UserChange::default() };
        changed(context, Self::NAME, &self.username, &change, self.active, None).await
    }
}

/// Gives a platform user a new password; ends their sessions.
#[derive(Debug)]
pub struct ResetPassword {
    /// Name.
    pub username: String,
    /// New password.
    pub password: SecretString,
}

impl Operation for ResetPassword {
    const NAME: &'static str = "users.reset_password";
    const REQUIREMENT: Requirement = MANAGE;
    const ACCESS: Access = Access::Write;
    const ONE_AT_A_TIME: bool = true;
    type Output = PlatformUser;

    async fn execute(self, context: &mut Context) -> Result<PlatformUser> {
        password::check_rules(&self.password)?;
        // A new password makes whoever sets it that user: nobody becomes more than they are.
        let target = user_by_name(context.tx()?, &self.username, false).await?;
        let (held, view) = (target.capabilities, target.workspaces);
        no_more_than_own(context, Self::NAME, &self.username, &held, Some(&view)).await?;
        let hash = password::hash(&context.ops().inner.hashing, &self.password).await?;
        let change = UserChange { password_hash: Some(&hash), ..UserChange::default() };
        changed(context, Self::NAME, &self.username, &change, true, None).await
    }
}

/// Applies a change, ends the user's sessions, and audits it with before and after.
async fn changed(
    context: &mut Context,
    action: &'static str,
    name: &str,
    change: &UserChange<'_>,
    keeps_managing: bool,
    workspaces: Option<Vec<i64>>,
) -> Result<PlatformUser> {
    let now = context.now();
    let tx = context.tx()?;
    let before = user_by_name(tx, name, true).await?;
    if !keeps_managing && before.active && before.capabilities.has(Capability::UsersManage) {
        let others =
            users::other_active_holders(tx, before.id, Capability::UsersManage.as_str()).await?;
        if others == 0 {
            let mut row = context.audit_row(action, AuditStatus::Refused);
            row.target_type = Some("platform_user");
            row.target_id = Some(before.username.clone());
            context.audit(&row).await?;
            context.keep_on_error();
            return Err(Error::refused("that is the last active user who may manage users")
                .hint("make another administrator first"));
        }
    }
    users::change(tx, before.id, change, now).await?;
    if let Some(workspaces) = workspaces {
        users::set_workspaces(tx, before.id, &workspaces).await?;
    }
    sessions::end_all(tx, before.id, now, "credentials changed").await?;
    let after = user_by_name(tx, name, false).await?;
    let state = |user: &PlatformUser| json!({ "active": user.active, "capabilities": user.capabilities, "workspaces": user.workspaces });
    let mut row = context.audit_row(action, AuditStatus::Succeeded);
    row.target_type = Some("platform_user");
    row.target_id = Some(after.username.clone());
    row.before = Some(state(&before));
    row.after = Some(state(&after));
    context.audit(&row).await?;
    Ok(after)
}

/// Clears the login throttle for one name, from every origin.
#[derive(Debug)]
pub struct Unlock {
    /// Name.
    pub username: String,
}

impl Operation for Unlock {
    const NAME: &'static str = "users.unlock";
    const REQUIREMENT: Requirement = MANAGE;
    const ACCESS: Access = Access::Write;
    type Output = i64;

    async fn execute(self, context: &mut Context) -> Result<i64> {
        let tx = context.tx()?;
        let user = user_by_name(tx, &self.username, false).await?;
        let cleared = sessions::clear_attempts(tx, None, &user.username).await?;
        let mut row = context.audit_row(Self::NAME, AuditStatus::Succeeded);
        row.target_type = Some("platform_user");
        row.target_id = Some(user.username);
        row.metadata = json!({ "cleared": cleared });
        context.audit(&row).await?;
        Ok(cleared)
    }
}
