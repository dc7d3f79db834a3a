//! What a text of the palette names: a run by its ID, tenants by their ID or name.

use super::plans::Pattern;
use super::store::{diagnostics, run_read, together};
use super::support::SupportTenant;
use super::{Access, Context, Operation};
use crate::Result;
use crate::access::Requirement;
use crate::domain::capability::Capability;

/// So many tenants are given at most.
const TENANTS: i64 = 5;

/// Looks up what a text names within the actor's view.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FindNamed {
    /// An ID, `run` and an ID, or a part of a tenant's or workspace's name.
    pub text: String,
}

/// The ID of the run that a text names: `7`, `run 7`.
pub fn run_id(text: &str) -> Option<i64> {
    let text = text.trim();
    text.strip_prefix("run ").unwrap_or(text).trim().parse().ok().filter(|id| *id > 0)
}

/// What there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// The run of that ID.
    pub run: Option<i64>,
    /// The tenant of that ID first, then those whose name is closest to the text.
    pub tenants: Vec<SupportTenant>,
}

impl Operation for FindNamed {
    const NAME: &'static str = "platform.find_named";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::OpsView]);
    const ACCESS: Access = Access::Read;
    type Output = Named;

    async fn execute(self, context: &mut Context) -> Result<Named> {
        let view = context.permit().scope();
        let pattern = Pattern::of(&self.text, context.ops().engine());
        let Some(name) = pattern.name else { return Ok(Named::default()) };
        let (run, tenants) = together!(
            context.tx()?,
            |tx| async {
                match run_id(&self.text) {
                    Some(id) => run_read::by_id(tx, id, view).await,
                    None => Ok(None),
                }
            },
            |tx| diagnostics::tenants_named(tx, view, &name, pattern.id, TENANTS),
        )?;
        Ok(Named { run: run.map(|run| run.id), tenants })
    }
}
