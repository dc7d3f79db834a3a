//! Whether the database takes writes, as far as a reader can tell.

use chrono::{DateTime, Utc};

use super::store::{condition, workers};
use super::{Access, Context, Operation};
use crate::Result;
use crate::access::Requirement;
use crate::domain::capability::Capability;
use crate::domain::database_fault::Condition;

/// What the header says of the database's condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseCondition {
    /// Why it takes no writes of this client, as it says itself.
    pub refuses: Option<Condition>,
    /// What an active worker waits for.
    pub outage: Option<String>,
    /// When a worker last wrote its heartbeat: what wrote after a refusal shows that it is over.
    pub written_at: Option<DateTime<Utc>>,
}

/// Reads it. It says nothing of a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadCondition;

impl Operation for ReadCondition {
    const NAME: &'static str = "platform.condition";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::AccessSystemPanel]);
    const ACCESS: Access = Access::Read;
    type Output = DatabaseCondition;

    async fn execute(self, context: &mut Context) -> Result<DatabaseCondition> {
        let refuses = condition::of_database(context.tx()?).await?;
        let workers = workers::list(context.tx()?).await?;
        let written_at = workers.iter().map(|worker| worker.heartbeat_at).max();
        let outage = workers.into_iter().filter(|w| !w.silent).find_map(|w| w.outage);
        Ok(DatabaseCondition { refuses, outage, written_at })
    }
}
