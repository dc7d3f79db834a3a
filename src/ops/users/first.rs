//! The first administrator of an empty platform.

use secrecy::SecretString;
use serde_json::json;

use super::create::{insert, prepare};
use super::{NewPlatformUser, PlatformUser, UserView};
use crate::access::Requirement;
use crate::domain::capability::Role;
use crate::ops::store::{audit, users};
use crate::ops::{Access, AuditStatus, Consent, Context, Operation, password};
use crate::{Error, Result};

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
    pub(in crate::ops) fn sample() -> Self {
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
            view: UserView::All,
            username: self.username,
            password: self.password,
            consent: Consent::default(),
        };
        let prepared = prepare(context, new).await?;
        let now = context.now();
        let mut tx = context.begin(true).await?;
        users::lock_creation(&mut tx).await?;
        if users::count(&mut tx).await? > 0 {
            tx.rollback().await?;
            return Err(Error::refused("this platform already has users")
                .hint("log in as an administrator to create more"));
        }
        let user = insert(&mut tx, &prepared, now).await?;
        let mut row = context.audit_row(Self::NAME, AuditStatus::Succeeded);
        row.target_type = Some("platform_user");
        row.target_id = Some(user.username.clone());
        row.after = Some(json!({ "role": user.role }));
        audit::insert(&mut tx, &row).await?;
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
