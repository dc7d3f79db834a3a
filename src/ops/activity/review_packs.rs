//! A customer requests a review pack. A ready one of the same evidence answers.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{customer, own_tenant};
use crate::access::{Actor, Requirement};
use crate::domain::identity::hex;
use crate::domain::telemetry::{SourceSurface, SubjectType, UsageEvent};
use crate::ops::store::activity::{self, EvidenceGroup, PackOptions, PackState};
use crate::ops::telemetry::record::{Told, record};
use crate::ops::{Access, Context, Operation};
use crate::{Error, ErrorKind, Result};

/// The type of the runs that make packs.
pub const PACK_TYPE: &str = "review_pack.generate";
/// For how long a pack may be reused.
pub const PACK_LIFETIME: chrono::Duration = chrono::Duration::days(90);

/// Requests a review pack of a tenant.
#[derive(Debug, Clone, Copy)]
pub struct RequestReviewPack {
    /// The tenant.
    pub tenant_id: i64,
    /// Where it was requested.
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
    /// False: a ready one answers.
    pub created: bool,
}

impl Operation for RequestReviewPack {
    const NAME: &'static str = "activity.request_review_pack";
    const REQUIREMENT: Requirement = Requirement::InProcess;
    const ACCESS: Access = Access::Write;
    type Output = ReviewPackAnswer;

    async fn execute(self, context: &mut Context) -> Result<ReviewPackAnswer> {
        let who = customer(context).await?;
        let tenant = own_tenant(context, &who, self.tenant_id).await?;
        let options = PackOptions {
            tenant_id: tenant.id,
            include_operations: self.include_operations,
            include_pii: self.include_pii,
        };
        let now = context.now();
        let fingerprint = fingerprint(context, options).await?;
        let tx = context.tx()?;
        let there = activity::usable_pack(tx, options, &fingerprint, now).await?;
        let pack_id = if let Some(pack_id) = there {
            pack_id
        } else {
            let state = state(&fingerprint, now);
            activity::request_pack(tx, tenant.workspace_id, options, state).await?
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

/// Marks a requested pack as ready. Whoever executes its run enters here: the system for a
/// customer, or the customer.
#[derive(Debug, Clone, Copy)]
pub struct CompleteReviewPack {
    /// The pack.
    pub pack_id: i64,
    /// The run that made it, of the same tenant.
    pub run_id: i64,
}

impl Operation for CompleteReviewPack {
    const NAME: &'static str = "activity.complete_review_pack";
    const REQUIREMENT: Requirement = Requirement::InProcess;
    const ACCESS: Access = Access::Write;
    /// Until when the pack may be reused.
    type Output = DateTime<Utc>;

    async fn execute(self, context: &mut Context) -> Result<DateTime<Utc>> {
        let unknown = || Error::not_found(format!("requested review pack {}", self.pack_id));
        let found = activity::requested_pack(context.tx()?, self.pack_id).await?;
        let options = found.ok_or_else(unknown)?;
        if matches!(context.permit().actor(), Actor::Customer { .. }) {
            let who = customer(context).await?;
            let own = own_tenant(context, &who, options.tenant_id).await;
            own.map_err(|error| match error.kind() {
                ErrorKind::NotFound => unknown(),
                _ => error,
            })?;
        }
        let run = activity::run(context.tx()?, self.run_id).await?;
        let run = run.filter(|run| run.tenant_id == Some(options.tenant_id));
        if run.is_none_or(|run| run.run_type != PACK_TYPE) {
            return Err(Error::refused(format!(
                "run {} makes no review pack of this tenant",
                self.run_id
            )));
        }
        let fingerprint = fingerprint(context, options).await?;
        let state = state(&fingerprint, context.now());
        activity::complete_pack(context.tx()?, self.pack_id, self.run_id, state).await?;
        Ok(state.expires_at)
    }
}

fn state(fingerprint: &str, now: DateTime<Utc>) -> PackState<'_> {
    PackState { fingerprint, expires_at: now + PACK_LIFETIME, now }
}

/// The fingerprint of the evidence that a pack is made of.
async fn fingerprint(context: &mut Context, options: PackOptions) -> Result<String> {
    let PackOptions { tenant_id, include_operations, .. } = options;
    let groups =
        activity::evidence(context.tx()?, tenant_id, include_operations, PACK_TYPE).await?;
    Ok(fingerprint_of(groups))
}

/// A hash over evidence; another one once a row is added, removed or changed.
pub fn fingerprint_of(groups: impl IntoIterator<Item = EvidenceGroup>) -> String {
    let mut hasher = Sha256::new();
    for group in groups {
        let newest = group.newest.map(|at| at.to_rfc3339_opts(SecondsFormat::Micros, true));
        let newest = newest.unwrap_or_default();
        hasher.update(format!("{} {} {newest}\n", group.kind, group.rows));
    }
    hex(&hasher.finalize())
}
