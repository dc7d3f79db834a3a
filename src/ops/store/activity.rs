//! What customers do besides starting runs: onboarding, reports, review packs.

use chrono::{DateTime, Utc};

use super::{Tx, on_tx};
use crate::Result;

/// A run as what is done with it needs it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct SourceRun {
    /// Its workspace, where it lies in one.
    pub workspace_id: Option<i64>,
    /// Its tenant, where it has one.
    pub tenant_id: Option<i64>,
    /// The customer who started it.
    pub user_id: Option<i64>,
    /// Its type.
    pub run_type: String,
}

/// One run.
pub async fn run(tx: &mut Tx, id: i64) -> Result<Option<SourceRun>> {
    on_tx!(tx, c => {
        Ok(sqlx::query_as(
            "select workspace_id, tenant_id, user_id, type as run_type from operation_runs where id = $1",
        )
        .bind(id)
        .fetch_optional(c)
        .await?)
    })
}

/// An onboarding session.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct OnboardingSession {
    /// Id.
    pub id: i64,
    /// Its workspace.
    pub workspace_id: i64,
    /// The tenant it is linked to.
    pub tenant_id: Option<i64>,
    /// Where it stands.
    pub checkpoint_key: String,
    /// How it stands there.
    pub lifecycle_state: String,
}

/// One session, held until the transaction ends.
pub async fn onboarding(tx: &mut Tx, id: i64) -> Result<Option<OnboardingSession>> {
    on_tx!(tx, c => {
        Ok(sqlx::query_as(concat!(
            "select id, workspace_id, tenant_id, checkpoint_key, lifecycle_state \
             from tenant_onboarding_sessions where id = $1", for_update!()
        ))
        .bind(id)
        .fetch_optional(c)
        .await?)
    })
}

/// An onboarding session as it is to be.
#[derive(Debug, Clone, Copy)]
pub struct OnboardingState<'a> {
    /// Its workspace.
    pub workspace_id: i64,
    /// The tenant it is linked to.
    pub tenant_id: Option<i64>,
    /// The customer who works on it.
    pub user_id: i64,
    /// Where it stands.
    pub checkpoint_key: &'a str,
    /// How it stands there.
    pub lifecycle_state: &'a str,
    /// When the checkpoint was completed.
    pub completed_at: Option<DateTime<Utc>>,
    /// Now.
    pub now: DateTime<Utc>,
}

/// Begins a session; gives its id.
pub async fn begin_onboarding(tx: &mut Tx, state: &OnboardingState<'_>) -> Result<i64> {
    on_tx!(tx, c => {
        Ok(sqlx::query_scalar(
            "insert into tenant_onboarding_sessions (workspace_id, tenant_id, user_id, checkpoint_key, \
             lifecycle_state, created_at, updated_at, completed_at) values ($1, $2, $3, $4, $5, $6, $6, $7) \
             returning id",
        )
        .bind(state.workspace_id)
        .bind(state.tenant_id)
        .bind(state.user_id)
        .bind(state.checkpoint_key)
        .bind(state.lifecycle_state)
        .bind(state.now)
        .bind(state.completed_at)
        .fetch_one(c)
        .await?)
    })
}

/// Writes where a session stands now.
pub async fn move_onboarding(tx: &mut Tx, id: i64, state: &OnboardingState<'_>) -> Result<()> {
    on_tx!(tx, c => {
        sqlx::query(
            "update tenant_onboarding_sessions set tenant_id = $2, user_id = $3, checkpoint_key = $4, \
             lifecycle_state = $5, updated_at = $6, completed_at = $7 where id = $1",
        )
        .bind(id)
        .bind(state.tenant_id)
        .bind(state.user_id)
        .bind(state.checkpoint_key)
        .bind(state.lifecycle_state)
        .bind(state.now)
        .bind(state.completed_at)
        .execute(c)
        .await?;
        Ok(())
    })
}

/// Stores a report of a run; gives its id.
pub async fn insert_report(
    tx: &mut Tx,
    (workspace_id, tenant_id, run_id): (i64, i64, i64),
    report_type: &str,
    now: DateTime<Utc>,
) -> Result<i64> {
    on_tx!(tx, c => {
        Ok(sqlx::query_scalar(
            "insert into stored_reports (workspace_id, tenant_id, run_id, report_type, created_at) \
             values ($1, $2, $3, $4, $5) returning id",
        )
        .bind(workspace_id)
        .bind(tenant_id)
        .bind(run_id)
        .bind(report_type)
        .bind(now)
        .fetch_one(c)
        .await?)
    })
}

/// Lets one request for packs of a tenant after the other go on. Rows that refer to the tenant
/// are written meanwhile.
pub async fn queue_at_tenant(tx: &mut Tx, tenant_id: i64) -> Result<()> {
    // SQLite has one writer anyway.
    let Tx::Postgres(transaction) = tx else { return Ok(()) };
    sqlx::query("select id from tenants where id = $1 for no key update")
        .bind(tenant_id)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// What a review pack holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackOptions {
    /// The tenant it is about.
    pub tenant_id: i64,
    /// Whether it lists operations.
    pub include_operations: bool,
    /// Whether it holds personal data.
    pub include_pii: bool,
}

/// The newest pack of these options that is asked for or ready.
pub async fn usable_pack(tx: &mut Tx, options: PackOptions) -> Result<Option<i64>> {
    on_tx!(tx, c => {
        Ok(sqlx::query_scalar(
            "select id from review_packs where tenant_id = $1 and include_operations = $2 \
             and include_pii = $3 and status in ('requested', 'ready') \
             order by created_at desc, id desc limit 1",
        )
        .bind(options.tenant_id)
        .bind(options.include_operations)
        .bind(options.include_pii)
        .fetch_optional(c)
        .await?)
    })
}

/// Asks for a pack; gives its id.
pub async fn request_pack(
    tx: &mut Tx,
    workspace_id: i64,
    options: PackOptions,
    now: DateTime<Utc>,
) -> Result<i64> {
    on_tx!(tx, c => {
        Ok(sqlx::query_scalar(
            "insert into review_packs (workspace_id, tenant_id, status, include_operations, include_pii, \
             created_at) values ($1, $2, 'requested', $3, $4, $5) returning id",
        )
        .bind(workspace_id)
        .bind(options.tenant_id)
        .bind(options.include_operations)
        .bind(options.include_pii)
        .bind(now)
        .fetch_one(c)
        .await?)
    })
}
