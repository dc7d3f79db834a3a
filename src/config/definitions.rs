//! The closed list of settings: name in the file, variable, and what is allowed.

/// One setting as a person sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    /// Its name in the file; a dot separates the table from the key.
    pub name: &'static str,
    /// The environment variable that sets it.
    pub variable: &'static str,
    /// What may be written, in words.
    pub allowed: &'static str,
    /// What it is for, one line.
    pub about: &'static str,
}

macro_rules! define {
    ($($name:literal $variable:literal $allowed:literal $about:literal;)*) => {
        /// Every setting there is; anything else in a file is an error.
        pub const DEFINITIONS: &[Definition] = &[$(Definition {
            name: $name,
            variable: $variable,
            allowed: $allowed,
            about: $about,
        }),*];
    };
}

define! {
    "database_url" "TENANTPILOT_DATABASE_URL"
        "postgres://USER:PASSWORD@HOST/DATABASE or sqlite://PATH"
        "the platform database; the embedded one when absent";
    "database.listen_url" "TENANTPILOT_DATABASE_LISTEN_URL"
        "postgres://USER:PASSWORD@HOST/DATABASE, or \"none\""
        "where the console hears of changes, past a pooler; \"none\": it only asks";
    "database.statement_timeout" "TENANTPILOT_DATABASE_STATEMENT_TIMEOUT"
        "a duration from \"1s\" to \"10m\""
        "a PostgreSQL server ends what takes a console or a command longer";
    "database.lock_timeout" "TENANTPILOT_DATABASE_LOCK_TIMEOUT"
        "a duration from \"100ms\" to \"60s\""
        "how long a console or a command waits for a lock of another session on PostgreSQL";
    "schema" "TENANTPILOT_SCHEMA"
        "the name of a schema"
        "where the tables are in a PostgreSQL database; the search_path's, usually public, when absent";
    "require_tls" "TENANTPILOT_REQUIRE_TLS"
        "true or false"
        "connect to a PostgreSQL server by TLS or a socket only";
    "poll_interval" "TENANTPILOT_POLL_INTERVAL"
        "a duration from \"500ms\" to \"60s\""
        "how often a visible screen asks the database";
    "theme" "TENANTPILOT_THEME"
        "the name of a theme: letters, digits, - and _"
        "colours and styles";
    "keymap" "TENANTPILOT_KEYMAP"
        "the name of a keymap: letters, digits, - and _"
        "which key does what";
    "ascii" "TENANTPILOT_ASCII"
        "true or false"
        "draw with ASCII characters only; on by default in a locale without UTF-8";
    "color" "TENANTPILOT_COLOR"
        "auto, always or never"
        "when to use colour";
    "time_zone" "TENANTPILOT_TIME_ZONE"
        "utc or local"
        "the zone in which times are shown";
    "mouse" "TENANTPILOT_MOUSE"
        "true or false"
        "ask the terminal for mouse events";
    "synchronized_output" "TENANTPILOT_SYNCHRONIZED_OUTPUT"
        "true or false"
        "ask the terminal to show whole frames only";
    "link" "TENANTPILOT_LINK"
        "auto, fast or slow"
        "how fast the line to the terminal is";
    "log_level" "TENANTPILOT_LOG_LEVEL"
        "error, warn, info or debug"
        "the least severe level that is logged";
    "page_size" "TENANTPILOT_PAGE_SIZE"
        "a whole number from 50 to 500"
        "rows per page";
    "text_search_bound" "TENANTPILOT_TEXT_SEARCH_BOUND"
        "a whole number from 1000 to 100000"
        "how many of the newest rows a text filter looks at";
    "sessions.idle_timeout" "TENANTPILOT_SESSIONS_IDLE_TIMEOUT"
        "a duration from \"1m\" to \"24h\", not longer than sessions.absolute_timeout"
        "how long a session lives without being used";
    "sessions.absolute_timeout" "TENANTPILOT_SESSIONS_ABSOLUTE_TIMEOUT"
        "a duration from \"1m\" to \"7d\""
        "how long a session lives at most";
    "product_usage.retention_days" "TENANTPILOT_PRODUCT_USAGE_RETENTION_DAYS"
        "a whole number from 1 to 36500"
        "for how many days product usage events are kept";
    "health.critical_failed_percent" "TENANTPILOT_HEALTH_CRITICAL_FAILED_PERCENT"
        "a whole number from 1 to 100"
        "from this share of failed runs on health is critical";
    "health.critical_ended_runs" "TENANTPILOT_HEALTH_CRITICAL_ENDED_RUNS"
        "a whole number from 1 to 1000000"
        "how many runs must have ended for that";
    "health.warning_failed_percent" "TENANTPILOT_HEALTH_WARNING_FAILED_PERCENT"
        "a whole number from 1 to 100"
        "from this share of failed runs on health is a warning";
    "health.critical_lease_lengths" "TENANTPILOT_HEALTH_CRITICAL_LEASE_LENGTHS"
        "a whole number from 1 to 1000"
        "health is critical when a lease is overdue by more than so many times its length";
    "alerts.webhook_url" "TENANTPILOT_ALERTS_WEBHOOK_URL"
        "https://HOST/PATH or http://HOST/PATH, without user name and password"
        "where a worker posts alerts; they wait when absent";
    "alerts.webhook_secret_file" "TENANTPILOT_ALERTS_WEBHOOK_SECRET_FILE"
        "the absolute path of a file that only its owner can read"
        "what alerts are signed with; TENANTPILOT_ALERTS_WEBHOOK_SECRET wins";
    "alerts.timeout" "TENANTPILOT_ALERTS_TIMEOUT"
        "a duration from \"1s\" to \"60s\""
        "how long one attempt to deliver an alert may take";
    "alerts.max_attempts" "TENANTPILOT_ALERTS_MAX_ATTEMPTS"
        "a whole number from 1 to 50"
        "after how many attempts an alert is given up";
}

/// The definition called `name`.
///
/// # Panics
/// If there is none, which only a mistake in this module's parent can cause.
pub fn definition(name: &str) -> Definition {
    match DEFINITIONS.iter().find(|definition| definition.name == name) {
        Some(definition) => *definition,
        None => unreachable!("no setting is called {name}"),
    }
}
