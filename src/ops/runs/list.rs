//! Lists of runs and the counts above them.

use chrono::{DateTime, Utc};

use super::basis::{active_workers, complete_with};
use crate::Result;
use crate::access::{Requirement, ViewScope};
use crate::domain::capability::Capability;
use crate::domain::kept::Data;
use crate::domain::run::Run;
use crate::domain::run_filter::{RunFilter, TermKind};
use crate::ops::store::run_list::{self, Query};
use crate::ops::store::{faults, retention, together};
use crate::ops::{Access, Context, Operation};

pub use crate::ops::store::run_list::{Cursor, Page};

/// The largest page.
const MAX_LIMIT: i64 = 1_000;
/// Counts above this are shown as "more than".
pub const COUNT_BOUND: i64 = 1_000;

/// Reads a page of the operations list, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListRuns {
    /// Conditions.
    pub filter: RunFilter,
    /// Which part.
    pub page: Page,
    /// At most this many rows; 0 means 50.
    pub limit: i64,
}

impl ListRuns {
    /// Whether it asks for rows beyond the newest ones that are held.
    pub const fn leads_beyond(&self) -> bool {
        matches!(self.page, Page::OlderThan(_) | Page::NewerThan(_) | Page::Oldest)
    }
}

/// A page of the operations list.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPage {
    /// Rows, newest first.
    pub runs: Vec<Run>,
    /// Whether there may be more in the direction of reading.
    pub more: bool,
    /// Where the next page starts, if there may be more.
    pub next: Option<Cursor>,
    /// How many rows were searched, where the filter looked at the newest part only.
    pub searched: Option<i64>,
    /// At the oldest end of a list that reaches beyond it: the moment before which ended runs are not
    /// kept.
    pub missing_before: Option<DateTime<Utc>>,
}

impl ListRuns {
    /// Whether what it asks for may lie before a moment.
    fn reaches_before(&self, at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        self.filter.terms.iter().all(|term| match term.kind {
            TermKind::Since(since) => since.resolve(now) < at,
            _ => true,
        })
    }
}

impl Operation for ListRuns {
    const NAME: &'static str = "runs.list";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::OpsView]);
    const ACCESS: Access = Access::Read;
    type Output = RunPage;

    async fn execute(self, context: &mut Context) -> Result<RunPage> {
        let limit = if self.limit <= 0 { 50 } else { self.limit.min(MAX_LIMIT) };
        let bound = context.settings().search_bound;
        let query = Query {
            filter: &self.filter,
            scope: context.permit().scope(),
            now: context.now(),
            page: self.page,
            limit,
            bound,
        };
        let (mut found, active, outages, kept) = together!(
            context.tx()?,
            |tx| run_list::page(tx, &query),
            |tx| active_workers(tx),
            |tx| faults::waiting(tx, query.scope, query.now, None),
            |tx| retention::kept(tx, Data::Runs),
        )?;
        let at_end = match self.page {
            Page::NewerThan(_) => false,
            Page::Oldest => true,
            _ => !found.more,
        };
        let missing_before = kept
            .map(|kept| kept.kept_from)
            .filter(|at| at_end && self.reaches_before(*at, query.now));
        complete_with(context, &active, &outages, &mut found.runs);
        let end = match self.page {
            Page::NewerThan(_) | Page::Oldest => found.runs.first(),
            _ => found.runs.last(),
        };
        let end = end.map(|run| Cursor { created_at: run.created_at, id: run.id });
        Ok(RunPage {
            next: if found.more { found.stopped_at.or(end) } else { None },
            more: found.more,
            searched: found.stopped_at.map(|_| bound),
            missing_before,
            runs: found.runs,
        })
    }
}

/// Counts what the head of the list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountRuns;

/// Counts of the operations list, each up to [`COUNT_BOUND`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunCounts {
    /// Queued or running.
    pub active: i64,
    /// Queued for too long.
    pub stale: i64,
    /// Running under a lease that ran out.
    pub stuck: i64,
    /// Created within 24 hours and failed.
    pub failed: i64,
    /// Runs in all; none for an actor who sees only some workspaces.
    pub total: Option<i64>,
    /// Whether `total` is an estimate.
    pub estimated: bool,
}

impl Operation for CountRuns {
    const NAME: &'static str = "runs.count";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::OpsView]);
    const ACCESS: Access = Access::Read;
    type Output = RunCounts;

    async fn execute(self, context: &mut Context) -> Result<RunCounts> {
        let scope = context.permit().scope();
        let now = context.now();
        let tx = context.tx()?;
        let (counts, (total, estimated)) =
            together!(tx, |tx| run_list::counts(tx, scope, now, COUNT_BOUND + 1), |tx| async {
                Ok::<_, crate::Error>(match scope {
                    ViewScope::All => {
                        let (total, estimated) = run_list::estimate(tx).await?;
                        (Some(total), estimated)
                    }
                    ViewScope::Restricted { .. } => (None, false),
                })
            },)?;
        Ok(RunCounts {
            active: counts.active,
            stale: counts.stale,
            stuck: counts.stuck,
            failed: counts.failed,
            total,
            estimated,
        })
    }
}
