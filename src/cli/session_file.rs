//! The command line's sessions, one per database, in a private file.
//!
//! A token is kept under a digest of the address it was issued at, so that it is never sent
//! to another database.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::config::DatabaseUrl;
use crate::domain::safe_text::quoted;
use crate::paths::{self, Paths};
use crate::{Error, Result};

/// Puts the file somewhere else.
pub const VARIABLE: &str = "TENANTPILOT_SESSION_FILE";

/// The file, and which of its sessions belongs to the database at hand.
pub struct SessionFile {
    path: PathBuf,
    key: String,
}

/// What the file holds.
#[derive(Default, Serialize, Deserialize)]
struct Stored {
    /// Digest of the database's address to token.
    #[serde(default)]
    sessions: BTreeMap<String, String>,
}

impl SessionFile {
    /// The file's place, with the key of `database`.
    ///
    /// # Errors
    /// *Usage* where the variable does not hold an absolute path.
    pub fn new(
        paths: &Paths,
        database: &DatabaseUrl,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let path = match variable(VARIABLE).filter(|value| !value.is_empty()) {
            None => paths.cli_session_file(),
            Some(value) => {
                let path = PathBuf::from(&value);
                if !path.is_absolute() {
                    let value = quoted(&value);
                    return Err(Error::usage(format!(
                        "{VARIABLE}: {value} is not an absolute path"
                    )));
                }
                path
            }
        };
        Ok(Self { path, key: database.digest(variable) })
    }

    /// Where it is.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// The token for this database, if there is one.
    ///
    /// # Errors
    /// *Failed* for a file that cannot be read or understood.
    pub fn token(&self) -> Result<Option<SecretString>> {
        Ok(self.read()?.sessions.remove(&self.key).map(SecretString::from))
    }

    /// Keeps `token` for this database.
    ///
    /// # Errors
    /// *Failed* for a file that cannot be read or written.
    pub fn keep(&self, token: &SecretString) -> Result<()> {
        let mut stored = self.read()?;
        stored.sessions.insert(self.key.clone(), token.expose_secret().to_owned());
        self.write(&stored)
    }

    /// Forgets the token for this database.
    ///
    /// # Errors
    /// *Failed* for a file that cannot be read or written.
    pub fn forget(&self) -> Result<()> {
        let mut stored = self.read()?;
        match stored.sessions.remove(&self.key) {
            Some(_) => self.write(&stored),
            None => Ok(()),
        }
    }

    fn read(&self) -> Result<Stored> {
        let shown = paths::shown(&self.path);
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Stored::default()),
            Err(error) => {
                let reason = paths::reason(&error);
                return Err(Error::failed(format!(
                    "cannot read the session file {shown}: {reason}"
                )));
            }
        };
        // The parser's own message would quote the line, and with it a token.
        toml::from_str(&text).map_err(|_| {
            Error::failed(format!("the session file {shown} is damaged"))
                .hint("remove it, then log in again")
        })
    }

    fn write(&self, stored: &Stored) -> Result<()> {
        let text = toml::to_string(stored)
            .map_err(|_| Error::failed("the session cannot be written as a file"))?;
        paths::write_private(&self.path, text.as_bytes())
    }
}
