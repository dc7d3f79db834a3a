//! Where the program keeps its files.
//!
//! Nothing is ever created in the working directory: an overriding directory has to be
//! absolute, and the defaults follow the XDG base directories.

use std::io;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;
use rustix::io::Errno;

use crate::domain::safe_text::quoted;
use crate::{Error, Result};

/// Overrides the directory of `config.toml`, `themes/` and `keymaps/`.
pub const CONFIG_DIR_VARIABLE: &str = "TENANTPILOT_CONFIG_DIR";
/// Overrides the directory of the embedded databases.
pub const DATA_DIR_VARIABLE: &str = "TENANTPILOT_DATA_DIR";
/// Overrides the directory of logs, the command line's session, drafts and exports.
pub const STATE_DIR_VARIABLE: &str = "TENANTPILOT_STATE_DIR";

/// The directories of one user on one machine. Asking for a path creates nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    config: PathBuf,
    data: PathBuf,
    state: PathBuf,
}

impl Paths {
    /// The directories that the environment asks for, else the XDG ones.
    ///
    /// `getter` looks a variable up; an empty value counts as absent. A relative override is
    /// refused, and so is a machine on which the home directory cannot be told.
    pub fn from_env(getter: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let home = ProjectDirs::from("", "", "tenantpilot");
        let choose = |variable: &str, default: fn(&ProjectDirs) -> PathBuf| match (
            getter(variable).filter(|value| !value.is_empty()),
            &home,
        ) {
            (Some(value), _) => absolute(variable, &value),
            (None, Some(dirs)) => Ok(default(dirs)),
            (None, None) => Err(Error::failed("the home directory cannot be determined")
                .hint(format!("set HOME, or {variable} to an absolute directory"))),
        };
        Ok(Self {
            config: choose(CONFIG_DIR_VARIABLE, |dirs| dirs.config_dir().to_owned())?,
            data: choose(DATA_DIR_VARIABLE, |dirs| dirs.data_dir().to_owned())?,
            state: choose(STATE_DIR_VARIABLE, |dirs| {
                dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned()
            })?,
        })
    }

    /// Holds `config.toml`, `themes/` and `keymaps/`.
    pub fn config_dir(&self) -> &Path {
        &self.config
    }

    /// Holds the embedded databases.
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// Holds logs, the command line's session, drafts and exports.
    pub fn state_dir(&self) -> &Path {
        &self.state
    }

    /// The configuration file that is read when no other is named; it may be missing.
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// The operator's own themes, one TOML file each.
    pub fn themes_dir(&self) -> PathBuf {
        self.config.join("themes")
    }

    /// The operator's own keymaps, one TOML file each.
    pub fn keymaps_dir(&self) -> PathBuf {
        self.config.join("keymaps")
    }

    /// The embedded database, used when no other is configured.
    pub fn database_file(&self) -> PathBuf {
        self.data.join("tenantpilot.db")
    }

    /// The demonstration's database.
    pub fn demo_database_file(&self) -> PathBuf {
        self.data.join("demo.db")
    }

    /// The log files, one a day.
    pub fn logs_dir(&self) -> PathBuf {
        self.state.join("logs")
    }

    /// The session of the command line: a token, so the file is private.
    pub fn cli_session_file(&self) -> PathBuf {
        self.state.join("session.toml")
    }

    /// What people had written out of the console.
    pub fn exports_dir(&self) -> PathBuf {
        self.state.join("exports")
    }

    /// What was typed and not yet sent.
    pub fn drafts_dir(&self) -> PathBuf {
        self.state.join("drafts")
    }
}

fn absolute(variable: &str, value: &str) -> Result<PathBuf> {
    let path = PathBuf::from(value);
    if path.is_absolute() {
        return Ok(path);
    }
    Err(Error::usage(format!("{variable}: {} is not an absolute path", quoted(value)))
        .hint("give the directory from the root on, such as /var/lib/tenantpilot"))
}

/// `path` as it may be shown: in quotes, without anything that a terminal would act on.
pub fn shown(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// What the system says about a failed file operation, in the words of its kind.
pub fn reason(error: &io::Error) -> String {
    // The library has no kind for it.
    if Errno::from_io_error(error) == Some(Errno::BADF) {
        return "it is closed".to_owned();
    }
    match error.kind() {
        io::ErrorKind::NotFound => "it does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        io::ErrorKind::NotADirectory => "a part of the path is not a directory".to_owned(),
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        other => other.to_string(),
    }
}
