//! Product telemetry: the recorder, the summary, and the counts that the summary stands on.

pub(in crate::ops) mod record;
mod rollups;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

pub(in crate::ops) use rollups::whole_platform;
pub use rollups::{CheckRollups, Checked, Difference, FoldRollups, RebuildRollups};

use super::dashboard::{DASHBOARD, window_of};
use super::store::Tx;
use super::store::usage::{self, StepCount};
use super::{Access, Context, Operation};
use crate::Result;
use crate::access::{Requirement, ViewScope};
use crate::domain::telemetry::UsageEvent;
use crate::domain::window::{Bucket, Pieces, Span, Step, Window};

/// Sums up what customers used in a window, and in the window before it. Aggregates only: no
/// names, no ids, no single events.
#[derive(Debug, Clone, Copy, Default)]
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
    /// How many events.
    pub count: i64,
    /// How many there were in the window before.
    pub previous: i64,
    /// How many in each piece of the window, as [`Summary::buckets`] cuts it.
    pub trend: Vec<i64>,
}

/// The same numbers of the window before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Previous {
    /// Its first moment.
    pub start_at: DateTime<Utc>,
    /// Where it ends: the first moment of the window.
    pub end_at: DateTime<Utc>,
    /// How many workspaces had an event.
    pub active_workspaces: i64,
    /// How many events.
    pub total_events: i64,
}

/// What customers used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The window.
    pub window: WindowSpan,
    /// When it was looked at.
    pub as_of: DateTime<Utc>,
    /// How many workspaces had an event.
    pub active_workspaces: i64,
    /// How many events.
    pub total_events: i64,
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
        match self.total_events {
            0 => format!("No telemetry recorded in {label}."),
            1 => format!("1 event in {label}"),
            n => format!("{n} events in {label}"),
        }
    }
}

impl Operation for Summarise {
    const NAME: &'static str = "telemetry.summary";
    const REQUIREMENT: Requirement = DASHBOARD;
    const ACCESS: Access = Access::Read;
    type Output = Summary;

    async fn execute(self, context: &mut Context) -> Result<Summary> {
        let window = window_of(context, self.window).await?;
        let (now, view) = (context.now(), context.permit().scope());
        let tx = context.tx()?;
        tx.without_helpers().await?;
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
    let mut rows = usage::count_ledger(tx, view, step, ledger).await?;
    if hours.iter().any(|range| range.from < range.until) {
        rows.extend(usage::count_hours(tx, step, hours).await?);
    }
    let whole_days = days.iter().all(|range| range.from < range.until);
    if whole_days {
        rows.extend(usage::count_days(tx, view, days).await?);
    }
    let active =
        usage::count_active(tx, view, [before, current], whole_days.then_some(days)).await?;
    Ok(sum_up(window, now, &rows, active))
}

/// What of a range is counted already: of all workspaces hours and days, of some only days.
fn pieces(range: Span, step: Step, view: ViewScope) -> Pieces {
    match view {
        ViewScope::All => Pieces::of_hours_and_days(range, step),
        ViewScope::Restricted { .. } => Pieces::of_days(range, step),
    }
}

fn sum_up(
    window: Window,
    now: DateTime<Utc>,
    rows: &[StepCount],
    (active_before, active): (i64, i64),
) -> Summary {
    let buckets = window.buckets(now);
    let mut families: BTreeMap<UsageEvent, Family> = UsageEvent::ALL
        .iter()
        .map(|event| {
            let family = Family {
                event: *event,
                area: event.area(),
                label: event.label(),
                count: 0,
                previous: 0,
                trend: vec![0; buckets.len()],
            };
            (*event, family)
        })
        .collect();
    for row in rows {
        // The database takes no other name.
        let Some(family) = row.event_name.parse().ok().and_then(|e| families.get_mut(&e)) else {
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
    let families: Vec<Family> = families.into_values().collect();
    let (current, before) = (window.ending(now), window.before(now));
    Summary {
        window: WindowSpan {
            key: window,
            label: window.label(),
            start_at: current.from,
            end_at: now,
        },
        as_of: now,
        active_workspaces: active,
        total_events: families.iter().map(|family| family.count).sum(),
        previous: Previous {
            start_at: before.from,
            end_at: before.until,
            active_workspaces: active_before,
            total_events: families.iter().map(|family| family.previous).sum(),
        },
        families,
        buckets,
    }
}
