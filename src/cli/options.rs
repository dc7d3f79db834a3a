//! Options that every command takes, and the parser's refusals in our form.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Config, Flags, Sources, parse_duration};
use crate::paths::Paths;
use crate::{Error, Result};

/// Options that every command takes; most of them set what the configuration file can set.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalOptions {
    /// Read this configuration file instead of the default one
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// postgres://... or sqlite://PATH; others can see it, so better TENANTPILOT_DATABASE_URL
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// Use no colour
    #[arg(long, global = true, conflicts_with = "color")]
    no_color: bool,
    /// When to use colour: auto, always or never
    #[arg(long, global = true, value_name = "WHEN")]
    color: Option<String>,
    /// Draw with ASCII characters only (the default in a locale without UTF-8), or not
    #[arg(
        long,
        global = true,
        value_name = "true|false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    ascii: Option<String>,
    /// Show times in UTC (the default)
    #[arg(long, global = true, conflicts_with_all = ["local", "time_zone"])]
    utc: bool,
    /// Show times in this machine's zone
    #[arg(long, global = true, conflicts_with = "time_zone")]
    local: bool,
    /// Show times in utc or local
    #[arg(long, global = true, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Colours and styles of the console
    #[arg(long, global = true, value_name = "NAME")]
    theme: Option<String>,
    /// Keys of the console
    #[arg(long, global = true, value_name = "NAME")]
    keymap: Option<String>,
    /// Ask the terminal for mouse events
    #[arg(long, global = true)]
    mouse: bool,
    /// How often to look for changes, 500ms to 60s
    #[arg(long, global = true, value_name = "DURATION")]
    poll_interval: Option<String>,
    /// How fast the line to the terminal is: auto, fast or slow
    #[arg(long, global = true, value_name = "SPEED")]
    link: Option<String>,
    /// Never ask anything; fail instead
    #[arg(long, global = true)]
    pub(super) no_input: bool,
    /// error, warn, info or debug
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
}

impl GlobalOptions {
    /// For a command that has a `--color` of its own.
    pub(super) fn forget_color(&mut self) {
        self.color = None;
    }

    /// The settings in force: these options over the environment over the file.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub(super) fn load(
        self,
        paths: &Paths,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config> {
        let zone = |given: bool, word: &str| given.then(|| word.to_owned());
        Config::load(Sources {
            default_file: Some(paths.config_file()),
            file: self.config,
            env: variable,
            flags: Flags {
                database_url: self.database_url,
                poll_interval: self.poll_interval,
                theme: self.theme,
                keymap: self.keymap,
                ascii: self.ascii,
                color: self.color,
                no_color: self.no_color,
                time_zone: self
                    .time_zone
                    .or_else(|| zone(self.utc, "utc"))
                    .or_else(|| zone(self.local, "local")),
                mouse: self.mouse,
                link: self.link,
                log_level: self.log_level,
            },
        })
    }
}

/// The parser's text about a wrong call, as one line and a hint.
pub(super) fn refusal(text: &str) -> Error {
    let mut what = Vec::new();
    let mut hint = Vec::new();
    let mut in_hint = false;
    for line in text.lines().map(str::trim) {
        if let Some(tip) = line.strip_prefix("tip: ") {
            hint.push(tip.to_owned());
        } else if let Some(usage) = line.strip_prefix("Usage: ") {
            hint.push(format!("usage: {usage}"));
            in_hint = true;
        } else if line.starts_with("For more information") {
            in_hint = true;
        } else if let Some(allowed) = line.strip_prefix("[possible values:") {
            hint.push(format!("one of:{}", allowed.trim_end_matches(']')));
        } else if !line.is_empty() && !in_hint {
            let line = line.strip_prefix("error: ").unwrap_or(line);
            // It may be a password, typed where none belongs: not to be repeated.
            let surplus = line.starts_with("unexpected argument '")
                && !line.starts_with("unexpected argument '-");
            what.push(if surplus { "there is an argument too many" } else { line }.to_owned());
        }
    }
    if hint.is_empty() {
        hint.push("tenantpilot help lists the commands and options".to_owned());
    }
    Error::usage(what.join(" ")).hint(hint.join("; "))
}

/// Reads a flag's duration.
///
/// # Errors
/// *Usage*, with the flag and what may be written.
pub fn duration(flag: &str, text: &str) -> Result<Duration> {
    parse_duration(text).map_err(|error| {
        let named = Error::usage(format!("{flag}: {}", error.message()));
        named.hint(error.next_step().unwrap_or_default())
    })
}
