//! Counting runs over windows.
//!
//! Ended runs of whole hours and days are read from the counts that the database keeps; only the
//! edges are read from the runs. So the cost follows the width of an edge, not the number of runs.

use chrono::{DateTime, Utc};

use super::sql;
use super::{Tx, on_tx};
use crate::Result;
use crate::access::ViewScope;
use crate::domain::window::{Span, Step};

/// How many runs of an outcome there are in one step of a range.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct StepCount {
    /// Which of the ranges.
    pub part: i32,
    /// When the step begins.
    pub step: DateTime<Utc>,
    /// The outcome; `pending` of active runs.
    pub outcome: String,
    /// How many.
    pub runs: i64,
}

/// How many runs of a range took as long as a step of durations.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct TookCount {
    /// Which of the ranges.
    pub part: i32,
    /// The step.
    pub took: i64,
    /// How many.
    pub runs: i64,
}

/// One branch of a query over several ranges; `$part` tells it from the others.
macro_rules! branch {
    ($part:literal, $head:expr, $at:literal, $from:literal, $until:literal, $view:expr, $tail:literal) => {
        concat!(
            "select ",
            $part,
            " as part, ",
            $head,
            " and ",
            $at,
            " >= ",
            $from,
            " and ",
            $at,
            " < ",
            $until,
            $view,
            " group by ",
            $tail
        )
    };
}

/// Two such branches.
macro_rules! two {
    ($head:expr, $at:literal, $view:expr, $tail:literal) => {
        concat!(
            branch!("0", $head, $at, "$1", "$2", $view, $tail),
            " union all ",
            branch!("1", $head, $at, "$3", "$4", $view, $tail)
        )
    };
}

/// Four such branches.
macro_rules! four {
    ($head:expr, $at:literal, $view:expr, $tail:literal) => {
        concat!(
            two!($head, $at, $view, $tail),
            " union all ",
            branch!("2", $head, $at, "$5", "$6", $view, $tail),
            " union all ",
            branch!("3", $head, $at, "$7", "$8", $view, $tail)
        )
    };
}

/// The runs of a restricted view, whose platform user is bound as `$user`.
macro_rules! own {
    ($user:literal) => {
        concat!(
            " and r.workspace_id in (select v.workspace_id from platform_user_workspaces v \
             where v.platform_user_id = ",
            $user,
            ")"
        )
    };
}

/// Binds ranges, and the platform user of a restricted view, and reads all rows.
macro_rules! rows {
    ($c:ident, $sql:expr, $ranges:expr, $view:expr) => {{
        let mut query = sql::query_as($sql);
        for range in $ranges {
            query = query.bind(range.from).bind(range.until);
        }
        if let ViewScope::Restricted { platform_user_id } = $view {
            query = query.bind(platform_user_id);
        }
        Ok(query.fetch_all($c).await?)
    }};
}

/// Counts ended runs themselves in four ranges, by step and outcome.
pub async fn ended(
    tx: &mut Tx,
    view: ViewScope,
    step: Step,
    ranges: [Span; 4],
) -> Result<Vec<StepCount>> {
    macro_rules! ended {
        ($step:expr, $view:expr) => {
            four!(
                concat!($step, " as step, r.outcome, count(*) as runs from operation_runs r where r.status = 'completed'"),
                "r.created_at", $view, "1, 2, 3"
            )
        };
    }
    on_tx!(tx, c => {
        let sql = match (step, view) {
            (Step::FiveMinutes, ViewScope::All) => ended!(five_minutes!("r.created_at"), ""),
            (Step::Hour, ViewScope::All) => ended!(hour!("r.created_at"), ""),
            (Step::Day, ViewScope::All) => ended!(day!("r.created_at"), ""),
            (Step::FiveMinutes, _) => ended!(five_minutes!("r.created_at"), own!("$9")),
            (Step::Hour, _) => ended!(hour!("r.created_at"), own!("$9")),
            (Step::Day, _) => ended!(day!("r.created_at"), own!("$9")),
        };
        rows!(c, sql, ranges, view)
    })
}

/// Counts active runs in two ranges of creation, by step.
pub async fn active(
    tx: &mut Tx,
    view: ViewScope,
    step: Step,
    ranges: [Span; 2],
) -> Result<Vec<StepCount>> {
    macro_rules! active {
        ($step:expr, $view:expr) => {
            two!(
                concat!(
                    $step,
                    " as step, r.outcome, count(*) as runs from operation_runs r \
                     where r.status in ('queued', 'running')"
                ),
                "r.created_at",
                $view,
                "1, 2, 3"
            )
        };
    }
    on_tx!(tx, c => {
        let sql = match (step, view) {
            (Step::FiveMinutes, ViewScope::All) => active!(five_minutes!("r.created_at"), ""),
            (Step::Hour, ViewScope::All) => active!(hour!("r.created_at"), ""),
            (Step::Day, ViewScope::All) => active!(day!("r.created_at"), ""),
            (Step::FiveMinutes, _) => active!(five_minutes!("r.created_at"), own!("$5")),
            (Step::Hour, _) => active!(hour!("r.created_at"), own!("$5")),
            (Step::Day, _) => active!(day!("r.created_at"), own!("$5")),
        };
        rows!(c, sql, ranges, view)
    })
}

/// Counts ended runs of four ranges of whole hours, by step (hours, or days) and outcome.
pub async fn hours(tx: &mut Tx, step: Step, ranges: [Span; 4]) -> Result<Vec<StepCount>> {
    macro_rules! hours {
        ($step:expr) => {
            four!(
                concat!(
                    $step,
                    " as step, r.outcome, cast(sum(r.runs) as bigint) as runs \
                     from operation_run_hour_counts r where true"
                ),
                "r.hour",
                "",
                "1, 2, 3"
            )
        };
    }
    on_tx!(tx, c => {
        let sql = if step == Step::Day { hours!(day!("r.hour")) } else { hours!("r.hour") };
        rows!(c, sql, ranges, ViewScope::All)
    })
}

/// Counts ended runs of two ranges of whole days, by day and outcome.
pub async fn days(tx: &mut Tx, ranges: [Span; 2]) -> Result<Vec<StepCount>> {
    on_tx!(tx, c => {
        let sql = two!(
            "r.day as step, r.outcome, cast(sum(r.runs) as bigint) as runs from operation_run_day_counts r where true",
            "r.day", "", "1, 2, 3"
        );
        rows!(c, sql, ranges, ViewScope::All)
    })
}

/// Counts how long runs of two windows took, by steps of durations: four single ranges, four of
/// whole hours, two of whole days; part 0 is of the first window, part 1 of the second.
pub async fn took(
    tx: &mut Tx,
    single: [Span; 4],
    hours: [Span; 4],
    days: [Span; 2],
) -> Result<Vec<TookCount>> {
    macro_rules! kept {
        ($part:literal, $from:literal, $at:literal, $a:literal, $b:literal) => {
            concat!(
                "select ",
                $part,
                " as part, r.took, r.runs from ",
                $from,
                " r where r.took > 0 and ",
                $at,
                " >= ",
                $a,
                " and ",
                $at,
                " < ",
                $b
            )
        };
    }
    macro_rules! single {
        ($took:expr, $part:literal, $a:literal, $b:literal) => {
            concat!(
                "select ", $part, " as part, ", $took, " as took, 1 as runs from operation_runs r \
                 where r.outcome in ('succeeded', 'partially_succeeded', 'failed') and r.created_at >= ",
                $a, " and r.created_at < ", $b
            )
        };
    }
    on_tx!(tx, c => {
        let sql = concat!(
            "select part, took, cast(sum(runs) as bigint) as runs from (",
            single!(duration_step!(), "0", "$1", "$2"), " union all ",
            single!(duration_step!(), "0", "$3", "$4"), " union all ",
            single!(duration_step!(), "1", "$5", "$6"), " union all ",
            single!(duration_step!(), "1", "$7", "$8"), " union all ",
            kept!("0", "operation_run_hour_counts", "r.hour", "$9", "$10"), " union all ",
            kept!("0", "operation_run_hour_counts", "r.hour", "$11", "$12"), " union all ",
            kept!("1", "operation_run_hour_counts", "r.hour", "$13", "$14"), " union all ",
            kept!("1", "operation_run_hour_counts", "r.hour", "$15", "$16"), " union all ",
            kept!("0", "operation_run_day_counts", "r.day", "$17", "$18"), " union all ",
            kept!("1", "operation_run_day_counts", "r.day", "$19", "$20"),
            ") x group by 1, 2 order by 1, 2"
        );
        rows!(c, sql, single.into_iter().chain(hours).chain(days), ViewScope::All)
    })
}

/// Where each step of durations begins, in milliseconds, by its number from 1.
pub async fn duration_steps(tx: &mut Tx) -> Result<Vec<i64>> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar("select from_ms from duration_steps order by step").fetch_all(c).await?)
    })
}

/// The durations at the ranks `$ranks` percent of a range, by nearest rank, in milliseconds.
pub async fn exact_percentiles(
    tx: &mut Tx,
    view: ViewScope,
    range: Span,
    percents: [i64; 2],
) -> Result<Vec<i64>> {
    macro_rules! percentiles {
        ($milliseconds:expr, $view:expr) => {
            concat!(
                "select cast(x.ms as bigint) from (select ms, row_number() over (order by ms) as n, count(*) over () as total from ( \
                 select ", $milliseconds, " as ms from operation_runs r \
                 where r.outcome in ('succeeded', 'partially_succeeded', 'failed') \
                 and r.created_at >= $1 and r.created_at < $2", $view,
                ") d) x join (select cast($3 as bigint) as percent union all select cast($4 as bigint)) p \
                 on x.n = (x.total * p.percent + 99) / 100 order by p.percent"
            )
        };
    }
    on_tx!(tx, c => {
        let sql = match view {
            ViewScope::All => percentiles!(milliseconds!(), ""),
            ViewScope::Restricted { .. } => percentiles!(milliseconds!(), own!("$5")),
        };
        let mut query = sql::query_scalar(sql).bind(range.from).bind(range.until);
        for percent in percents {
            query = query.bind(percent);
        }
        if let ViewScope::Restricted { platform_user_id } = view {
            query = query.bind(platform_user_id);
        }
        Ok(query.fetch_all(c).await?)
    })
}
