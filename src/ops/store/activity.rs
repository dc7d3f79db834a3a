//! What customers do besides starting runs: onboarding, reports, review packs.

use chrono::{DateTime, Utc};

use super::sql;
use super::{Tx, on_tx};
use crate::Result;

/// The state of a checkpoint that is done.
pub const COMPLETED: &str = "completed";

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
        Ok(sql::query_as(
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
    /// The checkpoint that was completed last, as this program wrote it.
    pub last_completed_checkpoint: Option<String>,
    /// When the checkpoint it stands at was completed.
    pub completed_at: Option<DateTime<Utc>>,
}

impl OnboardingSession {
    /// The checkpoint that was completed last. Other writers may leave its column behind, so the
    /// state counts first.
    pub fn last_completed(&self) -> Option<&str> {
        if self.lifecycle_state == COMPLETED {
            return Some(&self.checkpoint_key);
        }
        self.last_completed_checkpoint.as_deref()
    }
}

/// One session, held until the transaction ends.
pub async fn onboarding(tx: &mut Tx, id: i64) -> Result<Option<OnboardingSession>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(concat!(
            "select id, workspace_id, tenant_id, checkpoint_key, lifecycle_state, \
             last_completed_checkpoint, completed_at from tenant_onboarding_sessions where id = $1", for_update!()
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
    /// The checkpoint that was completed last.
    pub last_completed: Option<&'a str>,
    /// Now.
    pub now: DateTime<Utc>,
}

/// Begins a session; gives its id.
pub async fn begin_onboarding(tx: &mut Tx, state: &OnboardingState<'_>) -> Result<i64> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar(
            "insert into tenant_onboarding_sessions (workspace_id, tenant_id, user_id, checkpoint_key, \
             lifecycle_state, created_at, updated_at, completed_at, last_completed_checkpoint) \
             values ($1, $2, $3, $4, $5, $6, $6, $7, $8) returning id",
        )
        .bind(state.workspace_id)
        .bind(state.tenant_id)
        .bind(state.user_id)
        .bind(state.checkpoint_key)
        .bind(state.lifecycle_state)
        .bind(state.now)
        .bind(state.completed_at)
        .bind(state.last_completed)
        .fetch_one(c)
        .await?)
    })
}

/// Writes where a session stands now.
pub async fn move_onboarding(tx: &mut Tx, id: i64, state: &OnboardingState<'_>) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(
            "update tenant_onboarding_sessions set tenant_id = $2, user_id = $3, checkpoint_key = $4, \
             lifecycle_state = $5, updated_at = $6, completed_at = $7, last_completed_checkpoint = $8 where id = $1",
        )
        .bind(id)
        .bind(state.tenant_id)
        .bind(state.user_id)
        .bind(state.checkpoint_key)
        .bind(state.lifecycle_state)
        .bind(state.now)
        .bind(state.completed_at)
        .bind(state.last_completed)
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
        Ok(sql::query_scalar(
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

/// What a review pack holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct PackOptions {
    /// The tenant it is about.
    pub tenant_id: i64,
    /// Whether it lists operations.
    pub include_operations: bool,
    /// Whether it holds personal data.
    pub include_pii: bool,
}

/// The newest pack of these options that is ready, not expired, and made of this evidence.
pub async fn usable_pack(
    tx: &mut Tx,
    options: PackOptions,
    fingerprint: &str,
    now: DateTime<Utc>,
) -> Result<Option<i64>> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar(
            "select id from review_packs where tenant_id = $1 and include_operations = $2 \
             and include_pii = $3 and status = 'ready' and expires_at > $4 and evidence_fingerprint = $5 \
             order by created_at desc, id desc limit 1",
        )
        .bind(options.tenant_id)
        .bind(options.include_operations)
        .bind(options.include_pii)
        .bind(now)
        .bind(fingerprint)
        .fetch_optional(c)
        .await?)
    })
}

/// How a pack is written.
#[derive(Debug, Clone, Copy)]
pub struct PackState<'a> {
    /// The evidence it is made of.
    pub fingerprint: &'a str,
    /// Until when it may be reused.
    pub expires_at: DateTime<Utc>,
    /// Now.
    pub now: DateTime<Utc>,
}

/// Requests a pack; gives its ID.
pub async fn request_pack(
    tx: &mut Tx,
    workspace_id: i64,
    options: PackOptions,
    state: PackState<'_>,
) -> Result<i64> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar(
            "insert into review_packs (workspace_id, tenant_id, status, include_operations, include_pii, \
             created_at, expires_at, evidence_fingerprint) values ($1, $2, 'requested', $3, $4, $5, $6, $7) \
             returning id",
        )
        .bind(workspace_id)
        .bind(options.tenant_id)
        .bind(options.include_operations)
        .bind(options.include_pii)
        .bind(state.now)
        .bind(state.expires_at)
        .bind(state.fingerprint)
        .fetch_one(c)
        .await?)
    })
}

/// The options of a pack that was requested and is not ready, held until the transaction ends.
pub async fn requested_pack(tx: &mut Tx, id: i64) -> Result<Option<PackOptions>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(concat!(
            "select tenant_id, include_operations, include_pii from review_packs \
             where id = $1 and status = 'requested'", for_update!()
        ))
        .bind(id)
        .fetch_optional(c)
        .await?)
    })
}

/// Marks a pack as ready: which run made it, of what evidence, and until when it may be reused.
pub async fn complete_pack(tx: &mut Tx, id: i64, run_id: i64, state: PackState<'_>) -> Result<()> {
    on_tx!(tx, c => {
        sql::query(
            "update review_packs set status = 'ready', run_id = $2, expires_at = $3, \
             evidence_fingerprint = $4 where id = $1",
        )
        .bind(id)
        .bind(run_id)
        .bind(state.expires_at)
        .bind(state.fingerprint)
        .execute(c)
        .await?;
        Ok(())
    })
}

/// A group of evidence of a tenant: what it is, how many rows, and the newest change of them.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct EvidenceGroup {
    /// What kind of rows, by its codes: `finding new critical`.
    pub kind: String,
    /// How many.
    pub rows: i64,
    /// The newest change.
    pub newest: Option<DateTime<Utc>>,
}

/// What a review pack of a tenant is made of: its findings, its stored reports and, where the
/// pack lists operations, its ended runs. Runs that make packs are no evidence: a pack would be
/// outdated by its own making.
pub async fn evidence(
    tx: &mut Tx,
    tenant_id: i64,
    include_operations: bool,
    not_of_type: &str,
) -> Result<Vec<EvidenceGroup>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select 'finding ' || f.status || ' ' || f.severity as kind, count(*) as rows, \
             max(f.updated_at) as newest from findings f where f.tenant_id = $1 group by 1 \
             union all select 'report ' || s.report_type, count(*), max(s.created_at) \
             from stored_reports s where s.tenant_id = $1 group by 1 \
             union all select 'run ' || r.type || ' ' || r.outcome, count(*), max(r.completed_at) \
             from operation_runs r where r.tenant_id = $1 and $2 and r.status = 'completed' and r.type <> $3 \
             group by 1 order by 1",
        )
        .bind(tenant_id)
        .bind(include_operations)
        .bind(not_of_type)
        .fetch_all(c)
        .await?)
    })
}
