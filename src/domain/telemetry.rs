//! The catalog of product usage events, and what an event may say: closed and code-owned.
//!
//! The ledger is private by what it cannot hold. An event has ids, codes, truth values and
//! times; whatever could be a name, an address or a text is refused before anything is written.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::safe_text::quoted;
use crate::text_enum;
use crate::{Error, Result};

text_enum! {
    /// What customers do that is counted.
    pub enum UsageEvent as "product usage event" {
        /// Another checkpoint of onboarding is the last completed one.
        OnboardingCheckpoint = "product.onboarding.checkpoint_completed",
        /// Support diagnostics were opened.
        DiagnosticsOpened = "product.support_diagnostics.opened",
        /// A run was started.
        OperationStarted = "product.operations.started",
        /// A report was stored.
        ReportCreated = "product.stored_report.created",
        /// A review pack was requested.
        ReviewPackRequested = "product.review_pack.requested",
    }
}

text_enum! {
    /// What an event is about.
    pub enum SubjectType as "subject type" {
        /// An onboarding session.
        OnboardingSession = "tenant_onboarding_session",
        /// A tenant.
        Tenant = "tenant",
        /// An operation run.
        OperationRun = "operation_run",
        /// A stored report.
        StoredReport = "stored_report",
        /// A review pack.
        ReviewPack = "review_pack",
    }
}

text_enum! {
    /// Where in the customers' plane something was done.
    pub enum SourceSurface as "source surface" {
        /// The dashboard of a tenant.
        TenantDashboard = "tenant_dashboard",
        /// The viewer of a run.
        OperationRunViewer = "operation_run_viewer",
        /// A tenant's own page.
        Tenant = "tenant",
        /// A review of a tenant.
        TenantReview = "tenant_review",
    }
}

/// What kind of value a key of the metadata has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// A machine token, or the whole number of an id.
    Token,
    /// True or false.
    Boolean,
    /// A moment, as RFC 3339 writes it.
    Timestamp,
    /// A [`SourceSurface`].
    Surface,
}

/// The longest token, in characters.
pub const MAX_TOKEN: usize = 120;

/// How far ahead of the clock a time may be: other machines' clocks are never quite right.
pub const MAX_AHEAD: TimeDelta = TimeDelta::minutes(5);

impl UsageEvent {
    /// The area of the product it belongs to.
    pub const fn area(self) -> &'static str {
        match self {
            Self::OnboardingCheckpoint => "onboarding",
            Self::DiagnosticsOpened => "support_diagnostics",
            Self::OperationStarted => "operations",
            Self::ReportCreated => "stored_reports",
            Self::ReviewPackRequested => "review_pack",
        }
    }

    /// What a person reads.
    pub const fn label(self) -> &'static str {
        match self {
            Self::OnboardingCheckpoint => "Onboarding checkpoints",
            Self::DiagnosticsOpened => "Support diagnostics",
            Self::OperationStarted => "Operations started",
            Self::ReportCreated => "Stored reports",
            Self::ReviewPackRequested => "Review packs requested",
        }
    }

    /// The keys that its metadata may have, with the kind of each value.
    pub const fn keys(self) -> &'static [(&'static str, ValueKind)] {
        use ValueKind::{Boolean, Surface, Timestamp, Token};
        match self {
            Self::OnboardingCheckpoint => &[
                ("checkpoint_key", Token),
                ("lifecycle_state", Token),
                ("completed_at", Timestamp),
            ],
            Self::DiagnosticsOpened => &[("source_surface", Surface), ("operation_type", Token)],
            Self::OperationStarted => &[("operation_type", Token)],
            Self::ReportCreated => &[("report_type", Token)],
            Self::ReviewPackRequested => &[
                ("source_surface", Surface),
                ("include_operations", Boolean),
                ("include_pii", Boolean),
            ],
        }
    }

    /// What it can be about.
    pub const fn subject_types(self) -> &'static [SubjectType] {
        match self {
            Self::OnboardingCheckpoint => &[SubjectType::OnboardingSession],
            Self::DiagnosticsOpened => &[SubjectType::Tenant, SubjectType::OperationRun],
            Self::OperationStarted => &[SubjectType::OperationRun],
            Self::ReportCreated => &[SubjectType::StoredReport],
            Self::ReviewPackRequested => &[SubjectType::ReviewPack],
        }
    }
}

/// An event as its source tells it, not checked yet.
#[derive(Debug, Clone, PartialEq)]
pub struct UsageDraft {
    /// What happened.
    pub event: UsageEvent,
    /// The customer's workspace.
    pub workspace_id: Option<i64>,
    /// The tenant.
    pub tenant_id: Option<i64>,
    /// The customer who did it.
    pub user_id: Option<i64>,
    /// What it is about.
    pub subject_type: SubjectType,
    /// Its id.
    pub subject_id: String,
    /// What else is told.
    pub metadata: Value,
    /// When.
    pub occurred_at: DateTime<Utc>,
}

/// An event that keeps every rule; [`UsageDraft::check`] is the only way to one.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedUsage {
    workspace_id: i64,
    tenant_id: i64,
    user_id: i64,
    draft: UsageDraft,
}

impl CheckedUsage {
    /// Workspace, tenant and customer.
    pub fn owner(&self) -> (i64, i64, i64) {
        (self.workspace_id, self.tenant_id, self.user_id)
    }

    /// Everything else that it tells.
    pub fn told(&self) -> &UsageDraft {
        &self.draft
    }
}

impl UsageDraft {
    /// Holds it against every rule, at the moment `now`.
    ///
    /// # Errors
    /// *Usage*, with the rule that it breaks.
    pub fn check(self, now: DateTime<Utc>) -> Result<CheckedUsage> {
        match self.owner_and_rules(now) {
            Ok((workspace_id, tenant_id, user_id)) => {
                Ok(CheckedUsage { workspace_id, tenant_id, user_id, draft: self })
            }
            Err(rule) => Err(Error::usage(format!("{} is not recorded: {rule}", self.event))),
        }
    }

    fn owner_and_rules(&self, now: DateTime<Utc>) -> Result<(i64, i64, i64), String> {
        let needed = |id: Option<i64>, what| id.ok_or_else(|| format!("it needs {what}"));
        let owner = (
            needed(self.workspace_id, "a workspace")?,
            needed(self.tenant_id, "a tenant")?,
            needed(self.user_id, "a customer who did it")?,
        );
        if !self.event.subject_types().contains(&self.subject_type) {
            return Err(format!("its subject cannot be {}", self.subject_type));
        }
        token("the subject", &self.subject_id)?;
        not_ahead("its time", self.occurred_at, now)?;
        let facts = self.metadata.as_object().ok_or("its metadata is not an object")?;
        for (key, value) in facts {
            let known = self.event.keys().iter().find(|(name, _)| name == key);
            let Some((name, kind)) = known else {
                let keys: Vec<_> = self.event.keys().iter().map(|(name, _)| *name).collect();
                let keys = keys.join(", ");
                return Err(format!("it has no key {}; its keys are {keys}", quoted(key)));
            };
            kind.check(name, value, now)?;
        }
        Ok(owner)
    }
}

impl ValueKind {
    fn check(self, key: &str, value: &Value, now: DateTime<Utc>) -> Result<(), String> {
        match (self, value) {
            (_, Value::Object(_) | Value::Array(_)) => {
                Err(format!("{key} is nested, and only plain values are kept"))
            }
            // Also what is left of a number that is none.
            (_, Value::Null) => Err(format!("{key} has no value")),
            (_, Value::Number(number)) if !number.is_i64() => {
                Err(format!("{key} is not a whole number"))
            }
            (Self::Token, Value::Number(_)) | (Self::Boolean, Value::Bool(_)) => Ok(()),
            (Self::Token, Value::String(text)) => token(key, text),
            (Self::Surface, Value::String(text)) => {
                token(key, text)?;
                text.parse::<SourceSurface>().map(drop).map_err(|_| {
                    let known: Vec<_> = SourceSurface::ALL.iter().map(|s| s.as_str()).collect();
                    format!("{key} is one of {}", known.join(", "))
                })
            }
            (Self::Timestamp, Value::String(text)) => {
                token(key, text)?;
                let at = DateTime::parse_from_rfc3339(text)
                    .map_err(|_| format!("{key} is not a moment like 2026-11-20T12:00:00Z"))?;
                not_ahead(key, at.with_timezone(&Utc), now)
            }
            (Self::Boolean, _) => Err(format!("{key} is neither true nor false")),
            (Self::Token | Self::Surface | Self::Timestamp, _) => {
                Err(format!("{key} is not a machine token"))
            }
        }
    }
}

/// A machine token: ids, codes and times; never an address, never a sentence.
fn token(what: &str, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("{what} is empty"));
    }
    if text.chars().count() > MAX_TOKEN {
        return Err(format!("{what} has more than {MAX_TOKEN} characters"));
    }
    if text.contains('@') {
        return Err(format!("{what} holds an @, as an e-mail address would"));
    }
    if text.chars().all(|c| c.is_ascii_alphanumeric() || "._:+/-".contains(c)) {
        return Ok(());
    }
    Err(format!("{what} is free text; a machine token has letters, digits and . _ : + / - only"))
}

fn not_ahead(what: &str, at: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), String> {
    if at <= now + MAX_AHEAD {
        return Ok(());
    }
    Err(format!("{what} is more than {} minutes in the future", MAX_AHEAD.num_minutes()))
}
