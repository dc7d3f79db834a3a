//! Creating runs: the row, its frozen targets, and the reuse of an active one.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use super::sql;
use super::{Tx, on_tx};
use crate::domain::database_fault::Condition;
use crate::{Error, ErrorKind, Result};

/// A run to create.
#[derive(Debug)]
pub struct NewRun<'a> {
    /// Workspace, where it belongs to one.
    pub workspace_id: Option<i64>,
    /// Tenant, for a single-tenant run.
    pub tenant_id: Option<i64>,
    /// The customer who starts it.
    pub user_id: Option<i64>,
    /// The platform user who starts it.
    pub platform_user_id: Option<i64>,
    /// The initiator's name; none for system runs.
    pub initiator_name: Option<&'a str>,
    /// Where the start comes from.
    pub source: &'a str,
    /// Dotted type.
    pub run_type: &'a str,
    /// Scope kind.
    pub scope_kind: &'a str,
    /// Identity.
    pub identity_hash: &'a str,
    /// Idempotency key.
    pub request_id: Option<&'a str>,
    /// First counts.
    pub summary_counts: &'a Value,
    /// Inputs and other safe facts.
    pub context: &'a Value,
    /// How its targets are worked through.
    pub rollout: &'a Value,
    /// The run it tries again.
    pub retry_of: Option<i64>,
    /// The plan it was started by.
    pub plan_id: Option<i64>,
    /// Whether it is started under break-glass.
    pub break_glass: bool,
    /// Frozen targets; none stands for the platform itself.
    pub targets: &'a [Option<i64>],
    /// Now.
    pub now: DateTime<Utc>,
}

/// Inserts the run and its targets unless an index says that one like it is there; gives
/// the new id, or none.
pub async fn insert(tx: &mut Tx, new: &NewRun<'_>) -> Result<Option<i64>> {
    // Without a conflict target: two unique indexes can fire, the active identity's and the
    // idempotency key's.
    macro_rules! run {
        () => {
            "insert into operation_runs (workspace_id, tenant_id, user_id, platform_user_id, \
             initiator_name, source, type, scope_kind, identity_hash, request_id, summary_counts, \
             context, target_count, created_at, updated_at, rollout, retry_of_run_id, plan_id, \
             break_glass) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14, $15, $16, $17, $18) \
             on conflict do nothing returning id"
        };
    }
    let bound = |statement: sql::QueryScalar<i64>| {
        statement
            .bind(new.workspace_id)
            .bind(new.tenant_id)
            .bind(new.user_id)
            .bind(new.platform_user_id)
            .bind(new.initiator_name)
            .bind(new.source)
            .bind(new.run_type)
            .bind(new.scope_kind)
            .bind(new.identity_hash)
            .bind(new.request_id)
            .bind(Json(new.summary_counts))
            .bind(Json(new.context))
            .bind(i64::try_from(new.targets.len()).unwrap_or(i64::MAX))
            .bind(new.now)
            .bind(Json(new.rollout))
            .bind(new.retry_of)
            .bind(new.plan_id)
            .bind(new.break_glass)
    };
    // One statement for many rows: the ids travel as one JSON array, which both engines unfold.
    let targets = Json(Value::from(new.targets.to_vec()));
    match tx {
        Tx::Postgres(transaction) => {
            let statement = concat!(
                "with run as (",
                run!(),
                "), targets as (insert into operation_run_targets \
                 (run_id, ordinal, kind, tenant_id, updated_at) select run.id, t.n - 1, \
                 case when t.id is null then 'platform' else 'tenant' end, t.id::bigint, $14 \
                 from run, jsonb_array_elements_text($19) with ordinality as t (id, n)) \
                 select id from run"
            );
            let statement = bound(sql::query_scalar(statement)).bind(targets);
            Ok(statement.fetch_optional(&mut *transaction).await?)
        }
        Tx::Sqlite(transaction) => {
            let made = bound(sql::query_scalar(run!())).fetch_optional(&mut **transaction).await?;
            if let Some(id) = made {
                sql::query(
                    "insert into operation_run_targets (run_id, ordinal, kind, tenant_id, updated_at) \
                     select $1, t.key, case when t.value is null then 'platform' else 'tenant' end, t.value, $3 \
                     from json_each($2) t",
                )
                .bind(id)
                .bind(targets)
                .bind(new.now)
                .execute(&mut **transaction)
                .await?;
            }
            Ok(made)
        }
    }
}

/// Says of what kept a run from being written that it was the run. Who waits for the database, or for a
/// grant that the error names, gets that as it is.
pub fn unwritten(error: Error) -> Error {
    let waits = matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Unreachable)
        || error.condition() == Some(Condition::Denied);
    if error.fault().is_none() || waits {
        return error;
    }
    let bare = error.next_step().is_none();
    let error =
        if bare { error.hint("a rule or a trigger of the database forbids it") } else { error };
    error.told_as("the run could not be written, so nothing was done")
}

/// The active run of an identity.
pub async fn active_by_identity(tx: &mut Tx, identity_hash: &str) -> Result<Option<i64>> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar(
            "select id from operation_runs where identity_hash = $1 and status in ('queued', 'running')",
        )
        .bind(identity_hash)
        .fetch_optional(c)
        .await?)
    })
}

/// The run that a request made.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Requested {
    /// The run.
    pub id: i64,
    /// The identity it was made for.
    pub identity_hash: String,
    /// The platform user who started it.
    pub platform_user_id: Option<i64>,
    /// The customer who started it.
    pub user_id: Option<i64>,
    /// The run it tries again.
    pub retry_of_run_id: Option<i64>,
}

/// The run that a request made.
pub async fn by_request_id(tx: &mut Tx, request_id: &str) -> Result<Option<Requested>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select id, identity_hash, platform_user_id, user_id, retry_of_run_id from operation_runs where request_id = $1",
        )
        .bind(request_id)
        .fetch_optional(c)
        .await?)
    })
}

/// Whether a run is over exactly the targets of a plan.
pub async fn has_targets_of(tx: &mut Tx, run_id: i64, plan_id: i64) -> Result<bool> {
    on_tx!(tx, c => {
        let differ: i64 = sql::query_scalar(
            "select (select count(*) from operation_run_targets g where g.run_id = $1 and not exists \
             (select 1 from runbook_plan_targets p where p.plan_id = $2 and p.ordinal = g.ordinal \
             and p.tenant_id is not distinct from g.tenant_id)) + (select count(*) from runbook_plan_targets p \
             where p.plan_id = $2 and not exists (select 1 from operation_run_targets g \
             where g.run_id = $1 and p.ordinal = g.ordinal and p.tenant_id is not distinct from g.tenant_id))",
        )
        .bind(run_id)
        .bind(plan_id)
        .fetch_one(c)
        .await?;
        Ok(differ == 0)
    })
}
