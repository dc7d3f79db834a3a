//! Bringing findings to the lifecycle model: one statement per chunk of a tenant's findings.
//!
//! The two engines differ in how days are added to a moment and in nothing else, so that is
//! the one fragment of the texts below.

use chrono::{DateTime, Utc};

use super::sql;
use super::{Tx, on_tx};
use crate::Result;

/// The findings `$2 < id <= $3` of tenant `$1`, as `s`, each that is not resolved with the one
/// that stays of its recurrence key: the newest that is neither resolved nor a duplicate. A
/// duplicate goes by the key of what it is linked to, so a link that a person made across keys
/// is kept.
macro_rules! survivors {
    () => {
        "with s as materialized (select b.id, case when b.status <> 'resolved' then \
         (select n.id from findings n where n.tenant_id = $1 \
         and n.recurrence_key = case when b.duplicate_of_id is null then b.recurrence_key \
         else coalesce((select x.recurrence_key from findings x where x.id = b.duplicate_of_id \
         and x.tenant_id = $1), b.recurrence_key) end \
         and n.status not in ('resolved', 'duplicate') order by n.created_at desc, n.id desc limit 1) end as newest \
         from findings b where b.tenant_id = $1 and b.id > $2 and b.id <= $3) "
    };
}

/// Whether `f` needs a change.
macro_rules! needs_change {
    () => {
        "(f.status in ('open', 'acknowledged') or f.first_seen_at is null or f.last_seen_at is null \
         or f.times_seen is null or f.times_seen < 1 or f.sla_days is null \
         or (f.due_at is null and f.status in ('new', 'triaged')) \
         or (f.status <> 'resolved' and s.newest <> f.id \
         and (f.duplicate_of_id is null or f.duplicate_of_id <> s.newest)))"
    };
}

/// The days until a finding is due: its own, or those of its severity.
macro_rules! sla_days {
    () => {
        "coalesce(f.sla_days, case f.severity when 'critical' then 3 when 'high' then 7 \
         when 'medium' then 14 else 30 end)"
    };
}

/// The change of a chunk; `$4` is the start of the run, `$5` is now. `$due` says when a
/// finding is due that has no date: at most a hundred years from the start, because beyond
/// the engines' calendars end.
macro_rules! backfill {
    ($due:expr) => {
        concat!(
            survivors!(),
            "update findings as f set status = case \
             when f.status in ('resolved', 'duplicate') then f.status \
             when s.newest <> f.id then 'duplicate' when f.status = 'open' then 'new' \
             when f.status = 'acknowledged' then 'triaged' else f.status end, \
             duplicate_of_id = case when f.status <> 'resolved' and s.newest <> f.id then s.newest \
             else f.duplicate_of_id end, \
             first_seen_at = coalesce(f.first_seen_at, f.created_at), \
             last_seen_at = coalesce(f.last_seen_at, case when f.first_seen_at > f.created_at \
             then f.first_seen_at else f.created_at end), \
             times_seen = case when f.times_seen >= 1 then f.times_seen else 1 end, \
             sla_days = ",
            sla_days!(),
            ", due_at = case when f.due_at is null and f.status not in ('resolved', 'duplicate') \
             and s.newest = f.id then ",
            $due,
            " else f.due_at end, updated_at = $5 \
             from s where f.id = s.id and f.tenant_id = $1 and ",
            needs_change!()
        )
    };
}

/// `sla_days`, cut to a hundred years.
macro_rules! days {
    () => {
        concat!("case when ", sla_days!(), " > 36500 then 36500 else ", sla_days!(), " end")
    };
}

/// How many of the next `limit` findings of a tenant after an id there are, and the last one.
pub async fn next(
    tx: &mut Tx,
    tenant_id: i64,
    after_id: i64,
    limit: i64,
) -> Result<(i64, Option<i64>)> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select count(*), max(n.id) from (select f.id from findings f where f.tenant_id = $1 and f.id > $2 \
             order by f.id limit $3) n",
        )
        .bind(tenant_id)
        .bind(after_id)
        .bind(limit)
        .fetch_one(c)
        .await?)
    })
}

/// Changes the findings `after_id < id <= last_id` of a tenant that need it; gives how many.
pub async fn backfill(
    tx: &mut Tx,
    tenant_id: i64,
    (after_id, last_id): (i64, i64),
    run_started_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<u64> {
    match tx {
        Tx::Postgres(transaction) => {
            // Not days: those follow the calendar of the session's time zone.
            let text =
                backfill!(concat!("$4::timestamptz + (", days!(), ") * interval '24 hours'"));
            let done = sql::query(text)
                .bind(tenant_id)
                .bind(after_id)
                .bind(last_id)
                .bind(run_started_at)
                .bind(now)
                .execute(&mut *transaction)
                .await?;
            Ok(done.rows_affected())
        }
        Tx::Sqlite(transaction) => {
            // Whole seconds are moved; the fraction and the offset stay as they were written.
            let text = backfill!(concat!(
                "strftime('%Y-%m-%dT%H:%M:%S', substr($4, 1, 19), (",
                days!(),
                ") || ' days') || substr($4, 20)"
            ));
            let done = sql::query(text)
                .bind(tenant_id)
                .bind(after_id)
                .bind(last_id)
                .bind(run_started_at)
                .bind(now)
                .execute(&mut **transaction)
                .await?;
            Ok(done.rows_affected())
        }
    }
}

/// How many findings of a tenant need a change, and how many there are.
pub async fn count(tx: &mut Tx, tenant_id: i64) -> Result<(i64, i64)> {
    on_tx!(tx, c => {
        Ok(sql::query_as(concat!(
            survivors!(),
            "select count(case when ", needs_change!(), " then 1 end), count(*) \
             from s join findings f on f.id = s.id and f.tenant_id = $1"
        ))
        .bind(tenant_id)
        .bind(i64::MIN)
        .bind(i64::MAX)
        .fetch_one(c)
        .await?)
    })
}
