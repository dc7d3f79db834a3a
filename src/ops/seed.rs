//! Seeding: an empty database becomes a platform, from rows that are made elsewhere.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::mpsc::Receiver;

use super::store::{
    Tx, bulk, bulk_state, customers, run_count_upkeep, settings, usage_rollups, users,
};
use super::{Access, Context, Operation, password};
use crate::access::Requirement;
use crate::domain::capability::Role;
use crate::{Error, Result};

pub use super::store::bulk_rows::{
    AlertRow, AuditLine, ConnectionRow, EventRow, FailureRow, FindingRow, LeaseRow,
    NotificationRow, OnboardingRow, PackRow, PlatformUserRow, ReportRow, RunRow, SettingRow,
    TargetRow, TenantRow, UserRow, WorkspaceRow,
};

/// How long a chunk is waited for before its maker counts as lost.
const CHUNK_PATIENCE: Duration = Duration::from_secs(120);

/// Rows to write together; each refers only to rows of its own or of earlier chunks.
#[derive(Debug, Default)]
pub struct Chunk {
    /// Settings.
    pub settings: Vec<SettingRow>,
    /// Workspaces.
    pub workspaces: Vec<WorkspaceRow>,
    /// Tenants.
    pub tenants: Vec<TenantRow>,
    /// Customers' people.
    pub users: Vec<UserRow>,
    /// Provider connections.
    pub connections: Vec<ConnectionRow>,
    /// Runs.
    pub runs: Vec<RunRow>,
    /// Their targets.
    pub targets: Vec<TargetRow>,
    /// Their failures.
    pub failures: Vec<FailureRow>,
    /// Leases of the running ones.
    pub leases: Vec<LeaseRow>,
    /// Findings.
    pub findings: Vec<FindingRow>,
    /// Onboarding checkpoints.
    pub onboarding: Vec<OnboardingRow>,
    /// Stored reports.
    pub reports: Vec<ReportRow>,
    /// Review packs.
    pub packs: Vec<PackRow>,
    /// Telemetry events.
    pub events: Vec<EventRow>,
    /// Audit lines.
    pub audit: Vec<AuditLine>,
    /// Notifications.
    pub notifications: Vec<NotificationRow>,
    /// Alerts.
    pub alerts: Vec<AlertRow>,
}

/// What the maker of the rows sends.
#[derive(Debug)]
pub enum Part {
    /// Rows.
    Rows(Box<Chunk>),
    /// There is no more: keep what was written. Without it, nothing is kept.
    End,
}

/// An account to make.
#[derive(Debug, Clone)]
pub struct SeedAccount {
    /// Id.
    pub id: i64,
    /// Name to log in with.
    pub username: &'static str,
    /// Name for display.
    pub display_name: &'static str,
    /// Password.
    pub password: SecretString,
    /// The preset.
    pub role: Role,
}

/// Which part of a platform is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// All of it, in one transaction.
    Whole,
    /// The first part: the database is marked as unfinished, and nobody can log in.
    First,
    /// The last part: the mark goes, and the accounts may log in.
    Last,
}

/// Loads rows into an empty database (or into one that the first stage has marked), in one
/// transaction: all of them, or none.
#[derive(Debug)]
pub struct LoadPlatform {
    /// Which part it is.
    pub stage: Stage,
    /// Accounts to make.
    pub accounts: Vec<SeedAccount>,
    /// So many rows that making the indexes afterwards is quicker.
    pub large: bool,
    /// The rows.
    pub parts: Receiver<Part>,
}

impl LoadPlatform {
    /// A load that is refused: there is nothing to load.
    pub(super) fn sample() -> Self {
        let (_, parts) = tokio::sync::mpsc::channel(1);
        Self { stage: Stage::Last, accounts: Vec::new(), large: false, parts }
    }
}

impl Operation for LoadPlatform {
    const NAME: &'static str = "seed.load";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Stepwise;
    const PATIENCE: u32 = 100;
    type Output = ();

    async fn execute(mut self, context: &mut Context) -> Result<()> {
        let mut accounts = Vec::new();
        for account in &self.accounts {
            accounts.push(prepared(context, account, self.stage).await?);
        }
        let mut tx = context.begin(true).await?;
        if self.large {
            bulk::before(&mut tx).await?;
        }
        let loaded = self.load(context, &mut tx, accounts).await;
        if self.large {
            bulk::after(&mut tx).await?;
        }
        match loaded {
            Ok(()) => tx.commit().await?,
            Err(error) => {
                tx.rollback().await?;
                return Err(error);
            }
        }
        if self.stage != Stage::First
            && let Err(error) = bulk::tidy(context.db()).await
        {
            // The data is there and right; only the planner knows less than it could.
            tracing::warn!(%error, "the statistics could not be refreshed after seeding");
        }
        Ok(())
    }
}

impl LoadPlatform {
    async fn load(
        &mut self,
        context: &Context,
        tx: &mut Tx,
        accounts: Vec<PlatformUserRow>,
    ) -> Result<()> {
        // Two seeds at once: the second waits here, and then finds a platform.
        users::lock_creation(tx).await?;
        let marked = bulk_state::marked(tx).await?;
        if self.stage == Stage::Last {
            if !marked {
                return Err(Error::refused("no seeding of this database was begun"));
            }
        } else {
            if marked {
                return Err(cut_off());
            }
            if !customers::is_empty(tx).await? {
                return Err(holds_a_platform());
            }
        }
        let dropped = if self.large { bulk::drop_indexes(tx).await? } else { Vec::new() };
        bulk::insert(tx, accounts).await?;
        loop {
            let part = tokio::time::timeout(CHUNK_PATIENCE, self.parts.recv()).await;
            match part {
                Ok(Some(Part::Rows(chunk))) => write(tx, *chunk).await?,
                Ok(Some(Part::End)) => break,
                Ok(None) | Err(_) => {
                    return Err(Error::failed("the seeding was cut off; nothing was kept"));
                }
            }
        }
        // Nobody looks at what was loaded before it is counted.
        usage_rollups::fold(tx, i64::MAX).await?;
        if self.large {
            bulk::create_indexes(tx, dropped).await?;
        } else {
            run_count_upkeep::fold(tx, i64::MAX).await?;
        }
        bulk::set_sequences(tx).await?;
        match self.stage {
            Stage::Whole => Ok(()),
            Stage::First => bulk_state::mark(tx, context.now()).await,
            Stage::Last => bulk_state::unmark(tx).await,
        }
    }
}

async fn write(tx: &mut Tx, chunk: Chunk) -> Result<()> {
    bulk::insert(tx, chunk.settings).await?;
    bulk::insert(tx, chunk.workspaces).await?;
    bulk::insert(tx, chunk.tenants).await?;
    bulk::insert(tx, chunk.users).await?;
    bulk::insert(tx, chunk.connections).await?;
    bulk::insert(tx, chunk.runs).await?;
    bulk::insert(tx, chunk.targets).await?;
    bulk::insert(tx, chunk.failures).await?;
    bulk::insert(tx, chunk.leases).await?;
    bulk::insert(tx, chunk.findings).await?;
    bulk::insert(tx, chunk.onboarding).await?;
    bulk::insert(tx, chunk.reports).await?;
    bulk::insert(tx, chunk.packs).await?;
    bulk::insert(tx, chunk.events).await?;
    bulk::insert(tx, chunk.audit).await?;
    bulk::insert(tx, chunk.notifications).await?;
    bulk::insert(tx, chunk.alerts).await
}

async fn prepared(
    context: &Context,
    account: &SeedAccount,
    stage: Stage,
) -> Result<PlatformUserRow> {
    password::check_rules(&account.password)?;
    let now = context.now();
    Ok(PlatformUserRow {
        id: account.id,
        username: password::new_name(account.username)?,
        display_name: account.display_name.to_owned(),
        password_hash: password::hash(&context.ops().inner.hashing, &account.password).await?,
        capabilities: Value::from(account.role.capabilities().names()),
        // Nobody looks at half a platform.
        active: stage == Stage::Whole,
        view_all: true,
        created_at: now,
        updated_at: now,
    })
}

fn holds_a_platform() -> Error {
    Error::refused("this database already holds a platform; it was left as it is")
        .hint("seed an empty database, or look around with: tenantpilot demo")
}

fn cut_off() -> Error {
    Error::refused("a seeding of this database is under way, or was cut off half way")
        .hint("if nothing is seeding it now, remove this database and seed an empty one")
}

/// What a database holds, to a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holding {
    /// Nothing yet.
    Empty,
    /// A part of a platform.
    Unfinished,
    /// A platform; the demo's, if so marked.
    Platform {
        /// Whether it was made by the demo.
        demo: bool,
    },
}

/// Looks at what a database holds.
#[derive(Debug)]
pub struct LookAtHolding;

impl Operation for LookAtHolding {
    const NAME: &'static str = "seed.look";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Read;
    type Output = Holding;

    async fn execute(self, context: &mut Context) -> Result<Holding> {
        let tx = context.tx()?;
        if bulk_state::marked(tx).await? {
            return Ok(Holding::Unfinished);
        }
        if customers::is_empty(tx).await? {
            return Ok(Holding::Empty);
        }
        Ok(Holding::Platform { demo: settings::get(tx, DEMO_SETTING).await?.is_some() })
    }
}

/// The setting that says that a platform is the demo's own, and may be made anew.
pub const DEMO_SETTING: &str = "demo";

impl Holding {
    /// Refuses everything but an empty database.
    ///
    /// # Errors
    /// *Refused*, with what to do.
    pub fn require_empty(&self) -> Result<()> {
        match self {
            Self::Empty => Ok(()),
            Self::Unfinished => Err(cut_off()),
            Self::Platform { .. } => Err(holds_a_platform()),
        }
    }
}

/// Which customers may start runs, and for which tenants: the cast of simulated traffic.
#[derive(Debug)]
pub struct Starters;

impl Operation for Starters {
    const NAME: &'static str = "seed.starters";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Read;
    /// Pairs of customer and tenant.
    type Output = Vec<(i64, i64)>;

    async fn execute(self, context: &mut Context) -> Result<Vec<(i64, i64)>> {
        bulk_state::starters(context.tx()?, 2000).await
    }
}
