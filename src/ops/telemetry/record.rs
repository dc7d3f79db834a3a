//! The recorder: writes an event in the transaction of what it tells of. Not an operation, so
//! nothing can write an event without its source.

use serde_json::Value;

use crate::Result;
use crate::domain::telemetry::{SubjectType, UsageDraft, UsageEvent};
use crate::ops::Context;
use crate::ops::store::usage;

/// What a source tells of itself.
pub(in crate::ops) struct Told {
    /// What happened.
    pub event: UsageEvent,
    /// The customer's workspace.
    pub workspace_id: Option<i64>,
    /// The tenant.
    pub tenant_id: Option<i64>,
    /// The customer who did it.
    pub user_id: Option<i64>,
    /// What it is about.
    pub subject: (SubjectType, i64),
    /// What else is told.
    pub metadata: Value,
}

/// Records that something was done, now, in the operation's transaction: a source whose event
/// breaks a rule does not happen.
pub(in crate::ops) async fn record(context: &mut Context, told: Told) -> Result<()> {
    let now = context.now();
    let draft = UsageDraft {
        event: told.event,
        workspace_id: told.workspace_id,
        tenant_id: told.tenant_id,
        user_id: told.user_id,
        subject_type: told.subject.0,
        subject_id: told.subject.1.to_string(),
        metadata: told.metadata,
        occurred_at: now,
    };
    usage::insert(context.tx()?, &draft.check(now)?).await
}
