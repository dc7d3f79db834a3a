//! How the platform is: one word, with every reason for it in words.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::database_fault::Condition;
use super::run_filter::RunFilter;
use crate::text_enum;

text_enum! {
    /// One word for how the platform is.
    pub enum HealthLevel as "health" {
        /// Nothing needs anybody.
        Healthy = "healthy",
        /// Somebody should look.
        Warning = "warning",
        /// Somebody must look now.
        Critical = "critical",
    }
}

/// Why runs wait where there is no active worker at all.
pub const NO_WORKER: &str = "no active worker";

/// How many runs a filter names.
const NAMED: usize = 20;

impl HealthLevel {
    /// The glyph, or its ASCII form; always shown with the word.
    pub fn glyph(self, ascii: bool) -> &'static str {
        let (glyph, plain) = match self {
            Self::Healthy => ("●", "*"),
            Self::Warning => ("◆", "!"),
            Self::Critical => ("✗", "x"),
        };
        if ascii { plain } else { glyph }
    }
}

/// When something counts as a warning or as critical. Percentages are whole, 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthThresholds {
    /// From this share of failed runs on it is critical ...
    pub critical_failed_percent: u32,
    /// ... if so many have ended.
    pub critical_ended_runs: u32,
    /// From this share of failed runs on it is a warning.
    pub warning_failed_percent: u32,
    /// A lease that is overdue by more than so many times its length is critical.
    pub critical_lease_lengths: u32,
}

impl Default for HealthThresholds {
    fn default() -> Self {
        Self {
            critical_failed_percent: 25,
            critical_ended_runs: 20,
            warning_failed_percent: 5,
            critical_lease_lengths: 2,
        }
    }
}

/// What is held against the thresholds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HealthFacts {
    /// Ended runs of the window.
    pub ended: i64,
    /// Of these, those that failed.
    pub failed: i64,
    /// Those failed runs.
    pub failed_filter: RunFilter,
    /// Runs whose lease is overdue by more than the threshold, by number; all of them.
    pub abandoned: Vec<i64>,
    /// Runs whose lease is overdue, but not by that much; all of them.
    pub overdue: Vec<i64>,
    /// Runs that wait for the database, by number, under its condition.
    pub held_up: BTreeMap<Condition, Vec<i64>>,
    /// Runs that were not started in time, by number, under why they wait; all of them.
    pub not_started: BTreeMap<String, Vec<i64>>,
    /// Whether there is no active worker.
    pub no_active_worker: bool,
    /// Runs in the queue that nothing executes as things are, and not late yet, under why.
    pub waiting: BTreeMap<String, Waiting>,
    /// What is wrong with the clocks of workers, under their names.
    pub clocks: BTreeMap<String, String>,
    /// Alerts that were given up.
    pub dead_alerts: i64,
    /// Alerts that are still tried, after an attempt that failed or a long wait.
    pub late_alerts: i64,
    /// What the newest attempt said.
    pub alert_error: Option<String>,
    /// Runs of the window whose end could not write everything, by number, newest first, under what
    /// is missing; all of them.
    pub gaps: BTreeMap<&'static str, Vec<i64>>,
}

/// Runs in the queue that wait for the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Waiting {
    /// How many.
    pub runs: i64,
    /// Their types.
    pub types: BTreeSet<String>,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HealthReason {
    /// How bad it is.
    pub level: HealthLevel,
    /// In words, one line.
    pub text: String,
    /// The runs it is about, where it is about runs.
    #[serde(serialize_with = "as_text")]
    pub filter: Option<RunFilter>,
    /// What it is about, which stays while its numbers change.
    #[serde(skip)]
    pub topic: String,
}

/// The topic of undelivered alerts.
pub const ALERTS: &str = "alerts";

/// How the platform is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Health {
    /// The worst of the reasons; *healthy* without any.
    pub level: HealthLevel,
    /// Why, worst first.
    pub reasons: Vec<HealthReason>,
}

impl Health {
    /// The worst reason, or that there is none.
    pub fn sentence(&self) -> &str {
        self.reasons.first().map_or("nothing needs attention", |reason| &reason.text)
    }

    /// Judges what was found.
    pub fn assess(facts: &HealthFacts, limits: &HealthThresholds) -> Self {
        let mut reasons = Vec::new();
        let mut add = |level, topic: &str, text: String, filter| {
            reasons.push(HealthReason { level, text, filter, topic: topic.to_owned() });
        };
        let (warning, critical) = (HealthLevel::Warning, HealthLevel::Critical);
        // A run that waits for the database has that as its reason; an abandoned lease is critical
        // whatever the reason.
        let held_up: BTreeSet<i64> = facts.held_up.values().flatten().copied().collect();
        let abandoned = &facts.abandoned;
        let overdue: &Vec<i64> =
            &facts.overdue.iter().copied().filter(|id| !held_up.contains(id)).collect();
        let by = format!("by more than {} times its length", limits.critical_lease_lengths);
        // More than a filter can name: then all that are stuck are one reason.
        let many = abandoned.len().max(overdue.len()) > NAMED;
        if many && !abandoned.is_empty() && !overdue.is_empty() {
            let (all, worst) = (abandoned.len() + overdue.len(), abandoned.len());
            let text = format!("{all} runs: the lease has run out, of {worst} of them {by}");
            add(critical, "abandoned", text, of_ids(&[]));
        } else if !abandoned.is_empty() {
            let text = format!("{}: the lease is overdue {by}", named(abandoned));
            add(critical, "abandoned", text, of_ids(abandoned));
        }
        let share = |percent: u32| {
            facts.failed > 0 && facts.failed * 100 >= i64::from(percent) * facts.ended
        };
        let enough = facts.ended >= i64::from(limits.critical_ended_runs);
        let level = if enough && share(limits.critical_failed_percent) {
            Some((critical, limits.critical_failed_percent))
        } else if share(limits.warning_failed_percent) {
            Some((warning, limits.warning_failed_percent))
        } else {
            None
        };
        if let Some((level, percent)) = level {
            let (failed, ended) = (facts.failed, facts.ended);
            let noun = if ended == 1 { "run" } else { "runs" };
            let text = format!(
                "{failed} of {ended} ended {noun} failed ({}); the limit is {percent} %",
                percentage(failed, ended)
            );
            add(level, "failed", text, Some(facts.failed_filter.clone()));
        }
        if !overdue.is_empty() && (!many || abandoned.is_empty()) {
            let text = format!("{}: the lease has run out", named(overdue));
            add(warning, "overdue", text, of_ids(overdue));
        }
        for (condition, ids) in &facts.held_up {
            let waits = match ids.len() {
                1 => "1 run waits".to_owned(),
                n => format!("{n} runs wait"),
            };
            let filter = if ids.len() > NAMED {
                RunFilter::parse("status:running").ok()
            } else {
                of_ids(ids)
            };
            let text = format!("{waits} for the database: {}", condition.text());
            add(warning, condition.text(), text, filter);
        }
        for (why, ids) in &facts.not_started {
            let filter =
                if ids.len() > NAMED { RunFilter::parse("status:stale").ok() } else { of_ids(ids) };
            let topic = format!("late {why}");
            add(warning, &topic, format!("{} not started: {why}", named(ids)), filter);
        }
        for (why, Waiting { runs, types }) in &facts.waiting {
            let waits = match runs {
                1 => "1 queued run waits".to_owned(),
                n => format!("{n} queued runs wait"),
            };
            let types: Vec<&str> = types.iter().map(String::as_str).collect();
            let filter = format!("status:queued type:{}", types.join(","));
            add(warning, why, format!("{why}: {waits}"), RunFilter::parse(&filter).ok());
        }
        if facts.no_active_worker && !facts.waiting.contains_key(NO_WORKER) {
            // The worker's own daily work is a schedule that every installation has.
            add(warning, NO_WORKER, format!("{NO_WORKER}: the daily schedule waits"), None);
        }
        for (worker, what) in &facts.clocks {
            add(warning, worker, what.clone(), None);
        }
        let undelivered = facts.dead_alerts + facts.late_alerts;
        if undelivered > 0 {
            let (noun, verb) = if undelivered == 1 { ("alert", "is") } else { ("alerts", "are") };
            let given_up = match facts.dead_alerts {
                0 => String::new(),
                dead if dead == undelivered => ", given up".to_owned(),
                dead => format!(", {dead} of them given up"),
            };
            let why = facts.alert_error.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            let text = format!("{undelivered} {noun} {verb} not delivered{given_up}{why}");
            add(warning, ALERTS, text, None);
        }
        for (what, all) in &facts.gaps {
            let newest: Vec<i64> = all.iter().take(NAMED).copied().collect();
            let cut = if all.len() > NAMED { " (the newest 20 are listed)" } else { "" };
            let text = format!("{}: {what}s could not be written{cut}", named(all));
            add(warning, &format!("gaps {what}"), text, of_ids(&newest));
        }
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.level == critical));
        let level = reasons.first().map_or(HealthLevel::Healthy, |reason| reason.level);
        Self { level, reasons }
    }
}

/// A share in percent, with one digit behind the point: `1.0 %`. Only all are 100 %, and only
/// none are 0 %.
pub fn percentage(part: i64, whole: i64) -> String {
    if whole <= 0 {
        return "0.0 %".to_owned();
    }
    let rounded = (part.saturating_mul(2_000) / whole + 1) / 2;
    let tenths = match part {
        0 => 0,
        _ if part >= whole => rounded,
        _ => rounded.clamp(1, 999),
    };
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// `run 7`, `runs 7, 8 and 3 more`.
fn named(ids: &[i64]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<String> = ids.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = match ids.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let noun = if ids.len() == 1 { "run" } else { "runs" };
    format!("{noun} {}{more}", shown.join(", "))
}

/// These runs, as far as a filter can name them; otherwise all runs that are stuck.
fn of_ids(ids: &[i64]) -> Option<RunFilter> {
    if ids.is_empty() || ids.len() > NAMED {
        return RunFilter::parse("status:stuck").ok();
    }
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    RunFilter::parse(&format!("id:{}", ids.join(","))).ok()
}

/// A filter as it is written.
#[expect(clippy::ref_option, reason = "serde gives the field as it stands")]
fn as_text<S: serde::Serializer>(
    filter: &Option<RunFilter>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match filter {
        Some(filter) => serializer.collect_str(filter),
        None => serializer.serialize_none(),
    }
}
