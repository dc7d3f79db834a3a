//! The command line's sessions, in a private file.
//!
//! A token is kept under a digest of the address it was issued at, with the ID of the platform that
//! the address leads to. At another address of that platform it is found by the ID, and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::config::DatabaseUrl;
use crate::domain::safe_text::quoted;
use crate::files::{self, Refusal};
use crate::paths::{self, Paths};
use crate::{Error, ErrorKind, Result};

/// Puts the file somewhere else.
pub const VARIABLE: &str = "TENANTPILOT_SESSION_FILE";

/// The largest file, in bytes; a session takes about 150.
const LARGEST: u64 = 1024 * 1024;

/// The file, and which of its sessions belongs to the database at hand.
pub struct SessionFile {
    path: PathBuf,
    /// The directory of the program's own that it is in; none for a place that a person named.
    own_dir: Option<PathBuf>,
    key: String,
}

/// What the file holds.
#[derive(Default, Serialize, Deserialize)]
struct Stored {
    /// Digest of the database's address to token.
    #[serde(default)]
    sessions: BTreeMap<String, String>,
    /// The same digest to the ID of the platform that it leads to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    platforms: BTreeMap<String, String>,
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
        let named = variable(VARIABLE).filter(|value| !value.is_empty());
        let own_dir = named.is_none().then(|| paths.state_dir().to_owned());
        let path = match named {
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
        Ok(Self { path, own_dir, key: database.digest(variable) })
    }

    /// Where it is.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// The token for this address, if there is one.
    ///
    /// # Errors
    /// *Failed* for a file that cannot be read or understood.
    pub fn token(&self) -> Result<Option<SecretString>> {
        self.check_dir()?;
        Ok(self.read()?.sessions.remove(&self.key).map(SecretString::from))
    }

    /// The tokens that were issued for the platform `id` at other addresses.
    ///
    /// # Errors
    /// As [`SessionFile::token`].
    pub fn tokens_of(&self, id: &str) -> Result<Vec<SecretString>> {
        self.check_dir()?;
        let Stored { sessions, platforms } = self.read()?;
        let is_other = |address: &String| {
            *address != self.key && platforms.get(address).is_some_and(|of| of == id)
        };
        let tokens = sessions.iter().filter(|(address, _)| is_other(address));
        let tokens: BTreeSet<&String> = tokens.map(|(_, token)| token).collect();
        Ok(tokens.into_iter().map(|token| SecretString::from(token.as_str())).collect())
    }

    /// Whether nothing is kept, for any address.
    ///
    /// # Errors
    /// As [`SessionFile::token`].
    pub fn is_empty(&self) -> Result<bool> {
        self.check_dir()?;
        Ok(self.read()?.sessions.is_empty())
    }

    /// Whether it is known that this address leads to the platform `id`.
    ///
    /// # Errors
    /// As [`SessionFile::token`].
    pub fn leads_to(&self, id: &str) -> Result<bool> {
        Ok(self.read()?.platforms.get(&self.key).is_some_and(|known| known == id))
    }

    /// The token for this address; that it can be replaced is known then.
    ///
    /// # Errors
    /// As [`SessionFile::keep`].
    pub fn replaceable(&self) -> Result<Option<SecretString>> {
        let token = self.token()?;
        if token.is_some() {
            drop(files::lock(&self.path)?);
        }
        Ok(token)
    }

    /// Keeps `token` for this address, which leads to the platform `id`; gives the one that it
    /// replaces.
    ///
    /// # Errors
    /// *Failed* for a file that cannot be read or written.
    pub fn keep(&self, token: &SecretString, id: Option<&str>) -> Result<Option<SecretString>> {
        let token = token.expose_secret().to_owned();
        self.check_dir()?;
        let _lock = files::lock(&self.path)?;
        let mut stored = self.read()?;
        let replaced = stored.sessions.insert(self.key.clone(), token);
        match id {
            Some(id) => stored.platforms.insert(self.key.clone(), id.to_owned()),
            None => stored.platforms.remove(&self.key),
        };
        self.write(&stored)?;
        Ok(replaced.map(SecretString::from))
    }

    /// Forgets `token`, unless another login has replaced it meanwhile.
    ///
    /// # Errors
    /// *Failed* for a file that cannot be read or written.
    pub fn forget(&self, token: &SecretString) -> Result<()> {
        self.check_dir()?;
        let _lock = files::lock(&self.path)?;
        let mut stored = self.read()?;
        let before = stored.sessions.len();
        let Stored { sessions, platforms } = &mut stored;
        sessions.retain(|_, kept| kept != token.expose_secret());
        platforms.retain(|address, _| sessions.contains_key(address));
        if stored.sessions.len() < before {
            self.write(&stored)?;
        }
        Ok(())
    }

    fn check_dir(&self) -> Result<()> {
        self.own_dir.as_deref().map_or(Ok(()), |dir| files::check_own_dirs(&[dir]))
    }

    fn read(&self) -> Result<Stored> {
        let bytes = match files::read_private(&self.path, LARGEST) {
            Ok(content) => content.bytes,
            Err(Refusal::Missing) => return Ok(Stored::default()),
            Err(refusal) => {
                let what = "cannot use the session file";
                return Err(refusal.error(ErrorKind::Failed, what, &self.path));
            }
        };
        // The parser's own message would quote the line, and with it a token.
        toml::from_slice(&bytes).map_err(|_| {
            let shown = paths::shown(&self.path);
            Error::failed(format!("the session file {shown} is damaged"))
                .hint("remove it, then log in again")
        })
    }

    fn write(&self, stored: &Stored) -> Result<()> {
        let text = toml::to_string(stored)
            .map_err(|_| Error::failed("the session cannot be written as a file"))?;
        files::write_private(&self.path, text.as_bytes())
    }
}
