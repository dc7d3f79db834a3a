//! Alerts that leave the platform: reading the outbox, reviving a dead one, and what a sender
//! needs. Rows come into the outbox in the transaction that completes a run.

use std::time::Duration;

use serde_json::json;

use super::store::{Tx, alerts, together};
use super::{About, Access, Consent, Context, Operation};
use crate::access::{Requirement, ViewScope};
use crate::domain::capability::Capability;
use crate::domain::confirmation::{Action, Confirmation};
use crate::domain::sanitize;
use crate::{Error, Result};

pub use super::store::alerts::{Alert, AlertStatus, ClaimedAlert};

/// The largest page.
const MAX_LIMIT: i64 = 1_000;
const VIEW: Requirement = Requirement::All(&[Capability::OpsView]);

/// Reads the newest alerts.
#[derive(Debug, Clone, Default)]
pub struct ListAlerts {
    /// Only those with this status.
    pub status: Option<AlertStatus>,
    /// At most this many, up to 1 000; 0 means 50.
    pub limit: i64,
}

/// The newest alerts.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertPage {
    /// Alerts, newest first.
    pub alerts: Vec<Alert>,
    /// Whether there are older ones.
    pub more: bool,
}

impl Operation for ListAlerts {
    const NAME: &'static str = "alerts.list";
    const REQUIREMENT: Requirement = VIEW;
    const ACCESS: Access = Access::Read;
    type Output = AlertPage;

    async fn execute(self, context: &mut Context) -> Result<AlertPage> {
        let limit = if self.limit <= 0 { 50 } else { self.limit.min(MAX_LIMIT) };
        let scope = context.permit().scope();
        let mut found = alerts::newest(context.tx()?, scope, self.status, limit + 1).await?;
        let shown = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = found.len() > shown;
        found.truncate(shown);
        Ok(AlertPage { alerts: found, more })
    }
}

/// Sums up what is not delivered.
#[derive(Debug, Clone, Copy)]
pub struct SummariseAlerts;

/// What is not delivered, within the actor's view.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertSummary {
    /// Still tried.
    pub pending: i64,
    /// Of the pending ones, those whose last attempt failed.
    pub overdue: i64,
    /// Tried as often as the settings say, and given up.
    pub dead: i64,
    /// What the newest failed attempt said, or why nothing is tried; sanitised.
    pub last_error: Option<String>,
}

impl Operation for SummariseAlerts {
    const NAME: &'static str = "alerts.summarise";
    const REQUIREMENT: Requirement = VIEW;
    const ACCESS: Access = Access::Read;
    type Output = AlertSummary;

    async fn execute(self, context: &mut Context) -> Result<AlertSummary> {
        let scope = context.permit().scope();
        summary(context.tx()?, scope).await
    }
}

/// Sums up what is not delivered within a view.
pub(super) async fn summary(tx: &mut Tx, scope: ViewScope) -> Result<AlertSummary> {
    let (counts, last_error) =
        together!(tx, |tx| alerts::count_undelivered(tx, scope), |tx| alerts::last_error(
            tx, scope
        ),)?;
    let (pending, overdue, dead) = (counts.pending, counts.overdue, counts.dead);
    Ok(AlertSummary { pending, overdue, dead, last_error })
}

/// Has a dead alert tried again, now and with a fresh count of attempts.
#[derive(Debug, Clone)]
pub struct RetryAlert {
    /// Number.
    pub id: i64,
    /// What confirms it.
    pub consent: Consent,
}

impl Operation for RetryAlert {
    const NAME: &'static str = "alerts.retry";
    const REQUIREMENT: Requirement =
        Requirement::All(&[Capability::OpsView, Capability::OpsManage]);
    const ACCESS: Access = Access::Write;
    type Output = Alert;

    fn about(&self) -> About {
        About::of("alert_delivery", self.id).with(&self.consent)
    }

    async fn execute(self, context: &mut Context) -> Result<Alert> {
        let mut row = self.consent.begin(context, Self::NAME, &self.about()).await?;
        let attempt = self.attempt(context).await;
        let (before, after) = self.consent.end(context, row.clone(), attempt).await?;
        let state = |alert: &Alert| json!({ "status": alert.status, "attempts": alert.attempts });
        row.run_id = before.run_id;
        row.before = Some(state(&before));
        row.after = Some(state(&after));
        context.audit(&row).await?;
        Ok(after)
    }
}

impl RetryAlert {
    async fn attempt(&self, context: &mut Context) -> Result<(Alert, Alert)> {
        let scope = context.permit().scope();
        let gone = || Error::not_found(format!("alert {}", self.id));
        let hold = !self.consent.dry_run;
        let before = alerts::by_id(context.tx()?, scope, self.id, hold).await?.ok_or_else(gone)?;
        match before.status {
            AlertStatus::Dead => {}
            AlertStatus::Pending => {
                return Err(Error::refused(format!("alert {} is still tried", self.id)).hint(
                    "only a dead one is to be retried: tenantpilot alerts list --status dead",
                ));
            }
            AlertStatus::Delivered => {
                return Err(Error::refused(format!("alert {} was delivered", self.id)));
            }
        }
        self.consent.allow(context, &Confirmation::of(&Action::RetryAlert(self.id))?)?;
        if self.consent.dry_run {
            let after = Alert { status: AlertStatus::Pending, attempts: 0, ..before.clone() };
            return Ok((before, after));
        }
        alerts::revive(context.tx()?, self.id).await?;
        let after = alerts::by_id(context.tx()?, scope, self.id, false).await?.ok_or_else(gone)?;
        Ok((before, after))
    }
}

/// Asks whether an alert waits to be sent now. Cheap: it writes nothing and waits for no writer.
#[derive(Debug, Clone, Copy)]
pub struct AreAlertsDue;

impl Operation for AreAlertsDue {
    const NAME: &'static str = "alerts.due";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Read;
    type Output = bool;

    async fn execute(self, context: &mut Context) -> Result<bool> {
        alerts::is_due(context.tx()?).await
    }
}

/// Takes due alerts to send each once. What is not settled within `visibility` is due again.
#[derive(Debug, Clone, Copy)]
pub struct ClaimAlerts {
    /// At most this many.
    pub limit: i64,
    /// For how long nobody else gets them.
    pub visibility: Duration,
}

impl Operation for ClaimAlerts {
    const NAME: &'static str = "alerts.claim";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    type Output = Vec<ClaimedAlert>;

    async fn execute(self, context: &mut Context) -> Result<Vec<ClaimedAlert>> {
        let now = context.now();
        alerts::claim(context.tx()?, self.limit.clamp(0, MAX_LIMIT), self.visibility, now).await
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The receiver took it.
    Delivered,
    /// It did not.
    Failed {
        /// Why; sanitised before it is stored.
        error: String,
        /// The next attempt is not before this long.
        delay: Duration,
        /// After so many attempts it is dead.
        max_attempts: i64,
    },
}

/// Records how an attempt ended.
#[derive(Debug, Clone)]
pub struct SettleAlert {
    /// Number.
    pub id: i64,
    /// The attempt, as its claim gave it.
    pub claim_id: String,
    /// How it ended.
    pub end: AttemptEnd,
}

impl SettleAlert {
    pub(super) fn sample() -> Self {
        Self { id: 0, claim_id: String::new(), end: AttemptEnd::Delivered }
    }
}

impl Operation for SettleAlert {
    const NAME: &'static str = "alerts.settle";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    /// The status it has now; none if the report came too late to count.
    type Output = Option<AlertStatus>;

    async fn execute(self, context: &mut Context) -> Result<Option<AlertStatus>> {
        let now = context.now();
        let tx = context.tx()?;
        match self.end {
            AttemptEnd::Delivered => {
                let counts = alerts::delivered(tx, self.id, now).await?;
                Ok(counts.then_some(AlertStatus::Delivered))
            }
            AttemptEnd::Failed { error, delay, max_attempts } => {
                let error = sanitize::message(&error);
                let claim = (self.id, self.claim_id.as_str());
                alerts::failed(tx, claim, &error, delay, max_attempts).await
            }
        }
    }
}

/// Says on due alerts that were never tried why they wait. They stay pending.
#[derive(Debug, Clone)]
pub struct ExplainWaiting {
    /// Why; sanitised before it is stored.
    pub reason: String,
}

impl Operation for ExplainWaiting {
    const NAME: &'static str = "alerts.explain_waiting";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    /// How many were told of now.
    type Output = u64;

    async fn execute(self, context: &mut Context) -> Result<u64> {
        let reason = sanitize::message(&self.reason);
        alerts::explain_waiting(context.tx()?, &reason).await
    }
}
