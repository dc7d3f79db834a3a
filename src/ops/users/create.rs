//! Making platform users.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use sqlx::types::Json;

use super::{MANAGE, PlatformUser, UserView, rights, user_by_name};
use crate::access::Requirement;
use crate::domain::capability::CapabilitySet;
use crate::domain::high_capability::HighCapability;
use crate::ops::store::Tx;
use crate::ops::store::users::{self, NewUser, UserRow};
use crate::ops::{About, Access, Consent, Context, Operation, password};
use crate::{Error, Result};

/// The longest display name.
const MAX_DISPLAY_NAME: usize = 100;

/// What a new platform user is made of.
#[derive(Debug, Clone)]
pub struct NewPlatformUser {
    /// Name to log in with.
    pub username: String,
    /// Name for display; empty: the user name.
    pub display_name: String,
    /// First password; a dry run does not look at it.
    pub password: SecretString,
    /// What they may do.
    pub capabilities: CapabilitySet,
    /// What they may see.
    pub view: UserView,
    /// What confirms it: the user name where a high capability is granted.
    pub consent: Consent,
}

/// Makes a platform user.
#[derive(Debug)]
pub struct CreateUser(
    /// What they are made of.
    pub NewPlatformUser,
);

impl CreateUser {
    pub(in crate::ops) fn sample() -> Self {
        Self(NewPlatformUser {
            username: String::new(),
            display_name: String::new(),
            password: password::secret("not a password"),
            capabilities: CapabilitySet::default(),
            view: UserView::All,
            consent: Consent::dry_run(),
        })
    }

    async fn attempt(self, context: &mut Context) -> Result<PlatformUser> {
        let Self(new) = self;
        new.view.check()?;
        rights::may_grant(context, &new.capabilities, &new.view).await?;
        let name = password::new_name(&new.username)?;
        let high = HighCapability::held(&new.capabilities, new.view.is_all());
        rights::confirm_grant(context, &name, &[], (&high, new.view.is_all()), &new.consent)?;
        let prepared = prepare(context, new).await?;
        let now = context.now();
        if context.rehearses() {
            return would_be(context.tx()?, prepared, now).await;
        }
        insert(context.tx()?, &prepared, now).await
    }
}

impl Operation for CreateUser {
    const NAME: &'static str = "users.create";
    const REQUIREMENT: Requirement = MANAGE;
    const ACCESS: Access = Access::Write;
    const ONE_AT_A_TIME: bool = true;
    type Output = PlatformUser;

    fn about(&self) -> About {
        About::user(&self.0.username).with(&self.0.consent)
    }

    async fn execute(self, context: &mut Context) -> Result<PlatformUser> {
        let consent = self.0.consent.clone();
        let mut row = consent.begin(context, Self::NAME, &self.about()).await?;
        let attempt = self.attempt(context).await;
        let user = consent.end(context, row.clone(), attempt).await?;
        row.after = Some(user.facts());
        context.audit(&row).await?;
        Ok(user)
    }
}

/// A new user whose name and password hold.
pub(super) struct Prepared {
    username: String,
    display_name: String,
    hash: String,
    capabilities: CapabilitySet,
    view: UserView,
}

/// Checks the rules of a new user, and hashes the password.
pub(super) async fn prepare(context: &Context, new: NewPlatformUser) -> Result<Prepared> {
    let username = password::new_name(&new.username)?;
    let display_name =
        if new.display_name.trim().is_empty() { username.clone() } else { new.display_name };
    if display_name.chars().count() > MAX_DISPLAY_NAME || display_name.chars().any(char::is_control)
    {
        return Err(Error::usage(format!(
            "a display name is one line of at most {MAX_DISPLAY_NAME} characters"
        )));
    }
    let hash = if new.consent.dry_run {
        String::new()
    } else {
        password::check_rules(&new.password)?;
        password::hash(&context.ops().inner.hashing, &new.password).await?
    };
    let (capabilities, view) = (new.capabilities, new.view);
    Ok(Prepared { username, display_name, hash, capabilities, view })
}

/// The user that would be stored.
async fn would_be(tx: &mut Tx, new: Prepared, now: DateTime<Utc>) -> Result<PlatformUser> {
    if users::by_name(tx, &new.username, false).await?.is_some() {
        return Err(users::taken());
    }
    users::require_workspaces(tx, new.view.workspaces()).await?;
    let row = UserRow {
        id: 0,
        username: new.username,
        display_name: new.display_name,
        capabilities: Json(new.capabilities.names().into_iter().map(str::to_owned).collect()),
        active: true,
        view_all: new.view.is_all(),
        created_at: now,
        updated_at: now,
    };
    Ok(PlatformUser::of(row, new.view.workspaces().to_vec()))
}

/// Stores a new user.
pub(super) async fn insert(
    tx: &mut Tx,
    prepared: &Prepared,
    now: DateTime<Utc>,
) -> Result<PlatformUser> {
    let new = NewUser {
        username: &prepared.username,
        display_name: &prepared.display_name,
        password_hash: &prepared.hash,
        capabilities: &prepared.capabilities.names(),
        view_all: prepared.view.is_all(),
        now,
    };
    let id = users::insert(tx, &new).await?;
    users::set_workspaces(tx, id, prepared.view.workspaces()).await?;
    user_by_name(tx, &prepared.username, false).await
}
