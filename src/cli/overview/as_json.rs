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
    let (now, before) = (&runs.current, runs.before());
    let earlier = Span { from: runs.previous_start_at, until: runs.span.from };
    // A number of this window and of the one before.
    let both = |words: &[StatusWord], number: fn(&RunFigures) -> i64| {
        let mut value = counted(runs.now(number), &runs.filter(words));
        value["previous"] = counted(before.map(number), &in_window(words, earlier));
        value
    };
    let held = |count: i64, word| counted(Some(count), &RunKpis::now_filter(word));
    let timed = [StatusWord::Succeeded, StatusWord::Partial, StatusWord::Failed];
    json!({
        "previous_start_at": runs.previous_start_at,
        "kept_from": runs.kept_from,
        "started": both(&[], |figures| figures.started),
        "pending": both(&[StatusWord::Active], |figures| figures.pending),
        "ended": both(&[StatusWord::Completed], RunFigures::ended),
        "succeeded": both(&[StatusWord::Succeeded], |figures| figures.succeeded),
        "partially_succeeded":
            both(&[StatusWord::Partial], |figures| figures.partially_succeeded),
        "failed": both(&[StatusWord::Failed], |figures| figures.failed),
        "blocked": both(&[StatusWord::Blocked], |figures| figures.blocked),
        "cancelled": both(&[StatusWord::Cancelled], |figures| figures.cancelled),
        "success_rate": { "share": now.success_rate(), "previous": before.and_then(RunFigures::success_rate) },
        "durations": {
            "of": both(&timed, RunFigures::timed),
            "median": now.median,
            "p95": now.p95,
            "previous": {
                "median": before.and_then(|before| before.median), "p95": before.and_then(|before| before.p95),
            },
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
            let kept = |count: &i64| runs.of_piece(bucket, *count);
            json!({
                "start_at": bucket.start_at,
                "end_at": bucket.end_at,
                "started": counted(kept(started), &in_window(&[], span)),
                "failed": counted(kept(failed), &in_window(&[StatusWord::Failed], span)),
            })
        })
        .collect()
}

/// A number of runs, null where they are not kept, and what lists them.
fn counted(count: Option<i64>, filter: &RunFilter) -> Value {
    json!({ "count": count, "filter": filter.to_string() })
}
