//! Refusals that leave their line in the audit log and nothing else.

use serde_json::{Value, json};

use super::runs::RunScope;
use super::store::audit::NewAudit;
use super::store::savepoint;
use super::{AuditStatus, Context};
use crate::access::ViewScope;
use crate::{Error, ErrorKind, Result};

/// How many tenants of a scope an audit row names.
const NAMED: usize = 20;

/// Ends an attempt that began at a savepoint: what a success wrote stays; a refusal undoes all
/// of it, and `row` tells of it as refused or denied. Trouble with the database is neither:
/// then nothing at all is written.
pub(super) async fn settle<T>(
    context: &mut Context,
    row: NewAudit,
    attempt: Result<T>,
) -> Result<T> {
    match attempt {
        Ok(done) => {
            savepoint::release(context.tx()?).await?;
            Ok(done)
        }
        Err(error) if error.is_refusal() => {
            savepoint::undo(context.tx()?).await?;
            // A dry run's are not in the transaction.
            drop(context.take_refusals());
            record(context, row, &error).await?;
            context.keep_on_error();
            Err(error)
        }
        Err(error) => Err(error),
    }
}

/// Writes `row` as the refusal `error`; false where it is none.
pub(super) async fn record(
    context: &mut Context,
    mut row: NewAudit,
    error: &Error,
) -> Result<bool> {
    if !error.is_refusal() {
        return Ok(false);
    }
    row.status = status(context, error);
    if let Some(facts) = row.metadata.as_object_mut() {
        facts.insert("answer".to_owned(), json!(error.message()));
    }
    context.audit(&row).await?;
    Ok(true)
}

/// How the audit log calls a refusal. What a restricted view hides was denied, and what does
/// not exist looks the same to such a view.
pub(super) fn status(context: &Context, error: &Error) -> AuditStatus {
    match (error.kind(), context.permit().scope()) {
        (ErrorKind::Forbidden, _) | (ErrorKind::NotFound, ViewScope::Restricted { .. }) => {
            AuditStatus::Denied
        }
        _ => AuditStatus::Refused,
    }
}

/// A scope as the audit log keeps it: not a hundred thousand ids.
pub(super) fn scope_facts(scope: &RunScope) -> Value {
    match scope {
        RunScope::Tenants(ids) if ids.len() > NAMED => {
            json!({ "tenants": ids.iter().take(NAMED).collect::<Vec<_>>(), "tenants_in_all": ids.len() })
        }
        scope => scope.to_json(),
    }
}
