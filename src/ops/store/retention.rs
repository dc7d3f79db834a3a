//! Removing what is older than its retention: one row of a table for each kind of rows that get old.
//! Runs, which have rows of their own, go another way.

use chrono::{DateTime, Duration, Utc};
use sqlx::AssertSqlSafe;

use super::sql;
use super::{Tx, on_tx, run_removal};
use crate::Result;
use crate::domain::kept::Data;

/// Rows of a table that get old.
#[derive(Debug)]
struct Rule {
    table: &'static str,
    /// The columns that name a row `r`.
    key: &'static str,
    /// The column that says how old it is; an index has its order, so a chunk never reads past what it
    /// deletes.
    at: &'static str,
    /// What else has to hold for a row to be old.
    only: &'static str,
    /// So many days longer than the retention says.
    more_days: i64,
}

impl Rule {
    const fn of(table: &'static str, at: &'static str, only: &'static str) -> Self {
        Self { table, key: "r.id", at, only, more_days: 0 }
    }

    fn is_old(&self) -> String {
        format!("r.{} < $1{}", self.at, self.only)
    }

    fn cutoff(&self, cutoff: DateTime<Utc>) -> DateTime<Utc> {
        cutoff - Duration::days(self.more_days)
    }

    fn delete(&self, lock: &str) -> String {
        let Self { table, key, at, .. } = self;
        let columns = key.replace("r.", "");
        format!(
            "delete from {table} where ({columns}) in (select {key} from {table} r where {} \
             order by r.{at} limit $2{lock})",
            self.is_old()
        )
    }

    fn any(&self) -> String {
        format!("select 1 from {} r where {} limit 1", self.table, self.is_old())
    }
}

/// The newest row stays: SQLite would give its number away again.
macro_rules! newest_stays {
    ($table:literal) => {
        concat!(" and r.id < (select max(m.id) from ", $table, " m)")
    };
}

/// After so many days a pack from before packs had an expiry has expired.
const PACK_DAYS: i64 = 90;

const fn rules(data: Data) -> &'static [Rule] {
    const EVENTS: &[Rule] = &[Rule::of("product_usage_events", "occurred_at", "")];
    const NOTIFICATIONS: &[Rule] =
        &[Rule::of("notifications", "created_at", newest_stays!("notifications"))];
    const ALERTS: &[Rule] = &[Rule::of(
        "alert_deliveries",
        "created_at",
        concat!(" and r.status <> 'pending'", newest_stays!("alert_deliveries")),
    )];
    // A session that has not expired may be in use, however old it is.
    const SESSIONS: &[Rule] = &[
        Rule::of("platform_sessions", "expires_at", newest_stays!("platform_sessions")),
        Rule { key: "r.origin, r.username", ..Rule::of("login_attempts", "window_start", "") },
    ];
    const REPORTS: &[Rule] =
        &[Rule::of("stored_reports", "created_at", newest_stays!("stored_reports"))];
    const PACKS: &[Rule] = &[
        Rule::of("review_packs", "expires_at", newest_stays!("review_packs")),
        Rule {
            more_days: PACK_DAYS,
            ..Rule::of(
                "review_packs",
                "created_at",
                concat!(" and r.expires_at is null", newest_stays!("review_packs")),
            )
        },
    ];
    match data {
        Data::Runs => &[],
        Data::Notifications => NOTIFICATIONS,
        Data::Alerts => ALERTS,
        Data::Sessions => SESSIONS,
        Data::Reports => REPORTS,
        Data::Packs => PACKS,
        Data::Events => EVENTS,
    }
}

/// Deletes at most `limit` rows from before `cutoff`, the oldest first; gives how many. Two at once
/// share the rows between them.
pub async fn delete(tx: &mut Tx, data: Data, cutoff: DateTime<Utc>, limit: i64) -> Result<i64> {
    let mut deleted = 0;
    for rule in rules(data) {
        let done = on_tx!(tx, c => {
            sql::query(AssertSqlSafe(rule.delete(claim_lock!())))
                .bind(rule.cutoff(cutoff))
                .bind(limit - deleted)
                .execute(c)
                .await?
        });
        deleted += i64::try_from(done.rows_affected()).unwrap_or(i64::MAX);
        if deleted >= limit {
            break;
        }
    }
    Ok(deleted)
}

/// How much of a kind of data there is, and how much of it is old.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Size {
    /// Rows that are old.
    pub old: i64,
    /// All rows.
    pub total: i64,
    /// The oldest.
    pub oldest: Option<DateTime<Utc>>,
    /// The newest.
    pub newest: Option<DateTime<Utc>>,
}

impl Size {
    fn and(self, other: Self) -> Self {
        Self {
            old: self.old + other.old,
            total: self.total + other.total,
            oldest: [self.oldest, other.oldest].into_iter().flatten().min(),
            newest: self.newest.max(other.newest),
        }
    }
}

/// How large a kind of data is, and how much of it is old. Of runs, those that would be deleted are
/// counted up to `most`, and all of them by their days, so that not every one of them is looked at.
pub async fn size(tx: &mut Tx, data: Data, cutoff: DateTime<Utc>, most: i64) -> Result<Size> {
    if data == Data::Runs {
        let old = run_removal::count(tx, cutoff, most).await?;
        return on_tx!(tx, c => {
            Ok(sql::query_as(
                "select cast($1 as bigint) as old, \
                 cast((select coalesce(sum(d.runs), 0) from operation_run_day_counts d) as bigint) as total, \
                 (select min(r.created_at) from operation_runs r) as oldest, \
                 (select max(r.created_at) from operation_runs r) as newest",
            )
            .bind(old)
            .fetch_one(c)
            .await?)
        });
    }
    let mut size = Size::default();
    for rule in rules(data) {
        let Rule { table, at, .. } = rule;
        let text = format!(
            "select (select count(*) from {table} r where {}) as old, (select count(*) from {table}) as total, \
             (select min(r.{at}) from {table} r) as oldest, (select max(r.{at}) from {table} r) as newest",
            rule.is_old()
        );
        let of_rule: Size = on_tx!(tx, c => {
            sql::query_as(AssertSqlSafe(text)).bind(rule.cutoff(cutoff)).fetch_one(c).await?
        });
        // A table with two rules has its rows once.
        let total = if rule.more_days > 0 { 0 } else { of_rule.total };
        size = size.and(Size { total, ..of_rule });
    }
    Ok(size)
}

/// Whether there is anything from before `cutoff`.
pub async fn has_old(tx: &mut Tx, data: Data, cutoff: DateTime<Utc>) -> Result<bool> {
    let of_runs = Rule::of(
        "operation_runs",
        "created_at",
        " and r.status = 'completed' and r.completed_at < $1",
    );
    let rules = if data == Data::Runs { std::slice::from_ref(&of_runs) } else { rules(data) };
    for rule in rules {
        let found: Option<i32> = on_tx!(tx, c => {
            sql::query_scalar(AssertSqlSafe(rule.any()))
                .bind(rule.cutoff(cutoff))
                .fetch_optional(c)
                .await?
        });
        if found.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// When the newest product usage event occurred.
pub async fn newest_usage_event(tx: &mut Tx) -> Result<Option<DateTime<Utc>>> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar("select max(e.occurred_at) from product_usage_events e")
            .fetch_one(c)
            .await?)
    })
}

/// From when on no product usage event is missing because it was pruned; none: none was.
pub async fn usage_kept_from(tx: &mut Tx) -> Result<Option<DateTime<Utc>>> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar("select kept_from from product_usage_kept where id = 1")
            .fetch_optional(c)
            .await?)
    })
}

/// Notes that product usage events from before `from` were pruned.
pub async fn keep_usage_from(tx: &mut Tx, from: DateTime<Utc>) -> Result<()> {
    // Only the first chunk of a prune moves it, so that prunes at once do not wait for each other.
    if usage_kept_from(tx).await?.is_some_and(|kept| kept >= from) {
        return Ok(());
    }
    on_tx!(tx, c => {
        sql::query(
            "insert into product_usage_kept as k (id, kept_from) values (1, $1) \
             on conflict (id) do update set kept_from = excluded.kept_from \
             where k.kept_from < excluded.kept_from",
        )
        .bind(from)
        .execute(c)
        .await?;
        Ok(())
    })
}

/// What is not kept any more of a kind of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Kept {
    /// From when on nothing is missing because it was pruned.
    pub kept_from: DateTime<Utc>,
    /// The newest that is gone, of data with numbers that are looked up.
    pub newest_id: Option<i64>,
}

/// What is not kept any more of `data`; none: nothing was pruned.
pub async fn kept(tx: &mut Tx, data: Data) -> Result<Option<Kept>> {
    on_tx!(tx, c => {
        Ok(sql::query_as("select kept_from, newest_id from data_kept where data = $1")
            .bind(data.as_str())
            .fetch_optional(c)
            .await?)
    })
}

/// The moment before which `data` is not kept, of a window from `from` on; none: all of it is.
pub async fn missing_before(
    tx: &mut Tx,
    data: Data,
    from: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>> {
    Ok(kept(tx, data).await?.map(|kept| kept.kept_from).filter(|kept| from < *kept))
}

/// Notes what of `data` was pruned; it never goes back.
pub async fn keep(tx: &mut Tx, data: Data, new: Kept) -> Result<()> {
    let known = kept(tx, data).await?;
    if known.is_some_and(|old| old.kept_from >= new.kept_from && old.newest_id >= new.newest_id) {
        return Ok(());
    }
    let kept_from = known.map_or(new.kept_from, |old| old.kept_from.max(new.kept_from));
    let newest_id = known.and_then(|old| old.newest_id).max(new.newest_id);
    on_tx!(tx, c => {
        sql::query(
            "insert into data_kept (data, kept_from, newest_id) values ($1, $2, $3) \
             on conflict (data) do update set kept_from = excluded.kept_from, newest_id = excluded.newest_id",
        )
        .bind(data.as_str())
        .bind(kept_from)
        .bind(newest_id)
        .execute(c)
        .await?;
        Ok(())
    })
}

/// When the oldest of what is in force was made: unused plans, and leases.
pub async fn oldest_in_force(tx: &mut Tx, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar(
            "select min(x.at) from (select min(p.created_at) as at from runbook_plans p \
             where p.used_by_run_id is null and p.expires_at > $1 union all \
             select min(l.acquired_at) from operation_run_leases l where l.expires_at > $1) x",
        )
        .bind(now)
        .fetch_one(c)
        .await?)
    })
}

/// The phrase that confirms the plan by which a run was started; none without a plan.
pub async fn planned_phrase(tx: &mut Tx, run_id: i64) -> Result<Option<String>> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar(
            "select p.phrase from operation_runs r join runbook_plans p on p.id = r.plan_id where r.id = $1",
        )
        .bind(run_id)
        .fetch_optional(c)
        .await?)
    })
}

/// Whether nobody watches over a run: it was started by a schedule or a deployment.
pub async fn is_unattended(tx: &mut Tx, run_id: i64) -> Result<bool> {
    on_tx!(tx, c => {
        let found: Option<bool> = sql::query_scalar(
            "select source in ('schedule', 'deploy_hook') and platform_user_id is null and user_id is null \
             from operation_runs where id = $1",
        )
        .bind(run_id)
        .fetch_optional(c)
        .await?;
        Ok(found.unwrap_or(true))
    })
}

/// The statements that find what is old, as SQLite explains them.
#[cfg(debug_assertions)]
pub fn statements() -> Vec<String> {
    let rules = Data::ALL.iter().flat_map(|data| rules(*data));
    rules.flat_map(|rule| [rule.delete(""), rule.any()]).collect()
}
