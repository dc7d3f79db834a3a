//! The control tower: how the platform is, what runs did in a window, what fails, and how often.

mod counts;
mod fingerprints;
mod kpis;
mod retry;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

pub use counts::{
    CheckRunCounts, FoldRunCounts, RebuildRunCounts, RunCountsChecked, RunDifference,
};
pub use fingerprints::{
    FillFingerprints, FingerprintGroup, FingerprintPage, GetFingerprint, ListFingerprints, Sample,
};
pub use kpis::{DurationFigure, RunFigures, RunKpis, RunTrend};
pub use retry::{GroupRetried, GroupRetryPlan, PlanGroupRetry, Planned, RetryGroup, Skipped};

use super::dashboard::{DASHBOARD, window_of};
use super::store::faults::Outages;
use super::store::outages::Gap;
use super::store::{Tx, alerts, faults, notifications, overview as rows, together};
use super::telemetry::{self, Summary, WindowSpan};
use super::{Access, Context, Operation};
use crate::Result;
use crate::access::{Requirement, ViewScope};
use crate::domain::clock_offset::notice;
use crate::domain::failure::ReasonCode;
use crate::domain::health::{Health, HealthFacts, HealthThresholds, NO_WORKER};
use crate::domain::run::Run;
use crate::domain::run_facts::Wait;
use crate::domain::run_filter::{IdOrName, Pattern, RunFilter, StatusWord, Term, TermKind, When};
use crate::domain::run_state::STALE_AFTER;
use crate::domain::type_support::{ActiveWorker, ActiveWorkers, Support};
use crate::domain::window::{Span, Window};
use crate::ops::runs::{active_workers, complete_with};

/// How many recent failures are shown.
const RECENT: i64 = 20;
/// So many runs are looked at for a reason of health.
const LOOKED_AT: i64 = 100_000;
/// An alert that was not tried for so long is late.
const LATE: Duration = Duration::from_secs(5 * 60);

/// Reads everything that the overview shows, in one state of the database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadOverview {
    /// How far back; what the person chose last where absent.
    pub window: Option<Window>,
}

/// What the overview shows. Runs are counted by their creation, up to the last whole second
/// before the look.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overview {
    /// The window of the runs: from its first moment on, before its last.
    pub window: WindowSpan,
    /// When it was looked at.
    pub as_of: DateTime<Utc>,
    /// How the platform is.
    pub health: Health,
    /// What runs did.
    pub runs: RunKpis,
    /// What fails most.
    pub offenders: Offenders,
    /// The newest runs that failed, wholly or in part, at most 20.
    pub recent_failures: Vec<Run>,
    /// How many notifications of the person are unread; none of an actor without an inbox.
    pub unread_notifications: Option<i64>,
    /// What customers used.
    pub usage: Summary,
}

/// What fails most in the window, at most five of each, most first. Runs that failed in part
/// count, too.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Offenders {
    /// By type of operation.
    pub types: Vec<Offender>,
    /// By tenant; runs over many tenants have none of their own.
    pub tenants: Vec<Offender>,
    /// By reason: the commonest of each run.
    pub reasons: Vec<Offender>,
}

/// One that fails.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Offender {
    /// The type, the reason code, or the tenant's name.
    pub name: String,
    /// The tenant.
    pub tenant_id: Option<i64>,
    /// What a person reads of a reason.
    pub label: Option<&'static str>,
    /// How many runs.
    pub runs: i64,
    /// Those runs.
    #[serde(serialize_with = "shown")]
    pub filter: RunFilter,
}

fn shown<S: serde::Serializer>(filter: &RunFilter, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(filter)
}

impl Operation for ReadOverview {
    const NAME: &'static str = "overview.read";
    const REQUIREMENT: Requirement = DASHBOARD;
    const ACCESS: Access = Access::Read;
    type Output = Overview;

    async fn execute(self, context: &mut Context) -> Result<Overview> {
        let window = window_of(context, self.window);
        let (now, view) = (context.now(), context.permit().scope());
        let user = context.permit().holder().map(|holder| holder.platform_user_id);
        let limits = context.settings().health;
        let tx = context.tx()?;
        let [current, before] = window.of_runs(now);
        let (runs, offenders, mut recent_failures, facts, active, usage, unread_notifications) = together!(
            tx,
            |tx| kpis::read(tx, view, window, now, [current, before]),
            |tx| offenders(tx, view, current),
            |tx| rows::recent_failures(tx, view, current, RECENT),
            |tx| facts(tx, view, current, now, &limits),
            |tx| active_workers(tx),
            |tx| telemetry::summarise(tx, window, now, view),
            |tx| async {
                match user {
                    Some(user) => notifications::unread(tx, user).await.map(Some),
                    None => Ok(None),
                }
            },
        )?;
        let facts = assess(facts, &active, &runs, current);
        complete_with(context, &active, &Outages::new(), &mut recent_failures);
        Ok(Overview {
            window: WindowSpan {
                key: window,
                label: window.label(),
                start_at: current.from,
                end_at: current.until,
            },
            as_of: now,
            health: Health::assess(&facts, &limits),
            runs,
            offenders,
            recent_failures,
            unread_notifications,
            usage,
        })
    }
}

/// The filter of runs of a window that are in one of these states.
pub fn in_window(words: &[StatusWord], window: Span) -> RunFilter {
    let mut filter = RunFilter::default();
    if !words.is_empty() {
        filter.terms.push(term(TermKind::Status(words.to_vec())));
    }
    filter.terms.push(term(TermKind::Since(When::At(window.from))));
    filter.terms.push(term(TermKind::Until(When::At(window.until))));
    filter
}

fn term(kind: TermKind) -> Term {
    Term { negated: false, kind }
}

async fn offenders(tx: &mut Tx, view: ViewScope, window: Span) -> Result<Offenders> {
    let mut offenders = Offenders::default();
    let exactly = |text: &str| vec![Pattern { text: text.to_owned(), prefix: false }];
    for row in rows::offenders(tx, view, window).await? {
        let name = row.name.unwrap_or_default();
        let (list, kind, label) = match (row.kind.as_str(), row.tenant_id) {
            ("tenant", Some(id)) => {
                (&mut offenders.tenants, TermKind::Tenant(vec![IdOrName::Id(id)]), None)
            }
            ("reason", _) => {
                let label = name.parse().ok().map(ReasonCode::label);
                (&mut offenders.reasons, TermKind::Reason(exactly(&name)), label)
            }
            _ => (&mut offenders.types, TermKind::Type(exactly(&name)), None),
        };
        let mut filter = in_window(&[StatusWord::Failed, StatusWord::Partial], window);
        filter.terms.insert(1, term(kind));
        list.push(Offender { name, tenant_id: row.tenant_id, label, runs: row.runs, filter });
    }
    Ok(offenders)
}

/// What health is judged by, beside what runs did and who works.
struct Facts {
    health: HealthFacts,
    held_up: Outages,
    waiting: Vec<rows::WaitingRow>,
}

async fn facts(
    tx: &mut Tx,
    view: ViewScope,
    window: Span,
    now: DateTime<Utc>,
    limits: &HealthThresholds,
) -> Result<Facts> {
    let (gaps, leases, held_up, waiting, alerts, late) = together!(
        tx,
        |tx| rows::gaps(tx, view, window, LOOKED_AT),
        |tx| rows::overdue_leases(tx, view, LOOKED_AT),
        |tx| faults::waiting(tx, view, now, None),
        |tx| rows::waiting(tx, view, now - STALE_AFTER, LOOKED_AT),
        |tx| super::alerts::summary(tx, view),
        |tx| alerts::count_late(tx, view, now - LATE),
    )?;
    let mut health = HealthFacts::default();
    for run in gaps {
        for (what, missing) in [
            (Gap::Audit, run.audit),
            (Gap::Notification, run.notification),
            (Gap::Alert, run.alert),
        ] {
            if missing {
                health.gaps.entry(what.noun()).or_default().push(run.run_id);
            }
        }
    }
    for lease in leases {
        let length = lease.expires_at - lease.heartbeat_at;
        let lengths = i32::try_from(limits.critical_lease_lengths).unwrap_or(i32::MAX);
        if lease.now - lease.expires_at > length * lengths {
            health.abandoned.push(lease.run_id);
        } else {
            health.overdue.push(lease.run_id);
        }
    }
    health.dead_alerts = alerts.dead;
    health.late_alerts = late;
    health.alert_error = alerts.last_error;
    Ok(Facts { health, held_up, waiting })
}

/// Adds what runs did, and what those that wait do so for.
fn assess(facts: Facts, active: &ActiveWorkers, runs: &RunKpis, window: Span) -> HealthFacts {
    let mut health = HealthFacts {
        ended: runs.current.ended(),
        failed: runs.current.failed,
        failed_filter: in_window(&[StatusWord::Failed], window),
        no_active_worker: active.workers.is_empty(),
        ..facts.health
    };
    let clock = |worker: &ActiveWorker| {
        Some((worker.name.clone(), notice(&worker.name, worker.wrong_clock?)))
    };
    health.clocks = active.workers.iter().filter_map(clock).collect();
    // The same as the list says of each.
    let mut held_up = BTreeSet::new();
    for (run_id, run) in facts.held_up {
        let support = active.support(&run.run_type);
        if Wait::for_database(run.condition, run.held, support).is_some() {
            held_up.insert(run_id);
            health.held_up.entry(run.condition).or_default().push(run_id);
        }
    }
    for row in facts.waiting.into_iter().filter(|row| !held_up.contains(&row.run_id)) {
        let support = active.support(&row.run_type);
        if row.late {
            let wait = Wait::of(support).text(&row.run_type);
            health.not_started.entry(wait).or_default().push(row.run_id);
        } else if let Some(why) = support.obstacle(&row.run_type) {
            let alone = health.no_active_worker && support == Support::NoWorker;
            let why = if alone { NO_WORKER.to_owned() } else { why };
            let waiting = health.waiting.entry(why).or_default();
            waiting.runs += 1;
            waiting.types.insert(row.run_type);
        }
    }
    health
}
