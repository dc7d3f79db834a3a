//! Where alerts go and what they are signed with. Neither is ever shown: the path of an
//! address often is the right to post there.

use std::fmt;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use ureq::http::Uri;

use crate::{Error, Result};
use crate::{files, paths};

/// The variable that gives the secret itself rather than a file.
pub const WEBHOOK_SECRET_VARIABLE: &str = "TENANTPILOT_ALERTS_WEBHOOK_SECRET";
/// The longest secret, in bytes.
const LONGEST_SECRET: u64 = 4_096;

/// An `https://` or `http://` address that alerts are posted to.
#[derive(Clone)]
pub struct WebhookUrl {
    secret: SecretString,
    shown: String,
}

impl WebhookUrl {
    /// Checks the form. The reason of a refusal never repeats the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let wrong = || "this is not an address of a web server".to_owned();
        if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err("the address holds a space or a control character".to_owned());
        }
        if text.contains('#') {
            return Err("the address has a fragment (#), which is never sent".to_owned());
        }
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let scheme = match uri.scheme_str() {
            Some(scheme @ ("http" | "https")) => scheme.to_owned(),
            _ => return Err("the address does not begin with https:// or http://".to_owned()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        if authority.as_str().contains('@') {
            return Err("the address holds a user name or password; receivers tell us by the \
                        signature, see alerts.webhook_secret_file"
                .to_owned());
        }
        if authority.host().is_empty() {
            return Err("the address names no host".to_owned());
        }
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let rest = if bare { "/" } else { "/***" };
        let shown = format!("{scheme}://{authority}{rest}");
        Ok(Self { secret: SecretString::from(text.to_owned()), shown })
    }

    /// The whole address: for sending, never for showing.
    pub fn expose(&self) -> &str {
        self.secret.expose_secret()
    }

    /// The address with its path and query masked.
    pub fn redacted_url(&self) -> String {
        self.shown.clone()
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({})", self.shown)
    }
}

impl PartialEq for WebhookUrl {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for WebhookUrl {}

/// Reads the secret from a file that only its owner can read. A line end after it is no part
/// of it.
///
/// # Errors
/// *Usage* for a file that is missing, that others may read, that is empty, or that holds
/// anything but one short text.
pub fn read_secret(path: &Path) -> Result<SecretString> {
    let shown = paths::shown(path);
    let refuse = |reason: &str| {
        Error::usage(format!("cannot use the secret in {shown}: {reason}")).hint(
            "alerts.webhook_secret_file names a file of mode 0600 with the secret alone in it",
        )
    };
    let content = files::read_secret(path, LONGEST_SECRET).map_err(|refusal| {
        let error = refuse(&refusal.reason());
        match refusal.repair(path) {
            Some(repair) => error.hint(repair),
            None => error,
        }
    })?;
    let text = String::from_utf8(content.bytes).map_err(|_| refuse("it is not UTF-8 text"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(refuse("it is empty"));
    }
    Ok(SecretString::from(text.to_owned()))
}
