//! What every command works with: settings, paths, the clock, the output, the database.

use rustix::process::getuid;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::Output;
use super::session_file::SessionFile;
use crate::access::{Actor, ClientKind};
use crate::config::{Config, DatabaseUrl, ListenUrl, Origin};
use crate::domain::health::HealthThresholds;
use crate::domain::time_zone::TimeZone;
use crate::drafts::Drafts;
use crate::ops::auth::{Resume, Session};
use crate::ops::platform::PlatformId;
use crate::ops::retention::Days;
use crate::ops::{CONSOLE, ConnectionLimits, Create, Engine, Listen, Ops, OpsSettings};
use crate::paths::{self, Paths};
use crate::{Clock, Error, ErrorKind, Result};

/// How long a sign of life may wait for another writer of SQLite; a server has a limit of its own.
const TOUCH_PATIENCE: Duration = Duration::from_millis(300);
/// How long taking leave of a database may take.
const GOODBYE: Duration = Duration::from_millis(300);
/// How much longer an answer is waited for than the server takes for it at most.
const ANSWER_MARGIN: Duration = Duration::from_secs(1);

/// Of the tokens that other addresses of a platform have, so many are tried: copies of a database
/// have the same ID.
const MOST_TOKENS: usize = 4;

/// What a command is given besides its own arguments.
pub struct Env {
    /// Settings.
    pub config: Config,
    /// Directories.
    pub paths: Paths,
    /// The time.
    pub clock: Clock,
    /// Where to write.
    pub out: Output,
    /// Nothing may be asked of the person.
    pub no_input: bool,
    /// Databases that were opened, to be taken leave of.
    pub(super) opened: Mutex<Vec<Ops>>,
}

impl Env {
    /// Whether only ASCII may be drawn.
    pub fn ascii(&self) -> bool {
        self.config.ascii.value
    }

    /// Whether something can be asked: at a terminal, unless that was forbidden.
    pub fn can_ask(&self) -> bool {
        use std::io::IsTerminal as _;
        !self.no_input && std::io::stdin().is_terminal()
    }

    /// The zone in which times are shown.
    pub fn zone(&self) -> TimeZone {
        self.config.time_zone.value
    }

    /// The address of the database: the configured one, or the embedded default.
    ///
    /// # Errors
    /// *Usage* where the data directory's name cannot be part of an address.
    pub fn database_url(&self) -> Result<DatabaseUrl> {
        match &self.config.database_url.value {
            Some(url) => Ok(url.clone()),
            None => embedded(&self.paths.database_file()),
        }
    }

    /// The settings of the service.
    pub fn ops_settings(&self) -> OpsSettings {
        let statement = self.config.database_statement_timeout.value;
        // The server's own limit comes first: a slow statement is told from a server that does not
        // answer.
        let answer = statement + ANSWER_MARGIN;
        OpsSettings {
            idle_timeout: self.config.sessions_idle_timeout.value,
            absolute_timeout: self.config.sessions_absolute_timeout.value,
            search_bound: i64::from(self.config.text_search_bound.value),
            usage_retention: self.usage_retention(),
            health: HealthThresholds {
                critical_failed_percent: self.config.health_critical_failed_percent.value,
                critical_ended_runs: self.config.health_critical_ended_runs.value,
                warning_failed_percent: self.config.health_warning_failed_percent.value,
                critical_lease_lengths: self.config.health_critical_lease_lengths.value,
            },
            program: std::env::current_exe().ok(),
            application: "tenantpilot cli",
            patience: answer,
            limits: ConnectionLimits {
                connections: 1,
                answer: Some(answer),
                schema: self.config.schema.value.clone(),
                require_tls: self.config.require_tls.value,
                statement: Some(statement),
                lock: Some(self.config.database_lock_timeout.value.min(statement)),
                ..ConnectionLimits::default()
            },
            ..OpsSettings::default()
        }
    }

    /// For how many days this client wants usage events kept, where it says so.
    fn usage_retention(&self) -> Option<Days> {
        let setting = &self.config.usage_retention_days;
        let says = setting.origin != Origin::Default;
        // The setting's own limits are the same.
        says.then(|| Days::new(i64::from(setting.value)).ok()).flatten()
    }

    /// The service on the configured database, whatever its schema.
    ///
    /// # Errors
    /// As [`Ops::open`].
    pub fn open(&self, create: Create) -> Result<Ops> {
        self.open_as(create, self.ops_settings())
    }

    /// The same for the console.
    ///
    /// # Errors
    /// As [`Ops::open`].
    pub fn open_console(&self) -> Result<Ops> {
        let mut settings = OpsSettings { application: CONSOLE, ..self.ops_settings() };
        // Its polls come together; in between nothing of it is to be seen as an open transaction.
        settings.limits.linger = Duration::from_millis(200);
        settings.limits.listen = match &self.config.database_listen_url.value {
            Some(ListenUrl::None) => Listen::Off,
            Some(ListenUrl::At(url)) => Listen::At(url.expose().into()),
            None => Listen::Here,
        };
        self.open_as(Create::Never, settings)
    }

    fn open_as(&self, create: Create, settings: OpsSettings) -> Result<Ops> {
        let url = self.database_url()?;
        let ops = Ops::open(url.expose(), create, self.clock.clone(), settings)?;
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).push(ops.clone());
        Ok(ops)
    }

    /// Takes leave of the databases that were opened, if that can be done at once.
    pub(super) async fn close(&self) {
        let opened =
            std::mem::take(&mut *self.opened.lock().unwrap_or_else(PoisonError::into_inner));
        for ops in opened {
            let _ = tokio::time::timeout(GOODBYE, ops.close()).await;
        }
    }

    /// The service on the configured database, whose schema is the one this version needs.
    ///
    /// # Errors
    /// As [`Ops::open`] and [`Ops::require_current_schema`].
    pub async fn ops(&self) -> Result<Ops> {
        let ops = self.open(Create::Never)?;
        ops.require_current_schema_first().await?;
        Ok(ops)
    }

    /// The actor before any login: what the throttle counts by is the user of the operating
    /// system, since everything else about a local terminal can be made up.
    pub fn anonymous(&self) -> Actor {
        Actor::Anonymous { origin: format!("local:uid {}", getuid().as_raw()) }
    }

    /// The file that keeps the command line's sessions.
    ///
    /// # Errors
    /// *Usage* for a place that is not an absolute path.
    pub fn session_file(&self) -> Result<SessionFile> {
        SessionFile::new(&self.paths, &self.database_url()?, super::variable)
    }

    /// Where drafts of support requests to the platform at `database` are kept.
    pub fn drafts(&self, database: &DatabaseUrl) -> Drafts {
        let drafts = Drafts::new(self.paths.drafts_dir(), database.digest(super::variable));
        match super::variable("HOME") {
            Some(home) => drafts.at_home(Path::new(&home)),
            None => drafts,
        }
    }

    /// The session that the command line holds for this database, if it is still good.
    ///
    /// # Errors
    /// Whatever reading it says; a session that has ended is none.
    pub async fn resume(&self, ops: &Ops) -> Result<Option<Session>> {
        let file = self.session_file()?;
        let known = file.token()?;
        if let Some(token) = &known {
            if let Some(session) = self.resumed(ops, token).await? {
                // Without it the session is good at this address only.
                let _ = self.remember(&file, ops, token).await;
                return Ok(Some(session));
            }
        } else {
            ops.require_current_schema().await?;
        }
        if file.is_empty()? {
            return Ok(None);
        }
        // Another address may have led to the same platform.
        let Some(id) = self.platform_id(ops).await? else { return Ok(None) };
        for token in file.tokens_of(&id)?.iter().take(MOST_TOKENS) {
            if let Some(session) = self.resumed(ops, token).await? {
                let _ = file.keep(token, Some(&id));
                return Ok(Some(session));
            }
        }
        Ok(None)
    }

    /// Keeps with a token to which platform its address leads.
    async fn remember(&self, file: &SessionFile, ops: &Ops, token: &SecretString) -> Result<()> {
        match self.platform_id(ops).await? {
            Some(id) if !file.leads_to(&id)? => file.keep(token, Some(&id)).map(drop),
            _ => Ok(()),
        }
    }

    /// The platform's ID: the same at every address of its database.
    ///
    /// # Errors
    /// Those of reading it.
    pub async fn platform_id(&self, ops: &Ops) -> Result<Option<String>> {
        match ops.platform_id() {
            Some(id) => Ok(Some(id)),
            None => ops.run(&self.anonymous(), PlatformId).await,
        }
    }

    /// The session of a token, if it is still good.
    ///
    /// # Errors
    /// As [`Env::resume`].
    pub async fn resumed(&self, ops: &Ops, token: &SecretString) -> Result<Option<Session>> {
        match ops.run(&self.anonymous(), Resume::new(token.expose_secret(), ClientKind::Cli)).await
        {
            Ok(session) => Ok(Some(session)),
            Err(error) if error.kind() == ErrorKind::NotLoggedIn => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The session of a person who just asked for something, which counts as activity.
    ///
    /// # Errors
    /// *Not logged in* where there is none.
    pub async fn session(&self, ops: &Ops) -> Result<Session> {
        let session = self.resume(ops).await?.ok_or_else(Error::not_logged_in)?;
        // Looking at a database that cannot be written just now is still looking, and does not
        // wait for it.
        if !session.is_touch_due(ops.clock().now()) {
            return Ok(session);
        }
        let touch = ops.touch(&session.actor);
        let touched = match ops.engine() {
            Engine::Sqlite => tokio::time::timeout(TOUCH_PATIENCE, touch).await,
            Engine::Postgres => Ok(touch.await),
        };
        match touched {
            Ok(Err(error)) if error.kind() == ErrorKind::NotLoggedIn => Err(error),
            _ => Ok(session),
        }
    }
}

/// The address of an embedded database.
///
/// # Errors
/// *Usage* for a path that cannot be part of an address.
pub fn embedded(path: &Path) -> Result<DatabaseUrl> {
    let unusable = || {
        Error::usage(format!(
            "the path {} cannot be part of a database address",
            paths::shown(path)
        ))
        .hint(format!("set {} to a plain path", paths::DATA_DIR_VARIABLE))
    };
    let text = path.to_str().ok_or_else(unusable)?;
    DatabaseUrl::parse(&format!("sqlite://{text}")).map_err(|_| unusable())
}
