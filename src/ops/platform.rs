//! What a console needs to know of the platform itself.

use super::store::{condition, names, settings, together};
use super::{Access, Context, Engine, Operation, settings as policy};
use crate::Result;
use crate::access::Requirement;
use crate::domain::capability::Capability;
use crate::domain::database_fault::Condition;
use crate::domain::setting::{SettingKey, number};

/// The environment's label where the database has none: on PostgreSQL nobody has said what it is.
const UNLABELLED: &str = "UNLABELLED";
/// The same for a local database.
const LOCAL: &str = "LOCAL";
/// What is said of a connection that others can read.
const NO_TLS: &str = "NO TLS";

/// What the header shows of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// The environment's label, from the database.
    pub environment: String,
    /// The environment's colour word, from the database.
    pub environment_color: String,
    /// Whether the database has a label for it.
    pub labelled: bool,
    /// How this program is connected.
    pub engine: Engine,
    /// The host of the server, or the directory of its socket; none for a local database.
    pub host: Option<String>,
    /// Whether the server has another host and the connection no TLS.
    pub in_the_open: bool,
    /// Why the database takes no writes; none where it does.
    pub refuses: Option<Condition>,
    /// A note for the login screen, from the database: a demo's accounts.
    pub login_note: Option<String>,
    /// For how many days the platform keeps product usage events; a client may keep them longer.
    pub usage_retention_days: i64,
}

impl Platform {
    /// The mode as the header says it, whole, short and shortest. Without a label, the host is
    /// what tells one platform from another.
    pub fn modes(&self) -> [String; 3] {
        let modes = self.places();
        if self.in_the_open { modes.map(|mode| format!("{mode}, {NO_TLS}")) } else { modes }
    }

    fn places(&self) -> [String; 3] {
        match (self.engine, self.host.as_deref()) {
            (Engine::Postgres, Some(host)) if self.labelled => {
                [format!("DIRECT DB {host}"), "DIRECT DB".to_owned(), "DIRECT DB".to_owned()]
            }
            (Engine::Postgres, Some(host)) => {
                [format!("DIRECT DB {host}"), format!("DB {host}"), host.to_owned()]
            }
            (Engine::Postgres, None) => ["DIRECT DB"; 3].map(str::to_owned),
            (Engine::Sqlite, _) => [
                "LOCAL DATABASE: permissions are not enforced".to_owned(),
                "LOCAL DATABASE".to_owned(),
                // Without a label the name of the environment says so.
                if self.labelled { LOCAL.to_owned() } else { String::new() },
            ],
        }
    }
}

/// Reads what the header shows. Nothing of a customer is in it, so it needs no login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlatformInfo;

impl Operation for PlatformInfo {
    const NAME: &'static str = "platform.info";
    const REQUIREMENT: Requirement = Requirement::BeforeLogin;
    const ACCESS: Access = Access::Read;
    type Output = Platform;

    async fn execute(self, context: &mut Context) -> Result<Platform> {
        let ops = context.ops();
        let (engine, host, in_the_open) = (ops.engine(), ops.host(), ops.in_the_open());
        let tx = context.tx()?;
        let (label, environment_color, login_note, retention) = together!(
            tx,
            |tx| policy::lenient(tx, SettingKey::EnvironmentLabel),
            |tx| policy::lenient(tx, SettingKey::EnvironmentColor),
            |tx| settings::get(tx, "login_note"),
            |tx| policy::lenient(tx, SettingKey::UsageRetentionDays),
        )?;
        let refuses = condition::of_database(tx).await?;
        let labelled = !label.is_empty();
        let environment = match engine {
            _ if labelled => label,
            Engine::Postgres => UNLABELLED.to_owned(),
            Engine::Sqlite => LOCAL.to_owned(),
        };
        let usage_retention_days = number(&retention);
        Ok(Platform {
            environment,
            environment_color,
            labelled,
            engine,
            host,
            in_the_open,
            refuses,
            login_note,
            usage_retention_days,
        })
    }
}

/// Reads the platform's ID, a random text that `migrate` writes. None where it is gone.
#[derive(Debug)]
pub struct PlatformId;

impl Operation for PlatformId {
    const NAME: &'static str = "platform.id";
    const REQUIREMENT: Requirement = Requirement::BeforeLogin;
    const ACCESS: Access = Access::Read;
    type Output = Option<String>;

    async fn execute(self, context: &mut Context) -> Result<Option<String>> {
        settings::get(context.tx()?, "platform_id").await
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
