//! What the flags of `preflight` and `start` aim at, and the inputs they give.

use serde_json::{Map, Value};

use crate::domain::run::ScopeKind;
use crate::ops::runs::RunScope;
use crate::runbooks::Runbook;
use crate::{Error, Result};

/// What a runbook is aimed at.
#[derive(Debug, clap::Args)]
pub struct ScopeArgs {
    /// Aim at this tenant; may be given several times
    #[arg(long = "tenant", value_name = "ID", group = "scope", value_parser = tenant_id)]
    tenants: Vec<i64>,
    /// Aim at the allowed tenants of this workspace
    #[arg(long, value_name = "ID", group = "scope", value_parser = workspace_id)]
    workspace: Option<i64>,
    /// Aim at all allowed tenants
    #[arg(long, group = "scope")]
    all_tenants: bool,
}

impl ScopeArgs {
    /// What was said; none where nothing was.
    pub fn given(&self) -> Option<RunScope> {
        match (self.tenants.as_slice(), self.workspace, self.all_tenants) {
            ([], None, false) => None,
            ([], Some(workspace), _) => Some(RunScope::Workspace(workspace)),
            ([], None, true) => Some(RunScope::All),
            (ids, ..) => Some(tenants(ids)),
        }
    }

    /// What a runbook is to be aimed at. Nothing chosen is all tenants only where that was
    /// said.
    ///
    /// # Errors
    /// *Usage* where nothing was said, or tenants for a runbook of the platform itself.
    pub fn of(&self, runbook: &dyn Runbook) -> Result<RunScope> {
        let platform = runbook.scopes() == [ScopeKind::Platform];
        match (self.given(), platform) {
            (Some(scope), false) => Ok(scope),
            (None, true) => Ok(RunScope::Platform),
            (Some(_), true) => {
                Err(Error::usage(format!("{} is not aimed at tenants", runbook.key()))
                    .hint("leave --tenant, --workspace and --all-tenants away"))
            }
            (None, false) => Err(Error::usage("it was not said which tenants to aim at")
                .hint("add: --tenant ID, --workspace ID or --all-tenants")),
        }
    }
}

/// The scope of tenants that were named one by one.
pub fn tenants(ids: &[i64]) -> RunScope {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    match ids.as_slice() {
        [one] => RunScope::Tenant(*one),
        _ => RunScope::Tenants(ids),
    }
}

fn tenant_id(text: &str) -> Result<i64> {
    id(text, "tenant")
}

fn workspace_id(text: &str) -> Result<i64> {
    id(text, "workspace")
}

fn id(text: &str, what: &str) -> Result<i64> {
    text.parse()
        .ok()
        .filter(|id| *id > 0)
        .ok_or_else(|| Error::usage(format!("the id of a {what} is a whole number above 0")))
}

/// `days=30` as JSON; numbers and true or false are what they look like.
///
/// # Errors
/// *Usage* for anything else, and for a name that is given twice.
pub fn inputs(given: &[String]) -> Result<Value> {
    let mut inputs = Map::new();
    for text in given {
        let Some((key, value)) = text.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Error::usage("an input has the form KEY=VALUE"));
        };
        let value = match (value.parse::<i64>(), value.parse::<bool>()) {
            (Ok(number), _) => Value::from(number),
            (_, Ok(flag)) => Value::from(flag),
            _ => Value::from(value),
        };
        if inputs.insert(key.to_owned(), value).is_some() {
            return Err(Error::usage("an input is given twice"));
        }
    }
    Ok(Value::Object(inputs))
}
