//! Support requests: written once, then read.

use chrono::{DateTime, Utc};
use serde_json::Value;

use sqlx::types::Json;

use super::name_match::NameMatch;
use super::run_list::Cursor;
use super::run_read::restricted_to;
use super::sql;
use super::sql::QueryBuilder;
use super::{Tx, on_tx};
use crate::Result;
use crate::access::ViewScope;
use crate::domain::name_pattern::NamePattern;

/// A request to write.
#[derive(Debug)]
pub struct NewRequest<'a> {
    /// `SR-` and a ULID.
    pub reference: String,
    /// The workspace.
    pub workspace_id: i64,
    /// The tenant.
    pub tenant_id: i64,
    /// The run, where it is about one.
    pub run_id: Option<i64>,
    /// Code of what it is about.
    pub primary_context: &'static str,
    /// Who sends it.
    pub created_by: (i64, &'a str),
    /// Code of how much it presses.
    pub severity: &'static str,
    /// Redacted.
    pub summary: &'a str,
    /// Redacted.
    pub notes: Option<&'a str>,
    /// Redacted.
    pub contact_name: Option<&'a str>,
    /// As typed.
    pub contact_email: Option<&'a str>,
    /// Code of what goes with it.
    pub attachment_mode: &'static str,
    /// Version of the context's form.
    pub context_schema_version: i64,
    /// Redacted.
    pub context: Value,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A request as lists read it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct RequestRow {
    /// Id.
    pub id: i64,
    /// `SR-` and a ULID.
    pub reference: String,
    /// The workspace.
    pub workspace_id: i64,
    /// Its name by now, as stored.
    pub workspace_name: Option<String>,
    /// The tenant.
    pub tenant_id: i64,
    /// Its name by now, as stored.
    pub tenant_name: Option<String>,
    /// The run.
    pub run_id: Option<i64>,
    /// Code of what it is about.
    pub primary_context: String,
    /// Who sent it.
    pub created_by_platform_user: i64,
    /// Their name at the time.
    pub created_by_name: String,
    /// Code of how much it presses.
    pub severity: String,
    /// One line.
    pub summary: String,
    /// Code of what goes with it.
    pub attachment_mode: String,
    /// When it was sent.
    pub created_at: DateTime<Utc>,
}

/// What only a detail reads.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct RequestTexts {
    /// Several lines.
    pub reproduction_notes: Option<String>,
    /// Whom to ask.
    pub contact_name: Option<String>,
    /// Where to reach them.
    pub contact_email: Option<String>,
    /// Version of the context's form.
    pub context_schema_version: i64,
    /// The context, as JSON.
    pub context: String,
}

macro_rules! request_columns {
    () => {
        "select q.id, q.reference, q.workspace_id, w.name as workspace_name, q.tenant_id, \
         t.name as tenant_name, q.run_id, q.primary_context, q.created_by_platform_user, \
         q.created_by_name, q.severity, q.summary, q.attachment_mode, q.created_at \
         from support_requests q left join workspaces w on w.id = q.workspace_id \
         left join tenants t on t.id = q.tenant_id where 1 = 1"
    };
}

/// Writes a request; none where its reference is taken, also by a transaction that ended meanwhile.
pub async fn insert(tx: &mut Tx, row: &NewRequest<'_>) -> Result<Option<i64>> {
    on_tx!(tx, c => {
        Ok(sql::query_scalar(
            "insert into support_requests (reference, workspace_id, tenant_id, run_id, primary_context, \
             created_by_platform_user, created_by_name, severity, summary, reproduction_notes, \
             contact_name, contact_email, attachment_mode, context_schema_version, context, created_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
             on conflict (reference) do nothing returning id",
        )
        .bind(&row.reference)
        .bind(row.workspace_id)
        .bind(row.tenant_id)
        .bind(row.run_id)
        .bind(row.primary_context)
        .bind(row.created_by.0)
        .bind(row.created_by.1)
        .bind(row.severity)
        .bind(row.summary)
        .bind(row.notes)
        .bind(row.contact_name)
        .bind(row.contact_email)
        .bind(row.attachment_mode)
        .bind(row.context_schema_version)
        .bind(Json(&row.context))
        .bind(row.created_at)
        .fetch_optional(c)
        .await?)
    })
}

/// The request of a reference within a view.
pub async fn by_reference(
    tx: &mut Tx,
    reference: &str,
    view: ViewScope,
) -> Result<Option<RequestRow>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(concat!(
            request_columns!(), " and q.reference = $1 and ($2 is null or exists (select 1 from \
             platform_user_workspaces v where v.platform_user_id = $2 and v.workspace_id = q.workspace_id))"
        ))
        .bind(reference)
        .bind(restricted_to(view))
        .fetch_optional(c)
        .await?)
    })
}

/// What else a request holds.
pub async fn texts(tx: &mut Tx, id: i64) -> Result<RequestTexts> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select reproduction_notes, contact_name, contact_email, context_schema_version, \
             cast(context as text) as context from support_requests where id = $1",
        )
        .bind(id)
        .fetch_one(c)
        .await?)
    })
}

/// Which requests are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// Of this tenant.
    pub tenant_id: Option<i64>,
    /// Of this run.
    pub run_id: Option<i64>,
    /// Of this severity.
    pub severity: Option<&'static str>,
    /// Sent by this person.
    pub created_by: Option<i64>,
    /// Whose reference, summary, tenant or sender matches.
    pub name: Option<&'a NamePattern>,
    /// Only what is older than this place.
    pub before: Option<Cursor>,
    /// At most so many.
    pub limit: i64,
}

/// Requests within a view, newest first.
pub async fn page(tx: &mut Tx, view: ViewScope, wanted: &Wanted<'_>) -> Result<Vec<RequestRow>> {
    on_tx!(tx, c => {
        let mut sql = QueryBuilder::new(request_columns!());
        if let Some(person) = restricted_to(view) {
            sql.push(
                " and exists (select 1 from platform_user_workspaces v \
                 where v.workspace_id = q.workspace_id and v.platform_user_id = ",
            );
            sql.push_bind(person).push(")");
        }
        if let Some(tenant_id) = wanted.tenant_id {
            sql.push(" and q.tenant_id = ").push_bind(tenant_id);
        }
        if let Some(run_id) = wanted.run_id {
            sql.push(" and q.run_id = ").push_bind(run_id);
        }
        if let Some(severity) = wanted.severity {
            sql.push(" and q.severity = ").push_bind(severity);
        }
        if let Some(person) = wanted.created_by {
            sql.push(" and q.created_by_platform_user = ").push_bind(person);
        }
        if let Some(name) = wanted.name {
            sql.push(" and (1 = 0");
            for column in ["q.reference", "q.summary", "t.name", "q.created_by_name"] {
                sql.push(" or ");
                NameMatch::push_match(&mut sql, column, name);
            }
            sql.push(")");
        }
        if let Some(place) = wanted.before {
            sql.push(" and (q.created_at, q.id) < (").push_bind(place.created_at);
            sql.push(", ").push_bind(place.id).push(")");
        }
        sql.push(" order by q.created_at desc, q.id desc limit ").push_bind(wanted.limit);
        Ok(sql.fetch_all(c).await?)
    })
}
