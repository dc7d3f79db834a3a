//! Managing platform users. A change is held against what the user may do and see now, and what
//! they may do and see afterwards: neither goes beyond the actor's own capabilities and view.

mod create;
mod first;
mod rights;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Value, json};

pub use create::{CreateUser, NewPlatformUser};
pub use first::{CreateFirstAdministrator, IsUnclaimed};
pub use rights::UserView;

use super::store::audit::NewAudit;
use super::store::users::{self, UserChange, UserRow};
use super::store::{Tx, sessions};
use super::{About, Access, Consent, Context, Operation, password};
use crate::access::Requirement;
use crate::domain::capability::{Capability, CapabilitySet, Role};
use crate::domain::confirmation::{Action, Confirmation};
use crate::domain::high_capability::HighCapability;
use crate::domain::safe_text::quoted;
use crate::{Error, Result};

const MANAGE: Requirement = Requirement::All(&[Capability::UsersManage]);

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
    /// Whether they see all workspaces.
    pub view_all: bool,
    /// Workspaces their view is restricted to, as far as the reader sees them; empty where they
    /// see all.
    pub workspaces: Vec<i64>,
    /// Whether they see workspaces that the reader does not see.
    pub more_workspaces: bool,
    /// The high capabilities among what they may do.
    pub high_capabilities: Vec<HighCapability>,
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
            high_capabilities: HighCapability::held(&capabilities, row.view_all),
            capabilities,
            view_all: row.view_all,
            workspaces: if row.view_all { Vec::new() } else { workspaces },
            more_workspaces: false,
            active: row.active,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }

    /// The user as a change would leave them.
    fn changed(self, change: &UserChange<'_>, workspaces: Option<&[i64]>) -> Self {
        let capabilities = change.capabilities.map(CapabilitySet::from_names);
        let capabilities = capabilities.unwrap_or(self.capabilities);
        let view_all = change.view_all.unwrap_or(self.view_all);
        let workspaces = workspaces.map_or(self.workspaces, <[i64]>::to_vec);
        Self {
            role: capabilities.role(),
            high_capabilities: HighCapability::held(&capabilities, view_all),
            capabilities,
            view_all,
            workspaces: if view_all { Vec::new() } else { workspaces },
            active: change.active.unwrap_or(self.active),
            ..self
        }
    }

    /// Whether their view goes no further than these workspaces.
    fn sees_at_most(&self, workspaces: &[i64]) -> bool {
        !self.view_all && self.workspaces.iter().all(|id| workspaces.contains(id))
    }

    /// The user as a reader with this view sees them, if they share a workspace.
    fn seen_by(mut self, reader: &Reader) -> Option<Self> {
        let Some(own) = &reader.view else { return Some(self) };
        let all = self.workspaces.len();
        self.workspaces.retain(|id| own.contains(id));
        self.more_workspaces = self.workspaces.len() < all;
        let shared = self.view_all || !self.workspaces.is_empty();
        (shared || reader.id == Some(self.id)).then_some(self)
    }

    /// What the audit log keeps of their rights.
    fn facts(&self) -> Value {
        json!({
            "active": self.active, "capabilities": self.capabilities,
            "view_all": self.view_all, "workspaces": self.workspaces,
        })
    }
}

/// Who looks at users.
struct Reader {
    id: Option<i64>,
    view: Option<Vec<i64>>,
}

impl Reader {
    async fn of(context: &mut Context) -> Result<Self> {
        let id = context.permit().holder().map(|holder| holder.platform_user_id);
        Ok(Self { id, view: rights::own_view(context).await? })
    }
}

/// Refuses a change of a user that was not confirmed.
fn allow(context: &Context, consent: &Consent, name: &str, high: bool) -> Result<()> {
    consent.allow(context, &Confirmation::of(&Action::User { name, high })?).map(drop)
}

fn unknown(username: &str) -> Error {
    Error::not_found(format!("platform user {}", quoted(username)))
}

async fn user_by_name(tx: &mut Tx, name: &str, hold: bool) -> Result<PlatformUser> {
    let username = password::normalise_name(name);
    let row = users::by_name(tx, &username, hold).await?.ok_or_else(|| unknown(&username))?;
    let workspaces = users::workspaces(tx, row.id).await?;
    Ok(PlatformUser::of(row, workspaces))
}

/// A user whom the actor may change: within their view, and with no more rights than theirs.
async fn changeable(context: &mut Context, name: &str) -> Result<PlatformUser> {
    let hold = !context.rehearses();
    let user = user_by_name(context.tx()?, name, hold).await?;
    let reader = Reader::of(context).await?;
    if user.clone().seen_by(&reader).is_none() {
        return Err(unknown(&user.username));
    }
    rights::may_change(context, &user).await?;
    Ok(user)
}

/// Lists the platform users of the actor's view, by name.
#[derive(Debug)]
pub struct ListUsers;

impl Operation for ListUsers {
    const NAME: &'static str = "users.list";
    const REQUIREMENT: Requirement = MANAGE;
    const ACCESS: Access = Access::Read;
    type Output = Vec<PlatformUser>;

    async fn execute(self, context: &mut Context) -> Result<Vec<PlatformUser>> {
        let reader = Reader::of(context).await?;
        let tx = context.tx()?;
        let mut found = Vec::new();
        for row in users::all(tx).await? {
            let workspaces = users::workspaces(tx, row.id).await?;
            found.extend(PlatformUser::of(row, workspaces).seen_by(&reader));
        }
        Ok(found)
    }
}

/// Reads one platform user of the actor's view.
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
        let reader = Reader::of(context).await?;
        let user = user_by_name(context.tx()?, &self.username, false).await?;
        let username = user.username.clone();
        user.seen_by(&reader).ok_or_else(|| unknown(&username))
    }
}

/// Sets what a platform user may do and see; ends their sessions.
#[derive(Debug)]
pub struct SetCapabilities {
    /// Name.
    pub username: String,
    /// New capabilities.
    pub capabilities: CapabilitySet,
    /// New view; none leaves it.
    pub view: Option<UserView>,
    /// What confirms it: the user name where a high capability is granted.
    pub consent: Consent,
}

impl SetCapabilities {
    /// A change of capabilities that leaves the view.
    pub fn new(username: &str, capabilities: CapabilitySet) -> Self {
        let username = username.to_owned();
        Self { username, capabilities, view: None, consent: Consent::default() }
    }

    pub(super) fn sample() -> Self {
        Self::new("nobody", CapabilitySet::default())
    }

    async fn attempt(&self, context: &mut Context) -> Result<(PlatformUser, PlatformUser)> {
        let before = changeable(context, &self.username).await?;
        let view = match &self.view {
            Some(view) => view.clone(),
            None if before.view_all => UserView::All,
            None => UserView::Workspaces(before.workspaces.clone()),
        };
        if self.view.is_some() {
            view.check()?;
        }
        rights::may_grant(context, &self.capabilities, &view).await?;
        let high = HighCapability::held(&self.capabilities, view.is_all());
        let (name, held) = (&before.username, &before.high_capabilities);
        rights::confirm_grant(context, name, held, (&high, view.is_all()), &self.consent)?;
        let names = self.capabilities.names();
        let change = UserChange {
            capabilities: Some(&names),
            view_all: Some(view.is_all()),
            ..UserChange::default()
        };
        let workspaces = self.view.as_ref().map(UserView::workspaces);
        changed(context, before, &change, workspaces).await
    }
}

impl Operation for SetCapabilities {
    const NAME: &'static str = "users.set_capabilities";
    const REQUIREMENT: Requirement = MANAGE;
    const ACCESS: Access = Access::Write;
    const ONE_AT_A_TIME: bool = true;
    type Output = PlatformUser;

    fn about(&self) -> About {
        About::user(&self.username).with(&self.consent)
    }

    async fn execute(self, context: &mut Context) -> Result<PlatformUser> {
        let row = self.consent.begin(context, Self::NAME, &self.about()).await?;
        let attempt = self.attempt(context).await;
        let done = self.consent.end(context, row.clone(), attempt).await?;
        succeeded(context, row, done).await
    }
}

/// Lets a platform user in, or keeps them out and ends their sessions.
#[derive(Debug)]
pub struct SetActive {
    /// Name.
    pub username: String,
    /// Whether they may log in.
    pub active: bool,
    /// What confirms it: the user name to disable them.
    pub consent: Consent,
}

impl SetActive {
    async fn attempt(&self, context: &mut Context) -> Result<(PlatformUser, PlatformUser)> {
        let before = changeable(context, &self.username).await?;
        allow(context, &self.consent, &before.username, !self.active)?;
        let change = UserChange { active: Some(self.active), ..UserChange::default() };
        changed(context, before, &change, None).await
    }
}

impl Operation for SetActive {
    const NAME: &'static str = "users.set_active";
    const REQUIREMENT: Requirement = MANAGE;
    const ACCESS: Access = Access::Write;
    const ONE_AT_A_TIME: bool = true;
    type Output = PlatformUser;

    fn about(&self) -> About {
        About::user(&self.username).with(&self.consent)
    }

    async fn execute(self, context: &mut Context) -> Result<PlatformUser> {
        let row = self.consent.begin(context, Self::NAME, &self.about()).await?;
        let attempt = self.attempt(context).await;
        let done = self.consent.end(context, row.clone(), attempt).await?;
        succeeded(context, row, done).await
    }
}

/// Gives a platform user a new password; ends their sessions.
#[derive(Debug)]
pub struct ResetPassword {
    /// Name.
    pub username: String,
    /// New password; a dry run does not look at it.
    pub password: SecretString,
    /// What confirms it.
    pub consent: Consent,
}

impl ResetPassword {
    async fn attempt(&self, context: &mut Context) -> Result<(PlatformUser, PlatformUser)> {
        // Who sets a password can act as that user, so this is held against their rights.
        let before = changeable(context, &self.username).await?;
        allow(context, &self.consent, &before.username, false)?;
        if self.consent.dry_run {
            return Ok((before.clone(), before));
        }
        password::check_rules(&self.password)?;
        let hash = password::hash(&context.ops().inner.hashing, &self.password).await?;
        let change = UserChange { password_hash: Some(&hash), ..UserChange::default() };
        changed(context, before, &change, None).await
    }
}

impl Operation for ResetPassword {
    const NAME: &'static str = "users.reset_password";
    const REQUIREMENT: Requirement = MANAGE;
    const ACCESS: Access = Access::Write;
    const ONE_AT_A_TIME: bool = true;
    type Output = PlatformUser;

    fn about(&self) -> About {
        About::user(&self.username).with(&self.consent)
    }

    async fn execute(self, context: &mut Context) -> Result<PlatformUser> {
        let row = self.consent.begin(context, Self::NAME, &self.about()).await?;
        let attempt = self.attempt(context).await;
        let done = self.consent.end(context, row.clone(), attempt).await?;
        succeeded(context, row, done).await
    }
}

/// Applies a change and ends the user's sessions; gives the user before and after.
async fn changed(
    context: &mut Context,
    before: PlatformUser,
    change: &UserChange<'_>,
    workspaces: Option<&[i64]>,
) -> Result<(PlatformUser, PlatformUser)> {
    let (now, rehearses) = (context.now(), context.rehearses());
    let tx = context.tx()?;
    rights::keep_one_manager(tx, &before, change).await?;
    if rehearses {
        users::require_workspaces(tx, workspaces.unwrap_or_default()).await?;
        let after = before.clone().changed(change, workspaces);
        return Ok((before, after));
    }
    users::change(tx, before.id, change, now).await?;
    if let Some(workspaces) = workspaces {
        users::set_workspaces(tx, before.id, workspaces).await?;
    }
    sessions::end_all(tx, before.id, now, "credentials changed").await?;
    let after = user_by_name(tx, &before.username, false).await?;
    Ok((before, after))
}

/// Audits a change that was made.
async fn succeeded(
    context: &mut Context,
    mut row: NewAudit,
    (before, after): (PlatformUser, PlatformUser),
) -> Result<PlatformUser> {
    row.before = Some(before.facts());
    row.after = Some(after.facts());
    context.audit(&row).await?;
    Ok(after)
}

/// Clears the login throttle for one name, from every origin.
#[derive(Debug)]
pub struct Unlock {
    /// Name.
    pub username: String,
    /// What confirms it.
    pub consent: Consent,
}

impl Unlock {
    async fn attempt(&self, context: &mut Context) -> Result<i64> {
        let user = changeable(context, &self.username).await?;
        allow(context, &self.consent, &user.username, false)?;
        if self.consent.dry_run {
            return sessions::attempts(context.tx()?, &user.username).await;
        }
        sessions::clear_attempts(context.tx()?, None, &user.username).await
    }
}

impl Operation for Unlock {
    const NAME: &'static str = "users.unlock";
    const REQUIREMENT: Requirement = MANAGE;
    const ACCESS: Access = Access::Write;
    const ONE_AT_A_TIME: bool = true;
    type Output = i64;

    fn about(&self) -> About {
        About::user(&self.username).with(&self.consent)
    }

    async fn execute(self, context: &mut Context) -> Result<i64> {
        let mut row = self.consent.begin(context, Self::NAME, &self.about()).await?;
        let attempt = self.attempt(context).await;
        let cleared = self.consent.end(context, row.clone(), attempt).await?;
        row.metadata["cleared"] = json!(cleared);
        context.audit(&row).await?;
        Ok(cleared)
    }
}
