//! A run before it is written: what both ways of seeding share.

use chrono::{DateTime, Utc};

use super::cast::{Cast, number};
use crate::domain::failure::ReasonCode;
use crate::domain::run::{RunOutcome, ScopeKind, Source};
use crate::domain::summary_counts::{CountKey, SummaryCounts};
use crate::ops::runs::RunScope;

/// Who starts a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starter {
    /// A customer: a position in the cast.
    Customer(usize),
    /// A platform user: a position among the accounts.
    Platform(usize),
    /// Nobody: the schedule or a deployment.
    Nobody,
}

/// One failure.
#[derive(Debug, Clone)]
pub struct Mishap {
    /// The tenant it happened at.
    pub tenant_id: Option<i64>,
    /// Why.
    pub reason: ReasonCode,
    /// What was said.
    pub message: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// A run to write.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Type.
    pub run_type: &'static str,
    /// What it covers.
    pub scope: RunScope,
    /// The position of its tenant, for a single-tenant run.
    pub tenant: Option<usize>,
    /// Who starts it.
    pub starter: Starter,
    /// Where the start comes from.
    pub source: Source,
    /// Creation.
    pub created_at: DateTime<Utc>,
    /// Claim; none for what was never claimed.
    pub started_at: Option<DateTime<Utc>>,
    /// End; none while it is active.
    pub completed_at: Option<DateTime<Utc>>,
    /// How it ended, or *pending*.
    pub outcome: RunOutcome,
    /// Why nothing was attempted, for a blocked one.
    pub blocked: Option<ReasonCode>,
    /// Items or targets in all.
    pub total: u64,
    /// Of these.
    pub succeeded: u64,
    /// Of these.
    pub failed: u64,
    /// Of these.
    pub skipped: u64,
    /// Records changed.
    pub updated: u64,
    /// Failures, oldest first.
    pub mishaps: Vec<Mishap>,
    /// Targets that failed, where there are several.
    pub failed_tenants: Vec<i64>,
}

impl Draft {
    /// The commonest reason of its failures, the first in the alphabet where two are.
    pub fn dominant(&self) -> Option<ReasonCode> {
        let count = |code: ReasonCode| self.mishaps.iter().filter(|m| m.reason == code).count();
        let mut codes: Vec<ReasonCode> = self.mishaps.iter().map(|mishap| mishap.reason).collect();
        codes.sort_by_key(|code| (std::cmp::Reverse(count(*code)), code.as_str()));
        codes.first().copied().or(self.blocked)
    }

    /// Its counts.
    pub fn counts(&self) -> SummaryCounts {
        let done = self.succeeded + self.failed + self.skipped;
        let mut counts = SummaryCounts::default()
            .with(CountKey::Total, self.total)
            .with(CountKey::Processed, done);
        let started = self.started_at.is_some() || self.completed_at.is_some();
        if started {
            counts.set(CountKey::Succeeded, self.succeeded);
            counts.set(CountKey::Failed, self.failed);
        }
        for (key, n) in [(CountKey::Skipped, self.skipped), (CountKey::Updated, self.updated)] {
            if n > 0 {
                counts.set(key, n);
            }
        }
        counts
    }

    /// Items done, failed and changed, for a run with one target.
    pub fn items(&self) -> [u64; 3] {
        [self.succeeded + self.failed, self.failed, self.updated]
    }

    /// The kind of its scope.
    pub fn kind(&self) -> ScopeKind {
        match self.scope {
            RunScope::Tenant(_) => ScopeKind::Tenant,
            RunScope::Tenants(_) => ScopeKind::Tenants,
            RunScope::Workspace(_) => ScopeKind::Workspace,
            RunScope::All => ScopeKind::All,
            RunScope::Platform => ScopeKind::Platform,
        }
    }

    /// Its targets; none stands for the platform itself.
    pub fn targets(&self, cast: &Cast) -> Vec<Option<i64>> {
        match &self.scope {
            RunScope::Tenant(id) => vec![Some(*id)],
            RunScope::Tenants(ids) => ids.iter().copied().map(Some).collect(),
            RunScope::Workspace(id) => cast.allowed_of(*id).into_iter().map(Some).collect(),
            RunScope::All => cast.all_allowed().into_iter().map(Some).collect(),
            RunScope::Platform => vec![None],
        }
    }

    /// Whether the operations that exist can make it as it is. What a platform user starts,
    /// what was cancelled, what nobody claimed and maintenance cannot: the loader writes it.
    pub fn is_playable(&self, cast: &Cast) -> bool {
        let tenant_open = self.tenant.is_none_or(|at| cast.tenants[at].archived_at.is_none());
        let single = matches!(self.scope, RunScope::Tenant(_) | RunScope::Platform);
        let claimed = self.started_at.is_some() || self.completed_at.is_none();
        tenant_open
            && single
            && claimed
            && self.outcome != RunOutcome::Cancelled
            && !matches!(self.starter, Starter::Platform(_))
            && !self.run_type.starts_with("findings.")
    }

    /// The workspace it belongs to.
    pub fn workspace_id(&self, cast: &Cast) -> Option<i64> {
        match &self.scope {
            RunScope::Workspace(id) => Some(*id),
            RunScope::Tenants(ids) => {
                let of = |id: &i64| {
                    let at = usize::try_from(*id - 1).unwrap_or(0);
                    cast.tenants.get(at).map(|tenant| tenant.workspace_id)
                };
                let first = ids.first().and_then(of);
                if ids.iter().all(|id| of(id) == first) { first } else { None }
            }
            _ => self.tenant.map(|at| cast.tenants[at].workspace_id),
        }
    }
}

/// The id that the tenant at a position has.
pub fn tenant_id(at: usize) -> i64 {
    number(at + 1)
}
