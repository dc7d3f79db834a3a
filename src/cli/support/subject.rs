//! What diagnostics or a request are about, as flags say it.

use crate::cli::{Env, runs, text};
use crate::ops::Ops;
use crate::ops::auth::Session;
use crate::ops::support::{DiagnosticsSubject, ListRunTenants};
use crate::{Error, ErrorKind, Result};

/// How many tenants of a run are named to choose from.
const NAMED: i64 = 10;

/// What it is about.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct SubjectArgs {
    /// About this tenant; beside a run, the tenant of it that is meant
    #[arg(long, value_name = "ID", allow_negative_numbers = true, value_parser = tenant_id)]
    pub tenant: Option<i64>,
    /// About this run
    #[arg(long, value_name = "ID", allow_negative_numbers = true, value_parser = runs::id)]
    pub run: Option<i64>,
}

impl SubjectArgs {
    /// What was said; none where nothing was.
    pub fn subject(self) -> Option<DiagnosticsSubject> {
        match (self.run, self.tenant) {
            (Some(run_id), tenant_id) => Some(DiagnosticsSubject::Run { run_id, tenant_id }),
            (None, tenant) => tenant.map(DiagnosticsSubject::Tenant),
        }
    }
}

/// Reads the id of a tenant.
///
/// # Errors
/// *Usage* for anything but a whole number above 0.
pub fn tenant_id(text: &str) -> Result<i64> {
    text.parse()
        .ok()
        .filter(|id| *id > 0)
        .ok_or_else(|| Error::usage("the id of a tenant is a whole number above 0"))
}

/// The error of opening something; where a run's tenant has to be chosen, the tenants are named,
/// failed ones first, to whoever may see them.
pub async fn explained(
    env: &Env,
    ops: &Ops,
    session: &Session,
    subject: DiagnosticsSubject,
    error: Error,
) -> Error {
    let DiagnosticsSubject::Run { run_id, tenant_id: None } = subject else { return error };
    if error.kind() != ErrorKind::Usage {
        return error;
    }
    let asked = ListRunTenants { run_id, search: String::new(), limit: NAMED };
    // Without the list the error itself is still there.
    if let Ok(found) = ops.run(&session.actor, asked).await {
        let width = found.tenants.iter().map(|tenant| tenant.tenant_id.to_string().len()).max();
        let width = width.unwrap_or_default();
        for tenant in &found.tenants {
            let name = text::cut(&tenant.tenant_name, 30, env.ascii());
            let reason = tenant.reason_code.as_deref().unwrap_or_default();
            let line =
                format!("{:>width$}  {name:<30}  {:<9}  {reason}", tenant.tenant_id, tenant.status);
            env.out.message(line.trim_end());
        }
        let more = found.matching - i64::try_from(found.tenants.len()).unwrap_or(0);
        if more > 0 {
            env.out.message(format!("and {more} more, those that failed are named first"));
        }
    }
    Error::usage(error.message()).hint("add: --tenant ID")
}
