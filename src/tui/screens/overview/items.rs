//! What the cursor of the overview goes to, and the runs that stand behind it.

use crate::domain::run_filter::{RunFilter, StatusWord, Term, TermKind, When};
use crate::ops::overview::{Offender, Overview, RunKpis};

/// The runs of a trend: those that were started, or those of them that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trend {
    Started,
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offence {
    Type,
    Tenant,
    Reason,
}

/// One of the numbers of runs: those that were started in the window, how these ended and how long
/// they took, and those that are not ended now, whenever they were started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    Started,
    Pending,
    Ended,
    Succeeded,
    Partial,
    Failed,
    Blocked,
    Cancelled,
    Median,
    P95,
    Active,
    Stuck,
    Stale,
}

/// Something that the cursor goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A reason of health: what it is about.
    Reason(String),
    /// The reasons that are folded away, or that can be.
    Reasons,
    Number(Number),
    /// The greatest number of a trend.
    Peak(Trend),
    Offender(Offence, String),
    /// The failures that are folded away, or that can be.
    Failures,
    /// A recent failure: its run.
    Failure(i64),
    Unread,
}

impl Item {
    /// How many runs it counts, and their filter; none where it is no number of runs.
    pub(super) fn counts(&self, data: &Overview) -> Option<(i64, RunFilter)> {
        match self {
            Self::Number(number) => Some(number.counts(&data.runs)),
            Self::Peak(trend) => trend.peak_runs(&data.runs),
            Self::Offender(offence, name) => {
                let offender = offence.of(data).iter().find(|one| one.key() == *name)?;
                Some((offender.runs, offender.filter.clone()))
            }
            _ => None,
        }
    }
}

impl Offence {
    pub(super) fn of(self, data: &Overview) -> &[Offender] {
        match self {
            Self::Type => &data.offenders.types,
            Self::Tenant => &data.offenders.tenants,
            Self::Reason => &data.offenders.reasons,
        }
    }
}

impl Offender {
    /// What sets it apart from the others of its kind.
    pub(super) fn key(&self) -> String {
        self.tenant_id.map_or_else(|| self.name.clone(), |id| id.to_string())
    }
}

impl Number {
    fn counts(self, runs: &RunKpis) -> (i64, RunFilter) {
        let now = &runs.current;
        let (count, word) = match self {
            Self::Started => return (now.started, runs.filter(&[])),
            Self::Median | Self::P95 => return (now.timed(), runs.timed_filter()),
            Self::Active => return (runs.active, RunKpis::now_filter(StatusWord::Active)),
            Self::Stuck => return (runs.stuck, RunKpis::now_filter(StatusWord::Stuck)),
            Self::Stale => return (runs.stale, RunKpis::now_filter(StatusWord::Stale)),
            Self::Pending => (now.pending, StatusWord::Active),
            Self::Ended => (now.ended(), StatusWord::Completed),
            Self::Succeeded => (now.succeeded, StatusWord::Succeeded),
            Self::Partial => (now.partially_succeeded, StatusWord::Partial),
            Self::Failed => (now.failed, StatusWord::Failed),
            Self::Blocked => (now.blocked, StatusWord::Blocked),
            Self::Cancelled => (now.cancelled, StatusWord::Cancelled),
        };
        (count, runs.filter(&[word]))
    }
}

impl Trend {
    /// The bucket with most runs, the newest of several, and how many; none where there is no run.
    pub(super) fn peak(self, runs: &RunKpis) -> Option<(usize, i64)> {
        let most = self.of(runs).iter().copied().enumerate().max_by_key(|(_, count)| *count);
        most.filter(|(_, count)| *count > 0)
    }

    pub(super) fn of(self, runs: &RunKpis) -> &[i64] {
        match self {
            Self::Started => &runs.trend.started,
            Self::Failed => &runs.trend.failed,
        }
    }

    /// The runs of the highest bar.
    fn peak_runs(self, runs: &RunKpis) -> Option<(i64, RunFilter)> {
        let (index, most) = self.peak(runs)?;
        let bucket = runs.trend.buckets.get(index)?;
        let failed = [StatusWord::Failed];
        let mut filter = runs.filter(if self == Self::Failed { &failed } else { &[] });
        for Term { kind, .. } in &mut filter.terms {
            match kind {
                TermKind::Since(when) => *when = When::At(bucket.start_at),
                TermKind::Until(when) => *when = When::At(bucket.end_at),
                _ => {}
            }
        }
        Some((most, filter))
    }
}
