//! What customers do in their own plane, entering in process: each does its work in its table
//! and leaves its telemetry event in the same transaction. Nothing else leaves these events.

mod diagnostics;
mod onboarding;
mod reports;
mod review_packs;

pub use super::store::activity::EvidenceGroup;
pub use diagnostics::{DiagnosticsOpened, DiagnosticsSubject, OpenDiagnostics};
pub use onboarding::{CheckpointSaved, SaveCheckpoint};
pub use reports::StoreReport;
pub use review_packs::{
    CompleteReviewPack, PACK_LIFETIME, PACK_TYPE, RequestReviewPack, ReviewPackAnswer,
    fingerprint_of,
};

use super::Context;
use super::store::customers::{self, CustomerRow, TenantRow};
use crate::access::Actor;
use crate::{Error, Result};

/// The customer who acts, if they are active.
async fn customer(context: &mut Context) -> Result<CustomerRow> {
    let Actor::Customer { user_id } = *context.permit().actor() else {
        return Err(Error::refused("only a customer does this"));
    };
    let found = customers::customer(context.tx()?, user_id).await?;
    found.filter(|customer| customer.active).ok_or_else(|| Error::not_found("the user"))
}

/// A tenant of the customer's own workspace, held against archiving. One of another workspace
/// does not exist for them.
async fn own_tenant(context: &mut Context, who: &CustomerRow, id: i64) -> Result<TenantRow> {
    let tenant = customers::tenant(context.tx()?, id, true).await?;
    real(id, tenant.filter(|tenant| tenant.workspace_id == who.workspace_id))
}

/// A tenant of a customer, held against archiving.
async fn real_tenant(context: &mut Context, id: i64) -> Result<TenantRow> {
    real(id, customers::tenant(context.tx()?, id, true).await?)
}

/// A tenant that is there, not archived, and not the platform's own.
fn real(id: i64, tenant: Option<TenantRow>) -> Result<TenantRow> {
    let tenant = tenant
        .filter(|tenant| !tenant.is_platform)
        .ok_or_else(|| Error::not_found(format!("tenant {id}")))?;
    if tenant.archived {
        return Err(Error::refused(format!("tenant {id} is archived")));
    }
    Ok(tenant)
}
