//! A customer asks for a review pack. One that is there already answers.

use serde_json::json;

use super::{customer, own_tenant};
use crate::Result;
use crate::access::Requirement;
use crate::domain::telemetry::{SourceSurface, SubjectType, UsageEvent};
use crate::ops::store::activity::{self, PackOptions};
use crate::ops::telemetry::record::{Told, record};
use crate::ops::{Access, Context, Operation};

/// Asks for a review pack of a tenant.
#[derive(Debug, Clone, Copy)]
pub struct RequestReviewPack {
    /// The tenant.
    pub tenant_id: i64,
    /// Where it was asked for.
    pub source_surface: SourceSurface,
    /// Whether it lists operations.
    pub include_operations: bool,
    /// Whether it holds personal data.
    pub include_pii: bool,
}

impl RequestReviewPack {
    /// A harmless example, for the test of the access check.
    pub(in crate::ops) fn sample() -> Self {
        Self {
            tenant_id: 0,
            source_surface: SourceSurface::TenantReview,
            include_operations: true,
            include_pii: false,
        }
    }
}

/// The pack that answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReviewPackAnswer {
    /// The pack.
    pub pack_id: i64,
    /// False: it was there already, asked for or ready.
    pub created: bool,
}

impl Operation for RequestReviewPack {
    const NAME: &'static str = "activity.request_review_pack";
    const REQUIREMENT: Requirement = Requirement::InProcess;
    const ACCESS: Access = Access::Write;
    type Output = ReviewPackAnswer;

    async fn execute(self, context: &mut Context) -> Result<ReviewPackAnswer> {
        let who = customer(context).await?;
        // Before the tenant is looked at: a shared lock that becomes a stronger one deadlocks.
        activity::queue_at_tenant(context.tx()?, self.tenant_id).await?;
        let tenant = own_tenant(context, &who, self.tenant_id).await?;
        let options = PackOptions {
            tenant_id: tenant.id,
            include_operations: self.include_operations,
            include_pii: self.include_pii,
        };
        let now = context.now();
        let tx = context.tx()?;
        let there = activity::usable_pack(tx, options).await?;
        let pack_id = match there {
            Some(pack_id) => pack_id,
            None => activity::request_pack(tx, tenant.workspace_id, options, now).await?,
        };
        let told = Told {
            event: UsageEvent::ReviewPackRequested,
            workspace_id: Some(tenant.workspace_id),
            tenant_id: Some(tenant.id),
            user_id: Some(who.id),
            subject: (SubjectType::ReviewPack, pack_id),
            metadata: json!({
                "source_surface": self.source_surface,
                "include_operations": self.include_operations,
                "include_pii": self.include_pii,
            }),
        };
        record(context, told).await?;
        Ok(ReviewPackAnswer { pack_id, created: there.is_none() })
    }
}
