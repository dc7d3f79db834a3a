//! All SQL of the program, and the only module that holds connections.
//!
//! One SQL text serves both engines: [`on_tx!`] expands the same body once per driver with
//! concrete types, and the short list of real differences are fragments of that macro.
//! The module is private to [`crate::ops`], so there is no way around the access check.

/// Whether a server begins each transaction as one that only reads: a setting of it, of the database
/// or of the role.
macro_rules! read_only_by_default {
    () => {
        "current_setting('default_transaction_read_only') = 'on'"
    };
}

pub mod activity;
pub mod alerts;
pub mod audit;
pub mod awaited;
pub mod blocker;
pub mod break_glass;
pub mod bulk;
pub mod bulk_rows;
pub mod bulk_state;
pub mod clock;
pub mod commit;
pub mod condition;
pub mod connect;
pub mod customers;
pub mod database;
pub mod diagnostics;
pub mod error;
pub mod faults;
pub mod findings;
pub mod fingerprints;
pub mod grants;
pub mod hosts;
pub mod keeper;
pub mod libpq;
pub mod lifecycle;
pub mod migrate;
pub mod missing;
pub mod name_match;
pub mod names;
pub mod notifications;
pub mod open_alerts;
pub mod outages;
pub mod overview;
pub mod pg_transaction;
pub mod plans;
pub mod pooled;
pub mod preferences;
#[cfg(debug_assertions)]
pub mod probe;
pub mod reconcile;
pub mod requests;
pub mod retention;
pub mod retries;
pub mod run_count_upkeep;
pub mod run_counts;
pub mod run_list;
pub mod run_read;
pub mod run_removal;
pub mod run_write;
pub mod savepoint;
pub mod schema;
mod schema_look;
pub mod scope_choices;
pub mod scope_locks;
pub mod server;
pub mod sessions;
pub mod settings;
pub mod sql;
pub mod support;
pub mod target_ends;
pub mod targets;
pub mod tls;
pub mod together;
pub mod transaction;
pub mod usage;
pub mod usage_rollups;
pub mod users;
pub mod value;
pub mod workers;

pub use database::{Db, Tx};

/// Runs `$body` on a transaction, once per engine, with `$c` bound to its connection.
///
/// Inside, these fragments are string literals of the engine at hand, fit for `concat!`:
/// `claim_lock!()`, `for_share!("alias")`, `for_update!()`, `database_now!()`,
/// `database_in!("$3")` (that many seconds from now), `five_minutes!("e.occurred_at")`,
/// `hour!(..)` and `day!(..)` (the start of the step of the clock that a time lies in, in UTC),
/// `milliseconds!()` (how long the ended run `r` took), `duration_step!()` (the step that lies in),
/// `transaction_id!()` (by which a commit can be looked up; null on SQLite),
/// `name_matches!("t.name", "$2")` (with the pattern as `name_match` has it for the engine),
/// `by_engine!("text for PostgreSQL", "text for SQLite")`.
macro_rules! on_tx {
    ($tx:expr, $c:ident => $body:block) => {
        match $tx {
            $crate::ops::store::Tx::Postgres(transaction) => {
                macro_rules! for_share {
                    ($alias:literal) => {
                        concat!(" for share of ", $alias)
                    };
                }
                macro_rules! for_update {
                    () => {
                        " for update"
                    };
                }
                macro_rules! database_now {
                    () => {
                        "clock_timestamp()"
                    };
                }
                macro_rules! database_in {
                    ($seconds:literal) => {
                        concat!("clock_timestamp() + ", $seconds, " * interval '1 second'")
                    };
                }
                macro_rules! claim_lock {
                    () => {
                        " for update of r skip locked"
                    };
                }
                macro_rules! transaction_id {
                    () => {
                        "pg_current_xact_id()::text"
                    };
                }
                macro_rules! five_minutes {
                    ($at:literal) => {
                        concat!("date_bin('5 minutes', ", $at, ", timestamptz '2000-01-01T00:00Z')")
                    };
                }
                macro_rules! hour {
                    ($at:literal) => {
                        concat!("date_trunc('hour', ", $at, ", 'UTC')")
                    };
                }
                macro_rules! day {
                    ($at:literal) => {
                        concat!("date_trunc('day', ", $at, ", 'UTC')")
                    };
                }
                macro_rules! milliseconds {
                    () => {
                        "run_milliseconds(r.created_at, r.started_at, r.completed_at)"
                    };
                }
                // As run_duration_step() has it, without its query per row: steps begin half a
                // millisecond early because durations are rounded.
                macro_rules! duration_step {
                    () => {
                        "cast(greatest(1, width_bucket(r.completed_at - coalesce(r.started_at, r.created_at), \
                         (select array_agg((d.from_ms * 1000 - 500) * interval '1 microsecond' order by d.from_ms) \
                         from duration_steps d))) as bigint)"
                    };
                }
                macro_rules! name_matches {
                    ($column:literal, $pattern:literal) => {
                        concat!("(", $column, " collate \"C\" ~ ", $pattern, ")")
                    };
                }
                macro_rules! by_engine {
                    ($postgres:expr, $sqlite:expr) => {
                        $postgres
                    };
                }
                // Using each once keeps the compiler from calling the others unused.
                const _: [&str; 13] = [
                    by_engine!("", ""),
                    name_matches!("n", "$1"),
                    for_share!("r"),
                    for_update!(),
                    database_now!(),
                    database_in!("$1"),
                    claim_lock!(),
                    five_minutes!("x"),
                    hour!("x"),
                    day!("x"),
                    milliseconds!(),
                    duration_step!(),
                    transaction_id!(),
                ];
                let $c: &mut $crate::ops::store::commit::PgTx = transaction;
                $body
            }
            $crate::ops::store::Tx::Sqlite(transaction) => {
                macro_rules! for_share {
                    ($alias:literal) => {
                        ""
                    };
                }
                macro_rules! for_update {
                    () => {
                        ""
                    };
                }
                macro_rules! database_now {
                    () => {
                        "strftime('%Y-%m-%dT%H:%M:%f+00:00')"
                    };
                }
                macro_rules! database_in {
                    ($seconds:literal) => {
                        concat!(
                            "strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', ",
                            $seconds,
                            " || ' seconds')"
                        )
                    };
                }
                macro_rules! claim_lock {
                    () => {
                        ""
                    };
                }
                macro_rules! transaction_id {
                    () => {
                        "null"
                    };
                }
                macro_rules! five_minutes {
                    ($at:literal) => {
                        concat!(
                            "substr(",
                            $at,
                            ", 1, 14) || printf('%02d', substr(",
                            $at,
                            ", 15, 2) / 5 * 5) || ':00+00:00'"
                        )
                    };
                }
                macro_rules! hour {
                    ($at:literal) => {
                        concat!("substr(", $at, ", 1, 13) || ':00:00+00:00'")
                    };
                }
                macro_rules! day {
                    ($at:literal) => {
                        concat!("substr(", $at, ", 1, 10) || 'T00:00:00+00:00'")
                    };
                }
                macro_rules! milliseconds {
                    () => {
                        "max(0, cast(round((julianday(r.completed_at) - julianday(coalesce(r.started_at, r.created_at))) \
                         * 86400000) as integer))"
                    };
                }
                macro_rules! duration_step {
                    () => {
                        concat!(
                            "(select d.step from duration_steps d where d.from_ms <= ",
                            milliseconds!(),
                            " order by d.from_ms desc limit 1)"
                        )
                    };
                }
                macro_rules! name_matches {
                    ($column:literal, $pattern:literal) => {
                        concat!(
                            "(exists (select 1 from json_each(",
                            $pattern,
                            ") p where ",
                            $column,
                            " glob p.value))"
                        )
                    };
                }
                macro_rules! by_engine {
                    ($postgres:expr, $sqlite:expr) => {
                        $sqlite
                    };
                }
                // Using each once keeps the compiler from calling the others unused.
                const _: [&str; 13] = [
                    by_engine!("", ""),
                    name_matches!("n", "$1"),
                    for_share!("r"),
                    for_update!(),
                    database_now!(),
                    database_in!("$1"),
                    claim_lock!(),
                    five_minutes!("x"),
                    hour!("x"),
                    day!("x"),
                    milliseconds!(),
                    duration_step!(),
                    transaction_id!(),
                ];
                let $c = &mut **transaction;
                $body
            }
        }
    };
}
pub(crate) use on_tx;
pub(crate) use together::{each, together};
