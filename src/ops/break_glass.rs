//! Break-glass: a person declares an exception, with a reason and an end. It allows nothing.
//! While it is active every start needs a reason, and what is done is marked.
//!
//! Taking it asks for the password again, by the way of a login: a slot of the throttle first,
//! committed, then the check, then one transaction in which the capability is checked once
//! more, the grant is written and audited.

use chrono::{DateTime, Duration, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::store::commit::after_attempt;
use super::store::{self, sessions};
use super::{About, Access, AuditStatus, Consent, Context, Operation, auth, password};
use crate::access::{BreakGlass, Permit, Requirement};
use crate::domain::capability::Capability;
use crate::domain::confirmation::{Action, Confirmation};
use crate::{Error, ErrorKind, Result};

/// The shortest time it can be taken for, in minutes.
pub const MIN_MINUTES: u32 = 5;
/// The longest time it can be taken for, in minutes.
pub const MAX_MINUTES: u32 = 240;
/// How long it lasts where nothing is said, in minutes.
pub const DEFAULT_MINUTES: u32 = 60;

/// Taking and ending ask for this.
const USE: Requirement = Requirement::All(&[Capability::BreakGlassUse]);

/// Takes break-glass.
#[derive(Debug, Clone)]
pub struct EnterBreakGlass {
    /// What confirms it, and why.
    pub consent: Consent,
    /// For how many minutes.
    pub minutes: u32,
    /// The person's own password, once more; a dry run does not look at it.
    pub password: SecretString,
}

impl EnterBreakGlass {
    /// A harmless example, for the test of the access check.
    pub(in crate::ops) fn sample() -> Self {
        Self {
            consent: Consent::dry_run(),
            minutes: 0,
            password: password::secret("not a password"),
        }
    }
}

impl PartialEq for EnterBreakGlass {
    fn eq(&self, other: &Self) -> bool {
        let of = |enter: &Self| (enter.consent.clone(), enter.minutes);
        of(self) == of(other) && self.password.expose_secret() == other.password.expose_secret()
    }
}

/// Refuses a length that break-glass cannot be taken for.
///
/// # Errors
/// *Usage*, with what is allowed.
pub fn check_minutes(minutes: u32) -> Result<()> {
    if (MIN_MINUTES..=MAX_MINUTES).contains(&minutes) {
        return Ok(());
    }
    Err(Error::usage(format!("break-glass lasts {MIN_MINUTES} to {MAX_MINUTES} minutes"))
        .hint("end it earlier when it is over; take it again if it runs out too soon"))
}

impl Operation for EnterBreakGlass {
    const NAME: &'static str = "break_glass.enter";
    const REQUIREMENT: Requirement = USE;
    const ACCESS: Access = Access::Stepwise;
    type Output = BreakGlass;

    fn about(&self) -> About {
        About::default().with(&self.consent)
    }

    async fn execute(self, context: &mut Context) -> Result<BreakGlass> {
        let confirmation = Confirmation::of(&Action::EnterBreakGlass)?;
        let Some(reason) = self.consent.allow(context, &confirmation)? else {
            return Err(
                Error::usage("break-glass needs a reason").hint("give --reason-code and --reason")
            );
        };
        check_minutes(self.minutes)?;
        let Some(holder) = context.permit().holder().cloned() else {
            return Err(Error::not_logged_in());
        };
        let origin = context.arrived().ok_or_else(Error::not_logged_in)?.origin.clone();
        let name = &holder.username;
        if let Some(glass) = &holder.break_glass {
            auth::note(context, Self::NAME, &origin, name, AuditStatus::Refused).await?;
            return Err(already(glass.expires_at));
        }

        if self.consent.dry_run {
            let granted_at = context.now();
            return Ok(BreakGlass {
                grant_id: 0,
                reason_code: reason.code,
                reason: reason.text,
                granted_at,
                expires_at: granted_at + Duration::minutes(i64::from(self.minutes)),
            });
        }
        let user = auth::reserve(context, Self::NAME, &origin, name, (name, None)).await?.0;
        let entered = async {
            let stored = user.filter(|user| user.active).map(|user| user.password_hash);
            let program = context.settings().program.clone();
            let places = &context.ops().inner.hashing;
            if !password::verify(places, &self.password, stored, program).await? {
                auth::note(context, Self::NAME, &origin, name, AuditStatus::Failed).await?;
                return Err(Error::refused("the password is not right")
                    .hint("it is the one you log in with; break-glass was not taken"));
            }

            // A change of the user ends the session, so this also sees a password that was
            // changed while the old one was checked.
            if let Err(error) = context.begin_checked(&Self::REQUIREMENT, true).await {
                if error.kind() == ErrorKind::Forbidden {
                    auth::note(context, Self::NAME, &origin, name, AuditStatus::Denied).await?;
                    context.refusal_audited();
                }
                return Err(error);
            }
            let granted_at = context.now();
            let expires_at = granted_at + Duration::minutes(i64::from(self.minutes));
            let id = holder.platform_user_id;
            let tx = context.tx()?;
            store::break_glass::close_expired(tx, id, granted_at).await?;
            let made = store::break_glass::insert(tx, id, &reason, granted_at, expires_at).await?;
            let Some(grant_id) = made else {
                // Another session of the same person was faster.
                let until = store::break_glass::open_until(tx, id).await?;
                let row = context.audit_row(Self::NAME, AuditStatus::Refused);
                context.audit(&row).await?;
                context.end_refused(true).await?;
                return Err(already(until.unwrap_or(expires_at)));
            };
            sessions::clear_attempts(tx, Some(&origin), name).await?;
            let glass = BreakGlass {
                grant_id,
                reason_code: reason.code,
                reason: reason.text,
                granted_at,
                expires_at,
            };
            let mut row = context.audit_row(Self::NAME, AuditStatus::Succeeded);
            row.origin = Some(origin);
            row.target_type = Some("break_glass_grant");
            row.target_id = Some(grant_id.to_string());
            row.after = Some(facts(&glass));
            row.metadata = json!({ "minutes": self.minutes });
            row.break_glass = true;
            context.audit(&row).await?;
            Ok(glass)
        };
        let glass = entered.await.map_err(after_attempt)?;
        context.end(true).await?;
        Ok(glass)
    }
}

fn already(until: DateTime<Utc>) -> Error {
    let until = until.format("%F %H:%M:%S UTC");
    Error::refused(format!("break-glass is active already, until {until}"))
        .hint("end it first to take it anew")
}

/// Ends the actor's own break-glass before it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndBreakGlass {
    /// What confirms it.
    pub consent: Consent,
}

impl Operation for EndBreakGlass {
    const NAME: &'static str = "break_glass.end";
    const REQUIREMENT: Requirement = USE;
    const ACCESS: Access = Access::Write;
    /// What was ended.
    type Output = BreakGlass;

    fn about(&self) -> About {
        About::default().with(&self.consent)
    }

    async fn execute(self, context: &mut Context) -> Result<BreakGlass> {
        let mut row = self.consent.begin(context, Self::NAME, &self.about()).await?;
        row.target_type = Some("break_glass_grant");
        let attempt = self.attempt(context).await;
        let glass = self.consent.end(context, row.clone(), attempt).await?;
        row.target_id = Some(glass.grant_id.to_string());
        row.before = Some(facts(&glass));
        context.audit(&row).await?;
        Ok(glass)
    }
}

impl EndBreakGlass {
    async fn attempt(&self, context: &mut Context) -> Result<BreakGlass> {
        let now = context.now();
        let none = || Error::refused("break-glass is not active");
        let glass = context.permit().break_glass().cloned().ok_or_else(none)?;
        self.consent.allow(context, &Confirmation::of(&Action::EndBreakGlass)?)?;
        if !self.consent.dry_run
            && !store::break_glass::end(context.tx()?, glass.grant_id, now).await?
        {
            return Err(none());
        }
        Ok(glass)
    }
}

/// Tells the actor's own break-glass, if it is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrentBreakGlass;

impl Operation for CurrentBreakGlass {
    const NAME: &'static str = "break_glass.current";
    const REQUIREMENT: Requirement = Requirement::Session;
    const ACCESS: Access = Access::Read;
    type Output = Option<BreakGlass>;

    async fn execute(self, context: &mut Context) -> Result<Option<BreakGlass>> {
        Ok(context.permit().break_glass().cloned())
    }
}

/// Refuses a start, or a dry run of one, without a reason while the actor's break-glass is active.
/// The reason's own rule is checked where the start is confirmed.
///
/// # Errors
/// *Refused*.
pub(in crate::ops) fn require_reason(permit: &Permit, consent: &Consent) -> Result<()> {
    if permit.break_glass().is_none() || consent.reason.is_some() {
        return Ok(());
    }
    Err(missing_reason("").hint("give --reason-code and --reason"))
}

/// The refusal of a start without a reason; `why` says which one is missing, if that helps.
pub(in crate::ops) fn missing_reason(why: &str) -> Error {
    let why = if why.is_empty() { String::new() } else { format!(", and {why}") };
    Error::refused(format!("break-glass is active: every start needs a reason{why}"))
}

/// What a run's context and the audit log keep of a break-glass.
pub(in crate::ops) fn facts(glass: &BreakGlass) -> Value {
    json!({ "grant_id": glass.grant_id, "reason_code": glass.reason_code,
            "reason": glass.reason, "expires_at": glass.expires_at })
}
