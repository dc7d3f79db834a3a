//! The only door to data: every read and write is an [`Operation`], and [`Ops::run`] checks
//! the actor, executes it in one transaction, and audits what was refused.
//!
//! The SQL lives in a private child module. A screen, the command line, the worker and the
//! demo have no other way to the database, so none of them can forget a check.

mod authorise;
mod commit;
pub mod consent;
mod context;
mod denial;
mod mutant;
mod store;

pub mod activity;
pub mod alerts;
pub mod auth;
pub mod break_glass;
pub mod condition;
pub mod dashboard;
mod database;
pub(crate) mod findings;
pub mod flags;
pub mod named;
pub mod notifications;
pub mod overview;
pub mod password;
pub mod plans;
pub mod platform;
#[cfg(debug_assertions)]
pub(crate) mod probe;
pub(crate) mod reconcile;
mod refusal;
pub mod retention;
pub mod runbooks;
mod running;
pub mod runs;
pub mod seed;
pub mod settings;
pub mod support;
pub mod telemetry;
pub mod types;
pub mod users;
pub mod workers;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

pub use consent::Consent;
pub use context::{Context, Reader};
pub use denial::About;
pub use mutant::Mutant;
pub use store::audit::AuditStatus;
pub use store::awaited::Awaited;
pub use store::blocker::Blocker;
pub use store::connect::CONSOLE;
pub use store::database::{ChangeWatch, ConnectionLimits, Create, Engine, Hint, Listen};
pub use store::migrate::{Missing, Target, of_new_file};
pub use store::schema::SchemaState;
pub use store::server::Snapshot;

use crate::access::{Actor, Requirement};
use crate::domain::health::HealthThresholds;
use crate::runbooks::Registry;
use crate::{Clock, Error, Result};
use authorise::authorise;
use store::Db;

/// How an operation uses the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// One transaction that sees one state and writes nothing.
    Read,
    /// One transaction; the check holds the actor's row in it.
    Write,
    /// Several transactions of its own, for what must be committed step by step.
    Stepwise,
}

/// Something an actor can ask for.
///
/// Only types listed in [`table`] implement the marker this needs, so an operation cannot be
/// added without being seen by the test that refuses each one to an empty actor.
pub trait Operation: Listed + Send + Sized + 'static {
    /// Dotted name, as the audit log spells it.
    const NAME: &'static str;
    /// What it asks of its actor.
    const REQUIREMENT: Requirement;
    /// How it uses the database.
    const ACCESS: Access;
    /// Whether it changes who may do what: then one runs at a time, and takes its turn before
    /// the check, so that what the check saw still holds when it writes.
    const ONE_AT_A_TIME: bool = false;
    /// How many times the usual limits its statements have: more where they look at much.
    const PATIENCE: u32 = 1;
    /// What it gives.
    type Output: Send + 'static;

    /// The run it changes, where that shows whether a change was made whose answer was lost.
    fn run_id(&self) -> Option<i64> {
        None
    }

    /// What it is about, as far as the row of a denial says it.
    fn about(&self) -> About {
        self.run_id().map_or_else(About::default, About::run)
    }

    /// The hash of the token that shows who acts, where no session is known yet.
    fn token_hash(&self) -> Option<String> {
        None
    }

    /// Does it. Only [`Ops::run`] can make the context.
    fn execute(self, context: &mut Context) -> impl Future<Output = Result<Self::Output>> + Send;
}

/// Marks an operation as listed in [`table`].
pub trait Listed {}

/// One line of the table of operations.
#[derive(Debug, Clone, Copy)]
pub struct Listing {
    /// Dotted name.
    pub name: &'static str,
    /// What it asks of its actor.
    pub requirement: Requirement,
    /// How it uses the database.
    pub access: Access,
}

/// Lists the operations: the marker, the table, and a way to try each on an actor. Those that a
/// console asks say as what (`as NAME`), and that their answers change with the database only
/// (`[watched]`).
macro_rules! operations {
    ($($kind:ty $(as $any:ident $([$watched:ident])?)? => $sample:expr,)+) => {
        $(impl Listed for $kind {})+

        $($($(const _: () = assert!(
            matches!(<$kind as Operation>::ACCESS, Access::Read),
            concat!("only a read is ", stringify!($watched))
        );)?)?)+

        /// An operation that a console asks for, as data. Two equal ones ask the same.
        #[derive(Debug, Clone, PartialEq)]
        pub enum AnyOperation {
            $($(#[doc = stringify!($any)] $any($kind),)?)+
        }

        /// What came of one, with what was asked.
        #[derive(Debug)]
        pub enum AnyOutput {
            $($(#[doc = stringify!($any)] $any($kind, Result<<$kind as Operation>::Output>),)?)+
        }

        $($(impl From<$kind> for AnyOperation {
            fn from(operation: $kind) -> Self {
                Self::$any(operation)
            }
        })?)+

        impl AnyOperation {
            /// Its dotted name.
            pub fn name(&self) -> &'static str {
                match self {
                    $($(Self::$any(_) => <$kind as Operation>::NAME,)?)+
                }
            }

            /// What it asks of its actor.
            pub fn requirement(&self) -> Requirement {
                match self {
                    $($(Self::$any(_) => <$kind as Operation>::REQUIREMENT,)?)+
                }
            }

            /// Whether its answer changes with the database only, so that it may be left out while
            /// nothing has changed there.
            pub fn is_watched(&self) -> bool {
                match self {
                    $($(Self::$any(_) => {
                        let said: &[&str] = &[$(stringify!($watched))?];
                        !said.is_empty()
                    })?)+
                }
            }

            /// What is said where it could not be asked because of `error`.
            pub fn failed(self, error: Error) -> AnyOutput {
                match self {
                    $($(Self::$any(asked) => AnyOutput::$any(asked, Err(error)),)?)+
                }
            }

            /// Asks it as `actor`.
            pub async fn run(self, ops: &Ops, actor: &Actor) -> AnyOutput {
                match self {
                    $($(Self::$any(asked) => {
                        let done = Box::pin(ops.run(actor, asked.clone())).await;
                        AnyOutput::$any(asked, done)
                    })?)+
                }
            }
        }

        impl AnyOutput {
            /// What went wrong, if something did.
            pub fn error(&self) -> Option<&Error> {
                match self {
                    $($(Self::$any(_, done) => done.as_ref().err(),)?)+
                }
            }

            /// Whether it is the answer to a write that was made.
            pub fn wrote(&self) -> bool {
                match self {
                    $($(Self::$any(_, done) => {
                        done.is_ok() && <$kind as Operation>::ACCESS != Access::Read
                    })?)+
                }
            }
        }

        /// Every operation there is.
        pub fn table() -> Vec<Listing> {
            vec![$(Listing {
                name: <$kind as Operation>::NAME,
                requirement: <$kind as Operation>::REQUIREMENT,
                access: <$kind as Operation>::ACCESS,
            },)+]
        }

        /// Tries every operation as `actor` with harmless arguments; gives each one's error.
        /// For tests of the access check.
        pub async fn try_each(ops: &Ops, actor: &Actor) -> Vec<(Listing, Option<Error>)> {
            try_those(ops, actor, |_| true).await
        }

        /// The same for the operations that `wanted` selects.
        pub async fn try_those(
            ops: &Ops,
            actor: &Actor,
            wanted: impl Fn(&Listing) -> bool,
        ) -> Vec<(Listing, Option<Error>)> {
            let mut tried = Vec::new();
            $({
                let listing = Listing {
                    name: <$kind as Operation>::NAME,
                    requirement: <$kind as Operation>::REQUIREMENT,
                    access: <$kind as Operation>::ACCESS,
                };
                if wanted(&listing) {
                    let operation: $kind = $sample;
                    tried.push((listing, try_one(ops, actor, operation).await));
                }
            })+
            tried
        }
    };
}

operations! {
    activity::SaveCheckpoint => activity::SaveCheckpoint::sample(),
    activity::OpenDiagnostics => activity::OpenDiagnostics { subject: activity::DiagnosticsSubject::Tenant(0), source_surface: crate::domain::telemetry::SourceSurface::Tenant },
    activity::StoreReport => activity::StoreReport::sample(),
    activity::RequestReviewPack => activity::RequestReviewPack::sample(),
    activity::CompleteReviewPack => activity::CompleteReviewPack { pack_id: 0, run_id: 0 },
    alerts::ListAlerts => alerts::ListAlerts::default(),
    alerts::SummariseAlerts => alerts::SummariseAlerts,
    alerts::RetryAlert => alerts::RetryAlert { id: 0, consent: Consent::default() },
    alerts::AreAlertsDue => alerts::AreAlertsDue,
    alerts::ClaimAlerts => alerts::ClaimAlerts { limit: 0, visibility: Duration::from_secs(30) },
    alerts::SettleAlert => alerts::SettleAlert::sample(),
    alerts::ExplainWaiting => alerts::ExplainWaiting { reason: String::new() },
    auth::Login as Login => auth::Login::new("viewer", "not a password", crate::access::ClientKind::Console),
    auth::Resume => auth::Resume::new("no token", crate::access::ClientKind::Cli),
    auth::Logout as Logout => auth::Logout,
    auth::WhoAmI => auth::WhoAmI,
    auth::Touch as Touch => auth::Touch,
    break_glass::EnterBreakGlass as EnterBreakGlass => break_glass::EnterBreakGlass::sample(),
    break_glass::EndBreakGlass as EndBreakGlass => break_glass::EndBreakGlass { consent: Consent::default() },
    break_glass::CurrentBreakGlass as CurrentBreakGlass [watched] => break_glass::CurrentBreakGlass,
    notifications::ListNotifications as ListNotifications [watched] => notifications::ListNotifications::default(),
    notifications::CountUnread as CountUnread [watched] => notifications::CountUnread,
    notifications::MarkRead as MarkRead => notifications::MarkRead { ids: Vec::new() },
    notifications::MarkAllRead as MarkAllRead => notifications::MarkAllRead { up_to_id: 0 },
    flags::ListFlags => flags::ListFlags,
    flags::SetFlag => flags::SetFlag::sample(),
    overview::ReadOverview as ReadOverview [watched] => overview::ReadOverview::default(),
    overview::ListFingerprints as ListFingerprints [watched] => overview::ListFingerprints::default(),
    overview::GetFingerprint => overview::GetFingerprint { fingerprint: "000000000000".to_owned(), window: None },
    overview::FillFingerprints => overview::FillFingerprints,
    overview::PlanGroupRetry as PlanGroupRetry => overview::PlanGroupRetry::sample(),
    overview::RetryGroup as RetryGroup => overview::RetryGroup::sample(),
    overview::FoldRunCounts => overview::FoldRunCounts,
    overview::CheckRunCounts => overview::CheckRunCounts,
    overview::RebuildRunCounts => overview::RebuildRunCounts,
    condition::ReadCondition as ReadCondition [watched] => condition::ReadCondition,
    platform::PlatformId => platform::PlatformId,
    platform::PlatformInfo as PlatformInfo => platform::PlatformInfo,
    platform::NameValues as NameValues => platform::NameValues,
    named::FindNamed as FindNamed => named::FindNamed::default(),
    plans::Preflight as Preflight => plans::Preflight::sample(),
    plans::GetPlan => plans::GetPlan { id: 0 },
    plans::ListPlanTargets as ListPlanTargets => plans::ListPlanTargets::sample(),
    plans::ListScopeTenants as ListScopeTenants => plans::ListScopeTenants::default(),
    plans::ListScopeWorkspaces as ListScopeWorkspaces => plans::ListScopeWorkspaces::default(),
    dashboard::ChosenWindow => dashboard::ChosenWindow,
    dashboard::ChooseWindow as ChooseWindow => dashboard::ChooseWindow { window: crate::domain::window::Window::default() },
    retention::PruneUsage => retention::PruneUsage::sample(),
    retention::OldData => retention::OldData,
    runs::StartRun => runs::StartRun::sample(),
    runs::FindRequest => runs::FindRequest { request_id: "none".to_owned() },
    runs::ClaimRun => runs::ClaimRun::sample(),
    runs::ClaimNext => runs::ClaimNext::sample(),
    runs::PostponeRun => runs::PostponeRun::sample(),
    runs::TakeBackStarts => runs::TakeBackStarts { run_id: 0, fence: 0, starts: Vec::new(), lost_by: None },
    runs::ExtendLease => runs::ExtendLease { run_id: 0, owner: String::new(), lease: Duration::from_secs(30) },
    runs::ReportProgress => runs::ReportProgress { run_id: 0, fence: 0, counts: crate::domain::summary_counts::SummaryCounts::default() },
    runs::RecordFailure => runs::RecordFailure::sample(),
    runs::CompleteRun => runs::CompleteRun { run_id: 0, fence: 0, blocked: None },
    runs::DueTargets => runs::DueTargets { run_id: 0, after: -1, started: false, limit: 1 },
    runs::BeginTarget => runs::BeginTarget { run_id: 0, fence: 0, ordinal: 0, crash: None, outage: None },
    runs::RunStep => runs::RunStep { run_id: 0, fence: 0, ordinal: 0, steps: 0, chunk: 1, then: None },
    runs::FailStep => runs::FailStep::sample(),
    runs::Pulse => runs::Pulse { run_id: 0, fence: 0 },
    runs::Canary => runs::Canary { run_id: 0, first: 1 },
    runs::Refresh => runs::Refresh { run_id: 0, fence: 0 },
    runs::FinishRun => runs::FinishRun { run_id: 0, fence: 0, stop: None },
    runs::BlockRun => runs::BlockRun::sample(),
    runs::ReleaseRun => runs::ReleaseRun { run_id: 0, fence: 0, pause: false },
    runs::CancelRun as CancelRun => runs::CancelRun { run_id: 0, consent: Consent::default() },
    runs::CloseRun as CloseRun => runs::CloseRun { run_id: 0, consent: Consent::default() },
    runs::PauseRun as PauseRun => runs::PauseRun { run_id: 0, consent: Consent::default() },
    runs::ResumeRun as ResumeRun => runs::ResumeRun { run_id: 0, consent: Consent::default() },
    runs::RetryRun as RetryRun => runs::RetryRun::sample(),
    runs::PlanRetry as PlanRetry => runs::PlanRetry { run_id: 0 },
    runbooks::ListRunbooks => runbooks::ListRunbooks,
    runbooks::StartRunbook as StartRunbook => runbooks::StartRunbook::sample(),
    runs::ListRuns as ListRuns [watched] => runs::ListRuns::default(),
    runs::CountRuns as CountRuns [watched] => runs::CountRuns,
    runs::GetRun as GetRun [watched] => runs::GetRun { id: 0 },
    settings::ListSettings => settings::ListSettings,
    settings::SettingWarnings => settings::SettingWarnings,
    settings::SetSetting => settings::SetSetting::sample(),
    settings::UsageRetention => settings::UsageRetention,
    seed::LoadPlatform => seed::LoadPlatform::sample(),
    seed::LookAtHolding => seed::LookAtHolding,
    seed::Starters => seed::Starters,
    support::ListTenants as ListTenants [watched] => support::ListTenants::default(),
    support::GetTenant as GetTenant [watched] => support::GetTenant { id: 0 },
    support::OpenDiagnostics as OpenDiagnostics => support::OpenDiagnostics { subject: support::DiagnosticsSubject::Tenant(0) },
    support::Compose as Compose => support::Compose { subject: support::DiagnosticsSubject::Tenant(0), attach: true },
    support::ListRunTenants as ListRunTenants [watched] => support::ListRunTenants::default(),
    support::CreateRequest as CreateRequest => support::CreateRequest::sample(),
    support::ListRequests as ListRequests [watched] => support::ListRequests::default(),
    support::GetRequest as GetRequest [watched] => support::GetRequest::sample(),
    telemetry::Summarise as Summarise [watched] => telemetry::Summarise::default(),
    telemetry::FoldRollups => telemetry::FoldRollups,
    telemetry::CheckRollups => telemetry::CheckRollups,
    telemetry::RebuildRollups => telemetry::RebuildRollups,
    types::ListTypes => types::ListTypes,
    workers::Beat => workers::Beat::sample(),
    workers::Leave => workers::Leave { id: "nobody".to_owned() },
    workers::Reclaim => workers::Reclaim { owners: Vec::new() },
    workers::ListWorkers as ListWorkers [watched] => workers::ListWorkers,
    users::CreateFirstAdministrator => users::CreateFirstAdministrator::sample(),
    users::IsUnclaimed => users::IsUnclaimed,
    users::CreateUser => users::CreateUser::sample(),
    users::ListUsers => users::ListUsers,
    users::GetUser => users::GetUser { username: "nobody".to_owned() },
    users::SetCapabilities => users::SetCapabilities::sample(),
    users::SetActive => users::SetActive { username: "nobody".to_owned(), active: false, consent: Consent::default() },
    users::ResetPassword => users::ResetPassword { username: "nobody".to_owned(), password: password::secret("not a password"), consent: Consent::default() },
    users::Unlock => users::Unlock { username: "nobody".to_owned(), consent: Consent::default() },
}

/// Tries one operation. On the heap from the start: all of them in one frame are too many.
fn try_one<'a, O: Operation>(
    ops: &'a Ops,
    actor: &'a Actor,
    operation: O,
) -> Pin<Box<dyn Future<Output = Option<Error>> + Send + 'a>> {
    Box::pin(async move { ops.run(actor, operation).await.err() })
}

/// Settings of the service that come from the configuration.
#[derive(Debug, Clone)]
pub struct OpsSettings {
    /// A session ends after this long without an action of the person.
    pub idle_timeout: Duration,
    /// A session ends after this long in any case.
    pub absolute_timeout: Duration,
    /// How many of the newest rows a text filter looks at.
    pub search_bound: i64,
    /// How long an answer of the database is waited for.
    pub patience: Duration,
    /// For how many days this client wants product usage events kept: counts where it is longer
    /// than the platform's setting.
    pub usage_retention: Option<retention::Days>,
    /// What counts as a warning, and what as critical.
    pub health: HealthThresholds,
    /// This program, where passwords are to be checked in a child of it.
    pub program: Option<PathBuf>,
    /// The runbooks this process knows.
    pub registry: Registry,
    /// Limits that the database keeps for a process that may freeze or die.
    pub limits: ConnectionLimits,
    /// What a server is told of this process, where neither URL nor environment say it.
    pub application: &'static str,
    /// A seeded bug, for the tests of faults.
    #[cfg(debug_assertions)]
    pub mutant: Option<Mutant>,
}

impl Default for OpsSettings {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(30 * 60),
            absolute_timeout: Duration::from_secs(12 * 60 * 60),
            search_bound: 10_000,
            patience: Duration::from_secs(4),
            usage_retention: None,
            health: HealthThresholds::default(),
            program: None,
            registry: Registry::standard(),
            limits: ConnectionLimits::default(),
            application: "tenantpilot",
            #[cfg(debug_assertions)]
            mutant: None,
        }
    }
}

/// The service: the database, a clock, and the settings.
#[derive(Debug, Clone)]
pub struct Ops {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    db: Db,
    clock: Clock,
    settings: OpsSettings,
    /// Password hashes are heavy on purpose; more than a few at once would be an attack on
    /// ourselves.
    hashing: Arc<Semaphore>,
}

/// How many password hashes run at once.
const PARALLEL_HASHES: usize = 4;

impl Ops {
    /// Prepares the service on the database at `url`; nothing is connected yet.
    ///
    /// # Errors
    /// *Usage* for a URL that is not understood, *unreachable* for a missing file.
    pub fn open(url: &str, create: Create, clock: Clock, settings: OpsSettings) -> Result<Self> {
        let limits = &settings.limits;
        let answer = limits.answer.or(Some(settings.patience));
        let limits = ConnectionLimits { answer, ..limits.clone() };
        let db = Db::open(url, create, &limits, settings.application)?;
        let hashing = Arc::new(Semaphore::new(PARALLEL_HASHES));
        Ok(Self { inner: Arc::new(Inner { db, clock, settings, hashing }) })
    }

    /// The service's clock, which follows the database's.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// The same database through another clock: history is written with the time it tells of.
    pub(crate) fn with_clock(&self, clock: Clock) -> Self {
        let Inner { db, settings, hashing, .. } = &*self.inner;
        let (db, settings, hashing) = (db.clone(), settings.clone(), Arc::clone(hashing));
        Self { inner: Arc::new(Inner { db, clock, settings, hashing }) }
    }

    /// The runbooks this process knows.
    pub fn registry(&self) -> &Registry {
        &self.inner.settings.registry
    }

    /// Which engine it stands on.
    pub fn engine(&self) -> Engine {
        self.inner.db.engine()
    }

    /// The host of the server, or the directory of its socket; none for a local database.
    pub fn host(&self) -> Option<String> {
        self.inner.db.host()
    }

    /// Whether what goes to the server and back can be read on the way: it has another host, and the
    /// connection no TLS.
    pub fn in_the_open(&self) -> bool {
        self.inner.db.in_the_open()
    }

    /// The platform's ID, where a transaction has seen it already.
    pub fn platform_id(&self) -> Option<String> {
        self.inner.db.platform_id()
    }

    /// Why the password file that an address needs is not used, where it is not.
    pub fn ignored_password_file(url: &str) -> Option<String> {
        store::connect::ignored_password_file(url)
    }
}
