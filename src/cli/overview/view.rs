//! The overview as text for 80 columns: the answer first, then what it rests on.

use chrono::{DateTime, TimeDelta, Utc};

use super::{WindowArgs, listing};
use crate::Result;
use crate::cli::product_usage::{changed, shown};
use crate::cli::runs::covered;
use crate::cli::{Env, Table, text};
use crate::domain::health::{HealthLevel, percentage};
use crate::domain::run::Run;
use crate::domain::run_filter::{StatusWord, TermKind};
use crate::domain::run_state::RunState;
use crate::domain::time_zone::TimeZone;
use crate::ops::overview::{DurationFigure, Offender, Overview, RunFigures, RunKpis};
use crate::ops::telemetry::NOT_KEPT;

/// How wide names are, so that a line stays within 80 columns.
const NAME: usize = 30;
const TYPE: usize = 16;
const TENANT: usize = 13;

/// Writes all of it.
///
/// # Errors
/// Where the output cannot be written.
pub fn overview(overview: &Overview, window: WindowArgs, env: &Env) -> Result<()> {
    let (out, zone) = (&env.out, env.zone());
    health(overview, env)?;
    let (from, until) = (overview.window.start_at, overview.window.end_at);
    let (from, until) = (text::time(from, zone), text::time(until, zone));
    out.line(format!("{}: {from} to {until}", overview.window.label))?;
    out.line("")?;
    runs(&overview.runs, env)?;
    offenders(overview, env)?;
    recent(&overview.recent_failures, overview.as_of, env)?;
    out.line("")?;
    out.line(format!("usage: {}", overview.usage.sentence()))?;
    if let Some(unread) = overview.unread_notifications {
        out.line(format!("notifications: {unread} unread"))?;
    }
    hints(overview, window, env);
    Ok(())
}

fn health(overview: &Overview, env: &Env) -> Result<()> {
    let (health, ascii) = (&overview.health, env.ascii());
    let word = |level: HealthLevel| format!("{} {level}", level.glyph(ascii));
    if health.reasons.is_empty() {
        return env.out.line(format!("{}: {}", word(health.level), health.sentence()));
    }
    env.out.line(word(health.level))?;
    for reason in &health.reasons {
        let lead = format!("  {} ", reason.level.glyph(ascii));
        text::wrapped(&lead, &reason.text).iter().try_for_each(|line| env.out.line(line))?;
    }
    Ok(())
}

fn runs(runs: &RunKpis, env: &Env) -> Result<()> {
    let (now, before) = (&runs.current, runs.before());
    let headings = ["RUNS", "NOW", "BEFORE", "CHANGE", "FILTER"];
    let mut table = Table::new(&headings).right(1).right(2).right(3);
    let mut figure = |what: &str, word: Option<StatusWord>, number: fn(&RunFigures) -> i64| {
        let (now, before) = (runs.now(number), before.map(number));
        table.push([
            what.to_owned(),
            shown(now),
            shown(before),
            changed(now, before),
            word.map_or_else(String::new, status),
        ]);
    };
    figure("started", None, |figures| figures.started);
    figure("to end", Some(StatusWord::Active), |figures| figures.pending);
    figure("succeeded", Some(StatusWord::Succeeded), |figures| figures.succeeded);
    figure("partial", Some(StatusWord::Partial), |figures| figures.partially_succeeded);
    figure("failed", Some(StatusWord::Failed), |figures| figures.failed);
    figure("blocked", Some(StatusWord::Blocked), |figures| figures.blocked);
    figure("cancelled", Some(StatusWord::Cancelled), |figures| figures.cancelled);
    let rate = |figures: &RunFigures| match figures.ended() {
        0 => "-".to_owned(),
        ended => percentage(figures.succeeded, ended),
    };
    let timed = "status:succeeded,partial,failed";
    let was = |of: &dyn Fn(&RunFigures) -> String| before.map_or_else(|| NOT_KEPT.to_owned(), of);
    for (what, now, before, filter) in [
        ("success rate", rate(now), was(&rate), status(StatusWord::Completed)),
        ("median", took(now.median), was(&|before| took(before.median)), timed.to_owned()),
        ("95 % within", took(now.p95), was(&|before| took(before.p95)), timed.to_owned()),
    ] {
        table.push([what.to_owned(), now, before, String::new(), filter]);
    }
    for (what, count, word) in [
        ("active*", runs.active, StatusWord::Active),
        ("stuck*", runs.stuck, StatusWord::Stuck),
        ("stale*", runs.stale, StatusWord::Stale),
    ] {
        table.push([
            what.to_owned(),
            count.to_string(),
            String::new(),
            String::new(),
            status(word),
        ]);
    }
    table.print(&env.out)?;
    env.out.line("* at this moment, whenever they were created")?;
    if let Some(at) = runs.compared_from() {
        env.out.line(format!("ended runs are {NOT_KEPT} before {}", text::time(at, env.zone())))?;
    }
    let both = [Some(now), before].into_iter().flatten();
    if both
        .flat_map(|figures| [figures.median, figures.p95])
        .flatten()
        .any(|figure| figure.approximate)
    {
        env.out.line("~ approximate: read from steps, off by at most 5 %")?;
    }
    Ok(())
}

fn status(word: StatusWord) -> String {
    format!("status:{word}")
}

/// A length of time; `~` marks an approximate one, `-` none.
fn took(figure: Option<DurationFigure>) -> String {
    figure.map_or_else(
        || "-".to_owned(),
        |figure| {
            let mark = if figure.approximate { "~" } else { "" };
            format!("{mark}{}", text::took(TimeDelta::milliseconds(figure.milliseconds)))
        },
    )
}

fn offenders(overview: &Overview, env: &Env) -> Result<()> {
    let offenders = &overview.offenders;
    env.out.line("")?;
    let lists = [
        ("type", &offenders.types),
        ("tenant", &offenders.tenants),
        ("reason", &offenders.reasons),
    ];
    if lists.iter().all(|(_, list)| list.is_empty()) {
        let kept = if overview.runs.missing_before().is_some() { " that is kept" } else { "" };
        return env.out.line(format!("no run{kept} failed, wholly or in part"));
    }
    env.out.line("what fails most, of status:failed,partial")?;
    let mut table = Table::new(&["BY", "NAME", "RUNS", "FILTER"]).right(2);
    for (kind, list) in lists {
        for one in list {
            let name = one.label.unwrap_or(&one.name);
            table.push([
                kind.to_owned(),
                text::cut(name, NAME, env.ascii()).to_string(),
                one.runs.to_string(),
                own_term(one),
            ]);
        }
    }
    table.print(&env.out)
}

/// The part of an offender's filter that is its own.
fn own_term(offender: &Offender) -> String {
    let terms = offender.filter.terms.iter().filter(|term| {
        !matches!(term.kind, TermKind::Status(_) | TermKind::Since(_) | TermKind::Until(_))
    });
    terms.map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn recent(failures: &[Run], now: DateTime<Utc>, env: &Env) -> Result<()> {
    if failures.is_empty() {
        return Ok(());
    }
    env.out.line("")?;
    let (zone, ascii) = (env.zone(), env.ascii());
    let created = text::time_heading("CREATED", zone);
    let headings = ["", "FAILED", &created, "TYPE", "TENANT", "REASON"];
    let mut table = Table::new(&headings).right(1);
    for run in failures {
        table.push([
            RunState::of(run, now).glyph(ascii).to_owned(),
            run.id.to_string(),
            moment(run.created_at, zone),
            text::cut(&run.run_type, TYPE, ascii).to_string(),
            text::cut(&covered(run), TENANT, ascii).to_string(),
            run.reason_code.clone().unwrap_or_default(),
        ]);
    }
    table.print(&env.out)
}

/// A moment of the last weeks, to the minute.
fn moment(at: DateTime<Utc>, zone: TimeZone) -> String {
    match zone {
        TimeZone::Utc => at.format("%m-%d %H:%M").to_string(),
        TimeZone::Local => at.with_timezone(&chrono::Local).format("%m-%d %H:%M %:z").to_string(),
    }
}

fn hints(overview: &Overview, window: WindowArgs, env: &Env) {
    // The filter of what is most likely looked for; the others differ in their first word.
    let example = overview.runs.filter(&[StatusWord::Failed]);
    for line in listing("list what a line counts", &example) {
        env.out.message(line);
    }
    if !overview.recent_failures.is_empty() {
        let again = window.again();
        env.out.message(format!("by what they say: tenantpilot failures list{again}"));
    }
}
