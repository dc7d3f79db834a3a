//! Counting runs over windows.
//!
//! Ended runs of whole hours and days are read from the counts that the database keeps; only the
//! edges are read from the runs. So the cost follows the width of an edge, not the number of runs.

use chrono::{DateTime, Utc};

use super::sql::{self, QueryAs};
use super::{Tx, on_tx};
use crate::Result;
use crate::access::ViewScope;
use crate::domain::window::{Pieces, Span, Step};

/// How many runs of an outcome there are in one step of a window.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct StepCount {
    /// 0: the window before, 1: the window.
    pub part: i32,
    /// When the step begins.
    pub step: DateTime<Utc>,
    /// The outcome; `pending` of active runs.
    pub outcome: String,
    /// How many.
    pub runs: i64,
}

/// How many runs of a window took as long as a step of durations.
#[derive(Debug, Clone, Copy)]
pub struct TookCount {
    /// 0: the window before, 1: the window.
    pub part: i32,
    /// The step.
    pub took: i64,
    /// How many.
    pub runs: i64,
}

/// Either of the two.
#[derive(sqlx::FromRow)]
struct CountRow {
    part: i32,
    step: Option<DateTime<Utc>>,
    outcome: Option<String>,
    took: Option<i64>,
    runs: i64,
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

/// Counts the runs themselves in two ranges of creation, bound as `$1` to `$4`, by step and outcome.
macro_rules! by_step {
    ($step:expr, $which:expr) => {
        concat!(
            by_step!("0", $step, "$1", "$2", $which),
            " union all ",
            by_step!("1", $step, "$3", "$4", $which)
        )
    };
    ($part:literal, $step:expr, $from:literal, $until:literal, $which:expr) => {
        concat!(
            "select ",
            $part,
            " as part, ",
            $step,
            " as step, r.outcome, count(*) as runs from operation_runs r where r.created_at >= ",
            $from,
            " and r.created_at < ",
            $until,
            $which,
            " group by 1, 2, 3"
        )
    };
}

/// Counts active runs in two ranges of creation, by step.
pub async fn active(tx: &mut Tx, step: Step, ranges: [Span; 2]) -> Result<Vec<StepCount>> {
    macro_rules! active {
        ($step:expr) => {
            by_step!($step, " and r.status in ('queued', 'running')")
        };
    }
    on_tx!(tx, c => {
        let sql = match step {
            Step::FiveMinutes => active!(five_minutes!("r.created_at")),
            Step::Hour => active!(hour!("r.created_at")),
            Step::Day => active!(day!("r.created_at")),
        };
        Ok(bind(sql::query_as(sql), ranges).fetch_all(c).await?)
    })
}

/// Counts the runs of a restricted view in two ranges of creation, by step and outcome.
pub async fn of_view(
    tx: &mut Tx,
    platform_user_id: i64,
    step: Step,
    ranges: [Span; 2],
) -> Result<Vec<StepCount>> {
    macro_rules! of_view {
        ($step:expr) => {
            by_step!($step, own!("$5"))
        };
    }
    on_tx!(tx, c => {
        let sql = match step {
            Step::FiveMinutes => of_view!(five_minutes!("r.created_at")),
            Step::Hour => of_view!(hour!("r.created_at")),
            Step::Day => of_view!(day!("r.created_at")),
        };
        Ok(bind(sql::query_as(sql), ranges).bind(platform_user_id).fetch_all(c).await?)
    })
}

/// Counts ended runs of two windows, by step and outcome, and by step of durations.
pub async fn ended(
    tx: &mut Tx,
    step: Step,
    [before, current]: [Pieces; 2],
) -> Result<(Vec<StepCount>, Vec<TookCount>)> {
    // PostgreSQL reads everything once and counts it in both ways. SQLite has no grouping sets, but
    // its tables are in the order of the groups.
    macro_rules! counted {
        ($part:literal, $step:expr, $took:expr, $runs:literal, $which:expr) => {
            by_engine!(
                concat!(
                    "select ",
                    $part,
                    " as part, ",
                    $step,
                    " as step, r.outcome, ",
                    $took,
                    " as took, ",
                    $runs,
                    " as runs",
                    $which
                ),
                concat!(
                    "select ",
                    $part,
                    " as part, ",
                    $step,
                    " as step, r.outcome, null as took, sum(",
                    $runs,
                    ") as runs",
                    $which,
                    " group by 1, 2, 3 union all select ",
                    $part,
                    ", null, null, ",
                    $took,
                    ", sum(",
                    $runs,
                    ")",
                    $which,
                    " group by 4"
                )
            )
        };
    }
    macro_rules! each_five_minutes {
        ($from:literal) => {
            five_minutes!("r.created_at")
        };
    }
    macro_rules! each_hour {
        ($from:literal) => {
            "r.hour"
        };
    }
    // No piece lies in two steps, so its step is computed once and not per row.
    macro_rules! one_hour {
        ($from:literal) => {
            concat!("(select ", hour!($from), ")")
        };
    }
    macro_rules! one_day {
        ($from:literal) => {
            concat!("(select ", day!($from), ")")
        };
    }
    macro_rules! single {
        ($step:ident, $part:literal, $from:literal, $until:literal) => {
            counted!(
                $part,
                $step!($from),
                concat!(
                    "case when r.outcome in ('succeeded', 'partially_succeeded', 'failed') then ",
                    duration_step!(),
                    " else 0 end"
                ),
                "1",
                concat!(
                    " from operation_runs r where r.status = 'completed' and r.created_at >= ",
                    $from,
                    " and r.created_at < ",
                    $until
                )
            )
        };
    }
    macro_rules! kept {
        ($table:literal, $at:literal, $step:expr, $part:literal, $from:literal, $until:literal) => {
            concat!(
                " union all ",
                counted!(
                    $part,
                    $step,
                    "r.took",
                    "r.runs",
                    concat!(
                        " from ",
                        $table,
                        " r where ",
                        $at,
                        " >= ",
                        $from,
                        " and ",
                        $at,
                        " < ",
                        $until
                    )
                )
            )
        };
    }
    macro_rules! singles {
        ($step:ident) => {
            concat!(
                single!($step, "0", "$1", "$2"),
                " union all ",
                single!($step, "0", "$3", "$4"),
                " union all ",
                single!($step, "1", "$5", "$6"),
                " union all ",
                single!($step, "1", "$7", "$8")
            )
        };
    }
    macro_rules! hours {
        ($step:ident) => {
            concat!(
                kept!("operation_run_hour_counts", "r.hour", $step!("$9"), "0", "$9", "$10"),
                kept!("operation_run_hour_counts", "r.hour", $step!("$11"), "0", "$11", "$12"),
                kept!("operation_run_hour_counts", "r.hour", $step!("$13"), "1", "$13", "$14"),
                kept!("operation_run_hour_counts", "r.hour", $step!("$15"), "1", "$15", "$16")
            )
        };
    }
    macro_rules! days {
        () => {
            concat!(
                kept!("operation_run_day_counts", "r.day", "r.day", "0", "$17", "$18"),
                kept!("operation_run_day_counts", "r.day", "r.day", "1", "$19", "$20")
            )
        };
    }
    macro_rules! all {
        ($($from:expr),+) => {
            concat!(
                by_engine!(
                    "select x.part, x.step, x.outcome, x.took, cast(sum(x.runs) as bigint) as runs from (",
                    ""
                ),
                $($from,)+
                by_engine!(") x group by grouping sets ((x.part, x.step, x.outcome), (x.part, x.took))", "")
            )
        };
    }
    let [single, hours] =
        [[before.single, current.single].concat(), [before.hours, current.hours].concat()];
    let rows: Vec<CountRow> = on_tx!(tx, c => {
        let query = match step {
            Step::FiveMinutes => bind(sql::query_as(all!(singles!(each_five_minutes))), single),
            Step::Hour => {
                let query = sql::query_as(all!(singles!(one_hour), hours!(each_hour)));
                bind(bind(query, single), hours)
            }
            Step::Day => {
                let query = sql::query_as(all!(singles!(one_day), hours!(one_day), days!()));
                bind(bind(bind(query, single), hours), [before.days, current.days])
            }
        };
        query.fetch_all(c).await?
    });
    let (mut counts, mut took) = (Vec::new(), Vec::new());
    for CountRow { part, step, outcome, took: duration, runs } in rows {
        if let (Some(step), Some(outcome)) = (step, outcome) {
            counts.push(StepCount { part, step, outcome, runs });
        } else if let Some(duration @ 1..) = duration {
            took.push(TookCount { part, took: duration, runs });
        }
    }
    Ok((counts, took))
}

fn bind<T>(query: QueryAs<T>, ranges: impl IntoIterator<Item = Span>) -> QueryAs<T> {
    ranges.into_iter().fold(query, |query, range| query.bind(range.from).bind(range.until))
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
