//! The overview as JSON: each number of runs stands beside the filter that lists these runs.

use serde_json::{Value, json};

use crate::cli::runs;
use crate::domain::run_filter::{RunFilter, StatusWord};
use crate::domain::window::Span;
use crate::ops::overview::{Overview, RunFigures, RunKpis, in_window};

/// Everything, with the noun `overview` around it left to the caller.
pub fn overview(overview: &Overview) -> Value {
    let recent: Vec<Value> =
        overview.recent_failures.iter().map(|run| runs::as_json(run, overview.as_of)).collect();
    json!({
        "window": overview.window,
        "as_of": overview.as_of,
        "health": {
            "level": overview.health.level,
            "sentence": overview.health.sentence(),
            "reasons": overview.health.reasons,
        },
        "runs": figures(&overview.runs),
        "offenders": overview.offenders,
        "recent_failures": recent,
        "unread_notifications": overview.unread_notifications,
        "usage": overview.usage,
        "usage_sentence": overview.usage.sentence(),
    })
}

fn figures(runs: &RunKpis) -> Value {
    let (now, before) = (&runs.current, &runs.previous);
    let earlier = Span { from: runs.previous_start_at, until: runs.span.from };
    // A number of this window and of the one before.
    let both = |words: &[StatusWord], number: fn(&RunFigures) -> i64| {
        let mut value = counted(number(now), &runs.filter(words));
        value["previous"] = counted(number(before), &in_window(words, earlier));
        value
    };
    let held = |count: i64, word| counted(count, &RunKpis::now_filter(word));
    let timed = [StatusWord::Succeeded, StatusWord::Partial, StatusWord::Failed];
    json!({
        "previous_start_at": runs.previous_start_at,
        "started": both(&[], |figures| figures.started),
        "pending": both(&[StatusWord::Active], |figures| figures.pending),
        "ended": both(&[StatusWord::Completed], RunFigures::ended),
        "succeeded": both(&[StatusWord::Succeeded], |figures| figures.succeeded),
        "partially_succeeded":
            both(&[StatusWord::Partial], |figures| figures.partially_succeeded),
        "failed": both(&[StatusWord::Failed], |figures| figures.failed),
        "blocked": both(&[StatusWord::Blocked], |figures| figures.blocked),
        "cancelled": both(&[StatusWord::Cancelled], |figures| figures.cancelled),
        "success_rate": { "share": now.success_rate(), "previous": before.success_rate() },
        "durations": {
            "of": both(&timed, RunFigures::timed),
            "median": now.median,
            "p95": now.p95,
            "previous": { "median": before.median, "p95": before.p95 },
        },
        "active": held(runs.active, StatusWord::Active),
        "stuck": held(runs.stuck, StatusWord::Stuck),
        "stale": held(runs.stale, StatusWord::Stale),
        "trend": trend(runs),
    })
}

fn trend(runs: &RunKpis) -> Vec<Value> {
    let trend = &runs.trend;
    let numbers = trend.started.iter().zip(&trend.failed);
    let pieces = trend.buckets.iter().zip(numbers);
    // Where the window ends with a step of the clock, its last piece holds no moment.
    let pieces = pieces.filter(|(bucket, _)| bucket.start_at < bucket.end_at);
    pieces
        .map(|(bucket, (started, failed))| {
            let span = Span { from: bucket.start_at, until: bucket.end_at };
            json!({
                "start_at": bucket.start_at,
                "end_at": bucket.end_at,
                "started": counted(*started, &in_window(&[], span)),
                "failed": counted(*failed, &in_window(&[StatusWord::Failed], span)),
            })
        })
        .collect()
}

/// A number of runs, and what lists them.
fn counted(count: i64, filter: &RunFilter) -> Value {
    json!({ "count": count, "filter": filter.to_string() })
}
