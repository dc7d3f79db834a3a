//! Product telemetry: the recorder, the summary, and the counts that the summary stands on.

pub(in crate::ops) mod record;
mod rollups;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

pub(in crate::ops) use rollups::whole_platform;
pub use rollups::{CheckRollups, Checked, Difference, FoldRollups, RebuildRollups};

use super::dashboard::{DASHBOARD, window_of};
use super::store::usage::{self, StepCount};
use super::store::{Tx, retention, together};
use super::{Access, Context, Operation};
use crate::Result;
use crate::access::{Requirement, ViewScope};
use crate::domain::telemetry::UsageEvent;
use crate::domain::window::{Bucket, Pieces, Span, Step, Window};

/// What stands where a number would be, had its events not been pruned.
pub const NOT_KEPT: &str = "not kept";

/// Sums up what customers used in a window, and in the window before it. Aggregates only: no
/// names, no ids, no single events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summarise {
    /// How far back; what the person chose last where absent.
    pub window: Option<Window>,
}

/// A window as it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WindowSpan {
    /// Which window.
    pub key: Window,
    /// What a person reads.
    pub label: &'static str,
    /// Its first moment.
    pub start_at: DateTime<Utc>,
    /// Its last moment.
    pub end_at: DateTime<Utc>,
}

/// One kind of event in a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Family {
    /// The event's name.
    pub event: UsageEvent,
    /// The area of the product.
    pub area: &'static str,
    /// What a person reads.
    pub label: &'static str,
    /// How many events; none: not kept.
    pub count: Option<i64>,
    /// How many there were in the window before; none: not kept, or not all of them.
    pub previous: Option<i64>,
    /// How many in each piece of the window, as [`Summary::buckets`] cuts it; none: not kept.
    pub trend: Vec<Option<i64>>,
}

/// The same numbers of the window before; none where not all of its events are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Previous {
    /// Its first moment.
    pub start_at: DateTime<Utc>,
    /// Where it ends: the first moment of the window.
    pub end_at: DateTime<Utc>,
    /// How many workspaces had an event.
    pub active_workspaces: Option<i64>,
    /// How many events.
    pub total_events: Option<i64>,
}

/// What customers used. Events that were pruned are not counted as zero: where there is nothing
/// left of a window, or of a piece of it, that was kept only in part, there is no number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The window.
    pub window: WindowSpan,
    /// When it was looked at.
    pub as_of: DateTime<Utc>,
    /// From when on no event is missing because it was pruned; none: none was.
    pub kept_from: Option<DateTime<Utc>>,
    /// How many workspaces had an event; none: not kept.
    pub active_workspaces: Option<i64>,
    /// How many events; none: not kept.
    pub total_events: Option<i64>,
    /// All five kinds, also those without an event.
    pub families: Vec<Family>,
    /// The window before.
    pub previous: Previous,
    /// How the trend is cut, oldest first; the first and the last piece are cut by the window.
    pub buckets: Vec<Bucket>,
}

impl Summary {
    /// The whole in one sentence, also where there is nothing.
    pub fn sentence(&self) -> String {
        let label = self.window.label;
        let sentence = match self.total_events {
            None => format!("Telemetry of {label} is {NOT_KEPT}"),
            Some(0) => return format!("No telemetry recorded in {label}."),
            Some(1) => format!("1 event in {label}"),
            Some(n) => format!("{n} events in {label}"),
        };
        match (self.missing_before(), self.total_events) {
            (None, _) => sentence,
            (Some(at), None) => format!("{sentence} before {}.", minute(at)),
            (Some(at), Some(_)) => format!("{sentence}; {NOT_KEPT} before {}", minute(at)),
        }
    }

    /// The moment in the window before which events are not kept; none: all are.
    pub fn missing_before(&self) -> Option<DateTime<Utc>> {
        self.kept_from.filter(|kept| self.window.start_at < *kept)
    }

    /// Whether there is an event in the window.
    pub fn has_events(&self) -> bool {
        self.total_events.is_some_and(|events| events > 0)
    }
}

fn minute(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

impl Operation for Summarise {
    const NAME: &'static str = "telemetry.summary";
    const REQUIREMENT: Requirement = DASHBOARD;
    const ACCESS: Access = Access::Read;
    type Output = Summary;

    async fn execute(self, context: &mut Context) -> Result<Summary> {
        let window = window_of(context, self.window);
        let (now, view) = (context.now(), context.permit().scope());
        let tx = context.tx()?;
        summarise(tx, window, now, view).await
    }
}

/// Sums up a window in a transaction.
pub(super) async fn summarise(
    tx: &mut Tx,
    window: Window,
    now: DateTime<Utc>,
    view: ViewScope,
) -> Result<Summary> {
    let (current, before) = (window.ending(now), window.before(now));
    let step = window.step();
    let (earlier, later) = (pieces(before, step, view), pieces(current, step, view));
    let four = |[a, b]: [Span; 2], [c, d]: [Span; 2]| [a, b, c, d];
    let ledger = four(earlier.single, later.single);
    let hours = four(earlier.hours, later.hours);
    let days = [earlier.days, later.days];
    let whole_days = days.iter().all(|range| range.from < range.until);
    let (mut rows, of_hours, of_days, active, kept_from) = together!(
        tx,
        |tx| usage::count_ledger(tx, view, step, ledger),
        |tx| async {
            let counted = hours.iter().any(|range| range.from < range.until);
            if counted { usage::count_hours(tx, step, hours).await } else { Ok(Vec::new()) }
        },
        |tx| async {
            if whole_days { usage::count_days(tx, view, days).await } else { Ok(Vec::new()) }
        },
        |tx| usage::count_active(tx, view, [before, current], whole_days.then_some(days)),
        |tx| retention::usage_kept_from(tx),
    )?;
    rows.extend(of_hours);
    rows.extend(of_days);
    Ok(sum_up(window, now, &rows, active, kept_from))
}

/// What of a range is counted already: of all workspaces hours and days, of some only days.
fn pieces(range: Span, step: Step, view: ViewScope) -> Pieces {
    match view {
        ViewScope::All => Pieces::of_hours_and_days(range, step),
        ViewScope::Restricted { .. } => Pieces::of_days(range, step),
    }
}

/// What was counted of one kind.
#[derive(Debug, Clone, Default)]
struct Counted {
    count: i64,
    previous: i64,
    trend: Vec<i64>,
}

/// A number, unless it is nothing and some of what it counts was pruned.
fn unless_pruned(count: i64, whole: bool) -> Option<i64> {
    (whole || count > 0).then_some(count)
}

fn sum_up(
    window: Window,
    now: DateTime<Utc>,
    rows: &[StepCount],
    (active_before, active): (i64, i64),
    kept_from: Option<DateTime<Utc>>,
) -> Summary {
    let buckets = window.buckets(now);
    let nothing = Counted { trend: vec![0; buckets.len()], ..Counted::default() };
    let mut counted: BTreeMap<UsageEvent, Counted> =
        UsageEvent::ALL.iter().map(|event| (*event, nothing.clone())).collect();
    for row in rows {
        // The database takes no other name.
        let Some(family) = row.event_name.parse().ok().and_then(|e| counted.get_mut(&e)) else {
            continue;
        };
        // The first two parts are of the window before.
        if row.part < 2 {
            family.previous += row.events;
            continue;
        }
        family.count += row.events;
        let bucket = window.bucket_of(now, row.step).and_then(|at| family.trend.get_mut(at));
        if let Some(bucket) = bucket {
            *bucket += row.events;
        }
    }
    let (current, before) = (window.ending(now), window.before(now));
    let kept = |from: DateTime<Utc>| kept_from.is_none_or(|kept| kept <= from);
    let (whole, whole_before) = (kept(current.from), kept(before.from));
    let total: i64 = counted.values().map(|of| of.count).sum();
    let total_before: i64 = counted.values().map(|of| of.previous).sum();
    let families = counted
        .into_iter()
        .map(|(event, of)| Family {
            event,
            area: event.area(),
            label: event.label(),
            count: unless_pruned(of.count, whole),
            previous: whole_before.then_some(of.previous),
            trend: of
                .trend
                .iter()
                .zip(&buckets)
                .map(|(count, bucket)| unless_pruned(*count, kept(bucket.start_at)))
                .collect(),
        })
        .collect();
    Summary {
        window: WindowSpan {
            key: window,
            label: window.label(),
            start_at: current.from,
            end_at: now,
        },
        as_of: now,
        kept_from,
        active_workspaces: unless_pruned(active, whole),
        total_events: unless_pruned(total, whole),
        previous: Previous {
            start_at: before.from,
            end_at: before.until,
            active_workspaces: whole_before.then_some(active_before),
            total_events: whole_before.then_some(total_before),
        },
        families,
        buckets,
    }
}
