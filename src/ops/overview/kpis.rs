//! What runs did in a window, against the window before it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::in_window;
use crate::Result;
use crate::access::ViewScope;
use crate::domain::kept::Data;
use crate::domain::run::RunOutcome;
use crate::domain::run_filter::{RunFilter, StatusWord};
use crate::domain::window::{Bucket, Pieces, Span, Window};
use crate::ops::store::run_counts::{self, StepCount, TookCount};
use crate::ops::store::{Tx, retention, run_list, together};

/// Up to so many runs their durations are read one by one; above, from the counts that are kept.
pub(super) const EXACT_DURATIONS: i64 = 2_000;
/// Active runs are counted up to this many.
const ACTIVE_BOUND: i64 = 1_000_000;
/// The percentiles of durations.
const PERCENTS: [i64; 2] = [50, 95];

/// How many runs of a window are in which state, by their outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RunFigures {
    /// Created in the window.
    pub started: i64,
    /// Of these, still to end.
    pub pending: i64,
    /// Of these, ended well.
    pub succeeded: i64,
    /// Of these, ended partly well.
    pub partially_succeeded: i64,
    /// Of these, ended badly.
    pub failed: i64,
    /// Of these, ended before anything was attempted.
    pub blocked: i64,
    /// Of these, ended by a cancel.
    pub cancelled: i64,
    /// The median duration of those that succeeded, partly or wholly, or failed; none without any.
    pub median: Option<DurationFigure>,
    /// The duration that 95 % of them did not exceed.
    pub p95: Option<DurationFigure>,
}

impl RunFigures {
    /// How many have ended.
    pub fn ended(&self) -> i64 {
        self.started - self.pending
    }

    /// How many have a duration.
    pub fn timed(&self) -> i64 {
        self.succeeded + self.partially_succeeded + self.failed
    }

    /// The share of the ended ones that succeeded, 0 to 1; none without any.
    pub fn success_rate(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        (self.ended() > 0).then(|| self.succeeded as f64 / self.ended() as f64)
    }

    fn add(&mut self, outcome: &str, runs: i64) {
        self.started += runs;
        // The database takes no other word.
        match outcome.parse() {
            Ok(RunOutcome::Pending) | Err(_) => self.pending += runs,
            Ok(RunOutcome::Succeeded) => self.succeeded += runs,
            Ok(RunOutcome::PartiallySucceeded) => self.partially_succeeded += runs,
            Ok(RunOutcome::Failed) => self.failed += runs,
            Ok(RunOutcome::Blocked) => self.blocked += runs,
            Ok(RunOutcome::Cancelled) => self.cancelled += runs,
        }
    }
}

/// How long runs took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DurationFigure {
    /// In milliseconds.
    pub milliseconds: i64,
    /// Whether it is read from steps of about 9 %, and so may be off by half of that.
    pub approximate: bool,
}

/// How many runs were created in each piece of the window, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RunTrend {
    /// How the window is cut; the first and the last piece are cut by the window.
    pub buckets: Vec<Bucket>,
    /// Created.
    pub started: Vec<i64>,
    /// Of these, failed.
    pub failed: Vec<i64>,
}

/// What runs did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunKpis {
    /// In the window.
    pub current: RunFigures,
    /// In the window before.
    pub previous: RunFigures,
    /// The window before.
    pub previous_start_at: DateTime<Utc>,
    /// From when on no run is missing because it was pruned; none: none was.
    pub kept_from: Option<DateTime<Utc>>,
    /// Queued or running now, whenever they were created.
    pub active: i64,
    /// Running now under a lease that ran out.
    pub stuck: i64,
    /// Queued now for too long.
    pub stale: i64,
    /// Over the window.
    pub trend: RunTrend,
    /// The window, for filters.
    #[serde(skip)]
    pub span: Span,
}

impl RunKpis {
    /// The moment in the window before which ended runs are not kept; none: all are.
    pub fn missing_before(&self) -> Option<DateTime<Utc>> {
        self.kept_from.filter(|kept| self.span.from < *kept)
    }

    /// The same of this window or the one before.
    pub fn compared_from(&self) -> Option<DateTime<Utc>> {
        self.kept_from.filter(|_| self.before().is_none())
    }

    /// A number of the window; none where nothing is left of it and some of what it counts was pruned.
    pub fn now(&self, number: fn(&RunFigures) -> i64) -> Option<i64> {
        let number = number(&self.current);
        (number > 0 || self.missing_before().is_none()).then_some(number)
    }

    /// A number of a piece of the trend; none where nothing is left of it and some of it was pruned.
    pub fn of_piece(&self, piece: &Bucket, number: i64) -> Option<i64> {
        let whole = self.kept_from.is_none_or(|kept| kept <= piece.start_at);
        (number > 0 || whole).then_some(number)
    }

    /// The window before; none where it is not kept whole.
    pub fn before(&self) -> Option<&RunFigures> {
        let whole = self.kept_from.is_none_or(|kept| kept <= self.previous_start_at);
        whole.then_some(&self.previous)
    }

    /// The runs of the window in one of these states; all of them where none is named.
    pub fn filter(&self, words: &[StatusWord]) -> RunFilter {
        in_window(words, self.span)
    }

    /// The runs whose durations are summed up.
    pub fn timed_filter(&self) -> RunFilter {
        self.filter(&[StatusWord::Succeeded, StatusWord::Partial, StatusWord::Failed])
    }

    /// The runs that are in a state now, whenever they were created.
    pub fn now_filter(word: StatusWord) -> RunFilter {
        let kind = crate::domain::run_filter::TermKind::Status(vec![word]);
        RunFilter { terms: vec![super::term(kind)] }
    }
}

/// Counts the runs of the window `[current, before]`.
pub(super) async fn read(
    tx: &mut Tx,
    view: ViewScope,
    window: Window,
    now: DateTime<Utc>,
    [current, before]: [Span; 2],
) -> Result<RunKpis> {
    let step = window.step();
    let ((mut counts, took), active, steps, held, kept) = together!(
        tx,
        |tx| async {
            match view {
                ViewScope::All => {
                    let pieces =
                        [before, current].map(|range| Pieces::of_hours_and_days(range, step));
                    run_counts::ended(tx, step, pieces).await
                }
                ViewScope::Restricted { platform_user_id } => {
                    let all = run_counts::of_view(tx, platform_user_id, step, [before, current]);
                    Ok((all.await?, Vec::new()))
                }
            }
        },
        |tx| async {
            match view {
                ViewScope::All => run_counts::active(tx, step, [before, current]).await,
                // They are among all of its runs.
                ViewScope::Restricted { .. } => Ok(Vec::new()),
            }
        },
        |tx| run_counts::duration_steps(tx),
        |tx| run_list::counts(tx, view, now, ACTIVE_BOUND),
        |tx| retention::kept(tx, Data::Runs),
    )?;
    counts.extend(active);
    let mut kpis = sum_up(window, [current, before], &counts);
    durations(tx, view, &mut kpis, [current, before], (&took, &steps)).await?;
    kpis.kept_from = kept.map(|kept| kept.kept_from);
    kpis.active = held.active;
    kpis.stuck = held.stuck;
    kpis.stale = held.stale;
    Ok(kpis)
}

fn sum_up(window: Window, [current, before]: [Span; 2], counts: &[StepCount]) -> RunKpis {
    let buckets = window.buckets(current.until);
    let mut kpis = RunKpis {
        current: RunFigures::default(),
        previous: RunFigures::default(),
        previous_start_at: before.from,
        kept_from: None,
        active: 0,
        stuck: 0,
        stale: 0,
        trend: RunTrend {
            started: vec![0; buckets.len()],
            failed: vec![0; buckets.len()],
            buckets,
        },
        span: current,
    };
    for row in counts {
        if row.part == 0 {
            kpis.previous.add(&row.outcome, row.runs);
            continue;
        }
        kpis.current.add(&row.outcome, row.runs);
        let Some(at) = window.bucket_of(current.until, row.step) else { continue };
        let add = |list: &mut Vec<i64>| {
            if let Some(bucket) = list.get_mut(at) {
                *bucket += row.runs;
            }
        };
        add(&mut kpis.trend.started);
        if row.outcome == RunOutcome::Failed.as_str() {
            add(&mut kpis.trend.failed);
        }
    }
    kpis
}

/// Gives median and 95th percentile of both windows: read one by one where that is little or where
/// nothing else is kept, from counts by steps elsewhere.
async fn durations(
    tx: &mut Tx,
    view: ViewScope,
    kpis: &mut RunKpis,
    [current, before]: [Span; 2],
    (took, steps): (&[TookCount], &[i64]),
) -> Result<()> {
    let read = |figures: &RunFigures| {
        let exact = view != ViewScope::All || figures.timed() <= EXACT_DURATIONS;
        exact && figures.timed() > 0
    };
    let (of_before, of_current) = (read(&kpis.previous), read(&kpis.current));
    let (exact_before, exact_current) =
        together!(tx, |tx| exactly(tx, view, before, of_before), |tx| exactly(
            tx, view, current, of_current
        ),)?;
    let both = [(&mut kpis.previous, exact_before, 0), (&mut kpis.current, exact_current, 1)];
    for (figures, exact, part) in both {
        let found = match exact {
            Some(found) => found,
            None if figures.timed() == 0 => continue,
            None => {
                let took: Vec<TookCount> =
                    took.iter().copied().filter(|row| row.part == part).collect();
                PERCENTS.iter().filter_map(|percent| of_steps(&took, steps, *percent)).collect()
            }
        };
        figures.median = found.first().copied();
        figures.p95 = found.last().copied();
    }
    Ok(())
}

async fn exactly(
    tx: &mut Tx,
    view: ViewScope,
    span: Span,
    wanted: bool,
) -> Result<Option<Vec<DurationFigure>>> {
    if !wanted {
        return Ok(None);
    }
    let exact = run_counts::exact_percentiles(tx, view, span, PERCENTS).await?;
    let figure = |milliseconds| DurationFigure { milliseconds, approximate: false };
    Ok(Some(exact.into_iter().map(figure).collect()))
}

/// The percentile by nearest rank, in the middle of the step that it lies in.
fn of_steps(took: &[TookCount], steps: &[i64], percent: i64) -> Option<DurationFigure> {
    let mut by_step: BTreeMap<i64, i64> = BTreeMap::new();
    for row in took {
        *by_step.entry(row.took).or_default() += row.runs;
    }
    let total: i64 = by_step.values().sum();
    let rank = (total * percent + 99) / 100;
    let mut seen = 0;
    for (step, runs) in by_step {
        seen += runs;
        if seen >= rank && runs > 0 {
            let at = usize::try_from(step - 1).ok()?;
            let from = *steps.get(at)?;
            let until = steps.get(at + 1).copied().unwrap_or(from + 1);
            // Steps hold whole milliseconds: the last one of it is one below the next step.
            let milliseconds = (from + until - 1) / 2;
            return Some(DurationFigure { milliseconds, approximate: true });
        }
    }
    None
}
