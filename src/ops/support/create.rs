//! Sending a request: one immutable row and its audit row.

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use super::requests::SupportRequest;
use crate::access::Requirement;
use crate::domain::capability::Capability;
use crate::domain::support::{
    AttachmentMode, CONTEXT_SCHEMA_VERSION, Draft, Evidence, Prepared, Reference,
};
use crate::ops::store::diagnostics;
use crate::ops::store::support::{self as rows, NewRequest, RequestRow};
use crate::ops::{About, Access, AuditStatus, Context, Operation};
use crate::{Error, Result};

/// How long evidence may lie before a request of it is sent: what is older no longer says how
/// things stand.
pub const EVIDENCE_GOOD_FOR: chrono::Duration = chrono::Duration::hours(4);

/// Sends a request. The same reference again gives the request that was stored under it, so a
/// retry after a lost answer never makes a second one.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateRequest {
    /// What it is made of, as it was shown.
    pub evidence: Arc<Evidence>,
    /// What the operator wrote.
    pub draft: Draft,
    /// What it will be quoted by; chosen by the sender, new for each request.
    pub reference: Reference,
}

/// A request that was sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Created {
    /// The request.
    pub request: SupportRequest,
    /// False: it was stored before, by the same person under the same reference.
    pub created: bool,
    /// Whether what was stored before says something else than the draft does now.
    pub differs: bool,
}

impl CreateRequest {
    /// A harmless example, for the test of the access check.
    pub(in crate::ops) fn sample() -> Self {
        use crate::domain::support::Subject;
        let opened_at = chrono::DateTime::UNIX_EPOCH;
        let subject = Subject {
            workspace_id: 0,
            workspace_name: String::new(),
            tenant_id: 0,
            tenant_name: String::new(),
            run: None,
        };
        Self {
            evidence: Arc::new(Evidence { subject, bundle: None, opened_at, platform_user_id: 0 }),
            draft: Draft { summary: "nothing".to_owned(), ..Draft::default() },
            reference: Reference::new(opened_at),
        }
    }
}

impl Operation for CreateRequest {
    const NAME: &'static str = "support.create_request";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::SupportRequestsCreate]);
    const ACCESS: Access = Access::Write;
    type Output = Created;

    fn about(&self) -> About {
        About::of("support_request", self.reference)
    }

    async fn execute(self, context: &mut Context) -> Result<Created> {
        let holder = context.permit().holder().map(|h| (h.platform_user_id, h.username.clone()));
        let Some((person, name)) = holder else {
            return Err(Error::refused("only a platform user sends a support request"));
        };
        let view = context.permit().scope();
        let reference = self.reference.to_string();
        let prepared = self.evidence.prepare(&self.draft);
        // Whatever was checked then, under other rights: it is stored, and it was theirs.
        if let Some(row) = rows::by_reference(context.tx()?, &reference, view).await? {
            return stored_before(context, row, person, &prepared).await;
        }
        if self.evidence.platform_user_id != person {
            return Err(Error::refused("this evidence was opened by somebody else")
                .hint("open it again under your own name"));
        }
        if prepared.attachment_mode == AttachmentMode::Snapshot {
            context.require(Capability::SupportDiagnosticsView, Self::NAME).await?;
        }
        let now = context.now();
        if now - self.evidence.opened_at > EVIDENCE_GOOD_FOR {
            return Err(Error::refused("what would be attached is older than four hours")
                .hint("open it again; your text is kept"));
        }
        check(&prepared)?;
        let subject = &prepared.subject;
        let tenant = diagnostics::tenant(context.tx()?, subject.tenant_id, view)
            .await?
            .filter(|tenant| tenant.workspace_id == subject.workspace_id)
            .ok_or_else(|| Error::not_found(format!("tenant {}", subject.tenant_id)))?;
        let row = NewRequest {
            reference: reference.clone(),
            workspace_id: tenant.workspace_id,
            tenant_id: tenant.id,
            run_id: subject.run.as_ref().map(|run| run.id),
            primary_context: subject.primary_context().as_str(),
            created_by: (person, &name),
            severity: prepared.severity.as_str(),
            summary: &prepared.summary.text,
            notes: prepared.notes.as_ref().map(|notes| notes.text.as_str()),
            contact_name: prepared.contact_name.as_ref().map(|name| name.text.as_str()),
            contact_email: prepared.contact_email.as_deref(),
            attachment_mode: prepared.attachment_mode.as_str(),
            context_schema_version: CONTEXT_SCHEMA_VERSION,
            context: prepared.context(),
            created_at: now,
        };
        if rows::insert(context.tx()?, &row).await?.is_none() {
            // The first try was still under way when this one looked.
            let stored = rows::by_reference(context.tx()?, &reference, view).await?;
            let stored = stored.ok_or_else(|| Error::refused("this reference is taken"))?;
            return stored_before(context, stored, person, &prepared).await;
        }
        let mut audit = context.audit_row(Self::NAME, AuditStatus::Succeeded);
        audit.workspace_id = Some(row.workspace_id);
        audit.tenant_id = Some(row.tenant_id);
        audit.run_id = row.run_id;
        audit.target_type = Some("support_request");
        audit.target_id = Some(reference.clone());
        audit.metadata = json!({
            "severity": row.severity,
            "attachment_mode": row.attachment_mode,
            "withheld": prepared.withheld,
            "items_left_out": prepared.withheld_items,
        });
        context.audit(&audit).await?;
        let stored = rows::by_reference(context.tx()?, &reference, view).await?;
        let stored = stored.ok_or_else(|| Error::failed("the request was not stored"))?;
        Ok(Created { request: stored.try_into()?, created: true, differs: false })
    }
}

/// Refuses what has a problem or may hold a secret.
fn check(prepared: &Prepared) -> Result<()> {
    if let Some(problem) = prepared.problems.first() {
        return Err(Error::usage(problem.text.clone()).hint("nothing was sent; the draft is kept"));
    }
    // The passage itself stays out of the text: it may be a secret.
    if let Some(suspect) = prepared.suspects.first() {
        let what = match prepared.suspects.len() {
            1 => "something still looks like a secret".to_owned(),
            many => format!("{many} passages still look like secrets, the first"),
        };
        return Err(Error::refused(format!("{what} in {}", suspect.place))
            .hint("mask it, leave the item out, or write it differently; nothing was sent"));
    }
    Ok(())
}

/// The answer where the reference is taken: by the same person it is the same request.
async fn stored_before(
    context: &mut Context,
    row: RequestRow,
    person: i64,
    prepared: &Prepared,
) -> Result<Created> {
    if row.created_by_platform_user != person {
        return Err(Error::refused("this reference is taken")
            .hint("leave it out: every request gets a new one"));
    }
    let texts = rows::texts(context.tx()?, row.id).await?;
    let text = |redacted: &Option<crate::domain::sanitize::Redacted>| {
        redacted.as_ref().map(|redacted| redacted.text.clone())
    };
    let differs = row.tenant_id != prepared.subject.tenant_id
        || row.run_id != prepared.subject.run.as_ref().map(|run| run.id)
        || row.severity != prepared.severity.as_str()
        || row.summary != prepared.summary.text
        || row.attachment_mode != prepared.attachment_mode.as_str()
        || texts.reproduction_notes != text(&prepared.notes)
        || texts.contact_name != text(&prepared.contact_name)
        || texts.contact_email != prepared.contact_email;
    Ok(Created { request: row.try_into()?, created: false, differs })
}
