//! What has to hold after every round, whatever was killed in it.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde_json::Value;
use tenantpilot::ops::Engine;
use tenantpilot::ops::runs::{START_LIMIT, TAKEOVER_LIMIT};

use super::arena::Arena;
use super::figures::Figures;

/// One run as it ended.
#[derive(sqlx::FromRow)]
struct Run {
    id: i64,
    status: String,
    outcome: String,
    stop_reason: Option<String>,
    platform_user_id: Option<i64>,
    identity_hash: String,
    counts: String,
    context: String,
    target_count: i64,
    takeovers: i64,
    audit_gaps: i64,
    lease_owner: Option<String>,
    created_at: DateTime<Utc>,
    completed_at: Option<DateTime<Utc>>,
    audits: i64,
    notifications: i64,
    alerts: i64,
    leases: i64,
}

/// One target, with what the ledger and the failures say of it.
#[derive(sqlx::FromRow)]
struct Target {
    run_id: i64,
    tenant_id: i64,
    status: String,
    reason_code: Option<String>,
    starts: i64,
    steps: i64,
    items: i64,
    updated: i64,
    lines: i64,
    distinct_lines: i64,
    last_line: i64,
    failures: i64,
    failures_of_reason: i64,
    message: Option<String>,
}

/// Everything that is wrong with the runs after `base`. `stopped` are the runs that somebody
/// asked to cancel or to close.
pub async fn violations(arena: &Arena, base: i64, stopped: &HashSet<i64>) -> Vec<String> {
    let runs: Vec<Run> = arena.eyes.rows(&runs_sql(arena.engine, base)).await;
    let targets: Vec<Target> = arena.eyes.rows(&targets_sql(base)).await;
    let mut by_run: HashMap<i64, Vec<&Target>> = HashMap::new();
    for target in &targets {
        by_run.entry(target.run_id).or_default().push(target);
    }
    let mut wrong = Wrong(Vec::new());
    for run in &runs {
        let own = by_run.remove(&run.id).unwrap_or_default();
        check_run(run, &own, stopped.contains(&run.id), &mut wrong);
        let context: Value = serde_json::from_str(&run.context).unwrap_or_default();
        for target in own {
            check_target(run, target, &context["inputs"], arena.figures.kills > 0, &mut wrong);
        }
    }
    check_identities(&runs, &mut wrong);
    let stale: Vec<(i64, i64, i64, i64, i64, String)> = arena
        .eyes
        .rows(&format!(
            "select run_id, tenant_id, step, believed, fence, status from fault_ledger \
             where run_id > {base} and (believed <> fence or status <> 'running') order by id"
        ))
        .await;
    for (run_id, tenant_id, step, believed, fence, status) in stale {
        wrong.say(format!(
            "stale: step {step} of tenant {tenant_id} in run {run_id} was done under claim {believed} \
             while the run was {status} under {fence}"
        ));
    }
    wrong.0
}

/// Adds the numbers of the runs after `base` to the figures.
pub async fn count(arena: &Arena, base: i64, figures: &mut Figures) {
    let count = async |sql: &str| {
        let number = arena.eyes.number(&sql.replace("BASE", &base.to_string())).await;
        u64::try_from(number).unwrap()
    };
    figures.runs += count("select count(*) from operation_runs where id > BASE").await;
    let targets = "select count(*) from operation_run_targets where run_id > BASE";
    figures.targets += count(targets).await;
    figures.steps += count("select count(*) from fault_ledger where run_id > BASE").await;
    let failed = |reasons: &str| format!("{targets} and reason_code in ({reasons})");
    figures.step_crashed += count(&failed("'step_crashed'")).await;
    figures.too_slow += count(&failed("'timeout', 'conflict'")).await;
    let lost =
        "select count(*) from operation_runs where id > BASE and stop_reason = 'worker_lost'";
    figures.worker_lost += count(lost).await;
    figures.notifications += count("select count(*) from notifications where run_id > BASE").await;
    figures.alerts += count("select count(*) from alert_deliveries where run_id > BASE").await;
}

struct Wrong(Vec<String>);

impl Wrong {
    fn say(&mut self, text: String) {
        self.0.push(text);
    }

    fn unless(&mut self, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.say(text());
        }
    }
}

fn check_run(run: &Run, targets: &[&Target], stopped: bool, wrong: &mut Wrong) {
    let id = run.id;
    wrong.unless(run.status == "completed" && run.completed_at.is_some(), || {
        format!("lost: run {id} is {}", run.status)
    });
    wrong.unless(run.lease_owner.is_none() && run.leases == 0, || {
        format!("lease: run {id} has ended and is still held")
    });
    wrong.unless(run.audits == 1 && run.audit_gaps == 0, || {
        format!(
            "audit: the end of run {id} was audited {} times, with {} gaps",
            run.audits, run.audit_gaps
        )
    });
    let expected = i64::from(run.platform_user_id.is_some());
    wrong.unless(run.notifications == expected, || {
        format!("notification: run {id} has {} instead of {expected}", run.notifications)
    });
    let bad = ["failed", "partially_succeeded", "blocked"];
    let expected = i64::from(bad.contains(&run.outcome.as_str()));
    wrong.unless(run.alerts == expected, || {
        format!("alert: run {id}, {}, has {} instead of {expected}", run.outcome, run.alerts)
    });
    let number = |status: &str| targets.iter().filter(|t| t.status == status).count();
    let (pending, succeeded) = (number("pending"), number("succeeded"));
    let (failed, skipped) = (number("failed"), number("skipped"));
    wrong.unless(pending == 0, || format!("lost: {pending} targets of run {id} are not settled"));
    wrong.unless(i64::try_from(targets.len()).unwrap() == run.target_count, || {
        format!("lost: run {id} has {} targets, not {}", targets.len(), run.target_count)
    });
    let counts: Value = serde_json::from_str(&run.counts).unwrap_or_default();
    let sum = |of: fn(&Target) -> i64| targets.iter().map(|t| of(t)).sum::<i64>();
    let n = |count: usize| i64::try_from(count).unwrap();
    for (key, expected) in [
        ("total", n(targets.len())),
        ("processed", n(targets.len())),
        ("succeeded", n(succeeded)),
        ("failed", n(failed)),
        ("skipped", n(skipped)),
        ("tenants", n(succeeded + failed)),
        ("items", sum(|t| t.lines)),
        ("updated", sum(|t| t.lines)),
    ] {
        let shown = counts[key].as_i64();
        wrong.unless(shown == Some(expected), || {
            format!("counts: run {id} shows {key} {shown:?} instead of {expected}")
        });
    }
    let stop = run.stop_reason.as_deref();
    let outcome = match stop {
        Some("cancelled" | "closed") if skipped > 0 => "cancelled",
        _ if failed > 0 && succeeded > 0 => "partially_succeeded",
        _ if failed > 0 => "failed",
        _ => "succeeded",
    };
    wrong.unless(run.outcome == outcome, || {
        format!("outcome: run {id} is {} instead of {outcome}", run.outcome)
    });
    wrong.unless(skipped == 0 || stop.is_some(), || {
        format!("lost: run {id} left {skipped} targets undone for no reason")
    });
    let asked = match stop {
        Some("cancelled" | "closed") => stopped,
        Some("worker_lost") => run.takeovers > TAKEOVER_LIMIT,
        other => other.is_none(),
    };
    wrong.unless(asked, || format!("stop: nobody stopped run {id}, which was {stop:?}"));
}

fn check_target(run: &Run, target: &Target, inputs: &Value, killed: bool, wrong: &mut Wrong) {
    let Target { run_id, tenant_id, steps, lines, .. } = target;
    let name = format!("tenant {tenant_id} of run {run_id}");
    wrong.unless(lines == &target.distinct_lines, || {
        format!("doubled: {name} has {lines} lines for {} steps", target.distinct_lines)
    });
    wrong.unless(target.distinct_lines == *steps && target.last_line == steps - 1, || {
        format!("lost: {name} counts {steps} steps, the ledger has {}", target.distinct_lines)
    });
    wrong.unless(target.items == *steps && target.updated == *steps, || {
        format!(
            "counts: {name} did {steps} steps, and shows {} and {}",
            target.items, target.updated
        )
    });
    let named = |key: &str| {
        inputs[key].as_array().is_some_and(|ids| ids.contains(&Value::from(*tenant_id)))
    };
    let reason = target.reason_code.as_deref();
    let failures = (target.failures, target.failures_of_reason);
    if target.status == "failed" {
        wrong.unless(failures == (1, 1), || {
            format!("failure: {name} failed as {reason:?} and has {failures:?}")
        });
        let fair = match reason {
            // Only a process that died or panicked in a step makes a crash.
            Some("step_crashed") => target.starts == START_LIMIT && (killed || named("panic")),
            Some("worker_lost") => run.stop_reason.as_deref() == Some("worker_lost"),
            Some("permission_denied") => named("deny"),
            // The machine may be that slow.
            Some("timeout" | "conflict") => true,
            _ => false,
        };
        wrong.unless(fair, || {
            let said = target.message.as_deref().unwrap_or_default();
            format!("failure: {name} failed as {reason:?} after {} starts: {said}", target.starts)
        });
    } else {
        wrong.unless(failures.0 == 0, || format!("failure: {name} did not fail, and has one"));
    }
    if target.status == "succeeded" {
        wrong.unless(Some(*steps) == inputs["steps"].as_i64(), || {
            format!("lost: {name} succeeded after {steps} of {} steps", inputs["steps"])
        });
        wrong.unless(!named("deny") && !named("panic"), || format!("{name} could not succeed"));
    }
}

/// At most one active run per identity, at any time.
fn check_identities(runs: &[Run], wrong: &mut Wrong) {
    // A start may have waited for the end of the run before it.
    let slack = chrono::TimeDelta::seconds(2);
    let mut last: HashMap<&str, &Run> = HashMap::new();
    for run in runs {
        if let Some(before) = last.insert(&run.identity_hash, run) {
            let apart = before.completed_at.is_some_and(|end| run.created_at + slack >= end);
            wrong.unless(apart, || {
                format!("doubled: runs {} and {} of one identity overlap", before.id, run.id)
            });
        }
    }
}

fn runs_sql(engine: Engine, base: i64) -> String {
    let text = match engine {
        Engine::Postgres => "::text",
        Engine::Sqlite => "",
    };
    format!(
        "select r.id, r.status, r.outcome, r.stop_reason, r.platform_user_id, r.identity_hash, \
         r.summary_counts{text} as counts, r.context{text} as context, r.target_count, r.takeovers, \
         r.audit_gaps, r.lease_owner, r.created_at, r.completed_at, \
         (select count(*) from audit_logs a where a.run_id = r.id and a.action = 'runs.complete') as audits, \
         (select count(*) from notifications n where n.run_id = r.id) as notifications, \
         (select count(*) from alert_deliveries d where d.run_id = r.id \
         and d.event <> 'operations.run.recovered') as alerts, \
         (select count(*) from operation_run_leases l where l.run_id = r.id) as leases \
         from operation_runs r where r.id > {base} order by r.id"
    )
}

fn targets_sql(base: i64) -> String {
    format!(
        "select g.run_id, g.tenant_id, g.status, g.reason_code, g.starts, g.steps, g.items, g.updated, \
         coalesce(l.lines, 0) as lines, coalesce(l.distinct_lines, 0) as distinct_lines, \
         coalesce(l.last_line, -1) as last_line, \
         (select count(*) from operation_run_failures f where f.run_id = g.run_id \
         and f.tenant_id = g.tenant_id) as failures, \
         (select count(*) from operation_run_failures f where f.run_id = g.run_id \
         and f.tenant_id = g.tenant_id and f.reason_code = g.reason_code) as failures_of_reason, \
         (select max(f.message) from operation_run_failures f where f.run_id = g.run_id \
         and f.tenant_id = g.tenant_id) as message \
         from operation_run_targets g left join (select run_id, tenant_id, count(*) as lines, \
         count(distinct step) as distinct_lines, max(step) as last_line from fault_ledger \
         where run_id > {base} group by run_id, tenant_id) l \
         on l.run_id = g.run_id and l.tenant_id = g.tenant_id where g.run_id > {base} \
         order by g.run_id, g.ordinal"
    )
}
