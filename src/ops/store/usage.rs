//! The ledger of product usage: writing an event, and counting over windows.
//!
//! What lies in whole days and hours is read from the counts that the database keeps; only the edges are read from the ledger. Whether a workspace was active is one
//! look into an index per workspace. So the cost follows the number of workspaces and the width
//! of an edge, not the size of the ledger.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::sql;
use super::{Tx, on_tx};
use crate::Result;
use crate::access::ViewScope;
use crate::domain::telemetry::CheckedUsage;
use crate::domain::window::{Span, Step};

/// Writes an event.
pub async fn insert(tx: &mut Tx, usage: &CheckedUsage) -> Result<()> {
    let ((workspace_id, tenant_id, user_id), told) = (usage.owner(), usage.told());
    on_tx!(tx, c => {
        sql::query(
            "insert into product_usage_events (workspace_id, tenant_id, user_id, event_name, feature_area, \
             subject_type, subject_id, metadata, occurred_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(workspace_id)
        .bind(tenant_id)
        .bind(user_id)
        .bind(told.event.as_str())
        .bind(told.event.area())
        .bind(told.subject_type.as_str())
        .bind(&told.subject_id)
        .bind(Json(&told.metadata))
        .bind(told.occurred_at)
        .execute(c)
        .await?;
        Ok(())
    })
}

/// How many events of a name there are in one step of a range.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct StepCount {
    /// Which of the ranges.
    pub part: i32,
    /// When the step begins.
    pub step: DateTime<Utc>,
    /// The event's name.
    pub event_name: String,
    /// How many.
    pub events: i64,
}

/// The branch of a query that counts one range by step; `$part` tells it from the others.
macro_rules! range {
    ($part:literal, $step:expr, $events:literal, $from:literal, $at:literal,
     $start:literal, $until:literal, $view:expr) => {
        concat!(
            "select ",
            $part,
            " as part, ",
            $step,
            " as step, e.event_name, ",
            $events,
            " as events from ",
            $from,
            " e where ",
            $at,
            " >= ",
            $start,
            " and ",
            $at,
            " < ",
            $until,
            $view,
            " group by 1, 2, 3"
        )
    };
}

/// Four such branches.
macro_rules! four_ranges {
    ($step:expr, $events:literal, $from:literal, $at:literal, $view:expr) => {
        concat!(
            range!("0", $step, $events, $from, $at, "$1", "$2", $view),
            " union all ",
            range!("1", $step, $events, $from, $at, "$3", "$4", $view),
            " union all ",
            range!("2", $step, $events, $from, $at, "$5", "$6", $view),
            " union all ",
            range!("3", $step, $events, $from, $at, "$7", "$8", $view)
        )
    };
}

/// Counts the ledger itself in four ranges, by step.
pub async fn count_ledger(
    tx: &mut Tx,
    view: ViewScope,
    step: Step,
    ranges: [Span; 4],
) -> Result<Vec<StepCount>> {
    // `step` and `view` choose a fixed text each; the ranges are what differs.
    macro_rules! ledger {
        ($step:expr, $view:expr) => {
            four_ranges!($step, "count(*)", "product_usage_events", "e.occurred_at", $view)
        };
    }
    macro_rules! own {
        () => {
            " and e.workspace_id in (select v.workspace_id from platform_user_workspaces v \
             where v.platform_user_id = $9)"
        };
    }
    on_tx!(tx, c => {
        let sql = match (step, view) {
            (Step::FiveMinutes, ViewScope::All) => ledger!(five_minutes!("e.occurred_at"), ""),
            (Step::Hour, ViewScope::All) => ledger!(hour!("e.occurred_at"), ""),
            (Step::Day, ViewScope::All) => ledger!(day!("e.occurred_at"), ""),
            (Step::FiveMinutes, ViewScope::Restricted { .. }) => ledger!(five_minutes!("e.occurred_at"), own!()),
            (Step::Hour, ViewScope::Restricted { .. }) => ledger!(hour!("e.occurred_at"), own!()),
            (Step::Day, ViewScope::Restricted { .. }) => ledger!(day!("e.occurred_at"), own!()),
        };
        let mut query = sql::query_as(sql);
        for range in ranges {
            query = query.bind(range.from).bind(range.until);
        }
        if let ViewScope::Restricted { platform_user_id } = view {
            query = query.bind(platform_user_id);
        }
        Ok(query.fetch_all(c).await?)
    })
}

/// Counts four ranges of whole hours, by step: hours, or days.
pub async fn count_hours(tx: &mut Tx, step: Step, ranges: [Span; 4]) -> Result<Vec<StepCount>> {
    macro_rules! hours {
        ($step:expr) => {
            four_ranges!(
                $step,
                "cast(sum(e.events) as bigint)",
                "product_usage_hour_counts",
                "e.hour",
                ""
            )
        };
    }
    on_tx!(tx, c => {
        let mut query = sql::query_as(match step {
            Step::Day => hours!(day!("e.hour")),
            Step::Hour | Step::FiveMinutes => hours!("e.hour"),
        });
        for range in ranges {
            query = query.bind(range.from).bind(range.until);
        }
        Ok(query.fetch_all(c).await?)
    })
}

/// Counts two ranges of whole days, by day: parts 0 and 3, as the earlier and the later of four.
pub async fn count_days(tx: &mut Tx, view: ViewScope, ranges: [Span; 2]) -> Result<Vec<StepCount>> {
    macro_rules! days {
        ($from:literal, $view:expr) => {
            concat!(
                range!(
                    "0",
                    "e.day",
                    "cast(sum(e.events) as bigint)",
                    $from,
                    "e.day",
                    "$1",
                    "$2",
                    $view
                ),
                " union all ",
                range!(
                    "3",
                    "e.day",
                    "cast(sum(e.events) as bigint)",
                    $from,
                    "e.day",
                    "$3",
                    "$4",
                    $view
                )
            )
        };
    }
    macro_rules! own {
        () => {
            " and e.workspace_id in (select v.workspace_id from platform_user_workspaces v \
             where v.platform_user_id = $5)"
        };
    }
    on_tx!(tx, c => {
        let mut query = sql::query_as(match view {
            ViewScope::All => days!("product_usage_day_counts", ""),
            ViewScope::Restricted { .. } => days!("product_usage_workspace_day_counts", own!()),
        });
        for range in ranges {
            query = query.bind(range.from).bind(range.until);
        }
        if let ViewScope::Restricted { platform_user_id } = view {
            query = query.bind(platform_user_id);
        }
        Ok(query.fetch_all(c).await?)
    })
}

/// How many workspaces have an event in each of two ranges, of which `days` are the whole days, if
/// they have some.
pub async fn count_active(
    tx: &mut Tx,
    view: ViewScope,
    ranges: [Span; 2],
    days: Option<[Span; 2]>,
) -> Result<(i64, i64)> {
    // A limit keeps the planner from reading all events of the range to join them.
    macro_rules! in_ledger {
        ($from:literal, $until:literal) => {
            concat!(
                "(select 1 from product_usage_events e where e.workspace_id = w.id and e.occurred_at >= ",
                $from, " and e.occurred_at < ", $until, " order by e.occurred_at limit 1) is not null"
            )
        };
    }
    // Whoever is active at all mostly is among the newest few thousand events: one look for all.
    macro_rules! in_newest {
        ($from:literal, $until:literal) => {
            concat!(
                "w.id in (select n.workspace_id from (select e.workspace_id from product_usage_events e \
                 where e.occurred_at >= ", $from, " and e.occurred_at < ", $until,
                " order by e.occurred_at desc limit 5000) n) or ", in_ledger!($from, $until)
            )
        };
    }
    // The counts of days are a smaller place to look, where nothing waits to be added to them; and
    // whoever is active at all mostly was on the last of them, which is one look for all. What is
    // not found there is looked for in the ledger.
    macro_rules! in_days {
        ($from:literal, $until:literal, $last:literal) => {
            concat!(
                "w.id not in (select d.workspace_id from product_usage_deltas d) and (w.id in (select l.workspace_id \
                 from product_usage_workspace_days l where l.day = ", $last, ") or (select 1 \
                 from product_usage_workspace_days e where e.workspace_id = w.id and e.day >= ",
                $from, " and e.day < ", $until, " order by e.day limit 1) is not null)"
            )
        };
    }
    macro_rules! active {
        ($first:expr, $second:expr, $view:expr) => {
            concat!(
                "select (select count(*) from workspaces w where (",
                $first,
                ")",
                $view,
                "), \
                 (select count(*) from workspaces w where (",
                $second,
                ")",
                $view,
                ")"
            )
        };
    }
    macro_rules! by_ledger {
        ($view:expr) => {
            active!(in_ledger!("$1", "$2"), in_ledger!("$3", "$4"), $view)
        };
    }
    macro_rules! by_days {
        ($view:expr) => {
            active!(
                concat!(in_days!("$5", "$6", "$9"), " or ", in_ledger!("$1", "$2")),
                concat!(in_days!("$7", "$8", "$10"), " or ", in_ledger!("$3", "$4")),
                $view
            )
        };
    }
    macro_rules! own {
        ($user:literal) => {
            concat!(
                " and w.id in (select v.workspace_id from platform_user_workspaces v \
                 where v.platform_user_id = ",
                $user,
                ")"
            )
        };
    }
    let ranges = ranges.into_iter().chain(days.into_iter().flatten());
    on_tx!(tx, c => {
        let mut query = sql::query_as(match (view, days) {
            (ViewScope::All, None) => active!(in_newest!("$1", "$2"), in_newest!("$3", "$4"), ""),
            (ViewScope::All, Some(_)) => by_days!(""),
            (ViewScope::Restricted { .. }, None) => by_ledger!(own!("$5")),
            (ViewScope::Restricted { .. }, Some(_)) => by_days!(own!("$11")),
        });
        for range in ranges {
            query = query.bind(range.from).bind(range.until);
        }
        for range in days.into_iter().flatten() {
            query = query.bind(range.until - Step::Day.length());
        }
        if let ViewScope::Restricted { platform_user_id } = view {
            query = query.bind(platform_user_id);
        }
        Ok(query.fetch_one(c).await?)
    })
}
