//! The audit log: append-only rows, written in the transaction of what they tell of.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::types::Json;

use super::sql;
use super::{Tx, on_tx};
use crate::text_enum;
use crate::{Error, Result};

text_enum! {
    /// How an audited action ended.
    pub enum AuditStatus as "audit status" {
        /// It was done.
        Succeeded = "succeeded",
        /// It was tried and did not work.
        Failed = "failed",
        /// The actor may not do it.
        Denied = "denied",
        /// Too many attempts.
        Throttled = "throttled",
        /// A rule of the platform refused it.
        Refused = "refused",
    }
}

/// A row to write.
#[derive(Debug, Clone)]
pub struct NewAudit {
    /// `system` or `admin`.
    pub plane: &'static str,
    /// `platform_user`, `system`, `customer` or `anonymous`.
    pub actor_kind: &'static str,
    /// The actor's id, where they have one.
    pub actor_id: Option<i64>,
    /// The actor's name at the time.
    pub actor_name: Option<String>,
    /// Where a login came from.
    pub origin: Option<String>,
    /// Dotted action id, `auth.login`.
    pub action: &'static str,
    /// How it ended.
    pub status: AuditStatus,
    /// The workspace it touched.
    pub workspace_id: Option<i64>,
    /// The tenant it touched.
    pub tenant_id: Option<i64>,
    /// The run it touched.
    pub run_id: Option<i64>,
    /// What kind of thing it touched.
    pub target_type: Option<&'static str>,
    /// That thing's id or name.
    pub target_id: Option<String>,
    /// The state before.
    pub before: Option<Value>,
    /// The state after.
    pub after: Option<Value>,
    /// Other facts: codes and ids only.
    pub metadata: Value,
    /// Whether it happened under break-glass.
    pub break_glass: bool,
    /// When.
    pub occurred_at: DateTime<Utc>,
}

/// A row as it is read.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct AuditRow {
    /// Id.
    pub id: i64,
    /// The actor's name at the time.
    pub actor_name: Option<String>,
    /// What kind of actor.
    pub actor_kind: String,
    /// Dotted action id.
    pub action: String,
    /// How it ended.
    pub status: String,
    /// When.
    pub occurred_at: DateTime<Utc>,
    /// Whether it happened under break-glass.
    pub break_glass: bool,
}

/// What is said of a row that cannot be written.
const UNWRITTEN: &str = "the audit row could not be written";

/// Writes one row. The transaction's commit can be looked up by it.
///
/// # Errors
/// An audit row that cannot be written refuses what it tells of: the error says so, with the
/// cause in its hint. *Failed* also where the database takes the statement and keeps no row: a
/// rule or a trigger swallowed it.
pub async fn insert(tx: &mut Tx, row: &NewAudit) -> Result<()> {
    let kept = keep(tx, row).await;
    let kept = kept.map_err(|error| error.told_as(format!("{UNWRITTEN}, so nothing was done")))?;
    if kept { Ok(()) } else { Err(swallowed(&format!("nothing was changed; {SWALLOWS}"))) }
}

/// The same of the last part of what was done in several transactions: an error does not say that
/// nothing was done.
pub async fn insert_of_rest(tx: &mut Tx, row: &NewAudit) -> Result<()> {
    let kept = keep(tx, row).await.map_err(|error| error.told_as(UNWRITTEN))?;
    if kept { Ok(()) } else { Err(swallowed(SWALLOWS)) }
}

/// Writes the row of the end of a run. Its steps are committed: an error does not say that nothing was
/// done.
pub async fn insert_of_end(tx: &mut Tx, row: &NewAudit) -> Result<()> {
    if keep(tx, row).await? { Ok(()) } else { Err(swallowed(SWALLOWS)) }
}

/// What keeps a row away that the database has taken.
const SWALLOWS: &str = "a rule or a trigger of the database swallows audit rows";

fn swallowed(hint: &str) -> Error {
    Error::failed("the audit log did not keep the row of this action").hint(hint)
}

/// Writes one row; false where the database keeps none.
async fn keep(tx: &mut Tx, row: &NewAudit) -> Result<bool> {
    let Some((id, occurred_at, transaction)) = write(tx, row).await? else { return Ok(false) };
    tx.remember(transaction.as_deref());
    tx.remember_audit(id, occurred_at);
    Ok(true)
}

/// A written row's id and time, and the transaction's id on PostgreSQL.
type Written = (i64, DateTime<Utc>, Option<String>);

async fn write(tx: &mut Tx, row: &NewAudit) -> Result<Option<Written>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(concat!(
            "insert into audit_logs (plane, actor_kind, actor_id, actor_name, origin, action, status, \
             workspace_id, tenant_id, run_id, target_type, target_id, before_state, after_state, \
             metadata, occurred_at, break_glass) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) \
             returning id, occurred_at, ", transaction_id!()
        ))
        .bind(row.plane)
        .bind(row.actor_kind)
        .bind(row.actor_id)
        .bind(row.actor_name.as_deref())
        .bind(row.origin.as_deref())
        .bind(row.action)
        .bind(row.status.as_str())
        .bind(row.workspace_id)
        .bind(row.tenant_id)
        .bind(row.run_id)
        .bind(row.target_type)
        .bind(row.target_id.as_deref())
        .bind(row.before.as_ref().map(Json))
        .bind(row.after.as_ref().map(Json))
        .bind(Json(&row.metadata))
        .bind(row.occurred_at)
        .bind(row.break_glass)
        .fetch_optional(c)
        .await?)
    })
}

/// The rows about one run, oldest first, at most `limit`.
pub async fn of_run(tx: &mut Tx, run_id: i64, limit: i64) -> Result<Vec<AuditRow>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select id, actor_name, actor_kind, action, status, occurred_at, break_glass from audit_logs \
             where run_id = $1 order by id limit $2",
        )
        .bind(run_id)
        .bind(limit)
        .fetch_all(c)
        .await?)
    })
}
