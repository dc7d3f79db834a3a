//! A filter's terms as conditions of SQL, of either engine.

use chrono::{DateTime, Utc};
use sqlx::{Encode, Type};

use super::super::name_match::NameMatch;
use super::super::sql::QueryBuilder;
use super::overdue;
use crate::domain::name_pattern::{Extent, NamePattern};
use crate::domain::run_filter::{IdOrName, Pattern, StatusWord, Term, TermKind};
use crate::domain::run_state::STALE_AFTER;

/// What is active, spelled as the partial index has it, so that it is used.
pub(super) const ACTIVE: &str = "r.status in ('queued', 'running')";

/// The outcome that a status word stands for.
pub(super) fn outcome_of(word: StatusWord) -> Option<&'static str> {
    Some(match word {
        StatusWord::Succeeded => "succeeded",
        StatusWord::Partial => "partially_succeeded",
        StatusWord::Failed => "failed",
        StatusWord::Blocked => "blocked",
        StatusWord::Cancelled => "cancelled",
        _ => return None,
    })
}

/// The drivers that can bind what a filter holds.
pub(super) trait Binds: NameMatch {
    /// Makes `lower` fold the letters A to Z and no others, as the other engine does.
    const PLAIN: &str;
    /// Whether the lease of run `r` has run out, by the database's clock.
    const OVERDUE: &str;
}
impl Binds for sqlx::Postgres {
    const PLAIN: &str = " collate \"C\"";
    const OVERDUE: &str = overdue!("clock_timestamp()");
}
impl Binds for sqlx::Sqlite {
    const PLAIN: &str = "";
    const OVERDUE: &str = overdue!("strftime('%Y-%m-%dT%H:%M:%f+00:00')");
}

/// Binds values; implemented once for every driver that can take them.
pub(super) struct Values;

pub(super) trait BindsOn<DB: sqlx::Database> {
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

pub(super) fn push_term<DB: Binds>(sql: &mut QueryBuilder<DB>, term: &Term, now: DateTime<Utc>)
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
        TermKind::Fingerprint(fingerprints) => any(sql, fingerprints, |sql, fingerprint| {
            sql.push(
                "r.id in (select f.run_id from operation_run_failures f where f.fingerprint = ",
            );
            Values::text(sql, fingerprint.clone());
            sql.push(")");
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
    let active = ACTIVE;
    match word {
        StatusWord::Queued | StatusWord::Stale => {
            let operator = if word == StatusWord::Queued { ">=" } else { "<" };
            sql.push(format_args!(
                "{active} and r.status = 'queued' and r.paused_at is null \
                 and coalesce(r.queued_at, r.created_at) {operator} "
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
                "{active} and r.status = 'running' and r.cancel_requested_at is not null and not {}",
                DB::OVERDUE
            ));
        }
        StatusWord::Stuck => {
            sql.push(format_args!("{active} and r.status = 'running' and {}", DB::OVERDUE));
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
    if !is_plain(&pattern.text) {
        return DB::push_match(sql, column, &pattern.names());
    }
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

/// Whether `lower` in the C collation and `like` find all that is meant, which costs less than a
/// pattern.
fn is_plain(text: &str) -> bool {
    text.is_ascii() && !text.contains(' ')
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
    let other = (!is_plain(text)).then(|| NamePattern::new(text, Extent::Part));
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
        if let Some(pattern) = &other {
            return DB::push_match(sql, column, pattern);
        }
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
