//! Login, sessions and logout.
//!
//! A login takes its slot of the throttle first, committed, and verifies afterwards; an
//! unknown name, a disabled user, a customer and a wrong password take the same way and get
//! the same answer.

use std::fmt;

use chrono::{DateTime, Duration, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::store::audit::NewAudit;
use super::store::commit::{after_attempt, before_anything, commit_record};
use super::store::database::Db;
use super::store::sessions::{self, NewSession, SessionRow};
use super::store::users::CredentialRow;
use super::store::{self, together, users};
use super::{Access, AuditStatus, Context, Operation, Ops, password};
use crate::access::{Actor, BreakGlass, ClientKind, Requirement, SessionRef, gate};
use crate::domain::capability::{Capability, CapabilitySet};
use crate::domain::identity::hex;
use crate::{Error, ErrorKind, Result};

/// How many attempts one origin has for one name within a minute.
pub const ATTEMPTS: i64 = 10;
/// The throttle's window.
const WINDOW: Duration = Duration::minutes(1);
/// Activity is written at most this often, so that holding a key does not hammer the row.
const TOUCH_EVERY: Duration = Duration::seconds(30);

/// A session as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Who acts from now on.
    pub actor: Actor,
    /// Normalised user name.
    pub username: String,
    /// What the user may do, as of now.
    pub capabilities: CapabilitySet,
    /// Whether the user sees only some workspaces.
    pub restricted: bool,
    /// Their break-glass, if it was active.
    pub break_glass: Option<BreakGlass>,
    /// Absolute expiry.
    pub expires_at: DateTime<Utc>,
    /// Last activity of the person, as far as it is written.
    pub last_active_at: DateTime<Utc>,
}

/// Who acts, and what they see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Their session.
    pub session: Session,
    /// The workspaces that they see; none for a view of all.
    pub workspaces: Option<Vec<i64>>,
}

impl Session {
    /// Whether activity of the person has to be written.
    pub fn is_touch_due(&self, now: DateTime<Utc>) -> bool {
        now - self.last_active_at >= TOUCH_EVERY
    }

    /// Whether its capabilities are enough for `O`.
    pub fn may<O: Operation>(&self) -> bool {
        O::REQUIREMENT.missing(&self.capabilities).is_none()
    }
}

/// A session's token: shown to nobody, stored nowhere but at the client.
pub struct Token(SecretString);

impl Token {
    /// The token itself, for the client's private file.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<SecretString> for Token {
    fn from(token: SecretString) -> Self {
        Self(token)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Logs a platform user in.
#[derive(Debug, Clone)]
pub struct Login {
    username: String,
    password: SecretString,
    kind: ClientKind,
    replaced: Option<SecretString>,
}

impl Login {
    /// A login of `username` from a client of `kind`.
    pub fn new(username: &str, password: impl Into<String>, kind: ClientKind) -> Self {
        Self::with(username, password::secret(password), kind)
    }

    /// The same with a password that is already wrapped.
    pub fn with(username: &str, password: SecretString, kind: ClientKind) -> Self {
        Self { username: username.to_owned(), password, kind, replaced: None }
    }

    /// The same from a client of `kind`.
    #[must_use]
    pub fn through(self, kind: ClientKind) -> Self {
        Self { kind, ..self }
    }

    /// The same; the session with the token `replaced` ends with it.
    #[must_use]
    pub fn replacing(self, replaced: Option<SecretString>) -> Self {
        Self { replaced, ..self }
    }
}

impl PartialEq for Login {
    fn eq(&self, other: &Self) -> bool {
        let token = |login: &Self| login.replaced.as_ref().map(|t| t.expose_secret().to_owned());
        (&self.username, self.kind) == (&other.username, other.kind)
            && self.password.expose_secret() == other.password.expose_secret()
            && token(self) == token(other)
    }
}

/// The answer to every failed login, whatever the reason.
fn refused() -> Error {
    Error::new(ErrorKind::NotLoggedIn, "the name or the password is not right")
        .hint("an administrator can reset a password or enable a user")
}

impl Operation for Login {
    const NAME: &'static str = "auth.login";
    const REQUIREMENT: Requirement = Requirement::BeforeLogin;
    const ACCESS: Access = Access::Stepwise;
    type Output = (Session, Token);

    async fn execute(self, context: &mut Context) -> Result<Self::Output> {
        let Actor::Anonymous { origin } = context.permit().actor().clone() else {
            return Err(Error::usage("log out first"));
        };
        let username = password::normalise_name(&self.username);
        // A name too long to be anybody's must not fill the throttle's table.
        let counted: String = username.chars().take(password::MAX_NAME).collect();
        let replaced = self.replaced.as_ref().map(|token| token_hash(token.expose_secret()));
        let replaced = replaced.as_deref();
        let (found, replaced) =
            reserve(context, Self::NAME, &origin, &counted, (&username, replaced)).await?;
        let stored =
            found.as_ref().filter(|user| user.active).map(|user| user.password_hash.clone());
        let program = context.settings().program.clone();
        let places = &context.ops().inner.hashing;
        let right = password::verify(places, &self.password, stored, program).await?;
        let Some(user) = found.filter(|_| right) else {
            note(context, Self::NAME, &origin, &counted, AuditStatus::Failed).await?;
            return Err(refused());
        };

        // Between the look and the verdict the user may have been changed: look again, and
        // hold the row while the session is made.
        let mut tx = context.begin(true).await.map_err(after_attempt)?;
        let token = new_token();
        let now = context.now();
        let expires_at = now + seconds(context.settings().absolute_timeout);
        let token_hash = token_hash(token.expose());
        let session = NewSession {
            token_hash: &token_hash,
            platform_user_id: user.id,
            kind: self.kind.as_str(),
            origin: &origin,
            credential_version: user.credential_version,
            idle_seconds: seconds(context.settings().idle_timeout).num_seconds(),
            now,
            expires_at,
        };
        let mut row = context.audit_row(Self::NAME, AuditStatus::Succeeded);
        row.actor_kind = "platform_user";
        row.actor_id = Some(user.id);
        row.actor_name = Some(username.clone());
        row.origin = Some(origin.clone());
        row.metadata = json!({ "client": self.kind.as_str() });
        // Ended as by its own user.
        let replaced = replaced.filter(|row| is_live(row, self.kind, now));
        let logout = replaced.as_ref().map(|before| NewAudit {
            actor_kind: "platform_user",
            actor_id: Some(before.platform_user_id),
            actor_name: Some(before.username.clone()),
            origin: Some(origin.clone()),
            ..context.audit_row(Logout::NAME, AuditStatus::Succeeded)
        });
        let (again, session_id, _, (), (), ()) = together!(
            &mut tx,
            |tx| users::credentials(tx, &username, true),
            |tx| sessions::insert(tx, &session),
            |tx| sessions::clear_attempts(tx, Some(&origin), &counted),
            |tx| store::audit::insert(tx, &row),
            |tx| async {
                match &replaced {
                    Some(before) => sessions::end(tx, before.id, now, "logout").await,
                    None => Ok(()),
                }
            },
            |tx| async {
                match &logout {
                    Some(row) => store::audit::insert(tx, row).await,
                    None => Ok(()),
                }
            },
        )
        .map_err(after_attempt)?;
        // None of it stays where the user is another one by now.
        let same = |now: &CredentialRow| {
            now.active && now.id == user.id && now.credential_version == user.credential_version
        };
        let Some(current) = again.filter(same) else {
            tx.rollback().await?;
            note(context, Self::NAME, &origin, &counted, AuditStatus::Failed).await?;
            return Err(refused());
        };
        let capabilities = CapabilitySet::from_names(&current.capabilities.0);
        if !capabilities.has(Capability::AccessSystemPanel) {
            tx.rollback().await?;
            note(context, Self::NAME, &origin, &counted, AuditStatus::Denied).await?;
            return Err(Error::forbidden(Capability::AccessSystemPanel));
        }
        tx.commit().await?;
        let restricted = !current.view_all;
        let actor = Actor::Platform(gate::session(session_id, self.kind));
        let session = Session {
            actor,
            username,
            capabilities,
            restricted,
            break_glass: None,
            expires_at,
            last_active_at: now,
        };
        Ok((session, token))
    }
}

/// Takes a slot of the throttle, committed before anything is verified; gives what `user` would be
/// verified by, and the session of a token.
pub(super) async fn reserve(
    context: &mut Context,
    action: &'static str,
    origin: &str,
    username: &str,
    (user, token): (&str, Option<&str>),
) -> Result<(Option<CredentialRow>, Option<SessionRow>)> {
    let mut tx = context.begin(true).await?;
    let now = context.now();
    let (left, found, session) = together!(
        &mut tx,
        |tx| sessions::reserve_attempt(tx, origin, username, now, now - WINDOW, ATTEMPTS),
        |tx| users::credentials(tx, user, false),
        |tx| async {
            match token {
                Some(token) => sessions::by_token_hash(tx, token).await,
                None => Ok(None),
            }
        },
    )?;
    if left < 0 {
        let row = attempt(context, action, origin, username, AuditStatus::Throttled);
        store::audit::insert(&mut tx, &row).await?;
    }
    tx.commit().await.map_err(before_anything)?;
    if left >= 0 {
        return Ok((found, session));
    }
    // On SQLite time stands still until a clock that was wrong is reached.
    let stands = context.ops().clock().ahead().is_some_and(|ahead| ahead < -WINDOW);
    Err(Error::refused("too many attempts for this name from here").hint(if stands {
        "ask an administrator to unlock it: this machine's clock is behind what is stored, so no \
         wait ends it; see: tenantpilot info"
    } else {
        "wait a minute, or ask an administrator to unlock it"
    }))
}

/// Audits an attempt that led to nothing.
pub(super) async fn note(
    context: &mut Context,
    action: &'static str,
    origin: &str,
    username: &str,
    status: AuditStatus,
) -> Result<()> {
    let mut tx = context.begin(true).await.map_err(after_attempt)?;
    let row = attempt(context, action, origin, username, status);
    store::audit::insert(&mut tx, &row).await.map_err(after_attempt)?;
    commit_record(tx).await.map_err(after_attempt)
}

fn attempt(
    context: &Context,
    action: &'static str,
    origin: &str,
    username: &str,
    status: AuditStatus,
) -> NewAudit {
    let mut row = context.audit_row(action, status);
    row.origin = Some(origin.to_owned());
    row.target_type = Some("platform_user");
    row.target_id = Some(username.to_owned());
    row
}

/// Takes up a session by its token.
#[derive(Debug)]
pub struct Resume {
    token: SecretString,
    kind: ClientKind,
}

impl Resume {
    /// A session by `token`, from a client of `kind`; a session of another kind is refused.
    pub fn new(token: impl Into<String>, kind: ClientKind) -> Self {
        Self { token: password::secret(token), kind }
    }
}

impl Operation for Resume {
    const NAME: &'static str = "auth.resume";
    const REQUIREMENT: Requirement = Requirement::BeforeLogin;
    const ACCESS: Access = Access::Read;
    type Output = Session;

    fn token_hash(&self) -> Option<String> {
        Some(token_hash(self.token.expose_secret()))
    }

    async fn execute(self, context: &mut Context) -> Result<Session> {
        let now = context.now();
        let row = context.arrived().filter(|row| is_live(row, self.kind, now));
        let row = row.ok_or_else(Error::not_logged_in)?;
        session_of(row, gate::session(row.id, self.kind), now)
    }
}

/// Ends the actor's own session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logout;

impl Operation for Logout {
    const NAME: &'static str = "auth.logout";
    const REQUIREMENT: Requirement = Requirement::Session;
    const ACCESS: Access = Access::Write;
    type Output = ();

    async fn execute(self, context: &mut Context) -> Result<()> {
        let now = context.now();
        let Some(holder) = context.permit().holder().cloned() else {
            return Err(Error::not_logged_in());
        };
        let row = context.audit_row(Self::NAME, AuditStatus::Succeeded);
        together!(
            context.tx()?,
            |tx| sessions::end(tx, holder.session.id(), now, "logout"),
            |tx| store::audit::insert(tx, &row),
        )?;
        Ok(())
    }
}

/// Tells who the actor is.
#[derive(Debug)]
pub struct WhoAmI;

impl Operation for WhoAmI {
    const NAME: &'static str = "auth.whoami";
    const REQUIREMENT: Requirement = Requirement::Session;
    const ACCESS: Access = Access::Read;
    type Output = Identity;

    async fn execute(self, context: &mut Context) -> Result<Identity> {
        let Some(holder) = context.permit().holder().cloned() else {
            return Err(Error::not_logged_in());
        };
        let row = context.arrived().ok_or_else(Error::not_logged_in)?;
        let session = session_of(row, holder.session, context.now())?;
        let workspaces = if session.restricted {
            Some(users::workspaces(context.tx()?, holder.platform_user_id).await?)
        } else {
            None
        };
        Ok(Identity { session, workspaces })
    }
}

/// Notes that the person did something, so that the session does not idle out. Polling
/// never does this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touch;

impl Operation for Touch {
    const NAME: &'static str = "auth.touch";
    const REQUIREMENT: Requirement = Requirement::Session;
    const ACCESS: Access = Access::Write;
    type Output = ();

    async fn execute(self, context: &mut Context) -> Result<()> {
        let now = context.now();
        let Some(holder) = context.permit().holder().cloned() else {
            return Err(Error::not_logged_in());
        };
        if context.arrived().is_some_and(|row| now - row.last_active_at >= TOUCH_EVERY) {
            sessions::touch(context.tx()?, holder.session.id(), now).await?;
        }
        Ok(())
    }
}

impl Ops {
    /// Notes that a person gave a command. On PostgreSQL that goes with what is asked next and waits
    /// for no answer of its own; where it cannot be written, it is left out. A console asks for
    /// [`Touch`], whose refusal says what the database cannot do.
    ///
    /// # Errors
    /// On SQLite those of [`Touch`].
    pub async fn touch(&self, actor: &Actor) -> Result<()> {
        match (&self.inner.db, actor) {
            (Db::Postgres(server), Actor::Platform(session)) => {
                let now = self.clock().now();
                server.ask_before(&sessions::touching(session.id(), now, now - TOUCH_EVERY))
            }
            _ => self.run(actor, Touch).await,
        }
    }
}

/// Whether a session is good for a client of `kind` at `now`.
pub(super) fn is_live(row: &SessionRow, kind: ClientKind, now: DateTime<Utc>) -> bool {
    !row.ended
        && !row.outdated
        && row.active
        && row.kind == kind.as_str()
        && now < row.expires_at
        && now - row.last_active_at < Duration::seconds(row.idle_seconds)
}

fn session_of(row: &SessionRow, session: SessionRef, now: DateTime<Utc>) -> Result<Session> {
    Ok(Session {
        actor: Actor::Platform(session),
        username: row.username.clone(),
        capabilities: CapabilitySet::from_names(&row.capabilities.0),
        restricted: row.restricted,
        break_glass: row.grant.active(now)?,
        expires_at: row.expires_at,
        last_active_at: row.last_active_at,
    })
}

/// 256 random bits, as hex digits.
fn new_token() -> Token {
    let bytes: [u8; 32] = rand::random();
    Token(password::secret(hex(&bytes)))
}

fn token_hash(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

fn seconds(duration: std::time::Duration) -> Duration {
    Duration::from_std(duration).unwrap_or(Duration::MAX)
}
