//! The catalogue of operation types, with what can be executed now.

use serde::Serialize;

use super::{Access, Context, Operation};
use crate::Result;
use crate::access::Requirement;
use crate::domain::capability::Capability;
use crate::domain::operation_type::{self, Executor, OperationType};
use crate::domain::type_support::Support;
use crate::ops::runs::active_workers;

/// Lists the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct ListTypes;

/// A type of the catalogue, as it stands in this database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ListedType {
    /// Its row.
    #[serde(flatten)]
    pub kind: OperationType,
    /// What executes it in this database.
    pub executor_here: Executor,
    /// Whether runs of it can be executed now.
    pub support: Support,
}

impl Operation for ListTypes {
    const NAME: &'static str = "types.list";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::OpsView]);
    const ACCESS: Access = Access::Read;
    type Output = Vec<ListedType>;

    async fn execute(self, context: &mut Context) -> Result<Vec<ListedType>> {
        let active = active_workers(context.tx()?).await?;
        let listed = operation_type::CATALOGUE.iter().map(|kind| ListedType {
            kind: *kind,
            executor_here: kind.executor_in(active.demo),
            support: active.support(kind.key),
        });
        Ok(listed.collect())
    }
}
