//! Operation runs: the record of one long-running action, and its parts.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::count::count;
use super::run_facts::Basis;
use super::summary_counts::SummaryCounts;
use crate::text_enum;

text_enum! {
    /// Where a run is in its life.
    pub enum RunStatus as "status" {
        /// Created, not yet claimed (or paused).
        Queued = "queued",
        /// Held by a worker.
        Running = "running",
        /// Ended, with an outcome.
        Completed = "completed",
    }
}

text_enum! {
    /// How a run ended; `pending` until it has.
    pub enum RunOutcome as "outcome" {
        /// Not ended yet.
        Pending = "pending",
        /// Everything was done (also: there was nothing to do).
        Succeeded = "succeeded",
        /// Some targets failed and some succeeded.
        PartiallySucceeded = "partially_succeeded",
        /// Some targets failed and none succeeded.
        Failed = "failed",
        /// Nothing was attempted: a precondition no longer held.
        Blocked = "blocked",
        /// A cancel left targets undone.
        Cancelled = "cancelled",
    }
}

text_enum! {
    /// Where a start came from.
    pub enum Source as "source" {
        /// The console.
        Console = "console",
        /// The command line.
        Cli = "cli",
        /// A deployment.
        DeployHook = "deploy_hook",
        /// The schedule.
        Schedule = "schedule",
        /// The customers' plane.
        Admin = "admin",
    }
}

text_enum! {
    /// What a run covers.
    pub enum ScopeKind as "scope" {
        /// One tenant; the run carries its id.
        Tenant = "tenant",
        /// Several tenants, listed.
        Tenants = "tenants",
        /// A workspace's tenants.
        Workspace = "workspace",
        /// All allowed tenants.
        All = "all",
        /// No tenant: the platform itself.
        Platform = "platform",
    }
}

text_enum! {
    /// How far one target is.
    pub enum TargetStatus as "target status" {
        /// Not done yet.
        Pending = "pending",
        /// Done.
        Succeeded = "succeeded",
        /// Failed, with a reason code.
        Failed = "failed",
        /// Left undone on purpose.
        Skipped = "skipped",
    }
}

/// One operation run as it is read: the row, with the names it refers to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// Id.
    pub id: i64,
    /// Workspace, where the run belongs to one.
    pub workspace_id: Option<i64>,
    /// That workspace's name, as stored.
    pub workspace_name: Option<String>,
    /// Tenant; none for runs over many tenants or the platform.
    pub tenant_id: Option<i64>,
    /// That tenant's name, as stored.
    pub tenant_name: Option<String>,
    /// The customer who started it.
    pub user_id: Option<i64>,
    /// The platform user who started it.
    pub platform_user_id: Option<i64>,
    /// The initiator's name at the start; none for system runs.
    pub initiator_name: Option<String>,
    /// Where the start came from.
    pub source: Source,
    /// Canonical dotted type, `policy.sync`.
    #[serde(rename = "type")]
    pub run_type: String,
    /// What it is about beside that and its tenant: the data of a `retention.prune`.
    pub subject: Option<String>,
    /// What it covers.
    pub scope: ScopeKind,
    /// Where it is in its life.
    pub status: RunStatus,
    /// How it ended.
    pub outcome: RunOutcome,
    /// The commonest reason of its failures.
    pub reason_code: Option<String>,
    /// Hash over type, scope and inputs.
    pub identity_hash: String,
    /// Counts, from the targets.
    pub summary_counts: SummaryCounts,
    /// How many targets were frozen at creation.
    pub target_count: i64,
    /// Fence: grows with every claim.
    pub fence: i64,
    /// The worker that holds it.
    pub lease_owner: Option<String>,
    /// Whether that worker's lease has run out, by the database's clock when it was read.
    pub lease_overdue: bool,
    /// Since when it is paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// Since when a cancel is asked for.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// Audit rows that could not be written.
    pub audit_gaps: i64,
    /// Whether it was started under break-glass.
    pub break_glass: bool,
    /// Creation.
    pub created_at: DateTime<Utc>,
    /// When it last became free to claim, if not at its creation.
    pub queued_at: Option<DateTime<Utc>>,
    /// First claim.
    pub started_at: Option<DateTime<Utc>>,
    /// End.
    pub completed_at: Option<DateTime<Utc>>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
    /// What the answer knows beside the row.
    #[serde(skip)]
    pub basis: Basis,
}

impl Run {
    /// Share of targets that are done, 0 to 1; none where the total is not known.
    pub fn progress(&self) -> Option<f64> {
        let total = self.summary_counts.get(super::summary_counts::CountKey::Total)?;
        let done = self.summary_counts.get(super::summary_counts::CountKey::Processed).unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "a ratio for display")]
        (total > 0).then(|| done as f64 / total as f64)
    }

    /// How long it has taken, or took; none before it started.
    pub fn took(&self, now: DateTime<Utc>) -> Option<chrono::Duration> {
        let started = self.started_at?;
        Some((self.completed_at.unwrap_or(now) - started).max(chrono::Duration::zero()))
    }

    /// Since when a queued run has been free to claim.
    pub fn waiting_since(&self) -> DateTime<Utc> {
        self.queued_at.unwrap_or(self.created_at)
    }
}

/// One tenant's share of a run, or the platform's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunTarget {
    /// Position among the run's targets, from 0.
    pub ordinal: i64,
    /// Tenant; none for a target of kind *platform*.
    pub tenant_id: Option<i64>,
    /// Its name, as stored.
    pub tenant_name: Option<String>,
    /// How far it is.
    pub status: TargetStatus,
    /// How often it was started.
    pub starts: i64,
    /// Why it failed.
    pub reason_code: Option<String>,
    /// Items done, failed ones among them.
    pub items: i64,
    /// Items that failed.
    pub failed_items: i64,
    /// Items in all, where its executor says so.
    pub item_total: Option<i64>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl RunTarget {
    /// How many of its items failed, `39 of 52 items failed`; none where no item did.
    pub fn failed_share(&self) -> Option<String> {
        let total = self.item_total.unwrap_or(self.items).max(self.failed_items);
        match (self.failed_items, total) {
            (..1, _) => None,
            (failed, total) => Some(format!("{failed} of {} failed", count(total, "item"))),
        }
    }
}

/// One failure: a stable code, a sanitised message, a tenant, a time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunFailure {
    /// Id.
    pub id: i64,
    /// Tenant, where it belongs to one.
    pub tenant_id: Option<i64>,
    /// Its name, as stored.
    pub tenant_name: Option<String>,
    /// Stable reason code.
    pub reason_code: String,
    /// Sanitised message.
    pub message: String,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
}

/// The lease of a running run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lease {
    /// The worker process.
    pub owner: String,
    /// Its name, as stored, where it is on the list of workers.
    pub worker: Option<String>,
    /// Since when it holds the run.
    pub acquired_at: DateTime<Utc>,
    /// Its last sign of life.
    pub heartbeat_at: DateTime<Utc>,
    /// When others may take over.
    pub expires_at: DateTime<Utc>,
    /// For how many whole seconds that has been so, by the database's clock; none while the
    /// lease is good.
    pub overdue_seconds: Option<i64>,
}

/// A run's inputs and other facts that a person may want to see; never a raw payload.
pub type RunContext = Value;
