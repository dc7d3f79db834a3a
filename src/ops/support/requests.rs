//! Support requests that were sent.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::access::Requirement;
use crate::domain::capability::Capability;
use crate::domain::name_pattern::NamePattern;
use crate::domain::setting::SettingKey;
use crate::domain::support::{
    AttachmentMode, Bundle, CONTEXT_SCHEMA_VERSION, PrimaryContext, Reference, Severity, safe_line,
};
use crate::ops::runs::Cursor;
use crate::ops::store::support::{self as rows, RequestRow};
use crate::ops::{Access, Context, Operation, settings};
use crate::{Error, Result};

/// The largest page.
const MAX_LIMIT: i64 = 1_000;
/// Who may see requests: whoever may send some, and whoever may open diagnostics.
pub const SEES_REQUESTS: Requirement = Requirement::Any(&[
    &[Capability::SupportRequestsCreate],
    &[Capability::SupportDiagnosticsView],
]);

/// A request as lists show it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SupportRequest {
    /// Id.
    pub id: i64,
    /// What people quote.
    pub reference: Reference,
    /// The workspace.
    pub workspace_id: i64,
    /// Its name by now, without what looks like a secret.
    pub workspace_name: Option<String>,
    /// The tenant.
    pub tenant_id: i64,
    /// Its name by now, without what looks like a secret.
    pub tenant_name: Option<String>,
    /// The run, where it is about one.
    pub run_id: Option<i64>,
    /// What it is about.
    pub primary_context: PrimaryContext,
    /// Who sent it.
    pub created_by_platform_user: i64,
    /// Their name at the time.
    pub created_by_name: String,
    /// How much it presses.
    pub severity: Severity,
    /// One line, redacted.
    pub summary: String,
    /// What goes with it.
    pub attachment_mode: AttachmentMode,
    /// When it was sent.
    pub created_at: DateTime<Utc>,
}

impl SupportRequest {
    /// Its place in the list.
    pub fn place(&self) -> Cursor {
        Cursor { created_at: self.created_at, id: self.id }
    }
}

impl TryFrom<RequestRow> for SupportRequest {
    type Error = Error;

    fn try_from(row: RequestRow) -> Result<Self> {
        Ok(Self {
            id: row.id,
            reference: row.reference.parse()?,
            workspace_id: row.workspace_id,
            workspace_name: row.workspace_name.as_deref().map(safe_line),
            tenant_id: row.tenant_id,
            tenant_name: row.tenant_name.as_deref().map(safe_line),
            run_id: row.run_id,
            primary_context: row.primary_context.parse()?,
            created_by_platform_user: row.created_by_platform_user,
            created_by_name: row.created_by_name,
            severity: row.severity.parse()?,
            summary: row.summary,
            attachment_mode: row.attachment_mode.parse()?,
            created_at: row.created_at,
        })
    }
}

/// Lists requests of the actor's view, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListRequests {
    /// Of this tenant.
    pub tenant_id: Option<i64>,
    /// Of this run.
    pub run_id: Option<i64>,
    /// Of this severity.
    pub severity: Option<Severity>,
    /// Sent by the actor.
    pub mine: bool,
    /// Part of a reference, a summary, a tenant's or a sender's name; empty: all.
    pub search: String,
    /// Only what is older than this place.
    pub before: Option<Cursor>,
    /// At most so many rows, up to 1,000; 0 means 50.
    pub limit: i64,
}

/// A part of the list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RequestPage {
    /// Newest first.
    pub support_requests: Vec<SupportRequest>,
    /// Where the next part starts, if there is more.
    #[serde(skip)]
    pub next: Option<Cursor>,
}

impl Operation for ListRequests {
    const NAME: &'static str = "support.list_requests";
    const REQUIREMENT: Requirement = SEES_REQUESTS;
    const ACCESS: Access = Access::Read;
    type Output = RequestPage;

    async fn execute(self, context: &mut Context) -> Result<RequestPage> {
        let limit = if self.limit <= 0 { 50 } else { self.limit.min(MAX_LIMIT) };
        let view = context.permit().scope();
        let person = context.permit().holder().map(|holder| holder.platform_user_id);
        let name = NamePattern::searched(&self.search);
        let wanted = rows::Wanted {
            tenant_id: self.tenant_id,
            run_id: self.run_id,
            severity: self.severity.map(Severity::as_str),
            created_by: if self.mine { person } else { None },
            name: name.as_ref(),
            before: self.before,
            limit: limit + 1,
        };
        let mut found = rows::page(context.tx()?, view, &wanted).await?;
        let more = i64::try_from(found.len()).unwrap_or(i64::MAX) > limit;
        if more {
            found.pop();
        }
        let support_requests: Vec<SupportRequest> =
            found.into_iter().map(SupportRequest::try_from).collect::<Result<_>>()?;
        let next = support_requests.last().filter(|_| more).map(SupportRequest::place);
        Ok(RequestPage { support_requests, next })
    }
}

/// Reads one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetRequest {
    /// What people quote.
    pub reference: Reference,
}

impl GetRequest {
    /// A harmless example, for the test of the access check.
    pub(in crate::ops) fn sample() -> Self {
        Self { reference: Reference::new(DateTime::UNIX_EPOCH) }
    }
}

/// One request, whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RequestDetail {
    /// What lists show of it.
    #[serde(flatten)]
    pub request: SupportRequest,
    /// Several lines, redacted.
    pub reproduction_notes: Option<String>,
    /// Whom to ask.
    pub contact_name: Option<String>,
    /// Where to reach them.
    pub contact_email: Option<String>,
    /// Where the platform says that requests are answered; empty where it says nothing.
    pub answered_at: String,
    /// Version of the context's form.
    pub context_schema_version: i64,
    /// The context as stored; without its diagnostics where the actor may not open diagnostics.
    pub context: Value,
    /// Whether diagnostics were left out for that reason.
    pub diagnostics_hidden: bool,
    /// Whether the stored context could not be read: somebody wrote it past the program.
    pub context_unreadable: bool,
}

impl RequestDetail {
    /// The diagnostics that went with it, where this version can read them.
    pub fn bundle(&self) -> Option<Bundle> {
        if self.context_schema_version > CONTEXT_SCHEMA_VERSION {
            return None;
        }
        serde_json::from_value(self.context.get("diagnostics")?.clone()).ok()
    }

    /// How often each rule masked something in it, as stored: rule and count.
    pub fn withheld(&self) -> crate::domain::sanitize::Tally {
        let stored = self.context["redaction"]["withheld"].clone();
        serde_json::from_value(stored).unwrap_or_default()
    }
}

impl Operation for GetRequest {
    const NAME: &'static str = "support.get_request";
    const REQUIREMENT: Requirement = SEES_REQUESTS;
    const ACCESS: Access = Access::Read;
    type Output = RequestDetail;

    async fn execute(self, context: &mut Context) -> Result<RequestDetail> {
        let view = context.permit().scope();
        let opens = context.permit().has(Capability::SupportDiagnosticsView);
        let tx = context.tx()?;
        let answered_at = settings::lenient(tx, SettingKey::SupportContactText).await?;
        let reference = self.reference.to_string();
        let row = rows::by_reference(tx, &reference, view)
            .await?
            .ok_or_else(|| Error::not_found(format!("support request {reference}")))?;
        let texts = rows::texts(tx, row.id).await?;
        let request = SupportRequest::try_from(row)?;
        let hidden = !opens && request.attachment_mode == AttachmentMode::Snapshot;
        let mut stored: Option<Value> = serde_json::from_str(&texts.context).ok();
        if hidden && let Some(context) = stored.as_mut().and_then(Value::as_object_mut) {
            context.insert("diagnostics".to_owned(), Value::Null);
        }
        Ok(RequestDetail {
            request,
            reproduction_notes: texts.reproduction_notes,
            contact_name: texts.contact_name,
            contact_email: texts.contact_email,
            answered_at,
            context_schema_version: texts.context_schema_version,
            context_unreadable: stored.is_none(),
            context: stored.unwrap_or_default(),
            diagnostics_hidden: hidden,
        })
    }
}
