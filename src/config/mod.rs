//! Settings: defaults < file < environment < flags, each with where it came from.
//!
//! Every layer is checked, also where a stronger one wins: a file that is wrong today would
//! otherwise surprise on the day the variable goes away.

mod database_url;
mod definitions;
mod deploy;
mod duration;
mod file;
pub mod locale;
mod value;
mod webhook;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

pub use database_url::{DatabaseUrl, Engine, ListenUrl};
pub use definitions::{DEFINITIONS, Definition, definition};
pub use deploy::{DeclaredScope, Deployment};
pub use duration::{format_duration, parse_duration};
pub use value::{Choice, Color, LogLevel};
pub use webhook::{WEBHOOK_SECRET_VARIABLE, WebhookUrl};

use crate::domain::safe_text::{SafeText, quoted};
use crate::domain::schema_name::SchemaName;
use crate::domain::time_zone::TimeZone;
use crate::paths;
use crate::term::fence::Link;
use crate::{Error, Result};
use file::FileValues;
use value::Given;

/// Where a setting's value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// What the locale says, in words.
    Locale(String),
    /// A configuration file, and the line in it (from 1).
    File(PathBuf, usize),
    /// An environment variable, by name.
    Environment(String),
    /// A command-line flag, with its dashes.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Locale(reason) => write!(f, "the locale has no UTF-8: {}", SafeText::new(reason)),
            Self::File(path, line) => write!(f, "{}, line {line}", paths::shown(path)),
            Self::Environment(variable) => write!(f, "environment variable {variable}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value in force.
    pub value: T,
    /// The strongest layer that set it.
    pub origin: Origin,
}

/// What the command line says; absent means "not given".
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--database-url URL`
    pub database_url: Option<String>,
    /// `--poll-interval DURATION`
    pub poll_interval: Option<String>,
    /// `--theme NAME`
    pub theme: Option<String>,
    /// `--keymap NAME`
    pub keymap: Option<String>,
    /// `--ascii`, `--ascii=false`
    pub ascii: Option<String>,
    /// `--color WHEN`
    pub color: Option<String>,
    /// `--no-color`, the same as `--color never`
    pub no_color: bool,
    /// `--time-zone ZONE`
    pub time_zone: Option<String>,
    /// `--mouse`
    pub mouse: bool,
    /// `--link SPEED`
    pub link: Option<String>,
    /// `--log-level LEVEL`
    pub log_level: Option<String>,
}

/// The layers to read, weakest first; none of them is read from the process itself.
pub struct Sources<'a> {
    /// The file that is read when `file` is none; it may be missing.
    pub default_file: Option<PathBuf>,
    /// The file that `--config` names; it must exist.
    pub file: Option<PathBuf>,
    /// Looks an environment variable up.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The command line.
    pub flags: Flags,
}

/// All settings in force.
#[derive(Debug, Clone)]
pub struct Config {
    /// The platform database; none means the embedded one.
    pub database_url: Setting<Option<DatabaseUrl>>,
    /// Where the console hears of changes; none: where everything else is asked.
    pub database_listen_url: Setting<Option<ListenUrl>>,
    /// A server ends a statement that takes a console or a command longer, 1 s to 10 min.
    pub database_statement_timeout: Setting<Duration>,
    /// How long a console or a command waits for a lock of another session, 100 ms to 60 s.
    pub database_lock_timeout: Setting<Duration>,
    /// Where the tables are; none: where the search_path has them.
    pub schema: Setting<Option<SchemaName>>,
    /// Whether a server is connected to by TLS or a socket only.
    pub require_tls: Setting<bool>,
    /// How often a visible screen asks the database, 500 ms to 60 s.
    pub poll_interval: Setting<Duration>,
    /// The theme's name.
    pub theme: Setting<String>,
    /// The keymap's name.
    pub keymap: Setting<String>,
    /// Whether to draw with ASCII characters only.
    pub ascii: Setting<bool>,
    /// When to use colour.
    pub color: Setting<Color>,
    /// The zone in which times are shown.
    pub time_zone: Setting<TimeZone>,
    /// Whether the console asks the terminal for mouse events.
    pub mouse: Setting<bool>,
    /// Whether frames are wrapped in the terminal's synchronized-output mode.
    pub synchronized_output: Setting<bool>,
    /// How fast the line to the terminal is.
    pub link: Setting<Link>,
    /// The least severe level that is logged.
    pub log_level: Setting<LogLevel>,
    /// Rows per page, 50 to 500.
    pub page_size: Setting<u32>,
    /// How many of the newest rows a text filter looks at, 1 000 to 100 000.
    pub text_search_bound: Setting<u32>,
    /// How long a session lives without being used.
    pub sessions_idle_timeout: Setting<Duration>,
    /// How long a session lives at most.
    pub sessions_absolute_timeout: Setting<Duration>,
    /// For how many days product usage events are kept, 1 to 36 500.
    pub usage_retention_days: Setting<u32>,
    /// From this share of failed runs on health is critical.
    pub health_critical_failed_percent: Setting<u32>,
    /// How many runs must have ended for that.
    pub health_critical_ended_runs: Setting<u32>,
    /// From this share of failed runs on health is a warning.
    pub health_warning_failed_percent: Setting<u32>,
    /// Health is critical when a lease is overdue by more than so many times its length.
    pub health_critical_lease_lengths: Setting<u32>,
    /// Where a worker posts alerts.
    pub alerts_webhook_url: Setting<Option<WebhookUrl>>,
    /// The file that holds what alerts are signed with.
    pub alerts_webhook_secret_file: Setting<Option<PathBuf>>,
    /// How long one attempt to deliver an alert may take, 1 s to 60 s.
    pub alerts_timeout: Setting<Duration>,
    /// After how many attempts an alert is given up, 1 to 50.
    pub alerts_max_attempts: Setting<u32>,
    /// The maintenance that the file declares for deployments, in its order.
    pub deployments: Vec<Deployment>,
    webhook_secret: Option<SecretString>,
    warnings: Vec<String>,
}

impl Config {
    /// Reads and checks every layer.
    ///
    /// The first thing that is wrong is the error (exit 2); it names the file and line, the
    /// variable or the flag, and what is allowed. Passwords are never part of it.
    pub fn load(sources: Sources<'_>) -> Result<Self> {
        let layers = Layers::read(sources)?;
        let config = Self {
            database_url: layers.pick("database_url", None, value::database)?,
            database_listen_url: layers.pick("database.listen_url", None, value::listen_url)?,
            database_statement_timeout: layers.pick(
                "database.statement_timeout",
                Duration::from_secs(5),
                |given| value::duration(given, Duration::from_secs(1), Duration::from_mins(10)),
            )?,
            database_lock_timeout: layers.pick(
                "database.lock_timeout",
                Duration::from_secs(2),
                |given| value::duration(given, Duration::from_millis(100), Duration::from_mins(1)),
            )?,
            schema: layers.pick("schema", None, value::schema)?,
            require_tls: layers.pick("require_tls", false, value::boolean)?,
            poll_interval: layers.pick("poll_interval", Duration::from_secs(2), |given| {
                value::duration(given, Duration::from_millis(500), Duration::from_mins(1))
            })?,
            theme: layers.pick("theme", "default".to_owned(), value::name)?,
            keymap: layers.pick("keymap", "default".to_owned(), value::name)?,
            ascii: layers.ascii()?,
            color: layers.pick("color", Color::Auto, value::choice)?,
            time_zone: layers.pick("time_zone", TimeZone::Utc, value::choice)?,
            mouse: layers.pick("mouse", false, value::boolean)?,
            synchronized_output: layers.pick("synchronized_output", true, value::boolean)?,
            link: layers.pick("link", Link::Auto, value::choice)?,
            log_level: layers.pick("log_level", LogLevel::Info, value::choice)?,
            page_size: layers.pick("page_size", 100, |given| value::integer(given, 50, 500))?,
            text_search_bound: layers
                .pick("text_search_bound", 10_000, |given| value::integer(given, 1_000, 100_000))?,
            sessions_idle_timeout: layers.pick(
                "sessions.idle_timeout",
                Duration::from_mins(30),
                |given| value::duration(given, Duration::from_mins(1), Duration::from_hours(24)),
            )?,
            sessions_absolute_timeout: layers.pick(
                "sessions.absolute_timeout",
                Duration::from_hours(12),
                |given| value::duration(given, Duration::from_mins(1), Duration::from_hours(168)),
            )?,
            usage_retention_days: layers.pick("product_usage.retention_days", 90, |given| {
                value::integer(given, 1, 36_500)
            })?,
            health_critical_failed_percent: layers.pick(
                "health.critical_failed_percent",
                25,
                |given| value::integer(given, 1, 100),
            )?,
            health_critical_ended_runs: layers.pick("health.critical_ended_runs", 20, |given| {
                value::integer(given, 1, 1_000_000)
            })?,
            health_warning_failed_percent: layers.pick(
                "health.warning_failed_percent",
                5,
                |given| value::integer(given, 1, 100),
            )?,
            health_critical_lease_lengths: layers.pick(
                "health.critical_lease_lengths",
                2,
                |given| value::integer(given, 1, 1_000),
            )?,
            alerts_webhook_url: layers.pick("alerts.webhook_url", None, value::webhook)?,
            alerts_webhook_secret_file: layers.pick(
                "alerts.webhook_secret_file",
                None,
                value::absolute_path,
            )?,
            alerts_timeout: layers.pick("alerts.timeout", Duration::from_secs(10), |given| {
                value::duration(given, Duration::from_secs(1), Duration::from_mins(1))
            })?,
            alerts_max_attempts: layers
                .pick("alerts.max_attempts", 10, |given| value::integer(given, 1, 50))?,
            deployments: layers.file.deployments().to_vec(),
            webhook_secret: layers.variable(WEBHOOK_SECRET_VARIABLE).map(SecretString::from),
            warnings: layers.warnings(),
        };
        if config.sessions_idle_timeout.value > config.sessions_absolute_timeout.value {
            return Err(Error::usage(format!(
                "sessions.idle_timeout ({}, {}) is longer than sessions.absolute_timeout ({}, {})",
                format_duration(config.sessions_idle_timeout.value),
                config.sessions_idle_timeout.origin,
                format_duration(config.sessions_absolute_timeout.value),
                config.sessions_absolute_timeout.origin,
            ))
            .hint("a session cannot idle for longer than it may live"));
        }
        Ok(config)
    }

    /// What alerts are signed with: the variable's text, or else what the file holds. Read when
    /// it is needed, so that commands that send nothing do not need the file.
    ///
    /// # Errors
    /// *Usage* for a file that is missing, empty, or not for its owner alone; never with a
    /// part of the secret.
    pub fn webhook_secret(&self) -> Result<Option<SecretString>> {
        match (&self.webhook_secret, &self.alerts_webhook_secret_file.value) {
            (Some(secret), _) => Ok(Some(secret.clone())),
            (None, Some(path)) => webhook::read_secret(path).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// What is allowed but deserves a word, such as a password in a file that others can read.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Every setting as `(name, value, origin)`, in the order of [`DEFINITIONS`], fit to be
    /// shown: a database address comes without its password.
    pub fn all_settings(&self) -> Vec<(&'static str, String, String)> {
        fn row<T>(
            name: &'static str,
            setting: &Setting<T>,
            show: impl Fn(&T) -> String,
        ) -> (&'static str, String, String) {
            (name, show(&setting.value), setting.origin.to_string())
        }
        let time = |value: &Duration| format_duration(*value);
        vec![
            row("database_url", &self.database_url, |url| {
                url.as_ref().map_or_else(|| "(embedded)".to_owned(), DatabaseUrl::redacted_url)
            }),
            row("database.listen_url", &self.database_listen_url, |url| match url {
                None => "(the same)".to_owned(),
                Some(ListenUrl::None) => "none".to_owned(),
                Some(ListenUrl::At(url)) => url.redacted_url(),
            }),
            row("database.statement_timeout", &self.database_statement_timeout, time),
            row("database.lock_timeout", &self.database_lock_timeout, time),
            row("schema", &self.schema, |schema| {
                schema.as_ref().map_or_else(|| "(search_path)".to_owned(), SchemaName::to_string)
            }),
            row("require_tls", &self.require_tls, bool::to_string),
            row("poll_interval", &self.poll_interval, time),
            row("theme", &self.theme, Clone::clone),
            row("keymap", &self.keymap, Clone::clone),
            row("ascii", &self.ascii, bool::to_string),
            row("color", &self.color, |value| value.name().to_owned()),
            row("time_zone", &self.time_zone, |value| value.name().to_owned()),
            row("mouse", &self.mouse, bool::to_string),
            row("synchronized_output", &self.synchronized_output, bool::to_string),
            row("link", &self.link, |value| value.name().to_owned()),
            row("log_level", &self.log_level, |value| value.name().to_owned()),
            row("page_size", &self.page_size, u32::to_string),
            row("text_search_bound", &self.text_search_bound, u32::to_string),
            row("sessions.idle_timeout", &self.sessions_idle_timeout, time),
            row("sessions.absolute_timeout", &self.sessions_absolute_timeout, time),
            row("product_usage.retention_days", &self.usage_retention_days, u32::to_string),
            row(
                "health.critical_failed_percent",
                &self.health_critical_failed_percent,
                u32::to_string,
            ),
            row("health.critical_ended_runs", &self.health_critical_ended_runs, u32::to_string),
            row(
                "health.warning_failed_percent",
                &self.health_warning_failed_percent,
                u32::to_string,
            ),
            row(
                "health.critical_lease_lengths",
                &self.health_critical_lease_lengths,
                u32::to_string,
            ),
            row("alerts.webhook_url", &self.alerts_webhook_url, |url| {
                url.as_ref().map_or_else(|| "(none)".to_owned(), WebhookUrl::redacted_url)
            }),
            row("alerts.webhook_secret_file", &self.alerts_webhook_secret_file, |path| {
                path.as_ref()
                    .map_or_else(|| "(none)".to_owned(), |path| path.to_string_lossy().into_owned())
            }),
            row("alerts.timeout", &self.alerts_timeout, time),
            row("alerts.max_attempts", &self.alerts_max_attempts, u32::to_string),
        ]
    }
}

/// The layers above the defaults, ready to be asked for one setting at a time.
struct Layers<'a> {
    file: FileValues,
    env: &'a dyn Fn(&str) -> Option<String>,
    flags: Flags,
}

impl<'a> Layers<'a> {
    fn read(sources: Sources<'a>) -> Result<Self> {
        let file = match (&sources.file, &sources.default_file) {
            (Some(path), _) => FileValues::read(path)?,
            (None, Some(path)) => FileValues::read_if_present(path)?.unwrap_or_default(),
            (None, None) => FileValues::default(),
        };
        Ok(Self { file, env: sources.env, flags: sources.flags })
    }

    /// The value of the strongest layer that has one, after checking all of them.
    fn pick<T>(
        &self,
        name: &'static str,
        default: T,
        parse: impl Fn(&Given<'_>) -> Result<T, String>,
    ) -> Result<Setting<T>> {
        let definition = definition(name);
        let mut setting = Setting { value: default, origin: Origin::Default };
        for (given, origin) in self.given(&definition) {
            let value = parse(&given)
                .map_err(|reason| wrong(&origin, name, &reason, definition.allowed))?;
            setting = Setting { value, origin };
        }
        Ok(setting)
    }

    /// Where no layer says it, the locale decides.
    fn ascii(&self) -> Result<Setting<bool>> {
        let setting = self.pick("ascii", false, value::boolean)?;
        match locale::without_utf8(self.env) {
            Some(reason) if setting.origin == Origin::Default => {
                Ok(Setting { value: true, origin: Origin::Locale(reason) })
            }
            _ => Ok(setting),
        }
    }

    /// What the layers say about one setting, weakest first.
    fn given(&self, definition: &Definition) -> Vec<(Given<'_>, Origin)> {
        let mut all = Vec::new();
        if let Some((given, line)) = self.file.get(definition.name) {
            all.push((given, Origin::File(self.file.path().to_owned(), line)));
        }
        let read = |variable: &str| self.variable(variable);
        // https://no-color.org: present and not empty, whatever the value.
        if definition.name == "color" && read("NO_COLOR").is_some() {
            let never = Given::Owned("never".to_owned());
            all.push((never, Origin::Environment("NO_COLOR".to_owned())));
        }
        if let Some(text) = read(definition.variable) {
            all.push((Given::Owned(text), Origin::Environment(definition.variable.to_owned())));
        }
        if let Some((text, flag)) = self.flag(definition.name) {
            all.push((Given::Owned(text), Origin::Flag(flag.to_owned())));
        }
        all
    }

    /// A variable; an empty one counts as absent.
    fn variable(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    fn flag(&self, name: &str) -> Option<(String, &'static str)> {
        let flags = &self.flags;
        let text = |value: &Option<String>, flag| value.clone().map(|value| (value, flag));
        match name {
            "database_url" => text(&flags.database_url, "--database-url"),
            "poll_interval" => text(&flags.poll_interval, "--poll-interval"),
            "theme" => text(&flags.theme, "--theme"),
            "keymap" => text(&flags.keymap, "--keymap"),
            "ascii" => text(&flags.ascii, "--ascii"),
            "color" if flags.no_color => Some(("never".to_owned(), "--no-color")),
            "color" => text(&flags.color, "--color"),
            "time_zone" => text(&flags.time_zone, "--time-zone"),
            "mouse" => flags.mouse.then(|| ("true".to_owned(), "--mouse")),
            "link" => text(&flags.link, "--link"),
            "log_level" => text(&flags.log_level, "--log-level"),
            _ => None,
        }
    }

    fn warnings(&self) -> Vec<String> {
        let shown = paths::shown(self.file.path());
        let has_password = ["database_url", "database.listen_url"].iter().any(|name| {
            matches!(self.file.get(name), Some((Given::Text(url), _))
                if DatabaseUrl::parse(url).is_ok_and(|url| url.has_password()))
        });
        let mut warnings = Vec::new();
        if has_password && self.file.open_to_others {
            warnings.push(format!(
                "{shown} holds a database password and others can read it; run: chmod 600 {shown}"
            ));
        }
        if self.file.writable_by_all {
            warnings.push(format!("every user can write {shown}; run: chmod go-w {shown}"));
        }
        warnings
    }
}

/// An error about one setting. `reason` and `allowed` are ours; only `reason` quotes input.
fn wrong(origin: &Origin, name: &str, reason: &str, allowed: &str) -> Error {
    let place = match origin {
        Origin::Default | Origin::Locale(_) => "default".to_owned(),
        Origin::File(path, line) => format!("{}, line {line}", paths::shown(path)),
        Origin::Environment(variable) => variable.clone(),
        Origin::Flag(flag) => flag.clone(),
    };
    Error::usage(format!("{place}: {name}: {reason}")).hint(format!("allowed: {allowed}"))
}

/// The entry of `known` that is closest to `typed`, if any is close enough to be a slip.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (typed.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (strsim::levenshtein(typed, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `text` in quotes for an error message, cut where it would flood the line.
fn excerpt(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST {
        return quoted(text);
    }
    let cut: String = text.chars().take(LONGEST).collect();
    quoted(&format!("{cut}…"))
}
