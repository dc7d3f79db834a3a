//! Opening diagnostics, and gathering what a request is made of.

use serde::Serialize;
use serde_json::json;

use super::sections::{self, Found};
use super::{RunTenant, SupportTenant};
use crate::access::Requirement;
use crate::domain::capability::Capability;
use crate::domain::run::{Run, ScopeKind};
use crate::domain::support::{Evidence, EvidenceRun, Subject, safe_line};
use crate::ops::plans::Pattern;
use crate::ops::runs::found;
use crate::ops::store::diagnostics as rows;
use crate::ops::{About, Access, AuditStatus, Context, Operation};
use crate::{Error, Result};

/// The most tenants of a run that one answer lists.
const MAX_TENANTS: i64 = 1_000;

/// What diagnostics or a request are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiagnosticsSubject {
    /// A tenant.
    Tenant(i64),
    /// A run, and one tenant of it; a run with one tenant only needs no choice.
    Run {
        /// The run.
        run_id: i64,
        /// The tenant, where there are several.
        tenant_id: Option<i64>,
    },
}

impl DiagnosticsSubject {
    /// What the row of a denial says it is about.
    pub fn about(self) -> About {
        match self {
            Self::Tenant(id) => About::of("tenant", id),
            Self::Run { run_id, .. } => About::run(run_id),
        }
    }
}

/// Opens the diagnostics of a tenant or of a run. Every opening is audited, once; a look at what
/// was opened is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenDiagnostics {
    /// What of.
    pub subject: DiagnosticsSubject,
}

impl Operation for OpenDiagnostics {
    const NAME: &'static str = "support.open_diagnostics";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::SupportDiagnosticsView]);
    const ACCESS: Access = Access::Write;
    type Output = Evidence;

    fn about(&self) -> About {
        self.subject.about()
    }

    async fn execute(self, context: &mut Context) -> Result<Evidence> {
        let found = resolve(context, self.subject).await?;
        open(context, found, true).await
    }
}

/// Gathers what a request is made of: with diagnostics, which are then opened and audited, where the
/// actor may open them; with ids and codes only where not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compose {
    /// What about.
    pub subject: DiagnosticsSubject,
    /// Whether diagnostics are to go with it; false: they are not opened at all.
    pub attach: bool,
}

impl Operation for Compose {
    const NAME: &'static str = "support.compose";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::SupportRequestsCreate]);
    const ACCESS: Access = Access::Write;
    type Output = Evidence;

    fn about(&self) -> About {
        self.subject.about()
    }

    async fn execute(self, context: &mut Context) -> Result<Evidence> {
        let found = resolve(context, self.subject).await?;
        let opens = context.permit().has(Capability::SupportDiagnosticsView);
        open(context, found, opens && self.attach).await
    }
}

/// Lists the tenants of a run, failed ones first: whoever asks for support from a run over many
/// picks one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListRunTenants {
    /// The run.
    pub run_id: i64,
    /// Part of a tenant's name, or a tenant's id; empty: all.
    pub search: String,
    /// At most so many rows, up to 1,000; 0 means 200.
    pub limit: i64,
}

/// The tenants of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunTenants {
    /// The run.
    pub run_id: i64,
    /// Failed ones first.
    pub tenants: Vec<RunTenant>,
    /// How many match the search.
    pub matching: i64,
}

impl Operation for ListRunTenants {
    const NAME: &'static str = "support.list_run_tenants";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::OpsView]);
    const ACCESS: Access = Access::Read;
    type Output = RunTenants;

    async fn execute(self, context: &mut Context) -> Result<RunTenants> {
        let view = context.permit().scope();
        let pattern = Pattern::of(&self.search, context.ops().engine());
        let limit = if self.limit <= 0 { 200 } else { self.limit.min(MAX_TENANTS) };
        let tx = context.tx()?;
        let run = found(tx, self.run_id, view).await?;
        let search = (pattern.name.as_deref(), pattern.id);
        let (tenants, matching) = rows::run_tenants(tx, run.id, view, search, limit).await?;
        Ok(RunTenants { run_id: run.id, tenants, matching })
    }
}

/// Finds the subject within the actor's view.
async fn resolve(context: &mut Context, subject: DiagnosticsSubject) -> Result<Found> {
    let view = context.permit().scope();
    let now = context.now();
    let tx = context.tx()?;
    let (run, tenant_id) = match subject {
        DiagnosticsSubject::Tenant(id) => (None, id),
        DiagnosticsSubject::Run { run_id, tenant_id } => {
            let run = found(tx, run_id, view).await?;
            let tenant_id = match tenant_id {
                Some(id) => id,
                None => only_tenant(context, &run).await?,
            };
            (Some(run), tenant_id)
        }
    };
    let tx = context.tx()?;
    let unknown = || Error::not_found(format!("tenant {tenant_id}"));
    let tenant = rows::tenant(tx, tenant_id, view).await?.ok_or_else(unknown)?;
    let share = match &run {
        Some(run) => {
            let share = rows::run_tenant(tx, run.id, tenant_id).await?;
            if share.is_none() && run.tenant_id != Some(tenant_id) {
                return Err(Error::refused(format!(
                    "tenant {tenant_id} is no tenant of run {}",
                    run.id
                ))
                .hint("choose one of the run's tenants"));
            }
            share
        }
        None => None,
    };
    Ok(Found { tenant, run, share, now })
}

/// The tenant of a run that has one only.
async fn only_tenant(context: &mut Context, run: &Run) -> Result<i64> {
    if let Some(id) = run.tenant_id {
        return Ok(id);
    }
    let view = context.permit().scope();
    let (tenants, matching) =
        rows::run_tenants(context.tx()?, run.id, view, (None, None), 1).await?;
    match (tenants.first(), matching) {
        (Some(one), 1) => Ok(one.tenant_id),
        (None, _) => Err(Error::refused(format!("run {} has no tenant", run.id))
            .hint("open the diagnostics of a tenant instead")),
        (Some(_), many) => {
            Err(Error::usage(format!("run {} has {many} tenants; one has to be chosen", run.id))
                .hint("name one of them; those that failed come first in the run's list"))
        }
    }
}

async fn open(context: &mut Context, found: Found, with_diagnostics: bool) -> Result<Evidence> {
    let holder = context.permit().holder().map(|holder| holder.platform_user_id);
    let platform_user_id =
        holder.ok_or_else(|| Error::refused("only a platform user opens diagnostics"))?;
    let may_audit = context.permit().has(Capability::AuditView);
    let view = context.permit().scope();
    let bundle = if with_diagnostics {
        let bundle = sections::bundle(context.tx()?, &found, view, may_audit).await?;
        let mut row = context.audit_row(OpenDiagnostics::NAME, AuditStatus::Succeeded);
        row.workspace_id = Some(found.tenant.workspace_id);
        row.tenant_id = Some(found.tenant.id);
        row.run_id = found.run.as_ref().map(|run| run.id);
        let subject = if found.run.is_some() { "operation_run" } else { "tenant" };
        let id = found.run.as_ref().map_or(found.tenant.id, |run| run.id);
        row.target_type = Some(subject);
        row.target_id = Some(id.to_string());
        row.metadata = json!({ "withheld": bundle.tally() });
        context.audit(&row).await?;
        Some(bundle)
    } else {
        None
    };
    let run = match &found.run {
        Some(run) => {
            let facts = sections::run_reference(context.tx()?, &found, run).await?;
            Some(EvidenceRun { id: run.id, run_type: run.run_type.clone(), facts })
        }
        None => None,
    };
    Ok(Evidence {
        subject: subject(&found.tenant, run),
        bundle,
        opened_at: found.now,
        platform_user_id,
    })
}

fn subject(tenant: &SupportTenant, run: Option<EvidenceRun>) -> Subject {
    Subject {
        workspace_id: tenant.workspace_id,
        workspace_name: safe_line(&tenant.workspace_name),
        tenant_id: tenant.id,
        tenant_name: safe_line(&tenant.name),
        run,
    }
}

/// Whether a run covers more than one tenant, so that one has to be picked.
pub(super) fn covers_many(run: &Run) -> bool {
    !matches!(run.scope, ScopeKind::Tenant | ScopeKind::Platform)
}
