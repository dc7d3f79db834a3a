//! What a console needs to know of the platform itself.

use super::store::{customers, names};
use super::{Access, Context, Engine, Operation};
use crate::Result;
use crate::access::Requirement;
use crate::domain::capability::Capability;

/// The environment's label when the database names none.
const NO_LABEL: &str = "LOCAL";

/// What the header shows of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// The environment's label, from the database.
    pub environment: String,
    /// The environment's colour word, from the database.
    pub environment_color: String,
    /// How this program is connected.
    pub engine: Engine,
    /// A note for the login screen, from the database: a demo's accounts.
    pub login_note: Option<String>,
}

impl Platform {
    /// The mode as the header says it.
    pub fn mode(&self) -> &'static str {
        match self.engine {
            Engine::Postgres => "DIRECT DB",
            Engine::Sqlite => "LOCAL, SINGLE USER: capabilities are advisory",
        }
    }
}

/// Reads what the header shows. Nothing of a customer is in it, so it needs no login.
#[derive(Debug)]
pub struct PlatformInfo;

impl Operation for PlatformInfo {
    const NAME: &'static str = "platform.info";
    const REQUIREMENT: Requirement = Requirement::BeforeLogin;
    const ACCESS: Access = Access::Read;
    type Output = Platform;

    async fn execute(self, context: &mut Context) -> Result<Platform> {
        let engine = context.ops().engine();
        let tx = context.tx()?;
        let environment = customers::setting(tx, "environment_label").await?;
        let color = customers::setting(tx, "environment_color").await?;
        let login_note = customers::setting(tx, "login_note").await?;
        Ok(Platform {
            environment: environment.unwrap_or_else(|| NO_LABEL.to_owned()),
            environment_color: color.unwrap_or_else(|| "cyan".to_owned()),
            engine,
            login_note,
        })
    }
}

/// Names that a filter can be completed with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilterNames {
    /// Types of runs.
    pub types: Vec<String>,
    /// Tenants, by name.
    pub tenants: Vec<String>,
    /// Workspaces, by name.
    pub workspaces: Vec<String>,
    /// Initiators of recent runs.
    pub initiators: Vec<String>,
}

/// Reads the names within the actor's view, bounded.
#[derive(Debug)]
pub struct NameValues;

impl Operation for NameValues {
    const NAME: &'static str = "platform.filter_names";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::OpsView]);
    const ACCESS: Access = Access::Read;
    type Output = FilterNames;

    async fn execute(self, context: &mut Context) -> Result<FilterNames> {
        let scope = context.permit().scope();
        let tx = context.tx()?;
        let (types, initiators) = names::of_recent_runs(tx, scope).await?;
        Ok(FilterNames {
            types,
            tenants: names::tenants(tx, scope).await?,
            workspaces: names::workspaces(tx, scope).await?,
            initiators,
        })
    }
}
