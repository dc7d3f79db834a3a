//! Pages of runs: keyset over any number of rows, at a cost that does not grow with the
//! table.
//!
//! One condition leads: it has an index in the order of the page, so the page is read off
//! it. Whatever else the filter asks is applied to a window of the first `bound` rows that
//! the leading condition finds. The window is stated to the reader, and the next page goes
//! on where it ended.

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use sqlx::{Encode, QueryBuilder, Type};

use super::run_read::{RunRow, restricted_to, run_columns, run_joins};
use super::{Tx, on_tx};
use crate::Result;
use crate::access::ViewScope;
use crate::domain::run::Run;
use crate::domain::run_filter::{IdOrName, Pattern, RunFilter, StatusWord, Term, TermKind};
use crate::domain::run_state::STALE_AFTER;

/// A place in the list: the order is by creation, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, sqlx::FromRow)]
pub struct Cursor {
    /// Creation time of the run there.
    pub created_at: DateTime<Utc>,
    /// Its id.
    pub id: i64,
}

/// Which part of the list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Page {
    /// The newest runs.
    #[default]
    Newest,
    /// Runs at this place and older.
    From(Cursor),
    /// Runs older than this place.
    OlderThan(Cursor),
    /// Runs newer than this place, the nearest ones.
    NewerThan(Cursor),
    /// The oldest runs.
    Oldest,
}

impl Page {
    /// Whether rows are read from the old end upwards.
    fn backwards(self) -> bool {
        matches!(self, Self::NewerThan(_) | Self::Oldest)
    }
}

/// What to read.
#[derive(Debug)]
pub struct Query<'a> {
    /// Conditions.
    pub filter: &'a RunFilter,
    /// Whose rows.
    pub scope: ViewScope,
    /// Now, for relative times and stale runs.
    pub now: DateTime<Utc>,
    /// Which part.
    pub page: Page,
    /// At most this many.
    pub limit: i64,
    /// How many rows a filter without an index of its own looks at.
    pub bound: i64,
}

/// What was found, newest first.
#[derive(Debug)]
pub struct Found {
    /// Rows.
    pub runs: Vec<Run>,
    /// Whether there may be more in the direction of reading.
    pub more: bool,
    /// Where reading ended, if it ended at the bound.
    pub stopped_at: Option<Cursor>,
}

/// Reads a page.
pub async fn page(tx: &mut Tx, query: &Query<'_>) -> Result<Found> {
    let plan = Plan::of(query);
    let wanted = query.limit + 1;
    let rows: Vec<RunRow> = on_tx!(tx, c => {
        plan.statement(query, wanted).build_query_as().fetch_all(c).await?
    });
    let mut more = i64::try_from(rows.len()).unwrap_or(i64::MAX) == wanted;
    let mut runs = rows.into_iter().map(Run::try_from).collect::<Result<Vec<Run>>>()?;
    let mut stopped_at = None;
    if more {
        runs.pop();
    } else if plan.windowed() {
        stopped_at = window_end(tx, &plan, query).await?;
        more = stopped_at.is_some();
    }
    if query.page.backwards() {
        runs.reverse();
    }
    Ok(Found { runs, more, stopped_at })
}

/// The last row of a full window; none if the window holds all there is.
async fn window_end(tx: &mut Tx, plan: &Plan<'_>, query: &Query<'_>) -> Result<Option<Cursor>> {
    on_tx!(tx, c => {
        let mut sql = QueryBuilder::new("select r.created_at, r.id from operation_runs r where true");
        plan.push_leading(&mut sql, query);
        push_order(&mut sql, query.page);
        sql.push(" limit 1 offset ").push_bind(query.bound - 1);
        Ok(sql.build_query_as().fetch_optional(c).await?)
    })
}

/// The leading condition and the rest.
struct Plan<'a> {
    /// Served by an index in the order of the page.
    leading: Option<&'a Term>,
    /// Bounds on the creation time: every index carries it.
    times: Vec<&'a Term>,
    /// Applied to the window.
    rest: Vec<&'a Term>,
    restricted_to: Option<i64>,
}

impl<'a> Plan<'a> {
    fn of(query: &Query<'a>) -> Self {
        let terms = &query.filter.terms;
        let leading =
            terms.iter().filter_map(|term| Some((rank(term)?, term))).min_by_key(|(rank, _)| *rank);
        let leading = leading.map(|(_, term)| term);
        let (times, rest): (Vec<&Term>, Vec<&Term>) = terms
            .iter()
            .filter(|term| leading.is_none_or(|leading| !std::ptr::eq(*term, leading)))
            .partition(|term| {
                !term.negated && matches!(term.kind, TermKind::Since(_) | TermKind::Until(_))
            });
        Self { leading, times, rest, restricted_to: restricted_to(query.scope) }
    }

    /// The whole statement of a page.
    fn statement<DB: Binds>(&self, query: &Query<'_>, wanted: i64) -> QueryBuilder<DB>
    where
        Values: BindsOn<DB>,
    {
        let mut sql = QueryBuilder::new(concat!("select ", run_columns!(), " from "));
        if self.windowed() {
            sql.push("(");
            self.push_window(&mut sql, query, query.bound);
            sql.push(") r");
        } else {
            sql.push("operation_runs r");
        }
        sql.push(run_joins!()).push("where true");
        if self.windowed() {
            self.push_rest(&mut sql, query);
        } else {
            self.push_leading(&mut sql, query);
        }
        push_order(&mut sql, query.page);
        sql.push(" limit ");
        Values::int(&mut sql, wanted);
        sql
    }

    /// Whether conditions are left that no index serves.
    fn windowed(&self) -> bool {
        !self.rest.is_empty() || self.restricted_to.is_some()
    }

    fn push_window<DB: Binds>(&self, sql: &mut QueryBuilder<DB>, query: &Query<'_>, bound: i64)
    where
        Values: BindsOn<DB>,
    {
        sql.push("select r.* from operation_runs r where true");
        self.push_leading(sql, query);
        push_order(sql, query.page);
        sql.push(" limit ");
        Values::int(sql, bound);
    }

    fn push_leading<DB: Binds>(&self, sql: &mut QueryBuilder<DB>, query: &Query<'_>)
    where
        Values: BindsOn<DB>,
    {
        for term in self.leading.iter().chain(&self.times) {
            push_term(sql, term, query.now);
        }
        let (operator, cursor) = match query.page {
            Page::Newest | Page::Oldest => return,
            Page::From(cursor) => ("<=", cursor),
            Page::OlderThan(cursor) => ("<", cursor),
            Page::NewerThan(cursor) => (">", cursor),
        };
        sql.push(format_args!(" and (r.created_at, r.id) {operator} ("));
        Values::time(sql, cursor.created_at);
        sql.push(", ");
        Values::int(sql, cursor.id);
        sql.push(")");
    }

    fn push_rest<DB: Binds>(&self, sql: &mut QueryBuilder<DB>, query: &Query<'_>)
    where
        Values: BindsOn<DB>,
    {
        for term in &self.rest {
            push_term(sql, term, query.now);
        }
        if let Some(platform_user_id) = self.restricted_to {
            sql.push(
                " and exists (select 1 from platform_user_workspaces v where v.platform_user_id = ",
            );
            Values::int(sql, platform_user_id);
            sql.push(" and v.workspace_id = r.workspace_id)");
        }
    }
}

/// How well a term leads: the smaller, the fewer rows it leaves. None: no index serves it.
fn rank(term: &Term) -> Option<u8> {
    if term.negated {
        return None;
    }
    let one_exact = |patterns: &[Pattern]| matches!(patterns, [one] if !one.prefix);
    let one_id = |names: &[IdOrName]| matches!(names, [IdOrName::Id(_)]);
    match &term.kind {
        TermKind::Id(_) => Some(0),
        TermKind::Status(words) if words.iter().all(|word| is_active(*word)) => Some(1),
        TermKind::Tenant(tenants) if one_id(tenants) => Some(2),
        TermKind::Reason(patterns) if one_exact(patterns) => Some(3),
        TermKind::Status(words) if matches!(words.as_slice(), [one] if outcome_of(*one).is_some()) => {
            Some(4)
        }
        TermKind::Outcome(outcomes) if outcomes.len() == 1 => Some(4),
        TermKind::Type(patterns) if one_exact(patterns) => Some(5),
        TermKind::Workspace(workspaces) if one_id(workspaces) => Some(6),
        _ => None,
    }
}

fn is_active(word: StatusWord) -> bool {
    use StatusWord as W;
    matches!(word, W::Queued | W::Running | W::Paused | W::Stale | W::Cancelling | W::Active)
}

fn outcome_of(word: StatusWord) -> Option<&'static str> {
    Some(match word {
        StatusWord::Succeeded => "succeeded",
        StatusWord::Partial => "partially_succeeded",
        StatusWord::Failed => "failed",
        StatusWord::Blocked => "blocked",
        StatusWord::Cancelled => "cancelled",
        _ => return None,
    })
}

fn push_order<DB: sqlx::Database>(sql: &mut QueryBuilder<DB>, page: Page) {
    sql.push(if page.backwards() {
        " order by r.created_at, r.id"
    } else {
        " order by r.created_at desc, r.id desc"
    });
}

/// The drivers that can bind what a filter holds.
trait Binds: sqlx::Database {
    /// Makes `lower` fold the letters A to Z and no others, as the other engine does.
    const PLAIN: &str;
}
impl Binds for sqlx::Postgres {
    const PLAIN: &str = " collate \"C\"";
}
impl Binds for sqlx::Sqlite {
    const PLAIN: &str = "";
}

/// Binds values; implemented once for every driver that can take them.
struct Values;

trait BindsOn<DB: sqlx::Database> {
    fn int(sql: &mut QueryBuilder<DB>, value: i64);
    fn text(sql: &mut QueryBuilder<DB>, value: String);
    fn time(sql: &mut QueryBuilder<DB>, value: DateTime<Utc>);
}

impl<DB> BindsOn<DB> for Values
where
    DB: Binds,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
    String: for<'q> Encode<'q, DB> + Type<DB>,
    DateTime<Utc>: for<'q> Encode<'q, DB> + Type<DB>,
{
    fn int(sql: &mut QueryBuilder<DB>, value: i64) {
        sql.push_bind(value);
    }

    fn text(sql: &mut QueryBuilder<DB>, value: String) {
        sql.push_bind(value);
    }

    fn time(sql: &mut QueryBuilder<DB>, value: DateTime<Utc>) {
        sql.push_bind(value);
    }
}

fn push_term<DB: Binds>(sql: &mut QueryBuilder<DB>, term: &Term, now: DateTime<Utc>)
where
    Values: BindsOn<DB>,
{
    // A condition on a missing value is unknown, and `not unknown` would drop the row: a
    // negated term keeps rows that lack the value.
    sql.push(if term.negated { " and not coalesce((" } else { " and (" });
    match &term.kind {
        TermKind::Status(words) => any(sql, words, |sql, word| push_status(sql, *word, now)),
        TermKind::Outcome(outcomes) => any(sql, outcomes, |sql, outcome| {
            sql.push("r.outcome = ");
            Values::text(sql, outcome.as_str().to_owned());
        }),
        TermKind::Type(patterns) => {
            any(sql, patterns, |sql, p| push_pattern(sql, "r.type", p, true))
        }
        TermKind::Reason(patterns) => {
            any(sql, patterns, |sql, p| push_pattern(sql, "r.reason_code", p, true))
        }
        TermKind::By(patterns) => {
            any(sql, patterns, |sql, p| push_pattern(sql, "r.initiator_name", p, false))
        }
        TermKind::Tenant(names) => {
            any(sql, names, |sql, name| push_named(sql, "r.tenant_id", "tenants", name))
        }
        TermKind::Workspace(names) => {
            any(sql, names, |sql, name| push_named(sql, "r.workspace_id", "workspaces", name));
        }
        TermKind::Source(sources) => any(sql, sources, |sql, source| {
            sql.push("r.source = ");
            Values::text(sql, source.as_str().to_owned());
        }),
        TermKind::Since(when) => {
            sql.push("r.created_at >= ");
            Values::time(sql, when.resolve(now));
        }
        TermKind::Until(when) => {
            sql.push("r.created_at < ");
            Values::time(sql, when.resolve(now));
        }
        TermKind::Id(ids) => any(sql, ids, |sql, id| {
            sql.push("r.id = ");
            Values::int(sql, *id);
        }),
        TermKind::Text(text) => push_text(sql, text),
    }
    sql.push(if term.negated { "), false)" } else { ")" });
}

fn any<DB: Binds, T>(
    sql: &mut QueryBuilder<DB>,
    items: &[T],
    mut push: impl FnMut(&mut QueryBuilder<DB>, &T),
) {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            sql.push(" or ");
        }
        push(sql, item);
    }
}

fn push_status<DB: Binds>(sql: &mut QueryBuilder<DB>, word: StatusWord, now: DateTime<Utc>)
where
    Values: BindsOn<DB>,
{
    let stale_before = now - STALE_AFTER;
    // "status in (..)" is spelled as the partial index has it, so that it is used.
    let active = "r.status in ('queued', 'running')";
    match word {
        StatusWord::Queued | StatusWord::Stale => {
            let operator = if word == StatusWord::Queued { ">=" } else { "<" };
            sql.push(format_args!(
                "{active} and r.status = 'queued' and r.paused_at is null and r.created_at {operator} "
            ));
            Values::time(sql, stale_before);
        }
        StatusWord::Paused => {
            sql.push(format_args!("{active} and r.status = 'queued' and r.paused_at is not null"));
        }
        StatusWord::Running => {
            sql.push(format_args!("{active} and r.status = 'running'"));
        }
        StatusWord::Cancelling => {
            sql.push(format_args!(
                "{active} and r.status = 'running' and r.cancel_requested_at is not null"
            ));
        }
        StatusWord::Active => {
            sql.push(active);
        }
        StatusWord::Completed => {
            sql.push("r.status = 'completed'");
        }
        _ => {
            sql.push("r.outcome = ");
            Values::text(sql, outcome_of(word).unwrap_or("pending").to_owned());
        }
    }
}

/// `canonical`: the column holds lower-case text, so an exact match may use its index.
fn push_pattern<DB: Binds>(
    sql: &mut QueryBuilder<DB>,
    column: &str,
    pattern: &Pattern,
    canonical: bool,
) where
    Values: BindsOn<DB>,
{
    let text = pattern.text.to_ascii_lowercase();
    match (pattern.prefix, canonical) {
        (false, true) => {
            sql.push(format_args!("{column} = "));
            Values::text(sql, text);
        }
        (false, false) => {
            push_lower(sql, column);
            sql.push(" = ");
            Values::text(sql, text);
        }
        (true, _) => {
            push_lower(sql, column);
            sql.push(" like ");
            Values::text(sql, format!("{}%", escaped(&text)));
            sql.push(" escape '\\'");
        }
    }
}

fn push_lower<DB: Binds>(sql: &mut QueryBuilder<DB>, column: &str) {
    sql.push(format_args!("lower({column}{})", DB::PLAIN));
}

fn push_named<DB: Binds>(sql: &mut QueryBuilder<DB>, column: &str, table: &str, name: &IdOrName)
where
    Values: BindsOn<DB>,
{
    match name {
        IdOrName::Id(id) => {
            sql.push(format_args!("{column} = "));
            Values::int(sql, *id);
        }
        IdOrName::Name(pattern) => {
            sql.push(format_args!("{column} in (select n.id from {table} n where "));
            push_pattern(sql, "n.name", pattern, false);
            sql.push(")");
        }
    }
}

fn push_text<DB: Binds>(sql: &mut QueryBuilder<DB>, text: &str)
where
    Values: BindsOn<DB>,
{
    let like = format!("%{}%", escaped(&text.to_ascii_lowercase()));
    let columns = [
        "cast(r.id as text)",
        "r.type",
        "t.name",
        "w.name",
        "r.initiator_name",
        "r.reason_code",
        "r.source",
    ];
    any(sql, &columns, |sql, column| {
        push_lower(sql, column);
        sql.push(" like ");
        Values::text(sql, like.clone());
        sql.push(" escape '\\'");
    });
}

/// Text with the wildcards of `like` taken literally.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// Bounded counts for the head of the list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Counts {
    /// Queued or running.
    pub active: i64,
    /// Queued for too long.
    pub stale: i64,
    /// Failed since a day ago, by creation.
    pub failed: i64,
}

/// Counts active, stale and lately failed runs, each up to `bound`.
pub async fn counts(
    tx: &mut Tx,
    scope: ViewScope,
    now: DateTime<Utc>,
    bound: i64,
) -> Result<Counts> {
    on_tx!(tx, c => {
        Ok(sqlx::query_as(
            "select count(*) as active, \
             count(*) filter (where a.status = 'queued' and a.paused_at is null and a.created_at < $2) as stale, \
             (select count(*) from (select 1 from operation_runs r where r.outcome = 'failed' \
             and r.created_at >= $3 and ($1 is null or exists (select 1 from platform_user_workspaces v \
             where v.platform_user_id = $1 and v.workspace_id = r.workspace_id)) limit $4) f) as failed \
             from (select r.status, r.paused_at, r.created_at from operation_runs r \
             where r.status in ('queued', 'running') and ($1 is null or exists \
             (select 1 from platform_user_workspaces v \
             where v.platform_user_id = $1 and v.workspace_id = r.workspace_id)) limit $4) a",
        )
        .bind(restricted_to(scope))
        .bind(now - STALE_AFTER)
        .bind(now - chrono::Duration::hours(24))
        .bind(bound)
        .fetch_one(c)
        .await?)
    })
}

/// About how many runs there are: exact for small tables, the engine's estimate for large
/// ones. The flag says that it is an estimate.
pub async fn estimate(tx: &mut Tx) -> Result<(i64, bool)> {
    const EXACT_UP_TO: i64 = 10_000;
    let exact: i64 = on_tx!(tx, c => {
        sqlx::query_scalar("select count(*) from (select 1 from operation_runs limit $1) few")
            .bind(EXACT_UP_TO)
            .fetch_one(c)
            .await?
    });
    if exact < EXACT_UP_TO {
        return Ok((exact, false));
    }
    let estimate: i64 = match tx {
        Tx::Postgres(transaction) => {
            sqlx::query_scalar(
                "select reltuples::bigint from pg_class where oid = 'operation_runs'::regclass",
            )
            .fetch_one(&mut **transaction)
            .await?
        }
        // Ids are given in order and runs are never removed, so the last one is near it.
        Tx::Sqlite(transaction) => {
            sqlx::query_scalar("select coalesce(max(id), 0) from operation_runs")
                .fetch_one(&mut **transaction)
                .await?
        }
    };
    Ok((estimate.max(exact), true))
}
