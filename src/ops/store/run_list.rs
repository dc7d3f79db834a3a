//! Pages of runs: keyset over any number of rows, at a cost that does not grow with the
//! table.
//!
//! One condition leads: it has an index in the order of the page, so the page is read off
//! it. Whatever else the filter asks is applied to a window of the first `bound` rows that
//! the leading condition finds. The window is stated to the reader, and the next page goes
//! on where it ended.

mod counts;
mod numbers;
mod terms;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};

use self::terms::{ACTIVE, Binds, BindsOn, Values, outcome_of, push_term};
use super::run_read::{RunRow, overdue, run_columns, run_joins};
use super::sql::QueryBuilder;
use super::{Tx, on_tx, users};
use crate::Result;
use crate::access::ViewScope;
use crate::domain::run::Run;
use crate::domain::run_filter::{IdOrName, Pattern, RunFilter, StatusWord, Term, TermKind};

pub use counts::{counts, estimate};

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
    let within = match query.scope {
        ViewScope::All => None,
        ViewScope::Restricted { platform_user_id } => {
            Some(users::workspaces(tx, platform_user_id).await?)
        }
    };
    let filter = numbers::resolved(tx, query.filter, within.as_deref()).await?;
    let query = &Query { filter: &filter, ..*query };
    let mut plan = Plan::of(query);
    plan.within = within;
    let wanted = query.limit + 1;
    let rows: Vec<RunRow> = on_tx!(tx, c => {
        plan.statement(query, wanted).fetch_all(c).await?
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
        plan.push_order(&mut sql, query.page);
        sql.push(" limit 1 offset ").push_bind(query.bound - 1);
        Ok(sql.fetch_optional(c).await?)
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
    /// The workspaces of a restricted view. They bound what is read, not what is kept of it:
    /// nothing that a page tells may follow from runs outside of the view.
    within: Option<Vec<i64>>,
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
        Self { leading, times, rest, within: None }
    }

    /// The whole statement of a page.
    fn statement<DB: Binds>(&self, query: &Query<'_>, wanted: i64) -> QueryBuilder<DB>
    where
        Values: BindsOn<DB>,
    {
        let mut sql = QueryBuilder::new(concat!("select ", run_columns!(), ", "));
        sql.push(DB::OVERDUE).push(" as lease_overdue from ");
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
        self.push_order(&mut sql, query.page);
        sql.push(" limit ");
        Values::int(&mut sql, wanted);
        sql
    }

    /// Whether conditions are left that no index serves.
    fn windowed(&self) -> bool {
        !self.rest.is_empty()
    }

    fn push_window<DB: Binds>(&self, sql: &mut QueryBuilder<DB>, query: &Query<'_>, bound: i64)
    where
        Values: BindsOn<DB>,
    {
        sql.push("select r.* from operation_runs r where true");
        self.push_leading(sql, query);
        self.push_order(sql, query.page);
        sql.push(" limit ");
        Values::int(sql, bound);
    }

    fn push_leading<DB: Binds>(&self, sql: &mut QueryBuilder<DB>, query: &Query<'_>)
    where
        Values: BindsOn<DB>,
    {
        for term in &self.times {
            push_term(sql, term, query.now);
        }
        self.push_view(sql);
        if let Some((column, value)) = self.key() {
            self.push_keyed(sql, query, column, &value);
            return;
        }
        if let Some(term) = self.leading {
            if matches!(term.kind, TermKind::Status(_)) {
                // Said once and for all words, or the partial index is not used.
                sql.push(" and ").push(ACTIVE);
            }
            push_term(sql, term, query.now);
        }
        if let Some((operator, cursor)) = from_cursor(query.page) {
            sql.push(format_args!(" and (r.created_at, r.id) {operator} ("));
            push_cursor(sql, cursor);
        }
    }

    /// An equality as two bounds on the whole key of its index.
    ///
    /// With a plain equality, PostgreSQL may prefer to read the newest rows and drop those
    /// that do not fit, and reads the whole table where a common value stopped occurring long
    /// ago. In this form only one index gives the order, and it is entered at the place asked
    /// for and left at its end.
    fn push_keyed<DB: Binds>(
        &self,
        sql: &mut QueryBuilder<DB>,
        query: &Query<'_>,
        column: &str,
        value: &KeyValue,
    ) where
        Values: BindsOn<DB>,
    {
        let times = |since: bool| {
            self.times.iter().filter_map(move |term| match term.kind {
                TermKind::Since(when) if since => Some(when.resolve(query.now)),
                TermKind::Until(when) if !since => Some(when.resolve(query.now)),
                _ => None,
            })
        };
        let cursor = from_cursor(query.page);
        // Of a cursor and a time only the tighter one bounds a side: two could leave the
        // wrong one as the place where reading starts.
        let since = times(true).max();
        let below =
            cursor.filter(|(op, at)| *op == ">" && since.is_none_or(|t| at.created_at >= t));
        let until = times(false).min();
        let above = cursor.filter(|(op, at)| *op != ">" && until.is_none_or(|t| at.created_at < t));
        for (bound, time, plain, timed) in [(below, since, ">=", ">="), (above, until, "<=", "<")] {
            if let Some((operator, at)) = bound {
                sql.push(format_args!(" and ({column}, r.created_at, r.id) {operator} ("));
                value.push(sql);
                sql.push(", ");
                push_cursor(sql, at);
            } else if let Some(time) = time {
                sql.push(format_args!(" and ({column}, r.created_at) {timed} ("));
                value.push(sql);
                sql.push(", ");
                Values::time(sql, time);
                sql.push(")");
            } else {
                sql.push(format_args!(" and {column} {plain} "));
                value.push(sql);
            }
        }
        // The index of reasons leaves out rows without one.
        if column == "r.reason_code" {
            sql.push(" and r.reason_code is not null");
        }
    }

    /// The order of the page, spelled as the leading index has it.
    fn push_order<DB: Binds>(&self, sql: &mut QueryBuilder<DB>, page: Page) {
        let direction = if page.backwards() { "" } else { " desc" };
        sql.push(" order by ");
        if let Some((column, _)) = self.key() {
            sql.push(format_args!("{column}{direction}, "));
        }
        sql.push(format_args!("r.created_at{direction}, r.id{direction}"));
    }

    fn push_rest<DB: Binds>(&self, sql: &mut QueryBuilder<DB>, query: &Query<'_>)
    where
        Values: BindsOn<DB>,
    {
        for term in &self.rest {
            push_term(sql, term, query.now);
        }
    }

    /// The equality that leads: of the filter, or of a view of one workspace.
    fn key(&self) -> Option<(&'static str, KeyValue)> {
        match (self.leading, self.within.as_deref()) {
            (Some(term), _) => key_of(term),
            (None, Some([one])) => Some(("r.workspace_id", KeyValue::Id(*one))),
            (None, _) => None,
        }
    }

    /// Leaves out runs that are not within the view.
    fn push_view<DB: Binds>(&self, sql: &mut QueryBuilder<DB>)
    where
        Values: BindsOn<DB>,
    {
        push_within(sql, "r.workspace_id", self.within.as_deref());
    }
}

/// Leaves out rows whose workspace, in `column`, is not within a restricted view.
fn push_within<DB: Binds>(sql: &mut QueryBuilder<DB>, column: &str, within: Option<&[i64]>)
where
    Values: BindsOn<DB>,
{
    let Some(within) = within else { return };
    if within.is_empty() {
        sql.push(" and 1 = 0");
        return;
    }
    sql.push(format_args!(" and {column} in ("));
    for (n, id) in within.iter().enumerate() {
        if n > 0 {
            sql.push(", ");
        }
        Values::int(sql, *id);
    }
    sql.push(")");
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
        // Few runs have it; they are looked up by it, and put in order.
        TermKind::Fingerprint(_) => Some(2),
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
    matches!(
        word,
        W::Queued | W::Running | W::Paused | W::Stale | W::Cancelling | W::Stuck | W::Active
    )
}

/// The value that an index starts with.
enum KeyValue {
    Id(i64),
    Text(String),
}

impl KeyValue {
    fn push<DB: Binds>(&self, sql: &mut QueryBuilder<DB>)
    where
        Values: BindsOn<DB>,
    {
        match self {
            Self::Id(id) => Values::int(sql, *id),
            Self::Text(text) => Values::text(sql, text.clone()),
        }
    }
}

/// The column and the value of a leading term that is an equality.
fn key_of(term: &Term) -> Option<(&'static str, KeyValue)> {
    let text = |text: &str| KeyValue::Text(text.to_ascii_lowercase());
    Some(match &term.kind {
        TermKind::Tenant(names) => match names.as_slice() {
            [IdOrName::Id(id)] => ("r.tenant_id", KeyValue::Id(*id)),
            _ => return None,
        },
        TermKind::Workspace(names) => match names.as_slice() {
            [IdOrName::Id(id)] => ("r.workspace_id", KeyValue::Id(*id)),
            _ => return None,
        },
        TermKind::Type(patterns) => ("r.type", text(&patterns.first()?.text)),
        TermKind::Reason(patterns) => ("r.reason_code", text(&patterns.first()?.text)),
        TermKind::Outcome(outcomes) => ("r.outcome", text(outcomes.first()?.as_str())),
        TermKind::Status(words) => ("r.outcome", text(outcome_of(*words.first()?)?)),
        _ => return None,
    })
}

/// Where a page starts, if not at an end of the list.
fn from_cursor(page: Page) -> Option<(&'static str, Cursor)> {
    match page {
        Page::Newest | Page::Oldest => None,
        Page::From(cursor) => Some(("<=", cursor)),
        Page::OlderThan(cursor) => Some(("<", cursor)),
        Page::NewerThan(cursor) => Some((">", cursor)),
    }
}

/// The rest of a row value: time and id, and its end.
fn push_cursor<DB: Binds>(sql: &mut QueryBuilder<DB>, cursor: Cursor)
where
    Values: BindsOn<DB>,
{
    Values::time(sql, cursor.created_at);
    sql.push(", ");
    Values::int(sql, cursor.id);
    sql.push(")");
}
